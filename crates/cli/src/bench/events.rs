//! Made-up events to measure with: the same on every machine and for ever, and synthetic all of them. Forty
//! names of events, some far commoner than others; twenty tenants of very different sizes; actors of whom most
//! do little and few do much, who come in visits that a last event may end; two hundred days less twenty.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array, UInt64Array,
};
use ebbtide_model::Instant;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::demo::random::Random;
use crate::failure::Failure;

const SEED: u64 = 0x0eb_b71d_beac;
pub(super) const EVENTS_MAX: usize = 500_000_000;
const EVENTS_PER_ACTOR: usize = 50;
pub(super) const TENANTS: usize = 20;
const SPAN_DAYS: f64 = 180.0;
const DAY_MICROS: f64 = 86_400e6;
/// 2025-01-01.
const START_MICROS: i64 = 1_735_689_600_000_000;
/// Of a batch, and of a group of rows in a file.
const BATCH_ROWS: usize = 65_536;
const NAMES: [&str; 13] = [
    "home",
    "product",
    "page_view",
    "search",
    "click",
    "cart",
    "scroll",
    "login",
    "video_play",
    "success",
    "exit",
    "purchase",
    "signup",
];
const NAMES_IN_ALL: usize = 40;
const EXIT: u8 = 10;
const PURCHASE: u8 = 11;
const SIGN_UP: u8 = 12;
const COUNTRIES: [&str; 12] = ["US", "IN", "BR", "GB", "DE", "FR", "JP", "ID", "MX", "CA", "ES", "IT"];
const REFS: [&str; 12] = [
    "google",
    "direct",
    "newsletter",
    "twitter",
    "facebook",
    "bing",
    "partner",
    "reddit",
    "youtube",
    "podcast",
    "email",
    "sms",
];

/// Events in the order of their times.
pub(super) struct Events {
    actors: Vec<Actor>,
    rows: Vec<Event>,
}

struct Actor {
    tenant: u32,
    id: u64,
    country: u8,
}

#[derive(Clone, Copy)]
struct Event {
    micros: i64,
    actor: u32,
    /// Of a purchase, else 0.
    cents: u32,
    number: u32,
    name: u8,
    from: u8,
}

/// Draws places of a list, the first ones far more often.
struct Draw(Vec<f64>);

impl Draw {
    fn new(places: usize, steepness: f64, without: &[u8]) -> Self {
        let mut sum = 0.0;
        let mut bounds: Vec<f64> = Vec::with_capacity(places);
        for place in 0..places {
            let is_out = without.iter().any(|out| usize::from(*out) == place);
            sum += if is_out { 0.0 } else { ((place + 1) as f64).powf(-steepness) };
            bounds.push(sum);
        }
        bounds.iter_mut().for_each(|bound| *bound /= sum);
        Self(bounds)
    }

    fn draw(&self, random: &mut Random) -> u8 {
        let unit = random.unit();
        let place = self.0.partition_point(|bound| *bound <= unit).min(self.0.len() - 1);
        u8::try_from(place).unwrap_or(0)
    }
}

impl Events {
    /// The same number gives the same events.
    pub(super) fn made_up(count: usize) -> Self {
        let mut random = Random::new(SEED);
        let actors = (count / EVENTS_PER_ACTOR).max(1);
        let weights: Vec<f64> = (0..actors).map(|_| random.around(1.0, 1.6)).collect();
        let sum: f64 = weights.iter().sum();
        let mut making = Making {
            random,
            tenants: Draw::new(TENANTS, 1.0, &[]),
            names: Draw::new(NAMES_IN_ALL, 1.1, &[EXIT, SIGN_UP]),
            refs: Draw::new(REFS.len(), 1.0, &[]),
            countries: Draw::new(COUNTRIES.len(), 0.9, &[]),
            events: Self { actors: Vec::with_capacity(actors), rows: Vec::with_capacity(count) },
        };
        let mut share = 0.0;
        for (place, weight) in weights.iter().enumerate() {
            share += weight / sum;
            let until = if place + 1 == actors { count } else { whole(share * count as f64).min(count) };
            making.actor(until.saturating_sub(making.events.rows.len()));
        }
        let mut events = making.events;
        events.rows.sort_unstable_by_key(|event| (event.micros, event.actor));
        events
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The tenant with the most events, and how many it has.
    pub(super) fn biggest_tenant(&self) -> (u32, usize) {
        let mut counts = [0_usize; TENANTS + 1];
        for event in &self.rows {
            counts[self.actors[event.actor as usize].tenant as usize] += 1;
        }
        let biggest = counts.iter().enumerate().max_by_key(|(_, count)| **count);
        biggest.map_or((1, 0), |(tenant, count)| (u32::try_from(tenant).unwrap_or(1), *count))
    }

    pub(super) fn write_parquet(&self, path: &Path) -> Result<(), Failure> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).map_err(Failure::new)?))
            .build();
        let mut file = Some(create(path)?);
        let mut writer = None;
        for rows in self.rows.chunks(BATCH_ROWS) {
            let batch = self.batch(rows)?;
            if let Some(file) = file.take() {
                let made = ArrowWriter::try_new(file, batch.schema(), Some(properties.clone()));
                writer = Some(made.map_err(Failure::new)?);
            }
            if let Some(writer) = &mut writer {
                writer.write(&batch).map_err(Failure::new)?;
            }
        }
        match writer {
            Some(writer) => writer.close().map(|_| ()).map_err(Failure::new),
            None => Ok(()),
        }
    }

    pub(super) fn write_ndjson(&self, path: &Path) -> Result<(), Failure> {
        let mut file = BufWriter::new(create(path)?);
        for event in &self.rows {
            let (actor, at) = (&self.actors[event.actor as usize], Instant::from_micros(event.micros));
            let amount = amount(event).map_or_else(String::new, |amount| format!(",\"amount\":{amount}"));
            let line = writeln!(
                file,
                "{{\"tenant\":\"{}\",\"event\":\"{}\",\"actor\":\"{}\",\"ts\":\"{at}\",\"country\":\"{}\"{amount},\"props\":{}}}",
                actor.tenant,
                name(event.name),
                actor.id,
                COUNTRIES[usize::from(actor.country)],
                props(event)
            );
            line.map_err(Failure::new)?;
        }
        file.flush().map_err(Failure::new)
    }

    fn batch(&self, rows: &[Event]) -> Result<RecordBatch, Failure> {
        let actor = |event: &Event| &self.actors[event.actor as usize];
        let texts = |text: &dyn Fn(&Event) -> String| -> ArrayRef {
            Arc::new(rows.iter().map(|event| Some(text(event))).collect::<StringArray>())
        };
        let tenants: UInt32Array = rows.iter().map(|event| Some(actor(event).tenant)).collect();
        let actors: UInt64Array = rows.iter().map(|event| Some(actor(event).id)).collect();
        let times: TimestampMicrosecondArray = rows.iter().map(|event| Some(event.micros)).collect();
        let amounts: Float64Array = rows.iter().map(amount).collect();
        let columns: [(&str, ArrayRef); 7] = [
            ("tenant", Arc::new(tenants)),
            ("actor", Arc::new(actors)),
            ("event", texts(&|event| name(event.name))),
            ("ts", Arc::new(times.with_timezone("+00:00"))),
            ("amount", Arc::new(amounts)),
            ("country", texts(&|event| COUNTRIES[usize::from(actor(event).country)].to_owned())),
            ("props", texts(&props)),
        ];
        RecordBatch::try_from_iter(columns).map_err(Failure::new)
    }
}

