//! The tables of a statement as its process sees them: names that it was told, and rows that it asks for.

use std::collections::HashMap;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use ebbtide_model::Instant;
use futures::Stream;
use tokio::sync::{mpsc, oneshot};

use super::super::SqlError;
use super::super::scan::{ScanAsked, ScopedTable, TableTold};
use super::frames;
use super::messages::{FromProcess, TableHead, decoded};

/// A table that was described: what is told of it, and its columns as bytes.
pub(super) type Described = Option<(TableTold, Vec<u8>)>;

/// The tables that there are, and the way to them.
pub(in crate::sql) struct Handed {
    tables: Vec<TableHead>,
    line: Arc<Line>,
}

impl std::fmt::Debug for Handed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Handed").field("tables", &self.tables).finish_non_exhaustive()
    }
}

impl Handed {
    pub(super) fn new(tables: Vec<TableHead>, line: Arc<Line>) -> Self {
        Self { tables, line }
    }

    pub(in crate::sql) fn head(&self, name: &str) -> Option<&TableHead> {
        self.tables.iter().find(|table| table.name == name)
    }

    pub(in crate::sql) fn names(&self) -> Vec<String> {
        self.tables.iter().map(|table| table.name.clone()).collect()
    }

    pub(in crate::sql) fn has_open(&self) -> bool {
        self.tables.iter().any(|table| table.open)
    }

    /// `None` where there is no such table.
    pub(in crate::sql) async fn table(
        self: Arc<Self>,
        name: &str,
        as_of: Instant,
    ) -> std::result::Result<Option<ScopedTable>, SqlError> {
        if self.head(name).is_none() {
            return Ok(None);
        }
        let Some((told, columns)) = self.line.describe(name).await? else {
            return Ok(None);
        };
        let (declared, _) = decoded(columns)?;
        let rows = HandedRows { name: Arc::from(name), rows: told.rows.clone(), line: self.line.clone() };
        Ok(Some(ScopedTable::handed(&declared, &told, as_of, rows)))
    }
}

/// A table's rows, which another process reads.
#[derive(Clone)]
pub(in crate::sql) struct HandedRows {
    name: Arc<str>,
    /// About how many each part of each partition has.
    rows: Vec<Vec<usize>>,
    line: Arc<Line>,
}

impl std::fmt::Debug for HandedRows {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("HandedRows").field("name", &self.name).finish_non_exhaustive()
    }
}

impl HandedRows {
    pub(in crate::sql) fn table(&self) -> &str {
        &self.name
    }

    pub(in crate::sql) fn rows_of_parts(&self) -> &[Vec<usize>] {
        &self.rows
    }

    /// The rows, asked for from the first poll on: one batch is on its way while the last is worked on.
    pub(in crate::sql) fn stream(&self, asked: ScanAsked) -> impl Stream<Item = Result<RecordBatch>> + use<> {
        let line = self.line.clone();
        let begun = futures::stream::once(async move { line.open(asked) });
        futures::StreamExt::flat_map(begun, |opened| {
            futures::stream::unfold(Some(opened), |state| async move {
                match state? {
                    Err(error) => Some((Err(error), None)),
                    Ok(mut open) => match open.next().await {
                        Ok(None) => None,
                        Ok(Some(batch)) => Some((Ok(batch), Some(Ok(open)))),
                        Err(error) => Some((Err(error), None)),
                    },
                }
            })
        })
    }
}

/// What goes to the one that this process works for, and who waits for what comes back.
pub(super) struct Line {
    out: Mutex<Box<dyn Write + Send>>,
    next: AtomicU64,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    tables: HashMap<u64, oneshot::Sender<Described>>,
    /// Each gets one batch for each that it asks for, so there is always room.
    streams: HashMap<u64, mpsc::Sender<Vec<u8>>>,
}

/// Nobody answers any more: this process is about to end.
fn gone<E>(_: E) -> DataFusionError {
    DataFusionError::Internal("the line to the server is cut".to_owned())
}

impl Line {
    pub(super) fn new(out: Box<dyn Write + Send>) -> Arc<Self> {
        Arc::new(Self { out: Mutex::new(out), next: AtomicU64::new(0), waiting: Mutex::default() })
    }

    pub(super) fn say(&self, message: &FromProcess, tail: &[u8]) -> Result<()> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        frames::write(&mut *out, message, tail).map_err(gone)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    async fn describe(&self, table: &str) -> std::result::Result<Described, SqlError> {
        let call = self.number();
        let (sender, answer) = oneshot::channel();
        self.waiting().tables.insert(call, sender);
        self.say(&FromProcess::Describe { call, table: table.to_owned() }, &[])?;
        Ok(answer.await.map_err(gone)?)
    }

    pub(super) fn described(&self, call: u64, told: Described) {
        if let Some(sender) = self.waiting().tables.remove(&call) {
            // Whoever asked may have been given up.
            _ = sender.send(told);
        }
    }

    pub(super) fn rows(&self, stream: u64, bytes: Vec<u8>) {
        if let Some(sender) = self.waiting().streams.get(&stream) {
            // As above.
            _ = sender.try_send(bytes);
        }
    }

    /// Nobody is answered any more.
    pub(super) fn cut(&self) {
        *self.waiting() = Waiting::default();
    }

    fn open(self: Arc<Self>, scan: ScanAsked) -> Result<OpenStream> {
        let stream = self.number();
        let (sender, rows) = mpsc::channel(1);
        self.waiting().streams.insert(stream, sender);
        let open = OpenStream { stream, rows, line: self };
        open.line.say(&FromProcess::Open { stream, scan }, &[])?;
        open.ask()?;
        Ok(open)
    }
}

/// A stream of rows, closed when it is dropped.
struct OpenStream {
    stream: u64,
    rows: mpsc::Receiver<Vec<u8>>,
    line: Arc<Line>,
}

impl OpenStream {
    fn ask(&self) -> Result<()> {
        self.line.say(&FromProcess::Next { stream: self.stream }, &[])
    }

    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let bytes = self.rows.recv().await.ok_or(()).map_err(gone)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        self.ask()?;
        let (_, batch) = decoded(bytes)?;
        Ok(batch)
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.line.waiting().streams.remove(&self.stream);
        // Where the line is cut there is nobody to be told.
        _ = self.line.say(&FromProcess::Close { stream: self.stream }, &[]);
    }
}
