use std::collections::{BTreeMap, BTreeSet};

use ebbtide_model::{Instant, Value};
use serde_json::{Value as Json, json};

use super::driver::hold_against;
use super::oracle::{Question, Sorted, Who, prop_of};
use super::random::Random;
use super::world::{Event, app, at, data_sets, snapshot, try_ask};

fn random_query(random: &mut Random) -> Json {
    let tables: &[&str] = if random.one_in(6) { &["views"] } else { &["sales", "sales", "sales", "cards"] };
    let steps: Vec<Json> = (0..random.pick(&[1, 2, 2, 3, 3, 4]))
        .map(|_| {
            let mut step = random.matcher(tables);
            step["first_time"] =
                random.pick(&[json!(null), json!(null), json!(null), json!("ever"), json!("matching")]);
            step
        })
        .collect();
    let last = steps.len() as u64 - 1;
    let order = random.pick(&["ordered", "ordered", "strict", "unordered"]);
    let mut query = json!({
        "kind": "funnel", "order": order, "window": random.pick(&[1, 3_600, 86_400, 604_800, 5_000_000]),
        "count_all_actors": random.one_in(3), "list_actors": random.one_in(2), "tz": random.zone(),
    });
    if last > 0 && random.one_in(3) {
        let mut exclusion = random.matcher(tables);
        if order != "unordered" {
            let after = random.below(last);
            exclusion["after"] = json!(after);
            exclusion["before"] = json!(after + 1 + random.below(last - after));
        }
        query["exclusions"] = json!([exclusion]);
    }
    if last > 0 && random.one_in(3) {
        let from = random.below(last);
        query["time_between"] = json!([from, from + 1 + random.below(last - from)]);
    }
    let all_sales = steps.iter().all(|step| step["table"] == "sales")
        && query["exclusions"].as_array().is_none_or(|list| list[0]["table"] == "sales");
    if random.one_in(2) {
        let props = if tables[0] == "views" {
            random.pick(&[json!(["place"]), json!(["event", "place"])])
        } else if steps.iter().any(|step| step["table"] == "sales") {
            random.pick(&[
                json!(["place"]),
                json!(["open", "points"]),
                json!(["amount"]),
                json!(["place", "event"]),
            ])
        } else {
            json!(["tier"])
        };
        let step = random.below(last + 1);
        let attribution = random.pick(&[
            json!("first_touch"),
            json!("last_touch"),
            json!("all_events"),
            json!({"step": step}),
            json!(null),
        ]);
        query["breakdown"] = json!({"props": props, "attribution": attribution, "limit": random.pick(&[json!(null), json!(2)])});
    }
    let (from, to) = (random.early(), random.instant());
    if random.one_in(2) {
        query["from"] = json!(from.to_string());
        if from < to {
            query["to"] = json!(to.to_string());
        }
    }
    if random.one_in(3) {
        query["viz"] = json!("trends");
        query["interval"] = json!(random.pick(&["day", "week", "month"]));
        let from_step = random.below(last + 1);
        query["from_step"] = json!(from_step);
        query["to_step"] = json!(from_step + random.below(last + 1 - from_step));
    }
    if all_sales && random.one_in(6) {
        query["filters"] = json!([random.filter(0)]);
    }
    if all_sales && random.one_in(5) {
        query["aggregate_by"] = json!(random.pick(&["place", "points", "open"]));
    }
    query["steps"] = json!(steps);
    query
}

/// An event in a trail: when, the order of its arrival, the steps that it can serve, whether it is an
/// exclusion's, and its values of the breakdown.
#[derive(Clone, Debug)]
struct Moment {
    time: i64,
    arrival: usize,
    steps: Vec<bool>,
    excluded: Vec<bool>,
    group: Vec<Sorted>,
}

/// Whether each of the steps can have an event of its own (Hall's condition).
fn all_served(steps: &[usize], events: &[&Moment]) -> bool {
    (1_u32..1 << steps.len()).all(|subset| {
        let chosen: Vec<usize> = steps
            .iter()
            .enumerate()
            .filter(|(bit, _)| subset & (1 << bit) != 0)
            .map(|(_, step)| *step)
            .collect();
        events.iter().filter(|event| chosen.iter().any(|step| event.steps[*step])).count() >= chosen.len()
    })
}

