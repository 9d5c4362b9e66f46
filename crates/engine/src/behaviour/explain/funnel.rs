//! A funnel explained: which event served which step, and why the others did not.

use ebbtide_model::Instant;
use ebbtide_model::query::{BoundQuery, FirstTime, Funnel, StepOrder};
use hashbrown::HashSet;
use serde_json::{Map, Value as Json};

use super::record::{Recorded, Seen};
use super::words::{self, Rule};
use super::{Elsewhere, Explained, Verdict, elsewhere};
use crate::EngineError;
use crate::behaviour::ask::Asking;
use crate::behaviour::fold::{Actor, Fold, Run};
use crate::behaviour::funnel::{Best, FunnelFold};

/// The attempt that an actor is counted for.
struct BestFold<'a>(&'a FunnelFold<'a>);

impl Fold for BestFold<'_> {
    type State = Vec<Best>;

    fn fresh(&self) -> Vec<Best> {
        Vec::new()
    }

    fn take(&self, state: &mut Vec<Best>, _: Actor<'_>, run: Run<'_>) {
        state.push(self.0.best(run));
    }

    fn merge(&self, into: &mut Vec<Best>, other: Vec<Best>) {
        into.extend(other);
    }
}

impl Asking<'_> {
    pub(super) fn explain_funnel(
        &self,
        funnel: &Funnel,
        recorded: &Recorded,
    ) -> Result<Explained, EngineError> {
        let span = self.funnel_span(funnel)?;
        let fold = FunnelFold::new(self.query, funnel, span.as_ref(), self.as_of);
        let loaded = self.funnel_events(funnel, &fold)?;
        let fold = fold.with_groups(&loaded.groups, |group| self.is_empty(group))?;
        let best = loaded.fold(&BestFold(&fold))?.into_iter().next().unwrap_or_default();
        let since = span.as_ref().and_then(|span| span.bounds.first().copied());
        let reading = Reading {
            funnel,
            best: &best,
            since: since.or(self.query.from.map(Instant::micros)).unwrap_or(i64::MIN),
            until: self.query.to.map_or(i64::MAX, Instant::micros),
            events: &recorded.events,
        };
        Ok(reading.explained())
    }
}

struct Reading<'a> {
    funnel: &'a Funnel,
    best: &'a Best,
    since: i64,
    /// Exclusive.
    until: i64,
    events: &'a [Seen],
}

