//! `POST /v1/explain`: why an actor is counted as it is.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use ebbtide_engine::{ExplainedActor, explain};
use ebbtide_model::query::Query;
use ebbtide_model::{Fault, Node};
use serde_json::Value as Json;

use super::access;
use super::answer::{Stopwatch, json_answer};
use super::body::read_body;
use super::query::bound;
use crate::problem::Problem;
use crate::server::Server;

pub(super) async fn ask(State(server): State<Arc<Server>>, request: Request) -> Result<Response, Problem> {
    let mut watch = Stopwatch::start();
    let now = server.now();
    let caller = access::sign_in(&server, request.headers(), request.uri())?;
    let scope = caller.widest_scope()?;
    let app = server.app_of(&caller)?.clone();
    let settings = &server.settings;
    let body = read_body(request, settings.question_bytes_max, settings, &server.bodies).await?;
    let asked = Asked::decode(&body.json()?)?;
    let (query, snapshot) = bound(&server, &app, &scope, &asked.query, in_query).await?;
    let asking = server
        .turns
        .ask(move |flag| explain(&snapshot, &scope, &query, &asked.actor, query.as_of.unwrap_or(now), flag));
    let explanation = asking.await?;
    watch.lap("engine");
    json_answer(watch, move || Ok(explanation.to_json())).await
}

fn in_query(fault: Fault) -> Fault {
    Fault { path: format!("query.{}", fault.path), ..fault }
}

/// What a body asks.
struct Asked {
    query: Query,
    actor: ExplainedActor,
}

impl Asked {
    fn decode(json: &Json) -> Result<Self, Fault> {
        let fields = Node::root(json).fields()?;
        let query = Query::parse(fields.required("query")?.json()).map_err(in_query)?;
        let actor = ExplainedActor::decode(fields.required("actor")?)?;
        fields.finish()?;
        Ok(Self { query, actor })
    }
}
