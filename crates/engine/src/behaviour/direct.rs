//! Feeds a kernel: the runs of actors who are in one stream are handed over as they lie there; where an actor is
//! in several, they are handed over one by one, or, to a kernel that needs them so, brought into one order first, under codes
//! that are common to all. Events that were read
//! as columns have such codes, too, where marks, groups and values are all that is known of them; who has others is
//! folded as all are where there is no kernel.

use std::cmp::Ordering;
use std::ops::Range;

use ebbtide_store::NO_TIME;
use hashbrown::HashMap;

use super::drive::{Cursor, EVENTS_UNCHECKED_MAX, Loaded, merged};
use super::fold::Actor;
use super::gathered::{Columns, Gathered};
use super::kernel::{Code, CodeRun, Kernel, Meaning, RowTimes, Ruler, Taken};
use super::key::Key;
use super::load::{Actors, Events, NO_CODE};
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
    /// By part, of its events: the common codes; `None` where they have more to them.
    coded: Vec<Option<Vec<u16>>>,
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
struct Scratch {
    /// The streams of the actor at hand, and its runs of parts.
    walks: Vec<usize>,
    runs: Vec<(usize, usize)>,
    merged: Merged,
    gathered: Gathered,
    expanded: Columns,
    unchecked: usize,
}

