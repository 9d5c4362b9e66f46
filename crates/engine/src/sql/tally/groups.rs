//! Groups of rows, by the numbers of what they are grouped by. A group has a number too, in the order in which
//! groups are met, found one grouping after the other.

use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use datafusion::common::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExpr;
use hashbrown::HashMap;

use super::lookup::Lookup;
use super::values::{NONE, Values};

/// The most places that are kept for groups which may come.
const PLACES_MAX: usize = 4 << 20;

/// What rows are grouped by.
pub(super) enum By {
    Lookup(Lookup),
    /// Asked for each row.
    Evaluated {
        expr: Arc<dyn PhysicalExpr>,
        values: Values,
    },
}

/// Groups within the groups of the level before.
pub(super) struct Level {
    pub(super) by: By,
    /// By the group before and the number within it: the group and one, where there is one.
    places: Arc<Vec<u32>>,
    /// Those that have no place, because there would be too many, or because places are kept as they were.
    hashed: HashMap<u64, u32>,
    has_places: bool,
    /// By group: that before, and the number within it.
    groups: Vec<(u32, u32)>,
}

/// The groups of a level at some moment.
#[derive(Debug)]
pub(super) struct LevelState {
    places: Arc<Vec<u32>>,
    hashed: HashMap<u64, u32>,
    has_places: bool,
    groups: Vec<(u32, u32)>,
    /// Of what is asked for each row.
    values: Option<Values>,
}

impl LevelState {
    pub(super) fn bytes(&self) -> usize {
        self.places.len() * size_of::<u32>()
            + self.groups.len() * size_of::<(u32, u32)>()
            + self.hashed.allocation_size()
            + self.values.as_ref().map_or(0, Values::bytes)
    }
}

impl Level {
    pub(super) fn new(by: By) -> Self {
        Self { by, places: Arc::default(), hashed: HashMap::new(), has_places: true, groups: Vec::new() }
    }

    /// The groups so far, without what they are found by.
    pub(super) fn state(&self) -> LevelState {
        let values = match &self.by {
            By::Lookup(_) => None,
            By::Evaluated { values, .. } => Some(values.clone()),
        };
        let (places, hashed, groups) = (self.places.clone(), self.hashed.clone(), self.groups.clone());
        LevelState { places, hashed, has_places: self.has_places, groups, values }
    }

    /// Goes on with groups of the same numbers.
    pub(super) fn resume(&mut self, state: &LevelState) {
        if let (By::Evaluated { values, .. }, Some(known)) = (&mut self.by, &state.values) {
            *values = known.clone();
        }
        self.places = state.places.clone();
        self.hashed = state.hashed.clone();
        self.has_places = state.has_places;
        self.groups = state.groups.clone();
    }

