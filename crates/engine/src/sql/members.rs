//! `json_get_*` of the properties of an open table, made columns of that table's scan: what a statement asks
//! for is then read, filtered and grouped as any other column, and the JSON text of a row's properties is
//! never built.
//!
//! A call is taken down from where it stands to the scan that its column comes from, through all that hands
//! rows on as they are; every plan on the way gets one column more. Where there is no way (a union, a group,
//! a value that was computed), the call stays what it is: a function over the text. Both give the same.
//!
//! A column that is added is seen by nobody who does not ask for it: what a statement, or a part of it that
//! goes by the places of columns, hands on is as it was.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::catalog::default_table_source::{provider_as_source, source_as_provider};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, JoinType, Result, ScalarValue};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Aggregate, Expr, Join, LogicalPlan, Projection, SubqueryAlias, TableScan, TableScanBuilder,
};

use super::functions::{Wanted, parameter_text};
use super::scan::ScopedTable;

/// Makes columns of a plan's calls, wherever that is possible. What the plan gives stays the same.
pub(super) fn made_columns(plan: LogicalPlan) -> Result<LogicalPlan> {
    Members::default().closed(plan)
}

/// A call of `json_get_*` on a column, with a name that is known.
#[derive(Clone, Debug)]
struct Call {
    column: Column,
    name: Arc<str>,
    wanted: Wanted,
}

impl Call {
    fn of(expr: &Expr) -> Option<Self> {
        let Expr::ScalarFunction(function) = expr else {
            return None;
        };
        let [Expr::Column(column), name] = function.args.as_slice() else {
            return None;
        };
        let name = match name {
            Expr::Literal(ScalarValue::Utf8(Some(name)), _) => name.as_str(),
            Expr::ScalarFunction(parameter) => parameter_text(&parameter.func)?,
            _ => return None,
        };
        let wanted = Wanted::of_function(function.name())?;
        Some(Self { column: column.clone(), name: Arc::from(name), wanted })
    }

    fn on(&self, column: Column) -> Self {
        Self { column, ..self.clone() }
    }
}

/// Whether a plan's parents find its columns by their names, so that it may have more of them.
fn is_read_by_name(parent: &LogicalPlan) -> bool {
    matches!(
        parent,
        LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Join(_)
            | LogicalPlan::SubqueryAlias(_)
    )
}

/// What [`made_columns`] does, once for each statement.
#[derive(Debug, Default)]
struct Members {
    /// Columns that were added: each has a name of its own.
    added: usize,
}

