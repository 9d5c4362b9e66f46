//! Writing a segment: rows in storage order, then its keys.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType, UInt64Type};
use ebbtide_model::{TableKind, TableSchema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::blocks::BlockWriter;
use super::contents::ContentEntry;
use super::keys::{KeyEntry, KeyWriter};
use super::spilled::Spilled;
use super::spine::{Places, SpineColumns, SpineWriter};
use super::{DIRECTORY, Descriptor, FORMAT, keys_path, rows_path, spine_path};
use crate::StoreError;
use crate::chunk::sequences;
use crate::columns::DECLARED_INDEX;
use crate::directory::Directory;
use crate::fs::FileSystem;

/// Rows of a Parquet row group.
pub(crate) const GROUP_ROWS: usize = 131_072;
/// Rows of a page, at most: what a scan of one actor must decode.
const PAGE_ROWS_MAX: usize = 16_384;
/// Bytes of a column's dictionary, at most.
const DICTIONARY_BYTES_MAX: usize = 512 << 10;
/// Level 1 is a third faster to write than 3 for a twentieth more bytes.
const ZSTD_LEVEL: i32 = 1;
/// Rows that are looked at to tell whether a column repeats itself.
const SAMPLE_ROWS: usize = 4096;

/// For how long a segment is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    Lasting,
    /// Until it is merged with others: written and read fast, whatever it takes on disk.
    Brief,
}

/// A segment that is being written.
pub(crate) struct SegmentWriter {
    fs: Arc<dyn FileSystem>,
    id: u64,
    time: Option<usize>,
    with_contents: bool,
    parquet: ArrowWriter<BlockWriter>,
    spine: Option<SpineWriter>,
    sequences: Option<(u64, u64)>,
    times: Option<(i64, i64)>,
    rows: u32,
    arrow_bytes: u64,
}

impl SegmentWriter {
    /// Begins the files of segment `id`. `first` are rows of the kind that will be written, by which
    /// encodings are chosen.
    pub(crate) fn create(
        fs: Arc<dyn FileSystem>,
        id: u64,
        table: &TableSchema,
        first: &RecordBatch,
        lifetime: Lifetime,
    ) -> Result<Self, StoreError> {
        let file = BlockWriter::new(fs.create_new(&rows_path(id))?);
        let properties = match lifetime {
            Lifetime::Lasting => properties(first)?,
            Lifetime::Brief => brief_properties(),
        };
        let parquet = ArrowWriter::try_new(file, first.schema(), Some(properties))?;
        let spine = SpineColumns::of(table)
            .map(|columns| SpineWriter::create(&fs, id, table, &columns, Places::stored(&columns)));
        Ok(Self {
            fs,
            id,
            time: table.time.map(|index| DECLARED_INDEX + index),
            with_contents: table.kind == TableKind::Entity,
            parquet,
            spine: spine.transpose()?,
            sequences: None,
            times: None,
            rows: 0,
            arrow_bytes: 0,
        })
    }

    /// Adds rows that come after all before them in storage order.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        let arrivals = sequences(batch);
        self.sequences = widest(self.sequences, min(arrivals).zip(max(arrivals)));
        if let Some(index) = self.time {
            let times = batch.column(index).as_primitive::<TimestampMicrosecondType>();
            self.times = widest(self.times, min(times).zip(max(times)));
        }
        let rows = u32::try_from(batch.num_rows()).ok().and_then(|rows| self.rows.checked_add(rows));
        let too_many = || StoreError::WrongShape { detail: "a segment has too many rows".to_owned() };
        self.rows = rows.ok_or_else(too_many)?;
        self.arrow_bytes += batch.get_array_memory_size() as u64;
        if let Some(spine) = &mut self.spine {
            spine.write(batch)?;
        }
        self.parquet.write(batch)?;
        Ok(())
    }

    /// Ends the rows, durable on return save for the file's name.
    pub(crate) fn finish_rows(mut self) -> Result<SegmentKeyWriter, StoreError> {
        self.parquet.finish()?;
        let file = self.parquet.inner_mut();
        file.sync()?;
        let row_bytes = file.written();
        let row_checksums = file.checksums();
        let key_file = BlockWriter::new(self.fs.create_new(&keys_path(self.id))?);
        let keys = KeyWriter::new(key_file, self.with_contents);
        Ok(SegmentKeyWriter {
            fs: self.fs,
            id: self.id,
            rows: self.rows,
            arrow_bytes: self.arrow_bytes,
            row_bytes,
            row_checksums,
            sequences: self.sequences,
            times: self.times,
            keys,
            spine: self.spine,
            lifetime: Lifetime::Lasting,
        })
    }
}

/// A segment whose rows are written and whose keys are not.
pub(crate) struct SegmentKeyWriter {
    fs: Arc<dyn FileSystem>,
    id: u64,
    rows: u32,
    arrow_bytes: u64,
    row_bytes: u64,
    row_checksums: Vec<u32>,
    sequences: Option<(u64, u64)>,
    times: Option<(i64, i64)>,
    keys: KeyWriter,
    spine: Option<SpineWriter>,
    lifetime: Lifetime,
}

