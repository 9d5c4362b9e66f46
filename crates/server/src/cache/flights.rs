//! Computations under way. Each runs in a task of its own, so that a caller who leaves takes nothing
//! from those who stay; when the last one has left, it is stopped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};
use tokio::task::AbortHandle;

use super::key::{Key, Versions};
use super::{Entry, Freshness, Wanted};
use crate::problem::{Code, Problem};

type Outcome = Result<Arc<Entry>, Problem>;

/// A computation that one waits for, like others.
pub(super) type Flight = Shared<BoxFuture<'static, Outcome>>;

/// A computation that was found or begun.
pub(super) enum Joined {
    Own(Flight),
    Others(Flight),
}

/// What runs now, by its question and the rows that it is about.
#[derive(Clone, Default)]
pub(super) struct Flights {
    running: Arc<Mutex<Running>>,
}

#[derive(Default)]
struct Running {
    flights: HashMap<(Key, Versions), Numbered>,
    next: u64,
}

/// A flight that a later one may have taken the place of.
struct Numbered {
    number: u64,
    flight: WeakShared<BoxFuture<'static, Outcome>>,
}

impl Flights {
    /// The equal computation under way, or a new one; always a new one where it is wanted anew.
    pub(super) fn join<C>(&self, wanted: &Wanted, start: impl FnOnce() -> C) -> Joined
    where
        C: Future<Output = Outcome> + Send + 'static,
    {
        let place = (wanted.key.clone(), wanted.versions.clone());
        let mut running = self.lock();
        if wanted.freshness != Freshness::Recomputed
            && let Some(known) = running.flights.get(&place)
            && let Some(flight) = known.flight.upgrade()
        {
            return Joined::Others(flight);
        }
        running.next += 1;
        let number = running.next;
        let task = tokio::spawn(start());
        let landing =
            Landing { flights: self.clone(), place: place.clone(), number, task: task.abort_handle() };
        let outcome = async move {
            // Gone with this future: when the task has ended, or nobody waits for it any more.
            let _landing = landing;
            task.await.unwrap_or_else(|error| Err(Problem::hidden(Code::Internal, error)))
        };
        let flight = outcome.boxed().shared();
        if let Some(weak) = flight.downgrade() {
            running.flights.insert(place, Numbered { number, flight: weak });
        }
        Joined::Own(flight)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().flights.len()
    }

    /// The map is whole whatever its holder did.
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a flight.
struct Landing {
    flights: Flights,
    place: (Key, Versions),
    number: u64,
    task: AbortHandle,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.task.abort();
        let mut running = self.flights.lock();
        if running.flights.get(&self.place).is_some_and(|known| known.number == self.number) {
            running.flights.remove(&self.place);
        }
    }
}
