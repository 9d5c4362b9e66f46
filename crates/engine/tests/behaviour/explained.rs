//! Explanations of all actors add up to the answer, and each says what it rests on.

use std::collections::{BTreeMap, BTreeSet};

use ebbtide_engine::{ExplainedActor, StopFlag, explain};
use ebbtide_model::query::{Query, Scalar, bind};
use ebbtide_model::{Instant, Language, TenantId, Value};
use ebbtide_store::Snapshot;
use serde_json::{Value as Json, json};

use super::random::{Random, text};
use super::world::{Event, app, at, data_sets, scope, snapshot, try_ask};

fn explained(
    snapshot: &Snapshot,
    tenant: Option<&str>,
    query: &Json,
    actor: &ExplainedActor,
    as_of: Instant,
) -> Json {
    let scope = scope(snapshot.app(), tenant);
    let parsed = Query::parse(query).unwrap();
    let snapshot = snapshot.evolved(&scope, parsed.texts().iter().map(String::as_str));
    let bound = bind(&parsed, snapshot.app()).unwrap();
    let explanation = explain(&snapshot, &scope, &bound, actor, as_of, &StopFlag::default());
    explanation.unwrap_or_else(|error| panic!("{query}: {error}")).to_json(Language::default())
}

/// Adds numbers up wherever they stand; lists of objects count by what else is in them.
fn add(sum: &mut BTreeMap<String, i64>, path: &str, json: &Json) {
    match json {
        Json::Number(number) if number.is_i64() => {
            *sum.entry(path.to_owned()).or_default() += number.as_i64().unwrap();
        }
        Json::Array(items) if items.iter().all(Json::is_object) => {
            for item in items {
                let mut named = item.clone();
                let count = named.as_object_mut().unwrap().remove("count").unwrap_or(json!(1));
                add(sum, &format!("{path}[{named}]"), &count);
            }
        }
        Json::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                add(sum, &format!("{path}[{index}]"), item);
            }
        }
        Json::Object(fields) => {
            for (name, field) in fields {
                add(sum, &format!("{path}.{name}"), field);
            }
        }
        _ => {}
    }
}

fn added(results: &[Json], fields: &[&str]) -> BTreeMap<String, i64> {
    let mut sum = BTreeMap::new();
    for result in results {
        for field in fields {
            add(&mut sum, field, &result[*field]);
        }
    }
    sum.retain(|_, count| *count != 0);
    sum
}

fn random_query(random: &mut Random) -> (Json, &'static [&'static str]) {
    let (entity, other) = (random.matcher(&["sales"]), random.matcher(&["sales"]));
    let of = |more: Json| {
        let mut query = json!({"stream": "sales", "from": "2024-11-01", "to": "2024-11-25"});
        query.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        query
    };
    let order = random.pick(&["ordered", "strict", "unordered"]);
    let exclusion = json!([{"table": "sales", "where": [{"prop": "open", "op": "eq", "value": true}]}]);
    match random.below(8) {
        0 => (
            json!({
                "kind": "funnel", "stream": "sales", "steps": [entity, other, {}], "order": order, "window": "9d",
                "exclusions": random.pick(&[json!([]), exclusion]),
            }),
            &["counts"],
        ),
        1 => (
            json!({
                "kind": "retention", "stream": "sales", "period": "week", "from": "2024-10-14", "periods": 6,
                "type": random.pick(&["recurring", "first_time"]), "start": entity, "return": other,
                "window": random.pick(&["calendar", "rolling"]), "min_occurrences": random.pick(&[1, 2]),
            }),
            &["sizes", "matrix"],
        ),
        2 => (
            of(json!({"kind": "lifecycle", "entity": entity, "interval": "week", "members_limit": 0})),
            &["new", "returning", "resurrecting", "dormant", "active"],
        ),
        3 => (of(json!({"kind": "stickiness", "entity": entity})), &["data", "at_least", "actors_total"]),
        4 => (
            of(
                json!({"kind": "trend", "filters": [{"prop": "card", "op": "is_set"}], "entity": entity, "interval": "week", "measure": ["total", "unique"]}),
            ),
            &["data"],
        ),
        5 => (of(json!({"kind": "churn", "entity": entity, "min_events": 2})), &["total", "at_risk"]),
        6 => {
            (of(json!({"kind": "paths", "entity": entity, "item": "place", "session_gap": "9d"})), &["edges"])
        }
        7 if random.one_in(2) => (
            of(json!({"kind": "preceding", "before": entity, "of": other, "show": "place"})),
            &["total", "values"],
        ),
        _ => (
            of(json!({
                "kind": "dropoff", "entity": entity, "step": "place", "steps": ["Gare", "0"], "exit": other,
                "session": "9d",
            })),
            &["total_sessions", "total_users", "total_exits", "converted", "active"],
        ),
    }
}

