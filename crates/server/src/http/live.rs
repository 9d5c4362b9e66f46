//! Reports that are listened to: `GET /v1/live/{report}` and `GET /v1/embed/live`, as server-sent events or as a
//! WebSocket, and the packs' own live paths, which are WebSockets. A listener is let in as any caller of the report is, hears its own scope
//! alone, and is sent home when its token ends, or when it would not be let in any more.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::response::sse::{Event as SentEvent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use ebbtide_model::pack::{Live, Route};
use ebbtide_model::{Scope, Written};
use futures::{SinkExt as _, stream};
use serde_json::{Map, Value as Json, json};
use tokio_tungstenite::tungstenite::Error as Unread;

use super::access::{self, Pairs, PathParams};
use super::admission::{self, Admission};
use super::{cors, embedded};
use crate::live::{Conversation, Event, Listener, Newest};
use crate::problem::{Code, Problem, shortened};
use crate::report::Pair;
use crate::routes::{LiveRoute, ReportRoute};
use crate::server::Server;
use crate::sign_in::{Caller, wait_for_key};

/// The parameter by which pages that cannot set headers give their token.
const TOKEN: &str = "token";
/// What one socket keeps of what comes and goes, so that a thousand of them take little.
const BUFFER_BYTES: usize = 4 << 10;
/// Past it a message ends the connection; a shorter one that is too long is answered.
const FRAME_BYTES_MAX: usize = 1 << 20;
/// How long whoever is sent home has to read why.
const PARTING: Duration = Duration::from_secs(1);
/// How often a socket is asked whether somebody is there, and events of nothing are sent.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// How long nothing may be heard of a socket.
const SILENCE_MAX: Duration = Duration::from_secs(90);

/// Why a socket is closed: of RFC 6455, and one of ours.
const GOING_AWAY: u16 = 1001;
const UNREADABLE: u16 = 1002;
const NO_TEXT: u16 = 1007;
const TOO_LONG: u16 = 1009;
const TOKEN_ENDED: u16 = 4401;
/// And the status with which it would be refused now.
const REFUSED: u16 = 4000;

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// `GET /v1/live/{report}`.
pub(super) async fn report(
    State(server): State<Arc<Server>>,
    path: PathParams,
    uri: Uri,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    let (headers, query) = asked(&server, headers, &uri).await?;
    let path = access::path_pairs(path);
    let name =
        path.as_ref().ok().and_then(|path| access::last(path, "report")).unwrap_or_default().to_owned();
    let caller = in_time(&server, access::sign_in_to_read(&server, &headers, &uri, &name)?)?;
    path?;
    listen(&server, (caller, &headers), &name, &query, upgrade).await
}

/// `GET /v1/embed/live`: of the report that the token is bound to.
pub(super) async fn bound(
    State(server): State<Arc<Server>>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    let (headers, query) = asked(&server, headers, &uri).await?;
    let (caller, embed) = access::sign_in_bound(&server, &headers, &uri)?;
    let caller = in_time(&server, caller)?;
    listen(&server, (caller, &headers), &embed.report, &query, upgrade).await
}

async fn listen(
    server: &Arc<Server>,
    (caller, headers): (Caller, &HeaderMap),
    name: &str,
    query: &[Pair],
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    let query = embedded::with_fixed(&caller, query);
    let (report, of_path) = way_to(server, &caller, name, &query)?;
    let way = Arc::new(LiveRoute { live: plain(&report), report });
    let form = if wants_socket(headers) { Form::Enveloped } else { Form::Plain };
    let admitted = admit(server, &way, caller, headers, of_path, query).await?;
    if wants_socket(headers) { admitted.socket(way, form, upgrade) } else { Ok(admitted.events(&form)) }
}

/// The handler of a pack's own live path.
pub(super) fn handler(way: Arc<LiveRoute>) -> MethodRouter<Arc<Server>> {
    get(
        move |State(server): State<Arc<Server>>,
              path: PathParams,
              uri: Uri,
              headers: HeaderMap,
              upgrade: Upgrade| {
            let way = way.clone();
            async move {
                let (headers, query) = asked(&server, headers, &uri).await?;
                let path = access::path_pairs(path)?;
                let form = Form::Added(way.live.add.clone());
                let caller = in_time(&server, access::sign_in_to(&server, &headers, &way.report.app)?)?;
                let admitted = admit(&server, &way, caller, &headers, path, query).await?;
                admitted.socket(way, form, upgrade)
            }
        },
    )
}

