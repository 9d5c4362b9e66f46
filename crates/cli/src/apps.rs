//! `--app`: which pack, under which name.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;

use ebbtide_engine::sql::{Sql, SqlSettings};
use ebbtide_model::TableName;
use ebbtide_model::pack::{Pack, Statement, StatementCheck};
use ebbtide_server::apps::{AppError, load_app};
use ebbtide_server::report::PlannedStatements;

use crate::failure::Failure;

/// A pack's file is at most this large.
const PACK_BYTES_MAX: u64 = 4 << 20;

/// What the user named: `NAME` of a bundled pack, `FOLDER`, or `NAME=FOLDER`.
#[derive(Clone, Debug)]
pub(crate) struct AppChoice {
    given: String,
}

impl FromStr for AppChoice {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self { given: text.to_owned() })
    }
}

impl AppChoice {
    /// What a command line or a configuration names.
    pub(crate) fn named(given: &str) -> Self {
        Self { given: given.to_owned() }
    }

    /// The pack, its SQL taken as it is written: for commands that run none of it, or tell of it then.
    pub(crate) fn load(&self) -> Result<Pack, Failure> {
        self.try_load(&AsWritten).map_err(|error| explained(&error))
    }

    /// The pack with its SQL planned, so that what does not fit is told now and not to who asks later.
    pub(crate) fn load_planned(&self) -> Result<Pack, Failure> {
        let sql = Sql::new(&SqlSettings::default()).map_err(Failure::new)?;
        self.try_load(&PlannedStatements::new(&sql)).map_err(|error| explained(&error))
    }

    /// The pack, its statements checked by what is given for it.
    pub(crate) fn try_load(&self, statements: &dyn StatementCheck) -> Result<Pack, AppError> {
        load_app(&self.given, &read_bounded, statements)
    }
}

fn explained(error: &AppError) -> Failure {
    let failure = Failure::new(error);
    match error {
        AppError::Faults { .. } => failure.hint("mend these, then: ebbtide check PACK"),
        AppError::Unknown { .. } => failure.hint("name a bundled pack, or a folder that holds a pack.yaml"),
        AppError::Name { .. } | AppError::Read { .. } | AppError::NotText { .. } => failure,
    }
}

/// Statements are taken as they are written.
struct AsWritten;

impl StatementCheck for AsWritten {
    fn check(&self, statement: &Statement<'_>) -> Result<Vec<TableName>, String> {
        Ok(statement.schema.tables.iter().map(|table| table.name.clone()).collect())
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    OpenOptions::new().read(true).open(path)?.take(PACK_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > PACK_BYTES_MAX {
        return Err(io::Error::other(format!("a pack's file has at most {PACK_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}
