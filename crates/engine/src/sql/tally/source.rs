//! What a plan's rows are, where they are the rows of one table: with conditions, and with the columns of their
//! parent's rows, where the plan joins those by the relation that the table declares. Then there is nothing to
//! join: a row has one parent at most, and which one is known from its column.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{JoinType, NullEquality, Result, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, InListExpr, Literal, lit};
use datafusion::physical_expr::split_conjunction;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use ebbtide_model::TenantRule;

use super::codes::Origin;
use crate::sql::given::GivenExec;
use crate::sql::physical::Rows;
use crate::sql::scan_exec::ScanExec;
use crate::sql::time_range::{TimeColumn, TimeRange};

/// Rows of another's making are compared one by one up to so many.
const LISTED_MAX: usize = 1_000;

/// Rows of a table whose time is in a range.
#[derive(Clone, Debug)]
pub(in crate::sql) struct Scanned {
    pub(in crate::sql) origin: Arc<Origin>,
    pub(in crate::sql) time: Option<(TimeColumn, TimeRange)>,
    /// What the statement says of that range.
    pub(in crate::sql) narrowed: TimeRange,
}

impl Scanned {
    pub(super) fn columns(&self) -> usize {
        self.origin.table().columns.len()
    }

    /// The same of other rows; `None` where their table is another by now.
    fn over(&self, rows: &Rows) -> Option<Self> {
        let table = self.origin.table();
        let other = rows.stored(table.name.as_str())?.scanned(self.narrowed)?;
        (other.origin.table() == table && other.time.is_some() == self.time.is_some()).then_some(other)
    }
}

/// The rows of a parent, and by which column of its children they are found.
#[derive(Clone, Debug)]
pub(super) struct Parent {
    pub(super) rows: Scanned,
    pub(super) by: usize,
    pub(super) key: usize,
}

/// The rows of a plan. Expressions are over the table's columns by their places, and behind them those of the
/// parent.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) rows: Scanned,
    pub(super) parent: Option<Parent>,
    /// All of which hold, as all of `among` do.
    conditions: Vec<Arc<dyn PhysicalExpr>>,
    among: Vec<Among>,
    /// By the places of the plan's columns.
    columns: Vec<Arc<dyn PhysicalExpr>>,
}

/// That a value is one of a relation's.
#[derive(Clone, Debug)]
struct Among {
    relation: Arc<str>,
    column: usize,
    data_type: DataType,
    value: Arc<dyn PhysicalExpr>,
    /// Says so of the rows that the relation has.
    condition: Arc<dyn PhysicalExpr>,
}

impl Among {
    fn new(list: &Listed, value: Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Self> {
        let literals = list.values.iter().map(|value| lit(value.clone())).collect::<Vec<_>>();
        let condition: Arc<dyn PhysicalExpr> = if literals.is_empty() {
            Arc::new(Literal::new(ScalarValue::Boolean(Some(false))))
        } else {
            Arc::new(InListExpr::try_new(value.clone(), literals, false, schema)?)
        };
        let (relation, data_type) = (list.relation.clone(), list.data_type.clone());
        Ok(Self { relation, column: list.column, data_type, value, condition })
    }

    fn shifted(&self, places: usize) -> Result<Self> {
        let (value, condition) = (shifted(&self.value, places)?, shifted(&self.condition, places)?);
        Ok(Self { value, condition, ..self.clone() })
    }
}

impl Source {
    /// What has to hold for a row to count.
    pub(super) fn conditions(&self) -> impl Iterator<Item = &Arc<dyn PhysicalExpr>> {
        self.conditions.iter().chain(self.among.iter().map(|among| &among.condition))
    }

    /// The same of others' rows; `None` where these are not to be tallied in this way.
    pub(super) fn over(&self, rows: &Rows) -> Result<Option<Self>> {
        let Some(own) = self.rows.over(rows) else { return Ok(None) };
        let parent = match &self.parent {
            None => None,
            Some(Parent { rows: theirs, by, key }) => match theirs.over(rows) {
                None => return Ok(None),
                Some(theirs) => Some(Parent { rows: theirs, by: *by, key: *key }),
            },
        };
        let mut source = Self { rows: own, parent, ..self.clone() };
        let schema = source.schema();
        for among in &mut source.among {
            let batches = rows.given(&among.relation);
            let (relation, column) = (&among.relation, among.column);
            let list = batches.and_then(|batches| listed_in(relation, batches, column, &among.data_type));
            let Some(list) = list else { return Ok(None) };
            *among = Among::new(&list, among.value.clone(), &schema)?;
        }
        Ok(Some(source))
    }

