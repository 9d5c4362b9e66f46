//! The schema of a report's answer: that of its response tree, with the columns of its statements as the
//! engine plans them.

use std::sync::Arc;
use std::time::Duration;

use ebbtide_engine::sql::{Limits, Sql, SqlColumn, SqlRequest, UnusedParameters};
use ebbtide_model::Instant;
use ebbtide_model::Value;
use ebbtide_model::pack::{AS_OF, BehaviourLeaf, PLAN, Pack, Report, SUBJECT, SqlShape, Tree};
use serde_json::{Map, Value as Json, json};

use super::schemas::{of_cell, of_type};

/// What the shapes of a report's answer follow from.
pub(super) struct Shapes<'a> {
    pub(super) pack: &'a Pack,
    pub(super) report: &'a Report,
    pub(super) sql: &'a Sql,
}

impl Shapes<'_> {
    pub(super) fn tree(&self, tree: &Tree) -> Json {
        match tree {
            Tree::Literal(json) => json!({"const": json}),
            Tree::Param(name) => self.named(name),
            Tree::Object(entries) => {
                let properties: Map<String, Json> =
                    entries.iter().map(|(name, tree)| (name.clone(), self.tree(tree))).collect();
                let required: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
                json!({"type": "object", "properties": properties, "required": required})
            }
            Tree::List(items) => {
                let items: Vec<Json> = items.iter().map(|item| self.tree(item)).collect();
                json!({"type": "array", "prefixItems": items, "minItems": items.len(), "maxItems": items.len()})
            }
            Tree::Sql { shape, statement } => self.statement(*shape, statement),
            Tree::Behaviour(leaf) => behaviour(leaf),
        }
    }

    /// The value of a parameter, of the caller or of the pack.
    fn named(&self, name: &str) -> Json {
        if name == AS_OF {
            return json!({"type": "string", "format": "date-time"});
        }
        let routes = self.report.routes.iter().flat_map(|route| &route.params);
        if let Some(param) = self.report.params.iter().chain(routes).find(|param| param.name == name) {
            let mut schema = of_type(param.column_type);
            if param.default == Some(Value::Null) {
                schema.insert("type".to_owned(), json!([schema["type"], "null"]));
            }
            return Json::Object(schema);
        }
        match self.values().into_iter().find(|(known, _)| known == name) {
            Some((_, value)) => {
                let schema = value.column_type().map(of_type).unwrap_or_default();
                let nullable = |one: &Json| json!([one, "null"]);
                let own_type = schema.get("type").map(nullable);
                Json::Object(
                    own_type.map(|own| Map::from_iter([("type".to_owned(), own)])).unwrap_or_default(),
                )
            }
            None => json!({}),
        }
    }

    fn statement(&self, shape: SqlShape, statement: &Arc<str>) -> Json {
        let columns = self.columns(statement);
        let first =
            columns.as_ref().and_then(|columns| columns.first()).map(cell).unwrap_or_else(|| json!({}));
        match shape {
            SqlShape::Value => first,
            SqlShape::Row => json!({"oneOf": [object(columns.as_deref()), {"type": "null"}]}),
            SqlShape::Rows => json!({"type": "array", "items": object(columns.as_deref())}),
            SqlShape::Column => json!({"type": "array", "items": first}),
            SqlShape::Map => {
                let second = columns.as_ref().and_then(|columns| columns.get(1)).map(cell);
                json!({"type": "object", "additionalProperties": second.unwrap_or_else(|| json!({}))})
            }
        }
    }

    /// The columns of a statement; `None` where it cannot be planned, which its callers learn.
    fn columns(&self, statement: &Arc<str>) -> Option<Vec<SqlColumn>> {
        let request = SqlRequest {
            statement: statement.clone(),
            params: self.values(),
            unused_params: UnusedParameters::PassedOver,
            as_of: Instant::from_micros(0),
            calendar: self.pack.schema.calendar.clone(),
            limits: Limits { rows_max: 0, bytes_max: 0, time_max: Duration::ZERO },
        };
        let planned = self.sql.check(&self.pack.schema, request);
        planned.ok().map(|planned| planned.columns)
    }

    /// A value for every name that a statement may use.
    fn values(&self) -> Vec<(String, Value)> {
        let Self { pack, report, .. } = self;
        let routes = report.routes.iter().flat_map(|route| &route.params);
        let params = report.params.iter().chain(routes).map(|param| (param.name.clone(), param.sample()));
        let mut values: Vec<(String, Value)> = params.collect();
        values.extend(pack.constants.iter().cloned());
        values.push((SUBJECT.to_owned(), Value::Text("text".into())));
        if let Some(plans) = &pack.plans {
            let plan = plans.of(None);
            values.push((PLAN.to_owned(), Value::Text(plan.name.as_str().into())));
            values.extend(plan.values.iter().cloned());
        }
        values
    }
}

fn cell(column: &SqlColumn) -> Json {
    of_cell(&column.data_type)
}

fn object(columns: Option<&[SqlColumn]>) -> Json {
    let Some(columns) = columns else {
        return json!({"type": "object"});
    };
    let properties: Map<String, Json> =
        columns.iter().map(|column| (column.name.clone(), cell(column))).collect();
    let required: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    json!({"type": "object", "properties": properties, "required": required})
}

/// The rows that a query's result becomes, or that result as it is.
fn behaviour(leaf: &BehaviourLeaf) -> Json {
    let Some(shape) = &leaf.shape else {
        return json!({"type": "object", "description": "The result of a behavioural query: see docs/queries.md."});
    };
    let properties: Map<String, Json> =
        shape.fields.iter().map(|(name, field)| (name.clone(), of_field(field))).collect();
    let required: Vec<&str> = shape.fields.iter().map(|(name, _)| name.as_str()).collect();
    let items = json!({"type": "object", "properties": properties, "required": required});
    json!({"type": "array", "items": items})
}

/// A field of the rows of a behavioural query.
fn of_field(field: &str) -> Json {
    match field {
        "start" => json!({"type": "string"}),
        "size" | "events" | "days_inactive" => json!({"type": ["integer", "null"], "minimum": 0}),
        "counts" => json!({"type": "array", "items": {"type": ["integer", "null"], "minimum": 0}}),
        "percent" => json!({"type": "array", "items": {"type": ["number", "null"], "minimum": 0}}),
        "first" | "last" => json!({"type": "string", "format": "date-time"}),
        "interval_days" | "ratio" => json!({"type": ["number", "null"]}),
        "at_risk" => json!({"type": "boolean"}),
        _ => json!({}),
    }
}
