//! Columns of a Parquet file that an open table does not declare: each is a property, of the kind that its
//! type is, or else value by value of the kind that it is as JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, StringArray, StringBuilder};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType, UInt64Type,
};
use ebbtide_model::{ColumnType, Instant, Property, PropertyKind, Value, canonical_json};
use serde_json::{Map, Value as Json};

use super::flat_json::read_flat;
use super::parquet_cast::{NoCast, cast_column, widened};
use super::properties::PropertyColumns;
use super::reject::{Refusal, RejectCode};
use crate::capture::Json as Borrowed;

/// A column that is a property, or the one that holds properties as JSON text.
pub(crate) struct Given<'a> {
    /// `None`: an object of properties.
    pub(crate) name: Option<&'a str>,
    pub(crate) array: &'a ArrayRef,
}

/// The properties of a batch's rows, and the rows that are refused.
pub(crate) struct Gathered {
    pub(crate) columns: BTreeMap<Property, ArrayRef>,
    pub(crate) refused: Vec<(usize, Refusal)>,
}

/// `field` is the table's name for an object of properties.
pub(crate) fn gather(rows: usize, field: &str, given: &[Given<'_>]) -> Result<Gathered, NoCast> {
    let mut gathered = Gathered { columns: BTreeMap::new(), refused: Vec::new() };
    let mut by_value = Vec::new();
    // Names of columns differ; an object's may be one of them.
    let mut whole_names = Vec::new();
    for Given { name, array } in given {
        let array = plain(array)?;
        match (name, whole(&array)) {
            (Some(name), Some((kind, values))) => {
                whole_names.push(*name);
                if values.null_count() < values.len() {
                    gathered.columns.insert(Property::new(name, kind), values);
                }
            }
            _ => by_value.push((*name, array)),
        }
    }
    if by_value.is_empty() {
        return Ok(gathered);
    }
    let mut columns = PropertyColumns::beside(whole_names.into_iter());
    let mut kept = 0;
    let mut fields = Vec::new();
    for row in 0..rows {
        let set = by_value.iter().try_for_each(|(name, array)| match (name, array.as_string_opt::<i32>()) {
            (None, Some(texts)) if texts.is_null(row) => Ok(()),
            (None, Some(texts)) if read_flat(texts.value(row), &mut fields) => {
                columns.set_fields(row, &fields)
            }
            (None, Some(texts)) => columns.set_all(row, field, &object_of_text(field, texts.value(row))?),
            (None, None) => columns.set_all(row, field, &(&json_of(array, row)).into()),
            (Some(name), _) => columns.set(row, name, &(&json_of(array, row)).into()),
        });
        match set {
            Ok(()) => {
                columns.close_row();
                kept += 1;
            }
            Err(refusal) => {
                columns.give_up_row(row);
                gathered.refused.push((row, refusal));
            }
        }
    }
    if kept > 0 {
        gathered.columns.extend(columns.finish(rows)?);
    }
    Ok(gathered)
}

/// Whether a column of this type can be a property.
pub(crate) fn is_property(array: &ArrayRef) -> bool {
    plain(array).is_ok_and(|array| is_json(array.data_type()))
}

/// Numbers become text where a column is of text.
pub(crate) fn numbers_as_text(array: &ArrayRef) -> Option<ArrayRef> {
    let array = widened(array).ok()?;
    if let Some(whole) = array.as_primitive_opt::<Int64Type>() {
        let signed = |value: i64| (value < 0, value.unsigned_abs());
        return Some(whole_as_text(whole.iter().map(|value| value.map(signed))));
    }
    if let Some(whole) = array.as_primitive_opt::<UInt64Type>() {
        return Some(whole_as_text(whole.iter().map(|value| value.map(|value| (false, value)))));
    }
    let is_number = matches!(array.data_type(), DataType::Float64 | DataType::Decimal128(_, _));
    let text = |row| (!array.is_null(row)).then(|| canonical_json(&json_of(&array, row)));
    is_number.then(|| Arc::new((0..array.len()).map(text).collect::<StringArray>()) as ArrayRef)
}

fn whole_as_text(numbers: impl ExactSizeIterator<Item = Option<(bool, u64)>>) -> ArrayRef {
    let mut texts = StringBuilder::with_capacity(numbers.len(), numbers.len() * 8);
    let mut digits = [0; DIGITS_MAX + 1];
    for number in numbers {
        texts.append_option(number.map(|(is_negative, size)| write_whole(is_negative, size, &mut digits)));
    }
    Arc::new(texts.finish())
}

/// Digits of a number of 64 bits.
const DIGITS_MAX: usize = 20;

/// A whole number in decimal digits, which are written from the last on.
fn write_whole(is_negative: bool, size: u64, digits: &mut [u8; DIGITS_MAX + 1]) -> &str {
    let mut start = digits.len();
    let mut rest = size;
    loop {
        start -= 1;
        let [digit, ..] = (rest % 10).to_le_bytes();
        digits[start] = b'0' + digit;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if is_negative {
        start -= 1;
        digits[start] = b'-';
    }
    // Digits are text.
    std::str::from_utf8(&digits[start..]).unwrap_or_default()
}

/// In one of few types: times and decimals as columns have them.
#[expect(clippy::wildcard_enum_match_arm, reason = "the other types stay as they are")]
fn plain(array: &ArrayRef) -> Result<ArrayRef, NoCast> {
    let array = widened(array)?;
    Ok(match array.data_type() {
        DataType::Timestamp(_, _) => cast_column(&array, ColumnType::Timestamp, None)?.array,
        DataType::Date32 | DataType::Date64 => cast_column(&array, ColumnType::Date, None)?.array,
        DataType::Decimal128(_, _) | DataType::Decimal256(_, _) => {
            cast_column(&array, ColumnType::Decimal, None)?.array
        }
        DataType::Binary => cast_column(&array, ColumnType::Text, None)?.array,
        _ => array,
    })
}

/// A column whose values are all of one kind.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others are looked at value by value")]
fn whole(array: &ArrayRef) -> Option<(PropertyKind, ArrayRef)> {
    let texts = |text: &dyn Fn(usize) -> String| {
        let text = |row| (!array.is_null(row)).then(|| text(row));
        Arc::new((0..array.len()).map(text).collect::<StringArray>()) as ArrayRef
    };
    Some(match array.data_type() {
        DataType::Boolean => (PropertyKind::Bool, array.clone()),
        DataType::Int64 => (PropertyKind::Int, array.clone()),
        DataType::UInt64 => {
            let numbers = array.as_primitive::<UInt64Type>();
            let whole: Option<Vec<Option<i64>>> = numbers
                .iter()
                .map(|value| {
                    value.map(|value| i64::try_from(value).ok()).map_or(Some(None), |value| value.map(Some))
                })
                .collect();
            (PropertyKind::Int, Arc::new(Int64Array::from(whole?)))
        }
        DataType::Float64 => {
            // What is no number is no value.
            let floats = array.as_primitive::<Float64Type>().iter();
            let finite = floats.map(|value| value.filter(|value| value.is_finite()));
            (PropertyKind::Float, Arc::new(finite.collect::<Float64Array>()))
        }
        DataType::Utf8 => (PropertyKind::Text, array.clone()),
        DataType::Timestamp(_, _) => {
            let times = array.as_primitive::<TimestampMicrosecondType>();
            (PropertyKind::Text, texts(&|row| Instant::from_micros(times.value(row)).to_string()))
        }
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>();
            let text = |row| Value::Date(days.value(row)).canonical_text().unwrap_or_default();
            (PropertyKind::Text, texts(&text))
        }
        _ => return None,
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "no other type says what JSON could")]
fn is_json(data_type: &DataType) -> bool {
    match data_type {
        DataType::Null
        | DataType::Boolean
        | DataType::Int64
        | DataType::UInt64
        | DataType::Float64
        | DataType::Utf8
        | DataType::Timestamp(_, _)
        | DataType::Date32
        | DataType::Decimal128(_, _) => true,
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            is_property(&arrow::array::new_empty_array(field.data_type()))
        }
        DataType::Struct(fields) => {
            fields.iter().all(|field| is_property(&arrow::array::new_empty_array(field.data_type())))
        }
        _ => false,
    }
}

/// A cell as JSON; null where it is null, or no number.
#[expect(clippy::wildcard_enum_match_arm, reason = "other types are refused before a row is read")]
fn json_of(array: &ArrayRef, row: usize) -> Json {
    if array.is_null(row) {
        return Json::Null;
    }
    let Ok(array) = plain(&array.slice(row, 1)) else { return Json::Null };
    if array.is_null(0) {
        return Json::Null;
    }
    let list = |items: ArrayRef| (0..items.len()).map(|item| json_of(&items, item)).collect();
    match array.data_type() {
        DataType::Boolean => array.as_boolean().value(0).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(0).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(0).into(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(0).into(),
        DataType::Utf8 => array.as_string::<i32>().value(0).into(),
        DataType::Timestamp(_, _) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(0);
            Instant::from_micros(micros).to_string().into()
        }
        DataType::Date32 => Value::Date(array.as_primitive::<Date32Type>().value(0)).to_json(),
        DataType::Decimal128(_, _) => {
            Value::Decimal(array.as_primitive::<Decimal128Type>().value(0)).to_json()
        }
        DataType::List(_) => list(array.as_list::<i32>().value(0)),
        DataType::LargeList(_) => list(array.as_list::<i64>().value(0)),
        DataType::FixedSizeList(_, _) => list(array.as_fixed_size_list().value(0)),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns().iter();
            let field = |(field, column): (&arrow::datatypes::FieldRef, &ArrayRef)| {
                (field.name().clone(), json_of(column, 0))
            };
            Json::Object(fields.iter().zip(columns).map(field).collect::<Map<String, Json>>())
        }
        _ => Json::Null,
    }
}

