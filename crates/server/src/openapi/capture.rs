//! Operations of capture, of the keys that open it, and of tokens that are minted.

use serde_json::{Value as Json, json};

use super::operation::{Access, Answer, BODY_CODES, KEPT_HEADERS, Operation, SIGN_IN_CODES, WORK_CODES};
use super::own::{self, codes, of_app, roles};
use crate::problem::Code;
use crate::server::Server;

const CAPTURE: &str = "Capture";
const KEYS: &str = "Write keys";
const TOKENS: &str = "Tokens";

/// A body that is one object, or a list of them.
fn one_or_list(server: &Server, item: Json) -> Json {
    json!({
        "description": "One object, or a list of them. One that is not as told is rejected, and the others taken.",
        "oneOf": [{"type": "array", "maxItems": server.settings.rows_max, "items": item}, {"type": "object"}],
    })
}

fn taking(id: &str, summary: &str, description: &str, body: (Json, Json)) -> Operation {
    Operation {
        id: id.to_owned(),
        tag: CAPTURE.to_owned(),
        summary: summary.to_owned(),
        description: format!("{description} A write key may call this, too."),
        access: roles(&["admin", "writer"]),
        parameters: vec![of_app()],
        body: Some(body),
        answers: vec![Answer::json(
            json!({"$ref": "#/components/schemas/Captured"}),
            "What became of each object; it is durable.",
        )],
        codes: codes(&[
            &SIGN_IN_CODES,
            &[Code::RoleForbidden, Code::TenantRequired, Code::NotFound],
            &[Code::ParameterInvalid, Code::BodyInvalid, Code::Conflict, Code::TooLarge],
            &BODY_CODES,
            &WORK_CODES,
        ]),
    }
}

pub(crate) fn capture(server: &Server) -> Operation {
    let event = json!({
        "type": "object", "required": ["event", "actor"],
        "properties": {
            "event": {"type": ["string", "integer"], "description": "What happened."},
            "actor": {"type": ["string", "integer"], "description": "Who did it."},
            "ts": {"type": ["string", "null"], "format": "date-time", "description": "When; default now."},
            "props": {"type": ["object", "null"], "description": "Properties of any name and type."},
            "event_id": {
                "type": ["string", "integer", "null"],
                "description": "Of events with the same one the first arrival counts.",
            },
        },
    });
    taking(
        "capture",
        "Capture events",
        "Events with properties of any name.",
        (
            one_or_list(server, event),
            json!([{"event": "signed_up", "actor": "u-1", "ts": "2026-11-20T09:30:00Z", "props": {"plan": "pro"}, "event_id": "e-1"}]),
        ),
    )
}

pub(crate) fn actors(server: &Server) -> Operation {
    let actor = json!({
        "type": "object", "required": ["actor"],
        "properties": {
            "actor": {"type": ["string", "integer"]},
            "props": {"type": ["object", "null"], "description": "Null takes a property away."},
        },
    });
    taking(
        "set_actors",
        "Set properties of actors",
        "Each property takes the place of the actor's earlier one of its name; the others stay.",
        (one_or_list(server, actor), json!([{"actor": "u-1", "props": {"plan": "pro"}}])),
    )
}

pub(crate) fn alias(server: &Server) -> Operation {
    let alias = json!({
        "type": "object", "required": ["alias", "actor"],
        "properties": {
            "alias": {"type": ["string", "integer"]},
            "actor": {"type": ["string", "integer"]},
            "force": {"type": ["boolean", "null"], "description": "Join an alias with all that it is one with."},
        },
    });
    taking(
        "alias",
        "Say that two names are one actor",
        "From then on, and for all history, the events of `alias` are `actor`'s.",
        (one_or_list(server, alias), json!([{"alias": "device-1", "actor": "u-1"}])),
    )
}

pub(crate) fn beacon(server: &Server) -> Operation {
    let list = |of: &str| json!({"type": ["array", "null"], "maxItems": server.settings.rows_max, "items": {"type": "object"}, "description": format!("As {of} takes them.")});
    let body = json!({
        "type": "object", "required": ["key"], "additionalProperties": false,
        "properties": {
            "key": {"type": "string", "description": "A write key."},
            "events": list("/v1/capture"), "actors": list("/v1/actors"), "aliases": list("/v1/alias"),
        },
    });
    let captured = json!({"$ref": "#/components/schemas/Captured"});
    let answer = json!({
        "type": "object",
        "properties": {"events": captured, "actors": captured, "aliases": captured},
    });
    Operation {
        access: Access::Open,
        parameters: Vec::new(),
        answers: vec![Answer::json(answer, "What became of each object of each list; it is durable.")],
        description: "What /v1/capture, /v1/actors and /v1/alias take, in one body with the write key in it, for pages that are left: \
            it may be sent as text/plain, which browsers ask nobody about. Pages of origins that the server's rules do not name are refused."
            .to_owned(),
        ..taking("beacon", "Capture by a beacon", "", (body, json!({"key": "ewk_…", "events": [{"event": "left", "actor": "u-1"}]})))
    }
}

