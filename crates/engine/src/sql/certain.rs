//! What a statement's plan alone makes certain of its answer: which columns are never null, and whether there is
//! always a row. What it does not know is not certain, so each claim holds for any rows.

use datafusion::common::Column;
use datafusion::logical_expr::expr::{AggregateFunction, Alias, Case, Cast, InList, ScalarFunction};
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Distinct, Expr, Join, JoinType, LogicalPlan, Window, WindowFunctionDefinition,
};
use ebbtide_model::{AppSchema, TableName};

use super::Relation;

/// Functions that are null where an argument is, and nowhere else.
const STRICT: [&str; 5] = ["abs", "bucket", "bucket_label", "lower", "upper"];

/// Whose tables a plan reads.
pub(super) struct Certain<'a> {
    pub(super) app: &'a AppSchema,
    pub(super) relations: &'a [Relation],
}

/// Whether a plan gives a row whatever its tables hold.
pub(super) fn has_a_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::EmptyRelation(empty) => empty.produce_one_row,
        LogicalPlan::Values(values) => !values.values.is_empty(),
        LogicalPlan::Aggregate(aggregate) => {
            aggregate.group_expr.is_empty() || has_a_row(&aggregate.input) && !has_grouping_sets(aggregate)
        }
        LogicalPlan::Projection(projection) => has_a_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => has_a_row(&alias.input),
        LogicalPlan::Sort(sort) => sort.fetch.is_none() && has_a_row(&sort.input),
        LogicalPlan::Window(window) => has_a_row(&window.input),
        LogicalPlan::Distinct(Distinct::All(input)) => has_a_row(input),
        LogicalPlan::Union(union) => union.inputs.iter().any(|input| has_a_row(input)),
        LogicalPlan::Join(join) => match join.join_type {
            JoinType::Inner => {
                join.on.is_empty() && join.filter.is_none() && has_a_row(&join.left) && has_a_row(&join.right)
            }
            JoinType::Left => has_a_row(&join.left),
            JoinType::Right => has_a_row(&join.right),
            JoinType::Full => has_a_row(&join.left) || has_a_row(&join.right),
            _ => false,
        },
        _ => false,
    }
}

fn has_grouping_sets(aggregate: &Aggregate) -> bool {
    aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_)))
}

