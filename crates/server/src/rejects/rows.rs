//! Rejects as rows of their table, and back.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int64Type, Schema, TimestampMicrosecondType};
use arrow::error::ArrowError;
use ebbtide_model::{
    Instant, Scope, TableName, TableSchema, TenantId, TenantRule, Tenants, reject_column, reject_table,
};
use ebbtide_store::{ColumnRef, Snapshot, StoreError, declared_schema};

use super::{KeptRow, Owner, Reject, Way};

/// How many rejects of an owner were let go of.
#[derive(Clone, Debug)]
pub(super) struct Forgotten {
    pub(super) owner: Owner,
    pub(super) rows: u64,
}

/// Where an owner's rejects are: a table, and the scope that reaches no other's there.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) table: TableName,
    pub(super) own: Scope,
}

impl Place {
    /// `None` where the owner's are none of the scope's.
    pub(super) fn of(scope: &Scope, owner: &Owner) -> Option<Self> {
        let (of, tenant) = match owner {
            Owner::Tenant(tenant) => (Tenants::One(tenant.clone()), tenant.clone()),
            Owner::App if *scope.tenants() == Tenants::All => (Tenants::All, app_tenant()),
            Owner::App => return None,
        };
        Some(Self { table: reject_table(&of), own: scope.narrowed_to(&tenant)? })
    }
}

/// The tenant of the app's own tables.
fn app_tenant() -> TenantId {
    TenantId::new("app")
}

/// Rows for a table of rejects.
pub(super) fn batch_of(
    table: &TableSchema,
    rejects: &[Reject],
    forgotten: &[Forgotten],
) -> Result<RecordBatch, ArrowError> {
    let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let bytes = |row: &Option<KeptRow>| row.as_ref().map_or(0, |row| count(row.bytes as u64));
    let counters = || forgotten.iter();
    let texts = |of: &dyn Fn(&Reject) -> Option<&str>, counter: Option<&str>| -> ArrayRef {
        Arc::new(StringArray::from_iter(
            rejects.iter().map(of).chain(counters().map(|_| counter.map(|text| text as &str))),
        ))
    };
    let tenant = |owner: &Owner| match owner {
        Owner::Tenant(tenant) => Some(tenant.as_str().to_owned()),
        Owner::App => None,
    };
    let owners = rejects.iter().map(|reject| &reject.owner).chain(counters().map(|one| &one.owner));
    let instants =
        rejects.iter().map(|reject| reject.at.micros()).chain(counters().map(|_| 0)).collect::<Vec<_>>();
    let positions = rejects.iter().map(|reject| count(reject.position));
    let row_bytes = rejects.iter().map(|reject| bytes(&reject.row)).chain(counters().map(|_| 0));
    let whole = rejects.iter().map(|reject| reject.row.as_ref().is_some_and(|row| row.whole));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter(owners.map(tenant))),
        texts(&|reject| Some(&reject.id), Some("")),
        Arc::new(TimestampMicrosecondArray::from(instants).with_timezone("+00:00")),
        texts(&|reject| Some(reject.table.as_str()), Some("")),
        texts(&|reject| Some(reject.way.name()), Some("")),
        texts(&|reject| Some(&reject.source), Some("")),
        Arc::new(Int64Array::from_iter_values(positions.chain(counters().map(|one| count(one.rows))))),
        texts(&|reject| reject.column.as_deref(), None),
        texts(&|reject| Some(&reject.code), Some("")),
        texts(&|reject| Some(&reject.detail), Some("")),
        texts(&|reject| reject.row.as_ref().map(|row| row.text.as_str()), None),
        Arc::new(Int64Array::from_iter_values(row_bytes)),
        Arc::new(BooleanArray::from_iter(whole.chain(counters().map(|_| true)).map(Some))),
    ];
    RecordBatch::try_new(declared_schema(table), columns)
}

/// Keys of rejects, as a deletion takes them.
pub(super) fn keys_of<'i>(
    table: &TableSchema,
    ids: impl IntoIterator<Item = &'i str>,
) -> Result<RecordBatch, ArrowError> {
    let declared = declared_schema(table);
    let fields: Vec<_> = table.key.iter().map(|column| declared.field(*column).clone()).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from_iter_values(ids))];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// What of a reject is needed to find, count and bound them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'r> {
    pub(super) id: &'r str,
    pub(super) owner: HeadOwner<'r>,
    pub(super) table: &'r str,
    pub(super) code: &'r str,
    /// Of the row, as far as it is kept.
    pub(super) row_bytes: u64,
    /// Of a counter, how many were let go of.
    pub(super) position: u64,
}

/// An owner, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadOwner<'r> {
    Tenant(&'r str),
    App,
}

