//! A relation's rows as DataFusion reads them. Nothing is told of how many there are but a guess, so that a plan over
//! them is as good for others of the same name.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics, stats::Precision};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

use super::Relation;

/// A relation as a table.
#[derive(Clone, Debug)]
pub(super) struct GivenTable {
    relation: Relation,
    schema: SchemaRef,
}

impl GivenTable {
    pub(super) fn new(relation: &Relation) -> Self {
        Self { schema: relation.table_schema(), relation: relation.clone() }
    }
}

#[async_trait]
impl TableProvider for GivenTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(GivenExec::new(self.clone(), projection.cloned(), None)?))
    }
}

/// Reads a relation.
#[derive(Debug)]
pub(super) struct GivenExec {
    table: GivenTable,
    projection: Option<Vec<usize>>,
    rows: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl GivenExec {
    fn new(
        table: GivenTable,
        projection: Option<Vec<usize>>,
        properties: Option<Arc<PlanProperties>>,
    ) -> Result<Self> {
        let batches = [table.relation.rows.batches.clone()];
        let rows: Arc<dyn ExecutionPlan> =
            MemorySourceConfig::try_new_exec(&batches, table.schema.clone(), projection.clone())?;
        let properties = properties.unwrap_or_else(|| rows.properties().clone());
        Ok(Self { table, projection, rows, properties })
    }

    pub(super) fn relation(&self) -> &Arc<str> {
        &self.table.relation.name
    }

    /// Its rows, and where they have a column of the plan.
    pub(super) fn column(&self, place: usize) -> (&[RecordBatch], usize) {
        let column = match &self.projection {
            Some(projection) => projection.get(place).copied().unwrap_or_default(),
            None => place,
        };
        (&self.table.relation.rows.batches, column)
    }

    /// The same of other rows; `None` where these have other columns.
    pub(super) fn over(&self, table: &GivenTable) -> Result<Option<Self>> {
        if table.schema != self.table.schema {
            return Ok(None);
        }
        Self::new(table.clone(), self.projection.clone(), Some(self.properties.clone())).map(Some)
    }
}

impl DisplayAs for GivenExec {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "GivenExec: relation={}, projection={:?}", self.relation(), self.projection)
    }
}

impl ExecutionPlan for GivenExec {
    fn name(&self) -> &'static str {
        "GivenExec"
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
        self.rows.execute(partition, context)
    }

    /// Never exact: else the planner would answer with the number itself.
    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let rows = self.table.relation.rows.batches.iter().map(RecordBatch::num_rows).sum();
        let mut statistics = Statistics::new_unknown(&self.schema());
        statistics.num_rows = Precision::Inexact(rows);
        Ok(Arc::new(statistics))
    }
}
