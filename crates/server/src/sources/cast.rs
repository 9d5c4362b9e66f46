//! How the text of a cell is read where its column's own form does not fit: a pattern of a date, or
//! seconds since 1970, as a pack's source says.

use ebbtide_model::pack::Cast;
use ebbtide_model::{CastError, ColumnType, Instant, Value};
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

/// A [`Cast`] made ready: its time zone is looked up once.
#[derive(Clone, Debug)]
pub(crate) enum TextCast {
    Time { pattern: String, zone: TimeZone },
    EpochSeconds,
    EpochMillis,
}

impl TextCast {
    /// `None` where the time zone is unknown.
    pub(crate) fn new(cast: &Cast) -> Option<Self> {
        Some(match cast {
            Cast::Time { pattern, zone } => {
                let zone = zone.as_deref().map_or(Some(TimeZone::UTC), |name| TimeZone::get(name).ok())?;
                Self::Time { pattern: pattern.clone(), zone }
            }
            Cast::EpochSeconds => Self::EpochSeconds,
            Cast::EpochMillis => Self::EpochMillis,
        })
    }

    /// The value of a cell, for a column of instants or dates.
    pub(crate) fn read(&self, text: &str, column_type: ColumnType) -> Result<Value, CastError> {
        let value = match self {
            Self::Time { pattern, zone } => by_pattern(text, pattern, zone, column_type),
            Self::EpochSeconds => epoch(text, 1_000),
            Self::EpochMillis => epoch(text, 1_000_000),
        };
        value.ok_or_else(|| CastError::new(text, column_type))
    }

    /// What a refused cell should have looked like.
    pub(crate) fn allowed(&self) -> String {
        match self {
            Self::Time { pattern, .. } => format!("a time by the pattern {pattern:?}"),
            Self::EpochSeconds => "seconds since 1970".to_owned(),
            Self::EpochMillis => "milliseconds since 1970".to_owned(),
        }
    }
}

fn by_pattern(text: &str, pattern: &str, zone: &TimeZone, column_type: ColumnType) -> Option<Value> {
    let parsed = strtime::parse(pattern, text).ok()?;
    if column_type == ColumnType::Date {
        let date = parsed.to_date().ok()?.to_string();
        return Value::from_text(&date, ColumnType::Date).ok();
    }
    if parsed.offset().is_some() {
        return Some(Value::Timestamp(Instant::from_timestamp(parsed.to_timestamp().ok()?)));
    }
    // A pattern without hours means midnight, as a date alone does elsewhere.
    let civil = match parsed.to_datetime() {
        Ok(civil) => civil,
        Err(_) => parsed.to_date().ok()?.to_datetime(jiff::civil::Time::midnight()),
    };
    Some(Value::Timestamp(Instant::from_timestamp(zone.to_timestamp(civil).ok()?)))
}

/// A decimal's units are billionths: of a second, 1 000 of them are a microsecond.
fn epoch(text: &str, units_per_micro: i128) -> Option<Value> {
    let Ok(Value::Decimal(units)) = Value::from_text(text, ColumnType::Decimal) else {
        return None;
    };
    let instant = Instant::from_micros(i64::try_from(units.div_euclid(units_per_micro)).ok()?);
    instant.to_timestamp().map(|_| Value::Timestamp(instant))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_read_as_its_source_says() {
        let check = |cast: Cast, text: &str, column_type, want: Option<&str>| {
            let got = TextCast::new(&cast).unwrap().read(text, column_type).ok();
            assert_eq!(got.and_then(|value| value.canonical_text()).as_deref(), want, "{cast:?} {text:?}");
        };
        let time = |pattern: &str, zone: Option<&str>| Cast::Time {
            pattern: pattern.to_owned(),
            zone: zone.map(str::to_owned),
        };
        let timestamp = ColumnType::Timestamp;
        check(time("%Y%m%d", None), "19970101", timestamp, Some("1997-01-01T00:00:00Z"));
        check(time("%Y%m%d", None), "19970101", ColumnType::Date, Some("1997-01-01"));
        check(time("%Y%m%d", None), "19970231", timestamp, None);
        check(time("%Y%m%d", None), "1997", timestamp, None);
        check(time("%Y%m%d", None), "19970101x", timestamp, None);
        check(
            time("%d/%m/%Y %H:%M", Some("Asia/Seoul")),
            "29/2/2016 01:16",
            timestamp,
            Some("2016-02-28T16:16:00Z"),
        );
        check(
            time("%Y-%m-%d %H:%M:%S %z", Some("Asia/Seoul")),
            "2016-02-29 01:16:00 +0200",
            timestamp,
            Some("2016-02-28T23:16:00Z"),
        );
        check(Cast::EpochSeconds, "1709164800", timestamp, Some("2024-02-29T00:00:00Z"));
        check(Cast::EpochSeconds, "1709164800.25", timestamp, Some("2024-02-29T00:00:00.250000Z"));
        check(Cast::EpochSeconds, "-0.0000001", timestamp, Some("1969-12-31T23:59:59.999999Z"));
        check(Cast::EpochMillis, "1709164800123", timestamp, Some("2024-02-29T00:00:00.123000Z"));
        check(Cast::EpochSeconds, "99999999999999", timestamp, None);
        check(Cast::EpochSeconds, "soon", timestamp, None);
        check(Cast::EpochSeconds, "", timestamp, None);
    }

    #[test]
    fn an_unknown_zone_is_no_cast() {
        let cast = Cast::Time { pattern: "%Y".to_owned(), zone: Some("Atlantis/Capital".to_owned()) };
        assert!(TextCast::new(&cast).is_none());
    }
}
