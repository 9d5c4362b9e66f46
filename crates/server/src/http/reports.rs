//! A pack's reports over HTTP.

use std::sync::Arc;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use axum::routing::{MethodRouter, get};

use super::access::{self, Pairs};
use crate::problem::{Code, Problem};
use crate::routes::ReportRoute;
use crate::server::Server;

type PathParams = Result<RawPathParams, RawPathParamsRejection>;

/// The handler of one route of one report.
pub(super) fn handler(route: Arc<ReportRoute>) -> MethodRouter<Arc<Server>> {
    get(move |State(server): State<Arc<Server>>, path: PathParams, uri: Uri, headers: HeaderMap| {
        let route = route.clone();
        async move { answer(&server, &route, path, &uri, &headers).await }
    })
}

async fn answer(
    server: &Server,
    route: &ReportRoute,
    path: PathParams,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let caller = access::sign_in_to(server, headers, route)?;
    let _reach = access::reach(&caller, &route.route)?;
    let _pairs = access::query_pairs(uri)?;
    let _path = path_pairs(path)?;
    Err(Problem::new(Code::Recovering, "The server is still opening its data."))
}

fn path_pairs(path: PathParams) -> Result<Pairs, Problem> {
    let broken = |_| Problem::new(Code::ParameterInvalid, "The path is not UTF-8 once it is decoded.");
    let path = path.map_err(broken)?;
    Ok(path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}
