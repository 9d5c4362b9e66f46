//! Moments and lengths of time as a query writes them.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value as Json;

use crate::{Calendar, Fault, Instant, Node, Unit};

/// A moment: an instant, or a date whose place in time the query's zone decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Instant(Instant),
    Date(Date),
}

impl When {
    pub(super) fn decode(node: &Node<'_>) -> Result<Self, Fault> {
        const DATE_BYTES: usize = "2026-11-20".len();
        let expected = || node.expected(Instant::OR_DATE_ALLOWED);
        let text = node.text()?;
        let instant = Instant::parse(text).map_err(|_| expected())?;
        if text.len() == DATE_BYTES {
            return text.parse().map(Self::Date).map_err(|_| expected());
        }
        // An offset can carry an instant out of the four-digit years, where it would not read back.
        if Instant::parse(&instant.to_string()) != Ok(instant) {
            return Err(expected());
        }
        Ok(Self::Instant(instant))
    }

    /// The instant, or the date's first microsecond in the calendar's zone.
    pub fn start(self, calendar: &Calendar) -> Instant {
        match self {
            Self::Instant(instant) => instant,
            Self::Date(date) => start_of(date, calendar.zone()),
        }
    }

    /// The instant, or the date's last microsecond in the calendar's zone.
    pub fn end(self, calendar: &Calendar) -> Instant {
        match self {
            Self::Instant(instant) => instant,
            Self::Date(date) => {
                let next = date.tomorrow().map(|next| start_of(next, calendar.zone()));
                Instant::from_micros(next.map_or(i64::MAX, |next| next.micros() - 1))
            }
        }
    }
}

fn start_of(date: Date, zone: &TimeZone) -> Instant {
    let zoned = date.to_zoned(zone.clone());
    // Only dates at the ends of time are no instant in some zone; the nearest one serves.
    zoned.map_or_else(
        |_| Instant::from_micros(if date.year() > 0 { i64::MAX } else { i64::MIN }),
        |zoned| Instant::from_timestamp(zoned.timestamp()),
    )
}

impl fmt::Display for When {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instant(instant) => instant.fmt(formatter),
            Self::Date(date) => date.fmt(formatter),
        }
    }
}

/// The width of a bucket: a calendar period, or all of the time asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interval {
    Unit(Unit),
    All,
}

impl Interval {
    const NAMES: [&str; 7] = ["hour", "day", "week", "month", "quarter", "year", "all"];

    pub(super) fn decode(node: &Node<'_>) -> Result<Self, Fault> {
        node.choice(&Self::NAMES, |name| match name {
            "all" => Some(Self::All),
            unit => Unit::from_name(unit).map(Self::Unit),
        })
    }

    pub(super) fn to_json(self) -> Json {
        match self {
            Self::Unit(unit) => unit_json(unit),
            Self::All => Json::from("all"),
        }
    }
}

pub(super) fn decode_unit(node: &Node<'_>) -> Result<Unit, Fault> {
    node.choice(&Unit::NAMES, Unit::from_name)
}

pub(super) fn unit_json(unit: Unit) -> Json {
    Json::from(match unit {
        Unit::Hour => "hour",
        Unit::Day => "day",
        Unit::Week => "week",
        Unit::Month => "month",
        Unit::Quarter => "quarter",
        Unit::Year => "year",
    })
}

/// A positive length of elapsed time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Duration(i64);

impl Duration {
    const SECONDS_MAX: i64 = 100 * 366 * 86_400;
    const ALLOWED: &str = "a positive number of seconds up to a hundred years, or text of a whole number and a \
                           unit (s, m, h, d or w), such as \"7d\"";

    pub(super) const FOURTEEN_DAYS: Self = Self(14 * Instant::MICROS_PER_DAY);
    pub(super) const FIVE_MINUTES: Self = Self(5 * 60 * Instant::MICROS_PER_SECOND);
    pub(super) const HALF_AN_HOUR: Self = Self(30 * 60 * Instant::MICROS_PER_SECOND);

    pub fn micros(self) -> i64 {
        self.0
    }

