//! Damaged bytes, full disks and failed syncs: each is told, and harms nothing else.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ebbtide_model::ErrorKind;

use super::harness::{Dice, Machine, rows};
use super::model::{Model, ModelFile, VERSION_1_TABLES};
use crate::fs::{FileSystem, SimFs};
use crate::maintenance::Health;
use crate::{Repaired, StoreError, repair, verify};

/// A folder with segments of each table, some rows of them dead, and a log.
fn folder() -> (SimFs, Model) {
    let disk = SimFs::new(5);
    let mut model = Model::default();
    let machine = Machine::open(&disk).unwrap();
    let mut dice = Dice::new(3);
    for round in 0..3 {
        for table in 0..VERSION_1_TABLES {
            let rows = dice.rows(30);
            machine.append(table, &rows).unwrap();
            model.append(table, &rows, &mut ModelFile::default());
        }
        if round < 2 {
            machine.flush().unwrap();
        }
    }
    (disk, model)
}

fn files(disk: &SimFs) -> Vec<PathBuf> {
    let in_directory = |directory: &str| -> Vec<PathBuf> {
        let names = disk.list_dir(Path::new(directory)).unwrap();
        names.into_iter().map(|name| Path::new(directory).join(name)).collect()
    };
    ["segments", "manifest", "wal"].into_iter().flat_map(in_directory).collect()
}

#[test]
fn a_sound_folder_is_found_sound() {
    let (disk, _) = folder();
    let fs: Arc<dyn FileSystem> = Arc::new(disk);
    let found = verify(&fs).unwrap();
    assert_eq!(found.damage, []);
    assert_eq!(found.segments, 6);
    assert!(found.rows > 0);
}

#[test]
fn a_changed_byte_is_found_in_every_file() {
    let (disk, _) = folder();
    let files = files(&disk);
    assert!(files.len() > 12);
    for file in files {
        let length = usize::try_from(disk.len(&file).unwrap()).unwrap();
        for place in [0, length / 3, length / 2, length - 1] {
            disk.rot(&file, |bytes| bytes[place] ^= 0x10).unwrap();
            let fs: Arc<dyn FileSystem> = Arc::new(disk.clone());
            let found = verify(&fs);
            let is_told = match &found {
                Ok(found) => found.damage.iter().any(|damage| {
                    damage.file.ends_with(&file) && usize::try_from(damage.offset).unwrap() <= place
                }),
                Err(error) => {
                    error.kind() == ErrorKind::Corrupt && error.to_string().contains(file.to_str().unwrap())
                }
            };
            assert!(is_told, "byte {place} of {length} of {}: {found:?}", file.display());
            disk.rot(&file, |bytes| bytes[place] ^= 0x10).unwrap();
        }
    }
}

#[test]
fn a_damaged_segment_is_an_error_and_never_an_answer() {
    let (disk, _) = folder();
    let victims: Vec<PathBuf> = files(&disk)
        .into_iter()
        .filter(|file| file.extension().is_some_and(|end| end == "parquet"))
        .collect();
    for victim in victims {
        let middle = usize::try_from(disk.len(&victim).unwrap()).unwrap() / 2;
        disk.rot(&victim, |bytes| bytes[middle] ^= 1).unwrap();
        let machine = Machine::open(&disk).unwrap();
        let snapshot = machine.snapshot();
        let mut errors = Vec::new();
        for table in 0..VERSION_1_TABLES {
            let view =
                snapshot.table(&super::harness::scope(None), &super::harness::table_name(table)).unwrap();
            let columns: Vec<_> = (0..5).map(crate::ColumnRef::Declared).collect();
            for part in view.parts() {
                match part.scan(&columns) {
                    Ok(scan) => errors.extend(scan.filter_map(Result::err)),
                    Err(error) => errors.push(error),
                }
            }
        }
        assert_eq!(errors.len(), 1, "{}", victim.display());
        assert_eq!(errors[0].kind(), ErrorKind::Corrupt);
        assert!(errors[0].to_string().contains(victim.to_str().unwrap()), "{}", errors[0]);
        drop(machine);
        disk.rot(&victim, |bytes| bytes[middle] ^= 1).unwrap();
    }
}

/// The spines of a folder, as paths.
fn spines(disk: &SimFs) -> Vec<PathBuf> {
    files(disk).into_iter().filter(|file| file.extension().is_some_and(|end| end == "spine")).collect()
}

