//! Conditions put to whole columns: a bit per row of a batch.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::Int32Type;
use ebbtide_model::query::{Condition, Num, Operand, Probe};
use hashbrown::HashSet;
use serde_json::Value as Json;

use super::columns::{Columns, Typed, plain, unexpected};
use crate::EngineError;

/// Past so many texts in a list, looking one up beats comparing with each.
const LISTED_TEXTS_FEW: usize = 8;

/// Which rows satisfy all of the conditions.
pub(crate) fn all(conditions: &[Condition], columns: &Columns<'_>) -> Result<BooleanBuffer, EngineError> {
    let mut holds = BooleanBuffer::new_set(columns.rows());
    for condition in conditions {
        holds = &holds & &evaluate(condition, columns)?;
    }
    Ok(holds)
}

fn evaluate(condition: &Condition, columns: &Columns<'_>) -> Result<BooleanBuffer, EngineError> {
    match condition {
        Condition::All(conditions) => all(conditions, columns),
        Condition::Any(conditions) => {
            let mut holds = BooleanBuffer::new_unset(columns.rows());
            for condition in conditions {
                holds = &holds | &evaluate(condition, columns)?;
            }
            Ok(holds)
        }
        Condition::Cohort(test) => columns.memberships.evaluate(test, columns),
        Condition::Column(column, probe) => probe_column(probe, columns.declared(*column)?),
        Condition::OfActor(name, _) => {
            Err(EngineError::Layout { found: format!("no column for {name:?} of actors") })
        }
    }
}

/// Which values of a column satisfy a test.
pub(crate) fn probe_column(probe: &Probe, array: &ArrayRef) -> Result<BooleanBuffer, EngineError> {
    if let Some(coded) = array.as_dictionary_opt::<Int32Type>().filter(|coded| coded.keys().null_count() == 0)
    {
        // Each value is asked once.
        let holds = probe_column(probe, coded.values())?;
        let keys = coded.keys().values();
        return Ok(BooleanBuffer::collect_bool(keys.len(), |row| {
            usize::try_from(keys[row]).is_ok_and(|key| holds.value(key))
        }));
    }
    let array = &plain(array)?;
    let set =
        array.nulls().map_or_else(|| BooleanBuffer::new_set(array.len()), |nulls| nulls.inner().clone());
    Ok(match probe {
        Probe::IsSet => set,
        Probe::IsNotSet => !&set,
        Probe::In { operands, null } => one_of(array, operands, *null, &set)?,
        Probe::NotIn { operands, null } => !&one_of(array, operands, *null, &set)?,
        Probe::Contains(needle) => &texts(array, |text| holds_text(text, needle))? & &set,
        Probe::NotContains(needle) => !&(&texts(array, |text| holds_text(text, needle))? & &set),
        Probe::Matches(pattern) => &texts(array, |text| pattern.is_match(text))? & &set,
        Probe::Compare(order, operand) => {
            let holds = |cell: Cell<'_>| cell.compare(operand).is_some_and(|found| order.holds(found));
            &cells(array, holds)? & &set
        }
        Probe::OfJson(probe) => of_json(probe, array, &set)?,
        Probe::Never => BooleanBuffer::new_unset(array.len()),
        Probe::Always => BooleanBuffer::new_set(array.len()),
    })
}

/// Asks the values that texts of JSON say; what is no text is for `not_contains` as if missing.
fn of_json(probe: &Probe, array: &ArrayRef, set: &BooleanBuffer) -> Result<BooleanBuffer, EngineError> {
    let asked = |holds: &dyn Fn(JsonCell) -> bool| {
        texts(array, |text| serde_json::from_str(text).is_ok_and(|json: Json| holds(JsonCell(json))))
    };
    Ok(match probe {
        Probe::Contains(needle) => &asked(&|cell| cell.is_text(|text| holds_text(text, needle)))? & set,
        Probe::NotContains(needle) => {
            !&(&asked(&|cell| cell.is_text(|text| holds_text(text, needle)))? & set)
        }
        Probe::Matches(pattern) => &asked(&|cell| cell.is_text(|text| pattern.is_match(text)))? & set,
        Probe::Compare(order, operand) => {
            let holds = |cell: JsonCell| {
                cell.as_cell().and_then(|cell| cell.compare(operand)).is_some_and(|found| order.holds(found))
            };
            &asked(&holds)? & set
        }
        Probe::IsSet
        | Probe::IsNotSet
        | Probe::In { .. }
        | Probe::NotIn { .. }
        | Probe::OfJson(_)
        | Probe::Never
        | Probe::Always => probe_column(probe, array)?,
    })
}

