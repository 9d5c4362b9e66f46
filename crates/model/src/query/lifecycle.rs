//! `lifecycle`: of those who are active in a period, who is new, who goes on, who is back; and who is gone.

use serde_json::{Value as Json, json};

use super::matcher::{Matcher, count};
use super::when::{decode_unit, unit_json};
use crate::{Fault, Fields, Unit};

const MEMBERS_DEFAULT: u32 = 1_000;
const MEMBERS_MAX: i64 = 100_000;

#[derive(Clone, Debug, PartialEq)]
pub struct Lifecycle {
    /// Who has such an event in a period is active in it.
    pub entity: Matcher,
    pub interval: Unit,
    /// How many actors are listed, by bucket and status.
    pub members_limit: u32,
}

impl Lifecycle {
    pub(super) fn decode(fields: &Fields<'_>) -> Result<Self, Fault> {
        Ok(Self {
            entity: Matcher::decode(fields.optional("entity"))?,
            interval: fields.optional("interval").map_or(Ok(Unit::Day), |node| decode_unit(&node))?,
            members_limit: fields
                .optional("members_limit")
                .map_or(Ok(MEMBERS_DEFAULT), |node| count(&node, 0, MEMBERS_MAX))?,
        })
    }

    pub(super) fn to_json(&self) -> Json {
        json!({
            "entity": self.entity.to_json(),
            "interval": unit_json(self.interval),
            "members_limit": self.members_limit,
        })
    }
}
