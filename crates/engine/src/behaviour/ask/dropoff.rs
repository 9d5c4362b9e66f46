//! Dropoff: sessions by their own property and by time, latencies apart, brought together.

use ebbtide_model::query::{Dropoff, DropoffList, EventSource, Scalar};
use ebbtide_model::{Instant, Value};
use hashbrown::HashSet;

use super::Asking;
use crate::EngineError;
use crate::answer::{DropoffAnswer, DropoffLatency, DropoffSession, DropoffStep, Ending};
use crate::behaviour::columns::Arrivals;
use crate::behaviour::drive::{Loaded, Loading};
use crate::behaviour::dropoff::{Counts, DropoffFold, DropoffState, Listed, Runs};
use crate::behaviour::fold::Fold;
use crate::behaviour::history::Newest;
use crate::behaviour::latency::{LatencyFold, Took};
use crate::behaviour::load::{Actors, Number, Times};
use crate::exact::Ratio;

/// What the sessions of a dropoff come to, and what took how long.
pub(crate) struct Reckoned<'s> {
    pub(crate) counts: &'s Counts,
    /// Distinct ones.
    pub(crate) users: u64,
    /// By step.
    pub(crate) users_at: Vec<u64>,
    pub(crate) idle_at: Option<i64>,
    pub(crate) listed: &'s [Listed],
    /// By latency and step.
    pub(crate) took: &'s [Vec<Took>],
}

impl Reckoned<'_> {
    /// Without a session.
    pub(crate) fn none() -> Self {
        const NONE: &Counts = &Counts { sessions: 0, converted: 0, reached: Vec::new(), exits: Vec::new() };
        Self { counts: NONE, users: 0, users_at: Vec::new(), idle_at: None, listed: &[], took: &[] }
    }
}

impl<'a> Asking<'a> {
    pub(super) fn dropoff(&self, dropoff: &Dropoff) -> Result<DropoffAnswer, EngineError> {
        if let Some(answer) = self.answer_of_before(dropoff)? {
            return Ok(answer);
        }
        if dropoff.list == DropoffList::Splits {
            return self.parted(dropoff);
        }
        let by_session = usize::from(dropoff.session.prop.is_some());
        let sources = &self.query.sources;
        let (sessions, latencies) = sources.split_at((by_session + 1).min(sources.len()));
        let state = self.sessions(dropoff, sessions)?;
        let times = DropoffFold::times(self.query, self.as_of);
        let mut took = Vec::with_capacity(latencies.len());
        for source in latencies {
            let loaded = self.in_order(std::slice::from_ref(source), Actors::Ignored, &times)?;
            took.push(loaded.fold(&LatencyFold { steps: dropoff.steps.len() })?.took);
        }
        let seen = || state.seen.values().flat_map(|actors| actors.values());
        let at = |step: usize| seen().filter(|(shown, _)| shown & (1 << step) != 0).count() as u64;
        let reckoned = Reckoned {
            counts: &state.counts,
            users: seen().count() as u64,
            users_at: (0..dropoff.steps.len()).map(at).collect(),
            idle_at: state.idle_at,
            listed: &state.listed,
            took: &took,
        };
        Ok(self.dropoff_answer(dropoff, &reckoned))
    }

    /// All sessions, and who was at which step.
    pub(super) fn sessions(
        &self,
        dropoff: &Dropoff,
        sources: &[EventSource],
    ) -> Result<DropoffState, EngineError> {
        let limit = match dropoff.list {
            DropoffList::Steps | DropoffList::Splits => 0,
            DropoffList::Sessions => dropoff.limit as usize,
        };
        self.sessions_among(dropoff, sources, (limit, None))
    }

