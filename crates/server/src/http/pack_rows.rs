//! The paths by which a pack's clients send and delete rows: durable, or gone, before it is answered for.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use ebbtide_model::{Instant, Scope, TenantId, Tenants};
use ebbtide_store::{NewRows, Occurrences, Receipt, Rejection};
use serde_json::{Value as JsonValue, json};

use super::access;
use super::body::{WholeBody, read_body};
use crate::capture::{Arrival, Misfit, type_rows};
use crate::metrics::RowCounts;
use crate::problem::{Code, Problem};
use crate::rejects::{KeptRow, Owner, Refused, RejectKeeper, Way};
use crate::routes::{CaptureRoute, ClearRoute};
use crate::server::Server;

/// The handler of a path by which rows come in.
pub(super) fn capture_handler(route: Arc<CaptureRoute>) -> MethodRouter<Arc<Server>> {
    post(move |State(server): State<Arc<Server>>, request: Request| {
        let route = route.clone();
        async move { capture(server, route, request).await }
    })
}

/// The handler of a path by which rows are deleted.
pub(super) fn clear_handler(route: Arc<ClearRoute>) -> MethodRouter<Arc<Server>> {
    post(move |State(server): State<Arc<Server>>, headers: HeaderMap| {
        let route = route.clone();
        async move { clear(server, route, &headers).await }
    })
}

