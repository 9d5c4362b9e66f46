//! The whole document.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::http::HeaderValue;
use ebbtide_model::insight::Severity;
use serde_json::{Map, Value as Json, json};

use super::examples::Examples;
use super::schemas::of_row;
use super::{described, incoming, reports};
use crate::http::OWN_PATHS;
use crate::report::export::ExportFormat;
use crate::server::Server;

/// Written once: what it tells of does not change while a server runs.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) json: Bytes,
    /// A hash of it.
    pub(crate) etag: HeaderValue,
    /// What it says of each report's path.
    pub(crate) reports: HashMap<String, Json>,
}

impl Document {
    /// Blocks for as long as planning the packs' statements takes.
    pub(crate) fn of(server: &Server) -> Self {
        let document = document(server);
        let operation = |path: &String| (path.clone(), document["paths"][path]["get"].clone());
        let reports = server.routes.reports.iter().map(|way| operation(&way.route.path)).collect();
        let json = document.to_string();
        let mut hash = std::hash::DefaultHasher::new();
        std::hash::Hash::hash(json.as_bytes(), &mut hash);
        let etag = format!("\"{:016x}\"", std::hash::Hasher::finish(&hash));
        let etag = HeaderValue::from_str(&etag).unwrap_or_else(|_| HeaderValue::from_static("\"0\""));
        Self { json: json.into(), etag, reports }
    }
}

fn document(server: &Server) -> Json {
    let apps: Vec<String> = server
        .apps
        .iter()
        .map(|app| match &app.pack.title {
            Some(title) => format!("`{}` ({title})", app.name()),
            None => format!("`{}`", app.name()),
        })
        .collect();
    let (components, mut paths) = (components(server), paths(server));
    if let (Some(schemas), Some(paths)) = (components["schemas"].as_object(), paths.as_object_mut()) {
        let examples = Examples { schemas };
        let operations = paths.values_mut().filter_map(Json::as_object_mut).flat_map(Map::values_mut);
        operations.for_each(|operation| examples.add(operation));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ebbtide",
            "version": env!("CARGO_PKG_VERSION"),
            "description": format!(
                "Reports, queries and rows of the apps {}. A token's `aud` says which app it is for.",
                apps.join(", ")
            ),
        },
        "servers": [{"url": "/"}],
        "tags": tags(server),
        "paths": paths,
        "components": components,
        "security": [{"bearer": []}],
    })
}

fn tags(server: &Server) -> Json {
    let mut tags: Vec<Json> = server
        .apps
        .iter()
        .filter(|app| !app.pack.reports.is_empty() || !app.pack.captures.is_empty())
        .map(|app| {
            let title = app.pack.title.as_deref().unwrap_or("Reports of the app.");
            json!({"name": app.name().as_str(), "description": title})
        })
        .collect();
    for (name, description) in [
        ("Questions", "What may be asked of any app."),
        ("Rows", "What goes in."),
        ("Capture", "Events with properties of any name, from pages and apps."),
        ("Write keys", "What pages and apps capture with."),
        ("Tokens", "What admins give others to sign in with."),
        ("For operators", "What watches over the server asks."),
        ("Reference", "This document and its page."),
    ] {
        tags.push(json!({"name": name, "description": description}));
    }
    Json::from(tags)
}

fn paths(server: &Server) -> Json {
    let mut paths = Map::new();
    let mut numbers: HashMap<(&str, &str), usize> = HashMap::new();
    for way in &server.routes.reports {
        let number = numbers.entry((way.app.name().as_str(), way.report.name.as_str())).or_insert(0);
        *number += 1;
        let mut operation = reports::operation(way, *number, &server.sql).to_json();
        if let Some(currency) = &way.report.currency {
            operation["x-ebbtide-currency"] = Json::from(currency.as_str());
        }
        paths.insert(way.route.path.clone(), json!({"get": operation}));
    }
    for way in &server.routes.captures {
        paths.insert(way.capture.path.clone(), json!({"post": incoming::capture(way, server).to_json()}));
    }
    for way in &server.routes.clears {
        paths.insert(way.clear.path.clone(), json!({"post": incoming::clear(way).to_json()}));
    }
    for way in &server.routes.lives {
        paths.insert(way.live.route.path.clone(), json!({"get": incoming::live(way).to_json()}));
    }
    for own in OWN_PATHS {
        let of_path = paths.entry(own.path).or_insert_with(|| json!({}));
        of_path[own.verb.name()] = (own.describe)(server).to_json();
    }
    Json::Object(paths)
}

fn components(server: &Server) -> Json {
    json!({
        "securitySchemes": {
            "bearer": {
                "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                "description": "Signed by the host. Claims: `aud` (the app), `exp`, `role`, `tenant`, `sub`, `plan`.",
            },
        },
        "headers": {
            "RequestId": {
                "description": "The request's name, as the server's log has it.", "schema": {"type": "string"},
            },
        },
        "parameters": parameters(server),
        "schemas": schemas(server),
    })
}

