//! Numbers of JSON with more digits than 64 bits tell apart, which a decimal column may hold.
//!
//! [`Json`] has no place for them: it would take the nearest float. Here such a number is an object of one field, whose
//! name nobody gives a column, and whose value is the number's text. Whoever reads or writes JSON that may hold one goes
//! by way of this module; every other number is as it always was.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

use crate::{DECIMAL_PRECISION, DECIMAL_SCALE};

const FIELD: &str = "\u{0}number";

/// Any float tells decimals of so many digits apart.
const SHORT_DIGITS: usize = 15;
/// Without an exponent, a number as long as this is far from the ends of a float's range.
const SHORT_BYTES: usize = 300;

/// The number that a plain decimal text says: an integer where 64 bits hold it, a float where its shortest text says
/// the same, else all of its digits.
pub fn exact_number(text: &str) -> Json {
    if let Ok(integer) = text.parse::<i64>() {
        return Json::from(integer);
    }
    match text.parse::<f64>() {
        Ok(float) if float.is_finite() && says(float, text) => Json::from(float),
        _ => of_digits(text),
    }
}

/// A number that is an object here.
fn of_digits(text: &str) -> Json {
    Json::Object(Map::from_iter([(FIELD.to_owned(), Json::from(text))]))
}

/// The text of a number with more digits than 64 bits tell apart; `None` for all other JSON.
pub fn digits(json: &Json) -> Option<&str> {
    digits_of(json.as_object()?)
}

fn digits_of(fields: &Map<String, Json>) -> Option<&str> {
    let (name, text) = fields.iter().next().filter(|_| fields.len() == 1)?;
    let text = text.as_str().filter(|_| name == FIELD)?;
    (number_bytes(text.as_bytes()) == Some(text.len())).then_some(text)
}

/// The text of any number.
pub fn number_text(json: &Json) -> Option<Cow<'_, str>> {
    if let Json::Number(number) = json {
        return Some(Cow::Owned(number.to_string()));
    }
    digits(json).map(Cow::Borrowed)
}

/// The text of any number, without an exponent.
pub fn plain_text(json: &Json) -> Option<String> {
    let text = number_text(json)?;
    if !text.contains(['e', 'E']) {
        return Some(text.into_owned());
    }
    let (digits, power) = significant(&text)?;
    let sign = if text.starts_with('-') { "-" } else { "" };
    let zeros = |count: i64| usize::try_from(count).map(|count| "0".repeat(count)).unwrap_or_default();
    let places = i64::try_from(digits.len()).ok()? + power;
    Some(if digits.is_empty() {
        "0".to_owned()
    } else if power >= 0 {
        format!("{sign}{digits}{}", zeros(power))
    } else if places > 0 {
        let (whole, fraction) = digits.split_at(usize::try_from(places).ok()?);
        format!("{sign}{whole}.{fraction}")
    } else {
        format!("{sign}0.{}{digits}", zeros(-places))
    })
}

/// The float nearest to any number.
pub fn nearest_float(json: &Json) -> Option<f64> {
    json.as_f64().or_else(|| digits(json)?.parse().ok()).filter(|float: &f64| float.is_finite())
}

/// A number as units of 10^-[`DECIMAL_SCALE`]: the greatest whole count of them that is not above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    pub(crate) units: i128,
    /// Whether it is a little more than that.
    is_more: bool,
}

impl Floor {
    /// What is past all stored decimals stays so.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let (digits, power) = significant(text)?;
        let power = power + i64::from(DECIMAL_SCALE);
        let kept = i64::try_from(digits.len()).ok()? + power;
        let past = 10_i128.pow(u32::from(DECIMAL_PRECISION));
        let units = if digits.is_empty() || kept <= 0 {
            0
        } else if kept > i64::from(DECIMAL_PRECISION) {
            past
        } else {
            let whole = &digits[..digits.len().min(usize::try_from(kept).ok()?)];
            whole.parse::<i128>().ok()? * 10_i128.pow(u32::try_from(power.max(0)).ok()?)
        };
        // The last digit is no zero, so whatever is cut off is more than nothing.
        let is_more = !digits.is_empty() && (power < 0 || units == past);
        let units = if text.starts_with('-') { -units - i128::from(is_more) } else { units };
        Some(Self { units, is_more })
    }

    /// How a stored decimal compares with the number.
    pub(crate) fn compare(self, units: i128) -> Ordering {
        units.cmp(&self.units).then(if self.is_more { Ordering::Less } else { Ordering::Equal })
    }
}

