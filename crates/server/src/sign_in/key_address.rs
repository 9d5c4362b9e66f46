//! A key set's address, asked over HTTPS within bounds of time and size.

use std::io::Read;
use std::net::IpAddr;
use std::time::Duration;

use ureq::http::Uri;

use super::key_files::{KEY_FILE_BYTES_MAX, KeyFileError};
use super::key_set::{FetchError, KeySource};

/// How long one fetch may take in all.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Why an address is none that keys are fetched from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given:?} was given; allowed is an https address, or an http one of this machine, without a password"
)]
pub struct AddressError {
    pub given: String,
}

/// `https://…`, or `http://` of this machine.
pub struct KeyAddress {
    agent: ureq::Agent,
    uri: Uri,
}

impl KeyAddress {
    pub fn new(address: &str) -> Result<Self, AddressError> {
        let refused = || AddressError { given: address.to_owned() };
        let uri: Uri = address.parse().map_err(|_| refused())?;
        let authority = uri.authority().ok_or_else(refused)?;
        let allowed = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => is_loopback(authority.host()),
            _ => false,
        };
        if !allowed || authority.as_str().contains('@') {
            return Err(refused());
        }
        // A redirect could lead to where nobody meant to trust.
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(FETCH_TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent("ebbtide")
            .build();
        Ok(Self { agent: config.into(), uri })
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl KeySource for KeyAddress {
    fn fetch(&self) -> Result<Vec<u8>, FetchError> {
        let unreachable = |error: &dyn std::fmt::Display| FetchError::Unreachable(error.to_string());
        let response = self.agent.get(&self.uri).header("accept", "application/json").call();
        let mut response = response.map_err(|error| unreachable(&error))?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(FetchError::Status { status });
        }
        let bytes_max = u64::try_from(KEY_FILE_BYTES_MAX).unwrap_or(u64::MAX);
        let mut bytes = Vec::new();
        let mut body = response.body_mut().as_reader().take(bytes_max + 1);
        body.read_to_end(&mut bytes).map_err(|error| unreachable(&error))?;
        if bytes.len() > KEY_FILE_BYTES_MAX { Err(KeyFileError::TooLarge.into()) } else { Ok(bytes) }
    }
}
