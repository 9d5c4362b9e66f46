//! Files and lists of JSON become Arrow batches of a table's declared columns.
//!
//! Every format ends in the same [`Chunk`]s: rows that are typed, with the line or row number of each,
//! and rows that were refused, with the reason. Nothing is dropped in silence and nothing is guessed.
//! What a file holds is bounded before it is held: a record, a chunk, the growth of what is unpacked.

mod builder;
mod cast;
mod csv;
pub(crate) mod fast_time;
mod gathered;
mod gzip;
mod json_rows;
mod lines;
mod ndjson;
mod parquet_cast;
mod parquet_file;
mod parquet_properties;
mod plan;
mod properties;
mod reject;
mod source;
mod whitespace;
mod window;

#[cfg(test)]
mod open_tests;
#[cfg(test)]
mod tests;

pub use builder::TypedRows;
pub use gathered::Chunk;
pub use json_rows::{JsonRows, RowRejection, rows_from_json};
pub use plan::{FilePlan, plan_file};
pub(crate) use properties::{NAME_BYTES_MAX, ROW_PROPERTIES_MAX};
pub use reject::{RAW_CHARS_MAX, Reject, RejectCode, SourceError};
pub use source::Source;
pub use window::RECORD_BYTES_MAX;
