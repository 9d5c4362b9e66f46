//! Why a command failed, as its user is told: what, and what to do next.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

/// A command that failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    message: String,
    hint: Option<String>,
    exit_code: u8,
}

impl Failure {
    pub(crate) fn new(message: impl Display) -> Self {
        Self { message: message.to_string(), hint: None, exit_code: 1 }
    }

    /// What was asked for makes no sense, whatever the data.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self { exit_code: 2, ..Self::new(message) }
    }

    /// What the user can do about it.
    pub(crate) fn hint(self, hint: impl Display) -> Self {
        Self { hint: Some(hint.to_string()), ..self }
    }

    /// Tells the user.
    pub(crate) fn tell(&self) {
        let mut text = String::new();
        if !self.message.is_empty() {
            text = format!("error: {}\n", self.message);
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("hint: {hint}\n"));
        }
        // There is nobody left to tell where stderr is closed.
        _ = io::stderr().write_all(text.as_bytes());
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit_code)
    }
}

/// Writes to stdout. A reader that has gone, such as `head`, is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format_args!("the answer could not be written: {error}")))
        }
        _ => Ok(()),
    }
}
