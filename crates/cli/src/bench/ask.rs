//! Questions a to g, over all tenants and over the biggest one: by the engine in this process, and over HTTP.

use std::path::Path;
use std::time::{Duration, Instant as Stopwatch};

use ebbtide_engine::StopFlag;
use ebbtide_model::query::{Query, bind};
use ebbtide_store::Snapshot;
use serde_json::{Value as Json, json};

use super::figures::Figure;
use super::http::{Server, Visitor};
use super::machine;
use crate::apps::AppChoice;
use crate::clock;
use crate::data::{has_rows, open_existing_store, operator_scope, store_failure};
use crate::failure::Failure;

pub(super) const APP: &str = "product";
const FROM: &str = "2025-01-01T00:00:00Z";
const TO: &str = "2025-07-01T00:00:00Z";

/// The questions by their letters: funnel, retention, trend with exact uniques, churn, revenue, commonest values,
/// what came before.
fn questions() -> [(&'static str, Json); 7] {
    let step = |event: &str| json!({"event": event});
    let any = json!({"event": null});
    let steps: Vec<Json> = ["home", "product", "cart", "success"].map(step).into();
    [
        (
            "a",
            json!({"kind": "funnel", "steps": steps, "order": "ordered", "window": 604_800, "from": FROM, "to": TO}),
        ),
        (
            "b",
            json!({"kind": "retention", "type": "first_time", "start": any, "return": any, "period": "week",
            "from": "2024-12-30T00:00:00Z", "periods": 26, "columns": 12}),
        ),
        (
            "c",
            json!({"kind": "trend", "entity": any, "measure": ["total", "unique"], "interval": "day",
            "breakdown": {"prop": "event", "limit": 10}, "from": "2025-04-01T00:00:00Z", "to": "2025-06-30T00:00:00Z"}),
        ),
        (
            "d",
            json!({"kind": "churn", "entity": any, "as_of": "2025-06-30T00:00:00Z", "inactivity_multiplier": 2.0,
            "min_events": 5, "order": "ratio", "limit": 50}),
        ),
        (
            "e",
            json!({"kind": "trend", "entity": step("purchase"), "measure": "sum", "prop": "amount",
            "breakdown": {"prop": "country"}, "interval": "month", "from": FROM, "to": TO}),
        ),
        (
            "f",
            json!({"kind": "trend", "entity": any, "measure": "total", "breakdown": {"prop": "ref", "limit": 10},
            "interval": "all", "from": FROM, "to": TO}),
        ),
        (
            "g",
            json!({"kind": "preceding", "before": step("exit"), "of": any, "show": "event", "limit": 10,
            "from": FROM, "to": TO}),
        ),
    ]
}

/// What is asked, and how often.
pub(super) struct Asking<'a> {
    pub(super) data: &'a Path,
    /// Of the rows that are asked about; 0 where it is not known.
    pub(super) events: usize,
    /// One tenant's, or all.
    pub(super) tenant: Option<&'a str>,
    pub(super) runs: usize,
}

impl Asking<'_> {
    pub(super) fn run(&self) -> Result<Vec<Figure>, Failure> {
        let mut figures = self.by_the_engine()?;
        figures.extend(self.over_http()?);
        Ok(figures)
    }

    fn by_the_engine(&self) -> Result<Vec<Figure>, Failure> {
        let pack = AppChoice::named(APP).load()?;
        let scope = operator_scope(&pack.schema.app, self.tenant);
        let store = open_existing_store(self.data, vec![pack.schema.clone()])?;
        let snapshot = store.snapshot(&pack.schema.app).map_err(store_failure)?;
        if !has_rows(&snapshot, &scope) {
            return Err(Failure::new(format_args!("there is no event of {}", self.whose()))
                .hint("--tenant names one that --data has"));
        }
        let ask = |snapshot: &Snapshot, question: &Json| {
            let query = Query::parse(question).map_err(Failure::new)?;
            let snapshot = snapshot.evolved(&scope, query.texts().iter().map(String::as_str));
            let query = bind(&query, snapshot.app()).map_err(Failure::new)?;
            let as_of = query.as_of.unwrap_or_else(clock::now);
            let answer = ebbtide_engine::ask(&snapshot, &scope, &query, as_of, &StopFlag::default());
            answer.map(drop).map_err(Failure::new)
        };
        let mut figures = Vec::new();
        for (letter, question) in questions() {
            figures.push(self.figure(letter, "by the engine", || ask(&snapshot, &question))?);
        }
        store.close().map_err(store_failure)?;
        Ok(figures)
    }

    fn over_http(&self) -> Result<Vec<Figure>, Failure> {
        let server = Server::start(self.data, APP)?;
        let visitor = Visitor { app: APP, role: "admin", tenant: self.tenant, subject: "bench" };
        let mut connection = server.connect(&server.token(&visitor)?)?;
        let mut figures = Vec::new();
        for (letter, mut question) in questions() {
            question["cache"] = Json::from(false);
            let body = question.to_string();
            figures.push(self.figure(letter, "over HTTP", || connection.post("/v1/query", &body).map(drop))?);
        }
        let memory = machine::anonymous_mib(server.id());
        figures.push(Figure::new(format!("memory after {}", self.whose())).with("anonymous_mib", memory));
        Ok(figures)
    }

    /// Once to warm up, then as often as is measured.
    fn figure(
        &self,
        letter: &str,
        way: &str,
        mut ask: impl FnMut() -> Result<(), Failure>,
    ) -> Result<Figure, Failure> {
        ask()?;
        let mut times: Vec<Duration> = Vec::with_capacity(self.runs);
        for _ in 0..self.runs {
            let started = Stopwatch::now();
            ask()?;
            times.push(started.elapsed());
        }
        let figure = Figure::new(format!("{letter} of {}, {way}", self.whose())).times(&mut times);
        let median_ns = times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1e9);
        Ok(if self.events == 0 {
            figure
        } else {
            figure.with("ns_per_event", median_ns / self.events as f64)
        })
    }

    fn whose(&self) -> String {
        self.tenant.map_or_else(|| "all tenants".to_owned(), |tenant| format!("tenant {tenant}"))
    }
}
