//! Reports of whole packs over whole data sets, from files through the store to JSON, CSV and NDJSON.
//! Data that is not part of the project is looked for beside it; without it a test says that it skips.

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

mod cdnow;
mod chatbot;
mod check;
mod comparing;
mod data;
mod examples;
mod itsm;
mod learning;
mod loyalty;
mod nested;
mod settled;
