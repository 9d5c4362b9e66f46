//! The same events from a spine: names are looked up once for each code, rows that no matcher wants cost
//! a load and a look, and of columns nothing is read but what conditions, groups, values and numbers are of, for
//! the rows that have them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, DictionaryArray};
use arrow::datatypes::Int32Type;
use ebbtide_model::query::EventSource;
use ebbtide_store::{
    Lanes, NO_NAME, NO_TIME, Part, SpineCodes, SpineColumns, SpineRows, SpineScan, StoreError,
};

use super::columns::{Arrivals, Columns, Projection};
use super::joined::OfSource;
use super::kernel::Code;
use super::key::{Key, KeyColumn};
use super::load::{Actors, Events, Loader, NO_CODE, Times, shorten};
use super::refine::{Knowing, Refinement, has_conditions};
use crate::{EngineError, stop};

/// What the events of each code are to the query.
#[derive(Clone, Debug)]
pub(super) struct Codes {
    names: Arc<[Box<str>]>,
    /// The code in the spine; empty where conditions make none finer.
    bases: Vec<u16>,
    /// The bits of the matchers that want them.
    pub(super) marks: Vec<u64>,
    /// In the events' groups and values, once there is one; empty where those are not asked for.
    pub(super) groups: Vec<Option<u32>>,
    pub(super) values: Vec<Option<u32>>,
}

impl Codes {
    /// The name that a code stands for.
    pub(super) fn name(&self, code: usize) -> Key<'_> {
        let base = self.bases.get(code).map_or(code, |base| usize::from(*base));
        let name = base.checked_sub(1).and_then(|place| self.names.get(place));
        name.map_or(Key::Null, |name| Key::Text(name))
    }
}

/// A part's spine, as a query reads it.
pub(super) struct Spined {
    pub(super) scan: SpineScan,
    /// Where the query has conditions.
    pub(super) refinement: Option<Refinement>,
    /// Where it reads more of events than their names.
    pub(super) told: Option<Told>,
}

/// The columns by which a query tells events apart.
pub(super) struct Told {
    pub(super) lanes: Lanes,
    pub(super) projection: Projection,
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
    pub(super) fn of(source: &EventSource, times: &Times) -> Self {
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
    pub(super) fn in_time(&self, marks: u64, time: i64) -> u64 {
        let early = self.since.iter().filter(|(_, since)| time < *since);
        early.fold(marks, |marks, (mark, _)| marks & !mark)
    }
}

/// A spine that is found damaged is read no more, and the question is to be asked again.
pub(super) fn lost(error: StoreError) -> EngineError {
    if matches!(error, StoreError::Damaged(_)) { EngineError::SpineLost } else { error.into() }
}

impl Loader<'_> {
    /// The part's spine, and what the query reads of the part besides, where the query can be answered so.
    pub(super) fn spined(&self, part: &Part) -> Result<Option<Spined>, EngineError> {
        let Some(columns) = self.spine.filter(|columns| self.fits(columns)) else { return Ok(None) };
        let Some(scan) = part.spine(&columns) else { return Ok(None) };
        let refinement = if has_conditions(self.source) {
            let Some(refinement) = Refinement::of(self.source, part, &scan.names())? else { return Ok(None) };
            Some(refinement)
        } else {
            None
        };
        let mut spined = Spined { scan, refinement, told: None };
        if !self.names_tell(&columns) {
            let projection = Projection::of_told(self.source);
            let Some(lanes) = part.lanes(&projection.columns())? else { return Ok(None) };
            spined.told = Some(Told { lanes, projection });
        }
        Ok(Some(spined))
    }

    /// The part's spine as it is.
    pub(super) fn scan(&self, part: &Part) -> Option<SpineScan> {
        part.spine(&self.spine?)
    }

    /// The part's spine, where the part can be read while it is folded.
    pub(super) fn streamed(&self, part: &Part) -> Option<SpineScan> {
        // An alias and its actor lie apart.
        let is_joined = self.joined.as_ref().and_then(OfSource::aliases).is_some();
        let columns = self.spine.filter(|columns| self.fits(columns) && self.names_tell(columns))?;
        let asks_rows = self.source.cohort_tests().is_empty()
            && Projection::of_conditions(self.source).of_actors().is_empty();
        if is_joined || !asks_rows { None } else { part.spine(&columns) }
    }

