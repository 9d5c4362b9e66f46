//! What an expression says of a row, looked up by the number of one column's value: made once for each value, or
//! for each row of a parent, instead of once for each row.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use ebbtide_model::ColumnType;
use ebbtide_store::{ColumnRef, Part, arrow_type};

use super::codes::{Codes, Origin, from_store};
use super::source::{Parent, Scanned, Source, placed};
use super::values::{NONE, Values};
use crate::sql::time_range::{Overlap, TimeColumn, TimeRange};

/// Functions that take note of what they are called with, for each answer anew.
const TAKING_NOTE: [&str; 1] = ["days_between"];

/// The rows of a table and of its parent, with what is looked up in them.
pub(super) struct Lookups {
    rows: Scanned,
    parent: Option<Parents>,
    schema: Schema,
}

/// The rows of a parent, by those of its children.
pub(super) struct Parents {
    rows: Scanned,
    /// The children's column that says whose they are.
    by: Arc<Codes>,
    /// By the number of that column's value: the parent's row, or [`NONE`].
    row_of: Arc<[u32]>,
}

/// What a row has, found by the number of a column's value.
#[derive(Clone)]
pub(super) struct Lookup {
    pub(super) codes: Arc<Codes>,
    /// By that number, another; `None`: the number itself.
    pub(super) table: Option<Arc<[u32]>>,
    /// What these are the numbers of.
    pub(super) array: ArrayRef,
    /// Which of them is null, or [`NONE`].
    pub(super) null: u32,
    /// The lineages of the codes from which these numbers follow.
    pub(super) lineages: [u64; 2],
}

/// A condition on rows, by the number of a column's value.
pub(super) struct Kept {
    pub(super) codes: Arc<Codes>,
    pub(super) is_kept: Arc<[bool]>,
}

impl Kept {
    /// Whether it keeps a row of a part.
    pub(super) fn keeps(&self, part: usize, row: usize) -> bool {
        let code = self.codes.of_part(part).get(row);
        code.and_then(|code| self.is_kept.get(*code as usize)).copied().unwrap_or(false)
    }

    /// Unmarks the rows of a batch that it does not keep.
    pub(super) fn mark(&self, (part, from): (usize, usize), mask: &mut [bool]) {
        let codes = self.codes.of_part(part).get(from..).unwrap_or_default();
        for (marked, code) in mask.iter_mut().zip(codes) {
            *marked &= self.is_kept.get(*code as usize).copied().unwrap_or(false);
        }
        mask.iter_mut().skip(codes.len()).for_each(|marked| *marked = false);
    }
}

impl Lookup {
    pub(super) fn number(&self, code: u32) -> u32 {
        match &self.table {
            Some(table) => table.get(code as usize).copied().unwrap_or(NONE),
            None => code,
        }
    }
}

impl Lookups {
    /// `None` where a column is not numbered by which rows find their parents.
    pub(super) fn of(source: &Source) -> Result<Option<Self>> {
        let parent = match &source.parent {
            None => None,
            Some(parent) => match Parents::of(&source.rows.origin, parent)? {
                Some(parent) => Some(parent),
                None => return Ok(None),
            },
        };
        Ok(Some(Self { rows: source.rows.clone(), parent, schema: source.schema() }))
    }

    /// The one column of the table's own that an expression is over, where it is to be asked once for each value:
    /// numbers and times are quicker looked at than looked up, unless they are what is grouped by.
    fn own_column(&self, expr: &Arc<dyn PhysicalExpr>) -> Option<usize> {
        let columns = columns_of(expr);
        let [column] = columns[..] else { return None };
        let column_type = self.rows.origin.table().columns.get(column)?.column_type;
        let is_numbered = match column_type {
            ColumnType::Text | ColumnType::Bool => !takes_note(expr),
            ColumnType::Int => expr.is::<Column>(),
            _ => false,
        };
        is_numbered.then_some(column)
    }

    /// Whether an expression is over columns of the parent alone, or over none.
    fn is_of_parent(&self, expr: &Arc<dyn PhysicalExpr>) -> bool {
        let own = self.rows.columns();
        self.parent.is_some() && columns_of(expr).iter().all(|column| *column >= own)
    }

    /// Of the columns that expressions are over.
    pub(super) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// `None` where it has to be evaluated for each row, if it can be.
    pub(super) fn lookup(&self, expr: &Arc<dyn PhysicalExpr>) -> Result<Option<Lookup>> {
        if let Some(column) = self.own_column(expr) {
            return of_column(&self.rows.origin, column, expr);
        }
        match &self.parent {
            Some(parents) if self.is_of_parent(expr) => {
                parents.lookup(&placed(expr, |index| index - self.rows.columns())?)
            }
            _ => Ok(None),
        }
    }

