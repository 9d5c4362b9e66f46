//! The preceding fold: for each `before` event the value of the actor's latest earlier `of` event.

use ebbtide_model::query::{BoundQuery, Preceding};
use hashbrown::{HashMap, HashSet};

use super::fold::{Actor, Fold, Run};
use super::key::OwnedKey;
use super::load::NO_CODE;
use super::wire::wire;

#[derive(Debug)]
pub(crate) struct PrecedingFold {
    per_actor: bool,
}

#[derive(Debug, Default)]
pub(crate) struct PrecedingState {
    /// By rank of the value; [`NO_CODE`]: none, or null.
    pub(crate) counts: HashMap<u32, u64>,
    /// Where they are asked for.
    pub(crate) actors: Vec<ActorCount>,
    /// Times of simultaneous events that differ in value, where their keys would have to say which is
    /// the latest.
    pub(crate) ties: HashSet<i64>,
    /// Counts of the actor at hand.
    own: HashMap<u32, u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ActorCount {
    pub(crate) tenant: Box<str>,
    pub(crate) actor: OwnedKey,
    pub(crate) value: u32,
    pub(crate) count: u64,
}

wire!(ActorCount { tenant, actor, value, count });
wire!(PrecedingState { counts, actors, ties; own });

/// The `of` events of one time: the one of the highest key, without a key that of the highest value.
#[derive(Clone, Copy)]
struct Latest {
    time: i64,
    key: u32,
    value: u32,
    undecided: bool,
}

impl Latest {
    fn or(self, other: Self) -> Self {
        let unread = |code| code == NO_CODE;
        let undecided = self.undecided
            || other.undecided
            || (self.value != other.value && unread(self.key) && unread(other.key));
        // Null is the lowest.
        let place = |latest: &Self| (latest.key, latest.value.wrapping_add(1));
        let highest = if place(&other) > place(&self) { other } else { self };
        Self { undecided, ..highest }
    }
}

impl PrecedingFold {
    pub(crate) fn new(preceding: &Preceding) -> Self {
        Self { per_actor: preceding.per_actor }
    }
}

impl Fold for PrecedingFold {
    type State = PrecedingState;

    fn fresh(&self) -> PrecedingState {
        PrecedingState::default()
    }

    fn take(&self, state: &mut PrecedingState, actor: Actor<'_>, run: Run<'_>) {
        let marked = |index: usize, bit: u8| run.marks[index] & (1 << bit) != 0;
        let mut latest: Option<Latest> = None;
        let mut start = 0;
        while let Some(time) = run.times.get(start).copied() {
            let same = run.times[start..].partition_point(|other| *other == time);
            let instant = start..start + same;
            let counted = instant.clone().filter(|index| marked(*index, BoundQuery::BEFORE)).count() as u64;
            if counted > 0 {
                state.ties.extend(latest.filter(|latest| latest.undecided).map(|latest| latest.time));
                *state.own.entry(latest.map_or(NO_CODE, |latest| latest.value)).or_default() += counted;
            }
            let of = instant.filter(|index| marked(*index, BoundQuery::OF)).map(|index| Latest {
                time,
                key: run.key(index),
                value: run.value(index),
                undecided: false,
            });
            latest = of.reduce(Latest::or).or(latest);
            start += same;
        }
        for (value, count) in state.own.drain() {
            *state.counts.entry(value).or_default() += count;
            if self.per_actor {
                let (tenant, actor) = (Box::from(actor.tenant), actor.key.to_owned());
                state.actors.push(ActorCount { tenant, actor, value, count });
            }
        }
    }

    fn merge(&self, into: &mut PrecedingState, other: PrecedingState) {
        for (value, count) in other.counts {
            *into.counts.entry(value).or_default() += count;
        }
        into.actors.extend(other.actors);
        into.ties.extend(other.ties);
    }
}
