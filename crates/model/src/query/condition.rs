//! A filter whose property is a column of a known type, and whose values are of a kind that fits.

use std::cmp::Ordering;

use regex::Regex;

use super::filter::{Op, Scalar, Test, compile};
use crate::number::Floor;
use crate::value::parse_date;
use crate::{Column, ColumnType, DECIMAL_SCALE, Instant, Written, canonical_json};

#[derive(Clone, Debug)]
pub enum Condition {
    Any(Vec<Condition>),
    All(Vec<Condition>),
    /// A column, by its index among the declared ones, put to a test.
    Column(usize, Probe),
    /// A property of the event's actor. In a bound query it has a column, as
    /// [`ActorProps`](super::ActorProps) tells.
    OfActor(String, Probe),
    Cohort(CohortTest),
}

/// Whether the value of a column, which is the one that the query counts by, is in a saved set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CohortTest {
    /// Its index among the declared ones.
    pub column: usize,
    pub column_type: ColumnType,
    pub cohort: String,
    pub membership: Membership,
    /// Where the query names it.
    pub path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    In,
    /// Also those of no one.
    NotIn,
}

impl Membership {
    pub fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::NotIn => "not_in",
        }
    }
}

/// What is asked of a column's value. A missing value satisfies what is said of it and nothing else.
#[derive(Clone, Debug)]
pub enum Probe {
    IsSet,
    IsNotSet,
    /// Equal to one of these; where null is among them, missing is too.
    In {
        operands: Vec<Operand>,
        null: bool,
    },
    /// The opposite.
    NotIn {
        operands: Vec<Operand>,
        null: bool,
    },
    /// Text that holds this, which is in lower case. `NotContains` holds for a missing one.
    Contains(String),
    NotContains(String),
    Matches(Regex),
    Compare(Order, Operand),
    /// Of a column of type `mixed`, whose texts are JSON: of the value that one says, where it is a text,
    /// a number or true or false.
    OfJson(Box<Probe>),
    /// No value satisfies it, whatever it is: a property's values are of another type.
    Never,
    /// Its opposite.
    Always,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A value to compare a column's with: of the column's own kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    Bool(bool),
    Number(Num),
    Text(String),
    Instant(Instant),
    /// Days since 1970-01-01.
    Date(i32),
}

impl Operand {
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

/// A number as JSON gives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Num {
    /// From -2^63 to 2^64.
    Int(i128),
    /// Finite.
    Float(f64),
    /// Of more digits than a float tells apart.
    Decimal(Floor),
}

impl Order {
    pub fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Less => ordering == Ordering::Less,
            Self::LessOrEqual => ordering != Ordering::Greater,
            Self::Greater => ordering == Ordering::Greater,
            Self::GreaterOrEqual => ordering != Ordering::Less,
        }
    }
}

impl Num {
    /// How a stored integer compares with this.
    pub fn compare_int(self, value: i64) -> Ordering {
        match self {
            Self::Int(own) => i128::from(value).cmp(&own),
            Self::Float(own) => int_with_float(i128::from(value), own),
            Self::Decimal(own) => own.compare(i128::from(value) * 10_i128.pow(u32::from(DECIMAL_SCALE))),
        }
    }

    /// How a stored float compares with this.
    pub fn compare_float(self, value: f64) -> Ordering {
        match self {
            Self::Int(own) => int_with_float(own, value).reverse(),
            Self::Float(own) => value.partial_cmp(&own).unwrap_or(Ordering::Equal),
            Self::Decimal(own) => decimal_with_float(own.units, value).reverse(),
        }
    }

    /// How a stored decimal, in units of 10^-[`DECIMAL_SCALE`], compares with this.
    pub fn compare_decimal(self, units: i128) -> Ordering {
        match self {
            Self::Int(own) => units.cmp(&(own * 10_i128.pow(u32::from(DECIMAL_SCALE)))),
            Self::Float(own) => decimal_with_float(units, own),
            Self::Decimal(own) => own.compare(units),
        }
    }
}

fn int_with_float(int: i128, float: f64) -> Ordering {
    const INT_BOUND: f64 = 36_893_488_147_419_103_232.0; // 2^65, past any `Num::Int`
    if float.abs() >= INT_BOUND {
        return if float > 0.0 { Ordering::Less } else { Ordering::Greater };
    }
    let floor = float.floor();
    #[expect(clippy::cast_possible_truncation, reason = "whole, and within 2^65")]
    let whole = floor as i128;
    int.cmp(&whole).then(if float > floor { Ordering::Less } else { Ordering::Equal })
}

