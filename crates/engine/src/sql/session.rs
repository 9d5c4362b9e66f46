//! One statement, from its text to its rows.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::temporal_conversions::timestamp_us_to_datetime;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryReservation, TrackConsumersPool,
};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::execution::{FunctionRegistry, SessionStateDefaults};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionConfig;
use ebbtide_model::{AppSchema, Calendar, Instant, Scope, TableName, Tenants, Value};
use ebbtide_store::Snapshot;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

use super::apart::{Launch, ProcessNumbers, ProcessSettings, Processes, StopOnDrop, conduct};
use super::catalog::{CATALOG, Repeats, SCHEMA, ScopedCatalog, Source};
use super::certain::{self, Certain};
use super::clock::ClockUse;
use super::functions::Ticks;
use super::moments::{self, Timeless};
use super::plans::{self, Optimized, Plans};
use super::rows::columns_of;
use super::{Relation, SqlColumn, SqlError, SqlRows, functions, literals, members, statement, tally, types};
use crate::EngineError;

/// The parameter that a statement may name without being given it.
pub(super) const AS_OF: &str = "as_of";
/// The stack of a thread that plans. Trees of expressions are walked and dropped by recursion, and a
/// statement within its limits may be some thousand levels deep. Pages that are not touched cost nothing.
const STACK_BYTES: usize = 256 * 1024 * 1024;
/// Threads that wait for the disk, or for processes.
const BLOCKING_THREADS_MAX: usize = 512;
/// Rows in a batch between operators.
const BATCH_ROWS: usize = 8_192;
/// The smaller side of a join is built into one table up to so many bytes, or rows where bytes are unknown.
const JOIN_BUILD_BYTES: usize = 32 * 1024 * 1024;
const JOIN_BUILD_ROWS: usize = 512 * 1024;
/// How many of the biggest holders of memory are named in the log when it runs out.
const CONSUMERS_TRACKED: usize = 5;

/// What all statements share.
#[derive(Clone, Debug)]
pub struct SqlSettings {
    /// Threads that plan and run statements.
    pub threads: usize,
    /// Into how many streams a plan is split.
    pub partitions: usize,
    /// Statements under way at once; one more waits its turn, for as long as it may run.
    pub concurrent_max: usize,
    /// Memory of all statements together.
    pub memory_bytes_max: usize,
    /// Where sorts and aggregates may spill; they fail without.
    pub spill: Option<Spill>,
    /// How long a statement waits for its turn, at most.
    pub wait_max: Duration,
    /// Where [`Sql::run_apart`] runs statements.
    pub process: StatementProcess,
    pub processes: ProcessSettings,
    /// How processes for statements are started; without it there are none.
    pub launch: Option<Launch>,
}

/// Where a statement of a caller's own runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementProcess {
    /// In a process that ends with it.
    Child,
    /// In this one, as the statements of packs: where it cannot be trusted to end.
    InProcess,
}

/// A folder for temporary files, and how much they may hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spill {
    pub directory: PathBuf,
    pub bytes_max: u64,
}

impl Default for SqlSettings {
    fn default() -> Self {
        Self {
            threads: 2,
            partitions: 2,
            concurrent_max: 16,
            memory_bytes_max: 256 * 1024 * 1024,
            spill: None,
            wait_max: Duration::from_secs(10),
            process: StatementProcess::Child,
            processes: ProcessSettings::default(),
            launch: None,
        }
    }
}

/// What one statement may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// More rows in the answer are an error, never cut.
    pub rows_max: usize,
    /// Bytes of the answer in memory.
    pub bytes_max: usize,
    pub time_max: Duration,
}

/// What a given parameter that the statement does not name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnusedParameters {
    /// A fault: the caller wrote both.
    Refused,
    /// Nothing: a report offers all of its parameters to each of its statements.
    PassedOver,
}

