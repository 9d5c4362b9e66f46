//! Properties of an open table's rows: typed as they come, each kind of a name in a column of its own.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::number::{digits, nearest_float};
use crate::{ColumnType, Value};

/// What a column of properties holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PropertyKind {
    Bool,
    Int,
    Float,
    Text,
    /// Objects, lists, and numbers that neither integers nor floats hold: canonical JSON text.
    Json,
    /// Properties that have no column of their own: an object of them, in canonical JSON text.
    Overflow,
}

impl PropertyKind {
    const ALL: [(&str, Self); 6] = [
        ("bool", Self::Bool),
        ("int", Self::Int),
        ("float", Self::Float),
        ("text", Self::Text),
        ("json", Self::Json),
        ("overflow", Self::Overflow),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }

    /// The type of the column that stores it.
    pub fn column_type(self) -> ColumnType {
        match self {
            Self::Bool => ColumnType::Bool,
            Self::Int => ColumnType::Int,
            Self::Float => ColumnType::Float,
            Self::Text | Self::Json | Self::Overflow => ColumnType::Text,
        }
    }
}

/// A column of properties.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Property {
    /// Any text; empty for [`PropertyKind::Overflow`].
    pub name: Arc<str>,
    pub kind: PropertyKind,
}

impl Property {
    pub fn new(name: &str, kind: PropertyKind) -> Self {
        Self { name: Arc::from(name), kind }
    }

    pub fn overflow() -> Self {
        Self::new("", PropertyKind::Overflow)
    }

    /// The name of the stored column, such as `int:price`: no declared column has such a name.
    pub fn field_name(&self) -> String {
        format!("{}:{}", self.kind.name(), self.name)
    }

    /// Of a name that [`Property::field_name`] has made.
    pub fn from_field_name(field: &str) -> Option<Self> {
        let (kind, name) = field.split_once(':')?;
        Some(Self::new(name, PropertyKind::from_name(kind)?))
    }
}

/// A property's value, in the column that is for it.
#[derive(Clone, Debug, PartialEq)]
pub enum PropertyValue {
    Bool(bool),
    Int(i64),
    /// Finite.
    Float(f64),
    Text(String),
    /// Canonical JSON text.
    Json(String),
}

impl PropertyValue {
    /// `None` for null: a property without a value is missing.
    pub fn of(json: &Json) -> Option<Self> {
        Some(match json {
            Json::Null => return None,
            Json::Bool(value) => Self::Bool(*value),
            Json::String(text) => Self::Text(text.clone()),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(value), _) => Self::Int(value),
                (None, Some(value)) if number.is_f64() && value.is_finite() => Self::Float(value),
                (None, _) => Self::Json(number.to_string()),
            },
            Json::Array(_) | Json::Object(_) => match nearest_float(json) {
                Some(value) => Self::Float(value),
                None => Self::Json(canonical_json(json)),
            },
        })
    }

    pub fn kind(&self) -> PropertyKind {
        match self {
            Self::Bool(_) => PropertyKind::Bool,
            Self::Int(_) => PropertyKind::Int,
            Self::Float(_) => PropertyKind::Float,
            Self::Text(_) => PropertyKind::Text,
            Self::Json(_) => PropertyKind::Json,
        }
    }

    /// Appends its canonical JSON text.
    pub fn write_json(&self, into: &mut String) {
        match self {
            Self::Bool(value) => into.push_str(if *value { "true" } else { "false" }),
            Self::Int(value) => into.push_str(&value.to_string()),
            Self::Float(value) => write_float(*value, into),
            Self::Text(text) => write_text(text, into),
            Self::Json(text) => into.push_str(text),
        }
    }
}

