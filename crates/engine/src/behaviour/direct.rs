//! Feeds a kernel: the runs of actors who are in one stream are handed over as they lie there; where an actor is
//! in several, their rows are brought into one order first, under codes that are common to all. Who has events that
//! were read as columns, too, is folded as all are where there is no kernel.

use std::cmp::Ordering;

use ebbtide_store::NO_TIME;
use hashbrown::HashMap;

use super::drive::{Cursor, EVENTS_UNCHECKED_MAX, Loaded, PartEvents, merged};
use super::fold::Actor;
use super::gathered::{Columns, Gathered};
use super::kernel::{CodeRun, Kernel, Meaning, Taken};
use super::key::Key;
use super::load::Actors;
use super::share::{SHARE_ROWS, Share};
use super::spine::Bounds;
use super::walk::Walk;
use super::workers::{in_turn, workers};
use crate::{EngineError, stop};

/// So many, that threads end at about the same time.
const SHARES_PER_WORKER: usize = 24;

/// How the rows of each stream are taken.
struct Direct<'l, K: Kernel> {
    loaded: &'l Loaded<'l>,
    kernel: &'l K,
    /// By stream.
    ways: Vec<Way<K::Table>>,
    /// Of the common codes.
    table: K::Table,
}

struct Way<T> {
    table: T,
    bounds: Bounds,
    /// By code of the stream: the common one.
    common: Vec<u16>,
}

/// What is kept from one actor to the next, so as not to ask for memory each time.
#[derive(Default)]
struct Scratch<'l> {
    /// The streams and events of the actor at hand.
    walks: Vec<usize>,
    runs: Vec<(&'l PartEvents, usize)>,
    merged: Merged,
    gathered: Gathered,
    expanded: Columns,
    unchecked: usize,
}

/// Rows of several streams in one order.
#[derive(Default)]
struct Merged {
    rows: Vec<(i64, u16)>,
    times: Vec<i64>,
    codes: Vec<u16>,
}

impl Loaded<'_> {
    /// As [`fold`](Self::fold), with what streams hold taken directly where the kernel can do that.
    pub(crate) fn fold_codes<K: Kernel>(&self, kernel: &K) -> Result<K::State, EngineError> {
        let Some(direct) = Direct::of(self, kernel) else { return self.fold(kernel) };
        let workers = workers(self.rows());
        let share_rows = (self.rows() / (workers * SHARES_PER_WORKER)).max(SHARE_ROWS / 8);
        let shares = self.shares(workers, share_rows)?;
        let states = in_turn(
            shares.len(),
            workers,
            || (kernel.fresh(), Scratch::default()),
            |(state, scratch), index| direct.share(state, scratch, shares.get(self, index)?),
        )?;
        Ok(merged(kernel, states.into_iter().map(|(state, _)| state).collect()))
    }
}

impl<'l, K: Kernel> Direct<'l, K> {
    fn of(loaded: &'l Loaded<'l>, kernel: &'l K) -> Option<Self> {
        if loaded.streams.is_empty() {
            return None;
        }
        let mut known: HashMap<Meaning, u16> = HashMap::new();
        let mut common: Vec<Meaning> = Vec::new();
        let mut ways = Vec::new();
        for stream in &loaded.streams {
            let meanings = stream.meanings();
            let mut codes = Vec::with_capacity(meanings.len());
            for meaning in &meanings {
                let next = u16::try_from(known.len()).ok()?;
                codes.push(*known.entry(*meaning).or_insert_with(|| {
                    common.push(*meaning);
                    next
                }));
            }
            ways.push(Way { table: kernel.table(&meanings)?, bounds: stream.bounds(), common: codes });
        }
        Some(Self { loaded, kernel, ways, table: kernel.table(&common)? })
    }

