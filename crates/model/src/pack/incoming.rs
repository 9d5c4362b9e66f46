//! What comes in over a pack's own paths: rows of a table that clients send in their own form, and the
//! clearing of tables.

use serde_json::Value as Json;

use super::faults::Faults;
use super::parse::{name, short_text, unknown};
use super::routes::{self, Declared};
use super::{Absent, Capture, CaptureField, Clear, Param, params, words};
use crate::{AppSchema, Column, Fault, Fields, Node, TableName, TableSchema, TenantRule};

const CAPTURES_MAX: usize = 50;
const CLEARS_MAX: usize = 50;
const CLEAR_TABLES_MAX: usize = 50;
const LIST_MAX: i64 = 1_000_000;
/// Of a field that is left out: the moment of arrival, and a new name of its own.
const NOW: &str = "now";
const NEW_ID: &str = "new_id";

/// The tables that there are.
#[derive(Clone, Copy)]
pub(super) struct Grounds<'s> {
    pub(super) schema: &'s AppSchema,
    /// Whether every table is in the schema; else one that is not may be at fault itself.
    pub(super) sound: bool,
}

/// Reads `capture`.
pub(super) fn captures(
    node: &Node<'_>,
    grounds: Grounds<'_>,
    declared: &mut Vec<Declared>,
    faults: &mut Faults,
) -> Vec<Capture> {
    let entries = named(node, "capture paths", CAPTURES_MAX, faults);
    entries.into_iter().filter_map(|(given, node)| capture(given, node, grounds, declared, faults)).collect()
}

/// Entries of an object, each with a name.
pub(super) fn named<'a>(
    node: &Node<'a>,
    what: &str,
    most: usize,
    faults: &mut Faults,
) -> Vec<(&'a str, Node<'a>)> {
    let entries = faults.keep(node.entries()).unwrap_or_default();
    if entries.len() > most {
        faults.add(node.fault(format_args!("has {} {what}; allowed are {most}", entries.len())));
    }
    let named = |(given, node): &(&str, Node<'_>)| faults.keep(name(node, given)).is_some();
    entries.into_iter().take(most).filter(named).collect()
}

fn capture(
    given: &str,
    node: Node<'_>,
    grounds: Grounds<'_>,
    declared: &mut Vec<Declared>,
    faults: &mut Faults,
) -> Option<Capture> {
    let fields = faults.keep(node.fields())?;
    let description = faults.keep(short_text(&fields, "description"));
    let path = routes::plain_path(&fields, given, declared, faults);
    let roles = faults.keep(routes::roles_of(&fields));
    let table = faults.keep(fields.required("table").and_then(|node| open_to_clients(&node, grounds)));
    let list_max = fields.optional("list_max").map(|node| node.integer(1, LIST_MAX)).transpose();
    let list_max = faults.keep(list_max);
    let (own, answer) = (fields.optional("fields"), fields.optional("answer"));
    faults.unknown(fields);
    let table = table??;
    let own = own.map(|node| capture_fields(&node, table, faults)).unwrap_or_default();
    let answer = answer.map_or(Some(Json::Object(serde_json::Map::new())), |node| {
        faults.keep(names_columns(&node, table)).map(|()| node.json().clone())
    });
    Some(Capture {
        name: given.to_owned(),
        description: description?,
        path: path?,
        roles: roles?,
        table: table.name.clone(),
        list_max: list_max?.and_then(|most| usize::try_from(most).ok()),
        fields: own,
        answer: answer?,
    })
}

/// A table whose rows a client may send: whose they are is known from who sends them.
pub(super) fn open_to_clients<'s>(
    node: &Node<'_>,
    grounds: Grounds<'s>,
) -> Result<Option<&'s TableSchema>, Fault> {
    let Some(table) = known(node, grounds)? else {
        return Ok(None);
    };
    if matches!(table.tenant, TenantRule::Parent { .. }) || grounds.schema.is_parent(&table.name) {
        return Err(node.fault(format_args!(
            "{} finds its tenant through another table, or others through it; allowed is a table with a tenant of its own",
            table.name
        )));
    }
    Ok(Some(table))
}

/// `None`: the table may be at fault itself, which is told there.
fn known<'s>(node: &Node<'_>, grounds: Grounds<'s>) -> Result<Option<&'s TableSchema>, Fault> {
    let given = node.text()?;
    let tables = &grounds.schema.tables;
    match grounds.schema.table(&TableName::new(given)) {
        None if grounds.sound => {
            Err(node.fault(unknown("table", given, tables.iter().map(|table| table.name.as_str()))))
        }
        found => Ok(found),
    }
}

