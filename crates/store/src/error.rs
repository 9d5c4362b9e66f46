//! What can go wrong in the store, by what the caller can do about it.

use std::path::PathBuf;

use ebbtide_model::{AppName, ErrorKind, TableName};

use crate::fs::FsError;
use crate::lock::LockError;
use crate::log::LogError;
use crate::manifest::ManifestError;
use crate::segment::Damage;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("there is no app {app:?}; the data folder was opened with {known:?}")]
    UnknownApp { app: AppName, known: Vec<AppName> },
    #[error("there is no table {table:?}; the app has {known:?}")]
    UnknownTable { table: TableName, known: Vec<TableName> },
    #[error("an app's rows were asked for with a scope of another app")]
    ForeignScope,
    #[error(
        "table {table:?} holds the rows by which others find their tenant: only a caller of all tenants writes it"
    )]
    ScopeTooNarrow { table: TableName },
    #[error("the keys of table {table:?} are each tenant's own: say whose rows are meant")]
    TenantNeeded { table: TableName },
    #[error("the rows do not fit the table: {detail}")]
    WrongShape { detail: String },
    #[error("setting {name}: {detail}")]
    Settings { name: &'static str, detail: String },
    #[error("table {table:?} of app {app:?} is stored otherwise than the pack declares it: {detail}")]
    SchemaChanged { app: AppName, table: TableName, detail: String },
    #[error("more writers are waiting than the queue holds; try again in a moment")]
    Overloaded,
    #[error("table {table:?} is being imported; try again when that has ended")]
    Importing { table: TableName },
    #[error("the store is closed")]
    Closed,
    #[error(
        "the store takes no more writes since {reason}; the disk must be mended and the server restarted"
    )]
    Failed { reason: String },
    #[error("{} has format version {found}, which this Ebbtide does not read: use the version that wrote it, or a newer one", file.display())]
    UnknownVersion { file: PathBuf, found: u32 },
    #[error("the data folder contradicts itself: {detail}")]
    Inconsistent { detail: String },
    #[error(transparent)]
    Damaged(#[from] Damage),
    #[error("a segment could not be read or written: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
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
            Self::UnknownApp { .. } | Self::UnknownTable { .. } => ErrorKind::NotFound,
            Self::ForeignScope | Self::ScopeTooNarrow { .. } => ErrorKind::Forbidden,
            Self::TenantNeeded { .. } | Self::WrongShape { .. } | Self::Settings { .. } => ErrorKind::Invalid,
            Self::SchemaChanged { .. } => ErrorKind::Conflict,
            Self::Overloaded | Self::Importing { .. } | Self::Closed | Self::Failed { .. } => {
                ErrorKind::Unavailable
            }
            Self::UnknownVersion { .. } | Self::Inconsistent { .. } | Self::Damaged(_) => ErrorKind::Corrupt,
            Self::Arrow(_) | Self::Parquet(_) => ErrorKind::Internal,
            Self::Lock(error) => error.kind(),
            Self::Log(error) => error.kind(),
            Self::Manifest(error) => error.kind(),
            Self::Fs(error) => error.error_kind(),
        }
    }
}
