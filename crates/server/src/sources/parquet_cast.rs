//! Arrow arrays of whatever type a file has, cast to the type that a table declares. A type that
//! cannot hold the column at all is refused at once; a value that does not fit refuses its row.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of Arrow's many types, those that are not named have no cast"
)]

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Date64Type, Decimal128Type, Float64Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt64Type,
};
use ebbtide_model::{CastError, ColumnType, DECIMAL_PRECISION, DECIMAL_SCALE, Instant, Value};
use ebbtide_store::arrow_type;

use super::cast::TextCast;

/// A column in its declared type, and the rows whose value did not fit; they are null in it.
#[derive(Debug)]
pub(crate) struct CastColumn {
    pub(crate) array: ArrayRef,
    pub(crate) unfit: Vec<Unfit>,
}

#[derive(Debug)]
pub(crate) struct Unfit {
    pub(crate) row: usize,
    pub(crate) error: CastError,
}

/// No value of the file's type becomes one of the declared type.
#[derive(Debug)]
pub(crate) struct NoCast;

impl From<arrow::error::ArrowError> for NoCast {
    fn from(_: arrow::error::ArrowError) -> Self {
        Self
    }
}

pub(crate) fn cast_column(
    array: &ArrayRef,
    column_type: ColumnType,
    text_cast: Option<&TextCast>,
) -> Result<CastColumn, NoCast> {
    let array = widened(array)?;
    if *array.data_type() == DataType::Null {
        let array = arrow::array::new_null_array(&arrow_type(column_type), array.len());
        return Ok(CastColumn { array, unfit: Vec::new() });
    }
    if let Some(text_cast) = text_cast {
        return by_text_cast(&array, column_type, text_cast);
    }
    match column_type {
        ColumnType::Int => to_int(&array),
        ColumnType::Float => to_float(&array),
        ColumnType::Decimal => to_decimal(&array),
        ColumnType::Bool => to_bool(&array),
        ColumnType::Text | ColumnType::Mixed => to_text(&array),
        ColumnType::Timestamp => to_timestamp(&array),
        ColumnType::Date => to_date(&array),
    }
}

/// The few types that all others widen to without loss.
pub(crate) fn widened(array: &ArrayRef) -> Result<ArrayRef, NoCast> {
    let wide = match array.data_type() {
        DataType::Dictionary(_, values) => {
            return widened(&cast(array, values)?);
        }
        DataType::RunEndEncoded(_, values) => {
            return widened(&cast(array, values.data_type())?);
        }
        DataType::Int8 | DataType::Int16 | DataType::Int32 => DataType::Int64,
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => DataType::Int64,
        DataType::Float16 | DataType::Float32 => return widen_floats(array),
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) => {
            DataType::Decimal128(DECIMAL_PRECISION, *scale)
        }
        _ => return Ok(array.clone()),
    };
    Ok(cast(array, &wide)?)
}

/// A 32-bit float means its own shortest text, so 0.1 stays 0.1 when it widens.
fn widen_floats(array: &ArrayRef) -> Result<ArrayRef, NoCast> {
    let floats = cast(array, &DataType::Float32)?;
    let floats = floats.as_primitive::<arrow::datatypes::Float32Type>();
    let widen = |value: f32| match value.is_finite() {
        true => value.to_string().parse().unwrap_or(f64::from(value)),
        false => f64::from(value),
    };
    Ok(Arc::new(floats.iter().map(|value| value.map(widen)).collect::<Float64Array>()))
}

/// Casts value by value; `None` refuses the row, whose value is shown as `show` says.
fn each<T: ArrowPrimitiveType, U>(
    array: &ArrayRef,
    column_type: ColumnType,
    to: impl Fn(T::Native) -> Option<U>,
    show: impl Fn(T::Native) -> String,
) -> (Vec<Option<U>>, Vec<Unfit>) {
    let mut unfit = Vec::new();
    let values = array.as_primitive::<T>().iter().enumerate().map(|(row, value)| {
        let value = value?;
        let cast = to(value);
        if cast.is_none() {
            unfit.push(Unfit { row, error: CastError { given: show(value), column_type } });
        }
        cast
    });
    let values = values.collect();
    (values, unfit)
}

