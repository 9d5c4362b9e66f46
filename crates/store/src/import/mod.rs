//! Bulk loading: rows are admitted as everywhere, and sorted and written in large chunks, each as a segment
//! that nobody sees yet; at the end those are merged to few that share no actor, and shown at once. While one
//! chunk is written in a thread of its own, the next is parsed and hashed.
//!
//! Of a table whose tenants are found through a parent, and of such a parent, each chunk is shown when it is
//! written: what waits is durable at once, too, and placed in the order in which parents come.

mod chunk;
mod codes;
mod pieces;
mod seen;
mod write;

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use ebbtide_model::Scope;

use crate::admission::{Prepared, prepare};
use crate::chunk::row_bytes;
use crate::fingerprint::{Fingerprint, Keyless};
use crate::group::Group;
use crate::maintenance::{Job, Shared};
use crate::merge_runs::RunColumns;
use crate::orphans::Orphans;
use crate::properties::is_property;
use crate::rewrite::{PieceToWrite, Rewrite};
use crate::segment::{self, Lifetime, LiveSegment, Segment};
use crate::side_by_side::{no_thread, panicked};
use crate::table::{Live, TableInfo};
use crate::writer::{TableIndex, Writer};
use crate::{Receipt, StoreError};

pub(crate) use codes::TextCodes;

use chunk::{Decided, Kept, Unsettled};
use pieces::pieces;
use seen::Seen;
use write::Form;

/// A chunk takes no more memory than this, whatever its rows.
const CHUNK_BYTES_MAX: usize = 384 << 20;
/// What a cell takes, about.
const CELL_BYTES: usize = 8;

/// Loads the rows of one file into one table, which nothing else may write meanwhile. Rows are durable and
/// visible once a receipt counts them; dropping the importer lets go of those that no receipt has counted.
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
    seen: Seen,
    /// What was written of each chunk and is not shown yet; none where nothing was kept.
    written: Vec<Option<LiveSegment>>,
    writing: Option<Writing>,
    codes: Arc<Mutex<TextCodes>>,
    /// Stored rows that the written ones replace.
    kills: Vec<(Fingerprint, u64)>,
    /// Of the written rows.
    receipt: Receipt,
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

/// What comes behind a chunk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Follows {
    Perhaps,
    Nothing,
}

