//! Preceding: counts into values. Keys are read only where simultaneous events leave a value undecided.

use std::cmp::Reverse;

use ebbtide_model::query::Preceding;
use ebbtide_model::{ColumnType, Fault, Instant, Value};
use hashbrown::HashMap;

use super::Asking;
use crate::EngineError;
use crate::answer::{ActorValue, PrecedingAnswer, ValueCount};
use crate::behaviour::drive::Loaded;
use crate::behaviour::key::Key;
use crate::behaviour::load::{Actors, NO_CODE, Times, Values};
use crate::behaviour::preceding::{ActorCount, PrecedingFold, PrecedingState};

/// Rows by actor, at most: they are for being joined with, so a part of them would mislead.
const ACTOR_ROWS_MAX: usize = 1_000_000;

impl Asking<'_> {
    /// Few values are ever looked at, so they are ranked only where ties have to be broken.
    pub(super) fn preceding(&self, preceding: &Preceding) -> Result<PrecedingAnswer, EngineError> {
        let since = self.query.from.map_or(i64::MIN, Instant::micros);
        let end = self.query.to.map_or(i64::MAX, |to| to.micros().saturating_sub(1));
        let times = Times { since: vec![since, i64::MIN], until: self.as_of.micros().min(end) };
        let loaded = self.load_unranked(&times, Actors::Required)?;
        let fold = PrecedingFold::new(preceding, &times).unranked(&loaded);
        let state = loaded.fold_codes(&fold)?;
        if state.ties.is_empty() {
            return self.counted(preceding, &loaded, &fold, Values::Unranked, state);
        }
        let loaded = self.load_with_keys(&times, Actors::Required, &state.ties)?;
        let fold = PrecedingFold::new(preceding, &times);
        let state = loaded.fold(&fold)?;
        self.counted(preceding, &loaded, &fold, Values::Ranked, state)
    }

    fn counted(
        &self,
        preceding: &Preceding,
        loaded: &Loaded<'_>,
        fold: &PrecedingFold<'_>,
        values: Values,
        state: PrecedingState,
    ) -> Result<PrecedingAnswer, EngineError> {
        let reading =
            Reading { asking: self, preceding, loaded, fold, values, value_type: self.value_type() };
        Ok(PrecedingAnswer {
            total: state.total,
            values: reading.values(&state),
            actors: if preceding.per_actor { Some(reading.actors(state)?) } else { None },
        })
    }
}

struct Reading<'a> {
    asking: &'a Asking<'a>,
    preceding: &'a Preceding,
    loaded: &'a Loaded<'a>,
    fold: &'a PrecedingFold<'a>,
    values: Values,
    value_type: Option<ColumnType>,
}

impl<'a> Reading<'a> {
    fn values(&self, state: &PrecedingState) -> Vec<ValueCount> {
        let mut by_value: HashMap<Key<'_>, u64> = HashMap::new();
        for (code, count) in state.counts.iter().filter(|(code, _)| self.is_shown(*code)) {
            *by_value.entry(self.key(code)).or_default() += count;
        }
        let mut counts: Vec<(Key<'_>, u64)> = by_value.into_iter().collect();
        counts.sort_unstable_by(|(left, left_count), (right, right_count)| {
            Reverse(left_count).cmp(&Reverse(right_count)).then_with(|| left.cmp_null_last(*right))
        });
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
        // They nearly are already.
        rows.sort_by(|left, right| {
            let actors = (&left.tenant, &left.actor).cmp(&(&right.tenant, &right.actor));
            actors.then_with(|| self.fold.compare(left.value, right.value))
        });
        let row = |row: &ActorCount| ActorValue {
            id: self.asking.actor_id(&row.tenant, &row.actor),
            value: self.value(self.key(row.value)),
            count: row.count,
        };
        Ok(rows.iter().map(row).collect())
    }

    fn key(&self, code: u32) -> Key<'a> {
        match self.values {
            _ if code == NO_CODE => Key::Null,
            Values::Unranked => self.loaded.unranked(code),
            Values::Ranked => self.loaded.values.get(code as usize).map_or(Key::Null, |key| key.as_key()),
        }
    }

    fn is_shown(&self, code: u32) -> bool {
        !self.preceding.skip_empty || !matches!(self.key(code), Key::Null | Key::Text(""))
    }

    fn value(&self, key: Key<'_>) -> Value {
        self.value_type.map_or(Value::Null, |column_type| key.value(column_type))
    }
}
