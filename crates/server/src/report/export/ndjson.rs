//! One object per line, as the JSON answer has it.

use std::io::Write;

use ebbtide_model::Written;

use super::rows::RowSource;
use super::{ExportError, count};

pub(super) fn write(rows: &mut dyn RowSource, out: &mut dyn Write) -> Result<u64, ExportError> {
    let mut written = 0;
    while let Some(batch) = rows.next()? {
        for row in batch.iter() {
            serde_json::to_writer(&mut *out, &Written(row)).map_err(std::io::Error::from)?;
            out.write_all(b"\n")?;
        }
        written += count(batch.len());
    }
    Ok(written)
}
