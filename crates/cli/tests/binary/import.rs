//! `ebbtide import` and `ebbtide check` against the real binary: every row is accounted for, whatever
//! is wrong with the files, and what is wrong is told.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::sync::Arc;

use crate::ebbtide::{Folder, Run};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray};

const HEADER: &str = "id,shop_id,customer_id,cents,at\n";

/// Rows of orders, ids from..to.
fn orders(ids: std::ops::Range<u32>) -> String {
    ids.map(|id| format!("{id},1,{},100,2024-02-29T10:00:{:02}Z\n", id % 3, id % 60)).collect()
}

#[test]
fn a_folder_of_files_is_loaded_and_again_changes_nothing() {
    let folder = Folder::with_shop();
    folder.write("files/shops.csv", b"id,name\n1,First\n2,Second\n");
    folder.write("files/orders.csv", format!("{HEADER}{}", orders(0..1_000)).as_bytes());
    folder.write("files/README.txt", b"not data\n");
    let first = folder.import(&["files"]);
    assert_eq!(first.code, 0, "{first:?}");
    assert_eq!(first.counts("orders"), [1_000, 0, 0, 0]);
    assert_eq!(first.counts("shops"), [2, 0, 0, 0]);
    assert!(first.stderr.contains("README.txt is passed over"), "{first:?}");
    let again = folder.import(&["files"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(again.counts("orders"), [0, 1_000, 0, 0]);
    assert_eq!(again.counts("shops")[1], 2);
}

#[test]
fn rows_whose_parent_comes_with_a_later_file_wait_and_are_placed_then() {
    let folder = Folder::new();
    let pack = "
pack: shop
tables:
  shops: {kind: entity, key: id, tenant: id, columns: {id: int}}
  orders: {kind: entity, key: id, tenant: {parent: shops, by: shop_id}, columns: {id: int, shop_id: int}}
  lines: {kind: events, key: id, tenant: {parent: orders, by: order_id}, time: at, columns: {id: int, order_id: int, at: timestamp}}
";
    folder.write("shop/pack.yaml", pack.as_bytes());
    folder.write("lines.csv", b"id,order_id,at\n1,10,2026-01-01T00:00:00Z\n2,11,2026-01-02T00:00:00Z\n");
    folder.write("orders.csv", b"id,shop_id\n10,1\n");
    folder.write("shops.csv", b"id\n1\n");
    let lines = folder.import(&["lines.csv"]);
    assert_eq!((lines.code, lines.counts("lines")), (3, [0, 0, 2, 0]), "{lines:?}");
    assert_eq!(folder.import(&["lines.csv"]).counts("lines"), [0, 2, 0, 0], "they wait already");
    let rest = folder.import(&["orders.csv", "shops.csv"]);
    assert_eq!((rest.code, rest.counts("orders")), (0, [1, 0, 0, 0]), "parents come first: {rest:?}");
    let again = folder.import(&["lines.csv"]);
    assert_eq!(again.counts("lines"), [0, 2, 0, 0], "one is stored, one waits still: {again:?}");
}

/// Runs an import of one file that has rejected rows: `want` are `line column code` of each.
fn check_rejects(name: &str, bytes: &[u8], accepted: u64, want: &[&str]) -> Run {
    let folder = Folder::with_shop();
    folder.write(name, bytes);
    let run = folder.import(&[name]);
    let mut rejects = folder.rejects();
    rejects.sort_by_key(|reject| reject["line"].as_u64());
    let told: Vec<String> = rejects
        .iter()
        .map(|reject| {
            assert_eq!(reject["file"], name);
            assert!(!reject["reason"].as_str().unwrap().is_empty());
            format!(
                "{} {} {}",
                reject["line"],
                reject["column"].as_str().unwrap_or("-"),
                reject["code"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(told, want, "{run:?}");
    let rejected = u64::try_from(want.len()).unwrap();
    assert_eq!((run.code, run.counts("orders")), (3, [accepted, 0, 0, rejected]), "{run:?}");
    run
}

#[test]
fn a_bad_row_is_rejected_with_its_line_and_the_rest_loads() {
    let rows = orders(0..20);
    let wrong = format!("{HEADER}{}", rows.replacen("6,1,0,100", "6,1,0,ten", 1));
    let run = check_rejects("orders.csv", wrong.as_bytes(), 19, &["8 cents wrong_type"]);
    assert!(run.stdout.contains("orders.csv:8: cents: \"ten\" is no int"), "{run:?}");

    let mut broken = format!("{HEADER}{rows}").into_bytes();
    let row = broken.windows(4).position(|window| window == b"10,1").unwrap();
    broken[row] = 0xff;
    check_rejects("orders.csv", &broken, 19, &["12 - broken_utf8"]);

    let null = format!("{HEADER}1,1,1,,2024-02-29\n2,1,,5,2024-02-29\n3,,1,5,2024-02-29\n");
    check_rejects("orders.csv", null.as_bytes(), 1, &["3 customer_id null", "4 shop_id tenant_missing"]);

    let ndjson = b"{\"id\":1,\"shop_id\":1,\"customer_id\":1,\"at\":\"2024-02-29\"}\n{\"id\":\"2\"}\n{\"nothing\n{\"id\":3,\"shopid\":1}\n";
    check_rejects(
        "orders.ndjson",
        ndjson,
        1,
        &["2 id wrong_type", "3 - broken_json", "4 shopid unknown_column"],
    );
}

#[test]
fn a_line_of_300_megabytes_is_rejected_and_the_rest_loads() {
    let folder = Folder::with_shop();
    let mut file = File::create(folder.path("orders.csv")).unwrap();
    // The line is a hole in the file: it has its length, and takes no room.
    write!(file, "{HEADER}{}7,1,1,", orders(0..5)).unwrap();
    file.seek(SeekFrom::Current(300_000_000)).unwrap();
    write!(file, "\n{}", orders(10..15)).unwrap();
    drop(file);
    let run = folder.import(&["orders.csv"]);
    assert_eq!((run.code, run.counts("orders")), (3, [10, 0, 0, 1]), "{run:?}");
    assert_eq!(folder.rejects()[0]["line"], 7);
    assert_eq!(folder.rejects()[0]["code"], "record_too_long");
}

/// Runs an import that must fail with these words, and leave nothing behind.
fn check_failure(files: &[(&str, &[u8])], want: &[&str]) {
    let folder = Folder::with_shop();
    for (name, bytes) in files {
        folder.write(&format!("files/{name}"), bytes);
    }
    let run = folder.import(&["files"]);
    assert_eq!(run.code, 1, "{run:?}");
    for words in want {
        assert!(run.stderr.contains(words), "{words:?} is missing in {run:?}");
    }
    assert_eq!(run.stdout, "", "something was loaded");
}

#[test]
fn files_that_do_not_fit_are_told_before_anything_is_loaded() {
    let good: (&str, &[u8]) = ("shops.csv", b"id,name\n1,First\n");
    check_failure(
        &[good, ("orders.csv", b"id,shop_id,cents,at\n")],
        &["orders.csv: lacks the column customer_id, which table orders requires", "hint: "],
    );
    check_failure(
        &[good, ("orders.csv", b"id,shop_id,customer_id,cent,at\n")],
        &["no column \"cent\" (did you mean \"cents\"?)", "id, shop_id, customer_id, cents, note, at"],
    );
    check_failure(
        &[good, ("order.csv", b"id\n1\n")],
        &["there is no table \"order\" in app \"shop\"", "shops, orders", "--table"],
    );
    check_failure(&[good, ("orders.csv", b"")], &["orders.csv: is empty"]);
    check_failure(
        &[good, ("orders.parquet", b"PAR1 and then nothing")],
        &["orders.parquet: is damaged or no Parquet file"],
    );
    check_failure(&[good, ("orders.csv.gz", b"not packed\n")], &["orders.csv.gz: is not a whole gzip file"]);
    check_failure(&[("notes.txt", b"x")], &["there is no file to load", "hint: "]);
}

fn parquet() -> Vec<u8> {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..50_000));
    let ones: ArrayRef = Arc::new(Int64Array::from_iter_values((0..50_000).map(|_| 1)));
    let times: ArrayRef =
        Arc::new(TimestampMicrosecondArray::from_iter_values((0..50_000).map(|row| row * 1_000_003)));
    let columns = [("id", ids.clone()), ("shop_id", ones), ("customer_id", ids), ("at", times)];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn a_parquet_file_is_loaded_and_a_damaged_one_is_told() {
    let folder = Folder::with_shop();
    let mut bytes = parquet();
    folder.write("orders.parquet", &bytes);
    let run = folder.import(&["orders.parquet"]);
    assert_eq!((run.code, run.counts("orders")), (0, [50_000, 0, 0, 0]), "{run:?}");

    let cut = bytes.len() / 2;
    folder.write("orders.parquet", &bytes[..cut]);
    let run = folder.import(&["orders.parquet"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("orders.parquet: is damaged or no Parquet file"), "{run:?}");

    // The header of the first page: values themselves have no checksum in this format.
    bytes[4..40].fill(0xaa);
    folder.write("orders.parquet", &bytes);
    let run = folder.import(&["orders.parquet"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("orders.parquet: is damaged or no Parquet file"), "{run:?}");
}

#[test]
fn a_gzip_bomb_is_told_and_what_came_before_it_stands() {
    let folder = Folder::with_shop();
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    write!(bomb, "{HEADER}{}", orders(0..5)).unwrap();
    std::io::copy(&mut std::io::Read::take(std::io::repeat(b'0'), 128 << 20), &mut bomb).unwrap();
    folder.write("orders.csv.gz", &bomb.finish().unwrap());
    let run = folder.import(&["orders.csv.gz"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("orders.csv.gz: unpacks to more than 200 times its size"), "{run:?}");
    assert_eq!(run.counts("orders"), [5, 0, 0, 0]);
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    let folder = Folder::with_shop();
    folder.write("shops.csv", b"id,name\n1,First\n");
    folder.write("data/here", b"");
    let mut permissions = fs::metadata(folder.path("data")).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(folder.path("data"), permissions).unwrap();
    if File::create(folder.path("data/probe")).is_ok() {
        println!("skipped: this user may write to any folder");
        return;
    }
    let run = folder.import(&["shops.csv"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("hint: "), "{run:?}");
}

#[test]
fn wrong_usage_is_told_apart_from_failure() {
    let folder = Folder::with_shop();
    let check = |arguments: &[&str], code: i32, want: &str| {
        let run = folder.run(arguments);
        assert_eq!(run.code, code, "{run:?}");
        assert!(run.stderr.contains(want), "{want:?} is missing in {run:?}");
    };
    check(&["import"], 2, "--app");
    check(&["import", "--app", "shop", "files"], 2, "--data");
    check(&["import", "--app", "shop", "--server", "http://127.0.0.1:1", "files"], 2, "--token");
    check(&["import", "--data", "d", "--app", "shop", "no-such.csv"], 1, "no-such.csv");
    check(&["import", "--data", "d", "--app", "loyalti", "x.csv"], 1, "did you mean \"loyalty\"?");
    check(
        &["query", "--data", "nowhere", "--app", "shop", "{\"kind\": \"churn\"}"],
        1,
        "no data folder nowhere",
    );
    check(&["query", "--data", "nowhere", "--app", "shop", "churn"], 2, "is no JSON");
    check(&["verify", "--data", "nowhere"], 1, "no data folder nowhere");
    check(&["frobnicate"], 2, "frobnicate");
    check(&["--log", "[", "check", "shop"], 2, "--log");
    folder.write("shops.csv", b"id\n1\n");
    let server = ["import", "--app", "shop", "--token", "t", "shops.csv", "--server"];
    check(&[&server[..], &["http://127.0.0.1:1"]].concat(), 1, "does not answer");
    check(&[&server[..], &["https://example.com"]].concat(), 2, "plain http");
    check(&[&server[..], &["example.com"]].concat(), 2, "is no address");
}

#[test]
fn a_pack_is_checked_by_line_and_field() {
    let folder = Folder::with_shop();
    let sound = folder.run(&["check", "shop"]);
    assert_eq!(sound.code, 0, "{sound:?}");
    assert!(sound.stdout.contains("pack shop is sound"), "{sound:?}");
    assert_eq!(folder.run(&["check", "loyalty"]).code, 0);

    let cycle = r"
pack: ring
tables:
  a: {kind: entity, key: id, tenant: {parent: b, by: b_id}, columns: {id: int, b_id: int}}
  b: {kind: entity, key: id, tenant: {parent: a, by: a_id}, columns: {id: int, a_id: int}}
";
    folder.write("ring/pack.yaml", cycle.as_bytes());
    let run = folder.run(&["check", "ring"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stdout.contains("ring/pack.yaml:4: tables.a.tenant"), "{run:?}");
    let run = folder.run(&["import", "--data", "data", "--app", "ring", "a.csv"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(!folder.path("data").exists());
}

#[test]
fn every_command_explains_itself_with_examples() {
    let folder = Folder::new();
    let help = folder.run(&["--help"]);
    assert_eq!(help.code, 0);
    let commands: Vec<String> = help
        .stdout
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .filter(|command| command != "help")
        .collect();
    assert!(commands.len() >= 3, "{commands:?}");
    for command in commands {
        let run = folder.run(&[&command, "--help"]);
        assert!(run.code == 0 && run.stdout.contains("Example"), "{command}: {run:?}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(folder.run(&["completions", shell]).stdout.contains("import"), "{shell}");
    }
}

#[test]
fn files_of_every_format_into_the_product_pack_answer_alike_and_count_once() {
    let csv = "event,actor,ts,tenant,price,plan\nbuy,1,2026-01-01T10:00:00Z,t,2.5,pro\nbuy,2,2026-01-01T11:00:00Z,t,1,free\n\
               buy,2,2026-01-01T11:00:00Z,t,1,free\n";
    let ndjson = r#"{"event":"buy","actor":1,"ts":"2026-01-01T10:00:00Z","tenant":"t","props":{"price":2.5,"plan":"pro"}}
{"event":"buy","actor":2,"ts":"2026-01-01T11:00:00Z","tenant":"t","price":1,"plan":"free"}
{"event":"buy","actor":2,"ts":"2026-01-01T11:00:00Z","tenant":"t","price":1,"plan":"free"}
"#;
    let question = r#"{"kind": "trend", "entity": {"event": "buy"}, "interval": "all", "measure": ["total", "unique", "sum"],
        "prop": "price", "breakdown": {"prop": "plan"}, "as_of": "2026-02-01T00:00:00Z"}"#;
    let mut answers = Vec::new();
    for (name, text) in [("some.csv", csv), ("some.ndjson", ndjson)] {
        let folder = Folder::new();
        folder.write(name, text.as_bytes());
        let import = ["import", "--data", "data", "--app", "product", "--table", "events", name];
        assert_eq!(folder.run(&import).counts("events"), [3, 0, 0, 0]);
        assert_eq!(folder.run(&import).counts("events"), [0, 3, 0, 0]);
        let answer =
            folder.run(&["query", "--data", "data", "--app", "product", "--tenant", "t", "--json", question]);
        assert_eq!(answer.code, 0, "{answer:?}");
        let answer: serde_json::Value = serde_json::from_str(&answer.stdout).unwrap();
        answers.push(answer["result"].clone());
    }
    assert_eq!(answers[0], answers[1]);
    let groups = answers[0]["groups"].as_array().unwrap();
    let free = groups.iter().find(|group| group["value"] == "free").unwrap();
    assert_eq!(free["data"]["total"], serde_json::json!([2]), "{}", answers[0]);
    assert_eq!(free["data"]["sum"][0].as_f64(), Some(2.0), "{}", answers[0]);
}
