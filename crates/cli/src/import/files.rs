//! Which files are loaded, into which tables, in which order: parents before children, whatever the
//! order they were named in.

use std::path::{Path, PathBuf};

use ebbtide_model::TableName;
use ebbtide_model::pack::Pack;
use ebbtide_server::sources::{FilePlan, Source, SourceError, plan_file};

use crate::failure::Failure;

/// A file and how it is read.
#[derive(Debug)]
pub(super) struct PlannedFile {
    pub(super) path: PathBuf,
    pub(super) plan: FilePlan,
}

/// Files that are not data: passed over in a folder, an error where they were named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    ByItself,
    InFolder,
}

/// The files of these paths, planned and with their headers checked, so that what cannot be loaded is
/// known before anything is.
pub(super) fn plan_files(
    pack: &Pack,
    paths: &[PathBuf],
    table: Option<&TableName>,
) -> Result<Vec<PlannedFile>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            for file in folder_files(path)? {
                files.extend(plan_one(pack, file, table, Named::InFolder)?);
            }
        } else {
            files.extend(plan_one(pack, path.clone(), table, Named::ByItself)?);
        }
    }
    if files.is_empty() {
        let known: Vec<&str> = pack.schema.tables.iter().map(|table| table.name.as_str()).collect();
        return Err(Failure::new("there is no file to load").hint(format_args!(
            "a folder holds files named after the app's tables ({}): TABLE.csv, TABLE.ndjson or TABLE.parquet",
            known.join(", ")
        )));
    }
    for file in &files {
        Source::open(&file.path, &file.plan).map_err(source_failure)?;
    }
    let order = |name: &TableName| pack.schema.tables.iter().position(|table| table.name == *name);
    files.sort_by_key(|file| order(&file.plan.table.name));
    Ok(files)
}

fn folder_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error| Failure::new(format_args!("{} cannot be read: {error}", folder.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_file() && !hidden {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn plan_one(
    pack: &Pack,
    path: PathBuf,
    table: Option<&TableName>,
    named: Named,
) -> Result<Option<PlannedFile>, Failure> {
    match plan_file(pack, &path, table) {
        Ok(plan) => Ok(Some(PlannedFile { path, plan })),
        Err(SourceError::UnknownFormat { file }) if named == Named::InFolder => {
            tracing::warn!("{file} is passed over: its name is of no data file");
            Ok(None)
        }
        Err(error) => Err(source_failure(error)),
    }
}

/// What a user can do about a file that cannot be read.
pub(super) fn source_failure(error: SourceError) -> Failure {
    let hint = match &error {
        SourceError::UnknownTable { .. } => Some("rename the file, or name its table with --table"),
        SourceError::UnknownFormat { .. } => {
            Some("name the table with --table, or describe the file in the pack's sources")
        }
        SourceError::UnknownColumn { .. } | SourceError::MissingColumns { .. } => {
            Some("the pack's sources can rename columns, and pass over those that the table lacks")
        }
        SourceError::GzipBomb { .. } => Some("unpack the file yourself if it is honest"),
        SourceError::BrokenGzip { .. } | SourceError::Damaged { .. } => {
            Some("the file was cut off or changed on its way; get it again")
        }
        SourceError::Read { .. }
        | SourceError::UnknownZone { .. }
        | SourceError::NoHeader { .. }
        | SourceError::BrokenHeader { .. }
        | SourceError::RepeatedColumn { .. }
        | SourceError::ColumnType { .. }
        | SourceError::Arrow(_) => None,
    };
    let failure = Failure::new(&error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
