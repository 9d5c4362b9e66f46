//! A pack: the tables of an app, how files become their rows, and the reports it answers. What a
//! `pack.yaml` may say is told in `docs/packs.md`; [`Pack::parse`] reads one and explains every fault.

mod access;
mod caching;
mod faults;
mod fragments;
mod identity;
mod incoming;
mod insights;
mod leaves;
mod live;
mod params;
mod parse;
mod reports;
mod routes;
mod sources;
mod tables;
mod texts;
mod tree;
mod with;
mod words;
mod yaml;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value as Json};

pub use faults::{PackFault, render_faults};
pub use insights::{FEW, Few, Insights, ToldRule};
pub use params::ParamError;
pub use parse::{Statement, StatementCheck, Wanted};
pub use texts::{Phrase, Template, Texts, Wording};
pub use tree::filled;

use crate::{AppSchema, ColumnType, TableName, TenantId, Value};

/// The instant as of which a report answers: a parameter of every report.
pub const AS_OF: &str = "as_of";
/// The caller's `sub`: text, or null where the token has none.
pub const SUBJECT: &str = "sub";
/// The name of the caller's plan, where the pack has plans.
pub const PLAN: &str = "plan";
/// The language of texts: a parameter of every report that has some.
pub const LANG: &str = "lang";
/// An entry of an object by this name is a row, or the whole of a query, whose fields stand in its place.
pub const FIELDS: &str = "*";
/// The path of a response that is a list itself.
pub const WHOLE: &str = ".";

/// A checked pack: every table, column, parameter and route that it names exists and fits.
#[derive(Clone, Debug)]
pub struct Pack {
    pub title: Option<String>,
    pub schema: AppSchema,
    /// The entity table whose key is the tenant, where there is one: a tenant without a row there is
    /// unknown, and answered 404.
    pub tenant_table: Option<TableName>,
    /// Values that the pack sets once and its statements name, as they name parameters.
    pub constants: Vec<(String, Value)>,
    pub sources: Vec<Source>,
    pub access: Access,
    pub plans: Option<Plans>,
    pub reports: Vec<Report>,
    pub captures: Vec<Capture>,
    pub clears: Vec<Clear>,
    pub lives: Vec<Live>,
}

/// A path at which a report is listened to over a WebSocket.
#[derive(Clone, Debug)]
pub struct Live {
    pub name: String,
    pub description: Option<String>,
    /// The name of a report.
    pub report: String,
    pub route: Route,
    /// What stands in each message before the answer's own fields.
    pub add: Map<String, Json>,
    /// What listeners may say.
    pub receive: Vec<Receive>,
}

/// A kind of message, which becomes a row.
#[derive(Clone, Debug)]
pub struct Receive {
    /// The message's `type`.
    pub kind: String,
    /// Its other fields.
    pub params: Vec<Param>,
    /// What is looked up besides, in this order.
    pub find: Vec<Find>,
    /// What is told where one of those finds nothing.
    pub missing: String,
    /// Column → what stands there.
    pub row: Vec<(String, RowValue)>,
    /// How the row is taken.
    pub capture: Capture,
}

/// A statement whose one cell is known by a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Find {
    pub name: String,
    pub statement: Arc<str>,
}

/// What stands in a column of a message's row.
#[derive(Clone, Debug, PartialEq)]
pub enum RowValue {
    /// A field of the message, what was found, or `now`.
    Name(String),
    Value(Json),
}

/// A path by which clients send rows of a table, one or a list, all of which are taken or none.
#[derive(Clone, Debug)]
pub struct Capture {
    pub name: String,
    pub description: Option<String>,
    pub path: String,
    /// Roles that may call, besides who has a write key; empty means any that is signed in.
    pub roles: Vec<String>,
    pub table: TableName,
    /// Rows of one list, at most; `None`: as many as the server takes.
    pub list_max: Option<usize>,
    /// What is wanted of fields besides their columns' types.
    pub fields: Vec<CaptureField>,
    /// What is answered of each row: an object, in which a text `$name` stands for a column.
    pub answer: Json,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CaptureField {
    /// Its place in the table.
    pub column: usize,
    /// Its bounds and choices.
    pub allowed: Param,
    /// What stands for it where it is left out.
    pub absent: Option<Absent>,
}

/// What stands for a field that is left out.
#[derive(Clone, Debug, PartialEq)]
pub enum Absent {
    /// The moment of arrival.
    Now,
    /// A text that no other row has.
    NewId,
    Value(Value),
}

/// A path by which the caller's rows of some tables are deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clear {
    pub name: String,
    pub description: Option<String>,
    pub path: String,
    pub roles: Vec<String>,
    pub tables: Vec<TableName>,
    /// Those of them whose rows are counted in the answer.
    pub count: Vec<TableName>,
}

