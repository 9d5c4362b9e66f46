//! A deliberately simple engine: every question is asked of every event, one after another. It shares
//! nothing with the real one but the calendar and the form of values.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use ebbtide_model::{Calendar, Instant, Unit, Value, WeekStart};
use jiff::tz::TimeZone;
use serde_json::Value as Json;

use super::world::Event;

/// Who: the tenant, then the actor's value.
pub(crate) type Who = (String, Sorted);

/// A value in its place among others of its type, null last.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sorted(pub(crate) Value);

impl Eq for Sorted {}

impl PartialOrd for Sorted {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sorted {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Value::Null, Value::Null) => Ordering::Equal,
            (Value::Null, _) => Ordering::Greater,
            (_, Value::Null) => Ordering::Less,
            (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
            (Value::Int(left), Value::Int(right)) => left.cmp(right),
            (Value::Float(left), Value::Float(right)) => left.total_cmp(right),
            (Value::Decimal(left), Value::Decimal(right)) => left.cmp(right),
            (Value::Text(left), Value::Text(right)) => left.cmp(right),
            (Value::Timestamp(left), Value::Timestamp(right)) => left.cmp(right),
            (Value::Date(left), Value::Date(right)) => left.cmp(right),
            (left, right) => panic!("{left:?} beside {right:?}"),
        }
    }
}

/// What is asked, of whose rows, as of when.
pub(crate) struct Question<'a> {
    pub(crate) query: &'a Json,
    pub(crate) tenant: Option<&'a str>,
    pub(crate) as_of: Instant,
}

impl Question<'_> {
    pub(crate) fn calendar(&self) -> Calendar {
        let zone = self.query["tz"].as_str().unwrap_or("UTC");
        let week_start =
            if self.query["week_start"] == "sunday" { WeekStart::Sunday } else { WeekStart::Monday };
        Calendar::new(TimeZone::get(zone).unwrap(), week_start)
    }

    pub(crate) fn unit(&self, field: &str) -> Unit {
        Unit::from_name(self.query[field].as_str().unwrap()).unwrap()
    }

    pub(crate) fn instant(&self, field: &str) -> Option<Instant> {
        self.query[field].as_str().map(|text| Instant::parse(text).unwrap())
    }

    /// The events that a matcher picks, with their times.
    pub(crate) fn matching<'e>(&self, events: &'e [Event], matcher: &Json) -> Vec<(Instant, &'e Event)> {
        let mut found = Vec::new();
        for event in events {
            let Value::Timestamp(time) = *event.value("at") else {
                continue;
            };
            let visible = time <= self.as_of && self.tenant.is_none_or(|tenant| tenant == event.tenant);
            let named = matcher["event"]
                .as_str()
                .is_none_or(|name| matches!(event.value("type"), Value::Text(text) if **text == *name));
            let filters = [&matcher["where"], &self.query["filters"]];
            let passes = filters
                .iter()
                .all(|list| list.as_array().is_none_or(|list| list.iter().all(|f| holds(f, event))));
            if event.table == matcher["table"] && visible && named && passes && self.who(event).is_some() {
                found.push((time, event));
            }
        }
        found
    }

    /// By actor: those of events without one are left out.
    pub(crate) fn by_actor<'e>(
        &self,
        found: Vec<(Instant, &'e Event)>,
    ) -> BTreeMap<Who, Vec<(Instant, &'e Event)>> {
        let mut actors: BTreeMap<Who, Vec<(Instant, &Event)>> = BTreeMap::new();
        for (time, event) in found {
            let who = self.who(event).unwrap();
            if who.1.0 != Value::Null {
                actors.entry(who).or_default().push((time, event));
            }
        }
        actors
    }

    /// `None` for an event that has no part in an aggregation.
    fn who(&self, event: &Event) -> Option<Who> {
        let value = match self.query["aggregate_by"].as_str() {
            Some(prop) => Some(prop_of(event, prop)).filter(|value| *value != Value::Null)?,
            None => event.value(actor_column(event.table)).clone(),
        };
        Some((event.tenant.to_owned(), Sorted(value)))
    }

    /// An actor as the answer writes it.
    pub(crate) fn who_json(&self, who: &Who) -> Json {
        match self.tenant {
            Some(_) => who.1.0.to_json(),
            None => serde_json::json!({"tenant": who.0, "actor": who.1.0.to_json()}),
        }
    }
}

