//! A part of a file under another name: whole and durable, or not there.

use std::path::Path;

use crate::fs::{FileSystem, FsError, FsErrorKind};

const COPY_BYTES: u64 = 1 << 20;

/// Copies the bytes up to `end`; replaces `target` if it exists.
pub(super) fn copy(
    fs: &dyn FileSystem,
    from: &Path,
    offset: u64,
    end: u64,
    target: &Path,
) -> Result<(), FsError> {
    let temporary = target.with_extension("tmp");
    remove_if_there(fs, &temporary)?;
    let copied = copy_bytes(fs, from, offset, end, &temporary);
    if copied.is_err() {
        // On a full disk the part that was written is in the way of everything else.
        remove_if_there(fs, &temporary)?;
    }
    copied?;
    fs.rename(&temporary, target)?;
    fs.sync_dir(target.parent().unwrap_or(Path::new("")))
}

fn copy_bytes(fs: &dyn FileSystem, from: &Path, offset: u64, end: u64, to: &Path) -> Result<(), FsError> {
    let mut file = fs.create_new(to)?;
    let mut at = offset;
    while at < end {
        let next = end.min(at + COPY_BYTES);
        file.write_all(&fs.read_range(from, at..next)?)?;
        at = next;
    }
    file.sync_data()
}

fn remove_if_there(fs: &dyn FileSystem, path: &Path) -> Result<(), FsError> {
    match fs.remove_file(path) {
        Err(error) if error.kind() == FsErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
