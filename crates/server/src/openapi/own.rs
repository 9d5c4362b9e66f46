//! Operations of the server's own paths.

use ebbtide_model::Language;
use ebbtide_model::pack::LANG;
use serde_json::{Map, Value as Json, json};

use super::examples::Examples;
use super::operation::{Access, Answer, BODY_CODES, KEPT_HEADERS, Operation, SIGN_IN_CODES, WORK_CODES};
use super::schemas::of_row;
use crate::http::reference_files;
use crate::problem::Code;
use crate::server::Server;

const QUESTIONS: &str = "Questions";
pub(super) const ROWS: &str = "Rows";
const OPERATIONS: &str = "For operators";
const REFERENCE: &str = "Reference";

pub(crate) fn schema(_: &Server) -> Operation {
    let answer = Answer::json(json!({"$ref": "#/components/schemas/Schema"}), "The app.");
    Operation {
        id: "schema".to_owned(),
        tag: QUESTIONS.to_owned(),
        summary: "Tables, columns and reports of the token's app".to_owned(),
        description: "The reports are those that the token may call.".to_owned(),
        access: Access::SignedIn,
        parameters: vec![of_app()],
        body: None,
        answers: vec![answer],
        codes: codes(&[&SIGN_IN_CODES, &[Code::AppAmbiguous, Code::ParameterInvalid], &WORK_CODES]),
    }
}

