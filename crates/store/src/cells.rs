//! Typed access to the cells of a declared column, and their canonical bytes: what a value is hashed by,
//! the same whether it came from CSV, JSON or Parquet.

use std::ops::Range;

use arrow::array::{
    Array, ArrayAccessor, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Float64Array,
    Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use ebbtide_model::{Column, ColumnType, Instant, Value};

use crate::StoreError;

/// A column's array by its declared type.
#[derive(Clone, Copy)]
pub(crate) enum Cells<'a> {
    Int(&'a Int64Array),
    Float(&'a Float64Array),
    Decimal(&'a Decimal128Array),
    Bool(&'a BooleanArray),
    Text(&'a StringArray),
    Timestamp(&'a TimestampMicrosecondArray),
    Date(&'a Date32Array),
}

impl<'a> Cells<'a> {
    /// Refuses an array that is not of the column's storage type.
    pub(crate) fn of(array: &'a ArrayRef, column: &Column) -> Result<Self, StoreError> {
        let cells = match column.column_type {
            ColumnType::Int => array.as_primitive_opt::<Int64Type>().map(Self::Int),
            ColumnType::Float => array.as_primitive_opt::<Float64Type>().map(Self::Float),
            ColumnType::Decimal => array.as_primitive_opt::<Decimal128Type>().map(Self::Decimal),
            ColumnType::Bool => array.as_boolean_opt().map(Self::Bool),
            ColumnType::Text | ColumnType::Mixed => array.as_string_opt::<i32>().map(Self::Text),
            ColumnType::Timestamp => {
                array.as_primitive_opt::<TimestampMicrosecondType>().map(Self::Timestamp)
            }
            ColumnType::Date => array.as_primitive_opt::<Date32Type>().map(Self::Date),
        };
        cells.ok_or_else(|| StoreError::WrongShape {
            detail: format!("column {:?} came as {}", column.name, array.data_type()),
        })
    }

    pub(crate) fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Int(array) => array.is_null(row),
            Self::Float(array) => array.is_null(row),
            Self::Decimal(array) => array.is_null(row),
            Self::Bool(array) => array.is_null(row),
            Self::Text(array) => array.is_null(row),
            Self::Timestamp(array) => array.is_null(row),
            Self::Date(array) => array.is_null(row),
        }
    }

    /// Whether two rows have the same value, or neither has one.
    pub(crate) fn is_same(&self, row: usize, other: usize) -> bool {
        if self.is_null(row) || self.is_null(other) {
            return self.is_null(row) == self.is_null(other);
        }
        match self {
            Self::Int(array) => array.value(row) == array.value(other),
            Self::Text(array) => array.value(row) == array.value(other),
            Self::Float(_) | Self::Decimal(_) | Self::Bool(_) | Self::Timestamp(_) | Self::Date(_) => {
                self.value(row) == self.value(other)
            }
        }
    }

    pub(crate) fn value(&self, row: usize) -> Value {
        if self.is_null(row) {
            return Value::Null;
        }
        match self {
            Self::Int(array) => Value::Int(array.value(row)),
            Self::Float(array) => Value::Float(array.value(row)),
            Self::Decimal(array) => Value::Decimal(array.value(row)),
            Self::Bool(array) => Value::Bool(array.value(row)),
            Self::Text(array) => Value::Text(array.value(row).into()),
            Self::Timestamp(array) => Value::Timestamp(Instant::from_micros(array.value(row))),
            Self::Date(array) => Value::Date(array.value(row)),
        }
    }

    /// Appends the canonical bytes of a cell that is not null: fixed width, or its length first.
    pub(crate) fn write(&self, row: usize, bytes: &mut Vec<u8>) {
        match self {
            Self::Int(array) => bytes.extend_from_slice(&array.value(row).to_le_bytes()),
            Self::Float(array) => bytes.extend_from_slice(&float_bytes(array.value(row))),
            Self::Decimal(array) => bytes.extend_from_slice(&array.value(row).to_le_bytes()),
            Self::Bool(array) => bytes.push(u8::from(array.value(row))),
            Self::Text(array) => write_text(array.value(row), bytes),
            Self::Timestamp(array) => bytes.extend_from_slice(&array.value(row).to_le_bytes()),
            Self::Date(array) => bytes.extend_from_slice(&array.value(row).to_le_bytes()),
        }
    }
}

impl Cells<'_> {
    /// Appends a name and the canonical bytes of each of these rows' cells to the row's bytes, where it is not null.
    pub(crate) fn write_named(&self, name: &[u8; 8], rows: Range<usize>, bytes: &mut [Vec<u8>]) {
        match self {
            Self::Int(array) => write_all(*array, name, rows, bytes, |value| value.to_le_bytes()),
            Self::Float(array) => write_all(*array, name, rows, bytes, float_bytes),
            Self::Decimal(array) => write_all(*array, name, rows, bytes, |value| value.to_le_bytes()),
            Self::Bool(array) => write_all(*array, name, rows, bytes, |value| [u8::from(value)]),
            Self::Timestamp(array) => write_all(*array, name, rows, bytes, |value| value.to_le_bytes()),
            Self::Date(array) => write_all(*array, name, rows, bytes, |value| value.to_le_bytes()),
            Self::Text(array) if array.null_count() < array.len() => {
                for (row, bytes) in rows.zip(bytes) {
                    if !array.is_null(row) {
                        bytes.extend_from_slice(name);
                        write_text(array.value(row), bytes);
                    }
                }
            }
            Self::Text(_) => {}
        }
    }
}

fn write_all<A: ArrayAccessor, const WIDTH: usize>(
    array: A,
    name: &[u8; 8],
    rows: Range<usize>,
    bytes: &mut [Vec<u8>],
    canonical: impl Fn(A::Item) -> [u8; WIDTH],
) {
    if array.null_count() == array.len() {
        return;
    }
    for (row, bytes) in rows.zip(bytes) {
        if !array.is_null(row) {
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(&canonical(array.value(row)));
        }
    }
}

/// Text with its length in front, so that two texts in a row cannot be read as two others.
pub(crate) fn write_text(text: &str, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

/// Zero has two forms as a float and one meaning.
fn float_bytes(value: f64) -> [u8; 8] {
    let value = if value == 0.0 { 0.0 } else { value };
    value.to_bits().to_le_bytes()
}
