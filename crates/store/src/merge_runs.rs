//! Spilled chunks of an import as one sorted stream of live rows. They are merged by runs, the rows that a chunk
//! has of one actor: most actors have one run in few chunks, so that rows are rarely compared, and copied many
//! at a time.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use ebbtide_model::{ColumnType, TableKind, TableSchema};

use crate::StoreError;
use crate::gather::{Gathering, Picked};
use crate::merge::{Merged, Sorted, Sources};
use crate::scan::BATCH_ROWS_MAX;
use crate::segment::{
    CHECKED_ROWS, ColumnBytes, LiveSegment, Spilled, ValueBytes, long_at, short_at, text_range,
};
use crate::table::TableInfo;
use crate::widen::united;

/// The declared columns by which a table's rows are ordered within a tenant, before their arrival.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunColumns {
    /// Of whole numbers or texts.
    pub(crate) actor: usize,
    pub(crate) time: Option<usize>,
}

impl RunColumns {
    /// `None` for a table that is ordered in another way.
    pub(crate) fn of(table: &TableSchema) -> Option<Self> {
        let columns = match (table.kind, table.actor, table.key.as_slice()) {
            (TableKind::Events, Some(actor), _) => Self { actor, time: table.time },
            (TableKind::Entity, _, [key]) => Self { actor: *key, time: None },
            (TableKind::Events | TableKind::Entity, _, _) => return None,
        };
        let actor = table.columns.get(columns.actor)?.column_type;
        matches!(actor, ColumnType::Int | ColumnType::Text).then_some(columns)
    }
}

/// Whose rows come next in a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Head<'a> {
    /// A place among all tenants.
    tenant: u32,
    actor: Actor<'a>,
}

/// In the order of stored rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Actor<'a> {
    Nobody,
    Int(i64),
    /// The first eight bytes as a number, which orders as they do, and all of them.
    Text(u64, &'a [u8]),
}

/// When a row was, and when it came.
type Moment = (Option<i64>, u64);

/// Merges rows of one table.
pub(crate) struct RunMerge<'a> {
    stored: SchemaRef,
    tenants: Vec<&'a Arc<str>>,
    cursors: Vec<Cursor<'a>>,
    heap: BinaryHeap<Reverse<(Head<'a>, usize)>>,
    gathering: Gathering<'a>,
    /// What was merged and not yet handed out.
    merged: VecDeque<Picked>,
    merged_rows: usize,
}

/// Where a chunk is read.
struct Cursor<'a> {
    live: &'a LiveSegment,
    rows: RunReader<'a>,
    end: u32,
    /// The run at hand.
    run: Range<u32>,
    /// Its place in the chunk.
    place: usize,
    /// The tenants that are still to come: each with its place among all, and where its rows end.
    tenants: VecDeque<(u32, u32)>,
    checked: u32,
}

/// The columns that order a chunk's rows.
pub(crate) struct RunReader<'a> {
    spilled: &'a Spilled,
    actor: Option<ColumnBytes<'a>>,
    time: Option<ColumnBytes<'a>>,
}

impl<'a> RunReader<'a> {
    /// `None` where the segment is no spilled one.
    pub(crate) fn new(live: &'a LiveSegment, info: &TableInfo) -> Option<Self> {
        let RunColumns { actor, time } = RunColumns::of(&info.schema)?;
        let spilled = live.segment.spilled.as_ref()?;
        let column = |index: usize| spilled.column(&info.schema.columns[index].name);
        Some(Self { spilled, actor: column(actor), time: time.and_then(column) })
    }

    /// The first row of each run.
    pub(crate) fn starts(&self) -> &'a [u32] {
        &self.spilled.starts
    }

    /// Whose a row is.
    pub(crate) fn actor(&self, row: u32) -> Actor<'a> {
        let row = row as usize;
        let Some(column) = self.actor.as_ref().filter(|column| column.has(row)) else { return Actor::Nobody };
        let text = match &column.values {
            ValueBytes::Fixed { bytes } => return Actor::Int(long_at(bytes, row).cast_signed()),
            ValueBytes::Texts { ends, bytes } => bytes.get(text_range(ends, row)).unwrap_or_default(),
            ValueBytes::Codes { codes, texts } => {
                texts.get(usize::from(short_at(codes, row))).map_or(&[][..], |text| text.as_bytes())
            }
        };
        let mut head = [0; 8];
        let taken = text.len().min(8);
        head[..taken].copy_from_slice(&text[..taken]);
        Actor::Text(u64::from_be_bytes(head), text)
    }

    /// Makes sure that the bytes of these rows are those that were written.
    pub(crate) fn check(&self, rows: Range<u32>) -> Result<(), StoreError> {
        Ok(self.spilled.check(rows)?)
    }

    fn moment(&self, row: u32) -> Moment {
        let row = row as usize;
        let time = self.time.as_ref().filter(|column| column.has(row));
        let time = time.and_then(|column| match &column.values {
            ValueBytes::Fixed { bytes } => Some(long_at(bytes, row).cast_signed()),
            ValueBytes::Texts { .. } | ValueBytes::Codes { .. } => None,
        });
        (time, long_at(self.spilled.sequences(), row))
    }
}

