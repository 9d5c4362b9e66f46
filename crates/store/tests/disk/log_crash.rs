//! Random work on a log over a disk that crashes, reopened again and again against a model that knows
//! what was appended and what was synced.

use std::collections::BTreeSet;
use std::path::Path;

use ebbtide_store::fs::{FileSystem, SimFs};
use ebbtide_store::log::{
    Damage, DamageCause, Log, LogError, LogSettings, Record, Recovered, RecoveryReport,
};

use crate::support::{Choices, FOLDER, append, open_all, record, sequences, shared};

const SEEDS: u64 = 600;
const CRASHES_PER_SEED: usize = 4;

/// What a log ought to hold.
#[derive(Default)]
struct Model {
    /// All records that may be there, in order, with the file they went to.
    appended: Vec<(Record, u64)>,
    /// So many of them were synced.
    synced: usize,
    /// Records of files up to this one may be gone, since their removal was asked for.
    removed_through: u64,
    damage: Vec<Damage>,
    next_sequence: u64,
}

/// What the runs have come across, to show that they test something.
#[derive(Default)]
struct Seen {
    cut: usize,
    damage: usize,
    kept_unsynced: usize,
    lost_unsynced: usize,
    crashed_opening: usize,
    files: u64,
    killed: usize,
    removed: usize,
}

#[test]
fn whatever_crashes_synced_records_are_there_in_order_and_nothing_is_made_up() {
    let mut seen = Seen::default();
    for seed in 0..SEEDS {
        run(seed, &mut seen);
    }
    let Seen { cut, damage, kept_unsynced, lost_unsynced, crashed_opening, files, killed, removed } = seen;
    let counts = [cut, damage, kept_unsynced, lost_unsynced, crashed_opening, killed, removed];
    assert!(counts.iter().all(|count| *count >= 20), "{counts:?}");
    assert!(files >= 4000, "{files}");
}

fn run(seed: u64, seen: &mut Seen) {
    let disk = SimFs::new(seed);
    let mut choices = Choices::new(seed);
    let mut model = Model { next_sequence: 1, ..Model::default() };
    let file_bytes_max = [200, 5_000, 70_000][choices.below(3)];
    let settings = LogSettings { folder: FOLDER, file_bytes_max };
    for _ in 0..CRASHES_PER_SEED {
        let log = reopen(seed, &disk, settings, &mut choices, &mut model, seen);
        set_fault(&disk, &mut choices);
        // An error is the fault; what it left behind is for the next opening to show.
        let ended = work(log, &mut choices, &mut model);
        assert!(
            ended.is_ok() || disk.is_down() || ended.is_err_and(|error| is_a_fault(&error)),
            "seed {seed}"
        );
        if disk.is_down() || choices.below(3) > 0 {
            disk.crash();
        } else {
            // What was written is still to be read; the next crash may take it.
            disk.kill();
            seen.killed += 1;
        }
    }
    reopen(seed, &disk, settings, &mut choices, &mut model, seen);
}

fn is_a_fault(error: &LogError) -> bool {
    matches!(error, LogError::Fs(_) | LogError::Poisoned { .. })
}

fn set_fault(disk: &SimFs, choices: &mut Choices) {
    let count = 1 + choices.below(60) as u64;
    match choices.below(6) {
        0 => disk.fill_after(count),
        1 => disk.fail_sync_after(count),
        _ => disk.crash_after(count),
    }
}

fn work(mut log: Log, choices: &mut Choices, model: &mut Model) -> Result<(), LogError> {
    for _ in 0..40 {
        match choices.below(20) {
            0 => {
                model.removed_through = log.seal_current()?;
                model.synced = model.appended.len();
                log.remove_through(model.removed_through)?;
            }
            1 => {
                log.seal_current()?;
                model.synced = model.appended.len();
            }
            2..=8 => {
                log.sync()?;
                model.synced = model.appended.len();
            }
            _ => append_some(&mut log, choices, model)?,
        }
    }
    Ok(())
}

