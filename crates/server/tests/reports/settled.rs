//! Answers that do not wait for rows of before a calendar period.

use ebbtide_server::apps::bundled;
use serde_json::Value as Json;

use super::data::{App, Request, wait};

const COLUMNS: &str =
    "shop,event_id,user_id,session_id,screen,next_screen,event_type,system_latency,timestamp";

/// Sessions of a day that reach the cart, so many of which leave there, with answers that take so long.
fn sessions(name: &str, day: &str, took_ms: u32, count: u32, left: u32) -> String {
    let row = |number: u32| {
        let (next, kind) = if number < left { ("exit", "exit") } else { ("success", "navigate") };
        let at = format!("{day}T{:02}:{:02}:00Z", number / 60, number % 60);
        format!("north,{name}{number},u-{name}{number},s-{name}{number},cart,{next},{kind},{took_ms},{at}")
    };
    (0..count).map(row).collect::<Vec<_>>().join(" ")
}

/// How many sessions the finding about slow answers speaks of.
fn told(body: &Json) -> Option<u64> {
    let insights = body["insights"].as_array().unwrap();
    let found = insights.iter().find(|insight| insight["rule"] == "segment_loses_more")?;
    found["evidence"]["sessions"].as_u64()
}

fn has_rule(body: &Json, rule: &str) -> bool {
    body["insights"].as_array().unwrap().iter().any(|insight| insight["rule"] == rule)
}

#[test]
fn an_answer_that_does_not_wait_tells_what_was_found_before_until_it_is_settled() {
    let app = App::new(bundled("storefront").unwrap());
    app.load_rows("events", COLUMNS, &sessions("slow", "2026-11-19", 1_500, 200, 120));
    app.load_rows("events", COLUMNS, &sessions("fast", "2026-11-19", 100, 200, 60));
    let at = |as_of: &'static str| vec![("as_of".to_owned(), as_of.to_owned())];
    let (first, next) = (at("2026-11-20T09:30:00Z"), at("2026-11-20T10:00:00Z"));
    let request = |query| Request { path: "/funnel/summary", query, tenant: Some("north") };
    let check = |query, is_settled: bool, sessions: Option<u64>| {
        let answer = wait(app.ask_beside(&request(query)));
        assert_eq!((answer.is_settled, told(&answer.body)), (is_settled, sessions), "{query:?}");
        answer
    };
    // Nothing was found before; what needs no wait is told.
    let unsettled = check(&first, false, None);
    assert!(has_rule(&unsettled.body, "largest_loss"));
    wait(app.settle(&request(&first)));
    let settled = check(&first, true, Some(200));
    assert_eq!(settled, wait(app.ask(&request(&first))).unwrap());
    // In the next hour it is that of the hour before, until that hour is looked at.
    check(&next, false, Some(200));
    wait(app.settle(&request(&next)));
    check(&next, true, Some(200));
    // What comes late changes what is to be found.
    app.load_rows("events", COLUMNS, &sessions("late", "2026-11-18", 1_500, 10, 9));
    check(&next, false, Some(200));
    wait(app.settle(&request(&next)));
    check(&next, true, Some(210));
    // What somebody waited for is known to all.
    app.load_rows("events", COLUMNS, &sessions("later", "2026-11-18", 1_500, 10, 9));
    assert_eq!(told(&wait(app.ask(&request(&next))).unwrap().body), Some(220));
    check(&next, true, Some(220));
    // Of rows that are gone nothing is told.
    app.clear("events");
    app.load_rows("events", COLUMNS, &sessions("other", "2026-11-19", 100, 60, 30));
    check(&next, false, None);
}
