//! Reading the rows of a segment from its spine, and where they can be cut.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::BooleanBuffer;
use roaring::RoaringBitmap;

use super::blocks::Damage;
use super::spine::Spine;
use super::{LiveSegment, SpineActor, SpineRows};
use crate::StoreError;

/// A place where the rows of a spine could be cut.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpineCut {
    pub tenant: Arc<str>,
    /// Whose rows come first after it.
    pub actor: SpineActor,
    /// How many rows lie between it and the cut before it.
    pub rows: u32,
}

/// Rows of a segment, group by group, from its spine.
#[derive(Debug)]
pub struct SpineScan {
    live: LiveSegment,
    spine: Arc<Spine>,
    rows: Range<u32>,
    /// Those that are still to come.
    groups: Range<usize>,
}

impl SpineScan {
    pub(super) fn new(live: LiveSegment, spine: Arc<Spine>, rows: Range<u32>) -> Self {
        Self { live, groups: spine.groups(&rows), spine, rows }
    }

    /// The names that codes are of, in no order.
    pub fn names(&self) -> Arc<[Box<str>]> {
        self.spine.names()
    }

    /// Where its rows could be cut, about so many rows apart: whose rows come first after each cut, and how
    /// many lie between it and the one before.
    pub fn cuts(&self, apart: u32) -> Result<Vec<SpineCut>, StoreError> {
        let mut cuts = Vec::new();
        let mut last = self.rows.start;
        let mut next = last.saturating_add(apart.max(1));
        while next < self.rows.end {
            let found = self.trusted(self.spine.next_run(next))?;
            if let Some((row, actor)) = found.filter(|(row, _)| *row < self.rows.end)
                && let Some((tenant, _)) = self.live.segment.directory.within(&(row..row + 1)).pop()
            {
                cuts.push(SpineCut { tenant, actor, rows: row - last });
                last = row;
                next = next.max(row);
            }
            next = next.saturating_add(apart.max(1));
        }
        Ok(cuts)
    }

    /// The rows from the first on that are not below this actor of this tenant, counted in the segment.
    pub fn seek(&self, tenant: &str, actor: &SpineActor) -> Result<u32, StoreError> {
        let mut place = self.rows.start;
        for (name, own) in self.live.segment.directory.of(None) {
            let own = own.start.max(self.rows.start)..own.end.min(self.rows.end);
            if own.is_empty() || **name < *tenant {
                place = place.max(own.end.min(self.rows.end));
                continue;
            }
            return if **name == *tenant {
                self.trusted(self.spine.seek(&own, actor))
            } else {
                Ok(own.start)
            };
        }
        Ok(place)
    }

    fn trusted<T>(&self, read: Result<T, Damage>) -> Result<T, StoreError> {
        if let Err(damage) = &read {
            self.live.segment.distrust_spine(damage.clone());
        }
        Ok(read?)
    }
}

impl Iterator for SpineScan {
    type Item = Result<SpineRows, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let group = self.groups.next()?;
        let read = self.trusted(self.spine.read(group, &self.rows));
        Some(read.map(|mut found| {
            found.tenants = self.live.segment.directory.within(&found.rows);
            found.alive = alive(&self.live.dead, &found.rows);
            found
        }))
    }
}

/// Which of these rows are not dead; `None` where none is.
fn alive(dead: &RoaringBitmap, rows: &Range<u32>) -> Option<BooleanBuffer> {
    if dead.range_cardinality(rows.clone()) == 0 {
        return None;
    }
    let mut alive = BooleanBufferBuilder::new(rows.len());
    alive.append_n(rows.len(), true);
    for row in dead.range(rows.clone()) {
        alive.set_bit((row - rows.start) as usize, false);
    }
    Some(alive.finish())
}
