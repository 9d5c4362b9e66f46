//! What the manifest says: which tables there are, how they are laid out, which segments they have, and
//! from which record on the log is needed.

use std::collections::BTreeMap;
use std::sync::Arc;

use ebbtide_model::{
    AppName, Column, ColumnType, Property, PropertyKind, TableKind, TableName, TableSchema, TenantId,
    TenantRule,
};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::manifest::HexId;
use crate::properties::Properties;
use crate::segment::Descriptor;

/// The body of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Catalog {
    /// Made once with the folder: its log files carry it, so that those of another are refused.
    pub(crate) folder: HexId,
    /// Keys of rows are hashed with it, so that nobody outside can aim for collisions.
    pub(crate) secret: HexId,
    /// No row in a segment has this number or a higher one; the log may.
    pub(crate) sequence_next: u64,
    /// No segment has this number or a higher one, not even one that a crash left unfinished.
    pub(crate) segment_next: u64,
    /// Log records with lower numbers are in segments, or void.
    pub(crate) logged_next: u64,
    pub(crate) tables: Vec<CatalogTable>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CatalogTable {
    pub(crate) app: String,
    pub(crate) table: String,
    pub(crate) layout: Layout,
    /// The number of the last change of its rows.
    pub(crate) version: u64,
    /// No tenant's last change counts as older than this. Absent in version 1, which did not tell
    /// tenants apart: as new as `version`.
    #[serde(default)]
    pub(crate) floor: Option<u64>,
    /// Tenants whose last change was a deletion, which no stored row tells.
    #[serde(default)]
    pub(crate) deletions: Vec<Deletion>,
    pub(crate) segments: Vec<Descriptor>,
    pub(crate) clears: Vec<Clear>,
    /// Of an open table. Absent before version 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) properties: Option<CatalogProperties>,
}

/// The columns of properties, and whose rows have them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CatalogProperties {
    /// By index.
    columns: Vec<CatalogProperty>,
    /// The indexes of each tenant's columns, such as `0-4,7`.
    users: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogProperty {
    name: String,
    kind: String,
}

impl CatalogProperties {
    pub(crate) fn of(properties: &Properties) -> Self {
        let column = |property: &Property| CatalogProperty {
            name: property.name.to_string(),
            kind: property.kind.name().to_owned(),
        };
        let users = properties.users();
        Self {
            columns: properties.columns().iter().map(column).collect(),
            users: users.into_iter().map(|(tenant, columns)| (tenant.to_string(), ranges(columns))).collect(),
        }
    }

    /// `None` if a kind or a list of indexes is not one of ours.
    pub(crate) fn restored(&self) -> Option<Properties> {
        let column = |column: &CatalogProperty| {
            Some(Property::new(&column.name, PropertyKind::from_name(&column.kind)?))
        };
        let columns: Option<Vec<Property>> = self.columns.iter().map(column).collect();
        let user = |(tenant, columns): (&String, &String)| Some((Arc::from(&**tenant), of_ranges(columns)?));
        let users: Option<Vec<(Arc<str>, RoaringBitmap)>> = self.users.iter().map(user).collect();
        Some(Properties::restored(columns?, users?))
    }
}

fn ranges(columns: &RoaringBitmap) -> String {
    let mut text = String::new();
    let mut open: Option<(u32, u32)> = None;
    let mut write = |run: Option<(u32, u32)>| {
        let Some((first, last)) = run else { return };
        let comma = if text.is_empty() { "" } else { "," };
        text += &if first == last { format!("{comma}{first}") } else { format!("{comma}{first}-{last}") };
    };
    for index in columns {
        open = match open {
            Some((first, last)) if last + 1 == index => Some((first, index)),
            run => {
                write(run);
                Some((index, index))
            }
        };
    }
    write(open);
    text
}

fn of_ranges(text: &str) -> Option<RoaringBitmap> {
    let mut columns = RoaringBitmap::new();
    for run in text.split(',').filter(|run| !run.is_empty()) {
        let (first, last) = run.split_once('-').unwrap_or((run, run));
        columns.insert_range(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?);
    }
    Some(columns)
}

/// When rows of a tenant last went away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deletion {
    pub(crate) tenant: String,
    pub(crate) number: u64,
}

impl Deletion {
    pub(crate) fn new((tenant, number): (&Arc<str>, u64)) -> Self {
        Self { tenant: tenant.to_string(), number }
    }
}

