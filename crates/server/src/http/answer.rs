//! Answers as bytes, with their timings in a header and never in the body: the same question over the
//! same rows is the same bytes.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use ebbtide_model::Written;
use serde_json::Value as Json;

use crate::problem::{Code, Problem};

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Measures the parts of an answer.
pub(super) struct Stopwatch {
    started: Instant,
    lap_started: Instant,
    laps: Vec<(&'static str, f64)>,
}

impl Stopwatch {
    pub(super) fn start() -> Self {
        let now = Instant::now();
        Self { started: now, lap_started: now, laps: Vec::new() }
    }

    /// What happened since the last lap has this name.
    pub(super) fn lap(&mut self, name: &'static str) {
        let now = Instant::now();
        let milliseconds = now.duration_since(self.lap_started).as_secs_f64() * 1e3;
        self.laps.push((name, milliseconds));
        self.lap_started = now;
    }

    /// The timings as a header.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        if let Some(timing) = self.header() {
            headers.insert(SERVER_TIMING, timing);
        }
    }

    fn header(&self) -> Option<HeaderValue> {
        let total = self.started.elapsed().as_secs_f64() * 1e3;
        let laps = self.laps.iter().copied().chain([("total", total)]);
        let parts: Vec<String> =
            laps.map(|(name, milliseconds)| format!("{name};dur={milliseconds:.3}")).collect();
        HeaderValue::from_str(&parts.join(", ")).ok()
    }
}

/// For log lines: one digit after the point.
pub(crate) fn milliseconds(elapsed: Duration) -> f64 {
    (elapsed.as_secs_f64() * 1e4).round() / 10.0
}

fn encoded(json: &Json) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(&Written(json)).map_err(|error| Problem::hidden(Code::Internal, error))
}

/// A small answer of JSON, every number with its own digits.
pub(super) struct WrittenJson(pub(super) Json);

impl IntoResponse for WrittenJson {
    fn into_response(self) -> Response {
        match encoded(&self.0) {
            Ok(bytes) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
            Err(problem) => problem.into_response(),
        }
    }
}

/// An answer of JSON, put together away from the threads that serve connections.
pub(super) async fn json_answer(
    mut watch: Stopwatch,
    make: impl FnOnce() -> Result<Json, Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let encode = move || encoded(&make()?);
    let made = tokio::task::spawn_blocking(encode).await;
    let bytes = made.map_err(|error| Problem::hidden(Code::Internal, error))??;
    watch.lap("encode");
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Answers depend on the token, and are one caller's own.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    watch.tell(headers);
    Ok(response)
}
