//! Reads a `pack.yaml`: into JSON, into drafts of tables and reports, and through the checks that need
//! all of them. Reading goes on after a fault, so that one look finds them all.

use std::cell::RefCell;

use jiff::tz::TimeZone;

use super::faults::Faults;
use super::routes::Declared;
use super::tables::{TableDraft, Tables};
use super::with::Parts;
use super::yaml::Document;
use super::{
    Capture, Clear, Live, Pack, PackFault, Report, SqlShape, access, fragments, incoming, leaves, live,
    params, reports, sources, tables,
};
use crate::{
    AppName, AppSchema, Calendar, ColumnType, Fault, Fields, Node, TableKind, TableName, TenantRule, Value,
    WeekStart, nearest,
};

const NAME_CHARS_MAX: usize = 63;
const TEXT_CHARS_MAX: usize = 2_000;

/// A statement of a pack, for whoever knows SQL.
#[derive(Clone, Copy, Debug)]
pub struct Statement<'a> {
    pub sql: &'a str,
    pub schema: &'a AppSchema,
    /// What its rows become.
    pub shape: SqlShape,
    /// The column by whose values the rows are split first, before they become that.
    pub by: Option<&'a str>,
    /// Columns that it gives at least.
    pub wanted: &'a [Wanted],
    /// Tables that it may read besides the schema's: name and columns.
    pub relations: &'a [(String, Vec<(String, ColumnType)>)],
    /// The names that may be bound, each with a value that it could have.
    pub params: &'a [(String, Value)],
}

/// A column that somebody reads by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub column: String,
    /// Whether it is to hold numbers.
    pub number: bool,
}

/// What the SQL of a pack is checked with. A problem is told as a sentence part.
pub trait StatementCheck {
    /// The tables that the statement reads.
    fn check(&self, statement: &Statement<'_>) -> Result<Vec<TableName>, String>;
}

/// Takes every statement as it is: for who only wants the tables.
struct Unchecked;

impl StatementCheck for Unchecked {
    fn check(&self, statement: &Statement<'_>) -> Result<Vec<TableName>, String> {
        Ok(statement.schema.tables.iter().map(|table| table.name.clone()).collect())
    }
}

impl Pack {
    /// A pack from its YAML; the SQL in it is taken as it is, and a report with SQL depends on every
    /// table.
    pub fn parse(yaml: &str) -> Result<Self, Vec<PackFault>> {
        Self::parse_with(yaml, &Unchecked)
    }

    /// A pack from its YAML, or all that is wrong with it, in the order of the file.
    pub fn parse_with(yaml: &str, statements: &dyn StatementCheck) -> Result<Self, Vec<PackFault>> {
        let (document, unread) = Document::read(yaml);
        let mut faults = Faults::default();
        // Nothing could be read: what is wrong is told already.
        let pack = if document.json.is_null() && !unread.is_empty() {
            None
        } else {
            pack(&Node::root(&document.json), statements, &mut faults)
        };
        match pack {
            Some(pack) if faults.is_empty() && unread.is_empty() => Ok(pack),
            _ => Err(faults.located(&document, unread)),
        }
    }
}

fn pack(root: &Node<'_>, statements: &dyn StatementCheck, faults: &mut Faults) -> Option<Pack> {
    let fields = faults.keep(root.clone().fields())?;
    let name = faults.keep(fields.required("pack").and_then(|node| app_name(&node)));
    let title = faults.keep(short_text(&fields, "title")).flatten();
    let calendar = calendar(&fields, faults);
    let tables = faults.keep(fields.required("tables")).map(|node| tables::read(&node, faults));
    let tenant_table = fields.optional("tenant_table");
    let constants = fields.optional("constants").map(|node| params::constants(&node, faults));
    let access = fields.optional("access");
    let plans = fields.optional("plans");
    let with = fields.optional("with");
    let fragments = fields.optional("fragments");
    let reports = fields.optional("reports");
    let doors = Doors {
        capture: fields.optional("capture"),
        clear: fields.optional("clear"),
        live: fields.optional("live"),
    };
    faults.unknown(fields);

    let tables = tables?;
    let tenant_table = tenant_table.and_then(|node| faults.keep(tenants(&node, &tables))).flatten();
    // An unsound table is told of already; what stands on it cannot be judged.
    let sound = tables.sound.len() == tables.names.len();
    let schema = schema(name, calendar, &tables);
    let sources = tables.sound.iter().flat_map(|draft| sources::read(draft, faults)).collect();
    let constants = constants.unwrap_or_default();
    let plans = plans.map(|node| access::plans(&node, &constants, faults)).unwrap_or_default();
    let tried =
        access::Tried { schema: &schema, sound, constants: &constants, used: RefCell::default(), statements };
    let (access, plans) = access::read(access.as_ref(), plans, &tried, faults).unwrap_or_default();
    let caller_values = access::caller_values(plans.as_ref());
    let features = plans.as_ref().map(|plans| access::features(plans.list())).unwrap_or_default();
    let mut context = reports::Context {
        schema: &schema,
        sound,
        tenant_table: tenant_table.as_ref(),
        constants: &constants,
        caller_values: &caller_values,
        features: &features,
        finds_tenants: access.tenant.is_some(),
        parts: Parts::default(),
        fragments: Vec::new(),
        used: tried.used,
        statements,
    };
    if let Some(node) = &with {
        (context.parts, context.sound) = leaves::shared_parts(node, &context, faults);
    }
    if let Some(node) = &fragments {
        context.fragments = fragments::read(node, &context, faults);
    }
    let mut paths = Vec::new();
    let reports = reports.map(|node| reports::read(&node, &context, &mut paths, faults)).unwrap_or_default();
    let grounds = incoming::Grounds { schema: &schema, sound };
    let (captures, clears, lives) = doors.read(grounds, &reports, &context, &mut paths, faults);
    // A fault may hide what is used.
    if faults.is_empty() {
        context.unused().into_iter().for_each(|fault| faults.add(fault));
    }
    let pack = Pack {
        title,
        schema,
        tenant_table,
        constants,
        sources,
        access,
        plans,
        reports,
        captures,
        clears,
        lives,
    };
    Some(pack)
}

fn schema(name: Option<AppName>, calendar: Option<Calendar>, tables: &Tables<'_>) -> AppSchema {
    AppSchema {
        app: name.unwrap_or_else(|| AppName::new("")),
        calendar: calendar.unwrap_or_else(Calendar::utc),
        tables: tables.sound.iter().map(|draft| draft.schema.clone()).collect(),
    }
}

/// What callers write to and listen at.
struct Doors<'n> {
    capture: Option<Node<'n>>,
    clear: Option<Node<'n>>,
    live: Option<Node<'n>>,
}

