//! `/v1/cohorts`: sets of actors with a name, saved from an answer. They belong to the rows that the caller
//! asks about (a tenant's, or the whole app's), and nobody else sees them.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use ebbtide_engine::{
    COHORTS_MAX, EngineError, Members, SavedCohort, cohort_keys, cohort_rows, find_cohort, list_cohorts,
    select,
};
use ebbtide_model::query::{Query, Selection, as_of, bind};
use ebbtide_model::{Cohort, CohortMode, Fault, Instant, Node, Scope, decode_selected, selecting};
use ebbtide_store::{NewRows, Occurrences, Snapshot, Store};
use serde_json::{Value as JsonValue, json};

use super::access::{self, PathParams};
use super::answer::WrittenJson;
use super::body::read_body;
use crate::asking::AskError;
use crate::problem::{Code, Problem, shortened};
use crate::server::{App, Server};
use crate::sign_in::Caller;

/// The caller's rows, as they are now.
struct Rows {
    server: Arc<Server>,
    app: Arc<App>,
    scope: Scope,
    snapshot: Snapshot,
}

impl Rows {
    async fn of(server: &Arc<Server>, caller: &Caller) -> Result<Self, Problem> {
        let scope = caller.widest_scope()?;
        let app = server.app_of(caller)?.clone();
        let snapshot = access::snapshot(server, &app, &scope).await?;
        Ok(Self { server: server.clone(), app, scope, snapshot })
    }

    /// Some of a question's actors, as of a moment.
    async fn select(&self, query: &Query, from: &Selection, as_of: Instant) -> Result<Members, Problem> {
        let in_query = |fault: Fault| Fault { path: format!("query.{}", fault.path), ..fault };
        let query = selecting(query);
        let snapshot = self.snapshot.evolved(&self.scope, query.texts().iter().map(String::as_str));
        let query = bind(&query, snapshot.app()).map_err(in_query)?;
        let (scope, from) = (self.scope.clone(), from.clone());
        let asking = self.server.turns.ask(move |flag| select(&snapshot, &scope, &query, &from, as_of, flag));
        asking.await.map_err(|error| match error {
            AskError::Engine(EngineError::Query(fault)) if !fault.path.starts_with("from.") => {
                Problem::from(EngineError::Query(in_query(fault)))
            }
            error @ (AskError::Engine(_) | AskError::Busy | AskError::Unanswered(_)) => Problem::from(error),
        })
    }

    /// The moment that a question is about.
    fn as_of(&self, query: &Query, now: Instant) -> Instant {
        as_of(query, &self.app.pack.schema).unwrap_or(now)
    }

    /// Off the threads that serve connections.
    async fn read<R: Send + 'static>(
        &self,
        read: impl FnOnce(&Snapshot, &Scope) -> Result<R, EngineError> + Send + 'static,
    ) -> Result<R, Problem> {
        let (snapshot, scope) = (self.snapshot.clone(), self.scope.clone());
        let reading = tokio::task::spawn_blocking(move || read(&snapshot, &scope)).await;
        Ok(reading.map_err(|error| Problem::hidden(Code::Internal, error))??)
    }

    async fn find(&self, name: &str) -> Result<SavedCohort, Problem> {
        let wanted = name.to_owned();
        let found = self.read(move |snapshot, scope| find_cohort(snapshot, scope, &wanted)).await?;
        found.ok_or_else(|| {
            let detail = format!("There is no cohort {:?}.", shortened(name));
            Problem::new(Code::CohortUnknown, detail)
        })
    }

    /// Waits for the disk. A request that is given up meanwhile does not undo it.
    async fn write(
        &self,
        write: impl FnOnce(&Store, &Snapshot, &Scope) -> Result<(), Problem> + Send + 'static,
    ) -> Result<(), Problem> {
        let (server, snapshot, scope) = (self.server.clone(), self.snapshot.clone(), self.scope.clone());
        let writing = tokio::task::spawn_blocking(move || write(server.store()?, &snapshot, &scope)).await;
        writing.map_err(|error| Problem::hidden(Code::Internal, error))?
    }
}

/// Members of one answer.
const MEMBERS_DEFAULT: i64 = 200;
const MEMBERS_MAX: i64 = 10_000;

