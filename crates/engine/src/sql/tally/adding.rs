//! What is added up for groups of rows: the engine's own aggregates, save for rows and distinct values, which
//! are counted by their numbers.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, new_empty_array};
use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::PhysicalExpr;
use hashbrown::HashSet;

use super::groups::pair;
use super::lookup::Lookup;
use super::values::NONE;

/// What the bits of distinct values may take; past it, they are hashed.
const BITS_BYTES_MAX: usize = 16 << 20;

pub(super) enum Adding {
    Rows(Vec<i64>),
    Distinct { lookup: Lookup, seen: Seen, counts: Vec<i64> },
    Engine { adding: Box<dyn GroupsAccumulator>, arguments: Vec<Arc<dyn PhysicalExpr>>, types: Vec<DataType> },
}

/// What was added up at some moment.
#[derive(Debug)]
pub(super) enum Added {
    Rows(Vec<i64>),
    Distinct {
        seen: Seen,
        counts: Vec<i64>,
    },
    /// As engines hand it from one operator to another.
    Engine(Vec<ArrayRef>),
}

impl Added {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Rows(counts) => size_of_val(&**counts),
            Self::Distinct { seen, counts } => size_of_val(&**counts) + seen.bytes(),
            Self::Engine(states) => states.iter().map(|state| state.get_array_memory_size()).sum(),
        }
    }
}

/// Rows of a part, each with its group.
pub(super) struct Grouped<'b> {
    pub(super) part: usize,
    /// Of the part.
    pub(super) rows: &'b [u32],
    pub(super) groups: &'b [usize],
    pub(super) groups_total: usize,
    /// Of the rows, those that count; `None` where all do.
    pub(super) counted: Option<&'b BooleanArray>,
}

impl Grouped<'_> {
    /// The rows that count, with their groups.
    fn counted(&self) -> impl Iterator<Item = (u32, usize)> {
        let counts = |place: usize| self.counted.is_none_or(|counted| counted.value(place));
        let rows = self.rows.iter().zip(self.groups).enumerate();
        rows.filter(move |(place, _)| counts(*place)).map(|(_, (row, group))| (*row, *group))
    }
}

impl Adding {
    /// From which codes its numbers follow, where they follow from some.
    pub(super) fn lineages(&self) -> impl Iterator<Item = u64> {
        let lineages = match self {
            Self::Distinct { lookup, .. } => Some(lookup.lineages),
            Self::Rows(_) | Self::Engine { .. } => None,
        };
        lineages.into_iter().flatten()
    }

    /// `arguments` are of the rows.
    pub(super) fn add(&mut self, grouped: &Grouped<'_>, arguments: &[ArrayRef]) -> Result<()> {
        match self {
            Self::Rows(counts) => {
                counts.resize(grouped.groups_total, 0);
                match grouped.counted {
                    None => grouped.groups.iter().for_each(|group| counts[*group] += 1),
                    Some(counted) => {
                        for (group, counted) in grouped.groups.iter().zip(counted.values()) {
                            counts[*group] += i64::from(counted);
                        }
                    }
                }
            }
            Self::Distinct { lookup, seen, counts } => {
                counts.resize(grouped.groups_total, 0);
                let codes = lookup.codes.of_part(grouped.part);
                for (row, group) in grouped.counted() {
                    let number = lookup.number(codes.get(row as usize).copied().unwrap_or(NONE));
                    if number != lookup.null && number != NONE && seen.is_new(group, number) {
                        counts[group] += 1;
                    }
                }
            }
            Self::Engine { adding, .. } => {
                adding.update_batch(arguments, grouped.groups, grouped.counted, grouped.groups_total)?;
            }
        }
        Ok(())
    }

    /// What is added up so far; engines are left with nothing, and [resume](Self::resume) from it.
    pub(super) fn state(&mut self, groups_total: usize) -> Result<Added> {
        Ok(match self {
            Self::Rows(counts) => Added::Rows(counts.clone()),
            Self::Distinct { seen, counts, .. } => {
                Added::Distinct { seen: seen.clone(), counts: counts.clone() }
            }
            Self::Engine { adding, types, .. } => {
                show_groups(adding.as_mut(), types, groups_total)?;
                Added::Engine(adding.state(EmitTo::All)?)
            }
        })
    }

    /// Goes on with what was added up.
    pub(super) fn resume(&mut self, state: &Added, groups_total: usize) -> Result<()> {
        match (self, state) {
            (Self::Rows(counts), Added::Rows(known)) => known.clone_into(counts),
            (Self::Distinct { seen, counts, .. }, Added::Distinct { seen: known, counts: known_counts }) => {
                *seen = known.clone();
                known_counts.clone_into(counts);
            }
            // Of no group there may be no states, either.
            (Self::Engine { .. }, Added::Engine(_)) if groups_total == 0 => {}
            (Self::Engine { adding, .. }, Added::Engine(states)) => {
                let groups: Vec<usize> = (0..groups_total).collect();
                adding.merge_batch(states, &groups, groups_total)?;
            }
            (_, _) => {
                let text = "what was added up is of something else".to_owned();
                return Err(DataFusionError::Internal(text));
            }
        }
        Ok(())
    }

    /// By group.
    pub(super) fn finish(&mut self, groups_total: usize) -> Result<ArrayRef> {
        Ok(match self {
            Self::Rows(counts) | Self::Distinct { counts, .. } => {
                counts.resize(groups_total, 0);
                Arc::new(Int64Array::from(std::mem::take(counts)))
            }
            Self::Engine { adding, types, .. } => {
                show_groups(adding.as_mut(), types, groups_total)?;
                adding.evaluate(EmitTo::All)?
            }
        })
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Rows(counts) => counts.capacity() * size_of::<i64>(),
            Self::Distinct { seen, counts, .. } => counts.capacity() * size_of::<i64>() + seen.bytes(),
            Self::Engine { adding, .. } => adding.size(),
        }
    }
}

/// A group that no row came to is there, too. Without a list of the rows that count, engines take it that all
/// groups have some.
fn show_groups(adding: &mut dyn GroupsAccumulator, types: &[DataType], groups_total: usize) -> Result<()> {
    let none: Vec<ArrayRef> = types.iter().map(new_empty_array).collect();
    adding.update_batch(&none, &[], Some(&BooleanArray::from(Vec::<bool>::new())), groups_total)
}

/// Which values were seen in which group.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Words for each group.
    words: usize,
    bits: Vec<u64>,
    hashed: HashSet<u64>,
}

impl Seen {
    pub(super) fn of(values: usize) -> Self {
        Self { words: values.div_ceil(64), bits: Vec::new(), hashed: HashSet::new() }
    }

    fn is_new(&mut self, group: usize, number: u32) -> bool {
        let end = (group + 1).saturating_mul(self.words);
        if end.saturating_mul(size_of::<u64>()) > BITS_BYTES_MAX {
            // The same groups always come here.
            return self.hashed.insert(pair(u32::try_from(group).unwrap_or(NONE), number));
        }
        if self.bits.len() < end {
            self.bits.resize(end, 0);
        }
        let word = &mut self.bits[group * self.words + number as usize / 64];
        let bit = 1_u64 << (number % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    fn bytes(&self) -> usize {
        self.bits.capacity() * size_of::<u64>() + self.hashed.allocation_size()
    }
}
