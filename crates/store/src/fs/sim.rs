//! A disk in memory, for tests: it fails where it is told to, and loses, reorders and tears what was
//! not synced. The same seed and the same operations give the same disk.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::survival::{Contents, Directory, FileId, Random};
use super::{FileSystem, FsError, FsOperation, LockGuard, LockOutcome, WritableFile, parent_of};

/// A simulated data folder. A clone is another handle to the same disk.
///
/// Operations that change the disk are counted from 1: creating, writing, syncing, renaming, removing,
/// cutting. A fault is set for a count that is still to come.
#[derive(Clone, Debug)]
pub struct SimFs {
    root: PathBuf,
    disk: Arc<Mutex<Disk>>,
}

#[derive(Debug)]
struct Disk {
    random: Random,
    files: HashMap<FileId, Contents>,
    next_file: FileId,
    directories: BTreeMap<PathBuf, Directory>,
    locks: BTreeMap<PathBuf, Lock>,
    next_ticket: u64,
    operations: u64,
    crash_at: Option<u64>,
    full_from: Option<u64>,
    sync_fails_from: Option<u64>,
    is_down: bool,
    /// A file handle from before the last end is dead.
    processes_ended: u64,
}

#[derive(Debug)]
struct Lock {
    ticket: u64,
    holder: String,
}

/// What the faults let through of an operation.
enum Verdict {
    Whole,
    /// It fails, and this much of it (any part, as the seed has it) happened.
    Fails(io::Error),
}

impl SimFs {
    pub fn new(seed: u64) -> Self {
        let disk = Disk {
            random: Random::new(seed),
            files: HashMap::new(),
            next_file: 0,
            directories: BTreeMap::from([(PathBuf::new(), Directory::default())]),
            locks: BTreeMap::new(),
            next_ticket: 0,
            operations: 0,
            crash_at: None,
            full_from: None,
            sync_fails_from: None,
            is_down: false,
            processes_ended: 0,
        };
        Self { root: PathBuf::from("simulated"), disk: Arc::new(Mutex::new(disk)) }
    }

    /// Changing operations so far.
    pub fn operations(&self) -> u64 {
        self.disk().operations
    }

    /// The power goes during the `count`th changing operation from now (1 is the next): it may happen
    /// in part, and fails; each later one fails, until [`SimFs::crash`].
    pub fn crash_after(&self, count: u64) {
        let mut disk = self.disk();
        disk.crash_at = Some(disk.operations.saturating_add(count));
    }

    /// From the `count`th changing operation on, whatever needs space fails, until
    /// [`SimFs::free_space`].
    pub fn fill_after(&self, count: u64) {
        let mut disk = self.disk();
        disk.full_from = Some(disk.operations.saturating_add(count));
    }

    pub fn free_space(&self) {
        self.disk().full_from = None;
    }

    /// The first sync of a file or directory at or after the `count`th changing operation fails, once.
    /// As with a real disk, that file's later syncs succeed and achieve nothing.
    pub fn fail_sync_after(&self, count: u64) {
        let mut disk = self.disk();
        disk.sync_fails_from = Some(disk.operations.saturating_add(count));
    }

    /// Whether a crash that was set has come.
    pub fn is_down(&self) -> bool {
        self.disk().is_down
    }

    /// The power is gone and comes back: what was synced is there, of the rest the seed decides. Locks
    /// are free, faults are cleared, open files are dead.
    pub fn crash(&self) {
        let mut guard = self.disk();
        let disk = &mut *guard;
        for directory in disk.directories.values_mut() {
            directory.crash(&mut disk.random);
        }
        let named: HashSet<FileId> = disk.directories.values().flat_map(Directory::files).collect();
        disk.files.retain(|file, _| named.contains(file));
        let mut files: Vec<_> = disk.files.iter_mut().collect();
        files.sort_unstable_by_key(|(file, _)| **file);
        for (_, contents) in files {
            contents.crash(&mut disk.random);
        }
        disk.end_process();
    }

    /// The process is killed and the machine runs on: what was written stays to be read, and what was not
    /// synced stays so. Locks are free, faults are cleared, open files are dead.
    pub fn kill(&self) {
        self.disk().end_process();
    }

