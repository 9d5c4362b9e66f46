//! A physical plan over other rows than those that it was made of: a plan that was made once is run for whoever asks
//! next, and what is kept of it has nobody's rows.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::physical_plan::ExecutionPlan;
use ebbtide_model::{Scope, Tenants};
use ebbtide_store::Snapshot;

use super::catalog::{ScopedCatalog, Source};
use super::given::{GivenExec, GivenTable};
use super::scan::ScopedTable;
use super::scan_exec::ScanExec;
use super::tally::TallyExec;
use super::{Relation, SqlError};

/// Operators that keep nothing of their rows beyond a run, once their state is reset.
const RESET: [&str; 19] = [
    "AggregateExec",
    "BoundedWindowAggExec",
    "CoalescePartitionsExec",
    "CooperativeExec",
    "CrossJoinExec",
    "FilterExec",
    "GlobalLimitExec",
    "HashJoinExec",
    "InterleaveExec",
    "LazyMemoryExec",
    "LocalLimitExec",
    "NestedLoopJoinExec",
    "PartitionedTopKExec",
    "ProjectionExec",
    "RepartitionExec",
    "SortExec",
    "SortPreservingMergeExec",
    "UnionExec",
    "WindowAggExec",
];
/// Those that have no state.
const STATELESS: [&str; 2] = ["EmptyExec", "PlaceholderRowExec"];

/// The rows that a plan reads, by the names of tables and relations.
pub(super) struct Rows {
    stored: HashMap<String, ScopedTable>,
    given: HashMap<String, GivenTable>,
    batches: HashMap<String, Vec<RecordBatch>>,
}

impl Rows {
    /// `None` where a catalog has no such rows.
    pub(super) fn of(catalog: &ScopedCatalog, names: &BTreeSet<String>) -> Result<Option<Self>, SqlError> {
        let mut rows = Self { stored: HashMap::new(), given: HashMap::new(), batches: HashMap::new() };
        for name in names {
            if let Some(relation) = catalog.relation(name) {
                rows.given.insert(name.clone(), GivenTable::new(relation));
                rows.batches.insert(name.clone(), relation.rows.batches.clone());
            } else {
                let Some(table) = catalog.stored(name)? else { return Ok(None) };
                rows.stored.insert(name.clone(), table);
            }
        }
        Ok(Some(rows))
    }

    /// The same tables and relations without a row.
    fn none(catalog: &ScopedCatalog, names: &BTreeSet<String>) -> Result<Option<Self>, SqlError> {
        let Source::Stored { snapshot, .. } = &catalog.source else { return Ok(None) };
        let app = snapshot.app().clone();
        #[expect(clippy::disallowed_methods, reason = "there is no row that it could show")]
        let scope = Scope::grant(app.app.clone(), Tenants::All);
        let snapshot = Arc::new(Snapshot::of_batches(app, Vec::new())?);
        let relations = catalog.relations.iter().map(Relation::emptied).collect();
        let empty =
            ScopedCatalog { source: Source::Stored { snapshot, scope }, relations, ..catalog.clone() };
        Self::of(&empty, names)
    }

    /// About how many there are of each, by the order of names: the same for up to four times as many.
    pub(super) fn magnitudes(&self) -> Vec<u32> {
        let stored = self.stored.iter().map(|(name, table)| (name, table.rows_max()));
        let given = self.batches.iter();
        let given = given.map(|(name, batches)| (name, batches.iter().map(RecordBatch::num_rows).sum()));
        let mut rows: Vec<(&String, usize)> = stored.chain(given).collect();
        rows.sort_unstable();
        rows.into_iter().map(|(_, rows)| (rows + 1).ilog2() / 2).collect()
    }

    pub(super) fn stored(&self, name: &str) -> Option<&ScopedTable> {
        self.stored.get(name)
    }

    pub(super) fn given(&self, name: &str) -> Option<&[RecordBatch]> {
        self.batches.get(name).map(Vec::as_slice)
    }

    /// What a logical plan reads by a name.
    pub(super) fn provider(&self, name: &str) -> Option<Arc<dyn TableProvider>> {
        if let Some(given) = self.given.get(name) {
            return Some(Arc::new(given.clone()));
        }
        Some(Arc::new(self.stored.get(name)?.clone()))
    }
}

/// A plan to keep; `None` where it cannot be had without rows.
pub(super) fn emptied(
    plan: &Arc<dyn ExecutionPlan>,
    catalog: &ScopedCatalog,
    names: &BTreeSet<String>,
) -> Result<Option<Arc<dyn ExecutionPlan>>, SqlError> {
    let Some(none) = Rows::none(catalog, names)? else { return Ok(None) };
    Ok(over(plan, &none)?)
}

/// The same plan over these rows, as if it had not been run; `None` where it is not fit for them.
pub(super) fn over(plan: &Arc<dyn ExecutionPlan>, rows: &Rows) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let mut fits = true;
    let plan = plan.clone().transform_up(|plan| {
        let other = operator_over(&plan, rows)?;
        fits &= other.is_some();
        Ok(match other {
            Some(other) => Transformed::yes(other),
            None => Transformed::new(plan, false, TreeNodeRecursion::Stop),
        })
    });
    let plan = plan.data()?;
    Ok(fits.then_some(plan))
}

fn operator_over(plan: &Arc<dyn ExecutionPlan>, rows: &Rows) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(scan) = plan.downcast_ref::<ScanExec>() {
        let table = scan.table().and_then(|name| rows.stored(name));
        return Ok(table.and_then(|table| scan.over(table)).map(|scan| Arc::new(scan) as _));
    }
    if let Some(given) = plan.downcast_ref::<GivenExec>() {
        let Some(table) = rows.given.get(&**given.relation()) else { return Ok(None) };
        return Ok(given.over(table)?.map(|given| Arc::new(given) as _));
    }
    if let Some(tally) = plan.downcast_ref::<TallyExec>() {
        return Ok(tally.over(rows)?.map(|tally| Arc::new(tally) as _));
    }
    let name = plan.name();
    if STATELESS.contains(&name) {
        return Ok(Some(plan.clone()));
    }
    RESET.contains(&name).then(|| plan.clone().reset_state()).transpose()
}