/// JSON as it is written for others: every number with its own digits.
#[derive(Clone, Copy, Debug)]
pub struct Written<'j>(pub &'j Json);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Json::Array(items) => serializer.collect_seq(items.iter().map(Written)),
            Json::Object(fields) => match digits_of(fields) {
                Some(text) => {
                    RawValue::from_string(text.to_owned()).map_err(S::Error::custom)?.serialize(serializer)
                }
                None => serializer.collect_map(fields.iter().map(|(name, value)| (name, Written(value)))),
            },
            plain @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_)) => {
                plain.serialize(serializer)
            }
        }
    }
}

impl fmt::Display for Written<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As of `Json`, the alternate form has lines.
        let text = if formatter.alternate() {
            serde_json::to_string_pretty(self)
        } else {
            serde_json::to_string(self)
        };
        formatter.write_str(&text.map_err(|_| fmt::Error)?)
    }
}

/// Reads JSON with all digits of its numbers.
pub fn read_json(bytes: &[u8]) -> serde_json::Result<Json> {
    let long = std::str::from_utf8(bytes).ok().and_then(with_objects);
    let Some(text) = long else {
        return serde_json::from_slice(bytes);
    };
    // What is wrong is told by its place in what came.
    serde_json::from_str(&text).map_err(|error| serde_json::from_slice::<Json>(bytes).err().unwrap_or(error))
}

/// The text with an object in place of each number that would be rounded; `None` where there is none.
fn with_objects(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut changed = String::new();
    let (mut at, mut copied) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at += string_bytes(&bytes[at..]),
            b'-' | b'0'..=b'9' => {
                let length = number_bytes(&bytes[at..]);
                let token = length.and_then(|length| text.get(at..at + length));
                if let Some(token) = token.filter(|token| is_rounded(token)) {
                    changed.push_str(&text[copied..at]);
                    changed.push_str(&of_digits(token).to_string());
                    copied = at + token.len();
                }
                at += length.unwrap_or(1);
            }
            _ => at += 1,
        }
    }
    (copied > 0).then(|| changed + &text[copied..])
}

/// How long a string is that begins here, with its quotes.
fn string_bytes(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// How long a number is that begins here; `None` where it is none.
fn number_bytes(bytes: &[u8]) -> Option<usize> {
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    let whole = digits(at);
    if whole == 0 || (whole > 1 && bytes[at] == b'0') {
        return None;
    }
    at += whole;
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        at += (fraction > 0).then_some(1 + fraction)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'-' | b'+')));
        let exponent = digits(at + 1 + sign);
        at += (exponent > 0).then_some(1 + sign + exponent)?;
    }
    Some(at)
}

/// Whether 64 bits hold another number than this one. One past all floats is left to the parser, which refuses it.
pub fn is_rounded(token: &str) -> bool {
    if token.len() <= SHORT_DIGITS && !token.bytes().any(|byte| matches!(byte, b'e' | b'E')) {
        return false;
    }
    let is_whole = token.parse::<i64>().is_ok() || token.parse::<u64>().is_ok();
    !is_whole && token.parse::<f64>().is_ok_and(|float| float.is_finite() && !says(float, token))
}

/// Whether a float's shortest text is the same number as this text, which reads as that float.
fn says(float: f64, text: &str) -> bool {
    let has_exponent = text.bytes().any(|byte| matches!(byte, b'e' | b'E'));
    if !has_exponent && text.len() <= SHORT_BYTES {
        let digits = text.bytes().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0').count();
        if digits <= SHORT_DIGITS {
            return true;
        }
    }
    match (significant(text), significant(&format!("{float:e}"))) {
        (Some(own), Some(other)) => own == other,
        _ => false,
    }
}

