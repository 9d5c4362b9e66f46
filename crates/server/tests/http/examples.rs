//! Every answer of the OpenAPI document has an example, and each is as its own schema says.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use crate::reference::{document, of_all_packs};
use crate::storefront::{click, of, shop};
use crate::support::*;

/// What is wrong with a value by a schema of the document: of the words of JSON Schema those that it uses.
fn faults(schemas: &Json, schema: &Json, value: &Json, place: &str) -> Vec<String> {
    let within =
        |schema: &Json, value: &Json, part: &str| faults(schemas, schema, value, &format!("{place}{part}"));
    let mut found = Vec::new();
    for (word, said) in schema.as_object().unwrap() {
        let holds = match word.as_str() {
            "$ref" => {
                let name = said.as_str().unwrap().rsplit('/').next().unwrap();
                assert!(schemas[name].is_object(), "{said}");
                found.extend(within(&schemas[name], value, ""));
                true
            }
            "type" => match said {
                Json::Array(types) => types.iter().any(|one| is_of_type(value, one.as_str().unwrap())),
                one => is_of_type(value, one.as_str().unwrap()),
            },
            "const" => value == said,
            "enum" => said.as_array().unwrap().contains(value),
            "minimum" => value.as_f64().is_none_or(|value| value >= said.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|value| value <= said.as_f64().unwrap()),
            "minLength" => value.as_str().is_none_or(|text| text.len() as u64 >= said.as_u64().unwrap()),
            "maxLength" => value.as_str().is_none_or(|text| text.len() as u64 <= said.as_u64().unwrap()),
            "minItems" => value.as_array().is_none_or(|list| list.len() as u64 >= said.as_u64().unwrap()),
            "maxProperties" => {
                value.as_object().is_none_or(|object| object.len() as u64 <= said.as_u64().unwrap())
            }
            "propertyNames" => {
                for name in value.as_object().into_iter().flat_map(|object| object.keys()) {
                    found.extend(within(said, &json!(name), &format!(".{name}")));
                }
                true
            }
            "maxItems" => value.as_array().is_none_or(|list| list.len() as u64 <= said.as_u64().unwrap()),
            "oneOf" => {
                said.as_array().unwrap().iter().filter(|one| within(one, value, "").is_empty()).count() == 1
            }
            "anyOf" => said.as_array().unwrap().iter().any(|one| within(one, value, "").is_empty()),
            "allOf" => {
                found.extend(said.as_array().unwrap().iter().flat_map(|one| within(one, value, "")));
                true
            }
            "required" => {
                let names = said.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                value.as_object().is_none_or(|object| names.into_iter().all(|name| object.contains_key(name)))
            }
            "properties" => {
                for (name, own) in said.as_object().unwrap() {
                    if let Some(value) = value.get(name) {
                        found.extend(within(own, value, &format!(".{name}")));
                    }
                }
                true
            }
            "additionalProperties" if said.is_object() => {
                let declared = |name: &String| schema["properties"].get(name).is_some();
                for (name, value) in
                    value.as_object().into_iter().flatten().filter(|(name, _)| !declared(name))
                {
                    found.extend(within(said, value, &format!(".{name}")));
                }
                true
            }
            "prefixItems" => {
                let places = said.as_array().unwrap().iter().zip(value.as_array().into_iter().flatten());
                found.extend(places.flat_map(|(schema, value)| within(schema, value, "[]")));
                true
            }
            "items" => {
                found.extend(
                    value.as_array().into_iter().flatten().flat_map(|value| within(said, value, "[]")),
                );
                true
            }
            "pattern" => {
                assert_eq!(said, "^[A-Za-z0-9][A-Za-z0-9_.-]*$", "{place}: this checker is to learn it");
                let is_plain = |char: char| char.is_ascii_alphanumeric() || "_.-".contains(char);
                value.as_str().is_none_or(|text| {
                    text.starts_with(|first: char| first.is_ascii_alphanumeric())
                        && text.chars().all(is_plain)
                })
            }
            "format" => is_of_format(value, said.as_str().unwrap()),
            "description" | "title" | "examples" | "default" | "additionalProperties" | "x-ebbtide-value" => {
                true
            }
            other => panic!("{other} at {place}: this checker is to learn it"),
        };
        if !holds {
            found.push(format!("{place}: {value} is not {word} {said}"));
        }
    }
    found
}

fn is_of_type(value: &Json, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    }
}

