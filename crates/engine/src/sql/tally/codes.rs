//! A column's rows by the number of their value. They are kept beside the table's rows for as long as these are
//! the same; when rows come, only what is new is read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema};
use datafusion::common::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExpr;
use ebbtide_model::{Scope, TableSchema};
use ebbtide_store::{ColumnRef, Part, PartIdentity, Snapshot, StoreError, TableView, arrow_type};

use super::values::Values;
use crate::sql::SqlError;

/// What the numbers and values of one column may take: more of them would push out all others.
const BYTES_MAX: usize = 48 << 20;
/// What is made of fewer values is made again.
pub(super) const KEPT_VALUES_MIN: usize = 4_096;

/// A table's rows as a scope sees them, and where what is made of them is kept.
#[derive(Clone, Debug)]
pub(in crate::sql) struct Origin {
    pub(in crate::sql) snapshot: Arc<Snapshot>,
    pub(in crate::sql) scope: Scope,
    pub(in crate::sql) view: TableView,
}

/// The rows of a column by the number of their value.
#[derive(Debug)]
pub(super) struct Codes {
    /// The same where the same values have the same numbers.
    pub(super) lineage: u64,
    /// Whose numbers its first values have, and how many those are.
    grown_from: Option<(u64, usize)>,
    pub(super) values: Values,
    array: ArrayRef,
    parts: Vec<PartCodes>,
}

#[derive(Clone, Debug)]
struct PartCodes {
    identity: PartIdentity,
    /// Of the part's rows, in the order of a scan.
    codes: Arc<[u32]>,
}

/// What is kept of a column: nothing but that it is too large, where it is.
type Kept = Option<Arc<Codes>>;

impl Origin {
    pub(super) fn table(&self) -> &Arc<TableSchema> {
        self.view.schema()
    }

    pub(super) fn parts(&self) -> &[Part] {
        self.view.parts()
    }

    /// `None` where the column is too large, or of a type whose values are not numbered.
    pub(super) fn codes(&self, column: usize) -> Result<Option<Arc<Codes>>> {
        let Some(declared) = self.table().columns.get(column) else { return Ok(None) };
        let Some(values) = Values::new(&arrow_type(declared.column_type)) else { return Ok(None) };
        let what = format!("codes of {}", declared.name);
        let name = &self.table().name;
        let make = || {
            let before: Option<Arc<Kept>> =
                self.snapshot.derived_before(&self.scope, name, &what).map_err(from_store)?;
            let before = before.and_then(|before| Kept::clone(&before));
            let codes = Codes::read(self.parts(), ColumnRef::Declared(column), values, before.as_deref())?;
            let codes: Kept = (codes.bytes() <= BYTES_MAX).then(|| Arc::new(codes));
            let bytes = codes.as_ref().map_or(size_of::<Codes>(), |codes| codes.bytes());
            let kept = Arc::new(codes.clone());
            self.snapshot.keep_derived(&self.scope, name, &what, &kept, bytes).map_err(from_store)?;
            Ok(codes)
        };
        self.made_once(&what, || self.known(&what), make)
    }

    /// What is known of this table's rows, or else is made and kept: by one of those who want it at the same time, as
    /// a report's statements do.
    pub(super) fn made_once<T>(
        &self,
        what: &str,
        known: impl Fn() -> Result<Option<T>>,
        make: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        if let Some(known) = known()? {
            return Ok(known);
        }
        let making = self.snapshot.making(&self.scope, &self.table().name, what).map_err(from_store)?;
        let _turn = making.lock().unwrap_or_else(PoisonError::into_inner);
        match known()? {
            Some(known) => Ok(known),
            None => make(),
        }
    }

    /// What is kept of a column, where it is of these rows as they lie.
    fn known(&self, what: &str) -> Result<Option<Kept>> {
        let known = self.snapshot.derived(&self.scope, &self.table().name, what);
        let known: Option<Arc<Kept>> = known.map_err(from_store)?;
        let known = known.map(|known| Kept::clone(&known));
        Ok(known.filter(|known| known.as_ref().is_none_or(|codes| codes.are_of(self.parts()))))
    }

    /// What an expression over one column, which it has as its column 0, makes of each value.
    pub(super) fn mapped(&self, codes: &Codes, expr: &Arc<dyn PhysicalExpr>) -> Result<Option<Arc<Mapped>>> {
        if codes.values.len() < KEPT_VALUES_MIN {
            return Ok(Mapped::fresh(codes, expr)?.map(Arc::new));
        }
        if let Some(known) = self.mapped_before(codes.lineage, expr)? {
            return Ok(Some(known));
        }
        let before = match codes.grown_from {
            Some((lineage, values)) => {
                self.mapped_before(lineage, expr)?.filter(|before| before.numbers.len() == values)
            }
            None => None,
        };
        let mapped = match before {
            Some(before) => Some(before.grown(codes)?),
            None => Mapped::fresh(codes, expr)?,
        };
        let Some(mapped) = mapped.map(Arc::new) else { return Ok(None) };
        let what = Mapped::kept_as(codes.lineage, expr);
        let bytes = mapped.bytes();
        let kept = self.snapshot.keep_derived(&self.scope, &self.table().name, &what, &mapped, bytes);
        kept.map_err(from_store)?;
        Ok(Some(mapped))
    }

