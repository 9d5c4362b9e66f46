//! Preceding: counts into values. Keys are read only where simultaneous events leave a value undecided.

use std::cmp::Reverse;

use arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::datatypes::TimestampMicrosecondType;
use ebbtide_model::query::{ParentColumn, Preceding};
use ebbtide_model::{ColumnType, Fault, Instant, Value};
use ebbtide_store::ColumnRef;
use hashbrown::HashMap;

use super::Asking;
use crate::EngineError;
use crate::answer::{ActorValue, GroupValue, PrecedingAnswer, ValueCount};
use crate::behaviour::drive::Loaded;
use crate::behaviour::key::{Key, KeyColumn, OwnedKey};
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
        if let Some(parent) = &self.query.parent
            && let Some(answer) = self.preceding_by_codes(preceding, parent, &times)?
        {
            return Ok(answer);
        }
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
        let (total, values) = (state.total, reading.values(&state));
        Ok(match &self.query.parent {
            Some(parent) => {
                let groups = Some(reading.groups(&state, parent)?);
                PrecedingAnswer { total, values, actors: None, groups }
            }
            None => {
                let actors = if preceding.per_actor { Some(reading.actors(state)?) } else { None };
                PrecedingAnswer { total, values, actors, groups: None }
            }
        })
    }
}

/// When the rows of a parent came to be.
pub(super) fn parent_times(column: &ArrayRef) -> Result<TimestampMicrosecondArray, EngineError> {
    let times = column.as_primitive_opt::<TimestampMicrosecondType>().cloned();
    times.ok_or_else(|| EngineError::Layout { found: column.data_type().to_string() })
}

/// Whether a row exists at a moment: one without a time does at any.
pub(super) fn is_until(times: Option<&TimestampMicrosecondArray>, row: usize, as_of: Instant) -> bool {
    times.is_none_or(|times| times.is_null(row) || times.value(row) <= as_of.micros())
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

    /// By what the actors' own rows have in a column.
    fn groups(&self, state: &PrecedingState, parent: &ParentColumn) -> Result<Vec<GroupValue>, EngineError> {
        let Asking { snapshot, scope, .. } = self.asking;
        let mut of_actor: HashMap<OwnedKey, OwnedKey> = HashMap::new();
        for part in snapshot.table(scope, &parent.table)?.parts() {
            let mut columns = vec![ColumnRef::Declared(parent.key), ColumnRef::Declared(parent.column)];
            columns.extend(parent.time.map(ColumnRef::Declared));
            for batch in part.scan(&columns)? {
                let batch = batch?;
                let (keys, values) = (KeyColumn::of(batch.column(0))?, KeyColumn::of(batch.column(1))?);
                let times = batch.columns().get(2).map(parent_times).transpose()?;
                let row = |row: usize| (keys.at(row).to_owned(), values.at(row).to_owned());
                let exists = |row: &usize| is_until(times.as_ref(), *row, self.asking.as_of);
                of_actor.extend((0..batch.num_rows()).filter(exists).map(row));
            }
        }
        let mut counts: HashMap<(&OwnedKey, Key<'_>), u64> = HashMap::new();
        for row in state.actors.iter().filter(|row| self.is_shown(row.value)) {
            if let Some(group) = of_actor.get(&row.actor) {
                *counts.entry((group, self.key(row.value))).or_default() += row.count;
            }
        }
        let mut counts: Vec<((&OwnedKey, Key<'_>), u64)> = counts.into_iter().collect();
        counts.sort_unstable_by(|((left, left_value), left_count), ((right, right_value), right_count)| {
            left.cmp_null_last(right)
                .then_with(|| right_count.cmp(left_count))
                .then_with(|| left_value.cmp_null_last(*right_value))
        });
        let limit = self.preceding.limit.map_or(usize::MAX, |limit| limit as usize);
        let groups = counts.chunk_by(|((left, _), _), ((right, _), _)| left == right);
        let row = |((group, value), count): &((&OwnedKey, Key<'_>), u64)| GroupValue {
            by: group.value(parent.column_type),
            value: self.value(*value),
            count: *count,
        };
        Ok(groups.flat_map(|group| group.iter().take(limit)).map(row).collect())
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
