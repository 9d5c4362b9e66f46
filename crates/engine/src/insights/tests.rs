use ebbtide_model::insight::{Counted, Direction, InsightKind, InsightRule, Severity, Share, Thresholds};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

fn share(name: &str, part: &str, whole: Option<&str>) -> Share {
    Share { name: name.to_owned(), part: part.to_owned(), whole: whole.map(str::to_owned) }
}

fn rule(kind: InsightKind, key: &[&str], thresholds: [Option<f64>; 3]) -> InsightRule {
    let [high, medium, low] = thresholds;
    InsightRule {
        kind,
        key: key.iter().map(|column| (*column).to_owned()).collect(),
        least: 30,
        most: 3,
        thresholds: Thresholds { high, medium, low },
    }
}

fn largest() -> InsightRule {
    let kind = InsightKind::Largest { share: share("exit_share", "exits", None) };
    rule(kind, &["step"], [Some(40.0), Some(25.0), None])
}

fn slow() -> InsightRule {
    let kind = InsightKind::Slow {
        value: "system".to_owned(),
        against: "user".to_owned(),
        count: Some("n".to_owned()),
        floor: 200.0,
    };
    rule(kind, &["step"], [Some(1.0), Some(0.5), None])
}

fn differs(key: &[&str], when: Direction) -> InsightRule {
    let kind = InsightKind::Differs {
        share: share("left", "exits", Some("sessions")),
        group: "group".to_owned(),
        when,
        level: 0.05,
    };
    rule(kind, key, [Some(20.0), Some(10.0), Some(5.0)])
}

fn changed(when: Direction) -> InsightRule {
    let kind = InsightKind::Changed {
        share: share("rate", "sold", Some("sessions")),
        before: Counted { part: "sold_before".to_owned(), whole: "sessions_before".to_owned() },
        when,
        level: 0.05,
    };
    rule(kind, &[], [Some(10.0), Some(5.0), Some(2.0)])
}

fn rows(json: &Json) -> Vec<Map<String, Json>> {
    json.as_array().unwrap().iter().map(|row| row.as_object().unwrap().clone()).collect()
}

/// What is found: severity, evidence, and the test's looks.
fn told(rule: &InsightRule, json: &Json) -> Vec<(Severity, Json, Option<usize>)> {
    find(rule, &rows(json))
        .into_iter()
        .map(|found| (found.severity, Json::Object(found.evidence), found.test.map(|test| test.looks)))
        .collect()
}

fn exits(counts: [u64; 3]) -> Json {
    let steps = ["home", "product", "cart"].into_iter().zip(counts);
    steps.map(|(step, exits)| json!({"step": step, "exits": exits})).collect()
}

#[test]
fn the_largest_share_is_told_from_its_thresholds_on() {
    let check = |counts: [u64; 3], want: Option<(Severity, &str, f64)>| {
        let told = told(&largest(), &exits(counts));
        let got = told.first().map(|(severity, evidence, _)| {
            (
                *severity,
                evidence["step"].as_str().unwrap().to_owned(),
                evidence["exit_share"].as_f64().unwrap(),
            )
        });
        assert_eq!(got, want.map(|(severity, step, share)| (severity, step.to_owned(), share)), "{counts:?}");
        assert!(told.len() <= 1);
    };
    check([20, 15, 13], Some((Severity::High, "home", 41.67)));
    check([12, 9, 9], Some((Severity::High, "home", 40.0)));
    check([39, 31, 30], Some((Severity::Medium, "home", 39.0)));
    // Of equal ones the first by its text.
    check([20, 20, 20], Some((Severity::Medium, "cart", 33.33)));
    // Twenty-nine are too few.
    check([29, 0, 0], None);
    check([30, 0, 0], Some((Severity::High, "home", 100.0)));
    check([0, 0, 0], None);
    let evidence = told(&largest(), &exits([20, 15, 13])).remove(0).1;
    assert_eq!(evidence, json!({"step": "home", "exit_share": 41.67, "exits": 20, "total": 48}));
}

#[test]
fn a_share_of_a_whole_of_its_own_is_the_rows_own() {
    let kind = InsightKind::Largest { share: share("left", "exits", Some("sessions")) };
    let own = rule(kind, &["step"], [None, None, Some(10.0)]);
    let given = json!([
        {"step": "a", "exits": 9, "sessions": 30},
        {"step": "b", "exits": 20, "sessions": 100},
        {"step": "few", "exits": 29, "sessions": 29},
        {"step": "none", "exits": 0, "sessions": 0},
        {"step": "odd", "exits": 40, "sessions": 30},
    ]);
    assert_eq!(
        told(&own, &given),
        [(Severity::Low, json!({"step": "a", "left": 30.0, "exits": 9, "sessions": 30}), None)]
    );
}

