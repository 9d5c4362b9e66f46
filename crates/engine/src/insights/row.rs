//! What rules read of rows, and what they tell of them.

use std::cmp::Ordering;

use ebbtide_model::insight::{InsightRule, Share};
use ebbtide_model::nearest_float;
use serde_json::{Map, Value as Json};

use crate::Ratio;
use crate::statistics::Proportion;

/// Digits after the point of shares in percent, and of the points between them.
const SHARE_DECIMALS: u8 = 2;
/// Below it every whole number is exact as a float.
const COUNT_MAX: f64 = 9_007_199_254_740_992.0;

/// What a row is about; `None` where one of its key's columns is null.
pub(super) fn key_of(rule: &InsightRule, row: &Map<String, Json>) -> Option<Vec<Json>> {
    rule.key.iter().map(|column| row.get(column).filter(|value| !value.is_null()).cloned()).collect()
}

/// Numbers by their size and before texts, texts by their code points.
pub(super) fn compare_keys(left: &[Json], right: &[Json]) -> Ordering {
    let one = |(left, right): (&Json, &Json)| match (nearest_float(left), nearest_float(right)) {
        (Some(left), Some(right)) => left.total_cmp(&right),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => match (left.as_str(), right.as_str()) {
            (Some(left), Some(right)) => left.cmp(right),
            (_, _) => left.to_string().cmp(&right.to_string()),
        },
    };
    let unequal = left.iter().zip(right).map(one).find(|order| *order != Ordering::Equal);
    unequal.unwrap_or_else(|| left.len().cmp(&right.len()))
}

/// A whole number from 0; of any other cell nothing.
pub fn counted(row: &Map<String, Json>, column: &str) -> Option<u64> {
    let cell = row.get(column)?;
    let whole = |number: &f64| number.fract() == 0.0 && (0.0..COUNT_MAX).contains(number);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and from 0 to 2^53")]
    let of_float = |number: f64| number as u64;
    cell.as_u64().or_else(|| nearest_float(cell).filter(whole).map(of_float))
}

/// A row whose part is more than its whole, or that lacks one of them, is none.
pub(super) fn proportion(row: &Map<String, Json>, part: &str, whole: &str) -> Option<Proportion> {
    Proportion::new(counted(row, part)?, counted(row, whole)?)
}

/// In percent; over nothing nothing.
pub(super) fn percent(of: Proportion) -> Ratio {
    Ratio::new(u128::from(of.part) * 100, of.whole).unwrap_or_else(|| Ratio::whole(0))
}

pub(super) fn shown(percent: &Ratio) -> Json {
    Json::from(percent.rounded(SHARE_DECIMALS).to_f64())
}

/// The share, its part and its whole, each with `suffix` behind its name.
pub(super) fn tell(evidence: &mut Map<String, Json>, share: &Share, suffix: &str, of: Proportion) {
    let [name, part, whole] = share.named().map(|name| format!("{name}{suffix}"));
    evidence.insert(name, shown(&percent(of)));
    evidence.insert(part, Json::from(of.part));
    evidence.insert(whole, Json::from(of.whole));
}

/// The key, as evidence begins.
pub(super) fn about(rule: &InsightRule, key: &[Json]) -> Map<String, Json> {
    rule.key.iter().cloned().zip(key.iter().cloned()).collect()
}
