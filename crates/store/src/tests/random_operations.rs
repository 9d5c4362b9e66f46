//! Random operations, restarts among them, against the model.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::harness::{Dice, Machine, arrived_since, batch_for, counts, read};
use super::model::{Counts, Kind, Model, ModelFile, Row, TABLES, TENANTS};
use crate::fs::SimFs;
use crate::snapshot::Snapshot;

#[derive(Clone, Debug)]
enum Operation {
    Append {
        table: usize,
        seed: u64,
        most: u64,
    },
    /// The rows of an append, once more.
    Repeat {
        table: usize,
        seed: u64,
        most: u64,
    },
    Import {
        table: usize,
        seed: u64,
        most: u64,
    },
    Delete {
        table: usize,
        tenant: usize,
        ids: Vec<i64>,
    },
    Clear {
        table: usize,
        tenant: Option<usize>,
    },
    Flush,
    Compact,
    /// Appends and deletes while memory is being flushed.
    FlushBusily {
        table: usize,
        seed: u64,
    },
    CompactBusily {
        table: usize,
        seed: u64,
    },
    Reopen,
}

fn operation() -> impl Strategy<Value = Operation> {
    let keyed = || proptest::sample::select(vec![0_usize, 2, 3, 4, 5, 7]);
    let any_table = || 0..TABLES.len();
    let ids = || proptest::collection::vec(0_i64..12, 1..5);
    prop_oneof![
        6 => (any_table(), any::<u64>(), 0..12_u64)
            .prop_map(|(table, seed, most)| Operation::Append { table, seed, most }),
        2 => (any_table(), any::<u64>(), 0..12_u64)
            .prop_map(|(table, seed, most)| Operation::Repeat { table, seed, most }),
        2 => (any_table(), any::<u64>(), 0..24_u64)
            .prop_map(|(table, seed, most)| Operation::Import { table, seed, most }),
        2 => (keyed(), 0..3_usize, ids())
            .prop_map(|(table, tenant, ids)| Operation::Delete { table, tenant, ids }),
        1 => (any_table(), proptest::option::of(0..3_usize))
            .prop_map(|(table, tenant)| Operation::Clear { table, tenant }),
        2 => Just(Operation::Flush),
        2 => Just(Operation::Compact),
        2 => (any_table(), any::<u64>()).prop_map(|(table, seed)| Operation::FlushBusily { table, seed }),
        2 => (any_table(), any::<u64>()).prop_map(|(table, seed)| Operation::CompactBusily { table, seed }),
        2 => Just(Operation::Reopen),
    ]
}

fn append(machine: &Machine, model: &mut Model, table: usize, seed: u64, most: u64) {
    let rows = Dice::new(seed).rows(most);
    let receipt = machine.append(table, &rows).unwrap();
    let expected = model.append(table, &rows, &mut ModelFile::default());
    assert_eq!(counts(&receipt), expected);
    assert_eq!(receipt.rows(), rows.len());
}

fn import(machine: &Machine, model: &mut Model, table: usize, seed: u64, most: u64) {
    let mut dice = Dice::new(seed);
    let mut file = ModelFile::default();
    let mut importer = machine.import(table).unwrap();
    let (mut receipt, mut expected) = (crate::Receipt::default(), Counts::default());
    let mut chunk = Vec::new();
    for round in 0..3 {
        let rows = dice.rows(most);
        receipt.add(importer.push(&batch_for(table, &rows)).unwrap());
        chunk.extend(rows);
        let fit = chunk.iter().filter(|row| TABLES[table].parent.is_none() || row.actor.is_some()).count();
        if fit >= super::harness::settings().import_chunk_rows || round == 2 {
            expected.add(model.append(table, &chunk, &mut file));
            chunk.clear();
        }
    }
    receipt.add(importer.finish().unwrap());
    assert_eq!(counts(&receipt), expected);
}

fn disturb(machine: &Machine, model: &mut Model, table: usize, seed: u64) {
    append(machine, model, table, seed, 8);
    if TABLES[table].kind != Kind::KeylessEvents {
        let deleted = machine.delete(table, "a", &[1, 2, 3]).unwrap();
        assert_eq!(deleted, model.delete(table, "a", &[1, 2, 3]));
    }
    if seed.is_multiple_of(3) {
        assert_eq!(machine.clear(table, Some("b")).unwrap(), model.clear(table, Some("b")));
    }
    append(machine, model, table, seed ^ 1, 4);
}

fn apply(machine: Machine, model: &mut Model, operation: Operation) -> Machine {
    match operation {
        Operation::Append { table, seed, most } => append(&machine, model, table, seed, most),
        Operation::Repeat { table, seed, most } => {
            append(&machine, model, table, seed, most);
            append(&machine, model, table, seed, most);
        }
        Operation::Import { table, seed, most } => import(&machine, model, table, seed, most),
        Operation::Delete { table, tenant, ids } => {
            let deleted = machine.delete(table, TENANTS[tenant], &ids).unwrap();
            assert_eq!(deleted, model.delete(table, TENANTS[tenant], &ids));
        }
        Operation::Clear { table, tenant } => {
            let tenant = tenant.map(|tenant| TENANTS[tenant]);
            assert_eq!(machine.clear(table, tenant).unwrap(), model.clear(table, tenant));
        }
        Operation::Flush => machine.flush().unwrap(),
        Operation::Compact => machine.compact().unwrap(),
        Operation::FlushBusily { table, seed } => {
            let and_compact = || {
                disturb(&machine, model, table, seed);
                machine.compact().unwrap();
            };
            machine.flush_with(and_compact).unwrap();
        }
        Operation::CompactBusily { table, seed } => {
            let and_flush = || {
                disturb(&machine, model, table, seed);
                machine.flush().unwrap();
            };
            machine.compact_with(and_flush).unwrap();
        }
        Operation::Reopen => return machine.reopen().unwrap(),
    }
    machine
}

