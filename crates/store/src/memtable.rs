//! What of a table is in memory: sorted runs, few because small ones are merged into bigger ones, the
//! rows among them that are dead, and the newest word on each key.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use ebbtide_model::TableSchema;
use hashbrown::HashMap;
use roaring::RoaringTreemap;

use crate::StoreError;
use crate::chunk::{Chunk, sequences};
use crate::fingerprint::Fingerprint;
use crate::occurrences::AsItIs;
use crate::owners::Owner;
use crate::properties::is_property;

/// Runs are merged up to this size: larger merges would hold up the writer.
const CHUNK_ROWS_MAX: usize = 65_536;
const CHUNK_BYTES_MAX: usize = 64 << 20;
/// What a key in the map takes, its share of empty slots included.
const KEY_BYTES: usize = 96;
/// What a cell of a property takes, about.
const CELL_BYTES: usize = 8;

pub(crate) type Keys = HashMap<Fingerprint, KeyState, BuildHasherDefault<AsItIs>>;

/// The newest word on a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyState {
    pub(crate) sequence: u64,
    pub(crate) content: u64,
    pub(crate) owner: Owner,
    pub(crate) kind: KeyKind,
    /// Whether an older row of this key may be in a segment, which this one kills.
    pub(crate) overrides: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Row,
    /// The key was deleted.
    Tombstone,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Memtable {
    /// By arrival: no row of a run arrived after one of the next.
    pub(crate) chunks: Vec<Arc<Chunk>>,
    /// The sequences of rows that were replaced or deleted.
    pub(crate) dead: Arc<RoaringTreemap>,
    pub(crate) keys: Arc<Keys>,
    rows: usize,
    /// Columns of properties that some of the rows have.
    properties: Arc<HashSet<String>>,
}

impl Memtable {
    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.keys.is_empty()
    }

    pub(crate) fn live_rows(&self) -> u64 {
        let alive = |chunk: &Arc<Chunk>| match live_mask(&chunk.batch, &self.dead) {
            None => chunk.rows(),
            Some(mask) => mask.true_count(),
        };
        self.chunks.iter().map(alive).sum::<usize>() as u64
    }

    pub(crate) fn bytes(&self) -> usize {
        let rows = self.chunks.iter().map(|chunk| chunk.bytes).sum::<usize>();
        // A flush gives all rows the columns of all.
        self.keys.capacity() * KEY_BYTES + rows.max(self.rows * self.properties.len() * CELL_BYTES)
    }

    /// What is known of a key here; `None` leaves the answer to what is older.
    pub(crate) fn state(&self, fingerprint: Fingerprint) -> Option<KeyState> {
        let state = self.keys.get(&fingerprint)?;
        let dead = state.kind == KeyKind::Row && self.dead.contains(state.sequence);
        Some(if dead { KeyState { kind: KeyKind::Tombstone, ..*state } } else { *state })
    }

    pub(crate) fn kill(&mut self, sequence: u64) {
        Arc::make_mut(&mut self.dead).insert(sequence);
    }

    pub(crate) fn put(&mut self, fingerprint: Fingerprint, state: KeyState) {
        Arc::make_mut(&mut self.keys).insert(fingerprint, state);
    }

    /// Kills what a tenant, or everybody, had here before this arrival number: how many were alive, to
    /// each tenant that had some.
    pub(crate) fn clear(
        &mut self,
        tenant: Option<&str>,
        before: u64,
        mut killed: impl FnMut(&Arc<str>, u64),
    ) {
        let dead = Arc::make_mut(&mut self.dead);
        for chunk in &self.chunks {
            for (own, rows) in chunk.directory.of(tenant) {
                let dead_before = dead.len();
                let sequences = &sequences(&chunk.batch).values()[rows.start as usize..rows.end as usize];
                dead.extend(sequences.iter().copied().filter(|&sequence| sequence < before));
                if dead.len() > dead_before {
                    killed(own, dead.len() - dead_before);
                }
            }
        }
    }

    fn note_properties(&mut self, batch: &RecordBatch) {
        self.rows += batch.num_rows();
        for field in batch.schema().fields().iter().filter(|field| is_property(field)) {
            if !self.properties.contains(field.name()) {
                Arc::make_mut(&mut self.properties).insert(field.name().clone());
            }
        }
    }

    /// Adds the rows that arrived last.
    pub(crate) fn push(
        &mut self,
        table: &TableSchema,
        schema: &SchemaRef,
        chunk: Chunk,
    ) -> Result<(), StoreError> {
        self.note_properties(&chunk.batch);
        let mut rows = chunk.rows();
        let mut merged = 1;
        let mut bytes = chunk.bytes;
        for earlier in self.chunks.iter().rev() {
            rows += earlier.rows();
            bytes = (bytes + earlier.bytes).max(rows * self.properties.len() * CELL_BYTES);
            if earlier.rows() > 2 * (rows - earlier.rows())
                || rows > CHUNK_ROWS_MAX
                || bytes > CHUNK_BYTES_MAX
            {
                break;
            }
            merged += 1;
        }
        self.chunks.push(Arc::new(chunk));
        if merged > 1 {
            let parts = self.chunks.split_off(self.chunks.len() - merged);
            let mut batches = Vec::with_capacity(parts.len());
            for part in parts {
                batches.push(live_rows(&part.batch, &self.dead)?);
            }
            let merged = Chunk::merge(table, schema, &batches)?.chunk;
            if merged.rows() > 0 {
                self.chunks.push(Arc::new(merged));
            }
        }
        Ok(())
    }
}

/// A stored batch without its dead rows.
pub(crate) fn live_rows(batch: &RecordBatch, dead: &RoaringTreemap) -> Result<RecordBatch, StoreError> {
    Ok(match live_mask(batch, dead) {
        None => batch.clone(),
        Some(mask) => filter_record_batch(batch, &mask)?,
    })
}

/// Which rows of a stored batch are alive; `None`: all.
pub(crate) fn live_mask(batch: &RecordBatch, dead: &RoaringTreemap) -> Option<BooleanArray> {
    if dead.is_empty() {
        return None;
    }
    let mask: Vec<bool> =
        sequences(batch).values().iter().map(|&sequence| !dead.contains(sequence)).collect();
    mask.contains(&false).then(|| BooleanArray::from(mask))
}
