//! A statement's text made safe to plan: bounded, parsed, one, read-only, over tables that exist, and
//! with every `$name` in it a call of that parameter's own function, so that a value is never text.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::common::TableReference;
use datafusion::execution::session_state::SessionState;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{
    self, Expr, Function, FunctionArgumentList, FunctionArguments, Ident, ObjectName, SetExpr, TableFactor,
    Value, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace};
use ebbtide_model::{ColumnType, DECIMAL_PRECISION, DECIMAL_SCALE, TableName, is_rounded};

use super::SqlError;
use super::catalog::ScopedCatalog;
use super::clock::ClockUse;
use super::error::given_with_hint;

/// The longest statement.
const BYTES_MAX: usize = 64 * 1024;
/// The most words and signs in one, besides literals and commas. A chain such as `1 + 1 + …` becomes a
/// tree as deep as it is long, which is walked by recursion, and by some rules once for every level.
const WORDS_MAX: usize = 1_500;
/// The deepest nesting of parentheses and queries.
const NESTING_MAX: usize = 50;

/// A statement that may be planned.
pub(super) struct Checked {
    pub(super) statement: Statement,
    /// The names after `$`, in order.
    pub(super) parameters: BTreeSet<String>,
    pub(super) clock: ClockUse,
}

/// Parses and checks a statement's form; [`check_tables`] goes on.
pub(super) fn check(text: &str) -> Result<Checked, SqlError> {
    let tokens = tokenize(text)?;
    let mut parser = DFParserBuilder::new(tokens)
        .with_dialect(&GenericDialect {})
        .with_recursion_limit(NESTING_MAX)
        .build()?;
    let mut statements = parser.parse_statements()?;
    if statements.len() != 1 {
        return Err(SqlError::NotOneStatement { given: statements.len() });
    }
    let Some(Statement::Statement(statement)) = statements.pop_front() else {
        return Err(SqlError::NotReadOnly { given: first_word(text) });
    };
    let mut statement = *statement;
    match &statement {
        ast::Statement::Query(query) if reads_only(query) => {}
        _ => return Err(SqlError::NotReadOnly { given: first_word(text) }),
    }
    let mut visitor = ReadOnly { parameters: BTreeSet::new() };
    if let ControlFlow::Break(error) = statement.visit(&mut visitor) {
        return Err(error);
    }
    let clock = ClockUse::of(&statement);
    let statement = Statement::Statement(Box::new(statement));
    Ok(Checked { statement, parameters: visitor.parameters, clock })
}

fn tokenize(text: &str) -> Result<Vec<TokenWithSpan>, SqlError> {
    if text.len() > BYTES_MAX {
        return Err(SqlError::TooLong { given: text.len(), unit: "bytes".into(), allowed: BYTES_MAX });
    }
    let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize_with_location();
    let tokens = tokens.map_err(|error| SqlError::Syntax(ParserError::from(error).to_string()))?;
    let words = tokens.iter().filter(|token| is_word(&token.token)).count();
    if words > WORDS_MAX {
        return Err(SqlError::TooLong { given: words, unit: "words and signs".into(), allowed: WORDS_MAX });
    }
    Ok(tokens)
}

/// Whether a token may deepen a statement: a list of thousands of values is long, but flat.
fn is_word(token: &Token) -> bool {
    !matches!(
        token,
        Token::Whitespace(_)
            | Token::Comma
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::Placeholder(_)
            | Token::EOF
    )
}

/// The word that a statement begins with, in capitals, to name what is not allowed.
fn first_word(text: &str) -> String {
    const CHARS_MAX: usize = 20;
    let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize().unwrap_or_default();
    let comment = |token: &Token| {
        matches!(
            token,
            Token::Whitespace(
                Whitespace::Space
                    | Whitespace::Newline
                    | Whitespace::Tab
                    | Whitespace::SingleLineComment { .. }
                    | Whitespace::MultiLineComment(_)
            )
        )
    };
    let word = tokens.into_iter().find(|token| !comment(token)).map(|token| token.to_string());
    word.unwrap_or_default().to_uppercase().chars().take(CHARS_MAX).collect()
}

fn reads_only(query: &ast::Query) -> bool {
    let body = match &*query.body {
        SetExpr::Select(select) => select.into.is_none(),
        SetExpr::Query(inner) => reads_only(inner),
        // Both sides are queries, whose own parts the visitor comes to.
        SetExpr::SetOperation { .. } | SetExpr::Values(_) | SetExpr::Table(_) => true,
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => false,
    };
    body && query.locks.is_empty()
}

/// Refuses what writes, wherever it stands, and makes parameters of placeholders.
struct ReadOnly {
    parameters: BTreeSet<String>,
}

