//! Who may ask what, and in which order that is checked.

use axum::body::Body;
use axum::http::{Method, Request, header};
use serde_json::{Value as Json, json};

use crate::support::*;

#[tokio::test]
async fn each_kind_of_bad_token_has_a_code_of_its_own() {
    let club = Club::open().await;
    let past = now().micros() / 1_000_000 - 7_200;
    let signed_by_another = token_of(b"another secret of forty bytes, or nearly.", json!({"role": "admin"}));
    for (given, code) in [
        (String::new(), "token_missing"),
        ("not.a.token".to_owned(), "token_invalid"),
        (signed_by_another, "token_invalid"),
        (format!("eyJhbGciOiJub25lIn0.{}.", admin().split('.').nth(1).unwrap()), "token_invalid"),
        (token(json!({"role": "admin", "exp": past})), "token_expired"),
        (token(json!({"role": "admin", "nbf": past + 90_000})), "token_early"),
        (token(json!({"role": "admin", "tenant": [1]})), "token_claims"),
        (token(json!({"role": "admin", "exp": null})), "token_claims"),
        (token(json!({"role": "admin", "aud": "other"})), "token_audience"),
    ] {
        for path in ["/admin/clubs/1/visits", "/club/visits", "/v1/schema"] {
            let answer = club.get(path, &given).await;
            answer.assert_problem(401, code);
            assert!(answer.header("www-authenticate").starts_with("Bearer"), "{code}");
        }
    }
}

#[tokio::test]
async fn checks_come_in_the_order_that_clients_rely_on() {
    let club = Club::open().await;
    let owner_of_none = token(json!({"role": "owner"}));
    let viewer = token(json!({"role": "viewer", "tenant": 1}));
    let owner_of_unknown = owner(999);
    let bad = "limit=0&as_of=yesterday";
    let check = |path: String, given: &str, status: u16, code: &'static str| {
        let (club, given) = (&club, given.to_owned());
        async move { club.get(&path, &given).await.assert_problem(status, code) }
    };
    // All that can be wrong is wrong; each line mends one thing more.
    check(format!("/admin/clubs/abc/visits?{bad}"), "", 401, "token_missing").await;
    check(format!("/admin/clubs/abc/visits?{bad}"), &owner(1), 403, "role_forbidden").await;
    check(format!("/admin/clubs/999/visits?{bad}"), &admin(), 422, "parameter_invalid").await;
    check("/admin/clubs/999/visits".to_owned(), &admin(), 404, "tenant_unknown").await;
    check(format!("/club/visits?{bad}"), &viewer, 403, "role_forbidden").await;
    check(format!("/club/visits?{bad}"), &owner_of_none, 403, "tenant_required").await;
    check(format!("/club/visits?{bad}"), &owner_of_unknown, 422, "parameter_invalid").await;
    check("/club/visits".to_owned(), &owner_of_unknown, 404, "tenant_unknown").await;
    check("/club/visits?format=xml".to_owned(), &owner_of_unknown, 422, "parameter_invalid").await;
    // The role comes before the tenant, even for one's own.
    check("/admin/clubs/1/visits".to_owned(), &owner(1), 403, "role_forbidden").await;
    check("/club/visits".to_owned(), &admin(), 403, "tenant_required").await;
}

#[tokio::test]
async fn a_body_is_looked_at_only_once_the_caller_may_send_it() {
    let club = Club::open().await;
    let path = "/v1/tables/nowhere/rows";
    let viewer = token(json!({"role": "viewer", "tenant": 1}));
    club.post_raw(path, "", "no json").await.assert_problem(401, "token_missing");
    club.post_raw(path, &viewer, "no json").await.assert_problem(403, "role_forbidden");
    club.post_raw(path, &admin(), "no json").await.assert_problem(422, "json_invalid");
    club.post_raw(path, &admin(), "[]").await.assert_problem(404, "table_unknown");
    club.post_raw("/v1/sql", &viewer, "no json").await.assert_problem(403, "role_forbidden");
    let analyst = token(json!({"role": "analyst"}));
    club.post_raw("/v1/sql", &analyst, "no json").await.assert_problem(403, "tenant_required");
    club.post_raw("/v1/query", &token(json!({"role": "viewer"})), "no json")
        .await
        .assert_problem(403, "tenant_required");
}