fn keyed(id: &str, summary: &str, description: &str, own: &[Code], answer: Answer) -> Operation {
    Operation {
        id: id.to_owned(),
        tag: KEYS.to_owned(),
        summary: summary.to_owned(),
        description: description.to_owned(),
        access: roles(&["admin"]),
        parameters: vec![of_app()],
        body: None,
        answers: vec![answer],
        codes: codes(&[
            &SIGN_IN_CODES,
            &[Code::RoleForbidden, Code::AppAmbiguous, Code::ParameterInvalid],
            own,
            &WORK_CODES,
        ]),
    }
}

pub(crate) fn keys(_: &Server) -> Operation {
    let keys = json!({"type": "array", "items": {"$ref": "#/components/schemas/WriteKey"}});
    let answer = json!({"type": "object", "properties": {"keys": keys}, "required": ["keys"]});
    keyed(
        "list_keys",
        "The write keys of the token's tenant, or of all tenants",
        "Without what would let anybody use them.",
        &[],
        Answer::json(answer, "The keys, the oldest first."),
    )
}

pub(crate) fn create_key(_: &Server) -> Operation {
    let body = json!({
        "type": "object", "additionalProperties": false,
        "properties": {
            "tenant": {"type": ["string", "null"], "description": "Whose; a token's tenant needs no naming."},
            "name": {"type": ["string", "null"], "maxLength": 100, "description": "For people."},
        },
    });
    let key = json!({
        "allOf": [
            {"$ref": "#/components/schemas/WriteKey"},
            {"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]},
        ],
    });
    let made = Answer { status: 201, ..Answer::json(key, "The key itself, which is told this once.") };
    let own = codes(&[&[Code::Forbidden, Code::BodyInvalid, Code::Conflict], &BODY_CODES]);
    let operation = keyed("create_key", "Make a write key", "It opens capture alone.", &own, made);
    Operation { body: Some((body, json!({"name": "web"}))), ..operation }
}

pub(crate) fn revoke_key(_: &Server) -> Operation {
    let answer = Answer::json(json!({"$ref": "#/components/schemas/WriteKey"}), "The key that was.");
    let own = [Code::NotFound];
    let mut operation =
        keyed("revoke_key", "Revoke a write key", "Nothing is captured with it from then on.", &own, answer);
    operation.parameters.insert(
        0,
        json!({
            "name": "id", "in": "path", "required": true, "description": "The key's `id`.",
            "schema": {"type": "string"},
        }),
    );
    operation
}

pub(crate) fn mint_token(_: &Server) -> Operation {
    let text = json!({"type": "string", "minLength": 1, "maxLength": 200});
    let id = json!({"oneOf": [text, {"type": "integer"}, {"type": "null"}]});
    let described = |mut schema: Json, description: &str| {
        schema["description"] = Json::from(description);
        schema
    };
    let embed = json!({
        "type": ["object", "null"], "required": ["report", "origin"], "additionalProperties": false,
        "description": "Binds the token to one report, for pages of one origin: see docs/embed.md.",
        "properties": {
            "report": {"type": "string", "minLength": 1},
            "params": {
                "type": ["object", "null"], "maxProperties": 50,
                "description": "Parameters of the report whose values the bearer cannot choose.",
                "additionalProperties": {"type": ["string", "number", "boolean"]},
            },
            "origin": {"type": "string", "description": "As browsers write it: `https://app.example.com`."},
        },
    });
    let body = json!({
        "type": "object", "required": ["role"], "additionalProperties": false,
        "properties": {
            "role": described(text.clone(), "What the bearer may do."),
            "tenant": described(id.clone(), "Whose rows it sees; an admin's tenant needs no naming."),
            "sub": described(id, "Who the bearer is."),
            "plan": {"type": ["string", "null"], "minLength": 1, "maxLength": 200, "description": "Default: the admin's own."},
            "ttl": {
                "type": ["string", "integer", "null"],
                "description": "How long it is good: `15m`, `12h`, `7d`, or whole seconds. Default 1h; at most 30d, of one with `embed` 1d.",
            },
            "embed": embed,
        },
    });
    let minted = json!({
        "type": "object", "required": ["token", "expires_at", "claims"],
        "properties": {
            "token": {"type": "string"},
            "expires_at": {"type": "string", "format": "date-time"},
            "claims": {"type": "object", "description": "What the token says."},
        },
    });
    Operation {
        id: "mint_token".to_owned(),
        tag: TOKENS.to_owned(),
        summary: "Mint a token".to_owned(),
        description: "Of no more rights than the admin's own. A minted token mints no others.".to_owned(),
        access: roles(&["admin"]),
        parameters: vec![of_app()],
        body: Some((body, json!({"role": "analyst", "ttl": "1h"}))),
        answers: vec![Answer { status: 201, ..Answer::json(minted, "The token, which is told this once.") }],
        codes: codes(&[
            &SIGN_IN_CODES,
            &[Code::RoleForbidden, Code::Forbidden, Code::ParameterInvalid, Code::BodyInvalid],
            &[Code::MintingUnavailable],
            &BODY_CODES,
            &WORK_CODES,
        ]),
    }
}

pub(crate) fn embed(_: &Server) -> Operation {
    let text = json!({"type": "string"});
    let declared = json!({
        "type": "object", "required": ["report", "description", "timezone", "path", "answer", "live", "fixed", "expires_in_s", "operation"],
        "properties": {
            "report": text,
            "description": {"type": ["string", "null"]},
            "timezone": {"type": ["string", "null"]},
            "path": {"type": "string", "description": "The report's own path, with its parameters in braces."},
            "answer": {"type": "string", "description": "Where pages ask for it, all parameters in the query string."},
            "live": {"type": "string", "description": "Where pages listen to it, with the same parameters."},
            "fixed": {"type": "object", "additionalProperties": text, "description": "The parameters that the token fixes."},
            "expires_in_s": {"type": "integer", "minimum": 0, "description": "How many seconds there are until the token's `exp`."},
            "operation": {"type": "object", "description": "What this document says of that path."},
        },
    });
    let operation =
        of_embed("embed", "What a token with `embed` is bound to", Answer::json(declared, "The report."));
    Operation {
        description:
            "The report, where to ask for it and how its answer is shaped. Other tokens are answered 403."
                .to_owned(),
        ..operation
    }
}

pub(crate) fn embed_answer(_: &Server) -> Operation {
    let answer = Answer {
        headers: KEPT_HEADERS.to_vec(),
        ..Answer::json(
            json!({"type": ["object", "array"], "description": "As `operation` of `/v1/embed` says."}),
            "The report.",
        )
    };
    let mut operation = of_embed("embed_answer", "The report that a token with `embed` is bound to", answer);
    operation.description = "Takes the report's own parameters, those of its path too, in the query string. Other tokens are answered 403: \
        they ask the report's own path."
        .to_owned();
    operation.codes.extend(READING_CODES);
    operation.codes.push(Code::TooLarge);
    operation
}

pub(crate) fn embed_live(server: &Server) -> Operation {
    let live = own::live(server);
    let mut operation = of_embed(
        "embed_live",
        "Listen to the report that a token with `embed` is bound to",
        Answer::json(Json::Null, ""),
    );
    operation.description = "As `/v1/live/{report}`, of the one report.".to_owned();
    operation.parameters.insert(0, super::incoming::token_parameter());
    operation.answers = live.answers;
    operation.codes.extend(READING_CODES);
    operation.codes.push(Code::UpgradeRequired);
    operation
}

/// What any report may be refused with.
const READING_CODES: [Code; 5] =
    [Code::PlanRequired, Code::RoleForbidden, Code::TenantRequired, Code::TenantUnknown, Code::NotFound];

fn of_embed(id: &str, summary: &str, answer: Answer) -> Operation {
    Operation {
        id: id.to_owned(),
        tag: TOKENS.to_owned(),
        summary: summary.to_owned(),
        description: String::new(),
        access: Access::SignedIn,
        parameters: vec![of_app()],
        body: None,
        answers: vec![answer],
        codes: codes(&[
            &SIGN_IN_CODES,
            &[Code::Forbidden, Code::AppAmbiguous, Code::ParameterInvalid],
            &WORK_CODES,
        ]),
    }
}
