//! Calendar periods in a time zone. A month is a month, never 30 days; a day lasts 23 to 25 hours.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan};

use crate::Instant;

const SECONDS_PER_HOUR: i64 = 3_600;

/// A calendar unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

impl Unit {
    pub const NAMES: [&str; 6] = ["hour", "day", "week", "month", "quarter", "year"];

    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "hour" => Self::Hour,
            "day" => Self::Day,
            "week" => Self::Week,
            "month" => Self::Month,
            "quarter" => Self::Quarter,
            "year" => Self::Year,
            _ => return None,
        })
    }
}

/// The day that a week starts with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeekStart {
    #[default]
    Monday,
    Sunday,
}

/// A time zone and a week start: all that turns instants into calendar periods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    zone: TimeZone,
    week_start: WeekStart,
}

impl Calendar {
    pub fn new(zone: TimeZone, week_start: WeekStart) -> Self {
        Self { zone, week_start }
    }

    pub fn utc() -> Self {
        Self::new(TimeZone::UTC, WeekStart::Monday)
    }

    /// Of the name of a zone as [`zone_name`](Self::zone_name) gives it; `None` where no zone has it.
    pub fn of_names(zone: &str, week_start: WeekStart) -> Option<Self> {
        Some(Self::new(TimeZone::get(zone).ok()?, week_start))
    }

    /// The IANA name of its zone; `None` of one that has none.
    pub fn zone_name(&self) -> Option<&str> {
        self.zone.iana_name()
    }

    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    pub fn week_start(&self) -> WeekStart {
        self.week_start
    }

    /// The start of the period that holds `instant`.
    pub fn floor(&self, unit: Unit, instant: Instant) -> Instant {
        if unit == Unit::Hour {
            return self.floor_hour(instant);
        }
        self.start_of(self.first_day(unit, self.date(instant)))
    }

    /// The start of the `count`-th period after (or, negative, before) the one that holds `instant`.
    pub fn advance(&self, unit: Unit, instant: Instant, count: i64) -> Instant {
        if unit == Unit::Hour {
            let hours = count.saturating_mul(SECONDS_PER_HOUR * Instant::MICROS_PER_SECOND);
            return self.floor_hour(Instant::from_micros(instant.micros().saturating_add(hours)));
        }
        let first = self.first_day(unit, self.date(instant));
        let span = match unit {
            Unit::Hour | Unit::Day => Span::new().try_days(count),
            Unit::Week => Span::new().try_weeks(count),
            Unit::Month => Span::new().try_months(count),
            Unit::Quarter => Span::new().try_months(count.saturating_mul(3)),
            Unit::Year => Span::new().try_years(count),
        };
        let end_of_time = if count < 0 { Date::MIN } else { Date::MAX };
        let moved = span.and_then(|span| first.checked_add(span)).unwrap_or(end_of_time);
        self.start_of(moved)
    }

    /// The start of the period that ends at `start`, where one begins. A zone may have passed over a day: then it is
    /// not the one that counting back would name.
    pub fn period_before(&self, unit: Unit, start: Instant) -> Instant {
        self.floor(unit, Instant::from_micros(start.micros().saturating_sub(1)))
    }

    /// An instant after `instant`, and not after the next one at which a period of the unit begins: the
    /// next day, or for hours the next quarter of one, on which the hours of all zones begin.
    pub fn next_boundary(&self, unit: Unit, instant: Instant) -> Instant {
        if unit == Unit::Hour {
            return instant.next_multiple(SECONDS_PER_HOUR / 4 * Instant::MICROS_PER_SECOND);
        }
        self.advance(Unit::Day, instant, 1)
    }

    /// Boundaries of the calendar periods that meet [`from`, `to`): n periods have n + 1 boundaries.
    /// Empty where `to` is not after `from`; at most `periods_max` periods, else `None`.
    pub fn boundaries(
        &self,
        unit: Unit,
        from: Instant,
        to: Instant,
        periods_max: usize,
    ) -> Option<Vec<Instant>> {
        let mut boundaries = Vec::new();
        if to <= from {
            return Some(boundaries);
        }
        let mut start = self.floor(unit, from);
        while start < to {
            if boundaries.len() == periods_max {
                return None;
            }
            boundaries.push(start);
            let next = self.advance(unit, start, 1);
            if next <= start {
                break;
            }
            start = next;
        }
        boundaries.push(start);
        Some(boundaries)
    }

