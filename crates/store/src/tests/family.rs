//! Rows that find their tenant through their parent: shops own orders, and orders own lines and remarks.

use std::path::Path;

use super::harness::{Machine, app, batch, batch_for, counts, scope, settings, table_name};
use super::model::{Counts, Row};
use crate::fs::{FileSystem, SimFs};
use crate::maintenance::Health;
use crate::{RejectionCode, Settings, StoreError};

const SHOPS: usize = 3;
const ORDERS: usize = 4;
const LINES: usize = 5;
const REMARKS: usize = 6;
const LABELS: usize = 7;

fn shop(tenant: &'static str, id: i64) -> Row {
    Row { tenant, id, actor: None, at: None, note: None }
}

/// A row of another table, which names its parent.
fn of(parent: i64, id: i64) -> Row {
    owned("", parent, id)
}

/// As it reads once it has a tenant.
fn owned(tenant: &'static str, parent: i64, id: i64) -> Row {
    Row { tenant, id, actor: Some(parent), at: None, note: None }
}

fn open() -> Machine {
    Machine::open(&SimFs::new(1)).unwrap()
}

fn accepted(rows: usize) -> Counts {
    Counts { accepted: rows, ..Counts::default() }
}

fn waiting(rows: usize) -> Counts {
    Counts { waiting: rows, ..Counts::default() }
}

fn append(machine: &Machine, table: usize, rows: &[Row]) -> Counts {
    counts(&machine.append(table, rows).unwrap())
}

/// By a writer of one tenant.
fn append_as(machine: &Machine, tenant: &str, table: usize, rows: &[Row]) -> Counts {
    counts(&machine.append_batch(table, Some(tenant), &batch_for(table, rows)).unwrap())
}

fn import(machine: &Machine, table: usize, rows: &[Row]) -> Counts {
    let mut importer = machine.import(table).unwrap();
    let mut receipt = importer.push(&batch_for(table, rows)).unwrap();
    receipt.add(importer.finish().unwrap());
    counts(&receipt)
}

/// Through a flush, a compaction and a restart.
fn aged(machine: Machine) -> Machine {
    machine.flush().unwrap();
    machine.compact().unwrap();
    machine.reopen().unwrap()
}

#[test]
fn a_row_is_its_parents_tenants_through_any_number_of_parents() {
    let machine = open();
    append(&machine, SHOPS, &[shop("a", 1), shop("b", 2)]);
    assert_eq!(append(&machine, ORDERS, &[of(1, 10), of(2, 20)]), accepted(2));
    assert_eq!(append(&machine, LINES, &[of(10, 100), of(20, 200), of(20, 201)]), accepted(3));
    assert_eq!(machine.rows(LINES, Some("a")), [owned("a", 10, 100)]);
    assert_eq!(machine.rows(LINES, Some("b")), [owned("b", 20, 200), owned("b", 20, 201)]);
}

#[test]
fn rows_that_wait_are_invisible_and_durable_and_placed_with_their_grandparent_in_one_commit() {
    for with_import in [false, true] {
        let mut machine = open();
        assert_eq!(append(&machine, LINES, &[of(10, 100)]), waiting(1));
        machine.flush().unwrap();
        assert_eq!(append(&machine, LINES, &[of(10, 101)]), waiting(1));
        assert_eq!(append(&machine, REMARKS, &[of(10, 1), of(10, 1)]), waiting(2), "an honest repeat");
        assert_eq!(append(&machine, ORDERS, &[of(1, 10)]), waiting(1));
        for _ in 0..2 {
            assert!([ORDERS, LINES, REMARKS].iter().all(|table| machine.rows(*table, None).is_empty()));
            assert_eq!(machine.version(LINES, None), 0);
            machine = aged(machine);
        }
        let before = machine.snapshot();
        let stored = if with_import { import } else { append };
        assert_eq!(stored(&machine, SHOPS, &[shop("a", 1)]), accepted(1));
        for _ in 0..2 {
            assert_eq!(machine.rows(ORDERS, Some("a")), [owned("a", 1, 10)]);
            assert_eq!(machine.rows(LINES, Some("a")), [owned("a", 10, 100), owned("a", 10, 101)]);
            assert_eq!(machine.rows(REMARKS, Some("a")), [owned("a", 10, 1), owned("a", 10, 1)]);
            assert!(machine.waiting(ORDERS).is_empty() && machine.waiting(REMARKS).is_empty());
            machine = aged(machine);
        }
        assert!(machine.version(LINES, Some("a")) > 0 && machine.version(LINES, Some("b")) == 0);
        assert_eq!(super::harness::rows(&before, SHOPS, None), [], "an old snapshot has neither");
    }
}

