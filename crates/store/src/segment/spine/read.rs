//! Reading a spine: its end at once, a group when it is asked for.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::ArrowNativeType;
use bytes::{Buf, Bytes};

use super::times::Scale;
use super::{
    ActorType, FOOTER_BYTES, IS_NOBODYS, MAGIC, SpineActor, SpineCodes, SpineRows, SpineTimes, VERSION,
    aligned,
};
use crate::segment::blocks::{Blocks, Damage};

/// The bytes that the end of the file has of each group.
const GROUP_ENTRY_BYTES: usize = 56;

/// A segment's spine, mapped into memory.
#[derive(Debug)]
pub(crate) struct Spine {
    path: PathBuf,
    blocks: Blocks,
    names: Arc<[Box<str>]>,
    groups: Vec<GroupEntry>,
    actors: ActorType,
    /// The column that the names are of, where the table names events.
    name_column: Option<Box<str>>,
}

/// Where a group is.
#[derive(Clone, Copy, Debug)]
struct GroupEntry {
    offset: usize,
    /// Of the segment.
    first_row: u32,
    rows: u32,
    runs: u32,
    text_bytes: usize,
    /// How its times are put down; `None`: whole.
    scale: Option<Scale>,
    /// The earliest and the latest time.
    within: (i64, i64),
    has_run_flags: bool,
    /// Whether its codes are of two bytes each.
    has_short_codes: bool,
}

/// What the list of groups says of each, as bits.
pub(super) const HAS_RUN_FLAGS: u32 = 1;
pub(super) const HAS_SHORT_CODES: u32 = 2;

/// Where in the file the lists of a group's runs begin.
#[derive(Clone, Copy)]
struct RunLists {
    entry: GroupEntry,
    starts: usize,
    /// The actors that are numbers, or the ends of their texts.
    actors: usize,
    texts: usize,
    flags: usize,
}

/// The end of the file, once its checksum was found right.
struct Footer {
    segment_checksum: u32,
    segment: u64,
    rows: u32,
    groups: u32,
    names: u32,
    has_names: bool,
    names_bytes: u64,
    checksums: u32,
    actors: ActorType,
}

impl Spine {
    /// Reads the end of the file; `None` where an older Ebbtide wrote it, whose spines are made again. `segment` and
    /// `checksum` are those of the segment and of its key file.
    pub(crate) fn open(
        path: PathBuf,
        bytes: &Bytes,
        segment: u64,
        checksum: u32,
        rows: u32,
    ) -> Result<Option<Self>, Damage> {
        let damage = |offset: usize, detail: &str| Damage::new(&path, offset as u64, detail);
        let end = bytes.len();
        let footer_start = end.checked_sub(FOOTER_BYTES).ok_or_else(|| damage(0, "it is cut off"))?;
        if is_older(bytes.slice(footer_start..)) {
            return Ok(None);
        }
        let footer = Footer::decode(bytes.slice(footer_start..));
        let footer = footer.ok_or_else(|| damage(footer_start, "its end is not that of a spine"))?;
        let own_start =
            (footer.checksums as usize).checked_mul(4).and_then(|own| footer_start.checked_sub(own));
        let own_start = own_start.ok_or_else(|| damage(footer_start, "its parts do not add up"))?;
        let stored = bytes.slice(end - 4..).try_get_u32_le().unwrap_or(0);
        if crc32fast::hash(&bytes[own_start..end - 4]) != stored {
            return Err(damage(own_start, "its end does not match its checksum"));
        }
        if (footer.segment, footer.segment_checksum, footer.rows) != (segment, checksum, rows) {
            return Err(damage(footer_start, "it is of another segment"));
        }
        let mut own = bytes.slice(own_start..footer_start);
        let checksums = std::iter::from_fn(|| own.try_get_u32_le().ok()).collect();
        let blocks = Blocks::new(path.clone(), bytes.slice(..own_start), checksums)?;
        let lists =
            lists_start(&footer, own_start).ok_or_else(|| damage(footer_start, "its parts do not add up"))?;
        let names = decode_names(blocks.get(lists.names.start, lists.names.len())?, footer.names);
        let names = names.ok_or_else(|| damage(lists.names.start, "its names do not add up"))?;
        let groups = blocks.get(lists.groups.start, lists.groups.len())?;
        let groups = decode_groups(groups, &footer, lists.names.start)
            .ok_or_else(|| damage(lists.groups.start, "its groups do not add up"))?;
        let mut names = names.into_iter();
        let name_column = if footer.has_names { names.next() } else { None };
        Ok(Some(Self { path, blocks, names: names.collect(), groups, actors: footer.actors, name_column }))
    }

