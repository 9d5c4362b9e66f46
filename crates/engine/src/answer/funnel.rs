//! A funnel's result.

use ebbtide_model::Value;
use serde_json::{Map, Value as Json};

use super::{ActorId, Bucket, buckets_json};
use crate::Ratio;

#[derive(Clone, Debug)]
pub struct FunnelAnswer {
    pub all: FunnelCounts,
    /// With a breakdown: those that most actors enter first, then by value.
    pub groups: Option<Vec<FunnelGroup>>,
    /// By step, sorted, where they are asked for.
    pub actors_at_step: Option<Vec<Vec<ActorId>>>,
    /// Actors with any event, where they are asked for.
    pub all_actors: Option<u64>,
    /// Over time: by when attempts started.
    pub buckets: Option<Vec<Bucket>>,
}

#[derive(Clone, Debug)]
pub struct FunnelGroup {
    /// By property of the breakdown.
    pub value: Vec<Value>,
    pub counts: FunnelCounts,
}

#[derive(Clone, Debug)]
pub enum FunnelCounts {
    Steps {
        steps: Vec<FunnelStepCount>,
        /// `Some(None)`: nobody got there.
        avg_between_seconds: Option<Option<Ratio>>,
    },
    Trends(FunnelSeries),
}

#[derive(Clone, Debug)]
pub struct FunnelStepCount {
    /// Actors who got so far.
    pub count: u64,
    /// From the step before; `None` at the first step and where nobody got so far.
    pub avg_seconds: Option<Ratio>,
    pub median_seconds: Option<Ratio>,
}

/// By bucket; `None` where it has not begun.
#[derive(Clone, Debug)]
pub struct FunnelSeries {
    pub entered: Vec<Option<u64>>,
    pub converted: Vec<Option<u64>>,
}

impl FunnelSeries {
    /// The share of a bucket's actors who converted, in percent; `None` over nobody.
    pub fn percent(&self, bucket: usize) -> Option<Ratio> {
        let converted = u128::from((*self.converted.get(bucket)?)?);
        Ratio::new(converted * 100, (*self.entered.get(bucket)?)?)
    }
}

impl FunnelAnswer {
    pub fn to_json(&self) -> Json {
        let mut json = self.buckets.as_ref().map_or_else(Map::new, |buckets| buckets_json(buckets.iter()));
        json.extend(self.all.to_json());
        if let Some(groups) = &self.groups {
            let group = |group: &FunnelGroup| {
                let mut json = Map::new();
                json.insert("value".to_owned(), group.value.iter().map(Value::to_json).collect());
                json.extend(group.counts.to_json());
                Json::Object(json)
            };
            json.insert("groups".to_owned(), groups.iter().map(group).collect());
        }
        if let Some(steps) = &self.actors_at_step {
            let actors = |actors: &Vec<ActorId>| actors.iter().map(ActorId::to_json).collect::<Json>();
            json.insert("actors_at_step".to_owned(), steps.iter().map(actors).collect());
        }
        if let Some(all_actors) = self.all_actors {
            json.insert("all_actors".to_owned(), Json::from(all_actors));
        }
        Json::Object(json)
    }
}

impl FunnelCounts {
    fn to_json(&self) -> Map<String, Json> {
        let float = |ratio: Option<&Ratio>| ratio.map_or(Json::Null, |ratio| Json::from(ratio.to_f64()));
        let mut json = Map::new();
        let mut put = |name: &str, value: Json| json.insert(name.to_owned(), value);
        match self {
            Self::Steps { steps, avg_between_seconds } => {
                put("counts", steps.iter().map(|step| step.count).collect());
                put("avg_seconds", steps.iter().map(|step| float(step.avg_seconds.as_ref())).collect());
                put("median_seconds", steps.iter().map(|step| float(step.median_seconds.as_ref())).collect());
                if let Some(between) = avg_between_seconds {
                    put("avg_between_seconds", float(between.as_ref()));
                }
            }
            Self::Trends(series) => {
                let counts = |counts: &[Option<u64>]| counts.iter().copied().map(Json::from).collect();
                put("entered", counts(&series.entered));
                put("converted", counts(&series.converted));
                let percent = |bucket| float(series.percent(bucket).as_ref());
                put("percent", (0..series.entered.len()).map(percent).collect());
            }
        }
        json
    }
}