    /// `None` where the plan is something else.
    pub(super) fn of(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Self>> {
        if let Some(scan) = plan.downcast_ref::<ScanExec>() {
            return Ok(Self::of_scan(scan));
        }
        if let Some(filter) = plan.downcast_ref::<FilterExec>() {
            let Some(mut source) = Self::of(filter.input())? else { return Ok(None) };
            if filter.fetch().is_some() {
                return Ok(None);
            }
            let predicate = source.inside(filter.predicate())?;
            source.conditions.extend(split_conjunction(&predicate).into_iter().cloned());
            if let Some(projection) = filter.projection() {
                source.project(projection);
            }
            return Ok(Some(source));
        }
        if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
            let Some(mut source) = Self::of(projection.input())? else { return Ok(None) };
            let exprs = projection.expr().iter().map(|shown| source.inside(&shown.expr));
            source.columns = exprs.collect::<Result<_>>()?;
            return Ok(Some(source));
        }
        if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
            return Self::of_join(join);
        }
        let hands_on = plan.is::<RepartitionExec>()
            || plan.is::<CoalescePartitionsExec>()
            || plan.is::<CooperativeExec>();
        match plan.children()[..] {
            [input] if hands_on => Self::of(input),
            _ => Ok(None),
        }
    }

    fn of_scan(scan: &ScanExec) -> Option<Self> {
        let (rows, columns) = scan.tallied()?;
        let fields = rows.origin.table().columns.clone();
        let column = |index: &usize| {
            let name = &fields.get(*index)?.name;
            Some(Arc::new(Column::new(name, *index)) as Arc<dyn PhysicalExpr>)
        };
        let columns = columns.iter().map(column).collect::<Option<Vec<_>>>()?;
        Some(Self { rows, parent: None, conditions: Vec::new(), among: Vec::new(), columns })
    }

    fn of_join(join: &HashJoinExec) -> Result<Option<Self>> {
        let is_plain = *join.join_type() == JoinType::Inner
            && join.filter().is_none()
            && join.null_equality() == NullEquality::NullEqualsNothing;
        let [(left_on, right_on)] = join.on() else { return Ok(None) };
        if !is_plain || join.fetch().is_some() {
            return Ok(None);
        }
        let joined = match (listed(join.left(), left_on)?, listed(join.right(), right_on)?) {
            (Some(list), None) => {
                Self::of(join.right())?.map(|source| source.among(&list, right_on, Side::Right))
            }
            (None, Some(list)) => {
                Self::of(join.left())?.map(|source| source.among(&list, left_on, Side::Left))
            }
            (_, _) => match (Self::of(join.left())?, Self::of(join.right())?) {
                (Some(left), Some(right)) => Some(Self::with_parent(left, left_on, right, right_on)),
                (_, _) => None,
            },
        };
        let Some(Some(mut source)) = joined.transpose()? else { return Ok(None) };
        if let Some(projection) = join.projection.as_ref() {
            source.project(projection);
        }
        Ok(Some(source))
    }

    /// An expression over the plan's columns as one over the table's.
    pub(super) fn inside(&self, expr: &Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let replaced = expr.clone().transform_up(|expr| {
            let own = expr.downcast_ref::<Column>().and_then(|column| self.columns.get(column.index()));
            Ok(match own {
                // What stands in its place is not looked at again: it comes from below.
                Some(own) => Transformed::yes(own.clone()),
                None => Transformed::no(expr),
            })
        });
        replaced.data()
    }

    fn project(&mut self, places: &[usize]) {
        self.columns = places.iter().filter_map(|place| self.columns.get(*place).cloned()).collect();
    }

    /// Those whose value is one of a list, beside which the plan has the list's one column.
    fn among(mut self, list: &Listed, on: &Arc<dyn PhysicalExpr>, side: Side) -> Result<Option<Self>> {
        let value = self.inside(on)?;
        let schema = self.schema();
        if value.data_type(&schema)? != list.data_type {
            return Ok(None);
        }
        self.among.push(Among::new(list, value.clone(), &schema)?);
        let theirs = std::iter::repeat_n(value, list.columns);
        self.columns = match side {
            Side::Left => self.columns.into_iter().chain(theirs).collect(),
            Side::Right => theirs.chain(self.columns).collect(),
        };
        Ok(Some(self))
    }

    fn with_parent(
        left: Self,
        left_on: &Arc<dyn PhysicalExpr>,
        right: Self,
        right_on: &Arc<dyn PhysicalExpr>,
    ) -> Result<Option<Self>> {
        let (left_on, right_on) = (left.inside(left_on)?, right.inside(right_on)?);
        let (child, parent, link, side) = if let Some(link) = link(&left, &left_on, &right, &right_on) {
            (left, right, link, Side::Left)
        } else if let Some(link) = link(&right, &right_on, &left, &left_on) {
            (right, left, link, Side::Right)
        } else {
            return Ok(None);
        };
        let own = child.rows.columns();
        let moved = |expr: &Arc<dyn PhysicalExpr>| shifted(expr, own);
        let theirs = parent.columns.iter().map(moved).collect::<Result<Vec<_>>>()?;
        let mut conditions = child.conditions;
        conditions.extend(parent.conditions.iter().map(moved).collect::<Result<Vec<_>>>()?);
        let mut among = child.among;
        among.extend(parent.among.iter().map(|among| among.shifted(own)).collect::<Result<Vec<_>>>()?);
        let columns = match side {
            Side::Left => child.columns.into_iter().chain(theirs).collect(),
            Side::Right => theirs.into_iter().chain(child.columns).collect(),
        };
        let parent = Parent { rows: parent.rows, by: link.by, key: link.key };
        Ok(Some(Self { rows: child.rows, parent: Some(parent), conditions, among, columns }))
    }

