//! Values by which events are told apart: actors, groups of a breakdown, distinct values. Kept small and
//! in the order in which parts are sorted.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::Int32Type;
use ebbtide_model::{ColumnType, Instant, Value};
use hashbrown::HashMap;

use super::columns::{Typed, unexpected};
use crate::EngineError;

/// A value of a column; which type it has, the column knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key<'a> {
    Null,
    /// Whatever fits 64 bits, so that the order is that of the values.
    Int(i64),
    Decimal(i128),
    Text(&'a str),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum OwnedKey {
    Null,
    Int(i64),
    Decimal(i128),
    Text(Box<str>),
}

impl Key<'_> {
    /// Whether it is this value.
    pub(crate) fn is(self, owned: &OwnedKey) -> bool {
        match (self, owned) {
            (Self::Null, OwnedKey::Null) => true,
            (Self::Int(own), OwnedKey::Int(other)) => own == *other,
            (Self::Decimal(own), OwnedKey::Decimal(other)) => own == *other,
            (Self::Text(own), OwnedKey::Text(other)) => *own == **other,
            (_, _) => false,
        }
    }

    pub(crate) fn to_owned(self) -> OwnedKey {
        match self {
            Self::Null => OwnedKey::Null,
            Self::Int(value) => OwnedKey::Int(value),
            Self::Decimal(value) => OwnedKey::Decimal(value),
            Self::Text(text) => OwnedKey::Text(Box::from(text)),
        }
    }

    /// The value that this was made from.
    pub(crate) fn value(self, column_type: ColumnType) -> Value {
        match (self, column_type) {
            (Self::Int(value), ColumnType::Int) => Value::Int(value),
            (Self::Int(value), ColumnType::Bool) => Value::Bool(value != 0),
            (Self::Int(value), ColumnType::Float) => Value::Float(float_of_bits(value)),
            (Self::Int(value), ColumnType::Timestamp) => Value::Timestamp(Instant::from_micros(value)),
            (Self::Int(value), ColumnType::Date) => i32::try_from(value).map_or(Value::Null, Value::Date),
            (Self::Decimal(units), _) => Value::Decimal(units),
            (Self::Text(text), ColumnType::Mixed) => Value::of_canonical_json(text),
            (Self::Text(text), _) => Value::Text(text.into()),
            (Self::Null, _) | (Self::Int(_), ColumnType::Decimal | ColumnType::Text | ColumnType::Mixed) => {
                Value::Null
            }
        }
    }

    /// In the order of values, null last.
    pub(crate) fn cmp_null_last(self, other: Self) -> Ordering {
        let null = |key: Self| key == Self::Null;
        null(self).cmp(&null(other)).then_with(|| self.cmp(&other))
    }
}

impl OwnedKey {
    pub(crate) fn as_key(&self) -> Key<'_> {
        match self {
            Self::Null => Key::Null,
            Self::Int(value) => Key::Int(*value),
            Self::Decimal(value) => Key::Decimal(*value),
            Self::Text(text) => Key::Text(text),
        }
    }

    /// The value that this was made from.
    pub(crate) fn value(&self, column_type: ColumnType) -> Value {
        self.as_key().value(column_type)
    }

    /// In the order of values, null last.
    pub(crate) fn cmp_null_last(&self, other: &Self) -> Ordering {
        self.as_key().cmp_null_last(other.as_key())
    }
}

