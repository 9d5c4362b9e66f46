//! The OpenAPI document tells of every path and of no other, and the page shows it.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Method;
use ebbtide_model::pack::Pack;
use ebbtide_server::Settings;
use ebbtide_server::apps::{bundled, bundled_names};
use serde_json::{Value as Json, json};

use crate::support::*;

pub(crate) async fn document(club: &Club) -> Json {
    let answer = club.get("/openapi.json", "").await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
    answer.json()
}

/// The server of all bundled packs.
pub(crate) fn of_all_packs() -> Club {
    let packs: Vec<Pack> = bundled_names().map(|name| Pack::parse(bundled(name).unwrap()).unwrap()).collect();
    Club::of(start(packs, Settings::default()).unwrap())
}

/// A path with something for each of its parameters.
fn filled(path: &str) -> String {
    let part = |part: &str| if part.starts_with('{') { "1".to_owned() } else { part.to_owned() };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn every_path_that_the_document_has_is_answered_under_its_method_alone() {
    let club = of_all_packs();
    let document = document(&club).await;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, allowed) in [(Method::GET, "GET, HEAD"), (Method::POST, "POST")] {
            let name = method.as_str().to_lowercase();
            let answer = club.send(request(method, &filled(path), "", Body::empty())).await;
            let code = if answer.header("content-type") == "application/problem+json" {
                answer.json()["code"].as_str().unwrap().to_owned()
            } else {
                String::new()
            };
            if item.get(&name).is_some() {
                assert_ne!(code, "method_not_allowed", "{name} {path}");
                assert!(code != "path_unknown" || path.starts_with("/docs/"), "{name} {path}");
                assert_ne!(answer.header("allow"), allowed);
            } else {
                assert_eq!(code, "method_not_allowed", "{name} {path}");
            }
        }
    }
}

#[tokio::test]
async fn every_route_of_the_packs_and_every_path_of_the_server_is_in_the_document() {
    let club = of_all_packs();
    let document = document(&club).await;
    let there: BTreeSet<String> = document["paths"].as_object().unwrap().keys().cloned().collect();
    let paths = |name| {
        let Pack { reports, captures, clears, lives, .. } = Pack::parse(bundled(name).unwrap()).unwrap();
        let reports = reports.into_iter().flat_map(|report| report.routes).map(|route| route.path);
        let incoming = captures.into_iter().map(|one| one.path).chain(clears.into_iter().map(|one| one.path));
        reports.chain(incoming).chain(lives.into_iter().map(|one| one.route.path)).collect::<Vec<_>>()
    };
    let mut want: BTreeSet<String> = bundled_names().flat_map(paths).collect();
    want.extend(ebbtide_server::own_paths().map(str::to_owned));
    assert_eq!(there, want);
    assert!(want.len() > 20, "{want:?}");
}

