//! Segments of about one size become one: a streaming merge in bounded memory that leaves dead rows
//! behind. Readers of the old ones keep their bytes until they let go.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::rewrite::{PieceToWrite, Rewrite};
use crate::segment::{self, LiveSegment, Segment};
use crate::writer::{TableIndex, Writer};
use crate::{Settings, StoreError};

/// Segments with fewer rows than this are of one size.
const SMALLEST_ROWS: u64 = 4096;
/// Segments that are to become one.
#[derive(Debug)]
pub(crate) struct CompactionJob {
    pub(crate) table: TableIndex,
    rewrite: Rewrite,
    deaths_begun: usize,
}

impl CompactionJob {
    /// Writes the one segment, or none where nothing was worth keeping. Ends with
    /// [`StoreError::Closed`] once `stop` is set.
    pub(crate) fn run(&self, stop: &AtomicBool) -> Result<Vec<Segment>, StoreError> {
        self.rewrite.run(stop)
    }
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
        let rows = inputs.iter().map(|live: &LiveSegment| 0..live.segment.descriptor.rows).collect();
        let rewrite = Rewrite {
            fs: self.fs.clone(),
            info: table.info.clone(),
            inputs,
            others,
            pieces: vec![PieceToWrite { id, rows }],
        };
        Some(CompactionJob { table: index, rewrite, deaths_begun: table.deaths.begin() })
    }

    /// Puts the segment that a job has written in the place of those it merged.
    pub(crate) fn finish_compaction(
        &mut self,
        job: CompactionJob,
        written: Vec<Segment>,
    ) -> Result<(), StoreError> {
        self.check_not_failed()?;
        let table = &mut self.tables[job.table];
        let deaths = table.deaths.end(job.deaths_begun);
        let old: BTreeSet<u64> = job.rewrite.inputs.iter().map(|live| live.segment.descriptor.id).collect();
        table.segments.retain(|live| !old.contains(&live.segment.descriptor.id));
        for segment in written {
            table.install(Arc::new(segment), &deaths);
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
        job.rewrite.remove();
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
