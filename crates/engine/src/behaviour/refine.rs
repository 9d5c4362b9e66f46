//! Conditions over spines: an event that its conditions say something of gets a code of its own, which says with
//! its name what it satisfies. So whoever walks codes knows no conditions; and they are asked only of rows with a
//! name that some matcher wants, of no columns but those that they name.

use arrow::buffer::{BooleanBuffer, ScalarBuffer};
use ebbtide_model::query::{BoundMatcher, Condition, EventSource};
use ebbtide_store::{LaneRows, Lanes, Part, SpineCodes, SpineRows};

use super::columns::{Columns, Projection};
use super::joined::OfSource;
use super::membership::Memberships;
use super::pick::places_of;
use super::probe;
use crate::EngineError;

/// Codes have 16 bits.
const CODES_MAX: usize = u16::MAX as usize;
/// Conditions that are asked of events of one name, at most: each doubles the codes.
const ASKED_MAX: usize = 10;

/// How a part's codes are made finer.
#[derive(Debug)]
pub(super) struct Refinement {
    lanes: Lanes,
    projection: Projection,
    /// By finer code: the code of the spine.
    pub(super) bases: Vec<u16>,
    /// By finer code: the matchers that want such events.
    pub(super) marks: Vec<u64>,
    /// By code of the spine: what is asked of its events; `None`: their code stays.
    deciding: Vec<Option<Deciding>>,
    /// The same, to be looked at for every row.
    decides: Vec<bool>,
    common: Vec<Condition>,
    /// Besides what is common: what matchers ask for.
    asked: Vec<Vec<Condition>>,
}

/// What decides on the finer code of events of one name.
#[derive(Debug)]
struct Deciding {
    /// Places in what is asked.
    asked: Vec<usize>,
    /// The code where none of it holds; each adds its own bit.
    first: usize,
}

/// What conditions are asked with besides rows.
#[derive(Clone, Copy)]
pub(super) struct Knowing<'a> {
    pub(super) joined: Option<&'a OfSource<'a>>,
    pub(super) memberships: &'a Memberships,
    /// The first and the last time that count: of other events nothing is asked, and they are not wanted.
    pub(super) times: (i64, i64),
}

/// Whether a source has conditions at all.
pub(super) fn has_conditions(source: &EventSource) -> bool {
    !source.filters.is_empty() || source.matchers.iter().any(|matcher| !matcher.filters.is_empty())
}

impl Refinement {
    /// Of the events of a part whose spine has these names; `None` where that would take too many codes, or the
    /// part is in memory.
    pub(super) fn of(
        source: &EventSource,
        part: &Part,
        names: &[Box<str>],
    ) -> Result<Option<Self>, EngineError> {
        let projection = Projection::of_conditions(source);
        let Some(lanes) = part.lanes(&projection.columns())? else { return Ok(None) };
        // What is common is asked by itself where a matcher asks for no more.
        let (mut asked, mut places) = (vec![Vec::new()], Vec::new());
        for matcher in &source.matchers {
            if matcher.filters.is_empty() {
                places.push(0);
            } else {
                places.push(asked.len());
                asked.push(matcher.filters.clone());
            }
        }
        let mut refinement = Self {
            lanes,
            projection,
            bases: (0..=u16::MAX).take(names.len() + 1).collect(),
            marks: Vec::new(),
            deciding: Vec::new(),
            decides: Vec::new(),
            common: source.filters.clone(),
            asked,
        };
        let mut finer: Vec<u64> = Vec::new();
        for code in 0..=names.len() {
            let name = code.checked_sub(1).and_then(|place| names.get(place)).map(|name| &**name);
            let wanting = source.matchers.iter().zip(places.iter().copied());
            let wanting: Vec<(&BoundMatcher, usize)> =
                wanting.filter(|(matcher, _)| is_called(matcher, name)).collect();
            let asked = refinement.asked_of(&wanting);
            let first = names.len() + 1 + finer.len();
            if asked.len() > ASKED_MAX || first + (1 << asked.len()) > CODES_MAX {
                return Ok(None);
            }
            if asked.is_empty() {
                refinement.marks.push(marks(&wanting, &asked, 0));
                refinement.deciding.push(None);
                continue;
            }
            finer.extend((0..1 << asked.len()).map(|passed| marks(&wanting, &asked, passed)));
            let base = u16::try_from(code).unwrap_or(u16::MAX);
            refinement.bases.resize(names.len() + 1 + finer.len(), base);
            refinement.marks.push(0);
            refinement.deciding.push(Some(Deciding { asked, first }));
        }
        refinement.marks.extend(finer);
        refinement.decides = refinement.deciding.iter().map(Option::is_some).collect();
        Ok(Some(refinement))
    }

