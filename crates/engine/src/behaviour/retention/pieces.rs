//! An actor whose rows lie in several streams, such as who enrolled in one table and came back in another: each
//! stream is read by itself, in whichever order, since what counts of it is few starts and counts by period.

use ebbtide_model::query::Cohorts;

use super::{Coverage, RetentionFold, RetentionTable, Scratch, Start};
use crate::behaviour::kernel::{Code, CodeRun, RowTimes};

/// What is known of an actor whose pieces are taken.
#[derive(Debug, Default)]
pub(super) struct Noted {
    /// Where just the first start counts: its time and group.
    first_start: Option<(i64, u32)>,
    starts: Vec<Start>,
    /// Periods with return events, and how many; of each piece ascending.
    returns: Vec<(usize, u32)>,
}

impl RetentionFold {
    /// Notes the starts and returns of some of an actor's rows.
    pub(super) fn note_piece<T: RowTimes, C: Code>(
        &self,
        noted: &mut Noted,
        table: &RetentionTable,
        run: CodeRun<'_, T, C>,
    ) {
        if table.starting != Coverage::None && self.cohorts == Cohorts::FirstTime {
            note_first_start(noted, table, run);
        }
        let starts = table.starting != Coverage::None && self.cohorts == Cohorts::Recurring;
        if !starts && table.returning == Coverage::None {
            return;
        }
        self.each_period(run.times.ticks(), &run.ruler.bounds, |row, places| {
            let codes = &run.codes[places.clone()];
            let returns = match table.returning {
                Coverage::All => codes.len(),
                Coverage::Some => codes.iter().filter(|code| table.codes.get(**code).returns).count(),
                Coverage::None => 0,
            };
            if returns > 0 {
                noted.returns.push((row, u32::try_from(returns).unwrap_or(u32::MAX)));
            }
            if starts {
                let is_start = |code: &C| table.codes.get(*code).starts;
                if let Some(first) = codes.iter().position(is_start) {
                    let (time, group) = start_at(table, run, places.start + first);
                    noted.starts.push(Start { row, time, group });
                }
            }
        });
    }

    /// Makes of what was noted of an actor its starts and returns, and forgets it. `false`: it is in no row.
    pub(super) fn join_pieces(&self, scratch: &mut Scratch) -> bool {
        let Scratch { starts, returns, noted, .. } = scratch;
        starts.clear();
        returns.clear();
        starts.append(&mut noted.starts);
        returns.append(&mut noted.returns);
        if let Some((time, group)) = noted.first_start.take()
            && let Some(row) = self.row_of(time, 0)
        {
            starts.push(Start { row, time, group });
        }
        // Of a row's starts the first one counts, of simultaneous ones that of the lowest group.
        starts.sort_unstable_by_key(|start| (start.row, start.time, start.group));
        starts.dedup_by_key(|start| start.row);
        if !returns.is_sorted_by(|(left, _), (right, _)| left < right) {
            returns.sort_unstable_by_key(|(row, _)| *row);
            returns.dedup_by(|(row, count), (before, sum)| {
                let is_same = row == before;
                if is_same {
                    *sum = sum.saturating_add(*count);
                }
                is_same
            });
        }
        !starts.is_empty()
    }
}

/// Notes the first start, however long ago it was.
fn note_first_start<T: RowTimes, C: Code>(noted: &mut Noted, table: &RetentionTable, run: CodeRun<'_, T, C>) {
    if let Some(first) = run.codes.iter().position(|code| table.codes.get(*code).starts) {
        let own = start_at(table, run, first);
        noted.first_start = Some(noted.first_start.map_or(own, |known| known.min(own)));
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
