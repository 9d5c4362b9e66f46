//! Questions answered from a snapshot: behavioural queries as folds over each actor's ordered events,
//! SQL in DataFusion over a catalog that holds only the caller's scope, and findings of rows by rules. Knows no
//! HTTP and no packs.

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

mod aliases;
pub mod answer;
mod behaviour;
mod cohorts;
mod error;
mod exact;
pub mod insights;
pub mod sql;
pub mod statistics;
mod stop;

pub use aliases::{AliasSets, Join, JoinRefused, Joined};
pub use answer::{Answer, Meta, Outcome};
pub use behaviour::{
    EXPLAINED_EVENTS_MAX, Elsewhere, ExplainedActor, ExplainedEvent, Explanation, Rule, Standing,
    StandingNumbers, Wire, ask, explain, select,
};
pub use cohorts::{
    COHORT_MEMBERS_MAX, COHORTS_MAX, Members, SavedCohort, cohort_keys, cohort_rows, find_cohort,
    list_cohorts,
};
pub use error::EngineError;
pub use exact::{Decimal, ExactSum, Ratio, compare_ratios};
pub use stop::{Interrupt, Stop, StopFlag};
