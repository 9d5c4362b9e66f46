//! One listener: what it is told, and until when.

use std::sync::Arc;
use std::time::Duration;

use ebbtide_model::{ErrorKind, Instant};
use tokio::sync::watch;

use super::hub::{Closing, Seat};
use super::topic::{Newest, Topic};
use super::watched::Watched;
use crate::problem::Problem;
use crate::server::Server;

/// The longest sleep towards a token's end: a clock that is set anew is noticed in time.
const LOOK: Duration = Duration::from_secs(1);

/// What happens to a listener.
#[derive(Debug)]
pub(crate) enum Event {
    State(Newest),
    /// Its token has ended.
    Expired,
    /// It would not be let in any more, or not to hear this.
    Cut(Arc<Problem>),
    /// The server stops.
    Closing,
}

/// Somebody who listens to a topic, which goes on for as long.
pub(crate) struct Listener {
    server: Arc<Server>,
    _topic: Arc<Topic>,
    states: watch::Receiver<Newest>,
    /// When its token ends.
    ends_at: Instant,
    closing: Closing,
    /// Where that may happen before.
    watched: Option<Watched>,
    _seat: Seat,
}

impl Listener {
    pub(crate) fn new(
        server: Arc<Server>,
        topic: Arc<Topic>,
        ends_at: Instant,
        watched: Option<Watched>,
        seat: Seat,
    ) -> Self {
        let (states, closing) = (topic.subscribe(), server.hub.closing());
        Self { server, _topic: topic, states, ends_at, closing, watched, _seat: seat }
    }

    /// Waits for the first state, which is told all the same. Refused where it says that there is nothing to listen to.
    pub(crate) async fn check_found(&mut self) -> Result<(), Problem> {
        let is_missing = |newest: &Newest| match newest {
            Newest::Failed(problem) if problem.code().kind() == ErrorKind::NotFound => {
                Some((**problem).clone())
            }
            Newest::Failed(_) | Newest::Answer(_) | Newest::None => None,
        };
        let mut states = self.states.clone();
        let first = tokio::select! {
            first = states.wait_for(|newest| !matches!(newest, Newest::None)) => first,
            () = self.ended() => return Ok(()),
        };
        first.ok().and_then(|newest| is_missing(&newest)).map_or(Ok(()), Err)
    }

    /// Waits for what is next. Of states that came meanwhile the newest alone is told. Dropped midway it has
    /// taken nothing.
    pub(crate) async fn next(&mut self) -> Event {
        loop {
            if *self.closing.borrow() {
                return Event::Closing;
            }
            let left = self.ends_at.micros().saturating_sub(self.server.now().micros());
            let Some(left) = u64::try_from(left).ok().filter(|left| *left > 0) else {
                return Event::Expired;
            };
            tokio::select! {
                biased;
                ended = self.closing.changed() => {
                    if ended.is_err() {
                        return Event::Closing;
                    }
                }
                problem = cut(&mut self.watched) => return Event::Cut(problem),
                changed = self.states.changed() => {
                    if changed.is_err() {
                        return Event::Closing;
                    }
                    let newest = self.states.borrow_and_update().clone();
                    if !matches!(newest, Newest::None) {
                        return Event::State(newest);
                    }
                }
                () = tokio::time::sleep(Duration::from_micros(left).min(LOOK)) => {}
            }
        }
    }

    /// Waits until its token has ended, it may not listen any more or the server stops, whatever is told meanwhile.
    pub(crate) async fn ended(&self) {
        let is_cut = || self.watched.as_ref().is_some_and(Watched::is_over);
        while !*self.closing.borrow() && self.server.now() < self.ends_at && !is_cut() {
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Waits for why a listener may not go on; for ever where that cannot be.
async fn cut(watched: &mut Option<Watched>) -> Arc<Problem> {
    match watched {
        Some(watched) => watched.over().await,
        None => std::future::pending().await,
    }
}
