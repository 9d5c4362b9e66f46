//! A dropoff as of any moment: the changes of its counts in the order of time, and its latencies, are kept beside the
//! rows, so that a question as of a moment costs a search and the changes of a block. Made of all rows at once, and of
//! the same sessions as every other answer; what comes later than a moment changes nothing of it.

mod course;
mod durations;
mod latencies;
mod moments;
mod phases;
mod starts;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use ebbtide_model::query::{Dropoff, Splits};
use ebbtide_store::TableRead;

use self::course::{Course, CourseFold, Gathering, Sums};
use self::latencies::{LatencyCourse, LatencyCourseFold};
use self::phases::{Gathered, Known, Phases, PhasesFold};
pub(crate) use self::phases::{Part, Parted, Parting, named};
pub(crate) use self::starts::Newest;
use self::starts::Starts;
use super::drive::Loaded;
use super::dropoff::{Counts, Runs, SessionRules};
use super::latency::Took;
use super::standing::{Prints, Shape, SourceKind};
use crate::EngineError;

/// What takes more is not kept.
const BYTES_MAX: usize = 64 << 20;

#[derive(Debug)]
pub(crate) struct History {
    shape: Shape,
    reach: Mutex<Reach>,
    missed: AtomicU32,
    told: Told,
}

#[derive(Debug)]
enum Told {
    Steps(Steps),
    Splits(Phases),
}

#[derive(Debug)]
struct Steps {
    course: Course,
    /// By latency.
    took: Vec<LatencyCourse>,
    starts: Starts,
    /// What sessions are told apart by.
    prints: Prints,
}

/// How far it holds.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    /// By source: what rows are known.
    pub(crate) reads: Vec<TableRead>,
    /// The last moment as of which it is that of these rows.
    pub(crate) until: i64,
}

/// What a dropoff came to at a moment.
#[derive(Debug)]
pub(crate) struct Was {
    pub(crate) counts: Counts,
    pub(crate) users: u64,
    pub(crate) users_at: Vec<u64>,
    pub(crate) idle_at: Option<i64>,
    /// By latency and step.
    pub(crate) took: Vec<Vec<Took>>,
}

impl History {
    /// Of the events of each source, those of all times; `None` where what happened cannot be told in few words.
    pub(crate) fn of<'l>(
        dropoff: &Dropoff,
        (shape, reads): (Shape, Vec<TableRead>),
        loaded: impl Iterator<Item = LoadedSource<'l>>,
    ) -> Result<Option<Self>, EngineError> {
        let told = match &dropoff.splits {
            Some(splits) => Told::Splits(phases_of(dropoff, splits, loaded)?),
            None => match steps_of(dropoff, loaded)? {
                Some(steps) => Told::Steps(steps),
                None => return Ok(None),
            },
        };
        let reach = Mutex::new(Reach { reads, until: i64::MAX });
        Ok(Some(Self { shape, reach, missed: AtomicU32::new(0), told }))
    }

    pub(crate) fn is_small(&self) -> bool {
        self.bytes() <= BYTES_MAX
    }

    pub(crate) fn has_shape(&self, shape: &Shape) -> bool {
        self.shape == *shape
    }

    /// It was asked as of a moment that it does not reach, for the so-manieth time.
    pub(crate) fn was_missed(&self) -> u32 {
        self.missed.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn reach(&self) -> Reach {
        self.reach.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes how far it holds by now, unless somebody has looked further.
    pub(crate) fn set_reach(&self, reach: Reach) {
        let mut known = self.reach.lock().unwrap_or_else(PoisonError::into_inner);
        let is_later = |(own, other): (&TableRead, &TableRead)| own.version() >= other.version();
        if reach.reads.iter().zip(&known.reads).all(is_later) {
            *known = reach;
        }
    }

    /// As of a moment that it reaches; `None`: it is of splits.
    pub(crate) fn at(&self, moment: i64) -> Option<Was> {
        let Told::Steps(Steps { course, took, .. }) = &self.told else { return None };
        let Sums { counts, users, users_at } = course.sums(moment);
        let idle_at = course.idle_at(moment);
        let took = took.iter().map(|took| took.took(moment)).collect();
        Some(Was { counts, users, users_at, idle_at, took })
    }

    /// So many sessions that had begun by a moment; `None`: it is of splits.
    pub(crate) fn newest(&self, moment: i64, count: usize) -> Option<Newest<'_>> {
        let Told::Steps(Steps { starts, prints, .. }) = &self.told else { return None };
        Some(starts.newest(moment, count, prints))
    }

    /// The sessions that began since a moment and had ended at another, by splits; `None`: it is of steps. `days`: by
    /// split, since when one of its days counts.
    pub(crate) fn parted(
        &self,
        (since, moment): (i64, i64),
        splits: &Splits,
        days: &[Option<i64>],
    ) -> Option<Parted> {
        let Told::Splits(phases) = &self.told else { return None };
        Some(phases.parted((since, moment), splits, days))
    }

    pub(crate) fn bytes(&self) -> usize {
        match &self.told {
            Told::Steps(Steps { course, took, starts, .. }) => {
                course.bytes() + took.iter().map(LatencyCourse::bytes).sum::<usize>() + starts.bytes()
            }
            Told::Splits(phases) => phases.bytes(),
        }
    }
}