    /// The newest sessions alone, or all.
    pub(super) fn sessions_among(
        &self,
        dropoff: &Dropoff,
        sources: &[EventSource],
        (limit, newest): (usize, Option<&Newest<'_>>),
    ) -> Result<DropoffState, EngineError> {
        let mut all: Option<DropoffState> = None;
        let mut times = DropoffFold::times(self.query, self.as_of);
        if let Some(since) = newest.and_then(|newest| newest.since) {
            times.since.iter_mut().for_each(|own| *own = since.max(*own));
        }
        for source in sources {
            let loaded = self.in_order(std::slice::from_ref(source), Actors::Required, &times)?;
            let runs = if source.value.is_some() { Runs::Sessions(&loaded.values) } else { Runs::Actors };
            let run_type = source.actor.and_then(|column| self.column_type(&source.table, column));
            let fold = DropoffFold::new(dropoff, runs, run_type, limit, self.as_of);
            let fold = match newest {
                Some(newest) => fold.only(newest),
                None => fold,
            };
            let state = loaded.fold(&fold)?;
            match &mut all {
                None => all = Some(state),
                Some(all) => fold.merge(all, state),
            }
        }
        let mut all = all.unwrap_or_default();
        all.cut(limit);
        Ok(all)
    }

    fn in_order(
        &self,
        sources: &[EventSource],
        actors: Actors,
        times: &Times,
    ) -> Result<Loaded<'a>, EngineError> {
        let no_ties = HashSet::new();
        let loading = Loading { arrivals: Arrivals::Read, ..self.loading(times, actors, &no_ties) };
        loading.load(sources)
    }

    pub(super) fn dropoff_answer(&self, dropoff: &Dropoff, reckoned: &Reckoned<'_>) -> DropoffAnswer {
        let Reckoned { counts, users, users_at, idle_at, listed, took } = reckoned;
        let at = |counts: &[u64], step: usize| counts.get(step).copied().unwrap_or(0);
        let step = |(index, step): (usize, &Scalar)| DropoffStep {
            step: step.clone(),
            sessions: at(&counts.reached, index),
            users: at(users_at, index),
            exits: at(&counts.exits, index),
            latency: dropoff
                .latency
                .iter()
                .zip(*took)
                .map(|(latency, took)| latency_of(&latency.name, took.get(index)))
                .collect(),
        };
        let exits = counts.exits.iter().sum();
        DropoffAnswer {
            sessions: counts.sessions,
            users: *users,
            exits,
            converted: counts.converted,
            active: counts.sessions - exits - counts.converted,
            idle_at: idle_at.map(Instant::from_micros),
            steps: dropoff.steps.iter().enumerate().map(step).collect(),
            splits: None,
            listed: match dropoff.list {
                DropoffList::Steps | DropoffList::Splits => None,
                DropoffList::Sessions => {
                    Some(listed.iter().map(|session| self.session(dropoff, session)).collect())
                }
            },
        }
    }

    fn session(&self, dropoff: &Dropoff, session: &Listed) -> DropoffSession {
        let step = |step: &u8| dropoff.steps.get(usize::from(*step)).cloned().unwrap_or(Scalar::Null);
        DropoffSession {
            id: session.id.to_string(),
            actor: self.actor_id(&session.tenant, &session.actor),
            started: Instant::from_micros(session.started),
            last: Instant::from_micros(session.last),
            path: session.path.iter().map(step).collect(),
            outcome: Ending::of_code(session.outcome, session.exit_step),
            exit_step: session.exit_step.as_ref().map(step),
        }
    }
}

fn latency_of(name: &str, took: Option<&Took>) -> DropoffLatency {
    let latest = took.and_then(|took| took.latest).map(|(_, _, number)| match number {
        Number::Int(value) => Value::Int(value),
        Number::Float(value) => Value::Float(value),
        Number::Decimal(units) => Value::Decimal(units),
    });
    let avg: Option<Ratio> = took.and_then(|took| took.sum.mean(took.count));
    DropoffLatency { name: name.to_owned(), latest: latest.unwrap_or(Value::Null), avg }
}
