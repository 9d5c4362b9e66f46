use std::collections::{BTreeMap, BTreeSet};

use ebbtide_model::{Instant, Value};
use serde_json::{Value as Json, json};

use super::driver::hold_against;
use super::oracle::{Question, Who};
use super::random::Random;
use super::world::{Event, app, at, snapshot, try_ask};

const DAY: i64 = 86_400_000_000;

fn random_query(random: &mut Random) -> Json {
    let entity = random.matcher(&["sales", "sales", "cards", "views"]);
    let sales = entity["table"] == "sales";
    let mut query = json!({
        "kind": "churn", "entity": entity, "order": random.pick(&["days", "ratio"]),
        "list": random.pick(&["all", "at_risk"]), "limit": random.pick(&[1, 2, 1000]),
        "min_events": random.pick(&[1, 1, 1, 2, 4]), "default_days": random.pick(&[0, 7, 60]),
        "inactivity_multiplier": random.pick(&[json!(0.5), json!(2), json!(1.000_001), json!(10)]),
    });
    if random.one_in(3) {
        query["from"] = json!("2024-10-20T00:00:00Z");
        query["to"] = json!("2024-11-20T05:00:00Z");
    }
    if sales && random.one_in(4) {
        query["filters"] = json!([random.filter(0)]);
    }
    if sales && random.one_in(4) {
        query["aggregate_by"] = json!(random.pick(&["place", "points", "cost", "open", "day", "amount"]));
    }
    query
}

struct Row {
    who: Who,
    days: i64,
    /// Inactivity times intervals, and the span: their quotient is the ratio.
    ratio: Option<(i128, i128)>,
    at_risk: bool,
    json: Json,
}

fn row(question: &Question<'_>, who: &Who, times: &[Instant]) -> Row {
    let query = question.query;
    let first = times.iter().min().unwrap().micros();
    let last = times.iter().max().unwrap().micros();
    let away = question.as_of.micros() - last;
    let days = away / DAY;
    let intervals = times.len() as i64 - 1;
    let ratio = (last > first).then(|| (i128::from(away) * i128::from(intervals), i128::from(last - first)));
    let at_risk = if intervals == 0 {
        days > query["default_days"].as_i64().unwrap()
    } else {
        let given = query["inactivity_multiplier"].as_f64().unwrap();
        let multiplier: i128 = format!("{given:.6}").replace('.', "").parse().unwrap();
        i128::from(days * DAY * intervals) * 1_000_000 > i128::from(last - first) * multiplier
    };
    let mut json = json!({
        "actor": who.1.0.to_json(), "events": times.len(), "days_inactive": days, "at_risk": at_risk,
        "first": Instant::from_micros(first).to_string(), "last": Instant::from_micros(last).to_string(),
        "interval_days": (intervals > 0).then(|| (last - first) as f64 / DAY as f64 / intervals as f64),
        "ratio": ratio.map(|(above, below)| above as f64 / below as f64),
    });
    if question.tenant.is_none() {
        json["tenant"] = json!(who.0);
    }
    Row { who: who.clone(), days, ratio, at_risk, json }
}

fn naive(question: &Question<'_>, events: &[Event]) -> Json {
    let query = question.query;
    let from = question.instant("from").map_or(i64::MIN, Instant::micros);
    let to = question.instant("to").map_or(i64::MAX, Instant::micros);
    let mut found = question.matching(events, &query["entity"]);
    found.retain(|(time, _)| from <= time.micros() && time.micros() < to);
    let mut rows: Vec<Row> = Vec::new();
    for (who, own) in question.by_actor(found) {
        let times: Vec<Instant> = own.iter().map(|(time, _)| *time).collect();
        if times.len() as u64 >= query["min_events"].as_u64().unwrap() {
            rows.push(row(question, &who, &times));
        }
    }
    let (total, at_risk) = (rows.len(), rows.iter().filter(|row| row.at_risk).count());
    rows.retain(|row| query["list"] == "all" || row.at_risk);
    rows.sort_by(|left, right| {
        let greatest_first = if query["order"] == "days" {
            right.days.cmp(&left.days)
        } else {
            match (left.ratio, right.ratio) {
                (Some(left), Some(right)) => (right.0 * left.1).cmp(&(left.0 * right.1)),
                (left, right) => right.is_some().cmp(&left.is_some()),
            }
        };
        greatest_first.then_with(|| left.who.1.cmp(&right.who.1)).then_with(|| left.who.0.cmp(&right.who.0))
    });
    rows.truncate(usize::try_from(query["limit"].as_u64().unwrap()).unwrap());
    let actors: Json = rows.into_iter().map(|row| row.json).collect();
    json!({"actors": actors, "at_risk": at_risk, "total": total})
}

