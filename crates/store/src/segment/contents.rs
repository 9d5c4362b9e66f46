//! What a key file has of rows without a key: the hash of their contents, by which a file that is loaded
//! again is known, and whose they are. Sorted and packed, for there may be one of each event. Laid out in
//! `docs/formats.md`, which says why 80 bits of the hash are enough.

use bytes::{BufMut, Bytes};

use crate::fingerprint::{Fingerprint, OCCURRENCE_BITS};

/// Entries that are packed together.
const BLOCK_ENTRIES: usize = 256;
/// Of a block in the index: its lowest prefix (8) and where it begins, in words (4).
const INDEX_ENTRY_BYTES: usize = 12;
/// Bits of the hash behind its first 64.
const REST_BITS: u32 = 16;

/// A row without a key, which goes only with all that its tenant has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ContentEntry {
    pub(crate) fingerprint: Fingerprint,
    /// Whose it is, as a place in the segment's directory.
    pub(crate) owner: u32,
}

impl ContentEntry {
    fn parts(self) -> Parts {
        Parts { kept: Kept::of(self.fingerprint), owner: self.owner }
    }
}

/// What is kept of a fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kept {
    /// Its first 64 bits, by which entries ascend.
    prefix: u64,
    rest: u16,
    occurrence: u32,
}

struct Parts {
    kept: Kept,
    owner: u32,
}

impl Kept {
    fn of(fingerprint: Fingerprint) -> Self {
        let [a, b, c, d, e, f, g, h, rest @ ..] = fingerprint.to_be_bytes();
        let [i, j, _, _, o, p, q, r] = rest;
        Self {
            prefix: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            rest: u16::from_be_bytes([i, j]),
            occurrence: u32::from_be_bytes([o, p, q, r]),
        }
    }

    fn fingerprint(self) -> Fingerprint {
        let rest = u128::from(self.rest) << (u64::BITS - REST_BITS);
        u128::from(self.prefix) << u64::BITS | rest | u128::from(self.occurrence)
    }
}

/// Packs entries behind one another.
#[derive(Debug, Default)]
pub(super) struct ContentWriter {
    pending: Vec<ContentEntry>,
    index: Vec<u8>,
    words: u32,
    entries: u32,
}

impl ContentWriter {
    /// Adds an entry whose fingerprint is not below the one before.
    pub(super) fn push(&mut self, entry: ContentEntry, into: &mut Vec<u8>) {
        self.pending.push(entry);
        self.entries += 1;
        if self.pending.len() == BLOCK_ENTRIES {
            self.end_block(into);
        }
    }

    fn end_block(&mut self, into: &mut Vec<u8>) {
        let entries = std::mem::take(&mut self.pending);
        let Some(first) = entries.first() else { return };
        let base = first.parts().kept.prefix;
        self.index.put_u64_le(base);
        self.index.put_u32_le(self.words);
        let words = pack(base, &entries);
        self.words += u32::try_from(words.len()).unwrap_or(u32::MAX);
        words.iter().for_each(|word| into.put_u64_le(*word));
    }

    /// Ends the last block and adds the index; how many entries there are.
    pub(super) fn finish(mut self, into: &mut Vec<u8>) -> u32 {
        self.end_block(into);
        into.append(&mut self.index);
        self.entries
    }
}

