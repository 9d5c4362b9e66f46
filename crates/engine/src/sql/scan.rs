//! A table of a scope as DataFusion reads it: the store's parts, just the columns asked for, and only
//! rows whose time lies in a range. `as_of` is the range's end, so that no plan can lose it; conditions
//! of the statement on the time column [narrow](super::time_range) it.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Fields, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use ebbtide_model::Instant;
use ebbtide_store::{ColumnRef, Part, SpineActor, TableView, declared_schema};
use serde::{Deserialize, Serialize};

use super::SqlError;
use super::apart::HandedRows;
use super::catalog::Repeats;
use super::functions::Wanted;
use super::moments;
use super::properties::{Member, Properties, Recipe};
use super::scan_exec::{PartitionRows, ScanExec, Source};
use super::spread::{self, ActorOrder, Spread};
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
    order: Option<ActorOrder>,
    /// Where what is made of its rows is kept, if that is worth the making.
    origin: Option<Arc<Origin>>,
}

/// What another process must know of a table to plan over it. Its declared columns travel beside it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct TableTold {
    time: Option<TimeColumn>,
    /// The column of all properties, where the table is open.
    properties: Option<String>,
    /// About how many rows each part of each partition has.
    pub(super) rows: Vec<Vec<usize>>,
    order: Option<ActorOrder>,
}

/// What another process asks of a partition of a table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ScanAsked {
    pub(super) table: String,
    pub(super) partition: usize,
    /// One of the partition's, or all, one after the other.
    part: Option<usize>,
    /// Rows of others need not come.
    actor: Option<SpineActor>,
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
    /// A kept plan reads other rows of the table, too, which are cut at other actors: what is asked often is spread
    /// evenly.
    pub(super) fn new(view: &TableView, as_of: Instant, partitions: usize, repeats: Repeats) -> Self {
        let table = view.schema();
        let properties = Properties::of(view);
        let time = table
            .time
            .and_then(|index| Some(TimeColumn { index, nullable: table.columns.get(index)?.nullable }));
        let Spread { partitions, whose, order } = match repeats {
            Repeats::Once => Spread::by_actor(view, time, partitions),
            Repeats::Often => Spread::evenly(view, partitions),
        };
        Self {
            schema: with_properties(&declared_schema(table), properties.as_ref()),
            properties,
            time,
            as_of,
            source: Source::Parts { partitions, whose },
            actors: None,
            order,
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
            order: told.order.clone(),
            origin: None,
        }
    }

    /// What another process must know of it, and its declared columns.
    pub(super) fn told(&self) -> (TableTold, SchemaRef) {
        let told = TableTold {
            time: self.time,
            properties: self.properties_field().map(str::to_owned),
            rows: self.source.rows_of_parts(),
            order: self.order.clone(),
        };
        (told, Arc::new(self.declared_schema()))
    }

    /// The rows that another process asks for: of this table, up to `as_of`, whatever it asked. `None` where
    /// it asks for what there is not.
    pub(super) fn rows_asked(&self, asked: &ScanAsked) -> Option<PartitionRows> {
        let Source::Parts { partitions, .. } = &self.source else {
            return None;
        };
        let mut table = self.clone();
        for Member { field, name, wanted } in &asked.members {
            table = table.with_member(field, name, *wanted);
        }
        let schema = Arc::new(table.schema.project(&asked.columns).ok()?);
        let mut plan =
            table.plan(asked.columns.clone(), asked.range.unwrap_or_else(TimeRange::any), asked.limit);
        plan.actor.clone_from(&asked.actor);
        let parts = partitions.get(asked.partition)?;
        let parts = match asked.part {
            Some(part) => std::slice::from_ref(parts.get(part)?),
            None => parts,
        };
        Some(self.source.rows(schema, &plan, parts))
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    pub(super) fn is_ordered(&self) -> bool {
        self.order.is_some()
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

    pub(super) fn plan(&self, columns: Vec<usize>, range: TimeRange, limit: Option<usize>) -> ScanPlan {
        let narrowed = range;
        let range = TimeRange::up_to(self.as_of).meet(narrowed);
        ScanPlan {
            columns,
            time: self.time.map(|time| (time, range)),
            narrowed,
            limit,
            actors: self.actors.clone(),
            declared: self.declared(),
            actor: None,
            properties: self.properties.clone(),
            origin: self.origin.clone(),
        }
    }

    pub(super) fn with_actors(self, actors: Option<AliasedColumn>) -> Self {
        // Rows are stored in the order of the names that they came with.
        let order = self.order.filter(|_| actors.is_none());
        Self { actors, order, ..self }
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

    /// The one actor whose rows pass a filter, where that is what it asks.
    fn actor_of(&self, filter: &Expr) -> Option<SpineActor> {
        let column = self.order.as_ref()?.actor();
        spread::actor_of(filter, self.schema.field(column).name())
    }
}

fn with_properties(declared: &SchemaRef, properties: Option<&Properties>) -> SchemaRef {
    let Some(properties) = properties else {
        return declared.clone();
    };
    let fields = declared.fields().iter().cloned().chain(properties.fields());
    Arc::new(Schema::new(fields.collect::<Fields>()))
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
            None if self.actor_of(filter).is_some() => TableProviderFilterPushDown::Inexact,
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
        let actor = filters.iter().find_map(|filter| self.actor_of(filter));
        for filter in filters.iter().filter(|filter| self.actor_of(filter).is_none()) {
            let narrowed = self.range_of(filter).ok_or_else(|| {
                DataFusionError::Internal(format!("a scan is to keep to what is no range of times: {filter}"))
            })?;
            range = range.meet(narrowed);
        }
        let schema = Arc::new(self.schema.project(&columns)?);
        let mut plan = self.plan(columns, range, limit);
        plan.actor = actor;
        Ok(Arc::new(ScanExec::new(schema, plan, self.source.clone(), self.order.as_ref())?))
    }
}

/// What to read of each part.
#[derive(Clone, Debug)]
pub(super) struct ScanPlan {
    /// Indexes of the table's columns, in the order of the answer.
    pub(super) columns: Vec<usize>,
    /// How many of them are declared; those behind are made of properties.
    pub(super) declared: usize,
    pub(super) properties: Option<Properties>,
    /// The time column, where the table has one, and the range that rows must be in.
    pub(super) time: Option<(TimeColumn, TimeRange)>,
    /// What the statement says of that range.
    pub(super) narrowed: TimeRange,
    /// Rows after which a partition may stop.
    pub(super) limit: Option<usize>,
    /// The rows of all others may be left.
    pub(super) actor: Option<SpineActor>,
    pub(super) actors: Option<AliasedColumn>,
    pub(super) origin: Option<Arc<Origin>>,
}

/// What is read of one part.
#[derive(Debug)]
pub(super) struct Reading {
    /// What is needed for the columns asked for, and else. There is always one at least, since a scan
    /// tells how many rows there are by its columns.
    pub(super) columns: Vec<ColumnRef>,
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
    pub(super) fn asked(&self, table: &str, partition: usize, part: Option<usize>) -> ScanAsked {
        ScanAsked {
            table: table.to_owned(),
            partition,
            part,
            actor: self.actor.clone(),
            columns: self.columns.clone(),
            members: self.properties.as_ref().map_or(&[][..], Properties::members).to_vec(),
            range: self.time.map(|(_, range)| range),
            limit: self.limit,
        }
    }

    /// `None` where no row of the part is in the range. Times are costly to decode, so they are left
    /// where all are.
    pub(super) fn reading(&self, part: &Part) -> Option<Reading> {
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
    pub(super) fn answer(&self, read: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
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
