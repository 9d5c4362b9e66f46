//! Somebody looks whether a listener may go on, for as long as it is there.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::problem::{Code, Problem};

/// Tells when a listener may not hear any more what it was let in for.
pub(crate) struct Watched {
    over: watch::Receiver<Option<Arc<Problem>>>,
    task: AbortHandle,
}

impl Watched {
    /// `watching` returns why it may not.
    pub(crate) fn begin(watching: impl Future<Output = Problem> + Send + 'static) -> Self {
        let (sender, over) = watch::channel(None);
        let task = tokio::spawn(async move {
            let problem = watching.await;
            sender.send_replace(Some(Arc::new(problem)));
        });
        Self { over, task: task.abort_handle() }
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.borrow().is_some()
    }

    /// Waits for why. Who cannot be watched any more may not go on either.
    pub(super) async fn over(&mut self) -> Arc<Problem> {
        let over = self.over.wait_for(Option::is_some).await.ok().and_then(|over| over.clone());
        over.unwrap_or_else(|| Arc::new(Problem::hidden(Code::Internal, "nobody looks after a listener")))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}
