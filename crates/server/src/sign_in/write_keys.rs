//! Write keys: what a page or an app in many hands captures with. A key names an app and a tenant, and opens
//! nothing but capture. The data folder has its hash alone, in one small file that is replaced as a whole.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use ebbtide_model::{AppName, ErrorKind, Instant, TenantId};
use ebbtide_store::fs::{FileSystem, FsError, FsErrorKind};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::xxh3_64;

/// What every write key begins with.
pub const WRITE_KEY_PREFIX: &str = "ewk_";

/// In the data folder.
const FILE: &str = "write-keys.json";
const FILE_NEW: &str = "write-keys.new";
const FILE_BYTES_MAX: u64 = 16 << 20;
const FORMAT: u32 = 1;
const KEYS_MAX: usize = 10_000;
const NAME_CHARS_MAX: usize = 100;
const TENANT_BYTES_MAX: usize = 1_024;
const RANDOM_BYTES: usize = 32;
/// Digits of a key's hash that name it.
const ID_DIGITS: usize = 16;

/// Gives random bytes.
pub type Entropy = fn(&mut [u8]) -> Result<(), String>;

#[derive(Debug, thiserror::Error)]
pub enum WriteKeyError {
    #[error(
        "{given:?} is no name of an app: allowed are at most 63 characters of a-z, 0-9, _ and -, the first a letter"
    )]
    App { given: String },
    #[error("a key is for one tenant: its name has 1 to {TENANT_BYTES_MAX} bytes")]
    Tenant,
    #[error("a key's name has at most {NAME_CHARS_MAX} characters")]
    Name,
    #[error("there is no such write key")]
    Unknown,
    #[error("there are {KEYS_MAX} write keys, and no more are kept: revoke some")]
    TooMany,
    #[error("the system gives no random bytes: {0}")]
    Entropy(String),
    #[error("{FILE} is damaged: {detail}; restore it, or remove it and make keys anew")]
    Damaged { detail: String },
    #[error("{FILE} has format version {found}, which this Ebbtide does not read")]
    UnknownVersion { found: u32 },
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl WriteKeyError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::App { .. } | Self::Tenant | Self::Name => ErrorKind::Invalid,
            Self::Unknown => ErrorKind::NotFound,
            Self::TooMany => ErrorKind::Conflict,
            Self::Entropy(_) => ErrorKind::Internal,
            Self::Damaged { .. } | Self::UnknownVersion { .. } => ErrorKind::Corrupt,
            Self::Fs(error) => error.error_kind(),
        }
    }
}

/// A key, without what would let anybody use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriteKey {
    /// The beginning of its hash.
    pub id: String,
    pub app: String,
    pub tenant: String,
    #[serde(default)]
    pub name: Option<String>,
    /// An RFC 3339 instant.
    pub created_at: String,
    /// SHA-256, in hexadecimal.
    hash: String,
}

/// What a new key is for.
#[derive(Clone, Debug)]
pub struct NewWriteKey {
    pub app: AppName,
    pub tenant: TenantId,
    pub name: Option<String>,
}

/// The write keys of a data folder.
#[derive(Debug)]
pub struct WriteKeys {
    entropy: Entropy,
    /// `None`: they are kept in memory alone.
    fs: Option<Arc<dyn FileSystem>>,
    by_hash: RwLock<HashMap<String, Arc<WriteKey>>>,
    /// Held by who changes them, disk and all.
    changing: Mutex<()>,
}

/// The file, whose checksum is over its keys.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: u32,
    checksum: String,
    keys: Vec<WriteKey>,
}

impl WriteKeys {
    /// Those of a data folder, which this process holds. A damaged file is an error: without its keys
    /// everything that captures would be turned away.
    pub fn open(fs: Arc<dyn FileSystem>, entropy: Entropy) -> Result<Self, WriteKeyError> {
        let keys = read(fs.as_ref())?;
        let by_hash = keys.into_iter().map(|key| (key.hash.clone(), Arc::new(key))).collect();
        Ok(Self { entropy, fs: Some(fs), by_hash: RwLock::new(by_hash), changing: Mutex::default() })
    }

    /// None yet, and none that outlive the process.
    pub fn in_memory(entropy: Entropy) -> Self {
        Self { entropy, fs: None, by_hash: RwLock::default(), changing: Mutex::default() }
    }

