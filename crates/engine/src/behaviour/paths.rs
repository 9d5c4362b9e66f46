//! The paths fold: an actor's items in order of time, cut into chains, counted pair by pair.

use ebbtide_model::query::{BoundQuery, Paths};
use hashbrown::HashMap;

use super::fold::{Actor, Fold, Run};
use super::load::NO_CODE;
use super::wire::wire;

#[derive(Debug)]
pub(crate) struct PathsFold {
    gap: i64,
    starts_at_item: bool,
    steps: u32,
}

#[derive(Debug, Default)]
pub(crate) struct PathsState {
    /// How often an item follows another at a step, which counts from 1.
    pub(crate) edges: HashMap<(u32, u32, u32), u64>,
    /// The actor's items: time, value, and whether a chain may begin there.
    items: Vec<(i64, u32, bool)>,
}

wire!(PathsState { edges; items });

impl PathsFold {
    pub(crate) fn new(paths: &Paths) -> Self {
        Self {
            gap: paths.session_gap.micros(),
            starts_at_item: paths.start_at.is_some(),
            steps: paths.steps.unwrap_or(u32::MAX),
        }
    }

    fn count(&self, edges: &mut HashMap<(u32, u32, u32), u64>, chain: &[(i64, u32, bool)]) {
        let first =
            if self.starts_at_item { chain.iter().position(|(_, _, starts)| *starts) } else { Some(0) };
        let Some(first) = first else {
            return;
        };
        for (step, pair) in (1..=self.steps).zip(chain[first..].windows(2)) {
            *edges.entry((step, pair[0].1, pair[1].1)).or_default() += 1;
        }
    }
}

impl Fold for PathsFold {
    type State = PathsState;

    fn fresh(&self) -> PathsState {
        PathsState::default()
    }

    fn take(&self, state: &mut PathsState, _: Actor<'_>, run: Run<'_>) {
        let PathsState { edges, items } = state;
        items.clear();
        for index in (0..run.len()).filter(|index| run.value(*index) != NO_CODE) {
            let starts = run.marks[index] & (1 << BoundQuery::CHAIN_START) != 0;
            items.push((run.times[index], run.value(index), starts));
        }
        // Simultaneous events have no order of their own: that of their items is as good, and the same
        // whatever way they came.
        items.sort_unstable();
        let mut start = 0;
        for index in 1..items.len() {
            if items[index].0 - items[index - 1].0 > self.gap {
                self.count(edges, &items[start..index]);
                start = index;
            }
        }
        self.count(edges, &items[start..]);
    }

    fn merge(&self, into: &mut PathsState, other: PathsState) {
        for (edge, count) in other.edges {
            *into.edges.entry(edge).or_default() += count;
        }
    }
}
