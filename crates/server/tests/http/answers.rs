//! The shapes of what is answered.

use axum::body::Body;
use axum::http::Method;
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn a_report_is_the_same_bytes_each_time_and_its_timings_travel_in_a_header() {
    let club = Club::open().await;
    let first = club.get("/club/visits?as_of=2026-02-28", &owner(1)).await;
    let second = club.get("/club/visits?as_of=2026-02-28", &owner(1)).await;
    assert_eq!(first.body, second.body);
    assert_eq!(first.header("content-type"), "application/json");
    assert!(first.header("server-timing").contains("total;dur="), "{:?}", first.headers);
    assert_eq!(
        first.json(),
        json!({
            "as_of": "2026-02-28T14:59:59.999999Z",
            "visits": [
                {"id": 1, "member_id": 11, "kind": "swim", "at": "2026-01-10T10:00:00Z"},
                {"id": 2, "member_id": 12, "kind": "swim", "at": "2026-02-10T01:00:00Z"},
            ],
        })
    );
}

#[tokio::test]
async fn rows_after_as_of_do_not_exist() {
    let club = Club::open().await;
    let check = |as_of: &'static str, visits: usize| {
        let club = &club;
        async move {
            let answer = club.get(&format!("/club/visits?as_of={as_of}"), &owner(1)).await;
            assert_eq!(answer.json()["visits"].as_array().unwrap().len(), visits, "{as_of}");
        }
    };
    check("2026-01-10T09:59:59.999999Z", 0).await;
    check("2026-01-10T10:00:00Z", 1).await;
    check("2026-01-10T19:00:00%2B09:00", 1).await;
    // A date is its end in Seoul, which is 15:00 in UTC.
    check("2026-01-09", 0).await;
    check("2026-01-10", 1).await;
    check("2026-02-10", 2).await;
}

#[tokio::test]
async fn a_list_is_also_csv_and_lines_of_json() {
    let club = Club::open().await;
    let csv = club.get("/club/visits?format=csv&limit=1", &owner(1)).await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"visits-2026-03-15T12-00-00Z.csv\"");
    assert_eq!(csv.text(), "id,member_id,kind,at\r\n1,11,swim,2026-01-10T10:00:00Z\r\n");
    let lines = club.get("/totals?format=ndjson&table=clubs", &admin()).await;
    assert_eq!(lines.header("content-type"), "application/x-ndjson");
    assert_eq!(lines.text(), "{\"id\":1,\"name\":\"One\"}\n{\"id\":2,\"name\":\"Two\"}\n");
    let formula = club.get("/totals?format=csv&table=members", &owner(1)).await;
    assert_eq!(formula.text(), "id,name\r\n11,'=Ann\r\n12,\r\n");
    let none = club.get("/club/visits?format=csv&as_of=2020-01-01", &owner(1)).await;
    assert_eq!(none.text(), "id,member_id,kind,at\r\n", "a list without rows keeps its columns");
    let unnamed = club.get("/totals?format=csv", &admin()).await;
    unnamed.assert_problem(422, "parameter_invalid");
    assert!(unnamed.text().contains("clubs, members"), "{}", unnamed.text());
}

