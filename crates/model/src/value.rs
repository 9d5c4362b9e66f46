//! Column types, single values, and how text and JSON become them. A cast never guesses: what does
//! not fit is refused with what was given and what is allowed.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::Instant;
use crate::number::{digits, exact_number};
use crate::property::canonical_json;

/// Significant digits of a stored decimal.
pub const DECIMAL_PRECISION: u8 = 38;
/// Digits after the point of a stored decimal.
pub const DECIMAL_SCALE: u8 = 9;

/// The type of a declared column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// 64-bit signed.
    Int,
    /// 64-bit binary floating point; it means its shortest decimal text.
    Float,
    /// Exact, with up to [`DECIMAL_SCALE`] digits after the point.
    Decimal,
    Bool,
    Text,
    /// An instant, stored as UTC microseconds.
    Timestamp,
    /// A calendar day without a zone, stored as days since 1970-01-01.
    Date,
    /// A property of an open table whose values are of several types: canonical JSON text. No pack
    /// declares it.
    Mixed,
}

impl ColumnType {
    pub const NAMES: [&str; 7] = ["int", "float", "decimal", "bool", "text", "timestamp", "date"];

    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "int" => Self::Int,
            "float" => Self::Float,
            "decimal" => Self::Decimal,
            "bool" => Self::Bool,
            "text" => Self::Text,
            "timestamp" => Self::Timestamp,
            "date" => Self::Date,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Float => "float",
            Self::Decimal => "decimal",
            Self::Bool => "bool",
            Self::Text => "text",
            Self::Timestamp => "timestamp",
            Self::Date => "date",
            Self::Mixed => "mixed",
        }
    }

    fn allowed(self) -> &'static str {
        match self {
            Self::Int => "a whole number from -9223372036854775808 to 9223372036854775807",
            Self::Float => "a finite number",
            Self::Decimal => "a decimal number with at most 29 digits before and 9 after the point",
            Self::Bool => "true or false",
            Self::Text => "text",
            Self::Timestamp => Instant::ALLOWED,
            Self::Date => "a date, such as 2026-11-20",
            Self::Mixed => "any JSON value",
        }
    }
}

/// One typed value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    /// Never NaN, never infinite.
    Float(f64),
    /// In units of 10^-[`DECIMAL_SCALE`].
    Decimal(i128),
    Text(Arc<str>),
    Timestamp(Instant),
    /// Days since 1970-01-01.
    Date(i32),
    /// Of type `mixed`: canonical JSON text.
    Json(Arc<str>),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given} is no {}; allowed is {}", column_type.name(), column_type.allowed())]
pub struct CastError {
    pub given: String,
    pub column_type: ColumnType,
}

/// As much of a refused value as a message shows.
const GIVEN_CHARS_MAX: usize = 80;

impl CastError {
    pub fn new(given: &str, column_type: ColumnType) -> Self {
        let given: String = given.chars().take(GIVEN_CHARS_MAX).collect();
        Self { given: format!("{given:?}"), column_type }
    }
}

impl Value {
    /// The value of a cell of text. Empty text is text here: whether it means null is for the reader
    /// of the file to say.
    pub fn from_text(text: &str, column_type: ColumnType) -> Result<Self, CastError> {
        let error = || CastError::new(text, column_type);
        Ok(match column_type {
            ColumnType::Int => Self::Int(text.parse().map_err(|_| error())?),
            ColumnType::Float => Self::Float(parse_float(text).ok_or_else(error)?),
            ColumnType::Decimal => Self::Decimal(parse_decimal(text).ok_or_else(error)?),
            ColumnType::Bool => Self::Bool(text.parse().map_err(|_| error())?),
            ColumnType::Text => Self::Text(Arc::from(text)),
            ColumnType::Timestamp => Self::Timestamp(Instant::parse(text).map_err(|_| error())?),
            ColumnType::Date => Self::Date(parse_date(text).ok_or_else(error)?),
            ColumnType::Mixed => Self::of_canonical_json(&canonical_json(&Json::from(text))),
        })
    }

