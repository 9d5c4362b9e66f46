//! The machine that was measured on, and what processes take of it.

use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::failure::Failure;

const POLL: Duration = Duration::from_millis(10);

/// What is known of the machine.
pub(super) fn describe() -> Json {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let memory = field("/proc/meminfo", "MemTotal").and_then(|text| kib(&text)).unwrap_or(0);
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    json!({"cores": cores, "memory_mib": memory / 1_024, "cpu": model, "system": std::env::consts::OS})
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn kib(text: &str) -> Option<u64> {
    text.strip_suffix("kB")?.trim().parse().ok()
}

/// Anonymous memory of a process now, in MiB; 0 where the system does not tell.
pub(super) fn anonymous_mib(process: u32) -> f64 {
    let found = field(&format!("/proc/{process}/status"), "RssAnon").and_then(|text| kib(&text));
    found.map_or(0.0, |kib| kib as f64 / 1_024.0)
}

/// Processor time that a process has taken so far; none where the system does not tell.
pub(super) fn processor_time(process: u32) -> Duration {
    /// What the kernel counts in, whatever its own clock does.
    const TICK: Duration = Duration::from_millis(10);
    let told = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The program's name, which may be anything, is in parentheses; then come 11 others, user and system time.
    let fields = told.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    let ticks: u32 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u32>().ok()).sum();
    TICK * ticks
}

/// Waits for a process to end, and tells its anonymous memory at its height, in MiB.
pub(super) fn watch(child: &mut Child) -> Result<(ExitStatus, f64), Failure> {
    let mut most: f64 = 0.0;
    loop {
        if let Some(status) = child.try_wait().map_err(Failure::new)? {
            return Ok((status, most));
        }
        most = most.max(anonymous_mib(child.id()));
        std::thread::sleep(POLL);
    }
}

/// Bytes of the files of a folder.
pub(super) fn folder_bytes(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// Bytes of the files of a folder's segments, by the last part of their names.
pub(super) fn segment_bytes(data: &Path) -> Vec<(&'static str, u64)> {
    let kinds: [(&str, &'static str); 3] = [
        ("parquet", "rows_bytes_per_event"),
        ("keys", "keys_bytes_per_event"),
        ("spine", "spine_bytes_per_event"),
    ];
    let files: Vec<_> = std::fs::read_dir(data.join("segments")).into_iter().flatten().flatten().collect();
    let of = |kind: &str| {
        let own = files.iter().filter(|file| file.path().extension().is_some_and(|found| found == kind));
        own.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum()
    };
    kinds.into_iter().map(|(kind, name)| (name, of(kind))).collect()
}
