use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use ebbtide_model::pack::Pack;
use ebbtide_model::{AppName, Scope, TenantId, Tenants};
use serde_json::{Value as Json, json};
use tokio::sync::Notify;

use super::*;
use crate::problem::Code;
use crate::report::{Answer, Arguments, Asker};

const PACK: &str = "pack: shop
tables:
  shops: {kind: entity, key: id, tenant: id, columns: {id: int}}
reports:
  sold:
    routes: [{path: /sold}]
    params: {limit: {type: int, default: 5}, name: {type: text?}, more: {type: text?}}
    response: {limit: $limit, name: $name, more: $more}
";

fn at(seconds: i64) -> Instant {
    Instant::from_micros(seconds * Instant::MICROS_PER_SECOND)
}

fn key(tenant: &str, query: &[(&str, &str)]) -> Key {
    let pack = Pack::parse(PACK).unwrap();
    let report = &pack.reports[0];
    #[expect(clippy::disallowed_methods, reason = "a test may see everything")]
    let scope = Scope::grant(AppName::new("shop"), Tenants::One(TenantId::new(tenant)));
    let query: Vec<_> = query.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let arguments =
        Arguments::read(&pack, report, &report.routes[0], Asker::default(), &[], &query, at(0)).unwrap();
    Key::new(report, &scope, &arguments)
}

fn wanted(now: i64) -> Wanted {
    let versions = Versions::numbers(&[1]);
    Wanted { key: key("1", &[]), versions, now: at(now), freshness: Freshness::AnyThatHolds }
}

fn entry(body: Json, begins: i64, kept: Duration) -> Result<Entry, Problem> {
    let answer = Answer { body, lists: Vec::new(), changes_at: at(i64::from(u32::MAX)), is_settled: true };
    Entry::new(answer, Lifetime::new(at(begins), kept), Versions::numbers(&[1]))
}

/// A computation that goes on when it is told to, and counts.
#[derive(Clone, Default)]
struct Slow {
    begun: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    go_on: Arc<Notify>,
}

impl Slow {
    async fn answer(self, begins: i64, outcome: Result<Json, Problem>) -> Result<Entry, Problem> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.go_on.notified().await;
        self.ended.fetch_add(1, Ordering::SeqCst);
        entry(outcome?, begins, Duration::from_secs(10))
    }

    async fn has_begun(&self, times: usize) {
        while self.begun.load(Ordering::SeqCst) < times {
            tokio::task::yield_now().await;
        }
    }
}

#[test]
fn questions_differ_where_their_answers_may() {
    let differ = |left: &[(&str, &str)], right: &[(&str, &str)]| {
        assert_ne!(key("1", left), key("1", right), "{left:?} {right:?}");
    };
    assert_eq!(key("1", &[]), key("1", &[("limit", "5"), ("elsewhere", "x")]));
    assert_eq!(key("1", &[("name", "x"), ("limit", "6")]), key("1", &[("limit", "+6"), ("name", "x")]));
    assert_ne!(key("1", &[]), key("2", &[]));
    differ(&[], &[("limit", "6")]);
    differ(&[], &[("name", "")]);
    differ(&[("name", "x")], &[("more", "x")]);
    differ(&[("name", "a;more=1:b")], &[("name", "a"), ("more", "b")]);
    differ(&[], &[("as_of", "1970-01-01T00:00:00Z")]);
    differ(&[("as_of", "1970-01-01T00:00:01Z")], &[("as_of", "1970-01-01T00:00:00Z")]);
}

#[tokio::test]
async fn equal_questions_at_one_time_are_one_computation() {
    let (cache, slow) = (ReportCache::new(1 << 20), Slow::default());
    let ask = || {
        let (cache, slow) = (cache.clone(), slow.clone());
        tokio::spawn(async move {
            let compute = || slow.clone().answer(0, Ok(json!({"sold": 1})));
            let (entry, source) = cache.answer(&wanted(0), compute).await.unwrap();
            (entry.json().clone(), source)
        })
    };
    let asked: Vec<_> = (0..8).map(|_| ask()).collect();
    slow.has_begun(1).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    slow.go_on.notify_waiters();
    let mut computed = 0;
    for answer in asked {
        let (json, source) = answer.await.unwrap();
        assert_eq!(json, "{\"sold\":1}");
        computed += usize::from(source == Source::Computed);
    }
    assert_eq!((computed, slow.begun.load(Ordering::SeqCst), cache.flights.len()), (1, 1, 0));
    let numbers = cache.numbers();
    assert_eq!((numbers.computed, numbers.joined, numbers.hits), (1, 7, 0));
}

