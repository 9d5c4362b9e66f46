//! Reports in other sites' pages. `/embed/{report}` is for a frame: first a page that holds nothing and may be framed
//! by anybody, whose script brings the token from behind the address's `#` in a body; then the page that draws, which
//! the token's origin alone may frame. So no address that is sent, logged or told to others holds a token. `/embed.js`
//! is the element that draws, for pages that would rather have no frame: `/v1/embed` and what is below it are all that it asks, and
//! the only paths that browsers may ask for pages of origins that the server's rules do not name (`embedded.rs`).

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value as JsonValue, json};

use super::access;
use super::body::read_form;
use super::paths::Verb;
use super::request_id::RequestId;
use super::{dashboard, embedded, live, only, reports};
use crate::problem::{Code, Problem};
use crate::routes::ReportRoute;
use crate::server::Server;
use crate::sign_in::{Embed, ended_embed};

const OPENING_PAGE: &str = include_str!("../../assets/embed/open.html");
const OPENING_SCRIPT: &str = include_str!("../../assets/embed/open.js");
const STYLE: &str = include_str!("../../assets/embed/page.css");

/// Anybody may frame it, since there is nothing in it.
const OPENING_POLICY: &str =
    "default-src 'none'; script-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors *";
/// The page runs our element and asks its own server. Who may frame it is said with it.
const DRAWN_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors";

/// Where the answer of a token's report is asked for, and listened to.
pub(super) const ANSWER: &str = "/v1/embed/answer";
pub(super) const LIVE: &str = "/v1/embed/live";

/// A token is the one thing in it.
const FORM_BYTES_MAX: usize = 16 << 10;

/// What an address says of the page rather than of the report.
const THEME: &str = "theme";
const LANGUAGE: &str = "lang";

/// The pages, and the scripts that pages of other sites run.
pub(super) fn routes() -> Router<Arc<Server>> {
    let methods = |answer| only(answer, Verb::Get.methods().to_owned());
    let script = |name: &'static str| {
        methods(get(move |asked: HeaderMap| async move { dashboard::script(name, &asked) }))
    };
    Router::new()
        .route("/embed.js", script("embed.js"))
        .route("/tracker.js", script("tracker.js"))
        .route(
            "/embed/open.js",
            methods(get(|| async { asset("text/javascript; charset=utf-8", OPENING_SCRIPT) })),
        )
        .route("/embed/page.css", methods(get(|| async { asset("text/css; charset=utf-8", STYLE) })))
        .route("/embed/assets/{file}", methods(get(chunk)))
        .route("/embed/{report}", only(get(opening).post(drawn), "GET, HEAD, POST".to_owned()))
}

async fn chunk(Path(name): Path<String>, asked: HeaderMap) -> Result<Response, Problem> {
    dashboard::script(&format!("embed/assets/{name}"), &asked)
}

fn asset(media_type: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "no-cache")], text).into_response()
}

/// The same for every report: which there are is told to none without a token.
async fn opening() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, OPENING_POLICY),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, OPENING_PAGE).into_response()
}

