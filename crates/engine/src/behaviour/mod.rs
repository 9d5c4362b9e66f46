//! Behavioural queries: marked events of each actor, brought together from all parts of all tables a
//! query names, and folded. Loading (columns → marks) and driving (runs → folds) know no query kind; a
//! fold knows no storage.

mod ask;
mod bg_nbd;
mod churn;
mod columns;
mod direct;
mod drive;
mod dropoff;
mod explain;
mod fold;
mod funnel;
mod gathered;
mod history;
mod joined;
mod kernel;
mod key;
mod latency;
mod lifecycle;
mod load;
mod membership;
mod paths;
mod pick;
mod preceding;
mod probe;
mod refine;
mod retention;
mod select;
mod share;
mod span;
mod spine;
mod standing;
mod stickiness;
mod stream;
mod tally;
mod trend;
mod walk;
mod wire;
#[cfg(test)]
mod wire_tests;
mod workers;

pub use ask::{ask, select};
pub use explain::{
    EXPLAINED_EVENTS_MAX, Elsewhere, ExplainedActor, ExplainedEvent, Explanation, Rule, explain,
};
pub(crate) use key::OwnedKey;
pub use standing::{Standing, StandingNumbers};
pub use wire::Wire;
