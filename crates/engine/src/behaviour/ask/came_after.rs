//! Preceding by what the actors' own rows say, from numbers of values: what each event came after is the same
//! whenever that is asked, since it is earlier; so it is kept beside the rows, and a question looks at the events
//! that it counts.

use std::cmp::Reverse;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::buffer::BooleanBuffer;
use ebbtide_model::query::{BoundQuery, Condition, EventSource, ParentColumn, Preceding, ValueColumn};
use ebbtide_model::{ColumnType, Tenants, Value};
use ebbtide_store::{Part, PartIdentity};
use hashbrown::HashMap;

use super::Asking;
use super::preceding::{is_until, parent_times};
use crate::answer::{GroupValue, PrecedingAnswer};
use crate::behaviour::columns::{Columns, Projection};
use crate::behaviour::key::{Key, KeyColumn};
use crate::behaviour::load::{Times, shorten};
use crate::behaviour::membership::Memberships;
use crate::behaviour::probe;
use crate::sql::{CodedTable, NONE};
use crate::{EngineError, stop};

/// What each row's event came after; `None` where a key would have to say which of simultaneous events is the
/// latest.
struct CameAfter {
    values: Option<Values>,
    /// Whose rows they are.
    parts: Vec<PartIdentity>,
}

struct Values {
    /// By part, of its rows in the order of a scan: the number of the value, or [`NONE`].
    parts: Vec<Box<[u32]>>,
    texts: StringArray,
}

/// The events that are counted, whenever they are.
struct Counted {
    conditions: String,
    /// Whose rows they are.
    identities: Vec<PartIdentity>,
    /// By part, of its rows in the order of a scan: which those are, and when.
    parts: Vec<Vec<(u32, i64)>>,
}

/// An event of an actor, and what it shows, if it is one that others come after.
#[derive(Clone, Copy)]
struct Event {
    actor: u32,
    time: i64,
    part: u32,
    row: u32,
    shown: Option<u32>,
}

/// Parents, by the number of their key, some of which may come to be later.
#[derive(Default)]
struct Existing {
    /// By parent the number of its time, and by that number whether it has come. `None`: all have.
    later: Option<(Arc<[u32]>, BooleanBuffer)>,
}

impl Existing {
    fn of(&self, parent: u32) -> bool {
        self.later.as_ref().is_none_or(|(times, exist)| {
            let time = times.get(parent as usize).copied().unwrap_or(NONE);
            time == NONE || exist.value(time as usize)
        })
    }
}

