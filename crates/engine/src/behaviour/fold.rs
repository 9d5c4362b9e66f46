//! What a behavioural query computes: a small state machine that takes the events of one actor at a time.
//! Batch, live and distributed running feed the same fold, so they cannot disagree.

use std::ops::Range;

use super::key::Key;
use super::load::{NO_CODE, Number};
use super::wire::Wire;

/// Whose events a run holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Actor<'a> {
    pub(crate) tenant: &'a str,
    /// [`Key::Null`]: no one in particular.
    pub(crate) key: Key<'a>,
}

impl Actor<'_> {
    pub(crate) fn is_no_one(&self) -> bool {
        self.key == Key::Null
    }
}

/// All marked events of one actor, ascending in time, as columns of one length. Of simultaneous events
/// any may come first, so a fold must not care. A column that a query does not ask for is empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a> {
    /// Microseconds since 1970.
    pub(crate) times: &'a [i64],
    /// By bit: the matchers that the event satisfies.
    pub(crate) marks: &'a [u64],
    /// Ranks of the breakdown's values.
    pub(crate) groups: &'a [u32],
    /// Ranks of the values that are told apart; [`NO_CODE`] where there is none.
    pub(crate) values: &'a [u32],
    pub(crate) numbers: &'a [Option<Number>],
    /// Ranks of the keys that were read; [`NO_CODE`] for the others.
    pub(crate) keys: &'a [u32],
    /// When they arrived, in order; where those are read, simultaneous events are in this order.
    pub(crate) arrivals: &'a [u64],
}

impl Run<'_> {
    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }

    /// Some of its events.
    pub(crate) fn part(&self, events: Range<usize>) -> Self {
        fn of<T>(column: &[T], events: Range<usize>) -> &[T] {
            column.get(events).unwrap_or_default()
        }
        Self {
            times: of(self.times, events.clone()),
            marks: of(self.marks, events.clone()),
            groups: of(self.groups, events.clone()),
            values: of(self.values, events.clone()),
            numbers: of(self.numbers, events.clone()),
            keys: of(self.keys, events.clone()),
            arrivals: of(self.arrivals, events),
        }
    }

    /// The event's group, 0 where there are no groups.
    pub(crate) fn group(&self, index: usize) -> u32 {
        self.groups.get(index).copied().unwrap_or(0)
    }

    /// The event's value, [`NO_CODE`] where it has none.
    pub(crate) fn value(&self, index: usize) -> u32 {
        self.values.get(index).copied().unwrap_or(NO_CODE)
    }

    /// The event's key, [`NO_CODE`] where it was not read.
    pub(crate) fn key(&self, index: usize) -> u32 {
        self.keys.get(index).copied().unwrap_or(NO_CODE)
    }
}

/// The definition is in the fold, and does not change; the state is plain data, also as bytes. An actor is given to
/// one state only, once, and states of different actors merge in any order.
pub(crate) trait Fold: Sync {
    type State: Send + Wire;

    fn fresh(&self) -> Self::State;

    fn take(&self, state: &mut Self::State, actor: Actor<'_>, run: Run<'_>);

    fn merge(&self, into: &mut Self::State, other: Self::State);
}
