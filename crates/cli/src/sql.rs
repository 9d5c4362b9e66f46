//! `ebbtide sql`: one read-only statement, over a data folder or asked of a running server.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use ebbtide_engine::sql::{
    Limits, ProcessSettings, Sql as Engine, SqlRequest, SqlSettings, UnusedParameters, rows_to_json,
};
use ebbtide_model::{ColumnType, Instant, Value, Written, digits, read_json};
use serde_json::{Map, Value as Json, json};

use crate::client::Client;
use crate::data::{open_existing_store, operator_scope, store_failure, warn_without_rows};
use crate::draw::{self, Screen};
use crate::failure::{Failure, print};
use crate::query::{Asked, given};
use crate::sql_process::launch;
use crate::{Outcome, clock};

/// The operator waits, so there is more of it than over HTTP.
const LIMITS: Limits =
    Limits { rows_max: 1_000_000, bytes_max: 1 << 30, time_max: Duration::from_secs(3_600) };
/// Of the statement's process.
const MEMORY_BYTES_MAX: usize = 1 << 30;

/// Ask one read-only SQL statement (docs/sql.md).
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ebbtide sql --data ./data --app loyalty 'SELECT count(*) AS cards FROM cards'\n  \
    ebbtide sql --data ./data --app product --tenant acme --param plan=pro \\\n    \
    \"SELECT actor FROM events WHERE json_get_str(props, 'plan') = \\$plan\"\n  \
    ebbtide sql --server http://127.0.0.1:8080 --token \"$TOKEN\" --json @statement.sql")]
pub(crate) struct Sql {
    #[command(flatten)]
    of: Asked,
    /// Print columns and rows as JSON, not as a table.
    #[arg(long)]
    json: bool,
    /// The value of $NAME: a number, true, false or null, else a text.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = param)]
    params: Vec<(String, Json)>,
    /// Answer as if it were then: an RFC 3339 instant, or a date, which means its end.
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
    /// The statement, @FILE, or - for stdin.
    #[arg(value_name = "SQL")]
    statement: String,
}

fn param(text: &str) -> Result<(String, Json), String> {
    let (name, value) = text.split_once('=').ok_or("a parameter is given as NAME=VALUE")?;
    let is_scalar = |json: &Json| digits(json).is_some() || !json.is_object() && !json.is_array();
    let scalar = read_json(value.as_bytes()).ok().filter(is_scalar);
    Ok((name.to_owned(), scalar.unwrap_or_else(|| Json::from(value))))
}

impl Sql {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let statement = given(&self.statement)?;
        let answer = match (&self.of.server, &self.of.token) {
            (Some(server), Some(token)) => {
                let params: Map<String, Json> = self.params.iter().cloned().collect();
                let body = json!({"sql": statement, "params": params, "as_of": self.as_of});
                Client::new(server, token)?.post("/v1/sql", &Written(&body).to_string())?.into_json()?
            }
            _ => self.ask(&statement)?,
        };
        if self.json {
            print(&format!("{}\n", Written(&answer)))?;
        } else {
            print(&draw::rows(&answer, &Screen::of_stdout()))?;
        }
        Ok(Outcome::Done)
    }

    fn ask(&self, statement: &str) -> Result<Json, Failure> {
        let (data, app) = self.of.folder()?;
        let pack = app.load()?;
        let calendar = pack.schema.calendar.clone();
        let as_of = self.as_of.as_deref().map(|text| Instant::parse_as_of(text, calendar.zone()));
        let as_of = as_of.transpose().map_err(Failure::usage)?.unwrap_or_else(clock::now);
        let scope = operator_scope(&pack.schema.app, self.of.tenant.as_deref());
        let store = open_existing_store(data, vec![pack.schema.clone()])?;
        let snapshot = store.snapshot(&pack.schema.app).map_err(store_failure)?;
        warn_without_rows(&snapshot, &scope);
        let params = self.params.iter().map(|(name, json)| (name.clone(), value(json))).collect();
        let request = SqlRequest {
            statement: Arc::from(statement),
            params,
            unused_params: UnusedParameters::Refused,
            relations: Vec::new(),
            as_of,
            calendar,
            limits: LIMITS,
        };
        let settings = SqlSettings {
            launch: Some(launch()?),
            processes: ProcessSettings { concurrent_max: 1, memory_bytes_max: MEMORY_BYTES_MAX, spare: 0 },
            ..SqlSettings::default()
        };
        let engine = Engine::new(&settings).map_err(Failure::new)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let rows = runtime.map_err(Failure::new)?.block_on(engine.run_apart(&snapshot, &scope, request));
        let rows = rows.map_err(|error| Failure::new(error).hint("see docs/sql.md for what may be asked"))?;
        let columns: Vec<Json> = rows
            .columns
            .iter()
            .map(|column| json!({"name": column.name, "type": column.type_name}))
            .collect();
        Ok(json!({"columns": columns, "rows": rows_to_json(&rows).map_err(Failure::new)?}))
    }
}

fn value(json: &Json) -> Value {
    if let Some(digits) = digits(json) {
        let exact = Value::from_number(digits, ColumnType::Decimal);
        return exact.or_else(|_| Value::from_number(digits, ColumnType::Float)).unwrap_or(Value::Null);
    }
    match (json, json.as_i64(), json.as_f64()) {
        (Json::Bool(value), _, _) => Value::Bool(*value),
        (Json::String(text), _, _) => Value::Text(Arc::from(text.as_str())),
        (_, Some(value), _) => Value::Int(value),
        (_, None, Some(value)) => Value::Float(value),
        (_, None, None) => Value::Null,
    }
}
