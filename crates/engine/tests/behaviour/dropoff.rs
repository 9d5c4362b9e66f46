use std::collections::{BTreeMap, BTreeSet};

use ebbtide_engine::Outcome;
use ebbtide_model::{Instant, Value};
use serde_json::{Map, Value as Json, json};

use super::driver::hold_against;
use super::oracle::{Question, prop_of};
use super::random::{Random, text};
use super::world::{Event, app, at, data_sets, snapshot, try_ask};

const HOUR: i64 = 3_600_000_000;

pub(crate) fn random_query(random: &mut Random) -> Json {
    let places = json!(["Gare", "", "gare du Nord", "0"]);
    let types = json!(["look", "buy", "Buy"]);
    let (step, next_step, steps) = match random.below(3) {
        0 => ("place", json!(null), places),
        1 => ("event", json!("place"), json!(["look", "Gare", "buy", "gare du Nord"])),
        _ => ("type", json!(random.pick(&["type", "place"])), types),
    };
    let mut entity = random.matcher(&["sales"]);
    if random.one_in(2) {
        entity = json!({"table": "sales"});
    }
    let session = random.pick(&[
        json!("points"),
        json!({"prop": "place", "gap": "6h"}),
        json!({"prop": "day"}),
        json!("receipt"),
        json!("6h"),
        json!(24 * 3_600),
        json!({"gap": "100d"}),
    ]);
    let mut exit = random.matcher(&["sales"]);
    if random.one_in(3) {
        exit = json!({"where": [{"prop": "open", "op": "eq", "value": true}]});
    }
    let latency = random.pick(&[
        json!({}),
        json!({"cost": "cost", "amount": {"prop": "amount", "step": "type"}}),
        json!({"p": "points"}),
    ]);
    let success = if random.one_in(2) { random.pick(steps.as_array().unwrap()) } else { json!(null) };
    let mut query = json!({
        "kind": "dropoff", "entity": entity, "session": session, "step": step, "next_step": next_step,
        "steps": steps, "success": success, "exit": random.pick(&[exit, json!(null)]),
        "idle": random.pick(&["5m", "6h", "30d", "700d"]), "latency": latency,
        "list": random.pick(&["steps", "sessions"]), "limit": random.pick(&[1, 3, 1_000]),
    });
    if random.one_in(3) {
        query["from"] = json!(random.early().to_string());
    }
    if random.one_in(3) {
        query["to"] = json!(at("2024-12-12").to_string());
    }
    if random.one_in(5) {
        query["filters"] = json!([random.filter(0)]);
    }
    if random.one_in(6) {
        query["aggregate_by"] = json!(random.pick(&["place", "points", "open"]));
    }
    query
}

/// Sessions that have ended, by what tells them apart.
pub(crate) fn random_splits(random: &mut Random) -> Json {
    let mut query = random_query(random);
    query["list"] = json!("splits");
    query["days"] = random.pick(&[json!(null), json!(30), json!(200)]);
    let all = [
        ("sort", json!("type")),
        ("pause", json!({"pause": random.pick(&["6h", "30d"]), "then": "new", "else": "again"})),
        ("where", json!("place")),
        (
            "mean",
            json!({"mean": random.pick(&["amount", "cost", "points"]), "at_least": 3, "then": "much", "else": "little"}),
        ),
        ("late", json!({"days": random.pick(&[1, 40]), "then": "late", "else": "early"})),
    ];
    let splits = all.into_iter().filter(|_| random.one_in(2)).map(|(name, split)| (name.to_owned(), split));
    let mut splits: Map<String, Json> = splits.collect();
    splits.insert("place".to_owned(), json!("place"));
    query["splits"] = Json::Object(splits);
    query
}

fn who(query: &Json, event: &Event) -> Value {
    event.value(query["aggregate_by"].as_str().unwrap_or("card")).clone()
}

