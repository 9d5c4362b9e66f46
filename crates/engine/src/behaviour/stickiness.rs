//! The stickiness fold: in how many buckets an actor has events.

use super::fold::{Actor, Fold, Run};
use super::kernel::{Code, CodeRun, Kernel, Marked, Meaning, RowTimes, Ruler, Taken, bucket_of, first_from};
use super::span::Span;
use super::wire::wire;

#[derive(Debug)]
pub(crate) struct StickinessFold<'a> {
    span: &'a Span,
}

#[derive(Debug)]
pub(crate) struct StickinessState {
    /// Actors who are active in one bucket, in two, …
    pub(crate) data: Vec<u64>,
}

wire!(StickinessState { data });

impl StickinessState {
    fn count(&mut self, active: usize) {
        if let Some(actors) = active.checked_sub(1).and_then(|place| self.data.get_mut(place)) {
            *actors += 1;
        }
    }
}

impl<'a> StickinessFold<'a> {
    pub(crate) fn new(span: &'a Span) -> Self {
        Self { span }
    }
}

impl Fold for StickinessFold<'_> {
    type State = StickinessState;

    fn fresh(&self) -> StickinessState {
        StickinessState { data: vec![0; self.span.buckets()] }
    }

    fn take(&self, state: &mut StickinessState, _: Actor<'_>, run: Run<'_>) {
        let (mut active, mut last) = (0, None);
        for time in run.times {
            let bucket = self.span.bucket_of(*time, last.unwrap_or(0));
            if last != Some(bucket) {
                active += 1;
                last = Some(bucket);
            }
        }
        state.count(active);
    }

    fn merge(&self, into: &mut StickinessState, other: StickinessState) {
        into.data.iter_mut().zip(other.data).for_each(|(own, theirs)| *own += theirs);
    }
}

impl Kernel for StickinessFold<'_> {
    type Table = Marked;

    fn table(&self, meanings: &[Meaning]) -> Option<Marked> {
        Some(Marked::new(meanings))
    }

    fn ruler(&self) -> Ruler {
        Ruler::new(self.span.bounds.clone(), 0)
    }

    fn take_codes<T: RowTimes, C: Code>(
        &self,
        state: &mut StickinessState,
        table: &Marked,
        _: Actor<'_>,
        run: CodeRun<'_, T, C>,
    ) -> Taken {
        let (ticks, bounds) = (run.times.ticks(), run.ruler.bounds.as_slice());
        let (mut active, mut row, mut bucket) = (0, 0, 0);
        while let Some(tick) = ticks.get(row) {
            bucket = bucket_of(bounds, (*tick).into(), bucket);
            let end = first_from(ticks, row + 1, bounds[bucket + 1]);
            active += usize::from(table.any(&run.codes[row..end]));
            row = end;
        }
        state.count(active);
        Taken::Whole
    }
}
