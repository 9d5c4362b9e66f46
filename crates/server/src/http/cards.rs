//! `/v1/cards`: questions that are saved under a name. Whoever may ask about a scope's rows sees its cards; admins
//! and analysts change them.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use ebbtide_model::query::bind;
use ebbtide_model::{Card, Fault, Scope};
use ebbtide_store::Snapshot;
use serde_json::{Value as JsonValue, json};

use super::access::{self, PathParams};
use super::answer::WrittenJson;
use super::body::read_body;
use crate::cards::{self, CARDS_MAX, SavedCard};
use crate::problem::{Code, Problem, shortened};
use crate::server::Server;
use crate::sign_in::{ADMIN, ANALYST, Caller};

/// The roles that may save and delete cards.
const EDITORS: [&str; 2] = [ADMIN, ANALYST];

/// `GET /v1/cards`.
pub(super) async fn list(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<WrittenJson, Problem> {
    let caller = access::sign_in(&server, &headers, &uri)?;
    let own = Own::of(&server, &caller).await?;
    let cards: JsonValue = own.list().await?.iter().map(SavedCard::to_json).collect();
    Ok(WrittenJson(json!({"cards": cards})))
}

/// `GET /v1/cards/{name}`.
pub(super) async fn get(
    State(server): State<Arc<Server>>,
    path: PathParams,
    headers: HeaderMap,
    uri: Uri,
) -> Result<WrittenJson, Problem> {
    let caller = access::sign_in(&server, &headers, &uri)?;
    let name = name_in(path)?;
    let own = Own::of(&server, &caller).await?;
    let found = own.list().await?.into_iter().find(|saved| saved.card.name == name);
    Ok(WrittenJson(JsonValue::Object(found.ok_or_else(|| unknown(&name))?.to_json())))
}

/// `PUT /v1/cards/{name}`: 201 where there was none of the name.
pub(super) async fn put(
    State(server): State<Arc<Server>>,
    path: PathParams,
    request: Request,
) -> Result<Response, Problem> {
    let caller = access::sign_in(&server, request.headers(), request.uri())?;
    caller.require_role(&EDITORS)?;
    caller.widest_scope()?;
    let name = name_in(path)?;
    let settings = &server.settings;
    let body = read_body(request, settings.question_bytes_max, settings, &server.bodies).await?;
    let card = Card::parse(&name, &body.json()?)?;
    let own = Own::of(&server, &caller).await?;
    own.check(&card)?;
    let known = own.list().await?;
    let is_new = !known.iter().any(|saved| saved.card.name == name);
    if is_new && known.len() >= CARDS_MAX {
        let detail = format!("There are {} cards; allowed are {CARDS_MAX}.", known.len());
        return Err(Problem::new(Code::TooLarge, detail));
    }
    let saved = SavedCard { card, updated_at: server.now() };
    let told = saved.to_json();
    // A request that is given up meanwhile does not undo it.
    let saving = tokio::task::spawn_blocking(move || cards::save(server.store()?, &own.scope, &saved));
    saving.await.map_err(|error| Problem::hidden(Code::Internal, error))??;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, WrittenJson(JsonValue::Object(told))).into_response())
}

/// `DELETE /v1/cards/{name}`.
pub(super) async fn delete(
    State(server): State<Arc<Server>>,
    path: PathParams,
    headers: HeaderMap,
    uri: Uri,
) -> Result<WrittenJson, Problem> {
    let caller = access::sign_in(&server, &headers, &uri)?;
    caller.require_role(&EDITORS)?;
    let name = name_in(path)?;
    let own = Own::of(&server, &caller).await?;
    let wanted = name.clone();
    let deleting = tokio::task::spawn_blocking(move || cards::delete(server.store()?, &own.scope, &wanted));
    match deleting.await.map_err(|error| Problem::hidden(Code::Internal, error))?? {
        true => Ok(WrittenJson(json!({"deleted": name}))),
        false => Err(unknown(&name)),
    }
}

fn name_in(path: PathParams) -> Result<String, Problem> {
    let path = access::path_pairs(path)?;
    Ok(access::last(&path, "name").unwrap_or_default().to_owned())
}

fn unknown(name: &str) -> Problem {
    Problem::new(Code::CardUnknown, format!("There is no card {:?}.", shortened(name)))
}

/// The caller's rows, as they are now.
struct Own {
    scope: Scope,
    snapshot: Snapshot,
}

impl Own {
    async fn of(server: &Arc<Server>, caller: &Caller) -> Result<Self, Problem> {
        let scope = caller.widest_scope()?;
        let snapshot = access::snapshot(server, server.app_of(caller)?, &scope).await?;
        Ok(Self { scope, snapshot })
    }

    async fn list(&self) -> Result<Vec<SavedCard>, Problem> {
        let (snapshot, scope) = (self.snapshot.clone(), self.scope.clone());
        let reading = tokio::task::spawn_blocking(move || cards::list(&snapshot, &scope)).await;
        reading.map_err(|error| Problem::hidden(Code::Internal, error))?
    }

    /// That the question can be asked of the app.
    fn check(&self, card: &Card) -> Result<(), Problem> {
        let query = &card.query;
        let snapshot = self.snapshot.evolved(&self.scope, query.texts().iter().map(String::as_str));
        let bound = bind(query, snapshot.app());
        bound.map_err(|fault| Fault { path: format!("query.{}", fault.path), ..fault })?;
        Ok(())
    }
}
