//! What scans find decoded is what they would decode, whatever is kept and whatever has died meanwhile.

use arrow::array::{Array, AsArray, UInt32Array};
use arrow::compute::{cast, concat, take};
use arrow::datatypes::DataType;

use super::harness::{Machine, NOTES, app, rows, scope, settings, table_name};
use super::model::Row;
use crate::fs::SimFs;
use crate::segment::{Decoded, DecodedColumns};
use crate::snapshot::{Part, Run};
use crate::{ColumnRef, Settings};

/// An entity.
const CARDS: usize = 2;

fn row(tenant: &'static str, id: i64) -> Row {
    let note = NOTES.get(usize::try_from(id % 3).unwrap()).copied();
    Row { tenant, id, actor: Some(id / 7), at: Some(id % 1_000), note }
}

#[test]
fn rows_are_the_same_whatever_is_kept_and_after_some_have_died() {
    let check = |decoded_bytes_max: usize| {
        let disk = SimFs::new(1);
        let settings = Settings { decoded_bytes_max, ..settings() };
        let machine = Machine::open_with(&disk, settings, vec![app()]).unwrap();
        let mut want: Vec<Row> = (0..3_000).map(|id| row(if id % 3 == 0 { "a" } else { "b" }, id)).collect();
        machine.append(CARDS, &want).unwrap();
        machine.flush().unwrap();
        want.sort();
        let of = |tenant: &str, want: &[Row]| -> Vec<Row> {
            want.iter().filter(|row| row.tenant == tenant).cloned().collect()
        };
        for _ in 0..2 {
            assert_eq!(rows(&machine.snapshot(), CARDS, None), want, "{decoded_bytes_max}");
            assert_eq!(rows(&machine.snapshot(), CARDS, Some("b")), of("b", &want), "{decoded_bytes_max}");
        }
        let before = machine.snapshot();
        let newer: Vec<Row> = (0..40)
            .map(|id| Row {
                note: Some(NOTES[(id as usize + 1) % 2]),
                ..row(if id % 3 == 0 { "a" } else { "b" }, id)
            })
            .collect();
        machine.append(CARDS, &newer).unwrap();
        assert_eq!(rows(&before, CARDS, None), want, "{decoded_bytes_max}");
        want.retain(|row| row.id >= 40);
        want.extend(newer);
        want.sort();
        for _ in 0..2 {
            assert_eq!(rows(&machine.snapshot(), CARDS, None), want, "{decoded_bytes_max}");
            assert_eq!(rows(&machine.snapshot(), CARDS, Some("a")), of("a", &want), "{decoded_bytes_max}");
        }
    };
    // Nothing, some of the columns in turn, and all of them.
    for decoded_bytes_max in [0, 40_000, 120_000, 64 << 20] {
        check(decoded_bytes_max);
    }
}

#[test]
fn no_more_is_kept_than_is_allowed_and_what_is_asked_for_again_stays() {
    let machine = Machine::open(&SimFs::new(1)).unwrap();
    let all: Vec<Row> = (0..4_000).map(|id| row("a", id)).collect();
    machine.append(0, &all).unwrap();
    machine.flush().unwrap();
    let view = machine.snapshot().table(&scope(None), &table_name(0)).unwrap();
    let [Part { run: Run::Segment { live, .. }, .. }] = view.parts() else { panic!() };
    let array = |columns: &[ColumnRef]| {
        let batch = view.parts()[0].scan(columns).unwrap().next().unwrap().unwrap();
        batch.column(0).clone()
    };
    let (ids, notes) = (array(&[ColumnRef::Declared(1)]), array(&[ColumnRef::Declared(4)]));
    // Room for three columns of 32 kB, and not for four.
    let decoded = DecodedColumns::new(120_000);
    for turn in 0..100_usize {
        decoded.keep(&live.segment, turn, &(0..4_000), &Decoded::Rows(ids.clone()));
        assert!(decoded.bytes() <= 120_000, "{turn}");
        assert!(turn == 0 || decoded.rows(&live.segment, 0, &(0..4_000)).is_some(), "{turn}");
    }
    assert!(decoded.rows(&live.segment, 50, &(0..4_000)).is_none());
    assert!(decoded.rows(&live.segment, 0, &(0..3_999)).is_none());
    let none = DecodedColumns::new(100);
    none.keep(&live.segment, 4, &(0..4_000), &Decoded::Rows(notes.clone()));
    assert_eq!((none.bytes(), none.rows(&live.segment, 4, &(0..4_000)).is_none()), (0, true));
    assert!(!none.takes(51) && none.takes(50));
}

#[test]
fn rows_that_are_taken_from_lanes_are_those_of_a_scan_whatever_is_kept() {
    let check = |decoded_bytes_max: usize| {
        let settings = Settings { decoded_bytes_max, ..settings() };
        let machine = Machine::open_with(&SimFs::new(1), settings, vec![app()]).unwrap();
        // More than a row group, in the last rows of which nobody has a note.
        let all = (0..140_000).map(|id| Row {
            note: row("a", id).note.filter(|_| id < 131_072),
            ..row(if id < 70_000 { "a" } else { "b" }, id)
        });
        machine.append(0, &all.collect::<Vec<Row>>()).unwrap();
        machine.flush().unwrap();
        let view = machine.snapshot().table(&scope(None), &table_name(0)).unwrap();
        let [part] = view.parts() else { panic!() };
        let declared = (0..view.schema().columns.len()).map(ColumnRef::Declared);
        let columns: Vec<ColumnRef> =
            [ColumnRef::Tenant, ColumnRef::Sequence].into_iter().chain(declared).collect();
        let batches: Vec<_> = part.scan(&columns).unwrap().map(Result::unwrap).collect();
        let lanes = part.lanes(&columns).unwrap().unwrap();
        for _ in 0..2 {
            for first in [0, 139_000] {
                let group = lanes.at(first).unwrap();
                let picked: Vec<u32> = group.rows().filter(|row| row % 7 == first % 5).collect();
                let taken = group.take(&picked).unwrap();
                for (place, column) in columns.iter().enumerate() {
                    let whole: Vec<&dyn Array> =
                        batches.iter().map(|batch| batch.column(place).as_ref()).collect();
                    let want =
                        take(&concat(&whole).unwrap(), &UInt32Array::from(picked.clone()), None).unwrap();
                    let plain = |array: &dyn Array| match array.as_any_dictionary_opt() {
                        Some(_) => cast(array, &DataType::Utf8).unwrap(),
                        None => array.slice(0, array.len()),
                    };
                    assert_eq!(&plain(taken.column(place)), &plain(&want), "{column:?}");
                    assert_eq!(&plain(&group.take_one(place, &picked).unwrap()), &plain(&want), "{column:?}");
                    let Some(coded) = group.coded(place) else { continue };
                    let values = coded.values.as_string::<i32>();
                    let texts = plain(&want);
                    for (index, row) in picked.iter().enumerate().step_by(97) {
                        let code = coded.codes.at((row - group.rows().start) as usize);
                        let own = values.is_valid(code).then(|| values.value(code));
                        let text = texts.as_string::<i32>();
                        assert_eq!(own, text.is_valid(index).then(|| text.value(index)), "{column:?}");
                    }
                }
            }
        }
        assert!(lanes.at(140_000).is_err());
    };
    for decoded_bytes_max in [0, 64 << 20] {
        check(decoded_bytes_max);
    }
}