/// The float means its shortest decimal text, of which the stored one has nine digits after the point.
fn decimal_with_float(units: i128, float: f64) -> Ordering {
    match crate::value::parse_decimal(&format!("{float:e}")) {
        Some(own) => units.cmp(&own),
        // More digits than are stored, or too great: never equal, and far enough apart for floats.
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        None => {
            let stored = units as f64 / 10_f64.powi(i32::from(DECIMAL_SCALE));
            if stored < float { Ordering::Less } else { Ordering::Greater }
        }
    }
}

impl Condition {
    /// A problem is a sentence part for the fault at the test's `op` or `value`.
    pub(super) fn of(test: &Test, index: usize, column: &Column) -> Result<Self, String> {
        Probe::of(test, column).map(|probe| Self::Column(index, probe))
    }

    /// As [`Condition::of`], of a property that no pack declares. Which types its values have is not the
    /// asker's to know: a value of another type is not equal, and no fault.
    pub(super) fn of_property(test: &Test, index: usize, column: &Column) -> Result<Self, String> {
        Probe::of_property(test, column).map(|probe| Self::Column(index, probe))
    }
}

impl Probe {
    /// A property of an actor, which may be of any type.
    pub(super) fn of_actor(test: &Test) -> Result<Self, String> {
        let column = Column { name: test.prop.clone(), column_type: ColumnType::Mixed, nullable: true };
        Self::of_property(test, &column)
    }

    fn of(test: &Test, column: &Column) -> Result<Self, String> {
        let operand = || match test.values.first() {
            Some(value) => operand(value, column)?.ok_or_else(|| unfit(value, column)),
            None => Err("a value is missing".to_owned()),
        };
        let text = || match (test.values.first(), column.column_type) {
            (Some(Scalar::Text(text)), ColumnType::Text) => Ok(text.as_str()),
            _ => Err(format!(
                "{:?} was given; allowed is that for text only, and {:?} is of type {}",
                test.op.name(),
                column.name,
                column.column_type.name()
            )),
        };
        let probe = match test.op {
            Op::IsSet => Probe::IsSet,
            Op::IsNotSet => Probe::IsNotSet,
            Op::Eq | Op::In => {
                let (operands, null) = operands(&test.values, column)?;
                Probe::In { operands, null }
            }
            Op::Neq | Op::NotIn => {
                let (operands, null) = operands(&test.values, column)?;
                Probe::NotIn { operands, null }
            }
            Op::Contains => Probe::Contains(text()?.to_lowercase()),
            Op::NotContains => Probe::NotContains(text()?.to_lowercase()),
            Op::Matches => Probe::Matches(compile(text()?)?),
            Op::Lt => Probe::Compare(Order::Less, operand()?),
            Op::Lte => Probe::Compare(Order::LessOrEqual, operand()?),
            Op::Gt => Probe::Compare(Order::Greater, operand()?),
            Op::Gte => Probe::Compare(Order::GreaterOrEqual, operand()?),
        };
        Ok(probe)
    }

    fn of_property(test: &Test, column: &Column) -> Result<Self, String> {
        let of_type = |column_type| Column { column_type, ..column.clone() };
        let is_mixed = column.column_type == ColumnType::Mixed;
        let fits = |value: &Scalar| matches!(operand(value, column), Ok(Some(_)));
        match test.op {
            Op::IsSet | Op::IsNotSet => Self::of(test, column),
            Op::Eq | Op::In | Op::Neq | Op::NotIn => {
                let null = test.values.contains(&Scalar::Null);
                let operands = if is_mixed {
                    let set = test.values.iter().filter(|value| **value != Scalar::Null);
                    set.map(|value| Operand::Text(canonical_json(&value.to_json()))).collect()
                } else {
                    let fitting = test.values.iter().filter(|value| fits(value));
                    fitting
                        .filter_map(|value| operand(value, column).transpose())
                        .collect::<Result<_, _>>()?
                };
                let is_in = matches!(test.op, Op::Eq | Op::In);
                Ok(if is_in { Self::In { operands, null } } else { Self::NotIn { operands, null } })
            }
            Op::Contains | Op::NotContains | Op::Matches => {
                let of_text = Self::of(test, &of_type(ColumnType::Text))?;
                Ok(match (column.column_type, test.op) {
                    (ColumnType::Text, _) => of_text,
                    (ColumnType::Mixed, _) => Self::OfJson(Box::new(of_text)),
                    (_, Op::NotContains) => Self::Always,
                    (_, _) => Self::Never,
                })
            }
            Op::Lt | Op::Lte | Op::Gt | Op::Gte => {
                let own = match test.values.first() {
                    _ if !is_mixed => column.column_type,
                    Some(Scalar::Text(_)) => ColumnType::Text,
                    _ => ColumnType::Float,
                };
                if !is_mixed && !test.values.iter().all(fits) {
                    return Ok(Self::Never);
                }
                let plain = Self::of(test, &of_type(own))?;
                Ok(if is_mixed { Self::OfJson(Box::new(plain)) } else { plain })
            }
        }
    }
}

