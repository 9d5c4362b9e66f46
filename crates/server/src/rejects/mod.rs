//! Rows that were refused: kept for their tenant, bounded, so that somebody can look at them, mend them and send
//! them again. They are rows of two tables that every app has beside its own, written off the path of the request
//! that they came in.

mod book;
mod keeper;
mod rows;
mod text;

use std::borrow::Cow;
use std::sync::Arc;

use ebbtide_model::{Instant, TableName, TableSchema, TenantId, TenantRule, Value};
use serde_json::Value as Json;

pub use book::{Bounds, RejectBook};
pub(crate) use book::{Page, Wanted, page_of};
pub(crate) use keeper::RejectKeeper;
pub use text::{Extent, KeptRow, ROW_BYTES_MAX};

/// By which way a row came, and is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// `POST /v1/tables/{table}/rows`.
    Rows,
    /// `POST /v1/capture`.
    Events,
    /// `POST /v1/actors`.
    Actors,
    /// `POST /v1/alias`.
    Aliases,
    /// A path of the pack's own, which is the source.
    Path,
    /// A message of somebody who listens at a live path, which is the source.
    Message,
    /// A file: sent again it is a row like any other.
    File,
}

impl Way {
    const ALL: [Self; 7] =
        [Self::Rows, Self::Events, Self::Actors, Self::Aliases, Self::Path, Self::Message, Self::File];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Events => "capture",
            Self::Actors => "actors",
            Self::Aliases => "alias",
            Self::Path => "path",
            Self::Message => "message",
            Self::File => "file",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.name() == name)
    }
}

/// Whose a refused row is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    Tenant(TenantId),
    /// Nobody can tell: the app's admin looks after it.
    App,
}

impl Owner {
    /// Whose a row is by its own word, in a table whose rows say it.
    pub fn by_row(table: &TableSchema, row: &Json) -> Self {
        let TenantRule::Column { column, default } = &table.tenant else {
            return Self::App;
        };
        let Some(column) = table.columns.get(*column) else {
            return Self::App;
        };
        match row.get(&column.name) {
            None | Some(Json::Null) => default.clone().map_or(Self::App, Self::Tenant),
            Some(given) => Value::from_json(given, column.column_type)
                .ok()
                .and_then(|value| value.canonical_text())
                .filter(|tenant| !tenant.is_empty())
                .map_or(Self::App, |tenant| Self::Tenant(TenantId::new(&tenant))),
        }
    }
}

/// A row that was refused, as it is to be kept.
#[derive(Clone, Debug)]
pub struct Refused {
    pub owner: Owner,
    /// When it was refused.
    pub at: Instant,
    pub table: TableName,
    pub way: Way,
    /// A path, or the name of a file.
    pub source: Arc<str>,
    /// Its index in a request, from 0; its line in a file, from 1.
    pub position: u64,
    pub column: Option<String>,
    pub code: Cow<'static, str>,
    pub detail: String,
    /// `None` where nothing of it was to be had.
    pub row: Option<KeptRow>,
}

/// A row as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reject {
    pub(crate) owner: Owner,
    pub(crate) id: String,
    pub(crate) at: Instant,
    pub(crate) table: TableName,
    pub(crate) way: Way,
    pub(crate) source: String,
    pub(crate) position: u64,
    pub(crate) column: Option<String>,
    pub(crate) code: String,
    pub(crate) detail: String,
    pub(crate) row: Option<KeptRow>,
}
