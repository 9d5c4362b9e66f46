//! Statements of callers, each in a process of its own: what it may do, and how it ends.

use std::fs;
use std::process::Command;
use std::thread;

use serde_json::{Value as Json, json};

use crate::ebbtide::{ENDLESS, Folder, Server, post, until};

/// A server of two shops' orders, some of them in a segment and some in memory.
fn shops(folder: &Folder, settings: &[(&str, &str)]) -> Server {
    let order = |id: u32, shop: u32, note: &str| json!({"id": id, "shop_id": shop, "customer_id": id % 5, "cents": id * 7 % 100, "note": note, "at": format!("2024-03-{:02}T10:00:00Z", 1 + id % 28)});
    let note = |shop: u32| if shop == 2 { "canary-of-shop-2" } else { "plain" };
    let rows = |ids: std::ops::Range<u32>| ids.map(|id| order(id, 1 + id % 2, note(1 + id % 2)));
    let lines: Vec<String> = rows(0..300).map(|row| row.to_string()).collect();
    folder.write("orders.ndjson", lines.join("\n").as_bytes());
    folder.write("shops.csv", b"id,name\n1,one\n2,canary-name\n");
    assert_eq!(folder.import(&["shops.csv", "orders.ndjson"]).code, 0);
    let server = serve(folder, settings);
    let admin = folder.token(&["--app", "shop", "--role", "admin"]);
    let more: Vec<Json> = rows(300..340).collect();
    let stored = post(&server.url, &admin, "/v1/tables/orders/rows", &json!(more)).unwrap();
    assert_eq!(stored["accepted"], 40, "{stored}");
    server
}

fn serve(folder: &Folder, settings: &[(&str, &str)]) -> Server {
    let mut command =
        folder.command(&["serve", "--data", "data", "--listen", "127.0.0.1:0", "--app", "shop"]);
    command.env("EBBTIDE_JWT_SECRET", crate::ebbtide::SECRET);
    command.envs(settings.iter().map(|(name, value)| (format!("EBBTIDE_SQL_{name}"), value)));
    Server::start_by(command)
}

fn ask(server: &Server, token: &str, statement: &str) -> Json {
    post(&server.url, token, "/v1/sql", &json!({"sql": statement})).unwrap()
}

fn shop_1(folder: &Folder) -> String {
    folder.token(&["--app", "shop", "--role", "analyst", "--tenant", "1"])
}

/// The processes of a server's statements.
fn processes(server: &Server) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(id) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        // `id (name) state parent …`, and a name may hold anything but is short.
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        let dead = status.lines().any(|line| line.starts_with("State:") && line.contains('Z'));
        if parent.and_then(|parent| parent.trim().parse().ok()) == Some(server.process.id()) && !dead {
            found.push(id);
        }
    }
    found
}

#[test]
fn a_statement_apart_answers_as_one_in_the_servers_own_process() {
    let (apart, here) = (Folder::with_shop(), Folder::with_shop());
    let apart_server = shops(&apart, &[]);
    let here_server = shops(&here, &[("PROCESS", "in-process")]);
    for statement in [
        "SELECT * FROM orders ORDER BY id",
        "SELECT count(*) AS n FROM orders",
        "SELECT 1 AS x WHERE false",
        "SELECT shop_id, customer_id, sum(cents) AS cents, max(at) AS last FROM orders GROUP BY 1, 2 ORDER BY 1, 2",
        "SELECT id FROM orders WHERE at >= '2024-03-05' AND at < '2024-03-07' ORDER BY id",
        "SELECT s.name, count(*) AS n FROM orders o JOIN shops s ON s.id = o.shop_id GROUP BY 1 ORDER BY 1",
        "SELECT a.id FROM orders a JOIN orders b ON a.id = b.customer_id AND a.cents > b.cents ORDER BY a.id LIMIT 7",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 9) SELECT n FROM r ORDER BY n",
        "SELECT id, row_number() OVER (PARTITION BY customer_id ORDER BY id) AS nth FROM orders ORDER BY id",
        "SELECT (SELECT max(id) FROM orders) AS id, bucket_label('month', $as_of) AS month",
        "SELECT array_agg(id ORDER BY id) AS ids, named_struct('a', 1) AS s FROM orders WHERE id < 9",
        "SELECT note FROM orders LIMIT 0",
        "SELECT x FROM orders",
        "SELECT id FROM nowhere",
        "SELECT 10 / (id - id) AS x FROM orders",
        "DELETE FROM orders",
        "SELECT 1; SELECT 2",
        "",
    ] {
        let asked = |folder: &Folder, server: &Server, claims: &[&str]| {
            let body = json!({"sql": statement, "as_of": "2024-03-20T12:00:00Z"});
            let mut answer = post(&server.url, &folder.token(claims), "/v1/sql", &body).unwrap();
            answer.as_object_mut().unwrap().remove("request_id");
            answer
        };
        for claims in [
            &["--app", "shop", "--role", "analyst", "--tenant", "1"][..],
            &["--app", "shop", "--role", "admin"],
        ] {
            assert_eq!(
                asked(&apart, &apart_server, claims),
                asked(&here, &here_server, claims),
                "{statement}"
            );
        }
    }
    assert!(apart_server.number("ebbtide_sql_processes_started_total") > 0);
    assert_eq!(here_server.number("ebbtide_sql_processes_started_total"), 0);
    assert_eq!(apart_server.number("ebbtide_sql_processes_fallen_total"), 0);
}

