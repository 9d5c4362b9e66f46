//! The columns of a report's statements, as the engine plans them over tables without a row.

use std::sync::Arc;
use std::time::Duration;

use ebbtide_engine::sql::{
    Limits, Planned as PlannedStatement, Relation, Sql, SqlColumn, SqlRequest, SqlRows, UnusedParameters,
};
use ebbtide_model::pack::{
    AS_OF, Composed, Each, PLAN, Pack, RelationRows, Report, SUBJECT, Setting, filled,
};
use ebbtide_model::query::{BoundQuery, Query, bind};
use ebbtide_model::{AppSchema, Instant, Value};
use serde_json::Value as Json;

/// A value for every name that a statement may use.
pub(super) type Values = Vec<(String, Value)>;

/// A report's statements, ready to be planned.
pub(super) struct Planned<'a> {
    pack: &'a Pack,
    sql: &'a Sql,
    report: &'a Report,
    /// The report's relations; `None` for one that cannot be planned, which its callers learn.
    relations: Vec<Option<Relation>>,
}

impl<'a> Planned<'a> {
    pub(super) fn new(pack: &'a Pack, report: &'a Report, sql: &'a Sql) -> Self {
        let mut planned = Self { pack, sql, report, relations: Vec::new() };
        let values = planned.values();
        // One reads those before it.
        for relation in &report.relations {
            let rows = match &relation.rows {
                RelationRows::Sql(statement) => {
                    planned.statement(statement, &values).map(|planned| SqlRows::none_of(&planned.columns))
                }
                RelationRows::Query(query) => planned.folded(query, &values),
            };
            let name = relation.name.clone();
            planned.relations.push(rows.map(|rows| Relation { name, rows: Arc::new(rows) }));
        }
        planned
    }

    pub(super) fn statement(&self, statement: &Composed, values: &Values) -> Option<PlannedStatement> {
        let relation = |index: &usize| self.relations.get(*index)?.clone();
        let request = SqlRequest {
            statement: statement.statement.clone(),
            params: values.clone(),
            unused_params: UnusedParameters::PassedOver,
            relations: statement.reads.iter().map(relation).collect::<Option<_>>()?,
            as_of: Instant::from_micros(0),
            calendar: self.pack.schema.calendar.clone(),
            limits: Limits { rows_max: 0, bytes_max: 0, time_max: Duration::ZERO },
        };
        self.sql.check(&self.pack.schema, request).ok()
    }

    pub(super) fn relation_columns(&self, index: usize) -> Option<&[SqlColumn]> {
        self.relations.get(index)?.as_ref().map(|relation| relation.rows.columns.as_slice())
    }

    /// A behavioural query, with these values in it.
    pub(super) fn bound(&self, query: &Json, values: &Values) -> Option<BoundQuery> {
        self.bound_to(query, values).map(|(question, _)| question)
    }

    fn bound_to(&self, query: &Json, values: &Values) -> Option<(BoundQuery, AppSchema)> {
        let value = |name: &str| match name {
            AS_OF => Some(Json::from(Instant::from_micros(0).to_string())),
            name => values.iter().find(|(known, _)| known == name).map(|(_, value)| value.to_json()),
        };
        let query = Query::parse(&filled(query, value).ok()?).ok()?;
        let texts = query.texts();
        let schema = self.pack.schema.assuming(texts.iter().map(String::as_str));
        Some((bind(&query, &schema).ok()?, schema))
    }

    /// The rows of a behavioural query, of which there are none.
    fn folded(&self, query: &Json, values: &Values) -> Option<SqlRows> {
        let (question, schema) = self.bound_to(query, values)?;
        SqlRows::of_values(&question.relation(&schema), &[]).ok()
    }

    /// Those of the report's own statements.
    pub(super) fn values(&self) -> Values {
        let Self { pack, report, .. } = self;
        let routes = report.routes.iter().flat_map(|route| &route.params);
        let params = report.params.iter().chain(routes).map(|param| (param.name.clone(), param.sample()));
        let mut values: Values = params.collect();
        values.extend(pack.constants.iter().cloned());
        values.push((SUBJECT.to_owned(), Value::Text("text".into())));
        if let Some(plans) = &pack.plans {
            let plan = plans.of(None);
            values.push((PLAN.to_owned(), Value::Text(plan.name.as_str().into())));
            values.extend(plan.values.iter().cloned());
        }
        values
    }

    /// Those of a fragment's statements.
    pub(super) fn values_within(each: &Each, values: &Values) -> Values {
        let value = |(name, setting): &(String, Setting)| {
            let value = match setting {
                Setting::Value(value) => value.clone(),
                Setting::Name(from) => {
                    let found = values.iter().find(|(known, _)| known == from);
                    found.map(|(_, value)| value.clone()).unwrap_or(Value::Null)
                }
            };
            (name.clone(), value)
        };
        let mut within: Values = each.set.iter().map(value).collect();
        within.extend(values.iter().cloned());
        within
    }
}