/// The sessions as lists of events: the events of one list are of one session.
fn sessions<'e>(
    query: &Json,
    mut events: Vec<(Instant, &'e Event)>,
) -> Vec<(String, Vec<(Instant, &'e Event)>)> {
    events.sort_by_key(|(time, _)| *time);
    let session = &query["session"];
    let gap_text = session["gap"].clone();
    let prop = session["prop"].as_str().or(session.as_str()).filter(|name| *name != "6h");
    let gap = match (session, gap_text.as_str()) {
        (_, Some("100d")) => 2_400 * HOUR,
        (_, Some("6h")) => 6 * HOUR,
        (Json::Number(_), _) => 24 * HOUR,
        (Json::String(name), _) if name == "6h" => 6 * HOUR,
        _ => HOUR / 2,
    };
    // By tenant, kind of id and id.
    let mut found: BTreeMap<[String; 3], Vec<(Instant, &Event)>> = BTreeMap::new();
    let mut open: BTreeMap<(String, String), (i64, String)> = BTreeMap::new();
    for (time, event) in events {
        let id = prop.map_or(Value::Null, |prop| prop_of(event, prop)).canonical_text();
        let (kind, id) = if let Some(id) = id {
            ("own", id)
        } else {
            let Some(user) = who(query, event).canonical_text() else { continue };
            let open = open.entry((event.tenant.to_owned(), user.clone())).or_default();
            if open.1.is_empty() || time.micros() - open.0 >= gap {
                open.1 = format!("{user}@{time}");
            }
            open.0 = time.micros();
            ("gap", open.1.clone())
        };
        found.entry([event.tenant.to_owned(), kind.to_owned(), id]).or_default().push((time, event));
    }
    found.into_iter().map(|([_, _, id], events)| (id, events)).collect()
}

struct Walk {
    path: Vec<usize>,
    left: bool,
}

/// The steps that a session's events show, one after the other.
fn walk(question: &Question<'_>, events: &[(Instant, &Event)]) -> Walk {
    let query = question.query;
    let steps = query["steps"].as_array().unwrap();
    let mut walk = Walk { path: Vec::new(), left: false };
    for (_, event) in events {
        let place = |prop: &Json| {
            let value = prop_of(event, prop.as_str()?).to_json();
            steps.iter().position(|step| *step == value && !value.is_null())
        };
        let mut exit = query["exit"].clone();
        walk.left = exit.is_object() && {
            exit["table"] = json!("sales");
            !question.matching(std::slice::from_ref(*event), &exit).is_empty()
        };
        walk.path.extend(place(&query["step"]));
        if !walk.left {
            walk.path.extend(place(&query["next_step"]));
        }
    }
    walk
}

fn span(text: &str) -> i64 {
    match text {
        "5m" => HOUR / 12,
        "6h" => 6 * HOUR,
        "30d" => 720 * HOUR,
        _ => 700 * 24 * HOUR,
    }
}

fn naive(question: &Question<'_>, events: &[Event]) -> Json {
    let query = question.query;
    let (from, to) = (question.instant("from"), question.instant("to"));
    let inside = |time: Instant| from.is_none_or(|from| time >= from) && to.is_none_or(|to| time < to);
    let mut shown = question.matching(events, &query["entity"]);
    shown.retain(|(time, _)| inside(*time));
    let steps = query["steps"].as_array().unwrap();
    let success = steps.iter().position(|step| *step == query["success"]).unwrap_or(steps.len() - 1);
    let idle = span(query["idle"].as_str().unwrap());
    let mut counts = vec![(0, 0, BTreeSet::new()); steps.len()];
    let (mut total, mut converted, mut users) = (0, 0, BTreeSet::new());
    let mut listed = Vec::new();
    for (id, events) in sessions(query, shown.clone()) {
        let Walk { path, left } = walk(question, &events);
        let Some(last_place) = path.last().copied() else { continue };
        total += 1;
        for (index, count) in counts.iter_mut().enumerate() {
            count.0 += i64::from(path.contains(&index));
        }
        for (time, event) in &events {
            let own = walk(question, &[(*time, event)]);
            if let Some(user) = who(query, event).canonical_text() {
                let user = (event.tenant, user);
                users.insert(user.clone());
                own.path.iter().for_each(|step| {
                    counts[*step].2.insert(user.clone());
                });
            }
        }
        let (first, last) = (events[0].0, events.last().unwrap().0);
        let success = path.contains(&success);
        let over = left || question.as_of.micros() - last.micros() >= idle;
        converted += i64::from(success);
        let exited = over && !success;
        counts[last_place].1 += i64::from(exited);
        let mut path: Vec<Json> = path.iter().map(|step| steps[*step].clone()).collect();
        path.dedup();
        let outcome = if success {
            "converted"
        } else if exited {
            "exited"
        } else {
            "active"
        };
        let exit_step = if exited { steps[last_place].clone() } else { Json::Null };
        let tenant = events[0].1.tenant;
        let mut row = json!({
            "session_id": id, "actor": who(query, events[0].1).to_json(), "started_at": first.to_string(),
            "last_event_at": last.to_string(), "path": path, "outcome": outcome, "exit_step": exit_step,
        });
        if question.tenant.is_none() {
            row["tenant"] = json!(tenant);
        }
        listed.push((std::cmp::Reverse(first), id, tenant, row));
    }
    listed.sort_by(|left, right| (left.0, &left.1, left.2).cmp(&(right.0, &right.1, right.2)));
    let exits: i64 = counts.iter().map(|count| count.1).sum();
    let rate = |part: i64, whole: i64| if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 };
    let step = |(index, count): (usize, &(i64, i64, BTreeSet<_>))| {
        json!({
            "step": steps[index], "sessions": count.0, "exits": count.1, "users": count.2.len(),
            "reach_rate": rate(count.0, total), "exit_share": rate(count.1, exits),
            "step_exit_rate": rate(count.1, count.0), "latency": latencies(query, &shown, &steps[index]),
        })
    };
    let mut result = json!({
        "total_sessions": total, "total_users": users.len(), "total_exits": exits, "converted": converted,
        "active": total - exits - converted, "conversion_rate": rate(converted, total),
        "steps": counts.iter().enumerate().map(step).collect::<Json>(),
    });
    if query["list"] == "sessions" {
        let limit = usize::try_from(query["limit"].as_u64().unwrap()).unwrap();
        result["sessions"] = listed.into_iter().take(limit).map(|(_, _, _, row)| row).collect();
    }
    result
}