    /// The value of a JSON field. Numbers do not pass for text nor text for numbers, save for the
    /// types that JSON lacks, which are written as text.
    pub fn from_json(json: &Json, column_type: ColumnType) -> Result<Self, CastError> {
        if let Some(digits) = digits(json) {
            return Self::from_number(digits, column_type);
        }
        let error =
            || CastError { given: json.to_string().chars().take(GIVEN_CHARS_MAX).collect(), column_type };
        match (json, column_type) {
            (Json::Null, _) => Ok(Self::Null),
            (Json::Bool(value), ColumnType::Bool) => Ok(Self::Bool(*value)),
            (Json::Number(number), ColumnType::Int) => {
                number.as_i64().or_else(|| whole(number.as_f64()?)).map(Self::Int).ok_or_else(error)
            }
            (Json::Number(number), ColumnType::Float) => {
                number.as_f64().filter(|value| value.is_finite()).map(Self::Float).ok_or_else(error)
            }
            (Json::Number(number), ColumnType::Decimal) => {
                parse_decimal(&number.to_string()).map(Self::Decimal).ok_or_else(error)
            }
            (
                Json::String(text),
                ColumnType::Text | ColumnType::Timestamp | ColumnType::Date | ColumnType::Decimal,
            ) => Self::from_text(text, column_type).map_err(|_| error()),
            (json, ColumnType::Mixed) => Ok(Self::of_canonical_json(&canonical_json(json))),
            _ => Err(error()),
        }
    }

    /// The value of a number of JSON, by all of its digits.
    pub fn from_number(text: &str, column_type: ColumnType) -> Result<Self, CastError> {
        let error = || CastError { given: text.chars().take(GIVEN_CHARS_MAX).collect(), column_type };
        let float = || parse_float(text).ok_or_else(error);
        match column_type {
            ColumnType::Decimal => parse_decimal(text).map(Self::Decimal).ok_or_else(error),
            ColumnType::Float => float().map(Self::Float),
            ColumnType::Int => {
                text.parse().ok().or_else(|| whole_units(text)).map(Self::Int).ok_or_else(error)
            }
            ColumnType::Mixed => Ok(Self::of_canonical_json(&canonical_json(&Json::from(float()?)))),
            ColumnType::Bool | ColumnType::Text | ColumnType::Timestamp | ColumnType::Date => Err(error()),
        }
    }

    /// The type that the value is of; `None` for null, which is of any.
    pub fn column_type(&self) -> Option<ColumnType> {
        Some(match self {
            Self::Null => return None,
            Self::Bool(_) => ColumnType::Bool,
            Self::Int(_) => ColumnType::Int,
            Self::Float(_) => ColumnType::Float,
            Self::Decimal(_) => ColumnType::Decimal,
            Self::Text(_) => ColumnType::Text,
            Self::Timestamp(_) => ColumnType::Timestamp,
            Self::Date(_) => ColumnType::Date,
            Self::Json(_) => ColumnType::Mixed,
        })
    }

    /// As JSON: instants and dates as text, decimals as numbers by their shortest text.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::from(*value),
            Self::Int(value) => Json::from(*value),
            Self::Float(value) => Json::from(*value),
            Self::Decimal(units) => exact_number(&decimal_text(*units)),
            Self::Text(text) => Json::from(&**text),
            Self::Timestamp(instant) => Json::from(instant.to_string()),
            Self::Date(days) => Json::from(date_text(*days)),
            Self::Json(text) => serde_json::from_str(text).unwrap_or(Json::Null),
        }
    }

    /// The canonical text form, by which a tenant's column is compared with a token's claim; `None`
    /// for null.
    pub fn canonical_text(&self) -> Option<String> {
        Some(match self {
            Self::Null => return None,
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Decimal(units) => decimal_text(*units),
            Self::Text(text) => text.to_string(),
            Self::Timestamp(instant) => instant.to_string(),
            Self::Date(days) => date_text(*days),
            Self::Json(text) => text.to_string(),
        })
    }
}

