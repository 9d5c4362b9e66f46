//! The JSON form of every kind of cell.

use ebbtide_model::{Value, exact_number};
use serde_json::{Value as Json, json};

use super::fixture::{ask, ask_with, cells, request, shop_1, snapshot, sql};
use crate::sql::SqlRequest;

async fn check(expression: &str, want: Json) {
    let answer = ask(&format!("SELECT {expression} AS x")).await;
    let answer = answer.unwrap_or_else(|error| panic!("{expression}: {error}"));
    assert_eq!(cells(&answer)[0][0].to_string(), want.to_string(), "{expression}");
}

#[tokio::test]
async fn numbers_have_their_shortest_text() {
    check("9223372036854775807", json!(i64::MAX)).await;
    check("arrow_cast(18446744073709551615, 'UInt64')", json!(u64::MAX)).await;
    check("CAST(7 AS SMALLINT)", json!(7)).await;
    check("0.1e0", json!(0.1)).await;
    check("1e300", json!(1e300)).await;
    check("100.0", json!(100.0)).await;
    check("-0.0", json!(0.0)).await;
    check("CAST(0.1 AS REAL)", json!(0.1)).await;
    check("CAST('nan' AS DOUBLE)", json!(null)).await;
    check("CAST('inf' AS DOUBLE)", json!(null)).await;
    check("CAST('12.50' AS DECIMAL(10, 2))", json!(12.5)).await;
    check("CAST('12.00' AS DECIMAL(10, 2))", json!(12)).await;
    check("CAST('-0.05' AS DECIMAL(10, 2))", json!(-0.05)).await;
    let long = "12345678901234567890.5";
    check(&format!("CAST('{long}' AS DECIMAL(38, 9))"), exact_number(long)).await;
    check("CAST('10000000000000000000' AS DECIMAL(38, 9))", json!(1e19)).await;
    check("NULL", json!(null)).await;
    check("CAST(NULL AS INT)", json!(null)).await;
}

/// The planner alone would take each for the nearest float.
#[tokio::test]
async fn a_number_with_more_digits_than_a_float_is_a_decimal() {
    for long in ["90071992547409.93", "1234567890.123456789", "12345678901234567890123456789.5"] {
        check(long, exact_number(long)).await;
        check(&format!("-{long}"), exact_number(&format!("-{long}"))).await;
        let decimal = format!("CAST('{long}' AS DECIMAL(38, 9))");
        check(&format!("{decimal} = {long}"), json!(true)).await;
        check(&format!("sum({decimal})"), exact_number(long)).await;
    }
    // With more digits than a decimal has it is a float as before.
    check("0.12345678901234567", json!(0.12345678901234567)).await;
}

#[tokio::test]
async fn a_decimal_is_compared_with_what_a_number_says() {
    let decimal = "CAST('90071992547409.93' AS DECIMAL(38, 9))";
    // The float that is nearest to the decimal has this text.
    check(&format!("{decimal} = 90071992547409.94"), json!(false)).await;
    check(&format!("{decimal} < 90071992547409.94"), json!(true)).await;
    check(&format!("90071992547409.94 <= {decimal}"), json!(false)).await;
    check(&format!("{decimal} IN (0.5, 90071992547409.94)"), json!(false)).await;
    check(&format!("{decimal} BETWEEN 0.5 AND 90071992547409.92"), json!(false)).await;
    check(&format!("{decimal} > -0.5"), json!(true)).await;
    check("CAST('0.1' AS DECIMAL(38, 9)) = 0.1", json!(true)).await;
    check("CAST('-2753.482144684' AS DECIMAL(38, 9)) = -2753.482144684", json!(true)).await;
    let statement = "SELECT CAST('-2753.482144684' AS DECIMAL(38, 9)) = $x AS v";
    let params = vec![("x".to_owned(), Value::Float(-2753.482144684))];
    let asked = SqlRequest { params, ..request(statement) };
    let answer = ask_with(&sql(), &snapshot(), &shop_1(), asked).await.unwrap();
    assert_eq!(cells(&answer), json!([[true]]));
    check("CAST('0.1' AS DECIMAL(38, 9)) > 0.00000000001", json!(true)).await;
    check("CAST('0.1' AS DOUBLE) = 0.1", json!(true)).await;
}

#[tokio::test]
async fn times_are_rfc_3339_and_spans_iso_8601() {
    check("TIMESTAMP '2024-02-01 00:00:00'", json!("2024-02-01T00:00:00Z")).await;
    check("TIMESTAMP '2024-02-01 09:00:00.000001+09:00'", json!("2024-02-01T00:00:00.000001Z")).await;
    check(
        "arrow_cast('2024-02-01T00:00:00.5', 'Timestamp(Nanosecond, None)')",
        json!("2024-02-01T00:00:00.500000Z"),
    )
    .await;
    check("DATE '1969-12-31'", json!("1969-12-31")).await;
    check("TIME '09:30:00'", json!("09:30:00")).await;
    check("TIMESTAMP '2024-02-02' - TIMESTAMP '2024-02-01'", json!("PT86400S")).await;
    check("TIMESTAMP '2024-02-01' - TIMESTAMP '2024-02-01T00:00:00.25'", json!("-PT0.25S")).await;
    check("INTERVAL '1 month 2 days 3.5 seconds'", json!("P1M2DT3.5S")).await;
}

#[tokio::test]
async fn text_bools_lists_and_objects_nest() {
    check("'Gr\u{fc}\u{df}e \"'", json!("Gr\u{fc}\u{df}e \"")).await;
    check("true", json!(true)).await;
    check("X'00ff'", json!("00ff")).await;
    check("make_array(1, NULL, 3)", json!([1, null, 3])).await;
    check("make_array(make_array(0.5), make_array(1.5))", json!([[0.5], [1.5]])).await;
    check("named_struct('a', 1, 'b', make_array('x'))", json!({"a": 1, "b": ["x"]})).await;
    check("arrow_cast('x', 'Dictionary(Int32, Utf8)')", json!("x")).await;
}

#[tokio::test]
async fn columns_tell_their_types_in_order() {
    let sql = super::fixture::sql();
    let statement = "SELECT born, amount, price, active, name, created_at, c.id, make_array(1) AS l \
                     FROM cards c JOIN sales s ON c.id = s.card LIMIT 0";
    let request = super::fixture::request(statement);
    let rows = sql.run(&super::fixture::snapshot(), &super::fixture::shop_1(), request).await.unwrap();
    let columns: Vec<(&str, &str)> =
        rows.columns.iter().map(|column| (column.name.as_str(), column.type_name)).collect();
    let want = [
        ("born", "date"),
        ("amount", "float"),
        ("price", "decimal"),
        ("active", "bool"),
        ("name", "text"),
        ("created_at", "timestamp"),
        ("id", "int"),
        ("l", "list"),
    ];
    assert_eq!(columns, want);
}

#[tokio::test]
async fn the_same_statement_gives_the_same_bytes() {
    let statement = "SELECT card, bucket_sum, rank() OVER (ORDER BY bucket_sum DESC, card) AS r FROM \
                     (SELECT card, sum(amount) AS bucket_sum FROM sales GROUP BY card) AS t ORDER BY r";
    let first = ask(statement).await.unwrap().to_string();
    for _ in 0..5 {
        assert_eq!(ask(statement).await.unwrap().to_string(), first);
    }
}
