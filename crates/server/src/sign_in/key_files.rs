//! Keys as hosts hand them out: PEM, or JSON Web Keys, one or a set. What is read is bounded, and bound to
//! the one algorithm that the key is for.

use ed25519_dalek::VerifyingKey as Ed25519Key;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use rsa::RsaPublicKey;
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::pkcs8::{DecodePrivateKey, DecodePublicKey};
use rsa::traits::PublicKeyParts;
use serde_json::Value as Json;

use super::keys::{KeyError, SigningKey, VerifyingKey};

/// Bytes of a key file or a key set.
pub const KEY_FILE_BYTES_MAX: usize = 256 * 1024;

/// Keys of one set.
const KEYS_MAX: usize = 64;

/// Shorter ones can be factored, or soon.
const RSA_BITS_MIN: usize = 2_048;
const RSA_BITS_MAX: usize = 4_096;

/// Why a file holds no key that tokens are checked with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    #[error("it has more than {KEY_FILE_BYTES_MAX} bytes")]
    TooLarge,
    #[error("it is no text of PEM or JSON")]
    NotText,
    #[error("it holds a private key: give its public part, as `openssl pkey -in FILE -pubout` prints it")]
    Private,
    #[error(
        "it holds a certificate: give its public key, as `openssl x509 -in FILE -pubkey -noout` prints it"
    )]
    Certificate,
    #[error("its PEM holds no Ed25519 or RSA public key: {0}")]
    Pem(String),
    #[error("it holds no Ed25519 private key in PKCS#8 PEM: {0}")]
    NoSigningKey(String),
    #[error("it is no JSON Web Key, and no set of them: {0}")]
    Json(String),
    #[error("it has {keys} keys; allowed are at most {KEYS_MAX}")]
    TooMany { keys: usize },
    #[error("no key of it can be used: {}", listed(skipped))]
    NoneUsable { skipped: Vec<Skipped> },
}

/// A key of a set that is passed over, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    pub id: Option<String>,
    pub reason: String,
}

/// What a file or a set holds.
pub struct KeyFile {
    /// One at least.
    pub keys: Vec<VerifyingKey>,
    pub skipped: Vec<Skipped>,
}

impl KeyFile {
    /// Public keys of PEM, of a JWK or of a JWKS. A set may hold keys for other uses: they are passed over.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyFileError> {
        let text = text_of(bytes)?;
        if text.starts_with("-----BEGIN") {
            let key = from_pem(text)?;
            return Ok(Self { keys: vec![key], skipped: Vec::new() });
        }
        Self::parse_set(bytes)
    }

    /// As [`KeyFile::parse`], of JSON alone.
    pub fn parse_set(bytes: &[u8]) -> Result<Self, KeyFileError> {
        let json = |error: &dyn std::fmt::Display| KeyFileError::Json(error.to_string());
        let parsed: Json = serde_json::from_str(text_of(bytes)?).map_err(|error| json(&error))?;
        let one = [parsed.clone()];
        let listed = match parsed.get("keys") {
            Some(Json::Array(keys)) => keys.as_slice(),
            Some(_) => return Err(json(&"`keys` is no list")),
            None if parsed.get("kty").is_some() => &one,
            None => return Err(json(&"it has neither `keys` nor `kty`")),
        };
        if listed.len() > KEYS_MAX {
            return Err(KeyFileError::TooMany { keys: listed.len() });
        }
        let (mut keys, mut skipped) = (Vec::new(), Vec::new());
        for key in listed {
            match from_jwk(key) {
                Ok(key) => keys.push(key),
                Err(reason) => {
                    let id = key.get("kid").and_then(Json::as_str).map(str::to_owned);
                    skipped.push(Skipped { id, reason });
                }
            }
        }
        if keys.is_empty() { Err(KeyFileError::NoneUsable { skipped }) } else { Ok(Self { keys, skipped }) }
    }
}

impl SigningKey {
    /// An Ed25519 private key in PKCS#8 PEM, as `openssl genpkey -algorithm ed25519` makes it.
    pub fn eddsa_pem(bytes: &[u8]) -> Result<Self, KeyError> {
        let refused = |error: &dyn std::fmt::Display| KeyFileError::NoSigningKey(error.to_string());
        let key =
            ed25519_dalek::SigningKey::from_pkcs8_pem(text_of(bytes)?).map_err(|error| refused(&error))?;
        let der = key.to_pkcs8_der().map_err(|error| refused(&error))?;
        Ok(Self::eddsa(EncodingKey::from_ed_der(der.as_bytes())))
    }
}

fn text_of(bytes: &[u8]) -> Result<&str, KeyFileError> {
    if bytes.len() > KEY_FILE_BYTES_MAX {
        return Err(KeyFileError::TooLarge);
    }
    std::str::from_utf8(bytes).map(str::trim).map_err(|_| KeyFileError::NotText)
}