    /// The column whose values the codes stand for.
    pub(crate) fn name_column(&self) -> Option<&str> {
        self.name_column.as_deref()
    }

    fn has_names(&self) -> bool {
        self.name_column.is_some()
    }

    pub(crate) fn names(&self) -> Arc<[Box<str>]> {
        self.names.clone()
    }

    /// Which groups hold these rows of the segment.
    pub(crate) fn groups(&self, rows: &Range<u32>) -> Range<usize> {
        let first = self.groups.partition_point(|group| group.first_row + group.rows <= rows.start);
        let end = self.groups.partition_point(|group| group.first_row < rows.end);
        first..end.max(first)
    }

    /// Those of the wanted rows that a group has. They begin and end where runs do.
    pub(crate) fn read(&self, group: usize, wanted: &Range<u32>) -> Result<SpineRows, Damage> {
        let group = self.groups.get(group);
        let group =
            group.ok_or_else(|| Damage::new(&self.path, 0, "it has fewer groups than were asked for"))?;
        let (rows, runs) = (group.rows as usize, group.runs as usize);
        let mut place = group.offset;
        let mut take = |bytes: usize| {
            let start = place;
            place += aligned(bytes);
            self.blocks.get(start, bytes)
        };
        let times = match group.scale {
            None => Some(SpineTimes::Whole(numbers::<i64>(take(rows * 8)?))),
            Some(scale) => {
                let ticks = numbers::<u32>(take(rows * 4)?);
                scale.times(ticks, take(scale.rest_bytes(rows))?, group.within)
            }
        };
        let codes = match (self.has_names(), group.has_short_codes) {
            (false, _) => SpineCodes::Byte(ScalarBuffer::from(Vec::new())),
            (true, false) => SpineCodes::Byte(numbers::<u8>(take(rows)?)),
            (true, true) => SpineCodes::Short(numbers::<u16>(take(rows * 2)?)),
        };
        let starts = numbers::<u32>(take(runs * 4)?);
        let damage = |detail: &str| Damage::new(&self.path, group.offset as u64, detail);
        let actors = match self.actors {
            ActorType::Int => GroupActors::Ints(numbers::<i64>(take(runs * 8)?)),
            ActorType::Text => {
                let ends = numbers::<u32>(take(runs * 4)?);
                let texts = take(group.text_bytes)?;
                GroupActors::Texts { ends, texts }
            }
        };
        let run_flags = if group.has_run_flags { take(runs)? } else { Bytes::new() };
        let times = times.ok_or_else(|| damage("its times do not add up"))?;
        let complete = times.len() == rows && (!self.has_names() || codes.len() == rows);
        let complete = complete && (!group.has_run_flags || run_flags.len() == runs);
        let complete = complete && starts.len() == runs && starts.first() == Some(&0);
        let ascending = starts.windows(2).all(|pair| pair[0] < pair[1]);
        if !complete || !ascending || starts.last().is_some_and(|last| *last >= group.rows) {
            return Err(damage("its runs do not add up"));
        }
        // Of a tenant's rows only, which begin and end with a run.
        let begin = wanted.start.saturating_sub(group.first_row).min(group.rows);
        let end = wanted.end.saturating_sub(group.first_row).min(group.rows);
        let first_run = starts.partition_point(|start| *start < begin);
        let end_run = starts.partition_point(|start| *start < end);
        let own = begin as usize..end as usize;
        Ok(SpineRows {
            rows: group.first_row + begin..group.first_row + end,
            times: times.slice(own.clone()),
            within: group.within,
            codes: if self.has_names() { codes.slice(own) } else { codes },
            names: self.names.clone(),
            starts: starts[first_run..end_run].iter().map(|start| start - begin).collect(),
            actors: actors
                .array(first_run..end_run, &run_flags)
                .ok_or_else(|| damage("its actors do not add up"))?,
            tenants: Vec::new(),
            alive: None,
            run_flags: if group.has_run_flags { run_flags.slice(first_run..end_run) } else { run_flags },
        })
    }

