//! Events that have just been written, for messages that are about one: where a pack looks up a text of an event by
//! its key, it is found here without a look at the table. What is older, or may be gone, the statement finds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use ebbtide_model::{
    AppName, AppSchema, ColumnType, Instant, Scope, TableKind, TableName, TableSchema, Tenants,
};
use ebbtide_store::{Snapshot, StoreError, TableRead};

use crate::routes::LiveRoute;

/// Of all tables together, at least: a message follows its event within seconds.
const EVENTS: usize = 20_000;

/// `SELECT column FROM table WHERE key = $name`, all of them texts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ByKey {
    table: TableName,
    key: usize,
    column: usize,
    /// Of the parameter.
    pub(super) name: String,
}

impl ByKey {
    /// `None`: the statement is another one.
    pub(super) fn of(statement: &str, schema: &AppSchema) -> Option<Self> {
        let words: Vec<&str> = statement.split_whitespace().collect();
        let [select, column, from, table, wherever, key, "=", name] = *words.as_slice() else { return None };
        let are_same = |(given, wanted): (&str, &str)| given.eq_ignore_ascii_case(wanted);
        if ![(select, "SELECT"), (from, "FROM"), (wherever, "WHERE")].into_iter().all(are_same) {
            return None;
        }
        let table = schema.tables.iter().find(|known| known.name.as_str() == table)?;
        let text = |name: &str| {
            let index = table.column_index(name)?;
            (table.columns[index].column_type == ColumnType::Text).then_some(index)
        };
        let (key, column) = (text(key)?, text(column)?);
        // What is there of an entity's key may be replaced.
        let fits = table.kind == TableKind::Events && table.key == [key] && table.time.is_some();
        let name = name.strip_prefix('$')?.to_owned();
        fits.then(|| Self { table: table.name.clone(), key, column, name })
    }
}

/// Whose events, and what of them.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Whose {
    app: AppName,
    tenants: Tenants,
    by: ByKey,
}

#[derive(Debug)]
struct Event {
    at: i64,
    text: Box<str>,
    /// What was read before it was written: where rows have gone since, it may be one of them.
    read: TableRead,
}

type Events = HashMap<Arc<Whose>, HashMap<Box<str>, Event>>;

/// The events of whose keys messages may be.
#[derive(Debug)]
pub(crate) struct Handed {
    wanted: Vec<(AppName, ByKey)>,
    events: Mutex<Generations>,
}

/// The older ones go once there are enough younger ones.
#[derive(Debug, Default)]
struct Generations {
    young: Events,
    young_count: usize,
    old: Events,
}

impl Handed {
    /// For the messages of these paths.
    pub(crate) fn new(lives: &[Arc<LiveRoute>]) -> Self {
        let mut wanted = Vec::new();
        for way in lives {
            let schema = &way.report.app.pack.schema;
            let found = way.live.receive.iter().flat_map(|receive| &receive.find);
            wanted
                .extend(found.filter_map(|find| {
                    ByKey::of(&find.statement, schema).map(|by| (schema.app.clone(), by))
                }));
        }
        Self { wanted, events: Mutex::default() }
    }

    /// Whether somebody may ask for events of a table.
    pub(crate) fn wants(&self, app: &AppName, table: &TableName) -> bool {
        self.wanted.iter().any(|(of, by)| of == app && by.table == *table)
    }

    /// Events of a scope that were written, none of which was there before.
    pub(crate) fn hand_over(&self, scope: &Scope, table: &TableSchema, batch: &RecordBatch, read: TableRead) {
        let times =
            table.time.and_then(|time| batch.column(time).as_primitive_opt::<TimestampMicrosecondType>());
        let Some(times) = times else { return };
        let own = self.wanted.iter().filter(|(of, by)| of == scope.app() && by.table == table.name);
        for (app, by) in own {
            let text = |column: usize| batch.column(column).as_string_opt::<i32>();
            let (Some(keys), Some(texts)) = (text(by.key), text(by.column)) else { continue };
            let whose = Whose { app: app.clone(), tenants: scope.tenants().clone(), by: by.clone() };
            let whose = Arc::new(whose);
            let rows = 0..batch.num_rows();
            let whole =
                rows.filter(|row| keys.is_valid(*row) && texts.is_valid(*row) && times.is_valid(*row));
            let events = whole.map(|row| {
                let event = Event { at: times.value(row), text: texts.value(row).into(), read };
                (Box::from(keys.value(row)), event)
            });
            self.lock().put(&whose, events);
        }
    }

    /// The text of an event of the scope as of now, where it was handed over and no row of its table has gone since.
    pub(super) fn find(
        &self,
        (snapshot, scope): (&Snapshot, &Scope),
        by: &ByKey,
        key: &str,
        now: Instant,
    ) -> Result<Option<String>, StoreError> {
        let whose = Whose { app: scope.app().clone(), tenants: scope.tenants().clone(), by: by.clone() };
        let found = {
            let events = self.lock();
            let event = events.get(&whose, key).filter(|event| event.at <= now.micros());
            event.map(|event| (event.read, event.text.to_string()))
        };
        let Some((read, text)) = found else { return Ok(None) };
        Ok(snapshot.arrived_since(scope, &by.table, read)?.map(|_| text))
    }

    /// The maps are whole whatever their holder did.
    fn lock(&self) -> std::sync::MutexGuard<'_, Generations> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn put(&mut self, whose: &Arc<Whose>, events: impl Iterator<Item = (Box<str>, Event)>) {
        let own = self.young.entry(whose.clone()).or_default();
        let before = own.len();
        own.extend(events);
        self.young_count += own.len() - before;
        if self.young_count >= EVENTS {
            self.old = std::mem::take(&mut self.young);
            self.young_count = 0;
        }
    }

    fn get(&self, whose: &Whose, key: &str) -> Option<&Event> {
        [&self.young, &self.old].into_iter().find_map(|events| events.get(whose)?.get(key))
    }
}

#[cfg(test)]
mod tests {
    use ebbtide_model::pack::Pack;

    use super::*;

    #[test]
    fn a_text_that_is_found_by_the_key_of_an_event_is_told_from_other_statements() {
        let pack = Pack::parse(
            "pack: a
tables:
  events: {kind: events, key: id, tenant: shop, actor: who, time: at, columns: {shop: text, id: text, who: text, n: int, at: timestamp}}
  things: {kind: entity, key: id, tenant: shop, columns: {shop: text, id: text, who: text}}
",
        )
        .unwrap();
        let of = |statement: &str| ByKey::of(statement, &pack.schema);
        let found = of("SELECT who FROM events WHERE id = $event_id").unwrap();
        assert_eq!((found.key, found.column, found.name.as_str()), (1, 2, "event_id"));
        assert_eq!(of("select who\n  from events where id = $event_id"), Some(found));
        for other in [
            "SELECT n FROM events WHERE id = $id",
            "SELECT who FROM events WHERE who = $id",
            "SELECT who FROM events WHERE id = 'id'",
            "SELECT who FROM events WHERE id <> $id",
            "SELECT who FROM events WHERE id = $id LIMIT 1",
            "SELECT who FROM things WHERE id = $id",
            "SELECT max(who) FROM events WHERE id = $id",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
