//! `paths`: which item follows which.

use serde_json::{Value as Json, json};

use super::filter::{Scalar, decode_name};
use super::matcher::{Matcher, count};
use super::when::Duration;
use crate::{Fault, Fields};

const STEPS_MAX: i64 = 1_000_000;
const LIMIT_MAX: i64 = 1_000_000;

#[derive(Clone, Debug, PartialEq)]
pub struct Paths {
    pub entity: Matcher,
    /// The property that an event shows; events without it are passed over.
    pub item: String,
    /// A longer time between two events cuts the chain.
    pub session_gap: Duration,
    /// Chains begin at the first such item; those without it are left out.
    pub start_at: Option<Scalar>,
    /// Only the first so many steps of a chain; `None`: all.
    pub steps: Option<u32>,
    /// Only the commonest so many edges; `None`: all.
    pub limit: Option<u32>,
}

impl Paths {
    pub(super) fn decode(fields: &Fields<'_>) -> Result<Self, Fault> {
        Ok(Self {
            entity: Matcher::decode(fields.optional("entity"))?,
            item: fields.optional("item").map_or(Ok("event".to_owned()), |node| decode_name(&node))?,
            session_gap: fields
                .optional("session_gap")
                .map_or(Ok(Duration::HALF_AN_HOUR), |node| Duration::decode(&node))?,
            start_at: fields.optional("start_at").map(|node| Scalar::decode(&node)).transpose()?,
            steps: fields.optional("steps").map(|node| count(&node, 1, STEPS_MAX)).transpose()?,
            limit: fields.optional("limit").map(|node| count(&node, 1, LIMIT_MAX)).transpose()?,
        })
    }

    pub(super) fn to_json(&self) -> Json {
        json!({
            "entity": self.entity.to_json(),
            "item": self.item,
            "session_gap": self.session_gap.to_json(),
            "start_at": self.start_at.as_ref().map(Scalar::to_json),
            "steps": self.steps,
            "limit": self.limit,
        })
    }
}
