//! Cohorts: sets of actors that have a name, and the tables in which they are kept. Those tables are in
//! every app beside its own, under names that no pack can give, and no query, statement or file names them.

use serde_json::{Map, Value as Json};

use crate::decode::join;
use crate::query::{Churn, Kind, Measure, Measures, Query, Selection, Trend};
use crate::{ColumnType, Fault, Fields, Node, TableName, TableSchema, TenantId, TenantRule, Tenants};

/// The characters of a cohort's name, at most.
pub const COHORT_NAME_MAX: usize = 64;

/// A set of actors, as it is to be saved.
#[derive(Clone, Debug, PartialEq)]
pub struct Cohort {
    pub name: String,
    pub mode: CohortMode,
    pub query: Query,
    /// Which of the answer's actors.
    pub from: Selection,
}

/// When it is decided who is in a cohort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CohortMode {
    /// When it is saved.
    Static,
    /// Each time that it is used.
    Live,
}

impl CohortMode {
    pub fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Live => "live",
        }
    }
}

impl Cohort {
    /// A fault names the field's path, what was given and what is allowed.
    pub fn parse(json: &Json) -> Result<Self, Fault> {
        let fields = Node::root(json).fields()?;
        let name = decode_cohort_name(&fields.required("name")?)?;
        let (query, from) = decode_selected(&fields)?;
        let mode = fields.optional("mode").map_or(Ok(CohortMode::Static), |node| {
            node.choice(&["static", "live"], |name| match name {
                "static" => Some(CohortMode::Static),
                "live" => Some(CohortMode::Live),
                _ => None,
            })
        })?;
        fields.finish()?;
        Ok(Self { name, mode, query, from })
    }

    /// It parses back to the same.
    pub fn to_json(&self) -> Map<String, Json> {
        let mut json = Map::new();
        json.insert("name".to_owned(), Json::from(&*self.name));
        json.insert("mode".to_owned(), Json::from(self.mode.name()));
        json.insert("query".to_owned(), self.query.to_json());
        json.insert("from".to_owned(), self.from.to_json());
        json
    }
}

/// The name of a cohort: letters, digits, `_`, `-` and `.` of ASCII, the first a letter or digit.
pub(crate) fn decode_cohort_name(node: &Node<'_>) -> Result<String, Fault> {
    let name = node.text()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if begins && name.len() <= COHORT_NAME_MAX && name.bytes().all(plain) {
        return Ok(name.to_owned());
    }
    Err(node.expected(format_args!(
        "up to {COHORT_NAME_MAX} of the characters a-z, A-Z, 0-9, _, - and ., the first a letter or digit"
    )))
}

/// A question (`query`), and which of its answer's actors are meant (`from`; all where it is left out).
pub fn decode_selected(fields: &Fields<'_>) -> Result<(Query, Selection), Fault> {
    let node = fields.required("query")?;
    let query = Query::parse(node.json()).map_err(|fault| Fault {
        path: join("query", &fault.path).trim_end_matches('.').to_owned(),
        ..fault
    })?;
    let from = Selection::decode(fields.optional("from"), &query.kind)?;
    Ok((query, from))
}

/// What is asked for the sake of its actors: the query without what plays no part in that.
pub fn selecting(query: &Query) -> Query {
    let mut query = query.clone();
    match &mut query.kind {
        Kind::Trend(trend) => {
            let measures = Measures::One(Measure::Unique);
            *trend = Trend { measures, prop: None, compare: None, ..trend.clone() };
        }
        Kind::Churn(churn) => *churn = Churn { model: None, ..churn.clone() },
        Kind::Retention(_)
        | Kind::Preceding(_)
        | Kind::Lifecycle(_)
        | Kind::Stickiness(_)
        | Kind::Paths(_)
        | Kind::Funnel(_)
        | Kind::Dropoff(_) => {}
    }
    query
}

/// The tables that every app has besides its own.
pub(crate) mod tables {
    /// Cohorts of a tenant.
    pub(crate) const OF_TENANT: &str = "_cohorts";
    /// Cohorts of the whole app.
    pub(crate) const OF_APP: &str = "_app_cohorts";
}

/// Columns of a table of cohorts, by their place. A cohort is as many rows as its members need, of which the
/// first (`CHUNK` 0) has its definition.
pub mod cohort_column {
    pub const TENANT: usize = 0;
    pub const NAME: usize = 1;
    pub const CHUNK: usize = 2;
    /// JSON, in the first row.
    pub const DEFINITION: usize = 3;
    /// A JSON list, where members are kept.
    pub const MEMBERS: usize = 4;
}

/// The table of the cohorts that belong to a scope's own rows.
pub fn cohort_table(tenants: &Tenants) -> TableName {
    TableName::new(match tenants {
        Tenants::One(_) => tables::OF_TENANT,
        Tenants::All => tables::OF_APP,
    })
}

/// Both of them.
pub(crate) fn cohort_tables() -> [TableName; 2] {
    [tables::OF_TENANT, tables::OF_APP].map(TableName::new)
}

