//! Reports that are listened to, over sockets and as server-sent events.

use std::pin::{Pin, pin};
use std::sync::Arc;

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderValue, Method};
use ebbtide_model::pack::Pack;
use ebbtide_model::{Clock, Instant};
use ebbtide_server::apps::bundled;
use ebbtide_server::{App, Components, CorsRules, Server, Settings, serve};
use futures::{SinkExt, StreamExt};
use serde_json::{Value as Json, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tower::ServiceExt;

use crate::plans;
use crate::storefront::{click, of, shop};
use crate::support::*;

/// Goes on with the time that passes.
struct RunningClock {
    start: tokio::time::Instant,
}

impl Clock for RunningClock {
    fn now(&self) -> Instant {
        let passed = i64::try_from(self.start.elapsed().as_micros()).unwrap();
        Instant::from_micros(now().micros() + passed)
    }
}

/// A server that listens on a port.
struct Served {
    club: Club,
    address: String,
    stop: oneshot::Sender<()>,
    running: JoinHandle<bool>,
}

impl Served {
    async fn of(club: Club) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (stop, stopping) = oneshot::channel::<()>();
        let stopped = async move { stopping.await.unwrap_or_default() };
        let running = tokio::spawn(serve(club.server.clone(), listener, stopped));
        Self { club, address, stop, running }
    }

    /// A socket, or the status that it was refused with.
    async fn connect(&self, path: &str, origin: Option<&str>) -> Result<Socket, u16> {
        let mut request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", HeaderValue::from_str(origin).unwrap());
        }
        let stream = TcpStream::connect(&self.address).await.unwrap();
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, _)) => Ok(Socket(socket)),
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    async fn socket(&self, token: &str) -> Socket {
        self.connect(&format!("/ws/metrics?token={token}"), None).await.unwrap()
    }
}

struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// The next message of JSON, or why the socket was closed.
    async fn next(&mut self) -> Result<Json, u16> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(text.as_str()).unwrap()),
                Some(Ok(Message::Close(frame))) => return Err(frame.map_or(0, |frame| frame.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(0),
            }
        }
    }

    /// The first of the coming messages of which this holds.
    async fn until(&mut self, holds: impl Fn(&Json) -> bool) -> Json {
        loop {
            let message = self.next().await.unwrap();
            if holds(&message) {
                return message;
            }
        }
    }

    async fn say(&mut self, text: impl Into<String>) {
        self.0.send(Message::text(text.into())).await.unwrap();
    }
}

async fn send(club: &Club, tenant: &str, events: Json) {
    let answer = club.post("/events", &of("admin", tenant), &events).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
}

#[tokio::test]
async fn a_socket_tells_the_summary_and_each_change_of_it() {
    let served = Served::of(shop(Settings::default())).await;
    let mut socket = served.socket(&of("viewer", "north")).await;
    let first = socket.next().await.unwrap();
    assert_eq!((&first["type"], &first["total_sessions"]), (&json!("summary"), &json!(0)));

    let mut event = click("a", "home", "product", 0);
    event["event_id"] = json!("e1");
    send(&served.club, "north", event).await;
    let told = socket.until(|told| told["total_sessions"] == 1).await;
    assert_eq!((&told["type"], &told["steps"][0]["sessions"]), (&json!("summary"), &json!(1)));

    socket.say(json!({"type": "latency", "event_id": "e1", "client_latency_ms": 220}).to_string()).await;
    let told = socket.until(|told| told["steps"][0]["latency"]["client"]["latest"] == 220).await;
    assert_eq!(told["steps"][0]["latency"]["client"]["avg"], json!(220.0));

    let cleared = served.club.post("/events/clear", &of("admin", "north"), &json!({})).await;
    assert_eq!(cleared.json(), json!({"cleared": 1}));
    let told = socket.until(|told| told["total_sessions"] == 0).await;
    assert_eq!(told["steps"][0]["latency"]["client"]["latest"], json!(null));
}

