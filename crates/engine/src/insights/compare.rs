//! Rules that set shares side by side: those of groups, and those of now and before.

use std::collections::BTreeMap;

use ebbtide_model::insight::{BEFORE, Counted, DIFFERENCE, Direction, InsightRule, OTHERS, Share};
use serde_json::{Map, Value as Json};

use super::row::{about, percent, proportion, shown, tell};
use super::{Found, Significance};
use crate::statistics::{Proportion, TwoProportions, holm_adjusted};

type Keyed<'r> = (Vec<Json>, &'r Map<String, Json>);

/// Two shares that were set side by side.
struct Look {
    key: Vec<Json>,
    own: Proportion,
    beside: Proportion,
    test: TwoProportions,
}

impl Look {
    /// `None`: there are too few on either side.
    fn of(rule: &InsightRule, key: Vec<Json>, own: Proportion, beside: Proportion) -> Option<Self> {
        if own.whole.min(beside.whole) < rule.least {
            return None;
        }
        Some(Self { key, own, beside, test: TwoProportions::of(own, beside)? })
    }
}

/// Each group beside all others of the same rest of the key; of two groups this is one look.
pub(super) fn groups(
    rule: &InsightRule,
    share: &Share,
    when: Direction,
    level: f64,
    rows: &[Keyed<'_>],
) -> Vec<Found> {
    let whole = share.whole.as_deref().unwrap_or_default();
    let mut places: BTreeMap<String, BTreeMap<String, (Vec<Json>, Proportion)>> = BTreeMap::new();
    for (key, row) in rows {
        let Some(of) = proportion(row, &share.part, whole) else { continue };
        let place = key.iter().take(key.len().saturating_sub(1)).cloned().collect::<Json>().to_string();
        let group = key.last().map(Json::to_string).unwrap_or_default();
        let nobody = || (key.clone(), Proportion { part: 0, whole: 0 });
        let (_, known) = places.entry(place).or_default().entry(group).or_insert_with(nobody);
        *known = known.and(of);
    }
    let mut looks = Vec::new();
    for groups in places.into_values() {
        let groups: Vec<(Vec<Json>, Proportion)> =
            groups.into_values().filter(|(_, of)| of.whole > 0).collect();
        let all = groups.iter().fold(Proportion { part: 0, whole: 0 }, |all, (_, of)| all.and(*of));
        let beside = |of: Proportion| Proportion { part: all.part - of.part, whole: all.whole - of.whole };
        match groups.as_slice() {
            [] | [_] => {}
            // The one that may be told stands in front.
            [first, second] => {
                let (own, other) =
                    if is_told(first.1, second.1, when) { (first, second) } else { (second, first) };
                looks.extend(Look::of(rule, own.0.clone(), own.1, other.1));
            }
            several => looks
                .extend(several.iter().filter_map(|(key, of)| Look::of(rule, key.clone(), *of, beside(*of)))),
        }
    }
    told(rule, share, OTHERS, when, level, looks)
}

/// Each row beside what it was before.
pub(super) fn periods(
    rule: &InsightRule,
    share: &Share,
    before: &Counted,
    when: Direction,
    level: f64,
    rows: &[Keyed<'_>],
) -> Vec<Found> {
    let whole = share.whole.as_deref().unwrap_or_default();
    let look = |(key, row): &Keyed<'_>| {
        let own = proportion(row, &share.part, whole)?;
        Look::of(rule, key.clone(), own, proportion(row, &before.part, &before.whole)?)
    };
    told(rule, share, BEFORE, when, level, rows.iter().filter_map(look).collect())
}

fn is_told(own: Proportion, beside: Proportion, when: Direction) -> bool {
    let own_share = u128::from(own.part) * u128::from(beside.whole);
    let share_beside = u128::from(beside.part) * u128::from(own.whole);
    match when {
        Direction::More => own_share > share_beside,
        Direction::Less => own_share < share_beside,
    }
}

/// The looks that are findings, once all are taken into account.
fn told(
    rule: &InsightRule,
    share: &Share,
    suffix: &str,
    when: Direction,
    level: f64,
    looks: Vec<Look>,
) -> Vec<Found> {
    let adjusted = holm_adjusted(&looks.iter().map(|look| look.test.p).collect::<Vec<f64>>());
    let count = looks.len();
    let found = |(Look { key, own, beside, test }, p_adjusted): (Look, f64)| {
        if p_adjusted > level || !is_told(own, beside, when) {
            return None;
        }
        let points = percent(own).minus(&percent(beside));
        let points = if when == Direction::Less { points.negative() } else { points };
        let measure = points.to_f64();
        let severity = rule.thresholds.severity(measure)?;
        let mut evidence = about(rule, &key);
        tell(&mut evidence, share, "", own);
        tell(&mut evidence, share, suffix, beside);
        evidence.insert(DIFFERENCE.to_owned(), shown(&points));
        let test = Significance { z: test.z, p: test.p, p_adjusted, looks: count, level };
        Some(Found { key, measure, severity, evidence, test: Some(test) })
    };
    looks.into_iter().zip(adjusted).filter_map(found).collect()
}
