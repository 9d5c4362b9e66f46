//! Properties of an open table: as columns, and as the text that holds them all.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{Field, Schema};
use datafusion::logical_expr::LogicalPlan;
use ebbtide_model::{
    AppSchema, ColumnType, Open, Property, PropertyKind, PropertyValue, TableKind, TableName, Tenants, Value,
    canonical_json,
};
use ebbtide_store::{Snapshot, property_field};
use serde_json::{Map, Value as Json, json};

use super::fixture::{app as closed, array, ask_with, at, batch, cells, request, scope, shop_1, sql, table};
use crate::sql::SqlRequest;
use crate::sql::catalog::ScopedCatalog;
use crate::sql::{session, statement};

fn app() -> AppSchema {
    use ColumnType::{Text, Timestamp};
    let columns = [("id", Text), ("shop", Text), ("event", Text), ("actor", Text), ("ts", Timestamp)];
    let mut events = table("events", TableKind::Events, &columns, Some(4));
    events.actor = Some(3);
    events.event_name = Some(2);
    events.open = Some(Open { field: "props".to_owned(), declared: columns.len(), known: columns.len() });
    AppSchema { tables: vec![events], ..closed() }
}

/// An event of a tenant, with its properties and those of them that have no column.
struct Event {
    tenant: &'static str,
    event: &'static str,
    actor: &'static str,
    second: i64,
    props: Json,
    overflow: Json,
}

fn event(tenant: &'static str, event: &'static str, actor: &'static str, second: i64, props: Json) -> Event {
    Event { tenant, event, actor, second, props, overflow: json!({}) }
}

fn stored(event: &Event) -> Vec<(Property, Value)> {
    let of = |(name, json): (&String, &Json)| {
        let value = PropertyValue::of(json)?;
        let kind = value.kind();
        let value = match value {
            PropertyValue::Bool(value) => Value::Bool(value),
            PropertyValue::Int(value) => Value::Int(value),
            PropertyValue::Float(value) => Value::Float(value),
            PropertyValue::Text(text) | PropertyValue::Json(text) => Value::Text(Arc::from(text.as_str())),
        };
        Some((Property::new(name, kind), value))
    };
    let mut found: Vec<(Property, Value)> = event.props.as_object().unwrap().iter().filter_map(of).collect();
    if event.overflow != json!({}) {
        let text = canonical_json(&event.overflow);
        found.push((Property::overflow(), Value::Text(Arc::from(text.as_str()))));
    }
    found
}

/// Each so many events are a part.
fn snapshot(events: &[Event], part: usize) -> Snapshot {
    let app = app();
    let table = &app.tables[0];
    let batches = events.chunks(part).map(|events| {
        let text = |text: &str| Value::Text(Arc::from(text));
        let row = |(place, event): (usize, &Event)| {
            let when = ebbtide_model::Instant::from_micros(
                at("2024-01-01T00:00:00Z").micros() + event.second * 1_000_000,
            );
            let id = text(&format!("{place}-{}-{}", event.second, event.actor));
            let cells =
                vec![id, text(event.tenant), text(event.event), text(event.actor), Value::Timestamp(when)];
            (event.tenant, cells)
        };
        let declared = batch(table, &events.iter().enumerate().map(row).collect::<Vec<_>>());
        with_properties(&declared, events)
    });
    let batches = batches.collect();
    Snapshot::of_batches(Arc::new(app.clone()), vec![(TableName::new("events"), batches)]).unwrap()
}