/// A block: a word that says how the others are laid out; the upper bits of each prefix, as many zeros as it
/// is above the one before and a one; then for each entry the lower bits, the rest, the owner and the
/// occurrence.
fn pack(base: u64, entries: &[ContentEntry]) -> Vec<u64> {
    let parts: Vec<Parts> = entries.iter().map(|entry| entry.parts()).collect();
    let above = |parts: &Parts| parts.kept.prefix.saturating_sub(base);
    let count = parts.len() as u64;
    let lower_bits =
        parts.last().map_or(0, above).checked_div(count).unwrap_or(0).checked_ilog2().unwrap_or(0);
    let owner_bits = bits_of(parts.iter().map(|parts| parts.owner));
    let occurrence_bits = bits_of(parts.iter().map(|parts| parts.kept.occurrence));
    let mut upper = Bits::default();
    let mut before = 0;
    for parts in &parts {
        let high = above(parts) >> lower_bits;
        upper.skip(high - before);
        upper.put(1, 1);
        before = high;
    }
    let header = count.saturating_sub(1)
        | u64::from(lower_bits) << 8
        | u64::from(owner_bits) << 16
        | u64::from(occurrence_bits) << 24
        | (upper.words.len() as u64) << 32;
    let mut fields = Bits::default();
    for parts in &parts {
        fields.put(above(parts) & mask(lower_bits), lower_bits);
        fields.put(parts.kept.rest.into(), REST_BITS);
        fields.put(parts.owner.into(), owner_bits);
        fields.put(parts.kept.occurrence.into(), occurrence_bits);
    }
    let mut words = vec![header];
    words.append(&mut upper.words);
    words.append(&mut fields.words);
    words
}

fn bits_of(numbers: impl Iterator<Item = u32>) -> u32 {
    u32::BITS - numbers.max().unwrap_or(0).leading_zeros()
}

fn mask(bits: u32) -> u64 {
    1_u64.checked_shl(bits).map_or(u64::MAX, |above| above - 1)
}

/// Numbers of any width behind one another, from the lowest bit on.
#[derive(Debug, Default)]
struct Bits {
    words: Vec<u64>,
    length: u64,
}

impl Bits {
    fn skip(&mut self, bits: u64) {
        self.length += bits;
        self.words.resize(usize::try_from(self.length.div_ceil(64)).unwrap_or(usize::MAX), 0);
    }

    fn put(&mut self, number: u64, bits: u32) {
        let (word, shift) = (usize::try_from(self.length / 64).unwrap_or(usize::MAX), self.length % 64);
        self.skip(bits.into());
        if let Some(word) = self.words.get_mut(word) {
            *word |= number << shift;
        }
        if shift > 0
            && let Some(next) = self.words.get_mut(word + 1)
        {
            *next |= number >> (64 - shift);
        }
    }
}

/// The packed entries of a key file, mapped into memory.
#[derive(Debug)]
pub(super) struct ContentKeys {
    packed: Bytes,
    index: Bytes,
    entries: usize,
}

impl ContentKeys {
    /// `None` where the parts do not add up.
    pub(super) fn new(bytes: &Bytes, entries: usize) -> Option<Self> {
        let index = entries.div_ceil(BLOCK_ENTRIES).checked_mul(INDEX_ENTRY_BYTES)?;
        let packed = bytes.len().checked_sub(index)?;
        Some(Self { packed: bytes.slice(..packed), index: bytes.slice(packed..), entries })
    }

    pub(super) fn len(&self) -> usize {
        self.entries
    }

    fn blocks(&self) -> usize {
        self.index.len() / INDEX_ENTRY_BYTES
    }

    fn base(&self, block: usize) -> u64 {
        word_at(&self.index, block * INDEX_ENTRY_BYTES)
    }

