//! Which rows of a table a tally takes: those that exist at its moment, or that have come to exist since an
//! earlier one.

use arrow::array::{RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{concat_batches, take};
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use ebbtide_store::Part;

use super::lookup::{Columns, Lookups, WithParent};
use super::source::{Scanned, Source};
use super::standing::last_time;
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

    /// The earliest of them.
    pub(super) fn first(self) -> i64 {
        self.own.into_iter().chain(self.parent).min().unwrap_or(i64::MIN)
    }

    /// The latest of them.
    pub(super) fn last(self) -> i64 {
        self.own.into_iter().chain(self.parent).max().unwrap_or(i64::MAX)
    }

    /// The same so many microseconds before.
    pub(super) fn earlier_by(self, micros: i64) -> Self {
        let earlier = |end: i64| end.saturating_sub(micros);
        Self { own: self.own.map(earlier), parent: self.parent.map(earlier) }
    }

    /// Whether no row of a source comes to exist after these.
    pub(super) fn are_after_all(self, source: &Source) -> bool {
        let is_after = |end: Option<i64>, rows: &Scanned| {
            end.zip(last_time(&rows.origin)).is_some_and(|(end, last)| last <= end)
        };
        let has_no_time = |rows: &Scanned| rows.time.is_none();
        let is_over = |end: Option<i64>, rows: &Scanned| has_no_time(rows) || is_after(end, rows);
        is_over(self.own, &source.rows)
            && source.parent.as_ref().is_none_or(|parent| is_over(self.parent, &parent.rows))
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
    parent: Option<WithParent>,
}

impl Existing {
    pub(super) fn at(ends: Ends, source: &Source, lookups: &Lookups) -> Self {
        let ended = |(column, range): (TimeColumn, TimeRange), end: Option<i64>| {
            (column, end.map_or(range, |end| range.ended(end)))
        };
        let parent_time = source.parent.as_ref().and_then(|parent| parent.rows.time);
        let parent_range = parent_time.map(|time| ended(time, ends.parent).1);
        Self {
            time: source.rows.time.map(|time| ended(time, ends.own)),
            parent: lookups.with_parent(parent_range),
        }
    }

    /// Whether some of a part's rows may be among them.
    pub(super) fn may_have(&self, part: &Part) -> bool {
        self.time.is_none_or(|(column, range)| range.overlap(part.time_range(), column) != Overlap::Nowhere)
    }

    /// Unmarks rows that do not exist.
    pub(super) fn mark(&self, read: &Read<'_>, mask: &mut [bool]) -> Result<()> {
        if let Some((time, range)) = self.time
            && let Some(place) = read.columns.place(time.index)
        {
            range.mark(read.batch.column(place), mask)?;
        }
        if let Some(parent) = &self.parent {
            match read.rows {
                Rows::From(from) => parent.mark((read.part, from), mask),
                Rows::At(rows) => {
                    let rows = mask.iter_mut().zip(rows);
                    rows.for_each(|(marked, row)| *marked &= parent.holds(read.part, *row as usize));
                }
            }
        }
        Ok(())
    }
}

/// A batch of the table's rows, as it was read.
pub(super) struct Read<'b> {
    pub(super) batch: &'b RecordBatch,
    pub(super) columns: &'b Columns,
    pub(super) part: usize,
    /// Which of the part's rows they are.
    pub(super) rows: Rows<'b>,
}

#[derive(Clone, Copy)]
pub(super) enum Rows<'b> {
    /// One after the other from this one on.
    From(usize),
    At(&'b [u32]),
}

impl Rows<'_> {
    /// Which row of the part is at a place of what was read.
    pub(super) fn at(self, place: u32) -> usize {
        match self {
            Self::From(from) => from + place as usize,
            Self::At(rows) => rows.get(place as usize).map_or(usize::MAX, |row| *row as usize),
        }
    }
}

/// Rows in a batch of gathered ones, about.
const GATHERED_ROWS: usize = 65_536;

/// Brings together some rows of a part, which is read in order.
pub(super) struct Gathering<'r> {
    /// Those that are still to come.
    rows: &'r [u32],
    /// How many rows were read.
    read: usize,
    found: Vec<RecordBatch>,
    found_rows: Vec<u32>,
}

impl<'r> Gathering<'r> {
    /// They ascend.
    pub(super) fn of(rows: &'r [u32]) -> Self {
        Self { rows, read: 0, found: Vec::new(), found_rows: Vec::new() }
    }

    /// Whether all were found.
    pub(super) fn is_over(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn is_enough(&self) -> bool {
        self.found_rows.len() >= GATHERED_ROWS
    }

    /// Takes the part's next batch.
    pub(super) fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let (from, end) = (self.read, self.read + batch.num_rows());
        let count = self.rows.partition_point(|row| (*row as usize) < end);
        let (own, rest) = self.rows.split_at(count);
        (self.rows, self.read) = (rest, end);
        if !own.is_empty() {
            let from = u32::try_from(from).unwrap_or(u32::MAX);
            let places: Vec<u32> = own.iter().map(|row| row - from).collect();
            self.found.push(taken(batch, &places)?);
            self.found_rows.extend_from_slice(own);
        }
        Ok(())
    }

    /// What was found since this was last asked for, and which of the part's rows they are.
    pub(super) fn gathered(&mut self, schema: &SchemaRef) -> Result<(RecordBatch, Vec<u32>)> {
        let (found, rows) = (std::mem::take(&mut self.found), std::mem::take(&mut self.found_rows));
        match &found[..] {
            [batch] => Ok((batch.clone(), rows)),
            found => Ok((concat_batches(schema, found)?, rows)),
        }
    }
}

/// Those of a batch's rows.
pub(super) fn taken(batch: &RecordBatch, places: &[u32]) -> Result<RecordBatch> {
    if places.len() == batch.num_rows() {
        return Ok(batch.clone());
    }
    let places = UInt32Array::from(places.to_vec());
    let columns = batch.columns().iter().map(|column| take(column, &places, None));
    let options = RecordBatchOptions::new().with_row_count(Some(places.len()));
    Ok(RecordBatch::try_new_with_options(batch.schema(), columns.collect::<Result<_, _>>()?, &options)?)
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
