//! A number that a statement or its parameter compares with a decimal is that decimal. The planner takes `0.1` for a
//! float, and would compare floats: of a decimal it makes one by a division, which may miss the float of the same text.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{Expr, ExprSchemable};
use datafusion::scalar::ScalarValue;

use arrow::datatypes::DataType;

use super::functions::parameter_float;

#[derive(Debug)]
pub(super) struct Literals;

impl FunctionRewrite for Literals {
    fn name(&self) -> &'static str {
        "literals"
    }

    fn rewrite(&self, mut expr: Expr, schema: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        let mut operands: Vec<&mut Expr> = match &mut expr {
            Expr::BinaryExpr(binary) if binary.op.supports_propagation() => {
                vec![&mut binary.left, &mut binary.right]
            }
            Expr::Between(between) => vec![&mut between.expr, &mut between.low, &mut between.high],
            Expr::InList(list) => std::iter::once(&mut *list.expr).chain(&mut list.list).collect(),
            _ => return Ok(Transformed::no(expr)),
        };
        let literals = operands.iter().filter(|operand| float(operand).is_some()).count();
        let decimal =
            operands.iter().filter(|_| literals > 0).find_map(|operand| decimal_type(operand, schema));
        let Some((precision, scale)) = decimal else {
            return Ok(Transformed::no(expr));
        };
        let mut changed = false;
        for operand in &mut operands {
            if let Some(literal) = float(operand).and_then(|value| literal(value, precision, scale)) {
                **operand = literal;
                changed = true;
            }
        }
        Ok(if changed { Transformed::yes(expr) } else { Transformed::no(expr) })
    }
}

fn float(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Literal(ScalarValue::Float64(value), _) => *value,
        Expr::ScalarFunction(call) => parameter_float(&call.func),
        _ => None,
    }
}

fn decimal_type(expr: &Expr, schema: &DFSchema) -> Option<(u8, i8)> {
    match expr.get_type(schema) {
        Ok(DataType::Decimal128(precision, scale)) => Some((precision, scale)),
        _ => None,
    }
}

/// What the shortest text of the float says, where a decimal of this type holds it.
fn literal(value: f64, precision: u8, scale: i8) -> Option<Expr> {
    let text = value.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let own_scale = i8::try_from(fraction.len()).ok()?;
    let digits = whole.trim_start_matches('-').trim_start_matches('0').len();
    if own_scale > scale || digits > usize::from(precision.checked_sub(scale.unsigned_abs())?) {
        return None;
    }
    let units = format!("{whole}{fraction}").parse::<i128>().ok()?;
    let own_precision = u8::try_from(digits).ok()? + own_scale.unsigned_abs();
    let decimal = ScalarValue::Decimal128(Some(units), own_precision.max(1), own_scale);
    Some(Expr::Literal(decimal, None))
}