/// The same for texts.
fn each_text<U>(array: &ArrayRef, to: impl Fn(&str) -> Result<U, CastError>) -> (Vec<Option<U>>, Vec<Unfit>) {
    let mut unfit = Vec::new();
    let values = array
        .as_string::<i32>()
        .iter()
        .enumerate()
        .map(|(row, value)| to(value?).map_err(|error| unfit.push(Unfit { row, error })).ok());
    let values = values.collect();
    (values, unfit)
}

fn column<A: Array + 'static>(array: A, unfit: Vec<Unfit>) -> Result<CastColumn, NoCast> {
    Ok(CastColumn { array: Arc::new(array), unfit })
}

fn to_int(array: &ArrayRef) -> Result<CastColumn, NoCast> {
    let int = ColumnType::Int;
    let (values, unfit) = match array.data_type() {
        DataType::Int64 => return Ok(CastColumn { array: array.clone(), unfit: Vec::new() }),
        DataType::UInt64 => each::<UInt64Type, i64>(array, int, |v| i64::try_from(v).ok(), |v| v.to_string()),
        DataType::Float64 => each::<Float64Type, i64>(
            array,
            int,
            |value| match Value::from_json(&serde_json::Value::from(value), int) {
                Ok(Value::Int(value)) => Some(value),
                _ => None,
            },
            |v| v.to_string(),
        ),
        DataType::Decimal128(_, scale) => {
            let scale = *scale;
            each::<Decimal128Type, i64>(
                array,
                int,
                |units| i64::try_from(rescaled(units, scale, 0)?).ok(),
                |units| shown_decimal(units, scale),
            )
        }
        _ => return Err(NoCast),
    };
    column(Int64Array::from(values), unfit)
}

fn to_float(array: &ArrayRef) -> Result<CastColumn, NoCast> {
    let float = ColumnType::Float;
    let (values, unfit) = match array.data_type() {
        DataType::Float64 => {
            each::<Float64Type, f64>(array, float, |v| v.is_finite().then_some(v), |v| v.to_string())
        }
        DataType::Int64 => {
            each::<Int64Type, f64>(array, float, |v| v.to_string().parse().ok(), |v| v.to_string())
        }
        DataType::UInt64 => {
            each::<UInt64Type, f64>(array, float, |v| v.to_string().parse().ok(), |v| v.to_string())
        }
        DataType::Decimal128(_, scale) => {
            let show = |units| shown_decimal(units, *scale);
            each::<Decimal128Type, f64>(array, float, |units| show(units).parse().ok(), show)
        }
        _ => return Err(NoCast),
    };
    column(Float64Array::from(values), unfit)
}

fn to_decimal(array: &ArrayRef) -> Result<CastColumn, NoCast> {
    let decimal = ColumnType::Decimal;
    let from_text = |text: &str| match Value::from_text(text, decimal) {
        Ok(Value::Decimal(units)) => Some(units),
        _ => None,
    };
    let declared_scale = DECIMAL_SCALE.cast_signed();
    let (values, unfit) = match array.data_type() {
        DataType::Decimal128(_, scale) => {
            let limit = 10_i128.pow(u32::from(DECIMAL_PRECISION));
            each::<Decimal128Type, i128>(
                array,
                decimal,
                |units| rescaled(units, *scale, declared_scale).filter(|units| units.abs() < limit),
                |units| shown_decimal(units, *scale),
            )
        }
        DataType::Int64 => {
            each::<Int64Type, i128>(array, decimal, |v| from_text(&v.to_string()), |v| v.to_string())
        }
        DataType::UInt64 => {
            each::<UInt64Type, i128>(array, decimal, |v| from_text(&v.to_string()), |v| v.to_string())
        }
        DataType::Float64 => {
            each::<Float64Type, i128>(array, decimal, |v| from_text(&v.to_string()), |v| v.to_string())
        }
        DataType::Utf8 => {
            each_text(array, |text| from_text(text).ok_or_else(|| CastError::new(text, decimal)))
        }
        _ => return Err(NoCast),
    };
    let decimals = Decimal128Array::from(values);
    column(decimals.with_precision_and_scale(DECIMAL_PRECISION, declared_scale)?, unfit)
}

