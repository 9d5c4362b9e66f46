//! Columns of a segment's rows for a reader that wants few of the rows, or codes rather than texts: a row group's
//! columns are decoded into lanes, which are kept, and rows are taken from those.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{Field, FieldRef, Schema};

use crate::StoreError;
use crate::assembly::{Asked, Assembly};
use crate::segment::{Coded, DecodedColumns, Lane, LiveSegment, Segment, Source, Wanted};

/// Columns of a part's rows. Rows are counted in the part's run, as a spine counts them, and the dead are among them.
#[derive(Debug)]
pub struct Lanes {
    segment: Arc<Segment>,
    /// `None`: they are too large to be kept.
    decoded: Option<Arc<DecodedColumns>>,
    groups: Vec<Range<u32>>,
    wanted: Wanted,
    fields: Vec<FieldRef>,
    assembly: Assembly,
}

/// The columns of a row group.
#[derive(Debug)]
pub struct LaneRows<'a> {
    of: &'a Lanes,
    rows: Range<u32>,
    lanes: Vec<Arc<Lane>>,
}

impl Lanes {
    pub(crate) fn new(
        live: &LiveSegment,
        rows: &Range<u32>,
        asked: Asked,
        decoded: &Arc<DecodedColumns>,
    ) -> Result<Self, StoreError> {
        let segment = live.segment.clone();
        let wanted = Wanted::of(&segment, &asked.read)?;
        let keeps = decoded.takes(segment.lane_bytes(rows, &wanted.columns)?);
        Ok(Self {
            decoded: keeps.then(|| decoded.clone()),
            groups: segment.group_rows()?,
            fields: asked.read.clone(),
            wanted,
            assembly: asked.assembly(),
            segment,
        })
    }

    /// The row group that has this row.
    pub fn at(&self, row: u32) -> Result<LaneRows<'_>, StoreError> {
        let group = self.groups.partition_point(|rows| rows.end <= row);
        let rows = self.groups.get(group).cloned();
        let missing = || StoreError::WrongShape { detail: format!("there is no row {row}") };
        let rows = rows.ok_or_else(missing)?;
        let lanes = if self.wanted.columns.is_empty() {
            Vec::new()
        } else {
            self.segment.lanes((group, &rows), &self.wanted.columns, self.decoded.as_deref())?
        };
        Ok(LaneRows { of: self, rows, lanes })
    }
}

impl LaneRows<'_> {
    pub fn rows(&self) -> Range<u32> {
        self.rows.clone()
    }

    /// The asked columns of these rows, in this order, as a [scan](crate::Part::scan) gives them; texts may be
    /// `Dictionary(Int32, Utf8)`, among whose values one may be null.
    pub fn take(&self, rows: &[u32]) -> Result<RecordBatch, StoreError> {
        let places: UInt32Array = rows.iter().map(|row| row.saturating_sub(self.rows.start)).collect();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.of.fields.len());
        for (place, (source, field)) in self.of.wanted.sources.iter().zip(&self.of.fields).enumerate() {
            let column = match source {
                Source::Read(index) => self.lanes.get(*index).map(|lane| lane.take(&places)).transpose()?,
                Source::Directory => Some(self.of.segment.directory.column_of(rows)?),
                Source::Absent => None,
            };
            let column = column.unwrap_or_else(|| new_null_array(field.data_type(), rows.len()));
            let is_made = self.of.assembly.reads_text(place);
            columns.push(if is_made { cast(&column, field.data_type())? } else { column });
        }
        let fields = self.of.fields.iter().zip(&columns);
        let fields = fields.map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<Field>>()));
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let read = RecordBatch::try_new_with_options(schema, columns, &options)?;
        self.of.assembly.assemble_coded(&read)
    }

    /// One of the asked columns of these rows, as [`take`](Self::take) gives it.
    pub fn take_one(&self, column: usize, rows: &[u32]) -> Result<ArrayRef, StoreError> {
        let place = self.of.assembly.as_it_stands(column);
        let Some(Source::Read(index)) = place.and_then(|place| self.of.wanted.sources.get(place)) else {
            let batch = self.take(rows)?;
            let array = batch.columns().get(column).cloned();
            return array.ok_or_else(|| missing(column));
        };
        let places: UInt32Array = rows.iter().map(|row| row.saturating_sub(self.rows.start)).collect();
        self.lanes.get(*index).ok_or_else(|| missing(column))?.take(&places)
    }

    /// The codes of an asked column, by row of the group, where it is a text that has some.
    pub fn coded(&self, column: usize) -> Option<&Coded> {
        let place = self.of.assembly.as_it_stands(column)?;
        let Source::Read(index) = self.of.wanted.sources.get(place)? else { return None };
        match &**self.lanes.get(*index)? {
            Lane::Coded(coded) => Some(coded),
            Lane::Sparse(_) | Lane::Plain(_) => None,
        }
    }
}

fn missing(column: usize) -> StoreError {
    StoreError::WrongShape { detail: format!("column {column} was not asked for") }
}
