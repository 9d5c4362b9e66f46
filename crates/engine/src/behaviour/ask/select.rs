//! The actors of an answer that are counted in one step, cell or bucket of it.

use ebbtide_model::query::{
    BoundQuery, Churn, ChurnList, Dropoff, Funnel, FunnelView, Interval, Kind, LifecycleState, Part, Paths,
    Preceding, Retention, Scalar, Selection, StepOrder, Trend,
};
use ebbtide_model::{ColumnType, Fault, Instant, Scope, Value};
use ebbtide_store::Snapshot;
use hashbrown::HashSet;

use super::{Asking, until_spines_hold};
use crate::behaviour::churn::{ChurnFold, ChurnState};
use crate::behaviour::columns::Arrivals;
use crate::behaviour::drive::{Loaded, Loading};
use crate::behaviour::fold::Fold;
use crate::behaviour::funnel::{FunnelFold, FunnelState};
use crate::behaviour::key::OwnedKey;
use crate::behaviour::lifecycle::{
    DORMANT, LifecycleFold, LifecycleState as Lives, NEW, RESURRECTING, RETURNING, STATUSES,
};
use crate::behaviour::load::{Actors, NO_CODE, Times};
use crate::behaviour::membership::Asked;
use crate::behaviour::paths::{PathsFold, PathsState};
use crate::behaviour::preceding::{PrecedingFold, PrecedingState};
use crate::behaviour::retention::{RetentionFold, RetentionState};
use crate::behaviour::select::SelectFold;
use crate::behaviour::span::Span;
use crate::behaviour::stickiness::{StickinessFold, StickinessState};
use crate::behaviour::trend::{NO_SERIES, TrendFold, TrendState};
use crate::cohorts::{COHORT_MEMBERS_MAX, Members};
use crate::{EngineError, Interrupt};

type Found = Result<Vec<(Box<str>, OwnedKey)>, EngineError>;

/// How many cohorts stand behind one another.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Depth(u8);

impl Depth {
    const MAX: u8 = 4;

    pub(crate) fn next(self) -> Option<Self> {
        (self.0 < Self::MAX).then_some(Self(self.0 + 1))
    }
}

/// The actors that are meant, each once, ascending. The query is one of
/// [`selecting`](ebbtide_model::selecting).
pub fn select(
    snapshot: &Snapshot,
    scope: &Scope,
    query: &BoundQuery,
    selection: &Selection,
    as_of: Instant,
    interrupt: &dyn Interrupt,
) -> Result<Members, EngineError> {
    until_spines_hold(|| {
        let asked = Asked { snapshot, scope, as_of, interrupt, depth: Depth::default() };
        select_within(&asked, query, selection)
    })
}

pub(crate) fn select_within(
    asked: &Asked<'_>,
    query: &BoundQuery,
    selection: &Selection,
) -> Result<Members, EngineError> {
    let asking = Asking::within(asked, query)?;
    let mut list = asking.selected(selection)?;
    list.retain(|(_, key)| *key != OwnedKey::Null);
    list.sort_unstable();
    list.dedup();
    if list.len() > COHORT_MEMBERS_MAX {
        let problem = format!("has {} members; allowed are {COHORT_MEMBERS_MAX}", list.len());
        return Err(Fault { path: "from".to_owned(), problem }.into());
    }
    Ok(Members { list, column_type: query.actor_type.unwrap_or(ColumnType::Text) })
}

