//! A trend's result.

use ebbtide_model::query::{Measure, Measures};
use ebbtide_model::{Instant, Value};
use serde_json::{Map, Value as Json, json};

use crate::Ratio;

#[derive(Clone, Debug)]
pub struct TrendAnswer {
    pub buckets: Vec<TrendBucket>,
    pub measures: Measures,
    /// By measure, in the order asked for.
    pub data: Vec<Series>,
    /// With a breakdown: the commonest value first, then by value.
    pub groups: Option<Vec<TrendGroup>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrendBucket {
    /// The calendar period's start; `None` where the bucket is all of history.
    pub start: Option<Instant>,
    /// The period's name: `2026-06` for a month; `all`.
    pub label: String,
    /// Whether it has ended.
    pub complete: bool,
}

#[derive(Clone, Debug)]
pub struct TrendGroup {
    pub value: Value,
    pub data: Vec<Series>,
}

#[derive(Clone, Debug)]
pub struct Series {
    pub measure: Measure,
    /// By bucket; `None` over nothing (save for counts and sums), and where the bucket has not begun.
    pub values: Vec<Option<Quantity>>,
}

#[derive(Clone, Debug)]
pub enum Quantity {
    Count(u64),
    /// Of an int or decimal column: whole numbers are JSON integers.
    Exact(Ratio),
    /// A mean or percentile, or of a float column: a JSON float.
    Float(Ratio),
}

impl Quantity {
    pub fn ratio(&self) -> Ratio {
        match self {
            Self::Count(count) => Ratio::count(*count),
            Self::Exact(ratio) | Self::Float(ratio) => ratio.clone(),
        }
    }

    pub fn to_json(&self) -> Json {
        match self {
            Self::Count(count) => Json::from(*count),
            Self::Exact(ratio) => ratio.to_json(),
            Self::Float(ratio) => Json::from(ratio.to_f64()),
        }
    }
}

impl TrendAnswer {
    pub fn to_json(&self) -> Json {
        let starts = self
            .buckets
            .iter()
            .map(|bucket| bucket.start.map_or(Json::Null, |start| Json::from(start.to_string())));
        let mut json = Map::new();
        json.insert("starts".to_owned(), starts.collect());
        json.insert("complete".to_owned(), self.buckets.iter().map(|bucket| bucket.complete).collect());
        json.insert("data".to_owned(), self.data_json(&self.data));
        if let Some(groups) = &self.groups {
            let group = |group: &TrendGroup| json!({"value": group.value.to_json(), "data": self.data_json(&group.data)});
            json.insert("groups".to_owned(), groups.iter().map(group).collect());
        }
        Json::Object(json)
    }

    fn data_json(&self, data: &[Series]) -> Json {
        let list = |series: &Series| {
            let value = |value: &Option<Quantity>| value.as_ref().map_or(Json::Null, Quantity::to_json);
            series.values.iter().map(value).collect::<Json>()
        };
        match &self.measures {
            Measures::One(_) => data.first().map_or(Json::Null, list),
            Measures::Many(_) => {
                let entries = data.iter().map(|series| (series.measure.name().to_owned(), list(series)));
                Json::Object(entries.collect())
            }
        }
    }
}