#[tokio::test]
async fn a_caller_that_leaves_takes_nothing_from_the_others() {
    let (cache, slow) = (ReportCache::new(1 << 20), Slow::default());
    let ask = || {
        let (cache, slow) = (cache.clone(), slow.clone());
        tokio::spawn(async move {
            let compute = || slow.clone().answer(0, Ok(json!(1)));
            cache.answer(&wanted(0), compute).await.map(|(_, source)| source)
        })
    };
    let first = ask();
    slow.has_begun(1).await;
    let second = ask();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    slow.go_on.notify_waiters();
    assert_eq!(second.await.unwrap().unwrap(), Source::Joined);
    assert_eq!(slow.begun.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_computation_that_nobody_waits_for_is_stopped() {
    let (cache, slow) = (ReportCache::new(1 << 20), Slow::default());
    let asking = {
        let (cache, slow) = (cache.clone(), slow.clone());
        tokio::spawn(async move {
            let compute = || slow.clone().answer(0, Ok(json!(1)));
            cache.answer(&wanted(0), compute).await.map(|_| ())
        })
    };
    slow.has_begun(1).await;
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    while cache.flights.len() > 0 {
        tokio::task::yield_now().await;
    }
    slow.go_on.notify_waiters();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(slow.ended.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_error_is_told_to_all_who_wait_and_not_kept() {
    let cache = ReportCache::new(1 << 20);
    let failing = || async { Err(Problem::new(Code::Timeout, "Too slow.")) };
    for _ in 0..2 {
        let problem = cache.answer(&wanted(0), failing).await.unwrap_err();
        assert_eq!(problem.code(), Code::Timeout);
    }
    assert_eq!((cache.numbers().computed, cache.flights.len()), (2, 0));
    let falling = || async { panic!("falls") };
    assert_eq!(cache.answer(&wanted(0), falling).await.unwrap_err().code(), Code::Internal);
    let sound = || async { entry(json!(1), 0, Duration::from_secs(1)) };
    assert_eq!(cache.answer(&wanted(0), sound).await.unwrap().1, Source::Computed);
    assert_eq!(cache.answer(&wanted(0), sound).await.unwrap().1, Source::Kept);
}

#[tokio::test]
async fn an_answer_under_way_serves_nobody_who_asks_after_its_end() {
    let (cache, slow) = (ReportCache::new(1 << 20), Slow::default());
    let ask = |now: i64| {
        let (cache, slow) = (cache.clone(), slow.clone());
        tokio::spawn(async move {
            let compute = || slow.clone().answer(now, Ok(json!(now)));
            let (entry, source) = cache.answer(&wanted(now), compute).await.unwrap();
            (entry.answer().body.clone(), source)
        })
    };
    let early = ask(0);
    slow.has_begun(1).await;
    // Ten seconds later the first one's answer is over before it is there.
    let late = ask(10);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    slow.go_on.notify_waiters();
    assert_eq!(early.await.unwrap(), (json!(0), Source::Computed));
    slow.has_begun(2).await;
    slow.go_on.notify_waiters();
    assert_eq!(late.await.unwrap(), (json!(10), Source::Computed));
}

#[tokio::test]
async fn what_has_no_room_goes_and_is_counted() {
    let cache = ReportCache::new(20_000);
    for limit in 0..50 {
        let mut wanted = wanted(0);
        wanted.key = key("1", &[("limit", limit.to_string().as_str())]);
        let big = || async { entry(json!("x".repeat(2_000)), 0, Duration::from_secs(1)) };
        cache.answer(&wanted, big).await.unwrap();
    }
    cache.settle().await;
    let numbers = cache.numbers();
    assert!(numbers.bytes <= 20_000 && numbers.entries < 10 && numbers.evicted > 30, "{numbers:?}");
}
