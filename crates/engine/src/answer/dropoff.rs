//! A dropoff's result.

use std::cmp::Reverse;

use ebbtide_model::query::Scalar;
use ebbtide_model::{Instant, Value, Written};
use serde_json::{Map, Value as Json, json};

use super::ActorId;
use super::relation::{count, float, of_actor, row};
use crate::Ratio;

#[derive(Clone, Debug)]
pub struct DropoffAnswer {
    pub sessions: u64,
    /// Distinct actors.
    pub users: u64,
    pub exits: u64,
    pub converted: u64,
    /// Sessions that have neither ended nor converted.
    pub active: u64,
    /// When the first of the active ones will have exited, if nothing happens before.
    pub idle_at: Option<Instant>,
    /// In the order of the query.
    pub steps: Vec<DropoffStep>,
    /// Where they are asked for: newest first, then by id.
    pub listed: Option<Vec<DropoffSession>>,
    /// Where sessions are split, all else is of those that are looked at: in the order of the query, then by value.
    pub splits: Option<Vec<DropoffSplit>>,
}

/// Sessions that have ended and have a value.
#[derive(Clone, Debug)]
pub struct DropoffSplit {
    pub split: String,
    /// Null: those that have none.
    pub value: Value,
    /// Those that were at a step; `None`: all.
    pub step: Option<Scalar>,
    pub sessions: u64,
    /// Those that reached no later step; of all, those that did not succeed.
    pub lost: u64,
}

#[derive(Clone, Debug)]
pub struct DropoffStep {
    pub step: Scalar,
    /// Sessions that were there.
    pub sessions: u64,
    /// Distinct actors who were there.
    pub users: u64,
    /// Sessions that ended there.
    pub exits: u64,
    pub latency: Vec<DropoffLatency>,
}

#[derive(Clone, Debug)]
pub struct DropoffLatency {
    pub name: String,
    /// Null: none was measured there.
    pub latest: Value,
    pub avg: Option<Ratio>,
}

#[derive(Clone, Debug)]
pub struct DropoffSession {
    pub id: String,
    pub actor: ActorId,
    pub started: Instant,
    pub last: Instant,
    /// Steps in order of time, those in a row that are the same once.
    pub path: Vec<Scalar>,
    pub outcome: Ending,
    pub exit_step: Option<Scalar>,
}

/// What became of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Converted,
    /// It ended at this step, which counts from 0.
    Exited(u8),
    Active,
}

impl Ending {
    pub fn name(self) -> &'static str {
        match self {
            Self::Converted => "converted",
            Self::Exited(_) => "exited",
            Self::Active => "active",
        }
    }

    pub(crate) fn code(self) -> (u8, Option<u8>) {
        match self {
            Self::Active => (0, None),
            Self::Converted => (1, None),
            Self::Exited(step) => (2, Some(step)),
        }
    }

    pub(crate) fn of_code(code: u8, step: Option<u8>) -> Self {
        match (code, step) {
            (_, Some(step)) => Self::Exited(step),
            (1, None) => Self::Converted,
            (_, None) => Self::Active,
        }
    }
}

/// In percent; over nothing 0.
fn percent(part: u64, whole: u64) -> Ratio {
    Ratio::new(u128::from(part) * 100, whole).unwrap_or_else(|| Ratio::whole(0))
}

impl DropoffAnswer {
    pub fn conversion_rate(&self) -> Ratio {
        percent(self.converted, self.sessions)
    }

    /// The step with most exits, of several the first by its text; none without exits.
    pub fn worst_step(&self) -> Option<&Scalar> {
        let exited = self.steps.iter().filter(|step| step.exits > 0);
        let place = |step: &&DropoffStep| (Reverse(step.exits), text(&step.step).canonical_text());
        exited.min_by_key(place).map(|step| &step.step)
    }

    /// Of all sessions, those that were at a step.
    pub fn reach_rate(&self, step: &DropoffStep) -> Ratio {
        percent(step.sessions, self.sessions)
    }

    /// Of all exits, those at a step.
    pub fn exit_share(&self, step: &DropoffStep) -> Ratio {
        percent(step.exits, self.exits)
    }

    pub fn to_json(&self) -> Json {
        let mut json = Map::new();
        let mut put = |name: &str, value: Json| json.insert(name.to_owned(), value);
        put("total_sessions", Json::from(self.sessions));
        if let Some(splits) = &self.splits {
            put("converted", Json::from(self.converted));
            put("splits", splits.iter().map(DropoffSplit::to_json).collect());
            return Json::Object(json);
        }
        put("total_users", Json::from(self.users));
        put("total_exits", Json::from(self.exits));
        put("converted", Json::from(self.converted));
        put("active", Json::from(self.active));
        put("conversion_rate", self.conversion_rate().to_json());
        put("steps", self.steps.iter().map(|step| self.step_json(step)).collect());
        if let Some(listed) = &self.listed {
            put("sessions", listed.iter().map(DropoffSession::to_json).collect());
        }
        Json::Object(json)
    }