/// Where a table says who a caller is. Both statements read the rows of all tenants, as they are now;
/// `$sub` is the caller's.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Its one cell is the caller's tenant, for routes of [`RouteTenant::Access`].
    pub tenant: Option<Arc<str>>,
    /// What a caller is told for whom that statement finds no tenant.
    pub unknown: Option<String>,
    /// Its one cell is the caller's plan; without it the plan is the token's.
    pub plan: Option<Arc<str>>,
    /// The tables that these statements read.
    pub tables: Vec<TableName>,
}

/// The plans that callers may have.
#[derive(Clone, Debug, PartialEq)]
pub struct Plans {
    list: Vec<Plan>,
    /// The plan of a caller without one, or with one that is not listed.
    default_index: usize,
    /// Feature → what a caller without it is told.
    upgrades: Vec<(String, String)>,
}

/// A plan: features, which are true or false, and limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub name: String,
    /// The same names, of the same types, in every plan.
    pub values: Vec<(String, Value)>,
}

/// How a file whose name fits becomes rows of a table. A file named after its table needs none.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    pub table: TableName,
    /// A file name, in which `*` stands for any run of characters.
    pub file: String,
    pub format: FileFormat,
    /// Whether the first line names the columns (CSV and whitespace).
    pub header: bool,
    /// The file's columns by position, where it has no header or another one.
    pub columns: Option<Vec<String>>,
    /// File column → table column. Others go by their own name.
    pub renames: Vec<(String, String)>,
    /// Table column → how its text is read, where the type's own form does not fit.
    pub casts: Vec<(String, Cast)>,
    /// Texts that mean null, besides the empty cell.
    pub nulls: Vec<String>,
    /// Whether columns that the table lacks are passed over; they are a fault otherwise.
    pub ignore_unknown: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    Csv,
    Ndjson,
    Parquet,
    /// Columns apart by runs of white space; lines may begin with some.
    Whitespace,
}

/// How the text of a source's cell becomes a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Cast {
    /// A `strptime` pattern, such as `%Y%m%d`, read in a time zone (UTC unless said).
    Time {
        pattern: String,
        zone: Option<String>,
    },
    /// Seconds or milliseconds since 1970.
    EpochSeconds,
    EpochMillis,
}

/// A named, parameterised, access-controlled answer.
#[derive(Clone, Debug)]
pub struct Report {
    pub name: String,
    pub description: Option<String>,
    /// What the query string may give, and what paths may (see [`Route::params`]).
    pub params: Vec<Param>,
    pub routes: Vec<Route>,
    /// In which its money is, by its code of ISO 4217.
    pub currency: Option<String>,
    /// The feature that the caller's plan must have.
    pub requires: Option<String>,
    /// What of the caller its leaves name: [`SUBJECT`], [`PLAN`] and values of plans.
    pub caller_values: Vec<String>,
    /// Rows that its statements read as tables, each asked for once in an answer; one reads those before
    /// it.
    pub relations: Vec<Relation>,
    pub response: Tree,
    /// Dotted paths of the lists in the response, in order: what files hold. A response that
    /// is a list itself has the path [`WHOLE`].
    pub lists: Vec<String>,
    /// The tables that the answer depends on.
    pub tables: Vec<TableName>,
    /// Names of the parameters and constants that the answer depends on, and [`AS_OF`]; ascending.
    pub names: Vec<String>,
    pub cache: Caching,
    pub warm: Option<Warm>,
}

/// How long a report's answers are kept while nothing is written that they depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    For(Duration),
    /// Every request is answered afresh.
    Off,
}

/// A schedule by which a report's answers are computed before anybody asks for them.
#[derive(Clone, Debug, PartialEq)]
pub struct Warm {
    pub every: Duration,
    pub tenants: WarmTenants,
    /// Sets of values for the report's parameters, each of which is computed.
    pub params: Vec<Vec<(String, Value)>>,
}

/// About whose rows answers are computed beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WarmTenants {
    /// Every tenant by itself.
    Each,
    /// All tenants together.
    All,
    /// Each of these by itself.
    Named(Vec<TenantId>),
}

/// One way to a report.
#[derive(Clone, Debug)]
pub struct Route {
    /// `/admin/merchants/{merchant_id}/cohorts`; each name in braces is a parameter.
    pub path: String,
    /// The parameters of the path, in its order. They are required, and come from there alone.
    pub params: Vec<Param>,
    /// Roles that may call; empty means any that is signed in, or nobody but `own`, where there is one.
    pub roles: Vec<String>,
    /// The parameter of the path that lets in, besides the roles, whoever's `sub` it is.
    pub own: Option<String>,
    pub tenant: RouteTenant,
    /// Parameters that this route gives itself; the query string does not.
    pub set: Vec<(String, Setting)>,
}

/// What a parameter is set to.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// The value of this name, such as [`SUBJECT`].
    Name(String),
    Value(Value),
}

