//! Names of rows whose senders give them none.

use std::sync::atomic::{AtomicU64, Ordering};

use ebbtide_model::Instant;
use xxhash_rust::xxh3::xxh3_128;

/// Makes names that differ from each other, from those of other processes by their seed, and from those of
/// an earlier run by the moment.
#[derive(Debug)]
pub(crate) struct RowIds {
    seed: u64,
    next: AtomicU64,
}

impl RowIds {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, next: AtomicU64::new(0) }
    }

    /// 32 digits and letters.
    pub(crate) fn next(&self, now: Instant) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut bytes = [0; 24];
        for (place, part) in bytes.chunks_exact_mut(8).zip([
            self.seed.to_le_bytes(),
            number.to_le_bytes(),
            now.micros().to_le_bytes(),
        ]) {
            place.copy_from_slice(&part);
        }
        format!("{:032x}", xxh3_128(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rows_have_one_name() {
        let now = Instant::from_micros(1);
        let ids = RowIds::new(7);
        let first = ids.next(now);
        assert_eq!(first.len(), 32);
        assert_ne!(first, ids.next(now));
        // Another process, and the same one started anew.
        assert_ne!(first, RowIds::new(8).next(now));
        assert_ne!(first, RowIds::new(7).next(Instant::from_micros(2)));
    }
}
