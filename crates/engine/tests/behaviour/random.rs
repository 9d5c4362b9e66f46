//! Random rows and the random parts of a query, repeatable by their seed.

use std::collections::BTreeMap;
use std::sync::Arc;

use ebbtide_model::{Instant, Value};
use serde_json::{Value as Json, json};

use super::world::{Event, at};

/// Xorshift, warmed up so that neighbouring seeds differ.
pub(crate) struct Random {
    state: u64,
    /// Where it is not empty, events happen at these instants only, so that many are simultaneous.
    instants: Vec<Instant>,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut random = Self { state, instants: Vec::new() };
        for _ in 0..8 {
            random.next();
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound
    }

    pub(crate) fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()].clone()
    }

    /// About the end of summer time, in steps that make ties and meet the starts of periods.
    pub(crate) fn instant(&mut self) -> Instant {
        let start = at("2024-10-14T00:00:00Z").micros();
        let hours = i64::try_from(self.below(24 * 60)).unwrap();
        let step = self.pick(&[1, 1, 6, 24]);
        let nudge = self.pick(&[0, 0, 0, 0, 1, -1]);
        Instant::from_micros(start + hours / step * step * 3_600_000_000 + nudge)
    }

    /// Early among the events, so that most are after it.
    pub(crate) fn early(&mut self) -> Instant {
        let (one, other, third) = (self.instant(), self.instant(), self.instant());
        one.min(other).min(third)
    }

    pub(crate) fn as_of(&mut self) -> Instant {
        match self.below(4) {
            0 => self.instant(),
            1 => at("2024-12-13T23:59:59.999999Z"),
            _ => at("2025-06-01T00:00:00Z"),
        }
    }

    pub(crate) fn tenant(&mut self) -> Option<&'static str> {
        if self.one_in(20) {
            return Some("nobody");
        }
        self.pick(&[None, None, Some("a"), Some("a"), Some("a"), Some("b")])
    }

    pub(crate) fn zone(&mut self) -> &'static str {
        self.pick(&["UTC", "UTC", "America/New_York", "Europe/Paris", "Asia/Kolkata", "Pacific/Apia"])
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        let count = self.pick(&[0, 1, 10, 60, 60, 150, 150, 200]);
        let actors = self.pick(&[2, 4, 9]);
        self.instants.clear();
        if self.one_in(2) {
            self.instants = (0..12).map(|_| self.instant()).collect();
        }
        (0..count).map(|index| self.event(actors, index)).collect()
    }

    /// Rows that say which card another is, among some that say nothing of a card with sales.
    pub(crate) fn aliases(&mut self) -> Vec<Event> {
        let mut rows = Vec::new();
        for tenant in ["a", "b", "c"] {
            for alias in 0..8 {
                if self.one_in(3) {
                    // Led to by way of others, too, and never in a circle.
                    let actor = i64::try_from(self.below(alias + 1)).unwrap() - 1;
                    let alias = i64::try_from(alias).unwrap();
                    let values =
                        [("shop", text(tenant)), ("name", Value::Int(alias)), ("card", Value::Int(actor))];
                    rows.push(Event { table: "names", tenant, values: values.into_iter().collect() });
                }
            }
        }
        rows
    }

    /// Properties of cards, each said once of a name; null where it was taken away.
    pub(crate) fn traits(&mut self) -> Vec<Event> {
        let mut rows = Vec::new();
        for (tenant, name) in [("a", "plan"), ("a", "level"), ("b", "plan"), ("c", "level")] {
            for card in -1..8 {
                if self.one_in(2) {
                    continue;
                }
                let value = self.pick(&[
                    Some(r#""gold""#),
                    Some(r#""Gold card""#),
                    Some("1"),
                    Some("2.5"),
                    Some("true"),
                    Some(r#""1""#),
                    None,
                ]);
                let values = [
                    ("shop", text(tenant)),
                    ("card", Value::Int(card)),
                    ("name", text(name)),
                    ("value", value.map_or(Value::Null, text)),
                ];
                rows.push(Event { table: "traits", tenant, values: values.into_iter().collect() });
            }
        }
        rows
    }

    /// A filter on a property of a sale's card.
    fn filter_of_actor(&mut self) -> Json {
        let prop = self.pick(&["plan", "plan", "level", "unheard"]);
        let op = self.pick(&[
            "eq",
            "neq",
            "in",
            "not_in",
            "is_set",
            "is_not_set",
            "lt",
            "gte",
            "contains",
            "not_contains",
        ]);
        let value = match op {
            "contains" | "not_contains" => json!("GOLD"),
            "lt" | "gte" => self.pick(&[json!(2), json!(1.0), json!("gold")]),
            "is_set" | "is_not_set" => return json!({"prop": prop, "op": op, "scope": "actor"}),
            _ => self.pick(&[
                json!("gold"),
                json!("1"),
                json!(1),
                json!(1.0),
                json!(2.5),
                json!(true),
                json!(null),
            ]),
        };
        let value = if matches!(op, "in" | "not_in") { json!([value, 1]) } else { value };
        json!({"prop": prop, "op": op, "value": value, "scope": "actor"})
    }

    fn event(&mut self, actors: u64, index: u64) -> Event {
        let table = self.pick(&["cards", "sales", "sales", "sales", "sales", "views"]);
        let tenant = self.pick(&["a", "a", "a", "a", "b", "c"]);
        let actor = i64::try_from(self.below(actors)).unwrap() - 1;
        let mut values = BTreeMap::new();
        let mut put =
            |name: &'static str, value: Option<Value>| values.insert(name, value.unwrap_or(Value::Null));
        put("shop", Some(text(tenant)));
        let instants = std::mem::take(&mut self.instants);
        let instant = if instants.is_empty() { self.instant() } else { self.pick(&instants) };
        self.instants = instants;
        put("at", (!self.one_in(20)).then_some(Value::Timestamp(instant)));
        let no_one = self.one_in(25);
        put("id", Some(Value::Int(actor)));
        put("card", (!no_one).then_some(Value::Int(actor)));
        put("who", (!no_one).then(|| text(&"x".repeat(usize::try_from(actor + 1).unwrap()))));
        put("tier", self.pick(&[None, Some(text("gold")), Some(text("tin"))]));
        put(
            "type",
            self.pick(&[None, Some(text("buy")), Some(text("buy")), Some(text("look")), Some(text("Buy"))]),
        );
        put(
            "amount",
            self.pick(&[None, Some(0.1), Some(0.2), Some(-3.25), Some(1e-7), Some(12.5)]).map(Value::Float),
        );
        put(
            "cost",
            self.pick(&[None, Some(1), Some(2_500_000_000), Some(-1_000_000_000)]).map(Value::Decimal),
        );
        put("points", self.pick(&[None, Some(0), Some(1), Some(2), Some(100), Some(-5)]).map(Value::Int));
        put(
            "place",
            self.pick(&[
                None,
                Some(text("")),
                Some(text("Gare")),
                Some(text("gare du Nord")),
                Some(text("0")),
                Some(text("\u{2003}Gare\n")),
            ]),
        );
        put(
            "receipt",
            Some(text(&format!("{}{index}", self.pick(&["a", "é", "Z", "9", "\u{10000}", "\u{ffff}"])))),
        );
        put("open", self.pick(&[None, Some(false), Some(true)]).map(Value::Bool));
        put("day", self.pick(&[None, Some(20_000), Some(20_001)]).map(Value::Date));
        Event { table, tenant, values }
    }

    /// A matcher of the sales, or now and then of the cards.
    pub(crate) fn matcher(&mut self, tables: &[&str]) -> Json {
        let table = self.pick(tables);
        let event = if table == "cards" {
            Json::Null
        } else {
            self.pick(&[json!(null), json!(null), json!("buy"), json!("buy"), json!("look")])
        };
        let filters = if table == "sales" && self.one_in(4) { vec![self.filter(0)] } else { Vec::new() };
        json!({"table": table, "event": event, "where": filters})
    }

    /// A filter on the sales.
    pub(crate) fn filter(&mut self, depth: u32) -> Json {
        if depth < 3 && self.one_in(4) {
            let list: Vec<Json> = (0..self.below(3)).map(|_| self.filter(depth + 1)).collect();
            return if self.one_in(2) { json!({"any": list}) } else { json!({"all": list}) };
        }
        if self.one_in(6) {
            return self.filter_of_actor();
        }
        let (prop, values) = self.pick(&[
            ("place", vec![json!("Gare"), json!("gare"), json!(""), json!("0"), json!("É"), json!(null)]),
            ("points", vec![json!(0), json!(1), json!(1.5), json!(100.0), json!(null)]),
            ("amount", vec![json!(0.1), json!(-3.25), json!(12), json!(1e-7), json!(null)]),
            ("cost", vec![json!(2.5), json!(-1), json!(0.000_000_001), json!(null)]),
            ("open", vec![json!(true), json!(false), json!(null)]),
            ("event", vec![json!("buy"), json!("look"), json!("Buy")]),
            ("day", vec![json!("2024-10-04"), json!("2024-10-05"), json!("1999-01-01")]),
            ("at", vec![json!("2024-11-01T00:00:00Z"), json!("2024-10-20T02:00:00+02:00")]),
        ]);
        let text = matches!(prop, "place" | "event");
        let ordered = prop != "open";
        let op = self.pick(&[
            "eq",
            "neq",
            "in",
            "not_in",
            "is_set",
            "is_not_set",
            "lt",
            "lte",
            "gt",
            "gte",
            "contains",
            "not_contains",
            "matches",
        ]);
        let value = self.pick(&values);
        match op {
            "contains" | "not_contains" | "matches" if !text || value.is_null() => {
                json!({"prop": prop, "op": "is_set"})
            }
            "lt" | "lte" | "gt" | "gte" if !ordered || value.is_null() => {
                json!({"prop": prop, "op": "is_not_set"})
            }
            "is_set" | "is_not_set" => json!({"prop": prop, "op": op}),
            "in" | "not_in" => json!({"prop": prop, "op": op, "value": [value, self.pick(&values)]}),
            _ => json!({"prop": prop, "op": op, "value": value}),
        }
    }
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(Arc::from(text))
}
