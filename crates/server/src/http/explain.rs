//! `POST /v1/explain`: why an actor is counted as it is.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderValue};
use axum::response::Response;
use ebbtide_engine::{ExplainedActor, explain};
use ebbtide_model::pack::LANG;
use ebbtide_model::query::Query;
use ebbtide_model::{Fault, Language, Node};
use serde_json::Value as Json;

use super::access;
use super::answer::{Stopwatch, json_answer};
use super::body::read_body;
use super::query::bound;
use crate::problem::{Code, Problem};
use crate::report::Pair;
use crate::server::Server;

pub(super) async fn ask(State(server): State<Arc<Server>>, request: Request) -> Result<Response, Problem> {
    let mut watch = Stopwatch::start();
    let now = server.now();
    let caller = access::sign_in(&server, request.headers(), request.uri())?;
    let scope = caller.widest_scope()?;
    let app = server.app_of(&caller)?.clone();
    let pairs = access::query_pairs(request.uri())?;
    let chosen = chosen(&pairs)?;
    let accepted = access::languages(request.headers());
    let settings = &server.settings;
    let body = read_body(request, settings.question_bytes_max, settings, &server.bodies).await?;
    let asked = Asked::decode(&body.json()?)?;
    let (query, snapshot) = bound(&server, &app, &scope, &asked.query, in_query).await?;
    let asking = server
        .turns
        .ask(move |flag| explain(&snapshot, &scope, &query, &asked.actor, query.as_of.unwrap_or(now), flag));
    let explanation = asking.await?;
    watch.lap("engine");
    let language = chosen.unwrap_or_else(|| Language::accepted(accepted.as_deref().unwrap_or_default()));
    let mut response = json_answer(watch, move || Ok(explanation.to_json(language))).await?;
    if chosen.is_none() {
        response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-language"));
    }
    Ok(response)
}

/// The language of `lang`, where it is given.
fn chosen(pairs: &[Pair]) -> Result<Option<Language>, Problem> {
    let Some(code) = access::last(pairs, LANG) else { return Ok(None) };
    let known = Language::ALL.map(Language::code).join(", ");
    let refused =
        || Problem::new(Code::ParameterInvalid, format!("{LANG}: {code:?} was given; allowed are {known}"));
    Language::from_code(code).map(Some).ok_or_else(refused)
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