    /// What is asked of events that these matchers want, by place.
    fn asked_of(&self, wanting: &[(&BoundMatcher, usize)]) -> Vec<usize> {
        let is_asked = |place: &usize| *place > 0 || !self.common.is_empty();
        let mut asked: Vec<usize> = wanting.iter().map(|(_, place)| *place).filter(is_asked).collect();
        asked.sort_unstable();
        asked.dedup();
        asked
    }

    /// The same rows, by their finer codes.
    pub(super) fn refine(&self, mut rows: SpineRows, knowing: Knowing<'_>) -> Result<SpineRows, EngineError> {
        let (first_time, last_time) = knowing.times;
        let mut asked: Vec<u32> = Vec::new();
        let mut look = |place: usize| {
            let is_in_time = (first_time..=last_time).contains(&rows.times.at(place));
            let row = u32::try_from(place).ok().map(|place| rows.rows.start + place);
            asked.extend(row.filter(|_| is_in_time));
        };
        if rows.codes.is_empty() {
            let all = if self.decides.first() == Some(&true) { rows.times.len() } else { 0 };
            (0..all).for_each(&mut look);
        } else {
            places_of(&rows.codes, &self.decides, &mut look);
        }
        if asked.is_empty() {
            return Ok(rows);
        }
        let mut codes = if rows.codes.is_empty() { vec![0; rows.times.len()] } else { rows.codes.to_short() };
        let mut rest = asked.as_slice();
        while let Some(row) = rest.first() {
            let lanes = self.lanes.at(*row)?;
            let (own, after) = rest.split_at(rest.partition_point(|row| *row < lanes.rows().end));
            self.decide(&lanes, own, rows.rows.start, &mut codes, knowing)?;
            rest = after;
        }
        rows.codes = SpineCodes::Short(ScalarBuffer::from(codes));
        Ok(rows)
    }

    fn decide(
        &self,
        lanes: &LaneRows<'_>,
        asked: &[u32],
        first_row: u32,
        codes: &mut [u16],
        knowing: Knowing<'_>,
    ) -> Result<(), EngineError> {
        let batch = lanes.take(asked)?;
        let batch = match knowing.joined {
            Some(joined) => joined.tell(&self.projection, batch)?,
            None => batch,
        };
        let columns = Columns::new(&self.projection, &batch, knowing.memberships);
        let common = probe::all(&self.common, &columns)?;
        let holds = |own: &Vec<Condition>| Ok(&common & &probe::all(own, &columns)?);
        let holds = self.asked.iter().map(holds).collect::<Result<Vec<BooleanBuffer>, EngineError>>()?;
        for (index, row) in asked.iter().enumerate() {
            let code = &mut codes[(row - first_row) as usize];
            let Some(Some(deciding)) = self.deciding.get(usize::from(*code)) else { continue };
            let passed = deciding.asked.iter().enumerate();
            let passed = passed.map(|(bit, place)| usize::from(holds[*place].value(index)) << bit);
            *code = u16::try_from(deciding.first + passed.sum::<usize>()).unwrap_or(0);
        }
        Ok(())
    }
}

/// Whether a matcher is of events with this name.
fn is_called(matcher: &BoundMatcher, name: Option<&str>) -> bool {
    matcher.event.as_ref().is_none_or(|(_, wanted)| name == Some(wanted))
}

/// Of matchers, those that want an event which satisfies these of what is asked, by bit.
fn marks(wanting: &[(&BoundMatcher, usize)], asked: &[usize], passed: usize) -> u64 {
    let holds = |place: usize| {
        let bit = asked.iter().position(|own| *own == place);
        bit.is_none_or(|bit| passed & (1 << bit) != 0)
    };
    let wanting = wanting.iter().filter(|(_, place)| holds(*place));
    wanting.fold(0, |marks, (matcher, _)| marks | 1 << matcher.bit)
}
