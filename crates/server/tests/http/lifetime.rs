//! From the start to the stop of a server, and what happens when it is too much.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Method;
use ebbtide_model::{Clock, Instant};
use ebbtide_server::{App, Phase, Server, Settings, serve};
use ebbtide_store::fs::SimFs;
use futures::stream;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::support::*;

/// A body that begins and never ends.
fn endless() -> Body {
    Body::from_stream(stream::pending::<Result<String, std::io::Error>>())
}

#[tokio::test]
async fn probes_are_answered_before_the_rows_are_there_and_questions_are_not() {
    let club = Club::of(recovering(Settings::default()));
    assert_eq!(club.server.phase(), Phase::Recovering);
    assert_eq!(club.get("/healthz", "").await.json(), json!({"status": "ok"}));
    let ready = club.get("/readyz", "").await;
    assert_eq!((ready.status.as_u16(), ready.json()), (503, json!({"status": "recovering"})));
    let report = club.get("/club/visits", &owner(1)).await;
    report.assert_problem(503, "recovering");
    assert_eq!(report.header("retry-after"), "1");
    club.get("/club/visits", "").await.assert_problem(401, "token_missing");
    assert!(club.server.opened(memory_store(&[pack()])).is_ok());
    let ready = club.get("/readyz", "").await;
    assert_eq!((ready.status.as_u16(), ready.json()), (200, json!({"status": "ready"})));
}

#[tokio::test]
async fn a_failed_disk_ends_writing_and_not_reading() {
    let disk = Arc::new(SimFs::new(1));
    let club = Club::of(recovering(Settings::default()));
    assert!(club.server.opened(store_on(disk.clone(), &[pack()])).is_ok());
    let path = "/v1/tables/clubs/rows";
    assert_eq!(club.post(path, &admin(), &json!([{"id": 1, "name": "One"}])).await.json()["accepted"], 1);
    disk.fail_sync_after(0);
    for _ in 0..2 {
        let refused = club.post(path, &admin(), &json!([{"id": 2, "name": "Two"}])).await;
        refused.assert_problem(503, "storage_failed");
    }
    let ready = club.get("/readyz", "").await;
    assert_eq!((ready.status.as_u16(), ready.json()), (503, json!({"status": "failed"})));
    let metrics = club.get("/metrics", "").await;
    assert!(metrics.text().contains("ebbtide_phase{phase=\"failed\"} 1"), "{}", metrics.text());
    assert_eq!(club.get("/totals", &admin()).await.json()["clubs"], json!([{"id": 1, "name": "One"}]));
}

#[tokio::test]
async fn more_requests_than_may_run_are_refused_and_probes_are_not() {
    let club = Club::of(empty(quick(|settings| settings.requests_max = 1)));
    let (started, starting) = oneshot::channel();
    let body = Body::from_stream(stream::once(async move {
        // The body is asked for once the request is in.
        started.send(()).unwrap();
        std::future::pending::<Result<String, std::io::Error>>().await
    }));
    let running = tokio::spawn({
        let router = club.router.clone();
        async move { tower::ServiceExt::oneshot(router, request(Method::POST, "/v1/sql", &admin(), body)).await }
    });
    starting.await.unwrap();
    let refused = club.get("/totals", &admin()).await;
    refused.assert_problem(503, "overloaded");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(club.get("/readyz", "").await.status, 200);
    // A client that goes gives its place back.
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    assert_eq!(club.get("/totals", &admin()).await.status, 200);
}

#[tokio::test]
async fn a_body_and_a_request_have_their_time() {
    let slow_body = Club::of(empty(quick(|settings| settings.body_timeout = Duration::ZERO)));
    slow_body.post_raw("/v1/sql", &admin(), endless()).await.assert_problem(408, "body_slow");
    let slow_request = Club::of(empty(quick(|settings| settings.request_timeout = Duration::ZERO)));
    slow_request.post_raw("/v1/sql", &admin(), endless()).await.assert_problem(504, "timeout");
}

#[tokio::test]
async fn a_panic_is_a_500_that_says_nothing_of_its_cause() {
    struct Broken;
    impl Clock for Broken {
        fn now(&self) -> Instant {
            panic!("a secret cause")
        }
    }
    let parts = ebbtide_server::Components { clock: Arc::new(Broken), ..components() };
    let club = Club::of(Server::new(parts, vec![App::new(pack())], Settings::default()).unwrap());
    let answer = club.get("/club/visits", &owner(1)).await;
    answer.assert_problem(500, "internal");
    assert!(!answer.text().contains("secret cause"));
    assert_eq!(club.get("/healthz", "").await.status, 200);
}