/// The type of a property whose values are of these kinds: `mixed` where they are of several, save that
/// integers are floats among floats.
pub fn type_of_kinds(kinds: impl IntoIterator<Item = PropertyKind>) -> ColumnType {
    let mut found: Option<ColumnType> = None;
    for kind in kinds {
        let own = match kind {
            PropertyKind::Bool => ColumnType::Bool,
            PropertyKind::Int => ColumnType::Int,
            PropertyKind::Float => ColumnType::Float,
            PropertyKind::Text => ColumnType::Text,
            PropertyKind::Json | PropertyKind::Overflow => ColumnType::Mixed,
        };
        found = Some(match (found, own) {
            (None, own) => own,
            (Some(known), own) if known == own => own,
            (Some(ColumnType::Int), ColumnType::Float) | (Some(ColumnType::Float), ColumnType::Int) => {
                ColumnType::Float
            }
            (Some(_), _) => ColumnType::Mixed,
        });
    }
    found.unwrap_or(ColumnType::Mixed)
}

/// One text for all that is the same value: no white space, fields by name, and a number that is whole
/// without a point. Equal values have equal texts.
pub fn canonical_json(json: &Json) -> String {
    let mut text = String::new();
    write_json(json, &mut text);
    text
}

fn write_json(json: &Json, into: &mut String) {
    match json {
        Json::Null => into.push_str("null"),
        Json::Bool(_) | Json::Number(_) | Json::String(_) => {
            if let Some(value) = PropertyValue::of(json) {
                value.write_json(into);
            }
        }
        Json::Array(items) => {
            into.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    into.push(',');
                }
                write_json(item, into);
            }
            into.push(']');
        }
        Json::Object(_) if digits(json).is_some() => {
            nearest_float(json).into_iter().for_each(|value| write_float(value, into));
        }
        Json::Object(fields) => {
            let mut fields: Vec<(&String, &Json)> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            into.push('{');
            for (index, (name, value)) in fields.into_iter().enumerate() {
                if index > 0 {
                    into.push(',');
                }
                write_text(name, into);
                into.push(':');
                write_json(value, into);
            }
            into.push('}');
        }
    }
}

/// A text as JSON writes it.
pub fn write_text(text: &str, into: &mut String) {
    into.push_str(&Json::from(text).to_string());
}

fn write_float(value: f64, into: &mut String) {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT_MAX {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
        let whole = value as i64;
        into.push_str(&whole.to_string());
    } else {
        into.push_str(&Json::from(value).to_string());
    }
}

impl Value {
    /// A value of type `mixed`, of its canonical JSON text.
    pub fn of_canonical_json(text: &str) -> Self {
        Self::Json(Arc::from(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_one_text_and_others_another() {
        let check = |json: &str, want: &str| {
            assert_eq!(canonical_json(&serde_json::from_str(json).unwrap()), want, "{json}");
        };
        check("1.0", "1");
        check("-0.0", "0");
        check("1e3", "1000");
        check("0.5", "0.5");
        check("1e300", "1e+300");
        check("18446744073709551615", "18446744073709551615");
        check(r#""0""#, r#""0""#);
        check(
            r#"{"b": [1.0, {"z": null, "a": "é\n"}], "a": false}"#,
            r#"{"a":false,"b":[1,{"a":"é\n","z":null}]}"#,
        );
    }

    #[test]
    fn a_property_has_the_type_of_its_kinds() {
        use PropertyKind::{Bool, Float, Int, Json, Overflow, Text};
        let check = |kinds: &[PropertyKind], want| {
            assert_eq!(type_of_kinds(kinds.iter().copied()), want, "{kinds:?}");
        };
        check(&[Bool], ColumnType::Bool);
        check(&[Int], ColumnType::Int);
        check(&[Int, Float], ColumnType::Float);
        check(&[Float, Int, Float], ColumnType::Float);
        check(&[Int, Text], ColumnType::Mixed);
        check(&[Float, Int, Bool], ColumnType::Mixed);
        check(&[Json], ColumnType::Mixed);
        check(&[Text, Overflow], ColumnType::Mixed);
        check(&[], ColumnType::Mixed);
    }

    #[test]
    fn the_stored_column_of_a_property_tells_its_name_and_kind() {
        for name in ["price", "a:b", "", "int:x", "Grüße"] {
            for (_, kind) in PropertyKind::ALL {
                let property = Property::new(name, kind);
                assert_eq!(Property::from_field_name(&property.field_name()), Some(property));
            }
        }
        assert_eq!(Property::from_field_name("price"), None);
        assert_eq!(Property::from_field_name("decimal:price"), None);
    }
}
