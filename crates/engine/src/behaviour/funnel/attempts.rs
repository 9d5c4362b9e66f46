//! An actor's attempts: how deep each one gets, and when it reaches each step.
//!
//! At one instant events have no order of their own, so as many of the next steps are served as there are
//! different events for (a matching of steps with events); to be further at any time is never worse later.

use ebbtide_model::query::StepOrder;
use hashbrown::HashMap;

use super::trail::Trail;

/// What an attempt has to keep to.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) steps: usize,
    pub(crate) order: StepOrder,
    pub(crate) window: i64,
    /// The exclusion's events void between these steps.
    pub(crate) exclusions: Vec<(usize, usize)>,
}

/// An attempt that is not void: when it reached the first step, the second, … as far as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempt {
    pub(crate) times: Vec<i64>,
    /// The first of its events in the trail.
    pub(crate) first: usize,
}

/// What is kept from one attempt to the next, so as not to ask for memory each time.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    attempt: Attempt,
    matching: Matching,
    candidates: Vec<usize>,
}

impl Rules {
    /// Shows every attempt that is not void, the earliest first, until `seen` says that it is enough.
    pub(crate) fn attempts(
        &self,
        trail: &Trail,
        scratch: &mut Scratch,
        mut seen: impl FnMut(&Attempt) -> Enough,
    ) {
        let starts = match self.order {
            StepOrder::Strict | StepOrder::Ordered => trail.times.len(),
            StepOrder::Unordered => trail.instants.len(),
        };
        scratch.matching.known.clear();
        let mut instant = 0;
        for start in 0..starts {
            match self.order {
                StepOrder::Strict => self.strict(trail, start, scratch),
                StepOrder::Ordered => {
                    instant += usize::from(trail.instants[instant].end <= start);
                    self.ordered(trail, start, instant, scratch);
                }
                StepOrder::Unordered => self.unordered(trail, start, scratch),
            }
            let attempt = &scratch.attempt;
            if !attempt.times.is_empty()
                && !self.is_void(trail, &attempt.times)
                && seen(attempt) == Enough::Yes
            {
                return;
            }
        }
    }

    /// From one event: which of several simultaneous ones begins may matter, where they can serve
    /// different steps.
    fn ordered(&self, trail: &Trail, start: usize, first: usize, scratch: &mut Scratch) {
        let Scratch { attempt, matching, .. } = scratch;
        attempt.times.clear();
        attempt.first = start;
        let (begun, together) = (trail.times[start], trail.instants[first].clone());
        let alike = trail.steps[together.start..start].contains(&trail.steps[start]);
        if trail.steps[start] & 1 == 0 || alike {
            return;
        }
        let (before, after) = (&trail.steps[together.start..start], &trail.steps[start + 1..together.end]);
        let served = 1 + matching.in_a_row(&[before, after], 1, self.steps);
        attempt.times.resize(served, begun);
        let mut instant = first;
        while let Some(places) = trail.places.get(attempt.times.len()) {
            let next = places.get(places.partition_point(|place| *place <= instant));
            let Some(next) = next.filter(|next| trail.time_of(**next) - begun <= self.window) else {
                return;
            };
            instant = *next;
            let depth = attempt.times.len();
            let events = &trail.steps[trail.instants[instant].clone()];
            let served = match events {
                [_] => 1,
                _ => matching.in_a_row_at(instant, events, depth, self.steps),
            };
            attempt.times.resize(depth + served, trail.time_of(instant));
        }
    }

    fn strict(&self, trail: &Trail, start: usize, scratch: &mut Scratch) {
        let attempt = &mut scratch.attempt;
        attempt.times.clear();
        attempt.first = start;
        let begun = trail.times[start];
        let next = trail.times[start..].iter().zip(&trail.steps[start..]).take(self.steps);
        for (step, (time, steps)) in next.enumerate() {
            if steps & (1 << step) == 0 || time - begun > self.window {
                return;
            }
            attempt.times.push(*time);
        }
    }

