//! Segments of about one size become one: a streaming merge in bounded memory that leaves dead rows
//! behind. Readers of the old ones keep their bytes until they let go.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use roaring::RoaringBitmap;

use crate::chunk::extend_directory;
use crate::directory::Directory;
use crate::fs::FileSystem;
use crate::merge::RowMerge;
use crate::probe::older_elsewhere;
use crate::segment::{self, EntryPlace, KeyEntry, LiveSegment, Segment, SegmentKeyWriter, SegmentWriter};
use crate::table::TableInfo;
use crate::writer::{TableIndex, Writer};
use crate::{Settings, StoreError};

/// Segments with fewer rows than this are of one size.
const SMALLEST_ROWS: u64 = 4096;
/// Entries that are looked up in other segments at a time.
const PROBED_ENTRIES: usize = 65_536;
/// Where a dead row went.
const NOWHERE: u32 = u32::MAX;

/// Segments that are to become one.
#[derive(Debug)]
pub(crate) struct CompactionJob {
    fs: Arc<dyn FileSystem>,
    pub(crate) table: TableIndex,
    info: Arc<TableInfo>,
    inputs: Vec<LiveSegment>,
    /// The other segments of the table.
    others: Vec<Arc<Segment>>,
    id: u64,
    deaths_begun: usize,
}

impl Writer {
    /// The next segments to merge; `None` if all is well. The job ends in
    /// [`Writer::finish_compaction`] or [`Writer::abandon_compaction`]; one job at a time.
    pub(crate) fn begin_compaction(&mut self) -> Option<CompactionJob> {
        if self.failed.is_some() {
            return None;
        }
        let (index, picked) = (0..self.tables.len())
            .find_map(|index| Some((index, pick(&self.tables[index].segments, &self.settings)?)))?;
        let id = self.segment_id();
        let table = &mut self.tables[index];
        let (mut inputs, mut others) = (Vec::new(), Vec::new());
        for (position, live) in table.segments.iter().enumerate() {
            if picked.contains(&position) {
                inputs.push(live.clone());
            } else {
                others.push(live.segment.clone());
            }
        }
        Some(CompactionJob {
            fs: self.fs.clone(),
            table: index,
            info: table.info.clone(),
            inputs,
            others,
            id,
            deaths_begun: table.deaths.begin(),
        })
    }

    /// Puts the segment that a job has written in the place of those it merged.
    pub(crate) fn finish_compaction(
        &mut self,
        job: CompactionJob,
        written: Option<Segment>,
    ) -> Result<(), StoreError> {
        self.check_not_failed()?;
        let table = &mut self.tables[job.table];
        let deaths = table.deaths.end(job.deaths_begun);
        let old: BTreeSet<u64> = job.inputs.iter().map(|live| live.segment.descriptor.id).collect();
        table.segments.retain(|live| !old.contains(&live.segment.descriptor.id));
        if let Some(segment) = written {
            table.install(segment, &deaths);
        }
        self.commit_catalog()?;
        self.publish(&BTreeSet::from([job.table]));
        for id in old {
            segment::remove(self.fs.as_ref(), id);
        }
        Ok(())
    }

    pub(crate) fn abandon_compaction(&mut self, job: CompactionJob) {
        self.tables[job.table].deaths.end(job.deaths_begun);
        segment::remove(self.fs.as_ref(), job.id);
    }
}

/// Which segments to merge: one that is mostly dead, or as many of one size as make a bigger one.
fn pick(segments: &[LiveSegment], settings: &Settings) -> Option<Vec<usize>> {
    let mostly_dead = |live: &LiveSegment| live.dead.len() * 2 > u64::from(live.segment.descriptor.rows);
    if let Some(index) = segments.iter().position(mostly_dead) {
        return Some(vec![index]);
    }
    let fan_in = settings.compaction_fan_in;
    let mut sizes: Vec<(u32, u64, usize)> = Vec::new();
    for (index, live) in segments.iter().enumerate() {
        sizes.push((tier(live.live_rows(), fan_in as u64), live.live_rows(), index));
    }
    sizes.sort_unstable();
    for tier in sizes.chunk_by(|a, b| a.0 == b.0) {
        let Some(smallest) = tier.get(..fan_in) else { continue };
        let rows: u64 = smallest.iter().map(|(_, rows, _)| rows).sum();
        if rows <= u64::from(settings.segment_rows_max) {
            return Some(smallest.iter().map(|(_, _, index)| *index).collect());
        }
    }
    None
}

fn tier(rows: u64, fan_in: u64) -> u32 {
    (rows / SMALLEST_ROWS).checked_ilog(fan_in.max(2)).map_or(0, |tier| tier + 1)
}

