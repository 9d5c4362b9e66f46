//! Bodies of requests: JSON, bounded in bytes, nesting and time, and bounded in bytes over all requests.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use futures::StreamExt;
use serde_json::Value as Json;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::problem::{Code, Problem};
use crate::settings::Settings;

/// The bytes that all bodies together may take.
#[derive(Debug)]
pub(crate) struct BodyBudget {
    bytes: Semaphore,
}

impl BodyBudget {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes: Semaphore::new(bytes_max.min(Semaphore::MAX_PERMITS)) }
    }

    fn take(&self, bytes: usize) -> Result<SemaphorePermit<'_>, Problem> {
        let taken = u32::try_from(bytes).ok().and_then(|bytes| self.bytes.try_acquire_many(bytes).ok());
        taken.ok_or_else(|| {
            Problem::new(Code::Overloaded, "The server holds as many bytes of bodies as it takes.")
        })
    }
}

/// A body's JSON, and its share of the budget.
pub(crate) struct JsonBody<'a> {
    pub(crate) json: Json,
    _share: Option<SemaphorePermit<'a>>,
}

/// Reads a body of at most `bytes_max` bytes as JSON (which may nest 127 deep).
pub(crate) async fn read_json<'a>(
    request: Request,
    bytes_max: usize,
    settings: &Settings,
    budget: &'a BodyBudget,
) -> Result<JsonBody<'a>, Problem> {
    check_media_type(request.headers())?;
    check_length(request.headers(), bytes_max)?;
    let reading = read_bytes(request.into_body(), bytes_max, budget);
    let read = tokio::time::timeout(settings.body_timeout, reading).await;
    let slow = |_| {
        let limit_s = settings.body_timeout.as_secs();
        Problem::new(Code::BodySlow, format!("The body did not arrive within {limit_s} seconds."))
    };
    let (bytes, share) = read.map_err(slow)??;
    let json = serde_json::from_slice(&bytes).map_err(|error| {
        let detail = format!("The body is no JSON that this server takes: {error}.");
        Problem::new(Code::JsonInvalid, detail)
    })?;
    Ok(JsonBody { json, _share: share })
}

async fn read_bytes<'a>(
    body: Body,
    bytes_max: usize,
    budget: &'a BodyBudget,
) -> Result<(Bytes, Option<SemaphorePermit<'a>>), Problem> {
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut share: Option<SemaphorePermit<'a>> = None;
    while let Some(chunk) = chunks.next().await {
        let broken = |_| Problem::new(Code::JsonInvalid, "The body broke off.");
        let chunk = chunk.map_err(broken)?;
        if bytes.len() + chunk.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        let more = budget.take(chunk.len())?;
        match &mut share {
            Some(share) => share.merge(more),
            None => share = Some(more),
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((Bytes::from(bytes), share))
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(encoding) = text(header::CONTENT_ENCODING).filter(|encoding| *encoding != "identity") {
        let detail = format!("The body's Content-Encoding is {encoding:?}; allowed is none.");
        return Err(Problem::new(Code::MediaType, detail));
    }
    let given = text(header::CONTENT_TYPE).unwrap_or("");
    let media_type = given.split(';').next().unwrap_or("").trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let detail = format!("The body's Content-Type is {given:?}; allowed is \"application/json\".");
    Err(Problem::new(Code::MediaType, detail))
}

fn check_length(headers: &HeaderMap, bytes_max: usize) -> Result<(), Problem> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    match length.and_then(|text| text.parse::<u64>().ok()) {
        Some(length) if usize::try_from(length).is_ok_and(|length| length <= bytes_max) => Ok(()),
        Some(_) => Err(too_large(bytes_max)),
        None => Ok(()),
    }
}

fn too_large(bytes_max: usize) -> Problem {
    Problem::new(
        Code::BodyTooLarge,
        format!("The body is larger than the {bytes_max} bytes that are allowed here."),
    )
}
