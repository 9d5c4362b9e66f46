//! The properties of an open table's rows as a statement reads them: a column with the JSON text of all that a
//! row has, and columns of the members that are [asked for](super::members). What is read of a part is the
//! stored columns that these rest on, and no others.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    StringBuilder, new_null_array,
};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use datafusion::common::{DataFusionError, Result};
use ebbtide_model::{Property, PropertyKind, PropertyValue, canonical_json, write_text};
use ebbtide_store::{ColumnRef, TableView};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::functions::{Wanted, whole};

/// The columns of an open table that are made of its rows' properties.
#[derive(Clone, Debug)]
pub(super) struct Properties {
    field: Arc<str>,
    /// What the scope's rows have, by name and kind.
    stored: Arc<[(usize, Property)]>,
    members: Vec<Member>,
}

/// A member of the properties that has a column of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) field: String,
    pub(super) name: Arc<str>,
    pub(super) wanted: Wanted,
}

impl Properties {
    /// `None` of a table whose rows have declared columns alone.
    pub(super) fn of(view: &TableView) -> Option<Self> {
        let open = view.schema().open.as_ref()?;
        let stored = view.properties().map(|(index, property)| (index, property.clone())).collect();
        Some(Self { field: Arc::from(open.field.as_str()), stored, members: Vec::new() })
    }

    /// As another process has them: what their columns are called, and not what they are made of.
    pub(super) fn handed(field: &str) -> Self {
        Self { field: Arc::from(field), stored: Arc::default(), members: Vec::new() }
    }

    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The column that holds them all.
    pub(super) fn field(&self) -> &str {
        &self.field
    }

    pub(super) fn member(&self, name: &str, wanted: Wanted) -> Option<&str> {
        let known = self.members.iter().find(|member| &*member.name == name && member.wanted == wanted);
        known.map(|member| member.field.as_str())
    }

    /// Adds a column of a member, called `field`.
    pub(super) fn add(&mut self, field: &str, name: &str, wanted: Wanted) {
        self.members.push(Member { field: field.to_owned(), name: Arc::from(name), wanted });
    }

    /// All of these columns: the text, then the members.
    pub(super) fn fields(&self) -> Vec<FieldRef> {
        let text = Arc::new(Field::new(&*self.field, DataType::Utf8, false));
        let member = |member: &Member| Arc::new(Field::new(&member.field, member.wanted.data_type(), true));
        std::iter::once(text).chain(self.members.iter().map(member)).collect()
    }

    /// How one of these columns is made; `place` finds what is read for it.
    pub(super) fn recipe(&self, index: usize, mut place: impl FnMut(ColumnRef) -> usize) -> Recipe {
        let Some(member) = index.checked_sub(1).and_then(|index| self.members.get(index)) else {
            let stored = self.stored.iter();
            let stored =
                stored.map(|(index, property)| (place(ColumnRef::Property(*index)), property.clone()));
            return Recipe::Text(stored.collect());
        };
        let kinds = kinds(member.wanted);
        let is_needed = |property: &Property| match property.kind {
            PropertyKind::Overflow => true,
            kind => property.name == member.name && kinds.contains(&kind),
        };
        let needed = self.stored.iter().filter(|(_, property)| is_needed(property));
        let places = needed.map(|(index, property)| (place(ColumnRef::Property(*index)), property.kind));
        Recipe::Member { name: member.name.clone(), wanted: member.wanted, places: places.collect() }
    }
}

/// The kinds of a property in which a member of a type may be.
fn kinds(wanted: Wanted) -> &'static [PropertyKind] {
    match wanted {
        Wanted::Text => &[PropertyKind::Text],
        Wanted::Bool => &[PropertyKind::Bool],
        // Whatever is whole.
        Wanted::Int => &[PropertyKind::Int, PropertyKind::Float],
        // Numbers that are neither are kept as JSON.
        Wanted::Float => &[PropertyKind::Float, PropertyKind::Int, PropertyKind::Json],
    }
}

/// How a column is made of what is read.
#[derive(Clone, Debug)]
pub(super) enum Recipe {
    /// As it is, from that place.
    Read(usize),
    /// The JSON text of properties, each from its place.
    Text(Vec<(usize, Property)>),
    Member {
        name: Arc<str>,
        wanted: Wanted,
        places: Vec<(usize, PropertyKind)>,
    },
}

impl Recipe {
    pub(super) fn make(&self, read: &RecordBatch) -> Result<ArrayRef> {
        match self {
            Self::Read(place) => Ok(read.column(*place).clone()),
            Self::Text(stored) => text(stored, read),
            Self::Member { name, wanted, places } => member(name, *wanted, places, read),
        }
    }
}

/// A member, from the columns of its kinds and from the text of what has no columns.
fn member(
    name: &Arc<str>,
    wanted: Wanted,
    places: &[(usize, PropertyKind)],
    read: &RecordBatch,
) -> Result<ArrayRef> {
    let mut found: Option<ArrayRef> = None;
    for (place, kind) in places {
        let stored = read.column(*place);
        let own = match kind {
            PropertyKind::Overflow if stored.null_count() == stored.len() => continue,
            PropertyKind::Overflow => wanted.members(texts(stored)?, &StringArray::from(vec![&**name])),
            _ => of_kind(wanted, stored)?,
        };
        found = Some(match found {
            None => own,
            // A row has one of them at most.
            Some(found) => {
                arrow::compute::kernels::zip::zip(&arrow::compute::is_not_null(&found)?, &found, &own)?
            }
        });
    }
    Ok(found.unwrap_or_else(|| new_null_array(&wanted.data_type(), read.num_rows())))
}

