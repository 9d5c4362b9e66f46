//! Every input that is refused, and how.

use axum::body::Body;
use axum::http::{Method, Request, header};
use ebbtide_server::Settings;
use futures::stream;
use serde_json::{Value as Json, json};

use crate::support::*;

#[tokio::test]
async fn a_bad_parameter_is_named_with_what_was_given_and_what_is_allowed() {
    let club = Club::open().await;
    for (query, name, given) in [
        ("limit=0", "limit", "0"),
        ("limit=101", "limit", "101"),
        ("limit=ten", "limit", "ten"),
        ("limit=5.5", "limit", "5.5"),
        ("limit=", "limit", ""),
        ("limit=3&limit=0", "limit", "0"),
        ("as_of=yesterday", "as_of", "yesterday"),
        ("as_of=2026-02-30", "as_of", "2026-02-30"),
        ("as_of=1709164800", "as_of", "1709164800"),
        ("as_of=", "as_of", ""),
        ("format=xml", "format", "xml"),
        ("format=CSV", "format", "CSV"),
        ("format=csv&table=nothing", "table", "nothing"),
        ("table=nothing", "table", "nothing"),
    ] {
        let answer = club.get(&format!("/club/visits?{query}"), &owner(1)).await;
        answer.assert_problem(422, "parameter_invalid");
        let json = answer.json();
        let detail = json["detail"].as_str().unwrap();
        for part in [name, &format!("{given:?}"), "allowed is"] {
            assert!(detail.contains(part), "{query}: {detail}");
        }
    }
    let answer = club.get("/admin/clubs/abc/visits", &admin()).await;
    assert!(answer.json()["detail"].as_str().unwrap().contains("club_id: \"abc\""), "{}", answer.text());
    club.get("/admin/clubs/%ff/visits", &admin()).await.assert_problem(422, "parameter_invalid");
    club.post("/v1/tables/%ff/rows", &admin(), &json!([])).await.assert_problem(422, "parameter_invalid");
}

#[tokio::test]
async fn unknown_parameters_are_ignored_and_the_last_of_several_counts() {
    let club = Club::open().await;
    let plain = club.get("/club/visits?limit=1", &owner(1)).await;
    assert_eq!(plain.json()["visits"].as_array().unwrap().len(), 1);
    let noisy = club.get("/club/visits?limit=0&colour=red&limit=1&x=%ff", &owner(1)).await;
    assert_eq!(noisy.body, plain.body, "{}", noisy.text());
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_problems_too() {
    let club = Club::open().await;
    for path in ["/nowhere", "/club", "/club/visits/", "/v1", "/v1/tables/visits"] {
        club.get(path, &admin()).await.assert_problem(404, "path_unknown");
    }
    let check = |method: Method, path: &'static str, allowed: &'static str| {
        let club = &club;
        async move {
            let answer = club.send(request(method, path, &admin(), Body::empty())).await;
            answer.assert_problem(405, "method_not_allowed");
            assert_eq!(answer.header("allow"), allowed, "{path}");
        }
    };
    check(Method::POST, "/club/visits", "GET, HEAD").await;
    check(Method::DELETE, "/healthz", "GET, HEAD").await;
    check(Method::GET, "/v1/query", "POST").await;
    check(Method::PUT, "/v1/tables/visits/rows", "POST").await;
    check(Method::from_bytes(b"BREW").unwrap(), "/v1/sql", "POST").await;
}

#[tokio::test]
async fn a_body_must_be_json_of_a_size_and_depth() {
    let settings = quick(|settings| {
        settings.body_bytes_max = 2_000;
        settings.bodies_bytes_max = 2_000;
        settings.question_bytes_max = 2_000;
        settings.rows_max = 2;
    });
    let club = Club::of(empty(settings));
    let path = "/v1/tables/clubs/rows";
    let check = |body: String, status: u16, code: &'static str| {
        let club = &club;
        async move {
            for path in [path, "/v1/query", "/v1/sql"] {
                club.post_raw(path, &admin(), body.clone()).await.assert_problem(status, code);
            }
        }
    };
    check(String::new(), 422, "json_invalid").await;
    check("[".to_owned(), 422, "json_invalid").await;
    check("[1,]".to_owned(), 422, "json_invalid").await;
    check("[] []".to_owned(), 422, "json_invalid").await;
    check("[\"\u{0}\"]".to_owned(), 422, "json_invalid").await;
    check("[".repeat(200) + &"]".repeat(200), 422, "json_invalid").await;
    check(format!("[\"{}\"]", "x".repeat(2_000)), 413, "body_too_large").await;
    club.post_raw(path, &admin(), vec![b'[', b'"', 0xff, b'"', b']'])
        .await
        .assert_problem(422, "json_invalid");
    club.post_raw(path, &admin(), "{}").await.assert_problem(422, "body_invalid");
    club.post_raw(path, &admin(), "[{},{},{}]").await.assert_problem(413, "body_too_large");
}

