//! Files with every fault that they may have: what is refused, what is said, and that the rest loads.

use std::io::{self, Read, Write};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray, UInt64Array};
use arrow::util::display::array_value_to_string;
use ebbtide_model::pack::{Cast, FileFormat, Source as PackSource};
use ebbtide_model::{Column, ColumnType, TableKind, TableName, TableSchema, TenantId, TenantRule};
use serde_json::json;

use super::*;

/// id int, name text?, at timestamp?, paid decimal?
fn table() -> TableSchema {
    let column = |name: &str, column_type, nullable| Column { name: name.to_owned(), column_type, nullable };
    TableSchema {
        name: TableName::new("orders"),
        kind: TableKind::Events,
        columns: vec![
            column("id", ColumnType::Int, false),
            column("name", ColumnType::Text, true),
            column("at", ColumnType::Timestamp, true),
            column("paid", ColumnType::Decimal, true),
        ],
        key: vec![0],
        tenant: TenantRule::Fixed(TenantId::new("main")),
        actor: None,
        time: Some(2),
        event_name: None,
        open: None,
        aliases: None,
        actor_props: None,
    }
}

fn source(format: FileFormat) -> PackSource {
    PackSource {
        table: TableName::new("orders"),
        file: "*".to_owned(),
        format,
        header: true,
        columns: None,
        renames: vec![],
        casts: vec![],
        nulls: vec![],
        ignore_unknown: false,
    }
}

fn plan(source: &PackSource) -> FilePlan {
    FilePlan::by_source(Arc::from("orders.x"), &table(), source, plan::Packing::Plain).unwrap()
}

/// Rows as `line:id|name|at|paid` and refusals as `line:column:code`, both in the order of lines; an
/// error of the whole file as its text.
fn outcome(chunks: impl Iterator<Item = Result<Chunk, SourceError>>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut end = Vec::new();
    for chunk in chunks {
        match chunk {
            Ok(Chunk { rows, rejects }) => {
                for (row, line) in rows.positions.iter().enumerate() {
                    let cells = rows.batch.columns().iter();
                    let cells: Vec<String> =
                        cells.map(|cell| array_value_to_string(cell, row).unwrap()).collect();
                    lines.push((*line, format!("{line}:{}", cells.join("|"))));
                }
                lines.extend(rejects.iter().map(|reject| {
                    let column = reject.column.as_deref().unwrap_or("");
                    (reject.line, format!("{}:{column}:{}", reject.line, reject.code.as_str()))
                }));
            }
            Err(error) => end.push(error.to_string()),
        }
    }
    lines.sort();
    lines.into_iter().map(|(_, line)| line).chain(end).collect()
}

fn read(source: &PackSource, bytes: &[u8]) -> Vec<String> {
    match Source::from_stream(&plan(source), Box::new(io::Cursor::new(bytes.to_vec()))) {
        Ok(chunks) => outcome(chunks),
        Err(error) => vec![error.to_string()],
    }
}

/// Gives a byte at a time, so that every record meets the edge of what was read.
struct Dribble(io::Cursor<Vec<u8>>);

impl Read for Dribble {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let one = buffer.len().min(1);
        self.0.read(&mut buffer[..one])
    }
}

fn check(source: &PackSource, bytes: &[u8], want: &[&str]) {
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]);
    assert_eq!(read(source, bytes), want, "{shown}");
    if bytes.len() < 10_000 {
        let dribble = Dribble(io::Cursor::new(bytes.to_vec()));
        let slow = match Source::from_stream(&plan(source), Box::new(dribble)) {
            Ok(chunks) => outcome(chunks),
            Err(error) => vec![error.to_string()],
        };
        assert_eq!(slow, want, "byte by byte: {shown}");
    }
}

