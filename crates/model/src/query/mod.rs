//! The query language: one definition and one parser for HTTP, packs, the command line and tests.
//!
//! [`Query::parse`] checks all that needs no app: fields, kinds, limits. [`bind`] then checks it against
//! an app's tables and fills in what the app decides; what it gives is ready to run. Either writes itself
//! back as JSON with every default filled in.

mod bind;
mod bound;
mod churn;
mod condition;
mod dropoff;
mod filter;
mod formula;
mod funnel;
mod lifecycle;
mod matcher;
mod paths;
mod preceding;
mod retention;
mod selection;
mod splits;
mod stickiness;
mod trend;
mod when;

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use serde_json::{Map, Value as Json};

pub use bind::{as_of, bind};
pub use bound::{ActorProps, Aliased, BoundMatcher, BoundQuery, EventSource, ParentColumn, ValueColumn};
pub use churn::{BgNbd, Churn, ChurnList, ChurnOrder};
pub use condition::{CohortTest, Condition, Membership, Num, Operand, Order, Probe};
pub use dropoff::{DROPOFF_STEPS_MAX, Dropoff, DropoffList, Latency, SessionRule};
pub use filter::{Filter, Op, PropScope, Scalar, Test};
pub use formula::{Formula, Operator};
pub use funnel::{
    Attribution, Exclusion, FUNNEL_EXCLUSIONS_MAX, FUNNEL_STEPS_MAX, FirstTime, Funnel, FunnelBreakdown,
    FunnelStep, FunnelView, StepOrder,
};
pub use lifecycle::Lifecycle;
pub use matcher::{Breakdown, Matcher};
pub use paths::Paths;
pub use preceding::{Preceding, Show};
pub use retention::{CellZero, Cohorts, RETENTION_PERIODS_MAX, Retention, Window};
pub use selection::{LifecycleState, Part, Selection};
pub use splits::{Split, SplitBy, SplitTest, Splits, Told};
pub use stickiness::Stickiness;
pub use trend::{Compare, Computed, Measure, Measures, TREND_BUCKETS_MAX, Trend, TrendEntity};
pub use when::{Duration, Interval, When};

use crate::{Fault, Fields, Node, TableName, WeekStart};

/// A behavioural question.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// `None`: the app's first event stream.
    pub stream: Option<TableName>,
    /// Later rows do not exist. `None`: the moment of asking.
    pub as_of: Option<When>,
    /// Inclusive. What `None` means is for the kind to say.
    pub from: Option<When>,
    /// Exclusive.
    pub to: Option<When>,
    /// An IANA name. `None`: the app's zone.
    pub tz: Option<String>,
    /// `None`: as the app says.
    pub week_start: Option<WeekStart>,
    /// Hold for every event that the query looks at.
    pub filters: Vec<Filter>,
    /// A property whose value is used in place of the actor.
    pub aggregate_by: Option<String>,
    /// Whether an answer from before may serve.
    pub cache: bool,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Retention(Retention),
    Churn(Churn),
    Trend(Trend),
    Preceding(Preceding),
    Lifecycle(Lifecycle),
    Stickiness(Stickiness),
    Paths(Paths),
    Funnel(Funnel),
    Dropoff(Dropoff),
}

/// The kinds that there are.
pub const KINDS: &[&str] = &Kind::NAMES;

impl Kind {
    const NAMES: [&str; 9] =
        ["funnel", "retention", "churn", "trend", "preceding", "lifecycle", "stickiness", "paths", "dropoff"];

    pub fn name(&self) -> &'static str {
        match self {
            Self::Retention(_) => "retention",
            Self::Churn(_) => "churn",
            Self::Trend(_) => "trend",
            Self::Preceding(_) => "preceding",
            Self::Lifecycle(_) => "lifecycle",
            Self::Stickiness(_) => "stickiness",
            Self::Paths(_) => "paths",
            Self::Funnel(_) => "funnel",
            Self::Dropoff(_) => "dropoff",
        }
    }

    fn decode(fields: &Fields<'_>) -> Result<Self, Fault> {
        let node = fields.required("kind").map_err(|missing| Fault {
            problem: format!("is missing; allowed is one of {:?}", Self::NAMES),
            ..missing
        })?;
        Ok(match node.choice(&Self::NAMES, |name| Self::NAMES.into_iter().find(|known| *known == name))? {
            "retention" => Self::Retention(Retention::decode(fields)?),
            "churn" => Self::Churn(Churn::decode(fields)?),
            "preceding" => Self::Preceding(Preceding::decode(fields)?),
            "lifecycle" => Self::Lifecycle(Lifecycle::decode(fields)?),
            "stickiness" => Self::Stickiness(Stickiness::decode(fields)?),
            "paths" => Self::Paths(Paths::decode(fields)?),
            "funnel" => Self::Funnel(Funnel::decode(fields)?),
            "dropoff" => Self::Dropoff(Dropoff::decode(fields)?),
            _ => Self::Trend(Trend::decode(fields)?),
        })
    }

    fn to_json(&self) -> Json {
        match self {
            Self::Retention(retention) => retention.to_json(),
            Self::Churn(churn) => churn.to_json(),
            Self::Trend(trend) => trend.to_json(),
            Self::Preceding(preceding) => preceding.to_json(),
            Self::Lifecycle(lifecycle) => lifecycle.to_json(),
            Self::Stickiness(stickiness) => stickiness.to_json(),
            Self::Paths(paths) => paths.to_json(),
            Self::Funnel(funnel) => funnel.to_json(),
            Self::Dropoff(dropoff) => dropoff.to_json(),
        }
    }
}

