//! The response of a report: JSON whose leaves are queries. Which parameters its leaves name, which
//! tables they read, and which lists come out of it.

use std::sync::Arc;

use serde_json::Value as Json;

use super::faults::Faults;
use super::parse::{name, unknown};
use super::reports::Leaves;
use super::{BehaviourLeaf, Cells, EmptyRows, Shape, SqlShape, Tree, WHOLE, words};
use crate::decode::join;
use crate::query::{BoundQuery, FunnelView, Kind, Measures};
use crate::{AppSchema, Fault, Fields, Node};

const STATEMENT_BYTES_MAX: usize = 64 << 10;
const WITH_MAX: usize = 50;
const DECIMALS_MAX: i64 = 9;
/// A field by one of these names makes an object a leaf. `object` and `literal` are the ways to say
/// otherwise.
const SQL_LEAVES: [(&str, SqlShape); 5] = [
    ("value", SqlShape::Value),
    ("row", SqlShape::Row),
    ("rows", SqlShape::Rows),
    ("column", SqlShape::Column),
    ("map", SqlShape::Map),
];

pub(super) fn read(node: &Node<'_>, leaves: &mut Leaves<'_>, faults: &mut Faults) -> Option<Tree> {
    match node.json() {
        Json::String(text) => match words::in_text(text) {
            Some(name) => {
                faults.keep(leaves.uses(node, name))?;
                Some(Tree::Param(name.to_owned()))
            }
            None => Some(Tree::Literal(node.json().clone())),
        },
        Json::Array(_) => {
            let items = faults.keep(node.items())?;
            let items: Vec<_> = items.iter().map(|item| read(item, leaves, faults)).collect();
            Some(Tree::List(items.into_iter().collect::<Option<_>>()?))
        }
        Json::Object(_) => object(node, leaves, faults),
        Json::Null | Json::Bool(_) | Json::Number(_) => Some(Tree::Literal(node.json().clone())),
    }
}

fn object(node: &Node<'_>, leaves: &mut Leaves<'_>, faults: &mut Faults) -> Option<Tree> {
    let fields = faults.keep(node.clone().fields())?;
    if let Some(query) = fields.optional("query") {
        return behaviour(&query, fields, leaves, faults);
    }
    for (keyword, shape) in SQL_LEAVES {
        if let Some(statement) = fields.optional(keyword) {
            return sql(&statement, shape, node, leaves, faults);
        }
    }
    if let Some(literal) = fields.optional("literal") {
        faults.keep(alone(node))?;
        return Some(Tree::Literal(literal.json().clone()));
    }
    if let Some(object) = fields.optional("object") {
        faults.keep(alone(node))?;
        return entries(&object, leaves, faults);
    }
    entries(node, leaves, faults)
}

fn entries(node: &Node<'_>, leaves: &mut Leaves<'_>, faults: &mut Faults) -> Option<Tree> {
    let entries = faults.keep(node.entries())?;
    let entries: Vec<_> = entries
        .into_iter()
        .map(|(name, node)| Some((name.to_owned(), read(&node, leaves, faults)?)))
        .collect();
    Some(Tree::Object(entries.into_iter().collect::<Option<_>>()?))
}

/// A leaf's keyword stands by itself.
fn alone(node: &Node<'_>) -> Result<(), Fault> {
    let entries = node.entries()?;
    if entries.len() == 1 {
        return Ok(());
    }
    let names: Vec<&str> = entries.iter().map(|(name, _)| *name).collect();
    Err(node.fault(format_args!(
        "has {}; a leaf stands alone, and an object with a field of such a name is written `object: {{…}}`",
        names.join(", ")
    )))
}

fn sql(
    node: &Node<'_>,
    shape: SqlShape,
    leaf: &Node<'_>,
    leaves: &mut Leaves<'_>,
    faults: &mut Faults,
) -> Option<Tree> {
    faults.keep(alone(leaf))?;
    let own = faults.keep(statement(node))?;
    let statement = compose(&leaves.with.parts, own);
    let words = |sql| words::of_statement(sql).map_err(|problem| node.fault(problem));
    for name in faults.keep(words(own))?.params {
        faults.keep(leaves.uses(node, name));
    }
    // What is wrong with the names of a part of the `with` is told there.
    leaves.comes_by(&faults.keep(words(&statement))?.params);
    leaves.read.push(statement.clone());
    faults.keep(leaves.statement(node, &statement, shape));
    Some(Tree::Sql { shape, statement: Arc::from(statement.as_str()) })
}