#[test]
fn csv_rows_are_read_or_refused_with_their_line() {
    let csv = source(FileFormat::Csv);
    let check = |text: &str, want: &[&str]| check(&csv, text.as_bytes(), want);
    check("id,name\n1,a\n2,\n", &["2:1|a||", "3:2|||"]);
    check("\u{feff}id,name\r\n1,a\r\n\r\n2,b", &["2:1|a||", "4:2|b||"]);
    check("name, id\n\"x, \"\"y\"\"\",1\n", &["2:1|x, \"y\"||"]);
    check("id,name\n1,\"two\nlines\"\n2,b\n", &["2:1|two\nlines||", "4:2|b||"]);
    check("id,name\n1,5\" pipe\n2,b\n", &["2:1|5\" pipe||", "3:2|b||"]);
    check("id,name\n1\n2,b,c\n3,d\n", &["2::too_few_fields", "3::too_many_fields", "4:3|d||"]);
    check(
        "id,paid\n1,1.5\n2,2\n3,3\n4,4\n5,5\nsix,6\n7,7\n",
        &[
            "2:1|||1.500000000",
            "3:2|||2.000000000",
            "4:3|||3.000000000",
            "5:4|||4.000000000",
            "6:5|||5.000000000",
            "7:id:wrong_type",
            "8:7|||7.000000000",
        ],
    );
    check(
        "id,at\n1,2024-02-29T10:00:00+01:00\n2,yesterday\n",
        &["2:1||2024-02-29T09:00:00Z|", "3:at:wrong_type"],
    );
    check("id,name\n1,a\n2,\"b\n3,c\n4,d\n", &["2:1|a||", "3::unclosed_quote"]);
    check("id,name\n", &[]);
    check("id", &[]);
}

#[test]
fn a_file_whose_columns_do_not_fit_is_refused_whole() {
    let csv = source(FileFormat::Csv);
    let check = |text: &str, want: &str| check(&csv, text.as_bytes(), &[want]);
    check("", "orders.x: is empty; its first line must name the columns");
    check("name\na\n", "orders.x: lacks the column id, which table orders requires");
    check(
        "id,nam\n1,a\n",
        "orders.x: table orders has no column \"nam\" (did you mean \"name\"?); its columns are id, name, at, paid",
    );
    check("id,id\n1,2\n", "orders.x: has two columns for \"id\" of table orders");
    let broken = b"id,\xff\n1,2\n";
    let want = "orders.x: its first line cannot be read as a header: it is not UTF-8";
    self::check(&csv, broken, &[want]);
}

#[test]
fn broken_utf8_refuses_its_row_alone() {
    for format in [FileFormat::Csv, FileFormat::Whitespace] {
        let separator: &[u8] = if format == FileFormat::Csv { b"," } else { b" " };
        let bytes =
            [&b"id"[..], separator, b"name\n1", separator, b"\xe2\x82\n2", separator, b"\xe2\x82\xac\n"]
                .concat();
        check(&source(format), &bytes, &["2::broken_utf8", "3:2|€||"]);
    }
    // A character may not begin in one cell and end in the next.
    check(
        &source(FileFormat::Csv),
        b"name,id,paid\n\xe2\"\x82\xac,1,\n\xc3,\xa9,1\nok,2,\n",
        &["2::broken_utf8", "3::broken_utf8", "4:2|ok||"],
    );
    check(
        &source(FileFormat::Ndjson),
        b"{\"id\":1,\"name\":\"\xff\"}\n{\"id\":2}\n",
        &["1::broken_utf8", "2:2|||"],
    );
}

#[test]
fn a_record_past_the_bound_is_refused_and_the_rest_loads() {
    let long = "x".repeat(RECORD_BYTES_MAX + 1);
    let csv = source(FileFormat::Csv);
    check(
        &csv,
        format!("id,name\n1,a\n2,{long}\n3,c\n").as_bytes(),
        &["2:1|a||", "3::record_too_long", "4:3|c||"],
    );
    check(
        &csv,
        format!("id,name\n2,\"{long}\n{long}\"\n3,c\n").as_bytes(),
        &["2::record_too_long", "4:3|c||"],
    );
    check(&csv, format!("id,name\n2,{long}").as_bytes(), &["2::record_too_long"]);
    check(&csv, format!("id,name\n2,\"{long}\n\n").as_bytes(), &["2::unclosed_quote"]);
    let most = "x".repeat(RECORD_BYTES_MAX - "1,\n".len());
    assert_eq!(read(&csv, format!("id,name\n1,{most}\n").as_bytes()).len(), 1);
    let ndjson = source(FileFormat::Ndjson);
    check(
        &ndjson,
        format!("{{\"id\":1}}\n{{\"id\":2,\"name\":\"{long}\"}}\n{{\"id\":3}}").as_bytes(),
        &["1:1|||", "2::record_too_long", "3:3|||"],
    );
    check(
        &source(FileFormat::Whitespace),
        format!("id name\n1 {long}\n2 b").as_bytes(),
        &["2::record_too_long", "3:2|b||"],
    );
}

