//! What clients meet: every way to be refused, and every answer's shape.

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
mod access;
#[cfg(test)]
mod answers;
#[cfg(test)]
mod browsers;
#[cfg(test)]
mod capture;
#[cfg(test)]
mod cards;
#[cfg(test)]
mod cohorts;
#[cfg(test)]
mod dashboard;
#[cfg(test)]
mod decimals;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod embed;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod explained;
#[cfg(test)]
mod files;
#[cfg(test)]
mod inputs;
#[cfg(test)]
mod insights;
#[cfg(test)]
mod kept;
#[cfg(test)]
mod kept_random;
#[cfg(test)]
mod lifetime;
#[cfg(test)]
mod live;
#[cfg(test)]
mod open;
#[cfg(test)]
mod order;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod rejects;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod storefront;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod write_keys;
