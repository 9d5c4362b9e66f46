//! Which events a query is about, and by which property an answer is split.

use serde_json::{Map, Value as Json, json};

use super::filter::{Filter, PropScope, decode_name};
use crate::{Fault, Fields, Node, TableName};

pub(super) const GROUPS_MAX: i64 = 10_000;

/// Picks events: of a table, by name, by properties. All that is said must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matcher {
    /// `None`: the query's stream.
    pub table: Option<TableName>,
    /// `None`: any event.
    pub event: Option<String>,
    pub filters: Vec<Filter>,
}

impl Matcher {
    /// Absent means any event.
    pub(super) fn decode(node: Option<Node<'_>>) -> Result<Self, Fault> {
        let Some(node) = node else {
            return Ok(Self::default());
        };
        let fields = node.fields()?;
        let matcher = Self::decode_among(&fields)?;
        fields.finish()?;
        Ok(matcher)
    }

    /// Of an object that has fields of its own besides.
    pub(super) fn decode_among(fields: &Fields<'_>) -> Result<Self, Fault> {
        let table = fields.optional("table").map(|node| decode_name(&node)).transpose()?;
        let event = fields.optional("event").map(|node| decode_event(&node)).transpose()?;
        let filters = Filter::decode_list(fields.optional("where"))?;
        Ok(Self { table: table.map(|name| TableName::new(&name)), event, filters })
    }

    pub(super) fn to_json(&self) -> Json {
        Json::Object(self.fields_json())
    }

    pub(super) fn fields_json(&self) -> Map<String, Json> {
        let mut json = Map::new();
        if let Some(table) = &self.table {
            json.insert("table".to_owned(), Json::from(table.as_str()));
        }
        json.insert("event".to_owned(), self.event.as_deref().map_or(Json::Null, Json::from));
        json.insert("where".to_owned(), Filter::list_json(&self.filters));
        json
    }
}

/// An event's name is whatever text was captured, so it may be empty.
fn decode_event(node: &Node<'_>) -> Result<String, Fault> {
    const EVENT_BYTES_MAX: usize = 1_000;
    let name = node.json().as_str().filter(|name| name.len() <= EVENT_BYTES_MAX);
    name.map(str::to_owned).ok_or_else(|| {
        node.expected(format_args!("an event's name of up to {EVENT_BYTES_MAX} bytes, or null for any"))
    })
}

/// The property by whose values an answer is split.
#[derive(Clone, Debug, PartialEq)]
pub struct Breakdown {
    pub prop: String,
    pub scope: PropScope,
    /// Only the commonest so many values; `None`: all.
    pub limit: Option<u32>,
}

impl Breakdown {
    pub(super) fn decode(node: Node<'_>) -> Result<Self, Fault> {
        let fields = node.fields()?;
        let prop = decode_name(&fields.required("prop")?)?;
        let scope = PropScope::decode(fields.optional("scope"))?;
        let limit = fields.optional("limit").map(|node| count(&node, 1, GROUPS_MAX)).transpose()?;
        fields.finish()?;
        Ok(Self { prop, scope, limit })
    }

    pub(super) fn to_json(&self) -> Json {
        json!({"prop": self.prop, "scope": self.scope.to_json(), "limit": self.limit})
    }
}

/// A whole number from `min` to `max`, which are within u32.
pub(super) fn count(node: &Node<'_>, min: i64, max: i64) -> Result<u32, Fault> {
    let count = node.integer(min, max)?;
    u32::try_from(count).map_err(|_| node.expected("a whole number"))
}
