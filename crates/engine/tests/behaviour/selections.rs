//! The actors that a selection gives are as many as the answer counts there.

use ebbtide_engine::{StopFlag, select};
use ebbtide_model::query::bind;
use ebbtide_model::{Cohort, Instant, selecting};
use ebbtide_store::Snapshot;
use serde_json::{Value as Json, json};

use super::random::Random;
use super::world::{app, at, data_sets, scope, snapshot, try_ask};

struct World {
    snapshot: Snapshot,
    tenant: Option<&'static str>,
    as_of: Instant,
}

impl World {
    fn count(&self, query: &Json, from: Json) -> u64 {
        let cohort = Cohort::parse(&json!({"name": "some", "query": query, "from": from}));
        let cohort = cohort.unwrap_or_else(|fault| panic!("{query} {from}: {fault}"));
        let scope = scope(self.snapshot.app(), self.tenant);
        let query_of_all = selecting(&cohort.query);
        let texts = query_of_all.texts();
        let snapshot = self.snapshot.evolved(&scope, texts.iter().map(String::as_str));
        let bound = bind(&query_of_all, snapshot.app()).unwrap();
        let members = select(&snapshot, &scope, &bound, &cohort.from, self.as_of, &StopFlag::default());
        members.unwrap_or_else(|error| panic!("{query} {from}: {error}")).len() as u64
    }

    fn result(&self, query: &Json) -> Json {
        let answer = try_ask(&self.snapshot, self.tenant, query, self.as_of);
        answer.unwrap_or_else(|error| panic!("{query}: {error}")).result()
    }
}

fn in_each_world(check: impl Fn(&World, &mut Random)) {
    let app = app();
    for seed in 0..data_sets() / 4 {
        let mut random = Random::new(seed);
        let events = random.events();
        let aliases = if random.one_in(2) { random.aliases() } else { Vec::new() };
        let snapshot = snapshot(&app, &[&aliases[..], &events].concat(), 2);
        let world = World { snapshot, tenant: random.tenant(), as_of: random.as_of() };
        check(&world, &mut random);
    }
}

fn list(json: &Json) -> impl Iterator<Item = (usize, &Json)> {
    json.as_array().unwrap().iter().enumerate()
}

#[test]
fn of_a_funnel_as_many_as_reached_each_step_and_dropped_there() {
    in_each_world(|world, random| {
        let steps: Vec<Json> = (0..3).map(|_| random.matcher(&["sales"])).collect();
        let order = random.pick(&["ordered", "strict", "unordered"]);
        let breakdown =
            json!({"props": ["place"], "attribution": random.pick(&["first_touch", "all_events"])});
        let query = json!({
            "kind": "funnel", "stream": "sales", "steps": steps, "order": order, "window": "9d",
            "breakdown": random.pick(&[json!(null), breakdown]),
        });
        let result = world.result(&query);
        let check = |counts: &Json, group: Option<&Json>| {
            let from = |mut from: Json| {
                if let Some(group) = group {
                    from["group"] = group.clone();
                }
                world.count(&query, from)
            };
            for (step, count) in list(counts) {
                let count = count.as_u64().unwrap();
                assert_eq!(from(json!({"step": step})), count, "{query}");
                if let Some(next) = counts[step + 1].as_u64() {
                    // A group may have others at each step where events are run apart.
                    let dropped = from(json!({"step": step, "dropped": true}));
                    assert_eq!(dropped, count - next, "{query}");
                }
            }
        };
        check(&result["counts"], None);
        for (_, group) in
            result["groups"].as_array().map(|groups| groups.iter().enumerate()).into_iter().flatten()
        {
            check(&group["counts"], Some(&group["value"]));
        }
    });
}

#[test]
fn of_a_retention_as_many_as_each_cell_counts() {
    in_each_world(|world, random| {
        let query = json!({
            "kind": "retention", "stream": "sales", "period": "week", "from": "2024-10-14", "periods": 6,
            "type": random.pick(&["recurring", "first_time"]), "start": random.matcher(&["sales"]),
            "return": random.matcher(&["sales"]), "cumulative": random.one_in(2),
            "window": random.pick(&["calendar", "rolling"]), "cell_zero": random.pick(&["size", "returned"]),
            "min_occurrences": random.pick(&[1, 2]),
        });
        let result = world.result(&query);
        for (row, cells) in list(&result["matrix"]) {
            for (column, count) in list(cells).filter(|(_, count)| !count.is_null()) {
                assert_eq!(
                    world.count(&query, json!({"cell": [row, column]})),
                    count.as_u64().unwrap(),
                    "{query}"
                );
            }
        }
    });
}

