//! `strip`: text without the white space around it.

use std::sync::Arc;

use arrow::array::{Array, AsArray, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::arguments::{evaluated, refused};

pub(super) fn text_functions() -> Vec<ScalarUDF> {
    vec![ScalarUDF::from(Strip { signature: Signature::exact(vec![DataType::Utf8], Volatility::Immutable) })]
}

/// `strip(text)`: without what is Unicode's White_Space at its beginning and end; the engine's own `btrim`
/// takes away spaces alone.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Strip {
    signature: Signature,
}

impl ScalarUDFImpl for Strip {
    fn name(&self) -> &'static str {
        "strip"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        evaluated(&args, |arrays| {
            let [texts] = arrays else {
                return Err(refused("strip takes a text".to_owned()));
            };
            let texts = texts.as_string::<i32>();
            let mut stripped = StringBuilder::with_capacity(texts.len(), texts.value_data().len());
            for text in texts {
                stripped.append_option(text.map(str::trim));
            }
            Ok(Arc::new(stripped.finish()))
        })
    }
}
