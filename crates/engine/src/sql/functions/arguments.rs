//! Arguments of functions as arrays, and answers the other way round.

use arrow::array::{Array, ArrayRef};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use crate::sql::SqlError;

/// Runs a function over arrays, one row where all arguments are scalars: then the answer is one, too.
pub(super) fn evaluated(
    args: &ScalarFunctionArgs,
    function: impl FnOnce(&[ArrayRef]) -> Result<ArrayRef>,
) -> Result<ColumnarValue> {
    let scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
    let rows = if scalar { 1 } else { args.number_rows };
    let arrays: Vec<ArrayRef> =
        args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<ArrayRef>>>()?;
    let answer = function(&arrays)?;
    if scalar && answer.len() == 1 {
        return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&answer, 0)?));
    }
    Ok(ColumnarValue::Array(answer))
}

/// There is no room for a number, or for what some add up to.
pub(super) fn too_large(problem: String) -> DataFusionError {
    DataFusionError::External(Box::new(SqlError::NumberTooLarge(problem)))
}

/// The fault of a call.
pub(super) fn refused(problem: String) -> DataFusionError {
    DataFusionError::External(Box::new(SqlError::Refused(problem)))
}
