//! Rows of made-up tables as CSV, and the times in them.

use std::fmt::Write as _;

use ebbtide_model::Instant;

#[cfg(test)]
use super::Size;
use super::random::Random;

pub(super) const DAY_S: i64 = 86_400;
pub(super) const HOUR_S: i64 = 3_600;

/// A table in the making.
pub(super) struct Rows {
    table: &'static str,
    csv: String,
    /// Rows so far, which is the last row's id where rows are numbered.
    pub(super) count: i64,
}

impl Rows {
    /// `header` is the names of the columns, with commas between them.
    pub(super) fn new(table: &'static str, header: &str) -> Self {
        Self { table, csv: format!("{header}\n"), count: 0 }
    }

    /// Cells with commas between them; none of them may hold a comma, a quote or a line break.
    pub(super) fn push(&mut self, cells: std::fmt::Arguments<'_>) {
        // Writing to a text cannot fail.
        _ = writeln!(self.csv, "{cells}");
        self.count += 1;
    }

    /// The id of the row that is pushed next.
    pub(super) fn next_id(&self) -> i64 {
        self.count + 1
    }

    pub(super) fn finish(self) -> (&'static str, String) {
        (self.table, self.csv)
    }
}

/// The span of made-up time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// Seconds since 1970, at midnight.
    pub(super) start_s: i64,
    pub(super) end_s: i64,
}

impl Span {
    pub(super) fn before(end: Instant, days: i64) -> Self {
        let end_s = end.micros().div_euclid(Instant::MICROS_PER_SECOND);
        Self { start_s: end_s.div_euclid(DAY_S) * DAY_S - days * DAY_S, end_s }
    }

    /// How far a moment is into the span: 0 at its start, 1 at its end.
    pub(super) fn part(&self, at_s: i64) -> f64 {
        (at_s - self.start_s) as f64 / (self.end_s - self.start_s).max(1) as f64
    }

    /// A moment of the span; later ones are the likelier, as where more come every day.
    pub(super) fn growing(&self, random: &mut Random) -> i64 {
        self.start_s + whole((self.end_s - self.start_s) as f64 * random.unit().sqrt())
    }
}

pub(super) fn instant(seconds: i64) -> String {
    Instant::from_micros(seconds * Instant::MICROS_PER_SECOND).to_string()
}

/// Days as seconds, up to a century: beyond that nothing happens.
pub(super) fn seconds(days: f64) -> i64 {
    whole(days.min(36_500.0) * 86_400.0)
}

/// Whether a moment lies on a Saturday or Sunday.
pub(super) fn is_weekend(at_s: i64) -> bool {
    // 1970 began on a Thursday.
    (at_s.div_euclid(DAY_S) + 3).rem_euclid(7) >= 5
}

/// The same day at a time of business: 8 to 20 o'clock, most often at two in the afternoon.
pub(super) fn at_business(at_s: i64, random: &mut Random) -> i64 {
    at_s.div_euclid(DAY_S) * DAY_S + opening_hours(random)
}

/// Seconds into a day, densest at two in the afternoon.
pub(super) fn opening_hours(random: &mut Random) -> i64 {
    8 * HOUR_S + random.below(6 * HOUR_S) + random.below(6 * HOUR_S)
}

#[expect(clippy::cast_possible_truncation, reason = "a cast of floats saturates")]
pub(super) fn whole(number: f64) -> i64 {
    number as i64
}

/// What holds for every made-up data set: the same end gives the same data, all of it lies before, and
/// the columns that hold names say that they are made up.
#[cfg(test)]
pub(super) fn check_made_up(
    tables: fn(Instant, Size) -> Vec<(&'static str, String)>,
    named: &[&str],
    rows_least: &[(&str, usize)],
) {
    let end = Instant::parse("2026-06-15T12:30:00Z").unwrap();
    let made = tables(end, Size::DEMO);
    assert_eq!(made, tables(end, Size::DEMO));
    for (table, csv) in &made {
        let columns = csv.lines().next().unwrap().split(',').count();
        for row in csv.lines().skip(1) {
            assert_eq!(row.split(',').count(), columns, "{table}: {row}");
            for time in row.split(',').filter(|cell| cell.ends_with('Z')) {
                assert!(Instant::parse(time).unwrap() < end, "{table}: {row}");
            }
            assert!(!named.contains(table) || row.contains("(synthetic)"), "{table}: {row}");
        }
    }
    for (table, least) in rows_least {
        let (_, csv) = made.iter().find(|(name, _)| name == table).unwrap();
        let rows = csv.lines().count() - 1;
        assert!(rows >= *least && rows <= least * 3, "{table}: {rows}");
    }
    let rows = |made: &[(&str, String)]| made.iter().map(|(_, csv)| csv.lines().count() - 1).sum::<usize>();
    // Of many tenants the first alone grows.
    assert!(rows(&tables(end, Size { times: 8 })) > rows(&made) * 5 / 4);
}
