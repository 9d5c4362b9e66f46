//! How a file becomes rows of a table: by a source of the pack that fits its name, else by its name.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use ebbtide_model::pack::{Cast, FileFormat, Pack, Source};
use ebbtide_model::{TableName, TableSchema, TenantRule, nearest};

use super::builder::TableBuilder;
use super::cast::TextCast;
use super::parquet_properties::object_of_text;
use super::properties::check_name;
use super::reject::{Refusal, RejectCode, SourceError};

/// All that is to be known before a file is opened.
#[derive(Clone, Debug)]
pub struct FilePlan {
    /// The file as messages name it.
    pub file: Arc<str>,
    pub table: Arc<TableSchema>,
    pub format: FileFormat,
    pub packing: Packing,
    /// Whether the first line names the columns.
    pub(crate) header: bool,
    /// The file's columns by position; they go before the names in a header.
    pub(crate) columns: Option<Vec<String>>,
    /// File column → where its cells go.
    targets: HashMap<String, Target>,
    /// Texts that mean null, besides the empty cell.
    nulls: Vec<String>,
    pub(crate) ignore_unknown: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    Plain,
    Gzip,
}

/// Where a file's column goes.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) column: usize,
    pub(crate) cast: Option<Arc<TextCast>>,
}

/// Where what a file calls by a name goes.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Column(Target),
    /// The properties of an open table's rows, as an object.
    Properties,
    /// A property of an open table's rows.
    Property(Arc<str>),
    /// Nowhere: it is passed over.
    Nowhere,
}

/// How the file at `path` is read into the app: by a source of the pack whose pattern fits its name,
/// else as `TABLE.csv`, `TABLE.ndjson` or `TABLE.parquet`. A table that is given overrides the name.
pub fn plan_file(pack: &Pack, path: &Path, table: Option<&TableName>) -> Result<FilePlan, SourceError> {
    let file: Arc<str> = Arc::from(path.display().to_string());
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let source = pack
        .sources
        .iter()
        .find(|source| fits(&source.file, &name) && table.is_none_or(|table| *table == source.table));
    let (stem, packing) = match name.strip_suffix(".gz") {
        Some(stem) => (stem, Packing::Gzip),
        None => (name.as_str(), Packing::Plain),
    };
    let (stem, extension) = stem.rsplit_once('.').unwrap_or((stem, ""));
    let format = match (extension, packing) {
        ("csv", _) => Some(FileFormat::Csv),
        ("ndjson" | "jsonl", _) => Some(FileFormat::Ndjson),
        ("parquet", Packing::Plain) => Some(FileFormat::Parquet),
        _ => None,
    };
    // A table that is given, and a name that says nothing: the table's own source tells the format.
    let source = source.or_else(|| {
        let nameless = table.filter(|_| format.is_none());
        pack.sources.iter().find(|source| nameless == Some(&source.table))
    });
    if let Some(source) = source {
        let table = known_table(pack, &file, source.table.as_str())?;
        return FilePlan::by_source(file, table, source, packing);
    }
    let Some(format) = format else {
        return Err(SourceError::UnknownFormat { file });
    };
    let table = known_table(pack, &file, table.map_or(stem, TableName::as_str))?;
    let plain = Source {
        table: table.name.clone(),
        file: String::new(),
        format,
        header: true,
        columns: None,
        renames: Vec::new(),
        casts: Vec::new(),
        nulls: Vec::new(),
        ignore_unknown: false,
    };
    FilePlan::by_source(file, table, &plain, packing)
}

fn known_table<'a>(pack: &'a Pack, file: &Arc<str>, name: &str) -> Result<&'a TableSchema, SourceError> {
    pack.schema.table(&TableName::new(name)).ok_or_else(|| SourceError::UnknownTable {
        file: file.clone(),
        table: name.to_owned(),
        app: pack.schema.app.to_string(),
        known: pack.schema.tables.iter().map(|table| table.name.to_string()).collect(),
    })
}

/// Whether a name fits a pattern in which `*` stands for any run of characters.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(head) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let tail = pieces.pop().unwrap_or("");
    for piece in pieces {
        match name.find(piece) {
            Some(index) => name = &name[index + piece.len()..],
            None => return false,
        }
    }
    name.ends_with(tail)
}

impl FilePlan {
    pub(crate) fn by_source(
        file: Arc<str>,
        table: &TableSchema,
        source: &Source,
        packing: Packing,
    ) -> Result<Self, SourceError> {
        let mut targets = HashMap::new();
        for (index, column) in table.columns.iter().enumerate() {
            let renamed = source.renames.iter().find(|(_, to)| *to == column.name);
            let moved_away = source.renames.iter().any(|(from, _)| *from == column.name);
            let name = match renamed {
                Some((from, _)) => from,
                None if moved_away => continue,
                None => &column.name,
            };
            let cast = source.casts.iter().find(|(name, _)| *name == column.name);
            let cast = cast.map(|(_, cast)| ready(&file, table, cast)).transpose()?;
            targets.insert(name.clone(), Target { column: index, cast });
        }
        Ok(Self {
            file,
            table: Arc::new(table.clone()),
            format: source.format,
            packing,
            header: source.header,
            columns: source.columns.clone(),
            targets,
            nulls: source.nulls.clone(),
            ignore_unknown: source.ignore_unknown,
        })
    }

    pub(crate) fn target(&self, name: &str) -> Option<&Target> {
        self.targets.get(name)
    }

    pub(crate) fn is_null(&self, cell: &str) -> bool {
        cell.is_empty() || self.nulls.iter().any(|null| null == cell)
    }

    /// The field of a row that holds an open table's properties.
    pub(crate) fn properties_field(&self) -> Option<&str> {
        self.table.open.as_ref().map(|open| open.field.as_str())
    }

