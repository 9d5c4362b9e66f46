//! Examples of answers, made of their schemas: a value of each type, lists of one row, dates as the app's calendar
//! writes them. And of problems, as they are sent.

use serde_json::{Map, Value as Json, json};

use crate::problem::{Code, Problem};

const INSTANT: &str = "2026-11-20T09:30:00Z";
const DATE: &str = "2026-11-20";
const REQUEST_ID: &str = "0b7e3f5a9c2d4e61";
/// A schema that names itself ends there.
const DEPTH_MAX: usize = 16;

/// Schemas by their name among the document's components.
pub(super) struct Examples<'a> {
    pub(super) schemas: &'a Map<String, Json>,
}

impl Examples<'_> {
    /// Gives each JSON answer of an operation an example that has none, and so its body.
    pub(super) fn add(&self, operation: &mut Json) {
        let body = operation.pointer_mut("/requestBody/content/application~1json");
        if let Some(body) = body.filter(|body| body["example"].is_null()) {
            body["example"] = self.of(&body["schema"]);
        }
        let Some(responses) = operation.get_mut("responses").and_then(Json::as_object_mut) else {
            return;
        };
        let contents = responses.values_mut().filter_map(|answer| answer.get_mut("content")?.as_object_mut());
        for content in contents {
            let rows = content.get("application/json").map(|json| self.of(&json["schema"]));
            for (media_type, media) in content {
                if media.get("example").is_some() {
                    continue;
                }
                let example = match (media_type.as_str(), &rows) {
                    ("application/json", Some(whole)) => Some(whole.clone()),
                    ("text/csv", Some(whole)) => Some(csv(&row_of(whole))),
                    ("application/x-ndjson", Some(whole)) => Some(Json::from(format!("{}\n", row_of(whole)))),
                    _ => None,
                };
                if let Some(example) = example {
                    media["example"] = example;
                }
            }
        }
    }

    /// A value that the schema allows.
    pub(super) fn of(&self, schema: &Json) -> Json {
        self.within(schema, DEPTH_MAX)
    }

    fn within(&self, schema: &Json, depth: usize) -> Json {
        let Some(depth) = depth.checked_sub(1) else { return Json::Null };
        let first = |name: &str| schema.get(name)?.get(0);
        if let Some(given) = schema.get("const").or_else(|| first("examples")).or_else(|| first("enum")) {
            return given.clone();
        }
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            return self.schemas.get(name).map_or(Json::Null, |schema| self.within(schema, depth));
        }
        if let Some(either) = first("oneOf").or_else(|| first("anyOf")) {
            return self.within(either, depth);
        }
        if let Some(parts) = schema["allOf"].as_array() {
            let parts = parts.iter().map(|part| self.within(part, depth));
            return Json::Object(parts.filter_map(|part| part.as_object().cloned()).flatten().collect());
        }
        let own_type = schema["type"].get(0).unwrap_or(&schema["type"]);
        match own_type.as_str() {
            Some("object") => self.object(schema, depth),
            Some("array") => self.array(schema, depth),
            Some("integer") => whole(schema),
            Some("number") => number(schema),
            Some("boolean") => Json::from(true),
            Some("string") => Json::from(match schema["format"].as_str() {
                Some("date-time") => INSTANT,
                Some("date") => DATE,
                _ => "text",
            }),
            Some("null") => Json::Null,
            _ => Json::from("text"),
        }
    }

    fn object(&self, schema: &Json, depth: usize) -> Json {
        let own = schema["properties"].as_object().into_iter().flatten();
        let own = own.map(|(name, schema)| (name.clone(), self.within(schema, depth)));
        let mut object: Map<String, Json> = own.collect();
        if let Some(others) = schema.get("additionalProperties").filter(|others| others.is_object()) {
            object.insert("name".to_owned(), self.within(others, depth));
        }
        Json::Object(object)
    }

    fn array(&self, schema: &Json, depth: usize) -> Json {
        if let Some(places) = schema["prefixItems"].as_array() {
            return places.iter().map(|place| self.within(place, depth)).collect();
        }
        if schema["maxItems"] == 0 {
            return json!([]);
        }
        match schema.get("items") {
            Some(items) => json!([self.within(items, depth)]),
            None => json!([]),
        }
    }
}

