//! Actors folded apart, their states carried as bytes and merged in any order, are actors folded together.

use ebbtide_model::query::{BoundQuery, FunnelView, Interval, Kind, Query, bind};
use ebbtide_model::{
    AppName, AppSchema, Calendar, Column, ColumnType, Instant, TableKind, TableName, TableSchema, TenantId,
    TenantRule, Unit,
};
use serde_json::{Value as Json, json};

use super::churn::ChurnFold;
use super::dropoff::{DropoffFold, DropoffState, Runs};
use super::fold::{Actor, Fold, Run};
use super::funnel::FunnelFold;
use super::key::{Group, Key, OwnedKey};
use super::latency::LatencyFold;
use super::lifecycle::LifecycleFold;
use super::load::{Number, Times};
use super::paths::PathsFold;
use super::preceding::PrecedingFold;
use super::retention::RetentionFold;
use super::span::Span;
use super::stickiness::StickinessFold;
use super::trend::TrendFold;
use super::wire::Wire;

/// Xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

/// The events of one actor.
struct History {
    tenant: String,
    actor: i64,
    times: Vec<i64>,
    marks: Vec<u64>,
    codes: Vec<u32>,
    numbers: Vec<Option<Number>>,
    arrivals: Vec<u64>,
}

const DAY: i64 = Instant::MICROS_PER_DAY;
const GROUPS: u64 = 4;

impl History {
    fn random(random: &mut Random, actor: i64) -> Self {
        let count = random.below(12) + 1;
        let signed = |value: u64| i64::try_from(value).unwrap();
        let mut times: Vec<i64> = (0..count).map(|_| DAY / 2 * signed(random.below(60))).collect();
        times.sort_unstable();
        let number = |random: &mut Random| match random.below(3) {
            0 => None,
            _ => Some(Number::Float(0.1 * f64::from(u32::try_from(random.below(100)).unwrap()))),
        };
        Self {
            tenant: ["a", "b"][usize::try_from(random.below(2)).unwrap()].to_owned(),
            actor,
            marks: times.iter().map(|_| random.below(255) + 1).collect(),
            codes: times.iter().map(|_| u32::try_from(random.below(GROUPS)).unwrap()).collect(),
            numbers: times.iter().map(|_| number(random)).collect(),
            arrivals: times.iter().map(|_| random.below(1_000_000)).collect(),
            times,
        }
    }

    fn fold<F: Fold>(&self, fold: &F, state: &mut F::State) {
        let run = Run {
            times: &self.times,
            marks: &self.marks,
            groups: &self.codes,
            values: &self.codes,
            numbers: &self.numbers,
            keys: &[],
            arrivals: &self.arrivals,
        };
        fold.take(state, Actor { tenant: &self.tenant, key: Key::Int(self.actor) }, run);
    }
}

fn bytes<S: Wire>(state: &S) -> Vec<u8> {
    let mut bytes = Vec::new();
    state.put(&mut bytes);
    bytes
}

fn carried<S: Wire>(state: &S) -> S {
    let carried = bytes(state);
    for cut in [0, carried.len() / 2, carried.len().saturating_sub(1)] {
        // Fewer bytes are another state or none, and never a panic.
        drop(S::take(&mut &carried[..cut]));
    }
    let mut rest = carried.as_slice();
    let read = S::take(&mut rest).unwrap();
    assert!(rest.is_empty());
    read
}

/// `normal` puts lists in order whose order says nothing.
fn check<F: Fold>(fold: &F, normal: impl Fn(&mut F::State)) {
    for seed in 1..150_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let actors = random.below(30);
        let histories: Vec<History> =
            (0..actors).map(|actor| History::random(&mut random, i64::try_from(actor).unwrap())).collect();
        let mut whole = fold.fresh();
        let mut parts: Vec<F::State> = (0..4).map(|_| fold.fresh()).collect();
        for history in &histories {
            history.fold(fold, &mut whole);
            let part = &mut parts[usize::try_from(random.below(4)).unwrap()];
            history.fold(fold, part);
            if random.below(4) == 0 {
                *part = carried(part);
            }
        }
        let mut merged = carried(&fold.fresh());
        while !parts.is_empty() {
            let next = usize::try_from(random.below(parts.len() as u64)).unwrap();
            fold.merge(&mut merged, carried(&parts.swap_remove(next)));
        }
        normal(&mut whole);
        normal(&mut merged);
        assert_eq!(bytes(&merged), bytes(&whole), "seed {seed}");
    }
}