fn append_some(log: &mut Log, choices: &mut Choices, model: &mut Model) -> Result<(), LogError> {
    let mut group = Vec::new();
    for _ in 0..1 + choices.below(4) {
        let payload_bytes = match choices.below(12) {
            0 => 20_000 + choices.below(60_000),
            1 => 0,
            _ => choices.below(1_500),
        };
        group.push(record(model.next_sequence, payload_bytes));
        model.next_sequence += 1;
    }
    // Where the write fails part of the group may be in the file all the same.
    let newest = model.appended.last().map_or(0, |(_, file)| *file);
    let written = append(log, &group);
    let file = written.as_ref().copied().unwrap_or(newest + 1);
    model.appended.extend(group.into_iter().map(|record| (record, file)));
    written.map(|_| ())
}

/// Opens the log, once in a while crashing in the midst of it, and checks what it gives.
fn reopen(
    seed: u64,
    disk: &SimFs,
    settings: LogSettings,
    choices: &mut Choices,
    model: &mut Model,
    seen: &mut Seen,
) -> Log {
    if choices.below(3) == 0 {
        disk.crash_after(1 + choices.below(6) as u64);
    }
    let opened = open_all(shared(disk), settings);
    let opened = if disk.is_down() {
        seen.crashed_opening += 1;
        disk.crash();
        open_all(shared(disk), settings)
    } else {
        opened
    };
    let (log, recovered, report) = opened.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    // A crash that was set and has not come is taken back.
    disk.crash_after(u64::MAX);
    check_what_came_back(seed, disk, model, &recovered, &report, seen);
    *model = Model {
        appended: recovered.into_iter().map(|found| (found.record, found.file)).collect(),
        damage: report.damage,
        next_sequence: model.next_sequence,
        ..Model::default()
    };
    model.synced = model.appended.len();
    log
}

fn check_what_came_back(
    seed: u64,
    disk: &SimFs,
    model: &Model,
    recovered: &[Recovered],
    report: &RecoveryReport,
    seen: &mut Seen,
) {
    let mut rest = model.appended.iter();
    for found in recovered {
        assert!(
            rest.any(|(record, _)| *record == found.record),
            "seed {seed}: record {} is made up or out of order",
            found.record.first_sequence
        );
    }
    let there: BTreeSet<u64> = sequences(recovered).into_iter().collect();
    let is_there = |record: &Record| there.contains(&record.first_sequence);
    for (record, file) in &model.appended[..model.synced] {
        let is_removed = *file <= model.removed_through;
        assert!(
            is_there(record) || is_removed,
            "seed {seed}: synced record {} is lost",
            record.first_sequence
        );
        seen.removed += usize::from(is_removed && !is_there(record));
    }
    let new_damage = report.damage.iter().filter(|damage| !model.damage.contains(damage)).count();
    for damage in &report.damage {
        assert_eq!(damage.cause, DamageCause::UnfinishedWrite, "seed {seed}: {damage}");
        let copy = disk.len(damage.quarantine.as_deref().unwrap_or(Path::new(""))).unwrap();
        assert_eq!(copy, damage.bytes, "seed {seed}");
    }
    let unsynced = &model.appended[model.synced..];
    if new_damage == 0 {
        let first_lost = unsynced.iter().position(|(record, _)| !is_there(record)).unwrap_or(unsynced.len());
        let after = &unsynced[first_lost..];
        assert!(!after.iter().any(|(record, _)| is_there(record)), "seed {seed}: a gap that is not told");
    }
    let kept = unsynced.iter().filter(|(record, _)| is_there(record)).count();
    seen.kept_unsynced += kept;
    seen.lost_unsynced += unsynced.len() - kept;
    seen.cut += usize::from(report.cut.is_some());
    seen.damage += new_damage;
    seen.files += report.files;
}