fn given(query: &[Pair], name: &str) -> Option<Pair> {
    access::last(query, name).map(|value| (name.to_owned(), value.to_owned()))
}

/// The route of a report by which the caller may ask, one whose parameters are given, if there is one; and those
/// parameters.
pub(super) fn way_to(
    server: &Server,
    caller: &Caller,
    name: &str,
    query: &[Pair],
) -> Result<(Arc<ReportRoute>, Pairs), Problem> {
    let of_app = || server.routes.reports.iter().filter(|way| way.app.name() == caller.app());
    let own = || of_app().filter(|way| way.report.name == name);
    let is_open = |way: &&Arc<ReportRoute>| access::is_open(caller, &way.route);
    let fits = |way: &&Arc<ReportRoute>| {
        way.route.params.iter().all(|param| access::last(query, &param.name).is_some())
    };
    // Of one that is not open, or lacks a parameter, what follows tells why.
    let found = own().find(|way| is_open(way) && fits(way)).or_else(|| own().find(is_open)).or(own().next());
    let way = found.cloned().ok_or_else(|| {
        let detail = format!("There is no report {:?} of this app.", shortened(name));
        Problem::new(Code::NotFound, detail)
    })?;
    let of_path = way.route.params.iter().filter_map(|param| given(query, &param.name)).collect();
    Ok((way, of_path))
}

/// A report's route as a live path without more.
fn plain(way: &ReportRoute) -> Live {
    Live {
        name: way.report.name.clone(),
        description: None,
        report: way.report.name.clone(),
        route: Route::clone(&way.route),
        add: Map::new(),
        receive: Vec::new(),
    }
}

/// The headers, with the token of the query where they bring none, once its key is there; and the query.
async fn asked(server: &Server, headers: HeaderMap, uri: &Uri) -> Result<(HeaderMap, Pairs), Problem> {
    let query = access::query_pairs(uri)?;
    let headers = with_token(headers, &query);
    wait_for_key(&headers, &server.keys).await;
    Ok((headers, query))
}

