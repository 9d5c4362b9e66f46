//! Sessions while they are over: when each began, since when it was idle, perhaps until an event came after all, and
//! what it was like by then. Those that a moment is among are the sessions that had ended by then.

use std::cmp::Ordering;

use ebbtide_model::Value;
use ebbtide_model::query::{Dropoff, SplitBy, SplitTest, Splits};
use hashbrown::HashMap;

use super::durations::Durations;
use super::moments::Moments;
use crate::behaviour::dropoff::{Runs, Session, SessionRules, Shown};
use crate::behaviour::fold::{Actor, Fold, Run};
use crate::behaviour::key::{Group, Key, OwnedKey};
use crate::behaviour::standing::Prints;
use crate::behaviour::wire::{Wire, wire};

/// The splits of a query are so many at most.
const SPLITS_MAX: usize = 8;
/// A value of a session: none, or one of a list, by number from 1 on.
const NONE: u32 = 0;
/// Those of a question.
const THEN: u32 = 1;
const OTHERWISE: u32 = 2;

/// By split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Values([u32; SPLITS_MAX]);

impl Wire for Values {
    fn put(&self, bytes: &mut Vec<u8>) {
        self.0.iter().for_each(|value| value.put(bytes));
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let mut values = Self::default();
        for value in &mut values.0 {
            *value = u32::take(bytes)?;
        }
        Some(values)
    }
}

/// What sessions are alike in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Kind {
    values: Values,
    /// By bit: the steps that they were at.
    reached: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Phase {
    began: i64,
    since: i64,
    /// An event came then.
    until: i64,
    /// Whose first event it began with; nobody's where both halves are 0.
    user: (u64, u64),
    values: Values,
    reached: u64,
}

#[derive(Debug, Default)]
pub(super) struct Gathered {
    phases: Vec<Phase>,
    /// Whose events were when, where that is asked for.
    events: Vec<(u64, u64, i64)>,
}

wire!(Phase { began, since, until, user, values, reached });
wire!(Gathered { phases, events });

/// The values of properties, each by its number, of all sources.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// By property that sessions are split by.
    numbers: Vec<HashMap<OwnedKey, u32>>,
}

impl Known {
    /// By group of a source's events, the numbers of its values.
    pub(super) fn number(&mut self, splits: &Splits, groups: &[Group]) -> Vec<Vec<u32>> {
        self.numbers.resize_with(splits.props().count(), HashMap::new);
        let number = |(known, key): (&mut HashMap<OwnedKey, u32>, &OwnedKey)| {
            if *key == OwnedKey::Null {
                return NONE;
            }
            let next = u32::try_from(known.len() + 1).unwrap_or(u32::MAX);
            *known.entry(key.clone()).or_insert(next)
        };
        groups.iter().map(|group| self.numbers.iter_mut().zip(group).map(number).collect()).collect()
    }
}

pub(super) struct PhasesFold<'a> {
    pub(super) rules: SessionRules,
    pub(super) runs: Runs<'a>,
    pub(super) splits: &'a Splits,
    /// By group, then property.
    pub(super) groups: &'a [Vec<u32>],
    pub(super) prints: &'a Prints,
}

impl PhasesFold<'_> {
    fn asks_for_pauses(&self) -> bool {
        pauses(self.splits).next().is_some()
    }

    /// A session's events.
    fn walk(&self, into: &mut Gathered, actor: Actor<'_>, run: Run<'_>) {
        let user = |index: usize| {
            let key = match self.runs {
                Runs::Sessions(users) => {
                    users.get(run.value(index) as usize).map_or(Key::Null, OwnedKey::as_key)
                }
                Runs::Actors => actor.key,
            };
            self.prints.of_user(actor.tenant, key).map(|[low, high]| (low, high))
        };
        let began_with = user(0).unwrap_or_default();
        if self.asks_for_pauses() {
            let events = (0..run.len()).filter_map(|index| user(index).map(|user| (user, run.times[index])));
            into.events.extend(events.map(|((low, high), at)| (low, high, at)));
        }
        let mut session: Option<Session> = None;
        let mut seen = Attributes { values: Values::default(), sum: 0.0, count: 0 };
        for index in 0..run.len() {
            let event = Session::begin(Shown::of_run(run, index));
            let known = match session.take() {
                Some(known) => known.joined(event),
                None => event,
            };
            let known = session.insert(known);
            seen.take(self, run, index);
            let until = run.times.get(index + 1).copied().unwrap_or(i64::MAX);
            let since = known.idle_at(self.rules);
            if until > since && known.is_placed() {
                let (began, reached) = (known.started, known.reached);
                let values = seen.values(self.splits);
                into.phases.push(Phase { began, since, until, user: began_with, values, reached });
            }
        }
    }
}