/// The common codes, in the order in which what they mean was met.
#[derive(Default)]
struct Common {
    known: HashMap<Meaning, u16>,
    meanings: Vec<Meaning>,
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
        let mut common = Common::default();
        let mut ways = Vec::new();
        for stream in &loaded.streams {
            let meanings = stream.meanings();
            let codes = meanings.iter().map(|meaning| common.code(*meaning)).collect::<Option<_>>()?;
            ways.push(Way { table: kernel.table(&meanings)?, bounds: stream.bounds(), common: codes });
        }
        let coded = loaded.parts.iter().map(|part| common.codes_of(&part.events)).collect();
        let table = kernel.table(&common.meanings)?;
        Some(Self { loaded, kernel, ways, coded, table, ruler: kernel.ruler() })
    }

    fn share(
        &self,
        state: &mut K::State,
        scratch: &mut Scratch,
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
        scratch: &mut Scratch,
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
        scratch: &mut Scratch,
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
        scratch: &mut Scratch,
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
        scratch: &mut Scratch,
        mut walks: Vec<(usize, Walk<'_>)>,
        cursors: Vec<Cursor<'l>>,
    ) -> Result<(), EngineError> {
        walks.iter_mut().for_each(|(_, walk)| walk.look());
        let mut cursors: Vec<(usize, Cursor<'l>)> = cursors.into_iter().enumerate().collect();
        loop {
            walks.retain(|(_, walk)| !walk.is_over());
            cursors.retain(|(_, cursor)| cursor.id().is_some());
            if let ([(index, walk)], []) = (walks.as_mut_slice(), cursors.as_slice()) {
                return self.alone(state, scratch, *index, walk);
            }
            let Some(id) = first_of(&walks, &cursors, &mut scratch.walks) else { return Ok(()) };
            scratch.runs.clear();
            for (part, cursor) in &mut cursors {
                while cursor.id() == Some(id) {
                    scratch.runs.push((*part, cursor.part.order[cursor.next] as usize));
                    cursor.next += 1;
                }
            }
            let rows = self.take_all(state, scratch, self.actor(id), &walks);
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

    fn note(&self, scratch: &mut Scratch, rows: usize) -> Result<(), EngineError> {
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
        scratch: &mut Scratch,
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
        scratch: &mut Scratch,
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

    /// Takes what the scratch names as the actor's, and says how many rows of streams that is.
    fn take_all(
        &self,
        state: &mut K::State,
        scratch: &mut Scratch,
        actor: Actor<'_>,
        walks: &[(usize, Walk<'_>)],
    ) -> usize {
        let own = std::mem::take(&mut scratch.walks);
        let pieces = || own.iter().map(|walk| (walks[*walk].0, walks[*walk].1.run()));
        let mut rows = 0;
        match (own.as_slice(), scratch.runs.as_slice()) {
            ([walk], []) => {
                let run = walks[*walk].1.run();
                rows = run.len();
                self.take(state, scratch, actor, (walks[*walk].0, run));
            }
            ([], _) => self.take_expanded(state, scratch, actor, pieces()),
            (_, runs) if self.kernel.takes_pieces() && self.are_coded(runs) => {
                rows = self.take_pieces(state, runs, pieces());
                self.kernel.end_pieces(state, actor);
            }
            (_, runs) => {
                let taken = self.merge(&mut scratch.merged, runs, pieces()).is_some_and(|run| {
                    rows = run.codes.len();
                    run.codes.is_empty()
                        || self.kernel.take_codes(state, &self.table, actor, run) == Taken::Whole
                });
                if !taken {
                    self.take_expanded(state, scratch, actor, pieces());
                }
            }
        }
        scratch.walks = own;
        rows
    }

    fn are_coded(&self, runs: &[(usize, usize)]) -> bool {
        runs.iter().all(|(part, _)| self.coded[*part].is_some())
    }

    /// Takes runs of parts, all of which have codes, and rows of streams, one after the other.
    fn take_pieces<'r>(
        &self,
        state: &mut K::State,
        runs: &[(usize, usize)],
        pieces: impl Iterator<Item = (usize, AnyRun<'r>)>,
    ) -> usize {
        for (part, run) in runs {
            let Some(codes) = &self.coded[*part] else { continue };
            let part = &self.loaded.parts[*part];
            let (times, codes) = (part.run(*run).times, &codes[part.range(*run)]);
            let simultaneous = has_pairs(times);
            let run = CodeRun { times, codes, simultaneous, ruler: &self.ruler };
            self.kernel.take_piece(state, &self.table, run);
        }
        let mut rows = 0;
        for (index, run) in pieces {
            rows += run.len();
            let table = &self.ways[index].table;
            match run {
                AnyRun::Bytes(run) => self.kernel.take_piece(state, table, run),
                AnyRun::Shorts(run) => self.kernel.take_piece(state, table, run),
                AnyRun::Whole(run) => self.kernel.take_piece(state, table, run),
            }
        }
        rows
    }

    fn take_expanded<'r>(
        &self,
        state: &mut K::State,
        scratch: &mut Scratch,
        actor: Actor<'_>,
        pieces: impl Iterator<Item = (usize, AnyRun<'r>)>,
    ) {
        scratch.gathered.unsorted.clear();
        for (part, run) in &scratch.runs {
            scratch.gathered.unsorted.append(self.loaded.parts[*part].run(*run));
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

    /// Runs of parts, and rows of streams, under the common codes; `None` where some have none. Segments often hold
    /// one time after another, and what is said of actors is often of a time before they do something.
    fn merge<'m, 'r>(
        &'m self,
        merged: &'m mut Merged,
        runs: &[(usize, usize)],
        pieces: impl Iterator<Item = (usize, AnyRun<'r>)>,
    ) -> Option<CodeRun<'m, &'m [i64], u16>> {
        merged.times.clear();
        merged.codes.clear();
        for (part, run) in runs {
            let codes = self.coded[*part].as_ref()?;
            let part = &self.loaded.parts[*part];
            merged.times.extend_from_slice(part.run(*run).times);
            merged.codes.extend_from_slice(&codes[part.range(*run)]);
        }
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
        Some(CodeRun { times, codes: &merged.codes, simultaneous, ruler: &self.ruler })
    }
}

impl Common {
    /// `None` where there are too many.
    fn code(&mut self, meaning: Meaning) -> Option<u16> {
        let next = u16::try_from(self.meanings.len()).ok()?;
        let code = *self.known.entry(meaning).or_insert(next);
        if code == next {
            self.meanings.push(meaning);
        }
        Some(code)
    }

    /// `None` where there are too many, or a code does not say all that is known of an event.
    fn codes_of(&mut self, events: &Events) -> Option<Vec<u16>> {
        if !(events.numbers.is_empty() && events.keys.is_empty() && events.arrivals.is_empty()) {
            return None;
        }
        let mut codes = Vec::with_capacity(events.times.len());
        let mut last: Option<(Meaning, u16)> = None;
        for (event, marks) in events.marks.iter().enumerate() {
            let meaning = Meaning {
                marks: *marks,
                group: events.groups.get(event).copied().unwrap_or(0),
                value: events.values.get(event).copied().unwrap_or(NO_CODE),
            };
            let code = match last {
                Some((known, code)) if known == meaning => code,
                _ => self.code(meaning)?,
            };
            last = Some((meaning, code));
            codes.push(code);
        }
        Some(codes)
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
    cursors: &[(usize, Cursor<'w>)],
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
    let other = cursors.iter().filter_map(|(_, cursor)| cursor.id()).min();
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
