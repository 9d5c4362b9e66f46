//! What came before in one import: which keys may be among the chunks that were written, so that few need be
//! looked for, and how often each content of a row without a key has come.

use std::ops::Range;

use crate::admission::Prepared;
use crate::fingerprint::{Fingerprint, occurrence};
use crate::order::sort_spread;

/// Chunks that one filter is for.
const FILTER_CHUNKS: usize = 16;
/// Bits that a filter has for each key; fewer than one in a hundred of others pass it.
const KEY_BITS: usize = 16;

#[derive(Debug)]
pub(super) struct Seen {
    chunk_rows: usize,
    filters: Vec<Filter>,
    chunks: usize,
    /// Of each chunk: the first 64 bits of the contents of its rows without a key, ascending.
    contents: Vec<Vec<u64>>,
}

/// Tells of most keys that did not come that they did not. Its words are in the order of the keys, so that a
/// sorted chunk passes through it once.
#[derive(Debug)]
struct Filter {
    words: Vec<u64>,
    shift: u32,
}

impl Filter {
    fn new(keys: usize) -> Self {
        let words = (keys * KEY_BITS / 64).next_power_of_two().max(2);
        Self { words: vec![0; words], shift: u64::BITS - words.trailing_zeros() }
    }

    fn bits(prefix: u64) -> u64 {
        1 << (prefix & 63) | 1 << (prefix >> 6 & 63) | 1 << (prefix >> 12 & 63)
    }

    fn word(&self, prefix: u64) -> usize {
        usize::try_from(prefix >> self.shift).unwrap_or(0)
    }

    fn add(&mut self, prefix: u64) {
        let word = self.word(prefix);
        self.words[word] |= Self::bits(prefix);
    }

    fn may_have(&self, prefix: u64) -> bool {
        let bits = Self::bits(prefix);
        self.words[self.word(prefix)] & bits == bits
    }
}

/// Keys, each with its row.
type Keys = Vec<(Fingerprint, u32)>;

fn prefix(fingerprint: Fingerprint) -> u64 {
    (fingerprint >> 64) as u64
}

impl Seen {
    pub(super) fn new(chunk_rows: usize) -> Self {
        Self { chunk_rows, filters: Vec::new(), chunks: 0, contents: Vec::new() }
    }

    /// Turns the contents' hashes of a chunk's rows into fingerprints of these very occurrences: two rows that
    /// differ and share 64 bits are told apart still, and numbered as one.
    pub(super) fn number(&mut self, chunk: &mut [Prepared]) {
        let mut rows: Vec<(u64, u32, u32)> = Vec::new();
        for (batch, prepared) in (0..).zip(chunk.iter()) {
            let fingerprints = &prepared.hashes.fingerprints;
            rows.extend(
                prepared.hashes.keyless.iter().map(|&row| (prefix(fingerprints[row as usize]), batch, row)),
            );
        }
        let rows = sort_spread(rows, |(prefix, _, _)| *prefix);
        let mut places = vec![0; self.contents.len()];
        for same in rows.chunk_by(|a, b| a.0 == b.0) {
            let earlier = self.count(same[0].0, &mut places);
            if earlier == 0 && same.len() == 1 {
                continue;
            }
            for (number, &(_, batch, row)) in (earlier..).zip(same) {
                let contents = &mut chunk[batch as usize].hashes.fingerprints[row as usize];
                *contents = occurrence(*contents, number);
            }
        }
        // Not collected, which would keep the memory of the rows.
        let mut contents = Vec::with_capacity(rows.len());
        contents.extend(rows.iter().map(|(prefix, _, _)| *prefix));
        self.contents.push(contents);
    }

