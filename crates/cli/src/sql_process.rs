//! `ebbtide sql-process`: the process of one statement. A server, or `ebbtide sql`, starts it for itself.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;

use clap::Args;
use ebbtide_engine::sql::{Launch, ProcessTask, serve_one};
use rlimit::Resource;

use crate::Outcome;
use crate::failure::Failure;

/// Where the system says what this process takes.
const STATUS: &str = "/proc/self/status";

/// Answer one statement of the server that started this.
#[derive(Debug, Args)]
pub(crate) struct SqlProcess {
    /// What it may use, as JSON.
    task: String,
}

/// How this very binary is started for a statement.
pub(crate) fn launch() -> Result<Launch, Failure> {
    // The file may have been replaced since: what runs now is still to be had under this name.
    let own = PathBuf::from("/proc/self/exe");
    let program = if own.exists() { own } else { std::env::current_exe().map_err(Failure::new)? };
    Ok(Launch { program, arguments: vec!["sql-process".into()] })
}

impl SqlProcess {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        // Its standard error is read by whoever started it, and nothing else.
        drop(std::panic::take_hook());
        let task: ProcessTask = serde_json::from_str(&self.task).map_err(Failure::usage)?;
        let end = |fd: std::io::Result<_>| fd.map(File::from).map_err(Failure::new);
        let input = end(std::io::stdin().as_fd().try_clone_to_owned())?;
        let output = end(std::io::stdout().as_fd().try_clone_to_owned())?;
        serve_one(&task, input, output, limit).map_err(Failure::new)?;
        Ok(Outcome::Done)
    }
}

/// From now on this process gets so many bytes of memory more, and leaves no image of itself behind. A system
/// that has no such limit leaves the budget that operators count.
fn limit(more_bytes: usize) {
    let set = |resource: Resource, bytes: u64| {
        // The limit may be lower already.
        _ = resource.set(bytes, bytes);
    };
    set(Resource::CORE, 0);
    if let Some(taken) = data_bytes() {
        set(Resource::DATA, taken.saturating_add(more_bytes as u64));
    }
}

/// What counts against the limit: memory that may be written to, used or not.
fn data_bytes() -> Option<u64> {
    let status = std::fs::read_to_string(STATUS).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1_024)
}
