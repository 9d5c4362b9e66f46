//! Distinct values, each with a number of its own: grouping, comparing and counting then go by small numbers,
//! and what is asked of a value is asked once.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use datafusion::common::{DataFusionError, Result};
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::{BuildHasher, Hash};

/// What stands for no number.
pub(crate) const NONE: u32 = u32::MAX;

/// Values whose number is at hand.
const RECENT: usize = 256;

/// Values of one column or expression, numbered in the order in which they were met. Null is one of them.
#[derive(Clone, Debug)]
pub(super) struct Values {
    data_type: DataType,
    known: Known,
    null: u32,
    numbers: HashTable<Numbered>,
    hasher: DefaultHashBuilder,
}

/// The number of a value, with half of its hash: what is of another hash is no other spelling of the same, and a table
/// that grows asks no value again.
#[derive(Clone, Copy, Debug)]
struct Numbered {
    hash: u32,
    number: u32,
}

#[derive(Clone, Debug)]
enum Known {
    Numbers(Vec<i64>),
    Texts { all: String, ends: Vec<usize> },
}

impl Values {
    /// `None` for a type whose values are not numbered.
    pub(super) fn new(data_type: &DataType) -> Option<Self> {
        let known = match data_type {
            DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => {
                Known::Texts { all: String::new(), ends: Vec::new() }
            }
            DataType::Int64
            | DataType::Int32
            | DataType::Boolean
            | DataType::Date32
            | DataType::Timestamp(TimeUnit::Microsecond, _) => Known::Numbers(Vec::new()),
            _ => return None,
        };
        Some(Self {
            data_type: data_type.clone(),
            known,
            null: NONE,
            numbers: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        })
    }

    pub(super) fn len(&self) -> usize {
        match &self.known {
            Known::Numbers(numbers) => numbers.len(),
            Known::Texts { ends, .. } => ends.len(),
        }
    }

    /// The number of null, or [`NONE`].
    pub(super) fn null(&self) -> u32 {
        self.null
    }

    pub(super) fn bytes(&self) -> usize {
        let values = match &self.known {
            Known::Numbers(numbers) => numbers.capacity() * size_of::<i64>(),
            Known::Texts { all, ends } => all.capacity() + ends.capacity() * size_of::<usize>(),
        };
        values + self.numbers.allocation_size()
    }

    /// Appends the numbers of an array's values, which get one where they have none.
    pub(super) fn number(&mut self, array: &ArrayRef, into: &mut Vec<u32>) -> Result<()> {
        into.reserve(array.len());
        if matches!(self.known, Known::Texts { .. }) {
            let texts = cast(array, &DataType::Utf8)?;
            let texts = texts.as_string::<i32>();
            let mut last = (NONE, "");
            let mut recent = [(NONE, ""); RECENT];
            for row in 0..texts.len() {
                if texts.is_null(row) {
                    into.push(self.number_of_null()?);
                    continue;
                }
                let text = texts.value(row);
                if last.0 == NONE || last.1 != text {
                    let hash = self.hash(text);
                    let place = &mut recent[hash as usize % RECENT];
                    if place.0 == NONE || place.1 != text {
                        *place = (self.number_of_text(hash, text)?, text);
                    }
                    last = *place;
                }
                into.push(last.0);
            }
            return Ok(());
        }
        let numbers = as_numbers(array)?;
        let numbers = numbers.as_primitive::<Int64Type>();
        // Rows mostly have one of a few values that were there not long ago.
        let mut recent = [(0_i64, NONE); RECENT];
        for row in 0..numbers.len() {
            if numbers.is_null(row) {
                into.push(self.number_of_null()?);
                continue;
            }
            let value = numbers.value(row);
            let place = &mut recent[recent_place(value)];
            if place.1 == NONE || place.0 != value {
                *place = (value, self.number_of_number(value)?);
            }
            into.push(place.1);
        }
        Ok(())
    }

    fn number_of_null(&mut self) -> Result<u32> {
        if self.null == NONE {
            self.null = self.next()?;
            match &mut self.known {
                Known::Numbers(numbers) => numbers.push(0),
                Known::Texts { all, ends } => ends.push(all.len()),
            }
        }
        Ok(self.null)
    }

    fn number_of_text(&mut self, hash: u32, text: &str) -> Result<u32> {
        if let Some(number) = self.find_text(hash, text) {
            return Ok(number);
        }
        let number = self.next()?;
        if let Known::Texts { all, ends } = &mut self.known {
            all.push_str(text);
            ends.push(all.len());
            self.insert(Numbered { hash, number });
        }
        Ok(number)
    }

    fn number_of_number(&mut self, value: i64) -> Result<u32> {
        let hash = self.hash(value);
        if let Some(number) = self.find_number(hash, value) {
            return Ok(number);
        }
        let number = self.next()?;
        if let Known::Numbers(values) = &mut self.known {
            values.push(value);
            self.insert(Numbered { hash, number });
        }
        Ok(number)
    }

