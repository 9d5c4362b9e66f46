//! Finds the aggregates of a plan that may be tallied.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::split_conjunction;
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::partitioned_topk::PartitionedTopKExec;
use datafusion::physical_plan::sorts::sort::SortExec;

use super::lookup::columns_of;
use super::source::Source;
use super::values::Values;
use super::{Aggregate, Best, Tally, TallyExec};

/// Before it, plans are not yet spread over streams.
const BEFORE: &str = "EnsureRequirements";

/// The engine's rules, and this one.
pub(in crate::sql) fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    let place = rules.iter().position(|rule| rule.name() == BEFORE).unwrap_or(rules.len());
    rules.insert(place, Arc::new(Tallies));
    rules
}

#[derive(Debug)]
struct Tallies;

impl PhysicalOptimizerRule for Tallies {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let tallied = plan.transform_down(|plan| {
            let plan = match with_best_groups(&plan)? {
                Some(plan) => return Ok(Transformed::new(plan, true, TreeNodeRecursion::Jump)),
                None => plan,
            };
            Ok(match tally_of(&plan)? {
                Some(tally) => {
                    let tally: Arc<dyn ExecutionPlan> = Arc::new(TallyExec::new(tally, plan));
                    Transformed::new(tally, true, TreeNodeRecursion::Jump)
                }
                None => Transformed::no(plan),
            })
        });
        tallied.data()
    }

    fn name(&self) -> &'static str {
        "Tallies"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// An operator that takes the first rows of an order, over groups that are tallied.
fn with_best_groups(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let (order, within, count) = if let Some(first) = plan.downcast_ref::<PartitionedTopKExec>() {
        (first.expr().iter().collect::<Vec<_>>(), first.partition_prefix_len(), first.fetch())
    } else if let Some(sort) = plan.downcast_ref::<SortExec>() {
        let Some(count) = sort.fetch() else { return Ok(None) };
        (sort.expr().iter().collect(), 0, count)
    } else {
        return Ok(None);
    };
    let [input] = plan.children()[..] else { return Ok(None) };
    let Some((partition, [by, ..])) = order.split_at_checked(within) else { return Ok(None) };
    let Some(tallied) = best_of(input, partition, by, count)? else { return Ok(None) };
    Ok(Some(replace_children_if_necessary(plan.clone(), vec![tallied])?))
}

fn best_of(
    input: &Arc<dyn ExecutionPlan>,
    partition: &[&PhysicalSortExpr],
    by: &PhysicalSortExpr,
    count: usize,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let (projection, groups) = match input.downcast_ref::<ProjectionExec>() {
        Some(projection) => (Some(projection), projection.input()),
        None => (None, input),
    };
    let Some(mut tally) = tally_of(groups)? else { return Ok(None) };
    let place = |sort: &PhysicalSortExpr| {
        let place = sort.expr.downcast_ref::<Column>()?.index();
        match projection {
            None => Some(place),
            Some(projection) => {
                projection.expr().get(place)?.expr.downcast_ref::<Column>().map(Column::index)
            }
        }
    };
    let within = partition.iter().map(|sort| place(sort)).collect::<Option<Vec<usize>>>();
    let groupings = tally.groups.len();
    let within = within.filter(|within| within.iter().all(|place| *place < groupings));
    let by = place(by).filter(|_| by.options.descending).and_then(|place| place.checked_sub(groupings));
    if let (Some(within), Some(by)) = (within, by) {
        tally.best = Some(Best { within, by, count });
    }
    let tallied: Arc<dyn ExecutionPlan> = Arc::new(TallyExec::new(tally, groups.clone()));
    Ok(Some(match projection {
        None => tallied,
        Some(_) => replace_children_if_necessary(input.clone(), vec![tallied])?,
    }))
}

/// What a plan tallies, if that is what it does.
fn tally_of(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Tally>> {
    let Some(last) = plan.downcast_ref::<AggregateExec>() else { return Ok(None) };
    let first = match last.mode() {
        AggregateMode::Single | AggregateMode::SinglePartitioned => last,
        AggregateMode::Final | AggregateMode::FinalPartitioned => {
            let first = last.input().downcast_ref::<AggregateExec>();
            let Some(first) = first.filter(|first| *first.mode() == AggregateMode::Partial) else {
                return Ok(None);
            };
            first
        }
        AggregateMode::Partial | AggregateMode::PartialReduce => return Ok(None),
    };
    if !first.group_expr().is_single() || last.limit_options().is_some() || first.limit_options().is_some() {
        return Ok(None);
    }
    let Some(source) = Source::of(first.input())? else { return Ok(None) };
    let groups = first.group_expr().expr().iter().map(|(expr, _)| source.inside(expr));
    let groups = groups.collect::<Result<Vec<_>>>()?;
    let filters = first.filter_expr().iter();
    let aggregates = first.aggr_expr().iter().zip(filters).map(|(expr, filter)| {
        let arguments = expr.expressions();
        let arguments = arguments.iter().map(|argument| source.inside(argument));
        Ok(Aggregate {
            expr: expr.clone(),
            arguments: arguments.collect::<Result<_>>()?,
            filter: filter.as_ref().map(|filter| source.inside(filter)).transpose()?,
        })
    });
    let aggregates = aggregates.collect::<Result<Vec<Aggregate>>>()?;
    let tally = Tally { source, groups, aggregates, schema: last.schema(), best: None };
    Ok(tally.is_possible().then_some(tally))
}

impl Tally {
    /// Whether all can be asked of one table's rows, or looked up by them.
    fn is_possible(&self) -> bool {
        let own = self.source.rows.columns();
        let is_own = |expr: &Arc<dyn PhysicalExpr>| columns_of(expr).iter().all(|column| *column < own);
        let is_of_one = |expr: &Arc<dyn PhysicalExpr>| {
            is_own(expr) || columns_of(expr).iter().all(|column| *column >= own)
        };
        let grouped = self.groups.iter().enumerate().all(|(place, expr)| {
            is_of_one(expr) && Values::new(self.schema.field(place).data_type()).is_some()
        });
        let aggregated = self.aggregates.iter().all(|aggregate| {
            let expr = &aggregate.expr;
            let is_counted = aggregate.counts_rows() || aggregate.counts_distinct();
            expr.order_bys().is_empty()
                && (is_counted || aggregate.is_supported())
                && aggregate.arguments.iter().all(is_own)
                && aggregate.filter.iter().flat_map(split_conjunction).all(is_of_one)
        });
        grouped && aggregated && self.source.conditions().all(is_of_one)
    }
}
