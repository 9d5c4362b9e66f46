//! Funnel: tallies into counts, times and groups.

use std::cmp::Reverse;

use ebbtide_model::Value;
use ebbtide_model::query::{Funnel, FunnelView, Interval, StepOrder};
use hashbrown::HashSet;
use num_bigint::BigInt;

use super::Asking;
use crate::EngineError;
use crate::answer::{Bucket, FunnelAnswer, FunnelCounts, FunnelGroup, FunnelSeries, FunnelStepCount};
use crate::behaviour::columns::Arrivals;
use crate::behaviour::drive::{Loaded, Loading};
use crate::behaviour::funnel::{FunnelFold, FunnelState, MEMBERS_MAX, Tally};
use crate::behaviour::load::Actors;
use crate::behaviour::span::Span;
use crate::exact::Ratio;

impl<'a> Asking<'a> {
    /// The buckets of a funnel's trends.
    pub(in crate::behaviour) fn funnel_span(&self, funnel: &Funnel) -> Result<Option<Span>, EngineError> {
        Ok(match funnel.view {
            FunnelView::Steps => None,
            FunnelView::Trends { interval, .. } => {
                Some(Span::asked(self.query, Interval::Unit(interval), self.as_of)?)
            }
        })
    }

    pub(in crate::behaviour) fn funnel_events(
        &self,
        funnel: &Funnel,
        fold: &FunnelFold<'_>,
    ) -> Result<Loaded<'a>, EngineError> {
        let (times, no_ties) = (fold.times(), HashSet::new());
        let arrivals = if funnel.order == StepOrder::Strict { Arrivals::Read } else { Arrivals::Unread };
        let loading = Loading { arrivals, ..self.loading(&times, Actors::Required, &no_ties) };
        loading.load(&self.query.sources)
    }

    pub(super) fn funnel(&mut self, funnel: &Funnel) -> Result<FunnelAnswer, EngineError> {
        let span = self.funnel_span(funnel)?;
        let fold = FunnelFold::new(self.query, funnel, span.as_ref(), self.as_of);
        let loaded = self.funnel_events(funnel, &fold)?;
        let fold = fold.with_groups(&loaded.groups, |group| self.is_empty(group))?;
        let mut state = loaded.fold_codes(&fold)?;
        let buckets =
            span.as_ref().zip(interval_of(funnel)).map(|(span, interval)| self.named_buckets(span, interval));
        let reading = Reading { asking: self, funnel, buckets: buckets.as_deref() };
        let groups = funnel.breakdown.as_ref().map(|breakdown| {
            let null = vec![Value::Null; breakdown.props.len()];
            let values = |rank: u32| {
                let group = loaded.groups.get(rank as usize);
                group.map_or_else(|| null.clone(), |group| self.group_values(group))
            };
            reading.groups(&state, breakdown.limit, &values)
        });
        let all = reading.counts(&state.all);
        let all_actors = funnel.count_all_actors.then_some(state.all_actors);
        let actors_at_step = funnel.list_actors.then(|| reading.members(&mut state));
        if state.members.iter().any(|members| members.len() > MEMBERS_MAX) {
            self.warnings.push(format!("actors are listed up to {MEMBERS_MAX} a step"));
        }
        Ok(FunnelAnswer { all, groups, actors_at_step, all_actors, buckets })
    }
}

fn interval_of(funnel: &Funnel) -> Option<Interval> {
    match funnel.view {
        FunnelView::Steps => None,
        FunnelView::Trends { interval, .. } => Some(Interval::Unit(interval)),
    }
}

struct Reading<'a> {
    asking: &'a Asking<'a>,
    funnel: &'a Funnel,
    buckets: Option<&'a [Bucket]>,
}

