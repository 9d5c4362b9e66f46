//! The secret that tokens are signed with: from the environment, else from a file in the data folder
//! that nobody else may read.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

pub(crate) const VARIABLE: &str = "EBBTIDE_JWT_SECRET";

/// In the data folder.
const FILE: &str = "jwt-secret";

/// A secret file is at most this large.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Random bytes of a secret that is made here; the file has them in hexadecimal.
const RANDOM_BYTES: usize = 48;

/// A secret and where it is from.
#[derive(Clone)]
pub(crate) struct Secret {
    pub(crate) bytes: Vec<u8>,
    pub(crate) origin: Origin,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Environment,
    File(PathBuf),
    /// A file that was made just now.
    NewFile(PathBuf),
}

impl Secret {
    /// The variable's, else that of the folder's file.
    pub(crate) fn find(variable: Option<OsString>, data: Option<&Path>) -> Result<Self, Failure> {
        if let Some(value) = variable {
            return Ok(Self { bytes: value.into_vec(), origin: Origin::Environment });
        }
        let hint = format!("set {VARIABLE}, or name with --data a folder that a server has run on");
        let Some(data) = data else {
            return Err(Failure::usage("there is no secret to sign with").hint(hint));
        };
        let path = data.join(FILE);
        match read(&path) {
            Ok(bytes) => Ok(Self { bytes, origin: Origin::File(path) }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let message = format!("there is no secret to sign with: {} does not exist", path.display());
                Err(Failure::usage(message).hint(hint))
            }
            Err(error) => Err(unreadable(&path, &error)),
        }
    }

    /// As [`Secret::find`], and where there is none a random one is made and stored.
    pub(crate) fn find_or_make(variable: Option<OsString>, data: &Path) -> Result<Self, Failure> {
        if variable.is_some() {
            return Self::find(variable, None);
        }
        let path = data.join(FILE);
        match read(&path) {
            Ok(bytes) => Ok(Self { bytes, origin: Origin::File(path) }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::make(path),
            Err(error) => Err(unreadable(&path, &error)),
        }
    }

    fn make(path: PathBuf) -> Result<Self, Failure> {
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random)
            .map_err(|error| Failure::new(format_args!("the system gives no random bytes: {error}")))?;
        let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        write(&path, &text).map_err(|error| {
            Failure::new(format_args!("a secret cannot be stored in {}: {error}", path.display()))
                .hint(format_args!("make the folder writable, or set {VARIABLE}"))
        })?;
        Ok(Self { bytes: text.into_bytes(), origin: Origin::NewFile(path) })
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format_args!("the secret in {} cannot be read: {error}", path.display()))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    OpenOptions::new().read(true).open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    bytes.truncate(bytes.trim_ascii_end().len());
    Ok(bytes)
}

/// Only ever a new file: what another process has stored meanwhile stays.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_made_once_and_only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let made = Secret::find_or_make(None, &data).unwrap();
        let path = data.join("jwt-secret");
        assert_eq!(made.origin, Origin::NewFile(path.clone()));
        assert_eq!(made.bytes.len(), RANDOM_BYTES * 2);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        for found in [Secret::find_or_make(None, &data).unwrap(), Secret::find(None, Some(&data)).unwrap()] {
            assert_eq!((found.bytes, found.origin), (made.bytes.clone(), Origin::File(path.clone())));
        }
    }

    #[test]
    fn the_variable_comes_before_the_file_even_where_it_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        Secret::find_or_make(None, folder.path()).unwrap();
        for text in ["a secret", ""] {
            let found = Secret::find_or_make(Some(text.into()), folder.path()).unwrap();
            assert_eq!((found.bytes.as_slice(), found.origin), (text.as_bytes(), Origin::Environment));
        }
    }

    #[test]
    fn without_any_secret_there_is_nothing_to_sign_with() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Secret::find(None, None).is_err());
        assert!(Secret::find(None, Some(folder.path())).is_err());
    }
}
