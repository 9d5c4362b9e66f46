//! Files into an open table: their columns are themselves, `props` is unpacked, any other column is a property.

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array,
    Int64Array, ListArray, RecordBatch, StringArray, StructArray, TimestampMillisecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int64Type};
use arrow::util::display::array_value_to_string;
use ebbtide_model::TableName;
use ebbtide_model::pack::{FileFormat, Pack, Source as PackSource};

use super::*;

const PACK: &str = "
pack: track
tables:
  events: {kind: events, open: props, tenant: tenant, actor: actor, time: ts, columns: {tenant: text, actor: text, ts: timestamp}}
";

fn plan(format: FileFormat) -> FilePlan {
    let pack = Pack::parse(PACK).unwrap();
    let source = PackSource {
        table: TableName::new("events"),
        file: "*".to_owned(),
        format,
        header: true,
        columns: None,
        renames: vec![],
        casts: vec![],
        nulls: vec!["NULL".to_owned()],
        ignore_unknown: false,
    };
    FilePlan::by_source(Arc::from("events.x"), &pack.schema.tables[0], &source, plan::Packing::Plain).unwrap()
}

/// Each row as `actor` and its properties by stored name, and each refusal as line, column and code.
fn outcome(chunks: impl Iterator<Item = Result<Chunk, SourceError>>) -> Vec<String> {
    let mut told = Vec::new();
    for chunk in chunks {
        let Chunk { rows, rejects } = match chunk {
            Ok(chunk) => chunk,
            Err(error) => {
                told.push(error.to_string());
                continue;
            }
        };
        let schema = rows.batch.schema();
        for row in 0..rows.batch.num_rows() {
            let cells = schema.fields().iter().zip(rows.batch.columns()).skip(3);
            let cells = cells.filter(|(_, array)| !array.is_null(row));
            let mut cells: Vec<String> = cells
                .map(|(field, array)| {
                    format!("{}={}", field.name(), array_value_to_string(array, row).unwrap())
                })
                .collect();
            cells.sort();
            told.push(format!("{} {}", rows.batch.column(1).as_string::<i32>().value(row), cells.join(" ")));
        }
        for reject in rejects {
            told.push(format!(
                "{}:{}:{}",
                reject.line,
                reject.column.unwrap_or_default(),
                reject.code.as_str()
            ));
        }
    }
    told
}

fn check(format: FileFormat, text: &str, want: &[&str]) {
    let read = match Source::from_stream(&plan(format), Box::new(Cursor::new(text.as_bytes().to_vec()))) {
        Ok(chunks) => outcome(chunks),
        Err(error) => vec![error.to_string()],
    };
    assert_eq!(read, want, "{text}");
}

#[test]
fn a_column_of_csv_has_the_type_that_all_its_cells_have() {
    let check = |text: &str, want: &[&str]| check(FileFormat::Csv, text, want);
    check(
        "tenant,actor,ts,price,zip,ok,props\n\
         t,7,2026-01-01T00:00:00Z,1,0123,true,\n\
         t,a,2026-01-01T00:00:00Z,12.50,99,false,\"{\"\"plan\"\": \"\"pro\"\", \"\"n\"\": [1]}\"\n\
         t,b,2026-01-01T00:00:00Z,,NULL,,{}\n",
        &[
            "7 bool:ok=true int:price=1 text:zip=0123",
            "a bool:ok=false float:price=12.5 json:n=[1] text:plan=pro text:zip=99",
            "b ",
        ],
    );
    check(
        "tenant,actor,ts,mixed\nt,a,2026-01-01T00:00:00Z,true\nt,b,2026-01-01T00:00:00Z,1\n",
        &["a text:mixed=true", "b text:mixed=1"],
    );
    check(
        "tenant,actor,ts,n,props\nt,a,2026-01-01T00:00:00Z,1,\"{\"\"n\"\": 2}\"\nt,b,2026-01-01T00:00:00Z,3,[\nt,c,2026-01-01T00:00:00Z,4,\n",
        &["c int:n=4", "2:n:repeated_column", "3:props:broken_json"],
    );
    check("tenant,actor,ts,n,n\n", &["events.x: has two columns for \"n\" of table events"]);
    check(
        "tenant,actor,ts,\n",
        &[
            "events.x: its first line cannot be read as a header: a property's name has 0 bytes; allowed are 1 to 200",
        ],
    );
}

#[test]
fn what_the_first_rows_of_a_csv_column_are_the_later_ones_are_too() {
    let mut text = "tenant,actor,ts,n,zip\nt,z,2026-01-01T00:00:00Z,1,01\n".to_owned();
    for _ in 0..gathered::CHUNK_ROWS_MAX {
        text += "t,a,2026-01-01T00:00:00Z,2,3\n";
    }
    text += "t,b,2026-01-01T00:00:00Z,n/a,4\n";
    let chunks =
        Source::from_stream(&plan(FileFormat::Csv), Box::new(Cursor::new(text.into_bytes()))).unwrap();
    let told = outcome(chunks);
    assert_eq!(told[0], "z int:n=1 text:zip=01");
    assert_eq!(told[told.len() - 2..], ["a int:n=2 text:zip=3", "b text:n=n/a text:zip=4"]);
}

