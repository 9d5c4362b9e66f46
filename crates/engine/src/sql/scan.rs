//! A table of a scope as DataFusion reads it: the store's parts, just the columns asked for, and only
//! rows whose time lies in a range. `as_of` is the range's end, so that no plan can lose it; conditions
//! of the statement on the time column narrow it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, ScalarValue, Statistics, stats::Precision};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{
    BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType, expr::Between,
};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, ReplaceChildrenOptions, SchedulingType,
};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use ebbtide_model::Instant;
use ebbtide_store::{ColumnRef, Part, Scan, StoreError, TableView, declared_schema};

use super::SqlError;

/// A table's rows of one scope up to `as_of`, with its declared columns.
#[derive(Debug)]
pub(super) struct ScopedTable {
    schema: SchemaRef,
    time: Option<usize>,
    as_of: Instant,
    groups: Vec<Arc<[Part]>>,
}

impl ScopedTable {
    pub(super) fn new(view: &TableView, as_of: Instant, partitions: usize) -> Self {
        let table = view.schema();
        Self {
            schema: declared_schema(table),
            time: table.time,
            as_of,
            groups: grouped(view.parts(), partitions),
        }
    }

    fn range_of(&self, filter: &Expr) -> Option<TimeRange> {
        let time = self.schema.field(self.time?).name();
        TimeRange::of(filter, time)
    }
}

/// Parts spread over partitions, the big ones first so that the partitions end even.
fn grouped(parts: &[Part], partitions: usize) -> Vec<Arc<[Part]>> {
    let mut by_size: Vec<Part> = parts.to_vec();
    by_size.sort_by_key(|part| std::cmp::Reverse(part.rows_max()));
    let mut groups: Vec<(usize, Vec<Part>)> = Vec::new();
    for part in by_size {
        if groups.len() < partitions.max(1) {
            groups.push((part.rows_max(), vec![part]));
        } else if let Some(smallest) = groups.iter_mut().min_by_key(|(rows, _)| *rows) {
            smallest.0 += part.rows_max();
            smallest.1.push(part);
        }
    }
    if groups.is_empty() {
        groups.push((0, Vec::new()));
    }
    groups.into_iter().map(|(_, parts)| Arc::from(parts)).collect()
}

#[async_trait]
impl TableProvider for ScopedTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let answer = |filter: &&Expr| match self.range_of(filter) {
            Some(_) => TableProviderFilterPushDown::Exact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(answer).collect())
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns: Vec<usize> = match projection {
            Some(indices) => indices.clone(),
            None => (0..self.schema.fields().len()).collect(),
        };
        let range = filters
            .iter()
            .filter_map(|filter| self.range_of(filter))
            .fold(TimeRange::up_to(self.as_of), TimeRange::meet);
        let schema = Arc::new(self.schema.project(&columns)?);
        let time = self.time.map(|time| (time, range));
        Ok(Arc::new(ScanExec::new(schema, ScanPlan { columns, time, limit }, self.groups.clone())))
    }
}

/// The times of rows that exist, both ends inclusive, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TimeRange {
    from: i64,
    to: i64,
    /// Whether a row without a time is in it: it is, unless the statement asks for times.
    nulls: bool,
}

impl TimeRange {
    const EMPTY: Self = Self { from: 0, to: -1, nulls: false };

    fn up_to(as_of: Instant) -> Self {
        Self { from: i64::MIN, to: as_of.micros(), nulls: true }
    }

    fn meet(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), to: self.to.min(other.to), nulls: self.nulls && other.nulls }
    }

    /// The range that a filter means, where it is exactly one on the time column.
    fn of(filter: &Expr, time: &str) -> Option<Self> {
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                if is_column(left, time) {
                    Self::of_comparison(*op, micros(right)?)
                } else if is_column(right, time) {
                    Self::of_comparison(op.swap()?, micros(left)?)
                } else {
                    None
                }
            }
            Expr::Between(Between { expr, negated: false, low, high }) if is_column(expr, time) => {
                Some(Self { from: micros(low)?, to: micros(high)?, nulls: false })
            }
            _ => None,
        }
    }

    fn of_comparison(operator: Operator, micros: i64) -> Option<Self> {
        let (from, to) = match operator {
            Operator::Eq => (micros, micros),
            Operator::Lt if micros == i64::MIN => return Some(Self::EMPTY),
            Operator::Lt => (i64::MIN, micros - 1),
            Operator::LtEq => (i64::MIN, micros),
            Operator::Gt if micros == i64::MAX => return Some(Self::EMPTY),
            Operator::Gt => (micros + 1, i64::MAX),
            Operator::GtEq => (micros, i64::MAX),
            _ => return None,
        };
        Some(Self { from, to, nulls: false })
    }

    /// The rows whose time is in the range; `None` for all of them.
    fn mask(self, times: &dyn Array) -> Result<Option<BooleanArray>> {
        let times = times
            .as_primitive_opt::<TimestampMicrosecondType>()
            .ok_or_else(|| DataFusionError::Internal("a time column holds no microseconds".to_owned()))?;
        let inside = |micros: &i64| self.from <= *micros && *micros <= self.to;
        if times.null_count() == 0 {
            if times.values().iter().all(inside) {
                return Ok(None);
            }
            return Ok(Some(times.values().iter().map(|micros| Some(inside(micros))).collect()));
        }
        let keep = |time: Option<i64>| Some(time.map_or(self.nulls, |micros| inside(&micros)));
        Ok(Some(times.iter().map(keep).collect()))
    }
}