struct Making {
    random: Random,
    tenants: Draw,
    names: Draw,
    refs: Draw,
    countries: Draw,
    events: Events,
}

impl Making {
    /// An actor with so many events: a sign-up, then visits of some eight events, until they have had enough.
    fn actor(&mut self, count: usize) {
        let number = u32::try_from(self.events.actors.len()).unwrap_or(u32::MAX);
        let id = u64::try_from(self.random.below(1 << 53)).unwrap_or(0);
        let tenant = 1 + u32::from(self.tenants.draw(&mut self.random));
        let country = self.countries.draw(&mut self.random);
        self.events.actors.push(Actor { tenant, id, country });
        let first = (SPAN_DAYS - 1.0) * DAY_MICROS * self.random.unit().powf(1.3);
        let left = (SPAN_DAYS * DAY_MICROS - first).max(1.0);
        let life = self.random.waiting(50.0 * DAY_MICROS).clamp(3_600e6, left);
        let mut at = first;
        for place in 0..count {
            let ends_visit = self.random.chance(0.125);
            let name = if place == 0 {
                SIGN_UP
            } else if ends_visit && self.random.chance(0.6) {
                EXIT
            } else {
                self.names.draw(&mut self.random)
            };
            self.event(number, name, at.min(SPAN_DAYS * DAY_MICROS - 1.0));
            at += self.random.waiting(45e6) + 200_000.0;
            if ends_visit {
                at = first + life * self.random.unit().powf(1.4);
            }
        }
    }

    fn event(&mut self, actor: u32, name: u8, at: f64) {
        let cents =
            if name == PURCHASE { whole(self.random.around(3_000.0, 0.9)).min(5_000_000) + 99 } else { 0 };
        let from = self.refs.draw(&mut self.random);
        let number = u32::try_from(self.random.below(1_000_000_000)).unwrap_or(0);
        let micros = START_MICROS + i64::try_from(whole(at)).unwrap_or(0);
        let cents = u32::try_from(cents).unwrap_or(0);
        self.events.rows.push(Event { micros, actor, cents, number, name, from });
    }
}

fn create(path: &Path) -> Result<File, Failure> {
    #[expect(clippy::disallowed_methods, reason = "data to measure with, in a folder of the benchmark's own")]
    let file = File::create(path);
    file.map_err(|error| Failure::new(format_args!("{} cannot be written: {error}", path.display())))
}

/// Rounded down; what is no number of its own is 0.
fn whole(value: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within what a float holds")]
    (value.clamp(0.0, 9e15) as usize)
}

fn name(name: u8) -> String {
    match NAMES.get(usize::from(name)) {
        Some(name) => (*name).to_owned(),
        None => format!("feature_{name:02}"),
    }
}

fn amount(event: &Event) -> Option<f64> {
    (event.cents > 0).then(|| f64::from(event.cents) / 100.0)
}

fn props(event: &Event) -> String {
    let from = REFS[usize::from(event.from)];
    format!("{{\"ref\":\"{from}\",\"rid\":{},\"v\":\"2.{}\"}}", event.number, event.number % 37)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_made_up_the_same_way_each_time_in_the_order_of_time() {
        let (one, two) = (Events::made_up(20_000), Events::made_up(20_000));
        assert_eq!(one.len(), 20_000);
        let same = |a: &Event, b: &Event| {
            (a.micros, a.actor, a.name, a.number) == (b.micros, b.actor, b.name, b.number)
        };
        assert!(one.rows.iter().zip(&two.rows).all(|(a, b)| same(a, b)));
        assert!(one.rows.is_sorted_by_key(|event| event.micros));
        let (_, biggest) = one.biggest_tenant();
        assert!((3_000..12_000).contains(&biggest), "{biggest}");
        let names: std::collections::HashSet<u8> = one.rows.iter().map(|event| event.name).collect();
        assert!(names.len() >= 35 && names.contains(&EXIT) && names.contains(&SIGN_UP), "{names:?}");
    }
}