fn check(machine: &Machine, model: &Model) {
    for table in 0..TABLES.len() {
        for tenant in [None, Some("a"), Some("b"), Some("c"), Some("nobody")] {
            assert_eq!(machine.rows(table, tenant), model.tables[table].sorted(tenant), "table {table}");
        }
        assert_eq!(machine.waiting(table), model.tables[table].waiting(), "waiting for table {table}");
    }
}

/// Found by the random ones: the import brings a waiting row again, after a version with a known parent.
#[test]
fn a_chunk_that_replaces_a_waiting_row_and_brings_it_again_leaves_it_waiting() {
    let machine = Machine::open(&SimFs::new(1)).unwrap();
    let mut model = Model::default();
    append(&machine, &mut model, 3, 5_342_964_589_794_515_886, 3);
    import(&machine, &mut model, 4, 8_207_900_000_689_387_442, 9);
    check(&machine, &model);
    let machine = machine.reopen().unwrap();
    check(&machine, &model);
}

/// Whose rows were which at each version that was ever seen.
type Seen = BTreeMap<(usize, Option<&'static str>, u64), Vec<Row>>;

/// The versions of all scopes, each of which has stood for the same rows so far.
fn versions(machine: &Machine, model: &Model, seen: &mut Seen) -> Vec<u64> {
    let mut versions = Vec::new();
    for table in 0..TABLES.len() {
        for tenant in [None, Some("a"), Some("b"), Some("c")] {
            let version = machine.version(table, tenant);
            let rows = model.tables[table].sorted(tenant);
            let same = seen.entry((table, tenant, version)).or_insert_with(|| rows.clone());
            assert_eq!(*same, rows, "table {table} of {tenant:?} at version {version}");
            versions.push(version);
        }
    }
    versions
}

/// Somebody's look at all tables, a while ago.
struct Look {
    snapshot: Snapshot,
    model: Model,
    /// Whether rows may have been deleted since: those that were seen, or that have come since.
    lost: bool,
}

impl Look {
    fn now(machine: &Machine, model: &Model) -> Self {
        Self { snapshot: machine.snapshot(), model: model.clone(), lost: false }
    }

    /// What has come since, with what was seen then, is what there is now; unless something has gone.
    fn check_arrivals(&self, machine: &Machine, model: &Model) {
        for (table, declared) in TABLES.iter().enumerate() {
            for tenant in [None, Some("a"), Some("b"), Some("c")] {
                let mut seen = self.model.tables[table].sorted(tenant);
                let now = model.tables[table].sorted(tenant);
                let read = read(&self.snapshot, table, tenant);
                match arrived_since(&machine.snapshot(), table, tenant, read) {
                    Some(arrived) => {
                        seen.extend(arrived);
                        seen.sort();
                        assert_eq!(seen, now, "table {table} of {tenant:?}");
                    }
                    None => assert!(self.lost || declared.kind == Kind::Entity, "table {table}"),
                }
            }
        }
    }
}

fn deletes(operation: &Operation) -> bool {
    matches!(operation, Operation::Delete { .. } | Operation::Clear { .. })
        || matches!(operation, Operation::FlushBusily { .. } | Operation::CompactBusily { .. })
}

fn is_write(operation: &Operation) -> bool {
    !matches!(operation, Operation::Flush | Operation::Compact | Operation::Reopen)
}

proptest! {
    #![proptest_config(Config { cases: 300, failure_persistence: None, ..Config::default() })]

    #[test]
    fn any_operations_leave_what_the_model_holds(
        operations in proptest::collection::vec(operation(), 1..24),
    ) {
        let mut machine = Machine::open(&SimFs::new(1)).unwrap();
        let mut model = Model::default();
        let early = (machine.snapshot(), model.clone());
        let mut kept = early;
        let mut look = Look::now(&machine, &model);
        let mut seen = Seen::new();
        let mut known = versions(&machine, &model, &mut seen);
        for operation in operations {
            let writes = is_write(&operation);
            let is_new_process = matches!(operation, Operation::Reopen);
            look.lost |= deletes(&operation);
            machine = apply(machine, &mut model, operation);
            check(&machine, &model);
            if is_new_process {
                look = Look::now(&machine, &model);
            }
            look.check_arrivals(&machine, &model);
            let now = versions(&machine, &model, &mut seen);
            assert!(now.iter().zip(&known).all(|(now, known)| now >= known));
            assert!(writes || now == known, "{now:?} after {known:?}");
            known = now;
            // A snapshot from before still shows what it showed.
            for table in 0..TABLES.len() {
                assert_eq!(super::harness::rows(&kept.0, table, None), kept.1.tables[table].sorted(None));
            }
            kept = (machine.snapshot(), model.clone());
        }
        let machine = machine.reopen().unwrap();
        check(&machine, &model);
        assert_eq!(versions(&machine, &model, &mut seen), known);
    }
}
