//! Lifecycle, stickiness and paths.

use std::collections::{BTreeMap, BTreeSet};

use ebbtide_model::{Instant, Unit, Value};
use serde_json::{Value as Json, json};

use super::driver::hold_against;
use super::oracle::{Question, Sorted, Who, prop_of};
use super::random::Random;
use super::world::{Event, app, at, data_sets, snapshot, try_ask};

/// The fields that the three kinds have in common.
fn ranged(random: &mut Random, kind: &str) -> Json {
    let entity = random.matcher(&["sales", "sales", "sales", "cards", "views"]);
    let unit = random.pick(&["hour", "day", "day", "week", "month", "quarter", "year"]);
    let (from, to) = (random.early(), random.instant());
    let mut query = json!({
        "kind": kind, "entity": entity, "interval": unit, "tz": random.zone(),
        "week_start": random.pick(&["monday", "sunday"]),
    });
    if unit != "hour" && random.one_in(4) {
        query["from"] = json!(from.to_string());
    } else if from < to {
        query["from"] = json!(from.to_string());
        query["to"] = json!(to.to_string());
    }
    if entity["table"] == "sales" && random.one_in(6) {
        query["filters"] = json!([random.filter(0)]);
    }
    if entity["table"] == "sales" && random.one_in(5) {
        query["aggregate_by"] = json!(random.pick(&["place", "points", "cost", "open", "day", "amount"]));
    }
    query
}

/// Starts of the periods that meet the range; each ends where the next one starts.
fn periods(question: &Question<'_>) -> Vec<Instant> {
    let (calendar, unit) = (question.calendar(), question.unit("interval"));
    let to = question.instant("to").map_or(question.as_of.micros() + 1, Instant::micros);
    let last = Instant::from_micros(to - 1);
    let from = question.instant("from").unwrap_or_else(|| calendar.advance(unit, last, -29));
    let mut starts = Vec::new();
    let mut start = calendar.floor(unit, from);
    while start.micros() < to && from.micros() < to {
        starts.push(start);
        start = calendar.advance(unit, start, 1);
    }
    starts
}

fn lifecycle_query(random: &mut Random) -> Json {
    let mut query = ranged(random, "lifecycle");
    query["members_limit"] = random.pick(&[json!(null), json!(0), json!(1), json!(2)]);
    query
}

fn lifecycle(question: &Question<'_>, events: &[Event]) -> Json {
    let (calendar, unit) = (question.calendar(), question.unit("interval"));
    let starts = periods(question);
    let actors = question.by_actor(question.matching(events, &question.query["entity"]));
    let limit = question.query["members_limit"].as_u64().unwrap_or(1_000);
    let mut result =
        json!({"new": [], "returning": [], "resurrecting": [], "dormant": [], "complete": [], "starts": []});
    let mut members = json!({"new": [], "returning": [], "resurrecting": [], "dormant": []});
    for start in &starts {
        let (before, after) = (calendar.advance(unit, *start, -1), calendar.advance(unit, *start, 1));
        let mut found: BTreeMap<&str, Vec<&Who>> = BTreeMap::new();
        for (who, events) in &actors {
            let active =
                |from: Instant, to: Instant| events.iter().any(|(time, _)| from <= *time && *time < to);
            let known = events.iter().any(|(time, _)| time < start);
            let status = match (active(before, *start), active(*start, after)) {
                (true, true) => "returning",
                (false, true) if known => "resurrecting",
                (false, true) => "new",
                (true, false) => "dormant",
                (false, false) => continue,
            };
            found.entry(status).or_default().push(who);
        }
        let begun = *start <= question.as_of;
        for status in ["new", "returning", "resurrecting", "dormant"] {
            let who = found.remove(status).filter(|_| begun).unwrap_or_default();
            let count = i64::try_from(who.len()).unwrap() * if status == "dormant" { -1 } else { 1 };
            let listed = who.iter().take(usize::try_from(limit).unwrap()).map(|who| question.who_json(who));
            members[status].as_array_mut().unwrap().push(listed.collect());
            result[status].as_array_mut().unwrap().push(if begun { json!(count) } else { Json::Null });
        }
        result["complete"].as_array_mut().unwrap().push(json!(after <= question.as_of));
        result["starts"].as_array_mut().unwrap().push(json!(start.to_string()));
    }
    result["actors"] = members;
    result
}

#[test]
fn a_lifecycle_is_what_the_naive_engine_says() {
    hold_against(lifecycle_query, lifecycle, |_| {});
}

