//! Shops that never were: shoppers who look around, think, buy or leave, some of them without a word. Every
//! shopper says that it is synthetic.

use ebbtide_model::Instant;

use super::Size;
use super::random::Random;
use super::rows::{HOUR_S, Rows, Span, instant, opening_hours, whole};

const SEED: u64 = 0x0eb_b71d_e006;
const SPAN_DAYS: i64 = 30;
/// Sessions of each shop.
const SHOPS: [(&str, i64); 2] = [("north", 5_000), ("south", 1_200)];
/// Of those who come from far more go on to a phone's small cart, and give up there.
const DEVICES: [(&str, f64); 3] = [("desktop", 0.50), ("phone", 0.40), ("tablet", 0.10)];
/// A client tells how long it took of one event in so many.
const REPORTED_ONE_IN: i64 = 5;

/// The tables as CSV up to `end`: the same gives the same bytes.
pub(super) fn tables(end: Instant, size: Size) -> Vec<(&'static str, String)> {
    let mut market = Market {
        random: Random::new(SEED),
        span: Span::before(end, SPAN_DAYS),
        events: Rows::new(
            "events",
            "shop,event_id,user_id,session_id,screen,next_screen,event_type,user_think_time,system_latency,timestamp,device",
        ),
        latencies: Rows::new("latencies", "shop,event_id,screen,client_latency,reported_at"),
    };
    for (shop, sessions) in SHOPS {
        let sessions = if shop == SHOPS[0].0 { sessions * size.times } else { sessions };
        for number in 1..=sessions {
            market.session(shop, number, sessions);
        }
    }
    let Market { events, latencies, .. } = market;
    [events, latencies].map(Rows::finish).into()
}

struct Market {
    random: Random,
    span: Span,
    events: Rows,
    latencies: Rows,
}

/// Somebody in a shop.
struct Shopper {
    shop: &'static str,
    user: String,
    session: String,
    visitor: Visitor,
    at_s: i64,
}

/// Who it is that looks at what.
pub(super) struct Visitor {
    pub(super) device: &'static str,
    pub(super) screen: &'static str,
}

impl Market {
    fn session(&mut self, shop: &'static str, number: i64, sessions: i64) {
        let day_s = self.span.growing(&mut self.random).div_euclid(24 * HOUR_S) * 24 * HOUR_S;
        let mut shopper = Shopper {
            shop,
            user: format!("shopper-{} (synthetic)", 1 + self.random.below(sessions / 2)),
            session: format!("{shop}-{number}"),
            visitor: Visitor { device: device(&mut self.random), screen: "home" },
            at_s: day_s + opening_hours(&mut self.random),
        };
        loop {
            let (on, leave) = chances(&shopper.visitor);
            let chance = self.random.unit();
            let next = next_screen(shopper.visitor.screen);
            if chance < on && !next.is_empty() {
                self.event(&mut shopper, next);
            } else if chance < on + leave || next.is_empty() {
                self.event(&mut shopper, "exit");
                break;
            } else if chance < on + leave + 0.12 && shopper.visitor.screen != "home" {
                self.event(&mut shopper, "home");
            } else {
                // The tab stays open, and nothing more happens.
                break;
            }
        }
    }

    /// What the shopper does after having thought about it; nothing that is still to come.
    fn event(&mut self, shopper: &mut Shopper, next: &'static str) {
        let slow = if shopper.visitor.screen == "cart" { 3.0 } else { 1.0 };
        let think_ms = whole(self.random.around(2_500.0, 0.7) * slow).min(200_000);
        let system_ms = whole(self.random.around(45.0, 0.5) * slow);
        shopper.at_s += 1 + think_ms / 1_000;
        if shopper.at_s >= self.span.end_s {
            return;
        }
        let number = self.events.next_id();
        let Shopper { shop, user, session, visitor: Visitor { device, screen }, at_s } = shopper;
        let kind = if next == "exit" { "exit" } else { "navigate" };
        let at = instant(*at_s);
        self.events.push(format_args!(
            "{shop},e{number},{user},{session},{screen},{next},{kind},{think_ms},{system_ms},{at},{device}"
        ));
        if number % REPORTED_ONE_IN == 0 {
            let client_ms = system_ms + whole(self.random.around(120.0, 0.4));
            self.latencies.push(format_args!("{shop},e{number},{screen},{client_ms},{at}"));
        }
        if next != "exit" {
            shopper.visitor.screen = next;
        }
    }
}

pub(super) fn device(random: &mut Random) -> &'static str {
    let mut left = random.unit();
    for (device, share) in DEVICES {
        left -= share;
        if left < 0.0 {
            return device;
        }
    }
    "desktop"
}

/// How likely somebody goes on, and how likely leaves with a click.
pub(super) fn chances(visitor: &Visitor) -> (f64, f64) {
    match (visitor.screen, visitor.device) {
        ("home", _) => (0.70, 0.12),
        ("product", _) => (0.52, 0.14),
        ("cart", "phone") => (0.42, 0.30),
        ("cart", _) => (0.66, 0.12),
        _ => (0.0, 0.5),
    }
}

/// Where somebody goes on to; empty: nowhere.
pub(super) fn next_screen(screen: &str) -> &'static str {
    match screen {
        "home" => "product",
        "product" => "cart",
        "cart" => "success",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::check_made_up;
    use super::*;

    #[test]
    fn the_shops_are_made_up_the_same_way_each_time() {
        check_made_up(tables, &["events"], &[("events", 8_000), ("latencies", 1_600)]);
    }
}
