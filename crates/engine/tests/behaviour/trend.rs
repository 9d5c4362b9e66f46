use std::collections::{BTreeMap, BTreeSet};

use ebbtide_model::{Instant, Value};
use serde_json::{Value as Json, json};

use super::driver::hold_against;
use super::oracle::{Question, Sorted, prop_of};
use super::random::{Random, text};
use super::world::{Event, app, at, snapshot, try_ask};

const NUMERIC: [&str; 8] = ["sum", "avg", "min", "max", "median", "p90", "p95", "p99"];

fn random_query(random: &mut Random) -> Json {
    let entity = random.matcher(&["sales", "sales", "sales", "cards", "views"]);
    let sales = entity["table"] == "sales";
    let numeric = sales && random.one_in(2);
    let prop = if numeric { random.pick(&["amount", "cost", "points"]) } else { "at" };
    let mut measures = vec!["total", "unique", "unique_prop"];
    let cumulative = random.one_in(3);
    if numeric {
        measures.extend(if cumulative { &NUMERIC[..4] } else { &NUMERIC[..] });
    }
    let measure = if random.one_in(3) { json!(measures) } else { json!(random.pick(&measures)) };
    let interval = random.pick(&["hour", "day", "day", "week", "month", "quarter", "year", "all"]);
    let (from, to) = (random.early(), random.instant());
    let open = random.one_in(4) && interval != "hour";
    let mut query = json!({
        "kind": "trend", "entity": entity, "measure": measure, "prop": prop, "interval": interval,
        "cumulative": cumulative, "tz": random.zone(), "week_start": random.pick(&["monday", "sunday"]),
    });
    if from < to {
        query["from"] = json!(from.to_string());
        if !open {
            query["to"] = json!(to.to_string());
        }
    } else if interval == "all" && open {
        query["to"] = json!(to.to_string());
    } else if !open {
        query["from"] = json!(from.to_string());
        query["to"] = json!(Instant::from_micros(from.micros() + 1).to_string());
    }
    if random.one_in(3) {
        let prop = match entity["table"].as_str().unwrap() {
            "cards" => "tier",
            "views" => "place",
            _ => random.pick(&["event", "place", "points", "amount", "open", "day"]),
        };
        query["breakdown"] = json!({"prop": prop, "limit": random.pick(&[json!(null), json!(1), json!(2)])});
    }
    if sales && random.one_in(6) {
        query["filters"] = json!([random.filter(0)]);
    }
    if sales && random.one_in(5) {
        query["aggregate_by"] = json!(random.pick(&["place", "points", "cost", "open", "day", "amount"]));
    }
    query
}

/// Start, and what is counted: from, until (exclusive).
struct Bucket {
    start: Option<Instant>,
    from: i64,
    to: i64,
}

fn buckets(question: &Question<'_>) -> Vec<Bucket> {
    let (from, to) = (question.instant("from"), question.instant("to"));
    let to = to.map_or(question.as_of.micros() + 1, Instant::micros);
    if question.query["interval"] == "all" {
        let first = from.map_or(i64::MIN, Instant::micros);
        return vec![Bucket { start: from, from: first, to: to.max(first) }];
    }
    let (calendar, unit) = (question.calendar(), question.unit("interval"));
    let from = from.unwrap_or_else(|| calendar.advance(unit, Instant::from_micros(to - 1), -29));
    let mut buckets = Vec::new();
    let mut start = calendar.floor(unit, from);
    while from.micros() < to && start.micros() < to {
        let next = calendar.advance(unit, start, 1);
        let bounds = (start.micros().max(from.micros()), next.micros().min(to));
        buckets.push(Bucket { start: Some(start), from: bounds.0, to: bounds.1 });
        start = next;
    }
    buckets
}

/// In billionths, which hold every number of these tests.
fn billionths(value: &Value) -> Option<i128> {
    let text = match value {
        Value::Int(value) => return Some(i128::from(*value) * 1_000_000_000),
        Value::Decimal(units) => return Some(*units),
        Value::Float(value) => format!("{value:.9}"),
        Value::Null | Value::Bool(_) | Value::Text(_) | Value::Timestamp(_) | Value::Date(_) => return None,
    };
    text.replace('.', "").parse().ok()
}

/// The float nearest to so many billionths over a divisor that is a power of ten.
fn float(billionths: i128, zeros: i32) -> Json {
    format!("{billionths}e{}", -9 - zeros).parse::<f64>().map(Json::from).unwrap()
}

fn measured(question: &Question<'_>, measure: &str, events: &[(Instant, &Event)]) -> Json {
    let prop = question.query["prop"].as_str().unwrap();
    let mut numbers: Vec<i128> =
        events.iter().filter_map(|(_, event)| billionths(event.value(prop))).collect();
    numbers.sort_unstable();
    let percentile = |percent: usize| {
        let Some(last) = numbers.len().checked_sub(1) else { return Json::Null };
        let (rank, between) = (last * percent / 100, (last * percent % 100) as i128);
        float(numbers[rank] * (100 - between) + numbers[(rank + 1).min(last)] * between, 2)
    };
    match measure {
        "total" => json!(events.len()),
        "unique" => json!(question.by_actor(events.to_vec()).len()),
        "unique_prop" => {
            let values = events.iter().map(|(_, event)| Sorted(event.value(prop).clone()));
            json!(values.filter(|value| value.0 != Value::Null).collect::<BTreeSet<_>>().len())
        }
        "sum" => float(numbers.iter().sum(), 0),
        "avg" if numbers.is_empty() => Json::Null,
        "avg" => {
            let sum: i128 = numbers.iter().sum();
            json!(sum as f64 / 1e9 / numbers.len() as f64)
        }
        "min" => numbers.first().map_or(Json::Null, |number| float(*number, 0)),
        "max" => numbers.last().map_or(Json::Null, |number| float(*number, 0)),
        "median" => percentile(50),
        percent => percentile(percent[1..].parse().unwrap()),
    }
}

