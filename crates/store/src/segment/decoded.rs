//! Columns of segments that were decoded for one reader and are kept for the next. Segments are immutable, so
//! what is kept is right for as long as its segment is there; which rows are dead is no part of it.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arrow::array::{Array, ArrayRef};

use super::{Lane, Segment};

/// What a kept array takes besides its values, about.
const ENTRY_BYTES: usize = 512;

/// Decoded columns, up to so many bytes: what was not asked for again goes first.
#[derive(Debug)]
pub(crate) struct DecodedColumns {
    bytes_max: usize,
    kept: Mutex<Kept>,
}

/// Rows of a column, as one kind of reader wants them.
#[derive(Clone, Debug)]
pub(crate) enum Decoded {
    Rows(ArrayRef),
    Lane(Arc<Lane>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Form {
    Rows,
    Lane,
}

/// Rows of a column that are decoded together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place {
    form: Form,
    segment: u64,
    /// Its index in the file.
    column: usize,
    start: u32,
    end: u32,
}

#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<Place, Entry>,
    /// Each entry once, the next to go in front.
    queue: VecDeque<Place>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    decoded: Decoded,
    segment: Weak<Segment>,
    bytes: usize,
    /// Since it was last at the front.
    used: bool,
}

impl DecodedColumns {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, kept: Mutex::default() }
    }

    /// Whether so many bytes of one scan may be kept: a scan that would push out most of the rest is not
    /// likely to find its own columns again.
    pub(crate) fn takes(&self, bytes: u64) -> bool {
        bytes <= self.bytes_max as u64 / 2
    }

    pub(crate) fn rows(&self, segment: &Segment, column: usize, rows: &Range<u32>) -> Option<ArrayRef> {
        match self.get(Place::of(Form::Rows, segment, column, rows))? {
            Decoded::Rows(array) => Some(array),
            Decoded::Lane(_) => None,
        }
    }

    pub(crate) fn lane(&self, segment: &Segment, column: usize, rows: &Range<u32>) -> Option<Arc<Lane>> {
        match self.get(Place::of(Form::Lane, segment, column, rows))? {
            Decoded::Lane(lane) => Some(lane),
            Decoded::Rows(_) => None,
        }
    }

    fn get(&self, place: Place) -> Option<Decoded> {
        let entry = &mut self.lock().entries;
        let entry = entry.get_mut(&place)?;
        entry.used = true;
        Some(entry.decoded.clone())
    }

    pub(crate) fn keep(&self, segment: &Arc<Segment>, column: usize, rows: &Range<u32>, decoded: &Decoded) {
        let (form, bytes) = match decoded {
            Decoded::Rows(array) => (Form::Rows, array.get_array_memory_size()),
            Decoded::Lane(lane) => (Form::Lane, lane.bytes()),
        };
        let bytes = bytes + ENTRY_BYTES;
        if bytes > self.bytes_max {
            return;
        }
        let place = Place::of(form, segment, column, rows);
        let mut kept = self.lock();
        // Two readers may have decoded it side by side.
        if kept.entries.contains_key(&place) {
            return;
        }
        kept.shrink(self.bytes_max - bytes);
        let segment = Arc::downgrade(segment);
        kept.entries.insert(place, Entry { decoded: decoded.clone(), segment, bytes, used: false });
        kept.queue.push_back(place);
        kept.bytes += bytes;
    }

    /// What is kept takes in memory.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Nothing is kept by halves, whatever its holder did.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn of(form: Form, segment: &Segment, column: usize, rows: &Range<u32>) -> Self {
        Self { form, segment: segment.descriptor.id, column, start: rows.start, end: rows.end }
    }
}

impl Kept {
    /// Lets go until this much is left at most: of segments that are gone, then of what was not used since
    /// its last turn.
    fn shrink(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max {
            let Some(place) = self.queue.pop_front() else { return };
            let Some(entry) = self.entries.get_mut(&place) else { continue };
            if entry.used && entry.segment.strong_count() > 0 {
                entry.used = false;
                self.queue.push_back(place);
            } else if let Some(entry) = self.entries.remove(&place) {
                self.bytes -= entry.bytes;
            }
        }
    }
}
