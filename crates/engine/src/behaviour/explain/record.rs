//! The events of one actor as an explanation lists them: with time, name and marks, in order.

use ebbtide_model::Instant;
use ebbtide_model::query::{EventSource, Kind};
use hashbrown::HashSet;
use serde_json::Value as Json;

use super::{ExplainedEvent, Verdict};
use crate::EngineError;
use crate::behaviour::ask::Asking;
use crate::behaviour::columns::Arrivals;
use crate::behaviour::drive::Loading;
use crate::behaviour::fold::{Actor, Fold, Run};
use crate::behaviour::load::{Actors, Times};

/// An event, whatever the query makes of it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) time: i64,
    arrival: u64,
    pub(crate) marks: u64,
    /// Which of the query's sources it is of.
    pub(crate) source: usize,
    table: String,
    name: Json,
    /// What paths show of it.
    pub(crate) item: Json,
}

impl Seen {
    pub(crate) fn has(&self, bit: u8, index: usize) -> bool {
        u32::try_from(index).is_ok_and(|index| {
            1_u64.checked_shl(u32::from(bit) + index).is_some_and(|mask| self.marks & mask != 0)
        })
    }
}

pub(crate) struct Recorded {
    /// In order of time, simultaneous ones in that of their arrival.
    pub(crate) events: Vec<Seen>,
}

impl Recorded {
    /// Events with what became of them.
    pub(super) fn named(self, verdicts: Vec<Verdict>) -> Vec<ExplainedEvent> {
        let named = |(seen, verdict): (Seen, Verdict)| ExplainedEvent {
            time: Instant::from_micros(seen.time),
            table: seen.table,
            event: seen.name,
            matched: verdict.matched,
            counts_in: verdict.counts_in,
            rule: verdict.rule,
        };
        self.events.into_iter().zip(verdicts).map(named).collect()
    }
}

/// Each event's time, arrival, marks and the rank of its group.
struct RecordFold;

impl Fold for RecordFold {
    type State = Vec<((i64, u64), (u64, u32))>;

    fn fresh(&self) -> Self::State {
        Vec::new()
    }

    fn take(&self, state: &mut Self::State, _: Actor<'_>, run: Run<'_>) {
        for index in 0..run.len() {
            let arrival = run.arrivals.get(index).copied().unwrap_or(0);
            state.push(((run.times[index], arrival), (run.marks[index], run.group(index))));
        }
    }

    fn merge(&self, into: &mut Self::State, other: Self::State) {
        into.extend(other);
    }
}

impl Asking<'_> {
    /// All of the actor's events up to `as_of` that the query has a matcher for.
    pub(super) fn recorded(&self) -> Result<Recorded, EngineError> {
        let mut events = Vec::new();
        let sources = self.query.sources.len();
        // Latencies are no events of a session.
        let shown = if let Kind::Dropoff(dropoff) = &self.query.query.kind {
            1 + usize::from(dropoff.session.prop.is_some())
        } else {
            sources
        };
        for (index, source) in self.query.sources.iter().take(shown).enumerate() {
            self.record(index, source, &mut events)?;
        }
        events.sort_by_key(|seen: &Seen| (seen.time, seen.arrival));
        Ok(Recorded { events })
    }

    fn record(&self, index: usize, source: &EventSource, into: &mut Vec<Seen>) -> Result<(), EngineError> {
        let table = self.snapshot.app().table(&source.table);
        let name = table.and_then(|table| table.event_name);
        let item = source.value.map(|value| value.column);
        let columns = [name.or(Some(source.time)), item.or(Some(source.time))];
        let actor = source.actor.or_else(|| table?.actor_column());
        let own =
            EventSource { breakdown: columns.to_vec(), actor, value: None, number: None, ..source.clone() };
        let (times, no_ties) = (Times { since: Vec::new(), until: self.as_of.micros() }, HashSet::new());
        let loading =
            Loading { arrivals: Arrivals::Read, ..self.loading(&times, Actors::Required, &no_ties) };
        let loaded = loading.load(std::slice::from_ref(&own))?;
        let value = |group: u32, place: usize, column: Option<usize>| {
            let column_type = self.column_type(&source.table, column?)?;
            let key = loaded.groups.get(group as usize)?.get(place)?;
            Some(key.value(column_type).to_json())
        };
        for ((time, arrival), (marks, group)) in loaded.fold(&RecordFold)? {
            into.push(Seen {
                time,
                arrival,
                marks,
                source: index,
                table: source.table.to_string(),
                name: value(group, 0, name).unwrap_or(Json::Null),
                item: value(group, 1, item).unwrap_or(Json::Null),
            });
        }
        Ok(())
    }
}
