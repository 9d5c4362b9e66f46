use std::collections::{BTreeMap, BTreeSet};

use ebbtide_model::{Instant, Value};
use serde_json::{Value as Json, json};

use super::driver::hold_against;
use super::oracle::{Question, Sorted, Who, prop_of};
use super::random::Random;
use super::world::{Event, app, at, snapshot, try_ask};

fn random_query(random: &mut Random) -> Json {
    let tables: &[&str] =
        random.pick(&[&["sales", "sales", "sales", "cards"][..], &["sales", "sales", "cards"], &["views"]]);
    let on_sales = |matcher: &Json| matcher["table"] == "sales";
    let (start, back) = (random.matcher(tables), random.matcher(tables));
    let from = random.early().to_string();
    let mut query = json!({
        "kind": "retention", "start": start, "return": back,
        "type": random.pick(&["recurring", "first_time"]),
        "period": random.pick(&["day", "day", "day", "week", "week", "month", "hour", "quarter", "year"]),
        "periods": random.pick(&[1, 3, 9, 20]),
        "from": random.pick(&[json!(null), json!(from), json!(from), json!(from)]),
        "tz": random.zone(), "week_start": random.pick(&["monday", "sunday"]),
        "min_occurrences": random.pick(&[1, 1, 1, 2]),
        "cumulative": random.one_in(4), "cell_zero": random.pick(&["size", "size", "returned"]),
        "list_actors": true,
    });
    if random.one_in(3) {
        query["columns"] = json!(random.pick(&[1, 3, 20]));
    }
    if ["day", "week", "month"].contains(&query["period"].as_str().unwrap()) && random.one_in(3) {
        query["window"] = json!("rolling");
    }
    if random.one_in(3) {
        let prop = if start["table"] == "cards" { "tier" } else { "place" };
        query["breakdown"] = json!({"prop": prop});
    }
    if on_sales(&start) && on_sales(&back) {
        if random.one_in(6) {
            query["filters"] = json!([random.filter(0)]);
        }
        if random.one_in(5) {
            query["aggregate_by"] = json!(random.pick(&["place", "points", "cost", "open", "day", "amount"]));
        }
    }
    query
}

/// An actor in a row: when it starts there, and the group that puts it in.
struct Membership {
    who: Who,
    row: usize,
    start: Instant,
    group: Sorted,
}

struct Naive<'a> {
    question: &'a Question<'a>,
    starts: Vec<Instant>,
    columns: usize,
    /// Where each event's time is, if it is in a row's own period.
    rows_by_time: BTreeMap<Instant, usize>,
    returns: BTreeMap<Who, Vec<Instant>>,
}

