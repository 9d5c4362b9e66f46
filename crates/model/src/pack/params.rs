//! Parameters of reports and constants of a pack.

use std::cmp::Ordering;
use std::sync::Arc;

use super::faults::Faults;
use super::parse::{name, short_text, unknown};
use super::tables::nullable_type;
use super::{AS_OF, KeyOf, PLAN, Param, SUBJECT};
use crate::{AppSchema, ColumnType, ErrorKind, Fault, Fields, Instant, Node, TableName, Value};

const PARAMS_MAX: usize = 50;
const CONSTANTS_MAX: usize = 200;
const CHOICES_MAX: usize = 200;
/// Names that every report has.
const RESERVED: [&str; 6] = [AS_OF, "format", "refresh", "table", SUBJECT, PLAN];

/// Whole numbers, decimals, texts and truths.
pub(super) fn constants(node: &Node<'_>, faults: &mut Faults) -> Vec<(String, Value)> {
    let entries = faults.keep(node.entries()).unwrap_or_default();
    if entries.len() > CONSTANTS_MAX {
        faults.add(node.fault(format_args!("has {} constants; allowed are {CONSTANTS_MAX}", entries.len())));
    }
    let mut constants = Vec::new();
    for (given, node) in entries.into_iter().take(CONSTANTS_MAX) {
        let named = faults.keep(free_name(&node, given));
        let value = faults.keep(constant(&node));
        constants.extend(named.and(value).map(|value| (given.to_owned(), value)));
    }
    constants
}

/// A whole number, a decimal, a text or a truth.
pub(super) fn constant(node: &Node<'_>) -> Result<Value, Fault> {
    let value = [ColumnType::Int, ColumnType::Decimal, ColumnType::Bool, ColumnType::Text]
        .into_iter()
        .find_map(|column_type| Value::from_json(node.json(), column_type).ok())
        .filter(|value| *value != Value::Null);
    value.ok_or_else(|| node.expected("a number, a text, true or false"))
}

/// A name that no report has already.
pub(super) fn free_name(node: &Node<'_>, given: &str) -> Result<(), Fault> {
    name(node, given)?;
    if RESERVED.contains(&given) {
        return Err(node.fault(format_args!("{given:?} is a parameter of every report; choose another name")));
    }
    Ok(())
}

/// Reads parameters, whose names no constant and no value of a plan has.
pub(super) fn read(
    node: &Node<'_>,
    constants: &[(String, Value)],
    caller_values: &[(String, Value)],
    schema: &AppSchema,
    faults: &mut Faults,
) -> Vec<Param> {
    let entries = faults.keep(node.entries()).unwrap_or_default();
    if entries.len() > PARAMS_MAX {
        faults.add(node.fault(format_args!("has {} parameters; allowed are {PARAMS_MAX}", entries.len())));
    }
    let mut params = Vec::new();
    for (given, node) in entries.into_iter().take(PARAMS_MAX) {
        let named = faults.keep(free_name(&node, given));
        if constants.iter().any(|(name, _)| name == given) {
            faults.add(node.fault("is a constant of the pack too; choose another name"));
        }
        if caller_values.iter().any(|(name, _)| name == given) {
            faults.add(node.fault("is a value of the pack's plans too; choose another name"));
        }
        // One that is at fault is known by its name, so that what uses it is not at fault too.
        let param = param(given, node, schema, faults).filter(|_| named.is_some());
        params.push(param.unwrap_or_else(|| Param::plain(given, ColumnType::Text)));
    }
    params
}

