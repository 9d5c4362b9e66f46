//! Retention: counts into rows, percentages and means.

use std::collections::BTreeMap;

use ebbtide_model::Instant;
use ebbtide_model::query::Retention;

use super::Asking;
use crate::EngineError;
use crate::answer::{CohortCell, CohortGroup, CohortRow, Cohorts, RetentionAnswer};
use crate::behaviour::load::Actors;
use crate::behaviour::retention::{Grid, MEMBERS_MAX, Member, RetentionFold};
use crate::exact::Ratio;

impl Asking<'_> {
    pub(crate) fn retention(&mut self, retention: &Retention) -> Result<RetentionAnswer, EngineError> {
        let fold = RetentionFold::new(self.query, retention, self.as_of)?;
        let loaded = self.load(&fold.times(self.as_of), Actors::Required)?;
        let fold = match &retention.breakdown {
            Some(_) => fold.with_groups(loaded.groups.len())?,
            None => fold,
        };
        let state = loaded.fold_codes(&fold)?;
        let table = Table { fold: &fold, retention, asking: self };
        let members = retention.list_actors.then_some(state.members);
        let cut = members.iter().flatten().any(|row| row.len() > MEMBERS_MAX);
        let all = table.cohorts(&state.all, members);
        let groups = retention.breakdown.as_ref().map(|breakdown| {
            let mut groups: Vec<(u64, usize)> = state
                .groups
                .iter()
                .enumerate()
                .map(|(rank, grid)| (grid.sizes.iter().sum(), rank))
                .filter(|(size, _)| *size > 0)
                .collect();
            // Ranks are in the order of values.
            groups.sort_by_key(|(size, rank)| (std::cmp::Reverse(*size), *rank));
            groups.truncate(breakdown.limit.map_or(usize::MAX, |limit| limit as usize));
            let group = |(_, rank): &(u64, usize)| CohortGroup {
                value: self.group_value(&loaded.groups[*rank]),
                cohorts: table.cohorts(&state.groups[*rank], None),
            };
            groups.iter().map(group).collect()
        });
        if cut {
            self.warnings.push(format!("members are listed up to {MEMBERS_MAX} a period"));
        }
        Ok(RetentionAnswer { all, groups })
    }
}

struct Table<'a> {
    fold: &'a RetentionFold,
    retention: &'a Retention,
    asking: &'a Asking<'a>,
}

impl Table<'_> {
    fn cohorts(&self, grid: &Grid, members: Option<Vec<Vec<Member>>>) -> Cohorts {
        let mut members = members.map(Vec::into_iter);
        let mut rows = Vec::with_capacity(self.fold.rows());
        for row in 0..self.fold.rows() {
            let listed = members.as_mut().map(|members| members.next().unwrap_or_default());
            rows.push(self.row(grid, row, listed));
        }
        let columns = rows.first().map_or(0, |row| row.cells.len());
        Cohorts {
            mean_pooled: (0..columns).map(|column| mean_pooled(&rows, column)).collect(),
            mean_simple: (0..columns).map(|column| mean_simple(&rows, column)).collect(),
            rows,
        }
    }

    fn row(&self, grid: &Grid, row: usize, members: Option<Vec<Member>>) -> CohortRow {
        let as_of = self.asking.as_of.micros();
        let start = self.fold.bounds[row];
        let cell = |column: usize| {
            let (begin, end) = self.span(row, column);
            let count = grid.cells.get(row * self.fold.columns + column).copied().unwrap_or(0);
            CohortCell { count: (begin <= as_of).then_some(count), complete: end <= as_of }
        };
        let listed = |mut members: Vec<Member>| {
            members.sort_unstable();
            members.truncate(MEMBERS_MAX);
            members.iter().map(|(tenant, actor)| self.asking.actor_id(tenant, actor)).collect()
        };
        let at = Instant::from_micros(start);
        CohortRow {
            start: at,
            label: self.asking.query.calendar.label(self.retention.period, at),
            size: (start <= as_of).then(|| grid.sizes.get(row).copied().unwrap_or(0)),
            cells: (0..self.fold.row_cells(row)).map(cell).collect(),
            members: members.map(listed),
        }
    }

    /// When a cell's period begins and ends. Rolling ones are each member's own: from the first that
    /// may begin to the last that may end.
    fn span(&self, row: usize, column: usize) -> (i64, i64) {
        let bounds = &self.fold.bounds;
        let Some(period) = self.fold.rolling else {
            return (bounds[row + column], bounds[row + column + 1]);
        };
        let after = |periods: usize| period.saturating_mul(i64::try_from(periods).unwrap_or(i64::MAX));
        let last_start = bounds[row + 1] - 1;
        (bounds[row].saturating_add(after(column)), last_start.saturating_add(after(column + 1)))
    }
}

/// Count and size of a column's complete cells.
fn complete(rows: &[CohortRow], column: usize) -> impl Iterator<Item = (u64, u64)> {
    rows.iter().filter_map(move |row| {
        let cell = row.cells.get(column).filter(|cell| cell.complete)?;
        Some((cell.count?, row.size?))
    })
}

fn mean_pooled(rows: &[CohortRow], column: usize) -> Option<Ratio> {
    let (mut count, mut size) = (0_u128, 0_u128);
    for (cell_count, cell_size) in complete(rows, column) {
        count += u128::from(cell_count);
        size += u128::from(cell_size);
    }
    Ratio::new(count * 100, size)
}

fn mean_simple(rows: &[CohortRow], column: usize) -> Option<Ratio> {
    // Fractions over the same size add up before others are brought in, which keeps numbers small.
    let mut by_size: BTreeMap<u64, u128> = BTreeMap::new();
    let mut cells = 0;
    for (count, size) in complete(rows, column).filter(|(_, size)| *size > 0) {
        *by_size.entry(size).or_default() += u128::from(count) * 100;
        cells += 1;
    }
    let fractions = by_size.into_iter().filter_map(|(size, count)| Ratio::new(count, size));
    let sum = fractions.reduce(|sum, fraction| sum.plus(&fraction))?;
    sum.over(cells)
}
