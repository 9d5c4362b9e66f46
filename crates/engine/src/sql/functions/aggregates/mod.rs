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

/// How deep rows of time and conditions go in a `window_funnel` with these modes; `None` where there is no
/// such mode.
pub(crate) fn window_funnel_level(
    modes: &str,
    window_micros: i64,
    conditions: usize,
    rows: &[(i64, u32)],
) -> Option<usize> {
    let rules = levels::Rules { conditions, window_micros, modes: modes::Modes::parse(modes).ok()? };
    let mut rows: Vec<levels::Row> =
        rows.iter().map(|(micros, held)| levels::Row { micros: *micros, held: *held }).collect();
    Some(levels::level(&rules, &mut rows))
}

/// They take the place of the engine's own functions of the same names.
pub(in crate::sql) fn aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    [sum::functions(), quantile::functions(), window_funnel::functions(), retention::functions()]
        .into_iter()
        .flatten()
        .map(Arc::new)
        .collect()
}
