//! A pack's reports over HTTP.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use ebbtide_model::pack::{ParamError, Report};

use super::access::{self, PathParams};
use super::answer::{Stopwatch, encoded_answer};
use super::conditional;
use super::request_id::RequestId;
use crate::cache::{Freshness, Source};
use crate::problem::{Code, Problem};
use crate::question::Question;
use crate::report::{Answer, Pair, choose_list, to_csv, to_ndjson};
use crate::routes::ReportRoute;
use crate::server::Server;
use crate::sign_in::{ADMIN, Caller};

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
    route: &Arc<ReportRoute>,
    path: PathParams,
    uri: &Uri,
    headers: &HeaderMap,
    id: &RequestId,
) -> Result<Response, Problem> {
    let mut watch = Stopwatch::start();
    let now = server.now();
    let report = &route.report;
    let path = access::path_pairs(path);
    let entrant = access::enter(server, route, headers, path.as_deref().unwrap_or_default())?;
    let query = access::query_pairs(uri);
    let refresh = Refresh::asked(query.as_deref().unwrap_or_default());
    refresh.require_role(entrant.caller())?;
    let plan = entrant.plan().await?;
    let (path, query) = (path?, query.as_deref().map_err(Clone::clone)?);
    let arguments = entrant.arguments(plan, &path, query, now)?;
    let form = Form::read(report, access::last(query, "format"), access::last(query, "table"))?;
    let freshness = refresh.freshness()?;
    let (scope, snapshot) = entrant.rows(&arguments).await?;
    let question = Question {
        server: server.clone(),
        route: route.clone(),
        arguments: Arc::new(arguments),
        scope,
        snapshot,
        now,
        request_id: id.as_str().to_owned(),
    };
    let (entry, source) = question.answer(freshness).await?;
    watch.lap(if source == Source::Computed { "engine" } else { "cache" });
    let mut response = match form {
        Form::Json => conditional::kept_json(&entry, source, now, headers),
        Form::Csv { .. } | Form::Ndjson { .. } => {
            let mut response = form.encode(entry.answer().clone(), &report.name, &mut watch).await?;
            conditional::tell(response.headers_mut(), source, entry.age_s(now));
            response
        }
    };
    watch.tell(response.headers_mut());
    Ok(response)
}

/// Whether the answer is to be computed anew, whatever is kept.
enum Refresh<'q> {
    Unasked,
    Asked,
    Malformed(&'q str),
}

impl<'q> Refresh<'q> {
    fn asked(query: &'q [Pair]) -> Self {
        match access::last(query, "refresh") {
            None | Some("false") => Self::Unasked,
            Some("true") => Self::Asked,
            Some(given) => Self::Malformed(given),
        }
    }

    /// What is kept serves all; that it does not hold any more is for an admin to say.
    fn require_role(&self, caller: &Caller) -> Result<(), Problem> {
        match self {
            Self::Asked => caller.require_role(&[ADMIN]),
            Self::Unasked | Self::Malformed(_) => Ok(()),
        }
    }

    fn freshness(&self) -> Result<Freshness, ParamError> {
        match self {
            Self::Unasked => Ok(Freshness::AnyThatHolds),
            Self::Asked => Ok(Freshness::Recomputed),
            Self::Malformed(given) => Err(ParamError::refused("refresh", given, "true or false")),
        }
    }
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

    async fn encode(
        self,
        answer: Arc<Answer>,
        report: &str,
        watch: &mut Stopwatch,
    ) -> Result<Response, Problem> {
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