impl Reading<'_> {
    fn explained(&self) -> Explained {
        let served = self.served();
        let verdict = |(index, seen): (usize, &Seen)| {
            let step = served.iter().position(|event| *event == Some(index));
            self.verdict(seen, step)
        };
        Explained {
            rule: self.rule(),
            events: self.events.iter().enumerate().map(verdict).collect(),
            elsewhere: self.elsewhere(),
        }
    }

    fn inside(&self, seen: &Seen) -> bool {
        seen.time >= self.since && seen.time < self.until
    }

    fn steps_of(&self, seen: &Seen) -> Vec<usize> {
        (0..self.funnel.steps.len()).filter(|step| self.serves(seen, *step)).collect()
    }

    fn serves(&self, seen: &Seen, step: usize) -> bool {
        seen.has(BoundQuery::STEP, step) && self.is_first(seen, step)
    }

    /// Whether it is a first time, where the step wants one.
    fn is_first(&self, seen: &Seen, step: usize) -> bool {
        let bit = match self.funnel.steps[step].first_time {
            None => return true,
            Some(FirstTime::Ever) => BoundQuery::STEP_NAME,
            Some(FirstTime::Matching) => BoundQuery::STEP,
        };
        let first = self.events.iter().find(|other| other.has(bit, step));
        first.is_some_and(|first| first.time == seen.time)
    }

    /// By step: the event that served it in the attempt that counts.
    fn served(&self) -> Vec<Option<usize>> {
        let mut served = vec![None; self.funnel.steps.len()];
        let times = &self.best.times;
        for (place, time) in times.iter().enumerate() {
            match self.funnel.order {
                StepOrder::Unordered => self.serve_any(*time, &mut served),
                StepOrder::Ordered | StepOrder::Strict => {
                    let mut tried = HashSet::new();
                    self.serve(place, &mut served, &mut tried);
                }
            }
        }
        served
    }

    /// Finds an event for a step at its time, perhaps one that another step of that time can spare.
    fn serve(&self, step: usize, served: &mut [Option<usize>], tried: &mut HashSet<usize>) -> bool {
        let Some(time) = self.best.times.get(step) else { return false };
        for (index, seen) in self.events.iter().enumerate() {
            let fits = seen.time == *time && self.inside(seen) && self.serves(seen, step);
            if !fits || !tried.insert(index) {
                continue;
            }
            let taken = served.iter().position(|event| *event == Some(index));
            if taken.is_none_or(|other| self.serve(other, served, tried)) {
                served[step] = Some(index);
                return true;
            }
        }
        false
    }

    /// Finds an event of that time by which one step more is served, perhaps with others in other places.
    fn serve_any(&self, time: i64, served: &mut [Option<usize>]) {
        for (index, seen) in self.events.iter().enumerate() {
            let fits = seen.time == time && self.inside(seen) && !served.contains(&Some(index));
            if fits && self.place(index, served, &mut HashSet::new()) {
                return;
            }
        }
    }

    fn place(&self, event: usize, served: &mut [Option<usize>], tried: &mut HashSet<usize>) -> bool {
        for step in self.steps_of(&self.events[event]) {
            if !tried.insert(step) {
                continue;
            }
            if served[step].is_none_or(|other| self.place(other, served, tried)) {
                served[step] = Some(event);
                return true;
            }
        }
        false
    }

    fn verdict(&self, seen: &Seen, served: Option<usize>) -> Verdict {
        let steps = self.funnel.steps.len();
        let of = |bit: u8, count: usize, name: &str| -> Vec<String> {
            (0..count).filter(|index| seen.has(bit, *index)).map(|index| format!("{name}[{index}]")).collect()
        };
        let mut matched = of(BoundQuery::STEP, steps, "steps");
        matched.extend(of(BoundQuery::EXCLUSION, self.funnel.exclusions.len(), "exclusions"));
        let mut counts_in = Map::new();
        counts_in.insert("step".to_owned(), Json::from(served));
        Verdict { matched, counts_in, rule: self.event_rule(seen, served) }
    }

    fn event_rule(&self, seen: &Seen, served: Option<usize>) -> Rule {
        if let Some(step) = served {
            return Rule::new(words::SERVED_STEP).with("step", step);
        }
        if !self.inside(seen) {
            return Rule::new(words::OUTSIDE);
        }
        let excluded =
            (0..self.funnel.exclusions.len()).find(|index| seen.has(BoundQuery::EXCLUSION, *index));
        if let Some((index, exclusion)) = excluded.map(|index| (index, &self.funnel.exclusions[index])) {
            return Rule::new(words::EXCLUSION)
                .with("exclusion", index)
                .with("after", exclusion.after)
                .with("before", exclusion.before);
        }
        let marked = (0..self.funnel.steps.len()).find(|step| seen.has(BoundQuery::STEP, *step));
        let Some(marked) = marked else {
            return Rule::new(words::NO_STEP);
        };
        let words = match self.best.times.first() {
            _ if self.steps_of(seen).is_empty() => words::NOT_FIRST_TIME,
            None if self.best.voided => words::VOID_ATTEMPT,
            None => words::NO_ATTEMPT,
            Some(begun) if seen.time < *begun => words::LESSER_ATTEMPT,
            Some(begun) if seen.time - begun > self.funnel.window.micros() => words::AFTER_WINDOW,
            Some(_) => words::NOT_NEXT,
        };
        Rule::new(words).with("step", marked)
    }

    fn rule(&self) -> Rule {
        let (depth, steps) = (self.best.times.len(), self.funnel.steps.len());
        match depth {
            _ if depth == steps => Rule::new(words::CONVERTED).with("steps", steps),
            0 if self.best.voided => Rule::new(words::VOIDED),
            0 => Rule::new(words::NOT_ENTERED),
            depth => Rule::new(words::DROPPED).with("reached", depth - 1).with("lacking", depth),
        }
    }

    fn elsewhere(&self) -> Vec<Elsewhere> {
        let inside = self.events.iter().filter(|seen| self.inside(seen));
        let held = |seen: &Seen| self.steps_of(seen).into_iter().fold(0_u32, |held, step| held | 1 << step);
        let rows: Vec<(i64, u32)> = inside.map(|seen| (seen.time, held(seen))).collect();
        elsewhere::of_funnel(self.funnel, self.best, &rows)
    }
}
