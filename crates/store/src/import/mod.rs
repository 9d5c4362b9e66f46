//! Bulk loading: rows are admitted as everywhere, sorted in large chunks and written to segments directly,
//! each committed by the manifest. While one chunk is encoded in a thread of its own, the next is parsed
//! and hashed.

mod chunk;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::thread::JoinHandle;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use ebbtide_model::Scope;

use crate::admission::{Prepared, prepare};
use crate::chunk::row_bytes;
use crate::fingerprint::Fingerprint;
use crate::group::Group;
use crate::maintenance::{Job, Shared};
use crate::orphans::Orphans;
use crate::properties::is_property;
use crate::segment::{self, Segment};
use crate::table::TableInfo;
use crate::writer::{TableIndex, Writer};
use crate::{Occurrences, Receipt, StoreError};

use chunk::{Decided, Kept, Unsettled};

/// A chunk takes no more memory than this, whatever its rows.
const CHUNK_BYTES_MAX: usize = 384 << 20;
/// What a cell takes, about.
const CELL_BYTES: usize = 8;

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
    /// Columns of properties that some of them have.
    properties: HashSet<String>,
}

impl Gathered {
    fn note_properties(&mut self, schema: &Schema) {
        for field in schema.fields().iter().filter(|field| is_property(field)) {
            if !self.properties.contains(field.name()) {
                self.properties.insert(field.name().clone());
            }
        }
    }

    /// What they take once all of them have the same columns, at most.
    fn full_bytes(&self) -> usize {
        self.bytes + self.rows * self.properties.len() * CELL_BYTES
    }
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
            writer.begin_import(table)?;
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
        let mut prepared = prepare(&self.info, &self.scope, batch)?;
        occurrences.number(&mut prepared.hashes.fingerprints, &prepared.hashes.keyless);
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
        self.gathered.note_properties(&prepared.rows.schema());
        self.gathered.batches.push(prepared);
        if self.gathered.rows >= self.chunk_rows || self.gathered.full_bytes() >= CHUNK_BYTES_MAX {
            receipt.add(self.settle()?);
        }
        self.count(&receipt);
        Ok(receipt)
    }

    fn count(&self, receipt: &Receipt) {
        self.shared.writer().tables[self.table].arrived.count(receipt);
    }

    /// Settles all that is left; the receipt counts it.
    pub fn finish(mut self) -> Result<Receipt, StoreError> {
        let mut receipt = self.settle()?;
        receipt.add(self.install()?);
        self.count(&receipt);
        self.shared.wake();
        Ok(receipt)
    }

    /// Decides on the gathered rows and has them written; what became of those before.
    fn settle(&mut self) -> Result<Receipt, StoreError> {
        let gathered = std::mem::take(&mut self.gathered);
        if gathered.rows == 0 {
            return Ok(Receipt::default());
        }
        // Nobody writes the parents meanwhile, so what is said of them here still holds below.
        let (mut batches, mut orphans) = (Vec::new(), Vec::new());
        let mut chunk_rows = 0;
        for prepared in gathered.batches {
            let rows = prepared.rows.num_rows() as u64;
            let (arriving, unknown) = self.shared.writer().part(self.table, prepared, chunk_rows)?;
            batches.push(arriving);
            orphans.extend(unknown);
            chunk_rows += rows;
        }
        let orphans = Orphans::concat(orphans)?;
        let mut rows = Unsettled::new(&self.info, batches)?;
        let mut receipt = self.install()?;
        let (decided, fs, id) = {
            let mut writer = self.shared.writer();
            writer.check_not_failed()?;
            let mut decided = rows.decide(&mut writer, self.table, chunk_rows);
            rows.place_properties(&mut writer, self.table, &decided.kept)?;
            receipt.add(self.keep_waiting(&mut writer, &rows, &decided, orphans)?);
            if decided.receipt.accepted == 0 {
                receipt.add(std::mem::take(&mut decided.receipt));
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

    /// Rows whose parent is unknown go the way of rows that come one by one.
    fn keep_waiting(
        &self,
        writer: &mut Writer,
        rows: &Unsettled,
        decided: &Decided,
        orphans: Option<Orphans>,
    ) -> Result<Receipt, StoreError> {
        let Some(mut orphans) = orphans else { return Ok(Receipt::default()) };
        let mut group = Group::default();
        let first = decided.first_sequence;
        orphans.sequences.iter_mut().for_each(|sequence| *sequence += first);
        let is_replaced =
            |key: Fingerprint, sequence: u64| rows.keeps_later(&decided.kept, key, sequence - first);
        let receipt = writer.keep_waiting(self.table, orphans, is_replaced, &mut group)?;
        writer.commit(group)?;
        if writer.wants_flush() {
            self.shared.want(Job::Flush);
        }
        Ok(receipt)
    }

    /// Waits for the segment that is being written, and shows it with what has waited for its rows.
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
        let mut group = Group::default();
        writer.supersede_all(self.table, &mut group);
        for child in writer.tables[self.table].kin.children.clone() {
            writer.place_all_in(child, &mut group)?;
        }
        if group.is_empty() {
            writer.publish(&BTreeSet::from([self.table]));
        } else {
            writer.commit(group)?;
        }
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
