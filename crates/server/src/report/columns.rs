//! The columns of a list: what each of their cells is, as far as the leaf that gives them knows, and what
//! they turn out to be where it does not.

use arrow::datatypes::DataType;
use ebbtide_engine::sql::SqlColumn;
use ebbtide_model::{ColumnType, DECIMAL_PRECISION, DECIMAL_SCALE, Instant, Value, digits};
use serde_json::Value as Json;

/// What the cells of a column are, in the files that keep types apart. Any may be null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellType {
    Bool,
    Int,
    /// Whole numbers up to 2^64 - 1.
    Unsigned,
    Float,
    /// Significant digits, and those of them after the point.
    Decimal {
        precision: u8,
        scale: i8,
    },
    /// Of what is no text, its JSON.
    Text,
    /// A text that is an RFC 3339 instant.
    Timestamp,
    /// A text that is a calendar day.
    Date,
}

/// A column of a list of objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListColumn {
    pub name: String,
    /// `None`: its cells tell.
    pub cell_type: Option<CellType>,
}

/// A column whose type is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub cell_type: CellType,
}

const WHOLE: CellType = CellType::Decimal { precision: 38, scale: 0 };
/// As a decimal is stored.
const EXACT: CellType =
    CellType::Decimal { precision: DECIMAL_PRECISION, scale: DECIMAL_SCALE.cast_signed() };

impl ListColumn {
    pub fn untyped(name: impl Into<String>) -> Self {
        Self { name: name.into(), cell_type: None }
    }

    /// A column of a statement's answer.
    pub fn of_sql(column: &SqlColumn) -> Self {
        Self { name: column.name.clone(), cell_type: Some(CellType::of_data_type(&column.data_type)) }
    }

    /// A field of a behavioural query's rows under its name in the answer.
    pub fn of_field(name: &str, field: &str) -> Self {
        let cell_type = match field {
            "start" | "counts" | "percent" | "from" | "to" => Some(CellType::Text),
            "size" | "events" | "days_inactive" | "step" | "count" | "entered" | "converted" | "active"
            | "new" | "returning" | "resurrecting" | "dormant" | "periods" | "actors" | "at_least" => {
                Some(CellType::Int)
            }
            "interval_days" | "ratio" | "alive" | "expected" | "rate" | "rate_of_previous"
            | "avg_seconds" | "median_seconds" => Some(CellType::Float),
            "first" | "last" => Some(CellType::Timestamp),
            "at_risk" => Some(CellType::Bool),
            // An actor is a number or a text; what a trend measures may be whole or not.
            _ => None,
        };
        Self { name: name.to_owned(), cell_type }
    }
}

impl CellType {
    pub fn of_data_type(data_type: &DataType) -> Self {
        if let DataType::Dictionary(_, values) = data_type {
            return Self::of_data_type(values);
        }
        if let DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) = data_type
        {
            return Self::Decimal { precision: *precision, scale: *scale };
        }
        if *data_type == DataType::UInt64 {
            Self::Unsigned
        } else if data_type.is_integer() {
            Self::Int
        } else if data_type.is_floating() {
            Self::Float
        } else if *data_type == DataType::Boolean {
            Self::Bool
        } else if matches!(data_type, DataType::Timestamp(..)) {
            Self::Timestamp
        } else if matches!(data_type, DataType::Date32 | DataType::Date64) {
            Self::Date
        } else {
            Self::Text
        }
    }

    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Unsigned | Self::Float | Self::Decimal { .. })
    }

    fn fits(self, cell: &Json) -> bool {
        let is = |column_type| cell.as_str().is_some_and(|text| Value::from_text(text, column_type).is_ok());
        cell.is_null()
            || match self {
                Self::Bool => cell.is_boolean(),
                Self::Int => cell.is_i64(),
                Self::Unsigned => cell.is_u64(),
                Self::Float => cell.is_number(),
                Self::Decimal { .. } => cell.is_number() || digits(cell).is_some(),
                Self::Text => true,
                Self::Timestamp => is(ColumnType::Timestamp),
                Self::Date => is(ColumnType::Date),
            }
    }

    /// Of one cell; `None` of null, which is of any.
    fn of(cell: &Json) -> Option<Self> {
        Some(match cell {
            Json::Null => return None,
            Json::Bool(_) => Self::Bool,
            Json::Number(number) if number.is_i64() => Self::Int,
            Json::Number(number) if number.is_u64() => Self::Unsigned,
            Json::Number(_) => Self::Float,
            Json::Object(_) if digits(cell).is_some() => EXACT,
            Json::String(_) | Json::Array(_) | Json::Object(_) => Self::Text,
        })
    }

    /// What holds the cells of both.
    fn joined(self, other: Self) -> Self {
        let is_whole = |one| matches!(one, Self::Int | Self::Unsigned | WHOLE);
        let is_number = |one| is_whole(one) || one == Self::Float || one == EXACT;
        if self == other {
            self
        } else if is_whole(self) && is_whole(other) {
            WHOLE
        } else if is_number(self) && is_number(other) {
            if self == EXACT || other == EXACT { EXACT } else { Self::Float }
        } else {
            Self::Text
        }
    }
}

