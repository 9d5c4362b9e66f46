//! The store as its users see it: a handle that can be cloned, a queue in front of the one writer, and
//! snapshots for readers.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use arrow::array::RecordBatch;
use ebbtide_model::{AppName, AppSchema, Scope, TableName, Tenants};

use crate::admission::prepare;
use crate::fs::FileSystem;
use crate::import::Importer;
use crate::lock::FolderLock;
use crate::log::RecoveryReport;
use crate::maintenance::{Health, Job, Shared};
use crate::recover::{self, Opened};
use crate::request::{Answer, Request};
use crate::side_by_side::no_thread;
use crate::snapshot::Snapshot;
use crate::statistics::Statistics;
use crate::table::TableInfo;
use crate::verify::{Verified, verify_manifest_and_log, verify_segments};
use crate::writer::TableIndex;
use crate::{NewRows, Receipt, Settings, StoreError};

/// Bytes of rows that are made durable by one fdatasync, about.
const GROUP_BYTES_MAX: usize = 64 << 20;

/// What the store is given instead of reaching for it.
#[derive(Clone, Debug)]
pub struct Components {
    /// The data folder.
    pub fs: Arc<dyn FileSystem>,
    pub fresh: FreshIds,
}

/// Random numbers, 128 bits each, which a new data folder takes for good. An old one keeps its own.
#[derive(Clone, Copy, Debug)]
pub struct FreshIds {
    /// Tells its files from those of other folders.
    pub folder: u128,
    /// Keys of rows are hashed with it, so that nobody outside can aim for collisions.
    pub secret: u128,
}

impl FreshIds {
    /// From the operating system's randomness, by way of the standard library's hash keys.
    pub fn random() -> Self {
        let keys = RandomState::new();
        let number =
            |part: u8| u128::from(keys.hash_one((part, 0))) << 64 | u128::from(keys.hash_one((part, 1)));
        Self { folder: number(0), secret: number(1) }
    }
}

/// A data folder that this process holds, until the last clone is dropped. Clones are the same store.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    fs: Arc<dyn FileSystem>,
    apps: Vec<AppSchema>,
    tables: Vec<Arc<TableInfo>>,
    indices: HashMap<(AppName, TableName), TableIndex>,
    shared: Arc<Shared>,
    queue: Mutex<Option<SyncSender<Waiting>>>,
    writing: Mutex<Option<JoinHandle<()>>>,
    background: Mutex<Vec<JoinHandle<()>>>,
}

/// A request and where its answer goes.
#[derive(Debug)]
struct Waiting {
    request: Request,
    answer: SyncSender<Result<Answer, StoreError>>,
}

impl Store {
    /// Takes the data folder, recovers what was acknowledged, and starts to write, flush and compact.
    ///
    /// A folder that another process holds, that is damaged, or whose tables were stored otherwise than
    /// `apps` declare them, is an error. A folder may hold apps that are not among `apps`: their rows
    /// stay as they are.
    pub fn open(
        components: Components,
        settings: Settings,
        apps: Vec<AppSchema>,
    ) -> Result<Self, StoreError> {
        let lock = FolderLock::take(components.fs.as_ref())?;
        Self::open_held(components, lock, settings, apps)
    }

