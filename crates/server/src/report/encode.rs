//! Lists of a report as CSV and as NDJSON.

use serde_json::Value as Json;

/// Characters that make a spreadsheet run a cell as a formula.
const FORMULA_STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A header line and the rows, as RFC 4180 has it, lines ending in CR LF. A text that a spreadsheet
/// would run gets an apostrophe before it; null is the empty cell; a list or an object is JSON text.
pub fn to_csv(columns: &[String], rows: &[Json]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(columns.iter().map(|column| harmless(column.clone())))?;
    for row in rows {
        writer.write_record(columns.iter().map(|column| cell(row.get(column))))?;
    }
    writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))
}

fn cell(json: Option<&Json>) -> String {
    match json {
        None | Some(Json::Null) => String::new(),
        Some(Json::String(text)) => harmless(text.clone()),
        Some(Json::Bool(value)) => value.to_string(),
        Some(Json::Number(number)) => number.to_string(),
        Some(nested @ (Json::Array(_) | Json::Object(_))) => nested.to_string(),
    }
}

fn harmless(text: String) -> String {
    if text.starts_with(FORMULA_STARTS) { format!("'{text}") } else { text }
}

/// One object per line.
pub fn to_ndjson(rows: &[Json]) -> Vec<u8> {
    let mut text = String::new();
    for row in rows {
        text.push_str(&row.to_string());
        text.push('\n');
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn csv_of(columns: &[&str], rows: &[Json]) -> String {
        let columns: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
        String::from_utf8(to_csv(&columns, rows).unwrap()).unwrap()
    }

    #[test]
    fn a_text_that_a_spreadsheet_would_run_gets_an_apostrophe() {
        let check = |cell: Json, want: &str| {
            assert_eq!(csv_of(&["a", "b"], &[json!({"a": cell, "b": 1})]), format!("a,b\r\n{want},1\r\n"));
        };
        check(json!("=1+1"), "'=1+1");
        check(json!("+49"), "'+49");
        check(json!("-Minus Ltd"), "'-Minus Ltd");
        check(json!("@home"), "'@home");
        check(json!("\tx"), "'\tx");
        check(json!("\rx"), "\"'\rx\"");
        check(json!("a=1"), "a=1");
        check(json!(-5), "-5");
        check(json!(-0.5), "-0.5");
        check(json!(null), "");
        check(json!(true), "true");
        check(json!("say \"no\", now"), "\"say \"\"no\"\", now\"");
        check(json!("two\nlines"), "\"two\nlines\"");
        check(json!([1, null]), "\"[1,null]\"");
    }

    #[test]
    fn columns_are_those_declared_even_where_a_row_lacks_one_and_where_there_is_no_row() {
        assert_eq!(csv_of(&["b", "a"], &[]), "b,a\r\n");
        assert_eq!(csv_of(&["b", "a"], &[json!({"a": 1, "c": 2})]), "b,a\r\n,1\r\n");
        assert_eq!(csv_of(&["a"], &[json!({})]), "a\r\n\"\"\r\n");
    }

    #[test]
    fn ndjson_is_an_object_a_line() {
        assert_eq!(
            to_ndjson(&[json!({"b": "x\ny", "a": 1.5}), json!({})]),
            b"{\"b\":\"x\\ny\",\"a\":1.5}\n{}\n"
        );
        assert_eq!(to_ndjson(&[]), b"");
    }
}
