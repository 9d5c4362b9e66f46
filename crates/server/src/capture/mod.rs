//! What is captured over HTTP, typed: events with properties of any name, properties of actors, aliases, of
//! whose lists each object is taken or refused by itself; and rows that come by a pack's own paths, of which
//! all are taken or none.

mod actors;
mod columns;
mod events;
mod ids;
mod item;
mod joins;
mod json;
mod props;
mod rows;

pub(crate) use actors::type_actors;
pub(crate) use columns::Cell;
pub(crate) use events::CaptureStream;
pub(crate) use ids::RowIds;
pub(crate) use item::ItemRejection;
pub(crate) use joins::{Joining, join};
pub(crate) use json::Json;
pub(crate) use rows::{Arrival, Misfit, given_columns, is_required, type_rows};