    /// How often contents came in earlier chunks. They are asked for in ascending order: no chunk has any before the
    /// place where the last were looked for.
    fn count(&self, prefix: u64, places: &mut [usize]) -> u32 {
        let of_filters = self.contents.chunks(FILTER_CHUNKS).zip(places.chunks_mut(FILTER_CHUNKS));
        let mut count = 0;
        for (filter, (chunks, places)) in self.filters.iter().zip(of_filters) {
            if !filter.may_have(prefix) {
                continue;
            }
            for (sorted, place) in chunks.iter().zip(places) {
                *place = seek(sorted, *place, prefix);
                count += sorted[*place..].iter().take_while(|own| **own == prefix).count();
            }
        }
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Of sorted keys those that may be in earlier chunks, and in which. Rows without a key have none there: they are
    /// numbered.
    pub(super) fn candidates(&self, by_key: &[(Fingerprint, u32)]) -> Vec<(Range<usize>, Keys)> {
        let of_filter = |(index, filter): (usize, &Filter)| {
            let chunks = index * FILTER_CHUNKS..((index + 1) * FILTER_CHUNKS).min(self.chunks);
            let keys = by_key.iter().filter(|(key, _)| filter.may_have(prefix(*key)));
            (chunks, keys.copied().collect())
        };
        self.filters.iter().enumerate().map(of_filter).collect()
    }

    /// The next chunk has these keys; `None`: it has only rows without.
    pub(super) fn add(&mut self, by_key: Option<&[(Fingerprint, u32)]>) {
        if self.chunks.is_multiple_of(FILTER_CHUNKS) {
            self.filters.push(Filter::new(self.chunk_rows.saturating_mul(FILTER_CHUNKS)));
        }
        self.chunks += 1;
        if let Some(filter) = self.filters.last_mut() {
            by_key.into_iter().flatten().for_each(|(key, _)| filter.add(prefix(*key)));
            self.contents.iter().rev().take(1).flatten().for_each(|contents| filter.add(*contents));
        }
    }
}

/// The first place from one on that is not below, searched in steps that double.
fn seek(sorted: &[u64], from: usize, wanted: u64) -> usize {
    let (mut low, mut step) = (from, 1);
    while sorted.get(low + step).is_some_and(|own| *own < wanted) {
        low += step;
        step *= 2;
    }
    let high = (low + step).min(sorted.len());
    low + sorted[low..high].partition_point(|own| *own < wanted)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::RecordBatch;
    use arrow::datatypes::Schema;

    use super::*;
    use crate::admission::RowTenants;
    use crate::fingerprint::RowHashes;

    fn chunk(fingerprints: &[u128]) -> Prepared {
        let keyless = (0..).take(fingerprints.len()).collect();
        let hashes = RowHashes { fingerprints: fingerprints.to_vec(), contents: Vec::new(), keyless };
        let rows = RecordBatch::new_empty(Arc::new(Schema::empty()));
        let (tenants, caller) = (RowTenants::default(), None);
        let (origins, parents, rejected) = (Vec::new(), Vec::new(), Vec::new());
        Prepared { rows, origins, tenants, hashes, parents, caller, rejected }
    }

    #[test]
    fn repeats_are_numbered_through_all_chunks() {
        let row = |n: u128| n << 64;
        let mut seen = Seen::new(4);
        let mut check = |given: [Vec<u128>; 2], want: [Vec<u128>; 2]| {
            let mut chunk = given.map(|rows| chunk(&rows));
            seen.number(&mut chunk);
            let mut keys: Vec<(u128, u32)> = Vec::new();
            for (batch, want) in chunk.iter().zip(want) {
                assert_eq!(batch.hashes.fingerprints, want);
                keys.extend(batch.hashes.fingerprints.iter().map(|key| (*key, 0)));
            }
            keys.sort_unstable();
            let candidates = seen.candidates(&keys);
            seen.add(Some(&keys));
            candidates.into_iter().flat_map(|(_, keys)| keys).map(|(key, _)| key).collect::<Vec<_>>()
        };
        check([vec![row(1), row(2)], vec![row(1)]], [vec![row(1), row(2)], vec![row(1) + 1]]);
        for _ in 0..40 {
            check([vec![], vec![]], [vec![], vec![]]);
        }
        let again = check([vec![row(1)], vec![row(3), row(1)]], [vec![row(1) + 2], vec![row(3), row(1) + 3]]);
        assert!(again.contains(&(row(1) + 2)) && again.contains(&(row(1) + 3)));
    }
}
