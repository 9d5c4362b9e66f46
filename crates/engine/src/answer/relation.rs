//! A behavioural query's result as a table that SQL reads.

use ebbtide_model::{ColumnType, Value};

use super::{
    ActorId, ActorValue, Bucket, ChurnActor, CohortRow, Edge, FunnelAnswer, FunnelCounts, FunnelStepCount,
    GroupValue, LifecycleBucket, Outcome, PrecedingAnswer, Quantity, RetentionAnswer, StickinessAnswer,
    TrendAnswer, ValueCount,
};
use crate::Ratio;
use crate::sql::{SqlError, SqlRows};

impl Outcome {
    /// Rows with these columns, which are those of
    /// [`BoundQuery::relation`](ebbtide_model::query::BoundQuery::relation): of a funnel one per step (over time
    /// one per bucket), of a retention one per cohort
    /// and period, of a trend one per bucket, of a churn one per actor, of a preceding one per value, and
    /// per actor where those are asked for. Groups of a breakdown are not among them.
    pub fn relation(&self, columns: &[(String, ColumnType)]) -> Result<SqlRows, SqlError> {
        let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        let rows = match self {
            Self::Retention(retention) => retention.relation(&names),
            Self::Churn(churn) => {
                churn.actors.iter().map(|actor| row(&names, |name| actor.cell(name))).collect()
            }
            Self::Trend(trend) => trend.relation(&names),
            Self::Preceding(preceding) => return preceding.relation(columns),
            Self::Funnel(funnel) => funnel.relation(&names),
            Self::Lifecycle(lifecycle) => {
                lifecycle.buckets.iter().map(|bucket| row(&names, |name| bucket.cell(name))).collect()
            }
            Self::Stickiness(stickiness) => stickiness.relation(&names),
            Self::Dropoff(dropoff) => dropoff.relation(&names),
            Self::Paths(paths) => {
                paths.edges.iter().map(|edge| row(&names, |name| edge.cell(name))).collect()
            }
        };
        SqlRows::of_values(columns, &rows)
    }
}

pub(super) fn row(names: &[&str], cell: impl Fn(&str) -> Value) -> Vec<Value> {
    names.iter().map(|name| cell(name)).collect()
}

pub(super) fn count(count: u64) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

pub(super) fn float(ratio: Option<&Ratio>) -> Value {
    ratio.map_or(Value::Null, |ratio| Value::Float(ratio.to_f64()))
}

pub(super) fn of_actor(id: &ActorId, name: &str) -> Value {
    match name {
        "actor" => id.actor.clone(),
        "tenant" => id.tenant.as_ref().map_or(Value::Null, |tenant| Value::Text(tenant.as_str().into())),
        _ => Value::Null,
    }
}

impl RetentionAnswer {
    fn relation(&self, names: &[&str]) -> Vec<Vec<Value>> {
        let cells = |cohort: &CohortRow| {
            let periods = 0..cohort.cells.len();
            periods.map(|period| row(names, |name| cohort.cell(period, name))).collect::<Vec<_>>()
        };
        self.all.rows.iter().flat_map(cells).collect()
    }
}

impl CohortRow {
    fn cell(&self, period: usize, name: &str) -> Value {
        let cell = self.cells.get(period);
        match name {
            "start" => Value::Timestamp(self.start),
            "label" => Value::Text(self.label.as_str().into()),
            "size" => self.size.map_or(Value::Null, count),
            "period" => Value::Int(i64::try_from(period).unwrap_or(i64::MAX)),
            "count" => cell.and_then(|cell| cell.count).map_or(Value::Null, count),
            "complete" => cell.map_or(Value::Null, |cell| Value::Bool(cell.complete)),
            _ => Value::Null,
        }
    }
}

impl ChurnActor {
    fn cell(&self, name: &str) -> Value {
        match name {
            "events" => count(self.events),
            "first" => Value::Timestamp(self.first),
            "last" => Value::Timestamp(self.last),
            "days_inactive" => count(self.days_inactive),
            "interval_days" => float(self.interval_days.as_ref()),
            "ratio" => float(self.ratio.as_ref()),
            "at_risk" => Value::Bool(self.at_risk),
            "alive" => self.alive.map_or(Value::Null, Value::Float),
            "expected" => self.expected.map_or(Value::Null, Value::Float),
            name => of_actor(&self.id, name),
        }
    }
}

impl TrendAnswer {
    fn relation(&self, names: &[&str]) -> Vec<Vec<Value>> {
        (0..self.buckets.len()).map(|bucket| row(names, |name| self.cell(bucket, name))).collect()
    }

