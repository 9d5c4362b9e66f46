//! Parquet: columns by name, batch by batch, each cast to what the table declares.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use ebbtide_model::ColumnType;
use ebbtide_store::declared_schema;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::reader::ChunkReader;

use super::builder::{TypedRows, with_properties};
use super::gathered::{CHUNK_ROWS_MAX, Chunk};
use super::parquet_cast::{CastColumn, NoCast, Unfit, cast_column};
use super::parquet_properties::{Given, gather, is_property, numbers_as_text};
use super::plan::{FilePlan, Place, Target, wrong_type};
use super::reject::{Refusal, Reject, SourceError};
use super::source::ReadChunks;

pub(crate) struct ParquetFile {
    plan: FilePlan,
    schema: SchemaRef,
    reader: ParquetRecordBatchReader,
    /// Where each column of the reader's batches goes.
    places: Vec<Place>,
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
        let (reader, places, rows_total) = guarded(&plan, || open_reader(&plan, file))??;
        let schema = declared_schema(&plan.table);
        Ok(Self { plan, schema, reader, places, rows_total, rows: 0, bytes_total, bytes_read })
    }

    fn chunk(&mut self, batch: &RecordBatch) -> Result<Chunk, SourceError> {
        let rows = batch.num_rows();
        let mut keep = vec![true; rows];
        let mut rejects = Vec::new();
        let mut columns: Vec<Option<ArrayRef>> = vec![None; self.plan.table.columns.len()];
        let mut properties = Vec::new();
        for (array, place) in batch.columns().iter().zip(&self.places) {
            let target = match place {
                Place::Column(target) => target,
                Place::Property(name) => {
                    properties.push(Given { name: Some(name), array });
                    continue;
                }
                Place::Properties => {
                    properties.push(Given { name: None, array });
                    continue;
                }
                Place::Nowhere => continue,
            };
            let cast = cast(&self.plan, target, array);
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
        let field = self.plan.properties_field().unwrap_or_default();
        let gathered = gather(rows, field, &properties)
            .map_err(|_| damaged(&self.plan, "a column is not of the type that it said"))?;
        for (row, refusal) in gathered.refused {
            if std::mem::replace(&mut keep[row], false) {
                rejects.push(self.refuse(row, refusal, String::new()));
            }
        }
        let batch = with_properties(&self.schema, columns.collect(), gathered.columns)?;
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
        self.refuse(row, wrong_type(&self.plan.table, target, error), error.given.clone())
    }

    fn refuse(&self, row: usize, refusal: Refusal, raw: String) -> Reject {
        Reject {
            file: self.plan.file.clone(),
            line: self.rows + 1 + u64::try_from(row).unwrap_or(0),
            column: refusal.column,
            code: refusal.code,
            reason: refusal.reason,
            raw,
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

type Opened = (ParquetRecordBatchReader, Vec<Place>, u64);

fn open_reader<R: ChunkReader + 'static>(plan: &FilePlan, file: R) -> Result<Opened, SourceError> {
    let damaged = |error: parquet::errors::ParquetError| damaged(plan, &error.to_string());
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(damaged)?;
    let names: Vec<String> = builder.schema().fields().iter().map(|field| field.name().to_owned()).collect();
    let bound = plan.bind(&names)?;
    let is_read = |place: &Place| !matches!(place, Place::Nowhere);
    let roots = bound.iter().enumerate().filter(|(_, place)| is_read(place)).map(|(root, _)| root);
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    let rows_total = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
    for (field, place) in builder.schema().fields().iter().zip(&bound) {
        let empty = arrow::array::new_empty_array(field.data_type());
        match place {
            Place::Column(target) => {
                cast(plan, target, &empty).map_err(|_| column_type(plan, target, &empty))?;
            }
            Place::Property(_) | Place::Properties if !is_property(&empty) => {
                return Err(SourceError::ColumnType {
                    file: plan.file.clone(),
                    table: plan.table.name.clone(),
                    column: field.name().clone(),
                    found: field.data_type().to_string(),
                    declared: "a value as JSON has it",
                });
            }
            Place::Property(_) | Place::Properties | Place::Nowhere => {}
        }
    }
    let reader = builder.with_projection(mask).with_batch_size(CHUNK_ROWS_MAX).build().map_err(damaged)?;
    Ok((reader, bound.into_iter().filter(is_read).collect(), rows_total))
}

/// A column in the type that the table declares; in an open table numbers become text.
fn cast(plan: &FilePlan, target: &Target, array: &ArrayRef) -> Result<CastColumn, NoCast> {
    let column_type = plan.table.columns[target.column].column_type;
    if column_type == ColumnType::Text
        && plan.table.open.is_some()
        && let Some(texts) = numbers_as_text(array)
    {
        return cast_column(&texts, column_type, target.cast.as_deref());
    }
    cast_column(array, column_type, target.cast.as_deref())
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
