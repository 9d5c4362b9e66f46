//! Trend: cells into series.

use std::collections::BTreeMap;

use ebbtide_model::Instant;
use ebbtide_model::query::{Breakdown, Compare, Formula, Measure, Operator, Trend};
use hashbrown::{HashMap, HashSet};
use num_bigint::BigUint;

use super::Asking;
use crate::EngineError;
use crate::answer::{Quantity, Series, TrendAnswer, TrendCompare, TrendGroup};
use crate::behaviour::drive::{Loaded, Loading};
use crate::behaviour::fold::Fold;
use crate::behaviour::key::{Group, compare_groups};
use crate::behaviour::load::{Actors, Groups};
use crate::behaviour::span::Span;
use crate::behaviour::tally::{Tally, Wanted};
use crate::behaviour::trend::{NO_SERIES, TrendFold, TrendState, percentile, widen};
use crate::exact::{ExactSum, Ratio};

impl<'a> Asking<'a> {
    pub(super) fn trend(&self, trend: &Trend) -> Result<TrendAnswer, EngineError> {
        let asked = Span::asked(self.query, trend.interval, self.as_of)?;
        let now = self.entities(trend, &asked)?;
        let before = match trend.compare {
            None => None,
            Some(Compare::PreviousPeriod) => {
                let span = asked.previous(&self.query.calendar, trend.interval);
                let entities = self.entities(trend, &span)?;
                Some((span, entities))
            }
        };
        let earlier = before.iter().flat_map(|(_, entities)| entities);
        let groups = trend.breakdown.as_ref().map(|breakdown| commonest(breakdown, &now, earlier));
        let kept = groups.as_deref().unwrap_or_default();
        let mut lines = self.lines(trend, &asked, now, kept)?;
        let mut compared = match before {
            Some((span, entities)) => {
                let lines = self.lines(trend, &span, entities, kept)?;
                Some((span, lines))
            }
            None => None,
        };
        let group = |(index, key): (usize, &Group)| TrendGroup {
            value: self.group_value(key),
            data: lines.take(trend, index + 1),
            compare: compared.as_mut().map(|(_, lines)| lines.take(trend, index + 1)),
        };
        let groups = groups.as_ref().map(|groups| groups.iter().enumerate().map(group).collect());
        Ok(TrendAnswer {
            buckets: self.named_buckets(&asked, trend.interval),
            measures: trend.measures.clone(),
            groups,
            compare: compared.map(|(span, mut lines)| TrendCompare {
                buckets: self.named_buckets(&span, trend.interval),
                data: lines.take(trend, 0),
            }),
            data: lines.take(trend, 0),
            entities: lines.entities,
        })
    }

