//! `window_funnel` and `retention`.

use ebbtide_model::{ErrorKind, TableName, Value};
use ebbtide_store::Snapshot;
use serde_json::{Value as Json, json};
use std::sync::Arc;

use super::fixture::{app, ask, ask_with, at, batch, cells, request, shop_1, sql};

/// The level of rows written as letters with their second, such as `a0 b10`, by conditions that are one
/// letter each.
async fn check_level(rows: &str, conditions: &str, window: &str, modes: &str, want: i64) {
    let conditions: Vec<String> = conditions.chars().map(|letter| format!("e = '{letter}'")).collect();
    let statement = format!(
        "SELECT window_funnel({window}, '{modes}', ts, {}) AS level FROM ({}) AS t (e, ts)",
        conditions.join(", "),
        values(rows)
    );
    let answer = ask(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    assert_eq!(cells(&answer), json!([[want]]), "{rows} {window} {modes}");
}

fn values(rows: &str) -> String {
    let row = |row: &str| {
        let (letter, second) = row.split_at(1);
        format!("('{letter}', TIMESTAMP '2026-01-01' + INTERVAL '{second} seconds')")
    };
    let rows: Vec<String> = rows.split_whitespace().map(row).collect();
    format!("VALUES {}", rows.join(", "))
}

#[tokio::test]
async fn a_level_is_how_many_conditions_were_met_one_after_the_other() {
    check_level("a0 b1 c2", "ab", "10", "", 2).await;
    check_level("a0 x1 b2 c3", "abc", "10", "", 3).await;
    check_level("b0 a1", "ab", "10", "", 1).await;
    check_level("x0", "ab", "10", "", 0).await;
    // The window's end counts, and it begins anew at each first row.
    check_level("a0 b2 c3", "abc", "2", "", 2).await;
    check_level("a0 b2 c3", "abc", "3", "", 3).await;
    check_level("a0 a5 b6", "ab", "1", "", 2).await;
    check_level("a0 b1", "ab", "0.5", "", 1).await;
    check_level("a0 b1", "ab", "6048000000000000", "", 2).await;
    // Simultaneous rows are in the order of the conditions.
    check_level("a0 d1 c1 b1 e2", "abcde", "10", "", 5).await;
    check_level("a0 b1", "a", "10", "", 1).await;
}

#[tokio::test]
async fn modes_do_what_clickhouse_says_of_them() {
    check_level("a0 b1 c2 b3 d4", "abcd", "100", "strict_deduplication", 3).await;
    check_level("a0 b1 c2 b3 d4", "abcd", "100", "", 4).await;
    check_level("a0 b1 d2 c3", "abc", "100", "strict_order", 2).await;
    check_level("x0 a1 b2 c3", "abc", "100", "strict_order", 3).await;
    check_level("c0 a1 c2 b3 c4", "abc", "100", "strict_order", 1).await;
    check_level("c0 a1 c2 b3 c4", "abc", "100", "strict_order, allow_reentry", 3).await;
    check_level("a0 b0", "ab", "100", "strict_increase", 1).await;
    check_level("a0 b1", "ab", "100", "strict_increase", 2).await;
    check_level("a0", "aa", "100", "", 2).await;
    check_level("a0", "aa", "100", "strict_once", 1).await;
    check_level("a0 a0", "aa", "100", "strict_once", 2).await;
    let both = "strict_deduplication,strict_order";
    check_level("a1 b2 c3", "abc", "86400", both, 3).await;
    check_level("a1 d2 b3 c4", "abc", "86400", both, 1).await;
    check_level("a1 a2 b3 b4 c5 c6", "abc", "86400", both, 2).await;
    check_level("c1 c2 b3 b4 a5 a6", "abc", "86400", both, 1).await;
}

#[tokio::test]
async fn rows_without_a_time_and_conditions_that_are_null_do_not_count() {
    let check = async |expression: &str, rows: &str, want: Json| {
        let statement = format!("SELECT {expression} AS x FROM (VALUES {rows}) AS t (ts, a, b)");
        let answer = ask(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        assert_eq!(cells(&answer), json!([[want]]), "{statement}");
    };
    let funnel = "window_funnel(9, '', ts, a, b)";
    check(funnel, "(DATE '2026-01-01', true, NULL), (DATE '2026-01-01', NULL, true)", json!(2)).await;
    check(funnel, "(NULL, true, true), (DATE '2026-01-01', NULL, true)", json!(0)).await;
    check("retention(a, b)", "(DATE '2026-01-01', true, NULL)", json!([true, false])).await;
    check("retention(a, b)", "(DATE '2026-01-01', NULL, true)", json!([false, false])).await;
    let filtered = "window_funnel(9, '', ts, a, b) FILTER (WHERE ts > DATE '2026-01-01')";
    check(filtered, "(DATE '2026-01-01', true, true), (DATE '2026-01-02', true, false)", json!(1)).await;
    let windowed = "max(w) FROM (SELECT window_funnel(9, '', ts, a, b) OVER (ORDER BY ts) AS w";
    let statement =
        format!("SELECT {windowed} FROM (VALUES (DATE '2026-01-01', true, true)) AS t (ts, a, b)) AS u");
    assert_eq!(cells(&ask(&statement).await.unwrap()), json!([[2]]));
}

#[tokio::test]
async fn retention_pairs_each_condition_with_the_first() {
    let check = async |rows: &str, want: Json| {
        let statement = format!(
            "SELECT who, retention(day = 1, day = 2, day = 3) AS r FROM (VALUES {rows}) AS t (who, day) \
             GROUP BY who ORDER BY who"
        );
        assert_eq!(cells(&ask(&statement).await.unwrap()), want, "{rows}");
    };
    check(
        "('a', 1), ('a', 3), ('b', 2), ('b', 3)",
        json!([["a", [true, false, true]], ["b", [false, false, false]]]),
    )
    .await;
    // Whatever their order.
    check("('a', 3), ('a', 2), ('a', 1)", json!([["a", [true, true, true]]])).await;
    let nobody =
        ask("SELECT retention(true) AS r, window_funnel(1, '', now(), true) AS l FROM sales WHERE false");
    assert_eq!(cells(&nobody.await.unwrap()), json!([[[false], 0]]));
    let first = "SELECT sum(CASE WHEN r[1] THEN 1 ELSE 0 END) AS n FROM (SELECT retention(card = 1) AS r FROM sales GROUP BY card) AS t";
    assert_eq!(cells(&ask(first).await.unwrap()), json!([[1]]));
}

#[tokio::test]
async fn what_is_wrong_with_a_call_is_said() {
    let check = async |call: &str, says: &str| {
        let error = ask(&format!("SELECT {call} AS x FROM sales GROUP BY card")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{call}: {error}");
        assert!(error.to_string().contains(says), "{call}: {error}");
    };
    let many = vec!["true"; 33].join(", ");
    check("window_funnel(0, '', at, true)", "is 0; allowed is a number of seconds above 0").await;
    check("window_funnel(-5, '', at, true)", "is -5;").await;
    check("window_funnel(0.0000001, '', at, true)", "is 0.0000001;").await;
    check("window_funnel(NULL, '', at, true)", "is null;").await;
    check("window_funnel(id, '', at, true)", "differs from row to row").await;
    check("window_funnel('7d', '', at, true)", "argument 1 of window_funnel is of type").await;
    check("window_funnel(1, 'strict', at, true)", "did you mean \"strict_deduplication\"?").await;
    check(
        "window_funnel(1, 'strict_one', at, true)",
        "no mode \"strict_one\" (did you mean \"strict_once\"?); allowed are strict_once, strict_order",
    )
    .await;
    check("window_funnel(1, 'strict_once,', at, true)", "no mode \"\"").await;
    check("window_funnel(1, 'allow_reentry', at, true)", "only for strict_order").await;
    check("window_funnel(1, NULL, at, true)", "'' stands for none").await;
    check("window_funnel(1, 5, at, true)", "argument 2 of window_funnel is of type Int64").await;
    check("window_funnel(1, '', id, true)", "argument 3 of window_funnel is of type Int64").await;
    check("window_funnel(1, '', at, true, id)", "argument 5 of window_funnel is of type Int64").await;
    check("window_funnel(1, '', at)", "given 0 conditions; allowed are 1 to 32").await;
    check("window_funnel(1, '')", "given 2 arguments").await;
    check(&format!("window_funnel(1, '', at, {many})"), "given 33 conditions; allowed are 1 to 32").await;
    check("window_funnel(DISTINCT 1, '', at, true)", "takes no DISTINCT").await;
    check(&format!("retention({many})"), "retention is given 33 conditions").await;
    check("retention(id)", "argument 1 of retention is of type Int64").await;
}

#[tokio::test]
async fn windows_and_modes_may_be_parameters() {
    let mut asked = request("SELECT window_funnel($w, $m, at, card = 1, card = 2) AS l FROM sales");
    asked.params = vec![("w".to_owned(), Value::Int(9_999_999)), ("m".to_owned(), Value::Text("".into()))];
    let answer = ask_with(&sql(), &super::fixture::snapshot(), &shop_1(), asked).await.unwrap();
    assert_eq!(cells(&answer), json!([[2]]));
}

/// Sales of shop 1, each of a card at a second, in batches of some rows.
fn sales(rows: &[(i64, i64, f64)], batch_rows: usize) -> Snapshot {
    let app = app();
    let table = app.table(&TableName::new("sales")).unwrap();
    let row = |(id, (card, second, amount)): (usize, &(i64, i64, f64))| {
        let when = at("2024-01-01T00:00:00Z").micros() + second * 1_000_000;
        let cells = vec![
            Value::Int(id as i64),
            Value::Int(1),
            Value::Int(*card),
            Value::Float(*amount),
            Value::Null,
            Value::Timestamp(ebbtide_model::Instant::from_micros(when)),
        ];
        ("1", cells)
    };
    let rows: Vec<(&str, Vec<Value>)> = rows.iter().enumerate().map(row).collect();
    let batches = rows.chunks(batch_rows).map(|rows| batch(table, rows)).collect();
    Snapshot::of_batches(Arc::new(app.clone()), vec![(table.name.clone(), batches)]).unwrap()
}

#[tokio::test]
async fn an_answer_does_not_depend_on_how_rows_are_spread() {
    let sql = sql();
    let mut state = 88_172_645_463_325_252_u64;
    let mut below = |end: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % end) as i64
    };
    let statement = "SELECT card, window_funnel(6, 'strict_once', at, amount = 1, amount < 3, amount = 3) AS l, \
                     window_funnel(6, 'strict_order', at, amount = 1, amount = 2) AS o, \
                     retention(amount = 1, amount = 2) AS r FROM sales GROUP BY card ORDER BY card";
    let mut complete = 0;
    for _ in 0..20 {
        let mut rows: Vec<(i64, i64, f64)> =
            (0..40).map(|_| (below(6), below(20), [1.0, 2.0, 3.0, 4.0][below(4) as usize])).collect();
        let one = ask_with(&sql, &sales(&rows, 40), &shop_1(), request(statement)).await.unwrap();
        rows.reverse();
        let many = ask_with(&sql, &sales(&rows, 3), &shop_1(), request(statement)).await.unwrap();
        assert_eq!(one, many, "{rows:?}");
        complete += one.to_string().matches("\"l\":3").count();
    }
    assert!(complete > 20, "{complete}");
}
