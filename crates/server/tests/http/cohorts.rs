//! Cohorts over HTTP: saved, used, scoped, bounded, kept over a restart.

use std::sync::Arc;

use ebbtide_server::Settings;
use ebbtide_store::fs::SimFs;
use serde_json::{Value as Json, json};

use super::support::{Answer, Club, admin, empty, owner, pack, recovering, store_on, token};

impl Club {
    async fn visits(&self, token: &str, filter: Json) -> Answer {
        let query = json!({"kind": "trend", "interval": "all", "filters": [filter], "cache": true});
        self.post("/v1/query", token, &query).await
    }

    /// How many visits there are of those that the filter lets through.
    async fn count(&self, token: &str, filter: Json) -> u64 {
        let answer = self.visits(token, filter).await;
        answer.json()["result"]["data"][0].as_u64().unwrap_or_else(|| panic!("{}", answer.text()))
    }
}

fn swimmers(mode: &str) -> Json {
    let query =
        json!({"kind": "stickiness", "entity": {"event": "swim"}, "from": "2026-01-01", "interval": "year"});
    json!({"name": "swimmers", "mode": mode, "query": query, "from": {"at_least": 1}})
}

fn visit(id: u32, member: u32, kind: &str) -> Json {
    json!([{"id": id, "club_id": 1, "member_id": member, "kind": kind, "at": "2026-03-01T10:00:00Z"}])
}

#[tokio::test]
async fn a_static_cohort_keeps_who_is_in_it_and_a_live_one_does_not() {
    let club = Club::open().await;
    let token = owner(1);
    let saved = club.post("/v1/cohorts", &token, &swimmers("static")).await;
    assert_eq!(saved.status.as_u16(), 201, "{}", saved.text());
    assert_eq!(saved.json()["size"], 2);
    let mut live = swimmers("live");
    live["name"] = json!("now");
    assert_eq!(club.post("/v1/cohorts", &token, &live).await.json()["size"], 2);
    let of = |name: &str, op: &str| json!({"cohort": name, "op": op});
    assert_eq!(club.count(&token, json!({"cohort": "swimmers"})).await, 2);
    assert_eq!(club.count(&token, of("swimmers", "not_in")).await, 0);
    let rows = visit(4, 13, "sauna");
    assert_eq!(club.post("/v1/tables/visits/rows", &admin(), &rows).await.json()["accepted"], 1);
    assert_eq!(club.count(&token, of("swimmers", "not_in")).await, 1);
    assert_eq!(club.count(&token, of("now", "in")).await, 2);
    let rows = visit(5, 13, "swim");
    assert_eq!(club.post("/v1/tables/visits/rows", &admin(), &rows).await.json()["accepted"], 1);
    // What was kept of the questions before rests on the cohort's tables, too.
    assert_eq!(club.count(&token, of("swimmers", "in")).await, 2);
    assert_eq!(club.count(&token, of("now", "in")).await, 4);
    assert_eq!(club.get("/v1/cohorts/now", &token).await.json()["size"], 3);
    assert_eq!(club.get("/v1/cohorts/swimmers", &token).await.json()["size"], 2);
    let either = json!({"any": [{"cohort": "swimmers"}, {"prop": "kind", "value": "sauna"}]});
    assert_eq!(club.count(&token, either).await, 3);
}

#[tokio::test]
async fn who_is_behind_a_number_is_who_a_cohort_of_it_would_have() {
    let club = Club::open().await;
    let mut asked = swimmers("static");
    asked.as_object_mut().unwrap().retain(|name, _| name == "query" || name == "from");
    let told = club.post("/v1/members", &owner(1), &asked).await.json();
    assert_eq!(
        (&told["members"], &told["total"], &told["type"]),
        (&json!([11, 12]), &json!(2), &json!("int"))
    );
    assert_eq!(club.post("/v1/members", &owner(2), &asked).await.json()["total"], 0);
    asked["limit"] = json!(1);
    let all = club.post("/v1/members", &admin(), &asked).await.json();
    assert_eq!((&all["members"], &all["total"]), (&json!([{"tenant": "1", "actor": 11}]), &json!(2)));
    asked["limit"] = json!(-1);
    club.post("/v1/members", &owner(1), &asked).await.assert_problem(422, "query_invalid");
    let bad = json!({"query": {"kind": "lifecycle"}, "from": {"bucket": 99, "state": "new"}});
    club.post("/v1/members", &owner(1), &bad).await.assert_problem(422, "query_invalid");
    let nobody = token(json!({"role": "viewer"}));
    club.post("/v1/members", &nobody, &asked).await.assert_problem(403, "tenant_required");
}

