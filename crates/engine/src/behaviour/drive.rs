//! Brings each actor's events together from the parts of all tables, and feeds them to a fold: parts
//! are loaded side by side, then each worker merges the runs of its own range of actors. No event is
//! hashed by its actor; what is compared is one key per run.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ebbtide_model::Scope;
use ebbtide_model::query::EventSource;
use ebbtide_store::{Part, Snapshot, SpineColumns};
use hashbrown::HashSet;

use super::columns::Arrivals;
use super::fold::{Actor, Fold, Run};
use super::joined::Joined;
use super::key::{Group, Key, Keys, OwnedKey, compare_groups};
use super::load::{Actors, Events, Loader, NO_CODE, Number, Times, Values};
use super::spine::Stream;
use crate::{EngineError, Interrupt, stop};

/// Below so many events a second thread costs more than it saves.
const EVENTS_PER_WORKER_MIN: usize = 50_000;
const WORKERS_MAX: usize = 16;
/// After so many events (and the rest of an actor's) it is asked whether the answer is still wanted.
const EVENTS_UNCHECKED_MAX: usize = 16_384;

/// The marked events of a query, from all parts of all its tables.
pub(crate) struct Loaded<'i> {
    interrupt: &'i dyn Interrupt,
    pub(super) parts: Vec<PartEvents>,
    /// What is read while it is folded.
    pub(super) streams: Vec<Stream>,
    /// Sorted; runs name their tenant by its rank here.
    pub(super) tenants: Vec<Box<str>>,
    pub(super) actors: Actors,
    /// By rank, ascending with null last; events name their group by its rank here.
    pub(crate) groups: Vec<Group>,
    /// By rank, ascending; events name their value by its rank here.
    pub(crate) values: Vec<OwnedKey>,
    /// Instead, where values are not ranked: those of each part, and the code of its first one.
    unranked: Vec<(u32, Keys)>,
}

pub(super) struct PartEvents {
    pub(super) events: Events,
    /// By run.
    tenant_ranks: Vec<u32>,
    /// The runs by actor, ascending.
    pub(super) order: Vec<u32>,
}

/// What is loaded, and how.
pub(crate) struct Loading<'a, 'i> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) scope: &'a Scope,
    pub(crate) joined: &'a Joined,
    pub(crate) times: &'a Times,
    pub(crate) actors: Actors,
    /// The times at which events have their keys read; empty: keys are not read.
    pub(crate) ties: &'a HashSet<i64>,
    pub(crate) values: Values,
    pub(crate) arrivals: Arrivals,
    pub(crate) interrupt: &'i dyn Interrupt,
}

impl<'i> Loading<'_, 'i> {
    pub(crate) fn load<'s>(self, sources: &'s [EventSource]) -> Result<Loaded<'i>, EngineError> {
        let mut parts: Vec<(&EventSource, Option<SpineColumns>, Part)> = Vec::new();
        for source in sources {
            let view = self.snapshot.table(self.scope, &source.table)?;
            let spine = SpineColumns::of(view.schema());
            parts.extend(view.parts().iter().map(|part| (source, spine, part.clone())));
        }
        let rows: usize = parts.iter().map(|(.., part)| part.rows_max()).sum();
        let workers = workers(rows);
        let Self { joined, times, actors, ties, values, arrivals, interrupt, .. } = self;
        let loader = |source: &'s EventSource, spine: Option<SpineColumns>| Loader {
            source,
            joined: joined.of(source),
            memberships: &joined.memberships,
            times,
            actors,
            ties,
            values,
            arrivals,
            spine,
            interrupt,
        };
        // A part that is more than a worker's share is loaded by several; what is streamed is shared out later.
        let share = rows.div_ceil(workers).max(1);
        let pieces = |(source, spine, part): (&'s EventSource, Option<SpineColumns>, Part)| {
            let pieces = if loader(source, spine).streamed(&part).is_some() {
                1
            } else {
                part.rows_max().div_ceil(share)
            };
            part.split(pieces).into_iter().map(move |piece| (source, spine, piece))
        };
        let mut work: Vec<(&EventSource, Option<SpineColumns>, Part)> =
            parts.into_iter().flat_map(pieces).collect();
        work.sort_by_key(|(.., part)| std::cmp::Reverse(part.rows_max()));
        let load_one = |(source, spine, part): &(&'s EventSource, Option<SpineColumns>, Part)| {
            let loader = loader(source, *spine);
            Ok(match Stream::of(&loader, part)? {
                Some(stream) => Piece::Stream(Box::new(stream)),
                None => Piece::Events(Box::new(loader.load(part)?)),
            })
        };
        let pieces = side_by_side(&work, workers, load_one)?;
        let mut loaded = Loaded {
            parts: Vec::new(),
            streams: Vec::new(),
            tenants: Vec::new(),
            actors,
            groups: Vec::new(),
            values: Vec::new(),
            unranked: Vec::new(),
            interrupt,
        };
        stop::check(interrupt)?;
        loaded.place(pieces);
        Ok(loaded)
    }
}

