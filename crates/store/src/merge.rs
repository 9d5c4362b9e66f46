//! Sorted segments as one sorted stream of live rows, in bounded memory.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::row::{RowConverter, Rows, SortField};

use crate::StoreError;
use crate::columns::{DECLARED_INDEX, SEQUENCE_INDEX, TENANT_INDEX};
use crate::order::order_columns;
use crate::scan::BATCH_ROWS_MAX;
use crate::segment::{LiveSegment, SegmentScan};
use crate::table::TableInfo;
use crate::widen::united;

/// Rows of all segments that are decoded at a time, about.
const DECODED_ROWS: usize = 1 << 20;
/// A batch takes about this much.
const BATCH_BYTES: usize = 64 << 20;
/// What a cell takes, about.
const CELL_BYTES: usize = 8;

/// Rows of a segment, in order.
#[derive(Clone, Debug)]
pub(crate) struct Sorted<'a> {
    pub(crate) live: &'a LiveSegment,
    pub(crate) rows: Range<u32>,
}

/// Merges rows of one table.
pub(crate) struct RowMerge {
    converter: RowConverter,
    order: Vec<usize>,
    /// The columns of all segments.
    stored: SchemaRef,
    cursors: Vec<Cursor>,
    /// Cursors that have a row, the one with the lowest row first: a binary heap.
    heap: Vec<usize>,
    batch_rows: usize,
}

/// Rows of a merge, and which segments they came from.
pub(crate) struct Merged {
    pub(crate) batch: RecordBatch,
    pub(crate) sources: Sources,
}

/// In order: a segment, and how many rows of it come next.
#[derive(Debug, Default)]
pub(crate) struct Sources(pub(crate) Vec<(usize, u32)>);

impl Sources {
    pub(crate) fn push(&mut self, segment: usize, rows: u32) {
        match self.0.last_mut() {
            Some((last, count)) if *last == segment => *count += rows,
            _ => self.0.push((segment, rows)),
        }
    }
}

struct Cursor {
    scan: SegmentScan,
    batch: RecordBatch,
    keys: Option<Rows>,
    row: usize,
}

impl RowMerge {
    pub(crate) fn new(segments: &[Sorted<'_>], info: &TableInfo) -> Result<Self, StoreError> {
        let by = order_columns(&info.schema).into_iter().map(|index| DECLARED_INDEX + index);
        let order: Vec<usize> = [TENANT_INDEX].into_iter().chain(by).chain([SEQUENCE_INDEX]).collect();
        let field = |index: &usize| SortField::new(info.stored.field(*index).data_type().clone());
        let converter = RowConverter::new(order.iter().map(field).collect())?;
        let mut own = Vec::with_capacity(segments.len());
        for Sorted { live, .. } in segments {
            own.push(Arc::new(Schema::new(live.segment.properties()?)));
        }
        let stored = united(&info.stored, own);
        let mut cursors = Vec::with_capacity(segments.len());
        let row_bytes = stored.fields().len() * CELL_BYTES;
        let mut batch_rows = (BATCH_BYTES / row_bytes).clamp(1, BATCH_ROWS_MAX);
        let decoded_rows = (DECODED_ROWS / segments.len().max(1)).clamp(1, BATCH_ROWS_MAX);
        for Sorted { live, rows } in segments {
            batch_rows = batch_rows.min(live.segment.batch_rows());
            let own_rows = decoded_rows.min(live.segment.batch_rows());
            let scan = SegmentScan::in_batches(live, rows.clone(), stored.fields(), None, own_rows)?;
            let batch = RecordBatch::new_empty(stored.clone());
            cursors.push(Cursor { scan, batch, keys: None, row: 0 });
        }
        let mut merge = Self { converter, order, stored, cursors, heap: Vec::new(), batch_rows };
        for index in 0..merge.cursors.len() {
            if merge.load(index)? {
                merge.heap.push(index);
            }
        }
        for place in (0..merge.heap.len()).rev() {
            merge.sink(place);
        }
        Ok(merge)
    }

    /// The columns of its rows.
    pub(crate) fn stored(&self) -> &SchemaRef {
        &self.stored
    }

    /// The next rows in order; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Merged>, StoreError> {
        if self.heap.is_empty() {
            return Ok(None);
        }
        // Batches that the output takes rows from; each cursor's current one is at its slot.
        let mut batches: Vec<RecordBatch> = self.cursors.iter().map(|cursor| cursor.batch.clone()).collect();
        let mut slots: Vec<usize> = (0..self.cursors.len()).collect();
        let mut picks = Vec::with_capacity(self.batch_rows);
        let mut sources = Sources::default();
        while picks.len() < self.batch_rows
            && let Some(&index) = self.heap.first()
        {
            picks.push((slots[index], self.cursors[index].row));
            sources.push(index, 1);
            self.cursors[index].row += 1;
            if self.cursors[index].row == self.cursors[index].batch.num_rows() {
                if self.load(index)? {
                    slots[index] = batches.len();
                    batches.push(self.cursors[index].batch.clone());
                } else {
                    self.heap.swap_remove(0);
                }
            }
            self.sink(0);
        }
        let batches: Vec<&RecordBatch> = batches.iter().collect();
        Ok(Some(Merged { batch: interleave_record_batch(&batches, &picks)?, sources }))
    }

    /// Reads a cursor's next batch; false at its end.
    fn load(&mut self, index: usize) -> Result<bool, StoreError> {
        let cursor = &mut self.cursors[index];
        let batch = loop {
            match cursor.scan.next().transpose()? {
                // All of its rows are dead.
                Some(batch) if batch.num_rows() == 0 => {}
                Some(batch) => break batch,
                None => return Ok(false),
            }
        };
        let columns: Vec<ArrayRef> = self.order.iter().map(|&column| batch.column(column).clone()).collect();
        cursor.keys = Some(self.converter.convert_columns(&columns)?);
        cursor.batch = batch;
        cursor.row = 0;
        Ok(true)
    }

    fn compare(&self, a: usize, b: usize) -> Ordering {
        let key = |index: usize| {
            let cursor = &self.cursors[index];
            cursor.keys.as_ref().map(|keys| keys.row(cursor.row))
        };
        key(a).cmp(&key(b))
    }

    /// Puts the heap in order below this place.
    fn sink(&mut self, place: usize) {
        let mut place = place;
        loop {
            let mut least = place;
            for child in [2 * place + 1, 2 * place + 2] {
                if child < self.heap.len()
                    && self.compare(self.heap[child], self.heap[least]) == Ordering::Less
                {
                    least = child;
                }
            }
            if least == place {
                return;
            }
            self.heap.swap(place, least);
            place = least;
        }
    }
}