fn latencies(query: &Json, shown: &[(Instant, &Event)], step: &Json) -> Json {
    let of = |(name, given): (&String, &Json)| {
        let prop = given["prop"].as_str().or(given.as_str()).unwrap();
        let by = given["step"].as_str().or(query["step"].as_str()).unwrap();
        let mut took: Vec<(Instant, Json)> = Vec::new();
        for (time, event) in shown {
            if prop_of(event, by).to_json() == *step && *event.value(prop) != Value::Null {
                took.push((*time, event.value(prop).to_json()));
            }
        }
        // Stable, so of simultaneous ones the later arrival is the later one.
        took.sort_by_key(|(time, _)| *time);
        // No number of these tests has more than nine decimals.
        let units = |number: &Json| (number.as_f64().unwrap() * 1e9).round() as i64;
        let sum: i64 = took.iter().map(|(_, number)| units(number)).sum();
        let avg = if took.is_empty() { json!(null) } else { json!(sum as f64 / took.len() as f64 / 1e9) };
        (name.clone(), json!({"latest": took.last().map(|(_, number)| number), "avg": avg}))
    };
    Json::Object(query["latency"].as_object().unwrap().iter().map(of).collect::<Map<String, Json>>())
}

fn naive_splits(question: &Question<'_>, events: &[Event]) -> Json {
    let query = question.query;
    let (from, to) = (question.instant("from"), question.instant("to"));
    let inside = |time: Instant| from.is_none_or(|from| time >= from) && to.is_none_or(|to| time < to);
    let mut shown = question.matching(events, &query["entity"]);
    shown.retain(|(time, _)| inside(*time));
    let steps = query["steps"].as_array().unwrap();
    let success = steps.iter().position(|step| *step == query["success"]).unwrap_or(steps.len() - 1);
    let idle = span(query["idle"].as_str().unwrap());
    let day = |days: &Json| {
        let today = question.as_of.micros().div_euclid(24 * HOUR);
        days.as_i64().map_or(i64::MIN, |days| (today + 1 - days) * 24 * HOUR)
    };
    let (mut total, mut converted) = (0, 0);
    let splits = query["splits"].as_object().unwrap();
    // By split, then by value: those that are missing last.
    let mut rows: BTreeMap<(usize, u8, String), Vec<(i64, i64)>> = BTreeMap::new();
    for (_, events) in sessions(query, shown.clone()) {
        let path = walk(question, &events).path;
        let (first, last) = (events[0].0.micros(), events.last().unwrap().0.micros());
        if path.is_empty() || question.as_of.micros() - last < idle || first < day(&query["days"]) {
            continue;
        }
        total += 1;
        converted += i64::from(path.contains(&success));
        let owner = (events[0].1.tenant, who(query, events[0].1));
        for (place, split) in splits.values().enumerate() {
            let told = |is_so: bool| (u8::from(!is_so), split[if is_so { "then" } else { "else" }].as_str());
            let (order, value) = if let Some(prop) = split.as_str() {
                let mut values = events.iter().map(|(_, event)| prop_of(event, prop));
                let value = values.find(|value| *value != Value::Null);
                let Some(value) = value else {
                    add(rows.entry((place, 9, String::new())).or_default(), &path, success, steps.len());
                    continue;
                };
                (0, value.canonical_text().unwrap())
            } else {
                let (order, text) = if let Some(pause) = split["pause"].as_str() {
                    let own =
                        |event: &Event| (event.tenant, who(query, event)) == owner && owner.1 != Value::Null;
                    let own = shown.iter().filter(|(time, event)| time.micros() < first && own(event));
                    let before = own.map(|(time, _)| time.micros()).max();
                    told(before.is_none_or(|before| first - before >= span(pause)))
                } else if let Some(prop) = split["mean"].as_str() {
                    let numbers = events.iter().filter_map(|(_, event)| event.value(prop).to_json().as_f64());
                    let numbers: Vec<f64> = numbers.collect();
                    if numbers.is_empty() {
                        add(rows.entry((place, 9, String::new())).or_default(), &path, success, steps.len());
                        continue;
                    }
                    told(numbers.iter().sum::<f64>() / numbers.len() as f64 >= 3.0)
                } else {
                    told(first >= day(&split["days"]))
                };
                (order, text.unwrap().to_owned())
            };
            add(rows.entry((place, order, value)).or_default(), &path, success, steps.len());
        }
    }
    let row = |(value, counts): (&(usize, u8, String), &Vec<(i64, i64)>)| {
        let (place, order, value) = value;
        let name = splits.keys().nth(*place).unwrap();
        let value = if *order == 9 { json!(null) } else { json!(value) };
        let told = counts.iter().enumerate().filter(|(step, count)| *step == steps.len() || count.0 > 0);
        let mut told: Vec<Json> = told
            .map(|(step, (sessions, lost))| {
                json!({
                    "split": name, "value": value, "step": steps.get(step), "sessions": sessions, "lost": lost,
                })
            })
            .collect();
        told.rotate_right(1);
        told
    };
    json!({
        "total_sessions": total, "converted": converted, "splits": rows.iter().flat_map(row).collect::<Json>(),
    })
}

