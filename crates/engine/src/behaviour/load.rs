//! From a part's rows to its marked events: the columns that a query needs are scanned once, every
//! matcher is put to whole batches, and what no matcher wants is dropped.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::filter_record_batch;
use ebbtide_model::query::{BoundMatcher, EventSource, ValueColumn};
use ebbtide_store::{Part, SpineColumns};
use hashbrown::HashSet;

use super::columns::{Arrivals, Columns, Projection, Typed, unexpected};
use super::joined::OfSource;
use super::key::{GroupInterner, Interner, Key, KeyColumn, Keys, OwnedKey};
use super::membership::Memberships;
use super::probe;
use crate::exact::Decimal;
use crate::{EngineError, Interrupt, stop};

/// A number of an event's property, of the type that its column has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    Float(f64),
    /// In units of 10^-9.
    Decimal(i128),
}

impl Number {
    pub(crate) fn exact(self) -> Decimal {
        match self {
            Self::Int(value) => Decimal::of_int(value),
            Self::Float(value) => Decimal::of_f64(value).unwrap_or(Decimal::of_int(0)),
            Self::Decimal(units) => Decimal::of_units(units),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "as near as a float is")]
    pub(crate) fn to_f64(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Float(value) => value,
            Self::Decimal(units) => units as f64 / 1e9,
        }
    }
}

/// What times matter, in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    /// By matcher: earlier events are not marked with it.
    pub(crate) since: Vec<i64>,
    /// Inclusive; later events do not exist.
    pub(crate) until: i64,
}

/// How the values of events are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    /// By their rank among all.
    Ranked,
    /// Each has a code of its own, also where it is equal to another: for a fold that looks at few of many.
    Unranked,
}

/// Which values of a breakdown are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Groups {
    /// Those that marked events have.
    Met,
    /// Perhaps some more, where it would take another look at every event to tell.
    Possible,
}

/// What is kept of events besides time and marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Actors {
    /// Events without an actor are dropped.
    Required,
    /// Events without an actor are kept, as no one's.
    Optional,
    /// Whose the events are does not matter.
    Ignored,
}

/// A part's marked events, in runs: each is one actor's, in order of time. An actor may have several.
#[derive(Debug, Default)]
pub(crate) struct Events {
    pub(crate) runs: Runs,
    pub(crate) times: Vec<i64>,
    pub(crate) marks: Vec<u64>,
    /// By the breakdown's property; empty where there is none.
    pub(crate) groups: Vec<u32>,
    pub(crate) group_keys: GroupInterner,
    /// By the property whose values are told apart; empty where there is none.
    pub(crate) values: Vec<u32>,
    pub(crate) value_keys: Interner,
    /// Instead of `value_keys` where each value that is there has a code of its own: by code.
    pub(crate) unranked: Keys,
    /// Empty where nothing is measured.
    pub(crate) numbers: Vec<Option<Number>>,
    /// By the table's key, at times where that settles something; empty where there are none.
    pub(crate) keys: Vec<u32>,
    pub(crate) key_values: Vec<Box<[OwnedKey]>>,
    /// Where their order counts; else empty.
    pub(crate) arrivals: Vec<u64>,
}

/// Whose events are where.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    pub(crate) tenant_names: Vec<Box<str>>,
    /// By run: an index into `tenant_names`.
    pub(crate) tenants: Vec<u32>,
    pub(crate) keys: Keys,
    /// By run: its first event.
    pub(crate) starts: Vec<usize>,
}

impl Runs {
    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }
}

/// The code of a value that is missing, where that counts for nothing.
pub(crate) const NO_CODE: u32 = u32::MAX;

/// Fewer rows of a batch than one of so many are copied before they are looked at.
const FEW_ONE_OF: usize = 4;

/// Rows in a run where whose they are does not matter.
const ANONYMOUS_RUN_EVENTS: usize = 65_536;

/// Loads one part of a source.
pub(crate) struct Loader<'a> {
    pub(crate) source: &'a EventSource,
    /// What is known of its actors besides.
    pub(crate) joined: Option<OfSource<'a>>,
    pub(crate) memberships: &'a Memberships,
    pub(crate) times: &'a Times,
    pub(crate) actors: Actors,
    /// The times at which events have their keys read; empty: keys are not read.
    pub(crate) ties: &'a HashSet<i64>,
    pub(crate) values: Values,
    pub(crate) groups: Groups,
    pub(crate) arrivals: Arrivals,
    /// What spines of the source's table have.
    pub(crate) spine: Option<SpineColumns>,
    pub(crate) interrupt: &'a dyn Interrupt,
}