impl Reading<'_> {
    fn counts(&self, tally: &Tally) -> FunnelCounts {
        if let Some(buckets) = self.buckets {
            let begun = |bucket: &Bucket| bucket.start.is_none_or(|start| start <= self.asking.as_of);
            let known = |counts: &[u64]| {
                let count = |(bucket, count): (&Bucket, &u64)| begun(bucket).then_some(*count);
                buckets.iter().zip(counts).map(count).collect()
            };
            return FunnelCounts::Trends(FunnelSeries {
                entered: known(&tally.entered),
                converted: known(&tally.converted),
            });
        }
        let step = |(count, gaps): (&u64, &Vec<i64>)| FunnelStepCount {
            count: *count,
            avg_seconds: mean_seconds(gaps.iter().copied().map(i128::from).sum(), gaps.len() as u64),
            median_seconds: median_seconds(gaps),
        };
        FunnelCounts::Steps {
            steps: tally.counts.iter().zip(&tally.gaps).map(step).collect(),
            avg_between_seconds: self
                .funnel
                .time_between
                .map(|_| mean_seconds(tally.between.0, tally.between.1)),
        }
    }

    /// Those that most actors enter first, then by value; null is the last.
    fn groups(
        &self,
        state: &FunnelState,
        limit: Option<u32>,
        values: &dyn Fn(u32) -> Vec<Value>,
    ) -> Vec<FunnelGroup> {
        let mut groups: Vec<(u32, &Tally)> =
            state.groups.iter().map(|(rank, tally)| (*rank, tally)).collect();
        groups.sort_by_key(|(rank, tally)| (Reverse(tally.counts.first().copied()), *rank));
        groups.truncate(limit.map_or(usize::MAX, |limit| limit as usize));
        let group =
            |(rank, tally): (u32, &Tally)| FunnelGroup { value: values(rank), counts: self.counts(tally) };
        groups.into_iter().map(group).collect()
    }

    fn members(&self, state: &mut FunnelState) -> Vec<Vec<crate::answer::ActorId>> {
        let mut steps = Vec::new();
        for members in &mut state.members {
            members.sort_unstable();
            let listed = members.iter().take(MEMBERS_MAX);
            steps.push(listed.map(|(tenant, actor)| self.asking.actor_id(tenant, actor)).collect());
        }
        steps
    }
}

fn mean_seconds(micros: i128, count: u64) -> Option<Ratio> {
    Ratio::new(micros, u64::from(MICROS_PER_SECOND))?.over(count)
}

const MICROS_PER_SECOND: u32 = 1_000_000;

/// The middle one, or the mean of the two in the middle.
fn median_seconds(micros: &[i64]) -> Option<Ratio> {
    let last = micros.len().checked_sub(1)?;
    let low = nth(micros, last / 2)?;
    let high = if last % 2 == 0 { low } else { nth(micros, last / 2 + 1)? };
    Ratio::new(BigInt::from(low) + high, u64::from(MICROS_PER_SECOND))?.over(2)
}

/// What would be at this place if the numbers were in order. Most of them are but counted, by which of many equal ranges
/// they are in; those of one range are looked at closer.
fn nth(numbers: &[i64], place: usize) -> Option<i64> {
    const RANGES: usize = 1 << 11;
    let (least, most) = (*numbers.iter().min()?, *numbers.iter().max()?);
    let above = |number: i64| number.abs_diff(least);
    let shift = (u64::BITS - above(most).leading_zeros()).saturating_sub(RANGES.ilog2());
    let range = |number: i64| usize::try_from(above(number) >> shift).unwrap_or(RANGES - 1);
    let mut counts = vec![0_usize; RANGES];
    numbers.iter().for_each(|number| counts[range(*number)] += 1);
    let mut before = 0;
    let own = counts.iter().position(|count| {
        let is_there = place < before + count;
        before += if is_there { 0 } else { *count };
        is_there
    })?;
    let mut own: Vec<i64> = numbers.iter().copied().filter(|number| range(*number) == own).collect();
    Some(*own.select_nth_unstable(place - before).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_by_its_place() {
        let mut lists =
            vec![vec![7], vec![3, 3, 3], vec![i64::MIN, 0, i64::MAX], vec![-5, 4, 2_047, 2_048, -1]];
        for (count, spread) in [(1_000, 1), (5_000, 1_000_003), (5_000, i64::MAX / 7)] {
            lists.push(
                (0..count).map(|place: i64| place.wrapping_mul(48_271) % 997 * (spread / 997 + 1)).collect(),
            );
        }
        for list in lists {
            let mut sorted = list.clone();
            sorted.sort_unstable();
            for place in [0, list.len() / 3, list.len() / 2, list.len() - 1] {
                assert_eq!(nth(&list, place), Some(sorted[place]), "place {place} of {}", list.len());
            }
            assert_eq!(nth(&list, list.len()), None);
        }
    }
}