#[test]
fn over_all_actors_they_add_up_to_the_answer() {
    let app = app();
    for seed in 0..data_sets() {
        let mut random = Random::new(seed);
        let events = random.events();
        let aliases = if random.one_in(2) { random.aliases() } else { Vec::new() };
        let snapshot = snapshot(&app, &[&aliases[..], &events].concat(), 2);
        let (tenant, as_of) = (random.tenant(), random.as_of());
        let (query, fields) = random_query(&mut random);
        let whole =
            try_ask(&snapshot, tenant, &query, as_of).unwrap_or_else(|error| panic!("{query}: {error}"));
        let own = |event: &&Event| tenant.is_none_or(|tenant| tenant == event.tenant);
        let actors: BTreeSet<(&str, i64)> = events
            .iter()
            .filter(own)
            .filter_map(|event| match event.value("card") {
                Value::Int(card) => Some((event.tenant, *card)),
                _ => None,
            })
            .chain(aliases.iter().filter_map(|alias| match alias.value("card") {
                Value::Int(card) => Some((alias.tenant, *card)),
                _ => None,
            }))
            .filter(|(of, _)| tenant.is_none_or(|tenant| tenant == *of))
            .collect();
        let mut results = Vec::new();
        for (of, card) in actors {
            let of = tenant.is_none().then(|| TenantId::new(of));
            let actor = ExplainedActor { tenant: of, actor: Scalar::Number(card.into()) };
            let told = explained(&snapshot, tenant, &query, &actor, as_of);
            check_told(&query, &told);
            results.push(told["counted"].clone());
        }
        let (got, want) = (added(&results, fields), added(&[whole.result()], fields));
        assert_eq!(got, want, "seed {seed} as of {as_of} for {tenant:?}\n{query}");
    }
}

/// What an explanation says of events agrees with what it counts.
fn check_told(query: &Json, told: &Json) {
    let events = told["events"].as_array().unwrap();
    assert_eq!(told["events_total"], events.len(), "{query}");
    for event in events {
        assert!(event["rule"]["text"].as_str().unwrap().ends_with('.'), "{event}");
    }
    let sum = |field: &str| -> i64 {
        told["counted"][field].as_array().unwrap().iter().filter_map(Json::as_i64).sum()
    };
    match query["kind"].as_str().unwrap() {
        "funnel" => {
            let served: BTreeSet<u64> = events.iter().filter_map(|event| event["step"].as_u64()).collect();
            assert_eq!(served.len() as i64, sum("counts"), "{query}\n{told}");
            let once = events.iter().filter(|event| !event["step"].is_null()).count();
            assert_eq!(once, served.len(), "{query}\n{told}");
        }
        "retention" => {
            let of_rows: BTreeSet<u64> = events.iter().filter_map(|event| event["row"].as_u64()).collect();
            assert_eq!(of_rows.len() as i64, sum("sizes"), "{query}\n{told}");
            for (row, cells) in told["counted"]["matrix"].as_array().unwrap().iter().enumerate() {
                for (column, count) in cells.as_array().unwrap().iter().enumerate().skip(1) {
                    let named = events
                        .iter()
                        .any(|event| event["cells"].as_array().unwrap().contains(&json!([row, column])));
                    assert_eq!(named, count.as_u64().is_some_and(|count| count > 0), "{query}\n{told}");
                }
            }
        }
        "lifecycle" | "stickiness" => {
            let buckets: BTreeSet<u64> = events.iter().filter_map(|event| event["bucket"].as_u64()).collect();
            if query["kind"] == "lifecycle" {
                assert_eq!(buckets.len() as i64, sum("active"), "{query}\n{told}");
            } else if let Some(index) = buckets.len().checked_sub(1) {
                assert_eq!(told["counted"]["data"][index], 1, "{query}\n{told}");
            }
        }
        _ => {}
    }
}