#[test]
fn a_spine_that_is_damaged_or_missing_changes_no_answer_and_is_made_again() {
    let (disk, _) = folder();
    let fs: Arc<dyn FileSystem> = Arc::new(disk.clone());
    let whole = spines(&disk);
    assert!(whole.len() > 2);
    let contents: Vec<_> = whole.iter().map(|file| fs.read(file).unwrap()).collect();
    let rows = |machine: &Machine| -> Vec<_> {
        // Spines that can be read are held against the rows there.
        (0..VERSION_1_TABLES).flat_map(|table| machine.rows(table, None)).collect()
    };
    let want = rows(&Machine::open(&disk).unwrap());
    for victim in &whole {
        let length = usize::try_from(disk.len(victim).unwrap()).unwrap();
        for place in [None, Some(0), Some(length / 2), Some(length - 1)] {
            match place {
                Some(place) => disk.rot(victim, |bytes| bytes[place] ^= 0x10).unwrap(),
                None => disk.remove_file(victim).unwrap(),
            }
            let machine = Machine::open(&disk).unwrap();
            assert_eq!(rows(&machine), want, "{place:?}");
            machine.shared.make_spines().unwrap();
            assert_eq!(rows(&machine), want, "{place:?}");
            drop(machine);
            let found: Vec<_> = whole.iter().map(|file| fs.read(file).unwrap()).collect();
            assert_eq!(found, contents, "it is what it was");
            assert_eq!(verify(&fs).unwrap().damage, []);
        }
    }
}

/// Changes a spine so that only its rows tell.
#[expect(clippy::ptr_arg, reason = "what the disk hands over")]
fn falsify(spine: &mut Vec<u8>) {
    let own = spine.len() - 64 - 4;
    assert!(own < 65_536, "it has one checksum");
    spine[0] ^= 1;
    let checksum = crc32fast::hash(&spine[..own]);
    spine[own..own + 4].copy_from_slice(&checksum.to_le_bytes());
    let end = spine.len() - 4;
    let checksum = crc32fast::hash(&spine[own..end]);
    spine[end..].copy_from_slice(&checksum.to_le_bytes());
}

#[test]
fn a_spine_that_says_other_than_its_rows_is_told_and_taken_away_by_a_repair() {
    let (disk, _) = folder();
    let fs: Arc<dyn FileSystem> = Arc::new(disk.clone());
    let all = spines(&disk);
    let sound = verify(&fs).unwrap();
    assert_eq!(sound.spines, all.len() as u64);
    assert_eq!(repair(&fs).unwrap(), Repaired::default());
    let before = fs.read(&all[0]).unwrap();
    disk.rot(&all[0], falsify).unwrap();
    disk.rot(&all[1], |bytes| bytes[0] ^= 1).unwrap();
    let segment = files(&disk).into_iter().find(|file| file.extension().is_some_and(|end| end == "keys"));
    let other = segment.filter(|file| !all[..2].contains(&file.with_extension("spine")));
    let found = verify(&fs).unwrap();
    assert_eq!(found.files, sound.files);
    let told: Vec<(bool, bool)> = found
        .damage
        .iter()
        .map(|damage| (damage.file.ends_with(&all[0]), damage.detail.contains("what the rows say")))
        .collect();
    assert_eq!(told, [(true, true), (false, false)], "{found:?}");
    if let Some(other) = &other {
        disk.rot(other, |bytes| bytes[0] ^= 1).unwrap();
    }
    let repaired = repair(&fs).unwrap();
    assert!(repaired.spines.iter().zip(&all).all(|(gone, spine)| gone.ends_with(spine)));
    assert_eq!((repaired.spines.len(), repaired.left.len()), (2, usize::from(other.is_some())));
    if let Some(other) = &other {
        disk.rot(other, |bytes| bytes[0] ^= 1).unwrap();
    }
    assert_eq!(verify(&fs).unwrap().spines, sound.spines - 2);
    Machine::open(&disk).unwrap().shared.make_spines().unwrap();
    assert_eq!((verify(&fs).unwrap(), fs.read(&all[0]).unwrap()), (sound, before));
}

/// Makes a spine one of version 1, as far as its end tells.
#[expect(clippy::ptr_arg, reason = "what the disk hands over")]
fn age(spine: &mut Vec<u8>) {
    let footer = spine.len() - 64;
    spine[footer + 8..footer + 12].copy_from_slice(&1_u32.to_le_bytes());
}

#[test]
fn a_spine_of_an_older_version_is_no_damage_and_is_made_again() {
    let (disk, _) = folder();
    let fs: Arc<dyn FileSystem> = Arc::new(disk.clone());
    let all = spines(&disk);
    let contents: Vec<_> = all.iter().map(|file| fs.read(file).unwrap()).collect();
    let rows = |machine: &Machine| -> Vec<_> {
        (0..VERSION_1_TABLES).flat_map(|table| machine.rows(table, None)).collect()
    };
    let want = rows(&Machine::open(&disk).unwrap());
    all.iter().for_each(|file| disk.rot(file, age).unwrap());
    let found = verify(&fs).unwrap();
    assert_eq!((found.damage, found.spines), (Vec::new(), 0));
    let machine = Machine::open(&disk).unwrap();
    assert_eq!(rows(&machine), want);
    machine.shared.make_spines().unwrap();
    assert_eq!(rows(&machine), want);
    let made: Vec<_> = all.iter().map(|file| fs.read(file).unwrap()).collect();
    assert_eq!(made, contents);
}

