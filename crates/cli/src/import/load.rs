//! Sources into a destination, one after the other: read on one thread, stored on another.

use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::Instant as Stopwatch;

use ebbtide_server::sources::{Chunk, FilePlan, Source, SourceError};

use super::files::source_failure;
use super::kept::Kept;
use super::positions::Positions;
use super::progress::Progress;
use super::rejects::{RejectedRow, Rejects};
use super::{Destination, FileOutcome};
use crate::clock;
use crate::failure::Failure;

/// Chunks that are read ahead while others are stored.
const CHUNKS_AHEAD: usize = 2;

/// What became of a table's rows.
#[derive(Debug, Default)]
pub(crate) struct TableTotal {
    pub(crate) table: String,
    pub(crate) accepted: usize,
    pub(crate) duplicates: usize,
    pub(crate) waiting: usize,
    pub(crate) rejected: usize,
    pub(crate) seconds: f64,
    /// Files that could not be read to their end.
    pub(crate) failures: Vec<Failure>,
}

impl TableTotal {
    pub(crate) fn rows(&self) -> usize {
        self.accepted + self.duplicates + self.waiting + self.rejected
    }
}

pub(crate) struct Loader<'a> {
    pub(crate) destination: &'a mut dyn Destination,
    pub(super) rejects: &'a mut Rejects,
    pub(super) progress: Progress,
    pub(crate) totals: Vec<TableTotal>,
}

impl Loader<'_> {
    /// Loads what a source holds. That it cannot be read to its end is told with the totals; what
    /// stops the whole import is an error.
    ///
    /// `path`: where the file can be read once more.
    pub(crate) fn load(
        &mut self,
        source: Source,
        plan: &FilePlan,
        path: Option<&Path>,
    ) -> Result<(), Failure> {
        let watch = Stopwatch::now();
        let table = &plan.table.name;
        let mut total = TableTotal { table: table.to_string(), ..TableTotal::default() };
        let (mut positions, mut kept) = (Positions::default(), Kept::new(clock::now()));
        self.destination.begin(table)?;
        std::thread::scope(|scope| -> Result<(), Failure> {
            let (sender, chunks) = sync_channel::<(Result<Chunk, SourceError>, u64)>(CHUNKS_AHEAD);
            scope.spawn(move || {
                let mut source = source;
                while let Some(chunk) = source.next() {
                    if sender.send((chunk, source.bytes_read())).is_err() {
                        return;
                    }
                }
            });
            for (chunk, bytes_read) in chunks {
                match chunk {
                    Ok(chunk) => {
                        chunk.rejects.iter().for_each(|reject| kept.unread(plan, reject));
                        self.store(&chunk, &mut positions, &mut total)?;
                    }
                    Err(error) => total.failures.push(source_failure(error)),
                }
                self.progress.file_bytes(bytes_read);
            }
            Ok(())
        })?;
        let outcome = self.destination.finish()?;
        self.account(plan, &outcome, &positions, &mut total)?;
        kept.untaken(plan, &outcome, &positions, path);
        self.destination.keep(kept);
        self.progress.file_over();
        total.seconds = watch.elapsed().as_secs_f64();
        self.add(total);
        Ok(())
    }

    fn store(
        &mut self,
        chunk: &Chunk,
        positions: &mut Positions,
        total: &mut TableTotal,
    ) -> Result<(), Failure> {
        positions.extend(&chunk.rows.positions);
        total.rejected += chunk.rejects.len();
        for reject in &chunk.rejects {
            self.rejects.write(&RejectedRow::unread(&total.table, reject))?;
        }
        self.destination.push(chunk)?;
        self.progress.add(chunk.rows.positions.len());
        Ok(())
    }

    fn account(
        &mut self,
        plan: &FilePlan,
        outcome: &FileOutcome,
        positions: &Positions,
        total: &mut TableTotal,
    ) -> Result<(), Failure> {
        for refused in &outcome.rejected {
            self.rejects.write(&RejectedRow {
                table: &total.table,
                file: &plan.file,
                line: positions.line(refused.row),
                column: refused.column.as_deref(),
                code: &refused.code,
                reason: &refused.detail,
                raw: None,
            })?;
        }
        total.accepted += outcome.accepted;
        total.duplicates += outcome.duplicates;
        total.waiting += outcome.waiting;
        total.rejected += outcome.rejected.len();
        Ok(())
    }

    /// Files of one table are counted together.
    fn add(&mut self, more: TableTotal) {
        let Some(total) = self.totals.iter_mut().find(|total| total.table == more.table) else {
            self.totals.push(more);
            return;
        };
        total.accepted += more.accepted;
        total.duplicates += more.duplicates;
        total.waiting += more.waiting;
        total.rejected += more.rejected;
        total.seconds += more.seconds;
        total.failures.extend(more.failures);
    }
}
