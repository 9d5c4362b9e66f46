//! A commit leaves the old manifest or the new, whatever crashes; a damaged one is never passed over.

use std::path::{Path, PathBuf};

use ebbtide_model::ErrorKind;
use ebbtide_store::fs::{FileSystem, SimFs};
use ebbtide_store::manifest::{Damage, HexId, ManifestError, ManifestStore, verify};
use serde::{Deserialize, Serialize};

use crate::support::shared;

/// Any body will do here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Segments {
    folder: HexId,
    segments: Vec<String>,
}

fn manifest(segments: u64) -> Segments {
    let segments = (0..segments).map(|segment| format!("{segment:010}.parquet")).collect();
    Segments { folder: HexId(u128::MAX), segments }
}

fn open(disk: &SimFs) -> Result<(ManifestStore, Option<Segments>), ManifestError> {
    ManifestStore::open(shared(disk))
}

fn file(number: u64) -> PathBuf {
    Path::new("manifest").join(format!("{number:010}.manifest"))
}

fn committed(count: u64) -> SimFs {
    let disk = SimFs::new(5);
    let (mut store, found) = open(&disk).unwrap();
    assert_eq!(found, None);
    for segments in 1..=count {
        store.commit(&manifest(segments)).unwrap();
    }
    disk
}

#[test]
fn a_manifest_reads_back_as_it_was_committed() {
    let disk = committed(3);
    let (mut store, found) = open(&disk).unwrap();
    assert_eq!((store.number(), found), (3, Some(manifest(3))));
    store.commit(&manifest(9)).unwrap();
    assert_eq!(open(&disk).unwrap().1, Some(manifest(9)));
}

#[test]
fn the_manifest_before_is_kept_and_older_ones_go() {
    let disk = committed(5);
    let names = disk.list_dir(Path::new("manifest")).unwrap();
    assert_eq!(names, ["0000000004.manifest", "0000000005.manifest"]);
    assert_eq!(verify(&disk).unwrap(), 2);
}

#[test]
fn a_crash_at_any_operation_leaves_the_old_manifest_or_the_new() {
    let (mut old, mut new) = (0, 0);
    for seed in 0..300 {
        for at in 1..=6 {
            let disk = SimFs::new(seed);
            let (mut store, _) = open(&disk).unwrap();
            store.commit(&manifest(1)).unwrap();
            store.commit(&manifest(2)).unwrap();
            disk.crash_after(at);
            let is_committed = store.commit(&manifest(3)).is_ok();
            disk.crash();
            let (mut store, found) = open(&disk).unwrap_or_else(|error| panic!("{seed}, {at}: {error}"));
            if found == Some(manifest(3)) {
                new += 1;
            } else {
                assert!(found == Some(manifest(2)) && !is_committed, "{seed}, {at}: {found:?}");
                old += 1;
            }
            store.commit(&manifest(4)).unwrap();
            disk.crash();
            assert_eq!(open(&disk).unwrap().1, Some(manifest(4)), "{seed}, {at}");
        }
    }
    assert!(old > 100 && new > 100, "old {old}, new {new}");
}

#[test]
fn what_was_read_once_stays_whatever_crashes_then() {
    for seed in 0..200 {
        let disk = SimFs::new(seed);
        let (mut store, _) = open(&disk).unwrap();
        store.commit(&manifest(1)).unwrap();
        // The rename may be there without its sync.
        disk.crash_after(5);
        assert!(store.commit(&manifest(2)).is_err());
        disk.kill();
        let (_, found) = open(&disk).unwrap();
        disk.crash();
        assert_eq!(open(&disk).unwrap().1, found, "seed {seed}");
    }
}

#[test]
fn a_failed_commit_stops_all_later_ones() {
    for fault in [SimFs::fail_sync_after, SimFs::fill_after] {
        let disk = committed(1);
        let (mut store, _) = open(&disk).unwrap();
        fault(&disk, 1);
        let failed = store.commit(&manifest(2)).unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::Unavailable);
        disk.free_space();
        let later = store.commit(&manifest(3)).unwrap_err();
        assert!(matches!(later, ManifestError::Poisoned { .. }), "{later}");
        assert_eq!(open(&disk).unwrap().1, Some(manifest(1)));
    }
}

fn check_damage(change: impl FnOnce(&mut Vec<u8>), reason: &Damage) {
    let disk = committed(3);
    disk.rot(&file(3), change).unwrap();
    for error in [open(&disk).unwrap_err(), verify(&disk).unwrap_err()] {
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{text}");
        let ManifestError::Damaged { reason: found, .. } = &error else { panic!("{text}") };
        assert_eq!(found, reason);
        assert!(text.contains("0000000003.manifest") && text.contains("0000000002.manifest"), "{text}");
    }
    // As the message says: out of the way with it, and the one before is the manifest.
    disk.remove_file(&file(3)).unwrap();
    assert_eq!(open(&disk).unwrap().1, Some(manifest(2)));
}

#[test]
fn a_damaged_manifest_is_an_error_that_says_how_to_go_back() {
    let length = committed(3).len(&file(3)).unwrap() - committed_head_bytes();
    check_damage(|bytes| bytes.clear(), &Damage::Head);
    check_damage(|bytes| bytes[3] ^= 1, &Damage::Head);
    check_damage(|bytes| bytes.fill(0xff), &Damage::Head);
    check_damage(
        |bytes| bytes.truncate(bytes.len() - 2),
        &Damage::Length { expected: length, found: length - 2 },
    );
    check_damage(|bytes| bytes.push(b' '), &Damage::Length { expected: length, found: length + 1 });
    check_damage(|bytes| *bytes.last_mut().unwrap() ^= 1, &Damage::Checksum);
    check_damage(|bytes| bytes[100] ^= 1, &Damage::Checksum);
}

fn committed_head_bytes() -> u64 {
    let bytes = committed(3).read(&file(3)).unwrap();
    bytes.iter().position(|byte| *byte == b'\n').unwrap() as u64 + 1
}

#[test]
fn a_manifest_under_another_number_is_damaged() {
    let disk = committed(3);
    disk.rename(&file(3), &file(8)).unwrap();
    let ManifestError::Damaged { reason, .. } = open(&disk).unwrap_err() else { panic!() };
    assert_eq!(reason, Damage::Number { expected: 8, found: 3 });
}

#[test]
fn a_manifest_of_a_newer_version_is_refused_by_name() {
    let disk = committed(1);
    disk.rot(&file(1), |bytes| bytes["ebbtide-manifest ".len()] = b'9').unwrap();
    let error = open(&disk).unwrap_err();
    assert!(matches!(error, ManifestError::UnknownVersion { found: 9, .. }), "{error}");
    assert!(error.to_string().contains("0000000001.manifest"), "{error}");
}

#[test]
fn a_manifest_that_describes_something_else_is_damaged_and_not_guessed_at() {
    let disk = SimFs::new(5);
    let (mut store, _) = open(&disk).unwrap();
    store.commit(&serde_json::json!({"folder": "00", "apps": {}})).unwrap();
    let ManifestError::Damaged { reason: Damage::Contents(text), .. } = open(&disk).unwrap_err() else {
        panic!()
    };
    assert!(text.contains("32 hexadecimal digits"), "{text}");
}
