//! The file of rejected rows: NDJSON, a line each, made when the first one comes.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use ebbtide_server::sources::Reject;
use serde::Serialize;

use crate::failure::Failure;

/// A rejected row, wherever it was rejected: when it was read, or when it was to be stored.
#[derive(Debug, Serialize)]
pub(super) struct RejectedRow<'a> {
    pub(super) table: &'a str,
    pub(super) file: &'a str,
    /// From 1.
    pub(super) line: u64,
    pub(super) column: Option<&'a str>,
    pub(super) code: &'a str,
    pub(super) reason: &'a str,
    /// The row's beginning, where it could not be read.
    pub(super) raw: Option<&'a str>,
}

impl<'a> RejectedRow<'a> {
    pub(super) fn unread(table: &'a str, reject: &'a Reject) -> Self {
        Self {
            table,
            file: &reject.file,
            line: reject.line,
            column: reject.column.as_deref(),
            code: reject.code.as_str(),
            reason: &reject.reason,
            raw: Some(&reject.raw),
        }
    }
}

/// How many rejected rows are told on the terminal, too.
const TOLD_MAX: usize = 5;

#[derive(Debug)]
pub(super) struct Rejects {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    /// The first few, for people.
    pub(super) told: Vec<String>,
}

impl Rejects {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, file: None, told: Vec::new() }
    }

    pub(super) fn write(&mut self, row: &RejectedRow<'_>) -> Result<(), Failure> {
        let path = self.path.clone();
        let failed = |error: std::io::Error| {
            Failure::new(format_args!("rejected rows cannot be written to {}: {error}", path.display()))
                .hint("name another file with --rejects")
        };
        if self.told.len() < TOLD_MAX {
            let column = row.column.map(|column| format!("{column}: ")).unwrap_or_default();
            self.told.push(format!("{}:{}: {column}{}", row.file, row.line, row.reason));
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(BufWriter::new(create(&path).map_err(failed)?)),
        };
        let line = serde_json::to_string(row).map_err(|error| failed(error.into()))?;
        writeln!(file, "{line}").map_err(failed)
    }

    /// Where the rejected rows are; `None` where there were none.
    pub(super) fn finish(&mut self) -> Result<Option<&Path>, Failure> {
        let Some(mut file) = self.file.take() else {
            return Ok(None);
        };
        file.flush().map_err(|error| {
            Failure::new(format_args!("rejected rows cannot be written to {}: {error}", self.path.display()))
        })?;
        Ok(Some(&self.path))
    }
}

fn create(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    OpenOptions::new().write(true).create(true).truncate(true).open(path)
}
