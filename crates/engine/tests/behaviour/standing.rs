//! Questions that stand beside the same questions asked of all rows, at every moment: over random orders of events,
//! with what is deleted, restarts, and clocks that are set back.

use std::sync::Arc;

use ebbtide_engine::{Answer, Outcome, Standing};
use ebbtide_model::{AppSchema, Instant, Value};
use ebbtide_store::fs::SimFs;
use ebbtide_store::{Components, FreshIds, Settings, Store};
use serde_json::{Value as Json, json};

use super::dropoff::{click, random_query, random_splits};
use super::random::{Random, text};
use super::world::{Event, app, arriving, at, data_sets, opened, scope, try_ask, try_ask_standing};

const SECOND: i64 = 1_000_000;
const TENANTS: [Option<&str>; 3] = [None, Some("a"), Some("b")];

/// A store that can be stopped and started, and what stands over it.
struct World {
    app: Arc<AppSchema>,
    disk: Arc<SimFs>,
    store: Option<Store>,
    standing: Standing,
    /// What stood before restarts has answered so often.
    answered_before: u64,
}

impl World {
    fn new(app: Arc<AppSchema>, standing_bytes_max: usize) -> Self {
        let mut world = Self {
            app,
            disk: Arc::new(SimFs::new(1)),
            store: None,
            standing: Standing::new(standing_bytes_max),
            answered_before: 0,
        };
        world.open();
        world
    }

    fn open(&mut self) {
        let components = Components { fs: self.disk.clone(), fresh: FreshIds { folder: 1, secret: 2 } };
        let settings = Settings { segment_rows_max: 1_000, ..Settings::default() };
        self.store = Some(Store::open(components, settings, vec![(*self.app).clone()]).unwrap());
    }

    /// As another process would find it.
    fn restart(&mut self, standing_bytes_max: usize) {
        self.store().close().unwrap();
        self.store = None;
        self.open();
        self.answered_before = self.answered();
        self.standing = Standing::new(standing_bytes_max);
    }

    /// How often it was answered from what stood.
    fn answered(&self) -> u64 {
        self.answered_before + self.standing.numbers().answered
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn append(&self, events: &[&Event]) {
        for table in ["sales", "views", "cards", "names", "traits"] {
            let own: Vec<&Event> = events.iter().copied().filter(|event| event.table == table).collect();
            if !own.is_empty() {
                self.store().append(&scope(&self.app, None), arriving(&self.app, table, &own)).unwrap();
            }
        }
    }

    fn clear(&self, tenant: Option<&str>, table: &str) {
        let table = self.app.tables.iter().find(|known| known.name.as_str() == table).unwrap();
        self.store().clear(&scope(&self.app, tenant), &table.name).unwrap();
    }

    /// What stands says what is found by a look at all rows, and when that changes.
    fn check(&self, query: &Json, as_of: Instant, told: &str) {
        let snapshot = self.store().snapshot(&self.app.app).unwrap();
        for tenant in TENANTS {
            let want = try_ask(&snapshot, tenant, query, as_of).unwrap();
            let got = try_ask_standing(&self.standing, &snapshot, tenant, query, as_of).unwrap();
            assert_eq!(
                format!("{:?} {:?}", got.outcome, got.meta),
                format!("{:?} {:?}", want.outcome, want.meta),
                "{told} as of {as_of} for {tenant:?}\n{query}"
            );
        }
    }
}

fn with_shop(mut event: Event) -> Event {
    event.values.insert("shop", text(event.tenant));
    event
}

/// Something happens to the rows, or time passes.
fn happen(world: &mut World, random: &mut Random, pool: &[Event], bytes_max: usize) -> &'static str {
    match random.below(16) {
        0 => {
            world.restart(bytes_max);
            "after a restart"
        }
        1 => {
            world.store().flush().unwrap();
            "after a flush"
        }
        2 => {
            world.store().flush().unwrap();
            world.store().compact().unwrap();
            "after a compaction"
        }
        3 => {
            world
                .clear(random.pick(&[None, Some("a"), Some("b")]), random.pick(&["sales", "sales", "names"]));
            "after a clear"
        }
        4..=6 => "after some time",
        _ if pool.is_empty() => "after nothing",
        _ => {
            // Some come twice, which changes nothing; in no order of their times.
            let events: Vec<&Event> = (0..1 + random.below(9))
                .map(|_| &pool[usize::try_from(random.below(pool.len() as u64)).unwrap()])
                .collect();
            world.append(&events);
            "after some events"
        }
    }
}

