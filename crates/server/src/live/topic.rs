//! One question that is listened to: answered again whenever its answer may have changed.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use ebbtide_model::Instant;
use ebbtide_model::pack::{AS_OF, Caching, Report, Tree};
use serde_json::Value as Json;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::hub::Hub;
use super::settling::Settling;
use crate::cache::{Entry, Versions};
use crate::problem::{Code, Problem};
use crate::question::Question;

/// The least time between two states: no listener hears more than ten a second.
const PACE: Duration = Duration::from_millis(100);

/// How long it waits to ask again after an answer that failed.
const RETRY: Duration = Duration::from_secs(1);

/// The longest sleep: a clock that is set anew is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// A topic's newest state.
#[derive(Clone, Debug, Default)]
pub(crate) enum Newest {
    /// None was computed yet.
    #[default]
    None,
    Answer(Bytes),
    /// There is none at the moment.
    Failed(Arc<Problem>),
}

/// A question with those who listen to its answer. It is asked as long as somebody holds it.
#[derive(Debug)]
pub(crate) struct Topic {
    newest: watch::Receiver<Newest>,
    task: AbortHandle,
}

impl Topic {
    /// Begins to ask, in a task of its own.
    pub(super) fn begin(question: Question, hub: &Hub) -> Self {
        let (sender, newest) = watch::channel(Newest::None);
        let asking =
            Asking { question, changes: hub.changes(), told: None, sender, settling: Settling::default() };
        let task = tokio::spawn(asking.run());
        Self { newest, task: task.abort_handle() }
    }

    /// Its states; the one that is there already is new to whoever asks.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Newest> {
        let mut newest = self.newest.clone();
        newest.mark_changed();
        newest
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Asking {
    question: Question,
    changes: watch::Receiver<u64>,
    /// A hash of the state that was told last, but for its moment.
    told: Option<u128>,
    sender: watch::Sender<Newest>,
    settling: Settling,
}

/// A state, and when it may be another one.
struct State {
    ends_at: Instant,
    versions: Versions,
    is_settled: bool,
}

impl Asking {
    async fn run(mut self) {
        if self.renew().is_ok() {
            self.settling.first(&self.question).await;
        }
        loop {
            // Noted before the rows are looked at: what is written after is news.
            self.changes.borrow_and_update();
            let started = tokio::time::Instant::now();
            let asked = self.ask().await;
            let spent = started.elapsed();
            let state = match asked {
                Ok((entry, versions)) => {
                    self.tell(&entry);
                    let is_settled = entry.answer().is_settled;
                    Some(State { ends_at: self.ends_at(&entry), versions, is_settled })
                }
                Err(problem) => {
                    self.fail(&problem);
                    None
                }
            };
            // A dear answer is not asked for all the time.
            tokio::time::sleep(PACE.max(spent)).await;
            match state {
                Some(state) => self.changed(&state).await,
                None => tokio::time::sleep(RETRY).await,
            }
        }
    }

    /// The question is asked as of now from here on.
    fn renew(&mut self) -> Result<(), Problem> {
        let server = self.question.server.clone();
        self.question.snapshot = server.store()?.snapshot(self.question.route.app.name())?;
        self.question.now = server.now();
        if self.question.arguments.given_as_of().is_none() {
            self.question.arguments = Arc::new(self.question.arguments.at(self.question.now));
        }
        Ok(())
    }

    async fn ask(&mut self) -> Result<(Arc<Entry>, Versions), Problem> {
        self.renew()?;
        let versions = self.versions()?;
        let entry = self.question.answer_beside().await?;
        if entry.answer().is_settled {
            self.settling.unwant();
        } else {
            self.settling.want(&self.question);
        }
        Ok((entry, versions))
    }

    /// Until when the answer holds; one that is never kept is asked for again now and then.
    fn ends_at(&self, entry: &Entry) -> Instant {
        match self.question.route.report.cache {
            Caching::For(_) => entry.ends_at(),
            Caching::Off => self.question.now.next_second(),
        }
    }

    fn versions(&self) -> Result<Versions, Problem> {
        let Question { snapshot, scope, route, .. } = &self.question;
        Ok(Versions::of(snapshot, scope, &route.report.tables)?)
    }

