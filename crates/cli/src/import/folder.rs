//! Rows into a data folder that no server holds.

use std::path::Path;

use ebbtide_model::pack::Pack;
use ebbtide_model::{Scope, TableName};
use ebbtide_server::rejects::{Bounds, RejectBook};
use ebbtide_server::sources::Chunk;
use ebbtide_store::{Importer, Receipt, Store};

use super::kept::Kept;
use super::{Destination, FileOutcome, RefusedRow};
use crate::data::{open_store, operator_scope, store_failure};
use crate::failure::Failure;

pub(super) struct Folder {
    store: Store,
    scope: Scope,
    /// Of the file that is being read.
    importer: Option<Importer>,
    outcome: FileOutcome,
    book: RejectBook,
}

impl Folder {
    pub(super) fn open(data: &Path, pack: &Pack) -> Result<Self, Failure> {
        // Without the system's randomness the moment alone tells rejects of two imports apart.
        let random = getrandom::u64().unwrap_or(0);
        Ok(Self {
            store: open_store(data, vec![pack.schema.clone()])?,
            scope: operator_scope(&pack.schema.app, None),
            importer: None,
            outcome: FileOutcome::default(),
            book: RejectBook::new(Bounds::default(), random),
        })
    }

    fn count(&mut self, receipt: Receipt) {
        self.outcome.accepted += receipt.accepted;
        self.outcome.duplicates += receipt.duplicates;
        self.outcome.waiting += receipt.waiting;
        self.outcome.rejected.extend(receipt.rejected.into_iter().map(|rejection| RefusedRow {
            row: rejection.row,
            column: rejection.column,
            code: rejection.code.as_str().to_owned(),
            detail: rejection.detail,
        }));
    }
}

impl Destination for Folder {
    fn begin(&mut self, table: &TableName) -> Result<(), Failure> {
        // The one before lets go of its table first: it may be the same.
        self.importer = None;
        self.importer = Some(self.store.import(&self.scope, table).map_err(store_failure)?);
        Ok(())
    }

    fn push(&mut self, chunk: &Chunk) -> Result<(), Failure> {
        if let Some(importer) = &mut self.importer {
            let receipt = importer.push(&chunk.rows.batch).map_err(store_failure)?;
            self.count(receipt);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<FileOutcome, Failure> {
        if let Some(importer) = self.importer.take() {
            let receipt = importer.finish().map_err(store_failure)?;
            self.count(receipt);
        }
        Ok(std::mem::take(&mut self.outcome))
    }

    fn keep(&mut self, refused: Kept) {
        if let Err(error) = refused.write(&self.book, &self.store, &self.scope) {
            tracing::warn!("rejected rows are not kept for the dashboard: {error}");
        }
    }

    fn close(&mut self) -> Result<(), Failure> {
        self.importer = None;
        self.store.close().map_err(store_failure)
    }
}
