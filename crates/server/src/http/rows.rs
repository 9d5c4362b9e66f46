//! `POST /v1/tables/{table}/rows`: rows into a declared table, durable before they are answered for.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use ebbtide_model::{Scope, TableName, TableSchema, Tenants};
use ebbtide_store::{NewRows, Occurrences, Receipt, Store};
use serde_json::{Value as JsonValue, json};

use super::access::{self, PathParams};
use super::body::{WholeBody, read_body};
use crate::metrics::RowCounts;
use crate::problem::{Code, Problem, shortened};
use crate::rejects::{KeptRow, Owner, Refused, RejectKeeper, Way};
use crate::server::{App, Server};
use crate::sign_in::{ADMIN, Caller, WRITER};
use crate::sources::{JsonRows, RowRejection, rows_from_json};

/// The roles that may write rows.
const WRITERS: [&str; 2] = [ADMIN, WRITER];

pub(super) async fn append(
    State(server): State<Arc<Server>>,
    path: PathParams,
    request: Request,
) -> Result<Json<JsonValue>, Problem> {
    let caller = access::sign_in(&server, request.headers(), request.uri())?;
    caller.require_role(&WRITERS)?;
    let app = server.app_of(&caller)?.clone();
    let path = access::path_pairs(path)?;
    let table = access::last(&path, "table").unwrap_or_default().to_owned();
    let scope = writing_scope(&app, &caller, &table)?;
    let settings = &server.settings;
    let body = read_body(request, settings.body_bytes_max, settings, &server.bodies).await?;
    let delivery = Delivery { server, app, scope, table, body };
    // Typing is work, and the store waits for the disk. A request that is given up meanwhile does not
    // undo it.
    let stored = tokio::task::spawn_blocking(move || delivery.store()).await;
    let accounted = stored.map_err(|error| Problem::hidden(Code::Internal, error))??;
    Ok(Json(accounted.to_json()))
}

/// Rows on their way into a table.
struct Delivery {
    server: Arc<Server>,
    app: Arc<App>,
    scope: Scope,
    table: String,
    body: WholeBody,
}

impl Delivery {
    fn store(self) -> Result<Accounted, Problem> {
        let JsonValue::Array(rows) = self.body.json()? else {
            let detail = "The body is no list; allowed is a list of row objects.";
            return Err(Problem::new(Code::BodyInvalid, detail));
        };
        let rows_max = self.server.settings.rows_max;
        if rows.len() > rows_max {
            let detail = format!("The list has {} rows; allowed are at most {rows_max}.", rows.len());
            return Err(Problem::new(Code::BodyTooLarge, detail));
        }
        let table = TableName::new(&self.table);
        let schema = self.app.pack.schema.table(&table);
        let schema = schema.ok_or_else(|| unknown_table(&self.app, &self.table))?;
        let accounted = admit(&self.server, &self.scope, schema, &rows)?;
        self.keep(schema, &rows, &accounted.rejected);
        Ok(accounted)
    }

    /// What was refused is kept for its tenant.
    fn keep(&self, table: &TableSchema, rows: &[JsonValue], rejected: &[RowRejection]) {
        if rejected.is_empty() {
            return;
        }
        let source: Arc<str> = Arc::from(format!("/v1/tables/{}/rows", self.table));
        let now = self.server.now();
        let refused = rejected.iter().map(|rejection| {
            let row = rows.get(rejection.index);
            let owner = match self.scope.tenants() {
                Tenants::One(tenant) => Owner::Tenant(tenant.clone()),
                Tenants::All => row.map_or(Owner::App, |row| Owner::by_row(table, row)),
            };
            Refused {
                owner,
                at: now,
                table: table.name.clone(),
                way: Way::Rows,
                source: source.clone(),
                position: rejection.index as u64,
                column: rejection.column.clone(),
                code: rejection.code.into(),
                detail: rejection.detail.clone(),
                row: row.map(KeptRow::of_json),
            }
        });
        RejectKeeper::push(&self.server, &self.scope, refused.collect());
    }
}

/// Types rows and stores those that fit.
pub(super) fn admit(
    server: &Server,
    scope: &Scope,
    table: &TableSchema,
    rows: &[JsonValue],
) -> Result<Accounted, Problem> {
    let typed = rows_from_json(table, rows).map_err(|error| Problem::hidden(Code::Internal, error))?;
    let accounted = store(server.store()?, scope, &table.name, typed)?;
    server.metrics.rows(scope.app().as_str(), table.name.as_str(), accounted.counts());
    Ok(accounted)
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

fn unknown_table(app: &App, given: &str) -> Problem {
    let known: Vec<&str> = app.pack.schema.tables.iter().map(|table| table.name.as_str()).collect();
    let detail = format!("There is no table {:?}; the app has {}.", shortened(given), known.join(", "));
    Problem::new(Code::TableUnknown, detail)
}

/// A list is a file of its own.
fn store(store: &Store, scope: &Scope, table: &TableName, typed: JsonRows) -> Result<Accounted, Problem> {
    let occurrences = Occurrences::new();
    let JsonRows { rows: batches, mut rejected } = typed;
    let mut receipt = Receipt::default();
    for rows in batches.into_iter().filter(|rows| rows.batch.num_rows() > 0) {
        let new = NewRows { table: table.clone(), batch: rows.batch, occurrences: occurrences.clone() };
        let mut stored = store.append(scope, new)?;
        for refused in std::mem::take(&mut stored.rejected) {
            let index = rows.positions.get(refused.row).and_then(|position| usize::try_from(*position).ok());
            rejected.push(RowRejection {
                index: index.unwrap_or(refused.row),
                column: refused.column,
                code: refused.code.as_str(),
                detail: refused.detail,
            });
        }
        receipt.add(stored);
    }
    rejected.sort_by_key(|rejection| rejection.index);
    Ok(Accounted { receipt, rejected })
}

/// What became of each row of a list: the counts and the rejected ones add up to it.
pub(super) struct Accounted {
    /// Without its rejected rows.
    pub(super) receipt: Receipt,
    pub(super) rejected: Vec<RowRejection>,
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
