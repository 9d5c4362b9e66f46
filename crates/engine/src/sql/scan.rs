//! A table of a scope as DataFusion reads it: the store's parts, just the columns asked for, and only
//! rows whose time lies in a range. `as_of` is the range's end, so that no plan can lose it; conditions
//! of the statement on the time column [narrow](super::time_range) it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Fields, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, Statistics, stats::Precision};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
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
use futures::StreamExt;
use serde::{Deserialize, Serialize};

use super::SqlError;
use super::apart::HandedRows;
use super::functions::Wanted;
use super::moments;
use super::properties::{Member, Properties, Recipe};
use super::tally::{Origin, Scanned};
use super::time_range::{Overlap, TimeColumn, TimeRange};
use crate::aliases::Aliases;

/// A table's rows of one scope up to `as_of`: its declared columns, then those of its properties.
#[derive(Clone, Debug)]
pub(super) struct ScopedTable {
    schema: SchemaRef,
    time: Option<TimeColumn>,
    as_of: Instant,
    source: Source,
    actors: Option<AliasedColumn>,
    properties: Option<Properties>,
    /// Where what is made of its rows is kept, if that is worth the making.
    origin: Option<Arc<Origin>>,
}

/// Where a table's rows are, partition by partition.
#[derive(Clone, Debug)]
enum Source {
    Parts(Vec<Arc<[Part]>>),
    /// In another process, which reads them.
    Handed(HandedRows),
}

impl Source {
    fn partitions(&self) -> usize {
        match self {
            Self::Parts(groups) => groups.len(),
            Self::Handed(rows) => rows.partitions(),
        }
    }

    /// About how many rows there are at most, in a partition or in all.
    fn rows_max(&self, partition: Option<usize>) -> usize {
        match self {
            Self::Parts(groups) => {
                let groups = match partition {
                    Some(partition) => groups.get(partition..=partition).unwrap_or_default(),
                    None => &groups[..],
                };
                groups.iter().flat_map(|parts| parts.iter()).map(Part::rows_max).sum()
            }
            Self::Handed(rows) => rows.rows_max(partition),
        }
    }
}

/// What another process must know of a table to plan over it. Its declared columns travel beside it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct TableTold {
    time: Option<TimeColumn>,
    /// The column of all properties, where the table is open.
    properties: Option<String>,
    /// About how many rows each partition has.
    pub(super) rows: Vec<usize>,
}

/// What another process asks of a partition of a table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ScanAsked {
    pub(super) table: String,
    pub(super) partition: usize,
    columns: Vec<usize>,
    members: Vec<Member>,
    range: Option<TimeRange>,
    limit: Option<usize>,
}

/// A column whose aliases are shown as the actors that they are.
#[derive(Clone, Debug)]
pub(super) struct AliasedColumn {
    pub(super) index: usize,
    pub(super) aliases: Arc<Aliases>,
}

impl ScopedTable {
    pub(super) fn new(view: &TableView, as_of: Instant, partitions: usize) -> Self {
        let table = view.schema();
        let properties = Properties::of(view);
        Self {
            schema: with_properties(&declared_schema(table), properties.as_ref()),
            properties,
            time: table
                .time
                .and_then(|index| Some(TimeColumn { index, nullable: table.columns.get(index)?.nullable })),
            as_of,
            source: Source::Parts(grouped(view.parts(), partitions)),
            actors: None,
            origin: None,
        }
    }

    pub(super) fn with_origin(self, origin: Option<Arc<Origin>>) -> Self {
        Self { origin, ..self }
    }

    /// A table whose rows another process reads.
    pub(super) fn handed(declared: &SchemaRef, told: &TableTold, as_of: Instant, rows: HandedRows) -> Self {
        let properties = told.properties.as_deref().map(Properties::handed);
        Self {
            schema: with_properties(declared, properties.as_ref()),
            properties,
            time: told.time,
            as_of,
            source: Source::Handed(rows),
            // Resolved where the rows are read.
            actors: None,
            origin: None,
        }
    }