impl Loader<'_> {
    pub(crate) fn load(&self, part: &Part) -> Result<Events, EngineError> {
        match self.spined(part)? {
            Some(spined) => self.load_spine(spined),
            None => self.load_rows(part),
        }
    }

    fn load_rows(&self, part: &Part) -> Result<Events, EngineError> {
        let mut projection = Projection::of(self.source).with(self.arrivals);
        if !self.ties.is_empty() {
            projection = projection.and(&self.source.key);
        }
        let mut events = Events::default();
        let mut marks = Vec::new();
        for batch in part.scan(&projection.columns())? {
            let batch = self.within_times(&projection, batch?)?;
            let batch = match &self.joined {
                Some(joined) => joined.tell(&projection, batch)?,
                None => batch,
            };
            stop::check(self.interrupt)?;
            let columns = Columns::new(&projection, &batch, self.memberships);
            marks.clear();
            marks.resize(columns.rows(), 0);
            self.mark(&columns, &mut marks)?;
            let is_first = events.times.is_empty();
            self.append(&columns, &marks, &mut events)?;
            if is_first {
                events.grow_to(part.rows_max() / columns.rows().max(1));
            }
        }
        Ok(events)
    }

    /// Where few of a batch's rows are of times that matter, these alone.
    fn within_times(&self, projection: &Projection, batch: RecordBatch) -> Result<RecordBatch, EngineError> {
        let since = self.times.since.iter().copied().min().unwrap_or(i64::MIN);
        let columns = Columns::new(projection, &batch, self.memberships);
        let times = columns.times(self.source.time)?;
        let is_within = |row: usize| times.at(row).is_some_and(|at| at >= since && at <= self.times.until);
        let within = BooleanBuffer::collect_bool(columns.rows(), is_within);
        if within.count_set_bits() > columns.rows() / FEW_ONE_OF {
            return Ok(batch);
        }
        filter_record_batch(&batch, &BooleanArray::new(within, None))
            .map_err(|error| EngineError::Layout { found: error.to_string() })
    }

    /// Sets each matcher's bit for the rows that satisfy it.
    fn mark(&self, columns: &Columns<'_>, marks: &mut [u64]) -> Result<(), EngineError> {
        let common = probe::all(&self.source.filters, columns)?;
        let times = columns.times(self.source.time)?;
        for matcher in &self.source.matchers {
            let matched = &common & &self.matched(matcher, columns)?;
            let since = self.times.since.get(usize::from(matcher.bit)).copied().unwrap_or(i64::MIN);
            for row in matched.set_indices() {
                if times.at(row).is_some_and(|time| time >= since && time <= self.times.until) {
                    marks[row] |= 1 << matcher.bit;
                }
            }
        }
        Ok(())
    }

    fn matched(&self, matcher: &BoundMatcher, columns: &Columns<'_>) -> Result<BooleanBuffer, EngineError> {
        let filtered = probe::all(&matcher.filters, columns)?;
        let Some((column, name)) = &matcher.event else {
            return Ok(filtered);
        };
        let array = columns.declared(*column)?;
        let names = array.as_string_opt::<i32>().ok_or_else(|| unexpected(array))?;
        let named =
            BooleanBuffer::collect_bool(names.len(), |row| names.value(row) == name && names.is_valid(row));
        Ok(&filtered & &named)
    }

    fn append(&self, columns: &Columns<'_>, marks: &[u64], into: &mut Events) -> Result<(), EngineError> {
        let kept: Vec<usize> = (0..marks.len()).filter(|row| marks[*row] != 0).collect();
        let kept = match self.actors {
            Actors::Ignored => anonymous_runs(kept, into),
            Actors::Required | Actors::Optional => self.actor_runs(kept, columns, into)?,
        };
        let times = columns.times(self.source.time)?;
        into.times.extend(kept.iter().filter_map(|row| times.at(*row)));
        into.marks.extend(kept.iter().map(|row| marks[*row]));
        let arrivals = columns.arrivals()?;
        if !arrivals.is_empty() {
            into.arrivals.extend(kept.iter().map(|row| arrivals[*row]));
        }
        self.append_columns(columns, &kept, marks, into)?;
        if !self.ties.is_empty() {
            self.append_keys(columns, &kept, into)?;
        }
        Ok(())
    }

    /// The groups, values and numbers of rows, which have these marks.
    pub(super) fn append_columns(
        &self,
        columns: &Columns<'_>,
        kept: &[usize],
        marks: &[u64],
        into: &mut Events,
    ) -> Result<(), EngineError> {
        let source = self.source;
        self.append_groups(columns, kept, into)?;
        if let Some(value) = &source.value {
            let keys = KeyColumn::of(columns.declared(value.column)?)?;
            let wanted = |row: usize| value.of.is_none_or(|bit| marks[row] & (1 << bit) != 0);
            let present = |row: usize| {
                let key = if wanted(row) { shorten(keys.at(row), value) } else { Key::Null };
                Some(key).filter(|key| *key != Key::Null)
            };
            match self.values {
                Values::Ranked => append_codes(kept, &mut into.values, present, &mut into.value_keys),
                Values::Unranked => {
                    for row in kept {
                        let code = present(*row).map_or(NO_CODE, |key| into.code_of(key, self.values));
                        into.values.push(code);
                    }
                }
            }
        }
        if let Some(column) = source.number {
            append_numbers(columns.declared(column)?, kept, &mut into.numbers)?;
        }
        Ok(())
    }

    fn append_groups(
        &self,
        columns: &Columns<'_>,
        kept: &[usize],
        into: &mut Events,
    ) -> Result<(), EngineError> {
        let column = |column: &Option<usize>| {
            column.map(|column| KeyColumn::of(columns.declared(column)?)).transpose()
        };
        let columns = self.source.breakdown.iter().map(column).collect::<Result<Vec<_>, _>>()?;
        match columns.as_slice() {
            [] => {}
            [Some(keys)] => {
                let mut last: Option<(Key<'_>, u32)> = None;
                for row in kept {
                    let key = keys.at(*row);
                    let known = last.filter(|(known, _)| *known == key).map(|(_, code)| code);
                    let code = known.unwrap_or_else(|| into.group_keys.code(std::iter::once(key)));
                    last = Some((key, code));
                    into.groups.push(code);
                }
            }
            columns => {
                for row in kept {
                    let keys = columns.iter().map(|keys| match keys {
                        Some(keys) => keys.at(*row),
                        None => Key::Null,
                    });
                    into.groups.push(into.group_keys.code(keys));
                }
            }
        }
        Ok(())
    }

    /// Reads the keys of the rows whose times tie, each as a code of its own.
    fn append_keys(
        &self,
        columns: &Columns<'_>,
        kept: &[usize],
        into: &mut Events,
    ) -> Result<(), EngineError> {
        let times = columns.times(self.source.time)?;
        let keys = self.source.key.iter().map(|column| KeyColumn::of(columns.declared(*column)?));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        for row in kept {
            if !times.at(*row).is_some_and(|time| self.ties.contains(&time)) {
                into.keys.push(NO_CODE);
                continue;
            }
            into.keys.push(u32::try_from(into.key_values.len()).unwrap_or(NO_CODE));
            into.key_values.push(keys.iter().map(|key| key.at(*row).to_owned()).collect());
        }
        Ok(())
    }

    /// Continues or opens runs for the rows, and gives those that are kept.
    fn actor_runs(
        &self,
        rows: Vec<usize>,
        columns: &Columns<'_>,
        into: &mut Events,
    ) -> Result<Vec<usize>, EngineError> {
        let Some(actor) = self.source.actor else {
            return Ok(anonymous_runs(rows, into));
        };
        let keys = KeyColumn::of(columns.declared(actor)?)?;
        let times = columns.times(self.source.time)?;
        let tenants = columns.tenant()?;
        let arrivals = columns.arrivals()?;
        let mut place = into.times.len();
        let mut kept = Vec::with_capacity(rows.len());
        let mut last: Option<(i32, Key<'_>, (i64, u64))> = None;
        let mut tenant_index = None;
        for row in rows {
            let (Some(time), key) = (times.at(row), keys.at(row)) else {
                continue;
            };
            if key == Key::Null && self.actors == Actors::Required {
                continue;
            }
            let code = tenants.code(row);
            if last.is_none_or(|(last_code, ..)| last_code != code) {
                tenant_index = Some(into.runs.tenant(tenants.name(row)));
            }
            let index = tenant_index.unwrap_or(0);
            let moment = (time, arrivals.get(row).copied().unwrap_or(0));
            let continues = match last {
                Some((last_code, last_key, latest)) => {
                    last_code == code && last_key == key && moment >= latest
                }
                None => {
                    into.runs.continues(index, key) && into.latest().is_none_or(|latest| moment >= latest)
                }
            };
            if !continues {
                into.runs.open(index, key, place);
            }
            last = Some((code, key, moment));
            kept.push(row);
            place += 1;
        }
        Ok(kept)
    }
}

fn anonymous_runs(rows: Vec<usize>, into: &mut Events) -> Vec<usize> {
    if !rows.is_empty() {
        let tenant = into.runs.tenant("");
        let mut place = into.times.len();
        for chunk in rows.chunks(ANONYMOUS_RUN_EVENTS) {
            into.runs.open(tenant, Key::Null, place);
            place += chunk.len();
        }
    }
    rows
}

impl Events {
    /// Makes room for so many times as much: lists that grow bit by bit are copied again and again.
    fn grow_to(&mut self, times: usize) {
        fn room<T>(list: &mut Vec<T>, times: usize) {
            list.reserve_exact(list.len().saturating_mul(times));
        }
        room(&mut self.times, times);
        room(&mut self.marks, times);
        room(&mut self.groups, times);
        room(&mut self.values, times);
        room(&mut self.numbers, times);
        room(&mut self.arrivals, times);
        self.unranked.grow_to(times);
    }

    /// The code of a value that is there.
    pub(super) fn code_of(&mut self, value: Key<'_>, values: Values) -> u32 {
        match values {
            Values::Ranked => self.value_keys.code(value),
            Values::Unranked => {
                self.unranked.push(value);
                u32::try_from(self.unranked.len() - 1).unwrap_or(NO_CODE)
            }
        }
    }

    /// When the last event was, and when it arrived.
    fn latest(&self) -> Option<(i64, u64)> {
        self.times.last().map(|time| (*time, self.arrivals.last().copied().unwrap_or(0)))
    }
}

impl Runs {
    pub(super) fn tenant(&mut self, name: &str) -> u32 {
        if self.tenant_names.last().is_none_or(|last| **last != *name) {
            self.tenant_names.push(Box::from(name));
        }
        u32::try_from(self.tenant_names.len() - 1).unwrap_or(u32::MAX)
    }

    /// Whether the last run is of this actor.
    pub(super) fn continues(&self, tenant: u32, key: Key<'_>) -> bool {
        self.tenants.last() == Some(&tenant) && self.keys.get(self.keys.len() - 1) == key
    }

    pub(super) fn open(&mut self, tenant: u32, key: Key<'_>, start: usize) {
        self.tenants.push(tenant);
        self.keys.push(key);
        self.starts.push(start);
    }
}

/// As much of a value as the query reads.
pub(super) fn shorten<'k>(key: Key<'k>, value: &ValueColumn) -> Key<'k> {
    let Key::Text(mut text) = key else {
        return key;
    };
    // A text has no more characters than bytes.
    let longer = value.cut.filter(|cut| text.len() > *cut as usize);
    if let Some((end, _)) = longer.and_then(|cut| text.char_indices().nth(cut as usize)) {
        text = &text[..end];
    }
    Key::Text(if value.trim { text.trim() } else { text })
}