impl Asking<'_> {
    fn selected(&self, selection: &Selection) -> Found {
        let Selection { part, group } = selection;
        let group = group.as_deref();
        match &self.query.query.kind {
            Kind::Funnel(funnel) => self.select_funnel(funnel, part, group),
            Kind::Retention(retention) => self.select_retention(retention, part, group),
            Kind::Trend(trend) => self.select_trend(trend, part, group),
            Kind::Lifecycle(lifecycle) => {
                let span = Span::whole(self.query, lifecycle.interval, self.as_of)?;
                let first = span.starts.first().copied().flatten().unwrap_or(self.as_of);
                let before = self.query.calendar.period_before(lifecycle.interval, first);
                if let Part::Lifecycle { bucket, .. } = part {
                    check_bucket(*bucket, span.buckets())?;
                }
                let fold = LifecycleFold::new(&span, before, 0);
                let loaded = self.load(&fold.times(self.as_of), Actors::Required)?;
                only(&loaded, &fold, &|state| in_lifecycle(part, state))
            }
            Kind::Stickiness(stickiness) => {
                let span = Span::asked(self.query, Interval::Unit(stickiness.interval), self.as_of)?;
                let span = span.joined(stickiness.interval_count as usize);
                let loaded = self.load(&span.times(self.as_of), Actors::Required)?;
                only(&loaded, &StickinessFold::new(&span), &|state| in_stickiness(part, state))
            }
            Kind::Churn(churn) => self.select_churn(churn, part),
            Kind::Paths(paths) => self.select_paths(paths, part),
            Kind::Preceding(preceding) => self.select_preceding(preceding, part),
            Kind::Dropoff(dropoff) => self.select_dropoff(dropoff, part),
        }
    }

    fn select_funnel(&self, funnel: &Funnel, part: &Part, group: Option<&[Scalar]>) -> Found {
        let span = match funnel.view {
            FunnelView::Steps => None,
            FunnelView::Trends { interval, .. } => {
                Some(Span::asked(self.query, Interval::Unit(interval), self.as_of)?)
            }
        };
        if let (Part::Entered { bucket } | Part::Converted { bucket }, Some(span)) = (part, &span) {
            check_bucket(*bucket, span.buckets())?;
        }
        let fold = FunnelFold::new(self.query, funnel, span.as_ref(), self.as_of);
        let (times, no_ties) = (fold.times(), HashSet::new());
        let arrivals = if funnel.order == StepOrder::Strict { Arrivals::Read } else { Arrivals::Unread };
        let loading = Loading { arrivals, ..self.loading(&times, Actors::Required, &no_ties) };
        let loaded = loading.load(&self.query.sources)?;
        let fold = fold.with_groups(&loaded.groups, |group| self.is_empty(group))?;
        let Some(rank) = self.rank(&loaded, group) else { return Ok(Vec::new()) };
        only(&loaded, &fold, &|state| in_funnel(part, rank, state))
    }

    fn select_retention(&self, retention: &Retention, part: &Part, group: Option<&[Scalar]>) -> Found {
        let fold = RetentionFold::new(self.query, retention, self.as_of)?;
        let loaded = self.load(&fold.times(self.as_of), Actors::Required)?;
        let fold = match &retention.breakdown {
            Some(_) => fold.with_groups(loaded.groups.len())?,
            None => fold,
        };
        let Some(rank) = self.rank(&loaded, group) else { return Ok(Vec::new()) };
        let columns = fold.columns;
        only(&loaded, &fold, &|state| in_retention(part, rank, columns, state))
    }

    fn select_trend(&self, trend: &Trend, part: &Part, group: Option<&[Scalar]>) -> Found {
        let span = Span::asked(self.query, trend.interval, self.as_of)?;
        let bucket = if let Part::Bucket { bucket } = part {
            Some(check_bucket(*bucket, span.buckets())?)
        } else {
            None
        };
        let loaded = self.load(&span.times(self.as_of), Actors::Required)?;
        let Some(rank) = self.rank(&loaded, group) else { return Ok(Vec::new()) };
        let series = |index: usize| if rank.is(index) { 1 } else { NO_SERIES };
        let series: Vec<u32> = (0..loaded.groups.len()).map(series).collect();
        let fold = TrendFold::new(&span, trend.measures.as_slice(), false, None).with_series(series, 1)?;
        let first = if rank == Rank::All { 0 } else { span.buckets() };
        let counted = match bucket {
            None => first..first + span.buckets(),
            // Up to it, where each bucket holds what is before it.
            Some(bucket) if trend.cumulative => first..first + bucket + 1,
            Some(bucket) => first + bucket..first + bucket + 1,
        };
        let wanted = |state: &TrendState| {
            state.totals.get(counted.clone()).is_some_and(|totals| totals.iter().any(|total| *total > 0))
        };
        only(&loaded, &fold, &wanted)
    }

    fn select_churn(&self, churn: &Churn, part: &Part) -> Found {
        let since = self.query.from.map_or(i64::MIN, Instant::micros);
        let end = self.query.to.map_or(i64::MAX, |to| to.micros().saturating_sub(1));
        let times = Times { since: vec![since], until: self.as_of.micros().min(end) };
        let loaded = self.load(&times, Actors::Required)?;
        let fold = ChurnFold::new(churn, &self.query.calendar, self.as_of);
        let listed_at_risk = *part == Part::Whole && churn.list == ChurnList::AtRisk;
        let wanted = |state: &ChurnState| {
            if *part == Part::AtRisk || listed_at_risk {
                state.at_risk > 0
            } else {
                state.total > 0 && (*part != Part::NotAtRisk || state.at_risk == 0)
            }
        };
        only(&loaded, &fold, &wanted)
    }

    fn select_paths(&self, paths: &Paths, part: &Part) -> Found {
        let since = self.query.from.map_or(i64::MIN, Instant::micros);
        let end = self.query.to.map_or(i64::MAX, |to| to.micros().saturating_sub(1));
        let times = Times { since: vec![since, since], until: self.as_of.micros().min(end) };
        let loaded = self.load(&times, Actors::Required)?;
        let rank = |item: &Scalar| self.value_rank(&loaded, item);
        let edge = if let Part::Edge { step, from, to } = part {
            let Some(ends) = rank(from).zip(rank(to)) else { return Ok(Vec::new()) };
            Some((*step, ends))
        } else {
            None
        };
        let wanted = |state: &PathsState| match edge {
            None => !state.edges.is_empty(),
            Some((Some(step), (from, to))) => state.edges.contains_key(&(step, from, to)),
            Some((None, ends)) => state.edges.keys().any(|(_, from, to)| (*from, *to) == ends),
        };
        only(&loaded, &PathsFold::new(paths), &wanted)
    }

    fn select_preceding(&self, preceding: &Preceding, part: &Part) -> Found {
        let since = self.query.from.map_or(i64::MIN, Instant::micros);
        let end = self.query.to.map_or(i64::MAX, |to| to.micros().saturating_sub(1));
        let times = Times { since: vec![since, i64::MIN], until: self.as_of.micros().min(end) };
        let fold = PrecedingFold::new(preceding, &times);
        let mut loaded = self.load(&times, Actors::Required)?;
        let ties = loaded.fold(&fold)?.ties;
        if !ties.is_empty() {
            loaded = self.load_with_keys(&times, Actors::Required, &ties)?;
        }
        let value = if let Part::Value(value) = part {
            let null = (*value == Scalar::Null).then_some(NO_CODE);
            let Some(rank) = null.or_else(|| self.value_rank(&loaded, value)) else { return Ok(Vec::new()) };
            Some(rank)
        } else {
            None
        };
        let wanted = |state: &PrecedingState| match value {
            None => state.counts.iter().next().is_some(),
            Some(value) => state.counts.iter().any(|(code, _)| code == value),
        };
        only(&loaded, &fold, &wanted)
    }

    fn select_dropoff(&self, dropoff: &Dropoff, part: &Part) -> Found {
        let by_session = usize::from(dropoff.session.prop.is_some());
        let sources = &self.query.sources;
        let state = self.sessions(dropoff, &sources[..(by_session + 1).min(sources.len())])?;
        let wanted = |(shown, exits): (u64, u64)| {
            if let Part::Place { step, .. } = part {
                shown & (1 << step) != 0
            } else if let Part::Exited { step, .. } = part {
                exits & (1 << step) != 0
            } else {
                true
            }
        };
        let mut found = Vec::new();
        for (tenant, actors) in &state.seen {
            let own = actors.iter().filter(|(_, seen)| wanted(**seen));
            found.extend(own.map(|(actor, _)| (tenant.clone(), actor.clone())));
        }
        Ok(found)
    }

    /// `None`: no event has these values.
    fn rank(&self, loaded: &Loaded<'_>, group: Option<&[Scalar]>) -> Option<Rank> {
        let Some(group) = group else { return Some(Rank::All) };
        let is_it = |values: &[Value]| {
            values.len() == group.len()
                && values.iter().zip(group).all(|(value, given)| value.to_json() == given.to_json())
        };
        let found = loaded.groups.iter().position(|known| is_it(&self.group_values(known)));
        let nulls = group.iter().all(|value| *value == Scalar::Null);
        match found.and_then(|rank| u32::try_from(rank).ok()) {
            rank if nulls => Some(Rank::Null(rank)),
            Some(rank) => Some(Rank::Group(rank)),
            None => None,
        }
    }

    fn value_rank(&self, loaded: &Loaded<'_>, value: &Scalar) -> Option<u32> {
        let column_type = self.value_type()?;
        let is_it = |key: &OwnedKey| key.value(column_type).to_json() == value.to_json();
        loaded.values.iter().position(is_it).and_then(|rank| u32::try_from(rank).ok())
    }
}

