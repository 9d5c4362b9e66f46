//! From a bound query to its answer: load, fold, and make sense of the counts.

mod activity;
mod came_after;
mod churn;
mod dropoff;
mod funnel;
mod history;
mod preceding;
mod properties;
mod retention;
mod select;
mod standing;
mod trend;

use std::sync::Arc;

use ebbtide_model::query::{BoundQuery, EventSource, Interval, Kind};
use ebbtide_model::{ColumnType, Instant, Scope, TenantId, Tenants, Value};
use ebbtide_store::Snapshot;
use hashbrown::HashSet;
use xxhash_rust::xxh3::xxh3_64;

pub(crate) use self::dropoff::Reckoned;
pub use self::select::select;
pub(crate) use self::select::{Depth, select_within};
pub(crate) use self::standing::{Stood, standing_dropoff};
use super::columns::Arrivals;
use super::drive::{Loaded, Loading};
use super::joined::Joined;
use super::key::{Group, OwnedKey};
use super::load::{Actors, Groups, Times, Values};
use super::membership::Asked;
use super::span::Span;
use crate::answer::{ActorId, Answer, Bucket, Meta, Outcome};
use crate::{EngineError, Interrupt};

/// Answers a query from the rows that the scope sees, as if it were `as_of`. The same rows and the same
/// question give the same answer, to the byte. Where the interrupt says so it is given up, soon and with
/// an error.
pub fn ask(
    snapshot: &Snapshot,
    scope: &Scope,
    query: &BoundQuery,
    as_of: Instant,
    interrupt: &dyn Interrupt,
) -> Result<Answer, EngineError> {
    until_spines_hold(|| {
        let asked = Asked { snapshot, scope, as_of, interrupt, depth: Depth::default() };
        Asking::within(&asked, query)?.answer()
    })
}

/// A spine that is found damaged is read no more, so each try has fewer of them.
pub(crate) fn until_spines_hold<R>(
    mut attempt: impl FnMut() -> Result<R, EngineError>,
) -> Result<R, EngineError> {
    loop {
        match attempt() {
            Err(EngineError::SpineLost) => {}
            told => return told,
        }
    }
}

pub(crate) struct Asking<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) scope: &'a Scope,
    pub(crate) query: &'a BoundQuery,
    pub(crate) as_of: Instant,
    interrupt: &'a dyn Interrupt,
    joined: Arc<Joined>,
    warnings: Vec<String>,
}

impl<'a> Asking<'a> {
    pub(crate) fn within(asked: &Asked<'a>, query: &'a BoundQuery) -> Result<Self, EngineError> {
        let Asked { snapshot, scope, as_of, interrupt, .. } = *asked;
        let joined = Arc::new(Joined::load(asked, query)?);
        Ok(Self { snapshot, scope, query, as_of, interrupt, joined, warnings: Vec::new() })
    }

    /// The same rows, asked another question of the same actors.
    pub(crate) fn again<'b>(&'b self, query: &'b BoundQuery) -> Asking<'b> {
        let Self { snapshot, scope, as_of, interrupt, .. } = *self;
        Asking { snapshot, scope, query, as_of, interrupt, joined: self.joined.clone(), warnings: Vec::new() }
    }

    pub(crate) fn answer(&mut self) -> Result<Answer, EngineError> {
        let query = self.query;
        let outcome = match &query.query.kind {
            Kind::Retention(retention) => Outcome::Retention(self.retention(retention)?),
            Kind::Churn(churn) => Outcome::Churn(self.churn(churn)?),
            Kind::Trend(trend) => Outcome::Trend(self.trend(trend)?),
            Kind::Funnel(funnel) => Outcome::Funnel(self.funnel(funnel)?),
            Kind::Lifecycle(lifecycle) => Outcome::Lifecycle(self.lifecycle(lifecycle)?),
            Kind::Stickiness(stickiness) => Outcome::Stickiness(self.stickiness(stickiness)?),
            Kind::Paths(paths) => Outcome::Paths(self.paths(paths)?),
            Kind::Dropoff(dropoff) => Outcome::Dropoff(self.dropoff(dropoff)?),
            Kind::Preceding(preceding) => Outcome::Preceding(self.preceding(preceding)?),
        };
        self.told(outcome)
    }

    /// The answer, with what it rests on.
    fn told(&mut self, outcome: Outcome) -> Result<Answer, EngineError> {
        let query = self.query;
        let definition = format!("{:016x}", xxh3_64(query.definition_json().to_string().as_bytes()));
        let meta = Meta {
            as_of: self.as_of,
            watermark: self.snapshot.watermark(self.scope, query.tables())?,
            definition,
            complete: self.warnings.is_empty(),
            warnings: std::mem::take(&mut self.warnings)
                .into_iter()
                .chain(properties::warnings(self.snapshot, self.scope, query)?)
                .collect(),
        };
        Ok(Answer { outcome, query: query.to_json(), meta })
    }

