//! Tokens made here, by the operator's command line and for demonstrations; a host makes its own.

use ebbtide_model::Instant;
use serde_json::{Map, Value as Json};

use super::keys::{KeyError, SigningKey};

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    pub app: String,
    pub role: String,
    pub tenant: Option<String>,
    pub subject: Option<String>,
    pub plan: Option<String>,
    pub issuer: Option<String>,
    pub expires: Instant,
}

impl Claims {
    pub fn sign(&self, key: &SigningKey) -> Result<String, KeyError> {
        let mut claims = Map::new();
        claims.insert("aud".to_owned(), Json::from(self.app.as_str()));
        claims.insert("role".to_owned(), Json::from(self.role.as_str()));
        let optional =
            [("sub", &self.subject), ("tenant", &self.tenant), ("plan", &self.plan), ("iss", &self.issuer)];
        for (name, value) in optional {
            if let Some(value) = value {
                claims.insert(name.to_owned(), Json::from(value.as_str()));
            }
        }
        let expires_s = self.expires.micros().div_euclid(Instant::MICROS_PER_SECOND);
        claims.insert("exp".to_owned(), Json::from(expires_s));
        key.sign(&claims)
    }
}