impl Doors<'_> {
    fn read(
        self,
        grounds: incoming::Grounds<'_>,
        reports: &[Report],
        context: &reports::Context<'_>,
        paths: &mut Vec<Declared>,
        faults: &mut Faults,
    ) -> (Vec<Capture>, Vec<Clear>, Vec<Live>) {
        let captures = self.capture.map(|node| incoming::captures(&node, grounds, paths, faults));
        let lives = self.live.map(|node| live::read(&node, reports, context, paths, faults));
        let clears = self.clear.map(|node| incoming::clears(&node, grounds, paths, faults));
        (captures.unwrap_or_default(), clears.unwrap_or_default(), lives.unwrap_or_default())
    }
}

fn calendar(fields: &Fields<'_>, faults: &mut Faults) -> Option<Calendar> {
    let zone = match fields.optional("timezone") {
        None => Some(TimeZone::UTC),
        Some(node) => faults.keep(time_zone(&node)),
    };
    let week_start = match fields.optional("week_start") {
        None => Some(WeekStart::default()),
        Some(node) => faults.keep(node.choice(&["monday", "sunday"], |name| match name {
            "monday" => Some(WeekStart::Monday),
            "sunday" => Some(WeekStart::Sunday),
            _ => None,
        })),
    };
    Some(Calendar::new(zone?, week_start?))
}

pub(super) fn time_zone(node: &Node<'_>) -> Result<TimeZone, Fault> {
    TimeZone::get(node.text()?).map_err(|_| node.expected("an IANA time zone, such as \"Europe/Paris\""))
}

/// The table whose key is the tenant; `None` where a fault of its own hides it.
fn tenants(node: &Node<'_>, tables: &Tables) -> Result<Option<TableName>, Fault> {
    let Some(draft) = tables.find(node)? else {
        return Ok(None);
    };
    let TableDraft { schema, .. } = draft;
    let is_tenant = matches!((&schema.tenant, schema.key.as_slice()),
        (TenantRule::Column { column, .. }, [key]) if column == key);
    if schema.kind != TableKind::Entity || !is_tenant {
        return Err(node.expected("an entity whose tenant is its key"));
    }
    Ok(Some(schema.name.clone()))
}

/// The name of a table, column, parameter or report.
pub(super) fn name(node: &Node<'_>, given: &str) -> Result<(), Fault> {
    let starts = given.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let goes_on = given.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !(starts && goes_on && given.len() <= NAME_CHARS_MAX) {
        return Err(node.fault(format_args!(
            "{given:?} is no name; allowed are at most {NAME_CHARS_MAX} characters of a-z, 0-9 and _, the first no digit"
        )));
    }
    if matches!(given, "_tenant" | "_seq") {
        return Err(node.fault(format_args!("{given:?} is a column of the store's own; choose another name")));
    }
    Ok(())
}

fn app_name(node: &Node<'_>) -> Result<AppName, Fault> {
    AppName::checked(node.text()?).ok_or_else(|| {
        node.expected("a name of at most 63 characters of a-z, 0-9, _ and -, the first a letter")
    })
}

impl AppName {
    /// The name of an app, where the text can be one: it stands in tokens, folders and log lines.
    pub fn checked(text: &str) -> Option<Self> {
        let starts = text.starts_with(|c: char| c.is_ascii_lowercase());
        let goes_on =
            text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'));
        (starts && goes_on && text.len() <= NAME_CHARS_MAX).then(|| Self::new(text))
    }
}

/// A text for people.
pub(super) fn short_text(fields: &Fields<'_>, name: &'static str) -> Result<Option<String>, Fault> {
    let Some(node) = fields.optional(name) else {
        return Ok(None);
    };
    let text = node.text()?;
    if text.chars().count() > TEXT_CHARS_MAX {
        return Err(node.fault(format_args!("is longer than {TEXT_CHARS_MAX} characters")));
    }
    Ok(Some(text.to_owned()))
}

/// `"x" is no column; allowed are …`, with the nearest.
pub(super) fn unknown<'n>(what: &str, given: &str, names: impl Iterator<Item = &'n str> + Clone) -> String {
    const NAMES_MAX: usize = 20;
    let hint = nearest(given, names.clone()).map(|name| format!(" (did you mean {name:?}?)"));
    let mut list: Vec<&str> = names.clone().take(NAMES_MAX).collect();
    if names.count() > NAMES_MAX {
        list.push("…");
    }
    let list = if list.is_empty() { "none".to_owned() } else { list.join(", ") };
    format!("{given:?} is no {what}; there is {list}{}", hint.unwrap_or_default())
}
