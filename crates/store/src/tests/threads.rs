//! The handle with its threads.

use std::sync::Arc;

use ebbtide_model::ErrorKind;

use super::harness::{FRESH, app, app_name, batch, keys, rows, scope, settings, table_name};
use super::model::Row;
use crate::fs::{FileSystem, RealFs, SimFs};
use crate::{Components, Health, NewRows, Occurrences, Settings, Store, StoreError};

fn open(fs: Arc<dyn FileSystem>, settings: Settings) -> Result<Store, StoreError> {
    Store::open(Components { fs, fresh: FRESH }, settings, vec![app()])
}

fn row(id: i64) -> Row {
    Row { tenant: "a", id, actor: Some(id % 7), at: Some(id), note: None }
}

fn new_rows(table: usize, rows: &[Row]) -> NewRows {
    NewRows { table: table_name(table), batch: batch(rows), occurrences: Occurrences::new() }
}

#[test]
fn many_writers_are_all_stored_through_flushes_and_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let fs: Arc<dyn FileSystem> = Arc::new(RealFs::new(folder.path()));
    let small = Settings { flush_bytes: 40_000, compaction_fan_in: 2, ..settings() };
    let store = open(fs.clone(), small.clone()).unwrap();
    std::thread::scope(|threads| {
        for writer in 0..4 {
            let store = store.clone();
            threads.spawn(move || {
                for round in 0..20 {
                    let first = (writer * 20 + round) * 10;
                    let rows: Vec<Row> = (first..first + 10).map(row).collect();
                    let receipt = store.append(&scope(Some("a")), new_rows(0, &rows)).unwrap();
                    assert_eq!(receipt.accepted, 10);
                }
            });
        }
    });
    let all: Vec<Row> = (0..800).map(row).collect();
    assert_eq!(rows(&store.snapshot(&app_name()).unwrap(), 0, None), all);
    assert_eq!(store.health(), Health::Ready);
    store.close().unwrap();
    assert!(matches!(store.append(&scope(None), new_rows(0, &all)), Err(StoreError::Closed)));
    drop(store);
    let store = open(fs, small).unwrap();
    assert_eq!(rows(&store.snapshot(&app_name()).unwrap(), 0, Some("a")), all);
    assert_eq!(store.append(&scope(None), new_rows(0, &all)).unwrap().duplicates, 800);
    let found = store.verify().unwrap();
    assert!(found.damage.is_empty() && found.segments > 0, "{found:?}");
}

#[test]
fn a_second_store_on_one_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let fs: Arc<dyn FileSystem> = Arc::new(RealFs::new(folder.path()));
    let store = open(fs.clone(), settings()).unwrap();
    assert_eq!(open(fs.clone(), settings()).unwrap_err().kind(), ErrorKind::Conflict);
    drop(store);
    open(fs, settings()).unwrap();
}

#[test]
fn rows_are_deleted_by_key_and_by_tenant() {
    let store = open(Arc::new(SimFs::new(1)), settings()).unwrap();
    let all: Vec<Row> = (0..5).map(row).collect();
    store.append(&scope(None), new_rows(0, &all)).unwrap();
    assert_eq!(store.delete_rows(&scope(Some("b")), &table_name(0), &keys(&[1])).unwrap(), 0);
    let error = store.delete_rows(&scope(None), &table_name(0), &keys(&[1])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(store.delete_rows(&scope(Some("a")), &table_name(0), &keys(&[1, 3, 99])).unwrap(), 2);
    assert_eq!(rows(&store.snapshot(&app_name()).unwrap(), 0, None), [row(0), row(2), row(4)]);
    assert_eq!(store.append(&scope(None), new_rows(0, &[row(1)])).unwrap().accepted, 1);
    assert_eq!(store.clear(&scope(Some("a")), &table_name(0)).unwrap(), 4);
    assert_eq!(store.clear(&scope(None), &table_name(0)).unwrap(), 0);
    assert_eq!(store.append(&scope(None), new_rows(0, &all)).unwrap().accepted, 5);
}

#[test]
fn tables_that_are_cleared_together_are_never_seen_apart() {
    let store = Arc::new(open(Arc::new(SimFs::new(1)), settings()).unwrap());
    let all: Vec<Row> = (0..5).map(row).collect();
    for table in [0, 1] {
        store.append(&scope(None), new_rows(table, &all)).unwrap();
    }
    let (sender, changes) = std::sync::mpsc::channel();
    store.on_change(move || sender.send(()).unwrap_or_default());
    let tables = [table_name(0), table_name(1)];
    assert_eq!(store.clear_together(&scope(Some("a")), &tables).unwrap(), [5, 5]);
    let snapshot = store.snapshot(&app_name()).unwrap();
    assert!(rows(&snapshot, 0, None).is_empty() && rows(&snapshot, 1, None).is_empty());
    assert_eq!(changes.try_iter().count(), 1);
}

#[test]
fn settings_that_cannot_work_are_refused_by_name() {
    let error = open(Arc::new(SimFs::new(1)), Settings { compaction_fan_in: 1, ..settings() }).unwrap_err();
    assert!(error.to_string().contains("compaction_fan_in"), "{error}");
}

#[test]
fn an_unknown_app_and_an_unknown_table_are_named() {
    let store = open(Arc::new(SimFs::new(1)), settings()).unwrap();
    let mut other = new_rows(0, &[row(1)]);
    other.table = ebbtide_model::TableName::new("nothing");
    let error = store.append(&scope(None), other).unwrap_err();
    assert!(error.to_string().contains("nothing") && error.to_string().contains("visits"), "{error}");
    let error = store.snapshot(&ebbtide_model::AppName::new("nobody")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
