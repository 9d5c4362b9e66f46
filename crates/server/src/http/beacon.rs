//! `POST /v1/beacon`: what `/v1/capture`, `/v1/actors` and `/v1/alias` take, in one body that holds its write key. A page
//! that is left can send neither a header nor what a browser would ask about first; a body of plain text it can.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value as JsonValue};

use super::body::{WholeBody, read_plain};
use super::capture::Delivery;
use super::cors;
use crate::capture::Json as Captured;
use crate::problem::{Code, Problem, shortened};
use crate::rejects::Way;
use crate::server::Server;
use crate::sign_in::WRITE_KEY_PREFIX;

const KEY: &str = "key";
/// What else a body may hold, in the order in which it is stored.
const LISTS: [(&str, Way); 3] = [("events", Way::Events), ("actors", Way::Actors), ("aliases", Way::Aliases)];

pub(super) async fn take(State(server): State<Arc<Server>>, request: Request) -> Response {
    let headers = request.headers().clone();
    let taken = take_of(&server, request).await;
    // A script that cannot read why it was refused would take the server for one that is away, and try for ever.
    if taken.is_err() && check_origin(&server, &headers).is_err() {
        return readable(taken.into_response(), &headers);
    }
    taken.into_response()
}

/// What pages of the request's origin may read.
fn readable(mut response: Response, asked: &HeaderMap) -> Response {
    if let Some(origin) = asked.get(header::ORIGIN) {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    response
}

async fn take_of(server: &Arc<Server>, request: Request) -> Result<Json<JsonValue>, Problem> {
    let (headers, uri) = (request.headers().clone(), request.uri().clone());
    let settings = &server.settings;
    let body = read_plain(request, settings.body_bytes_max, settings, &server.bodies).await?;
    check_origin(server, &headers)?;
    let server = server.clone();
    let stored = tokio::task::spawn_blocking(move || store(server, &uri, &body)).await;
    stored.map_err(|error| Problem::hidden(Code::Internal, error))?.map(Json)
}

fn store(server: Arc<Server>, uri: &Uri, body: &WholeBody) -> Result<JsonValue, Problem> {
    let body = body.borrowed_json()?;
    let Captured::Object(fields) = &body else {
        return Err(invalid(format!("The body is {}; allowed is an object.", body.kind())));
    };
    let key = fields.iter().rev().find(|(name, _)| name == KEY).map(|(_, key)| key);
    let signed = with_key(key)?;
    let now = server.now();
    let delivery = Delivery::of(server.clone(), &signed, uri, now)?;
    let known = |name: &str| name == KEY || LISTS.iter().any(|(list, _)| *list == name);
    if let Some((name, _)) = fields.iter().find(|(name, _)| !known(name)) {
        let name = shortened(name);
        return Err(invalid(format!("{name}: is no field here; allowed is key, events, actors or aliases.")));
    }
    let mut told = Map::new();
    for (name, way) in LISTS {
        let items = match fields.iter().rev().find(|(given, _)| given == name) {
            None | Some((_, Captured::Null)) => continue,
            Some((_, Captured::List(items))) => items,
            Some((_, other)) => {
                return Err(invalid(format!("{name}: {} was given; allowed is a list.", other.kind())));
            }
        };
        told.insert(name.to_owned(), delivery.store_items(items, way)?.to_json());
    }
    Ok(JsonValue::Object(told))
}

fn invalid(detail: String) -> Problem {
    Problem::new(Code::BodyInvalid, detail)
}

/// The header that the key would stand in. No token comes in a body: what opens more than capture is not for pages.
fn with_key(key: Option<&Captured<'_>>) -> Result<HeaderMap, Problem> {
    let Some(key) = key.filter(|key| **key != Captured::Null) else {
        return Err(Problem::new(Code::TokenMissing, "The body has no field `key` with a write key."));
    };
    let refused = || Problem::new(Code::TokenInvalid, "The field `key` holds no write key.");
    let Captured::Text(key) = key else { return Err(refused()) };
    if !key.starts_with(WRITE_KEY_PREFIX) {
        return Err(refused());
    }
    let value = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| refused())?;
    Ok(HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
}

/// As a browser would have found out by asking, which it does not for plain text.
fn check_origin(server: &Server, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    if cors::is_own(origin, headers) || server.settings.cors.allows(origin) {
        return Ok(());
    }
    let detail = format!(
        "Pages of the origin {:?} may not capture here; `cors.origins` names those that may.",
        shortened(origin)
    );
    Err(Problem::new(Code::Forbidden, detail))
}