fn to_bool(array: &ArrayRef) -> Result<CastColumn, NoCast> {
    match array.data_type() {
        DataType::Boolean => Ok(CastColumn { array: array.clone(), unfit: Vec::new() }),
        _ => Err(NoCast),
    }
}

fn to_text(array: &ArrayRef) -> Result<CastColumn, NoCast> {
    match array.data_type() {
        DataType::Utf8 => Ok(CastColumn { array: array.clone(), unfit: Vec::new() }),
        // Older writers leave out the annotation that says a column of bytes is text.
        DataType::Binary => {
            let mut unfit = Vec::new();
            let texts = array.as_binary::<i32>().iter().enumerate().map(|(row, bytes)| {
                let bytes = bytes?;
                let text = std::str::from_utf8(bytes).ok();
                if text.is_none() {
                    let error = CastError::new(&String::from_utf8_lossy(bytes), ColumnType::Text);
                    unfit.push(Unfit { row, error });
                }
                text
            });
            let texts: StringArray = texts.collect();
            column(texts, unfit)
        }
        _ => Err(NoCast),
    }
}

/// An instant without a zone is UTC; digits past the microsecond are cut towards the past.
fn to_timestamp(array: &ArrayRef) -> Result<CastColumn, NoCast> {
    let timestamp = ColumnType::Timestamp;
    let valid = |micros: i64| Instant::from_micros(micros).to_timestamp().map(|_| micros);
    let show = |value: i64| value.to_string();
    let (values, unfit) = match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => each::<TimestampSecondType, i64>(
            array,
            timestamp,
            |seconds| valid(seconds.checked_mul(1_000_000)?),
            show,
        ),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            each::<TimestampMillisecondType, i64>(array, timestamp, |ms| valid(ms.checked_mul(1_000)?), show)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            each::<TimestampMicrosecondType, i64>(array, timestamp, valid, show)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            each::<TimestampNanosecondType, i64>(array, timestamp, |ns| valid(ns.div_euclid(1_000)), show)
        }
        DataType::Date32 => each::<Date32Type, i64>(
            array,
            timestamp,
            |days| valid(i64::from(days) * Instant::MICROS_PER_DAY),
            |days| days.to_string(),
        ),
        DataType::Date64 => {
            each::<Date64Type, i64>(array, timestamp, |ms| valid(ms.checked_mul(1_000)?), show)
        }
        DataType::Utf8 => each_text(array, |text| match Value::from_text(text, timestamp)? {
            Value::Timestamp(instant) => Ok(instant.micros()),
            _ => Err(CastError::new(text, timestamp)),
        }),
        _ => return Err(NoCast),
    };
    column(TimestampMicrosecondArray::from(values).with_timezone("+00:00"), unfit)
}

fn to_date(array: &ArrayRef) -> Result<CastColumn, NoCast> {
    let date = ColumnType::Date;
    let (values, unfit) = match array.data_type() {
        DataType::Date32 => return Ok(CastColumn { array: array.clone(), unfit: Vec::new() }),
        DataType::Date64 => each::<Date64Type, i32>(
            array,
            date,
            |ms| i32::try_from(ms.div_euclid(86_400_000)).ok(),
            |ms| ms.to_string(),
        ),
        DataType::Utf8 => each_text(array, |text| match Value::from_text(text, date)? {
            Value::Date(days) => Ok(days),
            _ => Err(CastError::new(text, date)),
        }),
        _ => return Err(NoCast),
    };
    column(Date32Array::from(values), unfit)
}

