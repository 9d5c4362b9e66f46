//! Processes for statements: started, one or a few ahead of need, and ended.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::super::{Spill, SqlError, SqlSettings};

/// How long a process that has closed its output may take to end, in steps.
const END_STEPS: u32 = 200;
const END_STEP: Duration = Duration::from_millis(1);
/// As much of what a process says of its end as is looked at.
const LAST_WORDS_BYTES_MAX: u64 = 16 << 10;
/// Memory that is reserved is not memory that is used: so it does not count against the limit before it is.
const ENVIRONMENT: [(&str, &str); 1] = [("MIMALLOC_ARENA_EAGER_COMMIT", "0")];

/// How a process for a statement is started: a program that reads a [`ProcessTask`] in JSON from its last
/// argument and calls [`serve_one`](super::serve_one).
#[derive(Clone, Debug)]
pub struct Launch {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
}

/// How many processes there are, and what each may use.
#[derive(Clone, Debug)]
pub struct ProcessSettings {
    /// Statements under way at once; one more waits its turn.
    pub concurrent_max: usize,
    /// Memory of one.
    pub memory_bytes_max: usize,
    /// Started before they are needed.
    pub spare: usize,
}

impl Default for ProcessSettings {
    fn default() -> Self {
        Self { concurrent_max: 2, memory_bytes_max: 192 << 20, spare: 1 }
    }
}

/// What a process is told when it is started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProcessTask {
    pub threads: usize,
    pub partitions: usize,
    pub memory_bytes_max: usize,
    /// A folder of its own.
    pub spill: Option<Spill>,
}

/// What became of processes so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessNumbers {
    pub started: u64,
    /// Statements under way.
    pub running: u64,
    /// Killed before they had answered: their time was up, or nobody waited any more.
    pub killed: u64,
    /// Ended by themselves without an answer: out of memory, or by a defect.
    pub fallen: u64,
}

/// Processes for statements.
#[derive(Debug)]
pub(in crate::sql) struct Processes {
    launch: Option<Launch>,
    task: ProcessTask,
    spare_max: usize,
    spare: Mutex<Vec<Process>>,
    pub(in crate::sql) turns: Arc<Semaphore>,
    numbers: Numbers,
}

#[derive(Debug, Default)]
struct Numbers {
    started: AtomicU64,
    running: AtomicU64,
    killed: AtomicU64,
    fallen: AtomicU64,
}

impl Processes {
    pub(in crate::sql) fn new(settings: &SqlSettings) -> Arc<Self> {
        let of = &settings.processes;
        let each = |spill: &Spill| Spill {
            directory: spill.directory.clone(),
            bytes_max: spill.bytes_max / of.concurrent_max.max(1) as u64,
        };
        Arc::new(Self {
            launch: settings.launch.clone(),
            task: ProcessTask {
                threads: settings.threads.max(1),
                partitions: settings.partitions.max(1),
                memory_bytes_max: of.memory_bytes_max,
                spill: settings.spill.as_ref().map(each),
            },
            spare_max: of.spare,
            spare: Mutex::default(),
            turns: Arc::new(Semaphore::new(of.concurrent_max.max(1))),
            numbers: Numbers::default(),
        })
    }

    pub(in crate::sql) fn numbers(&self) -> ProcessNumbers {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let Numbers { started, running, killed, fallen } = &self.numbers;
        ProcessNumbers {
            started: read(started),
            running: read(running),
            killed: read(killed),
            fallen: read(fallen),
        }
    }

    /// A process that has done nothing yet.
    pub(super) fn take(&self) -> Result<Process, SqlError> {
        loop {
            let Some(spare) = lock(&self.spare).pop() else {
                return self.start();
            };
            if spare.is_running() {
                return Ok(spare);
            }
        }
    }

    /// Starts as many as are to be there before they are needed. One that cannot be started is told when it
    /// is needed.
    pub(in crate::sql) fn prepare(&self) {
        while self.launch.is_some() && lock(&self.spare).len() < self.spare_max {
            match self.start() {
                Ok(process) => lock(&self.spare).push(process),
                Err(_) => return,
            }
        }
    }

    fn start(&self) -> Result<Process, SqlError> {
        let number = self.numbers.started.fetch_add(1, Ordering::Relaxed);
        let none = |source: Option<io::Error>| SqlError::NoProcess { source };
        let launch = self.launch.as_ref().ok_or_else(|| none(None))?;
        let started = self.begin(launch, number).map_err(|error| none(Some(error)));
        if let Err(SqlError::NoProcess { source: Some(source) }) = &started {
            tracing::error!(target: "ebbtide::sql", %source, "no process for a statement could be started");
        }
        started
    }

