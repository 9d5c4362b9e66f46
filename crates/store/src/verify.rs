//! Reads every byte of a data folder and says which are not what was written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ebbtide_model::{TableName, TableSchema};

use crate::StoreError;
use crate::catalog::Catalog;
use crate::fs::{FileSystem, FsErrorKind};
use crate::lock::FolderLock;
use crate::log::{self, LogSettings};
use crate::manifest::{self, ManifestError, ManifestStore};
use crate::segment::{self, Damage, Segment, keys_path};

/// What a check of a data folder has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    pub files: u64,
    pub segments: u64,
    pub rows: u64,
    /// Segments whose spine is there, damaged or not. Others are answered for by their rows, and get one in the
    /// background where the table has spines.
    pub spines: u64,
    /// In no order of importance; empty is sound.
    pub damage: Vec<Damage>,
}

/// Checks a data folder that no process holds.
pub fn verify(fs: &Arc<dyn FileSystem>) -> Result<Verified, StoreError> {
    let _lock = FolderLock::take(fs.as_ref())?;
    examine(fs)
}

/// Whoever calls it holds the folder.
fn examine(fs: &Arc<dyn FileSystem>) -> Result<Verified, StoreError> {
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
    for table in &catalog.tables {
        let schema = table.layout.schema(&TableName::new(&table.table));
        for descriptor in &table.segments {
            found.files += 2;
            found.segments += 1;
            found.rows += u64::from(descriptor.rows);
            match Segment::open(fs, descriptor.clone()) {
                Ok(segment) => verify_segment(fs, &Arc::new(segment), schema.as_ref(), found)?,
                Err(StoreError::Damaged(damage)) => found.damage.push(damage),
                Err(StoreError::Fs(error)) if error.kind() == FsErrorKind::NotFound => {
                    let file = fs.root().join(keys_path(descriptor.id));
                    found.damage.push(Damage { file, offset: 0, detail: error.to_string() });
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

fn verify_segment(
    fs: &dyn FileSystem,
    segment: &Arc<Segment>,
    table: Option<&TableSchema>,
    found: &mut Verified,
) -> Result<(), StoreError> {
    let spines = u64::from(segment.has_spine());
    found.files += spines;
    found.spines += spines;
    let damage = segment.verify();
    // Damaged rows say nothing of a spine.
    if let (true, Some(table)) = (damage.is_empty(), table) {
        found.damage.extend(segment.verify_spine(fs, table)?);
    }
    found.damage.extend(damage);
    Ok(())
}

/// What a repair has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Spines that were taken away; the next process that opens the folder with its packs makes them again.
    pub spines: Vec<PathBuf>,
    /// What only a backup has.
    pub left: Vec<Damage>,
}

/// Checks a data folder that no process holds, and takes away what is damaged and can be made again.
pub fn repair(fs: &Arc<dyn FileSystem>) -> Result<Repaired, StoreError> {
    let _lock = FolderLock::take(fs.as_ref())?;
    let found = examine(fs)?;
    let mut repaired = Repaired::default();
    for damage in found.damage {
        if !is_spine(&damage.file) {
            repaired.left.push(damage);
        } else if !repaired.spines.contains(&damage.file) {
            let name = damage.file.file_name().unwrap_or_default();
            fs.remove_file(&Path::new(segment::DIRECTORY).join(name))?;
            repaired.spines.push(damage.file);
        }
    }
    if !repaired.spines.is_empty() {
        fs.sync_dir(Path::new(segment::DIRECTORY))?;
    }
    Ok(repaired)
}

fn is_spine(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == segment::SPINE_SUFFIX)
}
