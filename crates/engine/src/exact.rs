//! Sums and means that are exact in decimal: each number means its shortest decimal text, digits add up
//! as integers, and a result is rounded once, at the end. So it depends neither on the order of rows nor
//! on how they were spread over threads.

use std::cmp::Ordering;

use ebbtide_model::{DECIMAL_SCALE, exact_number};
use num_bigint::{BigInt, BigUint, Sign};
use serde_json::Value as Json;

/// A decimal number: `digits` · 10^`exponent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    digits: i128,
    exponent: i16,
}

impl Decimal {
    pub fn of_int(value: i64) -> Self {
        Self { digits: i128::from(value), exponent: 0 }
    }

    /// Of a stored decimal, in units of 10^-[`DECIMAL_SCALE`].
    pub fn of_units(units: i128) -> Self {
        Self::of_scaled(units, i16::from(DECIMAL_SCALE))
    }

    /// `units` of 10^-`scale`.
    pub fn of_scaled(units: i128, scale: i16) -> Self {
        Self { digits: units, exponent: -scale }
    }

    /// In units of 10^-`scale`, rounded half away from zero; `None` past 128 bits.
    pub fn units(self, scale: i16) -> Option<i128> {
        let shift = i32::from(self.exponent) + i32::from(scale);
        let power = 10_i128.checked_pow(shift.unsigned_abs());
        if shift >= 0 {
            // Nothing, moved however far, is nothing.
            return if self.digits == 0 { Some(0) } else { self.digits.checked_mul(power?) };
        }
        // Past the largest power nothing of the number is left, not even a half.
        let Some(power) = power else {
            return Some(0);
        };
        let (quotient, rest) = (self.digits / power, self.digits % power);
        // |rest| < 10^38, so its double may not fit: compare with the distance to the next multiple.
        let away = rest.abs() >= power - rest.abs();
        quotient.checked_add(if away { self.digits.signum() } else { 0 })
    }

    /// The shortest decimal that reads back as `value`; `None` for what is no number.
    pub fn of_f64(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        short_decimal(value).or_else(|| printed_decimal(value))
    }
}

/// Decimals of up to 15 digits are told apart by any float, so one that reads back as `value` is what
/// its shortest text says, whichever way it was found. Most amounts end here, without being printed.
fn short_decimal(value: f64) -> Option<Decimal> {
    const DIGITS_15: f64 = 1e15;
    for (power, exponent) in [(1e0, 0), (1e2, -2), (1e4, -4), (1e9, -9)] {
        let scaled = (value * power).round();
        if scaled.abs() > DIGITS_15 {
            return None;
        }
        // `power` and `scaled` are exact, and a division is rounded as reading a decimal is.
        #[expect(clippy::float_cmp, reason = "equality is the question: does it read back?")]
        if scaled / power == value {
            #[expect(clippy::cast_possible_truncation, reason = "whole, and at most 10^15")]
            return Some(Decimal { digits: i128::from(scaled as i64), exponent });
        }
    }
    None
}

fn printed_decimal(value: f64) -> Option<Decimal> {
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e')?;
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: i128 = format!("{integer}{fraction}").parse().ok()?;
    let places = i16::try_from(fraction.len()).ok()?;
    Some(Decimal { digits, exponent: exponent.parse::<i16>().ok()? - places })
}

/// An exact sum of decimals. Sums of parts of the rows merge into the sum of all, in any order.
#[derive(Clone, Debug, Default)]
pub struct ExactSum {
    /// By exponent, ascending.
    parts: Vec<PartialSum>,
}

#[derive(Clone, Debug)]
struct PartialSum {
    exponent: i16,
    low: i128,
    /// What no longer fitted `low`.
    high: BigInt,
}

impl ExactSum {
    pub fn add(&mut self, number: Decimal) {
        let part = self.part(number.exponent);
        part.add(number.digits);
    }

    pub fn add_int(&mut self, value: i64) {
        self.add(Decimal::of_int(value));
    }

    /// Passes over what is no number; a stored float always is one.
    pub fn add_f64(&mut self, value: f64) {
        if let Some(number) = Decimal::of_f64(value) {
            self.add(number);
        }
    }

    /// Of a stored decimal, in units of 10^-[`DECIMAL_SCALE`].
    pub fn add_units(&mut self, units: i128) {
        self.add(Decimal::of_units(units));
    }

