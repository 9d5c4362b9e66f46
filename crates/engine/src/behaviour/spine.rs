//! The same events from a spine: names are looked up once for each code, rows that no matcher wants cost
//! a load and a look, and nothing is read but runs, codes and times.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, DictionaryArray};
use arrow::datatypes::Int32Type;
use ebbtide_model::query::EventSource;
use ebbtide_store::{NO_NAME, NO_TIME, Part, SpineColumns, SpineRows, SpineScan, StoreError};

use super::columns::Arrivals;
use super::gathered::Columns;
use super::joined::OfSource;
use super::kernel::{CodeRun, Meaning};
use super::key::{Key, KeyColumn};
use super::load::{Actors, Events, Loader, NO_CODE, Times, Values, shorten};
use super::membership::Memberships;
use crate::{EngineError, stop};

/// What the events of each code are to the query.
#[derive(Debug)]
pub(super) struct Codes {
    /// The bits of the matchers that want them.
    pub(super) marks: Vec<u64>,
    /// In the events' groups and values, once there is one; empty where those are not asked for.
    pub(super) groups: Vec<Option<u32>>,
    pub(super) values: Vec<Option<u32>>,
}

/// What times matter.
#[derive(Debug)]
pub(super) struct Bounds {
    pub(super) until: i64,
    /// No earlier event is marked at all.
    pub(super) earliest: i64,
    /// From here on no matcher minds the time.
    open_from: i64,
    /// Of each matcher: its bit, and the time before which it marks nothing.
    since: Vec<(u64, i64)>,
}

impl Bounds {
    fn of(source: &EventSource, times: &Times) -> Self {
        let since = |bit: u8| times.since.get(usize::from(bit)).copied().unwrap_or(i64::MIN);
        let since: Vec<(u64, i64)> =
            source.matchers.iter().map(|matcher| (1 << matcher.bit, since(matcher.bit))).collect();
        let all = || since.iter().map(|(_, since)| *since);
        Self {
            until: times.until,
            // Above the mark of an event without a time.
            earliest: all().min().unwrap_or(i64::MIN).max(NO_TIME + 1),
            open_from: all().max().unwrap_or(i64::MIN),
            since,
        }
    }

    /// Without the marks of matchers that the event is too early for.
    fn in_time(&self, marks: u64, time: i64) -> u64 {
        let early = self.since.iter().filter(|(_, since)| time < *since);
        early.fold(marks, |marks, (mark, _)| marks & !mark)
    }
}

/// A spine that is found damaged is read no more, and the question is to be asked again.
pub(super) fn lost(error: StoreError) -> EngineError {
    if matches!(error, StoreError::Damaged(_)) { EngineError::SpineLost } else { error.into() }
}