/// Gives a line of 300 MB between two good ones, without ever holding it.
struct LongLine {
    before: io::Cursor<&'static [u8]>,
    long: io::Take<io::Repeat>,
    after: io::Cursor<&'static [u8]>,
}

impl Read for LongLine {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for part in [&mut self.before as &mut dyn Read, &mut self.long, &mut self.after] {
            let bytes = part.read(buffer)?;
            if bytes > 0 {
                return Ok(bytes);
            }
        }
        Ok(0)
    }
}

#[test]
fn a_line_of_300_megabytes_is_passed_over() {
    let check = |format, before: &'static [u8], after: &'static [u8], want: &[&str]| {
        let long = io::repeat(b'x').take(300_000_000);
        let input = LongLine { before: io::Cursor::new(before), long, after: io::Cursor::new(after) };
        let chunks = Source::from_stream(&plan(&source(format)), Box::new(input)).unwrap();
        assert_eq!(outcome(chunks), want, "{format:?}");
    };
    check(FileFormat::Csv, b"id,name\n1,a\n2,", b"\n3,c\n", &["2:1|a||", "3::record_too_long", "4:3|c||"]);
    check(
        FileFormat::Ndjson,
        b"{\"id\":1}\n",
        b"\n{\"id\":3}\n",
        &["1:1|||", "2::record_too_long", "3:3|||"],
    );
}

#[test]
fn ndjson_lines_keep_their_types() {
    let ndjson = source(FileFormat::Ndjson);
    let check = |text: &str, want: &[&str]| check(&ndjson, text.as_bytes(), want);
    check("{\"id\":1,\"name\":\"a\"}\n\n{\"name\":null,\"id\":2}", &["1:1|a||", "3:2|||"]);
    check("{\"id\":\"1\"}\n", &["1:id:wrong_type"]);
    check("{\"id\":1,\"name\":5}\n", &["1:name:wrong_type"]);
    check("{\"id\":1.0,\"paid\":1.5}\n{\"id\":1.5}\n", &["1:1|||1.500000000", "2:id:wrong_type"]);
    check("{\"id\":1,\"paid\":\"12.50\"}\n", &["1:1|||12.500000000"]);
    check("{\"id\":18446744073709551615}\n", &["1:id:wrong_type"]);
    check("{\"id\":1,\"nmae\":\"a\"}\n", &["1:nmae:unknown_column"]);
    check("{\"id\":1,\"id\":2}\n{\"id\":3}\n", &["1:id:repeated_column", "2:3|||"]);
    check(
        "{\"id\":1,\"name\":{\"a\":[1]}}\n{\"id\":1,\"name\":[\"a\"]}\n",
        &["1:name:wrong_type", "2:name:wrong_type"],
    );
    check(
        "[1]\n7\n{\"id\":1\n{\"id\":1}x\n{\"id\":4}\n",
        &["1::broken_json", "2::broken_json", "3::broken_json", "4::broken_json", "5:4|||"],
    );
    check("{\"id\":1,\"name\":\"\\u00e9\\n\"}\n", &["1:1|é\n||"]);
    check("", &[]);
}

