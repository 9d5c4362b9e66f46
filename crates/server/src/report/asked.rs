//! Leaves are asked: statements and behavioural queries, all at once, and what several of them read once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ebbtide_engine::sql::{Limits, Relation, SqlRequest, SqlRows, UnusedParameters};
use ebbtide_engine::{Answer as EngineAnswer, EngineError, StopFlag, ask};
use ebbtide_model::pack::{
    BehaviourLeaf, Composed, Each, Param, RelationRows, ShapeOf, SqlShape, Tree, filled,
};
use ebbtide_model::query::{BoundQuery, Query, bind};
use ebbtide_model::{ErrorKind, Instant, Unit, Value};
use ebbtide_store::Snapshot;
use futures::future::{BoxFuture, FutureExt, try_join_all};
use serde_json::Value as Json;
use tokio::sync::OnceCell;

use super::cells::{Given, Split, objects_of};
use super::columns::ListColumn;
use super::settled::{Looked, Settled};
use super::values::Values;
use super::{Evaluation, ReportError, Settling, shape};

/// Something of a response that is asked.
pub(super) struct Leaf<'t> {
    ask: Ask<'t>,
    /// The rows that its own belong to, within a fragment.
    within: Option<(&'t Each, Values<'t>)>,
    /// The calendar period before whose start its rows were.
    period: Option<Unit>,
}

#[derive(Clone, Copy)]
enum Ask<'t> {
    Sql { shape: SqlShape, statement: &'t Composed, default: &'t Json },
    Behaviour(&'t BehaviourLeaf),
    Rows(&'t Each),
}

/// What a leaf gave.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) given: Given,
    /// Of rows, in order.
    pub(super) columns: Vec<ListColumn>,
    pub(super) changes_at: Option<Instant>,
    /// Whether others are to come in its place, of which nobody knows when.
    pub(super) is_unsettled: bool,
}

impl Leaf<'_> {
    /// Whether its rows were before the start of a calendar period.
    pub(super) fn is_of_before(&self) -> bool {
        self.period.is_some()
    }
}

/// The leaves that are asked, in the order of the declaration: the rows of an `each` go before the leaves
/// of its fragment, and of two branches one is taken.
pub(super) fn leaves_of<'t>(tree: &'t Tree, values: &Values<'t>) -> Result<Vec<Leaf<'t>>, ReportError> {
    let mut leaves = Vec::new();
    collect(tree, None, None, values, &mut leaves)?;
    Ok(leaves)
}

/// How many leaves are asked for a part of a response.
pub(super) fn leaf_count(tree: &Tree, values: &Values<'_>) -> Result<usize, ReportError> {
    Ok(leaves_of(tree, values)?.len())
}

fn collect<'t>(
    tree: &'t Tree,
    within: Option<&'t Each>,
    period: Option<Unit>,
    values: &Values<'t>,
    leaves: &mut Vec<Leaf<'t>>,
) -> Result<(), ReportError> {
    let mut leaf = |ask| leaves.push(Leaf { ask, within: within.map(|each| (each, values.clone())), period });
    match tree {
        Tree::Literal(_) | Tree::Param(_) => {}
        Tree::Sql { shape, statement, default } => {
            leaf(Ask::Sql { shape: *shape, statement, default });
        }
        Tree::Behaviour(behaviour) => leaf(Ask::Behaviour(behaviour)),
        Tree::Each(each) => {
            leaf(Ask::Rows(each));
            collect(&each.fields, Some(each), period, &values.within(each)?, leaves)?;
        }
        Tree::When { name, then, otherwise } => {
            collect(branch(name, then, otherwise, values)?, within, period, values, leaves)?;
        }
        Tree::Object(entries) => {
            entries.iter().try_for_each(|(_, tree)| collect(tree, within, period, values, leaves))?;
        }
        Tree::List(items) => {
            items.iter().try_for_each(|tree| collect(tree, within, period, values, leaves))?
        }
        Tree::Insights(insights) => {
            let mut of = insights.leaves();
            of.try_for_each(|(tree, period)| collect(tree, within, period, values, leaves))?;
        }
    }
    Ok(())
}