/// A question in SQL. Unquoted names of tables and columns are in lower case, as SQL has it.
#[derive(Clone, Debug)]
pub struct SqlRequest {
    pub statement: Arc<str>,
    /// Values of `$name`. `$as_of` needs none.
    pub params: Vec<(String, Value)>,
    pub unused_params: UnusedParameters,
    /// Rows that it reads as tables, besides the app's.
    pub relations: Vec<Relation>,
    /// Rows of a later time do not exist; it is also what `now()` answers.
    pub as_of: Instant,
    /// The calendar of `bucket` and of `current_date`.
    pub calendar: Calendar,
    pub limits: Limits,
}

/// Runs statements. Cheap to share; dropping it stops what is under way.
#[derive(Debug)]
pub struct Sql {
    pub(super) base: SessionState,
    plans: Arc<Plans>,
    /// Statements that were begun.
    begun: AtomicU64,
    pub(super) partitions: usize,
    turns: Arc<Semaphore>,
    wait_max: Duration,
    /// `None` where statements of callers run here, too.
    processes: Option<Arc<Processes>>,
    /// Always there until the drop, which must not wait for it.
    runtime: Option<Runtime>,
}

impl Sql {
    pub fn new(settings: &SqlSettings) -> Result<Self, EngineError> {
        let mut sql = Self::for_process(settings, STACK_BYTES, BLOCKING_THREADS_MAX)?;
        if settings.process == StatementProcess::Child {
            let processes = Processes::new(settings);
            let own = processes.clone();
            // Whoever makes this need not wait for what may be needed later.
            drop(sql.runtime()?.spawn_blocking(move || own.prepare()));
            sql.processes = Some(processes);
        }
        Ok(sql)
    }

    /// One that has no processes of its own.
    pub(super) fn for_process(
        settings: &SqlSettings,
        stack_bytes: usize,
        blocking_threads_max: usize,
    ) -> Result<Self, EngineError> {
        let internal = |error: std::io::Error| SqlError::Internal(Box::new(error));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(settings.threads.max(1))
            .max_blocking_threads(blocking_threads_max)
            .thread_name("sql")
            .thread_stack_size(stack_bytes)
            .enable_time()
            .build()
            .map_err(internal)?;
        Ok(Self {
            base: base_state(settings)?,
            plans: Arc::default(),
            begun: AtomicU64::new(0),
            partitions: settings.partitions.max(1),
            turns: Arc::new(Semaphore::new(settings.concurrent_max.max(1))),
            wait_max: settings.wait_max,
            processes: None,
            runtime: Some(runtime),
        })
    }

    /// What became of the processes of statements.
    pub fn process_numbers(&self) -> ProcessNumbers {
        self.processes.as_ref().map_or_else(ProcessNumbers::default, |processes| processes.numbers())
    }

    /// How many statements were begun so far.
    pub fn statements_begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// The statement's rows over what the scope sees of the snapshot. Must be called within a Tokio
    /// runtime with time; dropping the future stops the statement.
    pub async fn run(
        &self,
        snapshot: &Snapshot,
        scope: &Scope,
        request: SqlRequest,
    ) -> Result<SqlRows, EngineError> {
        let runtime = self.runtime()?;
        let catalog = self.catalog(snapshot, scope, &request);
        let (state, plans) = (self.base.clone(), self.plans.clone());
        let time_max = request.limits.time_max;
        let turn = self.turn(time_max).await?;
        // On threads of its own: a plan that never yields would starve a timeout beside it.
        let task = runtime.spawn(async move {
            // Given back when the statement has really stopped, which may be after its caller has left.
            let _turn = turn;
            answer(state, &plans, catalog, &request).await
        });
        let _guard = AbortOnDrop(task.abort_handle());
        let result = match tokio::time::timeout(time_max, task).await {
            Ok(Ok(result)) => result,
            Ok(Err(panicked)) => Err(SqlError::Internal(Box::new(panicked))),
            Err(_) => Err(SqlError::Timeout(time_max)),
        };
        Ok(told(result)?)
    }

