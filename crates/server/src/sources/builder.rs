//! Rows that arrive as text or JSON, gathered into an Arrow batch of a table's declared columns.
//!
//! A row is written cell by cell and then closed or given up; given up, it leaves no trace. What a
//! cell's value is follows the model's casts; the common types have a path of their own that gives the
//! same answers without the detour over a `Value`.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use ebbtide_model::{
    CastError, ColumnType, DECIMAL_PRECISION, DECIMAL_SCALE, Property, TableSchema, Value, canonical_json,
    exact_number,
};
use ebbtide_store::{declared_schema, property_field};

use super::cast::TextCast;
use super::fast_time;
use super::parquet_properties::object_of_text;
use super::properties::PropertyColumns;
use super::reject::Refusal;
use crate::capture::Json;

/// A JSON value as far as a cell can hold it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Unsigned(u64),
    Float(f64),
    /// A number as it was written.
    Digits(&'a str),
    Text(&'a str),
}

/// One column in the making: as many values as marks of validity.
#[derive(Debug)]
pub(super) struct ColumnBuilder {
    column_type: ColumnType,
    values: Values,
    valid: Vec<bool>,
}

#[derive(Debug)]
enum Values {
    /// Also instants, in microseconds.
    Long(Vec<i64>),
    Float(Vec<f64>),
    Decimal(Vec<i128>),
    Bool(Vec<bool>),
    /// The end of each row's text.
    Text {
        ends: Vec<i32>,
        text: String,
    },
    Date(Vec<i32>),
}

impl ColumnBuilder {
    pub(super) fn new(column_type: ColumnType) -> Self {
        let values = match column_type {
            ColumnType::Int | ColumnType::Timestamp => Values::Long(Vec::new()),
            ColumnType::Float => Values::Float(Vec::new()),
            ColumnType::Decimal => Values::Decimal(Vec::new()),
            ColumnType::Bool => Values::Bool(Vec::new()),
            ColumnType::Text | ColumnType::Mixed => Values::Text { ends: Vec::new(), text: String::new() },
            ColumnType::Date => Values::Date(Vec::new()),
        };
        Self { column_type, values, valid: Vec::new() }
    }

    fn push_null(&mut self) {
        match &mut self.values {
            Values::Long(values) => values.push(0),
            Values::Float(values) => values.push(0.0),
            Values::Decimal(values) => values.push(0),
            Values::Bool(values) => values.push(false),
            Values::Text { ends, .. } => ends.push(ends.last().copied().unwrap_or(0)),
            Values::Date(values) => values.push(0),
        }
        self.valid.push(false);
    }

    /// Nulls for the rows that lack the column.
    pub(super) fn pad(&mut self, rows: usize) {
        while self.valid.len() < rows {
            self.push_null();
        }
    }

    pub(super) fn push_text(&mut self, cell: &str) -> Result<(), CastError> {
        let Values::Text { ends, text } = &mut self.values else {
            return Err(CastError::new(cell, self.column_type));
        };
        // A batch is closed long before its text reaches 2 GiB; a single cell is bounded by its record.
        let end = text.len().checked_add(cell.len()).and_then(|end| i32::try_from(end).ok());
        let end = end.ok_or_else(|| CastError::new(cell, ColumnType::Text))?;
        text.push_str(cell);
        ends.push(end);
        self.valid.push(true);
        Ok(())
    }

    /// A value of this column's own type, or null.
    pub(super) fn push(&mut self, value: Value) -> Result<(), CastError> {
        match (&mut self.values, value) {
            (_, Value::Null) => {
                self.push_null();
                return Ok(());
            }
            (Values::Text { .. }, Value::Text(text) | Value::Json(text)) => return self.push_text(&text),
            (Values::Long(values), Value::Int(value)) => values.push(value),
            (Values::Long(values), Value::Timestamp(instant)) => values.push(instant.micros()),
            (Values::Float(values), Value::Float(value)) => values.push(value),
            (Values::Decimal(values), Value::Decimal(units)) => values.push(units),
            (Values::Bool(values), Value::Bool(value)) => values.push(value),
            (Values::Date(values), Value::Date(days)) => values.push(days),
            (_, value) => return Err(CastError::new(&value.to_json().to_string(), self.column_type)),
        }
        self.valid.push(true);
        Ok(())
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        match &mut self.values {
            Values::Long(values) => values.truncate(rows),
            Values::Float(values) => values.truncate(rows),
            Values::Decimal(values) => values.truncate(rows),
            Values::Bool(values) => values.truncate(rows),
            Values::Text { ends, text } => {
                ends.truncate(rows);
                text.truncate(ends.last().map_or(0, |end| usize::try_from(*end).unwrap_or(0)));
            }
            Values::Date(values) => values.truncate(rows),
        }
        self.valid.truncate(rows);
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let Self { column_type, values, valid } = std::mem::replace(self, Self::new(self.column_type));
        let nulls = valid.contains(&false).then(|| NullBuffer::from(valid));
        Ok(match values {
            Values::Long(values) if column_type == ColumnType::Timestamp => {
                let instants = TimestampMicrosecondArray::try_new(ScalarBuffer::from(values), nulls)?;
                Arc::new(instants.with_timezone("+00:00"))
            }
            Values::Long(values) => Arc::new(Int64Array::try_new(ScalarBuffer::from(values), nulls)?),
            Values::Float(values) => Arc::new(Float64Array::try_new(ScalarBuffer::from(values), nulls)?),
            Values::Decimal(values) => {
                let units = Decimal128Array::try_new(ScalarBuffer::from(values), nulls)?;
                let units = units.with_precision_and_scale(DECIMAL_PRECISION, DECIMAL_SCALE.cast_signed())?;
                Arc::new(units)
            }
            Values::Bool(values) => Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls)),
            Values::Text { mut ends, text } => {
                ends.insert(0, 0);
                let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
                Arc::new(StringArray::try_new(offsets, Buffer::from(text.into_bytes()), nulls)?)
            }
            Values::Date(values) => Arc::new(Date32Array::try_new(ScalarBuffer::from(values), nulls)?),
        })
    }
}

