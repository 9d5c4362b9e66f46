//! Plans of packs' statements, kept for the next time that they are asked: planning costs as much as many a
//! statement itself.
//!
//! A kept plan has no rows. Its tables stand for those of whatever catalog it is used with, by their names, and
//! give nothing until they are exchanged for them. What else a plan says follows from what it is found by: the
//! statement, the values that it names, and the period within which its use of `as_of` comes to the same.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::{MemTable, provider_as_source, source_as_provider};
use datafusion::logical_expr::{Expr, LogicalPlan, TableType};
use datafusion::physical_plan::ExecutionPlan;
use ebbtide_model::{AppName, Calendar, Instant, TableName};

use super::SqlError;
use super::catalog::{Repeats, ScopedCatalog};
use super::clock::ClockUse;
use super::scan::ScopedTable;
use super::session::{Optimized, SqlRequest};

/// The plans of a server's packs, with some values each.
const PLANS_MAX: usize = 512;
/// As many texts, of which it is known what values they name.
const STATEMENTS_MAX: usize = 1_024;
/// A longer list of values is not looked for among the kept.
const VALUES_BYTES_MAX: usize = 1_024;

/// What all statements of packs share.
#[derive(Debug, Default)]
pub(super) struct Plans {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    statements: HashMap<Arc<str>, Arc<Uses>>,
    plans: HashMap<Key, (Arc<KeptPlan>, u64)>,
    /// Counts up with each use.
    uses: u64,
}

/// What a statement's plan hangs on besides the statement.
#[derive(Debug)]
struct Uses {
    parameters: BTreeSet<String>,
    clock: ClockUse,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    app: AppName,
    statement: Arc<str>,
    /// Of the parameters that it names.
    values: String,
    /// The end of the period.
    until: Instant,
    /// Of its rows besides the app's.
    relations: Vec<(Arc<str>, SchemaRef)>,
}

/// A plan without rows.
#[derive(Debug)]
struct KeptPlan {
    calendar: Calendar,
    plan: LogicalPlan,
    /// What stands for tables in it, by name.
    sources: BTreeSet<String>,
    tables: Vec<TableName>,
    clock: ClockUse,
    schema: SchemaRef,
}

impl Plans {
    /// A statement's plan over the rows of this catalog, if one is kept.
    pub(super) async fn find(
        &self,
        catalog: &ScopedCatalog,
        request: &SqlRequest,
    ) -> Result<Option<Optimized>, SqlError> {
        let Some(uses) = self.lock().statements.get(&request.statement).cloned() else { return Ok(None) };
        let Some(key) = key(catalog, request, &uses) else { return Ok(None) };
        let Some(kept) = self.lock().find(&key).filter(|kept| kept.calendar == request.calendar) else {
            return Ok(None);
        };
        let Some(plan) = kept.bound(catalog).await? else { return Ok(None) };
        let (tables, clock, schema) = (kept.tables.clone(), kept.clock, kept.schema.clone());
        Ok(Some(Optimized { plan, tables, clock, schema, ticks: None }))
    }

    /// Keeps a plan for the next time, where it may be used again.
    pub(super) fn keep(
        &self,
        catalog: &ScopedCatalog,
        request: &SqlRequest,
        parameters: BTreeSet<String>,
        optimized: &Optimized,
    ) -> Result<(), SqlError> {
        let uses = Uses { parameters, clock: optimized.clock };
        if let Some(key) = key(catalog, request, &uses)
            && let Some(plan) = KeptPlan::of(optimized, catalog, &request.calendar)?
        {
            self.lock().keep(key, Arc::new(uses), Arc::new(plan));
        }
        Ok(())
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.lock().plans.len()
    }