    /// What another process must know of it, and its declared columns.
    pub(super) fn told(&self) -> (TableTold, SchemaRef) {
        let told = TableTold {
            time: self.time,
            properties: self.properties_field().map(str::to_owned),
            rows: (0..self.source.partitions()).map(|at| self.source.rows_max(Some(at))).collect(),
        };
        (told, Arc::new(self.declared_schema()))
    }

    /// The rows that another process asks for: of this table, up to `as_of`, whatever it asked. `None` where
    /// it asks for what there is not.
    pub(super) fn rows_asked(&self, asked: &ScanAsked) -> Option<PartitionRows> {
        let Source::Parts(groups) = &self.source else {
            return None;
        };
        let mut table = self.clone();
        for Member { field, name, wanted } in &asked.members {
            table = table.with_member(field, name, *wanted);
        }
        let schema = Arc::new(table.schema.project(&asked.columns).ok()?);
        let plan = table.plan(asked.columns.clone(), asked.range.unwrap_or_else(TimeRange::any), asked.limit);
        Some(PartitionRows::new(schema, plan, groups.get(asked.partition)?))
    }

    /// About how many rows it has at most.
    pub(super) fn rows_max(&self) -> usize {
        self.source.rows_max(None)
    }

    /// Its rows for a tally; `None` where they are not to be tallied.
    pub(super) fn scanned(&self, narrowed: TimeRange) -> Option<Scanned> {
        let plan = self.plan(Vec::new(), narrowed, None);
        let origin = plan.origin.filter(|_| plan.actors.is_none() && plan.properties.is_none())?;
        Some(Scanned { origin, time: plan.time, narrowed })
    }

    fn declared_schema(&self) -> Schema {
        Schema::new(self.schema.fields().iter().take(self.declared()).cloned().collect::<Fields>())
    }

    fn plan(&self, columns: Vec<usize>, range: TimeRange, limit: Option<usize>) -> ScanPlan {
        let narrowed = range;
        let range = TimeRange::up_to(self.as_of).meet(narrowed);
        ScanPlan {
            columns,
            time: self.time.map(|time| (time, range)),
            narrowed,
            limit,
            actors: self.actors.clone(),
            declared: self.declared(),
            properties: self.properties.clone(),
            origin: self.origin.clone(),
        }
    }

    pub(super) fn with_actors(self, actors: Option<AliasedColumn>) -> Self {
        Self { actors, ..self }
    }

    /// How many of its columns are declared.
    fn declared(&self) -> usize {
        self.schema.fields().len()
            - self.properties.as_ref().map_or(0, |properties| properties.fields().len())
    }

    /// The column that holds all properties of a row, where the table has one.
    pub(super) fn properties_field(&self) -> Option<&str> {
        self.properties.as_ref().map(Properties::field)
    }

    /// The column that holds a member of the properties, if there is one already.
    pub(super) fn member(&self, name: &str, wanted: Wanted) -> Option<&str> {
        self.properties.as_ref()?.member(name, wanted)
    }

    /// The same with one column more.
    pub(super) fn with_member(&self, field: &str, name: &str, wanted: Wanted) -> Self {
        let mut table = self.clone();
        if let Some(properties) = &mut table.properties {
            properties.add(field, name, wanted);
            table.schema = with_properties(&Arc::new(self.declared_schema()), Some(properties));
        }
        table
    }

    fn range_of(&self, filter: &Expr) -> Option<TimeRange> {
        let time = self.schema.field(self.time?.index).name();
        TimeRange::of(filter, time)
    }
}

fn with_properties(declared: &SchemaRef, properties: Option<&Properties>) -> SchemaRef {
    let Some(properties) = properties else {
        return declared.clone();
    };
    let fields = declared.fields().iter().cloned().chain(properties.fields());
    Arc::new(Schema::new(fields.collect::<Fields>()))
}