/// Which of an answer's groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rank {
    All,
    Group(u32),
    /// That of nulls, with its rank where events are in it.
    Null(Option<u32>),
}

impl Rank {
    fn is(self, index: usize) -> bool {
        match self {
            Self::All => false,
            Self::Group(rank) | Self::Null(Some(rank)) => rank as usize == index,
            Self::Null(None) => false,
        }
    }
}

fn only<F: Fold>(loaded: &Loaded<'_>, fold: &F, wanted: &(dyn Fn(&F::State) -> bool + Sync)) -> Found {
    loaded.fold(&SelectFold { fold, wanted })
}

fn check_bucket(bucket: u32, buckets: usize) -> Result<usize, Fault> {
    let index = usize::try_from(bucket).unwrap_or(usize::MAX);
    if index < buckets {
        return Ok(index);
    }
    let problem = format!("{bucket} was given; the answer has {buckets} buckets, the first of which is 0");
    Err(Fault { path: "from.bucket".to_owned(), problem })
}

fn in_funnel(part: &Part, rank: Rank, state: &FunnelState) -> bool {
    let tally = match rank {
        Rank::All => Some(&state.all),
        Rank::Group(rank) => state.groups.get(&rank),
        Rank::Null(_) => state.groups.get(&NO_CODE),
    };
    let Some(tally) = tally else { return false };
    let counted = |counts: &[u64], index: usize| counts.get(index).is_some_and(|count| *count > 0);
    let step = |step: u8| counted(&tally.counts, usize::from(step));
    let bucket = |counts: &[u64], bucket: u32| counted(counts, usize::try_from(bucket).unwrap_or(usize::MAX));
    if let Part::Reached { step: reached } = part {
        step(*reached)
    } else if let Part::Dropped { step: last } = part {
        step(*last) && !step(last + 1)
    } else if let Part::Entered { bucket: at } = part {
        bucket(&tally.entered, *at)
    } else if let Part::Converted { bucket: at } = part {
        bucket(&tally.converted, *at)
    } else if tally.entered.is_empty() {
        step(0)
    } else {
        tally.entered.iter().any(|entered| *entered > 0)
    }
}

