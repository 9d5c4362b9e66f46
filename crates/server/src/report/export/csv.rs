//! CSV as RFC 4180 has it: a header line, lines ending in CR LF. A text that a spreadsheet would run gets an
//! apostrophe before it; null is the empty cell; a list or an object is JSON text.

use std::io::Write;

use ebbtide_model::Written;
use serde_json::Value as Json;

use super::rows::RowSource;
use super::{ExportError, count, runs_as_formula};

pub(super) fn write(rows: &mut dyn RowSource, out: &mut dyn Write) -> Result<u64, ExportError> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
    let columns: Vec<String> = rows.columns().iter().map(|column| column.name.clone()).collect();
    writer.write_record(columns.iter().map(|column| harmless(column.clone())))?;
    let mut written = 0;
    while let Some(batch) = rows.next()? {
        for row in batch.iter() {
            writer.write_record(columns.iter().map(|column| cell(row.get(column))))?;
        }
        written += count(batch.len());
    }
    writer.flush()?;
    Ok(written)
}

fn cell(json: Option<&Json>) -> String {
    match json {
        None | Some(Json::Null) => String::new(),
        Some(Json::String(text)) => harmless(text.clone()),
        Some(Json::Bool(value)) => value.to_string(),
        Some(Json::Number(number)) => number.to_string(),
        Some(nested @ (Json::Array(_) | Json::Object(_))) => Written(nested).to_string(),
    }
}

fn harmless(text: String) -> String {
    if runs_as_formula(&text) { format!("'{text}") } else { text }
}