    /// Returns once the answer may be another one: its time is over, one of its tables was written, or there may be
    /// news of what it does not wait for.
    async fn changed(&mut self, state: &State) {
        loop {
            let now = self.question.server.now();
            let left = state.ends_at.micros().saturating_sub(now.micros());
            let Some(left) = u64::try_from(left).ok().filter(|left| *left > 0) else { return };
            let sleep = Duration::from_micros(left).min(SLEEP_MAX);
            tokio::select! {
                () = tokio::time::sleep(sleep) => {}
                () = self.settling.news(), if !state.is_settled => return,
                news = self.changes.changed() => {
                    if news.is_err() || self.is_written(&state.versions) {
                        return;
                    }
                    // Other tenants' writes are looked at as often, and no more.
                    tokio::time::sleep(PACE).await;
                    if self.is_written(&state.versions) {
                        return;
                    }
                }
            }
        }
    }

    /// Whether one of the answer's tables has changed since.
    fn is_written(&mut self, versions: &Versions) -> bool {
        let server = self.question.server.clone();
        let snapshot = server.store().and_then(|store| Ok(store.snapshot(self.question.route.app.name())?));
        let Ok(snapshot) = snapshot else { return true };
        self.question.snapshot = snapshot;
        self.versions().map_or(true, |now| now != *versions)
    }

    fn tell(&mut self, entry: &Entry) {
        let told = fingerprint(&self.question.route.report, &entry.answer().body);
        if self.told.replace(told) != Some(told) {
            self.sender.send_replace(Newest::Answer(entry.json().clone()));
        }
    }

    fn fail(&mut self, problem: &Problem) {
        // A server that is busy is asked again soon; what was told may still be so.
        if problem.code() == Code::Overloaded && matches!(&*self.sender.borrow(), Newest::Answer(_)) {
            return;
        }
        self.told = None;
        let is_told =
            matches!(&*self.sender.borrow(), Newest::Failed(known) if known.code() == problem.code());
        if !is_told {
            if let Some(cause) = problem.cause() {
                let report = self.question.route.report.name.as_str();
                tracing::warn!(target: "ebbtide::live", report, cause, "an answer that is listened to failed");
            }
            self.sender.send_replace(Newest::Failed(Arc::new(problem.clone())));
        }
    }
}

/// A hash of an answer without the fields that only say as of when it is.
fn fingerprint(report: &Report, body: &Json) -> u128 {
    let (Tree::Object(entries), Json::Object(fields)) = (&report.response, body) else {
        return xxh3_128(body.to_string().as_bytes());
    };
    let is_moment = |name: &str| {
        entries.iter().any(|(own, tree)| own == name && matches!(tree, Tree::Param(of) if of == AS_OF))
    };
    let mut hash = Xxh3::new();
    for (name, value) in fields.iter().filter(|(name, _)| !is_moment(name)) {
        hash.update(name.as_bytes());
        hash.update(value.to_string().as_bytes());
    }
    hash.digest128()
}

#[cfg(test)]
mod tests {
    use ebbtide_model::pack::Pack;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_moment_of_an_answer_alone_is_no_news() {
        let pack = Pack::parse(
            "pack: a\ntables: {t: {kind: entity, key: id, tenant: id, columns: {id: int}}}\nreports: {r: {routes: [{path: /r}], response: {n: 1, as_of: $as_of, list: [1]}}}\n",
        )
        .unwrap();
        let print = |json: Json| fingerprint(&pack.reports[0], &json);
        let first = json!({"n": 1, "as_of": "2026-01-01T00:00:00Z", "list": [1]});
        assert_eq!(
            print(first.clone()),
            print(json!({"n": 1, "as_of": "2026-01-02T00:00:00Z", "list": [1]}))
        );
        assert_ne!(
            print(first.clone()),
            print(json!({"n": 2, "as_of": "2026-01-01T00:00:00Z", "list": [1]}))
        );
        assert_ne!(print(first), print(json!({"n": 1, "as_of": "2026-01-01T00:00:00Z", "list": []})));
    }
}
