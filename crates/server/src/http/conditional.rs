//! Answers that a client may have already: validators, and what they are compared with.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use ebbtide_model::Instant;

use crate::cache::{Entry, Source};

const X_CACHE: HeaderName = HeaderName::from_static("x-cache");

/// The JSON of an answer, or 304 where the client has it.
pub(super) fn kept_json(entry: &Entry, source: Source, now: Instant, asked: &HeaderMap) -> Response {
    let mut response = if is_known(asked, entry.etag()) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        whole_json(entry)
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, entry.etag().clone());
    tell(headers, source, entry.age_s(now));
    response
}

/// The JSON of an answer.
pub(super) fn whole_json(entry: &Entry) -> Response {
    let mut response = Response::new(Body::from(Bytes::clone(entry.json())));
    let media_type = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    response
}

/// Where an answer came from, and how old it is.
pub(super) fn tell(headers: &mut HeaderMap, source: Source, age_s: u64) {
    // Answers depend on the token, and are one caller's own.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(header::AGE, HeaderValue::from(age_s));
    headers.insert(
        X_CACHE,
        HeaderValue::from_static(match source {
            Source::Kept | Source::Joined => "hit",
            Source::Computed => "miss",
        }),
    );
}

/// Whether `If-None-Match` names the answer: by the weak comparison, as RFC 9110 has it for that header.
pub(super) fn is_known(asked: &HeaderMap, etag: &HeaderValue) -> bool {
    let lists = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let own = etag.to_str().unwrap_or_default();
    lists.into_iter().any(|list| list.trim() == "*" || tags(list).any(|tag| tag == own))
}

/// The tags of a list, each in its quotes and without what says that it is weak. What is no tag ends it.
fn tags(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let tag = rest.trim_start_matches([' ', '\t', ',']);
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        let end = tag.strip_prefix('"')?.find('"')? + 2;
        let (tag, after) = tag.split_at_checked(end)?;
        rest = after;
        Some(tag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_in_whatever_list_it_stands() {
        let check = |lists: &[&str], known: bool| {
            let mut asked = HeaderMap::new();
            for list in lists {
                asked.append(header::IF_NONE_MATCH, HeaderValue::from_str(list).unwrap());
            }
            assert_eq!(is_known(&asked, &HeaderValue::from_static("\"a,b\"")), known, "{lists:?}");
        };
        check(&[], false);
        check(&["*"], true);
        check(&["\"a,b\""], true);
        check(&["W/\"a,b\""], true);
        check(&["\"x\", W/\"y\" ,\t\"a,b\""], true);
        check(&["\"x\",\"a,b\""], true);
        check(&["\"x\"", "\"a,b\""], true);
        check(&["\"a\", \"b\""], false);
        check(&["a,b"], false);
        check(&["\"a,b"], false);
        check(&["\"A,b\""], false);
        check(&["w/\"a,b\""], false);
        check(&["\"\""], false);
        check(&["\"x\" junk \"a,b\""], false);
        check(&[""], false);
    }
}