fn with_properties(declared: &RecordBatch, events: &[Event]) -> RecordBatch {
    let rows: Vec<Vec<(Property, Value)>> = events.iter().map(stored).collect();
    let all: BTreeSet<&Property> = rows.iter().flatten().map(|(property, _)| property).collect();
    let mut fields: Vec<Arc<Field>> = declared.schema().fields().iter().cloned().collect();
    let mut columns: Vec<ArrayRef> = declared.columns().to_vec();
    for property in all {
        let value = |row: &Vec<(Property, Value)>| {
            row.iter().find(|(own, _)| own == property).map_or(Value::Null, |(_, value)| value.clone())
        };
        let values: Vec<Value> = rows.iter().map(value).collect();
        let field = property_field(property);
        let column = array(property.kind.column_type(), &values.iter().collect::<Vec<&Value>>());
        columns.push(if values.is_empty() { new_null_array(field.data_type(), 0) } else { column });
        fields.push(Arc::new(field));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn events() -> Vec<Event> {
    let overflowing = Event {
        overflow: json!({"rare": "gem", "count": 3, "whole": 2.0, "deep": {"a": [1]}}),
        ..event("1", "buy", "bob", 40, json!({"plan": "free"}))
    };
    vec![
        event("1", "view", "ann", 0, json!({"plan": "pro", "price": 5, "vip": true, "size": 1.5})),
        event(
            "1",
            "buy",
            "ann",
            10,
            json!({"plan": "pro", "price": 7.25, "it's": "x", "nested": {"b": [1, null]}}),
        ),
        event("1", "view", "bob", 20, json!({"plan": 7, "price": "cheap", "vip": "yes", "big": 1e300})),
        event("1", "view", "cyd", 30, json!({})),
        overflowing,
        event("1", "late", "cyd", 50, json!({"price": -3.0, "huge": 18_446_744_073_709_551_615_u64})),
        event("2", "view", "eve", 5, json!({"secret": "word", "plan": "mine"})),
    ]
}

async fn check(statement: &str, want: Json) {
    for part in [2, 100] {
        let answer = ask_with(&sql(), &snapshot(&events(), part), &shop_1(), request(statement)).await;
        let answer = answer.unwrap_or_else(|error| panic!("{statement}: {error}"));
        assert_eq!(cells(&answer), want, "{statement}");
    }
}

#[tokio::test]
async fn the_text_of_the_properties_holds_them_all_and_nobody_elses() {
    check(
        "SELECT actor, props FROM events ORDER BY ts",
        json!([
            ["ann", r#"{"plan":"pro","price":5,"size":1.5,"vip":true}"#],
            ["ann", r#"{"it's":"x","nested":{"b":[1,null]},"plan":"pro","price":7.25}"#],
            ["bob", r#"{"big":1e+300,"plan":7,"price":"cheap","vip":"yes"}"#],
            ["cyd", "{}"],
            ["bob", r#"{"count":3,"deep":{"a":[1]},"plan":"free","rare":"gem","whole":2}"#],
            ["cyd", r#"{"huge":18446744073709551615,"price":-3}"#],
        ]),
    )
    .await;
    let everything = "SELECT * FROM events ORDER BY ts LIMIT 1";
    let answer = ask_with(&sql(), &snapshot(&events(), 3), &shop_1(), request(everything)).await.unwrap();
    let names: Vec<&String> = answer[0].as_object().unwrap().keys().collect();
    assert_eq!(names, ["id", "shop", "event", "actor", "ts", "props"]);
}

#[tokio::test]
async fn a_property_is_read_in_its_own_type_alone() {
    let column = async |call: &str, want: Json| {
        let want: Vec<Json> = want.as_array().unwrap().iter().map(|cell| json!([cell])).collect();
        check(&format!("SELECT {call} AS x FROM events ORDER BY ts"), json!(want)).await;
    };
    column("json_get_str(props, 'plan')", json!(["pro", "pro", null, null, "free", null])).await;
    column("json_get_int(props, 'plan')", json!([null, null, 7, null, null, null])).await;
    column("json_get_int(props, 'price')", json!([5, null, null, null, null, -3])).await;
    column("json_get_float(props, 'price')", json!([5.0, 7.25, null, null, null, -3.0])).await;
    column("json_get_bool(props, 'vip')", json!([true, null, null, null, null, null])).await;
    column("json_get_str(props, 'vip')", json!([null, null, "yes", null, null, null])).await;
    column("json_get_str(props, 'it''s')", json!([null, "x", null, null, null, null])).await;
    column("json_get_str(props, 'nested')", json!([null, null, null, null, null, null])).await;
    column("json_get_float(props, 'big')", json!([null, null, 1e300, null, null, null])).await;
    let huge = 18_446_744_073_709_551_615_u64 as f64;
    column("json_get_float(props, 'huge')", json!([null, null, null, null, null, huge])).await;
    // What has no column of its own.
    column("json_get_str(props, 'rare')", json!([null, null, null, null, "gem", null])).await;
    column("json_get_int(props, 'count')", json!([null, null, null, null, 3, null])).await;
    column("json_get_float(props, 'whole')", json!([null, null, null, null, 2.0, null])).await;
    column("json_get_int(props, 'whole')", json!([null, null, null, null, 2, null])).await;
    // What another tenant has, and what nobody has.
    column("json_get_str(props, 'secret')", json!([null, null, null, null, null, null])).await;
    column("json_get_str(props, 'nothing')", json!([null, null, null, null, null, null])).await;
}

/// A statement with calls on the column, and the same with calls on a text that the column was made into:
/// one is answered from columns, the other by parsing.
async fn check_both(statement: &str) {
    let over_text = statement.replace("(props,", "(props || '',").replace("e.props,", "e.props || '',");
    assert_ne!(statement, over_text);
    for tenants in [shop_1().tenants().clone(), Tenants::All] {
        let (sql, snapshot) = (sql(), snapshot(&events(), 2));
        let ask = async |statement: &str| {
            let answer = ask_with(&sql, &snapshot, &scope(tenants.clone()), request(statement)).await;
            answer.unwrap_or_else(|error| panic!("{statement}: {error}"))
        };
        let (columns, text) = (ask(statement).await, ask(&over_text).await);
        assert_eq!(cells(&columns), cells(&text), "{statement}");
        assert_ne!(cells(&columns), json!([]), "{statement}");
    }
}

const STATEMENTS: [&str; 15] = [
    "SELECT actor, json_get_str(props, 'plan') AS plan FROM events ORDER BY ts, actor",
    "SELECT count(*) AS n FROM events WHERE json_get_str(props, 'plan') = 'pro'",
    "SELECT json_get_str(props, 'plan') AS plan, count(*) AS n, sum(json_get_float(props, 'price')) AS s FROM events GROUP BY json_get_str(props, 'plan') ORDER BY plan",
    "SELECT json_get_str(props, 'plan') AS plan, count(*) AS n FROM events GROUP BY 1 HAVING count(*) > 0 ORDER BY 1",
    "SELECT event FROM events ORDER BY json_get_float(props, 'price') DESC NULLS LAST, ts LIMIT 2",
    "SELECT x FROM (SELECT json_get_int(props, 'price') AS x, ts FROM events) AS t ORDER BY ts",
    "SELECT json_get_str(e.props, 'plan') AS a, json_get_str(f.props || '', 'plan') AS b FROM events e JOIN events f ON e.actor = f.actor ORDER BY 1, 2",
    "SELECT f.actor FROM events e JOIN events f ON json_get_str(e.props, 'plan') = json_get_str(f.props || '', 'plan') ORDER BY 1",
    "SELECT e.actor, json_get_str(e.props, 'plan') AS p FROM events f LEFT JOIN events e ON f.actor = e.actor AND e.event = 'buy' ORDER BY 1, 2, f.ts",
    "WITH pros AS (SELECT * FROM events WHERE json_get_str(props, 'plan') IS NOT NULL) SELECT actor, json_get_float(props, 'price') AS p FROM pros ORDER BY ts, actor",
    "SELECT DISTINCT json_get_str(props, 'plan') AS p FROM events ORDER BY 1",
    "SELECT actor FROM events WHERE actor IN (SELECT actor FROM events WHERE json_get_bool(props, 'vip')) ORDER BY ts",
    "SELECT actor, sum(json_get_float(props, 'price')) OVER (PARTITION BY actor ORDER BY ts) AS s FROM events ORDER BY ts, actor",
    "SELECT json_get_str(props, 'plan') AS p FROM (SELECT props, ts, actor FROM events ORDER BY ts, actor LIMIT 3) AS t ORDER BY ts, actor",
    "SELECT CASE WHEN json_get_bool(props, 'vip') THEN 'vip' ELSE json_get_str(props, 'plan') END AS c FROM events ORDER BY ts, actor",
];

#[tokio::test]
async fn columns_answer_as_the_text_does() {
    for statement in STATEMENTS {
        check_both(statement).await;
    }
}

#[tokio::test]
async fn where_there_is_no_column_the_text_answers() {
    // A union, a group, a computed text, and a row of an outer statement.
    check(
        "SELECT json_get_str(props, 'plan') AS p FROM (SELECT props, ts FROM events UNION ALL SELECT '{\"plan\": \"none\"}', TIMESTAMP '2030-01-01') AS t ORDER BY ts",
        json!([["pro"], ["pro"], [null], [null], ["free"], [null], ["none"]]),
    )
    .await;
    check(
        "SELECT json_get_str(props, 'plan') AS p, n FROM (SELECT props, count(*) AS n FROM events GROUP BY props) AS t WHERE json_get_str(props, 'plan') IS NOT NULL ORDER BY p",
        json!([["free", 1], ["pro", 1], ["pro", 1]]),
    )
    .await;
    check(
        "SELECT count(*) AS n FROM events e WHERE EXISTS (SELECT 1 FROM events f WHERE f.actor = e.actor AND json_get_str(f.props, 'rare') = 'gem')",
        json!([[2]]),
    )
    .await;
    check(
        "SELECT DISTINCT json_get_str(props, 'plan') AS p FROM (SELECT DISTINCT props FROM events) AS t ORDER BY p NULLS LAST",
        json!([["free"], ["pro"], [null]]),
    )
    .await;
}

#[tokio::test]
async fn statements_of_every_form_are_answered() {
    check(
        "SELECT json_get_str(props, 'plan') AS p, count(*) AS n FROM events GROUP BY ROLLUP (json_get_str(props, 'plan')) ORDER BY n, p NULLS LAST",
        json!([["free", 1], ["pro", 2], [null, 3], [null, 6]]),
    )
    .await;
    check(
        "WITH RECURSIVE steps AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM steps WHERE n < (SELECT max(json_get_int(props, 'price')) FROM events)) SELECT max(n) AS n FROM steps",
        json!([[5]]),
    )
    .await;
    check(
        "SELECT e.actor FROM events e JOIN events f USING (id) WHERE json_get_str(e.props, 'plan') = 'pro' AND json_get_bool(f.props, 'vip')",
        json!([["ann"]]),
    )
    .await;
    check(
        "SELECT DISTINCT ON (actor) actor, json_get_str(props, 'plan') AS p FROM events ORDER BY actor, ts",
        json!([["ann", "pro"], ["bob", null], ["cyd", null]]),
    )
    .await;
    check(
        "SELECT (SELECT count(*) FROM events f WHERE json_get_str(f.props, 'plan') = json_get_str(e.props, 'plan')) AS n FROM events e WHERE e.event = 'buy' ORDER BY ts",
        json!([[2], [1]]),
    )
    .await;
    check(
        "SELECT count(*) FILTER (WHERE json_get_bool(props, 'vip')) AS vips, string_agg(json_get_str(props, 'plan'), ',' ORDER BY ts) AS plans FROM events",
        json!([[1, "pro,pro,free"]]),
    )
    .await;
    check(
        "SELECT actor FROM events EXCEPT SELECT actor FROM events WHERE json_get_str(props, 'plan') IS NOT NULL ORDER BY 1",
        json!([["cyd"]]),
    )
    .await;
}

#[tokio::test]
async fn a_column_that_is_read_for_a_call_is_seen_by_nobody_else() {
    check(
        "SELECT * FROM (SELECT event FROM events WHERE json_get_bool(props, 'vip')) AS t",
        json!([["view"]]),
    )
    .await;
    let statement = "SELECT * FROM events e JOIN (SELECT actor AS a FROM events WHERE json_get_bool(props, 'vip')) AS t ON e.actor = t.a WHERE json_get_str(e.props, 'plan') = 'pro' ORDER BY ts";
    let answer = ask_with(&sql(), &snapshot(&events(), 3), &shop_1(), request(statement)).await.unwrap();
    let names: Vec<&String> = answer[0].as_object().unwrap().keys().collect();
    assert_eq!(names, ["id", "shop", "event", "actor", "ts", "props", "a"]);
    // What has no name of its own has the call's.
    let statement = "SELECT json_get_str(props, 'plan') FROM events LIMIT 1";
    let answer = ask_with(&sql(), &snapshot(&events(), 3), &shop_1(), request(statement)).await.unwrap();
    assert!(
        answer[0].as_object().unwrap().keys().all(|name| name.contains("json_get_str(events.props")),
        "{answer}"
    );
    check(
        "SELECT actor FROM events WHERE json_get_str(props, 'plan') = 'pro' UNION ALL SELECT event FROM events WHERE json_get_bool(props, 'vip') ORDER BY 1",
        json!([["ann"], ["ann"], ["view"]]),
    )
    .await;
}

/// The plan of a statement, as it is run.
async fn plan_of(asked: SqlRequest) -> LogicalPlan {
    let (sql, snapshot) = (sql(), snapshot(&events(), 2));
    let catalog: ScopedCatalog = sql.catalog(&snapshot, &shop_1(), &asked);
    let mut state = sql.base.clone();
    let checked = statement::check(&asked.statement).unwrap();
    let plan = session::plan(&mut state, catalog, checked, &asked).await.unwrap().plan;
    state.optimize(&plan).unwrap()
}

#[tokio::test]
async fn only_the_property_that_is_asked_for_is_read() {
    for statement in STATEMENTS.iter().filter(|statement| !statement.contains("||")) {
        let plan = plan_of(request(statement)).await.display_indent().to_string();
        for scan in plan.lines().filter(|line| line.contains("TableScan")) {
            assert!(!scan.contains("props"), "{statement}: {scan}");
        }
        assert!(plan.contains("#1"), "{statement}: {plan}");
    }
    // A name that is a parameter is known, too.
    let mut asked = request("SELECT json_get_str(props, $name) AS p FROM events ORDER BY ts LIMIT 1");
    asked.params = vec![("name".to_owned(), Value::Text(Arc::from("plan")))];
    let plan = plan_of(asked.clone()).await.display_indent().to_string();
    assert!(!plan.lines().any(|line| line.contains("TableScan") && line.contains("props")), "{plan}");
    let answer = ask_with(&sql(), &snapshot(&events(), 2), &shop_1(), asked).await.unwrap();
    assert_eq!(cells(&answer), json!([["pro"]]));
}

#[tokio::test]
async fn behaviour_by_properties_is_counted_in_one_statement() {
    check(
        "SELECT actor, window_funnel(100, '', ts, json_get_str(props, 'plan') = 'pro', event = 'buy') AS level, \
         retention(event = 'view', json_get_str(props, 'plan') = 'free') AS r FROM events GROUP BY actor ORDER BY actor",
        json!([["ann", 2, [true, false]], ["bob", 0, [true, true]], ["cyd", 0, [true, false]]]),
    )
    .await;
}

#[tokio::test]
async fn random_properties_are_the_same_from_columns_and_from_the_text() {
    let mut state = 88_172_645_463_325_252_u64;
    let mut below = |end: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % end
    };
    let sql = sql();
    let names = ["a", "b", "c d", "ü"];
    for _ in 0..25 {
        let mut rows = Vec::new();
        for second in 0..20 {
            let mut props = Map::new();
            for name in names {
                let value = match below(9) {
                    0 => json!(below(5)),
                    1 => json!(below(9) as f64 / 4.0),
                    2 => json!(below(2) == 0),
                    3 => json!(["x", "y", "", "0"][below(4) as usize]),
                    4 => json!([below(3), null]),
                    5 => json!(-(below(3) as i64)),
                    _ => continue,
                };
                props.insert(name.to_owned(), value);
            }
            // A name is either in columns or in the text.
            let overflow: Map<String, Json> = props
                .iter()
                .filter(|(name, _)| name.as_str() == "ü")
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect();
            props.remove("ü");
            let tenant = if below(4) == 0 { "2" } else { "1" };
            let own = event(tenant, "e", "x", second, Json::Object(props));
            rows.push(Event { overflow: Json::Object(overflow), ..own });
        }
        let snapshot = snapshot(&rows, 1 + below(9) as usize);
        for kind in ["str", "int", "float", "bool"] {
            let calls: Vec<String> = names
                .iter()
                .enumerate()
                .map(|(place, name)| format!("json_get_{kind}(props, '{name}') AS x{place}"))
                .collect();
            let statement = format!("SELECT {} FROM events ORDER BY ts", calls.join(", "));
            let over_text = statement.replace("(props,", "(props || '',");
            let columns = ask_with(&sql, &snapshot, &shop_1(), request(&statement)).await.unwrap();
            let text = ask_with(&sql, &snapshot, &shop_1(), request(&over_text)).await.unwrap();
            assert_eq!(columns, text, "{statement}");
        }
    }
}

#[test]
fn a_property_of_a_kind_is_kept_as_the_tests_keep_it() {
    assert_eq!(
        stored(&event("1", "e", "x", 0, json!({"a": [1]})))[0].0,
        Property::new("a", PropertyKind::Json)
    );
}