/// How many of the steps can have an event of their own.
fn most_served(steps: usize, events: &[&Moment]) -> usize {
    let subsets = 0_u32..1 << steps;
    let size = |subset: &u32| subset.count_ones() as usize;
    let whole = |subset: &u32| {
        let chosen: Vec<usize> = (0..steps).filter(|step| subset & (1 << step) != 0).collect();
        all_served(&chosen, events)
    };
    subsets.filter(whole).map(|subset| size(&subset)).max().unwrap()
}

struct Naive<'q> {
    query: &'q Json,
    steps: usize,
    window: i64,
}

/// When each step was reached, and the moments that begin it.
struct Attempt {
    times: Vec<i64>,
    start: usize,
}

impl Naive<'_> {
    fn ordered(&self, trail: &[Moment], start: usize) -> Vec<i64> {
        let begun = trail[start].time;
        let mut reached = vec![Some(begun)];
        reached.resize(self.steps, None);
        let mut depths = BTreeSet::from([1]);
        let times: BTreeSet<i64> = trail.iter().map(|moment| moment.time).collect();
        for time in times.range(begun..=begun.saturating_add(self.window)) {
            let here =
                trail.iter().enumerate().filter(|(index, moment)| moment.time == *time && *index != start);
            let here: Vec<&Moment> = here.map(|(_, moment)| moment).collect();
            for depth in depths.clone() {
                for further in depth + 1..=self.steps {
                    if all_served(&(depth..further).collect::<Vec<_>>(), &here) {
                        depths.insert(further);
                        reached[further - 1].get_or_insert(*time);
                    }
                }
            }
        }
        reached.into_iter().map_while(|time| time).collect()
    }

    fn strict(&self, trail: &[Moment], start: usize) -> Vec<i64> {
        let follows = |(step, moment): (usize, &Moment)| {
            (moment.steps[step] && moment.time - trail[start].time <= self.window).then_some(moment.time)
        };
        trail[start..].iter().take(self.steps).enumerate().map_while(follows).collect()
    }

    fn unordered(&self, trail: &[Moment], start: usize) -> Vec<i64> {
        let begun = trail[start].time;
        let mut times = Vec::new();
        for end in trail.iter().map(|moment| moment.time).collect::<BTreeSet<_>>() {
            if end < begun || end - begun > self.window {
                continue;
            }
            let within: Vec<&Moment> =
                trail.iter().filter(|moment| begun <= moment.time && moment.time <= end).collect();
            times.resize(most_served(self.steps, &within), end);
        }
        times
    }

    fn is_void(&self, trail: &[Moment], times: &[i64]) -> bool {
        let exclusions = self.query["exclusions"].as_array().cloned().unwrap_or_default();
        exclusions.iter().enumerate().any(|(index, exclusion)| {
            let step = |name: &str, default: usize| {
                exclusion[name].as_u64().map_or(default, |step| usize::try_from(step).unwrap())
            };
            let (after, before) = (step("after", 0), step("before", self.steps - 1));
            let Some(first) = times.get(after) else { return false };
            trail.iter().filter(|moment| moment.excluded[index] && moment.time > *first).any(|moment| {
                match times.get(before) {
                    Some(reached) => moment.time < *reached,
                    None => moment.time - times[0] <= self.window,
                }
            })
        })
    }

    /// Of one actor, in order of time and arrival.
    fn attempts(&self, trail: &[Moment]) -> Vec<Attempt> {
        let serving: Vec<Moment> =
            trail.iter().filter(|moment| moment.steps.contains(&true)).cloned().collect();
        let order = self.query["order"].as_str().unwrap();
        let line = if order == "strict" { trail } else { &serving };
        let mut attempts = Vec::new();
        for start in 0..line.len() {
            let times = match order {
                "ordered" if line[start].steps[0] => self.ordered(line, start),
                "strict" => self.strict(line, start),
                "unordered" => self.unordered(line, start),
                _ => continue,
            };
            if !times.is_empty() && !self.is_void(trail, &times) {
                attempts.push(Attempt { times, start });
            }
        }
        attempts
    }

    fn best<'a>(&self, attempts: &'a [Attempt]) -> Option<&'a Attempt> {
        attempts.iter().min_by_key(|attempt| (self.steps - attempt.times.len(), attempt.times.clone()))
    }

    /// The group that an actor is in.
    fn group(&self, trail: &[Moment], best: &Attempt) -> Vec<Sorted> {
        let missing = |group: &[Sorted]| {
            group.iter().all(|value| value.0 == Value::Null || value.0 == super::random::text(""))
        };
        let attribution = &self.query["breakdown"]["attribution"];
        let serving: Vec<&Moment> = trail.iter().filter(|moment| moment.steps.contains(&true)).collect();
        let touched = serving.iter().filter(|moment| !missing(&moment.group));
        let null = || vec![Sorted(Value::Null); self.query["breakdown"]["props"].as_array().unwrap().len()];
        let found = match (attribution.as_str(), attribution["step"].as_u64()) {
            (Some("last_touch"), _) => touched
                .min_by_key(|moment| (std::cmp::Reverse(moment.time), moment.group.clone()))
                .map(|moment| moment.group.clone()),
            (_, Some(step)) => {
                let step = usize::try_from(step).unwrap();
                let at = |time: i64| {
                    let here = serving.iter().filter(|moment| moment.time == time && moment.steps[step]);
                    here.map(|moment| moment.group.clone()).min()
                };
                let begun = best.times[0];
                match self.query["order"].as_str().unwrap() {
                    "ordered" => best.times.get(step).and_then(|time| at(*time)),
                    "strict" => best.times.get(step).map(|_| trail[best.start + step].group.clone()),
                    _ => {
                        let after =
                            serving.iter().filter(|moment| moment.time >= begun && moment.steps[step]);
                        let time = after.map(|moment| moment.time).min();
                        time.filter(|time| time - begun <= self.window).and_then(at)
                    }
                }
            }
            _ => touched
                .min_by_key(|moment| (moment.time, moment.group.clone()))
                .map(|moment| moment.group.clone()),
        };
        found.unwrap_or_else(null)
    }
}

