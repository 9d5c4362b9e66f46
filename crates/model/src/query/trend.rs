//! `trend`: a measure of events over time.

use serde_json::{Value as Json, json};

use super::filter::decode_name;
use super::matcher::{Breakdown, Matcher};
use super::when::Interval;
use crate::{Fault, Fields, Node, Unit};

pub const TREND_BUCKETS_MAX: usize = 20_000;

#[derive(Clone, Debug, PartialEq)]
pub struct Trend {
    pub entity: Matcher,
    pub measures: Measures,
    /// The property that is measured; present where a measure needs one.
    pub prop: Option<String>,
    pub interval: Interval,
    /// Whether a bucket holds all since the first one.
    pub cumulative: bool,
    pub breakdown: Option<Breakdown>,
}

/// One measure, whose data is a list; or a list of them, whose data is an object by measure.
#[derive(Clone, Debug, PartialEq)]
pub enum Measures {
    One(Measure),
    Many(Vec<Measure>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Events.
    Total,
    /// Distinct actors.
    Unique,
    /// Distinct values of the property.
    UniqueProp,
    Sum,
    Avg,
    Min,
    Max,
    Median,
    P90,
    P95,
    P99,
}

impl Measure {
    const ALL: [(&str, Self); 11] = [
        ("total", Self::Total),
        ("unique", Self::Unique),
        ("unique_prop", Self::UniqueProp),
        ("sum", Self::Sum),
        ("avg", Self::Avg),
        ("min", Self::Min),
        ("max", Self::Max),
        ("median", Self::Median),
        ("p90", Self::P90),
        ("p95", Self::P95),
        ("p99", Self::P99),
    ];

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, measure)| *measure)
    }

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, measure)| *measure == self).map_or("", |(name, _)| name)
    }

    /// Which percentile this is, if one.
    pub fn percentile(self) -> Option<u32> {
        match self {
            Self::Median => Some(50),
            Self::P90 => Some(90),
            Self::P95 => Some(95),
            Self::P99 => Some(99),
            Self::Total | Self::Unique | Self::UniqueProp | Self::Sum | Self::Avg | Self::Min | Self::Max => {
                None
            }
        }
    }

    /// Whether it computes with the property's numbers.
    pub fn is_numeric(self) -> bool {
        !matches!(self, Self::Total | Self::Unique | Self::UniqueProp)
    }

    fn decode(node: &Node<'_>) -> Result<Self, Fault> {
        node.choice(&Self::ALL.map(|(name, _)| name), Self::from_name)
    }
}

impl Measures {
    pub fn as_slice(&self) -> &[Measure] {
        match self {
            Self::One(measure) => std::slice::from_ref(measure),
            Self::Many(measures) => measures,
        }
    }

    fn decode(node: &Node<'_>) -> Result<Self, Fault> {
        if !node.json().is_array() {
            return Measure::decode(node).map(Self::One);
        }
        let measures = node.items()?.iter().map(Measure::decode).collect::<Result<Vec<_>, _>>()?;
        let repeated =
            measures.iter().enumerate().any(|(index, measure)| measures[..index].contains(measure));
        if measures.is_empty() || repeated {
            return Err(node.expected("a list of different measures, one at least"));
        }
        Ok(Self::Many(measures))
    }

    fn to_json(&self) -> Json {
        match self {
            Self::One(measure) => Json::from(measure.name()),
            Self::Many(measures) => measures.iter().map(|measure| measure.name()).collect(),
        }
    }
}

impl Trend {
    pub(super) fn decode(fields: &Fields<'_>) -> Result<Self, Fault> {
        for later in ["compare", "formula"] {
            if let Some(node) = fields.optional(later) {
                return Err(node.fault("is not available yet"));
            }
        }
        let entity = Matcher::decode(fields.optional("entity"))?;
        let measures = fields
            .optional("measure")
            .map_or(Ok(Measures::One(Measure::Total)), |node| Measures::decode(&node))?;
        let prop = fields.optional("prop").map(|node| decode_name(&node)).transpose()?;
        let cumulative = fields.flag("cumulative", false)?;
        for measure in measures.as_slice() {
            let needs_prop = measure.is_numeric() || *measure == Measure::UniqueProp;
            if needs_prop && prop.is_none() {
                let problem = format!("is missing, and the measure {:?} needs one", measure.name());
                return Err(fields.fault_at("prop", problem));
            }
            if cumulative && measure.percentile().is_some() {
                let problem =
                    format!("true was given; allowed is that without the measure {:?}", measure.name());
                return Err(fields.fault_at("cumulative", problem));
            }
        }
        let interval = fields
            .optional("interval")
            .map_or(Ok(Interval::Unit(Unit::Day)), |node| Interval::decode(&node))?;
        let breakdown = fields.optional("breakdown").map(Breakdown::decode).transpose()?;
        Ok(Self { entity, measures, prop, interval, cumulative, breakdown })
    }

    pub(super) fn to_json(&self) -> Json {
        json!({
            "entity": self.entity.to_json(),
            "measure": self.measures.to_json(),
            "prop": self.prop,
            "interval": self.interval.to_json(),
            "cumulative": self.cumulative,
            "breakdown": self.breakdown.as_ref().map(Breakdown::to_json),
        })
    }
}