    /// Makes a key, durable on return. It is told here and never again. Waits for the disk.
    pub fn create(&self, new: &NewWriteKey, now: Instant) -> Result<(WriteKey, String), WriteKeyError> {
        let NewWriteKey { app, tenant, name } = new;
        if tenant.as_str().is_empty() || tenant.as_str().len() > TENANT_BYTES_MAX {
            return Err(WriteKeyError::Tenant);
        }
        if name.as_ref().is_some_and(|name| name.chars().count() > NAME_CHARS_MAX) {
            return Err(WriteKeyError::Name);
        }
        let _changing = self.change();
        let mut keys = self.all();
        if keys.len() >= KEYS_MAX {
            return Err(WriteKeyError::TooMany);
        }
        let mut random = [0; RANDOM_BYTES];
        (self.entropy)(&mut random).map_err(WriteKeyError::Entropy)?;
        let token = format!("{WRITE_KEY_PREFIX}{}", base64_url(&random));
        let hash = hash(&token);
        let key = WriteKey {
            id: hash.chars().take(ID_DIGITS).collect(),
            app: app.as_str().to_owned(),
            tenant: tenant.as_str().to_owned(),
            name: name.clone(),
            created_at: now.to_string(),
            hash,
        };
        keys.push(Arc::new(key.clone()));
        self.keep(&keys)?;
        Ok((key, token))
    }

    /// Ends a key that `may_end` lets go, durably: nothing is captured with it from now on. Waits for the
    /// disk. To who may not end it, it does not exist.
    pub fn revoke(&self, id: &str, may_end: impl Fn(&WriteKey) -> bool) -> Result<WriteKey, WriteKeyError> {
        let _changing = self.change();
        let mut keys = self.all();
        let place = keys.iter().position(|key| key.id == id && may_end(key));
        let ended = keys.remove(place.ok_or(WriteKeyError::Unknown)?);
        self.keep(&keys)?;
        Ok(WriteKey::clone(&ended))
    }

    /// All of them, the oldest first.
    pub fn all(&self) -> Vec<Arc<WriteKey>> {
        let by_hash = self.by_hash.read().unwrap_or_else(PoisonError::into_inner);
        let mut keys: Vec<Arc<WriteKey>> = by_hash.values().cloned().collect();
        keys.sort_by(|one, other| (&one.created_at, &one.id).cmp(&(&other.created_at, &other.id)));
        keys
    }

    /// The key that a token is. What is compared are hashes, so its timing tells nothing of other keys.
    pub(super) fn find(&self, token: &str) -> Option<Arc<WriteKey>> {
        let hash = hash(token);
        self.by_hash.read().unwrap_or_else(PoisonError::into_inner).get(&hash).cloned()
    }

    fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These are the keys from now on, on disk before anybody may use one.
    fn keep(&self, keys: &[Arc<WriteKey>]) -> Result<(), WriteKeyError> {
        if let Some(fs) = &self.fs {
            write(fs.as_ref(), keys)?;
        }
        let by_hash = keys.iter().map(|key| (key.hash.clone(), key.clone())).collect();
        *self.by_hash.write().unwrap_or_else(PoisonError::into_inner) = by_hash;
        Ok(())
    }
}

