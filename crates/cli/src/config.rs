//! `ebbtide config`, and how commands come by their configuration: a file, the environment, their flags.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ebbtide_server::config::{
    CONFIG_BYTES_MAX, CONFIG_FILE, ConfigFault, ConfigFile, Flag, Loaded, reference,
};

use crate::Outcome;
use crate::failure::{Failure, print};
use crate::logging::check_filter;
use crate::secret::configured_keys;

/// Names the file; a flag comes before it.
const VARIABLE: &str = "EBBTIDE_CONFIG";

/// Which file is read.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConfigChoice {
    /// The configuration file. Without one: EBBTIDE_CONFIG, else ebbtide.toml here, where there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigChoice {
    /// The file, over it the environment, over that these flags.
    pub(crate) fn load(&self, flags: &[Flag]) -> Result<Loaded, Failure> {
        let file = self.file()?;
        let loaded =
            Loaded::read(file.as_ref(), environment(), flags).map_err(|faults| explained(&faults))?;
        check_filter(&loaded)?;
        Ok(loaded)
    }

    fn file(&self) -> Result<Option<ConfigFile>, Failure> {
        let variable = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        let Some(path) = self.config.clone().or(variable) else {
            return match read(Path::new(CONFIG_FILE)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                found => found.map(Some).map_err(|error| unreadable(Path::new(CONFIG_FILE), &error)),
            };
        };
        read(&path).map(Some).map_err(|error| unreadable(&path, &error))
    }
}

fn read(path: &Path) -> io::Result<ConfigFile> {
    // One byte more than may be, so that too long a file is told apart.
    let bytes_max = u64::try_from(CONFIG_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    OpenOptions::new().read(true).open(path)?.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(ConfigFile { path: path.to_owned(), bytes })
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format_args!("the configuration {} cannot be read: {error}", path.display()))
}

/// Variables whose value is no UTF-8 are none of ours.
pub(crate) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

pub(crate) fn explained(faults: &[ConfigFault]) -> Failure {
    let lines: Vec<String> = faults.iter().map(|fault| format!("\n  {fault}")).collect();
    let count = if faults.len() == 1 { "a fault".to_owned() } else { format!("{} faults", faults.len()) };
    Failure::usage(format_args!("the configuration has {count}:{}", lines.concat()))
        .hint("`ebbtide config reference` tells of every key")
}

/// Look at the configuration.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ebbtide config check --config ./ebbtide.toml\n  \
    ebbtide config reference")]
pub(crate) struct Config {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say what is wrong with it, or print every key with its value and where that is from.
    #[command(
        after_help = "Examples:\n  ebbtide config check\n  ebbtide config check --config ./ebbtide.toml\n\n\
        Secrets are not shown. Exit code 2 where something is wrong."
    )]
    Check(ConfigChoice),
    /// Print the page that tells of every key.
    #[command(after_help = "Examples:\n  ebbtide config reference > docs/configuration.md")]
    Reference,
}

impl Config {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        match self.action {
            Action::Check(choice) => {
                let loaded = choice.load(&[])?;
                // Key files are read, so that a wrong one is told here too.
                configured_keys(&loaded)?;
                let warnings: String =
                    loaded.warnings.iter().map(|warning| format!("# warning: {warning}\n")).collect();
                print(&format!("{warnings}{}", loaded.shown()))?;
            }
            Action::Reference => print(&reference())?,
        }
        Ok(Outcome::Done)
    }
}
