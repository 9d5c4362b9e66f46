//! The dropoff fold: sessions, event by event, and where each of them ended.

use std::cmp::Reverse;
use std::ops::Range;

use ebbtide_model::query::{BoundQuery, Dropoff};
use ebbtide_model::{ColumnType, Instant};
use hashbrown::HashMap;

use super::fold::{Actor, Fold, Run};
use super::history::Newest;
use super::key::OwnedKey;
use super::load::Times;
use super::wire::wire;
use crate::answer::Ending;

/// When a session ends, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionRules {
    success: usize,
    pub(crate) idle: i64,
    /// Events of one actor that are so far apart are of two sessions.
    gap: i64,
}

impl SessionRules {
    pub(crate) fn new(dropoff: &Dropoff) -> Self {
        Self { success: dropoff.success, idle: dropoff.idle.micros(), gap: dropoff.session.gap.micros() }
    }

    /// Whether a session of an actor has ended where the next event is so late.
    pub(crate) fn are_apart(self, last: i64, next: i64) -> bool {
        next.saturating_sub(last) >= self.gap
    }

    /// The sessions of an actor, as ranges of the run.
    pub(crate) fn for_each_session(self, run: Run<'_>, mut take: impl FnMut(Range<usize>)) {
        let mut start = 0;
        for index in 1..=run.len() {
            let apart = |next: &i64| self.are_apart(run.times[index - 1], *next);
            if run.times.get(index).is_none_or(apart) {
                take(start..index);
                start = index;
            }
        }
    }
}

/// When an event was, and when it arrived: no two events of a table have the same.
pub(crate) type Moment = (i64, u64);

/// What an event says of its session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    pub(crate) at: Moment,
    /// By bit: the step where it happened, and the one where it led.
    here: u64,
    there: u64,
    exit: bool,
}

impl Shown {
    /// An event of a run.
    pub(crate) fn of_run(run: Run<'_>, index: usize) -> Self {
        Self::of((run.times[index], run.arrivals.get(index).copied().unwrap_or(0)), run.marks[index])
    }

    fn of(at: Moment, marks: u64) -> Self {
        let steps = |first: u8| (marks >> first) & ((1 << BoundQuery::NEXT_STEP) - 1);
        let exit = marks & (1 << BoundQuery::EXIT) != 0;
        let there = if exit { 0 } else { steps(BoundQuery::NEXT_STEP) };
        Self { at, here: steps(BoundQuery::STEP), there, exit }
    }

    /// By bit: the steps that it shows.
    pub(crate) fn steps(self) -> u64 {
        self.here | self.there
    }

    fn places(self) -> impl Iterator<Item = u8> {
        [self.here, self.there].into_iter().filter_map(first_step)
    }
}

fn first_step(steps: u64) -> Option<u8> {
    if steps == 0 { None } else { u8::try_from(steps.trailing_zeros()).ok() }
}

/// A session as far as its events go; that time passes is for [`Session::ending`] to say. Sessions of parts of its
/// events, joined in whatever order, are the session of all of them: so events may come late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) started: i64,
    last: Moment,
    /// By bit: the steps that it was at.
    pub(crate) reached: u64,
    /// The step that it was at last, and since which event.
    place: Option<(Moment, u8)>,
    /// Whether its last event is an exit.
    left: bool,
}

impl Session {
    pub(crate) fn begin(event: Shown) -> Self {
        Self {
            started: event.at.0,
            last: event.at,
            reached: event.steps(),
            place: event.places().last().map(|step| (event.at, step)),
            left: event.exit,
        }
    }

    #[must_use]
    pub(crate) fn joined(mut self, other: Self) -> Self {
        self.started = self.started.min(other.started);
        self.reached |= other.reached;
        if other.last >= self.last {
            (self.last, self.left) = (other.last, other.left);
        }
        self.place = match (self.place, other.place) {
            (Some(own), Some(place)) if own.0 > place.0 => Some(own),
            (own, place) => place.or(own),
        };
        self
    }

    /// What tells an idle session from others, but for when it began: the time of its last event, the steps that it
    /// was at, and the last of these. `None` where more is needed, since its last event showed no step. Only events
    /// that arrived after all of its own may be joined with what is made [of it](Self::of_brief).
    pub(crate) fn in_brief(&self) -> Option<(i64, u64, u8)> {
        let (at, place) = self.place?;
        (at == self.last).then_some((at.0, self.reached, place))
    }

    /// The session of which [`in_brief`](Self::in_brief) has told.
    pub(crate) fn of_brief((last, reached, place): (i64, u64, u8)) -> Self {
        let at = (last, 0);
        Self { started: last, last: at, reached, place: Some((at, place)), left: false }
    }

    /// The time of its last event.
    pub(crate) fn last(&self) -> i64 {
        self.last.0
    }

    /// Whether it was at one of the steps: else it is no session of theirs.
    pub(crate) fn is_placed(&self) -> bool {
        self.place.is_some()
    }

    /// When it will be idle, if nothing happens before.
    pub(crate) fn idle_at(&self, rules: SessionRules) -> i64 {
        self.last().saturating_add(rules.idle)
    }

    /// `None`: it was at none of the steps.
    pub(crate) fn ending(&self, rules: SessionRules, as_of: i64) -> Option<Ending> {
        let (_, place) = self.place?;
        let idle = as_of.saturating_sub(self.last()) >= rules.idle;
        Some(if self.reached & (1 << rules.success) != 0 {
            Ending::Converted
        } else if self.left || idle {
            Ending::Exited(place)
        } else {
            Ending::Active
        })
    }
}

