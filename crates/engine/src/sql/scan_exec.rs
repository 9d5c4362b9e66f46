//! The operator that reads a table: partition by partition, and in the order of actors where a plan asks for it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, Statistics, stats::Precision};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, ReplaceChildrenOptions, SchedulingType,
};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet};
use datafusion::physical_plan::sort_pushdown::SortOrderPushdownResult;
use datafusion::physical_plan::sorts::streaming_merge::StreamingMergeBuilder;
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use ebbtide_store::{Part, Scan, StoreError};
use futures::StreamExt;

use super::SqlError;
use super::apart::HandedRows;
use super::scan::{Reading, ScanPlan, ScopedTable};
use super::spread::{ActorOrder, Whose};
use super::tally::Scanned;

/// Where a table's rows are, partition by partition.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Parts {
        partitions: Vec<Arc<[Part]>>,
        /// Whose they are, where that is known and they are in the order of actors.
        whose: Option<Whose>,
    },
    /// In another process, which reads them.
    Handed(HandedRows),
}

impl Source {
    /// About how many rows there are at most, by partition and part.
    pub(super) fn rows_of_parts(&self) -> Vec<Vec<usize>> {
        match self {
            Self::Parts { partitions, .. } => {
                partitions.iter().map(|parts| parts.iter().map(Part::rows_max).collect()).collect()
            }
            Self::Handed(rows) => rows.rows_of_parts().to_vec(),
        }
    }

    fn partitions(&self) -> usize {
        match self {
            Self::Parts { partitions, .. } => partitions.len(),
            Self::Handed(rows) => rows.rows_of_parts().len(),
        }
    }

    fn parts(&self, partition: usize) -> usize {
        match self {
            Self::Parts { partitions, .. } => partitions.get(partition).map_or(0, |parts| parts.len()),
            Self::Handed(rows) => rows.rows_of_parts().get(partition).map_or(0, Vec::len),
        }
    }

    /// About how many rows there are at most, in a partition or in all.
    pub(super) fn rows_max(&self, partition: Option<usize>) -> usize {
        let rows = self.rows_of_parts();
        match partition {
            Some(partition) => rows.get(partition).map_or(0, |parts| parts.iter().sum()),
            None => rows.iter().flatten().sum(),
        }
    }

    /// What is asked of some of its parts.
    pub(super) fn rows(&self, schema: SchemaRef, plan: &ScanPlan, parts: &[Part]) -> PartitionRows {
        let narrowed = match (self, &plan.actor) {
            (Self::Parts { whose: Some(whose), .. }, Some(actor)) => whose.of_actor(parts, actor),
            (Self::Parts { .. } | Self::Handed(_), _) => parts.into(),
        };
        PartitionRows::new(schema, plan.clone(), narrowed)
    }

    /// The rows of a partition, or of one of its parts.
    fn stream(
        &self,
        schema: &SchemaRef,
        plan: &ScanPlan,
        partition: usize,
        part: Option<usize>,
    ) -> SendableRecordBatchStream {
        let rows = match self {
            Self::Parts { partitions, .. } => {
                let parts = partitions.get(partition).map_or(&[][..], |parts| parts);
                let parts = match part {
                    Some(part) => parts.get(part..=part).unwrap_or_default(),
                    None => parts,
                };
                futures::stream::iter(self.rows(schema.clone(), plan, parts)).boxed()
            }
            Self::Handed(rows) => rows.stream(plan.asked(rows.table(), partition, part)).boxed(),
        };
        Box::pin(RecordBatchStreamAdapter::new(schema.clone(), rows))
    }
}

/// Reads the parts of a table, a group of them per partition.
#[derive(Clone, Debug)]
pub(super) struct ScanExec {
    schema: SchemaRef,
    plan: ScanPlan,
    source: Source,
    /// In which the rows of each part are.
    order: Option<LexOrdering>,
    reading: PartReading,
    properties: Arc<PlanProperties>,
}

/// How the parts of a partition are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PartReading {
    OneByOne,
    /// All at once, their rows in order.
    Merged,
}

impl ScanExec {
    /// The rows that it reads and the places of their columns, where these are as they are stored and the rows
    /// may be tallied.
    pub(super) fn tallied(&self) -> Option<(Scanned, &[usize])> {
        let ScanPlan { columns, declared, time, narrowed, limit, actors, origin, .. } = &self.plan;
        let is_plain = limit.is_none() && actors.is_none() && columns.iter().all(|column| column < declared);
        let origin = origin.clone().filter(|_| is_plain)?;
        Some((Scanned { origin, time: *time, narrowed: *narrowed }, columns))
    }

    /// Which table's rows it reads, where what is made of them is kept.
    pub(super) fn table(&self) -> Option<&str> {
        self.plan.origin.as_ref().map(|origin| origin.view.schema().name.as_str())
    }

    /// The same of other rows of its table; `None` where these are to be read in another way.
    pub(super) fn over(&self, table: &ScopedTable) -> Option<Self> {
        let ScanPlan { columns, narrowed, limit, actors, .. } = &self.plan;
        let plan = table.plan(columns.clone(), *narrowed, *limit);
        let is_same = plan.declared == self.plan.declared
            && plan.properties.is_none()
            && self.plan.properties.is_none()
            && plan.actors.is_some() == actors.is_some()
            && plan.time.is_some() == self.plan.time.is_some()
            && self.order.is_none()
            && !table.is_ordered()
            && table.source().partitions() <= self.source_partitions()
            && table.schema().project(columns).is_ok_and(|schema| schema == *self.schema);
        is_same.then(|| Self { plan, source: table.source().clone(), ..self.clone() })
    }

