//! Feeds a kernel: the runs of actors who are in one stream are handed over as they lie there; where an actor is
//! in several, their rows are brought into one order first, under codes that are common to all. Who has events that
//! were read as columns, too, is folded as all are where there is no kernel.

use std::cmp::Ordering;
use std::ops::Range;

use ebbtide_store::NO_TIME;
use hashbrown::HashMap;

use super::drive::{Cursor, EVENTS_UNCHECKED_MAX, Loaded, PartEvents, merged};
use super::fold::Actor;
use super::gathered::{Columns, Gathered};
use super::kernel::{Code, CodeRun, Kernel, Meaning, RowTimes, Ruler, Taken};
use super::key::Key;
use super::load::Actors;
use super::share::{SHARE_ROWS, Share};
use super::spine::Bounds;
use super::walk::{AnyRun, Group, Looking, Walk, has_pairs};
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
    ruler: Ruler,
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
        Some(Self { loaded, kernel, ways, table: kernel.table(&common)?, ruler: kernel.ruler() })
    }

    fn share(
        &self,
        state: &mut K::State,
        scratch: &mut Scratch<'l>,
        share: Share<'l>,
    ) -> Result<(), EngineError> {
        let mut walks: Vec<(usize, Walk<'_>)> = Vec::new();
        for (index, (stream, rows)) in self.loaded.streams.iter().zip(&share.streamed).enumerate() {
            if !rows.is_empty() {
                let way = Looking { bounds: &self.ways[index].bounds, ruler: &self.ruler };
                walks.push((index, Walk::new(self.loaded, stream, rows.clone(), way)?));
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
            if let Some((group, runs)) = walk.plain_runs() {
                let end = runs.end;
                let rows = self.take_runs(state, scratch, (index, id.0), (group, runs));
                self.note(scratch, rows)?;
                walk.skip_to(end)?;
                continue;
            }
            let run = walk.run();
            self.take(state, scratch, self.actor(id), (index, run));
            self.note(scratch, run.len())?;
            walk.advance()?;
        }
        Ok(())
    }

    /// Takes runs of one tenant, and says how many rows they have.
    fn take_runs(
        &self,
        state: &mut K::State,
        scratch: &mut Scratch<'_>,
        way: (usize, u32),
        (group, runs): (&Group, Range<usize>),
    ) -> usize {
        match group.all(&self.ruler) {
            AnyRun::Bytes(all) => self.take_runs_of(state, scratch, way, (group, runs, all)),
            AnyRun::Shorts(all) => self.take_runs_of(state, scratch, way, (group, runs, all)),
            AnyRun::Whole(all) => self.take_runs_of(state, scratch, way, (group, runs, all)),
        }
    }

    fn take_runs_of<T: RowTimes, C: Code>(
        &self,
        state: &mut K::State,
        scratch: &mut Scratch<'_>,
        (index, tenant): (usize, u32),
        (group, runs, all): (&Group, Range<usize>, CodeRun<'_, T, C>),
    ) -> usize {
        let mut rows = 0;
        for run in runs {
            let actor = self.actor((tenant, group.actors.at(run)));
            let run = group.run_of(all, run);
            rows += run.codes.len();
            self.take_run(state, scratch, actor, (index, run));
        }
        rows
    }

    fn together(
        &self,
        state: &mut K::State,
        scratch: &mut Scratch<'l>,
        mut walks: Vec<(usize, Walk<'_>)>,
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
            let rows: usize = scratch.walks.iter().map(|walk| walks[*walk].1.run().len()).sum();
            self.take_all(state, scratch, self.actor(id), &walks);
            self.note(scratch, rows)?;
            for walk in &scratch.walks {
                let (_, walk) = &mut walks[*walk];
                walk.advance()?;
                walk.look();
            }
        }
    }

    fn actor<'k>(&'k self, (tenant, key): (u32, Key<'k>)) -> Actor<'k> {
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
        (index, run): (usize, AnyRun<'_>),
    ) {
        match run {
            AnyRun::Bytes(run) => self.take_run(state, scratch, actor, (index, run)),
            AnyRun::Shorts(run) => self.take_run(state, scratch, actor, (index, run)),
            AnyRun::Whole(run) => self.take_run(state, scratch, actor, (index, run)),
        }
    }

    /// Inlined, so that neither actor nor run is written down for each call.
    #[inline(always)]
    fn take_run<T: RowTimes, C: Code>(
        &self,
        state: &mut K::State,
        scratch: &mut Scratch<'_>,
        actor: Actor<'_>,
        (index, run): (usize, CodeRun<'_, T, C>),
    ) {
        let way = &self.ways[index];
        if run.codes.is_empty() || self.kernel.take_codes(state, &way.table, actor, run) == Taken::Whole {
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
        walks: &[(usize, Walk<'_>)],
    ) {
        let own = std::mem::take(&mut scratch.walks);
        let pieces = || own.iter().map(|walk| (walks[*walk].0, walks[*walk].1.run()));
        match (own.as_slice(), scratch.runs.as_slice()) {
            ([walk], []) => self.take(state, scratch, actor, (walks[*walk].0, walks[*walk].1.run())),
            (_, runs) => {
                let taken = runs.is_empty() && {
                    let run = self.merge(&mut scratch.merged, pieces());
                    run.codes.is_empty()
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
        pieces: impl Iterator<Item = (usize, AnyRun<'r>)>,
    ) {
        scratch.gathered.unsorted.clear();
        for (part, run) in &scratch.runs {
            scratch.gathered.unsorted.append(part.run(*run));
        }
        for (index, run) in pieces {
            let way = &self.ways[index];
            scratch.expanded.clear();
            let (stream, expanded) = (&self.loaded.streams[index], &mut scratch.expanded);
            match run {
                AnyRun::Bytes(run) => stream.expand(run, &way.bounds, expanded),
                AnyRun::Shorts(run) => stream.expand(run, &way.bounds, expanded),
                AnyRun::Whole(run) => stream.expand(run, &way.bounds, expanded),
            }
            scratch.gathered.unsorted.append(scratch.expanded.as_run());
        }
        if !scratch.gathered.unsorted.times.is_empty() {
            self.kernel.take(state, actor, scratch.gathered.sorted());
        }
    }

    /// Rows of several streams, under the common codes. Segments often hold one time after another.
    fn merge<'m, 'r>(
        &'m self,
        merged: &'m mut Merged,
        pieces: impl Iterator<Item = (usize, AnyRun<'r>)>,
    ) -> CodeRun<'m, &'m [i64], u16> {
        merged.times.clear();
        merged.codes.clear();
        for (index, run) in pieces {
            let common = &self.ways[index].common;
            match run {
                AnyRun::Bytes(run) => merged.append(run, common),
                AnyRun::Shorts(run) => merged.append(run, common),
                AnyRun::Whole(run) => merged.append(run, common),
            }
        }
        if !merged.times.is_sorted() {
            merged.rows.clear();
            merged.rows.extend(merged.times.iter().copied().zip(merged.codes.iter().copied()));
            merged.rows.sort_by_key(|(time, _)| *time);
            for (place, (time, code)) in merged.rows.iter().enumerate() {
                (merged.times[place], merged.codes[place]) = (*time, *code);
            }
        }
        let (times, simultaneous) = (merged.times.as_slice(), has_pairs(&merged.times));
        CodeRun { times, codes: &merged.codes, simultaneous, ruler: &self.ruler }
    }
}

impl Merged {
    fn append<T: RowTimes, C: Code>(&mut self, run: CodeRun<'_, T, C>, common: &[u16]) {
        self.times.extend((0..run.codes.len()).map(|row| run.times.at(row)));
        self.codes.extend(run.codes.iter().map(|code| common.get(code.place()).copied().unwrap_or(0)));
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
    pub(super) fn within<'r, T: RowTimes, C: Code>(&self, run: CodeRun<'r, T, C>) -> CodeRun<'r, T, C> {
        let (times, rows) = (run.times, run.codes.len());
        let Some(last) = rows.checked_sub(1) else { return run };
        if times.at(0) >= self.earliest && times.at(last) <= self.until {
            return run;
        }
        debug_assert!(self.earliest > NO_TIME);
        let start = first_row(rows, |row| times.at(row) >= self.earliest);
        let end = first_row(rows, |row| times.at(row) > self.until).max(start);
        run.part(start..end)
    }
}

/// The first of so many rows of which something holds, as it does of all after it.
pub(super) fn first_row(rows: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, rows);
    while low < high {
        let middle = low.midpoint(high);
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    low
}