/// What is counted: of each actor its attempts, and the deepest of them.
#[derive(Default)]
struct Tally {
    best: Vec<Vec<i64>>,
    /// The first and the depth of every attempt.
    attempts: Vec<Vec<(i64, usize)>>,
}

impl Tally {
    fn add(&mut self, best: &Attempt, attempts: &[Attempt]) {
        self.best.push(best.times.clone());
        self.attempts.push(attempts.iter().map(|attempt| (attempt.times[0], attempt.times.len())).collect());
    }

    fn json(&self, question: &Question<'_>, steps: usize, buckets: &[(Instant, i64, i64)]) -> Json {
        let query = question.query;
        if query["viz"] == "trends" {
            let reach = |step: &Json| {
                let step = usize::try_from(step.as_u64().unwrap()).unwrap();
                let count = |(start, from, to): &(Instant, i64, i64)| {
                    let within = |(time, depth): &(i64, usize)| from <= time && time < to && *depth > step;
                    let actors = self.attempts.iter().filter(|attempts| attempts.iter().any(within));
                    if *start <= question.as_of { json!(actors.count()) } else { Json::Null }
                };
                buckets.iter().map(count).collect::<Json>()
            };
            return json!({"entered": reach(&query["from_step"]), "converted": reach(&query["to_step"])});
        }
        let counts: Vec<usize> =
            (0..steps).map(|step| self.best.iter().filter(|times| times.len() > step).count()).collect();
        let spans = |from: usize, to: usize| -> Vec<i64> {
            let mut spans: Vec<i64> =
                self.best.iter().filter_map(|times| Some(times.get(to)? - times.get(from)?)).collect();
            spans.sort_unstable();
            spans
        };
        let mean = |spans: Vec<i64>| {
            let sum: i64 = spans.iter().sum();
            if spans.is_empty() { Json::Null } else { json!(sum as f64 / spans.len() as f64 / 1e6) }
        };
        let median = |spans: Vec<i64>| match spans.len() {
            0 => Json::Null,
            len => json!((spans[(len - 1) / 2] + spans[len / 2]) as f64 / 2e6),
        };
        let by_step = |of: &dyn Fn(Vec<i64>) -> Json| {
            (0..steps)
                .map(|step| if step == 0 { Json::Null } else { of(spans(step - 1, step)) })
                .collect::<Json>()
        };
        let mut json =
            json!({"counts": counts, "avg_seconds": by_step(&mean), "median_seconds": by_step(&median)});
        if let Some(between) = query["time_between"].as_array() {
            let step = |index: usize| usize::try_from(between[index].as_u64().unwrap()).unwrap();
            json["avg_between_seconds"] = mean(spans(step(0), step(1)));
        }
        json
    }
}