fn in_retention(part: &Part, rank: Rank, columns: usize, state: &RetentionState) -> bool {
    let grid = match rank {
        Rank::All => Some(&state.all),
        Rank::Group(rank) | Rank::Null(Some(rank)) => state.groups.get(rank as usize),
        Rank::Null(None) => None,
    };
    let Some(grid) = grid else { return false };
    let Part::Cell { row, column } = part else { return grid.sizes.iter().any(|size| *size > 0) };
    grid.cells.get(*row as usize * columns + *column as usize).is_some_and(|count| *count > 0)
}

fn in_lifecycle(part: &Part, state: &Lives) -> bool {
    let counted = |bucket: usize, status: usize| {
        state.counts.get(bucket * STATUSES + status).is_some_and(|count| *count > 0)
    };
    let active = |bucket: usize| [NEW, RETURNING, RESURRECTING].iter().any(|status| counted(bucket, *status));
    let Part::Lifecycle { bucket, state: wanted } = part else {
        return (0..state.counts.len() / STATUSES).any(active);
    };
    let bucket = *bucket as usize;
    match wanted {
        LifecycleState::New => counted(bucket, NEW),
        LifecycleState::Returning => counted(bucket, RETURNING),
        LifecycleState::Resurrecting => counted(bucket, RESURRECTING),
        LifecycleState::Dormant => counted(bucket, DORMANT),
        LifecycleState::Active => active(bucket),
    }
}

fn in_stickiness(part: &Part, state: &StickinessState) -> bool {
    let active = state.data.iter().position(|actors| *actors > 0).map_or(0, |index| index + 1);
    if let Part::Exactly { buckets } = part {
        active == *buckets as usize
    } else if let Part::AtLeast { buckets } = part {
        active >= *buckets as usize
    } else {
        active > 0
    }
}
