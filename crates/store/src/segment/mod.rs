//! A segment: an immutable run of a table's rows in storage order. One Parquet file that any tool reads,
//! one key file beside it, and the spine, which can be made again from the rows.

mod blocks;
mod contents;
mod decoded;
mod keys;
mod lane;
mod scan;
mod spilled;
mod spine;
mod spine_scan;
mod write;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::datatypes::{FieldRef, SchemaRef};
use bytes::Bytes;
use ebbtide_model::TableSchema;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::statistics::Statistics;
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use crate::columns::stored_fields;
use crate::directory::Directory;
use crate::fingerprint::Fingerprint;
use crate::fs::{FileSystem, FsError, FsErrorKind};
use crate::owners::{Owner, Owners};
use crate::properties::is_property;
use crate::scan::BATCH_ROWS_MAX;
use crate::table::{Live, Place};
use crate::{StoreError, stored_schema};

pub use blocks::Damage;
pub(crate) use contents::ContentEntry;
#[cfg(test)]
pub(crate) use decoded::Decoded;
pub(crate) use decoded::DecodedColumns;
pub(crate) use keys::{EntryPlace, KeyEntry, KeyFile};
pub(crate) use lane::Lane;
pub use lane::{Coded, Codes};
pub(crate) use scan::{SegmentScan, Source, Wanted};
pub(crate) use spilled::{
    CHECKED_ROWS, ColumnBytes, SpillWriter, Spilled, ValueBytes, long_at, short_at, text_range,
};
pub use spine::{NO_NAME, NO_TIME, SpineActor, SpineCodes, SpineColumns, SpineRows, SpineTicks, SpineTimes};
pub use spine_scan::{SpineCut, SpineScan};
pub(crate) use write::{GROUP_ROWS, Lifetime, SegmentKeyWriter, SegmentWriter};

use blocks::Blocks;
use keys::OpenKeyFile;
use scan::RowFile;
use spine::{Compared, Places, Spine, SpineWriter};

pub(crate) const DIRECTORY: &str = "segments";
const ROWS_SUFFIX: &str = "parquet";
const KEYS_SUFFIX: &str = "keys";
pub(crate) const SPINE_SUFFIX: &str = "spine";
/// Of rows that an import has yet to merge.
const SPILL_SUFFIX: &str = "spill";
/// What a batch takes in memory, about, at most.
const BATCH_BYTES: u64 = 32 << 20;
/// Of the layout of both files, which is that of the key file.
const FORMAT: u32 = keys::VERSION;

/// What the manifest says of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Descriptor {
    pub(crate) id: u64,
    pub(crate) format: u32,
    pub(crate) rows: u32,
    /// What the rows take in memory.
    pub(crate) arrow_bytes: u64,
    pub(crate) row_bytes: u64,
    pub(crate) key_bytes: u64,
    /// Of the key file's footer, from which all other checksums hang.
    pub(crate) checksum: u32,
    /// The lowest and highest arrival number of its entries.
    pub(crate) sequence_first: u64,
    pub(crate) sequence_last: u64,
    /// The lowest and highest time, in microseconds, where the table has one and a row has it.
    pub(crate) times: Option<(i64, i64)>,
    /// How many of its keys may kill rows in other segments.
    pub(crate) overriding: u64,
}

/// Rows of a segment, and the lowest and highest time of them where that is known.
#[derive(Clone, Debug)]
pub(crate) struct TimedRows {
    pub(crate) rows: Range<u32>,
    pub(crate) times: Option<(i64, i64)>,
    /// Whether each row is known to have a time.
    pub(crate) all_timed: bool,
}

/// A segment that is read.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) descriptor: Descriptor,
    pub(crate) keys: KeyFile,
    pub(crate) directory: Directory,
    /// Where its rows lie until an import has merged them; there is no Parquet file then.
    pub(crate) spilled: Option<Spilled>,
    rows: RowFile,
    metadata: OnceLock<ArrowReaderMetadata>,
    /// By which texts are read as codes.
    coded_metadata: OnceLock<ArrowReaderMetadata>,
    spine: Mutex<SpineState>,
}

