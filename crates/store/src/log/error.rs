//! What can go wrong with the log.

use std::path::PathBuf;

use ebbtide_model::ErrorKind;

use super::file::VERSION;
use crate::fs::FsError;

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("{} is no log file of Ebbtide; move it out of the data folder and start again", file.display())]
    Foreign { file: PathBuf },
    #[error(
        "the log file {} has format version {found}, and this Ebbtide reads up to {VERSION}: use the \
         version of Ebbtide that wrote it, or a newer one",
        file.display()
    )]
    UnknownVersion { file: PathBuf, found: u32 },
    #[error(
        "the log file {} belongs to another data folder; move it back there, or out of this one",
        file.display()
    )]
    OtherFolder { file: PathBuf },
    #[error(
        "the log file {} was written as number {number}; give it its own name back ({number:010}.log)",
        file.display()
    )]
    Renamed { file: PathBuf, number: u64 },
    #[error("a record cannot be stored: {limit}")]
    TooLarge { limit: &'static str },
    #[error("the log file {} is still written and cannot be removed", file.display())]
    StillWritten { file: PathBuf },
    #[error(
        "nothing more is stored since the log failed ({cause}); mend that and start again: all that was \
         acknowledged is kept"
    )]
    Poisoned { cause: FsError },
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl LogError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Foreign { .. }
            | Self::UnknownVersion { .. }
            | Self::OtherFolder { .. }
            | Self::Renamed { .. } => ErrorKind::Corrupt,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::StillWritten { .. } => ErrorKind::Internal,
            Self::Poisoned { .. } => ErrorKind::Unavailable,
            Self::Fs(error) => error.error_kind(),
        }
    }
}
