//! Trend: cells into series.

use ebbtide_model::query::{Interval, Measure, Trend};
use ebbtide_model::{ColumnType, Value};
use hashbrown::HashMap;

use super::Asking;
use crate::EngineError;
use crate::answer::{Quantity, Series, TrendAnswer, TrendBucket, TrendGroup};
use crate::behaviour::load::Actors;
use crate::behaviour::trend::{NO_SERIES, TrendFold, TrendState, percentile, widen};
use crate::exact::{ExactSum, Ratio};

impl Asking<'_> {
    pub(super) fn trend(&self, trend: &Trend) -> Result<TrendAnswer, EngineError> {
        let fold = TrendFold::new(self.query, trend, self.number_type(), self.as_of)?;
        let aggregated = self.query.query.aggregate_by.is_some();
        let actors = if aggregated {
            Actors::Required
        } else if trend.measures.as_slice().contains(&Measure::Unique) {
            Actors::Optional
        } else {
            Actors::Ignored
        };
        let loaded = self.load(&fold.times(self.as_of), actors)?;
        let commonest = trend.breakdown.as_ref().map(|breakdown| {
            let sizes = loaded.group_sizes();
            let mut ranks: Vec<usize> = (0..sizes.len()).collect();
            // Ranks are in the order of values.
            ranks.sort_by_key(|rank| (std::cmp::Reverse(sizes[*rank]), *rank));
            ranks.truncate(breakdown.limit.map_or(usize::MAX, |limit| limit as usize));
            ranks
        });
        let mut series = vec![NO_SERIES; loaded.groups.len()];
        for (index, rank) in commonest.iter().flatten().enumerate() {
            series[*rank] = u32::try_from(index + 1).unwrap_or(NO_SERIES);
        }
        let fold = fold.with_series(series)?;
        let mut state = loaded.fold(&fold)?;
        let mut reading = Reading::new(&fold, trend, &mut state, self.as_of.micros());
        let data = reading.series(0);
        let column_type = self.breakdown_type();
        let value =
            |rank: usize| column_type.map_or(Value::Null, |kind: ColumnType| loaded.groups[rank].value(kind));
        let groups = commonest.map(|ranks| {
            let group = |(index, rank): (usize, &usize)| TrendGroup {
                value: value(*rank),
                data: reading.series(index + 1),
            };
            ranks.iter().enumerate().map(group).collect()
        });
        Ok(TrendAnswer {
            buckets: self.buckets(&fold, trend),
            measures: trend.measures.clone(),
            data,
            groups,
        })
    }

    fn buckets(&self, fold: &TrendFold, trend: &Trend) -> Vec<TrendBucket> {
        let bucket = |(index, start): (usize, &Option<ebbtide_model::Instant>)| TrendBucket {
            start: *start,
            label: match (trend.interval, start) {
                (Interval::Unit(unit), Some(start)) => self.query.calendar.label(unit, *start),
                (Interval::All, _) | (_, None) => "all".to_owned(),
            },
            complete: fold.bounds[index + 1] <= self.as_of.micros(),
        };
        fold.starts.iter().enumerate().map(bucket).collect()
    }
}

/// The state's cells, read series by series.
struct Reading<'a> {
    fold: &'a TrendFold,
    trend: &'a Trend,
    state: &'a mut TrendState,
    /// Distinct values by cell; cumulatively, those that were not in an earlier bucket.
    distinct: HashMap<u32, u64>,
    as_of: i64,
}

impl<'a> Reading<'a> {
    fn new(fold: &'a TrendFold, trend: &'a Trend, state: &'a mut TrendState, as_of: i64) -> Self {
        let mut distinct = HashMap::new();
        let buckets = u32::try_from(fold.buckets()).unwrap_or(u32::MAX).max(1);
        if trend.cumulative {
            let mut first: HashMap<(u32, u32), u32> = HashMap::new();
            for (cell, code) in &state.distinct {
                let earliest = first.entry((cell / buckets, *code)).or_insert(*cell);
                *earliest = (*earliest).min(*cell);
            }
            first.values().for_each(|cell| *distinct.entry(*cell).or_default() += 1);
        } else {
            state.distinct.iter().for_each(|(cell, _)| *distinct.entry(*cell).or_default() += 1);
        }
        Self { fold, trend, state, distinct, as_of }
    }

    fn series(&mut self, series: usize) -> Vec<Series> {
        let measures = self.trend.measures.as_slice();
        measures
            .iter()
            .map(|measure| Series { measure: *measure, values: self.values(series, *measure) })
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
        for (value, start) in values.iter_mut().zip(&self.fold.bounds) {
            if *start > self.as_of {
                *value = None;
            }
        }
        values
    }

    fn counts(&self, first: usize, count: impl Fn(&Self, usize) -> u64) -> Vec<Option<Quantity>> {
        let mut before = 0;
        let cell = |cell| {
            let own = count(self, cell);
            before = if self.trend.cumulative { before + own } else { own };
            Some(Quantity::Count(before))
        };
        (first..first + self.fold.buckets()).map(cell).collect()
    }

    fn sums(&self, first: usize, measure: Measure) -> Vec<Option<Quantity>> {
        let mut sum = ExactSum::default();
        let mut count = 0;
        let cell = |cell: usize| {
            if !self.trend.cumulative {
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
            before = if self.trend.cumulative { widen(before, own) } else { own };
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
