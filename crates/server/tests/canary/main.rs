//! No tenant learns anything of another. Every text of every row bears its tenant's canary; thousands of
//! requests, honest and not, go to every route of every bundled pack; and no answer, error, file or line of
//! the log holds a canary that its caller may not see. What a tenant is answered is moreover what a server
//! that has only that tenant's rows answers.

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
mod asks;
#[cfg(test)]
mod callers;
#[cfg(test)]
mod detector;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod log;
#[cfg(test)]
mod random;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod world;