    /// Where the lists of a group's runs are.
    fn lists(&self, group: usize) -> Result<RunLists, Damage> {
        let entry = self.groups.get(group).copied();
        let entry =
            entry.ok_or_else(|| Damage::new(&self.path, 0, "it has fewer groups than were asked for"))?;
        let (rows, runs) = (entry.rows as usize, entry.runs as usize);
        let times = entry.scale.map_or(rows * 8, |scale| aligned(rows * 4) + aligned(scale.rest_bytes(rows)));
        let names = match (self.has_names(), entry.has_short_codes) {
            (false, _) => 0,
            (true, false) => aligned(rows),
            (true, true) => aligned(rows * 2),
        };
        let starts = entry.offset + times + names;
        let actors = starts + aligned(runs * 4);
        let (texts, flags) = match self.actors {
            ActorType::Int => (actors, actors + runs * 8),
            ActorType::Text => {
                let texts = actors + aligned(runs * 4);
                (texts, texts + aligned(entry.text_bytes))
            }
        };
        Ok(RunLists { entry, starts, actors, texts, flags })
    }

    fn number_at(&self, place: usize) -> Result<u32, Damage> {
        let found = self.blocks.get(place, 4)?.try_get_u32_le();
        found.map_err(|_| Damage::new(&self.path, place as u64, "its runs do not add up"))
    }

    /// Whose a run of a group is.
    fn actor_at(&self, lists: &RunLists, run: usize) -> Result<SpineActor, Damage> {
        let RunLists { entry, actors, texts, flags, .. } = *lists;
        let is_nobodys = |flags: &u8| flags & IS_NOBODYS != 0;
        if entry.has_run_flags && self.blocks.get(flags + run, 1)?.first().is_some_and(is_nobodys) {
            return Ok(SpineActor::Nobody);
        }
        let damage = || Damage::new(&self.path, actors as u64, "its actors do not add up");
        Ok(match self.actors {
            ActorType::Int => {
                let actor = self.blocks.get(actors + run * 8, 8)?.try_get_i64_le();
                SpineActor::Int(actor.map_err(|_| damage())?)
            }
            ActorType::Text => {
                let end = self.number_at(actors + run * 4)? as usize;
                let start = if run == 0 { 0 } else { self.number_at(actors + (run - 1) * 4)? as usize };
                let length = end.checked_sub(start).filter(|_| end <= entry.text_bytes);
                let text = self.blocks.get(texts + start, length.ok_or_else(damage)?)?;
                SpineActor::Text(Box::from(std::str::from_utf8(&text).map_err(|_| damage())?))
            }
        })
    }