impl Naive<'_> {
    fn row_of(&self, time: Instant) -> Option<usize> {
        self.rows_by_time.get(&time).copied()
    }

    fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    fn memberships(&self, events: &[Event]) -> Vec<Membership> {
        let query = self.question.query;
        let found = self.question.matching(events, &query["start"]);
        let mut memberships = Vec::new();
        for (who, mut own) in self.question.by_actor(found) {
            own.sort_by_key(|(time, _)| *time);
            let first = own[0].0;
            let mut rows: BTreeSet<usize> = BTreeSet::new();
            if query["type"] == "first_time" {
                rows.extend(self.row_of(first));
            } else {
                rows.extend(own.iter().filter_map(|(time, _)| self.row_of(*time)));
            }
            for row in rows {
                let within = || own.iter().filter(|(time, _)| self.row_of(*time) == Some(row));
                let start = within().map(|(time, _)| *time).min().unwrap();
                let prop = query["breakdown"]["prop"].as_str().unwrap_or("at");
                let value = |(_, event): &(Instant, &Event)| Sorted(prop_of(event, prop));
                let group = within().filter(|(time, _)| *time == start).map(value).min().unwrap();
                memberships.push(Membership { who: who.clone(), row, start, group });
            }
        }
        memberships
    }

    fn rolling(&self) -> Option<i64> {
        let days = match self.question.query["period"].as_str().unwrap() {
            "week" => 7,
            "month" => 30,
            _ => 1,
        };
        (self.question.query["window"] == "rolling").then_some(days * 86_400_000_000)
    }

    /// How many return events an actor has in its k-th period.
    fn returned(&self, member: &Membership, k: usize) -> usize {
        let times = self.returns.get(&member.who).map_or(&[][..], Vec::as_slice);
        let counts = |time: &&Instant| match self.rolling() {
            None => self.row_of(**time) == Some(member.row + k),
            Some(period) => {
                let elapsed = time.micros() - member.start.micros();
                let (from, to) = (period * k as i64, period * (k as i64 + 1));
                from <= elapsed && elapsed < to
            }
        };
        times.iter().filter(counts).count()
    }

    fn in_cell(&self, member: &Membership, k: usize) -> bool {
        let query = self.question.query;
        let enough = usize::try_from(query["min_occurrences"].as_u64().unwrap()).unwrap();
        if k == 0 {
            return query["cell_zero"] != "returned" || self.returned(member, 0) > 0;
        }
        let last = if query["cumulative"] == true { self.rows() - member.row } else { k + 1 };
        (k..last).any(|k| self.returned(member, k) >= enough)
    }

    fn span(&self, row: usize, k: usize) -> (i64, i64) {
        match self.rolling() {
            None => (self.starts[row + k].micros(), self.starts[row + k + 1].micros()),
            Some(period) => {
                let k = k as i64;
                (self.starts[row].micros() + k * period, self.starts[row + 1].micros() - 1 + (k + 1) * period)
            }
        }
    }

    fn grid(&self, members: &[&Membership]) -> Json {
        let as_of = self.question.as_of.micros();
        let (mut sizes, mut matrix, mut complete) = (Vec::new(), Vec::new(), Vec::new());
        let (mut percent, mut listed) = (Vec::new(), Vec::new());
        for row in 0..self.rows() {
            let own: Vec<&&Membership> = members.iter().filter(|member| member.row == row).collect();
            let begun = self.starts[row].micros() <= as_of;
            sizes.push(if begun { json!(own.len()) } else { Json::Null });
            let cells = self.columns.min(self.rows() - row);
            let count = |k: usize| {
                let found = own.iter().filter(|member| self.in_cell(member, k)).count();
                if self.span(row, k).0 <= as_of { json!(found) } else { Json::Null }
            };
            let counts: Vec<Json> = (0..cells).map(count).collect();
            let share = |count: &Json| match count.as_f64() {
                Some(count) if !own.is_empty() => json!(100.0 * count / own.len() as f64),
                _ => Json::Null,
            };
            percent.push(counts.iter().map(share).collect::<Json>());
            complete.push((0..cells).map(|k| self.span(row, k).1 <= as_of).collect::<Json>());
            matrix.push(Json::Array(counts));
            let mut names: Vec<&Who> = own.iter().map(|member| &member.who).collect();
            names.sort();
            listed.push(names.into_iter().map(|who| self.question.who_json(who)).collect::<Json>());
        }
        json!({"sizes": sizes, "matrix": matrix, "percent": percent, "complete": complete, "members": listed})
    }
}

fn naive(question: &Question<'_>, events: &[Event]) -> Json {
    let query = question.query;
    let (calendar, unit) = (question.calendar(), question.unit("period"));
    let rows = query["periods"].as_i64().unwrap();
    let from = question.instant("from").unwrap_or_else(|| calendar.advance(unit, question.as_of, 1 - rows));
    let mut starts = vec![calendar.floor(unit, from)];
    for _ in 0..rows {
        starts.push(calendar.advance(unit, *starts.last().unwrap(), 1));
    }
    let columns = usize::try_from(query["columns"].as_i64().unwrap_or(rows)).unwrap();
    let found = question.matching(events, &query["return"]);
    let first = starts[0];
    let times = |own: Vec<(Instant, &Event)>| {
        own.iter().map(|(time, _)| *time).filter(|time| *time >= first).collect()
    };
    let returns = question.by_actor(found).into_iter().map(|(who, own)| (who, times(own))).collect();
    let mut rows_by_time = BTreeMap::new();
    for event in events {
        if let Value::Timestamp(time) = *event.value("at") {
            let period = calendar.floor(unit, time);
            let row = starts[..starts.len() - 1].iter().position(|start| *start == period);
            row.map(|row| rows_by_time.insert(time, row));
        }
    }
    let naive = Naive { question, starts, columns, rows_by_time, returns };
    let memberships = naive.memberships(events);
    let mut result = naive.grid(&memberships.iter().collect::<Vec<_>>());
    if query["breakdown"].is_object() {
        let values: BTreeSet<&Sorted> = memberships.iter().map(|member| &member.group).collect();
        let mut groups: Vec<(usize, Json)> = Vec::new();
        for value in values {
            let members: Vec<&Membership> =
                memberships.iter().filter(|member| member.group == *value).collect();
            let mut grid = naive.grid(&members);
            grid.as_object_mut().unwrap().remove("members");
            grid["value"] = value.0.to_json();
            groups.push((members.len(), grid));
        }
        groups.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
        result["groups"] = groups.into_iter().map(|(_, grid)| grid).collect();
    }
    result["mean_pooled"] = means(&result, true);
    result["mean_simple"] = means(&result, false);
    result
}