/// An integer that is ordered as the float is; both zeros are one.
fn bits_of_float(value: f64) -> i64 {
    let bits = (value + 0.0).to_bits().cast_signed();
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

fn float_of_bits(ordered: i64) -> f64 {
    let bits = ordered ^ ((ordered >> 63).cast_unsigned() >> 1).cast_signed();
    f64::from_bits(bits.cast_unsigned())
}

/// A column of a batch, read as keys.
pub(crate) struct KeyColumn {
    values: KeyValues,
    nulls: Option<NullBuffer>,
}

enum KeyValues {
    Int(ScalarBuffer<i64>),
    Decimal(ScalarBuffer<i128>),
    Text(StringArray),
    /// By row: a place among texts, of which some may be null.
    Coded(ScalarBuffer<i32>, StringArray),
}

impl KeyColumn {
    pub(crate) fn of(array: &ArrayRef) -> Result<Self, EngineError> {
        if let Some(coded) = array.as_dictionary_opt::<Int32Type>() {
            let texts = coded.values().as_string_opt::<i32>().ok_or_else(|| unexpected(array))?;
            let values = KeyValues::Coded(coded.keys().values().clone(), texts.clone());
            return Ok(Self { values, nulls: coded.keys().nulls().cloned() });
        }
        let values = match Typed::of(array)? {
            Typed::Int(values) => KeyValues::Int(values.values().clone()),
            Typed::Timestamp(values) => KeyValues::Int(values.values().clone()),
            Typed::Date(values) => KeyValues::Int(values.values().iter().copied().map(i64::from).collect()),
            Typed::Bool(values) => KeyValues::Int(values.values().iter().map(i64::from).collect()),
            Typed::Float(values) => {
                KeyValues::Int(values.values().iter().copied().map(bits_of_float).collect())
            }
            Typed::Decimal(values) => KeyValues::Decimal(values.values().clone()),
            Typed::Text(values) => KeyValues::Text(values.clone()),
        };
        Ok(Self { values, nulls: array.nulls().cloned() })
    }

    #[inline]
    pub(crate) fn at(&self, row: usize) -> Key<'_> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return Key::Null;
        }
        match &self.values {
            KeyValues::Int(values) => Key::Int(values[row]),
            KeyValues::Decimal(values) => Key::Decimal(values[row]),
            KeyValues::Text(values) => Key::Text(values.value(row)),
            KeyValues::Coded(codes, texts) => match usize::try_from(codes[row]) {
                Ok(code) if texts.is_valid(code) => Key::Text(texts.value(code)),
                Ok(_) | Err(_) => Key::Null,
            },
        }
    }
}

/// A growing list of keys of one type.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    ints: Vec<i64>,
    decimals: Vec<i128>,
    text: String,
    text_ends: Vec<usize>,
    /// Where there are nulls: they take a place among the values, too.
    nulls: Vec<usize>,
    len: usize,
}

impl Keys {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Makes room for so many times as much.
    pub(crate) fn grow_to(&mut self, times: usize) {
        self.ints.reserve_exact(self.ints.len().saturating_mul(times));
        self.text.reserve_exact(self.text.len().saturating_mul(times));
        self.text_ends.reserve_exact(self.text_ends.len().saturating_mul(times));
    }

    pub(crate) fn push(&mut self, key: Key<'_>) {
        match key {
            Key::Null => self.push_null(),
            Key::Int(value) => self.ints.push(value),
            Key::Decimal(value) => self.decimals.push(value),
            Key::Text(text) => {
                self.text.push_str(text);
                self.text_ends.push(self.text.len());
            }
        }
        self.len += 1;
    }

    /// Nulls keep the lists aligned: which of them is in use is known with the first value, and nulls
    /// that come before it are filled in then.
    fn push_null(&mut self) {
        self.nulls.push(self.len);
        if !self.ints.is_empty() {
            self.ints.push(0);
        } else if !self.decimals.is_empty() {
            self.decimals.push(0);
        } else if !self.text_ends.is_empty() {
            self.text_ends.push(self.text.len());
        }
    }

    pub(crate) fn get(&self, index: usize) -> Key<'_> {
        if !self.nulls.is_empty() && self.nulls.binary_search(&index).is_ok() {
            return Key::Null;
        }
        let present = self.ints.len().max(self.decimals.len()).max(self.text_ends.len());
        // Nulls before the first value have no place in the lists.
        let place = index - (self.len - present);
        if let Some(value) = self.ints.get(place) {
            Key::Int(*value)
        } else if let Some(value) = self.decimals.get(place) {
            Key::Decimal(*value)
        } else {
            let start = place.checked_sub(1).map_or(0, |before| self.text_ends[before]);
            Key::Text(&self.text[start..self.text_ends[place]])
        }
    }
}

/// Numbers distinct keys in the order of their first appearance.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    ints: HashMap<i64, u32>,
    decimals: HashMap<i128, u32>,
    texts: HashMap<Box<str>, u32>,
    null: Option<u32>,
    keys: Vec<OwnedKey>,
}

impl Interner {
    pub(crate) fn code(&mut self, key: Key<'_>) -> u32 {
        let known = match key {
            Key::Null => self.null,
            Key::Int(value) => self.ints.get(&value).copied(),
            Key::Decimal(value) => self.decimals.get(&value).copied(),
            Key::Text(text) => self.texts.get(text).copied(),
        };
        known.unwrap_or_else(|| self.add(key))
    }