/// The rows of one batch in the making.
#[derive(Debug)]
pub(crate) struct TableBuilder {
    schema: SchemaRef,
    columns: Vec<ColumnBuilder>,
    /// Of an open table.
    properties: Option<PropertyColumns>,
    /// Where each closed row stood: a line or an index.
    positions: Vec<u64>,
}

/// Rows of a table's declared columns, with those of properties behind, and where each stood in what was read: a line or row number
/// from 1 in a file, an index from 0 in a list.
#[derive(Clone, Debug)]
pub struct TypedRows {
    pub batch: RecordBatch,
    pub positions: Vec<u64>,
}

impl TableBuilder {
    pub(crate) fn new(table: &TableSchema) -> Self {
        let columns = table.declared().iter().map(|column| ColumnBuilder::new(column.column_type)).collect();
        let properties = table.open.is_some().then(PropertyColumns::default);
        Self { schema: declared_schema(table), columns, properties, positions: Vec::new() }
    }

    /// Closed rows so far.
    pub(crate) fn rows(&self) -> usize {
        self.positions.len()
    }

    /// Whether a batch of these rows is as large as it should get.
    pub(crate) fn is_full(&self) -> bool {
        self.properties.as_ref().is_some_and(|properties| properties.is_full(self.rows()))
    }

    /// A property of the open row. A closed table has none.
    pub(crate) fn property(&mut self, name: &str, json: &Json<'_>) -> Result<(), Refusal> {
        let rows = self.rows();
        self.properties.as_mut().map_or(Ok(()), |properties| properties.set(rows, name, json))
    }

    /// Properties of the open row, in an object, or in the JSON of one as a text.
    pub(crate) fn properties(&mut self, field: &str, json: &Json<'_>) -> Result<(), Refusal> {
        let rows = self.rows();
        let of_text;
        let json = if let Json::Text(text) = json {
            of_text = object_of_text(field, text)?;
            &of_text
        } else {
            json
        };
        self.properties.as_mut().map_or(Ok(()), |properties| properties.set_all(rows, field, json))
    }

    /// A property of the open row, of a cell that does not say of which kind it is.
    pub(crate) fn property_cell(&mut self, name: &str, cell: &str) -> Result<(), Refusal> {
        let rows = self.rows();
        self.properties.as_mut().map_or(Ok(()), |properties| properties.set_cell(rows, name, cell))
    }

    /// Whether the open row has its cell of this column.
    pub(crate) fn is_set(&self, column: usize) -> bool {
        self.columns[column].valid.len() > self.positions.len()
    }

    pub(crate) fn null(&mut self, column: usize) {
        self.columns[column].push_null();
    }

