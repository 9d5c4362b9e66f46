//! Operations of saved cards.

use ebbtide_model::{CARD_TITLE_MAX, Picture, RollingRange};
use serde_json::{Value as Json, json};

use super::operation::{Answer, Operation};
use super::own::{COHORT_NAME, asking, asking_codes, or_null, roles};
use crate::problem::Code;
use crate::server::Server;

pub(crate) fn list(_: &Server) -> Operation {
    let schema = json!({
        "type": "object", "required": ["cards"],
        "properties": {"cards": {"type": "array", "items": schema()}},
    });
    Operation {
        description: "Of the token's tenant; of the whole app for an `admin` without one.".to_owned(),
        codes: asking_codes(&[]),
        ..asking("list_cards", "The saved cards, by name", Answer::json(schema, "The cards."))
    }
}

pub(crate) fn card(_: &Server) -> Operation {
    let operation = asking("card", "A card", Answer::json(schema(), "The card."));
    named(Operation { codes: asking_codes(&[Code::CardUnknown]), ..operation })
}

pub(crate) fn save(_: &Server) -> Operation {
    let body = json!({
        "type": "object", "required": ["title", "query"], "additionalProperties": false,
        "properties": {
            "title": {"type": "string", "minLength": 1, "maxLength": CARD_TITLE_MAX},
            "query": {"type": "object", "description": "A query of the query language: see docs/queries.md."},
            "range": or_null(range()),
            "picture": or_null(json!({"type": "string", "enum": Picture::NAMES, "default": "own"})),
            "compare": or_null(compare()),
        },
    });
    let example = json!({"title": "Churn", "query": {"kind": "churn"}});
    let made = Answer { status: 201, ..Answer::json(schema(), "It is saved.") };
    let changed = Answer::json(schema(), "It has taken the place of the one before.");
    named(Operation {
        description: "A question under a name, for all who may ask it: the dashboard shows it on Home and in Explore. Of a `range` \
            the days are those before the moment at which it is asked."
            .to_owned(),
        access: roles(&["admin", "analyst"]),
        body: Some((body, example)),
        answers: vec![changed, made],
        codes: asking_codes(&[Code::RoleForbidden, Code::QueryInvalid, Code::Conflict]),
        ..asking("save_card", "Save a question as a card", Answer::json(schema(), ""))
    })
}

pub(crate) fn delete(_: &Server) -> Operation {
    let schema = json!({
        "type": "object", "required": ["deleted"], "properties": {"deleted": {"type": "string"}},
    });
    named(Operation {
        access: roles(&["admin", "analyst"]),
        codes: asking_codes(&[Code::RoleForbidden, Code::CardUnknown, Code::Conflict]),
        ..asking("delete_card", "Delete a card", Answer::json(schema, "It is gone."))
    })
}

fn named(mut operation: Operation) -> Operation {
    operation.parameters.insert(
        0,
        json!({
            "name": "name", "in": "path", "required": true, "description": "The card's name.",
            "schema": {"type": "string", "maxLength": ebbtide_model::COHORT_NAME_MAX, "pattern": COHORT_NAME},
            "example": "weekly-visits",
        }),
    );
    operation
}

/// Of a retention alone: a trend's query has it.
fn compare() -> Json {
    json!({"type": "string", "enum": ["previous_period"]})
}

fn range() -> Json {
    json!({"type": "string", "enum": RollingRange::NAMES})
}

fn schema() -> Json {
    json!({
        "type": "object",
        "required": ["name", "title", "query", "range", "picture", "compare", "updated_at"],
        "properties": {
            "name": {"type": "string"},
            "title": {"type": "string"},
            "query": {"type": "object"},
            "range": or_null(range()),
            "picture": {"type": "string", "enum": Picture::NAMES},
            "compare": or_null(compare()),
            "updated_at": {"type": "string", "format": "date-time"},
        },
    })
}