fn operands(values: &[Scalar], column: &Column) -> Result<(Vec<Operand>, bool), String> {
    let mut operands = Vec::with_capacity(values.len());
    let mut null = false;
    for value in values {
        match operand(value, column)? {
            Some(operand) => operands.push(operand),
            None => null = true,
        }
    }
    Ok((operands, null))
}

/// `None` for null.
fn operand(value: &Scalar, column: &Column) -> Result<Option<Operand>, String> {
    let error = || unfit(value, column);
    let operand = match (value, column.column_type) {
        (Scalar::Null, _) => return Ok(None),
        (Scalar::Bool(value), ColumnType::Bool) => Operand::Bool(*value),
        (Scalar::Text(text), ColumnType::Text) => Operand::Text(text.clone()),
        (value, ColumnType::Mixed) => Operand::Text(canonical_json(&value.to_json())),
        (Scalar::Text(text), ColumnType::Timestamp) => {
            Operand::Instant(Instant::parse(text).map_err(|_| error())?)
        }
        (Scalar::Text(text), ColumnType::Date) => Operand::Date(parse_date(text).ok_or_else(error)?),
        (Scalar::Number(number), ColumnType::Int | ColumnType::Float | ColumnType::Decimal) => {
            Operand::Number(num(number).ok_or_else(error)?)
        }
        (Scalar::Digits(text), ColumnType::Int | ColumnType::Float | ColumnType::Decimal) => {
            Operand::Number(num_of_digits(text, column.column_type).ok_or_else(error)?)
        }
        (_, _) => return Err(error()),
    };
    Ok(Some(operand))
}

/// What the digits of a number say to a column of this type: a float is the one nearest to them.
fn num_of_digits(text: &str, column_type: ColumnType) -> Option<Num> {
    if column_type == ColumnType::Float {
        return text.parse().ok().filter(|float: &f64| float.is_finite()).map(Num::Float);
    }
    Floor::of(text).map(Num::Decimal)
}

fn num(number: &serde_json::Number) -> Option<Num> {
    let int = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    int.map(Num::Int).or_else(|| number.as_f64().filter(|float| float.is_finite()).map(Num::Float))
}

fn unfit(value: &Scalar, column: &Column) -> String {
    let given: String = Written(&value.to_json()).to_string().chars().take(80).collect();
    let allowed = match column.column_type {
        ColumnType::Int | ColumnType::Float | ColumnType::Decimal => "a number",
        ColumnType::Bool => "true or false",
        ColumnType::Text => "text",
        ColumnType::Mixed => "any value",
        ColumnType::Timestamp => Instant::ALLOWED,
        ColumnType::Date => "a date, such as \"2026-11-20\"",
    };
    format!(
        "{given} was given; allowed is {allowed}, since {:?} is of type {}",
        column.name,
        column.column_type.name()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_different_kinds_compare_exactly() {
        let big = 9_007_199_254_740_993_i64; // 2^53 + 1, which no float is
        assert_eq!(Num::Float(9_007_199_254_740_992.0).compare_int(big), Ordering::Greater);
        assert_eq!(Num::Int(i128::from(big)).compare_float(9_007_199_254_740_992.0), Ordering::Less);
        assert_eq!(Num::Float(5.5).compare_int(5), Ordering::Less);
        assert_eq!(Num::Float(-5.5).compare_int(-5), Ordering::Greater);
        assert_eq!(Num::Float(5.0).compare_int(5), Ordering::Equal);
        assert_eq!(Num::Float(1e300).compare_int(i64::MAX), Ordering::Less);
        assert_eq!(Num::Float(-1e300).compare_int(i64::MIN), Ordering::Greater);
        assert_eq!(Num::Float(0.1).compare_decimal(100_000_000), Ordering::Equal);
        assert_eq!(Num::Int(2).compare_decimal(2_000_000_001), Ordering::Greater);
        assert_eq!(Num::Float(0.123_456_789_01).compare_decimal(123_456_789), Ordering::Less);
        assert_eq!(Num::Float(1e300).compare_decimal(i128::MAX), Ordering::Less);
        let long = |text: &str| Num::Decimal(Floor::of(text).unwrap());
        let stored = 90_071_992_547_409_930_000_000;
        assert_eq!(long("90071992547409.93").compare_decimal(stored), Ordering::Equal);
        assert_eq!(long("90071992547409.9300000001").compare_decimal(stored), Ordering::Less);
        assert_eq!(long("90071992547409.9299999999").compare_decimal(stored), Ordering::Greater);
        assert_eq!(long("-90071992547409.9300000001").compare_decimal(-stored), Ordering::Greater);
        assert_eq!(long("9007199254740993.0").compare_int(big), Ordering::Equal);
        assert_eq!(long("9007199254740993.5").compare_int(big), Ordering::Less);
    }
}
