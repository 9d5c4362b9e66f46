//! A statement's process from the side of the one that started it: rows are handed to it as it asks, and its
//! answer is taken. What it asks for it gets of this statement's scope alone; how much it may send is counted
//! here again, since nothing that it says is trusted.

use std::collections::HashMap;
use std::io::Read;
use std::process::{ChildStdin, ExitStatus};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use ebbtide_model::{Instant, TableName};

use super::super::catalog::{ScopedCatalog, Source};
use super::super::rows::columns_of;
use super::super::scan::{ScanAsked, ScopedTable};
use super::super::scan_exec::PartitionRows;
use super::super::session::{SqlRequest, row_bytes};
use super::super::{SqlError, SqlRows};
use super::frames;
use super::launch::{Ended, Killer, Process, Processes, StopHandle};
use super::messages::{FromProcess, Start, TableHead, ToProcess, decoded, encoded};

/// Requests of a process that wait for a thread to answer them.
const REQUESTS_WAITING: usize = 64;
/// Beyond the bytes of the answer: those of its form.
const FORM_BYTES_MAX: u64 = 16 << 20;

/// Runs a statement in a process of its own. Blocks until it has ended.
pub(in crate::sql) fn conduct(
    processes: &Processes,
    catalog: &ScopedCatalog,
    request: &SqlRequest,
    stop: &StopHandle,
) -> Result<SqlRows, SqlError> {
    let mut process = processes.take()?;
    if !stop.goes_with(&process.killer) {
        return Err(SqlError::Fell { how: "it was given up".to_owned() });
    }
    processes.begun();
    let result = converse(&mut process, catalog, request);
    let (result, ended) = match result {
        Ok(Some(answer)) => (answer, Ended::Answered),
        // It said no last word.
        Ok(None) if stop.is_stopped() => {
            (Err(SqlError::Fell { how: "it was given up".to_owned() }), Ended::Killed)
        }
        Ok(None) => {
            let (status, words) = process.end();
            (Err(death(status, &words)), Ended::Fell)
        }
        Err(error) => (Err(error), Ended::Killed),
    };
    drop(process);
    processes.ended(&ended);
    result
}

/// `None` where the process ended without a word.
fn converse(
    process: &mut Process,
    catalog: &ScopedCatalog,
    request: &SqlRequest,
) -> Result<Option<Result<SqlRows, SqlError>>, SqlError> {
    let no_pipe = || SqlError::Internal("a process has no pipe".into());
    let stdin = process.stdin.take().ok_or_else(no_pipe)?;
    let mut stdout = process.stdout.take().ok_or_else(no_pipe)?;
    let serving = Serving {
        catalog,
        killer: process.killer.clone(),
        stdin: Mutex::new(stdin),
        tables: Mutex::default(),
        streams: Mutex::default(),
        failed: OnceLock::new(),
    };
    let start = ToProcess::Start(Box::new(Start::new(request, heads(catalog))?));
    // Where it is gone already, that is told by what it says: nothing.
    _ = frames::write(&mut *serving.stdin(), &start, &[]);
    let (sender, receiver) = sync_channel(REQUESTS_WAITING);
    let receiver = Mutex::new(receiver);
    let answer = thread::scope(|scope| {
        for _ in 0..catalog.partitions {
            scope.spawn(|| serving.work(&receiver));
        }
        let answer = Taking::new(request).listen(&mut stdout, &serving, &sender);
        // Whoever writes to it is not to wait for it.
        serving.killer.kill();
        drop(sender);
        answer
    });
    match serving.failed.into_inner() {
        Some(error) => Err(error),
        None => Ok(answer),
    }
}

/// What it is told of the tables beforehand.
fn heads(catalog: &ScopedCatalog) -> Vec<TableHead> {
    let Source::Stored { snapshot, .. } = &catalog.source else {
        return Vec::new();
    };
    let head = |table: &ebbtide_model::TableSchema| TableHead {
        name: table.name.to_string(),
        aliases: table.aliases.as_ref().map(|by| by.table.to_string()),
        open: table.open.is_some(),
    };
    snapshot.app().declared_tables().map(head).collect()
}

/// Why a process ended that said no last word.
fn death(status: Option<ExitStatus>, words: &str) -> SqlError {
    let how = status.map_or_else(|| "it is not known how".to_owned(), |status| status.to_string());
    if words.contains("memory allocation of") || was_killed(status) {
        tracing::warn!(target: "ebbtide::sql", how, "a statement's process ran out of memory");
        return SqlError::OutOfMemory;
    }
    if words.contains("has overflowed its stack") {
        tracing::warn!(target: "ebbtide::sql", how, "a statement's process ran out of stack");
        return SqlError::TooDeep;
    }
    tracing::error!(target: "ebbtide::sql", how, words, "a statement's process fell");
    SqlError::Fell { how }
}

/// By the system, for want of memory: we have not done it.
#[cfg(unix)]
fn was_killed(status: Option<ExitStatus>) -> bool {
    use std::os::unix::process::ExitStatusExt;
    const KILL: i32 = 9;
    status.and_then(|status| status.signal()) == Some(KILL)
}

#[cfg(not(unix))]
fn was_killed(_: Option<ExitStatus>) -> bool {
    false
}

/// What a process asks for.
enum Asked {
    Describe { call: u64, table: String },
    Next { stream: u64, rows: Arc<Mutex<PartitionRows>> },
}