fn data(question: &Question<'_>, buckets: &[Bucket], events: &[(Instant, &Event)]) -> Json {
    let series = |measure: &str| {
        let value = |bucket: &Bucket| {
            if bucket.from > question.as_of.micros() {
                return Json::Null;
            }
            let cumulative = question.query["cumulative"] == true;
            let from = if cumulative { buckets[0].from } else { bucket.from };
            let within = |(time, _): &&(Instant, &Event)| from <= time.micros() && time.micros() < bucket.to;
            measured(question, measure, &events.iter().filter(within).copied().collect::<Vec<_>>())
        };
        buckets.iter().map(value).collect::<Json>()
    };
    let measure = &question.query["measure"];
    let one = |measure: &Json| (measure.as_str().unwrap().to_owned(), series(measure.as_str().unwrap()));
    match measure.as_array() {
        Some(measures) => Json::Object(measures.iter().map(one).collect()),
        None => one(measure).1,
    }
}

fn naive(question: &Question<'_>, events: &[Event]) -> Json {
    let buckets = buckets(question);
    let range = buckets.first().map_or(0, |b| b.from)..buckets.last().map_or(0, |b| b.to);
    let mut found = question.matching(events, &question.query["entity"]);
    found.retain(|(time, _)| range.contains(&time.micros()));
    let start = |bucket: &Bucket| bucket.start.map_or(Json::Null, |start| json!(start.to_string()));
    let mut result = json!({
        "starts": buckets.iter().map(start).collect::<Json>(),
        "complete": buckets.iter().map(|bucket| bucket.to <= question.as_of.micros()).collect::<Json>(),
        "data": data(question, &buckets, &found),
    });
    let breakdown = &question.query["breakdown"];
    if let Some(prop) = breakdown["prop"].as_str() {
        let mut groups: BTreeMap<Sorted, Vec<(Instant, &Event)>> = BTreeMap::new();
        for (time, event) in found {
            groups.entry(Sorted(prop_of(event, prop))).or_default().push((time, event));
        }
        let mut groups: Vec<(Sorted, Vec<(Instant, &Event)>)> = groups.into_iter().collect();
        groups.sort_by_key(|(_, events)| std::cmp::Reverse(events.len()));
        groups.truncate(
            breakdown["limit"].as_u64().map_or(usize::MAX, |limit| usize::try_from(limit).unwrap()),
        );
        let group = |(value, events): &(Sorted, Vec<(Instant, &Event)>)| json!({"value": value.0.to_json(), "data": data(question, &buckets, events)});
        result["groups"] = groups.iter().map(group).collect();
    }
    result
}

#[test]
fn a_trend_is_what_the_naive_engine_says() {
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

fn sale(amount: f64, place: &str) -> Event {
    let values = [
        ("card", Value::Int(1)),
        ("at", Value::Timestamp(at("2024-01-10T00:00:00Z"))),
        ("amount", Value::Float(amount)),
        ("place", text(place)),
    ];
    Event { table: "sales", tenant: "a", values: BTreeMap::from(values) }
}

#[test]
fn a_sum_of_floats_is_that_of_their_decimal_texts() {
    let events: Vec<Event> = [0.1, 0.2, 1e16, 1.1, -1e16].map(|amount| sale(amount, "x")).into();
    let query =
        json!({"kind": "trend", "stream": "sales", "measure": "sum", "prop": "amount", "interval": "all"});
    let answer = try_ask(&snapshot(&app(), &events, 2), Some("a"), &query, at("2025-01-01")).unwrap();
    assert_eq!(answer.result()["data"].to_string(), "[1.4]");
}

#[test]
fn more_groups_than_fit_are_refused_with_what_to_do() {
    let events: Vec<Event> = (0..300).map(|place| sale(1.0, &place.to_string())).collect();
    let query = json!({
        "kind": "trend", "stream": "sales", "interval": "hour", "breakdown": {"prop": "place"},
        "from": "2023-01-01T00:00:00Z", "to": "2025-01-01T00:00:00Z",
    });
    let error = try_ask(&snapshot(&app(), &events, 1), Some("a"), &query, at("2025-01-01")).unwrap_err();
    assert!(error.to_string().starts_with("breakdown: the property has 300 values"), "{error}");
    assert_eq!(error.kind(), ebbtide_model::ErrorKind::Invalid);
}

#[test]
fn many_events_on_several_threads_give_what_few_do() {
    let events: Vec<Event> = (0_u32..120_000)
        .map(|index| {
            let mut event =
                sale(f64::from(index % 7) / 10.0, ["x", "y", "z"][usize::try_from(index % 3).unwrap()]);
            event.values.insert("card", Value::Int(i64::from(index % 977)));
            event
        })
        .collect();
    let query = json!({
        "kind": "trend", "stream": "sales", "interval": "all", "measure": ["total", "unique", "sum", "median"],
        "prop": "amount", "breakdown": {"prop": "place"},
    });
    for parts in [1, 5] {
        let answer = try_ask(&snapshot(&app(), &events, parts), Some("a"), &query, at("2025-01-01")).unwrap();
        let data = &answer.result()["data"];
        assert_eq!(data["total"], json!([120_000]));
        assert_eq!(data["unique"], json!([977]));
        assert_eq!(data["sum"], json!([35_999.7]));
        assert_eq!(data["median"], json!([0.3]));
        assert_eq!(answer.result()["groups"][0]["data"]["unique"], json!([977]));
    }
}
