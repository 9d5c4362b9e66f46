//! How a table's parts are spread over the partitions of a plan: where all rows are one tenant's, by ranges of
//! its actors, in whose order they are stored; else evenly.
//!
//! That an actor is in one partition spares a plan the spreading by hash before it groups by actors, and that
//! rows come in their order spares it the sorting before a window over an actor's rows.

use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::{Result, ScalarValue, SplitPoint};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr, RangePartitioning};
use datafusion::physical_plan::Partitioning;
use ebbtide_model::TableKind;
use ebbtide_store::{Part, SpineActor, SpineColumns, StoreError, TableView};
use serde::{Deserialize, Serialize};

use super::time_range::TimeColumn;

/// A partition is worth its own stream from so many rows on.
const PARTITION_ROWS_MIN: usize = if cfg!(test) { 8 } else { 32_768 };
/// Places that are looked at to find where actors are cut, for each partition.
const CUTS_PER_PARTITION: usize = 16;
/// A partition has at most so many times its even share, or actors are no way to spread the rows.
const SHARE_MAX: usize = 2;

/// The parts of each partition, and where they are in the order of actors: whose they are, and in which.
#[derive(Clone, Debug)]
pub(super) struct Spread {
    pub(super) partitions: Vec<Arc<[Part]>>,
    pub(super) whose: Option<Whose>,
    pub(super) order: Option<ActorOrder>,
}

/// The one tenant of all rows, and where their actors are.
#[derive(Clone, Debug)]
pub(super) struct Whose {
    tenant: Arc<str>,
    columns: SpineColumns,
}

/// Each part's rows ascend by the actor and `then`, nulls first; each partition has the actors from one cut on to
/// before the next.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ActorOrder {
    /// Columns of the table.
    actor: usize,
    then: Option<TimeColumn>,
    /// Whether some rows are nobody's.
    nobody: bool,
    /// The first actor of each partition but the first.
    cuts: Vec<SpineActor>,
}

impl Spread {
    pub(super) fn evenly(view: &TableView, partitions: usize) -> Self {
        Self { partitions: evenly(view.parts(), partitions), whose: None, order: None }
    }

    /// Evenly where rows have no such order.
    pub(super) fn by_actor(view: &TableView, time: Option<TimeColumn>, partitions: usize) -> Self {
        // Without its spine a file is read all the same.
        by_actors(view, time, partitions).ok().flatten().unwrap_or_else(|| Self::evenly(view, partitions))
    }
}

/// `None` where rows have no such order, or no file says where its actors are.
fn by_actors(
    view: &TableView,
    time: Option<TimeColumn>,
    partitions: usize,
) -> Result<Option<Spread>, StoreError> {
    let (table, parts) = (view.schema(), view.parts());
    let Some((columns, tenant)) = SpineColumns::of(table).zip(only_tenant(parts)) else { return Ok(None) };
    let rows: usize = parts.iter().map(Part::rows_max).sum();
    let partitions = partitions.min(rows / PARTITION_ROWS_MIN).max(1);
    let Some(cuts) = cuts(parts, &columns, rows, partitions)? else { return Ok(None) };
    let mut groups = Vec::with_capacity(partitions);
    for partition in 0..=cuts.len() {
        let from = partition.checked_sub(1).map(|before| &cuts[before]);
        let mut group = Vec::with_capacity(parts.len());
        for part in parts {
            match part.of_actors(&columns, &tenant, (from, cuts.get(partition)))? {
                Some(part) if part.rows_max() > 0 => group.push(part),
                Some(_) => {}
                None => return Ok(None),
            }
        }
        groups.push(Arc::from(group));
    }
    let order = ActorOrder {
        actor: columns.actor,
        then: time.filter(|_| table.kind == TableKind::Events),
        nobody: has_nobody(parts, &columns, &tenant)?,
        cuts,
    };
    let whose = Whose { tenant, columns };
    Ok(Some(Spread { partitions: groups, whose: Some(whose), order: Some(order) }))
}

