//! Trends that ask neither who did something nor what came before: events are counted, and their numbers added up,
//! where they lie. By row group, groups are the codes of its texts: a value is looked up once in each, and no event
//! is copied.

use arrow::array::Array;
use ebbtide_model::query::{EventSource, Measure};
use ebbtide_store::{Codes, LaneRows, Part, SpineColumns, SpineRows};
use hashbrown::HashMap;

use super::columns::Projection;
use super::drive::Loading;
use super::key::{Group, GroupInterner, Key, KeyColumn, OwnedKey};
use super::load::{Actors, Events, Loader, NO_CODE, Number, NumberColumn};
use super::pick::places_of;
use super::span::Span;
use super::spine::{Bounds, Codes as Meanings, Spined};
use super::trend::{TrendState, widen};
use super::workers::{in_turn, workers};
use crate::EngineError;
use crate::exact::ExactSum;

/// Groups times buckets, at most; with more, events are loaded and folded.
const CELLS_MAX: usize = 1 << 18;
/// Codes of several columns that are looked up together, at most.
const COMBINED_MAX: usize = 1 << 16;
/// What a worker takes at once, about.
const PIECE_ROWS: usize = 524_288;

/// What is counted of each group in each bucket.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// By code, without order.
    pub(crate) groups: Vec<Group>,
    buckets: usize,
    cells: Cells,
}

/// Each list is by group times buckets plus bucket; empty where it is not wanted.
#[derive(Debug, Default)]
struct Cells {
    totals: Vec<u64>,
    /// Events with a number.
    numbered: Vec<u64>,
    sums: Vec<ExactSum>,
    extremes: Vec<Option<(Number, Number)>>,
}

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    sum: bool,
    extremes: bool,
}

impl Wanted {
    /// `None` where a measure needs more than sums and extremes.
    pub(crate) fn of(measures: &[Measure]) -> Option<Self> {
        let mut wanted = Self { sum: false, extremes: false };
        for measure in measures {
            match measure {
                Measure::Total => {}
                Measure::Sum | Measure::Avg => wanted.sum = true,
                Measure::Min | Measure::Max => wanted.extremes = true,
                Measure::Unique
                | Measure::UniqueProp
                | Measure::Median
                | Measure::P90
                | Measure::P95
                | Measure::P99 => return None,
            }
        }
        Some(wanted)
    }
}

impl Loading<'_, '_> {
    /// The events of a source, counted in buckets; `None` where they have to be loaded for that.
    pub(crate) fn tally(
        &self,
        source: &EventSource,
        span: &Span,
        wanted: Wanted,
    ) -> Result<Option<Tally>, EngineError> {
        if source.matchers.len() != 1 || !Projection::of_told(source).of_actors().is_empty() {
            return Ok(None);
        }
        let view = self.snapshot.table(self.scope, &source.table)?;
        let loader = Loader {
            source,
            joined: self.joined.of(source),
            memberships: &self.joined.memberships,
            times: self.times,
            actors: Actors::Ignored,
            ties: self.ties,
            values: self.values,
            groups: self.groups,
            arrivals: self.arrivals,
            spine: SpineColumns::of(view.schema()),
            interrupt: self.interrupt,
        };
        Tallying { loader: &loader, span, wanted }.tally(view.parts())
    }
}

/// A tally in the making.
struct State {
    groups: GroupInterner,
    buckets: usize,
    cells: Cells,
}

struct Tallying<'a> {
    loader: &'a Loader<'a>,
    span: &'a Span,
    wanted: Wanted,
}

/// Rows whose events are counted.
struct Block<'b> {
    rows: &'b SpineRows,
    meanings: &'b Meanings,
    /// Of the segment.
    picked: &'b [u32],
    lanes: Option<(&'b LaneRows<'b>, &'b Projection)>,
}