fn means(result: &Json, pooled: bool) -> Json {
    let columns = result["matrix"][0].as_array().unwrap().len();
    let mut means = Vec::new();
    for k in 0..columns {
        let (mut above, mut below) = (0.0, 0.0);
        for (row, cells) in result["matrix"].as_array().unwrap().iter().enumerate() {
            if result["complete"][row][k] != true {
                continue;
            }
            let (count, size) = (cells[k].as_f64().unwrap(), result["sizes"][row].as_f64().unwrap());
            if pooled {
                above += count;
                below += size;
            } else if size > 0.0 {
                above += count / size;
                below += 1.0;
            }
        }
        means.push(if below > 0.0 { json!(100.0 * above / below) } else { Json::Null });
    }
    Json::Array(means)
}

#[test]
fn retention_is_what_the_naive_engine_says() {
    hold_against(random_query, naive, |answer| assert!(answer.meta.complete));
}

#[test]
fn the_order_and_number_of_parts_change_no_byte() {
    let app = app();
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let mut events = random.events();
        let query = random_query(&mut random);
        let one = try_ask(&snapshot(&app, &events, 1), None, &query, at("2025-01-01")).unwrap();
        events.reverse();
        let other = try_ask(&snapshot(&app, &events, 4), None, &query, at("2025-01-01")).unwrap();
        assert_eq!(one.result().to_string(), other.result().to_string(), "{query}");
        assert_eq!(one.meta.definition, other.meta.definition);
    }
}

#[test]
fn a_share_is_exact_until_it_is_rounded() {
    let event = |card: i64, time: &str| Event {
        table: "sales",
        tenant: "a",
        values: BTreeMap::from([("card", Value::Int(card)), ("at", Value::Timestamp(at(time)))]),
    };
    let mut events: Vec<Event> = (0..8).map(|card| event(card, "2024-01-10T00:00:00Z")).collect();
    events.push(event(3, "2024-02-10T00:00:00Z"));
    let snapshot = snapshot(&app(), &events, 1);
    let ask = |as_of: &str| {
        let query = json!({
            "kind": "retention", "stream": "sales", "period": "month", "periods": 3, "from": "2024-01-01",
        });
        try_ask(&snapshot, Some("a"), &query, at(as_of)).unwrap()
    };
    let answer = ask("2024-04-01");
    let ebbtide_engine::Outcome::Retention(retention) = &answer.outcome else { panic!("{answer:?}") };
    let row = &retention.all.rows[0];
    assert_eq!((row.label.as_str(), row.size), ("2024-01", Some(8)));
    assert_eq!(row.percent(1).unwrap().rounded(0).to_i64(), Some(13), "12.5 is rounded away from zero");
    assert_eq!(row.percent(1).unwrap().to_f64(), 12.5);
    assert_eq!(answer.result()["mean_pooled"][1], json!(100.0 / 9.0));
    assert_eq!(answer.result()["mean_simple"][1], json!(6.25));
    let early = ask("2024-02-29T23:59:59.999999Z").result();
    assert_eq!(early["complete"], json!([[true, false, false], [false, false], [false]]));
    assert_eq!(early["matrix"], json!([[8, 1, null], [1, null], [null]]));
    assert_eq!(early["sizes"], json!([8, 1, null]));
}
