//! From a report's response tree to its JSON: every leaf is asked over one snapshot as of one instant,
//! then the answers are put where the leaves stand.

use std::sync::Arc;
use std::time::Duration;

use ebbtide_engine::sql::{Limits, Sql, SqlRequest, SqlRows, UnusedParameters, rows_to_json};
use ebbtide_engine::{EngineError, StopFlag, ask};
use ebbtide_model::pack::{BehaviourLeaf, Pack, Param, Report, SqlShape, Tree, WHOLE};
use ebbtide_model::query::{Query, bind};
use ebbtide_model::{ErrorKind, Instant, Scope, Unit, Value};
use ebbtide_store::Snapshot;
use futures::future::try_join_all;
use serde_json::{Map, Value as Json};

use super::columns::ListColumn;
use super::{Arguments, shape};
use crate::asking::{AskError, ask_within};

/// What leaves are asked of.
pub struct Engines<'e> {
    pub sql: &'e Sql,
    /// For each statement.
    pub limits: Limits,
    /// How long each behavioural query may take.
    pub query_time_max: Duration,
}

/// A report's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Keys in the order of the declaration.
    pub body: Json,
    /// The lists of objects in it, as the report has them in [`Report::lists`].
    pub lists: Vec<List>,
    /// Until when the answer stays as it is while `as_of` moves on and no row is of a later time;
    /// perhaps sooner than it changes, never later.
    pub changes_at: Instant,
}

/// A list of objects in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Dotted, or [`WHOLE`].
    pub path: String,
    /// As declared, even where the list is empty.
    pub columns: Vec<ListColumn>,
}

impl Answer {
    /// The rows of a list.
    pub fn rows(&self, list: &List) -> &[Json] {
        let found = match list.path.as_str() {
            WHOLE => Some(&self.body),
            path => path.split('.').try_fold(&self.body, |json, name| json.get(name)),
        };
        found.and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Why a report has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("a statement of the report gives {given}; for {shape} there {allowed}")]
    Shape { shape: &'static str, given: String, allowed: &'static str },
    /// What a parameter names is not there; what the pack tells of it.
    #[error("{0}")]
    Missing(String),
    #[error("the report names {name:?}, which has no value")]
    NoValue { name: String },
    #[error("a leaf of the report was not answered: {0}")]
    Unanswered(String),
}

impl ReportError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Engine(error) => error.kind(),
            Self::Missing(_) => ErrorKind::NotFound,
            // The pack's author wrote a statement that does not fit, which no caller can mend.
            Self::Shape { .. } | Self::NoValue { .. } | Self::Unanswered(_) => ErrorKind::Internal,
        }
    }
}

/// Looks up what the report's parameters are keys of, as [`evaluate`] does before all else.
pub async fn look_up_keys(
    pack: &Pack,
    report: &Report,
    arguments: &Arguments,
    engines: &Engines<'_>,
    snapshot: &Snapshot,
    scope: &Scope,
) -> Result<(), ReportError> {
    let asked = Asked { pack, arguments, engines, snapshot, scope };
    try_join_all(report.params.iter().map(|param| asked.look_up(param))).await?;
    Ok(())
}

/// Asks the report's leaves, all over the same rows, and puts its response together. What parameters
/// are keys of is looked up before.
pub async fn evaluate(
    pack: &Pack,
    report: &Report,
    arguments: &Arguments,
    engines: &Engines<'_>,
    snapshot: &Snapshot,
    scope: &Scope,
) -> Result<Answer, ReportError> {
    let mut leaves = Vec::new();
    collect_leaves(&report.response, &mut leaves);
    look_up_keys(pack, report, arguments, engines, snapshot, scope).await?;
    let asked = Asked { pack, arguments, engines, snapshot, scope };
    let found = try_join_all(leaves.into_iter().map(|leaf| asked.leaf(leaf))).await?;
    let day = pack.schema.calendar.next_boundary(Unit::Day, arguments.as_of());
    let changes_at = found.iter().filter_map(|found| found.changes_at).fold(day, Instant::min);
    let mut assembly = Assembly { arguments, found: found.into_iter(), lists: Vec::new() };
    let body = assembly.tree(&report.response, "")?;
    let mut lists = Vec::new();
    for path in &report.lists {
        lists.extend(assembly.lists.iter().find(|list| list.path == *path).cloned());
    }
    Ok(Answer { body, lists, changes_at })
}