/// A part of what is loaded.
enum Piece {
    Events(Box<Events>),
    Stream(Box<Stream>),
}

fn workers(events: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (events / EVENTS_PER_WORKER_MIN).clamp(1, cores.min(WORKERS_MAX))
}

/// Does each piece of work on one of the workers; results are in the order of the work.
fn side_by_side<W: Sync, R: Send>(
    work: &[W],
    workers: usize,
    run: impl Fn(&W) -> Result<R, EngineError> + Sync,
) -> Result<Vec<R>, EngineError> {
    if workers <= 1 || work.len() <= 1 {
        return work.iter().map(run).collect();
    }
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Result<R, EngineError>)>> = Mutex::new(Vec::new());
    let worker = || {
        while let Some((index, piece)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            work.get(index).map(|piece| (index, piece))
        } {
            let result = run(piece);
            done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((index, result));
        }
    };
    std::thread::scope(|threads| {
        let handles: Vec<_> = (0..workers.min(work.len())).map(|_| threads.spawn(worker)).collect();
        let joined = handles.into_iter().map(|handle| handle.join().map_err(|_| EngineError::Worker));
        joined.collect::<Result<Vec<()>, EngineError>>()
    })?;
    let mut results = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

impl Loaded<'_> {
    /// Gives parts one numbering of tenants, groups and distinct values, and orders their runs.
    fn place(&mut self, pieces: Vec<Piece>) {
        let mut parts = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Events(events) => parts.push(*events),
                Piece::Stream(stream) => self.streams.push(*stream),
            }
        }
        let names = parts.iter().flat_map(|events| events.runs.tenant_names.iter().cloned());
        self.tenants = names.collect();
        for stream in &self.streams {
            self.tenants.extend(stream.part.tenants().iter().map(|name| Box::from(&**name)));
        }
        self.tenants.sort_unstable();
        self.tenants.dedup();
        let whole = parts.len();
        parts.extend(self.streams.iter().map(Stream::keys));
        self.groups = unify(
            &mut parts,
            |events| (&mut events.groups, std::mem::take(&mut events.group_keys).into_groups()),
            compare_groups,
        );
        self.unranked = parts.iter_mut().map(|events| (0, std::mem::take(&mut events.unranked))).collect();
        number_on(&mut self.unranked, &mut parts);
        if self.unranked.iter().all(|(_, keys)| keys.len() == 0) {
            self.values = unify(
                &mut parts,
                |events| (&mut events.values, std::mem::take(&mut events.value_keys).into_keys()),
                OwnedKey::cmp_null_last,
            );
        }
        unify(&mut parts, |events| (&mut events.keys, std::mem::take(&mut events.key_values)), Ord::cmp);
        for (stream, keys) in self.streams.iter_mut().zip(parts.split_off(whole)) {
            stream.number(keys);
        }
        self.parts = parts.into_iter().map(|events| PartEvents::new(events, &self.tenants)).collect();
    }

    /// The value of a code, where values are not ranked.
    pub(crate) fn unranked(&self, code: u32) -> Key<'_> {
        let part = self.unranked.partition_point(|(first, _)| *first <= code);
        match part.checked_sub(1).and_then(|part| self.unranked.get(part)) {
            Some((first, keys)) if ((code - first) as usize) < keys.len() => {
                keys.get((code - first) as usize)
            }
            _ => Key::Null,
        }
    }

    /// How many events there are of each group, by rank.
    pub(crate) fn group_sizes(&self) -> Vec<u64> {
        let mut sizes = vec![0; self.groups.len()];
        for group in self.parts.iter().flat_map(|part| &part.events.groups) {
            sizes[*group as usize] += 1;
        }
        self.streams.iter().for_each(|stream| stream.add_sizes(&mut sizes));
        sizes
    }

    /// Feeds every actor's events to the fold, on as many threads as that is worth.
    pub(crate) fn fold<F: Fold>(&self, fold: &F) -> Result<F::State, EngineError> {
        let events = self.parts.iter().map(|part| part.events.times.len());
        let rows = self.streams.iter().map(|stream| stream.part.rows_max());
        let workers = workers(events.chain(rows).sum());
        let shares = self.shares(workers)?;
        let states = side_by_side(&shares, workers, |share| {
            let streamed = self.streams.iter().zip(&share.streamed);
            let streamed = streamed.map(|(stream, rows)| stream.load(rows.clone(), self.interrupt));
            let streamed = streamed.map(|events| Ok(PartEvents::new(events?, &self.tenants)));
            let streamed = streamed.collect::<Result<Vec<PartEvents>, EngineError>>()?;
            let whole = |part| Cursor { part, next: 0, end: PartEvents::len(part) };
            let cursors = share.cursors.iter().cloned().chain(streamed.iter().map(whole));
            let mut state = fold.fresh();
            match self.actors {
                Actors::Ignored => self.fold_runs(fold, &mut state, cursors)?,
                Actors::Required | Actors::Optional => {
                    self.fold_actors(fold, &mut state, cursors.collect())?
                }
            }
            Ok(state)
        })?;
        let mut states = states.into_iter();
        let mut all = states.next().unwrap_or_else(|| fold.fresh());
        for state in states {
            fold.merge(&mut all, state);
        }
        Ok(all)
    }

    fn fold_actors<F: Fold>(
        &self,
        fold: &F,
        state: &mut F::State,
        mut cursors: Vec<Cursor<'_>>,
    ) -> Result<(), EngineError> {
        let mut gathered = Gathered::default();
        let mut unchecked = 0;
        cursors.retain(|cursor| cursor.next < cursor.end);
        while let Some(id) = cursors.iter().filter_map(Cursor::id).min() {
            gathered.runs.clear();
            for cursor in &mut cursors {
                while cursor.id() == Some(id) {
                    gathered.runs.push((cursor.part, cursor.part.order[cursor.next] as usize));
                    cursor.next += 1;
                }
            }
            cursors.retain(|cursor| cursor.next < cursor.end);
            let tenant = self.tenants.get(id.0 as usize).map_or("", |name| name);
            let actor = Actor { tenant, key: id.1 };
            let run = match gathered.runs.as_slice() {
                [(part, run)] => part.run(*run),
                _ => gathered.merged(),
            };
            unchecked += run.len();
            fold.take(state, actor, run);
            if unchecked >= EVENTS_UNCHECKED_MAX {
                stop::check(self.interrupt)?;
                unchecked = 0;
            }
        }
        Ok(())
    }

    /// Each run by itself, where whose events they are does not matter.
    fn fold_runs<'a, F: Fold>(
        &self,
        fold: &F,
        state: &mut F::State,
        cursors: impl Iterator<Item = Cursor<'a>>,
    ) -> Result<(), EngineError> {
        for cursor in cursors {
            for run in cursor.next..cursor.end {
                fold.take(state, Actor { tenant: "", key: Key::Null }, cursor.part.run(run));
                stop::check(self.interrupt)?;
            }
        }
        Ok(())
    }
}

