//! All versions of the formats, for ever: files that were once written are read, and what is written now
//! is the newest version to the byte.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ebbtide_store::fs::{FileSystem, RealFs, SimFs};
use ebbtide_store::log::{self, LogSettings, Record, RecordKind};
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

/// One record of each kind, one of many frames, two files.
fn records() -> Vec<Record> {
    let large = Record { kind: RecordKind::Rows, ..record(8, 40_000) };
    vec![record(1, 30), record(2, 20), record(3, 0), record(4, 200), large]
}

fn write_log(disk: &SimFs) {
    let small = LogSettings { folder: FOLDER, file_bytes_max: 400 };
    let (mut log, _, _) = open_all(shared(disk), small).unwrap();
    for record in records() {
        append(&mut log, &[record]).unwrap();
        log.sync().unwrap();
    }
}

#[test]
fn a_log_of_version_1_is_read() {
    let fs: Arc<dyn FileSystem> = Arc::new(RealFs::new(&fixtures(1)));
    let report = log::verify(fs.clone(), settings()).unwrap();
    assert_eq!((report.files, report.records), (2, 5));
    assert!(report.cut.is_none() && report.damage.is_empty(), "{report:?}");

    // Opening writes, so a copy is opened.
    let folder = tempfile::tempdir().unwrap();
    let copy = RealFs::new(folder.path());
    copy.create_dir_all(Path::new("wal")).unwrap();
    for number in 1..=2 {
        let bytes = fs.read(&log_file(number)).unwrap();
        copy.create_new(&log_file(number)).unwrap().write_all(&bytes).unwrap();
    }
    let (_, recovered, _) = open_all(Arc::new(copy), settings()).unwrap();
    assert_eq!(recovered.into_iter().map(|found| found.record).collect::<Vec<_>>(), records());
}

#[test]
fn a_log_is_written_as_version_1() {
    let disk = SimFs::new(0);
    write_log(&disk);
    check_bytes(1, &log_file(1), &disk);
    check_bytes(1, &log_file(2), &disk);
}

#[test]
fn a_manifest_of_each_version_is_read_and_written_as_version_2() {
    let path = Path::new("manifest/0000000001.manifest");
    for version in 1..=2 {
        let committed = RealFs::new(&fixtures(version)).read(path).unwrap();
        let disk = SimFs::new(0);
        drop(ManifestStore::open::<Json>(shared(&disk)).unwrap());
        disk.create_new(path).unwrap().write_all(&committed).unwrap();
        let body = ManifestStore::open::<Json>(shared(&disk)).unwrap().1.unwrap();

        let other = SimFs::new(0);
        let (mut store, _) = ManifestStore::open::<Json>(shared(&other)).unwrap();
        store.commit(&body).unwrap();
        check_bytes(2, path, &other);
    }
}