/// A float that is a whole number which an i64 holds exactly.
fn whole(value: f64) -> Option<i64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
    (value.fract() == 0.0 && value.abs() <= EXACT_MAX).then_some(value as i64)
}

/// A number with a point or an exponent that is whole all the same.
fn whole_units(text: &str) -> Option<i64> {
    let (units, scale) = (parse_decimal(text)?, 10_i128.pow(u32::from(DECIMAL_SCALE)));
    i64::try_from(units / scale).ok().filter(|_| units % scale == 0)
}

/// Rust reads `inf`, `nan` and `infinity` as floats; a data file that holds them is at fault.
fn parse_float(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

pub(crate) fn parse_date(text: &str) -> Option<i32> {
    let date: jiff::civil::Date = (text.len() == 10).then(|| text.parse().ok())??;
    let epoch = jiff::civil::date(1970, 1, 1);
    Some(date.since((jiff::Unit::Day, epoch)).ok()?.get_days())
}

/// `2026-11-20` for days since 1970-01-01.
fn date_text(days: i32) -> String {
    let epoch = jiff::civil::date(1970, 1, 1);
    epoch
        .checked_add(jiff::Span::new().days(days))
        .map_or_else(|_| format!("{days}d"), |date| date.to_string())
}

/// Digits with an optional sign, point and exponent, into units of 10^-[`DECIMAL_SCALE`]; `None`
/// where a digit would be lost.
pub(crate) fn parse_decimal(text: &str) -> Option<i128> {
    const EXPONENT_MAX: i32 = 60;
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            (mantissa, exponent.parse::<i32>().ok().filter(|e| e.abs() <= EXPONENT_MAX)?)
        }
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.strip_prefix(['-', '+']) {
        Some(rest) => (mantissa.starts_with('-'), rest),
        None => (false, mantissa),
    };
    let (integer, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if integer.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut units: i128 = 0;
    for digit in integer.bytes().chain(fraction.bytes()) {
        if !digit.is_ascii_digit() {
            return None;
        }
        units = units.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    let shift =
        exponent.checked_add(i32::from(DECIMAL_SCALE))?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let power = 10_i128.checked_pow(shift.unsigned_abs())?;
    let scaled = if shift >= 0 {
        units.checked_mul(power)?
    } else if units % power == 0 {
        units / power
    } else {
        return None;
    };
    let limit = 10_i128.pow(u32::from(DECIMAL_PRECISION));
    (scaled < limit).then_some(if negative { -scaled } else { scaled })
}

fn decimal_text(units: i128) -> String {
    let scale = 10_u128.pow(u32::from(DECIMAL_SCALE));
    let (integer, fraction) = (units.unsigned_abs() / scale, units.unsigned_abs() % scale);
    let sign = if units < 0 { "-" } else { "" };
    if fraction == 0 {
        return format!("{sign}{integer}");
    }
    let fraction = format!("{fraction:0width$}", width = usize::from(DECIMAL_SCALE));
    format!("{sign}{integer}.{}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Written;

    #[test]
    fn text_is_cast_exactly_or_refused() {
        let check = |text: &str, column_type, want: Option<Value>| {
            assert_eq!(Value::from_text(text, column_type).ok(), want, "{text:?} as {column_type:?}");
        };
        check("-12", ColumnType::Int, Some(Value::Int(-12)));
        check("1.0", ColumnType::Int, None);
        check("9223372036854775808", ColumnType::Int, None);
        check("1e3", ColumnType::Float, Some(Value::Float(1000.0)));
        check("nan", ColumnType::Float, None);
        check("inf", ColumnType::Float, None);
        check("true", ColumnType::Bool, Some(Value::Bool(true)));
        check("1", ColumnType::Bool, None);
        check("1969-12-31", ColumnType::Date, Some(Value::Date(-1)));
        check("2023-02-29", ColumnType::Date, None);
        check("12.50", ColumnType::Decimal, Some(Value::Decimal(12_500_000_000)));
        check("-.5", ColumnType::Decimal, Some(Value::Decimal(-500_000_000)));
        check("125e-1", ColumnType::Decimal, Some(Value::Decimal(12_500_000_000)));
        check("0.0000000001", ColumnType::Decimal, None);
        check("0.1000000000000000", ColumnType::Decimal, Some(Value::Decimal(100_000_000)));
        check(
            "99999999999999999999999999999.9",
            ColumnType::Decimal,
            Some(Value::Decimal(99_999_999_999_999_999_999_999_999_999_900_000_000)),
        );
        check("1000000000000000000000000000000", ColumnType::Decimal, None);
        check(".", ColumnType::Decimal, None);
        check("1e999999999", ColumnType::Decimal, None);
    }

    #[test]
    fn json_keeps_its_types_apart() {
        let check = |json: Json, column_type, want: Option<Value>| {
            assert_eq!(Value::from_json(&json, column_type).ok(), want, "{json} as {column_type:?}");
        };
        check(Json::from(1), ColumnType::Text, None);
        check(Json::from("1"), ColumnType::Int, None);
        check(Json::from(2.0), ColumnType::Int, Some(Value::Int(2)));
        check(Json::from(2.5), ColumnType::Int, None);
        check(Json::from(u64::MAX), ColumnType::Int, None);
        check(Json::Null, ColumnType::Int, Some(Value::Null));
        check(Json::from("12.5"), ColumnType::Decimal, Some(Value::Decimal(12_500_000_000)));
        check(serde_json::json!([1]), ColumnType::Text, None);
    }

    #[test]
    fn a_number_keeps_its_digits_or_is_refused() {
        let check = |text: &str, column_type, want: Option<Value>| {
            assert_eq!(Value::from_number(text, column_type).ok(), want, "{text} as {column_type:?}");
            let read = crate::read_json(text.as_bytes()).unwrap();
            assert_eq!(Value::from_json(&read, column_type).ok(), want, "{text} as {column_type:?}");
        };
        check("90071992547409.93", ColumnType::Decimal, Some(Value::Decimal(90_071_992_547_409_930_000_000)));
        check("0.12345678901234567890", ColumnType::Decimal, None);
        check("123456789012345678901234567890", ColumnType::Decimal, None);
        check("9007199254740993.0", ColumnType::Int, Some(Value::Int(9_007_199_254_740_993)));
        check("1.0000000000000000001", ColumnType::Int, None);
        check("90071992547409.93", ColumnType::Float, Some(Value::Float(90_071_992_547_409.94)));
        check("90071992547409.93", ColumnType::Text, None);
        check("90071992547409.93", ColumnType::Mixed, Some(Value::of_canonical_json("90071992547409.94")));
    }

    #[test]
    fn a_decimal_reads_back_as_it_was_written() {
        for text in ["0", "-0.5", "12.5", "2500315.63", "-1000000"] {
            let value = Value::from_text(text, ColumnType::Decimal).unwrap();
            assert_eq!(value.canonical_text().unwrap(), text);
        }
        assert_eq!(Value::Decimal(2_500_315_630_000_000).to_json().to_string(), "2500315.63");
        assert_eq!(Value::Decimal(3_000_000_000).to_json().to_string(), "3");
        let long = Value::from_number("12345678901234567890.123456789", ColumnType::Decimal).unwrap();
        assert_eq!(Written(&long.to_json()).to_string(), "12345678901234567890.123456789");
        assert_eq!(Value::from_json(&long.to_json(), ColumnType::Decimal), Ok(long));
    }
}
