//! What can go wrong in the store, by what the caller can do about it.

use ebbtide_model::{ErrorKind, TableName};

use crate::fs::FsError;
use crate::lock::LockError;
use crate::log::LogError;
use crate::manifest::ManifestError;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("there is no table {table:?}; the app has {known:?}")]
    UnknownTable { table: TableName, known: Vec<TableName> },
    #[error("an app's rows were asked for with a scope of another app")]
    ForeignScope,
    #[error("rows could not be laid out: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl StoreError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownTable { .. } => ErrorKind::NotFound,
            Self::ForeignScope => ErrorKind::Forbidden,
            Self::Arrow(_) => ErrorKind::Internal,
            Self::Lock(error) => error.kind(),
            Self::Log(error) => error.kind(),
            Self::Manifest(error) => error.kind(),
            Self::Fs(error) => error.error_kind(),
        }
    }
}
