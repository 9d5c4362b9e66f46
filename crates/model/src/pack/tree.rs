//! The response of a report: JSON whose leaves are queries. Which parameters its leaves name, which
//! tables they read, and which lists come out of it.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::faults::Faults;
use super::fragments::{self, Count};
use super::leaves::Leaves;
use super::parse::unknown;
use super::{
    BehaviourLeaf, Cells, EmptyRows, FIELDS, Insights, Shape, ShapeOf, SqlShape, Tree, WHOLE, insights, words,
};
use crate::decode::join;
use crate::query::{BoundQuery, DropoffList, FunnelView, Kind, Latency, Measures};
use crate::{Fault, Fields, Node};

const STATEMENT_BYTES_MAX: usize = 64 << 10;
const DECIMALS_MAX: i64 = 9;
/// The last period of a cohort that has a field of its own.
const PERIOD_NAMED_MAX: u8 = 36;
/// A field by one of these names makes an object a leaf. `object` and `literal` are the ways to say
/// otherwise.
const KEYWORDS: [&str; 12] =
    ["query", "value", "row", "rows", "column", "map", "each", "one", "when", "rules", "literal", "object"];

pub(super) fn read<'a>(node: &Node<'a>, leaves: &mut Leaves<'_, 'a>, faults: &mut Faults) -> Option<Tree> {
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

fn object<'a>(node: &Node<'a>, leaves: &mut Leaves<'_, 'a>, faults: &mut Faults) -> Option<Tree> {
    let keyword = KEYWORDS.into_iter().find(|name| node.json().get(name).is_some_and(|json| !json.is_null()));
    let Some(keyword) = keyword else {
        return entries(node, leaves, faults);
    };
    let fields = faults.keep(node.clone().fields())?;
    let own = faults.keep(fields.required(keyword))?;
    match keyword {
        "query" => behaviour(&own, fields, leaves, faults),
        "each" => fragments::each(&own, Count::Many, fields, leaves, faults),
        "one" => fragments::each(&own, Count::One, fields, leaves, faults),
        "when" => when(&own, fields, leaves, faults),
        "rules" => insights::read(&own, fields, leaves, faults),
        "literal" => {
            faults.keep(alone(node))?;
            Some(Tree::Literal(own.json().clone()))
        }
        "object" => {
            faults.keep(alone(node))?;
            entries(&own, leaves, faults)
        }
        "value" => {
            let default = fields.optional("default").map(|node| node.json().clone());
            faults.unknown(fields);
            sql(&own, SqlShape::Value, default.unwrap_or_default(), leaves, faults)
        }
        keyword => {
            faults.keep(alone(node))?;
            let shape = match keyword {
                "row" => SqlShape::Row,
                "column" => SqlShape::Column,
                "map" => SqlShape::Map,
                _ => SqlShape::Rows,
            };
            sql(&own, shape, Json::Null, leaves, faults)
        }
    }
}

/// `{when: $name, then: …, else: …}`.
fn when<'a>(
    name: &Node<'a>,
    fields: Fields<'a>,
    leaves: &mut Leaves<'_, 'a>,
    faults: &mut Faults,
) -> Option<Tree> {
    let then = faults.keep(fields.required("then"));
    let otherwise = faults.keep(fields.required("else"));
    faults.unknown(fields);
    let given = name.json().as_str().and_then(words::in_text);
    let given = faults.keep(given.ok_or_else(|| name.expected("a parameter, such as \"$course_id\"")))?;
    faults.keep(leaves.uses(name, given));
    let then = then.and_then(|node| read(&node, leaves, faults));
    let otherwise = otherwise.and_then(|node| read(&node, leaves, faults));
    Some(Tree::When { name: given.to_owned(), then: Box::new(then?), otherwise: Box::new(otherwise?) })
}

fn entries<'a>(node: &Node<'a>, leaves: &mut Leaves<'_, 'a>, faults: &mut Faults) -> Option<Tree> {
    let entries = faults.keep(node.entries())?;
    let entries: Vec<_> = entries
        .into_iter()
        .map(|(name, node)| {
            let tree = read(&node, leaves, faults)?;
            if name == FIELDS && !tree.is_spread() {
                faults.add(node.expected(format_args!(
                    "a `row`, or a `query` with `whole`, whose fields stand in the place of {FIELDS:?}"
                )));
            }
            Some((name.to_owned(), tree))
        })
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

fn sql<'a>(
    node: &Node<'a>,
    shape: SqlShape,
    default: Json,
    leaves: &mut Leaves<'_, 'a>,
    faults: &mut Faults,
) -> Option<Tree> {
    let own = faults.keep(statement(node))?;
    let (statement, _) = leaves.statement(node, own, shape, faults)?;
    Some(Tree::Sql { shape, statement, default })
}