pub(crate) fn system_tables() -> Vec<TableSchema> {
    let column = TableSchema::column;
    let table = |name: TableName, tenant: TenantRule| {
        let columns = vec![
            column("tenant", ColumnType::Text, matches!(tenant, TenantRule::Fixed(_))),
            column("name", ColumnType::Text, false),
            column("chunk", ColumnType::Int, false),
            column("definition", ColumnType::Text, true),
            column("members", ColumnType::Text, true),
        ];
        TableSchema::of_system(name, columns, vec![cohort_column::NAME, cohort_column::CHUNK], tenant)
    };
    let [of_tenant, of_app] = cohort_tables();
    let by_column = TenantRule::Column { column: cohort_column::TENANT, default: None };
    vec![table(of_tenant, by_column), table(of_app, TenantRule::Fixed(TenantId::new("app")))]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::query::Scalar;

    #[test]
    fn a_bad_cohort_is_told_where_it_is_bad_and_what_is_allowed() {
        let funnel = json!({"kind": "funnel", "steps": [{}, {}]});
        let check = |more: Json, path: &str, problem: &str| {
            let mut json = json!({"name": "vips", "query": funnel});
            json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let fault = Cohort::parse(&json).unwrap_err();
            assert_eq!(fault.path, path, "{json}: {fault}");
            assert!(fault.problem.contains(problem), "{json}: {fault}");
        };
        check(json!({"name": null}), "name", "is missing");
        check(json!({"name": "a b"}), "name", "the first a letter or digit");
        check(json!({"name": "-a"}), "name", "the first a letter or digit");
        check(json!({"name": "a".repeat(65)}), "name", "up to 64");
        check(json!({"mode": "lazy"}), "mode", "\"static\" or \"live\"");
        check(json!({"query": null}), "query", "is missing");
        check(json!({"query": 5}), "query", "an object");
        check(json!({"query": {"kind": "funnel", "steps": [{"event": 5}]}}), "query.steps[0].event", "5 was");
        check(json!({"from": {"cell": [0, 1]}}), "from.cell", "is no field here");
        check(json!({"from": {"step": 2}}), "from.step", "from 0 to 1");
        check(json!({"from": {"step": 1, "dropped": true}}), "from.dropped", "after the last step");
        check(json!({"from": {"group": ["x"]}}), "from.group", "without a breakdown");
        let of = |query: Json, from: Json| json!({"query": query, "from": from});
        let retention = json!({"kind": "retention", "periods": 3});
        check(of(retention.clone(), json!({"cell": [0]})), "from.cell", "a list of two");
        check(of(retention.clone(), json!({"cell": [3, 0]})), "from.cell[0]", "from 0 to 2");
        check(of(retention, json!({"cell": [1, 2]})), "from.cell[1]", "from 0 to 1");
        let lifecycle = json!({"kind": "lifecycle"});
        check(of(lifecycle.clone(), json!({"bucket": 0})), "from.state", "is missing");
        check(of(lifecycle, json!({"bucket": 0, "state": "old"})), "from.state", "\"new\"");
        let stickiness = json!({"kind": "stickiness"});
        check(of(stickiness.clone(), json!({"exactly": 0})), "from.exactly", "from 1 to");
        check(of(stickiness, json!({"exactly": 1, "at_least": 1})), "from.at_least", "one of both");
        check(of(json!({"kind": "churn"}), json!({"at_risk": 1})), "from.at_risk", "true or false");
        check(of(json!({"kind": "paths"}), json!({"edge": {"from": "a"}})), "from.edge.to", "is missing");
        let formula = json!({"kind": "trend", "formula": "A", "entities": [{}]});
        check(of(formula, json!({})), "query.formula", "without a formula");
        let dropoff = json!({"kind": "dropoff", "step": "s", "steps": ["a"]});
        check(of(dropoff, json!({"step": "b"})), "from.step", "one of `steps`");
    }

    #[test]
    fn a_cohort_written_with_its_defaults_parses_to_the_same() {
        let grouped = json!({"kind": "funnel", "steps": [{}, {}], "breakdown": {"props": ["p"]}});
        for (query, from) in [
            (json!({"kind": "funnel", "steps": [{}, {}]}), json!({"step": 0, "dropped": true})),
            (grouped, json!({"step": 1, "group": ["x"]})),
            (
                json!({"kind": "funnel", "steps": [{}], "viz": "trends"}),
                json!({"bucket": 3, "converted": true}),
            ),
            (json!({"kind": "retention"}), json!({"cell": [1, 2]})),
            (json!({"kind": "retention"}), json!({})),
            (json!({"kind": "lifecycle"}), json!({"bucket": 0, "state": "dormant"})),
            (json!({"kind": "stickiness"}), json!({"at_least": 2})),
            (json!({"kind": "trend", "breakdown": {"prop": "p"}}), json!({"bucket": 2, "group": null})),
            (json!({"kind": "trend", "breakdown": {"prop": "p"}}), json!({"group": [null]})),
            (json!({"kind": "churn"}), json!({"at_risk": true})),
            (json!({"kind": "paths"}), json!({"edge": {"step": 1, "from": "a", "to": "b"}})),
            (json!({"kind": "preceding", "before": {}, "of": {}, "show": "p"}), json!({"value": "x"})),
            (json!({"kind": "dropoff", "step": "s", "steps": ["a"]}), json!({"step": "a", "exited": true})),
            (json!({"kind": "dropoff", "step": "s", "steps": ["a"]}), Json::Null),
        ] {
            let json = json!({"name": "vips", "mode": "live", "query": query, "from": from});
            let parsed = Cohort::parse(&json).unwrap_or_else(|fault| panic!("{json}: {fault}"));
            let again = Cohort::parse(&Json::Object(parsed.to_json()));
            assert_eq!(again.as_ref(), Ok(&parsed), "{json}");
        }
    }

    #[test]
    fn a_value_is_what_it_is_as_json() {
        assert_ne!(Scalar::Text("1".to_owned()), Scalar::Number(1.into()));
    }
}