/// `POST /v1/members`: who is behind a number of an answer.
pub(super) async fn members(
    State(server): State<Arc<Server>>,
    request: Request,
) -> Result<WrittenJson, Problem> {
    let now = server.now();
    let caller = access::sign_in(&server, request.headers(), request.uri())?;
    caller.widest_scope()?;
    let settings = &server.settings;
    let body = read_body(request, settings.question_bytes_max, settings, &server.bodies).await?.json()?;
    let fields = Node::root(&body).fields()?;
    let (query, from) = decode_selected(&fields)?;
    let limit = fields.optional("limit").map_or(Ok(MEMBERS_DEFAULT), |node| node.integer(0, MEMBERS_MAX))?;
    fields.finish()?;
    let rows = Rows::of(&server, &caller).await?;
    let as_of = rows.as_of(&query, now);
    let members = rows.select(&query, &from, as_of).await?;
    Ok(WrittenJson(json!({
        "members": members.to_json(rows.scope.tenants(), usize::try_from(limit).unwrap_or(0)),
        "total": members.len(),
        "type": members.column_type().name(),
        "as_of": as_of.to_string(),
    })))
}

/// `POST /v1/cohorts`.
pub(super) async fn save(State(server): State<Arc<Server>>, request: Request) -> Result<Response, Problem> {
    let now = server.now();
    let caller = access::sign_in(&server, request.headers(), request.uri())?;
    caller.widest_scope()?;
    let settings = &server.settings;
    let body = read_body(request, settings.question_bytes_max, settings, &server.bodies).await?;
    let cohort = Cohort::parse(&body.json()?)?;
    let rows = Rows::of(&server, &caller).await?;
    let known = rows.read(list_cohorts).await?;
    if known.iter().any(|saved| saved.cohort.name == cohort.name) {
        let detail = format!("There is a cohort {:?} already; delete it first.", cohort.name);
        return Err(Problem::new(Code::CohortExists, detail));
    }
    if known.len() >= COHORTS_MAX {
        let detail = format!("There are {} cohorts; allowed are {COHORTS_MAX}.", known.len());
        return Err(Problem::new(Code::TooLarge, detail));
    }
    let as_of = rows.as_of(&cohort.query, now);
    let members = rows.select(&cohort.query, &cohort.from, as_of).await?;
    let saved = SavedCohort::new(cohort, &members, as_of, now);
    let told = saved.to_json();
    rows.write(move |store, snapshot, scope| {
        let (table, batch) = cohort_rows(snapshot.app(), scope, &saved, &members)?;
        let receipt = store.append(scope, NewRows { table, batch, occurrences: Occurrences::new() })?;
        match receipt.rejected.first() {
            None => Ok(()),
            Some(refused) => Err(Problem::hidden(Code::Internal, &refused.detail)),
        }
    })
    .await?;
    Ok((StatusCode::CREATED, WrittenJson(JsonValue::Object(told))).into_response())
}

/// `GET /v1/cohorts`.
pub(super) async fn list(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<WrittenJson, Problem> {
    let caller = access::sign_in(&server, &headers, &uri)?;
    let rows = Rows::of(&server, &caller).await?;
    let known = rows.read(list_cohorts).await?;
    let cohorts: JsonValue = known.iter().map(SavedCohort::to_json).collect();
    Ok(WrittenJson(json!({"cohorts": cohorts})))
}

/// `GET /v1/cohorts/{name}`: of a live one the size that it has now.
pub(super) async fn get(
    State(server): State<Arc<Server>>,
    path: PathParams,
    headers: HeaderMap,
    uri: Uri,
) -> Result<WrittenJson, Problem> {
    let now = server.now();
    let caller = access::sign_in(&server, &headers, &uri)?;
    let path = access::path_pairs(path)?;
    let rows = Rows::of(&server, &caller).await?;
    let mut saved = rows.find(access::last(&path, "name").unwrap_or_default()).await?;
    if saved.cohort.mode == CohortMode::Live {
        let members = rows.select(&saved.cohort.query, &saved.cohort.from, now).await?;
        saved.size = u64::try_from(members.len()).unwrap_or(u64::MAX);
        saved.as_of = now;
    }
    Ok(WrittenJson(JsonValue::Object(saved.to_json())))
}

/// `DELETE /v1/cohorts/{name}`.
pub(super) async fn delete(
    State(server): State<Arc<Server>>,
    path: PathParams,
    headers: HeaderMap,
    uri: Uri,
) -> Result<WrittenJson, Problem> {
    let caller = access::sign_in(&server, &headers, &uri)?;
    let path = access::path_pairs(path)?;
    let rows = Rows::of(&server, &caller).await?;
    let name = access::last(&path, "name").unwrap_or_default().to_owned();
    let saved = rows.find(&name).await?;
    rows.write(move |store, snapshot, scope| {
        let (table, keys, tenant) = cohort_keys(snapshot.app(), scope, &saved)?;
        let own = scope.narrowed_to(&tenant).unwrap_or_else(|| scope.clone());
        store.delete_rows(&own, &table, &keys)?;
        Ok(())
    })
    .await?;
    Ok(WrittenJson(json!({"deleted": name})))
}
