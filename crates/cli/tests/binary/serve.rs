//! A data folder that is served: what others may do with it meanwhile, and what the server refuses.

use std::fs;
use std::process::Command;

use serde_json::{Value as Json, json};

use crate::ebbtide::{Folder, Server, post, shared};

const ORDERS: &str = "id,shop_id,customer_id,cents,at\n1,1,7,100,2024-02-29T10:00:00Z\n2,1,8,50,2024-03-01\n3,2,7,9,2024-03-01\n";

#[test]
fn a_folder_is_held_by_one_process() {
    let folder = Folder::with_shop();
    folder.write("orders.csv", ORDERS.as_bytes());
    assert_eq!(folder.import(&["orders.csv"]).code, 0);
    let server = Server::start(&folder, &["--app", "shop"]);
    let second = ["serve", "--data", "data", "--app", "shop", "--listen", "127.0.0.1:0"];
    let query = ["query", "--data", "data", "--app", "shop", "{\"kind\": \"churn\"}"];
    let verify = ["verify", "--data", "data"];
    let import = ["import", "--data", "data", "--app", "shop", "orders.csv"];
    for arguments in [&second[..], &query, &verify, &import] {
        let run = folder.run(arguments);
        assert_eq!(run.code, 1, "{run:?}");
        assert_eq!(run.stdout, "", "{run:?}");
        let holder = format!("is in use by process {}", server.process.id());
        assert!(run.stderr.contains(&holder) && run.stderr.contains("--server"), "{run:?}");
    }
    server.stop();
    assert_eq!(folder.run(&verify).code, 0);
}

#[test]
fn rows_go_into_a_running_server_and_again_change_nothing() {
    let folder = Folder::with_shop();
    folder.write("orders.csv", format!("{ORDERS}x,1,1,1,2024-03-01\n4,1,,1,2024-03-01\n").as_bytes());
    let server = Server::start(&folder, &["--app", "shop"]);
    let token = folder.token(&["--app", "shop", "--role", "writer"]);
    let import = |token: &str| {
        let arguments = ["import", "--server", &server.url, "--token", token, "--app", "shop"];
        folder.run(&[&arguments[..], &["--rejects", "rejects.ndjson", "orders.csv"]].concat())
    };
    let run = import(&token);
    assert_eq!((run.code, run.counts("orders")), (3, [3, 0, 0, 2]), "{run:?}");
    let lines: Vec<Json> = folder.rejects().iter().map(|reject| reject["line"].clone()).collect();
    assert_eq!(lines, [5, 6]);
    assert_eq!(import(&token).counts("orders"), [0, 3, 0, 2]);
    let run = import("no.token.atall");
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("401"), "{run:?}");
    let query = ["query", "--server", &server.url, "--token"];
    let admin = folder.token(&["--app", "shop", "--role", "admin"]);
    let run = folder
        .run(&[&query[..], &[&admin, "--json", "{\"kind\": \"churn\", \"as_of\": \"2024-03-02\"}"]].concat());
    assert_eq!(run.code, 0, "{run:?}");
    let answer: Json = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(answer["result"]["total"], 3);
}

#[test]
fn honest_repeats_are_counted_through_a_server_too() {
    let Some(file) = shared("data/cdnow/CDNOW_master.txt") else {
        return;
    };
    let pack = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/cdnow");
    let folder = Folder::new();
    let server = Server::start(&folder, &["--app", pack]);
    let token = folder.token(&["--app", "cdnow", "--role", "admin"]);
    let arguments =
        ["import", "--server", &server.url, "--token", &token, "--app", pack, file.to_str().unwrap()];
    assert_eq!(folder.run(&arguments).counts("purchases"), [69_659, 0, 0, 0]);
    assert_eq!(folder.run(&arguments).counts("purchases"), [0, 69_659, 0, 0]);
    server.stop();
    // A folder counts them the same way.
    let run = folder.run(&["import", "--data", "data", "--app", pack, file.to_str().unwrap()]);
    assert_eq!(run.counts("purchases"), [0, 69_659, 0, 0], "{run:?}");
}