/// A chunk that a thread is writing to a segment.
#[derive(Debug)]
struct Writing {
    thread: JoinHandle<Result<Segment, StoreError>>,
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
        let importer = Self {
            shared,
            scope,
            table,
            info,
            chunk_rows,
            gathered: Gathered::default(),
            pushed: 0,
            seen: Seen::new(chunk_rows),
            written: Vec::new(),
            writing: None,
            codes: Arc::default(),
            kills: Vec::new(),
            receipt: Receipt::default(),
        };
        // What is in memory becomes a segment, so that all older rows are found in segments.
        importer.shared.flush()?;
        Ok(importer)
    }

    /// Takes rows in [`declared_schema`](crate::declared_schema). The receipt counts what was settled by
    /// this call, rows of earlier calls among them; rejected rows are numbered from the first row of the
    /// import.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<Receipt, StoreError> {
        let mut prepared = prepare(&self.info, &self.scope, batch, Keyless::Contents)?;
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
            receipt.add(self.settle(Follows::Perhaps)?);
        }
        self.count(&receipt);
        Ok(receipt)
    }

    fn count(&self, receipt: &Receipt) {
        self.shared.writer().tables[self.table].arrived.count(receipt);
    }

    /// Settles all that is left; the receipt counts it.
    pub fn finish(mut self) -> Result<Receipt, StoreError> {
        let mut receipt = self.settle(Follows::Nothing)?;
        // No more rows come that could have been seen, and the merge needs the memory.
        self.seen = Seen::new(self.chunk_rows);
        receipt.add(self.show()?);
        self.count(&receipt);
        self.shared.wake();
        Ok(receipt)
    }

    /// Whether each chunk is shown when it is written: what waits is placed parent by parent.
    fn shows_chunks(&self) -> bool {
        self.info.lineage.is_some() || self.info.parent
    }

    /// How the next chunk is written: the only one so that it lasts.
    fn form(&self, follows: Follows) -> Form {
        let is_first = self.written.is_empty();
        if self.shows_chunks() || is_first && follows == Follows::Nothing {
            Form::Parquet(Lifetime::Lasting)
        } else if RunColumns::of(&self.info.schema).is_some() {
            Form::Spilled(self.codes.clone())
        } else {
            // The first may be the only one.
            Form::Parquet(if is_first { Lifetime::Lasting } else { Lifetime::Brief })
        }
    }

    /// Decides on the gathered rows and has them written; what became of those before.
    fn settle(&mut self, follows: Follows) -> Result<Receipt, StoreError> {
        let mut gathered = std::mem::take(&mut self.gathered);
        if gathered.rows == 0 {
            return Ok(Receipt::default());
        }
        self.seen.number(&mut gathered.batches);
        let has_key = |batch: &Prepared| batch.hashes.keyless.len() < batch.hashes.fingerprints.len();
        let have_keys = gathered.batches.iter().any(has_key);
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
        self.end_writing()?;
        let mut receipt = if self.shows_chunks() { self.show()? } else { Receipt::default() };
        let by_key = have_keys.then(|| rows.by_key());
        let written = by_key.map_or_else(Vec::new, |by_key| self.written_before(by_key));
        self.seen.add(by_key);
        let (mut decided, fs, id) = {
            let mut writer = self.shared.writer();
            writer.check_not_failed()?;
            // What is said of earlier versions that wait comes before what these rows say.
            let number = writer.next_number();
            let decided = rows.decide(&mut writer, self.table, chunk_rows, written);
            rows.place_properties(&mut writer, self.table, &decided.kept)?;
            receipt.add(self.keep_waiting(&mut writer, number, &rows, &decided, orphans)?);
            (decided, writer.fs.clone(), writer.segment_id())
        };
        if decided.receipt.accepted == 0 {
            receipt.add(decided.receipt);
            self.written.push(None);
            return Ok(receipt);
        }
        self.receipt.add(std::mem::take(&mut decided.receipt));
        for live in self.written.iter_mut().flatten() {
            live.kill_exactly(&decided.kills);
        }
        self.kills.append(&mut decided.kills);
        let form = self.form(follows);
        let info = self.info.clone();
        let Decided { kept, overrides, first_sequence, .. } = decided;
        let spawned = std::thread::Builder::new().name("ebbtide-import".to_owned()).spawn(move || {
            let rows = rows.ordered(Kept { rows: kept, overrides, first_sequence });
            let written = rows.and_then(|rows| rows.write(&fs, id, &info, &form));
            written.inspect_err(|_| segment::remove(fs.as_ref(), id))
        });
        let thread = spawned.map_err(no_thread)?;
        self.writing = Some(Writing { thread });
        Ok(receipt)
    }

    /// The rows of earlier chunks that have keys of these, each with the row of its key.
    fn written_before(&self, by_key: &[(Fingerprint, u32)]) -> Vec<(u32, Live)> {
        let mut found = Vec::new();
        for (chunks, keys) in self.seen.candidates(by_key) {
            let chunks = self.written.get(chunks).unwrap_or_default();
            for (place, live) in chunks.iter().enumerate() {
                if let Some(live) = live {
                    live.find_live(place, &keys, &mut found);
                }
            }
        }
        found
    }

    /// Rows whose parent is unknown go the way of rows that come one by one.
    fn keep_waiting(
        &self,
        writer: &mut Writer,
        number: u64,
        rows: &Unsettled,
        decided: &Decided,
        orphans: Option<Orphans>,
    ) -> Result<Receipt, StoreError> {
        let Some(mut orphans) = orphans else { return Ok(Receipt::default()) };
        let mut group = Group::default();
        let first = decided.first_sequence;
        orphans.sequences.iter_mut().for_each(|sequence| *sequence += first);
        let coming = |key: Fingerprint| rows.coming(decided, key);
        let receipt = writer.keep_waiting(self.table, orphans, number, coming, &mut group)?;
        writer.commit(group)?;
        if writer.wants_flush() {
            self.shared.want(Job::Flush);
        }
        Ok(receipt)
    }

    /// Waits for the chunk that is being written.
    fn end_writing(&mut self) -> Result<(), StoreError> {
        let Some(writing) = self.writing.take() else { return Ok(()) };
        let segment = writing.thread.join().map_err(panicked)??;
        let live = LiveSegment::new(Arc::new(segment), &mut self.shared.writer().tables[self.table].owners);
        self.written.push(Some(live));
        Ok(())
    }

    /// Shows all that was written, with what has waited for its rows.
    fn show(&mut self) -> Result<Receipt, StoreError> {
        self.end_writing()?;
        let chunks: Vec<LiveSegment> = self.written.iter().flatten().cloned().collect();
        if chunks.is_empty() {
            return Ok(Receipt::default());
        }
        let is_to_be_merged = |live: &LiveSegment| live.live_rows() < live.rows() || live.segment.is_brief();
        let merged = if chunks.len() > 1 || chunks.iter().any(is_to_be_merged) {
            Some(self.merge(chunks)?)
        } else {
            None
        };
        let mut kills = std::mem::take(&mut self.kills);
        kills.sort_unstable();
        let mut writer = self.shared.writer();
        writer.check_not_failed()?;
        let written = std::mem::take(&mut self.written);
        let (old, new) = match merged {
            Some(segments) => (written, segments.into_iter().map(Arc::new).collect()),
            None => (Vec::new(), written.into_iter().flatten().map(|live| live.segment).collect::<Vec<_>>()),
        };
        let table = &mut writer.tables[self.table];
        table.kill_stored(&kills);
        for segment in new {
            table.changes.note_rows(&segment.directory);
            table.install(segment, &[]);
        }
        if !kills.is_empty() {
            table.changes.note_replacements();
        }
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
        for live in old.into_iter().flatten() {
            segment::remove(writer.fs.as_ref(), live.segment.descriptor.id);
        }
        Ok(std::mem::take(&mut self.receipt))
    }

    /// The chunks as few segments.
    fn merge(&self, chunks: Vec<LiveSegment>) -> Result<Vec<Segment>, StoreError> {
        let ranges = |rows_max: u32| pieces(&chunks, &self.info, rows_max);
        let (fs, others, rows_max) = {
            let writer = self.shared.writer();
            let others = &writer.tables[self.table].segments;
            let others = others.iter().map(|live| live.segment.clone()).collect();
            (writer.fs.clone(), others, writer.settings.segment_rows_max)
        };
        let ranges = ranges(rows_max)?;
        let mut writer = self.shared.writer();
        let pieces = ranges.into_iter().map(|rows| PieceToWrite { id: writer.segment_id(), rows }).collect();
        drop(writer);
        let rewrite = Rewrite { fs, info: self.info.clone(), inputs: chunks, others, pieces };
        rewrite.run(&AtomicBool::new(false)).inspect_err(|_| rewrite.remove())
    }
}

impl Drop for Importer {
    fn drop(&mut self) {
        if let Some(writing) = self.writing.take()
            && let Ok(Ok(segment)) = writing.thread.join()
        {
            segment::remove(self.shared.writer().fs.as_ref(), segment.descriptor.id);
        }
        let mut writer = self.shared.writer();
        for live in std::mem::take(&mut self.written).into_iter().flatten() {
            segment::remove(writer.fs.as_ref(), live.segment.descriptor.id);
        }
        writer.tables[self.table].importing = false;
    }
}

fn too_many() -> StoreError {
    StoreError::WrongShape { detail: "an import has 4294967295 rows at most".to_owned() }
}