#[tokio::test]
async fn a_listener_is_told_in_its_own_language() {
    let served = Served::of(shop(Settings::default())).await;
    let path = format!("/ws/metrics?token={}", of("viewer", "north"));
    let mut titles = Vec::new();
    for lang in ["&lang=ko", "&lang=ru", ""] {
        let mut socket = served.connect(&format!("{path}{lang}"), None).await.unwrap();
        titles.push(socket.next().await.unwrap()["insights"][0]["title"].as_str().unwrap().to_owned());
    }
    assert_eq!(titles, ["아직 세션이 부족합니다", "Пока слишком мало сессий", "Too few sessions yet"]);
    assert_eq!(served.connect(&format!("{path}&lang=xx"), None).await.err(), Some(422));
}

#[tokio::test]
async fn bad_messages_are_answered_and_the_socket_stays_open() {
    let served = Served::of(shop(Settings::default())).await;
    let mut socket = served.socket(&of("viewer", "north")).await;
    socket.next().await.unwrap();
    for (said, code, detail) in [
        ("{".to_owned(), "json_invalid", "no JSON"),
        ("7".to_owned(), "body_invalid", "no object"),
        ("{}".to_owned(), "body_invalid", "type: no type was given; allowed is latency"),
        (json!({"type": "late"}).to_string(), "body_invalid", "\"late\" was given"),
        (
            json!({"type": "latency", "event_id": "e"}).to_string(),
            "body_invalid",
            "client_latency_ms: is missing",
        ),
        (
            json!({"type": "latency", "event_id": "e", "client_latency_ms": -1}).to_string(),
            "body_invalid",
            "client_latency_ms: -1 was given",
        ),
        (
            json!({"type": "latency", "event_id": "e", "client_latency_ms": 1}).to_string(),
            "not_found",
            "no event of that event_id",
        ),
        ("x".repeat(20_000), "body_too_large", "longer than"),
    ] {
        socket.say(said.clone()).await;
        let told = socket.next().await.unwrap();
        assert_eq!((&told["type"], &told["code"]), (&json!("error"), &json!(code)), "{told}");
        assert!(told["detail"].as_str().unwrap().contains(detail), "{told}");
    }
    send(&served.club, "north", click("a", "home", "product", 0)).await;
    socket.until(|told| told["total_sessions"] == 1).await;
    for bytes in [64 << 10, 70_000, 1 << 20] {
        socket.say("x".repeat(bytes)).await;
        assert_eq!(socket.next().await.unwrap()["code"], "body_too_large", "{bytes}");
    }
    // One that is longer is not read, and its end is told.
    let (mut say, hear) = socket.0.split();
    let said = say.send(Message::text("x".repeat((1 << 20) + 1)));
    let mut closed = pin!(hear.filter_map(async |heard| match heard {
        Ok(Message::Close(frame)) => Some(u16::from(frame.unwrap().code)),
        _ => None,
    }));
    let (_, code) = futures::join!(said, closed.next());
    assert_eq!(code, Some(1009));
}

#[tokio::test]
async fn a_close_is_answered() {
    let served = Served::of(shop(Settings::default())).await;
    for path in ["/ws/metrics", "/v1/live/summary"] {
        let path = format!("{path}?token={}", of("viewer", "north"));
        let mut socket = served.connect(&path, None).await.unwrap();
        socket.next().await.unwrap();
        let frame = CloseFrame { code: CloseCode::Normal, reason: "seen".into() };
        socket.0.close(Some(frame)).await.unwrap();
        assert_eq!(socket.next().await, Err(1000), "{path}");
        // After the handshake, the connection ends as well.
        assert!(socket.0.next().await.is_none(), "{path}");
    }
}

