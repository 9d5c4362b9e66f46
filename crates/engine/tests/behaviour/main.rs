//! Behavioural queries against a naive engine over plain vectors, and against cases with known answers.

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
mod activity;
#[cfg(test)]
mod cases;
#[cfg(test)]
mod churn;
#[cfg(test)]
mod documented;
#[cfg(test)]
mod driver;
#[cfg(test)]
mod dropoff;
#[cfg(test)]
mod explained;
#[cfg(test)]
mod funnel;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod preceding;
#[cfg(test)]
mod random;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod selections;
#[cfg(test)]
mod spine;
#[cfg(test)]
mod standing;
#[cfg(test)]
mod stop;
#[cfg(test)]
mod trend;
#[cfg(test)]
mod world;
