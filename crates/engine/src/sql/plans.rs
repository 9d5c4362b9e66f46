//! Plans of packs' statements, kept for the next time that they are asked: planning costs as much as many a
//! statement itself.
//!
//! A kept plan has no rows. Its tables stand for those of whatever catalog it is used with, by their names, and
//! give nothing until they are exchanged for them. Nor has it a moment: what follows from that is put in each time. What
//! else a plan says follows from what it is found by: the statement, and the values that it names. How it is
//! carried out is kept, too, for each of the values that its last moments came to.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::datasource::{MemTable, provider_as_source, source_as_provider};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, TableType};
use datafusion::physical_plan::ExecutionPlan;
use ebbtide_model::{AppName, Calendar, TableName};

use super::SqlError;
use super::catalog::{Repeats, ScopedCatalog};
use super::clock::ClockUse;
use super::functions::Ticks;
use super::given::GivenTable;
use super::moments::{Moments, put_in};
use super::physical::{self, Rows};
use super::scan::ScopedTable;
use super::session::{AS_OF, Ready, SqlRequest};

/// The plans of a server's packs, with some values each.
const PLANS_MAX: usize = 512;
/// How they are carried out, as of some days each.
const PHYSICAL_MAX: usize = 512;
/// As many texts, of which it is known what values they name.
const STATEMENTS_MAX: usize = 1_024;
/// A longer list of values is not looked for among the kept.
const VALUES_BYTES_MAX: usize = 1_024;

/// What all statements of packs share.
#[derive(Debug, Default)]
pub(super) struct Plans {
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    /// The parameters that each names.
    statements: HashMap<Arc<str>, Arc<BTreeSet<String>>>,
    plans: Recent<Key, Arc<KeptPlan>>,
    physical: Recent<PhysicalKey, Arc<dyn ExecutionPlan>>,
}

impl Default for Kept {
    fn default() -> Self {
        let (plans, physical) = (Recent::new(PLANS_MAX), Recent::new(PHYSICAL_MAX));
        Self { statements: HashMap::new(), plans, physical }
    }
}

/// Those of many that were used last.
#[derive(Debug)]
struct Recent<K, V> {
    of: HashMap<K, (V, u64)>,
    max: usize,
    /// Counts up with each use.
    uses: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    app: AppName,
    statement: Arc<str>,
    /// Of the parameters that it names.
    values: String,
    /// Of its rows besides the app's.
    relations: Vec<(Arc<str>, SchemaRef)>,
}

/// What of a plan is carried out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct PhysicalKey {
    /// Of the plan.
    number: u64,
    /// Of its moment.
    values: Vec<ScalarValue>,
    /// Of the rows: which side of a join is looked up in hangs on that.
    magnitudes: Vec<u32>,
}

/// A plan without rows and without a moment.
#[derive(Debug)]
struct KeptPlan {
    number: u64,
    calendar: Calendar,
    plan: LogicalPlan,
    moments: Moments,
    /// What stands for tables in it, by name.
    sources: BTreeSet<String>,
    tables: Vec<TableName>,
    clock: ClockUse,
    schema: SchemaRef,
}

/// What a statement's plan is made of, without its moment.
pub(super) struct Optimized {
    pub(super) plan: LogicalPlan,
    pub(super) moments: Moments,
    /// The app's, that it reads.
    pub(super) tables: Vec<TableName>,
    pub(super) clock: ClockUse,
    /// Of what it gives.
    pub(super) schema: SchemaRef,
}

/// A kept plan as of a moment.
pub(super) struct AsOf {
    plan: Arc<KeptPlan>,
    values: Vec<ScalarValue>,
    ticks: Ticks,
}

impl Plans {
    /// A statement's plan, if one is kept.
    pub(super) fn find(
        &self,
        catalog: &ScopedCatalog,
        request: &SqlRequest,
    ) -> Result<Option<AsOf>, SqlError> {
        let Some(parameters) = self.lock().statements.get(&request.statement).cloned() else {
            return Ok(None);
        };
        let Some(key) = key(catalog, request, &parameters) else { return Ok(None) };
        let kept = self.lock().plans.find(&key);
        match kept.filter(|kept| kept.calendar == request.calendar) {
            Some(kept) => kept.as_of(request),
            None => Ok(None),
        }
    }

    /// Keeps a plan for the next time, where it may be used again.
    pub(super) fn keep(
        &self,
        catalog: &ScopedCatalog,
        request: &SqlRequest,
        parameters: BTreeSet<String>,
        optimized: Optimized,
    ) -> Result<Option<AsOf>, SqlError> {
        let Some(key) = key(catalog, request, &parameters) else { return Ok(None) };
        let Some(plan) = KeptPlan::of(optimized, catalog, &request.calendar)? else { return Ok(None) };
        let plan = Arc::new(plan);
        let mut kept = self.lock();
        if kept.statements.len() >= STATEMENTS_MAX {
            kept.statements.clear();
        }
        kept.statements.insert(key.statement.clone(), Arc::new(parameters));
        kept.plans.keep(key, plan.clone());
        drop(kept);
        plan.as_of(request)
    }