impl Tallying<'_> {
    fn tally(&self, parts: &[Part]) -> Result<Option<Tally>, EngineError> {
        let rows: usize = parts.iter().map(Part::rows_max).sum();
        let spined = parts.iter().map(|part| self.loader.spined(part));
        let spined = spined.collect::<Result<Vec<Option<Spined>>, EngineError>>()?;
        let pieces = parts.iter().zip(&spined).flat_map(|(part, spined)| {
            let pieces = part.split(part.rows_max().div_ceil(PIECE_ROWS));
            pieces.into_iter().map(move |piece| (piece, spined.as_ref()))
        });
        let pieces: Vec<(Part, Option<&Spined>)> = pieces.collect();
        let fresh = || Some(self.fresh());
        let states = in_turn(pieces.len(), workers(rows), fresh, |state, index| {
            let (Some(own), Some((part, spined))) = (state.as_mut(), pieces.get(index)) else {
                return Ok(());
            };
            let has_room = match spined {
                Some(spined) => self.add_spine(part, spined, own)?,
                None => self.add_events(self.loader.load(part)?, own),
            };
            if !has_room {
                *state = None;
            }
            Ok(())
        })?;
        let mut all = self.fresh();
        for state in states {
            let is_small = state.is_some_and(|state| all.merge(state));
            if !is_small {
                return Ok(None);
            }
        }
        let State { groups, buckets, cells } = all;
        Ok(Some(Tally { groups: groups.into_groups(), buckets, cells }))
    }

    fn fresh(&self) -> State {
        State {
            groups: GroupInterner::default(),
            buckets: self.span.buckets().max(1),
            cells: Cells::default(),
        }
    }

    /// Whether there was room for their groups.
    fn add_events(&self, events: Events, state: &mut State) -> bool {
        let groups = events.group_keys.into_groups();
        let mut codes: Vec<Option<u32>> = vec![None; groups.len()];
        let mut bucket = 0;
        for (index, time) in events.times.iter().enumerate() {
            bucket = self.span.bucket_of(*time, bucket);
            let group = events.groups.get(index).map(|group| *group as usize);
            let known = group.and_then(|group| codes[group]);
            let keys = group.and_then(|group| groups.get(group)).map_or([].as_slice(), |group| group);
            let Some(code) = known.or_else(|| state.code(keys.iter().map(OwnedKey::as_key))) else {
                return false;
            };
            if let Some(group) = group {
                codes[group] = Some(code);
            }
            let number = events.numbers.get(index).copied().flatten();
            state.count(code, bucket, self.wanted, number);
        }
        true
    }

    /// As [`add_events`](Self::add_events).
    fn add_spine(&self, part: &Part, spined: &Spined, state: &mut State) -> Result<bool, EngineError> {
        let Spined { refinement, told, .. } = spined;
        let scan = self.loader.scan(part).ok_or(EngineError::SpineLost)?;
        let meanings = self.loader.codes(&scan.names(), refinement.as_ref());
        let timed = part.timed_rows(self.loader.source.time)?;
        let bounds = Bounds::of(self.loader.source, self.loader.times);
        let mut picked = Vec::new();
        for rows in self.loader.rows_of(scan, refinement.as_ref()) {
            let rows = rows?;
            let is_in_time = timed.iter().any(|own| {
                own.rows.start <= rows.rows.start
                    && rows.rows.end <= own.rows.end
                    && bounds.earliest <= own.first
                    && own.last <= bounds.until
            });
            let times = (!is_in_time).then_some((bounds.earliest, bounds.until));
            pick(&rows, &meanings.marks, times, &mut picked);
            let mut rest = picked.as_slice();
            while let Some(row) = rest.first() {
                let lanes = told.as_ref().map(|told| told.lanes.at(*row)).transpose()?;
                let end = lanes.as_ref().map_or(rows.rows.end, |lanes| lanes.rows().end);
                let (own, after) = rest.split_at(rest.partition_point(|row| *row < end));
                let lanes = lanes.as_ref().zip(told.as_ref().map(|told| &told.projection));
                let block = Block { rows: &rows, meanings: &meanings, picked: own, lanes };
                if !self.add_block(&block, state)? {
                    return Ok(false);
                }
                rest = after;
            }
        }
        Ok(true)
    }

    fn add_block(&self, block: &Block<'_>, state: &mut State) -> Result<bool, EngineError> {
        let source = self.loader.source;
        let mut grouping = Grouping::of(source, self.loader.name_column(), block)?;
        let measured = source.number.filter(|_| self.wanted.sum || self.wanted.extremes);
        let array = match (measured, &block.lanes) {
            (Some(column), Some((lanes, projection))) => {
                projection.place(column).map(|place| lanes.take_one(place, block.picked)).transpose()?
            }
            (_, _) => None,
        };
        let numbers = array.as_ref().map(NumberColumn::of).transpose()?;
        let is_one_bucket = state.buckets == 1;
        if is_one_bucket
            && numbers.is_none()
            && let Some(counted) = grouping.count_all(block, state)
        {
            return Ok(counted);
        }
        let first = block.rows.rows.start;
        let mut bucket = 0;
        for (index, row) in block.picked.iter().enumerate() {
            if !is_one_bucket {
                bucket = self.span.bucket_of(block.rows.times.at((row - first) as usize), bucket);
            }
            let Some(code) = grouping.code(index, *row, state) else { return Ok(false) };
            let number = numbers.as_ref().and_then(|numbers| numbers.at(index));
            state.count(code, bucket, self.wanted, number);
        }
        Ok(true)
    }
}

