//! A tally at work: rows are read batch by batch, kept or passed over, led to their groups, and added up.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_expr::PhysicalExpr;

use super::adding::{Added, Adding, Grouped, Seen};
use super::best::best_of;
use super::codes::from_store;
use super::condition::{Condition, counted, evaluated_condition, mark};
use super::days::Days;
use super::groups::{By, Level, numbers, shown};
use super::lookup::{Columns, Kept, Lookups, columns_of};
use super::standing::{Beginning, Shelf, Standing};
use super::taking::{Ends, Existing, Gathering, Read, Rows, places, taken};
use super::values::{NONE, Values};
use super::{Aggregate, Best, Tally};

/// Where fewer than one of so many rows of a batch are marked, what is asked is asked of these alone.
const SPARSE_ONE_OF: usize = 4;

/// A tally with all that is looked up.
pub(super) struct Running<'t> {
    tally: &'t Tally,
    lookups: Lookups,
    reading: Arc<Columns>,
    kept: Vec<Kept>,
    conditions: Vec<Arc<dyn PhysicalExpr>>,
    levels: Vec<Level>,
    /// By level: which of the plan's groupings it is.
    places: Vec<usize>,
    /// By aggregate.
    adding: Vec<Adding>,
    counted: Vec<Condition>,
    /// By group, where the first of its rows lies.
    firsts: Vec<u64>,
    /// Whether it goes on from a standing: groups are met in another order then.
    goes_on: bool,
    /// The groups that were met since, where they are asked for; some more than once.
    met: Vec<u32>,
    reservation: MemoryReservation,
}

impl<'t> Running<'t> {
    /// `None` where something cannot be looked up that has to be.
    pub(super) fn begin(tally: &'t Tally, context: &TaskContext) -> Result<Option<Self>> {
        let Some(lookups) = Lookups::of(&tally.source)? else { return Ok(None) };
        let mut all = Condition::default();
        for condition in tally.source.conditions() {
            let Condition { kept, evaluated } = Condition::of(&lookups, Some(condition))?;
            all.kept.extend(kept);
            all.evaluated.extend(evaluated);
        }
        let mut levels = Vec::with_capacity(tally.groups.len());
        for (place, expr) in tally.groups.iter().enumerate() {
            let by = match lookups.lookup(expr)? {
                Some(lookup) => By::Lookup(lookup),
                None => {
                    let Some(values) = Values::new(tally.schema.field(place).data_type()) else {
                        return Ok(None);
                    };
                    By::Evaluated { expr: expr.clone(), values }
                }
            };
            levels.push((place, Level::new(by)));
        }
        // What is evaluated comes first: its numbers are places then.
        levels.sort_by_key(|(_, level)| matches!(level.by, By::Lookup(_)));
        let (places, levels) = levels.into_iter().unzip();
        let mut adding = Vec::with_capacity(tally.aggregates.len());
        let mut counted = Vec::with_capacity(tally.aggregates.len());
        for aggregate in &tally.aggregates {
            let Some(one) = begun(aggregate, &lookups)? else { return Ok(None) };
            adding.push(one);
            counted.push(Condition::of(&lookups, aggregate.filter.as_ref())?);
        }
        let reservation = MemoryConsumer::new("tally").register(context.memory_pool());
        let mut running = Self {
            tally,
            lookups,
            reading: Arc::new(Columns::of(&tally.source.rows, [])),
            kept: all.kept,
            conditions: all.evaluated,
            levels,
            places,
            adding,
            counted,
            firsts: Vec::new(),
            goes_on: false,
            met: Vec::new(),
            reservation,
        };
        if running.is_own() { running.placed().map(Some) } else { Ok(None) }
    }

    /// What is evaluated for each row.
    fn evaluated(&mut self) -> impl Iterator<Item = &mut Arc<dyn PhysicalExpr>> {
        let groups = self.levels.iter_mut().filter_map(|level| match &mut level.by {
            By::Evaluated { expr, .. } => Some(expr),
            By::Lookup(_) => None,
        });
        let arguments = self.adding.iter_mut().flat_map(|adding| match adding {
            Adding::Engine { arguments, .. } => arguments.as_mut_slice(),
            Adding::Rows(_) | Adding::Distinct { .. } => &mut [],
        });
        let counted = self.counted.iter_mut().flat_map(|counted| &mut counted.evaluated);
        self.conditions.iter_mut().chain(groups).chain(arguments).chain(counted)
    }

    fn read_columns(&mut self) -> Columns {
        let time = self.tally.source.rows.time.map(|(time, _)| time.index);
        let columns: Vec<usize> = self.evaluated().flat_map(|expr| columns_of(expr)).chain(time).collect();
        Columns::of(&self.tally.source.rows, columns)
    }

