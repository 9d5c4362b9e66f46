//! Every format is read back, and equals the rows of the answer.

mod sheet;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, TimestampMicrosecondType};
use arrow::util::display::array_value_to_string;
use serde_json::{Value as Json, json};

use super::*;
use crate::report::{Answer, CellType, Column, List, ListColumn};

fn as_of() -> Instant {
    Instant::parse("2026-02-28T14:59:59.999999Z").unwrap()
}

fn typed(name: &str, cell_type: CellType) -> ListColumn {
    ListColumn { name: name.to_owned(), cell_type: Some(cell_type) }
}

/// An answer with one list, of these columns and rows.
fn answer(columns: Vec<ListColumn>, rows: Json) -> Arc<Answer> {
    let lists = vec![List { path: "rows".to_owned(), columns }];
    Arc::new(Answer { body: json!({"rows": rows}), lists, changes_at: as_of(), is_settled: true })
}

fn export(format: ExportFormat, lists: Vec<ExportList>) -> Export {
    Export {
        format,
        report: "visits".to_owned(),
        as_of: as_of(),
        lists,
        temporary_folder: std::env::temp_dir(),
    }
}

fn file(format: ExportFormat, answer: &Arc<Answer>) -> Vec<u8> {
    let list = ExportList::of_answer("rows", answer.clone(), "rows");
    let mut file = Vec::new();
    export(format, vec![list]).write(&mut file).unwrap();
    file
}

fn book(lists: Vec<ExportList>, sheet_rows_max: u32) -> Vec<sheet::Sheet> {
    let mut file = Vec::new();
    xlsx::write(export(ExportFormat::Xlsx, lists), sheet_rows_max, &mut file).unwrap();
    sheet::read(&file)
}

fn parquet_batch(file: Vec<u8>) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(axum::body::Bytes::from(file)).unwrap();
    let schema = reader.schema().clone();
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    arrow::compute::concat_batches(&schema, &batches).unwrap()
}

fn csv_of(columns: &[&str], rows: Json) -> String {
    let columns = columns.iter().copied().map(ListColumn::untyped).collect();
    String::from_utf8(file(ExportFormat::Csv, &answer(columns, rows))).unwrap()
}

/// One row of every type, one of nulls, one of the ends of what each holds.
fn of_all_types() -> Arc<Answer> {
    let columns = vec![
        typed("id", CellType::Int),
        typed("big", CellType::Unsigned),
        typed("share", CellType::Float),
        typed("euros", CellType::Decimal { precision: 20, scale: 2 }),
        typed("at", CellType::Timestamp),
        typed("day", CellType::Date),
        typed("open", CellType::Bool),
        typed("name", CellType::Text),
        ListColumn::untyped("parts"),
    ];
    let nulls: serde_json::Map<String, Json> =
        columns.iter().map(|column| (column.name.clone(), Json::Null)).collect();
    let rows = json!([
        {"id": 1, "big": 7, "share": 0.1, "euros": 12.5, "at": "2026-01-02T03:04:05.000006Z", "day": "2026-02-28",
         "open": true, "name": "Zoë 🐚 \u{202e}", "parts": [1, {"a": null}]},
        nulls,
        {"id": -9_007_199_254_740_993_i64, "big": u64::MAX, "share": -1e300, "euros": 3, "at": "0001-01-01T00:00:00Z",
         "day": "9999-12-31", "open": false, "name": "", "parts": {"x": "=1"}},
    ]);
    answer(columns, rows)
}

#[test]
fn lines_of_json_are_the_rows_as_they_are() {
    let answer = of_all_types();
    let lines = String::from_utf8(file(ExportFormat::Ndjson, &answer)).unwrap();
    let read: Vec<Json> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(Json::from(read), answer.body["rows"]);
    assert!(lines.ends_with("}\n"));
    assert_eq!(file(ExportFormat::Ndjson, &super::tests::answer(Vec::new(), json!([]))), b"");
}