pub(super) fn statement<'a>(node: &Node<'a>) -> Result<&'a str, Fault> {
    let statement = node.text()?;
    if statement.trim().is_empty() || statement.len() > STATEMENT_BYTES_MAX {
        return Err(node.expected(format_args!("SQL of at most {STATEMENT_BYTES_MAX} bytes")));
    }
    words::of_statement(statement).map_err(|problem| node.fault(problem))?;
    Ok(statement)
}

fn behaviour<'a>(
    query: &Node<'a>,
    fields: Fields<'a>,
    leaves: &mut Leaves<'_, 'a>,
    faults: &mut Faults,
) -> Option<Tree> {
    if leaves.by.is_some() {
        faults.add(query.fault("stands in a fragment, and its rows are not split; read it by a `with`"));
        return None;
    }
    let (rows, whole) = (fields.optional("as"), fields.optional("whole"));
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
    if rows.is_some() && whole.is_some() {
        faults.add(fields.fault_at("whole", "stands beside `as`; a query is shaped by one of them"));
    }
    let names = rows.map(|node| (ShapeOf::Rows, node)).or(whole.map(|node| (ShapeOf::Whole, node)));
    if names.is_none() && (decimals.is_some() || cells.is_some() || empty.is_some()) {
        faults.add(fields.fault_at("as", "is missing; `decimals`, `cells` and `empty` shape what it names"));
    }
    faults.unknown(fields);
    let bound = faults.keep(leaves.query(query))?;
    let shape = match names {
        None => None,
        Some((of, node)) => Some(Shape {
            of,
            fields: faults.keep(shape_fields(&node, of, bound.as_ref()))?,
            decimals: decimals.and_then(|decimals| u8::try_from(decimals).ok()),
            cells: cells.unwrap_or_default(),
            empty: empty.unwrap_or_default(),
        }),
    };
    Some(Tree::Behaviour(Box::new(BehaviourLeaf { query: query.json().clone(), shape })))
}

/// Names in the answer, each with a field of the query's rows. Where the query could not be tried any
/// field is taken: the pack is at fault anyhow.
fn shape_fields(
    node: &Node<'_>,
    of: ShapeOf,
    query: Option<&BoundQuery>,
) -> Result<Vec<(String, String)>, Fault> {
    let entries = node.entries()?;
    if entries.is_empty() {
        return Err(node.expected("an object: name in the answer → field of the query's rows"));
    }
    let field = |(name, node): (&str, Node<'_>)| {
        let given = node.text()?;
        if let Some(query) = query {
            let kind = &query.query.kind;
            let (known, what) = match of {
                ShapeOf::Rows => (row_fields(kind), format!("field of a {}'s rows", kind.name())),
                ShapeOf::Whole => (whole_fields(kind), format!("field of the whole of a {}", kind.name())),
            };
            if !known.iter().any(|known| known == given) {
                // One of each of the numbered ones tells of all.
                let number = |name: &str| name.rsplit_once('.')?.1.parse::<u32>().ok();
                let told = known
                    .iter()
                    .map(AsRef::as_ref)
                    .filter(|name| number(name).is_none_or(|number| number == 0));
                return Err(node.fault(unknown(&what, given, told)));
            }
        }
        Ok((name.to_owned(), given.to_owned()))
    };
    entries.into_iter().map(field).collect()
}

/// What `whole` may name, by the query's kind.
fn whole_fields(kind: &Kind) -> Vec<Cow<'static, str>> {
    let known: &[&str] = match kind {
        Kind::Dropoff(dropoff) if dropoff.list == DropoffList::Splits => &["total_sessions", "converted"],
        Kind::Dropoff(_) => &[
            "total_sessions",
            "total_users",
            "total_exits",
            "converted",
            "active",
            "conversion_rate",
            "worst_step",
        ],
        Kind::Churn(_) => &["total", "at_risk"],
        Kind::Retention(_)
        | Kind::Trend(_)
        | Kind::Preceding(_)
        | Kind::Funnel(_)
        | Kind::Lifecycle(_)
        | Kind::Stickiness(_)
        | Kind::Paths(_) => &[],
    };
    known.iter().copied().map(Cow::Borrowed).collect()
}

/// What `as` may name, by the query's kind.
fn row_fields(kind: &Kind) -> Vec<Cow<'static, str>> {
    let mut fields: Vec<Cow<'static, str>> = plain_row_fields(kind).into_iter().map(Cow::Borrowed).collect();
    if let Kind::Dropoff(dropoff) = kind
        && dropoff.list == DropoffList::Steps
    {
        for Latency { name, .. } in &dropoff.latency {
            fields.extend([format!("latency.{name}.latest").into(), format!("latency.{name}.avg").into()]);
        }
    }
    if let Kind::Retention(_) = kind {
        for period in 0..=PERIOD_NAMED_MAX {
            fields.extend([format!("counts.{period}").into(), format!("percent.{period}").into()]);
        }
    }
    fields
}