impl<'a> RunMerge<'a> {
    /// `None` where not all of these are spilled.
    pub(crate) fn new(segments: &[Sorted<'a>], info: &TableInfo) -> Result<Option<Self>, StoreError> {
        let readers = segments.iter().map(|sorted| RunReader::new(sorted.live, info));
        let Some(readers) = readers.collect::<Option<Vec<_>>>() else { return Ok(None) };
        let chunks: Vec<&Spilled> = readers.iter().map(|reader| reader.spilled).collect();
        let own =
            chunks.iter().map(|chunk| Arc::new(Schema::new(chunk.fields().cloned().collect::<Vec<_>>())));
        let stored = united(&info.stored, own);
        let mut all: BTreeMap<&Arc<str>, u32> = BTreeMap::new();
        for sorted in segments {
            all.extend(sorted.live.segment.directory.iter().map(|(tenant, _)| (tenant, 0)));
        }
        all.values_mut().zip(0..).for_each(|(place, number)| *place = number);
        let tenants = all.keys().copied().collect();
        let mut cursors = Vec::with_capacity(segments.len());
        for (Sorted { live, rows }, reader) in segments.iter().zip(readers) {
            let own = live.segment.directory.iter().map(|(tenant, rows)| (all[tenant], rows.end));
            let place = reader.starts().partition_point(|start| *start < rows.start);
            cursors.push(Cursor {
                live,
                rows: reader,
                end: rows.end,
                run: rows.start..rows.start,
                place,
                tenants: own.collect(),
                checked: rows.start,
            });
        }
        let gathering = Gathering::new(&stored, chunks);
        let (heap, merged) = (BinaryHeap::new(), VecDeque::new());
        let mut merge = Self { stored, tenants, cursors, heap, gathering, merged, merged_rows: 0 };
        for index in 0..merge.cursors.len() {
            merge.advance(index)?;
        }
        Ok(Some(merge))
    }

    /// The columns of its rows.
    pub(crate) fn stored(&self) -> &SchemaRef {
        &self.stored
    }

    /// The next rows in order; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Merged>, StoreError> {
        while self.merged_rows < BATCH_ROWS_MAX
            && let Some(Reverse((head, first))) = self.heap.pop()
        {
            let mut same = vec![first];
            while self.heap.peek().is_some_and(|Reverse((next, _))| *next == head) {
                same.extend(self.heap.pop().map(|Reverse((_, index))| index));
            }
            self.merge_runs(head.tenant, &same);
            for index in same {
                self.advance(index)?;
            }
        }
        let picked = self.take();
        let mut sources = Sources::default();
        for picked in &picked {
            sources.push(picked.chunk, picked.rows.end - picked.rows.start);
        }
        if picked.is_empty() {
            return Ok(None);
        }
        let columns: Vec<ArrayRef> = self.gathering.columns(&self.tenants, &picked)?;
        debug_assert!(columns.iter().all(|column| column.len() == columns[0].len()));
        Ok(Some(Merged { batch: RecordBatch::try_new(self.stored.clone(), columns)?, sources }))
    }

    /// As many of the merged rows as a batch has.
    fn take(&mut self) -> Vec<Picked> {
        let (mut taken, mut room) = (Vec::new(), u32::try_from(BATCH_ROWS_MAX).unwrap_or(u32::MAX));
        while room > 0
            && let Some(mut picked) = self.merged.pop_front()
        {
            let rows = picked.rows.end - picked.rows.start;
            if rows > room {
                let cut = picked.rows.start + room;
                self.merged.push_front(Picked { rows: cut..picked.rows.end, ..picked });
                picked.rows.end = cut;
            }
            room -= picked.rows.end - picked.rows.start;
            self.merged_rows -= (picked.rows.end - picked.rows.start) as usize;
            taken.push(picked);
        }
        taken
    }