#[test]
fn parquet_keeps_every_type() {
    let answer = of_all_types();
    let batch = parquet_batch(file(ExportFormat::Parquet, &answer));
    let types: Vec<String> =
        batch.schema().fields().iter().map(|field| field.data_type().to_string()).collect();
    let want = [
        "Int64",
        "UInt64",
        "Float64",
        "Decimal128(20, 2)",
        "Timestamp(µs, \"UTC\")",
        "Date32",
        "Boolean",
        "Utf8",
        "Utf8",
    ];
    assert_eq!(types, want);
    let rows: Vec<Vec<Option<String>>> = (0..batch.num_rows())
        .map(|row| {
            let cell = |array: &arrow::array::ArrayRef| {
                array.is_valid(row).then(|| array_value_to_string(array, row).unwrap())
            };
            batch.columns().iter().map(cell).collect()
        })
        .collect();
    let texts = |cells: [&str; 9]| cells.map(|cell| Some(cell.to_owned())).to_vec();
    assert_eq!(
        rows[0],
        texts([
            "1",
            "7",
            "0.1",
            "12.50",
            "2026-01-02T03:04:05.000006Z",
            "2026-02-28",
            "true",
            "Zoë 🐚 \u{202e}",
            "[1,{\"a\":null}]"
        ])
    );
    assert_eq!(rows[1], vec![None; 9]);
    assert_eq!(
        rows[2],
        texts([
            "-9007199254740993",
            "18446744073709551615",
            "-1e300",
            "3.00",
            "0001-01-01T00:00:00Z",
            "9999-12-31",
            "false",
            "",
            "{\"x\":\"=1\"}"
        ])
    );
}

#[test]
fn parquet_of_no_rows_has_its_columns_and_their_types() {
    let columns = vec![typed("id", CellType::Int), ListColumn::untyped("name")];
    let batch = parquet_batch(file(ExportFormat::Parquet, &answer(columns, json!([]))));
    assert_eq!(batch.num_rows(), 0);
    assert_eq!(batch.schema().field(0).data_type(), &DataType::Int64);
    assert_eq!(batch.schema().field(1).data_type(), &DataType::Utf8);
    let none = parquet_batch(file(ExportFormat::Parquet, &answer(Vec::new(), json!([]))));
    assert_eq!((none.num_rows(), none.num_columns()), (0, 0));
}

#[test]
fn parquet_numbers_are_numbers() {
    let batch = parquet_batch(file(ExportFormat::Parquet, &of_all_types()));
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(0), 1);
    assert_eq!(batch.column(3).as_primitive::<Decimal128Type>().value(0), 1250);
    let at = Instant::parse("2026-01-02T03:04:05.000006Z").unwrap().micros();
    assert_eq!(batch.column(4).as_primitive::<TimestampMicrosecondType>().value(0), at);
}

#[test]
fn a_spreadsheet_keeps_numbers_dates_truths_and_texts() {
    use sheet::Cell::{Bool, Empty, Number, Text};
    let text = |text: &str| Text(text.to_owned());
    let sheets = book(vec![ExportList::of_answer("rows", of_all_types(), "rows")], 100);
    assert_eq!(sheets.len(), 1);
    assert_eq!(sheets[0].name, "rows");
    let header: Vec<sheet::Cell> =
        ["id", "big", "share", "euros", "at", "day", "open", "name", "parts"].map(text).to_vec();
    assert_eq!(sheets[0].rows[0], header);
    let first = &sheets[0].rows[1];
    assert_eq!(first[..4], [Number(1.0), Number(7.0), Number(0.1), Number(12.5)]);
    let Number(at) = first[4] else { panic!("{first:?}") };
    // 46,024 days after the last of 1899, and back to the microsecond.
    let day_micros = 86_400_000_000.0;
    let want = Instant::parse("2026-01-02T03:04:05.000006Z").unwrap().micros();
    assert_eq!((((at - 25_569.0) * day_micros) / 2.0).round(), (want as f64 / 2.0).round());
    assert_eq!(first[5..], [Number(46_081.0), Bool(true), text("Zoë 🐚 \u{202e}"), text("[1,{\"a\":null}]")]);
    assert_eq!(sheets[0].rows[2], vec![Empty; 9]);
    // What a spreadsheet would round or has no day for is the answer's text.
    let last = &sheets[0].rows[3];
    assert_eq!(last[0], text("-9007199254740993"));
    assert_eq!(last[1], text("18446744073709551615"));
    assert_eq!(last[2..4], [Number(-1e300), Number(3.0)]);
    assert_eq!(last[4..7], [text("0001-01-01T00:00:00Z"), Number(2_958_465.0), Bool(false)]);
    assert_eq!(last[7..], [Empty, text("{\"x\":\"=1\"}")]);
}

