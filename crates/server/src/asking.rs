//! Behavioural questions, each on a thread of its own: as many at one time as the machine is to work on, given
//! up when their callers leave or their time is up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ebbtide_engine::{EngineError, Stop, StopFlag};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("as many questions are worked on as may be")]
    Busy,
    #[error("a question was not answered: {0}")]
    Unanswered(String),
}

/// The turns of all questions, over HTTP and of reports. A clone has the same turns.
#[derive(Clone, Debug)]
pub struct Turns {
    places: Arc<Semaphore>,
    running_max: usize,
    wait_max: Duration,
    time_max: Duration,
    given_up: Arc<AtomicU64>,
}

impl Turns {
    /// So many questions at one time; one more waits so long for its turn. Each may take `time_max`.
    pub fn new(running_max: usize, wait_max: Duration, time_max: Duration) -> Self {
        let places = Arc::new(Semaphore::new(running_max));
        Self { places, running_max, wait_max, time_max, given_up: Arc::default() }
    }

    /// Questions that are worked on now, for callers who wait or who have left.
    pub(crate) fn running(&self) -> usize {
        self.running_max.saturating_sub(self.places.available_permits())
    }

    /// Questions that were stopped before they were answered.
    pub(crate) fn given_up(&self) -> u64 {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Does the work off the connections' threads, once it is its turn. The work asks its flag whether it is
    /// still wanted; it is not once this future is dropped.
    pub(crate) async fn ask<R: Send + 'static>(
        &self,
        work: impl FnOnce(&StopFlag) -> Result<R, EngineError> + Send + 'static,
    ) -> Result<R, AskError> {
        let turn = self.turn().await?;
        let wanted = Wanted(StopFlag::default());
        let (flag, given_up) = (wanted.0.clone(), self.given_up.clone());
        let task = tokio::task::spawn_blocking(move || {
            // Held until the question is answered or given up, even where its caller has gone.
            let _turn = turn;
            let result = work(&flag);
            if matches!(result, Err(EngineError::Stopped(_))) {
                given_up.fetch_add(1, Ordering::Relaxed);
            }
            result
        });
        match tokio::time::timeout(self.time_max, task).await {
            Ok(Ok(answer)) => Ok(answer?),
            Ok(Err(failed)) => Err(AskError::Unanswered(failed.to_string())),
            Err(_) => {
                wanted.0.set(Stop::TimeUp);
                Err(EngineError::Stopped(Stop::TimeUp).into())
            }
        }
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, AskError> {
        let turn = tokio::time::timeout(self.wait_max, self.places.clone().acquire_owned()).await;
        turn.map_err(|_| AskError::Busy)?.map_err(|error| AskError::Unanswered(error.to_string()))
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

    fn turns(time_max: Duration) -> Turns {
        Turns::new(1, Duration::from_secs(3_600), time_max)
    }

    #[tokio::test]
    async fn a_question_that_gets_no_turn_is_told_so_and_the_turn_comes_back() {
        let ((started, starting), (stopped, stopping)) = (oneshot::channel(), oneshot::channel());
        let turns = Turns { wait_max: Duration::from_millis(1), ..turns(Duration::from_secs(3_600)) };
        let (own, patient) = (turns.clone(), Turns { wait_max: Duration::from_secs(3_600), ..turns.clone() });
        let first = tokio::spawn(async move { own.ask(work(started, stopped)).await });
        starting.await.unwrap();
        assert_eq!((turns.running(), turns.given_up()), (1, 0));
        assert!(matches!(turns.ask(|_| Ok(())).await, Err(AskError::Busy)));
        first.abort();
        assert_eq!(stopping.await.unwrap(), Stop::Left);
        patient.ask(|_| Ok(())).await.unwrap();
        assert_eq!((turns.running(), turns.given_up()), (0, 1));
    }

    #[tokio::test]
    async fn work_stops_when_its_caller_has_left() {
        let ((started, starting), (stopped, stopping)) = (oneshot::channel(), oneshot::channel());
        let turns = turns(Duration::from_secs(3_600));
        let asking = tokio::spawn(async move { turns.ask(work(started, stopped)).await });
        starting.await.unwrap();
        asking.abort();
        assert_eq!(stopping.await.unwrap(), Stop::Left);
    }

    #[tokio::test]
    async fn work_stops_when_its_time_is_up_and_its_caller_is_told() {
        let ((started, starting), (stopped, stopping)) = (oneshot::channel(), oneshot::channel());
        let error = turns(Duration::ZERO).ask(work(started, stopped)).await.unwrap_err();
        assert!(error.to_string().contains("took longer than it may"), "{error}");
        let AskError::Engine(error) = error else { panic!("{error}") };
        assert_eq!(error.kind(), ErrorKind::Timeout);
        starting.await.unwrap();
        assert_eq!(stopping.await.unwrap(), Stop::TimeUp);
    }
}
