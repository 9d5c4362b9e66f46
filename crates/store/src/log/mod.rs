//! The write-ahead log: a row is acknowledged once its record is synced here.
//!
//! Frames (`frame`) carry records (`record`) in numbered files (`file`); `recovery` reads them back.
//! Records are appended to the newest file only; a new file is made only once the one before is synced
//! whole, so a file's existence proves all before it. See `docs/formats.md`.

mod copy;
mod error;
mod file;
mod frame;
mod quarantine;
mod record;
mod recovery;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fs::{FileSystem, FsError};
use crate::manifest::HexId;
use file::LogWriter;
use frame::Salt;

pub use error::LogError;
pub use quarantine::quarantined;
pub use record::{PAYLOAD_BYTES_MAX, Record, RecordKind, RecordRef, apart, together};
pub use recovery::{Cut, Damage, DamageCause, Recovered, Recovery, RecoveryReport, verify};

const DIRECTORY: &str = "wal";
const SUFFIX: &str = ".log";
const TEMPORARY_SUFFIX: &str = ".tmp";

/// How a log is kept.
#[derive(Clone, Copy, Debug)]
pub struct LogSettings {
    /// The data folder's id, from its manifest: files of another folder are refused.
    pub folder: HexId,
    /// A file that has grown past this is followed by a new one.
    pub file_bytes_max: u64,
}

impl LogSettings {
    pub fn new(folder: HexId) -> Self {
        Self { folder, file_bytes_max: 64 << 20 }
    }
}

/// The log, open for appending. Comes from [`Recovery::finish`].
#[derive(Debug)]
pub struct Log {
    fs: Arc<dyn FileSystem>,
    settings: LogSettings,
    /// `None` until the first append: opening a log writes nothing new.
    writer: Option<LogWriter>,
    /// Of the newest file; 0 where there is none.
    newest_file: u64,
    /// What of it is synced, where it is not being written.
    newest_file_bytes: u64,
    poison: Option<FsError>,
}

impl Log {
    /// Starts to read what is there; [`Recovery::finish`] gives the log. The lock of the data folder
    /// must be held.
    pub fn open(fs: Arc<dyn FileSystem>, settings: LogSettings) -> Result<Recovery, LogError> {
        Recovery::start(fs, settings)
    }

    fn after_recovery(
        fs: Arc<dyn FileSystem>,
        settings: LogSettings,
        newest_file: u64,
    ) -> Result<Self, LogError> {
        let newest_file_bytes = if newest_file == 0 { 0 } else { fs.len(&path_of(newest_file))? };
        Ok(Self { fs, settings, writer: None, newest_file, newest_file_bytes, poison: None })
    }

    /// Writes a group of records, not yet durable; the number of the file they went to. Where a record
    /// breaks a limit nothing is written. After any other error the log is stopped for good.
    pub fn append(&mut self, records: &[RecordRef<'_>]) -> Result<u64, LogError> {
        self.check_not_poisoned()?;
        if let Some(limit) = records.iter().find_map(RecordRef::broken_limit) {
            return Err(LogError::TooLarge { limit });
        }
        let written = self.write(records);
        written.map_err(|error| self.stop(error))
    }

    fn write(&mut self, records: &[RecordRef<'_>]) -> Result<u64, FsError> {
        let is_grown =
            |writer: &LogWriter| writer.written_bytes() >= self.settings.file_bytes_max && !writer.is_empty();
        let mut writer = match self.writer.take() {
            Some(writer) if !is_grown(&writer) => writer,
            Some(writer) => self.follow(Some(writer))?,
            None => self.follow(None)?,
        };
        writer.append(records)?;
        Ok(self.writer.insert(writer).number())
    }

    /// A new file after this one, which is synced first.
    fn follow(&mut self, full: Option<LogWriter>) -> Result<LogWriter, FsError> {
        if let Some(mut full) = full {
            full.sync()?;
            self.newest_file_bytes = full.written_bytes();
        }
        let salt = Salt { folder: self.settings.folder.0, file: self.newest_file + 1 };
        let previous_bytes = self.newest_file_bytes;
        let writer = LogWriter::create(self.fs.as_ref(), &path_of(salt.file), salt, previous_bytes)?;
        self.newest_file = salt.file;
        Ok(writer)
    }

    /// Makes all that was appended durable. After an error the log is stopped for good.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.check_not_poisoned()?;
        let synced = self.writer.as_mut().map_or(Ok(()), LogWriter::sync);
        synced.map_err(|error| self.stop(error))
    }

    /// Syncs, and lets no more records go to the files so far: the number of the newest of these, 0 if
    /// there is none. Once its records are stored elsewhere it can be removed by
    /// [`Log::remove_through`]. Also to be called before a graceful end: what is sealed is proven whole.
    pub fn seal_current(&mut self) -> Result<u64, LogError> {
        self.check_not_poisoned()?;
        match self.writer.take() {
            Some(writer) if writer.is_empty() => {
                let sealed = writer.number() - 1;
                self.writer = Some(writer);
                Ok(sealed)
            }
            None if self.newest_file == 0 => Ok(0),
            full => {
                let sealed = self.newest_file;
                let writer = self.follow(full).map_err(|error| self.stop(error))?;
                self.writer = Some(writer);
                Ok(sealed)
            }
        }
    }

    /// Removes the files up to this one, oldest first and each durably, so that a crash leaves no gap.
    /// A failure does not stop the log: call again.
    pub fn remove_through(&mut self, file: u64) -> Result<(), LogError> {
        let current = self.writer.as_ref().map_or(self.newest_file, LogWriter::number);
        if file > 0 && file >= current {
            return Err(LogError::StillWritten { file: self.fs.root().join(path_of(file)) });
        }
        for number in numbers(self.fs.as_ref())?.into_iter().take_while(|number| *number <= file) {
            self.fs.remove_file(&path_of(number))?;
            self.fs.sync_dir(Path::new(DIRECTORY))?;
        }
        Ok(())
    }

    /// Bytes in the file that is being written.
    pub fn current_bytes(&self) -> u64 {
        self.writer.as_ref().map_or(0, LogWriter::written_bytes)
    }

    fn check_not_poisoned(&self) -> Result<(), LogError> {
        match &self.poison {
            None => Ok(()),
            Some(cause) => Err(LogError::Poisoned { cause: cause.clone() }),
        }
    }

    fn stop(&mut self, error: FsError) -> LogError {
        tracing::error!(%error, "the log is stopped: nothing more is stored until a new start");
        self.poison = Some(error.clone());
        self.writer = None;
        LogError::Fs(error)
    }
}

fn path_of(number: u64) -> PathBuf {
    Path::new(DIRECTORY).join(format!("{number:010}{SUFFIX}"))
}

/// The numbers of the log files, ascending.
fn numbers(fs: &dyn FileSystem) -> Result<Vec<u64>, FsError> {
    let names = fs.list_dir(Path::new(DIRECTORY))?;
    let mut numbers: Vec<u64> =
        names.iter().filter_map(|name| name.strip_suffix(SUFFIX)?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}
