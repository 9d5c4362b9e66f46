//! The server's limits and rules, as plain data.

use std::path::PathBuf;
use std::time::Duration;

use ebbtide_engine::sql::Limits;

use crate::http::{CorsRules, is_origin};
use crate::rejects::Bounds;
use crate::sign_in::{LEEWAY_S_MAX, TokenRules};

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
    /// How long one of these may wait; past it it is answered 503.
    pub turn_wait_max: Duration,
    /// Files of reports that are written at one time; further ones are answered 503.
    pub exports_max: usize,
    /// How long a file of a report may take to be written and taken.
    pub export_timeout: Duration,
    /// Where rows of spreadsheets wait while they are written, in files without a name; the system's
    /// folder for temporary files where none is given.
    pub temporary_folder: Option<PathBuf>,
    /// Bytes of the reports' answers that are kept.
    pub cache_bytes_max: u64,
    /// Requests that run at one time; further ones are answered 503.
    pub requests_max: usize,
    /// Listeners to reports at one time; further ones are answered 503.
    pub listeners_max: usize,
    /// Bytes of what is kept of questions that are asked again and again, such as their sessions.
    pub standing_bytes_max: usize,
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
    /// How many rejected rows of a tenant are kept.
    pub rejects: Bounds,
    /// What a token must be besides signed.
    pub token: TokenRules,
    /// Which pages of other origins may call.
    pub cors: CorsRules,
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
            turn_wait_max: Duration::from_secs(10),
            exports_max: 4,
            export_timeout: Duration::from_secs(600),
            temporary_folder: None,
            cache_bytes_max: 64 << 20,
            requests_max: 256,
            listeners_max: 2_000,
            standing_bytes_max: 256 << 20,
            connections_max: 4_096,
            head_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(10),
            rejects: Bounds::default(),
            token: TokenRules::default(),
            cors: CorsRules::default(),
        }
    }
}

impl Settings {
    /// What a statement of a report may use. Its rows are bounded by their bytes alone: a list that is
    /// longer than somebody's own statement may be is still the answer.
    pub(crate) fn report_limits(&self) -> Limits {
        Limits { rows_max: usize::MAX, ..self.sql_limits }
    }

    /// What a statement whose rows become a file as they come may use.
    pub(crate) fn export_limits(&self) -> Limits {
        Limits { time_max: self.export_timeout, ..self.report_limits() }
    }

    /// Refuses what no server can work with. Narrower bounds of what is sensible are the configuration's.
    pub fn check(&self) -> Result<(), SettingsError> {
        let at_least_one = [
            ("http.body_bytes_max", self.body_bytes_max),
            ("http.rows_max", self.rows_max),
            ("queries.concurrent_max", self.questions_max),
            ("exports.concurrent_max", self.exports_max),
            ("http.requests_max", self.requests_max),
            ("http.connections_max", self.connections_max),
        ];
        if let Some((name, given)) = at_least_one.into_iter().find(|(_, given)| *given == 0) {
            return Err(SettingsError { name, given: given.to_string(), allowed: "1 or more".to_owned() });
        }
        if self.token.leeway_s > LEEWAY_S_MAX {
            let given = self.token.leeway_s.to_string();
            return Err(SettingsError {
                name: "jwt.leeway",
                given,
                allowed: format!("0 to {LEEWAY_S_MAX} seconds"),
            });
        }
        if self.bodies_bytes_max < self.body_bytes_max {
            let allowed = format!("http.body_bytes_max ({} bytes) or more", self.body_bytes_max);
            let given = format!("{} bytes", self.bodies_bytes_max);
            return Err(SettingsError { name: "http.bodies_bytes_max", given, allowed });
        }
        self.check_cors()
    }

    fn check_cors(&self) -> Result<(), SettingsError> {
        if let Some(bad) = self.cors.origins.iter().find(|origin| !is_origin(origin)) {
            let allowed = "an origin such as \"https://app.example.com\"".to_owned();
            return Err(SettingsError { name: "cors.origins", given: format!("{bad:?}"), allowed });
        }
        let allowed = match (self.cors.is_open_to_all(), self.cors.origins.len(), self.cors.credentials) {
            (true, 2.., _) => "\"*\" alone, or origins by name",
            (true, _, true) => "origins by name, since cors.credentials is true",
            (true | false, _, _) => return Ok(()),
        };
        Err(SettingsError {
            name: "cors.origins",
            given: format!("{:?}", self.cors.origins),
            allowed: allowed.to_owned(),
        })
    }
}
