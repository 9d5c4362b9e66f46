//! `funnel`: how many actors do one thing after another, how far they come, and how long it takes them.

use serde_json::{Map, Value as Json, json};

use super::filter::{PropScope, decode_name};
use super::matcher::{GROUPS_MAX, Matcher, count};
use super::when::{Duration, decode_unit, unit_json};
use crate::{Fault, Fields, Node, Unit};

pub const FUNNEL_STEPS_MAX: usize = 20;
pub const FUNNEL_EXCLUSIONS_MAX: usize = 20;
const PROPS_MAX: usize = 5;

#[derive(Clone, Debug, PartialEq)]
pub struct Funnel {
    /// One at least.
    pub steps: Vec<FunnelStep>,
    pub order: StepOrder,
    /// A later step counts up to so long after the first one.
    pub window: Duration,
    pub exclusions: Vec<Exclusion>,
    pub breakdown: Option<FunnelBreakdown>,
    /// The mean time between these two steps is asked for, too; the first is the lesser.
    pub time_between: Option<(u8, u8)>,
    pub view: FunnelView,
    /// Whether actors with any event are counted, too.
    pub count_all_actors: bool,
    /// Whether the actors of each step are listed.
    pub list_actors: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FunnelStep {
    pub matcher: Matcher,
    pub first_time: Option<FirstTime>,
}

/// Which of an actor's events can serve a step at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstTime {
    /// Only the first of that name in all history, if it passes.
    Ever,
    /// Only the first in all history that passes.
    Matching,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepOrder {
    /// One after another, whatever comes between.
    Ordered,
    /// Each is the very next event.
    Strict,
    /// In whatever order.
    Unordered,
}

/// An event that voids an attempt when it comes after one step and before another.
#[derive(Clone, Debug, PartialEq)]
pub struct Exclusion {
    pub matcher: Matcher,
    pub after: u8,
    pub before: u8,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FunnelBreakdown {
    /// One at least; a group is a value of each.
    pub props: Vec<String>,
    pub scope: PropScope,
    pub attribution: Attribution,
    /// Only the groups that most actors enter.
    pub limit: Option<u32>,
}

/// Which of an actor's events says what group it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribution {
    /// The first that matches a step and has a value.
    FirstTouch,
    LastTouch,
    /// The one that served this step.
    Step(u8),
    /// Each: the funnel is run on every value's events apart.
    AllEvents,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunnelView {
    Steps,
    /// Over time, by when attempts started: who reaches one step, and who the other.
    Trends {
        interval: Unit,
        from_step: u8,
        to_step: u8,
    },
}

impl Funnel {
    pub(super) fn decode(fields: &Fields<'_>) -> Result<Self, Fault> {
        let node = fields.required("steps")?;
        let items = node.items()?;
        if items.is_empty() || items.len() > FUNNEL_STEPS_MAX {
            let given = items.len();
            return Err(node.fault(format_args!("{given} were given; allowed are 1 to {FUNNEL_STEPS_MAX}")));
        }
        let steps = items.into_iter().map(FunnelStep::decode).collect::<Result<Vec<_>, _>>()?;
        let last = u8::try_from(steps.len() - 1).unwrap_or(u8::MAX);
        let order = fields.optional("order").map_or(Ok(StepOrder::Ordered), |node| {
            node.choice(&["ordered", "strict", "unordered"], StepOrder::from_name)
        })?;
        let window =
            fields.optional("window").map_or(Ok(Duration::FOURTEEN_DAYS), |node| Duration::decode(&node))?;
        let exclusions = match fields.optional("exclusions") {
            None => Vec::new(),
            Some(node) => Exclusion::decode_list(&node, order, last)?,
        };
        let breakdown = fields.optional("breakdown").map(|node| FunnelBreakdown::decode(node, last));
        let time_between = fields.optional("time_between").map(|node| decode_between(&node, last));
        Ok(Self {
            steps,
            order,
            window,
            exclusions,
            breakdown: breakdown.transpose()?,
            time_between: time_between.transpose()?,
            view: FunnelView::decode(fields, last)?,
            count_all_actors: fields.flag("count_all_actors", false)?,
            list_actors: fields.flag("list_actors", false)?,
        })
    }

