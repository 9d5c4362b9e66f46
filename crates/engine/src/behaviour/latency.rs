//! The latency fold: how long something took, by the step at which it did.

use ebbtide_model::query::BoundQuery;

use super::dropoff::Moment;
use super::fold::{Actor, Fold, Run};
use super::load::Number;
use super::wire::wire;
use crate::exact::ExactSum;

#[derive(Debug)]
pub(crate) struct LatencyFold {
    pub(crate) steps: usize,
}

/// Of one step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Took {
    pub(crate) sum: ExactSum,
    pub(crate) count: u64,
    /// When it was, when that arrived, and how long it took.
    pub(crate) latest: Option<(i64, u64, Number)>,
}

#[derive(Debug)]
pub(crate) struct LatencyState {
    /// By step.
    pub(crate) took: Vec<Took>,
}

wire!(Took { sum, count, latest });
wire!(LatencyState { took });

impl Took {
    /// Something took so long at each of these steps.
    pub(crate) fn add(by_step: &mut [Self], steps: u64, at: Moment, number: Number) {
        for (step, took) in by_step.iter_mut().enumerate() {
            if steps & (1 << step) != 0 {
                took.sum.add(number.exact());
                took.count += 1;
                took.keep(Some((at.0, at.1, number)));
            }
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.sum.heap_bytes()
    }

    fn keep(&mut self, latest: Option<(i64, u64, Number)>) {
        let place = |(time, arrival, _): &(i64, u64, Number)| (*time, *arrival);
        if latest.as_ref().map(place) > self.latest.as_ref().map(place) {
            self.latest = latest;
        }
    }
}

impl Fold for LatencyFold {
    type State = LatencyState;

    fn fresh(&self) -> LatencyState {
        LatencyState { took: vec![Took::default(); self.steps] }
    }

    fn take(&self, state: &mut LatencyState, _: Actor<'_>, run: Run<'_>) {
        for index in 0..run.len() {
            let Some(number) = run.numbers.get(index).copied().flatten() else { continue };
            let arrival = run.arrivals.get(index).copied().unwrap_or(0);
            let steps = run.marks[index] >> BoundQuery::STEP;
            Took::add(&mut state.took, steps, (run.times[index], arrival), number);
        }
    }

    fn merge(&self, into: &mut LatencyState, other: LatencyState) {
        for (own, theirs) in into.took.iter_mut().zip(other.took) {
            own.sum.merge(&theirs.sum);
            own.count += theirs.count;
            own.keep(theirs.latest);
        }
    }
}
