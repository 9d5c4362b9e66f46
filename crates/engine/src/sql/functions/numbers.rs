//! `round_half`, `days_between` and `micros`: exact arithmetic that reports need.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use ebbtide_model::{DECIMAL_PRECISION, DECIMAL_SCALE, Instant};

use super::arguments::{evaluated, refused, too_large};
use super::parameter::timestamp_type;

pub(in crate::sql) fn number_functions() -> Vec<ScalarUDF> {
    vec![
        ScalarUDF::from(RoundHalf { signature: Signature::user_defined(Volatility::Immutable) }),
        ScalarUDF::from(Micros { signature: instants(1) }),
    ]
}

fn instants(count: usize) -> Signature {
    Signature::exact(vec![timestamp_type(); count], Volatility::Immutable)
}

/// `round_half(x [, decimals])`: half away from zero. A float is rounded as its shortest decimal text, so
/// that 1.005 is 1.01; a decimal and an integer are exact anyway. The answer has the type of `x`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct RoundHalf {
    signature: Signature,
}

impl ScalarUDFImpl for RoundHalf {
    fn name(&self) -> &'static str {
        "round_half"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let ([number] | [number, _]) = arg_types else {
            return Err(refused("round_half takes a number and how many decimals".to_owned()));
        };
        let number = match number {
            DataType::Decimal128(precision, scale) => DataType::Decimal128(*precision, *scale),
            DataType::Decimal32(..) | DataType::Decimal64(..) => {
                DataType::Decimal128(DECIMAL_PRECISION, DECIMAL_SCALE.cast_signed())
            }
            integer if integer.is_integer() => DataType::Int64,
            DataType::Null => DataType::Float64,
            float if float.is_floating() => DataType::Float64,
            other => return Err(refused(format!("round_half takes a number, not {other}"))),
        };
        let mut types = vec![number];
        types.resize(arg_types.len(), DataType::Int64);
        Ok(types)
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types.first().cloned().unwrap_or(DataType::Float64))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        evaluated(&args, |arrays| {
            let [numbers, decimals @ ..] = arrays else {
                return Err(refused("round_half takes a number and how many decimals".to_owned()));
            };
            let decimals = decimals.first().map(|decimals| decimals.as_primitive::<Int64Type>());
            let decimals_of = |row: usize| match decimals {
                Some(decimals) => decimals.is_valid(row).then(|| decimals.value(row)),
                None => Some(0),
            };
            round_all(numbers, decimals_of)
        })
    }
}

fn round_all(numbers: &ArrayRef, decimals_of: impl Fn(usize) -> Option<i64>) -> Result<ArrayRef> {
    let overflow = || too_large("rounding goes past the largest number of its type".to_owned());
    Ok(match numbers.data_type() {
        DataType::Float64 => {
            let round = |(row, value): (usize, Option<f64>)| Some(round_float(value?, decimals_of(row)?));
            let numbers = numbers.as_primitive::<Float64Type>();
            Arc::new(numbers.iter().enumerate().map(round).collect::<Float64Array>())
        }
        DataType::Int64 => {
            let round = |(row, value): (usize, Option<i64>)| {
                let (Some(value), Some(decimals)) = (value, decimals_of(row)) else {
                    return Ok(None);
                };
                let rounded =
                    round_units(i128::from(value), decimals.saturating_neg()).ok_or_else(overflow)?;
                i64::try_from(rounded).map(Some).map_err(|_| overflow())
            };
            let numbers = numbers.as_primitive::<Int64Type>();
            Arc::new(numbers.iter().enumerate().map(round).collect::<Result<Int64Array>>()?)
        }
        DataType::Decimal128(precision, scale) => {
            let limit = 10_i128.checked_pow(u32::from(*precision)).unwrap_or(i128::MAX);
            let round = |(row, value): (usize, Option<i128>)| {
                let (Some(value), Some(decimals)) = (value, decimals_of(row)) else {
                    return Ok(None);
                };
                let dropped = i64::from(*scale).saturating_sub(decimals);
                let rounded = round_units(value, dropped).filter(|rounded| rounded.abs() < limit);
                rounded.map(Some).ok_or_else(overflow)
            };
            let numbers = numbers.as_primitive::<Decimal128Type>();
            let rounded = numbers.iter().enumerate().map(round).collect::<Result<Decimal128Array>>()?;
            Arc::new(rounded.with_precision_and_scale(*precision, *scale)?)
        }
        other => return Err(refused(format!("round_half takes a number, not {other}"))),
    })
}

/// `units` to a multiple of 10^`dropped`, half away from zero; `None` on overflow.
fn round_units(units: i128, dropped: i64) -> Option<i128> {
    const DIGITS_MAX: i64 = 38;
    if dropped <= 0 {
        return Some(units);
    }
    if dropped > DIGITS_MAX {
        return Some(0);
    }
    let power = 10_i128.checked_pow(u32::try_from(dropped).ok()?)?;
    let (quotient, rest) = (units / power, units % power);
    // |rest| < 10^38, so its double may not fit: compare with the distance to the next multiple.
    let away = rest.abs() >= power - rest.abs();
    quotient.checked_add(if away { units.signum() } else { 0 })?.checked_mul(power)
}

