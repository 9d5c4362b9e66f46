//! Operations of rejected rows.

use serde_json::{Value as Json, json};

use super::operation::{Answer, BODY_CODES, Operation, SIGN_IN_CODES, WORK_CODES};
use super::own::{ROWS, codes, of_app, or_null, roles};
use crate::problem::Code;
use crate::server::Server;

pub(crate) fn list(server: &Server) -> Operation {
    let count = || json!({"type": "integer", "minimum": 0});
    let of_kind = json!({
        "type": "object", "required": ["table", "code", "rows"],
        "properties": {"table": {"type": "string"}, "code": {"type": "string"}, "rows": count()},
    });
    let schema = json!({
        "type": "object", "required": ["rejects", "counts", "forgotten", "rows_max", "next"],
        "properties": {
            "rejects": {"type": "array", "items": reject()},
            "counts": {
                "type": "array", "items": of_kind, "description": "How many there are, whatever was asked for.",
            },
            "forgotten": {"type": "integer", "minimum": 0, "description": "How many more there were: the oldest are let go of."},
            "rows_max": {"type": "integer", "minimum": 0, "description": "How many of one tenant are kept."},
            "next": {"type": ["string", "null"], "description": "Give it as `after` for older ones."},
        },
    });
    let after = parameter("after", "Those older than the reject of this id.", json!({"type": "string"}));
    let limit = json!({"type": "integer", "minimum": 1, "maximum": 1_000, "default": 100});
    let mut operation =
        of_rejects("list_rejects", "The rows that were refused, the newest first", schema, "The rejects.");
    operation.description = "Of the token's tenant; of all, and of those that nobody knows a tenant of, for an `admin` without one. Rows are \
        kept as they came, up to 16 KiB of each, without what looks like a secret."
        .to_owned();
    operation.parameters.extend(filters(server));
    operation.parameters.extend([after, parameter("limit", "How many.", limit)]);
    operation
}

pub(crate) fn retry(_: &Server) -> Operation {
    let ids = json!({"type": ["array", "null"], "items": {"type": "string"}, "maxItems": 10_000});
    let row = json!({
        "type": "object", "required": ["id", "row"], "additionalProperties": false,
        "properties": {"id": {"type": "string"}, "row": {"description": "The row, mended."}},
    });
    let text = || json!({"type": ["string", "null"]});
    let body = json!({
        "type": "object", "additionalProperties": false,
        "description": "By `ids` and `rows`, or by `table` and `code`.",
        "properties": {
            "ids": ids,
            "rows": {"type": ["array", "null"], "items": row, "maxItems": 10_000},
            "table": text(), "code": text(),
        },
    });
    let count = || json!({"type": "integer", "minimum": 0});
    let refused = json!({
        "type": "object", "required": ["id", "column", "code", "detail"],
        "properties": {
            "id": {"type": "string"}, "column": {"type": ["string", "null"]},
            "code": {"type": "string"}, "detail": {"type": "string"},
        },
    });
    let schema = json!({
        "type": "object",
        "required": ["accepted", "duplicates", "waiting", "rejected", "unknown", "more"],
        "properties": {
            "accepted": count(), "duplicates": count(), "waiting": count(),
            "rejected": {"type": "array", "items": refused, "description": "They stay rejects."},
            "unknown": {"type": "array", "items": {"type": "string"}, "description": "Ids of no reject."},
            "more": {"type": "boolean", "description": "Whether more are meant than one request sends."},
        },
    });
    let summary = "Send refused rows again";
    let mut operation = of_rejects("retry_rejects", summary, schema, "What became of them.");
    operation.description = "As they came, or mended, by the way that they came: what is accepted, a duplicate or waiting is a reject no more."
        .to_owned();
    operation.body = Some((body, json!({"code": "wrong_type"})));
    operation.codes.retain(|code| *code != Code::AppAmbiguous);
    operation.codes.extend(codes(&[&BODY_CODES, &[Code::BodyInvalid]]));
    operation
}

pub(crate) fn delete(server: &Server) -> Operation {
    let schema = json!({
        "type": "object", "required": ["deleted"],
        "properties": {"deleted": {"type": "integer", "minimum": 0}},
    });
    let mut operation =
        of_rejects("delete_rejects", "Be rid of refused rows", schema, "How many there were.");
    operation.description = "Without a filter all that the token sees.".to_owned();
    let ids = parameter("ids", "These alone, with commas between.", json!({"type": "string"}));
    operation.parameters.push(ids);
    operation.parameters.extend(filters(server));
    operation
}

fn filters(server: &Server) -> [Json; 2] {
    let mut tables = server.apps.iter().flat_map(|app| &app.pack.schema.tables);
    let table = tables.next().map(|table| table.name.as_str());
    [
        json!({
            "name": "table", "in": "query", "required": false, "description": "Those of this table.",
            "schema": {"type": "string"}, "example": table,
        }),
        parameter("code", "Those with this code.", json!({"type": "string"})),
    ]
}

fn parameter(name: &str, description: &str, schema: Json) -> Json {
    json!({"name": name, "in": "query", "required": false, "description": description, "schema": schema})
}

fn reject() -> Json {
    let text = || json!({"type": "string"});
    let number = || json!({"type": ["integer", "null"], "minimum": 0});
    json!({
        "type": "object",
        "required": [
            "id", "at", "tenant", "table", "way", "source", "index", "line", "column", "code", "detail", "row",
            "text", "row_bytes", "whole",
        ],
        "properties": {
            "id": text(),
            "at": {"type": "string", "format": "date-time"},
            "tenant": or_null(text()),
            "table": text(),
            "way": {"type": "string", "enum": ["rows", "capture", "actors", "alias", "path", "message", "file"]},
            "source": {"type": "string", "description": "The path or the file that it came by."},
            "index": number(), "line": number(),
            "column": or_null(text()),
            "code": text(), "detail": text(),
            "row": {"description": "As it came, where it is JSON."},
            "text": {"type": ["string", "null"], "description": "As it came, where it is not."},
            "row_bytes": {"type": "integer", "minimum": 0},
            "whole": {"type": "boolean", "description": "Whether all of it is kept, so that it can be sent again as it is."},
        },
    })
}

fn of_rejects(id: &str, summary: &str, schema: Json, told: &str) -> Operation {
    Operation {
        id: id.to_owned(),
        tag: ROWS.to_owned(),
        summary: summary.to_owned(),
        description: String::new(),
        access: roles(&["admin"]),
        parameters: vec![of_app()],
        body: None,
        answers: vec![Answer::json(schema, told)],
        codes: codes(&[
            &SIGN_IN_CODES,
            &[
                Code::RoleForbidden,
                Code::AppAmbiguous,
                Code::ParameterInvalid,
                Code::Conflict,
                Code::TooLarge,
            ],
            &WORK_CODES,
        ]),
    }
}