/// The leaves that are asked, in the order of the declaration.
fn collect_leaves<'t>(tree: &'t Tree, leaves: &mut Vec<&'t Tree>) {
    match tree {
        Tree::Sql { .. } | Tree::Behaviour(_) => leaves.push(tree),
        Tree::Object(entries) => entries.iter().for_each(|(_, tree)| collect_leaves(tree, leaves)),
        Tree::List(items) => items.iter().for_each(|tree| collect_leaves(tree, leaves)),
        Tree::Literal(_) | Tree::Param(_) => {}
    }
}

/// What a leaf gave.
struct Found {
    json: Json,
    /// Of a list of objects.
    columns: Vec<ListColumn>,
    changes_at: Option<Instant>,
}

struct Asked<'e> {
    pack: &'e Pack,
    arguments: &'e Arguments,
    engines: &'e Engines<'e>,
    snapshot: &'e Snapshot,
    scope: &'e Scope,
}

impl Asked<'_> {
    async fn leaf(&self, leaf: &Tree) -> Result<Found, ReportError> {
        match leaf {
            Tree::Sql { shape, statement } => self.sql(*shape, statement).await,
            Tree::Behaviour(leaf) => self.behaviour(leaf).await,
            Tree::Literal(_) | Tree::Param(_) | Tree::Object(_) | Tree::List(_) => {
                Ok(Found { json: Json::Null, columns: Vec::new(), changes_at: None })
            }
        }
    }

    /// That the row is there of which the parameter is a key. One that may be left out is, at null.
    async fn look_up(&self, param: &Param) -> Result<(), ReportError> {
        let Some(key_of) = &param.key_of else { return Ok(()) };
        if self.arguments.get(&param.name) == Some(&Value::Null) && param.default == Some(Value::Null) {
            return Ok(());
        }
        let found = self.engines.sql.run(self.snapshot, self.scope, self.request(&key_of.statement)).await?;
        if found.row_count() == 0 { Err(ReportError::Missing(key_of.missing.clone())) } else { Ok(()) }
    }

    fn request(&self, statement: &Arc<str>) -> SqlRequest {
        SqlRequest {
            statement: Arc::clone(statement),
            params: self.arguments.values().to_vec(),
            unused_params: UnusedParameters::PassedOver,
            as_of: self.arguments.as_of(),
            calendar: self.pack.schema.calendar.clone(),
            limits: self.engines.limits,
        }
    }

    async fn sql(&self, shape: SqlShape, statement: &Arc<str>) -> Result<Found, ReportError> {
        let rows = self.engines.sql.run(self.snapshot, self.scope, self.request(statement)).await?;
        let columns = rows.columns.iter().map(ListColumn::of_sql).collect();
        Ok(Found { json: shaped(shape, &rows)?, columns, changes_at: rows.changes_at })
    }

    async fn behaviour(&self, leaf: &BehaviourLeaf) -> Result<Found, ReportError> {
        let filled = leaf.filled(|name| self.arguments.json(name));
        let filled = filled.map_err(|name| ReportError::NoValue { name })?;
        let query = Query::parse(&filled).and_then(|query| bind(&query, &self.pack.schema));
        let query = query.map_err(EngineError::from)?;
        let (snapshot, scope, as_of) = (self.snapshot.clone(), self.scope.clone(), self.arguments.as_of());
        // Folding is computing throughout: the threads that serve connections are not for it.
        let changes_at = Some(query.changes_at(as_of));
        let work = move |flag: &StopFlag| ask(&snapshot, &scope, &query, as_of, flag);
        let answer = ask_within(self.engines.query_time_max, work).await.map_err(|error| match error {
            AskError::Engine(error) => ReportError::Engine(error),
            AskError::Unanswered(why) => ReportError::Unanswered(why),
        })?;
        Ok(match &leaf.shape {
            None => Found { json: answer.result(), columns: Vec::new(), changes_at },
            Some(shape) => Found {
                json: Json::Array(shape::rows(&answer.outcome, shape)),
                columns: shape.fields.iter().map(|(name, field)| ListColumn::of_field(name, field)).collect(),
                changes_at,
            },
        })
    }
}

