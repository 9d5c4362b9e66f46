//! `ebbtide completions`: what a shell needs to complete commands and options.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::failure::{Failure, print};
use crate::{Cli, Outcome};

/// Print a shell's completion script.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ebbtide completions bash > ~/.local/share/bash-completion/completions/ebbtide\n  \
    ebbtide completions zsh > ~/.zfunc/_ebbtide"
)]
pub(crate) struct Completions {
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "ebbtide", &mut script);
        print(&String::from_utf8_lossy(&script))?;
        Ok(Outcome::Done)
    }
}