impl Asking<'_> {
    /// `None` where it has to be answered another way.
    pub(super) fn preceding_by_codes(
        &self,
        preceding: &Preceding,
        parent: &ParentColumn,
        times: &Times,
    ) -> Result<Option<PrecedingAnswer>, EngineError> {
        let ([source], Tenants::One(_)) = (self.query.sources.as_slice(), self.scope.tenants()) else {
            return Ok(None);
        };
        let (Some(actor), Some(value)) = (source.actor, source.value) else { return Ok(None) };
        let is_plain = source.aliases.is_none()
            && source.actor_props.is_none()
            && source.cohort_tests().is_empty()
            && source.matchers.iter().all(|matcher| matcher.event.is_none())
            && self.column_type(&source.table, value.column) == Some(ColumnType::Text);
        if !is_plain {
            return Ok(None);
        }
        let table = CodedTable::of(self.snapshot, self.scope, &source.table)?;
        let parents = CodedTable::of(self.snapshot, self.scope, &parent.table)?;
        let Some(after) = self.came_after(&table, source, actor, value)? else { return Ok(None) };
        let Some(after) = &after.values else { return Ok(None) };
        let Some(groups) = table.of_parents(actor, &parents, parent.key, parent.column)? else {
            return Ok(None);
        };
        let Some(exists) = self.existing(&table, &parents, actor, parent)? else { return Ok(None) };
        let Some(actors) = table.column(actor)? else { return Ok(None) };
        let mut counts: HashMap<(u32, u32), u64> = HashMap::new();
        let mut total = 0;
        let is_empty = |number: u32| number == NONE || after.texts.value(number as usize).is_empty();
        let since = times.since.first().copied().unwrap_or(i64::MIN);
        let is_asked = |time: i64| since <= time && time <= times.until;
        for (part, rows) in self.counted_rows(&table, source)?.parts.iter().enumerate() {
            let (codes, shown) = (actors.of_part(part), after.parts.get(part));
            for (row, _) in rows.iter().filter(|(_, time)| is_asked(*time)) {
                let actor = codes.get(*row as usize).copied().unwrap_or(NONE);
                if actor == NONE || actors.is_null(actor) {
                    continue;
                }
                total += 1;
                let number = shown.and_then(|shown| shown.get(*row as usize)).copied().unwrap_or(NONE);
                let group = groups.numbers.get(actor as usize).copied().unwrap_or(NONE);
                if group != NONE && exists.of(actor) && !(preceding.skip_empty && is_empty(number)) {
                    *counts.entry((group, number)).or_default() += 1;
                }
            }
        }
        let groups = commonest(counts, preceding.limit, &groups.values, after, parent.column_type)?;
        Ok(Some(PrecedingAnswer { total, values: Vec::new(), actors: None, groups: Some(groups) }))
    }

    /// Which parents exist as of the moment that is asked about.
    fn existing(
        &self,
        table: &CodedTable,
        parents: &CodedTable,
        by: usize,
        parent: &ParentColumn,
    ) -> Result<Option<Existing>, EngineError> {
        let Some(time) = parent.time else { return Ok(Some(Existing::default())) };
        let Some(times) = table.of_parents(by, parents, parent.key, time)? else { return Ok(None) };
        let instants = parent_times(&times.values)?;
        let exists = (0..instants.len()).map(|number| is_until(Some(&instants), number, self.as_of));
        let later = (!exists.clone().all(|exists| exists)).then(|| (times.numbers, exists.collect()));
        Ok(Some(Existing { later }))
    }

    /// What each row's event came after, from what is kept or made and kept.
    fn came_after(
        &self,
        table: &CodedTable,
        source: &EventSource,
        actor: usize,
        value: ValueColumn,
    ) -> Result<Option<Arc<CameAfter>>, EngineError> {
        let of = source.matchers.iter().filter(|matcher| matcher.bit == BoundQuery::OF);
        let conditions: Vec<&Condition> =
            source.filters.iter().chain(of.flat_map(|matcher| &matcher.filters)).collect();
        let what = format!("came after {actor} {value:?} {conditions:?}");
        let identities: Vec<PartIdentity> = table.parts().iter().map(Part::identity).collect();
        let known: Option<Arc<CameAfter>> = table.made(&what)?;
        if let Some(known) = known.filter(|known| known.parts == identities) {
            return Ok(Some(known));
        }
        let (Some(actors), Some(shown)) = (table.column(actor)?, table.column(value.column)?) else {
            return Ok(None);
        };
        let texts = shown.values().as_string::<i32>();
        let (numbers, texts) = shortened(texts, &value);
        let rows_of = self.kept_rows(table, &only(source, BoundQuery::OF))?;
        let mut events = Vec::new();
        let times = self.times_of(table, source)?;
        for (part, times) in times.iter().enumerate() {
            let part_number = u32::try_from(part).unwrap_or(NONE);
            let mut shows = vec![false; times.len()];
            rows_of[part].iter().for_each(|(row, _)| shows[*row as usize] = true);
            let (actors_of, shown_of) = (actors.of_part(part), shown.of_part(part));
            for (row, time) in (0_u32..).zip(times) {
                let at = row as usize;
                let Some(time) = *time else { continue };
                if actors.is_null(actors_of[at]) {
                    continue;
                }
                let own = shows[at].then(|| numbers[shown_of[at] as usize]);
                events.push(Event { actor: actors_of[at], time, part: part_number, row, shown: own });
            }
            stop::check(self.interrupt)?;
        }
        let parts = times.iter().map(|times| vec![NONE; times.len()].into_boxed_slice()).collect();
        let values = followed(events, parts).map(|parts| Values { parts, texts });
        let bytes = values.as_ref().map_or(0, Values::bytes);
        let after = Arc::new(CameAfter { values, parts: identities });
        table.keep(&what, &after, bytes)?;
        Ok(Some(after))
    }

    /// The rows that may be counted, from what is kept or made and kept.
    fn counted_rows(&self, table: &CodedTable, source: &EventSource) -> Result<Arc<Counted>, EngineError> {
        const WHAT: &str = "counted by what they came after";
        let only = only(source, BoundQuery::BEFORE);
        let of = only.matchers.iter().flat_map(|matcher| &matcher.filters);
        let conditions: Vec<&Condition> = only.filters.iter().chain(of).collect();
        let conditions = format!("{conditions:?}");
        let identities: Vec<PartIdentity> = table.parts().iter().map(Part::identity).collect();
        let known: Option<Arc<Counted>> = table.made(WHAT)?;
        let fits = |known: &Arc<Counted>| known.identities == identities && known.conditions == conditions;
        if let Some(known) = known.filter(fits) {
            return Ok(known);
        }
        let parts = self.kept_rows(table, &only)?;
        let bytes = parts.iter().map(|rows| size_of_val(&**rows)).sum();
        let counted = Arc::new(Counted { conditions, identities, parts });
        table.keep(WHAT, &counted, bytes)?;
        Ok(counted)
    }

    /// By part, the rows with a time that satisfy a source's one matcher, and their times. What is asked of a text is
    /// asked once for each of its values.
    fn kept_rows(
        &self,
        table: &CodedTable,
        source: &EventSource,
    ) -> Result<Vec<Vec<(u32, i64)>>, EngineError> {
        let mut rest = source.clone();
        let mut conditions = std::mem::take(&mut rest.filters);
        conditions.extend(rest.matchers.drain(..).flat_map(|matcher| matcher.filters));
        let mut by_code = Vec::new();
        for condition in conditions {
            let coded = if let Condition::Column(column, _) = &condition
                && self.column_type(&source.table, *column) == Some(ColumnType::Text)
            {
                table.column(*column)?
            } else {
                None
            };
            match (&condition, coded) {
                (Condition::Column(_, probe), Some(column)) => {
                    let holds = probe::probe_column(probe, column.values())?;
                    by_code.push((column, holds));
                }
                (_, _) => rest.filters.push(condition),
            }
        }
        let projection = Projection::of(&rest);
        let nobody = Memberships::default();
        let mut kept = Vec::new();
        for (part, rows) in table.parts().iter().enumerate() {
            let (mut own, mut from) = (Vec::new(), 0_u32);
            for batch in rows.scan(&projection.columns())? {
                let batch = batch?;
                stop::check(self.interrupt)?;
                let columns = Columns::new(&projection, &batch, &nobody);
                let mut mask = vec![true; columns.rows()];
                for (column, holds) in &by_code {
                    let codes = column.of_part(part).get(from as usize..).unwrap_or_default();
                    mask.iter_mut().zip(codes).for_each(|(kept, code)| *kept &= holds.value(*code as usize));
                }
                let holds: BooleanBuffer = probe::all(&rest.filters, &columns)?;
                let times = columns.times(source.time)?;
                let all = mask.iter().enumerate().filter(|(row, kept)| **kept && holds.value(*row));
                let timed = |(row, _)| Some((from + u32::try_from(row).ok()?, times.at(row)?));
                own.extend(all.filter_map(timed));
                from = from.saturating_add(u32::try_from(columns.rows()).unwrap_or(NONE));
            }
            kept.push(own);
        }
        Ok(kept)
    }

    /// By part, the times of its rows.
    fn times_of(
        &self,
        table: &CodedTable,
        source: &EventSource,
    ) -> Result<Vec<Vec<Option<i64>>>, EngineError> {
        let mut bare = source.clone();
        (bare.filters, bare.matchers, bare.value, bare.actor) = (Vec::new(), Vec::new(), None, None);
        let projection = Projection::of(&bare);
        let nobody = Memberships::default();
        let mut all = Vec::new();
        for part in table.parts() {
            let mut own = Vec::with_capacity(part.rows_max());
            for batch in part.scan(&projection.columns())? {
                let batch = batch?;
                let columns = Columns::new(&projection, &batch, &nobody);
                let times = columns.times(source.time)?;
                own.extend((0..columns.rows()).map(|row| times.at(row)));
            }
            all.push(own);
        }
        Ok(all)
    }
}

