//! What the log's records hold: admitted rows with their fingerprints, or keys that were deleted.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use bytes::{Buf, BufMut, Bytes};

use crate::StoreError;
use crate::fingerprint::Fingerprint;
use crate::widen::{fit, united};

/// Rows of one record: stored columns in storage order, and for each row its fingerprint and the hash of
/// its contents.
#[derive(Debug)]
pub(crate) struct LoggedRows {
    pub(crate) batch: RecordBatch,
    pub(crate) fingerprints: Vec<Fingerprint>,
    pub(crate) contents: Vec<u64>,
}

pub(crate) fn encode_rows(
    batch: &RecordBatch,
    fingerprints: &[Fingerprint],
    contents: &[u64],
) -> Result<Vec<u8>, StoreError> {
    let mut payload = encode_keys(fingerprints);
    for content in contents {
        payload.put_u64_le(*content);
    }
    let mut writer = StreamWriter::try_new(payload, &batch.schema())?;
    writer.write(batch)?;
    Ok(writer.into_inner()?)
}

/// In the columns of today, whatever the record's are, and with its properties. `rows` is the record's own
/// count.
pub(crate) fn decode_rows(
    mut payload: Bytes,
    rows: u32,
    stored: &SchemaRef,
) -> Result<LoggedRows, StoreError> {
    let fingerprints = take_keys(&mut payload, rows)?;
    let mut contents = Vec::with_capacity(fingerprints.len());
    for _ in 0..rows {
        contents.push(payload.try_get_u64_le().map_err(|_| cut_off())?);
    }
    let mut batches = Vec::new();
    let reader = StreamReader::try_new(payload.reader(), None)?;
    let schema = united(stored, [reader.schema()]);
    for batch in reader {
        batches.push(fit(&batch?, &schema)?);
    }
    let batch = arrow::compute::concat_batches(&schema, &batches)?;
    if batch.num_rows() != fingerprints.len() {
        return Err(cut_off());
    }
    Ok(LoggedRows { batch, fingerprints, contents })
}

pub(crate) fn encode_keys(fingerprints: &[Fingerprint]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(fingerprints.len() * 16);
    for fingerprint in fingerprints {
        payload.put_u128_le(*fingerprint);
    }
    payload
}

pub(crate) fn take_keys(payload: &mut Bytes, rows: u32) -> Result<Vec<Fingerprint>, StoreError> {
    let mut fingerprints = Vec::new();
    for _ in 0..rows {
        fingerprints.push(payload.try_get_u128_le().map_err(|_| cut_off())?);
    }
    Ok(fingerprints)
}

/// Records are checked by the log, so this is a defect, or a record of another version.
fn cut_off() -> StoreError {
    StoreError::Inconsistent { detail: "a record of the log does not hold the rows that it says".to_owned() }
}
