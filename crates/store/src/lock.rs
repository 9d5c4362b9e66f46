//! One process to a data folder: the lock that a second one finds taken.

use std::path::{Path, PathBuf};

use ebbtide_model::ErrorKind;

use crate::fs::{FileSystem, FsError, LockGuard, LockOutcome};

const LOCK_FILE: &str = "LOCK";

/// Holds a data folder until it is dropped or the process ends.
#[derive(Debug)]
pub struct FolderLock {
    _guard: Box<dyn LockGuard>,
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error(
        "the data folder {} is in use by {}; stop that one first, or give another folder by --data",
        folder.display(),
        holder.as_deref().unwrap_or("another process")
    )]
    InUse {
        folder: PathBuf,
        /// Such as `process 4711`, where the lock file could be read.
        holder: Option<String>,
    },
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl LockError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::InUse { .. } => ErrorKind::Conflict,
            Self::Fs(error) => error.error_kind(),
        }
    }
}

impl FolderLock {
    /// Takes the folder, which is made if it is absent.
    pub fn take(fs: &dyn FileSystem) -> Result<Self, LockError> {
        fs.create_dir_all(Path::new(""))?;
        let holder = format!("process {}", std::process::id());
        match fs.try_lock(Path::new(LOCK_FILE), &holder)? {
            LockOutcome::Taken(guard) => Ok(Self { _guard: guard }),
            LockOutcome::HeldBy(holder) => Err(LockError::InUse {
                folder: fs.root().to_owned(),
                holder: holder.filter(|text| is_a_holder(text)),
            }),
        }
    }
}

/// The file is read while its owner may be writing it, and anyone can write to it.
fn is_a_holder(text: &str) -> bool {
    text.strip_prefix("process ")
        .is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{RealFs, SimFs};

    fn check_that_a_second_one_is_kept_out(first: &dyn FileSystem, second: &dyn FileSystem) {
        let held = FolderLock::take(first).unwrap();
        let error = FolderLock::take(second).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        let text = error.to_string();
        assert!(text.contains(&first.root().display().to_string()), "{text}");
        assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
        drop(held);
        FolderLock::take(second).unwrap();
    }

    #[test]
    fn a_second_holder_is_told_the_folder_and_the_first_ones_process() {
        let disk = SimFs::new(1);
        check_that_a_second_one_is_kept_out(&disk, &disk.clone());
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("not/yet/there");
        check_that_a_second_one_is_kept_out(&RealFs::new(&data), &RealFs::new(&data));
    }

    #[test]
    fn a_lock_does_not_outlive_a_crash() {
        let disk = SimFs::new(1);
        let held = FolderLock::take(&disk).unwrap();
        disk.crash();
        let again = FolderLock::take(&disk).unwrap();
        drop(held);
        assert!(matches!(FolderLock::take(&disk), Err(LockError::InUse { .. })));
        drop(again);
    }

    #[test]
    fn a_lock_file_with_other_text_names_nobody() {
        for (text, named) in
            [("process 12", true), ("process ", false), ("process 1; rm", false), ("", false)]
        {
            assert_eq!(is_a_holder(text), named, "{text:?}");
        }
    }
}
