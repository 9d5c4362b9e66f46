//! The key file beside a segment's rows: its fingerprints, sorted, so that new keys are checked by one
//! merge, those of rows without a key apart from the others; whose rows are where; and the checksums of
//! both files. Laid out in `docs/formats.md`.

use std::path::PathBuf;

use bytes::{Buf, BufMut, Bytes};

use super::Lifetime;
use super::blocks::{BlockWriter, Blocks, Damage};
use super::contents::{ContentEntry, ContentKeys, ContentWriter};
use crate::StoreError;
use crate::directory::Directory;
use crate::fingerprint::Fingerprint;

const MAGIC: &[u8; 8] = b"EBBTKEYS";
pub(super) const VERSION: u32 = 3;
/// Its directory has no arrival numbers. Version 2 has rows without a key among the others.
const VERSION_WITHOUT_NUMBERS: u32 = 1;
const FOOTER_BYTES: usize = 64;
const FOOTER_PADDING_BYTES: usize = 4;
/// Fingerprint, sequence, row.
const EVENT_ENTRY_BYTES: usize = 16 + 8 + 4;
/// And the hash of the contents.
const ENTITY_ENTRY_BYTES: usize = EVENT_ENTRY_BYTES + 8;

/// Entries that are written at a time.
const WRITE_BYTES: usize = 1 << 20;

/// What a segment says of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyEntry {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) sequence: u64,
    pub(crate) place: EntryPlace,
    /// Hash of the row's contents in an entity; 0 for events.
    pub(crate) content: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryPlace {
    Row {
        row: u32,
        /// An older row of this key may be in another segment: it is dead.
        overrides: bool,
    },
    /// The key was deleted: rows of it that are older are dead.
    Tombstone,
}

const TOMBSTONE: u32 = u32::MAX;
const OVERRIDES: u32 = 1 << 31;

impl EntryPlace {
    fn code(self) -> u32 {
        match self {
            Self::Row { row, overrides } => row | if overrides { OVERRIDES } else { 0 },
            Self::Tombstone => TOMBSTONE,
        }
    }

    fn of_code(code: u32) -> Self {
        match code {
            TOMBSTONE => Self::Tombstone,
            code => Self::Row { row: code & !OVERRIDES, overrides: code & OVERRIDES != 0 },
        }
    }

    /// Whether it may kill rows in other segments.
    pub(crate) fn is_overriding(self) -> bool {
        matches!(self, Self::Tombstone | Self::Row { overrides: true, .. })
    }
}

/// Writes a key file, entries first.
#[derive(Debug)]
pub(crate) struct KeyWriter {
    file: BlockWriter,
    buffer: Vec<u8>,
    with_contents: bool,
    entries: u64,
    overriding: u64,
    /// Of rows without a key, behind all other entries.
    contents: ContentWriter,
}

/// What the descriptor of a segment says of its key file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyFileSummary {
    pub(crate) bytes: u64,
    pub(crate) checksum: u32,
    pub(crate) overriding: u64,
}

impl KeyWriter {
    pub(crate) fn new(file: BlockWriter, with_contents: bool) -> Self {
        let contents = ContentWriter::default();
        Self { file, buffer: Vec::new(), with_contents, entries: 0, overriding: 0, contents }
    }

    /// Adds an entry with a greater fingerprint than the one before.
    pub(crate) fn push(&mut self, entry: &KeyEntry) -> Result<(), StoreError> {
        self.buffer.put_u128_le(entry.fingerprint);
        self.buffer.put_u64_le(entry.sequence);
        self.buffer.put_u32_le(entry.place.code());
        if self.with_contents {
            self.buffer.put_u64_le(entry.content);
        }
        self.entries += 1;
        self.overriding += u64::from(entry.place.is_overriding());
        self.write_full_buffer()
    }

