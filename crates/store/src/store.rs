//! The store as its users see it: a handle that can be cloned, a queue in front of the one writer, and
//! snapshots for readers.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use ebbtide_model::{AppName, AppSchema, Scope, TableName, Tenants};

use crate::admission::prepare;
use crate::fingerprint::FolderSecret;
use crate::snapshot::Snapshot;
use crate::table::TableInfo;
use crate::writer::{Published, Request, TableIndex, Writer};
use crate::{NewRows, Receipt, Settings, StoreError};

/// What the store is given instead of reaching for it.
#[derive(Clone, Debug)]
pub struct Components {
    /// Random bytes, by which a new data folder hashes keys.
    pub fresh_secret: [u8; 32],
}

/// A data folder that this process holds. Clones are the same store.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    apps: Vec<AppSchema>,
    tables: Vec<Arc<TableInfo>>,
    indices: HashMap<(AppName, TableName), TableIndex>,
    published: Arc<Published>,
    queue: Mutex<Option<SyncSender<Waiting>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// A request and where its answer goes.
#[derive(Debug)]
struct Waiting {
    request: Request,
    answer: SyncSender<Result<Receipt, StoreError>>,
}

impl Store {
    /// Takes the data folder, recovers what was acknowledged, and starts the writer.
    pub fn open(
        components: Components,
        settings: Settings,
        apps: Vec<AppSchema>,
    ) -> Result<Self, StoreError> {
        settings.validate()?;
        let secret = FolderSecret::new(components.fresh_secret);
        let writer = Writer::open(&secret, apps.clone())?;
        let tables = writer.infos();
        let indices = tables
            .iter()
            .enumerate()
            .map(|(index, info)| ((info.app.clone(), info.schema.name.clone()), index))
            .collect();
        let published = writer.published();
        let (sender, receiver) = sync_channel(settings.queue_requests_max);
        let group_rows_max = settings.group_rows_max;
        let thread = std::thread::Builder::new()
            .name("ebbtide-writer".to_owned())
            .spawn(move || write_groups(writer, &receiver, group_rows_max))
            .map_err(|error| StoreError::Failed { reason: format!("a thread cannot start: {error}") })?;
        let inner = Inner {
            apps,
            tables,
            indices,
            published,
            queue: Mutex::new(Some(sender)),
            threads: Mutex::new(vec![thread]),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The apps that the store was opened with.
    pub fn apps(&self) -> &[AppSchema] {
        &self.inner.apps
    }

    /// Blocks until each row of the batch is durable and visible, or accounted for otherwise.
    ///
    /// A full queue is [`StoreError::Overloaded`]: nothing of the batch was stored.
    pub fn append(&self, scope: &Scope, rows: NewRows) -> Result<Receipt, StoreError> {
        let (table, info) = self.table_to_write(scope, &rows.table)?;
        let prepared = prepare(&info.schema, &info.hasher, scope, &rows.batch)?;
        self.ask(Request::Append { table, prepared, occurrences: rows.occurrences })
    }

    /// All tables of an app as they are now.
    pub fn snapshot(&self, app: &AppName) -> Result<Snapshot, StoreError> {
        self.inner.published.snapshot(app)
    }

    /// Waits for the writes under way and ends. Writes after it are refused; snapshots still read.
    pub fn close(&self) -> Result<(), StoreError> {
        self.inner.stop();
        Ok(())
    }

    fn table_to_write(
        &self,
        scope: &Scope,
        name: &TableName,
    ) -> Result<(TableIndex, &Arc<TableInfo>), StoreError> {
        let inner = &self.inner;
        let Some(&index) = inner.indices.get(&(scope.app().clone(), name.clone())) else {
            // Names the app, or else the table, that is unknown.
            self.snapshot(scope.app())?.table(scope, name)?;
            return Err(StoreError::UnknownTable { table: name.clone(), known: Vec::new() });
        };
        let info = &inner.tables[index];
        if info.parent && matches!(scope.tenants(), Tenants::One(_)) {
            return Err(StoreError::ScopeTooNarrow { table: name.clone() });
        }
        Ok((index, info))
    }

    fn ask(&self, request: Request) -> Result<Receipt, StoreError> {
        let (answer, answered) = sync_channel(1);
        let queue = self.inner.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match queue.ok_or(StoreError::Closed)?.try_send(Waiting { request, answer }) {
            Ok(()) => answered.recv().map_err(|_| StoreError::Closed)?,
            Err(TrySendError::Full(_)) => Err(StoreError::Overloaded),
            Err(TrySendError::Disconnected(_)) => Err(StoreError::Closed),
        }
    }
}

impl Inner {
    fn stop(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the store ended in a panic");
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The writer's thread: takes all that waits as a group, until every sender is gone.
fn write_groups(mut writer: Writer, queue: &Receiver<Waiting>, group_rows_max: usize) {
    while let Ok(first) = queue.recv() {
        let mut rows = first.request.rows();
        let (mut requests, mut callers) = (vec![first.request], vec![first.answer]);
        while rows < group_rows_max
            && let Ok(next) = queue.try_recv()
        {
            rows += next.request.rows();
            requests.push(next.request);
            callers.push(next.answer);
        }
        for (caller, answer) in callers.into_iter().zip(writer.commit_group(requests)) {
            if caller.send(answer).is_err() {
                tracing::debug!("a caller did not wait for its answer");
            }
        }
    }
}
