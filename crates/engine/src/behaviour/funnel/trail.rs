//! What of an actor's events a funnel looks at: those that can serve steps, and those that void attempts.

use std::ops::Range;

use ebbtide_model::query::{BoundQuery, FirstTime};

use crate::behaviour::fold::Run;

/// How events become a trail.
#[derive(Debug)]
pub(crate) struct Marking {
    /// By step.
    pub(crate) first_times: Vec<Option<FirstTime>>,
    pub(crate) exclusions: usize,
    /// Earlier events say only what was a first time.
    pub(crate) since: i64,
    /// Whether simultaneous events have an order, and those that serve no step a place in it.
    pub(crate) keeps_others: bool,
}

/// An actor's events in order. Cleared and filled anew for each actor.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    pub(crate) times: Vec<i64>,
    /// By bit: the steps that the event can serve.
    pub(crate) steps: Vec<u64>,
    /// Ranks of the breakdown's values.
    pub(crate) groups: Vec<u32>,
    /// By exclusion: when it happened, ascending, with the rank of the breakdown's value.
    pub(crate) excluded: Vec<Vec<(i64, u32)>>,
    /// Events of one time each.
    pub(crate) instants: Vec<Range<usize>>,
    /// By step: the instants at which an event can serve it.
    pub(crate) places: Vec<Vec<usize>>,
    /// By step: the event that is the first one, where it is to be that.
    firsts: Vec<Option<usize>>,
}

impl Marking {
    fn has(marks: u64, bit: u8, index: usize) -> bool {
        u32::try_from(index).is_ok_and(|index| marks & (1 << (u32::from(bit) + index)) != 0)
    }

    /// Fills a trail with an actor's events.
    pub(crate) fn read(&self, run: Run<'_>, trail: &mut Trail) {
        trail.clear(self.exclusions, self.first_times.len());
        for (step, first_time) in self.first_times.iter().enumerate() {
            let bit = match first_time {
                None => continue,
                Some(FirstTime::Ever) => BoundQuery::STEP_NAME,
                Some(FirstTime::Matching) => BoundQuery::STEP,
            };
            trail.firsts[step] = (0..run.len()).find(|index| Self::has(run.marks[*index], bit, step));
        }
        for index in run.times.partition_point(|time| *time < self.since)..run.len() {
            let (time, marks, group) = (run.times[index], run.marks[index], run.group(index));
            // Of simultaneous events each is as much the first as the others, unless they have an order.
            let is_first = |first: usize| first == index || !self.keeps_others && run.times[first] == time;
            let serves = |step: &usize| {
                Self::has(marks, BoundQuery::STEP, *step)
                    && (self.first_times[*step].is_none() || trail.firsts[*step].is_some_and(is_first))
            };
            let steps = (0..self.first_times.len()).filter(serves).fold(0, |steps, step| steps | 1 << step);
            if steps != 0 || self.keeps_others {
                trail.times.push(time);
                trail.steps.push(steps);
                trail.groups.push(group);
            }
            for (exclusion, excluded) in trail.excluded.iter_mut().enumerate() {
                if Self::has(marks, BoundQuery::EXCLUSION, exclusion) {
                    excluded.push((time, group));
                }
            }
        }
        trail.index();
    }
}

impl Trail {
    fn clear(&mut self, exclusions: usize, steps: usize) {
        self.times.clear();
        self.steps.clear();
        self.groups.clear();
        self.excluded.resize_with(exclusions, Vec::new);
        self.excluded.iter_mut().for_each(Vec::clear);
        self.places.resize_with(steps, Vec::new);
        self.firsts.clear();
        self.firsts.resize(steps, None);
    }

    /// Makes this what of another trail is of one group.
    pub(crate) fn only(&mut self, group: u32, of: &Self) {
        self.clear(of.excluded.len(), of.places.len());
        for index in (0..of.times.len()).filter(|index| of.groups[*index] == group) {
            self.times.push(of.times[index]);
            self.steps.push(of.steps[index]);
            self.groups.push(group);
        }
        for (own, theirs) in self.excluded.iter_mut().zip(&of.excluded) {
            own.extend(theirs.iter().copied().filter(|(_, other)| *other == group));
        }
        self.index();
    }

    /// Finds the instants, and where each step is served.
    fn index(&mut self) {
        self.instants.clear();
        self.places.iter_mut().for_each(Vec::clear);
        let mut start = 0;
        while let Some(time) = self.times.get(start) {
            let end = start + self.times[start..].partition_point(|other| other == time);
            let steps = self.steps[start..end].iter().fold(0, |all, steps| all | steps);
            for (step, places) in self.places.iter_mut().enumerate() {
                if steps & (1 << step) != 0 {
                    places.push(self.instants.len());
                }
            }
            self.instants.push(start..end);
            start = end;
        }
    }

    pub(crate) fn time_of(&self, instant: usize) -> i64 {
        self.times[self.instants[instant].start]
    }
}