fn whole(schema: &Json) -> Json {
    let (least, most) = (schema["minimum"].as_i64(), schema["maximum"].as_i64());
    Json::from(12.clamp(least.unwrap_or(i64::MIN), most.unwrap_or(i64::MAX).max(least.unwrap_or(i64::MIN))))
}

fn number(schema: &Json) -> Json {
    let most = schema["maximum"].as_f64().unwrap_or(f64::INFINITY);
    let least = schema["minimum"].as_f64().unwrap_or(f64::NEG_INFINITY);
    Json::from(if most <= 1.0 { 0.5_f64 } else { 12.5 }.min(most).max(least))
}

/// The row of a file of an answer: of its first list of objects, else its plain values under their dotted paths.
fn row_of(answer: &Json) -> Json {
    first_list(answer).cloned().unwrap_or_else(|| {
        let mut row = Map::new();
        flatten(answer, "", &mut row);
        Json::Object(row)
    })
}

fn first_list(answer: &Json) -> Option<&Json> {
    match answer {
        Json::Array(rows) => rows.first().filter(|row| row.is_object()),
        Json::Object(fields) => fields.values().find_map(first_list),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => None,
    }
}

fn flatten(value: &Json, path: &str, row: &mut Map<String, Json>) {
    let Some(fields) = value.as_object() else {
        row.insert(path.to_owned(), value.clone());
        return;
    };
    for (name, value) in fields {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        flatten(value, &path, row);
    }
}

/// A header and one row.
fn csv(row: &Json) -> Json {
    let fields: Vec<(&String, &Json)> = row.as_object().into_iter().flatten().collect();
    let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    let cells: Vec<String> = fields
        .iter()
        .map(|(_, cell)| match cell {
            Json::String(text) => text.clone(),
            Json::Null => String::new(),
            Json::Array(_) | Json::Object(_) => format!("\"{}\"", cell.to_string().replace('"', "\"\"")),
            Json::Bool(_) | Json::Number(_) => cell.to_string(),
        })
        .collect();
    Json::from(format!("{}\r\n{}\r\n", names.join(","), cells.join(",")))
}