    fn step_json(&self, step: &DropoffStep) -> Json {
        let latency = |latency: &DropoffLatency| {
            let avg = latency.avg.as_ref().map_or(Json::Null, Ratio::to_json);
            (latency.name.clone(), json!({"latest": latency.latest.to_json(), "avg": avg}))
        };
        json!({
            "step": step.step.to_json(),
            "sessions": step.sessions,
            "users": step.users,
            "reach_rate": self.reach_rate(step).to_json(),
            "exits": step.exits,
            "exit_share": self.exit_share(step).to_json(),
            "step_exit_rate": step.exit_rate().to_json(),
            "latency": step.latency.iter().map(latency).collect::<Map<String, Json>>(),
        })
    }

    pub(super) fn relation(&self, names: &[&str]) -> Vec<Vec<Value>> {
        if let Some(splits) = &self.splits {
            return splits.iter().map(|split| row(names, |name| split.cell(name))).collect();
        }
        match &self.listed {
            Some(sessions) => sessions.iter().map(|session| row(names, |name| session.cell(name))).collect(),
            None => self.steps.iter().map(|step| row(names, |name| self.cell(step, name))).collect(),
        }
    }

    fn cell(&self, step: &DropoffStep, name: &str) -> Value {
        match name {
            "step" => text(&step.step),
            "sessions" => count(step.sessions),
            "users" => count(step.users),
            "exits" => count(step.exits),
            "reach_rate" => float(Some(&self.reach_rate(step))),
            "exit_share" => float(Some(&self.exit_share(step))),
            "step_exit_rate" => float(Some(&step.exit_rate())),
            "total_sessions" => count(self.sessions),
            "total_users" => count(self.users),
            "total_exits" => count(self.exits),
            "converted" => count(self.converted),
            "active" => count(self.active),
            "conversion_rate" => float(Some(&self.conversion_rate())),
            name => step.latency_cell(name),
        }
    }
}

impl DropoffStep {
    /// Of the sessions that were here, those that ended here.
    pub fn exit_rate(&self) -> Ratio {
        percent(self.exits, self.sessions)
    }

    fn latency_cell(&self, name: &str) -> Value {
        let of = |suffix: &str| {
            let own = name.strip_suffix(suffix)?;
            self.latency.iter().find(|latency| latency.name == own)
        };
        if let Some(latency) = of("_avg") {
            return float(latency.avg.as_ref());
        }
        of("_latest").map_or(Value::Null, |latency| match latency.latest {
            #[expect(clippy::cast_precision_loss, reason = "a time that something took, as SQL reads it")]
            Value::Int(value) => Value::Float(value as f64),
            Value::Decimal(units) => float(Ratio::new(units, 1_000_000_000_u32).as_ref()),
            Value::Float(value) => Value::Float(value),
            Value::Null
            | Value::Bool(_)
            | Value::Text(_)
            | Value::Timestamp(_)
            | Value::Date(_)
            | Value::Json(_) => Value::Null,
        })
    }
}

impl DropoffSplit {
    pub fn to_json(&self) -> Json {
        let step = self.step.as_ref().map_or(Json::Null, Scalar::to_json);
        json!({
            "split": self.split, "value": self.value.to_json(), "step": step, "sessions": self.sessions,
            "lost": self.lost,
        })
    }

    fn cell(&self, name: &str) -> Value {
        match name {
            "split" => Value::Text(self.split.as_str().into()),
            "value" => self.value.canonical_text().map_or(Value::Null, |text| Value::Text(text.into())),
            "step" => self.step.as_ref().map_or(Value::Null, text),
            "sessions" => count(self.sessions),
            "lost" => count(self.lost),
            _ => Value::Null,
        }
    }
}

impl DropoffSession {
    pub fn to_json(&self) -> Json {
        let mut json = Map::new();
        let mut put = |name: &str, value: Json| json.insert(name.to_owned(), value);
        put("session_id", Json::from(self.id.as_str()));
        put("actor", self.actor.actor.to_json());
        if let Some(tenant) = &self.actor.tenant {
            put("tenant", Json::from(tenant.as_str()));
        }
        put("started_at", Json::from(self.started.to_string()));
        put("last_event_at", Json::from(self.last.to_string()));
        put("path", self.path_json());
        put("outcome", Json::from(self.outcome.name()));
        put("exit_step", self.exit_step.as_ref().map_or(Json::Null, Scalar::to_json));
        Json::Object(json)
    }

    pub fn path_json(&self) -> Json {
        self.path.iter().map(Scalar::to_json).collect()
    }

    fn cell(&self, name: &str) -> Value {
        match name {
            "session_id" => Value::Text(self.id.as_str().into()),
            "started_at" => Value::Timestamp(self.started),
            "last_event_at" => Value::Timestamp(self.last),
            "path" => Value::Text(Written(&self.path_json()).to_string().into()),
            "outcome" => Value::Text(self.outcome.name().into()),
            "exit_step" => self.exit_step.as_ref().map_or(Value::Null, text),
            name => of_actor(&self.actor, name),
        }
    }
}

/// A step as SQL reads it.
fn text(step: &Scalar) -> Value {
    let text = match step {
        Scalar::Text(text) => text.clone(),
        Scalar::Null | Scalar::Bool(_) | Scalar::Number(_) | Scalar::Digits(_) => {
            Written(&step.to_json()).to_string()
        }
    };
    Value::Text(text.into())
}
