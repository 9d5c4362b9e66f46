//! The schemas of what the rows of behavioural queries have.

use ebbtide_model::pack::{Route, RouteTenant, ShapeOf};
use ebbtide_model::query::{BoundQuery, Dropoff, Kind, Scalar};
use serde_json::{Map, Value as Json, json};

use super::schemas::of_type;

/// A behavioural query, as a report's callers get its rows.
pub(super) struct Fold<'a> {
    kind: &'a str,
    of: ShapeOf,
    /// `None`: it cannot be bound without a request's values, so that what rests on it may be anything.
    question: Option<BoundQuery>,
    /// Whether some caller gets the rows of all tenants, of which actors are told with their tenant.
    is_of_all_tenants: bool,
}

impl<'a> Fold<'a> {
    pub(super) fn new(kind: &'a str, of: ShapeOf, question: Option<BoundQuery>, routes: &[Route]) -> Self {
        let is_of_all =
            |route: &Route| matches!(route.tenant, RouteTenant::TokenOrAll | RouteTenant::AllForAdmin);
        Self { kind, of, question, is_of_all_tenants: routes.iter().any(is_of_all) }
    }

    /// A field of its rows, or of what it says of all of them.
    pub(super) fn field(&self, field: &str) -> Json {
        match (self.kind, field) {
            (_, "actor") => self.actor(),
            ("dropoff", field) => self.of_dropoff(field),
            ("stickiness", "periods" | "actors" | "at_least")
            | ("churn", "events" | "total")
            | ("paths", "step" | "count")
            | ("preceding", "count") => counted(),
            ("churn", "at_risk") if self.of == ShapeOf::Whole => counted(),
            ("trend", field) if field != "start" => number_or_null(),
            (_, field) => of_any(field),
        }
    }

    fn actor(&self) -> Json {
        let actor_type = self.question.as_ref().and_then(|question| question.actor_type);
        match actor_type.filter(|_| !self.is_of_all_tenants) {
            Some(actor_type) => Json::Object(of_type(actor_type)),
            None => json!({}),
        }
    }

    fn of_dropoff(&self, field: &str) -> Json {
        match field {
            "step" => self.step(),
            "worst_step" | "exit_step" => or_null(self.step()),
            "path" => json!({"type": "array", "items": self.step()}),
            // Over nothing they are 0.
            "reach_rate" | "exit_share" | "step_exit_rate" | "conversion_rate" => {
                json!({"type": "number", "minimum": 0, "maximum": 100})
            }
            "latency" => self.latencies(),
            "session_id" | "split" => json!({"type": "string"}),
            // Of a split.
            "value" => json!({}),
            "started_at" | "last_event_at" => json!({"type": "string", "format": "date-time"}),
            "outcome" => json!({"type": "string", "enum": ["converted", "exited", "active"]}),
            field if field.starts_with("latency.") => number_or_null(),
            // What is left counts, whatever there is.
            _ => counted(),
        }
    }

    fn dropoff(&self) -> Option<&Dropoff> {
        match &self.question.as_ref()?.query.kind {
            Kind::Dropoff(dropoff) => Some(dropoff),
            Kind::Retention(_)
            | Kind::Trend(_)
            | Kind::Churn(_)
            | Kind::Preceding(_)
            | Kind::Funnel(_)
            | Kind::Lifecycle(_)
            | Kind::Stickiness(_)
            | Kind::Paths(_) => None,
        }
    }

    /// One of its steps, which are of one type or of several.
    fn step(&self) -> Json {
        let mut types: Vec<&str> = Vec::new();
        for step in self.dropoff().map(|dropoff| dropoff.steps.as_slice()).unwrap_or_default() {
            let own = match step {
                Scalar::Text(_) => "string",
                Scalar::Number(_) | Scalar::Digits(_) => "number",
                Scalar::Bool(_) => "boolean",
                Scalar::Null => "null",
            };
            if !types.contains(&own) {
                types.push(own);
            }
        }
        match types.as_slice() {
            [] => json!({}),
            [one] => json!({"type": one}),
            several => json!({"type": several}),
        }
    }

    /// By the name of each: what was measured last, and the mean.
    fn latencies(&self) -> Json {
        let Some(dropoff) = self.dropoff() else { return json!({"type": "object"}) };
        let latency = json!({
            "type": "object",
            "properties": {"latest": number_or_null(), "avg": number_or_null()},
            "required": ["latest", "avg"],
        });
        let names = || dropoff.latency.iter().map(|latency| latency.name.clone());
        let properties: Map<String, Json> = names().map(|name| (name, latency.clone())).collect();
        json!({"type": "object", "properties": properties, "required": names().collect::<Vec<_>>()})
    }
}

fn counted() -> Json {
    json!({"type": "integer", "minimum": 0})
}

fn number_or_null() -> Json {
    json!({"type": ["number", "null"]})
}

/// What a schema of one type or of several allows, or null.
fn or_null(mut schema: Json) -> Json {
    match schema.get_mut("type") {
        Some(Json::Array(types)) => types.push(Json::from("null")),
        Some(one) => *one = json!([one.take(), "null"]),
        None => {}
    }
    schema
}

/// A field that means one thing in the rows of every kind that has it.
fn of_any(field: &str) -> Json {
    match field {
        "start" => json!({"type": "string", "examples": ["2026-11-20"]}),
        "dormant" => json!({"type": ["integer", "null"], "maximum": 0}),
        "size" | "events" | "days_inactive" | "count" | "step" | "periods" | "actors" | "at_least"
        | "active" | "new" | "returning" | "resurrecting" | "entered" | "converted" => {
            json!({"type": ["integer", "null"], "minimum": 0})
        }
        "counts" => json!({"type": "array", "items": {"type": ["integer", "null"], "minimum": 0}}),
        "percent" => json!({"type": "array", "items": {"type": ["number", "null"], "minimum": 0}}),
        "first" | "last" => json!({"type": "string", "format": "date-time"}),
        "interval_days" | "ratio" | "alive" | "expected" | "rate" | "rate_of_previous" | "avg_seconds"
        | "median_seconds" => number_or_null(),
        "at_risk" => json!({"type": "boolean"}),
        field if field.starts_with("counts.") => json!({"type": ["integer", "null"], "minimum": 0}),
        field if field.starts_with("percent.") => json!({"type": ["number", "null"], "minimum": 0}),
        _ => json!({}),
    }
}
