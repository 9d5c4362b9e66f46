//! Answers that stay up to date: whoever listens to a report gets its answer, and a new one whenever a write or
//! time changes it. Equal questions are one topic, which computes each state once for all who listen; a listener
//! that is slow gets the newest state, and never what came before it.

mod handed;
mod hub;
mod listener;
mod messages;
mod settling;
mod topic;
mod watched;

pub(crate) use handed::Handed;
pub(crate) use hub::Hub;
pub(crate) use listener::{Event, Listener};
pub(crate) use messages::Conversation;
pub(crate) use topic::Newest;
pub(crate) use watched::Watched;
