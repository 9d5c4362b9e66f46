//! `POST /v1/explain`: over the caller's own rows alone.

use serde_json::{Value as Json, json};

use super::support::{Club, admin, owner};

fn swims() -> Json {
    json!({"kind": "stickiness", "entity": {"event": "swim"}, "from": "2026-01-01", "interval": "month"})
}

#[tokio::test]
async fn an_actor_is_explained_by_its_own_events() {
    let club = Club::open().await;
    let told = club.post("/v1/explain", &owner(1), &json!({"query": swims(), "actor": 11})).await.json();
    assert_eq!(told["counted"]["actors_total"], 1);
    assert_eq!(told["events"][0]["bucket"], 0);
    assert_eq!(told["events"][0]["event"], "swim");
    assert_eq!(told["rule"]["code"], "active_in");
    // Another club's member has no events here, as one that there is not.
    for stranger in [21, 99] {
        let told = club.post("/v1/explain", &owner(1), &json!({"query": swims(), "actor": stranger})).await;
        assert_eq!(told.json()["events_total"], 0, "{}", told.text());
        assert_eq!(told.json()["counted"]["actors_total"], 0);
    }
    let whole = json!({"query": {"kind": "churn"}, "actor": {"tenant": "2", "actor": 21}});
    let told = club.post("/v1/explain", &admin(), &whole).await.json();
    assert_eq!(told["counted"]["total"], 1, "{told}");
    assert_eq!(told["rule"]["code"], "not_at_risk_by_default");
}

#[tokio::test]
async fn sentences_are_in_the_language_that_is_asked_for() {
    let club = Club::open().await;
    let body = json!({"query": swims(), "actor": 11});
    let told = async |path: &str| club.post(path, &owner(1), &body).await;
    let english = told("/v1/explain").await;
    assert_eq!(english.header("vary"), "accept-language");
    assert_eq!(
        english.json()["events"][0]["rule"]["text"],
        "It makes the actor active in the period from 2026-01 on."
    );
    let russian = told("/v1/explain?lang=ru").await;
    assert_eq!(russian.header("vary"), "");
    let rule = russian.json()["events"][0]["rule"].clone();
    assert_eq!(rule["text"], "Делает участника активным в периоде с 2026-01.");
    assert_eq!(
        (&rule["code"], &rule["facts"]),
        (&json!("active"), &json!({"bucket": 0, "start": "2026-01"}))
    );
    let refused = told("/v1/explain?lang=de").await;
    refused.assert_problem(422, "parameter_invalid");
    assert!(refused.json()["detail"].as_str().unwrap().contains("en, ko, ru"), "{}", refused.text());
}

#[tokio::test]
async fn what_cannot_be_explained_is_told_with_its_path() {
    let club = Club::open().await;
    let check = async |token: String, body: Json, detail: &str| {
        let answer = club.post("/v1/explain", &token, &body).await;
        answer.assert_problem(422, "query_invalid");
        let told = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(told.contains(detail), "{told}");
    };
    check(owner(1), json!({"actor": 11}), "query: is missing").await;
    check(owner(1), json!({"query": swims()}), "actor: is missing").await;
    check(owner(1), json!({"query": {"kind": "churns"}, "actor": 11}), "query.kind: ").await;
    check(owner(1), json!({"query": {"kind": "churn", "stream": "x"}, "actor": 11}), "query.stream: ").await;
    check(
        owner(1),
        json!({"query": swims(), "actor": "ann"}),
        "actor: \"ann\" was given; allowed is a number",
    )
    .await;
    check(owner(1), json!({"query": swims(), "actor": []}), "actor: [] was given").await;
    check(admin(), json!({"query": swims(), "actor": 11}), "actor: names no tenant").await;
    let foreign = json!({"query": swims(), "actor": {"tenant": "2", "actor": 21}});
    check(owner(1), foreign, "actor: names a tenant").await;
    club.post("/v1/explain", "", &json!({})).await.assert_problem(401, "token_missing");
}
