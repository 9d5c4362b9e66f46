//! Parquet: columns by name, batch by batch, each cast to what the table declares.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use ebbtide_store::declared_schema;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::reader::ChunkReader;

use super::builder::TypedRows;
use super::gathered::{CHUNK_ROWS_MAX, Chunk};
use super::parquet_cast::{Unfit, cast_column};
use super::plan::{FilePlan, Target, wrong_type};
use super::reject::{Reject, SourceError};
use super::source::ReadChunks;

pub(crate) struct ParquetFile {
    plan: FilePlan,
    schema: SchemaRef,
    reader: ParquetRecordBatchReader,
    /// Where each column of the reader's batches goes.
    targets: Vec<Target>,
    rows_total: u64,
    /// Rows that were read, refused ones included.
    rows: u64,
    bytes_total: u64,
    bytes_read: Arc<AtomicU64>,
}

impl ParquetFile {
    pub(crate) fn open(
        plan: FilePlan,
        file: File,
        bytes_total: u64,
        bytes_read: Arc<AtomicU64>,
    ) -> Result<Self, SourceError> {
        let (reader, targets, rows_total) = guarded(&plan, || open_reader(&plan, file))??;
        let schema = declared_schema(&plan.table);
        Ok(Self { plan, schema, reader, targets, rows_total, rows: 0, bytes_total, bytes_read })
    }

    fn chunk(&mut self, batch: &RecordBatch) -> Result<Chunk, SourceError> {
        let rows = batch.num_rows();
        let mut keep = vec![true; rows];
        let mut rejects = Vec::new();
        let mut columns: Vec<Option<ArrayRef>> = vec![None; self.plan.table.columns.len()];
        for (array, target) in batch.columns().iter().zip(&self.targets) {
            let column = &self.plan.table.columns[target.column];
            let cast = cast_column(array, column.column_type, target.cast.as_deref());
            let cast = cast.map_err(|_| column_type(&self.plan, target, array))?;
            for Unfit { row, error } in cast.unfit {
                if std::mem::replace(&mut keep[row], false) {
                    rejects.push(self.reject(row, target, &error));
                }
            }
            columns[target.column] = Some(cast.array);
        }
        let columns = columns.into_iter().zip(self.schema.fields());
        let columns = columns.map(|(array, field)| {
            array.unwrap_or_else(|| arrow::array::new_null_array(field.data_type(), rows))
        });
        let batch = RecordBatch::try_new(self.schema.clone(), columns.collect())?;
        let first = self.rows + 1;
        self.rows += u64::try_from(rows).unwrap_or(0);
        let positions = (first..).zip(&keep).filter(|(_, keep)| **keep).map(|(row, _)| row).collect();
        if rejects.is_empty() {
            return Ok(Chunk { rows: TypedRows { batch, positions }, rejects });
        }
        rejects.sort_by_key(|reject| reject.line);
        let batch = filter_record_batch(&batch, &BooleanArray::from(keep))?;
        Ok(Chunk { rows: TypedRows { batch, positions }, rejects })
    }

    fn reject(&self, row: usize, target: &Target, error: &ebbtide_model::CastError) -> Reject {
        let refusal = wrong_type(&self.plan.table, target, error);
        Reject {
            file: self.plan.file.clone(),
            line: self.rows + 1 + u64::try_from(row).unwrap_or(0),
            column: refusal.column,
            code: refusal.code,
            reason: refusal.reason,
            raw: error.given.clone(),
        }
    }

    /// Bytes are counted by the share of rows that were read: a Parquet file is not read in order.
    fn count_bytes(&self) {
        let done = u128::from(self.bytes_total) * u128::from(self.rows) / u128::from(self.rows_total.max(1));
        self.bytes_read.store(u64::try_from(done).unwrap_or(self.bytes_total), Ordering::Relaxed);
    }
}

impl ReadChunks for ParquetFile {
    fn next_chunk(&mut self) -> Result<Option<Chunk>, SourceError> {
        let next = guarded(&self.plan, || self.reader.next())?;
        let Some(batch) = next else {
            return Ok(None);
        };
        let batch = batch.map_err(|error| damaged(&self.plan, &error.to_string()))?;
        let chunk = self.chunk(&batch)?;
        self.count_bytes();
        Ok(Some(chunk))
    }
}

type Opened = (ParquetRecordBatchReader, Vec<Target>, u64);

fn open_reader<R: ChunkReader + 'static>(plan: &FilePlan, file: R) -> Result<Opened, SourceError> {
    let damaged = |error: parquet::errors::ParquetError| damaged(plan, &error.to_string());
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(damaged)?;
    let names: Vec<String> = builder.schema().fields().iter().map(|field| field.name().to_owned()).collect();
    let bound = plan.bind(&names)?;
    let roots = bound.iter().enumerate().filter(|(_, target)| target.is_some()).map(|(root, _)| root);
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    let rows_total = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
    for (field, target) in builder.schema().fields().iter().zip(&bound) {
        let Some(target) = target else {
            continue;
        };
        let empty = arrow::array::new_empty_array(field.data_type());
        let column = &plan.table.columns[target.column];
        cast_column(&empty, column.column_type, target.cast.as_deref())
            .map_err(|_| column_type(plan, target, &empty))?;
    }
    let reader = builder.with_projection(mask).with_batch_size(CHUNK_ROWS_MAX).build().map_err(damaged)?;
    Ok((reader, bound.into_iter().flatten().collect(), rows_total))
}

fn damaged(plan: &FilePlan, detail: &str) -> SourceError {
    SourceError::Damaged { file: plan.file.clone(), detail: detail.to_owned() }
}

fn column_type(plan: &FilePlan, target: &Target, array: &ArrayRef) -> SourceError {
    let column = &plan.table.columns[target.column];
    SourceError::ColumnType {
        file: plan.file.clone(),
        table: plan.table.name.clone(),
        column: column.name.clone(),
        found: array.data_type().to_string(),
        declared: column.column_type.name(),
    }
}

/// The Parquet decoder checks most of what it reads, and panics over some of the rest: damage that it
/// does not foresee is an answer here too, not the end of the process.
fn guarded<T>(plan: &FilePlan, read: impl FnOnce() -> T) -> Result<T, SourceError> {
    catch_unwind(AssertUnwindSafe(read)).map_err(|_| damaged(plan, "its pages contradict its footer"))
}
