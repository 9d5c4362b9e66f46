//! What a reader has gathered so far: typed rows and refusals, handed on in chunks.

use std::sync::Arc;

use arrow::error::ArrowError;
use ebbtide_model::TableSchema;

use super::builder::{TableBuilder, TypedRows};
use super::reject::{Refusal, Reject, excerpt};

/// Rows in a chunk, refused ones included.
pub(crate) const CHUNK_ROWS_MAX: usize = 65_536;
/// A chunk is closed once it was made of this many bytes of a file.
const CHUNK_BYTES_MAX: usize = 32 << 20;

/// A part of a file: the rows that could be read, in order, and those that could not.
#[derive(Clone, Debug)]
pub struct Chunk {
    pub rows: TypedRows,
    pub rejects: Vec<Reject>,
}

pub(crate) struct Gathered {
    file: Arc<str>,
    pub(crate) builder: TableBuilder,
    rejects: Vec<Reject>,
    bytes: usize,
}

impl Gathered {
    pub(crate) fn new(file: Arc<str>, table: &TableSchema) -> Self {
        Self { file, builder: TableBuilder::new(table), rejects: Vec::new(), bytes: 0 }
    }

    /// Closes the builder's open row, or gives it up where it was refused.
    pub(crate) fn close(&mut self, outcome: Result<(), Refusal>, line: u64, raw: &[u8]) {
        self.bytes += raw.len();
        match outcome {
            Ok(()) => self.builder.close_row(line),
            Err(refusal) => self.reject(refusal, line, excerpt(raw)),
        }
    }

    pub(crate) fn reject(&mut self, refusal: Refusal, line: u64, raw: String) {
        self.builder.give_up_row();
        let Refusal { column, code, reason } = refusal;
        self.rejects.push(Reject { file: self.file.clone(), line, column, code, reason, raw });
    }

    pub(crate) fn is_full(&self) -> bool {
        self.builder.rows() + self.rejects.len() >= CHUNK_ROWS_MAX
            || self.bytes >= CHUNK_BYTES_MAX
            || self.builder.is_full()
    }

    /// All since the last call; `None` where that is nothing.
    pub(crate) fn take(&mut self) -> Result<Option<Chunk>, ArrowError> {
        if self.builder.rows() == 0 && self.rejects.is_empty() {
            return Ok(None);
        }
        self.bytes = 0;
        let rejects = std::mem::take(&mut self.rejects);
        Ok(Some(Chunk { rows: self.builder.finish()?, rejects }))
    }
}
