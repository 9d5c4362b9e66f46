//! The dashboard: files that are in the binary, below `/app`, and the page of each app at its name (`/storefront/`). The OpenAPI document
//! has none of them, since they are pages for people and no API; what they ask for is what everybody may ask.

use std::io::Read;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use ebbtide_web::File;
use flate2::read::GzDecoder;

use super::conditional::is_known;
use super::only;
use super::paths::Verb;
use crate::problem::{Code, Problem};
use crate::server::Server;

/// The page runs its own script and asks its own server, and can do nothing else.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A name with a hash of the contents never names others.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// Where the dashboard is.
pub(super) fn routes(server: &Server) -> Router<Arc<Server>> {
    let methods = |answer| only(answer, Verb::Get.methods().to_owned());
    let whole = || methods(get(|asked: HeaderMap| async move { page(&asked) }));
    let router = Router::new()
        .route("/", methods(get(|| async { Redirect::to("/app") })))
        .route("/app", whole())
        .route("/app/", whole())
        .route("/app/{*path}", methods(get(below)));
    // What a pack or the server has at such a name stays there.
    let names = server.apps.iter().map(|app| app.name().as_str()).filter(|name| server.routes.is_free(name));
    names.fold(router, |router, name| {
        router.route(&format!("/{name}"), whole()).route(&format!("/{name}/"), whole())
    })
}

/// A file, or the page: which part of it an address means is the page's own matter. No name of an app, report or page has a dot, so
/// a name with one is that of a file.
async fn below(Path(path): Path<String>, asked: HeaderMap) -> Result<Response, Problem> {
    match ebbtide_web::file(&path) {
        Some(file) if file.name != ebbtide_web::PAGE => answer(file, &asked),
        _ if path.rsplit('/').next().is_some_and(|last| last.contains('.')) => {
            Err(Problem::new(Code::PathUnknown, "The dashboard has no such file."))
        }
        _ => page(&asked),
    }
}

/// A file that pages of other sites run: it tells of nobody, and may be loaded from anywhere.
pub(super) fn script(name: &str, asked: &HeaderMap) -> Result<Response, Problem> {
    let file = ebbtide_web::file(name)
        .ok_or_else(|| Problem::new(Code::PathUnknown, "This server was built without that script."))?;
    let mut response = answer(file, asked)?;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let anywhere = HeaderValue::from_static("cross-origin");
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), anywhere);
    Ok(response)
}

fn page(asked: &HeaderMap) -> Result<Response, Problem> {
    let file = ebbtide_web::file(ebbtide_web::PAGE)
        .ok_or_else(|| Problem::new(Code::PathUnknown, "This server was built without a dashboard."))?;
    answer(file, asked)
}

fn answer(file: &'static File, asked: &HeaderMap) -> Result<Response, Problem> {
    let etag = HeaderValue::from_str(&format!("\"{}\"", file.etag))
        .map_err(|error| Problem::hidden(Code::Internal, error))?;
    let mut response =
        if is_known(asked, &etag) { StatusCode::NOT_MODIFIED.into_response() } else { whole(file, asked)? };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, etag);
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    let kept = if file.is_immutable() { FOR_EVER } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    Ok(response)
}

fn whole(file: &'static File, asked: &HeaderMap) -> Result<Response, Problem> {
    let mut response = if takes_gzip(asked) {
        let mut response = Response::new(Body::from(Bytes::from_static(file.gzip)));
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response
    } else {
        let mut plain = Vec::new();
        GzDecoder::new(file.gzip)
            .read_to_end(&mut plain)
            .map_err(|error| Problem::hidden(Code::Internal, error))?;
        Response::new(Body::from(plain))
    };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(file.media_type));
    Ok(response)
}

/// Whether `Accept-Encoding` names gzip and does not rule it out by `q=0`.
fn takes_gzip(asked: &HeaderMap) -> bool {
    let named = asked.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    named.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.trim().parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_some_and(|weight| weight > 0.0)
    })
}