    /// Whether a spine says whose an event is, when it was, and what it is called, and no more than that is asked
    /// save by way of columns.
    fn fits(&self, columns: &SpineColumns) -> bool {
        let EventSource { time, actor, matchers, .. } = self.source;
        let is_name = |column: usize| columns.name == Some(column);
        let named = matchers.iter().filter_map(|matcher| matcher.event.as_ref());
        let actor_fits = self.actors == Actors::Ignored || *actor == Some(columns.actor);
        let is_untied = self.ties.is_empty() && self.arrivals == Arrivals::Unread;
        *time == columns.time && actor_fits && named.map(|(column, _)| *column).all(is_name) && is_untied
    }

    /// The column with the names of events, as spines have it.
    pub(super) fn name_column(&self) -> Option<usize> {
        self.spine?.name
    }

    /// Whether events are told apart by their names alone.
    fn names_tell(&self, columns: &SpineColumns) -> bool {
        let EventSource { breakdown, value, number, .. } = self.source;
        let is_name = |column: usize| columns.name == Some(column);
        let breakdown_fits = match breakdown.as_slice() {
            [] => true,
            [column] => column.is_some_and(is_name),
            _ => false,
        };
        breakdown_fits && number.is_none() && value.as_ref().is_none_or(|value| is_name(value.column))
    }

