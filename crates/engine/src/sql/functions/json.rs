//! `json_get_str`, `json_get_int`, `json_get_float` and `json_get_bool`: a member of a JSON object, if it is
//! of that type; else null. Nothing is cast, save that an integer is a float, too; and a number that is whole
//! is an integer, however it is written. Text that is no JSON object has no members.
//!
//! This is the function over text. Of the properties of an open table it becomes a column, see
//! [`members`](crate::sql::members).

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int64Builder, StringArray, StringBuilder,
};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::arguments::{evaluated, refused};
use super::json_member::{Member, member};

pub(super) fn json_functions() -> Vec<ScalarUDF> {
    let signature = Signature::exact(vec![DataType::Utf8, DataType::Utf8], Volatility::Immutable);
    let function = |wanted| ScalarUDF::from(JsonGet { wanted, signature: signature.clone() });
    [Wanted::Text, Wanted::Int, Wanted::Float, Wanted::Bool].map(function).into()
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub(in crate::sql) enum Wanted {
    Text,
    Int,
    Float,
    Bool,
}

impl Wanted {
    /// By the name of its function, if that is one of these.
    pub(in crate::sql) fn of_function(name: &str) -> Option<Self> {
        [Self::Text, Self::Int, Self::Float, Self::Bool].into_iter().find(|wanted| wanted.function() == name)
    }

    pub(in crate::sql) fn function(self) -> &'static str {
        match self {
            Self::Text => "json_get_str",
            Self::Int => "json_get_int",
            Self::Float => "json_get_float",
            Self::Bool => "json_get_bool",
        }
    }

    pub(in crate::sql) fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Bool => DataType::Boolean,
        }
    }

    /// The members of that name of JSON texts, where they are of that type. A single name goes for all.
    pub(in crate::sql) fn members(self, texts: &StringArray, names: &StringArray) -> ArrayRef {
        let name = |row: usize| {
            let row = if names.len() == 1 { 0 } else { row };
            names.is_valid(row).then(|| names.value(row))
        };
        let found = (0..texts.len()).map(|row| {
            let name = name(row).filter(|_| texts.is_valid(row))?;
            member(texts.value(row), name)
        });
        macro_rules! collect {
            ($builder:expr, $pattern:pat => $value:expr) => {{
                let mut builder = $builder;
                for member in found {
                    builder.append_option(match member {
                        Some($pattern) => Some($value),
                        _ => None,
                    });
                }
                Arc::new(builder.finish())
            }};
        }
        match self {
            Self::Text => collect!(StringBuilder::new(), Member::Text(text) => text),
            Self::Int => collect!(Int64Builder::with_capacity(texts.len()), Member::Int(int) => int),
            #[expect(clippy::cast_precision_loss, reason = "to the nearest float")]
            Self::Float => {
                let mut builder = Float64Builder::with_capacity(texts.len());
                for member in found {
                    builder.append_option(match member {
                        Some(Member::Float(float)) => Some(float),
                        Some(Member::Int(int)) => Some(int as f64),
                        _ => None,
                    });
                }
                Arc::new(builder.finish())
            }
            Self::Bool => collect!(BooleanBuilder::with_capacity(texts.len()), Member::Bool(bool) => bool),
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonGet {
    wanted: Wanted,
    signature: Signature,
}

impl ScalarUDFImpl for JsonGet {
    fn name(&self) -> &'static str {
        self.wanted.function()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.wanted.data_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        evaluated(&args, |arrays| {
            let [texts, names] = arrays else {
                return Err(refused(format!("{} takes JSON text and a member's name", self.name())));
            };
            Ok(self.wanted.members(texts.as_string::<i32>(), names.as_string::<i32>()))
        })
    }
}