/// Start, and what is counted: from, until (exclusive).
fn buckets(question: &Question<'_>) -> Vec<(Instant, i64, i64)> {
    if question.query["viz"] != "trends" {
        return Vec::new();
    }
    let (calendar, unit) = (question.calendar(), question.unit("interval"));
    let to = question.instant("to").map_or(question.as_of.micros() + 1, Instant::micros);
    let last = Instant::from_micros(to - 1);
    let from = question.instant("from").unwrap_or_else(|| calendar.advance(unit, last, -29));
    let mut buckets = Vec::new();
    let mut start = calendar.floor(unit, from);
    while start.micros() < to && from.micros() < to {
        let next = calendar.advance(unit, start, 1);
        buckets.push((start, start.micros().max(from.micros()), next.micros().min(to)));
        start = next;
    }
    buckets
}

/// Every actor's events in order, inside the range.
fn trails(question: &Question<'_>, events: &[Event], since: i64) -> BTreeMap<Who, Vec<Moment>> {
    let query = question.query;
    let (steps, none) = (query["steps"].as_array().unwrap(), Vec::new());
    let exclusions = query["exclusions"].as_array().unwrap_or(&none);
    let tables: BTreeSet<&str> =
        steps.iter().chain(exclusions).map(|matcher| matcher["table"].as_str().unwrap()).collect();
    let any = |table: &&str| question.matching(events, &json!({"table": table}));
    let all = question.by_actor(tables.iter().flat_map(any).collect());
    let matched = |matcher: &Json| -> BTreeSet<*const Event> {
        question.matching(events, matcher).iter().map(|(_, event)| std::ptr::from_ref(*event)).collect()
    };
    let step_matches: Vec<_> = steps.iter().map(matched).collect();
    let name_matches: Vec<_> =
        steps.iter().map(|step| matched(&json!({"table": step["table"], "event": step["event"]}))).collect();
    let exclusion_matches: Vec<_> = exclusions.iter().map(matched).collect();
    let to = question.instant("to").map_or(i64::MAX, Instant::micros);
    let mut trails = BTreeMap::new();
    for (who, own) in all {
        let arrival = |event: &Event| events.iter().position(|other| std::ptr::eq(other, event)).unwrap();
        // A strict order has one first event; else each of the earliest instant is.
        let place = |(time, event): &(Instant, &Event)| {
            (time.micros(), if query["order"] == "strict" { arrival(event) } else { 0 })
        };
        let first = |of: &BTreeSet<*const Event>| {
            let found = own.iter().filter(|(_, event)| of.contains(&std::ptr::from_ref(*event)));
            found.map(place).min()
        };
        let mut trail: Vec<Moment> = Vec::new();
        for own in &own {
            let (time, event) = own;
            let is = |of: &BTreeSet<*const Event>| of.contains(&std::ptr::from_ref(*event));
            let time = time.micros();
            if time < since || time >= to {
                continue;
            }
            let serves = |step: usize| {
                let first_time = match steps[step]["first_time"].as_str() {
                    Some("ever") => first(&name_matches[step]) == Some(place(own)),
                    Some(_) => first(&step_matches[step]) == Some(place(own)),
                    None => true,
                };
                is(&step_matches[step]) && first_time
            };
            let props = query["breakdown"]["props"].as_array().cloned().unwrap_or_default();
            trail.push(Moment {
                time,
                arrival: arrival(event),
                steps: (0..steps.len()).map(serves).collect(),
                excluded: exclusion_matches.iter().map(is).collect(),
                group: props.iter().map(|prop| Sorted(group_value(event, prop.as_str().unwrap()))).collect(),
            });
        }
        trail.sort_by_key(|moment| (moment.time, moment.arrival));
        trails.insert(who, trail);
    }
    trails
}