/// Texts and numbers read as the pack's source says: a pattern, or seconds since 1970.
fn by_text_cast(
    array: &ArrayRef,
    column_type: ColumnType,
    text_cast: &TextCast,
) -> Result<CastColumn, NoCast> {
    let texts: ArrayRef = match array.data_type() {
        DataType::Utf8 => array.clone(),
        DataType::Int64 | DataType::UInt64 => cast(array, &DataType::Utf8)?,
        DataType::Float64 => {
            let floats = array.as_primitive::<Float64Type>();
            Arc::new(floats.iter().map(|value| value.map(|v| v.to_string())).collect::<StringArray>())
        }
        _ => return Err(NoCast),
    };
    let (values, unfit) = each_text(&texts, |text| text_cast.read(text, column_type));
    match column_type {
        ColumnType::Date => {
            let days = values.into_iter().map(|value| match value {
                Some(Value::Date(days)) => Some(days),
                _ => None,
            });
            column(days.collect::<Date32Array>(), unfit)
        }
        ColumnType::Timestamp => {
            let instants = values.into_iter().map(|value| match value {
                Some(Value::Timestamp(instant)) => Some(instant.micros()),
                _ => None,
            });
            column(instants.collect::<TimestampMicrosecondArray>().with_timezone("+00:00"), unfit)
        }
        _ => Err(NoCast),
    }
}

/// Units of one scale in those of another; `None` where digits would be lost.
fn rescaled(units: i128, from: i8, to: i8) -> Option<i128> {
    let shift = i32::from(to) - i32::from(from);
    let power = 10_i128.checked_pow(shift.unsigned_abs())?;
    if shift >= 0 {
        return units.checked_mul(power);
    }
    (units % power == 0).then(|| units / power)
}