    /// Of each step only the first events can matter, as many as there are steps: others would have the
    /// rest of them at most.
    fn unordered(&self, trail: &Trail, start: usize, scratch: &mut Scratch) {
        let Scratch { attempt, matching, candidates } = scratch;
        attempt.times.clear();
        attempt.first = trail.instants[start].start;
        let begun = trail.time_of(start);
        candidates.clear();
        for (step, places) in trail.places.iter().enumerate() {
            let first = places.partition_point(|place| *place < start);
            let events = places[first..].iter().flat_map(|place| trail.instants[*place].clone());
            let serving = events.filter(|event| trail.steps[*event] & (1 << step) != 0);
            candidates.extend(serving.take(self.steps));
        }
        candidates.sort_unstable();
        candidates.dedup();
        matching.clear(self.steps);
        for event in candidates.iter() {
            if attempt.times.len() == self.steps || trail.times[*event] - begun > self.window {
                return;
            }
            if matching.add(trail.steps[*event]) {
                attempt.times.push(trail.times[*event]);
            }
        }
    }

    fn is_void(&self, trail: &Trail, times: &[i64]) -> bool {
        let voids = |((after, before), excluded): (&(usize, usize), &Vec<(i64, u32)>)| {
            let (Some(first), Some(begun)) = (times.get(*after), times.first()) else {
                return false;
            };
            let next = excluded.partition_point(|(time, _)| time <= first);
            excluded.get(next).is_some_and(|(time, _)| match times.get(*before) {
                Some(reached) => time < reached,
                None => time - begun <= self.window,
            })
        };
        self.exclusions.iter().zip(&trail.excluded).any(voids)
    }
}

/// Whether more attempts are to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Enough {
    Yes,
    No,
}

/// Steps matched with different events that can serve them.
#[derive(Debug, Default)]
struct Matching {
    /// The steps that each event can serve.
    events: Vec<u64>,
    /// By step: its event.
    served_by: Vec<Option<usize>>,
    /// How many steps from one on an instant's events can serve, by instant and step.
    known: HashMap<(usize, usize), usize>,
}

impl Matching {
    fn clear(&mut self, steps: usize) {
        self.events.clear();
        self.served_by.clear();
        self.served_by.resize(steps, None);
    }

    /// The same for all events of an instant, which many attempts may come by.
    fn in_a_row_at(&mut self, instant: usize, events: &[u64], first: usize, steps: usize) -> usize {
        if let Some(known) = self.known.get(&(instant, first)) {
            return *known;
        }
        let served = self.in_a_row(&[events, &[]], first, steps);
        self.known.insert((instant, first), served);
        served
    }

    /// How many steps from `first` on the events can serve, each a different one.
    fn in_a_row(&mut self, events: &[&[u64]; 2], first: usize, steps: usize) -> usize {
        self.clear(steps);
        self.events.extend(events.iter().copied().flatten());
        let mut last = first;
        // Whole only if each step in turn finds an event, perhaps one that another step can spare.
        while last < steps && self.serve(last, &mut vec![false; self.events.len()]) {
            last += 1;
        }
        last - first
    }

    fn serve(&mut self, step: usize, tried: &mut [bool]) -> bool {
        for event in 0..self.events.len() {
            if self.events[event] & (1 << step) == 0 || std::mem::replace(&mut tried[event], true) {
                continue;
            }
            let taken = self.served_by.iter().position(|by| *by == Some(event));
            if taken.is_none_or(|other| self.serve(other, tried)) {
                self.served_by[step] = Some(event);
                return true;
            }
        }
        false
    }

    /// Takes one event more; whether one step more is served by that.
    fn add(&mut self, serves: u64) -> bool {
        self.events.push(serves);
        self.place(self.events.len() - 1, &mut 0)
    }

    fn place(&mut self, event: usize, tried: &mut u64) -> bool {
        for step in 0..self.served_by.len() {
            let bit = 1 << step;
            if self.events[event] & bit == 0 || *tried & bit != 0 {
                continue;
            }
            *tried |= bit;
            if self.served_by[step].is_none_or(|other| self.place(other, tried)) {
                self.served_by[step] = Some(event);
                return true;
            }
        }
        false
    }
}