/// Gives the values of each part, which are not ranked, codes after those of the parts before it.
fn number_on(unranked: &mut [(u32, Keys)], parts: &mut [Events]) {
    let mut next = 0_u32;
    for ((first, keys), events) in unranked.iter_mut().zip(parts) {
        *first = next;
        if keys.len() == 0 {
            continue;
        }
        for code in events.values.iter_mut().filter(|code| **code != NO_CODE) {
            *code = code.saturating_add(next);
        }
        next = next.saturating_add(u32::try_from(keys.len()).unwrap_or(u32::MAX));
    }
}

/// Renumbers a column of all parts by one list of keys, ascending.
fn unify<K, F>(parts: &mut [Events], column: F, order: fn(&K, &K) -> std::cmp::Ordering) -> Vec<K>
where
    K: Clone + PartialEq,
    F: Fn(&mut Events) -> (&mut Vec<u32>, Vec<K>),
{
    let keys: Vec<Vec<K>> = parts.iter_mut().map(|events| column(events).1).collect();
    let mut all: Vec<K> = keys.iter().flatten().cloned().collect();
    all.sort_unstable_by(order);
    all.dedup();
    for (events, keys) in parts.iter_mut().zip(keys) {
        let rank = |key: &K| all.binary_search_by(|probe| order(probe, key)).unwrap_or(0);
        let ranks: Vec<u32> = keys.iter().map(|key| u32::try_from(rank(key)).unwrap_or(u32::MAX)).collect();
        for code in column(events).0 {
            *code = ranks.get(*code as usize).copied().unwrap_or(NO_CODE);
        }
    }
    all
}