    /// The events of each entity, with those of all groups.
    fn entities(&self, trend: &Trend, span: &Span) -> Result<Vec<Measured<'a>>, EngineError> {
        let aggregated = self.query.query.aggregate_by.is_some();
        let load = |(index, source)| {
            let measures = trend.measured(index).0;
            let (times, none) = (span.times(self.as_of), HashSet::new());
            let actors = if aggregated {
                Actors::Required
            } else if measures.contains(&Measure::Unique) {
                Actors::Optional
            } else {
                Actors::Ignored
            };
            if actors == Actors::Ignored
                && let Some(wanted) = Wanted::of(measures)
                && let Some(tally) = self.loading(&times, actors, &none).tally(source, span, wanted)?
            {
                return Ok(Measured::Tallied(tally));
            }
            let load = |groups: Groups| {
                let loading = Loading { groups, ..self.loading(&times, actors, &none) };
                loading.load(std::slice::from_ref(source))
            };
            let loaded = load(Groups::Possible)?;
            if trend.breakdown.is_none() {
                return Ok(Measured::Loaded { loaded, sizes: Vec::new(), whole: None });
            }
            if loaded.has_streams() && loaded.groups.len().saturating_mul(span.buckets()) <= WHOLE_CELLS_MAX {
                let whole = self.whole(trend, span, index, &loaded)?;
                let sizes = (1..=loaded.groups.len()).map(|series| whole.events(series, span.buckets()));
                return Ok(Measured::Loaded { sizes: sizes.collect(), loaded, whole: Some(Box::new(whole)) });
            }
            let loaded = if loaded.has_streams() { load(Groups::Met)? } else { loaded };
            Ok(Measured::Loaded { sizes: loaded.group_sizes(), loaded, whole: None })
        };
        self.query.sources.iter().enumerate().map(load).collect()
    }

    /// Every group as a series, by rank from 1 on, and an empty one behind them.
    fn whole(
        &self,
        trend: &Trend,
        span: &Span,
        index: usize,
        loaded: &Loaded<'_>,
    ) -> Result<TrendState, EngineError> {
        let groups = loaded.groups.len() + 1;
        let series = (1..).take(loaded.groups.len()).collect();
        let fold = self.trend_fold(trend, span, index).with_series(series, groups)?;
        loaded.fold_codes(&fold)
    }

    fn trend_fold<'s>(&self, trend: &Trend, span: &'s Span, index: usize) -> TrendFold<'s> {
        TrendFold::new(span, trend.measured(index).0, trend.cumulative, self.number_type(index))
    }

    /// Folds the events of each entity into the series of all, then of each kept group.
    fn lines(
        &self,
        trend: &Trend,
        span: &Span,
        entities: Vec<Measured<'_>>,
        kept: &[Group],
    ) -> Result<Lines, EngineError> {
        let mut by_entity = Vec::new();
        for (index, measured) in entities.into_iter().enumerate() {
            let series = measured.series(kept);
            let fold = self.trend_fold(trend, span, index).with_series(series, kept.len())?;
            let mut order: Vec<usize> = (0..=kept.len()).collect();
            let mut state = match measured {
                Measured::Loaded { loaded, whole: Some(whole), .. } => {
                    order = fold.order_of(loaded.groups.len(), kept.len());
                    *whole
                }
                Measured::Loaded { loaded, .. } => loaded.fold_codes(&fold)?,
                Measured::Tallied(tally) => {
                    let mut state = fold.fresh();
                    tally.fill(&mut state, kept);
                    state
                }
            };
            let mut reading = Reading::new(&fold, span, trend.cumulative, &mut state, self.as_of.micros());
            let measures = trend.measured(index).0;
            by_entity.push(order.iter().map(|series| reading.series(*series, measures)).collect());
        }
        Ok(Lines { by_entity, entities: Vec::new() })
    }
}

/// Cells of a fold with all groups, at most: where there are more, it is first found out which are wanted.
const WHOLE_CELLS_MAX: usize = 200_000;

/// The events of an entity.
enum Measured<'l> {
    Loaded {
        loaded: Loaded<'l>,
        /// By rank of the group: how many events it has. Empty where there is no breakdown.
        sizes: Vec<u64>,
        /// What they come to, where each group was given a series before it was known which are kept.
        whole: Option<Box<TrendState>>,
    },
    Tallied(Tally),
}

impl Measured<'_> {
    /// The groups that have events, and how many.
    fn groups(&self) -> Vec<(&Group, u64)> {
        match self {
            Self::Loaded { loaded, sizes, .. } => {
                let groups = loaded.groups.iter().zip(sizes.iter().copied());
                groups.filter(|(_, size)| *size > 0).collect()
            }
            Self::Tallied(tally) => tally.sizes().collect(),
        }
    }

    /// By rank of a loaded group: the series of it.
    fn series(&self, kept: &[Group]) -> Vec<u32> {
        let places: BTreeMap<&Group, u32> = kept.iter().zip(1..).collect();
        match self {
            Self::Loaded { loaded, .. } => {
                let place = |key: &Group| places.get(key).copied().unwrap_or(NO_SERIES);
                loaded.groups.iter().map(place).collect()
            }
            Self::Tallied(_) => Vec::new(),
        }
    }
}

