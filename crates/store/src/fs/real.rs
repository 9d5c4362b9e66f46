//! The data folder on a real disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;

use super::{FileSystem, FsError, FsOperation, LockGuard, LockOutcome, WritableFile, map, parent_of};

/// Bytes of a lock file that are read to name its holder.
const HOLDER_BYTES_MAX: u64 = 256;

/// A data folder on a real disk. Makes nothing until it is asked to.
#[derive(Debug)]
pub struct RealFs {
    root: PathBuf,
}

impl RealFs {
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The full path. Names that lead out of the data folder are refused: some are made of what a pack
    /// declares.
    fn full(&self, operation: FsOperation, path: &Path) -> Result<PathBuf, FsError> {
        if path.components().all(|component| matches!(component, Component::Normal(_))) {
            return Ok(self.root.join(path));
        }
        let source = io::Error::new(io::ErrorKind::InvalidInput, "the path leads out of the data folder");
        Err(FsError::new(operation, path, source))
    }

    fn at<T>(
        &self,
        operation: FsOperation,
        path: &Path,
        act: impl FnOnce(&Path) -> io::Result<T>,
    ) -> Result<T, FsError> {
        let full = self.full(operation, path)?;
        act(&full).map_err(|source| FsError::new(operation, &full, source))
    }
}

impl FileSystem for RealFs {
    fn root(&self) -> &Path {
        &self.root
    }

    fn create_new(&self, path: &Path) -> Result<Box<dyn WritableFile>, FsError> {
        self.at(FsOperation::Create, path, |full| {
            let file = OpenOptions::new().append(true).create_new(true).open(full)?;
            Ok(Box::new(RealFile { file, path: full.to_owned() }) as Box<dyn WritableFile>)
        })
    }

    fn open_append(&self, path: &Path) -> Result<Box<dyn WritableFile>, FsError> {
        self.at(FsOperation::Open, path, |full| {
            let file = OpenOptions::new().append(true).open(full)?;
            Ok(Box::new(RealFile { file, path: full.to_owned() }) as Box<dyn WritableFile>)
        })
    }

    fn read(&self, path: &Path) -> Result<Bytes, FsError> {
        self.at(FsOperation::Read, path, |full| map::map(&open(full)?))
    }

    fn read_range(&self, path: &Path, range: Range<u64>) -> Result<Bytes, FsError> {
        self.at(FsOperation::Read, path, |full| {
            let bytes = usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
            let mut file = open(full)?;
            file.seek(SeekFrom::Start(range.start))?;
            let mut buffer = vec![0; bytes];
            file.read_exact(&mut buffer)?;
            Ok(Bytes::from(buffer))
        })
    }

    fn len(&self, path: &Path) -> Result<u64, FsError> {
        self.at(FsOperation::Read, path, |full| Ok(fs::metadata(full)?.len()))
    }

    fn list_dir(&self, path: &Path) -> Result<Vec<String>, FsError> {
        self.at(FsOperation::List, path, |full| {
            let mut names = Vec::new();
            for entry in fs::read_dir(full)? {
                // A name that is no UTF-8 is none of ours.
                names.extend(entry?.file_name().into_string());
            }
            names.sort_unstable();
            Ok(names)
        })
    }

    fn create_dir_all(&self, path: &Path) -> Result<(), FsError> {
        self.at(FsOperation::Create, path, create_dir_durably)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), FsError> {
        let target = self.full(FsOperation::Rename, to)?;
        self.at(FsOperation::Rename, from, |full| {
            if parent_of(from) != parent_of(to) {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "the names lie in two directories"));
            }
            rename(full, &target)
        })
    }

    fn remove_file(&self, path: &Path) -> Result<(), FsError> {
        self.at(FsOperation::Remove, path, remove)
    }

    fn sync_dir(&self, path: &Path) -> Result<(), FsError> {
        self.at(FsOperation::Sync, path, sync_dir)
    }

    fn truncate(&self, path: &Path, bytes: u64) -> Result<(), FsError> {
        self.at(FsOperation::Truncate, path, |full| {
            let file = OpenOptions::new().write(true).open(full)?;
            file.set_len(bytes)?;
            file.sync_all()
        })
    }

    fn available_bytes(&self) -> Result<Option<u64>, FsError> {
        self.at(FsOperation::Measure, Path::new(""), |full| {
            let stats = rustix::fs::statvfs(full)?;
            Ok(Some(stats.f_bavail.saturating_mul(stats.f_frsize)))
        })
    }

    fn try_lock(&self, path: &Path, holder: &str) -> Result<LockOutcome, FsError> {
        self.at(FsOperation::Lock, path, |full| {
            let mut file =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).open(full)?;
            match file.try_lock() {
                Ok(()) => {
                    file.set_len(0)?;
                    file.write_all(holder.as_bytes())?;
                    Ok(LockOutcome::Taken(Box::new(RealLock { _file: file })))
                }
                Err(fs::TryLockError::WouldBlock) => {
                    let mut text = String::new();
                    let read = file.take(HOLDER_BYTES_MAX).read_to_string(&mut text);
                    Ok(LockOutcome::HeldBy(read.is_ok().then_some(text)))
                }
                Err(fs::TryLockError::Error(source)) => Err(source),
            }
        })
    }
}

#[derive(Debug)]
struct RealFile {
    file: File,
    path: PathBuf,
}

impl WritableFile for RealFile {
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), FsError> {
        self.file.write_all(bytes).map_err(|source| FsError::new(FsOperation::Write, &self.path, source))
    }

    fn sync_data(&mut self) -> Result<(), FsError> {
        self.file.sync_data().map_err(|source| FsError::new(FsOperation::Sync, &self.path, source))
    }
}

/// The lock is the open file's, so it ends with the file or the process.
#[derive(Debug)]
struct RealLock {
    _file: File,
}

impl LockGuard for RealLock {}

/// Makes what is missing from the top down, each name synced into the directory above it.
fn create_dir_durably(full: &Path) -> io::Result<()> {
    if full.as_os_str().is_empty() || full.is_dir() {
        return Ok(());
    }
    let above = match parent_of(full) {
        empty if empty.as_os_str().is_empty() => Path::new("."),
        above => above,
    };
    create_dir_durably(above)?;
    match fs::create_dir(full) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && full.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_dir(above),
    }
}

fn sync_dir(full: &Path) -> io::Result<()> {
    open(full)?.sync_all()
}

#[expect(clippy::disallowed_methods, reason = "this is the filesystem module")]
fn open(full: &Path) -> io::Result<File> {
    File::open(full)
}

#[expect(clippy::disallowed_methods, reason = "this is the filesystem module")]
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

#[expect(clippy::disallowed_methods, reason = "this is the filesystem module")]
fn remove(full: &Path) -> io::Result<()> {
    fs::remove_file(full)
}
