//! How many requests run at one time, and waiting for the last of them when the server stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::problem::{Code, Problem};

const FULL: &str = "As many requests run as this server takes.";

/// A door with as many places behind it as requests may run.
#[derive(Debug)]
pub(crate) struct Gate {
    places: Arc<Semaphore>,
    places_max: u32,
    closed: AtomicBool,
}

impl Gate {
    pub(crate) fn new(requests_max: usize) -> Self {
        let places_max = u32::try_from(requests_max.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        let places = Semaphore::new(usize::try_from(places_max).unwrap_or(Semaphore::MAX_PERMITS));
        Self { places: Arc::new(places), places_max, closed: AtomicBool::new(false) }
    }

    /// A place until the guard is dropped; refused at once where there is none.
    pub(crate) fn enter(&self) -> Result<SemaphorePermit<'_>, Problem> {
        if self.is_closed() {
            return Err(Problem::new(Code::Draining, "The server is stopping."));
        }
        let place = self.places.try_acquire();
        place.map_err(|_| Problem::new(Code::Overloaded, FULL))
    }

    /// As [`Gate::enter`], for what goes on after its request was answered.
    pub(crate) fn enter_owned(&self) -> Result<OwnedSemaphorePermit, Problem> {
        drop(self.enter()?);
        let place = self.places.clone().try_acquire_owned();
        place.map_err(|_| Problem::new(Code::Overloaded, FULL))
    }

    /// Nobody enters from now on.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Waits until all who are in have left; false where the time did not suffice.
    pub(crate) async fn emptied(&self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.places.acquire_many(self.places_max)).await.is_ok()
    }

    pub(crate) fn inside(&self) -> usize {
        usize::try_from(self.places_max).unwrap_or(usize::MAX).saturating_sub(self.places.available_permits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_enter_than_there_are_places() {
        let gate = Gate::new(2);
        let first = gate.enter().unwrap();
        let _second = gate.enter().unwrap();
        assert_eq!(gate.enter().unwrap_err().code(), Code::Overloaded);
        drop(first);
        assert!(gate.enter().is_ok());
    }

    #[tokio::test]
    async fn a_closed_gate_lets_nobody_in_and_tells_when_the_last_has_left() {
        let gate = Gate::new(2);
        let inside = gate.enter().unwrap();
        gate.close();
        assert_eq!(gate.enter().unwrap_err().code(), Code::Draining);
        assert!(!gate.emptied(Duration::ZERO).await);
        drop(inside);
        assert!(gate.emptied(Duration::ZERO).await);
    }
}
