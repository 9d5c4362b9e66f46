//! Where a part's rows, which ascend by whose they are, can be cut and narrowed.

use std::cmp::Ordering;
use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::Int64Type;

use crate::StoreError;
use crate::chunk::Chunk;
use crate::columns::DECLARED_INDEX;
use crate::segment::{SpineActor, SpineColumns, SpineCut};
use crate::snapshot::{Part, Run};

impl Part {
    /// Where its rows could be cut between two actors, about so many rows apart; `None` where its file has no
    /// spine that says so.
    pub fn actor_cuts(
        &self,
        columns: &SpineColumns,
        apart: u32,
    ) -> Result<Option<Vec<SpineCut>>, StoreError> {
        match &self.run {
            Run::Memory { chunk, .. } => Ok(Some(chunk_cuts(chunk, columns, &self.run_rows(), apart))),
            Run::Segment { .. } => match self.unnamed_spine() {
                Some(spine) => spine.cuts(apart).map(Some),
                None => Ok(None),
            },
        }
    }

    /// Those of its rows that are of a tenant's actors from one on to before another; `None` as an end is the
    /// end of all. `None` where its file has no spine that says where they are.
    pub fn of_actors(
        &self,
        columns: &SpineColumns,
        tenant: &str,
        (from, to): (Option<&SpineActor>, Option<&SpineActor>),
    ) -> Result<Option<Self>, StoreError> {
        let mut rows = self.run_rows();
        for (actor, end) in [(from, &mut rows.start), (to, &mut rows.end)] {
            let Some(actor) = actor else { continue };
            *end = match &self.run {
                Run::Memory { chunk, .. } => chunk_seek(chunk, columns, &self.run_rows(), tenant, actor),
                Run::Segment { .. } => match self.unnamed_spine() {
                    Some(spine) => spine.seek(tenant, actor)?,
                    None => return Ok(None),
                },
            };
        }
        Ok(Some(self.between(rows)))
    }

    fn unnamed_spine(&self) -> Option<crate::segment::SpineScan> {
        let Run::Segment { live, .. } = &self.run else { return None };
        live.spine(self.run_rows(), None)
    }
}

fn actors<'c>(chunk: &'c Chunk, columns: &SpineColumns) -> &'c ArrayRef {
    chunk.batch.column(DECLARED_INDEX + columns.actor)
}

fn chunk_cuts(chunk: &Chunk, columns: &SpineColumns, rows: &Range<u32>, apart: u32) -> Vec<SpineCut> {
    let actors = actors(chunk, columns);
    let places = rows.clone().step_by(apart.max(1) as usize).skip(1);
    let mut last = rows.start;
    let cut = |row: u32| {
        let tenant = chunk.directory.within(&(row..row + 1)).pop()?.0;
        let cut = SpineCut { tenant, actor: actor_at(actors, row)?, rows: row - last };
        last = row;
        Some(cut)
    };
    places.filter_map(cut).collect()
}

/// The first of these rows that is not below this actor of this tenant.
fn chunk_seek(
    chunk: &Chunk,
    columns: &SpineColumns,
    rows: &Range<u32>,
    tenant: &str,
    actor: &SpineActor,
) -> u32 {
    let actors = actors(chunk, columns);
    let is_below = |row: u32| {
        let own = chunk.directory.tenant_of(row).unwrap_or_default();
        own.cmp(tenant).then_with(|| actor_at(actors, row).as_ref().cmp(&Some(actor))) == Ordering::Less
    };
    let (mut low, mut high) = (rows.start, rows.end);
    while low < high {
        let middle = low.midpoint(high);
        if is_below(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

/// `None` for what is no actor of a spine.
fn actor_at(actors: &ArrayRef, row: u32) -> Option<SpineActor> {
    let row = row as usize;
    if actors.is_null(row) {
        return Some(SpineActor::Nobody);
    }
    if let Some(texts) = actors.as_string_opt::<i32>() {
        return Some(SpineActor::Text(Box::from(texts.value(row))));
    }
    actors.as_primitive_opt::<Int64Type>().map(|numbers| SpineActor::Int(numbers.value(row)))
}
