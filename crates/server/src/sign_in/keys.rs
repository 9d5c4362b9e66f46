//! The keys that tokens are signed with: each bound to one algorithm, so that no header of a token turns a
//! public key into a secret. Secrets (two of them while one is rotated) and public keys of files are fixed
//! at the start; those of a key set's address come and go.

use std::sync::Arc;

use jsonwebtoken::errors::ErrorKind as JwtErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Map, Value as Json};

use super::key_files::KeyFileError;
use super::key_set::KeySet;

/// Bytes that an HS256 secret has at least: as many as its hash.
pub const SECRET_BYTES_MIN: usize = 32;

/// No honest token is longer.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error(
        "the secret has {bytes} bytes, and needs at least {SECRET_BYTES_MIN}: make one with `openssl rand -base64 48`"
    )]
    SecretShort { bytes: usize },
    /// Whoever knows the public key could sign with it.
    #[error("the secret is a key in PEM or JWK: a public key is no secret; name its file among the keys")]
    SecretIsKey,
    #[error(transparent)]
    File(#[from] KeyFileError),
    #[error("there is no key to check tokens with")]
    NoKey,
    #[error("a token could not be signed: {0}")]
    Sign(String),
}

/// Why a token's signature proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unproven {
    /// No three parts of base64 and JSON, too long, of an algorithm that is none (`none` is one), or with
    /// a critical extension.
    Malformed,
    /// A real algorithm that no key here has.
    Algorithm,
    /// No key of the token's algorithm has its `kid`.
    KeyId,
    Signature,
    /// The key set has never been fetched, and may hold its key.
    NotFetched,
}

/// What verifies tokens. Clones share what is fetched.
#[derive(Clone)]
pub struct Keys {
    fixed: Arc<[VerifyingKey]>,
    fetched: Option<Arc<KeySet>>,
}

/// A key for one algorithm, and the name that tokens may give it.
#[derive(Clone)]
pub struct VerifyingKey {
    algorithm: Algorithm,
    key: DecodingKey,
    id: Option<String>,
}

/// What signs tokens: the host has it, and the operator's command line.
pub struct SigningKey {
    header: Header,
    key: EncodingKey,
}

impl Keys {
    /// Keys that stay as they are, and those of a set that is fetched.
    pub fn new(fixed: Vec<VerifyingKey>, fetched: Option<Arc<KeySet>>) -> Result<Self, KeyError> {
        if fixed.is_empty() && fetched.is_none() {
            return Err(KeyError::NoKey);
        }
        Ok(Self { fixed: fixed.into(), fetched })
    }

    pub fn hs256(secret: &[u8]) -> Result<Self, KeyError> {
        Self::new(vec![VerifyingKey::hs256(secret)?], None)
    }

    /// The set that is fetched, where there is one.
    pub(crate) fn key_set(&self) -> Option<&Arc<KeySet>> {
        self.fetched.as_ref()
    }

    /// The algorithms of all keys, as a sentence has them.
    pub(super) fn algorithms(&self) -> String {
        let current = self.fetched.as_ref().map(|set| set.current()).unwrap_or_default();
        let keys = self.fixed.iter().chain(current.iter().flat_map(|keys| keys.iter()));
        let mut names: Vec<String> = keys.map(|key| format!("{:?}", key.algorithm)).collect();
        if self.fetched.is_some() && current.is_none() {
            names.extend(["EdDSA".to_owned(), "RS256".to_owned()]);
        }
        names.sort_unstable();
        names.dedup();
        names.join(" or ")
    }

    /// The claims of a token that one of the keys signed. What they say is not looked at here.
    pub(super) fn verify(&self, token: &str) -> Result<Map<String, Json>, Unproven> {
        let header = header_of(token)?;
        let reason = match verify_by(&self.fixed, token, &header) {
            Ok(claims) => return Ok(claims),
            Err(reason) => reason,
        };
        let Some(set) = &self.fetched else {
            return Err(reason);
        };
        match set.current() {
            Some(keys) => verify_by(&keys, token, &header).map_err(|other| reason.clearer(other)),
            None if is_asymmetric(header.alg) => Err(Unproven::NotFetched),
            None => Err(reason),
        }
    }

    /// Whether a key set that is fetched anew may hold the key of this token, and the one at hand does not.
    pub(super) fn may_be_missing(&self, token: &str) -> bool {
        let (Some(set), Ok(header)) = (&self.fetched, header_of(token)) else {
            return false;
        };
        let fits = |key: &VerifyingKey| key.algorithm == header.alg && key.is_meant_by(header.kid.as_deref());
        let known = set.current().is_some_and(|keys| keys.iter().any(fits));
        is_asymmetric(header.alg) && !known && !self.fixed.iter().any(fits)
    }
}

