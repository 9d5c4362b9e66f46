//! A product that never was: visitors who look around without a name, some who sign up and are known from then
//! on by another, and what they buy. Every actor says that it is synthetic.

use ebbtide_model::Instant;

use super::Size;
use super::random::Random;
use super::rows::{DAY_S, HOUR_S, Rows, Span, instant, seconds, whole};

const SEED: u64 = 0x0eb_b71d_e005;
const SPAN_DAYS: i64 = 120;
/// Visitors of each tenant.
const VISITORS: [(&str, i64); 2] = [("acme", 2_400), ("globex", 700)];
const PAGES: [&str; 6] = ["/", "/pricing", "/docs", "/blog", "/features", "/about"];
const BROWSERS: [&str; 4] = ["Chrome", "Safari", "Firefox", "Edge"];
const PLANS: [(&str, i64); 3] = [("free", 0), ("team", 29), ("business", 99)];

/// The tables as CSV up to `end`: the same gives the same bytes.
pub(super) fn tables(end: Instant, size: Size) -> Vec<(&'static str, String)> {
    let mut product = Product {
        random: Random::new(SEED),
        span: Span::before(end, SPAN_DAYS),
        events: Rows::new("events", "tenant,event,actor,ts,event_id,url,browser,plan,amount"),
        aliases: Rows::new("aliases", "tenant,alias,actor"),
        properties: Rows::new("actor_properties", "tenant,actor,name,value"),
    };
    for (tenant, visitors) in VISITORS {
        let visitors = if tenant == VISITORS[0].0 { visitors * size.times } else { visitors };
        for number in 1..=visitors {
            product.visitor(tenant, number);
        }
    }
    let Product { events, aliases, properties, .. } = product;
    [events, aliases, properties].map(Rows::finish).into()
}

struct Product {
    random: Random,
    span: Span,
    events: Rows,
    aliases: Rows,
    properties: Rows,
}

/// Somebody, by the name that is known so far.
struct Visitor {
    tenant: &'static str,
    name: String,
    browser: &'static str,
    plan: Option<(&'static str, i64)>,
    at_s: i64,
}

impl Product {
    fn visitor(&mut self, tenant: &'static str, number: i64) {
        let mut visitor = Visitor {
            tenant,
            name: format!("anon-{number} (synthetic)"),
            browser: self.pick(&BROWSERS),
            plan: None,
            at_s: self.span.growing(&mut self.random),
        };
        let pace_days = self.random.around(4.0, 0.7);
        let stays_days = self.random.waiting(25.0);
        let start_s = visitor.at_s;
        while visitor.at_s < self.span.end_s {
            self.session(&mut visitor, number);
            visitor.at_s += seconds(pace_days * (0.3 + 1.4 * self.random.unit())) + HOUR_S;
            if visitor.at_s - start_s > seconds(stays_days) {
                break;
            }
        }
    }

    fn session(&mut self, visitor: &mut Visitor, number: i64) {
        for _ in 0..=self.random.below(4) {
            let page = self.pick(&PAGES);
            self.event(visitor, "view", page, None);
        }
        if visitor.plan.is_none() && self.random.chance(0.2) {
            self.sign_up(visitor, number);
        } else if let Some((_, price)) = visitor.plan
            && price > 0
            && self.random.chance(0.35)
        {
            let seats = 1 + whole(self.random.waiting(2.0)).min(20);
            self.event(visitor, "purchase", "/billing", Some(price * seats));
        }
        if visitor.plan.is_some() && self.random.chance(0.1) {
            self.event(visitor, "invite", "/team", None);
        }
    }

    fn sign_up(&mut self, visitor: &mut Visitor, number: i64) {
        let known = format!("user-{number} (synthetic)");
        let tenant = visitor.tenant;
        self.aliases.push(format_args!("{tenant},{},{known}", visitor.name));
        visitor.name = known;
        let (plan, price) = self.pick(&PLANS);
        visitor.plan = Some((plan, price));
        // A text, as JSON writes it, and then as CSV does.
        let row = format_args!("{tenant},{},plan,\"\"\"{plan}\"\"\"", visitor.name);
        self.properties.push(row);
        self.event(visitor, "signup", "/signup", None);
    }

    /// An event, some seconds after the one before; none that is still to come.
    fn event(&mut self, visitor: &mut Visitor, event: &str, url: &str, amount: Option<i64>) {
        visitor.at_s += 1 + self.random.below(120);
        if visitor.at_s >= self.span.end_s || visitor.at_s < self.span.start_s - DAY_S {
            return;
        }
        let id = self.events.next_id();
        let Visitor { tenant, name, browser, plan, at_s } = visitor;
        let plan = plan.map_or("", |(plan, _)| plan);
        let amount = amount.map(|amount| amount.to_string()).unwrap_or_default();
        let ts = instant(*at_s);
        self.events.push(format_args!("{tenant},{event},{name},{ts},e{id},{url},{browser},{plan},{amount}"));
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let count = i64::try_from(from.len()).unwrap_or(1);
        let place = usize::try_from(self.random.below(count)).unwrap_or(0);
        from[place]
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::check_made_up;
    use super::*;

    #[test]
    fn the_product_is_made_up_the_same_way_each_time() {
        let least = [("events", 30_000), ("aliases", 800), ("actor_properties", 800)];
        check_made_up(tables, &["events", "aliases", "actor_properties"], &least);
    }
}
