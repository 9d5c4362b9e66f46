//! `dropoff`: at which step sessions end, and how long each step takes.

use serde_json::{Map, Value as Json, json};

use super::filter::{Scalar, decode_name};
use super::matcher::{Matcher, count};
use super::splits::Splits;
use super::when::Duration;
use crate::{ColumnType, Fault, Fields, Node, TableName};

pub const DROPOFF_STEPS_MAX: usize = 20;
const LATENCIES_MAX: usize = 8;
const LATENCY_NAME_BYTES_MAX: usize = 40;
const LIMIT_DEFAULT: u32 = 50;
const LIMIT_MAX: i64 = 1_000;

#[derive(Clone, Debug, PartialEq)]
pub struct Dropoff {
    /// The events that sessions are made of.
    pub entity: Matcher,
    pub session: SessionRule,
    /// The property that says at which step an event happened.
    pub step: String,
    /// The property that says to which step it led; events that match `exit` lead nowhere.
    pub next_step: Option<String>,
    /// What stands in those properties, in the order of the answer; no two are the same.
    pub steps: Vec<Scalar>,
    /// The one of `steps` that makes a session a success.
    pub success: usize,
    /// Where a session's last event is such a one, it ended there.
    pub exit: Option<Matcher>,
    /// A session without an event for so long has ended.
    pub idle: Duration,
    pub latency: Vec<Latency>,
    pub list: DropoffList,
    /// How many sessions are listed, where they are.
    pub limit: u32,
    /// Where they are listed.
    pub splits: Option<Splits>,
}

/// Which events are one session.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionRule {
    /// Events with the same value of it, whoever's they are.
    pub prop: Option<String>,
    /// Events without it: an actor's, until no event follows for so long.
    pub gap: Duration,
}

/// A property with the time that something took, at the step of its event.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency {
    pub name: String,
    pub prop: String,
    /// `None`: the query's stream.
    pub table: Option<TableName>,
    /// The property with the step. `None`: as that of the query.
    pub step: Option<String>,
}

/// What rows an answer has where it is read as a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropoffList {
    Steps,
    Sessions,
    /// The sessions that have ended, by what tells them apart.
    Splits,
}

impl DropoffList {
    const NAMES: [&str; 3] = ["steps", "sessions", "splits"];

    fn name(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::Sessions => "sessions",
            Self::Splits => "splits",
        }
    }
}

impl Dropoff {
    pub(super) fn decode(fields: &Fields<'_>) -> Result<Self, Fault> {
        let steps = decode_steps(&fields.required("steps")?)?;
        let success = match fields.optional("success") {
            None => steps.len() - 1,
            Some(node) => {
                let given = Scalar::decode(&node)?;
                let found = steps.iter().position(|step| *step == given);
                found.ok_or_else(|| node.expected("one of `steps`"))?
            }
        };
        let list = fields.optional("list").map_or(Ok(DropoffList::Steps), |node| {
            node.choice(&DropoffList::NAMES, |name| match name {
                "steps" => Some(DropoffList::Steps),
                "sessions" => Some(DropoffList::Sessions),
                "splits" => Some(DropoffList::Splits),
                _ => None,
            })
        })?;
        let limit = fields.optional("limit").map(|node| count(&node, 1, LIMIT_MAX)).transpose()?;
        Ok(Self {
            entity: Matcher::decode(fields.optional("entity"))?,
            session: SessionRule::decode(fields.optional("session"))?,
            step: decode_name(&fields.required("step")?)?,
            next_step: fields.optional("next_step").map(|node| decode_name(&node)).transpose()?,
            steps,
            success,
            exit: fields.optional("exit").map(|node| Matcher::decode(Some(node))).transpose()?,
            idle: fields
                .optional("idle")
                .map_or(Ok(Duration::FIVE_MINUTES), |node| Duration::decode(&node))?,
            latency: fields.optional("latency").map_or(Ok(Vec::new()), |node| Latency::decode_all(&node))?,
            list,
            limit: limit.unwrap_or(LIMIT_DEFAULT),
            splits: match list {
                DropoffList::Splits => Some(Splits::decode(fields)?),
                DropoffList::Steps | DropoffList::Sessions => None,
            },
        })
    }

    pub(super) fn to_json(&self) -> Json {
        let mut json = Map::new();
        let mut put = |name: &str, value: Json| json.insert(name.to_owned(), value);
        put("entity", self.entity.to_json());
        put("session", json!({"prop": self.session.prop, "gap": self.session.gap.to_json()}));
        put("step", Json::from(&*self.step));
        put("next_step", self.next_step.as_deref().map_or(Json::Null, Json::from));
        put("steps", self.steps.iter().map(Scalar::to_json).collect());
        put("success", self.steps.get(self.success).map_or(Json::Null, Scalar::to_json));
        put("exit", self.exit.as_ref().map_or(Json::Null, Matcher::to_json));
        put("idle", self.idle.to_json());
        let latency = self.latency.iter().map(|latency| (latency.name.clone(), latency.to_json()));
        put("latency", Json::Object(latency.collect()));
        put("list", Json::from(self.list.name()));
        put("limit", Json::from(self.limit));
        for (name, field) in self.splits.iter().flat_map(Splits::to_json) {
            put(name, field);
        }
        Json::Object(json)
    }
}