impl PartEvents {
    fn new(events: Events, tenants: &[Box<str>]) -> Self {
        let rank = |name: &str| tenants.binary_search_by(|tenant| (**tenant).cmp(name)).unwrap_or(0);
        let names = events.runs.tenant_names.iter();
        let ranks: Vec<u32> = names.map(|name| u32::try_from(rank(name)).unwrap_or(u32::MAX)).collect();
        let tenant_ranks = events.runs.tenants.iter().map(|tenant| ranks[*tenant as usize]).collect();
        let runs = u32::try_from(events.runs.len()).unwrap_or(u32::MAX);
        let mut part = Self { events, tenant_ranks, order: (0..runs).collect() };
        // In storage order unless the query asks by another property than the table's actor.
        if !part.order.is_sorted_by(|left, right| part.id(*left) <= part.id(*right)) {
            let mut order = std::mem::take(&mut part.order);
            order.sort_by(|left, right| part.id(*left).cmp(&part.id(*right)));
            part.order = order;
        }
        part
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn id(&self, run: u32) -> (u32, Key<'_>) {
        let run = run as usize;
        (self.tenant_ranks[run], self.events.runs.keys.get(run))
    }

    fn range(&self, run: usize) -> Range<usize> {
        let end = self.events.runs.starts.get(run + 1).copied().unwrap_or(self.events.times.len());
        self.events.runs.starts[run]..end
    }

    fn run(&self, run: usize) -> Run<'_> {
        let Range { start, end } = self.range(run);
        Run {
            times: &self.events.times[start..end],
            marks: &self.events.marks[start..end],
            groups: self.events.groups.get(start..end).unwrap_or(&[]),
            values: self.events.values.get(start..end).unwrap_or(&[]),
            numbers: self.events.numbers.get(start..end).unwrap_or(&[]),
            keys: self.events.keys.get(start..end).unwrap_or(&[]),
            arrivals: self.events.arrivals.get(start..end).unwrap_or(&[]),
        }
    }
}

