//! What watches over a server asks: is it alive, may it get requests, what does it count.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::metrics::Gauge;
use crate::server::{Phase, Server};

pub(super) async fn healthz() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

pub(super) async fn readyz(State(server): State<Arc<Server>>) -> Response {
    let (status, word) = match server.phase() {
        Phase::Recovering => (StatusCode::SERVICE_UNAVAILABLE, "recovering"),
        Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        Phase::Serving => (StatusCode::OK, "ready"),
    };
    (status, Json(json!({"status": word}))).into_response()
}

pub(super) async fn metrics(State(server): State<Arc<Server>>) -> Response {
    #[expect(clippy::cast_precision_loss, reason = "as many requests as a u32 counts")]
    let running = server.gate.inside() as f64;
    let gauges = [Gauge {
        name: "ebbtide_requests_running",
        help: "Requests that run now.",
        labels: Vec::new(),
        value: running,
    }];
    let text = server.metrics.render(&gauges);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
