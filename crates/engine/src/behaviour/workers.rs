//! Threads that share out work by taking the next piece of it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::EngineError;

/// Below so many events a second thread costs more than it saves.
const EVENTS_PER_WORKER_MIN: usize = 50_000;
const WORKERS_MAX: usize = 16;
pub(super) fn workers(events: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (events / EVENTS_PER_WORKER_MIN).clamp(1, cores.min(WORKERS_MAX))
}

/// Does each piece of work on one of the workers; results are in the order of the work.
pub(super) fn side_by_side<W: Sync, R: Send>(
    work: &[W],
    workers: usize,
    run: impl Fn(&W) -> Result<R, EngineError> + Sync,
) -> Result<Vec<R>, EngineError> {
    if workers <= 1 || work.len() <= 1 {
        return work.iter().map(run).collect();
    }
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Result<R, EngineError>)>> = Mutex::new(Vec::new());
    let worker = || {
        while let Some((index, piece)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            work.get(index).map(|piece| (index, piece))
        } {
            let result = run(piece);
            done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((index, result));
        }
    };
    std::thread::scope(|threads| {
        let handles: Vec<_> = (0..workers.min(work.len())).map(|_| threads.spawn(worker)).collect();
        let joined = handles.into_iter().map(|handle| handle.join().map_err(|_| EngineError::Worker));
        joined.collect::<Result<Vec<()>, EngineError>>()
    })?;
    let mut results = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Does so many pieces of work, in order, and gives what each worker has made of its own: a worker goes on with one
/// state, so that there are no more of them than threads.
pub(super) fn in_turn<S: Send>(
    pieces: usize,
    workers: usize,
    fresh: impl Fn() -> S + Sync,
    run: impl Fn(&mut S, usize) -> Result<(), EngineError> + Sync,
) -> Result<Vec<S>, EngineError> {
    let next = AtomicUsize::new(0);
    let lanes: Vec<()> = vec![(); workers.clamp(1, pieces.max(1))];
    side_by_side(&lanes, lanes.len(), |()| {
        let mut state = fresh();
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            if piece >= pieces {
                return Ok(state);
            }
            run(&mut state, piece)?;
        }
    })
}
