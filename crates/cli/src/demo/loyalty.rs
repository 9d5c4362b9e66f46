//! A loyalty programme that never was: merchants, stores, cards that enrol in waves, come back at their
//! own pace and drift away. Every name says that it is synthetic.

use ebbtide_model::Instant;

use super::Size;
use super::random::Random;
use super::rows::{DAY_S, Rows, Span, instant, opening_hours, seconds, whole};

const SEED: u64 = 0x0eb_b71d_e001;
/// A year and a half.
const SPAN_DAYS: i64 = 548;
/// Cards of each merchant.
const CARDS: [i64; 3] = [3_000, 1_500, 600];
const STORES: [&[&str]; 3] =
    [&["Station", "Old town", "Harbour", "University"], &["Market", "Airport"], &["Village"]];
/// Days (from the start) around which a campaign brought new cards.
const CAMPAIGNS: [f64; 4] = [40.0, 170.0, 330.0, 500.0];

/// The tables as CSV, parents first, up to `end`: the same gives the same bytes.
pub(super) fn tables(end: Instant, size: Size) -> Vec<(&'static str, String)> {
    let mut programme = Programme::new(end);
    for (merchant, cards) in (1..).zip(CARDS) {
        programme.merchant(merchant, if merchant == 1 { cards * size.times } else { cards });
    }
    let Programme { merchants, stores, cards, transactions, .. } = programme;
    [merchants, stores, cards, transactions].map(Rows::finish).into()
}

struct Programme {
    random: Random,
    span: Span,
    merchants: Rows,
    stores: Rows,
    cards: Rows,
    transactions: Rows,
}

impl Programme {
    fn new(end: Instant) -> Self {
        Self {
            random: Random::new(SEED),
            span: Span::before(end, SPAN_DAYS),
            merchants: Rows::new("merchants", "id,name"),
            stores: Rows::new("stores", "id,merchant_id,name"),
            cards: Rows::new(
                "cards",
                "id,merchant_id,card_number,customer_name,points_balance,is_active,created_at,last_activity_at",
            ),
            transactions: Rows::new(
                "transactions",
                "id,merchant_id,store_id,card_id,transaction_type,points_delta,amount_cents,transaction_at",
            ),
        }
    }

    fn merchant(&mut self, merchant: i64, cards: i64) {
        self.merchants.push(format_args!("{merchant},Demo merchant {merchant} (synthetic)"));
        let names = usize::try_from(merchant - 1).ok().and_then(|index| STORES.get(index)).copied();
        let first_store = self.stores.next_id();
        for name in names.unwrap_or_default() {
            let id = self.stores.next_id();
            self.stores.push(format_args!("{id},{merchant},{name} (synthetic)"));
        }
        let stores = (first_store, self.stores.count);
        for _ in 0..cards {
            self.card(merchant, stores);
        }
    }

    fn card(&mut self, merchant: i64, stores: (i64, i64)) {
        let card = self.cards.next_id();
        let enrolled_s = self.span.start_s + self.enrolment_day() * DAY_S + opening_hours(&mut self.random);
        if enrolled_s >= self.span.end_s {
            return;
        }
        let mut visits = Visits {
            card,
            merchant,
            home: stores.0 + self.random.below(stores.1 - stores.0 + 1),
            stores,
            points: 0,
            last_s: None,
        };
        let pace_days = self.random.around(9.0, 0.6);
        let stays_days = if self.random.chance(0.3) { f64::MAX } else { self.random.waiting(140.0) };
        // Some enrol at a purchase, some at home, and some are never seen at all.
        let mut day = if self.random.chance(0.6) { 0.0 } else { self.random.waiting(pace_days) };
        if self.random.chance(0.07) {
            day = f64::MAX;
        }
        while day <= stays_days {
            let at_s = enrolled_s + seconds(day);
            if at_s >= self.span.end_s {
                break;
            }
            self.visit(&mut visits, at_s);
            day += pace_days * (0.3 + 1.4 * self.random.unit()) + 0.05;
        }
        let last = visits.last_s.map(instant).unwrap_or_default();
        let active = !self.random.chance(0.03);
        self.cards.push(format_args!(
            "{card},{merchant},D-{card:06},Demo customer {card} (synthetic),{},{active},{},{last}",
            visits.points,
            instant(enrolled_s)
        ));
    }

    fn visit(&mut self, visits: &mut Visits, at_s: i64) {
        let id = self.transactions.next_id();
        let Visits { card, merchant, home, stores, .. } = *visits;
        let store = match self.random.below(20) {
            0 => String::new(),
            1..=4 => (stores.0 + self.random.below(stores.1 - stores.0 + 1)).to_string(),
            _ => home.to_string(),
        };
        let cents = whole(self.random.around(1_650.0, 0.55));
        let (kind, points, amount) = match self.random.below(100) {
            0..=9 if visits.points >= 100 => ("points_redeemed", -100, String::new()),
            10..=11 => ("adjustment", self.random.below(41) - 20, String::new()),
            12..=29 => ("stamp_earned", 1, String::new()),
            30..=33 => ("points_earned", cents / 100, String::new()),
            _ => ("points_earned", cents / 100, cents.to_string()),
        };
        visits.points += points;
        visits.last_s = Some(at_s);
        let row = format_args!("{id},{merchant},{store},{card},{kind},{points},{amount},{}", instant(at_s));
        self.transactions.push(row);
    }

    /// A day from 0 to the span's end: an even stream of newcomers, and more of them around campaigns.
    fn enrolment_day(&mut self) -> i64 {
        const PEAK: f64 = 5.0;
        loop {
            let day = self.random.below(SPAN_DAYS + 1);
            let near = |campaign: &f64| (PEAK - 1.0) * (-((day as f64 - campaign) / 9.0).powi(2)).exp();
            let weight = 1.0 + CAMPAIGNS.iter().map(near).sum::<f64>();
            if self.random.unit() * PEAK < weight {
                return day;
            }
        }
    }
}

/// A card as its visits go on.
struct Visits {
    card: i64,
    merchant: i64,
    home: i64,
    /// The first and the last of the merchant's.
    stores: (i64, i64),
    points: i64,
    last_s: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::super::rows::check_made_up;
    use super::*;

    #[test]
    fn the_programme_is_made_up_the_same_way_each_time() {
        let least = [("merchants", 3), ("stores", 7), ("cards", 4_500), ("transactions", 80_000)];
        check_made_up(tables, &["merchants", "stores", "cards"], &least);
    }
}