fn is_decimal(cell: &Json) -> bool {
    cell.is_null() || Value::from_json(cell, ColumnType::Decimal).is_ok()
}

/// The columns of these rows: those declared, then others that rows have; each of the declared type where
/// all its cells are of it, else of the type that holds them all.
pub(super) fn settle(declared: &[ListColumn], rows: &[Json]) -> Vec<Column> {
    let mut columns = declared.to_vec();
    for row in rows.iter().filter_map(Json::as_object) {
        // As a rule a row has the declared columns and no other, which its size says already.
        if row.len() > columns.len() || !row.keys().zip(&columns).all(|(name, column)| *name == column.name) {
            let known = |name: &String| columns.iter().any(|column| column.name == *name);
            let more: Vec<ListColumn> =
                row.keys().filter(|name| !known(name)).map(ListColumn::untyped).collect();
            columns.extend(more);
        }
    }
    let settled = |column: ListColumn| {
        let cells = || rows.iter().filter_map(|row| row.get(&column.name));
        let declared = column.cell_type.filter(|cell_type| cells().all(|cell| cell_type.fits(cell)));
        let cell_type = declared
            .or_else(|| cells().filter_map(CellType::of).reduce(CellType::joined))
            .filter(|cell_type| declared.is_some() || *cell_type != EXACT || cells().all(is_decimal))
            .unwrap_or(CellType::Text);
        Column { name: column.name, cell_type }
    };
    columns.into_iter().map(settled).collect()
}

/// The instant of a timestamp's cell, in microseconds.
pub(super) fn micros_of(cell: &Json) -> Option<i64> {
    match Value::from_text(cell.as_str()?, ColumnType::Timestamp) {
        Ok(Value::Timestamp(instant)) => Some(Instant::micros(instant)),
        _ => None,
    }
}

/// The day of a date's cell, since 1970-01-01.
pub(super) fn days_of(cell: &Json) -> Option<i32> {
    match Value::from_text(cell.as_str()?, ColumnType::Date) {
        Ok(Value::Date(days)) => Some(days),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ebbtide_model::exact_number;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_column_is_of_the_type_that_holds_all_its_cells() {
        let check = |cells: Json, want: CellType| {
            let rows: Vec<Json> = cells.as_array().unwrap().iter().map(|cell| json!({"a": cell})).collect();
            assert_eq!(settle(&[ListColumn::untyped("a")], &rows)[0].cell_type, want, "{cells}");
        };
        check(json!([]), CellType::Text);
        check(json!([null]), CellType::Text);
        check(json!([null, true]), CellType::Bool);
        check(json!([1, null, -2]), CellType::Int);
        check(json!([1, 2.5]), CellType::Float);
        check(json!([u64::MAX]), CellType::Unsigned);
        check(json!([u64::MAX, -1]), CellType::Decimal { precision: 38, scale: 0 });
        check(json!([u64::MAX, -1, 0.5]), CellType::Float);
        let long = exact_number("90071992547409.93");
        check(json!([long, 1, 0.5, null]), EXACT);
        check(json!([0.12345678901, long]), CellType::Text);
        check(json!([exact_number("123456789012345678901234567890123")]), CellType::Text);
        check(json!([long, "x"]), CellType::Text);
        check(json!([1, "1"]), CellType::Text);
        check(json!([true, 1]), CellType::Text);
        check(json!([[1]]), CellType::Text);
        check(json!(["2026-01-01T00:00:00Z"]), CellType::Text);
    }

    #[test]
    fn a_declared_type_holds_where_all_cells_are_of_it() {
        let check = |cell_type, cells: Json, want: CellType| {
            let rows: Vec<Json> = cells.as_array().unwrap().iter().map(|cell| json!({"a": cell})).collect();
            let declared = [ListColumn { name: "a".to_owned(), cell_type: Some(cell_type) }];
            assert_eq!(settle(&declared, &rows)[0].cell_type, want, "{cells}");
        };
        check(CellType::Int, json!([]), CellType::Int);
        check(CellType::Int, json!([null, 1]), CellType::Int);
        check(CellType::Int, json!([1, "x"]), CellType::Text);
        check(CellType::Float, json!([1]), CellType::Float);
        check(CellType::Timestamp, json!(["2026-01-01T00:00:00Z"]), CellType::Timestamp);
        check(CellType::Timestamp, json!(["soon"]), CellType::Text);
        check(CellType::Date, json!(["2026-02-28", null]), CellType::Date);
    }

    #[test]
    fn columns_are_those_declared_and_then_those_of_any_row() {
        let rows = [json!({"b": 1}), json!({"a": 2, "c": 3}), json!({"b": 1, "d": 4})];
        let names = settle(&[ListColumn::untyped("b")], &rows);
        let names: Vec<&str> = names.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["b", "a", "c", "d"]);
    }
}
