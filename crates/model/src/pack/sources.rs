//! How files become rows of a table: `source`, one or a list.

use jiff::fmt::strtime;

use super::faults::Faults;
use super::parse::{time_zone, unknown};
use super::tables::TableDraft;
use super::{Cast, FileFormat, Source};
use crate::{ColumnType, Fault, Fields, Node, TableSchema, TenantRule};

const SOURCES_MAX: usize = 20;
const TEXT_CHARS_MAX: usize = 200;
const NULLS_MAX: usize = 20;

pub(super) fn read(draft: &TableDraft<'_>, faults: &mut Faults) -> Vec<Source> {
    let Some(node) = &draft.source else {
        return Vec::new();
    };
    if !node.json().is_array() {
        return source(node.clone(), &draft.schema, faults).into_iter().collect();
    }
    let items = faults.keep(node.items()).unwrap_or_default();
    if items.len() > SOURCES_MAX {
        faults.add(node.fault(format_args!("has {} sources; allowed are {SOURCES_MAX}", items.len())));
    }
    items.into_iter().take(SOURCES_MAX).filter_map(|item| source(item, &draft.schema, faults)).collect()
}

fn source(node: Node<'_>, table: &TableSchema, faults: &mut Faults) -> Option<Source> {
    let fields = faults.keep(node.fields())?;
    let file = faults.keep(fields.required("file").and_then(|node| file_name(&node)));
    let format = faults.keep(format(&fields, file.as_deref())).flatten();
    let header = fields.optional("header");
    let columns = fields.optional("columns");
    let renames = fields.optional("rename").map(|node| renames(&node, table, faults)).unwrap_or_default();
    let casts = fields.optional("cast").map(|node| casts(&node, table, faults)).unwrap_or_default();
    let nulls = fields.optional("nulls").map(|node| faults.keep(nulls(&node)));
    let ignore_unknown = faults.keep(fields.flag("ignore_unknown", false));
    faults.unknown(fields);

    let format = format?;
    if !matches!(format, FileFormat::Csv | FileFormat::Whitespace) {
        for node in header.iter().chain(&columns) {
            faults.add(node.fault("is for csv and whitespace; this format names its columns itself"));
        }
    }
    let has_header = header.as_ref().map_or(Some(true), |node| faults.keep(node.bool()));
    let ignore_unknown = ignore_unknown?;
    let listed = columns.as_ref().and_then(|node| {
        let listed = listed(node, table, &renames, ignore_unknown);
        faults.keep(listed)
    });
    if let (Some(false), None, Some(node)) = (has_header, &columns, &header) {
        faults.add(node.fault("leaves the columns without names; give them by `columns`"));
    }
    Some(Source {
        table: table.name.clone(),
        file: file?,
        format,
        header: has_header?,
        columns: listed,
        renames,
        casts,
        nulls: nulls.unwrap_or_else(|| Some(Vec::new()))?,
        ignore_unknown,
    })
}

fn file_name(node: &Node<'_>) -> Result<String, Fault> {
    let text = node.text()?;
    let sound = !text.is_empty() && text.chars().count() <= TEXT_CHARS_MAX && !text.contains(['/', '\\']);
    if !sound {
        return Err(node.expected("a file's name, in which `*` stands for anything, without a folder"));
    }
    Ok(text.to_owned())
}

/// As said, else by the end of the file's name; `None` where that is at fault itself.
fn format(fields: &Fields<'_>, file: Option<&str>) -> Result<Option<FileFormat>, Fault> {
    const NAMES: [&str; 4] = ["csv", "ndjson", "parquet", "whitespace"];
    let from_name = |name: &str| {
        Some(match name {
            "csv" => FileFormat::Csv,
            "ndjson" | "jsonl" => FileFormat::Ndjson,
            "parquet" => FileFormat::Parquet,
            "whitespace" => FileFormat::Whitespace,
            _ => return None,
        })
    };
    if let Some(node) = fields.optional("format") {
        return node.choice(&NAMES, from_name).map(Some);
    }
    let Some(file) = file else {
        return Ok(None);
    };
    match file.rsplit_once('.').and_then(|(_, end)| from_name(end)) {
        Some(format) => Ok(Some(format)),
        None => {
            let problem = format!("is missing; allowed is one of {}", NAMES.join(", "));
            Err(fields.fault_at("format", problem))
        }
    }
}

fn column_names(table: &TableSchema) -> impl Iterator<Item = &str> + Clone {
    table.columns.iter().map(|column| column.name.as_str())
}

fn renames(node: &Node<'_>, table: &TableSchema, faults: &mut Faults) -> Vec<(String, String)> {
    let mut renames: Vec<(String, String)> = Vec::new();
    for (from, node) in faults.keep(node.entries()).unwrap_or_default() {
        let Some(to) = faults.keep(node.text()) else {
            continue;
        };
        if table.column_index(to).is_none() {
            let what = format!("column of {}", table.name);
            faults.add(node.fault(unknown(&what, to, column_names(table))));
        } else if renames.iter().any(|(_, other)| other == to) {
            faults.add(node.fault(format_args!("{to:?} has another file column already")));
        } else {
            renames.push((from.to_owned(), to.to_owned()));
        }
    }
    renames
}