type LoadedSource<'l> = Result<(SourceKind, Option<Loaded<'l>>), EngineError>;

fn steps_of<'l>(
    dropoff: &Dropoff,
    loaded: impl Iterator<Item = LoadedSource<'l>>,
) -> Result<Option<Steps>, EngineError> {
    let prints = Prints::default();
    let (rules, steps) = (SessionRules::new(dropoff), dropoff.steps.len());
    let mut gathering = Gathering::default();
    let mut took = Vec::new();
    for source in loaded {
        let (kind, loaded) = source?;
        match (kind, &loaded) {
            (SourceKind::Sessions, Some(loaded)) => {
                let runs = Runs::Sessions(&loaded.values);
                gathering.take_sessions(
                    loaded.fold(&CourseFold { rules, runs, prints: &prints })?,
                    &loaded.values,
                );
            }
            (SourceKind::Actors, Some(loaded)) => {
                gathering.take_actors(loaded.fold(&CourseFold {
                    rules,
                    runs: Runs::Actors,
                    prints: &prints,
                })?);
            }
            (SourceKind::Latency(_), Some(loaded)) => {
                took.push(LatencyCourse::of(loaded.fold(&LatencyCourseFold { steps })?));
            }
            (SourceKind::Latency(_), None) => took.push(LatencyCourse::none(steps)),
            (SourceKind::Sessions | SourceKind::Actors, None) => {}
        }
    }
    let starts = Starts::of(std::mem::take(&mut gathering.starts));
    Ok(Course::of(gathering, dropoff).map(|course| Steps { course, took, starts, prints }))
}

fn phases_of<'l>(
    dropoff: &Dropoff,
    splits: &Splits,
    loaded: impl Iterator<Item = LoadedSource<'l>>,
) -> Result<Phases, EngineError> {
    let (rules, prints) = (SessionRules::new(dropoff), Prints::default());
    let (mut known, mut gathered) = (Known::default(), Gathered::default());
    for source in loaded {
        let (kind, Some(loaded)) = source? else { continue };
        let groups = known.number(splits, &loaded.groups);
        let runs = match kind {
            SourceKind::Sessions => Runs::Sessions(&loaded.values),
            SourceKind::Actors => Runs::Actors,
            SourceKind::Latency(_) => continue,
        };
        let fold = PhasesFold { rules, runs, splits, groups: &groups, prints: &prints };
        gathered.join(loaded.fold(&fold)?);
    }
    Ok(Phases::of(gathered, known, dropoff, splits))
}
