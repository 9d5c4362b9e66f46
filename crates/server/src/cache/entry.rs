//! An answer that is kept.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::HeaderValue;
use ebbtide_model::{Instant, Written};
use serde_json::Value as Json;
use xxhash_rust::xxh3::xxh3_128;

use super::key::Versions;
use super::lifetime::Lifetime;
use crate::problem::{Code, Problem};
use crate::report::Answer;

/// An answer, its bytes, and for how long it holds.
#[derive(Debug)]
pub(crate) struct Entry {
    answer: Arc<Answer>,
    json: Bytes,
    etag: HeaderValue,
    lifetime: Lifetime,
    versions: Versions,
    /// Of the answer and its JSON, about.
    bytes: usize,
}

impl Entry {
    /// Encodes an answer: not for a thread that serves connections.
    pub(crate) fn new(answer: Answer, lifetime: Lifetime, versions: Versions) -> Result<Self, Problem> {
        let json = serde_json::to_vec(&Written(&answer.body))
            .map_err(|error| Problem::hidden(Code::Internal, error))?;
        let etag = etag(&json)?;
        let bytes = json.len().saturating_add(held_bytes(&answer.body));
        Ok(Self { answer: Arc::new(answer), json: Bytes::from(json), etag, lifetime, versions, bytes })
    }

    pub(crate) fn answer(&self) -> &Arc<Answer> {
        &self.answer
    }

    pub(crate) fn json(&self) -> &Bytes {
        &self.json
    }

    /// Of the JSON.
    pub(crate) fn etag(&self) -> &HeaderValue {
        &self.etag
    }

    /// Whole seconds since it was computed.
    pub(crate) fn age_s(&self, now: Instant) -> u64 {
        let age = now.micros().saturating_sub(self.lifetime.begins_at.micros()).max(0);
        (age / Instant::MICROS_PER_SECOND).unsigned_abs()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn begins_at(&self) -> Instant {
        self.lifetime.begins_at
    }

    pub(crate) fn ends_at(&self) -> Instant {
        self.lifetime.ends_at
    }

    /// Whether a fresh answer over rows of these versions would be the same but for its moment. A clock
    /// that was set back makes nothing hold that was computed after.
    pub(super) fn holds(&self, versions: &Versions, now: Instant) -> bool {
        self.lifetime.holds(now) && self.versions == *versions
    }
}

/// A strong validator: equal for equal bytes.
fn etag(bytes: &[u8]) -> Result<HeaderValue, Problem> {
    let text = format!("\"{:032x}\"", xxh3_128(bytes));
    HeaderValue::from_str(&text).map_err(|error| Problem::hidden(Code::Internal, error))
}

/// What a JSON value takes in memory, about.
fn held_bytes(json: &Json) -> usize {
    /// Of a map's entry besides its name and value.
    const MAP_ENTRY_BYTES: usize = 16;
    let inside: usize = match json {
        Json::Null | Json::Bool(_) | Json::Number(_) => 0,
        Json::String(text) => text.len(),
        Json::Array(items) => items.iter().map(held_bytes).sum(),
        Json::Object(map) => map
            .iter()
            .map(|(name, value)| MAP_ENTRY_BYTES + size_of::<String>() + name.len() + held_bytes(value))
            .sum(),
    };
    size_of::<Json>().saturating_add(inside)
}