    fn load(&self, times: &Times, actors: Actors) -> Result<Loaded<'a>, EngineError> {
        self.load_of(&self.query.sources, times, actors)
    }

    /// The events of some of the query's sources.
    fn load_of(
        &self,
        sources: &[EventSource],
        times: &Times,
        actors: Actors,
    ) -> Result<Loaded<'a>, EngineError> {
        self.loading(times, actors, &HashSet::new()).load(sources)
    }

    /// The events of the query, their values not ranked.
    fn load_unranked(&self, times: &Times, actors: Actors) -> Result<Loaded<'a>, EngineError> {
        let none = HashSet::new();
        let loading = Loading { values: Values::Unranked, ..self.loading(times, actors, &none) };
        loading.load(&self.query.sources)
    }

    /// The same, with the keys of events at the times where they tie.
    fn load_with_keys(
        &self,
        times: &Times,
        actors: Actors,
        ties: &HashSet<i64>,
    ) -> Result<Loaded<'a>, EngineError> {
        self.loading(times, actors, ties).load(&self.query.sources)
    }

    pub(crate) fn loading<'l>(
        &'l self,
        times: &'l Times,
        actors: Actors,
        ties: &'l HashSet<i64>,
    ) -> Loading<'l, 'a> {
        Loading {
            snapshot: self.snapshot,
            scope: self.scope,
            joined: &self.joined,
            times,
            actors,
            ties,
            values: Values::Ranked,
            groups: Groups::Met,
            arrivals: Arrivals::Unread,
            interrupt: self.interrupt,
        }
    }

    /// The values of a group, by the properties that the answer is split by.
    fn group_values(&self, group: &Group) -> Vec<Value> {
        let value = |(index, key): (usize, &OwnedKey)| {
            let of_source = |source: &EventSource| {
                self.column_type(&source.table, source.breakdown.get(index).copied().flatten()?)
            };
            let column_type = self.query.sources.iter().find_map(of_source);
            column_type.map_or(Value::Null, |column_type| key.value(column_type))
        };
        group.iter().enumerate().map(value).collect()
    }

    /// Whether a group says nothing: by the types of its columns, for an empty text of several is the JSON of one.
    pub(super) fn is_empty(&self, group: &Group) -> bool {
        let is_empty = |value: &Value| match value {
            Value::Text(text) => text.is_empty(),
            Value::Json(json) => &**json == r#""""#,
            Value::Null => true,
            Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Decimal(_)
            | Value::Timestamp(_)
            | Value::Date(_) => false,
        };
        self.group_values(group).iter().all(is_empty)
    }

    /// The value of a group by one property.
    fn group_value(&self, group: &Group) -> Value {
        self.group_values(group).pop().unwrap_or(Value::Null)
    }

    /// The type of the numbers that are measured of a source.
    fn number_type(&self, source: usize) -> Option<ColumnType> {
        let source = self.query.sources.get(source)?;
        self.column_type(&source.table, source.number?)
    }

    /// The type of the values that are told apart.
    fn value_type(&self) -> Option<ColumnType> {
        self.query.sources.iter().find_map(|source| self.column_type(&source.table, source.value?.column))
    }

    pub(crate) fn column_type(&self, table: &ebbtide_model::TableName, column: usize) -> Option<ColumnType> {
        let table = self.snapshot.app().table(table)?;
        // Behind the table's own columns are the properties of its actors.
        Some(table.columns.get(column).map_or(ColumnType::Mixed, |column| column.column_type))
    }

    fn named_buckets(&self, span: &Span, interval: Interval) -> Vec<Bucket> {
        let bucket = |(start, complete): (&Option<Instant>, bool)| Bucket {
            start: *start,
            label: match (interval, start) {
                (Interval::Unit(unit), Some(start)) => self.query.calendar.label(unit, *start),
                (Interval::All, _) | (_, None) => "all".to_owned(),
            },
            complete,
        };
        span.starts.iter().zip(span.complete(self.as_of)).map(bucket).collect()
    }

    fn actor_id(&self, tenant: &str, actor: &OwnedKey) -> ActorId {
        let tenant = match self.scope.tenants() {
            Tenants::One(_) => None,
            Tenants::All => Some(TenantId::new(tenant)),
        };
        let actor = self.query.actor_type.map_or(Value::Null, |column_type| actor.value(column_type));
        ActorId { tenant, actor }
    }
}
