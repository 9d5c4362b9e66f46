//! What values add up to, exactly: whole numbers in 128 bits, floats as their shortest decimal texts.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, Decimal128Array, Float64Array, Int64Array, UInt64Array};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Decimal128Type, Float64Type, Int64Type, UInt64Type};
use datafusion::common::{DataFusionError, Result};
use ebbtide_model::DECIMAL_PRECISION;
use num_bigint::BigInt;

use crate::sql::functions::arguments::too_large;
use crate::{ExactSum, Ratio};

/// A running total. Totals of parts of the rows merge into that of all, in any order.
pub(super) trait Total: Clone + Debug + Default + Send + Sync + 'static {
    /// The type of a total on its way from one operator to another.
    const STATE: DataType;

    fn merge(&mut self, other: &Self) -> Result<()>;
    fn states(totals: &[Self]) -> Result<ArrayRef>;
    fn of_states(states: &ArrayRef) -> Result<Vec<Self>>;
    /// Totals as a column; null where nothing was counted.
    fn sums(totals: &[Self], counts: &[u64], data_type: &DataType) -> Result<ArrayRef>;
    /// The total over a count that is not zero.
    fn mean(&self, count: u64) -> f64;
    fn heap_bytes(&self) -> usize;
}

/// A value that is added up.
pub(super) trait Addend: ArrowPrimitiveType + Debug {
    type Total: Total;

    fn add(total: &mut Self::Total, value: Self::Native) -> Result<()>;
    fn subtract(total: &mut Self::Total, value: Self::Native) -> Result<()>;
    /// Tells different values apart.
    fn key(value: Self::Native) -> i128;
    fn of_key(key: i128) -> Option<Self::Native>;
}

fn overflow() -> DataFusionError {
    too_large("a sum goes past the largest number of its type".to_owned())
}

fn malformed() -> DataFusionError {
    DataFusionError::Internal("a total on its way is malformed".to_owned())
}

/// A total of integers, or of decimals in units of their last place.
impl Total for i128 {
    const STATE: DataType = DataType::Decimal128(DECIMAL_PRECISION, 0);

    fn merge(&mut self, other: &Self) -> Result<()> {
        *self = self.checked_add(*other).ok_or_else(overflow)?;
        Ok(())
    }

    fn states(totals: &[Self]) -> Result<ArrayRef> {
        let totals = Decimal128Array::from_iter_values(totals.iter().copied());
        Ok(Arc::new(totals.with_data_type(Self::STATE)))
    }

    fn of_states(states: &ArrayRef) -> Result<Vec<Self>> {
        let totals = states.as_primitive_opt::<Decimal128Type>().ok_or_else(malformed)?;
        Ok(totals.values().to_vec())
    }

    fn sums(totals: &[Self], counts: &[u64], data_type: &DataType) -> Result<ArrayRef> {
        let counted = totals.iter().zip(counts).map(|(total, count)| (*count > 0).then_some(*total));
        Ok(match data_type {
            DataType::Int64 => {
                let total = |total: i128| i64::try_from(total).map_err(|_| overflow());
                let sums = counted.map(|sum| sum.map(total).transpose());
                Arc::new(sums.collect::<Result<Int64Array>>()?)
            }
            DataType::UInt64 => {
                let total = |total: i128| u64::try_from(total).map_err(|_| overflow());
                let sums = counted.map(|sum| sum.map(total).transpose());
                Arc::new(sums.collect::<Result<UInt64Array>>()?)
            }
            DataType::Decimal128(precision, scale) => {
                let limit = 10_i128.checked_pow(u32::from(*precision)).unwrap_or(i128::MAX);
                let total = |total: i128| if total.abs() < limit { Ok(total) } else { Err(overflow()) };
                let sums = counted.map(|sum| sum.map(total).transpose());
                let sums = sums.collect::<Result<Decimal128Array>>()?;
                Arc::new(sums.with_precision_and_scale(*precision, *scale)?)
            }
            other => return Err(DataFusionError::Internal(format!("whole numbers do not sum to {other}"))),
        })
    }

    fn mean(&self, count: u64) -> f64 {
        Ratio::new(BigInt::from(*self), count).map_or(f64::NAN, |mean| mean.to_f64())
    }

    fn heap_bytes(&self) -> usize {
        0
    }
}

/// A total of floats. Those that are no numbers are counted apart: they make the answer what they are.
#[derive(Clone, Debug, Default)]
pub(super) struct FloatTotal {
    sum: ExactSum,
    nans: i64,
    infinities: i64,
    negative_infinities: i64,
}

impl FloatTotal {
    fn count(&mut self, value: f64, times: i64) {
        if value.is_nan() {
            self.nans += times;
        } else if value > 0.0 {
            self.infinities += times;
        } else {
            self.negative_infinities += times;
        }
    }