/// What the events of a session have said so far.
struct Attributes {
    values: Values,
    sum: f64,
    count: u32,
}

impl Attributes {
    fn take(&mut self, fold: &PhasesFold<'_>, run: Run<'_>, index: usize) {
        let told = fold.groups.get(run.group(index) as usize).map_or(&[][..], Vec::as_slice);
        for (split, number) in props(fold.splits).zip(told) {
            if let Some(value) = self.values.0.get_mut(split).filter(|value| **value == NONE) {
                *value = *number;
            }
        }
        if let Some(number) = run.numbers.get(index).copied().flatten() {
            self.sum += number.to_f64();
            self.count += 1;
        }
    }

    fn values(&self, splits: &Splits) -> Values {
        let mut values = self.values;
        for (value, split) in values.0.iter_mut().zip(&splits.by) {
            if let SplitBy::Whether(SplitTest::Mean { at_least, .. }, _) = &split.by
                && self.count > 0
            {
                let is_so = self.sum / f64::from(self.count) >= *at_least;
                *value = if is_so { THEN } else { OTHERWISE };
            }
        }
        values
    }
}

/// The splits by a property's first value.
fn props(splits: &Splits) -> impl Iterator<Item = usize> {
    let by = splits.by.iter().enumerate();
    by.filter(|(_, split)| matches!(split.by, SplitBy::Prop(_))).map(|(index, _)| index)
}

fn pauses(splits: &Splits) -> impl Iterator<Item = (usize, i64)> {
    splits.by.iter().enumerate().filter_map(|(index, split)| match &split.by {
        SplitBy::Whether(SplitTest::Pause(pause), _) => Some((index, pause.micros())),
        SplitBy::Whether(SplitTest::Mean { .. } | SplitTest::Days(_), _) | SplitBy::Prop(_) => None,
    })
}

impl Fold for PhasesFold<'_> {
    type State = Gathered;

    fn fresh(&self) -> Gathered {
        Gathered::default()
    }

    fn take(&self, state: &mut Gathered, actor: Actor<'_>, run: Run<'_>) {
        match self.runs {
            Runs::Sessions(_) => self.walk(state, actor, run),
            Runs::Actors => {
                self.rules.for_each_session(run, |events| self.walk(state, actor, run.part(events)));
            }
        }
    }

    fn merge(&self, into: &mut Gathered, other: Gathered) {
        into.join(other);
    }
}

impl Gathered {
    /// With those of other sessions.
    pub(super) fn join(&mut self, other: Self) {
        self.phases.extend(other.phases);
        self.events.extend(other.events);
    }
}

/// In the order in which they began.
#[derive(Debug)]
pub(super) struct Phases {
    began: Moments,
    /// How long after that they have ended.
    lasted: Durations,
    kind_of: Vec<u32>,
    kinds: Vec<Kind>,
    /// Those that an event came to after all, by place.
    until: Vec<(u32, i64)>,
    /// By property that sessions are split by: its values, by number from 1 on.
    values: Vec<Vec<OwnedKey>>,
    success: u64,
    idle: i64,
    steps: usize,
}

/// Sessions of a value, in the order of a query's splits, then of values.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) split: usize,
    pub(crate) value: PartValue,
    pub(crate) all: Parting,
    /// By step.
    pub(crate) at: Vec<Parting>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PartValue {
    /// A property's, the so-manieth that sessions are split by.
    Of(usize, OwnedKey),
    Then,
    Otherwise,
    Missing,
}

/// How many there are, and how many of them went no further.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Parting {
    pub(crate) sessions: u64,
    pub(crate) lost: u64,
}

