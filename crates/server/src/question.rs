//! A report asked about somebody's rows: answered from what is kept, or computed and kept.

use std::sync::Arc;
use std::time::Instant as Stopwatch;

use ebbtide_model::pack::Caching;
use ebbtide_model::{Instant, Scope};
use ebbtide_store::Snapshot;

use crate::cache::{Entry, Freshness, Key, Lifetime, Source, Versions, Wanted, next_row};
use crate::http::milliseconds;
use crate::problem::{Code, Problem};
use crate::report::{Arguments, Engines, evaluate};
use crate::routes::ReportRoute;
use crate::server::Server;

/// A question that its caller may ask. A clone is the same question.
#[derive(Clone)]
pub(crate) struct Question {
    pub(crate) server: Arc<Server>,
    pub(crate) route: Arc<ReportRoute>,
    pub(crate) arguments: Arc<Arguments>,
    pub(crate) scope: Scope,
    pub(crate) snapshot: Snapshot,
    /// The moment of asking.
    pub(crate) now: Instant,
    /// For the log.
    pub(crate) request_id: String,
}

impl Question {
    pub(crate) async fn answer(&self, freshness: Freshness) -> Result<(Arc<Entry>, Source), Problem> {
        let report = &self.route.report;
        let versions = Versions::of(&self.snapshot, &self.scope, &report.tables)?;
        if report.cache == Caching::Off {
            return Ok((Arc::new(self.clone().computed(versions).await?), Source::Computed));
        }
        let key = Key::new(report, &self.scope, &self.arguments);
        let wanted = Wanted { key, versions, now: self.now, freshness };
        let compute = || self.clone().computed(wanted.versions.clone());
        let (entry, source) = self.server.cache.answer(&wanted, compute).await?;
        if source != Source::Computed {
            self.log_kept(&entry, source);
        }
        Ok((entry, source))
    }

    async fn computed(self, versions: Versions) -> Result<Entry, Problem> {
        let started = Stopwatch::now();
        let Self { server, route, arguments, scope, snapshot, now, request_id } = self;
        let settings = &server.settings;
        let engines = Engines {
            sql: &server.sql,
            limits: settings.sql_limits,
            query_time_max: settings.query_time_max,
        };
        let answer =
            evaluate(&route.app.pack, &route.report, &arguments, &engines, &snapshot, &scope).await?;
        let of_report = route.clone();
        let encoding = tokio::task::spawn_blocking(move || {
            let report = &of_report.report;
            let mut lifetime = match report.cache {
                Caching::For(kept) => Lifetime::new(now, kept),
                Caching::Off => Lifetime { begins_at: now, ends_at: now },
            };
            if arguments.given_as_of().is_none() && report.cache != Caching::Off {
                let next = next_row(&snapshot, &scope, &report.tables, arguments.as_of())?;
                lifetime = lifetime.until(Some(answer.changes_at)).until(next);
            }
            Entry::new(answer, lifetime, versions)
        });
        let entry = encoding.await.map_err(|error| Problem::hidden(Code::Internal, error))??;
        let elapsed = started.elapsed();
        let (app, report) = (route.app.name().as_str(), route.report.name.as_str());
        server.metrics.report(app, report, elapsed);
        tracing::info!(
            target: "ebbtide::report",
            request_id,
            app,
            report,
            ms = milliseconds(elapsed),
            "reported"
        );
        Ok(entry)
    }

    fn log_kept(&self, entry: &Entry, source: Source) {
        tracing::info!(
            target: "ebbtide::report",
            request_id = self.request_id,
            app = self.route.app.name().as_str(),
            report = self.route.report.name,
            age_s = entry.age_s(self.now),
            joined = source == Source::Joined,
            "answered from the cache"
        );
    }
}