    pub(super) fn to_json(&self) -> Json {
        let mut json = Map::new();
        let mut put = |name: &str, value: Json| json.insert(name.to_owned(), value);
        put("steps", self.steps.iter().map(FunnelStep::to_json).collect());
        put("order", Json::from(self.order.name()));
        put("window", self.window.to_json());
        put("exclusions", self.exclusions.iter().map(Exclusion::to_json).collect());
        put("breakdown", self.breakdown.as_ref().map_or(Json::Null, FunnelBreakdown::to_json));
        put("time_between", self.time_between.map_or(Json::Null, |(from, to)| json!([from, to])));
        match self.view {
            FunnelView::Steps => {
                put("viz", Json::from("steps"));
            }
            FunnelView::Trends { interval, from_step, to_step } => {
                put("viz", Json::from("trends"));
                put("interval", unit_json(interval));
                put("from_step", Json::from(from_step));
                put("to_step", Json::from(to_step));
            }
        }
        put("count_all_actors", Json::from(self.count_all_actors));
        put("list_actors", Json::from(self.list_actors));
        Json::Object(json)
    }
}

impl FunnelStep {
    fn decode(node: Node<'_>) -> Result<Self, Fault> {
        let fields = node.fields()?;
        let matcher = Matcher::decode_among(&fields)?;
        let first_time = fields.optional("first_time").map(|node| {
            node.choice(&["ever", "matching"], |name| match name {
                "ever" => Some(FirstTime::Ever),
                "matching" => Some(FirstTime::Matching),
                _ => None,
            })
        });
        fields.finish()?;
        Ok(Self { matcher, first_time: first_time.transpose()? })
    }

    fn to_json(&self) -> Json {
        let mut json = self.matcher.fields_json();
        let first_time = self.first_time.map(|first_time| match first_time {
            FirstTime::Ever => "ever",
            FirstTime::Matching => "matching",
        });
        json.insert("first_time".to_owned(), Json::from(first_time));
        Json::Object(json)
    }
}

impl StepOrder {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "ordered" => Some(Self::Ordered),
            "strict" => Some(Self::Strict),
            "unordered" => Some(Self::Unordered),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ordered => "ordered",
            Self::Strict => "strict",
            Self::Unordered => "unordered",
        }
    }
}

/// The number of a step, from 0.
fn step(node: &Node<'_>, first: u8, last: u8) -> Result<u8, Fault> {
    let step = node.integer(i64::from(first), i64::from(last))?;
    u8::try_from(step).map_err(|_| node.expected("the number of a step"))
}

impl Exclusion {
    fn decode_list(node: &Node<'_>, order: StepOrder, last: u8) -> Result<Vec<Self>, Fault> {
        let items = node.items()?;
        if items.len() > FUNNEL_EXCLUSIONS_MAX {
            let given = items.len();
            return Err(
                node.fault(format_args!("{given} were given; allowed are up to {FUNNEL_EXCLUSIONS_MAX}"))
            );
        }
        items.into_iter().map(|item| Self::decode(item, order, last)).collect()
    }

    fn decode(node: Node<'_>, order: StepOrder, last: u8) -> Result<Self, Fault> {
        if last == 0 {
            return Err(node.fault("is there, and one step has nothing between its steps"));
        }
        let fields = node.fields()?;
        // Its fields may also stand in one of their own.
        let matcher = match fields.optional("matcher") {
            Some(node) => Matcher::decode(Some(node))?,
            None => Matcher::decode_among(&fields)?,
        };
        let after = fields.optional("after").map_or(Ok(0), |node| step(&node, 0, last - 1))?;
        let before = fields.optional("before").map_or(Ok(last), |node| step(&node, after + 1, last))?;
        if order == StepOrder::Unordered && (after, before) != (0, last) {
            return Err(fields.fault(format_args!(
                "after {after} and before {before} was given; allowed in an unordered funnel is the full span, after \
                 0 and before {last}"
            )));
        }
        fields.finish()?;
        Ok(Self { matcher, after, before })
    }

