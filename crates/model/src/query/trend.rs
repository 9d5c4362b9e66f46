//! `trend`: a measure of events over time.

use serde_json::{Value as Json, json};

use super::filter::decode_name;
use super::formula::{ENTITIES_MAX, Formula};
use super::matcher::{Breakdown, Matcher};
use super::when::Interval;
use crate::{Fault, Fields, Node, Unit};

pub const TREND_BUCKETS_MAX: usize = 20_000;

#[derive(Clone, Debug, PartialEq)]
pub struct Trend {
    /// Any event, where there are several.
    pub entity: Matcher,
    pub measures: Measures,
    /// The property that is measured; present where a measure needs one.
    pub prop: Option<String>,
    pub interval: Interval,
    /// Whether a bucket holds all since the first one.
    pub cumulative: bool,
    pub breakdown: Option<Breakdown>,
    pub compare: Option<Compare>,
    /// In place of `entity`: several, and what is computed from them.
    pub computed: Option<Computed>,
}

/// With what the same measures are given besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// As many buckets as there are, directly before them.
    PreviousPeriod,
}

/// A formula, and the entities that it names.
#[derive(Clone, Debug, PartialEq)]
pub struct Computed {
    pub entities: Vec<TrendEntity>,
    pub formula: Formula,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TrendEntity {
    pub matcher: Matcher,
    pub measure: Measure,
    /// Present where the measure needs one.
    pub prop: Option<String>,
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
        let entity = Matcher::decode(fields.optional("entity"))?;
        let measures = fields
            .optional("measure")
            .map_or(Ok(Measures::One(Measure::Total)), |node| Measures::decode(&node))?;
        let prop = fields.optional("prop").map(|node| decode_name(&node)).transpose()?;
        let cumulative = fields.flag("cumulative", false)?;
        let computed = Computed::decode(fields, &measures, prop.as_deref())?;
        let mut measured: Vec<Measure> = measures.as_slice().to_vec();
        if let Some(computed) = &computed {
            measured = computed.entities.iter().map(|entity| entity.measure).collect();
        } else {
            measured.iter().try_for_each(|measure| check_prop(*measure, prop.as_deref(), fields))?;
        }
        if let Some(measure) = measured.iter().find(|measure| cumulative && measure.percentile().is_some()) {
            let problem = format!("true was given; allowed is that without the measure {:?}", measure.name());
            return Err(fields.fault_at("cumulative", problem));
        }
        let interval = fields
            .optional("interval")
            .map_or(Ok(Interval::Unit(Unit::Day)), |node| Interval::decode(&node))?;
        let breakdown = fields.optional("breakdown").map(Breakdown::decode).transpose()?;
        let compare = fields.optional("compare").map_or(Ok(None), |node| Compare::decode(&node))?;
        Ok(Self { entity, measures, prop, interval, cumulative, breakdown, compare, computed })
    }

    pub(super) fn to_json(&self) -> Json {
        let mut json = json!({
            "entity": self.entity.to_json(),
            "measure": self.measures.to_json(),
            "prop": self.prop,
            "interval": self.interval.to_json(),
            "cumulative": self.cumulative,
            "breakdown": self.breakdown.as_ref().map(Breakdown::to_json),
            "compare": self.compare.map(|Compare::PreviousPeriod| Compare::NAME),
        });
        if let (Some(computed), Json::Object(json)) = (&self.computed, &mut json) {
            json.insert("entity".to_owned(), Json::Null);
            json.insert("entities".to_owned(), computed.entities.iter().map(TrendEntity::to_json).collect());
            json.insert("formula".to_owned(), Json::from(computed.formula.to_string()));
        }
        json
    }

    /// What is measured of the `entity`-th entity, where there are several; else of the only one.
    pub fn measured(&self, entity: usize) -> (&[Measure], Option<&str>) {
        match self.computed.as_ref().and_then(|computed| computed.entities.get(entity)) {
            Some(entity) => (std::slice::from_ref(&entity.measure), entity.prop.as_deref()),
            None => (self.measures.as_slice(), self.prop.as_deref()),
        }
    }
}

impl Compare {
    pub(crate) const NAME: &str = "previous_period";

    pub(crate) fn decode(node: &Node<'_>) -> Result<Option<Self>, Fault> {
        if let Some(compare) = node.json().as_bool() {
            return Ok(compare.then_some(Self::PreviousPeriod));
        }
        node.choice(&[Self::NAME], |name| (name == Self::NAME).then_some(Self::PreviousPeriod)).map(Some)
    }
}

impl Computed {
    fn decode(fields: &Fields<'_>, measures: &Measures, prop: Option<&str>) -> Result<Option<Self>, Fault> {
        let (node, formula) = match (fields.optional("entities"), fields.optional("formula")) {
            (None, None) => return Ok(None),
            (Some(node), Some(formula)) => (node, formula),
            (Some(node), None) => {
                return Err(node.fault("is there without a `formula` that computes with them"));
            }
            (None, Some(_)) => {
                return Err(fields
                    .fault_at("entities", "is missing, and `formula` needs them: a list, named A, B, …"));
            }
        };
        if let Some(entity) = fields.optional("entity") {
            return Err(entity.fault("is there beside `entities`; allowed is one of them"));
        }
        let Measures::One(measure) = measures else {
            return Err(fields.fault_at("measure", "a list was given; allowed with `formula` is one measure"));
        };
        let items = node.items()?;
        if items.is_empty() || items.len() > ENTITIES_MAX {
            let given = items.len();
            return Err(node.fault(format_args!("{given} were given; allowed are 1 to {ENTITIES_MAX}")));
        }
        let entities = items.into_iter().map(|item| TrendEntity::decode(item, *measure, prop));
        let entities = entities.collect::<Result<Vec<_>, _>>()?;
        let formula = Formula::decode(&formula, entities.len())?;
        if let Some(unused) = (0..entities.len()).find(|entity| !formula.uses(*entity)) {
            let problem =
                format!("{:?} was given; it does not use {}", formula.to_string(), Formula::name_of(unused));
            return Err(fields.fault_at("formula", problem));
        }
        Ok(Some(Self { entities, formula }))
    }
}

impl TrendEntity {
    fn decode(node: Node<'_>, measure: Measure, prop: Option<&str>) -> Result<Self, Fault> {
        let fields = node.fields()?;
        let matcher = Matcher::decode_among(&fields)?;
        let measure = fields.optional("measure").map_or(Ok(measure), |node| Measure::decode(&node))?;
        let own = fields.optional("prop").map(|node| decode_name(&node)).transpose()?;
        let prop = own.or_else(|| prop.map(str::to_owned));
        check_prop(measure, prop.as_deref(), &fields)?;
        fields.finish()?;
        Ok(Self { matcher, measure, prop })
    }

    fn to_json(&self) -> Json {
        let mut json = self.matcher.fields_json();
        json.insert("measure".to_owned(), Json::from(self.measure.name()));
        json.insert("prop".to_owned(), self.prop.as_deref().map_or(Json::Null, Json::from));
        Json::Object(json)
    }
}

fn check_prop(measure: Measure, prop: Option<&str>, fields: &Fields<'_>) -> Result<(), Fault> {
    let needs_prop = measure.is_numeric() || measure == Measure::UniqueProp;
    if needs_prop && prop.is_none() {
        let problem = format!("is missing, and the measure {:?} needs one", measure.name());
        return Err(fields.fault_at("prop", problem));
    }
    Ok(())
}
