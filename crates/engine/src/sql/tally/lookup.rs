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
use ebbtide_store::{ColumnRef, NO_TIME, PartIdentity, arrow_type};

use super::codes::{Codes, KEPT_VALUES_MIN, Origin, evaluated, from_store, identities};
use super::days::Times;
use super::source::{Parent, Scanned, Source, placed};
use super::values::{NONE, Values};
use crate::sql::time_range::TimeRange;

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
    /// When the parents' rows are, where that is told of them.
    times: Option<Arc<Times>>,
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

/// A condition on rows, by the number of what it is on.
pub(super) struct Kept {
    lookup: Lookup,
    holds: Vec<bool>,
}

impl Kept {
    /// Whether it keeps a row of a part.
    pub(super) fn keeps(&self, part: usize, row: usize) -> bool {
        self.lookup.codes.of_part(part).get(row).is_some_and(|code| self.holds_of(self.lookup.number(*code)))
    }

    /// Unmarks the rows of a batch that it does not keep.
    pub(super) fn mark(&self, (part, from): (usize, usize), mask: &mut [bool]) {
        let codes = self.lookup.codes.of_part(part).get(from..).unwrap_or_default();
        let rows = mask.iter_mut().zip(codes);
        match &self.lookup.table {
            None => rows.for_each(|(marked, code)| *marked &= self.holds_of(*code)),
            Some(table) => rows.for_each(|(marked, code)| {
                *marked &= table.get(*code as usize).is_some_and(|number| self.holds_of(*number));
            }),
        }
        mask.iter_mut().skip(codes.len()).for_each(|marked| *marked = false);
    }

    fn holds_of(&self, number: u32) -> bool {
        self.holds.get(number as usize).copied().unwrap_or(false)
    }
}

/// That rows have a parent which exists.
pub(super) struct WithParent {
    by: Arc<Codes>,
    row_of: Arc<[u32]>,
    times: Option<(Arc<Times>, TimeRange)>,
}

impl WithParent {
    /// Whether a row of a part has.
    pub(super) fn holds(&self, part: usize, row: usize) -> bool {
        self.by.of_part(part).get(row).is_some_and(|code| self.exists(*code))
    }

    /// Unmarks the rows of a batch that have not.
    pub(super) fn mark(&self, (part, from): (usize, usize), mask: &mut [bool]) {
        let codes = self.by.of_part(part).get(from..).unwrap_or_default();
        // Rows that follow one another mostly have one parent.
        let mut last = (NONE, false);
        for (marked, code) in mask.iter_mut().zip(codes) {
            if last.0 != *code || *code == NONE {
                last = (*code, self.exists(*code));
            }
            *marked &= last.1;
        }
        mask.iter_mut().skip(codes.len()).for_each(|marked| *marked = false);
    }