    fn mapped_before(&self, lineage: u64, expr: &Arc<dyn PhysicalExpr>) -> Result<Option<Arc<Mapped>>> {
        let what = Mapped::kept_as(lineage, expr);
        let known = self.snapshot.derived_before(&self.scope, &self.table().name, &what);
        let known: Option<Arc<Mapped>> = known.map_err(from_store)?;
        Ok(known.filter(|known| known.expr.as_ref() == expr.as_ref()))
    }
}

impl Codes {
    fn read(parts: &[Part], column: ColumnRef, fresh: Values, before: Option<&Self>) -> Result<Self> {
        static LINEAGES: AtomicU64 = AtomicU64::new(0);
        let mut values = before.map_or(fresh, |before| before.values.clone());
        let mut read = Vec::with_capacity(parts.len());
        for part in parts {
            let identity = part.identity();
            let mut known = before.into_iter().flat_map(|before| &before.parts);
            let known = known.find(|known| known.identity == identity);
            if let Some(known) = known {
                read.push(known.clone());
                continue;
            }
            let mut codes = Vec::with_capacity(part.rows_max());
            for batch in part.scan(&[column]).map_err(from_store)? {
                values.number(batch.map_err(from_store)?.column(0), &mut codes)?;
            }
            read.push(PartCodes { identity, codes: codes.into() });
        }
        let same = before.filter(|before| before.values.len() == values.len());
        let (lineage, grown_from, array) = match same {
            Some(before) => (before.lineage, before.grown_from, before.array.clone()),
            None => {
                let grown_from = before.map(|before| (before.lineage, before.values.len()));
                (LINEAGES.fetch_add(1, Ordering::Relaxed), grown_from, values.array(0)?)
            }
        };
        Ok(Self { lineage, grown_from, values, array, parts: read })
    }

    /// Whether they are of these parts' rows.
    fn are_of(&self, parts: &[Part]) -> bool {
        self.parts.iter().map(|part| &part.identity).eq(&identities(parts))
    }

    /// Of a part's rows, in the order of a scan.
    pub(super) fn of_part(&self, part: usize) -> &[u32] {
        self.parts.get(part).map_or(&[], |part| &part.codes)
    }

    /// Of all rows, part by part.
    pub(super) fn rows(&self) -> impl Iterator<Item = u32> {
        self.parts.iter().flat_map(|part| part.codes.iter().copied())
    }

    /// Each value at its number.
    pub(super) fn array(&self) -> &ArrayRef {
        &self.array
    }

    fn bytes(&self) -> usize {
        let codes: usize = self.parts.iter().map(|part| size_of_val(&*part.codes)).sum();
        codes + self.values.bytes() + self.array.get_array_memory_size()
    }
}

/// What an expression makes of a column's values.
#[derive(Debug)]
pub(super) struct Mapped {
    expr: Arc<dyn PhysicalExpr>,
    /// By the number of the column's value, that of what is made of it.
    pub(super) numbers: Arc<[u32]>,
    pub(super) values: Values,
    pub(super) array: ArrayRef,
}

impl Mapped {
    fn kept_as(lineage: u64, expr: &Arc<dyn PhysicalExpr>) -> String {
        format!("of values {lineage}: {expr:?}")
    }

    fn fresh(codes: &Codes, expr: &Arc<dyn PhysicalExpr>) -> Result<Option<Self>> {
        let made = evaluated(expr, codes.array())?;
        let Some(mut values) = Values::new(made.data_type()) else { return Ok(None) };
        let mut numbers = Vec::new();
        values.number(&made, &mut numbers)?;
        let array = values.array(0)?;
        Ok(Some(Self { expr: expr.clone(), numbers: numbers.into(), values, array }))
    }

    /// With what came after it was made.
    fn grown(&self, codes: &Codes) -> Result<Self> {
        let known = self.numbers.len();
        let made = evaluated(&self.expr, &codes.array().slice(known, codes.values.len() - known))?;
        let (mut values, mut numbers) = (self.values.clone(), self.numbers.to_vec());
        values.number(&made, &mut numbers)?;
        let array = values.array(0)?;
        Ok(Self { expr: self.expr.clone(), numbers: numbers.into(), values, array })
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.numbers) + self.values.bytes() + self.array.get_array_memory_size()
    }
}

pub(super) fn identities(parts: &[Part]) -> Vec<PartIdentity> {
    parts.iter().map(Part::identity).collect()
}

pub(super) fn evaluated(expr: &Arc<dyn PhysicalExpr>, values: &ArrayRef) -> Result<ArrayRef> {
    let schema = Schema::new(vec![Field::new("value", values.data_type().clone(), true)]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![values.clone()])?;
    expr.evaluate(&batch)?.into_array(values.len())
}

pub(super) fn from_store(error: StoreError) -> DataFusionError {
    DataFusionError::External(Box::new(SqlError::Store(error)))
}
