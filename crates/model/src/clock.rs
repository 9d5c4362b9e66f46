//! Time as a value: what reads it is handed a clock.

use crate::Instant;

/// Where "now" comes from.
pub trait Clock: Send + Sync {
    fn now(&self) -> Instant;
}
