//! What rows of an open table carry besides their columns, gathered into a column for each name and kind.
//!
//! JSON says itself of which kind a value is. The cells of a CSV column are texts, so what they are is said
//! by those of the file's first chunk, all together: true or false, numbers as JSON writes them, or else
//! texts, such as codes that begin with a zero. What comes later and is no such value is text.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::is_not_null;
use arrow::compute::kernels::zip::zip;
use arrow::error::ArrowError;
use ebbtide_model::{ColumnType, Property, PropertyValue, Value};
use serde_json::Value as Json;

use super::builder::ColumnBuilder;
use super::reject::{Refusal, RejectCode};

/// Properties of one row.
pub(crate) const ROW_PROPERTIES_MAX: usize = 1_000;
/// Bytes of a property's name.
pub(crate) const NAME_BYTES_MAX: usize = 200;
/// Cells of a batch's properties, those without a value too: few rows may have many names.
const CELLS_MAX: usize = 8 << 20;

/// The properties of the rows in the making.
#[derive(Debug, Default)]
pub(crate) struct PropertyColumns {
    columns: Vec<(Property, ColumnBuilder)>,
    by_name: HashMap<Arc<str>, Named>,
    /// The names that the open row has.
    open: Vec<Arc<str>>,
    guessed: Vec<Guessed>,
}

#[derive(Debug, Default)]
struct Named {
    /// Where the columns of its kinds are.
    kinds: Vec<usize>,
    guessed: Option<usize>,
    is_open: bool,
}

/// A CSV column, as texts until its chunk is whole.
#[derive(Debug)]
struct Guessed {
    name: Arc<str>,
    texts: ColumnBuilder,
    kind: Option<CellKind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CellKind {
    Bool,
    Number,
    Text,
}

impl PropertyColumns {
    /// Whether the batch had better be closed.
    pub(crate) fn is_full(&self, rows: usize) -> bool {
        (self.columns.len() + self.guessed.len()) * rows >= CELLS_MAX
    }

    /// A property of the open row, which is the one after so many.
    pub(crate) fn set(&mut self, rows: usize, name: &str, json: &Json) -> Result<(), Refusal> {
        let name = self.open(name)?;
        match PropertyValue::of(json) {
            Some(value) => self.push(rows, &name, value),
            None => Ok(()),
        }
    }

    /// As [`PropertyColumns::set`], of an object of properties; null has none.
    pub(crate) fn set_all(&mut self, rows: usize, field: &str, json: &Json) -> Result<(), Refusal> {
        match json {
            Json::Null => Ok(()),
            Json::Object(fields) => fields.iter().try_for_each(|(name, json)| self.set(rows, name, json)),
            Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
                let given: String = json.to_string().chars().take(80).collect();
                let reason = format!("{given} was given; allowed is an object of properties");
                Err(Refusal::of_cell(field, RejectCode::WrongType, reason))
            }
        }
    }

    /// As [`PropertyColumns::set`], of a cell that does not say of which kind it is.
    pub(crate) fn set_cell(&mut self, rows: usize, name: &str, cell: &str) -> Result<(), Refusal> {
        let name = self.open(name)?;
        let named = self.by_name.entry(name.clone()).or_default();
        let place = *named.guessed.get_or_insert_with(|| {
            let texts = ColumnBuilder::new(ColumnType::Text);
            self.guessed.push(Guessed { name: name.clone(), texts, kind: None });
            self.guessed.len() - 1
        });
        let texts = &mut self.guessed[place].texts;
        texts.pad(rows);
        texts.push_text(cell).map_err(|error| too_long(&name, &error))
    }

    fn open(&mut self, name: &str) -> Result<Arc<str>, Refusal> {
        check_name(name)?;
        if self.open.len() >= ROW_PROPERTIES_MAX {
            let reason = format!("the row has more than {ROW_PROPERTIES_MAX} properties, which is the limit");
            return Err(Refusal::of_row(RejectCode::TooManyFields, reason));
        }
        let name: Arc<str> = match self.by_name.get_key_value(name) {
            Some((known, _)) => known.clone(),
            None => Arc::from(name),
        };
        let named = self.by_name.entry(name.clone()).or_default();
        if std::mem::replace(&mut named.is_open, true) {
            return Err(Refusal::of_cell(&name, RejectCode::RepeatedColumn, "the property is given twice"));
        }
        self.open.push(name.clone());
        Ok(name)
    }

