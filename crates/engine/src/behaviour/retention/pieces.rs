//! An actor whose rows lie in several streams, such as who enrolled in one table and came back in another: each
//! stream is read by itself, in whichever order, since what counts of it is few starts and counts by period.

use ebbtide_model::query::Cohorts;

use super::{Coverage, RetentionFold, RetentionTable, Scratch, Start};
use crate::behaviour::kernel::{Code, CodeRun, RowTimes, first_from};

impl RetentionFold {
    /// Notes the starts and returns of some of an actor's rows.
    pub(super) fn note_piece<T: RowTimes, C: Code>(
        &self,
        scratch: &mut Scratch,
        table: &RetentionTable,
        run: CodeRun<'_, T, C>,
    ) {
        if table.starting != Coverage::None && self.cohorts == Cohorts::FirstTime {
            note_first_start(scratch, table, run);
        }
        let starts = table.starting != Coverage::None && self.cohorts == Cohorts::Recurring;
        if !starts && table.returning == Coverage::None {
            return;
        }
        let (ticks, bounds) = (run.times.ticks(), run.ruler.bounds.as_slice());
        let mut place = first_from(ticks, 0, bounds[0]);
        let (mut row, rows_end) = (0, bounds[self.rows()]);
        let tick_at = |place: usize| ticks.get(place).map(|tick| (*tick).into());
        while let Some(tick) = tick_at(place).filter(|tick| *tick < rows_end) {
            while tick >= bounds[row + 1] {
                row += 1;
            }
            let end = first_from(ticks, place + 1, bounds[row + 1]);
            let codes = &run.codes[place..end];
            let returns = match table.returning {
                Coverage::All => codes.len(),
                Coverage::Some => codes.iter().filter(|code| table.codes.get(**code).returns).count(),
                Coverage::None => 0,
            };
            if returns > 0 {
                scratch.returns.push((row, u32::try_from(returns).unwrap_or(u32::MAX)));
            }
            if starts {
                let is_start = |code: &C| table.codes.get(*code).starts;
                if let Some(first) = codes.iter().position(is_start) {
                    let (time, group) = start_at(table, run, place + first);
                    scratch.starts.push(Start { row, time, group });
                }
            }
            place = end;
        }
    }

    /// Brings what was noted of an actor together. `false`: it is in no row.
    pub(super) fn join_pieces(&self, scratch: &mut Scratch) -> bool {
        if let Some((time, group)) = scratch.first_start.take()
            && let Some(row) = self.row_of(time, 0)
        {
            scratch.starts.push(Start { row, time, group });
        }
        // Of a row's starts the first one counts, of simultaneous ones that of the lowest group.
        scratch.starts.sort_unstable_by_key(|start| (start.row, start.time, start.group));
        scratch.starts.dedup_by_key(|start| start.row);
        if !scratch.returns.is_sorted_by(|(left, _), (right, _)| left < right) {
            scratch.returns.sort_unstable_by_key(|(row, _)| *row);
            scratch.returns.dedup_by(|(row, count), (before, sum)| {
                let is_same = row == before;
                if is_same {
                    *sum = sum.saturating_add(*count);
                }
                is_same
            });
        }
        !scratch.starts.is_empty()
    }
}

/// Notes the first start, however long ago it was.
fn note_first_start<T: RowTimes, C: Code>(
    scratch: &mut Scratch,
    table: &RetentionTable,
    run: CodeRun<'_, T, C>,
) {
    if let Some(first) = run.codes.iter().position(|code| table.codes.get(*code).starts) {
        let own = start_at(table, run, first);
        scratch.first_start = Some(scratch.first_start.map_or(own, |known| known.min(own)));
    }
}

/// When the start in a row was, and of which group: of simultaneous ones the lowest.
fn start_at<T: RowTimes, C: Code>(table: &RetentionTable, run: CodeRun<'_, T, C>, row: usize) -> (i64, u32) {
    let (time, mut group) = (run.times.at(row), table.codes.get(run.codes[row]).group);
    if run.simultaneous {
        for other in (row + 1..run.codes.len()).take_while(|other| run.times.at(*other) == time) {
            let code = table.codes.get(run.codes[other]);
            if code.starts {
                group = group.min(code.group);
            }
        }
    }
    (time, group)
}
