//! The process of a statement, from within.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use ebbtide_model::Instant;

use super::super::catalog::{Repeats, ScopedCatalog, Source};
use super::super::plans::Plans;
use super::super::session::{self, Limits, Sql, SqlRequest};
use super::super::{SqlError, SqlSettings};
use super::frames;
use super::handed::{Handed, Line};
use super::launch::ProcessTask;
use super::messages::{FromProcess, Start, ToProcess, encoded};
use crate::EngineError;

/// The stack of the thread that plans; see [`session`]. Pages that are not touched cost nothing.
const PLANNING_STACK_BYTES: usize = 256 << 20;
/// The stack of threads that run parts of a plan, whose expressions are walked by recursion, too.
const WORKING_STACK_BYTES: usize = 16 << 20;
/// Threads that write and read what was spilled.
const SPILLING_THREADS_MAX: usize = 4;
/// Of the memory that the process may take, this part of sixteen is for what operators count; the rest for
/// what nobody counts.
const COUNTED_SIXTEENTHS: usize = 12;

/// Answers the one statement that comes in, and returns when that is done, or when nobody waits for it any
/// more: the process is to end then, whatever still runs in it. `ready` is called once its threads are there;
/// from then on it may take `memory_bytes_max` more, which `ready` can set as a limit.
pub fn serve_one(
    task: &ProcessTask,
    mut input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    ready: impl FnOnce(usize),
) -> Result<(), EngineError> {
    let sql = Sql::for_process(
        &SqlSettings {
            threads: task.threads,
            partitions: task.partitions,
            memory_bytes_max: task.memory_bytes_max / 16 * COUNTED_SIXTEENTHS,
            spill: task.spill.clone(),
            ..SqlSettings::default()
        },
        WORKING_STACK_BYTES,
        SPILLING_THREADS_MAX,
    )?;
    let sql = Arc::new(sql);
    let line = Line::new(Box::new(output));
    let (over, is_over) = sync_channel::<()>(2);
    let (begin, begun) = sync_channel::<Start>(1);
    let answering = line.clone();
    let ended = over.clone();
    spawn("answer", PLANNING_STACK_BYTES, move || {
        if let Ok(start) = begun.recv() {
            answer(&sql, start, &answering);
        }
        // The other end is there until one has told it.
        _ = ended.try_send(());
    })?;
    let listening = line;
    spawn("listen", WORKING_STACK_BYTES, move || {
        listen(&mut input, &listening, &begin);
        listening.cut();
        _ = over.try_send(());
    })?;
    ready(task.memory_bytes_max + SPILLING_THREADS_MAX * WORKING_STACK_BYTES);
    // An error would say that both threads are gone, which is an end as well.
    _ = is_over.recv();
    Ok(())
}

fn spawn(name: &str, stack_bytes: usize, body: impl FnOnce() + Send + 'static) -> Result<(), SqlError> {
    let thread = thread::Builder::new().name(name.to_owned()).stack_size(stack_bytes).spawn(body);
    thread.map(|_| ()).map_err(|error| SqlError::Internal(Box::new(error)))
}

/// Hands on what comes in, until it ends.
fn listen(input: &mut dyn Read, line: &Line, begin: &SyncSender<Start>) {
    while let Ok((message, tail)) = frames::read::<ToProcess>(input, u64::MAX) {
        match message {
            ToProcess::Start(start) => {
                // There is one statement; a second has nobody to answer it.
                _ = begin.try_send(*start);
            }
            ToProcess::Table { call, told } => line.described(call, told.map(|told| (told, tail))),
            ToProcess::Rows { stream } => line.rows(stream, tail),
        }
    }
}

fn answer(sql: &Sql, start: Start, line: &Arc<Line>) {
    let ended = run(sql, start, line).unwrap_or_else(|error| match error {
        SqlError::Internal(source) => FromProcess::Defect(source.to_string()),
        SqlError::Store(error) => FromProcess::Defect(error.to_string()),
        error => FromProcess::Failed(error),
    });
    // Where nobody hears it, the process is about to end.
    _ = line.say(&ended, &[]);
}

fn run(sql: &Sql, mut start: Start, line: &Arc<Line>) -> Result<FromProcess, SqlError> {
    let tables = std::mem::take(&mut start.tables);
    let request = start.request().ok_or_else(|| SqlError::Internal("there is no such zone".into()))?;
    let catalog = ScopedCatalog {
        source: Source::Handed(Arc::new(Handed::new(tables, line.clone()))),
        as_of: request.as_of,
        partitions: sql.partitions,
        relations: Vec::new(),
        repeats: Repeats::Once,
    };
    let mut answer = Answering { line, request: &request, rows: 0, bytes: 0 };
    let runtime = sql.runtime()?;
    let done = runtime.block_on(session::run(
        sql.base.clone(),
        &Plans::default(),
        catalog,
        &request,
        &mut answer,
    ))?;
    Ok(FromProcess::Done {
        tables: done.tables.iter().map(ToString::to_string).collect(),
        changes_at: done.changes_at.map(Instant::micros),
    })
}

/// Sends an answer off as it comes, and counts it.
struct Answering<'a> {
    line: &'a Line,
    request: &'a SqlRequest,
    rows: usize,
    bytes: usize,
}

impl session::Taker for Answering<'_> {
    fn columns(&mut self, schema: &Schema) -> Result<(), SqlError> {
        Ok(self.line.say(&FromProcess::Answer, &encoded(schema, None)?)?)
    }

    fn batch(&mut self, batch: RecordBatch) -> Result<(), SqlError> {
        let Limits { rows_max, bytes_max, .. } = self.request.limits;
        self.rows += batch.num_rows();
        if self.rows > rows_max {
            return Err(SqlError::TooManyRows { allowed: rows_max });
        }
        self.bytes += session::row_bytes(&batch)?;
        if self.bytes > bytes_max {
            return Err(SqlError::OutOfMemory);
        }
        Ok(self.line.say(&FromProcess::Answer, &encoded(&batch.schema(), Some(&batch))?)?)
    }
}