async fn drawn(
    State(server): State<Arc<Server>>,
    Path(report): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let uri = request.uri().clone();
    let settings = &server.settings;
    let form = read_form(request, FORM_BYTES_MAX, settings, &server.bodies).await?;
    let token = access::last(&form, "token").unwrap_or_default();
    let headers = bearing(token)?;
    let (embed, status) = match access::sign_in_to_read(&server, &headers, &Uri::from_static("/"), &report) {
        Ok(caller) => (caller.embed().cloned().ok_or_else(embedded::unbound)?, StatusCode::OK),
        // The page asks, is refused, and tells the page around it, which may give it another token.
        Err(problem) if problem.code() == Code::TokenExpired => {
            let ended = ended_embed(&headers, &server.keys, &settings.token);
            let ended = ended.filter(|embed| embed.report == report);
            (ended.ok_or(problem)?, StatusCode::UNAUTHORIZED)
        }
        Err(problem) => return Err(problem),
    };
    let mut response = Response::new(Body::from(page(&embed, token, &uri)?));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let policy = HeaderValue::from_str(&format!("{DRAWN_POLICY} {}", embed.origin));
    // An origin has no character that a header cannot hold; without the policy there is no page.
    let policy = policy.map_err(|error| Problem::hidden(Code::Internal, error))?;
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

fn bearing(token: &str) -> Result<HeaderMap, Problem> {
    let mut headers = HeaderMap::new();
    if !token.is_empty() {
        let value = HeaderValue::from_str(&format!("Bearer {token}"));
        let invalid = |_| Problem::new(Code::TokenInvalid, "The field `token` holds no token.");
        headers.insert(header::AUTHORIZATION, value.map_err(invalid)?);
    }
    Ok(headers)
}

/// The element, with the address's look and parameters.
fn page(embed: &Embed, token: &str, asked: &Uri) -> Result<String, Problem> {
    let pairs = access::query_pairs(asked)?;
    let one_of = |name: &str, allowed: &[&str]| {
        access::last(&pairs, name).filter(|given| allowed.contains(given)).map(str::to_owned)
    };
    let theme = one_of(THEME, &["light", "dark"]);
    let language = one_of(LANGUAGE, &["en", "ko", "ru"]);
    let attribute = |name: &str, value: Option<&str>| {
        value.map(|value| format!(" {name}=\"{}\"", escaped(value))).unwrap_or_default()
    };
    let page = format!(
        "<!doctype html>\n<html lang=\"{lang}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <link rel=\"stylesheet\" href=\"/embed/page.css\">\n<script type=\"module\" src=\"/embed.js\"></script>\n</head>\n\
         <body>\n<ebbtide-chart framed{token}{theme}{language}{params}></ebbtide-chart>\n</body>\n</html>\n",
        lang = language.as_deref().unwrap_or("en"),
        title = escaped(&embed.report),
        token = attribute("token", Some(token)),
        theme = attribute("theme", theme.as_deref()),
        language = attribute("lang", language.as_deref()),
        params = attribute("params", asked.query().map(of_report).as_deref()),
    );
    Ok(page)
}

/// The query string without what is the page's own.
fn of_report(query: &str) -> String {
    let is_own = |pair: &&str| matches!(pair.split('=').next(), Some(THEME | LANGUAGE));
    query.split('&').filter(|pair| !is_own(pair)).collect::<Vec<_>>().join("&")
}

/// As text of an element or an attribute in double quotes.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// `GET /v1/embed/answer`: the report that the token is bound to, its path's parameters in the query string.
pub(super) async fn answer(
    State(server): State<Arc<Server>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let (caller, embed) = access::sign_in_bound(&server, &headers, &uri)?;
    let query = access::query_pairs(&uri)?;
    let (way, path) = live::way_to(&server, &caller, &embed.report, &embedded::with_fixed(&caller, &query))?;
    let request = reports::Request { caller, path: Ok(path), query: Ok(query), headers: &headers, id: &id };
    reports::answer(&server, &way, request).await
}

/// `GET /v1/embed`: what the token is bound to, how its answer is shaped, and where to ask for it.
pub(super) async fn declaration(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Json<JsonValue>, Problem> {
    let (caller, embed) = access::sign_in_bound(&server, &headers, &uri)?;
    let app = server.app_of(&caller)?;
    let of_report = || {
        server
            .routes
            .reports
            .iter()
            .filter(|way| way.app.name() == app.name() && way.report.name == embed.report)
    };
    let fits = |way: &&Arc<ReportRoute>| {
        access::is_open(&caller, &way.route)
            && embedded::check_route(&caller, &embed, &way.report, &way.route).is_ok()
    };
    let is_fixed = |name: &str| embed.params.iter().any(|(fixed, _)| fixed == name);
    // One whose path the token fixes, where there is one.
    let whole = |way: &&Arc<ReportRoute>| way.route.params.iter().all(|param| is_fixed(&param.name));
    let way = of_report().filter(fits).find(whole).or_else(|| of_report().find(fits)).cloned();
    let way = way.ok_or_else(|| {
        Problem::new(Code::Forbidden, "No path of the token's report is open to its role and tenant.")
    })?;
    let documented = server.clone();
    let made = tokio::task::spawn_blocking(move || documented.document());
    let document = made.await.map_err(|error| Problem::hidden(Code::Internal, error))?;
    let told: JsonValue = json!({
        "report": way.report.name,
        "description": way.report.description,
        "timezone": app.pack.schema.calendar.zone().iana_name(),
        "path": way.route.path,
        "answer": ANSWER,
        "live": LIVE,
        "fixed": embed.to_json()["params"],
        "expires_in_s": caller.expires_in_s(server.now()),
        "operation": document.reports.get(&way.route.path),
    });
    Ok(Json(told))
}
