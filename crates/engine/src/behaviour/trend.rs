//! The trend fold: measures of events by bucket, over all of them and by group.

use std::cmp::Ordering;

use ebbtide_model::query::Measure;
use ebbtide_model::{ColumnType, Fault};
use hashbrown::HashSet;

use super::fold::{Actor, Fold, Run};
use super::kernel::{ByCode, Code, CodeRun, Kernel, Meaning, RowTimes, Ruler, Taken, bucket_of, first_from};
use super::load::{NO_CODE, Number};
use super::span::Span;
use super::wire::wire;
use crate::exact::{ExactSum, Ratio};

/// Buckets over all groups, at most.
const CELLS_MAX: usize = 1_000_000;
/// The group of events that are not asked for by the breakdown's limit.
pub(crate) const NO_SERIES: u32 = u32::MAX;

/// A trend's definition in numbers. Series 0 is all events; each group that is kept has one more.
#[derive(Debug)]
pub(crate) struct TrendFold<'a> {
    span: &'a Span,
    /// By rank of the breakdown's value: its series.
    series: Vec<u32>,
    series_count: usize,
    cumulative: bool,
    wants: Wants,
    /// Whether the measured numbers are floats.
    pub(crate) float_column: bool,
}

/// What the measures need to be kept.
#[derive(Clone, Copy, Debug, Default)]
struct Wants {
    unique: bool,
    distinct: bool,
    sum: bool,
    extremes: bool,
    values: bool,
}

/// Each list is by cell, which is series · buckets + bucket; empty where it is not wanted.
#[derive(Debug)]
pub(crate) struct TrendState {
    pub(crate) totals: Vec<u64>,
    /// Distinct actors; cumulatively, those that were not in an earlier bucket.
    pub(crate) unique: Vec<u64>,
    pub(crate) distinct: HashSet<(u32, u32)>,
    pub(crate) sums: Vec<ExactSum>,
    /// Events with a number.
    pub(crate) numbered: Vec<u64>,
    pub(crate) extremes: Vec<Option<(Number, Number)>>,
    pub(crate) values: Vec<Vec<Number>>,
    /// By series: the visit at which it was last seen.
    seen: Vec<u64>,
    /// The number of the visit at hand: an actor's events of one bucket, or all of them where buckets add up.
    visit: u64,
}

wire!(TrendState { totals, unique, distinct, sums, numbered, extremes, values, seen, visit });

impl TrendState {
    /// How many events a series has.
    pub(crate) fn events(&self, series: usize, buckets: usize) -> u64 {
        self.totals.iter().skip(series * buckets).take(buckets).sum()
    }
}

#[cfg(test)]
impl TrendState {
    /// When a series was seen last says nothing about those that were.
    pub(crate) fn forget_actors(&mut self) {
        self.seen.clear();
        self.visit = 0;
    }
}

impl<'a> TrendFold<'a> {
    pub(crate) fn new(
        span: &'a Span,
        measures: &[Measure],
        cumulative: bool,
        number_type: Option<ColumnType>,
    ) -> Self {
        let wants = |wanted: &[Measure]| measures.iter().any(|measure| wanted.contains(measure));
        Self {
            span,
            series: Vec::new(),
            series_count: 1,
            cumulative,
            float_column: matches!(number_type, Some(ColumnType::Float | ColumnType::Mixed)),
            wants: Wants {
                unique: wants(&[Measure::Unique]),
                distinct: wants(&[Measure::UniqueProp]),
                sum: wants(&[Measure::Sum, Measure::Avg]),
                extremes: wants(&[Measure::Min, Measure::Max]),
                values: measures.iter().any(|measure| measure.percentile().is_some()),
            },
        }
    }

    /// The groups by rank of their value: each one's series, from 1 to `groups`, or [`NO_SERIES`].
    pub(crate) fn with_series(mut self, series: Vec<u32>, groups: usize) -> Result<Self, Fault> {
        if (groups + 1).saturating_mul(self.buckets()) > CELLS_MAX {
            let problem = format!(
                "the property has {groups} values, each with {} buckets; allowed are {CELLS_MAX} buckets in all: set \
                 `breakdown.limit`, or a wider `interval`",
                self.buckets()
            );
            return Err(Fault { path: "breakdown".to_owned(), problem });
        }
        self.series = series;
        self.series_count = groups + 1;
        Ok(self)
    }

