//! Points in time: microseconds since 1970-01-01T00:00:00Z.

use std::fmt;

use jiff::civil;
use jiff::tz::TimeZone;

/// A UTC instant with microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Instant(i64);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no instant; allowed is {}", Instant::OR_DATE_ALLOWED)]
pub struct InstantError {
    pub given: String,
}

impl Instant {
    pub const MICROS_PER_SECOND: i64 = 1_000_000;
    pub const MICROS_PER_DAY: i64 = 86_400 * Self::MICROS_PER_SECOND;

    /// What a text of one may be, for those who gave another.
    pub const ALLOWED: &str = "an RFC 3339 instant, such as 2026-11-20T09:30:00Z, from 0000-01-01T00:00:00Z to 9999-12-30T22:00:00Z";

    /// As [`Instant::ALLOWED`], where a date is taken, too.
    pub const OR_DATE_ALLOWED: &str = "an RFC 3339 instant, such as 2026-11-20T09:30:00Z, from 0000-01-01T00:00:00Z to 9999-12-30T22:00:00Z, \
         or a date, such as 2026-11-20, up to 9999-12-29";

    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    /// An RFC 3339 instant with any offset; without one it is UTC, and a date alone is its midnight
    /// in UTC. Digits past the microsecond are cut.
    pub fn parse(text: &str) -> Result<Self, InstantError> {
        let error = || InstantError { given: text.to_owned() };
        if !looks_like_an_instant(text) {
            return Err(error());
        }
        if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
            return Ok(Self::from_timestamp(timestamp));
        }
        let civil: civil::DateTime = text.parse().map_err(|_| error())?;
        let timestamp = TimeZone::UTC.to_timestamp(civil).map_err(|_| error())?;
        Ok(Self::from_timestamp(timestamp))
    }

    /// An `as_of`: an instant with its offset, as RFC 3339 has it, or a date, which means that day's last microsecond
    /// in `zone`.
    pub fn parse_as_of(text: &str, zone: &TimeZone) -> Result<Self, InstantError> {
        let error = || InstantError { given: text.to_owned() };
        if text.len() != "2026-11-20".len() {
            return if is_rfc_3339(text) { Self::parse(text) } else { Err(error()) };
        }
        if !looks_like_an_instant(text) {
            return Err(error());
        }
        let date: civil::Date = text.parse().map_err(|_| error())?;
        let next = date.tomorrow().map_err(|_| error())?;
        let end = next.to_zoned(zone.clone()).map_err(|_| error())?;
        Ok(Self(Self::from_timestamp(end.timestamp()).0 - 1))
    }

    /// The first whole second after this instant.
    pub const fn next_second(self) -> Self {
        self.next_multiple(Self::MICROS_PER_SECOND)
    }

    /// The first multiple of so many microseconds after this instant.
    pub(crate) const fn next_multiple(self, micros: i64) -> Self {
        Self((self.0.div_euclid(micros)).saturating_add(1).saturating_mul(micros))
    }

    pub fn from_timestamp(timestamp: jiff::Timestamp) -> Self {
        let micros = timestamp.as_nanosecond().div_euclid(1_000);
        // A jiff timestamp spans the years -9999 to 9999, which is well within i64 microseconds.
        Self(i64::try_from(micros).unwrap_or(if micros < 0 { i64::MIN } else { i64::MAX }))
    }

    /// `None` outside the years -9999 to 9999.
    pub fn to_timestamp(self) -> Option<jiff::Timestamp> {
        jiff::Timestamp::from_microsecond(self.0).ok()
    }
}

/// Whether a text has the form that RFC 3339 gives; its numbers may be out of range.
fn is_rfc_3339(text: &str) -> bool {
    let has_form = |text: &str, form: &str| {
        let is_like = |(own, form): (u8, u8)| if form == b'0' { own.is_ascii_digit() } else { own == form };
        text.len() == form.len() && text.bytes().zip(form.bytes()).all(is_like)
    };
    let text = text.to_ascii_uppercase();
    let Some((local, rest)) = text.split_at_checked("0000-00-00T00:00:00".len()) else { return false };
    let is_local = has_form(local, "0000-00-00T00:00:00") || has_form(local, "0000-00-00 00:00:00");
    let offset = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|digit: char| digit.is_ascii_digit()),
        None => rest,
    };
    let has_digits = !rest.starts_with('.') || offset.len() + 1 < rest.len();
    let is_offset = offset == "Z" || has_form(offset, "+00:00") || has_form(offset, "-00:00");
    is_local && has_digits && is_offset
}

