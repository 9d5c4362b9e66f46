//! Reading a segment's rows: the row range of a scope, the columns that were asked for, and no dead rows.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::basic::Type as PhysicalType;
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{ChunkReader, Length};
use roaring::RoaringBitmap;

use super::blocks::{BLOCK_BYTES, Blocks, Damage};
use super::decoded::{Decoded, DecodedColumns};
use super::{BATCH_BYTES, LiveSegment, Segment};
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
pub(crate) enum Source {
    /// Whose the rows are, from the directory.
    Directory,
    /// This column of what the Parquet reader yields.
    Read(usize),
    /// The segment is older than the column.
    Absent,
}

/// What is read of a segment for columns of today, some of which it may lack.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Columns of the file, each once, in its order.
    pub(crate) columns: Vec<usize>,
    /// By column that was asked for.
    pub(crate) sources: Vec<Source>,
}

impl Wanted {
    pub(crate) fn of(segment: &Segment, fields: &[FieldRef]) -> Result<Self, StoreError> {
        let in_file = segment.metadata()?.schema();
        let find = |field: &FieldRef| match field.name().as_str() {
            TENANT_COLUMN => None,
            name => in_file.index_of(name).ok(),
        };
        let mut columns: Vec<usize> = fields.iter().filter_map(find).collect();
        columns.sort_unstable();
        columns.dedup();
        let source = |field: &FieldRef| match field.name().as_str() {
            TENANT_COLUMN => Source::Directory,
            _ => find(field)
                .and_then(|index| columns.binary_search(&index).ok())
                .map_or(Source::Absent, Source::Read),
        };
        let sources = fields.iter().map(source).collect();
        Ok(Self { columns, sources })
    }
}

/// Batches of a segment's live rows.
pub(crate) struct SegmentScan {
    segment: Arc<Segment>,
    dead: Arc<RoaringBitmap>,
    /// The rows that are still to come.
    rows: Range<u32>,
    schema: SchemaRef,
    sources: Vec<Source>,
    reading: Reading,
}

/// How columns come from the file.
enum Reading {
    /// None is asked for.
    Nothing,
    /// Decoded for this scan alone.
    Streamed(ParquetRecordBatchReader),
    /// These, taken from what is kept, or decoded and kept.
    Kept(Arc<DecodedColumns>, Vec<usize>),
}

impl std::fmt::Debug for SegmentScan {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SegmentScan").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl SegmentScan {
    /// These rows with these columns of today; the segment may lack some. Columns are taken from `decoded` and
    /// left there, unless they are too large for it.
    pub(crate) fn new(
        live: &LiveSegment,
        rows: Range<u32>,
        fields: &[FieldRef],
        decoded: Option<&Arc<DecodedColumns>>,
    ) -> Result<Self, StoreError> {
        Self::in_batches(live, rows, fields, decoded, live.segment.batch_rows())
    }

    /// The same, with so many rows in a batch where they are decoded for this scan alone.
    pub(crate) fn in_batches(
        live: &LiveSegment,
        rows: Range<u32>,
        fields: &[FieldRef],
        decoded: Option<&Arc<DecodedColumns>>,
        batch_rows: usize,
    ) -> Result<Self, StoreError> {
        let segment = live.segment.clone();
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let Wanted { columns, sources } = Wanted::of(&segment, fields)?;
        let reading = Reading::of(&segment, &rows, columns, decoded, batch_rows)?;
        Ok(Self { segment, dead: live.dead.clone(), rows, schema, sources, reading })
    }

