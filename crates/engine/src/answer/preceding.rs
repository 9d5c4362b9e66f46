//! A preceding's result.

use ebbtide_model::Value;
use serde_json::{Map, Value as Json, json};

use super::ActorId;

#[derive(Clone, Debug)]
pub struct PrecedingAnswer {
    /// How many events were counted, shown or not.
    pub total: u64,
    /// The commonest first, then by value, null last.
    pub values: Vec<ValueCount>,
    /// Where they are asked for: by tenant and actor, then by value; all of them, whatever the limit.
    pub actors: Option<Vec<ActorValue>>,
    /// Where they are asked for: by the value of the rows that actors are, the commonest of each first.
    pub groups: Option<Vec<GroupValue>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct GroupValue {
    pub by: Value,
    pub value: Value,
    pub count: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ValueCount {
    /// Null: there was no earlier event, or its value is null.
    pub value: Value,
    pub count: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ActorValue {
    pub id: ActorId,
    pub value: Value,
    pub count: u64,
}

impl PrecedingAnswer {
    pub fn to_json(&self) -> Json {
        let value = |row: &ValueCount| json!({"value": row.value.to_json(), "count": row.count});
        let mut json = Map::new();
        json.insert("total".to_owned(), Json::from(self.total));
        if self.groups.is_none() {
            json.insert("values".to_owned(), self.values.iter().map(value).collect());
        }
        if let Some(actors) = &self.actors {
            json.insert("actors".to_owned(), actors.iter().map(ActorValue::to_json).collect());
        }
        if let Some(groups) = &self.groups {
            let group = |row: &GroupValue| json!({"by": row.by.to_json(), "value": row.value.to_json(), "count": row.count});
            json.insert("groups".to_owned(), groups.iter().map(group).collect());
        }
        Json::Object(json)
    }
}

impl ActorValue {
    fn to_json(&self) -> Json {
        let mut json = Map::new();
        json.insert("actor".to_owned(), self.id.actor.to_json());
        if let Some(tenant) = &self.id.tenant {
            json.insert("tenant".to_owned(), Json::from(tenant.as_str()));
        }
        json.insert("value".to_owned(), self.value.to_json());
        json.insert("count".to_owned(), Json::from(self.count));
        Json::Object(json)
    }
}
