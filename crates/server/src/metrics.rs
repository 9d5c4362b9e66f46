//! Numbers about the server in Prometheus' text format. Kept here rather than in a process-wide
//! registry, so that two servers in one process do not mix; no label names a tenant.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::cache::CacheNumbers;

/// Upper bounds of the latency buckets, in seconds.
const BUCKETS_S: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Counters and histograms since the start.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    routes: BTreeMap<String, OfRoute>,
    reports: BTreeMap<(String, String), Histogram>,
    rows: BTreeMap<(String, String), RowCounts>,
    key_fetches: KeyFetches,
}

/// Fetches of the key set that tokens are checked with.
#[derive(Debug, Default)]
struct KeyFetches {
    good: u64,
    failed: u64,
}

#[derive(Debug, Default)]
struct OfRoute {
    /// By method and status.
    requests: BTreeMap<(&'static str, u16), u64>,
    latency: Histogram,
}

#[derive(Clone, Debug, Default)]
struct Histogram {
    /// One more than there are bounds: the last counts what is past them all.
    counts: [u64; BUCKETS_S.len() + 1],
    sum_s: f64,
}

/// What became of rows that arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    pub accepted: u64,
    pub duplicates: u64,
    pub waiting: u64,
    pub rejected: u64,
}

/// A number that is read when it is asked for. Those of one name come one after the other.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gauge {
    /// One that ends in `_total` only grows.
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) labels: Vec<(&'static str, String)>,
    pub(crate) value: f64,
}

impl Metrics {
    pub(crate) fn request(&self, method: &'static str, route: &str, status: u16, elapsed: Duration) {
        let mut kept = self.lock();
        if !kept.routes.contains_key(route) {
            kept.routes.insert(route.to_owned(), OfRoute::default());
        }
        if let Some(of_route) = kept.routes.get_mut(route) {
            *of_route.requests.entry((method, status)).or_default() += 1;
            of_route.latency.observe(elapsed);
        }
    }

    pub(crate) fn report(&self, app: &str, report: &str, elapsed: Duration) {
        self.lock().reports.entry((app.to_owned(), report.to_owned())).or_default().observe(elapsed);
    }

    pub(crate) fn rows(&self, app: &str, table: &str, more: RowCounts) {
        let mut kept = self.lock();
        let counts = kept.rows.entry((app.to_owned(), table.to_owned())).or_default();
        counts.accepted += more.accepted;
        counts.duplicates += more.duplicates;
        counts.waiting += more.waiting;
        counts.rejected += more.rejected;
    }

    pub(crate) fn keys_fetched(&self) {
        self.lock().key_fetches.good += 1;
    }

    pub(crate) fn key_fetch_failed(&self) {
        self.lock().key_fetches.failed += 1;
    }

    /// All numbers, and those that are read now.
    pub(crate) fn render(&self, gauges: &[Gauge], cache: &CacheNumbers) -> String {
        let kept = self.lock();
        let mut text = Text::default();
        text.head("ebbtide_requests_total", "counter", "Requests answered.");
        for (route, of_route) in &kept.routes {
            for ((method, status), count) in &of_route.requests {
                let labels = [("route", route.as_str()), ("method", method), ("status", &status.to_string())];
                text.line("ebbtide_requests_total", &labels, count);
            }
        }
        text.head("ebbtide_request_seconds", "histogram", "Time from a request's head to its answer.");
        for (route, of_route) in &kept.routes {
            text.histogram("ebbtide_request_seconds", &[("route", route)], &of_route.latency);
        }
        text.head("ebbtide_report_seconds", "histogram", "Time to answer a report.");
        for ((app, report), histogram) in &kept.reports {
            text.histogram("ebbtide_report_seconds", &[("app", app), ("report", report)], histogram);
        }
        text.head("ebbtide_rows_total", "counter", "Rows that arrived, by what became of them.");
        for ((app, table), counts) in &kept.rows {
            let outcomes = [
                ("accepted", counts.accepted),
                ("duplicate", counts.duplicates),
                ("waiting", counts.waiting),
                ("rejected", counts.rejected),
            ];
            for (outcome, count) in outcomes {
                text.line(
                    "ebbtide_rows_total",
                    &[("app", app), ("table", table), ("outcome", outcome)],
                    count,
                );
            }
        }
        kept.key_fetches.write(&mut text);
        text.cache(cache);
        let mut named = "";
        for gauge in gauges {
            if named != gauge.name {
                let kind = if gauge.name.ends_with("_total") { "counter" } else { "gauge" };
                text.head(gauge.name, kind, gauge.help);
                named = gauge.name;
            }
            let labels: Vec<(&str, &str)> =
                gauge.labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
            text.line(gauge.name, &labels, gauge.value);
        }
        text.0
    }