    /// Of the columns that expressions are over.
    pub(super) fn schema(&self) -> Schema {
        let parent = self.parent.iter().flat_map(|parent| &parent.rows.origin.table().columns);
        let columns = self.rows.origin.table().columns.iter().chain(parent);
        let field = |column: &ebbtide_model::Column| {
            Field::new(&column.name, ebbtide_store::arrow_type(column.column_type), true)
        };
        Schema::new(columns.map(field).collect::<Vec<_>>())
    }
}

/// Where the table's rows stand in a join.
#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
}

struct Link {
    by: usize,
    key: usize,
}

/// How a table's rows find their parents in another's, if that is what is compared.
fn link(
    child: &Source,
    child_on: &Arc<dyn PhysicalExpr>,
    parent: &Source,
    parent_on: &Arc<dyn PhysicalExpr>,
) -> Option<Link> {
    if child.parent.is_some() || parent.parent.is_some() {
        return None;
    }
    let (table, other) = (child.rows.origin.table(), parent.rows.origin.table());
    let TenantRule::Parent { parent: name, by } = &table.tenant else { return None };
    let [key] = other.key[..] else { return None };
    let is = |expr: &Arc<dyn PhysicalExpr>, index: usize| {
        expr.downcast_ref::<Column>().is_some_and(|column| column.index() == index)
    };
    let same_type = table.columns.get(*by)?.column_type == other.columns.get(key)?.column_type;
    let is_link = other.name == *name && same_type && is(child_on, *by) && is(parent_on, key);
    is_link.then_some(Link { by: *by, key })
}

/// An expression over columns that come behind so many others.
pub(super) fn shifted(expr: &Arc<dyn PhysicalExpr>, places: usize) -> Result<Arc<dyn PhysicalExpr>> {
    placed(expr, |index| index + places)
}

/// An expression with its columns at other places.
pub(super) fn placed(
    expr: &Arc<dyn PhysicalExpr>,
    place: impl Fn(usize) -> usize,
) -> Result<Arc<dyn PhysicalExpr>> {
    let moved = expr.clone().transform_up(|expr| {
        Ok(match expr.downcast_ref::<Column>() {
            Some(column) => {
                Transformed::yes(Arc::new(Column::new(column.name(), place(column.index()))) as _)
            }
            None => Transformed::no(expr),
        })
    });
    moved.data()
}

/// The values of rows that another statement gave, of one column, each of them once.
struct Listed {
    relation: Arc<str>,
    /// Of the relation.
    column: usize,
    data_type: DataType,
    values: Vec<ScalarValue>,
    /// How many columns the plan has, all of them this one.
    columns: usize,
}

/// `None` where a plan is something else, or has a value twice.
fn listed(plan: &Arc<dyn ExecutionPlan>, on: &Arc<dyn PhysicalExpr>) -> Result<Option<Listed>> {
    let (Some(given), Some(on)) = (plan.downcast_ref::<GivenExec>(), on.downcast_ref::<Column>()) else {
        return Ok(None);
    };
    let data_type = plan.schema().field(on.index()).data_type().clone();
    let (batches, column) = given.column(on.index());
    if plan.schema().fields().len() != 1 || !matches!(data_type, DataType::Utf8 | DataType::Int64) {
        return Ok(None);
    }
    Ok(listed_in(given.relation(), batches, column, &data_type))
}

/// The values of a column; `None` where they are many, or one of them is there twice.
fn listed_in(
    relation: &Arc<str>,
    batches: &[RecordBatch],
    column: usize,
    data_type: &DataType,
) -> Option<Listed> {
    let mut values: Vec<ScalarValue> = Vec::new();
    for batch in batches {
        let array = batch.columns().get(column).filter(|array| array.data_type() == data_type)?;
        if values.len() + array.len() > LISTED_MAX {
            return None;
        }
        match data_type {
            DataType::Utf8 => {
                values.extend(array.as_string_opt::<i32>()?.iter().flatten().map(ScalarValue::from));
            }
            _ => {
                let numbers = array.as_primitive_opt::<Int64Type>()?.iter().flatten();
                values.extend(numbers.map(ScalarValue::from));
            }
        }
    }
    let distinct: std::collections::HashSet<&ScalarValue> = values.iter().collect();
    let is_distinct = distinct.len() == values.len();
    let (relation, data_type) = (relation.clone(), data_type.clone());
    is_distinct.then_some(Listed { relation, column, data_type, values, columns: 1 })
}
