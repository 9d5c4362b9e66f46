//! What recovery makes of bytes that are not what was written.

use std::path::Path;

use ebbtide_model::ErrorKind;
use ebbtide_store::fs::{FileSystem, SimFs};
use ebbtide_store::log::{self, Damage, DamageCause, LogError, LogSettings, Recovered, quarantined};
use ebbtide_store::manifest::HexId;

use crate::support::{append, log_file, open_all, record, sequences, settings, shared};

/// Each entry is a group of records (sequence, payload bytes), synced after it was appended; an empty
/// one starts a new file.
type Groups<'a> = &'a [&'a [(u64, usize)]];

const THREE_GROUPS: Groups<'static> = &[&[(1, 100), (2, 100)], &[(3, 100)], &[(4, 100)]];
const ONE_GROUP: Groups<'static> = &[&[(1, 100), (2, 100)]];
const TWO_FILES: Groups<'static> = &[&[(1, 100)], &[(2, 100)], &[], &[(3, 100)]];
const LARGE_IN_THE_MIDDLE: Groups<'static> = &[&[(1, 100)], &[(2, 100_000)], &[(3, 100)]];

fn written(groups: Groups<'_>) -> (SimFs, Vec<Recovered>) {
    let disk = SimFs::new(11);
    let (mut log, _, _) = open_all(shared(&disk), settings()).unwrap();
    for group in groups {
        let records: Vec<_> = group.iter().map(|(sequence, bytes)| record(*sequence, *bytes)).collect();
        if records.is_empty() {
            log.seal_current().unwrap();
        } else {
            append(&mut log, &records).unwrap();
            log.sync().unwrap();
        }
    }
    drop(log);
    let (_, recovered, report) = open_all(shared(&disk), settings()).unwrap();
    assert!(report.cut.is_none() && report.damage.is_empty(), "{report:?}");
    (disk, recovered)
}

/// Where something is done to a log.
enum At {
    /// So many bytes into the record with this sequence.
    In(u64, u64),
    /// In this file, at this offset.
    File(u64, u64),
}

enum Rot {
    Flip,
    /// This many bytes become zeros.
    Zero(usize),
    CutOff,
    /// This many zeros are added at the end of the file.
    Grow(usize),
}

struct Expected<'a> {
    sequences: &'a [u64],
    is_cut: bool,
    /// The file, and the sequence of the record (if one) where the damage starts.
    damage: Told<'a>,
}

type Told<'a> = &'a [(u64, Option<u64>, DamageCause)];

fn told<'a>(sequences: &'a [u64], damage: Told<'a>) -> Expected<'a> {
    Expected { sequences, is_cut: false, damage }
}

fn cut(sequences: &[u64]) -> Expected<'_> {
    Expected { sequences, is_cut: true, damage: &[] }
}

fn place(at: &At, recovered: &[Recovered]) -> (u64, usize) {
    let (file, offset) = match *at {
        At::File(file, offset) => (file, offset),
        At::In(sequence, inside) => {
            let (file, offset) = place_of(sequence, recovered);
            (file, offset + inside)
        }
    };
    (file, usize::try_from(offset).unwrap())
}

fn place_of(sequence: u64, recovered: &[Recovered]) -> (u64, u64) {
    let found = recovered.iter().find(|found| found.record.first_sequence == sequence).unwrap();
    (found.file, found.offset)
}

fn spoil(disk: &SimFs, file: u64, offset: usize, rot: &Rot) {
    let change = |bytes: &mut Vec<u8>| match *rot {
        Rot::Flip => bytes[offset] ^= 0x20,
        Rot::Zero(count) => bytes[offset..offset + count].fill(0),
        Rot::CutOff => bytes.truncate(offset),
        Rot::Grow(count) => bytes.resize(bytes.len() + count, 0),
    };
    disk.rot(&log_file(file), change).unwrap();
}

fn check(groups: Groups<'_>, at: &At, rot: &Rot, expected: &Expected<'_>) {
    let (disk, before) = written(groups);
    let (file, offset) = place(at, &before);
    spoil(&disk, file, offset, rot);
    let spoilt = disk.read(&log_file(file)).unwrap();

    let operations = disk.operations();
    let looked = log::verify(shared(&disk), settings()).unwrap();
    assert_eq!(disk.operations(), operations, "verifying changes nothing");
    let (_, recovered, report) = open_all(shared(&disk), settings()).unwrap();
    disk.crash();
    assert_eq!(sequences(&recovered), expected.sequences);
    assert_eq!(report.cut.is_some(), expected.is_cut, "{report:?}");
    assert_eq!(looked.cut, report.cut);

    let told: Vec<_> = report.damage.iter().map(|damage| (damage.file.clone(), damage.cause)).collect();
    let wanted: Vec<_> = expected.damage.iter().map(|(file, _, cause)| (log_file(*file), *cause)).collect();
    assert_eq!(told, wanted);
    for (damage, (_, sequence, _)) in report.damage.iter().zip(expected.damage) {
        let starts = sequence.map(|sequence| place_of(sequence, &before).1);
        assert!(starts.is_none_or(|starts| starts == damage.offset), "{damage}");
        check_that_it_is_put_aside(&disk, &spoilt, damage);
    }
    let copies = report.damage.iter().filter(|damage| damage.quarantine.is_some()).count();
    assert_eq!(quarantined(&disk).unwrap().len(), copies);

    let (_, again, second) = open_all(shared(&disk), settings()).unwrap();
    assert_eq!(sequences(&again), expected.sequences, "the second opening");
    assert_eq!((second.cut, second.damage), (None, report.damage), "the second opening");
}