/// Rows of a tenant, or of everybody, that arrived before this number are deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Clear {
    pub(crate) tenant: Option<String>,
    pub(crate) before: u64,
}

/// What of a table's declaration its stored rows depend on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Layout {
    kind: Kind,
    columns: Vec<LayoutColumn>,
    key: Vec<String>,
    actor: Option<String>,
    time: Option<String>,
    tenant: Tenant,
    /// Others find their tenant through this table.
    parent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Events,
    Entity,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LayoutColumn {
    name: String,
    r#type: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tenant {
    Column(String),
    Parent { parent: String, by: String },
    Fixed(String),
}

impl Layout {
    pub(crate) fn of(table: &TableSchema, parent: bool) -> Self {
        let name = |index: usize| table.columns[index].name.clone();
        Self {
            kind: match table.kind {
                TableKind::Events => Kind::Events,
                TableKind::Entity => Kind::Entity,
            },
            columns: table
                .columns
                .iter()
                .map(|column| LayoutColumn {
                    name: column.name.clone(),
                    r#type: column.column_type.name().to_owned(),
                })
                .collect(),
            key: table.key.iter().copied().map(name).collect(),
            actor: table.actor.map(name),
            time: table.time.map(name),
            tenant: match &table.tenant {
                TenantRule::Column { column, .. } => Tenant::Column(name(*column)),
                TenantRule::Parent { parent, by } => {
                    Tenant::Parent { parent: parent.as_str().to_owned(), by: name(*by) }
                }
                TenantRule::Fixed(tenant) => Tenant::Fixed(tenant.as_str().to_owned()),
            },
            parent,
        }
    }

    pub(crate) fn is_parent(&self) -> bool {
        self.parent
    }

    /// Whether rows that were stored by this layout are read by that of `declared`: columns may come
    /// and go, and nothing else may change.
    pub(crate) fn check(&self, app: &AppName, table: &TableName, declared: &Self) -> Result<(), StoreError> {
        let changed = |what: &str, was: String, is: String| {
            Err(StoreError::SchemaChanged {
                app: app.clone(),
                table: table.clone(),
                detail: format!(
                    "{what} was {was} and is now {is}; import it into a new data folder, or undo that"
                ),
            })
        };
        for column in &declared.columns {
            if let Some(stored) = self.columns.iter().find(|stored| stored.name == column.name)
                && stored.r#type != column.r#type
            {
                let what = format!("the type of column {:?}", column.name);
                return changed(&what, stored.r#type.clone(), column.r#type.clone());
            }
        }
        let parts = [
            ("the kind", format!("{:?}", self.kind), format!("{:?}", declared.kind)),
            ("the key", format!("{:?}", self.key), format!("{:?}", declared.key)),
            ("the actor", format!("{:?}", self.actor), format!("{:?}", declared.actor)),
            ("the time", format!("{:?}", self.time), format!("{:?}", declared.time)),
            ("the tenant", format!("{:?}", self.tenant), format!("{:?}", declared.tenant)),
            ("being a parent", self.parent.to_string(), declared.parent.to_string()),
        ];
        match parts.into_iter().find(|(_, was, is)| was != is) {
            Some((what, was, is)) => changed(what, was, is),
            None => Ok(()),
        }
    }

    /// The table as it was last declared, for one that no deployed pack has; `None` if the layout is
    /// not one of ours.
    pub(crate) fn schema(&self, table: &TableName) -> Option<TableSchema> {
        let index = |name: &String| self.columns.iter().position(|column| column.name == *name);
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            let column_type = ColumnType::from_name(&column.r#type)?;
            columns.push(Column { name: column.name.clone(), column_type, nullable: true });
        }
        Some(TableSchema {
            name: table.clone(),
            kind: match self.kind {
                Kind::Events => TableKind::Events,
                Kind::Entity => TableKind::Entity,
            },
            columns,
            key: self.key.iter().map(index).collect::<Option<_>>()?,
            tenant: match &self.tenant {
                Tenant::Column(column) => TenantRule::Column { column: index(column)?, default: None },
                Tenant::Parent { parent, by } => {
                    TenantRule::Parent { parent: TableName::new(parent), by: index(by)? }
                }
                Tenant::Fixed(tenant) => TenantRule::Fixed(TenantId::new(tenant)),
            },
            actor: self.actor.as_ref().and_then(index),
            time: self.time.as_ref().and_then(index),
            event_name: None,
            open: None,
            aliases: None,
            actor_props: None,
        })
    }
}