fn bound(query: Json) -> BoundQuery {
    let column = |name: &str, column_type| Column { name: name.to_owned(), column_type, nullable: true };
    let table = TableSchema {
        name: TableName::new("events"),
        kind: TableKind::Events,
        columns: vec![
            column("actor", ColumnType::Int),
            column("at", ColumnType::Timestamp),
            column("event", ColumnType::Text),
            column("amount", ColumnType::Float),
        ],
        key: Vec::new(),
        tenant: TenantRule::Fixed(TenantId::new("main")),
        actor: Some(0),
        time: Some(1),
        event_name: Some(2),
        open: None,
        aliases: None,
        actor_props: None,
    };
    let schema = AppSchema { app: AppName::new("app"), calendar: Calendar::utc(), tables: vec![table] };
    bind(&Query::parse(&query).unwrap(), &schema).unwrap()
}

const AS_OF: Instant = Instant::from_micros(25 * DAY);

#[test]
fn retentions_merge_as_bytes() {
    for more in [
        json!({}),
        json!({"type": "first_time", "cumulative": true}),
        json!({"window": "rolling", "min_occurrences": 2}),
    ] {
        let mut query =
            json!({"kind": "retention", "periods": 9, "list_actors": true, "breakdown": {"prop": "event"}});
        query.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let bound = bound(query);
        let Kind::Retention(retention) = &bound.query.kind else { panic!() };
        let fold = RetentionFold::new(&bound, retention, AS_OF).unwrap();
        let fold = fold.with_groups(usize::try_from(GROUPS).unwrap()).unwrap();
        check(&fold, |state| state.members.iter_mut().for_each(|row| row.sort_unstable()));
    }
}

#[test]
fn churns_merge_as_bytes() {
    for list in ["all", "at_risk"] {
        let bound =
            bound(json!({"kind": "churn", "list": list, "default_days": 3, "limit": 5, "model": "bg_nbd"}));
        let Kind::Churn(churn) = &bound.query.kind else { panic!() };
        let fold = ChurnFold::new(churn, &bound.calendar, AS_OF);
        check(&fold, |state| fold.cut(state));
    }
}

#[test]
fn trends_merge_as_bytes() {
    for cumulative in [false, true] {
        let mut measures = vec!["total", "unique", "unique_prop", "sum", "min"];
        if !cumulative {
            measures.push("p90");
        }
        let bound = bound(json!({
            "kind": "trend", "measure": measures, "prop": "amount", "cumulative": cumulative, "interval": "week",
            "from": "1970-01-01", "to": "1970-02-01",
        }));
        let Kind::Trend(trend) = &bound.query.kind else { panic!() };
        let span = Span::asked(&bound, trend.interval, AS_OF).unwrap();
        let fold = TrendFold::new(&span, trend.measures.as_slice(), cumulative, Some(ColumnType::Float));
        let fold = fold.with_series(vec![1, 2, super::trend::NO_SERIES, 3], 3).unwrap();
        check(&fold, |state| {
            state
                .values
                .iter_mut()
                .for_each(|cell| cell.sort_unstable_by_key(|number| format!("{number:?}")));
            state.forget_actors();
        });
    }
}

