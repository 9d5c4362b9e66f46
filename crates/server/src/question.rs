//! A report asked about somebody's rows: answered from what is kept, or computed and kept.

use std::sync::Arc;
use std::time::Instant as Stopwatch;

use ebbtide_model::pack::Caching;
use ebbtide_model::{Instant, Scope};
use ebbtide_store::Snapshot;

use crate::cache::{Entry, Freshness, Key, Lifetime, Source, Versions, Wanted, next_row};
use crate::http::milliseconds;
use crate::problem::{Code, Problem};
use crate::report::export::{Export, ExportFormat, ExportList, Reading};
use crate::report::{Arguments, Engines, Evaluation, Settling};
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
    /// What tells it from others.
    pub(crate) fn key(&self) -> Key {
        Key::new(&self.route.report, &self.scope, &self.arguments)
    }

    pub(crate) async fn answer(&self, freshness: Freshness) -> Result<(Arc<Entry>, Source), Problem> {
        let report = &self.route.report;
        let versions = Versions::of(&self.snapshot, &self.scope, &report.tables)?;
        if report.cache == Caching::Off {
            let entry = self.clone().computed(versions, Settling::Awaited).await?;
            return Ok((Arc::new(entry), Source::Computed));
        }
        let key = self.key();
        let wanted = Wanted { key, versions, now: self.now, freshness };
        let compute = || self.clone().computed(wanted.versions.clone(), Settling::Awaited);
        let (entry, source) = self.server.cache.answer(&wanted, compute).await?;
        if source != Source::Computed {
            self.log_kept(&entry, source);
        }
        Ok((entry, source))
    }

    /// As [`answer`](Self::answer), without waiting for rows of before a calendar period where they are not known;
    /// the answer tells whether it is [settled](crate::report::Answer::is_settled), and is not kept where it is not.
    pub(crate) async fn answer_beside(&self) -> Result<Arc<Entry>, Problem> {
        let report = &self.route.report;
        let versions = Versions::of(&self.snapshot, &self.scope, &report.tables)?;
        let key = self.key();
        let wanted = Wanted { key, versions, now: self.now, freshness: Freshness::AnyThatHolds };
        let is_kept = report.cache != Caching::Off;
        if is_kept && let Some(entry) = self.server.cache.kept(&wanted).await {
            return Ok(entry);
        }
        let entry = Arc::new(self.clone().computed(wanted.versions, Settling::Beside).await?);
        if is_kept && entry.answer().is_settled {
            self.server.cache.keep(wanted.key, &entry).await;
        }
        Ok(entry)
    }

    /// Asks for the rows of before calendar periods that the answer lacks.
    pub(crate) async fn settle(&self) -> Result<(), Problem> {
        let engines = engines(&self.server);
        Ok(self.evaluation(&engines, Settling::Awaited).settle().await?)
    }

    fn evaluation<'q>(&'q self, engines: &'q Engines<'q>, settling: Settling) -> Evaluation<'q> {
        Evaluation {
            pack: &self.route.app.pack,
            report: &self.route.report,
            arguments: &self.arguments,
            engines,
            snapshot: &self.snapshot,
            scope: &self.scope,
            settling,
        }
    }

    /// A file of these lists of the answer: of what is kept, where that holds; else rows that need not wait
    /// for the rest of the answer are asked for as they are written, and not kept. Tells the seconds since
    /// it was computed, too.
    pub(crate) async fn export(
        &self,
        format: ExportFormat,
        paths: &[String],
        freshness: Freshness,
    ) -> Result<(Export, Source, u64), Problem> {
        let Self { server, arguments, .. } = self;
        let report = &self.route.report;
        let kept = self.kept(freshness).await?;
        let (source, age_s) =
            kept.as_ref().map_or((Source::Computed, 0), |entry| (Source::Kept, entry.age_s(self.now)));
        let lists = match kept {
            Some(entry) => {
                let answer = entry.answer();
                paths.iter().map(|path| ExportList::of_answer(&report.name, answer.clone(), path)).collect()
            }
            None => {
                let engines = engines(server);
                let of = self.evaluation(&engines, Settling::Awaited);
                of.look_up_keys().await?;
                let reading = Reading { of, sql: &server.sql, limits: server.settings.export_limits() };
                let answer = || async { Ok::<_, Problem>(self.answer(freshness).await?.0.answer().clone()) };
                reading.lists(paths, answer).await?
            }
        };
        let temporary_folder = server.settings.temporary_folder.clone();
        let export = Export {
            format,
            report: report.name.clone(),
            as_of: arguments.as_of(),
            lists,
            temporary_folder: temporary_folder.unwrap_or_else(std::env::temp_dir),
        };
        Ok((export, source, age_s))
    }

    /// The answer that is kept, where it holds.
    async fn kept(&self, freshness: Freshness) -> Result<Option<Arc<Entry>>, Problem> {
        let report = &self.route.report;
        if report.cache == Caching::Off {
            return Ok(None);
        }
        let versions = Versions::of(&self.snapshot, &self.scope, &report.tables)?;
        let key = self.key();
        let wanted = Wanted { key, versions, now: self.now, freshness };
        let entry = self.server.cache.kept(&wanted).await;
        if let Some(entry) = &entry {
            self.log_kept(entry, Source::Kept);
        }
        Ok(entry)
    }

    async fn computed(self, versions: Versions, settling: Settling) -> Result<Entry, Problem> {
        let started = Stopwatch::now();
        let answer = self.evaluation(&engines(&self.server), settling).answer().await?;
        let Self { server, route, arguments, scope, snapshot, now, request_id } = self;
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

fn engines(server: &Server) -> Engines<'_> {
    let settings = &server.settings;
    let (sql, turns, standing) = (&server.sql, &server.turns, &server.standing);
    Engines { sql, limits: settings.report_limits(), turns, standing }
}