/// Four digits of a year, a dash: jiff reads more forms (such as 20261120 and times with a zone name
/// in brackets) than RFC 3339 has, and a number must not pass for a date.
fn looks_like_an_instant(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 10
        && bytes.len() <= 40
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && bytes[4] == b'-'
        && bytes[7] == b'-'
        && !text.contains('[')
        && (bytes.len() == 10 || (matches!(bytes[10], b'T' | b't' | b' ') && bytes.len() >= 16))
}

/// `2026-11-20T09:30:00Z`, with six digits of a fraction where there is one.
impl fmt::Display for Instant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(timestamp) = self.to_timestamp() else {
            return write!(formatter, "{}us", self.0);
        };
        if self.0.rem_euclid(Self::MICROS_PER_SECOND) == 0 {
            write!(formatter, "{timestamp:.0}")
        } else {
            write!(formatter, "{timestamp:.6}")
        }
    }
}

impl serde::Serialize for Instant {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_compare_as_instants_whatever_their_offset() {
        let utc = Instant::parse("2024-03-15T10:30:00Z").unwrap();
        for same in [
            "2024-03-15T10:30:00",
            "2024-03-15T19:30:00+09:00",
            "2024-03-15 10:30:00.000000Z",
            "2024-03-15T05:00:00.0-05:30",
        ] {
            assert_eq!(Instant::parse(same).unwrap(), utc, "{same}");
        }
    }

    /// What a refusal says of the range.
    #[test]
    fn the_first_and_the_last_instant_are_those_that_messages_name() {
        for text in ["0000-01-01T00:00:00Z", "9999-12-30T22:00:00Z"] {
            assert!(Instant::parse(text).is_ok(), "{text}");
            for allowed in [Instant::ALLOWED, Instant::OR_DATE_ALLOWED] {
                assert!(allowed.contains(text), "{allowed}");
            }
        }
        assert!(Instant::parse("9999-12-30T22:00:01Z").is_err());
        for zone in ["Etc/GMT+12", "UTC", "Pacific/Kiritimati"] {
            let zone = TimeZone::get(zone).unwrap();
            assert!(Instant::parse_as_of("9999-12-29", &zone).is_ok());
            let error = Instant::parse_as_of("9999-12-31", &zone).unwrap_err().to_string();
            assert!(error.contains("up to 9999-12-29"), "{error}");
        }
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for bad in [
            "yesterday",
            "",
            "2023-02-29",
            "2024-13-01",
            "2024-02-30T00:00:00Z",
            "1709164800",
            "2024-02-29T25:00:00Z",
            "20240229",
            "2024-02-29T10",
            "2024-02-29T10:00:00Z[UTC]",
            "2024-02-29T10:00:00Zx",
        ] {
            assert!(Instant::parse(bad).is_err(), "{bad}");
            assert!(Instant::parse_as_of(bad, &TimeZone::UTC).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_date_as_of_is_the_last_microsecond_of_that_day_in_the_zone() {
        let seoul = TimeZone::get("Asia/Seoul").unwrap();
        let end = Instant::parse_as_of("2024-02-29", &seoul).unwrap();
        assert_eq!(end.to_string(), "2024-02-29T14:59:59.999999Z");
    }

    #[test]
    fn an_as_of_has_its_offset() {
        let read = |text: &str| Instant::parse_as_of(text, &TimeZone::UTC).map(|at| at.to_string());
        for good in ["2024-03-01T09:30:00Z", "2024-03-01t09:30:00z", "2024-03-01 10:00:00.000000+00:30"] {
            assert_eq!(read(good).unwrap(), "2024-03-01T09:30:00Z", "{good}");
        }
        for bad in [
            "2024-03-01T09:30:00",
            "2024-03-01T09:30Z",
            "2024-03-01T09:30:00+0530",
            "2024-03-01T09:30:00,5Z",
            "2024-03-01T09:30:00.Z",
            "2024-03-01T09:30:00+99:00",
            "2024-03-01T",
        ] {
            assert!(read(bad).unwrap_err().to_string().contains("RFC 3339"), "{bad}");
        }
    }

    #[test]
    fn digits_past_the_microsecond_are_cut_towards_the_past() {
        assert_eq!(Instant::parse("1969-12-31T23:59:59.9999999Z").unwrap().micros(), -1);
        assert_eq!(
            Instant::parse("2024-01-01T00:00:00.1234569Z").unwrap().to_string(),
            "2024-01-01T00:00:00.123456Z"
        );
    }
}
