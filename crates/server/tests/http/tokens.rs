//! Tokens that admins have minted: of which rights, and what those that are bound to a report open.

use ebbtide_model::pack::Pack;
use ebbtide_server::apps::bundled;
use ebbtide_server::{App, Components, Server, Settings};
use serde_json::{Value as Json, json};

use crate::support::*;

fn admin_of(club: u32) -> String {
    token(json!({"role": "admin", "tenant": club}))
}

async fn mint(club: &Club, given: &str, body: Json) -> Answer {
    club.post("/v1/tokens", given, &body).await
}

async fn minted(club: &Club, given: &str, body: Json) -> String {
    let answer = mint(club, given, body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_minted_token_says_what_was_asked_and_signs_in() {
    let club = Club::open().await;
    let wanted = json!({"role": "owner", "tenant": 1, "sub": 7, "plan": "pro", "ttl": "15m"});
    let answer = mint(&club, &admin(), wanted).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), "no-store");
    let json = answer.json();
    assert_eq!(json["expires_at"], json!("2026-03-15T12:15:00Z"));
    let exp = now().micros() / 1_000_000 + 900;
    let claims = json!({"aud": "club", "role": "owner", "tenant": "1", "sub": "7", "plan": "pro", "exp": exp, "minted": true});
    assert_eq!(json["claims"], claims);
    let own = club.get("/club/visits", json["token"].as_str().unwrap()).await;
    assert_eq!(own.json()["visits"].as_array().unwrap().len(), 2);
    // An admin without a tenant may have one made that has none, too; an hour is what it gets.
    let json = mint(&club, &admin(), json!({"role": "admin"})).await.json();
    assert_eq!(
        (&json["expires_at"], &json["claims"]["tenant"]),
        (&json!("2026-03-15T13:00:00Z"), &Json::Null)
    );
    let all = club.get("/totals", json["token"].as_str().unwrap()).await;
    assert_eq!(all.json()["visits"], json!(3));
}

#[tokio::test]
async fn nobody_mints_more_than_they_may_themselves() {
    let club = Club::open().await;
    let check = async |given: &str, body: Json, status: u16, code: &str| {
        mint(&club, given, body).await.assert_problem(status, code);
    };
    let any = json!({"role": "owner"});
    check("", any.clone(), 401, "token_missing").await;
    check(&owner(1), any.clone(), 403, "role_forbidden").await;
    check(&token(json!({"role": "writer", "tenant": 1})), any.clone(), 403, "role_forbidden").await;
    check(&token(json!({"tenant": 1})), any.clone(), 403, "role_forbidden").await;
    check(&admin_of(1), json!({"role": "owner", "tenant": 2}), 403, "forbidden").await;
    check(&admin_of(1), json!({"role": "owner", "plan": "pro"}), 403, "forbidden").await;
    let paying = token(json!({"role": "admin", "tenant": 1, "plan": "basic"}));
    check(&paying, json!({"role": "owner", "plan": "pro"}), 403, "forbidden").await;
    let claims = mint(&club, &paying, json!({"role": "owner", "plan": "basic"})).await.json();
    assert_eq!(claims["claims"]["plan"], json!("basic"));
    let claims = mint(&club, &paying, json!({"role": "owner"})).await.json();
    assert_eq!((&claims["claims"]["tenant"], &claims["claims"]["plan"]), (&json!("1"), &json!("basic")));
    // What is minted mints nothing, and so does what is bound to a report.
    let again = minted(&club, &admin(), json!({"role": "admin"})).await;
    check(&again, any.clone(), 403, "forbidden").await;
    let embed = json!({"report": "totals", "origin": "https://a.example"});
    let bound = minted(&club, &admin(), json!({"role": "admin", "embed": embed})).await;
    check(&bound, any, 403, "forbidden").await;
}

