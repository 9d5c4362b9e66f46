//! A parameter `$name` is a function of that name without arguments, whose answer is the bound value:
//! it has its type while the statement is planned, and never is text of the statement.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use ebbtide_model::{ColumnType, DECIMAL_PRECISION, DECIMAL_SCALE, Value};

use crate::sql::statement::parameter_function;

/// The function that stands for `$name`.
pub(in crate::sql) fn parameter(name: &str, value: &Value) -> ScalarUDF {
    ScalarUDF::from(Parameter {
        name: parameter_function(name),
        value: scalar(value),
        signature: Signature::nullary(Volatility::Immutable),
    })
}

/// The value of a function that stands for a parameter, if it is a text.
pub(in crate::sql) fn parameter_text(function: &ScalarUDF) -> Option<&str> {
    match &function.inner().downcast_ref::<Parameter>()?.value {
        ScalarValue::Utf8(Some(text)) => Some(text),
        _ => None,
    }
}

/// The value of a function that stands for a parameter, if it is a float.
pub(in crate::sql) fn parameter_float(function: &ScalarUDF) -> Option<f64> {
    match function.inner().downcast_ref::<Parameter>()?.value {
        ScalarValue::Float64(value) => value,
        _ => None,
    }
}

fn scalar(value: &Value) -> ScalarValue {
    match value {
        Value::Null => ScalarValue::Null,
        Value::Bool(value) => ScalarValue::Boolean(Some(*value)),
        Value::Int(value) => ScalarValue::Int64(Some(*value)),
        Value::Float(value) => ScalarValue::Float64(Some(*value)),
        Value::Decimal(units) => {
            ScalarValue::Decimal128(Some(*units), DECIMAL_PRECISION, DECIMAL_SCALE.cast_signed())
        }
        Value::Text(text) | Value::Json(text) => ScalarValue::Utf8(Some(text.to_string())),
        Value::Timestamp(instant) => timestamp(Some(instant.micros())),
        Value::Date(days) => ScalarValue::Date32(Some(*days)),
    }
}

/// An instant as tables hold them.
pub(in crate::sql) fn timestamp(micros: Option<i64>) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(micros, Some(Arc::from("+00:00")))
}

/// The type of an instant in tables.
pub(in crate::sql) fn timestamp_type() -> DataType {
    ebbtide_store::arrow_type(ColumnType::Timestamp)
}

#[derive(Debug, PartialEq)]
struct Parameter {
    name: String,
    value: ScalarValue,
    signature: Signature,
}

impl Eq for Parameter {}

impl Hash for Parameter {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Parameter {
    fn name(&self) -> &str {
        &self.name
    }

    /// What `SELECT $name` calls its column.
    fn schema_name(&self, _: &[Expr]) -> Result<String> {
        Ok(self.name.clone())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.value.data_type())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(&self.name, self.value.data_type(), true)))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(self.value.clone()))
    }

    fn simplify(&self, _: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(ExprSimplifyResult::Simplified(Expr::Literal(self.value.clone(), None)))
    }
}
