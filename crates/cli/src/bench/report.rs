//! Reports under a load that comes whether or not the server keeps up: each request has its moment, and what it
//! took is counted from that, so that a server that stalls is not asked less.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant as Stopwatch};

use ebbtide_model::Instant;

use super::figures::Figure;
use super::http::{Server, at_once, good};
use crate::demo;
use crate::failure::Failure;

const APP: &str = "loyalty";
const PATH: &str = "/store/loyalty/analytics/cohorts?months_back=12";
/// The demo's data ends here.
const END: &str = "2025-07-01T00:00:00Z";

/// The number of a request before all others: none of them gets that far.
const WARMING: usize = 40_000_000;

/// Requests in open loop.
pub(super) struct Load {
    pub(super) connections: usize,
    pub(super) cached_per_s: usize,
    pub(super) uncached_per_s: usize,
    pub(super) time: Duration,
}

/// The demo's loyalty programme, in a folder of its own.
pub(super) fn fill(data: &Path) -> Result<(), Failure> {
    let end = Instant::parse(END).map_err(Failure::new)?;
    demo::fill_app(data, APP, end)
}

impl Load {
    pub(super) fn run(&self, data: &Path) -> Result<Vec<Figure>, Failure> {
        let server = Server::start(data, APP)?;
        let end = Instant::parse(END).map_err(Failure::new)?.micros();
        // Each has a moment of its own, so none is kept; the days are the same, and so is the work.
        let uncached = |request: usize| {
            let offset = i64::try_from(request).unwrap_or(0) * 1_000;
            format!("{PATH}&as_of={}", Instant::from_micros(end - Instant::MICROS_PER_DAY + offset))
        };
        let cached = |_: usize| format!("{PATH}&as_of={END}");
        Ok(vec![
            self.open_loop(&server, "cohorts, uncached", self.uncached_per_s, &uncached)?,
            self.open_loop(&server, "cohorts, cached", self.cached_per_s, &cached)?,
        ])
    }

    fn open_loop(
        &self,
        server: &Server,
        what: &str,
        per_s: usize,
        path: &(dyn Fn(usize) -> String + Sync),
    ) -> Result<Figure, Failure> {
        let token = server.token(APP, "merchant", Some("1"))?;
        let gap_s = 1.0 / per_s.max(1) as f64;
        let (next, times) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let ask = |started: Stopwatch| {
            let mut connection = server.connect(&token)?;
            let mut own = Vec::new();
            loop {
                let request = next.fetch_add(1, Ordering::Relaxed);
                let due = Duration::from_secs_f64(request as f64 * gap_s);
                if due >= self.time {
                    break;
                }
                std::thread::sleep(due.saturating_sub(started.elapsed()));
                good(connection.get(&path(request))?)?;
                own.push(started.elapsed().saturating_sub(due));
            }
            times.lock().unwrap_or_else(std::sync::PoisonError::into_inner).append(&mut own);
            Ok(())
        };
        // Keeps the answer, and makes the first request no other than the rest.
        good(server.connect(&token)?.get(&path(WARMING))?)?;
        let started = Stopwatch::now();
        at_once(self.connections.max(1), |_| ask(started))?;
        let seconds = started.elapsed().as_secs_f64();
        let mut times = times.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let answered = times.len() as f64 / seconds;
        let figure = Figure::new(format!("{what}, {per_s} requests/s")).with("answered_per_s", answered);
        Ok(figure.times(&mut times))
    }
}