/// `event` is the name of a column of no table, so it is that of the event; a card has none, and nothing
/// else has a tier.
fn group_value(event: &Event, prop: &str) -> Value {
    if (event.table == "cards") != (prop == "tier") { Value::Null } else { prop_of(event, prop) }
}

fn naive(question: &Question<'_>, events: &[Event]) -> Json {
    let query = question.query;
    let steps = query["steps"].as_array().unwrap().len();
    let buckets = buckets(question);
    let window = query["window"].as_i64().unwrap() * Instant::MICROS_PER_SECOND;
    let naive = Naive { query, steps, window };
    let from = question.instant("from").map_or(i64::MIN, Instant::micros);
    let since =
        if query["viz"] == "trends" { buckets.first().map_or(i64::MAX, |first| first.1) } else { from };
    let (mut all, mut all_actors) = (Tally::default(), 0);
    let mut groups: BTreeMap<Vec<Sorted>, Tally> = BTreeMap::new();
    let mut at_step = vec![Vec::new(); steps];
    for (who, trail) in trails(question, events, since) {
        all_actors += usize::from(!trail.is_empty());
        let attempts = naive.attempts(&trail);
        if let Some(best) = naive.best(&attempts) {
            all.add(best, &attempts);
            at_step.iter_mut().take(best.times.len()).for_each(|step| step.push(question.who_json(&who)));
            if query["breakdown"].is_object() && query["breakdown"]["attribution"] != "all_events" {
                groups.entry(naive.group(&trail, best)).or_default().add(best, &attempts);
            }
        }
        if query["breakdown"]["attribution"] == "all_events" {
            let serving = trail.iter().filter(|moment| moment.steps.contains(&true));
            for group in serving.map(|moment| moment.group.clone()).collect::<BTreeSet<_>>() {
                let apart: Vec<Moment> =
                    trail.iter().filter(|moment| moment.group == group).cloned().collect();
                let attempts = naive.attempts(&apart);
                if let Some(best) = naive.best(&attempts) {
                    groups.entry(group).or_default().add(best, &attempts);
                }
            }
        }
    }
    let mut result = all.json(question, steps, &buckets);
    if query["viz"] == "trends" {
        result["starts"] = buckets.iter().map(|(start, _, _)| json!(start.to_string())).collect();
        result["complete"] = buckets.iter().map(|(_, _, to)| json!(*to <= question.as_of.micros())).collect();
    }
    if query["list_actors"] == true {
        result["actors_at_step"] = json!(at_step);
    }
    if query["count_all_actors"] == true {
        result["all_actors"] = json!(all_actors);
    }
    if query["breakdown"].is_object() {
        let mut groups: Vec<(Vec<Sorted>, Tally)> = groups.into_iter().collect();
        groups.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.best.len()));
        groups.truncate(
            query["breakdown"]["limit"].as_u64().map_or(usize::MAX, |limit| usize::try_from(limit).unwrap()),
        );
        let group = |(value, tally): &(Vec<Sorted>, Tally)| {
            let mut json = tally.json(question, steps, &buckets);
            json["value"] = value.iter().map(|value| value.0.to_json()).collect();
            json
        };
        result["groups"] = groups.iter().map(group).collect();
    }
    result
}

#[test]
fn a_funnel_is_what_the_naive_engine_says() {
    hold_against(random_query, naive, |_| {});
}

#[test]
fn the_order_and_number_of_parts_change_no_byte() {
    let app = app();
    for seed in 0..data_sets() / 5 {
        let mut random = Random::new(seed);
        let mut events = random.events();
        let query = random_query(&mut random);
        if query["order"] == "strict" {
            continue;
        }
        let one = try_ask(&snapshot(&app, &events, 1), None, &query, at("2024-12-01")).unwrap();
        events.reverse();
        let other = try_ask(&snapshot(&app, &events, 4), None, &query, at("2024-12-01")).unwrap();
        assert_eq!(one.result().to_string(), other.result().to_string(), "{query}");
    }
}