fn actor_column(table: &str) -> &'static str {
    match table {
        "cards" => "id",
        "sales" => "card",
        _ => "who",
    }
}

pub(crate) fn prop_of(event: &Event, prop: &str) -> Value {
    event.value(if prop == "event" { "type" } else { prop }).clone()
}

fn holds(filter: &Json, event: &Event) -> bool {
    if let Some(list) = filter["any"].as_array() {
        return list.iter().any(|filter| holds(filter, event));
    }
    if let Some(list) = filter["all"].as_array() {
        return list.iter().all(|filter| holds(filter, event));
    }
    let prop = filter["prop"].as_str().unwrap();
    let value = if filter["scope"] == "actor" {
        event.value(&format!("actor.{prop}")).clone()
    } else {
        prop_of(event, prop)
    };
    let given = &filter["value"];
    let is_null = value == Value::Null;
    let order = || compare(&value, given);
    let listed = || given.as_array().unwrap().iter().any(|one| equals(&value, one));
    let contains = || {
        let text = match &value {
            Value::Text(text) => text.to_string(),
            Value::Json(_) => value.to_json().as_str().unwrap_or_default().to_owned(),
            _ => return false,
        };
        text.to_lowercase().contains(&given.as_str().unwrap().to_lowercase())
    };
    match filter["op"].as_str().unwrap() {
        "eq" => equals(&value, given),
        "neq" => !equals(&value, given),
        "in" => listed(),
        "not_in" => !listed(),
        "contains" => contains(),
        "not_contains" => !contains(),
        // The patterns of these tests have no special characters.
        "matches" => matches!(&value, Value::Text(text) if text.contains(given.as_str().unwrap())),
        "is_set" => !is_null,
        "is_not_set" => is_null,
        "lt" => order() == Some(Ordering::Less),
        "lte" => matches!(order(), Some(Ordering::Less | Ordering::Equal)),
        "gt" => order() == Some(Ordering::Greater),
        "gte" => matches!(order(), Some(Ordering::Greater | Ordering::Equal)),
        other => panic!("{other}"),
    }
}

fn equals(value: &Value, given: &Json) -> bool {
    if given.is_null() || *value == Value::Null {
        return given.is_null() && *value == Value::Null;
    }
    compare(value, given) == Some(Ordering::Equal)
}

/// Numbers in these tests are small enough for a float to tell apart.
fn compare(value: &Value, given: &Json) -> Option<Ordering> {
    match value {
        Value::Null => None,
        Value::Bool(value) => Some(value.cmp(&given.as_bool()?)),
        Value::Text(text) => Some((**text).cmp(given.as_str()?)),
        Value::Timestamp(instant) => Some(instant.cmp(&Instant::parse(given.as_str()?).ok()?)),
        Value::Json(_) => {
            let own = value.to_json();
            match (own, given) {
                (Json::String(own), Json::String(given)) => Some(own.cmp(given)),
                (Json::Number(own), Json::Number(given)) => own.as_f64()?.partial_cmp(&given.as_f64()?),
                (Json::Bool(own), Json::Bool(given)) => Some(own.cmp(given)),
                (_, _) => None,
            }
        }
        Value::Date(_) => {
            let own = value.canonical_text()?;
            Some(own.as_str().cmp(given.as_str()?))
        }
        Value::Int(_) | Value::Float(_) | Value::Decimal(_) => {
            value.canonical_text()?.parse::<f64>().ok()?.partial_cmp(&given.as_f64()?)
        }
    }
}

/// Numbers may differ by what floats round off; all else is equal.
pub(crate) fn same(got: &Json, want: &Json) -> bool {
    match (got, want) {
        (Json::Array(got), Json::Array(want)) => {
            got.len() == want.len() && got.iter().zip(want).all(|(got, want)| same(got, want))
        }
        (Json::Object(got), Json::Object(want)) => {
            want.iter().all(|(name, want)| got.get(name).is_some_and(|got| same(got, want)))
        }
        (Json::Number(got), Json::Number(want)) => {
            let (got, want) = (got.as_f64().unwrap(), want.as_f64().unwrap());
            (got - want).abs() <= 1e-12 * want.abs().max(1e-6)
        }
        (got, want) => got == want,
    }
}