    fn cell(&self, index: usize, name: &str) -> Value {
        match name {
            "start" | "label" | "complete" => {
                self.buckets.get(index).map_or(Value::Null, |bucket| bucket.cell(name))
            }
            name => {
                let of_name = |measure: ebbtide_model::query::Measure| measure.name() == name;
                let series =
                    self.data.iter().find(|series| name == "value" || series.measure.is_some_and(of_name));
                let quantity = series.and_then(|series| series.values.get(index)?.as_ref());
                float(quantity.map(Quantity::ratio).as_ref())
            }
        }
    }
}

impl FunnelAnswer {
    fn relation(&self, names: &[&str]) -> Vec<Vec<Value>> {
        match &self.all {
            FunnelCounts::Steps { steps, .. } => {
                let cells = |(index, step): (u64, &FunnelStepCount)| {
                    row(names, |name| match name {
                        "step" => count(index),
                        "count" => count(step.count),
                        "avg_seconds" => float(step.avg_seconds.as_ref()),
                        "median_seconds" => float(step.median_seconds.as_ref()),
                        _ => Value::Null,
                    })
                };
                (0..).zip(steps).map(cells).collect()
            }
            FunnelCounts::Trends(series) => {
                let known = |counts: &[Option<u64>], index: usize| {
                    counts.get(index).copied().flatten().map_or(Value::Null, count)
                };
                let cells = |(index, bucket): (usize, &Bucket)| {
                    row(names, |name| match name {
                        "entered" => known(&series.entered, index),
                        "converted" => known(&series.converted, index),
                        name => bucket.cell(name),
                    })
                };
                self.buckets.iter().flatten().enumerate().map(cells).collect()
            }
        }
    }
}

impl PrecedingAnswer {
    fn relation(&self, columns: &[(String, ColumnType)]) -> Result<SqlRows, SqlError> {
        if let Some(groups) = &self.groups {
            return SqlRows::of_cells(columns, groups.len(), |row, name| groups[row].cell(name));
        }
        match &self.actors {
            Some(actors) => SqlRows::of_cells(columns, actors.len(), |row, name| actors[row].cell(name)),
            None => SqlRows::of_cells(columns, self.values.len(), |row, name| self.values[row].cell(name)),
        }
    }
}

impl GroupValue {
    fn cell(&self, name: &str) -> Value {
        match name {
            "by" => self.by.clone(),
            "value" => self.value.clone(),
            "count" => count(self.count),
            _ => Value::Null,
        }
    }
}

impl ActorValue {
    fn cell(&self, name: &str) -> Value {
        match name {
            "value" => self.value.clone(),
            "count" => count(self.count),
            name => of_actor(&self.id, name),
        }
    }
}

impl ValueCount {
    fn cell(&self, name: &str) -> Value {
        match name {
            "value" => self.value.clone(),
            "count" => count(self.count),
            _ => Value::Null,
        }
    }
}

impl Bucket {
    fn cell(&self, name: &str) -> Value {
        match name {
            "start" => self.start.map_or(Value::Null, Value::Timestamp),
            "label" => Value::Text(self.label.as_str().into()),
            "complete" => Value::Bool(self.complete),
            _ => Value::Null,
        }
    }
}

impl LifecycleBucket {
    fn cell(&self, name: &str) -> Value {
        let number = |number: Option<u64>| number.map_or(Value::Null, count);
        match name {
            "active" => number(self.active()),
            "new" => number(self.new),
            "returning" => number(self.returning),
            "resurrecting" => number(self.resurrecting),
            "dormant" => self.dormant_signed().map_or(Value::Null, Value::Int),
            name => self.bucket.cell(name),
        }
    }
}

impl StickinessAnswer {
    fn relation(&self, names: &[&str]) -> Vec<Vec<Value>> {
        let counts = self.data.iter().zip(&self.at_least).zip(1_u64..);
        let cells = |((actors, at_least), periods): ((&u64, &u64), u64)| {
            row(names, |name| match name {
                "periods" => count(periods),
                "actors" => count(*actors),
                "at_least" => count(*at_least),
                _ => Value::Null,
            })
        };
        counts.map(cells).collect()
    }
}

impl Edge {
    fn cell(&self, name: &str) -> Value {
        match name {
            "step" => Value::Int(i64::from(self.step)),
            "from" => self.from.clone(),
            "to" => self.to.clone(),
            "count" => count(self.count),
            _ => Value::Null,
        }
    }
}
