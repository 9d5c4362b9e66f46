//! `window_funnel(seconds, modes, ts, cond1, cond2, …)`: how many of the conditions an actor's rows met one
//! after the other, all within a time from the first. The rules are those of `windowFunnel` of `ClickHouse`
//! ([`level`](super::levels::level)); an answer does not depend on the order in which rows come.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, LargeListArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{
    DataType, Field, FieldRef, Int64Type, TimeUnit, TimestampMicrosecondType, UInt32Type,
};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility,
};

use super::conditions::{Add, Conditions, Groups, OneGroup, Summary, condition_types, constant};
use super::levels::{Row, Rules, level};
use super::modes::Modes;
use crate::sql::functions::arguments::refused;

/// How many arguments come before the conditions.
const BEFORE_CONDITIONS: usize = 3;
const MICROS_PER_SECOND: f64 = 1_000_000.0;

pub(super) fn functions() -> Vec<AggregateUDF> {
    vec![AggregateUDF::from(WindowFunnel { signature: Signature::user_defined(Volatility::Immutable) })]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct WindowFunnel {
    signature: Signature,
}

impl AggregateUDFImpl for WindowFunnel {
    fn name(&self) -> &'static str {
        "window_funnel"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [seconds, modes, time, conditions @ ..] = arg_types else {
            return Err(refused(format!(
                "window_funnel is given {} arguments; it takes seconds, modes, a time and 1 to 32 conditions",
                arg_types.len()
            )));
        };
        let mut types = vec![seconds_type(seconds)?, modes_type(modes)?, time_type(time)?];
        types.extend(condition_types(self.name(), BEFORE_CONDITIONS, conditions)?);
        Ok(types)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn is_nullable(&self) -> bool {
        false
    }

    /// That of no rows.
    fn default_value(&self, _: &DataType) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(0)))
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OneGroup::new(Funnel(rules(&args)?))))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let list = |name, item| {
            let name = format_state_name(args.name, name);
            Arc::new(Field::new(name, DataType::LargeList(list_item(item)), false))
        };
        Ok(vec![list("times", DataType::Int64), list("held", DataType::UInt32)])
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups::new(Funnel(rules(&args)?))))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

fn seconds_type(given: &DataType) -> Result<DataType> {
    match given {
        whole if whole.is_integer() => Ok(DataType::Int64),
        DataType::Null => Ok(DataType::Int64),
        number if number.is_numeric() => Ok(DataType::Float64),
        other => Err(refused(format!(
            "argument 1 of window_funnel is of type {other}; allowed is the window in seconds, a number"
        ))),
    }
}

fn modes_type(given: &DataType) -> Result<DataType> {
    match given {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => Ok(DataType::Utf8),
        other => Err(refused(format!(
            "argument 2 of window_funnel is of type {other}; allowed are the modes, a text such as \
             'strict_order'"
        ))),
    }
}

fn time_type(given: &DataType) -> Result<DataType> {
    match given {
        DataType::Timestamp(_, zone) => Ok(DataType::Timestamp(TimeUnit::Microsecond, zone.clone())),
        DataType::Date32 | DataType::Date64 | DataType::Null => {
            Ok(DataType::Timestamp(TimeUnit::Microsecond, None))
        }
        other => Err(refused(format!(
            "argument 3 of window_funnel is of type {other}; allowed is the time of a row, a TIMESTAMP or DATE"
        ))),
    }
}

fn rules(args: &AccumulatorArgs<'_>) -> Result<Rules> {
    if args.is_distinct {
        return Err(refused(
            "window_funnel takes no DISTINCT; allowed is strict_once among its modes".to_owned(),
        ));
    }
    Ok(Rules {
        conditions: args.exprs.len().saturating_sub(BEFORE_CONDITIONS),
        window_micros: window_micros(constant(args.exprs.first()).as_ref())?,
        modes: modes(constant(args.exprs.get(1)).as_ref())?,
    })
}

fn window_micros(given: Option<&ScalarValue>) -> Result<i64> {
    let allowed = "allowed is a number of seconds above 0 that is known beforehand";
    let micros = match given {
        Some(ScalarValue::Int64(Some(seconds))) => seconds.saturating_mul(1_000_000),
        #[expect(clippy::cast_possible_truncation, reason = "to the nearest that there is")]
        Some(ScalarValue::Float64(Some(seconds))) => (seconds * MICROS_PER_SECOND).round() as i64,
        Some(other) if !other.is_null() => {
            return Err(refused(format!("the window of window_funnel is {other}; {allowed}")));
        }
        Some(_) => return Err(refused(format!("the window of window_funnel is null; {allowed}"))),
        None => {
            return Err(refused(format!("the window of window_funnel differs from row to row; {allowed}")));
        }
    };
    if micros <= 0 {
        let given = given.map(ToString::to_string).unwrap_or_default();
        return Err(refused(format!("the window of window_funnel is {given}; {allowed}")));
    }
    Ok(micros)
}

fn modes(given: Option<&ScalarValue>) -> Result<Modes> {
    match given {
        Some(ScalarValue::Utf8(Some(text))) => Modes::parse(text).map_err(|fault| refused(fault.to_string())),
        Some(_) => Err(refused("the modes of window_funnel are null; '' stands for none".to_owned())),
        None => Err(refused(
            "the modes of window_funnel differ from row to row; allowed is a text that is known beforehand"
                .to_owned(),
        )),
    }
}

/// All rows of a group that may matter: which of them do is known once they are in order.
#[derive(Debug)]
struct Funnel(Rules);

fn list_item(data_type: DataType) -> FieldRef {
    Arc::new(Field::new_list_field(data_type, false))
}