pub(super) fn statement<'a>(node: &Node<'a>) -> Result<&'a str, Fault> {
    let statement = node.text()?;
    if statement.trim().is_empty() || statement.len() > STATEMENT_BYTES_MAX {
        return Err(node.expected(format_args!("SQL of at most {STATEMENT_BYTES_MAX} bytes")));
    }
    words::of_statement(statement).map_err(|problem| node.fault(problem))?;
    Ok(statement)
}

/// The `with` of a report: statements that its other statements read as tables. Each is written in
/// front of the statements that name it, so the engine sees plain SQL.
#[derive(Debug, Default)]
pub(super) struct With<'a> {
    /// In the order of the file: one reads those before it.
    parts: Vec<Part<'a>>,
}

#[derive(Debug)]
struct Part<'a> {
    name: &'a str,
    statement: &'a str,
    node: Node<'a>,
}

impl<'a> With<'a> {
    pub(super) fn read(node: &Node<'a>, schema: &AppSchema, faults: &mut Faults) -> Self {
        let entries = faults.keep(node.entries()).unwrap_or_default();
        if entries.len() > WITH_MAX {
            faults.add(node.fault(format_args!("has {} statements; allowed are {WITH_MAX}", entries.len())));
        }
        let mut with = Self::default();
        for (given, node) in entries.into_iter().take(WITH_MAX) {
            let named = faults.keep(name(&node, given));
            if schema.tables.iter().any(|table| table.name.as_str() == given) {
                faults.add(node.fault("is a table of the pack too; choose another name"));
            }
            let statement = faults.keep(statement(&node));
            let part = named.and(statement).map(|statement| Part { name: given, statement, node });
            with.parts.extend(part);
        }
        with
    }

    /// Each part's node, and its statement with those before it that it reads.
    pub(super) fn composed(&self) -> impl Iterator<Item = (&Node<'a>, String)> {
        let composed = |(index, part): (usize, &'_ Part<'a>)| compose(&self.parts[..index], part.statement);
        self.parts.iter().enumerate().map(move |(index, part)| (&part.node, composed((index, part))))
    }

    /// The parts that no statement of the response comes by.
    pub(super) fn unused(&self, composed: &[String]) -> Vec<&'a str> {
        let used = |name: &str| composed.iter().any(|statement| names(statement, name));
        self.parts.iter().map(|part| part.name).filter(|name| !used(name)).collect()
    }
}