    /// By place of a kept group, behind all: its series among those of all groups, which stand there by rank; the
    /// one behind them is empty, and for those without events here.
    pub(crate) fn order_of(&self, groups: usize, kept: usize) -> Vec<usize> {
        let mut order = vec![groups + 1; kept + 1];
        order[0] = 0;
        for (rank, place) in self.series.iter().enumerate().filter(|(_, place)| **place != NO_SERIES) {
            order[*place as usize] = rank + 1;
        }
        order
    }

    pub(crate) fn buckets(&self) -> usize {
        self.span.buckets()
    }

    fn count(&self, state: &mut TrendState, series: usize, bucket: usize, run: Run<'_>, index: usize) {
        let cell = series * self.buckets() + bucket;
        state.totals[cell] += 1;
        if self.wants.distinct
            && run.value(index) != NO_CODE
            && let Ok(cell) = u32::try_from(cell)
        {
            state.distinct.insert((cell, run.value(index)));
        }
        let Some(number) = run.numbers.get(index).copied().flatten() else {
            return;
        };
        state.numbered[cell] += 1;
        if self.wants.sum {
            state.sums[cell].add(number.exact());
        }
        if self.wants.extremes {
            state.extremes[cell] = widen(state.extremes[cell], Some((number, number)));
        }
        if self.wants.values {
            state.values[cell].push(number);
        }
    }

    /// An actor's events come in order of time, so what was seen in this visit was seen last.
    fn count_actor(&self, state: &mut TrendState, series: usize, bucket: usize) {
        if state.seen[series] != state.visit {
            state.unique[series * self.buckets() + bucket] += 1;
            state.seen[series] = state.visit;
        }
    }
}

impl Fold for TrendFold<'_> {
    type State = TrendState;

    fn fresh(&self) -> TrendState {
        let cells = self.series_count * self.buckets();
        let wanted = |wanted: bool| if wanted { cells } else { 0 };
        let Wants { unique, sum, extremes, values, .. } = self.wants;
        TrendState {
            totals: vec![0; cells],
            unique: vec![0; wanted(unique)],
            distinct: HashSet::new(),
            sums: vec![ExactSum::default(); wanted(sum)],
            numbered: vec![0; wanted(sum || extremes || values)],
            extremes: vec![None; wanted(extremes)],
            values: vec![Vec::new(); wanted(values)],
            seen: vec![0; self.series_count],
            visit: 0,
        }
    }

    fn take(&self, state: &mut TrendState, actor: Actor<'_>, run: Run<'_>) {
        state.visit += 1;
        let unique = self.wants.unique && !actor.is_no_one();
        let mut bucket = 0;
        for index in 0..run.len() {
            let last = bucket;
            bucket = self.span.bucket_of(run.times[index], last);
            state.visit += u64::from(bucket != last && !self.cumulative);
            let group = self.series.get(run.group(index) as usize).copied().unwrap_or(NO_SERIES);
            for series in [0, group] {
                if series == NO_SERIES {
                    continue;
                }
                let series = series as usize;
                self.count(state, series, bucket, run, index);
                if unique {
                    self.count_actor(state, series, bucket);
                }
            }
        }
    }

    fn merge(&self, into: &mut TrendState, other: TrendState) {
        let add = |own: &mut Vec<u64>, theirs: &[u64]| {
            own.iter_mut().zip(theirs).for_each(|(own, theirs)| *own += theirs);
        };
        add(&mut into.totals, &other.totals);
        add(&mut into.unique, &other.unique);
        add(&mut into.numbered, &other.numbered);
        into.distinct.extend(other.distinct);
        into.sums.iter_mut().zip(&other.sums).for_each(|(own, theirs)| own.merge(theirs));
        for (own, theirs) in into.extremes.iter_mut().zip(other.extremes) {
            *own = widen(*own, theirs);
        }
        for (own, theirs) in into.values.iter_mut().zip(other.values) {
            own.extend(theirs);
        }
    }
}

/// What each code is to a trend.
pub(crate) struct TrendTable {
    /// Its series; [`UNMARKED`], or [`NO_SERIES`] where it is only one of all.
    series: ByCode<u32>,
    /// Whether every event is one of all, and there are no other series.
    plain: bool,
}

/// The series of events that are none of the trend's.
const UNMARKED: u32 = u32::MAX - 1;

