//! When the disk fails the log stops for good, and what was synced is there after a new start.

use ebbtide_model::ErrorKind;
use ebbtide_store::fs::{FsErrorKind, SimFs};
use ebbtide_store::log::{LogError, LogSettings, PAYLOAD_BYTES_MAX, Record};

use crate::support::{FOLDER, append, open_all, record, sequences, settings, shared};

/// Sets a fault on a disk with one synced record, lets `act` run into it, and checks that the log is
/// stopped although the disk is well again.
fn check_that_it_stops(fault: impl FnOnce(&SimFs), kind: FsErrorKind) {
    let disk = SimFs::new(7);
    let (mut log, _, _) = open_all(shared(&disk), settings()).unwrap();
    append(&mut log, &[record(1, 100)]).unwrap();
    log.sync().unwrap();
    fault(&disk);
    let failed = append(&mut log, &[record(2, 100)]).and_then(|_| log.sync()).unwrap_err();
    assert!(matches!(&failed, LogError::Fs(error) if error.kind() == kind), "{failed}");
    disk.free_space();
    let later = [
        append(&mut log, &[record(3, 100)]).unwrap_err(),
        log.sync().unwrap_err(),
        log.seal_current().unwrap_err(),
    ];
    for error in later {
        assert!(matches!(error, LogError::Poisoned { .. }), "{error}");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("0000000001.log"), "{error}");
    }
    disk.crash();
    let (_, recovered, report) = open_all(shared(&disk), settings()).unwrap();
    assert_eq!(recovered[0].record, record(1, 100));
    assert!(recovered.len() <= 2 && report.damage.is_empty(), "{report:?}");
}

#[test]
fn a_failed_sync_stops_the_log_for_good() {
    check_that_it_stops(|disk| disk.fail_sync_after(1), FsErrorKind::Other);
}

#[test]
fn a_full_disk_stops_the_log_and_keeps_what_was_acknowledged() {
    check_that_it_stops(|disk| disk.fill_after(1), FsErrorKind::DiskFull);
}

#[test]
fn a_log_opens_and_reads_on_a_full_disk() {
    let disk = SimFs::new(7);
    let (mut log, _, _) = open_all(shared(&disk), settings()).unwrap();
    append(&mut log, &[record(1, 100)]).unwrap();
    log.sync().unwrap();
    disk.fill_after(1);
    let (_, recovered, _) = open_all(shared(&disk), settings()).unwrap();
    assert_eq!(sequences(&recovered), [1]);
}

#[test]
fn a_record_over_a_limit_is_refused_and_the_log_goes_on() {
    let disk = SimFs::new(7);
    let (mut log, _, _) = open_all(shared(&disk), settings()).unwrap();
    let large = Record { payload: vec![0; PAYLOAD_BYTES_MAX + 1].into(), ..record(2, 0) };
    let named = Record { app: ebbtide_model::AppName::new(&"a".repeat(1025)), ..record(3, 0) };
    for refused in [large, named] {
        let error = append(&mut log, &[record(1, 10), refused]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    }
    append(&mut log, &[record(1, 10)]).unwrap();
    log.sync().unwrap();
    assert_eq!(sequences(&open_all(shared(&disk), settings()).unwrap().1), [1]);
}

#[test]
fn files_roll_when_they_are_grown_and_go_when_they_are_stored_elsewhere() {
    let disk = SimFs::new(7);
    let small = LogSettings { folder: FOLDER, file_bytes_max: 1000 };
    let (mut log, _, _) = open_all(shared(&disk), small).unwrap();
    let files: Vec<u64> =
        (1..=6).map(|sequence| append(&mut log, &[record(sequence, 600)]).unwrap()).collect();
    assert_eq!(files, [1, 1, 2, 2, 3, 3]);
    assert!(matches!(log.remove_through(3), Err(LogError::StillWritten { .. })));
    log.remove_through(1).unwrap();
    assert_eq!(log.seal_current().unwrap(), 3);
    assert_eq!(log.seal_current().unwrap(), 3, "nothing was written since");
    let (mut log, recovered, _) = open_all(shared(&disk), small).unwrap();
    assert_eq!(sequences(&recovered), [3, 4, 5, 6]);
    assert_eq!(log.seal_current().unwrap(), 4);
    log.remove_through(4).unwrap();
    let (mut log, recovered, report) = open_all(shared(&disk), small).unwrap();
    assert_eq!((recovered.len(), report.files), (0, 1));
    assert_eq!(append(&mut log, &[record(7, 10)]).unwrap(), 6, "a number is never used again");
}

#[test]
fn opening_and_sealing_an_empty_log_writes_no_file() {
    let disk = SimFs::new(7);
    let (mut log, _, report) = open_all(shared(&disk), settings()).unwrap();
    assert_eq!(log.seal_current().unwrap(), 0);
    log.remove_through(0).unwrap();
    assert_eq!(report.files, 0);
    assert_eq!(open_all(shared(&disk), settings()).unwrap().2.files, 0);
}
