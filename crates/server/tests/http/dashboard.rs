//! The dashboard's files, and that what they may do is little.

use axum::body::Body;
use axum::http::Method;
use ebbtide_model::pack::Pack;
use ebbtide_server::Settings;

use crate::support::*;

#[tokio::test]
async fn every_address_below_app_is_the_page_and_the_root_leads_there() {
    let club = Club::of(empty(Settings::default()));
    let root = club.get("/", "").await;
    assert_eq!((root.status.as_u16(), root.header("location")), (303, "/app"));
    for path in ["/app", "/app/", "/app/loyalty", "/app/loyalty/explore", "/app/index"] {
        let page = club.get(path, "").await;
        assert_eq!(
            (page.status.as_u16(), page.header("content-type")),
            (200, "text/html; charset=utf-8"),
            "{path}"
        );
        assert_eq!(page.header("cache-control"), "no-cache");
        assert!(page.text().contains("<div id=\"root\">"), "{path}");
        let policy = page.header("content-security-policy");
        for part in
            ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"]
        {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    }
}

#[tokio::test]
async fn all_that_the_page_names_is_there_compressed_and_for_ever() {
    let club = Club::of(empty(Settings::default()));
    let page = club.get("/app", "").await;
    let mut scripts = 0;
    for (at, _) in page.text().match_indices("\"/app/") {
        let path = page.text()[at + 1..].split('"').next().unwrap();
        let plain = club.get(path, "").await;
        assert_eq!((plain.status.as_u16(), plain.header("content-encoding")), (200, ""), "{path}");
        let packed = club.get_with(path, "", &[("accept-encoding", "br, gzip;q=0.8")]).await;
        assert_eq!(packed.header("content-encoding"), "gzip", "{path}");
        assert_eq!(packed.header("vary"), "Accept-Encoding");
        assert!(packed.body.len() < plain.body.len(), "{path}");
        let refused = club.get_with(path, "", &[("accept-encoding", "gzip;q=0")]).await;
        assert_eq!(refused.body, plain.body, "{path}");
        let known = club.get_with(path, "", &[("if-none-match", plain.header("etag"))]).await;
        assert_eq!((known.status.as_u16(), known.body.len()), (304, 0), "{path}");
        if path.contains("/assets/") {
            assert_eq!(plain.header("cache-control"), "public, max-age=31536000, immutable");
            scripts += 1;
        }
    }
    assert!(scripts > 1, "{}", page.text());
    assert!(!page.text().contains("://"), "nothing is fetched from elsewhere");
}

#[tokio::test]
async fn an_apps_page_is_at_its_name_where_nothing_else_is() {
    let club = crate::storefront::shop(Settings::default());
    for path in ["/storefront", "/storefront/"] {
        let page = club.get(path, "").await;
        assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
        assert!(page.header("content-security-policy").contains("default-src 'none'"), "{path}");
    }
    for path in ["/storefront/home", "/loyalty/", "/sessions/"] {
        club.get(path, "").await.assert_problem(404, "path_unknown");
    }
    let posted = club.send(request(Method::POST, "/storefront/", "", Body::empty())).await;
    posted.assert_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn a_packs_path_is_never_covered_by_a_page() {
    let below = include_str!("club.yaml").to_owned();
    let elsewhere = below.replace("/club/", "/house/");
    let of_any = elsewhere
        .replace("{path: /totals, ", "{path: \"/{club_id}/totals\", ")
        .replace("token_or_all", "$club_id");
    for (pack, status) in [(below, 404), (elsewhere, 200), (of_any, 404)] {
        let club = Club::of(start(vec![Pack::parse(&pack).unwrap()], Settings::default()).unwrap());
        assert_eq!(club.get("/club/", "").await.status, status, "{pack}");
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_is_no_page_and_no_other_method_is_taken() {
    let club = Club::of(empty(Settings::default()));
    for path in ["/app/assets/gone.js", "/app/index.css", "/application"] {
        club.get(path, "").await.assert_problem(404, "path_unknown");
    }
    let posted = club.send(request(Method::POST, "/app/loyalty", "", Body::empty())).await;
    posted.assert_problem(405, "method_not_allowed");
}
