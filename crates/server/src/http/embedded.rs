//! Reports that are asked for with a token that is bound to one: what it lets through, what it fixes, and the pages
//! of which origin may ask with it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use ebbtide_model::pack::{AS_OF, Report, Route, RouteTenant};

use super::access::{self, Pairs};
use super::cors::{self, ANSWER_HEADERS};
use crate::problem::{Code, Problem, shortened};
use crate::report::Pair;
use crate::server::Server;
use crate::sign_in::{Caller, Embed, embedding_origin};

/// The parameter by which listeners that cannot set headers give their token.
const TOKEN: &str = "token";

/// How an answer is written and whether it is made anew are no matters of the bearer's: parameters, and the only
/// value that each may have.
const LEFT: [(&str, &str); 2] = [("format", "json"), ("refresh", "false")];

/// Refused where a request asks for more than its token's report as the token fixes it.
pub(super) fn check_request(
    caller: &Caller,
    report: &Report,
    route: &Route,
    path: &[Pair],
    query: &[Pair],
) -> Result<(), Problem> {
    let Some(embed) = caller.embed() else {
        return Ok(());
    };
    check_route(caller, embed, report, route)?;
    embed.check(path)?;
    embed.check(query)?;
    for (name, allowed) in LEFT {
        if let Some((_, given)) = query.iter().find(|(given, text)| given == name && text != allowed) {
            let detail = format!(
                "parameter {name}: {:?} was given; the token allows {allowed} alone.",
                shortened(given)
            );
            return Err(Problem::new(Code::Forbidden, detail));
        }
    }
    Ok(())
}

/// Refused where the path has not all parameters that the token fixes, or would let its bearer choose the tenant.
pub(super) fn check_route(
    caller: &Caller,
    embed: &Embed,
    report: &Report,
    route: &Route,
) -> Result<(), Problem> {
    let is_set = |name: &str| route.set.iter().any(|(set, _)| set == name);
    let is_there = |name: &str| {
        let of_report = report.params.iter().any(|param| param.name == name) && !is_set(name);
        of_report || name == AS_OF || route.params.iter().any(|param| param.name == name)
    };
    if let Some((name, _)) = embed.params.iter().find(|(name, _)| !is_there(name)) {
        let detail = format!("The token fixes {:?}, which is no parameter here.", shortened(name));
        return Err(Problem::new(Code::Forbidden, detail));
    }
    match &route.tenant {
        RouteTenant::Param(name)
            if caller.tenant().is_none() && !embed.params.iter().any(|(fixed, _)| fixed == name) =>
        {
            let detail = format!("The token fixes neither a tenant nor {name:?}, which names one here.");
            Err(Problem::new(Code::Forbidden, detail))
        }
        RouteTenant::Param(_)
        | RouteTenant::Token
        | RouteTenant::TokenOrAll
        | RouteTenant::TokenOr(_)
        | RouteTenant::AllForAdmin
        | RouteTenant::Access => Ok(()),
    }
}

/// What is given, with the values that the caller's token fixes.
pub(super) fn with_fixed(caller: &Caller, given: &[Pair]) -> Pairs {
    let fixed = caller.embed().map(|embed| embed.params.as_slice()).unwrap_or_default();
    given.iter().chain(fixed).cloned().collect()
}

/// Refused where a page asks that is neither of the token's origin nor the server's own.
pub(super) fn check_origin(caller: &Caller, headers: &HeaderMap) -> Result<(), Problem> {
    let (Some(embed), Some(origin)) = (caller.embed(), headers.get(header::ORIGIN)) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or_default();
    if origin == embed.origin || cors::is_own(origin, headers) {
        return Ok(());
    }
    let detail =
        format!("The token is for pages of {}, and a page of {:?} asks.", embed.origin, shortened(origin));
    Err(Problem::new(Code::Forbidden, detail))
}

/// What a token that is bound to no report is told.
pub(super) fn unbound() -> Problem {
    let detail = "This is for tokens with a claim `embed` alone; others ask a report by its own path, which \
                  `GET /v1/schema` lists.";
    Problem::new(Code::Forbidden, detail)
}

/// The layer that tells browsers of the paths that embedded reports ask: pages of the token's origin may read what is
/// answered to it, whatever the server's rules are. Whether a page may send a token it asks before it does, when
/// nothing is known of the token: any may, since nothing but bound tokens is let in there.
pub(super) async fn tell_browsers(
    State(server): State<Arc<Server>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let origin = headers.get(header::ORIGIN).cloned();
    let foreign = origin.filter(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        let is_one = origin != "*" && cors::is_origin(origin);
        is_one && !server.settings.cors.allows(origin) && !cors::is_own(origin, headers)
    });
    let Some(origin) = foreign else {
        return next.run(request).await;
    };
    if is_preflight(&request) {
        return preflight_answer(&server, origin);
    }
    let query = access::query_pairs(request.uri()).unwrap_or_default();
    let may_read = embedding_origin(headers, access::last(&query, TOKEN), &server.keys)
        .is_some_and(|allowed| origin == allowed.as_str());
    let mut response = next.run(request).await;
    if may_read {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        let names = ANSWER_HEADERS.map(|name| name.as_str().to_owned());
        if let Ok(names) = HeaderValue::from_str(&names.join(",")) {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, names);
        }
    }
    response
}

fn is_preflight(request: &Request) -> bool {
    let method = request.headers().get(header::ACCESS_CONTROL_REQUEST_METHOD);
    request.method() == Method::OPTIONS && method.is_some_and(|method| method == "GET")
}

fn preflight_answer(server: &Server, origin: HeaderValue) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET"));
    let names = HeaderValue::from_static("authorization,if-none-match");
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(server.settings.cors.max_age.as_secs()));
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    response
}
