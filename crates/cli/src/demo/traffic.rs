//! Shoppers who come while the demo runs, so that its live answers move: they browse, think, buy and leave, at a
//! given rate of events. As made up as the rest, and labelled so.

use std::thread::JoinHandle;
use std::time::Duration;

use ebbtide_model::Instant;
use serde_json::{Value as Json, json};

use super::random::Random;
use super::rows::whole;
use super::storefront::{Visitor, chances, device, next_screen};
use crate::client::Client;
use crate::clock;
use crate::failure::Failure;

/// The shop that they come to.
pub(super) const SHOP: &str = "north";
/// Events of one shopper, about.
const EVENTS_EACH: f64 = 3.0;
/// How long a shopper thinks, about.
const THINK_S: f64 = 4.0;
/// How often events are sent.
const PACE: Duration = Duration::from_millis(100);
/// How long it waits for a server that does not answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// Events of one request, which is what the pack takes in a list.
const LIST_MAX: usize = 1_000;

/// Whoever is in the shop.
pub(super) struct Traffic {
    random: Random,
    /// Events a second.
    rate: f64,
    /// Up to when there are events.
    until: Instant,
    /// What is left of an event that is not due yet.
    due: f64,
    shoppers: Vec<Shopper>,
    came: u64,
    /// Tells this run's sessions from those of others.
    run: i64,
}

struct Shopper {
    visitor: Visitor,
    user: String,
    session: String,
    /// When it did something last.
    at: Instant,
}

impl Traffic {
    pub(super) fn new(rate: u32, now: Instant) -> Self {
        let run = now.micros();
        Self {
            random: Random::new(run.unsigned_abs()),
            rate: f64::from(rate),
            until: now,
            due: 0.0,
            shoppers: Vec::new(),
            came: 0,
            run: run.div_euclid(Instant::MICROS_PER_SECOND),
        }
    }

    /// The events between the last call's moment and this one, in order of their times.
    pub(super) fn until(&mut self, now: Instant) -> Vec<Json> {
        let passed = now.micros().saturating_sub(self.until.micros()).max(0);
        let start = self.until;
        self.until = now;
        self.due += passed as f64 / 1e6 * self.rate;
        let count = whole(self.due).max(0);
        self.due -= count as f64;
        (1..=count)
            .map(|number| {
                let at = start.micros() + passed / count * number;
                self.event(Instant::from_micros(at.min(now.micros())))
            })
            .collect()
    }

    /// Somebody does something: one of those who are there, or one who comes.
    fn event(&mut self, at: Instant) -> Json {
        let there = self.shoppers.len() as f64;
        let crowded = there >= (self.rate * THINK_S).max(1.0);
        if there < 1.0 || (!crowded && self.random.chance(1.0 / EVENTS_EACH)) {
            self.come(at);
        }
        let count = i64::try_from(self.shoppers.len()).unwrap_or(i64::MAX);
        let place = usize::try_from(self.random.below(count)).unwrap_or(0);
        let mut shopper = self.shoppers.swap_remove(place);
        let (on, leave) = chances(&shopper.visitor);
        let chance = self.random.unit();
        let next = next_screen(shopper.visitor.screen);
        let to = match next {
            "" => "exit",
            next if chance < on => next,
            _ if chance < on + leave => "exit",
            // A look back: whoever does nothing any more is told of by no event.
            _ => "home",
        };
        let event = self.told(&shopper, to, at);
        if to != "exit" {
            shopper.visitor.screen = to;
            shopper.at = at;
            // Some tabs stay open, and nothing more happens in them.
            if !self.random.chance(0.08) {
                self.shoppers.push(shopper);
            }
        }
        event
    }

    fn come(&mut self, at: Instant) {
        self.came += 1;
        let visitor = Visitor { device: device(&mut self.random), screen: "home" };
        let user = format!("visitor-{} (synthetic)", 1 + self.random.below(5_000));
        let session = format!("live-{}-{}", self.run, self.came);
        let thinks = whole(self.random.waiting(THINK_S) * 1e6);
        let at = Instant::from_micros(at.micros().saturating_sub(thinks));
        self.shoppers.push(Shopper { visitor, user, session, at });
    }

    fn told(&mut self, shopper: &Shopper, to: &str, at: Instant) -> Json {
        let slow = if shopper.visitor.screen == "cart" { 3.0 } else { 1.0 };
        let think_ms = at.micros().saturating_sub(shopper.at.micros()).max(0) / 1_000;
        let kind = if to == "exit" { "exit" } else { "navigate" };
        json!({
            "user_id": shopper.user, "session_id": shopper.session, "screen": shopper.visitor.screen,
            "next_screen": to, "event_type": kind, "user_think_time": think_ms,
            "system_latency": whole(self.random.around(45.0, 0.5) * slow), "timestamp": at.to_string(),
            "device": shopper.visitor.device,
        })
    }
}

/// Sends shoppers to a server until the process ends.
pub(super) fn begin(rate: u32, server: &str, token: &str) -> Result<JoinHandle<()>, Failure> {
    let client = Client::new(server, token)?;
    let send = move || {
        let mut traffic = Traffic::new(rate, clock::now());
        loop {
            std::thread::sleep(PACE);
            let events = traffic.until(clock::now());
            // Nobody is told of a server that is not there yet, or no more: its own log is.
            let sent = |list: &[Json]| client.post("/events", &Json::from(list).to_string());
            if events.chunks(LIST_MAX).any(|list| sent(list).is_err()) {
                std::thread::sleep(PATIENCE);
            }
        }
    };
    let thread = std::thread::Builder::new().name("demo-traffic".to_owned()).spawn(send);
    thread.map_err(Failure::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shoppers_do_so_many_things_a_second_each_after_the_other() {
        let start = Instant::parse("2026-06-15T12:30:00Z").unwrap();
        let mut traffic = Traffic::new(50, start);
        let mut events = Vec::new();
        for tenth in 1..=600 {
            let now = Instant::from_micros(start.micros() + tenth * 100_000);
            events.extend(traffic.until(now));
        }
        assert_eq!(events.len(), 50 * 60);
        let mut last = start;
        let (mut places, mut bought, mut left) = (std::collections::HashMap::new(), 0, 0);
        for event in &events {
            let text = |name: &str| event[name].as_str().unwrap().to_owned();
            let at = Instant::parse(&text("timestamp")).unwrap();
            assert!(at >= last && at > start, "{event}");
            last = at;
            // A session goes on from the screen that it was led to.
            let place = places.insert(text("session_id"), text("next_screen"));
            assert_eq!(place.unwrap_or_else(|| "home".to_owned()), text("screen"), "{event}");
            assert_eq!(text("event_type") == "exit", text("next_screen") == "exit", "{event}");
            assert!(text("user_id").ends_with("(synthetic)"), "{event}");
            assert!(event["user_think_time"].as_i64().unwrap() >= 0, "{event}");
            bought += i32::from(text("next_screen") == "success");
            left += i32::from(text("next_screen") == "exit");
        }
        assert!(bought > 50 && left > 200 && places.len() > 500, "{bought} {left} {}", places.len());
        assert!(traffic.shoppers.len() <= 201, "{}", traffic.shoppers.len());
    }
}