/// Lists the living rows that some matcher wants, counted in the segment; `times` are the first and last that count.
fn pick(rows: &SpineRows, marks: &[u64], times: Option<(i64, i64)>, picked: &mut Vec<u32>) {
    picked.clear();
    let is_wanted: Vec<bool> = marks.iter().map(|marks| *marks != 0).collect();
    let is_all = !rows.codes.is_empty() && is_wanted.iter().all(|wanted| *wanted);
    let is_nameless = rows.codes.is_empty() && is_wanted.first().copied().unwrap_or(false);
    if is_all || is_nameless {
        picked.extend(rows.rows.clone());
    } else {
        places_of(&rows.codes, &is_wanted, |place| {
            picked.extend(u32::try_from(place).ok().map(|place| rows.rows.start + place));
        });
    }
    let first = rows.rows.start;
    if let Some((earliest, until)) = times {
        picked.retain(|row| (earliest..=until).contains(&rows.times.at((row - first) as usize)));
    }
    if let Some(alive) = &rows.alive {
        picked.retain(|row| alive.value((row - first) as usize));
    }
}

impl State {
    /// The code of a group; `None` where there are too many.
    fn code<'k>(&mut self, keys: impl ExactSizeIterator<Item = Key<'k>>) -> Option<u32> {
        let code = self.groups.code(keys);
        let cells = (code as usize + 1).saturating_mul(self.buckets);
        if cells > CELLS_MAX {
            return None;
        }
        if cells > self.cells.totals.len() {
            self.cells.totals.resize(cells, 0);
        }
        Some(code)
    }

    fn count(&mut self, code: u32, bucket: usize, wanted: Wanted, number: Option<Number>) {
        let cell = code as usize * self.buckets + bucket;
        self.cells.totals[cell] += 1;
        let Some(number) = number else { return };
        let Cells { numbered, sums, extremes, .. } = &mut self.cells;
        *at(numbered, cell) += 1;
        if wanted.sum {
            at(sums, cell).add(number.exact());
        }
        if wanted.extremes {
            let extremes = at(extremes, cell);
            *extremes = widen(*extremes, Some((number, number)));
        }
    }

    /// Whether there was room for all.
    fn merge(&mut self, other: Self) -> bool {
        for (code, group) in other.groups.into_groups().iter().enumerate() {
            let Some(own) = self.code(group.iter().map(OwnedKey::as_key)) else { return false };
            for bucket in 0..self.buckets {
                let theirs = code * self.buckets + bucket;
                self.cells.add(own as usize * self.buckets + bucket, &other.cells, theirs);
            }
        }
        true
    }
}

/// A place in a list that grows up to it.
fn at<T: Clone + Default>(list: &mut Vec<T>, place: usize) -> &mut T {
    if place >= list.len() {
        list.resize(place + 1, T::default());
    }
    &mut list[place]
}

