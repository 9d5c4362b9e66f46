//! Batches of a part, in order, without dead rows.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use roaring::RoaringTreemap;

use crate::StoreError;
use crate::assembly::Assembly;
use crate::chunk::Chunk;
use crate::memtable::live_mask;
use crate::segment::{DecodedColumns, LiveSegment, SegmentScan};

/// Rows in a batch that a scan yields, at most.
pub(crate) const BATCH_ROWS_MAX: usize = 65_536;

/// Batches of a part, in order. Each has a row at least.
#[derive(Debug)]
pub struct Scan {
    source: Source,
    assembly: Option<Assembly>,
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
        fields: &[FieldRef],
    ) -> Result<Self, StoreError> {
        let rest = chunk.batch.slice(rows.start as usize, rows.len());
        let own = rest.schema();
        let columns = fields.iter().map(|field| own.index_of(field.name()).ok()).collect();
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let scan = MemoryScan { rest, dead: dead.clone(), schema, columns };
        Ok(Self { source: Source::Memory(scan), assembly: None })
    }
}

impl Scan {
    pub(crate) fn segment(
        live: &LiveSegment,
        rows: Range<u32>,
        fields: &[FieldRef],
        decoded: Option<&Arc<DecodedColumns>>,
    ) -> Result<Self, StoreError> {
        let scan = SegmentScan::new(live, rows, fields, decoded)?;
        Ok(Self { source: Source::Segment(Box::new(scan)), assembly: None })
    }

    /// What was asked for, made of what is read.
    pub(crate) fn assembled(self, assembly: Assembly) -> Self {
        Self { assembly: Some(assembly), ..self }
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
                batch => {
                    return Some(match &self.assembly {
                        None => batch,
                        Some(assembly) => batch.and_then(|batch| assembly.assemble(&batch)),
                    });
                }
            }
        }
    }
}

#[derive(Debug)]
struct MemoryScan {
    /// All stored columns.
    rest: RecordBatch,
    dead: Arc<RoaringTreemap>,
    schema: SchemaRef,
    /// Which of them are asked for; `None`: these rows are older than the column.
    columns: Vec<Option<usize>>,
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
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for (place, field) in self.columns.iter().zip(self.schema.fields()) {
            columns.push(match place {
                Some(place) => batch.column(*place).clone(),
                None => new_null_array(field.data_type(), batch.num_rows()),
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let projected = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        Ok(match live_mask(batch, &self.dead) {
            None => projected,
            Some(mask) => filter_record_batch(&projected, &mask)?,
        })
    }
}
