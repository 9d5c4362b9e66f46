//! The log records of a group.

use std::sync::Arc;

use crate::StoreError;
use crate::group::{Deleted, SortedRows};
use crate::log::{PAYLOAD_BYTES_MAX, RecordKind, RecordRef, together};
use crate::payload::{encode_keys, encode_rows};
use crate::table::TableInfo;
use crate::writer::TableIndex;

/// Rows of one log record take about this much at most.
const RECORD_BYTES: usize = 32 << 20;
/// Records of a group that take no more are one, so that a crash leaves all of them or none. Those of a
/// larger group are written one by one, parents before children: a start mends what a crash leaves of
/// rows that were to be placed.
const TOGETHER_BYTES_MAX: usize = PAYLOAD_BYTES_MAX / 2;

/// A group's log records, encoded.
pub(crate) struct Records {
    records: Vec<OwnRecord>,
}

struct OwnRecord {
    kind: RecordKind,
    table: TableIndex,
    first_sequence: u64,
    rows: u32,
    payload: Vec<u8>,
}

impl Records {
    pub(crate) fn encode(
        sorted: &[(TableIndex, SortedRows)],
        deleted: &[Deleted],
    ) -> Result<Self, StoreError> {
        let mut records = Vec::new();
        for (table, rows) in sorted {
            let chunk = &rows.sorted.chunk;
            let parts = chunk.bytes.div_ceil(RECORD_BYTES).max(1);
            let step = chunk.rows().div_ceil(parts).max(1);
            for start in (0..chunk.rows()).step_by(step) {
                let end = (start + step).min(chunk.rows());
                let batch = chunk.batch.slice(start, end - start);
                let payload =
                    encode_rows(&batch, &rows.fingerprints[start..end], &rows.contents[start..end])?;
                records.push(OwnRecord {
                    kind: RecordKind::Rows,
                    table: *table,
                    first_sequence: chunk.sequence_first,
                    rows: u32::try_from(end - start).unwrap_or(u32::MAX),
                    payload,
                });
            }
        }
        for deleted in deleted {
            records.push(OwnRecord {
                kind: RecordKind::DeleteRows,
                table: deleted.table,
                first_sequence: deleted.sequence,
                rows: u32::try_from(deleted.fingerprints.len()).unwrap_or(u32::MAX),
                payload: encode_keys(&deleted.fingerprints),
            });
        }
        Ok(Self { records })
    }

    /// Those records that are to be one, as its payload.
    pub(crate) fn together(&self, infos: &[Arc<TableInfo>]) -> Option<Vec<u8>> {
        let bytes: usize = self.records.iter().map(|record| record.payload.len()).sum();
        let is_one = self.records.len() > 1 && bytes <= TOGETHER_BYTES_MAX;
        is_one.then(|| together(&self.references(infos)))
    }

    pub(crate) fn references<'a>(&'a self, infos: &'a [Arc<TableInfo>]) -> Vec<RecordRef<'a>> {
        let reference = |record: &'a OwnRecord| {
            let info = &infos[record.table];
            RecordRef {
                kind: record.kind,
                app: &info.app,
                table: &info.schema.name,
                first_sequence: record.first_sequence,
                rows: record.rows,
                payload: &record.payload,
            }
        };
        self.records.iter().map(reference).collect()
    }
}