impl Cells {
    fn add(&mut self, cell: usize, others: &Self, theirs: usize) {
        *at(&mut self.totals, cell) += others.totals.get(theirs).copied().unwrap_or(0);
        if let Some(numbered) = others.numbered.get(theirs) {
            *at(&mut self.numbered, cell) += numbered;
        }
        if let Some(sum) = others.sums.get(theirs) {
            at(&mut self.sums, cell).merge(sum);
        }
        if let Some(extremes) = others.extremes.get(theirs) {
            let own = at(&mut self.extremes, cell);
            *own = widen(*own, *extremes);
        }
    }
}

impl Tally {
    /// How many events there are of each group.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = (&Group, u64)> {
        let totals = self.cells.totals.chunks(self.buckets.max(1));
        self.groups.iter().zip(totals.map(|totals| totals.iter().sum()))
    }

    /// Fills what a fold would have made of the events: series 0 of all of them, then one for each kept group.
    pub(crate) fn fill(&self, state: &mut TrendState, kept: &[Group]) {
        let places: HashMap<&Group, usize> = kept.iter().zip(1..).collect();
        for (code, group) in self.groups.iter().enumerate() {
            for series in std::iter::once(0).chain(places.get(group).copied()) {
                for bucket in 0..self.buckets {
                    self.fill_cell(state, series * self.buckets + bucket, code * self.buckets + bucket);
                }
            }
        }
    }

    fn fill_cell(&self, state: &mut TrendState, cell: usize, own: usize) {
        let Cells { totals, numbered, sums, extremes } = &self.cells;
        if let (Some(into), Some(total)) = (state.totals.get_mut(cell), totals.get(own)) {
            *into += total;
        }
        if let (Some(into), Some(numbered)) = (state.numbered.get_mut(cell), numbered.get(own)) {
            *into += numbered;
        }
        if let (Some(into), Some(sum)) = (state.sums.get_mut(cell), sums.get(own)) {
            into.merge(sum);
        }
        if let (Some(into), Some(extremes)) = (state.extremes.get_mut(cell), extremes.get(own)) {
            *into = widen(*into, *extremes);
        }
    }
}

/// How events of a block are led to their groups.
enum Grouping<'b> {
    /// By codes of values.
    Coded {
        columns: Vec<CodedColumn<'b>>,
        /// By the codes of all columns together.
        known: Vec<u32>,
    },
    /// By the values of the picked rows; `None`: the source lacks the property.
    Keys(Vec<Option<KeyColumn>>),
}

/// A property whose values have codes.
struct CodedColumn<'b> {
    codes: CodesOf<'b>,
    /// How many there are.
    count: usize,
}

enum CodesOf<'b> {
    /// Names of events, by the codes of the spine.
    Names(&'b SpineRows, &'b Meanings),
    /// Of a column whose rows begin here.
    Lane(u32, &'b Codes, KeyColumn),
    /// The property is missing.
    Nothing,
}

impl CodedColumn<'_> {
    fn code(&self, row: u32) -> usize {
        match &self.codes {
            CodesOf::Names(rows, _) => {
                rows.codes.get((row - rows.rows.start) as usize).map_or(0, usize::from)
            }
            CodesOf::Lane(first, codes, _) => codes.at((row - first) as usize),
            CodesOf::Nothing => 0,
        }
    }

    fn key(&self, code: usize) -> Key<'_> {
        match &self.codes {
            CodesOf::Names(_, meanings) => meanings.name(code),
            CodesOf::Lane(_, _, keys) => keys.at(code),
            CodesOf::Nothing => Key::Null,
        }
    }
}

