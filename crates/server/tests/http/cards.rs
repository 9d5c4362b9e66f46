//! Cards over HTTP: saved, changed, scoped, bounded, kept over a restart.

use std::sync::Arc;

use ebbtide_server::Settings;
use ebbtide_store::fs::SimFs;
use serde_json::{Value as Json, json};

use crate::support::*;

fn card(title: &str) -> Json {
    json!({"title": title, "query": {"kind": "trend", "entity": {"event": "swim"}}, "range": "28d", "picture": "bar"})
}

fn analyst(club: u32) -> String {
    token(json!({"role": "analyst", "tenant": club}))
}

async fn titles(club: &Club, token: &str) -> Vec<String> {
    let answer = club.get("/v1/cards", token).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let cards = answer.json()["cards"].clone();
    cards.as_array().unwrap().iter().map(|card| card["title"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_card_is_saved_changed_and_deleted() {
    let club = Club::open().await;
    let saved = club.put("/v1/cards/swims", &analyst(1), &card("Swims")).await;
    assert_eq!(saved.status, 201, "{}", saved.text());
    assert_eq!(saved.json()["updated_at"], NOW);
    assert_eq!(saved.json()["picture"], "bar");
    assert_eq!(saved.json()["compare"], Json::Null);
    let again = club.put("/v1/cards/swims", &analyst(1), &card("Swims a day")).await;
    assert_eq!(again.status, 200, "{}", again.text());
    club.put("/v1/cards/a", &analyst(1), &json!({"title": "Churn", "query": {"kind": "churn"}})).await;
    let compared = json!({"title": "Kept", "query": {"kind": "retention"}, "compare": "previous_period"});
    let kept = club.put("/v1/cards/kept", &analyst(1), &compared).await;
    assert_eq!(kept.json()["compare"], "previous_period", "{}", kept.text());
    club.delete("/v1/cards/kept", &analyst(1)).await;
    assert_eq!(titles(&club, &owner(1)).await, ["Churn", "Swims a day"]);
    let one = club.get("/v1/cards/swims", &owner(1)).await.json();
    assert_eq!((&one["range"], &one["query"]), (&json!("28d"), &card("")["query"]));
    // What was saved can be asked as it is.
    let answer = club.post("/v1/query", &owner(1), &one["query"]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(club.delete("/v1/cards/swims", &analyst(1)).await.json()["deleted"], "swims");
    club.delete("/v1/cards/swims", &analyst(1)).await.assert_problem(404, "card_unknown");
    club.get("/v1/cards/swims", &analyst(1)).await.assert_problem(404, "card_unknown");
    assert_eq!(titles(&club, &owner(1)).await, ["Churn"]);
}

#[tokio::test]
async fn a_card_is_seen_by_its_own_scope_and_changed_by_those_who_may() {
    let club = Club::open().await;
    club.put("/v1/cards/swims", &analyst(1), &card("Of one")).await;
    assert_eq!(club.put("/v1/cards/swims", &admin(), &card("Of all")).await.status, 201);
    assert_eq!(titles(&club, &owner(1)).await, ["Of one"]);
    assert_eq!(titles(&club, &owner(2)).await, Vec::<String>::new());
    assert_eq!(titles(&club, &admin()).await, ["Of all"]);
    for path in ["/v1/cards/swims", "/v1/cards/other"] {
        club.put(path, &owner(1), &card("x")).await.assert_problem(403, "role_forbidden");
        club.delete(path, &owner(1)).await.assert_problem(403, "role_forbidden");
        club.delete(path, &analyst(2)).await.assert_problem(404, "card_unknown");
        club.get(path, &owner(2)).await.assert_problem(404, "card_unknown");
    }
    assert_eq!(club.delete("/v1/cards/swims", &admin()).await.status, 200);
    assert_eq!(titles(&club, &owner(1)).await, ["Of one"]);
    let nobody = token(json!({"role": "analyst"}));
    club.get("/v1/cards", &nobody).await.assert_problem(403, "tenant_required");
    club.get("/v1/cards", &owner(77)).await.assert_problem(404, "tenant_unknown");
    club.get("/v1/cards", "").await.assert_problem(401, "token_missing");
}

#[tokio::test]
async fn a_bad_card_is_refused_with_the_path_of_the_field() {
    let club = Club::open().await;
    let check = async |name: &str, body: Json, detail: &str| {
        let answer = club.put(&format!("/v1/cards/{name}"), &analyst(1), &body).await;
        answer.assert_problem(422, "query_invalid");
        let told = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(told.contains(detail), "{told}");
    };
    check("-a", card("x"), "name: ").await;
    check("a", json!({"query": {"kind": "churn"}}), "title: is missing").await;
    check(
        "a",
        json!({"title": "x", "query": {"kind": "churn", "filters": [{"prop": "no", "value": 1}]}}),
        "query.filters[0].prop",
    )
    .await;
    check("a", json!({"title": "x", "query": {"kind": "churn"}, "picture": "pie"}), "picture: ").await;
    check("a", json!({"title": "x", "query": {"kind": "churn"}, "compare": "previous_period"}), "compare: ")
        .await;
    assert_eq!(titles(&club, &analyst(1)).await, Vec::<String>::new());
}

#[tokio::test]
async fn no_statement_and_no_row_gets_to_where_cards_and_rejects_are_kept() {
    let club = Club::open().await;
    for table in ["_cards", "_app_cards", "_rejects", "_app_rejects"] {
        let sql = json!({"sql": format!("SELECT * FROM {table}")});
        club.post("/v1/sql", &admin(), &sql).await.assert_problem(422, "sql_invalid");
        let rows = club.post(&format!("/v1/tables/{table}/rows"), &admin(), &json!([])).await;
        rows.assert_problem(404, "table_unknown");
        let stream = club.post("/v1/query", &admin(), &json!({"kind": "churn", "stream": table})).await;
        stream.assert_problem(422, "query_invalid");
    }
    let schema = club.get("/v1/schema", &admin()).await;
    assert!(!schema.text().contains("_cards") && !schema.text().contains("_rejects"));
}

#[tokio::test]
async fn a_card_is_there_after_a_restart() {
    let disk = Arc::new(SimFs::new(1));
    let club = Club::of(recovering(Settings::default()));
    assert!(club.server.opened(store_on(disk.clone(), &[pack()])).is_ok());
    club.post("/v1/tables/clubs/rows", &admin(), &json!([{"id": 1, "name": "One"}])).await;
    assert_eq!(club.put("/v1/cards/swims", &analyst(1), &card("Swims")).await.status, 201);
    let Club { server, router } = club;
    server.close().unwrap();
    drop((server, router));
    let club = Club::of(recovering(Settings::default()));
    assert!(club.server.opened(store_on(disk, &[pack()])).is_ok());
    assert_eq!(titles(&club, &owner(1)).await, ["Swims"]);
}
