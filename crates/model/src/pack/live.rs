//! Live paths: reports that clients listen to over a socket, and the messages that they may send back.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::access::Cell;
use super::faults::Faults;
use super::incoming::{self, Grounds, named};
use super::parse::{short_text, unknown};
use super::reports::Context;
use super::routes::{self, Declared};
use super::{Capture, Find, Live, Param, Receive, Report, RowValue, Tree, params, tree, words};
use crate::{Fault, Node, TableSchema, Value};

const LIVES_MAX: usize = 50;
const KINDS_MAX: usize = 20;
const FINDS_MAX: usize = 10;
/// The moment of arrival, in a row.
const NOW: &str = "now";

/// Reads `live`.
pub(super) fn read(
    node: &Node<'_>,
    reports: &[Report],
    context: &Context<'_>,
    declared: &mut Vec<Declared>,
    faults: &mut Faults,
) -> Vec<Live> {
    let entries = named(node, "live paths", LIVES_MAX, faults);
    entries
        .into_iter()
        .filter_map(|(given, node)| live(given, node, reports, context, declared, faults))
        .collect()
}

fn live(
    given: &str,
    node: Node<'_>,
    reports: &[Report],
    context: &Context<'_>,
    declared: &mut Vec<Declared>,
    faults: &mut Faults,
) -> Option<Live> {
    let fields = faults.keep(node.fields())?;
    let description = faults.keep(short_text(&fields, "description"));
    let report = faults.keep(fields.required("report").and_then(|node| report(&node, reports)));
    let params = report.map(|report| report.params.as_slice()).unwrap_or_default();
    let route = routes::of_fields(&fields, given, params, context, declared, faults);
    let (add, receive) = (fields.optional("add"), fields.optional("receive"));
    faults.unknown(fields);
    let add = add.map(|node| faults.keep(added(&node, report)));
    let receive = receive.map(|node| receives(&node, context, faults)).unwrap_or_default();
    Some(Live {
        name: given.to_owned(),
        description: description?,
        report: report?.name.clone(),
        route: route?,
        add: add.map_or(Some(Map::new()), |add| add)?,
        receive,
    })
}

fn report<'r>(node: &Node<'_>, reports: &'r [Report]) -> Result<&'r Report, Fault> {
    let given = node.text()?;
    let found = reports.iter().find(|report| report.name == given);
    found.ok_or_else(|| {
        node.fault(unknown("report", given, reports.iter().map(|report| report.name.as_str())))
    })
}

/// What stands in each message before the answer's own fields.
fn added(node: &Node<'_>, report: Option<&Report>) -> Result<Map<String, Json>, Fault> {
    if report.is_some_and(|report| !matches!(report.response, Tree::Object(_))) {
        return Err(node.fault("is for reports that answer an object, and this one answers none"));
    }
    node.json().as_object().cloned().ok_or_else(|| node.expected("an object of fields"))
}

fn receives(node: &Node<'_>, context: &Context<'_>, faults: &mut Faults) -> Vec<Receive> {
    let entries = named(node, "kinds of messages", KINDS_MAX, faults);
    entries.into_iter().filter_map(|(given, node)| receive(given, node, context, faults)).collect()
}

fn receive(kind: &str, node: Node<'_>, context: &Context<'_>, faults: &mut Faults) -> Option<Receive> {
    let fields = faults.keep(node.fields())?;
    let grounds = Grounds { schema: context.schema, sound: context.sound };
    let table =
        faults.keep(fields.required("table").and_then(|node| incoming::open_to_clients(&node, grounds)));
    let (own, find) = (fields.optional("fields"), fields.optional("find"));
    let missing = faults.keep(short_text(&fields, "missing"));
    let row = faults.keep(fields.required("row"));
    faults.unknown(fields);
    let read_params = |node: &Node<'_>, faults: &mut Faults| {
        params::read(node, context.constants, context.caller_values, context.schema, faults)
    };
    let params = own.map(|node| read_params(&node, faults)).unwrap_or_default();
    let find = find.map(|node| finds(&node, &params, context, faults)).unwrap_or_default();
    let table = table??;
    let row = row_of(&row?, table, &params, &find, faults);
    let capture = Capture {
        name: kind.to_owned(),
        description: None,
        path: String::new(),
        roles: Vec::new(),
        table: table.name.clone(),
        list_max: None,
        fields: Vec::new(),
        answer: Json::Object(Map::new()),
    };
    let missing = missing?.unwrap_or_else(|| "There is no such thing as the message is about.".to_owned());
    Some(Receive { kind: kind.to_owned(), params, find, missing, row, capture })
}

/// Statements of one cell each, which name the message's fields.
fn finds(node: &Node<'_>, params: &[Param], context: &Context<'_>, faults: &mut Faults) -> Vec<Find> {
    let mut found = Vec::new();
    for (given, node) in named(node, "statements", FINDS_MAX, faults) {
        if params.iter().any(|param| param.name == given) || given == NOW {
            faults.add(node.fault("is a field of the message too; choose another name"));
        }
        let statement = faults.keep(find(&node, params, context));
        found.extend(statement.map(|statement| Find { name: given.to_owned(), statement }));
    }
    found
}

fn find(node: &Node<'_>, params: &[Param], context: &Context<'_>) -> Result<Arc<str>, Fault> {
    let sql = tree::statement(node)?;
    let mut known: Vec<(String, Value)> =
        params.iter().map(|param| (param.name.clone(), param.sample())).collect();
    known.extend(context.constants.iter().cloned());
    let cell = Cell {
        schema: context.schema,
        sound: context.sound,
        known: &known,
        told: "field of the message",
        used: &context.used,
        statements: context.statements,
    };
    cell.check(node, sql)?;
    Ok(Arc::from(sql))
}

/// What the message's row has in which column.
fn row_of(
    node: &Node<'_>,
    table: &TableSchema,
    params: &[Param],
    find: &[Find],
    faults: &mut Faults,
) -> Vec<(String, RowValue)> {
    let mut row = Vec::new();
    for (given, node) in faults.keep(node.entries()).unwrap_or_default() {
        if table.column_index(given).is_none() {
            let names = table.columns.iter().map(|column| column.name.as_str());
            faults.add(node.fault(unknown(&format!("column of {}", table.name), given, names)));
            continue;
        }
        let Some(name) = node.json().as_str().and_then(words::in_text) else {
            row.push((given.to_owned(), RowValue::Value(node.json().clone())));
            continue;
        };
        let names = || {
            let of_message = params.iter().map(|param| param.name.as_str());
            of_message.chain(find.iter().map(|find| find.name.as_str())).chain([NOW])
        };
        if !names().any(|known| known == name) {
            faults.add(
                node.fault(format_args!("${}", unknown("field or statement of the message", name, names()))),
            );
        }
        row.push((given.to_owned(), RowValue::Name(name.to_owned())));
    }
    row
}
