//! Which actors of an answer are meant: by the step, cell or bucket that they are counted in.

use serde_json::{Map, Value as Json, json};

use super::filter::Scalar;
use super::matcher::count;
use super::{Funnel, FunnelView, Kind, RETENTION_PERIODS_MAX, Retention, TREND_BUCKETS_MAX};
use crate::{Fault, Fields, Node};

/// Some of an answer's actors.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    pub part: Part,
    /// Of the group with these values, one for each property of the breakdown. `None`: of all.
    pub group: Option<Vec<Scalar>>,
}

/// Where an answer counts an actor.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Anywhere.
    Whole,
    /// In a funnel: who reached a step.
    Reached {
        step: u8,
    },
    /// In a funnel: who reached a step and came no further.
    Dropped {
        step: u8,
    },
    /// In a funnel over time: who entered in a bucket.
    Entered {
        bucket: u32,
    },
    /// In a funnel over time: who entered in a bucket and converted.
    Converted {
        bucket: u32,
    },
    /// In a retention: the members of a row that a cell counts.
    Cell {
        row: u32,
        column: u32,
    },
    Lifecycle {
        bucket: u32,
        state: LifecycleState,
    },
    /// In a stickiness: who is active in so many buckets.
    Exactly {
        buckets: u32,
    },
    AtLeast {
        buckets: u32,
    },
    /// In a trend: who has events in a bucket.
    Bucket {
        bucket: u32,
    },
    AtRisk,
    NotAtRisk,
    /// In paths; `step` is counted from 1, `None` is any.
    Edge {
        step: Option<u32>,
        from: Scalar,
        to: Scalar,
    },
    /// In a preceding: who has an event that is counted by this value.
    Value(Scalar),
    /// In a dropoff: who was at a step, the so-manieth of `steps`.
    Place {
        step: u8,
        value: Scalar,
    },
    /// In a dropoff: whose session ended at a step.
    Exited {
        step: u8,
        value: Scalar,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifecycleState {
    New,
    Returning,
    Resurrecting,
    Dormant,
    /// New, returning or resurrecting.
    Active,
}

impl LifecycleState {
    const NAMES: [&str; 5] = ["new", "returning", "resurrecting", "dormant", "active"];

    fn from_name(name: &str) -> Option<Self> {
        match name {
            "new" => Some(Self::New),
            "returning" => Some(Self::Returning),
            "resurrecting" => Some(Self::Resurrecting),
            "dormant" => Some(Self::Dormant),
            "active" => Some(Self::Active),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Returning => "returning",
            Self::Resurrecting => "resurrecting",
            Self::Dormant => "dormant",
            Self::Active => "active",
        }
    }
}

impl Selection {
    pub(crate) fn decode(node: Option<Node<'_>>, kind: &Kind) -> Result<Self, Fault> {
        if let Kind::Trend(trend) = kind
            && trend.computed.is_some()
        {
            let problem = "was given; allowed for a cohort is a trend without a formula".to_owned();
            return Err(Fault { path: "query.formula".to_owned(), problem });
        }
        let Some(node) = node else {
            return Ok(Self { part: Part::Whole, group: None });
        };
        let fields = node.fields()?;
        let part = decode_part(&fields, kind)?;
        let group = match (fields.optional("group"), properties(kind)) {
            (None, _) => None,
            (Some(node), 0) => return Err(node.fault("was given, to a query without a breakdown")),
            (Some(node), properties) => Some(decode_group(&node, properties)?),
        };
        fields.finish()?;
        Ok(Self { part, group })
    }

    pub(crate) fn to_json(&self) -> Json {
        let mut json = Map::new();
        let mut put = |name: &str, value: Json| json.insert(name.to_owned(), value);
        match &self.part {
            Part::Whole => {}
            Part::Reached { step } => {
                put("step", Json::from(*step));
            }
            Part::Dropped { step } => {
                put("step", Json::from(*step));
                put("dropped", Json::from(true));
            }
            Part::Entered { bucket } | Part::Bucket { bucket } => {
                put("bucket", Json::from(*bucket));
            }
            Part::Converted { bucket } => {
                put("bucket", Json::from(*bucket));
                put("converted", Json::from(true));
            }
            Part::Cell { row, column } => {
                put("cell", json!([row, column]));
            }
            Part::Lifecycle { bucket, state } => {
                put("bucket", Json::from(*bucket));
                put("state", Json::from(state.name()));
            }
            Part::Exactly { buckets } => {
                put("exactly", Json::from(*buckets));
            }
            Part::AtLeast { buckets } => {
                put("at_least", Json::from(*buckets));
            }
            Part::AtRisk => {
                put("at_risk", Json::from(true));
            }
            Part::NotAtRisk => {
                put("at_risk", Json::from(false));
            }
            Part::Edge { step, from, to } => {
                put("edge", json!({"step": step, "from": from.to_json(), "to": to.to_json()}));
            }
            Part::Value(value) => {
                put("value", value.to_json());
            }
            Part::Place { value, .. } => {
                put("step", value.to_json());
            }
            Part::Exited { value, .. } => {
                put("step", value.to_json());
                put("exited", Json::from(true));
            }
        }
        if let Some(group) = &self.group {
            put("group", group.iter().map(Scalar::to_json).collect());
        }
        Json::Object(json)
    }
}

/// How many properties an answer is split by.
fn properties(kind: &Kind) -> usize {
    match kind {
        Kind::Funnel(funnel) => funnel.breakdown.as_ref().map_or(0, |breakdown| breakdown.props.len()),
        Kind::Retention(retention) => usize::from(retention.breakdown.is_some()),
        Kind::Trend(trend) => usize::from(trend.breakdown.is_some()),
        Kind::Churn(_)
        | Kind::Preceding(_)
        | Kind::Lifecycle(_)
        | Kind::Stickiness(_)
        | Kind::Paths(_)
        | Kind::Dropoff(_) => 0,
    }
}

fn decode_group(node: &Node<'_>, properties: usize) -> Result<Vec<Scalar>, Fault> {
    if !node.json().is_array() && properties == 1 {
        return Ok(vec![Scalar::decode(node)?]);
    }
    let items = node.items()?;
    if items.len() != properties {
        return Err(node.expected(format_args!("a list of {properties} values, one for each property")));
    }
    items.iter().map(Scalar::decode).collect()
}

fn decode_part(fields: &Fields<'_>, kind: &Kind) -> Result<Part, Fault> {
    let bucket = |fields: &Fields<'_>| {
        let max = i64::try_from(TREND_BUCKETS_MAX).unwrap_or(i64::MAX);
        fields.optional("bucket").map(|node| count(&node, 0, max - 1)).transpose()
    };
    Ok(match kind {
        Kind::Funnel(funnel) => match funnel.view {
            FunnelView::Steps => funnel_step(fields, funnel)?,
            FunnelView::Trends { .. } => {
                let converted = fields.flag("converted", false)?;
                match (bucket(fields)?, converted) {
                    (Some(bucket), true) => Part::Converted { bucket },
                    (Some(bucket), false) => Part::Entered { bucket },
                    (None, true) => return Err(fields.fault_at("bucket", "is missing, and is required")),
                    (None, false) => Part::Whole,
                }
            }
        },
        Kind::Retention(retention) => match fields.optional("cell") {
            None => Part::Whole,
            Some(node) => cell(&node, retention)?,
        },
        Kind::Lifecycle(_) => {
            let state =
                || fields.required("state")?.choice(&LifecycleState::NAMES, LifecycleState::from_name);
            match bucket(fields)? {
                None => Part::Whole,
                Some(bucket) => Part::Lifecycle { bucket, state: state()? },
            }
        }
        Kind::Stickiness(_) => stickiness(fields)?,
        Kind::Trend(_) => bucket(fields)?.map_or(Part::Whole, |bucket| Part::Bucket { bucket }),
        Kind::Churn(_) => match fields.optional("at_risk").map(|node| node.bool()).transpose()? {
            None => Part::Whole,
            Some(true) => Part::AtRisk,
            Some(false) => Part::NotAtRisk,
        },
        Kind::Paths(_) => fields.optional("edge").map_or(Ok(Part::Whole), edge)?,
        Kind::Preceding(_) => {
            let value = fields.optional("value").map(|node| Scalar::decode(&node)).transpose()?;
            value.map_or(Part::Whole, Part::Value)
        }
        Kind::Dropoff(dropoff) => {
            let exited = fields.flag("exited", false)?;
            let given = fields.optional("step").map(|node| {
                let step = Scalar::decode(&node)?;
                let found = (0..).zip(&dropoff.steps).find(|(_, known)| **known == step);
                found.map(|(place, _)| (place, step)).ok_or_else(|| node.expected("one of `steps`"))
            });
            match (given.transpose()?, exited) {
                (Some((step, value)), true) => Part::Exited { step, value },
                (Some((step, value)), false) => Part::Place { step, value },
                (None, true) => return Err(fields.fault_at("step", "is missing, and is required")),
                (None, false) => Part::Whole,
            }
        }
    })
}