impl CompactionJob {
    /// Writes the one segment, or none where nothing was worth keeping. Ends with
    /// [`StoreError::Closed`] once `stop` is set.
    pub(crate) fn run(&self, stop: &AtomicBool) -> Result<Option<Segment>, StoreError> {
        let mut moves: Vec<Moves> = self.inputs.iter().map(Moves::new).collect();
        let mut merge = RowMerge::new(&self.inputs, &self.info)?;
        let mut directory = Directory::default();
        let mut writer = None;
        while let Some(merged) = merge.next()? {
            if stop.load(Ordering::Relaxed) {
                return Err(StoreError::Closed);
            }
            let first = directory.rows();
            for (source, row) in merged.sources.iter().zip(first..) {
                moves[*source].push(row);
            }
            extend_directory(&mut directory, &merged.batch)?;
            self.writer(&mut writer, &merged.batch)?.write(&merged.batch)?;
        }
        if writer.is_none() && self.inputs.iter().all(|live| live.segment.descriptor.overriding == 0) {
            return Ok(None);
        }
        self.writer(&mut writer, &RecordBatch::new_empty(merge.stored().clone()))?;
        let Some(writer) = writer else { return Ok(None) };
        let mut keys = writer.finish_rows()?;
        let written = self.write_keys(&moves, &mut keys, stop)?;
        let descriptor = keys.finish(&directory)?;
        if written == 0 {
            segment::remove(self.fs.as_ref(), self.id);
            return Ok(None);
        }
        Ok(Some(Segment::open(self.fs.as_ref(), descriptor)?))
    }

    fn writer<'w>(
        &self,
        writer: &'w mut Option<SegmentWriter>,
        first: &RecordBatch,
    ) -> Result<&'w mut SegmentWriter, StoreError> {
        Ok(match writer {
            Some(writer) => writer,
            None => writer.insert(SegmentWriter::create(self.fs.clone(), self.id, &self.info.schema, first)?),
        })
    }

    /// Merges the key files; how many entries were worth keeping.
    fn write_keys(
        &self,
        moves: &[Moves],
        keys: &mut SegmentKeyWriter,
        stop: &AtomicBool,
    ) -> Result<usize, StoreError> {
        let mut next: Vec<usize> = vec![0; self.inputs.len()];
        let mut block = Vec::with_capacity(PROBED_ENTRIES);
        let mut written = 0;
        loop {
            let entry = self.next_word(moves, &mut next);
            let is_end = entry.is_none();
            block.extend(entry.flatten());
            if block.len() >= PROBED_ENTRIES || is_end {
                if stop.load(Ordering::Relaxed) {
                    return Err(StoreError::Closed);
                }
                older_elsewhere(&mut block, &self.others);
                written += block.len();
                for entry in block.drain(..) {
                    keys.push(&entry)?;
                }
            }
            if is_end {
                return Ok(written);
            }
        }
    }

    /// The newest word on the next key in all inputs, by where its row went; the inner `None` if it is
    /// of a dead row, the outer one at the end.
    fn next_word(&self, moves: &[Moves], next: &mut [usize]) -> Option<Option<KeyEntry>> {
        let mut lowest = None;
        for (live, next) in self.inputs.iter().zip(next.iter()) {
            if *next < live.segment.keys.len() {
                let fingerprint = live.segment.keys.fingerprint(*next);
                lowest = Some(lowest.map_or(fingerprint, |lowest: u128| lowest.min(fingerprint)));
            }
        }
        let lowest = lowest?;
        let mut newest: Option<(usize, KeyEntry)> = None;
        let mut overrides = false;
        for (input, (live, next)) in self.inputs.iter().zip(next.iter_mut()).enumerate() {
            let keys = &live.segment.keys;
            if *next == keys.len() || keys.fingerprint(*next) != lowest {
                continue;
            }
            let entry = keys.entry(*next);
            *next += 1;
            overrides |= entry.place.is_overriding();
            if newest.is_none_or(|(_, newest)| newest.sequence < entry.sequence) {
                newest = Some((input, entry));
            }
        }
        let (input, entry) = newest?;
        let place = match entry.place {
            EntryPlace::Tombstone => EntryPlace::Tombstone,
            EntryPlace::Row { row, .. } => match moves[input].to.get(row as usize) {
                Some(&to) if to != NOWHERE => EntryPlace::Row { row: to, overrides },
                _ => return Some(None),
            },
        };
        Some(Some(KeyEntry { place, ..entry }))
    }
}

/// Where the rows of one input went.
struct Moves {
    dead: Arc<RoaringBitmap>,
    to: Vec<u32>,
    /// The next row that is alive, or past the end.
    next: usize,
}

impl Moves {
    fn new(live: &LiveSegment) -> Self {
        let rows = live.segment.descriptor.rows as usize;
        let mut moves = Self { dead: live.dead.clone(), to: vec![NOWHERE; rows], next: 0 };
        moves.skip_dead();
        moves
    }

    fn skip_dead(&mut self) {
        let is_dead = |next: usize| u32::try_from(next).is_ok_and(|row| self.dead.contains(row));
        while self.next < self.to.len() && is_dead(self.next) {
            self.next += 1;
        }
    }

    /// The next live row goes here.
    fn push(&mut self, to: u32) {
        if let Some(place) = self.to.get_mut(self.next) {
            *place = to;
        }
        self.next += 1;
        self.skip_dead();
    }
}
