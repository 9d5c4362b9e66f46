//! Rows, durable. A row is acknowledged once it is on disk, readable at once, and never twice there.
//! Synchronous; the filesystem and the clock come in as values. Knows no HTTP and no SQL.

mod columns;
mod error;
pub mod fs;
pub mod lock;
pub mod log;
pub mod manifest;
mod snapshot;

pub use columns::{ColumnRef, SEQUENCE_COLUMN, TENANT_COLUMN, arrow_type, declared_schema, stored_schema};
pub use error::StoreError;
pub use snapshot::{Part, Scan, Snapshot, TableView};