    fn exists(&self, code: u32) -> bool {
        let row = self.row_of.get(code as usize).copied().filter(|row| *row != NONE);
        row.is_some_and(|row| match &self.times {
            None => true,
            Some((times, range)) => times.all.get(row as usize).is_some_and(|time| range.has(*time)),
        })
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
                let expr = placed(expr, |index| index - self.rows.columns())?;
                parents.kept_lookup(&self.rows.origin, &expr)
            }
            _ => Ok(None),
        }
    }

    /// As [`Self::lookup`], for a condition: null is no.
    pub(super) fn kept(&self, condition: &Arc<dyn PhysicalExpr>) -> Result<Option<Kept>> {
        let of_parents = match &self.parent {
            Some(parents) if self.is_of_parent(condition) => {
                let condition = placed(condition, |index| index - self.rows.columns())?;
                parents.condition(&self.rows.origin, &condition)?
            }
            _ => None,
        };
        let (lookup, holds) = match of_parents {
            Some(known) => known,
            None => match self.lookup(condition)? {
                Some(lookup) => (lookup.clone(), lookup.array),
                None => return Ok(None),
            },
        };
        let Some(holds) = holds.as_boolean_opt() else { return Ok(None) };
        let holds: Vec<bool> =
            (0..holds.len()).map(|number| holds.is_valid(number) && holds.value(number)).collect();
        Ok(Some(Kept { lookup, holds }))
    }

    /// The condition that a row has a parent whose time is in this range.
    pub(super) fn with_parent(&self, range: Option<TimeRange>) -> Option<WithParent> {
        let parents = self.parent.as_ref()?;
        let times = parents.times.clone().zip(range);
        Some(WithParent { by: parents.by.clone(), row_of: parents.row_of.clone(), times })
    }

    /// Makes of the times of a part's rows, of which there may be none, those from which on they exist with their
    /// parents.
    pub(super) fn delay_by_parents(&self, part: usize, times: &mut Vec<i64>) {
        let Some(parents) = &self.parent else { return };
        let codes = parents.by.of_part(part);
        times.resize(codes.len(), NO_TIME);
        for (time, code) in times.iter_mut().zip(codes) {
            let row = parents.row_of.get(*code as usize).copied().filter(|row| *row != NONE);
            *time = match (row, &parents.times) {
                (None, _) => NO_TIME,
                (Some(_), None) => *time,
                // No time is the lowest.
                (Some(row), Some(times)) => {
                    (*time).max(times.all.get(row as usize).copied().unwrap_or(NO_TIME))
                }
            };
        }
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
        let times = parent.rows.time.map(|(time, _)| parent.rows.origin.times(time.index)).transpose()?;
        Ok(Some(Self { rows: parent.rows.clone(), by, row_of, times }))
    }

    /// By the number of a value that names a parent, what is given for those whose time is in a range, else [`NONE`].
    pub(super) fn existing(&self, range: TimeRange, numbers: Arc<[u32]>) -> Arc<[u32]> {
        let Some(times) = &self.times else { return numbers };
        let exists = |row: &u32| times.all.get(*row as usize).is_none_or(|time| range.has(*time));
        if self.row_of.iter().all(exists) {
            return numbers;
        }
        let rows = numbers.iter().zip(&*self.row_of);
        rows.map(|(number, row)| if exists(row) { *number } else { NONE }).collect()
    }

    /// By the number of a value that names a parent: its row.
    fn rows_of(child: &Origin, by: &Arc<Codes>, parent: &Origin, keys: &Arc<Codes>) -> Result<Arc<[u32]>> {
        let name = &child.table().name;
        let what = format!("rows of {}", parent.table().name);
        let known = || {
            let known: Option<Arc<RowsOf>> =
                child.snapshot.derived_before(&child.scope, name, &what).map_err(from_store)?;
            let fits = |known: &Arc<RowsOf>| Arc::ptr_eq(&known.by, by) && Arc::ptr_eq(&known.keys, keys);
            Ok(known.filter(fits).map(|known| known.rows.clone()))
        };
        let make = || {
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
        };
        child.made_once(&what, known, make)
    }

    /// As [`lookup`](Self::lookup), of a column from what is kept, or made and kept.
    pub(super) fn kept_lookup(&self, child: &Origin, expr: &Arc<dyn PhysicalExpr>) -> Result<Option<Lookup>> {
        let Some(column) = expr.downcast_ref::<Column>() else { return self.lookup(expr) };
        let parent = &self.rows.origin;
        let what = format!("{} of {}", column.index(), parent.table().name);
        let name = &child.table().name;
        let of = identities(parent.parts());
        let known = || {
            let known: Option<Arc<OfParents>> =
                child.snapshot.derived_before(&child.scope, name, &what).map_err(from_store)?;
            let fits = |known: &Arc<OfParents>| known.of == of && Arc::ptr_eq(&known.row_of, &self.row_of);
            Ok(known.filter(fits).map(|known| Some(known.lookup.clone())))
        };
        let make = || {
            let Some(lookup) = self.lookup(expr)? else { return Ok(None) };
            let bytes = lookup.table.as_ref().map_or(0, |table| size_of_val(&**table));
            let bytes = bytes + lookup.array.get_array_memory_size();
            let row_of = self.row_of.clone();
            let made = Arc::new(OfParents { of: of.clone(), row_of, lookup: lookup.clone() });
            child.snapshot.keep_derived(&child.scope, name, &what, &made, bytes).map_err(from_store)?;
            Ok(Some(lookup))
        };
        child.made_once(&what, known, make)
    }

    /// What a condition on one column of few values says of each of them.
    fn condition(
        &self,
        child: &Origin,
        condition: &Arc<dyn PhysicalExpr>,
    ) -> Result<Option<(Lookup, ArrayRef)>> {
        let [column] = columns_of(condition)[..] else { return Ok(None) };
        let Some(name) = self.rows.origin.table().columns.get(column).map(|column| &column.name) else {
            return Ok(None);
        };
        if takes_note(condition) || !self.is_numbered(column) {
            return Ok(None);
        }
        let own: Arc<dyn PhysicalExpr> = Arc::new(Column::new(name, column));
        let lookup = self.kept_lookup(child, &own)?;
        let Some(lookup) = lookup.filter(|lookup| lookup.array.len() < KEPT_VALUES_MIN) else {
            return Ok(None);
        };
        let holds = evaluated(&placed(condition, |_| 0)?, &lookup.array)?;
        Ok(Some((lookup, holds)))
    }

    /// An expression over the parent's columns.
    fn lookup(&self, expr: &Arc<dyn PhysicalExpr>) -> Result<Option<Lookup>> {
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
}

/// What children have by a column of their parents.
struct OfParents {
    /// The parents' rows.
    of: Vec<PartIdentity>,
    row_of: Arc<[u32]>,
    lookup: Lookup,
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

    pub(super) fn schema(&self) -> &Arc<Schema> {
        &self.schema
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