/// The branch that is taken: `then` where the value is there.
pub(super) fn branch<'t>(
    name: &str,
    then: &'t Tree,
    otherwise: &'t Tree,
    values: &Values<'_>,
) -> Result<&'t Tree, ReportError> {
    Ok(if values.json(name)?.is_null() { otherwise } else { then })
}

pub(super) struct Asked<'e> {
    of: Evaluation<'e>,
    /// The rows of the report's relations, once something reads them.
    relations: Vec<OnceCell<Arc<SqlRows>>>,
    /// Answers to behavioural queries by what is asked: several leaves may show parts of one.
    answers: Mutex<HashMap<String, Arc<OnceCell<Arc<Answered>>>>>,
    /// Rows of before the start of a calendar period, by what is asked.
    settled: Mutex<HashMap<String, Arc<OnceCell<Found>>>>,
}

/// A behavioural query that was asked.
struct Answered {
    answer: EngineAnswer,
    changes_at: Instant,
}

impl<'e> Asked<'e> {
    pub(super) fn new(of: Evaluation<'e>) -> Self {
        let relations = of.report.relations.iter().map(|_| OnceCell::new()).collect();
        Self { of, relations, answers: Mutex::default(), settled: Mutex::default() }
    }

    /// That all the rows are there of which the report's parameters are keys.
    pub(super) async fn look_up_keys(&self) -> Result<(), ReportError> {
        try_join_all(self.of.report.params.iter().map(|param| self.look_up(param))).await?;
        Ok(())
    }

    /// What the pack tells where the row is not there that a parameter names.
    pub(super) fn missing_of_key(&self) -> Option<String> {
        let is_given =
            |param: &&Param| !matches!(self.of.arguments.get(&param.name), None | Some(Value::Null));
        let mut named = self.of.report.params.iter().filter(is_given);
        named.find_map(|param| Some(param.key_of.as_ref()?.missing.clone()))
    }

    /// That the row is there of which the parameter is a key. One that may be left out is, at null.
    async fn look_up(&self, param: &Param) -> Result<(), ReportError> {
        let Some(key_of) = &param.key_of else { return Ok(()) };
        if self.of.arguments.get(&param.name) == Some(&Value::Null) && param.default == Some(Value::Null) {
            return Ok(());
        }
        let statement = Composed { statement: Arc::clone(&key_of.statement), reads: Vec::new() };
        let found =
            self.rows(&statement, self.of.arguments.values().to_vec(), self.of.engines.limits).await?;
        if found.row_count() == 0 { Err(ReportError::Missing(key_of.missing.clone())) } else { Ok(()) }
    }