    /// They are whole whatever their holder did.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn find(&mut self, key: &Key) -> Option<Arc<KeptPlan>> {
        self.uses += 1;
        let (plan, used) = self.plans.get_mut(key)?;
        *used = self.uses;
        Some(plan.clone())
    }

    fn keep(&mut self, key: Key, uses: Arc<Uses>, plan: Arc<KeptPlan>) {
        if self.statements.len() >= STATEMENTS_MAX {
            self.statements.clear();
        }
        self.statements.insert(key.statement.clone(), uses);
        if self.plans.len() >= PLANS_MAX {
            // A quarter, so that it is not looked for with each.
            let mut used: Vec<u64> = self.plans.values().map(|(_, used)| *used).collect();
            used.sort_unstable();
            let oldest = used.get(PLANS_MAX / 4).copied().unwrap_or(0);
            self.plans.retain(|_, (_, used)| *used > oldest);
        }
        self.uses += 1;
        self.plans.insert(key, (plan, self.uses));
    }
}

/// `None` where a plan is not used again: `as_of` itself is in it, or properties, whose columns come and go.
fn key(catalog: &ScopedCatalog, request: &SqlRequest, uses: &Uses) -> Option<Key> {
    let is_fixed = catalog.repeats == Repeats::Often && !catalog.has_open();
    let app = catalog.app().filter(|_| is_fixed)?;
    let until = uses.clock.same_until(&request.calendar, request.as_of)?;
    let named = request.params.iter().filter(|(name, _)| uses.parameters.contains(name));
    let values = format!("{:?}", named.collect::<Vec<_>>());
    if values.len() > VALUES_BYTES_MAX {
        return None;
    }
    let relations = catalog.relations.iter();
    let relations = relations.map(|relation| (relation.name.clone(), relation.table_schema())).collect();
    Some(Key { app, statement: request.statement.clone(), values, until, relations })
}

impl KeptPlan {
    /// `None` where a plan has rows that cannot be taken out of it.
    fn of(
        optimized: &Optimized,
        catalog: &ScopedCatalog,
        calendar: &Calendar,
    ) -> Result<Option<Self>, SqlError> {
        let mut is_whole = true;
        let mut sources = BTreeSet::new();
        let plan = with_sources(&optimized.plan, |name, source| {
            if catalog.has(name) {
                sources.insert(name.to_owned());
                return Some(Arc::new(Unbound { schema: source.schema() }) as Arc<dyn TableProvider>);
            }
            is_whole &= !source.is::<ScopedTable>() && !source.is::<MemTable>();
            None
        })?;
        let (tables, clock, schema) = (optimized.tables.clone(), optimized.clock, optimized.schema.clone());
        let calendar = calendar.clone();
        Ok(is_whole.then_some(Self { calendar, plan, sources, tables, clock, schema }))
    }

    /// The plan over a catalog's tables; `None` where these have changed.
    async fn bound(&self, catalog: &ScopedCatalog) -> Result<Option<LogicalPlan>, SqlError> {
        let mut tables: HashMap<String, Arc<dyn TableProvider>> = HashMap::new();
        for name in &self.sources {
            let Some(table) = catalog.provider(name).await? else { return Ok(None) };
            tables.insert(name.clone(), table);
        }
        let mut is_same = true;
        let bound = with_sources(&self.plan, |name, source| {
            let table = tables.get(name).filter(|_| source.is::<Unbound>())?;
            is_same &= table.schema() == source.schema();
            Some(table.clone())
        })?;
        Ok(is_same.then_some(bound))
    }
}

/// A plan with other tables in the place of some, by their names.
fn with_sources(
    plan: &LogicalPlan,
    mut other: impl FnMut(&str, &Arc<dyn TableProvider>) -> Option<Arc<dyn TableProvider>>,
) -> Result<LogicalPlan> {
    let exchanged = plan.clone().transform_up_with_subqueries(|plan| {
        let LogicalPlan::TableScan(mut scan) = plan else { return Ok(Transformed::no(plan)) };
        let source = source_as_provider(&scan.source)?;
        Ok(match other(scan.table_name.table(), &source) {
            None => Transformed::no(LogicalPlan::TableScan(scan)),
            Some(other) => {
                scan.source = provider_as_source(other);
                Transformed::yes(LogicalPlan::TableScan(scan))
            }
        })
    });
    exchanged.data()
}

/// Stands for a table. It has no rows to give.
#[derive(Debug)]
struct Unbound {
    schema: SchemaRef,
}

#[async_trait]
impl TableProvider for Unbound {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        _: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Err(DataFusionError::Internal("a kept plan is run without rows".to_owned()))
    }
}