/// What sessions that have ended come to.
#[derive(Debug)]
pub(crate) struct Parted {
    pub(crate) sessions: u64,
    pub(crate) converted: u64,
    pub(crate) parts: Vec<Part>,
    /// When the next one may have ended.
    pub(crate) changes_at: Option<i64>,
}

impl Phases {
    pub(super) fn of(mut gathered: Gathered, known: Known, dropoff: &Dropoff, splits: &Splits) -> Self {
        tell_pauses(&mut gathered, splits);
        let mut phases = gathered.phases;
        phases.sort_unstable_by_key(|phase| phase.began);
        let (mut numbers, mut kinds) = (HashMap::new(), Vec::new());
        let kind_of = phases.iter().map(|phase| {
            let kind = Kind { values: phase.values, reached: phase.reached };
            *numbers.entry(kind).or_insert_with(|| {
                kinds.push(kind);
                u32::try_from(kinds.len() - 1).unwrap_or(u32::MAX)
            })
        });
        let kind_of = kind_of.collect();
        let until = (0..).zip(&phases).filter(|(_, phase)| phase.until < i64::MAX);
        let in_order = |numbers: HashMap<OwnedKey, u32>| {
            let mut values: Vec<(OwnedKey, u32)> = numbers.into_iter().collect();
            values.sort_unstable_by_key(|(_, number)| *number);
            values.into_iter().map(|(value, _)| value).collect()
        };
        Self {
            began: Moments::of(phases.iter().map(|phase| phase.began)),
            lasted: Durations::of(phases.iter().map(|phase| phase.since.abs_diff(phase.began))),
            kind_of,
            kinds,
            until: until.map(|(place, phase)| (place, phase.until)).collect(),
            values: known.numbers.into_iter().map(in_order).collect(),
            success: 1 << dropoff.success,
            idle: dropoff.idle.micros(),
            steps: dropoff.steps.len(),
        }
    }

    /// Of those that began since, those that had ended at a moment. `days`: by split, since when one of its days
    /// counts.
    pub(super) fn parted(
        &self,
        (since, moment): (i64, i64),
        splits: &Splits,
        days: &[Option<i64>],
    ) -> Parted {
        let from = self.before(since);
        let places = from..self.began.until(moment);
        // By kind, then by which of the days' splits they are within.
        let thresholds: Vec<i64> = days.iter().copied().flatten().collect();
        let starts: Vec<usize> = thresholds.iter().map(|since| self.before(*since)).collect();
        let width = 1 << starts.len();
        let mut counts = vec![0_u64; self.kinds.len() * width];
        let mut changes_at: Option<i64> = None;
        let mut reopened = self.until.partition_point(|(place, _)| (*place as usize) < from);
        for place in places {
            let until = self.until.get(reopened).filter(|(other, _)| *other as usize == place);
            reopened += usize::from(until.is_some());
            let Some(began) = self.began.at(place) else { break };
            let ended = began.saturating_add_unsigned(self.lasted.at(place));
            if ended > moment {
                // Its last event may not have come yet.
                let is_known = ended.saturating_sub(self.idle) <= moment;
                changes_at = changes_at.into_iter().chain(is_known.then_some(ended)).min();
                continue;
            }
            if until.is_some_and(|(_, until)| *until <= moment) {
                continue;
            }
            let within = starts.iter().enumerate().map(|(bit, start)| usize::from(place >= *start) << bit);
            let kind = self.kind_of.get(place).map_or(0, |kind| *kind as usize);
            if let Some(count) = counts.get_mut(kind * width + within.sum::<usize>()) {
                *count += 1;
            }
        }
        Parted { changes_at, ..self.told(splits, days, &counts, width) }
    }

