//! What an operator may set, in one declaration ([`keys`]): a file in TOML, over it the environment, over
//! that the command line. Every wrong value is told with where it stands, what was given and what is
//! allowed. `docs/configuration.md` is made of the same declaration.

mod faults;
mod file;
mod keys;
mod kinds;
mod reference;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use ebbtide_engine::sql::SqlSettings;
use ebbtide_model::nearest;

pub use faults::{ConfigFault, Origin, Place};
pub use reference::reference;

use self::keys::{KEYS, Key};
use self::kinds::Given;
use crate::settings::Settings;
use crate::sign_in::KeySetSettings;

/// The name of a configuration file that is found without being named.
pub const CONFIG_FILE: &str = "ebbtide.toml";

/// Bytes of a configuration file.
pub const CONFIG_BYTES_MAX: usize = 1 << 20;

/// What every variable's name begins with.
const VARIABLE_PREFIX: &str = "EBBTIDE_";

/// Variables that are no keys: what commands of the binary read for themselves.
const OTHER_VARIABLES: [&str; 3] = ["EBBTIDE_CONFIG", "EBBTIDE_TOKEN", "EBBTIDE_TEST_CASES"];

/// All that a server is told.
#[derive(Clone, Debug)]
pub struct Config {
    pub data: Option<PathBuf>,
    /// As `--app` takes them.
    pub apps: Vec<String>,
    pub listen: String,
    /// A level, or directives.
    pub log: String,
    pub log_format: LogFormat,
    pub jwt: JwtConfig,
    pub settings: Settings,
    pub sql: SqlSettings,
    pub store: ebbtide_store::Settings,
}

/// Where the keys are that tokens are checked with.
#[derive(Clone, Debug, Default)]
pub struct JwtConfig {
    pub secret: Option<Hidden>,
    pub secret_file: Option<PathBuf>,
    pub secret_previous: Option<Hidden>,
    pub secret_previous_file: Option<PathBuf>,
    /// PEM, JWK or JWKS.
    pub public_keys: Vec<PathBuf>,
    pub jwks_url: Option<String>,
    pub jwks: KeySetSettings,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// Text that no message and no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(String);

impl Hidden {
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(not shown)")
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: None,
            apps: Vec::new(),
            listen: "127.0.0.1:8080".to_owned(),
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            jwt: JwtConfig::default(),
            settings: Settings::default(),
            sql: SqlSettings::default(),
            store: ebbtide_store::Settings::default(),
        }
    }
}

/// A configuration file, read.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
}

/// What the command line says of one key.
#[derive(Clone, Debug)]
pub struct Flag {
    /// Such as `--listen`.
    pub option: &'static str,
    pub key: &'static str,
    /// One, or several for a list.
    pub values: Vec<String>,
}

/// A configuration, and where each of its values is from.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    origins: BTreeMap<&'static str, Origin>,
    /// Variables that are no keys, and are much like one.
    pub warnings: Vec<String>,
}

impl Loaded {
    /// The file, over it the environment, over that the command line. An empty variable is none. Tells of
    /// all that is wrong, not of the first thing alone.
    pub fn read(
        file: Option<&ConfigFile>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &[Flag],
    ) -> Result<Self, Vec<ConfigFault>> {
        let mut reading = Reading {
            config: Config::default(),
            origins: BTreeMap::new(),
            faults: Vec::new(),
            warnings: Vec::new(),
        };
        if let Some(file) = file {
            reading.take_file(file);
        }
        reading.take_environment(environment);
        for flag in flags {
            let given = match flag.values.as_slice() {
                [only] if !keys::is_list(flag.key) => Given::Bare(only.clone()),
                several => Given::List(several.to_vec()),
            };
            reading.take(flag.key, &given, Path::new(""), Origin::Flag(flag.option));
        }
        reading.finish()
    }

    /// Where a key's value is from.
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// Every key with its value, as a file has it, and where that is from. Secrets are not shown.
    pub fn shown(&self) -> String {
        let mut config = self.config.clone();
        let mut text = String::new();
        let mut section = "";
        for key in KEYS {
            if key.section() != section {
                section = key.section();
                text.push_str(&format!("\n[{section}]\n"));
            }
            let origin = self.origin(key.name);
            let line = match key.slot(&mut config).shown() {
                Some(value) => format!("{} = {value}", key.last_name()),
                None => format!("# {} is not set", key.last_name()),
            };
            match origin {
                Origin::Default => text.push_str(&format!("{line}\n")),
                from @ (Origin::File(_) | Origin::Variable(_) | Origin::Flag(_)) => {
                    text.push_str(&format!("{line}  # {from}\n"));
                }
            }
        }
        text
    }
}

