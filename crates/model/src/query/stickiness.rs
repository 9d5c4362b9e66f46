//! `stickiness`: in how many periods each actor is active.

use serde_json::{Value as Json, json};

use super::matcher::{Matcher, count};
use super::when::{decode_unit, unit_json};
use crate::{Fault, Fields, Unit};

#[derive(Clone, Debug, PartialEq)]
pub struct Stickiness {
    /// Who has such an event in a bucket is active in it.
    pub entity: Matcher,
    pub interval: Unit,
    /// How many periods make a bucket.
    pub interval_count: u32,
}

impl Stickiness {
    pub(super) fn decode(fields: &Fields<'_>) -> Result<Self, Fault> {
        Ok(Self {
            entity: Matcher::decode(fields.optional("entity"))?,
            interval: fields.optional("interval").map_or(Ok(Unit::Day), |node| decode_unit(&node))?,
            interval_count: fields.optional("interval_count").map_or(Ok(1), |node| count(&node, 1, 1_000))?,
        })
    }

    pub(super) fn to_json(&self) -> Json {
        json!({
            "entity": self.entity.to_json(),
            "interval": unit_json(self.interval),
            "interval_count": self.interval_count,
        })
    }
}