#[tokio::test]
async fn a_cohort_is_seen_by_its_own_scope_alone() {
    let club = Club::open().await;
    club.post("/v1/cohorts", &owner(1), &swimmers("static")).await;
    let names = |answer: Answer| {
        let cohorts = answer.json()["cohorts"].clone();
        cohorts
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(club.get("/v1/cohorts", &owner(1)).await), ["swimmers"]);
    for other in [owner(2), admin()] {
        assert_eq!(names(club.get("/v1/cohorts", &other).await), Vec::<String>::new());
        club.get("/v1/cohorts/swimmers", &other).await.assert_problem(404, "cohort_unknown");
        club.delete("/v1/cohorts/swimmers", &other).await.assert_problem(404, "cohort_unknown");
        let refused = club.visits(&other, json!({"cohort": "swimmers"})).await;
        refused.assert_problem(422, "query_invalid");
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(
            detail.contains("filters[0].cohort: \"swimmers\" was given, and there is no such"),
            "{detail}"
        );
    }
    // One of the whole app knows its members by tenant.
    let whole = json!({"name": "swimmers", "query": {"kind": "churn"}});
    assert_eq!(club.post("/v1/cohorts", &admin(), &whole).await.json()["size"], 3);
    assert_eq!(club.count(&admin(), json!({"cohort": "swimmers"})).await, 3);
    assert_eq!(club.count(&owner(1), json!({"cohort": "swimmers"})).await, 2);
    assert_eq!(club.delete("/v1/cohorts/swimmers", &admin()).await.json()["deleted"], "swimmers");
    assert_eq!(names(club.get("/v1/cohorts", &admin()).await), Vec::<String>::new());
    assert_eq!(club.count(&owner(1), json!({"cohort": "swimmers"})).await, 2);
    club.get("/v1/cohorts", "").await.assert_problem(401, "token_missing");
}

#[tokio::test]
async fn a_bad_cohort_is_refused_with_the_path_of_the_field() {
    let club = Club::open().await;
    let token = owner(1);
    let check = async |body: Json, status: u16, code: &str, detail: &str| {
        let answer = club.post("/v1/cohorts", &token, &body).await;
        answer.assert_problem(status, code);
        let told = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(told.contains(detail), "{told}");
    };
    check(json!({"name": "a b", "query": {"kind": "churn"}}), 422, "query_invalid", "name: ").await;
    let unknown = json!({"name": "a", "query": {"kind": "churn", "filters": [{"prop": "x", "value": 1}]}});
    check(unknown, 422, "query_invalid", "query.filters[0].prop: ").await;
    let nested = json!({"name": "a", "query": {"kind": "churn", "filters": [{"cohort": "b"}]}});
    check(nested, 422, "query_invalid", "query.filters[0].cohort: ").await;
    let bucket = json!({"name": "a", "query": {"kind": "lifecycle"}, "from": {"bucket": 99, "state": "new"}});
    check(bucket, 422, "query_invalid", "from.bucket: 99 was given").await;
    let once = json!({"name": "a", "query": {"kind": "churn"}});
    assert_eq!(club.post("/v1/cohorts", &token, &once).await.status.as_u16(), 201);
    check(once, 409, "cohort_exists", "\"a\"").await;
    let by_kind = json!({"name": "kinds", "query": {"kind": "churn", "aggregate_by": "kind"}});
    assert_eq!(club.post("/v1/cohorts", &token, &by_kind).await.json()["size"], 1);
    let refused = club.visits(&token, json!({"cohort": "kinds"})).await;
    refused.assert_problem(422, "query_invalid");
    assert!(refused.text().contains("which holds values of"), "{}", refused.text());
    let query = json!({"kind": "stickiness", "from": "2026-01-01", "aggregate_by": "kind", "filters": [{"cohort": "kinds"}]});
    assert_eq!(club.post("/v1/query", &token, &query).await.json()["result"]["actors_total"], 1);
}

#[tokio::test]
async fn cohorts_that_name_one_another_end() {
    let club = Club::open().await;
    let token = owner(1);
    let behind = |name: &str, other: &str| {
        let query = json!({"kind": "churn", "filters": [{"cohort": other}]});
        json!({"name": name, "mode": "live", "query": query})
    };
    let first = json!({"name": "a", "mode": "live", "query": {"kind": "churn"}});
    assert_eq!(club.post("/v1/cohorts", &token, &first).await.status.as_u16(), 201);
    assert_eq!(club.post("/v1/cohorts", &token, &behind("b", "a")).await.json()["size"], 2);
    club.delete("/v1/cohorts/a", &token).await;
    club.visits(&token, json!({"cohort": "b"})).await.assert_problem(422, "query_invalid");
    // Now each stands behind the other.
    let mut again = behind("a", "b");
    club.post("/v1/cohorts", &token, &again).await.assert_problem(422, "query_invalid");
    again["query"]["filters"] = json!([]);
    assert_eq!(club.post("/v1/cohorts", &token, &again).await.status.as_u16(), 201);
    assert_eq!(club.count(&token, json!({"cohort": "b"})).await, 2);
}

