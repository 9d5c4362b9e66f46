//! The schema of a report's answer: that of its response tree, with the columns of its statements.

use ebbtide_engine::sql::{Planned as PlannedStatement, Sql, SqlColumn};
use ebbtide_model::Value;
use ebbtide_model::pack::{AS_OF, BehaviourLeaf, Each, FIELDS, Pack, Report, Shape, ShapeOf, SqlShape, Tree};
use serde_json::{Map, Value as Json, json};

use super::folds::Fold;
use super::planned::{Planned, Values};
use super::schemas::{of_column, of_type};

/// The schema of a report's JSON.
pub(super) fn of_answer(pack: &Pack, report: &Report, sql: &Sql) -> Json {
    let planned = Planned::new(pack, report, sql);
    let place = Place { values: planned.values(), by: None };
    // Without the row that a parameter names, the answer is 404.
    let is_by_key =
        report.params.iter().any(|param| param.key_of.is_some() && param.default != Some(Value::Null));
    let shapes = Shapes { report, planned };
    if is_by_key { shapes.there(&report.response, &place) } else { shapes.tree(&report.response, &place) }
}

struct Shapes<'a> {
    report: &'a Report,
    planned: Planned<'a>,
}

/// Where in the tree a leaf stands.
struct Place<'a> {
    values: Values,
    /// In a fragment: the column that says to which row a row belongs, and is none of its own.
    by: Option<&'a str>,
}

/// Fields of an object, in order.
#[derive(Default)]
struct Fields {
    properties: Map<String, Json>,
    /// Whether these are all that are there.
    known: bool,
}

impl Fields {
    fn of_columns(columns: Option<&[SqlColumn]>) -> Self {
        let properties = columns.unwrap_or_default().iter();
        let properties = properties.map(|column| (column.name.clone(), of_column(column)));
        Self { properties: properties.collect(), known: columns.is_some() }
    }

    fn schema(self) -> Json {
        let required: Vec<String> = self.properties.keys().cloned().collect();
        if required.is_empty() && !self.known {
            return json!({"type": "object"});
        }
        json!({"type": "object", "properties": self.properties, "required": required})
    }
}

