//! Conditions on the properties of an event or an actor, as a query writes them.

use serde_json::{Map, Number, Value as Json, json};

use super::condition::Membership;
use crate::cohort::decode_cohort_name;
use crate::number::{digits, exact_number};
use crate::{Fault, Node};

pub(super) const NAME_BYTES_MAX: usize = 200;
const DEPTH_MAX: usize = 8;
const LIST_MAX: usize = 100;
const VALUES_MAX: usize = 1_000;
const TEXT_BYTES_MAX: usize = 10_000;
const PATTERN_BYTES_MAX: usize = 1_000;
/// What a compiled pattern may take in memory.
const PATTERN_MEMORY_BYTES_MAX: usize = 1 << 18;

/// A condition that holds for an event or not.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    Test(Test),
    Any(Vec<Filter>),
    All(Vec<Filter>),
    Cohort(CohortFilter),
}

/// Whether an event's actor is one of a saved set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CohortFilter {
    pub cohort: String,
    pub membership: Membership,
}

/// One property put to one test.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    pub prop: String,
    pub op: Op,
    /// One value; any number for `in` and `not_in`; none for `is_set` and `is_not_set`.
    pub values: Vec<Scalar>,
    pub scope: PropScope,
}

/// Whose property it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PropScope {
    #[default]
    Event,
    Actor,
}

/// A value as JSON writes it: `0`, `"0"`, `false` and `null` differ.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    Null,
    Bool(bool),
    Number(Number),
    /// A number with more digits than 64 bits tell apart, as it was written.
    Digits(String),
    Text(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    Eq,
    Neq,
    In,
    NotIn,
    Contains,
    NotContains,
    Matches,
    IsSet,
    IsNotSet,
    Lt,
    Lte,
    Gt,
    Gte,
}

impl Op {
    const ALL: [(&str, Self); 13] = [
        ("eq", Self::Eq),
        ("neq", Self::Neq),
        ("in", Self::In),
        ("not_in", Self::NotIn),
        ("contains", Self::Contains),
        ("not_contains", Self::NotContains),
        ("matches", Self::Matches),
        ("is_set", Self::IsSet),
        ("is_not_set", Self::IsNotSet),
        ("lt", Self::Lt),
        ("lte", Self::Lte),
        ("gt", Self::Gt),
        ("gte", Self::Gte),
    ];

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, op)| *op)
    }

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, op)| *op == self).map_or("", |(name, _)| name)
    }
}

impl PropScope {
    pub(super) fn decode(node: Option<Node<'_>>) -> Result<Self, Fault> {
        let from_name = |name: &str| match name {
            "event" => Some(Self::Event),
            "actor" => Some(Self::Actor),
            _ => None,
        };
        node.map_or(Ok(Self::default()), |node| node.choice(&["event", "actor"], from_name))
    }

    pub(super) fn to_json(self) -> Json {
        Json::from(match self {
            Self::Event => "event",
            Self::Actor => "actor",
        })
    }
}

impl Filter {
    pub(super) fn decode_list(node: Option<Node<'_>>) -> Result<Vec<Self>, Fault> {
        node.map_or(Ok(Vec::new()), |node| Self::decode_items(&node, DEPTH_MAX))
    }

    fn decode_items(node: &Node<'_>, depth: usize) -> Result<Vec<Self>, Fault> {
        let items = node.items()?;
        if items.len() > LIST_MAX {
            return Err(node.fault(format_args!(
                "{} filters were given; allowed is up to {LIST_MAX} in a list",
                items.len()
            )));
        }
        items.into_iter().map(|item| Self::decode(item, depth)).collect()
    }

    fn decode(node: Node<'_>, depth: usize) -> Result<Self, Fault> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(node.fault(format_args!(
                "a filter inside of {DEPTH_MAX} others was given; allowed is none that is deeper than {DEPTH_MAX}"
            )));
        };
        let has = |name: &str| node.json().get(name).is_some_and(|json| !json.is_null());
        let list = if has("any") {
            Some("any")
        } else if has("all") {
            Some("all")
        } else {
            None
        };
        let Some(list) = list else {
            let cohort = has("cohort");
            return if cohort {
                CohortFilter::decode(node).map(Self::Cohort)
            } else {
                Test::decode(node).map(Self::Test)
            };
        };
        let fields = node.fields()?;
        let items = Self::decode_items(&fields.required(list)?, depth)?;
        fields.finish()?;
        Ok(if list == "any" { Self::Any(items) } else { Self::All(items) })
    }

    pub(super) fn to_json(&self) -> Json {
        match self {
            Self::Test(test) => test.to_json(),
            Self::Any(filters) => json!({"any": Self::list_json(filters)}),
            Self::All(filters) => json!({"all": Self::list_json(filters)}),
            Self::Cohort(CohortFilter { cohort, membership }) => {
                json!({"cohort": cohort, "op": membership.name()})
            }
        }
    }

    pub(super) fn list_json(filters: &[Self]) -> Json {
        filters.iter().map(Self::to_json).collect()
    }
}

impl CohortFilter {
    fn decode(node: Node<'_>) -> Result<Self, Fault> {
        let fields = node.fields()?;
        let cohort = decode_cohort_name(&fields.required("cohort")?)?;
        let membership = fields.optional("op").map_or(Ok(Membership::In), |node| {
            node.choice(&["in", "not_in"], |name| match name {
                "in" => Some(Membership::In),
                "not_in" => Some(Membership::NotIn),
                _ => None,
            })
        })?;
        fields.finish()?;
        Ok(Self { cohort, membership })
    }
}

