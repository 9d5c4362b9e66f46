//! How a table's columns are laid out in Arrow: two columns of our own, then the declared ones.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use ebbtide_model::{ColumnType, DECIMAL_PRECISION, DECIMAL_SCALE, TableSchema};

/// The tenant of a stored row, in canonical text.
pub const TENANT_COLUMN: &str = "_tenant";
/// The arrival number of a stored row, unique in the app and growing.
pub const SEQUENCE_COLUMN: &str = "_seq";

/// A column of a stored table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnRef {
    /// `Dictionary(Int32, Utf8)`, never null.
    Tenant,
    /// `UInt64`, never null.
    Sequence,
    /// By its index in [`TableSchema::columns`].
    Declared(usize),
}

impl ColumnRef {
    /// Its index in [`stored_schema`].
    pub fn stored_index(self) -> usize {
        match self {
            Self::Tenant => 0,
            Self::Sequence => 1,
            Self::Declared(index) => index + 2,
        }
    }
}

/// The Arrow type that holds a declared type.
pub fn arrow_type(column_type: ColumnType) -> DataType {
    match column_type {
        ColumnType::Int => DataType::Int64,
        ColumnType::Float => DataType::Float64,
        ColumnType::Decimal => DataType::Decimal128(DECIMAL_PRECISION, DECIMAL_SCALE.cast_signed()),
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Text => DataType::Utf8,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("+00:00"))),
        ColumnType::Date => DataType::Date32,
    }
}

/// The declared columns alone, in order: the shape of rows that arrive. All are nullable here, since
/// it is admission that refuses a null where the table has none.
pub fn declared_schema(table: &TableSchema) -> SchemaRef {
    Arc::new(Schema::new(declared_fields(table)))
}

/// The columns of a stored row: tenant, sequence, then the declared ones.
pub fn stored_schema(table: &TableSchema) -> SchemaRef {
    let tenant = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let mut fields =
        vec![Field::new(TENANT_COLUMN, tenant, false), Field::new(SEQUENCE_COLUMN, DataType::UInt64, false)];
    fields.extend(declared_fields(table));
    Arc::new(Schema::new(fields))
}

fn declared_fields(table: &TableSchema) -> Vec<Field> {
    table
        .columns
        .iter()
        .map(|column| Field::new(&column.name, arrow_type(column.column_type), true))
        .collect()
}
