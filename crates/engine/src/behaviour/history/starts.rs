//! When sessions began: which of them are the newest at a moment. What they were is read from the rows since.

use hashbrown::HashSet;

use super::moments::Moments;
use crate::behaviour::dropoff::Runs;
use crate::behaviour::key::Key;
use crate::behaviour::standing::Prints;
use crate::behaviour::wire::wire;

/// A session by when it began, since when it was at one of the steps, and what stands for its id or its actor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) at: i64,
    pub(super) placed_at: i64,
    pub(super) print: u64,
}

wire!(Start { at, placed_at, print });

/// In the order in which they began.
#[derive(Debug)]
pub(super) struct Starts {
    at: Moments,
    prints: Vec<u64>,
    /// Those that were at none of the steps when they began, by place.
    placed_at: Vec<(u32, i64)>,
}

/// The newest sessions of a moment.
#[derive(Debug)]
pub(crate) struct Newest<'h> {
    prints: &'h Prints,
    /// When each began.
    sessions: HashSet<(i64, u64)>,
    /// When the first of them began; `None`: there are none.
    pub(crate) since: Option<i64>,
}

impl Newest<'_> {
    /// Whether a session is one of them, which began so.
    pub(crate) fn has(&self, started: i64, runs: Runs<'_>, (tenant, key): (&str, Key<'_>)) -> bool {
        self.sessions.contains(&(started, runs.told_apart(self.prints.of(tenant, key)[0])))
    }
}

impl Starts {
    pub(super) fn of(mut all: Vec<Start>) -> Self {
        all.sort_unstable_by_key(|start| start.at);
        let placed_at = (0..).zip(&all).filter(|(_, start)| start.placed_at > start.at);
        Self {
            at: Moments::of(all.iter().map(|start| start.at)),
            prints: all.iter().map(|start| start.print).collect(),
            placed_at: placed_at.map(|(place, start)| (place, start.placed_at)).collect(),
        }
    }

    /// So many, and those that began when the last of these did.
    pub(super) fn newest<'h>(&self, moment: i64, count: usize, prints: &'h Prints) -> Newest<'h> {
        let mut newest = Newest { prints, sessions: HashSet::new(), since: None };
        for place in (0..self.at.until(moment)).rev() {
            let (Some(at), Some(print)) = (self.at.at(place), self.prints.get(place)) else { break };
            if newest.sessions.len() >= count && newest.since != Some(at) {
                break;
            }
            let placed = self.placed_at.binary_search_by_key(&place, |(place, _)| *place as usize);
            let placed = placed.ok().and_then(|found| self.placed_at.get(found));
            if placed.is_none_or(|(_, placed_at)| *placed_at <= moment) {
                newest.sessions.insert((at, *print));
                newest.since = Some(at);
            }
        }
        newest
    }

    pub(super) fn bytes(&self) -> usize {
        self.at.bytes() + size_of_val(&*self.prints) + size_of_val(&*self.placed_at)
    }
}
