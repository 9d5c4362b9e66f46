//! What `GET /v1/schema` and `POST /v1/explain` answer, field by field: clients make their types of it.

use serde_json::{Value as Json, json};

/// Schemas by name.
pub(super) fn schemas() -> [(&'static str, Json); 7] {
    [
        ("Schema", schema()),
        ("SchemaTable", table()),
        ("SchemaColumn", column()),
        ("SchemaReport", report()),
        ("SchemaParam", param()),
        ("Explanation", explanation()),
        ("ExplanationRule", rule()),
    ]
}

fn schema() -> Json {
    json!({
        "type": "object",
        "properties": {
            "app": {"type": "string"},
            "title": {"type": ["string", "null"]},
            "timezone": {"type": ["string", "null"]},
            "tables": {"type": "array", "items": {"$ref": "#/components/schemas/SchemaTable"}},
            "reports": {"type": "array", "items": {"$ref": "#/components/schemas/SchemaReport"}}
        },
        "required": ["app", "title", "timezone", "tables", "reports"]
    })
}

fn table() -> Json {
    json!({
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "kind": {"type": "string", "enum": ["events", "entity"]},
            "key": {"type": "array", "items": {"type": "string"}},
            "tenant": {
                "description": "Whose its rows are: a column's value, the parent's, or the same for all.",
                "type": "object",
                "properties": {
                    "column": {"type": "string"},
                    "parent": {"type": "string"},
                    "by": {"type": "string"},
                    "fixed": {"type": "string"}
                }
            },
            "actor": {"type": ["string", "null"], "description": "The column of whose behaviour a row tells."},
            "time": {"type": ["string", "null"]},
            "event_name": {"type": ["string", "null"], "description": "The column that says what happened."},
            "columns": {"type": "array", "items": {"$ref": "#/components/schemas/SchemaColumn"}},
            "open": {"type": "string", "description": "The field that holds further properties, where rows may have any."},
            "properties": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}, "type": {"type": "string"}},
                    "required": ["name", "type"]
                }
            },
            "storage": {
                "description": "For an `admin` without a tenant.",
                "type": "object",
                "properties": {
                    "rows": {"type": "integer", "minimum": 0},
                    "waiting": {"type": "integer", "minimum": 0},
                    "latest": {"type": ["string", "null"], "format": "date-time", "description": "The latest time of a row."},
                    "segments": {"type": "integer", "minimum": 0},
                    "disk_bytes": {"type": "integer", "minimum": 0},
                    "memory_bytes": {"type": "integer", "minimum": 0},
                    "keys": {"type": "integer", "minimum": 0}
                },
                "required": ["latest", "rows", "waiting", "segments", "disk_bytes", "memory_bytes", "keys"]
            }
        },
        "required": ["name", "kind", "key", "tenant", "actor", "time", "event_name", "columns"]
    })
}

fn column() -> Json {
    json!({
        "type": "object",
        "properties": {"name": {"type": "string"}, "type": {"type": "string"}, "nullable": {"type": "boolean"}},
        "required": ["name", "type", "nullable"]
    })
}

fn report() -> Json {
    json!({
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "description": {"type": ["string", "null"]},
            "params": {"type": "array", "items": {"$ref": "#/components/schemas/SchemaParam"}},
            "routes": {"type": "array", "items": {"type": "string"}, "description": "The paths that the token may call."},
            "lists": {"type": "array", "items": {"type": "string"}, "description": "What files hold, by dotted paths."},
            "tables": {"type": "array", "items": {"type": "string"}}
        },
        "required": ["name", "description", "params", "routes", "lists", "tables"]
    })
}

fn param() -> Json {
    json!({
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "description": {"type": ["string", "null"]},
            "type": {"type": "string"},
            "required": {"type": "boolean"},
            "default": {"type": ["string", "number", "boolean", "null"]},
            "min": {"type": ["string", "number", "null"]},
            "max": {"type": ["string", "number", "null"]},
            "choices": {"type": "array", "items": {"type": ["string", "number", "boolean", "null"]}}
        },
        "required": ["name", "description", "type", "required", "default", "min", "max", "choices"]
    })
}

fn explanation() -> Json {
    json!({
        "type": "object",
        "properties": {
            "actor": {},
            "counted": {"type": "object", "description": "The query asked of the actor's events alone."},
            "rule": {"$ref": "#/components/schemas/ExplanationRule"},
            "events": {
                "type": "array",
                "items": {
                    "type": "object",
                    "description": "Besides, where it counts: `step`, `bucket`, `row`, `cells` or `chain`.",
                    "properties": {
                        "time": {"type": "string", "format": "date-time"},
                        "table": {"type": "string"},
                        "event": {},
                        "matched": {"type": "array", "items": {"type": "string"}},
                        "rule": {"$ref": "#/components/schemas/ExplanationRule"}
                    },
                    "required": ["time", "table", "event", "matched", "rule"]
                }
            },
            "events_total": {"type": "integer", "minimum": 0},
            "elsewhere": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "engine": {"type": "string"},
                        "rules": {"type": "string"},
                        "reads": {},
                        "same": {"type": "boolean"},
                        "why": {"type": "string"},
                        "differences": {
                            "type": "array", "items": {"type": "string"},
                            "description": "Codes of what is other about those rules."
                        }
                    },
                    "required": ["engine", "rules", "reads", "same", "why", "differences"]
                }
            },
            "query": {"type": "object"},
            "meta": {"$ref": "#/components/schemas/Meta"}
        },
        "required": ["actor", "counted", "rule", "events", "events_total", "elsewhere", "query", "meta"]
    })
}

fn rule() -> Json {
    json!({
        "type": "object",
        "properties": {
            "code": {"type": "string"},
            "text": {"type": "string", "description": "The rule as a sentence, in the language of `lang`."},
            "facts": {"type": "object", "description": "What the sentence names; places count from zero, as in the query."}
        },
        "required": ["code", "text", "facts"]
    })
}