    /// Rot: the file's bytes are changed behind everybody's back, durably.
    pub fn rot(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Result<(), FsError> {
        let mut disk = self.disk();
        let contents = disk.contents(path).map_err(|error| self.error(FsOperation::Write, path, error))?;
        contents.rot(change);
        Ok(())
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, operation: FsOperation, path: &Path, source: io::Error) -> FsError {
        FsError::new(operation, &self.root.join(path), source)
    }

    fn at<T>(
        &self,
        operation: FsOperation,
        path: &Path,
        act: impl FnOnce(&mut Disk) -> io::Result<T>,
    ) -> Result<T, FsError> {
        act(&mut self.disk()).map_err(|error| self.error(operation, path, error))
    }

    fn handle(&self, path: &Path, file: FileId, process: u64) -> Box<dyn WritableFile> {
        Box::new(SimFile { fs: self.clone(), path: path.to_owned(), file, process })
    }
}

impl Disk {
    fn end_process(&mut self) {
        self.locks.clear();
        self.crash_at = None;
        self.full_from = None;
        self.sync_fails_from = None;
        self.is_down = false;
        self.processes_ended += 1;
    }

    /// Counts a changing operation and says whether it happens.
    fn count(&mut self, operation: FsOperation) -> Verdict {
        self.operations += 1;
        if self.is_down || self.crash_at.is_some_and(|at| self.operations >= at) {
            self.is_down = true;
            return Verdict::Fails(io::Error::other("the power is gone"));
        }
        let needs_space = matches!(operation, FsOperation::Create | FsOperation::Write);
        if needs_space && self.full_from.is_some_and(|from| self.operations >= from) {
            return Verdict::Fails(io::Error::from(io::ErrorKind::StorageFull));
        }
        let is_sync = operation == FsOperation::Sync;
        if is_sync && self.sync_fails_from.is_some_and(|from| self.operations >= from) {
            self.sync_fails_from = None;
            return Verdict::Fails(io::Error::other("the disk could not write it"));
        }
        Verdict::Whole
    }

    /// Counts a change of names that happens or does not; when the power goes in its midst, either.
    fn change(
        &mut self,
        operation: FsOperation,
        act: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        let was_down = self.is_down;
        match self.count(operation) {
            Verdict::Whole => act(self),
            Verdict::Fails(error) => {
                if self.is_down && !was_down && self.random.coin() {
                    act(self)?;
                }
                Err(error)
            }
        }
    }