#[tokio::test]
async fn a_message_that_was_refused_is_kept_and_sent_again_once_it_fits() {
    let served = Served::of(shop(Settings::default())).await;
    let club = &served.club;
    let mut socket = served.socket(&of("viewer", "north")).await;
    socket.next().await.unwrap();
    let early = json!({"type": "latency", "event_id": "e1", "client_latency_ms": 220});
    let bad = json!({"type": "latency", "event_id": "e1", "client_latency_ms": "slow"});
    for said in [early.to_string(), bad.to_string(), "{".to_owned(), json!({"type": "late"}).to_string()] {
        socket.say(said).await;
        assert_eq!(socket.next().await.unwrap()["type"], "error");
    }
    let rejects = club.get("/v1/rejects", &of("admin", "north")).await.json()["rejects"].clone();
    let told = |index: usize| {
        let reject = &rejects[index];
        let names = ["way", "source", "table", "tenant", "column", "code", "index", "row"];
        json!(names.map(|name| reject[name].clone()))
    };
    assert_eq!(rejects.as_array().unwrap().len(), 2, "{rejects}");
    assert_eq!(
        told(0),
        json!([
            "message",
            "/ws/metrics",
            "latencies",
            "north",
            "client_latency_ms",
            "not_allowed",
            null,
            bad
        ])
    );
    assert_eq!(
        told(1),
        json!(["message", "/ws/metrics", "latencies", "north", null, "not_found", null, early])
    );
    let others = club.get("/v1/rejects", &of("admin", "south")).await.json();
    assert_eq!(others["rejects"], json!([]));

    let again = async |told: Json| {
        let answer = club.post("/v1/rejects/retry", &of("admin", "north"), &told).await.json();
        (answer["accepted"].clone(), answer["rejected"].as_array().unwrap().len())
    };
    let ids = json!({"ids": [rejects[0]["id"], rejects[1]["id"]]});
    assert_eq!(again(ids.clone()).await, (json!(0), 2));
    let mut event = click("a", "home", "product", 0);
    event["event_id"] = json!("e1");
    send(club, "north", event).await;
    assert_eq!(again(ids).await, (json!(1), 1));
    let told = socket.until(|told| told["steps"][0]["latency"]["client"]["latest"] == 220).await;
    assert_eq!(told["steps"][0]["latency"]["client"]["avg"], json!(220.0));
}

