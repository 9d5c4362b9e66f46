//! Write keys: who makes them, and what they open.

use axum::body::Body;
use axum::http::Method;
use ebbtide_model::pack::Pack;
use ebbtide_server::Settings;
use ebbtide_server::apps::bundled;
use serde_json::{Value as Json, json};

use crate::support::*;

/// A server of the packs `product` and that of the clubs.
fn both() -> Club {
    let product = Pack::parse(bundled("product").unwrap()).unwrap();
    let packs = vec![product, pack()];
    let server = start(packs.clone(), Settings::default()).unwrap();
    assert!(server.opened(memory_store(&packs)).is_ok());
    Club::of(server)
}

fn admin_of(tenant: Option<&str>) -> String {
    token(json!({"aud": "product", "role": "admin", "tenant": tenant}))
}

async fn made(club: &Club, token: &str, body: Json) -> (String, String) {
    let answer = club.post("/v1/keys", token, &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let json = answer.json();
    (json["id"].as_str().unwrap().to_owned(), json["key"].as_str().unwrap().to_owned())
}

async fn revoke(club: &Club, token: &str, id: &str) -> Answer {
    club.send(request(Method::DELETE, &format!("/v1/keys/{id}"), token, Body::empty())).await
}

#[tokio::test]
async fn a_write_key_captures_for_its_tenant_and_opens_nothing_else() {
    let club = both();
    let (_, key) = made(&club, &admin_of(None), json!({"tenant": "acme", "name": "web"})).await;
    assert!(key.starts_with("ewk_"), "{key}");
    let event = json!({"event": "view", "actor": "ann", "props": {"url": "/"}});
    let answer = club.post("/v1/capture", &key, &event).await;
    assert_eq!(answer.json()["accepted"], json!(1), "{}", answer.text());
    assert_eq!(club.post("/v1/actors", &key, &json!({"actor": "ann"})).await.status, 200);
    assert_eq!(club.post("/v1/alias", &key, &json!({"alias": "x", "actor": "ann"})).await.status, 200);
    let answer =
        club.post("/v1/capture", &key, &json!({"event": "a", "actor": "b", "tenant": "globex"})).await;
    assert_eq!(answer.json()["rejected"][0]["code"], json!("tenant_foreign"));

    for path in ["/v1/schema", "/v1/keys"] {
        club.get(path, &key).await.assert_problem(403, "forbidden");
    }
    for path in ["/v1/query", "/v1/sql", "/v1/tables/events/rows", "/v1/tables/aliases/rows", "/v1/keys"] {
        club.post(path, &key, &json!({})).await.assert_problem(403, "forbidden");
    }
    revoke(&club, &key, "0123").await.assert_problem(403, "forbidden");
    // Reports of another app are another app's.
    club.get("/totals", &key).await.assert_problem(401, "token_audience");
    club.post("/v1/capture?app=club", &key, &event).await.assert_problem(401, "token_audience");
}

#[tokio::test]
async fn a_key_that_is_unknown_or_revoked_is_no_token() {
    let club = both();
    let (id, key) = made(&club, &admin_of(None), json!({"tenant": "acme"})).await;
    let event = json!({"event": "view", "actor": "ann"});
    let check = async |token: &str| {
        club.post("/v1/capture", token, &event).await.assert_problem(401, "token_invalid");
        club.post("/v1/query", token, &event).await.assert_problem(401, "token_invalid");
    };
    check("ewk_").await;
    check(&format!("{key}A")).await;
    check(&key[..key.len() - 1]).await;
    assert_eq!(club.post("/v1/capture", &key, &event).await.status, 200);
    let ended = revoke(&club, &admin_of(None), &id).await;
    assert_eq!((ended.status.as_u16(), &ended.json()["id"]), (200, &json!(id)));
    check(&key).await;
    revoke(&club, &admin_of(None), &id).await.assert_problem(404, "not_found");
}

#[tokio::test]
async fn an_admin_of_a_tenant_knows_its_own_keys_alone() {
    let club = both();
    let (acme, _) = made(&club, &admin_of(Some("acme")), json!({})).await;
    let (globex, key) = made(&club, &admin_of(None), json!({"tenant": "globex", "name": "web"})).await;
    let ids = async |token: &str| {
        let answer = club.get("/v1/keys", token).await;
        assert!(!answer.text().contains("ewk_") && !answer.text().contains("hash"), "{}", answer.text());
        let json = answer.json();
        let mut ids: Vec<String> = json["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["id"].as_str().unwrap().to_owned())
            .collect();
        ids.sort_unstable();
        ids
    };
    let mut both_ids = vec![acme.clone(), globex.clone()];
    both_ids.sort_unstable();
    assert_eq!(ids(&admin_of(None)).await, both_ids);
    assert_eq!(ids(&admin_of(Some("acme"))).await, [acme.as_str()]);
    // To another app's admin there are none.
    let other = token(json!({"role": "admin"}));
    assert_eq!(ids(&other).await, [""; 0]);
    revoke(&club, &admin_of(Some("acme")), &globex).await.assert_problem(404, "not_found");
    revoke(&club, &other, &globex).await.assert_problem(404, "not_found");
    assert_eq!(club.post("/v1/capture", &key, &json!([])).await.status, 200);
}

#[tokio::test]
async fn a_key_is_made_by_admins_for_one_tenant() {
    let club = both();
    let check = async |token: &str, body: Json, status: u16, code: &str| {
        club.post("/v1/keys", token, &body).await.assert_problem(status, code);
    };
    check("", json!({"tenant": "acme"}), 401, "token_missing").await;
    let writer = token(json!({"aud": "product", "role": "writer", "tenant": "acme"}));
    check(&writer, json!({}), 403, "role_forbidden").await;
    check(&admin_of(None), json!({}), 422, "body_invalid").await;
    check(&admin_of(None), json!({"tenant": ""}), 422, "body_invalid").await;
    check(&admin_of(None), json!({"tenant": 7}), 422, "body_invalid").await;
    check(&admin_of(None), json!({"tenant": "a", "nam": "x"}), 422, "body_invalid").await;
    check(&admin_of(None), json!({"tenant": "a", "name": "x".repeat(101)}), 422, "body_invalid").await;
    check(&admin_of(Some("acme")), json!({"tenant": "globex"}), 403, "forbidden").await;
    made(&club, &admin_of(Some("acme")), json!({"tenant": "acme"})).await;
    club.send(request(Method::PUT, "/v1/keys", &admin_of(None), Body::empty()))
        .await
        .assert_problem(405, "method_not_allowed");
}

/// As a page sends it when it is left.
async fn beacon(club: &Club, origin: &str, body: &Json) -> Answer {
    let request = axum::http::Request::builder()
        .method(Method::POST)
        .uri("/v1/beacon")
        .header("content-type", "text/plain;charset=UTF-8")
        .header("origin", origin)
        .header("host", "analytics.example")
        .body(Body::from(body.to_string()))
        .unwrap();
    club.send(request).await
}

#[tokio::test]
async fn a_beacon_brings_its_key_with_what_it_tells() {
    let club = both();
    let (_, key) = made(&club, &admin_of(None), json!({"tenant": "acme"})).await;
    let own = "https://analytics.example";
    let body = json!({
        "key": key,
        "events": [{"event": "view", "actor": "x1", "event_id": "e1"}, {"event": "view"}],
        "actors": [{"actor": "ann", "props": {"plan": "pro"}}],
        "aliases": [{"alias": "x1", "actor": "ann"}],
    });
    let answer = beacon(&club, own, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let told = answer.json();
    assert_eq!(
        (&told["events"]["accepted"], &told["events"]["rejected"][0]["index"]),
        (&json!(1), &json!(1))
    );
    assert_eq!((&told["actors"]["accepted"], &told["aliases"]["accepted"]), (&json!(1), &json!(1)));
    // Sent again, since nobody heard the answer.
    let again = beacon(&club, own, &json!({"key": key, "events": body["events"]})).await.json();
    assert_eq!((&again["events"]["accepted"], &again["events"]["duplicates"]), (&json!(0), &json!(1)));
    assert_eq!(again.get("actors"), None);
}

#[tokio::test]
async fn a_beacon_is_taken_of_write_keys_and_origins_that_may_call() {
    let club = both();
    let (_, key) = made(&club, &admin_of(None), json!({"tenant": "acme"})).await;
    let own = "https://analytics.example";
    let check = async |origin: &str, body: Json, status: u16, code: &str| {
        beacon(&club, origin, &body).await.assert_problem(status, code);
    };
    check(own, json!({}), 401, "token_missing").await;
    check(own, json!({"key": null}), 401, "token_missing").await;
    check(own, json!({"key": 7}), 401, "token_invalid").await;
    check(own, json!({"key": admin_of(Some("acme"))}), 401, "token_invalid").await;
    check(own, json!({"key": "ewk_unknown"}), 401, "token_invalid").await;
    check("https://other.example", json!({"key": key, "events": []}), 403, "forbidden").await;
    check("null", json!({"key": key, "events": []}), 403, "forbidden").await;
    // A page that may not call learns that it may not, and nothing else.
    for origin in ["https://other.example", "null"] {
        for body in [json!({"key": key, "events": []}), json!({"key": "ewk_unknown"}), json!({})] {
            let refused = beacon(&club, origin, &body).await;
            refused.assert_problem(403, "forbidden");
            assert_eq!(refused.header("access-control-allow-origin"), origin);
            assert_eq!(refused.header("access-control-allow-credentials"), "");
            assert_eq!(refused.header("vary"), "Origin");
        }
    }
    assert_eq!(beacon(&club, own, &json!({})).await.header("access-control-allow-origin"), "");
    check(own, json!({"key": key, "event": []}), 422, "body_invalid").await;
    check(own, json!({"key": key, "events": {}}), 422, "body_invalid").await;
    check(own, json!([key]), 422, "body_invalid").await;
    let cors =
        ebbtide_server::CorsRules { origins: vec!["https://shop.example".to_owned()], ..Default::default() };
    let packs = vec![Pack::parse(bundled("product").unwrap()).unwrap()];
    let server = start(packs.clone(), Settings { cors, ..Settings::default() }).unwrap();
    assert!(server.opened(memory_store(&packs)).is_ok());
    let shop = Club::of(server);
    let (_, key) = made(&shop, &admin_of(None), json!({"tenant": "acme"})).await;
    let answer = beacon(&shop, "https://shop.example", &json!({"key": key, "events": []})).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("access-control-allow-origin")),
        (200, "https://shop.example")
    );
}
