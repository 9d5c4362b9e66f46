//! Questions over segments of several groups of rows, which are shared out among threads, against the same
//! questions over rows in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use ebbtide_model::{Instant, Value};
use ebbtide_store::fs::{FileSystem, SimFs};
use serde_json::{Value as Json, json};

use super::random::{Random, text};
use super::world::{Event, app, assigned, at, data_sets, in_memory, in_segments, try_ask};

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
        let mut values = BTreeMap::from([
            (if table == "views" { "who" } else { "card" }, who),
            ("at", Value::Timestamp(Instant::from_micros(time))),
            ("type", name),
        ]);
        if random.one_in(2) {
            values.insert("place", text(random.pick(&["north", "south", "east", "west", ""])));
        }
        if table == "sales" {
            if random.one_in(20) {
                values.insert("amount", Value::Float(random.pick(&[0.1, 0.2, 19.99, -4.0, 1e-7])));
            }
            values.insert("receipt", text(&format!("r{}", random.below(1_000_000))));
        }
        Event { table, tenant: random.pick(&["a", "b", "c"]), values }
    };
    (0..EVENTS).map(event).collect()
}

/// Of columns that spines do not have.
fn questions_of_columns(table: &str) -> Vec<Json> {
    let north = json!({"prop": "place", "op": "eq", "value": "north"});
    let steps = json!([{"event": "view"}, {"event": "cart", "where": [north]}, {"event": "buy"}]);
    let nowhere = json!({"any": [{"prop": "place", "op": "is_not_set"}, {"prop": "place", "op": "contains", "value": "TH"}]});
    let mut questions = vec![
        json!({"kind": "funnel", "stream": table, "steps": steps, "window": "7d"}),
        json!({"kind": "funnel", "stream": table, "steps": steps, "window": "2d", "filters": [nowhere]}),
        json!({"kind": "funnel", "stream": table, "steps": steps, "window": "7d", "breakdown": {"props": ["place"], "attribution": "first_touch"}}),
        json!({"kind": "retention", "stream": table, "start": {"event": null, "where": [north]}, "return": {"event": "buy", "where": [nowhere]}, "period": "week", "periods": 8, "from": "2024-01-01"}),
        json!({"kind": "trend", "stream": table, "entity": {"event": "buy", "where": [nowhere]}, "measure": ["total", "unique"], "interval": "week", "from": "2024-01-10", "to": "2024-03-03", "breakdown": {"prop": "event"}}),
        json!({"kind": "trend", "stream": table, "measure": "total", "interval": "all", "breakdown": {"prop": "place", "limit": 3}}),
        json!({"kind": "trend", "stream": table, "entity": {"event": "cart"}, "measure": "total", "interval": "week", "from": "2024-01-10", "to": "2024-03-03", "compare": "previous_period", "breakdown": {"prop": "place"}}),
        json!({"kind": "trend", "stream": table, "entity": {"event": null, "where": [north]}, "measure": ["unique", "unique_prop"], "prop": "place", "interval": "month"}),
    ];
    if table == "sales" {
        questions.extend([
            json!({"kind": "trend", "stream": table, "entity": {"event": "buy"}, "measure": ["sum", "avg", "min", "max", "total"], "prop": "amount", "interval": "month", "breakdown": {"prop": "place"}}),
            json!({"kind": "trend", "stream": table, "entity": {"event": "buy", "where": [{"prop": "amount", "op": "gt", "value": 0.1}]}, "measure": ["sum", "median"], "prop": "amount", "interval": "month"}),
            json!({"kind": "trend", "stream": table, "entity": {"event": null, "where": [{"prop": "receipt", "op": "matches", "value": "^r12"}]}, "measure": "total", "interval": "week", "cumulative": true}),
            json!({"kind": "trend", "stream": table, "measure": ["total", "sum"], "prop": "amount", "interval": "all", "breakdown": {"prop": "receipt", "limit": 5}}),
        ]);
    }
    questions
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
    for (number, query) in questions(table).into_iter().chain(questions_of_columns(table)).enumerate() {
        for tenant in [None, Some("b")] {
            let as_of = at(if number % 3 == 2 { "2024-03-01" } else { "2024-04-01" });
            let ask = |snapshot| try_ask(snapshot, tenant, &query, as_of).unwrap();
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

/// Cards, and sales of some of them and of others, at times that are often the same.
fn enrolled(random: &mut Random) -> Vec<Event> {
    let start = at("2024-01-01").micros();
    let mut event = |table: &'static str, card: i64| {
        let time = start + i64::try_from(random.below(80)).unwrap() * Instant::MICROS_PER_DAY;
        let values = BTreeMap::from([
            (if table == "cards" { "id" } else { "card" }, Value::Int(card)),
            ("at", Value::Timestamp(Instant::from_micros(time))),
            ("type", text(random.pick(&["buy", "look"]))),
            ("tier", text(random.pick(&["gold", "tin"]))),
        ]);
        Event { table, tenant: random.pick(&["a", "b"]), values }
    };
    let cards = (0..600).filter(|card| card % 7 != 3).map(|card| ("cards", card));
    let sales = (0..600).filter(|card| card % 3 != 0);
    let sales = sales.flat_map(|card| (0..card % 9).map(move |_| ("sales", card)));
    cards.chain(sales).map(|(table, card)| event(table, card)).collect()
}

#[test]
fn who_is_in_several_tables_and_segments_is_taken_once() {
    let (app, mut random) = (app(), Random::new(11));
    let events = enrolled(&mut random);
    let in_memory = in_memory(&app, &events, 1);
    let ends =
        [json!({"table": "cards"}), json!({"table": "sales"}), json!({"table": "sales", "event": "buy"})];
    // A third of the rows each; the last of them may be in memory.
    for written in [3, 2] {
        let mixed = assigned(&app, &events, &|index, _| index % 3, &|part| part < written);
        for (start, back) in ends.iter().flat_map(|start| ends.iter().map(move |back| (start, back))) {
            for (cohorts, cell_zero) in [("recurring", "size"), ("first_time", "returned")] {
                let query = json!({
                    "kind": "retention", "start": start, "return": back, "period": "week", "periods": 7,
                    "from": "2024-01-15", "type": cohorts, "cell_zero": cell_zero,
                });
                for (tenant, as_of) in [(None, "2024-04-01"), (Some("a"), "2024-02-20")] {
                    let ask = |snapshot| try_ask(snapshot, tenant, &query, at(as_of)).unwrap();
                    assert_eq!(ask(&mixed).result(), ask(&in_memory).result(), "{query} of {tenant:?}");
                }
            }
        }
    }
}

/// Few actors and few instants, so that much is simultaneous and many runs are of one actor. Some are a little before
/// or after the hour: within a tick of a spine's times, which seconds begin with.
fn crowded(random: &mut Random) -> Vec<Event> {
    let (actors, hours) = (random.pick(&[1, 3, 12]), random.pick(&[4, 40, 900]));
    let nudges: &[i64] = random.pick(&[&[0][..], &[0, 1, -1], &[0, 0, 2, 300, 301, 700]]);
    let start = at("2024-01-01").micros();
    let event = |_| {
        let hour = i64::try_from(random.below(hours)).unwrap();
        let hour = hour * 3_600 * Instant::MICROS_PER_SECOND;
        let time = Instant::from_micros(start + hour + random.pick(nudges));
        let who = i64::try_from(random.below(actors)).unwrap();
        let name = random.pick(&["view", "cart", "buy", "leave", "leave", "stay"]);
        let values = BTreeMap::from([
            ("card", if random.one_in(30) { Value::Null } else { Value::Int(who) }),
            ("at", if random.one_in(40) { Value::Null } else { Value::Timestamp(time) }),
            ("type", if random.one_in(20) { Value::Null } else { text(name) }),
        ]);
        Event { table: "sales", tenant: random.pick(&["a", "b"]), values }
    };
    (0..200).map(event).collect()
}

/// A question that can be answered from codes and times alone, with bounds in the middle of the events.
fn plain_question(random: &mut Random) -> Json {
    let name =
        |random: &mut Random| random.pick(&[json!({}), json!({"event": "view"}), json!({"event": "leave"})]);
    let (one, other) = (name(random), name(random));
    let steps = random.pick(&[2, 3, 4, 5]);
    let names = ["view", "cart", "buy", "leave", "stay"].map(|name| json!({"event": name}));
    let yes = random.one_in(2);
    let mut query = match random.below(9) {
        0 | 1 => json!({
            "kind": "funnel", "steps": names[..steps], "window": random.pick(&["1h", "5h", "3d"]), "list_actors": yes,
            "count_all_actors": random.one_in(2), "time_between": [0, steps - 1],
        }),
        2 | 3 => json!({
            "kind": "retention", "start": one, "return": other, "period": random.pick(&["day", "week"]), "periods": 6,
            "columns": random.pick(&[2, 6]), "type": random.pick(&["recurring", "first_time"]), "cumulative": yes,
            "min_occurrences": random.pick(&[1, 2]), "cell_zero": random.pick(&["size", "returned"]),
        }),
        4 => json!({
            "kind": "trend", "entity": one, "measure": random.pick(&[json!(["total", "unique"]), json!("total")]),
            "interval": random.pick(&["day", "week", "all"]), "cumulative": yes, "from": "2024-01-02",
            "breakdown": {"prop": "event", "limit": 3},
        }),
        5 => json!({
            "kind": "trend", "entity": one, "measure": ["unique"], "interval": "day", "from": "2024-01-05",
            "compare": "previous_period", "breakdown": {"prop": "event"},
        }),
        6 => {
            json!({"kind": "churn", "entity": one, "limit": 3, "order": random.pick(&["days", "ratio"]), "min_events": 2})
        }
        7 => json!({
            "kind": "preceding", "before": one, "of": other, "show": "event", "per_actor": yes,
            "limit": random.pick(&[2, 10]),
        }),
        _ => json!({"kind": random.pick(&["stickiness", "lifecycle"]), "entity": one, "interval": "day"}),
    };
    query["stream"] = json!("sales");
    if query["kind"] == "retention" || random.one_in(2) {
        query["from"] = json!("2024-01-03");
        if query["kind"] != "retention" {
            query["from"] = json!(random.pick(&["2024-01-03", "2024-01-03T05:00:00.000301Z"]));
            query["to"] = json!("2024-01-20");
        }
    }
    query
}

#[test]
fn rows_taken_directly_are_those_that_columns_give() {
    let app = app();
    for seed in 0..data_sets() / 8 {
        let mut random = Random::new(seed);
        let events = crowded(&mut random);
        let (parts, in_rows) = (random.pick(&[1, 2, 3]), random.pick(&[0, 0, 1]));
        let of_actor = |event: &Event| match event.value("card") {
            Value::Int(actor) => usize::try_from(*actor).unwrap(),
            _ => 0,
        };
        // Each actor in one part, or spread over all; the last ones perhaps not in segments.
        let by_actor = random.one_in(3);
        let part_of = |index: usize, event: &Event| (if by_actor { of_actor(event) } else { index }) % parts;
        let laid_out = assigned(&app, &events, &part_of, &|part| part + in_rows < parts);
        let plain = in_memory(&app, &events, 1);
        let every = random.pick(&[0, 0, 2, 5]);
        let is_dead = |number: u64| every > 0 && number.is_multiple_of(every);
        let (laid_out, plain) = (laid_out.without(is_dead).unwrap(), plain.without(is_dead).unwrap());
        for _ in 0..6 {
            let (query, tenant) = (plain_question(&mut random), random.pick(&[None, Some("a")]));
            let as_of = random.pick(&["2024-01-09T05:00:00Z", "2024-01-09T05:00:00.0003Z", "2024-04-01"]);
            let as_of = at(as_of);
            let ask = |snapshot| try_ask(snapshot, tenant, &query, as_of).map(|answer| answer.result());
            let (got, want) = (ask(&laid_out).unwrap(), ask(&plain).unwrap());
            assert_eq!(got, want, "seed {seed} {query} of {tenant:?} as of {as_of}");
        }
    }
}