#[test]
fn a_time_is_slow_from_its_thresholds_on_and_above_the_floor() {
    let check = |system: Json, user: Json, n: u64, want: Option<Severity>| {
        let row = json!([{"step": "cart", "system": system, "user": user, "n": n}]);
        let told = told(&slow(), &row);
        assert_eq!(told.first().map(|(severity, ..)| *severity), want, "{row}");
    };
    check(json!(500), json!(1000), 30, Some(Severity::Medium));
    check(json!(499.9), json!(1000), 30, None);
    check(json!(1000), json!(1000), 30, Some(Severity::High));
    check(json!(1000), json!(1000), 29, None);
    check(json!(199), json!(10), 30, None);
    check(json!(200), json!(10), 30, Some(Severity::High));
    check(json!(null), json!(10), 30, None);
    check(json!(500), json!(null), 30, None);
    check(json!(500), json!(0), 30, None);
    let row = json!([{"step": "cart", "system": 512.34, "user": 640.0, "n": 31}]);
    assert_eq!(
        told(&slow(), &row),
        [(
            Severity::Medium,
            json!({"step": "cart", "system": 512.3, "user": 640.0, "times": 0.8, "n": 31}),
            None
        )]
    );
}

#[test]
fn the_slowest_are_told_and_in_the_order_of_their_severity_and_key() {
    let row = |step: &str, system: u64| json!({"step": step, "system": system, "user": 1000, "n": 99});
    let given = json!([row("d", 600), row("c", 3000), row("b", 2000), row("a", 700), row("e", 100)]);
    let steps = |most: usize| -> Vec<String> {
        let told = told(&InsightRule { most, ..slow() }, &given);
        told.iter().map(|(_, evidence, _)| evidence["step"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(steps(1), ["c"]);
    assert_eq!(steps(3), ["b", "c", "a"]);
    assert_eq!(steps(9), ["b", "c", "a", "d"]);
}

fn group(step: &str, group: Json, exits: u64, sessions: u64) -> Json {
    json!({"step": step, "group": group, "exits": exits, "sessions": sessions})
}

#[test]
fn two_groups_are_one_look_and_several_one_each() {
    let rule = differs(&["step", "group"], Direction::More);
    let two = json!([group("cart", json!("phone"), 60, 100), group("cart", json!("desktop"), 30, 100)]);
    assert_eq!(
        told(&rule, &two),
        [(
            Severity::High,
            json!({
                "step": "cart", "group": "phone", "left": 60.0, "exits": 60, "sessions": 100,
                "left_others": 30.0, "exits_others": 30, "sessions_others": 100, "difference": 30.0,
            }),
            Some(1)
        )]
    );
    let three = json!([
        group("cart", json!("phone"), 60, 100),
        group("cart", json!("desktop"), 30, 100),
        group("cart", json!("tablet"), 15, 50),
    ]);
    assert_eq!(
        told(&rule, &three),
        [(
            Severity::High,
            json!({
                "step": "cart", "group": "phone", "left": 60.0, "exits": 60, "sessions": 100,
                "left_others": 30.0, "exits_others": 45, "sessions_others": 150, "difference": 30.0,
            }),
            Some(3)
        )]
    );
    let less = differs(&["step", "group"], Direction::Less);
    let found = told(&less, &two);
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].1["group"], &found[0].1["difference"]), (&json!("desktop"), &json!(30.0)));
}

#[test]
fn groups_of_which_nobody_says_anything_or_too_few_are_not_looked_at() {
    let rule = differs(&["step", "group"], Direction::More);
    let check = |given: Json, looks: Option<usize>| {
        let told = told(&rule, &given);
        assert_eq!(told.first().map(|(.., looks)| looks.unwrap()), looks, "{given}");
    };
    check(json!([]), None);
    check(json!([group("cart", json!(null), 90, 100), group("cart", json!("a"), 10, 100)]), None);
    check(json!([group("cart", json!("b"), 29, 29), group("cart", json!("a"), 10, 100)]), None);
    check(json!([group("cart", json!("b"), 30, 30), group("cart", json!("a"), 10, 100)]), Some(1));
    // More than all are none.
    check(json!([group("cart", json!("b"), 101, 100), group("cart", json!("a"), 10, 100)]), None);
    // At another step it is another question.
    check(json!([group("cart", json!("b"), 90, 100), group("home", json!("a"), 10, 100)]), None);
    // Rows of one group are one group.
    let half = || group("cart", json!("b"), 15, 15);
    check(json!([half(), half(), group("cart", json!("a"), 10, 100)]), Some(1));
}

#[test]
fn the_more_is_looked_at_the_less_is_found() {
    let rule = differs(&["step", "group"], Direction::More);
    // p is 0.041 by itself.
    let steps = |count: usize| -> Json {
        let pair = |step: usize| {
            let exits = if step == 0 { [45, 30] } else { [37, 37] };
            let step = format!("s{step}");
            [group(&step, json!("b"), exits[0], 100), group(&step, json!("a"), exits[1], 100)]
        };
        (0..count).flat_map(pair).collect()
    };
    let found = find(&rule, &rows(&steps(1)));
    let test = found[0].test.unwrap();
    assert!((test.p - 0.040_872).abs() < 1e-5 && (test.p_adjusted - test.p).abs() < 1e-15, "{test:?}");
    assert!(find(&rule, &rows(&steps(2))).is_empty());
}