    /// The answer where some values were no finite numbers.
    fn unfinite(&self) -> Option<f64> {
        match (self.nans > 0, self.infinities > 0, self.negative_infinities > 0) {
            (false, false, false) => None,
            (false, true, false) => Some(f64::INFINITY),
            (false, false, true) => Some(f64::NEG_INFINITY),
            (true, _, _) | (false, true, true) => Some(f64::NAN),
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for count in [self.nans, self.infinities, self.negative_infinities] {
            bytes.extend_from_slice(&count.to_le_bytes());
        }
        self.sum.encode(&mut bytes);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (nans, bytes) = bytes.split_first_chunk()?;
        let (infinities, bytes) = bytes.split_first_chunk()?;
        let (negative_infinities, bytes) = bytes.split_first_chunk()?;
        Some(Self {
            sum: ExactSum::decode(bytes)?,
            nans: i64::from_le_bytes(*nans),
            infinities: i64::from_le_bytes(*infinities),
            negative_infinities: i64::from_le_bytes(*negative_infinities),
        })
    }
}

impl Total for FloatTotal {
    const STATE: DataType = DataType::Binary;

    fn merge(&mut self, other: &Self) -> Result<()> {
        self.sum.merge(&other.sum);
        self.nans += other.nans;
        self.infinities += other.infinities;
        self.negative_infinities += other.negative_infinities;
        Ok(())
    }

    fn states(totals: &[Self]) -> Result<ArrayRef> {
        Ok(Arc::new(totals.iter().map(|total| Some(total.encode())).collect::<BinaryArray>()))
    }

    fn of_states(states: &ArrayRef) -> Result<Vec<Self>> {
        let states = states.as_binary_opt::<i32>().ok_or_else(malformed)?;
        states.iter().map(|state| state.and_then(Self::decode).ok_or_else(malformed)).collect()
    }

    fn sums(totals: &[Self], counts: &[u64], _: &DataType) -> Result<ArrayRef> {
        let sum = |(total, count): (&Self, &u64)| {
            (*count > 0).then(|| total.unfinite().unwrap_or_else(|| total.sum.total().to_f64()))
        };
        Ok(Arc::new(totals.iter().zip(counts).map(sum).collect::<Float64Array>()))
    }

    fn mean(&self, count: u64) -> f64 {
        let mean = || self.sum.mean(count).map_or(f64::NAN, |mean| mean.to_f64());
        self.unfinite().unwrap_or_else(mean)
    }

    fn heap_bytes(&self) -> usize {
        self.sum.heap_bytes()
    }
}

impl Addend for Int64Type {
    type Total = i128;

    fn add(total: &mut i128, value: i64) -> Result<()> {
        total.merge(&i128::from(value))
    }

    fn subtract(total: &mut i128, value: i64) -> Result<()> {
        total.merge(&-i128::from(value))
    }

    fn key(value: i64) -> i128 {
        i128::from(value)
    }

    fn of_key(key: i128) -> Option<i64> {
        i64::try_from(key).ok()
    }
}

impl Addend for UInt64Type {
    type Total = i128;

    fn add(total: &mut i128, value: u64) -> Result<()> {
        total.merge(&i128::from(value))
    }

    fn subtract(total: &mut i128, value: u64) -> Result<()> {
        total.merge(&-i128::from(value))
    }

    fn key(value: u64) -> i128 {
        i128::from(value)
    }

    fn of_key(key: i128) -> Option<u64> {
        u64::try_from(key).ok()
    }
}

impl Addend for Decimal128Type {
    type Total = i128;

    fn add(total: &mut i128, value: i128) -> Result<()> {
        total.merge(&value)
    }

    fn subtract(total: &mut i128, value: i128) -> Result<()> {
        total.merge(&value.checked_neg().ok_or_else(overflow)?)
    }

    fn key(value: i128) -> i128 {
        value
    }

    fn of_key(key: i128) -> Option<i128> {
        Some(key)
    }
}

impl Addend for Float64Type {
    type Total = FloatTotal;

    fn add(total: &mut FloatTotal, value: f64) -> Result<()> {
        if value.is_finite() {
            total.sum.add_f64(value);
        } else {
            total.count(value, 1);
        }
        Ok(())
    }

    fn subtract(total: &mut FloatTotal, value: f64) -> Result<()> {
        if value.is_finite() {
            total.sum.add_f64(-value);
        } else {
            total.count(value, -1);
        }
        Ok(())
    }

    fn key(value: f64) -> i128 {
        // The two zeros are one value, as are all that are no number.
        let value = if value == 0.0 { 0.0 } else { value };
        i128::from(if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() })
    }

    fn of_key(key: i128) -> Option<f64> {
        u64::try_from(key).ok().map(f64::from_bits)
    }
}
