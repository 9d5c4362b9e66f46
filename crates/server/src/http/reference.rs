//! What clients read about the server: the OpenAPI document, and the page that shows it. Both tell of paths,
//! parameters and columns, which are the pack's and the same for everybody, and of no tenant: neither
//! wants a token.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::conditional::is_known;
use crate::openapi::Document;
use crate::problem::{Code, Problem};
use crate::server::Server;

/// The page runs its own script and asks its own server, and can do nothing else.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the page.
struct Asset {
    name: &'static str,
    media_type: &'static str,
    text: &'static str,
}

const PAGE: Asset = Asset {
    name: "index.html",
    media_type: "text/html; charset=utf-8",
    text: include_str!("../../assets/docs/index.html"),
};

const FILES: [Asset; 3] = [
    Asset {
        name: "page.js",
        media_type: "text/javascript; charset=utf-8",
        text: include_str!("../../assets/docs/page.js"),
    },
    Asset {
        name: "page.css",
        media_type: "text/css; charset=utf-8",
        text: include_str!("../../assets/docs/page.css"),
    },
    Asset { name: "icon.svg", media_type: "image/svg+xml", text: include_str!("../../assets/docs/icon.svg") },
];

pub(crate) fn file_names() -> Vec<&'static str> {
    FILES.iter().map(|file| file.name).collect()
}

pub(super) async fn document(
    State(server): State<Arc<Server>>,
    asked: HeaderMap,
) -> Result<Response, Problem> {
    // Planning the packs' statements for their columns is work, once.
    let made = tokio::task::spawn_blocking(move || server.document());
    let document: Arc<Document> = made.await.map_err(|error| Problem::hidden(Code::Internal, error))?;
    let mut response = if is_known(&asked, &document.etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = Response::new(Body::from(Bytes::clone(&document.json)));
        let media_type = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, media_type);
        response
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, document.etag.clone());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

pub(super) async fn page() -> Response {
    PAGE.answer()
}

pub(super) async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    let file = FILES.iter().find(|file| file.name == name);
    file.map(Asset::answer)
        .ok_or_else(|| Problem::new(Code::PathUnknown, "The reference page has no such file."))
}

impl Asset {
    fn answer(&self) -> Response {
        let headers: [(HeaderName, &str); 3] = [
            (header::CONTENT_TYPE, self.media_type),
            (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
            (header::CACHE_CONTROL, "no-cache"),
        ];
        (headers, self.text).into_response()
    }
}