fn funnel_step(fields: &Fields<'_>, funnel: &Funnel) -> Result<Part, Fault> {
    let last = i64::try_from(funnel.steps.len()).unwrap_or(i64::MAX) - 1;
    let step = match fields.optional("step") {
        None => 0,
        Some(node) => {
            let step = node.integer(0, last)?;
            u8::try_from(step).map_err(|_| node.expected("the number of a step"))?
        }
    };
    let dropped = fields.flag("dropped", false)?;
    if dropped && i64::from(step) == last {
        return Err(fields.fault_at("dropped", "true was given; nobody drops out after the last step"));
    }
    Ok(if dropped { Part::Dropped { step } } else { Part::Reached { step } })
}

fn cell(node: &Node<'_>, retention: &Retention) -> Result<Part, Fault> {
    let items = node.items()?;
    let [row, column] = items.as_slice() else {
        return Err(node.expected("a list of two, the row and the cell in it, such as [0, 1]"));
    };
    let rows = retention.periods.unwrap_or(RETENTION_PERIODS_MAX);
    let row = count(row, 0, i64::from(rows) - 1)?;
    let columns = retention.columns.unwrap_or(rows).min(rows - row);
    Ok(Part::Cell { row, column: count(column, 0, i64::from(columns) - 1)? })
}

fn stickiness(fields: &Fields<'_>) -> Result<Part, Fault> {
    let max = i64::try_from(TREND_BUCKETS_MAX).unwrap_or(i64::MAX);
    let number = |name| fields.optional(name).map(|node| count(&node, 1, max)).transpose();
    Ok(match (number("exactly")?, number("at_least")?) {
        (None, None) => Part::Whole,
        (Some(buckets), None) => Part::Exactly { buckets },
        (None, Some(buckets)) => Part::AtLeast { buckets },
        (Some(_), Some(_)) => {
            return Err(fields.fault_at("at_least", "was given beside `exactly`; allowed is one of both"));
        }
    })
}

fn edge(node: Node<'_>) -> Result<Part, Fault> {
    let fields = node.fields()?;
    let part = Part::Edge {
        step: fields.optional("step").map(|node| count(&node, 1, 1_000_000)).transpose()?,
        from: Scalar::decode(&fields.required("from")?)?,
        to: Scalar::decode(&fields.required("to")?)?,
    };
    fields.finish()?;
    Ok(part)
}