fn check_that_it_is_put_aside(disk: &SimFs, spoilt: &[u8], damage: &Damage) {
    let Some(copy) = &damage.quarantine else {
        assert!(matches!(damage.cause, DamageCause::MissingEnd | DamageCause::MissingFile), "{damage}");
        return;
    };
    let start = usize::try_from(damage.offset).unwrap();
    let end = start + usize::try_from(damage.bytes).unwrap();
    assert_eq!(&disk.read(copy).unwrap()[..], &spoilt[start..end], "{damage}");
}

#[test]
fn a_torn_end_is_cut() {
    for inside in [0, 3, 5, 6, 20, 150] {
        check(THREE_GROUPS, &At::In(4, inside), &Rot::Flip, &cut(&[1, 2, 3]));
    }
    for inside in [1, 6, 7, 60, 150] {
        check(THREE_GROUPS, &At::In(4, inside), &Rot::CutOff, &cut(&[1, 2, 3]));
    }
    check(THREE_GROUPS, &At::In(4, 0), &Rot::Zero(50), &cut(&[1, 2, 3]));
    check(THREE_GROUPS, &At::File(1, 0), &Rot::Grow(100_000), &cut(&[1, 2, 3, 4]));
    check(TWO_FILES, &At::In(3, 10), &Rot::Flip, &cut(&[1, 2]));
    check(LARGE_IN_THE_MIDDLE, &At::In(2, 70_000), &Rot::CutOff, &cut(&[1]));
}

#[test]
fn an_end_that_is_lost_between_records_is_no_damage() {
    check(THREE_GROUPS, &At::In(4, 0), &Rot::CutOff, &told(&[1, 2, 3], &[]));
}

#[test]
fn a_bad_record_with_good_ones_behind_it_is_put_aside_and_told() {
    let rot = DamageCause::Rot;
    for inside in [0, 5, 6, 50] {
        check(THREE_GROUPS, &At::In(1, inside), &Rot::Flip, &told(&[2, 3, 4], &[(1, Some(1), rot)]));
        check(THREE_GROUPS, &At::In(2, inside), &Rot::Flip, &told(&[1, 3, 4], &[(1, Some(2), rot)]));
        check(TWO_FILES, &At::In(1, inside), &Rot::Flip, &told(&[2, 3], &[(1, Some(1), rot)]));
    }
    check(THREE_GROUPS, &At::In(1, 90), &Rot::Zero(200), &told(&[3, 4], &[(1, Some(1), rot)]));
}

#[test]
fn the_end_of_a_file_with_a_newer_one_behind_it_is_no_torn_end() {
    let (rot, missing) = (DamageCause::Rot, DamageCause::MissingEnd);
    check(TWO_FILES, &At::In(2, 30), &Rot::Flip, &told(&[1, 3], &[(1, Some(2), rot)]));
    check(TWO_FILES, &At::In(2, 0), &Rot::CutOff, &told(&[1, 3], &[(1, Some(2), missing)]));
    check(TWO_FILES, &At::In(2, 30), &Rot::CutOff, &told(&[1, 3], &[(1, Some(2), rot), (1, None, missing)]));
}

#[test]
fn a_record_of_many_frames_is_whole_or_bad() {
    for inside in [0, 10, 40_000, 70_000, 100_000] {
        let damage = &[(1, Some(2), DamageCause::Rot)];
        check(LARGE_IN_THE_MIDDLE, &At::In(2, inside), &Rot::Flip, &told(&[1, 3], damage));
        if inside < 90_000 {
            check(LARGE_IN_THE_MIDDLE, &At::In(2, inside), &Rot::Zero(4096), &told(&[1, 3], damage));
        }
    }
}

#[test]
fn a_bad_record_in_the_last_write_is_told_as_an_unfinished_one() {
    check(ONE_GROUP, &At::In(1, 30), &Rot::Flip, &told(&[2], &[(1, Some(1), DamageCause::UnfinishedWrite)]));
}

#[test]
fn an_unfinished_write_stays_one_when_newer_files_follow() {
    let (disk, before) = written(ONE_GROUP);
    let (file, offset) = place(&At::In(1, 30), &before);
    spoil(&disk, file, offset, &Rot::Flip);
    let (mut log, _, _) = open_all(shared(&disk), settings()).unwrap();
    append(&mut log, &[record(3, 10)]).unwrap();
    log.sync().unwrap();
    let (_, recovered, report) = open_all(shared(&disk), settings()).unwrap();
    assert_eq!(sequences(&recovered), [2, 3]);
    assert_eq!(report.damage[0].cause, DamageCause::UnfinishedWrite);
    assert_eq!(report.damage.len(), 1);
}

