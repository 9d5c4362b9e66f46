//! Which rows of a table wait for which parent, in memory. The rows themselves lie in a table of their
//! own, beside the one they are for, and this is found again by reading it.
//!
//! A row that a tenant's own writer has sent waits for a parent of that tenant only: it carries the
//! tenant as its *claim*. So such a writer learns nothing of what parents others have.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use crate::fingerprint::Fingerprint;
use crate::occurrences::AsItIs;
use crate::owners::{Owner, Owners};

type ByKey<V> = hashbrown::HashMap<Fingerprint, V, BuildHasherDefault<AsItIs>>;

/// Lists of rows are cleared of those that have gone once these are so many more than the others.
const GONE_MIN: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Waiting {
    rows: ByKey<WaitingRow>,
    /// Rows that wait for the same, by [`awaited`]. Some may have gone since.
    lists: ByKey<Vec<Fingerprint>>,
    /// Entries of the lists whose row has gone, or waits for another parent now.
    gone: usize,
    claims: Owners,
    rows_by_claim: HashMap<Owner, usize>,
    bytes: usize,
}

/// What a row waits for.
#[derive(Clone, Copy, Debug)]
struct WaitingRow {
    awaited: Fingerprint,
    claim: Owner,
    bytes: usize,
}

/// A parent's key, as rows wait for it: `claim` is the salt of the tenant that the parent has to be of, 0
/// where that may be any.
pub(crate) fn awaited(parent: Fingerprint, claim: Fingerprint) -> Fingerprint {
    parent ^ claim
}

impl Waiting {
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// What the rows take in memory, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn contains(&self, row: Fingerprint) -> bool {
        self.rows.contains_key(&row)
    }

    /// The rows of this claim; the empty one is of rows that anybody may own.
    pub(crate) fn rows_of(&self, claim: &str) -> usize {
        self.claims.known(claim).and_then(|claim| self.rows_by_claim.get(&claim)).copied().unwrap_or(0)
    }

    /// What a row waits for, and its claim.
    pub(crate) fn of(&self, row: Fingerprint) -> Option<(Fingerprint, &Arc<str>)> {
        let waiting = self.rows.get(&row)?;
        Some((waiting.awaited, self.claims.name(waiting.claim)?))
    }

    /// All rows, each with what it waits for and its claim.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Fingerprint, Fingerprint, &Arc<str>)> {
        self.rows
            .iter()
            .filter_map(|(row, waiting)| Some((*row, waiting.awaited, self.claims.name(waiting.claim)?)))
    }

    /// A row waits from now on, or waits for another parent than before.
    pub(crate) fn add(&mut self, row: Fingerprint, awaited: Fingerprint, claim: &Arc<str>, bytes: usize) {
        let claim = self.claims.number(claim);
        match self.rows.insert(row, WaitingRow { awaited, claim, bytes }) {
            Some(before) => {
                self.bytes = self.bytes.saturating_sub(before.bytes);
                if before.awaited == awaited {
                    self.bytes += bytes;
                    return;
                }
                self.gone += 1;
            }
            None => *self.rows_by_claim.entry(claim).or_default() += 1,
        }
        self.bytes += bytes;
        self.lists.entry(awaited).or_default().push(row);
    }

    /// The rows that wait for this.
    pub(crate) fn list(&self, awaited: Fingerprint) -> Vec<Fingerprint> {
        let Some(list) = self.lists.get(&awaited) else { return Vec::new() };
        let is_here = |row: &Fingerprint| self.rows.get(row).is_some_and(|row| row.awaited == awaited);
        let mut list: Vec<Fingerprint> = list.iter().copied().filter(is_here).collect();
        list.sort_unstable();
        list.dedup();
        list
    }

    /// Rows wait no more.
    pub(crate) fn remove(&mut self, rows: &[Fingerprint]) {
        for row in rows {
            let Some(gone) = self.rows.remove(row) else { continue };
            self.bytes = self.bytes.saturating_sub(gone.bytes);
            self.gone += 1;
            if let Some(rows) = self.rows_by_claim.get_mut(&gone.claim) {
                *rows = rows.saturating_sub(1);
            }
        }
        if self.gone > self.rows.len() + GONE_MIN {
            self.rebuild_lists();
        }
    }

    /// The rows of this claim wait no more; without one none do.
    pub(crate) fn clear(&mut self, claim: Option<&str>) {
        let Some(claim) = claim else {
            *self = Self::default();
            return;
        };
        let Some(claim) = self.claims.known(claim) else { return };
        let rows: Vec<Fingerprint> =
            self.rows.iter().filter(|(_, row)| row.claim == claim).map(|(row, _)| *row).collect();
        self.remove(&rows);
    }

    fn rebuild_lists(&mut self) {
        self.lists.clear();
        self.gone = 0;
        for (row, waiting) in &self.rows {
            self.lists.entry(waiting.awaited).or_default().push(*row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(text: &str) -> Arc<str> {
        Arc::from(text)
    }

    #[test]
    fn rows_are_listed_by_what_they_wait_for_now() {
        let mut waiting = Waiting::default();
        waiting.add(1, 100, &claim(""), 10);
        waiting.add(2, 100, &claim(""), 10);
        waiting.add(3, 200, &claim("a"), 10);
        waiting.add(2, 200, &claim(""), 5);
        assert_eq!((waiting.list(100), waiting.list(200), waiting.list(300)), (vec![1], vec![2, 3], vec![]));
        assert_eq!((waiting.len(), waiting.bytes(), waiting.rows_of("a")), (3, 25, 1));
        waiting.remove(&[1, 3, 9]);
        waiting.add(1, 100, &claim(""), 1);
        assert_eq!((waiting.list(100), waiting.list(200)), (vec![1], vec![2]));
        waiting.clear(Some("a"));
        assert_eq!(waiting.len(), 2);
        waiting.clear(None);
        assert!(waiting.is_empty() && waiting.bytes() == 0 && waiting.list(100).is_empty());
    }

    #[test]
    fn lists_do_not_grow_with_rows_that_come_and_go() {
        let mut waiting = Waiting::default();
        for _ in 0..10 * GONE_MIN {
            waiting.add(1, 100, &claim(""), 10);
            waiting.remove(&[1]);
        }
        assert!(waiting.lists.values().map(Vec::len).sum::<usize>() <= 2 * GONE_MIN);
        assert_eq!((waiting.rows_of(""), waiting.bytes()), (0, 0));
    }
}
