//! `ebbtide serve`: the apps of a data folder over HTTP, until a signal ends it.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use ebbtide_engine::sql::{Sql, SqlSettings};
use ebbtide_model::pack::Pack;
use ebbtide_server::sign_in::{Keys, LEEWAY_S_MAX, TokenRules};
use ebbtide_server::{App, Components, Server, Settings};
use ebbtide_store::Store;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::Outcome;
use crate::apps::AppChoice;
use crate::clock::SystemClock;
use crate::data::{HeldFolder, store_failure};
use crate::failure::{Failure, print};
use crate::secret::{Origin, Secret, VARIABLE};

/// Serve apps over HTTP.
#[derive(Debug, Args)]
#[command(
    after_help = "Tokens are signed with EBBTIDE_JWT_SECRET (at least 32 bytes). Without it a random\n\
    secret is stored in the data folder, and only this machine may connect.\n\n\
    Examples:\n  \
    ebbtide serve --data ./data --app loyalty\n  \
    ebbtide serve --data ./data --app loyalty --app shop=./my-pack --listen 0.0.0.0:8080"
)]
pub(crate) struct Serve {
    /// The data folder; it is made where there is none.
    #[arg(long, value_name = "FOLDER", env = "EBBTIDE_DATA")]
    data: PathBuf,
    /// An app: a bundled pack's name, a pack's folder, or NAME=FOLDER. May be given several times.
    #[arg(long = "app", value_name = "APP", required = true)]
    apps: Vec<AppChoice>,
    /// The address and port to listen on.
    #[arg(long, value_name = "ADDRESS", env = "EBBTIDE_LISTEN", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Seconds by which the clock of the host that signs tokens may differ.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u8).range(0..=i64::from(LEEWAY_S_MAX)))]
    token_leeway: u8,
}

impl Serve {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let packs = self.apps.iter().map(AppChoice::load_planned).collect::<Result<Vec<_>, _>>()?;
        let token = TokenRules { leeway_s: self.token_leeway, ..TokenRules::default() };
        let settings = Settings { token, ..Settings::default() };
        serve(&self.data, packs, &self.listen, settings)?;
        Ok(Outcome::Done)
    }
}

/// Serves until SIGTERM or SIGINT.
pub(crate) fn serve(data: &Path, packs: Vec<Pack>, listen: &str, settings: Settings) -> Result<(), Failure> {
    let address = resolve(listen)?;
    // Held before anything is promised: a folder that another server has is told at once.
    let folder = HeldFolder::take(data)?;
    let secret = Secret::find_or_make(std::env::var_os(VARIABLE), data)?;
    check_address(&secret, address)?;
    let keys = Keys::hs256(&secret.bytes).map_err(Failure::usage)?;
    let schemas = packs.iter().map(|pack| pack.schema.clone()).collect();
    let sql = Sql::new(&SqlSettings::default()).map_err(Failure::new)?;
    let components = Components { clock: Arc::new(SystemClock), keys, sql, seed: seed()? };
    let apps = packs.into_iter().map(App::new).collect();
    let server = Server::new(components, apps, settings).map_err(Failure::usage)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format_args!("threads cannot start: {error}")))?;
    let served = runtime.block_on(async move {
        let listener = bind(address).await?;
        announce(&listener, &secret)?;
        run(server, listener, move || folder.open(ebbtide_store::Settings::default(), schemas)).await
    });
    // An opening that a signal came before need not be waited for.
    runtime.shutdown_background();
    served
}

fn resolve(listen: &str) -> Result<SocketAddr, Failure> {
    let found = listen.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    found.ok_or_else(|| {
        Failure::usage(format_args!("{listen:?} is no address to listen on"))
            .hint("give one such as 127.0.0.1:8080")
    })
}

/// A secret that nobody chose is for trying out on one machine.
fn check_address(secret: &Secret, address: SocketAddr) -> Result<(), Failure> {
    if secret.origin == Origin::Environment || address.ip().is_loopback() {
        return Ok(());
    }
    Err(Failure::usage(format_args!(
        "{VARIABLE} is not set, so only this machine may connect, not {address}"
    ))
    .hint(format_args!(
        "set {VARIABLE} to the secret that signs your tokens, or --listen 127.0.0.1:{}",
        address.port()
    )))
}

fn seed() -> Result<u64, Failure> {
    getrandom::u64().map_err(|error| Failure::new(format_args!("the system gives no random bytes: {error}")))
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::new(format_args!("{address} cannot be listened on: {error}"))
            .hint("is another server running there? choose another with --listen")
    })
}

fn announce(listener: &TcpListener, secret: &Secret) -> Result<(), Failure> {
    let address = listener.local_addr().map_err(Failure::new)?;
    let secret = match &secret.origin {
        Origin::Environment => format!("tokens are signed with {VARIABLE}"),
        Origin::File(path) => format!("tokens are signed with the secret in {}", path.display()),
        Origin::NewFile(path) => {
            format!("tokens are signed with a random secret, stored in {} (mode 0600)", path.display())
        }
    };
    print(&format!("listening on http://{address}\n{secret}\n"))
}

/// Answers probes at once and all else once the store is open; a store that does not open ends it.
async fn run(
    server: Arc<Server>,
    listener: TcpListener,
    open: impl FnOnce() -> Result<Store, Failure> + Send + 'static,
) -> Result<(), Failure> {
    let (fail, failed) = oneshot::channel();
    let opening = server.clone();
    tokio::spawn(async move {
        let opened = tokio::task::spawn_blocking(open).await;
        let opened = opened.unwrap_or_else(|error| Err(Failure::new(error)));
        if let Err(failure) = opened.and_then(|store| opening.opened(store).map_err(|_| already_open()))
            && fail.send(failure).is_err()
        {
            tracing::error!("the store did not open, and the server had stopped before");
        }
    });
    let mut failure = None;
    let stop = stop_signal()?;
    let stopping = async {
        tokio::select! {
            name = stop => tracing::info!(target: "ebbtide::server", signal = name, "stopping"),
            Ok(found) = failed => failure = Some(found),
        }
    };
    let finished = ebbtide_server::serve(server.clone(), listener, stopping).await;
    if !finished {
        tracing::warn!(target: "ebbtide::server", "some requests did not finish in time, and were cut off");
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    let closed = tokio::task::spawn_blocking(move || server.close()).await;
    closed.map_err(Failure::new)?.map_err(store_failure)?;
    tracing::info!(target: "ebbtide::server", "stopped");
    Ok(())
}

fn already_open() -> Failure {
    Failure::new("the store was opened twice")
}

/// The signal that ends the server, once it comes. It is caught from now on.
fn stop_signal() -> Result<impl Future<Output = &'static str>, Failure> {
    let caught =
        |kind| signal(kind).map_err(|error| Failure::new(format_args!("signals cannot be caught: {error}")));
    let (mut terminate, mut interrupt) = (caught(SignalKind::terminate())?, caught(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}