    fn block(&self, block: usize) -> Block<'_> {
        let mut start = [0; 4];
        let place = block * INDEX_ENTRY_BYTES + 8;
        if let Some(bytes) = self.index.get(place..place + 4) {
            start.copy_from_slice(bytes);
        }
        let start = (u32::from_le_bytes(start) as usize).saturating_mul(8);
        let words = self.packed.get(start..).unwrap_or_default();
        Block { base: self.base(block), header: word_at(words, 0), words }
    }

    /// The entries, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = ContentEntry> + '_ {
        (0..self.blocks()).flat_map(move |block| {
            let block = self.block(block);
            let mut prefixes = Vec::new();
            block.prefixes(&mut prefixes);
            prefixes.into_iter().enumerate().map(move |(place, prefix)| block.entry(place, prefix))
        })
    }

    /// Calls `found` with the position in `sorted` and the owner of each fingerprint that is here.
    pub(super) fn matches<K: Copy>(
        &self,
        sorted: &[K],
        fingerprint: impl Fn(K) -> Fingerprint,
        mut found: impl FnMut(usize, u32),
    ) {
        let (mut current, mut prefixes) = (None, Vec::with_capacity(BLOCK_ENTRIES));
        let mut from = 0;
        for (position, key) in sorted.iter().enumerate() {
            let wanted = Kept::of(fingerprint(*key));
            from = self.seek(from, wanted.prefix);
            let mut block = from;
            while block < self.blocks() && self.base(block) <= wanted.prefix {
                let packed = self.block(block);
                if current.replace(block) != Some(block) {
                    packed.prefixes(&mut prefixes);
                }
                let first = prefixes.partition_point(|prefix| *prefix < wanted.prefix);
                let same = prefixes[first..].iter().take_while(|prefix| **prefix == wanted.prefix).count();
                let entries = (first..first + same).map(|place| packed.parts(place, wanted.prefix));
                if let Some(entry) = entries.into_iter().find(|parts| parts.kept == wanted) {
                    found(position, entry.owner);
                    break;
                }
                if first + same < prefixes.len() {
                    break;
                }
                block += 1;
            }
        }
    }

    /// The first block from `from` on that may have this prefix, searched in steps that double.
    fn seek(&self, from: usize, prefix: u64) -> usize {
        let is_below = |block: usize| block < self.blocks() && self.base(block) < prefix;
        let (mut low, mut step) = (from, 1);
        while is_below(low + step) {
            low += step;
            step *= 2;
        }
        // `low` is below, or the first one; `high` is not.
        let mut high = (low + step).min(self.blocks());
        while low + 1 < high {
            let middle = low.midpoint(high);
            if is_below(middle) { low = middle } else { high = middle }
        }
        low
    }
}

fn word_at(bytes: &[u8], place: usize) -> u64 {
    let mut word = [0; 8];
    if let Some(bytes) = place.checked_add(8).and_then(|end| bytes.get(place..end)) {
        word.copy_from_slice(bytes);
    }
    u64::from_le_bytes(word)
}

/// Damaged bytes make other entries of it, and harm nothing else.
#[derive(Clone, Copy)]
struct Block<'a> {
    base: u64,
    header: u64,
    words: &'a [u8],
}

impl Block<'_> {
    fn width(&self, shift: u32) -> u32 {
        let [width, ..] = (self.header >> shift).to_le_bytes();
        u32::from(width).min(u64::BITS)
    }

    fn len(&self) -> usize {
        let [last, ..] = self.header.to_le_bytes();
        usize::from(last) + 1
    }

    fn upper_words(&self) -> usize {
        usize::try_from(self.header >> 32).unwrap_or(usize::MAX).min(self.words.len() / 8)
    }

    fn number(&self, first_word: usize, place: usize, bits: u32) -> u64 {
        let (word, shift) = (first_word + place / 64, place % 64);
        let mut number = word_at(self.words, word * 8) >> shift;
        if shift > 0 && shift + bits as usize > 64 {
            number |= word_at(self.words, (word + 1) * 8) << (64 - shift);
        }
        number & mask(bits)
    }

    fn entry_bits(&self) -> usize {
        (self.width(8) + REST_BITS + self.width(16) + self.width(24)) as usize
    }

    fn prefixes(&self, into: &mut Vec<u64>) {
        into.clear();
        let (lower_bits, entry_bits, fields) = (self.width(8), self.entry_bits(), 1 + self.upper_words());
        for upper in 0..self.upper_words() {
            let mut word = word_at(self.words, (1 + upper) * 8);
            while word != 0 && into.len() < self.len() {
                let place = upper * 64 + word.trailing_zeros() as usize;
                let high = (place - into.len().min(place)) as u64;
                let low = self.number(fields, into.len() * entry_bits, lower_bits);
                let above = high.checked_shl(lower_bits).unwrap_or(0) | low;
                into.push(self.base.wrapping_add(above));
                word &= word - 1;
            }
        }
    }

    fn parts(&self, entry: usize, prefix: u64) -> Parts {
        let fields = 1 + self.upper_words();
        let mut place = entry * self.entry_bits() + self.width(8) as usize;
        let mut next = |bits: u32| {
            let number = self.number(fields, place, bits);
            place += bits as usize;
            u32::try_from(number & mask(u32::BITS)).unwrap_or(0)
        };
        let [low, high, ..] = next(REST_BITS).to_le_bytes();
        let owner = next(self.width(16));
        let occurrence = next(self.width(24));
        Parts { kept: Kept { prefix, rest: u16::from_le_bytes([low, high]), occurrence }, owner }
    }

    fn entry(&self, place: usize, prefix: u64) -> ContentEntry {
        let parts = self.parts(place, prefix);
        ContentEntry { fingerprint: parts.kept.fingerprint(), owner: parts.owner }
    }
}

