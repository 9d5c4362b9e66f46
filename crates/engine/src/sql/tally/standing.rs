//! What a tally has added up is kept, as of a moment: the next that asks the same of the same rows, as of that
//! moment or a later one, begins with it and takes what has come to exist since. Sums, counts and distinct values
//! are the same in whatever order rows come, so the answer is that of all rows taken anew.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::common::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr_common::physical_expr::is_volatile;
use ebbtide_model::{Instant, TableName};
use ebbtide_store::PartIdentity;

use super::adding::Added;
use super::codes::{Origin, from_store, identities};
use super::groups::LevelState;
use super::lookup::takes_note;
use super::source::{Scanned, Source};
use super::taking::Ends;
use super::{Aggregate, Best, Tally};
use crate::sql::time_range::TimeRange;

/// What it is kept as.
const WHAT: &str = "tallies";
/// What is kept of one table's rows, as a scope sees them.
const TALLIES_MAX: usize = 64;
const BYTES_MAX: usize = 24 << 20;
/// One that takes more is not kept.
const STANDING_BYTES_MAX: usize = 8 << 20;
/// Moments as of which one tally is kept.
const MOMENTS_MAX: usize = 4;
/// Where more than one of so many rows has come since, a later moment is kept, too.
const SINCE_ONE_OF: usize = 64;
/// By so much before the first moment that is asked for is another kept: who asks for one in between, as of
/// yesterday or of a week ago, goes on from there.
const EARLIER: i64 = 8 * Instant::MICROS_PER_DAY;

/// What was added up of all rows that exist at a moment.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) ends: Ends,
    pub(super) levels: Vec<LevelState>,
    /// By aggregate.
    pub(super) added: Vec<Added>,
    /// By group, where the first of its rows lies.
    pub(super) firsts: Vec<u64>,
    /// Where few groups are wanted, those that may be among them, if no others are met.
    pub(super) best: Option<Vec<u32>>,
}

impl Standing {
    fn bytes(&self) -> usize {
        let levels: usize = self.levels.iter().map(LevelState::bytes).sum();
        let added: usize = self.added.iter().map(Added::bytes).sum();
        let best = self.best.as_ref().map_or(0, |best| size_of_val(&**best));
        levels + added + size_of_val(&*self.firsts) + best
    }
}

/// The tallies of one table's rows.
#[derive(Debug)]
struct Standings {
    of: Vec<PartIdentity>,
    /// The one that was not asked for longest first.
    tallies: Mutex<Vec<Kept>>,
}

#[derive(Debug)]
struct Kept {
    asked: Asked,
    standings: Vec<Arc<Standing>>,
    /// Whether a later moment is to be kept.
    is_late: bool,
}

/// What is added up of which rows, but for their last time.
#[derive(Clone, Debug)]
struct Asked {
    conditions: Vec<Arc<dyn PhysicalExpr>>,
    groups: Vec<Arc<dyn PhysicalExpr>>,
    aggregates: Vec<Aggregate>,
    best: Option<Best>,
    range: Option<TimeRange>,
    parent: Option<AskedParent>,
    /// Which numbers its groups and distinct values go by.
    lineages: Vec<u64>,
}

#[derive(Clone, Debug, PartialEq)]
struct AskedParent {
    name: TableName,
    by: usize,
    key: usize,
    begin: Option<TimeRange>,
    rows: Vec<PartIdentity>,
}

impl PartialEq for Asked {
    fn eq(&self, other: &Self) -> bool {
        let begins = |own: Option<TimeRange>, other: Option<TimeRange>| match (own, other) {
            (Some(own), Some(other)) => own.begins_as(other),
            (own, other) => own.is_none() && other.is_none(),
        };
        let is_same = |(own, other): (&Aggregate, &Aggregate)| {
            own.expr == other.expr
                && own.expr.is_distinct() == other.expr.is_distinct()
                && own.expr.ignore_nulls() == other.expr.ignore_nulls()
                && are_same(&own.arguments, &other.arguments)
                && are_same(own.filter.as_slice(), other.filter.as_slice())
        };
        let parents = match (&self.parent, &other.parent) {
            (Some(own), Some(other)) => {
                (&own.name, own.by, own.key, &own.rows) == (&other.name, other.by, other.key, &other.rows)
                    && begins(own.begin, other.begin)
            }
            (own, other) => own.is_none() && other.is_none(),
        };
        begins(self.range, other.range)
            && self.lineages == other.lineages
            && are_same(&self.groups, &other.groups)
            && are_same(&self.conditions, &other.conditions)
            && self.best == other.best
            && self.aggregates.len() == other.aggregates.len()
            && self.aggregates.iter().zip(&other.aggregates).all(is_same)
            && parents
    }
}