    /// Whether what is evaluated is over the table's own columns.
    fn is_own(&mut self) -> bool {
        let own = self.tally.source.rows.columns();
        self.evaluated().all(|expr| columns_of(expr).iter().all(|column| *column < own))
    }

    /// With expressions over what is read.
    fn placed(mut self) -> Result<Self> {
        let reading = self.read_columns();
        for expr in self.evaluated() {
            *expr = reading.expr(expr)?;
        }
        self.reading = Arc::new(reading);
        Ok(self)
    }

    pub(super) async fn run(mut self) -> Result<RecordBatch> {
        let ends = Ends::of(&self.tally.source);
        let Some(shelf) = Shelf::of(self.tally, self.lineages())? else {
            self.take_all(ends).await?;
            return self.finish(None);
        };
        let Beginning { mut standing, keeping } = shelf.begin();
        if let Some(standing) = &standing {
            self.resume(standing)?;
        }
        for moment in keeping {
            match &standing {
                Some(standing) => drop(self.take_since(standing.ends, moment).await?),
                None => self.take_all(moment).await?,
            }
            let made = Arc::new(self.standing(moment)?);
            self.resume(&made)?;
            shelf.keep(made.clone())?;
            standing = Some(made);
        }
        let Some(standing) = standing else {
            self.take_all(ends).await?;
            return self.finish(None);
        };
        shelf.note_rows(self.take_since(standing.ends, ends).await?);
        self.finish(standing.best.as_deref())
    }

    /// From which codes the numbers follow that it goes by.
    fn lineages(&self) -> Vec<u64> {
        let groups = self.levels.iter().flat_map(Level::lineages);
        groups.chain(self.adding.iter().flat_map(Adding::lineages)).collect()
    }

    /// What was added up so far; [resumed](Self::resume) before it goes on.
    fn standing(&mut self, ends: Ends) -> Result<Standing> {
        let groups_total = self.groups_total();
        let added = self.adding.iter_mut().map(|adding| adding.state(groups_total));
        let added = added.collect::<Result<Vec<Added>>>()?;
        let levels = self.levels.iter().map(Level::state).collect();
        let groups: Vec<u32> = (0..u32::try_from(groups_total).unwrap_or(NONE)).collect();
        // Counts never go down: what is not among the best by now has to be met again to be so.
        let best = self.tally.best.as_ref().and_then(|best| match added.get(best.by)? {
            Added::Rows(counts) => self.best(best, &groups, counts),
            Added::Distinct { .. } | Added::Engine(_) => None,
        });
        Ok(Standing { ends, levels, added, firsts: self.firsts.clone(), best })
    }

    fn resume(&mut self, standing: &Standing) -> Result<()> {
        self.goes_on = true;
        self.met.clear();
        self.firsts = standing.firsts.clone();
        for (level, state) in self.levels.iter_mut().zip(&standing.levels) {
            level.resume(state);
        }
        let groups_total = self.groups_total();
        let aggregates = self.adding.iter_mut().zip(&self.tally.aggregates);
        for ((adding, aggregate), state) in aggregates.zip(&standing.added) {
            if let Adding::Engine { adding, .. } = adding {
                *adding = aggregate.accumulator()?;
            }
            adding.resume(state, groups_total)?;
        }
        Ok(())
    }

    fn groups_total(&self) -> usize {
        self.levels.last().map_or(1, Level::len)
    }

    /// Takes the rows that exist at a moment.
    async fn take_all(&mut self, ends: Ends) -> Result<()> {
        let source = &self.tally.source;
        let existing = Existing::at(ends, source, &self.lookups);
        let reading = self.reading.clone();
        for (place, part) in source.rows.origin.parts().iter().enumerate() {
            if !existing.may_have(part) {
                continue;
            }
            let mut from = 0;
            for batch in part.scan(&reading.columns()).map_err(from_store)? {
                let batch = reading.batch(&batch.map_err(from_store)?)?;
                let rows = Rows::From(from);
                let read = Read { batch: &batch, columns: &reading, part: place, rows };
                let mut mask = vec![true; batch.num_rows()];
                existing.mark(&read, &mut mask)?;
                self.take_marked(&read, mask)?;
                from += batch.num_rows();
                self.reserve()?;
                tokio::task::consume_budget().await;
            }
        }
        Ok(())
    }