#[test]
fn a_statement_without_end_is_killed_when_its_time_is_up() {
    let folder = Folder::with_shop();
    let server = shops(&folder, &[("TIME_MAX", "1s")]);
    let token = shop_1(&folder);
    for statement in
        [ENDLESS, "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n FROM r) SELECT max(n) FROM r"]
    {
        let killed = server.number("ebbtide_sql_processes_killed_total");
        let answer = ask(&server, &token, statement);
        assert_eq!((&answer["code"], &answer["status"]), (&json!("timeout"), &json!(504)), "{answer}");
        until(|| server.number("ebbtide_sql_processes_running") == 0);
        assert_eq!(server.number("ebbtide_sql_processes_killed_total"), killed + 1);
    }
    assert_eq!(ask(&server, &token, "SELECT 1 AS x")["rows"], json!([{"x": 1}]));
}

#[test]
fn a_statement_that_takes_too_much_memory_ends_alone() {
    let folder = Folder::with_shop();
    let server = shops(&folder, &[("PROCESS_MEMORY_BYTES_MAX", "32MiB"), ("TIME_MAX", "50s")]);
    let token = shop_1(&folder);
    for statement in [
        "SELECT array_agg(a.value) AS all FROM generate_series(1, 100000) a, generate_series(1, 100000) b",
        "SELECT repeat('x', 60000000) || repeat('y', 60000000) AS x",
        "SELECT length(string_agg(repeat('x', 10000), '')) AS n FROM generate_series(1, 100000)",
    ] {
        let answer = ask(&server, &token, statement);
        assert_eq!((&answer["code"], &answer["status"]), (&json!("too_large"), &json!(413)), "{answer}");
        assert!(answer["detail"].as_str().unwrap().contains("memory"), "{statement}: {answer}");
    }
    assert_eq!(ask(&server, &token, "SELECT 1 AS x")["rows"], json!([{"x": 1}]));
}

#[test]
fn a_statement_of_any_depth_is_refused_or_ends_alone() {
    let folder = Folder::with_shop();
    let server = shops(&folder, &[]);
    let token = shop_1(&folder);
    for statement in [
        format!("SELECT 1{} AS x", "+1".repeat(100_000)),
        format!("SELECT {}1{} AS x", "(".repeat(100_000), ")".repeat(100_000)),
        format!("SELECT {}true AS x", "NOT ".repeat(1_400)),
        format!("SELECT 1{} AS x", "::bigint".repeat(700)),
        format!("SELECT {}1{} AS x", "CASE WHEN true THEN ".repeat(290), " END".repeat(290)),
    ] {
        let answer = ask(&server, &token, &statement);
        let refused = [json!("too_large"), json!("sql_invalid"), json!("sql_fell")].contains(&answer["code"]);
        assert!(refused || answer["rows"].is_array(), "{answer}");
    }
    assert_eq!(ask(&server, &token, "SELECT 1 AS x")["rows"], json!([{"x": 1}]));
}

