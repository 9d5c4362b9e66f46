//! A pack's reports over HTTP.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use ebbtide_model::pack::{LANG, ParamError, Report};

use super::access::{self, Pairs, PathParams};
use super::answer::Stopwatch;
use super::conditional;
use super::export::export;
use super::request_id::RequestId;
use crate::cache::{Freshness, Source};
use crate::problem::Problem;
use crate::question::Question;
use crate::report::export::ExportFormat;
use crate::report::{Pair, TABLE, choose_lists};
use crate::routes::ReportRoute;
use crate::server::Server;
use crate::sign_in::{ADMIN, Caller};

/// A request for an answer, by a caller who has signed in to it.
pub(super) struct Request<'r> {
    pub(super) caller: Caller,
    pub(super) path: Result<Pairs, Problem>,
    pub(super) query: Result<Pairs, Problem>,
    pub(super) headers: &'r HeaderMap,
    pub(super) id: &'r RequestId,
}

/// The handler of one route of one report.
pub(super) fn handler(route: Arc<ReportRoute>) -> MethodRouter<Arc<Server>> {
    get(
        move |State(server): State<Arc<Server>>,
              Extension(id): Extension<RequestId>,
              path: PathParams,
              uri: Uri,
              headers: HeaderMap| {
            let route = route.clone();
            async move {
                let path = access::path_pairs(path);
                let caller = access::sign_in_to_report(&server, &headers, &route)?;
                let query = access::query_pairs(&uri);
                answer(&server, &route, Request { caller, path, query, headers: &headers, id: &id }).await
            }
        },
    )
}

/// The answer of a report by one of its routes.
pub(super) async fn answer(
    server: &Arc<Server>,
    route: &Arc<ReportRoute>,
    Request { caller, path, query, headers, id }: Request<'_>,
) -> Result<Response, Problem> {
    let mut watch = Stopwatch::start();
    let now = server.now();
    let report = &route.report;
    let given = query.as_deref().unwrap_or_default();
    let entrant =
        access::enter(server, route, (caller, headers), path.as_deref().unwrap_or_default(), given)?;
    let refresh = Refresh::asked(given);
    refresh.require_role(entrant.caller())?;
    let plan = entrant.plan().await?;
    let (path, query) = (path?, query.as_deref().map_err(Clone::clone)?);
    let arguments = entrant.arguments(plan, &path, query, now)?;
    let form = Form::read(report, access::last(query, "format"), access::last(query, TABLE))?;
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
    let mut response = match form {
        Form::Json => {
            let (entry, source) = question.answer(freshness).await?;
            watch.lap(if source == Source::Computed { "engine" } else { "cache" });
            conditional::kept_json(&entry, source, now, headers)
        }
        Form::File { format, lists } => {
            let (file, source, age_s) = question.export(format, &lists, freshness).await?;
            watch.lap(if source == Source::Computed { "engine" } else { "cache" });
            // A list that was one of several is in the file's name.
            let chosen = lists.first().filter(|_| lists.len() == 1 && report.lists.len() > 1);
            let mut response = export(server, file, chosen.map(String::as_str), id, &mut watch).await?;
            conditional::tell(response.headers_mut(), source, age_s);
            response
        }
    };
    if report.response.has_insights() && access::last(query, LANG).is_none() {
        response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-language"));
    }
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
    /// Lists by their paths in the answer.
    File {
        format: ExportFormat,
        lists: Vec<String>,
    },
}

impl Form {
    fn read(report: &Report, format: Option<&str>, table: Option<&str>) -> Result<Self, ParamError> {
        let given = match format {
            None | Some("json") => {
                // It has no part in the answer, and is not to be wrong all the same.
                choose_lists(report, ExportFormat::Xlsx, table)?;
                return Ok(Self::Json);
            }
            Some(given) => given,
        };
        let format = ExportFormat::from_name(given)
            .ok_or_else(|| ParamError::refused("format", given, "one of json, csv, xlsx, ndjson, parquet"))?;
        let lists = choose_lists(report, format, table)?;
        Ok(Self::File { format, lists: lists.into_iter().map(str::to_owned).collect() })
    }
}