/// What is handed to a process.
struct Serving<'a> {
    catalog: &'a ScopedCatalog,
    killer: Killer,
    stdin: Mutex<ChildStdin>,
    /// Those that were described.
    tables: Mutex<HashMap<String, ScopedTable>>,
    streams: Mutex<HashMap<u64, Arc<Mutex<PartitionRows>>>>,
    /// What went wrong on this side.
    failed: OnceLock<SqlError>,
}

impl Serving<'_> {
    fn stdin(&self) -> MutexGuard<'_, ChildStdin> {
        lock(&self.stdin)
    }

    /// Answers requests until there are no more, or one cannot be answered.
    fn work(&self, requests: &Mutex<Receiver<Asked>>) {
        loop {
            let Ok(request) = lock(requests).recv() else {
                return;
            };
            if let Err(error) = self.answer(request) {
                // The first is told; what follows from it is not.
                _ = self.failed.set(error);
                self.killer.kill();
            }
        }
    }

    fn answer(&self, request: Asked) -> Result<(), SqlError> {
        let (head, tail) = match request {
            Asked::Describe { call, table } => self.described(call, &table)?,
            Asked::Next { stream, rows } => {
                let next = lock(&rows).next().transpose()?;
                let tail = match &next {
                    Some(batch) => encoded(&batch.schema(), Some(batch))?,
                    None => Vec::new(),
                };
                (ToProcess::Rows { stream }, tail)
            }
        };
        // A process that is gone needs no answer.
        _ = frames::write(&mut *self.stdin(), &head, &tail);
        Ok(())
    }

    fn described(&self, call: u64, name: &str) -> Result<(ToProcess, Vec<u8>), SqlError> {
        let Some(table) = self.catalog.stored(name)? else {
            return Ok((ToProcess::Table { call, told: None }, Vec::new()));
        };
        let (told, columns) = table.told();
        let tail = encoded(&columns, None)?;
        lock(&self.tables).insert(name.to_owned(), table);
        Ok((ToProcess::Table { call, told: Some(told) }, tail))
    }

    /// The rows of a stream, where it asks for what there is.
    fn opened(&self, stream: u64, scan: &ScanAsked) -> Result<(), SqlError> {
        let table = lock(&self.tables).get(&scan.table).cloned();
        let rows = table.and_then(|table| table.rows_asked(scan));
        let rows = rows.ok_or_else(|| SqlError::Internal("a process asked for what there is not".into()))?;
        lock(&self.streams).insert(stream, Arc::new(Mutex::new(rows)));
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The answer of a process, as far as it is there.
struct Taking<'a> {
    request: &'a SqlRequest,
    schema: Option<SchemaRef>,
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

impl<'a> Taking<'a> {
    fn new(request: &'a SqlRequest) -> Self {
        Self { request, schema: None, batches: Vec::new(), rows: 0, bytes: 0 }
    }

    /// Passes requests on and takes the answer, to the last word; `None` where there was none.
    fn listen(
        mut self,
        stdout: &mut dyn Read,
        serving: &Serving<'_>,
        requests: &SyncSender<Asked>,
    ) -> Option<Result<SqlRows, SqlError>> {
        let tail_bytes_max = (self.request.limits.bytes_max as u64).saturating_add(FORM_BYTES_MAX);
        loop {
            let (message, tail) = frames::read::<FromProcess>(stdout, tail_bytes_max).ok()?;
            let taken = match message {
                FromProcess::Describe { call, table } => {
                    pass(requests, Asked::Describe { call, table });
                    Ok(())
                }
                FromProcess::Open { stream, scan } => serving.opened(stream, &scan),
                FromProcess::Next { stream } => {
                    let rows = lock(&serving.streams).get(&stream).cloned();
                    if let Some(rows) = rows {
                        pass(requests, Asked::Next { stream, rows });
                    }
                    Ok(())
                }
                FromProcess::Close { stream } => {
                    lock(&serving.streams).remove(&stream);
                    Ok(())
                }
                FromProcess::Answer => self.part(tail),
                FromProcess::Done { tables, changes_at } => {
                    return Some(self.whole(&tables, changes_at, serving.catalog));
                }
                FromProcess::Failed(error) => return Some(Err(error)),
                FromProcess::Defect(text) => return Some(Err(SqlError::Internal(text.into()))),
            };
            if let Err(error) = taken {
                return Some(Err(error));
            }
        }
    }

    fn part(&mut self, bytes: Vec<u8>) -> Result<(), SqlError> {
        let limits = self.request.limits;
        let (schema, batch) = decoded(bytes)?;
        let Some(batch) = batch else {
            self.schema = Some(schema);
            return Ok(());
        };
        self.rows += batch.num_rows();
        if self.rows > limits.rows_max {
            return Err(SqlError::TooManyRows { allowed: limits.rows_max });
        }
        self.bytes += row_bytes(&batch)?;
        if self.bytes > limits.bytes_max {
            return Err(SqlError::OutOfMemory);
        }
        self.batches.push(batch);
        Ok(())
    }

    fn whole(
        self,
        tables: &[String],
        changes_at: Option<i64>,
        catalog: &ScopedCatalog,
    ) -> Result<SqlRows, SqlError> {
        let schema =
            self.schema.ok_or_else(|| SqlError::Internal("an answer came without its columns".into()))?;
        let tables: Vec<TableName> = tables.iter().map(|name| TableName::new(name)).collect();
        Ok(SqlRows {
            columns: columns_of(&schema)?,
            schema,
            batches: self.batches,
            watermark: catalog.watermark(&tables)?,
            changes_at: changes_at.map(Instant::from_micros),
        })
    }
}

/// The workers are there as long as the statement is.
fn pass(requests: &SyncSender<Asked>, request: Asked) {
    _ = requests.send(request);
}
