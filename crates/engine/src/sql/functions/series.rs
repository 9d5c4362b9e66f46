//! `generate_series` and `range` as tables: whole numbers, and not without end.

use std::sync::Arc;

use datafusion::catalog::{TableFunction, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::Expr;

/// The longest series.
const VALUES_MAX: u64 = 100_000;

#[derive(Debug)]
pub(super) struct BoundedSeries {
    inner: Arc<TableFunction>,
}

impl BoundedSeries {
    pub(super) fn new(inner: Arc<TableFunction>) -> Self {
        Self { inner }
    }
}

impl TableFunctionImpl for BoundedSeries {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let name = self.inner.name();
        let numbers: Option<Vec<i64>> = args.exprs().iter().map(whole_number).collect();
        let Some(numbers) = numbers else {
            return Err(DataFusionError::Plan(format!(
                "{name} takes whole numbers, which are known beforehand"
            )));
        };
        let (start, end, step) = match numbers[..] {
            [end] => (0, end, 1),
            [start, end] => (start, end, 1),
            [start, end, step] => (start, end, step),
            _ => return Err(DataFusionError::Plan(format!("{name} takes one to three whole numbers"))),
        };
        if step == 0 {
            return Err(DataFusionError::Plan(format!("{name} takes no step of 0")));
        }
        if start.abs_diff(end) / step.unsigned_abs() >= VALUES_MAX {
            return Err(DataFusionError::Plan(format!("{name} has at most {VALUES_MAX} values")));
        }
        self.inner.create_table_provider_with_args(args)
    }
}

fn whole_number(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(ScalarValue::Int64(number), _) => *number,
        _ => None,
    }
}
