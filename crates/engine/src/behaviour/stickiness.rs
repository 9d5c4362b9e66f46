//! The stickiness fold: in how many buckets an actor has events.

use super::fold::{Actor, Fold, Run};
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
        if let Some(actors) = state.data.get_mut(active - usize::from(active > 0)) {
            *actors += u64::from(active > 0);
        }
    }

    fn merge(&self, into: &mut StickinessState, other: StickinessState) {
        into.data.iter_mut().zip(other.data).for_each(|(own, theirs)| *own += theirs);
    }
}
