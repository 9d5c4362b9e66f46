//! Files of reports: their names, their rows, and what becomes of those that cannot be made.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};
use axum::body::{Body, Bytes};
use axum::http::Method;
use ebbtide_server::Phase;
use futures::StreamExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::ServiceExt;

use crate::support::*;

fn parquet_rows(file: Vec<u8>) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).unwrap();
    let schema = reader.schema().clone();
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    arrow::compute::concat_batches(&schema, &batches).unwrap()
}

#[tokio::test]
async fn every_format_has_its_media_type_and_a_name() {
    let club = Club::open().await;
    for (format, media_type) in [
        ("csv", "text/csv; charset=utf-8"),
        ("ndjson", "application/x-ndjson"),
        ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("parquet", "application/vnd.apache.parquet"),
    ] {
        for (path, name) in [
            ("/club/visits?as_of=2026-02-28T00:00:00Z", "visits-2026-02-28T00-00-00Z"),
            ("/totals?table=clubs", "totals-clubs-2026-03-15T12-00-00Z"),
            ("/club/monthly?as_of=2026-03-01T00:00:00Z", "monthly-2026-03-01T00-00-00Z"),
        ] {
            let join = if path.contains('?') { '&' } else { '?' };
            let answer = club.get(&format!("{path}{join}format={format}"), &owner(1)).await;
            assert_eq!(answer.header("content-type"), media_type);
            let disposition = format!("attachment; filename=\"{name}.{format}\"");
            assert_eq!(answer.header("content-disposition"), disposition);
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            assert_eq!(answer.header("cache-control"), "private, no-cache");
            assert!(answer.header("server-timing").contains("total;dur="));
            assert!(!answer.body.is_empty());
        }
    }
}

#[tokio::test]
async fn parquet_has_the_types_of_the_statement_and_the_rows_of_the_answer() {
    let club = Club::open().await;
    let json = club.get("/club/visits", &owner(1)).await.json();
    let rows = parquet_rows(club.get("/club/visits?format=parquet", &owner(1)).await.body);
    let types: Vec<String> =
        rows.schema().fields().iter().map(|field| field.data_type().to_string()).collect();
    assert_eq!(types, ["Int64", "Int64", "Utf8", "Timestamp(\u{b5}s, \"UTC\")"]);
    let ids: Vec<Json> = rows.column(0).as_primitive::<Int64Type>().iter().map(Json::from).collect();
    let want: Vec<Json> = json["visits"].as_array().unwrap().iter().map(|row| row["id"].clone()).collect();
    assert_eq!(ids, want);
    let none = club.get("/club/visits?format=parquet&as_of=2020-01-01", &owner(1)).await;
    let none = parquet_rows(none.body);
    assert_eq!(
        (none.num_rows(), none.schema().field(3).data_type()),
        (0, rows.schema().field(3).data_type())
    );
    let months = parquet_rows(club.get("/club/monthly?format=parquet", &owner(1)).await.body);
    assert_eq!(months.schema().field(0).data_type(), &DataType::Utf8);
    assert_eq!(months.schema().field(1).data_type(), &DataType::Int64);
}

#[tokio::test]
async fn a_spreadsheet_holds_every_list_and_the_other_formats_name_one() {
    let club = Club::open().await;
    let whole = club.get("/totals?format=xlsx", &admin()).await;
    let one = club.get("/totals?format=xlsx&table=clubs", &admin()).await;
    for (answer, has_members) in [(whole, true), (one, false)] {
        assert!(answer.body.starts_with(b"PK"));
        assert_eq!(answer.header("content-disposition").contains("clubs"), !has_members);
        let sheets = answer.body.windows(24).filter(|bytes| *bytes == b"xl/worksheets/sheet2.xml").count();
        assert_eq!(sheets > 0, has_members);
    }
    for format in ["csv", "ndjson", "parquet"] {
        let answer = club.get(&format!("/totals?format={format}"), &admin()).await;
        answer.assert_problem(422, "parameter_invalid");
        assert!(answer.text().contains("clubs, members"), "{}", answer.text());
    }
    club.get("/totals?format=xlsx&table=x", &admin()).await.assert_problem(422, "parameter_invalid");
}

#[tokio::test]
async fn a_list_may_be_longer_than_a_statement_of_ones_own() {
    let settings = quick(|settings| settings.sql_limits.rows_max = 1);
    let club = Club::of(empty(settings));
    let rows = json!([{"id": 1, "name": "One"}, {"id": 2, "name": "Two"}, {"id": 3, "name": "Three"}]);
    assert_eq!(club.post("/v1/tables/clubs/rows", &admin(), &rows).await.json()["accepted"], 3);
    for format in ["csv", "ndjson", "parquet", "xlsx"] {
        let file = club.get(&format!("/totals?table=clubs&format={format}"), &admin()).await;
        assert_eq!(file.status, 200, "{format}");
    }
    let csv = club.get("/totals?table=clubs&format=csv", &admin()).await;
    assert_eq!(csv.text(), "id,name\r\n1,One\r\n2,Two\r\n3,Three\r\n");
    assert_eq!(club.get("/totals", &admin()).await.json()["clubs"], rows);
    let own = json!({"sql": "SELECT id FROM clubs"});
    club.post("/v1/sql", &admin(), &own).await.assert_problem(413, "too_large");
}

