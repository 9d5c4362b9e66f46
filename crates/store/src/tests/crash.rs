//! The power goes at any point. Afterwards every acknowledged row is there, nothing is there twice,
//! nothing was made up, and what was not acknowledged is there whole or not at all.

use super::harness::{Dice, Machine, batch_for};
use super::model::{Kind, Model, ModelFile, Row, TABLES, TENANTS};
use crate::fs::SimFs;
use crate::{Receipt, StoreError};

/// What a step was about to do, as the models that it may leave behind: that of before, and those of
/// after each durable part of it.
struct Step {
    outcomes: Vec<Model>,
    /// How many of them were acknowledged; the first is, always.
    acknowledged: usize,
}

impl Step {
    fn nothing(model: &Model) -> Self {
        Self { outcomes: vec![model.clone()], acknowledged: 0 }
    }

    fn one(before: &Model, after: Model, ended: &Result<(), StoreError>) -> Self {
        Self { outcomes: vec![before.clone(), after], acknowledged: usize::from(ended.is_ok()) }
    }
}

fn append(machine: &Machine, model: &Model, table: usize, rows: &[Row]) -> (Step, Result<(), StoreError>) {
    let mut after = model.clone();
    after.append(table, rows, &mut ModelFile::default());
    let ended = machine.append(table, rows).map(drop);
    (Step::one(model, after, &ended), ended)
}

fn import(machine: &Machine, model: &Model, table: usize, dice: &mut Dice) -> (Step, Result<(), StoreError>) {
    let mut step = Step::nothing(model);
    let mut file = ModelFile::default();
    let mut after = model.clone();
    let mut counted = Receipt::default();
    let mut settled = vec![0];
    let ended = (|| {
        let mut importer = machine.import(table)?;
        for _ in 0..3 {
            // Each push is a chunk of its own, and so a durable part.
            let rows: Vec<Row> =
                (0..4).map(|_| Row { actor: Some(dice.number(1, 3)), ..dice.row() }).collect();
            // Of those of a chunk that wait it is known before.
            let mut orphans = after.clone();
            orphans.append_orphans(table, &rows, &mut file.clone());
            let counts = after.append(table, &rows, &mut file);
            step.outcomes.extend([orphans, after.clone()]);
            let waiting = settled.last().unwrap() + counts.waiting;
            settled.extend([waiting, waiting + counts.accepted + counts.duplicates]);
            counted.add(importer.push(&batch_for(table, &rows))?);
        }
        counted.add(importer.finish()?);
        Ok(())
    })();
    let counted = counted.accepted + counted.duplicates + counted.waiting;
    step.acknowledged = settled.iter().rposition(|settled| *settled <= counted).unwrap();
    (step, ended)
}

fn random_step(machine: &Machine, model: &Model, dice: &mut Dice) -> (Step, Result<(), StoreError>) {
    let table = usize::try_from(dice.roll(TABLES.len() as u64)).unwrap();
    let tenant = TENANTS[usize::try_from(dice.roll(3)).unwrap()];
    match dice.roll(12) {
        0..=4 => {
            let rows = dice.rows(8);
            append(machine, model, table, &rows)
        }
        5 | 6 => (Step::nothing(model), machine.flush()),
        7 | 8 => (Step::nothing(model), machine.compact()),
        9 => import(machine, model, table, dice),
        10 => {
            let table = if TABLES[table].kind == Kind::KeylessEvents { 0 } else { table };
            let mut after = model.clone();
            after.delete(table, tenant, &[1, 2, 3, 4, 5]);
            let ended = machine.delete(table, tenant, &[1, 2, 3, 4, 5]).map(drop);
            (Step::one(model, after, &ended), ended)
        }
        _ => {
            let everybody = dice.roll(4) == 0;
            let tenant = (!everybody).then_some(tenant);
            let mut after = model.clone();
            after.clear(table, tenant);
            let ended = machine.clear(table, tenant).map(drop);
            (Step::one(model, after, &ended), ended)
        }
    }
}

fn holds(machine: &Machine, model: &Model) -> bool {
    (0..TABLES.len()).all(|table| {
        machine.rows(table, None) == model.tables[table].sorted(None)
            && machine.waiting(table) == model.tables[table].waiting()
    })
}

/// Opens a disk whose power may go again while it is read back.
fn open_through_crashes(disk: &SimFs) -> Machine {
    loop {
        match Machine::open(disk) {
            Ok(machine) if !disk.is_down() => return machine,
            Ok(machine) => drop(machine),
            Err(error) => assert!(disk.is_down(), "it opens after a crash: {error}"),
        }
        disk.crash();
    }
}

/// Runs through a number of crashes; how many there were.
fn check(seed: u64) -> usize {
    let disk = SimFs::new(seed);
    let mut dice = Dice::new(seed);
    let mut model = Model::default();
    let mut crashes = 0;
    for _ in 0..4 {
        disk.crash_after(1 + dice.roll(60));
        let mut step = Step::nothing(&model);
        if let Ok(machine) = Machine::open(&disk) {
            for _ in 0..40 {
                let (next, ended) = random_step(&machine, &model, &mut dice);
                let reached = next.outcomes.len() - 1;
                step = next;
                if let Err(error) = ended {
                    assert!(disk.is_down(), "seed {seed}: {error}");
                    break;
                }
                model = step.outcomes[reached].clone();
                assert!(holds(&machine, &model), "seed {seed}: the store differs before any crash");
                step = Step::nothing(&model);
            }
        }
        crashes += usize::from(disk.is_down());
        // The machine's power, or the process alone.
        if dice.roll(3) > 0 {
            disk.crash()
        } else {
            disk.kill()
        }
        if dice.roll(3) == 0 {
            disk.crash_after(1 + dice.roll(12));
        }
        let machine = open_through_crashes(&disk);
        let possible = &step.outcomes[step.acknowledged..];
        let found = possible.iter().find(|outcome| holds(&machine, outcome));
        model = found.unwrap_or_else(|| panic!("seed {seed}: rows were lost or made up")).clone();
        disk.crash();
    }
    crashes
}

fn check_all(seeds: std::ops::Range<u64>, crashes_min: usize) {
    let crashes: usize = seeds.map(check).sum();
    assert!(crashes >= crashes_min, "only {crashes} crashes came");
}

#[test]
fn acknowledged_rows_survive_a_crash_at_any_point() {
    check_all(0..350, 1000);
}

#[test]
fn acknowledged_rows_survive_a_crash_at_any_other_point() {
    check_all(1000..1350, 1000);
}

#[test]
fn rows_sent_again_after_a_crash_are_there_once() {
    for crash_at in 1..40 {
        let disk = SimFs::new(crash_at);
        let rows = Dice::new(crash_at).rows(20);
        disk.crash_after(crash_at);
        if let Ok(machine) = Machine::open(&disk) {
            for table in 0..TABLES.len() {
                let _unknown = machine.append(table, &rows);
                let _unknown = machine.flush();
            }
        }
        disk.crash();
        let machine = Machine::open(&disk).unwrap();
        let mut model = Model::default();
        for table in 0..TABLES.len() {
            machine.append(table, &rows).unwrap();
            model.append(table, &rows, &mut ModelFile::default());
        }
        assert!(holds(&machine, &model), "crash at {crash_at}");
    }
}
