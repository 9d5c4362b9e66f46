//! The SQL of a pack, tried by the engine that will run it, on tables without rows.

use std::sync::Arc;
use std::time::Duration;

use ebbtide_engine::EngineError;
use ebbtide_engine::sql::{Limits, Planned, Relation, Sql, SqlRequest, SqlRows, UnusedParameters};
use ebbtide_model::pack::{AS_OF, SqlShape, Statement, StatementCheck};
use ebbtide_model::{ColumnType, Instant, TableName, Value};

use super::CellType;

/// Statements are planned by this engine; what does not fit the tables is a fault of the pack.
pub struct PlannedStatements<'s> {
    sql: &'s Sql,
}

impl<'s> PlannedStatements<'s> {
    pub fn new(sql: &'s Sql) -> Self {
        Self { sql }
    }
}

impl StatementCheck for PlannedStatements<'_> {
    fn check(&self, statement: &Statement<'_>) -> Result<Vec<TableName>, String> {
        let as_of = statement.params.iter().find_map(|(name, value)| {
            let Value::Timestamp(instant) = value else { return None };
            (name == AS_OF).then_some(*instant)
        });
        let request = SqlRequest {
            statement: Arc::from(statement.sql),
            params: statement.params.to_vec(),
            unused_params: UnusedParameters::PassedOver,
            relations: relations(statement).map_err(|error| error.to_string())?,
            as_of: as_of.unwrap_or(Instant::from_micros(0)),
            calendar: statement.schema.calendar.clone(),
            limits: Limits { rows_max: 0, bytes_max: 0, time_max: Duration::ZERO },
        };
        let planned = self.sql.check(statement.schema, request).map_err(|error| error.to_string())?;
        fits(statement, &planned)?;
        Ok(planned.tables)
    }
}

/// The tables that the statement reads besides the pack's, without a row.
fn relations(statement: &Statement<'_>) -> Result<Vec<Relation>, EngineError> {
    let relation = |(name, columns): &(String, Vec<(String, ColumnType)>)| {
        let rows = SqlRows::of_values(columns, &[])?;
        Ok(Relation { name: Arc::from(name.as_str()), rows: Arc::new(rows) })
    };
    statement.relations.iter().map(relation).collect()
}

fn fits(statement: &Statement<'_>, planned: &Planned) -> Result<(), String> {
    let names: Vec<&str> = planned.columns.iter().map(|column| column.name.as_str()).collect();
    if let Some(by) = statement.by.filter(|by| !names.contains(by)) {
        return Err(format!("gives no column {by}, which says to which row each of its rows belongs"));
    }
    for wanted in statement.wanted {
        let Some(column) = planned.columns.iter().find(|column| column.name == wanted.column) else {
            return Err(format!(
                "gives no column {}, which the rule reads; there is {}",
                wanted.column,
                names.join(", ")
            ));
        };
        if wanted.number && !CellType::of_data_type(&column.data_type).is_number() {
            return Err(format!(
                "gives {} of type {}, and the rule reads numbers there",
                column.name, column.data_type
            ));
        }
    }
    let (name, want) = match statement.shape {
        SqlShape::Value => ("value", 1),
        SqlShape::Column => ("column", 1),
        SqlShape::Map => ("map", 2),
        SqlShape::Row | SqlShape::Rows => return Ok(()),
    };
    if names.len() == want + usize::from(statement.by.is_some()) {
        return Ok(());
    }
    let besides = statement.by.map(|by| format!(" besides {by}")).unwrap_or_default();
    Err(format!(
        "gives {} columns ({}); for `{name}` there must be {want}{besides}",
        names.len(),
        names.join(", ")
    ))
}