/// The headers with the token of the query, where they bring none.
fn with_token(mut headers: HeaderMap, query: &Pairs) -> HeaderMap {
    if !headers.contains_key(header::AUTHORIZATION)
        && let Some(token) = access::last(query, TOKEN)
        && let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {token}"))
    {
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    headers
}

/// Refused where it would be sent home at once: who asks once may come as late as the leeway lets it, a listener stays
/// a few seconds past its token's end at most.
fn in_time(server: &Server, caller: Caller) -> Result<Caller, Problem> {
    if caller.ends_at(&server.settings.token) <= server.now() {
        return Err(Problem::new(Code::TokenExpired, "The token's `exp` has passed."));
    }
    Ok(caller)
}

fn wants_socket(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

/// Pages of other origins listen where the server's rules let them call, or the caller's token is for them: browsers
/// do not ask before.
fn check_origin(server: &Server, caller: &Caller, headers: &HeaderMap) -> Result<(), Problem> {
    if caller.embed().is_some() {
        return embedded::check_origin(caller, headers);
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    if cors::is_own(origin, headers) || server.settings.cors.allows(origin) {
        return Ok(());
    }
    let detail = format!("Pages of the origin {:?} may not listen here.", shortened(origin));
    Err(Problem::new(Code::Forbidden, detail))
}

/// The checks before an answer, and then a listener.
async fn admit(
    server: &Arc<Server>,
    way: &LiveRoute,
    caller: Caller,
    headers: &HeaderMap,
    path: Pairs,
    query: Pairs,
) -> Result<Admitted, Problem> {
    let admission = Admission::new(server, &way.report, (caller, headers), path, query);
    check_origin(server, admission.caller(), headers)?;
    let admission::Admitted { question, ends_at } = admission.check().await?;
    let seat = server.hub.seat()?;
    let scope = question.scope.clone();
    let watched = admission.watched(question.key());
    let mut listener = Listener::new(server.clone(), server.hub.topic(&question), ends_at, watched, seat);
    listener.check_found().await?;
    Ok(Admitted { server: server.clone(), scope, listener })
}

/// Who may listen.
struct Admitted {
    server: Arc<Server>,
    scope: Scope,
    listener: Listener,
}

/// How an answer stands in a message.
#[derive(Clone)]
enum Form {
    Plain,
    /// `{"type": "answer", "answer": …}`.
    Enveloped,
    /// Its own fields, and these before them.
    Added(Map<String, Json>),
}

impl Form {
    fn answer(&self, body: &Bytes) -> String {
        let body = String::from_utf8_lossy(body);
        match self {
            Self::Plain => body.into_owned(),
            Self::Enveloped => format!("{{\"type\":\"answer\",\"answer\":{body}}}"),
            Self::Added(fields) if fields.is_empty() => body.into_owned(),
            Self::Added(fields) => {
                let added = Written(&Json::Object(fields.clone())).to_string();
                let (Some(added), Some(own)) = (added.strip_suffix('}'), body.strip_prefix('{')) else {
                    return body.into_owned();
                };
                let comma = if own == "}" { "" } else { "," };
                format!("{added}{comma}{own}")
            }
        }
    }
}

/// `{"type": "error", …}`.
fn error(problem: &Problem) -> String {
    json!({"type": "error", "code": problem.code().as_str(), "detail": problem.detail()}).to_string()
}

impl Admitted {
    fn events(self, form: &Form) -> Response {
        let form = form.clone();
        let events = stream::unfold(Some(self.listener), move |listener| {
            let form = form.clone();
            async move {
                let mut listener = listener?;
                let event = match listener.next().await {
                    Event::State(Newest::Answer(body)) => {
                        SentEvent::default().event("answer").data(form.answer(&body))
                    }
                    Event::State(Newest::Failed(problem)) => {
                        SentEvent::default().event("error").data(error(&problem))
                    }
                    Event::State(Newest::None) => SentEvent::default().comment("none yet"),
                    Event::Expired => {
                        let event = SentEvent::default().event("expired").data("the token has ended");
                        return Some((Ok::<_, Infallible>(event), None));
                    }
                    Event::Cut(problem) => {
                        let event = SentEvent::default().event("error").data(error(&problem));
                        return Some((Ok(event), None));
                    }
                    Event::Closing => return None,
                };
                Some((Ok(event), Some(listener)))
            }
        });
        let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response();
        // Proxies that gather an answer would hold it back for ever.
        let unbuffered = HeaderName::from_static("x-accel-buffering");
        response.headers_mut().insert(unbuffered, HeaderValue::from_static("no"));
        response
    }

    fn socket(self, way: Arc<LiveRoute>, form: Form, upgrade: Upgrade) -> Result<Response, Problem> {
        let upgrade = upgrade.map_err(|refused| {
            Problem::new(Code::UpgradeRequired, format!("This path is a WebSocket: {}.", refused.body_text()))
        })?;
        let upgrade = upgrade
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(FRAME_BYTES_MAX)
            .max_frame_size(FRAME_BYTES_MAX);
        Ok(upgrade.on_upgrade(move |socket| {
            let Self { server, scope, listener } = self;
            Talk { conversation: Conversation { server, way, scope }, form, listener }.run(socket)
        }))
    }
}

/// A socket and whoever is at its other end.
struct Talk {
    conversation: Conversation,
    form: Form,
    listener: Listener,
}

/// What comes next in a talk.
enum Turn {
    Say(Message),
    Close(u16, &'static str),
    /// Closed since nothing that it sends can be read any more.
    Unread(u16, &'static str),
    /// Told why, and then closed.
    Cut(Arc<Problem>),
    Listen,
    /// The other end has closed, which is to be answered.
    Answer,
    /// Nobody is there any more.
    End,
}

fn close(code: u16, reason: &'static str) -> Message {
    Message::Close(Some(CloseFrame { code, reason: reason.into() }))
}

/// Why a socket is closed of which nothing can be read any more.
fn unreadable(error: axum::Error) -> Turn {
    match error.into_inner().downcast_ref::<Unread>() {
        Some(Unread::Capacity(_)) => Turn::Unread(TOO_LONG, "a message was of more than 1 MiB"),
        Some(Unread::Utf8(_)) => Turn::Unread(NO_TEXT, "a message of text was no UTF-8"),
        Some(Unread::Protocol(_)) => Turn::Unread(UNREADABLE, "what was sent was no WebSocket's"),
        Some(_) | None => Turn::End,
    }
}

/// Says the last, answers a close, and reads what is still sent until the other end has closed: an end with bytes that
/// nobody has read would take back what was said.
async fn part(socket: &mut WebSocket, last: Vec<Message>) {
    let parting = async {
        for message in last {
            if socket.send(message).await.is_err() {
                return;
            }
        }
        if socket.close().await.is_err() {
            return;
        }
        while let Some(Ok(_)) = socket.recv().await {}
    };
    if tokio::time::timeout(PARTING, parting).await.is_err() {
        tracing::debug!(target: "ebbtide::live", "a socket did not take its close");
    }
}

impl Talk {
    async fn run(mut self, mut socket: WebSocket) {
        let mut heard = tokio::time::Instant::now();
        let mut heartbeat = tokio::time::interval_at(heard + HEARTBEAT, HEARTBEAT);
        loop {
            let turn = tokio::select! {
                event = self.listener.next() => self.told(event),
                message = socket.recv() => {
                    heard = tokio::time::Instant::now();
                    match message {
                        Some(Ok(message)) => self.heard(message).await,
                        Some(Err(error)) => unreadable(error),
                        None => Turn::End,
                    }
                }
                _ = heartbeat.tick() => {
                    if heard.elapsed() > SILENCE_MAX { Turn::End } else { Turn::Say(Message::Ping(Bytes::new())) }
                }
            };
            let is_unread = matches!(turn, Turn::Unread(..));
            let last = match turn {
                Turn::Listen => continue,
                Turn::End => return,
                Turn::Say(message) => {
                    // Who does not read is not waited for past the end.
                    tokio::select! {
                        sent = socket.send(message) => if sent.is_ok() { continue },
                        () = self.listener.ended() => {}
                    }
                    return;
                }
                Turn::Answer => vec![],
                Turn::Close(code, reason) | Turn::Unread(code, reason) => vec![close(code, reason)],
                Turn::Cut(problem) => {
                    let code = REFUSED + problem.code().status().as_u16();
                    vec![Message::Text(error(&problem).into()), close(code, problem.code().as_str())]
                }
            };
            part(&mut socket, last).await;
            if is_unread {
                // What it still sends is not read, so that it is not heard when it has closed.
                tokio::time::sleep(PARTING).await;
            }
            return;
        }
    }

    fn told(&self, event: Event) -> Turn {
        match event {
            Event::State(Newest::Answer(body)) => Turn::Say(Message::Text(self.form.answer(&body).into())),
            Event::State(Newest::Failed(problem)) => Turn::Say(Message::Text(error(&problem).into())),
            Event::State(Newest::None) => Turn::Listen,
            Event::Expired => Turn::Close(TOKEN_ENDED, "the token has ended"),
            Event::Cut(problem) => Turn::Cut(problem),
            Event::Closing => Turn::Close(GOING_AWAY, "the server stops"),
        }
    }

    async fn heard(&self, message: Message) -> Turn {
        let said = match message {
            Message::Text(text) => tokio::select! {
                taken = self.conversation.hear(text.as_str()) => taken,
                () = self.listener.ended() => return Turn::Listen,
            },
            Message::Binary(_) => {
                Err(Problem::new(Code::BodyInvalid, "The message is of bytes; allowed is text."))
            }
            Message::Close(_) => return Turn::Answer,
            Message::Ping(_) | Message::Pong(_) => return Turn::Listen,
        };
        match said {
            Ok(()) => Turn::Listen,
            Err(problem) => {
                if let Some(cause) = problem.cause() {
                    tracing::warn!(target: "ebbtide::live", cause, "a message could not be taken");
                }
                Turn::Say(Message::Text(error(&problem).into()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_stands_in_a_message_as_the_path_has_it() {
        let added = Map::from_iter([("type".to_owned(), json!("summary"))]);
        let check = |form: &Form, body: &'static str, want: &str| {
            assert_eq!(form.answer(&Bytes::from_static(body.as_bytes())), want);
        };
        check(&Form::Plain, "[1]", "[1]");
        check(&Form::Enveloped, "[1]", r#"{"type":"answer","answer":[1]}"#);
        check(&Form::Added(Map::new()), r#"{"a":1}"#, r#"{"a":1}"#);
        check(&Form::Added(added.clone()), r#"{"a":{}}"#, r#"{"type":"summary","a":{}}"#);
        check(&Form::Added(added), "{}", r#"{"type":"summary"}"#);
    }
}