/// The values of the breakdown that are kept, in the order of the answer: the commonest first, then by
/// value. Those that are in an earlier period only come last.
fn commonest<'l>(
    breakdown: &Breakdown,
    now: &'l [Measured<'_>],
    earlier: impl Iterator<Item = &'l Measured<'l>>,
) -> Vec<Group> {
    let mut sizes: BTreeMap<&Group, u64> = BTreeMap::new();
    for (key, size) in now.iter().flat_map(Measured::groups) {
        *sizes.entry(key).or_default() += size;
    }
    for (key, _) in earlier.flat_map(Measured::groups) {
        sizes.entry(key).or_default();
    }
    let mut keys: Vec<(&Group, u64)> = sizes.into_iter().collect();
    keys.sort_by(|(left, left_size), (right, right_size)| {
        right_size.cmp(left_size).then_with(|| compare_groups(left, right))
    });
    keys.truncate(breakdown.limit.map_or(usize::MAX, |limit| limit as usize));
    keys.into_iter().map(|(key, _)| key.clone()).collect()
}

/// The series of one span.
struct Lines {
    /// By entity, then by series: all events, then each kept group.
    by_entity: Vec<Vec<Vec<Series>>>,
    /// With a formula: what it was computed from over all events.
    entities: Vec<Series>,
}

impl Lines {
    /// The data of a series: the measures of the only entity, or what the formula makes of several.
    fn take(&mut self, trend: &Trend, series: usize) -> Vec<Series> {
        let operands = self.by_entity.iter_mut().map(|lines| std::mem::take(&mut lines[series]));
        let Some(computed) = &trend.computed else {
            return operands.flatten().collect();
        };
        let operands: Vec<Series> = operands.flatten().collect();
        let buckets = operands.first().map_or(0, |series| series.values.len());
        let value = |bucket: usize| {
            let operand = |entity: usize| {
                let value = operands.get(entity)?.values.get(bucket)?.as_ref();
                value.map(Quantity::ratio)
            };
            evaluate(&computed.formula, &operand).map(Quantity::Float)
        };
        let values = (0..buckets).map(value).collect();
        if series == 0 {
            self.entities = operands;
        }
        vec![Series { measure: None, values }]
    }
}

/// The formula's exact value; `None` where an operand has none, and over zero.
fn evaluate(formula: &Formula, operand: &impl Fn(usize) -> Option<Ratio>) -> Option<Ratio> {
    match formula {
        Formula::Constant { digits, decimals } => Ratio::new(*digits, BigUint::from(10_u32).pow(*decimals)),
        Formula::Entity(entity) => operand(*entity),
        Formula::Negative(inner) => Some(evaluate(inner, operand)?.negative()),
        Formula::Binary(operator, left, right) => {
            let (left, right) = (evaluate(left, operand)?, evaluate(right, operand)?);
            match operator {
                Operator::Plus => Some(left.plus(&right)),
                Operator::Minus => Some(left.minus(&right)),
                Operator::Times => Some(left.times(&right)),
                Operator::Over => left.divided_by(&right),
            }
        }
    }
}

/// The state's cells, read series by series.
struct Reading<'a> {
    fold: &'a TrendFold<'a>,
    span: &'a Span,
    cumulative: bool,
    state: &'a mut TrendState,
    /// Distinct values by cell; cumulatively, those that were not in an earlier bucket.
    distinct: HashMap<u32, u64>,
    as_of: i64,
}

