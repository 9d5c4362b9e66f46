//! What rows of an open table carry besides their columns, gathered into a column for each name and kind.
//!
//! JSON says itself of which kind a value is. The cells of a CSV column are texts, so what they are is said
//! by those of the file's first chunk, all together: true or false, numbers as JSON writes them, or else
//! texts, such as codes that begin with a zero. What comes later and is no such value is text.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::is_not_null;
use arrow::compute::kernels::zip::zip;
use arrow::error::ArrowError;
use ebbtide_model::{ColumnType, Property, PropertyValue, Value};

use super::builder::ColumnBuilder;
use super::reject::{Refusal, RejectCode};
use crate::capture::{Cell, Json};

/// Properties of one row.
pub(crate) const ROW_PROPERTIES_MAX: usize = 1_000;
/// Bytes of a property's name.
pub(crate) const NAME_BYTES_MAX: usize = 200;
/// Up to so many names are told apart faster by comparing each with each.
const NAMES_FEW: usize = 16;
/// Cells of a batch's properties, those without a value too: few rows may have many names.
const CELLS_MAX: usize = 8 << 20;

/// The properties of the rows in the making.
#[derive(Debug, Default)]
pub(crate) struct PropertyColumns {
    columns: Vec<(Property, ColumnBuilder)>,
    names: Vec<Named>,
    /// The place of each name.
    by_name: HashMap<Arc<str>, usize>,
    /// The names that the open row has.
    open: Vec<usize>,
    /// Those of the row before: most rows have the same names in the same order.
    last: Vec<usize>,
    /// How many more properties each row has, in columns of their own.
    others: usize,
    guessed: Vec<Guessed>,
}

