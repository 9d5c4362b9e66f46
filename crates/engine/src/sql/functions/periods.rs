//! Which calendar period each of many instants lies in. The periods that a statement has met stand in a
//! table with a place for every day, so a row costs a division and a look or two, however its time lies
//! to that of the row before.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::compute::{max, min};
use arrow::datatypes::TimestampMicrosecondType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::ColumnarValue;
use ebbtide_model::{Calendar, Instant, Unit};

/// Past these, instants are looked up one by one.
const PERIODS_MAX: usize = 50_000;
const DAYS_MAX: usize = 200_000;

/// Periods that follow each other without a gap.
#[derive(Debug)]
pub(super) struct PeriodTable {
    /// Ascending; the last is the end of the last period.
    starts: Vec<i64>,
    first_day: i64,
    /// The period that holds the first instant of each day (UTC), from the first period's first day on.
    by_day: Vec<u32>,
}

impl PeriodTable {
    /// Of the periods that hold these two instants and all between; `None` where they are too many.
    fn new(calendar: &Calendar, unit: Unit, first: i64, last: i64) -> Option<Self> {
        let end = Instant::from_micros(last.checked_add(1)?);
        let boundaries = calendar.boundaries(unit, Instant::from_micros(first), end, PERIODS_MAX)?;
        let starts: Vec<i64> = boundaries.into_iter().map(Instant::micros).collect();
        let (first_start, end) = (*starts.first()?, *starts.last()?);
        // The calendar ends before the last instants do.
        if starts.len() < 2 || end <= last {
            return None;
        }
        let first_day = day(first_start);
        let days = usize::try_from(day(end) - first_day).ok()? + 1;
        if days > DAYS_MAX {
            return None;
        }
        let mut by_day = Vec::with_capacity(days);
        let mut period = 0;
        for midnight in (0..).map(|nr| (first_day + nr) * Instant::MICROS_PER_DAY).take(days) {
            while starts.get(period + 1).is_some_and(|next| *next <= midnight) {
                period += 1;
            }
            by_day.push(u32::try_from(period).ok()?);
        }
        Some(Self { starts, first_day, by_day })
    }

    fn covers(&self, first: i64, last: i64) -> bool {
        let ends = self.starts.first().zip(self.starts.last());
        ends.is_some_and(|(start, end)| *start <= first && last < *end)
    }

    /// The place of the period that holds an instant of these periods.
    fn place(&self, micros: i64) -> Option<usize> {
        let of_day = usize::try_from(day(micros) - self.first_day).ok()?;
        let mut place = usize::try_from(*self.by_day.get(of_day)?).ok()?;
        while *self.starts.get(place + 1)? <= micros {
            place += 1;
        }
        Some(place)
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    pub(super) fn start(&self, place: usize) -> i64 {
        self.starts.get(place).copied().unwrap_or_default()
    }

    /// The start of the period of each time, all of which the table holds.
    pub(super) fn starts_of(&self, times: &[i64]) -> Vec<i64> {
        times.iter().map(|micros| self.start(self.place(*micros).unwrap_or_default())).collect()
    }

    /// The place of each row's period; `None` for a row without a time.
    pub(super) fn places<'t>(
        &'t self,
        times: &'t TimestampMicrosecondArray,
    ) -> impl Iterator<Item = Option<usize>> + 't {
        times.iter().map(|micros| self.place(micros?))
    }
}

fn day(micros: i64) -> i64 {
    micros.div_euclid(Instant::MICROS_PER_DAY)
}

/// The tables of a statement's calendar, one for each unit that it has used.
#[derive(Debug, Default)]
pub(super) struct PeriodTables {
    known: Mutex<Vec<(Unit, Arc<PeriodTable>)>>,
}

