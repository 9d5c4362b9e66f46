//! `/v1/keys`: write keys, made, listed and revoked by admins: of a tenant its own, of the app all.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use ebbtide_model::{ErrorKind, Fault, Node, TenantId};
use serde_json::{Value as JsonValue, json};

use super::access::{self, PathParams};
use super::body::read_body;
use crate::problem::{Code, Problem};
use crate::server::Server;
use crate::sign_in::{Caller, NewWriteKey, WriteKey, WriteKeyError};

pub(super) async fn list(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Json<JsonValue>, Problem> {
    let caller = access::admin(&server, &headers, &uri)?;
    let keys = server.write_keys.all();
    let own: Vec<JsonValue> = keys.iter().filter(|key| is_own(&caller, key)).map(|key| told(key)).collect();
    Ok(Json(json!({"keys": own})))
}

pub(super) async fn create(
    State(server): State<Arc<Server>>,
    request: Request,
) -> Result<(StatusCode, Json<JsonValue>), Problem> {
    let caller = access::admin(&server, request.headers(), request.uri())?;
    let settings = &server.settings;
    let body = read_body(request, settings.question_bytes_max, settings, &server.bodies).await?;
    let new = new_key(&caller, &body.json()?)?;
    let now = server.now();
    let making = tokio::task::spawn_blocking(move || server.write_keys.create(&new, now));
    let made = making.await.map_err(|error| Problem::hidden(Code::Internal, error))?;
    let (key, token) = made.map_err(refused)?;
    let mut answer = told(&key);
    answer["key"] = JsonValue::from(token);
    tracing::info!(target: "ebbtide::sign_in", app = key.app, id = key.id, "a write key was made");
    Ok((StatusCode::CREATED, Json(answer)))
}

pub(super) async fn revoke(
    State(server): State<Arc<Server>>,
    path: PathParams,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Json<JsonValue>, Problem> {
    let caller = access::admin(&server, &headers, &uri)?;
    let path = access::path_pairs(path)?;
    let id = access::last(&path, "id").unwrap_or_default().to_owned();
    let ending =
        tokio::task::spawn_blocking(move || server.write_keys.revoke(&id, |key| is_own(&caller, key)));
    let ended = ending.await.map_err(|error| Problem::hidden(Code::Internal, error))?;
    let key = ended.map_err(refused)?;
    tracing::info!(target: "ebbtide::sign_in", app = key.app, id = key.id, "a write key was revoked");
    Ok(Json(told(&key)))
}

/// Whether a key is one that the caller may know of.
fn is_own(caller: &Caller, key: &WriteKey) -> bool {
    key.app == caller.app().as_str() && caller.tenant().is_none_or(|tenant| tenant.as_str() == key.tenant)
}

/// `{"tenant"?, "name"?}`: a token's tenant is the key's.
fn new_key(caller: &Caller, body: &JsonValue) -> Result<NewWriteKey, Problem> {
    let read = || -> Result<(Option<String>, Option<String>), Fault> {
        let fields = Node::root(body).fields()?;
        let text = |name| fields.optional(name).map(|node| node.text().map(str::to_owned)).transpose();
        let (tenant, name) = (text("tenant")?, text("name")?);
        fields.finish()?;
        Ok((tenant, name))
    };
    let invalid = |detail: String| Problem::new(Code::BodyInvalid, detail);
    let (given, name) = read().map_err(|fault| invalid(fault.to_string()))?;
    let tenant = match (caller.tenant(), given) {
        (Some(own), Some(given)) if own.as_str() != given => {
            return Err(Problem::new(Code::Forbidden, "The key is for another tenant than the token."));
        }
        (Some(own), _) => own.clone(),
        (None, Some(given)) => TenantId::new(&given),
        (None, None) => return Err(invalid("tenant: is missing; a key is for one tenant".to_owned())),
    };
    Ok(NewWriteKey { app: caller.app().clone(), tenant, name })
}

fn told(key: &WriteKey) -> JsonValue {
    json!({
        "id": key.id,
        "app": key.app,
        "tenant": key.tenant,
        "name": key.name,
        "created_at": key.created_at,
    })
}

fn refused(error: WriteKeyError) -> Problem {
    let kind = error.kind();
    if kind == ErrorKind::Invalid {
        Problem::new(Code::BodyInvalid, error.to_string())
    } else if kind == ErrorKind::NotFound {
        Problem::new(Code::NotFound, "There is no such write key.")
    } else {
        Problem::of(kind, &error)
    }
}