#[tokio::test]
async fn no_more_files_are_written_at_one_time_than_may() {
    let settings = quick(|settings| settings.exports_max = 1);
    let club = Club::of(empty(settings));
    let names = |from: usize| -> Json {
        (from..from + 20_000).map(|id| json!({"id": id, "name": "x".repeat(200)})).collect()
    };
    for from in [0, 20_000] {
        club.post("/v1/tables/clubs/rows", &admin(), &names(from)).await;
    }
    let ask = || request(Method::GET, "/totals?format=csv&table=clubs", &admin(), Body::empty());
    // Eight megabytes, of which somebody takes the first part and no more.
    let first = club.router.clone().oneshot(ask()).await.unwrap();
    assert_eq!(first.status(), 200);
    let mut taken = first.into_body().into_data_stream();
    assert!(taken.next().await.unwrap().is_ok());
    club.get("/totals?format=csv&table=clubs", &admin()).await.assert_problem(503, "overloaded");
    assert_eq!(club.get("/club/visits", &owner(1)).await.status, 200, "others are answered");
    // Once it is taken whole there is room for the next.
    let mut bytes = 0;
    while let Some(part) = taken.next().await {
        bytes += part.unwrap().len();
    }
    assert!(bytes > 8_000_000, "{bytes}");
    while club.get("/totals?format=csv&table=clubs", &admin()).await.status != 200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_made_is_a_problem_like_any_other() {
    let settings = quick(|settings| settings.temporary_folder = Some("/nowhere/at/all".into()));
    let club = Club::of(empty(settings));
    let rows = json!([{"id": 1, "name": "x".repeat(40_000)}]);
    club.post("/v1/tables/clubs/rows", &admin(), &rows).await;
    club.get("/totals?format=xlsx", &admin()).await.assert_problem(503, "unavailable");
    let club = Club::of(empty(quick(|_| ())));
    club.post("/v1/tables/clubs/rows", &admin(), &rows).await;
    let long = club.get("/totals?format=xlsx", &admin()).await;
    long.assert_problem(413, "too_large");
    assert!(long.text().contains("name") && long.text().contains("32767"), "{}", long.text());
    assert_eq!(club.get("/totals?format=csv&table=clubs", &admin()).await.status, 200);
}

#[tokio::test]
async fn a_head_request_makes_no_file_to_the_end() {
    let club = Club::open().await;
    for format in ["csv", "xlsx", "parquet"] {
        let path = format!("/totals?table=clubs&format={format}");
        let answer = club.send(request(Method::HEAD, &path, &admin(), Body::empty())).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
    }
}

#[tokio::test]
async fn half_a_file_does_not_pass_for_a_whole() {
    let club = Club::open().await;
    let tester = token(json!({"role": "tester", "tenant": 1}));
    for format in ["csv", "ndjson"] {
        let path = format!("/club/late?format={format}");
        let response = club.router.clone().oneshot(request(Method::GET, &path, &tester, Body::empty())).await;
        let response = response.unwrap();
        assert_eq!(response.status(), 200, "it failed after it had begun");
        let mut parts = response.into_body().into_data_stream();
        let mut bytes = 0;
        let ended = loop {
            match parts.next().await {
                Some(Ok(part)) => bytes += part.len(),
                Some(Err(_)) => break "broken",
                None => break "whole",
            }
        };
        assert!(ended == "broken" && bytes > 1_000_000, "{format}: {ended} after {bytes} bytes");
    }
    // What holds its rows until the sheet is whole has not begun.
    club.get("/club/late?format=xlsx", &tester).await.assert_problem(422, "report_unanswerable");
    club.get("/club/late", &tester).await.assert_problem(422, "report_unanswerable");
}

#[tokio::test]
async fn a_stop_waits_for_a_file_that_is_being_taken() {
    let server = empty(quick(|_| {}));
    let club = Club::of(server.clone());
    let names: Json = (0..20_000).map(|id| json!({"id": id, "name": "x".repeat(300)})).collect();
    club.post("/v1/tables/clubs/rows", &admin(), &names).await;
    let (address, stop, running) = crate::lifetime::listening(server.clone()).await;
    let mut caller = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "GET /totals?format=ndjson&table=clubs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
        admin()
    );
    caller.write_all(head.as_bytes()).await.unwrap();
    let mut begin = [0; 12];
    caller.read_exact(&mut begin).await.unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");
    stop.send(()).unwrap();
    while server.phase() != Phase::Draining {
        tokio::task::yield_now().await;
    }
    let mut rest = Vec::new();
    caller.read_to_end(&mut rest).await.unwrap();
    assert!(rest.len() > 6_000_000 && rest.ends_with(b"0\r\n\r\n"), "{} bytes", rest.len());
    assert!(running.await.unwrap(), "all that ran was finished");
    server.close().unwrap();
}