#[tokio::test]
async fn a_body_without_a_length_is_counted_as_it_comes() {
    let settings = quick(|settings| settings.body_bytes_max = 1_000);
    let club = Club::of(empty(settings));
    let chunks = stream::repeat_with(|| Ok::<_, std::io::Error>("[".repeat(100)));
    let body = Body::from_stream(chunks);
    club.post_raw("/v1/tables/clubs/rows", &admin(), body).await.assert_problem(413, "body_too_large");
    let broken = stream::iter([Ok("[1".to_owned()), Err(std::io::Error::other("gone"))]);
    let answer = club.post_raw("/v1/tables/clubs/rows", &admin(), Body::from_stream(broken)).await;
    answer.assert_problem(422, "json_invalid");
}

#[tokio::test]
async fn bodies_share_a_budget() {
    let settings = quick(|settings| {
        settings.body_bytes_max = 100;
        settings.bodies_bytes_max = 100;
    });
    let club = Club::of(empty(settings));
    // 80 bytes come, and the rest never does.
    let (sender, held) = tokio::sync::mpsc::channel::<Result<String, std::io::Error>>(1);
    let body = Body::from_stream(stream::unfold(held, |mut held| async move {
        held.recv().await.map(|chunk| (chunk, held))
    }));
    let waiting = tokio::spawn({
        let router = club.router.clone();
        async move { tower::ServiceExt::oneshot(router, request(Method::POST, "/v1/sql", &admin(), body)).await }
    });
    sender.send(Ok(" ".repeat(80))).await.unwrap();
    // The channel holds one chunk: once a second one fits, the first has been taken.
    sender.send(Ok(String::new())).await.unwrap();
    sender.send(Ok(String::new())).await.unwrap();
    let refused = club.post_raw("/v1/sql", &admin(), " ".repeat(80)).await;
    refused.assert_problem(503, "overloaded");
    assert_eq!(refused.header("retry-after"), "1");
    drop(sender);
    assert_eq!(waiting.await.unwrap().unwrap().status(), 422);
    club.post_raw("/v1/sql", &admin(), " ".repeat(80)).await.assert_problem(422, "json_invalid");
}

#[tokio::test]
async fn only_plain_json_is_taken() {
    let club = Club::open().await;
    let check = |name: header::HeaderName, value: &'static str, status: u16| {
        let club = &club;
        async move {
            let mut request = request(Method::POST, "/v1/tables/clubs/rows", &admin(), Body::from("[]"));
            request.headers_mut().insert(name, value.parse().unwrap());
            let answer = club.send(request).await;
            assert_eq!(answer.status.as_u16(), status, "{value}: {}", answer.text());
            if status != 200 {
                answer.assert_problem(415, "media_type");
            }
        }
    };
    check(header::CONTENT_TYPE, "application/json; charset=utf-8", 200).await;
    check(header::CONTENT_TYPE, "Application/JSON", 200).await;
    check(header::CONTENT_TYPE, "text/csv", 415).await;
    check(header::CONTENT_TYPE, "application/x-www-form-urlencoded", 415).await;
    check(header::CONTENT_TYPE, "", 415).await;
    check(header::CONTENT_ENCODING, "gzip", 415).await;
    check(header::CONTENT_ENCODING, "identity", 200).await;
}

