//! Rows that were refused, and the tables in which they are kept. Those tables are in every app beside its own,
//! as those of cohorts are.

use crate::{ColumnType, TableName, TableSchema, TenantId, TenantRule, Tenants};

/// Columns of a table of rejects, by their place. The row whose id is empty is no reject: it counts those of its
/// tenant that were let go of (`POSITION`).
pub mod reject_column {
    pub const TENANT: usize = 0;
    /// Ascends with time.
    pub const ID: usize = 1;
    pub const AT: usize = 2;
    /// The table that the row was for.
    pub const TABLE: usize = 3;
    /// By which way it came, so that it can be sent again by the same.
    pub const WAY: usize = 4;
    /// A path, or the name of a file.
    pub const SOURCE: usize = 5;
    /// Its index in a request from 0, its line in a file from 1.
    pub const POSITION: usize = 6;
    pub const COLUMN: usize = 7;
    pub const CODE: usize = 8;
    pub const DETAIL: usize = 9;
    /// As it came, as far as it is kept.
    pub const ROW: usize = 10;
    /// What it had in all.
    pub const ROW_BYTES: usize = 11;
    /// Whether all of it is kept.
    pub const WHOLE: usize = 12;
}

const OF_TENANT: &str = "_rejects";
const OF_APP: &str = "_app_rejects";

/// The table of rows that are of a tenant, or of those about which that is not known: the app's own.
pub fn reject_table(tenants: &Tenants) -> TableName {
    TableName::new(match tenants {
        Tenants::One(_) => OF_TENANT,
        Tenants::All => OF_APP,
    })
}

pub(crate) fn system_tables() -> Vec<TableSchema> {
    let column = TableSchema::column;
    let table = |name: &str, tenant: TenantRule| {
        let columns = vec![
            column("tenant", ColumnType::Text, matches!(tenant, TenantRule::Fixed(_))),
            column("id", ColumnType::Text, false),
            column("at", ColumnType::Timestamp, false),
            column("table", ColumnType::Text, false),
            column("way", ColumnType::Text, false),
            column("source", ColumnType::Text, false),
            column("position", ColumnType::Int, false),
            column("column", ColumnType::Text, true),
            column("code", ColumnType::Text, false),
            column("detail", ColumnType::Text, false),
            column("row", ColumnType::Text, true),
            column("row_bytes", ColumnType::Int, false),
            column("whole", ColumnType::Bool, false),
        ];
        TableSchema::of_system(TableName::new(name), columns, vec![reject_column::ID], tenant)
    };
    let by_column = TenantRule::Column { column: reject_column::TENANT, default: None };
    vec![table(OF_TENANT, by_column), table(OF_APP, TenantRule::Fixed(TenantId::new("app")))]
}