/// What a stored column gives of a type.
fn of_kind(wanted: Wanted, stored: &ArrayRef) -> Result<ArrayRef> {
    #[expect(clippy::cast_precision_loss, reason = "to the nearest float")]
    let float = |int: i64| int as f64;
    Ok(match (wanted, stored.data_type()) {
        (Wanted::Int, DataType::Float64) => {
            let floats = stored.as_primitive::<Float64Type>();
            Arc::new(floats.iter().map(|float| float.and_then(whole)).collect::<Int64Array>())
        }
        (Wanted::Float, DataType::Int64) => {
            let ints = stored.as_primitive::<Int64Type>();
            Arc::new(ints.iter().map(|int| int.map(float)).collect::<Float64Array>())
        }
        // Their text has no zero below zero.
        (Wanted::Float, DataType::Float64) => {
            let floats = stored.as_primitive::<Float64Type>();
            Arc::new(floats.iter().map(|float| float.map(|float| float + 0.0)).collect::<Float64Array>())
        }
        (Wanted::Float, DataType::Utf8) => {
            let number = |text: &str| text.parse::<f64>().ok().filter(|float| float.is_finite());
            Arc::new(texts(stored)?.iter().map(|text| text.and_then(number)).collect::<Float64Array>())
        }
        _ => stored.clone(),
    })
}

fn texts(array: &ArrayRef) -> Result<&StringArray> {
    array.as_string_opt::<i32>().ok_or_else(|| DataFusionError::Internal("JSON is kept as text".to_owned()))
}

/// The text of all that each row has.
fn text(stored: &[(usize, Property)], read: &RecordBatch) -> Result<ArrayRef> {
    let mut columns = Vec::with_capacity(stored.len());
    let mut overflow = None;
    for (place, property) in stored {
        let array = read.column(*place);
        if property.kind == PropertyKind::Overflow {
            overflow = Some(texts(array)?);
            continue;
        }
        let mut label = String::new();
        write_text(&property.name, &mut label);
        label.push(':');
        columns.push((label, Values::of(array, property.kind)?));
    }
    let mut rows = StringBuilder::with_capacity(read.num_rows(), read.num_rows() * 32);
    let mut row_text = String::new();
    for row in 0..read.num_rows() {
        row_text.clear();
        row_text.push('{');
        for (label, values) in &columns {
            let Some(value) = values.value(row) else {
                continue;
            };
            if row_text.len() > 1 {
                row_text.push(',');
            }
            row_text.push_str(label);
            value.write_json(&mut row_text);
        }
        row_text.push('}');
        match overflow.filter(|overflow| overflow.is_valid(row)) {
            Some(overflow) => rows.append_value(merged(&row_text, overflow.value(row))),
            None => rows.append_value(&row_text),
        }
    }
    Ok(Arc::new(rows.finish()))
}

/// The stored values of a property's kind.
enum Values<'a> {
    Bool(&'a BooleanArray),
    Int(&'a Int64Array),
    Float(&'a Float64Array),
    Text(&'a StringArray),
    Json(&'a StringArray),
}

impl<'a> Values<'a> {
    fn of(array: &'a ArrayRef, kind: PropertyKind) -> Result<Self> {
        let found = match kind {
            PropertyKind::Bool => array.as_boolean_opt().map(Self::Bool),
            PropertyKind::Int => array.as_primitive_opt::<Int64Type>().map(Self::Int),
            PropertyKind::Float => array.as_primitive_opt::<Float64Type>().map(Self::Float),
            PropertyKind::Text => array.as_string_opt::<i32>().map(Self::Text),
            PropertyKind::Json | PropertyKind::Overflow => array.as_string_opt::<i32>().map(Self::Json),
        };
        found.ok_or_else(|| {
            DataFusionError::Internal(format!("a property of kind {kind:?} is not of its type"))
        })
    }

    fn value(&self, row: usize) -> Option<PropertyValue> {
        match self {
            Self::Bool(values) => values.is_valid(row).then(|| PropertyValue::Bool(values.value(row))),
            Self::Int(values) => values.is_valid(row).then(|| PropertyValue::Int(values.value(row))),
            Self::Float(values) => values.is_valid(row).then(|| PropertyValue::Float(values.value(row))),
            Self::Text(values) => {
                values.is_valid(row).then(|| PropertyValue::Text(values.value(row).to_owned()))
            }
            Self::Json(values) => {
                values.is_valid(row).then(|| PropertyValue::Json(values.value(row).to_owned()))
            }
        }
    }
}

/// The members of two objects, none of which is in both.
fn merged(one: &str, other: &str) -> String {
    let (Ok(Json::Object(mut all)), Ok(Json::Object(more))) =
        (serde_json::from_str(one), serde_json::from_str(other))
    else {
        return one.to_owned();
    };
    all.extend(more);
    canonical_json(&Json::Object(all))
}
