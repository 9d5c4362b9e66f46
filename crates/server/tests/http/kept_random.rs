//! Random writes, deletes, questions and steps of the clock: what the cache gives is what a server
//! without one gives as of the same moment, and as of now.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use ebbtide_model::pack::Pack;
use ebbtide_model::{Clock, Instant, Scope, TableName, TenantId, Tenants};
use ebbtide_server::Settings;
use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::{Value as Json, json};

use crate::kept::{Shops, boss, keeper, kept_pack, server_over};
use crate::support::*;

const SHOPS: [&str; 2] = ["a", "b"];
const QUESTIONS: [&str; 8] =
    ["/sold?", "/sold?limit=2&", "/sold?least=3&", "/everywhere?", "/daily?", "/idle?", "/idle?", "/lately?"];

/// How many questions are asked again after each step.
const LATELY: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    /// What is in memory becomes files; files become one.
    Flush,
    Compact,
    /// A sale, so many microseconds from now.
    Sale {
        shop: usize,
        id: i64,
        from_now: i64,
    },
    Card {
        shop: usize,
        id: i64,
        from_now: i64,
        seen_from_now: Option<i64>,
    },
    DeleteCard {
        shop: usize,
        id: i64,
    },
    Clear {
        shop: Option<usize>,
        table: &'static str,
    },
    Forward {
        micros: i64,
    },
    /// To just before, at or just after the next moments at which a row comes into being, or a day
    /// since a card was seen is full.
    ForwardTo {
        index: usize,
        off: i64,
    },
    Ask {
        shop: Option<usize>,
        question: usize,
        as_of_from_now: Option<i64>,
    },
}