#[test]
fn a_standing_dropoff_is_that_of_all_rows_at_every_moment() {
    let mut went_on = 0;
    for seed in 0..data_sets() / 20 {
        let mut random = Random::new(seed);
        let app = if random.one_in(3) { opened(&app()) } else { app() };
        let mut pool = random.events();
        if random.one_in(8) {
            pool.extend(random.aliases());
        }
        if random.one_in(8) {
            pool.extend(random.traits());
        }
        let pool: Vec<Event> = pool.into_iter().map(with_shop).collect();
        let query = random_query(&mut random);
        // Now and then there is no room, or room for little.
        let bytes_max = random.pick(&[1 << 20, 1 << 20, 1 << 20, 20_000, 0]);
        let mut world = World::new(app, bytes_max);
        let mut as_of = random.instant();
        for _ in 0..25 {
            let told = happen(&mut world, &mut random, &pool, bytes_max);
            let step = random.pick(&[0, 1, 3_600 * SECOND, 86_400 * SECOND, -3_600 * SECOND]);
            as_of = Instant::from_micros(as_of.micros() + step);
            world.check(&query, as_of, &format!("seed {seed}: {told}"));
        }
        went_on += world.answered();
    }
    assert!(went_on > 0);
}

fn shopper(random: &mut Random, start: i64, now: i64) -> Event {
    let places = ["home", "product", "cart", "success", "exit", "help"];
    let session = Some(random.below(8) as i64).filter(|session| *session > 1);
    let user = random.below(4) as i64;
    // Late, in time, or from the future.
    let time = match random.below(6) {
        0 => start + random.below(7_200) as i64 * SECOND,
        1 => now + random.below(900) as i64 * SECOND,
        _ => now - random.below(5) as i64 * SECOND,
    };
    let from = places[random.below(3) as usize];
    let to = places[random.below(6) as usize];
    let mut event = click(session, user, &Instant::from_micros(time).to_string(), from, to);
    event.tenant = random.pick(&["a", "a", "b"]);
    event.values.insert("amount", Value::Float(random.below(100) as f64 / 8.0));
    with_shop(event)
}

#[test]
fn a_standing_dropoff_follows_shoppers_as_they_come_think_and_leave() {
    let query = json!({
        "kind": "dropoff", "stream": "sales", "session": {"prop": "points", "gap": "10m"}, "step": "type",
        "next_step": "place", "steps": ["home", "product", "cart", "success"],
        "exit": {"where": [{"prop": "place", "value": "exit"}]}, "idle": "1m", "latency": {"took": "amount"},
    });
    let start = at("2024-01-01T00:00:00Z").micros();
    for seed in 0..data_sets() / 50 {
        let mut random = Random::new(seed);
        let mut world = World::new(app(), 1 << 20);
        let mut now = start + 3_600 * SECOND;
        for _ in 0..40 {
            let pool: Vec<Event> = (0..12).map(|_| shopper(&mut random, start, now)).collect();
            let told = happen(&mut world, &mut random, &pool, 1 << 20);
            now += random.pick(&[0, 1, SECOND / 10, SECOND, 7 * SECOND, 59 * SECOND, 200 * SECOND]);
            world.check(&query, Instant::from_micros(now), &format!("seed {seed}: {told}"));
        }
        assert!(world.answered() > 0);
    }
}

#[test]
fn what_nobody_asks_any_more_and_what_has_no_room_goes() {
    let query = json!({"kind": "dropoff", "stream": "sales", "step": "type", "steps": ["look", "buy"]});
    let mut random = Random::new(5);
    let world = World::new(app(), 100_000);
    let start = at("2024-01-02T00:00:00Z");
    let later = |seconds: i64| Instant::from_micros(start.micros() + seconds * SECOND);
    world.append(
        &(0..50)
            .map(|_| shopper(&mut random, start.micros(), start.micros()))
            .collect::<Vec<_>>()
            .iter()
            .collect::<Vec<_>>(),
    );
    let ask = |world: &World, query: &Json, as_of| {
        let snapshot = world.store().snapshot(&world.app.app).unwrap();
        try_ask_standing(&world.standing, &snapshot, Some("a"), query, as_of).unwrap();
        world.standing.numbers()
    };
    assert_eq!(ask(&world, &query, later(0)).bytes, 0, "a question that is asked once does not stand");
    let numbers = ask(&world, &query, later(1));
    assert_eq!((numbers.questions, numbers.made, numbers.answered), (1, 1, 0));
    assert!(numbers.bytes > 0);
    let numbers = ask(&world, &query, later(2));
    assert_eq!((numbers.made, numbers.answered), (1, 1));

    let other = json!({"kind": "dropoff", "stream": "sales", "step": "place", "steps": ["cart"]});
    ask(&world, &other, later(3));
    assert_eq!(ask(&world, &other, later(4)).questions, 2);
    let numbers = ask(&world, &other, later(603));
    assert_eq!((numbers.questions, numbers.made), (1, 2), "the first was not asked for ten minutes");

    let small = World::new(app(), 100);
    ask(&small, &query, later(0));
    let numbers = ask(&small, &query, later(1));
    assert_eq!((numbers.bytes, numbers.made, numbers.answered), (0, 0, 0));
}

