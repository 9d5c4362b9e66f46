//! The data folder, as commands that hold it themselves open it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ebbtide_engine::sql::Spill;
use ebbtide_model::{AppName, AppSchema, ErrorKind, Scope, TenantId, Tenants};
use ebbtide_server::sign_in::WriteKeys;
use ebbtide_store::fs::{FileSystem, RealFs};
use ebbtide_store::lock::FolderLock;
use ebbtide_store::{Components, FreshIds, Settings, Snapshot, Store, StoreError};

use crate::failure::Failure;

/// In the data folder.
const TEMPORARY: &str = "tmp";
const SPILL_BYTES_MAX: u64 = 16 << 30;

/// The files of a data folder.
pub(crate) fn open_folder(data: &Path) -> Arc<dyn FileSystem> {
    Arc::new(RealFs::new(data))
}

/// A folder that this process holds, and whose rows are not read back yet.
pub(crate) struct HeldFolder {
    fs: Arc<dyn FileSystem>,
    lock: FolderLock,
}

/// Where what memory does not hold waits: rows of sorts and of spreadsheets.
pub(crate) struct TemporaryFolder {
    pub(crate) path: PathBuf,
}

impl TemporaryFolder {
    /// For statements.
    pub(crate) fn spill(&self) -> Spill {
        Spill { directory: self.path.clone(), bytes_max: SPILL_BYTES_MAX }
    }
}

impl HeldFolder {
    /// Takes the folder for this process; it is made where there is none.
    pub(crate) fn take(data: &Path) -> Result<Self, Failure> {
        let fs = open_folder(data);
        let lock = FolderLock::take(fs.as_ref()).map_err(|error| store_failure(error.into()))?;
        Ok(Self { fs, lock })
    }

    /// An empty folder for what is of no use to the next process.
    pub(crate) fn temporary(&self, data: &Path) -> Result<TemporaryFolder, Failure> {
        let path = data.join(TEMPORARY);
        let made = match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => std::fs::create_dir_all(&path),
        };
        match made {
            Ok(()) => Ok(TemporaryFolder { path }),
            Err(error) => Err(Failure::new(format_args!("{} cannot be made anew: {error}", path.display()))),
        }
    }

    /// The keys with which events are captured into it.
    pub(crate) fn write_keys(&self) -> Result<WriteKeys, Failure> {
        write_keys(self.fs.clone())
    }

    pub(crate) fn open(self, settings: Settings, apps: Vec<AppSchema>) -> Result<Store, Failure> {
        let components = Components { fs: self.fs, fresh: FreshIds::random() };
        Store::open_held(components, self.lock, settings, apps).map_err(store_failure)
    }
}

pub(crate) fn write_keys(fs: Arc<dyn FileSystem>) -> Result<WriteKeys, Failure> {
    WriteKeys::open(fs, random).map_err(Failure::new)
}

fn random(bytes: &mut [u8]) -> Result<(), String> {
    getrandom::fill(bytes).map_err(|error| error.to_string())
}

/// Takes the folder for this process; it is made where there is none.
pub(crate) fn open_store(data: &Path, apps: Vec<AppSchema>) -> Result<Store, Failure> {
    HeldFolder::take(data)?.open(Settings::default(), apps)
}

/// Takes a folder that there must be: a question to a folder by a wrong name is not answered with nothing.
pub(crate) fn open_existing_store(data: &Path, apps: Vec<AppSchema>) -> Result<Store, Failure> {
    check_exists(data)?;
    open_store(data, apps)
}

pub(crate) fn check_exists(data: &Path) -> Result<(), Failure> {
    if data.is_dir() {
        return Ok(());
    }
    Err(Failure::new(format_args!("there is no data folder {}", data.display()))
        .hint("ebbtide import makes one, and so does ebbtide serve"))
}

/// What the operator may see: all of an app, or one tenant where that was asked for.
#[expect(
    clippy::disallowed_methods,
    reason = "the operator holds the data folder, so there is nothing to keep from them"
)]
pub(crate) fn operator_scope(app: &AppName, tenant: Option<&str>) -> Scope {
    let tenants = tenant.map_or(Tenants::All, |tenant| Tenants::One(TenantId::new(tenant)));
    Scope::grant(app.clone(), tenants)
}

/// Whether any table has a row of the scope: what is asked of a misspelt tenant has an answer, too, and it says nothing.
pub(crate) fn has_rows(snapshot: &Snapshot, scope: &Scope) -> bool {
    let mut views = snapshot.app().tables.iter().filter_map(|table| snapshot.table(scope, &table.name).ok());
    views.any(|view| view.parts().iter().any(|part| part.rows_max() > 0))
}

/// Warns of a tenant of whom there is no row.
pub(crate) fn warn_without_rows(snapshot: &Snapshot, scope: &Scope) {
    if let Tenants::One(tenant) = scope.tenants()
        && !has_rows(snapshot, scope)
    {
        tracing::warn!(app = %scope.app(), %tenant, "no table has a row of this tenant");
    }
}

/// What a user can do about a store that refuses.
pub(crate) fn store_failure(error: StoreError) -> Failure {
    let failure = Failure::new(&error);
    match error.kind() {
        ErrorKind::Conflict if !matches!(error, StoreError::Lock(_)) => failure,
        ErrorKind::Conflict => failure.hint("while a server holds the folder, use --server URL --token JWT"),
        ErrorKind::Corrupt => failure.hint("ebbtide verify --data FOLDER tells what is damaged"),
        ErrorKind::Unavailable => {
            failure.hint("see that the disk has room and that the folder may be written")
        }
        ErrorKind::Invalid
        | ErrorKind::Unauthenticated
        | ErrorKind::PlanRequired
        | ErrorKind::Forbidden
        | ErrorKind::NotFound
        | ErrorKind::TooLarge
        | ErrorKind::Timeout
        | ErrorKind::Internal => failure,
    }
}