fn param(name: &str, node: Node<'_>, schema: &AppSchema, faults: &mut Faults) -> Option<Param> {
    let fields = faults.keep(node.fields())?;
    let column_type = faults.keep(fields.required("type").and_then(|node| nullable_type(&node)));
    let description = faults.keep(short_text(&fields, "description"));
    let (default, min, max) = (fields.optional("default"), fields.optional("min"), fields.optional("max"));
    let choices = fields.optional("choices");
    let key_of = fields.optional("key_of");
    let missing = faults.keep(short_text(&fields, "missing"));
    if missing.as_ref().is_some_and(Option::is_some) && key_of.is_none() {
        faults.add(
            fields.fault_at("missing", "is told where `key_of` has no such row, and there is no `key_of`"),
        );
    }
    faults.unknown(fields);

    let (column_type, nullable) = column_type?;
    let key_of = key_of.map(|node| faults.keep(read_key_of(&node, name, column_type, schema)));
    let mut key_of = key_of.map_or(Some(None), |key_of| key_of.map(Some))?;
    if let (Some(key_of), Some(missing)) = (&mut key_of, missing?) {
        key_of.missing = missing;
    }
    let min = faults.keep(bound(min.as_ref(), column_type));
    let max = faults.keep(bound(max.as_ref(), column_type));
    let choices = faults.keep(choices.map_or(Ok(Vec::new()), |node| read_choices(&node, column_type)));
    let given = default.as_ref().map(|node| faults.keep(typed(node, column_type)));
    let mut param = Param {
        name: name.to_owned(),
        description: description?,
        column_type,
        default: nullable.then_some(Value::Null),
        min: min?,
        max: max?,
        choices: choices?,
        key_of,
    };
    if let (Some(node), Some(value)) = (default, given) {
        let value = value?;
        if !param.allows(&value) {
            faults.add(node.expected(param.allowed()));
        }
        param.default = Some(value);
    }
    Some(param)
}

/// What a value of a known type may be: bounds and choices.
pub(super) fn bounded(
    fields: &Fields<'_>,
    name: &str,
    column_type: ColumnType,
    faults: &mut Faults,
) -> Option<Param> {
    let min = faults.keep(bound(fields.optional("min").as_ref(), column_type));
    let max = faults.keep(bound(fields.optional("max").as_ref(), column_type));
    let choices = fields.optional("choices");
    let choices = faults.keep(choices.map_or(Ok(Vec::new()), |node| read_choices(&node, column_type)));
    Some(Param { min: min?, max: max?, choices: choices?, ..Param::plain(name, column_type) })
}

/// The table whose key, of one column and this type, the parameter is.
fn read_key_of(
    node: &Node<'_>,
    param: &str,
    column_type: ColumnType,
    schema: &AppSchema,
) -> Result<KeyOf, Fault> {
    let given = node.text()?;
    let Some(table) = schema.table(&TableName::new(given)) else {
        return Err(node.fault(unknown(
            "table",
            given,
            schema.tables.iter().map(|table| table.name.as_str()),
        )));
    };
    let [key] = table.key.as_slice() else {
        return Err(node.fault(format_args!("{given} has no key of one column")));
    };
    let key = &table.columns[*key];
    if key.column_type != column_type {
        let (own, of_key) = (column_type.name(), key.column_type.name());
        return Err(
            node.fault(format_args!("the key of {given} is of type {of_key}, and the parameter of {own}"))
        );
    }
    let statement = format!("SELECT 1 AS found FROM \"{given}\" WHERE \"{}\" = ${param} LIMIT 1", key.name);
    let missing = format!("There is no such row of {given}.");
    Ok(KeyOf { table: table.name.clone(), statement: Arc::from(statement), missing })
}

/// A value that a parameter is set to: one that it may have.
pub(super) fn set_value(node: &Node<'_>, param: &Param) -> Result<Value, Fault> {
    let value = typed(node, param.column_type)?;
    if param.allows(&value) { Ok(value) } else { Err(node.expected(param.allowed())) }
}

fn typed(node: &Node<'_>, column_type: ColumnType) -> Result<Value, Fault> {
    Value::from_json(node.json(), column_type).map_err(|error| node.fault(error))
}

fn bound(node: Option<&Node<'_>>, column_type: ColumnType) -> Result<Option<Value>, Fault> {
    let Some(node) = node else {
        return Ok(None);
    };
    if matches!(column_type, ColumnType::Bool | ColumnType::Text) {
        return Err(node.fault(format_args!("is for numbers and times; the type is {}", column_type.name())));
    }
    typed(node, column_type).map(Some)
}

