//! How the store behaves, as plain data.

use crate::StoreError;

/// Limits and sizes of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Memory tables are written to segments once all of them together take this much.
    pub flush_bytes: usize,
    /// The log is cut, by a flush, once it is this long.
    pub log_bytes_max: u64,
    /// Writers wait while memory tables, those that are being flushed included, take this much.
    pub memory_bytes_max: usize,
    /// Columns of segments that were decoded are kept for the next reader, up to this much.
    pub decoded_bytes_max: usize,
    /// A merge makes no segment with more rows.
    pub segment_rows_max: u32,
    /// How many segments of about one size are merged into one.
    pub compaction_fan_in: usize,
    /// Requests that wait for the writer; more are refused as overload.
    pub queue_requests_max: usize,
    /// Rows that are made durable by one fdatasync.
    pub group_rows_max: usize,
    /// Rows that an import sorts at once; such chunks are merged at its end.
    pub import_chunk_rows: usize,
    /// Rows that wait for their parent, in all tables together; more are rejected. A tenant's own writers
    /// may fill an eighth of it.
    pub waiting_rows_max: usize,
    /// What these rows take in memory when all of their parents come at once.
    pub waiting_bytes_max: usize,
    /// Names of properties that have columns of their own in an open table, of all tenants together. What
    /// others hold is kept as JSON text.
    pub properties_max: usize,
    /// The same of one tenant.
    pub properties_per_tenant_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            flush_bytes: 128 << 20,
            log_bytes_max: 256 << 20,
            memory_bytes_max: 512 << 20,
            decoded_bytes_max: 256 << 20,
            segment_rows_max: 64 << 20,
            compaction_fan_in: 8,
            queue_requests_max: 1024,
            group_rows_max: 1 << 18,
            import_chunk_rows: 1 << 20,
            waiting_rows_max: 1 << 20,
            waiting_bytes_max: 256 << 20,
            properties_max: 2_000,
            properties_per_tenant_max: 500,
        }
    }
}

/// A row number in a segment has 31 bits, less one value.
const SEGMENT_ROWS_LIMIT: u32 = (1 << 31) - 2;

impl Settings {
    pub(crate) fn validate(&self) -> Result<(), StoreError> {
        let refuse = |name, detail: &str| Err(StoreError::Settings { name, detail: detail.to_owned() });
        if self.flush_bytes == 0 || self.log_bytes_max == 0 {
            return refuse("flush_bytes", "a flush needs a size of 1 at least");
        }
        if self.memory_bytes_max < self.flush_bytes {
            return refuse("memory_bytes_max", "must not be below flush_bytes");
        }
        if !(1..=SEGMENT_ROWS_LIMIT).contains(&self.segment_rows_max) {
            return refuse("segment_rows_max", "must be from 1 to 2147483646");
        }
        if self.compaction_fan_in < 2 {
            return refuse("compaction_fan_in", "must be 2 at least");
        }
        if self.queue_requests_max == 0 || self.group_rows_max == 0 {
            return refuse("queue_requests_max", "a queue holds 1 at least");
        }
        if self.import_chunk_rows == 0
            || u32::try_from(self.import_chunk_rows).is_ok_and(|rows| rows > SEGMENT_ROWS_LIMIT)
        {
            return refuse("import_chunk_rows", "must be from 1 to 2147483646");
        }
        Ok(())
    }
}