/// The pack of these tests, with answers that end with their time to live last of all.
fn lasting_pack() -> Pack {
    let yaml = include_str!("kept.yaml").replace("    routes:", "    cache: 300d\n    routes:");
    let yaml =
        yaml.replace("    cache: 10d\n", "").replace("    cache: 1h\n", "").replace("    cache: 10m\n", "");
    Pack::parse(&yaml.replace("    cache: none\n", "")).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

/// From microseconds to a month, whole seconds and odd ones.
fn span() -> impl Strategy<Value = i64> {
    const SECOND: i64 = Instant::MICROS_PER_SECOND;
    prop_oneof![
        1 => 0..3_i64,
        3 => (0..120_i64).prop_map(|seconds| seconds * SECOND),
        3 => (0..8_i64).prop_map(|hours| hours * 3_600 * SECOND),
        1 => 0..30 * Instant::MICROS_PER_DAY,
    ]
}

fn around_now() -> impl Strategy<Value = i64> {
    (span(), any::<bool>()).prop_map(|(span, later)| if later { span } else { -span })
}

fn step() -> impl Strategy<Value = Step> {
    let shop = || 0..SHOPS.len();
    let table = prop_oneof![Just("sales"), Just("cards")];
    prop_oneof![
        4 => (shop(), 0..8_i64, around_now()).prop_map(|(shop, id, from_now)| Step::Sale { shop, id, from_now }),
        5 => (shop(), 0..4_i64, around_now(), proptest::option::weighted(0.8, around_now()))
            .prop_map(|(shop, id, from_now, seen_from_now)| Step::Card { shop, id, from_now, seen_from_now }),
        1 => (shop(), 0..4_i64).prop_map(|(shop, id)| Step::DeleteCard { shop, id }),
        1 => (proptest::option::of(shop()), table).prop_map(|(shop, table)| Step::Clear { shop, table }),
        1 => Just(Step::Flush),
        1 => Just(Step::Compact),
        4 => span().prop_map(|micros| Step::Forward { micros }),
        12 => (0..2_usize, -1..2_i64).prop_map(|(index, off)| Step::ForwardTo { index, off }),
        12 => (proptest::option::weighted(0.9, shop()), 0..QUESTIONS.len(), proptest::option::weighted(0.2, around_now()))
            .prop_map(|(shop, question, as_of_from_now)| Step::Ask { shop, question, as_of_from_now }),
    ]
}

/// The server with the cache, and one without over the same rows.
struct Pair {
    kept: Shops,
    plain: Club,
    hits: usize,
    /// Asked lately: asked again after each step.
    lately: Vec<(Option<usize>, &'static str, Option<String>)>,
    /// Times of rows, and when cards were seen.
    times: Vec<(i64, Moment)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Moment {
    Row,
    Seen,
}

impl Pair {
    async fn open() -> Self {
        let kept = Shops::open_with(lasting_pack(), Settings::default()).await;
        let none = quick(|settings| settings.cache_bytes_max = 0);
        let plain = server_over(lasting_pack(), &kept.store, kept.clock.clone(), none);
        Self { kept, plain, hits: 0, lately: Vec::new(), times: Vec::new() }
    }

    fn now(&self) -> i64 {
        self.kept.clock.now().micros()
    }

    /// The next moments at which time alone changes something, ascending.
    fn next_moments(&self) -> Vec<i64> {
        let (now, day) = (self.now(), Instant::MICROS_PER_DAY);
        let next = |(time, moment): &(i64, Moment)| match moment {
            Moment::Row => *time,
            Moment::Seen => time + ((now - time).div_euclid(day) + 1) * day,
        };
        let mut moments: Vec<i64> = self.times.iter().map(next).filter(|moment| *moment > now + 1).collect();
        moments.sort_unstable();
        moments
    }

    fn at(&self, from_now: i64) -> String {
        Instant::from_micros(self.now() + from_now).to_string()
    }

    fn scope(&self, shop: Option<usize>) -> Scope {
        let tenants = shop.map_or(Tenants::All, |shop| Tenants::One(TenantId::new(SHOPS[shop])));
        #[expect(clippy::disallowed_methods, reason = "a test may see everything")]
        Scope::grant(kept_pack().schema.app, tenants)
    }

    async fn take(&mut self, step: &Step) {
        match step {
            Step::Sale { shop, id, from_now } => {
                // Of one id the first counts, so ids of shops differ.
                let id = id + 10 * i64::try_from(*shop).unwrap();
                self.times.push((self.now() + from_now, Moment::Row));
                self.kept.sell(SHOPS[*shop], id, "x", &self.at(*from_now)).await;
            }
            Step::Card { shop, id, from_now, seen_from_now } => {
                self.times.push((self.now() + from_now, Moment::Row));
                self.times.extend(seen_from_now.map(|seen| (self.now() + seen, Moment::Seen)));
                let seen_at = seen_from_now.map(|seen| self.at(seen));
                let row = json!({"id": id, "shop": SHOPS[*shop], "seen_at": seen_at, "created_at": self.at(*from_now)});
                self.kept.put("cards", json!([row])).await;
            }
            Step::DeleteCard { shop, id } => {
                let schema = Schema::new(vec![Field::new("id", DataType::Int64, true)]);
                let ids = Arc::new(Int64Array::from(vec![*id]));
                let keys = RecordBatch::try_new(Arc::new(schema), vec![ids]).unwrap();
                self.kept
                    .store
                    .delete_rows(&self.scope(Some(*shop)), &TableName::new("cards"), &keys)
                    .unwrap();
            }
            Step::Clear { shop, table } => {
                self.kept.store.clear(&self.scope(*shop), &TableName::new(table)).unwrap();
            }
            Step::Flush => self.kept.store.flush().unwrap(),
            Step::Compact => self.kept.store.compact().unwrap(),
            Step::Forward { micros } => self.kept.clock.forward(*micros),
            Step::ForwardTo { index, off } => {
                let moments = self.next_moments();
                if let Some(moment) = moments.get((*index).min(moments.len().saturating_sub(1))) {
                    self.kept.clock.forward(moment + off - self.now());
                }
            }
            Step::Ask { shop, question, as_of_from_now } => {
                let as_of = as_of_from_now.map(|as_of| self.at(as_of));
                self.ask(*shop, QUESTIONS[*question], as_of.clone()).await;
                self.lately.push((*shop, QUESTIONS[*question], as_of));
                self.lately.drain(..self.lately.len().saturating_sub(LATELY));
            }
        }
    }

    async fn ask(&mut self, shop: Option<usize>, question: &str, as_of: Option<String>) {
        let (token, question) = match shop {
            Some(shop) => (keeper(SHOPS[shop]), question),
            None => (boss(), "/everywhere?"),
        };
        let path = as_of.iter().fold(question.to_owned(), |path, as_of| format!("{path}as_of={as_of}"));
        let kept = self.kept.shops.get(&path, &token).await;
        self.hits += usize::from(kept.header("x-cache") == "hit");
        let own =
            kept.json()["as_of"].as_str().unwrap_or_else(|| panic!("{path}: {}", kept.text())).to_owned();
        let same = self.plain.get(&format!("{question}as_of={own}"), &token).await;
        assert_eq!(kept.text(), same.text(), "{path} as of {own}");
        assert_eq!(same.header("x-cache"), "miss");
        // Of `lately` no more is known than that it may change any moment: it is up to a second old.
        if question != "/lately?" {
            let now = self.plain.get(&path, &token).await;
            assert_eq!(undated(kept.json()), undated(now.json()), "{path} at {}", self.at(0));
        }
    }
}

/// Without the answer's own moment.
fn undated(mut json: Json) -> Json {
    json.as_object_mut().unwrap().remove("as_of");
    json
}

proptest! {
    #![proptest_config(Config { cases: 8, failure_persistence: None, ..Config::default() })]

    #[test]
    fn what_is_kept_is_what_would_be_computed(steps in proptest::collection::vec(step(), 12..32)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut pair = Pair::open().await;
            for step in &steps {
                pair.take(step).await;
                for round in 0..2 {
                    let (asked, hits) = (pair.lately.clone(), pair.hits);
                    for (shop, question, as_of) in &asked {
                        pair.ask(*shop, question, as_of.clone()).await;
                    }
                    // Asked twice in a row, all is kept.
                    assert!(round == 0 || pair.hits == hits + asked.len(), "after {step:?}");
                }
            }
        });
    }
}
