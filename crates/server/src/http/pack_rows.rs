//! The paths by which a pack's clients send and delete rows: durable, or gone, before it is answered for.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use serde_json::{Value as JsonValue, json};

use super::access;
use super::answer::WrittenJson;
use super::body::{WholeBody, read_body};
use crate::capture::Misfit;
use crate::delivery::{Admitted, Delivery};
use crate::problem::{Code, Problem};
use crate::rejects::Way;
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
    let stored = tokio::task::spawn_blocking(move || store(&delivery, &body)).await;
    let answer = stored.map_err(|error| Problem::hidden(Code::Internal, error))??;
    Ok((StatusCode::CREATED, WrittenJson(answer)).into_response())
}

/// What a body was: it is answered by the same.
#[derive(Clone, Copy)]
enum Sent {
    One,
    List,
}

/// Takes what a body holds, or tells of the first row at fault.
fn store(delivery: &Delivery, body: &WholeBody) -> Result<JsonValue, Problem> {
    let (items, sent) = items_of(body)?;
    let capture = &delivery.route.capture;
    let rows_max = delivery.server.settings.rows_max;
    let list_max = capture.list_max.map_or(rows_max, |most| most.min(rows_max));
    if items.len() > list_max {
        let detail = format!("The list has {} objects; allowed are at most {list_max}.", items.len());
        return Err(Problem::new(Code::BodyTooLarge, detail));
    }
    let mut answers = match delivery.admit(items)? {
        Admitted::All(answers) => answers,
        Admitted::Refused(misfits) => {
            // What was refused is kept: the body is read once more for it.
            if let Ok((items, _)) = items_of(body) {
                delivery.keep(Way::Path, &capture.path, &misfits, &items);
            }
            return Err(misfits.first().map_or_else(no_misfit, |misfit| told(misfit, sent)));
        }
    };
    Ok(match sent {
        Sent::List => JsonValue::Array(answers),
        Sent::One => answers.pop().unwrap_or_default(),
    })
}

fn items_of(body: &WholeBody) -> Result<(Vec<JsonValue>, Sent), Problem> {
    match body.json()? {
        JsonValue::Array(items) => Ok((items, Sent::List)),
        one @ JsonValue::Object(_) => Ok((vec![one], Sent::One)),
        JsonValue::Null | JsonValue::Bool(_) | JsonValue::Number(_) | JsonValue::String(_) => {
            let detail = "The body is a plain value; allowed is an object or a list of them.";
            Err(Problem::new(Code::BodyInvalid, detail))
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

async fn clear(
    server: Arc<Server>,
    route: Arc<ClearRoute>,
    headers: &HeaderMap,
) -> Result<WrittenJson, Problem> {
    let caller = access::sign_in_to(&server, headers, &route.app)?;
    caller.require_role(&route.clear.roles)?;
    let scope = caller.tenant_scope()?;
    let cleared = tokio::task::spawn_blocking(move || {
        let tables = &route.clear.tables;
        let rows = server.store()?.clear_together(&scope, tables)?;
        let counted = tables.iter().zip(rows).filter(|(table, _)| route.clear.count.contains(table));
        Ok::<u64, Problem>(counted.map(|(_, rows)| rows).sum())
    });
    let cleared = cleared.await.map_err(|error| Problem::hidden(Code::Internal, error))??;
    Ok(WrittenJson(json!({"cleared": cleared})))
}
