//! `retention`: of those who start in a period, how many come back in each one after.

use serde_json::{Value as Json, json};

use super::matcher::{Breakdown, Matcher, count};
use super::when::{decode_unit, unit_json};
use crate::{Fault, Fields, Unit};

pub const RETENTION_PERIODS_MAX: u32 = 1_000;
const PERIODS_DEFAULT: u32 = 12;

#[derive(Clone, Debug, PartialEq)]
pub struct Retention {
    pub cohorts: Cohorts,
    pub start: Matcher,
    pub returns: Matcher,
    pub period: Unit,
    /// How many rows. `None` only until the query is bound: as many as meet `from` to `to`.
    pub periods: Option<u32>,
    /// Cells in a row at most. `None`: as many as there are periods.
    pub columns: Option<u32>,
    /// How many return events in a period make a return.
    pub min_occurrences: u32,
    /// Whether a return in any later period counts too.
    pub cumulative: bool,
    pub cell_zero: CellZero,
    pub window: Window,
    pub breakdown: Option<Breakdown>,
    pub list_actors: bool,
}

/// Which rows an actor is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cohorts {
    /// Every period with a start event of the actor.
    Recurring,
    /// Only the period of the actor's first start event in all history.
    FirstTime,
}

/// What the first cell of a row counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellZero {
    /// The members.
    Size,
    /// Those of them with a return event in the cohort's own period.
    Returned,
}

/// What the k-th period after the start is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The k-th calendar period after the cohort's own.
    Calendar,
    /// The k-th span of 24 hours, 7 or 30 days from the actor's own start.
    Rolling,
}

impl Retention {
    pub(super) fn decode(fields: &Fields<'_>) -> Result<Self, Fault> {
        let max = i64::from(RETENTION_PERIODS_MAX);
        let counted = |name| fields.optional(name).map(|node| count(&node, 1, max)).transpose();
        let cohorts = fields.optional("type").map_or(Ok(Cohorts::Recurring), |node| {
            node.choice(&["recurring", "first_time"], |name| match name {
                "recurring" => Some(Cohorts::Recurring),
                "first_time" => Some(Cohorts::FirstTime),
                _ => None,
            })
        })?;
        let start = Matcher::decode(fields.optional("start"))?;
        let returns = Matcher::decode(fields.optional("return"))?;
        let period = fields.optional("period").map_or(Ok(Unit::Day), |node| decode_unit(&node))?;
        let until_given = fields.optional("to").is_some();
        let periods = counted("periods")?.or((!until_given).then_some(PERIODS_DEFAULT));
        let columns = counted("columns")?.or(periods);
        let min_occurrences =
            fields.optional("min_occurrences").map_or(Ok(1), |node| count(&node, 1, 1_000_000))?;
        let cell_zero = fields.optional("cell_zero").map_or(Ok(CellZero::Size), |node| {
            node.choice(&["size", "returned"], |name| match name {
                "size" => Some(CellZero::Size),
                "returned" => Some(CellZero::Returned),
                _ => None,
            })
        })?;
        Ok(Self {
            cohorts,
            start,
            returns,
            period,
            periods,
            columns,
            min_occurrences,
            cumulative: fields.flag("cumulative", false)?,
            cell_zero,
            window: decode_window(fields, period)?,
            breakdown: fields.optional("breakdown").map(Breakdown::decode).transpose()?,
            list_actors: fields.flag("list_actors", false)?,
        })
    }

    pub(super) fn to_json(&self) -> Json {
        json!({
            "type": match self.cohorts {
                Cohorts::Recurring => "recurring",
                Cohorts::FirstTime => "first_time",
            },
            "start": self.start.to_json(),
            "return": self.returns.to_json(),
            "period": unit_json(self.period),
            "periods": self.periods,
            "columns": self.columns,
            "min_occurrences": self.min_occurrences,
            "cumulative": self.cumulative,
            "cell_zero": match self.cell_zero {
                CellZero::Size => "size",
                CellZero::Returned => "returned",
            },
            "window": match self.window {
                Window::Calendar => "calendar",
                Window::Rolling => "rolling",
            },
            "breakdown": self.breakdown.as_ref().map(Breakdown::to_json),
            "list_actors": self.list_actors,
        })
    }
}

fn decode_window(fields: &Fields<'_>, period: Unit) -> Result<Window, Fault> {
    let Some(node) = fields.optional("window") else {
        return Ok(Window::Calendar);
    };
    let window = node.choice(&["calendar", "rolling"], |name| match name {
        "calendar" => Some(Window::Calendar),
        "rolling" => Some(Window::Rolling),
        _ => None,
    })?;
    let rolls = matches!(period, Unit::Day | Unit::Week | Unit::Month);
    if window == Window::Rolling && !rolls {
        return Err(node.fault(
            "\"rolling\" was given; allowed is that only where the period is \"day\" (24 hours), \"week\" (7 days) \
             or \"month\" (30 days)",
        ));
    }
    Ok(window)
}
