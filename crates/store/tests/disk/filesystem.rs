//! The real disk and the simulated one keep the same contract; the simulated one also crashes.

use std::io::Write;
use std::path::Path;

use ebbtide_store::fs::{FileSystem, FsErrorKind, IoWriter, RealFs, SimFs};

fn check_on_both(check: impl Fn(&dyn FileSystem)) {
    check(&SimFs::new(1));
    let folder = tempfile::tempdir().unwrap();
    check(&RealFs::new(folder.path()));
}

fn write(fs: &dyn FileSystem, path: &str, bytes: &[u8]) {
    fs.create_new(Path::new(path)).unwrap().write_all(bytes).unwrap();
}

#[test]
fn files_are_appended_read_cut_and_measured() {
    check_on_both(|fs| {
        let path = Path::new("a/b/file");
        fs.create_dir_all(Path::new("a/b")).unwrap();
        fs.create_dir_all(Path::new("a/b")).unwrap();
        let mut file = fs.create_new(path).unwrap();
        assert_eq!(fs.read(path).unwrap().len(), 0);
        file.write_all(b"one").unwrap();
        file.sync_data().unwrap();
        drop(file);
        fs.open_append(path).unwrap().write_all(b" two").unwrap();
        assert_eq!(&fs.read(path).unwrap()[..], b"one two");
        assert_eq!(&fs.read_range(path, 2..5).unwrap()[..], b"e t");
        assert!(fs.read_range(path, 5..8).is_err());
        fs.truncate(path, 3).unwrap();
        assert_eq!(fs.len(path).unwrap(), 3);
        let mut writer = IoWriter::new(fs.open_append(path).unwrap());
        write!(writer, "{}", 4).unwrap();
        assert_eq!(&fs.read(path).unwrap()[..], b"one4");
    });
}

#[test]
fn names_are_listed_renamed_and_removed() {
    check_on_both(|fs| {
        fs.create_dir_all(Path::new("d/below")).unwrap();
        write(fs, "d/b", b"b");
        write(fs, "d/a", b"a");
        fs.sync_dir(Path::new("d")).unwrap();
        assert_eq!(fs.list_dir(Path::new("d")).unwrap(), ["a", "b", "below"]);
        fs.rename(Path::new("d/b"), Path::new("d/a")).unwrap();
        assert_eq!(&fs.read(Path::new("d/a")).unwrap()[..], b"b");
        assert!(fs.rename(Path::new("d/a"), Path::new("a")).is_err(), "another directory");
        fs.remove_file(Path::new("d/a")).unwrap();
        assert_eq!(fs.list_dir(Path::new("d")).unwrap(), ["below"]);
        assert_eq!(fs.list_dir(Path::new("")).unwrap(), ["d"]);
    });
}

#[test]
fn a_mapped_file_stays_readable_after_it_is_removed_or_replaced() {
    check_on_both(|fs| {
        fs.create_dir_all(Path::new("d")).unwrap();
        write(fs, "d/a", b"first");
        let held = fs.read(Path::new("d/a")).unwrap();
        write(fs, "d/new", b"later");
        fs.rename(Path::new("d/new"), Path::new("d/a")).unwrap();
        fs.remove_file(Path::new("d/a")).unwrap();
        assert_eq!(&held[..], b"first");
    });
}

#[test]
fn errors_name_the_file_and_tell_their_kinds_apart() {
    check_on_both(|fs| {
        fs.create_dir_all(Path::new("d")).unwrap();
        write(fs, "d/a", b"");
        let missing = [
            fs.read(Path::new("d/none")).unwrap_err(),
            fs.len(Path::new("d/none")).unwrap_err(),
            fs.open_append(Path::new("none/a")).unwrap_err(),
            fs.create_new(Path::new("none/a")).unwrap_err(),
            fs.list_dir(Path::new("none")).unwrap_err(),
            fs.remove_file(Path::new("d/none")).unwrap_err(),
            fs.rename(Path::new("d/none"), Path::new("d/b")).unwrap_err(),
            fs.sync_dir(Path::new("none")).unwrap_err(),
        ];
        for error in missing {
            assert_eq!(error.kind(), FsErrorKind::NotFound, "{error}");
            assert!(error.to_string().contains("none"), "{error}");
        }
        let taken = fs.create_new(Path::new("d/a")).unwrap_err();
        assert_eq!(taken.kind(), FsErrorKind::AlreadyExists);
        assert!(taken.to_string().contains(&fs.root().join("d/a").display().to_string()), "{taken}");
    });
}