/// A session, at each of its steps but success, and behind those among all.
fn add(counts: &mut Vec<(i64, i64)>, path: &[usize], success: usize, steps: usize) {
    counts.resize(steps + 1, (0, 0));
    for (step, count) in counts.iter_mut().enumerate().take(steps) {
        if step != success && path.contains(&step) {
            count.0 += 1;
            count.1 += i64::from(path.iter().all(|other| *other <= step));
        }
    }
    counts[steps].0 += 1;
    counts[steps].1 += i64::from(!path.contains(&success));
}

#[test]
fn sessions_are_split_as_the_naive_engine_splits_them() {
    hold_against(random_splits, naive_splits, |_| {});
}

#[test]
fn a_dropoff_is_what_the_naive_engine_says() {
    hold_against(random_query, naive, |_| {});
}

pub(crate) fn click(session: Option<i64>, user: i64, time: &str, kind: &str, place: &str) -> Event {
    let values = [
        ("card", Value::Int(user)),
        ("points", session.map_or(Value::Null, Value::Int)),
        ("at", Value::Timestamp(at(time))),
        ("type", text(kind)),
        ("place", text(place)),
        ("receipt", text(&format!("{time}{kind}{place}{user}"))),
    ];
    Event { table: "sales", tenant: "a", values: BTreeMap::from(values) }
}

fn ask(events: &[Event], as_of: &str) -> Json {
    let query = json!({
        "kind": "dropoff", "stream": "sales", "session": "points", "step": "type", "next_step": "place",
        "steps": ["home", "product", "cart", "success"], "exit": {"where": [{"prop": "place", "value": "exit"}]},
        "list": "sessions",
    });
    try_ask(&snapshot(&app(), events, 2), Some("a"), &query, at(as_of)).unwrap().result()
}

fn outcomes(events: &[Event], as_of: &str) -> Vec<String> {
    let rows = ask(events, as_of)["sessions"].clone();
    let outcome = |row: &Json| {
        format!("{} {}", row["outcome"].as_str().unwrap(), row["exit_step"].as_str().unwrap_or("-"))
    };
    rows.as_array().unwrap().iter().map(outcome).collect()
}

