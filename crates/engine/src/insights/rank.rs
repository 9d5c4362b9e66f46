//! Rules that look at one row after the other, or at which is the first of them.

use ebbtide_model::insight::{InsightKind, InsightRule, Share, TIMES};
use ebbtide_model::nearest_float;
use serde_json::{Map, Value as Json};

use super::Found;
use super::row::{about, compare_keys, counted, percent, proportion, tell};
use crate::compare_ratios;
use crate::statistics::Proportion;

type Keyed<'r> = (Vec<Json>, &'r Map<String, Json>);

/// The row with the largest share; of several the first by its key.
pub(super) fn largest(rule: &InsightRule, share: &Share, rows: &[Keyed<'_>]) -> Vec<Found> {
    let parts = rows.iter().filter_map(|(_, row)| counted(row, &share.part));
    let total = parts.fold(0_u64, u64::saturating_add);
    let of = |row: &Map<String, Json>| match &share.whole {
        Some(whole) => proportion(row, &share.part, whole),
        None => Proportion::new(counted(row, &share.part)?, total),
    };
    let enough = |(key, row): &Keyed<'_>| {
        of(row).filter(|of| of.part > 0 && of.whole >= rule.least).map(|of| (key.clone(), of))
    };
    let ratio = |of: &Proportion| (u128::from(of.part), u128::from(of.whole));
    let first = rows.iter().filter_map(enough).min_by(|(left_key, left), (right_key, right)| {
        compare_ratios(ratio(right), ratio(left)).then_with(|| compare_keys(left_key, right_key))
    });
    let found = first.and_then(|(key, of)| {
        let measure = percent(of).to_f64();
        let severity = rule.thresholds.severity(measure)?;
        let mut evidence = about(rule, &key);
        tell(&mut evidence, share, "", of);
        Some(Found { key, measure, severity, evidence, test: None })
    });
    found.into_iter().collect()
}

/// Rows whose time is long beside another.
pub(super) fn slow(rule: &InsightRule, rows: &[Keyed<'_>]) -> Vec<Found> {
    let InsightKind::Slow { value, against, count: count_column, floor } = &rule.kind else {
        return Vec::new();
    };
    let time =
        |row: &Map<String, Json>, column: &str| nearest_float(row.get(column)?).filter(|time| *time >= 0.0);
    let found = |(key, row): &Keyed<'_>| {
        let (took, beside) = (time(row, value)?, time(row, against).filter(|beside| *beside > 0.0)?);
        let times = took / beside;
        let severity = rule.thresholds.severity(times).filter(|_| took >= *floor)?;
        let mut evidence = about(rule, key);
        evidence.insert(value.clone(), tenths(took));
        evidence.insert(against.clone(), tenths(beside));
        evidence.insert(TIMES.to_owned(), tenths(times));
        if let Some(column) = count_column {
            let measured = counted(row, column).filter(|measured| *measured >= rule.least)?;
            evidence.insert(column.clone(), Json::from(measured));
        }
        Some(Found { key: key.clone(), measure: times, severity, evidence, test: None })
    };
    rows.iter().filter_map(found).collect()
}

/// With one digit after the point.
fn tenths(number: f64) -> Json {
    Json::from((number * 10.0).round() / 10.0)
}