#[tokio::test]
async fn a_listener_hears_its_own_tenant_alone() {
    let served = Served::of(shop(Settings::default())).await;
    let mut south = served.socket(&of("viewer", "south")).await;
    assert_eq!(south.next().await.unwrap()["total_sessions"], 0);
    let mut event = click("a", "home", "product", 0);
    event["event_id"] = json!("e1");
    send(&served.club, "north", event).await;
    // Another tenant's event is as unknown as one that nobody has.
    south.say(json!({"type": "latency", "event_id": "e1", "client_latency_ms": 5}).to_string()).await;
    assert_eq!(south.next().await.unwrap()["code"], "not_found");
    send(&served.club, "south", click("b", "cart", "success", 0)).await;
    let told = south.next().await.unwrap();
    assert_eq!((&told["total_sessions"], &told["converted"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn who_may_not_listen_is_refused_as_any_caller_of_the_report() {
    let cors = CorsRules { origins: vec!["https://shop.example".to_owned()], ..CorsRules::default() };
    let served = Served::of(shop(Settings { cors, listeners_max: 1, ..Settings::default() })).await;
    let viewer = of("viewer", "north");
    let path = format!("/ws/metrics?token={viewer}");
    let refused = async |path: &str, origin: Option<&str>| served.connect(path, origin).await.err();
    assert_eq!(refused("/ws/metrics", None).await, Some(401));
    assert_eq!(refused("/ws/metrics?token=x.y.z", None).await, Some(401));
    assert_eq!(refused(&format!("/ws/metrics?token={}", of("clerk", "north")), None).await, Some(403));
    let nobodys = token(json!({"aud": "storefront", "role": "viewer"}));
    assert_eq!(refused(&format!("/ws/metrics?token={nobodys}"), None).await, Some(403));
    for origin in ["https://evil.example", "null", "https://shop.example.evil.example"] {
        assert_eq!(refused(&path, Some(origin)).await, Some(403), "{origin}");
    }
    assert_eq!(refused(&format!("/v1/live/none?token={viewer}"), None).await, Some(404));
    assert_eq!(refused(&format!("/v1/live/sessions?token={viewer}&limit=0"), None).await, Some(422));
    served.club.get(&path, "").await.assert_problem(426, "upgrade_required");

    let own = format!("http://{}", served.address);
    let mut first = served.connect(&path, Some("https://shop.example")).await.unwrap_or_else(|_| panic!());
    first.next().await.unwrap();
    assert_eq!(refused(&path, Some(&own)).await, Some(503), "as many listen as may");
    drop(first);
    // Its place is free once the server has noticed.
    let mut second = served.connect(&path, Some(&own)).await;
    while second.is_err() {
        tokio::task::yield_now().await;
        second = served.connect(&path, Some(&own)).await;
    }
}

#[tokio::test]
async fn a_server_that_stops_sends_its_listeners_home() {
    let served = Served::of(shop(Settings::default())).await;
    let mut socket = served.socket(&of("viewer", "north")).await;
    socket.next().await.unwrap();
    let mut events = events(&served.club, "/v1/live/summary", &of("viewer", "north")).await;
    events.next().await.unwrap();
    served.stop.send(()).unwrap();
    assert_eq!(socket.next().await, Err(1001));
    assert_eq!(events.next().await, None);
    assert!(served.running.await.unwrap());
}

/// Server-sent events as they come.
struct Events {
    body: Pin<Box<BodyDataStream>>,
    text: String,
}

async fn events(club: &Club, path: &str, token: &str) -> Events {
    let response =
        club.router.clone().oneshot(request(Method::GET, path, token, Body::empty())).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    Events { body: Box::pin(response.into_body().into_data_stream()), text: String::new() }
}

impl Events {
    /// The next event's name and data; `None` once there are no more.
    async fn next(&mut self) -> Option<(String, String)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field =
                    |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                let read = (field("event: "), field("data: "));
                self.text = rest.to_owned();
                if let (Some(name), Some(data)) = read {
                    return Some((name, data));
                }
                continue;
            }
            let chunk = self.body.next().await?.unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn answer(&mut self) -> Json {
        let (name, data) = self.next().await.unwrap();
        assert_eq!(name, "answer");
        serde_json::from_str(&data).unwrap()
    }
}

#[tokio::test]
async fn any_report_can_be_listened_to_with_its_own_parameters() {
    let club = Club::open().await;
    let mut own = events(&club, "/v1/live/visits", &owner(1)).await;
    let first = own.answer().await;
    assert_eq!(first, club.get("/club/visits", &owner(1)).await.json());
    let rows = json!([{"id": 9, "club_id": 1, "member_id": 11, "kind": "run", "at": "2026-01-11T10:00:00Z"}]);
    club.post("/v1/tables/visits/rows", &admin(), &rows).await;
    assert_eq!(own.answer().await, club.get("/club/visits", &owner(1)).await.json());
    // A parameter of a path is given like any other.
    let mut named = events(&club, "/v1/live/visits?club_id=2", &admin()).await;
    assert_eq!(named.answer().await, club.get("/admin/clubs/2/visits", &admin()).await.json());
    club.get("/v1/live/visits", &owner(3)).await.assert_problem(404, "tenant_unknown");
    club.get("/v1/live/nothing", &owner(1)).await.assert_problem(404, "not_found");
    club.get("/v1/live/visits", "").await.assert_problem(401, "token_missing");
}

fn shop_by(clock: Arc<dyn Clock>, yaml: &str) -> Club {
    let pack = Pack::parse(yaml).unwrap();
    let components = Components { clock, ..components() };
    let server = Server::new(components, vec![App::new(pack.clone())], Settings::default()).unwrap();
    assert!(server.opened(memory_store(&[pack])).is_ok());
    Club::of(server)
}

#[tokio::test]
async fn a_listener_is_cut_when_its_token_ends() {
    let clock = MovingClock::at(now());
    let club = shop_by(clock.clone(), bundled("storefront").unwrap());
    let expires = now().micros() / 1_000_000 + 60;
    let token = token(json!({"aud": "storefront", "role": "viewer", "tenant": "north", "exp": expires}));
    let mut events = events(&club, "/v1/live/summary", &token).await;
    events.answer().await;
    clock.forward(63_000_000);
    assert_eq!(events.next().await.unwrap().0, "expired");
    assert_eq!(events.next().await, None);
}

/// A request comes in time as long as the leeway lets it; a listener would be sent home at once.
#[tokio::test]
async fn a_token_that_has_ended_lets_no_listener_in() {
    let served = Served::of(shop(Settings::default())).await;
    let club = &served.club;
    let ended = |seconds_ago: i64| {
        let expires = now().micros() / 1_000_000 - seconds_ago;
        token(json!({"aud": "storefront", "role": "viewer", "tenant": "north", "exp": expires}))
    };
    for path in ["/ws/metrics", "/v1/live/summary"] {
        let connect = |seconds_ago| format!("{path}?token={}", ended(seconds_ago));
        assert!(served.connect(&connect(2), None).await.is_ok(), "{path}");
        for seconds_ago in [3, 29, 31] {
            assert_eq!(served.connect(&connect(seconds_ago), None).await.err(), Some(401), "{path}");
        }
    }
    assert_eq!(club.get("/funnel/summary", &ended(29)).await.status, 200);
    club.get("/v1/live/summary", &ended(29)).await.assert_problem(401, "token_expired");
}

#[tokio::test]
async fn an_idle_session_is_told_as_an_exit_without_a_write() {
    let clock = Arc::new(RunningClock { start: tokio::time::Instant::now() });
    let yaml = bundled("storefront").unwrap().replace("idle: 5m", "idle: 1s");
    let club = shop_by(clock, &yaml);
    let mut events = events(&club, "/v1/live/summary", &of("viewer", "north")).await;
    assert_eq!(events.answer().await["total_sessions"], 0);
    let mut event = click("a", "home", "product", 0);
    // Its time is that of its arrival.
    event["timestamp"] = json!(null);
    send(&club, "north", event).await;
    let active = events.answer().await;
    assert_eq!((&active["total_sessions"], &active["total_exits"]), (&json!(1), &json!(0)));
    let left = events.answer().await;
    assert_eq!((&left["total_sessions"], &left["total_exits"]), (&json!(1), &json!(1)));
    assert_eq!(left["kpis"]["worst_step"], "product");
}

/// A row in the place of another, by which a pack decides about its callers.
async fn replace(club: &Club, table: &str, row: Json) {
    let answer = club.post(&format!("/v1/tables/{table}/rows"), &admin(), &json!([row])).await;
    assert_eq!(answer.json()["accepted"], json!(1), "{}", answer.text());
}

#[tokio::test]
async fn who_loses_its_plan_is_told_so_and_cut() {
    let served = Served::of(plans::served().await).await;
    let path = format!("/v1/live/bots?token={}", plans::user("ann"));
    let mut socket = served.connect(&path, None).await.unwrap_or_else(|status| panic!("{status}"));
    assert_eq!(socket.next().await.unwrap()["answer"]["bots"], json!(["a"]));
    let mut own = events(&served.club, "/v1/live/bots", &plans::user("ann")).await;
    assert_eq!(own.answer().await["plan"], "pro");
    let mut others = events(&served.club, "/v1/live/bots", &plans::user("bob")).await;
    assert_eq!(others.answer().await["bots"], json!(["c"]));

    let ended = json!({"id": "2", "user_id": "ann", "plan": "pro", "status": "expired"});
    replace(&served.club, "subscriptions", ended).await;
    let told = socket.next().await.unwrap();
    assert_eq!((&told["type"], &told["code"]), (&json!("error"), &json!("plan_required")));
    assert_eq!(told["detail"], "Analytics needs Pro.");
    assert_eq!(socket.next().await, Err(4402));
    let (name, data) = own.next().await.unwrap();
    assert!(name == "error" && data.contains("plan_required"), "{name} {data}");
    assert_eq!(own.next().await, None);

    // Whom the change does not concern hears on.
    let bot = json!({"id": "d", "company": "co-0", "created_at": "2026-01-02"});
    replace(&served.club, "bots", bot).await;
    assert_eq!(others.answer().await["bots"], json!(["c", "d"]));
}

#[tokio::test]
async fn what_is_not_there_or_another_tenants_is_not_listened_to() {
    let served = Served::of(plans::served().await).await;
    let ann = plans::user("ann");
    let path = |bot: &str| format!("/v1/live/bot?bot={bot}&token={ann}");
    for bot in ["nope", "c"] {
        assert_eq!(served.connect(&path(bot), None).await.err(), Some(404), "{bot}");
        served.club.get(&format!("/v1/live/bot?bot={bot}"), &ann).await.assert_problem(404, "not_found");
    }
    let mut socket = served.connect(&path("a"), None).await.unwrap_or_else(|status| panic!("{status}"));
    assert_eq!(socket.next().await.unwrap()["answer"]["id"], "a");
}

#[tokio::test]
async fn who_sees_another_tenant_from_now_on_is_cut_before_it_hears_of_the_old_one() {
    let served = Served::of(plans::served().await).await;
    let path = format!("/v1/live/bots?token={}", plans::user("bob"));
    let mut socket = served.connect(&path, None).await.unwrap_or_else(|status| panic!("{status}"));
    assert_eq!(socket.next().await.unwrap()["answer"]["bots"], json!(["c"]));
    replace(&served.club, "companies", json!({"id": "co-0", "owner": "zed"})).await;
    let told = socket.next().await.unwrap();
    assert_eq!((&told["type"], &told["code"]), (&json!("error"), &json!("forbidden")));
    assert_eq!(socket.next().await, Err(4403));
    // Connected again it hears of its tenant.
    let mut socket = served.connect(&path, None).await.unwrap_or_else(|status| panic!("{status}"));
    assert_eq!(socket.next().await.unwrap()["answer"]["bots"], json!(["b"]));
    // Who has none any more is let in nowhere.
    replace(&served.club, "companies", json!({"id": "co-2", "owner": "zed"})).await;
    assert_eq!(socket.next().await.unwrap()["code"], "tenant_unknown");
    assert_eq!(socket.next().await, Err(4404));
}

#[tokio::test]
async fn a_summary_that_is_listened_to_is_that_of_a_request_at_every_change() {
    let served = Served::of(shop(Settings::default())).await;
    let mut socket = served.socket(&of("viewer", "north")).await;
    let mut told = socket.next().await.unwrap();
    for round in 0..12_i64 {
        let session = format!("s{}", round % 5);
        let mut event =
            click(&session, "home", ["product", "exit", "success"][(round % 3) as usize], -round * 40);
        event["user_id"] = json!(format!("u{}", round % 3));
        send(&served.club, "north", event).await;
        send(&served.club, "south", click(&session, "cart", "success", 0)).await;
        let mut asked = served.club.get("/funnel/summary", &of("viewer", "north")).await.json();
        asked["type"] = json!("summary");
        while told != asked {
            told = socket.next().await.unwrap();
        }
    }
    let metrics = served.club.get("/metrics", "").await;
    let went_on =
        metrics.text().lines().find_map(|line| line.strip_prefix("ebbtide_live_continued_total{} "));
    assert!(went_on.unwrap().parse::<f64>().unwrap() > 0.0, "{}", metrics.text());
}
