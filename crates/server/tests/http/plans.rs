//! Callers whose tenant and plan a table says, and reports about their own caller.

use ebbtide_model::pack::Pack;
use ebbtide_server::Settings;
use serde_json::{Value as Json, json};

use crate::support::*;

const PACK: &str = r#"
pack: club
tenant_table: companies
access:
  tenant: SELECT id FROM companies WHERE owner = $sub ORDER BY id LIMIT 1
  unknown: Company not found
  plan: SELECT plan FROM subscriptions WHERE user_id = $sub AND status = 'active' ORDER BY id LIMIT 1
  default_plan: free
  upgrade: {analytics: Analytics needs Pro.}
plans:
  free: {analytics: false, rows_limit: 10}
  pro: {analytics: true, rows_limit: 100}
tables:
  companies: {kind: entity, key: id, tenant: id, columns: {id: text, owner: text}}
  subscriptions: {kind: entity, key: id, tenant: {fixed: all}, columns: {id: text, user_id: text, plan: text, status: text}}
  bots: {kind: entity, key: id, tenant: company, columns: {id: text, company: text, created_at: timestamp}}
  users: {kind: entity, key: id, tenant: {column: company, default: main}, columns: {id: int, company: text?}}
reports:
  bots:
    requires: analytics
    routes: [{path: /bots, tenant: access}]
    params: {limit: {type: int, default: 5, max: 9}}
    response:
      bots: {column: SELECT id FROM bots ORDER BY id LIMIT $limit}
      caller: $sub
      plan: $plan
      rows_limit: $rows_limit
  bot:
    requires: analytics
    routes: [{path: "/bots/{bot}", tenant: access}]
    params: {bot: {type: text, key_of: bots, missing: Bot not found}}
    response: {id: $bot}
  user:
    routes:
      - {path: "/users/{user}", roles: [admin], self: $user, tenant: {default: main}}
      - {path: /me, tenant: {default: main}, set: {user: $sub}}
      - {path: "/private/{user}", self: $user, tenant: {default: main}}
    params: {user: {type: int, key_of: users, missing: User not found}}
    response: {id: $user, users: {column: SELECT id FROM users ORDER BY id}}
  one_user:
    routes: [{path: /some-user, roles: [admin], tenant: all_for_admin}]
    params: {user: {type: int?, key_of: users, missing: User not found}}
    response: {id: $user, all: {value: SELECT count(*) FROM users}}
"#;

pub(crate) async fn served() -> Club {
    let pack = Pack::parse(PACK).unwrap_or_else(|faults| panic!("{faults:#?}"));
    let server = start(vec![pack.clone()], Settings::default()).unwrap();
    assert!(server.opened(memory_store(&[pack])).is_ok());
    let club = Club::of(server);
    let bot =
        |id: &str, company: &str, created: &str| json!({"id": id, "company": company, "created_at": created});
    let subscription = |id: &str, user: &str, plan: &str, status: &str| json!({"id": id, "user_id": user, "plan": plan, "status": status});
    for (table, rows) in [
        (
            "companies",
            json!([{"id": "co-1", "owner": "ann"}, {"id": "co-2", "owner": "bob"}, {"id": "co-0", "owner": "bob"}, {"id": "main", "owner": "us"}]),
        ),
        (
            "subscriptions",
            json!([
                subscription("2", "ann", "pro", "active"),
                subscription("1", "ann", "free", "expired"),
                subscription("3", "bob", "pro", "active"),
                subscription("4", "bob", "free", "active"),
                subscription("5", "eve", "pro", "active"),
                subscription("6", "gus", "gold", "active"),
            ]),
        ),
        (
            "bots",
            json!([
                bot("a", "co-1", "2026-01-01"),
                bot("future", "co-1", "2099-01-01"),
                bot("b", "co-2", "2026-01-01"),
                bot("c", "co-0", "2026-01-01"),
            ]),
        ),
        (
            "users",
            json!([{"id": 7, "company": null}, {"id": 8, "company": "main"}, {"id": 9, "company": "co-1"}]),
        ),
    ] {
        let answer = club.post(&format!("/v1/tables/{table}/rows"), &admin(), &rows).await;
        assert_eq!(answer.json()["rejected"], json!([]), "{table}: {}", answer.text());
    }
    club
}

pub(crate) fn user(sub: &str) -> String {
    token(json!({"sub": sub}))
}

fn detail(answer: &Answer) -> Json {
    answer.json()["detail"].clone()
}

#[tokio::test]
async fn a_table_says_whose_rows_a_caller_sees_and_by_which_plan() {
    let club = served().await;
    let ann = club.get("/bots", &user("ann")).await;
    assert_eq!(ann.json(), json!({"bots": ["a"], "caller": "ann", "plan": "pro", "rows_limit": 100}));
    // The smallest company and the smallest active subscription count, and nothing that the token says.
    let claims = json!({"sub": "bob", "tenant": "co-1", "plan": "free", "role": "viewer"});
    assert_eq!(club.get("/bots", &token(claims)).await.json()["bots"], json!(["c"]));
    let unknown = club.get("/bots", &user("eve")).await;
    unknown.assert_problem(404, "tenant_unknown");
    assert_eq!(detail(&unknown), "Company not found");
    for without in [
        user("nobody"),
        user("gus"),
        admin(),
        token(json!({"sub": "nobody", "plan": "pro", "tenant": "co-1"})),
    ] {
        let refused = club.get("/bots", &without).await;
        refused.assert_problem(402, "plan_required");
        assert_eq!(detail(&refused), "Analytics needs Pro.");
    }
}

