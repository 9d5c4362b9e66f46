//! Why an actor is counted as it is: the query asked of its events alone, and each of these events with
//! what it matched and the rule that decided what became of it.

mod elsewhere;
mod funnel;
mod places;
mod record;
mod retention;
mod words;

use ebbtide_model::query::{BoundQuery, Churn, Dropoff, DropoffList, Kind, Scalar};
use ebbtide_model::{Fault, Instant, Language, Node, Scope, TenantId, Tenants};
use ebbtide_store::Snapshot;
use serde_json::{Map, Value as Json, json};

pub use self::elsewhere::Elsewhere;
use self::record::Recorded;
use self::words::COUNTED;
pub use self::words::Rule;
use super::ask::{Asking, Depth, until_spines_hold};
use super::membership::Asked;
use crate::answer::{Answer, Outcome};
use crate::{EngineError, Interrupt};

/// Events that an explanation lists, at most.
pub const EXPLAINED_EVENTS_MAX: usize = 1_000;

/// Whose events are explained: over all tenants, of which one.
#[derive(Clone, Debug, PartialEq)]
pub struct ExplainedActor {
    pub tenant: Option<TenantId>,
    pub actor: Scalar,
}

impl ExplainedActor {
    /// A value, or `{"tenant", "actor"}`.
    pub fn decode(node: Node<'_>) -> Result<Self, Fault> {
        if !node.json().is_object() {
            return Ok(Self { tenant: None, actor: Scalar::decode(&node)? });
        }
        let fields = node.fields()?;
        let tenant = TenantId::new(fields.required("tenant")?.text()?);
        let actor = Scalar::decode(&fields.required("actor")?)?;
        fields.finish()?;
        Ok(Self { tenant: Some(tenant), actor })
    }
}

/// One event of the actor.
#[derive(Clone, Debug)]
pub struct ExplainedEvent {
    pub time: Instant,
    pub table: String,
    pub event: Json,
    /// The matchers that it satisfies, by their paths in the query.
    pub matched: Vec<String>,
    /// The step, cells or bucket that it counts in.
    pub counts_in: Map<String, Json>,
    pub rule: Rule,
}

/// Why an actor is counted as it is.
#[derive(Clone, Debug)]
pub struct Explanation {
    pub actor: Json,
    /// The query asked of the actor's events alone: over all actors these add up to the answer.
    pub answer: Answer,
    pub rule: Rule,
    /// In order of time, the first of them where there are too many.
    pub events: Vec<ExplainedEvent>,
    pub events_total: usize,
    pub elsewhere: Vec<Elsewhere>,
}

impl Explanation {
    /// With its sentences in that language.
    pub fn to_json(&self, language: Language) -> Json {
        let event = |event: &ExplainedEvent| {
            let mut json = Map::new();
            json.insert("time".to_owned(), Json::from(event.time.to_string()));
            json.insert("table".to_owned(), Json::from(event.table.as_str()));
            json.insert("event".to_owned(), event.event.clone());
            json.insert("matched".to_owned(), Json::from(event.matched.clone()));
            json.extend(event.counts_in.clone());
            json.insert("rule".to_owned(), event.rule.to_json(language));
            Json::Object(json)
        };
        json!({
            "actor": self.actor,
            "counted": self.answer.result(),
            "rule": self.rule.to_json(language),
            "events": self.events.iter().map(event).collect::<Json>(),
            "events_total": self.events_total,
            "elsewhere": self.elsewhere.iter().map(|other| other.to_json(language)).collect::<Json>(),
            "query": self.answer.query,
            "meta": self.answer.meta.to_json(),
        })
    }
}

/// Explains a query about one actor, as of when it would be answered.
pub fn explain(
    snapshot: &Snapshot,
    scope: &Scope,
    query: &BoundQuery,
    actor: &ExplainedActor,
    as_of: Instant,
    interrupt: &dyn Interrupt,
) -> Result<Explanation, EngineError> {
    until_spines_hold(|| tell(snapshot, scope, query, actor, as_of, interrupt))
}

