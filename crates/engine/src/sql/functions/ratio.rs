//! `round_ratio` and `exact`: fractions that are rounded once, at the end. A float means its shortest
//! decimal text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use ebbtide_model::{DECIMAL_PRECISION, DECIMAL_SCALE};

use super::arguments::{evaluated, refused, too_large};
use crate::exact::Decimal;
use crate::{ExactSum, Ratio};

const PRECISION_MAX: u8 = 38;
/// Places of an exact number: twice those of a stored decimal, so that its halves and thirds of
/// everyday amounts keep theirs.
const EXACT_SCALE: u8 = 18;
const DECIMALS_MAX: u8 = 18;

pub(super) fn ratio_functions() -> Vec<ScalarUDF> {
    vec![
        ScalarUDF::from(RoundRatio { signature: Signature::user_defined(Volatility::Immutable) }),
        ScalarUDF::from(Exact { signature: Signature::user_defined(Volatility::Immutable) }),
    ]
}

/// The type in which a number is taken without losing a digit.
fn number_type(given: &DataType, function: &str) -> Result<DataType> {
    match given {
        DataType::Decimal128(precision, scale) => Ok(DataType::Decimal128(*precision, *scale)),
        DataType::Decimal32(..) | DataType::Decimal64(..) => {
            Ok(DataType::Decimal128(DECIMAL_PRECISION, DECIMAL_SCALE.cast_signed()))
        }
        // No signed 64 bits hold all of these.
        DataType::UInt64 => Ok(DataType::Decimal128(20, 0)),
        integer if integer.is_integer() => Ok(DataType::Int64),
        DataType::Null => Ok(DataType::Float64),
        float if float.is_floating() => Ok(DataType::Float64),
        other => Err(refused(format!("{function} takes a number, not {other}"))),
    }
}

/// `round_ratio(a, b [, decimals])`: a / b, exactly, rounded half away from zero once; null where b is 0.
/// A float.
#[derive(Debug, PartialEq, Eq, Hash)]
struct RoundRatio {
    signature: Signature,
}

const RATIO_ARGUMENTS: &str = "round_ratio takes a number, what it is divided by, and how many decimals";

impl ScalarUDFImpl for RoundRatio {
    fn name(&self) -> &'static str {
        "round_ratio"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let ([over, under] | [over, under, _]) = arg_types else {
            return Err(refused(RATIO_ARGUMENTS.to_owned()));
        };
        let mut types = vec![number_type(over, self.name())?, number_type(under, self.name())?];
        types.resize(arg_types.len(), DataType::Int64);
        Ok(types)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        evaluated(&args, |arrays| {
            let [over, under, decimals @ ..] = arrays else {
                return Err(refused(RATIO_ARGUMENTS.to_owned()));
            };
            let decimals = decimals.first().map(|decimals| decimals.as_primitive::<Int64Type>());
            let ratio = |row: usize| {
                let places = match decimals {
                    Some(decimals) if decimals.is_null(row) => return Ok(None),
                    Some(decimals) => places(decimals.value(row))?,
                    None => 0,
                };
                let divided = number(over, row).zip(number(under, row));
                let divided = divided.and_then(|(over, under)| over.divided_by(&under));
                Ok(divided.map(|ratio| ratio.rounded(places).to_f64()))
            };
            Ok(Arc::new((0..over.len()).map(ratio).collect::<Result<Float64Array>>()?))
        })
    }
}

fn places(decimals: i64) -> Result<u8> {
    let allowed = u8::try_from(decimals).ok().filter(|decimals| *decimals <= DECIMALS_MAX);
    allowed.ok_or_else(|| {
        refused(format!("round_ratio rounds to 0 to {DECIMALS_MAX} decimals; {decimals} were asked for"))
    })
}

/// The number in a row; `None` where there is none, or one that is not finite.
fn number(numbers: &ArrayRef, row: usize) -> Option<Ratio> {
    if numbers.is_null(row) {
        return None;
    }
    match numbers.data_type() {
        DataType::Int64 => Some(Ratio::whole(numbers.as_primitive::<Int64Type>().value(row))),
        DataType::Float64 => {
            let mut sum = ExactSum::default();
            sum.add(Decimal::of_f64(numbers.as_primitive::<Float64Type>().value(row))?);
            Some(sum.total())
        }
        DataType::Decimal128(_, scale) => {
            let units = numbers.as_primitive::<Decimal128Type>().value(row);
            let mut sum = ExactSum::default();
            sum.add(Decimal::of_scaled(units, i16::from(*scale)));
            Some(sum.total())
        }
        _ => None,
    }
}

/// `exact(x)`: the decimal that a number's text says, with 18 places (rounded half away from zero past
/// them), so that sums and products of it stay exact. What is no finite number is null.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Exact {
    signature: Signature,
}

impl ScalarUDFImpl for Exact {
    fn name(&self) -> &'static str {
        "exact"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [number] = arg_types else {
            return Err(refused("exact takes a number".to_owned()));
        };
        Ok(vec![number_type(number, self.name())?])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Decimal128(PRECISION_MAX, EXACT_SCALE.cast_signed()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        evaluated(&args, |arrays| {
            let [numbers] = arrays else {
                return Err(refused("exact takes a number".to_owned()));
            };
            let units = exact_units(numbers)?;
            Ok(Arc::new(units.with_precision_and_scale(PRECISION_MAX, EXACT_SCALE.cast_signed())?))
        })
    }
}

fn exact_units(numbers: &ArrayRef) -> Result<Decimal128Array> {
    let limit = 10_i128.pow(u32::from(PRECISION_MAX));
    let units = |number: Option<Decimal>| {
        let Some(number) = number else {
            return Ok(None);
        };
        let units = number.units(i16::from(EXACT_SCALE)).filter(|units| units.abs() < limit);
        units.map(Some).ok_or_else(|| {
            too_large(format!(
                "a number has more than {} digits before its point, too many to be added up exactly",
                PRECISION_MAX - EXACT_SCALE
            ))
        })
    };
    match numbers.data_type() {
        DataType::Float64 => {
            let numbers = numbers.as_primitive::<Float64Type>().iter();
            numbers.map(|value| units(value.and_then(Decimal::of_f64))).collect()
        }
        DataType::Decimal128(_, scale) => {
            let scale = i16::from(*scale);
            let numbers = numbers.as_primitive::<Decimal128Type>().iter();
            numbers.map(|value| units(value.map(|value| Decimal::of_scaled(value, scale)))).collect()
        }
        _ => numbers
            .as_primitive::<Int64Type>()
            .iter()
            .map(|value| units(value.map(Decimal::of_int)))
            .collect(),
    }
}