fn append_codes<'k>(
    kept: &[usize],
    codes: &mut Vec<u32>,
    key: impl Fn(usize) -> Option<Key<'k>>,
    interner: &mut Interner,
) {
    let mut last: Option<(Option<Key<'_>>, u32)> = None;
    for row in kept {
        let key = key(*row);
        let code = match (last, key) {
            (Some((last_key, code)), _) if last_key == key => code,
            (_, Some(key)) => interner.code(key),
            (_, None) => NO_CODE,
        };
        last = Some((key, code));
        codes.push(code);
    }
}

fn append_numbers(
    array: &ArrayRef,
    kept: &[usize],
    into: &mut Vec<Option<Number>>,
) -> Result<(), EngineError> {
    let numbers = NumberColumn::of(array)?;
    into.extend(kept.iter().map(|row| numbers.at(*row)));
    Ok(())
}

/// A column of a batch, read as numbers.
pub(super) struct NumberColumn<'a> {
    values: Typed<'a>,
    nulls: Option<&'a NullBuffer>,
}

impl<'a> NumberColumn<'a> {
    pub(super) fn of(array: &'a ArrayRef) -> Result<Self, EngineError> {
        let values = Typed::of(array)?;
        match values {
            Typed::Int(_) | Typed::Float(_) | Typed::Decimal(_) | Typed::Text(_) => {}
            Typed::Bool(_) | Typed::Timestamp(_) | Typed::Date(_) => return Err(unexpected(array)),
        }
        Ok(Self { values, nulls: array.nulls() })
    }

    pub(super) fn at(&self, row: usize) -> Option<Number> {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        match self.values {
            Typed::Int(values) => Some(Number::Int(values.value(row))),
            Typed::Float(values) => Some(Number::Float(values.value(row))),
            Typed::Decimal(values) => Some(Number::Decimal(values.value(row))),
            // A property of several types: the texts are JSON.
            Typed::Text(values) => json_number(values.value(row)),
            Typed::Bool(_) | Typed::Timestamp(_) | Typed::Date(_) => None,
        }
    }
}

/// The number that a text of JSON says: a float, as integers among floats are.
fn json_number(text: &str) -> Option<Number> {
    if !text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite()).map(Number::Float)
}