/// What a statement's rows become.
fn shaped(shape: SqlShape, rows: &SqlRows) -> Result<Json, ReportError> {
    let objects = rows_to_json(rows).map_err(EngineError::from)?;
    let (height, width) = (objects.len(), rows.columns.len());
    let refused = |shape, allowed| {
        let given = format!("{height} rows of {width} columns");
        Err(ReportError::Shape { shape, given, allowed })
    };
    let cells = |object: Map<String, Json>| object.into_iter().map(|(_, cell)| cell);
    let mut objects = objects.into_iter();
    match shape {
        SqlShape::Rows => Ok(objects.map(Json::Object).collect()),
        SqlShape::Row if height <= 1 => Ok(objects.next().map_or(Json::Null, Json::Object)),
        SqlShape::Row => refused("row", "is one at most"),
        SqlShape::Value if height <= 1 && width == 1 => {
            Ok(objects.next().and_then(|object| cells(object).next()).unwrap_or_default())
        }
        SqlShape::Value => refused("value", "is one row at most, of one column"),
        SqlShape::Column if width == 1 => Ok(objects.flat_map(cells).collect()),
        SqlShape::Column => refused("column", "is one column"),
        SqlShape::Map if width == 2 => {
            let entry = |object: Map<String, Json>| {
                let mut cells = cells(object);
                let key = cells.next().unwrap_or_default();
                let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                (key, cells.next().unwrap_or_default())
            };
            Ok(Json::Object(objects.map(entry).collect()))
        }
        SqlShape::Map => refused("map", "are two columns"),
    }
}

/// Puts answers where their leaves stand.
struct Assembly<'a> {
    arguments: &'a Arguments,
    found: std::vec::IntoIter<Found>,
    lists: Vec<List>,
}

impl Assembly<'_> {
    fn tree(&mut self, tree: &Tree, path: &str) -> Result<Json, ReportError> {
        match tree {
            Tree::Literal(json) => Ok(json.clone()),
            Tree::Param(name) => {
                self.arguments.json(name).ok_or_else(|| ReportError::NoValue { name: name.clone() })
            }
            Tree::Object(entries) => {
                let mut object = Map::new();
                for (name, tree) in entries {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    object.insert(name.clone(), self.tree(tree, &path)?);
                }
                Ok(Json::Object(object))
            }
            Tree::List(items) => {
                let items = items.iter().map(|item| self.tree(item, path)).collect::<Result<Vec<_>, _>>()?;
                let first = items.first().and_then(Json::as_object);
                let columns =
                    first.map(|row| row.keys().map(ListColumn::untyped).collect()).unwrap_or_default();
                self.list(path, columns);
                Ok(Json::Array(items))
            }
            Tree::Sql { .. } | Tree::Behaviour(_) => {
                let found = self.found.next().ok_or_else(|| {
                    ReportError::Unanswered("there are fewer answers than leaves".to_owned())
                })?;
                self.list(path, found.columns);
                Ok(found.json)
            }
        }
    }

    fn list(&mut self, path: &str, columns: Vec<ListColumn>) {
        let path = if path.is_empty() { WHOLE } else { path };
        self.lists.push(List { path: path.to_owned(), columns });
    }
}
