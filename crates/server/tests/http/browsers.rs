//! Pages of other origins: who may call, and what browsers are told.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Method, Request};
use ebbtide_server::{CorsRules, Settings};

use crate::support::*;

const APP: &str = "https://app.example.com";
const OTHER: &str = "https://other.example.com";

fn club_of(origins: &[&str], credentials: bool) -> Club {
    let origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
    let cors = CorsRules { origins, credentials, ..CorsRules::default() };
    Club::of(empty(Settings { cors, ..Settings::default() }))
}

async fn preflight(club: &Club, path: &str, origin: &str, method: &str) -> Answer {
    let request = Request::builder()
        .method(Method::OPTIONS)
        .uri(path)
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", "authorization,content-type")
        .body(Body::empty())
        .unwrap();
    club.send(request).await
}

fn cors_headers(answer: &Answer) -> Vec<&str> {
    let names = answer.headers.keys().map(axum::http::HeaderName::as_str);
    names.filter(|name| name.starts_with("access-control-")).collect()
}

#[tokio::test]
async fn without_origins_no_answer_tells_of_any() {
    let club = Club::open().await;
    for path in
        ["/club/visits", "/admin/clubs/1/visits", "/v1/live/nothing", "/v1/schema", "/nowhere", "/healthz"]
    {
        let answer = club.get_with(path, &owner(1), &[("origin", APP)]).await;
        assert!(cors_headers(&answer).is_empty(), "{path}: {:?}", answer.headers);
        assert_eq!(answer.header("vary"), "", "{path}");
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE"] {
            let asked = preflight(&club, path, APP, method).await;
            assert!(cors_headers(&asked).is_empty(), "{method} {path}: {:?}", asked.headers);
            assert!(matches!(asked.status.as_u16(), 404 | 405), "{method} {path}: {}", asked.status);
        }
    }
}

#[tokio::test]
async fn a_preflight_is_answered_for_the_origins_that_are_named() {
    let club = club_of(&[APP, "http://localhost:3000"], false);
    for (path, method) in [
        ("/club/visits", "GET"),
        ("/admin/clubs/1/visits", "GET"),
        ("/v1/sql", "POST"),
        ("/v1/tables/visits/rows", "POST"),
    ] {
        for origin in [APP, "http://localhost:3000"] {
            let answer = preflight(&club, path, origin, method).await;
            assert_eq!(answer.status, 200, "{path}");
            assert_eq!(answer.header("access-control-allow-origin"), origin, "{path}");
            assert!(answer.header("access-control-allow-methods").contains(method), "{path}");
            let headers = answer.header("access-control-allow-headers");
            for name in ["authorization", "content-type", "if-none-match", "x-request-id"] {
                assert!(headers.contains(name), "{name}: {headers}");
            }
            assert_eq!(answer.header("access-control-max-age"), "600");
            assert_eq!(answer.header("access-control-allow-credentials"), "");
            assert!(answer.header("vary").contains("origin"), "{:?}", answer.headers);
            assert!(!answer.header("x-request-id").is_empty(), "it is named and logged like any other");
        }
        let others = [
            OTHER,
            "https://app.example.com.evil",
            "https://app.example.com:8443",
            "http://app.example.com",
            "null",
        ];
        for origin in others {
            for method in ["GET", "POST", "DELETE"] {
                let answer = preflight(&club, path, origin, method).await;
                assert_eq!(answer.header("access-control-allow-origin"), "", "{method} {path} {origin}");
            }
        }
    }
}

/// Each way to call each path.
#[tokio::test]
async fn a_preflight_allows_every_method_that_a_path_takes() {
    let club = club_of(&[APP], false);
    let document = club.get("/openapi.json", "").await.json();
    let mut methods = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        // Those that answer however busy the server is are for no pages.
        if matches!(path.as_str(), "/healthz" | "/readyz" | "/metrics") {
            continue;
        }
        for name in item.as_object().unwrap().keys() {
            let method = name.to_uppercase();
            let asked = path.replace(['{', '}'], "");
            let answer = preflight(&club, &asked, APP, &method).await;
            let mut allowed = answer.header("access-control-allow-methods").split(',').map(str::trim);
            assert!(allowed.any(|allowed| allowed == method), "{method} {path}");
            methods.insert(method);
        }
    }
    assert_eq!(methods, ["DELETE", "GET", "POST", "PUT"].map(str::to_owned).into());
}

#[tokio::test]
async fn answers_and_errors_alike_may_be_read_by_the_origins_that_are_named() {
    let club = club_of(&[APP], false);
    let expired = token(serde_json::json!({"role": "owner", "tenant": 1, "exp": 1}));
    let check = |path: &'static str, token: String, status: u16| {
        let club = &club;
        async move {
            let answer = club.get_with(path, &token, &[("origin", APP)]).await;
            assert_eq!(answer.status, status, "{path}");
            assert_eq!(answer.header("access-control-allow-origin"), APP, "{path} {status}");
            let exposed = answer.header("access-control-expose-headers");
            for name in ["etag", "age", "x-cache", "x-request-id", "server-timing", "content-disposition"] {
                assert!(exposed.contains(name), "{name}: {exposed}");
            }
            let other = club.get_with(path, &token, &[("origin", OTHER)]).await;
            assert_eq!(other.header("access-control-allow-origin"), "", "{path} {status}");
        }
    };
    check("/club/monthly", token(serde_json::json!({"tenant": 1})), 404).await;
    check("/totals", admin(), 200).await;
    check("/v1/schema", admin(), 200).await;
    check("/club/visits", String::new(), 401).await;
    check("/club/visits", expired, 401).await;
    check("/club/visits", token(serde_json::json!({"role": "nobody", "tenant": 1})), 403).await;
    check("/club/visits?limit=0", owner(1), 422).await;
    check("/nowhere", admin(), 404).await;
    check("/v1/sql", admin(), 405).await;
}

#[tokio::test]
async fn any_origin_and_credentials_are_as_configured() {
    let any = club_of(&["*"], false);
    let answer = any.get_with("/totals", &admin(), &[("origin", OTHER)]).await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(answer.header("access-control-allow-credentials"), "");
    let named = club_of(&[APP], true);
    let answer = named.get_with("/totals", &admin(), &[("origin", APP)]).await;
    assert_eq!(answer.header("access-control-allow-origin"), APP);
    assert_eq!(answer.header("access-control-allow-credentials"), "true");
}

#[test]
fn rules_that_no_browser_would_keep_are_refused() {
    let check = |origins: &[&str], credentials: bool, told: &str| {
        let origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
        let cors = CorsRules { origins, credentials, ..CorsRules::default() };
        let error = start(vec![pack()], Settings { cors, ..Settings::default() }).err().unwrap().to_string();
        assert!(error.contains("cors.origins") && error.contains(told), "{error}");
    };
    check(&["*"], true, "by name");
    check(&["*", APP], false, "alone");
    check(&["https://app.example.com/"], false, "an origin such as");
}

#[tokio::test]
async fn every_answer_tells_browsers_to_be_careful() {
    let club = Club::open().await;
    for (path, token) in [
        ("/club/visits", owner(1)),
        ("/club/visits?format=csv", owner(1)),
        ("/club/visits", String::new()),
        ("/v1/schema", admin()),
        ("/nowhere", String::new()),
        ("/healthz", String::new()),
        ("/metrics", String::new()),
    ] {
        let answer = club.get(path, &token).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ] {
            assert_eq!(answer.header(name), value, "{name} of {path}");
        }
        assert!(!answer.header("cache-control").is_empty(), "{path}");
    }
}
