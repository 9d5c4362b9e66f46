//! Finds canaries in whatever is sent: text, files that are packed, headers.

use std::collections::BTreeSet;
use std::io::{Cursor, Read};

use arrow::util::display::{ArrayFormatter, FormatOptions};
use axum::http::HeaderMap;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::rows::{EVERYBODY, canary};

pub(crate) const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// The tenants whose canaries are in an answer.
pub(crate) fn tenants_in(headers: &HeaderMap, body: &[u8]) -> BTreeSet<u32> {
    let mut found = tenants_in_bytes(body);
    for (name, value) in headers {
        found.extend(tenants_in_bytes(name.as_str().as_bytes()));
        found.extend(tenants_in_bytes(value.as_bytes()));
    }
    if let Some(contents) = contents(body) {
        found.extend(tenants_in_bytes(&contents));
    }
    assert!(headers.get("content-encoding").is_none(), "the detector reads no compressed answers");
    found
}

/// What is in a file that is packed; none where it is not.
pub(crate) fn contents(body: &[u8]) -> Option<Vec<u8>> {
    if body.starts_with(b"PK") {
        Some(unpacked(body))
    } else if body.starts_with(b"PAR1") {
        Some(cells(body).into_bytes())
    } else {
        None
    }
}

/// In whatever case, and with the bytes of other encodings of plain letters in between.
pub(crate) fn tenants_in_bytes(bytes: &[u8]) -> BTreeSet<u32> {
    let plain: Vec<u8> = bytes.iter().filter(|byte| **byte != 0).map(u8::to_ascii_lowercase).collect();
    let holds = |tenant: &u32| {
        let marker = canary(*tenant).to_ascii_lowercase();
        memchr::memmem::find(&plain, marker.as_bytes()).is_some()
    };
    EVERYBODY.into_iter().filter(holds).collect()
}

/// The contents of all files of an archive.
fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut archive =
        zip::ZipArchive::new(Cursor::new(bytes)).expect("an answer that begins as a ZIP is one");
    let mut contents = Vec::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).unwrap();
        // The time at which it was made, and the name of the program.
        if !file.name().unwrap().starts_with("docProps/") {
            file.read_to_end(&mut contents).unwrap();
        }
    }
    contents
}

/// The text of all cells of a Parquet file.
fn cells(bytes: &[u8]) -> String {
    let builder = ParquetRecordBatchReaderBuilder::try_new(Bytes::copy_from_slice(bytes));
    let reader = builder.expect("an answer that begins as Parquet is one").build().unwrap();
    let mut text = String::new();
    for batch in reader {
        for column in batch.unwrap().columns() {
            let options = FormatOptions::default();
            let formatter = ArrayFormatter::try_new(column, &options).unwrap();
            for row in 0..column.len() {
                text.push_str(&formatter.value(row).to_string());
                text.push('\n');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, RecordBatch, StringArray};
    use axum::http::HeaderValue;
    use parquet::arrow::ArrowWriter;
    use parquet::basic::{Compression, ZstdLevel};
    use parquet::file::properties::WriterProperties;

    use super::*;

    fn check(body: &[u8], want: &[u32]) {
        let found: Vec<u32> = tenants_in(&HeaderMap::new(), body).into_iter().collect();
        assert_eq!(found, want);
    }

    #[test]
    fn canaries_are_found_in_text_of_any_case() {
        check(b"{\"name\": \"nothing of the sort\"}", &[]);
        check(format!("{{\"name\": \"{}\"}}", canary(2)).as_bytes(), &[2]);
        check(format!("{},{}", canary(1).to_uppercase(), canary(3).to_lowercase()).as_bytes(), &[1, 3]);
        let utf16: Vec<u8> = canary(2).encode_utf16().flat_map(u16::to_le_bytes).collect();
        check(&utf16, &[2]);
    }

    #[test]
    fn canaries_are_found_in_a_spreadsheet() {
        for constant_memory in [false, true] {
            let mut book = rust_xlsxwriter::Workbook::new();
            let sheet = if constant_memory {
                book.add_worksheet_with_constant_memory().unwrap()
            } else {
                book.add_worksheet()
            };
            for row in 0..100 {
                sheet.write(row, 0, format!("{} of row {row}", canary(2))).unwrap();
            }
            let bytes = book.save_to_buffer().unwrap();
            assert!(tenants_in_bytes(&bytes).is_empty(), "packed, it does not show");
            check(&bytes, &[2]);
        }
    }

    #[test]
    fn canaries_are_found_in_parquet() {
        let names: Vec<String> = (0..100).map(|row| format!("{} of row {row}", canary(3))).collect();
        let column: ArrayRef = Arc::new(StringArray::from(names));
        let batch = RecordBatch::try_from_iter([("name", column)]).unwrap();
        let zstd = Compression::ZSTD(ZstdLevel::default());
        let properties = WriterProperties::builder().set_compression(zstd).build();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        check(&bytes, &[3]);
    }

    #[test]
    fn canaries_are_found_in_headers() {
        let mut headers = HeaderMap::new();
        let name = format!("attachment; filename=\"{}.csv\"", canary(1));
        headers.insert("content-disposition", HeaderValue::from_str(&name).unwrap());
        assert_eq!(tenants_in(&headers, b""), BTreeSet::from([1]));
    }
}