#[tokio::test]
async fn a_change_of_the_deciding_tables_counts_at_once() {
    let club = served().await;
    let moved = json!([{"id": "co-1", "owner": "eve"}]);
    club.post("/v1/tables/companies/rows", &admin(), &moved).await;
    club.get("/bots", &user("ann")).await.assert_problem(404, "tenant_unknown");
    assert_eq!(club.get("/bots", &user("eve")).await.json()["bots"], json!(["a"]));
    let ended = json!([{"id": "5", "user_id": "eve", "plan": "pro", "status": "expired"}]);
    club.post("/v1/tables/subscriptions/rows", &admin(), &ended).await;
    club.get("/bots", &user("eve")).await.assert_problem(402, "plan_required");
}

#[tokio::test]
async fn plan_comes_before_parameters_and_parameters_before_what_is_not_there() {
    let club = served().await;
    let bad = "limit=10";
    club.get(&format!("/bots?{bad}"), "").await.assert_problem(401, "token_missing");
    club.get(&format!("/bots?{bad}"), &user("gus")).await.assert_problem(402, "plan_required");
    club.get(&format!("/bots?{bad}"), &user("eve")).await.assert_problem(422, "parameter_invalid");
    club.get("/bots", &user("eve")).await.assert_problem(404, "tenant_unknown");
    club.get("/bots/nowhere?as_of=yesterday", &user("ann")).await.assert_problem(422, "parameter_invalid");
}

#[tokio::test]
async fn a_key_that_is_not_there_is_404_with_the_packs_words_as_is_anothers_and_a_future_one() {
    let club = served().await;
    assert_eq!(club.get("/bots/a", &user("ann")).await.json(), json!({"id": "a"}));
    for path in ["/bots/b", "/bots/nowhere", "/bots/%25", "/bots/future", "/bots/a?as_of=2020-01-01"] {
        let missing = club.get(path, &user("ann")).await;
        missing.assert_problem(404, "not_found");
        assert_eq!(detail(&missing), "Bot not found", "{path}");
    }
    let one = |query: &'static str| format!("/some-user{query}");
    let own_admin = token(json!({"role": "admin", "tenant": "co-1"}));
    assert_eq!(
        club.get(&one(""), &own_admin).await.json(),
        json!({"id": null, "all": 3}),
        "all, for an admin"
    );
    assert_eq!(club.get(&one("?user=9"), &own_admin).await.json()["id"], 9);
    club.get(&one("?user=99"), &own_admin).await.assert_problem(404, "not_found");
    let wrong = club.get(&one("?user=abc"), &own_admin).await;
    wrong.assert_problem(422, "parameter_invalid");
    assert!(wrong.text().contains("user") && wrong.text().contains("abc"));
}

#[tokio::test]
async fn a_path_of_ones_own_is_for_its_user_and_the_roles() {
    let club = served().await;
    let of = |sub: Json, role: &str| token(json!({"sub": sub, "role": role}));
    let main = json!([7, 8]);
    assert_eq!(
        club.get("/users/7", &of(json!("7"), "student")).await.json()["users"],
        main,
        "a default tenant"
    );
    assert_eq!(club.get("/users/7", &of(json!(7), "student")).await.json()["id"], 7);
    assert_eq!(club.get("/users/8", &of(json!("1"), "admin")).await.json()["id"], 8);
    for other in ["/users/8", "/users/99", "/users/abc", "/users/%FF"] {
        club.get(other, &of(json!("7"), "student")).await.assert_problem(403, "role_forbidden");
    }
    club.get("/users/7", &token(json!({"role": "student"}))).await.assert_problem(403, "role_forbidden");
    club.get("/users/abc", &of(json!("1"), "admin")).await.assert_problem(422, "parameter_invalid");
    club.get("/users/9", &of(json!("1"), "admin")).await.assert_problem(404, "not_found");
    // Nobody but the user, where there are no roles.
    assert_eq!(club.get("/private/7", &of(json!("7"), "student")).await.status, 200);
    club.get("/private/7", &of(json!("8"), "admin")).await.assert_problem(403, "forbidden");

    assert_eq!(club.get("/me?user=8", &of(json!("7"), "student")).await.json()["id"], 7);
    for nobody in [json!("99"), json!("07"), json!("x")] {
        let missing = club.get("/me", &of(nobody, "student")).await;
        missing.assert_problem(404, "not_found");
        assert_eq!(detail(&missing), "User not found");
    }
    club.get("/me", &token(json!({"role": "student"}))).await.assert_problem(404, "not_found");
    let elsewhere = token(json!({"sub": "7", "tenant": "co-1"}));
    club.get("/me", &elsewhere).await.assert_problem(404, "not_found");
}
