//! What watches over a server asks: is it alive, may it get requests, what does it count.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use ebbtide_engine::StandingNumbers;
use serde_json::json;

use super::store_numbers::store_gauges;
use crate::metrics::Gauge;
use crate::problem::{Code, Problem};
use crate::server::{Phase, Server};

pub(super) async fn healthz() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

pub(super) async fn readyz(State(server): State<Arc<Server>>) -> Result<Response, Problem> {
    let (status, word) = match phase(&server).await? {
        Phase::Recovering => (StatusCode::SERVICE_UNAVAILABLE, "recovering"),
        Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        Phase::Failed => (StatusCode::SERVICE_UNAVAILABLE, "failed"),
        Phase::Serving => (StatusCode::OK, "ready"),
        Phase::Degraded => (StatusCode::OK, "degraded"),
    };
    Ok((status, Json(json!({"status": word}))).into_response())
}

fn standing(server: &Server) -> impl Iterator<Item = Gauge> {
    let StandingNumbers { questions, bytes, answered, made } = server.standing.numbers();
    #[expect(clippy::cast_precision_loss, reason = "a number for people to look at")]
    let told = [
        ("ebbtide_live_states", "Questions of which the sessions are kept.", questions as f64),
        ("ebbtide_live_state_bytes", "What these take in memory, about.", bytes as f64),
        ("ebbtide_live_continued_total", "Answers from kept sessions and what came since.", answered as f64),
        ("ebbtide_live_rebuilt_total", "Kept sessions that were made from all rows.", made as f64),
    ];
    told.into_iter().map(|(name, help, value)| Gauge { name, help, labels: Vec::new(), value })
}

async fn phase(server: &Arc<Server>) -> Result<Phase, Problem> {
    let server = server.clone();
    let phase = tokio::task::spawn_blocking(move || server.phase()).await;
    phase.map_err(|error| Problem::hidden(Code::Internal, error))
}

pub(super) async fn metrics(State(server): State<Arc<Server>>) -> Result<Response, Problem> {
    #[expect(clippy::cast_precision_loss, reason = "as many requests as a u32 counts")]
    let running = server.gate.inside() as f64;
    let mut gauges = vec![Gauge {
        name: "ebbtide_requests_running",
        help: "Requests that run now.",
        labels: Vec::new(),
        value: running,
    }];
    #[expect(clippy::cast_precision_loss, reason = "as many listeners as a u32 counts")]
    let counts = [server.hub.listeners() as f64, server.hub.topics() as f64];
    let told = [
        ("ebbtide_live_listeners", "Listeners to reports now."),
        ("ebbtide_live_topics", "Different answers that are listened to now."),
    ];
    gauges.extend(told.into_iter().zip(counts).map(|((name, help), value)| Gauge {
        name,
        help,
        labels: Vec::new(),
        value,
    }));
    gauges.extend(standing(&server));
    let phase = phase(&server).await?;
    let phases = [
        ("recovering", Phase::Recovering),
        ("serving", Phase::Serving),
        ("degraded", Phase::Degraded),
        ("failed", Phase::Failed),
        ("draining", Phase::Draining),
    ];
    gauges.extend(phases.map(|(name, one)| Gauge {
        name: "ebbtide_phase",
        help: "1 for the phase that the server is in.",
        labels: vec![("phase", name.to_owned())],
        value: f64::from(u8::from(one == phase)),
    }));
    gauges.extend(heavy_work(&server));
    gauges.extend(rejected(&server));
    gauges.extend(fetched_keys(&server));
    gauges.extend(stored(&server).await?);
    server.cache.settle().await;
    let text = server.metrics.render(&gauges, &server.cache.numbers());
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

/// What runs for callers, and what became of it.
fn heavy_work(server: &Server) -> [Gauge; 6] {
    let numbers = server.sql.process_numbers();
    let of = [
        (
            "ebbtide_questions_running",
            "Behavioural questions that are worked on.",
            server.turns.running() as u64,
        ),
        (
            "ebbtide_questions_given_up_total",
            "Behavioural questions stopped before they were answered.",
            server.turns.given_up(),
        ),
        ("ebbtide_sql_processes_running", "Callers' statements that run now.", numbers.running),
        ("ebbtide_sql_processes_started_total", "Processes started for statements.", numbers.started),
        ("ebbtide_sql_processes_killed_total", "Statements killed before they had answered.", numbers.killed),
        ("ebbtide_sql_processes_fallen_total", "Processes that ended without an answer.", numbers.fallen),
    ];
    #[expect(clippy::cast_precision_loss, reason = "as many processes as were started")]
    of.map(|(name, help, value)| Gauge { name, help, labels: Vec::new(), value: value as f64 })
}

/// What became of rows that were rejected.
fn rejected(server: &Server) -> [Gauge; 2] {
    let numbers = server.rejects.numbers();
    let of = [
        ("ebbtide_rejects_kept_total", "Rejected rows that were kept.", numbers.kept),
        ("ebbtide_rejects_lost_total", "Rejected rows that were not kept, for want of room.", numbers.lost),
    ];
    #[expect(clippy::cast_precision_loss, reason = "a gauge shows magnitudes")]
    of.map(|(name, help, value)| Gauge { name, help, labels: Vec::new(), value: value as f64 })
}

/// How many keys of the fetched set there are, where one is fetched.
fn fetched_keys(server: &Server) -> Option<Gauge> {
    let keys = server.keys.key_set()?.len();
    Some(Gauge {
        name: "ebbtide_fetched_keys",
        help: "Keys of the set that is fetched; 0 before the first.",
        labels: Vec::new(),
        value: f64::from(u32::try_from(keys).unwrap_or(u32::MAX)),
    })
}

/// How the data folder stands; nothing before it is open.
async fn stored(server: &Arc<Server>) -> Result<Vec<Gauge>, Problem> {
    let Ok(store) = server.store().cloned() else {
        return Ok(Vec::new());
    };
    let read = tokio::task::spawn_blocking(move || store.statistics()).await;
    read.map(|statistics| store_gauges(&statistics)).map_err(|error| Problem::hidden(Code::Internal, error))
}