/// A place in a part's runs.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    pub(super) part: &'a PartEvents,
    pub(super) next: usize,
    pub(super) end: usize,
}

impl<'a> Cursor<'a> {
    fn id(&self) -> Option<(u32, Key<'a>)> {
        (self.next < self.end).then(|| self.part.id(self.part.order[self.next]))
    }
}

/// Several runs of one actor, made into one.
#[derive(Default)]
struct Gathered<'a> {
    runs: Vec<(&'a PartEvents, usize)>,
    order: Vec<(i64, u64, usize)>,
    unsorted: Columns,
    sorted: Columns,
}

#[derive(Default)]
struct Columns {
    times: Vec<i64>,
    marks: Vec<u64>,
    groups: Vec<u32>,
    values: Vec<u32>,
    numbers: Vec<Option<Number>>,
    keys: Vec<u32>,
    /// Empty where they do not count.
    arrivals: Vec<u64>,
}

impl Gathered<'_> {
    fn merged(&mut self) -> Run<'_> {
        self.unsorted.clear();
        for (part, run) in &self.runs {
            self.unsorted.append(part.run(*run));
        }
        let times = self.unsorted.times.iter().copied();
        self.order.clear();
        let arrival = |index: usize| self.unsorted.arrivals.get(index).copied().unwrap_or(0);
        self.order.extend(times.enumerate().map(|(index, time)| (time, arrival(index), index)));
        self.order.sort_by_key(|(time, arrival, _)| (*time, *arrival));
        self.sorted.clear();
        self.sorted.gather(&self.unsorted, &self.order);
        self.sorted.as_run()
    }
}

impl Columns {
    fn clear(&mut self) {
        self.times.clear();
        self.marks.clear();
        self.groups.clear();
        self.values.clear();
        self.numbers.clear();
        self.keys.clear();
        self.arrivals.clear();
    }

    fn append(&mut self, run: Run<'_>) {
        self.times.extend_from_slice(run.times);
        self.marks.extend_from_slice(run.marks);
        // Parts of a table without the property have no such column: their events take a place in it.
        extend_aligned(&mut self.groups, run.groups, self.times.len(), 0);
        extend_aligned(&mut self.values, run.values, self.times.len(), NO_CODE);
        extend_aligned(&mut self.numbers, run.numbers, self.times.len(), None);
        extend_aligned(&mut self.keys, run.keys, self.times.len(), NO_CODE);
        self.arrivals.extend_from_slice(run.arrivals);
    }

    fn gather(&mut self, from: &Self, order: &[(i64, u64, usize)]) {
        let indices = || order.iter().map(|(_, _, index)| *index);
        self.times.extend(order.iter().map(|(time, _, _)| *time));
        self.marks.extend(indices().map(|index| from.marks[index]));
        self.groups.extend(indices().filter_map(|index| from.groups.get(index)));
        self.values.extend(indices().filter_map(|index| from.values.get(index)));
        self.numbers.extend(indices().filter_map(|index| from.numbers.get(index)));
        self.keys.extend(indices().filter_map(|index| from.keys.get(index)));
        self.arrivals.extend(indices().filter_map(|index| from.arrivals.get(index)));
    }

    fn as_run(&self) -> Run<'_> {
        Run {
            times: &self.times,
            marks: &self.marks,
            groups: &self.groups,
            values: &self.values,
            numbers: &self.numbers,
            keys: &self.keys,
            arrivals: &self.arrivals,
        }
    }
}

/// Appends a run's values to a column, or as many blanks where only other runs have values.
fn extend_aligned<T: Copy>(column: &mut Vec<T>, values: &[T], len: usize, blank: T) {
    if values.is_empty() && column.is_empty() {
        return;
    }
    column.resize(len - values.len(), blank);
    column.extend_from_slice(values);
}
