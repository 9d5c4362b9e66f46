//! Captured events as rows of the app's open stream.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringBuilder, TimestampMicrosecondArray, new_null_array};
use arrow::datatypes::{FieldRef, Schema};
use arrow::error::ArrowError;
use ebbtide_model::{AppSchema, ColumnType, Instant, TableKind, TableSchema};
use ebbtide_store::declared_schema;

use super::columns::PropertyColumns;
use super::item::{ItemRejection, Refusal, check_tenant, fields, name, optional_name};
use super::json::Json;
use super::props::{self, Props};
use crate::sources::fast_time;

/// Cells of properties in a batch, so that events without a property in common do not fill memory with nulls.
const CELLS_MAX: usize = 4 << 20;

/// The stream that takes captured events: its columns by what they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CaptureStream<'s> {
    pub(crate) table: &'s TableSchema,
    event: usize,
    actor: usize,
    time: usize,
    id: Option<usize>,
}

/// Events as rows, with the index in the list of each.
#[derive(Debug)]
pub(crate) struct EventRows {
    pub(crate) batch: RecordBatch,
    pub(crate) indexes: Vec<usize>,
}

/// A list's events in batches, and those that were refused.
#[derive(Debug, Default)]
pub(crate) struct TypedEvents {
    pub(crate) batches: Vec<EventRows>,
    pub(crate) rejected: Vec<ItemRejection>,
}

struct Event<'j, 'a> {
    event: Cow<'j, str>,
    actor: Cow<'j, str>,
    micros: i64,
    id: Option<Cow<'j, str>>,
    props: Props<'j, 'a>,
}

impl<'s> CaptureStream<'s> {
    /// The app's first open stream whose events have a name and an actor in text.
    pub(crate) fn of(app: &'s AppSchema) -> Option<Self> {
        app.tables.iter().find_map(Self::of_table)
    }

    fn of_table(table: &'s TableSchema) -> Option<Self> {
        let text = |index: Option<usize>| {
            index.filter(|index| {
                table.columns.get(*index).is_some_and(|column| column.column_type == ColumnType::Text)
            })
        };
        let is_open = table.kind == TableKind::Events && table.open.is_some();
        let id = match table.key.as_slice() {
            [] => None,
            [id] => Some(text(Some(*id))?),
            _ => return None,
        };
        is_open.then_some(())?;
        Some(Self { table, event: text(table.event_name)?, actor: text(table.actor)?, time: table.time?, id })
    }

    /// Types the events of a list; one without a time is of `now`.
    pub(crate) fn type_events(
        self,
        items: &[Json<'_>],
        tenant: &str,
        now: Instant,
    ) -> Result<TypedEvents, ArrowError> {
        let mut typed = TypedEvents::default();
        let mut building = Building::default();
        for (index, item) in items.iter().enumerate() {
            match read(item, tenant, now) {
                Ok(event) => building.push(index, &event),
                Err(refusal) => typed.rejected.push(refusal.at(index)),
            }
            if building.cells() > CELLS_MAX {
                typed.batches.push(std::mem::take(&mut building).finish(self)?);
            }
        }
        if !building.indexes.is_empty() {
            typed.batches.push(building.finish(self)?);
        }
        Ok(typed)
    }
}

fn read<'j, 'a>(item: &'j Json<'a>, tenant: &str, now: Instant) -> Result<Event<'j, 'a>, Refusal> {
    let [event, actor, ts, given, id, of] =
        fields(item, ["event", "actor", "ts", "props", "event_id", "tenant"])?;
    check_tenant(of, tenant)?;
    Ok(Event {
        event: name("event", event)?,
        actor: name("actor", actor)?,
        micros: micros(ts, now)?,
        id: optional_name("event_id", id)?,
        props: props::read(given)?,
    })
}

fn micros(value: Option<&Json<'_>>, now: Instant) -> Result<i64, Refusal> {
    let text = match value {
        None => return Ok(now.micros()),
        Some(Json::Text(text)) => text,
        Some(other) => {
            let detail = format!("\"ts\" is {}; allowed is {}", other.kind(), Instant::ALLOWED);
            return Err(Refusal::new("ts_invalid", detail));
        }
    };
    if let Some(micros) = fast_time::parse(text) {
        return Ok(micros);
    }
    let parsed = Instant::parse(text).map(Instant::micros);
    parsed.map_err(|_| {
        let shown: String = text.chars().take(80).collect();
        let detail = format!("\"ts\" is {shown:?}; allowed is {}", Instant::ALLOWED);
        Refusal::new("ts_invalid", detail)
    })
}

/// A batch that grows.
#[derive(Default)]
struct Building {
    indexes: Vec<usize>,
    events: StringBuilder,
    actors: StringBuilder,
    times: Vec<i64>,
    ids: StringBuilder,
    props: PropertyColumns,
}

impl Building {
    fn cells(&self) -> usize {
        self.props.len().saturating_mul(self.indexes.len())
    }

    fn push(&mut self, index: usize, event: &Event<'_, '_>) {
        let row = self.indexes.len();
        self.indexes.push(index);
        self.events.append_value(&event.event);
        self.actors.append_value(&event.actor);
        self.times.push(event.micros);
        self.ids.append_option(event.id.as_deref());
        self.props.push(row, &event.props);
    }

    /// Columns that a capture does not name are null: whose the rows are, admission knows.
    fn finish(mut self, stream: CaptureStream<'_>) -> Result<EventRows, ArrowError> {
        let rows = self.indexes.len();
        let schema = declared_schema(stream.table);
        let mut fields: Vec<FieldRef> = schema.fields().iter().cloned().collect();
        let mut columns: Vec<ArrayRef> =
            fields.iter().map(|field| new_null_array(field.data_type(), rows)).collect();
        let times = TimestampMicrosecondArray::from(self.times).with_timezone("+00:00");
        columns[stream.time] = Arc::new(times);
        columns[stream.event] = Arc::new(self.events.finish());
        columns[stream.actor] = Arc::new(self.actors.finish());
        if let Some(id) = stream.id {
            columns[id] = Arc::new(self.ids.finish());
        }
        for (field, array) in self.props.finish(rows) {
            fields.push(Arc::new(field));
            columns.push(array);
        }
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        Ok(EventRows { batch, indexes: self.indexes })
    }
}