fn tell(
    snapshot: &Snapshot,
    scope: &Scope,
    query: &BoundQuery,
    actor: &ExplainedActor,
    as_of: Instant,
    interrupt: &dyn Interrupt,
) -> Result<Explanation, EngineError> {
    let own_scope = scope_of(scope, actor)?;
    let narrowed = narrowed(snapshot, query, &actor.actor)?;
    // Cohorts are those of the one who asks.
    let asked = Asked { snapshot, scope, as_of, interrupt, depth: Depth::default() };
    let mut asking = Asking::within(&asked, &narrowed)?;
    asking.scope = &own_scope;
    let answer = asking.answer()?;
    let mut recorded = asking.recorded()?;
    let events_total = recorded.events.len();
    let explained = asking.explained(&answer, &recorded)?;
    let Explained { rule, mut events, elsewhere } = explained;
    recorded.events.truncate(EXPLAINED_EVENTS_MAX);
    events.truncate(EXPLAINED_EVENTS_MAX);
    let mut answer = answer;
    if events_total > EXPLAINED_EVENTS_MAX {
        answer.meta.complete = false;
        let told = format!("of {events_total} events the first {EXPLAINED_EVENTS_MAX} are listed");
        answer.meta.warnings.push(told);
    }
    let told = match &actor.tenant {
        None => actor.actor.to_json(),
        Some(tenant) => json!({"tenant": tenant.as_str(), "actor": actor.actor.to_json()}),
    };
    let events = recorded.named(events);
    Ok(Explanation { actor: told, answer, rule, events, events_total, elsewhere })
}

/// What became of each event, in their order, and of all of them.
pub(crate) struct Explained {
    rule: Rule,
    events: Vec<Verdict>,
    elsewhere: Vec<Elsewhere>,
}

/// What became of an event.
pub(crate) struct Verdict {
    matched: Vec<String>,
    counts_in: Map<String, Json>,
    rule: Rule,
}

fn scope_of(scope: &Scope, actor: &ExplainedActor) -> Result<Scope, Fault> {
    let fault = |problem: &str| Fault { path: "actor".to_owned(), problem: problem.to_owned() };
    match (scope.tenants(), &actor.tenant) {
        (Tenants::One(_), None) => Ok(scope.clone()),
        (Tenants::All, Some(tenant)) => {
            scope.narrowed_to(tenant).ok_or_else(|| fault("names a tenant that is not asked about"))
        }
        (Tenants::One(_), Some(_)) => Err(fault("names a tenant; allowed is the actor alone")),
        (Tenants::All, None) => {
            Err(fault("names no tenant; allowed over all tenants is {\"tenant\", \"actor\"}"))
        }
    }
}

/// The query about one actor's events alone.
fn narrowed(snapshot: &Snapshot, query: &BoundQuery, actor: &Scalar) -> Result<BoundQuery, Fault> {
    let mut narrowed = query.clone();
    if let Kind::Churn(churn) = &mut narrowed.query.kind {
        // No model is fitted to one actor.
        *churn = Churn { model: None, limit: 1, ..churn.clone() };
    } else if let Kind::Dropoff(dropoff) = &mut narrowed.query.kind {
        *dropoff = Dropoff { list: DropoffList::Sessions, limit: 1_000, ..dropoff.clone() };
    }
    let is_dropoff = matches!(narrowed.query.kind, Kind::Dropoff(_));
    for source in &mut narrowed.sources {
        let table = snapshot.app().table(&source.table);
        let of_session = source.value.map(|value| value.column).filter(|_| is_dropoff);
        let column = of_session.or(source.actor).or_else(|| table?.actor_column());
        let (Some(table), Some(column)) = (table, column) else {
            let problem = format!("was given, and the rows of {} have no actor", source.table);
            return Err(Fault { path: "actor".to_owned(), problem });
        };
        source.only_of(column, &table.columns[column], actor)?;
    }
    Ok(narrowed)
}

impl Asking<'_> {
    fn explained(&self, answer: &Answer, recorded: &Recorded) -> Result<Explained, EngineError> {
        Ok(match (&self.query.query.kind, &answer.outcome) {
            (Kind::Funnel(funnel), _) => self.explain_funnel(funnel, recorded)?,
            (Kind::Retention(retention), Outcome::Retention(result)) => {
                self.explain_retention(retention, result, recorded)?
            }
            (Kind::Lifecycle(lifecycle), Outcome::Lifecycle(result)) => {
                self.explain_lifecycle(lifecycle, result, recorded)?
            }
            (Kind::Stickiness(stickiness), Outcome::Stickiness(result)) => {
                self.explain_stickiness(stickiness, result, recorded)?
            }
            (Kind::Trend(trend), _) => self.explain_trend(trend, recorded)?,
            (Kind::Churn(churn), Outcome::Churn(result)) => self.explain_churn(churn, result, recorded),
            (Kind::Paths(paths), _) => self.explain_paths(paths, recorded),
            (Kind::Preceding(_), _) => self.explain_preceding(recorded),
            (Kind::Dropoff(dropoff), Outcome::Dropoff(result)) => {
                self.explain_dropoff(dropoff, result, recorded)
            }
            (_, _) => Explained { rule: Rule::new(COUNTED), events: Vec::new(), elsewhere: Vec::new() },
        })
    }
}
