//! The rows of a table by the day of which they are, kept beside them: a tally that goes on from an earlier moment finds
//! what has come to exist since without a look at all the rest.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::TimestampMicrosecondType;
use datafusion::common::{DataFusionError, Result};
use ebbtide_model::Instant;
use ebbtide_store::{ColumnRef, NO_TIME, Part, PartIdentity};

use super::codes::{Origin, from_store, identities};
use super::lookup::Lookups;
use super::source::Source;

/// Periods beyond so many for each row are joined, so that times far apart take no memory.
const PERIODS_PER_ROW: i64 = 2;
const PERIODS_MIN: i64 = 1_024;

/// The times of a column's rows, part by part; [`NO_TIME`] where there is none.
#[derive(Debug)]
pub(super) struct Times {
    of: Vec<PartIdentity>,
    pub(super) all: Vec<i64>,
}

/// By part of a table, its rows by when they came to exist.
#[derive(Debug)]
pub(super) struct Days {
    of: Vec<PartIdentity>,
    /// Of the parents without which they do not exist.
    of_parents: Vec<PartIdentity>,
    parts: Vec<ByDay>,
}

/// Rows by the period that a time of theirs is in; those without one are in none.
#[derive(Debug)]
struct ByDay {
    first: i64,
    period: i64,
    /// By period, where its rows begin; then where the last ones end.
    starts: Vec<u32>,
    /// Ascending within a period.
    rows: Vec<u32>,
}

impl Origin {
    /// The times of all rows by a column.
    pub(super) fn times(&self, column: usize) -> Result<Arc<Times>> {
        let name = &self.table().name;
        let what = format!("times by {column}");
        let of = identities(self.parts());
        let known = || {
            let known: Option<Arc<Times>> =
                self.snapshot.derived(&self.scope, name, &what).map_err(from_store)?;
            Ok(known.filter(|known| known.of == of))
        };
        let make = || {
            let mut all = Vec::with_capacity(self.parts().iter().map(Part::rows_max).sum());
            for part in self.parts() {
                read_times(part, column, &mut all)?;
            }
            let made = Arc::new(Times { of: of.clone(), all });
            let bytes = size_of_val(&*made.all);
            self.snapshot.keep_derived(&self.scope, name, &what, &made, bytes).map_err(from_store)?;
            Ok(made)
        };
        self.made_once(&what, known, make)
    }
}

fn read_times(part: &Part, column: usize, into: &mut Vec<i64>) -> Result<()> {
    for batch in part.scan(&[ColumnRef::Declared(column)]).map_err(from_store)? {
        let batch = batch.map_err(from_store)?;
        let times = batch.column(0).as_primitive_opt::<TimestampMicrosecondType>();
        let times = times.ok_or_else(|| DataFusionError::Internal("a time is no instant".to_owned()))?;
        if times.null_count() == 0 {
            into.extend_from_slice(times.values());
        } else {
            into.extend(times.iter().map(|time| time.unwrap_or(NO_TIME)));
        }
    }
    Ok(())
}

impl Days {
    /// Of the rows of a source, each of which exists from its own time on and from that of its parent.
    pub(super) fn of(source: &Source, lookups: &Lookups) -> Result<Arc<Self>> {
        let origin = &source.rows.origin;
        let (name, of) = (&origin.table().name, identities(origin.parts()));
        let parent = source.parent.as_ref();
        let of_parents = parent.map(|parent| identities(parent.rows.origin.parts())).unwrap_or_default();
        let what = match parent {
            None => "days".to_owned(),
            Some(parent) => format!("days with {}", parent.rows.origin.table().name),
        };
        let known = || {
            let known: Option<Arc<Self>> =
                origin.snapshot.derived(&origin.scope, name, &what).map_err(from_store)?;
            Ok(known.filter(|known| known.of == of && known.of_parents == of_parents))
        };
        let make = || {
            let mut parts = Vec::with_capacity(of.len());
            for (place, part) in origin.parts().iter().enumerate() {
                let mut times = Vec::with_capacity(part.rows_max());
                if let Some((time, _)) = source.rows.time {
                    read_times(part, time.index, &mut times)?;
                }
                lookups.delay_by_parents(place, &mut times);
                parts.push(ByDay::new(&times));
            }
            let made = Arc::new(Self { of: of.clone(), of_parents: of_parents.clone(), parts });
            let bytes = made.parts.iter().map(ByDay::bytes).sum();
            origin.snapshot.keep_derived(&origin.scope, name, &what, &made, bytes).map_err(from_store)?;
            Ok(made)
        };
        origin.made_once(&what, known, make)
    }

