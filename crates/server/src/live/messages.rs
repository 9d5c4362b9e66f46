//! What a listener says: messages of the kinds that the pack declares, each of which becomes a row.

use std::sync::Arc;

use ebbtide_engine::sql::{SqlRequest, UnusedParameters, rows_to_json};
use ebbtide_model::pack::{Find, Param, Receive, RowValue};
use ebbtide_model::{Instant, Scope, Tenants, Value, Written, read_json};
use ebbtide_store::Snapshot;
use serde_json::{Map, Value as Json};

use super::handed::ByKey;
use crate::capture::Misfit;
use crate::delivery::{Admitted, Delivery};
use crate::problem::{Code, Problem, shortened};
use crate::rejects::Way;
use crate::routes::{CaptureRoute, LiveRoute};
use crate::server::Server;

/// Bytes of one message.
const MESSAGE_BYTES_MAX: usize = 16 << 10;
/// What a message is about is not there.
const MISSING: &str = "not_found";

/// Somebody who may say something at a live path.
pub(crate) struct Conversation {
    pub(crate) server: Arc<Server>,
    pub(crate) way: Arc<LiveRoute>,
    pub(crate) scope: Scope,
}

impl Conversation {
    /// Takes a message, so that its row is durable; or tells what is wrong with it. What is refused is kept, where it
    /// is known of which kind it is.
    pub(crate) async fn hear(&self, text: &str) -> Result<(), Problem> {
        let message = parsed(text)?;
        let now = self.server.now();
        let receive = kind_of(&self.way, &message)?;
        let Err(misfit) = self.take_kind(receive, &message, now).await? else { return Ok(()) };
        let problem = match misfit.code {
            MISSING => Problem::new(Code::NotFound, misfit.problem.clone()),
            _ => Problem::new(Code::BodyInvalid, format!("{misfit}.")),
        };
        let path = self.way.live.route.path.as_str();
        self.delivery(receive, now).keep(Way::Message, path, &[misfit], &[Json::Object(message)]);
        Err(problem)
    }

    /// Takes a message that was refused before.
    pub(crate) async fn take(&self, message: &Json, now: Instant) -> Result<Result<(), Misfit>, Problem> {
        let Json::Object(message) = message else { return Err(no_object()) };
        self.take_kind(kind_of(&self.way, message)?, message, now).await
    }

    async fn take_kind(
        &self,
        receive: &Receive,
        message: &Map<String, Json>,
        now: Instant,
    ) -> Result<Result<(), Misfit>, Problem> {
        if matches!(self.scope.tenants(), Tenants::All) {
            return Err(Problem::new(Code::TenantRequired, "Who listens to all tenants sends nothing."));
        }
        let mut values = match fields(receive, message) {
            Ok(values) => values,
            Err(misfit) => return Ok(Err(misfit)),
        };
        if let Err(misfit) = self.look_up(receive, &mut values, now).await? {
            return Ok(Err(misfit));
        }
        let row = row_of(receive, &values, now);
        let delivery = self.delivery(receive, now);
        let storing = tokio::task::spawn_blocking(move || delivery.admit(vec![row]));
        let admitted = storing.await.map_err(|error| Problem::hidden(Code::Internal, error))??;
        Ok(match admitted {
            Admitted::All(_) => Ok(()),
            Admitted::Refused(misfits) => misfits.into_iter().next().map_or(Ok(()), Err),
        })
    }

    fn delivery(&self, receive: &Receive, now: Instant) -> Delivery {
        let (app, capture) = (self.way.report.app.clone(), receive.capture.clone());
        let route = Arc::new(CaptureRoute { app, capture });
        Delivery { server: self.server.clone(), route, scope: self.scope.clone(), now }
    }

    /// Asks what the pack looks up besides, over the listener's own rows.
    async fn look_up(
        &self,
        receive: &Receive,
        values: &mut Vec<(String, Value)>,
        now: Instant,
    ) -> Result<Result<(), Misfit>, Problem> {
        let (server, app) = (&self.server, &self.way.report.app);
        for find in &receive.find {
            let snapshot = server.store()?.snapshot(app.name())?;
            if let Some(text) = self.handed(find, values, &snapshot, now)? {
                values.push((find.name.clone(), Value::Text(text.into())));
                continue;
            }
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
            let rows = rows_to_json(&server.sql.run(&snapshot, &self.scope, request).await?)?;
            let cell = rows.into_iter().next().and_then(|row| row.into_iter().next()).map(|(_, cell)| cell);
            let value = cell.filter(|cell| !cell.is_null()).and_then(|cell| {
                use ebbtide_model::ColumnType::{Bool, Float, Int, Text};
                [Int, Float, Bool, Text].into_iter().find_map(|of| Value::from_json(&cell, of).ok())
            });
            let Some(value) = value else {
                let problem = receive.missing.clone();
                return Ok(Err(Misfit { index: 0, column: None, code: MISSING, problem }));
            };
            values.push((find.name.clone(), value));
        }
        Ok(Ok(()))
    }
}

impl Conversation {
    /// A text of an event that was written a moment ago.
    fn handed(
        &self,
        find: &Find,
        values: &[(String, Value)],
        snapshot: &Snapshot,
        now: Instant,
    ) -> Result<Option<String>, Problem> {
        let Some(by) = ByKey::of(&find.statement, &self.way.report.app.pack.schema) else { return Ok(None) };
        let key = values.iter().find(|(name, _)| *name == by.name);
        let Some((_, Value::Text(key))) = key else { return Ok(None) };
        Ok(self.server.handed.find((snapshot, &self.scope), &by, key, now)?)
    }
}

fn row_of(receive: &Receive, values: &[(String, Value)], now: Instant) -> Json {
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
    Json::Object(receive.row.iter().map(of_row).collect())
}

fn no_object() -> Problem {
    Problem::new(Code::BodyInvalid, "The message is no object; allowed is one with a type.")
}

fn parsed(text: &str) -> Result<Map<String, Json>, Problem> {
    if text.len() > MESSAGE_BYTES_MAX {
        let detail = format!("The message is longer than the {MESSAGE_BYTES_MAX} bytes that are allowed.");
        return Err(Problem::new(Code::BodyTooLarge, detail));
    }
    match read_json(text.as_bytes()) {
        Ok(Json::Object(message)) => Ok(message),
        Ok(_) => Err(no_object()),
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
fn fields(receive: &Receive, message: &Map<String, Json>) -> Result<Vec<(String, Value)>, Misfit> {
    let read = |param: &Param| {
        let misfit = |code, problem| Misfit { index: 0, column: Some(param.name.clone()), code, problem };
        let Some(given) = message.get(&param.name).filter(|given| !given.is_null()) else {
            return param
                .default
                .clone()
                .ok_or_else(|| misfit("null", "is missing, and is required".to_owned()));
        };
        let value = Value::from_json(given, param.column_type).ok().filter(|value| param.allows(value));
        value.ok_or_else(|| {
            let problem = format!(
                "{} was given; allowed is {}",
                shortened(&Written(given).to_string()),
                param.allowed()
            );
            misfit("not_allowed", problem)
        })
    };
    receive.params.iter().map(|param| Ok((param.name.clone(), read(param)?))).collect()
}