fn from_pem(text: &str) -> Result<VerifyingKey, KeyFileError> {
    let first = text.lines().next().unwrap_or_default();
    if first.contains("PRIVATE KEY") {
        return Err(KeyFileError::Private);
    }
    if first.contains("CERTIFICATE") {
        return Err(KeyFileError::Certificate);
    }
    if let Ok(key) = Ed25519Key::from_public_key_pem(text) {
        return ed25519(&key).map_err(KeyFileError::Pem);
    }
    let parsed = RsaPublicKey::from_public_key_pem(text).or_else(|error| {
        // As `openssl rsa -RSAPublicKey_out` prints it.
        RsaPublicKey::from_pkcs1_pem(text).map_err(|_| error)
    });
    let key = parsed.map_err(|error| KeyFileError::Pem(error.to_string()))?;
    rs256(&key).map_err(KeyFileError::Pem)
}

/// A key of a set, or why it is passed over.
fn from_jwk(json: &Json) -> Result<VerifyingKey, String> {
    let jwk: Jwk = serde_json::from_value(json.clone()).map_err(|error| error.to_string())?;
    if jwk.common.public_key_use.as_ref().is_some_and(|meant| *meant != PublicKeyUse::Signature) {
        return Err("its `use` is not \"sig\"".to_owned());
    }
    if json.get("d").is_some() {
        return Err("it holds its private part, which has no place here".to_owned());
    }
    let (algorithm, key) = if let AlgorithmParameters::OctetKeyPair(_) = &jwk.algorithm {
        (KeyAlgorithm::EdDSA, ed25519_of(&jwk)?)
    } else if let AlgorithmParameters::RSA(_) = &jwk.algorithm {
        (KeyAlgorithm::RS256, rs256_of(&jwk)?)
    } else if let AlgorithmParameters::OctetKey(_) = &jwk.algorithm {
        return Err("it is a secret, which has no place among public keys".to_owned());
    } else {
        return Err("it is neither Ed25519 nor RSA".to_owned());
    };
    match jwk.common.key_algorithm {
        Some(named) if named != algorithm => Err(format!("it is for {named}; allowed is {algorithm}")),
        _ => Ok(key.with_id(jwk.common.key_id)),
    }
}

fn ed25519_of(jwk: &Jwk) -> Result<VerifyingKey, String> {
    let key = DecodingKey::from_jwk(jwk).map_err(|error| error.to_string())?;
    let bytes = key.try_get_as_bytes().map_err(|error| error.to_string())?;
    let bytes: &[u8; 32] =
        bytes.try_into().map_err(|_| format!("its `x` has {} bytes, not 32", bytes.len()))?;
    ed25519(&Ed25519Key::from_bytes(bytes).map_err(|error| error.to_string())?)
}

fn ed25519(key: &Ed25519Key) -> Result<VerifyingKey, String> {
    if key.is_weak() {
        return Err("anybody can sign for this point of small order".to_owned());
    }
    Ok(VerifyingKey::new(Algorithm::EdDSA, DecodingKey::from_ed_der(key.as_bytes())))
}

fn rs256_of(jwk: &Jwk) -> Result<VerifyingKey, String> {
    use jsonwebtoken::DecodingKeyKind;
    use rsa::BigUint;
    let key = DecodingKey::from_jwk(jwk).map_err(|error| error.to_string())?;
    let DecodingKeyKind::RsaModulusExponent { n, e } = key.kind() else {
        return Err("it has no `n` and `e`".to_owned());
    };
    if n.len() > RSA_BITS_MAX / 8 + 1 {
        return Err(format!("it has more than {RSA_BITS_MAX} bits"));
    }
    let key = RsaPublicKey::new(BigUint::from_bytes_be(n), BigUint::from_bytes_be(e));
    rs256(&key.map_err(|error| error.to_string())?)
}

fn rs256(key: &RsaPublicKey) -> Result<VerifyingKey, String> {
    let bits = key.n().bits();
    if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
        return Err(format!("it has {bits} bits; allowed are {RSA_BITS_MIN} to {RSA_BITS_MAX}"));
    }
    let (n, e) = (key.n().to_bytes_be(), key.e().to_bytes_be());
    Ok(VerifyingKey::new(Algorithm::RS256, DecodingKey::from_rsa_raw_components(&n, &e)))
}

fn listed(skipped: &[Skipped]) -> String {
    let one = |key: &Skipped| match &key.id {
        Some(id) => format!("{id:?}: {}", key.reason),
        None => key.reason.clone(),
    };
    if skipped.is_empty() {
        "it has none".to_owned()
    } else {
        skipped.iter().map(one).collect::<Vec<_>>().join("; ")
    }
}