fn plain_row_fields(kind: &Kind) -> Vec<&'static str> {
    match kind {
        Kind::Retention(_) => vec!["start", "size", "counts", "percent"],
        Kind::Trend(trend) if trend.computed.is_some() => vec!["start", "value"],
        Kind::Trend(trend) => match &trend.measures {
            Measures::One(measure) => vec!["start", "value", measure.name()],
            Measures::Many(measures) => {
                std::iter::once("start").chain(measures.iter().map(|measure| measure.name())).collect()
            }
        },
        Kind::Churn(churn) => {
            let mut fields = vec![
                "actor",
                "events",
                "first",
                "last",
                "days_inactive",
                "interval_days",
                "ratio",
                "at_risk",
            ];
            fields.extend(churn.model.iter().flat_map(|_| ["alive", "expected"]));
            fields
        }
        Kind::Preceding(preceding) if preceding.by.is_some() => vec!["by", "value", "count"],
        Kind::Preceding(preceding) if preceding.per_actor => vec!["actor", "value", "count"],
        Kind::Preceding(_) => vec!["value", "count"],
        Kind::Funnel(funnel) => match funnel.view {
            FunnelView::Steps => {
                vec!["step", "count", "rate", "rate_of_previous", "avg_seconds", "median_seconds"]
            }
            FunnelView::Trends { .. } => vec!["start", "entered", "converted", "rate"],
        },
        Kind::Lifecycle(_) => vec!["start", "active", "new", "returning", "resurrecting", "dormant"],
        Kind::Stickiness(_) => vec!["periods", "actors", "at_least"],
        Kind::Paths(_) => vec!["step", "from", "to", "count"],
        Kind::Dropoff(dropoff) => match dropoff.list {
            DropoffList::Steps => {
                vec![
                    "step",
                    "sessions",
                    "users",
                    "exits",
                    "reach_rate",
                    "exit_share",
                    "step_exit_rate",
                    "latency",
                ]
            }
            DropoffList::Sessions => {
                vec!["session_id", "actor", "started_at", "last_event_at", "path", "outcome", "exit_step"]
            }
            DropoffList::Splits => vec!["split", "value", "step", "sessions", "lost"],
        },
    }
}

/// A query with values in the place of its parameters. Every name in a checked pack has a value in the
/// arguments of its report; the error holds one that has not.
pub fn filled(query: &Json, value: impl Fn(&str) -> Option<Json>) -> Result<Json, String> {
    words::fill(query, &value)
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
            let path = if path.is_empty() { WHOLE } else { path };
            // Of two branches both may have it.
            if !lists.iter().any(|list| list == path) {
                lists.push(path.to_owned());
            }
            return;
        }
        match self {
            Self::Object(entries) => {
                for (name, tree) in entries {
                    tree.collect_lists(&join(path, name), lists);
                }
            }
            Self::Each(each) => each.fields.collect_lists(path, lists),
            Self::When { then, otherwise, .. } => {
                then.collect_lists(path, lists);
                otherwise.collect_lists(path, lists);
            }
            // Findings are told in words, which are no table.
            Self::Literal(_)
            | Self::Param(_)
            | Self::List(_)
            | Self::Sql { .. }
            | Self::Behaviour(_)
            | Self::Insights(_) => {}
        }
    }

    /// Whether its fields may stand in the place of its own name.
    fn is_spread(&self) -> bool {
        match self {
            Self::Sql { shape, .. } => *shape == SqlShape::Row,
            Self::Behaviour(leaf) => leaf.shape.as_ref().is_some_and(|shape| shape.of == ShapeOf::Whole),
            Self::Literal(_)
            | Self::Param(_)
            | Self::Object(_)
            | Self::List(_)
            | Self::Each(_)
            | Self::When { .. }
            | Self::Insights(_) => false,
        }
    }

    /// Whether it has texts for people.
    pub fn has_insights(&self) -> bool {
        !self.insights().is_empty()
    }

    /// Its leaves of findings, in order.
    pub fn insights(&self) -> Vec<&Insights> {
        match self {
            Self::Insights(insights) => vec![insights],
            Self::Object(entries) => entries.iter().flat_map(|(_, tree)| tree.insights()).collect(),
            Self::List(items) => items.iter().flat_map(Self::insights).collect(),
            Self::Each(each) => each.fields.insights(),
            Self::When { then, otherwise, .. } => {
                then.insights().into_iter().chain(otherwise.insights()).collect()
            }
            Self::Literal(_) | Self::Param(_) | Self::Sql { .. } | Self::Behaviour(_) => Vec::new(),
        }
    }

    fn is_list_of_objects(&self) -> bool {
        match self {
            Self::Sql { shape, .. } => *shape == SqlShape::Rows,
            Self::Behaviour(leaf) => leaf.shape.as_ref().is_some_and(|shape| shape.of == ShapeOf::Rows),
            Self::List(items) => {
                !items.is_empty() && items.iter().all(|item| matches!(item, Self::Object(_)))
            }
            Self::Each(each) => !each.one,
            Self::Literal(_) | Self::Param(_) | Self::Object(_) | Self::When { .. } | Self::Insights(_) => {
                false
            }
        }
    }
}
