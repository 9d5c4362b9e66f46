//! The runs of a stream one after the other, each whole: joined where a group of rows ends in the middle of it,
//! and without dead rows. Where neither is the case nothing is copied.

use std::cmp::Ordering;
use std::ops::Range;

use ebbtide_store::{SpineRows, SpineScan};

use super::drive::Loaded;
use super::kernel::CodeRun;
use super::key::{Key, KeyColumn, OwnedKey};
use super::load::Actors;
use super::spine::lost;
use super::stream::Stream;
use crate::EngineError;

/// A place in a stream: a run, until there is none.
pub(super) struct Walk<'l> {
    loaded: &'l Loaded<'l>,
    stream: &'l Stream,
    scan: SpineScan,
    group: Option<Group>,
    /// The group after it, if it has been read.
    ahead: Option<Group>,
    run: usize,
    /// Whose the rows are from here on: the next of the group's tenants.
    next_tenant: usize,
    /// The tenant's rank.
    tenant: u32,
    head: Head,
    copied: Option<Copied>,
    times: Vec<i64>,
    codes: Vec<u16>,
}

/// As much of an actor as is compared at once: whoever has the lesser head comes first, and most have one of their
/// own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Head {
    tenant: u32,
    /// In the order of keys.
    kind: u8,
    start: u64,
}

impl Head {
    pub(super) fn of((tenant, key): (u32, Key<'_>)) -> Self {
        let (kind, start) = match key {
            Key::Null => (0, 0),
            Key::Int(value) => (1, value.cast_unsigned() ^ (1 << 63)),
            Key::Decimal(_) => (2, 0),
            Key::Text(text) => {
                let mut start = [0; 8];
                let length = text.len().min(start.len());
                start[..length].copy_from_slice(&text.as_bytes()[..length]);
                (3, u64::from_be_bytes(start))
            }
        };
        Self { tenant, kind, start }
    }
}

/// A run that is not in the group as it lies there: its rows are those of the walk's own lists.
struct Copied {
    tenant: u32,
    actor: OwnedKey,
}

/// Rows that lie together.
struct Group {
    rows: SpineRows,
    actors: KeyColumn,
    /// Where the table names no events: as many codes as there are rows.
    nameless: Vec<u16>,
}

impl Group {
    fn new(rows: SpineRows) -> Result<Self, EngineError> {
        let actors = KeyColumn::of(&rows.actors)?;
        let nameless = if rows.codes.is_empty() { vec![0; rows.times.len()] } else { Vec::new() };
        Ok(Self { rows, actors, nameless })
    }

    fn codes(&self) -> &[u16] {
        if self.rows.codes.is_empty() { &self.nameless } else { &self.rows.codes }
    }

    fn run(&self, run: usize) -> CodeRun<'_> {
        let rows = self.rows.run(run);
        CodeRun { times: &self.rows.times[rows.clone()], codes: &self.codes()[rows] }
    }

    fn runs(&self) -> usize {
        self.rows.starts.len()
    }
}

impl<'l> Walk<'l> {
    /// Over some of the rows of a stream.
    pub(super) fn new(
        loaded: &'l Loaded<'l>,
        stream: &'l Stream,
        rows: Range<u32>,
    ) -> Result<Self, EngineError> {
        let part = stream.part.between(rows);
        let mut walk = Self {
            loaded,
            stream,
            scan: stream.scan(&part).ok_or(EngineError::SpineLost)?,
            group: None,
            ahead: None,
            run: 0,
            next_tenant: 0,
            tenant: 0,
            head: Head::default(),
            copied: None,
            times: Vec::new(),
            codes: Vec::new(),
        };
        walk.next_group()?;
        walk.settle()?;
        Ok(walk)
    }

    /// Of the run at hand, once that was asked for.
    pub(super) fn look(&mut self) {
        self.head = self.id().map(Head::of).unwrap_or_default();
    }