/// A configuration that is being put together.
struct Reading {
    config: Config,
    origins: BTreeMap<&'static str, Origin>,
    faults: Vec<ConfigFault>,
    warnings: Vec<String>,
}

impl Reading {
    fn take_file(&mut self, file: &ConfigFile) {
        let base = file.path.parent().unwrap_or(Path::new("")).to_owned();
        match file::entries(file) {
            Ok(entries) => {
                for file::Entry { name, given, place } in entries {
                    self.take(&name, &given, &base, Origin::File(place));
                }
            }
            Err(fault) => self.faults.push(fault),
        }
    }

    fn take_environment(&mut self, environment: impl IntoIterator<Item = (String, String)>) {
        for (variable, value) in environment {
            if value.is_empty() || !variable.starts_with(VARIABLE_PREFIX) {
                continue;
            }
            if let Some(key) = KEYS.iter().find(|key| key.variable() == variable) {
                self.take(key.name, &Given::Bare(value), Path::new(""), Origin::Variable(variable));
            } else if !OTHER_VARIABLES.contains(&variable.as_str()) {
                self.warn(&variable);
            }
        }
    }

    /// Others name variables with the same prefix, such as an orchestrator that links services: that is no
    /// fault, but a key that is nearly named is worth a word.
    fn warn(&mut self, variable: &str) {
        let known: Vec<String> = KEYS.iter().map(Key::variable).collect();
        if let Some(meant) = nearest(variable, known.iter().map(String::as_str)) {
            self.warnings.push(format!("{variable} is no setting (did you mean {meant}?)"));
        }
    }

    fn take(&mut self, name: &str, given: &Given, base: &Path, origin: Origin) {
        let Some(key) = KEYS.iter().find(|key| key.name == name) else {
            self.faults.push(keys::unknown(name, origin));
            return;
        };
        let mut slot = key.slot(&mut self.config);
        if slot.set(given, base).is_ok() {
            drop(slot);
            self.origins.insert(key.name, origin);
            return;
        }
        let shown = if key.is_secret() { "(not shown)".to_owned() } else { given.shown() };
        let problem = format!("{shown} was given; allowed is {}", slot.allowed());
        drop(slot);
        self.faults.push(ConfigFault { origin, key: Some(key.name.to_owned()), problem });
    }

    /// What no key can tell alone.
    fn check_together(&mut self) {
        let mut wrong: Vec<(&'static str, String)> = Vec::new();
        if let Err(error) = self.config.settings.check() {
            wrong.push((error.name, format!("{} was given; allowed is {}", error.given, error.allowed)));
        }
        let store = &self.config.store;
        if store.memory_bytes_max < store.flush_bytes {
            wrong.push(("store.memory_bytes_max", "allowed is store.flush_bytes or more".to_owned()));
        }
        let jwt = &self.config.jwt;
        if jwt.secret.is_some() && jwt.secret_file.is_some() {
            wrong.push(("jwt.secret_file", "allowed is it or jwt.secret, not both".to_owned()));
        }
        if jwt.secret_previous.is_some() && jwt.secret_previous_file.is_some() {
            wrong.push((
                "jwt.secret_previous_file",
                "allowed is it or jwt.secret_previous, not both".to_owned(),
            ));
        }
        for (key, problem) in wrong {
            let origin = self.origins.get(key).cloned().unwrap_or(Origin::Default);
            self.faults.push(ConfigFault { origin, key: Some(key.to_owned()), problem });
        }
    }

    fn finish(mut self) -> Result<Loaded, Vec<ConfigFault>> {
        if self.faults.is_empty() {
            self.check_together();
        }
        if self.faults.is_empty() {
            let Self { config, origins, warnings, .. } = self;
            Ok(Loaded { config, origins, warnings })
        } else {
            Err(self.faults)
        }
    }
}

#[cfg(test)]
mod tests;
