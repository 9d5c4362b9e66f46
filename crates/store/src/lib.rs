//! Rows, durable. A row is acknowledged once it is on disk, readable at once, and never twice there.
//! Synchronous; the filesystem and the clock come in as values. Knows no HTTP and no SQL.

mod admission;
mod cells;
mod chunk;
mod columns;
mod directory;
mod error;
mod fingerprint;
pub mod fs;
pub mod lock;
pub mod log;
pub mod manifest;
mod memtable;
mod occurrences;
mod order;
mod rows;
mod scan;
mod settings;
mod snapshot;
mod store;
mod table;
mod writer;

pub use columns::{ColumnRef, SEQUENCE_COLUMN, TENANT_COLUMN, arrow_type, declared_schema, stored_schema};
pub use error::StoreError;
pub use occurrences::Occurrences;
pub use rows::{NewRows, Receipt, Rejection, RejectionCode};
pub use scan::Scan;
pub use settings::Settings;
pub use snapshot::{Part, Snapshot, TableView};
pub use store::{Components, Store};