#[tokio::test]
async fn a_behavioural_leaf_is_counted_by_the_apps_calendar() {
    let club = Club::open().await;
    let answer = club.get("/club/monthly?as_of=2026-03-15", &token(json!({"tenant": 1}))).await;
    assert_eq!(
        answer.json(),
        json!({"months": [{"month": "2026-01", "visits": 1}, {"month": "2026-02", "visits": 1}]}),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn a_query_comes_back_with_its_defaults_and_what_it_rests_on() {
    let club = Club::open().await;
    let query =
        json!({"kind": "trend", "stream": "visits", "entity": {}, "measure": "total", "interval": "all"});
    let answer = club.post("/v1/query", &owner(1), &query).await;
    assert!(answer.header("server-timing").contains("engine;dur="));
    let json = answer.json();
    assert_eq!(json["result"]["data"], json!([2]));
    assert_eq!(json["meta"]["as_of"], json!(NOW));
    assert_eq!((&json["meta"]["complete"], &json["meta"]["warnings"]), (&json!(true), &json!([])));
    assert!(json["meta"]["watermark"].as_u64().is_some_and(|watermark| watermark > 0), "{json}");
    assert_eq!(json["query"]["tz"], "Asia/Seoul");
    let again = club.post("/v1/query", &owner(1), &json["query"]).await;
    assert_eq!(again.body, answer.body, "the filled in query is the same question");
    let past = json!({"kind": "trend", "stream": "visits", "entity": {}, "measure": "total", "interval": "all", "as_of": "2026-01-10", "cache": false});
    let past = club.post("/v1/query", &owner(1), &past).await.json();
    assert_eq!(past["result"]["data"], json!([1]), "{past}");
    assert_eq!(past["meta"]["definition"], json["meta"]["definition"], "only as_of differs");
}

#[tokio::test]
async fn the_watermark_is_that_of_the_callers_own_rows_in_the_tables_that_were_read() {
    let analyst = token(json!({"role": "analyst", "tenant": 1}));
    let club = Club::open().await;
    let watermarks = || async {
        let query = json!({"kind": "trend", "stream": "visits", "entity": {}, "interval": "all"});
        let asked = club.post("/v1/query", &analyst, &query).await.json();
        let statement = json!({"sql": "SELECT count(*) AS n FROM visits"});
        let stated = club.post("/v1/sql", &analyst, &statement).await.json();
        [asked, stated].map(|answer| answer["meta"]["watermark"].as_u64().unwrap())
    };
    let before = watermarks().await;
    assert_eq!(before[0], before[1]);
    let visit =
        |tenant: i64| json!([{"id": 900, "club_id": tenant, "member_id": 1, "kind": "swim", "at": NOW}]);
    let stored = club.post("/v1/tables/visits/rows", &admin(), &visit(2)).await.json();
    assert_eq!(stored["accepted"], 1, "{stored}");
    assert_eq!(watermarks().await, before, "another tenant's write is not told");
    let stored = club.post("/v1/tables/visits/rows", &admin(), &visit(1)).await.json();
    assert_eq!(stored["accepted"], 1, "{stored}");
    let after = watermarks().await;
    assert!(after[0] > before[0] && after[0] == after[1], "{before:?} then {after:?}");
}

#[tokio::test]
async fn a_statement_gives_columns_with_types_and_rows_and_binds_its_parameters() {
    let club = Club::open().await;
    let body = json!({
        "sql": "SELECT id, at, $text AS text FROM visits WHERE id = $id",
        "params": {"id": 2, "text": "'; DROP TABLE visits; --"},
    });
    let answer = club.post("/v1/sql", &token(json!({"role": "analyst", "tenant": 1})), &body).await;
    let json = answer.json();
    assert_eq!(
        json["columns"],
        json!([{"name": "id", "type": "int"}, {"name": "at", "type": "timestamp"}, {"name": "text", "type": "text"}])
    );
    assert_eq!(
        json["rows"],
        json!([{"id": 2, "at": "2026-02-10T01:00:00Z", "text": "'; DROP TABLE visits; --"}])
    );
    assert_eq!(json["meta"]["as_of"], json!(NOW));
    let past = json!({"sql": "SELECT count(*) AS n FROM visits", "as_of": "2026-01-10"});
    assert_eq!(club.post("/v1/sql", &admin(), &past).await.json()["rows"], json!([{"n": 1}]));
}

#[tokio::test]
async fn the_schema_shows_the_reports_that_the_caller_may_call() {
    let club = Club::open().await;
    let reports = |answer: Answer| -> Vec<(String, Vec<String>)> {
        let json = answer.json();
        let texts = |json: &serde_json::Value| -> Vec<String> {
            json.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        let report = |report: &serde_json::Value| {
            (report["name"].as_str().unwrap().to_owned(), texts(&report["routes"]))
        };
        json["reports"].as_array().unwrap().iter().map(report).collect()
    };
    let named = |name: &str, routes: &[&str]| {
        (name.to_owned(), routes.iter().map(|route| (*route).to_owned()).collect::<Vec<_>>())
    };
    let admins = reports(club.get("/v1/schema", &admin()).await);
    assert_eq!(admins, [named("visits", &["/admin/clubs/{club_id}/visits"]), named("totals", &["/totals"])]);
    let owners = reports(club.get("/v1/schema", &owner(1)).await);
    assert_eq!(
        owners,
        [
            named("visits", &["/club/visits"]),
            named("totals", &["/totals"]),
            named("monthly", &["/club/monthly"])
        ]
    );
    assert_eq!(reports(club.get("/v1/schema", &token(json!({}))).await), []);
    let json = club.get("/v1/schema", &owner(1)).await.json();
    assert_eq!((&json["app"], &json["timezone"]), (&json!("club"), &json!("Asia/Seoul")));
    let visits = &json["tables"][2];
    assert_eq!(
        (&visits["name"], &visits["kind"], &visits["time"]),
        (&json!("visits"), &json!("events"), &json!("at"))
    );
    assert_eq!(visits["columns"][0], json!({"name": "id", "type": "int", "nullable": false}));
}

#[tokio::test]
async fn a_head_request_has_the_headers_and_no_body() {
    let club = Club::open().await;
    let answer = club.send(request(Method::HEAD, "/club/visits", &owner(1), Body::empty())).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
    assert_eq!(answer.header("content-type"), "application/json");
}
