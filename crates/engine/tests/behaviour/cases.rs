//! Cases with known answers, from the folder beside the project where it is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt64Array,
};
use arrow::datatypes::Int32Type;
use ebbtide_model::{
    AppName, AppSchema, Calendar, ColumnType, ErrorKind, TableKind, TableName, TableSchema, TenantId,
    TenantRule,
};
use ebbtide_store::{Snapshot, stored_schema};
use serde_json::Value as Json;

use super::world::{at, column, try_ask};

fn folder() -> PathBuf {
    let shared = std::env::var_os("EBBTIDE_SHARED").map(PathBuf::from);
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    shared.unwrap_or_else(beside).join("conformance/engine/cases")
}

/// A case's own stream: its properties are columns of the type that their values have.
pub(crate) fn schema(events: &[Json]) -> TableSchema {
    let mut columns = vec![
        column("event", ColumnType::Text),
        column("actor", ColumnType::Text),
        column("ts", ColumnType::Timestamp),
    ];
    let mut props: BTreeMap<&str, ColumnType> = BTreeMap::new();
    for (name, value) in events.iter().filter_map(|event| event["props"].as_object()).flatten() {
        let column_type = match value {
            Json::String(_) => ColumnType::Text,
            Json::Number(number) if number.is_i64() => ColumnType::Int,
            Json::Number(_) => ColumnType::Float,
            Json::Bool(_) => ColumnType::Bool,
            Json::Null | Json::Array(_) | Json::Object(_) => {
                panic!("no column holds {value}")
            }
        };
        props.insert(name, column_type);
    }
    columns.extend(props.iter().map(|(name, column_type)| column(name, *column_type)));
    TableSchema {
        name: TableName::new("events"),
        kind: TableKind::Events,
        columns,
        key: Vec::new(),
        tenant: TenantRule::Fixed(TenantId::new("case")),
        actor: Some(1),
        time: Some(2),
        event_name: Some(0),
        open: None,
        aliases: None,
        actor_props: None,
    }
}

pub(crate) fn rows(table: &TableSchema, events: &[Json]) -> RecordBatch {
    let tenants: DictionaryArray<Int32Type> = events.iter().map(|_| "case").collect();
    let sequences: UInt64Array = (1..).take(events.len()).map(Some).collect();
    let mut columns: Vec<ArrayRef> = vec![Arc::new(tenants), Arc::new(sequences)];
    for column in &table.columns {
        let value = |event: &Json| event.get(&column.name).unwrap_or(&event["props"][&column.name]).clone();
        let values: Vec<Json> = events.iter().map(value).collect();
        columns.push(match column.column_type {
            ColumnType::Text => Arc::new(values.iter().map(Json::as_str).collect::<StringArray>()),
            ColumnType::Int => Arc::new(values.iter().map(Json::as_i64).collect::<Int64Array>()),
            ColumnType::Float => Arc::new(values.iter().map(Json::as_f64).collect::<Float64Array>()),
            ColumnType::Bool => Arc::new(values.iter().map(Json::as_bool).collect::<BooleanArray>()),
            ColumnType::Decimal | ColumnType::Timestamp | ColumnType::Date | ColumnType::Mixed => {
                let micros = values.iter().map(|value| Some(at(value.as_str().unwrap()).micros()));
                Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("+00:00"))
            }
        });
    }
    RecordBatch::try_new(stored_schema(table), columns).unwrap()
}

/// What the case names must be there and equal; numbers to a millionth, groups in any order.
pub(crate) fn same(got: &Json, want: &Json) -> bool {
    match (got, want) {
        (Json::Object(got), Json::Object(want)) => want.iter().all(|(name, want)| {
            let mut got = got.get(name).cloned().unwrap_or_default();
            let mut want = want.clone();
            if name == "groups" || name == "edges" {
                let place =
                    |row: &Json| [&row["value"], &row["step"], &row["from"], &row["to"]].map(Json::to_string);
                for list in [&mut got, &mut want] {
                    list.as_array_mut().unwrap().sort_by_key(place);
                }
            }
            same(&got, &want)
        }),
        (Json::Array(got), Json::Array(want)) => {
            got.len() == want.len() && got.iter().zip(want).all(|(got, want)| same(got, want))
        }
        (Json::Number(got), Json::Number(want)) if got.is_f64() || want.is_f64() => {
            (got.as_f64().unwrap() - want.as_f64().unwrap()).abs() <= 1e-6
        }
        (got, want) => got == want,
    }
}

fn check(case: &Json) {
    let mut events = case["events"].as_array().unwrap().clone();
    for event in &mut events {
        if let Some(actor) = case["aliases"].get(event["actor"].as_str().unwrap()) {
            event["actor"] = actor.clone();
        }
    }
    let (events, table) = (&events, schema(&events));
    let app =
        AppSchema { app: AppName::new("cases"), calendar: Calendar::utc(), tables: vec![table.clone()] };
    let parts = vec![(table.name.clone(), vec![rows(&table, events)])];
    let snapshot = Snapshot::of_batches(Arc::new(app), parts).unwrap();
    let mut query = case["query"].clone();
    query["kind"] = case["kind"].clone();
    if ["members", "actors_at_step"].iter().any(|listed| case["expected"].get(listed).is_some()) {
        query["list_actors"] = Json::from(true);
    }
    let answer = try_ask(&snapshot, Some("case"), &query, at("2030-01-01"));
    if case["expected"]["error"] == true {
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Invalid, "{}", case["id"]);
        return;
    }
    let answer = answer.unwrap_or_else(|error| panic!("{}: {error}", case["id"]));
    let (got, want) = (answer.result(), &case["expected"]);
    assert!(same(&got, want), "{}\ngot  {got}\nwant {want}", case["id"]);
}

/// Whether a property has values of several types, which one declared column cannot hold.
fn has_mixed_property(case: &Json) -> bool {
    let mut kinds: BTreeMap<&str, BTreeSet<bool>> = BTreeMap::new();
    let events = case["events"].as_array().into_iter().flatten();
    for (name, value) in events.filter_map(|event| event["props"].as_object()).flatten() {
        kinds.entry(name).or_default().insert(value.is_string());
    }
    kinds.values().any(|kinds| kinds.len() > 1)
}

#[test]
fn cases_with_known_answers_have_them() {
    for kind in ["funnel", "retention", "trend", "lifecycle", "stickiness", "paths"] {
        let file = folder().join(format!("{kind}.json"));
        let Ok(text) = std::fs::read_to_string(&file) else {
            println!("skipped: there is no {}", file.display());
            continue;
        };
        let cases: Vec<Json> = serde_json::from_str(&text).unwrap();
        let needs_capture = |case: &Json| {
            case.get("actors").is_some()
                || case["query"].get("conditions").is_some()
                || has_mixed_property(case)
        };
        let (skipped, run): (Vec<&Json>, Vec<&Json>) = cases.iter().partition(|case| needs_capture(case));
        println!("{kind}: {} cases, {} need capture", run.len(), skipped.len());
        run.into_iter().for_each(check);
    }
}
