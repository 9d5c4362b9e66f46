//! What the writer is asked for, and what it answers.

use crate::admission::Prepared;
use crate::chunk::row_bytes;
use crate::fingerprint::Fingerprint;
use crate::writer::TableIndex;
use crate::{Occurrences, Receipt};

/// What a caller waits for.
#[derive(Debug)]
pub(crate) enum Request {
    Append {
        table: TableIndex,
        prepared: Box<Prepared>,
        occurrences: Occurrences,
    },
    /// Delete rows by key; of this tenant, or of everybody.
    Delete {
        table: TableIndex,
        fingerprints: Vec<Fingerprint>,
        tenant: Option<String>,
    },
    /// Delete all rows of a tenant, or of everybody, in some tables at once.
    Clear {
        tables: Vec<TableIndex>,
        tenant: Option<String>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Appended(Receipt),
    /// How many rows there were.
    Deleted(u64),
    /// The same, by table.
    Cleared(Vec<u64>),
}

impl Request {
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::Append { prepared, .. } => prepared.rows.num_rows(),
            Self::Delete { fingerprints, .. } => fingerprints.len(),
            Self::Clear { tables, .. } => tables.len(),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Append { prepared, .. } => row_bytes(&prepared.rows),
            Self::Delete { .. } | Self::Clear { .. } => 0,
        }
    }
}
