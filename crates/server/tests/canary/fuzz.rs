//! The run: requests, and what is held against each answer.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{Method, StatusCode};
use ebbtide_model::TenantRule;
use ebbtide_server::{Code, PROBLEM_MEDIA_TYPE};
use serde_json::{Value as Json, json};

use crate::asks::{self, Sent};
use crate::callers::Caller;
use crate::detector::{XLSX, contents, tenants_in, tenants_in_bytes};
use crate::log;
use crate::random::Random;
use crate::rows::{Shape, TENANTS};
use crate::world::{Answer, Ask, World, shapes, token};

/// Requests of the whole run.
fn requests() -> usize {
    if std::env::var("EBBTIDE_TEST_CASES").is_ok_and(|cases| cases == "quick") { 2_000 } else { 10_000 }
}

/// As many tags of earlier answers are sent with later requests.
const TAGS_MAX: usize = 50;

/// What was seen in one app, so that the run can tell that it looked at anything.
#[derive(Debug, Default)]
struct Seen {
    statuses: BTreeMap<u16, usize>,
    codes: BTreeMap<String, usize>,
    /// Media type → answers with the caller's own canary.
    own_by_type: BTreeMap<String, usize>,
    /// Media type → answers of 200.
    good_by_type: BTreeMap<String, usize>,
    compared: usize,
}

/// The servers that one app's requests go to: all tenants', and each tenant's own.
struct Lane<'w> {
    shape: &'w Shape,
    all: &'w World,
    alone: &'w BTreeMap<u32, World>,
    tags: Vec<String>,
    seen: Seen,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_holds_what_is_anothers() {
    log::keep();
    let shapes = shapes();
    let all = World::open(&shapes, &TENANTS).await;
    let mut alone = BTreeMap::new();
    for tenant in TENANTS {
        alone.insert(tenant, World::open(&shapes, &[tenant]).await);
    }
    let each = requests() / shapes.len();
    let lanes = shapes.iter().zip(1_u64..).map(|(shape, seed)| {
        let lane = Lane { shape, all: &all, alone: &alone, tags: Vec::new(), seen: Seen::default() };
        lane.run(each, Random::new(seed))
    });
    for seen in futures::future::join_all(lanes).await {
        println!("{seen:?}");
    }
    check_log();
    assert!(log::has_any(), "nothing was written to the log, so nothing of it was looked at");
}

/// No row is ever in the log, whoever looks at it.
fn check_log() {
    let lines = log::taken();
    assert!(tenants_in_bytes(&lines).is_empty(), "the log holds a row: {}", shown(&lines));
}

fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let at = text.find("qzcanary").unwrap_or(0);
    text.chars().skip(text[..at].chars().count().saturating_sub(300)).take(700).collect()
}

