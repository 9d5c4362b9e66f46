//! Answers that are kept: whom they serve, until when, and what is told of them.

use std::sync::Arc;

use ebbtide_model::pack::Pack;
use ebbtide_model::{Clock, Instant, TableName, Tenants};
use ebbtide_server::{App, Components, Server, Settings};
use ebbtide_store::Store;
use serde_json::{Value as Json, json};

use crate::support::*;

pub(crate) const START: &str = "2026-03-06T17:20:00Z";

pub(crate) fn kept_pack() -> Pack {
    Pack::parse(include_str!("kept.yaml")).unwrap()
}

/// A server over `store` with a clock of its own.
pub(crate) fn server_over(pack: Pack, store: &Store, clock: Arc<dyn Clock>, settings: Settings) -> Club {
    let components = Components { clock, ..components() };
    let server = Server::new(components, vec![App::new(pack)], settings).unwrap();
    assert!(server.opened(store.clone()).is_ok());
    Club::of(server)
}

/// Shops `a` and `b` with a sale each, and a clock.
pub(crate) struct Shops {
    pub(crate) shops: Club,
    pub(crate) store: Store,
    pub(crate) clock: Arc<MovingClock>,
}

impl Shops {
    async fn open(settings: Settings) -> Self {
        Self::open_with(kept_pack(), settings).await
    }

    pub(crate) async fn open_with(pack: Pack, settings: Settings) -> Self {
        let clock = MovingClock::at(Instant::parse(START).unwrap());
        let store = memory_store(&[kept_pack()]);
        let shops = server_over(pack, &store, clock.clone(), settings);
        let shops = Self { shops, store, clock };
        shops.put("shops", json!([{"id": "a"}, {"id": "b"}])).await;
        shops.sell("a", 1, "of a", "2026-03-01T00:00:00Z").await;
        shops.sell("b", 2, "of b", "2026-03-01T00:00:00Z").await;
        shops
    }

    pub(crate) async fn put(&self, table: &str, rows: Json) {
        let answer = self.shops.post(&format!("/v1/tables/{table}/rows"), &boss(), &rows).await;
        assert_eq!(answer.json()["rejected"], json!([]), "{}", answer.text());
    }

    pub(crate) async fn sell(&self, shop: &str, id: i64, text: &str, at: &str) {
        self.put("sales", json!([{"id": id, "shop": shop, "card": id, "text": text, "at": at}])).await;
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        let answer = self.shops.get(path, token).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer
    }

    /// Whether the answer was kept.
    async fn is_hit(&self, path: &str, token: &str) -> bool {
        let answer = self.get(path, token).await;
        match answer.header("x-cache") {
            "hit" => true,
            "miss" => false,
            other => panic!("{path}: X-Cache is {other:?}"),
        }
    }
}

/// A token that outlives what the clock does here.
fn lasting(mut claims: Json) -> String {
    claims["aud"] = json!("kept");
    claims["exp"] = json!(4_000_000_000_u64);
    token(claims)
}

pub(crate) fn boss() -> String {
    lasting(json!({"role": "admin"}))
}

pub(crate) fn keeper(shop: &str) -> String {
    lasting(json!({"role": "owner", "tenant": shop}))
}

const SECOND: i64 = Instant::MICROS_PER_SECOND;

#[tokio::test]
async fn an_answer_is_computed_once_and_tells_its_age() {
    let shops = Shops::open(Settings::default()).await;
    let first = shops.get("/sold", &keeper("a")).await;
    assert_eq!((first.header("x-cache"), first.header("age")), ("miss", "0"));
    shops.clock.forward(90 * SECOND);
    let second = shops.get("/sold", &keeper("a")).await;
    assert_eq!((second.header("x-cache"), second.header("age")), ("hit", "90"));
    assert_eq!(second.body, first.body);
    assert_eq!(second.header("etag"), first.header("etag"));
    assert_eq!(second.header("cache-control"), "private, no-cache");
    assert_eq!(second.header("content-type"), "application/json");
    assert_eq!(second.json()["as_of"], START);
    let metrics = shops.shops.get("/metrics", "").await;
    for line in ["ebbtide_cache_hits_total 1", "ebbtide_cache_misses_total 1", "ebbtide_cache_entries 1"] {
        assert!(metrics.text().lines().any(|have| have == line), "{line} is missing in:\n{}", metrics.text());
    }
}