    /// A period's name by its start: `2026-06` for a month, `2026-Q2`, `2026`, else the date (with
    /// `T09:00` for an hour).
    pub fn label(&self, unit: Unit, start: Instant) -> String {
        let Some(timestamp) = start.to_timestamp() else {
            return start.to_string();
        };
        let local = self.zone.to_datetime(timestamp);
        match unit {
            Unit::Hour => local.strftime("%Y-%m-%dT%H:%M").to_string(),
            Unit::Day | Unit::Week => local.strftime("%Y-%m-%d").to_string(),
            Unit::Month => local.strftime("%Y-%m").to_string(),
            Unit::Quarter => format!("{:04}-Q{}", local.year(), (local.month() - 1) / 3 + 1),
            Unit::Year => local.strftime("%Y").to_string(),
        }
    }

    fn date(&self, instant: Instant) -> Date {
        let end_of_time = if instant.micros() < 0 { Date::MIN } else { Date::MAX };
        instant.to_timestamp().map_or(end_of_time, |timestamp| self.zone.to_datetime(timestamp).date())
    }

    fn first_day(&self, unit: Unit, date: Date) -> Date {
        match unit {
            Unit::Hour | Unit::Day => date,
            Unit::Week => {
                let first = match self.week_start {
                    WeekStart::Monday => Weekday::Monday,
                    WeekStart::Sunday => Weekday::Sunday,
                };
                let since = date.weekday().since(first);
                date.checked_sub(i64::from(since).days()).unwrap_or(Date::MIN)
            }
            Unit::Month => date.first_of_month(),
            Unit::Quarter => {
                let month = (date.month() - 1) / 3 * 3 + 1;
                Date::new(date.year(), month, 1).unwrap_or(date)
            }
            Unit::Year => date.first_of_year(),
        }
    }

    fn start_of(&self, date: Date) -> Instant {
        // Only at the ends of time is a date no instant; there the nearest instant serves.
        match date.to_zoned(self.zone.clone()) {
            Ok(zoned) => Instant::from_timestamp(zoned.timestamp()),
            Err(_) if date.year() < 0 => Instant::from_timestamp(jiff::Timestamp::MIN),
            Err(_) => Instant::from_timestamp(jiff::Timestamp::MAX),
        }
    }

