//! Where topics and listeners come together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::topic::Topic;
use crate::cache::Key;
use crate::problem::{Code, Problem};
use crate::question::Question;

/// The topics that somebody listens to, the places of listeners, and the news that wake both. A clone is the
/// same hub.
#[derive(Clone)]
pub(crate) struct Hub {
    shared: Arc<Shared>,
}

struct Shared {
    topics: Mutex<HashMap<Key, Weak<Topic>>>,
    places: Arc<Semaphore>,
    places_max: u32,
    /// Goes up with each change of what readers see.
    changes: watch::Sender<u64>,
    closing: watch::Sender<bool>,
}

/// A listener's place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    _place: OwnedSemaphorePermit,
}

/// Tells when the server ends its listeners.
pub(crate) type Closing = watch::Receiver<bool>;

impl Hub {
    pub(crate) fn new(listeners_max: usize) -> Self {
        let places_max = u32::try_from(listeners_max.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        let places = Semaphore::new(usize::try_from(places_max).unwrap_or(Semaphore::MAX_PERMITS));
        let shared = Shared {
            topics: Mutex::default(),
            places: Arc::new(places),
            places_max,
            changes: watch::Sender::new(0),
            closing: watch::Sender::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// What readers see has changed. Called by the writer: it neither waits nor fails.
    pub(crate) fn changed(&self) {
        self.shared.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    pub(crate) fn closing(&self) -> Closing {
        self.shared.closing.subscribe()
    }

    /// All listeners are sent home, and no more are let in.
    pub(crate) fn close(&self) {
        self.shared.closing.send_replace(true);
    }

    /// Waits until all listeners have left; false where the time did not suffice.
    pub(crate) async fn emptied(&self, limit: Duration) -> bool {
        let all = self.shared.places.acquire_many(self.shared.places_max);
        tokio::time::timeout(limit, all).await.is_ok()
    }

    /// A listener's place; refused at once where there is none.
    pub(crate) fn seat(&self) -> Result<Seat, Problem> {
        if *self.shared.closing.borrow() {
            return Err(Problem::new(Code::Draining, "The server is stopping."));
        }
        let place = self.shared.places.clone().try_acquire_owned();
        let full = |_| Problem::new(Code::Overloaded, "As many listen as this server takes.");
        place.map(|place| Seat { _place: place }).map_err(full)
    }

    pub(crate) fn listeners(&self) -> usize {
        let places_max = usize::try_from(self.shared.places_max).unwrap_or(usize::MAX);
        places_max.saturating_sub(self.shared.places.available_permits())
    }

    pub(crate) fn topics(&self) -> usize {
        self.lock().values().filter(|topic| topic.strong_count() > 0).count()
    }

    /// The topic of a question: that which others listen to, or a new one.
    pub(crate) fn topic(&self, question: &Question) -> Arc<Topic> {
        let key = question.key();
        let mut topics = self.lock();
        if let Some(topic) = topics.get(&key).and_then(Weak::upgrade) {
            return topic;
        }
        // What nobody listens to any more goes when others come, so that the map does not grow for ever.
        topics.retain(|_, topic| topic.strong_count() > 0);
        let topic = Arc::new(Topic::begin(question.clone(), self));
        topics.insert(key, Arc::downgrade(&topic));
        topic
    }

    /// The map is whole whatever its holder did.
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Weak<Topic>>> {
        self.shared.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
