//! `churn`: who has been away for longer than is usual for them.

use serde_json::{Value as Json, json};

use super::matcher::{Matcher, count};
use super::when::unit_json;
use crate::{Fault, Fields, Node, Unit};

const LIMIT_DEFAULT: u32 = 100;
const LIMIT_MAX: i64 = 1_000_000;
const MULTIPLIER_DEFAULT_MILLIONTHS: u64 = 2_000_000;
const DAYS_DEFAULT: u32 = 60;
const HORIZON_DEFAULT: u32 = 4;

#[derive(Clone, Debug, PartialEq)]
pub struct Churn {
    pub entity: Matcher,
    /// An actor is at risk after so many times their usual interval, in millionths.
    pub multiplier_millionths: u64,
    /// An actor without an interval (one event) is at risk after so many days.
    pub default_days: u32,
    /// Actors with fewer events are left out.
    pub min_events: u32,
    pub order: ChurnOrder,
    pub list: ChurnList,
    pub limit: u32,
    pub model: Option<BgNbd>,
}

/// A model of who is still there (Fader, Hardie & Lee 2005). Events of one day count once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BgNbd {
    /// What its times are in: days or weeks.
    pub unit: Unit,
    /// How many units ahead actors are expected.
    pub horizon: u32,
}

impl BgNbd {
    pub fn unit_days(self) -> u32 {
        if self.unit == Unit::Week { 7 } else { 1 }
    }

    fn decode(fields: &Fields<'_>) -> Result<Option<Self>, Fault> {
        let wanted = fields.optional("model").map_or(Ok(false), |node| {
            node.choice(&["none", "bg_nbd"], |name| match name {
                "none" => Some(false),
                "bg_nbd" => Some(true),
                _ => None,
            })
        })?;
        let unit = fields.optional("unit").map_or(Ok(Unit::Week), |node| {
            node.choice(&["day", "week"], |name| match name {
                "day" => Some(Unit::Day),
                "week" => Some(Unit::Week),
                _ => None,
            })
        })?;
        let horizon =
            fields.optional("horizon").map_or(Ok(HORIZON_DEFAULT), |node| count(&node, 1, 10_000))?;
        Ok(wanted.then_some(Self { unit, horizon }))
    }
}

/// The greatest comes first; ties go by the actor, ascending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChurnOrder {
    /// Whole days of inactivity.
    Days,
    /// Inactivity over the usual interval; those without an interval come last.
    Ratio,
}

/// Whom the answer lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChurnList {
    All,
    AtRisk,
}

impl Churn {
    pub(super) fn decode(fields: &Fields<'_>) -> Result<Self, Fault> {
        let model = BgNbd::decode(fields)?;
        let counted = |name, min, max, default| {
            fields.optional(name).map_or(Ok(default), |node| count(&node, min, max))
        };
        Ok(Self {
            entity: Matcher::decode(fields.optional("entity"))?,
            multiplier_millionths: fields
                .optional("inactivity_multiplier")
                .map_or(Ok(MULTIPLIER_DEFAULT_MILLIONTHS), |node| millionths(&node))?,
            default_days: counted("default_days", 0, 100_000, DAYS_DEFAULT)?,
            min_events: counted("min_events", 1, 1_000_000, 1)?,
            order: fields.optional("order").map_or(Ok(ChurnOrder::Days), |node| {
                node.choice(&["days", "ratio"], |name| match name {
                    "days" => Some(ChurnOrder::Days),
                    "ratio" => Some(ChurnOrder::Ratio),
                    _ => None,
                })
            })?,
            list: fields.optional("list").map_or(Ok(ChurnList::All), |node| {
                node.choice(&["all", "at_risk"], |name| match name {
                    "all" => Some(ChurnList::All),
                    "at_risk" => Some(ChurnList::AtRisk),
                    _ => None,
                })
            })?,
            limit: counted("limit", 1, LIMIT_MAX, LIMIT_DEFAULT)?,
            model,
        })
    }

    pub(super) fn to_json(&self) -> Json {
        let mut json = json!({
            "entity": self.entity.to_json(),
            "model": if self.model.is_some() { "bg_nbd" } else { "none" },
            "inactivity_multiplier": self.multiplier(),
            "default_days": self.default_days,
            "min_events": self.min_events,
            "order": match self.order {
                ChurnOrder::Days => "days",
                ChurnOrder::Ratio => "ratio",
            },
            "list": match self.list {
                ChurnList::All => "all",
                ChurnList::AtRisk => "at_risk",
            },
            "limit": self.limit,
        });
        if let (Some(model), Json::Object(json)) = (self.model, &mut json) {
            json.insert("unit".to_owned(), unit_json(model.unit));
            json.insert("horizon".to_owned(), Json::from(model.horizon));
        }
        json
    }

    #[expect(clippy::cast_precision_loss, reason = "at most 10^9, so exact before the division")]
    pub fn multiplier(&self) -> f64 {
        self.multiplier_millionths as f64 / 1e6
    }
}

/// A positive number of up to six decimals, so that comparing with it is exact.
fn millionths(node: &Node<'_>) -> Result<u64, Fault> {
    const MAX: f64 = 1_000.0;
    let expected = || node.expected("a number above 0 and up to 1000, with up to six decimals");
    let given = node.json().as_f64().filter(|given| *given > 0.0 && *given <= MAX).ok_or_else(expected)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, from 0 to 10^9")]
    let units = (given * 1e6).round() as u64;
    #[expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "does it read back as what was given?")]
    let exact = units > 0 && units as f64 / 1e6 == given;
    if exact { Ok(units) } else { Err(expected()) }
}
