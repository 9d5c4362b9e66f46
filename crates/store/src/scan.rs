//! Batches of a part, in order, without dead rows.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array,
};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{filter_record_batch, take_record_batch};
use arrow::datatypes::{FieldRef, Schema, SchemaRef, UInt64Type};
use roaring::RoaringTreemap;

use crate::StoreError;
use crate::assembly::Assembly;
use crate::chunk::{Chunk, sequences};
use crate::columns::{SEQUENCE_INDEX, TENANT_INDEX};
use crate::memtable::live_mask;
use crate::segment::{DecodedColumns, LiveSegment, SegmentScan};

/// Rows in a batch that a scan yields, at most.
pub(crate) const BATCH_ROWS_MAX: usize = 65_536;

/// Batches of a part, in order. Each has a row at least.
#[derive(Debug)]
pub struct Scan {
    source: Source,
    after: Option<After>,
    assembly: Option<Assembly>,
}

/// Rows alone are wanted that arrived with a higher number.
#[derive(Clone, Copy, Debug)]
struct After {
    /// Where the numbers are among what is read.
    place: usize,
    number: u64,
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
        after: Option<u64>,
    ) -> Result<Self, StoreError> {
        let mut rest = chunk.batch.slice(rows.start as usize, rows.len());
        if let Some(after) = after.filter(|after| *after >= chunk.sequence_first) {
            rest = arrived_after(&rest, after, fields)?;
        }
        let own = rest.schema();
        let columns = fields.iter().map(|field| own.index_of(field.name()).ok()).collect();
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let scan = MemoryScan { rest, dead: dead.clone(), schema, columns };
        Ok(Self { source: Source::Memory(scan), after: None, assembly: None })
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
        Ok(Self { source: Source::Segment(Box::new(scan)), after: None, assembly: None })
    }

    /// Those of the rows that arrived with a higher number, which is read in this place.
    pub(crate) fn after(self, place: usize, number: u64) -> Self {
        Self { after: Some(After { place, number }), ..self }
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
            let batch = match self.after {
                None => batch,
                Some(after) => batch.and_then(|batch| after.of(&batch)),
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

impl After {
    fn of(self, batch: &RecordBatch) -> Result<RecordBatch, StoreError> {
        let numbers = batch.column(self.place).as_primitive::<UInt64Type>();
        let later = |row: usize| numbers.value(row) > self.number;
        let later = BooleanBuffer::collect_bool(numbers.len(), later);
        Ok(filter_record_batch(batch, &BooleanArray::new(later, None))?)
    }
}

/// The rows of a stored batch that arrived later than this one, with these columns. They are few: each is looked up
/// by itself, and a column that is not asked for costs nothing.
fn arrived_after(rows: &RecordBatch, number: u64, fields: &[FieldRef]) -> Result<RecordBatch, StoreError> {
    let schema = rows.schema();
    let mut columns = vec![TENANT_INDEX, SEQUENCE_INDEX];
    columns.extend(fields.iter().filter_map(|field| schema.index_of(field.name()).ok()));
    columns.sort_unstable();
    columns.dedup();
    let numbers = (0..).zip(sequences(rows).values()).filter(|(_, own)| **own > number);
    let later: UInt32Array = numbers.map(|(row, _)| row).collect::<Vec<u32>>().into();
    Ok(take_record_batch(&rows.project(&columns)?, &later)?)
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
