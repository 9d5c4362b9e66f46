//! The churn fold: how long each actor has been away, beside how often they used to come.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use ebbtide_model::query::{Churn, ChurnList, ChurnOrder};
use ebbtide_model::{Calendar, Instant, Unit};

use super::bg_nbd::Recency;
use super::fold::{Actor, Fold, Run};
use super::kernel::{Code, CodeRun, Kernel, Marked, Meaning, RowTimes, Ruler, Taken};
use super::key::OwnedKey;
use super::wire::wire;
use crate::exact::compare_ratios;

const MILLION: u128 = 1_000_000;

#[derive(Debug)]
pub(crate) struct ChurnFold {
    as_of: i64,
    multiplier_millionths: u64,
    default_days: u32,
    min_events: u64,
    order: ChurnOrder,
    list: ChurnList,
    limit: usize,
    /// Days are told apart where a model wants that.
    calendar: Option<Calendar>,
}

/// One actor's history in brief.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) tenant: Box<str>,
    pub(crate) actor: OwnedKey,
    pub(crate) events: u64,
    /// Microseconds since 1970.
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) at_risk: bool,
    /// For the model; nothing without one.
    pub(crate) recency: Recency,
}

#[derive(Debug, Default)]
pub(crate) struct ChurnState {
    pub(crate) total: u64,
    pub(crate) at_risk: u64,
    /// The foremost of the list, and some more until they are cut.
    pub(crate) histories: Vec<History>,
    /// For the model: how many actors there are of each history, whomever the list is about.
    pub(crate) recencies: BTreeMap<Recency, u64>,
    /// The last of the list when it was cut: who comes after it is not of it.
    last_listed: Option<History>,
}

/// What is known of an actor before it is decided whether to list it.
struct Stay {
    events: u64,
    first: i64,
    last: i64,
    recency: Option<Recency>,
}

wire!(Recency { repeats, last_day, days });
wire!(History { tenant, actor, events, first, last, at_risk, recency });
wire!(ChurnState { total, at_risk, histories, recencies; last_listed });

impl ChurnFold {
    pub(crate) fn new(churn: &Churn, calendar: &Calendar, as_of: Instant) -> Self {
        Self {
            as_of: as_of.micros(),
            multiplier_millionths: churn.multiplier_millionths,
            default_days: churn.default_days,
            min_events: u64::from(churn.min_events),
            order: churn.order,
            list: churn.list,
            limit: churn.limit as usize,
            calendar: churn.model.map(|_| calendar.clone()),
        }
    }

    /// On how many days there were events after the first one, and how many days it is from the first to the
    /// last of them and to now.
    fn recency(&self, calendar: &Calendar, times: impl Iterator<Item = i64> + Clone) -> Recency {
        const DAY: i64 = Instant::MICROS_PER_DAY;
        let midnight = |time: i64| calendar.floor(Unit::Day, Instant::from_micros(time));
        let Some(first) = times.clone().next().map(midnight) else {
            return Recency::default();
        };
        // Midnights are whole days apart but for an hour or so.
        let after = |day: Instant| (day.micros() - first.micros() + DAY / 2).div_euclid(DAY);
        let days = |day: Instant| u32::try_from(after(day)).unwrap_or(u32::MAX);
        let (mut last, mut repeats) = (first, 0);
        let mut next = calendar.advance(Unit::Day, first, 1).micros();
        for time in times {
            if time >= next {
                last = midnight(time);
                next = calendar.advance(Unit::Day, last, 1).micros();
                repeats += 1;
            }
        }
        Recency { repeats, last_day: days(last), days: days(midnight(self.as_of)) }
    }

    fn count(&self, state: &mut ChurnState, actor: Actor<'_>, stay: Stay) {
        let Stay { events, first, last, recency } = stay;
        if let Some(recency) = recency {
            *state.recencies.entry(recency).or_default() += 1;
        }
        if events < self.min_events {
            return;
        }
        let mut history = History {
            tenant: Box::default(),
            actor: OwnedKey::Null,
            events,
            first,
            last,
            at_risk: false,
            recency: recency.unwrap_or_default(),
        };
        history.at_risk = self.at_risk(&history);
        state.total += 1;
        state.at_risk += u64::from(history.at_risk);
        let is_listed = |last: &History| self.compare_times(&history, last) != Ordering::Greater;
        if self.list == ChurnList::AtRisk && !history.at_risk
            || !state.last_listed.as_ref().is_none_or(is_listed)
        {
            return;
        }
        history.tenant = Box::from(actor.tenant);
        history.actor = actor.key.to_owned();
        state.histories.push(history);
        self.cut_sometimes(state);
    }

    fn elapsed(&self, history: &History) -> u128 {
        u128::from(self.as_of.abs_diff(history.last))
    }