#[test]
fn a_change_is_told_in_the_direction_that_is_asked_for() {
    let row = |sold: u64, before: u64| json!([{"sold": sold, "sessions": 400, "sold_before": before, "sessions_before": 500}]);
    let check = |when: Direction, sold: u64, before: u64, want: Option<(Severity, f64)>| {
        let told = told(&changed(when), &row(sold, before));
        let got =
            told.first().map(|(severity, evidence, _)| (*severity, evidence["difference"].as_f64().unwrap()));
        assert_eq!(got, want, "{when:?} {sold} {before}");
    };
    check(Direction::Less, 80, 150, Some((Severity::High, 10.0)));
    check(Direction::More, 80, 150, None);
    check(Direction::More, 140, 125, Some((Severity::High, 10.0)));
    // As many points, and not beyond chance.
    check(Direction::Less, 88, 125, None);
    let evidence = told(&changed(Direction::Less), &row(80, 150)).remove(0).1;
    assert_eq!(
        evidence,
        json!({
            "rate": 20.0, "sold": 80, "sessions": 400,
            "rate_before": 30.0, "sold_before": 150, "sessions_before": 500, "difference": 10.0,
        })
    );
}

#[test]
fn evidence_has_the_names_that_texts_may_use() {
    let check = |rule: &InsightRule, given: Json| {
        let found = find(rule, &rows(&given));
        let names: Vec<&String> = found[0].evidence.keys().collect();
        assert_eq!(names, rule.evidence().iter().collect::<Vec<_>>());
    };
    check(&largest(), exits([30, 1, 1]));
    check(&slow(), json!([{"step": "cart", "system": 900, "user": 640.0, "n": 31}]));
    check(
        &differs(&["step", "group"], Direction::More),
        json!([group("cart", json!("b"), 90, 100), group("cart", json!("a"), 10, 100)]),
    );
    check(
        &changed(Direction::Less),
        json!([{"sold": 8, "sessions": 400, "sold_before": 150, "sessions_before": 500}]),
    );
}

/// A generator of numbers that are the same on every machine (`SplitMix64`).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// How many of so many happen, each by this chance.
    fn successes(&mut self, of: u64, chance: f64) -> u64 {
        (0..of).filter(|_| ((self.next() >> 11) as f64) < chance * (1_u64 << 53) as f64).count() as u64
    }
}

/// Where nothing differs, findings are rarer than the level allows, however much is looked at.
#[test]
fn chance_alone_is_told_no_more_often_than_the_level_allows() {
    const TRIALS: usize = 2_000;
    let kind = |direction| InsightRule {
        // Any difference is told, so that the test alone decides.
        thresholds: Thresholds { low: Some(0.0), ..Thresholds::default() },
        ..differs(&["step", "group"], direction)
    };
    let (more, less) = (kind(Direction::More), kind(Direction::Less));
    let check = |steps: usize, groups: u64, sessions: u64, chance: f64, seed: u64| {
        let mut numbers = Numbers(seed);
        let found = (0..TRIALS).filter(|_| {
            let given: Json = (0..steps)
                .flat_map(|step| (0..groups).map(move |of| (format!("s{step}"), of)))
                .map(|(step, of)| group(&step, json!(of), numbers.successes(sessions, chance), sessions))
                .collect();
            let given = rows(&given);
            !find(&more, &given).is_empty() || !find(&less, &given).is_empty()
        });
        let found = found.count();
        let allowed = TRIALS / 20;
        assert!(found <= allowed, "{steps} steps, {groups} groups: {found} of {TRIALS}");
        found
    };
    let found = [
        check(1, 2, 200, 0.30, 1),
        check(4, 2, 150, 0.15, 2),
        check(4, 4, 100, 0.40, 3),
        check(3, 6, 80, 0.50, 4),
    ];
    // It is no test that never finds anything.
    assert!(found.iter().all(|found| *found > 0), "{found:?}");
}

proptest! {
    /// In whatever order rows come, the same is found.
    #[test]
    fn the_order_of_rows_changes_nothing(
        counts in prop::collection::vec((0..3_u8, 0..5_u8, 0..200_u64, 0..200_u64), 0..30), turn in any::<prop::sample::Index>(),
    ) {
        let given: Vec<Json> = counts.iter().map(|(step, of, left, right)| {
            json!({
                "step": format!("s{step}"), "group": of, "exits": left.min(right), "sessions": left.max(right),
                "system": left, "user": right, "n": left.max(right),
                "sold": left / 2, "sold_before": left.min(right),
                "sessions_before": left.max(right),
            })
        }).collect();
        let mut turned = given.clone();
        turned.rotate_left(if given.is_empty() { 0 } else { turn.index(given.len()) });
        turned.reverse();
        let by_both = InsightRule { key: vec!["step".to_owned(), "group".to_owned()], ..slow() };
        for rule in [differs(&["step", "group"], Direction::More), differs(&["group"], Direction::Less), by_both] {
            prop_assert_eq!(find(&rule, &rows(&Json::Array(given.clone()))), find(&rule, &rows(&Json::Array(turned.clone()))));
        }
    }
}
