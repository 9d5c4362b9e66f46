//! The one thing that changes: which segments there are. A commit writes a new numbered file whole,
//! syncs it, renames it into place and syncs the directory, so a crash leaves the old or the new. The
//! file before is kept, for an operator to go back to if the newest one rots.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use ebbtide_model::ErrorKind;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::fs::{FileSystem, FsError, FsErrorKind};

const DIRECTORY: &str = "manifest";
const MAGIC: &str = "ebbtide-manifest";
const VERSION: u32 = 3;
/// The oldest version that is read.
const VERSION_MIN: u32 = 1;
const SUFFIX: &str = ".manifest";
const TEMPORARY_SUFFIX: &str = ".tmp";
/// Bytes of the first line, at most.
const HEAD_BYTES_MAX: usize = 128;

/// 128 bits, written as 32 hexadecimal digits: JSON numbers are too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HexId(pub u128);

impl Serialize for HexId {
    fn serialize<W: serde::Serializer>(&self, serializer: W) -> Result<W::Ok, W::Error> {
        serializer.collect_str(&format_args!("{:032x}", self.0))
    }
}

impl<'de> Deserialize<'de> for HexId {
    fn deserialize<R: serde::Deserializer<'de>>(deserializer: R) -> Result<Self, R::Error> {
        let text = String::deserialize(deserializer)?;
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let parsed = is_hex.then(|| u128::from_str_radix(&text, 16).ok()).flatten();
        parsed.map(Self).ok_or_else(|| serde::de::Error::custom("not 32 hexadecimal digits"))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error(
        "the manifest {} is damaged: {reason}. Restore the data folder from a backup{}",
        file.display(),
        advice(previous.as_deref())
    )]
    Damaged { file: PathBuf, reason: Damage, previous: Option<PathBuf> },
    #[error(
        "the manifest {} has format version {found}, and this Ebbtide reads up to {VERSION}: use the \
         version of Ebbtide that wrote it, or a newer one",
        file.display()
    )]
    UnknownVersion { file: PathBuf, found: u32 },
    #[error("the manifest could not be laid out: {0}")]
    Encode(#[source] serde_json::Error),
    #[error("the manifest takes no more changes since one failed ({cause}); mend that and start again")]
    Poisoned { cause: FsError },
    #[error(transparent)]
    Fs(#[from] FsError),
}

/// How a manifest file is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("its first line is not that of a manifest")]
    Head,
    #[error("it should have {expected} bytes after its first line, and has {found}")]
    Length { expected: u64, found: u64 },
    #[error("its bytes do not match its checksum")]
    Checksum,
    #[error("its first line numbers it {found}, its name {expected}")]
    Number { expected: u64, found: u64 },
    #[error("it does not describe a data folder: {0}")]
    Contents(String),
}

fn advice(previous: Option<&Path>) -> String {
    previous.map_or_else(String::new, |previous| {
        format!(
            ", or move the damaged file away to go back to the one before, {}, at the loss of what was \
             stored in between",
            previous.display()
        )
    })
}

impl ManifestError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Damaged { .. } | Self::UnknownVersion { .. } => ErrorKind::Corrupt,
            Self::Encode(_) => ErrorKind::Internal,
            Self::Poisoned { .. } => ErrorKind::Unavailable,
            Self::Fs(error) => error.error_kind(),
        }
    }
}

/// The manifest files of a data folder. `M` is what they hold: the store's catalog.
#[derive(Debug)]
pub struct ManifestStore {
    fs: Arc<dyn FileSystem>,
    /// Of the newest file; 0 before the first.
    number: u64,
    poison: Option<FsError>,
}

impl ManifestStore {
    /// The newest manifest, or none in a new data folder. A damaged one is an error, never passed over
    /// for the one before: that would lose rows in silence.
    pub fn open<M: DeserializeOwned>(fs: Arc<dyn FileSystem>) -> Result<(Self, Option<M>), ManifestError> {
        fs.create_dir_all(Path::new(DIRECTORY))?;
        // A crash may have kept a rename that was never synced: what is read here must stay.
        fs.sync_dir(Path::new(DIRECTORY))?;
        remove_temporaries(fs.as_ref())?;
        let numbers = numbers(fs.as_ref())?;
        let Some(number) = numbers.last().copied() else {
            return Ok((Self { fs, number: 0, poison: None }, None));
        };
        let manifest = read(fs.as_ref(), number)?;
        Ok((Self { fs, number, poison: None }, Some(manifest)))
    }

    /// The number of the newest file; 0 before the first.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Replaces the manifest, durable on return. After a failure it is not known which of the two is on
    /// disk, and no later commit is taken.
    pub fn commit<M: Serialize>(&mut self, manifest: &M) -> Result<(), ManifestError> {
        if let Some(cause) = &self.poison {
            return Err(ManifestError::Poisoned { cause: cause.clone() });
        }
        let number = self.number + 1;
        let bytes = encode(number, manifest)?;
        if let Err(error) = self.replace(number, &bytes) {
            self.poison = Some(error.clone());
            return Err(error.into());
        }
        self.number = number;
        self.remove_older_than_the_one_before();
        Ok(())
    }

