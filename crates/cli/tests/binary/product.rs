//! Files into the pack `product` through a server that runs.

use serde_json::json;

use crate::ebbtide::{Folder, Server, post};

#[test]
fn a_file_that_is_sent_twice_counts_once_with_event_ids_and_without() {
    let folder = Folder::new();
    let lines = [
        "tenant,event,actor,ts,event_id,props,url",
        "acme,view,1,2026-03-01T00:00:00Z,e1,\"{\"\"n\"\": 1}\",/a",
        // An honest repeat.
        "acme,view,1,2026-03-01T00:00:00Z,,\"{\"\"n\"\": 2}\",/a",
        "acme,view,1,2026-03-01T00:00:00Z,,\"{\"\"n\"\": 2}\",/a",
        "acme,view,2,2026-03-02T00:00:00Z,e1,,/b",
        "globex,view,2,2026-03-02T00:00:00Z,e1,,/b",
    ];
    folder.write("events.csv", lines.join("\n").as_bytes());
    let server = Server::start(&folder, &["--app", "product"]);
    let token = folder.token(&["--app", "product", "--role", "admin"]);
    let import = || {
        let place = ["--server", &server.url, "--token", &token];
        let run = folder.run(&[&["import", "--app", "product"], &place[..], &["events.csv"]].concat());
        assert_eq!(run.code, 0, "{run:?}");
        let counts = run.stdout.lines().find_map(|line| line.strip_prefix("events ")).unwrap();
        let counts: Vec<u64> =
            counts.split_whitespace().take(2).map(|count| count.parse().unwrap()).collect();
        (counts[0], counts[1])
    };
    assert_eq!((import(), import()), ((4, 1), (0, 5)));
    let statement =
        json!({"sql": "SELECT actor, props FROM events WHERE tenant = 'acme' ORDER BY event_id, actor"});
    let rows = post(&server.url, &token, "/v1/sql", &statement).unwrap()["rows"].clone();
    let row = |actor: &str, props: &str| json!({"actor": actor, "props": props});
    let repeat = r#"{"n":2,"url":"/a"}"#;
    assert_eq!(rows, json!([row("1", r#"{"n":1,"url":"/a"}"#), row("1", repeat), row("1", repeat)]));
    server.stop();
}
