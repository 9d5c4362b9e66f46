//! Which rows of a table a tally takes: those that exist at its moment, or that have come to exist since an
//! earlier one.

use arrow::array::RecordBatch;
use datafusion::common::Result;
use ebbtide_store::Part;

use super::lookup::{Columns, Kept, Lookups};
use super::source::Source;
use crate::sql::time_range::{Overlap, TimeColumn, TimeRange};

/// The last times of rows that exist, where tables have a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) own: Option<i64>,
    pub(super) parent: Option<i64>,
}

impl Ends {
    pub(super) fn of(source: &Source) -> Self {
        let end = |time: Option<(TimeColumn, TimeRange)>| time.map(|(_, range)| range.end());
        Self {
            own: end(source.rows.time),
            parent: source.parent.as_ref().and_then(|parent| end(parent.rows.time)),
        }
    }

    /// Whether all that exists at these exists at the others, too.
    pub(super) fn are_within(self, others: Self) -> bool {
        let is_within = |end: Option<i64>, other: Option<i64>| match (end, other) {
            (Some(end), Some(other)) => end <= other,
            (end, other) => end == other,
        };
        is_within(self.own, others.own) && is_within(self.parent, others.parent)
    }
}

/// The rows that exist at some moment.
pub(super) struct Existing {
    time: Option<(TimeColumn, TimeRange)>,
    /// Where they have to have a parent, that they do.
    parent: Option<Kept>,
}

impl Existing {
    pub(super) fn at(ends: Ends, source: &Source, lookups: &Lookups) -> Result<Self> {
        let ended = |time: Option<(TimeColumn, TimeRange)>, end: Option<i64>| {
            time.map(|(column, range)| (column, end.map_or(range, |end| range.ended(end))))
        };
        let parent = source.parent.as_ref();
        let parent_time = parent.and_then(|parent| ended(parent.rows.time, ends.parent));
        Ok(Self {
            time: ended(source.rows.time, ends.own),
            parent: parent.map(|_| lookups.with_parent(parent_time)).transpose()?.flatten(),
        })
    }

    /// Unmarks rows that do not exist.
    fn mark(&self, read: &Read<'_>, mask: &mut [bool]) -> Result<()> {
        if let Some((time, range)) = self.time
            && let Some(place) = read.columns.place(time.index)
        {
            range.mark(read.batch.column(place), mask)?;
        }
        if let Some(parent) = &self.parent {
            parent.mark(read.here, mask);
        }
        Ok(())
    }
}

/// A batch of the table's rows, as it was read.
pub(super) struct Read<'b> {
    pub(super) batch: &'b RecordBatch,
    pub(super) columns: &'b Columns,
    /// Its part, and where it begins in it.
    pub(super) here: (usize, usize),
}

/// Rows that exist, but for those that were there before.
pub(super) struct Taking {
    existing: Existing,
    before: Option<Existing>,
}

impl Taking {
    pub(super) fn new(existing: Existing, before: Option<Existing>) -> Self {
        Self { existing, before }
    }

    /// Whether some of a part's rows may be taken.
    pub(super) fn may_have(&self, part: &Part) -> bool {
        let Some((column, range)) = self.existing.time else { return !self.is_nothing() };
        let time = part.time_range();
        if range.overlap(time, column) == Overlap::Nowhere {
            return false;
        }
        match &self.before {
            Some(before) if before.has_the_parents_of(&self.existing) => {
                let since = before.time.map_or(range, |(_, before)| range.after(before.end()));
                since.overlap(time, column) != Overlap::Nowhere
            }
            Some(_) | None => true,
        }
    }

    /// Whether nothing has come since.
    fn is_nothing(&self) -> bool {
        self.before.as_ref().is_some_and(|before| before.has_the_parents_of(&self.existing))
    }

    /// By row of a batch, whether it is taken.
    pub(super) fn mask(&self, read: &Read<'_>) -> Result<Vec<bool>> {
        let mut mask = vec![true; read.batch.num_rows()];
        self.existing.mark(read, &mut mask)?;
        if let Some(before) = &self.before {
            let mut were_there = vec![true; mask.len()];
            before.mark(read, &mut were_there)?;
            mask.iter_mut().zip(were_there).for_each(|(taken, was_there)| *taken &= !was_there);
        }
        Ok(mask)
    }
}

impl Existing {
    fn has_the_parents_of(&self, other: &Self) -> bool {
        match (&self.parent, &other.parent) {
            (Some(own), Some(other)) => own.is_kept == other.is_kept,
            (own, other) => own.is_none() && other.is_none(),
        }
    }
}

/// The places that are marked.
pub(super) fn places(mask: &[bool]) -> Vec<u32> {
    let mut places = vec![0; mask.len()];
    let mut count = 0;
    for (place, marked) in (0_u32..).zip(mask) {
        // Without a branch: which rows are marked is not to be guessed.
        if let Some(next) = places.get_mut(count) {
            *next = place;
        }
        count += usize::from(*marked);
    }
    places.truncate(count);
    places
}
