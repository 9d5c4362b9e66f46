//! Sorted segments into fewer ones: one stream of live rows in bounded memory, cut where an actor ends, each
//! piece written by a thread of its own; then the words on their keys.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{BooleanBufferBuilder, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::SchemaRef;
use roaring::RoaringBitmap;

use crate::StoreError;
use crate::chunk::extend_directory;
use crate::content_merge::{Content, ContentSource, write_sorted};
use crate::directory::Directory;
use crate::fingerprint::Fingerprint;
use crate::fs::FileSystem;
use crate::merge::{Merged, RowMerge, Sorted};
use crate::merge_runs::RunMerge;
use crate::probe::older_elsewhere;
use crate::segment::{
    self, ContentEntry, EntryPlace, KeyEntry, Lifetime, LiveSegment, Segment, SegmentKeyWriter, SegmentWriter,
};
use crate::side_by_side::side_by_side;
use crate::table::TableInfo;

/// Entries that are looked up in other segments at a time.
const PROBED_ENTRIES: usize = 65_536;
/// Where a dead row went.
const NOWHERE: u32 = u32::MAX;

/// Segments of one table that are to become others.
#[derive(Debug)]
pub(crate) struct Rewrite {
    pub(crate) fs: Arc<dyn FileSystem>,
    pub(crate) info: Arc<TableInfo>,
    pub(crate) inputs: Vec<LiveSegment>,
    /// The other segments of the table.
    pub(crate) others: Vec<Arc<Segment>>,
    /// What will be written, in order; together they take all rows of all inputs.
    pub(crate) pieces: Vec<PieceToWrite>,
}

#[derive(Debug)]
pub(crate) struct PieceToWrite {
    /// Of its segment.
    pub(crate) id: u64,
    /// Its rows of each input.
    pub(crate) rows: Vec<Range<u32>>,
}

/// Rows of all inputs as they are merged.
enum Merging<'a> {
    Rows(Box<RowMerge>),
    Runs(Box<RunMerge<'a>>),
}

impl<'a> Merging<'a> {
    fn new(segments: &[Sorted<'a>], info: &TableInfo) -> Result<Self, StoreError> {
        match RunMerge::new(segments, info)? {
            Some(runs) => Ok(Self::Runs(Box::new(runs))),
            None => Ok(Self::Rows(Box::new(RowMerge::new(segments, info)?))),
        }
    }

    fn stored(&self) -> &SchemaRef {
        match self {
            Self::Rows(merge) => merge.stored(),
            Self::Runs(merge) => merge.stored(),
        }
    }

    fn next(&mut self) -> Result<Option<Merged>, StoreError> {
        match self {
            Self::Rows(merge) => merge.next(),
            Self::Runs(merge) => merge.next(),
        }
    }
}

/// A piece whose rows are written.
struct Piece {
    directory: Directory,
    /// Which of its rows have no key and need no entry that says where they are.
    keyless: BooleanBuffer,
    /// Where the rows of each input went.
    moves: Vec<Moves>,
}

/// A word on a key, and the piece that it goes with.
struct Word {
    piece: usize,
    entry: KeyEntry,
}

impl Rewrite {
    /// Writes the segments, of which there are fewer where nothing was worth keeping. Ends with
    /// [`StoreError::Closed`] once `stop` is set.
    pub(crate) fn run(&self, stop: &AtomicBool) -> Result<Vec<Segment>, StoreError> {
        let (pieces, mut writers): (Vec<Piece>, Vec<_>) = self.write_rows(stop)?.into_iter().unzip();
        let overriding = self.inputs.iter().any(|live| live.segment.descriptor.overriding > 0);
        if let Some((first, place)) = writers.first_mut().zip(self.pieces.first())
            && overriding
            && first.is_none()
        {
            // Deletions are kept although no row is.
            let rows =
                RecordBatch::new_empty(Merging::new(&self.sorted(place), &self.info)?.stored().clone());
            *first = Some(self.writer(place, &rows)?.finish_rows()?);
        }
        let written = self.write_keys(&pieces, &mut writers, stop)?;
        self.write_contents(&pieces, &mut writers, stop)?;
        let ended = side_by_side(writers.into_iter().zip(&pieces), |(keys, piece)| {
            keys.map(|keys: SegmentKeyWriter| keys.finish(&piece.directory)).transpose()
        })?;
        let mut segments = Vec::new();
        for ((descriptor, piece), place) in ended.into_iter().zip(&pieces).zip(&self.pieces) {
            let Some(descriptor) = descriptor else { continue };
            if piece.directory.rows() == 0 && written == 0 {
                segment::remove(self.fs.as_ref(), place.id);
                continue;
            }
            segments.push(Segment::open(self.fs.as_ref(), descriptor)?);
        }
        Ok(segments)
    }

