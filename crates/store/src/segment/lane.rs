//! A column of a row group as a reader of few of its rows, or of its codes, wants it: texts stay codes into the
//! values that occur, and a column that is mostly missing has its values alone, side by side.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int32Array, RecordBatch, UInt32Array, new_null_array,
};
use arrow::compute::{concat, concat_batches, filter, is_not_null, take};
use arrow::datatypes::{DataType, Field, FieldRef, Int32Type, Schema};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::{Encoding, Type as PhysicalType};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::statistics::Statistics;

use super::Segment;
use super::decoded::{Decoded, DecodedColumns};
use super::scan::{decoded_chunk_bytes, reader};
use crate::StoreError;

/// A column whose values are few: each row has the place of its own.
#[derive(Debug)]
pub struct Coded {
    pub codes: Codes,
    /// `StringArray`; the last one may be null, and is that of rows without a value. Others may occur in no row.
    pub values: ArrayRef,
}

/// By row: a place among values.
#[derive(Debug)]
pub enum Codes {
    Byte(Box<[u8]>),
    Short(Box<[u16]>),
    Int(Box<[u32]>),
}

/// A column of the rows of a row group.
#[derive(Debug)]
pub(crate) enum Lane {
    Coded(Coded),
    Sparse(Sparse),
    /// By row.
    Plain(ArrayRef),
}

/// A column that few rows have a value in.
#[derive(Debug)]
pub(crate) struct Sparse {
    /// By row, a bit; 64 of them each.
    present: Box<[u64]>,
    /// By 64 rows: how many values there are before.
    before: Box<[u32]>,
    values: ArrayRef,
}

impl Codes {
    fn of_keys(keys: impl Iterator<Item = i32> + Clone, values: usize) -> Self {
        // Keys are places, of which the lowest bytes say all where there are few.
        if values <= 1 << 8 {
            Self::Byte(keys.map(|key| key.to_le_bytes()[0]).collect())
        } else if values <= 1 << 16 {
            let low = |key: i32| {
                let [first, second, ..] = key.to_le_bytes();
                u16::from_le_bytes([first, second])
            };
            Self::Short(keys.map(low).collect())
        } else {
            Self::Int(keys.map(i32::cast_unsigned).collect())
        }
    }

    /// The place of a row's value.
    pub fn at(&self, row: usize) -> usize {
        match self {
            Self::Byte(codes) => usize::from(codes[row]),
            Self::Short(codes) => usize::from(codes[row]),
            Self::Int(codes) => codes[row] as usize,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Byte(codes) => codes.len(),
            Self::Short(codes) => codes.len() * 2,
            Self::Int(codes) => codes.len() * 4,
        }
    }
}

impl Coded {
    fn of(array: &DictionaryArray<Int32Type>) -> Result<Self, StoreError> {
        let (keys, values) = (array.keys(), array.values());
        let Some(nulls) = keys.nulls().filter(|nulls| nulls.null_count() > 0) else {
            let codes = Codes::of_keys(keys.values().iter().copied(), values.len());
            return Ok(Self { codes, values: values.clone() });
        };
        let missing = i32::try_from(values.len()).unwrap_or(i32::MAX);
        let keys = keys.values().iter().zip(nulls.iter());
        let keys = keys.map(|(key, is_there)| if is_there { *key } else { missing });
        let values = concat(&[values.as_ref(), new_null_array(values.data_type(), 1).as_ref()])?;
        Ok(Self { codes: Codes::of_keys(keys, values.len()), values })
    }

    fn take(&self, rows: &UInt32Array) -> Result<ArrayRef, StoreError> {
        let rows = rows.values().iter().map(|row| *row as usize);
        let keys: Int32Array = match &self.codes {
            Codes::Byte(codes) => rows.map(|row| i32::from(codes[row])).collect::<Vec<_>>().into(),
            Codes::Short(codes) => rows.map(|row| i32::from(codes[row])).collect::<Vec<_>>().into(),
            Codes::Int(codes) => rows.map(|row| codes[row].cast_signed()).collect::<Vec<_>>().into(),
        };
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, self.values.clone())?))
    }
}

impl Sparse {
    fn of(array: &ArrayRef) -> Result<Self, StoreError> {
        let is_there = is_not_null(array)?;
        let present: Box<[u64]> = is_there.values().bit_chunks().iter_padded().collect();
        let mut count = 0;
        let before = present.iter().map(|bits| {
            let before = count;
            count += bits.count_ones();
            before
        });
        let before = before.collect();
        Ok(Self { present, before, values: filter(array, &is_there)? })
    }

    /// Where a row's value is.
    fn place(&self, row: u32) -> Option<u32> {
        let (word, bit) = ((row / 64) as usize, 1_u64 << (row % 64));
        let bits = self.present[word];
        (bits & bit != 0).then(|| self.before[word] + (bits & (bit - 1)).count_ones())
    }
}

impl Lane {
    fn of(array: ArrayRef) -> Result<Self, StoreError> {
        if let Some(array) = array.as_dictionary_opt::<Int32Type>() {
            return Ok(Self::Coded(Coded::of(array)?));
        }
        if array.null_count() * 2 > array.len() && *array.data_type() != DataType::Null {
            return Ok(Self::Sparse(Sparse::of(&array)?));
        }
        Ok(Self::Plain(array))
    }

