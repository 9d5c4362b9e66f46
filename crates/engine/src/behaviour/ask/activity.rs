//! Lifecycle, stickiness and paths: counts into answers.

use std::cmp::Reverse;

use ebbtide_model::query::{Interval, Lifecycle, Paths, Stickiness};
use ebbtide_model::{Fault, Instant, Value};

use super::Asking;
use crate::EngineError;
use crate::answer::{
    ActorId, Bucket, Edge, LifecycleAnswer, LifecycleBucket, PathsAnswer, StatusMembers, StickinessAnswer,
};
use crate::behaviour::key::OwnedKey;
use crate::behaviour::lifecycle::{
    DORMANT, LifecycleFold, LifecycleState, NEW, RESURRECTING, RETURNING, STATUSES,
};
use crate::behaviour::load::{Actors, Times};
use crate::behaviour::paths::PathsFold;
use crate::behaviour::span::Span;
use crate::behaviour::stickiness::StickinessFold;

/// Edges in an answer, at most.
const EDGES_MAX: usize = 1_000_000;

impl Asking<'_> {
    pub(super) fn lifecycle(&mut self, lifecycle: &Lifecycle) -> Result<LifecycleAnswer, EngineError> {
        let span = Span::whole(self.query, lifecycle.interval, self.as_of)?;
        let first = span.starts.first().copied().flatten().unwrap_or(self.as_of);
        let before = self.query.calendar.period_before(lifecycle.interval, first);
        let fold = LifecycleFold::new(&span, before, lifecycle.members_limit);
        let loaded = self.load(&fold.times(self.as_of), Actors::Required)?;
        let mut state = loaded.fold_codes(&fold)?;
        let limit = lifecycle.members_limit as usize;
        let mut cut = false;
        for members in &mut state.members {
            members.sort_unstable();
            cut |= members.len() > limit;
            members.truncate(limit);
        }
        if cut {
            self.warnings.push(format!("actors are listed up to {limit} a bucket and status"));
        }
        let buckets = self.named_buckets(&span, Interval::Unit(lifecycle.interval));
        let bucket = |(index, bucket): (usize, Bucket)| self.lifecycle_bucket(&state, index, bucket);
        Ok(LifecycleAnswer { buckets: buckets.into_iter().enumerate().map(bucket).collect() })
    }

    fn lifecycle_bucket(&self, state: &LifecycleState, index: usize, bucket: Bucket) -> LifecycleBucket {
        let begun = bucket.start.is_none_or(|start| start <= self.as_of);
        let place = |status: usize| index * STATUSES + status;
        let count = |status: usize| begun.then(|| state.counts[place(status)]);
        let id = |(tenant, actor): &(Box<str>, OwnedKey)| self.actor_id(tenant, actor);
        let members = |status: usize| -> Vec<ActorId> {
            state.members.get(place(status)).filter(|_| begun).into_iter().flatten().map(id).collect()
        };
        LifecycleBucket {
            bucket,
            new: count(NEW),
            returning: count(RETURNING),
            resurrecting: count(RESURRECTING),
            dormant: count(DORMANT),
            members: StatusMembers {
                new: members(NEW),
                returning: members(RETURNING),
                resurrecting: members(RESURRECTING),
                dormant: members(DORMANT),
            },
        }
    }

    pub(super) fn stickiness(&self, stickiness: &Stickiness) -> Result<StickinessAnswer, EngineError> {
        let span = Span::asked(self.query, Interval::Unit(stickiness.interval), self.as_of)?;
        let span = span.joined(stickiness.interval_count as usize);
        let loaded = self.load(&span.times(self.as_of), Actors::Required)?;
        let data = loaded.fold_codes(&StickinessFold::new(&span))?.data;
        let mut actors_total = 0;
        let mut at_least: Vec<u64> = data
            .iter()
            .rev()
            .map(|actors| {
                actors_total += actors;
                actors_total
            })
            .collect();
        at_least.reverse();
        Ok(StickinessAnswer { data, at_least, actors_total })
    }

    pub(super) fn paths(&self, paths: &Paths) -> Result<PathsAnswer, EngineError> {
        let since = self.query.from.map_or(i64::MIN, Instant::micros);
        let end = self.query.to.map_or(i64::MAX, |to| to.micros().saturating_sub(1));
        let times = Times { since: vec![since, since], until: self.as_of.micros().min(end) };
        let loaded = self.load(&times, Actors::Required)?;
        let state = loaded.fold(&PathsFold::new(paths))?;
        let mut edges: Vec<((u32, u32, u32), u64)> = state.edges.into_iter().collect();
        if let Some(limit) = paths.limit {
            // Ranks are in the order of values.
            edges.sort_unstable_by_key(|(edge, count)| (Reverse(*count), *edge));
            edges.truncate(limit as usize);
        }
        if edges.len() > EDGES_MAX {
            let problem = format!(
                "there are {} different edges; allowed are {EDGES_MAX}: set `limit` or `steps`, or filter",
                edges.len()
            );
            return Err(Fault { path: "limit".to_owned(), problem }.into());
        }
        edges.sort_unstable_by_key(|((step, from, to), count)| (*step, Reverse(*count), *from, *to));
        let column_type = self.value_type();
        let item = |rank: u32| {
            let found = loaded.values.get(rank as usize).zip(column_type);
            found.map_or(Value::Null, |(key, column_type)| key.value(column_type))
        };
        let edge = |((step, from, to), count): &((u32, u32, u32), u64)| Edge {
            step: *step,
            from: item(*from),
            to: item(*to),
            count: *count,
        };
        Ok(PathsAnswer { edges: edges.iter().map(edge).collect() })
    }
}