    /// A cell of text. Empty text is empty text here; the reader of the file says what is null.
    pub(crate) fn text(
        &mut self,
        column: usize,
        cell: &str,
        cast: Option<&TextCast>,
    ) -> Result<(), CastError> {
        let target = &mut self.columns[column];
        let column_type = target.column_type;
        if let Some(cast) = cast {
            return target.push(cast.read(cell, column_type)?);
        }
        match (&mut target.values, column_type) {
            (Values::Text { .. }, _) => target.push_text(cell),
            (Values::Long(values), ColumnType::Int) => match cell.parse() {
                Ok(value) => {
                    values.push(value);
                    target.valid.push(true);
                    Ok(())
                }
                Err(_) => Err(CastError::new(cell, column_type)),
            },
            (Values::Long(values), ColumnType::Timestamp) => match fast_time::parse(cell) {
                Some(micros) => {
                    values.push(micros);
                    target.valid.push(true);
                    Ok(())
                }
                None => target.push(Value::from_text(cell, column_type)?),
            },
            _ => target.push(Value::from_text(cell, column_type)?),
        }
    }

    /// A cell that came as JSON: numbers do not pass for text nor text for numbers, save that they become
    /// text in an open table.
    pub(crate) fn json(
        &mut self,
        column: usize,
        scalar: Scalar<'_>,
        cast: Option<&TextCast>,
    ) -> Result<(), CastError> {
        let target = &mut self.columns[column];
        let column_type = target.column_type;
        match (scalar, column_type, cast) {
            (Scalar::Null, _, _) => {
                target.push_null();
                Ok(())
            }
            (Scalar::Text(text), _, Some(_))
            | (Scalar::Text(text), ColumnType::Text | ColumnType::Timestamp, None) => {
                self.text(column, text, cast).map_err(|error| refused(&scalar, error.column_type))
            }
            (Scalar::Digits(text), _, Some(cast)) => target.push(cast.read(text, column_type)?),
            (Scalar::Int(_) | Scalar::Unsigned(_) | Scalar::Float(_), _, Some(cast)) => {
                let number = scalar.to_json().to_string();
                target.push(cast.read(&number, column_type)?)
            }
            (
                Scalar::Int(_) | Scalar::Unsigned(_) | Scalar::Float(_) | Scalar::Digits(_),
                ColumnType::Text,
                None,
            ) if self.properties.is_some() => target.push_text(&canonical_json(&scalar.to_json())),
            (Scalar::Digits(text), _, None) => target.push(Value::from_number(text, column_type)?),
            (Scalar::Int(value), ColumnType::Int, None) => target.push(Value::Int(value)),
            (Scalar::Float(value), ColumnType::Float, None) if value.is_finite() => {
                target.push(Value::Float(value))
            }
            (scalar, _, _) => target.push(Value::from_json(&scalar.to_json(), column_type)?),
        }
    }

    /// Ends the open row; the columns it left out are null.
    pub(crate) fn close_row(&mut self, position: u64) {
        for column in &mut self.columns {
            if column.valid.len() == self.positions.len() {
                column.push_null();
            }
        }
        if let Some(properties) = &mut self.properties {
            properties.close_row();
        }
        self.positions.push(position);
    }

    /// Takes the open row back.
    pub(crate) fn give_up_row(&mut self) {
        let rows = self.positions.len();
        self.columns.iter_mut().for_each(|column| column.truncate(rows));
        if let Some(properties) = &mut self.properties {
            properties.give_up_row(rows);
        }
    }

    /// The closed rows as a batch; the builder is empty afterwards.
    pub(crate) fn finish(&mut self) -> Result<TypedRows, ArrowError> {
        self.give_up_row();
        let arrays: Result<Vec<ArrayRef>, ArrowError> =
            self.columns.iter_mut().map(ColumnBuilder::finish).collect();
        let rows = self.positions.len();
        let batch = match &mut self.properties {
            Some(properties) => with_properties(&self.schema, arrays?, properties.finish(rows)?)?,
            None => RecordBatch::try_new(self.schema.clone(), arrays?)?,
        };
        Ok(TypedRows { batch, positions: std::mem::take(&mut self.positions) })
    }
}

