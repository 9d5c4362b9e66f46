//! What is said between a process and the one that it works for.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;
use ebbtide_model::{Calendar, Instant, Value, WeekStart};
use serde::{Deserialize, Serialize};

use super::super::scan::{ScanAsked, TableTold};
use super::super::session::{SqlRequest, UnusedParameters};
use super::super::{Limits, SqlError};

/// To the process.
#[derive(Serialize, Deserialize)]
pub(super) enum ToProcess {
    Start(Box<Start>),
    /// The answer to a call, with the table's declared columns behind it; `None`: there is no such table.
    Table {
        call: u64,
        told: Option<TableTold>,
    },
    /// Rows of a stream, behind this; none at its end.
    Rows {
        stream: u64,
    },
}

/// From the process.
#[derive(Serialize, Deserialize)]
pub(super) enum FromProcess {
    Describe {
        call: u64,
        table: String,
    },
    Open {
        stream: u64,
        scan: ScanAsked,
    },
    /// One batch more, to be answered by [`ToProcess::Rows`].
    Next {
        stream: u64,
    },
    Close {
        stream: u64,
    },
    /// A part of the answer is behind this.
    Answer,
    Done {
        tables: Vec<String>,
        changes_at: Option<i64>,
    },
    Failed(SqlError),
    /// A defect, for the log.
    Defect(String),
}

/// The statement, and the tables that there are.
#[derive(Serialize, Deserialize)]
pub(super) struct Start {
    pub(super) statement: Arc<str>,
    params: Vec<(String, Sent)>,
    unused_refused: bool,
    as_of: i64,
    zone: String,
    week_start: WeekStart,
    rows_max: usize,
    bytes_max: usize,
    pub(super) tables: Vec<TableHead>,
}

/// A table's name, and what must be known of it before it is looked at.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::sql) struct TableHead {
    pub(super) name: String,
    /// The table that says whose its rows are.
    pub(in crate::sql) aliases: Option<String>,
    pub(super) open: bool,
}

impl Start {
    pub(super) fn new(request: &SqlRequest, tables: Vec<TableHead>) -> Result<Self, SqlError> {
        let no_zone = || SqlError::Internal("a calendar's zone has no name".into());
        Ok(Self {
            statement: request.statement.clone(),
            params: request.params.iter().map(|(name, value)| (name.clone(), Sent::of(value))).collect(),
            unused_refused: request.unused_params == UnusedParameters::Refused,
            as_of: request.as_of.micros(),
            zone: request.calendar.zone_name().ok_or_else(no_zone)?.to_owned(),
            week_start: request.calendar.week_start(),
            rows_max: request.limits.rows_max,
            bytes_max: request.limits.bytes_max,
            tables,
        })
    }

    /// The request as it was; its time is watched over by the one who asked.
    pub(super) fn request(self) -> Option<SqlRequest> {
        Some(SqlRequest {
            statement: self.statement,
            params: self.params.into_iter().map(|(name, sent)| (name, sent.value())).collect(),
            unused_params: if self.unused_refused {
                UnusedParameters::Refused
            } else {
                UnusedParameters::PassedOver
            },
            relations: Vec::new(),
            as_of: Instant::from_micros(self.as_of),
            calendar: Calendar::of_names(&self.zone, self.week_start)?,
            limits: Limits {
                rows_max: self.rows_max,
                bytes_max: self.bytes_max,
                time_max: std::time::Duration::MAX,
            },
        })
    }
}

/// A parameter's value.
#[derive(Serialize, Deserialize)]
enum Sent {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Its digits: JSON has no number for it.
    Decimal(String),
    Text(Arc<str>),
    Json(Arc<str>),
    Timestamp(i64),
    Date(i32),
}

impl Sent {
    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            Value::Float(value) => Self::Float(*value),
            Value::Decimal(units) => Self::Decimal(units.to_string()),
            Value::Text(text) => Self::Text(text.clone()),
            Value::Json(text) => Self::Json(text.clone()),
            Value::Timestamp(instant) => Self::Timestamp(instant.micros()),
            Value::Date(days) => Self::Date(*days),
        }
    }

    fn value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::Int(value),
            Self::Float(value) => Value::Float(value),
            Self::Decimal(units) => units.parse().map_or(Value::Null, Value::Decimal),
            Self::Text(text) => Value::Text(text),
            Self::Json(text) => Value::Json(text),
            Self::Timestamp(micros) => Value::Timestamp(Instant::from_micros(micros)),
            Self::Date(days) => Value::Date(days),
        }
    }
}

/// Columns, and rows of them where there are some, as bytes that tell both.
pub(super) fn encoded(schema: &Schema, rows: Option<&RecordBatch>) -> Result<Vec<u8>, ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), schema)?;
    if let Some(rows) = rows {
        writer.write(rows)?;
    }
    // Its mark of the end lets a reader look at messages without a body, too.
    writer.into_inner()
}

/// What [`encoded`] made, read back and checked.
pub(super) fn decoded(bytes: Vec<u8>) -> Result<(SchemaRef, Option<RecordBatch>), ArrowError> {
    let mut buffer = Buffer::from(bytes);
    let mut decoder = StreamDecoder::new();
    let mut rows = None;
    while !buffer.is_empty() {
        rows = decoder.decode(&mut buffer)?.or(rows);
    }
    let schema = decoder.schema().ok_or_else(|| ArrowError::IpcError("there are no columns".to_owned()))?;
    Ok((schema, rows))
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, RecordBatchOptions, StringArray};
    use arrow::datatypes::{DataType, Field};

    use super::*;

    #[test]
    fn rows_and_columns_come_back_as_they_were() {
        let field = |name: &str, data_type| Field::new(name, data_type, true);
        let schema = Arc::new(Schema::new(vec![field("a", DataType::Int64), field("b", DataType::Utf8)]));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![Some(1), None, Some(3)])),
            Arc::new(StringArray::from(vec![Some("x"), Some(""), None])),
        ];
        let rows = RecordBatch::try_new(schema.clone(), columns).unwrap();
        let check = |schema: &SchemaRef, rows: Option<&RecordBatch>| {
            let (columns, back) = decoded(encoded(schema, rows).unwrap()).unwrap();
            assert_eq!((&columns, back.as_ref()), (schema, rows));
        };
        check(&schema, None);
        check(&schema, Some(&rows));
        check(&schema, Some(&rows.slice(1, 1)));
        check(&schema, Some(&rows.slice(0, 0)));
        let none = Arc::new(Schema::empty());
        let counted = RecordBatchOptions::new().with_row_count(Some(7));
        let counted = RecordBatch::try_new_with_options(none.clone(), Vec::new(), &counted).unwrap();
        check(&none, Some(&counted));
    }
}