    /// As [`Self::lookup`], for a condition: null is no.
    pub(super) fn kept(&self, condition: &Arc<dyn PhysicalExpr>) -> Result<Option<Kept>> {
        let Some(lookup) = self.lookup(condition)? else { return Ok(None) };
        let Some(holds) = lookup.array.as_boolean_opt() else { return Ok(None) };
        let holds: Vec<bool> =
            (0..holds.len()).map(|number| holds.is_valid(number) && holds.value(number)).collect();
        let codes = u32::try_from(lookup.codes.values.len()).unwrap_or(NONE);
        let is_kept =
            (0..codes).map(|code| holds.get(lookup.number(code) as usize).copied().unwrap_or(false));
        Ok(Some(Kept { is_kept: is_kept.collect(), codes: lookup.codes }))
    }

    /// The condition that a row has a parent whose time is in this range.
    pub(super) fn with_parent(&self, time: Option<(TimeColumn, TimeRange)>) -> Result<Option<Kept>> {
        let Some(parents) = &self.parent else { return Ok(None) };
        let exists = parents.existing(time)?;
        let is_there = |row: &u32| *row != NONE && exists.as_ref().is_none_or(|exists| exists[*row as usize]);
        let is_kept = parents.row_of.iter().map(is_there).collect();
        Ok(Some(Kept { codes: parents.by.clone(), is_kept }))
    }
}

/// An expression over one column, by the number of that column's value.
fn of_column(origin: &Origin, column: usize, expr: &Arc<dyn PhysicalExpr>) -> Result<Option<Lookup>> {
    let Some(codes) = origin.codes(column)? else { return Ok(None) };
    if expr.is::<Column>() {
        let (array, null) = (codes.array().clone(), codes.values.null());
        let lineages = [codes.lineage; 2];
        return Ok(Some(Lookup { codes, table: None, array, null, lineages }));
    }
    let Some(mapped) = origin.mapped(&codes, &placed(expr, |_| 0)?)? else { return Ok(None) };
    let (array, null) = (mapped.array.clone(), mapped.values.null());
    let lineages = [codes.lineage; 2];
    Ok(Some(Lookup { codes, table: Some(mapped.numbers.clone()), array, null, lineages }))
}

impl Parents {
    pub(super) fn of(child: &Origin, parent: &Parent) -> Result<Option<Self>> {
        let (Some(by), Some(keys)) = (child.codes(parent.by)?, parent.rows.origin.codes(parent.key)?) else {
            return Ok(None);
        };
        let row_of = Self::rows_of(child, &by, &parent.rows.origin, &keys)?;
        Ok(Some(Self { rows: parent.rows.clone(), by, row_of }))
    }

    /// By the number of a value that names a parent: its row.
    fn rows_of(child: &Origin, by: &Arc<Codes>, parent: &Origin, keys: &Arc<Codes>) -> Result<Arc<[u32]>> {
        let name = &child.table().name;
        let what = format!("rows of {}", parent.table().name);
        let known: Option<Arc<RowsOf>> =
            child.snapshot.derived_before(&child.scope, name, &what).map_err(from_store)?;
        let fits = |known: &Arc<RowsOf>| Arc::ptr_eq(&known.by, by) && Arc::ptr_eq(&known.keys, keys);
        if let Some(known) = known.filter(fits) {
            return Ok(known.rows.clone());
        }
        let mut row_of_key = vec![NONE; keys.values.len()];
        for (row, key) in (0_u32..).zip(keys.rows()) {
            if let Some(place) = row_of_key.get_mut(key as usize) {
                *place = row;
            }
        }
        let found = keys.values.numbers_of(&by.values);
        let rows: Arc<[u32]> =
            found.iter().map(|key| row_of_key.get(*key as usize).copied().unwrap_or(NONE)).collect();
        let made = Arc::new(RowsOf { by: by.clone(), keys: keys.clone(), rows: rows.clone() });
        let bytes = size_of_val(&*rows);
        child.snapshot.keep_derived(&child.scope, name, &what, &made, bytes).map_err(from_store)?;
        Ok(rows)
    }

    /// An expression over the parent's columns.
    pub(super) fn lookup(&self, expr: &Arc<dyn PhysicalExpr>) -> Result<Option<Lookup>> {
        let columns = columns_of(expr);
        let of_row: Vec<u32>;
        let (array, null);
        let mut lineages = [self.by.lineage; 2];
        match columns[..] {
            [column] if !takes_note(expr) && self.is_numbered(column) => {
                let Some(lookup) = of_column(&self.rows.origin, column, expr)? else { return Ok(None) };
                of_row = lookup.codes.rows().map(|code| lookup.number(code)).collect();
                (array, null, lineages[1]) = (lookup.array, lookup.null, lookup.lineages[0]);
            }
            _ => {
                let Some((values, rows)) = self.evaluated(expr, &columns)? else { return Ok(None) };
                of_row = rows;
                (array, null) = (values.array(0)?, values.null());
            }
        }
        let table = self.row_of.iter().map(|row| of_row.get(*row as usize).copied().unwrap_or(NONE));
        Ok(Some(Lookup { codes: self.by.clone(), table: Some(table.collect()), array, null, lineages }))
    }

