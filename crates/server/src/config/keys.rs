//! The one declaration of what can be set: names, meanings, bounds. Defaults are those of the plain data
//! that each key writes to.

use std::ops::RangeInclusive;
use std::time::Duration;

use ebbtide_engine::sql::StatementProcess;
use ebbtide_model::nearest;

use super::kinds::{
    Apps, Bytes, Count, File, Files, Kept, OneOf, Seconds, Setting, Text, Texts, Time, Word, Yes,
};
use super::{Config, ConfigFault, LogFormat, Origin, VARIABLE_PREFIX};
use crate::http::is_origin;
use crate::sign_in::{KeyAddress, LEEWAY_S_MAX};

/// Something that can be set.
pub(super) struct Key {
    /// With its section: `http.rows_max`.
    pub(super) name: &'static str,
    /// What it is for, in a sentence or two.
    pub(super) about: &'static str,
    slot: for<'c> fn(&'c mut Config) -> Box<dyn Setting + 'c>,
}

impl Key {
    /// Empty for those that stand before all sections.
    pub(super) fn section(&self) -> &'static str {
        self.name.split_once('.').map_or("", |(section, _)| section)
    }

    /// The name within its section.
    pub(super) fn last_name(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(_, name)| name)
    }

    /// `EBBTIDE_HTTP_ROWS_MAX`.
    pub(super) fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.name.replace('.', "_").to_uppercase())
    }

    pub(super) fn slot<'c>(&self, config: &'c mut Config) -> Box<dyn Setting + 'c> {
        (self.slot)(config)
    }

    pub(super) fn is_secret(&self) -> bool {
        matches!(self.name, "jwt.secret" | "jwt.secret_previous")
    }
}

/// Whether a flag's one value is a list's one item.
pub(super) fn is_list(name: &str) -> bool {
    matches!(name, "apps" | "jwt.public_keys" | "jwt.issuers" | "cors.origins")
}

