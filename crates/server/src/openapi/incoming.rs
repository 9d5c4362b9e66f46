//! Operations of the paths by which rows of packs come in and are deleted, and of those at which their reports are
//! listened to.

use serde_json::{Map, Value as Json, json};

use super::operation::{Access, Answer, BODY_CODES, Operation, SIGN_IN_CODES, WORK_CODES};
use super::reports::own_parameters;
use super::schemas::{of_param, of_type};
use crate::capture::{given_columns, is_required};
use crate::problem::Code;
use crate::routes::{CaptureRoute, ClearRoute, LiveRoute};
use crate::server::{App, Server};

fn id(app: &App, what: &str, name: &str) -> String {
    format!("{}_{what}_{name}", app.name().as_str().replace('-', "_"))
}

fn access(roles: &[String]) -> Access {
    if roles.is_empty() { Access::SignedIn } else { Access::Roles(roles.to_vec()) }
}

pub(super) fn capture(way: &CaptureRoute, server: &Server) -> Operation {
    let CaptureRoute { app, capture } = way;
    let rows_max = server.settings.rows_max;
    let list_max = capture.list_max.map_or(rows_max, |most| most.min(rows_max));
    let row = row(way);
    let answer = json!({"type": "object"});
    let told = capture.description.clone().unwrap_or_default();
    let mut codes = SIGN_IN_CODES.to_vec();
    if !capture.roles.is_empty() {
        codes.push(Code::RoleForbidden);
    }
    codes.extend([Code::TenantRequired, Code::BodyInvalid]);
    // Which app is meant is the path's to say.
    codes.extend(BODY_CODES.into_iter().filter(|code| *code != Code::AppAmbiguous));
    codes.extend(WORK_CODES);
    Operation {
        id: id(app, "capture", &capture.name),
        tag: app.name().as_str().to_owned(),
        summary: format!("Send rows of {}", capture.table),
        description: format!(
            "{told} One object, or a list of which all are taken or none. A write key may call this, too."
        )
        .trim_start()
        .to_owned(),
        access: access(&capture.roles),
        parameters: Vec::new(),
        body: Some((
            json!({"oneOf": [row, {"type": "array", "maxItems": list_max, "items": row}]}),
            Json::Null,
        )),
        answers: vec![Answer {
            status: 201,
            ..Answer::json(
                json!({"oneOf": [answer, {"type": "array", "items": answer}]}),
                "The rows are durable: an object for one, a list for a list.",
            )
        }],
        codes,
    }
}

/// A row as the path takes it.
fn row(way: &CaptureRoute) -> Json {
    let CaptureRoute { app, capture } = way;
    let Some(table) = app.pack.schema.table(&capture.table) else {
        return json!({"type": "object"});
    };
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (index, column) in given_columns(table) {
        let field = capture.fields.iter().find(|field| field.column == index);
        let mut schema = match field {
            Some(field) => of_param(&field.allowed),
            None => Json::Object(of_type(column.column_type)),
        };
        if is_required(table, capture, index) {
            required.push(column.name.as_str());
        } else {
            schema = json!({"anyOf": [schema, {"type": "null"}]});
        }
        properties.insert(column.name.clone(), schema);
    }
    let Some(open) = &table.open else {
        return json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
    };
    let names = json!({"minLength": 1, "maxLength": 200});
    let described = json!({
        "type": ["object", "null"], "description": "Properties of any name and type.", "propertyNames": names,
    });
    properties.insert(open.field.clone(), described);
    json!({"type": "object", "properties": properties, "required": required, "propertyNames": names})
}

pub(super) fn clear(way: &ClearRoute) -> Operation {
    let ClearRoute { app, clear } = way;
    let tables: Vec<&str> = clear.tables.iter().map(|table| table.as_str()).collect();
    let told = clear.description.clone().unwrap_or_default();
    let mut codes = SIGN_IN_CODES.to_vec();
    codes.extend([Code::RoleForbidden, Code::Forbidden, Code::TenantRequired]);
    codes.extend(WORK_CODES);
    Operation {
        id: id(app, "clear", &clear.name),
        tag: app.name().as_str().to_owned(),
        summary: format!("Delete the tenant's rows of {}", tables.join(", ")),
        description: told,
        access: access(&clear.roles),
        parameters: Vec::new(),
        body: None,
        answers: vec![Answer::json(
            json!({"type": "object", "properties": {"cleared": {"type": "integer", "minimum": 0}}, "required": ["cleared"]}),
            "How many rows there were.",
        )],
        codes,
    }
}

pub(super) fn live(way: &LiveRoute) -> Operation {
    let LiveRoute { live, report } = way;
    let told = live.description.clone().unwrap_or_default();
    let kinds: Vec<&str> = live.receive.iter().map(|receive| receive.kind.as_str()).collect();
    let said = if kinds.is_empty() {
        String::new()
    } else {
        format!(" Takes messages of the types {}.", kinds.join(", "))
    };
    let mut codes = SIGN_IN_CODES.to_vec();
    codes.extend([Code::PlanRequired, Code::RoleForbidden, Code::Forbidden, Code::TenantRequired]);
    codes.extend([Code::ParameterInvalid, Code::UpgradeRequired, Code::TenantUnknown]);
    codes.extend(WORK_CODES);
    let mut parameters = own_parameters(&report.report, &live.route);
    parameters.push(token_parameter());
    Operation {
        id: id(&report.app, "live", &live.name),
        tag: report.app.name().as_str().to_owned(),
        summary: format!("Listen to {}", live.report),
        description: format!(
            "{told} A WebSocket: the answer of the report, and a new one after each change.{said}"
        )
        .trim_start()
        .to_owned(),
        access: access(&live.route.roles),
        parameters,
        body: None,
        answers: vec![Answer {
            status: 101,
            description: "The connection is a WebSocket from now on.".to_owned(),
            content: Vec::new(),
            headers: Vec::new(),
        }],
        codes,
    }
}

/// The token where no header can be sent.
pub(super) fn token_parameter() -> Json {
    json!({
        "name": "token", "in": "query", "required": false,
        "description": "The token, where the caller cannot send an Authorization header.",
        "schema": {"type": "string"},
    })
}
