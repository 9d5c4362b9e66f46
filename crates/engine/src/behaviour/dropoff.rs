//! The dropoff fold: sessions, event by event, and where each of them ended.

use std::cmp::Reverse;

use ebbtide_model::query::{BoundQuery, Dropoff};
use ebbtide_model::{ColumnType, Instant};
use hashbrown::HashMap;

use super::fold::{Actor, Fold, Run};
use super::key::OwnedKey;
use super::load::Times;
use super::wire::wire;
use crate::answer::Ending;

/// When a session ends, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionRules {
    success: usize,
    idle: i64,
    /// Events of one actor that are so far apart are of two sessions.
    gap: i64,
}

impl SessionRules {
    pub(crate) fn new(dropoff: &Dropoff) -> Self {
        Self { success: dropoff.success, idle: dropoff.idle.micros(), gap: dropoff.session.gap.micros() }
    }
}

/// What an event says of its session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    time: i64,
    /// By bit: the step where it happened, and the one where it led.
    at: u64,
    to: u64,
    exit: bool,
}

impl Shown {
    pub(crate) fn of(time: i64, marks: u64) -> Self {
        let steps = |first: u8| (marks >> first) & ((1 << BoundQuery::NEXT_STEP) - 1);
        let exit = marks & (1 << BoundQuery::EXIT) != 0;
        let to = if exit { 0 } else { steps(BoundQuery::NEXT_STEP) };
        Self { time, at: steps(BoundQuery::STEP), to, exit }
    }

    fn places(self) -> impl Iterator<Item = u8> {
        [self.at, self.to].into_iter().filter_map(first_step)
    }
}

fn first_step(steps: u64) -> Option<u8> {
    if steps == 0 { None } else { u8::try_from(steps.trailing_zeros()).ok() }
}

/// A session as far as its events go. They are applied in order of time, simultaneous ones in that of
/// their arrival; that time passes is for [`Session::ending`] to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    started: i64,
    last: i64,
    /// By bit: the steps that it was at.
    reached: u64,
    /// The step that it was at last.
    place: Option<u8>,
    /// Whether its last event is an exit.
    left: bool,
}

impl Session {
    pub(crate) fn begin(event: Shown) -> Self {
        let empty = Self { started: event.time, last: event.time, reached: 0, place: None, left: false };
        empty.after(event)
    }

    #[must_use]
    pub(crate) fn after(mut self, event: Shown) -> Self {
        self.last = event.time;
        self.reached |= event.at | event.to;
        self.place = event.places().last().or(self.place);
        self.left = event.exit;
        self
    }

    /// When it will be idle, if nothing happens before.
    pub(crate) fn idle_at(&self, rules: SessionRules) -> i64 {
        self.last.saturating_add(rules.idle)
    }

    /// `None`: it was at none of the steps, so it is no session of theirs.
    pub(crate) fn ending(&self, rules: SessionRules, as_of: i64) -> Option<Ending> {
        let place = self.place?;
        let idle = as_of.saturating_sub(self.last) >= rules.idle;
        Some(if self.reached & (1 << rules.success) != 0 {
            Ending::Converted
        } else if self.left || idle {
            Ending::Exited(place)
        } else {
            Ending::Active
        })
    }
}

/// A session that may be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) started: i64,
    pub(crate) id: Box<str>,
    pub(crate) tenant: Box<str>,
    /// Whose first event it began with.
    pub(crate) actor: OwnedKey,
    pub(crate) last: i64,
    /// Steps, those in a row that are the same once.
    pub(crate) path: Vec<u8>,
    pub(crate) outcome: u8,
    pub(crate) exit_step: Option<u8>,
}

wire!(Listed { started, id, tenant, actor, last, path, outcome, exit_step });

impl Listed {
    /// Newest first.
    pub(crate) fn place(&self) -> (Reverse<i64>, &str, &str) {
        (Reverse(self.started), &self.id, &self.tenant)
    }
}

/// By bit: at which steps somebody was, and at which a session of theirs ended.
pub(crate) type Seen = (u64, u64);

#[derive(Debug, Default)]
pub(crate) struct DropoffState {
    pub(crate) sessions: u64,
    pub(crate) converted: u64,
    /// By step.
    pub(crate) reached: Vec<u64>,
    pub(crate) exits: Vec<u64>,
    /// By tenant and actor.
    pub(crate) seen: HashMap<Box<str>, HashMap<OwnedKey, Seen>>,
    pub(crate) listed: Vec<Listed>,
    /// When the first of the active sessions will be idle.
    pub(crate) idle_at: Option<i64>,
}

wire!(DropoffState { sessions, converted, reached, exits, seen, listed, idle_at });

#[derive(Debug)]
pub(crate) struct DropoffFold<'a> {
    rules: SessionRules,
    steps: usize,
    as_of: i64,
    runs: Runs<'a>,
    /// The type of what runs are of.
    run_type: Option<ColumnType>,
    /// How many sessions are listed.
    limit: usize,
}

/// What a run is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Runs<'a> {
    /// A session; whose its events are, their values say, by rank.
    Sessions(&'a [OwnedKey]),
    /// An actor's sessions.
    Actors,
}

impl<'a> DropoffFold<'a> {
    pub(crate) fn new(
        dropoff: &Dropoff,
        runs: Runs<'a>,
        run_type: Option<ColumnType>,
        limit: usize,
        as_of: Instant,
    ) -> Self {
        Self {
            rules: SessionRules::new(dropoff),
            steps: dropoff.steps.len(),
            as_of: as_of.micros(),
            runs,
            run_type,
            limit,
        }
    }

