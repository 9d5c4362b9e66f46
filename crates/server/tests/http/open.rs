//! An open table over HTTP: rows with properties that nobody declared, told, asked about, and seen by their
//! tenant alone.

use ebbtide_model::pack::Pack;
use ebbtide_server::Settings;
use serde_json::{Value as Json, json};

use crate::support::*;

const PACK: &str = "
pack: track
tables:
  events:
    kind: events
    open: props
    key: event_id
    tenant: tenant
    actor: actor
    time: ts
    name: event
    columns: {tenant: text, event: text, actor: text, ts: timestamp, event_id: text?}
";

async fn track() -> Club {
    let packs = || vec![Pack::parse(PACK).unwrap()];
    let server = start(packs(), Settings::default()).unwrap();
    assert!(server.opened(memory_store(&packs())).is_ok());
    Club::of(server)
}

fn of(tenant: &str) -> String {
    token(json!({"aud": "track", "role": "admin", "tenant": tenant}))
}

fn event(actor: &str, minute: u32, props: Json) -> Json {
    json!({"event": "buy", "actor": actor, "ts": format!("2026-03-01T10:{minute:02}:00Z"), "props": props})
}

async fn add(track: &Club, tenant: &str, rows: &[Json]) {
    let answer = track.post("/v1/tables/events/rows", &of(tenant), &json!(rows)).await.json();
    assert_eq!(answer["accepted"], json!(rows.len()), "{answer}");
}

/// The values that `x` has, one for each actor from `a` on; the last has none.
fn values() -> Vec<Json> {
    vec![json!(0), json!("0"), json!(false), json!(1), json!(2.5), json!("Two"), json!([1]), Json::Null]
}

async fn with_values() -> Club {
    let track = track().await;
    let rows: Vec<Json> = ('a'..)
        .zip(values())
        .map(|(actor, value)| event(&actor.to_string(), 0, json!({"x": value, "n": 7})))
        .collect();
    add(&track, "one", &rows).await;
    track
}

async fn ask(track: &Club, tenant: &str, query: Json) -> Json {
    let answer = track.post("/v1/query", &of(tenant), &query).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    answer.json()
}

#[tokio::test]
async fn a_property_is_tested_as_what_each_of_its_values_is() {
    let track = with_values().await;
    let check = async |op: &str, value: Json, want: &str| {
        let mut filter = json!({"prop": "x", "op": op});
        if !value.is_null() || op == "eq" || op == "neq" {
            filter["value"] = value.clone();
        }
        let query = json!({"kind": "funnel", "window": "1d", "steps": [{"event": "buy", "where": [filter]}], "list_actors": true});
        let answer = ask(&track, "one", query).await;
        let actors = answer["result"]["actors_at_step"][0].as_array().unwrap().clone();
        let found: String = actors.iter().map(|actor| actor.as_str().unwrap_or("?")).collect();
        assert_eq!(found, want, "{op} {value}: {answer}");
    };
    check("eq", json!(0), "a").await;
    check("eq", json!("0"), "b").await;
    check("eq", json!(false), "c").await;
    check("eq", json!(1.0), "d").await;
    check("eq", Json::Null, "h").await;
    check("neq", json!(0), "bcdefgh").await;
    check("neq", Json::Null, "abcdefg").await;
    check("in", json!([1, "Two", null]), "dfh").await;
    check("not_in", json!([1, "Two", null]), "abceg").await;
    check("contains", json!("tW"), "f").await;
    check("not_contains", json!("tW"), "abcdegh").await;
    check("matches", json!("^T"), "f").await;
    check("is_set", Json::Null, "abcdefg").await;
    check("is_not_set", Json::Null, "h").await;
    check("gt", json!(0), "de").await;
    check("lte", json!(1), "ad").await;
    check("gte", json!("0"), "bf").await;
    check("lt", json!("A"), "b").await;
}