    /// Seconds (a fraction counts to the microsecond), or text such as `"7d"`.
    pub fn decode(node: &Node<'_>) -> Result<Self, Fault> {
        let micros = match node.json() {
            Json::String(text) => Self::of_text(text),
            Json::Number(seconds) => seconds.as_i64().map_or_else(
                || Self::of_fraction(seconds.as_f64()?),
                |seconds| seconds.checked_mul(Instant::MICROS_PER_SECOND),
            ),
            Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
        };
        let bounds = 1..=Self::SECONDS_MAX * Instant::MICROS_PER_SECOND;
        let micros = micros.filter(|micros| bounds.contains(micros));
        micros.map(Self).ok_or_else(|| node.expected(Self::ALLOWED))
    }

    /// Whether a text can have been meant for nothing else, if not for a good one: a number and a unit.
    pub(super) fn is_meant(text: &str) -> bool {
        let number = text.strip_suffix(['s', 'm', 'h', 'd', 'w']);
        number.is_some_and(|number| number.parse::<f64>().is_ok_and(f64::is_finite))
    }

    fn of_text(text: &str) -> Option<i64> {
        const TEXT_BYTES_MAX: usize = 20;
        let digits = text.len().checked_sub(1).filter(|_| text.is_ascii() && text.len() <= TEXT_BYTES_MAX)?;
        let (count, unit) = text.split_at(digits);
        let unit_s = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            "w" => 7 * 86_400,
            _ => return None,
        };
        let plain = count.bytes().all(|byte| byte.is_ascii_digit());
        let count: i64 = plain.then(|| count.parse().ok())??;
        count.checked_mul(unit_s)?.checked_mul(Instant::MICROS_PER_SECOND)
    }

    fn of_fraction(seconds: f64) -> Option<i64> {
        const MICROS_EXACT_MAX: f64 = 9_007_199_254_740_992.0;
        let micros = (seconds * 1e6).round();
        #[expect(clippy::cast_possible_truncation, reason = "whole, and within 2^53")]
        (micros.abs() <= MICROS_EXACT_MAX).then_some(micros as i64)
    }

    /// Whole seconds as a number, else a fraction of them.
    pub fn to_json(self) -> Json {
        if self.0 % Instant::MICROS_PER_SECOND == 0 {
            return Json::from(self.0 / Instant::MICROS_PER_SECOND);
        }
        #[expect(clippy::cast_precision_loss, reason = "a fraction was given as a float, within 2^53")]
        Json::from(self.0 as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::WeekStart;

    #[test]
    fn a_duration_is_seconds_or_a_number_with_a_unit() {
        let check = |json: Json, seconds: Option<i64>| {
            let duration = Duration::decode(&Node::root(&json)).ok();
            assert_eq!(duration.map(|d| d.micros() / 1_000_000), seconds, "{json}");
            if let Some(duration) = duration {
                let again = duration.to_json();
                assert_eq!(Duration::decode(&Node::root(&again)), Ok(duration), "{json}");
            }
        };
        check(json!("7d"), Some(604_800));
        check(json!("2w"), Some(1_209_600));
        check(json!(604_800), Some(604_800));
        check(json!(1.5), Some(1));
        for bad in [
            json!(0),
            json!(-1),
            json!("0d"),
            json!("d"),
            json!(""),
            json!("+7d"),
            json!("7"),
            json!("7 d"),
            json!("7й"),
            json!("99999999999999999999d"),
            json!("40000d"),
            json!(1e300),
            json!(true),
            json!([]),
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn a_date_starts_and_ends_by_the_clock_of_the_zone() {
        let seoul = Calendar::new(TimeZone::get("Asia/Seoul").unwrap(), WeekStart::Monday);
        let date = When::decode(&Node::root(&json!("2024-02-29"))).unwrap();
        assert_eq!(date.start(&seoul).to_string(), "2024-02-28T15:00:00Z");
        assert_eq!(date.end(&seoul).to_string(), "2024-02-29T14:59:59.999999Z");
        for bad in [json!("yesterday"), json!("2023-02-29"), json!(5), json!("0000-01-01T00:00:00+20:00")] {
            let fault = When::decode(&Node::root(&bad)).unwrap_err();
            assert!(fault.problem.contains("allowed is"), "{bad}: {fault}");
        }
        for last in ["9999-12-30", "0000-01-01"] {
            let date = When::decode(&Node::root(&json!(last))).unwrap();
            assert!(date.start(&seoul) < date.end(&seoul), "{last}");
        }
    }
}