    /// Counters stay sound whatever their holder did.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyFetches {
    fn write(&self, text: &mut Text) {
        const NAME: &str = "ebbtide_key_fetches_total";
        text.head(NAME, "counter", "Fetches of the key set that tokens are checked with.");
        text.line(NAME, &[("outcome", "good")], self.good);
        text.line(NAME, &[("outcome", "failed")], self.failed);
    }
}

impl Histogram {
    fn observe(&mut self, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        let bucket = BUCKETS_S.iter().position(|bound| seconds <= *bound).unwrap_or(BUCKETS_S.len());
        self.counts[bucket] += 1;
        self.sum_s += seconds;
    }
}

/// Prometheus' text format, version 0.0.4.
#[derive(Default)]
struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.push(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.push(format_args!("{name}{{"));
        for (index, (label, text)) in labels.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            self.push(format_args!("{comma}{label}=\"{}\"", escaped(text)));
        }
        self.push(format_args!("}} {value}\n"));
    }

    fn cache(&mut self, cache: &CacheNumbers) {
        let counters = [
            ("ebbtide_cache_hits_total", "Reports answered from what was kept.", cache.hits),
            ("ebbtide_cache_joined_total", "Reports that waited for another's computation.", cache.joined),
            ("ebbtide_cache_misses_total", "Reports computed.", cache.computed),
            ("ebbtide_cache_evictions_total", "Answers that had to go for want of room.", cache.evicted),
        ];
        let gauges = [
            ("ebbtide_cache_entries", "Answers that are kept.", cache.entries),
            ("ebbtide_cache_bytes", "Bytes of the answers that are kept.", cache.bytes),
        ];
        let kinds = std::iter::repeat_n("counter", counters.len()).chain(std::iter::repeat("gauge"));
        for ((name, help, value), kind) in counters.into_iter().chain(gauges).zip(kinds) {
            self.head(name, kind, help);
            self.push(format_args!("{name} {value}\n"));
        }
    }

    fn histogram(&mut self, name: &str, labels: &[(&str, &str)], histogram: &Histogram) {
        let bucket = format!("{name}_bucket");
        let mut count = 0;
        for (index, more) in histogram.counts.iter().enumerate() {
            count += more;
            let bound = BUCKETS_S.get(index).map_or_else(|| "+Inf".to_owned(), ToString::to_string);
            let labels: Vec<(&str, &str)> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
            self.line(&bucket, &labels, count);
        }
        self.line(&format!("{name}_sum"), labels, histogram.sum_s);
        self.line(&format!("{name}_count"), labels, count);
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        self.0.write_fmt(text).unwrap_or_default();
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rendered_as_prometheus_reads_them() {
        let metrics = Metrics::default();
        metrics.request("GET", "/a/{id}", 200, Duration::from_millis(2));
        metrics.request("GET", "/a/{id}", 200, Duration::from_secs(60));
        metrics.rows("shop", "orders", RowCounts { accepted: 3, rejected: 1, ..RowCounts::default() });
        let gauge = Gauge {
            name: "ebbtide_segments",
            help: "Segments.",
            labels: vec![("app", "a\"b".to_owned())],
            value: 2.0,
        };
        let cache = CacheNumbers { hits: 7, joined: 6, computed: 5, evicted: 4, entries: 3, bytes: 2 };
        let text = metrics.render(&[gauge], &cache);
        for line in [
            "ebbtide_requests_total{route=\"/a/{id}\",method=\"GET\",status=\"200\"} 2",
            "ebbtide_request_seconds_bucket{route=\"/a/{id}\",le=\"0.001\"} 0",
            "ebbtide_request_seconds_bucket{route=\"/a/{id}\",le=\"0.0025\"} 1",
            "ebbtide_request_seconds_bucket{route=\"/a/{id}\",le=\"+Inf\"} 2",
            "ebbtide_request_seconds_sum{route=\"/a/{id}\"} 60.002",
            "ebbtide_request_seconds_count{route=\"/a/{id}\"} 2",
            "ebbtide_rows_total{app=\"shop\",table=\"orders\",outcome=\"accepted\"} 3",
            "ebbtide_rows_total{app=\"shop\",table=\"orders\",outcome=\"rejected\"} 1",
            "ebbtide_cache_hits_total 7",
            "ebbtide_cache_joined_total 6",
            "# TYPE ebbtide_cache_misses_total counter",
            "ebbtide_cache_misses_total 5",
            "ebbtide_cache_evictions_total 4",
            "# TYPE ebbtide_cache_entries gauge",
            "ebbtide_cache_entries 3",
            "ebbtide_cache_bytes 2",
            "# TYPE ebbtide_segments gauge",
            "ebbtide_segments{app=\"a\\\"b\"} 2",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is missing in:\n{text}");
        }
    }
}