    fn push(&mut self, rows: usize, name: &Arc<str>, value: PropertyValue) -> Result<(), Refusal> {
        let kind = value.kind();
        let known = self.by_name.get(name).map(|named| named.kinds.as_slice()).unwrap_or_default();
        let found = known.iter().copied().find(|place| self.columns[*place].0.kind == kind);
        let place = found.unwrap_or_else(|| {
            let property = Property { name: name.clone(), kind };
            self.columns.push((property, ColumnBuilder::new(kind.column_type())));
            self.by_name.entry(name.clone()).or_default().kinds.push(self.columns.len() - 1);
            self.columns.len() - 1
        });
        let column = &mut self.columns[place].1;
        column.pad(rows);
        match value {
            PropertyValue::Bool(value) => column.push(Value::Bool(value)),
            PropertyValue::Int(value) => column.push(Value::Int(value)),
            PropertyValue::Float(value) => column.push(Value::Float(value)),
            PropertyValue::Text(text) | PropertyValue::Json(text) => column.push_text(&text),
        }
        .map_err(|error| too_long(name, &error))
    }

    /// The open row is closed.
    pub(crate) fn close_row(&mut self) {
        for name in self.open.drain(..) {
            if let Some(named) = self.by_name.get_mut(&name) {
                named.is_open = false;
            }
        }
    }

    /// The open row is given up.
    pub(crate) fn give_up_row(&mut self, rows: usize) {
        self.close_row();
        let builders = self.columns.iter_mut().map(|(_, builder)| builder);
        builders.chain(self.guessed.iter_mut().map(|guessed| &mut guessed.texts)).for_each(|builder| {
            builder.truncate(rows);
        });
    }

    /// The columns of so many rows; afterwards there are none.
    pub(crate) fn finish(&mut self, rows: usize) -> Result<BTreeMap<Property, ArrayRef>, ArrowError> {
        let mut columns = std::mem::take(&mut self.columns);
        for guessed in &mut self.guessed {
            guessed.texts.pad(rows);
            let texts = guessed.texts.finish()?;
            // What the first chunk says holds for the others.
            guessed.kind = guessed.kind.or_else(|| CellKind::of_all(&texts));
            if let Some(kind) = guessed.kind {
                columns.extend(cells_by_kind(kind, &guessed.name, &texts)?);
            }
        }
        let mut finished: BTreeMap<Property, ArrayRef> = BTreeMap::new();
        for (property, mut builder) in columns {
            builder.pad(rows);
            let array = builder.finish()?;
            // A row has it in one of several ways at most.
            let array = match finished.get(&property) {
                Some(other) => zip(&is_not_null(&array)?, &array, other)?,
                None => array,
            };
            if array.null_count() < array.len() {
                finished.insert(property, array);
            }
        }
        self.by_name.retain(|_, named| {
            named.kinds.clear();
            named.guessed.is_some()
        });
        Ok(finished)
    }
}

/// Whether a property may be called so.
pub(crate) fn check_name(name: &str) -> Result<(), Refusal> {
    if (1..=NAME_BYTES_MAX).contains(&name.len()) {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    let reason = format!("a property's name has {} bytes; allowed are 1 to {NAME_BYTES_MAX}", name.len());
    Err(Refusal::of_cell(&shown, RejectCode::PropertyName, reason))
}

impl CellKind {
    /// What all of these texts are; `None` where there are none.
    fn of_all(texts: &ArrayRef) -> Option<Self> {
        let kinds = texts.as_string::<i32>().iter().flatten().map(Self::of);
        kinds.reduce(|all, own| if all == own { all } else { Self::Text })
    }

    fn of(text: &str) -> Self {
        match cell_value(text) {
            Some(PropertyValue::Bool(_)) => Self::Bool,
            Some(PropertyValue::Int(_) | PropertyValue::Float(_)) => Self::Number,
            Some(PropertyValue::Text(_) | PropertyValue::Json(_)) | None => Self::Text,
        }
    }
}

/// A value that JSON writes as this cell does, other than text.
fn cell_value(cell: &str) -> Option<PropertyValue> {
    let starts_so = cell.starts_with(|first: char| first.is_ascii_digit() || "-tf".contains(first));
    if !starts_so || cell.ends_with(|last: char| last.is_ascii_whitespace()) {
        return None;
    }
    PropertyValue::of(&serde_json::from_str(cell).ok()?)
}

fn cells_by_kind(
    kind: CellKind,
    name: &Arc<str>,
    texts: &ArrayRef,
) -> Result<Vec<(Property, ColumnBuilder)>, ArrowError> {
    let mut columns = PropertyColumns::default();
    for (row, text) in texts.as_string::<i32>().iter().enumerate() {
        let Some(text) = text else { continue };
        let value = cell_value(text).filter(|_| CellKind::of(text) == kind && kind != CellKind::Text);
        let value = value.unwrap_or_else(|| PropertyValue::Text(text.to_owned()));
        let pushed = columns.push(row, name, value);
        pushed.map_err(|refusal| ArrowError::ComputeError(refusal.reason))?;
    }
    Ok(columns.columns)
}

fn too_long(name: &str, error: &ebbtide_model::CastError) -> Refusal {
    Refusal::of_cell(name, RejectCode::WrongType, error.to_string())
}
