//! An app's reports, queries and rows over HTTP, behind the host's own sign-in. Holds no analytics: what
//! it answers is asked of the engine, what it takes is given to the store.

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

pub mod apps;
mod asking;
mod cache;
mod capture;
mod cards;
pub mod config;
mod delivery;
mod http;
mod live;
mod metrics;
mod openapi;
mod problem;
mod question;
mod refusals;
pub mod rejects;
pub mod report;
mod routes;
mod serve;
mod server;
mod settings;
pub mod sign_in;
pub mod sources;
mod stalled;
mod warm;

pub use asking::{AskError, Turns};
pub use http::{CorsRules, own_paths, router};
pub use metrics::RowCounts;
pub use problem::{Code, PROBLEM_MEDIA_TYPE, Problem, status_of};
pub use routes::RouteError;
pub use serve::serve;
pub use server::{App, Components, Phase, Server, StartError};
pub use settings::{Settings, SettingsError};
pub use warm::Warmed;
