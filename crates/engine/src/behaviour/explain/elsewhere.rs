//! The same events under the rules of others, and why their numbers differ.

use ebbtide_model::query::{CellZero, Cohorts, Funnel, Retention, StepOrder, Window};
use ebbtide_model::{Unit, WeekStart};
use serde_json::Value as Json;

use super::Elsewhere;
use crate::behaviour::funnel::Best;
use crate::sql::window_funnel_level;

/// `ClickHouse`'s modes, and what each does otherwise than a funnel here.
const MODES: [(&str, &str); 5] = [
    ("", "one event may serve several steps in a row, and there are no exclusions"),
    ("strict_once", "each step needs an event of its own, as here, and there are no exclusions"),
    ("strict_increase", "each step must be later than the one before, where here they may be of one time"),
    ("strict_deduplication", "a repeated event of a later step ends the search"),
    ("strict_order", "another event between two steps ends the search"),
];

pub(super) fn of_funnel(funnel: &Funnel, best: &Best, rows: &[(i64, u32)]) -> Vec<Elsewhere> {
    let depth = best.times.len();
    let mut found = Vec::new();
    for (mode, why) in MODES {
        let level = match funnel.order {
            StepOrder::Unordered => None,
            StepOrder::Ordered | StepOrder::Strict => {
                window_funnel_level(mode, funnel.window.micros(), funnel.steps.len(), rows)
            }
        };
        let same = level == Some(depth);
        let why = match level {
            None => "windowFunnel has no steps in any order".to_owned(),
            Some(_) if same => format!("The same for this actor; in general {why}."),
            Some(level) => format!("It reads {level} steps, not {depth}: {why}."),
        };
        let rules = if mode.is_empty() { "windowFunnel" } else { mode };
        found.push(Elsewhere { engine: "clickhouse", rules, reads: Json::from(level), same, why });
    }
    // Who did what is excluded is left out wholly, not just the attempt.
    let posthog = if best.voided { 0 } else { depth };
    let same = posthog == depth;
    let why = if same {
        "The same for this actor; in general who does an excluded event between the steps is left out wholly, where \
         here only that attempt is void."
            .to_owned()
    } else {
        format!(
            "It reads {posthog} steps, not {depth}: an excluded event between the steps leaves the actor out wholly, where \
             here only that attempt is void."
        )
    };
    found.push(Elsewhere { engine: "posthog", rules: "funnel", reads: Json::from(posthog), same, why });
    found
}

/// A retention as others would define it, with what is other about that.
pub(super) struct Variant {
    pub(super) engine: &'static str,
    pub(super) rules: &'static str,
    pub(super) retention: Retention,
    pub(super) week_start: Option<WeekStart>,
    pub(super) differences: Vec<&'static str>,
}

pub(super) fn of_retention(retention: &Retention, week_start: WeekStart) -> [Variant; 2] {
    let mut clickhouse = Variant {
        engine: "clickhouse",
        rules: "retention",
        retention: Retention {
            cohorts: Cohorts::Recurring,
            min_occurrences: 1,
            cumulative: false,
            cell_zero: CellZero::Size,
            window: Window::Calendar,
            ..retention.clone()
        },
        week_start: None,
        differences: Vec::new(),
    };
    let mut tell = |differs: bool, told: &'static str| {
        if differs {
            clickhouse.differences.push(told);
        }
    };
    tell(
        retention.cohorts == Cohorts::FirstTime,
        "each condition is asked of its own period, so a first time is unknown",
    );
    tell(retention.min_occurrences > 1, "one event meets a condition, so min_occurrences plays no part");
    tell(retention.cumulative, "a condition is of one period, so later ones do not count for it");
    tell(retention.cell_zero == CellZero::Returned, "the first value is that the actor started");
    tell(
        retention.window == Window::Rolling,
        "periods are those that the conditions name, the same for every actor",
    );
    let mut posthog = Variant {
        engine: "posthog",
        rules: "retention",
        retention: Retention { cell_zero: CellZero::Size, ..retention.clone() },
        week_start: None,
        differences: Vec::new(),
    };
    if retention.cell_zero == CellZero::Returned {
        posthog.differences.push("the first cell is always the size of the cohort");
    }
    if retention.period == Unit::Week && week_start == WeekStart::Monday {
        posthog.week_start = Some(WeekStart::Sunday);
        posthog.differences.push("a week begins on Sunday unless the project says otherwise");
    }
    [clickhouse, posthog]
}
