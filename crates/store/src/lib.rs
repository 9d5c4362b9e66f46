//! Rows, durable. A row is acknowledged once it is on disk, readable at once, and never twice there.
//! Synchronous; the filesystem and the clock come in as values. Knows no HTTP and no SQL.

#![cfg_attr(
    test,
    allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::disallowed_methods,
        clippy::too_many_lines,
        clippy::wildcard_enum_match_arm,
        reason = "a test says what it expects, and panics where it is not so"
    )
)]

mod admission;
mod admit;
mod assembly;
mod by_actor;
mod catalog;
mod cells;
mod changes;
mod chunk;
mod columns;
mod compact;
mod content_merge;
mod derived;
mod directory;
mod error;
mod family;
mod fetch;
mod fingerprint;
mod flush;
pub mod fs;
mod gather;
mod group;
mod import;
mod lanes;
pub mod lock;
pub mod log;
mod maintenance;
pub mod manifest;
mod memtable;
mod merge;
mod merge_runs;
mod occurrences;
mod order;
mod orphans;
mod owners;
mod payload;
mod place;
mod probe;
mod properties;
mod records;
mod recover;
mod remove;
mod request;
mod revive;
mod rewrite;
mod rows;
mod scan;
mod segment;
mod settings;
mod short_text;
mod side_by_side;
mod snapshot;
mod spines;
mod statistics;
mod store;
mod table;
mod time_search;
mod verify;
mod waiting;
mod widen;
mod writer;

pub use columns::{
    ColumnRef, SEQUENCE_COLUMN, TENANT_COLUMN, arrow_type, declared_schema, property_field, stored_schema,
};
pub use error::StoreError;
pub use import::Importer;
pub use lanes::{LaneRows, Lanes};
pub use maintenance::Health;
pub use occurrences::Occurrences;
pub use rows::{NewRows, Receipt, Rejection, RejectionCode};
pub use scan::Scan;
pub use segment::{
    Coded, Codes, Damage, NO_NAME, NO_TIME, SpineActor, SpineCodes, SpineColumns, SpineCut, SpineRows,
    SpineScan, SpineTicks, SpineTimes,
};
pub use settings::Settings;
pub use snapshot::{Part, PartIdentity, Snapshot, TableRead, TableView, TimeBounds};
pub use statistics::{Arrivals, Statistics, TableStatistics};
pub use store::{Components, FreshIds, Store};
pub use verify::{Repaired, Verified, repair, verify};

#[cfg(test)]
mod tests;
