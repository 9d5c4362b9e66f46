//! Rows of any pack's tables, for any tenant: ids of its own, references among them, and a canary in every
//! text that means nothing to the pack's SQL.

use std::collections::BTreeMap;

use ebbtide_model::pack::Pack;
use ebbtide_model::{Column, ColumnType, TableSchema, TenantRule};
use serde_json::{Map, Value as Json, json};

/// The tenants that have rows.
pub(crate) const TENANTS: [u32; 3] = [1, 2, 3];

/// One that has none to begin with.
pub(crate) const STRANGER: u32 = 9;

pub(crate) const EVERYBODY: [u32; 4] = [1, 2, 3, STRANGER];

/// Rows of a tenant in a table.
const ROWS: u32 = 24;

/// What every text of a tenant begins with; short, since some reports cut texts.
pub(crate) fn canary(tenant: u32) -> String {
    format!("qzCanary{tenant}qz")
}

/// How an app's tenants, tables and words look.
pub(crate) struct Shape {
    pub(crate) pack: Pack,
    tenant_type: ColumnType,
    /// Column → words that the pack's SQL looks for in it.
    words: BTreeMap<String, Vec<String>>,
}

impl Shape {
    pub(crate) fn new(pack: Pack, yaml: &str) -> Self {
        let column_type = |table: &TableSchema| match &table.tenant {
            TenantRule::Column { column, .. } => Some(table.columns[*column].column_type),
            TenantRule::Parent { .. } | TenantRule::Fixed(_) => None,
        };
        let tenant_type = pack.schema.tables.iter().find_map(column_type).unwrap_or(ColumnType::Text);
        let columns = pack.schema.tables.iter().flat_map(|table| &table.columns);
        let texts = columns.filter(|column| column.column_type == ColumnType::Text);
        let mut words: BTreeMap<String, Vec<String>> =
            texts.map(|column| (column.name.clone(), words_of(&column.name, yaml))).collect();
        if let Some(plans) = &pack.plans {
            // A free plan first would leave the tenants without reports.
            let names = plans.list().iter().rev().map(|plan| plan.name.clone());
            words.insert("plan".to_owned(), names.collect());
        }
        Self { pack, tenant_type, words }
    }

    pub(crate) fn app(&self) -> &str {
        self.pack.schema.app.as_str()
    }

    /// As a token names it.
    pub(crate) fn tenant(&self, tenant: u32) -> String {
        match self.tenant_type {
            ColumnType::Int => tenant.to_string(),
            _ => format!("tenant-{tenant}"),
        }
    }

    /// The user of a tenant by whom its rows with a `…_id` of index 0 are owned.
    pub(crate) fn subject(&self, tenant: u32) -> String {
        let ids = self.pack.schema.tables.iter().flat_map(|table| &table.columns);
        let owner = ids.clone().find(|column| matches!(column.name.as_str(), "owner_id" | "user_id"));
        match owner.map(|column| column.column_type) {
            Some(ColumnType::Text) => text_id(tenant, 0),
            _ => int_id(tenant, 0).to_string(),
        }
    }

    /// An id of one of a tenant's rows, as a path has it.
    pub(crate) fn id(&self, tenant: u32, index: u32, column_type: ColumnType) -> String {
        match column_type {
            ColumnType::Text | ColumnType::Mixed => text_id(tenant, index % ROWS),
            _ => int_id(tenant, index % ROWS).to_string(),
        }
    }

    /// All rows of a tenant in a table.
    pub(crate) fn rows(&self, table: &TableSchema, tenant: u32) -> Vec<Json> {
        let single = is_tenants_own(table);
        (0..if single { 1 } else { ROWS }).map(|index| self.row(table, tenant, index)).collect()
    }

    pub(crate) fn row(&self, table: &TableSchema, tenant: u32, index: u32) -> Json {
        let mut row = Map::new();
        for (position, column) in table.columns.iter().enumerate() {
            let is_tenant = matches!(&table.tenant, TenantRule::Column { column, .. } if *column == position);
            let value = if is_tenant {
                self.tenant_value(column, tenant)
            } else if table.key.contains(&position) {
                id_value(column, tenant, index)
            } else {
                self.value(column, tenant, index)
            };
            row.insert(column.name.clone(), value);
        }
        Json::Object(row)
    }

    fn tenant_value(&self, column: &Column, tenant: u32) -> Json {
        match column.column_type {
            ColumnType::Int => json!(tenant),
            _ => json!(self.tenant(tenant)),
        }
    }

    fn value(&self, column: &Column, tenant: u32, index: u32) -> Json {
        if column.name.ends_with("_id") && column.name != "session_id" {
            return id_value(column, tenant, index * 7);
        }
        match column.column_type {
            ColumnType::Text | ColumnType::Mixed => self.text(column, tenant, index),
            ColumnType::Int => json!(index % 50),
            ColumnType::Float => json!(f64::from(index % 10) / 10.0),
            ColumnType::Decimal => json!(format!("{index}.5")),
            ColumnType::Bool => json!(index % 4 != 3),
            ColumnType::Date => json!(day(index)),
            ColumnType::Timestamp => json!(format!("{}T{:02}:15:00Z", day(index), index % 24)),
        }
    }

    /// One of the words that the pack knows, or else the tenant's canary.
    fn text(&self, column: &Column, tenant: u32, index: u32) -> Json {
        let words = &self.words[&column.name];
        match words.get(index as usize % (words.len() + 1)) {
            Some(word) => json!(word),
            None => json!(format!("{} of {} {index}", canary(tenant), column.name)),
        }
    }
}

/// Whether the table has one row per tenant: the tenant is its key.
fn is_tenants_own(table: &TableSchema) -> bool {
    matches!(&table.tenant, TenantRule::Column { column, .. } if table.key == [*column])
}

fn int_id(tenant: u32, index: u32) -> u32 {
    tenant * 1_000 + index
}

fn text_id(tenant: u32, index: u32) -> String {
    format!("k{tenant}-{index}")
}

fn id_value(column: &Column, tenant: u32, index: u32) -> Json {
    match column.column_type {
        ColumnType::Text | ColumnType::Mixed => json!(text_id(tenant, index % ROWS)),
        _ => json!(int_id(tenant, index % ROWS)),
    }
}

/// Over the eight months before the tests' now.
fn day(index: u32) -> String {
    let (month, day) = (index * 11 % 8, 1 + index * 5 % 14);
    match 8 + month {
        month @ 1..=12 => format!("2025-{month:02}-{day:02}"),
        month => format!("2026-{:02}-{day:02}", month - 12),
    }
}

/// The texts that a column is compared with somewhere in the pack.
fn words_of(column: &str, yaml: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, _) in yaml.match_indices(column) {
        let before = yaml[..at].chars().next_back();
        let rest = yaml[at + column.len()..].trim_start();
        if before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_') {
            continue;
        }
        let list = match rest {
            _ if rest.starts_with("= '") => rest[2..].split_inclusive('\'').take(2).collect::<String>(),
            _ if rest.starts_with("IN (") => rest[4..].split(')').next().unwrap_or_default().to_owned(),
            _ => continue,
        };
        words.extend(list.split('\'').skip(1).step_by(2).map(str::to_owned));
    }
    words.sort();
    words.dedup();
    words
}

#[test]
fn the_words_of_a_column_are_those_it_is_compared_with() {
    let yaml = "WHERE status = 'open' AND my_status = 'x' OR status IN ('done', 'gone') AND status <> 'no'";
    assert_eq!(words_of("status", yaml), ["done", "gone", "open"]);
}