impl Values {
    fn bytes(&self) -> usize {
        let parts: usize = self.parts.iter().map(|part| size_of_val(&**part)).sum();
        parts + self.texts.get_array_memory_size()
    }
}

/// A source with one of its matchers, of which nothing is told but the time.
fn only(source: &EventSource, bit: u8) -> EventSource {
    let mut only = source.clone();
    only.matchers.retain(|matcher| matcher.bit == bit);
    (only.value, only.actor, only.breakdown) = (None, None, Vec::new());
    only
}

/// By the number of a text, that of what is shown of it, or [`NONE`] for null; and what is shown.
fn shortened(texts: &StringArray, value: &ValueColumn) -> (Vec<u32>, StringArray) {
    let mut known: HashMap<&str, u32> = HashMap::new();
    let mut shown: Vec<&str> = Vec::new();
    let numbers = texts.iter().map(|text| {
        let Some(text) = text else { return NONE };
        let Key::Text(short) = shorten(Key::Text(text), value) else { return NONE };
        *known.entry(short).or_insert_with(|| {
            shown.push(short);
            u32::try_from(shown.len() - 1).unwrap_or(NONE)
        })
    });
    let numbers = numbers.collect();
    (numbers, StringArray::from(shown))
}

/// Writes for each event what the latest strictly earlier one of its actor shows that shows something. `None`
/// where simultaneous ones show different values.
fn followed(mut events: Vec<Event>, mut parts: Vec<Box<[u32]>>) -> Option<Vec<Box<[u32]>>> {
    let moment = |event: &Event| (event.actor, event.time);
    if !events.is_sorted_by_key(moment) {
        // Few runs, each of them in order.
        events.sort_by_key(moment);
    }
    for own in events.chunk_by(|left, right| left.actor == right.actor) {
        let mut latest = NONE;
        for instant in own.chunk_by(|left, right| left.time == right.time) {
            for event in instant {
                parts[event.part as usize][event.row as usize] = latest;
            }
            let mut shown = instant.iter().filter_map(|event| event.shown);
            if let Some(first) = shown.next() {
                if shown.any(|other| other != first) {
                    return None;
                }
                latest = first;
            }
        }
    }
    Some(parts)
}

