//! `percentile_cont(x, p)` (also `quantile_cont`) and `median(x)`: the value at p of the way through the
//! sorted numbers, linearly interpolated between its neighbours, exact and rounded once to a float.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Schema};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, Signature, Volatility,
};
use datafusion::physical_expr::PhysicalExpr;

use crate::sql::functions::arguments::refused;
use crate::{Decimal, ExactSum};

/// The share of a percentile is in units of 10^-9.
const SHARE_UNITS: u32 = 1_000_000_000;

pub(super) fn functions() -> Vec<AggregateUDF> {
    let function = |name, aliases: &[&str], arguments| Quantile {
        name,
        aliases: aliases.iter().copied().map(str::to_owned).collect(),
        signature: Signature::exact(vec![DataType::Float64; arguments], Volatility::Immutable),
    };
    vec![
        AggregateUDF::from(function("percentile_cont", &["quantile_cont"], 2)),
        AggregateUDF::from(function("median", &[], 1)),
    ]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Quantile {
    name: &'static str,
    aliases: Vec<String>,
    /// Of one argument for the median, of two where the second is the share.
    signature: Signature,
}

impl AggregateUDFImpl for Quantile {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let share = match args.exprs {
            [_] => SHARE_UNITS / 2,
            [_, share] => share_units(share)?,
            _ => return Err(refused(format!("{} takes numbers and a share", self.name))),
        };
        let descending = args.order_bys.first().is_some_and(|order| order.options.descending);
        let share = if descending { SHARE_UNITS - share } else { share };
        let distinct = if args.is_distinct { Repeats::Dropped } else { Repeats::Kept };
        Ok(Box::new(Numbers { share, repeats: distinct, numbers: Vec::new() }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let item = Field::new_list_field(DataType::Float64, true);
        Ok(vec![Arc::new(Field::new_list(format_state_name(args.name, "numbers"), item, true))])
    }

    fn supports_within_group_clause(&self) -> bool {
        self.name != "median"
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// A share from 0 to 1 that is the same in all rows.
fn share_units(share: &Arc<dyn PhysicalExpr>) -> Result<u32> {
    let nothing = RecordBatch::new_empty(Arc::new(Schema::empty()));
    let given = share.evaluate(&nothing);
    let Ok(ColumnarValue::Scalar(ScalarValue::Float64(Some(share)))) = given else {
        return Err(refused(
            "the share of a percentile must be a number that is known beforehand".to_owned(),
        ));
    };
    let fault =
        || refused(format!("{share} is no share of a percentile; allowed is 0 to 1 with at most 9 decimals"));
    let units = (share * f64::from(SHARE_UNITS)).round();
    if !(0.0..=f64::from(SHARE_UNITS)).contains(&units) {
        return Err(fault());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and in range")]
    let whole = units as u32;
    #[expect(
        clippy::float_cmp,
        reason = "equality is the question: is it the nearest float to those digits?"
    )]
    if units / f64::from(SHARE_UNITS) == share { Ok(whole) } else { Err(fault()) }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeats {
    Kept,
    Dropped,
}

/// All numbers of a group: what is in the middle is known at the end only.
#[derive(Debug)]
struct Numbers {
    share: u32,
    repeats: Repeats,
    numbers: Vec<f64>,
}

impl Numbers {
    fn quantile(&mut self) -> Option<f64> {
        if self.repeats == Repeats::Dropped {
            self.numbers.sort_unstable_by(f64::total_cmp);
            self.numbers.dedup();
        }
        let last = u128::try_from(self.numbers.len().checked_sub(1)?).ok()?;
        let place = last * u128::from(self.share);
        let units = u128::from(SHARE_UNITS);
        let (below, rest) = (usize::try_from(place / units).ok()?, u32::try_from(place % units).ok()?);
        // All before the place are less, and all behind it greater: no more order is needed.
        let (_, low, above) = self.numbers.select_nth_unstable_by(below, f64::total_cmp);
        let low = *low;
        if rest == 0 {
            return Some(low);
        }
        let high = above.iter().copied().min_by(f64::total_cmp)?;
        let (Some(low), Some(high)) = (Decimal::of_f64(low), Decimal::of_f64(high)) else {
            return Some(f64::NAN);
        };
        let mut sum = ExactSum::default();
        sum.add_times(low, SHARE_UNITS - rest);
        sum.add_times(high, rest);
        Some(sum.mean(u64::from(SHARE_UNITS))?.to_f64())
    }
}

impl Accumulator for Numbers {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let numbers = values.first().and_then(|numbers| numbers.as_primitive_opt::<Float64Type>());
        let numbers = numbers.ok_or_else(|| DataFusionError::Internal("numbers are floats".to_owned()))?;
        self.numbers.extend(numbers.iter().flatten());
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.quantile()))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.numbers.capacity() * size_of::<f64>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let numbers: ArrayRef = Arc::new(Float64Array::from(std::mem::take(&mut self.numbers)));
        let list = datafusion::common::utils::SingleRowListArrayBuilder::new(numbers).build_list_scalar();
        Ok(vec![list])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let lists = states.first().and_then(|lists| lists.as_list_opt::<i32>());
        let lists = lists.ok_or_else(|| DataFusionError::Internal("numbers are a list".to_owned()))?;
        for list in lists.iter().flatten() {
            self.update_batch(&[list])?;
        }
        Ok(())
    }
}