    fn read(&mut self) -> Result<Option<RecordBatch>, StoreError> {
        if self.rows.is_empty() {
            return Ok(None);
        }
        let (count, read) = self.read_columns()?;
        let range = self.rows.start..self.rows.start.saturating_add(count);
        if range.end > self.rows.end || count == 0 {
            return Err(self.segment.short());
        }
        self.rows.start = range.end;
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.sources.len());
        for (source, field) in self.sources.iter().zip(self.schema.fields()) {
            let of_file = match source {
                Source::Read(index) => read.get(*index).cloned(),
                Source::Directory => Some(self.segment.directory.column(range.clone())?),
                Source::Absent => None,
            };
            columns.push(of_file.unwrap_or_else(|| new_null_array(field.data_type(), range.len())));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(range.len()));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        self.without_dead(batch, range).map(Some)
    }

    /// The next rows' columns of the file, and how many rows they are.
    fn read_columns(&mut self) -> Result<(u32, Vec<ArrayRef>), StoreError> {
        match &mut self.reading {
            Reading::Nothing => {
                let rows_max = u32::try_from(BATCH_ROWS_MAX).unwrap_or(u32::MAX);
                Ok((rows_max.min(self.rows.end - self.rows.start), Vec::new()))
            }
            Reading::Streamed(reader) => {
                let Some(batch) = reader.next() else { return Err(self.segment.short()) };
                let batch = batch.map_err(|error| self.segment.rows.explain(error.into()))?;
                let count = u32::try_from(batch.num_rows()).unwrap_or(u32::MAX);
                Ok((count, batch.columns().to_vec()))
            }
            Reading::Kept(decoded, wanted) => {
                let end = self.segment.piece_end(self.rows.start)?.min(self.rows.end);
                let piece = self.rows.start..end;
                let arrays = kept_columns(&self.segment, &piece, wanted, decoded)?;
                if arrays.iter().any(|array| array.len() != piece.len()) {
                    return Err(self.segment.short());
                }
                Ok((u32::try_from(piece.len()).unwrap_or(u32::MAX), arrays))
            }
        }
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

impl Reading {
    fn of(
        segment: &Segment,
        rows: &Range<u32>,
        wanted: Vec<usize>,
        decoded: Option<&Arc<DecodedColumns>>,
        batch_rows: usize,
    ) -> Result<Self, StoreError> {
        if wanted.is_empty() || rows.is_empty() {
            return Ok(Self::Nothing);
        }
        if let Some(decoded) = decoded
            && decoded.takes(segment.decoded_bytes(rows, &wanted)?)
        {
            return Ok(Self::Kept(decoded.clone(), wanted));
        }
        Ok(Self::Streamed(reader(segment, segment.metadata()?, rows, wanted, batch_rows)?))
    }
}

/// These columns of rows that are kept together.
fn kept_columns(
    segment: &Arc<Segment>,
    piece: &Range<u32>,
    wanted: &[usize],
    decoded: &DecodedColumns,
) -> Result<Vec<ArrayRef>, StoreError> {
    let mut arrays: Vec<Option<ArrayRef>> =
        wanted.iter().map(|column| decoded.rows(segment, *column, piece)).collect();
    let absent = wanted.iter().zip(&arrays).filter(|(_, array)| array.is_none());
    let absent: Vec<usize> = absent.map(|(column, _)| *column).collect();
    if !absent.is_empty() {
        let batches = reader(segment, segment.metadata()?, piece, absent, BATCH_ROWS_MAX)?
            .collect::<Result<Vec<_>, _>>();
        let batches = batches.map_err(|error| segment.rows.explain(error.into()))?;
        let Some(schema) = batches.first().map(RecordBatch::schema) else { return Ok(Vec::new()) };
        let (_, read, _) = concat_batches(&schema, &batches)?.into_parts();
        drop(batches);
        let places = wanted.iter().zip(&mut arrays).filter(|(_, array)| array.is_none());
        for ((column, place), mut array) in places.zip(read) {
            // Decoders grow their buffers by doubling.
            array.shrink_to_fit();
            decoded.keep(segment, *column, piece, &Decoded::Rows(array.clone()));
            *place = Some(array);
        }
    }
    Ok(arrays.into_iter().flatten().collect())
}

impl Segment {
    /// Where the rows end that are decoded together with this one.
    fn piece_end(&self, row: u32) -> Result<u32, StoreError> {
        let step = u32::try_from(BATCH_ROWS_MAX).unwrap_or(u32::MAX);
        let mut start = 0_u32;
        for group in self.metadata()?.metadata().row_groups() {
            let end = start.saturating_add(u32::try_from(group.num_rows()).unwrap_or(u32::MAX));
            if row < end {
                let piece = (row - start) / step + 1;
                return Ok(start.saturating_add(piece.saturating_mul(step)).min(end));
            }
            start = end;
        }
        Ok(u32::MAX)
    }

    /// What these rows of these columns take in memory, about; more than is ever kept where a piece of
    /// them would take too much at once.
    fn decoded_bytes(&self, rows: &Range<u32>, columns: &[usize]) -> Result<u64, StoreError> {
        let (mut total, mut start) = (0_u64, 0_u64);
        for group in self.metadata()?.metadata().row_groups() {
            let group_rows = u64::try_from(group.num_rows()).unwrap_or(0);
            let (first, end) = (start.max(rows.start.into()), (start + group_rows).min(rows.end.into()));
            start += group_rows;
            if first >= end {
                continue;
            }
            let chunks = columns.iter().filter_map(|column| group.columns().get(*column));
            let bytes: u64 = chunks.map(|chunk| decoded_chunk_bytes(chunk, group_rows)).sum();
            if bytes / group_rows.max(1) * BATCH_ROWS_MAX as u64 > BATCH_BYTES {
                return Ok(u64::MAX);
            }
            total += bytes / group_rows.max(1) * (end - first);
        }
        Ok(total)
    }
}

/// What a column of a row group takes in memory, about.
pub(super) fn decoded_chunk_bytes(chunk: &ColumnChunkMetaData, rows: u64) -> u64 {
    let width = match chunk.column_type() {
        PhysicalType::BOOLEAN => 1,
        PhysicalType::INT32 | PhysicalType::FLOAT => 4,
        PhysicalType::INT64 | PhysicalType::DOUBLE => 8,
        PhysicalType::INT96 | PhysicalType::FIXED_LEN_BYTE_ARRAY => 16,
        PhysicalType::BYTE_ARRAY => {
            let texts = chunk.unencoded_byte_array_data_bytes().and_then(|bytes| u64::try_from(bytes).ok());
            // Files of other writers may not say.
            let texts = texts.or_else(|| u64::try_from(chunk.uncompressed_size()).ok());
            return texts.unwrap_or(u64::MAX / 4).saturating_add(rows * 4);
        }
    };
    rows * width
}

/// A reader of these rows and columns, with only the row groups that hold some of them.
pub(super) fn reader(
    segment: &Segment,
    metadata: &ArrowReaderMetadata,
    rows: &Range<u32>,
    columns: Vec<usize>,
    batch_rows: usize,
) -> Result<ParquetRecordBatchReader, StoreError> {
    let metadata = metadata.clone();
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
        .with_batch_size(batch_rows)
        .build();
    reader.map_err(|error| segment.rows.explain(error.into()))
}
