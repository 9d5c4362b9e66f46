//! From rows to findings, by rules: which row stands out, by how much, and whether chance alone would do as
//! much. The order of rows changes nothing. Words are not made here.

mod compare;
mod rank;
mod row;

use ebbtide_model::insight::{InsightKind, InsightRule, Severity};
use serde_json::{Map, Value as Json};

pub use row::counted;
use row::{compare_keys, key_of};

/// A finding of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub severity: Severity,
    /// The names of [`InsightRule::evidence`], in their order.
    pub evidence: Map<String, Json>,
    pub test: Option<Significance>,
}

/// A test and what was looked at besides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Significance {
    pub z: f64,
    pub p: f64,
    /// With all looks taken into account: see [`holm_adjusted`](crate::statistics::holm_adjusted).
    pub p_adjusted: f64,
    /// How many comparisons the rule has made.
    pub looks: usize,
    /// What `p_adjusted` is at most.
    pub level: f64,
}

impl Significance {
    pub const NAME: &str = "two-proportion z-test, pooled, with continuity correction";
    pub const CORRECTION: &str = "Holm";
}

/// Something that a rule has found, before the greatest are chosen.
struct Found {
    key: Vec<Json>,
    measure: f64,
    severity: Severity,
    evidence: Map<String, Json>,
    test: Option<Significance>,
}

/// What a rule finds in these rows: the gravest first, and of one severity by their keys.
pub fn find(rule: &InsightRule, rows: &[Map<String, Json>]) -> Vec<Finding> {
    let keyed: Vec<(Vec<Json>, &Map<String, Json>)> =
        rows.iter().filter_map(|row| Some((key_of(rule, row)?, row))).collect();
    let mut found = match &rule.kind {
        InsightKind::Largest { share } => rank::largest(rule, share, &keyed),
        InsightKind::Slow { .. } => rank::slow(rule, &keyed),
        InsightKind::Differs { share, when, level, .. } => {
            compare::groups(rule, share, *when, *level, &keyed)
        }
        InsightKind::Changed { share, before, when, level } => {
            compare::periods(rule, share, before, *when, *level, &keyed)
        }
    };
    let order = |left: &Found, right: &Found| compare_keys(&left.key, &right.key);
    found.sort_by(|left, right| right.measure.total_cmp(&left.measure).then_with(|| order(left, right)));
    found.truncate(rule.most);
    found.sort_by(|left, right| left.severity.cmp(&right.severity).then_with(|| order(left, right)));
    let finding = |Found { severity, evidence, test, .. }: Found| Finding { severity, evidence, test };
    found.into_iter().map(finding).collect()
}

#[cfg(test)]
mod tests;