#[test]
fn an_idle_session_has_left_where_it_was_and_a_converted_one_never() {
    let check = |events: &[Event], as_of: &str, want: &[&str]| {
        assert_eq!(outcomes(events, as_of), want, "as of {as_of}");
    };
    let walked = [click(Some(1), 1, "2024-01-01T00:00:00Z", "home", "product")];
    check(&walked, "2024-01-01T00:04:59.999999Z", &["active -"]);
    check(&walked, "2024-01-01T00:05:00Z", &["exited product"]);
    let left = [
        click(Some(1), 1, "2024-01-01T00:00:00Z", "home", "product"),
        click(Some(1), 1, "2024-01-01T00:00:01Z", "product", "exit"),
    ];
    check(&left, "2024-01-01T00:00:01Z", &["exited product"]);
    let back = [&left[..], &[click(Some(1), 1, "2024-01-01T00:00:02Z", "home", "cart")]].concat();
    check(&back, "2024-01-01T00:01:00Z", &["active -"]);
    let bought = [
        click(Some(1), 1, "2024-01-01T00:00:00Z", "cart", "success"),
        click(Some(1), 1, "2024-01-01T00:00:01Z", "success", "exit"),
    ];
    check(&bought, "2024-01-02T00:00:00Z", &["converted -"]);
    let elsewhere = [click(Some(1), 1, "2024-01-01T00:00:00Z", "help", "exit")];
    check(&elsewhere, "2024-01-02T00:00:00Z", &[]);
    // Of simultaneous events the later arrival is the last one.
    let tie = [
        click(Some(1), 1, "2024-01-01T00:00:00Z", "home", "cart"),
        click(Some(1), 1, "2024-01-01T00:00:00Z", "home", "exit"),
    ];
    check(&tie, "2024-01-01T00:00:00Z", &["exited home"]);
}

#[test]
fn events_without_a_session_are_one_until_half_an_hour_passes() {
    let events = [
        click(None, 7, "2024-01-01T00:00:00Z", "home", "product"),
        click(None, 7, "2024-01-01T00:29:59Z", "product", "cart"),
        click(Some(1), 7, "2024-01-01T00:30:00Z", "home", "home"),
        click(None, 7, "2024-01-01T00:59:59Z", "home", "home"),
    ];
    let answer = ask(&events, "2024-01-02T00:00:00Z");
    assert_eq!(answer["total_sessions"], 3);
    assert_eq!(answer["total_users"], 1);
    let ids: Vec<&str> = answer["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["session_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["7@2024-01-01T00:59:59Z", "1", "7@2024-01-01T00:00:00Z"]);
    assert_eq!(answer["sessions"][2]["path"], json!(["home", "product", "cart"]));
    let nothing = ask(&[], "2024-01-02T00:00:00Z");
    assert_eq!(nothing["conversion_rate"], 0.0);
    assert_eq!(nothing["steps"][3]["exit_share"], 0.0);
}

fn idle_at(events: &[Event], as_of: Instant) -> (Option<Instant>, u64) {
    let query = json!({
        "kind": "dropoff", "stream": "sales", "session": "points", "step": "type", "next_step": "place",
        "steps": ["home", "product", "cart", "success"], "exit": {"where": [{"prop": "place", "value": "exit"}]},
    });
    let answer = try_ask(&snapshot(&app(), events, 2), Some("a"), &query, as_of).unwrap();
    match answer.outcome {
        Outcome::Dropoff(dropoff) => (dropoff.idle_at, dropoff.active),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_tells_to_the_microsecond_when_time_alone_changes_it() {
    let start = at("2024-01-01T00:00:00Z").micros();
    for seed in 0..data_sets() / 5 {
        let mut random = Random::new(seed);
        let places = ["home", "product", "cart", "success", "exit", "help"];
        let mut events: Vec<Event> = (0..random.below(30))
            .map(|_| {
                let time = Instant::from_micros(start + random.below(900) as i64 * 1_000_000).to_string();
                let session = Some(random.below(6) as i64).filter(|session| *session > 0);
                let user = random.below(3) as i64;
                click(
                    session,
                    user,
                    &time,
                    places[random.below(3) as usize],
                    places[random.below(6) as usize],
                )
            })
            .collect();
        let mut as_of = Instant::from_micros(start + random.below(900) as i64 * 1_000_000);
        events.retain(|event| matches!(event.value("at"), Value::Timestamp(time) if *time <= as_of));
        let result = |as_of: Instant| ask(&events, &as_of.to_string());
        while let (Some(idle), active) = idle_at(&events, as_of) {
            assert!(idle > as_of, "{idle} as of {as_of}");
            let before = Instant::from_micros(idle.micros() - 1);
            assert_eq!(result(as_of), result(before), "from {as_of} to {before}");
            assert!(idle_at(&events, idle).1 < active, "at {idle}");
            as_of = idle;
        }
        assert_eq!(idle_at(&events, as_of).1, 0, "as of {as_of} nobody is left who could become idle");
    }
}