    fn to_json(&self) -> Json {
        let mut json = self.matcher.fields_json();
        json.insert("after".to_owned(), Json::from(self.after));
        json.insert("before".to_owned(), Json::from(self.before));
        Json::Object(json)
    }
}

impl FunnelBreakdown {
    fn decode(node: Node<'_>, last: u8) -> Result<Self, Fault> {
        let fields = node.fields()?;
        let props = fields.required("props")?;
        let names = props.items()?.iter().map(decode_name).collect::<Result<Vec<_>, _>>()?;
        let repeated = names.iter().enumerate().any(|(index, name)| names[..index].contains(name));
        if names.is_empty() || names.len() > PROPS_MAX || repeated {
            return Err(props.expected(format_args!("a list of 1 to {PROPS_MAX} different properties")));
        }
        let attribution = fields
            .optional("attribution")
            .map_or(Ok(Attribution::FirstTouch), |node| Attribution::decode(node, last))?;
        let limit = fields.optional("limit").map(|node| count(&node, 1, GROUPS_MAX)).transpose()?;
        let scope = PropScope::decode(fields.optional("scope"))?;
        fields.finish()?;
        Ok(Self { props: names, scope, attribution, limit })
    }

    fn to_json(&self) -> Json {
        let attribution = match self.attribution {
            Attribution::FirstTouch => json!("first_touch"),
            Attribution::LastTouch => json!("last_touch"),
            Attribution::AllEvents => json!("all_events"),
            Attribution::Step(step) => json!({"step": step}),
        };
        json!({
            "props": self.props, "scope": self.scope.to_json(), "attribution": attribution, "limit": self.limit,
        })
    }
}

impl Attribution {
    fn decode(node: Node<'_>, last: u8) -> Result<Self, Fault> {
        if node.json().is_object() {
            let fields = node.fields()?;
            let step = step(&fields.required("step")?, 0, last)?;
            fields.finish()?;
            return Ok(Self::Step(step));
        }
        let names = ["first_touch", "last_touch", "all_events"];
        let from_name = |name: &str| match name {
            "first_touch" => Some(Self::FirstTouch),
            "last_touch" => Some(Self::LastTouch),
            "all_events" => Some(Self::AllEvents),
            _ => None,
        };
        node.choice(&names, from_name)
    }
}

fn decode_between(node: &Node<'_>, last: u8) -> Result<(u8, u8), Fault> {
    let items = node.items()?;
    let [from, to] = items.as_slice() else {
        return Err(node.expected("a list of two steps, such as [0, 1]"));
    };
    if last == 0 {
        return Err(node.fault("is there, and one step has nothing between its steps"));
    }
    let from = step(from, 0, last - 1)?;
    Ok((from, step(to, from + 1, last)?))
}

impl FunnelView {
    fn decode(fields: &Fields<'_>, last: u8) -> Result<Self, Fault> {
        let trends = fields.optional("viz").map_or(Ok(false), |node| {
            node.choice(&["steps", "trends"], |name| match name {
                "steps" => Some(false),
                "trends" => Some(true),
                _ => None,
            })
        })?;
        let interval = fields.optional("interval").map(|node| decode_unit(&node)).transpose()?;
        let from_step = fields.optional("from_step").map_or(Ok(0), |node| step(&node, 0, last))?;
        let to_step = fields.optional("to_step").map_or(Ok(last), |node| step(&node, from_step, last))?;
        Ok(if trends {
            Self::Trends { interval: interval.unwrap_or(Unit::Day), from_step, to_step }
        } else {
            Self::Steps
        })
    }
}
