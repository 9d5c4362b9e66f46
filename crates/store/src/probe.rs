//! Which words on keys are still needed to kill older rows in other segments.

use std::sync::Arc;

use crate::fingerprint::Fingerprint;
use crate::segment::{EntryPlace, KeyEntry, Segment};

/// Drops tombstones that have nothing left to kill in `others`, and the marks of rows likewise. `entries`
/// ascend, and nothing in memory is older than they are: an import begins with a flush and keeps others
/// from its table.
pub(crate) fn older_elsewhere<E>(
    entries: &mut Vec<E>,
    entry_of: impl Fn(&mut E) -> &mut KeyEntry,
    others: &[Arc<Segment>],
) {
    let overriding: Vec<(Fingerprint, u64)> = entries
        .iter_mut()
        .map(&entry_of)
        .filter(|entry| entry.place.is_overriding())
        .map(|entry| (entry.fingerprint, entry.sequence))
        .collect();
    if overriding.is_empty() {
        return;
    }
    let mut needed = vec![false; overriding.len()];
    for segment in others {
        segment.keys.matches(
            &overriding,
            |(fingerprint, _)| fingerprint,
            |position, entry| {
                needed[position] |= entry.sequence < overriding[position].1;
            },
        );
    }
    let mut needed = needed.into_iter();
    entries.retain_mut(|entry| {
        let entry = entry_of(entry);
        if !entry.place.is_overriding() || needed.next() == Some(true) {
            return true;
        }
        match entry.place {
            EntryPlace::Tombstone => false,
            EntryPlace::Row { row, .. } => {
                entry.place = EntryPlace::Row { row, overrides: false };
                true
            }
        }
    });
}
