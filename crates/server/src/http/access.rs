//! The checks before an answer, in the order that clients rely on: token (401), role and tenant (403),
//! plan (402), parameters (422), existence (404).

use axum::extract::Query;
use axum::http::{HeaderMap, Uri};
use ebbtide_model::Scope;
use ebbtide_model::pack::{Route, RouteTenant};

use crate::problem::{Code, Problem};
use crate::routes::ReportRoute;
use crate::server::Server;
use crate::sign_in::{self, Caller};

/// Names and values of a query string, in order, decoded.
pub(super) type Pairs = Vec<(String, String)>;

/// Whose rows a report answers about, as far as that is known before its parameters are read.
pub(super) enum Reach {
    Scope(Scope),
    /// The tenant that this parameter of the path names.
    Named {
        param: String,
    },
}

/// Who calls a path that belongs to one app: 401.
pub(super) fn sign_in_to(
    server: &Server,
    headers: &HeaderMap,
    route: &ReportRoute,
) -> Result<Caller, Problem> {
    let verified = sign_in::verify(headers, &server.keys, server.now(), server.settings.token_leeway_s)?;
    verified.into_caller_of(route.app.name())
}

/// Who calls a path that belongs to every app: 401. `app` of the query decides between several.
pub(super) fn sign_in(server: &Server, headers: &HeaderMap, uri: &Uri) -> Result<Caller, Problem> {
    let verified = sign_in::verify(headers, &server.keys, server.now(), server.settings.token_leeway_s)?;
    let pairs = query_pairs(uri)?;
    let apps = server.apps.iter().map(|app| app.name());
    verified.into_caller_among(apps, last(&pairs, "app"))
}

/// Whether the route's rules let the caller in: 403.
pub(super) fn reach(caller: &Caller, route: &Route) -> Result<Reach, Problem> {
    caller.require_role(&route.roles)?;
    match &route.tenant {
        RouteTenant::Token => caller.tenant_scope().map(Reach::Scope),
        RouteTenant::TokenOrAll => caller.widest_scope().map(Reach::Scope),
        RouteTenant::Param(param) => Ok(Reach::Named { param: param.clone() }),
    }
}

pub(super) fn query_pairs(uri: &Uri) -> Result<Pairs, Problem> {
    let parsed = Query::<Pairs>::try_from_uri(uri);
    let Query(pairs) = parsed.map_err(|_| {
        Problem::new(Code::ParameterInvalid, "The query string is not one of names and values.")
    })?;
    Ok(pairs)
}

/// Of a parameter that is given several times the last counts.
pub(super) fn last<'p>(pairs: &'p Pairs, name: &str) -> Option<&'p str> {
    pairs.iter().rev().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
}
