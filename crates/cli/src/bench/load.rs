//! Rows in: files by `ebbtide import`, and events over HTTP as pages and services send them.

use std::path::Path;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::{Duration, Instant as Stopwatch};

use super::ask::APP;
use super::figures::Figure;
use super::http::{Server, Visitor, at_once, own};
use super::machine;
use crate::failure::Failure;

/// Imports a file into a folder by a process of its own.
pub(super) fn import(what: &str, file: &Path, data: &Path, events: usize) -> Result<Figure, Failure> {
    let mut command = own()?;
    command.args(["import", "--app", APP, "--table", "events", "--data"]).arg(data).arg(file);
    let started = Stopwatch::now();
    let mut child = command.stdout(Stdio::null()).spawn().map_err(Failure::new)?;
    let (status, memory) = machine::watch(&mut child)?;
    let seconds = started.elapsed().as_secs_f64();
    if !status.success() {
        return Err(Failure::new(format_args!("the import of {} ended with {status}", file.display())));
    }
    let mut figure = Figure::new(format!("import of {what}")).with("seconds", seconds);
    if events > 0 {
        figure = figure.with("rows_per_s", events as f64 / seconds);
    }
    figure = figure.with("peak_anonymous_mib", memory);
    if events > 0 {
        for (name, bytes) in machine::segment_bytes(data) {
            figure = figure.with(name, bytes as f64 / events as f64);
        }
    }
    Ok(figure)
}

/// Writers over HTTP.
pub(super) struct Capture {
    pub(super) writers: usize,
    /// Events of one request.
    pub(super) batch: usize,
    pub(super) time: Duration,
}

impl Capture {
    /// Each writer sends on once the last is durable, on a connection of its own.
    pub(super) fn run(&self, server: &Server) -> Result<Figure, Failure> {
        let token =
            server.token(&Visitor { app: APP, role: "writer", tenant: Some("bench"), subject: "bench" })?;
        let times = Mutex::new(Vec::new());
        let started = Stopwatch::now();
        let write = |writer: usize| {
            let mut connection = server.connect(&token)?;
            let mut own = Vec::new();
            let mut number = 0;
            while started.elapsed() < self.time {
                let body = self.body(writer, number);
                number += 1;
                let sent = Stopwatch::now();
                connection.post("/v1/capture", &body)?;
                own.push(sent.elapsed());
            }
            times.lock().unwrap_or_else(std::sync::PoisonError::into_inner).append(&mut own);
            Ok(())
        };
        at_once(self.writers, write)?;
        let seconds = started.elapsed().as_secs_f64();
        let mut times = times.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let events = (times.len() * self.batch) as f64;
        let what = format!("capture, {} writers of {} at a time", self.writers, self.batch);
        Ok(Figure::new(what).with("events_per_s", events / seconds).times(&mut times))
    }

    fn body(&self, writer: usize, number: usize) -> String {
        body(writer, number, self.batch)
    }
}

/// So many events of a request, the n-th of a writer.
pub(super) fn body(writer: usize, number: usize, batch: usize) -> String {
    let event = |place: usize| {
        let actor = (writer * 7_919 + number * 31 + place) % 5_000;
        format!(
            "{{\"event\":\"click\",\"actor\":\"u{actor}\",\"ts\":\"2025-03-01T10:00:{:02}Z\",\"props\":{{\"page\":\"/p{}\",\"n\":{number},\"synthetic\":true}}}}",
            place % 60,
            actor % 40
        )
    };
    let events: Vec<String> = (0..batch).map(event).collect();
    format!("[{}]", events.join(","))
}