/// Sessions by what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) sessions: u64,
    pub(crate) converted: u64,
    /// By step.
    pub(crate) reached: Vec<u64>,
    pub(crate) exits: Vec<u64>,
}

wire!(Counts { sessions, converted, reached, exits });

impl Counts {
    pub(crate) fn of_steps(steps: usize) -> Self {
        Self { reached: vec![0; steps], exits: vec![0; steps], ..Self::default() }
    }

    /// A session that reached these steps and ended so.
    pub(crate) fn add(&mut self, reached: u64, ending: Ending) {
        self.change(reached, ending, |count| *count += 1);
    }

    /// Takes back what was added.
    pub(crate) fn remove(&mut self, reached: u64, ending: Ending) {
        self.change(reached, ending, |count| *count -= 1);
    }

    fn change(&mut self, reached: u64, ending: Ending, change: impl Fn(&mut u64)) {
        change(&mut self.sessions);
        let steps = self.reached.iter_mut().enumerate();
        steps.filter(|(step, _)| reached & (1 << step) != 0).for_each(|(_, count)| change(count));
        match ending {
            Ending::Converted => change(&mut self.converted),
            Ending::Exited(step) => self.exits.get_mut(usize::from(step)).into_iter().for_each(change),
            Ending::Active => {}
        }
    }

    fn merge(&mut self, other: &Self) {
        self.sessions += other.sessions;
        self.converted += other.converted;
        self.reached.iter_mut().zip(&other.reached).for_each(|(own, theirs)| *own += theirs);
        self.exits.iter_mut().zip(&other.exits).for_each(|(own, theirs)| *own += theirs);
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
    pub(crate) counts: Counts,
    /// By tenant and actor.
    pub(crate) seen: HashMap<Box<str>, HashMap<OwnedKey, Seen>>,
    pub(crate) listed: Vec<Listed>,
    /// When the first of the active sessions will be idle.
    pub(crate) idle_at: Option<i64>,
}

wire!(DropoffState { counts, seen, listed, idle_at });

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
    /// All others count for nothing.
    only: Option<&'a Newest<'a>>,
}

/// What a run is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Runs<'a> {
    /// A session; whose its events are, their values say, by rank.
    Sessions(&'a [OwnedKey]),
    /// An actor's sessions.
    Actors,
}

impl Runs<'_> {
    /// What stands for a run's key: an actor may have that of a session, and is another.
    pub(crate) fn told_apart(self, print: u64) -> u64 {
        match self {
            Self::Sessions(_) => print,
            Self::Actors => !print,
        }
    }
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
            only: None,
        }
    }

    /// Of the events since the first of some sessions began, these sessions alone.
    pub(crate) fn only(self, newest: &'a Newest<'a>) -> Self {
        Self { only: Some(newest), ..self }
    }

    pub(crate) fn times(query: &BoundQuery, as_of: Instant) -> Times {
        let since = query.from.map_or(i64::MIN, Instant::micros);
        let end = query.to.map_or(i64::MAX, |to| to.micros().saturating_sub(1));
        Times { since: vec![since; usize::from(BoundQuery::SHOWN) + 1], until: as_of.micros().min(end) }
    }

    fn count(&self, state: &mut DropoffState, actor: Actor<'_>, run: Run<'_>, events: Range<usize>) {
        let mut following = events.clone().map(|index| Session::begin(Shown::of_run(run, index)));
        let Some(first) = following.next() else { return };
        let session = following.fold(first, Session::joined);
        if self.only.is_some_and(|only| !only.has(session.started, self.runs, (actor.tenant, actor.key))) {
            return;
        }
        let Some(ending) = session.ending(self.rules, self.as_of) else { return };
        state.counts.add(session.reached, ending);
        if ending == Ending::Active {
            state.idle_at = state.idle_at.into_iter().chain([session.idle_at(self.rules)]).min();
        }
        let exits = if let Ending::Exited(step) = ending { 1 << step } else { 0 };
        match self.runs {
            Runs::Actors => state.see(actor.tenant, &actor.key.to_owned(), (session.reached, exits)),
            Runs::Sessions(users) => {
                let user = |index: usize| users.get(run.value(index) as usize);
                if let Some(user) = user(events.start) {
                    state.see(actor.tenant, user, (0, exits));
                }
                for index in events.clone() {
                    if let Some(user) = user(index) {
                        state.see(actor.tenant, user, (Shown::of_run(run, index).steps(), 0));
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
        events: Range<usize>,
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
        let mut path: Vec<u8> = events.flat_map(|index| Shown::of_run(run, index).places()).collect();
        path.dedup();
        let (outcome, exit_step) = ending.code();
        state.listed.push(Listed {
            started: session.started,
            id: id.into(),
            tenant: Box::from(actor.tenant),
            actor: owner,
            last: session.last(),
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
        DropoffState { counts: Counts::of_steps(self.steps), ..DropoffState::default() }
    }

    fn take(&self, state: &mut DropoffState, actor: Actor<'_>, run: Run<'_>) {
        match self.runs {
            Runs::Sessions(_) => self.count(state, actor, run, 0..run.len()),
            Runs::Actors => {
                self.rules.for_each_session(run, |events| self.count(state, actor, run, events));
            }
        }
    }

    fn merge(&self, into: &mut DropoffState, other: DropoffState) {
        into.counts.merge(&other.counts);
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
