//! What a type's name in a statement means: an instant is always in microseconds of UTC, as in tables,
//! so that comparing one with another casts nothing.

use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::DataType;

use super::functions::timestamp_type;

#[derive(Debug)]
pub(super) struct Types;

impl TypePlanner for Types {
    fn plan_type_field(&self, sql_type: &DataType) -> Result<Option<FieldRef>> {
        Ok(match sql_type {
            DataType::Timestamp(..) | DataType::Datetime(_) => {
                Some(Arc::new(Field::new("", timestamp_type(), true)))
            }
            _ => None,
        })
    }
}