fn casts(node: &Node<'_>, table: &TableSchema, faults: &mut Faults) -> Vec<(String, Cast)> {
    let mut casts = Vec::new();
    for (name, node) in faults.keep(node.entries()).unwrap_or_default() {
        let Some(index) = table.column_index(name) else {
            let what = format!("column of {}", table.name);
            faults.add(node.fault(unknown(&what, name, column_names(table))));
            continue;
        };
        let column_type = table.columns[index].column_type;
        casts.extend(faults.keep(cast(&node, column_type)).map(|cast| (name.to_owned(), cast)));
    }
    casts
}

fn cast(node: &Node<'_>, column_type: ColumnType) -> Result<Cast, Fault> {
    const FORMS: &str = "a strptime pattern such as \"%Y%m%d\", {pattern, zone}, \"epoch_s\" or \"epoch_ms\"";
    let cast = match node.json().as_str() {
        Some("epoch_s") => Cast::EpochSeconds,
        Some("epoch_ms") => Cast::EpochMillis,
        Some(_) => Cast::Time { pattern: pattern(node)?, zone: None },
        None => {
            let fields = node.clone().fields().map_err(|_| node.expected(FORMS))?;
            let pattern = pattern(&fields.required("pattern")?)?;
            let zone = fields.optional("zone");
            if let Some(zone) = &zone {
                time_zone(zone)?;
            }
            fields.finish()?;
            Cast::Time { pattern, zone: zone.map(|zone| zone.text().map(str::to_owned)).transpose()? }
        }
    };
    let fits = match column_type {
        ColumnType::Timestamp => true,
        ColumnType::Date => matches!(cast, Cast::Time { .. }),
        ColumnType::Int
        | ColumnType::Float
        | ColumnType::Decimal
        | ColumnType::Bool
        | ColumnType::Text
        | ColumnType::Mixed => false,
    };
    if !fits {
        return Err(node.fault(format_args!(
            "the column is of type {}; a pattern makes a timestamp or a date, an epoch a timestamp",
            column_type.name()
        )));
    }
    Ok(cast)
}

/// A pattern is sound where it reads back, as a whole day at least, what it writes.
fn pattern(node: &Node<'_>) -> Result<String, Fault> {
    let pattern = node.text()?;
    let bad = |why: &str| node.fault(format_args!("{pattern:?} is no pattern for a time: {why}"));
    if pattern.len() > TEXT_CHARS_MAX {
        return Err(bad("it is too long"));
    }
    let sample = jiff::civil::date(2001, 2, 3).at(4, 5, 6, 0).to_zoned(jiff::tz::TimeZone::UTC);
    let sample = sample.map_err(|_| bad("it cannot be tried"))?;
    let written = strtime::format(pattern, &sample).map_err(|error| bad(&error.to_string()))?;
    let read = strtime::parse(pattern, &written).map_err(|error| bad(&error.to_string()))?;
    let day = read.to_date().ok().or_else(|| {
        read.to_timestamp().ok().map(|instant| jiff::tz::TimeZone::UTC.to_datetime(instant).date())
    });
    if day != Some(jiff::civil::date(2001, 2, 3)) {
        return Err(bad("it does not tell year, month and day, as \"%Y-%m-%d\" does"));
    }
    Ok(pattern.to_owned())
}

fn nulls(node: &Node<'_>) -> Result<Vec<String>, Fault> {
    let items = node.items()?;
    if items.len() > NULLS_MAX {
        return Err(node.fault(format_args!("has {} texts; allowed are {NULLS_MAX}", items.len())));
    }
    items.iter().map(|item| item.text().map(str::to_owned)).collect()
}

/// The file's columns by position. Each is one of the table's, by its own name or a rename, and all
/// that a row cannot do without are there.
fn listed(
    node: &Node<'_>,
    table: &TableSchema,
    renames: &[(String, String)],
    ignore_unknown: bool,
) -> Result<Vec<String>, Fault> {
    let mut names: Vec<String> = Vec::new();
    for item in node.items()? {
        let given = item.text()?;
        let target = target(given, renames);
        if table.column_index(target).is_none() && !ignore_unknown {
            let problem = unknown(&format!("column of {}", table.name), target, column_names(table));
            return Err(item.fault(format_args!("{problem}; `ignore_unknown: true` passes it over")));
        }
        if names.iter().any(|name| name == given) {
            return Err(item.fault("is given twice"));
        }
        names.push(given.to_owned());
    }
    let tenant = match table.tenant {
        TenantRule::Column { column, .. } => Some(column),
        TenantRule::Parent { .. } | TenantRule::Fixed(_) => None,
    };
    let missing = table.columns.iter().enumerate().find(|(index, column)| {
        let given = names.iter().any(|name| target(name, renames) == column.name);
        !column.nullable && !given && tenant != Some(*index)
    });
    match missing {
        Some((_, column)) => Err(node
            .fault(format_args!("lacks column {:?} of {}, which may not be null", column.name, table.name))),
        None => Ok(names),
    }
}

fn target<'n>(name: &'n str, renames: &'n [(String, String)]) -> &'n str {
    renames.iter().find(|(from, _)| from == name).map_or(name, |(_, to)| to.as_str())
}