impl Kernel for TrendFold<'_> {
    type Table = TrendTable;

    fn table(&self, meanings: &[Meaning]) -> Option<TrendTable> {
        let Wants { unique: _, distinct, sum, extremes, values } = self.wants;
        if distinct || sum || extremes || values {
            return None;
        }
        let series = |meaning: &Meaning| match meaning.marks {
            0 => UNMARKED,
            _ => self.series.get(meaning.group as usize).copied().unwrap_or(NO_SERIES),
        };
        Some(TrendTable {
            plain: meanings.iter().all(|meaning| series(meaning) == NO_SERIES),
            series: ByCode::new(meanings.iter().map(series), UNMARKED),
        })
    }

    fn ruler(&self) -> Ruler {
        Ruler::new(self.span.bounds.clone(), 0)
    }

    /// A bucket's rows are found by its end; what is in them only the codes say.
    fn take_codes<T: RowTimes, C: Code>(
        &self,
        state: &mut TrendState,
        table: &TrendTable,
        actor: Actor<'_>,
        run: CodeRun<'_, T, C>,
    ) -> Taken {
        state.visit += 1;
        let unique = self.wants.unique && !actor.is_no_one();
        let (ticks, bounds) = (run.times.ticks(), run.ruler.bounds.as_slice());
        let (mut row, mut bucket) = (0, 0);
        while let Some(tick) = ticks.get(row) {
            bucket = bucket_of(bounds, (*tick).into(), bucket);
            let end = first_from(ticks, row + 1, bounds[bucket + 1]);
            state.visit += u64::from(!self.cumulative);
            let codes = &run.codes[row..end];
            let counted = match (table.plain, unique) {
                (true, _) => codes.len(),
                (false, true) => self.count_codes::<true, C>(state, table, bucket, codes),
                (false, false) => self.count_codes::<false, C>(state, table, bucket, codes),
            };
            state.totals[bucket] += counted as u64;
            if unique && counted > 0 {
                self.count_actor(state, 0, bucket);
            }
            row = end;
        }
        Taken::Whole
    }
}

impl TrendFold<'_> {
    /// Counts the rows of a bucket for their series, and says how many are marked.
    fn count_codes<const UNIQUE: bool, C: Code>(
        &self,
        state: &mut TrendState,
        table: &TrendTable,
        bucket: usize,
        codes: &[C],
    ) -> usize {
        let (buckets, visit) = (self.buckets(), state.visit);
        let mut counted = 0;
        for code in codes {
            let series = table.series.get(*code);
            counted += usize::from(series != UNMARKED);
            if series >= UNMARKED {
                continue;
            }
            let cell = series as usize * buckets + bucket;
            state.totals[cell] += 1;
            if UNIQUE {
                let seen = &mut state.seen[series as usize];
                state.unique[cell] += u64::from(*seen != visit);
                *seen = visit;
            }
        }
        counted
    }
}

/// Numbers of one column are of one type.
fn compare(left: Number, right: Number) -> Ordering {
    match (left, right) {
        (Number::Int(left), Number::Int(right)) => left.cmp(&right),
        (Number::Float(left), Number::Float(right)) => left.total_cmp(&right),
        (Number::Decimal(left), Number::Decimal(right)) => left.cmp(&right),
        (Number::Int(_) | Number::Float(_) | Number::Decimal(_), _) => Ordering::Equal,
    }
}

fn lesser(left: Number, right: Number) -> Number {
    if compare(right, left) == Ordering::Less { right } else { left }
}

fn greater(left: Number, right: Number) -> Number {
    if compare(right, left) == Ordering::Greater { right } else { left }
}

/// Lowest and highest of two lots.
pub(crate) fn widen(
    left: Option<(Number, Number)>,
    right: Option<(Number, Number)>,
) -> Option<(Number, Number)> {
    match (left, right) {
        (Some((low, high)), Some((lower, higher))) => Some((lesser(low, lower), greater(high, higher))),
        (one, other) => one.or(other),
    }
}

/// The percentile of numbers by linear interpolation between the two closest ranks, exactly.
pub(crate) fn percentile(numbers: &mut [Number], percent: u32) -> Option<Ratio> {
    let last = numbers.len().checked_sub(1)?;
    numbers.sort_unstable_by(|left, right| compare(*left, *right));
    let place = last * percent as usize;
    let (rank, between) = (place / 100, u32::try_from(place % 100).unwrap_or(0));
    let mut sum = ExactSum::default();
    sum.add_times(numbers[rank].exact(), 100 - between);
    sum.add_times(numbers[(rank + 1).min(last)].exact(), between);
    sum.mean(100)
}
