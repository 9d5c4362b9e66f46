//! `POST /v1/query`: a behavioural question over the caller's rows.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use ebbtide_model::query::{BoundQuery, Query, bind};
use ebbtide_model::{Fault, Instant, Scope, TableName};
use ebbtide_store::Snapshot;

use super::answer::Stopwatch;
use super::body::read_body;
use super::{access, conditional};
use crate::cache::{Entry, Freshness, Key, Lifetime, Source, Versions, Wanted, next_row};
use crate::problem::{Code, Problem};
use crate::report::Answer;
use crate::server::{App, Server};

/// How long an answer is kept, at most.
const KEPT_FOR: Duration = Duration::from_secs(300);

pub(super) async fn ask(State(server): State<Arc<Server>>, request: Request) -> Result<Response, Problem> {
    let mut watch = Stopwatch::start();
    let now = server.now();
    let caller = access::sign_in(&server, request.headers(), request.uri())?;
    let scope = caller.widest_scope()?;
    let app = server.app_of(&caller)?.clone();
    let settings = &server.settings;
    let body = read_body(request, settings.question_bytes_max, settings, &server.bodies).await?;
    let query = Query::parse(&body.json()?)?;
    let (query, snapshot) = bound(&server, &app, &scope, &query, std::convert::identity).await?;
    let question = Question { server: server.clone(), scope, query: Arc::new(query), snapshot, now };
    let (entry, source) = question.answer().await?;
    watch.lap(if source == Source::Computed { "engine" } else { "cache" });
    let mut response = conditional::whole_json(&entry);
    conditional::tell(response.headers_mut(), source, entry.age_s(now));
    watch.tell(response.headers_mut());
    Ok(response)
}

/// The query over the rows that the scope sees, and those rows. `placed` says where in the body a fault is.
pub(super) async fn bound(
    server: &Server,
    app: &Arc<App>,
    scope: &Scope,
    query: &Query,
    placed: fn(Fault) -> Fault,
) -> Result<(BoundQuery, Snapshot), Problem> {
    let texts = query.texts();
    let names = || texts.iter().map(String::as_str);
    // What is wrong with it is told before it is looked up whether there is such a tenant.
    drop(bind(query, &app.pack.schema.assuming(names())).map_err(placed)?);
    let snapshot = access::snapshot(server, app, scope).await?.evolved(scope, names());
    let query = bind(query, snapshot.app()).map_err(placed)?;
    Ok((query, snapshot))
}

#[derive(Clone)]
struct Question {
    server: Arc<Server>,
    scope: Scope,
    query: Arc<BoundQuery>,
    snapshot: Snapshot,
    /// The moment of asking.
    now: Instant,
}

impl Question {
    async fn answer(&self) -> Result<(Arc<Entry>, Source), Problem> {
        let tables: Vec<TableName> = self.query.tables().cloned().collect();
        let versions = Versions::of(&self.snapshot, &self.scope, &tables)?;
        // The answer says so, too, and is no other one's.
        if !self.query.query.cache {
            return Ok((Arc::new(self.clone().computed(tables, versions).await?), Source::Computed));
        }
        let key = Key::of_query(&self.scope, &self.query);
        let wanted = Wanted { key, versions, now: self.now, freshness: Freshness::AnyThatHolds };
        let compute = || self.clone().computed(tables.clone(), wanted.versions.clone());
        self.server.cache.answer(&wanted, compute).await
    }

    async fn computed(self, tables: Vec<TableName>, versions: Versions) -> Result<Entry, Problem> {
        let Self { server, scope, query, snapshot, now } = self;
        let asking = server.turns.ask(move |flag| {
            let as_of = query.as_of.unwrap_or(now);
            let answer = ebbtide_engine::ask(&snapshot, &scope, &query, as_of, flag)?;
            let mut lifetime = Lifetime::new(now, KEPT_FOR);
            if query.as_of.is_none() {
                let next = next_row(&snapshot, &scope, &tables, as_of)?;
                lifetime = lifetime.until(Some(answer.changes_at(&query))).until(next);
            }
            let (body, changes_at) = (answer.to_json(), lifetime.end());
            let answer = Answer { body, lists: Vec::new(), changes_at, is_settled: true };
            Ok((answer, lifetime))
        });
        let (answer, lifetime) = asking.await?;
        let encoding = tokio::task::spawn_blocking(move || Entry::new(answer, lifetime, versions));
        encoding.await.map_err(|error| Problem::hidden(Code::Internal, error))?
    }
}
