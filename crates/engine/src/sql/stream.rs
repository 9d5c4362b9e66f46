//! A statement's rows as they come: of any number, with few of them in memory.

use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::execution::session_state::SessionState;
use datafusion::physical_plan::{SendableRecordBatchStream, execute_stream};
use ebbtide_model::Scope;
use ebbtide_store::Snapshot;
use futures::StreamExt;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant as Deadline;

use super::catalog::ScopedCatalog;
use super::rows::columns_of;
use super::session::{AbortOnDrop, Bound, plan, told};
use super::{Sql, SqlColumn, SqlError, SqlRequest, statement};
use crate::EngineError;

/// Batches that wait for whoever takes them.
const BATCHES_WAITING: usize = 2;

impl Sql {
    /// The statement's rows batch by batch, as they come, however many there are: of the request's limits
    /// the time alone holds, from now until the last batch is taken. Must be called within a Tokio runtime
    /// with time; dropping the stream stops the statement.
    pub async fn stream(
        &self,
        snapshot: &Snapshot,
        scope: &Scope,
        request: SqlRequest,
    ) -> Result<SqlStream, EngineError> {
        let runtime = self.runtime()?;
        let catalog = self.catalog(snapshot, scope, &request);
        let (state, time_max) = (self.base.clone(), request.limits.time_max);
        let deadline = Deadline::now() + time_max;
        let turn = self.turn(time_max).await?;
        let (started, start) = oneshot::channel();
        let (sender, batches) = mpsc::channel(BATCHES_WAITING);
        let task = runtime.spawn(async move {
            let _turn = turn;
            match begin(state, catalog, &request).await {
                // Whoever asked has left where nobody takes this.
                Err(error) => _ = started.send(Err(error)),
                Ok((columns, rows)) => {
                    if started.send(Ok(columns)).is_ok() {
                        forward(rows, &sender).await;
                    }
                }
            }
        });
        let guard = AbortOnDrop(task.abort_handle());
        let columns = match tokio::time::timeout_at(deadline, start).await {
            Ok(Ok(columns)) => columns,
            Ok(Err(gone)) => Err(SqlError::Internal(Box::new(gone))),
            Err(_) => Err(SqlError::Timeout(time_max)),
        };
        Ok(SqlStream {
            columns: told(columns)?,
            batches,
            task: Some(task),
            deadline,
            time_max,
            _guard: guard,
        })
    }
}

/// Rows of an answer on their way. Few batches wait; the statement goes on as they are taken.
#[derive(Debug)]
pub struct SqlStream {
    pub columns: Vec<SqlColumn>,
    batches: mpsc::Receiver<Result<RecordBatch, SqlError>>,
    /// Until it is known how it ended.
    task: Option<JoinHandle<()>>,
    deadline: Deadline,
    time_max: Duration,
    _guard: AbortOnDrop,
}

impl SqlStream {
    /// The next batch; `None` after the last. Must be called within a Tokio runtime with time.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        let Ok(batch) = tokio::time::timeout_at(self.deadline, self.batches.recv()).await else {
            return Err(SqlError::Timeout(self.time_max).into());
        };
        match batch {
            Some(batch) => Ok(Some(told(batch)?)),
            // The sender is gone: after the last batch, or because the task fell.
            None => match self.task.take() {
                None => Ok(None),
                Some(task) => {
                    let ended = task.await.map_err(|fallen| SqlError::Internal(Box::new(fallen)));
                    Ok(told(ended.map(|()| None))?)
                }
            },
        }
    }
}

/// Plans a statement in a session of its own, and starts it.
async fn begin(
    mut state: SessionState,
    catalog: ScopedCatalog,
    request: &SqlRequest,
) -> Result<(Vec<SqlColumn>, SendableRecordBatchStream), SqlError> {
    let checked = statement::check(&request.statement)?;
    let Bound { plan, .. } = plan(&mut state, catalog, checked, request).await?;
    let columns = columns_of(plan.schema().as_arrow())?;
    let physical = state.create_physical_plan(&plan).await?;
    Ok((columns, execute_stream(physical, state.task_ctx())?))
}

/// Hands batches on as they are taken, until there is no more or nobody takes them.
async fn forward(mut rows: SendableRecordBatchStream, sender: &mpsc::Sender<Result<RecordBatch, SqlError>>) {
    while let Some(batch) = rows.next().await {
        let last = batch.is_err();
        if sender.send(batch.map_err(SqlError::from)).await.is_err() || last {
            return;
        }
    }
}