fn stickiness_query(random: &mut Random) -> Json {
    let mut query = ranged(random, "stickiness");
    query["interval_count"] = random.pick(&[json!(null), json!(1), json!(2), json!(7)]);
    query
}

fn stickiness(question: &Question<'_>, events: &[Event]) -> Json {
    let query = question.query;
    let count = usize::try_from(query["interval_count"].as_u64().unwrap_or(1)).unwrap();
    let starts: Vec<Instant> = periods(question).into_iter().step_by(count).collect();
    let mut data = vec![0_u64; starts.len()];
    let mut found = question.matching(events, &query["entity"]);
    let (from, to) = (question.instant("from"), question.instant("to"));
    found.retain(|(time, _)| from.is_none_or(|from| *time >= from) && to.is_none_or(|to| *time < to));
    found.retain(|(time, _)| starts.first().is_some_and(|first| first <= time));
    for events in question.by_actor(found).into_values() {
        let bucket = |(time, _): &(Instant, &Event)| starts.iter().filter(|start| *start <= time).count();
        data[events.iter().map(bucket).collect::<BTreeSet<_>>().len() - 1] += 1;
    }
    let at_least: Vec<u64> = (0..data.len()).map(|index| data[index..].iter().sum()).collect();
    json!({"actors_total": data.iter().sum::<u64>(), "data": data, "at_least": at_least})
}

#[test]
fn stickiness_is_what_the_naive_engine_says() {
    hold_against(stickiness_query, stickiness, |_| {});
}

fn paths_query(random: &mut Random) -> Json {
    let mut query = ranged(random, "paths");
    query.as_object_mut().unwrap().remove("interval");
    let (item, start) = match query["entity"]["table"].as_str().unwrap() {
        "cards" => ("tier", json!("gold")),
        "views" => random.pick(&[("event", json!("buy")), ("place", json!("Gare"))]),
        _ => random.pick(&[
            ("event", json!("buy")),
            ("place", json!("Gare")),
            ("points", json!(1)),
            ("open", json!(true)),
            ("amount", json!(0.1)),
        ]),
    };
    query["item"] = json!(item);
    query["session_gap"] =
        random.pick(&[json!(null), json!(0.000_001), json!("6h"), json!("3d"), json!("20w")]);
    query["start_at"] = random.pick(&[json!(null), start]);
    query["steps"] = random.pick(&[json!(null), json!(null), json!(2)]);
    query["limit"] = random.pick(&[json!(null), json!(null), json!(3)]);
    query
}

fn paths(question: &Question<'_>, events: &[Event]) -> Json {
    let query = question.query;
    let gap = match &query["session_gap"] {
        Json::Null => 1_800_000_000,
        Json::String(text) if text == "6h" => 6 * 3_600_000_000_i64,
        Json::String(text) if text == "3d" => 3 * Instant::MICROS_PER_DAY,
        Json::String(_) => 140 * Instant::MICROS_PER_DAY,
        _ => 1,
    };
    let mut found = question.matching(events, &query["entity"]);
    let (from, to) = (question.instant("from"), question.instant("to"));
    found.retain(|(time, _)| from.is_none_or(|from| *time >= from) && to.is_none_or(|to| *time < to));
    let mut edges: BTreeMap<(usize, Sorted, Sorted), u64> = BTreeMap::new();
    for events in question.by_actor(found).into_values() {
        let item = |(time, event): &(Instant, &Event)| {
            (*time, Sorted(prop_of(event, query["item"].as_str().unwrap())))
        };
        let mut items: Vec<(Instant, Sorted)> = events.iter().map(item).collect();
        items.retain(|(_, item)| item.0 != Value::Null);
        items.sort();
        for chain in items.chunk_by(|one, next| next.0.micros() - one.0.micros() <= gap) {
            let starts = |(_, item): &(Instant, Sorted)| {
                query["start_at"].is_null() || item.0.to_json() == query["start_at"]
            };
            let Some(first) = chain.iter().position(starts) else { continue };
            let steps = usize::try_from(query["steps"].as_u64().unwrap_or(u64::MAX)).unwrap();
            for (step, pair) in chain[first..].windows(2).enumerate().take(steps) {
                *edges.entry((step + 1, pair[0].1.clone(), pair[1].1.clone())).or_default() += 1;
            }
        }
    }
    let mut edges: Vec<((usize, Sorted, Sorted), u64)> = edges.into_iter().collect();
    if let Some(limit) = query["limit"].as_u64() {
        edges.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        edges.truncate(usize::try_from(limit).unwrap());
    }
    edges.sort_by(|((step, from, to), count), ((other, other_from, other_to), other_count)| {
        (step, other_count, from, to).cmp(&(other, count, other_from, other_to))
    });
    let edge = |((step, from, to), count): &((usize, Sorted, Sorted), u64)| json!({"step": step, "from": from.0.to_json(), "to": to.0.to_json(), "count": count});
    json!({"edges": edges.iter().map(edge).collect::<Json>()})
}