#[test]
fn churn_is_what_the_naive_engine_says() {
    hold_against(random_query, naive, |_| {});
}

#[test]
fn the_order_and_number_of_parts_change_no_byte() {
    let app = app();
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let mut events = random.events();
        let query = random_query(&mut random);
        let one = try_ask(&snapshot(&app, &events, 1), None, &query, at("2024-12-01")).unwrap();
        events.reverse();
        let other = try_ask(&snapshot(&app, &events, 4), None, &query, at("2024-12-01")).unwrap();
        assert_eq!(one.result().to_string(), other.result().to_string(), "{query}");
    }
}

#[test]
fn a_list_that_is_cut_as_it_grows_is_that_of_all() {
    let events: Vec<Event> = (0..5_000_i64)
        .map(|card| Event {
            table: "sales",
            tenant: "a",
            values: std::collections::BTreeMap::from([
                ("card", ebbtide_model::Value::Int(card)),
                ("at", ebbtide_model::Value::Timestamp(Instant::from_micros(card * 7_919 % 5_000 * DAY))),
            ]),
        })
        .collect();
    let snapshot = snapshot(&app(), &events, 3);
    let list = |limit: u64| {
        let query = json!({"kind": "churn", "stream": "sales", "limit": limit});
        let answer = try_ask(&snapshot, Some("a"), &query, at("2024-12-01")).unwrap();
        answer.result()["actors"].as_array().unwrap().clone()
    };
    let all = list(1_000_000);
    assert_eq!(all.len(), 5_000);
    assert_eq!(list(7), all[..7]);
}

fn visits(card: i64, days: impl IntoIterator<Item = i64>) -> Vec<Event> {
    let start = at("2024-01-01T00:00:00Z").micros();
    let visit = |day: i64| {
        let time = Value::Timestamp(Instant::from_micros(start + day * Instant::MICROS_PER_DAY + day));
        let values = [("card", Value::Int(card)), ("at", time)];
        Event { table: "sales", tenant: "a", values: BTreeMap::from(values) }
    };
    days.into_iter().map(visit).collect()
}