    /// Those of a part's rows that have come to exist after one time and up to another, and perhaps some more; ascending.
    pub(super) fn rows(&self, part: usize, after: i64, until: i64) -> Vec<u32> {
        self.parts.get(part).map(|days| days.rows(after, until)).unwrap_or_default()
    }
}

impl ByDay {
    fn new(times: &[i64]) -> Self {
        let there = || times.iter().copied().filter(|time| *time != NO_TIME);
        let (Some(first), Some(last)) = (there().min(), there().max()) else {
            return Self { first: 0, period: 1, starts: vec![0], rows: Vec::new() };
        };
        let first = first.div_euclid(Instant::MICROS_PER_DAY).saturating_mul(Instant::MICROS_PER_DAY);
        let span = last.saturating_sub(first);
        let rows = i64::try_from(times.len()).unwrap_or(i64::MAX);
        let periods_max = rows.saturating_mul(PERIODS_PER_ROW).max(PERIODS_MIN);
        let period = Instant::MICROS_PER_DAY.max(span / periods_max + 1);
        let mut days = Self { first, period, starts: Vec::new(), rows: Vec::new() };
        let mut starts = vec![0_u32; days.place(last) + 2];
        there().for_each(|time| starts[days.place(time) + 1] += 1);
        for place in 1..starts.len() {
            starts[place] += starts[place - 1];
        }
        days.rows = vec![0; there().count()];
        let mut next = starts.clone();
        for (row, time) in (0_u32..).zip(times).filter(|(_, time)| **time != NO_TIME) {
            let next = &mut next[days.place(*time)];
            days.rows[*next as usize] = row;
            *next += 1;
        }
        days.starts = starts;
        days
    }

    /// The period of a time that is not before the first.
    fn place(&self, time: i64) -> usize {
        usize::try_from(time.saturating_sub(self.first) / self.period).unwrap_or(0)
    }

    fn rows(&self, after: i64, until: i64) -> Vec<u32> {
        let since = after.saturating_add(1).max(self.first);
        if until < since || self.rows.is_empty() {
            return Vec::new();
        }
        let periods = self.starts.len() - 1;
        let (start, end) = (self.place(since).min(periods), (self.place(until) + 1).min(periods));
        let rows = &self.rows[self.starts[start] as usize..self.starts[end] as usize];
        let mut rows = rows.to_vec();
        if end - start > 1 {
            rows.sort_unstable();
        }
        rows
    }

    fn bytes(&self) -> usize {
        (self.starts.len() + self.rows.len()) * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = Instant::MICROS_PER_DAY;

    #[test]
    fn rows_of_some_days_are_found_among_others_and_those_without_a_time_are_not() {
        let times = [3 * DAY, NO_TIME, 5 * DAY - 1, 4 * DAY, 3 * DAY + 7, -1, 400 * DAY];
        let days = ByDay::new(&times);
        let check = |after: i64, until: i64, want: &[u32]| assert_eq!(days.rows(after, until), want);
        check(i64::MIN, i64::MAX, &[0, 2, 3, 4, 5, 6]);
        check(3 * DAY - 1, 4 * DAY - 1, &[0, 4]);
        check(3 * DAY + 3, 4 * DAY, &[0, 2, 3, 4]);
        check(i64::MIN, -DAY - 1, &[]);
        check(-DAY, -1, &[5]);
        check(400 * DAY, i64::MAX, &[6]);
        check(7 * DAY, 300 * DAY, &[]);
        check(9, 8, &[]);
        assert!(ByDay::new(&[NO_TIME]).rows(i64::MIN, i64::MAX).is_empty());
        assert!(ByDay::new(&[]).rows(i64::MIN, i64::MAX).is_empty());
    }

    #[test]
    fn times_far_apart_are_found_in_longer_periods() {
        let times = [i64::MIN + 1, 0, 1, i64::MAX];
        let days = ByDay::new(&times);
        assert!(days.starts.len() < 2_000_000 && days.bytes() < 1 << 20);
        for (row, time) in (0..).zip(times) {
            assert!(days.rows(time.saturating_sub(1), time).contains(&row), "{time}");
        }
    }
}
