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
fn a_question_of_more_groups_than_there_is_memory_for_is_refused_before_it_is_folded() {
    let mut events = events(12_000);
    for (event, number) in events.iter_mut().zip(0..) {
        event.values.insert("card", Value::Int(number));
        event.values.insert("place", text(&format!("place {number}")));
    }
    let snapshot = snapshot(&app(), &events, 1);
    let by = |limit: Option<u32>| match limit {
        Some(limit) => json!({"props": ["place"], "limit": limit}),
        None => json!({"props": ["place"]}),
    };
    let funnel = |steps: usize, limit| json!({"kind": "funnel", "steps": vec![json!({"table": "sales"}); steps], "breakdown": by(limit)});
    let kept = json!({"kind": "retention", "stream": "sales", "period": "day", "periods": 12, "from": "2024-01-01", "breakdown": {"prop": "place"}});
    let hours = |limit: Json| json!({"kind": "trend", "stream": "sales", "interval": "hour", "from": "2024-01-01", "breakdown": limit});
    let check = |query: Json, want: Option<&str>| {
        let answer = try_ask(&snapshot, Some("a"), &query, at("2024-02-01"));
        match (answer, want) {
            (Ok(_), None) => {}
            (Err(error), Some(want)) => {
                assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
                assert!(error.to_string().contains(want), "{error}");
            }
            (answer, want) => panic!("{query}: answered {}, not {want:?}", answer.is_ok()),
        }
    };
    check(funnel(1, None), None);
    check(
        funnel(20, None),
        Some("12000 values to be told apart, each with 20 steps; allowed are 200000 steps"),
    );
    check(funnel(20, Some(10)), None);
    check(kept, Some("12000 values, each with 12 rows"));
    check(hours(json!({"prop": "place"})), Some("set `breakdown.limit`"));
    check(hours(json!({"prop": "place", "limit": 10})), None);
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