impl Members {
    /// A plan that gives what it gave before.
    fn closed(&mut self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let before = plan.schema().clone();
        let plan = self.opened(plan)?;
        if plan.schema().fields().len() == before.fields().len() {
            return Ok(plan);
        }
        let columns = before.columns().into_iter().map(Expr::Column).collect();
        Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?))
    }

    /// A plan that gives what it gave before, and perhaps columns besides.
    fn opened(&mut self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let plan = plan.map_subqueries(|subquery| Ok(Transformed::yes(self.closed(subquery)?)))?.data;
        let by_name = is_read_by_name(&plan);
        let plan = plan.map_children(|child| {
            let child = if by_name { self.opened(child)? } else { self.closed(child)? };
            Ok(Transformed::yes(child))
        })?;
        if !by_name {
            return Ok(plan.data);
        }
        let plan = plan.data.recompute_schema()?;
        if has_grouping_sets(&plan) { Ok(plan) } else { self.with_calls_made(plan) }
    }

    /// Makes columns of the calls in a plan's own expressions.
    fn with_calls_made(&mut self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let mut inputs: Vec<LogicalPlan> = plan.inputs().into_iter().cloned().collect();
        let mut made: HashMap<Expr, Column> = HashMap::new();
        for expr in plan.expressions() {
            expr.apply(|expr| {
                if let Some(call) = Call::of(expr).filter(|_| !made.contains_key(expr)) {
                    for input in &mut inputs {
                        if let Some((with_column, column)) = self.offered(input, &call)? {
                            *input = with_column;
                            made.insert(expr.clone(), column);
                            break;
                        }
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        if made.is_empty() {
            return Ok(plan);
        }
        let names = NamePreserver::new(&plan);
        let replaced = |expr: Expr| -> Result<Expr> {
            let name = names.save(&expr);
            let replaced = expr.transform_up(|expr| {
                Ok(match made.get(&expr) {
                    Some(column) => Transformed::yes(Expr::Column(column.clone())),
                    None => Transformed::no(expr),
                })
            })?;
            Ok(name.restore(replaced.data))
        };
        let exprs = plan.expressions().into_iter().map(replaced).collect::<Result<Vec<Expr>>>()?;
        plan.with_new_exprs(exprs, inputs)
    }

    /// The plan with a column for the call, and that column. `None` where it cannot have one.
    fn offered(&mut self, plan: &LogicalPlan, call: &Call) -> Result<Option<(LogicalPlan, Column)>> {
        if plan.schema().maybe_index_of_column(&call.column).is_none() {
            return Ok(None);
        }
        match plan {
            LogicalPlan::TableScan(scan) => self.offered_by_scan(scan, call),
            LogicalPlan::SubqueryAlias(alias) => self.offered_by_alias(alias, call),
            LogicalPlan::Projection(projection) => self.offered_by_projection(projection, call),
            LogicalPlan::Join(join) => self.offered_by_join(join, call),
            LogicalPlan::Filter(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Window(_) => {
                let [input] = plan.inputs()[..] else {
                    return Ok(None);
                };
                let Some((input, column)) = self.offered(input, call)? else {
                    return Ok(None);
                };
                Ok(Some((plan.with_new_exprs(plan.expressions(), vec![input])?, column)))
            }
            _ => Ok(None),
        }
    }

    fn offered_by_scan(&mut self, scan: &TableScan, call: &Call) -> Result<Option<(LogicalPlan, Column)>> {
        let provider = source_as_provider(&scan.source)?;
        let Some(table) = provider.downcast_ref::<ScopedTable>() else {
            return Ok(None);
        };
        if scan.projection.is_some() || table.properties_field() != Some(call.column.name()) {
            return Ok(None);
        }
        let column = |name: String| Column::new(Some(scan.table_name.clone()), name);
        if let Some(known) = table.member(&call.name, call.wanted) {
            return Ok(Some((LogicalPlan::TableScan(scan.clone()), column(known.to_owned()))));
        }
        self.added += 1;
        // A name that no pack can give a column.
        let field = format!("{}({:?}) #{}", call.wanted.function(), call.name, self.added);
        let table = table.with_member(&field, &call.name, call.wanted);
        let source = provider_as_source(Arc::new(table));
        let builder = TableScanBuilder::new(scan.table_name.clone(), source);
        let scan = builder.with_filters(scan.filters.clone()).with_fetch(scan.fetch).build()?;
        Ok(Some((LogicalPlan::TableScan(scan), column(field))))
    }

    fn offered_by_alias(
        &mut self,
        alias: &SubqueryAlias,
        call: &Call,
    ) -> Result<Option<(LogicalPlan, Column)>> {
        let inner = same_place(&alias.schema, &call.column, alias.input.schema());
        let Some((input, column)) = self.offered_inside(&alias.input, call, inner)? else {
            return Ok(None);
        };
        let inside = input.schema().clone();
        let alias = SubqueryAlias::try_new(Arc::new(input), alias.alias.clone())?;
        let outside = same_place(&inside, &column, &alias.schema);
        Ok(outside.map(|column| (LogicalPlan::SubqueryAlias(alias), column)))
    }

    fn offered_by_projection(
        &mut self,
        projection: &Projection,
        call: &Call,
    ) -> Result<Option<(LogicalPlan, Column)>> {
        let place = projection.schema.maybe_index_of_column(&call.column);
        let inner = match place.and_then(|place| projection.expr.get(place)).map(without_alias) {
            Some(Expr::Column(column)) => Some(column.clone()),
            _ => None,
        };
        let Some((input, column)) = self.offered_inside(&projection.input, call, inner)? else {
            return Ok(None);
        };
        let mut exprs = projection.expr.clone();
        if !exprs.iter().any(|expr| matches!(expr, Expr::Column(known) if *known == column)) {
            exprs.push(Expr::Column(column.clone()));
        }
        let projection = Projection::try_new(exprs, Arc::new(input))?;
        Ok(Some((LogicalPlan::Projection(projection), column)))
    }

    /// By the side that the column comes from, if the join gives that side's columns.
    fn offered_by_join(&mut self, join: &Join, call: &Call) -> Result<Option<(LogicalPlan, Column)>> {
        let (gives_left, gives_right) = match join.join_type {
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => (true, true),
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => (true, false),
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => (false, true),
        };
        let mut inputs = [(*join.left).clone(), (*join.right).clone()];
        for (input, gives) in inputs.iter_mut().zip([gives_left, gives_right]) {
            if !gives {
                continue;
            }
            if let Some((with_column, column)) = self.offered(input, call)? {
                *input = with_column;
                let plan = LogicalPlan::Join(join.clone());
                return Ok(Some((plan.with_new_exprs(plan.expressions(), inputs.to_vec())?, column)));
            }
        }
        Ok(None)
    }

    /// The call as it is inside of a plan that names columns anew.
    fn offered_inside(
        &mut self,
        input: &LogicalPlan,
        call: &Call,
        inner: Option<Column>,
    ) -> Result<Option<(LogicalPlan, Column)>> {
        match inner {
            Some(inner) => self.offered(input, &call.on(inner)),
            None => Ok(None),
        }
    }
}

/// The column of another schema that stands where that one does in its own.
fn same_place(schema: &DFSchema, column: &Column, other: &DFSchema) -> Option<Column> {
    let place = schema.maybe_index_of_column(column)?;
    (place < other.fields().len()).then(|| Column::from(other.qualified_field(place)))
}

fn without_alias(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => without_alias(&alias.expr),
        other => other,
    }
}

/// Their columns go by names that are made of the expressions.
fn has_grouping_sets(plan: &LogicalPlan) -> bool {
    let is_set = |expr: &Expr| matches!(expr, Expr::GroupingSet(_));
    matches!(plan, LogicalPlan::Aggregate(Aggregate { group_expr, .. }) if group_expr.iter().any(is_set))
}