#[test]
fn sql_that_writes_or_reads_a_file_is_refused_and_nothing_is_harmed() {
    let folder = Folder::with_shop();
    folder.write("orders.csv", ORDERS.as_bytes());
    assert_eq!(folder.import(&["orders.csv"]).code, 0);
    let server = Server::start(&folder, &["--app", "shop"]);
    let token = folder.token(&["--app", "shop", "--role", "admin"]);
    let ask = |sql: &str| post(&server.url, &token, "/v1/sql", &json!({"sql": sql})).unwrap();
    for sql in [
        "INSERT INTO orders VALUES (9, 1, 1, 1, NULL, now())",
        "DELETE FROM orders",
        "UPDATE orders SET cents = 0",
        "DROP TABLE orders",
        "CREATE TABLE mine AS SELECT 1",
        "CREATE EXTERNAL TABLE mine STORED AS CSV LOCATION '/etc/passwd'",
        "COPY orders TO '/tmp/ebbtide-orders.csv'",
        "COPY (SELECT 1) TO 'out.parquet'",
        "SELECT * FROM '/etc/passwd'",
        "SET datafusion.execution.batch_size = 1",
        "SELECT 1; SELECT 2",
    ] {
        let answer = ask(sql);
        assert_eq!(answer["status"], 422, "{sql}: {answer}");
        assert!(answer["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{sql}: {answer}");
    }
    assert_eq!(
        ask("SELECT count(*) AS n, sum(cents) AS cents FROM orders")["rows"],
        json!([{"n": 3, "cents": 159}])
    );
    assert!(!folder.path("out.parquet").exists());
    let other = folder.token(&["--app", "loyalty", "--role", "admin"]);
    assert_eq!(post(&server.url, &other, "/v1/sql", &json!({"sql": "SELECT 1"})).unwrap()["status"], 401);
}

#[test]
fn damage_is_told_by_file_and_offset() {
    let folder = Folder::with_shop();
    folder.write("orders.csv", ORDERS.as_bytes());
    assert_eq!(folder.import(&["orders.csv"]).code, 0);
    let segments = fs::read_dir(folder.path("data/segments")).unwrap().map(|entry| entry.unwrap().path());
    let segment = segments.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let run = folder.run(&["verify", "--data", "data"]);
    assert_eq!(run.code, 1, "{run:?}");
    let name = segment.file_name().unwrap().to_str().unwrap();
    assert!(run.stdout.contains(name) && run.stdout.contains("byte"), "{run:?}");
    let run = folder.run(&["verify", "--data", "data", "--repair"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stdout.contains(name) && run.stderr.contains("backup"), "{run:?}");
}

#[test]
fn a_damaged_spine_is_taken_away_by_a_repair_and_made_again() {
    let folder = Folder::new();
    let event = json!({"tenant": "1", "event": "a", "actor": "x", "ts": "2026-01-01T00:00:00Z"});
    folder.write("events.ndjson", format!("{event}\n").as_bytes());
    let import = ["import", "--data", "data", "--app", "product", "--table", "events", "events.ndjson"];
    assert_eq!(folder.run(&import).code, 0);
    let segments = fs::read_dir(folder.path("data/segments")).unwrap().map(|entry| entry.unwrap().path());
    let spine = segments.into_iter().find(|path| path.extension().is_some_and(|end| end == "spine")).unwrap();
    let mut bytes = fs::read(&spine).unwrap();
    bytes[0] ^= 1;
    fs::write(&spine, bytes).unwrap();
    let run = folder.run(&["verify", "--data", "data"]);
    assert!(run.code == 1 && run.stderr.contains("--repair"), "{run:?}");
    let run = folder.run(&["verify", "--data", "data", "--repair"]);
    assert!(run.code == 0 && run.stdout.contains("serve makes it again"), "{run:?}");
    let run = folder.run(&["verify", "--data", "data"]);
    assert!(run.code == 0 && run.stdout.contains("0 with a spine"), "{run:?}");
}

#[test]
fn a_data_folder_that_is_not_there_is_told_and_not_made() {
    let folder = Folder::new();
    let run = folder.run(&["verify", "--data", "nowhere"]);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{run:?}");
    assert!(run.stderr.contains("there is no data folder nowhere"), "{run:?}");
    assert!(!folder.path("nowhere").exists());
}

/// A file system of its own for `data/`, gone with the test.
struct SmallDisk<'f> {
    folder: &'f Folder,
}

impl<'f> SmallDisk<'f> {
    /// `None` where this user may not mount.
    fn mount(folder: &'f Folder, size: &str) -> Option<Self> {
        fs::create_dir_all(folder.path("data")).unwrap();
        let arguments = ["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"];
        let mounted = Command::new("mount").args(arguments).arg(folder.path("data")).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self { folder })
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        _ = Command::new("umount").arg(self.folder.path("data")).status();
    }
}

#[test]
fn a_full_disk_is_told_and_what_was_stored_before_is_unharmed() {
    let folder = Folder::with_shop();
    let Some(disk) = SmallDisk::mount(&folder, "2m") else {
        println!("skipped: this user may not mount a small disk; the store's own tests fill a simulated one");
        return;
    };
    folder.write("orders.csv", ORDERS.as_bytes());
    assert_eq!(folder.import(&["orders.csv"]).code, 0);
    let rows = (10..400_000_i64)
        .map(|id| format!("{id},1,{},{},2024-02-29T10:00:00Z\n", id * 7919 % 100_003, id * 31 % 977));
    let large = format!("id,shop_id,customer_id,cents,at\n{}", rows.collect::<String>());
    folder.write("large/orders.csv", large.as_bytes());
    let run = folder.import(&["large/orders.csv"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("No space left on device") || run.stderr.contains("full"), "{run:?}");
    assert!(run.stderr.contains("hint: "), "{run:?}");
    let again = folder.import(&["orders.csv"]);
    assert_eq!((again.code, again.counts("orders")), (0, [0, 3, 0, 0]), "{again:?}");
    drop(disk);
}