#[tokio::test]
async fn a_property_of_one_type_takes_any_value_to_compare_with() {
    let track = with_values().await;
    let check = async |filter: Json, want: u64| {
        let query = json!({"kind": "trend", "entity": {"event": "buy", "where": [filter]}, "measure": "total", "interval": "all"});
        let answer = ask(&track, "one", query).await;
        assert_eq!(answer["result"]["data"], json!([want]), "{filter}");
        assert_eq!(answer["meta"]["warnings"], json!([]));
    };
    check(json!({"prop": "n", "op": "eq", "value": 7}), 8).await;
    check(json!({"prop": "n", "op": "eq", "value": "7"}), 0).await;
    check(json!({"prop": "n", "op": "neq", "value": "7"}), 8).await;
    check(json!({"prop": "n", "op": "in", "value": ["7", 7, true]}), 8).await;
    check(json!({"prop": "n", "op": "gt", "value": "6"}), 0).await;
    check(json!({"prop": "n", "op": "contains", "value": "7"}), 0).await;
    check(json!({"prop": "n", "op": "not_contains", "value": "7"}), 8).await;
    check(json!({"prop": "unheard of", "op": "eq", "value": 7}), 0).await;
    check(json!({"prop": "unheard of", "op": "neq", "value": 7}), 8).await;
    check(json!({"prop": "unheard of", "op": "is_set"}), 0).await;
    check(json!({"prop": "event", "op": "eq", "value": "buy"}), 8).await;
}

#[tokio::test]
async fn values_of_several_types_are_measured_grouped_and_warned_of() {
    let track = with_values().await;
    let trend = |more: Json| {
        let mut query = json!({"kind": "trend", "entity": {"event": "buy"}, "interval": "all"});
        query.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        query
    };
    for (measure, want) in [
        ("sum", json!(3.5)),
        ("max", json!(2.5)),
        ("min", json!(0.0)),
        ("median", json!(1.0)),
        ("unique_prop", json!(7)),
    ] {
        let answer = ask(&track, "one", trend(json!({"measure": measure, "prop": "x"}))).await;
        assert_eq!(answer["result"]["data"][0].as_f64(), want.as_f64(), "{measure}: {answer}");
        let warnings = answer["meta"]["warnings"].as_array().unwrap();
        assert_eq!(warnings.len(), 1, "{answer}");
        assert!(
            warnings[0].as_str().unwrap().contains("several types (number, bool, json, text)"),
            "{answer}"
        );
        assert_eq!(answer["meta"]["complete"], json!(true));
    }
    let answer = ask(&track, "one", trend(json!({"measure": "total", "breakdown": {"prop": "x"}}))).await;
    let mut groups: Vec<Json> =
        answer["result"]["groups"].as_array().unwrap().iter().map(|group| group["value"].clone()).collect();
    let mut want = values();
    let by_text = |json: &Json| json.to_string();
    groups.sort_by_key(by_text);
    want.sort_by_key(by_text);
    assert_eq!(groups, want);
    for query in [
        trend(json!({"measure": "sum", "prop": "unheard of"})),
        trend(json!({"measure": "sum", "prop": "name"})),
    ] {
        assert_eq!(ask(&track, "one", query).await["result"]["data"][0].as_f64(), Some(0.0));
    }
    let paths =
        ask(&track, "one", json!({"kind": "paths", "entity": {}, "item": "x", "session_gap": "1h"})).await;
    assert_eq!(paths["result"]["edges"], json!([]));
    let by_value = json!({"kind": "stickiness", "entity": {"event": "buy"}, "interval": "day", "from": "2026-03-01T00:00:00Z",
        "to": "2026-03-02T00:00:00Z", "aggregate_by": "x"});
    assert_eq!(ask(&track, "one", by_value).await["result"]["actors_total"], json!(7));
}

#[tokio::test]
async fn a_tenant_sees_the_names_of_its_own_rows_alone() {
    let track = track().await;
    add(
        &track,
        "one",
        &[event("u", 1, json!({"price": 1, "plan": "pro"})), event("u", 2, json!({"price": 0.5}))],
    )
    .await;
    add(&track, "two", &[event("u", 1, json!({"canary": true, "price": "free"}))]).await;
    let shown = async |token: &str| {
        let schema = track.get("/v1/schema", token).await.json();
        let table = schema["tables"][0].clone();
        assert_eq!(table["open"], json!("props"));
        assert_eq!(table["columns"].as_array().unwrap().len(), 5);
        table["properties"].clone()
    };
    let property = |name: &str, kind: &str| json!({"name": name, "type": kind});
    assert_eq!(shown(&of("one")).await, json!([property("plan", "text"), property("price", "float")]));
    assert_eq!(shown(&of("two")).await, json!([property("canary", "bool"), property("price", "text")]));
    assert_eq!(shown(&of("three")).await, json!([]));
    let all = token(json!({"aud": "track", "role": "admin"}));
    let want = [property("canary", "bool"), property("plan", "text"), property("price", "mixed")];
    assert_eq!(shown(&all).await, json!(want));

    let rows =
        track.post("/v1/sql", &of("one"), &json!({"sql": "SELECT * FROM events LIMIT 1"})).await.json();
    assert!(!rows.to_string().contains("canary") && !rows.to_string().contains("int:price"), "{rows}");
}

