//! Which words on keys are still needed to kill older rows in other segments.

use std::sync::Arc;

use crate::fingerprint::Fingerprint;
use crate::segment::{EntryPlace, KeyEntry, Segment};

/// Drops tombstones that have nothing left to kill in `others`, and the marks of rows likewise. Entries
/// from `uncertain_from` on keep theirs: what is older than them may be in memory still. `entries`
/// ascend.
pub(crate) fn older_elsewhere(entries: &mut Vec<KeyEntry>, others: &[Arc<Segment>], uncertain_from: u64) {
    let overriding: Vec<(Fingerprint, u64)> = entries
        .iter()
        .filter(|entry| entry.place.is_overriding())
        .map(|entry| (entry.fingerprint, entry.sequence))
        .collect();
    if overriding.is_empty() {
        return;
    }
    let mut needed: Vec<bool> = overriding.iter().map(|(_, sequence)| *sequence >= uncertain_from).collect();
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
