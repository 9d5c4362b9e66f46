//! What an app's tables look like: the part of a pack that storage and queries need.

use std::collections::BTreeSet;

use crate::{AppName, Calendar, ColumnType, TableName};

/// The tables of an app. Made by a checked pack only, so every index in it is in range and every
/// named parent exists.
#[derive(Clone, Debug, PartialEq)]
pub struct AppSchema {
    pub app: AppName,
    /// Days, weeks and months of the app's reports.
    pub calendar: Calendar,
    /// Parents before children.
    pub tables: Vec<TableSchema>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TableSchema {
    pub name: TableName,
    pub kind: TableKind,
    pub columns: Vec<Column>,
    /// Indexes of the columns that make the key. An entity has one at least. An event stream without
    /// one counts rows by their contents: the n-th occurrence in one file is one row for ever.
    pub key: Vec<usize>,
    pub tenant: TenantRule,
    /// Index of the column that says whose behaviour a row records. An entity without a declared one
    /// has its key.
    pub actor: Option<usize>,
    /// Index of the column by which a row exists at an `as_of`, of type `timestamp`; without one a row
    /// always exists.
    pub time: Option<usize>,
    /// Index of the text column that names an event.
    pub event_name: Option<usize>,
    /// How rows carry properties besides the declared columns, where they may. An event stream with a
    /// tenant of its own.
    pub open: Option<Open>,
    /// Where other names of its actors stand, whose events are then theirs.
    pub aliases: Option<AliasTable>,
    /// Where properties of its actors stand.
    pub actor_props: Option<ActorPropsTable>,
}

/// A table whose rows have properties that no pack declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The field of a row that holds them, as an object. No column is called so.
    pub field: String,
    /// How many of the table's columns are declared. Those behind them are properties: none in a pack's
    /// schema, those of a scope's own rows in a snapshot's.
    pub declared: usize,
    /// How many of them a pack declares or rows have. Those behind are assumed, see [`AppSchema::assuming`].
    pub known: usize,
}

/// An entity table in which each row says that what `alias` did was done by `actor`. Both columns are of
/// the type of the stream's actors, and `alias` is the table's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasTable {
    pub table: TableName,
    pub alias: usize,
    pub actor: usize,
}

/// An entity table in which each row is a property of an actor: its key is `actor` and `name`, and `value` is
/// canonical JSON text, null where the property was taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActorPropsTable {
    pub table: TableName,
    pub actor: usize,
    pub name: usize,
    pub value: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// Append-only; the first arrival of a key wins.
    Events,
    /// The latest arrival of a key replaces the whole row.
    Entity,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub column_type: ColumnType,
    pub nullable: bool,
}

/// How a row's tenant is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantRule {
    /// By the canonical text of a column of its own. A null there means `default`, or is refused
    /// where there is none.
    Column { column: usize, default: Option<crate::TenantId> },
    /// By the row of `parent` whose key is this row's column `by`.
    Parent { parent: TableName, by: usize },
    /// The app has one tenant.
    Fixed(crate::TenantId),
}

impl AppSchema {
    pub fn table(&self, name: &TableName) -> Option<&TableSchema> {
        self.tables.iter().find(|table| table.name == *name)
    }

    /// The same tables, the open ones with these names as properties, of type `mixed`, where they lack them: a
    /// property that nobody has is as good as any.
    #[must_use]
    pub fn assuming<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut assumed = self.clone();
        let names: BTreeSet<&str> = names.into_iter().collect();
        for table in assumed.tables.iter_mut().filter(|table| table.open.is_some()) {
            let known: BTreeSet<String> = table.columns.iter().map(|column| column.name.clone()).collect();
            let unknown = names.iter().filter(|name| !known.contains(**name));
            table.columns.extend(unknown.map(|name| Column {
                name: (*name).to_owned(),
                column_type: ColumnType::Mixed,
                nullable: true,
            }));
        }
        assumed
    }

    /// With the tables that every app has besides its own.
    #[must_use]
    pub fn with_system_tables(mut self) -> Self {
        let own =
            [crate::cohort::system_tables(), crate::reject::system_tables(), crate::card::system_tables()];
        for table in own.into_iter().flatten() {
            if self.table(&table.name).is_none() {
                self.tables.push(table);
            }
        }
        self
    }

    /// The tables that the pack declares.
    pub fn declared_tables(&self) -> impl Iterator<Item = &TableSchema> {
        self.tables.iter().filter(|table| !table.name.is_system())
    }

    /// Whether other tables find their tenant through this one; its keys are then unique in the app.
    pub fn is_parent(&self, name: &TableName) -> bool {
        self.tables
            .iter()
            .any(|table| matches!(&table.tenant, TenantRule::Parent { parent, .. } if parent == name))
    }
}

impl TableSchema {
    /// One of the tables that an app has besides its own: an entity.
    pub(crate) fn of_system(
        name: TableName,
        columns: Vec<Column>,
        key: Vec<usize>,
        tenant: TenantRule,
    ) -> Self {
        Self {
            name,
            kind: TableKind::Entity,
            columns,
            key,
            tenant,
            actor: None,
            time: None,
            event_name: None,
            aliases: None,
            actor_props: None,
            open: None,
        }
    }

    pub(crate) fn column(name: &str, column_type: ColumnType, nullable: bool) -> Column {
        Column { name: name.to_owned(), column_type, nullable }
    }

    /// The columns that the pack declares.
    pub fn declared(&self) -> &[Column] {
        let declared = self.open.as_ref().map_or(self.columns.len(), |open| open.declared);
        self.columns.get(..declared).unwrap_or(&self.columns)
    }

    /// The properties of an open table, as columns of their own.
    pub fn properties(&self) -> &[Column] {
        &self.columns[self.declared().len()..]
    }

    /// Whether a column, by its index, is a property that no row is known to have.
    pub fn is_assumed(&self, index: usize) -> bool {
        self.open.as_ref().is_some_and(|open| index >= open.known)
    }

    /// Whether a column, by its index, is a property of an open table.
    pub fn is_property(&self, index: usize) -> bool {
        index >= self.declared().len()
    }

    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The column that orders rows within a tenant and says whose they are: the declared actor, else
    /// (for an entity) a key of one column.
    pub fn actor_column(&self) -> Option<usize> {
        match (self.actor, self.kind, self.key.as_slice()) {
            (Some(actor), _, _) => Some(actor),
            (None, TableKind::Entity, [key]) => Some(*key),
            (None, _, _) => None,
        }
    }
}
