//! Rows over HTTP: each is accounted for, by its index.

use serde_json::{Value as Json, json};

use crate::support::*;

fn rejected(answer: &Answer) -> Vec<(u64, Json, String)> {
    let json = answer.json();
    let entry = |row: &Json| {
        assert!(row["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{row}");
        (row["index"].as_u64().unwrap(), row["column"].clone(), row["code"].as_str().unwrap().to_owned())
    };
    json["rejected"].as_array().unwrap().iter().map(entry).collect()
}

#[tokio::test]
async fn the_good_rows_of_a_bad_list_are_kept_and_the_bad_ones_named() {
    let club = Club::open().await;
    let at = "2026-03-01T00:00:00Z";
    let answer = club
        .post(
            "/v1/tables/visits/rows",
            &admin(),
            &json!([
                {"id": 10, "club_id": 1, "member_id": 11, "kind": "swim", "at": at},
                {"id": "11", "club_id": 1, "member_id": 11, "kind": "swim", "at": at},
                {"id": 12, "club_id": 1, "member_id": 11, "kind": "swim", "at": "yesterday"},
                {"id": 13, "club_id": 1, "member_id": 11, "kind": "swim", "at": at, "colour": "red"},
                {"id": 14, "club_id": 1, "member_id": 11, "at": at},
                17,
                {"id": 10, "club_id": 1, "member_id": 12, "kind": "again", "at": at},
                {"id": 15, "member_id": 11, "kind": "swim", "at": at},
                {"id": 16, "club_id": 1, "member_id": 11, "kind": "swim", "at": at},
            ]),
        )
        .await;
    assert_eq!(answer.status, 200);
    let json = answer.json();
    assert_eq!(
        (&json["accepted"], &json["duplicates"], &json["waiting"]),
        (&json!(2), &json!(1), &json!(0)),
        "{json}"
    );
    assert_eq!(
        rejected(&answer),
        [
            (1, json!("id"), "wrong_type".to_owned()),
            (2, json!("at"), "wrong_type".to_owned()),
            (3, json!("colour"), "unknown_column".to_owned()),
            (4, json!("kind"), "null".to_owned()),
            (5, Json::Null, "broken_json".to_owned()),
            (7, json!("club_id"), "tenant_missing".to_owned()),
        ]
    );
    assert_eq!(club.get("/totals", &admin()).await.json()["visits"], json!(5));
}

#[tokio::test]
async fn a_tenants_token_may_leave_its_tenant_out_and_name_no_other() {
    let club = Club::open().await;
    let writer = token(json!({"role": "writer", "tenant": 1}));
    let at = "2026-03-01T00:00:00Z";
    let answer = club
        .post(
            "/v1/tables/visits/rows",
            &writer,
            &json!([
                {"id": 20, "member_id": 11, "kind": "swim", "at": at},
                {"id": 21, "club_id": 1, "member_id": 11, "kind": "swim", "at": at},
                {"id": 22, "club_id": 2, "member_id": 21, "kind": "swim", "at": at},
            ]),
        )
        .await;
    assert_eq!(answer.json()["accepted"], 2, "{}", answer.text());
    assert_eq!(rejected(&answer), [(2, json!("club_id"), "tenant_foreign".to_owned())]);
    assert_eq!(club.get("/totals", &owner(1)).await.json()["visits"], json!(4));
    assert_eq!(club.get("/totals", &owner(2)).await.json()["visits"], json!(1));
}

const FORUM: &str = "
pack: club
tables:
  boards: {kind: entity, key: id, tenant: club_id, columns: {id: int, club_id: int}}
  posts: {kind: events, key: id, tenant: {parent: boards, by: board_id}, time: at, columns: {id: int, board_id: int, at: timestamp}}
";

#[tokio::test]
async fn a_parent_table_takes_rows_from_an_admin_of_all_tenants_alone() {
    // Without rows as yet: who is let in is answered 503, and no sooner.
    let pack = ebbtide_model::pack::Pack::parse(FORUM).unwrap();
    let club = Club::of(start(vec![pack], ebbtide_server::Settings::default()).unwrap());
    let check = |claims: Json, table: &'static str, row: Json, status: u16, code: &'static str| {
        let club = &club;
        async move {
            let path = format!("/v1/tables/{table}/rows");
            club.post(&path, &token(claims), &json!([row])).await.assert_problem(status, code);
        }
    };
    let board = json!({"id": 1, "club_id": 1});
    check(json!({"role": "admin", "tenant": 1}), "boards", board.clone(), 403, "forbidden").await;
    check(json!({"role": "writer", "tenant": 1}), "boards", board.clone(), 403, "forbidden").await;
    check(json!({"role": "writer"}), "boards", board.clone(), 403, "forbidden").await;
    check(json!({"role": "admin"}), "boards", board, 503, "recovering").await;
    let post = json!({"id": 1, "board_id": 1, "at": "2026-03-01"});
    check(json!({"role": "writer"}), "posts", post.clone(), 503, "recovering").await;
    check(json!({"role": "writer", "tenant": 1}), "posts", post, 503, "recovering").await;
}

#[tokio::test]
async fn an_entitys_later_row_replaces_the_earlier_and_an_empty_list_changes_nothing() {
    let club = Club::open().await;
    let path = "/v1/tables/clubs/rows";
    let empty = club.post(path, &admin(), &json!([])).await.json();
    assert_eq!(empty, json!({"accepted": 0, "duplicates": 0, "waiting": 0, "rejected": []}));
    let renamed = club.post(path, &admin(), &json!([{"id": 1, "name": "Uno"}])).await.json();
    assert_eq!(renamed["accepted"], 1);
    assert_eq!(club.get("/totals", &owner(1)).await.json()["clubs"], json!([{"id": 1, "name": "Uno"}]));
}

#[tokio::test]
async fn what_became_of_rows_is_counted() {
    let club = Club::open().await;
    let metrics = club.get("/metrics", "").await;
    let line = "ebbtide_rows_total{app=\"club\",table=\"visits\",outcome=\"accepted\"} 3";
    assert!(metrics.text().lines().any(|have| have == line), "{}", metrics.text());
    assert!(!metrics.text().contains("tenant"), "{}", metrics.text());
}

#[tokio::test]
async fn a_row_waits_for_its_parent_and_another_tenants_parent_is_as_unknown_as_none() {
    let pack = ebbtide_model::pack::Pack::parse(FORUM).unwrap();
    let club = Club::of(start(vec![pack.clone()], ebbtide_server::Settings::default()).unwrap());
    assert!(club.server.opened(memory_store(&[pack])).is_ok());
    let post = |id: i64, board: i64| json!([{"id": id, "board_id": board, "at": "2026-03-01T00:00:00Z"}]);
    let writer = token(json!({"role": "writer", "tenant": 1}));
    let send = |token: String, table: &'static str, rows: Json| {
        let club = &club;
        async move { club.post(&format!("/v1/tables/{table}/rows"), &token, &rows).await }
    };
    let waited = send(admin(), "posts", post(1, 10)).await;
    assert_eq!(waited.json(), json!({"accepted": 0, "duplicates": 0, "waiting": 1, "rejected": []}));
    let boards = json!([{"id": 10, "club_id": 1}, {"id": 20, "club_id": 2}]);
    assert_eq!(send(admin(), "boards", boards).await.json()["accepted"], 2);
    assert_eq!(send(writer.clone(), "posts", post(2, 10)).await.json()["accepted"], 1);
    // Board 20 is another's, board 30 nobody's.
    let foreign = send(writer.clone(), "posts", post(3, 20)).await;
    let unknown = send(writer.clone(), "posts", post(4, 30)).await;
    assert_eq!((foreign.status, &foreign.body), (unknown.status, &unknown.body));
    assert_eq!(foreign.json()["waiting"], 1);
    let ids = json!({"sql": "SELECT id FROM posts ORDER BY id"});
    let analyst = |tenant: u32| token(json!({"role": "analyst", "tenant": tenant}));
    let of_one = club.post("/v1/sql", &analyst(1), &ids).await.json();
    assert_eq!(of_one["rows"], json!([{"id": 1}, {"id": 2}]));
    assert_eq!(club.post("/v1/sql", &analyst(2), &ids).await.json()["rows"], json!([]));

    let metrics = club.get("/metrics", "").await;
    for line in [
        "ebbtide_table_rows{app=\"club\",table=\"posts\"} 2",
        "ebbtide_table_waiting_rows{app=\"club\",table=\"posts\"} 2",
        "ebbtide_stored_rows_total{app=\"club\",table=\"posts\",outcome=\"waiting\"} 3",
        "ebbtide_stored_rows_total{app=\"club\",table=\"posts\",outcome=\"placed\"} 1",
        "# TYPE ebbtide_stored_rows_total counter",
    ] {
        assert!(metrics.text().lines().any(|have| have == line), "{line} is missing in {}", metrics.text());
    }
    let storage = |json: Json| json["tables"][1]["storage"].clone();
    let told = storage(club.get("/v1/schema", &admin()).await.json());
    assert_eq!((&told["rows"], &told["waiting"]), (&json!(2), &json!(2)), "{told}");
    for narrower in [writer, token(json!({"role": "admin", "tenant": 1})), token(json!({"role": "viewer"}))] {
        assert_eq!(storage(club.get("/v1/schema", &narrower).await.json()), Json::Null);
    }
}