#[test]
fn a_line_of_json_says_of_which_kind_a_property_is() {
    check(
        FileFormat::Ndjson,
        r#"{"tenant": "t", "actor": 7, "ts": "2026-01-01T00:00:00Z", "price": 1, "props": {"plan": "pro", "nothing": null}}
{"tenant": "t", "actor": 8.5, "ts": "2026-01-01T00:00:00Z", "price": "1", "big": 18446744073709551615, "o": {"b": 1.0, "a": 2}}
{"tenant": "t", "actor": "c", "ts": "2026-01-01T00:00:00Z", "price": 1.0, "x": "NULL", "e": ""}
{"tenant": "t", "actor": "d", "ts": "2026-01-01T00:00:00Z", "x": 1, "x": 2}
{"tenant": "t", "actor": "e", "ts": "2026-01-01T00:00:00Z", "props": 5}
{"tenant": "t", "actor": "f", "ts": "2026-01-01T00:00:00Z", "props": "{\"plan\": \"pro\"}"}
{"tenant": "t", "actor": "g", "ts": "2026-01-01T00:00:00Z", "props": "plan"}
{"tenant": "t", "actor": "h", "ts": "2026-01-01T00:00:00Z", "props": "[1]"}
"#,
        &[
            "7 int:price=1 text:plan=pro",
            r#"8.5 json:big=18446744073709551615 json:o={"a":2,"b":1} text:price=1"#,
            "c float:price=1.0 text:e=",
            "f text:plan=pro",
            "4:x:repeated_column",
            "5:props:wrong_type",
            "7:props:broken_json",
            "8:props:wrong_type",
        ],
    );
}

fn read_parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<String> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.parquet");
    #[expect(clippy::disallowed_methods, reason = "the file is the test's own")]
    std::fs::write(&path, &bytes).unwrap();
    match Source::open(&path, &plan(FileFormat::Parquet)) {
        Ok(chunks) => outcome(chunks),
        Err(error) => vec![error.to_string()],
    }
}

fn own(rows: usize) -> Vec<(&'static str, ArrayRef)> {
    vec![
        ("tenant", Arc::new(Int32Array::from(vec![1; rows]))),
        ("actor", Arc::new(Float64Array::from_iter_values((0..rows).map(|row| row as f64)))),
        ("ts", Arc::new(TimestampMillisecondArray::from(vec![0; rows]))),
    ]
}

#[test]
fn a_column_of_parquet_is_of_its_own_type() {
    let mut columns = own(2);
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None]);
    let field = Arc::new(Field::new("b", DataType::Boolean, true));
    let object =
        StructArray::from(vec![(field, Arc::new(BooleanArray::from(vec![true, false])) as ArrayRef)]);
    columns.extend::<Vec<(&'static str, ArrayRef)>>(vec![
        ("i", Arc::new(Int32Array::from(vec![Some(5), None]))),
        ("u", Arc::new(UInt64Array::from(vec![3, u64::MAX]))),
        ("f", Arc::new(Float64Array::from(vec![1.0, f64::NAN]))),
        ("b", Arc::new(BooleanArray::from(vec![Some(false), None]))),
        ("s", Arc::new(StringArray::from(vec!["1", ""]))),
        ("at", Arc::new(TimestampMillisecondArray::from(vec![1_500, 0]))),
        ("day", Arc::new(Date32Array::from(vec![1, 2]))),
        ("d", Arc::new(Decimal128Array::from(vec![1250, 200]).with_precision_and_scale(10, 2).unwrap())),
        ("l", Arc::new(list)),
        ("o", Arc::new(object)),
        ("none", Arc::new(Int64Array::from(vec![None, None]))),
    ]);
    assert_eq!(
        read_parquet(columns),
        [
            "0 bool:b=false float:d=12.5 float:f=1.0 int:i=5 int:u=3 json:l=[1,null] json:o={\"b\":true} \
             text:at=1970-01-01T00:00:01.500000Z text:day=1970-01-02 text:s=1",
            "1 int:d=2 json:o={\"b\":false} json:u=18446744073709551615 text:at=1970-01-01T00:00:00Z \
             text:day=1970-01-03 text:s=",
        ]
    );
}

#[test]
fn properties_in_text_of_a_parquet_column_are_unpacked() {
    let mut columns = own(4);
    let texts = vec![Some(r#"{"n": 1, "s": "x"}"#), None, Some("["), Some(r#"{"i": 1}"#)];
    columns.push(("props", Arc::new(StringArray::from(texts))));
    columns.push(("i", Arc::new(Int64Array::from(vec![Some(4), Some(5), Some(6), Some(7)]))));
    assert_eq!(
        read_parquet(columns),
        ["0 int:i=4 int:n=1 text:s=x", "1 int:i=5", "3:props:broken_json", "4:i:repeated_column"]
    );
    let mut columns = own(1);
    columns.push(("span", Arc::new(arrow::array::DurationSecondArray::from(vec![1]))));
    let told = read_parquet(columns);
    assert!(told[0].contains("column \"span\" holds Duration"), "{told:?}");
}
