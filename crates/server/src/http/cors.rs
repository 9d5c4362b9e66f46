//! Browsers on other origins: who may call, and what they may read of an answer. Without a rule no header
//! tells of it, save on the paths that reports in other sites' pages ask (`embedded.rs`).

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::OWN_PATHS;

/// Every origin.
const ANY: &str = "*";

/// Which pages may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsRules {
    /// `https://app.example.com`, letter by letter, or `*`; empty: none.
    pub origins: Vec<String>,
    /// Whether browsers may send what they keep for this server along; not with `*`.
    pub credentials: bool,
    /// How long the answer to a preflight is good.
    pub max_age: Duration,
}

impl Default for CorsRules {
    fn default() -> Self {
        Self { origins: Vec::new(), credentials: false, max_age: Duration::from_secs(600) }
    }
}

/// What requests of a page may carry besides what every request may.
const REQUEST_HEADERS: [HeaderName; 4] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::IF_NONE_MATCH,
    HeaderName::from_static("x-request-id"),
];

/// What a page may read of an answer besides its body, status and type.
pub(super) const ANSWER_HEADERS: [HeaderName; 7] = [
    header::ETAG,
    header::AGE,
    header::CONTENT_DISPOSITION,
    header::RETRY_AFTER,
    HeaderName::from_static("x-cache"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("server-timing"),
];

impl CorsRules {
    /// Whether pages of this origin may call.
    pub(crate) fn allows(&self, origin: &str) -> bool {
        self.is_open_to_all() || self.origins.iter().any(|allowed| allowed == origin)
    }

    pub(crate) fn is_open_to_all(&self) -> bool {
        self.origins.iter().any(|origin| origin == ANY)
    }

    /// The layer that tells browsers; `None` where there is nothing to tell.
    pub(super) fn layer(&self) -> Option<CorsLayer> {
        if self.origins.is_empty() {
            return None;
        }
        let origins = if self.is_open_to_all() {
            AllowOrigin::any()
        } else {
            AllowOrigin::list(self.origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
        };
        let layer = CorsLayer::new()
            .allow_origin(origins)
            .allow_methods(methods())
            .allow_headers(REQUEST_HEADERS)
            .expose_headers(ANSWER_HEADERS)
            .max_age(self.max_age);
        Some(layer.allow_credentials(self.credentials && !self.is_open_to_all()))
    }
}

/// Every method that some path takes: those of packs take none that the server's own do not.
fn methods() -> Vec<Method> {
    let names: BTreeSet<&str> = OWN_PATHS.iter().flat_map(|own| own.verb.methods().split(", ")).collect();
    names.into_iter().filter_map(|name| Method::from_bytes(name.as_bytes()).ok()).collect()
}

/// Whether pages of this origin are the server's own.
pub(super) fn is_own(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
    !host.is_empty() && authority.eq_ignore_ascii_case(host)
}

/// Whether a browser may give this as `Origin`: scheme, host, and a port that is not the scheme's own, in
/// lower case, with nothing after; or `*`.
pub(crate) fn is_origin(text: &str) -> bool {
    if text == ANY {
        return true;
    }
    let Ok(uri) = text.parse::<Uri>() else {
        return false;
    };
    let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return false;
    };
    let own_port = if scheme == "http" { 80 } else { 443 };
    let plain = !text.bytes().any(|byte| byte.is_ascii_uppercase() || byte == b'*');
    let whole = text == format!("{scheme}://{authority}");
    plain && whole && !authority.as_str().contains('@') && authority.port_u16() != Some(own_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        let check = |text: &str, good: bool| assert_eq!(is_origin(text), good, "{text:?}");
        check("https://app.example.com", true);
        check("https://app.example.com:8443", true);
        check("http://localhost:3000", true);
        check("http://[::1]:3000", true);
        check("*", true);
        for bad in [
            "",
            "null",
            "app.example.com",
            "https://app.example.com/",
            "https://app.example.com/path",
            "https://app.example.com:443",
            "http://app.example.com:80",
            "https://App.example.com",
            "HTTPS://app.example.com",
            "https://*.example.com",
            "https://user@app.example.com",
            "ftp://app.example.com",
            "https://app.example.com\n",
            "file://",
        ] {
            check(bad, false);
        }
    }
}
