//! The funnel fold: each actor's deepest attempt, counted over all, by group, or by when it started.

mod attempts;
mod ordered;
mod trail;

use ebbtide_model::query::{Attribution, BoundQuery, Funnel, FunnelView, StepOrder};
use ebbtide_model::{Fault, Instant};
use hashbrown::HashMap;

use self::attempts::{Attempt, Enough, Rules, Scratch};
use self::trail::{Marking, Trail};
use super::fold::{Actor, Fold, Run};
use super::key::{Group, OwnedKey};
use super::load::{NO_CODE, Times};
use super::span::Span;
use super::wire::wire;

/// Actors that are listed at a step, at most.
pub(crate) const MEMBERS_MAX: usize = 100_000;
/// Buckets or steps of all groups while events are folded, at most: about a hundred bytes each.
const CELLS_MAX: usize = 1_000_000;
/// Of those that are answered: about a thousand bytes each.
const ANSWERED_MAX: usize = 200_000;

#[derive(Debug)]
pub(crate) struct FunnelFold<'a> {
    rules: Rules,
    marking: Marking,
    until: i64,
    attribution: Option<Attribution>,
    /// By rank of the breakdown's value.
    kinds: Vec<GroupKind>,
    /// Groups that are answered, at most.
    limit: usize,
    between: Option<(usize, usize)>,
    trends: Option<Trends<'a>>,
    list_actors: bool,
    count_all_actors: bool,
}

#[derive(Debug)]
struct Trends<'a> {
    span: &'a Span,
    from_step: usize,
    to_step: usize,
}

/// What a group says about who is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GroupKind {
    Value,
    /// Nothing but nulls and empty texts.
    Empty,
    Null,
}

/// Counts of one group, or of all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// By step.
    pub(crate) counts: Vec<u64>,
    /// By step after the first: the time from the one before, of each actor who got there.
    pub(crate) gaps: Vec<Vec<i64>>,
    /// Sum and count of the times between the two steps that were asked for.
    pub(crate) between: (i128, u64),
    /// By bucket.
    pub(crate) entered: Vec<u64>,
    pub(crate) converted: Vec<u64>,
}

wire!(Tally { counts, gaps, between, entered, converted });

#[derive(Debug)]
pub(crate) struct FunnelState {
    pub(crate) all: Tally,
    /// By rank of the breakdown's value; [`NO_CODE`]: null.
    pub(crate) groups: HashMap<u32, Tally>,
    /// By step; one more than is listed, by which a cut is known.
    pub(crate) members: Vec<Vec<(Box<str>, OwnedKey)>>,
    pub(crate) all_actors: u64,
    trail: Trail,
    apart: Trail,
    scratch: Scratch,
    /// When the steps of the attempt at hand were reached.
    times: Vec<i64>,
}

wire!(FunnelState { all, groups, members, all_actors; trail, apart, scratch, times });

/// What one actor is counted for: its deepest attempt, and by bucket which steps were reached.
#[derive(Debug, Default)]
struct Found {
    best: Attempt,
    entered: Vec<usize>,
    converted: Vec<usize>,
}

/// What explains an actor's place in a funnel.
#[derive(Clone, Debug, Default)]
pub(crate) struct Best {
    /// When each step was reached by the attempt that counts, as far as that came.
    pub(crate) times: Vec<i64>,
    /// Whether an attempt is void.
    pub(crate) voided: bool,
}

wire!(Best { times, voided });

