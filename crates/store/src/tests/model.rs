//! What a store should hold, by the simplest means.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A row of every test table. In a table that finds its tenants through a parent, `tenant` is what was
/// found, and `actor` names the parent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Row {
    pub(super) tenant: &'static str,
    pub(super) id: i64,
    pub(super) actor: Option<i64>,
    pub(super) at: Option<i64>,
    pub(super) note: Option<&'static str>,
}

pub(super) const TENANTS: [&str; 3] = ["a", "b", "c"];
/// Of a row that waits.
pub(super) const NOBODY: &str = "";

/// The test tables by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    KeyedEvents,
    KeylessEvents,
    Entity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TestTable {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// The index of the table through which rows find their tenant.
    pub(super) parent: Option<usize>,
}

const fn table(name: &'static str, kind: Kind, parent: Option<usize>) -> TestTable {
    TestTable { name, kind, parent }
}

/// The first three are those of the folder of version 1.
pub(super) const TABLES: [TestTable; 8] = [
    table("events", Kind::KeyedEvents, None),
    table("visits", Kind::KeylessEvents, None),
    table("cards", Kind::Entity, None),
    table("shops", Kind::Entity, None),
    table("orders", Kind::Entity, Some(3)),
    table("lines", Kind::KeyedEvents, Some(4)),
    table("remarks", Kind::KeylessEvents, Some(4)),
    table("labels", Kind::Entity, Some(3)),
];
pub(super) const VERSION_1_TABLES: usize = 3;

/// Whether others find their tenant through a table.
pub(super) fn is_parent(index: usize) -> bool {
    TABLES.iter().any(|table| table.parent == Some(index))
}

fn children(index: usize) -> impl Iterator<Item = usize> {
    (0..TABLES.len()).filter(move |&child| TABLES[child].parent == Some(index))
}

/// What makes a row that row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Identity {
    Key(&'static str, i64),
    /// The n-th of its contents, of a tenant.
    Contents(&'static str, Row, u32),
    /// A key that waits for this parent.
    Orphan(Option<i64>, i64),
}

/// A row with its arrival number.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stored {
    row: Row,
    number: u64,
}

type Rows = BTreeMap<Identity, Stored>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ModelTable {
    rows: Rows,
    waiting: Rows,
}

/// How often each row came in a file.
#[derive(Clone, Debug, Default)]
pub(super) struct ModelFile {
    seen: HashMap<Row, u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) tables: [ModelTable; TABLES.len()],
    last_number: u64,
}

/// What became of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) accepted: usize,
    pub(super) duplicates: usize,
    pub(super) waiting: usize,
    pub(super) rejected: usize,
}

impl Counts {
    pub(super) fn add(&mut self, more: Self) {
        self.accepted += more.accepted;
        self.duplicates += more.duplicates;
        self.waiting += more.waiting;
        self.rejected += more.rejected;
    }
}

impl ModelTable {
    pub(super) fn sorted(&self, tenant: Option<&str>) -> Vec<Row> {
        let rows = self.rows.values().map(|stored| &stored.row);
        let own = |row: &&Row| tenant.is_none_or(|tenant| tenant == row.tenant);
        let mut rows: Vec<Row> = rows.filter(own).cloned().collect();
        rows.sort();
        rows
    }

    pub(super) fn waiting(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = self.waiting.values().map(|stored| stored.row.clone()).collect();
        rows.sort();
        rows
    }
}

/// Rows on their way into a map: each with its identity and number.
type Coming = Vec<(Identity, Stored)>;