#[tokio::test]
async fn fields_beside_the_columns_are_properties_and_numbers_become_text_in_columns_of_text() {
    let track = track().await;
    let rows = json!([
        {"event": "buy", "actor": 7, "ts": "2026-03-01T10:00:00Z", "price": 3, "props": {"plan": "pro", "event": "inner"}},
        {"event": "buy", "actor": 7.0, "ts": "2026-03-01T10:00:00Z", "tenant": "one"},
        {"event": "buy", "actor": "8", "ts": "2026-03-01T10:00:00Z", "plan": "x", "props": {"plan": "y"}},
        {"event": "buy", "actor": "8", "ts": "2026-03-01T10:00:00Z", "props": ["plan"]},
        {"event": "buy", "actor": "8", "ts": "2026-03-01T10:00:00Z", "props": {"": 1}},
        {"event": "buy", "actor": "8", "ts": "2026-03-01T10:00:00Z", "props": {"p".repeat(201): 1}},
        {"event": "buy", "actor": true, "ts": "2026-03-01T10:00:00Z"},
        {"event": "buy", "actor": "9", "ts": "2026-03-01T10:00:00Z", "props": null, "event_id": "e1"},
        {"event": "buy", "actor": "9", "ts": "2026-03-01T10:00:00Z", "event_id": "e1", "price": 9},
    ]);
    let many: serde_json::Map<String, Json> =
        (0..1001).map(|index| (format!("p{index}"), json!(index))).collect();
    let mut rows = rows.as_array().unwrap().clone();
    rows.push(event("8", 0, Json::Object(many)));
    for _ in 0..2 {
        let answer = track.post("/v1/tables/events/rows", &of("one"), &json!(rows)).await.json();
        let codes: Vec<(&Json, &str)> = answer["rejected"]
            .as_array()
            .unwrap()
            .iter()
            .map(|rejected| (&rejected["column"], rejected["code"].as_str().unwrap()))
            .collect();
        let long = json!("p".repeat(80));
        assert_eq!(
            codes,
            [
                (&json!("plan"), "repeated_column"),
                (&json!("props"), "wrong_type"),
                (&json!(""), "property_name"),
                (&long, "property_name"),
                (&json!("actor"), "wrong_type"),
                (&Json::Null, "too_many_fields"),
            ]
        );
    }
    let query = json!({"kind": "trend", "entity": {"event": "buy"}, "measure": ["total", "unique"], "interval": "all", "cache": false});
    let answer = ask(&track, "one", query).await;
    // The list is as a file: it counts once, and its two rows of one id do.
    assert_eq!(answer["result"]["data"], json!({"total": [3], "unique": [2]}));
    let sum = json!({"kind": "trend", "entity": {}, "measure": "sum", "prop": "price", "interval": "all"});
    assert_eq!(ask(&track, "one", sum).await["result"]["data"][0].as_f64(), Some(3.0));
}

#[tokio::test]
async fn cohorts_and_explanations_know_properties_that_nobody_declared() {
    let track = with_values().await;
    let with = |filter: Json| json!({"kind": "churn", "entity": {"event": "buy"}, "filters": [filter]});
    for (mode, name) in [("static", "zeros"), ("live", "zeros-now")] {
        let body = json!({"name": name, "mode": mode, "query": with(json!({"prop": "x", "value": 0}))});
        let saved = track.post("/v1/cohorts", &of("one"), &body).await;
        assert_eq!(saved.json()["size"], 1, "{}", saved.text());
        let found = ask(&track, "one", with(json!({"cohort": name}))).await;
        assert_eq!(found["result"]["total"], 1, "{found}");
    }
    let of_values =
        json!({"kind": "stickiness", "aggregate_by": "x", "interval": "year", "from": "2026-01-01"});
    let body = json!({"name": "values", "query": of_values});
    assert_eq!(track.post("/v1/cohorts", &of("one"), &body).await.json()["size"], 7);
    assert_eq!(track.get("/v1/cohorts/values", &of("one")).await.json()["type"], "mixed");
    let mut again = of_values.clone();
    again["filters"] = json!([{"cohort": "values"}]);
    assert_eq!(ask(&track, "one", again).await["result"]["actors_total"], 7);
    let body = json!({"query": with(json!({"prop": "x", "value": "0"})), "actor": "b"});
    let told = track.post("/v1/explain", &of("one"), &body).await.json();
    assert_eq!(told["events_total"], 1, "{told}");
    assert_eq!(told["counted"]["total"], 1, "{told}");
}
