//! What statements may call besides the engine's own: parameters, the calendar, exact rounding and
//! exact aggregates. Functions that read a clock or make something up are not there, since the same
//! statement must give the same answer.

mod aggregates;
mod arguments;
mod bounded;
mod calendar;
mod json;
mod json_member;
mod numbers;
mod parameter;
mod periods;
mod ratio;
mod series;
mod texts;

use std::sync::Arc;

use datafusion::catalog::{TableFunction, TableFunctionImpl};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::ScalarUDF;

pub(super) use aggregates::aggregate_functions;
pub(crate) use aggregates::window_funnel_level;
pub(super) use calendar::{calendar_functions, today};
pub(super) use json::Wanted;
pub(super) use json_member::whole;
pub(super) use numbers::{Ticks, days_between};
pub(super) use parameter::{parameter, parameter_float, parameter_text, timestamp, timestamp_type};

/// Functions of the engine that are left out: their answer depends on chance, or on the binary.
const LEFT_OUT: [&str; 3] = ["random", "uuid", "version"];

/// The engine's scalar functions that a statement may call.
pub(super) fn scalar_functions() -> Vec<Arc<ScalarUDF>> {
    let functions = SessionStateDefaults::default_scalar_functions();
    let engine = functions.into_iter().filter(|function| !LEFT_OUT.contains(&function.name()));
    let own = numbers::number_functions().into_iter().chain(ratio::ratio_functions());
    let own = own.chain(texts::text_functions()).chain(json::json_functions());
    engine.map(bounded::bounded).chain(own.map(Arc::new)).collect()
}

/// The functions that stand where a table may: bounded series of whole numbers.
pub(super) fn table_functions() -> Vec<Arc<TableFunction>> {
    let bounded = |function: &Arc<TableFunction>| {
        let series: Arc<dyn TableFunctionImpl> = Arc::new(series::BoundedSeries::new(function.clone()));
        Arc::new(TableFunction::new(function.name().to_owned(), series))
    };
    SessionStateDefaults::default_table_functions().iter().map(bounded).collect()
}
