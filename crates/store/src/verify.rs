//! Reads every byte of a data folder and says which are not what was written.

use std::sync::Arc;

use crate::StoreError;
use crate::catalog::Catalog;
use crate::fs::{FileSystem, FsErrorKind};
use crate::lock::FolderLock;
use crate::log::{self, LogSettings};
use crate::manifest::{self, ManifestError, ManifestStore};
use crate::segment::{Damage, Segment, keys_path};

/// What a check of a data folder has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    pub files: u64,
    pub segments: u64,
    pub rows: u64,
    /// In no order of importance; empty is sound.
    pub damage: Vec<Damage>,
}

/// Checks a data folder that no process holds.
pub fn verify(fs: &Arc<dyn FileSystem>) -> Result<Verified, StoreError> {
    let _lock = FolderLock::take(fs.as_ref())?;
    let mut found = Verified::default();
    if let Some(catalog) = verify_manifest_and_log(fs, &mut found)? {
        verify_segments(fs.as_ref(), &catalog, &mut found)?;
    }
    Ok(found)
}

/// The catalog, unless it is damaged itself.
pub(crate) fn verify_manifest_and_log(
    fs: &Arc<dyn FileSystem>,
    found: &mut Verified,
) -> Result<Option<Catalog>, StoreError> {
    match manifest::verify(fs.as_ref()) {
        Ok(files) => found.files += files as u64,
        Err(ManifestError::Damaged { file, reason, .. }) => {
            found.files += 1;
            found.damage.push(Damage { file, offset: 0, detail: reason.to_string() });
        }
        Err(error) => return Err(error.into()),
    }
    let catalog = match ManifestStore::open::<Catalog>(fs.clone()) {
        Ok((_, catalog)) => catalog,
        Err(ManifestError::Damaged { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let Some(catalog) = catalog else { return Ok(None) };
    let report = log::verify(fs.clone(), LogSettings::new(catalog.folder))?;
    found.files += report.files;
    for damage in report.damage {
        found.damage.push(Damage {
            file: damage.file,
            offset: damage.offset,
            detail: format!(
                "{} bytes of the log are not what was written ({:?})",
                damage.bytes, damage.cause
            ),
        });
    }
    if let Some(cut) = report.cut {
        let detail = format!("{} bytes of a write that was not finished; a start cuts them off", cut.bytes);
        found.damage.push(Damage { file: cut.file, offset: cut.offset, detail });
    }
    Ok(Some(catalog))
}

pub(crate) fn verify_segments(
    fs: &dyn FileSystem,
    catalog: &Catalog,
    found: &mut Verified,
) -> Result<(), StoreError> {
    for descriptor in catalog.tables.iter().flat_map(|table| &table.segments) {
        found.files += 2;
        found.segments += 1;
        found.rows += u64::from(descriptor.rows);
        match Segment::open(fs, descriptor.clone()) {
            Ok(segment) => found.damage.extend(segment.verify()),
            Err(StoreError::Damaged(damage)) => found.damage.push(damage),
            Err(StoreError::Fs(error)) if error.kind() == FsErrorKind::NotFound => {
                let file = fs.root().join(keys_path(descriptor.id));
                found.damage.push(Damage { file, offset: 0, detail: error.to_string() });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
