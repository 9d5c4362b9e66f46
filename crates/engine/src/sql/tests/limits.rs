//! A statement that asks too much ends, and hurts nobody.

use std::time::Duration;

use ebbtide_model::ErrorKind;
use serde_json::json;

use super::fixture::{ask, ask_with, cells, request, shop_1, snapshot, sql};
use crate::EngineError;
use crate::sql::{Limits, Sql, SqlError, SqlRequest, SqlSettings};

const SERIES: &str = "generate_series(1, 100000)";

#[tokio::test]
async fn an_answer_with_too_many_rows_is_an_error_and_not_cut() {
    let limits = Limits { rows_max: 10, ..request("").limits };
    let check = async |rows: usize| {
        let statement = format!("SELECT a.value AS a, b.value AS b FROM {SERIES} a, {SERIES} b LIMIT {rows}");
        ask_with(&sql(), &snapshot(), &shop_1(), SqlRequest { limits, ..request(&statement) }).await
    };
    assert_eq!(check(10).await.unwrap().as_array().unwrap().len(), 10);
    let error = check(1_000_000).await.unwrap_err();
    assert!(matches!(error, EngineError::Sql(SqlError::TooManyRows { allowed: 10 })), "{error}");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[tokio::test]
async fn an_answer_of_too_many_bytes_is_an_error() {
    let limits = Limits { bytes_max: 1_000, ..request("").limits };
    let request = SqlRequest { limits, ..request(&format!("SELECT value FROM {SERIES} LIMIT 5000")) };
    let error = ask_with(&sql(), &snapshot(), &shop_1(), request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
}

#[tokio::test]
async fn memory_runs_out_with_an_error_that_names_no_other_query() {
    let sql = Sql::new(&SqlSettings { memory_bytes_max: 1 << 20, ..SqlSettings::default() }).unwrap();
    let limits = Limits { rows_max: 10_000_000, bytes_max: 1 << 30, ..request("").limits };
    for statement in [
        format!("SELECT value, count(*) AS n FROM {SERIES} GROUP BY value"),
        format!("SELECT array_agg(value) AS l FROM {SERIES}"),
        format!("SELECT a.value FROM {SERIES} a JOIN {SERIES} b ON a.value = b.value"),
        format!("SELECT value, 'a text of some length that adds up' AS t FROM {SERIES}"),
    ] {
        let request = SqlRequest { limits, ..request(&statement) };
        let error = ask_with(&sql, &snapshot(), &shop_1(), request).await.unwrap_err();
        assert!(matches!(error, EngineError::Sql(SqlError::OutOfMemory)), "{statement}: {error:?}");
        assert!(!error.to_string().contains("Consumer"), "{error}");
    }
    let again = ask_with(&sql, &snapshot(), &shop_1(), request("SELECT 1 AS x")).await.unwrap();
    assert_eq!(cells(&again), json!([[1]]));
}

#[tokio::test]
async fn a_function_makes_no_value_past_its_bound() {
    for expression in [
        "repeat('x', 2000000000)",
        "repeat(repeat('x', 1000000), 1000000)",
        "lpad('x', 2000000000)",
        "rpad('x', 2000000000, 'y')",
        "replace(repeat('a', 1000000), 'a', repeat('b', 1000000))",
        "array_repeat(1, 1000000000)",
        "array_resize(make_array(1), 1000000000, 0)",
        "range(1000000000)",
        "generate_series(0, 9000000000000000000, 1)",
    ] {
        let error = ask(&format!("SELECT {expression} AS x")).await.unwrap_err();
        assert!(matches!(error, EngineError::Sql(SqlError::ValueTooLarge { .. })), "{expression}: {error:?}");
    }
    let rows = ask("SELECT repeat(name, 1000000000) AS x FROM cards").await.unwrap_err();
    assert_eq!(rows.kind(), ErrorKind::TooLarge, "{rows:?}");
    let small = "SELECT repeat('ab', 2) AS r, lpad('7', 3, '0') AS l, replace('aXa', 'X', '-') AS p, \
                 range(3) AS n, array_repeat('x', 2) AS a";
    assert_eq!(cells(&ask(small).await.unwrap()), json!([["abab", "007", "a-a", [0, 1, 2], ["x", "x"]]]));
}

#[tokio::test]
async fn a_statement_past_its_time_is_stopped_and_the_next_one_runs() {
    let sql = Sql::new(&SqlSettings { concurrent_max: 1, threads: 1, ..SqlSettings::default() }).unwrap();
    let limits = Limits { time_max: Duration::from_millis(50), ..request("").limits };
    let endless = format!("SELECT count(*) FROM {SERIES} a, {SERIES} b, {SERIES} c");
    let request_endless = SqlRequest { limits, ..request(&endless) };
    let error = ask_with(&sql, &snapshot(), &shop_1(), request_endless).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    // There is one turn: it is given back only when the one before has stopped.
    let again = ask_with(&sql, &snapshot(), &shop_1(), request("SELECT 1 AS x")).await.unwrap();
    assert_eq!(cells(&again), json!([[1]]));
}

#[tokio::test]
async fn a_statement_that_gets_no_turn_in_its_time_is_told_to_come_again() {
    let sql = Sql::new(&SqlSettings { concurrent_max: 1, ..SqlSettings::default() }).unwrap();
    let (snapshot, scope) = (snapshot(), shop_1());
    let endless = format!("SELECT count(*) FROM {SERIES} a, {SERIES} b, {SERIES} c");
    let mut first = Box::pin(sql.run(&snapshot, &scope, request(&endless)));
    assert!(futures::poll!(&mut first).is_pending());
    let limits = Limits { time_max: Duration::from_millis(10), ..request("").limits };
    let second = SqlRequest { limits, ..request("SELECT 1 AS x") };
    let error = ask_with(&sql, &snapshot, &scope, second).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn a_statement_whose_caller_leaves_gives_its_turn_back() {
    let sql = Sql::new(&SqlSettings { concurrent_max: 1, ..SqlSettings::default() }).unwrap();
    let endless = format!("SELECT count(*) FROM {SERIES} a, {SERIES} b, {SERIES} c");
    {
        let snapshot = snapshot();
        let scope = shop_1();
        let mut left = Box::pin(sql.run(&snapshot, &scope, request(&endless)));
        assert!(futures::poll!(&mut left).is_pending());
    }
    let again = ask_with(&sql, &snapshot(), &shop_1(), request("SELECT 1 AS x")).await.unwrap();
    assert_eq!(cells(&again), json!([[1]]));
}

#[tokio::test]
async fn a_recursive_query_without_end_is_ended_by_its_limits() {
    let sql = sql();
    let limits = Limits { time_max: Duration::from_millis(500), ..request("").limits };
    let statement = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r";
    let request = SqlRequest { limits, ..request(statement) };
    let error = ask_with(&sql, &snapshot(), &shop_1(), request).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::TooLarge), "{error}");
}

#[tokio::test]
async fn a_statement_that_is_too_long_is_refused_before_it_is_parsed() {
    let check = async |statement: String| {
        let error = ask(&statement).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    };
    check(format!("SELECT '{}' AS x", "x".repeat(70_000))).await;
    check(format!("SELECT 1{} AS x", "+1".repeat(10_000))).await;
}

#[tokio::test]
async fn deep_statements_are_answered_or_refused_but_never_fatal() {
    let nested = |open: &str, close: &str, times: usize| {
        format!("SELECT {}1{} AS x", open.repeat(times), close.repeat(times))
    };
    for statement in [
        nested("(", ")", 700),
        nested("abs(", ")", 480),
        nested("(SELECT ", ")", 480),
        nested("- ", "", 1_400),
        nested("CASE WHEN true THEN ", " END", 290),
        nested("make_array(", ")", 480),
        format!("SELECT 1{} AS x", "::bigint".repeat(700)),
        format!("SELECT 1{} AS x", " IS NULL".repeat(700)),
        format!("SELECT 'x'{} AS x", " || 'x'".repeat(1_400)),
        format!("SELECT make_array(1){} AS x", "[1]".repeat(400)),
        format!("SELECT {}true AS x", "NOT ".repeat(1_400)),
        format!("{} SELECT 1 AS x", "SELECT 1 AS x UNION ALL ".repeat(280)),
        format!("{}SELECT 1 AS x{}", "SELECT * FROM (".repeat(200), ") AS t".repeat(200)),
    ] {
        if let Err(error) = ask(&statement).await {
            assert!(matches!(error.kind(), ErrorKind::Invalid | ErrorKind::TooLarge), "{error:?}");
        }
    }
}

#[tokio::test]
async fn long_chains_within_the_limit_are_answered() {
    let check = async |statement: String, want: serde_json::Value| {
        let answer = ask(&statement).await.unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(cells(&answer), want);
    };
    check(format!("SELECT 1{} AS x", "+1".repeat(1_490)), json!([[1_491]])).await;
    check(format!("SELECT count(*) FROM sales WHERE id = 1{}", " OR id = 100".repeat(200)), json!([[1]]))
        .await;
    check(format!("SELECT count(*) FROM sales WHERE id > 0{}", " AND card < 9".repeat(200)), json!([[3]]))
        .await;
    check(format!("SELECT id FROM sales WHERE id IN (1{})", ",100".repeat(2_900)), json!([[100]])).await;
}

#[tokio::test]
async fn a_stream_has_no_end_but_its_rows() {
    let sql = sql();
    let statement = format!("SELECT a.value AS n FROM {SERIES} a, generate_series(1, 10) b");
    let limits = Limits { rows_max: 1, bytes_max: 1, ..request("").limits };
    let asked = SqlRequest { limits, ..request(&statement) };
    let mut stream = sql.stream(&snapshot(), &shop_1(), asked).await.unwrap();
    assert_eq!(stream.columns[0].type_name, "int");
    let mut rows = 0;
    while let Some(batch) = stream.next().await.unwrap() {
        rows += batch.num_rows();
    }
    assert_eq!(rows, 1_000_000);
    assert!(stream.next().await.unwrap().is_none(), "the end stays the end");
}

#[tokio::test]
async fn a_stream_sees_the_rows_of_its_scope_and_tells_its_errors() {
    let sql = sql();
    let mut own =
        sql.stream(&snapshot(), &shop_1(), request("SELECT count(*) AS n FROM sales")).await.unwrap();
    let whole = ask("SELECT count(*) AS n FROM sales").await.unwrap();
    let batch = own.next().await.unwrap().unwrap();
    assert_eq!(json!(crate::sql::batch_to_json(&own.columns, &batch).unwrap()), whole);
    let refused = sql.stream(&snapshot(), &shop_1(), request("SELECT x FROM nowhere")).await.unwrap_err();
    assert!(matches!(refused, EngineError::Sql(SqlError::UnknownTable { .. })), "{refused}");
    let late = request("SELECT 10 / (value - 1) AS x FROM generate_series(1, 3)");
    let mut late = sql.stream(&snapshot(), &shop_1(), late).await.unwrap();
    assert_eq!(late.next().await.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn who_drops_a_stream_gives_its_turn_back() {
    let sql = Sql::new(&SqlSettings { concurrent_max: 1, ..SqlSettings::default() }).unwrap();
    let statement = format!("SELECT a.value FROM {SERIES} a, {SERIES} b");
    for _ in 0..3 {
        let mut stream = sql.stream(&snapshot(), &shop_1(), request(&statement)).await.unwrap();
        assert!(stream.next().await.unwrap().is_some());
    }
    let after = ask_with(&sql, &snapshot(), &shop_1(), request("SELECT 1 AS x")).await.unwrap();
    assert_eq!(cells(&after), json!([[1]]));
}