fn shown_decimal(units: i128, scale: i8) -> String {
    format!("{units}e{}", -i32::from(scale))
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        BinaryArray, Date64Array, DictionaryArray, Float32Array, Int8Array, LargeStringArray,
        StringViewArray, TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray,
        UInt64Array,
    };
    use arrow::datatypes::Int32Type;
    use arrow::util::display::array_value_to_string;

    use super::*;

    /// `want`: each row's value as text, empty for null, `!` for a refused row; `None` where the types
    /// do not meet at all.
    fn check(array: impl Array + 'static, column_type: ColumnType, want: Option<&[&str]>) {
        let array: ArrayRef = Arc::new(array);
        let got = cast_column(&array, column_type, None).ok().map(|cast| {
            assert_eq!(*cast.array.data_type(), arrow_type(column_type));
            let mut texts: Vec<String> =
                (0..array.len()).map(|row| array_value_to_string(&cast.array, row).unwrap()).collect();
            for unfit in cast.unfit {
                assert!(cast.array.is_null(unfit.row));
                texts[unfit.row] = "!".to_owned();
            }
            texts
        });
        let want = want.map(|texts| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(got, want, "{:?} as {column_type:?}", array.data_type());
    }

    #[test]
    fn numbers_widen_and_narrow_within_their_range() {
        check(Int8Array::from(vec![Some(-1), None]), ColumnType::Int, Some(&["-1", ""]));
        check(UInt64Array::from(vec![7, u64::MAX]), ColumnType::Int, Some(&["7", "!"]));
        check(
            Float64Array::from(vec![2.0, 2.5, f64::NAN, 1e300]),
            ColumnType::Int,
            Some(&["2", "!", "!", "!"]),
        );
        check(
            Float64Array::from(vec![0.5, f64::NAN, f64::INFINITY]),
            ColumnType::Float,
            Some(&["0.5", "!", "!"]),
        );
        check(Float32Array::from(vec![0.1]), ColumnType::Float, Some(&["0.1"]));
        check(Int64Array::from(vec![3]), ColumnType::Float, Some(&["3.0"]));
        check(Float64Array::from(vec![11.77]), ColumnType::Decimal, Some(&["11.770000000"]));
        check(
            Int64Array::from(vec![i64::MAX]),
            ColumnType::Decimal,
            Some(&["9223372036854775807.000000000"]),
        );
        let cents = Decimal128Array::from(vec![1177, 1200]).with_precision_and_scale(10, 2).unwrap();
        check(cents.clone(), ColumnType::Decimal, Some(&["11.770000000", "12.000000000"]));
        check(cents.clone(), ColumnType::Int, Some(&["!", "12"]));
        check(cents, ColumnType::Float, Some(&["11.77", "12.0"]));
        let fine = Decimal128Array::from(vec![1]).with_precision_and_scale(20, 12).unwrap();
        check(fine, ColumnType::Decimal, Some(&["!"]));
        check(Int64Array::from(vec![1]), ColumnType::Bool, None);
        check(Int64Array::from(vec![1]), ColumnType::Text, None);
    }

    #[test]
    fn texts_come_in_every_wrapping() {
        let want: &[&str] = &["a", ""];
        check(LargeStringArray::from(vec![Some("a"), None]), ColumnType::Text, Some(want));
        check(StringViewArray::from(vec![Some("a"), None]), ColumnType::Text, Some(want));
        let dictionary: DictionaryArray<Int32Type> = [Some("a"), None].into_iter().collect();
        check(dictionary, ColumnType::Text, Some(want));
        check(BinaryArray::from(vec![&b"a"[..], b"\xff"]), ColumnType::Text, Some(&["a", "!"]));
        check(StringArray::from(vec!["1"]), ColumnType::Int, None);
        check(StringArray::from(vec!["1.5", "x"]), ColumnType::Decimal, Some(&["1.500000000", "!"]));
    }

    #[test]
    fn times_come_in_every_unit() {
        let want: &[&str] = &["1969-12-31T23:59:59Z"];
        check(TimestampSecondArray::from(vec![-1]), ColumnType::Timestamp, Some(want));
        check(TimestampMillisecondArray::from(vec![-1_000]), ColumnType::Timestamp, Some(want));
        let micros = TimestampMicrosecondArray::from(vec![-1_000_000]).with_timezone("Asia/Seoul");
        check(micros, ColumnType::Timestamp, Some(want));
        check(
            TimestampNanosecondArray::from(vec![-1]),
            ColumnType::Timestamp,
            Some(&["1969-12-31T23:59:59.999999Z"]),
        );
        check(TimestampSecondArray::from(vec![i64::MAX]), ColumnType::Timestamp, Some(&["!"]));
        check(Date32Array::from(vec![1]), ColumnType::Timestamp, Some(&["1970-01-02T00:00:00Z"]));
        check(Date64Array::from(vec![86_400_000]), ColumnType::Date, Some(&["1970-01-02"]));
        check(
            StringArray::from(vec!["2024-02-29T01:00:00+01:00", "yesterday"]),
            ColumnType::Timestamp,
            Some(&["2024-02-29T00:00:00Z", "!"]),
        );
        check(Int64Array::from(vec![1]), ColumnType::Timestamp, None);
        check(arrow::array::NullArray::new(2), ColumnType::Timestamp, Some(&["", ""]));
    }

    #[test]
    fn a_number_becomes_an_instant_where_the_source_says_so() {
        let array: ArrayRef = Arc::new(Int64Array::from(vec![Some(1_709_164_800), None]));
        let cast = cast_column(&array, ColumnType::Timestamp, Some(&TextCast::EpochSeconds)).unwrap();
        assert_eq!(array_value_to_string(&cast.array, 0).unwrap(), "2024-02-29T00:00:00Z");
        assert!(cast.array.is_null(1) && cast.unfit.is_empty());
    }
}
