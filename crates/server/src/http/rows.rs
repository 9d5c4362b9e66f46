//! `POST /v1/tables/{table}/rows`: rows into a declared table, durable before they are answered for.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use ebbtide_model::{Scope, TableName};
use ebbtide_store::{NewRows, Occurrences, Receipt};
use serde_json::{Value as JsonValue, json};

use super::access::{self, PathParams};
use super::body::read_json;
use crate::metrics::RowCounts;
use crate::problem::{Code, Problem, shortened};
use crate::server::{App, Server};
use crate::sign_in::{ADMIN, Caller};
use crate::sources::{JsonRows, RowRejection, rows_from_json};

/// The roles that may write rows.
const WRITERS: [&str; 2] = [ADMIN, "writer"];

pub(super) async fn append(
    State(server): State<Arc<Server>>,
    path: PathParams,
    request: Request,
) -> Result<Json<JsonValue>, Problem> {
    let caller = access::sign_in(&server, request.headers(), request.uri())?;
    caller.require_role(&WRITERS)?;
    let app = server.app_of(&caller)?.clone();
    let path = access::path_pairs(path)?;
    let table = access::last(&path, "table").unwrap_or_default();
    let scope = writing_scope(&app, &caller, table)?;
    let settings = &server.settings;
    let body = read_json(request, settings.body_bytes_max, settings, &server.bodies).await?;
    let JsonValue::Array(rows) = &body.json else {
        return Err(Problem::new(
            Code::BodyInvalid,
            "The body is no list; allowed is a list of row objects.",
        ));
    };
    if rows.len() > settings.rows_max {
        let detail = format!("The list has {} rows; allowed are at most {}.", rows.len(), settings.rows_max);
        return Err(Problem::new(Code::BodyTooLarge, detail));
    }
    let name = TableName::new(table);
    let schema = app.pack.schema.table(&name).ok_or_else(|| unknown_table(&app, table))?;
    let typed = rows_from_json(schema, rows).map_err(|error| Problem::hidden(Code::Internal, error))?;
    let answer = store(&server, scope, name, typed).await?;
    server.metrics.rows(app.name().as_str(), table, answer.counts());
    Ok(Json(answer.to_json()))
}

/// The token's tenant; without one the rows themselves say whose they are. Tables by which others find
/// their tenant are a platform admin's alone.
fn writing_scope(app: &App, caller: &Caller, table: &str) -> Result<Scope, Problem> {
    let is_parent = app.pack.schema.is_parent(&TableName::new(table));
    if is_parent && (caller.tenant().is_some() || !caller.has_role(ADMIN)) {
        let detail = "Other tables find their tenant through this one: an admin without a tenant writes it.";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    Ok(caller.writing_scope())
}

pub(super) fn unknown_table(app: &App, given: &str) -> Problem {
    let known: Vec<&str> = app.pack.schema.tables.iter().map(|table| table.name.as_str()).collect();
    let detail = format!("There is no table {:?}; the app has {}.", shortened(given), known.join(", "));
    Problem::new(Code::TableUnknown, detail)
}

async fn store(
    server: &Server,
    scope: Scope,
    table: TableName,
    typed: JsonRows,
) -> Result<Accounted, Problem> {
    let JsonRows { rows, rejected } = typed;
    if rows.batch.num_rows() == 0 {
        return Ok(Accounted { receipt: Receipt::default(), rejected });
    }
    let new = NewRows { table, batch: rows.batch, occurrences: Occurrences::new() };
    let store = server.store()?.clone();
    // The call waits for the disk; a request that is given up meanwhile does not undo it.
    let appended = tokio::task::spawn_blocking(move || store.append(&scope, new)).await;
    let mut receipt = appended.map_err(|error| Problem::hidden(Code::Internal, error))??;
    let mut accounted = rejected;
    for refused in std::mem::take(&mut receipt.rejected) {
        let index = rows.positions.get(refused.row).and_then(|position| usize::try_from(*position).ok());
        accounted.push(RowRejection {
            index: index.unwrap_or(refused.row),
            column: refused.column,
            code: refused.code.as_str(),
            detail: refused.detail,
        });
    }
    accounted.sort_by_key(|rejection| rejection.index);
    Ok(Accounted { receipt, rejected: accounted })
}

/// What became of each row of a list: the counts and the rejected ones add up to it.
struct Accounted {
    /// Without its rejected rows.
    receipt: Receipt,
    rejected: Vec<RowRejection>,
}

impl Accounted {
    fn counts(&self) -> RowCounts {
        let count = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
        RowCounts {
            accepted: count(self.receipt.accepted),
            duplicates: count(self.receipt.duplicates),
            waiting: count(self.receipt.waiting),
            rejected: count(self.rejected.len()),
        }
    }

    fn to_json(&self) -> JsonValue {
        json!({
            "accepted": self.receipt.accepted,
            "duplicates": self.receipt.duplicates,
            "waiting": self.receipt.waiting,
            "rejected": self.rejected,
        })
    }
}