/// What is kept of all moments says of each what a look at all rows says, whatever has come or gone since it was made.
#[test]
fn a_dropoff_as_of_any_moment_is_that_of_all_rows() {
    let start = at("2024-01-01T00:00:00Z").micros();
    for seed in 0..data_sets() / 20 {
        let mut random = Random::new(seed);
        let mut query = json!({
            "kind": "dropoff", "stream": "sales", "session": {"prop": "points", "gap": "10m"}, "step": "type",
            "next_step": "place", "steps": ["home", "product", "cart", "success"],
            "exit": {"where": [{"prop": "place", "value": "exit"}]}, "idle": random.pick(&["1m", "5m", "3h"]),
            "latency": {"took": "amount", "other": "cost"}, "list": random.pick(&["steps", "sessions"]),
        });
        if random.one_in(3) {
            query = random_query(&mut random);
        }
        let mut world = World::new(app(), 0);
        let mut now = start + 3_600 * SECOND;
        let own = |mut event: Event| {
            event.tenant = "a";
            with_shop(event)
        };
        let pool: Vec<Event> = random.events().into_iter().map(own).collect();
        for _ in 0..20 {
            let shoppers: Vec<Event> = (0..12).map(|_| own(shopper(&mut random, start, now))).collect();
            let pool = if random.one_in(4) { &pool } else { &shoppers };
            let told = happen(&mut world, &mut random, pool, 0);
            now += random.pick(&[0, SECOND, 59 * SECOND, 900 * SECOND]);
            let snapshot = world.store().snapshot(&world.app.app).unwrap();
            for _ in 0..3 {
                let as_of = match random.below(4) {
                    0 => random.instant(),
                    _ => Instant::from_micros(now - random.below(7_200) as i64 * SECOND / 2),
                };
                query["limit"] = json!(random.pick(&[1, 2, 5, 1_000]));
                let got = try_ask(&snapshot, Some("a"), &query, as_of).unwrap();
                // Over all tenants, of which there is one, nothing is kept.
                let want = try_ask(&snapshot, None, &query, as_of).unwrap();
                let told_of = |answer: &Answer| match &answer.outcome {
                    Outcome::Dropoff(dropoff) => {
                        let mut dropoff = dropoff.clone();
                        let listed = dropoff.listed.iter_mut().flatten();
                        listed.for_each(|session| session.actor.tenant = None);
                        format!("{dropoff:?}")
                    }
                    other => panic!("{other:?}"),
                };
                assert_eq!(told_of(&got), told_of(&want), "seed {seed}: {told} as of {as_of}\n{query}");
            }
        }
    }
}

/// The same of sessions by what tells them apart, made of all rows each time.
#[test]
fn sessions_that_had_ended_at_any_moment_are_split_as_those_of_all_rows() {
    let start = at("2024-01-01T00:00:00Z").micros();
    for seed in 0..data_sets() / 40 {
        let mut random = Random::new(seed);
        let mut query = random_splits(&mut random);
        query["idle"] = json!("5m");
        (query["from"], query["to"]) = (json!(null), json!(null));
        let mut world = World::new(app(), 0);
        let mut now = start + 3_600 * SECOND;
        let pool: Vec<Event> = random.events().into_iter().map(with_shop).collect();
        for _ in 0..12 {
            let shoppers: Vec<Event> = (0..12).map(|_| shopper(&mut random, start, now)).collect();
            let pool = if random.one_in(2) { &pool } else { &shoppers };
            let told = happen(&mut world, &mut random, pool, 0);
            now += random.pick(&[0, SECOND, 59 * SECOND, 900 * SECOND]);
            let snapshot = world.store().snapshot(&world.app.app).unwrap();
            for _ in 0..3 {
                let as_of = match random.below(2) {
                    0 => random.instant(),
                    _ => Instant::from_micros(now - random.below(7_200) as i64 * SECOND / 2),
                };
                let kept = try_ask(&snapshot, Some("a"), &query, as_of).unwrap();
                // One with another limit, which counts for nothing, is asked for the first time.
                let mut again = query.clone();
                again["limit"] = json!(1 + random.below(999));
                let fresh = try_ask(&snapshot, Some("a"), &again, as_of).unwrap();
                assert_eq!(
                    format!("{:?}", kept.outcome),
                    format!("{:?}", fresh.outcome),
                    "seed {seed}: {told} as of {as_of}\n{query}"
                );
            }
        }
    }
}
