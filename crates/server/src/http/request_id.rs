//! A name for each request, which its answer, its error and its log lines carry.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

const GIVEN_BYTES_MAX: usize = 64;

/// The name of a request, also among its extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestId(String);

impl RequestId {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

/// Makes names that differ from those of other processes by their seed.
#[derive(Debug)]
pub(crate) struct RequestIds {
    seed: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, next: AtomicU64::new(0) }
    }

    /// The name that the caller gave, where it is short and plain enough for a log line; else a new one.
    pub(crate) fn of(&self, headers: &HeaderMap) -> RequestId {
        let given = headers.get(&HEADER).and_then(|value| value.to_str().ok()).filter(|text| is_plain(text));
        match given {
            Some(text) => RequestId(text.to_owned()),
            None => {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                RequestId(format!("{:016x}{number:08x}", self.seed))
            }
        }
    }
}

fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=GIVEN_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_name_is_kept_and_any_other_is_replaced() {
        let ids = RequestIds::new(0xabc);
        let check = |given: &[u8], kept: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_bytes(given).unwrap());
            assert_eq!(ids.of(&headers).as_str().as_bytes() == given, kept, "{given:?}");
        };
        check(b"req-1_a.B", true);
        check(b"", false);
        check(b"two words", false);
        check(b"\xff", false);
        check(&[b'a'; 64], true);
        check(&[b'a'; 65], false);
    }

    #[test]
    fn no_two_requests_have_one_name() {
        let ids = RequestIds::new(1);
        assert_ne!(ids.of(&HeaderMap::new()), ids.of(&HeaderMap::new()));
    }
}
