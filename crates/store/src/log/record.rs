//! What the log keeps: a group of changes to one table, in the order of their numbers. The rows
//! themselves are opaque here.

use bytes::{Buf, BufMut, Bytes};
use ebbtide_model::{AppName, TableName};

/// Bytes of an app's or a table's name.
const NAME_BYTES_MAX: usize = 1024;

/// Bytes of a record's payload, at most: what recovery must hold at once.
pub const PAYLOAD_BYTES_MAX: usize = 256 << 20;

/// Bytes of a record with its header, at most.
pub(super) const RECORD_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + 2 * NAME_BYTES_MAX + 64;

/// What a record does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// Adds rows: the payload is an Arrow IPC stream of the stored columns.
    Rows,
    /// Deletes rows of a table by their keys: the payload names them.
    DeleteRows,
    /// Deletes all rows that one tenant has in a table: the payload is the tenant.
    DeleteTenant,
    /// Deletes all rows of a table; no payload.
    DeleteTable,
    /// Records that are there all or none; see [`together`].
    Together,
}

/// A record to be written.
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    pub kind: RecordKind,
    pub app: &'a AppName,
    pub table: &'a TableName,
    /// The lowest number of its rows or changes.
    pub first_sequence: u64,
    pub rows: u32,
    /// At most [`PAYLOAD_BYTES_MAX`].
    pub payload: &'a [u8],
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub kind: RecordKind,
    pub app: AppName,
    pub table: TableName,
    pub first_sequence: u64,
    pub rows: u32,
    pub payload: Bytes,
}

impl Record {
    pub fn as_ref(&self) -> RecordRef<'_> {
        RecordRef {
            kind: self.kind,
            app: &self.app,
            table: &self.table,
            first_sequence: self.first_sequence,
            rows: self.rows,
            payload: &self.payload,
        }
    }
}

impl RecordKind {
    fn code(self) -> u8 {
        match self {
            Self::Rows => 1,
            Self::DeleteRows => 2,
            Self::DeleteTenant => 3,
            Self::DeleteTable => 4,
            Self::Together => 5,
        }
    }

    fn of_code(code: u8) -> Option<Self> {
        [Self::Rows, Self::DeleteRows, Self::DeleteTenant, Self::DeleteTable, Self::Together]
            .into_iter()
            .find(|kind| kind.code() == code)
    }
}

impl RecordRef<'_> {
    /// The first of the record's limits that it breaks, in words.
    pub(super) fn broken_limit(&self) -> Option<&'static str> {
        if self.payload.len() > PAYLOAD_BYTES_MAX {
            return Some("its payload is larger than 256 MiB");
        }
        let longest = self.app.as_str().len().max(self.table.as_str().len());
        (longest > NAME_BYTES_MAX).then_some("a name in it is longer than 1024 bytes")
    }

    /// The header in front of the payload. `durable_bytes`: how much of the log file was synced when
    /// this record was written, which proves later that all before it had been acknowledged.
    pub(super) fn encode_header(&self, durable_bytes: u64) -> Vec<u8> {
        let mut header = Vec::with_capacity(64);
        header.put_u8(self.kind.code());
        header.put_u64_le(durable_bytes);
        header.put_u64_le(self.first_sequence);
        header.put_u32_le(self.rows);
        for name in [self.app.as_str(), self.table.as_str()] {
            put_name(name, &mut header);
        }
        header
    }
}

/// The payload of a record that stands for all of these, which are of no such kind themselves.
pub fn together(records: &[RecordRef<'_>]) -> Vec<u8> {
    let bytes: usize = records.iter().map(|record| record.payload.len() + 64).sum();
    let mut payload = Vec::with_capacity(bytes);
    for record in records {
        payload.put_u8(record.kind.code());
        payload.put_u64_le(record.first_sequence);
        payload.put_u32_le(record.rows);
        put_name(record.app.as_str(), &mut payload);
        put_name(record.table.as_str(), &mut payload);
        payload.put_u64_le(record.payload.len() as u64);
        payload.put_slice(record.payload);
    }
    payload
}

/// The records that such a payload stands for; `None` if it is none.
pub fn apart(mut payload: Bytes) -> Option<Vec<Record>> {
    let mut records = Vec::new();
    while payload.has_remaining() {
        let kind = RecordKind::of_code(payload.try_get_u8().ok()?)?;
        let first_sequence = payload.try_get_u64_le().ok()?;
        let rows = payload.try_get_u32_le().ok()?;
        let app = AppName::new(&decode_name(&mut payload)?);
        let table = TableName::new(&decode_name(&mut payload)?);
        let bytes = usize::try_from(payload.try_get_u64_le().ok()?).ok()?;
        if kind == RecordKind::Together || bytes > payload.remaining() {
            return None;
        }
        records.push(Record { kind, app, table, first_sequence, rows, payload: payload.split_to(bytes) });
    }
    Some(records)
}

fn put_name(name: &str, bytes: &mut Vec<u8>) {
    // Within NAME_BYTES_MAX, which is checked before anything is written.
    bytes.put_u16_le(u16::try_from(name.len()).unwrap_or(u16::MAX));
    bytes.put_slice(name.as_bytes());
}

/// A record and how much of its file had been synced when it was written; `None` for bytes that no
/// version of Ebbtide up to this one writes.
pub(super) fn decode(mut bytes: Bytes) -> Option<(Record, u64)> {
    let kind = RecordKind::of_code(bytes.try_get_u8().ok()?)?;
    let durable_bytes = bytes.try_get_u64_le().ok()?;
    let first_sequence = bytes.try_get_u64_le().ok()?;
    let rows = bytes.try_get_u32_le().ok()?;
    let app = AppName::new(&decode_name(&mut bytes)?);
    let table = TableName::new(&decode_name(&mut bytes)?);
    Some((Record { kind, app, table, first_sequence, rows, payload: bytes }, durable_bytes))
}

fn decode_name(bytes: &mut Bytes) -> Option<String> {
    let length = usize::from(bytes.try_get_u16_le().ok()?);
    if length > NAME_BYTES_MAX || length > bytes.remaining() {
        return None;
    }
    String::from_utf8(bytes.split_to(length).to_vec()).ok()
}
