//! Rows of a spine that are not loaded before they are folded: shares of them are read, or walked, when their
//! turn comes.

use std::ops::Range;

use ebbtide_model::query::EventSource;
use ebbtide_store::{Part, SpineColumns, SpineRows, SpineScan};

use super::columns::Arrivals;
use super::gathered::Columns as Lists;
use super::kernel::{Code, CodeRun, Meaning, RowTimes};
use super::key::Key;
use super::load::{Actors, Events, Groups, Loader, NO_CODE, Times, Values, shorten};
use super::membership::Memberships;
use super::refine::{Knowing, Refinement};
use super::spine::{Bounds, Codes};
use crate::EngineError;

/// Rows of a spine that are read when they are folded, some actors at a time.
#[derive(Debug)]
pub(super) struct Stream {
    source: EventSource,
    columns: SpineColumns,
    times: Times,
    actors: Actors,
    values: Values,
    pub(super) part: Part,
    refinement: Option<Refinement>,
    codes: Codes,
    /// Events by code, where that was to be known.
    counts: Option<Vec<u64>>,
}

impl Stream {
    /// `None` where the part's rows have to be read at once.
    pub(super) fn of(loader: &Loader<'_>, part: &Part) -> Result<Option<Self>, EngineError> {
        let (Some(scan), Some(columns)) = (loader.streamed(part), loader.spine) else { return Ok(None) };
        let Some(spined) = loader.spined(part)? else { return Ok(None) };
        let codes = loader.codes(&scan.names(), spined.refinement.as_ref());
        let is_counted = !codes.groups.is_empty() && loader.groups == Groups::Met;
        let counts =
            is_counted.then(|| loader.count_codes(scan, spined.refinement.as_ref(), &codes)).transpose()?;
        Ok(Some(Self {
            source: loader.source.clone(),
            columns,
            times: loader.times.clone(),
            actors: loader.actors,
            values: loader.values,
            part: part.clone(),
            refinement: spined.refinement,
            codes,
            counts,
        }))
    }

    pub(super) fn scan(&self, part: &Part) -> Option<SpineScan> {
        part.spine(&self.columns)
    }

    /// No events, with the groups and values that its events have: one for each code.
    pub(super) fn keys(&self) -> Events {
        let mut events = Events::default();
        if !self.source.breakdown.is_empty() {
            for (code, marks) in self.codes.marks.iter().enumerate() {
                let has_events = match &self.counts {
                    Some(counts) => counts.get(code).is_some_and(|count| *count > 0),
                    None => *marks != 0,
                };
                let key = || std::iter::once(self.codes.name(code));
                events.groups.push(if has_events { events.group_keys.code(key()) } else { NO_CODE });
            }
        }
        if let Some(value) = &self.source.value {
            for (code, marks) in self.codes.marks.iter().enumerate() {
                let is_wanted = *marks != 0 && self.codes.name(code) != Key::Null;
                let key = || shorten(self.codes.name(code), value);
                let code = if is_wanted { events.code_of(key(), self.values) } else { NO_CODE };
                events.values.push(code);
            }
        }
        events
    }

    /// What became of [`keys`](Self::keys) in the numbering of all parts.
    pub(super) fn number(&mut self, keys: Events) {
        self.codes.groups = keys.groups.into_iter().map(Some).collect();
        self.codes.values = keys.values.into_iter().map(Some).collect();
    }

    /// How many events there are of each group, by rank.
    pub(super) fn add_sizes(&self, sizes: &mut [u64]) {
        for (group, count) in self.codes.groups.iter().zip(self.counts.iter().flatten()) {
            if let Some(size) = group.and_then(|rank| sizes.get_mut(rank as usize)) {
                *size += count;
            }
        }
    }

    /// The rows of a scan, by finer codes where there are some.
    pub(super) fn refined(&self, rows: SpineRows) -> Result<SpineRows, EngineError> {
        let Some(refinement) = &self.refinement else { return Ok(rows) };
        let bounds = self.bounds();
        let times = (bounds.earliest, bounds.until);
        // What is streamed asks nothing but rows.
        refinement.refine(rows, Knowing { joined: None, memberships: &Memberships::default(), times })
    }

    /// By code.
    pub(super) fn meanings(&self) -> Vec<Meaning> {
        let Codes { marks, groups, values, .. } = &self.codes;
        let wanting = self.source.value.as_ref().and_then(|value| value.of).map_or(u64::MAX, |bit| 1 << bit);
        let meaning = |(code, marks): (usize, &u64)| Meaning {
            marks: *marks,
            group: groups.get(code).copied().flatten().unwrap_or(if groups.is_empty() { 0 } else { NO_CODE }),
            value: values.get(code).copied().flatten().filter(|_| marks & wanting != 0).unwrap_or(NO_CODE),
        };
        marks.iter().enumerate().map(meaning).collect()
    }

    pub(super) fn bounds(&self) -> Bounds {
        Bounds::of(&self.source, &self.times)
    }

    /// The marked ones of these rows as events.
    pub(super) fn expand<T: RowTimes, C: Code>(
        &self,
        run: CodeRun<'_, T, C>,
        bounds: &Bounds,
        into: &mut Lists,
    ) {
        let Codes { marks, groups, values, .. } = &self.codes;
        let wanting = self.source.value.as_ref().and_then(|value| value.of);
        for (row, code) in run.codes.iter().enumerate() {
            let (time, code) = (run.times.at(row), code.place());
            let marks = bounds.in_time(marks.get(code).copied().unwrap_or(0), time);
            if marks == 0 {
                continue;
            }
            into.times.push(time);
            into.marks.push(marks);
            if let Some(group) = groups.get(code) {
                into.groups.push(group.unwrap_or(NO_CODE));
            }
            if let Some(value) = values.get(code) {
                let is_wanted = wanting.is_none_or(|bit| marks & (1 << bit) != 0);
                into.values.push(value.filter(|_| is_wanted).unwrap_or(NO_CODE));
            }
        }
    }

    /// The events of some of its rows, named by the ranks of all parts.
    pub(super) fn load(
        &self,
        rows: Range<u32>,
        interrupt: &dyn crate::Interrupt,
    ) -> Result<Events, EngineError> {
        let (no_ties, part) = (hashbrown::HashSet::new(), self.part.between(rows));
        let loader = Loader {
            source: &self.source,
            joined: None,
            memberships: &Memberships::default(),
            times: &self.times,
            actors: self.actors,
            ties: &no_ties,
            values: self.values,
            groups: Groups::Met,
            arrivals: Arrivals::Unread,
            spine: Some(self.columns),
            interrupt,
        };
        let scan = self.scan(&part).ok_or(EngineError::SpineLost)?;
        let mut events = Events::default();
        loader.append_rows(scan, (self.refinement.as_ref(), None), &mut self.codes.clone(), &mut events)?;
        Ok(events)
    }
}