/// Declared columns with those of properties behind them.
pub(crate) fn with_properties(
    declared: &SchemaRef,
    mut columns: Vec<ArrayRef>,
    properties: BTreeMap<Property, ArrayRef>,
) -> Result<RecordBatch, ArrowError> {
    let mut fields: Vec<FieldRef> = declared.fields().iter().cloned().collect();
    for (property, array) in properties {
        fields.push(Arc::new(property_field(&property)));
        columns.push(array);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// The refusal of a JSON value, which it quotes as JSON.
fn refused(scalar: &Scalar<'_>, column_type: ColumnType) -> CastError {
    let given = scalar.to_json().to_string();
    CastError { given: given.chars().take(80).collect(), column_type }
}

impl Scalar<'_> {
    pub(crate) fn to_json(self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => value.into(),
            Self::Int(value) => value.into(),
            Self::Unsigned(value) => value.into(),
            Self::Float(value) => value.into(),
            Self::Digits(text) => exact_number(text),
            Self::Text(text) => text.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::Int64Type;
    use ebbtide_model::{Column, TableKind, TableName, TenantId, TenantRule};

    use super::*;

    fn table() -> TableSchema {
        let column = |name: &str, column_type| Column { name: name.to_owned(), column_type, nullable: true };
        TableSchema {
            name: TableName::new("all"),
            kind: TableKind::Events,
            columns: ColumnType::NAMES
                .into_iter()
                .map(|name| column(name, ColumnType::from_name(name).unwrap()))
                .collect(),
            key: vec![],
            tenant: TenantRule::Fixed(TenantId::new("main")),
            actor: None,
            time: None,
            event_name: None,
            open: None,
            aliases: None,
            actor_props: None,
        }
    }

    #[test]
    fn a_row_given_up_leaves_no_trace() {
        let mut rows = TableBuilder::new(&table());
        rows.text(0, "1", None).unwrap();
        rows.text(4, "one", None).unwrap();
        rows.close_row(2);
        rows.text(0, "2", None).unwrap();
        rows.text(4, "two", None).unwrap();
        rows.text(5, "no time", None).unwrap_err();
        rows.give_up_row();
        rows.text(4, "three", None).unwrap();
        rows.close_row(4);
        let TypedRows { batch, positions } = rows.finish().unwrap();
        assert_eq!(positions, [2, 4]);
        assert_eq!(batch.column(0).as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [Some(1), None]);
        assert_eq!(
            batch.column(4).as_string::<i32>().iter().collect::<Vec<_>>(),
            [Some("one"), Some("three")]
        );
        assert_eq!(batch.column(6).null_count(), 2);
        assert_eq!(rows.finish().unwrap().batch.num_rows(), 0);
    }

    #[test]
    fn cells_of_text_mean_what_the_model_says() {
        let table = table();
        let texts = [
            "0",
            "-12",
            "+5",
            "1.0",
            "1e3",
            "nan",
            "9223372036854775808",
            "true",
            "TRUE",
            "",
            "2024-02-29",
            "2023-02-29",
            "2024-02-29T23:59:60Z",
            "2024-02-29 10:00:00.5+05:30",
            "12.50",
            ".5",
            "0.0000000001",
        ];
        for text in texts {
            for (index, column) in table.columns.iter().enumerate() {
                let mut rows = TableBuilder::new(&table);
                let got = rows.text(index, text, None).map_err(|error| error.to_string());
                let want = Value::from_text(text, column.column_type).map_err(|error| error.to_string());
                assert_eq!(got.is_ok(), want.is_ok(), "{text:?} as {}", column.name);
                assert_eq!(got.err(), want.err());
            }
        }
    }

    #[test]
    fn cells_of_json_mean_what_the_model_says() {
        let table = table();
        let scalars = [
            Scalar::Null,
            Scalar::Bool(true),
            Scalar::Int(-3),
            Scalar::Unsigned(u64::MAX),
            Scalar::Float(2.0),
            Scalar::Float(2.5),
            Scalar::Digits("90071992547409.93"),
            Scalar::Digits("0.12345678901234567890"),
            Scalar::Text("1"),
            Scalar::Text("2024-02-29"),
            Scalar::Text("2024-02-29T00:00:00Z"),
            Scalar::Text("yesterday"),
        ];
        for scalar in scalars {
            for (index, column) in table.columns.iter().enumerate() {
                let mut rows = TableBuilder::new(&table);
                let got = rows.json(index, scalar, None).map_err(|error| error.to_string());
                let want = Value::from_json(&scalar.to_json(), column.column_type);
                assert_eq!(
                    got.err(),
                    want.err().map(|error| error.to_string()),
                    "{scalar:?} {}",
                    column.name
                );
            }
        }
    }
}