#[test]
fn nesting_is_bounded() {
    let mut ignoring = source(FileFormat::Ndjson);
    ignoring.ignore_unknown = true;
    let deep = format!(
        "{{\"id\":1,\"x\":{}{}}}\n{{\"id\":2,\"x\":[[1]]}}\n",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let got = read(&ignoring, deep.as_bytes());
    assert_eq!(got.last().map(String::as_str), Some("2:2|||"));
    assert_eq!(got.len(), 2);
}

#[test]
fn whitespace_separates_however_much_there_is() {
    let spaced = source(FileFormat::Whitespace);
    check(&spaced, b" id  name\n  1\ta  \n\n 2 b\r\n 3\n", &["2:1|a||", "4:2|b||", "5::too_few_fields"]);
    let mut headless = source(FileFormat::Whitespace);
    headless.header = false;
    headless.columns = Some(["id", "at", "paid"].map(str::to_owned).to_vec());
    let pattern = Cast::Time { pattern: "%Y%m%d".to_owned(), zone: None };
    headless.casts = vec![("at".to_owned(), pattern)];
    check(
        &headless,
        b" 1 19970101 11.77\n 2 19970231 1\n",
        &["1:1||1997-01-01T00:00:00Z|11.770000000", "2:at:wrong_type"],
    );
}

#[test]
fn a_source_renames_casts_and_passes_over() {
    let mut mapped = source(FileFormat::Csv);
    mapped.renames = vec![("order no".to_owned(), "id".to_owned()), ("paid".to_owned(), "name".to_owned())];
    mapped.casts = vec![("at".to_owned(), Cast::EpochSeconds)];
    mapped.nulls = vec!["?".to_owned(), "N/A".to_owned()];
    mapped.ignore_unknown = true;
    check(
        &mapped,
        b"order no,junk,paid,at\n1,x,cash,1709164800\n2,y,?,N/A\n",
        &["2:1|cash|2024-02-29T00:00:00Z|", "3:2|||"],
    );
    // What is renamed away leaves its own name free, and nothing in its place.
    check(&mapped, b"id,at\n1,2\n", &["orders.x: lacks the column id, which table orders requires"]);
    mapped.format = FileFormat::Ndjson;
    check(
        &mapped,
        b"{\"order no\":1,\"paid\":\"cash\",\"at\":1709164800.5,\"junk\":{\"a\":[]}}\n",
        &["1:1|cash|2024-02-29T00:00:00.500Z|"],
    );
}

#[test]
fn chunks_are_bounded_and_lose_nothing() {
    let mut text = String::from("id,name\n");
    for id in 0..150_000 {
        text.push_str(&if id % 1_000 == 7 { "x,y\n".to_owned() } else { format!("{id},n{id}\n") });
    }
    let csv = source(FileFormat::Csv);
    let chunks = Source::from_stream(&plan(&csv), Box::new(io::Cursor::new(text.into_bytes()))).unwrap();
    let mut counts = (0, 0);
    for chunk in chunks {
        let chunk = chunk.unwrap();
        assert!(chunk.rows.positions.len() + chunk.rejects.len() <= 65_536);
        assert_eq!(chunk.rows.positions.len(), chunk.rows.batch.num_rows());
        counts = (counts.0 + chunk.rows.positions.len(), counts.1 + chunk.rejects.len());
    }
    assert_eq!(counts, (149_850, 150));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// Writes a file of this name into a folder of its own and reads it by a source for every name.
fn read_file(name: &str, format: FileFormat, packing: plan::Packing, bytes: &[u8]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    #[expect(clippy::disallowed_methods, reason = "the file is the test's own")]
    std::fs::write(&path, bytes).unwrap();
    let plan = FilePlan::by_source(Arc::from(name), &table(), &source(format), packing).unwrap();
    match Source::open(&path, &plan) {
        Ok(chunks) => outcome(chunks),
        Err(error) => vec![error.to_string()],
    }
}

#[test]
fn a_packed_file_is_unpacked_as_it_is_read() {
    let two_members = [gzip(b"id,name\n1,a\n"), gzip(b"2,b\n")].concat();
    let read = |bytes: &[u8]| read_file("o.csv.gz", FileFormat::Csv, plan::Packing::Gzip, bytes);
    assert_eq!(read(&two_members), ["2:1|a||", "3:2|b||"]);
    let cut = &two_members[..two_members.len() - 6];
    let got = read(cut);
    assert_eq!(got[0], "2:1|a||", "what came before the failure stands");
    assert!(
        got.last().is_some_and(|line| line.starts_with("o.csv.gz: is not a whole gzip file: ")),
        "{got:?}"
    );
    let got = read(b"id,name\n1,a\n");
    assert!(got[0].starts_with("o.csv.gz: is not a whole gzip file: "), "{got:?}");
}

#[test]
fn a_gzip_bomb_is_told_and_not_followed() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(b"id,name\n1,a\n").unwrap();
    io::copy(&mut io::repeat(b'0').take(80 << 20), &mut packed).unwrap();
    let got = read_file("bomb.csv.gz", FileFormat::Csv, plan::Packing::Gzip, &packed.finish().unwrap());
    assert_eq!((got.len(), got[0].as_str()), (2, "2:1|a||"), "{got:?}");
    assert!(got[1].starts_with("bomb.csv.gz: unpacks to more than 200 times its size"), "{got:?}");
}

fn parquet_file(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties =
        parquet::file::properties::WriterProperties::builder().set_max_row_group_row_count(Some(2)).build();
    let mut bytes = Vec::new();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn read_parquet(bytes: &[u8]) -> Vec<String> {
    read_file("o.parquet", FileFormat::Parquet, plan::Packing::Plain, bytes)
}

fn orders() -> Vec<u8> {
    let times = TimestampMillisecondArray::from(vec![0, 1, 2, 3]);
    parquet_file(vec![
        ("name", Arc::new(StringArray::from(vec![Some("a"), None, Some("c"), Some("d")]))),
        ("id", Arc::new(UInt64Array::from(vec![1, 2, u64::MAX, 4]))),
        ("at", Arc::new(times)),
    ])
}

#[test]
fn parquet_columns_go_by_name_and_rows_that_do_not_fit_are_refused() {
    assert_eq!(
        read_parquet(&orders()),
        [
            "1:1|a|1970-01-01T00:00:00Z|",
            "2:2||1970-01-01T00:00:00.001Z|",
            "3:id:wrong_type",
            "4:4|d|1970-01-01T00:00:00.003Z|",
        ]
    );
    let texts = parquet_file(vec![("id", Arc::new(StringArray::from(vec!["1"])))]);
    assert_eq!(
        read_parquet(&texts),
        ["o.parquet: column \"id\" holds Utf8, which does not become int of table orders"]
    );
    let other = parquet_file(vec![
        ("id", Arc::new(Int64Array::from(vec![1]))),
        ("x", Arc::new(Int64Array::from(vec![1]))),
    ]);
    assert!(read_parquet(&other)[0].contains("has no column \"x\""));
}

#[test]
fn a_damaged_parquet_file_is_an_error_that_names_it() {
    let whole = orders();
    for length in 0..whole.len() {
        let got = read_parquet(&whole[..length]);
        assert!(
            got.last().is_some_and(|line| line.starts_with("o.parquet: is damaged")),
            "{length}: {got:?}"
        );
    }
    // A flipped bit may go unnoticed by a format without checksums; it may not end the process.
    for index in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[index] ^= 0x55;
        read_parquet(&flipped);
    }
}

#[test]
fn rows_of_json_keep_their_index() {
    let rows = [
        json!({"id": 1, "name": "a"}),
        json!({"id": "2"}),
        json!({"nam": "b", "id": 3}),
        json!([4]),
        json!({"id": 5, "at": "2024-02-29", "paid": "1.5"}),
        json!({"id": 6, "name": {"x": 1}}),
    ];
    let JsonRows { mut rows, rejected } = rows_from_json(&table(), &rows).unwrap();
    let rows = rows.remove(0);
    assert_eq!(rows.positions, [0, 4]);
    let chunk = Chunk { rows, rejects: vec![] };
    assert_eq!(outcome([Ok(chunk)].into_iter()), ["0:1|a||", "4:5||2024-02-29T00:00:00Z|1.500000000"]);
    let told: Vec<String> = rejected
        .iter()
        .map(|row| format!("{} {} {}", row.index, row.column.as_deref().unwrap_or("-"), row.code))
        .collect();
    assert_eq!(told, ["1 id wrong_type", "2 nam unknown_column", "3 - broken_json", "5 name wrong_type"]);
    assert!(rejected[1].detail.contains("did you mean \"name\"?"), "{}", rejected[1].detail);
}
