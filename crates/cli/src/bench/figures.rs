//! What was measured: as a table for people, and as JSON.

use std::time::Duration;

use serde_json::{Value as Json, json};

/// One line of the table.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    /// What was done, such as `ask a, over HTTP`.
    pub(super) what: String,
    /// Its numbers, by name with their unit, in order.
    pub(super) numbers: Vec<(&'static str, f64)>,
}

impl Figure {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), numbers: Vec::new() }
    }

    pub(super) fn with(mut self, name: &'static str, value: f64) -> Self {
        self.numbers.push((name, value));
        self
    }

    /// The usual numbers of times that something took.
    pub(super) fn times(self, times: &mut [Duration]) -> Self {
        times.sort_unstable();
        let at = |part: f64| milliseconds(percentile(times, part));
        self.with("p50_ms", at(0.5)).with("p95_ms", at(0.95)).with("p99_ms", at(0.99)).with("max_ms", at(1.0))
    }

    pub(super) fn json(&self) -> Json {
        let numbers: serde_json::Map<String, Json> =
            self.numbers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        json!({"what": self.what, "numbers": numbers})
    }
}

/// Times that something took, so many of them that they are counted by the millisecond.
#[derive(Clone, Debug, Default)]
pub(super) struct Delays {
    /// By milliseconds, rounded up; the last ones together.
    counts: Vec<u64>,
    most: Duration,
}

impl Delays {
    const MILLISECONDS_MAX: usize = 60_000;

    pub(super) fn add(&mut self, time: Duration) {
        let place = usize::try_from(time.as_micros().div_ceil(1_000)).unwrap_or(usize::MAX);
        let place = place.min(Self::MILLISECONDS_MAX);
        if self.counts.len() <= place {
            self.counts.resize(place + 1, 0);
        }
        self.counts[place] += 1;
        self.most = self.most.max(time);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.counts.resize(self.counts.len().max(other.counts.len()), 0);
        self.counts.iter_mut().zip(&other.counts).for_each(|(own, theirs)| *own += theirs);
        self.most = self.most.max(other.most);
    }

    fn percentile_ms(&self, part: f64) -> f64 {
        let all: u64 = self.counts.iter().sum();
        let wanted = all as f64 * part;
        let mut passed = 0;
        let place = self.counts.iter().position(|count| {
            passed += count;
            passed as f64 >= wanted
        });
        place.unwrap_or(0) as f64
    }

    pub(super) fn figure(&self, figure: Figure) -> Figure {
        figure
            .with("p50_ms", self.percentile_ms(0.5))
            .with("p95_ms", self.percentile_ms(0.95))
            .with("p99_ms", self.percentile_ms(0.99))
            .with("max_ms", milliseconds(self.most))
            .with("heard", self.counts.iter().sum::<u64>() as f64)
    }
}

/// Of times in order: the least that so great a part of them does not pass.
fn percentile(sorted: &[Duration], part: f64) -> Duration {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
    let place = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(place.saturating_sub(1).min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

pub(super) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Lines, each with its numbers by name.
pub(super) fn table(figures: &[Figure]) -> String {
    let width = figures.iter().map(|figure| figure.what.len()).max().unwrap_or(0);
    let mut text = String::new();
    for figure in figures {
        text.push_str(&format!("{:width$}", figure.what));
        for (name, value) in &figure.numbers {
            text.push_str(&format!("  {name} {}", shown(*value)));
        }
        text.push('\n');
    }
    text
}

/// As many digits as say something.
fn shown(value: f64) -> String {
    match value.abs() {
        large if large >= 1_000.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_told_to_the_millisecond() {
        let mut delays = Delays::default();
        (1..=99).for_each(|number| delays.add(Duration::from_micros(number * 1_000 - 1)));
        let mut late = Delays::default();
        late.add(Duration::from_secs(100));
        delays.merge(&late);
        let figure = delays.figure(Figure::new("x"));
        let told: Vec<f64> = figure.numbers.iter().map(|(_, value)| *value).collect();
        assert_eq!(told, [50.0, 95.0, 99.0, 100_000.0, 100.0]);
    }

    #[test]
    fn a_percentile_is_a_time_that_was_measured() {
        let times: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        let check = |part: f64, want: u64| assert_eq!(percentile(&times, part), Duration::from_millis(want));
        check(0.5, 50);
        check(0.99, 99);
        check(1.0, 100);
        check(0.0, 1);
        assert_eq!(percentile(&times[..1], 0.5), Duration::from_millis(1));
        assert_eq!(percentile(&[], 0.5), Duration::ZERO);
    }
}
