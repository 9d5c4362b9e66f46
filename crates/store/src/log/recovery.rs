//! Reading the log back after a start. Every whole record is given out, in the order of writing; what
//! is not whole is either the torn end of the last write, and cut, or damage, and put aside and told.
//!
//! The judgement: damage with nothing whole behind it in the newest file is where a crash cut a write
//! off, so nobody was told that it is stored. Any other damage is reported. It is certain that
//! acknowledged rows were lost where a later sync proves it: a newer file exists, or a later record says
//! that the file had been synced past that place. Otherwise a crash may have kept the later part of one
//! write and lost the earlier.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::copy::copy;
use super::file::{self, Found, HEADER_BYTES, Header, LogReader};
use super::frame::Salt;
use super::quarantine;
use super::record::Record;
use super::{DIRECTORY, Log, LogError, LogSettings, TEMPORARY_SUFFIX, numbers, path_of};
use crate::fs::{FileSystem, FsError, FsErrorKind};

/// A record that was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    pub record: Record,
    /// The number of the log file it lies in.
    pub file: u64,
    pub offset: u64,
}

/// Bytes of the log that are not what was written, with good records behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub file: PathBuf,
    pub offset: u64,
    pub bytes: u64,
    pub cause: DamageCause,
    /// The copy that was made of them.
    pub quarantine: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamageCause {
    /// The bytes had been synced: acknowledged rows are lost.
    Rot,
    /// Nothing proves that the bytes were ever synced: most likely a crash kept the later part of a
    /// write and lost this one, and no row in it was acknowledged.
    UnfinishedWrite,
    /// The file is shorter than it was when it was synced: acknowledged rows are lost.
    MissingEnd,
    /// A whole file is gone, with newer ones there.
    MissingFile,
}

/// The torn end of the last write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    pub file: PathBuf,
    /// Where the file ends now.
    pub offset: u64,
    pub bytes: u64,
}

/// What reading the log back has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    pub files: u64,
    pub records: u64,
    pub cut: Option<Cut>,
    pub damage: Vec<Damage>,
}

/// Gives the log's records out one by one, in bounded memory, then the log itself.
#[derive(Debug)]
pub struct Recovery {
    scan: LogScan,
}

impl Recovery {
    pub(super) fn start(fs: Arc<dyn FileSystem>, settings: LogSettings) -> Result<Self, LogError> {
        fs.create_dir_all(Path::new(DIRECTORY))?;
        for name in fs.list_dir(Path::new(DIRECTORY))? {
            if name.ends_with(TEMPORARY_SUFFIX) {
                fs.remove_file(&Path::new(DIRECTORY).join(name))?;
            }
        }
        Ok(Self { scan: LogScan::start(fs, settings, Purpose::Mend)? })
    }

    /// The log, ready for appending, and what was found. Reads on to the end if that was not reached.
    pub fn finish(mut self) -> Result<(Log, RecoveryReport), LogError> {
        while self.scan.next()?.is_some() {}
        let LogScan { fs, settings, newest_file, report, .. } = self.scan;
        Ok((Log::after_recovery(fs, settings, newest_file)?, report))
    }
}

impl Iterator for Recovery {
    type Item = Result<Recovered, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.scan.next().transpose()
    }
}

/// Checks every log file without changing anything: damage that a start would put aside, and the end
/// that it would cut.
pub fn verify(fs: Arc<dyn FileSystem>, settings: LogSettings) -> Result<RecoveryReport, LogError> {
    let mut scan = LogScan::start(fs, settings, Purpose::Look)?;
    while scan.next()?.is_some() {}
    Ok(scan.report)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Mend,
    Look,
}

#[derive(Debug)]
struct LogScan {
    fs: Arc<dyn FileSystem>,
    settings: LogSettings,
    purpose: Purpose,
    /// Still to be read, the next one last.
    files: Vec<u64>,
    newest_file: u64,
    open: Option<OpenFile>,
    report: RecoveryReport,
}

#[derive(Debug)]
struct OpenFile {
    number: u64,
    reader: LogReader,
    header: Header,
    bad: Vec<Extent>,
    /// The most that any record read so far says was synced before it.
    durable_bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Extent {
    offset: u64,
    end: u64,
}

impl LogScan {
    fn start(fs: Arc<dyn FileSystem>, settings: LogSettings, purpose: Purpose) -> Result<Self, LogError> {
        let mut files = match numbers(fs.as_ref()) {
            Err(error) if error.kind() == FsErrorKind::NotFound => Vec::new(),
            found => found?,
        };
        let newest_file = files.last().copied().unwrap_or(0);
        let mut report = RecoveryReport { files: files.len() as u64, ..RecoveryReport::default() };
        for pair in files.windows(2) {
            report.damage.extend((pair[0] + 1..pair[1]).take(100).map(|missing| Damage {
                file: path_of(missing),
                offset: 0,
                bytes: 0,
                cause: DamageCause::MissingFile,
                quarantine: None,
            }));
        }
        files.reverse();
        Ok(Self { fs, settings, purpose, files, newest_file, open: None, report })
    }

    fn next(&mut self) -> Result<Option<Recovered>, LogError> {
        loop {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => match self.files.pop() {
                    Some(number) => self.open_file(number)?,
                    None => return Ok(None),
                },
            };
            match open.reader.next()? {
                Some(Found::Record { offset, durable_bytes, record }) => {
                    open.durable_bytes = open.durable_bytes.max(durable_bytes);
                    let file = open.number;
                    self.open = Some(open);
                    self.report.records += 1;
                    return Ok(Some(Recovered { record, file, offset }));
                }
                Some(Found::Bad { offset, end }) => {
                    open.bad.push(Extent { offset, end });
                    self.open = Some(open);
                }
                None => self.settle(&open)?,
            }
        }
    }