fn is_of_format(value: &Json, format: &str) -> bool {
    let Some(text) = value.as_str() else { return true };
    match format {
        "date-time" => text.contains('T') && ebbtide_model::Instant::parse(text).is_ok(),
        "date" => text.len() == 10 && ebbtide_model::Instant::parse(text).is_ok(),
        "int64" | "double" | "binary" => true,
        other => panic!("{other} is no format"),
    }
}

#[test]
fn the_checker_tells_what_is_wrong() {
    let schemas = json!({"Row": {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}});
    let row = json!({"type": "array", "items": {"$ref": "#/components/schemas/Row"}});
    assert!(faults(&schemas, &row, &json!([{"n": 1}]), "").is_empty());
    for wrong in [json!({}), json!([{}]), json!([{"n": 0}]), json!([{"n": "1"}])] {
        assert!(!faults(&schemas, &row, &wrong, "").is_empty(), "{wrong}");
    }
    let either = json!({"oneOf": [{"type": "string", "format": "date"}, {"type": "string"}]});
    assert!(!faults(&schemas, &either, &json!("2026-11-20"), "").is_empty(), "both hold");
}

#[tokio::test]
async fn every_answer_and_body_of_all_packs_has_an_example_that_its_schema_allows() {
    let document = document(&of_all_packs()).await;
    let schemas = &document["components"]["schemas"];
    let (mut checked, mut bodies, mut statuses) = (0, 0, BTreeSet::new());
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            if let Some(body) = operation["requestBody"]["content"].get("application/json") {
                let (example, place) = (&body["example"], format!("{path}: body"));
                assert!(!matches!(example, Json::Null) && *example != json!([]), "{place} has no example");
                let found = faults(schemas, &body["schema"], example, &place);
                assert!(found.is_empty(), "{found:#?}");
                bodies += 1;
            }
            for (status, answer) in operation["responses"].as_object().unwrap() {
                for (media_type, media) in answer["content"].as_object().into_iter().flatten() {
                    let place = format!("{path} {status} {media_type}");
                    if !matches!(media_type.as_str(), "application/json" | "application/problem+json") {
                        continue;
                    }
                    let example = media.get("example").unwrap_or_else(|| panic!("{place} has no example"));
                    let found = faults(schemas, &media["schema"], example, &place);
                    assert!(found.is_empty(), "{found:#?}");
                    if media_type == "application/problem+json" {
                        assert_eq!(example["status"].to_string(), *status, "{place}");
                        for field in ["type", "title", "detail", "code", "hint"] {
                            assert!(
                                example[field].as_str().is_some_and(|text| !text.is_empty()),
                                "{place} {field}"
                            );
                        }
                    }
                    checked += 1;
                    statuses.insert(status.clone());
                }
            }
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                if parameter["name"] == "table" {
                    let example = parameter.get("example").unwrap_or_else(|| panic!("{path}: {parameter}"));
                    let found = faults(schemas, &parameter["schema"], example, path);
                    assert!(found.is_empty(), "{found:#?}");
                }
            }
        }
    }
    assert!(bodies > 10, "{bodies} bodies");
    assert!(checked > 200 && statuses.contains("200") && statuses.contains("422"), "{checked} {statuses:?}");
}

/// What the document shows is what the server says.
#[tokio::test]
async fn a_problem_is_shown_as_it_is_sent() {
    let club = Club::open().await;
    let document = document(&club).await;
    for (path, token, status) in [("/club/visits", String::new(), 401), ("/v1/keys", owner(1), 403)] {
        let sent = club.get(path, &token).await;
        assert_eq!(sent.status, status, "{path}");
        let mut shown =
            document["paths"][path]["get"]["responses"][status.to_string()]["content"]["application/problem+json"]["example"].clone();
        shown["request_id"] = sent.json()["request_id"].clone();
        if status == 403 {
            // (The role differs.)
            shown["detail"] = sent.json()["detail"].clone();
        }
        assert_eq!(shown, sent.json(), "{path}");
    }
}

/// And a real answer is as its schema says, null and all.
#[tokio::test]
async fn answers_over_no_rows_and_over_some_are_as_their_schemas_say() {
    let club = Club::open().await;
    let document = document(&club).await;
    for (path, token) in [
        ("/club/visits", owner(1)),
        ("/totals", admin()),
        ("/club/monthly", owner(1)),
        ("/v1/schema", admin()),
        ("/v1/keys", admin()),
    ] {
        let schema =
            &document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        let answer = club.get(path, &token).await.json();
        let found = faults(&document["components"]["schemas"], schema, &answer, path);
        assert!(found.is_empty(), "{found:#?}");
    }
    let count =
        &document["paths"]["/totals"]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
    assert_eq!(count["properties"]["visits"], json!({"type": "integer"}), "a count is never null");
}