impl VerifyingKey {
    pub fn hs256(secret: &[u8]) -> Result<Self, KeyError> {
        check_secret(secret)?;
        Ok(Self::new(Algorithm::HS256, DecodingKey::from_secret(secret)))
    }

    pub(super) fn new(algorithm: Algorithm, key: DecodingKey) -> Self {
        Self { algorithm, key, id: None }
    }

    /// The same key under a name: a token that names another is not its.
    pub(super) fn with_id(self, id: Option<String>) -> Self {
        Self { id, ..self }
    }

    /// A key without a name may be any token's, and so may every key a token's that names none.
    fn is_meant_by(&self, id: Option<&str>) -> bool {
        match (&self.id, id) {
            (Some(own), Some(id)) => own == id,
            _ => true,
        }
    }

    fn verify(&self, token: &str) -> Result<Map<String, Json>, Unproven> {
        let mut validation = Validation::new(self.algorithm);
        // Times and audience are checked by the caller, against the injected clock and the route's app.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let decoded = jsonwebtoken::decode(token, &self.key, &validation);
        decoded.map(|decoded| decoded.claims).map_err(|error| reason_of(error.kind()))
    }
}

impl SigningKey {
    pub fn hs256(secret: &[u8]) -> Result<Self, KeyError> {
        check_secret(secret)?;
        Ok(Self { header: Header::new(Algorithm::HS256), key: EncodingKey::from_secret(secret) })
    }

    pub(super) fn eddsa(key: EncodingKey) -> Self {
        Self { header: Header::new(Algorithm::EdDSA), key }
    }

    /// The same key, which its tokens name.
    pub fn with_id(mut self, id: String) -> Self {
        self.header.kid = Some(id);
        self
    }

    pub fn sign(&self, claims: &Map<String, Json>) -> Result<String, KeyError> {
        let signed = jsonwebtoken::encode(&self.header, claims, &self.key);
        signed.map_err(|error| KeyError::Sign(error.to_string()))
    }
}

impl Unproven {
    /// Of two sets' reasons the one that came closer to a proof.
    fn clearer(self, other: Self) -> Self {
        let rank = |reason: Self| match reason {
            Self::Malformed => 0,
            Self::Algorithm => 1,
            Self::KeyId => 2,
            Self::NotFetched => 3,
            Self::Signature => 4,
        };
        if rank(other) > rank(self) { other } else { self }
    }
}

/// What a token says of its signature. None of the keys or addresses that it may name there is looked at.
fn header_of(token: &str) -> Result<Header, Unproven> {
    if token.len() > TOKEN_BYTES_MAX || token.split('.').count() != 3 {
        return Err(Unproven::Malformed);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| Unproven::Malformed)?;
    // Whoever does not know an extension that is critical must refuse the token; none is known here.
    if header.crit.is_some() { Err(Unproven::Malformed) } else { Ok(header) }
}

/// By the keys of the header's algorithm, and among those by the one that it names.
fn verify_by(keys: &[VerifyingKey], token: &str, header: &Header) -> Result<Map<String, Json>, Unproven> {
    let mut reason = Unproven::Algorithm;
    for key in keys.iter().filter(|key| key.algorithm == header.alg) {
        if !key.is_meant_by(header.kid.as_deref()) {
            reason = reason.clearer(Unproven::KeyId);
            continue;
        }
        match key.verify(token) {
            Ok(claims) => return Ok(claims),
            Err(Unproven::Signature) => reason = Unproven::Signature,
            Err(other) => return Err(other),
        }
    }
    Err(reason)
}

/// Whether public keys have this algorithm: a set that is fetched holds no other.
fn is_asymmetric(algorithm: Algorithm) -> bool {
    matches!(algorithm, Algorithm::EdDSA | Algorithm::RS256)
}

fn check_secret(secret: &[u8]) -> Result<(), KeyError> {
    let text = secret.trim_ascii_start();
    if text.starts_with(b"-----BEGIN ") || text.starts_with(b"{") && is_jwk(text) {
        return Err(KeyError::SecretIsKey);
    }
    match secret.len() {
        bytes if bytes < SECRET_BYTES_MIN => Err(KeyError::SecretShort { bytes }),
        _ => Ok(()),
    }
}

fn is_jwk(text: &[u8]) -> bool {
    serde_json::from_slice::<Json>(text)
        .is_ok_and(|json| json.get("kty").is_some() || json.get("keys").is_some())
}

fn reason_of(error: &JwtErrorKind) -> Unproven {
    if matches!(error, JwtErrorKind::InvalidSignature) {
        Unproven::Signature
    } else if matches!(error, JwtErrorKind::InvalidAlgorithm) {
        Unproven::Algorithm
    } else {
        Unproven::Malformed
    }
}