impl Summary for Funnel {
    type Group = Vec<Row>;

    fn reader<'a>(&'a self, values: &'a [ArrayRef]) -> Result<Add<'a, Vec<Row>>> {
        let times = values.get(BEFORE_CONDITIONS - 1);
        let times = times.and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>());
        let times = times.ok_or_else(|| DataFusionError::Internal("times are microseconds".to_owned()))?;
        let conditions = Conditions::of(values.get(BEFORE_CONDITIONS..).unwrap_or_default())?;
        Ok(Box::new(move |rows, row| {
            let held = conditions.holding(row);
            if times.is_valid(row) && (held != 0 || self.0.modes.tell_rows_between()) {
                rows.push(Row { micros: times.value(row), held });
            }
        }))
    }

    fn answers(&self, groups: &mut [Vec<Row>]) -> Result<ArrayRef> {
        let level = |rows: &mut Vec<Row>| i64::try_from(level(&self.0, rows)).unwrap_or(i64::MAX);
        Ok(Arc::new(groups.iter_mut().map(level).map(Some).collect::<Int64Array>()))
    }

    fn states(groups: &[Vec<Row>]) -> Result<Vec<ArrayRef>> {
        let offsets = OffsetBuffer::<i64>::from_lengths(groups.iter().map(Vec::len));
        let times: Int64Array = groups.iter().flatten().map(|row| row.micros).collect();
        let held: UInt32Array = groups.iter().flatten().map(|row| row.held).collect();
        let list = |item: DataType, values: ArrayRef| -> Result<ArrayRef> {
            Ok(Arc::new(LargeListArray::try_new(list_item(item), offsets.clone(), values, None)?))
        };
        Ok(vec![list(DataType::Int64, Arc::new(times))?, list(DataType::UInt32, Arc::new(held))?])
    }

    fn merger(states: &[ArrayRef]) -> Result<Add<'_, Vec<Row>>> {
        let internal = || DataFusionError::Internal("rows of a funnel are two lists".to_owned());
        let list = |place: usize| -> Result<&LargeListArray> {
            states.get(place).and_then(|list| list.as_list_opt::<i64>()).ok_or_else(internal)
        };
        let (times, held) = (list(0)?, list(1)?);
        let micros = times.values().as_primitive_opt::<Int64Type>().ok_or_else(internal)?;
        let bits = held.values().as_primitive_opt::<UInt32Type>().ok_or_else(internal)?;
        let range = |list: &LargeListArray, row: usize| -> Option<std::ops::Range<usize>> {
            let (from, to) = (list.value_offsets().get(row)?, list.value_offsets().get(row + 1)?);
            Some(usize::try_from(*from).ok()?..usize::try_from(*to).ok()?)
        };
        Ok(Box::new(move |rows, row| {
            let micros = range(times, row).and_then(|range| micros.values().get(range));
            let bits = range(held, row).and_then(|range| bits.values().get(range));
            let pairs = micros.into_iter().flatten().zip(bits.into_iter().flatten());
            rows.extend(pairs.map(|(micros, held)| Row { micros: *micros, held: *held }));
        }))
    }

    fn heap_bytes(group: &Vec<Row>) -> usize {
        group.capacity() * size_of::<Row>()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{BooleanArray, TimestampMicrosecondArray};
    use datafusion::logical_expr::EmitTo;

    use super::*;

    /// Rows of three groups: those of group 0 reach the second condition, those of 1 the first alone, and
    /// group 2 has none that counts.
    fn batch() -> (Vec<ArrayRef>, [usize; 5], BooleanArray) {
        let nothing: ArrayRef = Arc::new(Int64Array::from(vec![1; 5]));
        let values: Vec<ArrayRef> = vec![
            nothing.clone(),
            nothing,
            Arc::new(TimestampMicrosecondArray::from(vec![Some(5), Some(1), Some(2), None, Some(9)])),
            Arc::new(BooleanArray::from(vec![false, true, true, true, true])),
            Arc::new(BooleanArray::from(vec![true, false, false, true, true])),
        ];
        (values, [0, 0, 1, 2, 2], BooleanArray::from(vec![true, true, true, true, false]))
    }

    fn funnel() -> Groups<Funnel> {
        Groups::new(Funnel(Rules { conditions: 2, window_micros: 10, modes: Modes::default() }))
    }

    fn levels(array: &ArrayRef) -> Vec<i64> {
        array.as_primitive::<Int64Type>().values().to_vec()
    }

    #[test]
    fn groups_may_leave_in_pieces_and_travel_as_states() {
        let (values, groups, filter) = batch();
        let mut whole = funnel();
        whole.update_batch(&values, &groups, Some(&filter), 3).unwrap();
        assert!(whole.size() > 0);
        assert_eq!(levels(&whole.evaluate(EmitTo::First(1)).unwrap()), [2]);
        assert_eq!(levels(&whole.evaluate(EmitTo::All).unwrap()), [1, 0]);

        let mut begun = funnel();
        begun.update_batch(&values, &groups, Some(&filter), 3).unwrap();
        let mut merged = funnel();
        merged.merge_batch(&begun.state(EmitTo::First(2)).unwrap(), &[0, 1], 3).unwrap();
        merged.merge_batch(&begun.state(EmitTo::All).unwrap(), &[2], 3).unwrap();
        assert_eq!(levels(&merged.evaluate(EmitTo::All).unwrap()), [2, 1, 0]);

        let rows = funnel().convert_to_state(&values, Some(&filter)).unwrap();
        let mut merged = funnel();
        merged.merge_batch(&rows, &groups, 3).unwrap();
        assert_eq!(levels(&merged.evaluate(EmitTo::All).unwrap()), [2, 1, 0]);
    }
}