fn has_nobody(parts: &[Part], columns: &SpineColumns, tenant: &str) -> Result<bool, StoreError> {
    for part in parts {
        let own = part.of_actors(columns, tenant, (None, after(&SpineActor::Nobody).as_ref()))?;
        if own.is_none_or(|own| own.rows_max() > 0) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whose all rows are, if they are one's.
fn only_tenant(parts: &[Part]) -> Option<Arc<str>> {
    let mut tenants = parts.iter().flat_map(Part::tenants);
    let first = tenants.next()?;
    tenants.all(|tenant| tenant == first).then_some(first)
}

/// The actors at which as many partitions begin; `None` where some actor has so many rows that they would be
/// far from even.
fn cuts(
    parts: &[Part],
    columns: &SpineColumns,
    rows: usize,
    partitions: usize,
) -> Result<Option<Vec<SpineActor>>, StoreError> {
    if partitions == 1 {
        return Ok(Some(Vec::new()));
    }
    let share = rows / partitions;
    let apart = u32::try_from(share / CUTS_PER_PARTITION).unwrap_or(u32::MAX);
    let mut places = Vec::new();
    for part in parts {
        match part.actor_cuts(columns, apart)? {
            Some(own) => places.extend(own),
            None => return Ok(None),
        }
    }
    places.sort_unstable();
    let (mut cuts, mut passed, mut left) = (Vec::new(), 0, rows);
    for place in places {
        passed += place.rows as usize;
        let is_new = cuts.last().is_none_or(|last| *last < place.actor);
        if passed >= share && is_new && cuts.len() + 1 < partitions {
            if passed > share * SHARE_MAX {
                return Ok(None);
            }
            cuts.push(place.actor);
            (passed, left) = (0, left.saturating_sub(passed));
        }
    }
    Ok((cuts.len() + 1 == partitions && left <= share * SHARE_MAX).then_some(cuts))
}

/// Parts spread over partitions, the big ones first so that the partitions end even. A part that is
/// more than a partition's share of the rows is read by several.
fn evenly(parts: &[Part], partitions: usize) -> Vec<Arc<[Part]>> {
    let partitions = partitions.max(1);
    let share = parts.iter().map(Part::rows_max).sum::<usize>().div_ceil(partitions);
    let pieces = |part: &Part| part.split(part.rows_max().div_ceil(share.max(1)).max(1));
    let mut by_size: Vec<Part> = parts.iter().flat_map(pieces).collect();
    by_size.sort_by_key(|part| std::cmp::Reverse(part.rows_max()));
    let mut groups: Vec<(usize, Vec<Part>)> = Vec::new();
    for part in by_size {
        if groups.len() < partitions {
            groups.push((part.rows_max(), vec![part]));
        } else if let Some(smallest) = groups.iter_mut().min_by_key(|(rows, _)| *rows) {
            smallest.0 += part.rows_max();
            smallest.1.push(part);
        }
    }
    if groups.is_empty() {
        groups.push((0, Vec::new()));
    }
    groups.into_iter().map(|(_, parts)| Arc::from(parts)).collect()
}

impl Whose {
    /// Those of the parts' rows that may be an actor's.
    pub(super) fn of_actor(&self, parts: &[Part], actor: &SpineActor) -> Vec<Part> {
        let next = after(actor);
        let own = |part: &Part| {
            // Where they cannot be found, all are read: what else there is passes no filter.
            let own = part.of_actors(&self.columns, &self.tenant, (Some(actor), next.as_ref()));
            own.ok().flatten().unwrap_or_else(|| part.clone())
        };
        parts.iter().map(own).filter(|part| part.rows_max() > 0).collect()
    }
}

/// The first actor after one; `None` where there is none.
fn after(actor: &SpineActor) -> Option<SpineActor> {
    match actor {
        SpineActor::Nobody => Some(SpineActor::Int(i64::MIN)),
        SpineActor::Int(actor) => actor.checked_add(1).map(SpineActor::Int),
        SpineActor::Text(actor) => Some(SpineActor::Text(format!("{actor}\0").into())),
    }
}

/// The actor that a filter on their column asks for, where it is exactly one.
pub(super) fn actor_of(filter: &Expr, column: &str) -> Option<SpineActor> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = filter else { return None };
    let value = match (&**left, &**right) {
        (Expr::Column(name), Expr::Literal(value, _)) | (Expr::Literal(value, _), Expr::Column(name))
            if name.name == column =>
        {
            value
        }
        _ => return None,
    };
    match value {
        ScalarValue::Int64(Some(actor)) => Some(SpineActor::Int(*actor)),
        ScalarValue::Utf8(Some(actor)) => Some(SpineActor::Text(Box::from(actor.as_str()))),
        _ => None,
    }
}

impl ActorOrder {
    /// The place of the actor among the table's columns.
    pub(super) fn actor(&self) -> usize {
        self.actor
    }

    /// The order of what is read of these columns of the table; `None` where the actor is not among them.
    pub(super) fn of_columns(&self, schema: &SchemaRef, read: &[usize]) -> Option<LexOrdering> {
        // Where there are no nulls they are as well last, which is what plans ask for unless told otherwise.
        let columns = [Some((self.actor, self.nobody)), self.then.map(|then| (then.index, then.nullable))];
        let ascending = |(column, nulls_first)| {
            let place = read.iter().position(|own| *own == column)?;
            let options = SortOptions { descending: false, nulls_first };
            Some(PhysicalSortExpr { expr: Arc::new(Column::new(schema.field(place).name(), place)), options })
        };
        LexOrdering::new(columns.into_iter().flatten().map_while(ascending))
    }

    /// How partitions differ, for whoever reads the actor.
    pub(super) fn partitioning(&self, schema: &SchemaRef, order: &LexOrdering) -> Result<Partitioning> {
        if self.cuts.is_empty() {
            return Ok(Partitioning::UnknownPartitioning(1));
        }
        let actor = order.first();
        let data_type = actor.expr.data_type(schema)?;
        let points = self.cuts.iter().map(|cut| Ok(SplitPoint::new(vec![scalar(cut, &data_type)?])));
        let points = points.collect::<Result<Vec<_>>>()?;
        Ok(Partitioning::Range(RangePartitioning::try_new([actor.clone()].into(), points)?))
    }
}

fn scalar(actor: &SpineActor, data_type: &DataType) -> Result<ScalarValue> {
    match actor {
        SpineActor::Nobody => ScalarValue::try_new_null(data_type),
        SpineActor::Int(actor) => Ok(ScalarValue::Int64(Some(*actor))),
        SpineActor::Text(actor) => Ok(ScalarValue::Utf8(Some(actor.to_string()))),
    }
}
