//! Preceding: counts into values. Keys are read only where simultaneous events leave a value undecided.

use std::cmp::Reverse;

use ebbtide_model::query::Preceding;
use ebbtide_model::{Fault, Instant, Value};

use super::Asking;
use crate::EngineError;
use crate::answer::{ActorValue, PrecedingAnswer, ValueCount};
use crate::behaviour::drive::Loaded;
use crate::behaviour::key::OwnedKey;
use crate::behaviour::load::{Actors, Times};
use crate::behaviour::preceding::{ActorCount, PrecedingFold, PrecedingState};

/// Rows by actor, at most: they are for being joined with, so a part of them would mislead.
const ACTOR_ROWS_MAX: usize = 1_000_000;

impl Asking<'_> {
    pub(super) fn preceding(&self, preceding: &Preceding) -> Result<PrecedingAnswer, EngineError> {
        let since = self.query.from.map_or(i64::MIN, Instant::micros);
        let end = self.query.to.map_or(i64::MAX, |to| to.micros().saturating_sub(1));
        let times = Times { since: vec![since, i64::MIN], until: self.as_of.micros().min(end) };
        let fold = PrecedingFold::new(preceding);
        let mut loaded = self.load(&times, Actors::Required)?;
        let mut state = loaded.fold(&fold)?;
        if !state.ties.is_empty() {
            loaded = self.load_with_keys(&times, Actors::Required, &state.ties)?;
            state = loaded.fold(&fold)?;
        }
        let reading = Reading { asking: self, preceding, loaded: &loaded };
        Ok(PrecedingAnswer {
            total: state.counts.values().sum(),
            values: reading.values(&state),
            actors: if preceding.per_actor { Some(reading.actors(state)?) } else { None },
        })
    }
}

struct Reading<'a> {
    asking: &'a Asking<'a>,
    preceding: &'a Preceding,
    loaded: &'a Loaded<'a>,
}

impl Reading<'_> {
    fn values(&self, state: &PrecedingState) -> Vec<ValueCount> {
        let shown = state.counts.iter().filter(|(value, _)| self.is_shown(**value));
        let mut counts: Vec<(u32, u64)> = shown.map(|(value, count)| (*value, *count)).collect();
        // Ranks are in the order of values, and that of null is the last.
        counts.sort_unstable_by_key(|(value, count)| (Reverse(*count), *value));
        counts.truncate(self.preceding.limit.map_or(usize::MAX, |limit| limit as usize));
        counts.into_iter().map(|(value, count)| ValueCount { value: self.value(value), count }).collect()
    }

    fn actors(&self, state: PrecedingState) -> Result<Vec<ActorValue>, Fault> {
        let mut rows = state.actors;
        rows.retain(|row| self.is_shown(row.value));
        if rows.len() > ACTOR_ROWS_MAX {
            let problem =
                format!("true was given, which makes {} rows; allowed are {ACTOR_ROWS_MAX}", rows.len());
            return Err(Fault { path: "per_actor".to_owned(), problem });
        }
        rows.sort_unstable();
        let row = |row: &ActorCount| ActorValue {
            id: self.asking.actor_id(&row.tenant, &row.actor),
            value: self.value(row.value),
            count: row.count,
        };
        Ok(rows.iter().map(row).collect())
    }

    fn key(&self, rank: u32) -> Option<&OwnedKey> {
        self.loaded.values.get(rank as usize)
    }

    fn is_shown(&self, rank: u32) -> bool {
        let empty = |key: &OwnedKey| matches!(key, OwnedKey::Text(text) if text.is_empty());
        !self.preceding.skip_empty || self.key(rank).is_some_and(|key| !empty(key))
    }

    fn value(&self, rank: u32) -> Value {
        let found = self.key(rank).zip(self.asking.value_type());
        found.map_or(Value::Null, |(key, column_type)| key.value(column_type))
    }
}
