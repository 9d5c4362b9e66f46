//! The buckets that a query asks about, in microseconds.

use ebbtide_model::query::{BoundQuery, Interval, TREND_BUCKETS_MAX};
use ebbtide_model::{Calendar, Fault, Instant, Unit};

use super::load::Times;

/// Buckets where `from` is not given and one is needed.
const BUCKETS_DEFAULT: i64 = 30;

/// Buckets in a row.
#[derive(Debug)]
pub(crate) struct Span {
    /// Starts of the buckets and the end of the last one, in microseconds. The first is where counting
    /// starts, which may be inside its calendar period.
    pub(crate) bounds: Vec<i64>,
    /// Starts of the calendar periods; `None` where the interval is all of history.
    pub(crate) starts: Vec<Option<Instant>>,
}

impl Span {
    /// The buckets that the query asks about.
    pub(crate) fn asked(query: &BoundQuery, interval: Interval, as_of: Instant) -> Result<Self, Fault> {
        // Up to as_of means with it.
        let after = Instant::from_micros(as_of.micros().saturating_add(1));
        let to = query.to.unwrap_or(after);
        let calendar = &query.calendar;
        let Interval::Unit(unit) = interval else {
            let first = query.from.map_or(i64::MIN, Instant::micros);
            return Ok(Self { starts: vec![query.from], bounds: vec![first, to.micros().max(first)] });
        };
        let last = Instant::from_micros(to.micros().saturating_sub(1));
        let from = query.from.unwrap_or_else(|| calendar.advance(unit, last, 1 - BUCKETS_DEFAULT));
        let found = calendar.boundaries(unit, from, to, TREND_BUCKETS_MAX).ok_or_else(|| {
            let problem = format!(
                "{from} was given; from there to {to} there are more than {TREND_BUCKETS_MAX} buckets, the limit"
            );
            Fault { path: "from".to_owned(), problem }
        })?;
        let starts = found[..found.len().saturating_sub(1)].iter().copied().map(Some).collect();
        let clip = |bound: Instant| bound.clamp(from, to.max(from)).micros();
        Ok(Self { starts, bounds: found.into_iter().map(clip).collect() })
    }

    /// As many buckets directly before, of which the first and the last are as far in as these are.
    pub(crate) fn previous(&self, calendar: &Calendar, interval: Interval) -> Self {
        let (Some(first), Some(end)) = (self.bounds.first().copied(), self.bounds.last().copied()) else {
            return Self { bounds: Vec::new(), starts: Vec::new() };
        };
        let Interval::Unit(unit) = interval else {
            let from = first.saturating_sub(end.saturating_sub(first));
            return Self { bounds: vec![from, first], starts: vec![Some(Instant::from_micros(from))] };
        };
        let back = i64::try_from(self.buckets()).unwrap_or(i64::MAX);
        let own: Vec<Instant> = self.starts.iter().copied().flatten().collect();
        let starts: Vec<Instant> = own.iter().map(|start| calendar.advance(unit, *start, -back)).collect();
        let mut bounds: Vec<i64> = starts.iter().map(|start| start.micros()).collect();
        if let (Some(own_first), Some(first_start)) = (own.first(), starts.first()) {
            let next = calendar.advance(unit, *first_start, 1).micros();
            bounds[0] = first_start.micros().saturating_add(first - own_first.micros()).min(next);
        }
        if let (Some(own_last), Some(last_start)) = (own.last(), starts.last()) {
            let next = calendar.advance(unit, *last_start, 1).micros();
            let whole = end == calendar.advance(unit, *own_last, 1).micros();
            let elapsed = last_start.micros().saturating_add(end - own_last.micros());
            bounds.push(if whole { next } else { elapsed.min(next) });
        }
        Self { bounds, starts: starts.into_iter().map(Some).collect() }
    }

    pub(crate) fn times(&self, as_of: Instant) -> Times {
        let first = self.bounds.first().copied().unwrap_or(i64::MAX);
        let end = self.bounds.last().copied().unwrap_or(i64::MIN);
        Times { since: vec![first], until: as_of.micros().min(end.saturating_sub(1)) }
    }

    pub(crate) fn buckets(&self) -> usize {
        self.bounds.len().saturating_sub(1)
    }

    /// The calendar periods that meet the range, whole.
    pub(crate) fn whole(query: &BoundQuery, unit: Unit, as_of: Instant) -> Result<Self, Fault> {
        let mut span = Self::asked(query, Interval::Unit(unit), as_of)?;
        let starts = span.starts.iter().copied().flatten();
        span.bounds = starts.clone().map(Instant::micros).collect();
        span.bounds.extend(starts.last().map(|last| query.calendar.advance(unit, last, 1).micros()));
        Ok(span)
    }

    /// Each so many buckets made one; the last may be of fewer.
    pub(crate) fn joined(self, count: usize) -> Self {
        let end = self.bounds.last().copied();
        let mut bounds: Vec<i64> = self.bounds.iter().take(self.buckets()).step_by(count).copied().collect();
        bounds.extend(end);
        Self { bounds, starts: self.starts.into_iter().step_by(count).collect() }
    }

    /// The bucket of a time that is inside the span; found at once where it is that of the hint or the next.
    pub(crate) fn bucket_of(&self, time: i64, hint: usize) -> usize {
        let inside = |bucket: usize| {
            bucket < self.buckets() && self.bounds[bucket] <= time && time < self.bounds[bucket + 1]
        };
        if inside(hint) {
            return hint;
        }
        if inside(hint + 1) {
            return hint + 1;
        }
        let after = self.bounds.partition_point(|bound| *bound <= time);
        after.saturating_sub(1).min(self.buckets().saturating_sub(1))
    }

    /// Whether each bucket has ended.
    pub(crate) fn complete(&self, as_of: Instant) -> Vec<bool> {
        self.bounds.iter().skip(1).map(|end| *end <= as_of.micros()).collect()
    }
}