#[tokio::test]
async fn references_lead_somewhere_names_differ_and_parameters_of_paths_are_declared() {
    let document = document(&of_all_packs()).await;
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} is there twice");
            assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{id}");
            let of_path = |parameter: &&Json| parameter["in"] == "path";
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let declared: BTreeSet<String> = parameters
                .iter()
                .filter(of_path)
                .map(|parameter| format!("{{{}}}", parameter["name"].as_str().unwrap()))
                .collect();
            let named = path.split('/').filter(|part| part.starts_with('{')).map(str::to_owned).collect();
            assert_eq!(declared, named, "{path}");
            let tags = document["tags"].as_array().unwrap();
            assert!(tags.iter().any(|tag| tag["name"] == operation["tags"][0]), "{id}");
        }
    }
    let mut left = vec![&document];
    while let Some(json) = left.pop() {
        match json {
            Json::Object(entries) => {
                if let Some(reference) = entries.get("$ref").and_then(Json::as_str) {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                }
                left.extend(entries.values());
            }
            Json::Array(items) => left.extend(items),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_report_is_told_with_its_parameters_roles_codes_and_answer() {
    let document = document(&Club::open().await).await;
    let visits = &document["paths"]["/admin/clubs/{club_id}/visits"]["get"];
    assert_eq!(visits["operationId"], "club_visits");
    assert_eq!(document["paths"]["/club/visits"]["get"]["operationId"], "club_visits_2");
    assert_eq!(visits["x-ebbtide-roles"], json!(["admin"]));
    assert!(visits["description"].as_str().unwrap().contains("Roles: admin."), "{visits}");
    let parameters = visits["parameters"].as_array().unwrap();
    assert_eq!((&parameters[0]["name"], &parameters[0]["in"]), (&json!("club_id"), &json!("path")));
    assert_eq!(
        parameters[1]["schema"],
        json!({"type": "integer", "format": "int64", "minimum": 1, "maximum": 100, "default": 10})
    );
    let shared: Vec<&str> =
        parameters[2..].iter().map(|parameter| parameter["$ref"].as_str().unwrap()).collect();
    assert_eq!(shared, ["as_of", "format", "refresh"].map(|name| format!("#/components/parameters/{name}")));
    let content = visits["responses"]["200"]["content"].as_object().unwrap();
    let types: Vec<&str> = content.keys().map(String::as_str).collect();
    let files = [
        "application/json",
        "text/csv",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/x-ndjson",
        "application/vnd.apache.parquet",
    ];
    assert_eq!(types, files);
    let schema = &content["application/json"]["schema"];
    assert_eq!(schema["required"], json!(["as_of", "visits"]));
    assert_eq!(
        schema["properties"]["visits"]["items"]["properties"],
        json!({
            "id": {"type": "integer"},
            "member_id": {"type": "integer"},
            "kind": {"type": "string"},
            "at": {"type": "string", "format": "date-time"},
        })
    );
    for status in ["401", "403", "404", "413", "422", "500", "503", "504"] {
        let codes = &visits["responses"][status]["x-ebbtide-codes"];
        assert!(codes.as_array().is_some_and(|codes| !codes.is_empty()), "{status}: {codes}");
        let content = &visits["responses"][status]["content"];
        assert!(content["application/problem+json"].is_object(), "{status}");
    }
    assert!(visits["responses"]["402"].is_null(), "no plan is wanted");
    let months = &document["paths"]["/club/monthly"]["get"];
    assert!(months["x-ebbtide-roles"].is_null(), "any role may call");
    assert_eq!(
        months["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["months"]["items"]
            ["required"],
        json!(["month", "visits"])
    );
    let tables = &document["paths"]["/totals"]["get"]["parameters"][2];
    assert_eq!(tables["schema"]["enum"], json!(["clubs", "members"]));
}

#[tokio::test]
async fn fields_that_are_one_value_under_several_names_are_told() {
    let document = document(&of_all_packs()).await;
    let summary = &document["paths"]["/funnel/summary"]["get"]["responses"]["200"]["content"];
    let whole = &summary["application/json"]["schema"]["properties"];
    let kpis = &whole["kpis"]["properties"];
    let step = &whole["steps"]["items"]["properties"];
    let value = |of: &Json, field: &str| of[field]["x-ebbtide-value"].as_str().unwrap().to_owned();
    for (first, again) in
        [("step", "name"), ("reach_rate", "conversion_rate"), ("exit_share", "drop_off_rate")]
    {
        assert_eq!(value(step, first), value(step, again), "{first}");
    }
    assert_ne!(value(step, "sessions"), value(step, "total_users"));
    assert_eq!(value(whole, "conversion_rate"), value(kpis, "overall_conversion"));
    assert_ne!(value(whole, "total_sessions"), value(kpis, "total_users"));
}

#[tokio::test]
async fn the_document_needs_no_token_tells_of_no_tenant_and_may_be_kept() {
    let club = Club::open().await;
    let first = club.get("/openapi.json", "").await;
    assert!(!first.text().contains("Secret Bob") && !first.text().contains("SELECT id"), "{}", first.text());
    let mut again = request(Method::GET, "/openapi.json", "", Body::empty());
    again.headers_mut().insert("if-none-match", first.header("etag").parse().unwrap());
    let again = club.send(again).await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    let recovering = Club::of(recovering(Settings::default()));
    assert_eq!(recovering.get("/openapi.json", "").await.body, first.body, "rows have no part in it");
}

#[tokio::test]
async fn the_page_is_the_servers_own_and_may_do_little() {
    let club = Club::open().await;
    let page = club.get("/docs", "").await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").to_owned();
    for part in ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    for (attribute, media_type) in [("src=\"", ""), ("href=\"", "")] {
        for (_, rest) in
            page.text().match_indices(attribute).map(|(at, _)| page.text().split_at(at + attribute.len()))
        {
            let path = format!("/{}", rest.split('"').next().unwrap());
            let file = club.get(&path, "").await;
            assert_eq!(file.status, 200, "{path}{media_type}");
            // The document has addresses in its examples, which nobody fetches.
            let fetches_nothing = !file.text().contains("https://") && !file.text().contains("http://cdn");
            assert!(fetches_nothing || path == "/openapi.json", "{path}");
        }
    }
    assert!(!page.text().contains("://"), "nothing is fetched from elsewhere");
    club.get("/docs/other.js", "").await.assert_problem(404, "path_unknown");
    club.get("/docs/", "").await.assert_problem(404, "path_unknown");
}
