//! Rules of the contract, one by one.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use ebbtide_model::{Column, ColumnType, ErrorKind, Instant, TableName, TenantId, TenantRule};

use super::harness::{Dice, Machine, app, batch, scope, settings, table_name};
use super::model::{Row, TENANTS};
use crate::fs::{FileSystem, SimFs};
use crate::snapshot::Part;
use crate::{ColumnRef, RejectionCode, StoreError, declared_schema};

fn row(tenant: &'static str, id: i64) -> Row {
    Row { tenant, id, actor: Some(1), at: Some(5), note: None }
}

fn nulled(rows: &RecordBatch, column: usize) -> RecordBatch {
    let mut columns = rows.columns().to_vec();
    columns[column] = arrow::array::new_null_array(columns[column].data_type(), rows.num_rows());
    RecordBatch::try_new(rows.schema(), columns).unwrap()
}

#[test]
fn a_null_in_a_key_or_in_a_column_without_nulls_is_rejected_and_the_rest_is_stored() {
    let machine = Machine::open(&SimFs::new(1)).unwrap();
    let rows = batch(&[row("a", 1), row("a", 2)]);
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(2)]));
    let mut columns = rows.columns().to_vec();
    columns[1] = ids;
    let rows = RecordBatch::try_new(rows.schema(), columns).unwrap();
    let receipt = machine.append_batch(0, None, &rows).unwrap();
    assert_eq!((receipt.accepted, receipt.rejected.len()), (1, 1));
    assert_eq!((receipt.rejected[0].row, receipt.rejected[0].code), (0, RejectionCode::Null));
    assert_eq!(receipt.rejected[0].column.as_deref(), Some("id"));
    assert_eq!(machine.rows(0, None), [row("a", 2)]);
}

#[test]
fn a_row_without_a_tenant_is_the_callers_or_is_rejected() {
    let machine = Machine::open(&SimFs::new(1)).unwrap();
    let rows = nulled(&batch(&[row("a", 1)]), 0);
    let receipt = machine.append_batch(0, None, &rows).unwrap();
    assert_eq!(receipt.rejected[0].code, RejectionCode::TenantMissing);
    let receipt = machine.append_batch(0, Some("b"), &rows).unwrap();
    assert_eq!(receipt.accepted, 1);
    assert_eq!(machine.rows(0, Some("b")), [row("b", 1)], "and its column says so");
}

#[test]
fn a_row_of_another_tenant_is_rejected_and_not_seen() {
    let machine = Machine::open(&SimFs::new(1)).unwrap();
    let receipt = machine.append_batch(0, Some("a"), &batch(&[row("a", 1), row("b", 1)])).unwrap();
    assert_eq!((receipt.accepted, receipt.rejected.len()), (1, 1));
    assert_eq!((receipt.rejected[0].row, receipt.rejected[0].code), (1, RejectionCode::TenantForeign));
    assert_eq!(machine.rows(0, Some("b")), []);
}

#[test]
fn two_tenants_may_have_one_key() {
    let machine = Machine::open(&SimFs::new(1)).unwrap();
    for table in [0, 2] {
        let receipt = machine.append(table, &[row("a", 1), row("b", 1)]).unwrap();
        assert_eq!(receipt.accepted, 2);
    }
}

#[test]
fn a_default_tenant_stands_for_a_null_and_a_number_is_its_decimal_text() {
    let mut app = app();
    app.tables[0].columns[0].column_type = ColumnType::Int;
    app.tables[0].tenant = TenantRule::Column { column: 0, default: Some(TenantId::new("7")) };
    let machine = Machine::open_with(&SimFs::new(1), settings(), vec![app.clone()]).unwrap();
    let mut columns = batch(&[row("a", 1), row("a", 2)]).columns().to_vec();
    columns[0] = Arc::new(Int64Array::from(vec![None, Some(-12)]));
    let rows = RecordBatch::try_new(declared_schema(&app.tables[0]), columns).unwrap();
    assert_eq!(machine.append_batch(0, None, &rows).unwrap().accepted, 2);
    let snapshot = machine.snapshot();
    for tenant in ["7", "-12"] {
        let view = snapshot.table(&scope(Some(tenant)), &table_name(0)).unwrap();
        assert_eq!(view.parts().iter().map(crate::Part::rows_max).sum::<usize>(), 1, "tenant {tenant}");
    }
}

