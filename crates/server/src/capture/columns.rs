//! Columns of properties as they grow: one for each name and kind, as long as its last value. What lies between
//! its values is null, and costs a step when the next one comes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayBuilder, ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder};
use arrow::datatypes::Field;
use ebbtide_model::{Property, PropertyKind, PropertyValue};
use ebbtide_store::property_field;

use super::json::Json;

/// The columns of a batch in the making.
#[derive(Default)]
pub(super) struct PropertyColumns {
    columns: Vec<Column>,
    by_name: HashMap<Box<str>, Vec<usize>>,
    /// Where the columns of the last row are: most rows have the same properties in the same order.
    last: Vec<usize>,
    row: Vec<usize>,
}

struct Column {
    name: Box<str>,
    values: Values,
}

enum Values {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Text(StringBuilder),
    /// Canonical JSON text.
    Json(StringBuilder),
}

/// A value by the column that it goes into.
#[derive(Debug)]
pub(crate) enum Cell<'j> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'j str),
    Json(String),
}

impl PropertyColumns {
    pub(super) fn len(&self) -> usize {
        self.columns.len()
    }

    /// Sets the properties of the next row, whose number this is. Each name comes once.
    pub(super) fn push(&mut self, row: usize, props: &[(&str, &Json<'_>)]) {
        self.row.clear();
        for (place, (name, value)) in props.iter().enumerate() {
            let Some(cell) = Cell::of(value) else {
                continue;
            };
            let hint = self.last.get(place).copied().filter(|hint| {
                self.columns
                    .get(*hint)
                    .is_some_and(|column| *column.name == **name && cell.fits(&column.values))
            });
            let index = hint.unwrap_or_else(|| self.find(name, &cell));
            self.row.push(index);
            if let Some(column) = self.columns.get_mut(index) {
                column.values.push(row, cell);
            }
        }
        std::mem::swap(&mut self.row, &mut self.last);
    }

    fn find(&mut self, name: &str, cell: &Cell<'_>) -> usize {
        let own = self.by_name.get(name);
        let known =
            own.and_then(|own| own.iter().copied().find(|index| cell.fits(&self.columns[*index].values)));
        known.unwrap_or_else(|| {
            let index = self.columns.len();
            self.columns.push(Column { name: Box::from(name), values: cell.column() });
            self.by_name.entry(Box::from(name)).or_default().push(index);
            index
        })
    }

    /// The columns of so many rows.
    pub(super) fn finish(self, rows: usize) -> impl Iterator<Item = (Field, ArrayRef)> {
        self.columns.into_iter().map(move |column| {
            let property = Property::new(&column.name, column.values.kind());
            (property_field(&property), column.values.finish(rows))
        })
    }
}

impl<'j> Cell<'j> {
    /// As [`PropertyValue::of`] tells kinds apart. `None` for null.
    pub(crate) fn of(value: &'j Json<'_>) -> Option<Self> {
        Some(match value {
            Json::Null => return None,
            Json::Bool(value) => Self::Bool(*value),
            Json::Int(value) => Self::Int(*value),
            Json::Float(value) => Self::Float(*value),
            Json::Text(Cow::Borrowed(text)) => Self::Text(text),
            Json::Text(Cow::Owned(text)) => Self::Text(text),
            Json::Unsigned(_) | Json::List(_) | Json::Object(_) => {
                let mut text = String::new();
                PropertyValue::of(&value.to_value())?.write_json(&mut text);
                Self::Json(text)
            }
        })
    }

    pub(crate) fn kind(&self) -> PropertyKind {
        match self {
            Self::Bool(_) => PropertyKind::Bool,
            Self::Int(_) => PropertyKind::Int,
            Self::Float(_) => PropertyKind::Float,
            Self::Text(_) => PropertyKind::Text,
            Self::Json(_) => PropertyKind::Json,
        }
    }

    fn fits(&self, values: &Values) -> bool {
        matches!(
            (self, values),
            (Self::Bool(_), Values::Bool(_))
                | (Self::Int(_), Values::Int(_))
                | (Self::Float(_), Values::Float(_))
                | (Self::Text(_), Values::Text(_))
                | (Self::Json(_), Values::Json(_))
        )
    }

    fn column(&self) -> Values {
        match self {
            Self::Bool(_) => Values::Bool(BooleanBuilder::new()),
            Self::Int(_) => Values::Int(Int64Builder::new()),
            Self::Float(_) => Values::Float(Float64Builder::new()),
            Self::Text(_) => Values::Text(StringBuilder::new()),
            Self::Json(_) => Values::Json(StringBuilder::new()),
        }
    }
}

impl Values {
    fn kind(&self) -> PropertyKind {
        match self {
            Self::Bool(_) => PropertyKind::Bool,
            Self::Int(_) => PropertyKind::Int,
            Self::Float(_) => PropertyKind::Float,
            Self::Text(_) => PropertyKind::Text,
            Self::Json(_) => PropertyKind::Json,
        }
    }

    /// Puts a value that fits into a row, which comes after all that have one.
    fn push(&mut self, row: usize, cell: Cell<'_>) {
        match (self, cell) {
            (Self::Bool(values), Cell::Bool(value)) => {
                values.append_nulls(row.saturating_sub(values.len()));
                values.append_value(value);
            }
            (Self::Int(values), Cell::Int(value)) => {
                values.append_nulls(row.saturating_sub(values.len()));
                values.append_value(value);
            }
            (Self::Float(values), Cell::Float(value)) => {
                values.append_nulls(row.saturating_sub(values.len()));
                values.append_value(value);
            }
            (Self::Text(values), Cell::Text(text)) => {
                values.append_nulls(row.saturating_sub(values.len()));
                values.append_value(text);
            }
            (Self::Json(values), Cell::Json(text)) => {
                values.append_nulls(row.saturating_sub(values.len()));
                values.append_value(text);
            }
            // A value goes into the column of its kind alone.
            (Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::Text(_) | Self::Json(_), _) => {}
        }
    }

    fn finish(mut self, rows: usize) -> ArrayRef {
        match &mut self {
            Self::Bool(values) => {
                values.append_nulls(rows.saturating_sub(values.len()));
                Arc::new(values.finish())
            }
            Self::Int(values) => {
                values.append_nulls(rows.saturating_sub(values.len()));
                Arc::new(values.finish())
            }
            Self::Float(values) => {
                values.append_nulls(rows.saturating_sub(values.len()));
                Arc::new(values.finish())
            }
            Self::Text(values) | Self::Json(values) => {
                values.append_nulls(rows.saturating_sub(values.len()));
                Arc::new(values.finish())
            }
        }
    }
}