    /// As [`Store::open`], of a folder that was taken before: reading it back may take long, and whether
    /// it is to be had is known at once.
    pub fn open_held(
        components: Components,
        held: FolderLock,
        settings: Settings,
        apps: Vec<AppSchema>,
    ) -> Result<Self, StoreError> {
        let queue_requests_max = settings.queue_requests_max;
        let apps: Vec<AppSchema> = apps.into_iter().map(AppSchema::with_system_tables).collect();
        let Opened { writer, log } =
            recover::open(components.fs.clone(), held, settings, &components.fresh, apps.clone())?;
        let tables: Vec<Arc<TableInfo>> = writer.tables.iter().map(|table| table.info.clone()).collect();
        let deployed = tables.iter().enumerate().filter(|(_, info)| info.deployed);
        let indices =
            deployed.map(|(index, info)| ((info.app.clone(), info.schema.name.clone()), index)).collect();
        let shared = Arc::new(Shared::new(writer, concerns(&log)));
        let (sender, receiver) = sync_channel(queue_requests_max);
        let inner = Inner {
            fs: components.fs,
            apps,
            tables,
            indices,
            shared: shared.clone(),
            queue: Mutex::new(Some(sender)),
            writing: Mutex::new(None),
            background: Mutex::new(Vec::new()),
        };
        // From here on a failure drops `inner`, which ends the threads that have started.
        let own = shared.clone();
        *lock(&inner.writing) = Some(spawn("ebbtide-writer", move || write_groups(&own, &receiver))?);
        for (name, job) in [("ebbtide-flush", Job::Flush), ("ebbtide-compact", Job::Compaction)] {
            let own = shared.clone();
            let thread = spawn(name, move || own.work(job))?;
            lock(&inner.background).push(thread);
        }
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The apps that the store was opened with.
    pub fn apps(&self) -> &[AppSchema] {
        &self.inner.apps
    }

    /// Blocks until each row of the batch is durable and visible, or accounted for otherwise.
    ///
    /// A full queue is [`StoreError::Overloaded`], and nothing of the batch was stored. After
    /// [`StoreError::Failed`] it is not known whether it was, and a restart tells.
    pub fn append(&self, scope: &Scope, rows: NewRows) -> Result<Receipt, StoreError> {
        let (table, info) = self.table_to_write(scope, &rows.table)?;
        let prepared = prepare(info, scope, &rows.batch, rows.occurrences.keyless())?;
        match self.ask(Request::Append {
            table,
            prepared: Box::new(prepared),
            occurrences: rows.occurrences,
        })? {
            Answer::Appended(receipt) => Ok(receipt),
            Answer::Deleted(_) | Answer::Cleared(_) => Err(StoreError::Closed),
        }
    }

    /// Deletes rows by key: `keys` has the key's columns, in the key's order and in their storage types.
    /// The number of rows that there were; a row of another tenant is none.
    pub fn delete_rows(
        &self,
        scope: &Scope,
        table: &TableName,
        keys: &RecordBatch,
    ) -> Result<u64, StoreError> {
        let (index, info) = self.table_of(scope, table)?;
        let tenant = match scope.tenants() {
            Tenants::One(tenant) => Some(tenant.as_str().to_owned()),
            Tenants::All if info.parent => None,
            Tenants::All => return Err(StoreError::TenantNeeded { table: table.clone() }),
        };
        let own = tenant.as_deref().unwrap_or_default();
        let mut fingerprints = info.hasher.hash_keys(&info.schema, keys, own)?;
        fingerprints.iter_mut().for_each(|fingerprint| *fingerprint = info.owned(*fingerprint, own));
        self.deleted(Request::Delete { table: index, fingerprints, tenant })
    }

    /// Deletes all rows that the scope sees in a table: a tenant's, or everybody's. How many there were.
    pub fn clear(&self, scope: &Scope, table: &TableName) -> Result<u64, StoreError> {
        Ok(self.clear_together(scope, std::slice::from_ref(table))?.iter().sum())
    }

    /// [Clears](Self::clear) some tables of one app at once: whoever looks sees the rows of all of them, or of none.
    pub fn clear_together(&self, scope: &Scope, tables: &[TableName]) -> Result<Vec<u64>, StoreError> {
        let tables = tables.iter().map(|table| self.table_of(scope, table).map(|(index, _)| index));
        let tables = tables.collect::<Result<Vec<_>, _>>()?;
        let tenant = match scope.tenants() {
            Tenants::One(tenant) => Some(tenant.as_str().to_owned()),
            Tenants::All => None,
        };
        match self.ask(Request::Clear { tables, tenant })? {
            Answer::Cleared(rows) => Ok(rows),
            Answer::Appended(_) | Answer::Deleted(_) => Err(StoreError::Closed),
        }
    }

    /// Begins to load rows in bulk; see [`Importer`]. Others are refused to write the table meanwhile.
    pub fn import(&self, scope: &Scope, table: &TableName) -> Result<Importer, StoreError> {
        let (index, info) = self.table_to_write(scope, table)?;
        Importer::begin(self.inner.shared.clone(), scope.clone(), index, info.clone())
    }

    /// All tables of an app as they are now.
    pub fn snapshot(&self, app: &AppName) -> Result<Snapshot, StoreError> {
        self.inner.shared.published.snapshot(app)
    }

    /// Calls `listener` after each change of what [`Store::snapshot`] shows, in the thread that writes: it must
    /// neither wait nor fail.
    pub fn on_change(&self, listener: impl Fn() + Send + Sync + 'static) {
        self.inner.shared.published.listen(Box::new(listener));
    }

    pub fn health(&self) -> Health {
        self.inner.shared.health()
    }

    /// How much there is; waits for the write under way.
    pub fn statistics(&self) -> Statistics {
        self.inner.shared.writer().statistics()
    }

    /// Writes what is in memory to segments. Needed for nothing but tests and tidiness: rows are durable
    /// before.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.inner.shared.flush()
    }