#[test]
fn a_text_that_a_spreadsheet_would_run_gets_an_apostrophe_in_csv() {
    let check = |cell: Json, want: &str| {
        assert_eq!(csv_of(&["a", "b"], json!([{"a": cell, "b": 1}])), format!("a,b\r\n{want},1\r\n"));
    };
    check(json!("=1+1"), "'=1+1");
    check(json!("+49"), "'+49");
    check(json!("-Minus Ltd"), "'-Minus Ltd");
    check(json!("@home"), "'@home");
    check(json!("\tx"), "'\tx");
    check(json!("\rx"), "\"'\rx\"");
    check(json!("\n=x"), "\"'\n=x\"");
    check(json!("＝1"), "'＝1");
    check(json!("a=1"), "a=1");
    check(json!(-5), "-5");
    check(json!(-0.5), "-0.5");
    check(json!(null), "");
    check(json!(true), "true");
    check(json!("say \"no\", now"), "\"say \"\"no\"\", now\"");
    check(json!("two\nlines"), "\"two\nlines\"");
    check(json!([1, null]), "\"[1,null]\"");
    assert_eq!(csv_of(&["=a"], json!([])), "'=a\r\n");
}

#[test]
fn a_text_that_a_spreadsheet_would_run_is_a_text_in_a_spreadsheet_and_marked_as_one() {
    let rows: Vec<Json> = ["=1+1", "+49", "-x", "@home", "\t=1", "\r=1", "＝1", "plain", "a=1"]
        .map(|text| json!({"a": text}))
        .to_vec();
    let answer = answer(vec![typed("a", CellType::Text)], json!(rows));
    let sheets = book(vec![ExportList::of_answer("rows", answer, "rows")], 100);
    for (row, (cells, marked)) in rows.iter().zip(sheets[0].rows[1..].iter().zip(&sheets[0].marked[1..])) {
        let text = row["a"].as_str().unwrap();
        assert_eq!(cells[0], sheet::Cell::Text(text.to_owned()), "the characters are the answer's");
        assert_eq!(marked[0], !text.contains("plain") && text != "a=1", "{text}");
    }
    assert!(!sheets[0].has_formula);
}

#[test]
fn characters_that_xml_does_not_have_come_back() {
    for text in ["\u{1}\u{8}", "_x0041_", "a\rb", " both ", "<&>\"'", "\u{fffe}", "😀"] {
        let answer = answer(vec![typed("a", CellType::Text)], json!([{"a": text}]));
        let sheets = book(vec![ExportList::of_answer("rows", answer, "rows")], 100);
        assert_eq!(sheets[0].rows[1][0], sheet::Cell::Text(text.to_owned()), "{text:?}");
    }
}

#[test]
fn a_list_that_is_longer_than_a_sheet_goes_on_on_the_next() {
    let check = |rows: usize, want: &[usize]| {
        let answer = answer(
            vec![typed("n", CellType::Int)],
            (0..rows).map(|n| json!({"n": n})).collect::<Vec<Json>>().into(),
        );
        let sheets = book(vec![ExportList::of_answer("rows", answer, "rows")], 4);
        let lengths: Vec<usize> = sheets.iter().map(|sheet| sheet.rows.len() - 1).collect();
        assert_eq!(lengths, want, "{rows} rows");
        let header = vec![sheet::Cell::Text("n".to_owned())];
        assert!(sheets.iter().all(|sheet| sheet.rows[0] == header));
        let numbers = sheets.iter().flat_map(|sheet| &sheet.rows[1..]).map(|row| row[0].clone());
        assert!(numbers.eq((0..rows).map(|n| sheet::Cell::Number(n as f64))));
    };
    check(0, &[0]);
    check(3, &[3]);
    check(4, &[3, 1]);
    check(6, &[3, 3]);
    check(7, &[3, 3, 1]);
}

#[test]
fn every_list_has_a_sheet_of_its_own_name() {
    let lists = ["by_store", "By_Store", "analytics.sessions/by_mentor_and_month_and_week"]
        .map(|name| ExportList::new(name, Made::of_rows(1, Arc::default())));
    let sheets = book(lists.into(), 100);
    let names: Vec<&str> = sheets.iter().map(|sheet| sheet.name.as_str()).collect();
    assert_eq!(names, ["by_store", "By_Store (2)", "analytics.sessions_by_mentor_an"]);
    assert!(sheets.iter().all(|sheet| sheet.rows.len() == 2));
}

#[test]
fn a_text_that_no_cell_holds_is_refused_with_its_column() {
    let check = |text: String, fits: bool| {
        let answer = answer(vec![typed("story", CellType::Text)], json!([{"story": text}]));
        let list = ExportList::of_answer("rows", answer, "rows");
        let written = export(ExportFormat::Xlsx, vec![list]).write(&mut Vec::new());
        match written {
            Ok(_) => assert!(fits),
            Err(error) => {
                assert!(!fits && error.kind() == ebbtide_model::ErrorKind::TooLarge, "{error}");
                assert!(error.to_string().contains("\"story\"") && error.to_string().contains("32767"));
            }
        }
    };
    check("x".repeat(32_767), true);
    check("x".repeat(32_768), false);
    check("é".repeat(32_767), true);
    check("😀".repeat(16_384), false);
}