    /// The hour by the wall clock, so that a zone with half an hour's offset has its own hours, and
    /// the hour that comes twice in autumn is two periods.
    fn floor_hour(&self, instant: Instant) -> Instant {
        let Some(timestamp) = instant.to_timestamp() else {
            return instant;
        };
        let offset_s = i64::from(self.zone.to_offset(timestamp).seconds());
        let local_s = instant.micros().div_euclid(Instant::MICROS_PER_SECOND) + offset_s;
        let start_s = local_s.div_euclid(SECONDS_PER_HOUR) * SECONDS_PER_HOUR - offset_s;
        Instant::from_micros(start_s * Instant::MICROS_PER_SECOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Instant {
        Instant::parse(text).unwrap()
    }

    fn zone(name: &str) -> Calendar {
        Calendar::new(TimeZone::get(name).unwrap(), WeekStart::Monday)
    }

    #[test]
    fn a_day_that_a_zone_passed_over_is_before_no_other() {
        let apia = zone("Pacific/Apia");
        // There was no 30th: the 29th ended at 10:00 in UTC.
        let before = apia.period_before(Unit::Day, at("2011-12-30T10:00:00Z"));
        assert_eq!(before, at("2011-12-29T10:00:00Z"));
        assert_eq!(Calendar::utc().period_before(Unit::Month, at("2024-03-01")), at("2024-02-01"));
        assert_eq!(Calendar::utc().period_before(Unit::Hour, at("2024-03-01")), at("2024-02-29T23:00:00Z"));
    }

    #[test]
    fn periods_start_where_the_calendar_says() {
        let check = |calendar: &Calendar, unit, given: &str, want: &str| {
            assert_eq!(calendar.floor(unit, at(given)).to_string(), want, "{unit:?} of {given}");
        };
        let utc = Calendar::utc();
        check(&utc, Unit::Week, "2024-03-03T23:59:59Z", "2024-02-26T00:00:00Z");
        check(&utc, Unit::Month, "2024-02-29T12:00:00Z", "2024-02-01T00:00:00Z");
        check(&utc, Unit::Quarter, "2024-06-30T12:00:00Z", "2024-04-01T00:00:00Z");
        check(&utc, Unit::Year, "1969-06-30T12:00:00Z", "1969-01-01T00:00:00Z");
        let sunday = Calendar::new(TimeZone::UTC, WeekStart::Sunday);
        check(&sunday, Unit::Week, "2024-03-03T00:00:00Z", "2024-03-03T00:00:00Z");
        check(&zone("America/New_York"), Unit::Day, "2024-03-10T12:00:00Z", "2024-03-10T05:00:00Z");
        check(&zone("Asia/Kolkata"), Unit::Hour, "2024-03-10T12:40:00Z", "2024-03-10T12:30:00Z");
    }

    #[test]
    fn a_day_of_summer_time_has_23_or_25_hours() {
        let new_york = zone("America/New_York");
        let hours = |day: &str| {
            let start = new_york.floor(Unit::Day, at(day));
            let end = new_york.advance(Unit::Day, start, 1);
            new_york.boundaries(Unit::Hour, start, end, 100).unwrap().len() - 1
        };
        assert_eq!(hours("2024-03-10T12:00:00Z"), 23);
        assert_eq!(hours("2024-11-03T12:00:00Z"), 25);
    }

    #[test]
    fn no_period_begins_between_an_instant_and_its_next_boundary() {
        let check = |calendar: &Calendar, unit, from: &str, want: &str| {
            let next = calendar.next_boundary(unit, at(from));
            assert_eq!(next.to_string(), want, "{unit:?} after {from}");
            assert!(next <= calendar.advance(unit, at(from), 1), "{unit:?} after {from}");
        };
        check(&Calendar::utc(), Unit::Month, "2024-02-10T12:00:00Z", "2024-02-11T00:00:00Z");
        check(&Calendar::utc(), Unit::Day, "2024-02-11T00:00:00Z", "2024-02-12T00:00:00Z");
        check(&zone("America/New_York"), Unit::Week, "2024-03-10T12:00:00Z", "2024-03-11T04:00:00Z");
        check(&zone("Asia/Kathmandu"), Unit::Hour, "2024-03-10T12:13:00.5Z", "2024-03-10T12:15:00Z");
        check(&zone("Asia/Kathmandu"), Unit::Hour, "2024-03-10T12:15:00Z", "2024-03-10T12:30:00Z");
        check(&Calendar::utc(), Unit::Hour, "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z");
    }

    #[test]
    fn months_step_by_the_calendar_in_both_directions() {
        let utc = Calendar::utc();
        let from = at("2024-01-31T10:00:00Z");
        assert_eq!(utc.advance(Unit::Month, from, 1).to_string(), "2024-02-01T00:00:00Z");
        assert_eq!(utc.advance(Unit::Month, from, -13).to_string(), "2022-12-01T00:00:00Z");
    }

    #[test]
    fn boundaries_hold_every_period_that_meets_the_range_and_no_more() {
        let utc = Calendar::utc();
        let check = |from: &str, to: &str, periods: Option<usize>| {
            let boundaries = utc.boundaries(Unit::Month, at(from), at(to), 12);
            assert_eq!(boundaries.map(|b| b.len().saturating_sub(1)), periods, "{from} to {to}");
        };
        check("2024-01-15", "2024-03-01", Some(2));
        check("2024-01-15", "2024-03-01T00:00:00.000001Z", Some(3));
        check("2024-01-15", "2024-01-15", Some(0));
        check("2024-01-15", "2025-01-15", None);
    }

    #[test]
    fn the_ends_of_time_do_not_panic() {
        let utc = Calendar::utc();
        for micros in [i64::MIN, i64::MAX] {
            let end = utc.floor(Unit::Month, Instant::from_micros(micros));
            utc.advance(Unit::Year, end, i64::MAX);
            utc.advance(Unit::Hour, end, i64::MIN);
        }
    }
}
