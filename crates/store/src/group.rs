//! What a group of requests has been granted and is not yet durable.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;

use crate::StoreError;
use crate::admission::RowTenants;
use crate::chunk::{Sorted, Unsorted};
use crate::fingerprint::Fingerprint;
use crate::table::TableInfo;
use crate::widen::{concat, united};
use crate::writer::TableIndex;

/// Changes by table, in one log write and one sync.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) rows: BTreeMap<TableIndex, Admitted>,
    pub(crate) deleted: Vec<Deleted>,
}

/// Keys of one request to delete.
#[derive(Debug)]
pub(crate) struct Deleted {
    pub(crate) table: TableIndex,
    pub(crate) sequence: u64,
    pub(crate) fingerprints: Vec<Fingerprint>,
}

/// Rows of one table, in order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Admitted {
    pieces: Vec<Piece>,
}

/// Rows of one request.
#[derive(Debug)]
pub(crate) struct Piece {
    /// Declared columns, and those of properties.
    pub(crate) rows: RecordBatch,
    pub(crate) tenants: RowTenants,
    pub(crate) sequences: Vec<u64>,
    pub(crate) fingerprints: Vec<Fingerprint>,
    pub(crate) contents: Vec<u64>,
}

/// Rows in storage order, with fingerprints and contents alike.
pub(crate) struct SortedRows {
    pub(crate) sorted: Sorted,
    pub(crate) fingerprints: Vec<Fingerprint>,
    pub(crate) contents: Vec<u64>,
}

impl Group {
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.values().all(|admitted| admitted.pieces.is_empty()) && self.deleted.is_empty()
    }
}

impl Admitted {
    pub(crate) fn push(&mut self, piece: Piece) {
        if !piece.sequences.is_empty() {
            self.pieces.push(piece);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(crate) fn sort(self, info: &TableInfo) -> Result<SortedRows, StoreError> {
        let batches: Vec<RecordBatch> = self.pieces.iter().map(|piece| piece.rows.clone()).collect();
        let rows = match batches.as_slice() {
            [rows] => rows.clone(),
            _ => concat(&info.declared, &batches)?,
        };
        let stored = united(&info.stored, [rows.schema()]);
        let columns = rows.columns().to_vec();
        let mut tenants = Vec::with_capacity(self.pieces.len());
        let (mut sequences, mut fingerprints, mut contents) = (Vec::new(), Vec::new(), Vec::new());
        for piece in self.pieces {
            tenants.push(piece.tenants);
            sequences.extend(piece.sequences);
            fingerprints.extend(piece.fingerprints);
            contents.extend(piece.contents);
        }
        let unsorted = Unsorted { columns, tenants: RowTenants::concat(tenants), sequences };
        let sorted = unsorted.sort(&info.schema, &stored)?;
        if let Some(order) = &sorted.order {
            fingerprints = order.iter().map(|&row| fingerprints[row as usize]).collect();
            contents = order.iter().map(|&row| contents[row as usize]).collect();
        }
        Ok(SortedRows { sorted, fingerprints, contents })
    }
}