/// A problem as it is sent.
pub(super) fn of_problem(code: Code) -> Json {
    let told = |text: &str| Problem::new(code, text);
    let problem = match code {
        Code::TokenMissing => told("The request has no Authorization header."),
        Code::TokenInvalid => told("The token is no JWT signed with HS256."),
        Code::TokenExpired => told("The token's `exp` has passed."),
        Code::TokenEarly => told("The token's `nbf` is still to come."),
        Code::TokenClaims => told("The token has no claim `exp`, and needs it."),
        Code::TokenAudience => told("The token's `aud` is no app of this server."),
        Code::TokenIssuer => told("The token has no claim `iss`; allowed is https://app.example.com."),
        Code::PlanRequired => told("Upgrade your plan to use this."),
        Code::RoleForbidden => told("The token's role is \"viewer\"; allowed is admin."),
        Code::TenantRequired => told("The token names no tenant, and this needs one."),
        Code::Forbidden => told("The token is for another report."),
        Code::PathUnknown => told("This server has no such path."),
        Code::TenantUnknown => told("There is no such tenant."),
        Code::TableUnknown => told("There is no table \"visit\" in this app."),
        Code::CohortUnknown => told("There is no cohort \"came-once\"."),
        Code::CardUnknown => told("There is no card \"weekly-visits\"."),
        Code::NotFound => told("There is nothing of that name."),
        Code::MethodNotAllowed => told("This path allows GET, HEAD only."),
        Code::UpgradeRequired => {
            told("This path is a WebSocket: Connection header did not include 'upgrade'.")
        }
        Code::MediaType => told("The body's type is \"text/plain\"; allowed is application/json."),
        Code::JsonInvalid => told("The body broke off."),
        Code::BodyInvalid => told("name: 7 was given; allowed is text"),
        Code::BodySlow => told("The body did not arrive within 30 seconds."),
        Code::BodyTooLarge => told("The body is larger than the 16777216 bytes that are allowed here."),
        Code::ParameterInvalid => {
            told("parameter days: \"0\" was given; allowed is a whole number from 1 to 365")
        }
        Code::QueryInvalid => told("kind: \"trends\" was given; did you mean \"trend\"?"),
        Code::SqlInvalid => told("There is no column \"nam\"."),
        Code::NumberTooLarge => {
            told("In the rows of this report a sum goes past the largest number of its type.")
        }
        Code::ReportUnanswerable => {
            told("A statement of this report fails for these rows and parameters: Divide by zero error.")
        }
        Code::AppAmbiguous => told("The token is for several apps."),
        Code::CohortExists => told("There is a cohort \"came-once\"."),
        Code::MintingUnavailable => told("This server has no secret of its own that it could sign with."),
        Code::Conflict => told("What is stored says otherwise."),
        Code::TooLarge => told("The answer has more rows than the 100000 that are allowed."),
        Code::Overloaded => told("As many requests run as this server takes."),
        Code::Recovering => told("The server is still opening its data."),
        Code::Draining => told("The server is stopping."),
        Code::KeysUnavailable => told("The keys that tokens are checked with could not be fetched yet."),
        Code::Timeout => told("The answer took more than 30 seconds."),
        Code::SqlUnavailable
        | Code::StorageFailed
        | Code::Unavailable
        | Code::SqlFell
        | Code::Corrupt
        | Code::Internal => Problem::hidden(code, ""),
    };
    problem.to_json(REQUEST_ID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_as_its_schema_says() {
        let schemas = Map::from_iter([(
            "Row".to_owned(),
            json!({"type": "object", "properties": {"n": {"type": "integer"}}}),
        )]);
        let check = |schema: Json, want: Json| {
            assert_eq!(Examples { schemas: &schemas }.of(&schema), want, "{schema}")
        };
        check(json!({"type": ["integer", "null"], "maximum": 0}), json!(0));
        check(json!({"type": "number", "maximum": 1}), json!(0.5));
        check(json!({"type": "array", "items": {"$ref": "#/components/schemas/Row"}}), json!([{"n": 12}]));
        check(
            json!({"oneOf": [{"type": "string", "format": "date"}, {"type": "null"}]}),
            json!("2026-11-20"),
        );
        check(
            json!({"allOf": [{"$ref": "#/components/schemas/Row"}, {"type": "object", "properties": {"a": {"const": 1}}}]}),
            json!({"n": 12, "a": 1}),
        );
        check(json!({"type": "object", "additionalProperties": {"enum": ["b"]}}), json!({"name": "b"}));
    }

    #[test]
    fn a_file_of_the_example_has_its_first_list() {
        let answer = json!({"total": 1, "rows": [{"day": "2026-11-20", "n": null, "more": [1]}]});
        assert_eq!(csv(&row_of(&answer)), json!("day,n,more\r\n2026-11-20,,\"[1]\"\r\n"));
        let plain = json!({"users": {"total": 1, "new": 2}, "at": "x"});
        assert_eq!(row_of(&plain), json!({"users.total": 1, "users.new": 2, "at": "x"}));
    }

    #[test]
    fn a_problem_has_what_every_problem_has() {
        for code in Code::ALL {
            let problem = of_problem(*code);
            assert_eq!(
                (&problem["code"], &problem["status"]),
                (&json!(code.as_str()), &json!(code.status().as_u16()))
            );
            assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
        }
    }
}
