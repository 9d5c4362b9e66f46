//! `ebbtide serve`: the apps of a data folder over HTTP, until a signal ends it.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use clap::Args;
use ebbtide_engine::sql::{Sql, SqlSettings};
use ebbtide_model::pack::Pack;
use ebbtide_server::config::{Flag, Loaded};
use ebbtide_server::sign_in::LEEWAY_S_MAX;
use ebbtide_server::{App, Components, Server};
use ebbtide_store::Store;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::Outcome;
use crate::apps::AppChoice;
use crate::clock::SystemClock;
use crate::config::ConfigChoice;
use crate::data::{HeldFolder, store_failure};
use crate::failure::{Failure, print};
use crate::logging::{self, Logging};
use crate::secret::{ChosenBy, SignIn, VARIABLE};
use crate::sql_process::launch;

/// Serve apps over HTTP.
#[derive(Debug, Args)]
#[command(
    after_help = "What no flag says is taken from the environment, else from the configuration file: see\n\
    docs/configuration.md, or `ebbtide config reference`.\n\n\
    Tokens are signed with EBBTIDE_JWT_SECRET (at least 32 bytes), or with keys of the\n\
    configuration. Without any a random secret is stored in the data folder, and only this\n\
    machine may connect.\n\n\
    Examples:\n  \
    ebbtide serve --data ./data --app loyalty\n  \
    ebbtide serve --data ./data --app loyalty --app shop=./my-pack --listen 0.0.0.0:8080\n  \
    ebbtide serve --config ./ebbtide.toml"
)]
pub(crate) struct Serve {
    #[command(flatten)]
    config: ConfigChoice,
    /// The data folder; it is made where there is none. [env: EBBTIDE_DATA]
    #[arg(long, value_name = "FOLDER")]
    data: Option<String>,
    /// An app: a bundled pack's name, a pack's folder, or NAME=FOLDER. May be given several times.
    #[arg(long = "app", value_name = "APP")]
    apps: Vec<String>,
    /// The address and port to listen on; 127.0.0.1:8080 unless told otherwise. [env: EBBTIDE_LISTEN]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Seconds by which the clock of the host that signs tokens may differ; 30 unless told otherwise.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u8).range(0..=i64::from(LEEWAY_S_MAX)))]
    token_leeway: Option<u8>,
}

impl Serve {
    pub(crate) fn run(self, logging: &Logging) -> Result<Outcome, Failure> {
        let mut flags = logging.flags();
        let mut add = |option, key, values: Vec<String>| {
            if !values.is_empty() {
                flags.push(Flag { option, key, values });
            }
        };
        add("--data", "data", Vec::from_iter(self.data));
        add("--app", "apps", self.apps);
        add("--listen", "listen", Vec::from_iter(self.listen));
        add(
            "--token-leeway",
            "jwt.leeway",
            Vec::from_iter(self.token_leeway.map(|seconds| format!("{seconds}s"))),
        );
        let loaded = self.config.load(&flags)?;
        logging::start(&loaded);
        let apps: Vec<AppChoice> = loaded.config.apps.iter().map(|app| AppChoice::named(app)).collect();
        if apps.is_empty() {
            return Err(Failure::usage("no app was given").hint("give --app, or `apps` in the configuration"));
        }
        let packs = apps.iter().map(AppChoice::load_planned).collect::<Result<Vec<_>, _>>()?;
        serve(&loaded, packs)?;
        Ok(Outcome::Done)
    }
}

/// Serves until SIGTERM or SIGINT.
pub(crate) fn serve(loaded: &Loaded, packs: Vec<Pack>) -> Result<(), Failure> {
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let config = &loaded.config;
    let data = config.data.as_deref().ok_or_else(|| {
        Failure::usage("no data folder was given").hint("give --data, or `data` in the configuration")
    })?;
    let address = resolve(&config.listen)?;
    // Held before anything is promised: a folder that another server has is told at once.
    let folder = HeldFolder::take(data)?;
    let sign_in = SignIn::find_or_make(loaded, data)?;
    check_address(&sign_in, address)?;
    let schemas = packs.iter().map(|pack| pack.schema.clone()).collect();
    let temporary = folder.temporary(data)?;
    let sql = SqlSettings { spill: Some(temporary.spill()), launch: Some(launch()?), ..config.sql.clone() };
    let sql = Sql::new(&sql).map_err(Failure::new)?;
    let mut settings = config.settings.clone();
    settings.temporary_folder.get_or_insert(temporary.path);
    let write_keys = folder.write_keys()?;
    let SignIn { keys, signer, words, by: _ } = sign_in;
    let components =
        Components { clock: Arc::new(SystemClock), keys, signer, write_keys, sql, seed: seed()? };
    let apps = packs.into_iter().map(App::new).collect();
    let server = Server::new(components, apps, settings).map_err(Failure::usage)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format_args!("threads cannot start: {error}")))?;
    let store = config.store.clone();
    let served = runtime.block_on(async move {
        let listener = bind(address).await?;
        announce(&listener, &words)?;
        run(server, listener, move || folder.open(store, schemas)).await
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
fn check_address(sign_in: &SignIn, address: SocketAddr) -> Result<(), Failure> {
    if sign_in.by == ChosenBy::Operator || address.ip().is_loopback() {
        return Ok(());
    }
    Err(Failure::usage(format_args!(
        "{VARIABLE} is not set, nor any other key, so only this machine may connect, not {address}"
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

fn announce(listener: &TcpListener, signers: &str) -> Result<(), Failure> {
    let address = listener.local_addr().map_err(Failure::new)?;
    print(&format!("listening on http://{address}\ntokens are signed with {signers}\n"))
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