fn is_column(expr: &Expr, name: &str) -> bool {
    matches!(expr, Expr::Column(column) if column.name == name)
}

fn micros(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(ScalarValue::TimestampMicrosecond(Some(micros), _), _) => Some(*micros),
        _ => None,
    }
}

/// What to read of each part.
#[derive(Clone, Debug)]
struct ScanPlan {
    /// Indexes of declared columns, in the order of the answer.
    columns: Vec<usize>,
    /// The time column, where the table has one, and the range that rows must be in.
    time: Option<(usize, TimeRange)>,
    /// Rows after which a partition may stop.
    limit: Option<usize>,
}

impl ScanPlan {
    /// What is read: the columns asked for, then the time. There is always one at least, since a
    /// scan tells how many rows there are by its columns.
    fn read(&self) -> Vec<ColumnRef> {
        let mut read: Vec<ColumnRef> = self.columns.iter().copied().map(ColumnRef::Declared).collect();
        if let Some((time, _)) = self.time
            && !self.columns.contains(&time)
        {
            read.push(ColumnRef::Declared(time));
        }
        if read.is_empty() {
            read.push(ColumnRef::Sequence);
        }
        read
    }

    /// A batch of [`Self::read`] as the answer has it: rows in range, without the columns that only
    /// the range needed.
    fn answer(&self, read: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
        let mask = match self.time {
            Some((time, range)) => {
                let index = self.columns.iter().position(|column| *column == time);
                range.mask(read.column(index.unwrap_or(self.columns.len())))?
            }
            None => None,
        };
        let asked = read.columns().get(..self.columns.len()).unwrap_or_default().to_vec();
        let options = RecordBatchOptions::new().with_row_count(Some(read.num_rows()));
        let batch = RecordBatch::try_new_with_options(schema.clone(), asked, &options)?;
        match mask {
            Some(mask) => Ok(filter_record_batch(&batch, &mask)?),
            None => Ok(batch),
        }
    }
}

/// Reads the parts of a table, a group of them per partition.
#[derive(Debug)]
struct ScanExec {
    schema: SchemaRef,
    plan: ScanPlan,
    groups: Vec<Arc<[Part]>>,
    properties: Arc<PlanProperties>,
}

impl ScanExec {
    fn new(schema: SchemaRef, plan: ScanPlan, groups: Vec<Arc<[Part]>>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            Partitioning::UnknownPartitioning(groups.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Self { schema, plan, groups, properties: Arc::new(properties) }
    }
}

impl DisplayAs for ScanExec {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ScanExec: partitions={}, plan={:?}", self.groups.len(), self.plan)
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

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let parts = self.groups.get(partition).cloned().unwrap_or_default();
        let rows = PartitionRows {
            schema: self.schema.clone(),
            read: self.plan.read(),
            rest: parts.iter().cloned().collect(),
            scan: None,
            left: self.plan.limit.unwrap_or(usize::MAX),
            plan: self.plan.clone(),
        };
        let stream = RecordBatchStreamAdapter::new(self.schema.clone(), futures::stream::iter(rows));
        Ok(make_cooperative(Box::pin(stream)))
    }

    /// Rough counts, by which a join builds its table from the smaller side.
    fn statistics_from_inputs(
        &self,
        _: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let groups = match args.partition() {
            Some(partition) => self.groups.get(partition..=partition).unwrap_or_default(),
            None => &self.groups[..],
        };
        let rows = groups.iter().flat_map(|parts| parts.iter()).map(Part::rows_max).sum();
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = Precision::Inexact(rows);
        Ok(Arc::new(statistics))
    }
}

/// The rows of one partition, batch by batch.
struct PartitionRows {
    schema: SchemaRef,
    plan: ScanPlan,
    read: Vec<ColumnRef>,
    rest: VecDeque<Part>,
    scan: Option<Scan>,
    left: usize,
}

impl PartitionRows {
    fn read_next(&mut self) -> Result<Option<RecordBatch>, StoreError> {
        loop {
            if let Some(batch) = self.scan.as_mut().and_then(Iterator::next) {
                return batch.map(Some);
            }
            match self.rest.pop_front() {
                Some(part) => self.scan = Some(part.scan(&self.read)?),
                None => return Ok(None),
            }
        }
    }

    fn answer_next(&mut self) -> Result<Option<RecordBatch>> {
        if self.left == 0 {
            return Ok(None);
        }
        let read = self.read_next();
        let read = read.map_err(|error| DataFusionError::External(Box::new(SqlError::Store(error))))?;
        let Some(read) = read else {
            return Ok(None);
        };
        let batch = self.plan.answer(&read, &self.schema)?;
        let rows = batch.num_rows().min(self.left);
        self.left -= rows;
        Ok(Some(batch.slice(0, rows)))
    }
}

impl Iterator for PartitionRows {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.answer_next().transpose()
    }
}