#[test]
fn columns_are_those_declared_even_where_a_row_lacks_one_and_where_there_is_no_row() {
    assert_eq!(csv_of(&["b", "a"], json!([])), "b,a\r\n");
    assert_eq!(csv_of(&["b", "a"], json!([{"a": 1, "c": 2}])), "b,a,c\r\n,1,2\r\n");
    assert_eq!(csv_of(&["a"], json!([{}])), "a\r\n\"\"\r\n");
}

#[test]
fn an_answer_without_a_list_is_one_row() {
    let check = |body: Json, want: &str| {
        let answer = Arc::new(Answer { body, lists: Vec::new(), changes_at: as_of(), is_settled: true });
        let list = ExportList::of_answer("visits", answer, WHOLE);
        let mut file = Vec::new();
        export(ExportFormat::Csv, vec![list]).write(&mut file).unwrap();
        assert_eq!(String::from_utf8(file).unwrap(), want);
    };
    check(
        json!({"total": 3, "by": {"open": 1, "kept": {}}, "names": ["a"], "none": null}),
        "total,by.open,by.kept,names,none\r\n3,1,{},\"[\"\"a\"\"]\",\r\n",
    );
    check(json!(["a", "b"]), "value\r\na\r\nb\r\n");
    check(json!(7), "value\r\n7\r\n");
}

#[test]
fn the_same_question_is_the_same_bytes() {
    for format in ExportFormat::ALL {
        assert_eq!(file(format, &of_all_types()), file(format, &of_all_types()), "{format:?}");
    }
}

#[test]
fn a_files_name_says_what_it_holds_as_of_when() {
    let check = |format, chosen, want: &str| {
        assert_eq!(export(format, Vec::new()).file_name(chosen), want);
    };
    check(ExportFormat::Csv, None, "visits-2026-02-28T14-59-59.999999Z.csv");
    check(ExportFormat::Xlsx, Some("by.störe"), "visits-by.st-re-2026-02-28T14-59-59.999999Z.xlsx");
    check(ExportFormat::Parquet, Some(WHOLE), "visits-2026-02-28T14-59-59.999999Z.parquet");
}

/// Rows that are made as they are asked for.
struct Made {
    columns: Vec<Column>,
    rows: usize,
    made: Arc<AtomicUsize>,
}

const MADE_AT_A_TIME: usize = 8_000;

impl Made {
    fn of_rows(rows: usize, made: Arc<AtomicUsize>) -> Self {
        Self { columns: vec![Column { name: "n".to_owned(), cell_type: CellType::Int }], rows, made }
    }
}

impl OpenRows for Made {
    fn open(self: Box<Self>) -> Result<Box<dyn RowSource>, ExportError> {
        Ok(self)
    }
}

impl RowSource for Made {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn next(&mut self) -> Result<Option<Cow<'_, [Json]>>, ExportError> {
        let begin = self.made.load(Ordering::SeqCst);
        if begin == self.rows {
            return Ok(None);
        }
        let end = self.rows.min(begin + MADE_AT_A_TIME);
        self.made.store(end, Ordering::SeqCst);
        Ok(Some((begin..end).map(|n| json!({"n": n})).collect()))
    }
}

/// Takes a file, and looks at each write how many rows were made that it has not got yet.
struct Watching {
    made: Arc<AtomicUsize>,
    lines: usize,
    behind_max: usize,
}

impl Write for Watching {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.lines += bytes.iter().filter(|byte| **byte == b'\n').count();
        self.behind_max = self.behind_max.max(self.made.load(Ordering::SeqCst).saturating_sub(self.lines));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_million_rows_are_written_as_they_come() {
    const ROWS: usize = 1_000_000;
    for format in [ExportFormat::Csv, ExportFormat::Ndjson] {
        let made = Arc::new(AtomicUsize::new(0));
        let mut out = Watching { made: made.clone(), lines: 0, behind_max: 0 };
        let list = ExportList::new("rows", Made::of_rows(ROWS, made));
        assert_eq!(export(format, vec![list]).write(&mut out).unwrap(), 1_000_000);
        assert_eq!(out.lines, ROWS + usize::from(format == ExportFormat::Csv));
        // The rows at hand, and what the encoder's own buffer holds of those before.
        assert!(out.behind_max <= 2 * MADE_AT_A_TIME, "{format:?}: {} rows behind", out.behind_max);
    }
}
