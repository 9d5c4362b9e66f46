//! The examples of `docs/queries.md`: each is asked of the page's own events, and has the answer that the page says.

use std::collections::BTreeSet;
use std::sync::Arc;

use ebbtide_model::query::{KINDS, Query, bind};
use ebbtide_model::{AppName, AppSchema, Calendar};
use ebbtide_store::Snapshot;
use serde_json::{Value as Json, json};

use super::cases::{rows, same, schema};
use super::world::{at, try_ask};

const PAGE: &str = include_str!("../../../../docs/queries.md");

/// The page's fenced blocks of a language, in order.
fn blocks(language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut inside: Option<Vec<&str>> = None;
    let mut is_wanted = false;
    for line in PAGE.lines() {
        match (&mut inside, line.strip_prefix("```")) {
            (None, Some(given)) => {
                is_wanted = given == language;
                inside = Some(Vec::new());
            }
            (Some(lines), None) => lines.push(line),
            (Some(lines), Some(_)) => {
                if is_wanted {
                    blocks.push(lines.join("\n"));
                }
                inside = None;
            }
            (None, None) => {}
        }
    }
    blocks
}

fn events() -> Vec<Json> {
    let csv = blocks("csv").remove(0);
    let event = |line: &str| {
        let [ts, actor, event, page, price] = line.split(',').collect::<Vec<&str>>()[..] else {
            panic!("{line}");
        };
        let mut json = json!({"ts": ts, "actor": actor, "event": event, "props": {}});
        if !page.is_empty() {
            json["props"]["page"] = json!(page);
        }
        if !price.is_empty() {
            json["props"]["price"] = json!(price.parse::<i64>().unwrap());
        }
        json
    };
    csv.lines().skip(1).map(event).collect()
}

fn snapshot() -> Snapshot {
    let events = events();
    let table = schema(&events);
    let app =
        AppSchema { app: AppName::new("example"), calendar: Calendar::utc(), tables: vec![table.clone()] };
    let parts = events.chunks(4).map(|events| rows(&table, events)).collect();
    Snapshot::of_batches(Arc::new(app), vec![(table.name, parts)]).unwrap()
}

#[test]
fn the_examples_of_the_page_have_the_answers_that_it_says() {
    let snapshot = snapshot();
    let blocks: Vec<Json> = blocks("json")
        .iter()
        .map(|text| serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}")))
        .collect();
    let mut answered = BTreeSet::new();
    let mut faults = Vec::new();
    for (place, query) in blocks.iter().enumerate() {
        let Some(kind) = query["kind"].as_str() else {
            continue;
        };
        let parsed = Query::parse(query).unwrap_or_else(|fault| panic!("{query}: {fault}"));
        bind(&parsed, snapshot.app()).unwrap_or_else(|fault| panic!("{query}: {fault}"));
        let Some(want) = blocks.get(place + 1).filter(|next| next.get("kind").is_none()) else {
            continue;
        };
        let answer = try_ask(&snapshot, Some("case"), query, at("2026-06-30T23:59:59.999999Z"));
        let got = answer.unwrap_or_else(|error| panic!("{query}: {error}")).result();
        if !same(&got, want) {
            faults.push(format!("{query}\n  got  {got}\n  says {want}"));
        }
        answered.insert(kind.to_owned());
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let all: BTreeSet<String> = KINDS.iter().map(|kind| (*kind).to_owned()).collect();
    assert_eq!(answered, all, "every kind has an example with its answer");
}
