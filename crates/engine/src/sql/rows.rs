//! Rows of an answer, and their one JSON form: the shortest exact text of every number, RFC 3339 instants,
//! nested lists and objects. It is written here type by type, so that nothing depends on how an engine
//! prints.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, DurationMicrosecondType, Float64Type, Int64Type,
    IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, Schema, SchemaRef, Time64MicrosecondType,
    TimeUnit, TimestampMicrosecondType, UInt64Type,
};
use ebbtide_model::{Instant, Value, exact_number};
use serde_json::{Map, Value as Json};

use super::SqlError;
use crate::exact::decimal_text;

const MICROS_PER_SECOND: u64 = Instant::MICROS_PER_SECOND.unsigned_abs();

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlColumn {
    pub name: String,
    /// `int`, `float`, `decimal`, `bool`, `text`, `timestamp`, `date` as in a table, or `time`,
    /// `duration`, `interval`, `binary`, `list`, `object`, `null`.
    pub type_name: &'static str,
    /// As the engine holds it.
    pub data_type: DataType,
    /// False where the statement makes it certain that there is no null in it, which is looked into as one is
    /// [checked](super::Sql::check).
    pub nullable: bool,
}

/// An answer: columns whose names differ, and batches of rows in order.
#[derive(Clone, Debug)]
pub struct SqlRows {
    pub columns: Vec<SqlColumn>,
    /// Of rows that there may be none of.
    pub(super) schema: SchemaRef,
    pub batches: Vec<RecordBatch>,
    /// The arrival number of the last change, within the scope, of a table that the statement names.
    pub watermark: u64,
    /// Until when the answer stays as it is while time goes on, as far as that does not hang on rows of a
    /// later time than `as_of`, or on the start of a day.
    pub changes_at: Option<Instant>,
}

impl SqlRows {
    pub fn row_count(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Bytes that the rows take in memory.
    pub fn memory_bytes(&self) -> usize {
        self.batches.iter().map(RecordBatch::get_array_memory_size).sum()
    }
}

/// Every row as an object, its fields in the order of the columns.
pub fn rows_to_json(rows: &SqlRows) -> Result<Vec<Map<String, Json>>, SqlError> {
    let mut objects = Vec::with_capacity(rows.row_count());
    for batch in &rows.batches {
        objects.append(&mut batch_to_json(&rows.columns, batch)?);
    }
    Ok(objects)
}

/// As [`rows_to_json`], of one batch.
pub fn batch_to_json(columns: &[SqlColumn], batch: &RecordBatch) -> Result<Vec<Map<String, Json>>, SqlError> {
    let mut objects: Vec<Map<String, Json>> =
        (0..batch.num_rows()).map(|_| Map::with_capacity(columns.len())).collect();
    for (column, array) in columns.iter().zip(batch.columns()) {
        for (object, cell) in objects.iter_mut().zip(cells(&column.name, array)?) {
            object.insert(column.name.clone(), cell);
        }
    }
    Ok(objects)
}

/// The columns of an answer, or what keeps it from being one.
pub(super) fn columns_of(schema: &Schema) -> Result<Vec<SqlColumn>, SqlError> {
    let mut columns: Vec<SqlColumn> = Vec::with_capacity(schema.fields().len());
    let mut names = std::collections::HashSet::new();
    for field in schema.fields() {
        let name = field.name();
        if !names.insert(name) {
            return Err(SqlError::TwoColumns { name: name.clone() });
        }
        columns.push(SqlColumn {
            name: name.clone(),
            type_name: type_name(name, field.data_type())?,
            data_type: field.data_type().clone(),
            nullable: true,
        });
    }
    Ok(columns)
}

fn type_name(column: &str, data_type: &DataType) -> Result<&'static str, SqlError> {
    Ok(match data_type {
        DataType::Null => "null",
        DataType::Boolean => "bool",
        integer if integer.is_integer() => "int",
        DataType::Float16 | DataType::Float32 | DataType::Float64 => "float",
        decimal if decimal.is_decimal() => "decimal",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text",
        DataType::Timestamp(..) => "timestamp",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time",
        DataType::Duration(_) => "duration",
        DataType::Interval(_) => "interval",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "binary"
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            type_name(column, item.data_type())?;
            "list"
        }
        DataType::Struct(fields) => {
            for field in fields {
                type_name(column, field.data_type())?;
            }
            "object"
        }
        DataType::Dictionary(_, values) => type_name(column, values)?,
        other => return Err(no_json(column, other)),
    })
}

