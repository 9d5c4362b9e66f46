//! How a table's columns are laid out in Arrow: two columns of our own, then the declared ones.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use ebbtide_model::{Column, ColumnType, DECIMAL_PRECISION, DECIMAL_SCALE, Property, TableSchema};

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
    /// By its index in [`TableSchema::columns`]. Of an open table's properties it has what a scope's rows
    /// have of that name, in the type that the schema says.
    Declared(usize),
    /// A stored column of properties, by its index in [`TableView::properties`](crate::TableView::properties).
    Property(usize),
}

/// Where the tenant, the sequence and the declared columns are in [`stored_schema`].
pub(crate) const TENANT_INDEX: usize = 0;
pub(crate) const SEQUENCE_INDEX: usize = 1;
pub(crate) const DECLARED_INDEX: usize = 2;

/// The Arrow type that holds a declared type.
pub fn arrow_type(column_type: ColumnType) -> DataType {
    match column_type {
        ColumnType::Int => DataType::Int64,
        ColumnType::Float => DataType::Float64,
        ColumnType::Decimal => DataType::Decimal128(DECIMAL_PRECISION, DECIMAL_SCALE.cast_signed()),
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Text | ColumnType::Mixed => DataType::Utf8,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("+00:00"))),
        ColumnType::Date => DataType::Date32,
    }
}

/// The declared columns alone, in order: the shape of rows that arrive. All are nullable here, since
/// it is admission that refuses a null where the table has none. Rows of an open table have columns of
/// properties behind them, see [`property_field`].
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

/// Columns of a table without its properties, as they are stored; one that there is not is left out.
pub(crate) fn stored_fields(stored: &SchemaRef, columns: &[ColumnRef]) -> Vec<FieldRef> {
    let place = |column: &ColumnRef| match column {
        ColumnRef::Tenant => Some(TENANT_INDEX),
        ColumnRef::Sequence => Some(SEQUENCE_INDEX),
        ColumnRef::Declared(index) => Some(DECLARED_INDEX + index),
        ColumnRef::Property(_) => None,
    };
    let fields = columns.iter().filter_map(|column| stored.fields().get(place(column)?));
    fields.cloned().collect()
}

/// A column of properties, as it arrives and is stored.
pub fn property_field(property: &Property) -> Field {
    Field::new(property.field_name(), arrow_type(property.kind.column_type()), true)
}

/// The column of properties that a stored field is; `None` for any other.
pub(crate) fn property_of(field: &Field) -> Option<Property> {
    Property::from_field_name(field.name())
}

/// A column of properties as a declared one is told of.
pub(crate) fn property_column(property: &Property) -> Column {
    Column { name: property.field_name(), column_type: property.kind.column_type(), nullable: true }
}

fn declared_fields(table: &TableSchema) -> Vec<Field> {
    table
        .declared()
        .iter()
        .map(|column| Field::new(&column.name, arrow_type(column.column_type), true))
        .collect()
}
