//! Functions of the engine whose answer may be much bigger than their arguments. What a call would take
//! is reckoned before it is run, since memory inside a function is nobody's budget.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::compute::kernels::length::length;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::arguments::refused;
use crate::sql::SqlError;

/// The most bytes that one call may make for a batch of rows.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
const ITEM_BYTES: u64 = 8;
const CHAR_BYTES: u64 = 4;

/// How the size of an answer follows from the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Growth {
    /// A text so many times.
    Repeat,
    /// A text filled up to so many characters.
    Pad,
    /// A text with every part that is like the second argument made the third.
    Replace,
    /// A list of so many items.
    Items,
    /// A list of the whole numbers from one to another.
    Series,
}

/// The function with a bound on its answer, where it needs one.
pub(super) fn bounded(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    let growth = match function.name() {
        "repeat" => Growth::Repeat,
        "lpad" | "rpad" => Growth::Pad,
        "replace" => Growth::Replace,
        "array_repeat" | "array_resize" => Growth::Items,
        "range" | "generate_series" => Growth::Series,
        _ => return function,
    };
    Arc::new(ScalarUDF::from(Bounded { inner: function, growth }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<ArrayRef>>>()?;
        let given = self.growth.bytes(self.inner.name(), &arrays)?;
        if given > BYTES_MAX {
            let error = SqlError::ValueTooLarge { given, allowed: BYTES_MAX };
            return Err(DataFusionError::External(Box::new(error)));
        }
        self.inner.invoke_with_args(args)
    }
}

impl Growth {
    /// The bytes of the answers to all rows, or more.
    fn bytes(self, name: &str, arguments: &[ArrayRef]) -> Result<u64> {
        let rows = arguments.first().map_or(0, |argument| argument.len());
        let bytes: Box<dyn Fn(usize) -> u64> = match (self, arguments) {
            (Self::Repeat, [text, times]) => {
                let (bytes, times) = (text_bytes(text)?, numbers(times)?);
                Box::new(move |row| number(&bytes, row).saturating_mul(number(&times, row)))
            }
            (Self::Pad, [_, chars, ..]) => {
                let chars = numbers(chars)?;
                Box::new(move |row| number(&chars, row).saturating_mul(CHAR_BYTES))
            }
            (Self::Replace, [text, from, to]) => {
                let (text, from, to) = (text_bytes(text)?, text_bytes(from)?, text_bytes(to)?);
                Box::new(move |row| {
                    let parts = number(&text, row) / number(&from, row).max(1) + 1;
                    number(&text, row).saturating_add(parts.saturating_mul(number(&to, row)))
                })
            }
            (Self::Items, [item, count, ..]) => {
                let each = item.get_array_memory_size() / item.len().max(1);
                let each = u64::try_from(each).unwrap_or(u64::MAX).max(ITEM_BYTES);
                // The two functions have the item and the count at either place.
                let count = if count.data_type().is_integer() { count } else { item };
                let count = numbers(count)?;
                Box::new(move |row| number(&count, row).saturating_mul(each))
            }
            (Self::Series, bounds) => series_bytes(name, bounds)?,
            _ => Box::new(|_| 0),
        };
        Ok((0..rows).map(bytes).fold(0, u64::saturating_add))
    }
}

fn series_bytes(name: &str, bounds: &[ArrayRef]) -> Result<Box<dyn Fn(usize) -> u64>> {
    let whole = |bound: &ArrayRef| bound.data_type().is_integer() || bound.data_type().is_null();
    if !bounds.iter().all(whole) {
        return Err(refused(format!("{name} takes whole numbers")));
    }
    let bounds = bounds.iter().map(numbers).collect::<Result<Vec<Int64Array>>>()?;
    let value = |array: &Int64Array, row: usize| if array.is_valid(row) { array.value(row) } else { 0 };
    Ok(Box::new(move |row| {
        let (start, end, step) = match &bounds[..] {
            [end] => (0, value(end, row), 1),
            [start, end] => (value(start, row), value(end, row), 1),
            [start, end, step, ..] => (value(start, row), value(end, row), value(step, row)),
            [] => (0, 0, 1),
        };
        (start.abs_diff(end) / step.unsigned_abs().max(1)).saturating_add(1).saturating_mul(ITEM_BYTES)
    }))
}

fn text_bytes(text: &ArrayRef) -> Result<Int64Array> {
    match text.data_type() {
        DataType::Null => Ok(Int64Array::new_null(text.len())),
        _ => numbers(&length(text)?),
    }
}

fn numbers(array: &ArrayRef) -> Result<Int64Array> {
    Ok(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

fn number(array: &Int64Array, row: usize) -> u64 {
    if array.is_valid(row) { u64::try_from(array.value(row)).unwrap_or(0) } else { 0 }
}
