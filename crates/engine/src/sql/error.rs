//! What can go wrong with a statement. A text here is shown to the caller: it may hold the statement's
//! own words and values of the caller's own rows, never a path, nor anything of another query.

use std::borrow::Cow;
use std::time::Duration;

use arrow::error::ArrowError;
use datafusion::common::{DataFusionError, SchemaError};
use ebbtide_model::{ErrorKind, nearest};
use ebbtide_store::StoreError;
use serde::{Deserialize, Serialize};

use crate::EngineError;

/// As much of an engine's message as a caller is shown.
const MESSAGE_CHARS_MAX: usize = 500;
/// As many names as a hint lists.
const NAMES_MAX: usize = 40;

/// One that has a text goes as it is from the process of a statement to the one that asked for it.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
pub enum SqlError {
    #[error("the statement has {given} {unit}; allowed are at most {allowed}")]
    TooLong { given: usize, unit: Cow<'static, str>, allowed: usize },
    #[error("the statement does not parse: {0}")]
    Syntax(String),
    #[error("{given} statements were given; allowed is one")]
    NotOneStatement { given: usize },
    #[error("{given} is not allowed; allowed is one SELECT, WITH or VALUES")]
    NotReadOnly { given: String },
    #[error("there is no table {given}; {}", one_of("there are", known))]
    UnknownTable { given: String, known: Vec<String> },
    #[error("there is no column {given}; {}", one_of("there are", known))]
    UnknownColumn { given: String, known: Vec<String> },
    #[error("parameter ${name} is missing; {}", one_of("given are", given))]
    MissingParameter { name: String, given: Vec<String> },
    #[error("parameter {name:?} is given, but the statement names no ${name}")]
    UnusedParameter { name: String },
    #[error("two columns of the answer are named {name:?}; give one another name with AS")]
    TwoColumns { name: String },
    #[error("column {name:?} is of type {data_type}, which an answer cannot hold; cast it")]
    NoJson { name: String, data_type: String },
    /// It does not fit the tables.
    #[error("the statement cannot be answered: {0}")]
    Refused(String),
    /// It failed on a value: a cast, a division by zero.
    #[error("the statement cannot be answered: {0}")]
    ValueRefused(String),
    /// A stored number, or what some add up to, that exact arithmetic has no room for.
    #[error("{0}")]
    NumberTooLarge(String),
    #[error("the answer has more than {allowed} rows; add a LIMIT or ask for less")]
    TooManyRows { allowed: usize },
    #[error("the statement needs more memory than it may use; ask for less, or aggregate first")]
    OutOfMemory,
    #[error("the statement took longer than its {} ms", .0.as_millis())]
    Timeout(Duration),
    #[error("too many statements are under way; try again in a moment")]
    Busy,
    #[error("a function would make a value of {given} bytes; allowed are at most {allowed}")]
    ValueTooLarge { given: u64, allowed: u64 },
    #[error("the statement is too deep: planning it needed more stack than there is")]
    TooDeep,
    /// There is no process for a statement; why is for the log alone.
    #[error("no process for the statement could be started")]
    NoProcess {
        #[source]
        #[serde(skip)]
        source: Option<std::io::Error>,
    },
    /// The process of the statement ended without an answer; how is for the log, too.
    #[error("the statement's process ended before it had answered ({how})")]
    Fell { how: String },
    #[error(transparent)]
    #[serde(skip)]
    Store(#[from] StoreError),
    /// A defect of ours. What it was is for the log alone.
    #[error("the statement failed for a reason of the server's own")]
    #[serde(skip)]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Rows are read for a statement as for a question; a fault there is one of the store, or a defect.
impl From<EngineError> for SqlError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Store(error) => Self::Store(error),
            EngineError::Sql(error) => error,
            error @ (EngineError::Query(_)
            | EngineError::Layout { .. }
            | EngineError::Cohort { .. }
            | EngineError::Worker
            | EngineError::SpineLost
            | EngineError::Stopped(_)) => Self::Internal(Box::new(error)),
        }
    }
}

impl SqlError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLong { .. }
            | Self::TooManyRows { .. }
            | Self::OutOfMemory
            | Self::TooDeep
            | Self::ValueTooLarge { .. } => ErrorKind::TooLarge,
            Self::Syntax(_)
            | Self::NotOneStatement { .. }
            | Self::NotReadOnly { .. }
            | Self::UnknownTable { .. }
            | Self::UnknownColumn { .. }
            | Self::MissingParameter { .. }
            | Self::UnusedParameter { .. }
            | Self::TwoColumns { .. }
            | Self::NoJson { .. }
            | Self::Refused(_)
            | Self::ValueRefused(_)
            | Self::NumberTooLarge(_) => ErrorKind::Invalid,
            Self::Timeout(_) => ErrorKind::Timeout,
            Self::Busy | Self::NoProcess { .. } => ErrorKind::Unavailable,
            Self::Store(error) => error.kind(),
            Self::Internal(_) | Self::Fell { .. } => ErrorKind::Internal,
        }
    }
}

/// `there are "a", "b"; did you mean …` is for names that the caller may know of.
fn one_of(words: &str, names: &[String]) -> String {
    if names.is_empty() {
        return format!("{words} none");
    }
    let shown: Vec<&str> = names.iter().take(NAMES_MAX).map(String::as_str).collect();
    let more = if names.len() > NAMES_MAX { ", …" } else { "" };
    format!("{words} {}{more}", shown.join(", "))
}

/// `"form" (did you mean "from"?)`.
pub(super) fn given_with_hint(given: &str, known: &[String]) -> String {
    let given: String = given.chars().take(MESSAGE_CHARS_MAX).collect();
    match nearest(&given, known.iter().map(String::as_str)) {
        Some(name) => format!("{given:?} (did you mean {name:?}?)"),
        None => format!("{given:?}"),
    }
}

