//! Events, properties and aliases over HTTP: each object is accounted for, by its index.

use ebbtide_model::pack::Pack;
use ebbtide_server::Settings;
use ebbtide_server::apps::bundled;
use serde_json::{Value as Json, json};

use crate::support::*;

/// A server of the pack `product` without rows.
fn product() -> Club {
    product_within(Settings::default())
}

fn product_within(settings: Settings) -> Club {
    let pack = Pack::parse(bundled("product").unwrap()).unwrap();
    let server = start(vec![pack.clone()], settings).unwrap();
    assert!(server.opened(memory_store(&[pack])).is_ok());
    Club::of(server)
}

fn of(role: &str, tenant: &str) -> String {
    token(json!({"aud": "product", "role": role, "tenant": tenant}))
}

async fn post(club: &Club, path: &str, body: Json) -> Json {
    let answer = club.post(path, &of("writer", "acme"), &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn sql(club: &Club, tenant: &str, statement: &str) -> Json {
    let answer = club.post("/v1/sql", &of("admin", tenant), &json!({"sql": statement})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["rows"].clone()
}

async fn result(club: &Club, query: Json) -> Json {
    let answer = club.post("/v1/query", &of("admin", "acme"), &query).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["result"].clone()
}

fn refusals(answer: &Json) -> Vec<(u64, &str)> {
    let refused = answer["rejected"].as_array().unwrap().iter();
    refused.map(|refused| (refused["index"].as_u64().unwrap(), refused["code"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn the_good_events_of_a_bad_list_are_kept_and_the_bad_ones_named() {
    let club = product();
    let ts = "2026-03-01T00:00:00Z";
    let long = "x".repeat(2_000);
    let many: serde_json::Map<String, Json> =
        (0..1_001).map(|index| (format!("p{index}"), json!(1))).collect();
    let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
    let answer = post(
        &club,
        "/v1/capture",
        json!([
            {"event": "view", "actor": "a", "ts": ts, "props": {"url": "/", "n": 1, "deep": {"b": [1.0], "a": null}}},
            {"event": "view", "actor": 7, "props": null, "ts": null, "event_id": null},
            17,
            {"actor": "a"},
            {"event": "", "actor": "a"},
            {"event": "view", "actor": null},
            {"event": "view", "actor": true},
            {"event": long, "actor": "a"},
            {"event": "view", "actor": "a", "ts": "yesterday"},
            {"event": "view", "actor": "a", "ts": 1_700_000_000},
            {"event": "view", "actor": "a", "props": []},
            {"event": "view", "actor": "a", "props": {"": 1}},
            {"event": "view", "actor": "a", "props": many},
            {"event": "view", "actor": "a", "props": {"p": "x".repeat(70_000)}},
            {"event": "view", "actor": "a", "props": {"p": deep}},
            {"event": "view", "actor": "a", "properties": {}},
            {"event": "view", "actor": "a", "tenant": "globex"},
            {"event": "view", "actor": "a", "tenant": "acme", "props": {"n": "one"}},
        ]),
    )
    .await;
    assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(3), &json!(0)), "{answer}");
    assert_eq!(
        refusals(&answer),
        [
            (2, "not_an_object"),
            (3, "field_missing"),
            (4, "empty"),
            (5, "field_missing"),
            (6, "wrong_type"),
            (7, "too_long"),
            (8, "ts_invalid"),
            (9, "ts_invalid"),
            (10, "wrong_type"),
            (11, "prop_name"),
            (12, "props_too_many"),
            (13, "prop_too_large"),
            (14, "prop_too_deep"),
            (15, "field_unknown"),
            (16, "tenant_foreign"),
        ]
    );
    let rows = sql(&club, "acme", "SELECT event, actor, ts, event_id FROM events ORDER BY actor, ts").await;
    let now = "2026-03-15T12:00:00Z";
    assert_eq!(
        rows,
        json!([
            {"event": "view", "actor": "7", "ts": now, "event_id": null},
            {"event": "view", "actor": "a", "ts": ts, "event_id": null},
            {"event": "view", "actor": "a", "ts": now, "event_id": null},
        ])
    );
    // A property's name that comes twice is no object of other readers, so it is written by hand.
    let twice = r#"{"event": "view", "actor": "a", "props": {"p": 1, "p": 2}}"#;
    let answer = club.post_raw("/v1/capture", &of("writer", "acme"), twice).await.json();
    assert_eq!(refusals(&answer), [(0, "prop_repeated")]);
}

#[tokio::test]
async fn an_event_counts_once_by_its_id_and_without_one_each_time() {
    let club = product();
    let ts = "2026-03-01T00:00:00Z";
    let event = |id: Json, n: i64| json!({"event": "view", "actor": "a", "ts": ts, "event_id": id, "props": {"n": n}});
    let first =
        post(&club, "/v1/capture", json!([event(json!("x"), 1), event(json!("x"), 2), event(json!("y"), 3)]))
            .await;
    assert_eq!((&first["accepted"], &first["duplicates"]), (&json!(2), &json!(1)));
    let again = post(&club, "/v1/capture", event(json!("x"), 4)).await;
    assert_eq!((&again["accepted"], &again["duplicates"]), (&json!(0), &json!(1)));
    for _ in 0..2 {
        let answer = post(&club, "/v1/capture", json!([event(Json::Null, 1), event(Json::Null, 1)])).await;
        assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(2), &json!(0)));
    }
    let rows = sql(&club, "acme", "SELECT event_id, count(*) AS n FROM events GROUP BY 1 ORDER BY 1").await;
    assert_eq!(
        rows,
        json!([{"event_id": "x", "n": 1}, {"event_id": "y", "n": 1}, {"event_id": null, "n": 4}])
    );
    // Of two tenants the same id is two events.
    let other = club.post("/v1/capture", &of("admin", "globex"), &event(json!("x"), 1)).await;
    assert_eq!(other.json()["accepted"], json!(1));
}

#[tokio::test]
async fn a_body_is_an_object_or_a_list_of_them_within_its_limits() {
    let club = product_within(Settings { rows_max: 3, ..Settings::default() });
    let writer = of("writer", "acme");
    assert_eq!(post(&club, "/v1/capture", json!([])).await["accepted"], json!(0));
    for path in ["/v1/capture", "/v1/actors", "/v1/alias"] {
        let check = async |body: &str, status: u16, code: &str| {
            club.post_raw(path, &writer, body.to_owned()).await.assert_problem(status, code);
        };
        check("17", 422, "body_invalid").await;
        check("[1, 2, 3, 4]", 413, "body_too_large").await;
        check("[{]", 422, "json_invalid").await;
        check("", 422, "json_invalid").await;
        check(&"[".repeat(1_000), 422, "json_invalid").await;
    }
}

#[tokio::test]
async fn writers_of_a_tenant_capture_and_nobody_else() {
    let club = product();
    let event = json!({"event": "view", "actor": "a"});
    for path in ["/v1/capture", "/v1/actors", "/v1/alias"] {
        let check = async |claims: Json, status: u16, code: &str| {
            let answer = club.post(path, &token(claims), &event).await;
            answer.assert_problem(status, code);
        };
        club.post(path, "", &event).await.assert_problem(401, "token_missing");
        check(json!({"aud": "shop", "role": "admin", "tenant": "acme"}), 401, "token_audience").await;
        check(json!({"aud": "product", "role": "analyst", "tenant": "acme"}), 403, "role_forbidden").await;
        check(json!({"aud": "product", "tenant": "acme"}), 403, "role_forbidden").await;
        check(json!({"aud": "product", "role": "admin"}), 403, "tenant_required").await;
        check(json!({"aud": "product", "role": "writer"}), 403, "tenant_required").await;
        club.get(path, &of("admin", "acme")).await.assert_problem(405, "method_not_allowed");
    }
    let club = Club::open().await;
    for path in ["/v1/capture", "/v1/actors", "/v1/alias"] {
        let answer = club.post(path, &token(json!({"role": "admin", "tenant": "1"})), &event).await;
        answer.assert_problem(404, "not_found");
    }
}

#[tokio::test]
async fn an_alias_joins_at_once_and_for_all_history() {
    let club = product();
    let event = |actor: &str, event: &str, ts: &str| json!({"event": event, "actor": actor, "ts": ts});
    post(
        &club,
        "/v1/capture",
        json!([
            event("anon", "view", "2026-03-01T00:00:00Z"),
            event("ann", "buy", "2026-03-02T00:00:00Z"),
            event("bob", "view", "2026-03-02T00:00:00Z"),
        ]),
    )
    .await;
    let funnel = json!({
        "kind": "funnel", "steps": [{"event": "view"}, {"event": "buy"}], "window": "7d", "list_actors": true,
        "as_of": "2026-03-02T12:00:00Z",
    });
    assert_eq!(result(&club, funnel.clone()).await["counts"], json!([2, 0]));
    let joined = post(&club, "/v1/alias", json!([{"alias": "anon", "actor": "ann"}])).await;
    assert_eq!((&joined["accepted"], &joined["duplicates"]), (&json!(1), &json!(0)));
    let answer = result(&club, funnel).await;
    assert_eq!(
        (&answer["counts"], &answer["actors_at_step"]),
        (&json!([2, 1]), &json!([["ann", "bob"], ["ann"]]))
    );
    let rows = sql(&club, "acme", "SELECT actor, count(*) AS n FROM events GROUP BY 1 ORDER BY 1").await;
    assert_eq!(rows, json!([{"actor": "ann", "n": 2}, {"actor": "bob", "n": 1}]));
    // Another tenant's actors of the same names are others.
    let other = club
        .post("/v1/capture", &of("writer", "globex"), &event("anon", "view", "2026-03-01T00:00:00Z"))
        .await;
    assert_eq!(other.json()["accepted"], json!(1));
    assert_eq!(sql(&club, "globex", "SELECT actor FROM events").await, json!([{"actor": "anon"}]));
    let all = token(json!({"aud": "product", "role": "admin"}));
    let stickiness =
        json!({"kind": "stickiness", "interval": "month", "from": "2026-03-01", "to": "2026-04-01"});
    let answer = club.post("/v1/query", &all, &stickiness).await;
    assert_eq!(answer.json()["result"]["actors_total"], json!(3), "{}", answer.text());
}

#[tokio::test]
async fn an_alias_that_would_join_two_actors_is_refused_unless_forced() {
    let club = product();
    let alias = |alias: &str, actor: &str| json!({"alias": alias, "actor": actor});
    let first =
        post(&club, "/v1/alias", json!([alias("a1", "ann"), alias("b1", "bob"), alias("a1", "ann")])).await;
    assert_eq!((&first["accepted"], &first["duplicates"]), (&json!(2), &json!(1)));
    let answer = post(
        &club,
        "/v1/alias",
        json!([
            alias("a1", "bob"),
            alias("ann", "bob"),
            alias("x", "x"),
            {"alias": "x"},
            {"alias": "x", "actor": "y", "force": "yes"},
            alias("x", "a1"),
        ]),
    )
    .await;
    assert_eq!(answer["accepted"], json!(1));
    assert_eq!(
        refusals(&answer),
        [
            (0, "alias_taken"),
            (1, "alias_is_actor"),
            (2, "alias_itself"),
            (3, "field_missing"),
            (4, "wrong_type")
        ]
    );
    assert!(!answer.to_string().contains("ann"), "whose an alias is, a writer does not learn: {answer}");
    let forced = post(&club, "/v1/alias", json!({"alias": "ann", "actor": "b1", "force": true})).await;
    assert_eq!((&forced["accepted"], &forced["rejected"]), (&json!(1), &json!([])));
    let rows = sql(&club, "acme", "SELECT alias, actor FROM aliases ORDER BY alias").await;
    let want = ["a1", "ann", "b1", "x"].map(|alias| json!({"alias": alias, "actor": "bob"}));
    assert_eq!(rows, json!(want));
}

#[tokio::test]
async fn requests_that_cross_join_one_set_and_never_a_circle() {
    let club = product();
    let writer = of("writer", "acme");
    let forced = |alias: &str, actor: &str| json!({"alias": alias, "actor": actor, "force": true});
    let pairs = [("a", "b"), ("b", "a"), ("b", "c"), ("c", "a"), ("c", "b"), ("a", "c")];
    let bodies: Vec<Json> = pairs.iter().map(|(alias, actor)| forced(alias, actor)).collect();
    let sent = bodies.iter().map(|body| club.post("/v1/alias", &writer, body));
    for answer in futures::future::join_all(sent).await {
        assert_eq!(answer.json()["rejected"], json!([]), "{}", answer.text());
    }
    let events: Vec<Json> =
        ["a", "b", "c"].iter().map(|actor| json!({"event": "view", "actor": actor})).collect();
    post(&club, "/v1/capture", json!(events)).await;
    assert_eq!(sql(&club, "acme", "SELECT count(DISTINCT actor) AS n FROM events").await, json!([{"n": 1}]));
    let rows = sql(&club, "acme", "SELECT count(DISTINCT actor) AS n FROM aliases").await;
    assert_eq!(rows, json!([{"n": 1}]), "every name is one step from the actor");
}

#[tokio::test]
async fn properties_of_actors_merge_each_by_itself() {
    let club = product();
    post(
        &club,
        "/v1/capture",
        json!([{"event": "view", "actor": "ann"}, {"event": "view", "actor": "anon"}, {"event": "view", "actor": "bob"}]),
    )
    .await;
    let first = post(
        &club,
        "/v1/actors",
        json!([
            {"actor": "ann", "props": {"plan": "free", "seats": 1}},
            {"actor": "bob", "props": {"plan": "pro", "seats": 1.0}},
            {"actor": "cyd"},
            {"actor": "", "props": {}},
            {"actor": "ann", "props": {"plan": "pro"}},
        ]),
    )
    .await;
    assert_eq!((&first["accepted"], refusals(&first)), (&json!(4), vec![(3, "empty")]));
    post(&club, "/v1/alias", json!({"alias": "anon", "actor": "ann"})).await;
    let trend = |filter: Json| json!({"kind": "trend", "entity": {"event": "view", "where": [filter]}, "measure": ["total", "unique"], "interval": "all"});
    let check = async |filter: Json, total: u64, unique: u64| {
        let data = result(&club, trend(filter.clone())).await["data"].clone();
        assert_eq!(data, json!({"total": [total], "unique": [unique]}), "{filter}");
    };
    let filter =
        |prop: &str, op: &str, value: Json| json!({"prop": prop, "op": op, "value": value, "scope": "actor"});
    check(filter("plan", "eq", json!("pro")), 3, 2).await;
    check(filter("plan", "eq", json!("free")), 0, 0).await;
    check(filter("seats", "eq", json!(1)), 3, 2).await;
    check(filter("seats", "eq", json!("1")), 0, 0).await;
    check(filter("seats", "gt", json!(0)), 3, 2).await;
    check(filter("unheard", "neq", json!("x")), 3, 2).await;
    post(&club, "/v1/actors", json!({"actor": "anon", "props": {"plan": null}})).await;
    check(json!({"prop": "plan", "op": "is_set", "scope": "actor"}), 1, 1).await;
    check(filter("seats", "eq", json!(1)), 3, 2).await;
}

#[tokio::test]
async fn an_answer_is_split_by_what_actors_are() {
    let club = product();
    let event = |actor: &str, event: &str, ts: &str| json!({"event": event, "actor": actor, "ts": ts});
    let events = [
        event("ann", "view", "2026-03-01T00:00:00Z"),
        event("anon", "buy", "2026-03-02T00:00:00Z"),
        event("bob", "view", "2026-03-01T00:00:00Z"),
        event("cyd", "view", "2026-03-01T00:00:00Z"),
    ];
    post(&club, "/v1/capture", json!(events)).await;
    post(&club, "/v1/alias", json!({"alias": "anon", "actor": "ann"})).await;
    let props = [
        json!({"actor": "anon", "props": {"plan": "pro", "seats": 3}}),
        json!({"actor": "bob", "props": {"plan": "free", "seats": "many"}}),
    ];
    post(&club, "/v1/actors", json!(props)).await;
    let funnel = json!({
        "kind": "funnel", "steps": [{"event": "view"}, {"event": "buy"}], "window": "7d",
        "breakdown": {"props": ["plan", "seats"], "scope": "actor"},
    });
    let answer = result(&club, funnel).await;
    let groups: Vec<(&Json, &Json)> = answer["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| (&group["value"], &group["counts"]))
        .collect();
    assert_eq!(
        groups,
        [
            (&json!(["free", "many"]), &json!([1, 0])),
            (&json!(["pro", 3]), &json!([1, 1])),
            (&json!([null, null]), &json!([1, 0])),
        ]
    );
    let trend = json!({"kind": "trend", "interval": "all", "breakdown": {"prop": "seats", "scope": "actor"}});
    let answer = result(&club, trend).await;
    assert_eq!(
        answer["groups"],
        json!([
            {"value": 3, "data": [2]},
            {"value": "many", "data": [1]},
            {"value": null, "data": [1]},
        ]),
        "{answer}"
    );
    let retention = json!({
        "kind": "retention", "period": "day", "periods": 2, "from": "2026-03-01T00:00:00Z",
        "start": {"event": "view"}, "return": {"event": "buy"}, "breakdown": {"prop": "plan", "scope": "actor"},
    });
    let answer = result(&club, retention).await;
    let groups: Vec<(&Json, &Json)> = answer["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| (&group["value"], &group["matrix"]))
        .collect();
    assert_eq!(
        groups,
        [
            (&json!("free"), &json!([[1, 0], [0]])),
            (&json!("pro"), &json!([[1, 1], [0]])),
            (&json!(null), &json!([[1, 0], [0]])),
        ]
    );
}

#[tokio::test]
async fn an_answer_rests_on_the_aliases_and_properties_that_it_read() {
    let club = product();
    post(
        &club,
        "/v1/capture",
        json!([{"event": "view", "actor": "ann"}, {"event": "view", "actor": "anon"}]),
    )
    .await;
    let unique = json!({"kind": "trend", "interval": "all", "measure": "unique"});
    let of_pro = json!({
        "kind": "trend", "interval": "all",
        "entity": {"where": [{"prop": "plan", "value": "pro", "scope": "actor"}]},
    });
    let ask = async |query: &Json| {
        let answer = club.post("/v1/query", &of("admin", "acme"), query).await;
        (answer.json()["result"]["data"][0].clone(), answer.header("x-cache").to_owned())
    };
    let kept = |data: u64| (json!(data), "hit".to_owned());
    let fresh = |data: u64| (json!(data), "miss".to_owned());
    assert_eq!((ask(&unique).await, ask(&unique).await), (fresh(2), kept(2)));
    assert_eq!((ask(&of_pro).await, ask(&of_pro).await), (fresh(0), kept(0)));
    post(&club, "/v1/actors", json!({"actor": "ann", "props": {"plan": "pro"}})).await;
    assert_eq!((ask(&unique).await, ask(&of_pro).await), (kept(2), fresh(1)));
    post(&club, "/v1/alias", json!({"alias": "anon", "actor": "ann"})).await;
    assert_eq!((ask(&unique).await, ask(&of_pro).await), (fresh(1), fresh(2)));
    assert_eq!((ask(&unique).await, ask(&of_pro).await), (kept(1), kept(2)));
}

#[tokio::test]
async fn statements_read_what_was_captured_by_its_name_and_type() {
    let club = product();
    let event = |event: &str, actor: &str, minute: u32, props: Json| json!({"event": event, "actor": actor, "ts": format!("2026-03-01T00:{minute:02}:00Z"), "props": props});
    let events = json!([
        event("view", "a", 0, json!({"plan": "pro", "price": 1})),
        event("buy", "a", 5, json!({"plan": "pro", "price": 2.5, "tags": ["x"]})),
        event("view", "b", 1, json!({"plan": 7})),
    ]);
    post(&club, "/v1/capture", events).await;
    let other = json!([event("view", "c", 0, json!({"secret_name": "secret", "plan": "theirs"}))]);
    assert_eq!(club.post("/v1/capture", &of("admin", "globex"), &other).await.status, 200);
    let check = async |tenant: &str, statement: &str, want: Json| {
        assert_eq!(sql(&club, tenant, statement).await, want, "{statement}");
    };
    check(
        "acme",
        "SELECT json_get_str(props, 'plan') AS plan, count(*) AS n, sum(json_get_float(props, 'price')) AS price \
         FROM events GROUP BY 1 ORDER BY 1",
        json!([{"plan": "pro", "n": 2, "price": 3.5}, {"plan": null, "n": 1, "price": null}]),
    )
    .await;
    check(
        "acme",
        "SELECT props FROM events ORDER BY ts",
        json!([
            {"props": r#"{"plan":"pro","price":1}"#},
            {"props": r#"{"plan":7}"#},
            {"props": r#"{"plan":"pro","price":2.5,"tags":["x"]}"#},
        ]),
    )
    .await;
    let behaviour = "SELECT actor, window_funnel(300, '', ts, json_get_str(props, 'plan') = 'pro', event = 'buy') AS level, \
                     retention(event = 'view', event = 'buy') AS r FROM events GROUP BY actor ORDER BY actor";
    let rows = json!([{"actor": "a", "level": 2, "r": [true, true]}, {"actor": "b", "level": 0, "r": [true, false]}]);
    check("acme", behaviour, rows).await;
    let everything = sql(&club, "acme", "SELECT * FROM events").await.to_string();
    assert!(!everything.contains("secret"), "{everything}");
    check(
        "acme",
        "SELECT json_get_str(props, 'secret_name') AS s FROM events WHERE actor = 'b'",
        json!([{"s": null}]),
    )
    .await;
    let body = json!({"sql": "SELECT window_funnel(0, '', ts, true) AS l FROM events"});
    let refused = club.post("/v1/sql", &of("admin", "acme"), &body).await;
    refused.assert_problem(422, "sql_invalid");
    assert!(refused.text().contains("a number of seconds above 0"), "{}", refused.text());
}

/// Of a property with values of several types, too, whose texts are kept as JSON.
#[tokio::test]
async fn an_empty_text_is_no_value_that_a_touch_looks_for() {
    let touched = async |others: Json, attribution: &str| {
        let club = product();
        let of = |event: &str, second: u32, g: Json| json!({"event": event, "actor": "u", "ts": format!("2024-01-01T00:00:0{second}Z"), "props": {"g": g}});
        let mut events = vec![of("c", 5, others), of("a", 0, json!("")), of("b", 1, json!("v"))];
        if attribution == "last_touch" {
            events.push(of("b", 2, json!("")));
        }
        post(&club, "/v1/capture", json!(events)).await;
        let query = json!({
            "kind": "funnel", "steps": [{"event": "a"}, {"event": "b"}], "as_of": "2025-01-01T00:00:00Z",
            "breakdown": {"props": ["g"], "attribution": attribution},
        });
        result(&club, query).await["groups"][0]["value"].clone()
    };
    for attribution in ["first_touch", "last_touch"] {
        for others in [json!("w"), json!(1), json!(true)] {
            assert_eq!(touched(others.clone(), attribution).await, json!(["v"]), "{attribution} {others}");
        }
    }
}