/// A kept plan has the very same ones each time; else what they say is compared.
fn are_same(own: &[Arc<dyn PhysicalExpr>], other: &[Arc<dyn PhysicalExpr>]) -> bool {
    let is_same = |(own, other): (&Arc<dyn PhysicalExpr>, &Arc<dyn PhysicalExpr>)| {
        Arc::ptr_eq(own, other) || own == other
    };
    own.len() == other.len() && own.iter().zip(other).all(is_same)
}

/// Where a tally's standings are kept.
pub(super) struct Shelf<'t> {
    source: &'t Source,
    standings: Arc<Standings>,
    asked: Asked,
}

/// What a tally begins with: what was added up as of an earlier moment, if anything.
pub(super) struct Beginning {
    pub(super) standing: Option<Arc<Standing>>,
    /// Ascending moments on its way that are to be kept.
    pub(super) keeping: Vec<Ends>,
}

impl<'t> Shelf<'t> {
    /// `None` where what is asked is its own each time.
    pub(super) fn of(tally: &'t Tally, lineages: Vec<u64>) -> Result<Option<Self>> {
        let Tally { source, groups, aggregates, best, .. } = tally;
        let inside =
            aggregates.iter().flat_map(|aggregate| aggregate.arguments.iter().chain(&aggregate.filter));
        let is_orderless = aggregates.iter().all(Aggregate::is_orderless);
        let mut exprs = source.conditions().chain(groups).chain(inside);
        if !is_orderless || exprs.any(|expr| takes_note(expr) || is_volatile(expr)) {
            return Ok(None);
        }
        let parent = source.parent.as_ref().map(|parent| AskedParent {
            name: parent.rows.origin.table().name.clone(),
            by: parent.by,
            key: parent.key,
            begin: parent.rows.time.map(|(_, range)| range),
            rows: identities(parent.rows.origin.parts()),
        });
        let asked = Asked {
            conditions: source.conditions().cloned().collect(),
            groups: groups.clone(),
            aggregates: aggregates.clone(),
            best: best.clone(),
            range: source.rows.time.map(|(_, range)| range),
            parent,
            lineages,
        };
        Ok(Some(Self { standings: Standings::of(&source.rows.origin)?, source, asked }))
    }

    pub(super) fn begin(&self) -> Beginning {
        let ends = Ends::of(self.source);
        let mut tallies = self.standings.lock();
        let Some(place) = tallies.iter().position(|kept| kept.asked == self.asked) else {
            tallies.push(Kept { asked: self.asked.clone(), standings: Vec::new(), is_late: false });
            trim(&mut tallies);
            return Beginning { standing: None, keeping: self.first_moments(ends) };
        };
        let kept = tallies.remove(place);
        let fitting = kept.standings.iter().filter(|standing| standing.ends.are_within(ends));
        let standing = fitting.max_by_key(|standing| (standing.ends.own, standing.ends.parent)).cloned();
        let is_late = kept.is_late;
        tallies.push(kept);
        drop(tallies);
        let keeping = match &standing {
            Some(standing) if is_late => {
                let lasting = self.lasting(ends);
                let is_later = standing.ends != lasting && standing.ends.are_within(lasting);
                is_later.then_some(lasting).into_iter().collect()
            }
            Some(_) => Vec::new(),
            None => self.first_moments(ends),
        };
        Beginning { standing, keeping }
    }

