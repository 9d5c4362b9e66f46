//! The real binary, as its users run it.

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
#![cfg(test)]
mod ask;
mod bench;
mod cdnow;
mod config;
mod demo;
mod ebbtide;
mod examples;
mod import;
mod keys;
mod kill;
mod operator;
mod product;
mod report;
mod serve;
mod sql_process;
mod stop;
mod write_keys;
