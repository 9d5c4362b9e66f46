//! The `ebbtide` binary: commands over a data folder or a running server.

#![cfg_attr(
    test,
    allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::disallowed_methods,
        clippy::too_many_lines,
        clippy::wildcard_enum_match_arm,
        reason = "a test says what it expects, and panics where it is not so"
    )
)]

mod apps;
mod client;
mod clock;
mod config;
mod data;
mod draw;
mod failure;
mod logging;
mod secret;

mod bench;
mod check;
mod completions;
mod demo;
mod import;
mod key;
mod query;
mod report;
mod serve;
mod sql;
mod sql_process;
mod token;
mod verify;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Failure;
use crate::logging::Logging;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Analytics that you do not write by hand: who signs up, who comes back, who drifts away, what they
/// earn you, per tenant, behind your own sign-in.
#[derive(Debug, Parser)]
#[command(name = "ebbtide", version, propagate_version = true, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done, but some rows were rejected or wait.\n\
    Start with: ebbtide demo"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    logging: Logging,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Bench(bench::Bench),
    Serve(serve::Serve),
    Import(import::Import),
    Key(key::Key),
    Query(query::Query),
    Sql(sql::Sql),
    #[command(hide = true)]
    SqlProcess(sql_process::SqlProcess),
    Report(report::Report),
    Token(token::Token),
    Check(check::Check),
    Config(config::Config),
    Verify(verify::Verify),
    Completions(completions::Completions),
}

/// How a command that did not fail ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// Some rows were rejected, or wait for their parents.
    RowsLeftOut,
}

fn main() -> ExitCode {
    logging::catch_panics();
    let Cli { logging, command } = Cli::parse();
    match catch_unwind(AssertUnwindSafe(|| command.run(&logging))) {
        Ok(Ok(Outcome::Done)) => ExitCode::SUCCESS,
        Ok(Ok(Outcome::RowsLeftOut)) => ExitCode::from(3),
        Ok(Err(failure)) => {
            failure.tell();
            failure.exit_code()
        }
        // The log has said what happened.
        Err(_) => ExitCode::FAILURE,
    }
}

impl Command {
    fn log_level(&self) -> &'static str {
        match self {
            Self::Demo(_) | Self::Serve(_) => "info",
            Self::Bench(_)
            | Self::Import(_)
            | Self::Key(_)
            | Self::Query(_)
            | Self::Sql(_)
            | Self::SqlProcess(_)
            | Self::Report(_)
            | Self::Token(_)
            | Self::Check(_)
            | Self::Config(_)
            | Self::Verify(_)
            | Self::Completions(_) => "warn",
        }
    }

    fn run(self, logging: &Logging) -> Result<Outcome, Failure> {
        // A server logs as its configuration says, once that is read; the process of a statement does not.
        if !matches!(self, Self::Serve(_) | Self::SqlProcess(_)) {
            logging.start(self.log_level())?;
        }
        match self {
            Self::Demo(demo) => demo.run(),
            Self::Bench(bench) => bench.run(),
            Self::Serve(serve) => serve.run(logging),
            Self::Import(import) => import.run(),
            Self::Key(key) => key.run(),
            Self::Query(query) => query.run(),
            Self::Sql(sql) => sql.run(),
            Self::SqlProcess(process) => process.run(),
            Self::Report(report) => report.run(),
            Self::Token(token) => token.run(),
            Self::Check(check) => check.run(),
            Self::Config(config) => config.run(),
            Self::Verify(verify) => verify.run(),
            Self::Completions(completions) => completions.run(),
        }
    }
}
