//! Giving up a question: whoever computes asks now and then whether it is still wanted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::EngineError;

/// Why a question is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Nobody waits for the answer any more.
    Left,
    /// It took longer than it may.
    TimeUp,
}

/// Asked between pieces of work, each of a few thousand rows.
pub trait Interrupt: Sync {
    /// `None`: go on.
    fn stopped(&self) -> Option<Stop>;
}

/// A flag that whoever waits for the answer sets. A clone is the same flag; one that nobody sets never stops
/// anything.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicU8>);

const GO_ON: u8 = 0;
const LEFT: u8 = 1;
const TIME_UP: u8 = 2;

impl StopFlag {
    /// The first reason stays.
    pub fn set(&self, stop: Stop) {
        let reason = match stop {
            Stop::Left => LEFT,
            Stop::TimeUp => TIME_UP,
        };
        // It may be set already, which is as good.
        _ = self.0.compare_exchange(GO_ON, reason, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl Interrupt for StopFlag {
    fn stopped(&self) -> Option<Stop> {
        match self.0.load(Ordering::Relaxed) {
            LEFT => Some(Stop::Left),
            TIME_UP => Some(Stop::TimeUp),
            _ => None,
        }
    }
}

/// An error where the question is to be given up.
pub(crate) fn check(interrupt: &dyn Interrupt) -> Result<(), EngineError> {
    interrupt.stopped().map_or(Ok(()), |stop| Err(EngineError::Stopped(stop)))
}