    /// Goes on to a chunk's next run.
    fn advance(&mut self, index: usize) -> Result<(), StoreError> {
        if let Some(head) = self.cursors[index].advance()? {
            self.heap.push(Reverse((head, index)));
        }
        Ok(())
    }

    /// Merges runs of one actor, each of another chunk, in order of chunks.
    fn merge_runs(&mut self, tenant: u32, same: &[usize]) {
        let cursors = &self.cursors;
        if let [only] = same {
            let rows = cursors[*only].run.clone();
            self.emit(tenant, *only, rows);
            return;
        }
        let moment = |index: usize, row: u32| cursors[index].rows.moment(row);
        let mut runs: Vec<(Moment, usize)> =
            same.iter().map(|&index| (moment(index, cursors[index].run.start), index)).collect();
        runs.sort_unstable();
        let is_apart = |pair: &[(Moment, usize)]| {
            let before = pair[0].1;
            moment(before, cursors[before].run.end - 1) <= pair[1].0
        };
        if runs.windows(2).all(is_apart) {
            for (_, index) in runs {
                let rows = self.cursors[index].run.clone();
                self.emit(tenant, index, rows);
            }
            return;
        }
        let mut next: BinaryHeap<Reverse<(Moment, usize, u32)>> = runs
            .into_iter()
            .map(|(moment, index)| Reverse((moment, index, cursors[index].run.start)))
            .collect();
        let mut ordered: Vec<(usize, Range<u32>)> = Vec::new();
        while let Some(Reverse((_, index, row))) = next.pop() {
            match ordered.last_mut() {
                Some((last, rows)) if *last == index && rows.end == row => rows.end += 1,
                _ => ordered.push((index, row..row + 1)),
            }
            if row + 1 < cursors[index].run.end {
                next.push(Reverse((moment(index, row + 1), index, row + 1)));
            }
        }
        for (index, rows) in ordered {
            self.emit(tenant, index, rows);
        }
    }

    /// Hands on those of the rows that are alive.
    fn emit(&mut self, tenant: u32, chunk: usize, rows: Range<u32>) {
        let dead = self.cursors[chunk].live.dead.clone();
        let mut start = rows.start;
        if !dead.is_empty() {
            for row in dead.range(rows.clone()) {
                self.push(Picked { chunk, tenant, rows: start..row });
                start = row + 1;
            }
        }
        self.push(Picked { chunk, tenant, rows: start..rows.end });
    }

    fn push(&mut self, picked: Picked) {
        if !picked.rows.is_empty() {
            self.merged_rows += picked.rows.len();
            self.merged.push_back(picked);
        }
    }
}

impl<'a> Cursor<'a> {
    /// The next run becomes the one at hand; `None` at the end.
    fn advance(&mut self) -> Result<Option<Head<'a>>, StoreError> {
        let start = self.run.end;
        if start >= self.end {
            return Ok(None);
        }
        let starts = self.rows.starts();
        while starts.get(self.place).is_some_and(|place| *place <= start) {
            self.place += 1;
        }
        let end = starts.get(self.place).copied().unwrap_or(u32::MAX).min(self.end);
        self.run = start..end;
        if self.checked < end {
            let until = end.max(self.checked.saturating_add(CHECKED_ROWS)).min(self.end);
            self.rows.spilled.check(self.checked..until)?;
            self.checked = until;
        }
        while self.tenants.front().is_some_and(|(_, end)| *end <= start) {
            self.tenants.pop_front();
        }
        let tenant = self.tenants.front().map_or(u32::MAX, |(tenant, _)| *tenant);
        Ok(Some(Head { tenant, actor: self.rows.actor(start) }))
    }
}

/// The rows of a chunk from the first on that are not below this actor of this tenant.
pub(crate) fn seek(live: &LiveSegment, rows: &RunReader<'_>, tenant: &str, actor: Actor<'_>) -> u32 {
    let own = live.segment.directory.range(tenant);
    if own.is_empty() {
        let below = live.segment.directory.iter().take_while(|(name, _)| ***name < *tenant);
        return below.last().map_or(0, |(_, rows)| rows.end);
    }
    let starts = rows.starts();
    let first = starts.partition_point(|start| *start < own.start);
    let last = starts.partition_point(|start| *start < own.end);
    let place = starts[first..last].partition_point(|start| rows.actor(*start).cmp(&actor) == Ordering::Less);
    starts[first..last].get(place).copied().unwrap_or(own.end)
}
