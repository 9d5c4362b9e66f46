//! What a writer hands in and gets back.

use arrow::array::RecordBatch;
use ebbtide_model::TableName;

use crate::Occurrences;

/// Rows for one table.
#[derive(Clone, Debug)]
pub struct NewRows {
    pub table: TableName,
    /// In [`declared_schema`](crate::declared_schema) of the table.
    pub batch: RecordBatch,
    /// How often each key-less row has come in its file so far; a new one where the batch is a file of
    /// its own.
    pub occurrences: Occurrences,
}

/// What became of each row of a batch: the counts add up to its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Durable and visible.
    pub accepted: usize,
    /// There already, and nothing was changed.
    pub duplicates: usize,
    /// Durable and invisible until their parent comes.
    pub waiting: usize,
    pub rejected: Vec<Rejection>,
}

/// A row that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Its index in the batch; in an import, its number since the import began.
    pub row: usize,
    /// The column at fault.
    pub column: Option<String>,
    pub code: RejectionCode,
    /// For people: what was given and what is allowed.
    pub detail: String,
}

/// Why a row was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectionCode {
    /// A null in a column that has none, or in a key.
    Null,
    /// A float that is not a number, or infinite.
    NotFinite,
    /// The row names no tenant, and there is no other way to tell.
    TenantMissing,
    /// The row is of another tenant than the caller's.
    TenantForeign,
    /// The key belongs to another tenant.
    TenantMoved,
    /// The row's parent is unknown, and as many rows as may wait do so already.
    WaitingFull,
}

impl RejectionCode {
    pub const ALL: [Self; 6] = [
        Self::Null,
        Self::NotFinite,
        Self::TenantMissing,
        Self::TenantForeign,
        Self::TenantMoved,
        Self::WaitingFull,
    ];

    /// Stable text for machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::NotFinite => "not_finite",
            Self::TenantMissing => "tenant_missing",
            Self::TenantForeign => "tenant_foreign",
            Self::TenantMoved => "tenant_moved",
            Self::WaitingFull => "waiting_full",
        }
    }
}

impl Receipt {
    /// The rows that this accounts for.
    pub fn rows(&self) -> usize {
        self.accepted + self.duplicates + self.waiting + self.rejected.len()
    }

    /// Adds what became of further rows.
    pub fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.duplicates += other.duplicates;
        self.waiting += other.waiting;
        self.rejected.extend(other.rejected);
    }
}
