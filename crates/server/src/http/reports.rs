//! A pack's reports over HTTP.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use ebbtide_model::Scope;
use ebbtide_model::pack::{ParamError, Report};
use ebbtide_store::Snapshot;

use super::access::{self, PathParams};
use super::answer::{Stopwatch, encoded_answer, milliseconds};
use super::export::export;
use super::request_id::RequestId;
use crate::problem::{Code, Problem};
use crate::report::export::{Export, ExportFormat, Reading};
use crate::report::{Answer, Arguments, Engines, TABLE, choose_lists, evaluate};
use crate::routes::ReportRoute;
use crate::server::{App, Server};

/// The handler of one route of one report.
pub(super) fn handler(route: Arc<ReportRoute>) -> MethodRouter<Arc<Server>> {
    get(
        move |State(server): State<Arc<Server>>,
              Extension(id): Extension<RequestId>,
              path: PathParams,
              uri: Uri,
              headers: HeaderMap| {
            let route = route.clone();
            async move { answer(&server, &route, path, &uri, &headers, &id).await }
        },
    )
}

async fn answer(
    server: &Arc<Server>,
    route: &ReportRoute,
    path: PathParams,
    uri: &Uri,
    headers: &HeaderMap,
    id: &RequestId,
) -> Result<Response, Problem> {
    let mut watch = Stopwatch::start();
    let ReportRoute { app, report, route } = route;
    let caller = access::sign_in_to(server, headers, app)?;
    let reach = access::reach(&caller, route)?;
    let (path, query) = (access::path_pairs(path)?, access::query_pairs(uri)?);
    let arguments = Arguments::read(&app.pack, report, route, &path, &query, server.now())?;
    let form = Form::read(report, access::last(&query, "format"), access::last(&query, TABLE))?;
    let scope = reach.scope(&caller, &arguments)?;
    let snapshot = access::snapshot(server, app, &scope).await?;
    let asked = Asked { server, app, report, arguments: &arguments, snapshot: &snapshot, scope: &scope };
    let started = watch.started();
    let response = match form {
        Form::Json => {
            let answer = asked.answer().await?;
            watch.lap("engine");
            let encode = move || {
                serde_json::to_vec(&answer.body).map_err(|error| Problem::hidden(Code::Internal, error))
            };
            encoded_answer(watch, "application/json", encode).await?
        }
        Form::File { format, lists } => {
            let file = asked.export(format, &lists).await?;
            watch.lap("engine");
            // A list that was one of several is in the file's name.
            let chosen = lists.first().filter(|_| lists.len() == 1 && report.lists.len() > 1);
            export(server, file, chosen.map(String::as_str), id, watch).await?
        }
    };
    let elapsed = started.elapsed();
    server.metrics.report(app.name().as_str(), &report.name, elapsed);
    tracing::info!(
        target: "ebbtide::report",
        request_id = id.as_str(),
        app = app.name().as_str(),
        report = report.name,
        ms = milliseconds(elapsed),
        "reported"
    );
    Ok(response)
}

/// How an answer is written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Json,
    /// Lists by their paths in the answer.
    File {
        format: ExportFormat,
        lists: Vec<String>,
    },
}

impl Form {
    fn read(report: &Report, format: Option<&str>, table: Option<&str>) -> Result<Self, ParamError> {
        let given = match format {
            None | Some("json") => return Ok(Self::Json),
            Some(given) => given,
        };
        let format = ExportFormat::from_name(given)
            .ok_or_else(|| ParamError::refused("format", given, "one of json, csv, xlsx, ndjson, parquet"))?;
        let lists = choose_lists(report, format, table)?;
        Ok(Self::File { format, lists: lists.into_iter().map(str::to_owned).collect() })
    }
}

/// A report that somebody may see, over the rows as they are now.
struct Asked<'a> {
    server: &'a Arc<Server>,
    app: &'a App,
    report: &'a Report,
    arguments: &'a Arguments,
    snapshot: &'a Snapshot,
    scope: &'a Scope,
}

impl Asked<'_> {
    async fn answer(&self) -> Result<Answer, Problem> {
        let engines = Engines { sql: &self.server.sql, limits: self.server.settings.report_limits() };
        let Self { app, report, arguments, snapshot, scope, .. } = self;
        Ok(evaluate(&app.pack, report, arguments, &engines, snapshot, scope).await?)
    }

    /// The file of these lists.
    async fn export(&self, format: ExportFormat, paths: &[String]) -> Result<Export, Problem> {
        let settings = &self.server.settings;
        let reading = Reading {
            pack: &self.app.pack,
            report: self.report,
            arguments: self.arguments,
            snapshot: self.snapshot,
            scope: self.scope,
            sql: &self.server.sql,
            limits: settings.export_limits(),
        };
        let answer = if reading.needs_answer(paths) { Some(Arc::new(self.answer().await?)) } else { None };
        Ok(Export {
            format,
            report: self.report.name.clone(),
            as_of: self.arguments.as_of(),
            lists: reading.lists(paths, answer.as_ref()),
            temporary_folder: settings.temporary_folder.clone().unwrap_or_else(std::env::temp_dir),
        })
    }
}
