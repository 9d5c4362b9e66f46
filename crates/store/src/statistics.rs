//! How much there is, for operators: over all tenants, and no reading of rows.

use ebbtide_model::{AppName, TableName};

use crate::memtable::Memtable;
use crate::table::Table;

/// How a data folder stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Tables of the apps that the store was opened with.
    pub tables: Vec<TableStatistics>,
    /// The number of the last row or change that arrived, in whichever app.
    pub last_arrival: u64,
    /// Bytes that the log has taken since the last flush began.
    pub log_bytes: u64,
}

/// How a table stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableStatistics {
    pub app: AppName,
    pub table: TableName,
    /// Rows that readers see.
    pub rows: u64,
    pub segments: u64,
    /// Of its segments.
    pub disk_bytes: u64,
    /// Of its rows and keys that are in no segment yet.
    pub memory_bytes: u64,
    /// Words on keys, those of rows that were replaced or deleted among them.
    pub keys: u64,
}

impl TableStatistics {
    pub(crate) fn of(table: &Table) -> Self {
        let descriptors = || table.segments.iter().map(|live| &live.segment.descriptor);
        let memtables = || table.frozen.iter().chain([&table.active]);
        let stored: u64 = table.segments.iter().map(|live| live.live_rows()).sum();
        let stored_keys: usize = table.segments.iter().map(|live| live.segment.keys.len()).sum();
        let keys = stored_keys + memtables().map(|memtable| memtable.keys.len()).sum::<usize>();
        Self {
            app: table.info.app.clone(),
            table: table.info.schema.name.clone(),
            rows: stored + memtables().map(Memtable::live_rows).sum::<u64>(),
            segments: table.segments.len() as u64,
            disk_bytes: descriptors().map(|descriptor| descriptor.row_bytes + descriptor.key_bytes).sum(),
            memory_bytes: table.memory_bytes() as u64,
            keys: keys as u64,
        }
    }
}
