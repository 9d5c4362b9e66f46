//! The server's limits, as plain data.

use std::time::Duration;

use ebbtide_engine::sql::Limits;

use crate::sign_in::LEEWAY_S_MAX;

/// Limits and times of the HTTP server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes of one request's body.
    pub body_bytes_max: usize,
    /// Bytes of all bodies that are held at one time.
    pub bodies_bytes_max: usize,
    /// Rows of one `POST /v1/tables/…/rows`.
    pub rows_max: usize,
    /// Bytes of one query or statement.
    pub question_bytes_max: usize,
    /// What one SQL statement may use.
    pub sql_limits: Limits,
    /// How long one behavioural query may take.
    pub query_time_max: Duration,
    /// Behavioural questions that are worked on at one time; further ones wait their turn.
    pub questions_max: usize,
    /// Bytes of the reports' answers that are kept.
    pub cache_bytes_max: u64,
    /// Requests that run at one time; further ones are answered 503.
    pub requests_max: usize,
    /// Connections that are open at one time; further ones wait in the kernel's queue.
    pub connections_max: usize,
    /// How long a request's head may take to arrive, and an idle connection is kept.
    pub head_timeout: Duration,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// How long an answer may wait for its client to take more of it.
    pub write_timeout: Duration,
    /// How long a request may take in all.
    pub request_timeout: Duration,
    /// How long requests may run on once the server stops.
    pub drain_timeout: Duration,
    /// Seconds by which a host's clock may differ, up to [`LEEWAY_S_MAX`].
    pub token_leeway_s: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the setting {name} is {given}; allowed is {allowed}")]
pub struct SettingsError {
    pub name: &'static str,
    pub given: String,
    pub allowed: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            body_bytes_max: 16 << 20,
            bodies_bytes_max: 128 << 20,
            rows_max: 50_000,
            question_bytes_max: 1 << 20,
            sql_limits: Limits { rows_max: 100_000, bytes_max: 64 << 20, time_max: Duration::from_secs(30) },
            query_time_max: Duration::from_secs(30),
            questions_max: 4,
            cache_bytes_max: 64 << 20,
            requests_max: 256,
            connections_max: 4_096,
            head_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(10),
            token_leeway_s: 30,
        }
    }
}

impl Settings {
    pub fn check(&self) -> Result<(), SettingsError> {
        let at_least_one = [
            ("body_bytes_max", self.body_bytes_max),
            ("rows_max", self.rows_max),
            ("questions_max", self.questions_max),
            ("requests_max", self.requests_max),
            ("connections_max", self.connections_max),
        ];
        if let Some((name, given)) = at_least_one.into_iter().find(|(_, given)| *given == 0) {
            return Err(SettingsError { name, given: given.to_string(), allowed: "1 or more".to_owned() });
        }
        if self.bodies_bytes_max < self.body_bytes_max {
            let allowed = format!("body_bytes_max ({}) or more", self.body_bytes_max);
            let given = self.bodies_bytes_max.to_string();
            return Err(SettingsError { name: "bodies_bytes_max", given, allowed });
        }
        if self.token_leeway_s > LEEWAY_S_MAX {
            let given = self.token_leeway_s.to_string();
            let allowed = format!("0 to {LEEWAY_S_MAX}");
            return Err(SettingsError { name: "token_leeway_s", given, allowed });
        }
        Ok(())
    }
}
