//! The lifecycle fold: in which periods an actor is active, and what that makes of it in each.

use super::fold::{Actor, Fold, Run};
use super::kernel::{Code, CodeRun, Kernel, Marked, Meaning, RowTimes, Ruler, Taken, bucket_of, first_from};
use super::key::OwnedKey;
use super::load::Times;
use super::span::Span;
use super::wire::wire;
use ebbtide_model::Instant;

/// What an actor is in a bucket.
pub(crate) const STATUSES: usize = 4;
pub(crate) const NEW: usize = 0;
pub(crate) const RETURNING: usize = 1;
pub(crate) const RESURRECTING: usize = 2;
pub(crate) const DORMANT: usize = 3;

#[derive(Debug)]
pub(crate) struct LifecycleFold<'a> {
    span: &'a Span,
    /// When the period before the first bucket starts.
    before: i64,
    members_limit: usize,
}

#[derive(Debug)]
pub(crate) struct LifecycleState {
    /// By bucket and status.
    pub(crate) counts: Vec<u64>,
    /// The same; one more than is listed, by which a cut is known. Empty where none are.
    pub(crate) members: Vec<Vec<(Box<str>, OwnedKey)>>,
    /// Buckets with events of the actor at hand, ascending; 0 is the period before the first bucket.
    active: Vec<usize>,
}

wire!(LifecycleState { counts, members; active });

impl<'a> LifecycleFold<'a> {
    pub(crate) fn new(span: &'a Span, before: Instant, members_limit: u32) -> Self {
        Self { span, before: before.micros(), members_limit: members_limit as usize }
    }

    /// All of history: who is new is who was never there before.
    pub(crate) fn times(&self, as_of: Instant) -> Times {
        let end = self.span.bounds.last().copied().unwrap_or(i64::MIN);
        Times { since: vec![i64::MIN], until: as_of.micros().min(end.saturating_sub(1)) }
    }

    fn count(&self, state: &mut LifecycleState, bucket: usize, status: usize, actor: Actor<'_>) {
        let place = bucket * STATUSES + status;
        state.counts[place] += 1;
        if let Some(members) = state.members.get_mut(place)
            && members.len() <= self.members_limit
        {
            members.push((Box::from(actor.tenant), actor.key.to_owned()));
        }
    }
}

impl LifecycleFold<'_> {
    /// What an actor with events in these places is in each bucket.
    fn count_actor(&self, state: &mut LifecycleState, active: &[usize], is_new: bool, actor: Actor<'_>) {
        for (index, place) in active.iter().enumerate() {
            if let Some(bucket) = place.checked_sub(1) {
                let earlier = index.checked_sub(1).map(|index| active[index]);
                let status = match earlier {
                    None if is_new => NEW,
                    Some(earlier) if earlier == bucket => RETURNING,
                    _ => RESURRECTING,
                };
                self.count(state, bucket, status, actor);
            }
            // The place of a bucket is the bucket after it.
            if *place < self.span.buckets() && active.get(index + 1) != Some(&(place + 1)) {
                self.count(state, *place, DORMANT, actor);
            }
        }
    }
}

impl Fold for LifecycleFold<'_> {
    type State = LifecycleState;

    fn fresh(&self) -> LifecycleState {
        let places = self.span.buckets() * STATUSES;
        let listed = if self.members_limit == 0 { 0 } else { places };
        LifecycleState { counts: vec![0; places], members: vec![Vec::new(); listed], active: Vec::new() }
    }

    fn take(&self, state: &mut LifecycleState, actor: Actor<'_>, run: Run<'_>) {
        let (Some(first_ever), Some(start)) = (run.times.first().copied(), self.span.bounds.first().copied())
        else {
            return;
        };
        let mut active = std::mem::take(&mut state.active);
        active.clear();
        let mut bucket = 0;
        for time in &run.times[run.times.partition_point(|time| *time < self.before)..] {
            let place = if *time < start {
                0
            } else {
                bucket = self.span.bucket_of(*time, bucket);
                bucket + 1
            };
            if active.last() != Some(&place) {
                active.push(place);
            }
        }
        self.count_actor(state, &active, first_ever >= start, actor);
        state.active = active;
    }

    fn merge(&self, into: &mut LifecycleState, other: LifecycleState) {
        into.counts.iter_mut().zip(other.counts).for_each(|(own, theirs)| *own += theirs);
        into.members.iter_mut().zip(other.members).for_each(|(own, theirs)| own.extend(theirs));
    }
}

impl Kernel for LifecycleFold<'_> {
    type Table = Marked;

    fn table(&self, meanings: &[Meaning]) -> Option<Marked> {
        Some(Marked::new(meanings))
    }

    fn ruler(&self) -> Ruler {
        let bounds = std::iter::once(self.before).chain(self.span.bounds.iter().copied());
        Ruler::new(bounds.collect(), 0)
    }

    fn take_codes<T: RowTimes, C: Code>(
        &self,
        state: &mut LifecycleState,
        table: &Marked,
        actor: Actor<'_>,
        run: CodeRun<'_, T, C>,
    ) -> Taken {
        // The first is the one before the buckets.
        let Some((before, bounds)) = run.ruler.bounds.split_first() else { return Taken::Whole };
        let (Some(start), Some(first)) = (bounds.first().copied(), table.first(run.codes)) else {
            return Taken::Whole;
        };
        let ticks = run.times.ticks();
        let mut active = std::mem::take(&mut state.active);
        active.clear();
        let mut row = first_from(ticks, first, *before);
        let mut bucket = 0;
        while let Some(tick) = ticks.get(row).map(|tick| (*tick).into()) {
            let (place, end) = if tick < start {
                (0, start)
            } else {
                bucket = bucket_of(bounds, tick, bucket);
                (bucket + 1, bounds[bucket + 1])
            };
            let end = first_from(ticks, row + 1, end);
            if table.any(&run.codes[row..end]) {
                active.push(place);
            }
            row = end;
        }
        self.count_actor(state, &active, ticks[first].into() >= start, actor);
        state.active = active;
        Taken::Whole
    }
}