    fn replace(&self, number: u64, bytes: &[u8]) -> Result<(), FsError> {
        let temporary = path_of(number, TEMPORARY_SUFFIX);
        let mut file = self.fs.create_new(&temporary)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        self.fs.rename(&temporary, &path_of(number, SUFFIX))?;
        self.fs.sync_dir(Path::new(DIRECTORY))
    }

    /// One that cannot be removed does no harm, and is tried again at the next commit.
    fn remove_older_than_the_one_before(&self) {
        let numbers = numbers(self.fs.as_ref()).unwrap_or_default();
        for old in numbers.into_iter().filter(|number| number + 1 < self.number) {
            if let Err(error) = self.fs.remove_file(&path_of(old, SUFFIX)) {
                tracing::warn!(%error, "an old manifest could not be removed");
            }
        }
    }
}

/// Checks every manifest file without changing anything; how many there are.
pub fn verify(fs: &dyn FileSystem) -> Result<usize, ManifestError> {
    let numbers = match numbers(fs) {
        Err(error) if error.kind() == FsErrorKind::NotFound => Vec::new(),
        found => found?,
    };
    for number in &numbers {
        read::<serde_json::Value>(fs, *number)?;
    }
    Ok(numbers.len())
}

fn path_of(number: u64, suffix: &str) -> PathBuf {
    Path::new(DIRECTORY).join(format!("{number:010}{suffix}"))
}

/// The numbers of the manifest files, ascending.
fn numbers(fs: &dyn FileSystem) -> Result<Vec<u64>, FsError> {
    let names = fs.list_dir(Path::new(DIRECTORY))?;
    let mut numbers: Vec<u64> =
        names.iter().filter_map(|name| name.strip_suffix(SUFFIX)?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn remove_temporaries(fs: &dyn FileSystem) -> Result<(), FsError> {
    for name in fs.list_dir(Path::new(DIRECTORY))? {
        if name.ends_with(TEMPORARY_SUFFIX) {
            fs.remove_file(&Path::new(DIRECTORY).join(name))?;
        }
    }
    Ok(())
}

fn encode<M: Serialize>(number: u64, manifest: &M) -> Result<Vec<u8>, ManifestError> {
    let body = serde_json::to_vec(manifest).map_err(ManifestError::Encode)?;
    let checksum = checksum(VERSION, number, &body);
    let mut bytes = format!("{MAGIC} {VERSION} {number} {} {checksum:08x}\n", body.len()).into_bytes();
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

fn checksum(version: u32, number: u64, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&version.to_le_bytes());
    hasher.update(&number.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

fn read<M: DeserializeOwned>(fs: &dyn FileSystem, number: u64) -> Result<M, ManifestError> {
    let path = path_of(number, SUFFIX);
    let bytes = fs.read(&path)?;
    let file = fs.root().join(&path);
    match parse(number, &bytes) {
        Ok(manifest) => Ok(manifest),
        Err(ParseError::Version(found)) => Err(ManifestError::UnknownVersion { file, found }),
        Err(ParseError::Damage(reason)) => {
            let before = numbers(fs)?.into_iter().rfind(|other| *other < number);
            let previous = before.map(|before| fs.root().join(path_of(before, SUFFIX)));
            Err(ManifestError::Damaged { file, reason, previous })
        }
    }
}

enum ParseError {
    Version(u32),
    Damage(Damage),
}

impl From<Damage> for ParseError {
    fn from(damage: Damage) -> Self {
        Self::Damage(damage)
    }
}

fn parse<M: DeserializeOwned>(number: u64, bytes: &Bytes) -> Result<M, ParseError> {
    let head_end = bytes.iter().take(HEAD_BYTES_MAX).position(|byte| *byte == b'\n').ok_or(Damage::Head)?;
    let head = std::str::from_utf8(&bytes[..head_end]).map_err(|_| Damage::Head)?;
    let mut words = head.split(' ');
    if words.next() != Some(MAGIC) {
        return Err(Damage::Head.into());
    }
    let version = words.next().and_then(|word| word.parse().ok()).ok_or(Damage::Head)?;
    if !(VERSION_MIN..=VERSION).contains(&version) {
        return Err(ParseError::Version(version));
    }
    let mut integer = || words.next().and_then(|word| word.parse::<u64>().ok()).ok_or(Damage::Head);
    let (found_number, expected) = (integer()?, integer()?);
    let stored = words.next().and_then(|word| u32::from_str_radix(word, 16).ok()).ok_or(Damage::Head)?;
    let body = &bytes[head_end + 1..];
    let found = u64::try_from(body.len()).unwrap_or(u64::MAX);
    if found != expected {
        return Err(Damage::Length { expected, found }.into());
    }
    if checksum(version, found_number, body) != stored {
        return Err(Damage::Checksum.into());
    }
    if found_number != number {
        return Err(Damage::Number { expected: number, found: found_number }.into());
    }
    serde_json::from_reader(io::Cursor::new(body)).map_err(|error| Damage::Contents(error.to_string()).into())
}
