//! Parquet, every column of its own type: whole numbers, floats, decimals, instants in microseconds of UTC,
//! days, truths and texts. What nests is JSON text.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
    UInt64Array,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::record_batch::RecordBatch;
use ebbtide_model::{Written, nearest_float, plain_text};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::Value as Json;

use super::rows::RowSource;
use super::{ExportError, count};
use crate::report::columns::{CellType, Column, days_of, micros_of};

const UTC: &str = "UTC";
/// A row group is held in memory until it is written.
const ROW_GROUP_ROWS: usize = 128 * 1024;
const ROW_GROUP_BYTES: usize = 16 << 20;
/// What 128 bits hold.
const NARROW_DIGITS_MAX: u8 = 38;

pub(super) fn write(rows: &mut dyn RowSource, out: &mut (dyn Write + Send)) -> Result<u64, ExportError> {
    let columns = rows.columns().to_vec();
    let fields: Vec<Field> =
        columns.iter().map(|column| Field::new(&column.name, data_type(column.cell_type), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_created_by("ebbtide".to_owned())
        .build();
    let mut writer = ArrowWriter::try_new(out, schema.clone(), Some(properties))?;
    let mut written = 0;
    while let Some(batch) = rows.next()? {
        let arrays = columns.iter().map(|column| array(column, &batch)).collect::<Result<Vec<_>, _>>()?;
        if !arrays.is_empty() {
            writer.write(&RecordBatch::try_new(schema.clone(), arrays)?)?;
        }
        written += count(batch.len());
    }
    writer.close()?;
    Ok(written)
}

fn data_type(cell_type: CellType) -> DataType {
    match cell_type {
        CellType::Bool => DataType::Boolean,
        CellType::Int => DataType::Int64,
        CellType::Unsigned => DataType::UInt64,
        CellType::Float => DataType::Float64,
        CellType::Decimal { precision, scale } if precision <= NARROW_DIGITS_MAX => {
            DataType::Decimal128(precision, scale)
        }
        CellType::Decimal { precision, scale } => DataType::Decimal256(precision, scale),
        CellType::Text => DataType::Utf8,
        CellType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        CellType::Date => DataType::Date32,
    }
}

fn array(column: &Column, rows: &[Json]) -> Result<ArrayRef, ExportError> {
    let cells = || rows.iter().map(|row| row.get(&column.name).unwrap_or(&Json::Null));
    let array: ArrayRef = match column.cell_type {
        CellType::Bool => Arc::new(cells().map(Json::as_bool).collect::<BooleanArray>()),
        CellType::Int => Arc::new(cells().map(Json::as_i64).collect::<Int64Array>()),
        CellType::Unsigned => Arc::new(cells().map(Json::as_u64).collect::<UInt64Array>()),
        CellType::Float => Arc::new(cells().map(nearest_float).collect::<Float64Array>()),
        CellType::Decimal { .. } => {
            let texts: StringArray = cells().map(plain_text).collect();
            let options = CastOptions { safe: false, ..CastOptions::default() };
            cast_with_options(&texts, &data_type(column.cell_type), &options)?
        }
        CellType::Text => Arc::new(cells().map(text).collect::<StringArray>()),
        CellType::Timestamp => {
            Arc::new(cells().map(micros_of).collect::<TimestampMicrosecondArray>().with_timezone(UTC))
        }
        CellType::Date => Arc::new(cells().map(days_of).collect::<Date32Array>()),
    };
    let given = cells().filter(|cell| !cell.is_null()).count();
    if array.len() - array.null_count() != given {
        let text = format!("column {:?} has cells that are no {:?}", column.name, column.cell_type);
        return Err(ExportError::Encoding(text.into()));
    }
    Ok(array)
}

fn text(cell: &Json) -> Option<String> {
    match cell {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        other @ (Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_)) => {
            Some(Written(other).to_string())
        }
    }
}