    /// The first run of a group that begins at this row of it or after it.
    fn run_from(&self, lists: &RunLists, row: u32) -> Result<usize, Damage> {
        let (mut low, mut high) = (0, lists.entry.runs as usize);
        while low < high {
            let middle = low.midpoint(high);
            if self.number_at(lists.starts + middle * 4)? < row { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }

    /// Whose the run is that begins at this row of the segment, or after it in the same group, and where that
    /// is; `None` where none does.
    pub(crate) fn next_run(&self, row: u32) -> Result<Option<(u32, SpineActor)>, Damage> {
        let group = self.groups(&(row..row.saturating_add(1))).start;
        let lists = self.lists(group)?;
        let run = self.run_from(&lists, row.saturating_sub(lists.entry.first_row))?;
        if run >= lists.entry.runs as usize {
            return Ok(None);
        }
        let start = lists.entry.first_row + self.number_at(lists.starts + run * 4)?;
        Ok(Some((start, self.actor_at(&lists, run)?)))
    }

    /// The first of these rows, which are one tenant's, whose actor is not below.
    pub(crate) fn seek(&self, own: &Range<u32>, actor: &SpineActor) -> Result<u32, Damage> {
        let groups = self.groups(own);
        // The last group that begins below: the row is in it, or right after it.
        let (mut low, mut high) = (groups.start + 1, groups.end);
        while low < high {
            let middle = low.midpoint(high);
            let first = self.actor_at(&self.lists(middle)?, 0)?;
            if first < *actor { low = middle + 1 } else { high = middle }
        }
        if low > self.groups.len() {
            return Ok(own.end);
        }
        let lists = self.lists(low - 1)?;
        let first_row = lists.entry.first_row;
        let mut low = self.run_from(&lists, own.start.saturating_sub(first_row))?;
        let mut high = self.run_from(&lists, own.end.saturating_sub(first_row))?;
        let end = high;
        while low < high {
            let middle = low.midpoint(high);
            if self.actor_at(&lists, middle)? < *actor { low = middle + 1 } else { high = middle }
        }
        if low == end {
            return Ok((first_row + lists.entry.rows).min(own.end));
        }
        Ok(first_row + self.number_at(lists.starts + low * 4)?)
    }

    pub(crate) fn verify(&self) -> Vec<Damage> {
        self.blocks.verify()
    }
}

enum GroupActors {
    Ints(ScalarBuffer<i64>),
    Texts { ends: ScalarBuffer<u32>, texts: Bytes },
}

impl GroupActors {
    /// Those of these runs; `None` where the bytes are no actors.
    fn array(&self, runs: Range<usize>, run_flags: &[u8]) -> Option<ArrayRef> {
        let is_nobodys = |flags: &u8| flags & IS_NOBODYS != 0;
        let nulls = if run_flags.iter().any(is_nobodys) {
            let own = run_flags.get(runs.clone())?;
            Some(NullBuffer::new(BooleanBuffer::collect_bool(own.len(), |run| !is_nobodys(&own[run]))))
        } else {
            None
        };
        match self {
            Self::Ints(ints) => {
                if ints.len() < runs.end {
                    return None;
                }
                Some(Arc::new(Int64Array::try_new(ints.slice(runs.start, runs.len()), nulls).ok()?))
            }
            Self::Texts { ends, texts } => {
                let end = |run: usize| ends.get(run).and_then(|end| i32::try_from(*end).ok());
                let mut offsets = Vec::with_capacity(runs.len() + 1);
                offsets.push(if runs.start == 0 { 0 } else { end(runs.start - 1)? });
                for run in runs {
                    let end = end(run)?;
                    if offsets.last().is_some_and(|last| *last > end) {
                        return None;
                    }
                    offsets.push(end);
                }
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                Some(Arc::new(StringArray::try_new(offsets, Buffer::from(texts.clone()), nulls).ok()?))
            }
        }
    }
}

/// Numbers as they lie there, or a copy where they cannot be read in place.
fn numbers<N: Lane>(bytes: Bytes) -> ScalarBuffer<N> {
    let count = bytes.len() / size_of::<N>();
    if cfg!(target_endian = "little") && bytes.as_ptr().align_offset(align_of::<N>()) == 0 {
        return ScalarBuffer::new(Buffer::from(bytes), 0, count);
    }
    let decoded: Vec<N> = bytes.chunks_exact(size_of::<N>()).filter_map(N::decode).collect();
    ScalarBuffer::from(decoded)
}

/// A number of a fixed number of bytes, the lowest first.
trait Lane: ArrowNativeType {
    fn decode(bytes: &[u8]) -> Option<Self>;
}

macro_rules! lanes {
    ($($number:ty),*) => {$(
        impl Lane for $number {
            fn decode(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self::from_le_bytes)
            }
        }
    )*};
}

lanes!(i64, u32, u16, u8);

struct Lists {
    names: Range<usize>,
    groups: Range<usize>,
}

fn lists_start(footer: &Footer, end: usize) -> Option<Lists> {
    let groups_bytes = (footer.groups as usize).checked_mul(GROUP_ENTRY_BYTES)?;
    let groups_start = end.checked_sub(groups_bytes)?;
    let names_start = groups_start.checked_sub(usize::try_from(footer.names_bytes).ok()?)?;
    Some(Lists { names: names_start..groups_start, groups: groups_start..end })
}

/// Whether this is the end of a spine of a version that is written no more.
fn is_older(mut footer: Bytes) -> bool {
    let mut magic = [0; 8];
    footer.try_copy_to_slice(&mut magic).is_ok()
        && magic == *MAGIC
        && footer.try_get_u32_le().is_ok_and(|version| (1..VERSION).contains(&version))
}

impl Footer {
    fn decode(mut bytes: Bytes) -> Option<Self> {
        let mut magic = [0; 8];
        bytes.try_copy_to_slice(&mut magic).ok()?;
        if magic != *MAGIC || bytes.try_get_u32_le().ok()? != VERSION {
            return None;
        }
        Some(Self {
            segment_checksum: bytes.try_get_u32_le().ok()?,
            segment: bytes.try_get_u64_le().ok()?,
            rows: bytes.try_get_u32_le().ok()?,
            groups: bytes.try_get_u32_le().ok()?,
            names: bytes.try_get_u32_le().ok()?,
            has_names: bytes.try_get_u32_le().ok()? == 1,
            names_bytes: bytes.try_get_u64_le().ok()?,
            checksums: bytes.try_get_u32_le().ok()?,
            actors: match bytes.try_get_u32_le().ok()? {
                0 => ActorType::Int,
                1 => ActorType::Text,
                _ => return None,
            },
        })
    }
}

fn decode_names(mut bytes: Bytes, count: u32) -> Option<Vec<Box<str>>> {
    let mut names = Vec::new();
    while bytes.has_remaining() {
        let length = bytes.try_get_u32_le().ok()? as usize;
        if length > bytes.remaining() {
            return None;
        }
        names.push(Box::from(std::str::from_utf8(&bytes.split_to(length)).ok()?));
    }
    (names.len() == count as usize).then_some(names)
}

fn decode_groups(mut bytes: Bytes, footer: &Footer, end: usize) -> Option<Vec<GroupEntry>> {
    let mut groups = Vec::with_capacity(footer.groups as usize);
    let mut first_row = 0_u32;
    for _ in 0..footer.groups {
        let offset = usize::try_from(bytes.try_get_u64_le().ok()?).ok()?;
        let (rows, runs) = (bytes.try_get_u32_le().ok()?, bytes.try_get_u32_le().ok()?);
        let text_bytes = bytes.try_get_u32_le().ok()? as usize;
        let flags = bytes.try_get_u32_le().ok()?;
        let base = bytes.try_get_i64_le().ok()?;
        let (tick, grain) = (bytes.try_get_u32_le().ok()?, bytes.try_get_u32_le().ok()?);
        let scale = match tick {
            0 => None,
            tick => Some(Scale::new(base, tick.into(), grain.into())?),
        };
        let within = (bytes.try_get_i64_le().ok()?, bytes.try_get_i64_le().ok()?);
        let (has_run_flags, has_short_codes) = (flags & HAS_RUN_FLAGS != 0, flags & HAS_SHORT_CODES != 0);
        let group = GroupEntry {
            offset,
            first_row,
            rows,
            runs,
            text_bytes,
            scale,
            within,
            has_run_flags,
            has_short_codes,
        };
        first_row = first_row.checked_add(group.rows)?;
        if group.offset > end || group.rows == 0 {
            return None;
        }
        groups.push(group);
    }
    (first_row == footer.rows).then_some(groups)
}