    /// Whose run comes first; both are at hand, and were looked at.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        self.head.cmp(&other.head).then_with(|| self.id().cmp(&other.id()))
    }

    pub(super) fn is_over(&self) -> bool {
        self.group.is_none() && self.copied.is_none()
    }

    /// The tenant's rank, and the actor.
    #[inline]
    pub(super) fn id(&self) -> Option<(u32, Key<'_>)> {
        match (&self.copied, &self.group) {
            (Some(copied), _) => Some((copied.tenant, copied.actor.as_key())),
            (None, Some(group)) => Some((self.tenant, group.actors.at(self.run))),
            (None, None) => None,
        }
    }

    #[inline]
    pub(super) fn run(&self) -> CodeRun<'_> {
        match (&self.copied, &self.group) {
            (None, Some(group)) => group.run(self.run),
            (Some(_), _) | (None, None) => CodeRun { times: &self.times, codes: &self.codes },
        }
    }

    #[inline]
    pub(super) fn advance(&mut self) -> Result<(), EngineError> {
        self.copied = None;
        self.run += 1;
        self.settle()
    }

    /// Goes on to the next run that has rows, if this one has none.
    fn settle(&mut self) -> Result<(), EngineError> {
        while let Some(group) = &self.group {
            if self.run == group.runs() {
                self.next_group()?;
                continue;
            }
            if self.loaded.actors == Actors::Required && group.actors.at(self.run) == Key::Null {
                self.run += 1;
                continue;
            }
            self.find_tenant();
            let is_last = self.group.as_ref().is_some_and(|group| self.run + 1 == group.runs());
            if is_last {
                self.look_ahead()?;
            }
            let Some(group) = &self.group else { return Ok(()) };
            let goes_on = is_last && self.goes_on(group);
            if !goes_on && group.rows.alive.is_none() {
                return Ok(());
            }
            self.copy(goes_on)?;
            if !self.times.is_empty() {
                return Ok(());
            }
            self.copied = None;
            self.run += 1;
        }
        Ok(())
    }

    fn next_group(&mut self) -> Result<(), EngineError> {
        self.look_ahead()?;
        self.group = self.ahead.take();
        (self.run, self.next_tenant) = (0, 0);
        Ok(())
    }

    fn look_ahead(&mut self) -> Result<(), EngineError> {
        while self.ahead.is_none() {
            let Some(rows) = self.scan.next() else { return Ok(()) };
            let rows = self.stream.refined(rows.map_err(lost)?)?;
            if !rows.starts.is_empty() {
                self.ahead = Some(Group::new(rows)?);
            }
        }
        Ok(())
    }

    /// The rank of the tenant whose run it is.
    fn find_tenant(&mut self) {
        let Some(Group { rows, .. }) = &self.group else { return };
        let start = rows.starts.get(self.run).copied().unwrap_or(0);
        while let Some((name, own)) = rows.tenants.get(self.next_tenant)
            && own.start <= start
        {
            let rank = self.loaded.tenants.binary_search_by(|tenant| (**tenant).cmp(name)).unwrap_or(0);
            self.tenant = u32::try_from(rank).unwrap_or(u32::MAX);
            self.next_tenant += 1;
        }
    }

    /// Whether the group ahead begins with more rows of the last run's actor.
    fn goes_on(&self, group: &Group) -> bool {
        let Some(ahead) = &self.ahead else { return false };
        let own = group.rows.tenants.last().map(|(name, _)| name);
        let theirs = ahead.rows.tenants.first().map(|(name, _)| name);
        own == theirs && group.actors.at(group.runs() - 1) == ahead.actors.at(0)
    }

    /// Copies the living rows of the run, and of its continuations in the groups after.
    fn copy(&mut self, mut goes_on: bool) -> Result<(), EngineError> {
        self.times.clear();
        self.codes.clear();
        let actor = self.group.as_ref().map_or(Key::Null, |group| group.actors.at(self.run)).to_owned();
        self.copied = Some(Copied { tenant: self.tenant, actor });
        self.append();
        while goes_on {
            self.next_group()?;
            self.find_tenant();
            self.append();
            self.look_ahead()?;
            goes_on = self.group.as_ref().is_some_and(|group| group.runs() == 1 && self.goes_on(group));
        }
        Ok(())
    }

    fn append(&mut self) {
        let Some(group) = &self.group else { return };
        let run = group.run(self.run);
        match &group.rows.alive {
            None => {
                self.times.extend_from_slice(run.times);
                self.codes.extend_from_slice(run.codes);
            }
            Some(alive) => {
                for (place, row) in group.rows.run(self.run).enumerate() {
                    if alive.value(row) {
                        self.times.push(run.times[place]);
                        self.codes.push(run.codes[place]);
                    }
                }
            }
        }
    }
}