    pub(super) async fn leaf<'s>(&'s self, leaf: Leaf<'s>) -> Result<Found, ReportError> {
        if let Some(period) = leaf.period {
            return self.leaf_before(period, leaf.ask).await;
        }
        match leaf.ask {
            Ask::Behaviour(behaviour) => self.behaviour(behaviour).await,
            Ask::Rows(each) => {
                let rows = self.relation(each.rows).await?;
                Ok(Found {
                    columns: columns_of(&rows),
                    given: Given::Rows(objects_of(&rows)?),
                    ..Found::default()
                })
            }
            Ask::Sql { shape, statement, default } => {
                let values = leaf.within.as_ref().map(|(_, values)| values.all());
                let values = values.unwrap_or_else(|| self.of.arguments.values().to_vec());
                let rows = self.rows(statement, values, self.of.engines.limits).await?;
                let mut columns = columns_of(&rows);
                let given = match leaf.within {
                    None => Given::whole(shape, objects_of(&rows)?, columns.len(), default)?,
                    Some((each, _)) => {
                        columns.retain(|column| column.name != each.by);
                        Given::Split(Split::by(&each.by, shape, objects_of(&rows)?, columns.len(), default)?)
                    }
                };
                Ok(Found { given, columns, changes_at: rows.changes_at, is_unsettled: false })
            }
        }
    }

    /// The rows of before the start of a calendar period: those that were found when they were last asked for, where
    /// they are still the same.
    fn leaf_before<'s>(&'s self, period: Unit, ask: Ask<'s>) -> BoxFuture<'s, Result<Found, ReportError>> {
        async move {
            let what = format!("{period:?} {}", ask.question());
            let place = Arc::clone(lock(&self.settled).entry(what.clone()).or_default());
            let found = place.get_or_try_init(|| async {
                let settled = Settled::new(self.of, period, what);
                match (settled.look().await?, self.of.settling) {
                    (Looked::Holds(rows), _) => return Ok(settled.found(rows)),
                    (Looked::Earlier(rows), Settling::Beside) => return Ok(Settled::for_now(Some(rows))),
                    (Looked::Nothing, Settling::Beside) => return Ok(Settled::for_now(None)),
                    (Looked::Earlier(_) | Looked::Nothing, Settling::Awaited) => {}
                }
                let arguments = self.of.arguments.at(settled.at());
                let before = Asked::new(Evaluation { arguments: &arguments, ..self.of });
                let found = match before.leaf(Leaf { ask, within: None, period: None }).await {
                    // The answer around it is worth more: nothing is found, and not asked again in the period.
                    Err(error) if matches!(error.kind(), ErrorKind::Timeout | ErrorKind::TooLarge) => {
                        let (report, cause) = (self.of.report.name.as_str(), error.to_string());
                        tracing::warn!(target: "ebbtide::report", report, cause, "a rule asks too much");
                        Found { given: Given::Whole(Json::Array(Vec::new())), ..Found::default() }
                    }
                    found => found?,
                };
                settled.keep(found).await
            });
            found.await.cloned()
        }
        .boxed()
    }

    /// What a statement reads besides tables.
    pub(super) async fn read_by(&self, statement: &Composed) -> Result<Vec<Relation>, ReportError> {
        let relations = statement.reads.iter().map(|index| async {
            let rows = self.relation(*index).await?;
            Ok(Relation { name: Arc::clone(&self.of.report.relations[*index].name), rows })
        });
        try_join_all(relations).await
    }

    /// A statement's rows, with those that it reads.
    async fn rows(
        &self,
        statement: &Composed,
        params: Vec<(String, Value)>,
        limits: Limits,
    ) -> Result<SqlRows, ReportError> {
        let request = SqlRequest {
            statement: Arc::clone(&statement.statement),
            params,
            unused_params: UnusedParameters::PassedOver,
            relations: self.read_by(statement).await?,
            as_of: self.of.arguments.as_of(),
            calendar: self.of.pack.schema.calendar.clone(),
            limits,
        };
        Ok(self.of.engines.sql.run(self.of.snapshot, self.of.scope, request).await?)
    }

    /// The rows of a relation: asked for by whoever reads them first.
    fn relation(&self, index: usize) -> BoxFuture<'_, Result<Arc<SqlRows>, ReportError>> {
        async move {
            let (Some(cell), Some(relation)) =
                (self.relations.get(index), self.of.report.relations.get(index))
            else {
                return Err(ReportError::Unanswered("a relation that the report lacks is read".to_owned()));
            };
            let rows = cell.get_or_try_init(|| async {
                match &relation.rows {
                    RelationRows::Sql(statement) => {
                        // They are for other statements: their bytes are limited, and not how many they are.
                        let limits = Limits { rows_max: usize::MAX, ..self.of.engines.limits };
                        let values = self.of.arguments.values().to_vec();
                        self.rows(statement, values, limits).await.map(Arc::new)
                    }
                    RelationRows::Query(query) => self.folded(query).await.map(Arc::new),
                }
            });
            rows.await.cloned()
        }
        .boxed()
    }

    /// When what was read by other statements changes.
    pub(super) fn relations_change_at(&self) -> impl Iterator<Item = Instant> {
        self.relations.iter().filter_map(|cell| cell.get()?.changes_at)
    }

    /// A behavioural query's rows as SQL reads them.
    async fn folded(&self, query: &Json) -> Result<SqlRows, ReportError> {
        let Bound { query, snapshot } = self.bound(query)?;
        let schema = snapshot.app().clone();
        let (query, answer) = self.ask(query.for_relation(), snapshot).await?;
        let mut rows = answer.outcome.relation(&query.relation(&schema)).map_err(EngineError::from)?;
        rows.changes_at = Some(answer.changes_at(&query));
        Ok(rows)
    }

    async fn behaviour(&self, leaf: &BehaviourLeaf) -> Result<Found, ReportError> {
        let query = filled(&leaf.query, |name| self.of.arguments.json(name));
        let query = query.map_err(|name| ReportError::NoValue { name })?;
        let place = Arc::clone(self.answers().entry(query.to_string()).or_default());
        let answered = place.get_or_try_init(|| async {
            let Bound { query, snapshot } = self.bound_filled(&query)?;
            let (query, answer) = self.ask(query, snapshot).await?;
            let changes_at = answer.changes_at(&query);
            Ok::<_, ReportError>(Arc::new(Answered { answer, changes_at }))
        });
        let Answered { answer, changes_at } = &**answered.await?;
        let changes_at = Some(*changes_at);
        let (given, columns) = match &leaf.shape {
            None => (answer.result(), Vec::new()),
            Some(shape) if shape.of == ShapeOf::Whole => (shape::whole(&answer.outcome, shape), Vec::new()),
            Some(shape) => {
                let columns = shape.fields.iter().map(|(name, field)| ListColumn::of_field(name, field));
                (Json::Array(shape::rows(&answer.outcome, shape)), columns.collect())
            }
        };
        Ok(Found { given: Given::Whole(given), columns, changes_at, is_unsettled: false })
    }

    /// The map is whole whatever its holder did.
    fn answers(&self) -> MutexGuard<'_, HashMap<String, Arc<OnceCell<Arc<Answered>>>>> {
        lock(&self.answers)
    }

    fn bound(&self, query: &Json) -> Result<Bound, ReportError> {
        let query = filled(query, |name| self.of.arguments.json(name));
        let query = query.map_err(|name| ReportError::NoValue { name })?;
        self.bound_filled(&query)
    }

    fn bound_filled(&self, query: &Json) -> Result<Bound, ReportError> {
        let query = Query::parse(query).map_err(EngineError::from)?;
        let texts = query.texts();
        let snapshot = self.of.snapshot.evolved(self.of.scope, texts.iter().map(String::as_str));
        let query = bind(&query, snapshot.app()).map_err(EngineError::from)?;
        Ok(Bound { query, snapshot })
    }

    async fn ask(
        &self,
        query: BoundQuery,
        snapshot: Snapshot,
    ) -> Result<(BoundQuery, EngineAnswer), ReportError> {
        let (scope, as_of) = (self.of.scope.clone(), self.of.arguments.as_of());
        let asked = query.clone();
        // Of another moment than now nothing goes on.
        let standing = self.of.arguments.given_as_of().is_none().then(|| self.of.engines.standing.clone());
        let work = move |flag: &StopFlag| match standing {
            Some(standing) => standing.ask(&snapshot, &scope, &asked, as_of, flag),
            None => ask(&snapshot, &scope, &asked, as_of, flag),
        };
        Ok((query, self.of.engines.turns.ask(work).await?))
    }
}

/// A behavioural query, and the rows as its scope sees them.
struct Bound {
    query: BoundQuery,
    snapshot: Snapshot,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ask<'_> {
    /// What tells it from others of the same report.
    fn question(&self) -> String {
        match self {
            Self::Sql { shape, statement, .. } => {
                format!("{shape:?} {:?} {}", statement.reads, statement.statement)
            }
            Self::Behaviour(leaf) => format!("{:?} {}", leaf.shape, leaf.query),
            Self::Rows(each) => each.rows.to_string(),
        }
    }
}

fn columns_of(rows: &SqlRows) -> Vec<ListColumn> {
    rows.columns.iter().map(ListColumn::of_sql).collect()
}