#[test]
fn children_and_their_parent_may_come_in_one_group() {
    let machine = open();
    let requests = vec![
        machine.request(LINES, None, &batch_for(LINES, &[of(10, 100)])),
        machine.request(ORDERS, None, &batch_for(ORDERS, &[of(1, 10)])),
        machine.request(SHOPS, None, &batch(&[shop("a", 1)])),
        machine.request(LINES, None, &batch_for(LINES, &[of(10, 101)])),
    ];
    let answers = machine.shared.writer().commit_group(requests);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(machine.rows(LINES, Some("a")), [owned("a", 10, 100), owned("a", 10, 101)]);
}

#[test]
fn a_row_that_waits_twice_is_there_once_and_of_an_entity_the_last_counts() {
    let machine = open();
    let newer = Row { note: Some("short"), ..of(1, 10) };
    append(&machine, ORDERS, &[of(1, 10)]);
    assert_eq!(append(&machine, ORDERS, std::slice::from_ref(&newer)), waiting(1));
    assert_eq!(append(&machine, ORDERS, std::slice::from_ref(&newer)).duplicates, 1);
    append(&machine, LINES, &[of(10, 100)]);
    assert_eq!(append(&machine, LINES, &[Row { note: Some("short"), ..of(10, 100) }]).duplicates, 1);
    append(&machine, SHOPS, &[shop("a", 1)]);
    assert_eq!(machine.rows(ORDERS, None), [Row { tenant: "a", ..newer }]);
    assert_eq!(machine.rows(LINES, None), [owned("a", 10, 100)]);
}

#[test]
fn a_version_that_came_later_is_not_replaced_by_one_that_has_waited() {
    let machine = open();
    append(&machine, LABELS, &[of(9, 5)]);
    append(&machine, SHOPS, &[shop("a", 1)]);
    append(&machine, LABELS, &[of(1, 5)]);
    append(&machine, SHOPS, &[shop("a", 9)]);
    assert_eq!(machine.rows(LABELS, None), [owned("a", 1, 5)]);
    append(&machine, LABELS, &[of(8, 5)]);
    append(&machine, SHOPS, &[shop("a", 8), shop("b", 7)]);
    assert_eq!(machine.rows(LABELS, None), [owned("a", 8, 5)], "this one came last");
    append(&machine, LABELS, &[of(7, 5)]);
    assert_eq!(machine.rows(LABELS, Some("b")), [owned("b", 7, 5)], "keys are each tenant's own");
}

#[test]
fn a_key_that_others_name_never_moves_even_by_a_row_that_has_waited() {
    let machine = open();
    append(&machine, SHOPS, &[shop("a", 1)]);
    append(&machine, ORDERS, &[of(1, 10)]);
    append(&machine, ORDERS, &[of(2, 10)]);
    append(&machine, SHOPS, &[shop("b", 2)]);
    assert_eq!(machine.rows(ORDERS, None), [owned("a", 1, 10)]);
    assert!(machine.waiting(ORDERS).is_empty());
    let receipt = machine.append(ORDERS, &[of(2, 10)]).unwrap();
    assert_eq!(receipt.rejected[0].code, RejectionCode::TenantMoved);
    let receipt = machine.append(SHOPS, &[shop("b", 1)]).unwrap();
    assert_eq!(receipt.rejected[0].code, RejectionCode::TenantMoved);
}