/// Stores rows by the rules for all tables; which identities are new or newly stored.
fn store(rows: &mut Rows, kind: Kind, coming: Coming, counts: &mut Counts) -> Vec<Identity> {
    // A batch that comes again changes nothing, whatever versions it went through.
    let last: BTreeMap<Identity, &Stored> = coming
        .iter()
        .filter(|(id, row)| !is_moved(rows, id, row))
        .map(|(id, row)| (id.clone(), row))
        .collect();
    let is_same = |id: &Identity, row: &Stored| rows.get(id).is_some_and(|stored| stored.row == row.row);
    let unchanged: BTreeSet<Identity> =
        last.into_iter().filter(|(id, row)| is_same(id, row)).map(|(id, _)| id).collect();
    let mut kept = Vec::new();
    for (id, row) in coming {
        if is_moved(rows, &id, &row) {
            counts.rejected += 1;
            continue;
        }
        let is_new = match rows.get(&id) {
            None => true,
            Some(stored) => kind == Kind::Entity && stored.row != row.row && !unchanged.contains(&id),
        };
        if is_new {
            rows.insert(id.clone(), row);
            counts.accepted += 1;
            kept.push(id);
        } else {
            counts.duplicates += 1;
        }
    }
    kept
}

/// Whether a key that is the app's belongs to another tenant.
fn is_moved(rows: &Rows, id: &Identity, row: &Stored) -> bool {
    rows.get(id).is_some_and(|stored| stored.row.tenant != row.row.tenant)
}

impl Model {
    pub(super) fn append(&mut self, table: usize, rows: &[Row], file: &mut ModelFile) -> Counts {
        self.append_part(table, rows, file, true)
    }

    /// As it is where a crash has taken those rows of an import whose parents are known, and left those
    /// that wait.
    pub(super) fn append_orphans(&mut self, table: usize, rows: &[Row], file: &mut ModelFile) {
        self.append_part(table, rows, file, false);
    }

    fn append_part(&mut self, table: usize, rows: &[Row], file: &mut ModelFile, with_known: bool) -> Counts {
        let mut counts = Counts::default();
        let (mut known, mut orphans): (Coming, Coming) = (Vec::new(), Vec::new());
        for row in rows {
            let mut row = row.clone();
            if TABLES[table].parent.is_some() {
                if row.actor.is_none() {
                    counts.rejected += 1;
                    continue;
                }
                row.tenant = NOBODY;
            }
            self.last_number += 1;
            let number = self.last_number;
            let nth = match TABLES[table].kind {
                Kind::KeylessEvents => {
                    let count = file.seen.entry(row.clone()).or_default();
                    *count += 1;
                    *count
                }
                Kind::KeyedEvents | Kind::Entity => 0,
            };
            match self.tenant_of(table, &row) {
                Some(tenant) => {
                    let id = self.identity(table, tenant, &row, nth);
                    row.tenant = tenant;
                    known.push((id, Stored { row, number }));
                }
                None => orphans.push((self.orphan(table, &row, nth), Stored { row, number })),
            }
        }
        if with_known {
            let kept = store(&mut self.tables[table].rows, TABLES[table].kind, known, &mut counts);
            self.supersede(table);
            self.keep_waiting(table, orphans, &mut counts);
            self.place_children(table, &kept);
        } else {
            let mut rows = self.tables[table].rows.clone();
            store(&mut rows, TABLES[table].kind, known, &mut counts);
            let is_last =
                |id: &Identity, row: &Stored| rows.get(id).is_none_or(|other| other.number < row.number);
            orphans.retain(|(id, row)| !is_parent(table) || is_last(id, row));
            self.keep_waiting(table, orphans, &mut counts);
        }
        counts
    }

