//! What a running server holds, as one value: its apps, its keys, its clock, its limits. No globals.

use std::sync::{Arc, OnceLock};

use ebbtide_engine::Standing;
use ebbtide_engine::sql::Sql;
use ebbtide_model::pack::Pack;
use ebbtide_model::{AppName, Clock, Instant};
use ebbtide_store::{Health, Store, StoreError};
use tokio::sync::Semaphore;

use crate::asking::Turns;
use crate::cache::{Decisions, ReportCache};
use crate::capture::{Joining, RowIds};
use crate::http::{BodyBudget, Gate, RequestIds};
use crate::live::{Handed, Hub};
use crate::metrics::Metrics;
use crate::openapi::Document;
use crate::problem::{Code, Problem};
use crate::rejects::RejectKeeper;
use crate::routes::{RouteError, Routes};
use crate::settings::{Settings, SettingsError};
use crate::sign_in::{Caller, Keys, SigningKey, WriteKeys};
use crate::warm::Schedules;

/// What comes in from outside.
pub struct Components {
    pub clock: Arc<dyn Clock>,
    pub keys: Keys,
    /// What tokens are minted with, where the server has a secret of its own.
    pub signer: Option<SigningKey>,
    pub write_keys: WriteKeys,
    pub sql: Sql,
    /// Sets the names of this process's requests apart from another's.
    pub seed: u64,
}

/// A deployed pack. Its rows are there once they are recovered.
pub struct App {
    pub pack: Pack,
}

pub struct Server {
    pub(crate) apps: Vec<Arc<App>>,
    pub(crate) routes: Routes,
    clock: Arc<dyn Clock>,
    /// There once it is recovered.
    store: OnceLock<Store>,
    pub(crate) keys: Keys,
    pub(crate) signer: Option<SigningKey>,
    pub(crate) write_keys: WriteKeys,
    pub(crate) joining: Joining,
    pub(crate) sql: Arc<Sql>,
    pub(crate) settings: Settings,
    pub(crate) metrics: Metrics,
    pub(crate) cache: ReportCache,
    pub(crate) schedules: Schedules,
    pub(crate) decisions: Decisions,
    pub(crate) request_ids: RequestIds,
    pub(crate) row_ids: RowIds,
    pub(crate) rejects: RejectKeeper,
    pub(crate) gate: Gate,
    pub(crate) hub: Hub,
    pub(crate) handed: Handed,
    pub(crate) bodies: BodyBudget,
    /// Of behavioural questions.
    pub(crate) turns: Turns,
    pub(crate) standing: Arc<Standing>,
    document: OnceLock<Arc<Document>>,
    /// Files of reports that may be written at one time.
    pub(crate) exports: Arc<Semaphore>,
}

/// Why a server cannot be made of these parts.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Routes(#[from] RouteError),
    #[error("no app was given")]
    NoApp,
    #[error("two apps have the name {name:?}: give one another with NAME=FOLDER")]
    SameName { name: AppName },
}

/// How far a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The apps' rows are being opened.
    Recovering,
    Serving,
    /// It answers and takes rows, and something wants its operator's eye.
    Degraded,
    /// It answers, and takes no more rows until it is started anew: the disk failed.
    Failed,
    /// It stops: what runs is finished, nothing new is begun.
    Draining,
}

impl App {
    pub fn new(pack: Pack) -> Arc<Self> {
        Arc::new(Self { pack })
    }

    pub fn name(&self) -> &AppName {
        &self.pack.schema.app
    }
}

impl Server {
    /// Checks that the parts fit. The apps' rows need not be there yet.
    pub fn new(
        components: Components,
        apps: Vec<Arc<App>>,
        settings: Settings,
    ) -> Result<Arc<Self>, StartError> {
        settings.check()?;
        if apps.is_empty() {
            return Err(StartError::NoApp);
        }
        for (index, app) in apps.iter().enumerate() {
            if apps[..index].iter().any(|earlier| earlier.name() == app.name()) {
                return Err(StartError::SameName { name: app.name().clone() });
            }
        }
        let routes = Routes::of(&apps)?;
        let schedules = Schedules::new(&routes.reports, components.clock.as_ref());
        let handed = Handed::new(&routes.lives);
        Ok(Arc::new(Self {
            routes,
            apps,
            clock: components.clock,
            store: OnceLock::new(),
            keys: components.keys,
            signer: components.signer,
            write_keys: components.write_keys,
            joining: Joining::default(),
            sql: Arc::new(components.sql),
            metrics: Metrics::default(),
            cache: ReportCache::new(settings.cache_bytes_max),
            schedules,
            decisions: Decisions::default(),
            request_ids: RequestIds::new(components.seed),
            row_ids: RowIds::new(components.seed),
            rejects: RejectKeeper::new(settings.rejects, components.seed),
            gate: Gate::new(settings.requests_max),
            hub: Hub::new(settings.listeners_max),
            handed,
            bodies: BodyBudget::new(settings.bodies_bytes_max),
            document: OnceLock::new(),
            turns: Turns::new(settings.questions_max, settings.turn_wait_max, settings.query_time_max),
            standing: Arc::new(Standing::new(settings.standing_bytes_max)),
            exports: Arc::new(Semaphore::new(settings.exports_max)),
            settings,
        }))
    }

    /// May wait for a write that is under way.
    pub fn phase(&self) -> Phase {
        if self.gate.is_closed() {
            return Phase::Draining;
        }
        match self.store.get().map(Store::health) {
            None => Phase::Recovering,
            Some(Health::Ready) => Phase::Serving,
            Some(Health::Degraded { .. }) => Phase::Degraded,
            Some(Health::Failed { .. }) => Phase::Failed,
        }
    }

    /// The apps' rows are there: requests for them are answered from now on. A second store is not
    /// taken, and given back.
    pub fn opened(&self, store: Store) -> Result<(), Store> {
        let hub = self.hub.clone();
        store.on_change(move || hub.changed());
        self.store.set(store)?;
        // Who listened before has its rows now.
        self.hub.changed();
        Ok(())
    }

    /// Ends the store, where it is open: blocks until what was accepted is on disk.
    pub fn close(&self) -> Result<(), StoreError> {
        self.rejects.settle();
        self.store.get().map_or(Ok(()), Store::close)
    }

    pub(crate) fn store(&self) -> Result<&Store, Problem> {
        let recovering = || Problem::new(Code::Recovering, "The server is still opening its data.");
        self.store.get().ok_or_else(recovering)
    }

    /// The OpenAPI document, made when it is first asked for. Blocks while it is.
    pub(crate) fn document(&self) -> Arc<Document> {
        self.document.get_or_init(|| Arc::new(Document::of(self))).clone()
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The app that a caller signed in to.
    pub(crate) fn app_of(&self, caller: &Caller) -> Result<&Arc<App>, Problem> {
        let app = self.apps.iter().find(|app| app.name() == caller.app());
        app.ok_or_else(|| Problem::hidden(Code::Internal, "a caller of an app that is not served"))
    }
}
