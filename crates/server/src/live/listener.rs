//! One listener: what it is told, and until when.

use std::sync::Arc;
use std::time::Duration;

use ebbtide_model::Instant;
use tokio::sync::watch;

use super::hub::{Closing, Seat};
use super::topic::{Newest, Topic};
use crate::server::Server;

/// The longest sleep towards a token's end: a clock that is set anew is noticed in time.
const LOOK: Duration = Duration::from_secs(1);

/// What happens to a listener.
#[derive(Debug)]
pub(crate) enum Event {
    State(Newest),
    /// Its token has ended.
    Expired,
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
    _seat: Seat,
}

impl Listener {
    pub(crate) fn new(server: Arc<Server>, topic: Arc<Topic>, ends_at: Instant, seat: Seat) -> Self {
        let (states, closing) = (topic.subscribe(), server.hub.closing());
        Self { server, _topic: topic, states, ends_at, closing, _seat: seat }
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

    /// Waits until its token has ended or the server stops, whatever is told meanwhile.
    pub(crate) async fn ended(&self) {
        while !*self.closing.borrow() && self.server.now() < self.ends_at {
            tokio::time::sleep(LOOK).await;
        }
    }
}
