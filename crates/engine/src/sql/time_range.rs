//! The times of rows that a scan gives: up to `as_of`, narrowed by conditions of the statement on the time
//! column.

use arrow::array::{Array, AsArray, BooleanArray, TimestampMicrosecondArray};
use arrow::datatypes::TimestampMicrosecondType;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::Between;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use ebbtide_model::Instant;
use ebbtide_store::NO_TIME;
use serde::{Deserialize, Serialize};

/// The column by which a row exists at an `as_of`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct TimeColumn {
    pub(super) index: usize,
    pub(super) nullable: bool,
}

/// The times of rows that exist, both ends inclusive, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TimeRange {
    from: i64,
    to: i64,
    /// Whether a row without a time is in it: it is, unless the statement asks for times.
    nulls: bool,
}

impl TimeRange {
    const EMPTY: Self = Self { from: 0, to: -1, nulls: false };

    /// All rows.
    pub(super) fn any() -> Self {
        Self { from: i64::MIN, to: i64::MAX, nulls: true }
    }

    pub(super) fn up_to(as_of: Instant) -> Self {
        Self { from: i64::MIN, to: as_of.micros(), nulls: true }
    }

    pub(super) fn meet(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), to: self.to.min(other.to), nulls: self.nulls && other.nulls }
    }

    /// The same times, none of them after this one.
    pub(super) fn ended(self, micros: i64) -> Self {
        Self { to: self.to.min(micros), ..self }
    }

    /// Whether a time is in it, or [`NO_TIME`].
    pub(super) fn has(self, time: i64) -> bool {
        if time == NO_TIME { self.nulls } else { self.from <= time && time <= self.to }
    }

    pub(super) fn end(self) -> i64 {
        self.to
    }

    /// Whether ranges differ in their ends alone.
    pub(super) fn begins_as(self, other: Self) -> bool {
        (self.from, self.nulls) == (other.from, other.nulls)
    }

    /// The range that a filter means, where it is exactly one on the time column.
    pub(super) fn of(filter: &Expr, time: &str) -> Option<Self> {
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                if is_column(left, time) {
                    Self::of_comparison(*op, micros(right)?)
                } else if is_column(right, time) {
                    Self::of_comparison(op.swap()?, micros(left)?)
                } else {
                    None
                }
            }
            Expr::Between(Between { expr, negated: false, low, high }) if is_column(expr, time) => {
                Some(Self { from: micros(low)?, to: micros(high)?, nulls: false })
            }
            _ => None,
        }
    }

    fn of_comparison(operator: Operator, micros: i64) -> Option<Self> {
        let (from, to) = match operator {
            Operator::Eq => (micros, micros),
            Operator::Lt if micros == i64::MIN => return Some(Self::EMPTY),
            Operator::Lt => (i64::MIN, micros - 1),
            Operator::LtEq => (i64::MIN, micros),
            Operator::Gt if micros == i64::MAX => return Some(Self::EMPTY),
            Operator::Gt => (micros + 1, i64::MAX),
            Operator::GtEq => (micros, i64::MAX),
            _ => return None,
        };
        Some(Self { from, to, nulls: false })
    }

    /// How a part's rows lie to the range, by the lowest and highest time among them, if that is known.
    pub(super) fn overlap(self, times: Option<(i64, i64)>, column: TimeColumn) -> Overlap {
        let kept_nulls = column.nullable && self.nulls;
        let dropped_nulls = column.nullable && !self.nulls;
        match times {
            Some((first, last)) if last < self.from || self.to < first => {
                if kept_nulls {
                    Overlap::Partly
                } else {
                    Overlap::Nowhere
                }
            }
            Some((first, last)) if self.from <= first && last <= self.to && !dropped_nulls => Overlap::Wholly,
            Some(_) | None => Overlap::Partly,
        }
    }

    /// Unmarks rows whose time is not in the range.
    pub(super) fn mark(self, times: &dyn Array, mask: &mut [bool]) -> Result<()> {
        let times = of_micros(times)?;
        let inside = |micros: i64| self.from <= micros && micros <= self.to;
        if times.null_count() == 0 {
            mask.iter_mut().zip(times.values()).for_each(|(marked, micros)| *marked &= inside(*micros));
        } else {
            let inside = |time: Option<i64>| time.map_or(self.nulls, inside);
            mask.iter_mut().zip(times.iter()).for_each(|(marked, time)| *marked &= inside(time));
        }
        Ok(())
    }

    /// The rows whose time is in the range; `None` for all of them.
    pub(super) fn mask(self, times: &dyn Array) -> Result<Option<BooleanArray>> {
        let times = of_micros(times)?;
        let inside = |micros: &i64| self.from <= *micros && *micros <= self.to;
        if times.null_count() == 0 {
            if times.values().iter().all(inside) {
                return Ok(None);
            }
            return Ok(Some(times.values().iter().map(|micros| Some(inside(micros))).collect()));
        }
        let keep = |time: Option<i64>| Some(time.map_or(self.nulls, |micros| inside(&micros)));
        Ok(Some(times.iter().map(keep).collect()))
    }
}

fn of_micros(times: &dyn Array) -> Result<&TimestampMicrosecondArray> {
    times
        .as_primitive_opt::<TimestampMicrosecondType>()
        .ok_or_else(|| DataFusionError::Internal("a time column holds no microseconds".to_owned()))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overlap {
    Nowhere,
    Partly,
    Wholly,
}

fn is_column(expr: &Expr, name: &str) -> bool {
    matches!(expr, Expr::Column(column) if column.name == name)
}

fn micros(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(ScalarValue::TimestampMicrosecond(Some(micros), _), _) => Some(*micros),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_passed_over_or_read_without_its_times_only_where_that_changes_no_row() {
        const ALL: TimeRange = TimeRange { from: i64::MIN, to: 100, nulls: true };
        const SOME: TimeRange = TimeRange { from: 10, to: 20, nulls: false };
        let check = |range: TimeRange, times, nullable, want| {
            let column = TimeColumn { index: 0, nullable };
            assert_eq!(range.overlap(times, column), want, "{range:?} {times:?} {nullable}");
        };
        check(ALL, None, false, Overlap::Partly);
        check(ALL, Some((0, 100)), false, Overlap::Wholly);
        check(ALL, Some((0, 100)), true, Overlap::Wholly);
        check(ALL, Some((0, 101)), false, Overlap::Partly);
        check(ALL, Some((101, 200)), false, Overlap::Nowhere);
        // A row without a time exists whatever the as_of.
        check(ALL, Some((101, 200)), true, Overlap::Partly);
        check(SOME, Some((10, 20)), false, Overlap::Wholly);
        // A row without a time passes no condition on it.
        check(SOME, Some((10, 20)), true, Overlap::Partly);
        check(SOME, Some((9, 20)), false, Overlap::Partly);
        check(SOME, Some((0, 9)), true, Overlap::Nowhere);
        check(SOME, Some((21, 30)), false, Overlap::Nowhere);
        check(TimeRange::EMPTY, Some((i64::MIN, i64::MAX)), false, Overlap::Partly);
    }
}
