//! Rows that were refused, over HTTP: kept for their tenant alone, bounded, sent again, let go of.

use std::sync::Arc;

use ebbtide_model::pack::Pack;
use ebbtide_server::Settings;
use ebbtide_server::apps::bundled;
use ebbtide_server::rejects::Bounds;
use ebbtide_store::fs::SimFs;
use serde_json::{Value as Json, json};

use crate::support::*;

/// The admin of a club.
fn head(club: u32) -> String {
    token(json!({"role": "admin", "tenant": club}))
}

fn visit(id: u32, club: u32, at: &str) -> Json {
    json!({"id": id, "club_id": club, "member_id": 11, "kind": "swim", "at": at})
}

const GOOD: &str = "2026-03-01T10:00:00Z";

impl Club {
    async fn send_visits(&self, token: &str, rows: Json) -> Json {
        let answer = self.post("/v1/tables/visits/rows", token, &rows).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    async fn rejects(&self, token: &str, query: &str) -> Vec<Json> {
        let answer = self.get(&format!("/v1/rejects{query}"), token).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["rejects"].as_array().unwrap().clone()
    }

    async fn retry(&self, token: &str, body: Json) -> Json {
        let answer = self.post("/v1/rejects/retry", token, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    async fn visits_of(&self, token: &str) -> u64 {
        let sql = json!({"sql": "SELECT count(*) AS n FROM visits"});
        self.post("/v1/sql", token, &sql).await.json()["rows"][0]["n"].as_u64().unwrap()
    }
}

fn codes(rejects: &[Json]) -> Vec<&str> {
    rejects.iter().map(|reject| reject["code"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_refused_row_is_kept_as_it_came_with_its_reason() {
    let club = Club::open().await;
    let bad = json!({"id": 9, "club_id": 1, "member_id": "eleven", "kind": "swim", "at": GOOD});
    let answer = club.send_visits(&head(1), json!([visit(8, 1, GOOD), bad, 17])).await;
    assert_eq!(answer["accepted"], 1);
    let rejects = club.rejects(&head(1), "").await;
    assert_eq!(codes(&rejects), ["broken_json", "wrong_type"]);
    let kept = &rejects[1];
    assert_eq!(kept["row"], bad);
    for (field, want) in [
        ("at", json!(NOW)),
        ("tenant", json!("1")),
        ("table", json!("visits")),
        ("source", json!("/v1/tables/visits/rows")),
        ("index", json!(1)),
        ("line", json!(null)),
        ("column", json!("member_id")),
        ("whole", json!(true)),
        ("detail", answer["rejected"][0]["detail"].clone()),
    ] {
        assert_eq!(kept[field], want, "{field} of {kept}");
    }
    let told = club.get("/v1/rejects?code=wrong_type&limit=1", &head(1)).await.json();
    assert_eq!(told["rejects"].as_array().unwrap().len(), 1);
    assert_eq!(told["next"], Json::Null);
    assert_eq!(
        told["counts"],
        json!([
            {"table": "visits", "code": "broken_json", "rows": 1},
            {"table": "visits", "code": "wrong_type", "rows": 1},
        ])
    );
    club.get("/v1/rejects?limit=0", &head(1)).await.assert_problem(422, "parameter_invalid");
}

#[tokio::test]
async fn a_reject_is_seen_by_the_admins_of_its_tenant_alone() {
    let club = Club::open().await;
    club.send_visits(&head(1), json!([visit(8, 1, "one's")])).await;
    club.send_visits(&head(2), json!([visit(9, 2, "two's"), visit(10, 1, GOOD)])).await;
    let mixed = json!([visit(11, 1, "told of one"), {"id": 12, "at": "nobody's"}]);
    club.send_visits(&admin(), mixed).await;
    let shown = async |token: &str| Json::from(club.rejects(token, "").await).to_string();
    let (one, two, all) = (shown(&head(1)).await, shown(&head(2)).await, shown(&admin()).await);
    for (text, by) in [
        ("one's", [true, false, true]),
        ("told of one", [true, false, true]),
        // A row that says it is another's stays with who sent it.
        ("two's", [false, true, true]),
        ("\"id\":10", [false, true, true]),
        ("nobody's", [false, false, true]),
    ] {
        assert_eq!([&one, &two, &all].map(|shown| shown.contains(text)), by, "{text}");
    }
    let ids: Vec<String> =
        club.rejects(&head(1), "").await.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    // Another's is as one that does not exist.
    let tried = club.retry(&head(2), json!({"ids": ids})).await;
    assert_eq!(tried["rejected"], json!([]));
    assert_eq!(tried["unknown"].as_array().unwrap().len(), ids.len());
    let gone = club.delete(&format!("/v1/rejects?ids={}", ids.join(",")), &head(2)).await.json();
    assert_eq!(gone["deleted"], 0);
    assert_eq!(club.delete("/v1/rejects", &head(2)).await.json()["deleted"], 2);
    assert_eq!(club.rejects(&head(1), "").await.len(), 2);
    assert_eq!(club.rejects(&admin(), "").await.len(), 3);
    for token in [owner(1), token(json!({"role": "writer", "tenant": 1}))] {
        club.get("/v1/rejects", &token).await.assert_problem(403, "role_forbidden");
        club.delete("/v1/rejects", &token).await.assert_problem(403, "role_forbidden");
        club.post("/v1/rejects/retry", &token, &json!({"code": "x"}))
            .await
            .assert_problem(403, "role_forbidden");
    }
}

#[tokio::test]
async fn mended_rows_are_taken_and_are_rejects_no_more() {
    let club = Club::open().await;
    club.send_visits(&head(1), json!([visit(8, 1, "soon"), visit(9, 1, "later"), visit(10, 1, "never")]))
        .await;
    let rejects = club.rejects(&head(1), "").await;
    let id = |index: usize| rejects[index]["id"].as_str().unwrap().to_owned();
    let before = club.visits_of(&head(1)).await;
    let mended = json!([{"id": id(2), "row": visit(8, 1, GOOD)}, {"id": id(1), "row": visit(1, 1, "2026-01-10T10:00:00Z")}]);
    let answer = club.retry(&head(1), json!({"rows": mended, "ids": [id(0), "none"]})).await;
    assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(1), &json!(1)));
    assert_eq!(answer["unknown"], json!(["none"]));
    let refused = answer["rejected"].as_array().unwrap();
    assert_eq!(
        (refused.len(), &refused[0]["id"], &refused[0]["code"]),
        (1, &json!(id(0)), &json!("wrong_type"))
    );
    assert_eq!(club.visits_of(&head(1)).await, before + 1);
    // What was refused again is no second reject.
    let left = club.rejects(&head(1), "").await;
    assert_eq!(left.iter().map(|one| one["id"].as_str().unwrap()).collect::<Vec<_>>(), [id(0)]);
    // By a filter, as they came.
    let again = club.retry(&head(1), json!({"table": "visits"})).await;
    assert_eq!(again["rejected"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn who_sees_all_sends_again_into_the_tenant_of_the_row() {
    let club = Club::open().await;
    // A row without its tenant is the token's; sent again it still is.
    let bad = json!([{"id": 8, "member_id": 11, "kind": "swim", "at": "soon"}]);
    club.send_visits(&head(1), bad).await;
    club.send_visits(&admin(), json!([{"id": 9, "member_id": 21, "kind": "swim", "at": GOOD}])).await;
    let rejects = club.rejects(&admin(), "").await;
    assert_eq!(codes(&rejects), ["tenant_missing", "wrong_type"]);
    let rows = json!([
        {"id": rejects[0]["id"], "row": visit(9, 2, GOOD)},
        {"id": rejects[1]["id"], "row": {"id": 8, "member_id": 11, "kind": "swim", "at": GOOD}},
    ]);
    let (one, two) = (club.visits_of(&head(1)).await, club.visits_of(&head(2)).await);
    assert_eq!(club.retry(&admin(), json!({"rows": rows})).await["accepted"], 2);
    assert_eq!((club.visits_of(&head(1)).await, club.visits_of(&head(2)).await), (one + 1, two + 1));
    assert_eq!(club.rejects(&admin(), "").await, Vec::<Json>::new());
}

#[tokio::test]
async fn nobody_gets_a_row_to_another_tenant_by_way_of_who_sees_all() {
    let club = Club::open().await;
    let before = club.visits_of(&head(2)).await;
    club.send_visits(&head(1), json!([visit(9, 2, GOOD), visit(10, 2, "soon")])).await;
    let as_it_came = club.retry(&admin(), json!({"table": "visits"})).await;
    let ids = club.rejects(&admin(), "").await;
    let mended: Json = ids.iter().map(|one| json!({"id": one["id"], "row": visit(11, 2, GOOD)})).collect();
    let mended = club.retry(&admin(), json!({"rows": mended})).await;
    for answer in [as_it_came, mended] {
        assert_eq!(
            (&answer["accepted"], answer["rejected"].as_array().unwrap().len()),
            (&json!(0), 2),
            "{answer}"
        );
    }
    assert_eq!(club.visits_of(&head(2)).await, before);
    // Of a table by which others find their tenant, too.
    club.post("/v1/tables/clubs/rows", &admin(), &json!([{"id": 1, "name": 7}])).await;
    let reject = club.rejects(&admin(), "?table=clubs").await[0].clone();
    let renamed = |id: u32| json!({"rows": [{"id": reject["id"], "row": {"id": id, "name": "One anew"}}]});
    club.retry(&head(1), renamed(1)).await;
    assert_eq!(club.retry(&admin(), renamed(2)).await["accepted"], 0);
    assert_eq!(club.retry(&admin(), renamed(1)).await["accepted"], 1);
}

#[tokio::test]
async fn a_bad_retry_is_refused_with_what_is_allowed() {
    let club = Club::open().await;
    for (body, detail) in [
        (json!({}), "names no rejects"),
        (json!({"ids": [], "code": "x"}), "one of both"),
        (json!({"ids": [7]}), "ids[0]"),
        (json!({"rows": [{"id": "a"}]}), "rows[0].row"),
        (json!({"all": true}), "all"),
    ] {
        let answer = club.post("/v1/rejects/retry", &head(1), &body).await;
        answer.assert_problem(422, "body_invalid");
        assert!(answer.text().contains(detail), "{body}: {}", answer.text());
    }
}

fn product() -> Club {
    let pack = Pack::parse(bundled("product").unwrap()).unwrap();
    let server = start(vec![pack.clone()], Settings::default()).unwrap();
    assert!(server.opened(memory_store(&[pack])).is_ok());
    Club::of(server)
}

fn acme(role: &str) -> String {
    token(json!({"aud": "product", "role": role, "tenant": "acme"}))
}

#[tokio::test]
async fn what_is_captured_is_sent_again_by_the_way_that_it_came() {
    let club = product();
    let (writer, admin) = (acme("writer"), acme("admin"));
    let events = json!([{"event": "view", "actor": "a", "ts": "now"}, {"event": "view", "actor": "a"}]);
    club.post("/v1/capture", &writer, &events).await;
    club.post("/v1/actors", &writer, &json!({"actor": "", "props": {"plan": "pro"}})).await;
    club.post("/v1/alias", &writer, &json!({"alias": "a", "actor": "a"})).await;
    let rejects = club.rejects(&admin, "").await;
    let ways: Vec<_> =
        rejects.iter().map(|one| (one["way"].as_str().unwrap(), one["code"].as_str().unwrap())).collect();
    assert_eq!(ways, [("alias", "alias_itself"), ("actors", "empty"), ("capture", "ts_invalid")]);
    let mended = json!([
        {"id": rejects[0]["id"], "row": {"alias": "b", "actor": "a"}},
        {"id": rejects[1]["id"], "row": {"actor": "a", "props": {"plan": "pro"}}},
        {"id": rejects[2]["id"], "row": {"event": "view", "actor": "b"}},
    ]);
    let answer = club.retry(&admin, json!({"rows": mended})).await;
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(3), &json!([])));
    let query = json!({"kind": "trend", "interval": "all", "measure": ["total", "unique"]});
    let result = club.post("/v1/query", &admin, &query).await.json();
    assert_eq!(result["result"]["data"], json!({"total": [2], "unique": [1]}), "{result}");
    assert_eq!(club.rejects(&admin, "").await, Vec::<Json>::new());
}

#[tokio::test]
async fn nothing_that_lets_anybody_in_is_kept() {
    let club = product();
    let secret = acme("admin");
    let events = json!([
        {"event": "view", "props": {"password": "hunter2", "note": secret}},
        {"event": "view", "actor": "a", "ts": secret},
    ]);
    club.post("/v1/capture", &acme("writer"), &events).await;
    let told = club.get("/v1/rejects", &acme("admin")).await;
    assert_eq!(told.json()["rejects"].as_array().unwrap().len(), 2);
    assert!(!told.text().contains("hunter2"), "{}", told.text());
    assert!(!told.text().contains(&secret[..40]), "{}", told.text());
    // What is not whole is not sent again as it is.
    let refused = club.retry(&acme("admin"), json!({"table": "events"})).await["rejected"].clone();
    assert_eq!(codes(refused.as_array().unwrap()), ["row_needed", "row_needed"]);
}

#[tokio::test]
async fn the_newest_are_kept_and_those_before_are_counted() {
    let bounds = Bounds { rows: 8, bytes: 1 << 20 };
    let club = Club::of(empty(Settings { rejects: bounds, ..Settings::default() }));
    club.post("/v1/tables/clubs/rows", &admin(), &json!([{"id": 1, "name": "One"}])).await;
    for first in [0, 6, 12] {
        let rows: Json = (first..first + 6).map(|id| visit(id, 1, "soon")).collect();
        club.send_visits(&head(1), rows).await;
        club.rejects(&head(1), "").await;
    }
    let ids = async |query: &str| {
        let rejects = club.rejects(&head(1), query).await;
        rejects.iter().map(|one| one["row"]["id"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(ids("").await, (10..18).rev().collect::<Vec<_>>());
    let told = club.get("/v1/rejects?limit=3", &head(1)).await.json();
    assert_eq!((&told["forgotten"], &told["rows_max"]), (&json!(10), &json!(8)));
    assert_eq!(ids("?limit=3").await, [17, 16, 15]);
    let next = told["next"].as_str().unwrap();
    assert_eq!(ids(&format!("?limit=3&after={next}")).await, [14, 13, 12]);
    // One request may have more of them than are kept.
    let rows: Json = (20..50).map(|id| visit(id, 1, "soon")).collect();
    club.send_visits(&head(1), rows).await;
    assert_eq!(ids("").await, (42..50).rev().collect::<Vec<_>>());
    assert_eq!(club.get("/v1/rejects", &head(1)).await.json()["forgotten"], json!(40));
    let none = Bounds { rows: 0, bytes: 0 };
    let club = Club::of(empty(Settings { rejects: none, ..Settings::default() }));
    club.send_visits(&head(1), json!([visit(1, 1, "soon")])).await;
    assert_eq!(club.rejects(&head(1), "").await, Vec::<Json>::new());
}

#[tokio::test]
async fn rejects_are_there_after_a_restart() {
    let disk = Arc::new(SimFs::new(1));
    let club = Club::of(recovering(Settings::default()));
    assert!(club.server.opened(store_on(disk.clone(), &[pack()])).is_ok());
    club.send_visits(&head(1), json!([visit(1, 1, "soon")])).await;
    let Club { server, router } = club;
    server.close().unwrap();
    drop((server, router));
    let club = Club::of(recovering(Settings::default()));
    assert!(club.server.opened(store_on(disk, &[pack()])).is_ok());
    assert_eq!(codes(&club.rejects(&head(1), "").await), ["wrong_type"]);
}

#[tokio::test]
async fn a_row_of_a_packs_own_path_is_kept_and_sent_again_once() {
    let club = Club::of({
        let pack = Pack::parse(SHOP).unwrap();
        let server = start(vec![pack.clone()], Settings::default()).unwrap();
        assert!(server.opened(memory_store(&[pack])).is_ok());
        server
    });
    let of = |role: &str| token(json!({"aud": "shop", "role": role, "tenant": "a"}));
    let list = json!([{"who": "u", "kind": "look"}, {"who": "v", "kind": "jump", "at": GOOD}]);
    club.post("/events", &of("writer"), &list).await.assert_problem(422, "body_invalid");
    let rejects = club.rejects(&of("admin"), "").await;
    assert_eq!(codes(&rejects), ["not_allowed"]);
    let kept = &rejects[0];
    assert_eq!(
        (&kept["index"], &kept["column"], &kept["source"]),
        (&json!(1), &json!("kind"), &json!("/events"))
    );
    assert_eq!(kept["row"], list[1]);
    let mended = json!({"rows": [{"id": kept["id"], "row": {"who": "v", "kind": "buy", "at": GOOD}}]});
    assert_eq!(club.retry(&of("admin"), mended).await["accepted"], 1);
    let sql = json!({"sql": "SELECT id, who FROM events"});
    let rows = club.post("/v1/sql", &of("admin"), &sql).await.json()["rows"].clone();
    assert_eq!(rows, json!([{"id": kept["id"], "who": "v"}]));
}

const SHOP: &str = "
pack: shop
tables:
  events:
    kind: events
    key: id
    tenant: shop
    actor: who
    time: at
    columns: {shop: text, id: text, who: text, kind: text, at: timestamp}
capture:
  events:
    path: /events
    table: events
    roles: [writer, admin]
    fields:
      kind: {choices: [look, buy]}
      id: {default: $new_id}
      at: {default: $now}
    answer: {ok: true}
";