    /// Takes the rows that exist at a moment and did not at an earlier one. How many those are.
    async fn take_since(&mut self, earlier: Ends, ends: Ends) -> Result<usize> {
        if earlier == ends {
            return Ok(0);
        }
        let source = &self.tally.source;
        if earlier.are_after_all(source) {
            return Ok(0);
        }
        let (existing, before) =
            (Existing::at(ends, source, &self.lookups), Existing::at(earlier, source, &self.lookups));
        let days = Days::of(source, &self.lookups)?;
        let reading = self.reading.clone();
        let mut taken = 0;
        for (place, part) in source.rows.origin.parts().iter().enumerate() {
            let rows = days.rows(place, earlier.first(), ends.last());
            let mut gathering = Gathering::of(&rows);
            let mut scan = part.scan(&reading.columns()).map_err(from_store)?;
            while !gathering.is_over() {
                let Some(batch) = scan.next() else {
                    return Err(DataFusionError::Internal("a part has fewer rows than before".to_owned()));
                };
                gathering.take(&reading.batch(&batch.map_err(from_store)?)?)?;
                if gathering.is_over() || gathering.is_enough() {
                    let (batch, rows) = gathering.gathered(reading.schema())?;
                    let rows = Rows::At(&rows);
                    let read = Read { batch: &batch, columns: &reading, part: place, rows };
                    taken += self.take_come(&read, &existing, &before)?;
                    self.reserve()?;
                    tokio::task::consume_budget().await;
                }
            }
        }
        Ok(taken)
    }

    /// Takes those of some rows that exist and did not before. How many those are.
    fn take_come(&mut self, read: &Read<'_>, existing: &Existing, before: &Existing) -> Result<usize> {
        let rows = read.batch.num_rows();
        let (mut mask, mut were_there) = (vec![true; rows], vec![true; rows]);
        existing.mark(read, &mut mask)?;
        before.mark(read, &mut were_there)?;
        mask.iter_mut().zip(were_there).for_each(|(come, was_there)| *come &= !was_there);
        let come = places(&mask);
        let count = come.len();
        self.take_places(read, come)?;
        Ok(count)
    }

    fn reserve(&self) -> Result<()> {
        let levels: usize = self.levels.iter().map(Level::bytes).sum();
        let adding: usize = self.adding.iter().map(Adding::bytes).sum();
        self.reservation.try_resize(levels + adding)
    }

    /// Takes those of the marked rows of a batch that all conditions keep.
    fn take_marked(&mut self, read: &Read<'_>, mut mask: Vec<bool>) -> Result<()> {
        let (Read { batch, part, .. }, Rows::From(from)) = (read, read.rows) else {
            return self.take_places(read, places(&mask));
        };
        let marked = mask.iter().filter(|marked| **marked).count();
        if marked < mask.len() / SPARSE_ONE_OF {
            return self.take_places(read, places(&mask));
        }
        for kept in &self.kept {
            kept.mark((*part, from), &mut mask);
        }
        for condition in &self.conditions {
            mark(&mut mask, &evaluated_condition(condition, batch)?);
        }
        let kept = places(&mask);
        let left = taken(batch, &kept)?;
        self.add(*part, &rows_at(kept, read.rows), &left)
    }

    /// Takes those of some rows of a batch, by their places, that all conditions keep.
    fn take_places(&mut self, read: &Read<'_>, mut places_left: Vec<u32>) -> Result<()> {
        for kept in &self.kept {
            places_left.retain(|place| kept.keeps(read.part, read.rows.at(*place)));
        }
        let mut left = taken(read.batch, &places_left)?;
        for condition in &self.conditions {
            let mut mask = vec![true; places_left.len()];
            mark(&mut mask, &evaluated_condition(condition, &left)?);
            let kept = places(&mask);
            places_left = kept.iter().filter_map(|place| places_left.get(*place as usize).copied()).collect();
            left = taken(&left, &kept)?;
        }
        self.add(read.part, &rows_at(places_left, read.rows), &left)
    }