/// Whose rows a route answers about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteTenant {
    /// The token's tenant; a token without one is refused.
    Token,
    /// The tenant that this parameter of the path names; for callers whose token names none.
    Param(String),
    /// The token's tenant, or all tenants for an `admin` token without one.
    TokenOrAll,
    /// The token's tenant; this one where it names none.
    TokenOr(TenantId),
    /// All tenants for an `admin`, whatever its token names; the token's tenant for others.
    AllForAdmin,
    /// The tenant that [`Access::tenant`] finds, whatever the token names.
    Access,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    pub name: String,
    pub description: Option<String>,
    pub column_type: ColumnType,
    /// `None`: the parameter is required. Null: it may be left out, and is null then.
    pub default: Option<Value>,
    /// Inclusive bounds of a number.
    pub min: Option<Value>,
    pub max: Option<Value>,
    /// The values that are allowed; empty means any.
    pub choices: Vec<Value>,
    /// Of what it is the key: a value that is no row's is answered 404.
    pub key_of: Option<KeyOf>,
}

/// The table of which a parameter's value is a key.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyOf {
    pub table: TableName,
    /// Has a row where there is such a key, in the scope and as of the `as_of`; names the parameter.
    pub statement: Arc<str>,
    /// What a caller is told where there is none.
    pub missing: String,
}

/// Rows that are asked for once in an answer, whatever reads them.
#[derive(Clone, Debug)]
pub struct Relation {
    /// As which statements name it.
    pub name: Arc<str>,
    pub rows: RelationRows,
}

#[derive(Clone, Debug)]
pub enum RelationRows {
    Sql(Composed),
    /// A query of the query language, in which a text `$name` stands for a value.
    Query(Json),
}

/// A statement as it is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composed {
    pub statement: Arc<str>,
    /// What it reads besides tables, by the place among [`Report::relations`].
    pub reads: Vec<usize>,
}

/// The JSON that a report returns, with queries for leaves.
#[derive(Clone, Debug)]
pub enum Tree {
    Literal(Json),
    /// The value of a parameter, of a constant, or [`AS_OF`].
    Param(String),
    /// In the order of the declaration; one called [`FIELDS`] is an object whose fields stand here.
    Object(Vec<(String, Tree)>),
    List(Vec<Tree>),
    Sql {
        shape: SqlShape,
        statement: Composed,
        /// What a value is without a row.
        default: Json,
    },
    Each(Box<Each>),
    /// `then` where the parameter has a value, `otherwise` where it is null.
    When {
        name: String,
        then: Box<Tree>,
        otherwise: Box<Tree>,
    },
    Behaviour(Box<BehaviourLeaf>),
    Insights(Box<Insights>),
}

/// Rows as objects, each with its own columns and then the fields of a fragment. The fragment's statements
/// are asked once for all rows; each gives a column `by`, which says to which row a row of it belongs.
#[derive(Clone, Debug)]
pub struct Each {
    /// The one row as an object, null without a row; a list of objects otherwise.
    pub one: bool,
    /// The place of the rows among [`Report::relations`].
    pub rows: usize,
    pub by: String,
    /// Values of the fragment's parameters.
    pub set: Vec<(String, Setting)>,
    pub fields: Tree,
}

/// What a statement's rows become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqlShape {
    /// The one cell.
    Value,
    /// The one row as an object; null without a row.
    Row,
    /// A list of objects.
    Rows,
    /// A list of the first column's values.
    Column,
    /// An object: first column → second column.
    Map,
}

/// A query of the query language with parameters in it, and how its result is shaped.
#[derive(Clone, Debug)]
pub struct BehaviourLeaf {
    /// A query as JSON, in which a text `$name` stands for a parameter's value.
    pub query: Json,
    /// `None`: the query's result as it is.
    pub shape: Option<Shape>,
}

/// How the result of a query becomes a list of objects, or one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    pub of: ShapeOf,
    /// Name in the answer → what stands there, one of the row's fields by the query's kind.
    pub fields: Vec<(String, String)>,
    /// Digits after the point, half away from zero; `None` leaves numbers as they are.
    pub decimals: Option<u8>,
    pub cells: Cells,
    pub empty: EmptyRows,
}

/// What of a result is shaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShapeOf {
    /// Its rows: a list of objects.
    Rows,
    /// What it says of all rows together: one object.
    Whole,
}

/// Which cells of a cohort are shown; the cohort's own is always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cells {
    /// Every cell; null where the period has not begun.
    #[default]
    All,
    /// Up to the first period that starts after `as_of`.
    Begun,
    /// Only periods that have ended.
    Complete,
}

/// What becomes of a row about nobody: a cohort of size 0, a bucket without events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmptyRows {
    #[default]
    Keep,
    Skip,
}

#[cfg(test)]
mod schema_tests;
#[cfg(test)]
mod tests;