    /// Whole days of 86,400 seconds since the last event.
    pub(crate) fn days_inactive(&self, history: &History) -> u64 {
        self.as_of.abs_diff(history.last) / Instant::MICROS_PER_DAY.unsigned_abs()
    }

    /// Time away over the mean interval, as a fraction; `None` where the interval is none or nothing.
    pub(crate) fn ratio(&self, history: &History) -> Option<(u128, u128)> {
        let span = u128::from(history.last.abs_diff(history.first));
        let intervals = u128::from(history.events.checked_sub(1)?);
        // At most 2^64 times the number of rows, so it cannot overflow.
        (span > 0).then(|| (self.elapsed(history) * intervals, span))
    }

    /// More whole days than the interval (or the default, where there is none) times the multiplier.
    fn at_risk(&self, history: &History) -> bool {
        let days = u128::from(self.days_inactive(history));
        if history.events < 2 {
            return days > u128::from(self.default_days);
        }
        let span = u128::from(history.last.abs_diff(history.first));
        let away = days * u128::from(Instant::MICROS_PER_DAY.unsigned_abs()) * u128::from(history.events - 1);
        let usual = span * u128::from(self.multiplier_millionths);
        away.checked_mul(MILLION).is_none_or(|away| away > usual)
    }

    /// Foremost first: total, since no two histories are of one actor.
    fn compare(&self, left: &History, right: &History) -> Ordering {
        let by_actor = || left.actor.cmp(&right.actor).then_with(|| left.tenant.cmp(&right.tenant));
        self.compare_times(left, right).then_with(by_actor)
    }

    fn compare_times(&self, left: &History, right: &History) -> Ordering {
        match self.order {
            ChurnOrder::Days => self.days_inactive(right).cmp(&self.days_inactive(left)),
            ChurnOrder::Ratio => match (self.ratio(left), self.ratio(right)) {
                (Some(left), Some(right)) => compare_ratios(right, left),
                (left, right) => right.is_some().cmp(&left.is_some()),
            },
        }
    }

    /// Cuts the list to its limit, in order.
    pub(crate) fn cut(&self, state: &mut ChurnState) {
        state.histories.sort_unstable_by(|left, right| self.compare(left, right));
        state.histories.truncate(self.limit);
        state.last_listed = self.limit.checked_sub(1).and_then(|last| state.histories.get(last).cloned());
    }

    fn cut_sometimes(&self, state: &mut ChurnState) {
        const SLACK: usize = 1_024;
        if state.histories.len() >= self.limit.saturating_mul(2) + SLACK {
            self.cut(state);
        }
    }
}

impl Fold for ChurnFold {
    type State = ChurnState;

    fn fresh(&self) -> ChurnState {
        ChurnState::default()
    }

    fn take(&self, state: &mut ChurnState, actor: Actor<'_>, run: Run<'_>) {
        if let (Some(first), Some(last)) = (run.times.first(), run.times.last()) {
            let recency =
                self.calendar.as_ref().map(|calendar| self.recency(calendar, run.times.iter().copied()));
            self.count(state, actor, Stay { events: run.len() as u64, first: *first, last: *last, recency });
        }
    }

    fn merge(&self, into: &mut ChurnState, other: ChurnState) {
        into.total += other.total;
        into.at_risk += other.at_risk;
        for (recency, actors) in other.recencies {
            *into.recencies.entry(recency).or_default() += actors;
        }
        into.histories.extend(other.histories);
        self.cut_sometimes(into);
    }
}

impl Kernel for ChurnFold {
    type Table = Marked;

    fn table(&self, meanings: &[Meaning]) -> Option<Marked> {
        let table = Marked::new(meanings);
        (table.all || self.calendar.is_none()).then_some(table)
    }

    fn ruler(&self) -> Ruler {
        Ruler::default()
    }

    /// Where every event counts, the first and the last one say all.
    fn take_codes<T: RowTimes, C: Code>(
        &self,
        state: &mut ChurnState,
        table: &Marked,
        actor: Actor<'_>,
        run: CodeRun<'_, T, C>,
    ) -> Taken {
        let is_marked = |code: &C| table.has(*code);
        let (first, last, events) = if table.all {
            (0, run.codes.len() - 1, run.codes.len())
        } else {
            let Some(first) = table.first(run.codes) else { return Taken::Whole };
            let last = run.codes.iter().rposition(is_marked).unwrap_or(first);
            let events = run.codes[first..=last].iter().map(|code| usize::from(is_marked(code))).sum();
            (first, last, events)
        };
        let times = (0..run.codes.len()).map(|row| run.times.at(row));
        let recency = self.calendar.as_ref().map(|calendar| self.recency(calendar, times));
        let (first, last) = (run.times.at(first), run.times.at(last));
        let stay = Stay { events: events as u64, first, last, recency };
        self.count(state, actor, stay);
        Taken::Whole
    }
}