    fn share(
        &self,
        state: &mut K::State,
        scratch: &mut Scratch<'l>,
        share: Share<'l>,
    ) -> Result<(), EngineError> {
        let mut walks: Vec<(usize, Walk<'l>)> = Vec::new();
        for (index, (stream, rows)) in self.loaded.streams.iter().zip(&share.streamed).enumerate() {
            if !rows.is_empty() {
                walks.push((index, Walk::new(self.loaded, stream, rows.clone())?));
            }
        }
        if self.loaded.actors == Actors::Ignored {
            for (index, walk) in &mut walks {
                self.alone(state, scratch, *index, walk)?;
            }
            return self.loaded.fold_runs(self.kernel, state, share.cursors.into_iter());
        }
        self.together(state, scratch, walks, share.cursors)
    }

    /// What no other stream has actors of.
    fn alone(
        &self,
        state: &mut K::State,
        scratch: &mut Scratch<'l>,
        index: usize,
        walk: &mut Walk<'_>,
    ) -> Result<(), EngineError> {
        while let Some(id) = walk.id() {
            let run = walk.run();
            self.take(state, scratch, self.actor(id), (index, run));
            self.note(scratch, run.times.len())?;
            walk.advance()?;
        }
        Ok(())
    }

    fn together(
        &self,
        state: &mut K::State,
        scratch: &mut Scratch<'l>,
        mut walks: Vec<(usize, Walk<'l>)>,
        mut cursors: Vec<Cursor<'l>>,
    ) -> Result<(), EngineError> {
        walks.iter_mut().for_each(|(_, walk)| walk.look());
        loop {
            walks.retain(|(_, walk)| !walk.is_over());
            cursors.retain(|cursor| cursor.id().is_some());
            if let ([(index, walk)], []) = (walks.as_mut_slice(), cursors.as_slice()) {
                return self.alone(state, scratch, *index, walk);
            }
            let Some(id) = first_of(&walks, &cursors, &mut scratch.walks) else { return Ok(()) };
            scratch.runs.clear();
            for cursor in &mut cursors {
                while cursor.id() == Some(id) {
                    scratch.runs.push((cursor.part, cursor.part.order[cursor.next] as usize));
                    cursor.next += 1;
                }
            }
            let rows: usize = scratch.walks.iter().map(|walk| walks[*walk].1.run().times.len()).sum();
            self.take_all(state, scratch, self.actor(id), &walks);
            self.note(scratch, rows)?;
            for walk in &scratch.walks {
                let (_, walk) = &mut walks[*walk];
                walk.advance()?;
                walk.look();
            }
        }
    }

    fn actor(&self, (tenant, key): (u32, Key<'l>)) -> Actor<'l> {
        if self.loaded.actors == Actors::Ignored {
            return Actor { tenant: "", key: Key::Null };
        }
        Actor { tenant: self.loaded.tenants.get(tenant as usize).map_or("", |name| name), key }
    }

    fn note(&self, scratch: &mut Scratch<'_>, rows: usize) -> Result<(), EngineError> {
        scratch.unchecked += rows;
        if scratch.unchecked >= EVENTS_UNCHECKED_MAX {
            scratch.unchecked = 0;
            stop::check(self.loaded.interrupt)?;
        }
        Ok(())
    }

    /// Takes a run that is all there is of an actor.
    fn take(
        &self,
        state: &mut K::State,
        scratch: &mut Scratch<'_>,
        actor: Actor<'_>,
        (index, run): (usize, CodeRun<'_>),
    ) {
        let way = &self.ways[index];
        let run = way.bounds.within(run);
        if run.times.is_empty() || self.kernel.take_codes(state, &way.table, actor, run) == Taken::Whole {
            return;
        }
        scratch.expanded.clear();
        self.loaded.streams[index].expand(run, &way.bounds, &mut scratch.expanded);
        if !scratch.expanded.times.is_empty() {
            self.kernel.take(state, actor, scratch.expanded.as_run());
        }
    }

    /// Takes what the scratch names as the actor's.
    fn take_all(
        &self,
        state: &mut K::State,
        scratch: &mut Scratch<'l>,
        actor: Actor<'_>,
        walks: &[(usize, Walk<'l>)],
    ) {
        let own = std::mem::take(&mut scratch.walks);
        let pieces = || own.iter().map(|walk| (walks[*walk].0, walks[*walk].1.run()));
        match (own.as_slice(), scratch.runs.as_slice()) {
            ([walk], []) => self.take(state, scratch, actor, (walks[*walk].0, walks[*walk].1.run())),
            (_, runs) => {
                let taken = runs.is_empty() && {
                    let run = self.merge(&mut scratch.merged, pieces());
                    run.times.is_empty()
                        || self.kernel.take_codes(state, &self.table, actor, run) == Taken::Whole
                };
                if !taken {
                    self.take_expanded(state, scratch, actor, pieces());
                }
            }
        }
        scratch.walks = own;
    }

    fn take_expanded<'r>(
        &self,
        state: &mut K::State,
        scratch: &mut Scratch<'l>,
        actor: Actor<'_>,
        pieces: impl Iterator<Item = (usize, CodeRun<'r>)>,
    ) {
        scratch.gathered.unsorted.clear();
        for (part, run) in &scratch.runs {
            scratch.gathered.unsorted.append(part.run(*run));
        }
        for (index, run) in pieces {
            let way = &self.ways[index];
            scratch.expanded.clear();
            let run = way.bounds.within(run);
            self.loaded.streams[index].expand(run, &way.bounds, &mut scratch.expanded);
            scratch.gathered.unsorted.append(scratch.expanded.as_run());
        }
        if !scratch.gathered.unsorted.times.is_empty() {
            self.kernel.take(state, actor, scratch.gathered.sorted());
        }
    }

    /// Rows of several streams, under the common codes. Segments often hold one time after another.
    fn merge<'m, 'r>(
        &self,
        merged: &'m mut Merged,
        pieces: impl Iterator<Item = (usize, CodeRun<'r>)>,
    ) -> CodeRun<'m> {
        merged.times.clear();
        merged.codes.clear();
        for (index, run) in pieces {
            let way = &self.ways[index];
            let run = way.bounds.within(run);
            merged.times.extend_from_slice(run.times);
            let common = |code: &u16| way.common.get(usize::from(*code)).copied().unwrap_or(0);
            merged.codes.extend(run.codes.iter().map(common));
        }
        if !merged.times.is_sorted() {
            merged.rows.clear();
            merged.rows.extend(merged.times.iter().copied().zip(merged.codes.iter().copied()));
            merged.rows.sort_by_key(|(time, _)| *time);
            for (place, (time, code)) in merged.rows.iter().enumerate() {
                (merged.times[place], merged.codes[place]) = (*time, *code);
            }
        }
        CodeRun { times: &merged.times, codes: &merged.codes }
    }
}

/// Whose turn it is, and which walks are at a run of theirs.
fn first_of<'w>(
    walks: &'w [(usize, Walk<'_>)],
    cursors: &[Cursor<'w>],
    own: &mut Vec<usize>,
) -> Option<(u32, Key<'w>)> {
    own.clear();
    for (place, (_, walk)) in walks.iter().enumerate() {
        match own.first().map_or(Ordering::Less, |first| walk.compare(&walks[*first].1)) {
            Ordering::Less => {
                own.clear();
                own.push(place);
            }
            Ordering::Equal => own.push(place),
            Ordering::Greater => {}
        }
    }
    let first = own.first().and_then(|first| walks[*first].1.id());
    let other = cursors.iter().filter_map(Cursor::id).min();
    match (first, other) {
        (Some(first), Some(other)) if other < first => {
            own.clear();
            Some(other)
        }
        (first, other) => first.or(other),
    }
}

impl Bounds {
    /// The rows that may matter at all.
    fn within<'r>(&self, run: CodeRun<'r>) -> CodeRun<'r> {
        let CodeRun { times, codes } = run;
        let (Some(first), Some(last)) = (times.first(), times.last()) else { return run };
        if *first >= self.earliest && *last <= self.until {
            return run;
        }
        debug_assert!(self.earliest > NO_TIME);
        let start = times.partition_point(|time| *time < self.earliest);
        let end = times.partition_point(|time| *time <= self.until).max(start);
        CodeRun { times: &times[start..end], codes: &codes[start..end] }
    }
}