#[test]
fn a_statement_sees_its_own_tenant_alone_and_no_secret() {
    let folder = Folder::with_shop();
    let server = shops(&folder, &[]);
    let token = shop_1(&folder);
    for statement in [
        "SELECT * FROM orders",
        "SELECT * FROM shops",
        "SELECT count(*) AS n FROM orders WHERE shop_id = 2 OR note LIKE 'canary%'",
        "SELECT o.note, s.name FROM shops s FULL JOIN orders o ON true",
        "SELECT min(note) AS low, max(note) AS high, array_agg(DISTINCT shop_id) AS shops FROM orders",
        "SELECT * FROM orders WHERE note = 'canary-of-shop-2' OR shop_id + 0 = 2 OR at > '1970-01-01'",
    ] {
        let answer = ask(&server, &token, statement);
        assert!(answer["rows"].is_array(), "{answer}");
        let text = answer["rows"].to_string();
        assert!(!text.contains("canary") && !text.contains("\"shop_id\":2"), "{statement}: {text}");
    }
    until(|| !processes(&server).is_empty());
    for process in processes(&server) {
        let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment).into_owned();
        assert!(!environment.contains("EBBTIDE") && !environment.contains("PATH="), "{environment}");
        let command = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&command).contains(crate::ebbtide::SECRET));
    }
}

#[test]
fn processes_end_with_the_server_however_it_ends() {
    let folder = Folder::with_shop();
    let mut server = shops(&folder, &[]);
    let (url, token) = (server.url.clone(), shop_1(&folder));
    let asking = thread::spawn(move || post(&url, &token, "/v1/sql", &json!({"sql": ENDLESS})));
    until(|| server.number("ebbtide_sql_processes_running") == 1);
    let before = processes(&server);
    assert!(!before.is_empty());
    server.process.kill().unwrap();
    server.process.wait().unwrap();
    assert_eq!(asking.join().unwrap(), None);
    let is_there = |id: &u32| {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        status.contains("ebbtide") && !status.contains("State:\tZ")
    };
    until(|| !before.iter().any(is_there));
}

#[test]
fn a_server_that_stops_leaves_no_process_and_no_folder_of_one() {
    let folder = Folder::with_shop();
    let server = shops(&folder, &[("PROCESS_SPARE", "2")]);
    let token = shop_1(&folder);
    assert_eq!(ask(&server, &token, "SELECT 1 AS x")["rows"], json!([{"x": 1}]));
    until(|| processes(&server).len() == 2);
    server.stop();
    let left: Vec<_> =
        fs::read_dir(folder.path("data/tmp")).unwrap().flatten().map(|file| file.path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn further_statements_wait_their_turn_and_are_told_to_come_again() {
    let folder = Folder::with_shop();
    let server = shops(&folder, &[("PROCESS_CONCURRENT_MAX", "1"), ("WAIT_MAX", "100ms")]);
    let (url, token) = (server.url.clone(), shop_1(&folder));
    let (first_url, first_token) = (url.clone(), token.clone());
    let first = thread::spawn(move || post(&first_url, &first_token, "/v1/sql", &json!({"sql": ENDLESS})));
    until(|| server.number("ebbtide_sql_processes_running") == 1);
    let second = ask(&server, &token, "SELECT 1 AS x");
    assert_eq!((&second["code"], &second["status"]), (&json!("overloaded"), &json!(503)), "{second}");
    drop(server);
    assert_eq!(first.join().unwrap(), None);
}

#[test]
fn the_command_asks_in_a_process_of_its_own_too() {
    let folder = Folder::with_shop();
    folder.write("shops.csv", b"id,name\n1,one\n2,two\n");
    assert_eq!(folder.import(&["shops.csv"]).code, 0);
    let run =
        folder.run(&["sql", "--data", "data", "--app", "shop", "--json", "SELECT id FROM shops ORDER BY id"]);
    assert_eq!((run.code, run.stdout.contains("[{\"id\":1},{\"id\":2}]")), (0, true), "{run:?}");
    let refused = folder.run(&["sql", "--data", "data", "--app", "shop", "SELECT idd FROM shops"]);
    assert!(refused.code == 1 && refused.stderr.contains("did you mean \"id\""), "{refused:?}");
}

#[test]
fn what_a_process_is_sent_that_it_does_not_expect_ends_it() {
    let folder = Folder::new();
    let task = r#"{"threads":1,"partitions":1,"memory_bytes_max":33554432,"spill":null}"#;
    for input in [&b""[..], b"no message", &[0; 16], &[255; 16]] {
        folder.write("input", input);
        let file = fs::File::open(folder.path("input")).unwrap();
        let status =
            Command::new(env!("CARGO_BIN_EXE_ebbtide")).args(["sql-process", task]).stdin(file).output();
        assert!(status.unwrap().status.success());
    }
}