    /// Adds a row without a key, after all entries of keys; its fingerprint is not below the one before.
    pub(crate) fn push_content(&mut self, entry: ContentEntry) -> Result<(), StoreError> {
        self.contents.push(entry, &mut self.buffer);
        self.write_full_buffer()
    }

    fn write_full_buffer(&mut self) -> Result<(), StoreError> {
        if self.buffer.len() >= WRITE_BYTES {
            self.file.write(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Ends the file, durable on return save for its name where it is to last.
    pub(crate) fn finish(
        mut self,
        segment: u64,
        directory: &Directory,
        row_checksums: &[u32],
        lifetime: Lifetime,
    ) -> Result<KeyFileSummary, StoreError> {
        let mut tail = std::mem::take(&mut self.buffer);
        let content_entries = self.contents.finish(&mut tail);
        let directory_start = tail.len();
        for ((tenant, rows), (_, last_number)) in directory.iter().zip(directory.last_numbers()) {
            tail.put_u32_le(count(tenant.len())?);
            tail.put_slice(tenant.as_bytes());
            tail.put_u32_le(count(rows.len())?);
            tail.put_u64_le(last_number);
        }
        let directory_bytes = tail.len() - directory_start;
        for checksum in row_checksums {
            tail.put_u32_le(*checksum);
        }
        self.file.write(&tail)?;
        let own_checksums = self.file.checksums();
        let mut end = Vec::new();
        for checksum in &own_checksums {
            end.put_u32_le(*checksum);
        }
        end.put_slice(MAGIC);
        end.put_u32_le(VERSION);
        end.put_u32_le(u32::from(self.with_contents));
        end.put_u64_le(segment);
        end.put_u64_le(self.entries);
        end.put_u64_le(directory_bytes as u64);
        end.put_u32_le(directory.rows());
        end.put_u32_le(count(row_checksums.len())?);
        end.put_u32_le(count(own_checksums.len())?);
        end.put_u32_le(content_entries);
        end.put_bytes(0, FOOTER_PADDING_BYTES);
        let checksum = crc32fast::hash(&end);
        end.put_u32_le(checksum);
        self.file.write(&end)?;
        if lifetime == Lifetime::Lasting {
            self.file.sync()?;
        }
        let bytes = self.file.written();
        Ok(KeyFileSummary { bytes, checksum, overriding: self.overriding })
    }
}

fn count(number: usize) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(|_| StoreError::WrongShape { detail: "a segment is too large".to_owned() })
}

/// A key file, mapped into memory.
#[derive(Debug)]
pub(crate) struct KeyFile {
    blocks: Blocks,
    entries: Bytes,
    entry_bytes: usize,
    contents: ContentKeys,
}

/// The parts of a key file that are read at once.
#[derive(Debug)]
pub(crate) struct OpenKeyFile {
    pub(crate) keys: KeyFile,
    pub(crate) directory: Directory,
    pub(crate) row_checksums: Vec<u32>,
}

/// The end of the file, once its checksum was found right.
struct Footer {
    version: u32,
    with_contents: bool,
    segment: u64,
    entries: u64,
    directory_bytes: u64,
    rows: u32,
    row_checksums: u32,
    own_checksums: u32,
    content_entries: u32,
}

impl OpenKeyFile {
    /// Reads the end of the file and its directory; `checksum` is the footer's, from the manifest.
    pub(crate) fn read(
        path: PathBuf,
        bytes: &Bytes,
        segment: u64,
        checksum: u32,
    ) -> Result<Self, StoreError> {
        let damage = |offset: usize, detail: &str| Damage::new(&path, offset as u64, detail);
        let end = bytes.len();
        let footer_start = end.checked_sub(FOOTER_BYTES).ok_or_else(|| damage(0, "it is cut off"))?;
        let footer = Footer::decode(bytes.slice(footer_start..))
            .ok_or_else(|| damage(footer_start, "its end is not that of a key file"))?;
        let own_start = footer_start.checked_sub(footer.own_checksums as usize * 4);
        let own_start = own_start.ok_or_else(|| damage(footer_start, "its end is not that of a key file"))?;
        let stored = bytes.slice(end - 4..).try_get_u32_le().unwrap_or(0);
        let computed = crc32fast::hash(&bytes[own_start..end - 4]);
        if computed != checksum || stored != checksum || footer.segment != segment {
            return Err(damage(own_start, "its end does not match its checksum").into());
        }
        let own_checksums = read_u32s(bytes.slice(own_start..footer_start));
        let blocks = Blocks::new(path.clone(), bytes.slice(..own_start), own_checksums)?;
        let entry_bytes = if footer.with_contents { ENTITY_ENTRY_BYTES } else { EVENT_ENTRY_BYTES };
        let lengths = (|| {
            let entries = usize::try_from(footer.entries).ok()?.checked_mul(entry_bytes)?;
            let directory = usize::try_from(footer.directory_bytes).ok()?;
            let checksums = footer.row_checksums as usize * 4;
            let directory_start = own_start.checked_sub(checksums)?.checked_sub(directory)?;
            let contents = directory_start.checked_sub(entries)?;
            // Without such entries there is nothing in between.
            (footer.content_entries > 0 || contents == 0).then_some((entries, directory_start, directory))
        })();
        let (entries, directory_start, directory) =
            lengths.ok_or_else(|| damage(footer_start, "its parts do not add up"))?;
        let contents = bytes.slice(entries..directory_start);
        let contents = ContentKeys::new(&contents, footer.content_entries as usize)
            .ok_or_else(|| damage(entries, "its entries do not add up"))?;
        let directory_bytes = blocks.get(directory_start, directory)?;
        let directory = decode_directory(directory_bytes, footer.version)
            .filter(|decoded| decoded.rows() == footer.rows)
            .ok_or_else(|| damage(directory_start, "its directory does not add up"))?;
        let checksums_start = own_start - footer.row_checksums as usize * 4;
        let row_checksums = read_u32s(blocks.get(checksums_start, own_start - checksums_start)?);
        let entries = bytes.slice(..entries);
        let keys = KeyFile { blocks, entries, entry_bytes, contents };
        Ok(Self { keys, directory, row_checksums })
    }
}

impl Footer {
    fn decode(mut bytes: Bytes) -> Option<Self> {
        let mut magic = [0; 8];
        bytes.try_copy_to_slice(&mut magic).ok()?;
        let version = bytes.try_get_u32_le().ok()?;
        if magic != *MAGIC || !(VERSION_WITHOUT_NUMBERS..=VERSION).contains(&version) {
            return None;
        }
        Some(Self {
            version,
            with_contents: bytes.try_get_u32_le().ok()? == 1,
            segment: bytes.try_get_u64_le().ok()?,
            entries: bytes.try_get_u64_le().ok()?,
            directory_bytes: bytes.try_get_u64_le().ok()?,
            rows: bytes.try_get_u32_le().ok()?,
            row_checksums: bytes.try_get_u32_le().ok()?,
            own_checksums: bytes.try_get_u32_le().ok()?,
            // Zero in older versions.
            content_entries: bytes.try_get_u32_le().ok()?,
        })
    }
}

fn read_u32s(mut bytes: Bytes) -> Vec<u32> {
    let mut numbers = Vec::with_capacity(bytes.len() / 4);
    while let Ok(number) = bytes.try_get_u32_le() {
        numbers.push(number);
    }
    numbers
}

fn decode_directory(mut bytes: Bytes, version: u32) -> Option<Directory> {
    let mut directory = Directory::default();
    while bytes.has_remaining() {
        let length = bytes.try_get_u32_le().ok()? as usize;
        if length > bytes.remaining() {
            return None;
        }
        let tenant = bytes.split_to(length);
        let rows = bytes.try_get_u32_le().ok()?;
        let last_number = match version {
            VERSION_WITHOUT_NUMBERS => 0,
            _ => bytes.try_get_u64_le().ok()?,
        };
        directory.push(std::str::from_utf8(&tenant).ok()?, rows, last_number);
    }
    Some(directory)
}

impl KeyFile {
    /// Entries of keys.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() / self.entry_bytes
    }

    /// Entries of rows without a key.
    pub(crate) fn content_len(&self) -> usize {
        self.contents.len()
    }

    /// Entries of rows without a key, ascending.
    pub(crate) fn contents(&self) -> impl Iterator<Item = ContentEntry> + '_ {
        self.contents.iter()
    }