pub(super) fn unknown(name: &str, origin: Origin) -> ConfigFault {
    let hint = nearest(name, KEYS.iter().map(|key| key.name))
        .map_or_else(String::new, |meant| format!(" (did you mean {meant:?}?)"));
    let name = crate::problem::shortened(name);
    ConfigFault { origin, key: None, problem: format!("there is no key {name:?}{hint}") }
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

const fn ms(least: u64, most: u64) -> RangeInclusive<Duration> {
    Duration::from_millis(least)..=Duration::from_millis(most)
}

/// From a tenth of a second to an hour.
const WAIT: RangeInclusive<Duration> = ms(100, 3_600_000);

/// A key, its meaning, and how its value is reached: `|config| kind`.
macro_rules! keys {
    ($($name:literal, $about:literal, |$config:ident| $slot:expr;)*) => {
        /// All keys, those of one section together.
        pub(super) const KEYS: &[Key] = &[$(Key { name: $name, about: $about, slot: |$config| Box::new($slot) }),*];
    };
}

keys! {
    "data", "The data folder; it is made where there is none.", |c| File(&mut c.data);
    "apps", "The apps that are served.", |c| Apps(&mut c.apps);
    "listen", "The address and port to listen on. Without a key of your own (`jwt`) it must be of this machine.",
        |c| Word { value: &mut c.listen, allowed: "an address and a port, such as \"127.0.0.1:8080\"", fits: |text| text.contains(':') };
    "log", "What is logged: error, warn, info, debug, trace, or directives such as `ebbtide_store=debug`.",
        |c| Word { value: &mut c.log, allowed: "a level, or directives", fits: |text| !text.is_empty() };
    "log_format", "How it is logged.",
        |c| OneOf(&mut c.log_format, &[("text", LogFormat::Text), ("json", LogFormat::Json)]);

    "jwt.secret", "The HS256 secret that your application signs with. Rather by the environment, or by `secret_file`.",
        |c| Kept(&mut c.jwt.secret);
    "jwt.secret_file", "A file with the secret; white space at its end is left off.", |c| File(&mut c.jwt.secret_file);
    "jwt.secret_previous", "The secret before a rotation: its tokens are good as long as it is given here.",
        |c| Kept(&mut c.jwt.secret_previous);
    "jwt.secret_previous_file", "A file with the secret before.", |c| File(&mut c.jwt.secret_previous_file);
    "jwt.public_keys", "Files of Ed25519 (EdDSA) or RSA (RS256, 2048 bits or more) public keys: PEM, a JWK or a JWKS.",
        |c| Files(&mut c.jwt.public_keys);
    "jwt.jwks_url", "The address of a JWKS. What was fetched last stays while it does not answer.",
        |c| Text { value: &mut c.jwt.jwks_url, allowed: "an https address, or an http one of this machine", fits: |text| KeyAddress::new(text).is_ok() };
    "jwt.jwks_refresh", "How often the JWKS is fetched.", |c| Time(&mut c.jwt.jwks.refresh, ms(1_000, 86_400_000));
    "jwt.jwks_pause", "The least time between fetches that tokens with an unknown `kid` bring about.",
        |c| Time(&mut c.jwt.jwks.pause, ms(1_000, 3_600_000));
    "jwt.jwks_wait", "How long a request with an unknown `kid` waits for such a fetch.",
        |c| Time(&mut c.jwt.jwks.wait_max, ms(0, 10_000));
    "jwt.issuers", "The values of `iss` that tokens may have; empty: it is not looked at.",
        |c| Texts { values: &mut c.settings.token.issuers, allowed: "texts", fits: |text| !text.is_empty() };
    "jwt.leeway", "By how much the clock of the host that signs may differ.",
        |c| Seconds(&mut c.settings.token.leeway_s, 0..=LEEWAY_S_MAX);

    "cors.origins", "The origins whose pages may call from a browser; none: no CORS header is sent, save by what embedded reports ask, `/v1/embed` and the two paths below it, and by their scripts.",
        |c| Texts { values: &mut c.settings.cors.origins, allowed: "origins such as \"https://app.example.com\", or of \"*\" alone", fits: is_origin };
    "cors.credentials", "Whether browsers may send cookies and client certificates along. Ebbtide looks at neither.",
        |c| Yes(&mut c.settings.cors.credentials);
    "cors.max_age", "How long browsers may keep the answer to a preflight.",
        |c| Time(&mut c.settings.cors.max_age, ms(0, 86_400_000));

    "http.body_bytes_max", "Bytes of one request's body.", |c| Bytes(&mut c.settings.body_bytes_max, KIB..=GIB);
    "http.bodies_bytes_max", "Bytes of all bodies that are held at one time; past it requests are answered 503.",
        |c| Bytes(&mut c.settings.bodies_bytes_max, KIB..=64 * GIB);
    "http.rows_max", "Rows of one `POST /v1/tables/{table}/rows`.", |c| Count(&mut c.settings.rows_max, 1..=1_000_000);
    "http.question_bytes_max", "Bytes of one query or statement.", |c| Bytes(&mut c.settings.question_bytes_max, KIB..=16 * MIB);
    "http.requests_max", "Requests that run at one time; further ones are answered 503.",
        |c| Count(&mut c.settings.requests_max, 1..=100_000);
    "http.connections_max", "Connections that are open at one time; further ones wait.",
        |c| Count(&mut c.settings.connections_max, 1..=1_000_000);
    "http.head_timeout", "How long a request's head may take to arrive, and an idle connection is kept.",
        |c| Time(&mut c.settings.head_timeout, WAIT);
    "http.body_timeout", "How long a body may take to arrive.", |c| Time(&mut c.settings.body_timeout, WAIT);
    "http.write_timeout", "How long an answer may wait for its client to take more of it.",
        |c| Time(&mut c.settings.write_timeout, WAIT);
    "http.request_timeout", "How long a request may take in all.", |c| Time(&mut c.settings.request_timeout, WAIT);
    "http.drain_timeout", "How long requests may run on once the server stops.",
        |c| Time(&mut c.settings.drain_timeout, ms(0, 3_600_000));

    "queries.concurrent_max", "Behavioural questions that are worked on at one time; further ones wait their turn.",
        |c| Count(&mut c.settings.questions_max, 1..=1_024);
    "queries.wait_max", "How long a behavioural question waits for its turn; past it the answer is 503.",
        |c| Time(&mut c.settings.turn_wait_max, WAIT);
    "queries.time_max", "How long one behavioural question may be worked on.", |c| Time(&mut c.settings.query_time_max, WAIT);

    "cache.bytes_max", "Bytes of all answers of reports that are kept.",
        |c| Bytes(&mut c.settings.cache_bytes_max, 0..=1_024 * GIB);

    "exports.concurrent_max", "Files of reports that are written at one time; further ones are answered 503.",
        |c| Count(&mut c.settings.exports_max, 1..=1_024);
    "exports.time_max", "How long one file may take, from its request until its last byte is taken.",
        |c| Time(&mut c.settings.export_timeout, ms(1_000, 86_400_000));
    "exports.folder", "Where rows of spreadsheets wait until their sheet is whole, in files without a name; without it `tmp` in the data folder.",
        |c| File(&mut c.settings.temporary_folder);

    "rejects.rows_max", "Rejected rows of one tenant that are kept, the newest; 0: none are.",
        |c| Count(&mut c.settings.rejects.rows, 0..=10_000_000);
    "rejects.bytes_max", "Bytes of the rejected rows of one tenant that are kept.",
        |c| Bytes(&mut c.settings.rejects.bytes, 0..=64 * GIB);

    "live.listeners_max", "Listeners to reports at one time; further ones are answered 503.",
        |c| Count(&mut c.settings.listeners_max, 1..=1_000_000);
    "live.state_bytes_max", "Bytes of what is kept of sessions, so that a new event costs no look at the others; past it answers are computed from all rows.",
        |c| Bytes(&mut c.settings.standing_bytes_max, 0..=1_024 * GIB);

    "sql.rows_max", "Rows of one statement's answer.", |c| Count(&mut c.settings.sql_limits.rows_max, 1..=100_000_000);
    "sql.bytes_max", "Bytes of one statement's answer in memory.",
        |c| Bytes(&mut c.settings.sql_limits.bytes_max, KIB..=16 * GIB);
    "sql.time_max", "How long one statement may run.", |c| Time(&mut c.settings.sql_limits.time_max, WAIT);
    "sql.threads", "Threads that plan and run statements.", |c| Count(&mut c.sql.threads, 1..=1_024);
    "sql.partitions", "Into how many streams a statement's work is split.", |c| Count(&mut c.sql.partitions, 1..=1_024);
    "sql.concurrent_max", "Statements that run at one time; further ones wait their turn.",
        |c| Count(&mut c.sql.concurrent_max, 1..=10_000);
    "sql.memory_bytes_max", "Memory of all statements of packs together.",
        |c| Bytes(&mut c.sql.memory_bytes_max, 16 * MIB..=1_024 * GIB);
    "sql.wait_max", "How long a statement waits for its turn; past it the answer is 503.", |c| Time(&mut c.sql.wait_max, WAIT);
    "sql.process", "Where statements of callers (`POST /v1/sql`) run: each in a process of its own, which is killed with it; or in the server's, where one that does not yield goes on after its time.",
        |c| OneOf(&mut c.sql.process, &[("child", StatementProcess::Child), ("in-process", StatementProcess::InProcess)]);
    "sql.process_concurrent_max", "Such processes at work at one time; further statements wait their turn.",
        |c| Count(&mut c.sql.processes.concurrent_max, 1..=1_024);
    "sql.process_memory_bytes_max", "Memory of one such process.",
        |c| Bytes(&mut c.sql.processes.memory_bytes_max, 32 * MIB..=1_024 * GIB);
    "sql.process_spare", "Such processes that are started before they are needed.",
        |c| Count(&mut c.sql.processes.spare, 0..=64);

    "store.flush_bytes", "Rows in memory are written to segments once they take this much.",
        |c| Bytes(&mut c.store.flush_bytes, 64 * KIB..=64 * GIB);
    "store.log_bytes_max", "The write-ahead log is cut, by a flush, once it is this long.",
        |c| Bytes(&mut c.store.log_bytes_max, 64 * KIB..=64 * GIB);
    "store.memory_bytes_max", "Writers wait while rows in memory, those that are being flushed included, take this much.",
        |c| Bytes(&mut c.store.memory_bytes_max, 64 * KIB..=256 * GIB);
    "store.decoded_bytes_max", "Columns that were decoded for one question are kept in memory for the next, up to this much; 0: none are.",
        |c| Bytes(&mut c.store.decoded_bytes_max, 0..=1_024 * GIB);
    "store.segment_rows_max", "A merge makes no segment with more rows.",
        |c| Count(&mut c.store.segment_rows_max, 1_000..=2_147_483_646);
    "store.compaction_fan_in", "How many segments of about one size are merged into one.",
        |c| Count(&mut c.store.compaction_fan_in, 2..=64);
    "store.queue_requests_max", "Writes that wait for the disk; further ones are answered 503.",
        |c| Count(&mut c.store.queue_requests_max, 1..=100_000);
    "store.group_rows_max", "Rows that are made durable by one sync of the disk.",
        |c| Count(&mut c.store.group_rows_max, 1..=16_777_216);
    "store.import_chunk_rows", "Rows that an import sorts at once; such chunks are merged at its end.",
        |c| Count(&mut c.store.import_chunk_rows, 1_000..=2_147_483_646);
    "store.waiting_rows_max", "Rows that wait for their parent, in all tables together; more are rejected. A tenant's own writers may fill an eighth of it.",
        |c| Count(&mut c.store.waiting_rows_max, 8..=100_000_000);
    "store.waiting_bytes_max", "What these rows take in memory when all of their parents come at once.",
        |c| Bytes(&mut c.store.waiting_bytes_max, 64 * KIB..=64 * GIB);
    "store.properties_max", "Names of properties in an open table, of all tenants together, that have columns of their own; what others hold is kept as JSON text, and read slower.",
        |c| Count(&mut c.store.properties_max, 1..=10_000);
    "store.properties_per_tenant_max", "The same of one tenant.",
        |c| Count(&mut c.store.properties_per_tenant_max, 1..=10_000);
}