/// What is wanted of fields besides their columns' types.
fn capture_fields(node: &Node<'_>, table: &TableSchema, faults: &mut Faults) -> Vec<CaptureField> {
    let mut fields = Vec::new();
    for (given, node) in faults.keep(node.entries()).unwrap_or_default() {
        match table.column_index(given) {
            None => {
                let names = table.columns.iter().map(|column| column.name.as_str());
                faults.add(node.fault(unknown(&format!("column of {}", table.name), given, names)));
            }
            Some(column) => fields.extend(capture_field(node, column, &table.columns[column], faults)),
        }
    }
    fields
}

fn capture_field(node: Node<'_>, index: usize, column: &Column, faults: &mut Faults) -> Option<CaptureField> {
    let fields = faults.keep(node.fields())?;
    let param = params::bounded(&fields, &column.name, column.column_type, faults);
    let default = fields.optional("default");
    faults.unknown(fields);
    let param = param?;
    let absent = match default {
        None => None,
        Some(node) => Some(faults.keep(absent(&node, &param))?),
    };
    Some(CaptureField { column: index, allowed: param, absent })
}

/// `$now`, `$new_id`, or a value.
fn absent(node: &Node<'_>, param: &Param) -> Result<Absent, Fault> {
    use crate::ColumnType::{Text, Timestamp};
    match (node.json().as_str().and_then(words::in_text), param.column_type) {
        (Some(NOW), Timestamp) => Ok(Absent::Now),
        (Some(NEW_ID), Text) => Ok(Absent::NewId),
        (Some(_), _) => Err(node.expected("$now for a timestamp, $new_id for a text, or a value")),
        (None, _) => params::set_value(node, param).map(Absent::Value),
    }
}

/// Each `$name` in the answer is a column.
fn names_columns(node: &Node<'_>, table: &TableSchema) -> Result<(), Fault> {
    let mut names = Vec::new();
    words::collect_names(node.json(), &mut names);
    let columns = || table.columns.iter().map(|column| column.name.as_str());
    match names.iter().find(|name| columns().all(|column| column != name.as_str())) {
        Some(other) => Err(node.fault(unknown(&format!("column of {}", table.name), other, columns()))),
        None if node.json().is_object() => Ok(()),
        None => Err(node.expected("an object, in which $name is the row's column")),
    }
}

/// Reads `clear`.
pub(super) fn clears(
    node: &Node<'_>,
    grounds: Grounds<'_>,
    declared: &mut Vec<Declared>,
    faults: &mut Faults,
) -> Vec<Clear> {
    let entries = named(node, "clearing paths", CLEARS_MAX, faults);
    entries.into_iter().filter_map(|(given, node)| clear(given, node, grounds, declared, faults)).collect()
}

fn clear(
    given: &str,
    node: Node<'_>,
    grounds: Grounds<'_>,
    declared: &mut Vec<Declared>,
    faults: &mut Faults,
) -> Option<Clear> {
    let fields = faults.keep(node.fields())?;
    let description = faults.keep(short_text(&fields, "description"));
    let path = routes::plain_path(&fields, given, declared, faults);
    // Whoever may ask is not who may delete: that is to be said.
    let roles = faults.keep(fields.required("roles").and_then(|node| routes::roles(&node)));
    let tables = faults.keep(fields.required("tables").and_then(|node| cleared(&node, grounds)));
    let count = faults.keep(count(&fields, tables.as_deref().unwrap_or_default()));
    faults.unknown(fields);
    Some(Clear {
        name: given.to_owned(),
        description: description?,
        path: path?,
        roles: roles?,
        tables: tables?,
        count: count?,
    })
}

fn cleared(node: &Node<'_>, grounds: Grounds<'_>) -> Result<Vec<TableName>, Fault> {
    let items = node.items()?;
    if items.is_empty() || items.len() > CLEAR_TABLES_MAX {
        return Err(
            node.fault(format_args!("has {} tables; allowed are 1 to {CLEAR_TABLES_MAX}", items.len()))
        );
    }
    let tables: Vec<_> = items.iter().map(|item| known(item, grounds)).collect::<Result<_, _>>()?;
    Ok(tables.into_iter().flatten().map(|table| table.name.clone()).collect())
}

/// The tables whose rows are counted: all that are cleared, unless some are named.
fn count(fields: &Fields<'_>, tables: &[TableName]) -> Result<Vec<TableName>, Fault> {
    let Some(node) = fields.optional("count") else {
        return Ok(tables.to_vec());
    };
    let of_item = |item: Node<'_>| {
        let given = item.text()?;
        let found = tables.iter().find(|table| table.as_str() == given).cloned();
        let names = tables.iter().map(TableName::as_str);
        found.ok_or_else(|| item.fault(unknown("table that is cleared here", given, names)))
    };
    node.items()?.into_iter().map(of_item).collect()
}
