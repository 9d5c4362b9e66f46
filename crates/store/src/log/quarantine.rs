//! Damaged bytes of the log are copied aside before anything else happens to them, each under a name
//! that says where it lay and what is known of it.

use std::path::{Path, PathBuf};

use super::copy::copy;
use super::recovery::DamageCause;
use crate::fs::{FileSystem, FsError, FsErrorKind};

const DIRECTORY: &str = "quarantine";

/// The names of the files in quarantine: none in a sound data folder. They stay until an operator has
/// seen to them.
pub fn quarantined(fs: &dyn FileSystem) -> Result<Vec<String>, FsError> {
    let names = match fs.list_dir(Path::new(DIRECTORY)) {
        Err(error) if error.kind() == FsErrorKind::NotFound => return Ok(Vec::new()),
        names => names?,
    };
    Ok(names.into_iter().filter(|name| !name.ends_with(".tmp")).collect())
}

/// Where these bytes of this log file go.
pub(super) fn path_of(file: u64, offset: u64, cause: DamageCause) -> PathBuf {
    let cause = match cause {
        DamageCause::Rot => "damaged",
        DamageCause::UnfinishedWrite => "unfinished",
        DamageCause::MissingEnd | DamageCause::MissingFile => "missing",
    };
    Path::new(DIRECTORY).join(format!("wal-{file:010}-at-{offset:010}.{cause}"))
}

/// Copies bytes of a log file, durably; fine where that was done before.
pub(super) fn put(
    fs: &dyn FileSystem,
    from: &Path,
    offset: u64,
    end: u64,
    target: &Path,
) -> Result<(), FsError> {
    fs.create_dir_all(Path::new(DIRECTORY))?;
    copy(fs, from, offset, end, target)
}
