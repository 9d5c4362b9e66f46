//! Rows into a data folder that no server holds.

use std::path::Path;

use ebbtide_model::pack::Pack;
use ebbtide_model::{Scope, TableName};
use ebbtide_server::sources::Chunk;
use ebbtide_store::{NewRows, Occurrences, Store};

use super::{Destination, FileOutcome, RefusedRow};
use crate::data::{open_store, operator_scope, store_failure};
use crate::failure::Failure;

pub(super) struct Folder {
    store: Store,
    scope: Scope,
    table: TableName,
    occurrences: Occurrences,
    rows: usize,
    outcome: FileOutcome,
}

impl Folder {
    pub(super) fn open(data: &Path, pack: &Pack) -> Result<Self, Failure> {
        Ok(Self {
            store: open_store(data, vec![pack.schema.clone()])?,
            scope: operator_scope(&pack.schema.app, None),
            table: TableName::new(""),
            occurrences: Occurrences::new(),
            rows: 0,
            outcome: FileOutcome::default(),
        })
    }
}

impl Destination for Folder {
    fn begin(&mut self, table: &TableName) -> Result<(), Failure> {
        self.table = table.clone();
        self.occurrences = Occurrences::new();
        self.rows = 0;
        Ok(())
    }

    fn push(&mut self, chunk: &Chunk) -> Result<(), Failure> {
        let rows = NewRows {
            table: self.table.clone(),
            batch: chunk.rows.batch.clone(),
            occurrences: self.occurrences.clone(),
        };
        let receipt = self.store.append(&self.scope, rows).map_err(store_failure)?;
        self.outcome.accepted += receipt.accepted;
        self.outcome.duplicates += receipt.duplicates;
        self.outcome.waiting += receipt.waiting;
        let before = self.rows;
        self.outcome.rejected.extend(receipt.rejected.into_iter().map(|rejection| RefusedRow {
            row: before + rejection.row,
            column: rejection.column,
            code: rejection.code.as_str().to_owned(),
            detail: rejection.detail,
        }));
        self.rows += chunk.rows.batch.num_rows();
        Ok(())
    }

    fn finish(&mut self) -> Result<FileOutcome, Failure> {
        Ok(std::mem::take(&mut self.outcome))
    }
}
