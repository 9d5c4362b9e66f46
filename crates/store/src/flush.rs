//! Memory tables into segments: they are frozen together at a boundary of log files, written without
//! holding up the writer, and named by one manifest; then the log files behind them go.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use crate::StoreError;
use crate::chunk::{Chunk, sequences};
use crate::fs::FileSystem;
use crate::memtable::{KeyKind, Memtable, live_rows};
use crate::probe::older_elsewhere;
use crate::segment::{self, ContentEntry, EntryPlace, KeyEntry, Lifetime, Segment, SegmentWriter};
use crate::table::TableInfo;
use crate::writer::{Flushing, TableIndex, Writer};

/// Frozen memory tables that are to be written.
#[derive(Debug)]
pub(crate) struct FlushJob {
    fs: Arc<dyn FileSystem>,
    tables: Vec<FlushTable>,
}

#[derive(Debug)]
struct FlushTable {
    index: TableIndex,
    info: Arc<TableInfo>,
    memtable: Memtable,
    /// All segments of the table.
    segments: Vec<Arc<Segment>>,
    /// Of the segment that will be written.
    id: u64,
    deaths_begun: usize,
}

impl Writer {
    /// Whether memory or log have grown enough.
    pub(crate) fn wants_flush(&self) -> bool {
        self.failed.is_none()
            && (self.flushing.is_some()
                || self.memory_bytes() >= self.settings.flush_bytes
                || self.log_bytes >= self.settings.log_bytes_max)
    }

    /// Freezes what is in memory; `None` where there is nothing that the log holds alone. A flush that
    /// failed is begun anew. The job ends in [`Writer::finish_flush`] or [`Writer::abandon_flush`].
    pub(crate) fn begin_flush(&mut self) -> Result<Option<FlushJob>, StoreError> {
        self.check_not_failed()?;
        if self.flushing.is_none() {
            if !self.unflushed {
                return Ok(None);
            }
            let sealed = self.log.seal_current();
            let sealed_file =
                sealed.map_err(|error| StoreError::Failed { reason: self.fail(&error.into()) })?;
            self.flushing = Some(Flushing { sealed_file, logged_next: self.sequence_next });
            self.log_bytes = 0;
            self.unflushed = false;
            for table in self.tables.iter_mut().filter(|table| !table.active.is_empty()) {
                table.frozen = Some(std::mem::take(&mut table.active));
            }
        }
        let mut tables = Vec::new();
        for index in 0..self.tables.len() {
            let Some(memtable) = self.tables[index].frozen.clone() else { continue };
            let id = self.segment_id();
            let table = &mut self.tables[index];
            tables.push(FlushTable {
                index,
                info: table.info.clone(),
                memtable,
                segments: table.segments.iter().map(|live| live.segment.clone()).collect(),
                id,
                deaths_begun: table.deaths.begin(),
            });
        }
        Ok(Some(FlushJob { fs: self.fs.clone(), tables }))
    }

    /// Names the new segments in the manifest, and lets go of memory and log.
    pub(crate) fn finish_flush(
        &mut self,
        job: FlushJob,
        written: Vec<Option<Segment>>,
    ) -> Result<(), StoreError> {
        self.check_not_failed()?;
        let mut changed = BTreeSet::new();
        for (part, segment) in job.tables.into_iter().zip(written) {
            let table = &mut self.tables[part.index];
            let deaths = table.deaths.end(part.deaths_begun);
            table.frozen = None;
            if let Some(segment) = segment {
                table.install(Arc::new(segment), &deaths);
            }
            changed.insert(part.index);
        }
        let Some(flushing) = self.flushing.take() else { return Ok(()) };
        self.logged_next = flushing.logged_next;
        self.commit_catalog()?;
        self.publish(&changed);
        if let Err(error) = self.log.remove_through(flushing.sealed_file) {
            tracing::warn!(%error, "log files that are no longer needed stay until the next flush");
        }
        Ok(())
    }

    /// Keeps the frozen memory tables for another try.
    pub(crate) fn abandon_flush(&mut self, job: FlushJob) {
        for part in job.tables {
            self.tables[part.index].deaths.end(part.deaths_begun);
            segment::remove(self.fs.as_ref(), part.id);
        }
    }
}

impl FlushJob {
    /// Writes a segment for each table; none for one whose rows are all dead.
    pub(crate) fn run(&self) -> Result<Vec<Option<Segment>>, StoreError> {
        self.tables.iter().map(|part| part.write(&self.fs)).collect()
    }
}

impl FlushTable {
    fn write(&self, fs: &Arc<dyn FileSystem>) -> Result<Option<Segment>, StoreError> {
        let chunk = self.merged(&self.info.stored)?;
        let (keys, contents) = self.keys(&chunk);
        if keys.is_empty() && chunk.rows() == 0 {
            return Ok(None);
        }
        let mut writer =
            SegmentWriter::create(fs.clone(), self.id, &self.info.schema, &chunk.batch, Lifetime::Lasting)?;
        writer.write(&chunk.batch)?;
        let mut key_writer = writer.finish_rows()?;
        for entry in keys {
            key_writer.push(&entry)?;
        }
        for entry in contents {
            key_writer.push_content(entry)?;
        }
        let descriptor = key_writer.finish(&chunk.directory)?;
        Ok(Some(Segment::open(fs.as_ref(), descriptor)?))
    }

    /// The rows that were alive when the memory table was frozen.
    fn merged(&self, stored: &SchemaRef) -> Result<Chunk, StoreError> {
        let mut batches = Vec::with_capacity(self.memtable.chunks.len());
        for chunk in &self.memtable.chunks {
            batches.push(live_rows(&chunk.batch, &self.memtable.dead)?);
        }
        Ok(Chunk::merge(&self.info.schema, stored, &batches)?.chunk)
    }

    /// The words on keys that a segment must keep, and what it keeps of rows without one; each ascending.
    fn keys(&self, chunk: &Chunk) -> (Vec<KeyEntry>, Vec<ContentEntry>) {
        let keyless = self.info.keyless(&chunk.batch);
        let is_keyless = |row: u32| keyless.as_ref().is_some_and(|keyless| keyless.value(row as usize));
        let owner_of = |row: u32| u32::try_from(chunk.directory.owner_of(row)?).ok();
        let mut rows: Vec<(u64, u32)> = sequences(&chunk.batch).values().iter().copied().zip(0..).collect();
        rows.sort_unstable();
        let row_of = |sequence: u64| {
            let found = rows.binary_search_by_key(&sequence, |(sequence, _)| *sequence).ok()?;
            Some(rows[found].1)
        };
        let mut entries = Vec::with_capacity(self.memtable.keys.len());
        let mut contents = Vec::new();
        for (&fingerprint, state) in self.memtable.keys.iter() {
            let (sequence, content) = (state.sequence, state.content);
            let place = match state.kind {
                KeyKind::Tombstone => EntryPlace::Tombstone,
                // A row that a deletion of everything took is in no segment.
                KeyKind::Row => match row_of(sequence) {
                    Some(row) if is_keyless(row) => {
                        contents.extend(owner_of(row).map(|owner| ContentEntry { fingerprint, owner }));
                        continue;
                    }
                    Some(row) => EntryPlace::Row { row, overrides: state.overrides },
                    None => continue,
                },
            };
            entries.push(KeyEntry { fingerprint, sequence, place, content });
        }
        entries.sort_unstable_by_key(|entry| entry.fingerprint);
        older_elsewhere(&mut entries, |entry| entry, &self.segments);
        contents.sort_unstable();
        (entries, contents)
    }
}