async fn capture(
    server: Arc<Server>,
    route: Arc<CaptureRoute>,
    request: Request,
) -> Result<Response, Problem> {
    let now = server.now();
    let caller = access::sign_in_to_capture_of(&server, request.headers(), &route.app)?;
    caller.require_role_to_capture(&route.capture.roles)?;
    let scope = caller.tenant_scope()?;
    let settings = &server.settings;
    let body = read_body(request, settings.body_bytes_max, settings, &server.bodies).await?;
    let delivery = Delivery { server, route, scope, now };
    // Typing is work, and the store waits for the disk. A request that is given up meanwhile does not
    // undo it.
    let stored = tokio::task::spawn_blocking(move || delivery.store(&body)).await;
    let answer = stored.map_err(|error| Problem::hidden(Code::Internal, error))??;
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// What a body was: it is answered by the same.
#[derive(Clone, Copy)]
enum Sent {
    One,
    List,
}

/// Rows on their way into a table.
pub(super) struct Delivery {
    pub(super) server: Arc<Server>,
    pub(super) route: Arc<CaptureRoute>,
    /// Of one tenant.
    pub(super) scope: Scope,
    pub(super) now: Instant,
}

/// What became of a list.
pub(super) enum Admitted {
    /// What is answered of each row.
    All(Vec<JsonValue>),
    /// The rows at fault, one at least. None of the list was taken, save where the store refused these alone.
    Refused(Vec<Misfit>),
}

impl Delivery {
    fn store(&self, body: &WholeBody) -> Result<JsonValue, Problem> {
        let (items, sent) = match body.json()? {
            JsonValue::Array(items) => (items, Sent::List),
            one @ JsonValue::Object(_) => (vec![one], Sent::One),
            JsonValue::Null | JsonValue::Bool(_) | JsonValue::Number(_) | JsonValue::String(_) => {
                let detail = "The body is a plain value; allowed is an object or a list of them.";
                return Err(Problem::new(Code::BodyInvalid, detail));
            }
        };
        let capture = &self.route.capture;
        let rows_max = self.server.settings.rows_max;
        let list_max = capture.list_max.map_or(rows_max, |most| most.min(rows_max));
        if items.len() > list_max {
            let detail = format!("The list has {} objects; allowed are at most {list_max}.", items.len());
            return Err(Problem::new(Code::BodyTooLarge, detail));
        }
        let mut answers = match self.admit(items)? {
            Admitted::All(answers) => answers,
            Admitted::Refused(misfits) => {
                self.keep(body, &misfits);
                return Err(misfits.first().map_or_else(no_misfit, |misfit| told(misfit, sent)));
            }
        };
        Ok(match sent {
            Sent::List => JsonValue::Array(answers),
            Sent::One => answers.pop().unwrap_or_default(),
        })
    }

    pub(super) fn admit(&self, items: Vec<JsonValue>) -> Result<Admitted, Problem> {
        let (app, capture) = (&self.route.app, &self.route.capture);
        let table = app.pack.schema.table(&capture.table);
        let table = table.ok_or_else(|| Problem::hidden(Code::Internal, "a table that the app lacks"))?;
        let tenant = self.tenant();
        let arrival = Arrival { tenant: tenant.as_str(), now: self.now, ids: &self.server.row_ids };
        let typed = type_rows(table, capture, items, arrival);
        let fitting = match typed.map_err(|error| Problem::hidden(Code::Internal, error))? {
            Ok(fitting) => fitting,
            Err(misfit) => return Ok(Admitted::Refused(vec![misfit])),
        };
        let (mut receipt, mut refused) = (Receipt::default(), Vec::new());
        for rows in fitting.rows.into_iter().filter(|rows| rows.batch.num_rows() > 0) {
            let occurrences = Occurrences::uncounted();
            let new = NewRows { table: table.name.clone(), batch: rows.batch, occurrences };
            let stored = self.server.store()?.append(&self.scope, new)?;
            refused.extend(stored.rejected.iter().map(|rejection| misfit_of(rejection, &rows.positions)));
            receipt.add(stored);
        }
        let count = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
        let counts = RowCounts {
            accepted: count(receipt.accepted),
            duplicates: count(receipt.duplicates),
            waiting: count(receipt.waiting),
            rejected: count(receipt.rejected.len()),
        };
        self.server.metrics.rows(app.name().as_str(), table.name.as_str(), counts);
        Ok(if refused.is_empty() { Admitted::All(fitting.answers) } else { Admitted::Refused(refused) })
    }

    /// What was refused is kept: the body is read once more for it.
    fn keep(&self, body: &WholeBody, misfits: &[Misfit]) {
        let Ok(json) = body.json() else { return };
        let items = if let JsonValue::Array(items) = json { items } else { vec![json] };
        let source: Arc<str> = Arc::from(self.route.capture.path.as_str());
        let refused = misfits.iter().map(|misfit| Refused {
            owner: Owner::Tenant(self.tenant()),
            at: self.now,
            table: self.route.capture.table.clone(),
            way: Way::Path,
            source: source.clone(),
            position: misfit.index as u64,
            column: misfit.column.clone(),
            code: misfit.code.into(),
            detail: misfit.problem.clone(),
            row: items.get(misfit.index).map(KeptRow::of_json),
        });
        RejectKeeper::push(&self.server, &self.scope, refused.collect());
    }

    fn tenant(&self) -> TenantId {
        match self.scope.tenants() {
            Tenants::One(tenant) => tenant.clone(),
            Tenants::All => TenantId::new(""),
        }
    }
}

fn told(misfit: &Misfit, sent: Sent) -> Problem {
    let place = match sent {
        Sent::List => format!("[{}]: ", misfit.index),
        Sent::One => String::new(),
    };
    Problem::new(Code::BodyInvalid, format!("{place}{misfit}."))
}

fn no_misfit() -> Problem {
    Problem::hidden(Code::Internal, "rows were refused, and none is at fault")
}

/// A row that the store did not take.
fn misfit_of(rejection: &Rejection, positions: &[u64]) -> Misfit {
    let position = positions.get(rejection.row).and_then(|position| usize::try_from(*position).ok());
    Misfit {
        index: position.unwrap_or(rejection.row),
        column: rejection.column.clone(),
        code: rejection.code.as_str(),
        problem: rejection.detail.clone(),
    }
}

async fn clear(
    server: Arc<Server>,
    route: Arc<ClearRoute>,
    headers: &HeaderMap,
) -> Result<Json<JsonValue>, Problem> {
    let caller = access::sign_in_to(&server, headers, &route.app)?;
    caller.require_role(&route.clear.roles)?;
    let scope = caller.tenant_scope()?;
    let cleared = tokio::task::spawn_blocking(move || {
        let store = server.store()?;
        let mut counted = 0_u64;
        for table in &route.clear.tables {
            let rows = store.clear(&scope, table)?;
            counted += if route.clear.count.contains(table) { rows } else { 0 };
        }
        Ok::<_, Problem>(counted)
    });
    let cleared = cleared.await.map_err(|error| Problem::hidden(Code::Internal, error))??;
    Ok(Json(json!({"cleared": cleared})))
}