fn read_choices(node: &Node<'_>, column_type: ColumnType) -> Result<Vec<Value>, Fault> {
    let items = node.items()?;
    if items.is_empty() || items.len() > CHOICES_MAX {
        return Err(node.fault(format_args!("has {} choices; allowed are 1 to {CHOICES_MAX}", items.len())));
    }
    items.iter().map(|item| typed(item, column_type)).collect()
}

/// A request's parameter that is not what the report takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    #[error("parameter {name}: \"{given}\" was given; allowed is {allowed}")]
    Refused { name: String, given: String, allowed: String },
    #[error("parameter {name} is missing; allowed is {allowed}")]
    Missing { name: String, allowed: String },
}

impl ParamError {
    pub fn refused(name: &str, given: &str, allowed: impl Into<String>) -> Self {
        const GIVEN_CHARS_MAX: usize = 100;
        let shown = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
        let given = given.chars().take(GIVEN_CHARS_MAX).map(shown).collect();
        Self::Refused { name: name.to_owned(), given, allowed: allowed.into() }
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused { .. } | Self::Missing { .. } => ErrorKind::Invalid,
        }
    }
}

impl Param {
    /// A required parameter without bounds.
    pub(super) fn plain(name: &str, column_type: ColumnType) -> Self {
        Self {
            name: name.to_owned(),
            description: None,
            column_type,
            default: None,
            min: None,
            max: None,
            choices: Vec::new(),
            key_of: None,
        }
    }

    /// The value of a text from a path or a query string.
    pub fn read(&self, text: &str) -> Result<Value, ParamError> {
        let value = Value::from_text(text, self.column_type).ok().filter(|value| self.allows(value));
        value.ok_or_else(|| ParamError::refused(&self.name, text, self.allowed()))
    }

    /// The value of a definition.
    pub(super) fn read_json(&self, node: &Node<'_>) -> Result<Value, Fault> {
        let value = typed(node, self.column_type)?;
        if self.allows(&value) { Ok(value) } else { Err(node.expected(self.allowed())) }
    }

    /// The value where the request gives none.
    pub fn absent(&self) -> Result<Value, ParamError> {
        let missing = || ParamError::Missing { name: self.name.clone(), allowed: self.allowed() };
        self.default.clone().ok_or_else(missing)
    }

    /// A value that the parameter may have: what a definition is tried with before anybody asks.
    pub fn sample(&self) -> Value {
        let given = self.default.clone().filter(|value| *value != Value::Null);
        let given = given.or_else(|| self.choices.first().cloned()).or_else(|| self.min.clone());
        given.or_else(|| self.max.clone()).unwrap_or_else(|| match self.column_type {
            ColumnType::Int => Value::Int(1),
            ColumnType::Float => Value::Float(1.0),
            ColumnType::Decimal => Value::Decimal(10_i128.pow(u32::from(crate::DECIMAL_SCALE))),
            ColumnType::Bool => Value::Bool(true),
            ColumnType::Text | ColumnType::Mixed => Value::Text("text".into()),
            ColumnType::Timestamp => Value::Timestamp(Instant::from_micros(0)),
            ColumnType::Date => Value::Date(0),
        })
    }

    /// Whether a value of its type is within its bounds and choices.
    pub fn allows(&self, value: &Value) -> bool {
        let from_min = self.min.as_ref().is_none_or(|min| compare(value, min) != Some(Ordering::Less));
        let to_max = self.max.as_ref().is_none_or(|max| compare(value, max) != Some(Ordering::Greater));
        from_min && to_max && (self.choices.is_empty() || self.choices.contains(value))
    }