/// A value of a property that has several types.
struct JsonCell(Json);

impl JsonCell {
    fn is_text(&self, holds: impl Fn(&str) -> bool) -> bool {
        self.0.as_str().is_some_and(holds)
    }

    fn as_cell(&self) -> Option<Cell<'_>> {
        match &self.0 {
            Json::String(text) => Some(Cell::Text(text)),
            Json::Number(number) => {
                number.as_i64().map(Cell::Int).or_else(|| number.as_f64().map(Cell::Float))
            }
            Json::Bool(value) => Some(Cell::Bool(*value)),
            Json::Null | Json::Array(_) | Json::Object(_) => None,
        }
    }
}

fn one_of(
    array: &ArrayRef,
    operands: &[Operand],
    null: bool,
    set: &BooleanBuffer,
) -> Result<BooleanBuffer, EngineError> {
    let listed: Vec<&str> = operands.iter().filter_map(Operand::as_text).collect();
    let equal = |operand: &Operand, cell: &Cell<'_>| cell.compare(operand) == Some(Ordering::Equal);
    let found = if listed.is_empty() || listed.len() < operands.len() {
        cells(array, |cell| operands.iter().any(|operand| equal(operand, &cell)))?
    } else if listed.len() > LISTED_TEXTS_FEW {
        let listed: HashSet<&str> = listed.into_iter().collect();
        texts(array, |text| listed.contains(text))?
    } else {
        texts(array, |text| listed.contains(&text))?
    };
    let found = &found & set;
    Ok(if null { &found | &!set } else { found })
}

/// Whether the text has the needle, which is in lower case, in whatever case.
fn holds_text(text: &str, needle: &str) -> bool {
    if text.is_ascii() {
        return needle.is_empty()
            || text
                .as_bytes()
                .windows(needle.len())
                .any(|part| part.eq_ignore_ascii_case(needle.as_bytes()));
    }
    text.to_lowercase().contains(needle)
}

/// A stored value that is not null.
enum Cell<'a> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Decimal(i128),
    Text(&'a str),
    Micros(i64),
    Days(i32),
}

impl Cell<'_> {
    /// `None` where the two are of different kinds, which binding has ruled out.
    fn compare(&self, operand: &Operand) -> Option<Ordering> {
        Some(match (self, operand) {
            (Self::Bool(own), Operand::Bool(other)) => own.cmp(other),
            (Self::Int(own), Operand::Number(Num::Int(other))) => i128::from(*own).cmp(other),
            (Self::Int(own), Operand::Number(other)) => other.compare_int(*own),
            (Self::Float(own), Operand::Number(other)) => other.compare_float(*own),
            (Self::Decimal(own), Operand::Number(other)) => other.compare_decimal(*own),
            (Self::Text(own), Operand::Text(other)) => (*own).cmp(other.as_str()),
            (Self::Micros(own), Operand::Instant(other)) => own.cmp(&other.micros()),
            (Self::Days(own), Operand::Date(other)) => own.cmp(other),
            (_, _) => return None,
        })
    }
}

fn texts(array: &ArrayRef, holds: impl Fn(&str) -> bool) -> Result<BooleanBuffer, EngineError> {
    let texts = array.as_string_opt::<i32>().ok_or_else(|| unexpected(array))?;
    Ok(BooleanBuffer::collect_bool(texts.len(), |row| holds(texts.value(row))))
}

/// Asks every cell, null ones too: what is answered there is for the caller to mask.
fn cells(array: &ArrayRef, holds: impl Fn(Cell<'_>) -> bool) -> Result<BooleanBuffer, EngineError> {
    let rows = array.len();
    Ok(match Typed::of(array)? {
        Typed::Bool(values) => BooleanBuffer::collect_bool(rows, |row| holds(Cell::Bool(values.value(row)))),
        Typed::Int(values) => BooleanBuffer::collect_bool(rows, |row| holds(Cell::Int(values.value(row)))),
        Typed::Float(values) => {
            BooleanBuffer::collect_bool(rows, |row| holds(Cell::Float(values.value(row))))
        }
        Typed::Decimal(values) => {
            BooleanBuffer::collect_bool(rows, |row| holds(Cell::Decimal(values.value(row))))
        }
        Typed::Text(values) => BooleanBuffer::collect_bool(rows, |row| holds(Cell::Text(values.value(row)))),
        Typed::Timestamp(values) => {
            BooleanBuffer::collect_bool(rows, |row| holds(Cell::Micros(values.value(row))))
        }
        Typed::Date(values) => BooleanBuffer::collect_bool(rows, |row| holds(Cell::Days(values.value(row)))),
    })
}
