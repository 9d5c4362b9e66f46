//! Read-only SQL over a snapshot. A statement runs in a session of its own, whose catalog holds this
//! scope's rows up to `as_of` and nothing else, on threads of its own, within limits of rows, bytes,
//! memory and time; whoever asked may leave, and the statement stops.
//!
//! DataFusion is known to this module alone: what comes in and goes out are our types and Arrow batches.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "types, operators and errors of Arrow and DataFusion: what a function does not know, it refuses"
)]

mod apart;
mod catalog;
mod certain;
mod clock;
mod error;
mod functions;
mod given;
mod literals;
mod members;
mod moments;
mod physical;
mod plans;
mod properties;
mod relation;
mod rows;
mod scan;
mod scan_exec;
mod session;
mod spread;
mod statement;
mod stream;
mod tally;
#[cfg(test)]
mod tests;
mod time_range;
mod types;

pub use apart::{Launch, ProcessNumbers, ProcessSettings, ProcessTask, serve_one};
pub use error::SqlError;
pub(crate) use functions::window_funnel_level;
pub use relation::Relation;
pub use rows::{SqlColumn, SqlRows, batch_to_json, rows_to_json};
pub use session::{Limits, Planned, Spill, Sql, SqlRequest, SqlSettings, StatementProcess, UnusedParameters};
pub use stream::SqlStream;
pub(crate) use tally::{CodedTable, NONE};