impl Dropoff {
    /// The columns of its rows where SQL reads them as a table; what is of all sessions stands in each row.
    pub(super) fn relation(&self, actor: ColumnType) -> Vec<(String, ColumnType)> {
        use ColumnType::{Float, Int, Text, Timestamp};
        let named = |(name, column_type): &(&str, ColumnType)| ((*name).to_owned(), *column_type);
        match self.list {
            DropoffList::Steps => {
                let own = [
                    ("step", Text),
                    ("sessions", Int),
                    ("users", Int),
                    ("exits", Int),
                    ("reach_rate", Float),
                    ("exit_share", Float),
                    ("step_exit_rate", Float),
                    ("total_sessions", Int),
                    ("total_users", Int),
                    ("total_exits", Int),
                    ("converted", Int),
                    ("active", Int),
                    ("conversion_rate", Float),
                ];
                let latency = |latency: &Latency| {
                    [(format!("{}_latest", latency.name), Float), (format!("{}_avg", latency.name), Float)]
                };
                own.iter().map(named).chain(self.latency.iter().flat_map(latency)).collect()
            }
            DropoffList::Sessions => [
                ("session_id", Text),
                ("tenant", Text),
                ("actor", actor),
                ("started_at", Timestamp),
                ("last_event_at", Timestamp),
                ("path", Text),
                ("outcome", Text),
                ("exit_step", Text),
            ]
            .iter()
            .map(named)
            .collect(),
            DropoffList::Splits => {
                [("split", Text), ("value", Text), ("step", Text), ("sessions", Int), ("lost", Int)]
                    .iter()
                    .map(named)
                    .collect()
            }
        }
    }
}

fn decode_steps(node: &Node<'_>) -> Result<Vec<Scalar>, Fault> {
    let items = node.items()?;
    if items.is_empty() || items.len() > DROPOFF_STEPS_MAX {
        let given = items.len();
        return Err(node.fault(format_args!("{given} were given; allowed are 1 to {DROPOFF_STEPS_MAX}")));
    }
    let mut steps = Vec::with_capacity(items.len());
    for item in items {
        let step = Scalar::decode(&item)?;
        if step == Scalar::Null {
            return Err(item.expected("text, a number, true or false"));
        }
        if steps.contains(&step) {
            return Err(item.fault(format_args!("{} was given twice; allowed is each once", item.given())));
        }
        steps.push(step);
    }
    Ok(steps)
}

impl SessionRule {
    const ALLOWED: &str = "a property, a positive duration such as \"30m\", or an object of prop and gap";

    fn decode(node: Option<Node<'_>>) -> Result<Self, Fault> {
        let Some(node) = node else {
            return Ok(Self { prop: None, gap: Duration::HALF_AN_HOUR });
        };
        if let Ok(gap) = Duration::decode(&node) {
            return Ok(Self { prop: None, gap });
        }
        if node.json().as_str().is_some_and(Duration::is_meant) {
            return Err(node.expected(Self::ALLOWED));
        }
        if node.json().is_string() {
            return Ok(Self { prop: Some(decode_name(&node)?), gap: Duration::HALF_AN_HOUR });
        }
        if !node.json().is_object() {
            return Err(node.expected(Self::ALLOWED));
        }
        let fields = node.fields()?;
        let rule = Self {
            prop: fields.optional("prop").map(|node| decode_name(&node)).transpose()?,
            gap: fields.optional("gap").map_or(Ok(Duration::HALF_AN_HOUR), |node| Duration::decode(&node))?,
        };
        fields.finish()?;
        Ok(rule)
    }
}

impl Latency {
    fn decode_all(node: &Node<'_>) -> Result<Vec<Self>, Fault> {
        let entries = node.entries()?;
        if entries.len() > LATENCIES_MAX {
            let given = entries.len();
            return Err(node.fault(format_args!("{given} were given; allowed are up to {LATENCIES_MAX}")));
        }
        entries.into_iter().map(|(name, node)| Self::decode(name, node)).collect()
    }

    fn decode(name: &str, node: Node<'_>) -> Result<Self, Fault> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || name.len() > LATENCY_NAME_BYTES_MAX || !name.bytes().all(plain) {
            return Err(node.fault(format_args!(
                "is called {name:?}; allowed are names of up to {LATENCY_NAME_BYTES_MAX} letters, digits and _"
            )));
        }
        let name = name.to_owned();
        if node.json().is_string() {
            return Ok(Self { name, prop: decode_name(&node)?, table: None, step: None });
        }
        if !node.json().is_object() {
            return Err(node.expected("a property, or an object of prop, table and step"));
        }
        let fields = node.fields()?;
        let text = |name| fields.optional(name).map(|node| decode_name(&node)).transpose();
        let latency = Self {
            name,
            prop: decode_name(&fields.required("prop")?)?,
            table: text("table")?.map(|name| TableName::new(&name)),
            step: text("step")?,
        };
        fields.finish()?;
        Ok(latency)
    }

    fn to_json(&self) -> Json {
        let mut json = Map::new();
        json.insert("prop".to_owned(), Json::from(&*self.prop));
        if let Some(table) = &self.table {
            json.insert("table".to_owned(), Json::from(table.as_str()));
        }
        if let Some(step) = &self.step {
            json.insert("step".to_owned(), Json::from(&**step));
        }
        Json::Object(json)
    }
}