    /// As [`Sql::run`], of a statement that a caller has written: it runs in a process of its own, so that
    /// it ends when its time is up or its caller leaves, whatever it does, and its memory is its own.
    ///
    /// It reads no rows besides the app's.
    pub async fn run_apart(
        &self,
        snapshot: &Snapshot,
        scope: &Scope,
        request: SqlRequest,
    ) -> Result<SqlRows, EngineError> {
        let Some(processes) = self.processes.clone() else {
            return self.run(snapshot, scope, request).await;
        };
        if !request.relations.is_empty() {
            return Err(SqlError::Internal("a statement apart reads no rows of its own".into()).into());
        }
        let catalog = self.catalog(snapshot, scope, &request);
        let time_max = request.limits.time_max;
        let turn = self.turn_of(&processes.turns, time_max).await?;
        let stop = StopOnDrop::default();
        let handle = stop.handle();
        let own = processes.clone();
        let task = self.runtime()?.spawn_blocking(move || {
            let result = conduct(&own, &catalog, &request, &handle);
            // The process is gone: who waits for the turn gets one of the spare ones.
            drop(turn);
            own.prepare();
            result
        });
        let result = match tokio::time::timeout(time_max, task).await {
            Ok(Ok(result)) => result,
            Ok(Err(panicked)) => Err(SqlError::Internal(Box::new(panicked))),
            Err(_) => Err(SqlError::Timeout(time_max)),
        };
        drop(stop);
        Ok(told(result)?)
    }

    #[cfg(test)]
    pub(super) fn plans_kept(&self) -> usize {
        self.plans.count()
    }

    #[cfg(test)]
    pub(super) fn physical_plans_kept(&self) -> usize {
        self.plans.physical_count()
    }

    pub(super) fn runtime(&self) -> Result<&Runtime, SqlError> {
        self.runtime.as_ref().ok_or_else(|| SqlError::Internal("the runtime is gone".into()))
    }

    pub(super) fn catalog(&self, snapshot: &Snapshot, scope: &Scope, request: &SqlRequest) -> ScopedCatalog {
        ScopedCatalog {
            source: Source::Stored { snapshot: Arc::new(snapshot.clone()), scope: scope.clone() },
            as_of: request.as_of,
            partitions: self.partitions,
            relations: request.relations.clone(),
            repeats: match request.unused_params {
                UnusedParameters::Refused => Repeats::Once,
                UnusedParameters::PassedOver => Repeats::Often,
            },
        }
    }

    pub(super) async fn turn(&self, time_max: Duration) -> Result<OwnedSemaphorePermit, SqlError> {
        self.turn_of(&self.turns, time_max).await
    }

    async fn turn_of(
        &self,
        turns: &Arc<Semaphore>,
        time_max: Duration,
    ) -> Result<OwnedSemaphorePermit, SqlError> {
        let wait_max = time_max.min(self.wait_max);
        let Ok(turn) = tokio::time::timeout(wait_max, turns.clone().acquire_owned()).await else {
            return Err(SqlError::Busy);
        };
        let turn = turn.map_err(|error| SqlError::Internal(Box::new(error)))?;
        self.begun.fetch_add(1, Ordering::Relaxed);
        Ok(turn)
    }
}

/// A defect of ours is for the log.
pub(super) fn told<T>(result: Result<T, SqlError>) -> Result<T, SqlError> {
    if let Err(SqlError::Internal(source)) = &result {
        tracing::error!(%source, "a statement failed");
    }
    result
}

/// What a statement reads and gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// In the order of their names.
    pub tables: Vec<TableName>,
    pub columns: Vec<SqlColumn>,
    /// Whether it is certain that the answer has a row.
    pub has_a_row: bool,
}

impl Sql {
    /// Plans a statement over an app's tables without a row in them: whether it fits. The values of
    /// `params` stand for those that a caller will give. Blocks for as long as planning takes.
    pub fn check(&self, app: &AppSchema, request: SqlRequest) -> Result<Planned, EngineError> {
        let runtime = self.runtime()?;
        #[expect(clippy::disallowed_methods, reason = "there is no row that it could show")]
        let scope = Scope::grant(app.app.clone(), Tenants::All);
        let catalog = ScopedCatalog {
            source: Source::Stored {
                snapshot: Arc::new(Snapshot::of_batches(Arc::new(app.clone()), Vec::new())?),
                scope,
            },
            as_of: request.as_of,
            partitions: 1,
            relations: request.relations.clone(),
            repeats: Repeats::Once,
        };
        let (state, app) = (self.base.clone(), app.clone());
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        runtime.spawn(async move {
            // Nobody listens where the caller's thread is gone.
            _ = sender.send(planned(state, &app, catalog, &request).await);
        });
        let answer = receiver.recv().map_err(|error| SqlError::Internal(Box::new(error)))?;
        Ok(answer?)
    }
}