impl<'a> FunnelFold<'a> {
    /// `span`: the buckets, where the view is over time.
    pub(crate) fn new(query: &BoundQuery, funnel: &Funnel, span: Option<&'a Span>, as_of: Instant) -> Self {
        let trends = match (funnel.view, span) {
            (FunnelView::Trends { from_step, to_step, .. }, Some(span)) => {
                Some(Trends { span, from_step: usize::from(from_step), to_step: usize::from(to_step) })
            }
            _ => None,
        };
        let (from, to) = (query.from.map(Instant::micros), query.to.map(Instant::micros));
        let since = span.map_or(from, |span| span.bounds.first().copied().or(from)).unwrap_or(i64::MIN);
        Self {
            rules: Rules {
                steps: funnel.steps.len(),
                order: funnel.order,
                window: funnel.window.micros(),
                exclusions: funnel
                    .exclusions
                    .iter()
                    .map(|exclusion| (usize::from(exclusion.after), usize::from(exclusion.before)))
                    .collect(),
            },
            marking: Marking {
                first_times: funnel.steps.iter().map(|step| step.first_time).collect(),
                exclusions: funnel.exclusions.len(),
                since,
                keeps_others: funnel.order == StepOrder::Strict,
            },
            until: as_of.micros().min(to.map_or(i64::MAX, |to| to.saturating_sub(1))),
            attribution: funnel.breakdown.as_ref().map(|breakdown| breakdown.attribution),
            kinds: Vec::new(),
            limit: funnel
                .breakdown
                .as_ref()
                .and_then(|breakdown| breakdown.limit)
                .map_or(usize::MAX, |limit| limit as usize),
            between: funnel.time_between.map(|(from, to)| (usize::from(from), usize::from(to))),
            trends,
            list_actors: funnel.list_actors,
            count_all_actors: funnel.count_all_actors,
        }
    }

    /// What is a first time is for all of history to say.
    pub(crate) fn times(&self) -> Times {
        let mut since = vec![self.marking.since; usize::from(BoundQuery::ANY) + 1];
        for (step, first_time) in self.marking.first_times.iter().enumerate() {
            if first_time.is_some() {
                since[usize::from(BoundQuery::STEP) + step] = i64::MIN;
                since[usize::from(BoundQuery::STEP_NAME) + step] = i64::MIN;
            }
        }
        Times { since, until: self.until }
    }

    /// The groups by rank of their value, and whether one says nothing but nulls and empty texts.
    pub(crate) fn with_groups(
        mut self,
        groups: &[Group],
        is_empty: impl Fn(&Group) -> bool,
    ) -> Result<Self, Fault> {
        let (cells, what, hint) = match &self.trends {
            Some(trends) => (trends.span.buckets(), "buckets", ", a wider `interval`"),
            None => (self.rules.steps, "steps", ""),
        };
        let answered = groups.len().min(self.limit);
        for (groups, allowed) in [(groups.len(), CELLS_MAX), (answered, ANSWERED_MAX)] {
            if groups.saturating_mul(cells) > allowed {
                let problem = format!(
                    "the properties have {groups} values to be told apart, each with {cells} {what}; allowed are {allowed} \
                     {what} in all: ask for a lower `breakdown.limit`{hint}, or filter"
                );
                return Err(Fault { path: "breakdown".to_owned(), problem });
            }
        }
        let kind = |group: &Group| {
            if group.iter().all(|key| *key == OwnedKey::Null) {
                GroupKind::Null
            } else if is_empty(group) {
                GroupKind::Empty
            } else {
                GroupKind::Value
            }
        };
        self.kinds = groups.iter().map(kind).collect();
        Ok(self)
    }

    fn tally(&self) -> Tally {
        let buckets = self.trends.as_ref().map_or(0, |trends| trends.span.buckets());
        Tally {
            counts: vec![0; self.rules.steps],
            gaps: vec![Vec::new(); self.rules.steps],
            between: (0, 0),
            entered: vec![0; buckets],
            converted: vec![0; buckets],
        }
    }