#[test]
fn children_stay_as_they_were_when_their_parent_goes() {
    let machine = open();
    append(&machine, SHOPS, &[shop("a", 1)]);
    append(&machine, LABELS, &[of(1, 5)]);
    assert_eq!(machine.delete(SHOPS, "a", &[1]).unwrap(), 1);
    assert_eq!(append(&machine, LABELS, &[of(1, 6)]), waiting(1));
    let machine = aged(machine);
    assert_eq!(machine.rows(LABELS, None), [owned("a", 1, 5)]);
    append(&machine, SHOPS, &[shop("b", 1)]);
    assert_eq!(machine.rows(LABELS, Some("a")), [owned("a", 1, 5)]);
    assert_eq!(machine.rows(LABELS, Some("b")), [owned("b", 1, 6)], "after a delete the key may come again");
}

#[test]
fn a_row_that_names_no_parent_is_rejected() {
    let machine = open();
    let receipt = machine.append(LINES, &[Row { actor: None, ..of(0, 1) }, of(10, 2)]).unwrap();
    assert_eq!((receipt.waiting, receipt.rejected.len()), (1, 1));
    assert_eq!(receipt.rejected[0].code, RejectionCode::TenantMissing);
    assert_eq!(receipt.rejected[0].column.as_deref(), Some("actor"));
}

#[test]
fn clearing_all_takes_what_waits_and_a_tenants_clear_what_its_own_writers_have_sent() {
    let mut machine = open();
    append(&machine, SHOPS, &[shop("a", 1)]);
    append(&machine, LABELS, &[of(1, 5), of(9, 6)]);
    append_as(&machine, "a", LABELS, &[of(9, 7)]);
    append_as(&machine, "b", LABELS, &[of(9, 8)]);
    assert_eq!(machine.clear(LABELS, Some("a")).unwrap(), 1, "what waits is not counted");
    for _ in 0..2 {
        assert_eq!(machine.waiting(LABELS), [owned("", 9, 6), owned("b", 9, 8)]);
        machine = aged(machine);
    }
    machine.clear(LABELS, None).unwrap();
    for _ in 0..2 {
        assert_eq!(machine.waiting(LABELS), []);
        machine = aged(machine);
    }
    append(&machine, SHOPS, &[shop("a", 9)]);
    assert_eq!(machine.rows(LABELS, None), []);
}

#[test]
fn to_a_tenants_writer_a_foreign_parent_is_as_unknown_as_none() {
    let mut machine = open();
    append(&machine, SHOPS, &[shop("a", 1), shop("b", 2)]);
    assert_eq!(append_as(&machine, "a", LABELS, &[of(1, 5)]), accepted(1));
    // Shop 2 is another's, shop 3 nobody's; the same is said of both, however often it is asked.
    append(&machine, LABELS, &[of(2, 6), of(3, 6)]);
    for parent in [2, 3] {
        assert_eq!(append_as(&machine, "a", LABELS, &[of(parent, 6)]), waiting(1));
        assert_eq!(append_as(&machine, "a", LABELS, &[of(parent, 6)]).duplicates, 1);
    }
    append(&machine, SHOPS, &[shop("b", 3), shop("b", 4)]);
    for parent in [2, 3] {
        assert_eq!(append_as(&machine, "a", LABELS, &[of(parent, 6)]).duplicates, 1);
        assert_eq!(append_as(&machine, "a", LABELS, &[of(parent, 7)]), waiting(1));
    }
    for _ in 0..2 {
        assert_eq!(machine.rows(LABELS, Some("b")), [owned("b", 3, 6)], "the admin's row, and no other");
        assert_eq!(machine.rows(LABELS, Some("a")), [owned("a", 1, 5)]);
        machine = aged(machine);
    }
    assert_eq!(append_as(&machine, "a", LABELS, &[of(8, 9)]), waiting(1));
    append(&machine, SHOPS, &[shop("a", 8)]);
    assert_eq!(machine.rows(LABELS, Some("a")), [owned("a", 1, 5), owned("a", 8, 9)]);
}

