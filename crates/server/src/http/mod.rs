//! The HTTP surface: the server's own paths and those of all packs, with what surrounds each request.

mod access;
mod admission;
mod answer;
mod beacon;
mod body;
mod capture;
mod cards;
mod cohorts;
mod conditional;
mod cors;
mod dashboard;
mod embed;
mod embedded;
mod explain;
mod export;
mod gate;
mod keys;
mod live;
mod observe;
mod pack_rows;
mod paths;
mod probes;
mod query;
mod reference;
mod rejects;
mod reports;
mod request_id;
mod resend;
mod rows;
mod schema;
mod sql;
mod store_numbers;
mod tokens;

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
pub(crate) use paths::{OWN_PATHS, OwnPath, Verb};
pub(crate) use reference::file_names as reference_files;
pub(crate) use request_id::RequestIds;

use paths::Surroundings;

use crate::problem::{Code, Problem};
use crate::server::Server;

/// All paths of a server.
pub fn router(server: &Arc<Server>) -> Router {
    let (mut work, mut embedded_paths, mut probes) = (Router::new(), Router::new(), Router::new());
    for of_path in OWN_PATHS.chunk_by(|one, next| one.path == next.path) {
        let Some(OwnPath { path, surroundings, .. }) = of_path.first() else {
            continue;
        };
        let answers = of_path.iter().map(|own| (own.answer)());
        let allowed: Vec<&str> = of_path.iter().map(|own| own.verb.methods()).collect();
        let methods = only(answers.fold(MethodRouter::new(), MethodRouter::merge), allowed.join(", "));
        match surroundings {
            Surroundings::Work => work = work.route(path, methods),
            Surroundings::Embedded => embedded_paths = embedded_paths.route(path, methods),
            Surroundings::Probe => probes = probes.route(path, methods),
        }
    }
    for route in &server.routes.reports {
        let path = route.route.path.clone();
        work = work.route(&path, only(reports::handler(route.clone()), Verb::Get.methods().to_owned()));
    }
    for route in &server.routes.captures {
        let methods = pack_rows::capture_handler(route.clone());
        work = work.route(&route.capture.path, only(methods, Verb::Post.methods().to_owned()));
    }
    for route in &server.routes.clears {
        let methods = pack_rows::clear_handler(route.clone());
        work = work.route(&route.clear.path, only(methods, Verb::Post.methods().to_owned()));
    }
    for way in &server.routes.lives {
        let methods = live::handler(way.clone());
        work = work.route(&way.live.route.path, only(methods, Verb::Get.methods().to_owned()));
    }
    let work = work.merge(dashboard::routes(server)).merge(embed::routes());
    let admitted = |router: Router<_>| router.layer(from_fn_with_state(server.clone(), observe::admit));
    let told = |router: Router<_>| {
        let router = router.layer(from_fn(observe::catch_panic));
        match server.settings.cors.layer() {
            Some(cors) => router.layer(cors),
            None => router,
        }
    };
    let work = told(admitted(work).fallback(unknown_path));
    let embedded_paths =
        told(admitted(embedded_paths)).layer(from_fn_with_state(server.clone(), embedded::tell_browsers));
    probes
        .layer(from_fn(observe::catch_panic))
        .merge(work)
        .merge(embedded_paths)
        .layer(from_fn_with_state(server.clone(), observe::observe))
        .with_state(server.clone())
}

/// Other methods are answered with those that the path allows.
fn only(methods: MethodRouter<Arc<Server>>, allowed: String) -> MethodRouter<Arc<Server>> {
    methods.fallback(|| async move { wrong_method(&allowed) })
}

fn wrong_method(allowed: &str) -> Response {
    let problem = Problem::new(Code::MethodNotAllowed, format!("This path allows {allowed} only."));
    let mut response = problem.into_response();
    if let Ok(allowed) = HeaderValue::from_str(allowed) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

async fn unknown_path() -> Problem {
    Problem::new(Code::PathUnknown, "This server has no such path.")
}
