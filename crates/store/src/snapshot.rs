//! A consistent view of an app's tables, and the one way to read rows: through a scope.
//!
//! A table is a list of parts (segments and what is still in memory). Each part yields live rows of
//! the scope only, sorted by (tenant, actor, time, sequence) for an event stream and by (tenant, key,
//! sequence) for an entity. A row that was replaced or deleted is never yielded, so readers know
//! nothing of versions.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{DictionaryArray, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::Int32Type;
use ebbtide_model::{AppSchema, Scope, TableKind, TableName, TableSchema, Tenants};

use crate::{ColumnRef, StoreError, stored_schema};

/// Rows in a batch that a scan yields, at most.
const BATCH_ROWS_MAX: usize = 65_536;

/// All tables of an app at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    app: Arc<AppSchema>,
    tables: HashMap<TableName, TableRows>,
}

#[derive(Clone, Debug, Default)]
struct TableRows {
    batches: Vec<RecordBatch>,
}

impl Snapshot {
    /// Rows that were never stored, for the oracles of tests: batches of [`stored_schema`].
    pub fn of_batches(
        app: Arc<AppSchema>,
        tables: Vec<(TableName, Vec<RecordBatch>)>,
    ) -> Result<Self, StoreError> {
        let mut sorted = HashMap::new();
        for (name, batches) in tables {
            let table = known(&app, &name)?;
            let batch = sort(table, &concat_batches(&stored_schema(table), &batches)?)?;
            sorted.insert(name, TableRows { batches: vec![batch] });
        }
        Ok(Self { app, tables: sorted })
    }

    pub fn app(&self) -> &Arc<AppSchema> {
        &self.app
    }

    /// The rows of a table that the scope sees.
    pub fn table(&self, scope: &Scope, name: &TableName) -> Result<TableView, StoreError> {
        if *scope.app() != self.app.app {
            return Err(StoreError::ForeignScope);
        }
        let table = known(&self.app, name)?.clone();
        let rows = self.tables.get(name).cloned().unwrap_or_default();
        let mut parts = Vec::new();
        for batch in rows.batches {
            let batch = match scope.tenants() {
                Tenants::All => batch,
                Tenants::One(tenant) => rows_of(&batch, tenant.as_str()),
            };
            if batch.num_rows() > 0 {
                parts.push(Part { batch });
            }
        }
        Ok(TableView { table: Arc::new(table), parts })
    }
}

fn known<'a>(app: &'a AppSchema, name: &TableName) -> Result<&'a TableSchema, StoreError> {
    let known = || app.tables.iter().map(|table| table.name.clone()).collect();
    app.table(name).ok_or_else(|| StoreError::UnknownTable { table: name.clone(), known: known() })
}

/// A table's rows within a scope, at one moment.
#[derive(Clone, Debug)]
pub struct TableView {
    table: Arc<TableSchema>,
    parts: Vec<Part>,
}

impl TableView {
    pub fn schema(&self) -> &Arc<TableSchema> {
        &self.table
    }

    pub fn parts(&self) -> &[Part] {
        &self.parts
    }
}

/// A sorted run of a table's rows.
#[derive(Clone, Debug)]
pub struct Part {
    batch: RecordBatch,
}

impl Part {
    /// How many rows a scan yields, or more where some of them are dead.
    pub fn rows_max(&self) -> usize {
        self.batch.num_rows()
    }

    /// The part's rows in order, with just these columns in this order.
    pub fn scan(&self, columns: &[ColumnRef]) -> Result<Scan, StoreError> {
        let indices: Vec<usize> = columns.iter().map(|column| column.stored_index()).collect();
        Ok(Scan { rest: self.batch.project(&indices)? })
    }
}

/// Batches of a part, in order.
#[derive(Debug)]
pub struct Scan {
    rest: RecordBatch,
}

impl Iterator for Scan {
    type Item = Result<RecordBatch, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rows = self.rest.num_rows();
        if rows == 0 {
            return None;
        }
        let taken = rows.min(BATCH_ROWS_MAX);
        let batch = self.rest.slice(0, taken);
        self.rest = self.rest.slice(taken, rows - taken);
        Some(Ok(batch))
    }
}

/// The order of stored rows: by tenant, then by whose behaviour they are or by key, then by time and
/// arrival.
fn sort(table: &TableSchema, batch: &RecordBatch) -> Result<RecordBatch, StoreError> {
    let mut order = vec![ColumnRef::Tenant];
    match table.kind {
        TableKind::Events => {
            order.extend(table.actor.map(ColumnRef::Declared));
            order.extend(table.time.map(ColumnRef::Declared));
        }
        TableKind::Entity => order.extend(table.key.iter().copied().map(ColumnRef::Declared)),
    }
    order.push(ColumnRef::Sequence);
    let column =
        |column: ColumnRef| SortColumn { values: batch.column(column.stored_index()).clone(), options: None };
    let columns: Vec<SortColumn> = order.into_iter().map(column).collect();
    let indices: UInt32Array = lexsort_to_indices(&columns, None)?;
    Ok(take_record_batch(batch, &indices)?)
}

/// The slice of a sorted batch that is one tenant's.
fn rows_of(batch: &RecordBatch, tenant: &str) -> RecordBatch {
    let column = batch.column(ColumnRef::Tenant.stored_index());
    let dictionary = column.as_any().downcast_ref::<DictionaryArray<Int32Type>>();
    let Some(names) = dictionary.and_then(DictionaryArray::downcast_dict::<StringArray>) else {
        return batch.slice(0, 0);
    };
    let rows = batch.num_rows();
    let first = partition_point(rows, |row| names.values().value(key(&names, row)) < tenant);
    let end = partition_point(rows, |row| names.values().value(key(&names, row)) <= tenant);
    batch.slice(first, end - first)
}

fn key(names: &arrow::array::TypedDictionaryArray<'_, Int32Type, StringArray>, row: usize) -> usize {
    usize::try_from(names.keys().value(row)).unwrap_or(0)
}

fn partition_point(rows: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, rows);
    while low < high {
        let middle = low.midpoint(high);
        if before(middle) { low = middle + 1 } else { high = middle }
    }
    low
}