impl Drop for Sql {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[derive(Debug)]
pub(super) struct AbortOnDrop(pub(super) AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Plans and runs a statement in a session of its own, and keeps its rows.
async fn answer(
    state: SessionState,
    plans: &Plans,
    catalog: ScopedCatalog,
    request: &SqlRequest,
) -> Result<SqlRows, SqlError> {
    let (held, scoped) = (MemoryConsumer::new("answer"), catalog.clone());
    let held = held.register(&state.runtime_env().memory_pool);
    let mut kept = Keeping { limits: request.limits, held, schema: None, batches: Vec::new(), rows: 0 };
    let Done { tables, changes_at } = run(state, plans, catalog, request, &mut kept).await?;
    let schema = kept.schema.unwrap_or_else(|| Arc::new(Schema::empty()));
    let (columns, watermark) = (columns_of(&schema)?, scoped.watermark(&tables)?);
    Ok(SqlRows { columns, schema, batches: kept.batches, watermark, changes_at })
}

/// Takes a statement's rows as they come.
pub(super) trait Taker {
    /// Once, before the first batch.
    fn columns(&mut self, schema: &Schema) -> Result<(), SqlError>;
    /// An error ends the statement.
    fn batch(&mut self, batch: RecordBatch) -> Result<(), SqlError>;
}

/// What is known of a statement once it has run.
pub(super) struct Done {
    pub(super) tables: Vec<TableName>,
    pub(super) changes_at: Option<Instant>,
}

/// Plans and runs a statement in a session of its own.
pub(super) async fn run(
    mut state: SessionState,
    plans: &Plans,
    catalog: ScopedCatalog,
    request: &SqlRequest,
    taker: &mut impl Taker,
) -> Result<Done, SqlError> {
    let Ready { physical, tables, clock, schema, ticks } = ready(&mut state, plans, catalog, request).await?;
    taker.columns(&schema)?;
    let mut stream = execute_stream(physical, state.task_ctx())?;
    while let Some(batch) = stream.next().await {
        taker.batch(batch?)?;
    }
    let changes_at = clock.changes_at(&request.calendar, request.as_of).into_iter().chain(ticks.next()).min();
    Ok(Done { tables, changes_at })
}

/// A statement that is planned over the rows that it reads.
pub(super) struct Ready {
    pub(super) physical: Arc<dyn ExecutionPlan>,
    /// The app's, that it reads.
    pub(super) tables: Vec<TableName>,
    pub(super) clock: ClockUse,
    /// Of what it gives.
    pub(super) schema: SchemaRef,
    /// Of the days that it counts.
    pub(super) ticks: Ticks,
}

async fn ready(
    state: &mut SessionState,
    plans: &Plans,
    catalog: ScopedCatalog,
    request: &SqlRequest,
) -> Result<Ready, SqlError> {
    if let Some(kept) = plans.find(&catalog, request)?
        && let Some(ready) = plans.ready(kept, state, &catalog).await?
    {
        return Ok(ready);
    }
    let checked = statement::check(&request.statement)?;
    let tables = statement::tables_of(&checked.statement, state, &catalog)?;
    let (clock, parameters) = (checked.clock, checked.parameters.clone());
    let Bound { plan, ticks } = plan(state, catalog.clone(), checked, request).await?;
    let schema = plan.schema().inner().clone();
    columns_of(&schema)?;
    if plans::may_be_kept(&catalog)
        && let Some(Timeless { plan, moments }) = timeless(state, &plan)?
    {
        let (plan, tables, schema) = (state.optimize(&plan)?, tables.clone(), schema.clone());
        let optimized = Optimized { plan, moments, tables, clock, schema };
        if let Some(kept) = plans.keep(&catalog, request, parameters, optimized)?
            && let Some(ready) = plans.ready(kept, state, &catalog).await?
        {
            return Ok(ready);
        }
    }
    let plan = state.optimize(&plan)?;
    let physical = state.query_planner().create_physical_plan(&plan, state).await?;
    Ok(Ready { physical, tables, clock, schema, ticks })
}

/// A plan without its moment, where it has no other that changes.
fn timeless(state: &SessionState, plan: &LogicalPlan) -> Result<Option<Timeless>, SqlError> {
    let typed = state.analyzer().execute_and_check(plan.clone(), state.config_options(), |_, _| {})?;
    Ok(moments::taken_out(typed, &state.udf("bucket")?)?)
}

/// Plans a statement, and casts its types into each other as running it would.
async fn planned(
    mut state: SessionState,
    app: &AppSchema,
    catalog: ScopedCatalog,
    request: &SqlRequest,
) -> Result<Planned, SqlError> {
    let checked = statement::check(&request.statement)?;
    let tables = statement::tables_of(&checked.statement, &state, &catalog)?;
    let Bound { plan, .. } = plan(&mut state, catalog, checked, request).await?;
    let mut columns = columns_of(plan.schema().as_arrow())?;
    let certain = Certain { app, relations: &request.relations };
    for (index, column) in columns.iter_mut().enumerate() {
        column.nullable = !certain.is_never_null(&plan, index);
    }
    state.create_physical_plan(&plan).await?;
    Ok(Planned { tables, columns, has_a_row: certain::has_a_row(&plan) })
}

/// A plan, and what its functions will tell of the time.
pub(super) struct Bound {
    pub(super) plan: LogicalPlan,
    ticks: Ticks,
}

pub(super) async fn plan(
    state: &mut SessionState,
    catalog: ScopedCatalog,
    checked: statement::Checked,
    request: &SqlRequest,
) -> Result<Bound, SqlError> {
    statement::check_tables(&checked.statement, state, &catalog)?;
    let ticks = bind(state, &checked, request)?;
    let has_open = catalog.has_open();
    state.register_catalog_list(Arc::new(catalog));
    let plan = state.statement_to_plan(checked.statement).await?;
    read_only().verify_plan(&plan)?;
    let plan = if has_open { members::made_columns(plan)? } else { plan };
    Ok(Bound { plan, ticks })
}

/// The plan's own check that nothing is written, besides that of the text.
fn read_only() -> SQLOptions {
    SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false)
}

/// Gives the session its clock, its calendar and its parameters.
fn bind(
    state: &mut SessionState,
    checked: &statement::Checked,
    request: &SqlRequest,
) -> Result<Ticks, SqlError> {
    let config = state.config_options().clone();
    let properties = state.execution_props_mut();
    properties.query_execution_start_time =
        timestamp_us_to_datetime(request.as_of.micros()).map(|now| now.and_utc());
    properties.config_options = Some(config);
    for function in functions::calendar_functions(&request.calendar, request.as_of) {
        state.register_udf(Arc::new(function))?;
    }
    let ticks = Ticks::after(request.as_of);
    state.register_udf(Arc::new(functions::days_between(&ticks)))?;
    for name in &checked.parameters {
        let given = request.params.iter().find(|(given, _)| given == name);
        let value = match given {
            Some((_, value)) => value.clone(),
            None if name == AS_OF => Value::Timestamp(request.as_of),
            None => {
                let given = request.params.iter().map(|(name, _)| name.clone()).collect();
                return Err(SqlError::MissingParameter { name: name.clone(), given });
            }
        };
        state.register_udf(Arc::new(functions::parameter(name, &value)))?;
    }
    if request.unused_params == UnusedParameters::Refused {
        let unused = request.params.iter().find(|(name, _)| !checked.parameters.contains(name));
        if let Some((name, _)) = unused {
            return Err(SqlError::UnusedParameter { name: name.clone() });
        }
    }
    Ok(ticks)
}

/// Keeps rows within the limits.
struct Keeping {
    limits: Limits,
    held: MemoryReservation,
    schema: Option<SchemaRef>,
    batches: Vec<RecordBatch>,
    rows: usize,
}

impl Taker for Keeping {
    fn columns(&mut self, schema: &Schema) -> Result<(), SqlError> {
        self.schema = Some(Arc::new(schema.clone()));
        Ok(())
    }