    /// Merges segments until none are worth merging.
    pub fn compact(&self) -> Result<(), StoreError> {
        self.inner.shared.compact()
    }

    /// Reads every byte of the data folder and checks it; writes wait a part of that time.
    pub fn verify(&self) -> Result<Verified, StoreError> {
        let shared = &self.inner.shared;
        let _quiet = shared.quiet();
        let mut found = Verified::default();
        let catalog = {
            let _writer = shared.writer();
            verify_manifest_and_log(&self.inner.fs, &mut found)?
        };
        if let Some(catalog) = catalog {
            verify_segments(self.inner.fs.as_ref(), &catalog, &mut found)?;
        }
        Ok(found)
    }

    /// Finishes the writes under way, writes what is in memory to segments, and ends. Writes after it are
    /// refused; snapshots still read. The folder is free for others once the last clone is dropped.
    pub fn close(&self) -> Result<(), StoreError> {
        self.inner.end_writing();
        let flushed = self.inner.shared.flush();
        self.inner.end_background();
        flushed
    }

    fn table_to_write(
        &self,
        scope: &Scope,
        name: &TableName,
    ) -> Result<(TableIndex, &Arc<TableInfo>), StoreError> {
        let (index, info) = self.table_of(scope, name)?;
        if info.parent && matches!(scope.tenants(), Tenants::One(_)) {
            return Err(StoreError::ScopeTooNarrow { table: name.clone() });
        }
        Ok((index, info))
    }

    fn table_of(&self, scope: &Scope, name: &TableName) -> Result<(TableIndex, &Arc<TableInfo>), StoreError> {
        let inner = &self.inner;
        let Some(&index) = inner.indices.get(&(scope.app().clone(), name.clone())) else {
            // Names the app, or else the table, that is unknown.
            self.snapshot(scope.app())?.table(scope, name)?;
            return Err(StoreError::UnknownTable { table: name.clone(), known: Vec::new() });
        };
        Ok((index, &inner.tables[index]))
    }

    fn deleted(&self, request: Request) -> Result<u64, StoreError> {
        match self.ask(request)? {
            Answer::Deleted(rows) => Ok(rows),
            Answer::Appended(_) | Answer::Cleared(_) => Err(StoreError::Closed),
        }
    }

    fn ask(&self, request: Request) -> Result<Answer, StoreError> {
        let (answer, answered) = sync_channel(1);
        let queue = lock(&self.inner.queue).clone();
        match queue.ok_or(StoreError::Closed)?.try_send(Waiting { request, answer }) {
            Ok(()) => answered.recv().map_err(|_| StoreError::Closed)?,
            Err(TrySendError::Full(_)) => Err(StoreError::Overloaded),
            Err(TrySendError::Disconnected(_)) => Err(StoreError::Closed),
        }
    }
}

impl Inner {
    fn end_writing(&self) {
        lock(&self.queue).take();
        join(lock(&self.writing).take());
    }

    fn end_background(&self) {
        self.shared.stop();
        join(std::mem::take(&mut *lock(&self.background)));
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.stop();
        self.end_writing();
        self.end_background();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    thread.map_err(no_thread)
}

fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a thread of the store ended in a panic");
        }
    }
}

/// What an operator should know of how the log was read back.
fn concerns(report: &RecoveryReport) -> Vec<String> {
    let damage = report.damage.iter().map(|damage| {
        format!(
            "{} bytes of the log {} from byte {} on are not what was written ({:?}) and were put aside",
            damage.bytes,
            damage.file.display(),
            damage.offset,
            damage.cause
        )
    });
    damage.collect()
}

/// The writer's thread: takes all that waits as a group, until every sender is gone.
fn write_groups(shared: &Shared, queue: &Receiver<Waiting>) {
    while let Ok(first) = queue.recv() {
        let (mut rows, mut bytes) = (first.request.rows(), first.request.bytes());
        let (mut requests, mut callers) = (vec![first.request], vec![first.answer]);
        let answers = match shared.writer_with_room() {
            Ok(mut writer) => {
                while rows < writer.settings.group_rows_max
                    && bytes < GROUP_BYTES_MAX
                    && let Ok(next) = queue.try_recv()
                {
                    rows += next.request.rows();
                    bytes += next.request.bytes();
                    requests.push(next.request);
                    callers.push(next.answer);
                }
                let answers = writer.commit_group(requests);
                if writer.wants_flush() {
                    shared.want(Job::Flush);
                }
                answers
            }
            Err(error) => vec![Err(error)],
        };
        for (caller, answer) in callers.into_iter().zip(answers) {
            if caller.send(answer).is_err() {
                tracing::debug!("a caller did not wait for its answer");
            }
        }
    }
}
