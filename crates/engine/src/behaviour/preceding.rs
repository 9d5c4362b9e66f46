//! The preceding fold: for each `before` event the value of the actor's latest earlier `of` event.

use std::cmp::Ordering;

use ebbtide_model::query::{BoundQuery, Preceding};
use hashbrown::{HashMap, HashSet};

use super::drive::Loaded;
use super::fold::{Actor, Fold, Run};
use super::key::{Key, OwnedKey};
use super::load::NO_CODE;
use super::wire::wire;

pub(crate) struct PrecedingFold<'l> {
    by_value: bool,
    by_actor: bool,
    /// Has the values where they are not ranked.
    unranked: Option<&'l Loaded<'l>>,
}

#[derive(Debug, Default)]
pub(crate) struct PrecedingState {
    pub(crate) total: u64,
    /// By code of the value, where that is asked for; [`NO_CODE`]: none, or null. Where values are not ranked,
    /// equal ones may have several codes.
    pub(crate) counts: HashMap<u32, u64>,
    /// Where they are asked for: by actor, then in the order of values.
    pub(crate) actors: Vec<ActorCount>,
    /// Times of simultaneous events that differ in value, where their keys would have to say which is
    /// the latest.
    pub(crate) ties: HashSet<i64>,
    /// Counts of the actor at hand.
    own: Vec<(u32, u64)>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ActorCount {
    pub(crate) tenant: Box<str>,
    pub(crate) actor: OwnedKey,
    pub(crate) value: u32,
    pub(crate) count: u64,
}

wire!(ActorCount { tenant, actor, value, count });
wire!(PrecedingState { total, counts, actors, ties; own });

/// The `of` events of one time: the one of the highest key, without a key that of the highest value.
#[derive(Clone, Copy)]
struct Latest {
    time: i64,
    key: u32,
    value: u32,
    undecided: bool,
}

impl<'l> PrecedingFold<'l> {
    pub(crate) fn new(preceding: &Preceding) -> Self {
        let by_value = preceding.limit != Some(0);
        Self { by_value, by_actor: preceding.per_actor, unranked: None }
    }

    /// Over events whose values are not ranked. Of simultaneous ones none is the latest then, unless they
    /// are equal: they are ties.
    pub(crate) fn unranked(self, loaded: &'l Loaded<'l>) -> Self {
        Self { unranked: Some(loaded), ..self }
    }

    /// The order of values, null last.
    pub(crate) fn compare(&self, left: u32, right: u32) -> Ordering {
        let Some(loaded) = self.unranked.filter(|_| left != right) else {
            return left.cmp(&right);
        };
        let value = |code| if code == NO_CODE { Key::Null } else { loaded.unranked(code) };
        value(left).cmp_null_last(value(right))
    }

    fn later(&self, left: Latest, right: Latest) -> Latest {
        let unread = |code| code == NO_CODE;
        let undecided = left.undecided
            || right.undecided
            || (unread(left.key) && unread(right.key) && self.compare(left.value, right.value).is_ne());
        // Null is the lowest.
        let place = |latest: &Latest| (latest.key, latest.value.wrapping_add(1));
        let highest = if place(&right) > place(&left) { right } else { left };
        Latest { undecided, ..highest }
    }
}

impl Fold for PrecedingFold<'_> {
    type State = PrecedingState;

    fn fresh(&self) -> PrecedingState {
        PrecedingState::default()
    }

    fn take(&self, state: &mut PrecedingState, actor: Actor<'_>, run: Run<'_>) {
        let marked = |index: usize, bit: u8| run.marks[index] & (1 << bit) != 0;
        let mut own = std::mem::take(&mut state.own);
        let mut latest: Option<Latest> = None;
        let mut start = 0;
        while let Some(time) = run.times.get(start).copied() {
            let same = run.times[start..].iter().take_while(|other| **other == time).count();
            let instant = start..start + same;
            let counted = instant.clone().filter(|index| marked(*index, BoundQuery::BEFORE)).count() as u64;
            if counted > 0 {
                state.ties.extend(latest.filter(|latest| latest.undecided).map(|latest| latest.time));
                own.push((latest.map_or(NO_CODE, |latest| latest.value), counted));
            }
            let of = instant.filter(|index| marked(*index, BoundQuery::OF)).map(|index| Latest {
                time,
                key: run.key(index),
                value: run.value(index),
                undecided: false,
            });
            latest = of.reduce(|left, right| self.later(left, right)).or(latest);
            start += same;
        }
        own.sort_unstable_by(|left, right| self.compare(left.0, right.0));
        for same in own.chunk_by(|left, right| self.compare(left.0, right.0).is_eq()) {
            let (value, count) = (same[0].0, same.iter().map(|(_, count)| count).sum::<u64>());
            state.total += count;
            if self.by_value {
                *state.counts.entry(value).or_default() += count;
            }
            if self.by_actor {
                let (tenant, actor) = (Box::from(actor.tenant), actor.key.to_owned());
                state.actors.push(ActorCount { tenant, actor, value, count });
            }
        }
        own.clear();
        state.own = own;
    }

    fn merge(&self, into: &mut PrecedingState, other: PrecedingState) {
        into.total += other.total;
        for (value, count) in other.counts {
            *into.counts.entry(value).or_default() += count;
        }
        into.actors.extend(other.actors);
        into.ties.extend(other.ties);
    }
}