impl Query {
    /// A fault names the field's path, what was given and what is allowed.
    pub fn parse(json: &Json) -> Result<Self, Fault> {
        let fields = Node::root(json).fields()?;
        let kind = Kind::decode(&fields)?;
        let name = |name| fields.optional(name).map(|node| filter::decode_name(&node)).transpose();
        let when = |name| fields.optional(name).map(|node| When::decode(&node)).transpose();
        let query = Self {
            stream: name("stream")?.map(|name| TableName::new(&name)),
            as_of: when("as_of")?,
            from: when("from")?,
            to: when("to")?,
            tz: fields.optional("tz").map(|node| decode_zone(&node)).transpose()?,
            week_start: fields.optional("week_start").map(|node| decode_week_start(&node)).transpose()?,
            filters: Filter::decode_list(fields.optional("filters"))?,
            aggregate_by: name("aggregate_by")?,
            cache: fields.flag("cache", true)?,
            kind,
        };
        fields.finish()?;
        Ok(query)
    }

    /// The texts in it, with all names of properties among them.
    pub fn texts(&self) -> BTreeSet<String> {
        let mut texts = BTreeSet::new();
        collect_texts(&self.to_json(), &mut texts);
        texts
    }

    /// The query with every default filled in that needs no app. It parses back to the same.
    pub fn to_json(&self) -> Json {
        let mut json = Map::new();
        let mut put = |name: &str, value: Json| json.insert(name.to_owned(), value);
        let when = |when: Option<When>| when.map_or(Json::Null, |when| Json::from(when.to_string()));
        put("kind", Json::from(self.kind.name()));
        put("stream", self.stream.as_ref().map_or(Json::Null, |stream| Json::from(stream.as_str())));
        put("as_of", when(self.as_of));
        put("from", when(self.from));
        put("to", when(self.to));
        put("tz", self.tz.as_deref().map_or(Json::Null, Json::from));
        put("week_start", self.week_start.map_or(Json::Null, week_start_json));
        put("filters", Filter::list_json(&self.filters));
        put("aggregate_by", self.aggregate_by.as_deref().map_or(Json::Null, Json::from));
        put("cache", Json::from(self.cache));
        if let Json::Object(own) = self.kind.to_json() {
            json.extend(own);
        }
        Json::Object(json)
    }
}

/// Those that may be names.
fn collect_texts(json: &Json, into: &mut BTreeSet<String>) {
    match json {
        Json::String(text) if !text.is_empty() && text.len() <= filter::NAME_BYTES_MAX => {
            into.insert(text.clone());
        }
        Json::Array(items) => items.iter().for_each(|item| collect_texts(item, into)),
        Json::Object(fields) => fields.values().for_each(|value| collect_texts(value, into)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn decode_zone(node: &Node<'_>) -> Result<String, Fault> {
    let expected = || node.expected("the IANA name of a time zone, such as \"Europe/Paris\"");
    let name = node.text()?;
    let zone = TimeZone::get(name).map_err(|_| expected())?;
    // The zone's own spelling, so that the same zone is the same definition.
    zone.iana_name().map(str::to_owned).ok_or_else(expected)
}

fn decode_week_start(node: &Node<'_>) -> Result<WeekStart, Fault> {
    node.choice(&["monday", "sunday"], |name| match name {
        "monday" => Some(WeekStart::Monday),
        "sunday" => Some(WeekStart::Sunday),
        _ => None,
    })
}

fn week_start_json(week_start: WeekStart) -> Json {
    Json::from(match week_start {
        WeekStart::Monday => "monday",
        WeekStart::Sunday => "sunday",
    })
}

#[cfg(test)]
mod tests;