    fn open_file(&self, number: u64) -> Result<OpenFile, LogError> {
        let path = path_of(number);
        let salt = Salt { folder: self.settings.folder.0, file: number };
        let header = file::read_header(self.fs.as_ref(), &path, salt)?;
        let reader = LogReader::open(self.fs.clone(), &path, salt)?;
        let file = self.fs.root().join(path);
        let mut bad = Vec::new();
        match header {
            Header::Good { .. } => {}
            Header::Foreign => return Err(LogError::Foreign { file }),
            Header::OtherVersion(found) => return Err(LogError::UnknownVersion { file, found }),
            Header::OtherFolder => return Err(LogError::OtherFolder { file }),
            Header::OtherNumber(number) => return Err(LogError::Renamed { file, number }),
            Header::Damaged => bad.push(Extent { offset: 0, end: reader.bytes().min(HEADER_BYTES) }),
        }
        Ok(OpenFile { number, reader, header, bad, durable_bytes: 0 })
    }

    /// A file has been read to its end: cut what is torn, put aside what is damaged.
    fn settle(&mut self, open: &OpenFile) -> Result<(), LogError> {
        let mut bad = open.bad.clone();
        // A header is durable before its file has its name, so a damaged one makes all of it suspect.
        let is_sound = matches!(open.header, Header::Good { .. });
        let is_torn_here = open.number == self.newest_file && is_sound;
        let mut end = open.reader.bytes();
        if is_torn_here && let Some(tail) = bad.pop_if(|extent| extent.end == end) {
            end = tail.offset;
            self.note_cut(open.number, tail);
        }
        for extent in bad {
            let was_synced = !is_torn_here || open.durable_bytes > extent.offset;
            let cause = if was_synced { DamageCause::Rot } else { DamageCause::UnfinishedWrite };
            self.put_aside(open.number, extent, cause)?;
        }
        self.check_length(open)?;
        if self.purpose == Purpose::Mend && open.number == self.newest_file {
            self.keep(open, end)?;
        }
        Ok(())
    }

    /// Makes durable what was read of the newest file, and cuts what lies behind it. Records that a killed
    /// process had not synced were read all the same and count as stored from here on. A sync may have
    /// failed before, after which another one of the same file proves nothing: so the bytes are written
    /// anew.
    fn keep(&self, open: &OpenFile, end: u64) -> Result<(), FsError> {
        let path = path_of(open.number);
        let has_records = end > HEADER_BYTES;
        if has_records {
            match copy(self.fs.as_ref(), &path, 0, end, &path) {
                Err(error) if error.kind() == FsErrorKind::DiskFull => {
                    tracing::warn!(%error, "the log is synced in place for want of space");
                }
                copied => return copied,
            }
        }
        if end < open.reader.bytes() {
            return self.fs.truncate(&path, end);
        }
        if has_records { self.fs.open_append(&path)?.sync_data() } else { Ok(()) }
    }

    /// The next file's header says how long this one was when it was synced: a whole number of records
    /// may be missing, which nothing in this file shows.
    fn check_length(&mut self, open: &OpenFile) -> Result<(), LogError> {
        let next = open.number + 1;
        if self.files.last() != Some(&next) {
            return Ok(());
        }
        let salt = Salt { folder: self.settings.folder.0, file: next };
        let header = file::read_header(self.fs.as_ref(), &path_of(next), salt)?;
        let offset = open.reader.bytes();
        if let Header::Good { previous_bytes } = header
            && previous_bytes > offset
        {
            let cause = DamageCause::MissingEnd;
            let (file, bytes) = (path_of(open.number), previous_bytes - offset);
            self.report.damage.push(Damage { file, offset, bytes, cause, quarantine: None });
        }
        Ok(())
    }

    fn note_cut(&mut self, number: u64, tail: Extent) {
        let cut = Cut { file: path_of(number), offset: tail.offset, bytes: tail.end - tail.offset };
        tracing::info!(%cut, "the log ended in an unfinished write");
        self.report.cut = Some(cut);
    }

    fn put_aside(&mut self, number: u64, extent: Extent, judged: DamageCause) -> Result<(), FsError> {
        let (offset, end) = (extent.offset, extent.end);
        let unfinished = quarantine::path_of(number, offset, DamageCause::UnfinishedWrite);
        // Once a newer file exists every damage looks like rot; the first judgement stands.
        let was_unfinished = self.fs.len(&unfinished).is_ok();
        let cause = if was_unfinished { DamageCause::UnfinishedWrite } else { judged };
        let file = path_of(number);
        let target = quarantine::path_of(number, offset, cause);
        if self.purpose == Purpose::Mend {
            quarantine::put(self.fs.as_ref(), &file, offset, end, &target)?;
        }
        let quarantine = (self.purpose == Purpose::Mend).then_some(target);
        let damage = Damage { file, offset, bytes: end - offset, cause, quarantine };
        tracing::error!(%damage, "the log is damaged");
        self.report.damage.push(damage);
        Ok(())
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, bytes, cause, quarantine } = self;
        let file = file.display();
        match cause {
            DamageCause::Rot => write!(formatter, "{file}: {bytes} bytes at {offset} are damaged")?,
            DamageCause::UnfinishedWrite => {
                write!(formatter, "{file}: {bytes} bytes at {offset} were never written whole")?;
            }
            DamageCause::MissingEnd => write!(formatter, "{file}: {bytes} bytes at {offset} are missing")?,
            DamageCause::MissingFile => write!(formatter, "{file} is missing")?,
        }
        match quarantine {
            Some(copy) => write!(formatter, "; a copy is in {}", copy.display()),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {} bytes cut at {}", self.file.display(), self.bytes, self.offset)
    }
}