impl SegmentKeyWriter {
    /// Begins the key file of a segment whose rows were spilled.
    pub(crate) fn of_spilled(
        fs: Arc<dyn FileSystem>,
        id: u64,
        table: &TableSchema,
        spilled: &Spilled,
    ) -> Result<Self, StoreError> {
        let key_file = BlockWriter::new(fs.create_new(&keys_path(id))?);
        let keys = KeyWriter::new(key_file, table.kind == TableKind::Entity);
        Ok(Self {
            fs,
            id,
            rows: spilled.rows(),
            arrow_bytes: spilled.bytes(),
            row_bytes: spilled.bytes(),
            row_checksums: Vec::new(),
            sequences: spilled.sequence_bounds(),
            times: None,
            keys,
            spine: None,
            lifetime: Lifetime::Brief,
        })
    }

    /// Adds an entry with a greater fingerprint than the one before.
    pub(crate) fn push(&mut self, entry: &KeyEntry) -> Result<(), StoreError> {
        self.sequences = widest(self.sequences, Some((entry.sequence, entry.sequence)));
        self.keys.push(entry)
    }

    /// Adds a row without a key, after all entries of keys; its fingerprint is not below the one before.
    pub(crate) fn push_content(&mut self, entry: ContentEntry) -> Result<(), StoreError> {
        self.keys.push_content(entry)
    }

    /// Ends all files, durable with their names on return where they are to last.
    pub(crate) fn finish(self, directory: &Directory) -> Result<Descriptor, StoreError> {
        let keys = self.keys.finish(self.id, directory, &self.row_checksums, self.lifetime)?;
        if let Some(spine) = self.spine
            && !spine.finish(self.id, keys.checksum)?
        {
            self.fs.remove_file(&spine_path(self.id))?;
        }
        if self.lifetime == Lifetime::Lasting {
            self.fs.sync_dir(Path::new(DIRECTORY))?;
        }
        let (sequence_first, sequence_last) = self.sequences.unwrap_or((0, 0));
        Ok(Descriptor {
            id: self.id,
            format: FORMAT,
            rows: self.rows,
            arrow_bytes: self.arrow_bytes,
            row_bytes: self.row_bytes,
            key_bytes: keys.bytes,
            checksum: keys.checksum,
            sequence_first,
            sequence_last,
            times: self.times,
            overriding: keys.overriding,
        })
    }
}

fn widest<N: Ord + Copy>(a: Option<(N, N)>, b: Option<(N, N)>) -> Option<(N, N)> {
    match (a, b) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (one, None) | (None, one) => one,
    }
}

fn brief_properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::UNCOMPRESSED)
        .set_dictionary_enabled(false)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS_MAX)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_created_by("ebbtide".to_owned())
        .build()
}

fn properties(first: &RecordBatch) -> Result<WriterProperties, StoreError> {
    let schema = first.schema();
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS_MAX)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns(Some(vec![SortingColumn {
            column_idx: 0,
            descending: false,
            nulls_first: true,
        }]))
        .set_created_by("ebbtide".to_owned());
    for (field, array) in schema.fields().iter().zip(first.columns()) {
        let path = ColumnPath::from(field.name().clone());
        let kind = field.data_type();
        if !kind.is_primitive() && *kind != DataType::Utf8 {
            continue;
        }
        if repeats_itself(array) {
            if *kind == DataType::Utf8 {
                // Comparing every text costs more than its code, and no reader here asks for them.
                builder = builder.set_column_statistics_enabled(path, EnabledStatistics::None);
            }
            continue;
        }
        builder = builder.set_column_dictionary_enabled(path.clone(), false);
        if kind.is_integer() || kind.is_temporal() {
            builder = builder.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
        } else if *kind == DataType::Utf8 {
            builder = builder.set_column_statistics_enabled(path, EnabledStatistics::Chunk);
        }
    }
    Ok(builder.build())
}

/// Whether a dictionary pays: at most half of a sample's values differ from all before. The sample is of
/// neighbours where the column is sorted, so it is taken from all over.
fn repeats_itself(array: &ArrayRef) -> bool {
    let rows = array.len();
    let step = (rows / SAMPLE_ROWS).max(1);
    let sampled = (0..rows).step_by(step).filter(|&row| array.is_valid(row));
    let mut seen = HashSet::new();
    let mut values = 0;
    for row in sampled {
        values += 1;
        seen.insert(hash_of(array, row));
    }
    seen.len() * 2 <= values || values == 0
}

fn hash_of(array: &ArrayRef, row: usize) -> u64 {
    use xxhash_rust::xxh3::xxh3_64;
    if let Some(texts) = array.as_string_opt::<i32>() {
        return xxh3_64(texts.value(row).as_bytes());
    }
    if let Some(integers) = array.as_primitive_opt::<Int64Type>() {
        return integers.value(row).cast_unsigned();
    }
    if let Some(times) = array.as_primitive_opt::<TimestampMicrosecondType>() {
        return times.value(row).cast_unsigned();
    }
    if let Some(sequences) = array.as_primitive_opt::<UInt64Type>() {
        return sequences.value(row);
    }
    if let Some(days) = array.as_primitive_opt::<arrow::datatypes::Date32Type>() {
        return u64::from(days.value(row).cast_unsigned());
    }
    if let Some(floats) = array.as_primitive_opt::<arrow::datatypes::Float64Type>() {
        return floats.value(row).to_bits();
    }
    array
        .as_primitive_opt::<arrow::datatypes::Decimal128Type>()
        .map_or(0, |decimals| xxh3_64(&decimals.value(row).to_le_bytes()))
}
