//! Questions over segments of several groups of rows, which are shared out among threads, against the same
//! questions over rows in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use ebbtide_model::{Instant, Value};
use ebbtide_store::fs::{FileSystem, SimFs};
use serde_json::{Value as Json, json};

use super::random::{Random, text};
use super::world::{Event, app, at, in_memory, in_segments, try_ask};

/// More than two groups of a segment's rows.
const EVENTS: u32 = 300_000;

/// Actors with many and with few events, some of nobody's; names that are missing, too.
fn events(table: &'static str, actors: u64) -> Vec<Event> {
    let mut random = Random::new(7);
    let start = at("2024-01-01").micros();
    let event = |_| {
        let among = random.pick(&[1, 10, actors]);
        let actor = i64::try_from(random.below(among)).unwrap();
        let who = if random.one_in(50) { Value::Null } else { Value::Int(actor) };
        let name = random.pick(&["view", "cart", "buy", "leave"]);
        let name = if random.one_in(40) { Value::Null } else { text(name) };
        let time = start + i64::try_from(random.below(90 * 86_400)).unwrap() * Instant::MICROS_PER_SECOND;
        let who = match (table, who) {
            ("views", Value::Int(actor)) => text(&format!("u{actor}")),
            (_, who) => who,
        };
        let values = BTreeMap::from([
            (if table == "views" { "who" } else { "card" }, who),
            ("at", Value::Timestamp(Instant::from_micros(time))),
            ("type", name),
        ]);
        Event { table, tenant: random.pick(&["a", "b", "c"]), values }
    };
    (0..EVENTS).map(event).collect()
}

fn questions(table: &str) -> Vec<Json> {
    let steps = json!([{"event": "view"}, {"event": "cart"}, {"event": "buy"}]);
    vec![
        json!({"kind": "funnel", "stream": table, "steps": steps, "window": "7d"}),
        json!({"kind": "retention", "stream": table, "start": {"event": "view"}, "return": {"event": "buy"}, "period": "week", "periods": 8, "from": "2024-01-01"}),
        json!({"kind": "trend", "stream": table, "measure": ["total", "unique"], "interval": "week", "from": "2024-01-10", "to": "2024-03-03", "breakdown": {"prop": "event", "limit": 3}}),
        json!({"kind": "trend", "stream": table, "measure": "total", "interval": "day", "breakdown": {"prop": "event"}}),
        json!({"kind": "churn", "stream": table, "limit": 40}),
        json!({"kind": "stickiness", "stream": table, "interval": "week"}),
        json!({"kind": "lifecycle", "stream": table, "interval": "month"}),
        json!({"kind": "paths", "stream": table, "item": "event", "session_gap": "1d"}),
        json!({"kind": "preceding", "stream": table, "before": {"event": "leave"}, "of": {"event": null}, "show": "event"}),
    ]
}

fn check(table: &'static str, actors: u64) {
    let (app, events) = (app(), events(table, actors));
    let in_memory = in_memory(&app, &events, 2);
    let disk: Arc<dyn FileSystem> = Arc::new(SimFs::new(1));
    // One part is large enough to be shared out, and the other's runs are in other places.
    let in_segments = in_segments(&app, &events, 2, &disk);
    for query in questions(table) {
        for tenant in [None, Some("b")] {
            let ask = |snapshot| try_ask(snapshot, tenant, &query, at("2024-04-01")).unwrap();
            let (got, want) = (ask(&in_segments), ask(&in_memory));
            assert_eq!(got.result(), want.result(), "{query} of {tenant:?}");
        }
    }
}

#[test]
fn actors_that_are_numbers_are_shared_out_without_changing_an_answer() {
    check("sales", 5_000);
}

#[test]
fn actors_that_are_texts_are_shared_out_without_changing_an_answer() {
    check("views", 5_000);
}
