//! Numbers, times and matchers of an answer in words.

use ebbtide_model::Written;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value as Json;

/// What periods of an answer are called.
#[derive(Clone, Debug)]
pub(crate) struct Calendar {
    zone: TimeZone,
    unit: String,
}

impl Calendar {
    /// Of an answer's own question.
    pub(crate) fn of(query: &Json) -> Self {
        let zone = query["tz"].as_str().and_then(|zone| TimeZone::get(zone).ok());
        let unit = ["interval", "period"].iter().find_map(|name| query[*name].as_str());
        Self { zone: zone.unwrap_or(TimeZone::UTC), unit: unit.unwrap_or("hour").to_owned() }
    }

    pub(crate) fn unit(&self) -> &str {
        &self.unit
    }

    /// The period that begins at an instant: `2026-06-01`, `2026-06`, `2026-Q2`.
    pub(crate) fn period(&self, start: &Json) -> String {
        let Some(instant) = start.as_str() else {
            return "all".to_owned();
        };
        let Ok(instant) = instant.parse::<Timestamp>() else {
            return instant.to_owned();
        };
        let start = instant.to_zoned(self.zone.clone());
        match self.unit.as_str() {
            "day" | "week" => start.strftime("%Y-%m-%d").to_string(),
            "month" => start.strftime("%Y-%m").to_string(),
            "quarter" => format!("{}-Q{}", start.year(), (start.month() + 2) / 3),
            "year" => start.year().to_string(),
            _ => start.strftime("%Y-%m-%d %H:%M").to_string(),
        }
    }
}

/// A number with its thousands apart, a fraction to two places, a text as it is; nothing of null.
pub(crate) fn number(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(whole), _, _) if whole < 0 => format!("-{}", thousands(&whole.unsigned_abs().to_string())),
            (Some(whole), _, _) => thousands(&whole.to_string()),
            (None, Some(whole), _) => thousands(&whole.to_string()),
            (None, None, Some(fraction)) => decimal(fraction, 2),
            (None, None, None) => number.to_string(),
        },
        Json::String(text) => text.clone(),
        Json::Bool(_) | Json::Array(_) | Json::Object(_) => Written(value).to_string(),
    }
}

/// A fraction to four places: in a table, where a number may also be somebody's id.
pub(crate) fn fraction(value: &Json) -> String {
    value.as_f64().map(|value| decimal(value, 4).replace(',', "")).unwrap_or_default()
}

/// To so many places, with thousands apart and no zeros at the end.
fn decimal(value: f64, places: usize) -> String {
    const PLAIN_MAX: f64 = 1e15;
    if value.abs() >= PLAIN_MAX {
        return format!("{value:e}");
    }
    let text = format!("{:.places$}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fraction = fraction.trim_end_matches('0');
    let sign = if value < 0.0 && text.bytes().any(|digit| matches!(digit, b'1'..=b'9')) { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{fraction}", thousands(whole))
}

fn thousands(digits: &str) -> String {
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `37.5%`.
pub(crate) fn percent(percent: Option<f64>) -> String {
    percent.map(|percent| format!("{percent:.1}%")).unwrap_or_default()
}

/// `42s`, `3m 12s`, `5h 20m`, `3d 4h`.
pub(crate) fn duration(seconds: &Json) -> String {
    let Some(seconds) = seconds.as_f64() else {
        return String::new();
    };
    if seconds < 60.0 {
        return format!("{}s", decimal(seconds, 1));
    }
    let of = |unit: f64| (seconds / unit).floor();
    let (big, big_name, small, small_name) = match seconds {
        _ if seconds < 3_600.0 => (60.0, "m", 1.0, "s"),
        _ if seconds < 86_400.0 => (3_600.0, "h", 60.0, "m"),
        _ => (86_400.0, "d", 3_600.0, "h"),
    };
    let rest = of(small) - of(big) * (big / small);
    let rest = if rest > 0.0 { format!(" {rest:.0}{small_name}") } else { String::new() };
    format!("{:.0}{big_name}{rest}", of(big))
}

/// What a matcher is about: its event, or its table.
pub(crate) fn matcher(matcher: &Json) -> String {
    let named = match (matcher["event"].as_str(), matcher["table"].as_str()) {
        (Some(event), _) => event.to_owned(),
        (None, Some(table)) => format!("any of {table}"),
        (None, None) => "any event".to_owned(),
    };
    let filters = matcher["where"].as_array().map_or(0, Vec::len);
    if filters == 0 { named } else { format!("{named} (filtered)") }
}

/// The value of a group, in words.
pub(crate) fn group(value: &Json) -> String {
    match value {
        Json::Null => "(none)".to_owned(),
        Json::String(text) if text.is_empty() => "(empty)".to_owned(),
        Json::String(text) => text.clone(),
        Json::Array(values) => values.iter().map(group).collect::<Vec<String>>().join(", "),
        Json::Bool(_) | Json::Number(_) | Json::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_and_times_are_written_for_people() {
        let check = |value: Json, want: &str| assert_eq!(number(&value), want);
        check(json!(0), "0");
        check(json!(999), "999");
        check(json!(1_234_567), "1,234,567");
        check(json!(-1234), "-1,234");
        check(json!(18_446_744_073_709_551_615_u64), "18,446,744,073,709,551,615");
        check(json!(1234.5), "1,234.5");
        check(json!(0.005), "0.01");
        check(json!(-0.001), "0");
        check(json!(1e20), "1e20");
        check(Json::Null, "");
        let check = |seconds: f64, want: &str| assert_eq!(duration(&json!(seconds)), want);
        check(0.0, "0s");
        check(59.94, "59.9s");
        check(192.0, "3m 12s");
        check(3_600.0, "1h");
        check(19_205.0, "5h 20m");
        check(273_600.0, "3d 4h");
        assert_eq!(duration(&Json::Null), "");
    }

    #[test]
    fn a_period_is_named_in_the_zone_of_the_question() {
        let check = |unit: &str, start: &str, want: &str| {
            let calendar = Calendar::of(&json!({"tz": "Asia/Seoul", "interval": unit}));
            assert_eq!(calendar.period(&json!(start)), want);
        };
        check("day", "2026-05-31T15:00:00Z", "2026-06-01");
        check("month", "2026-05-31T15:00:00Z", "2026-06");
        check("quarter", "2026-03-31T15:00:00Z", "2026-Q2");
        check("year", "2025-12-31T15:00:00Z", "2026");
        check("hour", "2026-05-31T15:00:00Z", "2026-06-01 00:00");
        assert_eq!(Calendar::of(&json!({})).period(&Json::Null), "all");
    }
}