    /// Keeps what was added up, unless it is large.
    pub(super) fn keep(&self, standing: Arc<Standing>) -> Result<()> {
        if standing.bytes() > STANDING_BYTES_MAX {
            return Ok(());
        }
        let mut tallies = self.standings.lock();
        let Some(kept) = tallies.iter_mut().find(|kept| kept.asked == self.asked) else { return Ok(()) };
        kept.is_late = false;
        kept.standings.retain(|known| known.ends != standing.ends);
        if kept.standings.len() >= MOMENTS_MAX {
            // All others can go on from the earliest.
            let times = |standing: &Arc<Standing>| (standing.ends.own, standing.ends.parent);
            let earliest = kept.standings.iter().map(times).min();
            if let Some(place) = kept.standings.iter().position(|known| Some(times(known)) != earliest) {
                kept.standings.remove(place);
            }
        }
        kept.standings.push(standing);
        trim(&mut tallies);
        let bytes = tallies.iter().map(Kept::bytes).sum();
        drop(tallies);
        keep(&self.source.rows.origin, &self.standings, bytes)
    }

    /// So many rows were taken besides a standing's.
    pub(super) fn note_rows(&self, taken: usize) {
        let all: usize = self.source.rows.origin.parts().iter().map(ebbtide_store::Part::rows_max).sum();
        if taken > all / SINCE_ONE_OF {
            let mut tallies = self.standings.lock();
            let kept = tallies.iter_mut().find(|kept| kept.asked == self.asked);
            kept.into_iter().for_each(|kept| kept.is_late = true);
        }
    }

    /// What to keep where nothing is.
    fn first_moments(&self, ends: Ends) -> Vec<Ends> {
        let lasting = self.lasting(ends);
        let earlier = lasting.earlier_by(EARLIER);
        if earlier == lasting { vec![lasting] } else { vec![earlier, lasting] }
    }

    /// A moment at or before these, that others of about the same time have after them, too.
    fn lasting(&self, ends: Ends) -> Ends {
        let before = |end: i64| match end.checked_add(1) {
            Some(next) => next.div_euclid(Instant::MICROS_PER_DAY) * Instant::MICROS_PER_DAY - 1,
            None => end,
        };
        // Where no row is of a later time, the last of them is moment enough.
        let lasting = |end: i64, rows: &Scanned| {
            last_time(&rows.origin).filter(|last| *last <= end).unwrap_or_else(|| before(end))
        };
        let parent = self.source.parent.as_ref();
        Ends {
            own: ends.own.map(|end| lasting(end, &self.source.rows)),
            parent: ends.parent.zip(parent).map(|(end, parent)| lasting(end, &parent.rows)),
        }
    }
}

impl Standings {
    fn of(origin: &Origin) -> Result<Arc<Self>> {
        let name = &origin.table().name;
        let known: Option<Arc<Self>> =
            origin.snapshot.derived(&origin.scope, name, WHAT).map_err(from_store)?;
        let of = identities(origin.parts());
        if let Some(known) = known.filter(|known| known.of == of) {
            return Ok(known);
        }
        let made = Arc::new(Self { of, tallies: Mutex::default() });
        keep(origin, &made, 0)?;
        Ok(made)
    }

    /// They are whole whatever their holder did.
    fn lock(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The latest time of a table's rows, where it is known.
pub(super) fn last_time(origin: &Origin) -> Option<i64> {
    let last = origin.parts().iter().map(|part| part.time_range().map(|(_, last)| last));
    last.collect::<Option<Vec<i64>>>()?.into_iter().max()
}

fn keep(origin: &Origin, standings: &Arc<Standings>, bytes: usize) -> Result<()> {
    let kept = origin.snapshot.keep_derived(&origin.scope, &origin.table().name, WHAT, standings, bytes);
    kept.map_err(from_store)
}

impl Kept {
    fn bytes(&self) -> usize {
        self.standings.iter().map(|standing| standing.bytes()).sum()
    }
}

/// How many moments are kept of a table's tallies.
#[cfg(test)]
pub(in crate::sql) fn moments_kept(origin: &Origin) -> usize {
    let standings = Standings::of(origin).unwrap();
    let tallies = standings.lock();
    tallies.iter().map(|kept| kept.standings.len()).sum()
}

fn trim(tallies: &mut Vec<Kept>) {
    let mut bytes: usize = tallies.iter().map(Kept::bytes).sum();
    while tallies.len() > TALLIES_MAX || bytes > BYTES_MAX {
        let oldest = tallies.remove(0);
        bytes -= oldest.bytes();
    }
}
