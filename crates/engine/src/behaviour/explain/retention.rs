//! A retention explained: in which row and cells each event counts.

use ebbtide_model::query::{BoundQuery, Cohorts, Kind, Query, Retention};
use ebbtide_model::{Calendar, Instant};
use serde_json::{Map, Value as Json, json};

use super::record::{Recorded, Seen};
use super::words::{self, Rule};
use super::{Elsewhere, Explained, Verdict, elsewhere};
use crate::EngineError;
use crate::answer::{CohortCell, CohortRow, RetentionAnswer};
use crate::behaviour::ask::Asking;
use crate::behaviour::retention::RetentionFold;

impl Asking<'_> {
    pub(super) fn explain_retention(
        &self,
        retention: &Retention,
        result: &RetentionAnswer,
        recorded: &Recorded,
    ) -> Result<Explained, EngineError> {
        let fold = RetentionFold::new(self.query, retention, self.as_of)?;
        let rows: Vec<usize> = (0..result.all.rows.len())
            .filter(|row| result.all.rows[*row].size.is_some_and(|size| size > 0))
            .collect();
        let is_start = |seen: &&Seen| seen.has(BoundQuery::START, 0);
        let first_start = recorded.events.iter().find(is_start).map(|seen| seen.time);
        let reading = Reading {
            retention,
            fold: &fold,
            calendar: &self.query.calendar,
            rows: &rows,
            result,
            first_start,
            events: &recorded.events,
        };
        let rule = match rows.as_slice() {
            [] => Rule::new(words::IN_NO_ROW),
            rows => Rule::new(words::IN_ROWS).with("rows", rows.len()),
        };
        Ok(Explained {
            rule,
            events: recorded.events.iter().map(|seen| reading.verdict(seen)).collect(),
            elsewhere: self.retention_elsewhere(retention, result)?,
        })
    }

    fn retention_elsewhere(
        &self,
        retention: &Retention,
        result: &RetentionAnswer,
    ) -> Result<Vec<Elsewhere>, EngineError> {
        let own = counts(result);
        let mut found = Vec::new();
        for variant in elsewhere::of_retention(retention, self.query.calendar.week_start()) {
            let mut query = self.query.clone();
            if let Some(week_start) = variant.week_start {
                query.calendar = Calendar::new(query.calendar.zone().clone(), week_start);
            }
            query.query = Query { kind: Kind::Retention(variant.retention.clone()), ..query.query };
            let reads = counts(&self.again(&query).retention(&variant.retention)?);
            let same = reads == own;
            let why = match (same, variant.differences.is_empty()) {
                (_, true) => elsewhere::SAME_RULES,
                (true, false) => elsewhere::SAME_HERE,
                (false, false) => elsewhere::OTHERWISE,
            };
            let differences = variant.differences;
            let why = Rule::new(why);
            found.push(Elsewhere {
                engine: variant.engine,
                rules: variant.rules,
                reads,
                same,
                why,
                differences,
            });
        }
        Ok(found)
    }
}

fn counts(result: &RetentionAnswer) -> Json {
    let row =
        |row: &CohortRow| row.cells.iter().map(|cell: &CohortCell| Json::from(cell.count)).collect::<Json>();
    result.all.rows.iter().map(row).collect()
}

struct Reading<'a> {
    retention: &'a Retention,
    fold: &'a RetentionFold,
    calendar: &'a Calendar,
    /// Those that the actor is in.
    rows: &'a [usize],
    result: &'a RetentionAnswer,
    first_start: Option<i64>,
    events: &'a [Seen],
}

impl Reading<'_> {
    /// The calendar period of a time, as a row.
    fn period(&self, time: i64) -> Option<usize> {
        let bounds = &self.fold.bounds;
        let after = bounds.partition_point(|bound| *bound <= time);
        (after > 0 && after < bounds.len()).then(|| after - 1)
    }

    fn verdict(&self, seen: &Seen) -> Verdict {
        let (start, returns) = (seen.has(BoundQuery::START, 0), seen.has(BoundQuery::RETURN, 0));
        let named = [(start, "start"), (returns, "return")];
        let period = self.period(seen.time);
        let starts_row = period.filter(|row| start && self.rows.contains(row));
        let cells: Vec<Json> = if returns { self.cells(seen.time, period) } else { Vec::new() };
        let mut counts_in = Map::new();
        counts_in.insert("row".to_owned(), Json::from(starts_row));
        counts_in.insert("cells".to_owned(), Json::from(cells.clone()));
        Verdict {
            matched: named.iter().filter(|(is, _)| *is).map(|(_, name)| (*name).to_owned()).collect(),
            counts_in,
            rule: self.rule(seen, start, starts_row, !cells.is_empty()),
        }
    }

    /// The cells that it is a return in, where they count the actor.
    fn cells(&self, time: i64, period: Option<usize>) -> Vec<Json> {
        let counted = |row: usize, column: usize| {
            let cell = self.result.all.rows.get(row).and_then(|row| row.cells.get(column));
            cell.and_then(|cell| cell.count).is_some_and(|count| count > 0)
        };
        let column = |row: usize| match self.fold.rolling {
            None => period.and_then(|period| period.checked_sub(row)),
            Some(length) => {
                let in_row =
                    |seen: &&Seen| seen.has(BoundQuery::START, 0) && self.period(seen.time) == Some(row);
                let begun = self.events.iter().find(in_row)?.time;
                let elapsed = time.checked_sub(begun).filter(|elapsed| *elapsed >= 0)?;
                usize::try_from(elapsed / length).ok()
            }
        };
        let of_row = |row: &usize| {
            let column = column(*row)?;
            counted(*row, column).then(|| json!([row, column]))
        };
        if time < self.fold.bounds[0] {
            return Vec::new();
        }
        self.rows.iter().filter_map(of_row).collect()
    }

    fn rule(&self, seen: &Seen, start: bool, row: Option<usize>, in_cells: bool) -> Rule {
        if let Some(row) = row {
            let start = Instant::from_micros(self.fold.bounds[row]);
            let start = self.calendar.label(self.retention.period, start);
            return Rule::new(words::STARTS_ROW).with("row", row).with("start", start);
        }
        let before_first = start && self.retention.cohorts == Cohorts::FirstTime;
        Rule::new(if in_cells {
            words::RETURNS
        } else if before_first && self.first_start.is_some_and(|first| first < seen.time) {
            words::NOT_FIRST_START
        } else if self.period(seen.time).is_none() && self.fold.rolling.is_none() {
            words::OUTSIDE_PERIODS
        } else if self.rows.is_empty() {
            words::RETURN_IN_NO_ROW
        } else if self.retention.min_occurrences > 1 {
            words::TOO_FEW
        } else {
            words::NO_CELL
        })
    }
}