    /// Adds a number `times` times.
    pub fn add_times(&mut self, number: Decimal, times: u32) {
        match number.digits.checked_mul(i128::from(times)) {
            Some(digits) => self.part(number.exponent).add(digits),
            None => self.part(number.exponent).high += BigInt::from(number.digits) * times,
        }
    }

    pub fn merge(&mut self, other: &Self) {
        for theirs in &other.parts {
            let own = self.part(theirs.exponent);
            own.add(theirs.low);
            own.high += &theirs.high;
        }
    }

    pub fn total(&self) -> Ratio {
        let Some(lowest) = self.parts.first().map(|part| part.exponent) else {
            return Ratio::whole(0);
        };
        let mut units = BigInt::ZERO;
        for part in &self.parts {
            let shift = u32::from((part.exponent - lowest).unsigned_abs());
            units += (BigInt::from(part.low) + &part.high) * BigInt::from(10).pow(shift);
        }
        let power = BigUint::from(10_u32).pow(u32::from(lowest.unsigned_abs()));
        if lowest < 0 {
            Ratio { numerator: units, denominator: power }
        } else {
            Ratio { numerator: units * BigInt::from(power), denominator: BigUint::from(1_u32) }
        }
    }

    /// The sum over `count`; `None` over nothing.
    pub fn mean(&self, count: u64) -> Option<Ratio> {
        self.total().over(count)
    }

    /// Appends the sum in a form of its own, for [`Self::decode`].
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        for part in &self.parts {
            let digits = (BigInt::from(part.low) + &part.high).to_signed_bytes_le();
            bytes.extend_from_slice(&part.exponent.to_le_bytes());
            bytes.extend_from_slice(&u32::try_from(digits.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend_from_slice(&digits);
        }
    }

    /// `None` where the bytes are not those of a sum.
    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut sum = Self::default();
        while !bytes.is_empty() {
            let (exponent, rest) = bytes.split_first_chunk()?;
            let (length, rest) = rest.split_first_chunk()?;
            let (digits, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
            let digits = BigInt::from_signed_bytes_le(digits);
            let part = sum.part(i16::from_le_bytes(*exponent));
            match i128::try_from(&digits) {
                Ok(digits) => part.add(digits),
                Err(_) => part.high += digits,
            }
            bytes = rest;
        }
        Some(sum)
    }

    /// Bytes that the sum holds besides itself, all but the rare digits past 128 bits.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.parts.capacity() * size_of::<PartialSum>()
    }

    fn part(&mut self, exponent: i16) -> &mut PartialSum {
        let index = match self.parts.binary_search_by_key(&exponent, |part| part.exponent) {
            Ok(index) => index,
            Err(index) => {
                // Most sums have one exponent or two, and there may be one sum for each of many groups.
                self.parts.reserve_exact(1);
                self.parts.insert(index, PartialSum { exponent, low: 0, high: BigInt::ZERO });
                index
            }
        };
        &mut self.parts[index]
    }
}

impl PartialSum {
    fn add(&mut self, digits: i128) {
        if let Some(sum) = self.low.checked_add(digits) {
            self.low = sum;
        } else {
            self.high += self.low;
            self.low = digits;
        }
    }
}

/// An exact fraction. Nothing is rounded until one of its methods says how.
#[derive(Clone, Debug)]
pub struct Ratio {
    numerator: BigInt,
    /// Never zero.
    denominator: BigUint,
}

impl Ratio {
    pub fn whole(value: i64) -> Self {
        Self { numerator: BigInt::from(value), denominator: BigUint::from(1_u32) }
    }

    pub fn count(count: u64) -> Self {
        Self { numerator: BigInt::from(count), denominator: BigUint::from(1_u32) }
    }

    /// `None` over nothing.
    pub fn new(numerator: impl Into<BigInt>, denominator: impl Into<BigUint>) -> Option<Self> {
        let denominator = denominator.into();
        (denominator != BigUint::ZERO).then(|| Self { numerator: numerator.into(), denominator })
    }

    /// This divided by a count; `None` over nothing.
    pub fn over(self, count: u64) -> Option<Self> {
        (count > 0).then(|| Self { numerator: self.numerator, denominator: self.denominator * count })
    }

    /// This over `other`; `None` where that is nothing.
    pub fn divided_by(self, other: &Self) -> Option<Self> {
        let denominator = self.denominator * other.numerator.magnitude();
        let numerator = self.numerator * BigInt::from(other.denominator.clone());
        let numerator = if other.numerator.sign() == Sign::Minus { -numerator } else { numerator };
        Self::new(numerator, denominator)
    }

