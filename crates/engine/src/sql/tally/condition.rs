//! What has to hold for a row to count: looked up by the numbers of values where it can be, else evaluated.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use datafusion::common::{DataFusionError, Result};
use datafusion::physical_expr::{PhysicalExpr, split_conjunction};

use super::lookup::{Kept, Lookups};

/// What has to hold for a row to count.
#[derive(Default)]
pub(super) struct Condition {
    pub(super) kept: Vec<Kept>,
    pub(super) evaluated: Vec<Arc<dyn PhysicalExpr>>,
}

impl Condition {
    pub(super) fn of(lookups: &Lookups, expr: Option<&Arc<dyn PhysicalExpr>>) -> Result<Self> {
        let mut condition = Self::default();
        for expr in expr.map(split_conjunction).into_iter().flatten() {
            match lookups.kept(expr)? {
                Some(kept) => condition.kept.push(kept),
                None => condition.evaluated.push(expr.clone()),
            }
        }
        Ok(condition)
    }
}

/// Which of these rows of a part, of which the batch is, count for an aggregate; `None`: all.
pub(super) fn counted(
    condition: &Condition,
    batch: &RecordBatch,
    (part, rows): (usize, &[u32]),
) -> Result<Option<BooleanArray>> {
    if condition.kept.is_empty() && condition.evaluated.is_empty() {
        return Ok(None);
    }
    let mut counted = vec![true; rows.len()];
    for kept in &condition.kept {
        for (counted, row) in counted.iter_mut().zip(rows) {
            *counted &= kept.keeps(part, *row as usize);
        }
    }
    for expr in &condition.evaluated {
        mark(&mut counted, &evaluated_condition(expr, batch)?);
    }
    Ok(Some(BooleanArray::from(counted)))
}

pub(super) fn evaluated_condition(expr: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<BooleanArray> {
    let array = expr.evaluate(batch)?.into_array(batch.num_rows())?;
    let holds = array.as_boolean_opt().cloned();
    holds.ok_or_else(|| DataFusionError::Internal("a condition is neither true nor false".to_owned()))
}

/// Null is no.
pub(super) fn mark(mask: &mut [bool], holds: &BooleanArray) {
    mask.iter_mut().zip(holds.values()).for_each(|(kept, holds)| *kept &= holds);
    if let Some(nulls) = holds.nulls().filter(|nulls| nulls.null_count() > 0) {
        mask.iter_mut().zip(nulls.iter()).for_each(|(kept, is_there)| *kept &= is_there);
    }
}
