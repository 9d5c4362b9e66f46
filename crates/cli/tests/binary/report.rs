//! `ebbtide report`: the answer, and files of its lists.

use std::fs;

use crate::ebbtide::Folder;

const PACK: &str = r#"
pack: shop
tables:
  orders:
    kind: events
    key: id
    tenant: shop_id
    time: at
    columns: {id: int, shop_id: int, note: text?, at: timestamp}
reports:
  orders:
    routes: [{path: /orders}]
    response:
      count: {value: SELECT count(*) FROM orders}
      orders: {rows: "SELECT id, note, at FROM orders ORDER BY id"}
      notes: {rows: "SELECT note, count(*) AS n FROM orders GROUP BY note ORDER BY note"}
"#;

/// Two orders of shop 1.
fn filled() -> Folder {
    let folder = Folder::new();
    folder.write("shop/pack.yaml", PACK.as_bytes());
    folder
        .write("orders.csv", b"id,shop_id,note,at\n1,1,=1+1,2024-03-01\n2,1,,2024-03-02\n3,2,x,2024-03-02\n");
    let run = folder.run(&["import", "--data", "data", "--app", "shop", "orders.csv"]);
    assert_eq!(run.code, 0, "{run:?}");
    folder
}

fn report<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let asked = ["report", "--data", "data", "--app", "shop", "--tenant", "1", "orders"];
    [&asked[..], more].concat()
}

#[test]
fn a_list_is_printed_or_written() {
    let folder = filled();
    let csv = "id,note,at\r\n1,'=1+1,2024-03-01T00:00:00Z\r\n2,,2024-03-02T00:00:00Z\r\n";
    let printed = folder.run(&report(&["--format", "csv", "--table", "orders"]));
    assert_eq!((printed.code, printed.stdout.as_str()), (0, csv), "{printed:?}");
    for (format, begins) in
        [("csv", &b"id,note"[..]), ("xlsx", b"PK"), ("parquet", b"PAR1"), ("ndjson", b"{\"id\":1")]
    {
        let run = folder.run(&report(&["--format", format, "--table", "orders", "--output", "file"]));
        assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{run:?}");
        assert!(fs::read(folder.path("file")).unwrap().starts_with(begins), "{format}");
    }
    let json = folder.run(&report(&["-o", "file"]));
    assert_eq!(json.code, 0, "{json:?}");
    assert!(fs::read_to_string(folder.path("file")).unwrap().contains("\"count\": 2"));
    let whole = folder.run(&report(&["--format", "xlsx", "-o", "whole.xlsx"]));
    assert_eq!(whole.code, 0, "{whole:?}");
}

#[test]
fn what_cannot_be_written_leaves_no_file() {
    let folder = filled();
    let unnamed = folder.run(&report(&["--format", "parquet", "-o", "file"]));
    assert_eq!(unnamed.code, 2, "{unnamed:?}");
    assert!(unnamed.stderr.contains("orders, notes"), "{unnamed:?}");
    let nowhere = folder.run(&report(&["--format", "xlsx", "-o", "no/such/folder.xlsx"]));
    assert_eq!(nowhere.code, 1, "{nowhere:?}");
    assert!(nowhere.stderr.contains("no/such/folder.xlsx could not be written"), "{nowhere:?}");
    let names: Vec<String> = fs::read_dir(folder.path("."))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("file"))
        .collect();
    assert_eq!(names, Vec::<String>::new());
}

#[test]
fn a_tenant_of_whom_there_is_no_row_is_warned_of() {
    let folder = filled();
    let warned = |arguments: &[&str]| {
        let run = folder.run(arguments);
        assert_eq!(run.code, 0, "{run:?}");
        run.stderr.contains("no table has a row of this tenant")
    };
    for (tenant, is_unknown) in [("1", false), ("9", true)] {
        let of = ["--data", "data", "--app", "shop", "--tenant", tenant];
        assert_eq!(warned(&[&["report"][..], &of, &["orders"]].concat()), is_unknown, "{tenant}");
        assert_eq!(
            warned(&[&["sql"][..], &of, &["SELECT count(*) FROM orders"]].concat()),
            is_unknown,
            "{tenant}"
        );
    }
    assert!(!warned(&["sql", "--data", "data", "--app", "shop", "SELECT count(*) FROM orders"]));
}