#[test]
fn a_sealed_log_proves_its_last_write() {
    let (disk, before) = written(&[&[(1, 100)], &[]]);
    let (file, offset) = place(&At::In(1, 30), &before);
    spoil(&disk, file, offset, &Rot::Flip);
    let (_, recovered, report) = open_all(shared(&disk), settings()).unwrap();
    assert!(recovered.is_empty());
    assert_eq!(report.damage[0].cause, DamageCause::Rot);
}

#[test]
fn a_missing_file_is_told() {
    let (disk, _) = written(&[&[(1, 10)], &[], &[(2, 10)], &[], &[(3, 10)]]);
    disk.remove_file(&log_file(2)).unwrap();
    let (_, recovered, report) = open_all(shared(&disk), settings()).unwrap();
    assert_eq!(sequences(&recovered), [1, 3]);
    let told: Vec<_> = report.damage.iter().map(|damage| (damage.file.clone(), damage.cause)).collect();
    assert_eq!(told, [(log_file(2), DamageCause::MissingFile)]);
}

#[test]
fn records_stay_readable_when_the_header_rots_and_that_is_told() {
    for offset in [9, 15, 30, 40, 47] {
        let (disk, _) = written(THREE_GROUPS);
        spoil(&disk, 1, offset, &Rot::Flip);
        let (_, recovered, report) = open_all(shared(&disk), settings()).unwrap();
        assert_eq!(sequences(&recovered), [1, 2, 3, 4]);
        let told: Vec<_> =
            report.damage.iter().map(|damage| (damage.offset, damage.bytes, damage.cause)).collect();
        assert_eq!(told, [(0, 48, DamageCause::Rot)]);
    }
}

#[test]
fn nothing_is_cut_from_a_file_whose_header_is_damaged() {
    let (disk, before) = written(THREE_GROUPS);
    let bytes = disk.len(&log_file(1)).unwrap();
    let (_, offset) = place(&At::In(4, 30), &before);
    spoil(&disk, 1, 9, &Rot::Flip);
    spoil(&disk, 1, offset, &Rot::Flip);
    let (_, recovered, report) = open_all(shared(&disk), settings()).unwrap();
    assert_eq!(sequences(&recovered), [1, 2, 3]);
    assert_eq!((report.cut, report.damage.len()), (None, 2));
    assert_eq!(disk.len(&log_file(1)).unwrap(), bytes);
}

#[test]
fn an_empty_or_headless_file_is_told() {
    for bytes in [0, 20, 47] {
        let (disk, _) = written(ONE_GROUP);
        spoil(&disk, 1, bytes, &Rot::CutOff);
        let (_, recovered, report) = open_all(shared(&disk), settings()).unwrap();
        assert!(recovered.is_empty());
        assert_eq!(report.damage.len(), 1, "{bytes} bytes");
    }
}

#[test]
fn a_frame_in_another_place_is_not_taken_for_one() {
    let (disk, before) = written(&[&[(4, 100)], &[(8, 100)], &[(12, 100)]]);
    let (first, second) = (place(&At::In(4, 0), &before).1, place(&At::In(8, 0), &before).1);
    // A misplaced write: the first record's bytes over the second's.
    disk.rot(&log_file(1), |bytes| bytes.copy_within(first..second, second)).unwrap();
    let (_, recovered, report) = open_all(shared(&disk), settings()).unwrap();
    assert_eq!(sequences(&recovered), [4, 12]);
    assert_eq!(report.damage.len(), 1);
}

fn check_refusal(change: impl FnOnce(&SimFs), settings: LogSettings, file: u64, says: &str) -> LogError {
    let (disk, _) = written(THREE_GROUPS);
    change(&disk);
    let before: Vec<_> = disk.list_dir(Path::new("wal")).unwrap();
    let error = open_all(shared(&disk), settings).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{text}");
    assert!(text.contains(&log_file(file).display().to_string()) && text.contains(says), "{text}");
    assert_eq!(disk.list_dir(Path::new("wal")).unwrap(), before, "nothing was harmed");
    error
}

#[test]
fn files_that_are_not_this_logs_are_refused_by_name_with_what_to_do() {
    let foreign = |disk: &SimFs| disk.rot(&log_file(1), |bytes| bytes[..3].copy_from_slice(b"PAR")).unwrap();
    check_refusal(foreign, settings(), 1, "move it out of the data folder");
    let newer = |disk: &SimFs| {
        disk.rot(&log_file(1), |bytes| {
            bytes[8] = 3;
            let checksum = crc32fast::hash(&bytes[..44]);
            bytes[44..48].copy_from_slice(&checksum.to_le_bytes());
        })
        .unwrap();
    };
    let error = check_refusal(newer, settings(), 1, "version 3");
    assert!(matches!(error, LogError::UnknownVersion { found: 3, .. }));
    let renamed = |disk: &SimFs| disk.rename(&log_file(1), &log_file(5)).unwrap();
    check_refusal(renamed, settings(), 5, "0000000001.log");
    let other_folder = LogSettings::new(HexId(77));
    check_refusal(|_| {}, other_folder, 1, "another data folder");
}