    /// Removes what was written.
    pub(crate) fn remove(&self) {
        self.pieces.iter().for_each(|piece| segment::remove(self.fs.as_ref(), piece.id));
    }

    fn write_rows(&self, stop: &AtomicBool) -> Result<Vec<(Piece, Option<SegmentKeyWriter>)>, StoreError> {
        side_by_side(self.pieces.iter(), |place| self.write_piece(place, stop))
    }

    fn writer(&self, place: &PieceToWrite, rows: &RecordBatch) -> Result<SegmentWriter, StoreError> {
        SegmentWriter::create(self.fs.clone(), place.id, &self.info.schema, rows, Lifetime::Lasting)
    }

    fn sorted(&self, place: &PieceToWrite) -> Vec<Sorted<'_>> {
        let inputs = self.inputs.iter().zip(&place.rows);
        inputs.map(|(live, rows)| Sorted { live, rows: rows.clone() }).collect()
    }

    fn write_piece(
        &self,
        place: &PieceToWrite,
        stop: &AtomicBool,
    ) -> Result<(Piece, Option<SegmentKeyWriter>), StoreError> {
        let sorted = self.sorted(place);
        let mut moves: Vec<Moves> = sorted.iter().map(Moves::new).collect();
        let mut merge = Merging::new(&sorted, &self.info)?;
        let mut directory = Directory::default();
        let mut keyless = BooleanBufferBuilder::new(0);
        let mut writer: Option<SegmentWriter> = None;
        while let Some(merged) = merge.next()? {
            if stop.load(Ordering::Relaxed) {
                return Err(StoreError::Closed);
            }
            let mut row = directory.rows();
            for (source, rows) in merged.sources.0 {
                moves[source].push(row, rows);
                row = row.saturating_add(rows);
            }
            extend_directory(&mut directory, &merged.batch)?;
            match self.info.keyless(&merged.batch) {
                Some(own) => keyless.append_buffer(&own),
                None => keyless.append_n(merged.batch.num_rows(), false),
            }
            let writer = match &mut writer {
                Some(writer) => writer,
                None => writer.insert(self.writer(place, &merged.batch)?),
            };
            writer.write(&merged.batch)?;
        }
        let keys = writer.map(SegmentWriter::finish_rows).transpose()?;
        Ok((Piece { directory, keyless: keyless.finish(), moves }, keys))
    }

    /// Where a row of an input is now.
    fn place_of(&self, pieces: &[Piece], input: usize, row: u32) -> Option<(usize, u32)> {
        let piece = self.pieces.partition_point(|piece| piece.rows[input].end <= row);
        let to = pieces.get(piece)?.moves[input].of(row)?;
        Some((piece, to))
    }

