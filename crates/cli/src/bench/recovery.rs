//! How long a start takes: over segments, and over a log of what was acknowledged and lies in no segment yet, which
//! is what a crash leaves.

use std::path::Path;
use std::time::Instant as Stopwatch;

use super::ask::APP;
use super::figures::Figure;
use super::http::{Server, Visitor, at_once};
use super::load::body;
use super::machine;
use crate::failure::Failure;

/// Writers that fill the log.
const WRITERS: usize = 8;
/// Events of one request.
const BATCH: usize = 500;
/// Nothing is flushed meanwhile, so that all lies in the log.
const ALL_IN_LOG: [(&str, &str); 3] = [
    ("EBBTIDE_STORE_FLUSH_BYTES", "64GiB"),
    ("EBBTIDE_STORE_LOG_BYTES_MAX", "64GiB"),
    ("EBBTIDE_STORE_MEMORY_BYTES_MAX", "64GiB"),
];

/// A start over a folder, until the server says that it is ready.
pub(super) fn ready(data: &Path) -> Result<Figure, Failure> {
    let started = Stopwatch::now();
    let server = Server::start(data, APP)?;
    let seconds = started.elapsed().as_secs_f64();
    let memory = machine::anonymous_mib(server.id());
    Ok(Figure::new("start over segments").with("ready_s", seconds).with("anonymous_mib", memory))
}

/// Captures so many events, kills the server, and starts another, which has them in its log alone.
pub(super) fn of_log(data: &Path, events: usize) -> Result<Figure, Failure> {
    let server = Server::start_with(data, APP, &ALL_IN_LOG)?;
    let visitor = Visitor { app: APP, role: "writer", tenant: Some("bench"), subject: "bench" };
    let token = server.token(&visitor)?;
    let requests = events.div_ceil(BATCH);
    at_once(WRITERS, |writer| {
        let mut connection = server.connect(&token)?;
        for number in (writer..requests).step_by(WRITERS) {
            connection.post("/v1/capture", &body(writer, number, BATCH.min(events)))?;
        }
        Ok(())
    })?;
    // It is killed, not told to end: what it has acknowledged lies in the log.
    drop(server);
    let log_mib = machine::folder_bytes(&data.join("wal")) as f64 / f64::from(1 << 20);
    let started = Stopwatch::now();
    let server = Server::start_with(data, APP, &ALL_IN_LOG)?;
    let seconds = started.elapsed().as_secs_f64();
    let memory = machine::anonymous_mib(server.id());
    let figure = Figure::new("start over a log").with("ready_s", seconds).with("log_mib", log_mib);
    Ok(figure.with("s_per_gib", seconds / log_mib * 1_024.0).with("anonymous_mib", memory))
}
