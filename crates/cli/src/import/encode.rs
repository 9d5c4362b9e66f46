//! Typed rows as the JSON that `POST /v1/tables/{table}/rows` takes: decimals as text, so that no digit
//! is lost on the way.

use std::fmt::Write as _;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType,
};
use ebbtide_model::{Instant, Property, PropertyKind, Value};

/// Appends a row as an object; columns that are null are left out. The properties of an open table's row are
/// in its field `open`.
pub(super) fn push_row(batch: &RecordBatch, row: usize, open: Option<&str>, text: &mut String) {
    text.push('{');
    let mut properties = String::new();
    let schema = batch.schema_ref();
    let mut first = true;
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        if column.is_null(row) {
            continue;
        }
        if let Some(property) = Property::from_field_name(field.name()) {
            push_property(&property, column, row, &mut properties);
            continue;
        }
        if !std::mem::take(&mut first) {
            text.push(',');
        }
        // Writing to a text cannot fail.
        _ = write!(text, "{}:{}", serde_json::Value::from(field.name().as_str()), cell(column, row));
    }
    if let Some(open) = open.filter(|_| !properties.is_empty()) {
        let comma = if first { "" } else { "," };
        _ = write!(text, "{comma}{}:{{{properties}}}", serde_json::Value::from(open));
    }
    text.push('}');
}

fn push_property(property: &Property, column: &ArrayRef, row: usize, text: &mut String) {
    let comma = if text.is_empty() { "" } else { "," };
    _ = write!(text, "{comma}{}:", serde_json::Value::from(&*property.name));
    match column.as_string_opt::<i32>() {
        Some(texts) if property.kind == PropertyKind::Json => text.push_str(texts.value(row)),
        _ => _ = write!(text, "{}", cell(column, row)),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the declared columns have no other types")]
fn cell(column: &ArrayRef, row: usize) -> serde_json::Value {
    match column.data_type() {
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).into(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).into(),
        DataType::Boolean => column.as_boolean().value(row).into(),
        DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        DataType::Decimal128(_, _) => {
            Value::Decimal(column.as_primitive::<Decimal128Type>().value(row)).canonical_text().into()
        }
        DataType::Timestamp(_, _) => {
            let micros = column.as_primitive::<TimestampMicrosecondType>().value(row);
            Instant::from_micros(micros).to_string().into()
        }
        DataType::Date32 => Value::Date(column.as_primitive::<Date32Type>().value(row)).to_json(),
        _ => serde_json::Value::Null,
    }
}
