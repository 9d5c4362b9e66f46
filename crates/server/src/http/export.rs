//! A report's lists as a file. A thread encodes while the connection takes: some parts of the file wait
//! between them, never more, so that a slow caller slows the statement and one who leaves ends it.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures::stream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::answer::{Stopwatch, milliseconds};
use super::request_id::RequestId;
use crate::problem::{Code, Problem};
use crate::report::export::{Export, ExportError};
use crate::server::Server;

/// Bytes of a part.
const PART_BYTES: usize = 64 * 1024;
/// Parts that wait to be taken.
const PARTS_WAITING: usize = 4;

/// What travels from the encoder to the connection.
enum Part {
    Bytes(Bytes),
    /// The file is whole: without it, it is not.
    End,
    Failed(ExportError),
}

/// Begins the file and answers with it. What fails before its first part is a problem like any other; what
/// fails later breaks the connection off, so that no half of a file passes for a whole.
pub(super) async fn export(
    server: &Server,
    export: Export,
    chosen: Option<&str>,
    id: &RequestId,
    watch: &mut Stopwatch,
) -> Result<Response, Problem> {
    let name = format!("attachment; filename=\"{}\"", export.file_name(chosen));
    let media_type = HeaderValue::from_static(export.format.media_type());
    let place = server.gate.enter_owned()?;
    let turn = server.exports.clone().try_acquire_owned();
    let turn = turn.map_err(|_| {
        Problem::new(Code::Overloaded, "As many files are being written as this server writes at one time.")
    })?;
    let (sender, mut parts) = mpsc::channel(PARTS_WAITING);
    let request_id = id.clone();
    let allowed = server.settings.export_timeout;
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        encode(export, PartWriter::new(sender, allowed), request_id.as_str());
    });
    // A file that takes its time to begin is answered for before it does.
    let patience = server.settings.request_timeout / 2;
    let first = tokio::time::timeout(patience, parts.recv()).await;
    let first = match first {
        Ok(None) => return Err(Problem::hidden(Code::Internal, "an export ended without an end")),
        Ok(Some(Part::Failed(error))) => return Err(error.into()),
        Ok(Some(part)) => Some(part),
        Err(_) => None,
    };
    watch.lap("encode");
    let mut response = Response::new(body(first, parts, place));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media_type);
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// The place is given back when the last part has been taken, or nobody takes them any more.
fn body(first: Option<Part>, parts: mpsc::Receiver<Part>, place: OwnedSemaphorePermit) -> Body {
    let state = Some((first, parts, place));
    Body::from_stream(stream::unfold(state, |state| async move {
        let (first, mut parts, place) = state?;
        let part = match first {
            Some(part) => Some(part),
            None => parts.recv().await,
        };
        match part {
            Some(Part::Bytes(bytes)) => Some((Ok(bytes), Some((None, parts, place)))),
            Some(Part::End) => None,
            Some(Part::Failed(error)) => Some((Err(io::Error::other(error)), None)),
            None => Some((Err(io::Error::other("an export ended without an end")), None)),
        }
    }))
}

fn encode(export: Export, mut out: PartWriter, request_id: &str) {
    let started = Instant::now();
    let (report, format) = (export.report.clone(), export.format.name());
    let written = export.write(&mut out).and_then(|rows| out.end().map(|()| rows));
    let (bytes, ms) = (out.bytes, milliseconds(started.elapsed()));
    match written {
        Ok(rows) => {
            tracing::info!(target: "ebbtide::report", request_id, report, format, rows, bytes, ms, "exported");
        }
        Err(ExportError::Gone) => {
            tracing::info!(target: "ebbtide::report", request_id, report, format, bytes, ms, "export left");
        }
        Err(error) => {
            tracing::warn!(target: "ebbtide::report", request_id, report, format, bytes, ms, %error, "export failed");
            // Nobody is told where nobody listens.
            _ = out.sender.blocking_send(Part::Failed(error));
        }
    }
}

/// Cuts what is written into parts, and waits until each is taken.
struct PartWriter {
    sender: mpsc::Sender<Part>,
    part: Vec<u8>,
    bytes: u64,
    deadline: Instant,
    allowed: Duration,
}

impl PartWriter {
    fn new(sender: mpsc::Sender<Part>, allowed: Duration) -> Self {
        Self { sender, part: Vec::new(), bytes: 0, deadline: Instant::now() + allowed, allowed }
    }

    fn send(&mut self) -> Result<(), ExportError> {
        if Instant::now() > self.deadline {
            return Err(ExportError::Slow { allowed_s: self.allowed.as_secs() });
        }
        let part = std::mem::take(&mut self.part);
        self.bytes = self.bytes.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
        self.sender.blocking_send(Part::Bytes(part.into())).map_err(|_| ExportError::Gone)
    }

    fn end(&mut self) -> Result<(), ExportError> {
        if !self.part.is_empty() {
            self.send()?;
        }
        self.sender.blocking_send(Part::End).map_err(|_| ExportError::Gone)
    }
}

impl Write for PartWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PART_BYTES - self.part.len());
        self.part.extend_from_slice(&bytes[..taken]);
        if self.part.len() == PART_BYTES {
            self.send().map_err(io::Error::other)?;
        }
        Ok(taken)
    }

    /// Parts are as large as they are to be: what asks for less has nothing to gain.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// However slowly parts are taken, no more wait than may.
    #[tokio::test]
    async fn few_parts_wait_however_large_the_file() {
        const PARTS: usize = 200;
        let (sender, mut parts) = mpsc::channel(PARTS_WAITING);
        let counted = Arc::new(AtomicUsize::new(0));
        let sent = counted.clone();
        let writing = tokio::task::spawn_blocking(move || {
            let mut out = PartWriter::new(sender, Duration::from_secs(600));
            for _ in 0..PARTS {
                out.write_all(&vec![7; PART_BYTES]).unwrap();
                sent.fetch_add(1, Ordering::SeqCst);
            }
            out.end().unwrap();
        });
        let mut taken = 0;
        while let Some(Part::Bytes(part)) = parts.recv().await {
            taken += 1;
            assert_eq!(part.len(), PART_BYTES);
            let in_flight = counted.load(Ordering::SeqCst).saturating_sub(taken);
            assert!(in_flight <= PARTS_WAITING, "{in_flight} parts wait");
        }
        assert_eq!(taken, PARTS);
        writing.await.unwrap();
    }

    #[tokio::test]
    async fn who_leaves_ends_the_writing() {
        let (sender, mut parts) = mpsc::channel(1);
        let writing = tokio::task::spawn_blocking(move || {
            let mut out = PartWriter::new(sender, Duration::from_secs(600));
            loop {
                if let Err(error) = out.write_all(&[7; PART_BYTES]) {
                    return ExportError::from(error);
                }
            }
        });
        assert!(parts.recv().await.is_some());
        drop(parts);
        assert!(matches!(writing.await.unwrap(), ExportError::Gone));
    }

    #[tokio::test]
    async fn a_file_that_takes_too_long_is_not_ended() {
        let (sender, _parts) = mpsc::channel(1);
        let mut out = PartWriter::new(sender, Duration::ZERO);
        let error = out.write_all(&[7; PART_BYTES]).unwrap_err();
        assert!(matches!(ExportError::from(error), ExportError::Slow { allowed_s: 0 }));
    }
}
