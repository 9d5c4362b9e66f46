//! How much there is, for operators: over all tenants, and no reading of rows.

use ebbtide_model::{AppName, TableName};

use crate::Receipt;
use crate::memtable::Memtable;
use crate::segment::LiveSegment;
use crate::table::Table;

/// How a data folder stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Tables of the apps that the store was opened with.
    pub tables: Vec<TableStatistics>,
    /// The number of the last row or change that arrived, in whichever app.
    pub last_arrival: u64,
    /// Bytes of the log's records that are in no segment yet.
    pub log_bytes: u64,
}

/// How a table stands. Bytes are those of the rows that wait to be in it, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableStatistics {
    pub app: AppName,
    pub table: TableName,
    /// Rows that readers see.
    pub rows: u64,
    /// Rows that wait for their parent.
    pub waiting: u64,
    pub segments: u64,
    /// Of its segments.
    pub disk_bytes: u64,
    /// Of its rows and keys that are in no segment yet.
    pub memory_bytes: u64,
    /// Words on keys, those of rows that were replaced or deleted among them. Events without a key that came
    /// in no file have none.
    pub keys: u64,
    pub arrived: Arrivals,
}

/// What became of rows since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrivals {
    pub accepted: u64,
    pub duplicates: u64,
    pub waiting: u64,
    pub rejected: u64,
    /// Rows that have waited, and were placed.
    pub placed: u64,
    /// Rows that have waited in vain: their keys were stored in the meantime, or are another tenant's.
    pub void: u64,
}

impl Arrivals {
    pub(crate) fn count(&mut self, receipt: &Receipt) {
        self.accepted += receipt.accepted as u64;
        self.duplicates += receipt.duplicates as u64;
        self.waiting += receipt.waiting as u64;
        self.rejected += receipt.rejected.len() as u64;
    }
}

impl TableStatistics {
    /// `area` is where rows wait for the table.
    pub(crate) fn of(table: &Table, area: Option<&Table>) -> Self {
        let both = || [table].into_iter().chain(area);
        let descriptors = || both().flat_map(|table| &table.segments).map(|live| &live.segment.descriptor);
        let memtables = || table.frozen.iter().chain([&table.active]);
        let stored: u64 = table.segments.iter().map(|live| live.live_rows()).sum();
        let own_keys = |live: &LiveSegment| live.segment.keys.len() + live.segment.keys.content_len();
        let stored_keys: usize = table.segments.iter().map(own_keys).sum();
        let keys = stored_keys + memtables().map(|memtable| memtable.keys.len()).sum::<usize>();
        Self {
            app: table.info.app.clone(),
            table: table.info.schema.name.clone(),
            rows: stored + memtables().map(Memtable::live_rows).sum::<u64>(),
            waiting: table.waiting.len() as u64,
            segments: both().map(|table| table.segments.len() as u64).sum(),
            disk_bytes: descriptors().map(|descriptor| descriptor.row_bytes + descriptor.key_bytes).sum(),
            memory_bytes: both().map(|table| table.memory_bytes() as u64).sum(),
            keys: keys as u64,
            arrived: table.arrived,
        }
    }
}
