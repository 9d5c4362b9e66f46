//! Connections: accepted, bounded in number and time, and ended in order when the server stops.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::http::router;
use crate::server::Server;
use crate::settings::Settings;
use crate::sign_in::FetchError;
use crate::stalled::Stalled;

/// A request's head is at most this large, and has at most this many headers.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 100;

/// How long accepting rests when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long connections may take to end once no request runs.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves until `stopping` is done, then lets what runs finish (bounded), and returns. While it drains
/// new requests are answered 503, `/readyz` too. True where everything that ran was finished.
pub async fn serve(server: Arc<Server>, listener: TcpListener, stopping: impl Future<Output = ()>) -> bool {
    let (closing, _) = watch::channel(());
    // Ended with the last of the work, by being dropped.
    let mut background = JoinSet::new();
    background.spawn(server.clone().warm_on_schedule());
    if let Some(set) = server.keys.key_set() {
        let (set, server) = (set.clone(), server.clone());
        background.spawn(async move { set.keep_fresh(|outcome| tell_fetch(&server, outcome)).await });
    }
    let mut connections = Connections::new(&server, closing.subscribe());
    let mut stopping = pin!(async {
        stopping.await;
        server.gate.close();
        server.hub.close();
        server.gate.emptied(server.settings.drain_timeout).await
    });
    let finished = loop {
        tokio::select! {
            finished = &mut stopping => break finished,
            () = connections.accept(&listener) => {}
        }
    };
    drop((listener, background));
    // Every connection ends after the answer that it is writing.
    closing.send_replace(());
    let ended = tokio::time::timeout(CLOSE_TIMEOUT, connections.ended()).await;
    // Sockets are no connections of HTTP any more.
    server.hub.emptied(CLOSE_TIMEOUT).await;
    finished && ended.is_ok()
}

/// How a fetch of the key set ended, for those who watch over the server.
fn tell_fetch(server: &Server, outcome: &Result<usize, FetchError>) {
    match outcome {
        Ok(keys) => {
            server.metrics.keys_fetched();
            tracing::info!(target: "ebbtide::sign_in", keys, "the key set was fetched");
        }
        Err(error) => {
            server.metrics.key_fetch_failed();
            let kept = server.keys.key_set().map_or(0, |set| set.len());
            tracing::warn!(target: "ebbtide::sign_in", %error, kept, "the key set could not be fetched");
        }
    }
}

struct Connections {
    router: Router,
    settings: Settings,
    places: Arc<Semaphore>,
    running: JoinSet<()>,
    closing: watch::Receiver<()>,
}

impl Connections {
    fn new(server: &Arc<Server>, closing: watch::Receiver<()>) -> Self {
        let settings = server.settings.clone();
        let places = Arc::new(Semaphore::new(settings.connections_max.min(Semaphore::MAX_PERMITS)));
        Self { router: router(server), settings, places, running: JoinSet::new(), closing }
    }

    /// Takes one connection, once there is a place for it. Dropped midway it has taken none.
    async fn accept(&mut self, listener: &TcpListener) {
        while self.running.try_join_next().is_some() {}
        let Ok(place) = self.places.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let connection =
                    connection(stream, self.router.clone(), self.settings.clone(), self.closing.clone());
                self.running.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(target: "ebbtide::server", %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }

    async fn ended(&mut self) {
        while self.running.join_next().await.is_some() {}
    }
}

async fn connection(stream: TcpStream, router: Router, settings: Settings, mut closing: watch::Receiver<()>) {
    // Answers are small and written whole: waiting to fill a packet only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(target: "ebbtide::server", %error, "TCP_NODELAY");
    }
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.head_timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(
            TokioIo::new(Stalled::new(stream, settings.write_timeout)),
            TowerToHyperService::new(router),
        )
        .with_upgrades();
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        ended = &mut serving => ended,
        // An error means that the sender is gone, which says the same.
        _ = closing.changed() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(target: "ebbtide::server", %error, "a connection broke off");
    }
}