    #[must_use]
    pub fn plus(self, other: &Self) -> Self {
        if self.denominator == other.denominator {
            return Self { numerator: self.numerator + &other.numerator, denominator: self.denominator };
        }
        let numerator = self.numerator * BigInt::from(other.denominator.clone())
            + &other.numerator * BigInt::from(self.denominator.clone());
        Self { numerator, denominator: self.denominator * &other.denominator }
    }

    #[must_use]
    pub fn minus(self, other: &Self) -> Self {
        self.plus(&other.negative())
    }

    #[must_use]
    pub fn negative(&self) -> Self {
        Self { numerator: -self.numerator.clone(), denominator: self.denominator.clone() }
    }

    #[must_use]
    pub fn times(self, other: &Self) -> Self {
        Self {
            numerator: self.numerator * &other.numerator,
            denominator: self.denominator * &other.denominator,
        }
    }

    /// The nearest float, ties to even; the largest finite one where none is near.
    pub fn to_f64(&self) -> f64 {
        let magnitude = nearest_f64(self.numerator.magnitude(), &self.denominator);
        if self.numerator.sign() == Sign::Minus { -magnitude } else { magnitude }
    }

    /// The integer that this is, where it is one that an i64 holds.
    pub fn to_i64(&self) -> Option<i64> {
        let divisor = BigInt::from(self.denominator.clone());
        let quotient = &self.numerator / &divisor;
        if &quotient * divisor == self.numerator { i64::try_from(quotient).ok() } else { None }
    }

    /// Rounded half away from zero to so many decimals. Itself exact.
    #[must_use]
    pub fn rounded(&self, decimals: u8) -> Self {
        let power = BigUint::from(10_u32).pow(u32::from(decimals));
        let doubled = self.numerator.magnitude() * &power * 2_u32 + &self.denominator;
        let units = doubled / (&self.denominator * 2_u32);
        Self { numerator: BigInt::from_biguint(self.numerator.sign(), units), denominator: power }
    }

    /// A number with as many digits after the point as a stored decimal has, exactly; any other as the nearest float.
    pub fn to_json(&self) -> Json {
        let scale = u32::from(DECIMAL_SCALE);
        let scaled = &self.numerator * BigInt::from(10_u32).pow(scale);
        let divisor = BigInt::from(self.denominator.clone());
        let units = &scaled / &divisor;
        if &units * divisor == scaled {
            exact_number(&decimal_text(&units.to_string(), DECIMAL_SCALE.cast_signed()))
        } else {
            Json::from(self.to_f64())
        }
    }
}

/// The shortest text of a decimal, from its digits and how many of them follow the point.
pub(crate) fn decimal_text(units: &str, scale: i8) -> String {
    let (sign, digits) = match units.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", units),
    };
    if scale <= 0 {
        return format!("{sign}{digits}{}", "0".repeat(usize::from(scale.unsigned_abs())));
    }
    let scale = usize::from(scale.unsigned_abs());
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (integer, fraction) = digits.split_at(digits.len() - scale);
    match fraction.trim_end_matches('0') {
        "" => format!("{sign}{integer}"),
        fraction => format!("{sign}{integer}.{fraction}"),
    }
}

/// Compares `left.0 / left.1` with `right.0 / right.1` without a product that could overflow, by their
/// continued fractions. Denominators are not zero.
pub fn compare_ratios(left: (u128, u128), right: (u128, u128)) -> Ordering {
    let (mut left, mut right) = (left, right);
    loop {
        let order = (left.0 / left.1).cmp(&(right.0 / right.1));
        let (left_rest, right_rest) = (left.0 % left.1, right.0 % right.1);
        match (order, left_rest, right_rest) {
            (Ordering::Equal, 0, 0) => return Ordering::Equal,
            (Ordering::Equal, 0, _) => return Ordering::Less,
            (Ordering::Equal, _, 0) => return Ordering::Greater,
            // a + 1/x < a + 1/y where x > y, so the sides change places.
            (Ordering::Equal, _, _) => {
                (left, right) = ((right.1, right_rest), (left.1, left_rest));
            }
            (unequal, _, _) => return unequal,
        }
    }
}

const MANTISSA_BITS: u64 = 53;
/// The exponent of the smallest float, 2^-1074.
const ULP_EXPONENT_MIN: i64 = -1074;
/// The exponent of the last place of the largest floats.
const ULP_EXPONENT_MAX: i64 = 971;