impl PeriodTables {
    /// A table in which all of these times are. `None` where there is no time, where they span too many
    /// periods, and for hours: those of the wall clock are no partition of time where summer time is
    /// half an hour.
    pub(super) fn holding(
        &self,
        calendar: &Calendar,
        unit: Unit,
        times: &TimestampMicrosecondArray,
    ) -> Option<Arc<PeriodTable>> {
        if unit == Unit::Hour {
            return None;
        }
        let (mut first, mut last) = (min(times)?, max(times)?);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let place = known.iter().position(|(of, _)| *of == unit);
        if let Some((_, table)) = place.and_then(|place| known.get(place)) {
            if table.covers(first, last) {
                return Some(table.clone());
            }
            first = first.min(table.start(0));
            last = last.max(table.start(table.len() - 1) - 1);
        }
        let table = Arc::new(PeriodTable::new(calendar, unit, first, last)?);
        known.retain(|(of, _)| *of != unit);
        known.push((unit, table.clone()));
        Some(table)
    }
}

/// The arguments where the unit is the same for all rows and the times are a column.
pub(super) fn unit_and_times(args: &[ColumnarValue]) -> Option<(&str, &ArrayRef)> {
    let [ColumnarValue::Scalar(ScalarValue::Utf8(Some(unit))), ColumnarValue::Array(times), ..] = args else {
        return None;
    };
    times.as_primitive_opt::<TimestampMicrosecondType>().map(|_| (unit.as_str(), times))
}

#[cfg(test)]
mod tests {
    use ebbtide_model::WeekStart;

    use super::*;

    /// Random instants (xorshift) of some years around 2024, among them the edges of days.
    fn instants() -> Vec<i64> {
        let mut state = 88_172_645_463_325_252_u64;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let start = Instant::parse("2021-12-31T00:00:00Z").unwrap().micros();
        let mut instants = Vec::new();
        for _ in 0..2_000 {
            let day = i64::try_from(random() % 1_500).unwrap() * Instant::MICROS_PER_DAY;
            let within = i64::try_from(random() % 86_400_000_000).unwrap();
            let quarter = within / 900_000_000 * 900_000_000;
            instants.extend([start + day + within, start + day + quarter, start + day + quarter - 1]);
        }
        instants
    }

    #[test]
    fn each_instant_is_in_the_period_of_the_calendar() {
        let zones = ["UTC", "Asia/Seoul", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"];
        for zone in zones {
            let zone = jiff::tz::TimeZone::get(zone).unwrap();
            let calendar = Calendar::new(zone, WeekStart::Sunday);
            for unit in [Unit::Day, Unit::Week, Unit::Month, Unit::Quarter, Unit::Year] {
                let tables = PeriodTables::default();
                // In pieces, so that the table grows at both ends.
                for piece in instants().chunks(500) {
                    let times = TimestampMicrosecondArray::from(piece.to_vec()).with_timezone("+00:00");
                    let table = tables.holding(&calendar, unit, &times).unwrap();
                    let starts = table.starts_of(piece);
                    for ((place, micros), start) in table.places(&times).zip(piece).zip(starts) {
                        let want = calendar.floor(unit, Instant::from_micros(*micros)).micros();
                        assert_eq!(table.start(place.unwrap()), want, "{unit:?} of {micros}");
                        assert_eq!(start, want, "{unit:?} of {micros}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_spans_too_many_periods_has_no_table() {
        let calendar = Calendar::utc();
        let check = |unit, times: Vec<Option<i64>>, want: bool| {
            let times = TimestampMicrosecondArray::from(times).with_timezone("+00:00");
            let found = PeriodTables::default().holding(&calendar, unit, &times);
            assert_eq!(found.is_some(), want, "{unit:?} {times:?}");
        };
        let far = 250_000 * Instant::MICROS_PER_DAY;
        check(Unit::Day, vec![Some(0), None, Some(Instant::MICROS_PER_DAY)], true);
        check(Unit::Day, vec![Some(0), Some(far)], false);
        check(Unit::Year, vec![Some(0), Some(far)], false);
        check(Unit::Year, vec![Some(far)], true);
        check(Unit::Day, vec![None], false);
        check(Unit::Hour, vec![Some(0)], false);
        check(Unit::Month, vec![Some(i64::MAX)], false);
        check(Unit::Month, vec![Some(i64::MIN)], false);
    }
}