    fn directory(&mut self, path: &Path) -> io::Result<&mut Directory> {
        self.directories.get_mut(path).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn file(&mut self, path: &Path) -> io::Result<FileId> {
        let name = name_of(path)?;
        let found = self.directory(parent_of(path))?.get(name);
        found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn contents(&mut self, path: &Path) -> io::Result<&mut Contents> {
        let file = self.file(path)?;
        self.files.get_mut(&file).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn add_file(&mut self, path: &Path) -> io::Result<FileId> {
        let file = self.next_file;
        let name = name_of(path)?;
        let directory = self.directory(parent_of(path))?;
        if directory.get(name).is_some() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        directory.add(name, file);
        self.files.insert(file, Contents::default());
        self.next_file += 1;
        Ok(file)
    }
}

fn name_of(path: &Path) -> io::Result<&str> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"))
}

impl FileSystem for SimFs {
    fn root(&self) -> &Path {
        &self.root
    }

    fn create_new(&self, path: &Path) -> Result<Box<dyn WritableFile>, FsError> {
        self.at(FsOperation::Create, path, |disk| {
            disk.change(FsOperation::Create, |disk| disk.add_file(path).map(|_| ()))?;
            Ok(self.handle(path, disk.file(path)?, disk.processes_ended))
        })
    }

    fn open_append(&self, path: &Path) -> Result<Box<dyn WritableFile>, FsError> {
        self.at(FsOperation::Open, path, |disk| Ok(self.handle(path, disk.file(path)?, disk.processes_ended)))
    }

    fn read(&self, path: &Path) -> Result<Bytes, FsError> {
        self.at(FsOperation::Read, path, |disk| Ok(Bytes::copy_from_slice(disk.contents(path)?.bytes())))
    }

    fn read_range(&self, path: &Path, range: Range<u64>) -> Result<Bytes, FsError> {
        self.at(FsOperation::Read, path, |disk| {
            let start = usize::try_from(range.start).map_err(io::Error::other)?;
            let end = usize::try_from(range.end).map_err(io::Error::other)?;
            let slice = disk.contents(path)?.bytes().get(start..end);
            let slice = slice.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
            Ok(Bytes::copy_from_slice(slice))
        })
    }

    fn len(&self, path: &Path) -> Result<u64, FsError> {
        self.at(FsOperation::Read, path, |disk| {
            u64::try_from(disk.contents(path)?.bytes().len()).map_err(io::Error::other)
        })
    }

    fn list_dir(&self, path: &Path) -> Result<Vec<String>, FsError> {
        self.at(FsOperation::List, path, |disk| {
            let mut names: Vec<String> = disk.directory(path)?.names().cloned().collect();
            let below = disk.directories.keys().filter(|below| *below != path && parent_of(below) == path);
            names.extend(below.filter_map(|below| Some(below.file_name()?.to_str()?.to_owned())));
            names.sort_unstable();
            Ok(names)
        })
    }

    fn create_dir_all(&self, path: &Path) -> Result<(), FsError> {
        self.at(FsOperation::Create, path, |disk| {
            if disk.directories.contains_key(path) {
                return Ok(());
            }
            disk.change(FsOperation::Create, |disk| {
                for level in path.ancestors() {
                    disk.directories.entry(level.to_owned()).or_default();
                }
                Ok(())
            })
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), FsError> {
        self.at(FsOperation::Rename, from, |disk| {
            disk.change(FsOperation::Rename, |disk| {
                if parent_of(from) != parent_of(to) {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidInput,
                        "the names lie in two directories",
                    ));
                }
                let file = disk.file(from)?;
                disk.directory(parent_of(from))?.rename(name_of(from)?, name_of(to)?, file);
                Ok(())
            })
        })
    }

    fn remove_file(&self, path: &Path) -> Result<(), FsError> {
        self.at(FsOperation::Remove, path, |disk| {
            disk.change(FsOperation::Remove, |disk| {
                disk.file(path)?;
                disk.directory(parent_of(path))?.remove(name_of(path)?);
                Ok(())
            })
        })
    }

    fn sync_dir(&self, path: &Path) -> Result<(), FsError> {
        self.at(FsOperation::Sync, path, |disk| {
            disk.change(FsOperation::Sync, |disk| {
                disk.directory(path)?.sync();
                Ok(())
            })
        })
    }

    fn truncate(&self, path: &Path, bytes: u64) -> Result<(), FsError> {
        self.at(FsOperation::Truncate, path, |disk| {
            let bytes = usize::try_from(bytes).map_err(io::Error::other)?;
            disk.change(FsOperation::Truncate, |disk| {
                let contents = disk.contents(path)?;
                contents.truncate(bytes);
                contents.sync();
                Ok(())
            })
        })
    }

    fn available_bytes(&self) -> Result<Option<u64>, FsError> {
        Ok(None)
    }

    fn try_lock(&self, path: &Path, holder: &str) -> Result<LockOutcome, FsError> {
        self.at(FsOperation::Lock, path, |disk| {
            if let Some(lock) = disk.locks.get(path) {
                return Ok(LockOutcome::HeldBy(Some(lock.holder.clone())));
            }
            if disk.file(path).is_err() {
                disk.change(FsOperation::Create, |disk| disk.add_file(path).map(|_| ()))?;
            }
            let ticket = disk.next_ticket;
            disk.next_ticket += 1;
            disk.locks.insert(path.to_owned(), Lock { ticket, holder: holder.to_owned() });
            Ok(LockOutcome::Taken(Box::new(SimLock { fs: self.clone(), path: path.to_owned(), ticket })))
        })
    }
}

#[derive(Debug)]
struct SimFile {
    fs: SimFs,
    path: PathBuf,
    file: FileId,
    process: u64,
}

impl SimFile {
    fn at(
        &self,
        operation: FsOperation,
        act: impl FnOnce(&mut Contents, Verdict, &mut Random) -> io::Result<()>,
    ) -> Result<(), FsError> {
        self.fs.at(operation, &self.path, |disk| {
            if self.process != disk.processes_ended {
                return Err(io::Error::other("the process that had the file open has ended"));
            }
            let was_down = disk.is_down;
            let verdict = disk.count(operation);
            if let (true, Verdict::Fails(error)) = (was_down, &verdict) {
                return Err(io::Error::other(error.to_string()));
            }
            let contents = disk.files.get_mut(&self.file);
            let contents = contents.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
            act(contents, verdict, &mut disk.random)
        })
    }
}

impl WritableFile for SimFile {
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), FsError> {
        self.at(FsOperation::Write, |contents, verdict, random| match verdict {
            Verdict::Whole => {
                contents.append(bytes);
                Ok(())
            }
            Verdict::Fails(error) => {
                contents.append(&bytes[..random.up_to(bytes.len())]);
                Err(error)
            }
        })
    }

    fn sync_data(&mut self) -> Result<(), FsError> {
        self.at(FsOperation::Sync, |contents, verdict, _| match verdict {
            Verdict::Whole => {
                contents.sync();
                Ok(())
            }
            Verdict::Fails(error) => {
                contents.fail_sync();
                Err(error)
            }
        })
    }
}

#[derive(Debug)]
struct SimLock {
    fs: SimFs,
    path: PathBuf,
    ticket: u64,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut disk = self.fs.disk();
        if disk.locks.get(&self.path).is_some_and(|lock| lock.ticket == self.ticket) {
            disk.locks.remove(&self.path);
        }
    }
}

impl LockGuard for SimLock {}
