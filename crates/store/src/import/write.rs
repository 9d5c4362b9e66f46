//! Writing a chunk: as a segment that lasts where it is the only one, else so that it is soon merged with others.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_arrays;

use crate::StoreError;
use crate::admission::RowTenants;
use crate::cells::Cells;
use crate::chunk::Chunk;
use crate::directory::Directory;
use crate::fingerprint::Fingerprint;
use crate::fs::FileSystem;
use crate::merge_runs::RunColumns;
use crate::segment::{
    ContentEntry, EntryPlace, KeyEntry, Lifetime, Segment, SegmentKeyWriter, SegmentWriter, SpillWriter,
};
use crate::table::TableInfo;
use crate::widen::united;

use super::TextCodes;
use super::chunk::Kept;

/// How a chunk's rows are written.
pub(super) enum Form {
    Parquet(Lifetime),
    /// With codes for texts that are the same in all chunks.
    Spilled(Arc<Mutex<TextCodes>>),
}

/// A chunk whose rows are decided on.
pub(super) struct ChunkToWrite {
    /// Declared columns, and those of properties.
    pub(super) rows: RecordBatch,
    pub(super) tenants: RowTenants,
    pub(super) contents: Vec<u64>,
    /// Fingerprints with their rows, ascending.
    pub(super) by_key: Vec<(Fingerprint, u32)>,
    pub(super) kept: Kept,
    /// The rows that are kept, in storage order.
    pub(super) order: Vec<u32>,
    pub(super) sequence_of: Vec<u64>,
    pub(super) directory: Directory,
}

impl ChunkToWrite {
    pub(super) fn write(
        self,
        fs: &Arc<dyn FileSystem>,
        id: u64,
        info: &TableInfo,
        form: &Form,
    ) -> Result<Segment, StoreError> {
        match form {
            Form::Parquet(lifetime) => self.write_parquet(fs, id, info, *lifetime),
            Form::Spilled(codes) => self.spill(fs, id, info, codes),
        }
    }

    fn write_parquet(
        mut self,
        fs: &Arc<dyn FileSystem>,
        id: u64,
        info: &TableInfo,
        lifetime: Lifetime,
    ) -> Result<Segment, StoreError> {
        let rows = std::mem::replace(&mut self.rows, RecordBatch::new_empty(info.declared.clone()));
        let stored = united(&info.stored, [rows.schema()]);
        let columns = take_arrays(rows.columns(), &UInt32Array::from(self.order.clone()), None)?;
        drop(rows);
        let directory = std::mem::take(&mut self.directory);
        let chunk = Chunk::new(&stored, directory, self.sequences(), columns)?;
        let mut writer = SegmentWriter::create(fs.clone(), id, &info.schema, &chunk.batch, lifetime)?;
        writer.write(&chunk.batch)?;
        let keyless = info.keyless(&chunk.batch);
        let is_keyless = |place: u32, _| keyless.as_ref().is_some_and(|rows| rows.value(place as usize));
        let mut keys = writer.finish_rows()?;
        self.write_keys(&mut keys, &chunk.directory, is_keyless)?;
        Segment::open(fs.as_ref(), keys.finish(&chunk.directory)?)
    }

    fn spill(
        mut self,
        fs: &Arc<dyn FileSystem>,
        id: u64,
        info: &TableInfo,
        codes: &Mutex<TextCodes>,
    ) -> Result<Segment, StoreError> {
        let rows = std::mem::replace(&mut self.rows, RecordBatch::new_empty(info.declared.clone()));
        let keyless = info.keyless_of(rows.columns(), rows.num_rows());
        let starts = self.starts(info, &rows)?;
        let mut writer = SpillWriter::create(fs.as_ref(), id)?;
        let (schema, columns, _) = rows.into_parts();
        {
            // One chunk is written at a time.
            let mut codes = codes.lock().unwrap_or_else(PoisonError::into_inner);
            for (field, array) in schema.fields().iter().zip(columns) {
                writer.column(field, &array, &self.order, &mut codes)?;
            }
        }
        let spilled = writer.finish(fs.as_ref(), self.sequences(), starts)?;
        let mut keys = SegmentKeyWriter::of_spilled(fs.clone(), id, &info.schema, &spilled)?;
        let is_keyless = |_, row: usize| keyless.as_ref().is_some_and(|rows| rows.value(row));
        self.write_keys(&mut keys, &self.directory, is_keyless)?;
        Segment::open_spilled(fs.as_ref(), keys.finish(&self.directory)?, spilled)
    }

    fn sequences(&self) -> Vec<u64> {
        self.order.iter().map(|&row| self.sequence_of[row as usize]).collect()
    }

    /// Where each actor's rows begin.
    fn starts(&self, info: &TableInfo, rows: &RecordBatch) -> Result<Vec<u32>, StoreError> {
        let Some(RunColumns { actor, .. }) = RunColumns::of(&info.schema) else { return Ok(vec![0]) };
        let cells = Cells::of(rows.column(actor), &info.schema.columns[actor])?;
        let mut starts = Vec::new();
        let mut before: Option<usize> = None;
        for (place, &row) in (0..).zip(&self.order) {
            let row = row as usize;
            let continues = before.is_some_and(|before| {
                self.tenants.codes[before] == self.tenants.codes[row] && cells.is_same(before, row)
            });
            if !continues {
                starts.push(place);
            }
            before = Some(row);
        }
        Ok(starts)
    }

    /// `is_keyless` tells it of a row by its place in storage order, and among all.
    fn write_keys(
        &self,
        keys: &mut SegmentKeyWriter,
        directory: &Directory,
        is_keyless: impl Fn(u32, usize) -> bool,
    ) -> Result<(), StoreError> {
        let mut place_of = vec![0; self.kept.rows.len()];
        for (place, &row) in (0..).zip(&self.order) {
            place_of[row as usize] = place;
        }
        let mut contents = Vec::new();
        for &(fingerprint, row) in &self.by_key {
            let at = row as usize;
            if !self.kept.rows[at] {
                continue;
            }
            let place = place_of[at];
            if is_keyless(place, at) {
                let owner = directory.owner_of(place).and_then(|owner| u32::try_from(owner).ok());
                contents.extend(owner.map(|owner| ContentEntry { fingerprint, owner }));
                continue;
            }
            keys.push(&KeyEntry {
                fingerprint,
                sequence: self.sequence_of[at],
                place: EntryPlace::Row { row: place, overrides: self.kept.overrides[at] },
                content: self.contents[at],
            })?;
        }
        for entry in contents {
            keys.push_content(entry)?;
        }
        Ok(())
    }
}