    /// Calls `found` with the position in `sorted`, which ascends, and the owner of each fingerprint that a
    /// row without a key has here.
    pub(crate) fn content_matches<K: Copy>(
        &self,
        sorted: &[K],
        fingerprint: impl Fn(K) -> Fingerprint,
        found: impl FnMut(usize, u32),
    ) {
        self.contents.matches(sorted, fingerprint, found);
    }

    pub(crate) fn fingerprint(&self, index: usize) -> Fingerprint {
        let start = index * self.entry_bytes;
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.entries[start..start + 16]);
        Fingerprint::from_le_bytes(bytes)
    }

    pub(crate) fn entry(&self, index: usize) -> KeyEntry {
        let start = index * self.entry_bytes;
        let mut bytes = &self.entries[start..start + self.entry_bytes];
        KeyEntry {
            fingerprint: bytes.get_u128_le(),
            sequence: bytes.get_u64_le(),
            place: EntryPlace::of_code(bytes.get_u32_le()),
            content: bytes.try_get_u64_le().unwrap_or(0),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = KeyEntry> + '_ {
        (0..self.len()).map(|index| self.entry(index))
    }

    /// Calls `found` with the position in `sorted` and the entry of each fingerprint that is here.
    /// `sorted` ascends; it may be far shorter than the file or longer, either is quick.
    pub(crate) fn matches<K: Copy>(
        &self,
        sorted: &[K],
        fingerprint: impl Fn(K) -> Fingerprint,
        mut found: impl FnMut(usize, KeyEntry),
    ) {
        let sparse = sorted.len().saturating_mul(64) < self.len();
        let mut from = 0;
        for (position, key) in sorted.iter().enumerate() {
            let wanted = fingerprint(*key);
            let start = if sparse { from.max(self.expected(wanted)) } else { from };
            from = self.seek(from, start, wanted);
            if from == self.len() {
                break;
            }
            let entry = self.entry(from);
            if entry.fingerprint == wanted {
                found(position, entry);
            }
        }
    }

    /// Where a fingerprint would be if they were spread evenly, as hashes nearly are.
    fn expected(&self, fingerprint: Fingerprint) -> usize {
        let share = (fingerprint >> 64) * self.len() as u128;
        usize::try_from(share >> 64).unwrap_or(0)
    }

    /// The first entry from `from` on that is not below `wanted`, searched in steps that double from
    /// `start`.
    fn seek(&self, from: usize, start: usize, wanted: Fingerprint) -> usize {
        let length = self.len();
        let (mut low, mut high);
        if start < length && self.fingerprint(start) < wanted {
            (low, high) = (start + 1, start + 1);
            let mut step = 1;
            while high < length && self.fingerprint(high) < wanted {
                low = high + 1;
                high += step;
                step *= 2;
            }
            high = high.min(length);
        } else {
            (low, high) = (start.min(length), start.min(length));
            let mut step = 1;
            while low > from && self.fingerprint(low - 1) >= wanted {
                high = low - 1;
                low = high.saturating_sub(step).max(from);
                step *= 2;
            }
        }
        while low < high {
            let middle = low.midpoint(high);
            if self.fingerprint(middle) < wanted { low = middle + 1 } else { high = middle }
        }
        low
    }

    pub(crate) fn verify(&self) -> Vec<Damage> {
        self.blocks.verify()
    }
}
