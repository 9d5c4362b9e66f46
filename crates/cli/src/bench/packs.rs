//! Every report of the packs over a tenant with many rows, uncached: what one takes alone and beside others, and
//! what processor time it takes of the server.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant as Stopwatch;

use ebbtide_model::Instant;

use super::figures::{Figure, milliseconds};
use super::http::{Server, Visitor, at_once, good};
use super::machine;
use crate::demo::{self, Size};
use crate::failure::Failure;

/// The made-up data ends here.
const END: &str = "2025-07-01T00:00:00Z";
/// The moments as of which is asked lie in so many seconds before the end, in no order: none is asked twice.
const MOMENTS_S: usize = 500_009;
const STEP: usize = 311_041;

/// The reports of a pack, and who asks for them.
struct Asked {
    visitor: Visitor<'static>,
    /// The paths lack `as_of` at their end.
    reports: &'static [(&'static str, &'static str)],
}

const ASKED: [Asked; 5] = [
    Asked {
        visitor: Visitor { app: "itsm", role: "manager", tenant: Some("1"), subject: "bench" },
        reports: &[
            ("tenant-growth, 24 months", "/api/cohort/tenant-growth?cohort_months=24&"),
            ("user-retention", "/api/cohort/user-retention?"),
            ("sr-resolution", "/api/cohort/sr-resolution?"),
            ("feature-adoption", "/api/cohort/feature-adoption?"),
        ],
    },
    Asked {
        visitor: Visitor { app: "chatbot", role: "owner", tenant: None, subject: "owner-1" },
        reports: &[
            ("overview, nine bots", "/analytics/overview?"),
            ("one bot", "/analytics/chatbot/bot-1?"),
            ("gaps", "/analytics/chatbot/bot-1/gaps?"),
        ],
    },
    Asked {
        visitor: Visitor { app: "learning", role: "admin", tenant: None, subject: "1" },
        reports: &[
            ("platform", "/api/v1/analytics/platform?"),
            ("user-growth, 365 days", "/api/v1/analytics/user-growth?days=365&"),
            ("sessions, 365 days", "/api/v1/analytics/sessions?days=365&"),
            ("courses", "/api/v1/analytics/courses?"),
            ("revenue, 365 days", "/api/v1/analytics/revenue?days=365&"),
            ("engagement", "/api/v1/analytics/user/160/engagement?"),
        ],
    },
    Asked {
        visitor: Visitor { app: "loyalty", role: "merchant", tenant: Some("1"), subject: "bench" },
        reports: &[
            ("cohorts, 12 months", "/store/loyalty/analytics/cohorts?months_back=12&"),
            ("churn", "/store/loyalty/analytics/churn?"),
            ("revenue, 12 months", "/store/loyalty/analytics/revenue?months_back=12&"),
        ],
    },
    Asked {
        visitor: Visitor { app: "storefront", role: "viewer", tenant: Some("north"), subject: "bench" },
        reports: &[("summary", "/funnel/summary?"), ("sessions", "/sessions?")],
    },
];

/// The packs that may be named.
pub(super) fn names() -> Vec<&'static str> {
    ASKED.iter().map(|asked| asked.visitor.app).collect()
}

/// Requests in closed loop: each connection sends its next once it has the answer to the last.
pub(super) struct Reports<'a> {
    /// Of the tenant, about.
    pub(super) rows: usize,
    /// The loads, by how many connections each has.
    pub(super) connections: &'a [usize],
    /// Of each load.
    pub(super) requests: usize,
}

impl Reports<'_> {
    /// A pack's reports over made-up data, which stays in the folder; what is there is asked as it is.
    pub(super) fn run(&self, app: &str, data: &Path) -> Result<Vec<Figure>, Failure> {
        let asked = ASKED.iter().find(|asked| asked.visitor.app == app);
        let asked = asked.ok_or_else(|| Failure::usage(format_args!("there are no reports of {app:?}")))?;
        let end = Instant::parse(END).map_err(Failure::new)?;
        demo::fill_app(data, app, end, Size::of_rows(app, self.rows)?)?;
        let mut figures = Vec::new();
        for (report, path) in asked.reports {
            // Of its own: the first request finds nothing that another has left behind.
            let server = Server::start(data, app)?;
            let token = server.token(&asked.visitor)?;
            let next = AtomicUsize::new(0);
            let ask = || {
                let number = next.fetch_add(1, Ordering::Relaxed);
                format!("{path}as_of={}", moment(end, number))
            };
            let started = Stopwatch::now();
            good(server.connect(&token)?.get(&ask())?)?;
            let first = started.elapsed();
            for connections in self.connections {
                let what = format!("{app} {report}, {connections} at once");
                figures.push(self.closed_loop(&server, &token, (&what, *connections), &ask)?);
            }
            let memory = machine::anonymous_mib(server.id());
            let figure = Figure::new(format!("{app} {report}, after a start"));
            figures.push(figure.with("first_ms", milliseconds(first)).with("anonymous_mib", memory));
        }
        Ok(figures)
    }

    fn closed_loop(
        &self,
        server: &Server,
        token: &str,
        (what, connections): (&str, usize),
        ask: &(dyn Fn() -> String + Sync),
    ) -> Result<Figure, Failure> {
        let (left, times) = (AtomicUsize::new(self.requests), Mutex::new(Vec::new()));
        let asking = || {
            let mut connection = server.connect(token)?;
            let mut own = Vec::new();
            let is_left = |left: usize| left.checked_sub(1);
            while left.try_update(Ordering::Relaxed, Ordering::Relaxed, is_left).is_ok() {
                let started = Stopwatch::now();
                good(connection.get(&ask())?)?;
                own.push(started.elapsed());
            }
            times.lock().unwrap_or_else(std::sync::PoisonError::into_inner).append(&mut own);
            Ok(())
        };
        let before = machine::processor_time(server.id());
        at_once(connections, |_| asking())?;
        let taken = machine::processor_time(server.id()).saturating_sub(before);
        let mut times = times.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let each = taken / u32::try_from(times.len().max(1)).unwrap_or(u32::MAX);
        Ok(Figure::new(what).with("processor_ms", milliseconds(each)).times(&mut times))
    }
}

/// Each request has one of its own, so none of the answers is kept for another.
fn moment(end: Instant, request: usize) -> Instant {
    let seconds = request.wrapping_mul(STEP) % MOMENTS_S;
    let micros = i64::try_from(seconds + 1).unwrap_or(0) * Instant::MICROS_PER_SECOND;
    Instant::from_micros(end.micros() - micros)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_request_has_a_moment_of_its_own() {
        let end = Instant::parse(END).unwrap();
        let moments: HashSet<i64> = (0..MOMENTS_S).map(|request| moment(end, request).micros()).collect();
        assert_eq!(moments.len(), MOMENTS_S);
        assert!(moments.iter().all(|moment| *moment < end.micros()));
    }
}
