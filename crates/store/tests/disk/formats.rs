//! All versions of the formats, for ever: files that were once written are read, and what is written now
//! is the newest version to the byte.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ebbtide_store::fs::{FileSystem, RealFs, SimFs};
use ebbtide_store::log::{self, LogSettings, Record, RecordKind, RecordRef};
use ebbtide_store::manifest::ManifestStore;
use serde_json::Value as Json;

use crate::support::{FOLDER, append, log_file, open_all, record, settings, shared};

fn fixtures(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/version-{version}"))
}

fn check_bytes(version: u32, path: &Path, written: &dyn FileSystem) {
    let committed = RealFs::new(&fixtures(version)).read(path).unwrap();
    assert_eq!(written.read(path).unwrap(), committed, "{}", path.display());
}

/// One record of each kind of version 1, one of many frames, two files.
fn records() -> Vec<Record> {
    let large = Record { kind: RecordKind::Rows, ..record(8, 40_000) };
    vec![record(1, 30), record(2, 20), record(3, 0), record(4, 200), large]
}

/// And those that version 2 has, too.
fn records_of_version_2() -> Vec<Record> {
    let mut records = records();
    let parts = [record(9, 10), record(10, 0), record(11, 33)];
    let parts: Vec<RecordRef<'_>> = parts.iter().map(Record::as_ref).collect();
    let payload = log::together(&parts).into();
    records.push(Record { kind: RecordKind::Together, rows: 0, payload, ..record(9, 0) });
    records
}

fn write_log(disk: &SimFs, records: Vec<Record>) {
    let small = LogSettings { folder: FOLDER, file_bytes_max: 400 };
    let (mut log, _, _) = open_all(shared(disk), small).unwrap();
    for record in records {
        append(&mut log, &[record]).unwrap();
        log.sync().unwrap();
    }
}

fn check_log(version: u32, files: u64, records: Vec<Record>) {
    let fs: Arc<dyn FileSystem> = Arc::new(RealFs::new(&fixtures(version)));
    let report = log::verify(fs.clone(), settings()).unwrap();
    assert_eq!((report.files, report.records), (files, records.len() as u64));
    assert!(report.cut.is_none() && report.damage.is_empty(), "{report:?}");

    // Opening writes, so a copy is opened.
    let folder = tempfile::tempdir().unwrap();
    let copy = RealFs::new(folder.path());
    copy.create_dir_all(Path::new("wal")).unwrap();
    for number in 1..=files {
        let bytes = fs.read(&log_file(number)).unwrap();
        copy.create_new(&log_file(number)).unwrap().write_all(&bytes).unwrap();
    }
    let (_, recovered, _) = open_all(Arc::new(copy), settings()).unwrap();
    assert_eq!(recovered.into_iter().map(|found| found.record).collect::<Vec<_>>(), records);
}

#[test]
fn a_log_of_each_version_is_read() {
    check_log(1, 2, records());
    check_log(2, 3, records_of_version_2());
}

#[test]
fn a_log_is_written_as_version_2() {
    let disk = SimFs::new(0);
    write_log(&disk, records_of_version_2());
    for number in 1..=3 {
        check_bytes(2, &log_file(number), &disk);
    }
}

#[test]
fn records_that_are_together_come_apart_as_they_were() {
    let parts = [record(9, 10), record(10, 0), record(11, 33)];
    let references: Vec<RecordRef<'_>> = parts.iter().map(Record::as_ref).collect();
    let payload = log::together(&references);
    assert_eq!(log::apart(payload.clone().into()), Some(parts.to_vec()));
    for length in 1..payload.len() {
        let cut = log::apart(payload[..length].to_vec().into());
        assert!(cut.is_none_or(|found| found.len() < parts.len()), "cut at {length}");
    }
}

#[test]
fn a_manifest_of_each_version_is_read_and_written_as_version_3() {
    let path = Path::new("manifest/0000000001.manifest");
    for version in 1..=3 {
        let committed = RealFs::new(&fixtures(version)).read(path).unwrap();
        let disk = SimFs::new(0);
        drop(ManifestStore::open::<Json>(shared(&disk)).unwrap());
        disk.create_new(path).unwrap().write_all(&committed).unwrap();
        let body = ManifestStore::open::<Json>(shared(&disk)).unwrap().1.unwrap();

        let other = SimFs::new(0);
        let (mut store, _) = ManifestStore::open::<Json>(shared(&other)).unwrap();
        store.commit(&body).unwrap();
        check_bytes(3, path, &other);
    }
}