/// A statement after the parts that it comes by.
fn compose(parts: &[Part<'_>], statement: &str) -> String {
    let mut needed: Vec<&Part<'_>> = Vec::new();
    for part in parts.iter().rev() {
        let of_later = needed.iter().any(|later| names(later.statement, part.name));
        if of_later || names(statement, part.name) {
            needed.push(part);
        }
    }
    if needed.is_empty() {
        return statement.to_owned();
    }
    let parts: Vec<String> =
        needed.iter().rev().map(|part| format!("{} AS (\n{}\n)", part.name, part.statement)).collect();
    let own = statement.trim_start();
    // A statement that has a WITH of its own goes on with ours.
    match own.get(..5).filter(|word| word.trim_end().eq_ignore_ascii_case("with")) {
        Some(_) => format!("WITH {}, {}", parts.join(", "), own[4..].trim_start()),
        None => format!("WITH {} {own}", parts.join(", ")),
    }
}

/// Whether a statement names a thing, outside of texts and comments.
fn names(statement: &str, name: &str) -> bool {
    words::of_statement(statement)
        .is_ok_and(|words| words.plain.iter().any(|word| word.eq_ignore_ascii_case(name)))
}

fn behaviour(
    query: &Node<'_>,
    fields: Fields<'_>,
    leaves: &mut Leaves<'_>,
    faults: &mut Faults,
) -> Option<Tree> {
    let names = fields.optional("as");
    let decimals = fields.optional("decimals").map(|node| node.integer(0, DECIMALS_MAX));
    let decimals = faults.keep(decimals.transpose())?;
    let cells = fields.optional("cells").map(|node| {
        node.choice(&["all", "begun", "complete"], |name| match name {
            "all" => Some(Cells::All),
            "begun" => Some(Cells::Begun),
            "complete" => Some(Cells::Complete),
            _ => None,
        })
    });
    let cells = faults.keep(cells.transpose())?;
    let empty = fields.optional("empty").map(|node| {
        node.choice(&["keep", "skip"], |name| match name {
            "keep" => Some(EmptyRows::Keep),
            "skip" => Some(EmptyRows::Skip),
            _ => None,
        })
    });
    let empty = faults.keep(empty.transpose())?;
    if names.is_none() && (decimals.is_some() || cells.is_some() || empty.is_some()) {
        faults.add(fields.fault_at("as", "is missing; `decimals`, `cells` and `empty` shape what it names"));
    }
    faults.unknown(fields);
    let bound = faults.keep(leaves.query(query))?;
    let shape = match names {
        None => None,
        Some(node) => Some(Shape {
            fields: faults.keep(shape_fields(&node, bound.as_ref()))?,
            decimals: decimals.and_then(|decimals| u8::try_from(decimals).ok()),
            cells: cells.unwrap_or_default(),
            empty: empty.unwrap_or_default(),
        }),
    };
    Some(Tree::Behaviour(Box::new(BehaviourLeaf { query: query.json().clone(), shape })))
}

/// Names in the answer, each with a field of the query's rows. Where the query could not be tried any
/// field is taken: the pack is at fault anyhow.
fn shape_fields(node: &Node<'_>, query: Option<&BoundQuery>) -> Result<Vec<(String, String)>, Fault> {
    let entries = node.entries()?;
    if entries.is_empty() {
        return Err(node.expected("an object: name in the answer → field of the query's rows"));
    }
    let field = |(name, node): (&str, Node<'_>)| {
        let given = node.text()?;
        if let Some(query) = query {
            let known = row_fields(&query.query.kind);
            if !known.contains(&given) {
                let what = format!("field of a {}'s rows", query.query.kind.name());
                return Err(node.fault(unknown(&what, given, known.iter().copied())));
            }
        }
        Ok((name.to_owned(), given.to_owned()))
    };
    entries.into_iter().map(field).collect()
}

/// What `as` may name, by the query's kind.
fn row_fields(kind: &Kind) -> Vec<&'static str> {
    match kind {
        Kind::Retention(_) => vec!["start", "size", "counts", "percent"],
        Kind::Trend(trend) if trend.computed.is_some() => vec!["start", "value"],
        Kind::Trend(trend) => match &trend.measures {
            Measures::One(measure) => vec!["start", "value", measure.name()],
            Measures::Many(measures) => {
                std::iter::once("start").chain(measures.iter().map(|measure| measure.name())).collect()
            }
        },
        Kind::Churn(_) => {
            vec!["actor", "events", "first", "last", "days_inactive", "interval_days", "ratio", "at_risk"]
        }
        Kind::Preceding(preceding) if preceding.per_actor => vec!["actor", "value", "count"],
        Kind::Preceding(_) => vec!["value", "count"],
        Kind::Funnel(funnel) => match funnel.view {
            FunnelView::Steps => {
                vec!["step", "count", "percent", "percent_of_previous", "avg_seconds", "median_seconds"]
            }
            FunnelView::Trends { .. } => vec!["start", "entered", "converted", "percent"],
        },
        Kind::Lifecycle(_) => vec!["start", "active", "new", "returning", "resurrecting", "dormant"],
        Kind::Stickiness(_) => vec!["periods", "actors", "at_least"],
        Kind::Paths(_) => vec!["step", "from", "to", "count"],
    }
}

impl BehaviourLeaf {
    /// The query with values in the place of its parameters. Every name in a checked pack has a value
    /// in the arguments of its report; the error holds one that has not.
    pub fn filled(&self, value: impl Fn(&str) -> Option<Json>) -> Result<Json, String> {
        words::fill(&self.query, &value)
    }
}

impl Tree {
    /// Dotted paths of the lists of objects, in the order of the declaration.
    pub(super) fn lists(&self) -> Vec<String> {
        let mut lists = Vec::new();
        self.collect_lists("", &mut lists);
        lists
    }

    fn collect_lists(&self, path: &str, lists: &mut Vec<String>) {
        if self.is_list_of_objects() {
            lists.push(if path.is_empty() { WHOLE.to_owned() } else { path.to_owned() });
        } else if let Self::Object(entries) = self {
            for (name, tree) in entries {
                tree.collect_lists(&join(path, name), lists);
            }
        }
    }

    fn is_list_of_objects(&self) -> bool {
        match self {
            Self::Sql { shape, .. } => *shape == SqlShape::Rows,
            Self::Behaviour(leaf) => leaf.shape.is_some(),
            Self::List(items) => {
                !items.is_empty() && items.iter().all(|item| matches!(item, Self::Object(_)))
            }
            Self::Literal(_) | Self::Param(_) | Self::Object(_) => false,
        }
    }
}
