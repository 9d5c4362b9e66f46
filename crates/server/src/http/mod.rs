//! The HTTP surface: the server's own paths and those of all packs, with what surrounds each request.

mod access;
mod answer;
mod body;
mod cohorts;
mod conditional;
mod cors;
mod export;
mod gate;
mod observe;
mod paths;
mod probes;
mod query;
mod reference;
mod reports;
mod request_id;
mod rows;
mod schema;
mod sql;
mod store_numbers;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;

pub(crate) use answer::milliseconds;
pub(crate) use body::BodyBudget;
pub use cors::CorsRules;
pub(crate) use cors::is_origin;
pub(crate) use gate::Gate;
pub use paths::own_paths;
pub(crate) use paths::{OWN_PATHS, Verb};
pub(crate) use reference::file_names as reference_files;
pub(crate) use request_id::RequestIds;

use paths::Surroundings;

use crate::problem::{Code, Problem};
use crate::server::Server;

/// All paths of a server.
pub fn router(server: &Arc<Server>) -> Router {
    let (mut work, mut probes) = (Router::new(), Router::new());
    for own in OWN_PATHS {
        let first = OWN_PATHS.iter().find(|other| other.path == own.path);
        if first.is_some_and(|first| first.verb != own.verb) {
            continue;
        }
        let verbs = OWN_PATHS.iter().filter(|other| other.path == own.path);
        let methods = verbs.fold(MethodRouter::new(), |methods, own| methods.merge((own.answer)()));
        let methods = methods.fallback(|| async { wrong_method(allowed_at(own.path)) });
        match own.surroundings {
            Surroundings::Work => work = work.route(own.path, methods),
            Surroundings::Probe => probes = probes.route(own.path, methods),
        }
    }
    for route in &server.routes {
        let path = route.route.path.clone();
        work = work.route(&path, read(reports::handler(route.clone())));
    }
    let work = work.layer(from_fn_with_state(server.clone(), observe::admit)).fallback(unknown_path);
    let mut work = work.layer(from_fn(observe::catch_panic));
    if let Some(cors) = server.settings.cors.layer() {
        work = work.layer(cors);
    }
    probes
        .layer(from_fn(observe::catch_panic))
        .merge(work)
        .layer(from_fn_with_state(server.clone(), observe::observe))
        .with_state(server.clone())
}

fn read(methods: MethodRouter<Arc<Server>>) -> MethodRouter<Arc<Server>> {
    methods.fallback(|| async { wrong_method(Verb::Get.name().to_owned()) })
}

fn allowed_at(path: &str) -> String {
    let verbs = OWN_PATHS.iter().filter(|own| own.path == path);
    verbs.map(|own| own.verb.name()).collect::<Vec<_>>().join(", ")
}

fn wrong_method(allowed: String) -> Response {
    let problem = Problem::new(Code::MethodNotAllowed, format!("This path allows {allowed} only."));
    let mut response = problem.into_response();
    if let Ok(allowed) = HeaderValue::from_str(&allowed) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

async fn unknown_path() -> Problem {
    Problem::new(Code::PathUnknown, "This server has no such path.")
}
