use ebbtide_model::Instant;
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
