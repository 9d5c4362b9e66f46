//! A configuration file's text as keys with their values and lines.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::kinds::Given;
use super::{CONFIG_BYTES_MAX, ConfigFault, ConfigFile, Origin, Place};

/// One line's key, with its section: `http.rows_max`.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) given: Given,
    pub(super) place: Place,
}

/// In the order of the file. Fails where it is no TOML.
pub(super) fn entries(file: &ConfigFile) -> Result<Vec<Entry>, ConfigFault> {
    let fault = |line: usize, problem: String| ConfigFault {
        origin: Origin::File(Place { file: file.path.clone(), line }),
        key: None,
        problem,
    };
    if file.bytes.len() > CONFIG_BYTES_MAX {
        return Err(fault(1, format!("the file has more than {CONFIG_BYTES_MAX} bytes")));
    }
    let text = std::str::from_utf8(&file.bytes).map_err(|error| {
        fault(line_of(&file.bytes, error.valid_up_to()), "this is no UTF-8 text".to_owned())
    })?;
    let table = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        fault(line_of(&file.bytes, offset), format!("this is no TOML: {}", error.message()))
    })?;
    let mut found = Vec::new();
    gather(file, "", table.get_ref(), &mut found);
    found.sort_by_key(|entry| entry.place.line);
    Ok(found)
}

fn gather(file: &ConfigFile, section: &str, table: &DeTable<'_>, found: &mut Vec<Entry>) {
    for (key, value) in table {
        let name = match section {
            "" => key.get_ref().to_string(),
            section => format!("{section}.{}", key.get_ref()),
        };
        let line = line_of(&file.bytes, key.span().start);
        if let (DeValue::Table(inner), true) = (value.get_ref(), section.is_empty()) {
            gather(file, &name, inner, found);
            continue;
        }
        let place = Place { file: file.path.clone(), line };
        found.push(Entry { name, given: given(file, value), place });
    }
}

fn given(file: &ConfigFile, value: &Spanned<DeValue<'_>>) -> Given {
    let other = || {
        let written = file.bytes.get(value.span()).unwrap_or_default();
        Given::Other(crate::problem::shortened(&String::from_utf8_lossy(written)))
    };
    match value.get_ref() {
        DeValue::String(text) => Given::Text(text.to_string()),
        DeValue::Boolean(value) => Given::Bool(*value),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or_else(|_| other(), Given::Integer)
        }
        DeValue::Array(items) => {
            let texts = items.iter().map(|item| match item.get_ref() {
                DeValue::String(text) => Some(text.to_string()),
                DeValue::Boolean(_)
                | DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Datetime(_)
                | DeValue::Array(_)
                | DeValue::Table(_) => None,
            });
            texts.collect::<Option<Vec<_>>>().map_or_else(other, Given::List)
        }
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => other(),
    }
}

/// From 1.
fn line_of(bytes: &[u8], offset: usize) -> usize {
    1 + bytes.iter().take(offset).filter(|byte| **byte == b'\n').count()
}