impl Shapes<'_> {
    /// Of a whole answer that is never null.
    fn there(&self, tree: &Tree, place: &Place<'_>) -> Json {
        let schema = self.tree(tree, place);
        let object = schema.get("oneOf").filter(|_| !matches!(tree, Tree::When { .. }));
        object.and_then(|either| either.get(0)).cloned().unwrap_or(schema)
    }

    fn tree(&self, tree: &Tree, place: &Place<'_>) -> Json {
        match tree {
            Tree::Literal(json) => json!({"const": json}),
            Tree::Param(name) => self.named(name, place),
            Tree::Object(_) => self.fields(tree, place).schema(),
            // A schema's list of places is not to be empty.
            Tree::List(items) if items.is_empty() => json!({"type": "array", "maxItems": 0}),
            Tree::List(items) => {
                let items: Vec<Json> = items.iter().map(|item| self.tree(item, place)).collect();
                let length = items.len();
                json!({"type": "array", "prefixItems": items, "minItems": length, "maxItems": length})
            }
            Tree::Sql { shape, statement, default } => {
                let mut planned = self.planned.statement(statement, &place.values);
                if let Some(planned) = &mut planned {
                    planned.columns.retain(|column| Some(column.name.as_str()) != place.by);
                    // Of a fragment's rows each takes its own, of which there may be none.
                    planned.has_a_row &= place.by.is_none();
                }
                statement_schema(*shape, planned.as_ref(), default)
            }
            Tree::Each(each) => self.each(each, place),
            Tree::When { name, then, otherwise } => {
                let then = if self.is_key(name) && self.is_whole(tree) {
                    self.there(then, place)
                } else {
                    self.tree(then, place)
                };
                json!({"anyOf": [then, self.tree(otherwise, place)]})
            }
            Tree::Behaviour(leaf) => self.behaviour(leaf, place),
            Tree::Insights(_) => json!({"type": "array", "items": {"$ref": "#/components/schemas/Insight"}}),
        }
    }

    fn is_whole(&self, tree: &Tree) -> bool {
        std::ptr::eq(tree, &self.report.response)
    }

    /// Whether it is a parameter without whose row there is no answer.
    fn is_key(&self, name: &str) -> bool {
        self.report.params.iter().any(|param| param.name == name && param.key_of.is_some())
    }

    /// An object's fields, those of a row among them standing in its place.
    fn fields(&self, tree: &Tree, place: &Place<'_>) -> Fields {
        let Tree::Object(entries) = tree else {
            return Fields::default();
        };
        let mut fields = Fields { known: true, ..Fields::default() };
        for (name, tree) in entries {
            if name != FIELDS {
                fields.properties.insert(name.clone(), self.tree(tree, place));
            } else if let Tree::Sql { statement, .. } = tree {
                let planned = self.planned.statement(statement, &place.values);
                let mut of_row =
                    Fields::of_columns(planned.as_ref().map(|planned| planned.columns.as_slice()));
                of_row.properties.retain(|name, _| Some(name.as_str()) != place.by);
                fields.known &= of_row.known;
                fields.properties.extend(of_row.properties);
            } else if let Tree::Behaviour(leaf) = tree
                && let Some(shape) = &leaf.shape
            {
                fields.properties.extend(self.of_fields(&leaf.query, shape, place));
            } else {
                fields.known = false;
            }
        }
        fields
    }

    fn each(&self, each: &Each, place: &Place<'_>) -> Json {
        let mut fields = Fields::of_columns(self.planned.relation_columns(each.rows));
        let within =
            Place { values: Planned::values_within(each, &place.values), by: Some(each.by.as_str()) };
        fields.properties.extend(self.fields(&each.fields, &within).properties);
        let object = fields.schema();
        if each.one {
            json!({"oneOf": [object, {"type": "null"}]})
        } else {
            json!({"type": "array", "items": object})
        }
    }

    /// The rows that a query's result becomes, or that result as it is.
    fn behaviour(&self, leaf: &BehaviourLeaf, place: &Place<'_>) -> Json {
        let Some(shape) = &leaf.shape else {
            return json!({"type": "object", "description": "The result of a behavioural query: see docs/queries.md."});
        };
        let object = Fields { properties: self.of_fields(&leaf.query, shape, place), known: true }.schema();
        match shape.of {
            ShapeOf::Rows => json!({"type": "array", "items": object}),
            ShapeOf::Whole => object,
        }
    }

    /// `x-ebbtide-value` says which value of which question a field is: fields with the same one are one value
    /// under several names.
    fn of_fields(&self, query: &Json, shape: &Shape, place: &Place<'_>) -> Map<String, Json> {
        let kind = query.get("kind").and_then(Json::as_str).unwrap_or_default();
        let question = self.planned.bound(query, &place.values);
        let fold = Fold::new(kind, shape.of, question, &self.report.routes);
        let mut found = Vec::new();
        questions(&self.report.response, &mut found);
        let question = found.iter().position(|own| *own == query).unwrap_or(found.len());
        let field = |of: &str| {
            let mut schema = fold.field(of);
            schema["x-ebbtide-value"] = json!(format!("{question}.{of}"));
            schema
        };
        shape.fields.iter().map(|(name, of)| (name.clone(), field(of))).collect()
    }

    /// The value of a parameter, of the caller or of the pack.
    fn named(&self, name: &str, place: &Place<'_>) -> Json {
        if name == AS_OF {
            return json!({"type": "string", "format": "date-time"});
        }
        let routes = self.report.routes.iter().flat_map(|route| &route.params);
        let param = self.report.params.iter().chain(routes).find(|param| param.name == name);
        let always = param.is_some_and(|param| param.default != Some(Value::Null));
        let value = place.values.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        let Some(mut schema) = value.and_then(Value::column_type).map(of_type) else {
            return json!({});
        };
        if !always && let Some(own_type) = schema.get("type").cloned() {
            schema.insert("type".to_owned(), json!([own_type, "null"]));
        }
        Json::Object(schema)
    }
}

fn statement_schema(shape: SqlShape, planned: Option<&PlannedStatement>, default: &Json) -> Json {
    let columns = planned.map(|planned| planned.columns.as_slice());
    let has_a_row = planned.is_some_and(|planned| planned.has_a_row);
    let column = |index: usize| {
        let found = columns.and_then(|columns| columns.get(index));
        found.map_or_else(|| json!({}), of_column)
    };
    let object = || Fields::of_columns(columns).schema();
    match shape {
        SqlShape::Value if has_a_row => column(0),
        SqlShape::Value => json!({"anyOf": [column(0), {"const": default}]}),
        SqlShape::Row if has_a_row => object(),
        SqlShape::Row => json!({"oneOf": [object(), {"type": "null"}]}),
        SqlShape::Rows => json!({"type": "array", "items": object()}),
        SqlShape::Column => json!({"type": "array", "items": column(0)}),
        SqlShape::Map => json!({"type": "object", "additionalProperties": column(1)}),
    }
}

/// The different questions of a tree's leaves, in order.
fn questions<'a>(tree: &'a Tree, found: &mut Vec<&'a Json>) {
    match tree {
        Tree::Object(entries) => entries.iter().for_each(|(_, tree)| questions(tree, found)),
        Tree::List(items) => items.iter().for_each(|tree| questions(tree, found)),
        Tree::Each(each) => questions(&each.fields, found),
        Tree::When { then, otherwise, .. } => {
            questions(then, found);
            questions(otherwise, found);
        }
        Tree::Behaviour(leaf) if !found.contains(&&leaf.query) => found.push(&leaf.query),
        Tree::Behaviour(_) | Tree::Literal(_) | Tree::Param(_) | Tree::Sql { .. } | Tree::Insights(_) => {}
    }
}
