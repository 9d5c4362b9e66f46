//! Whether an answer holds what is wanted: more fields are allowed, fewer are not; whole numbers are
//! whole, others agree to nine digits; lists agree in length and order.

use ebbtide_model::Instant;
use serde_json::Value as Json;

pub(crate) fn differences(want: &Json, got: &Json, at: &str) -> Vec<String> {
    let told = || vec![format!("{at}: expected {want}, got {got}")];
    match (want, got) {
        (Json::Object(wanted), Json::Object(there)) => {
            let field = |(name, want): (&String, &Json)| match there.get(name) {
                Some(got) => differences(want, got, &format!("{at}.{name}")),
                None => vec![format!("{at}.{name}: missing")],
            };
            wanted.iter().flat_map(field).collect()
        }
        (Json::Array(wanted), Json::Array(there)) if wanted.len() == there.len() => {
            let pairs = wanted.iter().zip(there).enumerate();
            pairs.flat_map(|(index, (want, got))| differences(want, got, &format!("{at}[{index}]"))).collect()
        }
        (Json::Array(wanted), Json::Array(there)) => {
            vec![format!("{at}: {} items expected, got {}", wanted.len(), there.len())]
        }
        (Json::Number(wanted), Json::Number(there)) if !wanted.is_i64() => {
            let (want, got) = (wanted.as_f64().unwrap(), there.as_f64().unwrap());
            if want == got || (want - got).abs() <= 1e-9 * want.abs() { Vec::new() } else { told() }
        }
        (Json::String(wanted), Json::String(there)) => {
            match (Instant::parse(wanted), Instant::parse(there)) {
                (Ok(want), Ok(got)) if want == got => Vec::new(),
                _ if wanted == there => Vec::new(),
                _ => told(),
            }
        }
        _ if want == got => Vec::new(),
        _ => told(),
    }
}

/// Whether CSV has the wanted rows: null is empty, and a text that a spreadsheet would run has
/// something harmless before it.
pub(crate) fn csv_differences(want: &[Json], text: &[u8]) -> Vec<String> {
    let mut reader = csv::Reader::from_reader(text);
    let head = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    if rows.len() != want.len() {
        return vec![format!("{} rows expected, got {}", want.len(), rows.len())];
    }
    let mut differences = Vec::new();
    for (index, (want, row)) in want.iter().zip(&rows).enumerate() {
        for (name, want) in want.as_object().unwrap() {
            let column = head.iter().position(|known| known == name);
            let got = column.and_then(|column| row.get(column));
            let same = got.is_some_and(|got| same_cell(want, got));
            if !same {
                differences.push(format!("row {index}, {name}: expected {want}, got {got:?}"));
            }
        }
    }
    differences
}

fn same_cell(want: &Json, got: &str) -> bool {
    match want {
        Json::Null => got.is_empty(),
        Json::String(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r']) => {
            !got.starts_with(['=', '+', '-', '@', '\t', '\r']) && got.ends_with(text.as_str())
        }
        Json::String(text) => got == text,
        Json::Number(number) => got.parse::<f64>().ok() == number.as_f64(),
        Json::Bool(flag) => got == if *flag { "true" } else { "false" },
        Json::Array(_) | Json::Object(_) => serde_json::from_str::<Json>(got).ok().as_ref() == Some(want),
    }
}