    pub(crate) fn times(query: &BoundQuery, as_of: Instant) -> Times {
        let since = query.from.map_or(i64::MIN, Instant::micros);
        let end = query.to.map_or(i64::MAX, |to| to.micros().saturating_sub(1));
        Times { since: vec![since; usize::from(BoundQuery::SHOWN) + 1], until: as_of.micros().min(end) }
    }

    fn count(
        &self,
        state: &mut DropoffState,
        actor: Actor<'_>,
        run: Run<'_>,
        events: std::ops::Range<usize>,
    ) {
        let shown = |index: usize| Shown::of(run.times[index], run.marks[index]);
        let mut following = events.clone().map(shown);
        let Some(first) = following.next() else { return };
        let session = following.fold(Session::begin(first), Session::after);
        let Some(ending) = session.ending(self.rules, self.as_of) else { return };
        state.sessions += 1;
        let add = |counts: &mut Vec<u64>, steps: u64| {
            for (step, count) in counts.iter_mut().enumerate() {
                *count += u64::from(steps & (1 << step) != 0);
            }
        };
        add(&mut state.reached, session.reached);
        let exit = if let Ending::Exited(step) = ending { Some(step) } else { None };
        add(&mut state.exits, exit.map_or(0, |step| 1 << step));
        state.converted += u64::from(ending == Ending::Converted);
        if ending == Ending::Active {
            state.idle_at = state.idle_at.into_iter().chain([session.idle_at(self.rules)]).min();
        }
        let exits = exit.map_or(0, |step| 1 << step);
        match self.runs {
            Runs::Actors => state.see(actor.tenant, &actor.key.to_owned(), (session.reached, exits)),
            Runs::Sessions(users) => {
                let user = |index: usize| users.get(run.value(index) as usize);
                if let Some(user) = user(events.start) {
                    state.see(actor.tenant, user, (0, exits));
                }
                for index in events.clone() {
                    let Shown { at, to, .. } = shown(index);
                    if let Some(user) = user(index) {
                        state.see(actor.tenant, user, (at | to, 0));
                    }
                }
            }
        }
        if self.limit > 0 {
            self.list(state, &session, ending, actor, run, events);
        }
    }

    fn list(
        &self,
        state: &mut DropoffState,
        session: &Session,
        ending: Ending,
        actor: Actor<'_>,
        run: Run<'_>,
        events: std::ops::Range<usize>,
    ) {
        let key = actor.key.to_owned();
        let id = self.run_type.and_then(|run_type| key.value(run_type).canonical_text()).unwrap_or_default();
        let (id, owner) = match self.runs {
            Runs::Sessions(users) => {
                let owner = users.get(run.value(events.start) as usize).cloned();
                (id, owner.unwrap_or(OwnedKey::Null))
            }
            Runs::Actors => (format!("{id}@{}", Instant::from_micros(session.started)), key),
        };
        let mut path: Vec<u8> =
            events.flat_map(|index| Shown::of(run.times[index], run.marks[index]).places()).collect();
        path.dedup();
        let (outcome, exit_step) = ending.code();
        state.listed.push(Listed {
            started: session.started,
            id: id.into(),
            tenant: Box::from(actor.tenant),
            actor: owner,
            last: session.last,
            path,
            outcome,
            exit_step,
        });
        if state.listed.len() >= self.limit.saturating_mul(2) {
            state.cut(self.limit);
        }
    }
}

impl DropoffState {
    fn see(&mut self, tenant: &str, actor: &OwnedKey, seen: Seen) {
        if *actor == OwnedKey::Null {
            return;
        }
        let actors = match self.seen.get_mut(tenant) {
            Some(actors) => actors,
            None => self.seen.entry(Box::from(tenant)).or_default(),
        };
        let known = match actors.get_mut(actor) {
            Some(known) => known,
            None => actors.entry(actor.clone()).or_default(),
        };
        known.0 |= seen.0;
        known.1 |= seen.1;
    }

    /// Leaves the sessions that come first.
    pub(crate) fn cut(&mut self, limit: usize) {
        self.listed.sort_unstable_by(|left, right| left.place().cmp(&right.place()));
        self.listed.truncate(limit);
    }
}

impl Fold for DropoffFold<'_> {
    type State = DropoffState;

    fn fresh(&self) -> DropoffState {
        DropoffState { reached: vec![0; self.steps], exits: vec![0; self.steps], ..DropoffState::default() }
    }

    fn take(&self, state: &mut DropoffState, actor: Actor<'_>, run: Run<'_>) {
        match self.runs {
            Runs::Sessions(_) => self.count(state, actor, run, 0..run.len()),
            Runs::Actors => {
                let mut start = 0;
                for index in 1..=run.len() {
                    let apart = |next: &i64| next.saturating_sub(run.times[index - 1]) >= self.rules.gap;
                    if run.times.get(index).is_none_or(apart) {
                        self.count(state, actor, run, start..index);
                        start = index;
                    }
                }
            }
        }
    }

    fn merge(&self, into: &mut DropoffState, other: DropoffState) {
        into.sessions += other.sessions;
        into.converted += other.converted;
        into.reached.iter_mut().zip(other.reached).for_each(|(own, theirs)| *own += theirs);
        into.exits.iter_mut().zip(other.exits).for_each(|(own, theirs)| *own += theirs);
        for (tenant, actors) in other.seen {
            for (actor, seen) in actors {
                into.see(&tenant, &actor, seen);
            }
        }
        into.idle_at = into.idle_at.into_iter().chain(other.idle_at).min();
        into.listed.extend(other.listed);
        into.cut(self.limit);
    }
}
