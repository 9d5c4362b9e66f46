//! A loyalty programme that never was: merchants, stores, cards that enrol in waves, come back at their
//! own pace and drift away. Every name says that it is synthetic.

use std::fmt::Write as _;

use ebbtide_model::Instant;

use super::random::Random;

const SEED: u64 = 0x0eb_b71d_e001;
const DAY_S: i64 = 86_400;
/// A year and a half.
const SPAN_DAYS: i64 = 548;
/// Cards of each merchant.
const CARDS: [i64; 3] = [3_000, 1_500, 600];
const STORES: [&[&str]; 3] =
    [&["Station", "Old town", "Harbour", "University"], &["Market", "Airport"], &["Village"]];
/// Days (from the start) around which a campaign brought new cards.
const CAMPAIGNS: [f64; 4] = [40.0, 170.0, 330.0, 500.0];

/// The tables as CSV, parents first, up to `end`: the same `end` gives the same bytes.
pub(super) fn tables(end: Instant) -> Vec<(&'static str, String)> {
    let mut programme = Programme::new(end);
    for (merchant, cards) in (1..).zip(CARDS) {
        programme.merchant(merchant, cards);
    }
    vec![
        ("merchants", programme.merchants),
        ("stores", programme.stores),
        ("cards", programme.cards),
        ("transactions", programme.transactions),
    ]
}

struct Programme {
    random: Random,
    /// Seconds since 1970.
    start_s: i64,
    end_s: i64,
    merchants: String,
    stores: String,
    cards: String,
    transactions: String,
    stores_count: i64,
    cards_count: i64,
    transactions_count: i64,
}

impl Programme {
    fn new(end: Instant) -> Self {
        let end_s = end.micros().div_euclid(Instant::MICROS_PER_SECOND);
        Self {
            random: Random::new(SEED),
            start_s: end_s.div_euclid(DAY_S) * DAY_S - SPAN_DAYS * DAY_S,
            end_s,
            merchants: "id,name\n".to_owned(),
            stores: "id,merchant_id,name\n".to_owned(),
            cards: "id,merchant_id,card_number,customer_name,points_balance,is_active,created_at,last_activity_at\n".to_owned(),
            transactions: "id,merchant_id,store_id,card_id,transaction_type,points_delta,amount_cents,transaction_at\n".to_owned(),
            stores_count: 0,
            cards_count: 0,
            transactions_count: 0,
        }
    }

    fn merchant(&mut self, merchant: i64, cards: i64) {
        line(&mut self.merchants, format_args!("{merchant},Demo merchant {merchant} (synthetic)"));
        let names = usize::try_from(merchant - 1).ok().and_then(|index| STORES.get(index)).copied();
        let first_store = self.stores_count + 1;
        for name in names.unwrap_or_default() {
            self.stores_count += 1;
            line(&mut self.stores, format_args!("{},{merchant},{name} (synthetic)", self.stores_count));
        }
        let stores = (first_store, self.stores_count);
        for _ in 0..cards {
            self.card(merchant, stores);
        }
    }

    fn card(&mut self, merchant: i64, stores: (i64, i64)) {
        self.cards_count += 1;
        let card = self.cards_count;
        let enrolled_s = self.start_s + self.enrolment_day() * DAY_S + self.opening_hours();
        if enrolled_s >= self.end_s {
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
            if at_s >= self.end_s {
                break;
            }
            self.visit(&mut visits, at_s);
            day += pace_days * (0.3 + 1.4 * self.random.unit()) + 0.05;
        }
        let last = visits.last_s.map(instant).unwrap_or_default();
        let active = !self.random.chance(0.03);
        line(
            &mut self.cards,
            format_args!(
                "{card},{merchant},D-{card:06},Demo customer {card} (synthetic),{},{active},{},{last}",
                visits.points,
                instant(enrolled_s)
            ),
        );
    }

    fn visit(&mut self, visits: &mut Visits, at_s: i64) {
        self.transactions_count += 1;
        let id = self.transactions_count;
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
        line(
            &mut self.transactions,
            format_args!("{id},{merchant},{store},{card},{kind},{points},{amount},{}", instant(at_s)),
        );
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

    /// Seconds into a day, densest at two in the afternoon.
    fn opening_hours(&mut self) -> i64 {
        8 * 3_600 + self.random.below(6 * 3_600) + self.random.below(6 * 3_600)
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

fn line(table: &mut String, row: std::fmt::Arguments<'_>) {
    // Writing to a text cannot fail.
    _ = writeln!(table, "{row}");
}

fn instant(seconds: i64) -> String {
    Instant::from_micros(seconds * Instant::MICROS_PER_SECOND).to_string()
}

/// Days as seconds, up to a century: beyond that nothing happens.
fn seconds(days: f64) -> i64 {
    whole(days.min(36_500.0) * 86_400.0)
}

#[expect(clippy::cast_possible_truncation, reason = "a cast of floats saturates")]
fn whole(number: f64) -> i64 {
    number as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_end_gives_the_same_data_and_all_of_it_lies_before() {
        let end = Instant::parse("2026-06-15T12:30:00Z").unwrap();
        let made = tables(end);
        assert_eq!(made, tables(end));
        for (table, csv) in &made {
            for row in csv.lines().skip(1) {
                let times = row.split(',').filter(|cell| cell.ends_with('Z'));
                for time in times {
                    assert!(Instant::parse(time).unwrap() < end, "{table}: {row}");
                }
            }
        }
        let rows: Vec<usize> = made.iter().map(|(_, csv)| csv.lines().count() - 1).collect();
        assert!(rows[0] == 3 && rows[1] == 7 && rows[2] > 4_500, "{rows:?}");
        assert!((80_000..130_000).contains(&rows[3]), "{rows:?}");
    }

    #[test]
    fn every_name_says_that_it_is_synthetic() {
        let made = tables(Instant::parse("2026-06-15T12:30:00Z").unwrap());
        for (table, csv) in &made[..3] {
            assert!(csv.lines().skip(1).all(|row| row.contains("(synthetic)")), "{table}");
        }
    }
}
