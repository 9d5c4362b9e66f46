//! Rows of a chunk of an import, until chunks are merged: column by column as they lie in memory, texts of few
//! values as codes, in a file that only the import which wrote it reads. So a row is written and read again
//! for little more than the copying.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::Buffer;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, FieldRef, Float64Type, Int64Type, TimestampMicrosecondType,
};

use super::blocks::{BlockWriter, Blocks, Damage};
use super::spill_path;
use crate::StoreError;
use crate::fs::FileSystem;
use crate::import::TextCodes;

/// Parts of the file begin at multiples of this.
const ALIGNMENT: usize = 64;
/// Rows whose bytes are checked at a time.
pub(crate) const CHECKED_ROWS: u32 = 16_384;

/// The rows of a spilled segment.
#[derive(Debug)]
pub(crate) struct Spilled {
    file: Blocks,
    rows: u32,
    /// As 64-bit numbers.
    sequences: Range<usize>,
    sequence_bounds: Option<(u64, u64)>,
    /// The first row of each actor's, ascending.
    pub(crate) starts: Vec<u32>,
    columns: Vec<SpilledColumn>,
}

/// A column that has a value in some row.
#[derive(Debug)]
pub(crate) struct SpilledColumn {
    pub(crate) field: FieldRef,
    /// A byte a row, 1 where there is a value; `None` where there is one in each.
    valid: Option<Range<usize>>,
    values: SpilledValues,
}

#[derive(Debug)]
enum SpilledValues {
    /// So many bytes each.
    Fixed { width: usize, at: Range<usize> },
    /// Where each text ends, as 32-bit numbers.
    Texts { ends: Range<usize>, bytes: Range<usize> },
    /// 16-bit places among the texts.
    Codes { at: Range<usize>, texts: Arc<[Box<str>]> },
}

/// A column's values where they lie.
pub(crate) struct ColumnBytes<'a> {
    pub(crate) valid: Option<&'a [u8]>,
    pub(crate) values: ValueBytes<'a>,
}

pub(crate) enum ValueBytes<'a> {
    Fixed { bytes: &'a [u8] },
    Texts { ends: &'a [u8], bytes: &'a [u8] },
    Codes { codes: &'a [u8], texts: &'a [Box<str>] },
}

/// Writes rows in the order that they are given.
pub(crate) struct SpillWriter {
    path: PathBuf,
    file: BlockWriter,
    written: usize,
    columns: Vec<SpilledColumn>,
}

impl SpillWriter {
    pub(crate) fn create(fs: &dyn FileSystem, id: u64) -> Result<Self, StoreError> {
        let path = spill_path(id);
        let file = BlockWriter::new(fs.create_new(&path)?);
        Ok(Self { path, file, written: 0, columns: Vec::new() })
    }

    /// Adds the values that these rows have in a column, in this order; nothing where they have none.
    pub(crate) fn column(
        &mut self,
        field: &FieldRef,
        array: &ArrayRef,
        order: &[u32],
        codes: &mut TextCodes,
    ) -> Result<(), StoreError> {
        if array.null_count() == array.len() {
            return Ok(());
        }
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        let valid = match nulls {
            Some(nulls) => Some(self.put(&pick(order, |row| u8::from(nulls.is_valid(row))))?),
            None => None,
        };
        let values = self.values(field, array, order, codes)?;
        self.columns.push(SpilledColumn { field: field.clone(), valid, values });
        Ok(())
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the stored columns have no other types")]
    fn values(
        &mut self,
        field: &FieldRef,
        array: &ArrayRef,
        order: &[u32],
        codes: &mut TextCodes,
    ) -> Result<SpilledValues, StoreError> {
        let (width, picked) = match field.data_type() {
            DataType::Int64 => (8, fixed(array.as_primitive::<Int64Type>().values(), order)),
            DataType::Timestamp(_, _) => {
                (8, fixed(array.as_primitive::<TimestampMicrosecondType>().values(), order))
            }
            DataType::Float64 => (8, fixed(array.as_primitive::<Float64Type>().values(), order)),
            DataType::Date32 => (4, fixed(array.as_primitive::<Date32Type>().values(), order)),
            DataType::Decimal128(_, _) => (16, fixed(array.as_primitive::<Decimal128Type>().values(), order)),
            DataType::Boolean => {
                let values = array.as_boolean().values();
                (1, Buffer::from_vec(pick(order, |row| u8::from(values.value(row)))))
            }
            DataType::Utf8 => return self.texts(field, array, order, codes),
            other => {
                return Err(StoreError::WrongShape { detail: format!("a column of {other} came") });
            }
        };
        Ok(SpilledValues::Fixed { width, at: self.put(&picked)? })
    }

    fn texts(
        &mut self,
        field: &FieldRef,
        array: &ArrayRef,
        order: &[u32],
        codes: &mut TextCodes,
    ) -> Result<SpilledValues, StoreError> {
        let array = array.as_string::<i32>();
        if let Some((coded, texts)) = codes.of(field.name(), array) {
            let picked = Buffer::from_vec(pick(order, |row| coded[row]));
            return Ok(SpilledValues::Codes { at: self.put(&picked)?, texts });
        }
        let (mut ends, mut bytes) = (Vec::with_capacity(order.len()), Vec::new());
        for &row in order {
            if array.is_valid(row as usize) {
                bytes.extend_from_slice(array.value(row as usize).as_bytes());
            }
            let end = u32::try_from(bytes.len());
            ends.push(end.map_err(|_| StoreError::WrongShape { detail: "a chunk is too large".to_owned() })?);
        }
        Ok(SpilledValues::Texts { ends: self.put(&Buffer::from_vec(ends))?, bytes: self.put(&bytes)? })
    }

    /// Where these bytes are.
    fn put(&mut self, bytes: &[u8]) -> Result<Range<usize>, StoreError> {
        let start = self.written;
        self.file.write(bytes)?;
        let end = start + bytes.len();
        self.written = end.next_multiple_of(ALIGNMENT);
        self.file.write(&[0; ALIGNMENT][..self.written - end])?;
        Ok(start..end)
    }

    /// Ends the file: its rows, with their arrival numbers and where each actor's begin.
    pub(crate) fn finish(
        mut self,
        fs: &dyn FileSystem,
        sequences: Vec<u64>,
        starts: Vec<u32>,
    ) -> Result<Spilled, StoreError> {
        let rows = u32::try_from(sequences.len())
            .map_err(|_| StoreError::WrongShape { detail: "a chunk has too many rows".to_owned() })?;
        let sequence_bounds = sequences.iter().min().copied().zip(sequences.iter().max().copied());
        let sequences = self.put(&Buffer::from_vec(sequences))?;
        let checksums = self.file.checksums();
        let file = Blocks::new(fs.root().join(&self.path), fs.read(&self.path)?, checksums)?;
        Ok(Spilled { file, rows, sequences, sequence_bounds, starts, columns: self.columns })
    }
}

fn pick<T>(order: &[u32], value: impl Fn(usize) -> T) -> Vec<T> {
    order.iter().map(|&row| value(row as usize)).collect()
}

fn fixed<T: arrow::datatypes::ArrowNativeType>(values: &[T], order: &[u32]) -> Buffer {
    Buffer::from_vec(pick(order, |row| values[row]))
}

impl Spilled {
    pub(crate) fn bytes(&self) -> u64 {
        self.file.len()
    }

    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    /// Its lowest and highest arrival number.
    pub(crate) fn sequence_bounds(&self) -> Option<(u64, u64)> {
        self.sequence_bounds
    }

