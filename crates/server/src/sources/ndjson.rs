//! NDJSON: one object a line, read straight into columns.

use std::cell::Cell;
use std::io::Read;

use ebbtide_model::ColumnType;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::builder::{Scalar, TableBuilder};
use super::gathered::Gathered;
use super::lines::{Line, Lines};
use super::plan::{FilePlan, Place, Target, wrong_type};
use super::reject::{Refusal, RejectCode, SourceError};
use super::source::{ReadRecords, Step, line_too_long, read_error};
use crate::capture::Json;

pub(crate) struct NdjsonFile {
    plan: FilePlan,
    lines: Lines,
}

impl NdjsonFile {
    pub(crate) fn open(plan: FilePlan, input: Box<dyn Read + Send>) -> Result<Self, SourceError> {
        let lines = Lines::new(input).map_err(|source| read_error(&plan.file, source))?;
        Ok(Self { plan, lines })
    }
}

impl ReadRecords for NdjsonFile {
    fn read_record(&mut self, gathered: &mut Gathered) -> Result<Step, SourceError> {
        let next = self.lines.next().map_err(|source| read_error(&self.plan.file, source))?;
        match next {
            None => return Ok(Step::End),
            Some(Line::TooLong { number, bytes, head }) => {
                gathered.reject(line_too_long(bytes), number, head);
            }
            Some(Line::Whole { bytes, .. }) if bytes.trim_ascii().is_empty() => {}
            Some(Line::Whole { number, bytes }) => {
                let outcome = write(&self.plan, bytes, &mut gathered.builder);
                gathered.close(outcome, number, bytes);
            }
        }
        Ok(Step::Read)
    }
}

/// Writes one line's object as a row.
fn write(plan: &FilePlan, line: &[u8], builder: &mut TableBuilder) -> Result<(), Refusal> {
    let Ok(text) = std::str::from_utf8(line) else {
        return Err(Refusal::of_row(RejectCode::BrokenUtf8, "the row is not UTF-8"));
    };
    let refusal = Cell::new(None);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let row = RowSeed { plan, builder, refusal: &refusal };
    let outcome = row.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    let Err(error) = outcome else {
        return Ok(());
    };
    Err(refusal.take().unwrap_or_else(|| {
        Refusal::of_row(RejectCode::BrokenJson, format!("the line is no JSON object: {error}"))
    }))
}

/// Reads an object into the builder's open row. A refusal is left in its cell, since serde's errors
/// carry text alone.
struct RowSeed<'a> {
    plan: &'a FilePlan,
    builder: &'a mut TableBuilder,
    refusal: &'a Cell<Option<Refusal>>,
}

impl<'de> DeserializeSeed<'de> for RowSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(place) =
            map.next_key_seed(KeySeed { plan: self.plan, builder: self.builder, refusal: self.refusal })?
        {
            let (plan, builder, refusal) = (self.plan, &mut *self.builder, self.refusal);
            let set = match place {
                Field::Column(target)
                    if plan.table.columns[target.column].column_type == ColumnType::Decimal =>
                {
                    let text = map.next_value::<&RawValue>()?.get();
                    CellSeed { plan, builder, refusal, target }.write_raw(text)?;
                    continue;
                }
                Field::Column(target) => {
                    map.next_value_seed(CellSeed { plan, builder, refusal, target })?;
                    continue;
                }
                Field::Other(Place::Properties) => {
                    let field = plan.properties_field().unwrap_or_default();
                    builder.properties(field, &map.next_value::<Json<'de>>()?)
                }
                Field::Other(Place::Property(name)) => {
                    let json = map.next_value::<Json<'de>>()?;
                    let is_null = matches!(&json, Json::Text(text) if !text.is_empty() && plan.is_null(text));
                    builder.property(&name, if is_null { &Json::Null } else { &json })
                }
                Field::Other(Place::Nowhere | Place::Column(_)) => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if let Err(found) = set {
                refusal.set(Some(found));
                return Err(serde::de::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

/// Where a field goes.
enum Field<'a> {
    Column(&'a Target),
    Other(Place),
}

/// Finds where a field goes.
struct KeySeed<'a, 'b> {
    plan: &'a FilePlan,
    builder: &'b TableBuilder,
    refusal: &'b Cell<Option<Refusal>>,
}

impl<'de, 'a> DeserializeSeed<'de> for KeySeed<'a, '_> {
    type Value = Field<'a>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for KeySeed<'a, '_> {
    type Value = Field<'a>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a field's name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        let refusal = match self.plan.target(name) {
            Some(target) if !self.builder.is_set(target.column) => return Ok(Field::Column(target)),
            Some(_) => Refusal::of_cell(name, RejectCode::RepeatedColumn, "the field is given twice"),
            None => match self.plan.place(name) {
                Some(place) => return Ok(Field::Other(place)),
                None => {
                    let reason = self.plan.unknown_column(name).to_string();
                    Refusal::of_cell(name, RejectCode::UnknownColumn, reason)
                }
            },
        };
        self.refusal.set(Some(refusal));
        Err(E::custom("refused"))
    }
}

/// Writes a field's value.
struct CellSeed<'a> {
    plan: &'a FilePlan,
    builder: &'a mut TableBuilder,
    refusal: &'a Cell<Option<Refusal>>,
    target: &'a Target,
}

impl CellSeed<'_> {
    fn write<E: serde::de::Error>(self, scalar: Scalar<'_>) -> Result<(), E> {
        let Self { plan, builder, refusal, target } = self;
        let is_null = matches!(scalar, Scalar::Text(text) if !text.is_empty() && plan.is_null(text));
        let scalar = if is_null { Scalar::Null } else { scalar };
        builder.json(target.column, scalar, target.cast.as_deref()).map_err(|error| {
            refusal.set(Some(wrong_type(&plan.table, target, &error)));
            E::custom("refused")
        })
    }

    /// A value as it was written: a parser would round a number.
    fn write_raw<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        if text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            return self.write(Scalar::Digits(text));
        }
        self.deserialize(&mut serde_json::Deserializer::from_str(text)).map_err(E::custom)
    }

    fn refuse_nested<E: serde::de::Error>(self, found: &str) -> E {
        let column = &self.plan.table.columns[self.target.column];
        let reason = format!("{found} was given; allowed is a {} or null", column.column_type.name());
        self.refusal.set(Some(Refusal::of_cell(&column.name, RejectCode::WrongType, reason)));
        E::custom("refused")
    }
}

impl<'de> DeserializeSeed<'de> for CellSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for CellSeed<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.write(Scalar::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.write(Scalar::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.write(Scalar::Int(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.write(i64::try_from(value).map_or(Scalar::Unsigned(value), Scalar::Int))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.write(Scalar::Float(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.write(Scalar::Text(value))
    }

    fn visit_map<A: MapAccess<'de>>(self, _map: A) -> Result<(), A::Error> {
        Err(self.refuse_nested("an object"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _list: A) -> Result<(), A::Error> {
        Err(self.refuse_nested("a list"))
    }
}