    fn insert(&mut self, numbered: Numbered) {
        self.numbers.insert_unique(spread(numbered.hash), numbered, |known| spread(known.hash));
    }

    fn find_text(&self, hash: u32, text: &str) -> Option<u32> {
        let Known::Texts { all, ends } = &self.known else { return None };
        let is_it = |known: &Numbered| known.hash == hash && text_at(all, ends, known.number) == text;
        self.numbers.find(spread(hash), is_it).map(|known| known.number)
    }

    fn find_number(&self, hash: u32, value: i64) -> Option<u32> {
        let Known::Numbers(values) = &self.known else { return None };
        let is_it = |known: &Numbered| known.hash == hash && number_at(values, known.number) == value;
        self.numbers.find(spread(hash), is_it).map(|known| known.number)
    }

    fn hash(&self, value: impl Hash) -> u32 {
        let hash = self.hasher.hash_one(value);
        u32::try_from(hash >> 32).unwrap_or(u32::MAX)
    }

    /// By the number of another's value, which number it has here, or [`NONE`]: null is equal to nothing.
    pub(super) fn numbers_of(&self, other: &Self) -> Vec<u32> {
        let find = |number: u32| match &other.known {
            _ if number == other.null => None,
            Known::Texts { all, ends } => {
                let text = text_at(all, ends, number);
                self.find_text(self.hash(text), text)
            }
            Known::Numbers(values) => {
                let value = number_at(values, number);
                self.find_number(self.hash(value), value)
            }
        };
        (0..u32::try_from(other.len()).unwrap_or(NONE)).map(|number| find(number).unwrap_or(NONE)).collect()
    }

    fn next(&self) -> Result<u32> {
        let next = u32::try_from(self.len()).ok().filter(|number| *number < NONE);
        next.ok_or_else(|| DataFusionError::ResourcesExhausted("a column has too many values".to_owned()))
    }

    /// The values from this number on, as an array of their type.
    pub(super) fn array(&self, from: usize) -> Result<ArrayRef> {
        let len = self.len().saturating_sub(from);
        let null = (self.null != NONE).then_some(self.null as usize).filter(|null| *null >= from);
        let nulls: Option<NullBuffer> =
            null.map(|null| (from..self.len()).map(|number| number != null).collect());
        let array: ArrayRef = match &self.known {
            Known::Texts { all, ends } => {
                let texts = (from..self.len()).map(|number| {
                    (Some(number) != null).then(|| text_at(all, ends, u32::try_from(number).unwrap_or(NONE)))
                });
                Arc::new(texts.collect::<StringArray>())
            }
            Known::Numbers(values) => {
                let values = values.get(from..).unwrap_or_default();
                match &self.data_type {
                    DataType::Boolean => {
                        let bits = values.iter().map(|value| *value != 0).collect();
                        Arc::new(BooleanArray::new(bits, nulls))
                    }
                    DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                        let array = TimestampMicrosecondArray::new(values.to_vec().into(), nulls);
                        Arc::new(array.with_timezone_opt(zone.clone()))
                    }
                    DataType::Date32 => Arc::new(Date32Array::new(narrowed(values).into(), nulls)),
                    DataType::Int32 => Arc::new(Int32Array::new(narrowed(values).into(), nulls)),
                    _ => Arc::new(Int64Array::new(values.to_vec().into(), nulls)),
                }
            }
        };
        debug_assert_eq!(array.len(), len, "one value for each number");
        if *array.data_type() == self.data_type { Ok(array) } else { Ok(cast(&array, &self.data_type)?) }
    }
}

/// A table goes by the lowest bits of a hash, and by the highest.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

fn recent_place(value: i64) -> usize {
    let mixed = value.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - RECENT.ilog2());
    usize::try_from(mixed).unwrap_or(0)
}

fn text_at<'t>(all: &'t str, ends: &[usize], number: u32) -> &'t str {
    let number = number as usize;
    let start = number.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    ends.get(number).and_then(|end| all.get(start..*end)).unwrap_or_default()
}

fn number_at(values: &[i64], number: u32) -> i64 {
    values.get(number as usize).copied().unwrap_or_default()
}

/// They were of 32 bits before.
fn narrowed(values: &[i64]) -> Vec<i32> {
    values.iter().map(|value| i32::try_from(*value).unwrap_or_default()).collect()
}

/// Any value of 64 bits or less as a number.
fn as_numbers(array: &ArrayRef) -> Result<ArrayRef> {
    Ok(match array.data_type() {
        DataType::Date32 => cast(&cast(array, &DataType::Int32)?, &DataType::Int64)?,
        _ => cast(array, &DataType::Int64)?,
    })
}