#[derive(Clone, Debug)]
enum SpineState {
    Sound(Arc<Spine>),
    /// Not there, or an older Ebbtide's.
    Absent,
    /// What was met first; the rows answer until another is made.
    Damaged(Damage),
    /// The segment can have none.
    Unfit,
}

/// The rows file of a segment, in the data folder.
pub(crate) fn rows_path(id: u64) -> PathBuf {
    Path::new(DIRECTORY).join(format!("{id:016}.{ROWS_SUFFIX}"))
}

pub(crate) fn keys_path(id: u64) -> PathBuf {
    Path::new(DIRECTORY).join(format!("{id:016}.{KEYS_SUFFIX}"))
}

pub(crate) fn spine_path(id: u64) -> PathBuf {
    Path::new(DIRECTORY).join(format!("{id:016}.{SPINE_SUFFIX}"))
}

pub(crate) fn spill_path(id: u64) -> PathBuf {
    Path::new(DIRECTORY).join(format!("{id:016}.{SPILL_SUFFIX}"))
}

/// The id in a segment file's name.
pub(crate) fn id_of(name: &str) -> Option<u64> {
    let (id, suffix) = name.split_once('.')?;
    if [ROWS_SUFFIX, KEYS_SUFFIX, SPINE_SUFFIX, SPILL_SUFFIX].contains(&suffix) {
        id.parse().ok()
    } else {
        None
    }
}

/// How the writing of a spine ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writing {
    Whole,
    Stopped,
    /// The rows have what a spine cannot say.
    Unfit,
}

impl Segment {
    pub(crate) fn open(fs: &dyn FileSystem, descriptor: Descriptor) -> Result<Self, StoreError> {
        let rows_path = rows_path(descriptor.id);
        let keys_path = keys_path(descriptor.id);
        let full_rows_path = fs.root().join(&rows_path);
        let full_keys_path = fs.root().join(&keys_path);
        if !(1..=FORMAT).contains(&descriptor.format) {
            return Err(StoreError::UnknownVersion { file: full_rows_path, found: descriptor.format });
        }
        let key_bytes = fs.read(&keys_path)?;
        let open = OpenKeyFile::read(full_keys_path, &key_bytes, descriptor.id, descriptor.checksum)?;
        let row_bytes = fs.read(&rows_path)?;
        if row_bytes.len() as u64 != descriptor.row_bytes {
            let detail = format!("it has {} bytes and had {}", row_bytes.len(), descriptor.row_bytes);
            return Err(Damage::new(&full_rows_path, 0, detail).into());
        }
        let blocks = Blocks::new(full_rows_path, row_bytes, open.row_checksums)?;
        let segment = Self {
            descriptor,
            keys: open.keys,
            directory: open.directory,
            spilled: None,
            rows: RowFile::new(blocks),
            metadata: OnceLock::new(),
            coded_metadata: OnceLock::new(),
            spine: Mutex::new(SpineState::Absent),
        };
        segment.open_spine(fs)?;
        Ok(segment)
    }

    /// A segment of an import whose rows were spilled.
    pub(crate) fn open_spilled(
        fs: &dyn FileSystem,
        descriptor: Descriptor,
        spilled: Spilled,
    ) -> Result<Self, StoreError> {
        let keys_path = keys_path(descriptor.id);
        let full_keys_path = fs.root().join(&keys_path);
        let key_bytes = fs.read(&keys_path)?;
        let open = OpenKeyFile::read(full_keys_path, &key_bytes, descriptor.id, descriptor.checksum)?;
        let none = Blocks::new(fs.root().join(rows_path(descriptor.id)), Bytes::new(), Vec::new())?;
        Ok(Self {
            descriptor,
            keys: open.keys,
            directory: open.directory,
            spilled: Some(spilled),
            rows: RowFile::new(none),
            metadata: OnceLock::new(),
            coded_metadata: OnceLock::new(),
            spine: Mutex::new(SpineState::Unfit),
        })
    }