/// The commonest values of each group, ties by value with null last; groups in the order of theirs.
fn commonest(
    counts: HashMap<(u32, u32), u64>,
    limit: Option<u32>,
    groups: &ArrayRef,
    after: &Values,
    group_type: ColumnType,
) -> Result<Vec<GroupValue>, EngineError> {
    let mut by_group: HashMap<u32, Vec<(u64, u32)>> = HashMap::new();
    for ((group, number), count) in counts {
        by_group.entry(group).or_default().push((count, number));
    }
    let keys = KeyColumn::of(groups)?;
    let mut ordered: Vec<(Key<'_>, Vec<(u64, u32)>)> =
        by_group.into_iter().map(|(group, counts)| (keys.at(group as usize), counts)).collect();
    ordered.sort_by(|(left, _), (right, _)| left.cmp_null_last(*right));
    let text = |number: u32| if number == NONE { None } else { Some(after.texts.value(number as usize)) };
    let limit = limit.map_or(usize::MAX, |limit| limit as usize);
    let mut rows = Vec::new();
    for (group, mut counts) in ordered {
        if counts.len() > limit {
            // Few are looked at by their values.
            let (_, lowest, _) = counts.select_nth_unstable_by_key(limit - 1, |(count, _)| Reverse(*count));
            let lowest = lowest.0;
            counts.retain(|(count, _)| *count >= lowest);
        }
        let place = |(count, number): &(u64, u32)| (Reverse(*count), text(*number).is_none(), text(*number));
        counts.sort_by(|left, right| place(left).cmp(&place(right)));
        counts.truncate(limit);
        rows.extend(counts.into_iter().map(|(count, number)| GroupValue {
            by: group.value(group_type),
            value: text(number).map_or(Value::Null, |text| Value::Text(text.into())),
            count,
        }));
    }
    Ok(rows)
}
