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
    if random.one_in(4) && !(interval == "all" && query["from"].is_null()) {
        query["compare"] = json!("previous_period");
    }
    if random.one_in(4) {
        compute(random, &mut query);
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

/// Makes the query one of two entities and a formula.
fn compute(random: &mut Random, query: &mut Json) {
    let table = query["entity"]["table"].as_str().unwrap().to_owned();
    let mut entities = Vec::new();
    for _ in 0..2 {
        let mut entity = random.matcher(&[&table]);
        let numeric = if table == "sales" { 6 } else { 3 };
        let measures = ["total", "unique", "unique_prop", "sum", "min", "max"];
        entity["measure"] = json!(random.pick(&measures[..numeric]));
        entity["prop"] = json!(if numeric == 6 { random.pick(&["amount", "cost", "points"]) } else { "at" });
        entities.push(entity);
    }
    let fields = query.as_object_mut().unwrap();
    fields.remove("entity");
    fields.insert("measure".to_owned(), json!("total"));
    fields.insert("entities".to_owned(), json!(entities));
    fields.insert("formula".to_owned(), json!(random.pick(&FORMULAS).0));
}

/// An exact fraction; over zero it is none.
type Fraction = (i128, i128);

type Computing = fn(Fraction, Fraction) -> Fraction;

const FORMULAS: [(&str, Computing); 4] = [
    ("A / B", over),
    ("(A − B) × 100 ÷ B", |a, b| over((100 * minus(a, b).0, minus(a, b).1), b)),
    ("A * 0.5 - -B", |a, b| minus((a.0, a.1 * 2), (-b.0, b.1))),
    ("A / (A - B)", |a, b| over(a, minus(a, b))),
];

fn over(a: Fraction, b: Fraction) -> Fraction {
    (a.0 * b.1, a.1 * b.0)
}

fn minus(a: Fraction, b: Fraction) -> Fraction {
    (a.0 * b.1 - b.0 * a.1, a.1 * b.1)
}

fn computed(formula: &str, a: &Json, b: &Json) -> Json {
    let computing = FORMULAS.iter().find(|(text, _)| *text == formula).unwrap().1;
    let fraction = |value: &Json| value.as_f64().map(|value| ((value * 1e9).round() as i128, 1_000_000_000));
    let found = fraction(a).zip(fraction(b)).map(|(a, b)| computing(a, b));
    found
        .filter(|(_, under)| *under != 0)
        .map_or(Json::Null, |(over, under)| json!(over as f64 / under as f64))
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

/// As many buckets before, each as far in as its own.
fn previous(question: &Question<'_>, buckets: &[Bucket]) -> Vec<Bucket> {
    if question.query["interval"] == "all" {
        let [Bucket { from, to, .. }] = buckets else { panic!("all is one bucket") };
        let start = from - (to - from);
        return vec![Bucket { start: Some(Instant::from_micros(start)), from: start, to: *from }];
    }
    let (calendar, unit) = (question.calendar(), question.unit("interval"));
    let before = |bucket: &Bucket| {
        let own = bucket.start.unwrap();
        let start = calendar.advance(unit, own, -i64::try_from(buckets.len()).unwrap());
        let next = calendar.advance(unit, start, 1).micros();
        let whole = bucket.to == calendar.advance(unit, own, 1).micros();
        Bucket {
            start: Some(start),
            from: next.min(start.micros() + bucket.from - own.micros()),
            to: if whole { next } else { next.min(start.micros() + bucket.to - own.micros()) },
        }
    };
    buckets.iter().map(before).collect()
}

/// In billionths, which hold every number of these tests.
fn billionths(value: &Value) -> Option<i128> {
    let text = match value {
        Value::Int(value) => return Some(i128::from(*value) * 1_000_000_000),
        Value::Decimal(units) => return Some(*units),
        Value::Float(value) => format!("{value:.9}"),
        Value::Json(text) => format!("{:.9}", text.parse::<f64>().ok()?),
        Value::Null | Value::Bool(_) | Value::Text(_) | Value::Timestamp(_) | Value::Date(_) => return None,
    };
    text.replace('.', "").parse().ok()
}

/// The float nearest to so many billionths over a divisor that is a power of ten.
fn float(billionths: i128, zeros: i32) -> Json {
    format!("{billionths}e{}", -9 - zeros).parse::<f64>().map(Json::from).unwrap()
}

fn measured(question: &Question<'_>, measure: &str, prop: &str, events: &[(Instant, &Event)]) -> Json {
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

fn series(
    question: &Question<'_>,
    measure: &str,
    prop: &str,
    buckets: &[Bucket],
    events: &[(Instant, &Event)],
) -> Json {
    let value = |bucket: &Bucket| {
        if bucket.start.map_or(bucket.from, Instant::micros) > question.as_of.micros() {
            return Json::Null;
        }
        let cumulative = question.query["cumulative"] == true;
        let from = if cumulative { buckets[0].from } else { bucket.from };
        let within = |(time, _): &&(Instant, &Event)| from <= time.micros() && time.micros() < bucket.to;
        measured(question, measure, prop, &events.iter().filter(within).copied().collect::<Vec<_>>())
    };
    buckets.iter().map(value).collect()
}

/// Of the events of a group, or of all.
fn data(question: &Question<'_>, buckets: &[Bucket], events: &[Event], group: Option<&Sorted>) -> Json {
    let query = question.query;
    let breakdown = query["breakdown"]["prop"].as_str();
    let found = |entity: &Json| {
        let mut found = question.matching(events, entity);
        found.retain(|(_, event)| group.is_none_or(|group| prop_of(event, breakdown.unwrap()) == group.0));
        found
    };
    let text = |json: &Json| json.as_str().unwrap_or_default().to_owned();
    if let Some(entities) = query["entities"].as_array() {
        let line = |entity: &Json| {
            series(question, &text(&entity["measure"]), &text(&entity["prop"]), buckets, &found(entity))
        };
        let (a, b) = (line(&entities[0]), line(&entities[1]));
        let value = |bucket: usize| computed(query["formula"].as_str().unwrap(), &a[bucket], &b[bucket]);
        return (0..buckets.len()).map(value).collect();
    }
    let found = found(&query["entity"]);
    let one = |measure: &Json| series(question, &text(measure), &text(&query["prop"]), buckets, &found);
    match query["measure"].as_array() {
        Some(measures) => {
            Json::Object(measures.iter().map(|measure| (text(measure), one(measure))).collect())
        }
        None => one(&query["measure"]),
    }
}

/// The breakdown's values in the range, the commonest first.
fn groups(question: &Question<'_>, now: &[Bucket], before: &[Bucket], events: &[Event]) -> Vec<Sorted> {
    let query = question.query;
    let breakdown = &query["breakdown"];
    let mut sizes: BTreeMap<Sorted, usize> = BTreeMap::new();
    let entities = query["entities"].as_array().cloned().unwrap_or_else(|| vec![query["entity"].clone()]);
    for (buckets, counted) in [(now, 1), (before, 0)] {
        let range = buckets.first().map_or(0, |b| b.from)..buckets.last().map_or(0, |b| b.to);
        for (time, event) in entities.iter().flat_map(|entity| question.matching(events, entity)) {
            if range.contains(&time.micros()) {
                let value = Sorted(prop_of(event, breakdown["prop"].as_str().unwrap()));
                *sizes.entry(value).or_default() += counted;
            }
        }
    }
    let mut groups: Vec<(Sorted, usize)> = sizes.into_iter().collect();
    groups.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    groups.truncate(breakdown["limit"].as_u64().map_or(usize::MAX, |limit| usize::try_from(limit).unwrap()));
    groups.into_iter().map(|(value, _)| value).collect()
}

fn naive(question: &Question<'_>, events: &[Event]) -> Json {
    let now = buckets(question);
    let compared = question.query["compare"].is_string();
    let before = if compared { previous(question, &now) } else { Vec::new() };
    let start = |bucket: &Bucket| bucket.start.map_or(Json::Null, |start| json!(start.to_string()));
    let span = |buckets: &[Bucket]| {
        json!({
            "starts": buckets.iter().map(start).collect::<Json>(),
            "complete": buckets.iter().map(|bucket| bucket.to <= question.as_of.micros()).collect::<Json>(),
            "data": data(question, buckets, events, None),
        })
    };
    let mut result = span(&now);
    if compared {
        result["compare"] = span(&before);
    }
    if question.query["breakdown"].is_object() {
        let group = |value: &Sorted| {
            let data = |buckets: &[Bucket]| data(question, buckets, events, Some(value));
            let mut group = json!({"value": value.0.to_json(), "data": data(&now)});
            if compared {
                group["compare"] = data(&before);
            }
            group
        };
        result["groups"] = groups(question, &now, &before, events).iter().map(group).collect();
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

#[test]
fn a_share_of_two_series_is_exact_and_nothing_over_nothing() {
    let events: Vec<Event> = [0.1, 0.2, 0.6].map(|amount| sale(amount, "x")).into();
    let check = |formula: &str, want: &str| {
        let query = json!({
            "kind": "trend", "stream": "sales", "formula": formula, "interval": "month", "prop": "amount",
            "from": "2024-01-01", "to": "2024-03-01", "measure": "sum",
            "entities": [{"where": [{"prop": "amount", "op": "lt", "value": 0.5}]}, {"measure": "total"}],
        });
        let answer = try_ask(&snapshot(&app(), &events, 2), Some("a"), &query, at("2025-01-01")).unwrap();
        assert_eq!(answer.result()["data"].to_string(), want, "{formula}");
        assert_eq!(
            answer.result()["entities"][0].to_string(),
            r#"{"name":"A","measure":"sum","data":[0.3,0.0]}"#
        );
    };
    check("A / B", "[0.1,null]");
    check("A * 10 - B", "[0.0,0.0]");
    check("1 / (A * 10 - B)", "[null,null]");
}

#[test]
fn a_bucket_under_way_is_compared_with_as_much_of_the_earlier_one() {
    let event = |time: &str| {
        let mut event = sale(1.0, "x");
        event.values.insert("at", Value::Timestamp(at(time)));
        event
    };
    let events = ["2024-02-10", "2024-02-20", "2024-03-05", "2024-03-10"]
        .map(|day| event(&format!("{day}T12:00:00Z")));
    let query = json!({
        "kind": "trend", "stream": "sales", "interval": "month", "from": "2024-03-01", "compare": true,
    });
    let answer =
        try_ask(&snapshot(&app(), &events, 2), Some("a"), &query, at("2024-03-15T00:00:00Z")).unwrap();
    let result = answer.result();
    assert_eq!(result["data"], json!([2]));
    assert_eq!(
        result["compare"],
        json!({"starts": ["2024-02-01T00:00:00Z"], "complete": [true], "data": [1]})
    );
}
