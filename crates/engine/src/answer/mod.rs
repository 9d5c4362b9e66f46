//! What a behavioural query gives: typed results that keep their fractions exact until someone says how
//! to round, and their JSON form.

mod churn;
mod preceding;
mod relation;
mod retention;
mod trend;

use ebbtide_model::{Instant, TenantId, Value};
use serde_json::{Value as Json, json};

pub use churn::{ChurnActor, ChurnAnswer};
pub use preceding::{ActorValue, PrecedingAnswer, ValueCount};
pub use retention::{CohortCell, CohortGroup, CohortRow, Cohorts, RetentionAnswer};
pub use trend::{Quantity, Series, TrendAnswer, TrendBucket, TrendCompare, TrendGroup};

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

    pub fn result(&self) -> Json {
        match &self.outcome {
            Outcome::Retention(retention) => retention.to_json(),
            Outcome::Churn(churn) => churn.to_json(),
            Outcome::Trend(trend) => trend.to_json(),
            Outcome::Preceding(preceding) => preceding.to_json(),
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