#[test]
fn parts_that_do_not_fit_together_are_refused_at_the_start() {
    let renamed = |name: &str| {
        let mut other = pack();
        other.schema.app = ebbtide_model::AppName::new(name);
        other
    };
    let refused =
        |packs, settings| start(packs, settings).err().map(|error| error.to_string()).unwrap_or_default();
    let twice = refused(vec![pack(), renamed("gym")], Settings::default());
    assert!(twice.contains("\"club\"") && twice.contains("\"gym\"") && twice.contains("/visits"), "{twice}");
    let same = refused(vec![pack(), pack()], Settings::default());
    assert!(same.contains("two apps have the name"), "{same}");
    assert!(refused(Vec::new(), Settings::default()).contains("no app"));
    let mut reserved = pack();
    reserved.reports[0].routes[1].path = "/v1/visits".to_owned();
    assert!(refused(vec![reserved], Settings::default()).contains("/v1/visits"));
    let mut same_pattern = pack();
    same_pattern.reports[1].routes[0].path = "/admin/clubs/{id}/visits".to_owned();
    assert!(refused(vec![same_pattern], Settings::default()).contains("/admin/clubs/{id}/visits"));
    for (path, why) in
        [("/a/{", "half a name"), ("/a/{*rest}", "the rest"), ("a", "no slash"), ("/a//b", "empty")]
    {
        let mut malformed = pack();
        malformed.reports[1].routes[0].path = path.to_owned();
        assert!(
            refused(vec![malformed], Settings::default()).contains("declares the route"),
            "{path}: {why}"
        );
    }
    let settings = quick(|settings| settings.token.leeway_s = 61);
    assert!(refused(vec![pack()], settings).contains("jwt.leeway is 61"));
}

/// A server on a port of its own, and what stops it.
pub(crate) async fn listening(
    server: Arc<Server>,
) -> (std::net::SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(serve(server, listener, async move {
        stopped.await.unwrap();
    }));
    (address, stop, running)
}

async fn exchange(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
}

#[tokio::test]
async fn a_stop_finishes_what_runs_refuses_what_is_new_and_then_ends() {
    let server = empty(quick(|_| {}));
    let (address, stop, running) = listening(server.clone()).await;
    let body = json!([{"id": 1, "name": "One"}]).to_string();
    let head = format!(
        "POST /v1/tables/clubs/rows HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        admin(),
        body.len()
    );
    let mut half = TcpStream::connect(address).await.unwrap();
    half.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body: the request is in.
    let mut go_on = [0; 25];
    half.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    let idle = TcpStream::connect(address).await.unwrap();

    stop.send(()).unwrap();
    while server.phase() != Phase::Draining {
        tokio::task::yield_now().await;
    }
    let ready = exchange(address, &get("/readyz")).await;
    assert!(ready.starts_with("HTTP/1.1 503") && ready.ends_with("{\"status\":\"draining\"}"), "{ready}");
    let refused = exchange(address, &get("/totals")).await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("\"draining\""), "{refused}");

    half.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    half.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"accepted\":1"), "{answer}");
    assert!(running.await.unwrap(), "all that ran was finished");
    drop(idle);
    server.close().unwrap();
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cut_off() {
    let server = empty(quick(|settings| settings.drain_timeout = Duration::ZERO));
    let (address, stop, running) = listening(server).await;
    let mut half = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/sql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
        admin()
    );
    half.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    half.read_exact(&mut go_on).await.unwrap();
    stop.send(()).unwrap();
    assert!(!running.await.unwrap());
}

#[tokio::test]
async fn a_head_has_a_size_and_a_time() {
    let (address, stop, running) =
        listening(empty(quick(|settings| settings.head_timeout = Duration::from_millis(50)))).await;
    let many: String = (0..101).map(|n| format!("X-{n}: y\r\n")).collect();
    let answer = exchange(address, &format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{many}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"GET /healthz HTT").await.unwrap();
    let mut rest = Vec::new();
    // The server ends the connection; without its timeout this would wait for ever.
    slow.read_to_end(&mut rest).await.unwrap();
    stop.send(()).unwrap();
    assert!(running.await.unwrap());
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_let_go() {
    let server = empty(quick(|settings| settings.write_timeout = Duration::from_millis(50)));
    let (address, stop, running) = listening(server).await;
    // 32 MB of answer, far more than the sockets hold.
    let body = json!({"sql": "SELECT repeat('x', 1000000) AS x FROM (VALUES (1),(2),(3),(4)) AS a(n) CROSS JOIN (VALUES (1),(2),(3),(4),(5),(6),(7),(8)) AS b(m)"}).to_string();
    let head = format!(
        "POST /v1/sql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        admin(),
        body.len()
    );
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 15];
    client.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    stop.send(()).unwrap();
    assert!(running.await.unwrap(), "the connection ended by itself");
}