pub(crate) fn rows(server: &Server) -> Operation {
    let tables = || server.apps.iter().flat_map(|app| &app.pack.schema.tables);
    let mut names: Vec<&str> = tables().map(|table| table.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let first = names.first().and_then(|first| tables().find(|table| table.name.as_str() == *first));
    let row = first.map(|table| Examples { schemas: &Map::new() }.of(&of_row(table)));
    let schema = json!({
        "type": "array", "maxItems": server.settings.rows_max,
        "description": "Rows of the table, as `Row.APP.TABLE` among the schemas has them. One that is not is rejected, and the others stored.",
        "items": {},
    });
    Operation {
        id: "append_rows".to_owned(),
        tag: ROWS.to_owned(),
        summary: "Write rows into a table".to_owned(),
        description:
            "Rows are durable before the answer. Each is accepted, a duplicate, waiting for its parent, or \
            rejected with a reason (`docs/errors.md`); the good rows of a list with bad ones are stored."
                .to_owned(),
        access: roles(&["admin", "writer"]),
        parameters: vec![
            json!({
                "name": "table", "in": "path", "required": true, "description": "A table of the token's app.",
                "schema": {"type": "string", "enum": names}, "example": names.first(),
            }),
            of_app(),
        ],
        body: Some((schema, Json::from_iter(row))),
        answers: vec![Answer::json(
            json!({"$ref": "#/components/schemas/Accounted"}),
            "What became of the rows.",
        )],
        codes: codes(&[
            &SIGN_IN_CODES,
            &[Code::RoleForbidden, Code::TenantRequired, Code::Forbidden, Code::TableUnknown],
            &[Code::ParameterInvalid, Code::BodyInvalid, Code::Conflict, Code::TooLarge],
            &BODY_CODES,
            &WORK_CODES,
        ]),
    }
}

pub(crate) fn query(server: &Server) -> Operation {
    let body = json!({
        "type": "object", "required": ["kind"], "maxProperties": 64,
        "description": "A query of the query language: see docs/queries.md.",
        "properties": {
            "kind": {"type": "string", "enum": ebbtide_model::query::KINDS},
            "as_of": or_null(json!({"$ref": "#/components/schemas/AsOf"})),
        },
    });
    let event_table = server.apps.iter().flat_map(|app| &app.pack.schema.tables);
    let stream = event_table.into_iter().find(|table| table.actor.is_some()).map(|table| table.name.as_str());
    let example =
        json!({"kind": "trend", "stream": stream, "entity": {}, "measure": "total", "interval": "month"});
    Operation {
        id: "query".to_owned(),
        tag: QUESTIONS.to_owned(),
        summary: "Ask a behavioural question".to_owned(),
        description: "Over the rows of the token's tenant; of all tenants for an `admin` without one."
            .to_owned(),
        access: Access::SignedIn,
        parameters: vec![of_app()],
        body: Some((body, example)),
        answers: vec![Answer {
            headers: vec![KEPT_HEADERS[0], KEPT_HEADERS[1]],
            ..Answer::json(json!({"$ref": "#/components/schemas/QueryAnswer"}), "The result.")
        }],
        codes: asking_codes(&[Code::QueryInvalid]),
    }
}

pub(crate) fn explain(_: &Server) -> Operation {
    let body = json!({
        "type": "object", "required": ["query", "actor"], "additionalProperties": false,
        "properties": {
            "query": {"type": "object", "description": "A query of the query language: see docs/queries.md."},
            "actor": {
                "description": "One actor; over all tenants an object of `tenant` and `actor`.",
                "type": ["string", "number", "boolean", "object"],
            },
        },
    });
    let schema = json!({"$ref": "#/components/schemas/Explanation"});
    Operation {
        id: "explain".to_owned(),
        tag: QUESTIONS.to_owned(),
        summary: "Why an actor is counted as it is".to_owned(),
        description: "Which of its events matched which step, cell or bucket, the rule that decided, and how the number would read \
            under the rules of others."
            .to_owned(),
        access: Access::SignedIn,
        parameters: vec![of_app(), of_language()],
        body: Some((body, json!({"query": {"kind": "churn"}, "actor": 1}))),
        answers: vec![Answer::json(schema, "The explanation.")],
        codes: asking_codes(&[Code::QueryInvalid, Code::ParameterInvalid]),
    }
}

pub(crate) fn members(_: &Server) -> Operation {
    let body = json!({
        "type": "object", "required": ["query"], "additionalProperties": false,
        "properties": {
            "query": {"type": "object", "description": "A query of the query language: see docs/queries.md."},
            "from": {
                "type": ["object", "null"],
                "description": "Which of its actors, by step, cell or bucket: see docs/queries.md. Default: all that it counts.",
            },
            "limit": or_null(json!({"type": "integer", "minimum": 0, "maximum": 10_000, "default": 200})),
        },
    });
    let schema = json!({
        "type": "object", "required": ["members", "total", "type", "as_of"],
        "properties": {
            "members": {
                "type": "array", "description": "The first of them; over all tenants objects of `tenant` and `actor`.",
                "items": {"type": ["string", "number", "boolean", "object", "null"]},
            },
            "total": {"type": "integer", "minimum": 0},
            "type": {"type": "string"},
            "as_of": {"type": "string", "format": "date-time"},
        },
    });
    let example = json!({"query": {"kind": "stickiness"}, "from": {"at_least": 2}});
    Operation {
        description: "The actors that a number of an answer counts: those that a cohort of the same `query` and `from` would have."
            .to_owned(),
        body: Some((body, example)),
        codes: asking_codes(&[Code::QueryInvalid]),
        ..asking("members", "Who is behind a number", Answer::json(schema, "The members, ascending."))
    }
}

pub(crate) fn list_cohorts(_: &Server) -> Operation {
    let schema = json!({
        "type": "object", "required": ["cohorts"],
        "properties": {"cohorts": {"type": "array", "items": cohort_schema()}},
    });
    Operation {
        codes: asking_codes(&[]),
        ..asking("list_cohorts", "The cohorts, by name", Answer::json(schema, "The cohorts."))
    }
}

pub(crate) fn save_cohort(_: &Server) -> Operation {
    let body = json!({
        "type": "object", "required": ["name", "query"], "additionalProperties": false,
        "properties": {
            "name": {"type": "string", "maxLength": ebbtide_model::COHORT_NAME_MAX, "pattern": COHORT_NAME},
            "query": {"type": "object", "description": "A query of the query language: see docs/queries.md."},
            "from": {
                "type": ["object", "null"],
                "description": "Which of its actors, by step, cell or bucket: see docs/queries.md. Default: all that it counts.",
            },
            "mode": or_null(json!({"type": "string", "enum": ["static", "live"], "default": "static"})),
        },
    });
    let example = json!({"name": "came-once", "query": {"kind": "stickiness"}, "from": {"exactly": 1}});
    let answer = Answer { status: 201, ..Answer::json(cohort_schema(), "It is saved.") };
    Operation {
        description: "A static cohort keeps who is in it; a live one is decided each time that it is used. Queries name it in \
            a filter: `{\"cohort\": \"came-once\"}`."
            .to_owned(),
        body: Some((body, example)),
        codes: asking_codes(&[Code::QueryInvalid, Code::CohortExists, Code::Conflict]),
        ..asking("save_cohort", "Save a set of actors from an answer", answer)
    }
}

pub(crate) fn cohort(_: &Server) -> Operation {
    let mut operation = asking("cohort", "A cohort", Answer::json(cohort_schema(), "The cohort."));
    operation.description = "Of a live one, `size` is that of now.".to_owned();
    operation.codes = asking_codes(&[Code::QueryInvalid, Code::CohortUnknown]);
    operation.parameters.insert(0, cohort_name());
    operation
}

pub(crate) fn delete_cohort(_: &Server) -> Operation {
    let schema = json!({
        "type": "object", "required": ["deleted"], "properties": {"deleted": {"type": "string"}},
    });
    let mut operation = asking("delete_cohort", "Delete a cohort", Answer::json(schema, "It is gone."));
    operation.codes = asking_codes(&[Code::CohortUnknown, Code::Conflict]);
    operation.parameters.insert(0, cohort_name());
    operation
}

/// What the name of a cohort looks like.
pub(super) const COHORT_NAME: &str = "^[A-Za-z0-9][A-Za-z0-9_.-]*$";

fn cohort_name() -> Json {
    json!({
        "name": "name", "in": "path", "required": true, "description": "The cohort's name.",
        "schema": {"type": "string"}, "example": "came-once",
    })
}

fn cohort_schema() -> Json {
    let instant = || json!({"type": "string", "format": "date-time"});
    json!({
        "type": "object",
        "required": ["name", "mode", "query", "from", "size", "as_of", "created_at", "type"],
        "properties": {
            "name": {"type": "string"},
            "mode": {"type": "string", "enum": ["static", "live"]},
            "query": {"type": "object"},
            "from": {"type": "object"},
            "size": {"type": "integer", "minimum": 0},
            "as_of": instant(),
            "created_at": instant(),
            "type": {"type": "string", "description": "Of its members."},
        },
    })
}

/// A question, or something about what is saved of one, by whoever has signed in.
pub(super) fn asking(id: &str, summary: &str, answer: Answer) -> Operation {
    Operation {
        id: id.to_owned(),
        tag: QUESTIONS.to_owned(),
        summary: summary.to_owned(),
        description: String::new(),
        access: Access::SignedIn,
        parameters: vec![of_app()],
        body: None,
        answers: vec![answer],
        codes: Vec::new(),
    }
}

pub(crate) fn sql(_: &Server) -> Operation {
    let body = json!({
        "type": "object", "required": ["sql"], "additionalProperties": false,
        "properties": {
            "sql": {"type": "string", "description": "One read-only SELECT, WITH or VALUES: see docs/sql.md."},
            "params": {
                "type": ["object", "null"],
                "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
                "description": "Values of $name in the statement.",
            },
            "as_of": or_null(json!({"$ref": "#/components/schemas/AsOf"})),
        },
    });
    Operation {
        id: "sql".to_owned(),
        tag: QUESTIONS.to_owned(),
        summary: "Ask in SQL".to_owned(),
        description: "Over the rows of the token's tenant; of all tenants for an `admin` without one."
            .to_owned(),
        access: roles(&["admin", "analyst"]),
        parameters: vec![of_app()],
        body: Some((body, json!({"sql": "SELECT $n + 1 AS n", "params": {"n": 1}}))),
        answers: vec![Answer::json(json!({"$ref": "#/components/schemas/SqlAnswer"}), "The rows.")],
        codes: asking_codes(&[Code::RoleForbidden, Code::SqlInvalid, Code::BodyInvalid]),
    }
}

pub(crate) fn healthz(_: &Server) -> Operation {
    let schema = json!({"type": "object", "properties": {"status": {"const": "ok"}}, "required": ["status"]});
    open("healthz", OPERATIONS, "Whether the process lives", vec![Answer::json(schema, "It does.")])
}

pub(crate) fn readyz(_: &Server) -> Operation {
    let answer = |status: u16, words: [&str; 2], told: &str| {
        let schema = json!({
            "type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"],
        });
        let told = format!("{told} `status` is {}.", words.join(", "));
        Answer { status, ..Answer::json(schema, told) }
    };
    let ready = answer(200, ["ready", "degraded"], "It may get requests.");
    let not = answer(503, ["recovering, draining", "failed"], "It may not.");
    open("readyz", OPERATIONS, "Whether the server may get requests", vec![ready, not])
}

