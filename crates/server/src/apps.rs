//! Which packs a server is given: bundled ones by name, others by their folder.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use ebbtide_model::pack::{Pack, PackFault, StatementCheck, render_faults};
use ebbtide_model::{AppName, ErrorKind, nearest};

/// The file of a pack in its folder.
pub const PACK_FILE: &str = "pack.yaml";

const BUNDLED: [(&str, &str); 6] = [
    ("product", include_str!("../../../packs/product/pack.yaml")),
    ("itsm", include_str!("../../../packs/itsm/pack.yaml")),
    ("chatbot", include_str!("../../../packs/chatbot/pack.yaml")),
    ("learning", include_str!("../../../packs/learning/pack.yaml")),
    ("loyalty", include_str!("../../../packs/loyalty/pack.yaml")),
    ("storefront", include_str!("../../../packs/storefront/pack.yaml")),
];

/// The YAML of a pack that comes with the binary.
pub fn bundled(name: &str) -> Option<&'static str> {
    BUNDLED.iter().find(|(known, _)| *known == name).map(|(_, yaml)| *yaml)
}

/// Names of the packs that come with the binary.
pub fn bundled_names() -> impl Iterator<Item = &'static str> + Clone {
    BUNDLED.iter().map(|(name, _)| *name)
}

/// Why an app cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error(
        "there is no pack {given:?}: the bundled ones are {}{}, and the folder {given:?} has no {PACK_FILE}",
        bundled_names().collect::<Vec<_>>().join(", "),
        Hint(given)
    )]
    Unknown { given: String },
    #[error(
        "{given:?} is no name of an app: allowed are at most 63 characters of a-z, 0-9, _ and -, the first a letter"
    )]
    Name { given: String },
    #[error("{} cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is no UTF-8 text", path.display())]
    NotText { path: PathBuf },
    #[error("the pack has {} {}:\n{}", faults.len(), if faults.len() == 1 { "fault" } else { "faults" }, render_faults(file, faults))]
    Faults { file: String, faults: Vec<PackFault> },
}

struct Hint<'g>(&'g str);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match nearest(self.0, bundled_names()) {
            Some(name) => write!(formatter, " (did you mean {name:?}?)"),
            None => Ok(()),
        }
    }
}

impl AppError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unknown { .. } => ErrorKind::NotFound,
            Self::Name { .. } | Self::NotText { .. } | Self::Faults { .. } => ErrorKind::Invalid,
            Self::Read { .. } => ErrorKind::Unavailable,
        }
    }
}

/// The app that a command line names: `NAME` (bundled), `FOLDER`, or `NAME=FOLDER`, which also gives
/// the app another name than its pack's. `read` gives the bytes of a file.
pub fn load_app(
    spec: &str,
    read: &dyn Fn(&Path) -> io::Result<Vec<u8>>,
    statements: &dyn StatementCheck,
) -> Result<Pack, AppError> {
    let (name, from) = match spec.split_once('=') {
        Some((name, from)) => (Some(app_name(name)?), from),
        None => (None, spec),
    };
    let (file, yaml) = match bundled(from) {
        Some(yaml) => (format!("packs/{from}/{PACK_FILE}"), yaml.to_owned()),
        None => read_pack(from, read)?,
    };
    let mut pack = Pack::parse_with(&yaml, statements).map_err(|faults| AppError::Faults { file, faults })?;
    if let Some(name) = name {
        pack.schema.app = name;
    }
    Ok(pack)
}

fn app_name(given: &str) -> Result<AppName, AppError> {
    AppName::checked(given).ok_or_else(|| AppError::Name { given: given.to_owned() })
}

/// The pack's file in a folder, or the file itself.
fn read_pack(from: &str, read: &dyn Fn(&Path) -> io::Result<Vec<u8>>) -> Result<(String, String), AppError> {
    let is_file = from.ends_with(".yaml") || from.ends_with(".yml");
    let path = if is_file { PathBuf::from(from) } else { Path::new(from).join(PACK_FILE) };
    let bytes = read(&path).map_err(|source| {
        if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
            AppError::Unknown { given: from.to_owned() }
        } else {
            AppError::Read { path: path.clone(), source }
        }
    })?;
    let text = String::from_utf8(bytes).map_err(|_| AppError::NotText { path: path.clone() })?;
    Ok((path.display().to_string(), text))
}

#[cfg(test)]
mod tests {
    use ebbtide_model::TableName;
    use ebbtide_model::pack::Statement;

    use super::*;

    struct Any;

    impl StatementCheck for Any {
        fn check(&self, _: &Statement<'_>) -> Result<Vec<TableName>, String> {
            Ok(Vec::new())
        }
    }

    const SHOP: &str = "pack: shop\ntables: {a: {kind: entity, key: id, tenant: id, columns: {id: int}}}\n";

    fn load(spec: &str) -> Result<String, String> {
        let read = |path: &Path| match path.to_str() {
            Some("my/shop/pack.yaml" | "my/other.yaml") => Ok(SHOP.as_bytes().to_vec()),
            Some("bad/pack.yaml") => Ok(SHOP.replace("int", "it").into_bytes()),
            Some("bytes/pack.yaml") => Ok(vec![0xff]),
            Some("locked/pack.yaml") => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        load_app(spec, &read, &Any).map(|pack| pack.schema.app.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn an_app_is_a_bundled_pack_or_a_folder_and_may_have_a_name_of_its_own() {
        let check = |spec: &str, name: &str| assert_eq!(load(spec).as_deref(), Ok(name), "{spec}");
        check("loyalty", "loyalty");
        check("club=loyalty", "club");
        check("my/shop", "shop");
        check("my/shop/", "shop");
        check("my/other.yaml", "shop");
        check("kiosk=my/shop", "kiosk");
    }

    #[test]
    fn what_cannot_be_had_is_told_with_what_there_is() {
        let check = |spec: &str, want: &str| {
            let told = load(spec).unwrap_err();
            assert!(told.contains(want), "{spec}: {told}");
        };
        check("loyalti", "(did you mean \"loyalty\"?)");
        check("", "there is no pack \"\"");
        check("Shop=my/shop", "\"Shop\" is no name of an app");
        check("bytes", "bytes/pack.yaml is no UTF-8 text");
        check("locked", "locked/pack.yaml cannot be read: permission denied");
        check(
            "bad",
            "the pack has 1 fault:\nbad/pack.yaml:2: tables.a.columns.id: \"it\" was given; allowed is one of int",
        );
    }

    #[test]
    fn every_bundled_pack_is_sound_and_called_by_its_name() {
        for name in bundled_names() {
            assert_eq!(load(name).as_deref(), Ok(name));
        }
    }
}