    fn is_numbered(&self, column: usize) -> bool {
        let column = self.rows.origin.table().columns.get(column);
        column.is_some_and(|column| arrow_type(column.column_type) == DataType::Utf8)
    }

    /// An expression for each of the parent's rows.
    fn evaluated(
        &self,
        expr: &Arc<dyn PhysicalExpr>,
        columns: &[usize],
    ) -> Result<Option<(Values, Vec<u32>)>> {
        let reading = Columns::of(&self.rows, columns.iter().copied());
        let (mut values, mut rows) = (None, Vec::new());
        for part in self.rows.origin.parts() {
            for batch in part.scan(&reading.columns()).map_err(from_store)? {
                let batch = reading.batch(&batch.map_err(from_store)?)?;
                let array = reading.expr(expr)?.evaluate(&batch)?.into_array(batch.num_rows())?;
                if values.is_none() {
                    values = Values::new(array.data_type());
                }
                let Some(values) = &mut values else { return Ok(None) };
                values.number(&array, &mut rows)?;
            }
        }
        let data_type = expr.data_type(&reading.schema)?;
        Ok(values.or_else(|| Values::new(&data_type)).map(|values| (values, rows)))
    }

    /// By row, whether it is of a time that exists; `None` where all are.
    fn existing(&self, time: Option<(TimeColumn, TimeRange)>) -> Result<Option<Vec<bool>>> {
        let Some((time, range)) = time else { return Ok(None) };
        let parts = self.rows.origin.parts();
        let wholly = |part: &Part| range.overlap(part.time_range(), time) == Overlap::Wholly;
        if parts.iter().all(wholly) {
            return Ok(None);
        }
        let mut exists = Vec::new();
        for part in parts {
            for batch in part.scan(&[ColumnRef::Declared(time.index)]).map_err(from_store)? {
                let batch = batch.map_err(from_store)?;
                let known = exists.len();
                exists.resize(known + batch.num_rows(), true);
                range.mark(batch.column(0), &mut exists[known..])?;
            }
        }
        Ok(Some(exists))
    }
}

/// Which of a parent's rows its children name.
struct RowsOf {
    by: Arc<Codes>,
    keys: Arc<Codes>,
    rows: Arc<[u32]>,
}

/// Columns of a table that are read for expressions.
pub(super) struct Columns {
    /// Ascending.
    read: Vec<usize>,
    schema: Arc<Schema>,
}

impl Columns {
    pub(super) fn of(rows: &Scanned, columns: impl IntoIterator<Item = usize>) -> Self {
        let read: Vec<usize> = columns.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let table = rows.origin.table();
        let field = |column: &usize| -> Option<FieldRef> {
            let column = table.columns.get(*column)?;
            Some(Arc::new(Field::new(&column.name, arrow_type(column.column_type), true)))
        };
        let schema = Arc::new(Schema::new(read.iter().filter_map(field).collect::<Vec<_>>()));
        Self { read, schema }
    }

    /// There is one at least, since a scan tells how many rows there are by its columns.
    pub(super) fn columns(&self) -> Vec<ColumnRef> {
        if self.read.is_empty() {
            return vec![ColumnRef::Sequence];
        }
        self.read.iter().map(|column| ColumnRef::Declared(*column)).collect()
    }

    pub(super) fn place(&self, column: usize) -> Option<usize> {
        self.read.binary_search(&column).ok()
    }

    /// What was read, as expressions see it.
    pub(super) fn batch(&self, read: &RecordBatch) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(read.num_rows()));
        let columns = read.columns().iter().take(self.read.len()).cloned().collect();
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }

    /// An expression over the table's columns as one over those that are read.
    pub(super) fn expr(&self, expr: &Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        placed(expr, |index| self.place(index).unwrap_or(index))
    }
}

/// The places of the columns that an expression is over.
pub(super) fn columns_of(expr: &Arc<dyn PhysicalExpr>) -> Vec<usize> {
    let columns: BTreeSet<usize> = collect_columns(expr).iter().map(Column::index).collect();
    columns.into_iter().collect()
}

pub(super) fn takes_note(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let mut found = false;
    let walked = expr.apply(|expr| {
        let function = expr.downcast_ref::<ScalarFunctionExpr>();
        found |= function.is_some_and(|function| TAKING_NOTE.contains(&function.fun().name()));
        Ok(TreeNodeRecursion::Continue)
    });
    found || walked.is_err()
}
