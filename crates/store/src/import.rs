//! Bulk loading: rows are admitted as everywhere, sorted in large chunks and written to segments directly,
//! each committed by the manifest. While one chunk is encoded in a thread of its own, the next is parsed
//! and hashed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{concat, take_arrays};
use ebbtide_model::Scope;

use crate::admission::{Prepared, RowTenants, prepare};
use crate::cells::Cells;
use crate::chunk::{Chunk, row_bytes};
use crate::directory::Directory;
use crate::fingerprint::Fingerprint;
use crate::fs::FileSystem;
use crate::maintenance::Shared;
use crate::order::{codes, order_columns, sorted};
use crate::owners::Owner;
use crate::segment::{self, EntryPlace, KeyEntry, Segment, SegmentWriter};
use crate::table::{Live, Table, TableInfo};
use crate::writer::{TableIndex, Writer, moved};
use crate::{Occurrences, Receipt, StoreError};

/// A chunk takes no more memory than this, whatever its rows.
const CHUNK_BYTES_MAX: usize = 384 << 20;

/// Loads rows into one table, which nothing else may write meanwhile. Rows are durable and visible once
/// a receipt counts them; dropping the importer lets go of those that no receipt has counted.
#[derive(Debug)]
pub struct Importer {
    shared: Arc<Shared>,
    scope: Scope,
    table: TableIndex,
    info: Arc<TableInfo>,
    chunk_rows: usize,
    gathered: Gathered,
    /// Rows that were pushed so far, whatever became of them.
    pushed: usize,
    encoding: Option<Encoding>,
}

/// Rows that fit the table, in order of arrival.
#[derive(Debug, Default)]
struct Gathered {
    batches: Vec<Prepared>,
    rows: usize,
    bytes: usize,
}

/// A chunk that a thread is writing to a segment.
#[derive(Debug)]
struct Encoding {
    thread: JoinHandle<Result<Segment, StoreError>>,
    /// The rows it replaces, ascending by key.
    kills: Vec<(Fingerprint, u64)>,
    receipt: Receipt,
}

impl Importer {
    pub(crate) fn begin(
        shared: Arc<Shared>,
        scope: Scope,
        table: TableIndex,
        info: Arc<TableInfo>,
    ) -> Result<Self, StoreError> {
        let chunk_rows = {
            let mut writer = shared.writer();
            writer.check_not_failed()?;
            let own = &mut writer.tables[table];
            if std::mem::replace(&mut own.importing, true) {
                return Err(StoreError::Importing { table: info.schema.name.clone() });
            }
            writer.settings.import_chunk_rows
        };
        let gathered = Gathered::default();
        let importer = Self { shared, scope, table, info, chunk_rows, gathered, pushed: 0, encoding: None };
        // What is in memory becomes a segment, so that all older rows are found in segments.
        importer.shared.flush()?;
        Ok(importer)
    }

    /// Takes rows in [`declared_schema`](crate::declared_schema). The receipt counts what was settled by
    /// this call, rows of earlier calls among them; rejected rows are numbered from the first row of the
    /// import. `occurrences` is that of the file which the rows are from.
    pub fn push(&mut self, batch: &RecordBatch, occurrences: &Occurrences) -> Result<Receipt, StoreError> {
        let mut prepared = prepare(&self.info.schema, &self.info.hasher, &self.scope, batch)?;
        if self.info.schema.key.is_empty() {
            occurrences.number(&mut prepared.hashes.fingerprints);
        }
        let mut receipt = Receipt { rejected: std::mem::take(&mut prepared.rejected), ..Receipt::default() };
        for rejection in &mut receipt.rejected {
            rejection.row += self.pushed;
        }
        let before = u32::try_from(self.pushed).map_err(|_| too_many())?;
        for origin in &mut prepared.origins {
            *origin = origin.checked_add(before).ok_or_else(too_many)?;
        }
        self.pushed += batch.num_rows();
        self.gathered.rows += prepared.rows.num_rows();
        self.gathered.bytes += row_bytes(&prepared.rows);
        self.gathered.batches.push(prepared);
        if self.gathered.rows >= self.chunk_rows || self.gathered.bytes >= CHUNK_BYTES_MAX {
            receipt.add(self.settle()?);
        }
        Ok(receipt)
    }

    /// Settles all that is left; the receipt counts it.
    pub fn finish(mut self) -> Result<Receipt, StoreError> {
        let mut receipt = self.settle()?;
        receipt.add(self.install()?);
        self.shared.wake();
        Ok(receipt)
    }