/// The places of a schema that say nothing of what stands there.
fn untyped(schema: &Json, place: &str, found: &mut Vec<String>) {
    if ["type", "const", "$ref", "oneOf", "anyOf"].iter().all(|word| schema.get(word).is_none()) {
        found.push(place.to_owned());
    }
    for (name, own) in schema["properties"].as_object().into_iter().flatten() {
        untyped(own, &format!("{place}.{name}"), found);
    }
    if let Some(items) = schema.get("items") {
        untyped(items, &format!("{place}[]"), found);
    }
}

#[tokio::test]
async fn all_that_is_told_of_sessions_has_a_type_and_is_of_it() {
    let club = shop(ebbtide_server::Settings::default());
    let document = document(&club).await;
    let schema = |path: &str| {
        document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"].clone()
    };
    let check = async || {
        for path in ["/funnel/summary", "/sessions"] {
            let answer = club.get(path, &of("viewer", "north")).await.json();
            let found = faults(&document["components"]["schemas"], &schema(path), &answer, path);
            assert!(found.is_empty(), "{found:#?}");
        }
    };
    check().await;
    let mut named = click("a", "product", "exit", -90);
    named["user_think_time"] = json!(0.5);
    let events = json!([
        click("a", "home", "product", -100),
        named,
        click("b", "cart", "success", -80),
        click("c", "home", "cart", -1)
    ]);
    assert_eq!(club.post("/events", &of("admin", "north"), &events).await.status, 201);
    check().await;

    let mut found = Vec::new();
    for path in ["/funnel/summary", "/sessions"] {
        untyped(&schema(path), path, &mut found);
    }
    assert!(found.is_empty(), "{found:#?}");
    let summary = &schema("/funnel/summary")["properties"];
    let types = |of: &Json, names: &[&str]| -> Json {
        names.iter().map(|name| of["properties"][name]["type"].clone()).collect()
    };
    assert_eq!(summary["conversion_rate"]["type"], "number");
    let step = &summary["steps"]["items"];
    let names = ["step", "reach_rate", "step_exit_rate", "system_latency_ms", "latency"];
    assert_eq!(types(step, &names), json!(["string", "number", "number", ["number", "null"], "object"]));
    assert_eq!(step["properties"]["latency"]["required"], json!(["system", "user", "client"]));
    assert_eq!(
        types(&summary["kpis"], &["overall_conversion", "worst_step"]),
        json!(["number", ["string", "null"]])
    );
    let session = &schema("/sessions")["items"];
    let names = ["session_id", "user_id", "started_at", "path", "outcome", "exit_step"];
    assert_eq!(
        types(session, &names),
        json!(["string", "string", "string", "array", "string", ["string", "null"]])
    );
}

/// The row is there, and the report's statement does not find it: 404 as the document says, and never null.
#[tokio::test]
async fn a_report_of_a_named_row_is_an_object_or_404() {
    const SHOPS: &str = "
pack: shops
tables:
  shops: {kind: entity, key: id, tenant: id, columns: {id: int, open: bool?}}
reports:
  shop:
    routes: [{path: '/shops/{shop}', tenant: token_or_all, roles: [admin]}]
    params:
      shop: {type: int, key_of: shops, missing: Shop not found}
    response: {row: 'SELECT id, open FROM shops WHERE id = $shop AND open'}
";
    let pack = ebbtide_model::pack::Pack::parse(SHOPS).unwrap();
    let server = start(vec![pack.clone()], ebbtide_server::Settings::default()).unwrap();
    assert!(server.opened(memory_store(&[pack])).is_ok());
    let club = Club::of(server);
    let document = document(&club).await;
    let schema = &document["paths"]["/shops/{shop}"]["get"]["responses"]["200"]["content"]["application/json"]
        ["schema"];
    assert_eq!(schema["type"], "object", "{schema}");
    assert_eq!(
        schema["properties"],
        json!({"id": {"type": "integer"}, "open": {"type": ["boolean", "null"]}})
    );
    let token = token(json!({"aud": "shops", "role": "admin"}));
    let rows = json!([{"id": 1, "open": true}, {"id": 2, "open": false}]);
    assert_eq!(club.post("/v1/tables/shops/rows", &token, &rows).await.json()["accepted"], 2);
    assert_eq!(club.get("/shops/1", &token).await.json(), json!({"id": 1, "open": true}));
    for shop in [2, 3] {
        let missing = club.get(&format!("/shops/{shop}"), &token).await;
        missing.assert_problem(404, "not_found");
        assert!(missing.text().contains("Shop not found"), "{}", missing.text());
    }
}