#[tokio::test]
async fn a_tenant_sees_its_own_rows_by_every_way_and_an_admin_those_of_all() {
    let club = Club::open().await;
    let analyst = |tenant: u32| token(json!({"role": "analyst", "tenant": tenant}));
    let trend =
        json!({"kind": "trend", "stream": "visits", "entity": {}, "measure": "total", "interval": "all"});
    let sql = json!({"sql": "SELECT id FROM visits ORDER BY id"});
    let ids = |answer: &Answer, list: &str| -> Vec<i64> {
        let json = answer.json();
        json[list].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
    };
    for (club_id, want) in [(1, vec![1, 2]), (2, vec![3])] {
        let named = club.get(&format!("/admin/clubs/{club_id}/visits"), &admin()).await;
        assert_eq!(ids(&named, "visits"), want);
        let own = club.get("/club/visits", &owner(club_id)).await;
        assert_eq!(own.body, named.body, "the same answer for the same club");
        assert_eq!(ids(&club.post("/v1/sql", &analyst(club_id), &sql).await, "rows"), want);
        let counted = club.post("/v1/query", &owner(club_id), &trend).await;
        assert_eq!(counted.json()["result"]["data"], json!([want.len()]), "{}", counted.text());
        assert_eq!(club.get("/totals", &owner(club_id)).await.json()["visits"], json!(want.len()));
    }
    assert_eq!(ids(&club.post("/v1/sql", &admin(), &sql).await, "rows"), [1, 2, 3]);
    assert_eq!(club.post("/v1/query", &admin(), &trend).await.json()["result"]["data"], json!([3]));
    assert_eq!(club.get("/totals", &admin()).await.json()["visits"], json!(3));
}

#[tokio::test]
async fn nothing_that_one_tenant_sends_brings_anothers_rows_or_names() {
    let club = Club::open().await;
    let analyst = token(json!({"role": "analyst", "tenant": 1}));
    let own_admin = token(json!({"role": "admin", "tenant": 1}));
    let sql = |text: &str| json!({"sql": text});
    let answers = [
        club.get("/club/visits?club_id=2&tenant=2&app=other", &owner(1)).await,
        club.get("/admin/clubs/2/visits", &own_admin).await,
        club.get("/totals?format=csv&table=members", &owner(1)).await,
        club.post("/v1/sql", &analyst, &sql("SELECT * FROM members WHERE club_id = 2 OR TRUE")).await,
        club.post("/v1/sql", &analyst, &sql("SELECT CAST(name AS int) FROM members")).await,
        club.post("/v1/sql", &analyst, &sql("SELECT * FROM information_schema.tables")).await,
        club.post("/v1/sql", &analyst, &sql("EXPLAIN ANALYZE SELECT * FROM members")).await,
        club.post(
            "/v1/tables/members/rows",
            &own_admin,
            &json!([{"id": 21, "club_id": 1, "joined_at": "2026-01-01"}, {"id": 21, "joined_at": "2026-01-01"}]),
        )
        .await,
        club.get("/v1/schema", &owner(1)).await,
    ];
    for answer in answers {
        assert!(!answer.text().contains("Secret Bob"), "{}", answer.text());
    }
    club.get("/admin/clubs/2/visits", &own_admin).await.assert_problem(404, "tenant_unknown");
    assert_eq!(club.get("/admin/clubs/1/visits", &own_admin).await.status, 200);
}

#[tokio::test]
async fn another_tenant_and_an_unknown_one_are_answered_alike() {
    let club = Club::open().await;
    let own_admin = token(json!({"role": "admin", "tenant": 1}));
    let body = |answer: Answer| {
        let mut json = answer.json();
        json["request_id"] = Json::Null;
        json
    };
    let others = body(club.get("/admin/clubs/2/visits", &own_admin).await);
    assert_eq!(others, body(club.get("/admin/clubs/999/visits", &own_admin).await));
    assert_eq!(others, body(club.get("/admin/clubs/999/visits", &admin()).await));
}

#[tokio::test]
async fn the_token_says_which_app_is_meant_and_a_path_belongs_to_one() {
    let mut other = pack();
    other.schema.app = ebbtide_model::AppName::new("gym");
    other.reports.clear();
    let server = start(vec![pack(), other.clone()], ebbtide_server::Settings::default()).unwrap();
    assert!(server.opened(memory_store(&[pack(), other])).is_ok());
    let club = Club::of(server);
    let both = token(json!({"aud": ["club", "gym"], "role": "admin"}));
    let gym = token(json!({"aud": "gym", "role": "admin"}));
    assert_eq!(club.get("/v1/schema", &gym).await.json()["app"], "gym");
    assert_eq!(club.get("/v1/schema", &admin()).await.json()["app"], "club");
    club.get("/v1/schema", &both).await.assert_problem(422, "app_ambiguous");
    assert_eq!(club.get("/v1/schema?app=gym", &both).await.json()["app"], "gym");
    club.get("/v1/schema?app=gym", &admin()).await.assert_problem(401, "token_audience");
    club.get("/totals", &gym).await.assert_problem(401, "token_audience");
    assert_eq!(club.get("/totals", &both).await.status, 200);
    // Rows of one app are none of the other's.
    let sent = club.post("/v1/tables/clubs/rows", &gym, &json!([{"id": 5, "name": "Gym"}])).await;
    assert_eq!(sent.json()["accepted"], 1);
    assert_eq!(club.get("/totals", &admin()).await.json()["clubs"], json!([]));
}

#[tokio::test]
async fn several_authorization_headers_are_refused() {
    let club = Club::open().await;
    let request = Request::builder()
        .method(Method::GET)
        .uri("/club/visits")
        .header(header::AUTHORIZATION, format!("Bearer {}", owner(1)))
        .header(header::AUTHORIZATION, format!("Bearer {}", owner(2)))
        .body(Body::empty())
        .unwrap();
    club.send(request).await.assert_problem(401, "token_invalid");
}