    /// Into how many streams whoever reads it expects it to be split, some of which may be empty.
    fn source_partitions(&self) -> usize {
        self.properties.partitioning.partition_count()
    }

    pub(super) fn new(
        schema: SchemaRef,
        plan: ScanPlan,
        source: Source,
        order: Option<&ActorOrder>,
    ) -> Result<Self> {
        let columns = order.and_then(|order| order.of_columns(&schema, &plan.columns));
        let partitioning = match (order, &columns) {
            (Some(order), Some(columns)) => order.partitioning(&schema, columns)?,
            (_, _) => Partitioning::UnknownPartitioning(source.partitions()),
        };
        let is_ordered = (0..source.partitions()).all(|at| source.parts(at) <= 1);
        let properties = properties(&schema, partitioning, columns.as_ref().filter(|_| is_ordered));
        Ok(Self { schema, plan, source, order: columns, reading: PartReading::OneByOne, properties })
    }

    fn merged(&self) -> Self {
        let partitioning = self.properties.output_partitioning().clone();
        let properties = properties(&self.schema, partitioning, self.order.as_ref());
        Self { reading: PartReading::Merged, properties, ..self.clone() }
    }
}

fn properties(
    schema: &SchemaRef,
    partitioning: Partitioning,
    order: Option<&LexOrdering>,
) -> Arc<PlanProperties> {
    let rows = EquivalenceProperties::new_with_orderings(schema.clone(), order.cloned());
    let properties = PlanProperties::new(rows, partitioning, EmissionType::Incremental, Boundedness::Bounded);
    Arc::new(properties.with_scheduling_type(SchedulingType::Cooperative))
}

impl DisplayAs for ScanExec {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, reading, plan, .. } = self;
        write!(formatter, "ScanExec: partitions={}, parts={reading:?}, plan={plan:?}", source.partitions())
    }
}

impl ExecutionPlan for ScanExec {
    fn name(&self) -> &'static str {
        "ScanExec"
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

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let stream = |part| self.source.stream(&self.schema, &self.plan, partition, part);
        let parts = self.source.parts(partition);
        let rows = match (&self.order, self.reading) {
            (Some(order), PartReading::Merged) if parts > 1 => {
                let memory = MemoryConsumer::new("parts in order").register(context.memory_pool());
                let metrics = ExecutionPlanMetricsSet::new();
                StreamingMergeBuilder::new()
                    .with_streams((0..parts).map(|part| stream(Some(part))).collect())
                    .with_schema(self.schema.clone())
                    .with_expressions(order)
                    .with_metrics(BaselineMetrics::new(&metrics, partition))
                    .with_batch_size(context.session_config().batch_size())
                    .with_reservation(memory)
                    .build()?
            }
            (_, PartReading::Merged | PartReading::OneByOne) => stream(None),
        };
        Ok(make_cooperative(rows))
    }

    /// The order of actors costs a merge of parts, which is done for who asks.
    fn try_pushdown_sort(
        &self,
        asked: &[PhysicalSortExpr],
    ) -> Result<SortOrderPushdownResult<Arc<dyn ExecutionPlan>>> {
        let merged = self.merged();
        Ok(if merged.properties.equivalence_properties().ordering_satisfy(asked.iter().cloned())? {
            SortOrderPushdownResult::Exact { inner: Arc::new(merged) }
        } else {
            SortOrderPushdownResult::Unsupported
        })
    }

    /// Rough counts, by which a join builds its table from the smaller side.
    fn statistics_from_inputs(
        &self,
        _: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let rows = self.source.rows_max(args.partition());
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = Precision::Inexact(rows);
        Ok(Arc::new(statistics))
    }
}

/// The rows of some parts, batch by batch.
pub(super) struct PartitionRows {
    pub(super) schema: SchemaRef,
    plan: ScanPlan,
    rest: VecDeque<Part>,
    scan: Option<(Scan, Reading)>,
    left: usize,
}

impl PartitionRows {
    fn new(schema: SchemaRef, plan: ScanPlan, parts: Vec<Part>) -> Self {
        let left = plan.limit.unwrap_or(usize::MAX);
        Self { schema, rest: parts.into(), scan: None, left, plan }
    }

    fn answer_next(&mut self) -> Result<Option<RecordBatch>> {
        let failed = |error: StoreError| DataFusionError::External(Box::new(SqlError::Store(error)));
        while self.left > 0 {
            if let Some((scan, reading)) = &mut self.scan
                && let Some(read) = scan.next()
            {
                let batch = reading.answer(&read.map_err(failed)?, &self.schema)?;
                let rows = batch.num_rows().min(self.left);
                self.left -= rows;
                return Ok(Some(batch.slice(0, rows)));
            }
            let Some(part) = self.rest.pop_front() else {
                return Ok(None);
            };
            self.scan = match self.plan.reading(&part) {
                Some(reading) => Some((part.scan(&reading.columns).map_err(failed)?, reading)),
                None => None,
            };
        }
        Ok(None)
    }
}

impl Iterator for PartitionRows {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.answer_next().transpose()
    }
}