impl<'a> Reading<'a> {
    fn new(
        fold: &'a TrendFold<'a>,
        span: &'a Span,
        cumulative: bool,
        state: &'a mut TrendState,
        as_of: i64,
    ) -> Self {
        let mut distinct = HashMap::new();
        let buckets = u32::try_from(fold.buckets()).unwrap_or(u32::MAX).max(1);
        if cumulative {
            let mut first: HashMap<(u32, u32), u32> = HashMap::new();
            for (cell, code) in &state.distinct {
                let earliest = first.entry((cell / buckets, *code)).or_insert(*cell);
                *earliest = (*earliest).min(*cell);
            }
            first.values().for_each(|cell| *distinct.entry(*cell).or_default() += 1);
        } else {
            state.distinct.iter().for_each(|(cell, _)| *distinct.entry(*cell).or_default() += 1);
        }
        Self { fold, span, cumulative, state, distinct, as_of }
    }

    fn series(&mut self, series: usize, measures: &[Measure]) -> Vec<Series> {
        measures
            .iter()
            .map(|measure| Series { measure: Some(*measure), values: self.values(series, *measure) })
            .collect()
    }

    fn values(&mut self, series: usize, measure: Measure) -> Vec<Option<Quantity>> {
        let buckets = self.fold.buckets();
        let first = series * buckets;
        let mut values = match measure {
            Measure::Total => self.counts(first, |reading, cell| reading.state.totals[cell]),
            Measure::Unique => self.counts(first, |reading, cell| reading.state.unique[cell]),
            Measure::UniqueProp => self.counts(first, |reading, cell| {
                u32::try_from(cell).ok().and_then(|cell| reading.distinct.get(&cell)).copied().unwrap_or(0)
            }),
            Measure::Sum | Measure::Avg => self.sums(first, measure),
            Measure::Min | Measure::Max => self.extremes(first, measure),
            Measure::Median | Measure::P90 | Measure::P95 | Measure::P99 => {
                let percent = measure.percentile().unwrap_or(50);
                let cells = &mut self.state.values[first..first + buckets];
                cells.iter_mut().map(|numbers| percentile(numbers, percent).map(Quantity::Float)).collect()
            }
        };
        // A period that began before what is asked for may have begun before `as_of`, too.
        for ((value, start), bound) in values.iter_mut().zip(&self.span.starts).zip(&self.span.bounds) {
            if start.map_or(*bound, Instant::micros) > self.as_of {
                *value = None;
            }
        }
        values
    }

    fn counts(&self, first: usize, count: impl Fn(&Self, usize) -> u64) -> Vec<Option<Quantity>> {
        let mut before = 0;
        let cell = |cell| {
            let own = count(self, cell);
            before = if self.cumulative { before + own } else { own };
            Some(Quantity::Count(before))
        };
        (first..first + self.fold.buckets()).map(cell).collect()
    }

    fn sums(&self, first: usize, measure: Measure) -> Vec<Option<Quantity>> {
        let mut sum = ExactSum::default();
        let mut count = 0;
        let cell = |cell: usize| {
            if !self.cumulative {
                sum = ExactSum::default();
                count = 0;
            }
            sum.merge(&self.state.sums[cell]);
            count += self.state.numbered[cell];
            if measure == Measure::Avg {
                return sum.mean(count).map(Quantity::Float);
            }
            Some(self.of_column(sum.total()))
        };
        (first..first + self.fold.buckets()).map(cell).collect()
    }

    fn extremes(&self, first: usize, measure: Measure) -> Vec<Option<Quantity>> {
        let mut before = None;
        let cell = |cell: usize| {
            let own = self.state.extremes[cell];
            before = if self.cumulative { widen(before, own) } else { own };
            let (low, high) = before?;
            let mut number = ExactSum::default();
            number.add(if measure == Measure::Min { low } else { high }.exact());
            Some(self.of_column(number.total()))
        };
        (first..first + self.fold.buckets()).map(cell).collect()
    }

    /// A number of the measured column's own type.
    fn of_column(&self, ratio: Ratio) -> Quantity {
        if self.fold.float_column { Quantity::Float(ratio) } else { Quantity::Exact(ratio) }
    }
}
