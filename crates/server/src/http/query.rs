//! `POST /v1/query`: a behavioural question over the caller's rows.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use ebbtide_model::query::{Query, bind};

use super::access;
use super::answer::{Stopwatch, json_answer};
use super::body::read_body;
use crate::asking::{AskError, ask_within};
use crate::problem::{Code, Problem};
use crate::server::Server;

pub(super) async fn ask(State(server): State<Arc<Server>>, request: Request) -> Result<Response, Problem> {
    let mut watch = Stopwatch::start();
    let caller = access::sign_in(&server, request.headers(), request.uri())?;
    let scope = caller.widest_scope()?;
    let app = server.app_of(&caller)?.clone();
    let settings = &server.settings;
    let body = read_body(request, settings.question_bytes_max, settings, &server.bodies).await?;
    let query = bind(&Query::parse(&body.json()?)?, &app.pack.schema)?;
    let snapshot = access::snapshot(&server, &app, &scope).await?;
    let as_of = query.as_of.unwrap_or_else(|| server.now());
    let turn = server.turn().await?;
    watch.lap("wait");
    let asking = ask_within(settings.query_time_max, move |flag| {
        // Held until the question is answered or given up, even where its caller has gone.
        let _turn = turn;
        ebbtide_engine::ask(&snapshot, &scope, &query, as_of, flag)
    });
    let answer = asking.await.map_err(|error| match error {
        AskError::Engine(error) => Problem::from(error),
        AskError::Unanswered(_) => Problem::hidden(Code::Internal, error),
    })?;
    watch.lap("engine");
    json_answer(watch, move || Ok(answer.to_json())).await
}
