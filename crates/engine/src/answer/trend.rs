//! A trend's result.

use ebbtide_model::Value;
use ebbtide_model::query::{Formula, Measure, Measures};
use serde_json::{Map, Value as Json, json};

use super::{Bucket, buckets_json};
use crate::Ratio;

#[derive(Clone, Debug)]
pub struct TrendAnswer {
    pub buckets: Vec<Bucket>,
    pub measures: Measures,
    /// By measure, in the order asked for.
    pub data: Vec<Series>,
    /// With a breakdown: the commonest value first, then by value.
    pub groups: Option<Vec<TrendGroup>>,
    /// The same of the previous period, where it is asked for.
    pub compare: Option<TrendCompare>,
    /// With a formula: what it is computed from, in the order of the entities. Empty without.
    pub entities: Vec<Series>,
}

/// The buckets directly before, one by one.
#[derive(Clone, Debug)]
pub struct TrendCompare {
    pub buckets: Vec<Bucket>,
    pub data: Vec<Series>,
}

#[derive(Clone, Debug)]
pub struct TrendGroup {
    pub value: Value,
    pub data: Vec<Series>,
    /// Of the previous period, where it is asked for.
    pub compare: Option<Vec<Series>>,
}

#[derive(Clone, Debug)]
pub struct Series {
    /// `None`: a formula.
    pub measure: Option<Measure>,
    /// By bucket; `None` over nothing (save for counts and sums), and where the bucket has not begun.
    pub values: Vec<Option<Quantity>>,
}

#[derive(Clone, Debug)]
pub enum Quantity {
    Count(u64),
    /// Of an int or decimal column: all of its digits; whole numbers are JSON integers.
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
        let mut json = buckets_json(self.buckets.iter());
        json.insert("data".to_owned(), self.data_json(&self.data));
        if let Some(groups) = &self.groups {
            json.insert("groups".to_owned(), groups.iter().map(|group| self.group_json(group)).collect());
        }
        if let Some(compare) = &self.compare {
            let mut before = buckets_json(compare.buckets.iter());
            before.insert("data".to_owned(), self.data_json(&compare.data));
            json.insert("compare".to_owned(), Json::Object(before));
        }
        if !self.entities.is_empty() {
            let entity = |(index, series): (usize, &Series)| {
                let measure = series.measure.map(Measure::name);
                json!({"name": Formula::name_of(index), "measure": measure, "data": values_json(series)})
            };
            json.insert("entities".to_owned(), self.entities.iter().enumerate().map(entity).collect());
        }
        Json::Object(json)
    }

    fn group_json(&self, group: &TrendGroup) -> Json {
        let mut json = Map::new();
        json.insert("value".to_owned(), group.value.to_json());
        json.insert("data".to_owned(), self.data_json(&group.data));
        if let Some(compare) = &group.compare {
            json.insert("compare".to_owned(), self.data_json(compare));
        }
        Json::Object(json)
    }

    fn data_json(&self, data: &[Series]) -> Json {
        match &self.measures {
            Measures::One(_) => data.first().map_or(Json::Null, values_json),
            Measures::Many(_) => {
                let name = |series: &Series| series.measure.map_or("", Measure::name).to_owned();
                Json::Object(data.iter().map(|series| (name(series), values_json(series))).collect())
            }
        }
    }
}

fn values_json(series: &Series) -> Json {
    let value = |value: &Option<Quantity>| value.as_ref().map_or(Json::Null, Quantity::to_json);
    series.values.iter().map(value).collect()
}