impl Loader<'_> {
    /// The part's spine, where it has all that the query asks of the part.
    pub(super) fn spine_of(&self, part: &Part) -> Option<SpineScan> {
        part.spine(&self.spine.filter(|columns| self.is_enough(columns))?)
    }

    /// The part's spine, where the part can be read while it is folded.
    pub(super) fn streamed(&self, part: &Part) -> Option<SpineScan> {
        // An alias and its actor lie apart.
        let is_joined = self.joined.as_ref().and_then(OfSource::aliases).is_some();
        if is_joined { None } else { self.spine_of(part) }
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

    /// The spine's marked events.
    pub(super) fn load_spine(&self, scan: SpineScan, codes: &mut Codes) -> Result<Events, EngineError> {
        let mut events = Events::default();
        let bounds = Bounds::of(self.source, self.times);
        for rows in scan {
            stop::check(self.interrupt)?;
            self.append_spine(&rows.map_err(lost)?, codes, &bounds, &mut events)?;
        }
        Ok(events)
    }

    /// How many events of each code are marked.
    pub(super) fn count_codes(&self, scan: SpineScan, codes: &Codes) -> Result<Vec<u64>, EngineError> {
        let mut counts = vec![0; codes.marks.len()];
        let bounds = Bounds::of(self.source, self.times);
        for rows in scan {
            stop::check(self.interrupt)?;
            let rows = rows.map_err(lost)?;
            for run in 0..rows.starts.len() {
                if self.actors != Actors::Required || rows.actors.is_valid(run) {
                    self.walk(&rows, run, &codes.marks, &bounds, |code, _, _| counts[code] += 1);
                }
            }
        }
        Ok(counts)
    }

    /// What the query wants of events of these names, given by code from 1 on.
    pub(super) fn codes(&self, names: &[Box<str>]) -> Codes {
        let name = |code: usize| code.checked_sub(1).and_then(|place| names.get(place));
        let marks = |code: usize| {
            let wanting = self.source.matchers.iter().filter(|matcher| match &matcher.event {
                None => true,
                Some((_, wanted)) => name(code).is_some_and(|name| **name == **wanted),
            });
            wanting.fold(0, |marks, matcher| marks | 1 << matcher.bit)
        };
        let count = names.len() + 1;
        let of = |asked: bool| if asked { vec![None; count] } else { Vec::new() };
        Codes {
            marks: (0..count).map(marks).collect(),
            groups: of(!self.source.breakdown.is_empty()),
            values: of(self.source.value.is_some()),
        }
    }

    fn append_spine(
        &self,
        rows: &SpineRows,
        codes: &mut Codes,
        bounds: &Bounds,
        into: &mut Events,
    ) -> Result<(), EngineError> {
        let actors = self.actors_of(rows)?;
        let keys = KeyColumn::of(&actors)?;
        let is_anonymous = self.actors == Actors::Ignored;
        if is_anonymous {
            let tenant = into.runs.tenant("");
            into.runs.open(tenant, Key::Null, into.times.len());
        }
        let mut tenants = rows.tenants.iter().peekable();
        let mut tenant = None;
        for (run, start) in rows.starts.iter().enumerate() {
            while let Some((name, _)) = tenants.next_if(|(_, own)| own.start <= *start) {
                tenant = Some(name);
            }
            let key = keys.at(run);
            if key == Key::Null && self.actors == Actors::Required {
                continue;
            }
            let first = into.times.len();
            self.append_run(rows, run, codes, bounds, into);
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
        run: usize,
        codes: &mut Codes,
        bounds: &Bounds,
        into: &mut Events,
    ) {
        let Codes { marks, groups, values } = codes;
        self.walk(rows, run, marks, bounds, |code, time, marks| {
            into.times.push(time);
            into.marks.push(marks);
            if let Some(group) = groups.get_mut(code) {
                let key = || std::iter::once(name_of(&rows.names, code));
                into.groups.push(*group.get_or_insert_with(|| into.group_keys.code(key())));
            }
            if let Some(value) = &self.source.value {
                let is_wanted = value.of.is_none_or(|bit| marks & (1 << bit) != 0);
                let known = values.get_mut(code).filter(|_| is_wanted && code != usize::from(NO_NAME));
                let code = known.map_or(NO_CODE, |known| {
                    let key = || shorten(name_of(&rows.names, code), value);
                    *known.get_or_insert_with(|| into.code_of(key(), self.values))
                });
                into.values.push(code);
            }
        });
    }

    /// Calls `take` with the code, time and marks of each marked event of a run.
    fn walk(
        &self,
        rows: &SpineRows,
        run: usize,
        marks_of: &[u64],
        bounds: &Bounds,
        mut take: impl FnMut(usize, i64, u64),
    ) {
        let run = rows.run(run);
        let mut look = |row: usize, code: usize, time: i64| {
            let mut marks = marks_of.get(code).copied().unwrap_or(0);
            if marks == 0 || time > bounds.until || time < bounds.earliest {
                return;
            }
            if time < bounds.open_from {
                marks = bounds.in_time(marks, time);
            }
            if marks != 0 && rows.alive.as_ref().is_none_or(|alive| alive.value(row)) {
                take(code, time, marks);
            }
        };
        let times = run.clone().zip(&rows.times[run.clone()]);
        match rows.codes.get(run) {
            Some(codes) => {
                times.zip(codes).for_each(|((row, time), code)| look(row, usize::from(*code), *time));
            }
            None => times.for_each(|(row, time)| look(row, usize::from(NO_NAME), *time)),
        }
    }
}

/// The name that a code stands for.
pub(super) fn name_of(names: &[Box<str>], code: usize) -> Key<'_> {
    let name = code.checked_sub(1).and_then(|place| names.get(place));
    name.map_or(Key::Null, |name| Key::Text(name))
}

/// Rows of a spine that are read when they are folded, some actors at a time.
#[derive(Debug)]
pub(super) struct Stream {
    source: EventSource,
    columns: SpineColumns,
    times: Times,
    actors: Actors,
    values: Values,
    pub(super) part: Part,
    codes: Codes,
    /// Events by code; empty where groups are not asked for.
    counts: Vec<u64>,
}