#[tokio::test]
async fn a_client_that_has_the_answer_is_told_so() {
    let shops = Shops::open(Settings::default()).await;
    let etag = shops.get("/sold", &keeper("a")).await.header("etag").to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 2, "{etag}");
    let weak = format!("\"x\", W/{etag}");
    for known in [etag.as_str(), weak.as_str(), "*"] {
        let answer = shops.shops.get_with("/sold", &keeper("a"), &[("if-none-match", known)]).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (304, 0), "{known}");
        assert_eq!((answer.header("etag"), answer.header("x-cache")), (etag.as_str(), "hit"));
    }
    // Another's tag, and a tag of rows that are no more.
    let of_b = shops.shops.get_with("/sold", &keeper("b"), &[("if-none-match", &etag)]).await;
    assert_eq!(of_b.status, 200);
    shops.sell("a", 3, "new", "2026-03-01T00:00:00Z").await;
    let changed = shops.shops.get_with("/sold", &keeper("a"), &[("if-none-match", &etag)]).await;
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag"), etag);
    // What is refused is refused, whatever the client has.
    let refused = shops.shops.get_with("/sold?limit=0", &keeper("a"), &[("if-none-match", "*")]).await;
    refused.assert_problem(422, "parameter_invalid");
}

#[tokio::test]
async fn equal_questions_share_an_answer_however_they_are_put() {
    let shops = Shops::open(Settings::default()).await;
    let check = async |path: &str, token: &str, hit: bool| {
        assert_eq!(shops.is_hit(path, token).await, hit, "{path}");
    };
    check("/sold", &keeper("a"), false).await;
    check("/sold?limit=100", &keeper("a"), true).await;
    check(
        "/sold?elsewhere=1&limit=3&limit=100",
        &lasting(json!({"role": "admin", "tenant": "a", "sub": 7})),
        true,
    )
    .await;
    check("/admin/shops/a/sold", &boss(), true).await;
    check("/sold?limit=99", &keeper("a"), false).await;
    check("/sold?least=100", &keeper("a"), false).await;
    check("/sold?least=100&limit=99", &keeper("a"), false).await;
    check("/sold?limit=99&least=100", &keeper("a"), true).await;
    check("/sold?format=csv", &keeper("a"), true).await;
    check("/admin/shops/b/sold", &boss(), false).await;
    check("/sold?as_of=2026-03-05T23:59:59.999999-05:00", &keeper("a"), false).await;
    check("/sold?as_of=2026-03-05", &keeper("a"), true).await;
    check("/fresh", &keeper("a"), false).await;
    check("/fresh", &keeper("a"), false).await;
}

#[tokio::test]
async fn no_answer_serves_another_tenant() {
    let shops = Shops::open(Settings::default()).await;
    for round in 0..2 {
        for (shop, own, foreign) in [("a", "of a", "of b"), ("b", "of b", "of a")] {
            for path in ["/sold", "/sold?as_of=2026-03-05", "/sold?format=csv"] {
                let answer = shops.get(path, &keeper(shop)).await;
                assert!(answer.text().contains(own) && !answer.text().contains(foreign), "{round} {path}");
            }
        }
        assert_eq!(shops.get("/everywhere", &keeper("a")).await.json()["sales"], 1);
        assert_eq!(shops.get("/everywhere", &boss()).await.json()["sales"], 2);
    }
    // An answer that is kept serves nobody who may not ask for it.
    shops
        .shops
        .get("/sold", &lasting(json!({"role": "clerk", "tenant": "a"})))
        .await
        .assert_problem(403, "role_forbidden");
    shops.shops.get("/sold", "").await.assert_problem(401, "token_missing");
    shops.shops.get("/sold", &keeper("c")).await.assert_problem(404, "tenant_unknown");
    shops
        .shops
        .get("/admin/shops/a/sold", &lasting(json!({"role": "admin", "tenant": "b"})))
        .await
        .assert_problem(404, "tenant_unknown");
}

