//! Functions of packs: the calendar, exact rounding and exact aggregates.

use std::sync::Arc;

use ebbtide_model::{Calendar, ErrorKind, Instant, TableName, Unit, Value, WeekStart};
use ebbtide_store::Snapshot;
use num_bigint::BigInt;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::fixture::{app, ask, ask_with, at, batch, cells, request, shop_1, snapshot, sql, text, time};
use crate::sql::{Relation, SqlRequest, SqlRows};

async fn check(expression: &str, want: Json) {
    let answer = ask(&format!("SELECT {expression}")).await;
    let answer = answer.unwrap_or_else(|error| panic!("{expression}: {error}"));
    assert_eq!(cells(&answer)[0].to_string(), want.to_string(), "{expression}");
}

async fn check_refused(expression: &str, says: &str) {
    let error = ask(&format!("SELECT {expression}")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{expression}: {error}");
    assert!(error.to_string().contains(says), "{expression}: {error}");
}

#[tokio::test]
async fn rounding_is_half_away_from_zero_on_decimal_text() {
    check("round_half(1.005, 2) AS x", json!([1.01])).await;
    check("round_half(-2.5) AS x", json!([-3.0])).await;
    check("round_half(100.0 * 5 / 8, 1) AS x", json!([62.5])).await;
    check("round_half(CAST('2.345' AS DECIMAL(10, 3)), 2) AS x", json!([2.35])).await;
    check("round_half(CAST('-2.5' AS DECIMAL(38, 9)), 0) AS x", json!([-3])).await;
    check("round_half(1250, -2) AS x", json!([1300])).await;
    check("round_half(NULL, 1) AS x", json!([null])).await;
    check("round_half(1.5, NULL) AS x", json!([null])).await;
    check("round_half(1.0 / 0.0, 1) AS x", json!([null])).await;
    check_refused("round_half('x', 1) AS x", "number").await;
    check_refused("round_half(CAST('9.5' AS DECIMAL(2, 1)), 0) AS x", "largest").await;
    let answer = ask("SELECT round_half(amount, 0) AS x FROM sales ORDER BY id").await.unwrap();
    assert_eq!(cells(&answer), json!([[0.0], [0.0], [0.0]]));
}

#[tokio::test]
async fn a_ratio_is_exact_until_it_is_rounded_once() {
    check("round_ratio(2, 3, 1) AS x", json!([0.7])).await;
    check("round_ratio(1, 8, 2) AS x", json!([0.13])).await;
    check("round_ratio(-1, 8, 2) AS x", json!([-0.13])).await;
    check("round_ratio(1, -8, 2) AS x", json!([-0.13])).await;
    check("round_ratio(5, 2) AS x", json!([3.0])).await;
    // The float nearest to this fraction is a tie, the fraction is not.
    check("round_ratio(2499999999999999999, 10000000000000000000, 1) AS x", json!([0.2])).await;
    // As floats, 0.1 + 0.2 and 3 * 41.1 are not what they say.
    check("round_ratio(12.45, 1, 1) AS x", json!([12.5])).await;
    check("round_ratio(0.3, 0.1, 3) AS x", json!([3.0])).await;
    check("round_ratio(CAST('0.35' AS DECIMAL(10, 2)), 1, 1) AS x", json!([0.4])).await;
    check("round_ratio(1, 0, 1) AS x", json!([null])).await;
    check("round_ratio(1, 0.0, 1) AS x", json!([null])).await;
    check("round_ratio(NULL, 2, 1) AS x", json!([null])).await;
    check("round_ratio(1, NULL) AS x", json!([null])).await;
    check("round_ratio(1, 2, NULL) AS x", json!([null])).await;
    check("round_ratio(1.0 / 0.0, 2, 1) AS x", json!([null])).await;
    check_refused("round_ratio('x', 1) AS x", "number").await;
    check_refused("round_ratio(1) AS x", "divided by").await;
    check_refused("round_ratio(1, 3, 19) AS x", "0 to 18").await;
    check_refused("round_ratio(1, 3, -1) AS x", "0 to 18").await;
}

#[tokio::test]
async fn exact_numbers_are_what_their_text_says() {
    check("exact(0.1) + exact(0.2) = exact(0.3) AS x", json!([true])).await;
    check("round_ratio(3 * exact(41.666666666666664), 10, 0) AS x", json!([12.0])).await;
    check("round_ratio(3 * (exact(41.7) + exact(41.6) + exact(41.7)), 30, 0) AS x", json!([13.0])).await;
    check("exact(7) AS x", json!([7])).await;
    check("exact(-2.5) AS x", json!([-2.5])).await;
    check("exact(CAST('1.25' AS DECIMAL(10, 2))) AS x", json!([1.25])).await;
    // Past 18 places it is rounded; far past them nothing is left.
    check("exact(5e-19) * 1000000000 * 1000000000 AS x", json!([1])).await;
    check("exact(4e-19) AS x", json!([0])).await;
    check("exact(1e-300) AS x", json!([0])).await;
    check("exact(0.0 / 0.0) AS x", json!([null])).await;
    check("exact(NULL) AS x", json!([null])).await;
    check_refused("exact(1e20) AS x", "20 digits").await;
    check_refused("exact(true) AS x", "number").await;
    let answer = ask("SELECT sum(exact(amount)) AS x FROM sales").await.unwrap();
    assert_eq!(cells(&answer)[0][0], json!(0.6));
}

#[tokio::test]
async fn whole_days_are_elapsed_days_rounded_down() {
    let days = |from: &str, to: &str| format!("days_between(TIMESTAMP '{from}', TIMESTAMP '{to}') AS d");
    check(&days("2024-01-01", "2024-01-02"), json!([1])).await;
    check(&days("2024-01-01T00:00:00.000001", "2024-01-02"), json!([0])).await;
    check(&days("2024-01-01T01:00:00", "2024-01-01"), json!([-1])).await;
    check(&days("2024-01-02", "2024-01-01"), json!([-1])).await;
    check("days_between(NULL, TIMESTAMP '2024-01-01') AS d", json!([null])).await;
    check("micros(TIMESTAMP '1970-01-01T00:00:01.5') AS m", json!([1_500_000])).await;
    let answer = ask("SELECT days_between(at, $as_of) AS d FROM sales ORDER BY id").await.unwrap();
    assert_eq!(cells(&answer), json!([[150], [150], [135]]));
}

#[tokio::test]
async fn an_answer_tells_when_one_of_its_days_is_full() {
    let changes = async |statement: &str| {
        let rows = sql().run(&snapshot(), &shop_1(), request(statement)).await;
        rows.unwrap_or_else(|error| panic!("{statement}: {error}")).changes_at.map(|at| at.to_string())
    };
    let at = |text: &str| Some(text.to_owned());
    // As of noon; the sales were at midnight but a microsecond, at midnight, and a microsecond past noon.
    let days = "SELECT days_between(at, $as_of) AS d FROM sales";
    assert_eq!(changes(days).await, at("2024-06-30T12:00:00.000001Z"));
    assert_eq!(changes(&format!("{days} WHERE id = 100")).await, at("2024-06-30T23:59:59.999999Z"));
    assert_eq!(changes(&format!("{days} WHERE id = 101")).await, at("2024-07-01T00:00:00Z"));
    assert_eq!(changes(&format!("{days} WHERE id = 9")).await, None);
    assert_eq!(changes("SELECT days_between(at, bucket('day', $as_of)) AS d FROM sales").await, None);
    let to_come = "SELECT days_between(TIMESTAMP '2024-07-02T13:00:00', now()) AS d";
    assert_eq!(changes(to_come).await, at("2024-06-30T13:00:00Z"));
    assert_eq!(changes("SELECT count(*) AS n FROM sales").await, None);
    assert_eq!(changes("SELECT bucket('hour', $as_of) AS b").await, at("2024-06-30T12:15:00Z"));
    assert_eq!(changes("SELECT id, $as_of AS t FROM sales").await, at("2024-06-30T12:00:01Z"));
}

#[tokio::test]
async fn buckets_are_calendar_periods() {
    check("bucket('month', TIMESTAMP '2024-02-15') AS b", json!(["2024-02-01T00:00:00Z"])).await;
    check("bucket('month', TIMESTAMP '2024-02-15', -2) AS b", json!(["2023-12-01T00:00:00Z"])).await;
    check("bucket('week', TIMESTAMP '2024-02-15') AS b", json!(["2024-02-12T00:00:00Z"])).await;
    check("bucket_label('quarter', TIMESTAMP '2024-05-15') AS b", json!(["2024-Q2"])).await;
    check("bucket('month', NULL) AS b", json!([null])).await;
    check("bucket_label(NULL, $as_of) AS b", json!([null])).await;
    check_refused("bucket('moth', $as_of) AS b", "did you mean \"month\"?").await;
    let months = "SELECT bucket_label('month', bucket('month', $as_of, -value)) AS month \
                  FROM generate_series(0, 2) ORDER BY value";
    assert_eq!(cells(&ask(months).await.unwrap()), json!([["2024-06"], ["2024-05"], ["2024-04"]]));
    // As `docs/sql.md` shows it: a row for every month.
    let every = "WITH months AS (SELECT bucket('month', $as_of, -value) AS begins FROM generate_series(0, 5 - 1)) \
                 SELECT bucket_label('month', begins) AS month, count(sales.id) AS sales \
                 FROM months LEFT JOIN sales ON bucket('month', sales.at) = begins \
                 GROUP BY begins ORDER BY begins";
    let want = json!([["2024-02", 2], ["2024-03", 0], ["2024-04", 0], ["2024-05", 0], ["2024-06", 0]]);
    assert_eq!(cells(&ask(every).await.unwrap()), want);
    let grouped = "SELECT bucket_label('month', at) AS month, count(*) AS n FROM sales \
                   WHERE at >= bucket('month', $as_of, -5) GROUP BY 1 ORDER BY 1";
    assert_eq!(cells(&ask(grouped).await.unwrap()), json!([["2024-01", 1], ["2024-02", 2]]));
}

#[tokio::test]
async fn the_day_of_a_statement_is_that_of_its_calendar() {
    let zone = jiff_zone("Asia/Tokyo");
    let calendar = Calendar::new(zone, WeekStart::Monday);
    let as_of = at("2024-06-30T15:00:00Z");
    let request = SqlRequest { calendar, as_of, ..request("SELECT current_date AS d, today() AS t") };
    let answer = ask_with(&sql(), &snapshot(), &shop_1(), request).await.unwrap();
    assert_eq!(cells(&answer), json!([["2024-07-01", "2024-07-01"]]));
}

fn jiff_zone(name: &str) -> jiff::tz::TimeZone {
    jiff::tz::TimeZone::get(name).unwrap()
}

#[tokio::test]
async fn sums_are_exact_and_checked() {
    check("sum(amount) FROM sales", json!([0.6])).await;
    check("avg(amount), mean(amount) FROM sales", json!([0.2, 0.2])).await;
    check("sum(price) FROM sales", json!([15.500000001])).await;
    check("sum(id), avg(id) FROM sales", json!([303, 101.0])).await;
    check("sum(amount), avg(amount), sum(id) FROM sales WHERE id = 0", json!([null, null, null])).await;
    check("sum(x) AS s FROM (VALUES (1e300), (1.0), (-1e300)) AS t(x)", json!([1.0])).await;
    check("sum(x) AS s FROM (VALUES (1.0), (CAST('nan' AS DOUBLE))) AS t(x)", json!([null])).await;
    let limits = "(VALUES (9223372036854775807), (9223372036854775807)) AS t(x)";
    check_refused(&format!("sum(x) AS s FROM {limits}"), "largest").await;
    check(&format!("avg(x) AS s FROM {limits}"), json!([9_223_372_036_854_775_807_f64])).await;
    check(
        "sum(DISTINCT x), avg(DISTINCT y), sum(y) FROM (VALUES (0.1, 1), (0.1, 2), (0.2, 2)) AS t(x, y)",
        json!([0.3, 1.5, 5]),
    )
    .await;
    check("sum(x) FILTER (WHERE x > 1) AS s FROM (VALUES (1), (2), (NULL)) AS t(x)", json!([2])).await;
    check_refused("sum(name) FROM cards", "numbers").await;
}

#[tokio::test]
async fn sums_that_slide_are_exact_too() {
    let statement = "SELECT sum(amount) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS s, \
                     sum(amount) OVER (ORDER BY id) AS r, avg(id) OVER () AS a FROM sales ORDER BY id";
    let answer = ask(statement).await.unwrap();
    assert_eq!(cells(&answer), json!([[0.1, 0.1, 101.0], [0.3, 0.3, 101.0], [0.5, 0.6, 101.0]]));
}

#[tokio::test]
async fn percentiles_interpolate_exactly() {
    let ten = "FROM generate_series(1, 10) AS t(x)";
    check(
        &format!("median(x), percentile_cont(x, 0.9), quantile_cont(x, 0.25) {ten}"),
        json!([5.5, 9.1, 3.25]),
    )
    .await;
    check(&format!("percentile_cont(0.9) WITHIN GROUP (ORDER BY x) AS p {ten}"), json!([9.1])).await;
    check(&format!("percentile_cont(0.9) WITHIN GROUP (ORDER BY x DESC) AS p {ten}"), json!([1.9])).await;
    check(&format!("percentile_cont(x, 0.0), percentile_cont(x, 1.0) {ten}"), json!([1.0, 10.0])).await;
    check("median(x) AS m FROM (VALUES (0.1), (0.2)) AS t(x)", json!([0.15])).await;
    check("median(x) AS m FROM (VALUES (1), (NULL)) AS t(x)", json!([1.0])).await;
    check("median(amount) FROM sales WHERE id = 0", json!([null])).await;
    check("median(DISTINCT x) AS m FROM (VALUES (1), (1), (2)) AS t(x)", json!([1.5])).await;
    check_refused(&format!("percentile_cont(x, 1.5) {ten}"), "0 to 1").await;
    check_refused(&format!("percentile_cont(x, -0.1) {ten}"), "0 to 1").await;
    let statement = "SELECT card, median(amount) AS m FROM sales GROUP BY card ORDER BY card";
    assert_eq!(cells(&ask(statement).await.unwrap()), json!([[1, 0.15], [2, 0.3]]));
}

/// The sales of shop 1: card, amount, time.
fn sales(rows: &[(i64, f64, i64)]) -> Snapshot {
    let app = app();
    let table = app.table(&TableName::new("sales")).unwrap();
    let rows: Vec<(&str, Vec<Value>)> = rows
        .iter()
        .zip(0..)
        .map(|((card, amount, micros), id)| {
            let time = Value::Timestamp(Instant::from_micros(*micros));
            let row = [Value::Int(1), Value::Int(*card), Value::Float(*amount), Value::Decimal(1), time];
            ("1", [Value::Int(id)].into_iter().chain(row).collect())
        })
        .collect();
    let stored = vec![(table.name.clone(), rows.chunks(7).map(|rows| batch(table, rows)).collect())];
    Snapshot::of_batches(std::sync::Arc::new(app.clone()), stored).unwrap()
}

fn run(snapshot: &Snapshot, request: SqlRequest) -> Vec<Vec<Json>> {
    thread_local!(static SQL: crate::sql::Sql = sql());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let answer = SQL.with(|sql| runtime.block_on(ask_with(sql, snapshot, &shop_1(), request))).unwrap();
    serde_json::from_value(cells(&answer)).unwrap()
}

/// Decimals after the point that any float of the tests needs at most.
const PLACES: usize = 400;

/// The number that a float's text says, in units of 10^-[`PLACES`].
fn units(value: f64) -> BigInt {
    let text = format!("{value}");
    let (integer, fraction) = text.split_once('.').unwrap_or((&text, ""));
    format!("{integer}{fraction:0<PLACES$}").parse().unwrap()
}

/// The float nearest to `units / divisor`: its first digits, with a last one that says whether any follow.
fn nearest_float(units: &BigInt, divisor: usize) -> f64 {
    let scaled: BigInt = units * BigInt::from(10).pow(50);
    let quotient = &scaled / divisor;
    let sticky = if &quotient * divisor == scaled { 0 } else { 1 };
    format!("{quotient}{sticky}e-{}", PLACES + 51).parse().unwrap()
}

fn amount() -> impl Strategy<Value = f64> {
    prop_oneof![
        (-1_000_000_i64..1_000_000).prop_map(|cents| cents as f64 / 100.0),
        -1e15..1e15_f64,
        -1e-9..1e-9_f64,
        Just(1e22),
        Just(-1e22),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sums_and_means_equal_those_of_the_decimal_texts(
        rows in prop::collection::vec((0..4_i64, amount()), 1..60)
    ) {
        let stored: Vec<(i64, f64, i64)> = rows.iter().map(|(card, amount)| (*card, *amount, 0)).collect();
        let twice = "(SELECT card, amount FROM sales UNION ALL SELECT card, amount FROM sales)";
        let statement = format!(
            "SELECT card, sum(amount) AS s, avg(amount) AS a, count(*) AS n FROM {twice} AS t GROUP BY card ORDER BY card"
        );
        let answer = run(&sales(&stored), request(&statement));
        let mut cards: Vec<i64> = rows.iter().map(|(card, _)| *card).collect();
        cards.sort_unstable();
        cards.dedup();
        prop_assert_eq!(answer.len(), cards.len());
        for (card, row) in cards.iter().zip(&answer) {
            let own: Vec<f64> = rows.iter().filter(|(of, _)| of == card).map(|(_, amount)| *amount).collect();
            let total: BigInt = own.iter().map(|amount| units(*amount) * 2).sum();
            prop_assert_eq!(row[0].as_i64(), Some(*card));
            prop_assert_eq!(row[1].as_f64(), Some(nearest_float(&total, 1)));
            prop_assert_eq!(row[2].as_f64(), Some(nearest_float(&total, own.len() * 2)));
        }
    }

    #[test]
    fn buckets_of_a_column_are_those_of_the_calendar(
        zone in prop::sample::select(vec![
            "UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo",
            "Pacific/Apia", "Africa/Cairo", "Asia/Tehran", "Europe/London",
        ]),
        unit in prop::sample::select(Unit::NAMES.to_vec()),
        week_start in prop::sample::select(vec![WeekStart::Monday, WeekStart::Sunday]),
        offset in -30..30_i64,
        times in prop::collection::vec(-2_000_000_000_000_000..4_000_000_000_000_000_i64, 1..80),
    ) {
        let calendar = Calendar::new(jiff_zone(zone), week_start);
        let stored: Vec<(i64, f64, i64)> = times.iter().map(|micros| (0, 0.5, *micros)).collect();
        let statement = format!(
            "SELECT micros(bucket('{unit}', at)) AS b, micros(bucket('{unit}', at, {offset})) AS m, \
             bucket_label('{unit}', at) AS l, bucket('{unit}', at, card) = bucket('{unit}', at) AS same \
             FROM sales ORDER BY id"
        );
        let request = SqlRequest { calendar: calendar.clone(), as_of: at("2150-01-01"), ..request(&statement) };
        let answer = run(&sales(&stored), request);
        prop_assert_eq!(answer.len(), times.len());
        let unit = Unit::from_name(unit).unwrap();
        for (micros, row) in times.iter().zip(&answer) {
            let start = calendar.floor(unit, Instant::from_micros(*micros));
            let want = json!([
                start.micros(),
                calendar.advance(unit, start, offset).micros(),
                calendar.label(unit, start),
                true
            ]);
            prop_assert_eq!(json!(row), want, "{} in {}", micros, zone);
        }
    }

    #[test]
    fn percentiles_lie_between_their_neighbours(
        amounts in prop::collection::vec(-1000_i64..1000, 1..40),
        share in 0..=100_usize,
    ) {
        let stored: Vec<(i64, f64, i64)> = amounts.iter().map(|amount| (0, *amount as f64 / 4.0, 0)).collect();
        let statement = format!("SELECT percentile_cont(amount, {}) AS p FROM sales", share as f64 / 100.0);
        let answer = run(&sales(&stored), request(&statement));
        let mut sorted = amounts.clone();
        sorted.sort_unstable();
        let place = (sorted.len() - 1) * share;
        let (below, rest) = (place / 100, place % 100);
        let high = *sorted.get(below + 1).unwrap_or(&sorted[below]);
        let hundredths = sorted[below] * (100 - rest) as i64 + high * rest as i64;
        prop_assert_eq!(answer[0][0].as_f64(), Some(hundredths as f64 / 400.0));
    }
}

#[tokio::test]
async fn strip_takes_away_unicode_white_space_and_nothing_else() {
    let check = async |text: &str, want: Json| {
        let params = vec![("t".to_owned(), Value::Text(Arc::from(text)))];
        let request = SqlRequest { params, ..request("SELECT strip($t) AS s, strip(left($t, 2)) AS l") };
        let answer = ask_with(&sql(), &snapshot(), &shop_1(), request).await.unwrap();
        assert_eq!(cells(&answer), json!([want]), "{text:?}");
    };
    check("  a b  ", json!(["a b", ""])).await;
    check("\t\n\u{b}\u{c}\r x \u{85}\u{a0}", json!(["x", ""])).await;
    check("\u{1680}\u{2000}\u{200a}é\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}", json!(["é", ""])).await;
    // Zero width is no white space, nor is what controls.
    check("\u{200b}a\u{feff}", json!(["\u{200b}a\u{feff}", "\u{200b}a"])).await;
    check("\u{1c}a", json!(["\u{1c}a", "\u{1c}a"])).await;
    check("😀😀 x", json!(["😀😀 x", "😀😀"])).await;
    check("", json!(["", ""])).await;
    let of_column = ask("SELECT strip(name || ' ') AS s FROM cards WHERE id < 4 ORDER BY id").await.unwrap();
    assert_eq!(cells(&of_column), json!([["ann"], ["bob"], ["cyd"]]));
    assert_eq!(cells(&ask("SELECT strip(NULL) AS s").await.unwrap()), json!([[null]]));
}

#[tokio::test]
async fn rows_in_memory_are_a_table_of_the_request() {
    use ebbtide_model::ColumnType::{Bool, Date, Decimal, Float, Int, Text, Timestamp};
    let types =
        [("i", Int), ("f", Float), ("m", Decimal), ("b", Bool), ("t", Text), ("at", Timestamp), ("d", Date)];
    let columns = types.map(|(name, column_type)| (name.to_owned(), column_type));
    let row = vec![
        Value::Int(1),
        Value::Float(0.5),
        Value::Decimal(1_500_000_000),
        Value::Bool(true),
        text("x"),
        time("2024-02-01T00:00:00Z"),
        Value::Date(365),
    ];
    let run = async |rows: &[Vec<Value>], statement: &str| {
        let rows = Arc::new(SqlRows::of_values(&columns, rows).unwrap());
        let relations = vec![Relation { name: Arc::from("kept"), rows }];
        let answer =
            ask_with(&sql(), &snapshot(), &shop_1(), SqlRequest { relations, ..request(statement) }).await;
        cells(&answer.unwrap())
    };
    let rows = [row, vec![Value::Null; columns.len()]];
    let all = run(&rows, "SELECT * FROM kept ORDER BY i").await;
    let first = json!([1, 0.5, 1.5, true, "x", "2024-02-01T00:00:00Z", "1971-01-01"]);
    assert_eq!(all, json!([first, [null, null, null, null, null, null, null]]));
    assert_eq!(run(&rows, "SELECT count(*) AS n FROM kept JOIN sales USING (at)").await, json!([[1]]));
    assert_eq!(run(&[], "SELECT count(*) AS n, max(t) AS t FROM kept").await, json!([[0, null]]));
}

#[tokio::test]
async fn a_member_of_json_is_null_unless_it_is_of_the_type_that_is_asked_for() {
    let json = r#"'{"s": "7", "i": 7, "f": 2.5, "b": true, "n": null, "o": {"s": 1}, "it''s": "x"}'"#;
    let get = async |kind: &str, name: &str, want: Json| {
        check(&format!("json_get_{kind}({json}, '{name}') AS x"), json!([want])).await;
    };
    for (kind, name, want) in [
        ("str", "s", json!("7")),
        ("int", "i", json!(7)),
        ("float", "f", json!(2.5)),
        ("float", "i", json!(7.0)),
        ("bool", "b", json!(true)),
        ("str", "it''s", json!("x")),
    ] {
        get(kind, name, want).await;
    }
    let elsewhere = [
        ("str", ["i", "f", "b", "n", "o", "x"]),
        ("int", ["s", "f", "b", "n", "o", "x"]),
        ("float", ["s", "b", "n", "o", "x", ""]),
        ("bool", ["s", "i", "f", "n", "o", "x"]),
    ];
    for (kind, names) in elsewhere {
        for name in names {
            get(kind, name, Json::Null).await;
        }
    }
    check("json_get_str('no json', 'a') AS x", json!([null])).await;
    check("json_get_str(NULL, 'a') AS x", json!([null])).await;
    check("json_get_str('{}', NULL) AS x", json!([null])).await;
    let rows = "SELECT json_get_int(t, n) AS x FROM (VALUES ('{\"a\": 1}', 'a'), ('{\"b\": 2}', 'a'), ('{\"b\": 3}', 'b')) AS v (t, n)";
    assert_eq!(cells(&ask(rows).await.unwrap()), json!([[1], [null], [3]]));
    check_refused("json_get_int('{}') AS x", "json_get_int").await;
}