#[test]
fn no_more_rows_wait_than_may_and_the_rest_is_rejected() {
    let small = Settings { waiting_rows_max: 16, ..settings() };
    let machine = Machine::open_with(&SimFs::new(1), small, vec![app()]).unwrap();
    let many: Vec<Row> = (0..5).map(|id| of(9, id)).collect();
    let receipt = machine.append_batch(LABELS, Some("a"), &batch_for(LABELS, &many)).unwrap();
    assert_eq!((receipt.waiting, receipt.rejected.len()), (2, 3), "an eighth is a tenant's");
    assert_eq!(receipt.rejected[0].code, RejectionCode::WaitingFull);
    assert_eq!(append_as(&machine, "a", LABELS, &many).duplicates, 2, "those that wait are there");
    let many: Vec<Row> = (0..20).map(|id| of(9, id)).collect();
    let receipt = machine.append(LINES, &many).unwrap();
    assert_eq!((receipt.waiting, receipt.rejected.len()), (14, 6));
    let receipt = machine.append(ORDERS, &[of(1, 9)]).unwrap();
    assert_eq!(receipt.rejected[0].code, RejectionCode::WaitingFull);
    append(&machine, SHOPS, &[shop("a", 1)]);
    append(&machine, ORDERS, &[of(1, 9)]);
    assert_eq!(machine.rows(LINES, None).len(), 14);
    assert_eq!(append(&machine, LINES, &[of(8, 50)]), waiting(1), "there is room again");
}

#[test]
fn large_rows_that_wait_are_limited_by_their_bytes() {
    let small = Settings { waiting_bytes_max: 1000, ..settings() };
    let machine = Machine::open_with(&SimFs::new(1), small, vec![app()]).unwrap();
    let many: Vec<Row> = (0..100).map(|id| of(9, id)).collect();
    let receipt = machine.append(LINES, &many).unwrap();
    assert!((1..100).contains(&receipt.waiting), "{}", receipt.waiting);
    assert_eq!(receipt.waiting + receipt.rejected.len(), 100);
}

#[test]
fn an_import_of_children_keeps_others_from_their_parents() {
    let machine = open();
    append(&machine, SHOPS, &[shop("a", 1)]);
    let importer = machine.import(LINES).unwrap();
    for (table, row) in [(SHOPS, shop("a", 2)), (ORDERS, of(1, 10)), (LINES, of(10, 100))] {
        assert!(matches!(machine.append(table, &[row]), Err(StoreError::Importing { .. })), "{table}");
        assert!(matches!(machine.import(table), Err(StoreError::Importing { .. })), "{table}");
    }
    append(&machine, REMARKS, &[of(10, 1)]);
    drop(importer);
    let importer = machine.import(ORDERS).unwrap();
    assert!(matches!(machine.import(LINES), Err(StoreError::Importing { .. })));
    append(&machine, LINES, &[of(10, 100)]);
    drop(importer);
    append(&machine, ORDERS, &[of(1, 10)]);
    assert_eq!(machine.rows(LINES, None).len(), 1);
}

#[test]
fn an_import_stores_waits_and_rejects_row_by_row() {
    let machine = open();
    append(&machine, SHOPS, &[shop("a", 1), shop("b", 2)]);
    let rows = [of(1, 10), of(3, 30), Row { actor: None, ..of(0, 1) }, of(2, 20), of(1, 11), of(3, 31)];
    let counted = import(&machine, ORDERS, &rows);
    assert_eq!((counted.accepted, counted.waiting, counted.rejected), (3, 2, 1));
    assert_eq!(import(&machine, ORDERS, &rows).duplicates, 5);
    assert_eq!(machine.rows(ORDERS, Some("a")), [owned("a", 1, 10), owned("a", 1, 11)]);
    assert_eq!(import(&machine, SHOPS, &[shop("c", 3)]), accepted(1));
    assert_eq!(machine.rows(ORDERS, Some("c")), [owned("c", 3, 30), owned("c", 3, 31)]);
}

