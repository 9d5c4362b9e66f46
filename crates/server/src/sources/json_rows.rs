//! Rows that arrive as JSON values over HTTP, under the same rules as the lines of an NDJSON file.

use arrow::error::ArrowError;
use ebbtide_model::{CastError, TableSchema, Written, digits, nearest};
use serde_json::{Map, Value as Json};

use super::builder::{Scalar, TableBuilder, TypedRows};
use super::reject::{Refusal, RejectCode};

/// The typed rows of a list, with the index of each, and the rows that were refused.
#[derive(Clone, Debug)]
pub struct JsonRows {
    /// In the list's order; several batches where rows of an open table have many different properties.
    pub rows: Vec<TypedRows>,
    pub rejected: Vec<RowRejection>,
}

/// A row of a list that was refused.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RowRejection {
    /// From 0.
    pub index: usize,
    pub column: Option<String>,
    pub code: &'static str,
    pub detail: String,
}

/// Types the rows of a list. A field that is left out is null; whether the table takes that is for
/// admission to say.
pub fn rows_from_json(table: &TableSchema, rows: &[Json]) -> Result<JsonRows, ArrowError> {
    let mut builder = TableBuilder::new(table);
    let (mut batches, mut rejected) = (Vec::new(), Vec::new());
    for (index, row) in rows.iter().enumerate() {
        let written = match row.as_object() {
            Some(fields) => write(table, fields, &mut builder),
            None => Err(Refusal::of_row(RejectCode::BrokenJson, "a row is an object of columns")),
        };
        match written {
            Ok(()) => {
                builder.close_row(u64::try_from(index).unwrap_or(u64::MAX));
                if builder.is_full() {
                    batches.push(builder.finish()?);
                }
            }
            Err(Refusal { column, code, reason }) => {
                builder.give_up_row();
                rejected.push(RowRejection { index, column, code: code.as_str(), detail: reason });
            }
        }
    }
    if builder.rows() > 0 || batches.is_empty() {
        batches.push(builder.finish()?);
    }
    Ok(JsonRows { rows: batches, rejected })
}

fn write(table: &TableSchema, fields: &Map<String, Json>, builder: &mut TableBuilder) -> Result<(), Refusal> {
    for (position, (name, json)) in fields.iter().enumerate() {
        // Clients send the columns in the table's order more often than not.
        let expected = table.columns.get(position).is_some_and(|column| column.name == *name);
        let column = if expected { Some(position) } else { table.column_index(name) };
        let column = match (column, &table.open) {
            (Some(column), _) => column,
            (None, Some(open)) if open.field == *name => {
                builder.properties(name, &json.into())?;
                continue;
            }
            (None, Some(_)) => {
                builder.property(name, &json.into())?;
                continue;
            }
            (None, None) => return Err(unknown(table, name)),
        };
        let wrong_type = |error: CastError| Refusal::of_cell(name, RejectCode::WrongType, error.to_string());
        let scalar = scalar(json).ok_or_else(|| {
            let column_type = table.columns[column].column_type;
            wrong_type(CastError { given: Written(json).to_string().chars().take(80).collect(), column_type })
        })?;
        builder.json(column, scalar, None).map_err(wrong_type)?;
    }
    Ok(())
}

/// `None` for lists and objects, which no column takes.
fn scalar(json: &Json) -> Option<Scalar<'_>> {
    Some(match json {
        Json::Null => Scalar::Null,
        Json::Bool(value) => Scalar::Bool(*value),
        Json::String(text) => Scalar::Text(text),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Scalar::Int(value),
            (None, Some(value)) => Scalar::Unsigned(value),
            (None, None) => Scalar::Float(number.as_f64()?),
        },
        nested @ (Json::Array(_) | Json::Object(_)) => Scalar::Digits(digits(nested)?),
    })
}

fn unknown(table: &TableSchema, name: &str) -> Refusal {
    let known: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    let meant = nearest(name, known.iter().copied());
    let meant = meant.map(|meant| format!(" (did you mean {meant:?}?)")).unwrap_or_default();
    let shown: String = name.chars().take(80).collect();
    let reason =
        format!("table {} has no column {shown:?}{meant}; its columns are {}", table.name, known.join(", "));
    Refusal::of_cell(&shown, RejectCode::UnknownColumn, reason)
}