impl Test {
    fn decode(node: Node<'_>) -> Result<Self, Fault> {
        // To `optional` a null is absent, but a property may be compared with it.
        let null_given = node.json().get("value").is_some_and(Json::is_null);
        let fields = node.fields()?;
        let prop = fields.required("prop").map_err(|missing| Fault {
            problem: "is missing; allowed is the name of a property (or, instead, a list `any` or `all`)"
                .to_owned(),
            ..missing
        })?;
        let prop = decode_name(&prop)?;
        let names = Op::ALL.map(|(name, _)| name);
        let op = fields.optional("op").map_or(Ok(Op::Eq), |node| node.choice(&names, Op::from_name))?;
        let value = fields.optional("value").map_or(Ok(None), |node| values(&node, op).map(Some))?;
        let scope = PropScope::decode(fields.optional("scope"))?;
        let fault = fields.fault_at("value", missing(op));
        fields.finish()?;
        let values = match (op, value) {
            (_, Some(values)) => values,
            (Op::IsSet | Op::IsNotSet, None) => Vec::new(),
            (Op::Eq | Op::Neq, None) if null_given => vec![Scalar::Null],
            (_, None) => return Err(fault),
        };
        Ok(Self { prop, op, values, scope })
    }

    fn to_json(&self) -> Json {
        let mut json = Map::new();
        json.insert("prop".to_owned(), Json::from(&*self.prop));
        json.insert("op".to_owned(), Json::from(self.op.name()));
        match (self.op, self.values.first()) {
            (Op::In | Op::NotIn, _) => {
                json.insert("value".to_owned(), self.values.iter().map(Scalar::to_json).collect());
            }
            (_, Some(value)) => {
                json.insert("value".to_owned(), value.to_json());
            }
            (_, None) => {}
        }
        json.insert("scope".to_owned(), self.scope.to_json());
        Json::Object(json)
    }
}

/// The values that an operator takes, each of a kind that it can use.
fn values(node: &Node<'_>, op: Op) -> Result<Vec<Scalar>, Fault> {
    match op {
        Op::Eq | Op::Neq => Ok(vec![Scalar::decode(node)?]),
        Op::In | Op::NotIn => {
            let items = node.items()?;
            if items.len() > VALUES_MAX {
                let given = items.len();
                return Err(
                    node.fault(format_args!("{given} values were given; allowed is up to {VALUES_MAX}"))
                );
            }
            items.iter().map(Scalar::decode).collect()
        }
        Op::Contains | Op::NotContains => Ok(vec![Scalar::Text(bounded(node, TEXT_BYTES_MAX)?.to_owned())]),
        Op::Matches => {
            let pattern = bounded(node, PATTERN_BYTES_MAX)?;
            compile(pattern).map_err(|problem| node.expected(format_args!("a pattern; {problem}")))?;
            Ok(vec![Scalar::Text(pattern.to_owned())])
        }
        Op::IsSet | Op::IsNotSet => Err(node.expected(format_args!("no value with {:?}", op.name()))),
        Op::Lt | Op::Lte | Op::Gt | Op::Gte => match Scalar::decode(node)? {
            ordered @ (Scalar::Number(_) | Scalar::Digits(_) | Scalar::Text(_)) => Ok(vec![ordered]),
            Scalar::Null | Scalar::Bool(_) => Err(node.expected("a number or text")),
        },
    }
}

fn missing(op: Op) -> String {
    format!("is missing, and {:?} needs one", op.name())
}

/// A pattern ready to run: RE2 syntax, found anywhere in the text.
pub(super) fn compile(pattern: &str) -> Result<regex::Regex, String> {
    let built = regex::RegexBuilder::new(pattern).size_limit(PATTERN_MEMORY_BYTES_MAX).nest_limit(50).build();
    built.map_err(|error| {
        if matches!(error, regex::Error::CompiledTooBig(_)) {
            return "it compiles to more than is allowed".to_owned();
        }
        // The parser draws the pattern over several lines; its last one says what is wrong.
        let text = error.to_string();
        text.lines().last().unwrap_or("it is no pattern").trim().to_owned()
    })
}

impl Scalar {
    /// One value. A fault names its path.
    pub fn decode(node: &Node<'_>) -> Result<Self, Fault> {
        Ok(match node.json() {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => Self::Number(number.clone()),
            Json::String(_) => Self::Text(bounded(node, TEXT_BYTES_MAX)?.to_owned()),
            other @ (Json::Array(_) | Json::Object(_)) => match digits(other) {
                Some(text) => Self::Digits(text.to_owned()),
                None => return Err(node.expected("text, a number, true, false or null")),
            },
        })
    }

    pub fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::from(*value),
            Self::Number(number) => Json::Number(number.clone()),
            Self::Digits(text) => exact_number(text),
            Self::Text(text) => Json::from(&**text),
        }
    }
}

fn bounded<'a>(node: &Node<'a>, bytes_max: usize) -> Result<&'a str, Fault> {
    let text = node.text()?;
    if text.len() > bytes_max {
        return Err(node.expected(format_args!("up to {bytes_max} bytes of text")));
    }
    Ok(text)
}

/// The name of a property, an event or a table.
pub(super) fn decode_name(node: &Node<'_>) -> Result<String, Fault> {
    let name = node.text()?;
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(node.expected(format_args!("a name of up to {NAME_BYTES_MAX} bytes")));
    }
    Ok(name.to_owned())
}
