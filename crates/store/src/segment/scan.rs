//! Reading a segment's rows: the row range of a scope, the columns that were asked for, and no dead rows.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use roaring::RoaringBitmap;

use super::blocks::{BLOCK_BYTES, Blocks, Damage};
use super::{LiveSegment, Segment};
use crate::scan::BATCH_ROWS_MAX;
use crate::{StoreError, TENANT_COLUMN};

/// The Parquet file of a segment, checked block by block as it is read.
#[derive(Clone, Debug)]
pub(super) struct RowFile {
    blocks: Arc<Blocks>,
}

impl RowFile {
    pub(super) fn new(blocks: Blocks) -> Self {
        Self { blocks: Arc::new(blocks) }
    }

    /// What went wrong, given that reading has failed: damage, if there was any.
    pub(super) fn explain(&self, error: StoreError) -> StoreError {
        self.blocks.damage().cloned().map_or(error, StoreError::from)
    }

    pub(super) fn verify(&self) -> Vec<Damage> {
        self.blocks.verify()
    }
}

impl Length for RowFile {
    fn len(&self) -> u64 {
        self.blocks.len()
    }
}

impl ChunkReader for RowFile {
    type T = RowReader;

    fn get_read(&self, start: u64) -> Result<RowReader, ParquetError> {
        Ok(RowReader { blocks: self.blocks.clone(), position: position(start)? })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.blocks.get(position(start)?, length);
        let bytes = bytes.map_err(|damage| ParquetError::External(Box::new(damage)))?;
        if bytes.len() < length {
            return Err(ParquetError::EOF("the file ends early".to_owned()));
        }
        Ok(bytes)
    }
}

fn position(start: u64) -> Result<usize, ParquetError> {
    usize::try_from(start).map_err(|error| ParquetError::External(Box::new(error)))
}

/// Reads on from a place.
pub(super) struct RowReader {
    blocks: Arc<Blocks>,
    position: usize,
}

impl Read for RowReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.blocks.get(self.position, buffer.len().min(BLOCK_BYTES));
        let bytes = bytes.map_err(io::Error::other)?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        self.position += bytes.len();
        Ok(bytes.len())
    }
}

/// Where a column that was asked for comes from.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// Whose the rows are, from the directory.
    Directory,
    /// This column of what the Parquet reader yields.
    Read(usize),
    /// The segment is older than the column.
    Absent,
}

/// Batches of a segment's live rows.
pub(crate) struct SegmentScan {
    segment: Arc<Segment>,
    dead: Arc<RoaringBitmap>,
    /// The rows that are still to come.
    rows: Range<u32>,
    schema: SchemaRef,
    sources: Vec<Source>,
    /// `None` where no column is read from the file.
    reader: Option<ParquetRecordBatchReader>,
}

impl std::fmt::Debug for SegmentScan {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SegmentScan").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl SegmentScan {
    /// These rows with these columns of today; the segment may lack some.
    pub(crate) fn new(live: &LiveSegment, rows: Range<u32>, fields: &[FieldRef]) -> Result<Self, StoreError> {
        let segment = live.segment.clone();
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let in_file = segment.metadata()?.schema().clone();
        // The reader yields each column once, in the order of the file.
        let mut wanted: Vec<usize> = Vec::new();
        let find = |field: &FieldRef| match field.name().as_str() {
            TENANT_COLUMN => None,
            name => in_file.index_of(name).ok(),
        };
        wanted.extend(fields.iter().filter_map(find));
        wanted.sort_unstable();
        wanted.dedup();
        let source = |field: &FieldRef| match field.name().as_str() {
            TENANT_COLUMN => Source::Directory,
            _ => find(field)
                .and_then(|index| wanted.binary_search(&index).ok())
                .map_or(Source::Absent, Source::Read),
        };
        let sources = fields.iter().map(source).collect();
        let reader = if wanted.is_empty() { None } else { Some(reader(&segment, &rows, wanted)?) };
        Ok(Self { segment, dead: live.dead.clone(), rows, schema, sources, reader })
    }

    fn read(&mut self) -> Result<Option<RecordBatch>, StoreError> {
        if self.rows.is_empty() {
            return Ok(None);
        }
        let read = match &mut self.reader {
            None => None,
            Some(reader) => match reader.next() {
                None => return Err(self.short()),
                Some(batch) => Some(batch.map_err(|error| self.segment.rows.explain(error.into()))?),
            },
        };
        let count = match &read {
            Some(batch) => u32::try_from(batch.num_rows()).unwrap_or(u32::MAX),
            None => u32::try_from(BATCH_ROWS_MAX).unwrap_or(u32::MAX).min(self.rows.end - self.rows.start),
        };
        let range = self.rows.start..self.rows.start.saturating_add(count);
        if range.end > self.rows.end || count == 0 {
            return Err(self.short());
        }
        self.rows.start = range.end;
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.sources.len());
        for (source, field) in self.sources.iter().zip(self.schema.fields()) {
            columns.push(match (source, &read) {
                (Source::Directory, _) => self.segment.directory.column(range.clone())?,
                (Source::Read(index), Some(batch)) => batch.column(*index).clone(),
                (Source::Read(_) | Source::Absent, _) => new_null_array(field.data_type(), range.len()),
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(range.len()));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        self.without_dead(batch, range).map(Some)
    }

    fn without_dead(&self, batch: RecordBatch, range: Range<u32>) -> Result<RecordBatch, StoreError> {
        if self.dead.range_cardinality(range.clone()) == 0 {
            return Ok(batch);
        }
        let mut alive = vec![true; range.len()];
        for row in self.dead.range(range.clone()) {
            alive[(row - range.start) as usize] = false;
        }
        Ok(filter_record_batch(&batch, &BooleanArray::from(alive))?)
    }

    fn short(&self) -> StoreError {
        let detail = "it does not have the rows that the manifest says";
        StoreError::Damaged(Damage::new(&super::rows_path(self.segment.descriptor.id), 0, detail))
    }
}

impl Iterator for SegmentScan {
    type Item = Result<RecordBatch, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.read().transpose();
        if matches!(batch, Some(Err(_))) {
            self.rows = 0..0;
        }
        batch
    }
}

/// A reader of these rows and columns, with only the row groups that hold some of them.
fn reader(
    segment: &Segment,
    rows: &Range<u32>,
    columns: Vec<usize>,
) -> Result<ParquetRecordBatchReader, StoreError> {
    let metadata = segment.metadata()?.clone();
    let (start, end) = (rows.start as usize, rows.end as usize);
    let (mut groups, mut skipped, mut group_start) = (Vec::new(), 0, 0);
    for (index, group) in metadata.metadata().row_groups().iter().enumerate() {
        let group_end = group_start + usize::try_from(group.num_rows()).unwrap_or(0);
        if group_end <= start {
            skipped = group_end;
        } else if group_start < end {
            groups.push(index);
        }
        group_start = group_end;
    }
    let selection = [RowSelector::skip(start - skipped), RowSelector::select(end - start)];
    let projection = ProjectionMask::roots(metadata.parquet_schema(), columns);
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(segment.rows.clone(), metadata)
        .with_row_groups(groups)
        .with_row_selection(RowSelection::from(selection.to_vec()))
        .with_projection(projection)
        .with_batch_size(segment.batch_rows())
        .build();
    reader.map_err(|error| segment.rows.explain(error.into()))
}