const _: () = assert!(OCCURRENCE_BITS == u32::BITS, "an occurrence is the low half of the low 64 bits");

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn packed(entries: &[ContentEntry]) -> ContentKeys {
        let (mut writer, mut bytes) = (ContentWriter::default(), Vec::new());
        entries.iter().for_each(|entry| writer.push(*entry, &mut bytes));
        let count = writer.finish(&mut bytes);
        ContentKeys::new(&Bytes::from(bytes), count as usize).unwrap()
    }

    /// What is kept of a fingerprint, as one.
    fn kept(fingerprint: u128) -> u128 {
        Kept::of(fingerprint).fingerprint()
    }

    proptest! {
        #[test]
        fn packed_entries_are_found_and_others_are_not(
            prefixes in vec(prop_oneof![any::<u64>(), 0_u64..9, Just(u64::MAX)], 0..900),
            owners in 1_u32..400,
            asked in vec((any::<u64>(), any::<u16>(), 0_u32..3), 0..50),
        ) {
            let mut entries: Vec<ContentEntry> = prefixes
                .iter()
                .enumerate()
                .map(|(number, &prefix)| {
                    let rest = (number as u16).wrapping_mul(40_503);
                    let kept = Kept { prefix, rest, occurrence: number as u32 % 3 };
                    ContentEntry { fingerprint: kept.fingerprint(), owner: number as u32 % owners }
                })
                .collect();
            entries.sort_unstable();
            entries.dedup_by_key(|entry| entry.fingerprint);
            let keys = packed(&entries);
            prop_assert_eq!(keys.len(), entries.len());
            prop_assert_eq!(keys.iter().collect::<Vec<_>>(), entries.clone());
            let asked = asked.into_iter().map(|(prefix, rest, occurrence)| Kept { prefix, rest, occurrence }.fingerprint());
            let mut wanted: Vec<u128> = entries.iter().map(|entry| entry.fingerprint).step_by(3).chain(asked).collect();
            wanted.sort_unstable();
            let mut found = Vec::new();
            keys.matches(&wanted, |key| key, |position, owner| found.push((wanted[position], owner)));
            let expected: Vec<(u128, u32)> = wanted
                .iter()
                .filter_map(|key| entries.iter().find(|entry| entry.fingerprint == kept(*key)))
                .map(|entry| (entry.fingerprint, entry.owner))
                .collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn damaged_bytes_are_read_without_harm(bytes in vec(any::<u8>(), 0..400), entries in 0_usize..300) {
            let Some(keys) = ContentKeys::new(&Bytes::from(bytes), entries) else { return Ok(()) };
            let all: Vec<u128> = keys.iter().map(|entry| entry.fingerprint).collect();
            let mut sorted = all;
            sorted.sort_unstable();
            keys.matches(&sorted, |key| key, |_, _| ());
        }
    }

    #[test]
    fn an_entry_of_a_hundred_thousand_takes_nine_bytes() {
        let mut hash = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            hash = hash.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            hash ^ hash >> 31
        };
        let fingerprint = |prefix: u64, rest: u64| u128::from(prefix) << 64 | u128::from(rest >> 32 << 32);
        let mut entries: Vec<ContentEntry> = (0..100_000)
            .map(|row| ContentEntry { fingerprint: fingerprint(next(), next()), owner: row % 20 })
            .collect();
        entries.sort_unstable();
        let keys = packed(&entries);
        // Of ten million it is seven bits less.
        let bits = (keys.packed.len() + keys.index.len()) * 8;
        assert!(bits < 100_000 * 9 * 8, "{bits}");
    }
}