#[test]
fn of_what_actors_do_over_time_as_many_as_each_bucket_counts() {
    in_each_world(|world, random| {
        let range = json!({"from": "2024-11-01", "to": "2024-11-25", "interval": "week", "stream": "sales"});
        let of = |more: Json| {
            let mut query = range.clone();
            query.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            query
        };
        let entity = random.matcher(&["sales"]);
        let lifecycle = of(json!({"kind": "lifecycle", "entity": entity}));
        let result = world.result(&lifecycle);
        for state in ["new", "returning", "resurrecting", "dormant", "active"] {
            for (bucket, count) in list(&result[state]).filter(|(_, count)| !count.is_null()) {
                let found = world.count(&lifecycle, json!({"bucket": bucket, "state": state}));
                assert_eq!(found, count.as_i64().unwrap().unsigned_abs(), "{lifecycle}");
            }
        }
        let stickiness = of(json!({"kind": "stickiness", "entity": entity}));
        let result = world.result(&stickiness);
        for (index, count) in list(&result["data"]) {
            assert_eq!(world.count(&stickiness, json!({"exactly": index + 1})), count.as_u64().unwrap());
            let at_least = world.count(&stickiness, json!({"at_least": index + 1}));
            assert_eq!(at_least, result["at_least"][index].as_u64().unwrap());
        }
        assert_eq!(world.count(&stickiness, json!({})), result["actors_total"].as_u64().unwrap());
        let trend = of(json!({
            "kind": "trend", "entity": entity, "measure": "unique", "cumulative": random.one_in(2),
            "breakdown": {"prop": random.pick(&["place", "points", "event"])},
        }));
        let result = world.result(&trend);
        let check = |data: &Json, group: Json| {
            for (bucket, count) in list(data).filter(|(_, count)| !count.is_null()) {
                let found = world.count(&trend, json!({"bucket": bucket, "group": group}));
                assert_eq!(found, count.as_u64().unwrap(), "{trend} {group}");
            }
        };
        check(&result["data"], Json::Null);
        for (_, group) in list(&result["groups"]) {
            check(&group["data"], json!([group["value"]]));
        }
    });
}

#[test]
fn of_the_other_kinds_as_many_as_they_count() {
    in_each_world(|world, random| {
        let (entity, other) = (random.matcher(&["sales"]), random.matcher(&["sales"]));
        let churn = json!({"kind": "churn", "stream": "sales", "entity": entity, "min_events": 2});
        let result = world.result(&churn);
        let (total, at_risk) = (result["total"].as_u64().unwrap(), result["at_risk"].as_u64().unwrap());
        assert_eq!(world.count(&churn, json!({"at_risk": true})), at_risk, "{churn}");
        assert_eq!(world.count(&churn, json!({"at_risk": false})), total - at_risk, "{churn}");
        assert_eq!(world.count(&churn, json!({})), total, "{churn}");
        let paths = json!({"kind": "paths", "stream": "sales", "entity": entity, "item": "place", "session_gap": "9d"});
        let result = world.result(&paths);
        for (_, edge) in list(&result["edges"]).take(5) {
            let found = world.count(&paths, json!({"edge": edge_of(edge)}));
            assert!(found >= 1 && found <= edge["count"].as_u64().unwrap(), "{paths} {edge}");
        }
        assert_eq!(world.count(&paths, json!({"edge": {"from": "nowhere", "to": "Gare"}})), 0);
        let preceding = json!({
            "kind": "preceding", "before": entity, "of": other, "show": "place", "per_actor": true,
            "stream": "sales",
        });
        let result = world.result(&preceding);
        for (_, row) in list(&result["values"]) {
            let with = result["actors"].as_array().unwrap().iter().filter(|one| one["value"] == row["value"]);
            if !row["value"].is_null() {
                let found = world.count(&preceding, json!({"value": row["value"]}));
                assert_eq!(found, with.count() as u64, "{preceding}");
            }
        }
        let dropoff = json!({
            "kind": "dropoff", "entity": entity, "step": "place", "steps": ["Gare", "0"], "exit": other,
            "session": random.pick(&["points", "9d"]), "stream": "sales",
        });
        let result = world.result(&dropoff);
        for (_, step) in list(&result["steps"]) {
            let found = world.count(&dropoff, json!({"step": step["step"]}));
            assert_eq!(found, step["users"].as_u64().unwrap(), "{dropoff}");
            let exited = world.count(&dropoff, json!({"step": step["step"], "exited": true}));
            assert!(exited <= step["exits"].as_u64().unwrap(), "{dropoff}");
        }
        assert_eq!(world.count(&dropoff, json!({})), result["total_users"].as_u64().unwrap());
    });
}

fn edge_of(edge: &Json) -> Json {
    json!({"step": edge["step"], "from": edge["from"], "to": edge["to"]})
}

#[test]
fn a_bucket_that_the_answer_does_not_have_is_refused() {
    let snapshot = snapshot(&app(), &[], 1);
    let query = json!({"kind": "lifecycle", "stream": "sales", "from": "2024-11-01", "to": "2024-11-03"});
    let cohort = json!({"name": "a", "query": query, "from": {"bucket": 2, "state": "new"}});
    let cohort = Cohort::parse(&cohort).unwrap();
    let bound = bind(&cohort.query, snapshot.app()).unwrap();
    let scope = scope(snapshot.app(), Some("a"));
    let error = select(&snapshot, &scope, &bound, &cohort.from, at("2025-01-01"), &StopFlag::default());
    let error = error.unwrap_err().to_string();
    assert_eq!(error, "from.bucket: 2 was given; the answer has 2 buckets, the first of which is 0");
}
