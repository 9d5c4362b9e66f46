//! Where the log goes: stderr, as text or JSON.

use std::io::{self, IsTerminal};
use std::panic::PanicHookInfo;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

#[derive(Debug, Args)]
pub(crate) struct Logging {
    /// What is logged: error, warn, info, debug, trace, or directives such as ebbtide_store=debug.
    /// A server says info unless told otherwise, all else warn.
    #[arg(long, global = true, value_name = "LEVEL", env = "EBBTIDE_LOG", help_heading = "Log", value_parser = parse_filter)]
    log: Option<String>,
    /// How it is logged.
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        env = "EBBTIDE_LOG_FORMAT",
        default_value = "text",
        help_heading = "Log"
    )]
    log_format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

fn parse_filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

impl Logging {
    /// Logs from now on, as asked for or else at this level.
    pub(crate) fn start(&self, level: &str) {
        let filter = EnvFilter::try_new(self.log.as_deref().unwrap_or(level));
        let filter = filter.unwrap_or_else(|_| EnvFilter::new(level));
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
        match self.log_format {
            Format::Text => log.with_ansi(io::stderr().is_terminal()).with_target(false).init(),
            Format::Json => log.json().init(),
        }
        std::panic::set_hook(Box::new(log_panic));
    }
}

/// A defect of ours is a line in the log, not a stack in the user's face. Decoders of foreign formats
/// panic over some damaged files; that is caught and told as such, and is no defect.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("without a message");
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    if location.contains("/parquet-") || location.contains("/arrow-") {
        tracing::debug!(%location, "a decoder gave up: {message}");
    } else {
        tracing::error!(%location, "a defect of Ebbtide, please report it: {message}");
    }
}