fn parameters(server: &Server) -> Json {
    let formats: Vec<&str> =
        std::iter::once("json").chain(ExportFormat::ALL.into_iter().map(ExportFormat::name)).collect();
    let apps: Vec<&str> = server.apps.iter().map(|app| app.name().as_str()).collect();
    json!({
        "as_of": {
            "name": "as_of", "in": "query", "required": false,
            "description": "Answers as if it were then: an instant, or a date, which means the end of that day in the app's time zone. Default: now.",
            "schema": {"$ref": "#/components/schemas/AsOf"},
        },
        "format": {
            "name": "format", "in": "query", "required": false,
            "description": "JSON, or a file of a list of the answer: its rows are those of the JSON, all of them.",
            "schema": {"type": "string", "enum": formats, "default": "json"},
        },
        "refresh": {
            "name": "refresh", "in": "query", "required": false,
            "description": "Whether the answer is computed anew, whatever is kept; true is for role `admin`.",
            "schema": {"type": "boolean", "default": false},
        },
        "app": {
            "name": "app", "in": "query", "required": false,
            "description": "Which app is meant, by a token for several.",
            "schema": {"type": "string", "enum": apps},
        },
    })
}

/// Those of rows among them.
fn schemas(server: &Server) -> Json {
    let mut schemas = shared_schemas();
    for app in &server.apps {
        for table in &app.pack.schema.tables {
            schemas.insert(format!("Row.{}.{}", app.name(), table.name), of_row(table));
        }
    }
    Json::Object(schemas)
}

fn of_instant() -> Json {
    json!({
        "description": "An RFC 3339 instant, or a date.",
        "examples": ["2026-11-20T09:30:00Z", "2026-11-20"],
        "anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}],
    })
}

/// A finding in words, with what it rests on.
fn insight() -> Json {
    let text = |told: &str| json!({"type": "string", "description": told});
    let test = json!({
        "type": "object",
        "description": "Where the finding rests on a test of significance: what it gave.",
        "properties": {
            "name": {"type": "string"},
            "z": {"type": "number"},
            "p": {"type": "number", "minimum": 0, "maximum": 1},
            "correction": text("By what procedure the looks are taken into account."),
            "looks": {"type": "integer", "minimum": 1, "description": "How many comparisons the rule has made."},
            "p_adjusted": {
                "type": "number", "minimum": 0, "maximum": 1,
                "description": "p with all looks taken into account.",
            },
            "level": {"type": "number", "description": "What p_adjusted is at most."},
        },
        "required": ["name", "z", "p", "correction", "looks", "p_adjusted", "level"],
    });
    json!({
        "type": "object",
        "description": "A finding in words, in the language of `lang`; of severity `info`, why there is none.",
        "properties": {
            "severity": {"type": "string", "enum": Severity::ALL.map(Severity::name)},
            "rule": text("The rule of the pack that has found it."),
            "title": text("In a few words."),
            "finding": text("What was found."),
            "action": text("What to do about it."),
            "evidence": {
                "type": "object", "additionalProperties": true,
                "description": "What it is about, and the numbers.",
            },
            "test": test,
        },
        "required": ["severity", "rule", "title", "finding", "action", "evidence"],
    })
}

fn shared_schemas() -> Map<String, Json> {
    let text = || json!({"type": "string"});
    let count = || json!({"type": "integer", "minimum": 0});
    let required = |properties: Json| {
        let names: Vec<String> = properties.as_object().into_iter().flat_map(Map::keys).cloned().collect();
        json!({"type": "object", "properties": properties, "required": names})
    };
    let problem = required(json!({
        "type": {"type": "string", "description": "`urn:ebbtide:error:` and the code."},
        "title": text(),
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What was given, what is allowed."},
        "code": {"type": "string", "description": "Stable: tell problems apart by it."},
        "hint": {"type": "string", "description": "What to do next."},
        "request_id": text(),
    }));
    let rejected = required(json!({
        "index": count(), "column": {"type": ["string", "null"]}, "code": text(), "detail": text(),
    }));
    let accounted = required(json!({
        "accepted": count(), "duplicates": count(), "waiting": count(),
        "rejected": {"type": "array", "items": rejected},
    }));
    let refused = required(json!({"index": count(), "code": text(), "detail": text()}));
    let captured = required(json!({
        "accepted": count(), "duplicates": count(), "rejected": {"type": "array", "items": refused},
    }));
    let write_key = required(json!({
        "id": text(), "app": text(), "tenant": text(), "name": {"type": ["string", "null"]},
        "created_at": {"type": "string", "format": "date-time"},
    }));
    let meta = json!({
        "type": "object",
        "properties": {
            "as_of": {"type": "string", "format": "date-time"},
            "watermark": count(),
            "definition": text(),
            "complete": {"type": "boolean"},
            "warnings": {"type": "array", "items": text()},
        },
        "required": ["as_of", "watermark", "complete", "warnings"],
    });
    let of_meta = json!({"$ref": "#/components/schemas/Meta"});
    let query = required(json!({"result": {"type": "object"}, "query": {"type": "object"}, "meta": of_meta}));
    let column = required(json!({"name": text(), "type": text()}));
    let sql = required(json!({
        "columns": {"type": "array", "items": column},
        "rows": {"type": "array", "items": {"type": "object"}},
        "meta": of_meta,
    }));
    let named = [
        ("AsOf", of_instant()),
        ("Problem", problem),
        ("Accounted", accounted),
        ("Captured", captured),
        ("WriteKey", write_key),
        ("Meta", meta),
        ("QueryAnswer", query),
        ("SqlAnswer", sql),
        ("Insight", insight()),
    ];
    named.into_iter().chain(described::schemas()).map(|(name, schema)| (name.to_owned(), schema)).collect()
}