    /// From which codes its numbers follow, where they follow from some.
    pub(super) fn lineages(&self) -> impl Iterator<Item = u64> {
        let lineages = match &self.by {
            By::Lookup(lookup) => Some(lookup.lineages),
            By::Evaluated { .. } => None,
        };
        lineages.into_iter().flatten()
    }

    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.places.capacity() * size_of::<u32>()
            + self.groups.capacity() * size_of::<(u32, u32)>()
            + self.hashed.allocation_size()
    }

    /// How many numbers there are within a group, where that does not change any more.
    fn width(&self) -> Option<usize> {
        match &self.by {
            By::Lookup(lookup) => Some(lookup.array.len()),
            By::Evaluated { .. } => None,
        }
    }

    /// Leads groups of the level before to this level's; `number_of` says what is within, by the place in the
    /// list of groups.
    pub(super) fn refine(
        &mut self,
        groups: &mut [usize],
        groups_before: usize,
        number_of: impl Fn(usize) -> u32,
    ) -> Result<()> {
        // Of a single group, each number has the place that it says.
        let width = self.width().or_else(|| (groups_before == 1).then_some(self.places.len()));
        let places = width.map(|width| width.saturating_mul(groups_before));
        let Some(width) = width.filter(|_| places <= Some(PLACES_MAX) && self.has_places) else {
            self.move_places();
            for (place, group) in groups.iter_mut().enumerate() {
                *group = self.hashed_group(*group, number_of(place))?;
            }
            return Ok(());
        };
        // What others keep, too, stays as it is.
        let is_own = Arc::get_mut(&mut self.places).map(|own| own.resize(width * groups_before, 0)).is_some();
        let is_fixed = self.width().is_some();
        for (place, group) in groups.iter_mut().enumerate() {
            let number = number_of(place);
            let at = number as usize;
            if at >= width && (is_fixed || number == NONE) {
                return Err(outside());
            }
            let at = *group * width + at;
            *group = match self.places.get(at).copied() {
                Some(known) if known > 0 => known as usize - 1,
                _ if is_own => self.placed_group(*group, number, at)?,
                _ => self.hashed_group(*group, number)?,
            };
        }
        Ok(())
    }

    /// A group that has no place yet.
    fn placed_group(&mut self, before: usize, within: u32, at: usize) -> Result<usize> {
        self.groups.push((narrow(before)?, within));
        let places = Arc::make_mut(&mut self.places);
        if at >= places.len() {
            places.resize(at + 1, 0);
        }
        places[at] = narrow(self.groups.len())?;
        Ok(self.groups.len() - 1)
    }

    /// There are too many places by now: groups are found by hash from here on.
    fn move_places(&mut self) {
        if !self.has_places {
            return;
        }
        self.places = Arc::default();
        self.has_places = false;
        for (number, (before, within)) in (0_u32..).zip(&self.groups) {
            self.hashed.insert(pair(*before, *within), number);
        }
    }

    fn hashed_group(&mut self, before: usize, within: u32) -> Result<usize> {
        if within == NONE {
            return Err(outside());
        }
        let before = narrow(before)?;
        let next = narrow(self.groups.len())?;
        let group = *self.hashed.entry(pair(before, within)).or_insert(next);
        if group == next {
            self.groups.push((before, within));
        }
        Ok(group as usize)
    }
}

/// Of these groups of the last level: the values of each level.
pub(super) fn shown(levels: &[Level], groups: &[u32]) -> Result<Vec<ArrayRef>> {
    let mut arrays = Vec::with_capacity(levels.len());
    for numbers in numbers(levels, groups).into_iter().zip(levels) {
        let (numbers, level) = numbers;
        let values = match &level.by {
            By::Lookup(lookup) => lookup.array.clone(),
            By::Evaluated { values, .. } => values.array(0)?,
        };
        arrays.push(take(&values, &UInt32Array::from(numbers), None)?);
    }
    Ok(arrays)
}

/// Of these groups of the last level: the numbers within each level.
pub(super) fn numbers(levels: &[Level], groups: &[u32]) -> Vec<Vec<u32>> {
    let mut groups = groups.to_vec();
    let mut numbers = Vec::with_capacity(levels.len());
    for level in levels.iter().rev() {
        let found = |group: &u32| level.groups.get(*group as usize).copied().unwrap_or((0, 0));
        let pairs: Vec<(u32, u32)> = groups.iter().map(found).collect();
        numbers.push(pairs.iter().map(|(_, within)| *within).collect());
        groups = pairs.into_iter().map(|(before, _)| before).collect();
    }
    numbers.reverse();
    numbers
}

pub(super) fn pair(before: u32, within: u32) -> u64 {
    u64::from(before) << 32 | u64::from(within)
}

fn narrow(number: usize) -> Result<u32> {
    let narrow = u32::try_from(number).ok().filter(|number| *number < NONE);
    narrow.ok_or_else(|| DataFusionError::ResourcesExhausted("there are too many groups".to_owned()))
}

fn outside() -> DataFusionError {
    DataFusionError::Internal("a row is grouped by what it does not have".to_owned())
}