#[derive(Debug)]
struct Named {
    name: Arc<str>,
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
    /// Of rows which have these properties in columns of their own, so that no row may have them here.
    pub(crate) fn beside<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let mut columns = Self::default();
        for name in names {
            let place = columns.named(name);
            columns.names[place].is_open = true;
            columns.others += 1;
        }
        columns
    }

    /// Whether the batch had better be closed.
    pub(crate) fn is_full(&self, rows: usize) -> bool {
        (self.columns.len() + self.guessed.len()) * rows >= CELLS_MAX
    }

    /// A property of the open row, which is the one after so many.
    pub(crate) fn set(&mut self, rows: usize, name: &str, json: &Json<'_>) -> Result<(), Refusal> {
        let named = self.open(name)?;
        match Cell::of(json) {
            Some(cell) => self.push(rows, named, cell),
            None => Ok(()),
        }
    }

    /// As [`PropertyColumns::set`], of an object of properties; null has none. Of a name that comes twice the
    /// last counts.
    pub(crate) fn set_all(&mut self, rows: usize, field: &str, json: &Json<'_>) -> Result<(), Refusal> {
        match json {
            Json::Null => Ok(()),
            Json::Object(fields) => self.set_fields(rows, fields),
            Json::Bool(_)
            | Json::Int(_)
            | Json::Unsigned(_)
            | Json::Float(_)
            | Json::Text(_)
            | Json::List(_) => {
                let given: String = json.to_value().to_string().chars().take(80).collect();
                let reason = format!("{given} was given; allowed is an object of properties");
                Err(Refusal::of_cell(field, RejectCode::WrongType, reason))
            }
        }
    }

    /// As [`PropertyColumns::set_all`], of the fields of an object.
    pub(crate) fn set_fields(
        &mut self,
        rows: usize,
        fields: &[(Cow<'_, str>, Json<'_>)],
    ) -> Result<(), Refusal> {
        if has_repeats(fields) {
            let last: BTreeMap<&str, &Json<'_>> = fields.iter().map(|(name, json)| (&**name, json)).collect();
            return last.into_iter().try_for_each(|(name, json)| self.set(rows, name, json));
        }
        fields.iter().try_for_each(|(name, json)| self.set(rows, name, json))
    }

    /// As [`PropertyColumns::set`], of a cell that does not say of which kind it is.
    pub(crate) fn set_cell(&mut self, rows: usize, name: &str, cell: &str) -> Result<(), Refusal> {
        let place = self.open(name)?;
        let named = &mut self.names[place];
        let guessed = *named.guessed.get_or_insert_with(|| {
            let texts = ColumnBuilder::new(ColumnType::Text);
            self.guessed.push(Guessed { name: named.name.clone(), texts, kind: None });
            self.guessed.len() - 1
        });
        let texts = &mut self.guessed[guessed].texts;
        texts.pad(rows);
        texts.push_text(cell).map_err(|error| too_long(name, &error))
    }

    /// The place of a name, which may be new.
    fn named(&mut self, name: &str) -> usize {
        let expected = self.last.get(self.open.len()).copied();
        if let Some(place) = expected.filter(|place| *self.names[*place].name == *name) {
            return place;
        }
        if let Some(place) = self.by_name.get(name) {
            return *place;
        }
        let name: Arc<str> = Arc::from(name);
        let place = self.names.len();
        self.names.push(Named { name: name.clone(), kinds: Vec::new(), guessed: None, is_open: false });
        self.by_name.insert(name, place);
        place
    }

    fn open(&mut self, name: &str) -> Result<usize, Refusal> {
        check_name(name)?;
        if self.open.len() + self.others >= ROW_PROPERTIES_MAX {
            let reason = format!("the row has more than {ROW_PROPERTIES_MAX} properties, which is the limit");
            return Err(Refusal::of_row(RejectCode::TooManyFields, reason));
        }
        let place = self.named(name);
        if std::mem::replace(&mut self.names[place].is_open, true) {
            return Err(Refusal::of_cell(name, RejectCode::RepeatedColumn, "the property is given twice"));
        }
        self.open.push(place);
        Ok(place)
    }

    fn push(&mut self, rows: usize, named: usize, cell: Cell<'_>) -> Result<(), Refusal> {
        let kind = cell.kind();
        let known = &self.names[named];
        let found = known.kinds.iter().copied().find(|place| self.columns[*place].0.kind == kind);
        let place = found.unwrap_or_else(|| {
            let property = Property { name: self.names[named].name.clone(), kind };
            self.columns.push((property, ColumnBuilder::new(kind.column_type())));
            self.names[named].kinds.push(self.columns.len() - 1);
            self.columns.len() - 1
        });
        let column = &mut self.columns[place].1;
        column.pad(rows);
        match cell {
            Cell::Bool(value) => column.push(Value::Bool(value)),
            Cell::Int(value) => column.push(Value::Int(value)),
            Cell::Float(value) => column.push(Value::Float(value)),
            Cell::Text(text) => column.push_text(text),
            Cell::Json(text) => column.push_text(&text),
        }
        .map_err(|error| too_long(&self.names[named].name, &error))
    }

    /// The open row is closed.
    pub(crate) fn close_row(&mut self) {
        self.open.iter().for_each(|place| self.names[*place].is_open = false);
        std::mem::swap(&mut self.open, &mut self.last);
        self.open.clear();
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
        // Names that were read off a header stay.
        let kept = std::mem::take(&mut self.names).into_iter().filter(|named| named.guessed.is_some());
        self.names = kept.map(|named| Named { kinds: Vec::new(), is_open: false, ..named }).collect();
        self.by_name =
            self.names.iter().enumerate().map(|(place, named)| (named.name.clone(), place)).collect();
        self.last.clear();
        Ok(finished)
    }
}

/// Whether a name comes twice.
fn has_repeats(fields: &[(Cow<'_, str>, Json<'_>)]) -> bool {
    if fields.len() <= NAMES_FEW {
        return (1..fields.len())
            .any(|place| fields[..place].iter().any(|(name, _)| *name == fields[place].0));
    }
    let mut names = HashSet::with_capacity(fields.len());
    !fields.iter().all(|(name, _)| names.insert(&**name))
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
        let cell = match value {
            Some(PropertyValue::Bool(value)) => Cell::Bool(value),
            Some(PropertyValue::Int(value)) => Cell::Int(value),
            Some(PropertyValue::Float(value)) => Cell::Float(value),
            Some(PropertyValue::Text(_) | PropertyValue::Json(_)) | None => Cell::Text(text),
        };
        let named = columns.named(name);
        let pushed = columns.push(row, named, cell);
        pushed.map_err(|refusal| ArrowError::ComputeError(refusal.reason))?;
    }
    Ok(columns.columns)
}

fn too_long(name: &str, error: &ebbtide_model::CastError) -> Refusal {
    Refusal::of_cell(name, RejectCode::WrongType, error.to_string())
}
