//! What lies under the store: the filesystem's contract, the log and the manifest, on a real disk and on
//! one that crashes.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    dead_code,
    unreachable_pub,
    reason = "a test says what it expects, and panics where it is not so; a helper may serve another program"
)]

#[cfg(test)]
mod filesystem;
#[cfg(test)]
mod formats;
#[cfg(test)]
mod log_crash;
#[cfg(test)]
mod log_damage;
#[cfg(test)]
mod log_stop;
#[cfg(test)]
mod manifest;
#[cfg(test)]
mod support;
