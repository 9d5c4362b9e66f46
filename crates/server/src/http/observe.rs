//! What surrounds every request: its name, its log line, its metrics, what browsers are told to be careful
//! with, and a net under panics.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;

use super::answer::milliseconds;
use super::request_id;
use crate::problem::{Code, Problem};
use crate::server::Server;
use crate::sign_in;

/// What stands for the path of a request that no route took.
const UNMATCHED: &str = "(none)";

/// What a browser may not do with an answer, unless the answer says otherwise: guess its type, run or frame
/// what is in it, let other sites embed it, tell other sites its address, keep it.
const CAREFUL: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
];

/// The outermost layer: names, measures and logs a request, and renders its problem.
pub(super) async fn observe(State(server): State<Arc<Server>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = server.request_ids.of(request.headers());
    let method = method_name(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
    request.extensions_mut().insert(id.clone());

    let mut response = next.run(request).await;
    if let Some(problem) = response.extensions_mut().remove::<Arc<Problem>>() {
        let kept = std::mem::take(response.headers_mut());
        response = problem.render(id.as_str());
        for (name, value) in &kept {
            response.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
        log_problem(id.as_str(), route, &problem);
    }
    if let Some(value) = id.header() {
        response.headers_mut().insert(request_id::HEADER, value);
    }
    for (name, value) in CAREFUL {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }

    let elapsed = started.elapsed();
    let status = response.status().as_u16();
    server.metrics.request(method, route, status, elapsed);
    tracing::info!(
        target: "ebbtide::request",
        request_id = id.as_str(),
        method,
        route,
        status,
        ms = milliseconds(elapsed),
        "answered"
    );
    response
}

/// The innermost layer but one: a defect of ours is an answer like any other failure.
pub(super) async fn catch_panic(request: Request, next: Next) -> Response {
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    answered.unwrap_or_else(|panic| Problem::hidden(Code::Internal, panic_text(&*panic)).into_response())
}

/// The layer around all that does work: as many at one time as may be, and each in its time.
pub(super) async fn admit(
    State(server): State<Arc<Server>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    sign_in::wait_for_key(request.headers(), &server.keys).await;
    let _place = server.gate.enter()?;
    let limit = server.settings.request_timeout;
    let slow =
        |_| Problem::new(Code::Timeout, format!("The answer took more than {} seconds.", limit.as_secs()));
    tokio::time::timeout(limit, next.run(request)).await.map_err(slow)
}

fn log_problem(request_id: &str, route: &str, problem: &Problem) {
    let code = problem.code().as_str();
    if let Some(cause) = problem.cause() {
        tracing::error!(target: "ebbtide::request", request_id, route, code, cause, "failed");
    } else {
        tracing::debug!(target: "ebbtide::request", request_id, route, code, "refused");
    }
}

/// Methods that clients make up are one in the metrics.
fn method_name(method: &Method) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    known.into_iter().find(|name| *name == method.as_str()).unwrap_or("other")
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.map_or_else(|| "a panic".to_owned(), |text| format!("a panic: {text}"))
}