    fn begin(&self, launch: &Launch, number: u64) -> io::Result<Process> {
        let mut task = self.task.clone();
        let own = task.spill.as_mut().map(|spill| {
            spill.directory.push(format!("sql-{number}"));
            OwnFolder(spill.directory.clone())
        });
        if let Some(OwnFolder(folder)) = &own {
            std::fs::create_dir_all(folder)?;
        }
        let mut command = Command::new(&launch.program);
        command.args(&launch.arguments).arg(serde_json::to_string(&task)?);
        // Nothing of this process's own, where secrets may be.
        command.env_clear().envs(ENVIRONMENT);
        in_a_group_of_its_own(&mut command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let missing = || io::Error::other("a pipe is missing");
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let killer = Killer { child: Arc::new(Mutex::new(child)) };
        Ok(Process {
            stdin: Some(stdin.ok_or_else(missing)?),
            stdout: Some(stdout.ok_or_else(missing)?),
            stderr,
            killer,
            _own: own,
        })
    }

    pub(super) fn begun(&self) {
        self.numbers.running.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self, how: &Ended) {
        self.numbers.running.fetch_sub(1, Ordering::Relaxed);
        match how {
            Ended::Answered => {}
            Ended::Killed => _ = self.numbers.killed.fetch_add(1, Ordering::Relaxed),
            Ended::Fell => _ = self.numbers.fallen.fetch_add(1, Ordering::Relaxed),
        }
    }
}

/// What a terminal sends to this process is not for that one, which ends when it is told to.
#[cfg(unix)]
fn in_a_group_of_its_own(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

#[cfg(not(unix))]
fn in_a_group_of_its_own(_: &mut Command) {}

/// How a statement's process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Answered,
    Killed,
    Fell,
}

/// A folder that goes with its process.
#[derive(Debug)]
struct OwnFolder(PathBuf);

impl Drop for OwnFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!(target: "ebbtide::sql", %error, "a statement's folder stays until the next start");
        }
    }
}

/// A process, killed when it is dropped.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) stdin: Option<ChildStdin>,
    pub(super) stdout: Option<ChildStdout>,
    stderr: ChildStderr,
    pub(super) killer: Killer,
    /// Removed after the process is gone: fields go in this order, and after `drop`.
    _own: Option<OwnFolder>,
}

impl Process {
    fn is_running(&self) -> bool {
        matches!(self.killer.lock().try_wait(), Ok(None))
    }

    /// Waits until a process that has closed its output has ended, and tells how it did: its status, and
    /// what it said. It is killed where it does not end.
    pub(super) fn end(&mut self) -> (Option<ExitStatus>, String) {
        for _ in 0..END_STEPS {
            if !self.is_running() {
                break;
            }
            thread::sleep(END_STEP);
        }
        self.killer.kill();
        let status = self.killer.lock().wait().ok();
        let mut words = Vec::new();
        // What can be read is enough.
        _ = Read::by_ref(&mut self.stderr).take(LAST_WORDS_BYTES_MAX).read_to_end(&mut words);
        (status, String::from_utf8_lossy(&words).into_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.killer.kill();
        // Else it would stay as a zombie. It is dead already, or about to be.
        _ = self.killer.lock().wait();
    }
}

/// Ends a process from elsewhere.
#[derive(Clone, Debug)]
pub(super) struct Killer {
    child: Arc<Mutex<Child>>,
}

impl Killer {
    fn lock(&self) -> MutexGuard<'_, Child> {
        lock(&self.child)
    }

    /// At once, and for sure; nothing where it has ended.
    pub(super) fn kill(&self) {
        if let Err(error) = self.lock().kill() {
            tracing::debug!(target: "ebbtide::sql", %error, "a statement's process could not be killed");
        }
    }
}

/// What stops a statement when nobody waits for it any more.
#[derive(Clone, Debug, Default)]
pub(in crate::sql) struct StopOnDrop(Arc<Mutex<Stopping>>);

#[derive(Debug, Default)]
struct Stopping {
    stopped: bool,
    killer: Option<Killer>,
}

impl StopOnDrop {
    /// Held by whoever works, not by whoever waits.
    pub(in crate::sql) fn handle(&self) -> StopHandle {
        StopHandle(self.0.clone())
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        let mut stopping = lock(&self.0);
        stopping.stopped = true;
        if let Some(killer) = stopping.killer.take() {
            killer.kill();
        }
    }
}

/// Whether a statement is still wanted.
#[derive(Clone, Debug)]
pub(in crate::sql) struct StopHandle(Arc<Mutex<Stopping>>);

impl StopHandle {
    /// From now on that process is killed with the statement. False where it is not wanted any more.
    pub(super) fn goes_with(&self, killer: &Killer) -> bool {
        let mut stopping = lock(&self.0);
        if !stopping.stopped {
            stopping.killer = Some(killer.clone());
        }
        !stopping.stopped
    }

    pub(super) fn is_stopped(&self) -> bool {
        lock(&self.0).stopped
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