    fn find(&self, trail: &Trail, scratch: &mut Scratch) -> Found {
        let mut found = Found::default();
        self.rules.attempts(trail, scratch, |attempt| {
            let (depth, best) = (attempt.times.len(), &mut found.best);
            let whole = best.times.len() == self.rules.steps;
            if whole && self.trends.is_none() && attempt.times[0] > best.times[0] {
                return Enough::Yes;
            }
            // Of attempts from one instant, the one that comes through first.
            let better = depth == best.times.len() && attempt.times < best.times;
            if depth > best.times.len() || better {
                best.clone_from(attempt);
            }
            let Some(trends) = &self.trends else {
                return Enough::No;
            };
            let hint = found.entered.last().copied().unwrap_or(0);
            let bucket = trends.span.bucket_of(attempt.times[0], hint);
            for (step, buckets) in
                [(trends.from_step, &mut found.entered), (trends.to_step, &mut found.converted)]
            {
                // Attempts come in order of time, so a bucket that was seen was seen last.
                if depth > step && buckets.last() != Some(&bucket) {
                    buckets.push(bucket);
                }
            }
            Enough::No
        });
        found
    }

    /// The attempt that an actor with these events is counted for.
    pub(crate) fn best(&self, run: Run<'_>) -> Best {
        let (mut trail, mut scratch) = (Trail::default(), Scratch::default());
        self.marking.read(run, &mut trail);
        let times = self.find(&trail, &mut scratch).best.times;
        let mut count = |rules: &Rules| {
            let mut attempts = 0_u64;
            rules.attempts(&trail, &mut scratch, |_| {
                attempts += 1;
                Enough::No
            });
            attempts
        };
        let unvoided = Rules { exclusions: Vec::new(), ..self.rules };
        Best { times, voided: count(&unvoided) > count(&self.rules) }
    }

    fn count(&self, tally: &mut Tally, found: &Found) {
        self.count_steps(tally, found.best.times.len());
        self.count_gaps(tally, &found.best.times);
        found.entered.iter().for_each(|bucket| tally.entered[*bucket] += 1);
        found.converted.iter().for_each(|bucket| tally.converted[*bucket] += 1);
    }

    fn count_steps(&self, tally: &mut Tally, depth: usize) {
        tally.counts.iter_mut().take(depth).for_each(|count| *count += 1);
    }

    /// By when each step was reached.
    fn count_gaps(&self, tally: &mut Tally, times: &[i64]) {
        for (gaps, pair) in tally.gaps.iter_mut().skip(1).zip(times.windows(2)) {
            gaps.push(pair[1] - pair[0]);
        }
        if let Some((from, to)) = self.between.and_then(|(from, to)| times.get(from).zip(times.get(to))) {
            tally.between.0 += i128::from(to - from);
            tally.between.1 += 1;
        }
    }

    fn kind(&self, group: u32) -> GroupKind {
        self.kinds.get(group as usize).copied().unwrap_or(GroupKind::Null)
    }

    /// A group, null as one.
    fn named(&self, group: u32) -> u32 {
        if self.kind(group) == GroupKind::Null { NO_CODE } else { group }
    }

    /// The group that an actor is in by one of its events.
    fn group_of(&self, attribution: Attribution, trail: &Trail, found: &Found) -> u32 {
        let serving = (0..trail.times.len()).filter(|event| trail.steps[*event] != 0);
        let valued = serving.filter(|event| self.kind(trail.groups[*event]) == GroupKind::Value);
        let place = |event: usize| (trail.times[event], trail.groups[event]);
        let group = match attribution {
            Attribution::FirstTouch => valued.map(place).min().map(|(_, group)| group),
            Attribution::LastTouch => {
                let last = valued.map(place).max_by_key(|(time, group)| (*time, std::cmp::Reverse(*group)));
                last.map(|(_, group)| group)
            }
            Attribution::Step(step) => self.served(usize::from(step), trail, &found.best),
            Attribution::AllEvents => None,
        };
        group.map_or(NO_CODE, |group| self.named(group))
    }