#[test]
fn floats_that_are_no_numbers_are_rejected() {
    let mut app = app();
    app.tables[0].columns[2].column_type = ColumnType::Float;
    let machine = Machine::open_with(&SimFs::new(1), settings(), vec![app.clone()]).unwrap();
    let mut columns = batch(&[row("a", 1), row("a", 2)]).columns().to_vec();
    columns[2] = Arc::new(Float64Array::from(vec![f64::NAN, -0.0]));
    let rows = RecordBatch::try_new(declared_schema(&app.tables[0]), columns).unwrap();
    let receipt = machine.append_batch(0, None, &rows).unwrap();
    assert_eq!((receipt.accepted, receipt.rejected[0].code), (1, RejectionCode::NotFinite));
}

#[test]
fn columns_of_another_type_or_number_are_refused_as_a_whole() {
    let machine = Machine::open(&SimFs::new(1)).unwrap();
    let info = machine.shared.writer().tables[0].info.clone();
    let text: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let few = RecordBatch::try_from_iter([("tenant", text.clone())]).unwrap();
    let prepare = |rows: &RecordBatch| {
        crate::admission::prepare(&info, &scope(None), rows, crate::fingerprint::Keyless::Contents)
    };
    assert!(matches!(prepare(&few), Err(StoreError::WrongShape { .. })));
    let texts = ["tenant", "id", "actor", "at", "note"].map(|name| (name, text.clone()));
    let wrong = RecordBatch::try_from_iter(texts).unwrap();
    assert_eq!(prepare(&wrong).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn an_app_is_read_by_its_own_scope_only() {
    let machine = Machine::open(&SimFs::new(1)).unwrap();
    #[expect(clippy::disallowed_methods, reason = "tests stand in for sign-in")]
    let foreign =
        ebbtide_model::Scope::grant(ebbtide_model::AppName::new("other"), ebbtide_model::Tenants::All);
    let error = machine.snapshot().table(&foreign, &table_name(0)).unwrap_err();
    assert!(matches!(error, StoreError::ForeignScope));
    let error = machine.snapshot().table(&scope(None), &TableName::new("nothing")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn a_column_that_the_pack_gains_is_null_in_old_rows_and_changes_no_key() {
    let disk = SimFs::new(1);
    let machine = Machine::open(&disk).unwrap();
    machine.append(1, &[row("a", 1)]).unwrap();
    machine.flush().unwrap();
    machine.append(1, &[row("a", 2)]).unwrap();
    drop(machine);
    let mut app = app();
    let wider = Column { name: "extra".to_owned(), column_type: ColumnType::Decimal, nullable: true };
    app.tables[1].columns.push(wider);
    let machine = Machine::open_with(&disk, settings(), vec![app.clone()]).unwrap();
    let mut columns = batch(&[row("a", 1), row("a", 2), row("a", 3)]).columns().to_vec();
    columns.push(arrow::array::new_null_array(&crate::arrow_type(ColumnType::Decimal), 3));
    let again = RecordBatch::try_new(declared_schema(&app.tables[1]), columns).unwrap();
    let receipt = machine.append_batch(1, None, &again).unwrap();
    assert_eq!((receipt.accepted, receipt.duplicates), (1, 2));
    let view = machine.snapshot().table(&scope(None), &table_name(1)).unwrap();
    let mut nulls = 0;
    for part in view.parts() {
        for scanned in part.scan(&[ColumnRef::Declared(5)]).unwrap() {
            nulls += scanned.unwrap().column(0).null_count();
        }
    }
    assert_eq!(nulls, 3);
}

#[test]
fn a_changed_type_key_or_actor_is_refused_at_the_start_by_name() {
    let disk = SimFs::new(1);
    drop(Machine::open(&disk).unwrap());
    let mut retyped = app();
    retyped.tables[0].columns[4].column_type = ColumnType::Int;
    let mut rekeyed = app();
    rekeyed.tables[0].key = vec![2];
    let mut reordered = app();
    reordered.tables[0].actor = None;
    for (changed, word) in [(retyped, "note"), (rekeyed, "key"), (reordered, "actor")] {
        let error = Machine::open_with(&disk, settings(), vec![changed]).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains(word) && error.to_string().contains("events"), "{error}");
    }
}

#[test]
fn an_app_that_is_not_deployed_keeps_its_rows() {
    let disk = SimFs::new(1);
    let machine = Machine::open(&disk).unwrap();
    for (id, tenant) in (0..).zip(TENANTS) {
        machine.append(0, &[row(tenant, id)]).unwrap();
        machine.append(2, &[row(tenant, id)]).unwrap();
    }
    drop(machine);
    let elsewhere = Machine::open_with(&disk, settings(), Vec::new()).unwrap();
    elsewhere.flush().unwrap();
    elsewhere.compact().unwrap();
    drop(elsewhere);
    let machine = Machine::open(&disk).unwrap();
    assert_eq!((machine.rows(0, None).len(), machine.rows(2, None).len()), (3, 3));
}

#[test]
fn versions_grow_with_writes_and_outlive_a_restart() {
    let disk = SimFs::new(1);
    let machine = Machine::open(&disk).unwrap();
    let version = |machine: &Machine, table: usize| machine.version(table, None);
    let watermark = |machine: &Machine| {
        machine.snapshot().watermark(&scope(None), &[table_name(0), table_name(2)]).unwrap()
    };
    assert_eq!((version(&machine, 0), watermark(&machine)), (0, 0));
    machine.append(0, &[row("a", 1)]).unwrap();
    let first = version(&machine, 0);
    assert!(first > 0 && version(&machine, 2) == 0);
    machine.append(0, &[row("a", 1)]).unwrap();
    assert_eq!(version(&machine, 0), first, "a duplicate is no write");
    machine.flush().unwrap();
    assert_eq!(version(&machine, 0), first);
    machine.delete(0, "a", &[1]).unwrap();
    let second = version(&machine, 0);
    assert!(second > first);
    assert_eq!(watermark(&machine), second);
    let machine = machine.reopen().unwrap();
    assert_eq!(version(&machine, 0), second);
    machine.clear(0, None).unwrap();
    assert_eq!(version(&machine, 0), second, "there was nothing to clear");
}

#[test]
fn a_table_of_no_rows_and_of_one_row_work_alike() {
    for count in 0..2 {
        let disk = SimFs::new(1);
        let mut machine = Machine::open(&disk).unwrap();
        let rows: Vec<Row> = (0..count).map(|id| row("a", id)).collect();
        for table in 0..3 {
            assert_eq!(machine.append(table, &rows).unwrap().accepted, rows.len());
        }
        for _ in 0..2 {
            machine.flush().unwrap();
            machine.compact().unwrap();
            machine = machine.reopen().unwrap();
            for table in 0..3 {
                assert_eq!(machine.rows(table, None), rows);
                assert_eq!(machine.append(table, &rows).unwrap().duplicates, rows.len());
            }
        }
    }
}

#[test]
fn an_import_keeps_others_from_the_table_until_it_ends() {
    let machine = Machine::open(&SimFs::new(1)).unwrap();
    let importer = machine.import(0).unwrap();
    assert!(matches!(machine.append(0, &[row("a", 1)]), Err(StoreError::Importing { .. })));
    assert!(matches!(machine.import(0), Err(StoreError::Importing { .. })));
    machine.append(1, &[row("a", 1)]).unwrap();
    drop(importer);
    machine.append(0, &[row("a", 1)]).unwrap();
}

#[test]
fn a_file_of_an_entity_that_comes_again_changes_nothing() {
    let machine = Machine::open(&SimFs::new(1)).unwrap();
    let mut newer = row("a", 1);
    newer.actor = Some(2);
    let file = [row("a", 1), row("a", 2), newer.clone()];
    assert_eq!(machine.append(2, &file).unwrap().accepted, 3);
    let version = machine.version(2, None);
    assert_eq!(machine.append(2, &file).unwrap().duplicates, 3);
    let mut importer = machine.import(2).unwrap();
    importer.push(&batch(&file)).unwrap();
    assert_eq!(importer.finish().unwrap().duplicates, 3);
    assert_eq!(machine.version(2, None), version);
    assert_eq!(machine.rows(2, None), [newer, row("a", 2)]);
}

#[test]
fn chunks_of_an_import_become_segments_that_share_no_actor() {
    for table in [0, 1] {
        let disk = SimFs::new(1);
        let machine = Machine::open(&disk).unwrap();
        let mut dice = Dice::new(8);
        let rows: Vec<Row> = (0..60)
            .map(|id| Row { id, actor: (id % 7 > 0).then(|| dice.number(1, 9)), ..dice.row() })
            .collect();
        let mut importer = machine.import(table).unwrap();
        rows.chunks(7).for_each(|chunk| _ = importer.push(&batch(chunk)).unwrap());
        assert_eq!(importer.finish().unwrap().accepted, rows.len());
        let snapshot = machine.snapshot();
        let view = snapshot.table(&scope(None), &table_name(table)).unwrap();
        assert_eq!(view.parts().len(), 2);
        let columns = crate::SpineColumns::of(view.schema()).unwrap();
        let mut actors = HashSet::new();
        let mut all = 0;
        for part in view.parts() {
            let mut own = HashSet::new();
            for rows in part.spine(&columns).unwrap() {
                let rows = rows.unwrap();
                for (run, start) in rows.starts.iter().enumerate() {
                    let tenant = rows.tenants.iter().find(|(_, own)| own.contains(start)).unwrap().0.clone();
                    let ids = rows.actors.as_primitive::<Int64Type>();
                    own.insert((tenant, ids.is_valid(run).then(|| ids.value(run))));
                }
            }
            all += own.len();
            actors.extend(own);
        }
        assert_eq!(actors.len(), all, "none is in two segments");
        let names = disk.list_dir(Path::new("segments")).unwrap();
        assert_eq!(names.len(), 2 * 3, "the chunks are gone: {names:?}");
        // The same file again.
        let mut importer = machine.import(table).unwrap();
        let mut receipt = crate::Receipt::default();
        rows.chunks(9).for_each(|chunk| receipt.add(importer.push(&batch(chunk)).unwrap()));
        receipt.add(importer.finish().unwrap());
        assert_eq!((receipt.duplicates, receipt.accepted), (rows.len(), 0));
    }
}

#[test]
fn a_tenants_version_changes_with_its_own_rows_and_no_others() {
    for table in [0, 2] {
        let disk = SimFs::new(1);
        let mut machine = Machine::open(&disk).unwrap();
        let of = |machine: &Machine| TENANTS.map(|tenant| machine.version(table, Some(tenant)));
        let mut known = of(&machine);
        assert_eq!(known, [0, 0, 0]);
        let mut newer = row("a", 1);
        newer.actor = Some(3);
        let imported = |machine: &Machine, rows: &[Row]| {
            let mut importer = machine.import(table).unwrap();
            importer.push(&batch(rows)).unwrap();
            importer.finish().unwrap();
        };
        type Step<'s> = (&'s str, &'s dyn Fn(&Machine));
        let steps: [Step<'_>; 10] = [
            ("a", &|machine| _ = machine.append(table, &[row("a", 1)]).unwrap()),
            ("b", &|machine| _ = machine.append(table, &[row("b", 1), row("a", 1)]).unwrap()),
            ("", &|machine| _ = machine.append(table, &[row("b", 1)]).unwrap()),
            ("", &|machine| machine.flush().unwrap()),
            ("c", &|machine| imported(machine, &[row("c", 1), row("b", 1)])),
            (if table == 2 { "a" } else { "" }, &|machine| {
                _ = machine.append(table, std::slice::from_ref(&newer)).unwrap()
            }),
            ("b", &|machine| _ = machine.delete(table, "b", &[1, 9]).unwrap()),
            ("", &|machine| _ = machine.delete(table, "b", &[1]).unwrap()),
            ("", &|machine| _ = machine.clear(table, Some("b")).unwrap()),
            ("ac", &|machine| _ = machine.clear(table, None).unwrap()),
        ];
        for (number, (whose, step)) in steps.into_iter().enumerate() {
            let everybody = machine.version(table, None);
            step(&machine);
            let now = of(&machine);
            for (index, tenant) in TENANTS.into_iter().enumerate() {
                let changed = now[index] != known[index];
                assert_eq!(changed, whose.contains(tenant), "table {table}, step {number}, tenant {tenant}");
                assert!(now[index] >= known[index]);
            }
            assert_eq!(machine.version(table, None) > everybody, !whose.is_empty(), "step {number}");
            known = now;
            machine = machine.reopen().unwrap();
            assert_eq!(of(&machine), known, "table {table}, after step {number} and a restart");
            machine.flush().unwrap();
            machine.compact().unwrap();
            machine = machine.reopen().unwrap();
            assert_eq!(of(&machine), known, "table {table}, after step {number} and a compaction");
        }
    }
}

#[test]
fn the_next_time_is_the_scopes_own_in_memory_and_in_segments() {
    let machine = Machine::open(&SimFs::new(1)).unwrap();
    let at = |tenant: &'static str, id: i64, at: Option<i64>| Row { at, ..row(tenant, id) };
    let rows = [at("a", 1, Some(10)), at("a", 2, Some(30)), at("a", 3, None), at("b", 1, Some(20))];
    machine.append(0, &rows).unwrap();
    let check = |tenant: Option<&str>, after: i64, expected: Option<i64>| {
        let view = machine.snapshot().table(&scope(tenant), &table_name(0)).unwrap();
        let found = view.next_time_after(Instant::from_micros(after)).unwrap();
        assert_eq!(found.map(Instant::micros), expected, "{tenant:?} after {after}");
    };
    for _ in ["memory", "segments"] {
        check(Some("a"), 5, Some(10));
        check(Some("a"), 10, Some(30));
        check(Some("a"), 30, None);
        check(Some("b"), 10, Some(20));
        check(Some("c"), 0, None);
        check(None, 10, Some(20));
        machine.flush().unwrap();
    }
    machine.delete(0, "a", &[2]).unwrap();
    check(Some("a"), 10, None);
}

#[test]
fn the_pieces_of_a_part_are_its_rows_in_order_cut_where_groups_begin() {
    const GROUP: i64 = 131_072;
    let machine = Machine::open(&SimFs::new(1)).unwrap();
    let rows: Vec<Row> = (0..GROUP * 5 / 2).map(|id| row(if id < 100 { "a" } else { "b" }, id)).collect();
    machine.append(0, &rows).unwrap();
    machine.flush().unwrap();
    let snapshot = machine.snapshot();
    let check = |tenant: Option<&str>, pieces: usize, want: &[i64]| {
        let view = snapshot.table(&scope(tenant), &table_name(0)).unwrap();
        let [part] = view.parts() else {
            panic!("{} parts", view.parts().len());
        };
        let id = [ColumnRef::Declared(1)];
        let ids = |part: &Part| -> Vec<i64> {
            let batches = part.scan(&id).unwrap().map(Result::unwrap);
            batches.flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
        };
        let split = part.split(pieces);
        let lengths: Vec<usize> = split.iter().map(Part::rows_max).collect();
        assert_eq!(
            lengths,
            want.iter().map(|rows| *rows as usize).collect::<Vec<_>>(),
            "{tenant:?} in {pieces}"
        );
        assert_eq!(split.iter().flat_map(ids).collect::<Vec<_>>(), ids(part), "{tenant:?} in {pieces}");
    };
    check(None, 0, &[GROUP * 5 / 2]);
    check(None, 1, &[GROUP * 5 / 2]);
    check(None, 2, &[GROUP, GROUP * 3 / 2]);
    check(None, 3, &[GROUP, GROUP, GROUP / 2]);
    check(None, 9, &[GROUP, GROUP, GROUP / 2]);
    check(Some("a"), 2, &[100]);
    check(Some("b"), 2, &[GROUP - 100, GROUP * 3 / 2]);
}