fn no_json(column: &str, data_type: &DataType) -> SqlError {
    SqlError::NoJson { name: column.to_owned(), data_type: data_type.to_string() }
}

/// The cells of a column.
fn cells(column: &str, array: &ArrayRef) -> Result<Vec<Json>, SqlError> {
    let as_type = |data_type: DataType| cast(array, &data_type);
    Ok(match array.data_type() {
        DataType::Null => vec![Json::Null; array.len()],
        DataType::Boolean => array.as_boolean().iter().map(Json::from).collect(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().iter().map(Json::from).collect(),
        integer if integer.is_integer() => {
            as_type(DataType::Int64)?.as_primitive::<Int64Type>().iter().map(Json::from).collect()
        }
        DataType::Float64 => array.as_primitive::<Float64Type>().iter().map(float_json).collect(),
        DataType::Float16 | DataType::Float32 => {
            // By way of text: the shortest digits of a short float, not those of its long twin.
            let texts = as_type(DataType::Float32)?;
            let texts = texts.as_primitive::<arrow::datatypes::Float32Type>();
            texts.iter().map(|cell| float_json(cell.and_then(|cell| cell.to_string().parse().ok()))).collect()
        }
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            cells(column, &as_type(DataType::Decimal128(*precision, *scale))?)?
        }
        DataType::Decimal128(_, scale) => {
            let units = array.as_primitive::<Decimal128Type>();
            units.iter().map(|cell| decimal_json(cell.map(|units| units.to_string()), *scale)).collect()
        }
        DataType::Decimal256(_, scale) => {
            let units = array.as_primitive::<Decimal256Type>();
            units.iter().map(|cell| decimal_json(cell.map(|units| units.to_string()), *scale)).collect()
        }
        DataType::Utf8 => array.as_string::<i32>().iter().map(Json::from).collect(),
        DataType::Utf8View => array.as_string_view().iter().map(Json::from).collect(),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().map(Json::from).collect(),
        DataType::Dictionary(_, values) => cells(column, &as_type((**values).clone())?)?,
        DataType::List(_) => list_cells(column, array.as_list::<i32>().iter())?,
        DataType::LargeList(_) => list_cells(column, array.as_list::<i64>().iter())?,
        DataType::FixedSizeList(..) => list_cells(column, array.as_fixed_size_list().iter())?,
        DataType::Struct(_) => struct_cells(column, array)?,
        _ => time_cells(column, array)?,
    })
}