    /// Adds rows of a part up; the batch has nothing else.
    fn add(&mut self, part: usize, rows: &[u32], batch: &RecordBatch) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut groups = vec![0_usize; rows.len()];
        let mut groups_total = 1;
        for level in &mut self.levels {
            refine(level, batch, (part, rows), (&mut groups, groups_total))?;
            groups_total = level.len();
        }
        if self.goes_on || groups_total > self.firsts.len() {
            self.note_firsts(part, rows, &groups, groups_total);
        }
        if self.goes_on && self.tally.best.is_some() {
            self.met.extend(groups.iter().filter_map(|group| u32::try_from(*group).ok()));
        }
        for (adding, condition) in self.adding.iter_mut().zip(&self.counted) {
            let counted = counted(condition, batch, (part, rows))?;
            let arguments = match adding {
                Adding::Engine { arguments, .. } => arguments_of(arguments, batch)?,
                Adding::Rows(_) | Adding::Distinct { .. } => Vec::new(),
            };
            let grouped = Grouped { part, rows, groups: &groups, groups_total, counted: counted.as_ref() };
            adding.add(&grouped, &arguments)?;
        }
        Ok(())
    }

    fn note_firsts(&mut self, part: usize, rows: &[u32], groups: &[usize], groups_total: usize) {
        self.firsts.resize(groups_total, u64::MAX);
        for (row, group) in rows.iter().zip(groups) {
            let place = (part as u64) << 32 | u64::from(*row);
            self.firsts[*group] = self.firsts[*group].min(place);
        }
    }

    /// What was added up; of the groups of before, these alone may be among the best that were not met since.
    fn finish(mut self, best_before: Option<&[u32]>) -> Result<RecordBatch> {
        let groups_total = self.groups_total();
        let added = self.adding.iter_mut().map(|adding| adding.finish(groups_total));
        let mut added: Vec<ArrayRef> = added.collect::<Result<_>>()?;
        let mut groups: Vec<u32> = match best_before {
            Some(before) => {
                self.met.extend_from_slice(before);
                self.met.sort_unstable();
                self.met.dedup();
                std::mem::take(&mut self.met)
            }
            None => (0..u32::try_from(groups_total).unwrap_or(NONE)).collect(),
        };
        if let Some(best) = &self.tally.best
            && let Some(by) = added.get(best.by).and_then(|by| by.as_primitive_opt::<Int64Type>())
            && by.null_count() == 0
            && let Some(left) = self.best(best, &groups, by.values())
        {
            groups = left;
        }
        if self.goes_on {
            // As if all rows had come in their order.
            groups.sort_by_key(|group| self.firsts.get(*group as usize).copied().unwrap_or(u64::MAX));
        }
        if self.goes_on || groups.len() < groups_total {
            let places = UInt32Array::from(groups.clone());
            added = added.iter().map(|array| take(array, &places, None)).collect::<Result<_, _>>()?;
        }
        let mut columns: Vec<Option<ArrayRef>> = vec![None; self.levels.len()];
        for (place, array) in self.places.iter().zip(shown(&self.levels, &groups)?) {
            columns[*place] = Some(array);
        }
        let columns = columns.into_iter().flatten().chain(added).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(groups.len()));
        Ok(RecordBatch::try_new_with_options(self.tally.schema.clone(), columns, &options)?)
    }

    /// Of some groups those that may be among the best of their partition.
    fn best(&self, best: &Best, groups: &[u32], by: &[i64]) -> Option<Vec<u32>> {
        let numbers = numbers(&self.levels, groups);
        let level = |place: &usize| {
            let level = self.places.iter().position(|known| known == place)?;
            numbers.get(level).map(Vec::as_slice)
        };
        let within = best.within.iter().map(level).collect::<Option<Vec<&[u32]>>>()?;
        Some(best_of(best.count, &within, groups, by))
    }
}

/// How an aggregate is added up; `None` where it cannot be.
fn begun(aggregate: &Aggregate, lookups: &Lookups) -> Result<Option<Adding>> {
    if aggregate.counts_rows() {
        return Ok(Some(Adding::Rows(Vec::new())));
    }
    if aggregate.counts_distinct() {
        let Some(argument) = aggregate.arguments.first() else { return Ok(None) };
        let Some(lookup) = lookups.lookup(argument)? else { return Ok(None) };
        let seen = Seen::of(lookup.array.len());
        return Ok(Some(Adding::Distinct { lookup, seen, counts: Vec::new() }));
    }
    let adding = aggregate.accumulator()?;
    let types = aggregate.arguments.iter().map(|argument| argument.data_type(lookups.schema()));
    let types = types.collect::<Result<Vec<DataType>>>()?;
    Ok(Some(Adding::Engine { adding, arguments: aggregate.arguments.clone(), types }))
}

/// Leads rows from the groups of the level before, of which there are so many, to a level's own.
fn refine(
    level: &mut Level,
    batch: &RecordBatch,
    (part, rows): (usize, &[u32]),
    (groups, before): (&mut [usize], usize),
) -> Result<()> {
    if let By::Evaluated { expr, values } = &mut level.by {
        let array = expr.evaluate(batch)?.into_array(batch.num_rows())?;
        let mut numbers = Vec::new();
        values.number(&array, &mut numbers)?;
        return level.refine(groups, before, |place| numbers[place]);
    }
    let By::Lookup(lookup) = &level.by else { return Ok(()) };
    let lookup = lookup.clone();
    let codes = lookup.codes.of_part(part);
    let code = |place: usize| codes.get(rows[place] as usize).copied().unwrap_or(NONE);
    match &lookup.table {
        None => level.refine(groups, before, code),
        Some(_) => level.refine(groups, before, |place| lookup.number(code(place))),
    }
}

/// Which rows of a part are at some places of what was read of it.
fn rows_at(mut places: Vec<u32>, rows: Rows<'_>) -> Vec<u32> {
    for place in &mut places {
        *place = u32::try_from(rows.at(*place)).unwrap_or(NONE);
    }
    places
}

fn arguments_of(arguments: &[Arc<dyn PhysicalExpr>], batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
    arguments.iter().map(|expr| expr.evaluate(batch)?.into_array(batch.num_rows())).collect()
}
