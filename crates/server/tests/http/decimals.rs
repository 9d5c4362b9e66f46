//! Decimals keep all of their digits, whichever way they come and go.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    AsArray, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Decimal128Type, Int64Type};
use axum::body::Bytes;
use ebbtide_model::pack::Pack;
use ebbtide_model::{AppName, Scope, TableName, Tenants, exact_number, number_text, read_json};
use ebbtide_server::Settings;
use ebbtide_server::sources::{Source, plan_file};
use ebbtide_store::{NewRows, Occurrences, Store};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value as Json, json};

use crate::support::*;

const PACK: &str = r#"
pack: club
tables:
  sales: {kind: events, key: id, tenant: {fixed: all}, actor: who, time: at, name: way, columns: {id: int, who: int, way: text, at: timestamp, amount: decimal}}
reports:
  sales:
    routes: [{path: /sales, roles: [admin]}]
    response: {sales: {rows: "SELECT id, amount FROM sales ORDER BY id"}}
  sums:
    routes: [{path: /sums, roles: [admin]}]
    response: {sum: {value: "SELECT sum(amount) FROM sales"}}
"#;

const AT: &str = "2026-03-01T00:00:00Z";
const WAYS: [&str; 5] = ["csv", "ndjson", "parquet", "http", "text"];

/// Whom reports answer: they are a tenant's.
fn reader() -> String {
    token(json!({"role": "admin", "tenant": "all"}))
}

/// The shortest text of a decimal in units of 10^-9.
fn text_of(units: i128) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let digits = format!("{:010}", units.unsigned_abs());
    let (whole, fraction) = digits.split_at(digits.len() - 9);
    format!("{sign}{whole}.{fraction}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn load(store: &Store, pack: &Pack, name: &str, bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let plan = plan_file(pack, &path, Some(&TableName::new("sales"))).unwrap();
    let scope = Scope::grant(AppName::new("club"), Tenants::All);
    for chunk in Source::open(&path, &plan).unwrap() {
        let chunk = chunk.unwrap();
        assert!(chunk.rejects.is_empty(), "{:?}", chunk.rejects);
        let table = TableName::new("sales");
        let new = NewRows { table, batch: chunk.rows.batch, occurrences: Occurrences::new() };
        assert_eq!(store.append(&scope, new).unwrap().rejected, []);
    }
}

fn parquet_file(ids: &[i64], units: &[i128]) -> Vec<u8> {
    let rows = ids.len();
    let at = ebbtide_model::Instant::parse(AT).unwrap().micros();
    let amounts = Decimal128Array::from(units.to_vec()).with_precision_and_scale(38, 9).unwrap();
    let batch = RecordBatch::try_from_iter::<_, &str>([
        ("id", Arc::new(Int64Array::from(ids.to_vec())) as _),
        ("who", Arc::new(Int64Array::from(ids.to_vec())) as _),
        ("way", Arc::new(StringArray::from(vec!["parquet"; rows])) as _),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![at; rows]).with_timezone("UTC")) as _),
        ("amount", Arc::new(amounts) as _),
    ])
    .unwrap();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    file
}

/// A server with these decimals, each in as many rows as there are ways in, and what rows should have by id.
async fn club_with(units: &[i128]) -> (Club, BTreeMap<i64, i128>) {
    let pack = Pack::parse(PACK).unwrap();
    let store = memory_store(std::slice::from_ref(&pack));
    let count = i64::try_from(units.len()).unwrap();
    let ids = |way: i64| (way * count..(way + 1) * count).collect::<Vec<i64>>();
    let rows = |way: i64| ids(way).into_iter().zip(units.iter().map(|units| text_of(*units)));
    let object = |way: i64, id: i64, amount: &str| {
        format!(r#"{{"id":{id},"who":{id},"way":"{}","at":"{AT}","amount":{amount}}}"#, WAYS[way as usize])
    };
    let csv: String = rows(0).map(|(id, text)| format!("{id},{id},csv,{AT},{text}\n")).collect();
    load(&store, &pack, "sales.csv", format!("id,who,way,at,amount\n{csv}").as_bytes());
    let ndjson: String = rows(1).map(|(id, text)| object(1, id, &text) + "\n").collect();
    load(&store, &pack, "sales.ndjson", ndjson.as_bytes());
    load(&store, &pack, "sales.parquet", &parquet_file(&ids(2), units));
    let server = start(vec![pack], Settings::default()).unwrap();
    assert!(server.opened(store).is_ok());
    let club = Club::of(server);
    let numbers: Vec<String> = rows(3).map(|(id, text)| object(3, id, &text)).collect();
    let texts: Vec<String> = rows(4).map(|(id, text)| object(4, id, &format!("\"{text}\""))).collect();
    for list in [numbers, texts] {
        let answer = club.post_raw("/v1/tables/sales/rows", &admin(), format!("[{}]", list.join(","))).await;
        assert_eq!(answer.json()["accepted"], json!(count), "{}", answer.text());
    }
    let want = (0..5).flat_map(|way| ids(way).into_iter().zip(units.iter().copied())).collect();
    (club, want)
}

/// Rows of JSON by id, the amount as a decimal text without an exponent.
fn of_json<'j>(rows: impl IntoIterator<Item = &'j Json>) -> BTreeMap<i64, String> {
    let amount = |row: &Json| ebbtide_model::plain_text(&row["amount"]).unwrap();
    rows.into_iter().map(|row| (row["id"].as_i64().unwrap(), amount(row))).collect()
}