/// A float by its shortest decimal text.
fn round_float(value: f64, decimals: i64) -> f64 {
    if !value.is_finite() || (decimals >= 0 && value.fract() == 0.0) {
        return value;
    }
    let text = format!("{value:e}");
    let parts = text.split_once('e').and_then(|(mantissa, exponent)| {
        let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: i128 = format!("{integer}{fraction}").parse().ok()?;
        let last_place = exponent.parse::<i64>().ok()? - i64::try_from(fraction.len()).ok()?;
        let dropped = last_place.saturating_neg().saturating_sub(decimals);
        if dropped <= 0 {
            return Some(value);
        }
        let rounded = round_units(digits, dropped)?;
        format!("{rounded}e{last_place}").parse().ok()
    });
    parts.unwrap_or(value)
}

/// When one of the days that a statement counts up to its `as_of` is next full.
#[derive(Clone, Debug)]
pub(in crate::sql) struct Ticks {
    as_of: i64,
    next: Arc<AtomicI64>,
}

impl Ticks {
    pub(in crate::sql) fn after(as_of: Instant) -> Self {
        Self { as_of: as_of.micros(), next: Arc::new(AtomicI64::new(i64::MAX)) }
    }

    /// What was found so far; `None` where no day is counted.
    pub(in crate::sql) fn next(&self) -> Option<Instant> {
        let next = self.next.load(Ordering::Relaxed);
        (next < i64::MAX).then(|| Instant::from_micros(next))
    }

    fn note(&self, next: i64) {
        self.next.fetch_min(next, Ordering::Relaxed);
    }
}

/// The function, which tells `ticks` when an answer of it changes while `as_of` moves on.
pub(in crate::sql) fn days_between(ticks: &Ticks) -> ScalarUDF {
    ScalarUDF::from(DaysBetween { signature: instants(2), ticks: ticks.clone() })
}

/// `days_between(a, b)`: whole days of 24 hours elapsed from `a` to `b`; below zero, and rounded down,
/// where `b` is before `a`: an hour before is -1.
#[derive(Debug)]
struct DaysBetween {
    signature: Signature,
    ticks: Ticks,
}

impl PartialEq for DaysBetween {
    fn eq(&self, other: &Self) -> bool {
        self.signature == other.signature
    }
}

impl Eq for DaysBetween {}

impl Hash for DaysBetween {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl ScalarUDFImpl for DaysBetween {
    fn name(&self) -> &'static str {
        "days_between"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        evaluated(&args, |arrays| {
            let [from, to] = arrays else {
                return Err(refused("days_between takes two instants".to_owned()));
            };
            let from = from.as_primitive::<TimestampMicrosecondType>().iter();
            let to = to.as_primitive::<TimestampMicrosecondType>().iter();
            let day = i128::from(Instant::MICROS_PER_DAY);
            let mut next = i64::MAX;
            let days = from.zip(to).map(|(from, to)| {
                let (from, to) = (from?, to?);
                let days = (i128::from(to) - i128::from(from)).div_euclid(day);
                if to == self.ticks.as_of {
                    let full = i128::from(from) + (days + 1) * day;
                    next = next.min(i64::try_from(full).unwrap_or(i64::MAX));
                }
                i64::try_from(days).ok()
            });
            let days = days.collect::<Int64Array>();
            self.ticks.note(next);
            Ok(Arc::new(days))
        })
    }
}

/// `micros(ts)`: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Micros {
    signature: Signature,
}

impl ScalarUDFImpl for Micros {
    fn name(&self) -> &'static str {
        "micros"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        evaluated(&args, |arrays| {
            let [times] = arrays else {
                return Err(refused("micros takes an instant".to_owned()));
            };
            let times = times.as_primitive::<TimestampMicrosecondType>();
            Ok(Arc::new(Int64Array::new(times.values().clone(), times.nulls().cloned())))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_round_by_their_shortest_text() {
        let check = |value: f64, decimals, want: f64| {
            assert_eq!(round_float(value, decimals), want, "{value} to {decimals}");
        };
        check(1.005, 2, 1.01);
        check(-1.005, 2, -1.01);
        check(2.675, 2, 2.68);
        check(0.5, 0, 1.0);
        check(-0.5, 0, -1.0);
        check(0.49999999999999994, 0, 0.0);
        check(62.25, 1, 62.3);
        check(1e-300, 2, 0.0);
        check(1e300, 2, 1e300);
        check(123_456.789, -3, 123_000.0);
        check(150.0, -2, 200.0);
        check(0.1, 17, 0.1);
        check(5.0, i64::MAX, 5.0);
        check(5.5, i64::MIN, 0.0);
    }

    #[test]
    fn units_round_half_away_from_zero_without_overflow() {
        let check = |units, dropped, want| assert_eq!(round_units(units, dropped), want, "{units} {dropped}");
        check(25, 1, Some(30));
        check(-25, 1, Some(-30));
        check(24, 1, Some(20));
        check(7, -3, Some(7));
        check(i128::MAX, 38, None);
        check(10_i128.pow(38) - 1, 38, Some(10_i128.pow(38)));
        check(49, 2, Some(0));
        check(50, 2, Some(100));
        check(1, 39, Some(0));
    }
}