fn read(fs: &dyn FileSystem) -> Result<Vec<WriteKey>, WriteKeyError> {
    let path = Path::new(FILE);
    let bytes = match fs.len(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == FsErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let damaged = |detail: String| WriteKeyError::Damaged { detail };
    if bytes > FILE_BYTES_MAX {
        return Err(damaged(format!("it has {bytes} bytes")));
    }
    let text = fs.read_range(path, 0..bytes)?;
    let stored: Stored = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    if stored.format != FORMAT {
        return Err(WriteKeyError::UnknownVersion { found: stored.format });
    }
    if stored.checksum != checksum(&stored.keys)? {
        return Err(damaged("its checksum is another".to_owned()));
    }
    Ok(stored.keys)
}

/// Replaces the file: after a crash it is the old one or the new one.
fn write(fs: &dyn FileSystem, keys: &[Arc<WriteKey>]) -> Result<(), WriteKeyError> {
    let keys: Vec<WriteKey> = keys.iter().map(|key| WriteKey::clone(key)).collect();
    let stored = Stored { format: FORMAT, checksum: checksum(&keys)?, keys };
    let text = serde_json::to_vec_pretty(&stored)
        .map_err(|error| WriteKeyError::Damaged { detail: error.to_string() })?;
    let (new, path) = (Path::new(FILE_NEW), Path::new(FILE));
    match fs.remove_file(new) {
        Err(error) if error.kind() != FsErrorKind::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    let mut file = fs.create_new(new)?;
    file.write_all(&text)?;
    file.sync_data()?;
    drop(file);
    fs.rename(new, path)?;
    fs.sync_dir(Path::new(""))?;
    Ok(())
}

fn checksum(keys: &[WriteKey]) -> Result<String, WriteKeyError> {
    let text =
        serde_json::to_vec(keys).map_err(|error| WriteKeyError::Damaged { detail: error.to_string() })?;
    Ok(format!("{:016x}", xxh3_64(&text)))
}

fn hash(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().fold(String::with_capacity(64), |mut text, byte| {
        // A String takes whatever is written.
        _ = write!(text, "{byte:02x}");
        text
    })
}

/// Without padding (RFC 4648, section 5).
fn base64_url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..=chunk.len() {
            let index = bits >> (18 - 6 * digit) & 63;
            text.push(char::from(DIGITS[index as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use ebbtide_store::fs::SimFs;

    use super::*;

    fn entropy(bytes: &mut [u8]) -> Result<(), String> {
        use std::sync::atomic::{AtomicU8, Ordering};
        static NEXT: AtomicU8 = AtomicU8::new(0);
        bytes.fill(NEXT.fetch_add(1, Ordering::SeqCst));
        Ok(())
    }

    fn new_key(tenant: &str) -> NewWriteKey {
        NewWriteKey {
            app: AppName::new("product"),
            tenant: TenantId::new(tenant),
            name: Some("web".to_owned()),
        }
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        let check = |bytes: &[u8], want: &str| assert_eq!(base64_url(bytes), want);
        check(b"", "");
        check(b"f", "Zg");
        check(b"fo", "Zm8");
        check(b"foo", "Zm9v");
        check(b"foob", "Zm9vYg");
        check(&[0xfb, 0xff], "-_8");
    }

    #[test]
    fn a_key_is_found_after_a_restart_until_it_is_revoked_and_the_disk_does_not_have_it() {
        let fs: Arc<dyn FileSystem> = Arc::new(SimFs::new(1));
        let keys = WriteKeys::open(fs.clone(), entropy).unwrap();
        let (one, token) = keys.create(&new_key("a"), Instant::from_micros(1)).unwrap();
        let (other, other_token) = keys.create(&new_key("b"), Instant::from_micros(2)).unwrap();
        assert!(token.starts_with(WRITE_KEY_PREFIX) && token.len() == 4 + 43, "{token}");
        let bytes = fs.read(Path::new(FILE)).unwrap();
        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(!text.contains(&token[4..]), "{text}");

        let reopened = WriteKeys::open(fs.clone(), entropy).unwrap();
        assert_eq!(reopened.find(&token).unwrap().tenant, "a");
        assert_eq!(reopened.find(&other_token).unwrap().tenant, "b");
        assert_eq!(reopened.all().len(), 2);
        assert!(reopened.find("ewk_").is_none());

        let foreign = reopened.revoke(&one.id, |key| key.tenant == "b");
        assert!(matches!(foreign, Err(WriteKeyError::Unknown)), "{foreign:?}");
        assert_eq!(reopened.revoke(&one.id, |_| true).unwrap(), one);
        assert!(reopened.find(&token).is_none());
        let reopened = WriteKeys::open(fs, entropy).unwrap();
        assert!(reopened.find(&token).is_none());
        assert_eq!(*reopened.all()[0], other);
    }

    #[test]
    fn a_damaged_file_is_told_and_not_taken_for_none() {
        let check = |from: &str, to: &str, want: &str| {
            let fs: Arc<dyn FileSystem> = Arc::new(SimFs::new(1));
            WriteKeys::open(fs.clone(), entropy)
                .unwrap()
                .create(&new_key("a"), Instant::from_micros(1))
                .unwrap();
            let bytes = fs.read(Path::new(FILE)).unwrap();
            let text = std::str::from_utf8(&bytes).unwrap().replace(from, to);
            fs.remove_file(Path::new(FILE)).unwrap();
            fs.create_new(Path::new(FILE)).unwrap().write_all(text.as_bytes()).unwrap();
            let error = WriteKeys::open(fs, entropy).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.to_string().contains(want), "{error}");
        };
        check("\"tenant\": \"a\"", "\"tenant\": \"b\"", "checksum");
        check("\"format\": 1", "\"format\": 2", "version 2");
        check("}", "", "damaged");
    }

    #[test]
    fn a_key_is_for_a_tenant_and_has_a_short_name() {
        let keys = WriteKeys::in_memory(entropy);
        let no_tenant = keys.create(&new_key(""), Instant::from_micros(1));
        assert!(matches!(no_tenant, Err(WriteKeyError::Tenant)), "{no_tenant:?}");
        let long = NewWriteKey { name: Some("n".repeat(NAME_CHARS_MAX + 1)), ..new_key("a") };
        assert!(matches!(keys.create(&long, Instant::from_micros(1)), Err(WriteKeyError::Name)));
    }
}