/// Cells of points and spans of time, and of bytes.
fn time_cells(column: &str, array: &ArrayRef) -> Result<Vec<Json>, SqlError> {
    let as_type = |data_type: DataType| cast(array, &data_type);
    Ok(match array.data_type() {
        DataType::Timestamp(_, zone) => {
            let micros = as_type(DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
            let instant = |micros| Value::Timestamp(Instant::from_micros(micros)).to_json();
            micros
                .as_primitive::<TimestampMicrosecondType>()
                .iter()
                .map(|cell| or_null(cell, instant))
                .collect()
        }
        DataType::Date32 | DataType::Date64 => {
            let days = as_type(DataType::Date32)?;
            let date = |days| Value::Date(days).to_json();
            days.as_primitive::<Date32Type>().iter().map(|cell| or_null(cell, date)).collect()
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            let micros = as_type(DataType::Time64(TimeUnit::Microsecond))?;
            let time = |micros: i64| Json::from(time_text(micros.unsigned_abs()));
            micros.as_primitive::<Time64MicrosecondType>().iter().map(|cell| or_null(cell, time)).collect()
        }
        DataType::Duration(_) => {
            let micros = as_type(DataType::Duration(TimeUnit::Microsecond))?;
            let duration = |micros: i64| Json::from(duration_text(micros));
            micros
                .as_primitive::<DurationMicrosecondType>()
                .iter()
                .map(|cell| or_null(cell, duration))
                .collect()
        }
        DataType::Interval(_) => {
            let intervals = as_type(DataType::Interval(IntervalUnit::MonthDayNano))?;
            let interval = |interval| Json::from(interval_text(interval));
            intervals
                .as_primitive::<IntervalMonthDayNanoType>()
                .iter()
                .map(|cell| or_null(cell, interval))
                .collect()
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            let bytes = as_type(DataType::Binary)?;
            bytes
                .as_binary::<i32>()
                .iter()
                .map(|cell| or_null(cell, |bytes| Json::from(hex(bytes))))
                .collect()
        }
        other => return Err(no_json(column, other)),
    })
}

fn or_null<T>(cell: Option<T>, json: impl Fn(T) -> Json) -> Json {
    cell.map_or(Json::Null, json)
}

fn list_cells(column: &str, lists: impl Iterator<Item = Option<ArrayRef>>) -> Result<Vec<Json>, SqlError> {
    let list = |list: Option<ArrayRef>| match list {
        Some(items) => cells(column, &items).map(Json::Array),
        None => Ok(Json::Null),
    };
    lists.map(list).collect()
}

fn struct_cells(column: &str, array: &ArrayRef) -> Result<Vec<Json>, SqlError> {
    let array = array.as_struct();
    let mut objects: Vec<Map<String, Json>> = (0..array.len()).map(|_| Map::new()).collect();
    for (field, values) in array.fields().iter().zip(array.columns()) {
        for (object, cell) in objects.iter_mut().zip(cells(column, values)?) {
            object.insert(field.name().clone(), cell);
        }
    }
    let cell = |(row, object)| if array.is_null(row) { Json::Null } else { Json::Object(object) };
    Ok(objects.into_iter().enumerate().map(cell).collect())
}

/// JSON has no infinity and no NaN: they are null. Nor is there a zero below zero.
fn float_json(value: Option<f64>) -> Json {
    value.map_or(Json::Null, |value| if value == 0.0 { Json::from(0.0) } else { Json::from(value) })
}

fn decimal_json(units: Option<String>, scale: i8) -> Json {
    units.map_or(Json::Null, |units| exact_number(&decimal_text(&units, scale)))
}

/// `09:30:00`, with the digits of a fraction where there is one.
fn time_text(micros: u64) -> String {
    let seconds = micros / MICROS_PER_SECOND;
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}{}", fraction_text(micros % MICROS_PER_SECOND))
}

/// ISO 8601 in seconds: `PT5400S`.
fn duration_text(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.unsigned_abs();
    format!("{sign}PT{}{}S", micros / MICROS_PER_SECOND, fraction_text(micros % MICROS_PER_SECOND))
}

/// ISO 8601: `P1M2DT3S`.
fn interval_text(interval: IntervalMonthDayNano) -> String {
    const NANOS_PER_MICRO: i64 = 1_000;
    let duration = duration_text(interval.nanoseconds / NANOS_PER_MICRO);
    let (sign, time) = match duration.strip_prefix("-PT") {
        Some(time) => ("-", time),
        None => ("", duration.trim_start_matches("PT")),
    };
    format!("P{}M{}DT{sign}{time}", interval.months, interval.days)
}

fn fraction_text(micros: u64) -> String {
    if micros == 0 {
        return String::new();
    }
    format!(".{micros:06}").trim_end_matches('0').to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
