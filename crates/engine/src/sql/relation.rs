//! Rows that a statement reads as a table besides the app's: what another statement gave, or values.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Schema, SchemaRef};
use ebbtide_model::{ColumnType, DECIMAL_PRECISION, DECIMAL_SCALE, Value};

use super::rows::columns_of;
use super::{SqlColumn, SqlError, SqlRows};

/// A table of rows in memory. No table of the app may have its name.
#[derive(Clone, Debug)]
pub struct Relation {
    pub name: Arc<str>,
    pub rows: Arc<SqlRows>,
}

impl Relation {
    /// The same columns without a row.
    pub(super) fn emptied(&self) -> Self {
        let rows = SqlRows { schema: self.table_schema(), batches: Vec::new(), ..SqlRows::clone(&self.rows) };
        Self { name: self.name.clone(), rows: Arc::new(rows) }
    }

    pub(super) fn table_schema(&self) -> SchemaRef {
        // A plan may promise more nulls than its rows have; these are what they say they are.
        let given = self.rows.batches.first().map(RecordBatch::schema);
        given.unwrap_or_else(|| self.rows.schema.clone())
    }
}

impl SqlRows {
    /// Columns without a row.
    pub fn none_of(columns: &[SqlColumn]) -> Self {
        let field = |column: &SqlColumn| Field::new(&column.name, column.data_type.clone(), true);
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        Self { columns: columns.to_vec(), schema, batches: Vec::new(), watermark: 0, changes_at: None }
    }

    /// Rows of values, each as long as there are columns. A value that is not of its column's type is
    /// null.
    pub fn of_values(columns: &[(String, ColumnType)], rows: &[Vec<Value>]) -> Result<Self, SqlError> {
        let field = |(name, column_type): &(String, ColumnType)| {
            Field::new(name, ebbtide_store::arrow_type(*column_type), true)
        };
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let arrays: Vec<ArrayRef> = columns
            .iter()
            .enumerate()
            .map(|(index, (_, column_type))| array(*column_type, rows.iter().map(move |row| row.get(index))))
            .collect::<Result<_, _>>()?;
        Self::of_arrays(schema, arrays)
    }

    /// As [`of_values`](Self::of_values), of what `cell` gives for the place of a row and a column's name.
    pub fn of_cells(
        columns: &[(String, ColumnType)],
        rows: usize,
        cell: impl Fn(usize, &str) -> Value,
    ) -> Result<Self, SqlError> {
        let field = |(name, column_type): &(String, ColumnType)| {
            Field::new(name, ebbtide_store::arrow_type(*column_type), true)
        };
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let column = |(name, column_type): &(String, ColumnType)| {
            let values: Vec<Value> = (0..rows).map(|row| cell(row, name)).collect();
            array(*column_type, values.iter().map(Some))
        };
        let arrays = columns.iter().map(column).collect::<Result<Vec<_>, _>>()?;
        Self::of_arrays(schema, arrays)
    }

    fn of_arrays(schema: Arc<Schema>, arrays: Vec<ArrayRef>) -> Result<Self, SqlError> {
        let batches = match arrays.first() {
            Some(first) if !first.is_empty() => vec![RecordBatch::try_new(schema.clone(), arrays)?],
            Some(_) | None => Vec::new(),
        };
        Ok(Self { columns: columns_of(&schema)?, schema, batches, watermark: 0, changes_at: None })
    }
}

fn array<'v>(
    column_type: ColumnType,
    values: impl Iterator<Item = Option<&'v Value>>,
) -> Result<ArrayRef, SqlError> {
    macro_rules! collected {
        ($array:ty, $variant:ident($value:ident) => $cell:expr) => {
            values
                .map(|value| match value {
                    Some(Value::$variant($value)) => Some($cell),
                    _ => None,
                })
                .collect::<$array>()
        };
    }
    Ok(match column_type {
        ColumnType::Int => Arc::new(collected!(Int64Array, Int(value) => *value)),
        ColumnType::Float => Arc::new(collected!(Float64Array, Float(value) => *value)),
        ColumnType::Bool => Arc::new(collected!(BooleanArray, Bool(value) => *value)),
        ColumnType::Text => Arc::new(collected!(StringArray, Text(value) => &**value)),
        ColumnType::Mixed => Arc::new(collected!(StringArray, Json(value) => &**value)),
        ColumnType::Date => Arc::new(collected!(Date32Array, Date(value) => *value)),
        ColumnType::Timestamp => {
            let instants = collected!(TimestampMicrosecondArray, Timestamp(value) => value.micros());
            Arc::new(instants.with_timezone("+00:00"))
        }
        ColumnType::Decimal => {
            let units = collected!(Decimal128Array, Decimal(value) => *value);
            Arc::new(units.with_precision_and_scale(DECIMAL_PRECISION, DECIMAL_SCALE.cast_signed())?)
        }
    })
}