impl Lane<'_> {
    async fn run(mut self, requests: usize, mut random: Random) -> Seen {
        self.check_that_canaries_show().await;
        let mut sent = 0;
        while sent < requests {
            let caller = Caller::any(self.shape, &mut random);
            let ask = asks::any(self.shape, &caller, &mut random, &self.tags);
            self.send(&ask).await;
            sent += 1;
            // What was just computed, and may be kept, is asked for by others.
            for _ in 0..random.below(3) {
                let other = Caller::any(self.shape, &mut random);
                self.send(&asks::again(self.shape, &ask, &other)).await;
                sent += 1;
            }
            if sent % 100 < 3 {
                check_log();
                self.check_metrics().await;
            }
        }
        self.check_that_it_was_looked_at();
        self.seen
    }

    /// Whoever may see all sees every tenant's canary, and each tenant its own, in every table with a text.
    async fn check_that_canaries_show(&self) {
        let app = self.shape.app();
        for table in &self.shape.pack.schema.tables {
            let rows = |tenant: u32| Json::Array(self.shape.rows(table, tenant)).to_string();
            let bear = |tenant: u32| tenants_in_bytes(rows(tenant).as_bytes());
            let sql = json!({"sql": format!("SELECT * FROM {}", table.name)}).to_string();
            let ask = |claims: Json| Ask {
                method: Method::POST,
                path: "/v1/sql".to_owned(),
                token: token(claims),
                headers: vec![],
                body: sql.clone(),
            };
            let admin = self.all.send(&ask(json!({"aud": app, "role": "admin"}))).await;
            let all: BTreeSet<u32> = TENANTS.into_iter().flat_map(bear).collect();
            assert_eq!(tenants_in(&admin.headers, &admin.body), all, "{} of {app}", table.name);
            for tenant in TENANTS {
                let claims = json!({"aud": app, "role": "analyst", "tenant": self.shape.tenant(tenant)});
                let own = self.all.send(&ask(claims)).await;
                let shown = tenants_in(&own.headers, &own.body);
                // Rows of a table for the whole platform are no tenant's.
                let none = matches!(table.tenant, TenantRule::Fixed(_));
                assert_eq!(
                    shown,
                    if none { BTreeSet::new() } else { bear(tenant) },
                    "{} of {app}",
                    table.name
                );
            }
        }
    }

    async fn send(&mut self, sent: &Sent) {
        let answer = self.all.send(&sent.ask).await;
        let about = || format!("{} {} {} → {}", sent.ask.method, sent.ask.path, sent.ask.body, answer.status);
        let found = tenants_in(&answer.headers, &answer.body);
        assert!(
            found.is_subset(&sent.sees),
            "{} of {}: {found:?} is seen by who may see {:?}: {}",
            about(),
            self.shape.app(),
            sent.sees,
            shown(&answer.body)
        );
        self.check_problem(sent, &answer, &about());
        self.note(sent, &answer, &found);
        // Rows of a tenant go to that tenant's own server, too, and what it answers is compared.
        if let Some(alone) = sent.alone.and_then(|tenant| self.alone.get(&tenant)) {
            let other = alone.send(&sent.ask).await;
            self.seen.compared += 1;
            assert_eq!(
                comparable(sent, &answer),
                comparable(sent, &other),
                "{} of {}",
                about(),
                self.shape.app()
            );
        } else if let Some(alone) = sent.written.and_then(|tenant| self.alone.get(&tenant)) {
            alone.send(&sent.ask).await;
        }
    }

    fn check_problem(&mut self, sent: &Sent, answer: &Answer, about: &str) {
        let status = answer.status.as_u16();
        *self.seen.statuses.entry(status).or_default() += 1;
        assert!(status < 500, "{about}: {}", String::from_utf8_lossy(&answer.body));
        if status < 400 || sent.ask.method == Method::HEAD {
            return;
        }
        assert_eq!(answer.header("content-type"), PROBLEM_MEDIA_TYPE, "{about}");
        let problem = answer.json();
        let code = problem["code"].as_str().unwrap_or_default();
        let known = Code::ALL.iter().find(|known| known.as_str() == code);
        assert_eq!(known.map(|known| known.status()), Some(answer.status), "{about}: {problem}");
        *self.seen.codes.entry(code.to_owned()).or_default() += 1;
    }

    fn note(&mut self, sent: &Sent, answer: &Answer, found: &BTreeSet<u32>) {
        let tag = answer.header("etag");
        if !tag.is_empty() && !self.tags.iter().any(|known| known == tag) {
            let place = self.tags.len() % TAGS_MAX;
            if self.tags.len() < TAGS_MAX {
                self.tags.push(tag.to_owned())
            } else {
                self.tags[place] = tag.to_owned()
            }
        }
        if answer.status != StatusCode::OK || sent.ask.method == Method::HEAD {
            return;
        }
        let media_type = answer.header("content-type").split(';').next().unwrap_or_default().to_owned();
        *self.seen.good_by_type.entry(media_type.clone()).or_default() += 1;
        if found.is_empty() {
            return;
        }
        *self.seen.own_by_type.entry(media_type).or_default() += 1;
    }

    async fn check_metrics(&self) {
        let ask = Ask {
            method: Method::GET,
            path: "/metrics".to_owned(),
            token: String::new(),
            headers: vec![],
            body: String::new(),
        };
        let answer = self.all.send(&ask).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(tenants_in(&answer.headers, &answer.body).is_empty(), "{}", shown(&answer.body));
    }

    /// A run that saw nothing proves nothing.
    fn check_that_it_was_looked_at(&self) {
        let (seen, app) = (&self.seen, self.shape.app());
        for status in [200, 401, 403, 404, 422] {
            assert!(seen.statuses.contains_key(&status), "{status} of {app}: {seen:?}");
        }
        assert!(seen.compared > 0, "{app}: {seen:?}");
        // Reports that show texts show them in every form; not every pack has one.
        let shows_text = seen.own_by_type.contains_key("text/csv");
        for media_type in ["application/json", "application/x-ndjson", XLSX, "application/vnd.apache.parquet"]
        {
            let asked = seen.good_by_type.get(media_type).is_some_and(|answers| *answers >= 20);
            let own = seen.own_by_type.contains_key(media_type);
            assert!(own || !asked || !shows_text, "no canary in {media_type} of {app}: {seen:?}");
        }
    }
}

/// What must not depend on other tenants' rows. Arrivals are numbered over all tenants, so the number of the
/// last one may.
fn comparable(sent: &Sent, answer: &Answer) -> (u16, Json) {
    let status = answer.status.as_u16();
    let media_type = answer.header("content-type");
    let body = match serde_json::from_slice::<Json>(&answer.body) {
        Ok(mut json) => {
            for path in ["/request_id", "/meta/watermark"] {
                if let Some(value) = json.pointer_mut(path) {
                    *value = Json::Null;
                }
            }
            // Statements do not say in which order their rows come, nor which of several bad values is told.
            match sent.ask.path.as_str() {
                "/v1/sql" if json["code"] == Code::SqlInvalid.as_str() => json!(Code::SqlInvalid.as_str()),
                "/v1/sql" => sorted(json),
                _ => json,
            }
        }
        Err(_) if media_type.starts_with("text/") || media_type.contains("ndjson") => {
            json!(String::from_utf8_lossy(&answer.body))
        }
        Err(_) => {
            json!(contents(&answer.body).map(|contents| String::from_utf8_lossy(&contents).into_owned()))
        }
    };
    let matched = sent.ask.headers.iter().any(|(name, _)| *name == "if-none-match");
    // Tags are of one server: what another one calls its answer is its own matter.
    if matched && matches!(status, 200 | 304) { (200, Json::Null) } else { (status, body) }
}

/// With the items of all lists, and of all texts that are lists, in order.
fn sorted(json: Json) -> Json {
    match json {
        Json::Array(items) => {
            let mut items: Vec<Json> = items.into_iter().map(sorted).collect();
            items.sort_by_key(ToString::to_string);
            Json::Array(items)
        }
        Json::Object(fields) => fields.into_iter().map(|(name, value)| (name, sorted(value))).collect(),
        Json::String(text) => {
            let mut items: Vec<&str> = text.split(',').collect();
            items.sort_unstable();
            Json::String(items.join(","))
        }
        other => other,
    }
}
