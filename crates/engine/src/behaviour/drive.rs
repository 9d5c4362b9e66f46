//! Brings each actor's events together from the parts of all tables, and feeds them to a fold: parts
//! are loaded side by side, then each worker merges the runs of its own range of actors. No event is
//! hashed by its actor; what is compared is one key per run.

use std::ops::Range;

use ebbtide_model::Scope;
use ebbtide_model::query::EventSource;
use ebbtide_store::{Part, Snapshot, SpineColumns, TableView};
use hashbrown::HashSet;

use super::columns::Arrivals;
use super::fold::{Actor, Fold, Run};
use super::gathered::Gathered;
use super::joined::Joined;
use super::key::{Group, Key, Keys, OwnedKey, compare_groups};
use super::load::{Actors, Events, Groups, Loader, NO_CODE, Times, Values};
use super::share::SHARE_ROWS;
use super::stream::Stream;
use super::workers::{in_turn, side_by_side, workers};
use crate::{EngineError, Interrupt, stop};

/// After so many events (and the rest of an actor's) it is asked whether the answer is still wanted.
pub(super) const EVENTS_UNCHECKED_MAX: usize = 16_384;

/// The marked events of a query, from all parts of all its tables.
pub(crate) struct Loaded<'i> {
    pub(super) interrupt: &'i dyn Interrupt,
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
    pub(crate) groups: Groups,
    pub(crate) arrivals: Arrivals,
    pub(crate) interrupt: &'i dyn Interrupt,
}

impl<'i> Loading<'_, 'i> {
    pub(crate) fn load<'s>(self, sources: &'s [EventSource]) -> Result<Loaded<'i>, EngineError> {
        let view = |source: &'s EventSource| {
            Ok::<_, EngineError>((source, self.snapshot.table(self.scope, &source.table)?))
        };
        let views = sources.iter().map(view).collect::<Result<Vec<_>, _>>()?;
        self.load_views(&views)
    }

    /// Of each source these rows of its table.
    pub(crate) fn load_views<'s>(
        self,
        views: &[(&'s EventSource, TableView)],
    ) -> Result<Loaded<'i>, EngineError> {
        let mut parts: Vec<(&EventSource, Option<SpineColumns>, Part)> = Vec::new();
        for (source, view) in views {
            let spine = SpineColumns::of(view.schema());
            parts.extend(view.parts().iter().map(|part| (*source, spine, part.clone())));
        }
        let rows: usize = parts.iter().map(|(.., part)| part.rows_max()).sum();
        let workers = workers(rows);
        let Self { joined, times, actors, ties, values, groups, arrivals, interrupt, .. } = self;
        let loader = |source: &'s EventSource, spine: Option<SpineColumns>| Loader {
            source,
            joined: joined.of(source),
            memberships: &joined.memberships,
            times,
            actors,
            ties,
            values,
            groups,
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

    /// Whether some of it is read while it is folded.
    pub(crate) fn has_streams(&self) -> bool {
        !self.streams.is_empty()
    }

    /// How many events there are of each group, by rank, where just those were loaded that are
    /// [met](super::load::Groups::Met).
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
        let workers = workers(self.rows());
        let shares = self.shares(workers, SHARE_ROWS)?;
        let states = in_turn(
            shares.len(),
            workers,
            || fold.fresh(),
            |state, index| {
                let share = shares.get(self, index)?;
                let streamed = self.streams.iter().zip(&share.streamed);
                let streamed = streamed.map(|(stream, rows)| stream.load(rows.clone(), self.interrupt));
                let streamed = streamed.map(|events| Ok(PartEvents::new(events?, &self.tenants)));
                let streamed = streamed.collect::<Result<Vec<PartEvents>, EngineError>>()?;
                let whole = |part| Cursor { part, next: 0, end: PartEvents::len(part) };
                let cursors = share.cursors.iter().cloned().chain(streamed.iter().map(whole));
                match self.actors {
                    Actors::Ignored => self.fold_runs(fold, state, cursors),
                    Actors::Required | Actors::Optional => self.fold_actors(fold, state, cursors.collect()),
                }
            },
        )?;
        Ok(merged(fold, states))
    }

    /// Every run as it was loaded, in no order: an actor may have several. Nothing is left out where arrivals were read.
    pub(crate) fn for_each_run(&self, mut take: impl FnMut(Actor<'_>, Run<'_>)) {
        for part in &self.parts {
            for run in &part.order {
                let (tenant, key) = part.id(*run);
                let tenant = self.tenants.get(tenant as usize).map_or("", |name| name);
                take(Actor { tenant, key }, part.run(*run as usize));
            }
        }
    }

    /// How many there are at most.
    pub(super) fn rows(&self) -> usize {
        let events = self.parts.iter().map(|part| part.events.times.len());
        let rows = self.streams.iter().map(|stream| stream.part.rows_max());
        events.chain(rows).sum()
    }

    fn fold_actors<F: Fold>(
        &self,
        fold: &F,
        state: &mut F::State,
        mut cursors: Vec<Cursor<'_>>,
    ) -> Result<(), EngineError> {
        let mut gathered = Gathered::default();
        let mut runs: Vec<(&PartEvents, usize)> = Vec::new();
        let mut unchecked = 0;
        cursors.retain(|cursor| cursor.next < cursor.end);
        while let Some(id) = cursors.iter().filter_map(Cursor::id).min() {
            runs.clear();
            for cursor in &mut cursors {
                while cursor.id() == Some(id) {
                    runs.push((cursor.part, cursor.part.order[cursor.next] as usize));
                    cursor.next += 1;
                }
            }
            cursors.retain(|cursor| cursor.next < cursor.end);
            let tenant = self.tenants.get(id.0 as usize).map_or("", |name| name);
            let actor = Actor { tenant, key: id.1 };
            let run = match runs.as_slice() {
                [(part, run)] => part.run(*run),
                runs => {
                    gathered.unsorted.clear();
                    runs.iter().for_each(|(part, run)| gathered.unsorted.append(part.run(*run)));
                    gathered.sorted()
                }
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
    pub(super) fn fold_runs<'a, F: Fold>(
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

/// One state of several, or a fresh one where there are none.
pub(super) fn merged<F: Fold>(fold: &F, states: Vec<F::State>) -> F::State {
    let mut states = states.into_iter();
    let mut all = states.next().unwrap_or_else(|| fold.fresh());
    states.for_each(|state| fold.merge(&mut all, state));
    all
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

    pub(super) fn range(&self, run: usize) -> Range<usize> {
        let end = self.events.runs.starts.get(run + 1).copied().unwrap_or(self.events.times.len());
        self.events.runs.starts[run]..end
    }

    pub(super) fn run(&self, run: usize) -> Run<'_> {
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
    pub(super) fn id(&self) -> Option<(u32, Key<'a>)> {
        (self.next < self.end).then(|| self.part.id(self.part.order[self.next]))
    }
}
