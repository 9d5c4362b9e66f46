//! The numbers of values for questions that are no statements.

use std::any::Any;
use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion::common::DataFusionError;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use ebbtide_model::{Instant, Scope, TableName};
use ebbtide_store::{Part, Snapshot};

use super::codes::{Codes, Origin};
use super::lookup::{Lookup, Parents};
use super::source::{Parent, Scanned};
use crate::EngineError;
use crate::sql::SqlError;
use crate::sql::time_range::{TimeColumn, TimeRange};

/// A table's rows as a scope sees them.
pub(crate) struct CodedTable {
    origin: Arc<Origin>,
}

/// A column's rows by the number of their value.
pub(crate) struct CodedColumn(Arc<Codes>);

/// What rows have by the row that they belong to.
pub(crate) struct OfParents {
    /// By the number of the value that names the parent: that of what it has, or [`NONE`](super::NONE) without one.
    pub(crate) numbers: Arc<[u32]>,
    /// Each value at its number.
    pub(crate) values: ArrayRef,
}

impl CodedTable {
    pub(crate) fn of(snapshot: &Snapshot, scope: &Scope, table: &TableName) -> Result<Self, EngineError> {
        let view = snapshot.table(scope, table)?;
        let (snapshot, scope) = (Arc::new(snapshot.clone()), scope.clone());
        Ok(Self { origin: Arc::new(Origin { snapshot, scope, view }) })
    }

    pub(crate) fn parts(&self) -> &[Part] {
        self.origin.parts()
    }

    /// `None` where its values are not numbered.
    pub(crate) fn column(&self, column: usize) -> Result<Option<CodedColumn>, EngineError> {
        Ok(self.origin.codes(column).map_err(failed)?.map(CodedColumn))
    }

    /// A column of the rows of `parent`, as of a moment, whose key `key` is named by this table's column `by`.
    pub(crate) fn of_parents(
        &self,
        by: usize,
        parent: &Self,
        (key, column): (usize, usize),
        as_of: Instant,
    ) -> Result<Option<OfParents>, EngineError> {
        let columns = &parent.origin.table().columns;
        let Some(name) = columns.get(column).map(|column| &column.name) else { return Ok(None) };
        let range = TimeRange::up_to(as_of);
        let time =
            parent.origin.table().time.and_then(|index| {
                Some((TimeColumn { index, nullable: columns.get(index)?.nullable }, range))
            });
        let rows = Scanned { origin: parent.origin.clone(), time, narrowed: TimeRange::any() };
        let parents = Parents::of(&self.origin, &Parent { rows, by, key }).map_err(failed)?;
        let Some(parents) = parents else { return Ok(None) };
        let expr: Arc<dyn PhysicalExpr> = Arc::new(Column::new(name, column));
        let lookup = parents.kept_lookup(&self.origin, &expr).map_err(failed)?;
        let of = |lookup: Lookup| Some(OfParents { numbers: lookup.table?, values: lookup.array });
        Ok(lookup.and_then(of).map(|of| OfParents { numbers: parents.existing(range, of.numbers), ..of }))
    }

    /// What was made of these very rows, if it is kept.
    pub(crate) fn made<T: Any + Send + Sync>(&self, what: &str) -> Result<Option<Arc<T>>, EngineError> {
        let Origin { snapshot, scope, .. } = &*self.origin;
        Ok(snapshot.derived(scope, &self.origin.table().name, what)?)
    }

    pub(crate) fn keep<T: Any + Send + Sync>(
        &self,
        what: &str,
        made: &Arc<T>,
        bytes: usize,
    ) -> Result<(), EngineError> {
        let Origin { snapshot, scope, .. } = &*self.origin;
        Ok(snapshot.keep_derived(scope, &self.origin.table().name, what, made, bytes)?)
    }
}

impl CodedColumn {
    /// Of a part's rows, in the order of a scan.
    pub(crate) fn of_part(&self, part: usize) -> &[u32] {
        self.0.of_part(part)
    }

    pub(crate) fn is_null(&self, number: u32) -> bool {
        number == self.0.values.null()
    }

    /// Each value at its number.
    pub(crate) fn values(&self) -> &ArrayRef {
        self.0.array()
    }
}

fn failed(error: DataFusionError) -> EngineError {
    SqlError::from(error).into()
}
