//! The spine of a segment: who did what when, raw, in a file that is mapped into memory. What a
//! behavioural question reads of every event lies side by side, ready to be walked: the runs of actors,
//! a code for each event's name, and its time. All of it is in the Parquet file, too, from which a spine
//! that is missing or damaged is made again. Laid out in `docs/formats.md`.

mod codes;
mod compare;
mod read;
mod times;
mod write;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::buffer::BooleanBuffer;
use bytes::Bytes;
use ebbtide_model::{ColumnType, TableKind, TableSchema};

pub use codes::SpineCodes;
pub(crate) use compare::Compared;
pub(crate) use read::Spine;
pub use times::{SpineTicks, SpineTimes};
pub(crate) use write::{Places, SpineWriter};

use super::write::GROUP_ROWS;
use crate::ColumnRef;

const MAGIC: &[u8; 8] = b"EBBTSPIN";
const VERSION: u32 = 2;
/// What the byte of a run may say.
const IS_NOBODYS: u8 = 1;
const IS_SIMULTANEOUS: u8 = 2;
const FOOTER_BYTES: usize = 64;
/// Where a part of a group begins is a multiple of this.
const ALIGNMENT: usize = 8;
/// The time of an event that has none.
pub const NO_TIME: i64 = i64::MIN;
/// The code of an event that has no name; others are places in the list of names, plus one.
pub const NO_NAME: u16 = 0;
/// Names that have a code, at most; a segment with more has no spine.
const NAMES_MAX: usize = u16::MAX as usize - 1;

/// Which of a table's declared columns a spine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpineColumns {
    /// By which the rows of a tenant are ordered.
    pub actor: usize,
    pub time: usize,
    /// The name of an event, where the table has one.
    pub name: Option<usize>,
    actors: ActorType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ActorType {
    Int,
    Text,
}

impl SpineColumns {
    /// `None` for a table whose rows are not ordered by one actor, or have no time.
    pub fn of(table: &TableSchema) -> Option<Self> {
        let actor = match (table.kind, table.actor, table.key.as_slice()) {
            (TableKind::Events, Some(actor), _) => actor,
            (TableKind::Entity, actor, [key]) if actor.is_none_or(|actor| actor == *key) => *key,
            (TableKind::Events | TableKind::Entity, _, _) => return None,
        };
        let actors = match table.columns.get(actor)?.column_type {
            ColumnType::Int => ActorType::Int,
            ColumnType::Text => ActorType::Text,
            ColumnType::Float
            | ColumnType::Decimal
            | ColumnType::Bool
            | ColumnType::Timestamp
            | ColumnType::Date
            | ColumnType::Mixed => return None,
        };
        Some(Self { actor, time: table.time?, name: table.event_name, actors })
    }

    /// What a spine is made of: the tenant, the actor, the time, and the name where there is one.
    pub(crate) fn projection(&self) -> Vec<ColumnRef> {
        let declared = [Some(self.actor), Some(self.time), self.name].into_iter().flatten();
        std::iter::once(ColumnRef::Tenant).chain(declared.map(ColumnRef::Declared)).collect()
    }
}

/// Whose rows are, in the order in which a tenant's are stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum SpineActor {
    Nobody,
    Int(i64),
    Text(Box<str>),
}

/// Rows of a segment in a row, at most 131,072: the runs of actors in them and what each event was.
#[derive(Clone, Debug)]
pub struct SpineRows {
    /// Of the segment.
    pub rows: Range<u32>,
    /// By row.
    pub times: SpineTimes,
    /// No row's time is earlier than the first of these or later than the second.
    pub within: (i64, i64),
    /// [`NO_NAME`], or a place in [`names`](Self::names) plus one; by row. Empty where the table names no
    /// events.
    pub codes: SpineCodes,
    /// The names that codes are of, in no order.
    pub names: Arc<[Box<str>]>,
    /// By run: its first row, counted from the first of `rows`. A run is of one tenant and one actor; the
    /// last one's actor may go on in the rows after these.
    pub starts: Vec<u32>,
    /// By run: whose it is, as `Int64Array` or `StringArray`; null where that is nobody.
    pub actors: ArrayRef,
    /// Whose rows are where, in order, counted from the first of `rows`.
    pub tenants: Vec<(Arc<str>, Range<u32>)>,
    /// By row: whether it counts; `None` where all do.
    pub alive: Option<BooleanBuffer>,
    /// What is said of each run; empty where of none anything.
    run_flags: Bytes,
}

impl SpineRows {
    /// The rows of a run, counted from the first of `rows`.
    #[inline]
    pub fn run(&self, run: usize) -> Range<usize> {
        let end = self.starts.get(run + 1).copied().unwrap_or(self.rows.end - self.rows.start);
        self.starts.get(run).map_or(0..0, |start| *start as usize..end as usize)
    }

    /// Whether some rows of a run, dead ones too, are of one time.
    #[inline]
    pub fn is_simultaneous(&self, run: usize) -> bool {
        self.run_flags.get(run).is_some_and(|flags| flags & IS_SIMULTANEOUS != 0)
    }

    /// Whether that is so of any run.
    pub fn has_simultaneous(&self) -> bool {
        self.run_flags.iter().any(|flags| flags & IS_SIMULTANEOUS != 0)
    }
}

/// The length with what fills up to the next multiple of [`ALIGNMENT`].
fn aligned(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGNMENT)
}
