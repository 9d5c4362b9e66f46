//! `ebbtide query` and `ebbtide sql` over a data folder.

use serde_json::Value as Json;

use crate::ebbtide::Folder;

/// Three orders of two customers of shop 1, and one of shop 2.
fn filled() -> Folder {
    let folder = Folder::with_shop();
    let orders = b"id,shop_id,customer_id,cents,note,at\n\
        1,1,7,100,a,2026-03-01T10:00:00Z\n2,1,7,250,b,2026-03-02T10:00:00Z\n\
        3,1,8,,a,2026-03-02T11:00:00Z\n4,2,9,999,a,2026-03-02T12:00:00Z\n";
    folder.write("orders.csv", orders);
    let run = folder.run(&["import", "--data", "data", "--app", "shop", "orders.csv"]);
    assert_eq!(run.code, 0, "{run:?}");
    folder
}

#[test]
fn answers_are_drawn_for_people_and_json_for_machines() {
    let folder = filled();
    let asked = ["--data", "data", "--app", "shop", "--tenant", "1"];
    let run = |command: &str, more: &[&str]| {
        let run = folder.run(&[&[command][..], &asked, more].concat());
        assert_eq!(run.code, 0, "{run:?}");
        assert!(!run.stdout.contains('\u{1b}'), "no colours where there is no terminal: {run:?}");
        run.stdout
    };
    let trend = r#"{"kind": "trend", "from": "2026-03-01", "to": "2026-03-03"}"#;
    let drawn = run("query", &[trend]);
    assert!(drawn.starts_with("Trend by day\n\n  2026-03-01  ███"), "{drawn}");
    assert!(drawn.contains("█  2\n"), "{drawn}");
    let json: Json = serde_json::from_str(&run("query", &["--json", trend])).unwrap();
    assert_eq!(json["result"]["data"], serde_json::json!([1, 2]));

    let statement = "SELECT note, count(*) AS n, sum(cents) AS cents FROM orders GROUP BY note ORDER BY note";
    assert_eq!(
        run("sql", &[statement]),
        "  note  n  cents\n  a     2    100\n  b     1    250\n  (2 rows)\n"
    );
    let json: Json = serde_json::from_str(&run(
        "sql",
        &["--json", "--param", "least=200", "SELECT id FROM orders WHERE cents > $least"],
    ))
    .unwrap();
    assert_eq!(json["rows"], serde_json::json!([{"id": 2}]));
    let as_of = ["--as-of", "2026-03-01", "SELECT count(*) AS n FROM orders"];
    assert_eq!(run("sql", &as_of), "  n\n  1\n  (1 row)\n");
}

#[test]
fn a_statement_that_cannot_be_asked_says_why() {
    let folder = filled();
    let check = |more: &[&str], code: i32, says: &str| {
        let run = folder.run(&[&["sql", "--data", "data", "--app", "shop"][..], more].concat());
        assert_eq!(run.code, code, "{run:?}");
        assert!(run.stderr.contains(says), "{run:?}");
    };
    check(&["DELETE FROM orders"], 1, "DELETE is not allowed");
    check(&["SELECT nothing FROM orders"], 1, "there is no column");
    check(&["SELECT $x"], 1, "parameter $x is missing");
    check(&["--as-of", "soon", "SELECT 1"], 2, "soon");
    check(&["--param", "x", "SELECT $x"], 2, "NAME=VALUE");
}