    /// How a plan is carried out over the rows of this catalog; `None` where its tables have changed.
    pub(super) async fn ready(
        &self,
        asked: AsOf,
        state: &SessionState,
        catalog: &ScopedCatalog,
    ) -> Result<Option<Ready>, SqlError> {
        let AsOf { plan, values, ticks } = asked;
        let Some(rows) = Rows::of(catalog, &plan.sources)? else { return Ok(None) };
        let key = PhysicalKey { number: plan.number, values: values.clone(), magnitudes: rows.magnitudes() };
        let physical = match self.physical(&key, &rows)? {
            Some(physical) => physical,
            None => {
                let Some(bound) = plan.bound(&rows, &values, &ticks)? else { return Ok(None) };
                let physical = state.query_planner().create_physical_plan(&bound, state).await?;
                // Else each moment is of its own.
                if plan.clock.lasts()
                    && let Some(emptied) = physical::emptied(&physical, catalog, &plan.sources)?
                {
                    self.lock().physical.keep(key, emptied);
                }
                physical
            }
        };
        let (tables, clock, schema) = (plan.tables.clone(), plan.clock, plan.schema.clone());
        Ok(Some(Ready { physical, tables, clock, schema, ticks }))
    }

    fn physical(&self, key: &PhysicalKey, rows: &Rows) -> Result<Option<Arc<dyn ExecutionPlan>>, SqlError> {
        let kept = self.lock().physical.find(key);
        match kept {
            Some(kept) => Ok(physical::over(&kept, rows)?),
            None => Ok(None),
        }
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.lock().plans.of.len()
    }

    /// As of how many moments it is kept how they are carried out.
    #[cfg(test)]
    pub(super) fn physical_count(&self) -> usize {
        self.lock().physical.of.len()
    }

    /// They are whole whatever their holder did.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    fn new(max: usize) -> Self {
        Self { of: HashMap::new(), max, uses: 0 }
    }

    fn find(&mut self, key: &K) -> Option<V> {
        self.uses += 1;
        let (value, used) = self.of.get_mut(key)?;
        *used = self.uses;
        Some(value.clone())
    }

    fn keep(&mut self, key: K, value: V) {
        if self.of.len() >= self.max {
            // A quarter, so that it is not looked for with each.
            let mut used: Vec<u64> = self.of.values().map(|(_, used)| *used).collect();
            used.sort_unstable();
            let oldest = used.get(self.max / 4).copied().unwrap_or(0);
            self.of.retain(|_, (_, used)| *used > oldest);
        }
        self.uses += 1;
        self.of.insert(key, (value, self.uses));
    }
}

/// Whether plans over a catalog are used again: those of properties, whose columns come and go, are not.
pub(super) fn may_be_kept(catalog: &ScopedCatalog) -> bool {
    catalog.repeats == Repeats::Often && !catalog.has_open() && catalog.app().is_some()
}

/// `None` where a plan is not used again.
fn key(catalog: &ScopedCatalog, request: &SqlRequest, parameters: &BTreeSet<String>) -> Option<Key> {
    let app = catalog.app().filter(|_| may_be_kept(catalog))?;
    let named = || request.params.iter().filter(|(name, _)| parameters.contains(name));
    // A moment that is given as a value is not that of the rows.
    if named().any(|(name, _)| name == AS_OF) {
        return None;
    }
    let values = format!("{:?}", named().collect::<Vec<_>>());
    if values.len() > VALUES_BYTES_MAX {
        return None;
    }
    let relations = catalog.relations.iter();
    let relations = relations.map(|relation| (relation.name.clone(), relation.table_schema())).collect();
    Some(Key { app, statement: request.statement.clone(), values, relations })
}

impl KeptPlan {
    /// `None` where a plan has rows that cannot be taken out of it.
    fn of(
        optimized: Optimized,
        catalog: &ScopedCatalog,
        calendar: &Calendar,
    ) -> Result<Option<Self>, SqlError> {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let Optimized { plan, moments, tables, clock, schema } = optimized;
        let mut is_whole = true;
        let mut sources = BTreeSet::new();
        let plan = with_sources(plan, |name, source| {
            if catalog.has(name) {
                sources.insert(name.to_owned());
                return Some(Arc::new(Unbound { schema: source.schema() }) as Arc<dyn TableProvider>);
            }
            is_whole &= !source.is::<ScopedTable>() && !source.is::<GivenTable>() && !source.is::<MemTable>();
            None
        })?;
        let (calendar, number) = (calendar.clone(), NUMBERS.fetch_add(1, Ordering::Relaxed));
        let kept = Self { number, calendar, plan, moments, sources, tables, clock, schema };
        Ok(is_whole.then_some(kept))
    }

    /// `None` where the statement may say something else as of this moment.
    fn as_of(self: Arc<Self>, request: &SqlRequest) -> Result<Option<AsOf>, SqlError> {
        let values = self.moments.values(&request.calendar, request.as_of)?;
        Ok(values.map(|values| AsOf { plan: self, values, ticks: Ticks::after(request.as_of) }))
    }

    /// The plan over tables; `None` where these have changed.
    fn bound(
        &self,
        rows: &Rows,
        values: &[ScalarValue],
        ticks: &Ticks,
    ) -> Result<Option<LogicalPlan>, SqlError> {
        let mut is_same = true;
        let bound = with_sources(self.plan.clone(), |name, source| {
            let table = rows.provider(name).filter(|_| source.is::<Unbound>())?;
            is_same &= table.schema() == source.schema();
            Some(table)
        })?;
        Ok(if is_same { Some(put_in(bound, values, ticks)?) } else { None })
    }
}

/// A plan with other tables in the place of some, by their names.
fn with_sources(
    plan: LogicalPlan,
    mut other: impl FnMut(&str, &Arc<dyn TableProvider>) -> Option<Arc<dyn TableProvider>>,
) -> Result<LogicalPlan> {
    let exchanged = plan.transform_up_with_subqueries(|plan| {
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
