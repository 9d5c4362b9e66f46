//! What tokens are signed and checked with: secrets and keys that the operator has configured, else a random
//! secret in a file of the data folder that nobody else may read.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ebbtide_server::config::{Hidden, Loaded, Origin as From};
use ebbtide_server::sign_in::{
    KEY_FILE_BYTES_MAX, KeyAddress, KeyFile, KeySet, Keys, SigningKey, VerifyingKey,
};

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
    /// The operator's own choice, in words.
    Configured(String),
    /// The data folder's file.
    File(PathBuf),
    /// The data folder's file, made just now.
    NewFile(PathBuf),
}

impl Secret {
    /// The configuration's secret, where it has one.
    pub(crate) fn configured(loaded: &Loaded) -> Result<Option<Self>, Failure> {
        let jwt = &loaded.config.jwt;
        given(loaded, "jwt.secret", jwt.secret.as_ref(), jwt.secret_file.as_deref())
    }

    /// The one before it, while secrets are rotated.
    fn previous(loaded: &Loaded) -> Result<Option<Self>, Failure> {
        let jwt = &loaded.config.jwt;
        given(
            loaded,
            "jwt.secret_previous",
            jwt.secret_previous.as_ref(),
            jwt.secret_previous_file.as_deref(),
        )
    }

