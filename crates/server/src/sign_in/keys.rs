//! The keys that tokens are signed with. Today one HS256 secret; a set, since two secrets hold at once
//! while one is rotated, and since other algorithms bring other keys.

use jsonwebtoken::errors::ErrorKind as JwtErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Map, Value as Json};

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
    #[error("a token could not be signed: {0}")]
    Sign(String),
}

/// Why a token's signature proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unproven {
    /// No three parts of base64 and JSON, too long, or of an algorithm that is none (`none` is one).
    Malformed,
    /// A real algorithm that no key here has.
    Algorithm,
    Signature,
}

/// What verifies tokens.
#[derive(Clone)]
pub struct Keys {
    verifying: Vec<VerifyingKey>,
}

#[derive(Clone)]
struct VerifyingKey {
    algorithm: Algorithm,
    key: DecodingKey,
}

/// What signs tokens: the host has it, and the operator's command line.
pub struct SigningKey(EncodingKey);

impl Keys {
    pub fn hs256(secret: &[u8]) -> Result<Self, KeyError> {
        check_secret(secret)?;
        let key = VerifyingKey { algorithm: Algorithm::HS256, key: DecodingKey::from_secret(secret) };
        Ok(Self { verifying: vec![key] })
    }

    /// The claims of a token that one of the keys signed. What they say is not looked at here.
    pub(super) fn verify(&self, token: &str) -> Result<Map<String, Json>, Unproven> {
        if token.len() > TOKEN_BYTES_MAX || token.split('.').count() != 3 {
            return Err(Unproven::Malformed);
        }
        let mut reason = Unproven::Algorithm;
        for key in &self.verifying {
            let mut validation = Validation::new(key.algorithm);
            // Times and audience are checked by the caller, against the injected clock and the route's app.
            validation.validate_exp = false;
            validation.validate_aud = false;
            validation.required_spec_claims.clear();
            match jsonwebtoken::decode(token, &key.key, &validation) {
                Ok(decoded) => return Ok(decoded.claims),
                Err(error) => reason = reason_of(error.kind()),
            }
        }
        Err(reason)
    }
}

impl SigningKey {
    pub fn hs256(secret: &[u8]) -> Result<Self, KeyError> {
        check_secret(secret)?;
        Ok(Self(EncodingKey::from_secret(secret)))
    }

    pub fn sign(&self, claims: &Map<String, Json>) -> Result<String, KeyError> {
        let signed = jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.0);
        signed.map_err(|error| KeyError::Sign(error.to_string()))
    }
}

fn check_secret(secret: &[u8]) -> Result<(), KeyError> {
    match secret.len() {
        bytes if bytes < SECRET_BYTES_MIN => Err(KeyError::SecretShort { bytes }),
        _ => Ok(()),
    }
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
