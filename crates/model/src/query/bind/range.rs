//! The buckets that a query asks about: how many, and not too many.

use super::fault;
use crate::query::{FunnelView, Interval, Kind, Query, RETENTION_PERIODS_MAX, TREND_BUCKETS_MAX};
use crate::{Calendar, Fault, Instant, Unit};

/// Settles how many periods a retention has, and refuses more buckets than a trend may have.
pub(super) fn check_range(
    query: &mut Query,
    calendar: &Calendar,
    from: Option<Instant>,
    to: Option<Instant>,
) -> Result<(), Fault> {
    match &mut query.kind {
        Kind::Churn(_) | Kind::Preceding(_) | Kind::Paths(_) | Kind::Dropoff(_) => Ok(()),
        Kind::Trend(trend) => {
            if trend.compare.is_some() && trend.interval == Interval::All && from.is_none() {
                return Err(fault("from", "is missing, and `compare` over all needs it"));
            }
            match trend.interval {
                Interval::Unit(unit) => check_buckets(unit, calendar, from, to),
                Interval::All => Ok(()),
            }
        }
        Kind::Funnel(funnel) => match funnel.view {
            FunnelView::Trends { interval, .. } => check_buckets(interval, calendar, from, to),
            FunnelView::Steps => Ok(()),
        },
        Kind::Lifecycle(lifecycle) => check_buckets(lifecycle.interval, calendar, from, to),
        Kind::Stickiness(stickiness) => check_buckets(stickiness.interval, calendar, from, to),
        Kind::Retention(retention) => {
            let Some(to) = to else {
                return Ok(());
            };
            let Some(from) = from else {
                return Err(fault("from", "is missing, and `to` needs it; or give `periods` alone"));
            };
            let max = RETENTION_PERIODS_MAX;
            let boundaries = calendar.boundaries(retention.period, from, to, max as usize);
            let count = boundaries.and_then(|found| u32::try_from(found.len().saturating_sub(1)).ok());
            let Some(count) = count else {
                return Err(fault(
                    "to",
                    format_args!(
                        "{to} was given, more than {max} periods after `from`; allowed are up to {max}"
                    ),
                ));
            };
            if let Some(given) = retention.periods.filter(|given| *given != count) {
                let problem = format_args!("{given} was given; from {from} to {to} there are {count}");
                return Err(fault("periods", problem));
            }
            retention.periods = Some(count);
            retention.columns = Some(retention.columns.unwrap_or(count));
            Ok(())
        }
    }
}

fn check_buckets(
    unit: Unit,
    calendar: &Calendar,
    from: Option<Instant>,
    to: Option<Instant>,
) -> Result<(), Fault> {
    let (Some(from), Some(to)) = (from, to) else {
        return Ok(());
    };
    let boundaries = calendar.boundaries(unit, from, to, TREND_BUCKETS_MAX);
    boundaries.map(|_| ()).ok_or_else(|| {
        fault(
            "interval",
            format_args!(
                "{} was given; from {from} to {to} has more than {TREND_BUCKETS_MAX} of these, allowed is a longer one",
                serde_json::json!(unit)
            ),
        )
    })
}
