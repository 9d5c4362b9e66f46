//! Aggregates whose answer does not depend on the order of rows, nor on how they were spread over
//! threads: `sum` and `avg` are exact and rounded once, and so are percentiles; `window_funnel` and
//! `retention` tell of an actor's rows.

mod accumulate;
mod conditions;
mod levels;
mod modes;
mod quantile;
mod retention;
mod sum;
mod total;
mod window_funnel;

use std::sync::Arc;

use datafusion::logical_expr::AggregateUDF;

/// They take the place of the engine's own functions of the same names.
pub(in crate::sql) fn aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    [sum::functions(), quantile::functions(), window_funnel::functions(), retention::functions()]
        .into_iter()
        .flatten()
        .map(Arc::new)
        .collect()
}