    fn told(&self, splits: &Splits, days: &[Option<i64>], counts: &[u64], width: usize) -> Parted {
        let mut parted = Parted { sessions: 0, converted: 0, parts: Vec::new(), changes_at: None };
        let mut parts: HashMap<(usize, u32), (Parting, Vec<Parting>)> = HashMap::new();
        for (place, count) in counts.iter().copied().enumerate().filter(|(_, count)| *count > 0) {
            let Some(kind) = self.kinds.get(place / width) else { continue };
            let is_success = kind.reached & self.success != 0;
            parted.sessions += count;
            parted.converted += if is_success { count } else { 0 };
            let mut bit = 0;
            for (split, value) in kind.values.0.iter().copied().enumerate().take(splits.by.len()) {
                let value = if days.get(split).copied().flatten().is_some() {
                    bit += 1;
                    if (place % width) & (1 << (bit - 1)) != 0 { THEN } else { OTHERWISE }
                } else {
                    value
                };
                let of_value = parts.entry((split, value));
                let (all, at) =
                    of_value.or_insert_with(|| (Parting::default(), vec![Parting::default(); self.steps]));
                all.add(count, !is_success);
                for (step, at) in at.iter_mut().enumerate() {
                    if kind.reached & (1 << step) != 0 {
                        at.add(count, kind.reached >> step <= 1);
                    }
                }
            }
        }
        let part = |((split, value), (all, at)): ((usize, u32), _)| Part {
            split,
            value: self.value(splits, split, value),
            all,
            at,
        };
        parted.parts = parts.into_iter().map(part).collect();
        parted.parts.sort_unstable_by(Part::in_order);
        parted
    }

    fn value(&self, splits: &Splits, split: usize, value: u32) -> PartValue {
        let Some(number) = value.checked_sub(1) else { return PartValue::Missing };
        match splits.by.get(split).map(|split| &split.by) {
            Some(SplitBy::Prop(_)) => {
                let prop = props(splits).take_while(|other| *other < split).count();
                let key = self.values.get(prop).and_then(|values| values.get(number as usize));
                key.map_or(PartValue::Missing, |key| PartValue::Of(prop, key.clone()))
            }
            Some(SplitBy::Whether(..)) | None if value == THEN => PartValue::Then,
            Some(SplitBy::Whether(..)) | None => PartValue::Otherwise,
        }
    }

    /// How many began before a moment.
    fn before(&self, moment: i64) -> usize {
        moment.checked_sub(1).map_or(0, |before| self.began.until(before))
    }

    pub(super) fn bytes(&self) -> usize {
        let values = self.values.iter().map(|values| values.len() * 2 * size_of::<OwnedKey>());
        self.began.bytes()
            + self.lasted.bytes()
            + size_of_val(&*self.kind_of)
            + size_of_val(&*self.kinds)
            + size_of_val(&*self.until)
            + values.sum::<usize>()
    }
}

impl Parting {
    fn add(&mut self, sessions: u64, are_lost: bool) {
        self.sessions += sessions;
        self.lost += if are_lost { sessions } else { 0 };
    }
}

impl Part {
    fn in_order(&self, other: &Self) -> Ordering {
        (self.split, &self.value).cmp(&(other.split, &other.value))
    }
}

/// Whether nothing of theirs had happened for so long before a session began.
fn tell_pauses(gathered: &mut Gathered, splits: &Splits) {
    let pauses: Vec<(usize, i64)> = pauses(splits).collect();
    if pauses.is_empty() {
        return;
    }
    let mut events = std::mem::take(&mut gathered.events);
    events.sort_unstable();
    for phase in &mut gathered.phases {
        let (low, high) = phase.user;
        let before = events.partition_point(|event| *event < (low, high, phase.began));
        let last = before.checked_sub(1).and_then(|last| events.get(last));
        let last = last.filter(|(own_low, own_high, _)| (*own_low, *own_high) == (low, high));
        for (split, pause) in &pauses {
            let is_so = last.is_none_or(|(.., at)| phase.began.saturating_sub(*at) >= *pause);
            if let Some(value) = phase.values.0.get_mut(*split) {
                *value = if is_so { THEN } else { OTHERWISE };
            }
        }
    }
}

/// What a value is called.
pub(crate) fn named(value: &PartValue, by: &SplitBy, of_prop: impl Fn(usize, &OwnedKey) -> Value) -> Value {
    match (value, by) {
        (PartValue::Of(prop, key), _) => of_prop(*prop, key),
        (PartValue::Then, SplitBy::Whether(_, told)) => Value::Text(told.then.as_str().into()),
        (PartValue::Otherwise, SplitBy::Whether(_, told)) => Value::Text(told.otherwise.as_str().into()),
        (PartValue::Then | PartValue::Otherwise | PartValue::Missing, _) => Value::Null,
    }
}
