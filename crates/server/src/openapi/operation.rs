//! One operation: a path called in one way.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::examples::of_problem;
use crate::problem::{Code, PROBLEM_MEDIA_TYPE};

/// What a path takes and answers.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    /// Unique in the document, of letters, digits and `_`.
    pub(crate) id: String,
    /// Paths that belong together have one.
    pub(crate) tag: String,
    pub(crate) summary: String,
    pub(crate) description: String,
    pub(crate) access: Access,
    pub(crate) parameters: Vec<Json>,
    /// The schema of a JSON body, and one that may be sent; null, where one is made of the schema.
    pub(crate) body: Option<(Json, Json)>,
    pub(crate) answers: Vec<Answer>,
    /// What it may be refused with.
    pub(crate) codes: Vec<Code>,
}

/// Who may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody, without a token.
    Open,
    /// Whoever signed in.
    SignedIn,
    Roles(Vec<String>),
}

/// An answer that is no refusal.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) description: String,
    /// Media type → schema.
    pub(crate) content: Vec<(&'static str, Json)>,
    /// Name → description.
    pub(crate) headers: Vec<(&'static str, &'static str)>,
}

/// Of answers that may have been kept.
pub(crate) const KEPT_HEADERS: [(&str, &str); 2] = [
    ("Age", "Seconds since the answer was computed."),
    ("X-Cache", "`hit` where the answer was kept, else `miss`."),
];

/// What any path that wants a token may be refused with.
pub(crate) const SIGN_IN_CODES: [Code; 6] = [
    Code::TokenMissing,
    Code::TokenInvalid,
    Code::TokenExpired,
    Code::TokenEarly,
    Code::TokenClaims,
    Code::TokenAudience,
];

/// What any path that does work may be refused with.
pub(crate) const WORK_CODES: [Code; 8] = [
    Code::Overloaded,
    Code::Recovering,
    Code::Draining,
    Code::StorageFailed,
    Code::Unavailable,
    Code::Timeout,
    Code::Corrupt,
    Code::Internal,
];

/// What a path with a body may be refused with for it.
pub(crate) const BODY_CODES: [Code; 5] =
    [Code::BodySlow, Code::BodyTooLarge, Code::MediaType, Code::JsonInvalid, Code::AppAmbiguous];

impl Answer {
    pub(crate) fn json(schema: Json, description: impl Into<String>) -> Self {
        Self {
            status: 200,
            description: description.into(),
            content: vec![("application/json", schema)],
            headers: Vec::new(),
        }
    }

    fn to_json(&self) -> Json {
        let mut answer = Map::from_iter([("description".to_owned(), Json::from(self.description.as_str()))]);
        let mut headers: Map<String, Json> =
            Map::from_iter([("X-Request-Id".to_owned(), json!({"$ref": "#/components/headers/RequestId"}))]);
        for (name, description) in &self.headers {
            let header = json!({"description": description, "schema": {"type": "string"}});
            headers.insert((*name).to_owned(), header);
        }
        answer.insert("headers".to_owned(), Json::Object(headers));
        if !self.content.is_empty() {
            let content =
                |(media_type, schema): &(&str, Json)| ((*media_type).to_owned(), json!({"schema": schema}));
            answer.insert("content".to_owned(), Json::Object(self.content.iter().map(content).collect()));
        }
        Json::Object(answer)
    }
}

impl Operation {
    pub(crate) fn to_json(&self) -> Json {
        let mut operation = Map::new();
        let mut put = |name: &str, value: Json| _ = operation.insert(name.to_owned(), value);
        put("operationId", Json::from(self.id.as_str()));
        put("tags", json!([self.tag]));
        put("summary", Json::from(self.summary.as_str()));
        put("description", Json::from(self.described()));
        match &self.access {
            Access::Open => put("security", json!([])),
            Access::SignedIn => put("security", json!([{"bearer": []}])),
            Access::Roles(roles) => {
                put("security", json!([{"bearer": []}]));
                put("x-ebbtide-roles", json!(roles));
            }
        }
        if !self.parameters.is_empty() {
            put("parameters", json!(self.parameters));
        }
        if let Some((schema, example)) = &self.body {
            let content = json!({"application/json": {"schema": schema, "example": example}});
            put("requestBody", json!({"required": true, "content": content}));
        }
        put("responses", self.responses());
        Json::Object(operation)
    }

    fn described(&self) -> String {
        let roles = match &self.access {
            Access::Open => "No token is wanted.".to_owned(),
            Access::SignedIn => "Roles: any.".to_owned(),
            Access::Roles(roles) => format!("Roles: {}.", roles.join(", ")),
        };
        if self.description.is_empty() { roles } else { format!("{}\n\n{roles}", self.description) }
    }

    fn responses(&self) -> Json {
        let mut responses: BTreeMap<String, Json> = BTreeMap::new();
        for answer in &self.answers {
            responses.insert(answer.status.to_string(), answer.to_json());
        }
        let mut refusals: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
        for code in &self.codes {
            refusals.entry(code.status().as_u16()).or_default().push(*code);
        }
        for (status, codes) in refusals {
            // A path that tells of its own state in its answers, such as a probe, has said it.
            responses.entry(status.to_string()).or_insert_with(|| refusal(&codes));
        }
        json!(responses)
    }
}

/// The problems that one status stands for.
fn refusal(codes: &[Code]) -> Json {
    let told: Vec<String> =
        codes.iter().map(|code| format!("`{}`: {}.", code.as_str(), code.title())).collect();
    let names: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
    let schema = json!({
        "allOf": [
            {"$ref": "#/components/schemas/Problem"},
            {"properties": {"code": {"enum": names}}},
        ],
    });
    json!({
        "description": told.join(" "),
        "headers": {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}},
        "content": {PROBLEM_MEDIA_TYPE: {"schema": schema, "example": codes.first().map(|code| of_problem(*code))}},
        "x-ebbtide-codes": names,
    })
}
