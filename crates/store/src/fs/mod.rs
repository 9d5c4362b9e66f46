//! The one door to the disk. Everything above is handed an `Arc<dyn FileSystem>`: the real one over a
//! data folder, or a simulated one that loses, reorders and tears whatever was not synced.
//!
//! Paths are relative to the data folder and made of plain names. What is durable when is part of the
//! contract, and no more than POSIX gives: a file's bytes after [`WritableFile::sync_data`], its name
//! after [`FileSystem::sync_dir`] of the directory it lies in.

mod error;
mod map;
mod real;
mod sim;
mod survival;

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;

pub use error::{FsError, FsErrorKind, FsOperation};
pub use real::RealFs;
pub use sim::SimFs;

/// A data folder's files.
pub trait FileSystem: Send + Sync + fmt::Debug {
    /// The data folder, for messages.
    fn root(&self) -> &Path;

    /// A new, empty file for appending; an error where the name is taken. Its name is durable after
    /// `sync_dir` of its directory.
    fn create_new(&self, path: &Path) -> Result<Box<dyn WritableFile>, FsError>;

    /// An existing file, for appending at its end.
    fn open_append(&self, path: &Path) -> Result<Box<dyn WritableFile>, FsError>;

    /// The whole file, without copying it: only for files that never change again, such as segments,
    /// since the real one maps it into memory. Removing the file while the bytes are held is fine.
    fn read(&self, path: &Path) -> Result<Bytes, FsError>;

    /// A copy of these bytes of the file, which must have them all.
    fn read_range(&self, path: &Path, range: Range<u64>) -> Result<Bytes, FsError>;

    /// Its length in bytes.
    fn len(&self, path: &Path) -> Result<u64, FsError>;

    /// The names in a directory, sorted; the data folder itself is the empty path.
    fn list_dir(&self, path: &Path) -> Result<Vec<String>, FsError>;

    /// The directory and those above it, durable on return; fine where it exists.
    fn create_dir_all(&self, path: &Path) -> Result<(), FsError>;

    /// Replaces `to` if it exists, atomically. Both lie in the same directory; durable after
    /// `sync_dir` of it.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), FsError>;

    /// Durable after `sync_dir` of its directory.
    fn remove_file(&self, path: &Path) -> Result<(), FsError>;

    /// Makes what was created, renamed and removed in this directory durable.
    fn sync_dir(&self, path: &Path) -> Result<(), FsError>;

    /// Cuts a file to this length, durable on return.
    fn truncate(&self, path: &Path, bytes: u64) -> Result<(), FsError>;

    /// Bytes that can still be written, where the system tells.
    fn available_bytes(&self) -> Result<Option<u64>, FsError>;

    /// An exclusive lock on this file (made if absent), held until the value is dropped or the process
    /// ends. `holder` is written into the file, to be shown to whoever asks next.
    fn try_lock(&self, path: &Path, holder: &str) -> Result<LockOutcome, FsError>;
}

/// A file open for appending. Dropping it syncs nothing.
pub trait WritableFile: Send + fmt::Debug {
    /// Appends all of it, or fails with an unknown part of it written.
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), FsError>;

    /// Makes all bytes written so far durable. After an error nothing is known of any of them, and a
    /// later success proves nothing.
    fn sync_data(&mut self) -> Result<(), FsError>;
}

/// What became of an attempt to lock.
#[derive(Debug)]
pub enum LockOutcome {
    Taken(Box<dyn LockGuard>),
    /// Another has it: what that one wrote as `holder`, if it could be read.
    HeldBy(Option<String>),
}

/// Holds a lock until it is dropped.
pub trait LockGuard: Send + Sync + fmt::Debug {}

/// A [`WritableFile`] for code that writes to an [`io::Write`].
#[derive(Debug)]
pub struct IoWriter {
    file: Box<dyn WritableFile>,
}

impl IoWriter {
    pub fn new(file: Box<dyn WritableFile>) -> Self {
        Self { file }
    }

    pub fn into_inner(self) -> Box<dyn WritableFile> {
        self.file
    }
}

impl io::Write for IoWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The directory that a path's name lies in.
fn parent_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}
