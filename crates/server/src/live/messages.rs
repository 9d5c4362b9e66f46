//! What a listener says: messages of the kinds that the pack declares, each of which becomes a row.

use std::sync::Arc;

use ebbtide_engine::sql::{SqlRequest, UnusedParameters, rows_to_json};
use ebbtide_model::pack::{Param, Receive, RowValue};
use ebbtide_model::{Scope, Tenants, Value};
use ebbtide_store::{NewRows, Occurrences};
use serde_json::{Map, Value as Json};

use crate::capture::{Arrival, type_rows};
use crate::problem::{Code, Problem, shortened};
use crate::routes::LiveRoute;
use crate::server::Server;

/// Bytes of one message.
const MESSAGE_BYTES_MAX: usize = 16 << 10;

/// Takes a message, so that its row is durable; or tells what is wrong with it.
pub(crate) async fn receive(
    server: &Arc<Server>,
    way: &LiveRoute,
    scope: &Scope,
    text: &str,
) -> Result<(), Problem> {
    let message = parsed(text)?;
    let receive = kind_of(way, &message)?;
    let mut values = fields(receive, &message)?;
    look_up(server, way, scope, receive, &mut values).await?;
    let now = server.now();
    let value = |name: &str| match name {
        "now" => Json::from(now.to_string()),
        name => {
            values.iter().find(|(known, _)| known == name).map_or(Json::Null, |(_, value)| value.to_json())
        }
    };
    let of_row = |(column, value_of): &(String, RowValue)| {
        let json = match value_of {
            RowValue::Name(name) => value(name),
            RowValue::Value(json) => json.clone(),
        };
        (column.clone(), json)
    };
    let row = Json::Object(receive.row.iter().map(of_row).collect::<Map<_, _>>());
    let (server, app, scope) = (server.clone(), way.report.app.clone(), scope.clone());
    let capture = receive.capture.clone();
    let storing = tokio::task::spawn_blocking(move || {
        let table = app.pack.schema.table(&capture.table);
        let table = table.ok_or_else(|| Problem::hidden(Code::Internal, "a table that the app lacks"))?;
        let tenant = match scope.tenants() {
            Tenants::One(tenant) => tenant.as_str(),
            Tenants::All => {
                return Err(Problem::new(Code::TenantRequired, "Who listens to all tenants sends nothing."));
            }
        };
        let arrival = Arrival { tenant, now, ids: &server.row_ids };
        let typed = type_rows(table, &capture, vec![row], arrival);
        let fitting = typed.map_err(|error| Problem::hidden(Code::Internal, error))?;
        let fitting =
            fitting.map_err(|misfit| Problem::new(Code::BodyInvalid, format!("{}.", misfit.problem)))?;
        for rows in fitting.rows.into_iter().filter(|rows| rows.batch.num_rows() > 0) {
            let new = NewRows {
                table: table.name.clone(),
                batch: rows.batch,
                occurrences: Occurrences::uncounted(),
            };
            server.store()?.append(&scope, new)?;
        }
        Ok(())
    });
    storing.await.map_err(|error| Problem::hidden(Code::Internal, error))?
}

fn parsed(text: &str) -> Result<Map<String, Json>, Problem> {
    if text.len() > MESSAGE_BYTES_MAX {
        let detail = format!("The message is longer than the {MESSAGE_BYTES_MAX} bytes that are allowed.");
        return Err(Problem::new(Code::BodyTooLarge, detail));
    }
    match serde_json::from_str(text) {
        Ok(Json::Object(message)) => Ok(message),
        Ok(_) => {
            Err(Problem::new(Code::BodyInvalid, "The message is no object; allowed is one with a type."))
        }
        Err(error) => Err(Problem::new(Code::JsonInvalid, format!("The message is no JSON: {error}."))),
    }
}

fn kind_of<'w>(way: &'w LiveRoute, message: &Map<String, Json>) -> Result<&'w Receive, Problem> {
    let given = message.get("type").and_then(Json::as_str);
    let known = way.live.receive.iter().find(|receive| Some(receive.kind.as_str()) == given);
    known.ok_or_else(|| {
        let kinds: Vec<&str> = way.live.receive.iter().map(|receive| receive.kind.as_str()).collect();
        let allowed = if kinds.is_empty() { "none: this only tells".to_owned() } else { kinds.join(", ") };
        let given = given.map_or_else(|| "no type".to_owned(), |given| format!("{:?}", shortened(given)));
        Problem::new(Code::BodyInvalid, format!("type: {given} was given; allowed is {allowed}."))
    })
}

/// The message's fields, each of its type and within its bounds.
fn fields(receive: &Receive, message: &Map<String, Json>) -> Result<Vec<(String, Value)>, Problem> {
    let read = |param: &Param| {
        let name = &param.name;
        let value = match message.get(name).filter(|given| !given.is_null()) {
            None => param.default.clone().ok_or_else(|| format!("{name}: is missing, and is required")),
            Some(given) => {
                let value =
                    Value::from_json(given, param.column_type).ok().filter(|value| param.allows(value));
                let shown = || shortened(&given.to_string());
                value.ok_or_else(|| format!("{name}: {} was given; allowed is {}", shown(), param.allowed()))
            }
        };
        let value = value.map_err(|problem| Problem::new(Code::BodyInvalid, format!("{problem}.")))?;
        Ok((name.clone(), value))
    };
    receive.params.iter().map(read).collect()
}

/// Asks what the pack looks up besides, over the listener's own rows.
async fn look_up(
    server: &Server,
    way: &LiveRoute,
    scope: &Scope,
    receive: &Receive,
    values: &mut Vec<(String, Value)>,
) -> Result<(), Problem> {
    let (app, now) = (&way.report.app, server.now());
    for find in &receive.find {
        let mut params = values.clone();
        params.extend(app.pack.constants.iter().cloned());
        let request = SqlRequest {
            statement: Arc::clone(&find.statement),
            params,
            unused_params: UnusedParameters::PassedOver,
            relations: Vec::new(),
            as_of: now,
            calendar: app.pack.schema.calendar.clone(),
            limits: server.settings.sql_limits,
        };
        let snapshot = server.store()?.snapshot(app.name())?;
        let rows = rows_to_json(&server.sql.run(&snapshot, scope, request).await?)?;
        let cell = rows.into_iter().next().and_then(|row| row.into_iter().next()).map(|(_, cell)| cell);
        let value = cell.filter(|cell| !cell.is_null()).and_then(|cell| {
            use ebbtide_model::ColumnType::{Bool, Float, Int, Text};
            [Int, Float, Bool, Text].into_iter().find_map(|of| Value::from_json(&cell, of).ok())
        });
        let missing = || Problem::new(Code::NotFound, receive.missing.clone());
        values.push((find.name.clone(), value.ok_or_else(missing)?));
    }
    Ok(())
}