    /// The configuration's, else that of the data folder's file.
    pub(crate) fn find(loaded: &Loaded) -> Result<Self, Failure> {
        if let Some(secret) = Self::configured(loaded)? {
            return Ok(secret);
        }
        let hint = format!("set {VARIABLE}, or name with --data a folder that a server has run on");
        let Some(data) = &loaded.config.data else {
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
    pub(crate) fn find_or_make(loaded: &Loaded, data: &Path) -> Result<Self, Failure> {
        if let Some(secret) = Self::configured(loaded)? {
            return Ok(secret);
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

    fn verifying(&self) -> Result<VerifyingKey, Failure> {
        VerifyingKey::hs256(&self.bytes).map_err(|error| self.refused(&error))
    }

    pub(crate) fn signing(&self) -> Result<SigningKey, Failure> {
        SigningKey::hs256(&self.bytes).map_err(|error| self.refused(&error))
    }

    fn refused(&self, error: &dyn std::fmt::Display) -> Failure {
        match &self.origin {
            Origin::Configured(words) => Failure::usage(format_args!("{words}: {error}")),
            Origin::File(path) | Origin::NewFile(path) => {
                Failure::usage(format_args!("{}: {error}", path.display()))
            }
        }
    }

    fn words(&self) -> String {
        match &self.origin {
            Origin::Configured(words) => words.clone(),
            Origin::File(path) => format!("the secret in {}", path.display()),
            Origin::NewFile(path) => format!("a random secret, stored in {} (mode 0600)", path.display()),
        }
    }
}

/// The secret of a key, or of the file that the key beside it names.
fn given(
    loaded: &Loaded,
    key: &'static str,
    secret: Option<&Hidden>,
    file: Option<&Path>,
) -> Result<Option<Secret>, Failure> {
    if let Some(secret) = secret {
        let words = match loaded.origin(key) {
            From::Variable(name) => name,
            other @ (From::Default | From::File(_) | From::Flag(_)) => format!("{key} ({other})"),
        };
        return Ok(Some(Secret { bytes: secret.reveal().into(), origin: Origin::Configured(words) }));
    }
    let Some(path) = file else {
        return Ok(None);
    };
    let bytes = read(path).map_err(|error| unreadable(path, &error))?;
    let words = format!("the secret in {}", path.display());
    Ok(Some(Secret { bytes, origin: Origin::Configured(words) }))
}

/// What checks the tokens of a server.
pub(crate) struct SignIn {
    pub(crate) keys: Keys,
    /// What the server itself signs tokens with: its secret, where it has one. (Of two, the newer.)
    pub(crate) signer: Option<SigningKey>,
    /// What signs tokens, for the operator's eyes.
    pub(crate) words: String,
    /// Whether the operator has chosen them: a secret that nobody chose is for trying out on one machine.
    pub(crate) by: ChosenBy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChosenBy {
    Operator,
    Nobody,
}

impl SignIn {
    /// The configured keys; a random secret where there are none.
    pub(crate) fn find_or_make(loaded: &Loaded, data: &Path) -> Result<Self, Failure> {
        let mut found = configured_keys(loaded)?;
        let mut by = ChosenBy::Operator;
        let mut own = Secret::configured(loaded)?;
        if found.is_empty() {
            let secret = Secret::find_or_make(loaded, data)?;
            found.push((secret.words(), vec![secret.verifying()?]));
            own = Some(secret);
            by = ChosenBy::Nobody;
        }
        let signer = own.map(|secret| secret.signing()).transpose()?;
        let words: Vec<String> = found.iter().map(|(words, _)| words.clone()).collect();
        let keys = found.into_iter().flat_map(|(_, keys)| keys).collect();
        let address = loaded.config.jwt.jwks_url.as_deref().map(KeyAddress::new);
        let address = address.transpose().map_err(Failure::usage)?;
        let set = address.map(|address| KeySet::new(Box::new(address), loaded.config.jwt.jwks.clone()));
        let keys = Keys::new(keys, set).map_err(Failure::usage)?;
        Ok(Self { keys, signer, words: words.join(", or "), by })
    }
}

/// The keys that the operator has chosen, each with where it is from. An address has its place here, and
/// its keys when they are fetched.
pub(crate) fn configured_keys(loaded: &Loaded) -> Result<Vec<(String, Vec<VerifyingKey>)>, Failure> {
    let jwt = &loaded.config.jwt;
    let mut found = Vec::new();
    for secret in [Secret::configured(loaded)?, Secret::previous(loaded)?].into_iter().flatten() {
        found.push((secret.words(), vec![secret.verifying()?]));
    }
    for path in &jwt.public_keys {
        let refused = |error: &dyn std::fmt::Display| {
            let origin = loaded.origin("jwt.public_keys");
            Failure::usage(format_args!("{origin}: jwt.public_keys: {}: {error}", path.display()))
        };
        let bytes_max = u64::try_from(KEY_FILE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
        let bytes = read_bytes(path, bytes_max).map_err(|error| refused(&error))?;
        let KeyFile { keys, skipped } = KeyFile::parse(&bytes).map_err(|error| refused(&error))?;
        for key in skipped {
            tracing::warn!(file = %path.display(), kid = key.id, reason = key.reason, "a key is passed over");
        }
        found.push((format!("the keys of {}", path.display()), keys));
    }
    if let Some(url) = &jwt.jwks_url {
        found.push((format!("the keys of {url}"), Vec::new()));
    }
    Ok(found)
}

/// An Ed25519 private key of a file, in PEM.
pub(crate) fn signing_key(path: &Path) -> Result<SigningKey, Failure> {
    let bytes = read_bytes(path, FILE_BYTES_MAX).map_err(|error| {
        Failure::usage(format_args!("the key in {} cannot be read: {error}", path.display()))
    })?;
    SigningKey::eddsa_pem(&bytes).map_err(|error| Failure::usage(format_args!("{}: {error}", path.display())))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format_args!("the secret in {} cannot be read: {error}", path.display()))
}

/// A secret, without white space at its end.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = read_bytes(path, FILE_BYTES_MAX)?;
    bytes.truncate(bytes.trim_ascii_end().len());
    Ok(bytes)
}

fn read_bytes(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    OpenOptions::new().read(true).open(path)?.take(bytes_max).read_to_end(&mut bytes)?;
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

    fn loaded(variables: &[(&str, &str)]) -> Loaded {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Loaded::read(None, variables, &[]).unwrap()
    }

    #[test]
    fn a_secret_is_made_once_and_only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let none = loaded(&[]);
        let made = Secret::find_or_make(&none, &data).unwrap();
        let path = data.join("jwt-secret");
        assert_eq!(made.origin, Origin::NewFile(path.clone()));
        assert_eq!(made.bytes.len(), RANDOM_BYTES * 2);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let on_data = loaded(&[("EBBTIDE_DATA", data.to_str().unwrap())]);
        for found in [Secret::find_or_make(&none, &data).unwrap(), Secret::find(&on_data).unwrap()] {
            assert_eq!((found.bytes, found.origin), (made.bytes.clone(), Origin::File(path.clone())));
        }
    }

    #[test]
    fn the_configured_secret_comes_before_the_folders_unless_it_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let made = Secret::find_or_make(&loaded(&[]), folder.path()).unwrap();
        let given =
            Secret::find_or_make(&loaded(&[("EBBTIDE_JWT_SECRET", "a secret")]), folder.path()).unwrap();
        assert_eq!(given.origin, Origin::Configured("EBBTIDE_JWT_SECRET".to_owned()));
        assert_eq!(given.bytes, b"a secret");
        let empty = Secret::find_or_make(&loaded(&[("EBBTIDE_JWT_SECRET", "")]), folder.path()).unwrap();
        assert_eq!(empty.bytes, made.bytes);
        let path = folder.path().join("mine");
        std::fs::write(&path, "the secret of a file\n").unwrap();
        let file = loaded(&[("EBBTIDE_JWT_SECRET_FILE", path.to_str().unwrap())]);
        assert_eq!(Secret::find(&file).unwrap().bytes, b"the secret of a file");
    }

    #[test]
    fn without_any_secret_there_is_nothing_to_sign_with() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Secret::find(&loaded(&[])).is_err());
        assert!(Secret::find(&loaded(&[("EBBTIDE_DATA", folder.path().to_str().unwrap())])).is_err());
    }