    /// Merges the words on keys; how many were worth keeping.
    fn write_keys(
        &self,
        pieces: &[Piece],
        writers: &mut [Option<SegmentKeyWriter>],
        stop: &AtomicBool,
    ) -> Result<usize, StoreError> {
        let overriding = self.inputs.iter().any(|live| live.segment.descriptor.overriding > 0);
        let all_keyless = pieces.iter().all(|piece| piece.keyless.count_set_bits() == piece.keyless.len());
        if all_keyless && !overriding {
            return Ok(0);
        }
        let mut merge = Merge::new(self.inputs.iter().map(|live| live.segment.keys.iter()).collect());
        let mut same = Vec::new();
        let mut block: Vec<Word> = Vec::with_capacity(PROBED_ENTRIES);
        let mut written = 0;
        loop {
            let is_end = !merge.next(|entry| entry.fingerprint, &mut same);
            block.extend(self.newest(pieces, &same));
            if block.len() >= PROBED_ENTRIES || is_end {
                if stop.load(Ordering::Relaxed) {
                    return Err(StoreError::Closed);
                }
                older_elsewhere(&mut block, |word| &mut word.entry, &self.others);
                written += block.len();
                for word in block.drain(..) {
                    if let Some(keys) = &mut writers[word.piece] {
                        keys.push(&word.entry)?;
                    }
                }
            }
            if is_end {
                return Ok(written);
            }
        }
    }

    /// The newest word of all inputs on one key, by where its row went; `None` if that is dead, or has no
    /// key.
    fn newest(&self, pieces: &[Piece], same: &[(usize, KeyEntry)]) -> Option<Word> {
        let overrides = same.iter().any(|(_, entry)| entry.place.is_overriding());
        let (input, entry) = same.iter().max_by_key(|(_, entry)| entry.sequence)?;
        let (piece, place) = match entry.place {
            EntryPlace::Tombstone => (0, EntryPlace::Tombstone),
            EntryPlace::Row { row, .. } => {
                let (piece, row) = self.place_of(pieces, *input, row)?;
                if pieces[piece].keyless.value(row as usize) {
                    return None;
                }
                (piece, EntryPlace::Row { row, overrides })
            }
        };
        Some(Word { piece, entry: KeyEntry { place, ..*entry } })
    }

    /// Merges what is kept of rows without a key, those that older versions had among the keys too.
    fn write_contents(
        &self,
        pieces: &[Piece],
        writers: &mut [Option<SegmentKeyWriter>],
        stop: &AtomicBool,
    ) -> Result<(), StoreError> {
        let has_keyless = pieces.iter().any(|piece| piece.keyless.count_set_bits() > 0);
        if !has_keyless {
            return Ok(());
        }
        let mut sources: Vec<ContentSource<'_>> = Vec::new();
        for (input, live) in self.inputs.iter().enumerate() {
            let entries = live.segment.keys.iter();
            let of_keys = entries.filter_map(move |entry| self.content_of_key(pieces, input, &entry));
            let owners = owners_in(live, pieces);
            let contents = live.segment.keys.contents();
            let own = contents.filter_map(move |entry| {
                let (piece, owner) = owners.get(entry.owner as usize).copied().flatten()?;
                Some(Content { piece, entry: ContentEntry { owner, ..entry } })
            });
            sources.extend([ContentSource::new(of_keys), ContentSource::new(own)]);
        }
        let entries = pieces.iter().map(|piece| piece.keyless.count_set_bits()).sum();
        write_sorted(sources, entries, writers, stop)
    }

    fn content_of_key(&self, pieces: &[Piece], input: usize, entry: &KeyEntry) -> Option<Content> {
        let EntryPlace::Row { row, .. } = entry.place else { return None };
        let (piece, row) = self.place_of(pieces, input, row)?;
        let has_no_key = pieces[piece].keyless.value(row as usize);
        if !has_no_key || self.info.hasher.is_arrival(entry.fingerprint, entry.sequence) {
            return None;
        }
        let owner = u32::try_from(pieces[piece].directory.owner_of(row)?).ok()?;
        Some(Content { piece, entry: ContentEntry { fingerprint: entry.fingerprint, owner } })
    }
}

