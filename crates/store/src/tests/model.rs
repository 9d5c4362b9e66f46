//! What a store should hold, by the simplest means.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A row of every test table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Row {
    pub(super) tenant: &'static str,
    pub(super) id: i64,
    pub(super) actor: Option<i64>,
    pub(super) at: Option<i64>,
    pub(super) note: Option<&'static str>,
}

pub(super) const TENANTS: [&str; 3] = ["a", "b", "c"];

/// The test tables by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    KeyedEvents,
    KeylessEvents,
    Entity,
}

pub(super) const TABLES: [(&str, Kind); 3] =
    [("events", Kind::KeyedEvents), ("visits", Kind::KeylessEvents), ("cards", Kind::Entity)];

/// What makes a row that row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Identity {
    Key(&'static str, i64),
    Contents(Row, u32),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ModelTable {
    rows: BTreeMap<Identity, Row>,
}

/// How often each row came in a file.
#[derive(Clone, Debug, Default)]
pub(super) struct ModelFile {
    seen: HashMap<Row, u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) tables: [ModelTable; 3],
}

impl ModelTable {
    pub(super) fn sorted(&self, tenant: Option<&str>) -> Vec<Row> {
        let own = |row: &&Row| tenant.is_none_or(|tenant| tenant == row.tenant);
        let mut rows: Vec<Row> = self.rows.values().filter(own).cloned().collect();
        rows.sort();
        rows
    }
}

impl Model {
    /// How many rows are accepted, and how many are there already.
    pub(super) fn append(&mut self, table: usize, rows: &[Row], file: &mut ModelFile) -> (usize, usize) {
        let kind = TABLES[table].1;
        let stored = &mut self.tables[table].rows;
        let (mut accepted, mut duplicates) = (0, 0);
        // A batch that comes again changes nothing, whatever versions it went through.
        let is_last_version = |row: &&Row| stored.get(&Identity::Key(row.tenant, row.id)) == Some(row);
        let last: BTreeMap<_, &Row> = rows.iter().map(|row| ((row.tenant, row.id), row)).collect();
        let unchanged: BTreeSet<_> =
            last.into_iter().filter(|(_, row)| is_last_version(row)).map(|(key, _)| key).collect();
        for row in rows {
            let identity = match kind {
                Kind::KeylessEvents => {
                    let count = file.seen.entry(row.clone()).or_default();
                    *count += 1;
                    Identity::Contents(row.clone(), *count)
                }
                Kind::KeyedEvents | Kind::Entity => Identity::Key(row.tenant, row.id),
            };
            let is_new = match stored.get(&identity) {
                None => true,
                Some(stored) => {
                    kind == Kind::Entity && stored != row && !unchanged.contains(&(row.tenant, row.id))
                }
            };
            if is_new {
                stored.insert(identity, row.clone());
                accepted += 1;
            } else {
                duplicates += 1;
            }
        }
        (accepted, duplicates)
    }

    /// How many rows there were.
    pub(super) fn delete(&mut self, table: usize, tenant: &'static str, ids: &[i64]) -> u64 {
        let stored = &mut self.tables[table].rows;
        let before = stored.len();
        for id in ids {
            stored.remove(&Identity::Key(tenant, *id));
        }
        (before - stored.len()) as u64
    }

    pub(super) fn clear(&mut self, table: usize, tenant: Option<&str>) -> u64 {
        let stored = &mut self.tables[table].rows;
        let before = stored.len();
        stored.retain(|_, row| tenant.is_some_and(|tenant| tenant != row.tenant));
        (before - stored.len()) as u64
    }
}