    /// Looks for the spine; without one the segment is whole, too.
    fn open_spine(&self, fs: &dyn FileSystem) -> Result<(), StoreError> {
        let Descriptor { id, checksum, rows, .. } = self.descriptor;
        let path = spine_path(id);
        let bytes = match fs.read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == FsErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        match Spine::open(fs.root().join(path), &bytes, id, checksum, rows) {
            Ok(Some(spine)) => self.set_spine(SpineState::Sound(Arc::new(spine))),
            Ok(None) => self.set_spine(SpineState::Absent),
            Err(damage) => self.distrust_spine(damage),
        }
        Ok(())
    }

    fn distrust_spine(&self, damage: Damage) {
        tracing::warn!(%damage, "a spine cannot be used; the rows answer until it is made again");
        self.set_spine(SpineState::Damaged(damage));
    }

    fn set_spine(&self, state: SpineState) {
        *self.spine.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn spine(&self) -> SpineState {
        self.spine.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether its spine is missing or damaged.
    pub(crate) fn wants_spine(&self) -> bool {
        matches!(self.spine(), SpineState::Absent | SpineState::Damaged(_))
    }

    /// Makes the spine from the rows, unless told to stop. `stored` is the table's stored schema of today. Until it
    /// is whole it has a name of which nothing is left after a start.
    pub(crate) fn make_spine(
        self: &Arc<Self>,
        fs: &Arc<dyn FileSystem>,
        table: &TableSchema,
        stored: &SchemaRef,
        stop: &AtomicBool,
    ) -> Result<(), StoreError> {
        let Some(columns) = SpineColumns::of(table) else {
            self.set_spine(SpineState::Unfit);
            return Ok(());
        };
        let id = self.descriptor.id;
        let (unfinished, path) = (spill_path(id), spine_path(id));
        remove_if_there(fs.as_ref(), &path)?;
        remove_if_there(fs.as_ref(), &unfinished)?;
        match self.write_spine(fs, &unfinished, (table, &columns), stored, stop) {
            Ok(Writing::Whole) => {
                fs.rename(&unfinished, &path)?;
                fs.sync_dir(Path::new(DIRECTORY))?;
                self.open_spine(fs.as_ref())
            }
            other => {
                remove_if_there(fs.as_ref(), &unfinished)?;
                if other? == Writing::Unfit {
                    self.set_spine(SpineState::Unfit);
                }
                Ok(())
            }
        }
    }

    fn write_spine(
        self: &Arc<Self>,
        fs: &Arc<dyn FileSystem>,
        path: &Path,
        (table, columns): (&TableSchema, &SpineColumns),
        stored: &SchemaRef,
        stop: &AtomicBool,
    ) -> Result<Writing, StoreError> {
        let Descriptor { id, checksum, .. } = self.descriptor;
        let mut writer = SpineWriter::new(fs.create_new(path)?, table, columns, Places::projected(columns));
        for batch in self.spine_rows(columns, stored)? {
            if stop.load(Ordering::Relaxed) {
                return Ok(Writing::Stopped);
            }
            writer.write(&batch?)?;
        }
        Ok(if writer.finish(id, checksum)? { Writing::Whole } else { Writing::Unfit })
    }

    /// What a spine is made of.
    fn spine_rows(
        self: &Arc<Self>,
        columns: &SpineColumns,
        stored: &SchemaRef,
    ) -> Result<SegmentScan, StoreError> {
        let whole = LiveSegment { segment: self.clone(), dead: Arc::default(), owners: Arc::default() };
        SegmentScan::new(&whole, 0..self.descriptor.rows, &stored_fields(stored, &columns.projection()), None)
    }

    /// Whether its spine says what its rows say; nothing where it has none. `table` is as it was last
    /// declared; which column names its events the spine itself says.
    pub(crate) fn verify_spine(
        self: &Arc<Self>,
        fs: &dyn FileSystem,
        table: &TableSchema,
    ) -> Result<Option<Damage>, StoreError> {
        let SpineState::Sound(spine) = self.spine() else { return Ok(None) };
        let Descriptor { id, checksum, .. } = self.descriptor;
        let path = spine_path(id);
        let damage = |offset, detail: &str| Some(Damage::new(&fs.root().join(&path), offset, detail));
        let event_name = spine.name_column().and_then(|name| table.column_index(name));
        let table = TableSchema { event_name, ..table.clone() };
        let Some(columns) = SpineColumns::of(&table) else {
            return Ok(damage(0, "its table has no spines"));
        };
        let (file, differs) = Compared::new(fs.read(&path)?);
        let mut writer = SpineWriter::new(Box::new(file), &table, &columns, Places::projected(&columns));
        for batch in self.spine_rows(&columns, &stored_schema(&table))? {
            writer.write(&batch?)?;
        }
        writer.finish(id, checksum)?;
        Ok(differs.get().and_then(|offset| damage(*offset, "it does not say what the rows say")))
    }

    /// Whether it has a file with its spine.
    pub(crate) fn has_spine(&self) -> bool {
        matches!(self.spine(), SpineState::Sound(_) | SpineState::Damaged(_))
    }

    /// Whether it was written to be merged, and may not stay.
    pub(crate) fn is_brief(&self) -> bool {
        self.spilled.is_some()
    }

    /// The Parquet footer, read when it is first needed.
    fn metadata(&self) -> Result<&ArrowReaderMetadata, StoreError> {
        if let Some(metadata) = self.metadata.get() {
            return Ok(metadata);
        }
        let options = ArrowReaderOptions::new()
            .with_column_index_policy(PageIndexPolicy::Skip)
            .with_offset_index_policy(PageIndexPolicy::Required);
        let loaded = ArrowReaderMetadata::load(&self.rows, options);
        let loaded = loaded.map_err(|error| self.rows.explain(error.into()))?;
        Ok(self.metadata.get_or_init(|| loaded))
    }

    /// The rows of each group of the file.
    pub(crate) fn group_rows(&self) -> Result<Vec<Range<u32>>, StoreError> {
        let mut first = 0_u32;
        let groups = self.metadata()?.metadata().row_groups().iter().map(|group| {
            let rows = first..first.saturating_add(u32::try_from(group.num_rows()).unwrap_or(u32::MAX));
            first = rows.end;
            rows
        });
        Ok(groups.collect())
    }

    /// The columns of properties that its rows have.
    pub(crate) fn properties(&self) -> Result<Vec<FieldRef>, StoreError> {
        let fields = self.metadata()?.schema().fields();
        Ok(fields.iter().filter(|field| is_property(field)).cloned().collect())
    }

    /// These rows by row group, with what the file says of their times in this column: the lowest and
    /// highest, and perhaps of some more.
    pub(crate) fn times_of(&self, rows: &Range<u32>, column: &str) -> Result<Vec<TimedRows>, StoreError> {
        let metadata = self.metadata()?;
        let Ok(column) = metadata.schema().index_of(column) else { return Ok(Vec::new()) };
        let mut groups = Vec::new();
        let mut first = 0_u32;
        for group in metadata.metadata().row_groups() {
            let end = first.saturating_add(u32::try_from(group.num_rows()).unwrap_or(u32::MAX));
            let own = first.max(rows.start)..end.min(rows.end);
            first = end;
            if own.is_empty() {
                continue;
            }
            let statistics = group.columns().get(column).and_then(|chunk| chunk.statistics());
            let times = match statistics {
                Some(Statistics::Int64(times)) => times.min_opt().copied().zip(times.max_opt().copied()),
                _ => None,
            };
            let all_timed = statistics.and_then(Statistics::null_count_opt) == Some(0);
            groups.push(TimedRows { rows: own, times, all_timed });
        }
        Ok(groups)
    }

    fn short(&self) -> StoreError {
        let detail = "it does not have the rows that the manifest says";
        StoreError::Damaged(Damage::new(&rows_path(self.descriptor.id), 0, detail))
    }

    /// Every damaged place of its files.
    pub(crate) fn verify(&self) -> Vec<Damage> {
        let mut damage = self.keys.verify();
        damage.extend(self.rows.verify());
        match self.spine() {
            SpineState::Sound(spine) => damage.extend(spine.verify()),
            SpineState::Damaged(found) => damage.push(found),
            SpineState::Absent | SpineState::Unfit => {}
        }
        damage
    }

    /// Rows of a batch that is read at once: fewer where rows are large.
    pub(crate) fn batch_rows(&self) -> usize {
        let row_bytes = self.descriptor.arrow_bytes / u64::from(self.descriptor.rows.max(1));
        let rows = usize::try_from(BATCH_BYTES / row_bytes.max(1)).unwrap_or(usize::MAX);
        rows.clamp(1, BATCH_ROWS_MAX)
    }
}

/// Removes a segment's files. What cannot be removed now is an orphan, and removed at the next start.
pub(crate) fn remove(fs: &dyn FileSystem, id: u64) {
    for path in [rows_path(id), keys_path(id), spine_path(id), spill_path(id)] {
        if let Err(error) = remove_if_there(fs, &path) {
            tracing::debug!(%error, "a segment's file stays until the next start");
        }
    }
}

fn remove_if_there(fs: &dyn FileSystem, path: &Path) -> Result<(), FsError> {
    match fs.remove_file(path) {
        Err(error) if error.kind() != FsErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Removes the files of segments that no manifest knows, and what was not finished: what a crash has left.
pub(crate) fn remove_orphans(fs: &dyn FileSystem, is_known: impl Fn(u64) -> bool) -> Result<(), FsError> {
    for name in fs.list_dir(Path::new(DIRECTORY))? {
        let is_unfinished = Path::new(&name).extension().is_some_and(|suffix| suffix == SPILL_SUFFIX);
        if id_of(&name).is_some_and(|id| !is_known(id) || is_unfinished) {
            fs.remove_file(&Path::new(DIRECTORY).join(&name))?;
        }
    }
    Ok(())
}

/// A segment and which of its rows are dead.
#[derive(Clone, Debug)]
pub(crate) struct LiveSegment {
    pub(crate) segment: Arc<Segment>,
    pub(crate) dead: Arc<RoaringBitmap>,
    /// The tenants of its directory.
    owners: Arc<[Owner]>,
}

impl LiveSegment {
    pub(crate) fn new(segment: Arc<Segment>, owners: &mut Owners) -> Self {
        let owners = segment.directory.iter().map(|(tenant, _)| owners.number(tenant)).collect();
        Self { segment, dead: Arc::default(), owners }
    }

    /// Whose a row is; `None` past the end.
    pub(crate) fn owner_of(&self, row: u32) -> Option<Owner> {
        self.owners.get(self.segment.directory.owner_of(row)?).copied()
    }

    /// These rows as the spine has them, where the segment has one whose events are named by this column.
    pub(crate) fn spine(&self, rows: Range<u32>, name_column: Option<&str>) -> Option<SpineScan> {
        let SpineState::Sound(spine) = self.segment.spine() else { return None };
        if name_column.is_some() && spine.name_column() != name_column {
            return None;
        }
        Some(SpineScan::new(self.clone(), spine, rows))
    }

    /// Rows, dead ones too.
    pub(crate) fn rows(&self) -> u64 {
        self.segment.descriptor.rows.into()
    }

    pub(crate) fn live_rows(&self) -> u64 {
        self.rows() - self.dead.len()
    }

    /// The live rows of these keys, which ascend, each with the number beside its key. `segment` is where this
    /// one is among the others.
    pub(crate) fn find_live(
        &self,
        segment: usize,
        sorted: &[(Fingerprint, u32)],
        found: &mut Vec<(u32, Live)>,
    ) {
        let key = |(fingerprint, _): (Fingerprint, u32)| fingerprint;
        self.segment.keys.matches(sorted, key, |position, entry| {
            let EntryPlace::Row { row, .. } = entry.place else { return };
            if self.dead.contains(row) {
                return;
            }
            let Some(owner) = self.owner_of(row) else { return };
            let place = Place::Segment { segment, row };
            let (sequence, content) = (entry.sequence, entry.content);
            found.push((sorted[position].1, Live { place, sequence, content, owner }));
        });
        if self.segment.keys.content_len() == 0 {
            return;
        }
        let alive = self.owners_alive();
        let sequence = self.segment.descriptor.sequence_first;
        self.segment.keys.content_matches(sorted, key, |position, place| {
            let is_alive = alive.get(place as usize).is_some_and(|alive| *alive);
            let Some(owner) = self.owners.get(place as usize).filter(|_| is_alive) else { return };
            let live = Live { place: Place::Somewhere, sequence, content: 0, owner: *owner };
            found.push((sorted[position].1, live));
        });
    }

    pub(crate) fn kill(&mut self, row: u32) {
        Arc::make_mut(&mut self.dead).insert(row);
    }

    /// Kills the rows of these keys that are older than what killed them. `killers` ascend by key.
    pub(crate) fn kill_older(&mut self, killers: &[(Fingerprint, u64)]) {
        self.kill_where(killers, |entry, sequence| entry < sequence);
    }

    /// Kills these very rows, named by key and sequence. `rows` ascend by key.
    pub(crate) fn kill_exactly(&mut self, rows: &[(Fingerprint, u64)]) {
        self.kill_where(rows, |entry, sequence| entry == sequence);
    }

    fn kill_where(&mut self, keys: &[(Fingerprint, u64)], is_killed: impl Fn(u64, u64) -> bool) {
        let mut rows = Vec::new();
        self.segment.keys.matches(
            keys,
            |(fingerprint, _)| fingerprint,
            |position, entry| {
                if let EntryPlace::Row { row, .. } = entry.place
                    && is_killed(entry.sequence, keys[position].1)
                {
                    rows.push(row);
                }
            },
        );
        if !rows.is_empty() {
            Arc::make_mut(&mut self.dead).extend(rows);
        }
    }

    /// Kills what a tenant, or everybody, had here before this arrival number: how many were alive, to
    /// each tenant that had some.
    pub(crate) fn clear(
        &mut self,
        tenant: Option<&str>,
        before: u64,
        mut killed: impl FnMut(&Arc<str>, u64),
    ) {
        // With a newer row it was written after the deletion, of rows that were alive then.
        if self.segment.descriptor.sequence_last >= before {
            return;
        }
        for (own, range) in self.segment.directory.of(tenant) {
            let dead = Arc::make_mut(&mut self.dead);
            let dead_before = dead.len();
            dead.insert_range(range);
            if dead.len() > dead_before {
                killed(own, dead.len() - dead_before);
            }
        }
    }

    /// By place in the directory: whether the tenant has a row that is alive. Of its rows without a key all
    /// are alive then, or none.
    pub(crate) fn owners_alive(&self) -> Vec<bool> {
        let is_alive = |rows: Range<u32>| self.dead.range_cardinality(rows.clone()) < rows.len() as u64;
        self.segment.directory.iter().map(|(_, rows)| is_alive(rows)).collect()
    }
}