    fn batch(&mut self, batch: RecordBatch) -> Result<(), SqlError> {
        self.rows += batch.num_rows();
        if self.rows > self.limits.rows_max {
            return Err(SqlError::TooManyRows { allowed: self.limits.rows_max });
        }
        self.held.try_grow(row_bytes(&batch)?)?;
        if self.held.size() > self.limits.bytes_max {
            return Err(SqlError::OutOfMemory);
        }
        self.batches.push(batch);
        Ok(())
    }
}

/// A batch's own bytes: a slice does not count the whole that it is of.
pub(super) fn row_bytes(batch: &RecordBatch) -> Result<usize, SqlError> {
    let mut bytes = 0;
    for column in batch.columns() {
        bytes += column.to_data().get_slice_memory_size()?;
    }
    Ok(bytes)
}

/// A session without a catalog: what all statements have in common.
fn base_state(settings: &SqlSettings) -> Result<SessionState, SqlError> {
    let mut config = SessionConfig::new()
        .with_target_partitions(settings.partitions.max(1))
        .with_batch_size(BATCH_ROWS)
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false);
    config.options_mut().execution.time_zone = Some("+00:00".to_owned());
    // Else both sides are spread over the streams by their keys, which copies the larger one whole.
    config.options_mut().optimizer.hash_join_single_partition_threshold = JOIN_BUILD_BYTES;
    config.options_mut().optimizer.hash_join_single_partition_threshold_rows = JOIN_BUILD_ROWS;
    config.options_mut().optimizer.enable_window_topn = true;
    // What is spread by actor is so by actor and page, and need not be spread again.
    config.options_mut().optimizer.subset_repartition_threshold = settings.partitions.max(1);
    // No scan takes them, and a plan that has them is good for one run.
    config.options_mut().optimizer.enable_dynamic_filter_pushdown = false;
    config.options_mut().optimizer.enable_topk_dynamic_filter_pushdown = false;
    config.options_mut().optimizer.enable_join_dynamic_filter_pushdown = false;
    config.options_mut().optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    let functions = functions::table_functions();
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(Arc::new(runtime_env(settings)?))
        .with_expr_planners(SessionStateDefaults::default_expr_planners())
        .with_type_planner(Arc::new(types::Types))
        .with_physical_optimizer_rules(tally::physical_rules())
        .with_scalar_functions(functions::scalar_functions())
        .with_higher_order_functions(SessionStateDefaults::default_higher_order_functions())
        .with_aggregate_functions(SessionStateDefaults::default_aggregate_functions())
        .with_window_functions(SessionStateDefaults::default_window_functions())
        .with_table_function_list(functions)
        .build();
    for function in functions::aggregate_functions() {
        state.register_udaf(function)?;
    }
    state.register_function_rewrite(Arc::new(literals::Literals))?;
    Ok(state)
}

/// Memory with a budget, spilling where a folder for it is given, and no way to any other file.
fn runtime_env(settings: &SqlSettings) -> Result<RuntimeEnv, SqlError> {
    let pool = TrackConsumersPool::new(
        FairSpillPool::new(settings.memory_bytes_max),
        std::num::NonZeroUsize::MIN.saturating_add(CONSUMERS_TRACKED - 1),
    );
    let disk = DiskManagerBuilder::default();
    let disk = match &settings.spill {
        Some(spill) => disk
            .with_mode(DiskManagerMode::Directories(vec![spill.directory.clone()]))
            .with_max_temp_directory_size(spill.bytes_max),
        None => disk.with_mode(DiskManagerMode::Disabled),
    };
    let env =
        RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).with_disk_manager_builder(disk).build()?;
    env.deregister_object_store(ObjectStoreUrl::local_filesystem().as_ref())?;
    Ok(env)
}