    /// Decides on the gathered rows and has them written; what became of those before.
    fn settle(&mut self) -> Result<Receipt, StoreError> {
        let gathered = std::mem::take(&mut self.gathered);
        if gathered.rows == 0 {
            return Ok(Receipt::default());
        }
        let rows = Unsettled::new(&self.info, gathered)?;
        let receipt = self.install()?;
        let (decided, fs, id) = {
            let mut writer = self.shared.writer();
            writer.check_not_failed()?;
            let decided = rows.decide(&mut writer, self.table);
            if decided.receipt.accepted == 0 {
                let mut receipt = receipt;
                receipt.add(decided.receipt);
                return Ok(receipt);
            }
            (decided, writer.fs.clone(), writer.segment_id())
        };
        let info = self.info.clone();
        let Decided { kept, overrides, first_sequence, kills, receipt: own } = decided;
        let spawned = std::thread::Builder::new().name("ebbtide-import".to_owned()).spawn(move || {
            let written = rows.write(&fs, id, &info, &Kept { rows: kept, overrides, first_sequence });
            written.inspect_err(|_| segment::remove(fs.as_ref(), id))
        });
        let thread = spawned
            .map_err(|error| StoreError::Failed { reason: format!("a thread cannot start: {error}") })?;
        self.encoding = Some(Encoding { thread, kills, receipt: own });
        Ok(receipt)
    }

    /// Waits for the segment that is being written, and shows it.
    fn install(&mut self) -> Result<Receipt, StoreError> {
        let Some(encoding) = self.encoding.take() else { return Ok(Receipt::default()) };
        let ended = encoding.thread.join();
        let segment =
            ended.map_err(|_| StoreError::Failed { reason: "a thread ended in a panic".to_owned() })??;
        let mut writer = self.shared.writer();
        writer.check_not_failed()?;
        let table = &mut writer.tables[self.table];
        table.kill_stored(&encoding.kills);
        table.changes.note_rows(&segment.directory);
        table.install(segment, &[]);
        writer.commit_catalog()?;
        writer.publish(&BTreeSet::from([self.table]));
        Ok(encoding.receipt)
    }
}

impl Drop for Importer {
    fn drop(&mut self) {
        if let Some(encoding) = self.encoding.take()
            && let Ok(Ok(segment)) = encoding.thread.join()
        {
            let id = segment.descriptor.id;
            drop(segment);
            segment::remove(self.shared.writer().fs.as_ref(), id);
        }
        self.shared.writer().tables[self.table].importing = false;
    }
}

fn too_many() -> StoreError {
    StoreError::WrongShape { detail: "an import has 4294967295 rows at most".to_owned() }
}

/// A chunk, with all that needs no look into the store.
struct Unsettled {
    columns: Vec<ArrayRef>,
    tenants: RowTenants,
    contents: Vec<u64>,
    origins: Vec<u32>,
    /// Fingerprints with their rows, ascending.
    by_key: Vec<(Fingerprint, u32)>,
    /// The rows in storage order; `None` where they came so.
    order: Option<Vec<u32>>,
}

/// What became of a chunk's rows.
struct Decided {
    kept: Vec<bool>,
    /// Rows that replace stored ones.
    overrides: Vec<bool>,
    first_sequence: u64,
    kills: Vec<(Fingerprint, u64)>,
    receipt: Receipt,
}

struct Kept {
    rows: Vec<bool>,
    overrides: Vec<bool>,
    first_sequence: u64,
}

impl Unsettled {
    fn new(info: &TableInfo, gathered: Gathered) -> Result<Self, StoreError> {
        let mut columns = Vec::with_capacity(info.schema.columns.len());
        for index in 0..info.schema.columns.len() {
            let arrays: Vec<&dyn Array> =
                gathered.batches.iter().map(|batch| batch.rows.column(index).as_ref()).collect();
            columns.push(concat(&arrays)?);
        }
        let (mut tenants, mut contents, mut origins) = (Vec::new(), Vec::new(), Vec::new());
        let mut by_key = Vec::with_capacity(gathered.rows);
        for batch in gathered.batches {
            tenants.push(batch.tenants);
            contents.extend(batch.hashes.contents);
            origins.extend(batch.origins);
            let first = u32::try_from(by_key.len()).map_err(|_| too_many())?;
            by_key.extend(batch.hashes.fingerprints.into_iter().zip(first..));
        }
        by_key.sort_unstable();
        let tenants = RowTenants::concat(tenants);
        let rows = u32::try_from(gathered.rows).map_err(|_| too_many())?;
        let mut by = vec![tenants.codes.iter().map(|&code| u64::from(code)).collect()];
        for index in order_columns(&info.schema) {
            by.push(codes(&Cells::of(&columns[index], &info.schema.columns[index])?, gathered.rows));
        }
        let order = sorted(rows, by);
        Ok(Self { columns, tenants, contents, origins, by_key, order })
    }