/// The properties that a text of JSON says; an empty one has none.
pub(crate) fn object_of_text<'t>(field: &str, text: &'t str) -> Result<Borrowed<'t>, Refusal> {
    if text.trim().is_empty() {
        return Ok(Borrowed::Null);
    }
    serde_json::from_str(text).map_err(|error| {
        Refusal::of_cell(field, RejectCode::BrokenJson, format!("the properties are no JSON: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_as_text_are_their_digits() {
        let signed =
            Int64Array::from(vec![Some(0), None, Some(-1), Some(i64::MIN), Some(i64::MAX), Some(10)]);
        let texts = numbers_as_text(&(Arc::new(signed.clone()) as ArrayRef)).unwrap();
        let expected: StringArray = signed.iter().map(|value| value.map(|value| value.to_string())).collect();
        assert_eq!(texts.as_string::<i32>(), &expected);
        let unsigned = arrow::array::UInt64Array::from(vec![Some(u64::MAX), Some(0), None, Some(100)]);
        let texts = numbers_as_text(&(Arc::new(unsigned.clone()) as ArrayRef)).unwrap();
        let expected: StringArray =
            unsigned.iter().map(|value| value.map(|value| value.to_string())).collect();
        assert_eq!(texts.as_string::<i32>(), &expected);
    }
}