impl HeadOwner<'_> {
    pub(super) fn to_owner(self) -> Owner {
        match self {
            Self::Tenant(tenant) => Owner::Tenant(TenantId::new(tenant)),
            Self::App => Owner::App,
        }
    }
}

/// The tables that a scope's rejects are in.
pub(super) fn tables_of(scope: &Scope) -> Vec<TableName> {
    match scope.tenants() {
        Tenants::One(_) => vec![reject_table(scope.tenants())],
        Tenants::All => {
            let of_tenants = reject_table(&Tenants::One(app_tenant()));
            vec![of_tenants, reject_table(&Tenants::All)]
        }
    }
}

/// Calls for each row, counters among them, whose id is empty.
pub(super) fn for_each_head(
    snapshot: &Snapshot,
    scope: &Scope,
    table: &TableName,
    mut each: impl FnMut(Head<'_>),
) -> Result<(), StoreError> {
    use reject_column::{CODE, ID, POSITION, ROW_BYTES, TABLE, TENANT};
    let is_fixed = is_fixed(snapshot, table);
    let columns = [TENANT, ID, TABLE, CODE, ROW_BYTES, POSITION].map(ColumnRef::Declared);
    for part in snapshot.table(scope, table)?.parts() {
        for batch in part.scan(&columns)? {
            let batch = batch?;
            let text = |index: usize| batch.column(index).as_string::<i32>();
            let number = |index: usize| batch.column(index).as_primitive::<Int64Type>();
            let (tenants, ids, tables, codes) = (text(0), text(1), text(2), text(3));
            let (bytes, positions) = (number(4), number(5));
            for row in 0..batch.num_rows() {
                let owner = if is_fixed { HeadOwner::App } else { HeadOwner::Tenant(tenants.value(row)) };
                each(Head {
                    id: ids.value(row),
                    owner,
                    table: tables.value(row),
                    code: codes.value(row),
                    row_bytes: u64::try_from(bytes.value(row)).unwrap_or(0),
                    position: u64::try_from(positions.value(row)).unwrap_or(0),
                });
            }
        }
    }
    Ok(())
}

fn is_fixed(snapshot: &Snapshot, table: &TableName) -> bool {
    let schema = snapshot.app().table(table);
    schema.is_some_and(|schema| matches!(schema.tenant, TenantRule::Fixed(_)))
}

/// Calls for each reject whose id is wanted.
pub(super) fn for_each_reject(
    snapshot: &Snapshot,
    scope: &Scope,
    table: &TableName,
    is_wanted: impl Fn(&str) -> bool,
    mut each: impl FnMut(Reject),
) -> Result<(), StoreError> {
    use reject_column as at;
    let is_fixed = is_fixed(snapshot, table);
    let columns: Vec<ColumnRef> = (at::TENANT..=at::WHOLE).map(ColumnRef::Declared).collect();
    for part in snapshot.table(scope, table)?.parts() {
        for batch in part.scan(&columns)? {
            let batch = batch?;
            for row in 0..batch.num_rows() {
                let id = batch.column(at::ID).as_string::<i32>().value(row);
                if !id.is_empty() && is_wanted(id) {
                    each(reject_at(&batch, row, is_fixed));
                }
            }
        }
    }
    Ok(())
}

fn reject_at(batch: &RecordBatch, row: usize, is_fixed: bool) -> Reject {
    use reject_column as at;
    let optional = |column: usize| {
        let texts = batch.column(column).as_string::<i32>();
        texts.is_valid(row).then(|| texts.value(row).to_owned())
    };
    let text = |column: usize| optional(column).unwrap_or_default();
    let number = |column: usize| {
        let number = batch.column(column).as_primitive::<Int64Type>().value(row);
        u64::try_from(number).unwrap_or(0)
    };
    let instant = batch.column(at::AT).as_primitive::<TimestampMicrosecondType>().value(row);
    let whole = batch.column(at::WHOLE).as_boolean().value(row);
    let bytes = usize::try_from(number(at::ROW_BYTES)).unwrap_or(usize::MAX);
    Reject {
        owner: if is_fixed { Owner::App } else { Owner::Tenant(TenantId::new(&text(at::TENANT))) },
        id: text(at::ID),
        at: Instant::from_micros(instant),
        table: TableName::new(&text(at::TABLE)),
        way: Way::from_name(&text(at::WAY)).unwrap_or(Way::Rows),
        source: text(at::SOURCE),
        position: number(at::POSITION),
        column: optional(at::COLUMN),
        code: text(at::CODE),
        detail: text(at::DETAIL),
        row: optional(at::ROW).map(|text| KeptRow { text, bytes, whole }),
    }
}