/// A number's digits without the zeros around them, and the power of ten of the last; the sign is left out.
fn significant(text: &str) -> Option<(String, i64)> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole.trim_start_matches('-'), fraction].concat();
    let digits = digits.trim_start_matches('0');
    let kept = digits.trim_end_matches('0');
    if kept.is_empty() {
        return Some((String::new(), 0));
    }
    let dropped = i64::try_from(digits.len() - kept.len()).ok()?;
    let places = i64::try_from(fraction.len()).ok()?;
    Some((kept.to_owned(), i64::from(exponent.parse::<i32>().ok()?) - places + dropped))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_is_written_with_its_digits_and_as_before_where_64_bits_hold_it() {
        let check = |text: &str, want: &str| {
            assert_eq!(
                Written(&json!({"a": [exact_number(text)]})).to_string(),
                format!("{{\"a\":[{want}]}}")
            );
        };
        for text in ["0", "3", "-7", "12.5", "2500315.63", "9223372036854775807", "0.1"] {
            check(text, text);
        }
        // As floats are written, which have these digits.
        check("0.0000001", "1e-7");
        check("10000000000000000000", "1e+19");
        for text in [
            "90071992547409.93",
            "-1234567890.123456789",
            "10000000000000000.5",
            "18446744073709551617",
            "99999999999999999999999999999.999999999",
        ] {
            check(text, text);
            assert_eq!(digits(&exact_number(text)), Some(text));
        }
        assert_eq!(exact_number("90071992547409.94"), json!(90_071_992_547_409.94));
    }

    #[test]
    fn what_is_read_is_written_again_with_the_same_digits() {
        for text in [
            r#"{"a":90071992547409.93,"b":["-0.12345678901234567890",12345678901234567890.123456789]}"#,
            r#"[9007199254740993.0,1e-400,"\"1.23456789012345678901",18446744073709551615]"#,
            "-1234567890.123456789",
            r#"{"12345678.123456789123":1}"#,
        ] {
            assert_eq!(Written(&read_json(text.as_bytes()).unwrap()).to_string(), text);
        }
    }

    #[test]
    fn a_plain_text_has_no_exponent() {
        for (text, want) in [
            ("0.0000001", "0.0000001"),
            ("-10000000000000000000", "-10000000000000000000"),
            ("12.5", "12.5"),
            ("90071992547409.93", "90071992547409.93"),
        ] {
            assert_eq!(plain_text(&exact_number(text)).as_deref(), Some(want));
        }
        assert_eq!(plain_text(&json!(1.25e-7)).as_deref(), Some("0.000000125"));
        assert_eq!(
            plain_text(&of_digits("-1.2345678901234567890e3")).as_deref(),
            Some("-1234.567890123456789")
        );
        assert_eq!(plain_text(&json!("1")), None);
    }

    #[test]
    fn other_json_is_read_as_the_parser_reads_it() {
        for text in [
            "",
            "[1.0, 1.50000000000000000000, 1e5, -0.0, 0.1, 90071992547409.94, 1E-7]",
            "[01234567890123456.789]",
            "[-]",
            "[1.]",
            "[1e400]",
            "[1234567890.123456789, ]",
            "\"1234567890.123456789",
            "[\"\\\"]",
            "{\"a\": 1234567890.1234567.8}",
        ] {
            let told = |read: serde_json::Result<Json>| read.map_err(|error| error.to_string());
            assert_eq!(told(read_json(text.as_bytes())), told(serde_json::from_str(text)), "{text}");
        }
        assert!(read_json(b"[\"\xff\", 1234567890.123456789]").is_err());
    }

    #[test]
    fn an_object_whose_text_is_no_number_is_an_object() {
        for text in ["", "1,2", "[1]", "1 ", "NaN", "+1", ".5"] {
            let object = of_digits(text);
            assert_eq!(digits(&object), None);
            assert_eq!(Written(&object).to_string(), object.to_string());
        }
        assert_eq!(digits(&json!({FIELD: "1.5", "b": 1})), None);
    }

    #[test]
    fn a_float_says_its_own_text_and_not_the_next_one() {
        let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..20_000 {
            bits ^= bits << 13;
            bits ^= bits >> 7;
            bits ^= bits << 17;
            let float = f64::from_bits(bits);
            if !float.is_finite() {
                continue;
            }
            let text = format!("{float:e}");
            assert!(says(float, &text), "{text}");
            let (mantissa, exponent) = text.split_once('e').unwrap();
            let mantissa = if mantissa.contains('.') { mantissa.to_owned() } else { format!("{mantissa}.0") };
            assert!(!says(float, &format!("{mantissa}1e{exponent}")), "{text}");
        }
    }
}
