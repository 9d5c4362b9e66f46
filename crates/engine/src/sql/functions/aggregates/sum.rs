//! `sum` and `avg`. A sum has its argument's type, and one that does not fit it is an error. The mean of
//! integers and of floats is the float nearest to the exact one. Other types (durations, intervals, and
//! the mean of decimals, which is exact to four more digits) are the engine's own.

use std::sync::Arc;

use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Float64Type, Int64Type, UInt64Type};
use datafusion::common::Result;
use datafusion::functions_aggregate::average::avg_udaf;
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, Signature, Volatility,
};
use ebbtide_model::DECIMAL_PRECISION;

use super::accumulate::{Answer, Distinct, Groups, One};
use super::total::{Addend, Total};
use crate::sql::functions::arguments::refused;

pub(super) fn functions() -> Vec<AggregateUDF> {
    [(Measure::Sum, sum_udaf()), (Measure::Mean, avg_udaf())]
        .into_iter()
        .map(|(measure, inner)| {
            let signature = Signature::user_defined(Volatility::Immutable);
            AggregateUDF::from(Exact { measure, inner, signature })
        })
        .collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Measure {
    Sum,
    Mean,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Exact {
    measure: Measure,
    /// The engine's function, for types that are not exact here.
    inner: Arc<AggregateUDF>,
    signature: Signature,
}

impl Exact {
    fn answer(&self, argument: &DataType) -> Result<Answer> {
        Ok(match self.measure {
            Measure::Sum => Answer::Sum(self.return_type(std::slice::from_ref(argument))?),
            Measure::Mean => Answer::Mean,
        })
    }

    fn is_exact_here(&self, argument: &DataType) -> bool {
        match argument {
            DataType::Int64 | DataType::UInt64 | DataType::Float64 => true,
            DataType::Decimal128(..) => self.measure == Measure::Sum,
            _ => false,
        }
    }
}

/// Calls `$make::<A>(…)` with the addend of a type.
macro_rules! by_addend {
    ($argument:expr, $make:ident($($arg:expr),*), else $other:expr) => {
        match $argument {
            DataType::Int64 => $make::<Int64Type>($($arg),*),
            DataType::UInt64 => $make::<UInt64Type>($($arg),*),
            DataType::Float64 => $make::<Float64Type>($($arg),*),
            DataType::Decimal128(..) => $make::<Decimal128Type>($($arg),*),
            _ => $other,
        }
    };
}

fn one<A: Addend>(answer: Answer) -> Result<Box<dyn Accumulator>> {
    Ok(Box::new(One::<A>::new(answer)))
}

fn distinct<A: Addend>(answer: Answer, data_type: &DataType) -> Result<Box<dyn Accumulator>> {
    Ok(Box::new(Distinct::<A>::new(answer, data_type.clone())))
}

fn groups<A: Addend>(answer: Answer) -> Result<Box<dyn GroupsAccumulator>> {
    Ok(Box::new(Groups::<A>::new(answer)))
}

fn state_type<A: Addend>() -> DataType {
    A::Total::STATE
}

fn argument(fields: &[FieldRef]) -> &DataType {
    fields.first().map_or(&DataType::Null, |field| field.data_type())
}

impl AggregateUDFImpl for Exact {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [argument] = arg_types else {
            return Err(refused(format!("{} takes one argument", self.name())));
        };
        let argument = match argument {
            unsigned if unsigned.is_unsigned_integer() => DataType::UInt64,
            signed if signed.is_signed_integer() => DataType::Int64,
            float if float.is_floating() => DataType::Float64,
            DataType::Null => DataType::Float64,
            DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
                DataType::Decimal128(*precision, *scale)
            }
            DataType::Decimal128(..)
            | DataType::Decimal256(..)
            | DataType::Duration(_)
            | DataType::Interval(_) => argument.clone(),
            other => return Err(refused(format!("{} takes numbers, not {other}", self.name()))),
        };
        Ok(vec![argument])
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match (self.measure, arg_types) {
            (Measure::Sum, [DataType::Decimal128(_, scale)]) => {
                Ok(DataType::Decimal128(DECIMAL_PRECISION, *scale))
            }
            (Measure::Mean, [DataType::Int64 | DataType::UInt64]) => Ok(DataType::Float64),
            _ => self.inner.return_type(arg_types),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let data_type = argument(args.expr_fields);
        if !self.is_exact_here(data_type) {
            return self.inner.accumulator(args);
        }
        let answer = self.answer(data_type)?;
        if args.is_distinct {
            return by_addend!(data_type, distinct(answer, data_type), else self.inner.accumulator(args));
        }
        by_addend!(data_type, one(answer), else self.inner.accumulator(args))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if self.is_exact_here(argument(args.expr_fields)) {
            return self.accumulator(args);
        }
        self.inner.create_sliding_accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let data_type = argument(args.input_fields);
        if !self.is_exact_here(data_type) {
            return self.inner.state_fields(args);
        }
        if args.is_distinct {
            let item = Field::new_list_field(data_type.clone(), true);
            return Ok(vec![Arc::new(Field::new_list(format_state_name(args.name, "distinct"), item, true))]);
        }
        let total = by_addend!(data_type, state_type(), else DataType::Null);
        Ok(vec![
            Arc::new(Field::new(format_state_name(args.name, "total"), total, true)),
            Arc::new(Field::new(format_state_name(args.name, "count"), DataType::UInt64, true)),
        ])
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        if self.is_exact_here(argument(args.expr_fields)) {
            return !args.is_distinct;
        }
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        let data_type = argument(args.expr_fields);
        if !self.is_exact_here(data_type) {
            return self.inner.create_groups_accumulator(args);
        }
        let answer = self.answer(data_type)?;
        by_addend!(data_type, groups(answer), else self.inner.create_groups_accumulator(args))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}
