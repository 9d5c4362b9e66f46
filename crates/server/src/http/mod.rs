//! The HTTP surface: the server's own paths and those of all packs, with what surrounds each request.

mod access;
mod answer;
mod body;
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
        let methods = match own.verb {
            Verb::Get => read((own.answer)()),
            Verb::Post => write((own.answer)()),
        };
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
    methods.fallback(|| async { wrong_method("GET, HEAD") })
}

fn write(methods: MethodRouter<Arc<Server>>) -> MethodRouter<Arc<Server>> {
    methods.fallback(|| async { wrong_method("POST") })
}

fn wrong_method(allowed: &'static str) -> Response {
    let problem = Problem::new(Code::MethodNotAllowed, format!("This path allows {allowed} only."));
    let mut response = problem.into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

async fn unknown_path() -> Problem {
    Problem::new(Code::PathUnknown, "This server has no such path.")
}
