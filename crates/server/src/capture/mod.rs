//! What is captured over HTTP, typed: events with properties of any name, properties of actors, aliases.
//! Each object of a list is taken or refused by itself.

mod actors;
mod columns;
mod events;
mod item;
mod joins;
mod json;
mod props;

pub(crate) use actors::type_actors;
pub(crate) use columns::Cell;
pub(crate) use events::CaptureStream;
pub(crate) use item::ItemRejection;
pub(crate) use joins::{Joining, join};
pub(crate) use json::Json;