    /// Whose a row is, by its own word or its parent's row.
    fn tenant_of(&self, table: usize, row: &Row) -> Option<&'static str> {
        let Some(parent) = TABLES[table].parent else { return Some(row.tenant) };
        let id = Identity::Key(NOBODY, row.actor?);
        self.tables[parent].rows.get(&id).map(|stored| stored.row.tenant)
    }

    fn identity(&self, table: usize, tenant: &'static str, row: &Row, nth: u32) -> Identity {
        match TABLES[table].kind {
            Kind::KeylessEvents => Identity::Contents(tenant, Row { tenant: NOBODY, ..row.clone() }, nth),
            Kind::KeyedEvents | Kind::Entity if is_parent(table) => Identity::Key(NOBODY, row.id),
            Kind::KeyedEvents | Kind::Entity => Identity::Key(tenant, row.id),
        }
    }

    fn orphan(&self, table: usize, row: &Row, nth: u32) -> Identity {
        match TABLES[table].kind {
            Kind::KeylessEvents => Identity::Contents(NOBODY, row.clone(), nth),
            Kind::KeyedEvents | Kind::Entity if is_parent(table) => Identity::Key(NOBODY, row.id),
            Kind::KeyedEvents | Kind::Entity => Identity::Orphan(row.actor, row.id),
        }
    }

    /// Older versions of what is stored wait no more, where a key is the app's.
    fn supersede(&mut self, table: usize) {
        let ModelTable { rows, waiting } = &mut self.tables[table];
        if is_parent(table) {
            waiting.retain(|id, row| rows.get(id).is_none_or(|stored| stored.number < row.number));
        }
    }

    fn keep_waiting(&mut self, table: usize, mut orphans: Coming, counts: &mut Counts) {
        let ModelTable { rows, waiting } = &mut self.tables[table];
        if is_parent(table) {
            orphans.retain(|(id, row)| {
                let Some(stored) = rows.get(id) else { return true };
                let is_same = stored.row == Row { tenant: stored.row.tenant, ..row.row.clone() };
                let is_newer = stored.number > row.number;
                counts.duplicates += usize::from(is_same);
                counts.accepted += usize::from(!is_same && is_newer);
                !is_same && !is_newer
            });
        }
        let mut own = Counts::default();
        store(waiting, TABLES[table].kind, orphans, &mut own);
        counts.waiting += own.accepted;
        counts.duplicates += own.duplicates;
    }

    /// Places what waits for these rows, and what waits for that.
    fn place_children(&mut self, table: usize, kept: &[Identity]) {
        let ids: BTreeSet<Option<i64>> = kept
            .iter()
            .filter_map(|id| self.tables[table].rows.get(id))
            .map(|own| Some(own.row.id))
            .collect();
        for child in children(table) {
            let waiting = &mut self.tables[child].waiting;
            let mut due: Coming = Vec::new();
            waiting.retain(|id, row| {
                let is_due = ids.contains(&row.row.actor);
                due.extend(is_due.then(|| (id.clone(), row.clone())));
                !is_due
            });
            due.sort_by_key(|(_, row)| row.number);
            let begun = self.last_number;
            let mut placed = Vec::new();
            for (orphan, row) in due {
                let Some(tenant) = self.tenant_of(child, &row.row) else { continue };
                let nth = if let Identity::Contents(_, _, nth) = orphan { nth } else { 0 };
                let id = self.identity(child, tenant, &row.row, nth);
                let owned = Row { tenant, ..row.row };
                self.last_number += 1;
                let is_new = match self.tables[child].rows.get(&id) {
                    None => true,
                    Some(stored) if TABLES[child].kind != Kind::Entity => {
                        assert_eq!(stored.row.tenant, tenant);
                        false
                    }
                    Some(stored) => {
                        let came_later = stored.number > row.number && stored.number <= begun;
                        stored.row.tenant == tenant && stored.row != owned && !came_later
                    }
                };
                if is_new {
                    let number = self.last_number;
                    self.tables[child].rows.insert(id.clone(), Stored { row: owned, number });
                    placed.push(id);
                }
            }
            self.place_children(child, &placed);
        }
    }

    /// How many rows there were. Where keys are the app's it is anybody's row, and one that waits goes too.
    pub(super) fn delete(&mut self, table: usize, tenant: &'static str, ids: &[i64]) -> u64 {
        let tenant = if is_parent(table) { NOBODY } else { tenant };
        let ModelTable { rows, waiting } = &mut self.tables[table];
        let before = rows.len();
        for id in ids {
            rows.remove(&Identity::Key(tenant, *id));
            if is_parent(table) {
                waiting.remove(&Identity::Key(NOBODY, *id));
            }
        }
        (before - rows.len()) as u64
    }

    pub(super) fn clear(&mut self, table: usize, tenant: Option<&str>) -> u64 {
        let ModelTable { rows, waiting } = &mut self.tables[table];
        let before = rows.len();
        rows.retain(|_, stored| tenant.is_some_and(|tenant| tenant != stored.row.tenant));
        if tenant.is_none() {
            waiting.clear();
        }
        (before - rows.len()) as u64
    }
}
