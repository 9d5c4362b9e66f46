use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use ebbtide_engine::{EngineError, Interrupt, Stop, StopFlag};
use ebbtide_model::{ErrorKind, Instant, Value};
use serde_json::{Value as Json, json};

use super::random::text;
use super::world::{Event, app, at, snapshot, try_ask, try_ask_until};

/// Stops after so many questions whether to go on.
struct After {
    allowed: usize,
    asked: AtomicUsize,
}

impl Interrupt for After {
    fn stopped(&self) -> Option<Stop> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        (asked >= self.allowed).then_some(Stop::Left)
    }
}

fn events(count: i64) -> Vec<Event> {
    let start = at("2024-01-01").micros();
    let event = |index: i64| {
        let values = [
            ("card", Value::Int(index % 997)),
            ("at", Value::Timestamp(Instant::from_micros(start + index))),
            ("place", text(["x", "y"][usize::try_from(index % 2).unwrap()])),
        ];
        Event { table: "sales", tenant: "a", values: BTreeMap::from(values) }
    };
    (0..count).map(event).collect()
}

fn questions() -> Vec<Json> {
    vec![
        json!({"kind": "retention", "stream": "sales"}),
        json!({"kind": "churn", "stream": "sales"}),
        json!({"kind": "trend", "stream": "sales", "measure": "unique"}),
        json!({"kind": "trend", "stream": "sales", "breakdown": {"prop": "place"}, "compare": true}),
        json!({"kind": "preceding", "stream": "sales", "before": {}, "of": {}, "show": "place"}),
    ]
}

#[test]
fn a_question_ends_wherever_it_is_interrupted() {
    let snapshot = snapshot(&app(), &events(120_000), 3);
    for query in questions() {
        let ask = |allowed| {
            let interrupt = After { allowed, asked: AtomicUsize::new(0) };
            let answer = try_ask_until(&snapshot, Some("a"), &query, at("2024-02-01"), &interrupt);
            (answer, interrupt.asked.into_inner())
        };
        let (whole, asked) = ask(usize::MAX);
        assert!(whole.is_ok(), "{query}");
        // Three parts are loaded, and 120,000 events are folded.
        assert!(asked >= 3 + 120_000 / 65_536, "{query}: asked {asked} times only");
        for allowed in [0, 1, asked / 2, asked - 1] {
            let error = ask(allowed).0.unwrap_err();
            assert!(matches!(error, EngineError::Stopped(Stop::Left)), "{query} after {allowed}: {error}");
        }
    }
}

#[test]
fn a_flag_stops_by_its_first_reason_and_one_that_is_not_set_never() {
    let snapshot = snapshot(&app(), &events(10), 1);
    let flag = StopFlag::default();
    let (set, query) = (flag.clone(), json!({"kind": "churn", "stream": "sales"}));
    assert!(try_ask_until(&snapshot, None, &query, at("2024-02-01"), &flag).is_ok());
    set.set(Stop::TimeUp);
    set.set(Stop::Left);
    let error = try_ask_until(&snapshot, None, &query, at("2024-02-01"), &flag).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("took longer than it may"), "{error}");
    assert!(try_ask(&snapshot, None, &query, at("2024-02-01")).is_ok());
}
