//! What the server writes to its log, kept to be looked at.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing_subscriber::EnvFilter;

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());
/// Bytes since the start.
static WRITTEN: AtomicUsize = AtomicUsize::new(0);
static STARTED: OnceLock<()> = OnceLock::new();

struct Kept;

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        WRITTEN.fetch_add(bytes.len(), Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Everything from now on: more than an operator would have it tell.
pub(crate) fn keep() {
    STARTED.get_or_init(|| {
        let filter = EnvFilter::new(
            "info,ebbtide=debug,ebbtide_server=debug,ebbtide_engine=debug,ebbtide_store=debug",
        );
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(|| Kept).init();
    });
}

/// Whether anything was written since the start, taken or not.
pub(crate) fn has_any() -> bool {
    WRITTEN.load(Ordering::Relaxed) > 0
}

/// What was written since the last time.
pub(crate) fn taken() -> Vec<u8> {
    std::mem::take(&mut LINES.lock().unwrap_or_else(PoisonError::into_inner))
}