/// By place in an input's directory: a piece that has live rows of the tenant, and its place there.
fn owners_in(live: &LiveSegment, pieces: &[Piece]) -> Vec<Option<(usize, u32)>> {
    let tenants = live.segment.directory.iter().zip(live.owners_alive());
    let find = |tenant: &str| {
        let mut found = pieces.iter().enumerate();
        found.find_map(|(piece, written)| Some((piece, written.directory.place_of(tenant)?)))
    };
    tenants.map(|((tenant, _), alive)| find(tenant).filter(|_| alive)).collect()
}

/// Where the rows of one input went that are of one piece.
struct Moves {
    dead: Arc<RoaringBitmap>,
    first: u32,
    to: Vec<u32>,
    /// The next row that is alive, or past the end.
    next: usize,
}

impl Moves {
    fn new(sorted: &Sorted<'_>) -> Self {
        let Sorted { live, rows } = sorted;
        // Nobody asks where rows without a key are.
        let asked = if live.segment.keys.len() == 0 { 0 } else { rows.len() };
        let mut moves =
            Self { dead: live.dead.clone(), first: rows.start, to: vec![NOWHERE; asked], next: 0 };
        moves.skip_dead();
        moves
    }

    fn skip_dead(&mut self) {
        let is_dead = |next: usize| {
            u32::try_from(next).is_ok_and(|row| self.dead.contains(self.first.saturating_add(row)))
        };
        if !self.dead.is_empty() {
            while self.next < self.to.len() && is_dead(self.next) {
                self.next += 1;
            }
        }
    }

    /// The next live rows go here, one after the other.
    fn push(&mut self, to: u32, rows: u32) {
        if self.to.is_empty() {
            return;
        }
        for place in (to..).take(rows as usize) {
            if let Some(to) = self.to.get_mut(self.next) {
                *to = place;
            }
            self.next += 1;
            self.skip_dead();
        }
    }

    fn of(&self, row: u32) -> Option<u32> {
        let to = *self.to.get(row.checked_sub(self.first)? as usize)?;
        (to != NOWHERE).then_some(to)
    }
}

/// Ascending streams as one, fingerprint by fingerprint.
struct Merge<I: Iterator> {
    sources: Vec<I>,
    /// The next of each source that has one, the source with the lowest first: a binary heap.
    heap: Vec<(usize, I::Item)>,
    is_begun: bool,
}

impl<I: Iterator> Merge<I> {
    fn new(sources: Vec<I>) -> Self {
        Self { sources, heap: Vec::new(), is_begun: false }
    }

    /// Gathers all that is next in order and has the same fingerprint, with its source; false at the end.
    fn next(&mut self, of: impl Fn(&I::Item) -> Fingerprint, same: &mut Vec<(usize, I::Item)>) -> bool {
        same.clear();
        if !self.is_begun {
            self.is_begun = true;
            let firsts = self.sources.iter_mut().enumerate();
            self.heap = firsts.filter_map(|(index, source)| Some((index, source.next()?))).collect();
            for place in (0..self.heap.len()).rev() {
                self.sink(place, &of);
            }
        }
        let Some(lowest) = self.heap.first().map(|(_, item)| of(item)) else { return false };
        while let Some((source, item)) = self.heap.first_mut()
            && of(item) == lowest
        {
            let source = *source;
            match self.sources[source].next() {
                Some(next) => same.push((source, std::mem::replace(item, next))),
                None => same.push(self.heap.swap_remove(0)),
            }
            self.sink(0, &of);
        }
        true
    }

    fn sink(&mut self, place: usize, of: &impl Fn(&I::Item) -> Fingerprint) {
        let mut place = place;
        loop {
            let mut least = place;
            for child in [2 * place + 1, 2 * place + 2] {
                if child < self.heap.len() && of(&self.heap[child].1) < of(&self.heap[least].1) {
                    least = child;
                }
            }
            if least == place {
                return;
            }
            self.heap.swap(place, least);
            place = least;
        }
    }
}