#[tokio::test]
async fn what_a_token_cannot_be_is_told_by_its_field() {
    let club = Club::open().await;
    let check = async |body: Json, told: &str| {
        let answer = mint(&club, &admin(), body.clone()).await;
        answer.assert_problem(422, "body_invalid");
        assert!(answer.json()["detail"].as_str().unwrap().starts_with(told), "{body}: {}", answer.text());
    };
    check(json!([]), "(the whole)").await;
    check(json!({}), "role: is missing").await;
    check(json!({"role": ""}), "role: \"\" was given").await;
    check(json!({"role": 7}), "role: 7 was given").await;
    check(json!({"role": "owner", "rôle": 1}), "rôle: is no field here").await;
    check(json!({"role": "owner", "tenant": 1.5}), "tenant: 1.5 was given").await;
    check(json!({"role": "owner", "sub": ""}), "sub: \"\" was given").await;
    check(json!({"role": "owner", "ttl": "31d"}), "ttl: \"31d\" was given; allowed is a time from 1s to 30d")
        .await;
    check(json!({"role": "owner", "ttl": 0}), "ttl: 0 was given").await;
    let embed = |embed: Json| json!({"role": "owner", "tenant": 1, "embed": embed});
    let origin = "https://a.example";
    check(embed(json!({"origin": origin})), "embed.report: is missing").await;
    check(embed(json!({"report": "visits"})), "embed.origin: is missing").await;
    check(embed(json!({"report": "visit", "origin": origin})), "embed.report: \"visit\" is no report").await;
    check(embed(json!({"report": "late", "origin": origin})), "embed.report: \"late\" is not open").await;
    for bad in [
        "*",
        "https://a.example/",
        "a.example",
        "https://a.example https://b.example",
        "null",
        "https://*.a.example",
    ] {
        check(embed(json!({"report": "visits", "origin": bad})), "embed.origin: ").await;
    }
    let params = |params: Json| embed(json!({"report": "visits", "origin": origin, "params": params}));
    check(
        params(json!({"limt": 5})),
        "embed.params.limt: is no parameter of the report visits (did you mean",
    )
    .await;
    check(params(json!({"limit": 500})), "embed.params.limit: parameter limit: \"500\" was given").await;
    check(params(json!({"limit": [5]})), "embed.params.limit: [5] was given").await;
    check(params(json!({"as_of": "yesterday"})), "embed.params.as_of: ").await;
    // Without a tenant of its own the path's would be the bearer's to choose.
    let all = json!({"role": "admin", "embed": {"report": "visits", "origin": origin}});
    check(all, "embed.params: ").await;
}

#[tokio::test]
async fn a_server_without_a_secret_mints_nothing() {
    let parts = Components { signer: None, ..components() };
    let server = Server::new(parts, vec![App::new(pack())], Settings::default()).unwrap();
    assert!(server.opened(memory_store(&[pack()])).is_ok());
    let club = Club::of(server);
    mint(&club, &admin(), json!({"role": "owner", "tenant": 1}))
        .await
        .assert_problem(409, "minting_unavailable");
    mint(&club, &owner(1), json!({"role": "owner"})).await.assert_problem(403, "role_forbidden");
}

#[tokio::test]
async fn where_a_table_says_whose_a_user_is_a_tenant_names_its_own_users_alone() {
    let packs = vec![Pack::parse(bundled("chatbot").unwrap()).unwrap()];
    let server = start(packs.clone(), Settings::default()).unwrap();
    assert!(server.opened(memory_store(&packs)).is_ok());
    let club = Club::of(server);
    let of_app = |claims: Json| {
        let mut claims = claims;
        claims["aud"] = json!("chatbot");
        token(claims)
    };
    let all = of_app(json!({"role": "admin"}));
    let companies = json!([
        {"id": "1", "owner_id": "7", "name": "One"},
        {"id": "2", "owner_id": "8", "name": "Two"},
    ]);
    let answer = club.post("/v1/tables/companies/rows", &all, &companies).await;
    assert_eq!(answer.json()["accepted"], json!(2), "{}", answer.text());
    let of_one = of_app(json!({"role": "admin", "tenant": "1"}));
    mint(&club, &of_one, json!({"role": "user", "sub": 8})).await.assert_problem(403, "forbidden");
    mint(&club, &of_one, json!({"role": "user", "sub": 9})).await.assert_problem(403, "forbidden");
    minted(&club, &of_one, json!({"role": "user", "sub": 7})).await;
    minted(&club, &of_one, json!({"role": "user"})).await;
    minted(&club, &all, json!({"role": "user", "sub": 8})).await;
}

/// A token for `visits` of club 1, with `limit` fixed.
async fn bound(club: &Club) -> String {
    let embed = json!({"report": "visits", "params": {"limit": 1}, "origin": "https://a.example"});
    minted(club, &admin(), json!({"role": "owner", "tenant": 1, "embed": embed})).await
}

