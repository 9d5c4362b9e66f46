//! Rows of an open table have columns for those properties alone that they have: how batches that lack
//! each other's come to have the same columns.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};

use crate::StoreError;
use crate::properties::is_property;

/// The columns of all of these: `base`, then the properties that any of them has, by name.
pub(crate) fn united(base: &SchemaRef, all: impl IntoIterator<Item = SchemaRef>) -> SchemaRef {
    let mut properties: BTreeMap<String, FieldRef> = BTreeMap::new();
    for schema in all {
        if Arc::ptr_eq(&schema, base) {
            continue;
        }
        for field in schema.fields().iter().filter(|field| is_property(field)) {
            if !properties.contains_key(field.name()) {
                properties.insert(field.name().clone(), field.clone());
            }
        }
    }
    if properties.is_empty() {
        return base.clone();
    }
    let fields: Vec<FieldRef> = base.fields().iter().cloned().chain(properties.into_values()).collect();
    Arc::new(Schema::new(fields))
}

/// Rows in other columns: what they lack is null, and what is not asked for is left out.
pub(crate) fn fit(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, StoreError> {
    let own = batch.schema();
    if Arc::ptr_eq(&own, schema) || own == *schema {
        return Ok(batch.clone());
    }
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        columns.push(match batch.column_by_name(field.name()) {
            Some(column) => Arc::clone(column),
            None => new_null_array(field.data_type(), batch.num_rows()),
        });
    }
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}

/// Rows after rows, in the columns of all.
pub(crate) fn concat(base: &SchemaRef, batches: &[RecordBatch]) -> Result<RecordBatch, StoreError> {
    let schema = united(base, batches.iter().map(RecordBatch::schema));
    let fitted: Result<Vec<RecordBatch>, StoreError> =
        batches.iter().map(|batch| fit(batch, &schema)).collect();
    Ok(arrow::compute::concat_batches(&schema, &fitted?)?)
}
