//! A dropoff that is kept up to date: its sessions and latencies as of a moment, and the events that are later.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use ebbtide_model::Column;
use ebbtide_model::query::{BoundQuery, Dropoff};
use ebbtide_store::TableRead;

use super::sessions::Sessions;
use super::users::{Print, Prints};
use crate::behaviour::ask::Reckoned;
use crate::behaviour::drive::Loaded;
use crate::behaviour::dropoff::{Moment, SessionRules, Shown};
use crate::behaviour::fold::{Actor, Run};
use crate::behaviour::key::{Key, OwnedKey};
use crate::behaviour::latency::Took;
use crate::behaviour::load::Number;

/// By source: the columns that its events are read from. Others of another type would make other events of the same
/// rows.
pub(crate) type Shape = Vec<Vec<(usize, Option<Column>)>>;

#[derive(Debug)]
pub(crate) struct StandingDropoff {
    shape: Shape,
    /// By source: what is in here.
    reads: Vec<TableRead>,
    /// As of when it is, in microseconds.
    now: i64,
    prints: Prints,
    sessions: Sessions,
    /// By latency and step.
    took: Vec<Vec<Took>>,
    /// Events that are later than the moment, the first one first.
    later: BinaryHeap<Reverse<Later>>,
}

/// What the events of a source are to it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SourceKind {
    /// Sessions, of whoever's events.
    Sessions,
    /// Actors, whose sessions are parted by time.
    Actors,
    /// The latency of this number.
    Latency(usize),
}

#[derive(Debug)]
struct Later {
    at: Moment,
    event: LaterEvent,
}

#[derive(Debug)]
enum LaterEvent {
    OfSession { id: Print, user: Option<Print>, shown: Shown },
    OfActor { actor: Print, shown: Shown },
    Took { latency: usize, steps: u64, number: Number },
}

impl Ord for Later {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}

impl PartialOrd for Later {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Later {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Later {}

impl StandingDropoff {
    /// Without an event yet.
    pub(crate) fn new(dropoff: &Dropoff, shape: Shape) -> Self {
        let steps = dropoff.steps.len();
        Self {
            shape,
            reads: Vec::new(),
            now: i64::MIN,
            prints: Prints::default(),
            sessions: Sessions::new(SessionRules::new(dropoff), steps),
            took: dropoff.latency.iter().map(|_| vec![Took::default(); steps]).collect(),
            later: BinaryHeap::new(),
        }
    }

    pub(crate) fn has_shape(&self, shape: &Shape) -> bool {
        self.shape == *shape
    }

    /// By source.
    pub(crate) fn reads(&self) -> &[TableRead] {
        &self.reads
    }

    pub(crate) fn set_reads(&mut self, reads: Vec<TableRead>) {
        self.reads = reads;
    }

    pub(crate) fn now(&self) -> i64 {
        self.now
    }

    /// Goes on to a moment that is not before its own.
    pub(crate) fn pass_to(&mut self, now: i64) {
        self.now = now;
        self.sessions.pass_to(now);
        while let Some(Reverse(next)) = self.later.peek() {
            if next.at.0 > now {
                return;
            }
            if let Some(Reverse(next)) = self.later.pop() {
                self.take_later(next);
            }
        }
    }

    /// Takes the events of a source, whose arrivals were read.
    pub(crate) fn take(&mut self, kind: SourceKind, loaded: &Loaded<'_>) {
        loaded.for_each_run(|actor, run| match kind {
            SourceKind::Sessions => self.take_session(actor, run, &loaded.values),
            SourceKind::Actors => self.take_actor(actor, run),
            SourceKind::Latency(latency) => self.take_latency(latency, run),
        });
        // What comes with a later question has arrived later.
        self.sessions.make_room();
    }

    fn take_session(&mut self, actor: Actor<'_>, run: Run<'_>, users: &[OwnedKey]) {
        let id = self.prints.of(actor.tenant, actor.key);
        for index in 0..run.len() {
            let user = users.get(run.value(index) as usize).map_or(Key::Null, OwnedKey::as_key);
            let user = self.prints.of_user(actor.tenant, user);
            let shown = Shown::of_run(run, index);
            if shown.at.0 > self.now {
                self.keep_later(shown.at, LaterEvent::OfSession { id, user, shown });
            } else {
                self.sessions.add_to_session(id, user, shown);
            }
        }
    }

    fn take_actor(&mut self, actor: Actor<'_>, run: Run<'_>) {
        let actor = self.prints.of(actor.tenant, actor.key);
        for index in 0..run.len() {
            let shown = Shown::of_run(run, index);
            if shown.at.0 > self.now {
                self.keep_later(shown.at, LaterEvent::OfActor { actor, shown });
            } else {
                self.sessions.add_to_actor(actor, shown);
            }
        }
    }

    fn take_latency(&mut self, latency: usize, run: Run<'_>) {
        for index in 0..run.len() {
            let Some(number) = run.numbers.get(index).copied().flatten() else { continue };
            let at = (run.times[index], run.arrivals.get(index).copied().unwrap_or(0));
            let steps = run.marks[index] >> BoundQuery::STEP;
            if at.0 > self.now {
                self.keep_later(at, LaterEvent::Took { latency, steps, number });
            } else {
                self.add_latency(latency, steps, at, number);
            }
        }
    }

    fn add_latency(&mut self, latency: usize, steps: u64, at: Moment, number: Number) {
        if let Some(took) = self.took.get_mut(latency) {
            Took::add(took, steps, at, number);
        }
    }

    fn keep_later(&mut self, at: Moment, event: LaterEvent) {
        self.later.push(Reverse(Later { at, event }));
    }

    fn take_later(&mut self, Later { at, event }: Later) {
        match event {
            LaterEvent::OfSession { id, user, shown } => self.sessions.add_to_session(id, user, shown),
            LaterEvent::OfActor { actor, shown } => self.sessions.add_to_actor(actor, shown),
            LaterEvent::Took { latency, steps, number } => self.add_latency(latency, steps, at, number),
        }
    }

    /// What its sessions come to.
    pub(crate) fn reckoned(&mut self) -> Reckoned<'_> {
        let idle_at = self.sessions.idle_at();
        let users = self.sessions.users();
        Reckoned {
            counts: self.sessions.counts(),
            users: users.count(),
            users_at: users.at().to_vec(),
            idle_at,
            listed: &[],
            took: &self.took,
        }
    }

    /// What it takes in memory, about.
    pub(crate) fn bytes(&self) -> usize {
        let heap: usize = self.took.iter().flatten().map(Took::bytes).sum();
        self.sessions.bytes() + heap + self.later.capacity() * size_of::<Later>()
    }
}
