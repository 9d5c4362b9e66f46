//! Groups of one table's rows, counted and added up by small numbers instead of by their values.
//!
//! Where a plan groups the rows of a scan, with conditions and with the columns of the parent that the table
//! declares, a [`Tally`] stands in the place of the engine's own aggregate (and of the join). Each distinct value
//! of a text has a number, kept with the rows for as long as they are the same: conditions and expressions over
//! one column are asked once for each value, a parent's columns are looked up by the number of what names it, and
//! a group is a place in a list. The answer is the same, whichever way.

mod adding;
mod asked;
mod best;
mod codes;
mod condition;
mod days;
mod groups;
mod lookup;
mod rule;
mod run;
mod source;
mod standing;
mod taking;
mod values;

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::GroupsAccumulator;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_expr::{EquivalenceProperties, GroupsAccumulatorAdapter, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::ensure_requirements::EnsureRequirements;
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, ReplaceChildrenOptions, SchedulingType,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, execute_stream,
};
use futures::{StreamExt, TryStreamExt, stream};

use run::Running;
use source::Source;

use super::physical::{self, Rows};

pub(crate) use asked::CodedTable;
pub(super) use codes::Origin;
pub(super) use rule::physical_rules;
pub(super) use source::Scanned;
#[cfg(test)]
pub(super) use standing::moments_kept;
pub(crate) use values::NONE;

/// Aggregates of which it is known that the order of rows says nothing to them.
const ORDERLESS: [&str; 9] =
    ["count", "sum", "avg", "min", "max", "bool_and", "bool_or", "percentile_cont", "median"];
/// Rows in a batch of groups.
const BATCH_ROWS: usize = 8_192;

/// The groups of a source's rows, and what is added up for each.
#[derive(Clone, Debug)]
struct Tally {
    source: Source,
    groups: Vec<Arc<dyn PhysicalExpr>>,
    aggregates: Vec<Aggregate>,
    /// Groups, then aggregates.
    schema: SchemaRef,
    best: Option<Best>,
}

#[derive(Clone, Debug)]
struct Aggregate {
    expr: Arc<AggregateFunctionExpr>,
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    filter: Option<Arc<dyn PhysicalExpr>>,
}

/// Of the groups, those with the highest of an aggregate are enough: of each partition so many, and all that are
/// equal to the lowest of them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Best {
    /// Groupings.
    within: Vec<usize>,
    /// An aggregate.
    by: usize,
    count: usize,
}

impl Aggregate {
    fn counts_rows(&self) -> bool {
        let is_there = |argument: &Arc<dyn PhysicalExpr>| {
            argument.downcast_ref::<Literal>().is_some_and(|literal| !literal.value().is_null())
        };
        self.expr.fun().name() == "count" && !self.expr.is_distinct() && self.arguments.iter().all(is_there)
    }

    /// Whether rows add up to the same in whatever order they come.
    fn is_orderless(&self) -> bool {
        ORDERLESS.contains(&self.expr.fun().name())
    }

    fn is_supported(&self) -> bool {
        self.expr.groups_accumulator_supported() || self.is_orderless()
    }

    /// What adds up by groups, be it one group at a time.
    fn accumulator(&self) -> Result<Box<dyn GroupsAccumulator>> {
        if self.expr.groups_accumulator_supported() {
            return self.expr.create_groups_accumulator();
        }
        let expr = self.expr.clone();
        Ok(Box::new(GroupsAccumulatorAdapter::new(move || expr.create_accumulator())))
    }

    fn counts_distinct(&self) -> bool {
        self.expr.fun().name() == "count" && self.expr.is_distinct() && self.arguments.len() == 1
    }
}

/// A tally as a plan.
#[derive(Debug)]
pub(super) struct TallyExec {
    tally: Arc<Tally>,
    /// The same by the engine's own operators, not yet fit to be run.
    plain: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl TallyExec {
    fn new(tally: Tally, plain: Arc<dyn ExecutionPlan>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(tally.schema.clone()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Self { tally: Arc::new(tally), plain, properties: Arc::new(properties) }
    }

    /// The same of others' rows; `None` where these are not to be tallied in this way.
    pub(super) fn over(&self, rows: &Rows) -> Result<Option<Self>> {
        let (Some(source), Some(plain)) = (self.tally.source.over(rows)?, physical::over(&self.plain, rows)?)
        else {
            return Ok(None);
        };
        let tally = Arc::new(Tally { source, ..Tally::clone(&self.tally) });
        Ok(Some(Self { tally, plain, properties: self.properties.clone() }))
    }
}

impl DisplayAs for TallyExec {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { source, groups, aggregates, best, .. } = &*self.tally;
        let aggregates: Vec<&str> = aggregates.iter().map(|aggregate| aggregate.expr.name()).collect();
        let (table, has_parent) = (&source.rows.origin.table().name, source.parent.is_some());
        write!(
            formatter,
            "TallyExec: table={table}, parent={has_parent}, conditions={:?}, groups={groups:?}, \
             aggregates={aggregates:?}, best={best:?}",
            source.conditions().collect::<Vec<_>>()
        )
    }
}

impl ExecutionPlan for TallyExec {
    fn name(&self) -> &'static str {
        "TallyExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (tally, plain, schema) = (self.tally.clone(), self.plain.clone(), self.tally.schema.clone());
        let batches = stream::once(async move {
            match tallied(&tally, &context).await {
                Some(batch) => Ok(sliced(&batch).boxed()),
                None => answered_plainly(plain, context),
            }
        });
        let stream = RecordBatchStreamAdapter::new(schema, batches.try_flatten());
        Ok(make_cooperative(Box::pin(stream)))
    }
}

/// `None` where there is none to be had: a column is too large, or asking once for each value met one that the
/// statement never asks about. The plain way says what is wrong, if anything is.
async fn tallied(tally: &Tally, context: &TaskContext) -> Option<RecordBatch> {
    let answer = match Running::begin(tally, context) {
        Ok(Some(running)) => running.run().await.map(Some),
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    };
    answer.unwrap_or_else(|error| {
        tracing::debug!(%error, "a statement is answered without a tally");
        None
    })
}

fn sliced(batch: &RecordBatch) -> impl futures::Stream<Item = Result<RecordBatch>> + Send + use<> {
    let rows = batch.num_rows();
    let slices: Vec<RecordBatch> =
        (0..rows).step_by(BATCH_ROWS).map(|start| batch.slice(start, BATCH_ROWS.min(rows - start))).collect();
    stream::iter(slices.into_iter().map(Ok))
}

fn answered_plainly(
    plain: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
) -> Result<futures::stream::BoxStream<'static, Result<RecordBatch>>> {
    let plan = EnsureRequirements::new().optimize(plain, context.session_config().options())?;
    Ok(execute_stream(plan, context)?.boxed())
}
