//! Where the log goes: stderr, as text or JSON.

use std::io::{self, IsTerminal};
use std::panic::PanicHookInfo;

use clap::{Args, ValueEnum};
use ebbtide_server::config::{Flag, Loaded, LogFormat};
use tracing_subscriber::EnvFilter;

use crate::config::{environment, explained};
use crate::failure::Failure;

/// The variables that every command heeds.
const VARIABLES: [&str; 2] = ["EBBTIDE_LOG", "EBBTIDE_LOG_FORMAT"];

#[derive(Debug, Args)]
pub(crate) struct Logging {
    /// What is logged: error, warn, info, debug, trace, or directives such as ebbtide_store=debug.
    /// A server says info unless told otherwise, all else warn. [env: EBBTIDE_LOG]
    #[arg(long, global = true, value_name = "LEVEL", help_heading = "Log", value_parser = parse_filter)]
    log: Option<String>,
    /// How it is logged: text unless told otherwise. [env: EBBTIDE_LOG_FORMAT]
    #[arg(long, global = true, value_name = "FORMAT", help_heading = "Log")]
    log_format: Option<Format>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

fn parse_filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// Refuses directives that the log does not take.
pub(crate) fn check_filter(loaded: &Loaded) -> Result<(), Failure> {
    match parse_filter(&loaded.config.log) {
        Ok(_) => Ok(()),
        Err(error) => {
            let (origin, given) = (loaded.origin("log"), &loaded.config.log);
            Err(Failure::usage(format_args!("{origin}: log: {given:?} was given: {error}")).hint(
                "give a level (error, warn, info, debug, trace), or directives such as ebbtide_store=debug",
            ))
        }
    }
}

impl Logging {
    /// What the command line says of the log.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        let format = self.log_format.map(|format| match format {
            Format::Text => "text".to_owned(),
            Format::Json => "json".to_owned(),
        });
        let given = [("--log", "log", self.log.clone()), ("--log-format", "log_format", format)];
        let flag =
            |(option, key, value): (_, _, Option<String>)| Some(Flag { option, key, values: vec![value?] });
        given.into_iter().filter_map(flag).collect()
    }

    /// Logs from now on, for a command that reads no configuration: as the flags and the environment say,
    /// else at this level.
    pub(crate) fn start(&self, level: &'static str) -> Result<(), Failure> {
        let own = environment().filter(|(name, _)| VARIABLES.contains(&name.as_str()));
        let own = std::iter::once((VARIABLES[0].to_owned(), level.to_owned())).chain(own);
        let loaded = Loaded::read(None, own, &self.flags()).map_err(|faults| explained(&faults))?;
        check_filter(&loaded)?;
        start(&loaded);
        Ok(())
    }
}

/// Logs from now on, as a configuration says that [`check_filter`] has let through.
pub(crate) fn start(loaded: &Loaded) {
    let filter = EnvFilter::try_new(&loaded.config.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match loaded.config.log_format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).with_target(false).init(),
        LogFormat::Json => log.json().init(),
    }
}

/// A defect of ours is a line in the log, not a stack in the user's face.
pub(crate) fn catch_panics() {
    std::panic::set_hook(Box::new(log_panic));
}

/// Decoders of foreign formats panic over some damaged files; that is caught and told as such, and is no
/// defect.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("without a message");
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    if location.contains("/parquet-") || location.contains("/arrow-") {
        tracing::debug!(%location, "a decoder gave up: {message}");
    } else {
        tracing::error!(%location, "a defect of Ebbtide, please report it: {message}");
    }
}
