//! What a behavioural query gives: typed results that keep their fractions exact until someone says how
//! to round, and their JSON form.

mod activity;
mod churn;
mod dropoff;
mod funnel;
mod preceding;
mod relation;
mod retention;
mod trend;

use ebbtide_model::query::BoundQuery;
use ebbtide_model::{Instant, TenantId, Value};
use serde_json::{Map, Value as Json, json};

pub use activity::{Edge, LifecycleAnswer, LifecycleBucket, PathsAnswer, StatusMembers, StickinessAnswer};
pub use churn::{ChurnActor, ChurnAnswer, ChurnModel};
pub use dropoff::{DropoffAnswer, DropoffLatency, DropoffSession, DropoffSplit, DropoffStep, Ending};
pub use funnel::{FunnelAnswer, FunnelCounts, FunnelGroup, FunnelSeries, FunnelStepCount};
pub use preceding::{ActorValue, GroupValue, PrecedingAnswer, ValueCount};
pub use retention::{CohortCell, CohortGroup, CohortRow, Cohorts, RetentionAnswer};
pub use trend::{Quantity, Series, TrendAnswer, TrendCompare, TrendGroup};

/// A result, what was asked, and what it rests on.
#[derive(Clone, Debug)]
pub struct Answer {
    pub outcome: Outcome,
    /// The query with every default filled in.
    pub query: Json,
    pub meta: Meta,
}

#[derive(Clone, Debug)]
pub enum Outcome {
    Retention(RetentionAnswer),
    Churn(ChurnAnswer),
    Trend(TrendAnswer),
    Preceding(PrecedingAnswer),
    Lifecycle(LifecycleAnswer),
    Stickiness(StickinessAnswer),
    Paths(PathsAnswer),
    Funnel(FunnelAnswer),
    Dropoff(DropoffAnswer),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    pub as_of: Instant,
    /// The arrival number of the last change, within the scope, of a table that was read.
    pub watermark: u64,
    /// A hash of the query's meaning: the same for the same question at another `as_of`.
    pub definition: String,
    /// Whether nothing was cut.
    pub complete: bool,
    pub warnings: Vec<String>,
}

/// A stretch of time that something is counted in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The calendar period's start; `None` where the bucket is all of history.
    pub start: Option<Instant>,
    /// The period's name: `2026-06` for a month; `all`.
    pub label: String,
    /// Whether it has ended.
    pub complete: bool,
}

/// An actor; over all tenants of an app, of which one.
#[derive(Clone, Debug, PartialEq)]
pub struct ActorId {
    pub tenant: Option<TenantId>,
    pub actor: Value,
}

impl Answer {
    /// `{"result", "query", "meta"}`.
    pub fn to_json(&self) -> Json {
        json!({"result": self.result(), "query": self.query, "meta": self.meta.to_json()})
    }

    /// Until when the answer to this query stays as it is; see [`BoundQuery::changes_at`].
    pub fn changes_at(&self, query: &BoundQuery) -> Instant {
        let by_calendar = query.changes_at(self.meta.as_of);
        match &self.outcome {
            Outcome::Dropoff(dropoff) => dropoff.idle_at.map_or(by_calendar, |idle| idle.min(by_calendar)),
            Outcome::Retention(_)
            | Outcome::Churn(_)
            | Outcome::Trend(_)
            | Outcome::Preceding(_)
            | Outcome::Lifecycle(_)
            | Outcome::Stickiness(_)
            | Outcome::Paths(_)
            | Outcome::Funnel(_) => by_calendar,
        }
    }

    pub fn result(&self) -> Json {
        match &self.outcome {
            Outcome::Retention(retention) => retention.to_json(),
            Outcome::Churn(churn) => churn.to_json(),
            Outcome::Trend(trend) => trend.to_json(),
            Outcome::Preceding(preceding) => preceding.to_json(),
            Outcome::Lifecycle(lifecycle) => lifecycle.to_json(),
            Outcome::Stickiness(stickiness) => stickiness.to_json(),
            Outcome::Paths(paths) => paths.to_json(),
            Outcome::Funnel(funnel) => funnel.to_json(),
            Outcome::Dropoff(dropoff) => dropoff.to_json(),
        }
    }
}

impl Meta {
    pub fn to_json(&self) -> Json {
        json!({
            "as_of": self.as_of.to_string(),
            "watermark": self.watermark,
            "definition": self.definition,
            "complete": self.complete,
            "warnings": self.warnings,
        })
    }
}

impl ActorId {
    /// The actor; over all tenants `{"tenant", "actor"}`.
    pub fn to_json(&self) -> Json {
        match &self.tenant {
            None => self.actor.to_json(),
            Some(tenant) => json!({"tenant": tenant.as_str(), "actor": self.actor.to_json()}),
        }
    }
}

fn buckets_json<'b>(buckets: impl Iterator<Item = &'b Bucket> + Clone) -> Map<String, Json> {
    let start = |bucket: &Bucket| bucket.start.map_or(Json::Null, |start| Json::from(start.to_string()));
    let mut json = Map::new();
    json.insert("starts".to_owned(), buckets.clone().map(start).collect());
    json.insert("complete".to_owned(), buckets.map(|bucket| bucket.complete).collect());
    json
}
