//! Results of lifecycle, stickiness and paths.

use ebbtide_model::Value;
use serde_json::{Map, Value as Json, json};

use super::{ActorId, Bucket, buckets_json};

#[derive(Clone, Debug)]
pub struct LifecycleAnswer {
    /// Oldest first.
    pub buckets: Vec<LifecycleBucket>,
}

/// Who is what in a period. Counts are `None` where it has not begun.
#[derive(Clone, Debug)]
pub struct LifecycleBucket {
    pub bucket: Bucket,
    pub new: Option<u64>,
    pub returning: Option<u64>,
    pub resurrecting: Option<u64>,
    pub dormant: Option<u64>,
    pub members: StatusMembers,
}

/// Sorted, and cut at the query's limit.
#[derive(Clone, Debug)]
pub struct StatusMembers {
    pub new: Vec<ActorId>,
    pub returning: Vec<ActorId>,
    pub resurrecting: Vec<ActorId>,
    pub dormant: Vec<ActorId>,
}

#[derive(Clone, Debug)]
pub struct StickinessAnswer {
    /// Actors who are active in exactly one bucket, two, …
    pub data: Vec<u64>,
    /// Actors who are active in so many or more.
    pub at_least: Vec<u64>,
    pub actors_total: u64,
}

#[derive(Clone, Debug)]
pub struct PathsAnswer {
    /// By step; the commonest first, then by items.
    pub edges: Vec<Edge>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    /// From the first item of a chain to its second is step 1.
    pub step: u32,
    pub from: Value,
    pub to: Value,
    pub count: u64,
}

impl LifecycleBucket {
    /// Who is active in the period.
    pub fn active(&self) -> Option<u64> {
        Some(self.new? + self.returning? + self.resurrecting?)
    }

    /// Who is gone, as a number below zero.
    pub fn dormant_signed(&self) -> Option<i64> {
        self.dormant.map(|dormant| i64::try_from(dormant).map_or(i64::MIN, |dormant| -dormant))
    }
}

impl LifecycleAnswer {
    pub fn to_json(&self) -> Json {
        let series = |of: &dyn Fn(&LifecycleBucket) -> Json| self.buckets.iter().map(of).collect::<Json>();
        let members = |of: fn(&StatusMembers) -> &[ActorId]| {
            series(&|bucket| of(&bucket.members).iter().map(ActorId::to_json).collect())
        };
        let mut json = buckets_json(self.buckets.iter().map(|bucket| &bucket.bucket));
        let mut put = |name: &str, value: Json| json.insert(name.to_owned(), value);
        put("new", series(&|bucket| Json::from(bucket.new)));
        put("returning", series(&|bucket| Json::from(bucket.returning)));
        put("resurrecting", series(&|bucket| Json::from(bucket.resurrecting)));
        put("dormant", series(&|bucket| Json::from(bucket.dormant_signed())));
        put("active", series(&|bucket| Json::from(bucket.active())));
        put(
            "actors",
            json!({
                "new": members(|members| &members.new),
                "returning": members(|members| &members.returning),
                "resurrecting": members(|members| &members.resurrecting),
                "dormant": members(|members| &members.dormant),
            }),
        );
        Json::Object(json)
    }
}

impl StickinessAnswer {
    pub fn to_json(&self) -> Json {
        json!({"data": self.data, "at_least": self.at_least, "actors_total": self.actors_total})
    }
}

impl PathsAnswer {
    pub fn to_json(&self) -> Json {
        let edge = |edge: &Edge| {
            let mut json = Map::new();
            json.insert("step".to_owned(), Json::from(edge.step));
            json.insert("from".to_owned(), edge.from.to_json());
            json.insert("to".to_owned(), edge.to.to_json());
            json.insert("count".to_owned(), Json::from(edge.count));
            Json::Object(json)
        };
        json!({"edges": self.edges.iter().map(edge).collect::<Json>()})
    }
}