#[tokio::test]
async fn a_write_or_a_delete_ends_an_answer_at_once() {
    let shops = Shops::open(Settings::default()).await;
    let texts = async |path: &str| {
        let json = shops.get(path, &keeper("a")).await.json();
        json["sales"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["text"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    for path in ["/sold", "/sold?as_of=2026-03-05"] {
        assert_eq!(texts(path).await, ["of a"]);
    }
    // Old as it is, it arrived later.
    shops.sell("a", 0, "older", "2026-01-01T00:00:00Z").await;
    for path in ["/sold", "/sold?as_of=2026-03-05"] {
        assert_eq!(texts(path).await, ["older", "of a"]);
    }
    assert!(shops.is_hit("/sold", &keeper("a")).await);
    // Another tenant's rows are none of its own.
    shops.sell("b", 4, "of b", "2026-03-01T00:00:00Z").await;
    assert!(shops.is_hit("/sold", &keeper("a")).await);
    assert!(!shops.is_hit("/sold", &keeper("b")).await);
    #[expect(clippy::disallowed_methods, reason = "a test may see everything")]
    let all = ebbtide_model::Scope::grant(kept_pack().schema.app, Tenants::All);
    assert!(shops.store.clear(&all, &TableName::new("sales")).unwrap() > 0);
    for path in ["/sold", "/sold?as_of=2026-03-05"] {
        assert_eq!(texts(path).await, Vec::<String>::new());
    }
    // The answer over all tenants is anybody's.
    assert_eq!(shops.get("/everywhere", &boss()).await.json()["sales"], 0);
    shops.sell("b", 9, "of b", "2026-03-01T00:00:00Z").await;
    assert_eq!(shops.get("/everywhere", &boss()).await.json()["sales"], 1);
}

#[tokio::test]
async fn a_row_of_a_later_time_is_there_when_its_time_comes() {
    let shops = Shops::open(Settings::default()).await;
    shops.sell("a", 3, "later", "2026-03-06T17:20:30.000001Z").await;
    let ids = async || {
        let answer = shops.get("/sold", &keeper("a")).await;
        let ids: Vec<i64> = answer.json()["sales"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["id"].as_i64().unwrap())
            .collect();
        (ids, answer.header("x-cache").to_owned())
    };
    assert_eq!(ids().await, (vec![1], "miss".to_owned()));
    shops.clock.set("2026-03-06T17:20:30Z");
    assert_eq!(ids().await, (vec![1], "hit".to_owned()));
    shops.clock.set("2026-03-06T17:20:30.000001Z");
    assert_eq!(ids().await, (vec![1, 3], "miss".to_owned()));
    // A clock that is set back does not show what was to come.
    shops.clock.set("2026-03-06T17:20:00Z");
    assert_eq!(ids().await, (vec![1], "miss".to_owned()));
}

/// Asks at a moment, then until just before another and at it: kept until then, and no longer.
async fn check_end(path: &str, as_of: &str, end: &str) {
    let shops = Shops::open(Settings::default()).await;
    shops
        .put(
            "cards",
            json!([{"id": 1, "shop": "a", "seen_at": "2026-03-01T18:00:00.5Z", "created_at": "2026-01-01"}]),
        )
        .await;
    shops.clock.set(as_of);
    assert!(!shops.is_hit(path, &keeper("a")).await, "{path} at {as_of}");
    shops.clock.set(end);
    shops.clock.forward(-1);
    assert!(shops.is_hit(path, &keeper("a")).await, "{path} just before {end}");
    shops.clock.forward(1);
    assert!(!shops.is_hit(path, &keeper("a")).await, "{path} at {end}");
}

#[tokio::test]
async fn an_answer_ends_with_its_time_to_live_or_when_time_may_change_it() {
    // Five minutes unless the pack says otherwise.
    check_end("/sold", START, "2026-03-06T17:25:00Z").await;
    check_end("/sold?as_of=2026-03-01", START, "2026-03-06T17:25:00Z").await;
    // A day begins where the app is.
    check_end("/sold", "2026-03-06T04:59:00Z", "2026-03-06T05:00:00Z").await;
    check_end("/sold?as_of=2026-03-01", "2026-03-06T04:59:00Z", "2026-03-06T05:04:00Z").await;
    // So does an hour.
    check_end("/daily", "2026-03-06T17:29:00Z", "2026-03-06T17:30:00Z").await;
    // A day since the card was seen is full.
    check_end("/idle", START, "2026-03-06T18:00:00.5Z").await;
    check_end("/idle?as_of=2026-03-06T17:20:00Z", START, "2026-03-16T17:20:00Z").await;
    check_end("/lately", "2026-03-06T17:20:00.25Z", "2026-03-06T17:20:01Z").await;
}

#[tokio::test]
async fn an_admin_may_have_an_answer_computed_anew() {
    let shops = Shops::open(Settings::default()).await;
    let in_a = lasting(json!({"role": "admin", "tenant": "a"}));
    assert!(!shops.is_hit("/sold", &in_a).await);
    assert!(shops.is_hit("/sold?refresh=false", &in_a).await);
    shops.clock.forward(SECOND);
    assert!(!shops.is_hit("/sold?refresh=true", &in_a).await);
    let after = shops.get("/sold", &keeper("a")).await;
    assert_eq!(
        (after.header("x-cache"), after.header("age")),
        ("hit", "0"),
        "what was computed anew is kept"
    );
    shops.shops.get("/sold?refresh=true", &keeper("a")).await.assert_problem(403, "role_forbidden");
    shops.shops.get("/sold?refresh=yes", &in_a).await.assert_problem(422, "parameter_invalid");
}

#[tokio::test]
async fn a_server_without_room_computes_every_answer() {
    let shops = Shops::open(quick(|settings| settings.cache_bytes_max = 0)).await;
    for _ in 0..2 {
        assert!(!shops.is_hit("/sold", &keeper("a")).await);
    }
}

#[tokio::test]
async fn answers_with_a_schedule_are_there_before_anybody_asks() {
    const MINUTE: i64 = 60 * SECOND;
    let shops = Shops::open(Settings::default()).await;
    let round = async |computed: usize, held: usize| {
        let done = shops.shops.server.warm().await;
        assert_eq!((done.computed, done.held, done.failed), (computed, held, 0));
    };
    // Two tenants with two sets of parameters, and the whole.
    round(5, 0).await;
    for (path, token) in [
        ("/ready", keeper("a")),
        ("/ready?limit=1", keeper("b")),
        ("/admin/shops/b/ready", boss()),
        ("/whole", boss()),
    ] {
        assert!(shops.is_hit(path, &token).await, "{path}");
    }
    assert_eq!(shops.get("/ready", &keeper("b")).await.json()["sales"], json!([{"id": 2}]));
    assert!(!shops.is_hit("/ready?limit=2", &keeper("a")).await);
    // Before its time nothing is looked after.
    shops.clock.forward(10 * MINUTE - 1);
    round(0, 0).await;
    shops.clock.forward(1);
    round(0, 4).await;
    // The whole is kept for less time than until its next look.
    shops.clock.forward(5 * MINUTE);
    round(1, 0).await;
    shops.sell("a", 3, "new", "2026-03-02T00:00:00Z").await;
    shops.clock.forward(5 * MINUTE);
    // Of the tenant that was written to alone.
    round(2, 2).await;
    assert!(shops.is_hit("/ready", &keeper("a")).await);
    assert_eq!(shops.get("/ready", &keeper("a")).await.json()["sales"], json!([{"id": 1}, {"id": 3}]));
}

#[tokio::test]
async fn nothing_is_computed_beforehand_while_the_data_is_opened() {
    let clock = MovingClock::at(Instant::parse(START).unwrap());
    let components = Components { clock, ..components() };
    let server = Server::new(components, vec![App::new(kept_pack())], Settings::default()).unwrap();
    assert_eq!(server.warm().await, ebbtide_server::Warmed::default());
}

#[tokio::test]
async fn a_query_is_kept_too_unless_it_says_otherwise() {
    let shops = Shops::open(Settings::default()).await;
    let ask = async |shop: &str, more: Json| {
        let mut query =
            json!({"kind": "trend", "stream": "sales", "entity": {}, "measure": "total", "interval": "all"});
        query.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = shops.shops.post("/v1/query", &keeper(shop), &query).await;
        (answer.json(), answer.header("x-cache").to_owned(), answer.header("age").to_owned())
    };
    let (first, state, _) = ask("a", json!({})).await;
    assert_eq!((&first["result"]["data"], state.as_str()), (&json!([1]), "miss"));
    shops.clock.forward(SECOND);
    // A default that is written out is the same question; another tenant's never is.
    let (second, state, age) = ask("a", json!({"tz": "America/New_York"})).await;
    assert_eq!((second, state.as_str(), age.as_str()), (first, "hit", "1"));
    assert_eq!(ask("b", json!({})).await.1, "miss");
    assert_eq!(ask("a", json!({"cache": false})).await.1, "miss");
    assert_eq!(ask("a", json!({"cache": false})).await.0["query"]["cache"], json!(false));
    assert_eq!(ask("a", json!({})).await.0["query"]["cache"], json!(true));
    assert_eq!(ask("a", json!({"as_of": "2026-03-05"})).await.1, "miss");
    assert_eq!(ask("a", json!({"interval": "month"})).await.1, "miss");
    shops.sell("b", 3, "of b", "2026-03-02T00:00:00Z").await;
    assert_eq!(ask("a", json!({})).await.1, "hit");
    shops.sell("a", 4, "of a", "2026-03-06T17:21:00Z").await;
    let (later, state, _) = ask("a", json!({})).await;
    assert_eq!((&later["result"]["data"], state.as_str()), (&json!([1]), "miss"));
    shops.clock.set("2026-03-06T17:21:00Z");
    let (then, state, _) = ask("a", json!({})).await;
    assert_eq!((&then["result"]["data"], state.as_str()), (&json!([2]), "miss"));
    let churned = async || {
        let query = json!({"kind": "churn", "stream": "sales", "entity": {}});
        ((), shops.shops.post("/v1/query", &keeper("a"), &query).await.header("x-cache").to_owned())
    };
    assert_eq!(churned().await.1, "miss");
    shops.clock.forward(SECOND - 1);
    assert_eq!(churned().await.1, "hit");
    shops.clock.forward(1);
    assert_eq!(churned().await.1, "miss");
}
