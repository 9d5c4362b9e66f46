//! The same events from a spine: names are looked up once for each code, rows that no matcher wants cost
//! a load and a look, and nothing is read but runs, codes and times.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray};
use arrow::datatypes::Int32Type;
use ebbtide_model::query::EventSource;
use ebbtide_store::{NO_NAME, NO_TIME, Part, SpineColumns, SpineRows, StoreError};

use super::columns::Arrivals;
use super::joined::OfSource;
use super::key::{Key, KeyColumn};
use super::load::{Actors, Events, Loader, NO_CODE, shorten};
use crate::{EngineError, stop};

/// What the events of each code are to the query.
struct Codes {
    /// The bits of the matchers that want them.
    marks: Vec<u64>,
    /// In the events' groups and values, once there is one; empty where those are not asked for.
    groups: Vec<Option<u32>>,
    values: Vec<Option<u32>>,
}

/// What times matter.
struct Bounds {
    until: i64,
    /// No earlier event is marked at all.
    earliest: i64,
    /// From here on no matcher minds the time.
    open_from: i64,
}

impl Loader<'_> {
    /// The part's marked events, where its spine has all that the query asks of them.
    pub(super) fn load_spine(&self, part: &Part) -> Result<Option<Events>, EngineError> {
        let Some(columns) = self.spine.filter(|columns| self.is_enough(columns)) else { return Ok(None) };
        let Some(scan) = part.spine(&columns) else { return Ok(None) };
        let mut events = Events::default();
        let mut codes = None;
        for rows in scan {
            stop::check(self.interrupt)?;
            let rows = match rows {
                Ok(rows) => rows,
                // The store has told of it.
                Err(StoreError::Damaged(_)) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let codes = codes.get_or_insert_with(|| self.codes(&rows));
            self.append_spine(&rows, codes, &mut events)?;
        }
        Ok(Some(events))
    }

    /// Whether nothing is asked for but whose an event is, when it was, and what it is called.
    fn is_enough(&self, columns: &SpineColumns) -> bool {
        let EventSource { time, actor, filters, matchers, breakdown, value, number, .. } = self.source;
        let is_name = |column: usize| columns.name == Some(column);
        let matchers_fit = matchers.iter().all(|matcher| {
            matcher.filters.is_empty() && matcher.event.as_ref().is_none_or(|(column, _)| is_name(*column))
        });
        let actor_fits = self.actors == Actors::Ignored || *actor == Some(columns.actor);
        let breakdown_fits = match breakdown.as_slice() {
            [] => true,
            [column] => column.is_some_and(is_name),
            _ => false,
        };
        let is_small = number.is_none() && self.ties.is_empty() && self.arrivals == Arrivals::Unread;
        let value_fits = value.as_ref().is_none_or(|value| is_name(value.column));
        *time == columns.time
            && actor_fits
            && filters.is_empty()
            && matchers_fit
            && breakdown_fits
            && value_fits
            && is_small
    }

    fn codes(&self, rows: &SpineRows) -> Codes {
        let name = |code: usize| code.checked_sub(1).and_then(|place| rows.names.get(place));
        let marks = |code: usize| {
            let wanting = self.source.matchers.iter().filter(|matcher| match &matcher.event {
                None => true,
                Some((_, wanted)) => name(code).is_some_and(|name| **name == **wanted),
            });
            wanting.fold(0, |marks, matcher| marks | 1 << matcher.bit)
        };
        let count = rows.names.len() + 1;
        let of = |asked: bool| if asked { vec![None; count] } else { Vec::new() };
        Codes {
            marks: (0..count).map(marks).collect(),
            groups: of(!self.source.breakdown.is_empty()),
            values: of(self.source.value.is_some()),
        }
    }

    fn bounds(&self) -> Bounds {
        let since = |bit: u8| self.times.since.get(usize::from(bit)).copied().unwrap_or(i64::MIN);
        let all = || self.source.matchers.iter().map(|matcher| since(matcher.bit));
        Bounds {
            until: self.times.until,
            // Above the mark of an event without a time.
            earliest: all().min().unwrap_or(i64::MIN).max(NO_TIME + 1),
            open_from: all().max().unwrap_or(i64::MIN),
        }
    }

    /// Without the marks of matchers that the event is too early for.
    fn in_time(&self, marks: u64, time: i64) -> u64 {
        let early = |bit: u8| self.times.since.get(usize::from(bit)).is_some_and(|since| time < *since);
        let early = self.source.matchers.iter().filter(|matcher| early(matcher.bit));
        early.fold(marks, |marks, matcher| marks & !(1 << matcher.bit))
    }

    fn append_spine(
        &self,
        rows: &SpineRows,
        codes: &mut Codes,
        into: &mut Events,
    ) -> Result<(), EngineError> {
        let bounds = self.bounds();
        let actors = self.actors_of(rows)?;
        let keys = KeyColumn::of(&actors)?;
        let is_anonymous = self.actors == Actors::Ignored;
        if is_anonymous {
            let tenant = into.runs.tenant("");
            into.runs.open(tenant, Key::Null, into.times.len());
        }
        let mut tenants = rows.tenants.iter().peekable();
        let mut tenant = None;
        for run in 0..rows.starts.len() {
            let start = rows.starts[run];
            let end = rows.starts.get(run + 1).copied().unwrap_or(rows.rows.end - rows.rows.start);
            while let Some((name, _)) = tenants.next_if(|(_, own)| own.start <= start) {
                tenant = Some(name);
            }
            let key = keys.at(run);
            if !is_anonymous && key == Key::Null && self.actors == Actors::Required {
                continue;
            }
            let first = into.times.len();
            self.append_run(rows, start as usize..end as usize, codes, &bounds, into);
            if is_anonymous || into.times.len() == first {
                continue;
            }
            let tenant = into.runs.tenant(tenant.map_or("", |name| name));
            // The events of an alias may lie beside its actor's, and be earlier.
            let is_later = first > 0 && into.times[first - 1] <= into.times[first];
            if !is_later || !into.runs.continues(tenant, key) {
                into.runs.open(tenant, key, first);
            }
        }
        Ok(())
    }

    /// By run, under the names that actors have themselves.
    fn actors_of(&self, rows: &SpineRows) -> Result<ArrayRef, EngineError> {
        let Some(aliases) = self.joined.as_ref().and_then(OfSource::aliases) else {
            return Ok(rows.actors.clone());
        };
        let owner = |start: &u32| rows.tenants.partition_point(|(_, own)| own.start <= *start).checked_sub(1);
        let tenants = rows
            .starts
            .iter()
            .map(|start| owner(start).and_then(|owner| rows.tenants.get(owner)).map(|(tenant, _)| &**tenant));
        let tenants: ArrayRef = Arc::new(tenants.collect::<DictionaryArray<Int32Type>>());
        Ok(aliases.resolved(&tenants, &rows.actors)?.unwrap_or_else(|| rows.actors.clone()))
    }

    fn append_run(
        &self,
        rows: &SpineRows,
        run: std::ops::Range<usize>,
        codes: &mut Codes,
        bounds: &Bounds,
        into: &mut Events,
    ) {
        let names = rows.codes.get(run.clone()).unwrap_or(&[]);
        for (offset, time) in rows.times[run.clone()].iter().enumerate() {
            let code = usize::from(names.get(offset).copied().unwrap_or(NO_NAME));
            let mut marks = codes.marks.get(code).copied().unwrap_or(0);
            if marks == 0 || *time > bounds.until || *time < bounds.earliest {
                continue;
            }
            if *time < bounds.open_from {
                marks = self.in_time(marks, *time);
            }
            let is_alive = rows.alive.as_ref().is_none_or(|alive| alive.value(run.start + offset));
            if marks == 0 || !is_alive {
                continue;
            }
            into.times.push(*time);
            into.marks.push(marks);
            if let Some(group) = codes.groups.get_mut(code) {
                let key = || name_of(rows, code);
                let code = *group.get_or_insert_with(|| into.group_keys.code(std::iter::once(key())));
                into.groups.push(code);
            }
            if let Some(value) = &self.source.value {
                let is_wanted = value.of.is_none_or(|bit| marks & (1 << bit) != 0);
                let known = codes.values.get_mut(code).filter(|_| is_wanted && code > 0);
                let code = known.map_or(NO_CODE, |known| {
                    *known
                        .get_or_insert_with(|| into.code_of(shorten(name_of(rows, code), value), self.values))
                });
                into.values.push(code);
            }
        }
    }
}

fn name_of(rows: &SpineRows, code: usize) -> Key<'_> {
    let name = code.checked_sub(1).and_then(|place| rows.names.get(place));
    name.map_or(Key::Null, |name| Key::Text(name))
}