pub(crate) fn metrics(_: &Server) -> Operation {
    let answer = Answer {
        content: vec![("text/plain", json!({"type": "string"}))],
        ..Answer::json(Json::Null, "Prometheus' text format.")
    };
    open("metrics", OPERATIONS, "Numbers about the server", vec![answer])
}

pub(crate) fn live(_: &Server) -> Operation {
    let report = json!({
        "name": "report", "in": "path", "required": true, "description": "The report's name.",
        "schema": {"type": "string"},
    });
    Operation {
        id: "live".to_owned(),
        tag: QUESTIONS.to_owned(),
        summary: "Listen to a report".to_owned(),
        description: "The report's answer, and a new one after each change: as server-sent events, or over a WebSocket. \
                      Takes the report's own parameters, those of its paths too."
            .to_owned(),
        access: Access::SignedIn,
        parameters: vec![report, super::incoming::token_parameter(), of_app()],
        body: None,
        answers: vec![
            Answer {
                content: vec![("text/event-stream", json!({"type": "string"}))],
                ..Answer::json(Json::Null, "Events: each `answer` holds the whole answer.")
            },
            Answer {
                status: 101,
                description: "The connection is a WebSocket from now on.".to_owned(),
                content: Vec::new(),
                headers: Vec::new(),
            },
        ],
        codes: codes(&[
            &SIGN_IN_CODES,
            &[Code::AppAmbiguous, Code::PlanRequired, Code::RoleForbidden, Code::Forbidden],
            &[Code::TenantRequired, Code::ParameterInvalid, Code::UpgradeRequired, Code::TenantUnknown],
            &[Code::NotFound],
            &WORK_CODES,
        ]),
    }
}

