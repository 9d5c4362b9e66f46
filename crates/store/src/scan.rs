//! Batches of a part, in order, without dead rows.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use roaring::RoaringTreemap;

use crate::chunk::Chunk;
use crate::memtable::live_mask;
use crate::segment::{DecodedColumns, LiveSegment, SegmentScan};
use crate::{ColumnRef, StoreError};

/// Rows in a batch that a scan yields, at most.
pub(crate) const BATCH_ROWS_MAX: usize = 65_536;

/// Batches of a part, in order. Each has a row at least.
#[derive(Debug)]
pub struct Scan {
    source: Source,
}

#[derive(Debug)]
enum Source {
    Memory(MemoryScan),
    Segment(Box<SegmentScan>),
}

impl Scan {
    pub(crate) fn memory(
        chunk: &Chunk,
        dead: &Arc<RoaringTreemap>,
        rows: Range<u32>,
        columns: &[ColumnRef],
    ) -> Result<Self, StoreError> {
        let rest = chunk.batch.slice(rows.start as usize, rows.len());
        let columns = columns.iter().map(|column| column.stored_index()).collect();
        Ok(Self { source: Source::Memory(MemoryScan { rest, dead: dead.clone(), columns }) })
    }
}

impl Scan {
    pub(crate) fn segment(
        live: &LiveSegment,
        rows: Range<u32>,
        stored: &SchemaRef,
        columns: &[ColumnRef],
        decoded: Option<&Arc<DecodedColumns>>,
    ) -> Result<Self, StoreError> {
        let scan = SegmentScan::new(live, rows, stored, columns, decoded)?;
        Ok(Self { source: Source::Segment(Box::new(scan)) })
    }
}

impl Iterator for Scan {
    type Item = Result<RecordBatch, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let batch = match &mut self.source {
                Source::Memory(scan) => scan.next()?,
                Source::Segment(scan) => scan.next()?,
            };
            match batch {
                Ok(batch) if batch.num_rows() == 0 => {}
                batch => return Some(batch),
            }
        }
    }
}

#[derive(Debug)]
struct MemoryScan {
    /// All stored columns.
    rest: RecordBatch,
    dead: Arc<RoaringTreemap>,
    columns: Vec<usize>,
}

impl MemoryScan {
    fn next(&mut self) -> Option<Result<RecordBatch, StoreError>> {
        let rows = self.rest.num_rows();
        if rows == 0 {
            return None;
        }
        let taken = rows.min(BATCH_ROWS_MAX);
        let batch = self.rest.slice(0, taken);
        self.rest = self.rest.slice(taken, rows - taken);
        Some(self.project(&batch))
    }

    fn project(&self, batch: &RecordBatch) -> Result<RecordBatch, StoreError> {
        let projected = batch.project(&self.columns)?;
        Ok(match live_mask(batch, &self.dead) {
            None => projected,
            Some(mask) => filter_record_batch(&projected, &mask)?,
        })
    }
}