impl<'b> Grouping<'b> {
    fn of(source: &EventSource, name: Option<usize>, block: &Block<'b>) -> Result<Self, EngineError> {
        let coded = |column: &Option<usize>| -> Result<Option<CodedColumn<'b>>, EngineError> {
            let Some(column) = *column else {
                return Ok(Some(CodedColumn { codes: CodesOf::Nothing, count: 1 }));
            };
            if name == Some(column) {
                let codes = CodesOf::Names(block.rows, block.meanings);
                return Ok(Some(CodedColumn { codes, count: block.meanings.marks.len() }));
            }
            let Some((lanes, projection)) = block.lanes else { return Ok(None) };
            let Some(place) = projection.place(column) else { return Ok(None) };
            if lanes.is_absent(place) {
                return Ok(Some(CodedColumn { codes: CodesOf::Nothing, count: 1 }));
            }
            let Some(coded) = lanes.coded(place) else { return Ok(None) };
            let keys = KeyColumn::of(&coded.values)?;
            let codes = CodesOf::Lane(lanes.rows().start, &coded.codes, keys);
            Ok(Some(CodedColumn { codes, count: coded.values.len() }))
        };
        let columns = source.breakdown.iter().map(coded).collect::<Result<Option<Vec<_>>, _>>()?;
        if let Some(columns) = columns {
            let combined = columns.iter().map(|column| column.count).fold(1_usize, usize::saturating_mul);
            if combined <= COMBINED_MAX {
                return Ok(Self::Coded { columns, known: vec![NO_CODE; combined] });
            }
        }
        let Some((lanes, projection)) = block.lanes else { return Ok(Self::Keys(Vec::new())) };
        let keys = source.breakdown.iter().map(|column| {
            let place = column.and_then(|column| projection.place(column));
            place.map(|place| KeyColumn::of(&lanes.take_one(place, block.picked)?)).transpose()
        });
        Ok(Self::Keys(keys.collect::<Result<_, EngineError>>()?))
    }

    /// The code of a picked row's group; `None` where there are too many.
    fn code(&mut self, index: usize, row: u32, state: &mut State) -> Option<u32> {
        match self {
            Self::Coded { columns, known } => {
                let combined = columns.iter().fold(0, |all, column| all * column.count + column.code(row));
                if known[combined] == NO_CODE {
                    let keys: Vec<Key<'_>> =
                        columns.iter().map(|column| column.key(column.code(row))).collect();
                    known[combined] = state.code(keys.into_iter())?;
                }
                Some(known[combined])
            }
            Self::Keys(columns) => {
                let keys = columns.iter().map(|keys| keys.as_ref().map_or(Key::Null, |keys| keys.at(index)));
                state.code(keys)
            }
        }
    }

    /// Counts the picked rows, all in one bucket, by the codes of one column, where that is all there is to them;
    /// whether there was room for their groups.
    fn count_all(&self, block: &Block<'_>, state: &mut State) -> Option<bool> {
        let Self::Coded { columns, .. } = self else { return None };
        let [column] = columns.as_slice() else { return None };
        let CodesOf::Lane(first, Codes::Byte(codes), _) = &column.codes else { return None };
        let mut counts = [0_u64; 256];
        let is_gapless = block.picked.first().zip(block.picked.last());
        let (start, last) = is_gapless?;
        if (last - start) as usize + 1 == block.picked.len() {
            histogram(&codes[(start - first) as usize..=(last - first) as usize], &mut counts);
        } else {
            for row in block.picked {
                counts[usize::from(codes[(row - first) as usize])] += 1;
            }
        }
        for (code, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            let Some(group) = state.code(std::iter::once(column.key(code))) else { return Some(false) };
            state.cells.totals[group as usize * state.buckets] += count;
        }
        Some(true)
    }
}

/// Several counters at once: where one value comes again and again, each count would wait for the one before.
fn histogram(codes: &[u8], counts: &mut [u64; 256]) {
    let mut four = [[0_u32; 256]; 4];
    let chunks = codes.chunks_exact(4);
    chunks.remainder().iter().for_each(|code| counts[usize::from(*code)] += 1);
    for chunk in chunks {
        for (own, code) in four.iter_mut().zip(chunk) {
            own[usize::from(*code)] += 1;
        }
    }
    for own in four {
        counts.iter_mut().zip(own).for_each(|(count, more)| *count += u64::from(more));
    }
}
