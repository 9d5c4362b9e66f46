//! The one place of the binary where time is read.

use ebbtide_model::{Clock, Instant};

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that is handed to all else")]
    fn now(&self) -> Instant {
        Instant::from_timestamp(jiff::Timestamp::now())
    }
}

pub(crate) fn now() -> Instant {
    SystemClock.now()
}