    /// The group of the event that served a step of an attempt; of simultaneous ones, the least.
    fn served(&self, step: usize, trail: &Trail, attempt: &Attempt) -> Option<u32> {
        let least = |time: i64| {
            let first = trail.times.partition_point(|other| *other < time);
            let events = (first..trail.times.len()).take_while(|event| trail.times[*event] == time);
            let serving = events.filter(|event| trail.steps[*event] & (1 << step) != 0);
            serving.map(|event| trail.groups[event]).min()
        };
        match self.rules.order {
            StepOrder::Ordered => least(*attempt.times.get(step)?),
            StepOrder::Strict => {
                attempt.times.get(step)?;
                trail.groups.get(attempt.first + step).copied()
            }
            StepOrder::Unordered => {
                let begun = *attempt.times.first()?;
                let events = attempt.first..trail.times.len();
                let mut serving = events.filter(|event| trail.steps[*event] & (1 << step) != 0);
                let time = serving.next().map(|event| trail.times[event])?;
                if time - begun > self.rules.window { None } else { least(time) }
            }
        }
    }

    fn count_group(&self, state: &mut FunnelState, group: u32, found: &Found) {
        if !found.best.times.is_empty() {
            self.count(state.groups.entry(group).or_insert_with(|| self.tally()), found);
        }
    }

    /// Runs the funnel on each value's events apart.
    fn count_apart(&self, state: &mut FunnelState, trail: &Trail, scratch: &mut Scratch) {
        let serving = (0..trail.times.len()).filter(|event| trail.steps[*event] != 0);
        let mut groups: Vec<u32> = serving.map(|event| trail.groups[event]).collect();
        groups.sort_unstable();
        groups.dedup();
        let mut apart = std::mem::take(&mut state.apart);
        for group in groups {
            apart.only(group, trail);
            let found = self.find(&apart, scratch);
            self.count_group(state, self.named(group), &found);
        }
        state.apart = apart;
    }
}

impl Fold for FunnelFold<'_> {
    type State = FunnelState;

    fn fresh(&self) -> FunnelState {
        let listed = if self.list_actors { self.rules.steps } else { 0 };
        FunnelState {
            all: self.tally(),
            groups: HashMap::new(),
            members: vec![Vec::new(); listed],
            all_actors: 0,
            trail: Trail::default(),
            apart: Trail::default(),
            scratch: Scratch::default(),
            times: Vec::new(),
        }
    }

    fn take(&self, state: &mut FunnelState, actor: Actor<'_>, run: Run<'_>) {
        let any = |marks: &u64| marks & (1 << BoundQuery::ANY) != 0;
        if self.count_all_actors && run.marks.iter().any(any) {
            state.all_actors += 1;
        }
        let mut trail = std::mem::take(&mut state.trail);
        let mut scratch = std::mem::take(&mut state.scratch);
        self.marking.read(run, &mut trail);
        let found = self.find(&trail, &mut scratch);
        self.count(&mut state.all, &found);
        for (members, _) in state.members.iter_mut().zip(&found.best.times) {
            if members.len() <= MEMBERS_MAX {
                members.push((Box::from(actor.tenant), actor.key.to_owned()));
            }
        }
        match self.attribution {
            None => {}
            Some(Attribution::AllEvents) => self.count_apart(state, &trail, &mut scratch),
            Some(attribution) => {
                let group = self.group_of(attribution, &trail, &found);
                self.count_group(state, group, &found);
            }
        }
        state.trail = trail;
        state.scratch = scratch;
    }

    fn merge(&self, into: &mut FunnelState, other: FunnelState) {
        into.all.merge(other.all);
        for (group, tally) in other.groups {
            into.groups.entry(group).or_insert_with(|| self.tally()).merge(tally);
        }
        into.members.iter_mut().zip(other.members).for_each(|(own, theirs)| own.extend(theirs));
        into.all_actors += other.all_actors;
    }
}

impl Tally {
    fn merge(&mut self, other: Self) {
        let add = |own: &mut [u64], theirs: &[u64]| {
            own.iter_mut().zip(theirs).for_each(|(own, theirs)| *own += theirs);
        };
        add(&mut self.counts, &other.counts);
        add(&mut self.entered, &other.entered);
        add(&mut self.converted, &other.converted);
        self.gaps.iter_mut().zip(other.gaps).for_each(|(own, theirs)| own.extend(theirs));
        self.between.0 += other.between.0;
        self.between.1 += other.between.1;
    }
}