#[test]
fn a_spine_that_is_found_damaged_while_it_is_read_is_read_no_more_until_it_is_made_again() {
    let disk = SimFs::new(3);
    let machine = Machine::open(&disk).unwrap();
    let mut dice = Dice::new(3);
    let rows: Vec<_> = (0..20_000).map(|_| dice.row()).collect();
    machine.append(1, &rows).unwrap();
    machine.flush().unwrap();
    drop(machine);
    let spine = spines(&disk).remove(0);
    assert!(disk.len(&spine).unwrap() > 100_000, "its end lies in another block than its beginning");
    disk.rot(&spine, |bytes| bytes[1_000] ^= 1).unwrap();
    let machine = Machine::open(&disk).unwrap();
    let snapshot = machine.snapshot();
    let table = super::harness::table_name(1);
    let view = snapshot.table(&super::harness::scope(None), &table).unwrap();
    let (columns, part) = (crate::SpineColumns::of(view.schema()).unwrap(), &view.parts()[0]);
    let error = part.spine(&columns).unwrap().find_map(Result::err).unwrap();
    assert!(matches!(&error, crate::StoreError::Damaged(damage) if damage.file.ends_with(&spine)), "{error}");
    assert!(part.spine(&columns).is_none());
    assert_eq!(machine.rows(1, None).len(), rows.len());
    machine.shared.make_spines().unwrap();
    assert!(part.spine(&columns).unwrap().all(|rows| rows.is_ok()));
    assert_eq!(machine.rows(1, None).len(), rows.len());
}

#[test]
fn a_spine_that_was_not_finished_is_no_damage() {
    let disk = SimFs::new(4);
    let fs: Arc<dyn FileSystem> = Arc::new(disk.clone());
    let machine = Machine::open(&disk).unwrap();
    let mut dice = Dice::new(4);
    machine.append(1, &dice.rows(20_000)).unwrap();
    machine.flush().unwrap();
    let spine = spines(&disk).remove(0);
    let contents = fs.read(&spine).unwrap();
    drop(machine);
    disk.remove_file(&spine).unwrap();
    let machine = Machine::open(&disk).unwrap();
    let (_, wanting) = machine.shared.writer().segments_wanting_spines();
    let [(segment, table)] = &wanting[..] else { panic!("one segment has no spine") };
    drop(machine);
    // Told to stop once it has begun.
    segment.make_spine(&fs, &table.schema, &table.stored, &AtomicBool::new(true)).unwrap();
    assert!(!files(&disk).contains(&spine));
    assert_eq!(verify(&fs).unwrap().damage, []);
    // What a crash leaves of one.
    let unfinished = spine.with_extension("spill");
    disk.create_new(&unfinished).unwrap().write_all(b"some").unwrap();
    assert_eq!(verify(&fs).unwrap().damage, []);
    drop(wanting);
    let machine = Machine::open(&disk).unwrap();
    assert!(!files(&disk).contains(&unfinished));
    machine.shared.make_spines().unwrap();
    assert_eq!(fs.read(&spine).unwrap(), contents);
}

#[test]
fn a_full_disk_is_told_and_keeps_what_was_acknowledged() {
    for full_at in 1..30 {
        let disk = SimFs::new(full_at);
        let mut model = Model::default();
        let mut machine = Machine::open(&disk).unwrap();
        let mut dice = Dice::new(full_at);
        disk.fill_after(full_at);
        let mut refused = None;
        for _ in 0..20 {
            let rows = dice.rows(6);
            match machine.append(0, &rows) {
                Ok(_) => _ = model.append(0, &rows, &mut ModelFile::default()),
                Err(error) => refused = Some(error),
            }
            if let Err(error) = machine.flush() {
                refused = Some(error);
            }
        }
        let refused = refused.unwrap();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
        assert_eq!(machine.rows(0, None), model.tables[0].sorted(None), "it still reads");
        disk.free_space();
        machine = machine.reopen().unwrap();
        let found = machine.rows(0, None);
        for row in model.tables[0].sorted(None) {
            assert!(found.contains(&row), "an acknowledged row is lost");
        }
        machine.append(0, &dice.rows(6)).unwrap();
    }
}

#[test]
fn a_failed_sync_stops_all_writing_and_reading_goes_on() {
    let disk = SimFs::new(2);
    let machine = Machine::open(&disk).unwrap();
    let row = Dice::new(1).row();
    machine.append(0, std::slice::from_ref(&row)).unwrap();
    assert_eq!(machine.shared.health(), Health::Ready);
    disk.fail_sync_after(1);
    let mut other = row.clone();
    other.id += 1;
    let error = machine.append(0, &[other.clone()]).unwrap_err();
    assert!(matches!(error, StoreError::Failed { .. }), "{error}");
    assert!(matches!(machine.append(0, &[other.clone()]), Err(StoreError::Failed { .. })));
    assert!(matches!(machine.flush(), Err(StoreError::Failed { .. })));
    assert!(matches!(machine.shared.health(), Health::Failed { .. }));
    assert_eq!(rows(&machine.snapshot(), 0, None), [row]);
}