    /// `a whole number from 1 to 36`.
    pub fn allowed(&self) -> String {
        let text = |value: &Value| value.canonical_text().unwrap_or_default();
        if !self.choices.is_empty() {
            let choices: Vec<String> = self.choices.iter().map(text).collect();
            return format!("one of {}", choices.join(", "));
        }
        let what = match self.column_type {
            ColumnType::Int => "a whole number",
            ColumnType::Float => "a number",
            ColumnType::Decimal => "a number with at most 9 digits after the point",
            ColumnType::Bool => "true or false",
            ColumnType::Text | ColumnType::Mixed => "text",
            ColumnType::Timestamp => "an RFC 3339 instant, such as 2026-11-20T09:30:00Z,",
            ColumnType::Date => "a date, such as 2026-11-20,",
        };
        let bounds = match (&self.min, &self.max) {
            (Some(min), Some(max)) => format!(" from {} to {}", text(min), text(max)),
            (Some(min), None) => format!(" from {} on", text(min)),
            (None, Some(max)) => format!(" up to {}", text(max)),
            (None, None) => String::new(),
        };
        if self.column_type == ColumnType::Timestamp && bounds.is_empty() {
            return Instant::ALLOWED.to_owned();
        }
        format!("{}{bounds}", if bounds.is_empty() { what.trim_end_matches(',') } else { what })
    }
}

/// Two values of one type.
fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::Float(left), Value::Float(right)) => left.partial_cmp(right),
        (Value::Decimal(left), Value::Decimal(right)) => Some(left.cmp(right)),
        (Value::Timestamp(left), Value::Timestamp(right)) => Some(left.cmp(right)),
        (Value::Date(left), Value::Date(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AppName, Calendar};

    fn param(json: serde_json::Value) -> Param {
        let mut faults = Faults::default();
        let schema = AppSchema { app: AppName::new("a"), calendar: Calendar::utc(), tables: Vec::new() };
        let params = read(&Node::root(&json), &[], &[], &schema, &mut faults);
        assert!(faults.is_empty(), "{faults:?}");
        params.into_iter().next().unwrap()
    }

    #[test]
    fn a_refused_text_is_told_with_its_name_and_what_is_allowed() {
        let months =
            param(serde_json::json!({"months_back": {"type": "int", "default": 6, "min": 1, "max": 36}}));
        assert_eq!(months.read("36").unwrap(), Value::Int(36));
        assert_eq!(months.absent().unwrap(), Value::Int(6));
        for given in ["0", "37", "-1", "x", "1.5", "", " 6", "6 ", "9223372036854775808", "+"] {
            let want =
                format!("parameter months_back: {given:?} was given; allowed is a whole number from 1 to 36");
            assert_eq!(months.read(given).unwrap_err().to_string(), want);
        }
    }

    #[test]
    fn each_type_has_its_bounds_and_its_words() {
        let check = |json: serde_json::Value, allowed: &str, good: &[&str], bad: &[&str]| {
            let param = param(serde_json::json!({"p": json}));
            assert_eq!(param.allowed(), allowed);
            for text in good {
                assert!(param.read(text).is_ok(), "{text} as {json}", json = param.allowed());
            }
            for text in bad {
                assert!(param.read(text).is_err(), "{text} as {json}", json = param.allowed());
            }
        };
        let json = |text: &str| serde_json::from_str(text).unwrap();
        check(
            json(r#"{"type": "float", "default": 2, "min": 0.5, "max": 10}"#),
            "a number from 0.5 to 10",
            &["0.5", "10", "1e0", "9.99"],
            &["0.4", "10.5", "nan", "inf", "abc"],
        );
        check(
            json(r#"{"type": "decimal", "min": 0}"#),
            "a number with at most 9 digits after the point from 0 on",
            &["0", "1.000000001"],
            &["-0.1", "0.0000000001"],
        );
        check(
            json(r#"{"type": "date", "max": "2024-02-29"}"#),
            "a date, such as 2026-11-20, up to 2024-02-29",
            &["2024-02-29"],
            &["2024-03-01", "2023-02-29"],
        );
        check(json(r#"{"type": "text", "choices": ["a", "b"]}"#), "one of a, b", &["a"], &["c", "A", ""]);
        check(json(r#"{"type": "bool"}"#), "true or false", &["true", "false"], &["1", "True"]);
    }

    #[test]
    fn a_nullable_parameter_may_be_left_out_and_another_without_default_may_not() {
        assert_eq!(param(serde_json::json!({"p": {"type": "int?"}})).absent().unwrap(), Value::Null);
        let missing = param(serde_json::json!({"p": {"type": "int"}})).absent().unwrap_err();
        assert_eq!(missing.to_string(), "parameter p is missing; allowed is a whole number");
    }
}