async fn check_round_trip(units: &[i128]) {
    let (club, want) = club_with(units).await;
    let texts: BTreeMap<i64, String> = want.iter().map(|(id, units)| (*id, text_of(*units))).collect();
    let file = async |format: &str| {
        let answer = club.get(&format!("/sales?format={format}"), &reader()).await;
        assert_eq!(answer.status, 200, "{format}");
        answer.body
    };
    let whole = read_json(&file("json").await).unwrap();
    assert_eq!(of_json(whole["sales"].as_array().unwrap()), texts, "JSON");
    let lines = String::from_utf8(file("ndjson").await).unwrap();
    let lines: Vec<Json> = lines.lines().map(|line| read_json(line.as_bytes()).unwrap()).collect();
    assert_eq!(of_json(&lines), texts, "NDJSON");
    let csv = String::from_utf8(file("csv").await).unwrap();
    let cells = csv.lines().skip(1).map(|line| {
        let (id, amount) = line.split_once(',').unwrap();
        let amount = read_json(amount.as_bytes()).unwrap();
        (id.parse().unwrap(), ebbtide_model::plain_text(&amount).unwrap())
    });
    assert_eq!(cells.collect::<BTreeMap<i64, String>>(), texts, "CSV");
    let batches = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file("parquet").await)).unwrap();
    let mut stored = BTreeMap::new();
    for batch in batches.build().unwrap() {
        let batch = batch.unwrap();
        let ids = batch.column(0).as_primitive::<Int64Type>().values();
        stored.extend(
            ids.iter()
                .copied()
                .zip(batch.column(1).as_primitive::<Decimal128Type>().values().iter().copied()),
        );
    }
    assert_eq!(stored, want, "Parquet");

    // What adds up to more than a decimal holds is refused elsewhere.
    let total = units.iter().try_fold(0_i128, |sum, units| sum.checked_add(units.checked_mul(5)?));
    if let Some(total) = total.filter(|total| total.unsigned_abs() < 10_u128.pow(38)) {
        let sum = read_json(&club.get("/sums", &reader()).await.body).unwrap();
        assert_eq!(sum["sum"], exact_number(&text_of(total)));
    }
    let asked = text_of(units[0]);
    let body = format!(
        r#"{{"kind":"trend","stream":"sales","from":"2026-03-01","to":"2026-03-02","filters":[{{"prop":"amount","op":"eq","value":{asked}}}]}}"#
    );
    let answer = club.post_raw("/v1/query", &admin(), body).await;
    let answer = read_json(&answer.body).unwrap();
    let equal = units.iter().filter(|other| **other == units[0]).count() * 5;
    assert_eq!(answer["result"]["data"], json!([equal]), "{asked}");
    let echoed = number_text(&answer["query"]["filters"][0]["value"]).unwrap();
    assert_eq!(echoed, number_text(&read_json(asked.as_bytes()).unwrap()).unwrap());
    for body in [
        format!(r#"{{"sql":"SELECT count(*) AS n FROM sales WHERE amount = {asked}"}}"#),
        format!(r#"{{"sql":"SELECT count(*) AS n FROM sales WHERE amount = $x","params":{{"x":{asked}}}}}"#),
    ] {
        let answer = club.post_raw("/v1/sql", &admin(), body.clone()).await;
        assert_eq!(answer.json()["rows"], json!([{"n": equal}]), "{body}: {}", answer.text());
    }
}

#[test]
fn a_decimal_that_comes_in_any_way_goes_out_in_any_way_with_the_same_digits() {
    let decimal = (0_u32..=38, any::<u128>(), any::<bool>()).prop_map(|(digits, bits, negative)| {
        let units = i128::try_from(bits % 10_u128.pow(digits)).unwrap();
        if negative { -units } else { units }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: 12, failure_persistence: None, ..Config::default() });
    runner
        .run(&prop::collection::vec(decimal, 1..20), |units| {
            runtime.block_on(check_round_trip(&units));
            Ok(())
        })
        .unwrap();
    let named = ["90071992547409930000000", "1234567890123456789", "10000000000000000500000000", "100"];
    let named: Vec<i128> = named.iter().map(|units| units.parse().unwrap()).collect();
    runtime.block_on(check_round_trip(&named));
}

#[tokio::test]
async fn a_number_with_more_digits_than_a_decimal_has_is_refused() {
    let (club, _) = club_with(&[1]).await;
    for amount in ["0.1234567891", "12345678901234567.1234567891", "100000000000000000000000000000.5"] {
        let row = format!(r#"[{{"id":90,"who":1,"way":"http","at":"{AT}","amount":{amount}}}]"#);
        let answer = club.post_raw("/v1/tables/sales/rows", &admin(), row).await.json();
        assert_eq!(answer["rejected"][0]["code"], json!("wrong_type"), "{answer}");
        assert!(answer["rejected"][0]["detail"].as_str().unwrap().starts_with(amount), "{answer}");
    }
}