    #[test]
    fn a_random_secret_is_made_only_where_no_key_is_configured() {
        let folder = tempfile::tempdir().unwrap();
        let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/../server/tests/keys");
        let check = |variables: &[(&str, &str)], by: ChosenBy, signs: Option<()>, words: &str| {
            let found = SignIn::find_or_make(&loaded(variables), folder.path()).unwrap();
            assert_eq!(found.by, by, "{variables:?}");
            assert_eq!(found.signer.map(|_| ()), signs, "{variables:?}");
            assert!(found.words.contains(words), "{words}: {}", found.words);
            assert_eq!(folder.path().join(FILE).exists(), by == ChosenBy::Nobody, "{variables:?}");
        };
        let public = format!("{keys}/ed25519.pub.pem,{keys}/rsa.pub.pem");
        let secret = "a secret for tests, longer than 32 bytes";
        check(&[("EBBTIDE_JWT_PUBLIC_KEYS", &public)], ChosenBy::Operator, None, "rsa.pub.pem");
        check(
            &[("EBBTIDE_JWT_JWKS_URL", "https://a.example/jwks")],
            ChosenBy::Operator,
            None,
            "https://a.example/jwks",
        );
        check(&[("EBBTIDE_JWT_SECRET", secret)], ChosenBy::Operator, Some(()), "EBBTIDE_JWT_SECRET");
        check(
            &[
                ("EBBTIDE_JWT_SECRET", secret),
                ("EBBTIDE_JWT_SECRET_PREVIOUS", "the one before it, as long as that"),
            ],
            ChosenBy::Operator,
            Some(()),
            "EBBTIDE_JWT_SECRET_PREVIOUS",
        );
        check(&[], ChosenBy::Nobody, Some(()), "a random secret");
    }

    #[test]
    fn a_key_file_that_is_none_is_told_by_its_key_and_its_name() {
        let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/../server/tests/keys");
        for (file, want) in
            [("ed25519.pem", "private key"), ("rsa-1024.pub.pem", "1024 bits"), ("nowhere", "No such file")]
        {
            let path = format!("{keys}/{file}");
            let told = configured_keys(&loaded(&[("EBBTIDE_JWT_PUBLIC_KEYS", &path)])).err().unwrap();
            let told = format!("{told:?}");
            assert!(told.contains("jwt.public_keys") && told.contains(file) && told.contains(want), "{told}");
        }
    }
}
