//! JSON schemas of values: of parameters, of columns, of table rows.

use arrow::datatypes::DataType;
use ebbtide_engine::sql::SqlColumn;
use ebbtide_model::pack::Param;
use ebbtide_model::{Column, ColumnType, TableSchema, Value};
use serde_json::{Map, Value as Json, json};

/// The values that a type takes, in a body or as the text of a parameter.
pub(super) fn of_type(column_type: ColumnType) -> Map<String, Json> {
    let schema = match column_type {
        ColumnType::Int => {
            json!({"type": "integer", "format": "int64", "minimum": i64::MIN, "maximum": i64::MAX})
        }
        ColumnType::Float => json!({"type": "number", "format": "double"}),
        ColumnType::Decimal => json!({"type": "number", "description": "At most 9 digits after the point."}),
        ColumnType::Bool => json!({"type": "boolean"}),
        ColumnType::Text => json!({"type": "string"}),
        ColumnType::Timestamp => json!({"type": "string", "format": "date-time"}),
        ColumnType::Mixed => json!({"description": "Any JSON value."}),
        ColumnType::Date => json!({"type": "string", "format": "date"}),
    };
    schema.as_object().cloned().unwrap_or_default()
}

/// What a parameter may be.
pub(super) fn of_param(param: &Param) -> Json {
    let mut schema = of_type(param.column_type);
    let is_number = matches!(param.column_type, ColumnType::Int | ColumnType::Float | ColumnType::Decimal);
    for (name, bound) in [("minimum", &param.min), ("maximum", &param.max)] {
        if let Some(bound) = bound {
            // JSON schema bounds numbers alone; of times the description tells.
            let name = if is_number { name.to_owned() } else { format!("x-{name}") };
            schema.insert(name, bound.to_json());
        }
    }
    if !param.choices.is_empty() {
        schema.insert("enum".to_owned(), param.choices.iter().map(Value::to_json).collect());
    }
    if let Some(default) = param.default.as_ref().filter(|default| **default != Value::Null) {
        schema.insert("default".to_owned(), default.to_json());
    }
    Json::Object(schema)
}

/// A row as `POST /v1/tables/…/rows` takes it.
pub(super) fn of_row(table: &TableSchema) -> Json {
    let property = |column: &Column| {
        let mut schema = of_type(column.column_type);
        if column.nullable {
            schema.insert("type".to_owned(), json!([schema["type"], "null"]));
        }
        (column.name.clone(), Json::Object(schema))
    };
    let mut properties: Map<String, Json> = table.columns.iter().map(property).collect();
    if let Some(open) = &table.open {
        let described =
            json!({"type": ["object", "null"], "description": "Properties of any name and type."});
        properties.insert(open.field.clone(), described);
    }
    // In an open table what is no column is a property.
    let others = table.open.is_some();
    json!({"type": "object", "title": table.name.as_str(), "properties": properties, "additionalProperties": others})
}

/// A cell of a column that a statement gives.
pub(super) fn of_column(column: &SqlColumn) -> Json {
    let mut schema = of_cell(&column.data_type);
    // What is no finite number is told as null.
    let may_be_null = column.nullable || column.data_type.is_floating();
    let own_type = schema["type"].get(0).cloned();
    if let Some(own_type) = own_type.filter(|_| !may_be_null) {
        schema["type"] = own_type;
    }
    schema
}

/// Any cell of a type, or null.
#[expect(clippy::wildcard_enum_match_arm, reason = "types of Arrow: what is none of these is told as a text")]
fn of_cell(data_type: &DataType) -> Json {
    match data_type {
        DataType::Null => json!({"type": "null"}),
        DataType::Boolean => json!({"type": ["boolean", "null"]}),
        integer if integer.is_integer() => json!({"type": ["integer", "null"]}),
        number if number.is_floating() || number.is_decimal() => json!({"type": ["number", "null"]}),
        DataType::Timestamp(..) => json!({"type": ["string", "null"], "format": "date-time"}),
        DataType::Date32 | DataType::Date64 => json!({"type": ["string", "null"], "format": "date"}),
        DataType::Dictionary(_, values) => of_cell(values),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            json!({"type": ["array", "null"], "items": of_cell(item.data_type())})
        }
        DataType::Struct(fields) => {
            let properties: Map<String, Json> =
                fields.iter().map(|field| (field.name().clone(), of_cell(field.data_type()))).collect();
            json!({"type": ["object", "null"], "properties": properties})
        }
        // Texts, times of day, durations, bytes: all are texts.
        _ => json!({"type": ["string", "null"]}),
    }
}