    /// The same decisions as row by row in order of arrival, key by key.
    fn decide(&self, writer: &mut Writer, index: TableIndex) -> Decided {
        let table = &mut writer.tables[index];
        let owners: Vec<Owner> = self.tenants.names.iter().map(|name| table.owners.number(name)).collect();
        let mut stored = table.stored_sorted(&self.by_key);
        stored.sort_unstable_by_key(|(row, _)| *row);
        let mut decided = Decided {
            kept: vec![false; self.by_key.len()],
            overrides: vec![false; self.by_key.len()],
            first_sequence: writer.sequence_next,
            kills: Vec::new(),
            receipt: Receipt::default(),
        };
        for same in self.by_key.chunk_by(|a, b| a.0 == b.0) {
            self.decide_key(table, &owners, same, &stored, &mut decided);
        }
        let kept = decided.kept.iter().filter(|kept| **kept).count();
        decided.receipt.rejected.sort_by_key(|rejection| rejection.row);
        // A row that a later one of the chunk replaces was accepted, and is not written.
        writer.sequence_next += kept as u64;
        decided
    }

    fn decide_key(
        &self,
        table: &Table,
        owners: &[Owner],
        same: &[(Fingerprint, u32)],
        stored: &[(u32, Live)],
        decided: &mut Decided,
    ) {
        let fingerprint = same[0].0;
        let found = stored.binary_search_by_key(&same[0].1, |(row, _)| *row).ok();
        let stored = found.map(|found| stored[found].1);
        let mut current = stored.map(|live| (live.content, live.owner));
        let unchanged = self.is_unchanged(owners, same, stored);
        let mut last_kept: Option<u32> = None;
        for &(_, row) in same {
            let at = row as usize;
            let own = owners[self.tenants.codes[at] as usize];
            if let Some((content, owner)) = current {
                if owner != own {
                    let name = self.tenants.of(at);
                    decided.receipt.rejected.push(moved(&table.info, self.origins[at] as usize, name));
                    continue;
                }
                if !table.info.is_entity() || unchanged || content == self.contents[at] {
                    decided.receipt.duplicates += 1;
                    continue;
                }
            }
            if let Some(replaced) = last_kept.replace(row) {
                decided.kept[replaced as usize] = false;
            }
            decided.kept[at] = true;
            decided.receipt.accepted += 1;
            current = Some((self.contents[at], own));
        }
        if let (Some(row), Some(live)) = (last_kept, stored) {
            decided.overrides[row as usize] = true;
            decided.kills.push((fingerprint, live.sequence));
        }
    }

    /// Whether the last version of an entity's key is the one that is stored.
    fn is_unchanged(&self, owners: &[Owner], same: &[(Fingerprint, u32)], stored: Option<Live>) -> bool {
        let Some(live) = stored else { return false };
        let is_own = |row: &u32| owners[self.tenants.codes[*row as usize] as usize] == live.owner;
        let last = same.iter().map(|(_, row)| *row).rfind(is_own);
        last.is_some_and(|row| self.contents[row as usize] == live.content)
    }

    fn write(
        mut self,
        fs: &Arc<dyn FileSystem>,
        id: u64,
        info: &TableInfo,
        kept: &Kept,
    ) -> Result<Segment, StoreError> {
        let mut sequence_of: Vec<u64> = Vec::with_capacity(kept.rows.len());
        let mut next = kept.first_sequence;
        for kept in &kept.rows {
            sequence_of.push(next);
            next += u64::from(*kept);
        }
        let order: Vec<u32> = match self.order.take() {
            Some(order) => order.into_iter().filter(|&row| kept.rows[row as usize]).collect(),
            None => (0..).zip(&kept.rows).filter(|(_, kept)| **kept).map(|(row, _)| row).collect(),
        };
        let indices = UInt32Array::from(order);
        let columns = take_arrays(&std::mem::take(&mut self.columns), &indices, None)?;
        let order = indices.values();
        let mut directory = Directory::default();
        for run in order.chunk_by(|a, b| self.tenants.codes[*a as usize] == self.tenants.codes[*b as usize]) {
            let rows = u32::try_from(run.len()).map_err(|_| too_many())?;
            let last_number = run.iter().map(|&row| sequence_of[row as usize]).max().unwrap_or(0);
            directory.push(self.tenants.of(run[0] as usize), rows, last_number);
        }
        let sequences = order.iter().map(|&row| sequence_of[row as usize]).collect();
        let chunk = Chunk::new(&info.stored, directory, sequences, columns)?;
        let mut writer = SegmentWriter::create(fs.clone(), id, &info.schema, &chunk.batch)?;
        writer.write(&chunk.batch)?;
        let mut place_of = vec![0; kept.rows.len()];
        for (place, &row) in (0..).zip(order) {
            place_of[row as usize] = place;
        }
        let mut keys = writer.finish_rows()?;
        for &(fingerprint, row) in &self.by_key {
            let at = row as usize;
            if kept.rows[at] {
                let place = EntryPlace::Row { row: place_of[at], overrides: kept.overrides[at] };
                keys.push(&KeyEntry {
                    fingerprint,
                    sequence: sequence_of[at],
                    place,
                    content: self.contents[at],
                })?;
            }
        }
        let descriptor = keys.finish(&chunk.directory)?;
        Segment::open(fs.as_ref(), descriptor)
    }
}