fn nearest_f64(numerator: &BigUint, denominator: &BigUint) -> f64 {
    if *numerator == BigUint::ZERO {
        return 0.0;
    }
    let bits = |number: &BigUint| i64::try_from(number.bits()).unwrap_or(i64::MAX);
    // The quotient has 53 or 54 bits in units of 2^exponent (fewer at the small end): one try more
    // where it has 54.
    let mut exponent = (bits(numerator) - bits(denominator) - 53).max(ULP_EXPONENT_MIN);
    let (mut quotient, mut rest, mut divisor) = divide(numerator, denominator, exponent);
    if quotient.bits() > MANTISSA_BITS {
        exponent += 1;
        (quotient, rest, divisor) = divide(numerator, denominator, exponent);
    }
    let Ok(mut mantissa) = u64::try_from(&quotient) else {
        return f64::MAX;
    };
    match (rest * 2_u32).cmp(&divisor) {
        Ordering::Greater => mantissa += 1,
        Ordering::Equal => mantissa += mantissa & 1,
        Ordering::Less => {}
    }
    if exponent > ULP_EXPONENT_MAX {
        return f64::MAX;
    }
    // Exact: the mantissa has at most 53 bits, or is 2^53.
    let value = mantissa as f64 * power_of_two(exponent);
    value.min(f64::MAX)
}

/// `numerator / denominator` in units of 2^`exponent`: quotient, rest, and what the rest is over.
fn divide(numerator: &BigUint, denominator: &BigUint, exponent: i64) -> (BigUint, BigUint, BigUint) {
    let shift = exponent.unsigned_abs();
    let (dividend, divisor) = if exponent < 0 {
        (numerator << shift, denominator.clone())
    } else {
        (numerator.clone(), denominator << shift)
    };
    (&dividend / &divisor, &dividend % &divisor, divisor)
}

