use std::collections::BTreeMap;

use ebbtide_model::{Instant, Value};
use serde_json::{Value as Json, json};

use super::driver::hold_against;
use super::oracle::{Question, Sorted, Who, prop_of};
use super::random::{Random, text};
use super::world::{Event, app, at, snapshot, try_ask};

fn random_query(random: &mut Random) -> Json {
    let tables: &[&str] = if random.one_in(6) { &["views"] } else { &["sales", "sales", "sales", "cards"] };
    let (before, of) = (random.matcher(tables), random.matcher(tables));
    let prop = match of["table"].as_str().unwrap() {
        "cards" => "tier",
        "views" => random.pick(&["place", "event"]),
        _ => random.pick(&["place", "place", "place", "event", "points", "amount", "open", "day", "receipt"]),
    };
    let show = match (prop, random.below(3)) {
        ("place", 0) => json!({"prop": prop, "cut": random.pick(&[1, 3, 5, 100]), "trim": true}),
        ("place", 1) => {
            json!({"prop": prop, "cut": random.pick(&[json!(null), json!(4)]), "trim": random.one_in(2)})
        }
        _ => json!(prop),
    };
    let mut query = json!({
        "kind": "preceding", "before": before, "of": of, "show": show, "skip_empty": random.one_in(2),
        "limit": random.pick(&[json!(null), json!(1), json!(3)]), "per_actor": random.one_in(2),
    });
    if random.one_in(3) {
        query["from"] = json!(random.early().to_string());
    }
    if random.one_in(3) {
        query["to"] = json!(at("2024-12-12").to_string());
    }
    if tables[0] == "sales" && before["table"] == "sales" && of["table"] == "sales" && random.one_in(5) {
        query["filters"] = json!([random.filter(0)]);
    }
    if before["table"] == "sales" && of["table"] == "sales" && random.one_in(6) {
        query["aggregate_by"] = json!(random.pick(&["place", "points", "open"]));
    }
    query
}

fn key(event: &Event) -> Sorted {
    Sorted(match event.table {
        "cards" => event.value("id").clone(),
        "sales" => event.value("receipt").clone(),
        _ => Value::Null,
    })
}

fn shown(query: &Json, event: &Event) -> Value {
    let show = &query["show"];
    let prop = show["prop"].as_str().or(show.as_str()).unwrap();
    let value = prop_of(event, prop);
    let Value::Text(text) = &value else { return value };
    let mut shown: String = text
        .chars()
        .take(show["cut"].as_u64().map_or(usize::MAX, |cut| usize::try_from(cut).unwrap()))
        .collect();
    if show["trim"] == true {
        shown = shown.trim_matches(char::is_whitespace).to_owned();
    }
    super::random::text(&shown)
}

fn naive(question: &Question<'_>, events: &[Event]) -> Json {
    let query = question.query;
    let (from, to) = (question.instant("from"), question.instant("to"));
    let mut before = question.matching(events, &query["before"]);
    before.retain(|(time, _)| from.is_none_or(|from| *time >= from) && to.is_none_or(|to| *time < to));
    let of = question.by_actor(question.matching(events, &query["of"]));
    let mut rows: BTreeMap<(Who, Sorted), u64> = BTreeMap::new();
    let mut total = 0;
    for (who, before) in question.by_actor(before) {
        for (time, _) in before {
            total += 1;
            let earlier = of.get(&who).into_iter().flatten().filter(|(other, _)| *other < time);
            // Of events without a key, the one of the greatest value; null is the lowest.
            let place = |(time, event): &&(Instant, &Event)| {
                let value = Sorted(shown(query, event));
                (*time, key(event), value.0 != Value::Null, value)
            };
            let latest = earlier.max_by_key(place);
            let value = latest.map_or(Value::Null, |(_, event)| shown(query, event));
            *rows.entry((who.clone(), Sorted(value))).or_default() += 1;
        }
    }
    let empty = |value: &Sorted| value.0 == Value::Null || value.0 == text("");
    rows.retain(|(_, value), _| query["skip_empty"] != true || !empty(value));
    let mut values: BTreeMap<Sorted, u64> = BTreeMap::new();
    for ((_, value), count) in &rows {
        *values.entry(value.clone()).or_default() += count;
    }
    let mut values: Vec<(Sorted, u64)> = values.into_iter().collect();
    values.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    values.truncate(query["limit"].as_u64().map_or(usize::MAX, |limit| usize::try_from(limit).unwrap()));
    let value = |(value, count): &(Sorted, u64)| json!({"value": value.0.to_json(), "count": count});
    let mut result = json!({"total": total, "values": values.iter().map(value).collect::<Json>()});
    if query["per_actor"] == true {
        let row = |((who, value), count): (&(Who, Sorted), &u64)| {
            let mut row = json!({"actor": who.1.0.to_json(), "value": value.0.to_json(), "count": count});
            if question.tenant.is_none() {
                row["tenant"] = json!(who.0);
            }
            row
        };
        result["actors"] = rows.iter().map(row).collect();
    }
    result
}

#[test]
fn what_precedes_is_what_the_naive_engine_says() {
    hold_against(random_query, naive, |_| {});
}

fn message(receipt: &str, time: &str, kind: &str, place: Option<&str>) -> Event {
    let values = [
        ("card", Value::Int(1)),
        ("receipt", text(receipt)),
        ("at", Value::Timestamp(at(time))),
        ("type", text(kind)),
        ("place", place.map_or(Value::Null, text)),
    ];
    Event { table: "sales", tenant: "a", values: BTreeMap::from(values) }
}

fn values(events: &[Event], more: Json) -> String {
    let mut query = json!({
        "kind": "preceding", "stream": "sales", "before": {"event": "answer"}, "of": {"event": "question"},
        "show": {"prop": "place", "cut": 5, "trim": true},
    });
    query.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = try_ask(&snapshot(&app(), events, 2), Some("a"), &query, at("2025-01-01")).unwrap();
    answer.result()["values"].to_string()
}

#[test]
fn of_simultaneous_questions_that_of_the_highest_key_counts() {
    let check = |first: &str, second: &str, want: &str| {
        let events = [
            message(first, "2024-01-01T00:00:00Z", "question", Some("one")),
            message(second, "2024-01-01T00:00:00Z", "question", Some("two")),
            message("z", "2024-01-01T00:00:01Z", "answer", None),
        ];
        assert_eq!(values(&events, json!({})), format!("[{{\"value\":\"{want}\",\"count\":1}}]"));
    };
    check("q9", "q10", "one");
    check("é", "z", "one");
    // By code point, where UTF-16 would have it the other way.
    check("\u{ffff}", "\u{10000}", "two");
}

#[test]
fn a_question_is_strictly_earlier_and_cut_before_it_is_trimmed() {
    let events = [
        message("a", "2024-01-01T00:00:00Z", "question", Some("\u{a0} ab cdef")),
        message("b", "2024-01-01T00:00:01Z", "answer", None),
        message("c", "2024-01-01T00:00:01Z", "question", Some("      six")),
        message("d", "2024-01-01T00:00:02Z", "answer", None),
        message("e", "2024-01-01T00:00:02Z", "answer", None),
        message("f", "2024-01-01T00:00:03Z", "question", None),
        message("g", "2024-01-01T00:00:04Z", "answer", None),
    ];
    assert_eq!(
        values(&events, json!({})),
        r#"[{"value":"","count":2},{"value":"ab","count":1},{"value":null,"count":1}]"#
    );
    // No fall-back to an earlier question that is not empty.
    assert_eq!(values(&events, json!({"skip_empty": true})), r#"[{"value":"ab","count":1}]"#);
}
