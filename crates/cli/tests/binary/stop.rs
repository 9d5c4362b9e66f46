//! Work stops when its caller has left: a connection that is closed is enough.

use std::io::Write;
use std::net::TcpStream;

use serde_json::{Value as Json, json};

use crate::ebbtide::{ENDLESS, Folder, Server, until};

const EVENTS: usize = 60_000;

/// Sends a question and does not wait for its answer.
fn asked(server: &Server, token: &str, path: &str, body: &Json) -> TcpStream {
    let address = server.url.strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).unwrap();
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
        Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).unwrap();
    connection.write_all(body.as_bytes()).unwrap();
    connection
}

#[test]
fn a_statement_whose_caller_closes_the_connection_is_killed() {
    let folder = Folder::with_shop();
    let server = Server::start(&folder, &["--app", "shop"]);
    let token = folder.token(&["--app", "shop", "--role", "admin"]);
    let connection = asked(&server, &token, "/v1/sql", &json!({"sql": ENDLESS}));
    until(|| server.number("ebbtide_sql_processes_running") == 1);
    drop(connection);
    until(|| server.number("ebbtide_sql_processes_running") == 0);
    assert_eq!(server.number("ebbtide_sql_processes_killed_total"), 1);
}

#[test]
fn a_behavioural_question_whose_caller_closes_the_connection_is_given_up() {
    let folder = Folder::new();
    let line = |at: usize| {
        let (actor, name) = (at % 10, ["view", "cart", "pay"][at % 3]);
        let (minute, second) = (at / 60 % 60, at % 60);
        format!("acme,{name},{actor},2026-03-01T{:02}:{minute:02}:{second:02}Z", at / 3_600)
    };
    let lines: Vec<String> = (0..EVENTS).map(line).collect();
    folder.write("events.csv", format!("tenant,event,actor,ts\n{}", lines.join("\n")).as_bytes());
    let import =
        folder.run(&["import", "--data", "data", "--app", "product", "--table", "events", "events.csv"]);
    assert_eq!(import.code, 0, "{import:?}");
    let server = Server::start(&folder, &["--app", "product"]);
    let token = folder.token(&["--app", "product", "--role", "admin"]);
    let step = |name: &str| json!({"event": name});
    // Each event may start a chain, and ten actors have them all.
    let steps: Vec<Json> = (0..20).map(|at| step(["view", "cart", "pay"][at % 3])).collect();
    let question = json!({"kind": "funnel", "order": "unordered", "steps": steps, "window": "365d",
        "from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z", "cache": false});
    let connection = asked(&server, &token, "/v1/query", &question);
    until(|| server.number("ebbtide_questions_running") == 1);
    drop(connection);
    until(|| server.number("ebbtide_questions_running") == 0);
    assert_eq!(server.number("ebbtide_questions_given_up_total"), 1);
}