    fn add(&mut self, key: Key<'_>) -> u32 {
        // There are fewer keys than rows of a part, which are counted in 32 bits.
        let code = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        match key {
            Key::Null => self.null = Some(code),
            Key::Int(value) => {
                self.ints.insert(value, code);
            }
            Key::Decimal(value) => {
                self.decimals.insert(value, code);
            }
            Key::Text(text) => {
                self.texts.insert(Box::from(text), code);
            }
        }
        self.keys.push(key.to_owned());
        code
    }

    pub(crate) fn into_keys(self) -> Vec<OwnedKey> {
        self.keys
    }
}

/// A value of each property that an answer is split by.
pub(crate) type Group = Box<[OwnedKey]>;

/// The order of groups: by their first values, then by the second ones, null last.
pub(crate) fn compare_groups(left: &Group, right: &Group) -> Ordering {
    let pairs = left.iter().zip(right);
    let unequal = pairs.map(|(left, right)| left.cmp_null_last(right)).find(|order| order.is_ne());
    unequal.unwrap_or_else(|| left.len().cmp(&right.len()))
}

/// Numbers distinct groups in the order of their first appearance.
#[derive(Debug, Default)]
pub(crate) struct GroupInterner {
    /// By property.
    columns: Vec<Interner>,
    /// By the codes of its values; empty where one property is its own group.
    codes: HashMap<Box<[u32]>, u32>,
    tuple: Vec<u32>,
}

impl GroupInterner {
    pub(crate) fn code<'k>(&mut self, keys: impl ExactSizeIterator<Item = Key<'k>>) -> u32 {
        self.columns.resize_with(keys.len(), Interner::default);
        self.tuple.clear();
        let codes = keys.zip(&mut self.columns).map(|(key, column)| column.code(key));
        self.tuple.extend(codes);
        if let [code] = self.tuple.as_slice() {
            return *code;
        }
        if let Some(code) = self.codes.get(self.tuple.as_slice()) {
            return *code;
        }
        let code = u32::try_from(self.codes.len()).unwrap_or(u32::MAX);
        self.codes.insert(Box::from(self.tuple.as_slice()), code);
        code
    }

    /// By code.
    pub(crate) fn into_groups(self) -> Vec<Group> {
        let columns: Vec<Vec<OwnedKey>> = self.columns.into_iter().map(Interner::into_keys).collect();
        if let [column] = columns.as_slice() {
            return column.iter().map(|key| Box::from([key.clone()])).collect();
        }
        let mut codes: Vec<(Box<[u32]>, u32)> = self.codes.into_iter().collect();
        codes.sort_unstable_by_key(|(_, code)| *code);
        let value = |(code, column): (&u32, &Vec<OwnedKey>)| {
            column.get(*code as usize).cloned().unwrap_or(OwnedKey::Null)
        };
        codes.iter().map(|(tuple, _)| tuple.iter().zip(&columns).map(value).collect()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_float_key_is_ordered_as_the_float_and_reads_back() {
        let floats = [f64::MIN, -1.5, -1.0, -f64::MIN_POSITIVE, 0.0, 5e-324, 1.0, 1.5, f64::MAX];
        for pair in floats.windows(2) {
            assert!(bits_of_float(pair[0]) < bits_of_float(pair[1]), "{pair:?}");
        }
        for float in floats {
            assert_eq!(float_of_bits(bits_of_float(float)).to_bits(), float.to_bits());
        }
        assert_eq!(bits_of_float(-0.0), bits_of_float(0.0));
    }

    #[test]
    fn keys_read_back_with_nulls_wherever_they_are() {
        let cases: [&[Key<'_>]; 5] = [
            &[],
            &[Key::Null, Key::Null, Key::Text("a"), Key::Text(""), Key::Null, Key::Text("bc")],
            &[Key::Null, Key::Int(4), Key::Null, Key::Int(-4)],
            &[Key::Decimal(1), Key::Decimal(2), Key::Null],
            &[Key::Null, Key::Null],
        ];
        for case in cases {
            let mut keys = Keys::default();
            for key in case {
                keys.push(*key);
            }
            let read: Vec<Key<'_>> = (0..keys.len()).map(|index| keys.get(index)).collect();
            assert_eq!(read, case);
        }
    }
}
