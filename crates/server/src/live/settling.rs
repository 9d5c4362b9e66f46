//! What an answer does not wait for while somebody listens: rows of before the start of a calendar period, which may
//! take as long as all of a table does. They are asked for beside it, seldom enough to leave it its time.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant as Stopwatch;

use crate::question::Question;

/// How long the first answer waits for them.
const FIRST_MAX: Duration = Duration::from_millis(200);
/// How long after the start of a period they are waited for: what happened before it is still on its way.
const LATE: Duration = Duration::from_secs(2);
/// They are asked for in one of so many parts of the time.
const PART: u32 = 10;

/// Goes with whoever listens.
#[derive(Debug, Default)]
pub(super) struct Settling {
    /// One at most, which tells how long it took.
    asking: JoinSet<Duration>,
    /// When they are asked for.
    due: Option<Stopwatch>,
    not_before: Option<Stopwatch>,
}

impl Settling {
    /// Asks for them, and waits a while.
    pub(super) async fn first(&mut self, question: &Question) {
        self.begin(question);
        // What takes longer goes on.
        _ = tokio::time::timeout(FIRST_MAX, self.ended()).await;
    }

    /// They are wanted: asks for them once it is time to.
    pub(super) fn want(&mut self, question: &Question) {
        if !self.asking.is_empty() {
            return;
        }
        let now = Stopwatch::now();
        let after_late = now + LATE;
        let due = *self.due.get_or_insert(self.not_before.map_or(after_late, |at| at.max(after_late)));
        if due <= now {
            self.due = None;
            self.begin(question);
        }
    }

    /// Somebody else has asked for them.
    pub(super) fn unwant(&mut self) {
        self.due = None;
    }

    /// Waits until they were asked for, or it is time to.
    pub(super) async fn news(&mut self) {
        match self.due {
            Some(due) => tokio::time::sleep_until(due).await,
            None if self.asking.is_empty() => std::future::pending().await,
            None => self.ended().await,
        }
    }

    fn begin(&mut self, question: &Question) {
        let question = question.clone();
        self.asking.spawn(async move {
            let started = Stopwatch::now();
            if let Err(problem) = question.settle().await {
                let report = question.route.report.name.as_str();
                let cause = problem.cause().unwrap_or_else(|| problem.detail());
                tracing::warn!(target: "ebbtide::live", report, cause, "findings of before are not told");
            }
            started.elapsed()
        });
    }

    async fn ended(&mut self) {
        // One that fell is asked for again.
        let spent = self.asking.join_next().await.and_then(Result::ok).unwrap_or_default();
        self.not_before = Some(Stopwatch::now() + spent * (PART - 1));
    }
}