#[test]
fn lifecycles_and_stickinesses_merge_as_bytes() {
    let range =
        |kind: &str| json!({"kind": kind, "interval": "week", "from": "1970-01-09", "to": "1970-02-08"});
    let bound_lifecycle = bound(range("lifecycle"));
    let span = Span::whole(&bound_lifecycle, Unit::Week, AS_OF).unwrap();
    let fold = LifecycleFold::new(&span, Instant::from_micros(2 * DAY), 100);
    check(&fold, |state| state.members.iter_mut().for_each(|members| members.sort_unstable()));
    let span = Span::asked(&bound(range("stickiness")), Interval::Unit(Unit::Week), AS_OF).unwrap();
    check(&StickinessFold::new(&span), |_| {});
}

#[test]
fn funnels_merge_as_bytes() {
    for more in [
        json!({"breakdown": {"props": ["event"], "attribution": "all_events"}, "list_actors": true}),
        json!({"breakdown": {"props": ["event"]}, "order": "unordered", "time_between": [0, 1]}),
        json!({"viz": "trends", "interval": "week", "from": "1970-01-01", "to": "1970-02-01", "count_all_actors": true}),
    ] {
        let mut query = json!({"kind": "funnel", "steps": [{}, {}, {}], "window": "9d"});
        query.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let bound = bound(query);
        let Kind::Funnel(funnel) = &bound.query.kind else { panic!() };
        let span = Span::asked(&bound, Interval::Unit(Unit::Week), AS_OF).unwrap();
        let trends = matches!(funnel.view, FunnelView::Trends { .. });
        let fold = FunnelFold::new(&bound, funnel, trends.then_some(&span), AS_OF);
        let groups: Vec<Group> =
            (0..GROUPS).map(|group| Box::from([OwnedKey::Int(group.cast_signed())])).collect();
        let fold = fold.with_groups(&groups, |_| false).unwrap();
        check(&fold, |state| {
            state.members.iter_mut().for_each(|members| members.sort_unstable());
            for tally in std::iter::once(&mut state.all).chain(state.groups.values_mut()) {
                tally.gaps.iter_mut().for_each(|gaps| gaps.sort_unstable());
            }
        });
    }
}

#[test]
fn paths_merge_as_bytes() {
    let bound = bound(json!({"kind": "paths", "start_at": "x", "session_gap": "2d"}));
    let Kind::Paths(paths) = &bound.query.kind else { panic!() };
    check(&PathsFold::new(paths), |_| {});
}

#[test]
fn dropoffs_merge_as_bytes() {
    let bound = bound(json!({
        "kind": "dropoff", "step": "event", "next_step": "event", "steps": ["a", "b", "c"], "session": "3d",
        "idle": "9d", "success": "b", "list": "sessions",
    }));
    let Kind::Dropoff(dropoff) = &bound.query.kind else { panic!() };
    let users: Vec<OwnedKey> = (0..GROUPS).map(|user| OwnedKey::Int(user.cast_signed())).collect();
    let told = |state: &mut DropoffState| {
        let mut seen: Vec<String> = Vec::new();
        for (tenant, actors) in state.seen.drain() {
            seen.extend(
                actors.iter().map(|(actor, (shown, exits))| format!("{tenant}{actor:?}{shown}-{exits}")),
            );
        }
        seen.sort_unstable();
        state.cut(7);
        // In the place of what a map has in no order.
        let all = seen.join(" ");
        state.seen.insert(all.into(), hashbrown::HashMap::new());
    };
    for runs in [Runs::Actors, Runs::Sessions(&users)] {
        check(&DropoffFold::new(dropoff, runs, Some(ColumnType::Int), 7, AS_OF), told);
    }
    check(&LatencyFold { steps: 3 }, |_| {});
}

#[test]
fn precedings_merge_as_bytes() {
    let bound =
        bound(json!({"kind": "preceding", "before": {}, "of": {}, "show": "event", "per_actor": true}));
    let Kind::Preceding(preceding) = &bound.query.kind else { panic!() };
    let times = Times { since: Vec::new(), until: i64::MAX };
    check(&PrecedingFold::new(preceding, &times), |state| state.actors.sort_unstable());
}
