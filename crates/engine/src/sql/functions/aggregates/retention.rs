//! `retention(cond1, cond2, …)`: a list of booleans, one for each condition. The first says whether its
//! condition held of any row; each other whether both its own and the first one did, of whatever rows.
//! As `retention` of `ClickHouse`, save that one condition is enough.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanBuilder, ListBuilder, UInt32Array};
use arrow::datatypes::{DataType, Field, FieldRef, UInt32Type};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility,
};

use super::conditions::{Add, Conditions, Groups, OneGroup, Summary, condition_types};

pub(super) fn functions() -> Vec<AggregateUDF> {
    vec![AggregateUDF::from(Retention { signature: Signature::user_defined(Volatility::Immutable) })]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Retention {
    signature: Signature,
}

fn held(args: &AccumulatorArgs<'_>) -> Held {
    Held { conditions: args.exprs.len() }
}

impl AggregateUDFImpl for Retention {
    fn name(&self) -> &'static str {
        "retention"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        condition_types(self.name(), 0, arg_types)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::new_list(DataType::Boolean, true))
    }

    fn is_nullable(&self) -> bool {
        false
    }

    /// That of no rows.
    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        ScalarValue::try_from(data_type)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OneGroup::new(held(&args))))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format_state_name(args.name, "held"), DataType::UInt32, false))])
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups::new(held(&args))))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// Which conditions held of a group's rows, as bits.
#[derive(Debug)]
struct Held {
    conditions: usize,
}

impl Summary for Held {
    type Group = u32;

    fn reader<'a>(&'a self, values: &'a [ArrayRef]) -> Result<Add<'a, u32>> {
        let conditions = Conditions::of(values)?;
        Ok(Box::new(move |held, row| *held |= conditions.holding(row)))
    }

    fn answers(&self, groups: &mut [u32]) -> Result<ArrayRef> {
        let mut lists = ListBuilder::new(BooleanBuilder::new());
        for held in groups {
            let first = *held & 1 == 1;
            for place in 0..self.conditions {
                lists.values().append_value(first && *held >> place & 1 == 1);
            }
            lists.append(true);
        }
        Ok(Arc::new(lists.finish()))
    }

    fn states(groups: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(vec![Arc::new(UInt32Array::from(groups.to_vec()))])
    }

    fn merger(states: &[ArrayRef]) -> Result<Add<'_, u32>> {
        let arrived = states.first().and_then(|held| held.as_primitive_opt::<UInt32Type>());
        let arrived =
            arrived.ok_or_else(|| DataFusionError::Internal("conditions that held are bits".to_owned()))?;
        Ok(Box::new(|held, row| *held |= arrived.values().get(row).copied().unwrap_or_default()))
    }

    fn heap_bytes(_: &u32) -> usize {
        0
    }
}