#[tokio::test]
async fn a_query_at_fault_names_its_field() {
    let club = Club::open().await;
    let check = |body: Json, path: &'static str| {
        let club = &club;
        async move {
            let answer = club.post("/v1/query", &owner(1), &body).await;
            answer.assert_problem(422, "query_invalid");
            let detail = answer.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.starts_with(path), "{body}: {detail}");
        }
    };
    check(json!([]), "(the whole): ").await;
    check(json!({}), "kind: ").await;
    check(json!({"kind": "guess"}), "kind: ").await;
    check(json!({"kind": "trend", "entity": {}, "measure": "total", "colour": 1}), "colour: ").await;
    check(json!({"kind": "trend", "entity": {"where": [{"prop": "x", "op": "eq", "value": 1}]}, "measure": "total"}), "entity.where").await;
    check(json!({"kind": "trend", "stream": "nowhere", "entity": {}, "measure": "total"}), "stream: ").await;
    check(json!({"kind": "trend", "entity": {}, "measure": "total", "as_of": "yesterday"}), "as_of: ").await;
    check(json!({"kind": "trend", "entity": {}, "measure": "total", "tz": "Mars/Olympus"}), "tz: ").await;
}

#[tokio::test]
async fn sql_reads_and_nothing_else() {
    let club = Club::open().await;
    for statement in [
        "INSERT INTO visits VALUES (1)",
        "DELETE FROM visits",
        "DROP TABLE visits",
        "CREATE TABLE x AS SELECT 1",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        "COPY visits TO '/tmp/ebbtide-stolen.csv'",
        "SET datafusion.execution.batch_size = 1",
        "SELECT 1; SELECT 2",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM nowhere",
        "SELECT nothing FROM visits",
        "SELEKT 1",
        "",
        "SELECT $missing",
    ] {
        let answer = club.post("/v1/sql", &admin(), &json!({"sql": statement})).await;
        answer.assert_problem(422, "sql_invalid");
        assert!(!answer.text().contains("root:"), "{}", answer.text());
    }
    assert_eq!(club.get("/totals", &admin()).await.json()["visits"], json!(3), "nothing was harmed");
}

#[tokio::test]
async fn a_statement_at_fault_by_its_shape_names_its_field() {
    let club = Club::open().await;
    for (body, field) in [
        (json!([]), "(the whole)"),
        (json!({}), "sql: "),
        (json!({"sql": 1}), "sql: "),
        (json!({"sql": "SELECT 1", "params": []}), "params: "),
        (json!({"sql": "SELECT $a", "params": {"a": [1]}}), "params.a: "),
        (json!({"sql": "SELECT $a", "params": {"a": u64::MAX}}), "params.a: "),
        (json!({"sql": "SELECT 1", "as_of": "yesterday"}), "as_of: "),
        (json!({"sql": "SELECT 1", "paramz": {}}), "paramz: "),
    ] {
        let answer = club.post("/v1/sql", &admin(), &body).await;
        answer.assert_problem(422, "body_invalid");
        assert!(answer.json()["detail"].as_str().unwrap().starts_with(field), "{}", answer.text());
    }
}

#[tokio::test]
async fn an_answer_past_a_limit_is_refused_rather_than_cut() {
    let settings = quick(|settings| settings.sql_limits.rows_max = 2);
    let club = Club::of(empty(settings));
    let rows =
        |n: usize| json!({"sql": format!("SELECT * FROM (VALUES {}) AS t(x)", vec!["(1)"; n].join(","))});
    assert_eq!(club.post("/v1/sql", &admin(), &rows(2)).await.json()["rows"].as_array().unwrap().len(), 2);
    club.post("/v1/sql", &admin(), &rows(3)).await.assert_problem(413, "too_large");
}

#[tokio::test]
async fn a_request_id_is_echoed_where_it_is_plain_and_made_where_it_is_not() {
    let club = Club::of(recovering(Settings::default()));
    let ask = |id: &'static str| {
        let club = &club;
        async move {
            let request =
                Request::builder().uri("/nowhere").header("x-request-id", id).body(Body::empty()).unwrap();
            let answer = club.send(request).await;
            answer.assert_problem(404, "path_unknown");
            answer.header("x-request-id").to_owned()
        }
    };
    assert_eq!(ask("abc-123").await, "abc-123");
    let (first, second) = (ask("two words").await, ask("\"quoted\"").await);
    assert!(first != second && first.len() == 24, "{first} {second}");
}
