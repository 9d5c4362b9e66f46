//! A pack's reports over HTTP.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use ebbtide_model::pack::{ParamError, Report};

use super::access::{self, PathParams};
use super::answer::{Stopwatch, encoded_answer, milliseconds};
use super::request_id::RequestId;
use crate::problem::{Code, Problem};
use crate::report::{Answer, Engines, choose_list, evaluate, to_csv, to_ndjson};
use crate::routes::ReportRoute;
use crate::server::Server;

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
    server: &Server,
    route: &ReportRoute,
    path: PathParams,
    uri: &Uri,
    headers: &HeaderMap,
    id: &RequestId,
) -> Result<Response, Problem> {
    let mut watch = Stopwatch::start();
    let path = access::path_pairs(path);
    let in_path = path.as_deref().unwrap_or_default();
    let entry = access::enter(server, route, headers, in_path).await?;
    let (path, query) = (path?, access::query_pairs(uri)?);
    let arguments = entry.arguments(&path, &query)?;
    let ReportRoute { app, report, .. } = route;
    let form = Form::read(report, access::last(&query, "format"), access::last(&query, "table"))?;
    let (scope, snapshot) = entry.rows(&arguments).await?;
    let engines = Engines { sql: &server.sql, limits: server.settings.sql_limits };
    let answer = evaluate(&app.pack, report, &arguments, &engines, &snapshot, &scope).await?;
    watch.lap("engine");
    let started = watch.started();
    let response = form.encode(answer, &report.name, watch).await?;
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
    /// The rows of the list at this path of the answer.
    Csv {
        list: String,
    },
    Ndjson {
        list: String,
    },
}

impl Form {
    fn read(report: &Report, format: Option<&str>, table: Option<&str>) -> Result<Self, ParamError> {
        let list = |format| choose_list(report, format, table).map(str::to_owned);
        match format {
            None | Some("json") => Ok(Self::Json),
            Some(format @ "csv") => Ok(Self::Csv { list: list(format)? }),
            Some(format @ "ndjson") => Ok(Self::Ndjson { list: list(format)? }),
            Some(given) => Err(ParamError::refused("format", given, "json, csv or ndjson")),
        }
    }

    async fn encode(self, answer: Answer, report: &str, watch: Stopwatch) -> Result<Response, Problem> {
        let internal = |error: &dyn std::fmt::Display| Problem::hidden(Code::Internal, error);
        match self {
            Self::Json => {
                let encode = move || serde_json::to_vec(&answer.body).map_err(|error| internal(&error));
                encoded_answer(watch, "application/json", encode).await
            }
            Self::Csv { list } => {
                let encode = move || {
                    let Some(list) = answer.lists.iter().find(|found| found.path == list) else {
                        return Err(internal(&"a declared list is not in the answer"));
                    };
                    to_csv(&list.columns, answer.rows(list)).map_err(|error| internal(&error))
                };
                let mut response = encoded_answer(watch, "text/csv; charset=utf-8", encode).await?;
                let name = HeaderValue::from_str(&format!("attachment; filename=\"{report}.csv\""));
                if let Ok(name) = name {
                    response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
                }
                Ok(response)
            }
            Self::Ndjson { list } => {
                let encode = move || {
                    let Some(list) = answer.lists.iter().find(|found| found.path == list) else {
                        return Err(internal(&"a declared list is not in the answer"));
                    };
                    Ok(to_ndjson(answer.rows(list)))
                };
                encoded_answer(watch, "application/x-ndjson", encode).await
            }
        }
    }
}