/// 2^`exponent`, for exponents from -1074 to 1023.
fn power_of_two(exponent: i64) -> f64 {
    const NORMAL_MIN: i64 = -1022;
    let bits = if exponent < NORMAL_MIN {
        1_u64 << (exponent - ULP_EXPONENT_MIN).unsigned_abs()
    } else {
        (exponent + 1023).unsigned_abs() << 52
    };
    f64::from_bits(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(values: &[f64]) -> ExactSum {
        let mut sum = ExactSum::default();
        for value in values {
            sum.add_f64(*value);
        }
        sum
    }

    /// A repeatable stream of bits (xorshift).
    fn random(seed: u64) -> impl FnMut() -> u64 {
        let mut state = seed;
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        }
    }

    #[test]
    fn a_sum_is_that_of_the_decimal_texts() {
        let check = |values: &[f64], want: f64| assert_eq!(sum(values).total().to_f64(), want, "{values:?}");
        check(&[0.1, 0.2], 0.3);
        check(&[0.1; 10], 1.0);
        check(&[1e300, 1.0, -1e300], 1.0);
        check(&[1e-320, 1e-320], 2e-320);
        check(&[f64::MAX, f64::MAX], f64::MAX);
        check(&[f64::MAX], f64::MAX);
        check(&[f64::MIN_POSITIVE], f64::MIN_POSITIVE);
        check(&[5e-324], 5e-324);
        check(&[], 0.0);
        check(&[-0.5, 0.25], -0.25);
    }

    #[test]
    fn order_and_partition_make_no_difference() {
        let mut bits = random(7);
        for _ in 0..200 {
            let values: Vec<f64> =
                (0..50).map(|_| f64::from_bits(bits())).filter(|value| value.is_finite()).collect();
            let forward = sum(&values).total().to_f64();
            let mut backward = sum(&values[values.len() / 2..]);
            backward.merge(&sum(&values[..values.len() / 2]));
            assert_eq!(backward.total().to_f64().to_bits(), forward.to_bits());
        }
    }

    #[test]
    fn a_sum_survives_its_encoding() {
        let mut bits = random(23);
        for length in 0..40 {
            let values: Vec<f64> = (0..length).map(|_| f64::from_bits(bits())).collect();
            let mut sum = sum(&values);
            sum.add_times(Decimal::of_units(i128::MAX), 3);
            let mut bytes = Vec::new();
            sum.encode(&mut bytes);
            let decoded = ExactSum::decode(&bytes).unwrap();
            assert_eq!(decoded.total().numerator, sum.total().numerator);
            assert!(ExactSum::decode(&bytes[..bytes.len() - 1]).is_none());
        }
    }

    #[test]
    fn any_float_reads_back_from_its_decimal() {
        let mut bits = random(11);
        for _ in 0..20_000 {
            let value = f64::from_bits(bits());
            if value.is_finite() {
                assert_eq!(sum(&[value]).total().to_f64(), value);
            }
            #[expect(clippy::cast_precision_loss, reason = "any float will do")]
            let amount = (bits() % 1_000_000_000) as f64 / 100.0;
            assert_eq!(Decimal::of_f64(amount).unwrap().exponent % 2, 0, "{amount} takes the short way");
            assert_eq!(sum(&[amount]).total().to_f64(), amount);
        }
    }

    #[test]
    fn the_short_way_to_a_decimal_agrees_with_the_printed_text() {
        let mut bits = random(13);
        for _ in 0..20_000 {
            let value = f64::from_bits((bits() >> 2) | (0x3f << 56) & bits());
            let (Some(short), Some(printed)) = (short_decimal(value), printed_decimal(value)) else {
                continue;
            };
            let total = |number| {
                let mut sum = ExactSum::default();
                sum.add(number);
                sum.total().plus(&Ratio::whole(0))
            };
            let (short, printed) = (total(short), total(printed));
            assert_eq!(
                &short.numerator * BigInt::from(printed.denominator.clone()),
                &printed.numerator * BigInt::from(short.denominator.clone())
            );
        }
    }

    #[test]
    fn a_decimal_sum_may_outgrow_128_bits() {
        let mut sum = ExactSum::default();
        let big = 10_i128.pow(38) - 1;
        for _ in 0..1000 {
            sum.add_units(big);
        }
        sum.add_times(Decimal::of_units(big), 1000);
        for _ in 0..2000 {
            sum.add_units(-big);
        }
        sum.add_units(1_500_000_000);
        assert_eq!(sum.total().to_f64(), 1.5);
    }

    #[test]
    fn rounding_is_half_away_from_zero_on_the_exact_value() {
        let check = |values: &[f64], count: u64, decimals, want: &str| {
            let mean = sum(values).mean(count).unwrap();
            assert_eq!(mean.rounded(decimals).to_json().to_string(), want, "{values:?}");
        };
        check(&[1.005], 1, 2, "1.01");
        check(&[-1.005], 1, 2, "-1.01");
        check(&[2.5], 1, 0, "3");
        check(&[-0.4], 1, 0, "0");
        check(&[1.0, 1.0, 0.0], 3, 4, "0.6667");
        check(&[2.0, 4.0], 2, 2, "3");
        assert!(sum(&[1.0]).mean(0).is_none());
    }

    #[test]
    fn a_ratio_becomes_the_float_that_division_gives() {
        let mut bits = random(17);
        for _ in 0..20_000 {
            let (left, right) = (bits() >> 12, (bits() >> (12 + bits() % 40)) + 1);
            #[expect(clippy::cast_precision_loss, reason = "below 2^53, so exact")]
            let want = left as f64 / right as f64;
            assert_eq!(Ratio::new(left, right).unwrap().to_f64(), want, "{left}/{right}");
        }
        assert!(Ratio::new(1, 0_u32).is_none());
    }

    #[test]
    fn fractions_are_reckoned_with_exactly() {
        let half = || Ratio::new(1, 2_u32).unwrap();
        let third = || Ratio::new(-1, 3_u32).unwrap();
        let check =
            |ratio: Ratio, want: &str| assert_eq!(ratio.times(&Ratio::whole(12)).to_json().to_string(), want);
        check(half().plus(&third()), "2");
        check(half().minus(&third()), "10");
        check(half().times(&third()), "-2");
        check(half().divided_by(&third()).unwrap(), "-18");
        check(third().divided_by(&third()).unwrap(), "12");
        assert!(half().divided_by(&Ratio::whole(0)).is_none());
    }

    #[test]
    fn ratios_compare_without_overflow() {
        let mut bits = random(19);
        for _ in 0..20_000 {
            let mut side = || (u128::from(bits() >> 32), u128::from(bits() >> (32 + bits() % 20)) + 1);
            let (left, right) = (side(), side());
            assert_eq!(compare_ratios(left, right), (left.0 * right.1).cmp(&(right.0 * left.1)));
        }
        let huge = u128::MAX;
        assert_eq!(compare_ratios((huge, 3), (huge, 3)), Ordering::Equal);
        assert_eq!(compare_ratios((huge, huge - 1), (huge - 1, huge - 2)), Ordering::Less);
    }
}
