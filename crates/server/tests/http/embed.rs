//! Reports in other sites' pages: who may frame them, which pages may ask, and that no token is told to others.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::json;

use crate::support::*;

const HOST: &str = "https://school.example";
const OTHER: &str = "https://evil.example";

/// For `visits` of club 1, as its host would sign it.
fn bound() -> String {
    token(json!({
        "role": "owner", "tenant": 1,
        "embed": {"report": "visits", "params": {"limit": 1}, "origin": HOST},
    }))
}

async fn post_form(club: &Club, path: &str, form: &str) -> Answer {
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("content-type", "application/x-www-form-urlencoded")
        // What a form of a page that tells nobody its address sends.
        .header("origin", "null")
        .body(Body::from(form.to_owned()))
        .unwrap();
    club.send(request).await
}

#[tokio::test]
async fn anybody_may_frame_the_first_page_and_nothing_is_in_it() {
    let club = Club::open().await;
    let first = club.get("/embed/visits", "").await;
    assert_eq!((first.status.as_u16(), first.header("content-type")), (200, "text/html; charset=utf-8"));
    let policy = first.header("content-security-policy");
    for part in ["default-src 'none'", "script-src 'self'", "form-action 'self'", "frame-ancestors *"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert_eq!(first.header("referrer-policy"), "no-referrer");
    assert_eq!(first.header("x-frame-options"), "");
    // Whether there is such a report is not told.
    assert_eq!(club.get("/embed/nothing", "").await.body, first.body);
    for path in ["/embed/open.js", "/embed/page.css"] {
        assert!(first.text().contains("/embed/open.js"), "{}", first.text());
        assert_eq!(club.get(path, "").await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn the_page_that_draws_is_framed_by_the_tokens_origin_alone() {
    let club = Club::open().await;
    let token = bound();
    let drawn = post_form(&club, "/embed/visits?theme=dark&lang=ko&limit=1", &format!("token={token}")).await;
    assert_eq!(drawn.status, 200, "{}", drawn.text());
    let policy = drawn.header("content-security-policy");
    assert!(policy.ends_with(&format!("frame-ancestors {HOST}")), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    assert_eq!((drawn.header("referrer-policy"), drawn.header("cache-control")), ("no-referrer", "no-store"));
    assert_eq!(drawn.header("x-frame-options"), "");
    let element =
        format!("<ebbtide-chart framed token=\"{token}\" theme=\"dark\" lang=\"ko\" params=\"limit=1\">");
    assert!(drawn.text().contains(&element), "{}", drawn.text());
}

#[tokio::test]
async fn what_an_address_says_becomes_no_markup() {
    let club = Club::open().await;
    let form = format!("token={}", bound());
    let path = "/embed/visits?theme=%22%3E%3Cscript%3E&lang=%3Cb%3E&x=%22%3E%3Cscript%3E&y='\">";
    let drawn = post_form(&club, &path.replace('"', "%22").replace('>', "%3E"), &form).await;
    assert_eq!(drawn.status, 200);
    assert_eq!(drawn.text().matches("<script").count(), 1, "{}", drawn.text());
    assert!(!drawn.text().contains("theme=") && drawn.text().contains("lang=\"en\""), "{}", drawn.text());
}

#[tokio::test]
async fn no_page_is_drawn_for_another_token_or_none() {
    let club = Club::open().await;
    let check = async |path: &str, form: String, status: u16, code: &str| {
        let answer = post_form(&club, path, &form).await;
        answer.assert_problem(status, code);
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"));
    };
    check("/embed/visits", String::new(), 401, "token_missing").await;
    check("/embed/visits", "token=".to_owned(), 401, "token_missing").await;
    check("/embed/visits", "token=abc".to_owned(), 401, "token_invalid").await;
    check("/embed/visits", "token=%00".to_owned(), 401, "token_invalid").await;
    check("/embed/totals", format!("token={}", bound()), 403, "forbidden").await;
    check("/embed/visits", format!("token={}", admin()), 403, "forbidden").await;
    let past = json!({"role": "owner", "tenant": 1, "exp": 1, "embed": {"report": "visits", "origin": HOST}});
    check("/embed/totals", format!("token={}", token(past.clone())), 401, "token_expired").await;
    let forged = token_of(b"another secret of forty bytes, or nearly.", past);
    check("/embed/visits", format!("token={forged}"), 401, "token_invalid").await;
    let plain = token(json!({"role": "owner", "tenant": 1, "exp": 1}));
    check("/embed/visits", format!("token={plain}"), 401, "token_expired").await;
    for claim in [json!(null), json!({}), json!(5), json!([]), json!({"report": "visits"})] {
        let unread = token(json!({"role": "owner", "tenant": 1, "embed": claim}));
        check("/embed/visits", format!("token={unread}"), 401, "token_claims").await;
        club.get("/v1/schema", &unread).await.assert_problem(401, "token_claims");
    }
    club.post("/embed/visits", "", &json!({"token": bound()})).await.assert_problem(415, "media_type");
    let long = format!("token={}", "a".repeat(17 << 10));
    check("/embed/visits", long, 413, "body_too_large").await;
    club.send(request(Method::DELETE, "/embed/visits", "", Body::empty()))
        .await
        .assert_problem(405, "method_not_allowed");
}

/// It draws nothing, and tells the page around it, which may give it another token.
#[tokio::test]
async fn a_token_that_has_ended_gets_a_page_that_can_tell_its_origin() {
    let club = Club::open().await;
    let past = json!({"role": "owner", "tenant": 1, "exp": 1, "embed": {"report": "visits", "origin": HOST}});
    let token = token(past);
    let told = post_form(&club, "/embed/visits?lang=ko", &format!("token={token}")).await;
    assert_eq!((told.status.as_u16(), told.header("content-type")), (401, "text/html; charset=utf-8"));
    assert!(told.header("content-security-policy").ends_with(&format!("frame-ancestors {HOST}")));
    assert_eq!((told.header("referrer-policy"), told.header("cache-control")), ("no-referrer", "no-store"));
    assert!(told.text().contains(&format!("<ebbtide-chart framed token=\"{token}\" lang=\"ko\"")));
    // What it asks is refused as ever.
    club.get("/v1/embed", &token).await.assert_problem(401, "token_expired");
}

#[tokio::test]
async fn a_bound_token_is_told_of_its_report() {
    let club = Club::open().await;
    let told = club.get("/v1/embed", &bound()).await.json();
    assert_eq!(told["report"], json!("visits"));
    assert_eq!(told["path"], json!("/club/visits"));
    assert_eq!((&told["answer"], &told["live"]), (&json!("/v1/embed/answer"), &json!("/v1/embed/live")));
    assert_eq!(told["fixed"], json!({"limit": "1"}));
    let expires = now().micros() / 1_000_000 + 90;
    let soon =
        json!({"role": "owner", "tenant": 1, "exp": expires, "embed": {"report": "visits", "origin": HOST}});
    assert_eq!(club.get("/v1/embed", &token(soon)).await.json()["expires_in_s"], 90);
    assert_eq!(told["timezone"], json!("Asia/Seoul"));
    let document = club.get("/openapi.json", "").await.json();
    assert_eq!(told["operation"], document["paths"]["/club/visits"]["get"]);
    // Of two paths the one that the token fixes whole.
    let of_two = json!({"role": "admin", "tenant": 2, "embed": {"report": "visits", "params": {"club_id": 2}, "origin": HOST}});
    let told = club.get("/v1/embed", &token(of_two)).await.json();
    assert_eq!(told["path"], json!("/admin/clubs/{club_id}/visits"));
    for path in ["/v1/embed", "/v1/embed/answer", "/v1/embed/live"] {
        let refused = club.get(path, &admin()).await;
        refused.assert_problem(403, "forbidden");
        assert!(refused.text().contains("GET /v1/schema"), "{}", refused.text());
        club.get(path, "").await.assert_problem(401, "token_missing");
    }
    let closed = json!({"role": "viewer", "tenant": 1, "embed": {"report": "visits", "origin": HOST}});
    club.get("/v1/embed", &token(closed)).await.assert_problem(403, "forbidden");
}

/// The answer of the report's own path, whatever way its parameters are given.
#[tokio::test]
async fn a_bound_token_asks_its_report_without_naming_it() {
    let club = Club::open().await;
    let check = async |claims: serde_json::Value, query: &str, own: &str| {
        let token = token(claims);
        let answer = club.get(&format!("/v1/embed/answer{query}"), &token).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.body, club.get(own, &token).await.body, "{query}");
    };
    let as_of = "as_of=2026-01-31";
    let of_owner = json!({"role": "owner", "tenant": 1, "embed": {"report": "visits", "params": {"limit": 1}, "origin": HOST}});
    check(of_owner, &format!("?{as_of}"), &format!("/club/visits?{as_of}")).await;
    let of_admin = json!({"role": "admin", "tenant": 2, "embed": {"report": "visits", "params": {"club_id": 2}, "origin": HOST}});
    let own = format!("/admin/clubs/2/visits?{as_of}");
    check(of_admin.clone(), &format!("?{as_of}"), &own).await;
    check(of_admin.clone(), &format!("?{as_of}&club_id=2"), &own).await;
    for query in ["club_id=1", "format=csv", "refresh=true"] {
        let refused = club.get(&format!("/v1/embed/answer?{query}"), &token(of_admin.clone())).await;
        refused.assert_problem(403, "forbidden");
    }
    club.get("/v1/embed/answer?as_of=x", &bound()).await.assert_problem(422, "parameter_invalid");
    club.get("/v1/embed/nothing", &bound()).await.assert_problem(404, "path_unknown");
}

async fn asked_from(club: &Club, path: &str, token: &str, origin: &str) -> Answer {
    club.get_with(path, token, &[("origin", origin), ("host", "analytics.example")]).await
}

#[tokio::test]
async fn pages_of_the_tokens_origin_may_ask_and_read_and_no_others() {
    let club = Club::open().await;
    for path in ["/v1/embed/answer", "/v1/embed"] {
        let own = asked_from(&club, path, &bound(), HOST).await;
        assert_eq!(own.status, 200, "{path}: {}", own.text());
        assert_eq!(own.header("access-control-allow-origin"), HOST, "{path}");
        assert_eq!(own.header("access-control-allow-credentials"), "", "{path}");
        assert!(own.header("vary").contains("Origin"), "{path}");
        assert!(own.header("access-control-expose-headers").contains("etag"), "{path}");
        for other in [OTHER, "null", "https://school.example.evil.example", "http://school.example"] {
            let refused = asked_from(&club, path, &bound(), other).await;
            refused.assert_problem(403, "forbidden");
            assert_eq!(refused.header("access-control-allow-origin"), "", "{path} {other}");
        }
        // The embedded page asks its own server.
        assert_eq!(asked_from(&club, path, &bound(), "https://analytics.example").await.status, 200);
        assert_eq!(club.get(path, &bound()).await.status, 200);
    }
    // What is wrong may be read, too.
    let wrong = asked_from(&club, "/v1/embed/answer?as_of=x", &bound(), HOST).await;
    assert_eq!((wrong.status.as_u16(), wrong.header("access-control-allow-origin")), (422, HOST));
    let expired =
        json!({"role": "owner", "tenant": 1, "exp": 1, "embed": {"report": "visits", "origin": HOST}});
    let expired = asked_from(&club, "/v1/embed/answer", &token(expired), HOST).await;
    assert_eq!((expired.status.as_u16(), expired.header("access-control-allow-origin")), (401, HOST));
    // A token that is bound to no origin, and one that somebody else signed, open none.
    let plain = asked_from(&club, "/v1/embed/answer", &owner(1), HOST).await;
    assert_eq!((plain.status.as_u16(), plain.header("access-control-allow-origin")), (403, ""));
    let forged = json!({"role": "owner", "tenant": 1, "embed": {"report": "visits", "origin": OTHER}});
    let forged = token_of(b"another secret of forty bytes, or nearly.", forged);
    assert_eq!(
        asked_from(&club, "/v1/embed/answer", &forged, OTHER).await.header("access-control-allow-origin"),
        ""
    );
}

/// The report's own paths follow the server's rules, whoever asks.
#[tokio::test]
async fn on_other_paths_a_bound_token_opens_no_page_of_another_site() {
    let club = Club::open().await;
    for path in ["/club/visits", "/v1/live/visits"] {
        let asked = asked_from(&club, path, &bound(), OTHER).await;
        asked.assert_problem(403, "forbidden");
        assert_eq!(asked.header("access-control-allow-origin"), "", "{path}");
    }
    let own = asked_from(&club, "/club/visits", &bound(), HOST).await;
    assert_eq!((own.status.as_u16(), own.header("access-control-allow-origin")), (200, ""));
}

#[tokio::test]
async fn a_listener_of_a_bound_token_is_of_its_origin() {
    let club = Club::open().await;
    let path = format!("/v1/embed/live?token={}", bound());
    let refused = asked_from(&club, &path, "", OTHER).await;
    refused.assert_problem(403, "forbidden");
    let headers = [("origin", HOST), ("host", "analytics.example")];
    let mut asked = request(Method::GET, &path, "", Body::empty());
    for (name, value) in headers {
        asked.headers_mut().insert(name, value.parse().unwrap());
    }
    let heard = tower::ServiceExt::oneshot(club.router.clone(), asked).await.unwrap();
    assert_eq!(heard.status(), 200);
    assert_eq!(heard.headers()["access-control-allow-origin"], HOST);
}

#[tokio::test]
async fn the_scripts_of_other_sites_pages_may_be_loaded_from_anywhere_where_they_were_built() {
    let club = Club::open().await;
    for name in ["embed.js", "tracker.js"] {
        let script = asked_from(&club, &format!("/{name}"), "", OTHER).await;
        if ebbtide_web::file(name).is_none() {
            script.assert_problem(404, "path_unknown");
            continue;
        }
        assert_eq!(script.status, 200, "{name}");
        assert_eq!(script.header("access-control-allow-origin"), "*", "{name}");
        assert_eq!(script.header("cross-origin-resource-policy"), "cross-origin", "{name}");
        assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8", "{name}");
    }
    for file in ebbtide_web::FILES.iter().filter(|file| file.name.starts_with("embed/")) {
        let chunk = asked_from(&club, &format!("/{}", file.name), "", OTHER).await;
        assert_eq!(
            (chunk.status.as_u16(), chunk.header("access-control-allow-origin")),
            (200, "*"),
            "{}",
            file.name
        );
        assert!(chunk.header("cache-control").contains("immutable"), "{}", file.name);
    }
}

/// What bound tokens alone open: there a page may ask whether it may send one.
#[tokio::test]
async fn a_page_may_ask_whether_it_may_send_a_bound_token() {
    let club = Club::open().await;
    let asked_by = async |origin: &str, path: &str, method: &str| {
        let request = Request::builder()
            .method(Method::OPTIONS)
            .uri(path)
            .header("origin", origin)
            .header("access-control-request-method", method)
            .header("access-control-request-headers", "authorization")
            .body(Body::empty())
            .unwrap();
        club.send(request).await
    };
    let asked = async |path: &str, method: &str| asked_by(HOST, path, method).await;
    for path in ["/v1/embed", "/v1/embed/answer", "/v1/embed/live"] {
        let answer = asked(path, "GET").await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("access-control-allow-origin")),
            (204, HOST),
            "{path}"
        );
        assert_eq!(answer.header("access-control-allow-methods"), "GET", "{path}");
        assert!(answer.header("access-control-allow-headers").contains("authorization"), "{path}");
        assert_eq!(answer.header("access-control-allow-credentials"), "", "{path}");
        assert_eq!(asked(path, "POST").await.header("access-control-allow-origin"), "", "{path}");
        for nobody in ["null", "*", "https://school.example/"] {
            let answer = asked_by(nobody, path, "GET").await;
            assert_eq!(answer.header("access-control-allow-origin"), "", "{path} {nobody}");
        }
    }
    for path in [
        "/club/visits",
        "/admin/clubs/1/visits",
        "/totals",
        "/v1/live/visits",
        "/v1/embed/nothing",
        "/embed/visits",
        "/v1/query",
        "/v1/sql",
        "/v1/tokens",
        "/v1/schema",
        "/nowhere",
        "/club/visits/more",
        "/admin/clubs//visits",
    ] {
        assert_eq!(asked(path, "GET").await.header("access-control-allow-origin"), "", "{path}");
    }
}