#[tokio::test]
async fn a_token_of_a_report_opens_that_report_and_nothing_else() {
    let club = Club::open().await;
    let bound = bound(&club).await;
    let own = club.get("/club/visits", &bound).await;
    assert_eq!(own.json()["visits"].as_array().unwrap().len(), 1, "{}", own.text());
    for path in [
        "/totals",
        "/club/monthly",
        "/club/late",
        "/club/monthly?format=csv",
        "/v1/schema",
        "/v1/keys",
        "/v1/cohorts",
        "/v1/live/totals",
        "/v1/live/monthly",
        "/v1/live/nothing",
    ] {
        club.get(path, &bound).await.assert_problem(403, "forbidden");
    }
    for path in [
        "/v1/query",
        "/v1/sql",
        "/v1/explain",
        "/v1/cohorts",
        "/v1/tables/visits/rows",
        "/v1/keys",
        "/v1/tokens",
        "/v1/capture",
        "/v1/actors",
        "/v1/alias",
    ] {
        club.post(path, &bound, &json!({})).await.assert_problem(403, "forbidden");
    }
    // Another path of the same report is open to its roles alone, as ever.
    club.get("/admin/clubs/1/visits", &bound).await.assert_problem(403, "role_forbidden");
    // Of a writer or an admin, too.
    for role in ["admin", "writer", "analyst"] {
        let embed = json!({"report": "monthly", "origin": "https://a.example"});
        let strong = minted(&club, &admin(), json!({"role": role, "tenant": 1, "embed": embed})).await;
        assert_eq!(club.get("/club/monthly", &strong).await.status, 200);
        for path in ["/v1/query", "/v1/sql", "/v1/capture", "/v1/tables/visits/rows", "/v1/keys"] {
            club.post(path, &strong, &json!([])).await.assert_problem(403, "forbidden");
        }
        club.get("/totals", &strong).await.assert_problem(403, "forbidden");
        club.get("/club/monthly?refresh=true", &strong).await.assert_problem(403, "forbidden");
    }
}

#[tokio::test]
async fn what_a_token_fixes_its_bearer_cannot_change() {
    let club = Club::open().await;
    let bound = bound(&club).await;
    let whole = club.get("/club/visits", &bound).await;
    assert_eq!(club.get("/club/visits?limit=1", &bound).await.body, whole.body);
    assert_eq!(club.get("/club/visits?format=json&refresh=false", &bound).await.body, whole.body);
    // Another value is refused wherever it stands, and before anything else is looked at.
    for query in [
        "limit=2",
        "limit=01",
        "limit=2&limit=1",
        "limit=1&limit=2",
        "limit=",
        "limit=x",
        "format=csv",
        "format=xlsx",
        "format=pdf",
        "refresh=true",
    ] {
        club.get(&format!("/club/visits?{query}"), &bound).await.assert_problem(403, "forbidden");
        if !query.starts_with("format") && !query.starts_with("refresh") {
            club.get(&format!("/v1/live/visits?{query}"), &bound).await.assert_problem(403, "forbidden");
        }
    }
    // What is not fixed is as for any caller.
    club.get("/club/visits?as_of=x", &bound).await.assert_problem(422, "parameter_invalid");
    assert_eq!(club.get("/club/visits?as_of=2026-01-01", &bound).await.json()["visits"], json!([]));
    // A path's parameter is fixed like any other.
    let embed = json!({"report": "visits", "params": {"club_id": 2}, "origin": "https://a.example"});
    let of_two = minted(&club, &admin(), json!({"role": "admin", "embed": embed})).await;
    assert_eq!(club.get("/admin/clubs/2/visits", &of_two).await.json()["visits"][0]["id"], json!(3));
    club.get("/admin/clubs/1/visits", &of_two).await.assert_problem(403, "forbidden");
    club.get("/admin/clubs/02/visits", &of_two).await.assert_problem(403, "forbidden");
}

#[tokio::test]
async fn a_claim_that_binds_is_never_passed_over() {
    let club = Club::open().await;
    let good = json!({"report": "visits", "params": {}, "origin": "https://a.example"});
    let with = |embed: Json| token(json!({"role": "admin", "tenant": 1, "embed": embed}));
    assert_eq!(club.get("/club/visits", &with(good.clone())).await.status, 200);
    for bad in [
        json!(true),
        json!("visits"),
        json!([]),
        json!({}),
        json!({"report": "visits"}),
        json!({"origin": "https://a.example"}),
        json!({"report": "visits", "origin": "*"}),
        json!({"report": "visits", "origin": "https://a.example", "parms": {}}),
        json!({"report": "visits", "origin": "https://a.example", "params": [1]}),
        json!({"report": "", "origin": "https://a.example"}),
    ] {
        for path in ["/club/visits", "/totals", "/v1/schema"] {
            club.get(path, &with(bad.clone())).await.assert_problem(401, "token_claims");
        }
    }
    let of_two = token(json!({"aud": ["club", "other"], "role": "admin", "tenant": 1, "embed": good}));
    club.get("/club/visits", &of_two).await.assert_problem(401, "token_claims");
    club.get("/v1/schema", &token(json!({"role": "admin", "minted": "yes"})))
        .await
        .assert_problem(401, "token_claims");
    // What the host has bound to a name that is no parameter here would bind nothing.
    let misspelt = json!({"report": "visits", "params": {"club": 1}, "origin": "https://a.example"});
    club.get("/club/visits", &with(misspelt)).await.assert_problem(403, "forbidden");
    // And one without a tenant lets nobody choose one.
    let open = token(json!({"role": "admin", "embed": good}));
    club.get("/admin/clubs/1/visits", &open).await.assert_problem(403, "forbidden");
}