/// What the engine says of a literal pattern that is none; the error within is of a library of its own.
const BAD_PATTERN: &str = "Invalid regex";

impl From<DataFusionError> for SqlError {
    fn from(error: DataFusionError) -> Self {
        match error {
            DataFusionError::Context(context, inner) if context == BAD_PATTERN => {
                Self::Refused(shown(&inner.to_string()))
            }
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => Self::from(*inner),
            DataFusionError::Collection(errors) => match errors.into_iter().next() {
                Some(first) => Self::from(first),
                None => Self::Internal("an empty collection of errors".into()),
            },
            DataFusionError::Shared(shared) => from_shared(shared.find_root()),
            DataFusionError::External(inner) => from_external(inner),
            DataFusionError::SQL(inner, _) => Self::Syntax(shown(&inner.to_string())),
            DataFusionError::SchemaError(inner, _) => from_schema(&inner),
            DataFusionError::ArrowError(inner, _) => from_arrow(*inner),
            DataFusionError::Plan(text)
            | DataFusionError::NotImplemented(text)
            | DataFusionError::Configuration(text)
            | DataFusionError::Execution(text) => Self::Refused(shown(&text)),
            // The text of this one names what other queries hold.
            DataFusionError::ResourcesExhausted(_) => Self::OutOfMemory,
            DataFusionError::ExecutionJoin(inner) => Self::Internal(inner),
            other @ (DataFusionError::ObjectStore(_)
            | DataFusionError::IoError(_)
            | DataFusionError::Internal(_)
            | DataFusionError::Substrait(_)
            | DataFusionError::Ffi(_)) => Self::Internal(Box::new(other)),
        }
    }
}

/// The root of an error that several streams share: it cannot be moved out.
fn from_shared(root: &DataFusionError) -> SqlError {
    match root {
        DataFusionError::ResourcesExhausted(_) => SqlError::OutOfMemory,
        DataFusionError::Plan(text)
        | DataFusionError::NotImplemented(text)
        | DataFusionError::Configuration(text)
        | DataFusionError::Execution(text) => SqlError::Refused(shown(text)),
        DataFusionError::ArrowError(inner, _) => match &**inner {
            ArrowError::ArithmeticOverflow(words) => SqlError::NumberTooLarge(shown(words)),
            inner if is_of_values(inner) => SqlError::ValueRefused(shown(&inner.to_string())),
            inner => SqlError::Refused(shown(&inner.to_string())),
        },
        DataFusionError::External(inner) => match inner.downcast_ref::<SqlError>() {
            Some(SqlError::ValueTooLarge { given, allowed }) => {
                SqlError::ValueTooLarge { given: *given, allowed: *allowed }
            }
            Some(SqlError::NumberTooLarge(words)) => SqlError::NumberTooLarge(words.clone()),
            None if inner.is::<regex::Error>() => SqlError::Refused(shown(&inner.to_string())),
            Some(_) | None => SqlError::Internal(inner.to_string().into()),
        },
        other => SqlError::Internal(other.to_string().into()),
    }
}

/// An error of our own that went through the engine.
fn from_external(inner: Box<dyn std::error::Error + Send + Sync>) -> SqlError {
    if let Some(pattern) = inner.downcast_ref::<regex::Error>() {
        return SqlError::Refused(shown(&pattern.to_string()));
    }
    match inner.downcast::<SqlError>() {
        Ok(own) => *own,
        Err(other) => SqlError::Internal(other),
    }
}

fn from_schema(error: &SchemaError) -> SqlError {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let known: Vec<String> = valid_fields.iter().map(|column| column.name.clone()).collect();
            let given = field.relation.as_ref().map_or_else(
                || given_with_hint(&field.name, &known),
                |table| given_with_hint(&format!("{}.{}", table.table(), field.name), &known),
            );
            SqlError::UnknownColumn { given, known }
        }
        SchemaError::AmbiguousReference { .. }
        | SchemaError::DuplicateQualifiedField { .. }
        | SchemaError::DuplicateUnqualifiedField { .. } => SqlError::Refused(shown(&error.to_string())),
    }
}

/// Whether it is a value that failed, and not the statement.
fn is_of_values(error: &ArrowError) -> bool {
    matches!(error, ArrowError::CastError(_) | ArrowError::ParseError(_) | ArrowError::DivideByZero)
}

fn from_arrow(error: arrow::error::ArrowError) -> SqlError {
    match error {
        ArrowError::ExternalError(inner) => match inner.downcast::<DataFusionError>() {
            Ok(inner) => SqlError::from(*inner),
            Err(inner) => from_external(inner),
        },
        ArrowError::MemoryError(_) => SqlError::OutOfMemory,
        error if is_of_values(&error) => SqlError::ValueRefused(shown(&error.to_string())),
        ArrowError::ComputeError(_)
        | ArrowError::InvalidArgumentError(_)
        | ArrowError::NotYetImplemented(_) => SqlError::Refused(shown(&error.to_string())),
        ArrowError::ArithmeticOverflow(words) => SqlError::NumberTooLarge(shown(&words)),
        other => SqlError::Internal(Box::new(other)),
    }
}

/// A message without the engine's own advice (how to report a bug, a backtrace), cut to a length.
fn shown(text: &str) -> String {
    let first = text.split("\n\nbacktrace").next().unwrap_or_default();
    first.chars().take(MESSAGE_CHARS_MAX).collect()
}

impl From<arrow::error::ArrowError> for SqlError {
    fn from(error: arrow::error::ArrowError) -> Self {
        from_arrow(error)
    }
}