fn sale(receipt: &str, time: &str, kind: &str) -> Event {
    let values = [
        ("card", Value::Int(1)),
        ("receipt", text(receipt)),
        ("at", Value::Timestamp(at(time))),
        ("type", text(kind)),
    ];
    Event { table: "sales", tenant: "a", values: BTreeMap::from(values) }
}

fn about_one(events: &[Event], query: &Json) -> Json {
    let actor = ExplainedActor { tenant: None, actor: Scalar::Number(1.into()) };
    explained(&snapshot(&app(), events, 2), Some("a"), query, &actor, at("2025-01-01"))
}

#[test]
fn each_event_of_a_funnel_has_the_rule_that_decided() {
    let events = [
        sale("1", "2024-01-01T00:00:00Z", "pay"),
        sale("2", "2024-01-02T00:00:00Z", "view"),
        sale("3", "2024-01-03T00:00:00Z", "cart"),
        sale("4", "2024-01-04T00:00:00Z", "view"),
        sale("5", "2024-01-20T00:00:00Z", "pay"),
    ];
    let query = json!({
        "kind": "funnel", "stream": "sales", "window": "7d", "exclusions": [{"event": "logout"}],
        "steps": [{"event": "view"}, {"event": "cart"}, {"event": "pay"}],
    });
    let told = about_one(&events, &query);
    let codes: Vec<&str> = told["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["rule"]["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["lesser_attempt", "served_step", "served_step", "not_next", "after_window"]);
    assert_eq!(told["rule"]["code"], "dropped");
    assert_eq!(told["counted"]["counts"], json!([1, 1, 0]));
    let with = |kind: &str| [&events[..], &[sale("6", "2024-01-02T12:00:00Z", kind)]].concat();
    let voided = about_one(&with("logout"), &query);
    assert_eq!(voided["counted"]["counts"], json!([1, 0, 0]));
    let posthog = |told: &Json| told["elsewhere"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(posthog(&told)["same"], true);
    assert_eq!(posthog(&voided)["reads"], 0);
    assert!(posthog(&voided)["why"].as_str().unwrap().contains("leaves the actor out wholly"));
}

#[test]
fn others_read_a_funnel_of_one_event_twice_otherwise() {
    let query = json!({"kind": "funnel", "stream": "sales", "steps": [{"event": "view"}, {"event": "view"}]});
    let told = about_one(&[sale("1", "2024-01-01T00:00:00Z", "view")], &query);
    assert_eq!(told["counted"]["counts"], json!([1, 0]));
    let of = |rules: &str| {
        let elsewhere = told["elsewhere"].as_array().unwrap();
        elsewhere.iter().find(|other| other["rules"] == rules).unwrap().clone()
    };
    assert_eq!(of("windowFunnel")["reads"], 2);
    assert!(of("windowFunnel")["why"].as_str().unwrap().contains("one event may serve several steps"));
    assert_eq!(of("strict_once")["reads"], 1);
}

#[test]
fn others_read_a_retention_of_several_returns_otherwise() {
    let query = json!({
        "kind": "retention", "stream": "sales", "from": "2024-01-01", "periods": 2, "min_occurrences": 2,
        "start": {"event": "view"}, "return": {"event": "pay"},
    });
    let events = [sale("1", "2024-01-01T00:00:00Z", "view"), sale("2", "2024-01-02T00:00:00Z", "pay")];
    let told = about_one(&events, &query);
    assert_eq!(told["counted"]["matrix"], json!([[1, 0], [0]]));
    let clickhouse = &told["elsewhere"][0];
    assert_eq!(clickhouse["reads"], json!([[1, 1], [0]]));
    assert!(clickhouse["why"].as_str().unwrap().contains("min_occurrences plays no part"));
    assert_eq!(told["elsewhere"][1]["same"], true);
    assert_eq!(told["events"][1]["rule"]["code"], "too_few");
}

#[test]
fn more_events_than_are_listed_are_told_of() {
    let events: Vec<Event> =
        (0..1_001).map(|index| sale(&index.to_string(), "2024-01-01T00:00:00Z", "view")).collect();
    let told = about_one(&events, &json!({"kind": "trend", "stream": "sales", "interval": "all"}));
    assert_eq!(told["events"].as_array().unwrap().len(), 1_000);
    assert_eq!(told["events_total"], 1_001);
    assert_eq!(told["counted"]["data"], json!([1_001]));
    assert_eq!(told["meta"]["warnings"], json!(["of 1001 events the first 1000 are listed"]));
}