pub(crate) fn openapi(_: &Server) -> Operation {
    let document = Answer {
        headers: vec![("ETag", "Give it as `If-None-Match` for a 304 while it holds.")],
        ..Answer::json(json!({"type": "object"}), "The document.")
    };
    let known = Answer {
        status: 304,
        description: "The document is the one of `If-None-Match`.".to_owned(),
        content: Vec::new(),
        headers: Vec::new(),
    };
    working("openapi", "This document", vec![document, known])
}

pub(crate) fn docs(_: &Server) -> Operation {
    let page = Answer {
        content: vec![("text/html", json!({"type": "string"}))],
        ..Answer::json(Json::Null, "The page.")
    };
    working("docs", "The reference page", vec![page])
}

pub(crate) fn docs_file(_: &Server) -> Operation {
    let text = || json!({"type": "string"});
    let file = Answer {
        content: vec![("text/javascript", text()), ("text/css", text()), ("image/svg+xml", text())],
        ..Answer::json(Json::Null, "The file.")
    };
    let mut operation = working("docs_file", "A file of the reference page", vec![file]);
    operation.parameters.push(json!({
        "name": "file", "in": "path", "required": true,
        "schema": {"type": "string", "enum": reference_files()},
    }));
    operation.codes.push(Code::PathUnknown);
    operation
}

fn working(id: &str, summary: &str, answers: Vec<Answer>) -> Operation {
    Operation { codes: codes(&[&WORK_CODES]), ..open(id, REFERENCE, summary, answers) }
}

fn open(id: &str, tag: &str, summary: &str, answers: Vec<Answer>) -> Operation {
    Operation {
        id: id.to_owned(),
        tag: tag.to_owned(),
        summary: summary.to_owned(),
        description: String::new(),
        access: Access::Open,
        parameters: Vec::new(),
        body: None,
        answers,
        codes: vec![Code::Internal],
    }
}

/// A field that may be left out may be null, too.
pub(super) fn or_null(schema: Json) -> Json {
    json!({"anyOf": [schema, {"type": "null"}]})
}

pub(super) fn of_app() -> Json {
    json!({"$ref": "#/components/parameters/app"})
}

/// In which language sentences are.
fn of_language() -> Json {
    json!({
        "name": LANG, "in": "query", "required": false,
        "description": "The language of texts. Default: what `Accept-Language` wants, else English.",
        "schema": {"type": "string", "enum": Language::ALL.map(Language::code)},
    })
}

pub(super) fn roles(names: &[&str]) -> Access {
    Access::Roles(names.iter().map(|name| (*name).to_owned()).collect())
}

pub(super) fn codes(parts: &[&[Code]]) -> Vec<Code> {
    parts.concat()
}

pub(super) fn asking_codes(own: &[Code]) -> Vec<Code> {
    let common = [Code::TenantRequired, Code::TenantUnknown, Code::ParameterInvalid, Code::TooLarge];
    codes(&[&SIGN_IN_CODES, own, &common, &BODY_CODES, &WORK_CODES])
}