#[test]
fn who_is_still_there_follows_from_days_with_events_and_the_parameters() {
    let mut random = Random::new(3);
    let mut histories = BTreeMap::new();
    for card in 0..200 {
        let (rate, stays, mut day) = (1 + random.below(20), random.pick(&[2, 3, 20]), random.below(60));
        let mut days = vec![day];
        while day < 100 && !random.one_in(stays) {
            // Now and then twice on one day, which counts once.
            day += random.below(2 * rate);
            days.push(day);
        }
        days.retain(|day| *day < 120);
        histories.insert(card, days);
    }
    let days = |days: &Vec<u64>| days.iter().map(|day| i64::try_from(*day).unwrap()).collect::<Vec<_>>();
    let events: Vec<Event> = histories.iter().flat_map(|(card, own)| visits(*card, days(own))).collect();
    let query = json!({
        "kind": "churn", "stream": "sales", "model": "bg_nbd", "unit": "day", "horizon": 10, "limit": 1_000,
    });
    let as_of = at("2024-04-29T12:00:00Z");
    let answer = try_ask(&snapshot(&app(), &events, 3), Some("a"), &query, as_of).unwrap();
    let result = answer.result();
    assert_eq!(answer.meta.warnings, Vec::<String>::new());
    let param = |name: &str| result["params"][name].as_f64().unwrap();
    let (r, alpha, a, b) = (param("r"), param("alpha"), param("a"), param("b"));
    assert_eq!(result["actors"].as_array().unwrap().len(), 200);
    for actor in result["actors"].as_array().unwrap() {
        let days = &histories[&actor["actor"].as_i64().unwrap()];
        let distinct: BTreeSet<u64> = days.iter().copied().collect();
        let (x, last, age) =
            ((distinct.len() - 1) as f64, (days[days.len() - 1] - days[0]) as f64, (119 - days[0]) as f64);
        let gone =
            if x > 0.0 { a / (b + x - 1.0) * ((alpha + age) / (alpha + last)).powf(r + x) } else { 0.0 };
        let alive = actor["alive"].as_f64().unwrap();
        assert!((alive - 1.0 / (1.0 + gone)).abs() < 1e-12, "{actor}");
        let expected = actor["expected"].as_f64().unwrap();
        assert!((0.0..=10.0).contains(&expected), "{actor}");
    }
}

#[test]
fn a_history_without_a_model_says_why() {
    let events: Vec<Event> = (0..50).flat_map(|card| visits(card, [card])).collect();
    let query = json!({"kind": "churn", "stream": "sales", "model": "bg_nbd"});
    let answer = try_ask(&snapshot(&app(), &events, 2), Some("a"), &query, at("2024-06-01")).unwrap();
    let result = answer.result();
    assert_eq!((&result["params"], &result["log_likelihood"]), (&json!(null), &json!(null)));
    assert_eq!(result["actors"][0]["alive"], json!(null));
    let why =
        "there is no model: all actors have events on one day only, which says nothing of who comes back";
    assert_eq!(answer.meta.warnings, [why]);
}

/// The published figures for 2,357 customers of a music shop, from the folder beside the project where it is.
#[test]
fn the_model_has_the_published_parameters() {
    let shared = std::env::var_os("EBBTIDE_SHARED").map(std::path::PathBuf::from);
    let beside = || std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let file = shared.unwrap_or_else(beside).join("data/cdnow/CDNOW_sample.txt");
    let Ok(text) = std::fs::read_to_string(&file) else {
        println!("SKIPPED: there is no {}", file.display());
        return;
    };
    let purchase = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (year, rest) = fields[2].split_at(4);
        let (month, day) = rest.split_at(2);
        let values = [
            ("card", Value::Int(fields[1].parse().unwrap())),
            ("at", Value::Timestamp(at(&format!("{year}-{month}-{day}T09:00:00Z")))),
        ];
        Event { table: "sales", tenant: "a", values: BTreeMap::from(values) }
    };
    let events: Vec<Event> = text.lines().map(purchase).collect();
    let query = json!({
        "kind": "churn", "stream": "sales", "model": "bg_nbd", "unit": "week", "horizon": 39, "limit": 10_000,
    });
    let as_of = at("1997-09-30T23:59:59Z");
    let answer = try_ask(&snapshot(&app(), &events, 3), Some("a"), &query, as_of).unwrap();
    let result = answer.result();
    assert_eq!(result["total"], json!(2_357));
    for (name, want) in [("r", 0.243), ("alpha", 4.414), ("a", 0.793), ("b", 2.426)] {
        let got = result["params"][name].as_f64().unwrap();
        assert!((got - want).abs() <= 0.005, "{name}: {got}, want {want}");
    }
    let log_likelihood = result["log_likelihood"].as_f64().unwrap();
    assert!((log_likelihood - -9_582.4).abs() <= 0.1, "{log_likelihood}");
    let first = result["actors"].as_array().unwrap().iter().find(|actor| actor["actor"] == 1).unwrap();
    assert!((first["expected"].as_f64().unwrap() - 1.226).abs() < 0.005, "{first}");
}
