//! `POST /v1/sql`: one read-only statement over the caller's own rows.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use ebbtide_engine::sql::{SqlRequest, UnusedParameters, rows_to_json};
use ebbtide_model::{Calendar, ColumnType, Fault, Fields, Instant, Node, Value, digits};
use serde_json::{Value as Json, json};

use super::access;
use super::answer::{Stopwatch, json_answer};
use super::body::read_body;
use crate::problem::{Code, Problem};
use crate::server::Server;
use crate::sign_in::{ADMIN, ANALYST};

/// The roles that may write SQL of their own.
const ASKERS: [&str; 2] = [ADMIN, ANALYST];

/// What a body asks.
struct Asked {
    statement: Arc<str>,
    params: Vec<(String, Value)>,
    as_of: Option<Instant>,
}

pub(super) async fn ask(State(server): State<Arc<Server>>, request: Request) -> Result<Response, Problem> {
    let mut watch = Stopwatch::start();
    let caller = access::sign_in(&server, request.headers(), request.uri())?;
    caller.require_role(&ASKERS)?;
    let scope = caller.widest_scope()?;
    let app = server.app_of(&caller)?.clone();
    let settings = &server.settings;
    let body = read_body(request, settings.question_bytes_max, settings, &server.bodies).await?;
    let calendar = &app.pack.schema.calendar;
    let asked = Asked::decode(&body.json()?, calendar)
        .map_err(|fault| Problem::new(Code::BodyInvalid, format!("{fault}.")))?;
    let snapshot = access::snapshot(&server, &app, &scope).await?;
    let as_of = asked.as_of.unwrap_or_else(|| server.now());
    let request = SqlRequest {
        statement: asked.statement,
        params: asked.params,
        unused_params: UnusedParameters::Refused,
        relations: Vec::new(),
        as_of,
        calendar: calendar.clone(),
        limits: settings.sql_limits,
    };
    let rows = server.sql.run_apart(&snapshot, &scope, request).await?;
    watch.lap("engine");
    let columns: Vec<Json> =
        rows.columns.iter().map(|column| json!({"name": column.name, "type": column.type_name})).collect();
    let meta = json!({
        "as_of": as_of.to_string(),
        "watermark": rows.watermark,
        "complete": true,
        "warnings": [],
    });
    json_answer(watch, move || {
        let rows = rows_to_json(&rows)?;
        Ok(json!({"columns": columns, "rows": rows, "meta": meta}))
    })
    .await
}

impl Asked {
    fn decode(json: &Json, calendar: &Calendar) -> Result<Self, Fault> {
        let fields = Node::root(json).fields()?;
        let asked = Self {
            statement: Arc::from(fields.required("sql")?.text()?),
            params: params(&fields)?,
            as_of: as_of(&fields, calendar)?,
        };
        fields.finish()?;
        Ok(asked)
    }
}

fn params(fields: &Fields<'_>) -> Result<Vec<(String, Value)>, Fault> {
    let Some(params) = fields.optional("params") else {
        return Ok(Vec::new());
    };
    let value = |(name, node): (&str, Node<'_>)| Ok((name.to_owned(), scalar(&node)?));
    params.entries()?.into_iter().map(value).collect()
}

fn scalar(node: &Node<'_>) -> Result<Value, Fault> {
    let refused = || node.expected("null, true or false, a number or text");
    Ok(match node.json() {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::String(text) => Value::Text(Arc::from(text.as_str())),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => Value::Int(value),
            (None, Some(value)) if !number.is_u64() => Value::Float(value),
            (None, _) => return Err(refused()),
        },
        nested @ (Json::Array(_) | Json::Object(_)) => {
            let digits = digits(nested).ok_or_else(refused)?;
            let exact = Value::from_number(digits, ColumnType::Decimal);
            exact.or_else(|_| Value::from_number(digits, ColumnType::Float)).map_err(|_| refused())?
        }
    })
}

fn as_of(fields: &Fields<'_>, calendar: &Calendar) -> Result<Option<Instant>, Fault> {
    let Some(node) = fields.optional("as_of") else {
        return Ok(None);
    };
    let text = node.text()?;
    Instant::parse_as_of(text, calendar.zone()).map(Some).map_err(|error| node.fault(error))
}
