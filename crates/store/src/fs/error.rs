//! What a disk can answer: which operation failed on which file, and why.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ebbtide_model::ErrorKind;

/// A failed operation on a file. The path is the full one, for the operator to find.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot {operation} {}: {source}{}", path.display(), self.kind().advice())]
pub struct FsError {
    pub operation: FsOperation,
    pub path: PathBuf,
    pub source: Arc<io::Error>,
}

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsOperation {
    Create,
    Open,
    Read,
    Write,
    Sync,
    List,
    Rename,
    Remove,
    Truncate,
    Lock,
    Measure,
}

/// Failures that a caller or an operator treats differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsErrorKind {
    DiskFull,
    PermissionDenied,
    NotFound,
    AlreadyExists,
    Other,
}

impl FsError {
    pub(crate) fn new(operation: FsOperation, path: &Path, source: io::Error) -> Self {
        Self { operation, path: path.to_owned(), source: Arc::new(source) }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "io::ErrorKind is open: what is unknown is Other")]
    pub fn kind(&self) -> FsErrorKind {
        match self.source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FsErrorKind::DiskFull,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                FsErrorKind::PermissionDenied
            }
            io::ErrorKind::NotFound => FsErrorKind::NotFound,
            io::ErrorKind::AlreadyExists => FsErrorKind::AlreadyExists,
            _ => FsErrorKind::Other,
        }
    }

    pub fn error_kind(&self) -> ErrorKind {
        match self.kind() {
            FsErrorKind::DiskFull | FsErrorKind::PermissionDenied | FsErrorKind::Other => {
                ErrorKind::Unavailable
            }
            FsErrorKind::NotFound => ErrorKind::Corrupt,
            FsErrorKind::AlreadyExists => ErrorKind::Internal,
        }
    }
}

impl FsErrorKind {
    fn advice(self) -> &'static str {
        match self {
            Self::DiskFull => "; free some space on that disk",
            Self::PermissionDenied => "; let the user that runs Ebbtide read and write that folder",
            Self::NotFound | Self::AlreadyExists | Self::Other => "",
        }
    }
}

impl fmt::Display for FsOperation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Create => "create",
            Self::Open => "open",
            Self::Read => "read",
            Self::Write => "write to",
            Self::Sync => "sync",
            Self::List => "list",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::Truncate => "cut",
            Self::Lock => "lock",
            Self::Measure => "measure the free space of",
        })
    }
}

/// For code that writes through [`std::io::Write`]; the kind of failure stays readable.
impl From<FsError> for io::Error {
    fn from(error: FsError) -> Self {
        Self::new(error.source.kind(), error)
    }
}