impl VisitorMut for ReadOnly {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut ast::Query) -> ControlFlow<SqlError> {
        if reads_only(query) {
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(SqlError::NotReadOnly { given: "a query that writes or locks".to_owned() })
    }

    fn pre_visit_select(&mut self, select: &mut ast::Select) -> ControlFlow<SqlError> {
        match &select.into {
            None => ControlFlow::Continue(()),
            Some(_) => ControlFlow::Break(SqlError::NotReadOnly { given: "SELECT INTO".to_owned() }),
        }
    }

    /// What the planner would pass over is refused: an answer would not be what was asked for.
    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<SqlError> {
        let passed_over = match factor {
            TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => {
                "a sample of a table"
            }
            TableFactor::Table { with_hints, index_hints, .. }
                if !with_hints.is_empty() || !index_hints.is_empty() =>
            {
                "a hint to a table"
            }
            TableFactor::Table { version: Some(_), .. } => "a version of a table",
            TableFactor::Table { partitions, .. } if !partitions.is_empty() => "a partition of a table",
            TableFactor::Table { with_ordinality: true, .. } => "WITH ORDINALITY",
            _ => return ControlFlow::Continue(()),
        };
        ControlFlow::Break(SqlError::Refused(format!(
            "{passed_over} cannot be asked for; name the table alone"
        )))
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        let Expr::Value(value) = expr else {
            return ControlFlow::Continue(());
        };
        let placeholder = match &value.value {
            Value::Placeholder(placeholder) => placeholder,
            Value::Number(text, _) => {
                if let Some(decimal) = decimal(text) {
                    *expr = decimal;
                }
                return ControlFlow::Continue(());
            }
            _ => return ControlFlow::Continue(()),
        };
        let Some(name) = placeholder.strip_prefix('$').filter(|name| is_name(name)) else {
            let text = format!("{placeholder:?} is no parameter; allowed are names such as $as_of");
            return ControlFlow::Break(SqlError::Syntax(text));
        };
        let call = parameter_call(name);
        self.parameters.insert(name.to_owned());
        *expr = call;
        ControlFlow::Continue(())
    }
}

/// A number that the planner would take for the nearest float, where a decimal holds it.
fn decimal(text: &str) -> Option<Expr> {
    if !is_rounded(text) || ebbtide_model::Value::from_number(text, ColumnType::Decimal).is_err() {
        return None;
    }
    let exact = ast::ExactNumberInfo::PrecisionAndScale(DECIMAL_PRECISION.into(), DECIMAL_SCALE.into());
    Some(Expr::Cast {
        kind: ast::CastKind::Cast,
        expr: Box::new(Expr::value(Value::SingleQuotedString(text.to_owned()))),
        data_type: ast::DataType::Decimal(exact),
        array: false,
        format: None,
    })
}

/// A parameter's name: a letter, then letters, digits and `_`.
fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
}

/// The function that gives a parameter's value.
pub(super) fn parameter_function(name: &str) -> String {
    format!("${name}")
}

fn parameter_call(name: &str) -> Expr {
    let list = FunctionArgumentList { duplicate_treatment: None, args: Vec::new(), clauses: Vec::new() };
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::with_quote('"', parameter_function(name))]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(list),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// The app's tables that a statement names, in the order of their names.
pub(super) fn tables_of(
    statement: &Statement,
    state: &SessionState,
    catalog: &ScopedCatalog,
) -> Result<Vec<TableName>, SqlError> {
    let named = state.resolve_table_references(statement)?;
    let mut tables: Vec<TableName> =
        named.iter().map(|reference| TableName::new(reference.table())).collect();
    tables.retain(|table| catalog.is_stored(table.as_str()));
    // Whose a row is, is said there.
    let aliases = tables.iter().filter_map(|table| catalog.aliases_of(table));
    tables.extend(aliases.collect::<Vec<_>>());
    tables.sort();
    tables.dedup();
    Ok(tables)
}

/// Every table that the statement names is one of the app's (or one that it defines itself).
pub(super) fn check_tables(
    statement: &Statement,
    state: &SessionState,
    catalog: &ScopedCatalog,
) -> Result<(), SqlError> {
    for reference in state.resolve_table_references(statement)? {
        let known = match &reference {
            TableReference::Bare { table } => {
                catalog.has(table) || state.table_functions().contains_key(&**table)
            }
            TableReference::Partial { .. } | TableReference::Full { .. } => false,
        };
        if !known {
            let known = catalog.names();
            return Err(SqlError::UnknownTable {
                given: given_with_hint(&reference.to_string(), &known),
                known,
            });
        }
    }
    Ok(())
}
