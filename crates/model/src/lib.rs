//! What every other crate speaks of: ids, instants, calendar periods, values, table schemas, scopes,
//! queries and packs. Nothing here reads a file, a clock or the network.

mod calendar;
mod clock;
mod decode;
mod error;
mod ids;
mod instant;
pub mod pack;
pub mod query;
mod schema;
mod scope;
mod value;

pub use calendar::{Calendar, Unit, WeekStart};
pub use clock::Clock;
pub use decode::{Fault, Fields, Node, nearest};
pub use error::ErrorKind;
pub use ids::{AppName, TableName, TenantId};
pub use instant::{Instant, InstantError};
pub use schema::{AppSchema, Column, TableKind, TableSchema, TenantRule};
pub use scope::{Scope, Tenants};
pub use value::{CastError, ColumnType, DECIMAL_PRECISION, DECIMAL_SCALE, Value};