    /// The rows of a spine, by finer codes where there are some.
    pub(super) fn rows_of<'s>(
        &'s self,
        scan: SpineScan,
        refinement: Option<&'s Refinement>,
    ) -> impl Iterator<Item = Result<SpineRows, EngineError>> + 's {
        let bounds = Bounds::of(self.source, self.times);
        scan.map(move |rows| {
            stop::check(self.interrupt)?;
            let rows = rows.map_err(lost)?;
            let Some(refinement) = refinement else { return Ok(rows) };
            let (joined, memberships) = (self.joined.as_ref(), self.memberships);
            refinement.refine(rows, Knowing { joined, memberships, times: (bounds.earliest, bounds.until) })
        })
    }

    /// The spine's marked events.
    pub(super) fn load_spine(&self, spined: Spined) -> Result<Events, EngineError> {
        let Spined { scan, refinement, told } = spined;
        let mut codes = self.codes(&scan.names(), refinement.as_ref());
        let mut events = Events::default();
        self.append_rows(scan, (refinement.as_ref(), told.as_ref()), &mut codes, &mut events)?;
        Ok(events)
    }

    pub(super) fn append_rows(
        &self,
        scan: SpineScan,
        (refinement, told): (Option<&Refinement>, Option<&Told>),
        codes: &mut Codes,
        events: &mut Events,
    ) -> Result<(), EngineError> {
        let bounds = Bounds::of(self.source, self.times);
        let mut taken = Vec::new();
        for rows in self.rows_of(scan, refinement) {
            let rows = rows?;
            taken.clear();
            self.append_spine(&rows, codes, &bounds, &mut taken, events)?;
            if let Some(told) = told {
                self.append_told(told, &taken, events)?;
            }
        }
        Ok(())
    }

    /// What the last events, which are these rows, are told apart by.
    fn append_told(&self, told: &Told, taken: &[u32], into: &mut Events) -> Result<(), EngineError> {
        let mut rest = taken;
        let mut place = into.times.len() - taken.len();
        while let Some(row) = rest.first() {
            let lanes = told.lanes.at(*row)?;
            let (own, after) = rest.split_at(rest.partition_point(|row| *row < lanes.rows().end));
            let batch = lanes.take(own)?;
            let batch = match &self.joined {
                Some(joined) => joined.tell(&told.projection, batch)?,
                None => batch,
            };
            let columns = Columns::new(&told.projection, &batch, self.memberships);
            let marks = into.marks[place..place + own.len()].to_vec();
            let kept: Vec<usize> = (0..own.len()).collect();
            self.append_columns(&columns, &kept, &marks, into)?;
            (rest, place) = (after, place + own.len());
        }
        Ok(())
    }

    /// How many events of each code are marked.
    pub(super) fn count_codes(
        &self,
        scan: SpineScan,
        refinement: Option<&Refinement>,
        codes: &Codes,
    ) -> Result<Vec<u64>, EngineError> {
        let mut counts = vec![0; codes.marks.len()];
        let bounds = Bounds::of(self.source, self.times);
        for rows in self.rows_of(scan, refinement) {
            let rows = rows?;
            for run in 0..rows.starts.len() {
                if self.actors != Actors::Required || rows.actors.is_valid(run) {
                    self.walk(&rows, run, &codes.marks, &bounds, |_, code, _, _| counts[code] += 1);
                }
            }
        }
        Ok(counts)
    }

    /// What the query wants of events of these names, given by code from 1 on.
    pub(super) fn codes(&self, names: &Arc<[Box<str>]>, refinement: Option<&Refinement>) -> Codes {
        let name = |code: usize| code.checked_sub(1).and_then(|place| names.get(place));
        let marks = |code: usize| {
            let wanting = self.source.matchers.iter().filter(|matcher| match &matcher.event {
                None => true,
                Some((_, wanted)) => name(code).is_some_and(|name| **name == **wanted),
            });
            wanting.fold(0, |marks, matcher| marks | 1 << matcher.bit)
        };
        let marks = match refinement {
            Some(refinement) => refinement.marks.clone(),
            None => (0..=names.len()).map(marks).collect(),
        };
        let by_name = self.spine.is_some_and(|columns| self.names_tell(&columns));
        let of = |asked: bool| if asked && by_name { vec![None; marks.len()] } else { Vec::new() };
        Codes {
            names: names.clone(),
            bases: refinement.map_or_else(Vec::new, |refinement| refinement.bases.clone()),
            groups: of(!self.source.breakdown.is_empty()),
            values: of(self.source.value.is_some()),
            marks,
        }
    }

    fn append_spine(
        &self,
        rows: &SpineRows,
        codes: &mut Codes,
        bounds: &Bounds,
        taken: &mut Vec<u32>,
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
            self.append_run(rows, run, codes, bounds, taken, into);
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
        taken: &mut Vec<u32>,
        into: &mut Events,
    ) {
        let Codes { marks, .. } = codes;
        let marks = std::mem::take(marks);
        self.walk(rows, run, &marks, bounds, |row, code, time, marks| {
            taken.push(rows.rows.start + u32::try_from(row).unwrap_or(u32::MAX));
            into.times.push(time);
            into.marks.push(marks);
            if !codes.groups.is_empty() {
                let group = codes.groups[code];
                let group = group.unwrap_or_else(|| into.group_keys.code(std::iter::once(codes.name(code))));
                codes.groups[code] = Some(group);
                into.groups.push(group);
            }
            if let Some(value) = self.source.value.as_ref().filter(|_| !codes.values.is_empty()) {
                let is_wanted = value.of.is_none_or(|bit| marks & (1 << bit) != 0);
                let key = codes.name(code);
                let code = if is_wanted && key != Key::Null {
                    let known = codes.values[code];
                    let known = known.unwrap_or_else(|| into.code_of(shorten(key, value), self.values));
                    codes.values[code] = Some(known);
                    known
                } else {
                    NO_CODE
                };
                into.values.push(code);
            }
        });
        codes.marks = marks;
    }

    /// Calls `take` with the row, code, time and marks of each marked event of a run.
    fn walk(
        &self,
        rows: &SpineRows,
        run: usize,
        marks_of: &[u64],
        bounds: &Bounds,
        mut take: impl FnMut(usize, usize, i64, u64),
    ) {
        let run = rows.run(run);
        let mut look = |row: usize, code: usize| {
            let mut marks = marks_of.get(code).copied().unwrap_or(0);
            if marks == 0 {
                return;
            }
            let time = rows.times.at(row);
            if time > bounds.until || time < bounds.earliest {
                return;
            }
            if time < bounds.open_from {
                marks = bounds.in_time(marks, time);
            }
            if marks != 0 && rows.alive.as_ref().is_none_or(|alive| alive.value(row)) {
                take(row, code, time, marks);
            }
        };
        match &rows.codes {
            codes if codes.is_empty() => run.for_each(|row| look(row, usize::from(NO_NAME))),
            SpineCodes::Byte(codes) => {
                run.clone().zip(&codes[run]).for_each(|(row, code)| look(row, code.place()));
            }
            SpineCodes::Short(codes) => {
                run.clone().zip(&codes[run]).for_each(|(row, code)| look(row, code.place()));
            }
        }
    }
}