#[test]
fn a_row_that_comes_again_after_its_next_version_waits_again_however_it_comes() {
    let newest = |machine: &Machine| {
        append(machine, SHOPS, &[shop("a", 9)]);
        assert_eq!(machine.rows(ORDERS, None), [owned("a", 9, 10)], "the last word counts");
    };
    for stored in [import, append] {
        let mut machine = open();
        append(&machine, SHOPS, &[shop("a", 1)]);
        assert_eq!(stored(&machine, ORDERS, &[of(9, 10)]), waiting(1));
        let again = stored(&machine, ORDERS, &[of(1, 10), of(9, 10)]);
        assert_eq!(again, Counts { accepted: 1, waiting: 1, ..Counts::default() });
        for _ in 0..2 {
            assert_eq!(machine.rows(ORDERS, None), [owned("a", 1, 10)]);
            assert_eq!(machine.waiting(ORDERS), [of(9, 10)]);
            machine = aged(machine);
        }
        newest(&machine);
        // As it is stored, though its parent has gone, and is then replaced by the row before it.
        machine.delete(SHOPS, "a", &[9]).unwrap();
        let again = stored(&machine, ORDERS, &[of(1, 10), of(9, 10)]);
        assert_eq!(again, Counts { accepted: 1, waiting: 1, ..Counts::default() });
        newest(&machine);
    }
}

#[test]
fn of_a_tenants_writer_the_last_version_counts_too_though_an_earlier_one_was_the_same() {
    let mut machine = open();
    append(&machine, SHOPS, &[shop("a", 1)]);
    assert_eq!(append_as(&machine, "a", ORDERS, &[of(9, 10)]), waiting(1));
    assert_eq!(append_as(&machine, "b", ORDERS, &[of(9, 10)]), waiting(1));
    assert_eq!(append_as(&machine, "a", ORDERS, &[of(1, 10)]), accepted(1));
    for _ in 0..2 {
        assert_eq!(machine.waiting(ORDERS), [owned("b", 9, 10)], "another's row is not replaced");
        machine = aged(machine);
    }
    assert_eq!(append_as(&machine, "a", ORDERS, &[of(9, 10)]), waiting(1));
    append(&machine, SHOPS, &[shop("a", 9)]);
    assert_eq!(machine.rows(ORDERS, None), [owned("a", 9, 10)]);
}

#[test]
fn rows_that_wait_and_cannot_be_read_hold_nothing_up() {
    let disk = SimFs::new(1);
    let machine = Machine::open(&disk).unwrap();
    append(&machine, LABELS, &[of(1, 5)]);
    machine.flush().unwrap();
    drop(machine);
    let names = disk.list_dir(Path::new("segments")).unwrap();
    let rows = names.iter().find(|name| name.ends_with(".parquet")).unwrap();
    let rows = Path::new("segments").join(rows);
    disk.rot(&rows, |bytes| bytes[8] ^= 1).unwrap();
    let machine = Machine::open(&disk).unwrap();
    append(&machine, SHOPS, &[shop("a", 1)]);
    assert!(matches!(machine.shared.health(), Health::Degraded { .. }));
    disk.rot(&rows, |bytes| bytes[8] ^= 1).unwrap();
    let machine = machine.reopen().unwrap();
    assert_eq!(machine.shared.health(), Health::Ready);
    assert_eq!(machine.rows(LABELS, None), [owned("a", 1, 5)], "a start tries again");
}

#[test]
fn the_tables_where_rows_wait_are_nobodys_to_read() {
    let machine = open();
    append(&machine, LABELS, &[of(1, 5)]);
    let area = crate::table::waiting_area_name(&table_name(LABELS));
    assert!(matches!(machine.snapshot().table(&scope(None), &area), Err(StoreError::UnknownTable { .. })));
}
