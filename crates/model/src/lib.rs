//! What every other crate speaks of: ids, instants, calendar periods, values, table schemas, scopes,
//! queries and packs. Nothing here reads a file, a clock or the network.

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

mod calendar;
mod card;
mod clock;
mod cohort;
mod decode;
mod error;
mod ids;
pub mod insight;
mod instant;
mod language;
mod number;
pub mod pack;
mod property;
pub mod query;
mod reject;
mod schema;
mod scope;
mod value;

pub use calendar::{Calendar, Unit, WeekStart};
pub use card::{CARD_TITLE_MAX, Card, Picture, RollingRange, card_column, card_table};
pub use clock::Clock;
pub use cohort::{
    COHORT_NAME_MAX, Cohort, CohortMode, cohort_column, cohort_table, decode_selected, selecting,
};
pub use decode::{Fault, Fields, Node, nearest};
pub use error::ErrorKind;
pub use ids::{AppName, TableName, TenantId};
pub use instant::{Instant, InstantError};
pub use language::Language;
pub use number::{
    Written, digits, exact_number, is_rounded, nearest_float, number_text, plain_text, read_json,
};
pub use property::{Property, PropertyKind, PropertyValue, canonical_json, type_of_kinds, write_text};
pub use reject::{reject_column, reject_table};
pub use schema::{ActorPropsTable, AliasTable, AppSchema, Column, Open, TableKind, TableSchema, TenantRule};
pub use scope::{Scope, Tenants};
pub use value::{CastError, ColumnType, DECIMAL_PRECISION, DECIMAL_SCALE, Value};
