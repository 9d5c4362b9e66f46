//! A behavioural question on a thread of its own, given up when its caller leaves or its time is up.

use std::time::Duration;

use ebbtide_engine::{EngineError, Stop, StopFlag};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("a question was not answered: {0}")]
    Unanswered(String),
}

/// Does the work off the connections' threads, for so long at most. The work asks its flag whether it is
/// still wanted; it is not once this future is dropped.
pub(crate) async fn ask_within<R: Send + 'static>(
    time_max: Duration,
    work: impl FnOnce(&StopFlag) -> Result<R, EngineError> + Send + 'static,
) -> Result<R, AskError> {
    let wanted = Wanted(StopFlag::default());
    let flag = wanted.0.clone();
    let task = tokio::task::spawn_blocking(move || work(&flag));
    match tokio::time::timeout(time_max, task).await {
        Ok(Ok(answer)) => Ok(answer?),
        Ok(Err(failed)) => Err(AskError::Unanswered(failed.to_string())),
        Err(_) => {
            wanted.0.set(Stop::TimeUp);
            Err(EngineError::Stopped(Stop::TimeUp).into())
        }
    }
}

/// While this is there, somebody waits.
struct Wanted(StopFlag);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.set(Stop::Left);
    }
}

#[cfg(test)]
mod tests {
    use ebbtide_engine::Interrupt;
    use ebbtide_model::ErrorKind;
    use tokio::sync::oneshot;

    use super::*;

    /// Works until it is told to stop, then tells why.
    fn work(
        started: oneshot::Sender<()>,
        stopped: oneshot::Sender<Stop>,
    ) -> impl FnOnce(&StopFlag) -> Result<(), EngineError> {
        move |flag| {
            started.send(()).unwrap();
            let stop = loop {
                match flag.stopped() {
                    Some(stop) => break stop,
                    None => std::thread::yield_now(),
                }
            };
            stopped.send(stop).unwrap();
            Err(EngineError::Stopped(stop))
        }
    }

    #[tokio::test]
    async fn work_stops_when_its_caller_has_left() {
        let ((started, starting), (stopped, stopping)) = (oneshot::channel(), oneshot::channel());
        let asking = tokio::spawn(ask_within(Duration::MAX, work(started, stopped)));
        starting.await.unwrap();
        asking.abort();
        assert_eq!(stopping.await.unwrap(), Stop::Left);
    }

    #[tokio::test]
    async fn work_stops_when_its_time_is_up_and_its_caller_is_told() {
        let ((started, starting), (stopped, stopping)) = (oneshot::channel(), oneshot::channel());
        let error = ask_within(Duration::ZERO, work(started, stopped)).await.unwrap_err();
        assert!(error.to_string().contains("took longer than it may"), "{error}");
        let AskError::Engine(error) = error else { panic!("{error}") };
        assert_eq!(error.kind(), ErrorKind::Timeout);
        starting.await.unwrap();
        assert_eq!(stopping.await.unwrap(), Stop::TimeUp);
    }
}
