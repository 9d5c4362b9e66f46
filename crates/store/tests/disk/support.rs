//! Records that say who they are, and a small seeded source of choices.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ebbtide_model::{AppName, TableName};
use ebbtide_store::fs::{FileSystem, SimFs};
use ebbtide_store::log::{
    Log, LogError, LogSettings, Record, RecordKind, RecordRef, Recovered, RecoveryReport,
};
use ebbtide_store::manifest::HexId;

pub(crate) const FOLDER: HexId = HexId(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);

pub(crate) fn settings() -> LogSettings {
    LogSettings::new(FOLDER)
}

pub(crate) fn shared(disk: &SimFs) -> Arc<dyn FileSystem> {
    Arc::new(disk.clone())
}

pub(crate) fn log_file(number: u64) -> PathBuf {
    Path::new("wal").join(format!("{number:010}.log"))
}

/// A record whose every part follows from its number.
pub(crate) fn record(sequence: u64, payload_bytes: usize) -> Record {
    let kinds = [RecordKind::Rows, RecordKind::DeleteRows, RecordKind::DeleteTenant, RecordKind::DeleteTable];
    let byte = |index: usize| u8::try_from((index as u64 * 31 + sequence * 7) % 251).unwrap();
    Record {
        kind: kinds[usize::try_from(sequence % 4).unwrap()],
        app: AppName::new("loyalty"),
        table: TableName::new(if sequence.is_multiple_of(3) { "cards" } else { "transactions" }),
        first_sequence: sequence,
        rows: u32::try_from(sequence % 1000).unwrap(),
        payload: (0..payload_bytes).map(byte).collect(),
    }
}

pub(crate) fn append(log: &mut Log, records: &[Record]) -> Result<u64, LogError> {
    let records: Vec<RecordRef<'_>> = records.iter().map(Record::as_ref).collect();
    log.append(&records)
}

/// Opens a log and reads all of it.
pub(crate) fn open_all(
    fs: Arc<dyn FileSystem>,
    settings: LogSettings,
) -> Result<(Log, Vec<Recovered>, RecoveryReport), LogError> {
    let mut recovery = Log::open(fs, settings)?;
    let recovered = recovery.by_ref().collect::<Result<Vec<_>, _>>()?;
    let (log, report) = recovery.finish()?;
    Ok((log, recovered, report))
}

pub(crate) fn sequences(recovered: &[Recovered]) -> Vec<u64> {
    recovered.iter().map(|found| found.record.first_sequence).collect()
}

/// A seeded source of choices (xorshift64*).
pub(crate) struct Choices(u64);

impl Choices {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// From 0 to `end`, without it.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16;
        usize::try_from(drawn % end as u64).unwrap()
    }
}
