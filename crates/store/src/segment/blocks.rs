//! Checksums of a file block by block: taken while it is written, and checked when a block is first
//! read, so that a damaged byte is an error with a place and never an answer.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::fs::{FsError, WritableFile};

/// Bytes that have one checksum.
pub(crate) const BLOCK_BYTES: usize = 65_536;

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct BlockWriter {
    file: Box<dyn WritableFile>,
    checksums: Vec<u32>,
    block: crc32fast::Hasher,
    block_bytes: usize,
    written: u64,
}

impl BlockWriter {
    pub(crate) fn new(file: Box<dyn WritableFile>) -> Self {
        Self { file, checksums: Vec::new(), block: crc32fast::Hasher::new(), block_bytes: 0, written: 0 }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), FsError> {
        self.file.write_all(bytes)?;
        self.written += bytes.len() as u64;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (taken, left) = rest.split_at(rest.len().min(BLOCK_BYTES - self.block_bytes));
            self.block.update(taken);
            self.block_bytes += taken.len();
            if self.block_bytes == BLOCK_BYTES {
                self.end_block();
            }
            rest = left;
        }
        Ok(())
    }

    fn end_block(&mut self) {
        self.checksums.push(std::mem::take(&mut self.block).finalize());
        self.block_bytes = 0;
    }

    /// Ends the last block: the checksums of all that was written so far. To be called once.
    pub(crate) fn checksums(&mut self) -> Vec<u32> {
        if self.block_bytes > 0 {
            self.end_block();
        }
        std::mem::take(&mut self.checksums)
    }

    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    pub(crate) fn sync(&mut self) -> Result<(), FsError> {
        self.file.sync_data()
    }
}

impl io::Write for BlockWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::write(self, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes of a file that are not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is damaged at byte {offset}: {detail}", file.display())]
pub struct Damage {
    pub file: PathBuf,
    /// Where the damaged part begins.
    pub offset: u64,
    pub detail: String,
}

impl Damage {
    pub(crate) fn new(file: &Path, offset: u64, detail: impl Into<String>) -> Self {
        Self { file: file.to_owned(), offset, detail: detail.into() }
    }
}

/// A file that was written by blocks.
#[derive(Debug)]
pub(crate) struct Blocks {
    path: PathBuf,
    bytes: Bytes,
    checksums: Vec<u32>,
    /// A bit for each block that was found sound.
    sound: Vec<AtomicU64>,
    damage: OnceLock<Damage>,
}

impl Blocks {
    /// `path` is for messages.
    pub(crate) fn new(path: PathBuf, bytes: Bytes, checksums: Vec<u32>) -> Result<Self, Damage> {
        if checksums.len() != bytes.len().div_ceil(BLOCK_BYTES) {
            return Err(Damage::new(&path, 0, "its length is not what was written"));
        }
        let sound = (0..checksums.len().div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Ok(Self { path, bytes, checksums, sound, damage: OnceLock::new() })
    }

    pub(crate) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// These bytes, or as many of them as there are, once their blocks are known to be sound.
    pub(crate) fn get(&self, start: usize, length: usize) -> Result<Bytes, Damage> {
        let start = start.min(self.bytes.len());
        let end = start.saturating_add(length).min(self.bytes.len());
        for block in start / BLOCK_BYTES..end.div_ceil(BLOCK_BYTES) {
            self.check(block)?;
        }
        Ok(self.bytes.slice(start..end))
    }

    /// These bytes, of which [`Blocks::get`] has been asked before.
    pub(crate) fn unchecked(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }

    fn check(&self, block: usize) -> Result<(), Damage> {
        let (word, bit) = (&self.sound[block / 64], 1 << (block % 64));
        if word.load(Ordering::Relaxed) & bit == 0 {
            self.check_again(block)?;
            word.fetch_or(bit, Ordering::Relaxed);
        }
        Ok(())
    }

    fn check_again(&self, block: usize) -> Result<(), Damage> {
        let start = block * BLOCK_BYTES;
        let end = (start + BLOCK_BYTES).min(self.bytes.len());
        if crc32fast::hash(&self.bytes[start..end]) == self.checksums[block] {
            return Ok(());
        }
        let damage = Damage::new(&self.path, start as u64, "its bytes do not match their checksum");
        Err(self.damage.get_or_init(|| damage).clone())
    }

    /// The first damage that reading has met.
    pub(crate) fn damage(&self) -> Option<&Damage> {
        self.damage.get()
    }

    /// Checks every block anew.
    pub(crate) fn verify(&self) -> Vec<Damage> {
        (0..self.checksums.len()).filter_map(|block| self.check_again(block).err()).collect()
    }
}