#[test]
fn paths_are_what_the_naive_engine_says() {
    hold_against(paths_query, paths, |_| {});
}

#[test]
fn the_order_and_number_of_parts_change_no_byte() {
    let app = app();
    for seed in 0..data_sets() / 5 {
        let mut random = Random::new(seed);
        let mut events = random.events();
        for of in [lifecycle_query, stickiness_query, paths_query] {
            let query = of(&mut random);
            let one = try_ask(&snapshot(&app, &events, 1), None, &query, at("2024-12-01")).unwrap();
            events.reverse();
            let other = try_ask(&snapshot(&app, &events, 4), None, &query, at("2024-12-01")).unwrap();
            assert_eq!(one.result().to_string(), other.result().to_string(), "{query}");
        }
    }
}

#[test]
fn a_list_that_is_cut_says_so() {
    let event = |card: i64| {
        let values = [("card", Value::Int(card)), ("at", Value::Timestamp(at("2024-01-01T12:00:00Z")))];
        Event { table: "sales", tenant: "a", values: BTreeMap::from(values) }
    };
    let snapshot = snapshot(&app(), &[event(3), event(1), event(2)], 3);
    let ask = |limit: u32| {
        let query = json!({
            "kind": "lifecycle", "stream": "sales", "from": "2024-01-01", "to": "2024-01-02", "members_limit": limit,
        });
        try_ask(&snapshot, Some("a"), &query, at("2024-02-01")).unwrap()
    };
    let cut = ask(2);
    assert_eq!(cut.result()["new"], json!([3]));
    assert_eq!(cut.result()["actors"]["new"], json!([[1, 2]]));
    assert_eq!(cut.meta.warnings, ["actors are listed up to 2 a bucket and status"]);
    assert!(!cut.meta.complete);
    assert!(ask(3).meta.complete);
}

#[test]
fn a_day_of_twenty_three_hours_is_one_period() {
    let calendar = ebbtide_model::Calendar::new(
        jiff::tz::TimeZone::get("Europe/Paris").unwrap(),
        ebbtide_model::WeekStart::Monday,
    );
    let start = calendar.floor(Unit::Day, at("2024-03-31T12:00:00Z"));
    assert_eq!(calendar.advance(Unit::Day, start, 1).micros() - start.micros(), 23 * 3_600_000_000);
    let event = |time: &str| {
        let values = [("card", Value::Int(1)), ("at", Value::Timestamp(at(time)))];
        Event { table: "sales", tenant: "a", values: BTreeMap::from(values) }
    };
    let events = ["2024-03-30T22:59:59Z", "2024-03-31T21:59:59Z", "2024-03-31T22:00:00Z"].map(event);
    let query = json!({
        "kind": "stickiness", "stream": "sales", "from": "2024-03-30", "to": "2024-04-03", "tz": "Europe/Paris",
    });
    let answer = try_ask(&snapshot(&app(), &events, 1), Some("a"), &query, at("2024-05-01")).unwrap();
    assert_eq!(answer.result(), json!({"data": [0, 0, 1, 0], "at_least": [1, 1, 1, 0], "actors_total": 1}));
}

/// 29 and 31 December lie side by side in Apia, wherever the question begins.
#[test]
fn a_day_that_a_zone_passed_over_is_no_period() {
    let event = |time: &str| {
        let values = [("card", Value::Int(1)), ("at", Value::Timestamp(at(time)))];
        Event { table: "sales", tenant: "a", values: BTreeMap::from(values) }
    };
    let events = ["2011-12-30T09:30:00Z", "2011-12-30T10:30:00Z"].map(event);
    let snapshot = snapshot(&app(), &events, 1);
    for from in ["2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"] {
        let query = json!({
            "kind": "lifecycle", "stream": "sales", "from": from, "to": "2011-12-31T10:00:00Z", "tz": "Pacific/Apia",
        });
        let answer = try_ask(&snapshot, Some("a"), &query, at("2012-02-01")).unwrap().result();
        let last = |status: &str| answer[status].as_array().unwrap().last().cloned().unwrap();
        assert_eq!((last("returning"), last("resurrecting")), (json!(1), json!(0)), "{from}: {answer}");
    }
}
