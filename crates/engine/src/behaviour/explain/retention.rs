//! A retention explained: in which row and cells each event counts.

use ebbtide_model::query::{BoundQuery, Cohorts, Kind, Query, Retention};
use ebbtide_model::{Calendar, Instant};
use serde_json::{Map, Value as Json, json};

use super::record::{Recorded, Seen};
use super::{Elsewhere, Explained, Rule, Verdict, elsewhere};
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
        let reading =
            Reading { retention, fold: &fold, rows: &rows, result, first_start, events: &recorded.events };
        let rule = match rows.as_slice() {
            [] => Rule::new("in_no_row", "It has no start event that puts it in a row."),
            rows => Rule::new("in_rows", format!("Its start events put it in {} of the rows.", rows.len())),
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
            let why = match (same, variant.differences.as_slice()) {
                (_, []) => "The rules are the same for this question.".to_owned(),
                (true, told) => format!("The same for this actor; in general {}.", told.join("; ")),
                (false, told) => format!("It reads otherwise, since {}.", told.join("; ")),
            };
            found.push(Elsewhere { engine: variant.engine, rules: variant.rules, reads, same, why });
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
            let from = Instant::from_micros(self.fold.bounds[row]);
            return Rule::new(
                "starts_row",
                format!("It is a start event in the period from {from} on, row {row}."),
            );
        }
        if in_cells {
            return Rule::new(
                "returns",
                "It is a return event in a later period of a row that the actor is in.",
            );
        }
        let before_first = start && self.retention.cohorts == Cohorts::FirstTime;
        if before_first && self.first_start.is_some_and(|first| first < seen.time) {
            return Rule::new(
                "not_first_start",
                "It is a start event, but not the actor's first of all history.",
            );
        }
        if self.period(seen.time).is_none() && self.fold.rolling.is_none() {
            return Rule::new("outside_range", "It lies outside of the periods that the query asks about.");
        }
        if self.rows.is_empty() {
            return Rule::new("in_no_row", "It is a return event of an actor who is in no row.");
        }
        if self.retention.min_occurrences > 1 {
            return Rule::new("too_few", "There are fewer return events in its period than the query wants.");
        }
        Rule::new("no_cell", "No row that the actor is in has a cell for its period.")
    }
}