#[tokio::test]
async fn no_statement_and_no_row_gets_to_where_cohorts_are_kept() {
    let club = Club::open().await;
    club.post("/v1/cohorts", &admin(), &json!({"name": "all", "query": {"kind": "churn"}})).await;
    for table in ["_cohorts", "_app_cohorts"] {
        let sql = json!({"sql": format!("SELECT * FROM {table}")});
        let refused = club.post("/v1/sql", &admin(), &sql).await;
        refused.assert_problem(422, "sql_invalid");
        assert!(!refused.text().contains("_app_cohorts\","), "{}", refused.text());
        let rows = club.post(&format!("/v1/tables/{table}/rows"), &admin(), &json!([])).await;
        rows.assert_problem(404, "table_unknown");
        let stream = club.post("/v1/query", &admin(), &json!({"kind": "churn", "stream": table})).await;
        stream.assert_problem(422, "query_invalid");
        assert!(
            stream.text().contains(r#"one of [\"clubs\", \"members\", \"visits\"]"#),
            "{}",
            stream.text()
        );
    }
    assert!(!club.get("/v1/schema", &admin()).await.text().contains("_cohorts"));
}

#[tokio::test]
async fn a_cohort_is_there_after_a_restart() {
    let disk = Arc::new(SimFs::new(1));
    let club = Club::of(recovering(Settings::default()));
    let store = store_on(disk.clone(), &[pack()]);
    assert!(club.server.opened(store).is_ok());
    let row = json!([{"id": 1, "name": "One"}]);
    club.post("/v1/tables/clubs/rows", &admin(), &row).await;
    club.post("/v1/tables/visits/rows", &admin(), &visit(1, 11, "swim")).await;
    assert_eq!(club.post("/v1/cohorts", &owner(1), &swimmers("static")).await.json()["size"], 1);
    let Club { server, router } = club;
    server.close().unwrap();
    drop((server, router));
    let club = Club::of(recovering(Settings::default()));
    assert!(club.server.opened(store_on(disk, &[pack()])).is_ok());
    assert_eq!(club.count(&owner(1), json!({"cohort": "swimmers"})).await, 1);
}

#[tokio::test]
async fn a_path_of_several_methods_names_them_all() {
    let club = Club::of(empty(Settings::default()));
    let answer = club.post("/v1/cohorts/a", &admin(), &json!({})).await;
    answer.assert_problem(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), "GET, HEAD, DELETE");
}

#[tokio::test]
async fn a_day_ends_where_the_question_says_that_it_is_asked() {
    let club = Club::open().await;
    let token = owner(1);
    // The last hour of the day in New York, and the first of the next in Tokyo.
    for (id, member, at) in [(60, 61, "2026-03-02T04:30:00Z"), (61, 62, "2026-03-01T15:30:00Z")] {
        let rows = json!([{"id": id, "club_id": 1, "member_id": member, "kind": "ski", "at": at}]);
        assert_eq!(club.post("/v1/tables/visits/rows", &admin(), &rows).await.json()["accepted"], 1);
    }
    for (zone, skiers) in [("America/New_York", 2), ("UTC", 1), ("Asia/Tokyo", 0)] {
        let query = json!({
            "kind": "stickiness", "entity": {"event": "ski"}, "from": "2026-01-01", "interval": "year", "as_of": "2026-03-01",
            "tz": zone,
        });
        let answer = club.post("/v1/query", &token, &query).await.json();
        let asked = json!({"query": query, "from": {"at_least": 1}});
        let members = club.post("/v1/members", &token, &asked).await.json();
        assert_eq!(
            (&members["as_of"], &members["total"]),
            (&answer["meta"]["as_of"], &json!(skiers)),
            "{zone}"
        );
        let cohort = json!({"name": format!("skiers_{skiers}"), "mode": "static", "query": query, "from": {"at_least": 1}});
        let saved = club.post("/v1/cohorts", &token, &cohort).await.json();
        assert_eq!((&saved["as_of"], &saved["size"]), (&answer["meta"]["as_of"], &json!(skiers)), "{zone}");
    }
}