impl Stream {
    /// `None` where the part's rows have to be read at once.
    pub(super) fn of(loader: &Loader<'_>, part: &Part) -> Result<Option<Self>, EngineError> {
        let (Some(scan), Some(columns)) = (loader.streamed(part), loader.spine) else { return Ok(None) };
        let codes = loader.codes(&scan.names());
        let counts = if codes.groups.is_empty() { Vec::new() } else { loader.count_codes(scan, &codes)? };
        Ok(Some(Self {
            source: loader.source.clone(),
            columns,
            times: loader.times.clone(),
            actors: loader.actors,
            values: loader.values,
            part: part.clone(),
            codes,
            counts,
        }))
    }

    pub(super) fn scan(&self, part: &Part) -> Option<SpineScan> {
        part.spine(&self.columns)
    }

    /// No events, with the groups and values that its events have: one for each code.
    pub(super) fn keys(&self) -> Events {
        let mut events = Events::default();
        let names = self.scan(&self.part).map(|scan| scan.names()).unwrap_or_default();
        for (code, count) in self.counts.iter().enumerate() {
            let key = || std::iter::once(name_of(&names, code));
            events.groups.push(if *count > 0 { events.group_keys.code(key()) } else { NO_CODE });
        }
        if let Some(value) = &self.source.value {
            for (code, marks) in self.codes.marks.iter().enumerate() {
                let is_wanted = *marks != 0 && code != usize::from(NO_NAME);
                let key = || shorten(name_of(&names, code), value);
                let code = if is_wanted { events.code_of(key(), self.values) } else { NO_CODE };
                events.values.push(code);
            }
        }
        events
    }

    /// What became of [`keys`](Self::keys) in the numbering of all parts.
    pub(super) fn number(&mut self, keys: Events) {
        self.codes.groups = keys.groups.into_iter().map(Some).collect();
        self.codes.values = keys.values.into_iter().map(Some).collect();
    }

    /// How many events there are of each group, by rank.
    pub(super) fn add_sizes(&self, sizes: &mut [u64]) {
        for (group, count) in self.codes.groups.iter().zip(&self.counts) {
            if let Some(size) = group.and_then(|rank| sizes.get_mut(rank as usize)) {
                *size += count;
            }
        }
    }

    /// By code.
    pub(super) fn meanings(&self) -> Vec<Meaning> {
        let Codes { marks, groups, values } = &self.codes;
        let wanting = self.source.value.as_ref().and_then(|value| value.of).map_or(u64::MAX, |bit| 1 << bit);
        let meaning = |(code, marks): (usize, &u64)| Meaning {
            marks: *marks,
            group: groups.get(code).copied().flatten().unwrap_or(if groups.is_empty() { 0 } else { NO_CODE }),
            value: values.get(code).copied().flatten().filter(|_| marks & wanting != 0).unwrap_or(NO_CODE),
        };
        marks.iter().enumerate().map(meaning).collect()
    }

    pub(super) fn bounds(&self) -> Bounds {
        Bounds::of(&self.source, &self.times)
    }

    /// The marked ones of these rows as events.
    pub(super) fn expand(&self, run: CodeRun<'_>, bounds: &Bounds, into: &mut Columns) {
        let Codes { marks, groups, values } = &self.codes;
        let wanting = self.source.value.as_ref().and_then(|value| value.of);
        for (time, code) in run.times.iter().zip(run.codes) {
            let code = usize::from(*code);
            let marks = bounds.in_time(marks.get(code).copied().unwrap_or(0), *time);
            if marks == 0 {
                continue;
            }
            into.times.push(*time);
            into.marks.push(marks);
            if let Some(group) = groups.get(code) {
                into.groups.push(group.unwrap_or(NO_CODE));
            }
            if let Some(value) = values.get(code) {
                let is_wanted = wanting.is_none_or(|bit| marks & (1 << bit) != 0);
                into.values.push(value.filter(|_| is_wanted).unwrap_or(NO_CODE));
            }
        }
    }

    /// The events of some of its rows, named by the ranks of all parts.
    pub(super) fn load(
        &self,
        rows: Range<u32>,
        interrupt: &dyn crate::Interrupt,
    ) -> Result<Events, EngineError> {
        let (no_ties, part) = (hashbrown::HashSet::new(), self.part.between(rows));
        let loader = Loader {
            source: &self.source,
            joined: None,
            memberships: &Memberships::default(),
            times: &self.times,
            actors: self.actors,
            ties: &no_ties,
            values: self.values,
            arrivals: Arrivals::Unread,
            spine: Some(self.columns),
            interrupt,
        };
        let scan = self.scan(&part).ok_or(EngineError::SpineLost)?;
        let Codes { marks, groups, values } = &self.codes;
        let mut codes = Codes { marks: marks.clone(), groups: groups.clone(), values: values.clone() };
        loader.load_spine(scan, &mut codes)
    }
}
