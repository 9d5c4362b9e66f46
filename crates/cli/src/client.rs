//! A running server, as commands with `--server` talk to it. Plain HTTP: past the machine's own
//! network, put a proxy with TLS before the server.

use std::time::Duration;

use ebbtide_model::read_json;
use serde_json::Value as Json;

use crate::failure::Failure;

/// Answers are read up to this size.
const ANSWER_BYTES_MAX: u64 = 256 << 20;
/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(120);
/// A server that is recovering, draining or overloaded is asked again this often.
const ATTEMPTS_MAX: u32 = 8;
const PAUSE_MAX: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Client {
    agent: ureq::Agent,
    server: String,
    authorization: String,
}

/// What came back, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Client {
    pub(crate) fn new(server: &str, token: &str) -> Result<Self, Failure> {
        let server = server.trim_end_matches('/');
        if server.starts_with("https://") {
            return Err(Failure::usage("--server speaks plain http only")
                .hint("give the address that the proxy with TLS forwards to"));
        }
        if !server.starts_with("http://") {
            return Err(Failure::usage(format_args!("{server:?} is no address of a server"))
                .hint("give one such as http://127.0.0.1:8080"));
        }
        // A variable that is empty counts as not set.
        if token.trim().is_empty() {
            return Err(Failure::usage("there is no token for the server")
                .hint("give --token, or set EBBTIDE_TOKEN; `ebbtide token` makes one"));
        }
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .build();
        let authorization = format!("Bearer {}", token.trim());
        Ok(Self { agent: config.into(), server: server.to_owned(), authorization })
    }

    /// Asks, and asks again while the server says that it cannot now.
    pub(crate) fn post(&self, path: &str, body: &str) -> Result<Answer, Failure> {
        self.patiently(|| {
            let request = self.agent.post(format!("{}{path}", self.server));
            let request = request.header("Authorization", &self.authorization);
            request.header("Content-Type", "application/json").send(body)
        })
    }

    pub(crate) fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.patiently(|| {
            let request = self.agent.get(format!("{}{path}", self.server));
            request.header("Authorization", &self.authorization).call()
        })
    }

    pub(crate) fn delete(&self, path: &str) -> Result<Answer, Failure> {
        self.patiently(|| {
            let request = self.agent.delete(format!("{}{path}", self.server));
            request.header("Authorization", &self.authorization).call()
        })
    }

    fn patiently(
        &self,
        ask: impl Fn() -> Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Answer, Failure> {
        let unreachable = |error: ureq::Error| {
            Failure::new(format_args!("{} does not answer: {error}", self.server))
                .hint("is the server running, and is the address right?")
        };
        let mut attempt = 0;
        loop {
            let mut response = ask().map_err(unreachable)?;
            let status = response.status().as_u16();
            attempt += 1;
            if !matches!(status, 429 | 503) || attempt == ATTEMPTS_MAX {
                let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX);
                return Ok(Answer { status, body: body.read_to_string().map_err(unreachable)? });
            }
            std::thread::sleep(pause(&response, attempt));
        }
    }
}

/// As long as the server asks for, else longer each time.
fn pause(response: &ureq::http::Response<ureq::Body>, attempt: u32) -> Duration {
    let asked = response.headers().get("Retry-After").and_then(|header| header.to_str().ok()?.parse().ok());
    let pause = asked.map_or(Duration::from_millis(100 << attempt.min(6)), Duration::from_secs);
    pause.min(PAUSE_MAX)
}

impl Answer {
    /// The body, or the failure that the server's problem tells.
    pub(crate) fn into_json(self) -> Result<Json, Failure> {
        let body = read_json(self.body.as_bytes());
        if self.status < 300 {
            return body.map_err(|error| {
                Failure::new(format_args!("the server's answer is no JSON: {error}"))
                    .hint("is it an Ebbtide server that listens there?")
            });
        }
        let problem = body.unwrap_or_default();
        let detail = problem["detail"].as_str().unwrap_or("it does not say why");
        let failure = Failure::new(format_args!("the server refused with {}: {detail}", self.status));
        Err(match problem["hint"].as_str() {
            Some(hint) => failure.hint(hint),
            None => failure,
        })
    }
}
