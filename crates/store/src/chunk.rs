//! A sorted run of stored rows in memory.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, RecordBatch, StringArray, UInt32Array, UInt64Array,
};
use arrow::compute::take_arrays;
use arrow::datatypes::{Int32Type, SchemaRef, UInt64Type};
use ebbtide_model::TableSchema;

use crate::admission::RowTenants;
use crate::cells::Cells;
use crate::columns::{DECLARED_INDEX, SEQUENCE_INDEX, TENANT_INDEX};
use crate::directory::Directory;
use crate::order::{codes, order_columns, sorted};
use crate::widen::concat;
use crate::{StoreError, stored_schema};

/// Rows of [`stored_schema`], and with properties behind where the table is open, in storage order.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) batch: RecordBatch,
    pub(crate) directory: Directory,
    pub(crate) sequence_first: u64,
    pub(crate) sequence_last: u64,
    pub(crate) bytes: usize,
}

/// Rows that are to be sorted, column by column.
#[derive(Debug)]
pub(crate) struct Unsorted {
    /// The declared columns, and those of properties.
    pub(crate) columns: Vec<ArrayRef>,
    pub(crate) tenants: RowTenants,
    pub(crate) sequences: Vec<u64>,
}

/// Sorted rows, and which of the unsorted ones each was; `None` where they were in order.
pub(crate) struct Sorted {
    pub(crate) chunk: Chunk,
    pub(crate) order: Option<Vec<u32>>,
}

impl Unsorted {
    pub(crate) fn sort(self, table: &TableSchema, schema: &SchemaRef) -> Result<Sorted, StoreError> {
        let rows = u32::try_from(self.sequences.len())
            .map_err(|_| StoreError::WrongShape { detail: "a sorted run has too many rows".to_owned() })?;
        let mut by = vec![self.tenants.codes.iter().map(|&code| u64::from(code)).collect()];
        for index in order_columns(table) {
            let cells = Cells::of(&self.columns[index], &table.columns[index])?;
            by.extend(codes(&cells, self.sequences.len()));
        }
        by.push(self.sequences.clone());
        let order = sorted(rows, by);
        let (columns, tenant_codes, sequences) = match &order {
            None => (self.columns, self.tenants.codes, self.sequences),
            Some(order) => {
                let indices = UInt32Array::from(order.clone());
                let codes = order.iter().map(|&row| self.tenants.codes[row as usize]).collect();
                let sequences = order.iter().map(|&row| self.sequences[row as usize]).collect();
                (take_arrays(&self.columns, &indices, None)?, codes, sequences)
            }
        };
        let mut directory = Directory::default();
        extend(&mut directory, &self.tenants.names, &tenant_codes, &sequences);
        Ok(Sorted { chunk: Chunk::new(schema, directory, sequences, columns)?, order })
    }
}

impl Chunk {
    /// Rows that are in storage order already.
    pub(crate) fn new(
        schema: &SchemaRef,
        directory: Directory,
        sequences: Vec<u64>,
        declared: Vec<ArrayRef>,
    ) -> Result<Self, StoreError> {
        let sequence_first = sequences.iter().min().copied().unwrap_or(0);
        let sequence_last = sequences.iter().max().copied().unwrap_or(0);
        let mut columns = vec![directory.column(0..directory.rows())?];
        columns.push(Arc::new(UInt64Array::from(sequences)));
        columns.extend(declared);
        let batch = RecordBatch::try_new(schema.clone(), columns)?;
        let bytes = batch.get_array_memory_size();
        Ok(Self { batch, directory, sequence_first, sequence_last, bytes })
    }

    /// A stored batch that is in storage order already.
    pub(crate) fn of_sorted(batch: &RecordBatch) -> Result<Self, StoreError> {
        let rows = Unsorted::of_batch(batch)?;
        let mut directory = Directory::default();
        extend(&mut directory, &rows.tenants.names, &rows.tenants.codes, &rows.sequences);
        Self::new(&batch.schema(), directory, rows.sequences, rows.columns)
    }

    pub(crate) fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// The rows of several runs as one run.
    pub(crate) fn merge(
        table: &TableSchema,
        schema: &SchemaRef,
        chunks: &[RecordBatch],
    ) -> Result<Sorted, StoreError> {
        let rows = concat(schema, chunks)?;
        Unsorted::of_batch(&rows)?.sort(table, &rows.schema())
    }

    /// Rows of [`stored_schema`] in any order.
    pub(crate) fn of_batches(table: &TableSchema, batches: &[RecordBatch]) -> Result<Self, StoreError> {
        let schema = stored_schema(table);
        Ok(Self::merge(table, &schema, batches)?.chunk)
    }
}

/// Adds the tenants of a sorted stored batch to a directory.
pub(crate) fn extend_directory(directory: &mut Directory, stored: &RecordBatch) -> Result<(), StoreError> {
    let tenants = tenants_of(stored.column(TENANT_INDEX))?;
    extend(directory, &tenants.names, &tenants.codes, sequences(stored).values());
    Ok(())
}

fn extend(directory: &mut Directory, names: &[Arc<str>], codes: &[u32], sequences: &[u64]) {
    let mut rest = sequences;
    for run in codes.chunk_by(|a, b| a == b) {
        let (own, others) = rest.split_at(run.len());
        let last_number = own.iter().max().copied().unwrap_or(0);
        directory.push(&names[run[0] as usize], u32::try_from(run.len()).unwrap_or(u32::MAX), last_number);
        rest = others;
    }
}

/// What the rows of a batch take, and not what they keep from being freed.
pub(crate) fn row_bytes(batch: &RecordBatch) -> usize {
    let bytes = |column: &ArrayRef| column.to_data().get_slice_memory_size().unwrap_or(0);
    batch.columns().iter().map(bytes).sum()
}

/// The arrival numbers of a stored batch.
pub(crate) fn sequences(stored: &RecordBatch) -> &UInt64Array {
    stored.column(SEQUENCE_INDEX).as_primitive::<UInt64Type>()
}

impl Unsorted {
    fn of_batch(stored: &RecordBatch) -> Result<Self, StoreError> {
        let tenants = tenants_of(stored.column(TENANT_INDEX))?;
        let sequences = sequences(stored).values().to_vec();
        let columns = stored.columns()[DECLARED_INDEX..].to_vec();
        Ok(Self { columns, tenants, sequences })
    }
}

/// The tenants of a stored column, whose dictionary may have names twice, in any order, or unused.
pub(crate) fn tenants_of(column: &ArrayRef) -> Result<RowTenants, StoreError> {
    let wrong = || StoreError::WrongShape { detail: format!("tenants came as {}", column.data_type()) };
    let dictionary = column.as_any().downcast_ref::<DictionaryArray<Int32Type>>().ok_or_else(wrong)?;
    let values = dictionary.values().as_any().downcast_ref::<StringArray>().ok_or_else(wrong)?;
    let mut names: Vec<Arc<str>> = values.iter().flatten().map(Arc::from).collect();
    names.sort_unstable();
    names.dedup();
    let rank = |name: &str| names.binary_search_by(|other| (**other).cmp(name)).unwrap_or(0);
    let ranks: Vec<usize> = values.iter().map(|name| rank(name.unwrap_or_default())).collect();
    let code = |key: i32| usize::try_from(key).ok().and_then(|key| ranks.get(key)).copied().unwrap_or(0);
    let codes = dictionary.keys().values().iter().map(|&key| u32::try_from(code(key)).unwrap_or(0)).collect();
    Ok(RowTenants { names, codes })
}