    /// The values of these rows of the group; those of a coded column as `Dictionary(Int32, Utf8)`, among whose
    /// values one may be null.
    pub(crate) fn take(&self, rows: &UInt32Array) -> Result<ArrayRef, StoreError> {
        match self {
            Self::Coded(coded) => coded.take(rows),
            Self::Sparse(sparse) => {
                let places: UInt32Array = rows.values().iter().map(|row| sparse.place(*row)).collect();
                Ok(take(&sparse.values, &places, None)?)
            }
            Self::Plain(array) => {
                let first = rows.values().first().copied().unwrap_or(0);
                if rows.values().iter().zip(first..).all(|(row, place)| *row == place) {
                    // Rows one after the other are there already.
                    return Ok(array.slice(first as usize, rows.len()));
                }
                Ok(take(array, rows, None)?)
            }
        }
    }

    /// What it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Coded(coded) => coded.codes.bytes() + coded.values.get_array_memory_size(),
            Self::Sparse(sparse) => sparse.present.len() * 12 + sparse.values.get_array_memory_size(),
            Self::Plain(array) => array.get_array_memory_size(),
        }
    }
}

impl Segment {
    /// These columns of a row group, which has these rows; taken from `decoded` where it is given, and left there.
    pub(crate) fn lanes(
        self: &Arc<Self>,
        (group, rows): (usize, &Range<u32>),
        columns: &[usize],
        decoded: Option<&DecodedColumns>,
    ) -> Result<Vec<Arc<Lane>>, StoreError> {
        let known = |column: &usize| decoded.and_then(|decoded| decoded.lane(self, *column, rows));
        let mut lanes: Vec<Option<Arc<Lane>>> = columns.iter().map(known).collect();
        let absent = columns.iter().zip(&lanes).filter(|(_, lane)| lane.is_none());
        let metadata = self.metadata()?.metadata();
        let chunk =
            |column: usize| metadata.row_groups().get(group).and_then(|group| group.columns().get(column));
        let (coded, plain): (Vec<usize>, Vec<usize>) =
            absent.map(|(column, _)| *column).partition(|column| chunk(*column).is_some_and(is_coded));
        for (wanted, metadata) in [(coded, self.coded_metadata()?), (plain, self.metadata()?)] {
            if wanted.is_empty() {
                continue;
            }
            for (column, array) in wanted.iter().zip(self.group(rows, wanted.clone(), metadata)?) {
                let lane = Arc::new(Lane::of(array)?);
                if let Some(decoded) = decoded {
                    decoded.keep(self, *column, rows, &Decoded::Lane(lane.clone()));
                }
                if let Some(place) = columns.iter().position(|own| own == column) {
                    lanes[place] = Some(lane);
                }
            }
        }
        Ok(lanes.into_iter().flatten().collect())
    }

    /// What the lanes of these columns take in memory, about, for the row groups that have some of the rows.
    pub(crate) fn lane_bytes(&self, rows: &Range<u32>, columns: &[usize]) -> Result<u64, StoreError> {
        let mut total = 0;
        for (group, own) in self.metadata()?.metadata().row_groups().iter().zip(self.group_rows()?) {
            if own.end <= rows.start || rows.end <= own.start {
                continue;
            }
            let chunks = columns.iter().filter_map(|column| group.columns().get(*column));
            total += chunks.map(|chunk| lane_chunk_bytes(chunk, own.len() as u64)).sum::<u64>();
        }
        Ok(total)
    }

    /// These columns of all rows of a row group, in the order of the file.
    fn group(
        &self,
        rows: &Range<u32>,
        columns: Vec<usize>,
        metadata: &ArrowReaderMetadata,
    ) -> Result<Vec<ArrayRef>, StoreError> {
        let batches = reader(self, metadata, rows, columns, rows.len())?.collect::<Result<Vec<_>, _>>();
        let batches = batches.map_err(|error| self.rows.explain(error.into()))?;
        let Some(schema) = batches.first().map(RecordBatch::schema) else { return Err(self.short()) };
        let (_, arrays, count) = concat_batches(&schema, &batches)?.into_parts();
        if count == rows.len() { Ok(arrays) } else { Err(self.short()) }
    }

    /// As [`metadata`](Self::metadata), by which texts are read as `Dictionary(Int32, Utf8)`.
    fn coded_metadata(&self) -> Result<&ArrowReaderMetadata, StoreError> {
        if let Some(metadata) = self.coded_metadata.get() {
            return Ok(metadata);
        }
        let plain = self.metadata()?;
        let fields = plain.schema().fields().iter().map(|field| {
            if field.data_type() == &DataType::Utf8 {
                Arc::new(Field::new(field.name(), coded_type(), field.is_nullable()))
            } else {
                field.clone()
            }
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<FieldRef>>()));
        let options = ArrowReaderOptions::new().with_schema(schema);
        let coded = ArrowReaderMetadata::try_new(plain.metadata().clone(), options)?;
        Ok(self.coded_metadata.get_or_init(|| coded))
    }
}

/// What the lane of a column takes in memory, about.
fn lane_chunk_bytes(chunk: &ColumnChunkMetaData, rows: u64) -> u64 {
    if is_coded(chunk) {
        // A code has whole bytes and no fewer bits than in the file, save where those repeat.
        let in_file = u64::try_from(chunk.uncompressed_size()).unwrap_or(u64::MAX) / rows.max(1);
        return rows
            * if in_file == 0 {
                1
            } else if in_file == 1 {
                2
            } else {
                4
            };
    }
    let missing = chunk.statistics().and_then(Statistics::null_count_opt).unwrap_or(0);
    let present = rows.saturating_sub(missing);
    if missing * 2 > rows {
        rows / 5 + decoded_chunk_bytes(chunk, present)
    } else {
        decoded_chunk_bytes(chunk, rows)
    }
}

fn coded_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// Whether a column of texts is written as codes.
fn is_coded(chunk: &ColumnChunkMetaData) -> bool {
    chunk.column_type() == PhysicalType::BYTE_ARRAY
        && chunk.encodings().any(|encoding| matches!(encoding, Encoding::RLE_DICTIONARY))
}
