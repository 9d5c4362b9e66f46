//! Rows of a table by their keys, wherever they lie: what waited, when it is placed.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};

use crate::StoreError;
use crate::chunk::sequences;
use crate::fingerprint::Fingerprint;
use crate::scan::Scan;
use crate::table::{Place, Table};

/// Rows of a segment that lie no further apart than this are read in one go.
const GAP_ROWS: u32 = 1024;

/// Rows, each with its key, in order of arrival.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// Stored columns.
    pub(crate) batch: RecordBatch,
    pub(crate) keys: Vec<Fingerprint>,
    pub(crate) contents: Vec<u64>,
}

/// The live rows of these keys. A key without one is left out, and one that comes twice counts once.
pub(crate) fn fetch(table: &Table, keys: &[Fingerprint]) -> Result<Fetched, StoreError> {
    let stored = table.stored(keys);
    let mut wanted: HashMap<u64, (Fingerprint, u64)> = HashMap::with_capacity(keys.len());
    let mut in_memory = false;
    let mut in_segments: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
    for (&key, stored) in keys.iter().zip(stored) {
        let Some(live) = table.known(key, stored).live else { continue };
        if wanted.insert(live.sequence, (key, live.content)).is_some() {
            continue;
        }
        match live.place {
            Place::Active | Place::Frozen => in_memory = true,
            Place::Segment { segment, row } => in_segments.entry(segment).or_default().push(row),
            // What is fetched waits, and waiting rows are all found.
            Place::Somewhere => {}
        }
    }
    let mut batches = Vec::new();
    if in_memory {
        let memtables = table.frozen.iter().chain([&table.active]);
        for chunk in memtables.flat_map(|memtable| &memtable.chunks) {
            batches.push(only(&chunk.batch, &wanted)?);
        }
    }
    for (segment, rows) in in_segments {
        for range in ranges(rows) {
            for batch in Scan::segment(&table.segments[segment], range, table.info.stored.fields(), None)? {
                batches.push(only(&batch?, &wanted)?);
            }
        }
    }
    let batch = concat_batches(&table.info.stored, &batches)?;
    let mut order: Vec<(u64, u32)> = sequences(&batch).values().iter().copied().zip(0..).collect();
    order.sort_unstable();
    let (mut keys, mut contents) = (Vec::with_capacity(order.len()), Vec::with_capacity(order.len()));
    for (key, content) in order.iter().filter_map(|(sequence, _)| wanted.get(sequence)) {
        keys.push(*key);
        contents.push(*content);
    }
    if keys.len() != wanted.len() {
        let detail = format!("{} rows that wait were found, of {}", keys.len(), wanted.len());
        return Err(StoreError::Inconsistent { detail });
    }
    let order: UInt32Array = order.into_iter().map(|(_, row)| row).collect();
    Ok(Fetched { batch: take_record_batch(&batch, &order)?, keys, contents })
}

fn only(stored: &RecordBatch, wanted: &HashMap<u64, (Fingerprint, u64)>) -> Result<RecordBatch, StoreError> {
    let arrivals = sequences(stored).values().iter();
    let rows: UInt32Array =
        arrivals.zip(0..).filter(|(sequence, _)| wanted.contains_key(sequence)).map(|(_, row)| row).collect();
    Ok(take_record_batch(stored, &rows)?)
}

fn ranges(mut rows: Vec<u32>) -> Vec<Range<u32>> {
    rows.sort_unstable();
    let mut ranges: Vec<Range<u32>> = Vec::new();
    for row in rows {
        match ranges.last_mut() {
            Some(last) if row - last.end < GAP_ROWS => last.end = row + 1,
            _ => ranges.push(row..row + 1),
        }
    }
    ranges
}