impl Certain<'_> {
    /// Whether the column at this place is never null in a row of the plan's.
    pub(super) fn is_never_null(&self, plan: &LogicalPlan, index: usize) -> bool {
        match plan {
            LogicalPlan::Projection(projection) => self.is_at(&projection.expr, index, &projection.input),
            LogicalPlan::SubqueryAlias(alias) => self.is_never_null(&alias.input, index),
            LogicalPlan::Sort(sort) => self.is_never_null(&sort.input, index),
            LogicalPlan::Limit(limit) => self.is_never_null(&limit.input, index),
            LogicalPlan::Filter(filter) => self.is_never_null(&filter.input, index),
            LogicalPlan::Distinct(Distinct::All(input)) => self.is_never_null(input, index),
            LogicalPlan::Distinct(Distinct::On(on)) => self.is_at(&on.select_expr, index, &on.input),
            LogicalPlan::Union(union) => union.inputs.iter().all(|input| self.is_never_null(input, index)),
            LogicalPlan::Values(values) => values
                .values
                .iter()
                .all(|row| matches!(row.get(index), Some(Expr::Literal(value, _)) if !value.is_null())),
            LogicalPlan::Aggregate(aggregate) => self.is_aggregated(aggregate, index),
            LogicalPlan::Window(window) => self.is_of_window(window, index),
            LogicalPlan::Join(join) => self.is_joined(join, index),
            LogicalPlan::TableScan(scan) => {
                // Tables and relations promise the engine nothing; what it makes itself, a series of numbers, is told.
                let field = scan.projected_schema.field(index);
                !field.is_nullable() || self.is_declared(scan.table_name.table(), field.name())
            }
            _ => false,
        }
    }

    fn is_at(&self, exprs: &[Expr], index: usize, input: &LogicalPlan) -> bool {
        exprs.get(index).is_some_and(|expr| self.is_value(expr, input))
    }

    fn is_aggregated(&self, aggregate: &Aggregate, index: usize) -> bool {
        let groups = aggregate.group_expr.len();
        if has_grouping_sets(aggregate) {
            return false;
        }
        match index.checked_sub(groups) {
            None => self.is_at(&aggregate.group_expr, index, &aggregate.input),
            Some(of) => aggregate.aggr_expr.get(of).is_some_and(is_count),
        }
    }

    fn is_of_window(&self, window: &Window, index: usize) -> bool {
        let columns = window.input.schema().fields().len();
        match index.checked_sub(columns) {
            None => self.is_never_null(&window.input, index),
            Some(of) => window.window_expr.get(of).is_some_and(is_numbering),
        }
    }

    fn is_joined(&self, join: &Join, index: usize) -> bool {
        let left = join.left.schema().fields().len();
        let of_left = || self.is_never_null(&join.left, index);
        let of_right = || index.checked_sub(left).is_some_and(|index| self.is_never_null(&join.right, index));
        match join.join_type {
            JoinType::Inner if index < left => of_left(),
            JoinType::Inner => of_right(),
            JoinType::Left => index < left && of_left(),
            JoinType::Right => index >= left && of_right(),
            JoinType::LeftSemi | JoinType::LeftAnti => of_left(),
            _ => false,
        }
    }

    fn is_declared(&self, table: &str, column: &str) -> bool {
        if let Some(relation) = self.relations.iter().find(|relation| &*relation.name == table) {
            let found = relation.rows.columns.iter().find(|own| own.name == column);
            return found.is_some_and(|own| !own.nullable);
        }
        let declared = self.app.table(&TableName::new(table));
        let found = declared.and_then(|table| table.declared().iter().find(|own| own.name == column));
        found.is_some_and(|own| !own.nullable)
    }

    fn is_value(&self, expr: &Expr, input: &LogicalPlan) -> bool {
        let is = |expr: &Expr| self.is_value(expr, input);
        match expr {
            Expr::Column(column) => self.is_column(column, input),
            Expr::Alias(Alias { expr, .. })
            | Expr::Cast(Cast { expr, .. })
            | Expr::Negative(expr)
            | Expr::Not(expr) => is(expr),
            Expr::Literal(value, _) => !value.is_null(),
            Expr::BinaryExpr(BinaryExpr { left, right, .. }) => is(left) && is(right),
            Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNotFalse(_)
            | Expr::Exists(_) => true,
            Expr::InList(InList { expr, list, .. }) => is(expr) && list.iter().all(is),
            Expr::Case(Case { when_then_expr, else_expr, .. }) => {
                else_expr.as_ref().is_some_and(|expr| is(expr))
                    && when_then_expr.iter().all(|(_, then)| is(then))
            }
            Expr::ScalarFunction(ScalarFunction { func, args }) => match func.name() {
                "coalesce" => args.iter().any(is),
                // What every request has: the moment that it asks about.
                "$as_of" | "now" => args.is_empty(),
                name => !args.is_empty() && STRICT.contains(&name) && args.iter().all(is),
            },
            Expr::ScalarSubquery(subquery) => {
                has_a_row(&subquery.subquery) && self.is_never_null(&subquery.subquery, 0)
            }
            _ => false,
        }
    }

    fn is_column(&self, column: &Column, input: &LogicalPlan) -> bool {
        input.schema().maybe_index_of_column(column).is_some_and(|index| self.is_never_null(input, index))
    }
}

/// Of no rows it is 0.
fn is_count(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(Alias { expr, .. }) => is_count(expr),
        Expr::AggregateFunction(AggregateFunction { func, .. }) => func.name() == "count",
        _ => false,
    }
}

fn is_numbering(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(Alias { expr, .. }) => is_numbering(expr),
        Expr::WindowFunction(function) => match &function.fun {
            WindowFunctionDefinition::AggregateUDF(function) => function.name() == "count",
            WindowFunctionDefinition::WindowUDF(function) => {
                ["row_number", "rank", "dense_rank", "ntile"].contains(&function.name())
            }
        },
        _ => false,
    }
}
