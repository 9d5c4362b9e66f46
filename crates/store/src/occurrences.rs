//! How often the same contents have come in one file: what tells the honest repeats of a table without
//! a key from a file that is loaded again.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use crate::fingerprint::{Fingerprint, Keyless, occurrence};

/// Counts the repeats in one file. Clones share the count, so that a file that comes in several batches
/// is counted as one.
#[derive(Clone, Debug)]
pub struct Occurrences {
    /// `None`: each row is one of its own.
    seen: Option<Arc<Mutex<Seen>>>,
}

/// The first 64 bits of each row's hash. Two rows that differ and share them are told apart still; the
/// second one is numbered as a repeat, in this file and whenever it is loaded again.
#[derive(Debug, Default)]
struct Seen {
    /// Contents that came once.
    once: hashbrown::HashSet<u64, BuildHasherDefault<AsItIs>>,
    /// Contents that came again, and how often.
    repeats: HashMap<u64, u32>,
}

impl Occurrences {
    /// Of a file that begins now.
    pub fn new() -> Self {
        Self { seen: Some(Arc::default()) }
    }

    /// Of no file: a row without a key is always a new one. Not for an import.
    pub fn uncounted() -> Self {
        Self { seen: None }
    }

    /// What tells rows without a key apart.
    pub(crate) fn keyless(&self) -> Keyless {
        if self.seen.is_some() { Keyless::Contents } else { Keyless::Arrival }
    }

    /// Turns the hashes of these rows' contents into fingerprints of these very occurrences; false where
    /// they are not counted.
    pub(crate) fn number(&self, fingerprints: &mut [Fingerprint], keyless: &[u32]) -> bool {
        let Some(seen) = &self.seen else { return false };
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        for &row in keyless {
            let contents = &mut fingerprints[row as usize];
            *contents = occurrence(*contents, seen.next(*contents));
        }
        true
    }
}

impl Default for Occurrences {
    fn default() -> Self {
        Self::new()
    }
}

impl Seen {
    fn next(&mut self, contents: Fingerprint) -> u32 {
        let prefix = (contents >> 64) as u64;
        if self.once.insert(prefix) {
            return 0;
        }
        let repeats = self.repeats.entry(prefix).or_default();
        *repeats = repeats.saturating_add(1);
        *repeats
    }
}

/// Hashes are hashed by nothing more.
#[derive(Debug, Default)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_le_bytes(word);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write_u128(&mut self, hash: u128) {
        let upper = (hash >> 64) as u64;
        self.0 = upper;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_numbered_through_all_batches_of_a_file() {
        let row = |n: u128| n << 64;
        let file = Occurrences::new();
        let mut first = [row(1), row(2), row(1)];
        file.number(&mut first, &[0, 1, 2]);
        assert_eq!(first, [row(1), row(2), row(1) + 1]);
        let mut second = [row(1), row(3)];
        file.clone().number(&mut second, &[0, 1]);
        assert_eq!(second, [row(1) + 2, row(3)]);
        let mut other_file = [row(1)];
        Occurrences::new().number(&mut other_file, &[0]);
        assert_eq!(other_file, [row(1)]);
    }
}
