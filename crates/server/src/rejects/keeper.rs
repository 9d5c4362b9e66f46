//! Rejects on their way into the book: they wait in a bounded queue while a thread writes those before them, so
//! that no request that had bad rows waits for them, or fails by them. What the queue has no room for is counted.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

use ebbtide_model::Scope;

use super::{Bounds, Owner, Refused, RejectBook};
use crate::server::Server;

/// Bytes of rows that may wait, about.
const WAITING_BYTES_MAX: usize = 8 << 20;
/// What a reject takes besides its texts, about.
const REJECT_BYTES: usize = 256;

#[derive(Debug)]
pub(crate) struct RejectKeeper {
    pub(crate) book: RejectBook,
    queue: Arc<Queue>,
    /// Held by who sends rejects again, so that two do not send the same.
    retrying: Mutex<()>,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    settled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// By who sent them.
    waiting: HashMap<Scope, Delivered>,
    bytes: usize,
    /// Whether there is a thread that writes.
    is_writing: bool,
    /// Deliveries so far, and those of them that are written or given up.
    pushed: u64,
    done: u64,
    numbers: KeeperNumbers,
}

/// Rejects since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeeperNumbers {
    pub(crate) kept: u64,
    /// Not kept, since too many waited or the store did not take them.
    pub(crate) lost: u64,
}

/// The rejects of a scope's requests.
#[derive(Debug, Default)]
struct Delivered {
    /// What was handed over before.
    before: u64,
    refused: Vec<Refused>,
    /// Those that there was no room for.
    lost: BTreeMap<Owner, u64>,
}

impl State {
    fn add(&mut self, scope: &Scope, refused: Vec<Refused>) {
        let before = self.pushed;
        let delivered =
            self.waiting.entry(scope.clone()).or_insert_with(|| Delivered { before, ..Delivered::default() });
        for one in refused {
            let bytes = REJECT_BYTES + one.detail.len() + one.row.as_ref().map_or(0, |row| row.text.len());
            if self.bytes + bytes > WAITING_BYTES_MAX {
                *delivered.lost.entry(one.owner).or_default() += 1;
            } else {
                self.bytes += bytes;
                delivered.refused.push(one);
            }
        }
        self.pushed += 1;
    }

    /// What waits will not be written.
    fn give_up(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        self.numbers.lost += waiting.values().map(rows_of).sum::<u64>();
        self.done = self.pushed;
        self.bytes = 0;
        self.is_writing = false;
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RejectKeeper {
    pub(crate) fn new(bounds: Bounds, seed: u64) -> Self {
        Self { book: RejectBook::new(bounds, seed), queue: Arc::default(), retrying: Mutex::default() }
    }

    pub(crate) fn numbers(&self) -> KeeperNumbers {
        self.queue.state().numbers
    }

    /// Whoever holds it sends rejects again; others wait.
    pub(crate) fn retrying(&self) -> MutexGuard<'_, ()> {
        self.retrying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands over rows that were refused. Neither waits nor fails.
    pub(crate) fn push(server: &Arc<Server>, scope: &Scope, refused: Vec<Refused>) {
        if refused.is_empty() {
            return;
        }
        let queue = &server.rejects.queue;
        let mut state = queue.state();
        state.add(scope, refused);
        if std::mem::replace(&mut state.is_writing, true) {
            return;
        }
        let (own, weak) = (queue.clone(), Arc::downgrade(server));
        let thread = std::thread::Builder::new().name("ebbtide-rejects".to_owned());
        if let Err(error) = thread.spawn(move || write_all(&own, &weak)) {
            tracing::warn!(target: "ebbtide::rejects", %error, "rejected rows are not kept");
            state.give_up();
            queue.settled.notify_all();
        }
    }

    /// Blocks until all that was handed over before is written.
    pub(crate) fn settle(&self) {
        let state = self.queue.state();
        let wanted = state.pushed;
        let waiting = self.queue.settled.wait_while(state, |state| state.done < wanted);
        drop(waiting.unwrap_or_else(PoisonError::into_inner));
    }
}

fn rows_of(delivered: &Delivered) -> u64 {
    delivered.refused.len() as u64 + delivered.lost.values().sum::<u64>()
}

/// Lets nobody wait for a thread that ended in a panic.
struct Writing<'q>(&'q Queue);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.state().give_up();
            self.0.settled.notify_all();
        }
    }
}

/// Writes what waits, until nothing does.
fn write_all(queue: &Queue, server: &Weak<Server>) {
    let _writing = Writing(queue);
    loop {
        let (waiting, upto) = {
            let mut state = queue.state();
            if state.waiting.is_empty() {
                state.is_writing = false;
                return;
            }
            state.bytes = 0;
            (std::mem::take(&mut state.waiting), state.pushed)
        };
        let mut numbers = KeeperNumbers::default();
        // The server, and with it its data folder, is let go of before it is told that all is written.
        if let Some(server) = server.upgrade() {
            // As they came.
            let mut waiting: Vec<(Scope, Delivered)> = waiting.into_iter().collect();
            waiting.sort_unstable_by_key(|(_, delivered)| delivered.before);
            for (scope, delivered) in waiting {
                let more = write(&server, &scope, delivered);
                numbers.kept += more.kept;
                numbers.lost += more.lost;
            }
        }
        let mut state = queue.state();
        state.numbers.kept += numbers.kept;
        state.numbers.lost += numbers.lost;
        state.done = upto;
        queue.settled.notify_all();
    }
}

fn write(server: &Server, scope: &Scope, delivered: Delivered) -> KeeperNumbers {
    let rows = rows_of(&delivered);
    let Delivered { refused, lost, .. } = delivered;
    let kept = refused.len() as u64;
    let book = &server.rejects.book;
    let written = server.store().and_then(|store| Ok(book.keep(store, scope, refused, &lost)?));
    match written {
        Ok(()) => KeeperNumbers { kept, lost: rows - kept },
        Err(problem) => {
            let code = problem.code().as_str();
            tracing::warn!(target: "ebbtide::rejects", code, rows, "rejected rows could not be kept");
            KeeperNumbers { kept: 0, lost: rows }
        }
    }
}
