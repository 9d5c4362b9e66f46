//! Bodies of requests: JSON, bounded in bytes, nesting and time, and bounded in bytes over all requests.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Uri, header};
use ebbtide_model::read_json;
use futures::StreamExt;
use serde_json::Value as Json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::access::{Pairs, query_pairs};
use crate::capture::Json as Captured;
use crate::problem::{Code, Problem};
use crate::settings::Settings;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// The bytes that all bodies together may take.
#[derive(Debug)]
pub(crate) struct BodyBudget {
    bytes: Arc<Semaphore>,
}

impl BodyBudget {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes: Arc::new(Semaphore::new(bytes_max.min(Semaphore::MAX_PERMITS))) }
    }

    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let full = || Problem::new(Code::Overloaded, "The server holds as many bytes of bodies as it takes.");
        let bytes = u32::try_from(bytes).map_err(|_| full())?;
        self.bytes.clone().try_acquire_many_owned(bytes).map_err(|_| full())
    }
}

/// A whole body, and its share of the budget while it is held.
#[derive(Debug, Default)]
pub(crate) struct WholeBody {
    bytes: Vec<u8>,
    share: Option<OwnedSemaphorePermit>,
}

impl WholeBody {
    /// With all digits of its numbers. May nest 127 deep.
    pub(crate) fn json(&self) -> Result<Json, Problem> {
        read_json(&self.bytes).map_err(|error| not_json(&error))
    }

    /// The same without a copy of its texts.
    pub(crate) fn borrowed_json(&self) -> Result<Captured<'_>, Problem> {
        serde_json::from_slice(&self.bytes).map_err(|error| not_json(&error))
    }

    fn push(&mut self, chunk: &[u8], budget: &BodyBudget) -> Result<(), Problem> {
        let more = budget.take(chunk.len())?;
        match &mut self.share {
            Some(share) => share.merge(more),
            None => self.share = Some(more),
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }
}

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::new(Code::JsonInvalid, format!("The body is no JSON that this server takes: {error}."))
}

/// Reads a body of at most `bytes_max` bytes that says it is JSON.
pub(crate) async fn read_body(
    request: Request,
    bytes_max: usize,
    settings: &Settings,
    budget: &BodyBudget,
) -> Result<WholeBody, Problem> {
    check_media_type(request.headers(), &[JSON])?;
    read_whole(request, bytes_max, settings, budget).await
}

/// As [`read_body`], of a body that may say that it is plain text, as those of pages that are left do.
pub(crate) async fn read_plain(
    request: Request,
    bytes_max: usize,
    settings: &Settings,
    budget: &BodyBudget,
) -> Result<WholeBody, Problem> {
    check_media_type(request.headers(), &[JSON, "text/plain"])?;
    read_whole(request, bytes_max, settings, budget).await
}

/// The fields of a form, of at most `bytes_max` bytes.
pub(super) async fn read_form(
    request: Request,
    bytes_max: usize,
    settings: &Settings,
    budget: &BodyBudget,
) -> Result<Pairs, Problem> {
    check_media_type(request.headers(), &[FORM])?;
    let whole = read_whole(request, bytes_max, settings, budget).await?;
    let invalid = || Problem::new(Code::BodyInvalid, "The body is no form of names and values.");
    let text = std::str::from_utf8(&whole.bytes).map_err(|_| invalid())?;
    // Forms are written as query strings are.
    let query = format!("/?{text}").parse::<Uri>().map_err(|_| invalid())?;
    query_pairs(&query).map_err(|_| invalid())
}

async fn read_whole(
    request: Request,
    bytes_max: usize,
    settings: &Settings,
    budget: &BodyBudget,
) -> Result<WholeBody, Problem> {
    check_length(request.headers(), bytes_max)?;
    let reading = read_chunks(request.into_body(), bytes_max, budget);
    let slow = |_| {
        let limit_s = settings.body_timeout.as_secs();
        Problem::new(Code::BodySlow, format!("The body did not arrive within {limit_s} seconds."))
    };
    tokio::time::timeout(settings.body_timeout, reading).await.map_err(slow)?
}

async fn read_chunks(body: Body, bytes_max: usize, budget: &BodyBudget) -> Result<WholeBody, Problem> {
    let mut chunks = body.into_data_stream();
    let mut whole = WholeBody::default();
    while let Some(chunk) = chunks.next().await {
        let broken = |_| Problem::new(Code::JsonInvalid, "The body broke off.");
        let chunk = chunk.map_err(broken)?;
        if whole.bytes.len() + chunk.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        whole.push(&chunk, budget)?;
    }
    Ok(whole)
}

fn check_media_type(headers: &HeaderMap, allowed: &[&str]) -> Result<(), Problem> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(encoding) = text(header::CONTENT_ENCODING).filter(|encoding| *encoding != "identity") {
        let detail = format!("The body's Content-Encoding is {encoding:?}; allowed is none.");
        return Err(Problem::new(Code::MediaType, detail));
    }
    let given = text(header::CONTENT_TYPE).unwrap_or("");
    let media_type = given.split(';').next().unwrap_or("").trim();
    if allowed.iter().any(|allowed| media_type.eq_ignore_ascii_case(allowed)) {
        return Ok(());
    }
    let detail = format!("The body's Content-Type is {given:?}; allowed is {:?}.", allowed.join(" or "));
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