    /// Where a file's column goes, and not yet whether it may be there; `None` where the table lacks it.
    pub(crate) fn place(&self, name: &str) -> Option<Place> {
        let place = match (self.target(name), self.properties_field()) {
            (Some(target), _) => Place::Column(target.clone()),
            (None, Some(field)) if field == name => Place::Properties,
            (None, Some(_)) => Place::Property(Arc::from(name)),
            (None, None) if self.ignore_unknown => Place::Nowhere,
            (None, None) => return None,
        };
        Some(place)
    }

    /// Where each of a file's columns goes. The columns must be the table's, and all that the table requires.
    pub(crate) fn bind(&self, names: &[String]) -> Result<Vec<Place>, SourceError> {
        let mut bound: Vec<Place> = Vec::new();
        for name in names {
            let place = self.place(name).ok_or_else(|| self.unknown_column(name))?;
            if let Place::Property(name) = &place
                && let Err(refusal) = check_name(name)
            {
                return Err(SourceError::BrokenHeader { file: self.file.clone(), problem: refusal.reason });
            }
            if bound.iter().any(|other| place.is_same(other)) {
                let (file, table) = (self.file.clone(), self.table.name.clone());
                return Err(SourceError::RepeatedColumn { file, table, column: name.clone() });
            }
            bound.push(place);
        }
        let given = |index: usize| {
            bound.iter().any(|place| matches!(place, Place::Column(target) if target.column == index))
        };
        let missing: Vec<String> = self
            .required()
            .filter(|index| !given(*index))
            .map(|index| self.table.columns[index].name.clone())
            .collect();
        if missing.is_empty() {
            return Ok(bound);
        }
        let (file, table) = (self.file.clone(), self.table.name.clone());
        Err(SourceError::MissingColumns { file, table, columns: missing })
    }

    /// Columns that no row may lack.
    fn required(&self) -> impl Iterator<Item = usize> {
        let with_default = match &self.table.tenant {
            TenantRule::Column { column, default: Some(_) } => Some(*column),
            TenantRule::Column { .. } | TenantRule::Parent { .. } | TenantRule::Fixed(_) => None,
        };
        let columns = self.table.columns.iter().enumerate();
        columns
            .filter(move |(index, column)| !column.nullable && Some(*index) != with_default)
            .map(|(index, _)| index)
    }

    pub(crate) fn unknown_column(&self, name: &str) -> SourceError {
        let mut known: Vec<String> = self.targets.keys().cloned().collect();
        known.sort_by_key(|name| self.targets[name].column);
        SourceError::UnknownColumn {
            file: self.file.clone(),
            table: self.table.name.clone(),
            column: name.to_owned(),
            meant: nearest(name, known.iter().map(String::as_str)).map(str::to_owned),
            known,
        }
    }

    /// Writes a row of text cells, one for each bound column.
    pub(crate) fn write_cells<'a>(
        &self,
        bound: &[Place],
        cells: impl Iterator<Item = &'a str>,
        builder: &mut TableBuilder,
    ) -> Result<(), Refusal> {
        for (place, cell) in bound.iter().zip(cells) {
            let target = match place {
                Place::Column(target) => target,
                Place::Nowhere => continue,
                Place::Property(_) | Place::Properties if self.is_null(cell) => continue,
                Place::Property(name) => {
                    builder.property_cell(name, cell)?;
                    continue;
                }
                Place::Properties => {
                    let field = self.properties_field().unwrap_or_default();
                    builder.properties(field, &object_of_text(field, cell)?)?;
                    continue;
                }
            };
            if self.is_null(cell) {
                builder.null(target.column);
                continue;
            }
            builder
                .text(target.column, cell, target.cast.as_deref())
                .map_err(|error| wrong_type(&self.table, target, &error))?;
        }
        Ok(())
    }
}

impl Place {
    /// Whether a file that has both has one of them twice.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Column(own), Self::Column(other)) => own.column == other.column,
            (Self::Property(own), Self::Property(other)) => own == other,
            (Self::Properties, Self::Properties) => true,
            (_, _) => false,
        }
    }
}

/// The refusal of a cell that its column does not take, with what the column's source asks for.
pub(crate) fn wrong_type(table: &TableSchema, target: &Target, error: &ebbtide_model::CastError) -> Refusal {
    let reason = match &target.cast {
        Some(cast) => format!("{} was given; allowed is {}", error.given, cast.allowed()),
        None => error.to_string(),
    };
    Refusal::of_cell(&table.columns[target.column].name, RejectCode::WrongType, reason)
}

fn ready(file: &Arc<str>, table: &TableSchema, cast: &Cast) -> Result<Arc<TextCast>, SourceError> {
    TextCast::new(cast).map(Arc::new).ok_or_else(|| SourceError::UnknownZone {
        file: file.clone(),
        table: table.name.clone(),
        zone: match cast {
            Cast::Time { zone: Some(zone), .. } => zone.clone(),
            Cast::Time { zone: None, .. } | Cast::EpochSeconds | Cast::EpochMillis => String::new(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        let check =
            |pattern: &str, name: &str, want| assert_eq!(fits(pattern, name), want, "{pattern} {name}");
        check("CDNOW_master.txt", "CDNOW_master.txt", true);
        check("CDNOW_master.txt", "CDNOW_sample.txt", false);
        check("events-*.csv", "events-2024-01.csv", true);
        check("events-*.csv", "events-2024-01.csv.gz", false);
        check("*.csv*", "a.csv.gz", true);
        check("a*b*c", "abbc", true);
        check("a*b*c", "ac", false);
        check("ab*ba", "aba", false);
        check("*", "", true);
    }
}