    /// Which columns it has, those of its arrival numbers and tenants left out.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &FieldRef> {
        self.columns.iter().map(|column| &column.field)
    }

    /// The column of this name; `None` where no row has a value in it.
    pub(crate) fn column(&self, name: &str) -> Option<ColumnBytes<'_>> {
        let column = self.columns.iter().find(|column| column.field.name() == name)?;
        let valid = column.valid.as_ref().map(|at| self.file.unchecked(at));
        let values = match &column.values {
            SpilledValues::Fixed { at, .. } => ValueBytes::Fixed { bytes: self.file.unchecked(at) },
            SpilledValues::Texts { ends, bytes } => {
                ValueBytes::Texts { ends: self.file.unchecked(ends), bytes: self.file.unchecked(bytes) }
            }
            SpilledValues::Codes { at, texts } => ValueBytes::Codes { codes: self.file.unchecked(at), texts },
        };
        Some(ColumnBytes { valid, values })
    }

    pub(crate) fn sequences(&self) -> &[u8] {
        self.file.unchecked(&self.sequences)
    }

    /// Makes sure that the bytes of these rows are those that were written.
    pub(crate) fn check(&self, rows: Range<u32>) -> Result<(), Damage> {
        let (start, end) = (rows.start as usize, rows.end.min(self.rows) as usize);
        let part = |at: &Range<usize>, width: usize| {
            self.file.get(at.start + start * width, (end - start) * width).map(drop)
        };
        part(&self.sequences, 8)?;
        for column in &self.columns {
            if let Some(valid) = &column.valid {
                part(valid, 1)?;
            }
            match &column.values {
                SpilledValues::Fixed { width, at } => part(at, *width)?,
                SpilledValues::Codes { at, .. } => part(at, 2)?,
                SpilledValues::Texts { ends, bytes } => {
                    // The end before the first is where that begins.
                    let before = start.saturating_sub(1);
                    self.file.get(ends.start + before * 4, (end - before) * 4)?;
                    let ends = self.file.unchecked(ends);
                    let texts = text_range(ends, start).start..text_start(ends, end);
                    self.file.get(bytes.start + texts.start, texts.len())?;
                }
            }
        }
        Ok(())
    }
}

/// Where the text of a row begins.
fn text_start(ends: &[u8], row: usize) -> usize {
    row.checked_sub(1).map_or(0, |before| number_at(ends, before) as usize)
}

/// Where the text of a row lies.
pub(crate) fn text_range(ends: &[u8], row: usize) -> Range<usize> {
    text_start(ends, row)..number_at(ends, row) as usize
}

fn number_at(bytes: &[u8], place: usize) -> u32 {
    let mut number = [0; 4];
    if let Some(bytes) = bytes.get(place * 4..place * 4 + 4) {
        number.copy_from_slice(bytes);
    }
    u32::from_le_bytes(number)
}

/// The 64-bit number in this place.
pub(crate) fn long_at(bytes: &[u8], place: usize) -> u64 {
    let mut number = [0; 8];
    if let Some(bytes) = bytes.get(place * 8..place * 8 + 8) {
        number.copy_from_slice(bytes);
    }
    u64::from_le_bytes(number)
}

/// The 16-bit number in this place.
pub(crate) fn short_at(bytes: &[u8], place: usize) -> u16 {
    let mut number = [0; 2];
    if let Some(bytes) = bytes.get(place * 2..place * 2 + 2) {
        number.copy_from_slice(bytes);
    }
    u16::from_le_bytes(number)
}