/// Parts spread over partitions, the big ones first so that the partitions end even. A part that is
/// more than a partition's share of the rows is read by several.
fn grouped(parts: &[Part], partitions: usize) -> Vec<Arc<[Part]>> {
    let partitions = partitions.max(1);
    let share = parts.iter().map(Part::rows_max).sum::<usize>().div_ceil(partitions);
    let pieces = |part: &Part| part.split(part.rows_max().div_ceil(share.max(1)).max(1));
    let mut by_size: Vec<Part> = parts.iter().flat_map(pieces).collect();
    by_size.sort_by_key(|part| std::cmp::Reverse(part.rows_max()));
    let mut groups: Vec<(usize, Vec<Part>)> = Vec::new();
    for part in by_size {
        if groups.len() < partitions {
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
        let answer = |filter: &&Expr| match self.range_of(&moments::as_of_some_moment(filter)) {
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
        let mut range = TimeRange::any();
        for filter in filters {
            let narrowed = self.range_of(filter).ok_or_else(|| {
                DataFusionError::Internal(format!("a scan is to keep to what is no range of times: {filter}"))
            })?;
            range = range.meet(narrowed);
        }
        let schema = Arc::new(self.schema.project(&columns)?);
        let plan = self.plan(columns, range, limit);
        Ok(Arc::new(ScanExec::new(schema, plan, self.source.clone())))
    }
}

/// What to read of each part.
#[derive(Clone, Debug)]
struct ScanPlan {
    /// Indexes of the table's columns, in the order of the answer.
    columns: Vec<usize>,
    /// How many of them are declared; those behind are made of properties.
    declared: usize,
    properties: Option<Properties>,
    /// The time column, where the table has one, and the range that rows must be in.
    time: Option<(TimeColumn, TimeRange)>,
    /// What the statement says of that range.
    narrowed: TimeRange,
    /// Rows after which a partition may stop.
    limit: Option<usize>,
    actors: Option<AliasedColumn>,
    origin: Option<Arc<Origin>>,
}

/// What is read of one part.
#[derive(Debug)]
struct Reading {
    /// What is needed for the columns asked for, and else. There is always one at least, since a scan
    /// tells how many rows there are by its columns.
    columns: Vec<ColumnRef>,
    /// Of the columns asked for.
    recipes: Vec<Recipe>,
    /// Where the time is among them, if there may be rows out of the range.
    mask: Option<(usize, TimeRange)>,
    actors: Option<ActorPlaces>,
}

/// Where a batch has actors that may be aliases, and whose its rows are.
#[derive(Debug)]
struct ActorPlaces {
    /// In the answer.
    answer: usize,
    actor: usize,
    tenant: usize,
    aliases: Arc<Aliases>,
}

impl ScanPlan {
    /// The same as another process is asked for it.
    fn asked(&self, table: &str, partition: usize) -> ScanAsked {
        ScanAsked {
            table: table.to_owned(),
            partition,
            columns: self.columns.clone(),
            members: self.properties.as_ref().map_or(&[][..], Properties::members).to_vec(),
            range: self.time.map(|(_, range)| range),
            limit: self.limit,
        }
    }

    /// `None` where no row of the part is in the range. Times are costly to decode, so they are left
    /// where all are.
    fn reading(&self, part: &Part) -> Option<Reading> {
        let mut columns = Vec::new();
        let mut recipes = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            let place = |column: ColumnRef| place_of(column, &mut columns);
            recipes.push(self.recipe(*column, place));
        }
        let mut mask = None;
        if let Some((time, range)) = self.time {
            match range.overlap(part.time_range(), time) {
                Overlap::Nowhere => return None,
                Overlap::Wholly => {}
                Overlap::Partly => {
                    mask = Some((place_of(ColumnRef::Declared(time.index), &mut columns), range));
                }
            }
        }
        let actors = self.actors.as_ref().and_then(|actors| {
            let answer = self.columns.iter().position(|column| *column == actors.index)?;
            let actor = place_of(ColumnRef::Declared(actors.index), &mut columns);
            let tenant = place_of(ColumnRef::Tenant, &mut columns);
            Some(ActorPlaces { answer, actor, tenant, aliases: actors.aliases.clone() })
        });
        if columns.is_empty() {
            columns.push(ColumnRef::Sequence);
        }
        Some(Reading { columns, recipes, mask, actors })
    }

    fn recipe(&self, column: usize, mut place: impl FnMut(ColumnRef) -> usize) -> Recipe {
        match (&self.properties, column.checked_sub(self.declared)) {
            (Some(properties), Some(index)) => properties.recipe(index, place),
            (_, _) => Recipe::Read(place(ColumnRef::Declared(column))),
        }
    }
}

/// Where a column is among those to read, put there if it is not yet.
fn place_of(column: ColumnRef, columns: &mut Vec<ColumnRef>) -> usize {
    columns.iter().position(|known| *known == column).unwrap_or_else(|| {
        columns.push(column);
        columns.len() - 1
    })
}

impl Reading {
    /// A batch that was read, as the answer has it: rows in range, and the columns of `schema` alone.
    fn answer(&self, read: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
        let mut asked =
            self.recipes.iter().map(|recipe| recipe.make(read)).collect::<Result<Vec<ArrayRef>>>()?;
        if let Some(ActorPlaces { answer, actor, tenant, aliases }) = &self.actors {
            let resolved = aliases.resolved(read.column(*tenant), read.column(*actor));
            let resolved =
                resolved.map_err(|error| DataFusionError::External(Box::new(SqlError::from(error))))?;
            asked[*answer] = resolved.unwrap_or_else(|| read.column(*actor).clone());
        }
        let options = RecordBatchOptions::new().with_row_count(Some(read.num_rows()));
        let batch = RecordBatch::try_new_with_options(schema.clone(), asked, &options)?;
        match self.mask.map(|(place, range)| range.mask(read.column(place))).transpose()?.flatten() {
            Some(mask) => Ok(filter_record_batch(&batch, &mask)?),
            None => Ok(batch),
        }
    }
}

/// Reads the parts of a table, a group of them per partition.
#[derive(Debug)]
pub(super) struct ScanExec {
    schema: SchemaRef,
    plan: ScanPlan,
    source: Source,
    properties: Arc<PlanProperties>,
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
            && table.source.partitions() <= self.source_partitions()
            && table.schema.project(columns).is_ok_and(|schema| schema == *self.schema);
        let (schema, properties) = (self.schema.clone(), self.properties.clone());
        is_same.then(|| Self { schema, plan, source: table.source.clone(), properties })
    }

    /// Into how many streams whoever reads it expects it to be split, some of which may be empty.
    fn source_partitions(&self) -> usize {
        self.properties.partitioning.partition_count()
    }

    fn new(schema: SchemaRef, plan: ScanPlan, source: Source) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            Partitioning::UnknownPartitioning(source.partitions()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Self { schema, plan, source, properties: Arc::new(properties) }
    }
}

impl DisplayAs for ScanExec {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ScanExec: partitions={}, plan={:?}", self.source.partitions(), self.plan)
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
        let schema = self.schema.clone();
        let rows = match &self.source {
            Source::Parts(groups) => {
                let none: Arc<[Part]> = Arc::default();
                let rows = PartitionRows::new(
                    schema.clone(),
                    self.plan.clone(),
                    groups.get(partition).unwrap_or(&none),
                );
                futures::stream::iter(rows).boxed()
            }
            Source::Handed(rows) => rows.stream(self.plan.asked(rows.table(), partition)).boxed(),
        };
        Ok(make_cooperative(Box::pin(RecordBatchStreamAdapter::new(schema, rows))))
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

/// The rows of one partition, batch by batch.
pub(super) struct PartitionRows {
    pub(super) schema: SchemaRef,
    plan: ScanPlan,
    rest: VecDeque<Part>,
    scan: Option<(Scan, Reading)>,
    left: usize,
}

impl PartitionRows {
    fn new(schema: SchemaRef, plan: ScanPlan, parts: &Arc<[Part]>) -> Self {
        let left = plan.limit.unwrap_or(usize::MAX);
        Self { schema, rest: parts.iter().cloned().collect(), scan: None, left, plan }
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
