//! Answers that are computed before anybody asks for them, by the schedules in the packs.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ebbtide_model::pack::{Warm, WarmTenants};
use ebbtide_model::{Clock, Instant, Scope, TenantId, Tenants, Value};
use ebbtide_store::{Snapshot, StoreError};

use crate::cache::{Freshness, Source};
use crate::problem::{Code, Problem};
use crate::question::Question;
use crate::report::Arguments;
use crate::routes::ReportRoute;
use crate::server::Server;
use crate::sign_in;

/// Tenants of whom a report's answers are kept ready, at most.
const TENANTS_MAX: usize = 1_000;
/// How long a round waits for the data to be opened, or for the next one.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// A round after a clock that was set may come at once, but not without end.
const WAIT_MIN: Duration = Duration::from_millis(50);
/// For the log, in the place of a request's name.
const REQUEST_ID: &str = "warm";

/// When each report that has a schedule is next looked after.
#[derive(Default)]
pub(crate) struct Schedules {
    due: Mutex<Vec<Due>>,
}

struct Due {
    /// Any of the report's routes.
    route: Arc<ReportRoute>,
    warm: Arc<Warm>,
    at: Instant,
}

/// What a round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Warmed {
    pub computed: usize,
    /// Answers that hold until the next round.
    pub held: usize,
    pub failed: usize,
}

impl Schedules {
    /// All schedules of these reports, due at once.
    pub(crate) fn new(routes: &[Arc<ReportRoute>], clock: &dyn Clock) -> Self {
        let mut due: Vec<Due> = Vec::new();
        for route in routes {
            let known = |due: &Due| {
                due.route.app.name() == route.app.name() && due.route.report.name == route.report.name
            };
            if let Some(warm) = route.report.warm.clone().filter(|_| !due.iter().any(known)) {
                due.push(Due { route: route.clone(), warm: Arc::new(warm), at: clock.now() });
            }
        }
        Self { due: Mutex::new(due) }
    }

    /// What is due by now, and is next so much later.
    fn take_due(&self, now: Instant) -> Vec<(Arc<ReportRoute>, Arc<Warm>)> {
        let mut taken = Vec::new();
        for due in self.lock().iter_mut().filter(|due| due.at <= now) {
            due.at = later(now, due.warm.every);
            taken.push((due.route.clone(), due.warm.clone()));
        }
        taken
    }

    fn next(&self) -> Option<Instant> {
        self.lock().iter().map(|due| due.at).min()
    }

    /// The list is whole whatever its holder did.
    fn lock(&self) -> MutexGuard<'_, Vec<Due>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn later(instant: Instant, by: Duration) -> Instant {
    let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Instant::from_micros(instant.micros().saturating_add(micros))
}

impl Server {
    /// Looks after the reports whose time it is: computes, one at a time, the answers of their schedules
    /// that do not hold until the next look.
    pub async fn warm(self: &Arc<Self>) -> Warmed {
        let mut warmed = Warmed::default();
        if self.store().is_err() || self.gate.is_closed() {
            return warmed;
        }
        for (route, warm) in self.schedules.take_due(self.now()) {
            let told = self.warm_report(&route, &warm, &mut warmed).await;
            if let Err(problem) = told {
                warmed.failed += 1;
                log_failure(&route, &problem);
            }
        }
        warmed
    }

    async fn warm_report(
        self: &Arc<Self>,
        route: &Arc<ReportRoute>,
        warm: &Warm,
        warmed: &mut Warmed,
    ) -> Result<(), Problem> {
        for scope in self.scopes_to_warm(route, warm).await? {
            for params in &warm.params {
                match self.keep_warm(route, warm.every, scope.clone(), params).await {
                    Ok(Source::Computed | Source::Joined) => warmed.computed += 1,
                    Ok(Source::Kept) => warmed.held += 1,
                    Err(problem) => {
                        warmed.failed += 1;
                        log_failure(route, &problem);
                    }
                }
            }
        }
        Ok(())
    }

    /// Rounds without end.
    pub(crate) async fn warm_on_schedule(self: Arc<Self>) {
        while let Some(next) = self.schedules.next() {
            let micros = next.micros().saturating_sub(self.now().micros()).max(0).unsigned_abs();
            tokio::time::sleep(Duration::from_micros(micros).clamp(WAIT_MIN, WAIT_MAX)).await;
            self.warm().await;
        }
    }

    async fn scopes_to_warm(&self, route: &Arc<ReportRoute>, warm: &Warm) -> Result<Vec<Scope>, Problem> {
        let all = sign_in::warming_scope(route.app.name());
        let tenants = match &warm.tenants {
            WarmTenants::All => return Ok(vec![all]),
            WarmTenants::Named(tenants) => tenants.clone(),
            WarmTenants::Each => {
                let snapshot = self.store()?.snapshot(route.app.name())?;
                let (route, all) = (route.clone(), all.clone());
                let listing = tokio::task::spawn_blocking(move || tenants_of(&snapshot, &route, &all));
                listing.await.map_err(|error| Problem::hidden(Code::Internal, error))??
            }
        };
        Ok(tenants.iter().filter_map(|tenant| all.narrowed_to(tenant)).collect())
    }

    async fn keep_warm(
        self: &Arc<Self>,
        route: &Arc<ReportRoute>,
        every: Duration,
        scope: Scope,
        params: &[(String, Value)],
    ) -> Result<Source, Problem> {
        let (app, now) = (&route.app, self.now());
        let tenant = match scope.tenants() {
            Tenants::One(tenant) => Some(tenant),
            Tenants::All => None,
        };
        let question = Question {
            server: self.clone(),
            route: route.clone(),
            arguments: Arc::new(Arguments::prepared(&app.pack, &route.report, params, tenant, now)?),
            snapshot: self.store()?.snapshot(app.name())?,
            scope,
            now,
            request_id: REQUEST_ID.to_owned(),
        };
        let (_, source) = question.answer(Freshness::HoldsAt(later(now, every))).await?;
        Ok(source)
    }
}

/// The tenants that have rows in what the report reads: in the app's table of tenants, where it has one.
fn tenants_of(snapshot: &Snapshot, route: &ReportRoute, all: &Scope) -> Result<Vec<TenantId>, StoreError> {
    let tables = match &route.app.pack.tenant_table {
        Some(table) => std::slice::from_ref(table),
        None => route.report.tables.as_slice(),
    };
    let mut tenants = BTreeSet::new();
    for table in tables {
        tenants.extend(snapshot.tenants(all, table)?);
    }
    if tenants.len() > TENANTS_MAX {
        tracing::warn!(
            target: "ebbtide::report",
            app = route.app.name().as_str(),
            report = route.report.name,
            tenants = tenants.len(),
            "answers are kept ready for the first {TENANTS_MAX} tenants alone"
        );
    }
    Ok(tenants.into_iter().take(TENANTS_MAX).collect())
}

fn log_failure(route: &ReportRoute, problem: &Problem) {
    let cause = problem.cause().unwrap_or_else(|| problem.detail());
    let (app, report) = (route.app.name().as_str(), route.report.name.as_str());
    tracing::warn!(target: "ebbtide::report", app, report, cause, "an answer could not be kept ready");
}
