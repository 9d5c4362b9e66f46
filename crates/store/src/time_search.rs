//! The first time of a scope's rows that is later than another: by what segments and their row groups say
//! of their times, and by the rows themselves where that leaves it open.

use std::ops::Range;

use arrow::array::AsArray;
use arrow::datatypes::{FieldRef, TimestampMicrosecondType};

use crate::StoreError;
use crate::scan::Scan;
use crate::segment::{LiveSegment, TimedRows};

/// Row groups that are read; the others count by their statistics.
const GROUPS_READ_MAX: usize = 16;

/// In microseconds.
#[derive(Debug)]
pub(crate) struct TimeSearch {
    after: i64,
    found: Option<i64>,
    groups_read: usize,
}

impl TimeSearch {
    pub(crate) fn new(after: i64) -> Self {
        Self { after, found: None, groups_read: 0 }
    }

    pub(crate) fn found(&self) -> Option<i64> {
        self.found
    }

    fn add(&mut self, time: i64) {
        if time > self.after && self.found.is_none_or(|found| time < found) {
            self.found = Some(time);
        }
    }

    /// Rows of which nothing is known but their time column.
    pub(crate) fn read(&mut self, scan: Scan) -> Result<(), StoreError> {
        for batch in scan {
            let batch = batch?;
            let times = batch.column(0).as_primitive::<TimestampMicrosecondType>();
            times.iter().flatten().for_each(|time| self.add(time));
        }
        Ok(())
    }

    pub(crate) fn segment(
        &mut self,
        live: &LiveSegment,
        rows: &Range<u32>,
        time: &FieldRef,
    ) -> Result<(), StoreError> {
        if live.segment.descriptor.times.is_none_or(|(_, last)| last <= self.after) {
            return Ok(());
        }
        let mut groups = live.segment.times_of(rows, time.name())?;
        // The most promising first: what it has may spare the others.
        groups.sort_by_key(|group| group.times.map_or(i64::MIN, |(first, _)| first));
        for TimedRows { rows, times, .. } in groups {
            let first = match times {
                Some((_, last)) if last <= self.after => continue,
                Some((first, _)) => first.max(self.after.saturating_add(1)),
                None => self.after.saturating_add(1),
            };
            if self.found.is_some_and(|found| found <= first) {
                continue;
            }
            if self.groups_read == GROUPS_READ_MAX {
                self.add(first);
                continue;
            }
            self.groups_read += 1;
            self.read(Scan::segment(live, rows, std::slice::from_ref(time), None)?)?;
        }
        Ok(())
    }
}