#[test]
fn no_path_leads_out_of_a_real_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let fs = RealFs::new(folder.path());
    for path in ["../a", "/etc/passwd", "a/../../b"] {
        assert!(
            fs.len(Path::new(path)).is_err_and(|error| error.to_string().contains("leads out")),
            "{path}"
        );
    }
    assert!(fs.available_bytes().unwrap().is_some_and(|bytes| bytes > 0));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_from_other_failures() {
    // A device that answers each write as a full disk does.
    let fs = RealFs::new(Path::new("/dev"));
    let error = fs.open_append(Path::new("full")).unwrap().write_all(b"x").unwrap_err();
    assert_eq!(error.kind(), FsErrorKind::DiskFull);
    assert!(
        error.to_string().contains("/dev/full") && error.to_string().contains("free some space"),
        "{error}"
    );
}

#[test]
fn what_was_synced_survives_every_crash_and_the_rest_may_not() {
    let (mut lost, mut kept, mut torn) = (0, 0, 0);
    for seed in 0..200 {
        let disk = SimFs::new(seed);
        disk.create_dir_all(Path::new("d")).unwrap();
        let mut file = disk.create_new(Path::new("d/a")).unwrap();
        file.write_all(&[1; 700]).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(Path::new("d")).unwrap();
        file.write_all(&[2; 9000]).unwrap();
        write(&disk, "d/new", b"unsynced");
        disk.crash();
        assert!(file.write_all(b"dead").is_err());
        let bytes = disk.read(Path::new("d/a")).unwrap();
        assert!(bytes.len() >= 700 && bytes[..700].iter().all(|byte| *byte == 1), "seed {seed}");
        match bytes[700..].iter().filter(|byte| **byte == 2).count() {
            0 => lost += 1,
            9000 => kept += 1,
            _ => torn += 1,
        }
    }
    assert!(lost > 10 && kept > 10 && torn > 10, "lost {lost}, kept {kept}, torn {torn}");
}

#[test]
fn unsynced_names_are_lost_or_kept_and_a_rename_is_whole() {
    let (mut old, mut new) = (0, 0);
    for seed in 0..100 {
        let disk = SimFs::new(seed);
        disk.create_dir_all(Path::new("d")).unwrap();
        for (name, bytes) in [("d/current", b"old"), ("d/next", b"new")] {
            let mut file = disk.create_new(Path::new(name)).unwrap();
            file.write_all(bytes).unwrap();
            file.sync_data().unwrap();
        }
        disk.sync_dir(Path::new("d")).unwrap();
        disk.rename(Path::new("d/next"), Path::new("d/current")).unwrap();
        disk.crash();
        match &disk.read(Path::new("d/current")).unwrap()[..] {
            b"old" => old += 1,
            b"new" => new += 1,
            other => panic!("seed {seed}: {other:?}"),
        }
    }
    assert!(old > 10 && new > 10, "old {old}, new {new}");
}

#[test]
fn a_crash_comes_at_its_operation_and_lasts_until_the_power_is_back() {
    let disk = SimFs::new(3);
    disk.create_dir_all(Path::new("d")).unwrap();
    let mut file = disk.create_new(Path::new("d/a")).unwrap();
    disk.crash_after(2);
    file.write_all(b"before").unwrap();
    assert!(!disk.is_down());
    assert!(file.sync_data().is_err());
    assert!(disk.is_down());
    assert!(disk.create_new(Path::new("d/b")).is_err());
    disk.crash();
    disk.create_new(Path::new("d/b")).unwrap();
}

#[test]
fn what_a_killed_process_wrote_is_read_and_may_go_with_a_later_crash() {
    let mut lost = 0;
    for seed in 0..50 {
        let disk = SimFs::new(seed);
        let mut file = disk.create_new(Path::new("a")).unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        file.write_all(b"rows").unwrap();
        disk.kill();
        assert!(file.sync_data().is_err());
        assert_eq!(&disk.read(Path::new("a")).unwrap()[..], b"rows");
        disk.crash();
        lost += usize::from(&disk.read(Path::new("a")).unwrap()[..] != b"rows");
    }
    assert!(lost > 5, "lost {lost}");
}

#[test]
fn after_a_failed_sync_a_later_one_succeeds_and_achieves_nothing() {
    let mut lost = 0;
    for seed in 0..50 {
        let disk = SimFs::new(seed);
        let mut file = disk.create_new(Path::new("a")).unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        file.write_all(b"rows").unwrap();
        disk.fail_sync_after(1);
        assert!(file.sync_data().is_err());
        file.sync_data().unwrap();
        disk.crash();
        lost += usize::from(&disk.read(Path::new("a")).unwrap()[..] != b"rows");
    }
    assert!(lost > 5, "lost {lost}");
}
