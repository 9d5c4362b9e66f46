//! A churn's result.

use ebbtide_model::Instant;
use serde_json::{Map, Value as Json, json};

use super::ActorId;
use crate::Ratio;

#[derive(Clone, Debug)]
pub struct ChurnAnswer {
    /// In the order asked for, cut at the limit.
    pub actors: Vec<ChurnActor>,
    /// How many are at risk, listed or not.
    pub at_risk: u64,
    /// How many were looked at.
    pub total: u64,
    /// Where a model is asked for; `Some(None)` where the history does not allow one.
    pub model: Option<Option<ChurnModel>>,
}

/// The BG/NBD model's parameters of greatest likelihood (Fader, Hardie & Lee 2005).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChurnModel {
    pub r: f64,
    /// In the model's unit of time.
    pub alpha: f64,
    pub a: f64,
    pub b: f64,
    pub log_likelihood: f64,
}

#[derive(Clone, Debug)]
pub struct ChurnActor {
    pub id: ActorId,
    pub events: u64,
    pub first: Instant,
    pub last: Instant,
    /// Whole days of 86,400 seconds from `last` to `as_of`.
    pub days_inactive: u64,
    /// (last − first) / (events − 1), in days; `None` with one event.
    pub interval_days: Option<Ratio>,
    /// The exact time since `last` over the interval; `None` where that is none or nothing.
    pub ratio: Option<Ratio>,
    pub at_risk: bool,
    /// By the model, where there is one: the probability that the actor is still there.
    pub alive: Option<f64>,
    /// By the model: on how many days the actor is expected within the horizon.
    pub expected: Option<f64>,
}

/// Whether a model was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Modelled {
    Yes,
    No,
}

impl ChurnAnswer {
    pub fn to_json(&self) -> Json {
        let modelled = if self.model.is_some() { Modelled::Yes } else { Modelled::No };
        let actors: Json = self.actors.iter().map(|actor| actor.to_json(modelled)).collect();
        let mut json = json!({"actors": actors, "at_risk": self.at_risk, "total": self.total});
        if let (Some(model), Json::Object(json)) = (&self.model, &mut json) {
            let params = model
                .map(|ChurnModel { r, alpha, a, b, .. }| json!({"r": r, "alpha": alpha, "a": a, "b": b}));
            json.insert("params".to_owned(), Json::from(params));
            json.insert("log_likelihood".to_owned(), Json::from(model.map(|model| model.log_likelihood)));
        }
        json
    }
}

impl ChurnActor {
    fn to_json(&self, modelled: Modelled) -> Json {
        let float =
            |ratio: &Option<Ratio>| ratio.as_ref().map_or(Json::Null, |ratio| Json::from(ratio.to_f64()));
        let mut json = Map::new();
        let mut put = |name: &str, value: Json| json.insert(name.to_owned(), value);
        put("actor", self.id.actor.to_json());
        if let Some(tenant) = &self.id.tenant {
            put("tenant", Json::from(tenant.as_str()));
        }
        put("events", Json::from(self.events));
        put("first", Json::from(self.first.to_string()));
        put("last", Json::from(self.last.to_string()));
        put("days_inactive", Json::from(self.days_inactive));
        put("interval_days", float(&self.interval_days));
        put("ratio", float(&self.ratio));
        put("at_risk", Json::from(self.at_risk));
        if modelled == Modelled::Yes {
            put("alive", Json::from(self.alive));
            put("expected", Json::from(self.expected));
        }
        Json::Object(json)
    }
}