fn did(name: &str, seconds: i64) -> Event {
    let time = Instant::from_micros(at("2024-01-01").micros() + seconds * Instant::MICROS_PER_SECOND);
    let values =
        [("card", Value::Int(1)), ("at", Value::Timestamp(time)), ("type", super::random::text(name))];
    Event { table: "sales", tenant: "a", values: BTreeMap::from(values) }
}

fn counts(events: &[Event], more: Json) -> String {
    let mut query = json!({"kind": "funnel", "stream": "sales", "window": 100});
    query.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = try_ask(&snapshot(&app(), events, 2), Some("a"), &query, at("2024-02-01")).unwrap();
    answer.result()["counts"].to_string()
}

#[test]
fn one_event_serves_one_step_and_simultaneous_ones_whichever_helps() {
    let steps = json!([{"event": "a"}, {"event": null}, {"event": "a"}]);
    let check = |events: &[Event], want: &str| assert_eq!(counts(events, json!({"steps": steps})), want);
    check(&[did("a", 0)], "[1,0,0]");
    check(&[did("a", 0), did("a", 0)], "[1,1,0]");
    check(&[did("a", 0), did("a", 0), did("b", 0)], "[1,1,1]");
    check(&[did("b", 0), did("a", 0), did("a", 5)], "[1,1,1]");
}

#[test]
fn the_window_is_inclusive_and_from_the_first_step() {
    let steps = json!([{"event": "a"}, {"event": "b"}, {"event": "c"}]);
    let check = |last: i64, want: &str| {
        let events = [did("a", 0), did("b", 60), did("c", last)];
        assert_eq!(counts(&events, json!({"steps": steps})), want, "{last}");
    };
    check(100, "[1,1,1]");
    check(101, "[1,1,0]");
}

#[test]
fn an_exclusion_voids_the_whole_attempt() {
    let check = |events: &[Event], exclusion: Json, want: &str| {
        let steps = json!([{"event": "a"}, {"event": "b"}, {"event": "c"}]);
        assert_eq!(counts(events, json!({"steps": steps, "exclusions": [exclusion]})), want);
    };
    let between = |after: u32, before: u32| json!({"event": "x", "after": after, "before": before});
    check(&[did("a", 0), did("x", 1), did("b", 2)], between(0, 1), "[0,0,0]");
    // A later attempt may be sound.
    check(&[did("a", 0), did("x", 1), did("a", 2), did("b", 3)], between(0, 1), "[1,1,0]");
    // Not reached, so anything inside the window counts.
    check(&[did("a", 0), did("b", 1), did("x", 100)], between(1, 2), "[0,0,0]");
    check(&[did("a", 0), did("b", 1), did("x", 101)], between(1, 2), "[1,1,0]");
    // At the very times of the steps it does not lie between them.
    check(&[did("a", 0), did("x", 0), did("b", 2), did("x", 2)], between(0, 1), "[1,1,0]");
    // After completion nothing voids.
    check(&[did("a", 0), did("b", 1), did("c", 2), did("x", 3)], between(0, 2), "[1,1,1]");
}

#[test]
fn a_strict_funnel_sorts_simultaneous_events_by_arrival() {
    let steps = json!([{"event": "a"}, {"event": "b"}]);
    let strict = |events: &[Event]| counts(events, json!({"steps": steps, "order": "strict"}));
    assert_eq!(strict(&[did("a", 0), did("b", 0), did("x", 0)]), "[1,1]");
    assert_eq!(strict(&[did("a", 0), did("x", 0), did("b", 0)]), "[1,0]");
    assert_eq!(strict(&[did("b", 0), did("a", 0)]), "[1,0]");
}

#[test]
fn an_actor_with_very_many_events_is_no_burden() {
    let mut events: Vec<Event> = (0..20_000).map(|second| did("a", second)).collect();
    events.extend((0..20_000).map(|_| did("b", 20_000)));
    let steps = json!([{"event": "a"}, {"event": "a"}, {"event": "b"}, {"event": "b"}, {"event": "c"}]);
    for (order, want) in [("ordered", "[1,1,1,1,0]"), ("unordered", "[1,1,1,1,0]"), ("strict", "[1,1,1,1,0]")]
    {
        let query = json!({"steps": steps, "order": order, "window": "30d"});
        assert_eq!(counts(&events, query), want, "{order}");
    }
}
