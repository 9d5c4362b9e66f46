//! Data folders of every version, for ever: what was once written is read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::harness::{Dice, Machine, batch};
use super::model::{Model, ModelFile, Row, TABLES, TENANTS, VERSION_1_TABLES};
use crate::fs::{FileSystem, RealFs, SimFs};
use crate::verify;

const DIRECTORIES: [&str; 3] = ["manifest", "segments", "wal"];

/// Rows of each table in segments and in the log, with versions, deletions, a cleared tenant and an
/// import among them.
fn fill(disk: &SimFs) -> Model {
    let machine = Machine::open(disk).unwrap();
    let mut model = Model::default();
    let mut dice = Dice::new(2026);
    for round in 0..4 {
        for table in 0..VERSION_1_TABLES {
            let rows = dice.rows(12);
            machine.append(table, &rows).unwrap();
            model.append(table, &rows, &mut ModelFile::default());
        }
        machine.delete(0, "a", &[1, 2]).unwrap();
        model.delete(0, "a", &[1, 2]);
        if round == 1 {
            machine.clear(1, Some("b")).unwrap();
            model.clear(1, Some("b"));
        }
        if round < 3 {
            machine.flush().unwrap();
        }
    }
    let rows: Vec<_> = (0..4).map(|_| dice.row()).collect();
    let mut importer = machine.import(2).unwrap();
    importer.push(&batch(&rows)).unwrap();
    importer.finish().unwrap();
    model.append(2, &rows, &mut ModelFile::default());
    let rows = dice.rows(12);
    machine.append(0, &rows).unwrap();
    model.append(0, &rows, &mut ModelFile::default());
    model
}

/// Rows of all tables in segments and in the log, some of them waiting, some placed, some deleted.
fn fill_families(disk: &SimFs) -> Model {
    let machine = Machine::open(disk).unwrap();
    let mut model = Model::default();
    let mut dice = Dice::new(2027);
    for round in 0..5 {
        for table in (0..TABLES.len()).rev() {
            let rows = dice.rows(9);
            machine.append(table, &rows).unwrap();
            model.append(table, &rows, &mut ModelFile::default());
        }
        machine.delete(5, "a", &[1, 2, 3]).unwrap();
        model.delete(5, "a", &[1, 2, 3]);
        if round == 2 {
            machine.clear(3, Some("b")).unwrap();
            model.clear(3, Some("b"));
        }
        if round < 4 {
            machine.flush().unwrap();
        }
    }
    model
}

pub(super) fn fixture(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/version-{version}/folder"))
}

pub(super) fn copy(from: &dyn FileSystem, to: &dyn FileSystem) {
    for directory in DIRECTORIES.map(Path::new) {
        to.create_dir_all(directory).unwrap();
        for name in from.list_dir(directory).unwrap() {
            let path = directory.join(name);
            to.create_new(&path).unwrap().write_all(&from.read(&path).unwrap()).unwrap();
        }
    }
}

#[test]
fn a_folder_of_version_1_is_read() {
    let disk = SimFs::new(1);
    copy(&RealFs::new(&fixture(1)), &disk);
    let fs: Arc<dyn FileSystem> = Arc::new(disk.clone());
    let found = verify(&fs).unwrap();
    assert!(found.damage.is_empty() && found.segments > 6, "{found:?}");
    let model = fill(&SimFs::new(1));
    let machine = Machine::open(&disk).unwrap();
    for table in 0..VERSION_1_TABLES {
        assert_eq!(machine.rows(table, None), model.tables[table].sorted(None), "table {table}");
    }
}

#[test]
fn a_folder_of_version_2_is_read() {
    let disk = SimFs::new(1);
    copy(&RealFs::new(&fixture(2)), &disk);
    let fs: Arc<dyn FileSystem> = Arc::new(disk.clone());
    let found = verify(&fs).unwrap();
    assert!(found.damage.is_empty() && found.segments > 20, "{found:?}");
    let written = SimFs::new(1);
    let model = fill_families(&written);
    let (machine, fresh) = (Machine::open(&disk).unwrap(), Machine::open(&written).unwrap());
    let mut waiting = 0;
    for table in 0..TABLES.len() {
        assert_eq!(machine.rows(table, None), model.tables[table].sorted(None), "table {table}");
        assert_eq!(machine.waiting(table), model.tables[table].waiting(), "waiting for table {table}");
        for tenant in TENANTS.map(Some).into_iter().chain([None]) {
            assert_eq!(machine.version(table, tenant), fresh.version(table, tenant), "table {table}");
        }
        waiting += machine.waiting(table).len();
    }
    assert!(waiting > 0);
}

#[test]
fn versions_of_a_folder_that_did_not_tell_tenants_apart_are_as_new_as_its_last_write() {
    let disk = SimFs::new(1);
    copy(&RealFs::new(&fixture(1)), &disk);
    let mut machine = Machine::open(&disk).unwrap();
    let last = machine.version(0, None);
    let of_tenants = |machine: &Machine| TENANTS.map(|tenant| machine.version(0, Some(tenant)));
    assert_eq!(of_tenants(&machine), [last; 3]);
    let row = Row { tenant: "b", id: 77, actor: None, at: None, note: None };
    machine.append(0, &[row]).unwrap();
    let newer = machine.version(0, None);
    for _ in 0..2 {
        assert_eq!(of_tenants(&machine), [last, newer, last]);
        machine.flush().unwrap();
        machine.compact().unwrap();
        machine = machine.reopen().unwrap();
    }
}
