//! Who calls, and whose rows they may see. A host-signed JWT becomes a [`Caller`]; a caller and a
//! route's rules become a [`Scope`]. Scopes are made nowhere else.

mod claims;
mod embed;
mod key_address;
mod key_files;
mod key_set;
mod keys;
mod mint;
mod write_keys;

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use ebbtide_model::{AppName, ColumnType, Instant, Scope, TenantId, Tenants, Value};
use serde_json::{Map, Value as Json};

use crate::problem::{Code, Problem, shortened};
use claims::{audience, claim, expires, text, text_or_integer};
use keys::Unproven;

pub use embed::Embed;
pub use key_address::{AddressError, KeyAddress};
pub use key_files::{KEY_FILE_BYTES_MAX, KeyFile, KeyFileError, Skipped};
pub use key_set::{FetchError, KeySet, KeySetSettings, KeySource};
pub use keys::{KeyError, Keys, SECRET_BYTES_MIN, SigningKey, VerifyingKey};
pub use mint::{Claims, EMBED_TTL_S_MAX, TTL_S_DEFAULT, TTL_S_MAX, seconds_of};
pub(crate) use mint::{Minted, Wanted};
pub use write_keys::{Entropy, NewWriteKey, WRITE_KEY_PREFIX, WriteKey, WriteKeyError, WriteKeys};

/// The role of a platform's admin; without a tenant it may see all tenants of its app.
pub const ADMIN: &str = "admin";

/// The role that asks in SQL and saves questions, and writes no rows.
pub const ANALYST: &str = "analyst";

/// The role that writes rows and events, and reads none.
pub const WRITER: &str = "writer";

/// Seconds by which the clocks of host and server may differ, at most.
pub const LEEWAY_S_MAX: u8 = 60;

/// Seconds after its token's end that a listener may stay, at most.
const LISTENING_GRACE_S: u8 = 3;

/// What a token must be besides signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRules {
    /// Seconds by which a host's clock may differ, up to [`LEEWAY_S_MAX`].
    pub leeway_s: u8,
    /// Who may have made it, by its claim `iss`; empty where that is not looked at.
    pub issuers: Vec<String>,
}

impl Default for TokenRules {
    fn default() -> Self {
        Self { leeway_s: 30, issuers: Vec::new() }
    }
}

/// A token that a key of ours signed, in its time, with claims of the right shape. Which app it is for
/// is still open.
#[derive(Clone, Debug)]
pub struct Verified {
    audience: Vec<String>,
    subject: Option<String>,
    tenant: Option<TenantId>,
    role: Option<String>,
    plan: Option<String>,
    /// Its `exp`; a write key has none.
    expires: Option<Instant>,
    by: Means,
}

/// What somebody signs in with.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Means {
    /// Of a host or of the operator.
    Token,
    /// A token that an admin had made by this server: it makes no others.
    Minted,
    /// Opens nothing but its report.
    Embed(Arc<Embed>),
    /// Opens nothing but capture.
    WriteKey,
}

/// Somebody who signed in to an app.
#[derive(Clone, Debug)]
pub struct Caller {
    app: AppName,
    token: Verified,
}

/// Checks the request's token: that there is one, who signed it, that it is in its time, who made it.
pub fn verify(
    headers: &HeaderMap,
    keys: &Keys,
    now: Instant,
    rules: &TokenRules,
) -> Result<Verified, Problem> {
    let claims = keys.verify(bearer(headers)?).map_err(|unproven| unproven_token(unproven, keys))?;
    check_times(&claims, now, rules.leeway_s)?;
    check_issuer(&claims, &rules.issuers)?;
    Verified::read(&claims)
}

/// As [`verify`], of a request whose bearer may be a write key, too.
pub fn identify(
    headers: &HeaderMap,
    keys: &Keys,
    write_keys: &WriteKeys,
    now: Instant,
    rules: &TokenRules,
) -> Result<Verified, Problem> {
    match bearer(headers) {
        Ok(token) if token.starts_with(WRITE_KEY_PREFIX) => {
            let unknown = || Problem::new(Code::TokenInvalid, "The write key is unknown, or was revoked.");
            write_keys.find(token).map(|key| Verified::of_write_key(&key)).ok_or_else(unknown)
        }
        Ok(_) | Err(_) => verify(headers, keys, now, rules),
    }
}

/// The origin for whose pages a request's token is, where a key of ours signed it; whether it still holds is not looked
/// at. `given` is the token of a request whose headers have none.
pub(crate) fn embedding_origin(headers: &HeaderMap, given: Option<&str>, keys: &Keys) -> Option<String> {
    let token = bearer(headers).ok().or(given)?;
    let claims = keys.verify(token).ok()?;
    claims::embed(&claims).ok().flatten().map(|embed| embed.origin)
}

/// What a request's token was bound to, of which nothing is wrong but that its time has passed.
pub(crate) fn ended_embed(headers: &HeaderMap, keys: &Keys, rules: &TokenRules) -> Option<Embed> {
    let claims = keys.verify(bearer(headers).ok()?).ok()?;
    check_issuer(&claims, &rules.issuers).ok()?;
    match Verified::read(&claims).ok()?.by {
        Means::Embed(embed) => Some(Embed::clone(&embed)),
        Means::Token | Means::Minted | Means::WriteKey => None,
    }
}

/// Where the request's token names a key that a fetch may bring, waits a moment for it.
pub(crate) async fn wait_for_key(headers: &HeaderMap, keys: &Keys) {
    let Some(set) = keys.key_set() else {
        return;
    };
    if bearer(headers).is_ok_and(|token| keys.may_be_missing(token)) {
        set.wait_for_news().await;
    }
}

fn unproven_token(unproven: Unproven, keys: &Keys) -> Problem {
    let invalid = |detail: String| Problem::new(Code::TokenInvalid, detail);
    match unproven {
        Unproven::Malformed => invalid(format!("The token is no JWT signed with {}.", keys.algorithms())),
        Unproven::Algorithm => invalid(format!(
            "The token is signed with an algorithm that is not accepted; allowed is {}.",
            keys.algorithms()
        )),
        Unproven::KeyId => invalid("The token's `kid` names no key of this server.".to_owned()),
        Unproven::Signature => invalid("The token's signature does not fit this server's keys.".to_owned()),
        Unproven::NotFetched => Problem::new(
            Code::KeysUnavailable,
            "The keys that tokens are checked with could not be fetched yet.",
        ),
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Err(Problem::new(Code::TokenMissing, "The request has no Authorization header."));
    };
    if values.next().is_some() {
        return Err(Problem::new(Code::TokenInvalid, "The request has several Authorization headers."));
    }
    let text = value.to_str().unwrap_or_default();
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => {
            Ok(token.trim())
        }
        _ => Err(Problem::new(Code::TokenMissing, "The Authorization header holds no bearer token.")),
    }
}

fn check_times(claims: &Map<String, Json>, now: Instant, leeway_s: u8) -> Result<(), Problem> {
    let seconds = |name: &str| match claims.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(value) => match value.as_f64() {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(claim(name, value, "a number of seconds since 1970")),
        },
    };
    let Some(expires_s) = seconds("exp")? else {
        return Err(Problem::new(Code::TokenClaims, "The token has no claim `exp`, and needs it."));
    };
    // Whole seconds, as the claims are; an instant's seconds are exact in a float.
    #[expect(clippy::cast_precision_loss, reason = "seconds of any instant are far below 2^53")]
    let now_s = now.micros().div_euclid(Instant::MICROS_PER_SECOND) as f64;
    let leeway_s = f64::from(leeway_s.min(LEEWAY_S_MAX));
    if now_s >= expires_s + leeway_s {
        return Err(Problem::new(Code::TokenExpired, "The token's `exp` has passed."));
    }
    if seconds("nbf")?.is_some_and(|starts_s| now_s + leeway_s < starts_s) {
        return Err(Problem::new(Code::TokenEarly, "The token's `nbf` is still to come."));
    }
    Ok(())
}

fn check_issuer(claims: &Map<String, Json>, issuers: &[String]) -> Result<(), Problem> {
    let issuer = claims.get("iss").and_then(Json::as_str);
    if issuers.is_empty() || issuer.is_some_and(|issuer| issuers.iter().any(|allowed| allowed == issuer)) {
        return Ok(());
    }
    let given = match issuer {
        Some(issuer) => format!("The token's `iss` is {:?}", shortened(issuer)),
        None => "The token has no claim `iss` of text".to_owned(),
    };
    Err(Problem::new(Code::TokenIssuer, format!("{given}; allowed is {}.", issuers.join(" or "))))
}

impl Verified {
    fn read(claims: &Map<String, Json>) -> Result<Self, Problem> {
        Ok(Self {
            audience: audience(claims)?,
            subject: text_or_integer(claims, "sub")?,
            tenant: text_or_integer(claims, "tenant")?.map(|tenant| TenantId::new(&tenant)),
            role: text(claims, "role")?,
            plan: text(claims, "plan")?,
            expires: expires(claims),
            by: means(claims)?,
        })
    }

    fn of_write_key(key: &WriteKey) -> Self {
        Self {
            audience: vec![key.app.clone()],
            subject: None,
            tenant: Some(TenantId::new(&key.tenant)),
            role: Some(WRITER.to_owned()),
            plan: None,
            expires: None,
            by: Means::WriteKey,
        }
    }

    /// The caller, where the token is for this app.
    pub fn into_caller_of(self, app: &AppName) -> Result<Caller, Problem> {
        if !self.audience.iter().any(|name| name == app.as_str()) {
            let detail = "The token's `aud` is not the app that owns this path.";
            return Err(Problem::new(Code::TokenAudience, detail));
        }
        Ok(Caller { app: app.clone(), token: self })
    }

    /// The caller, where the path belongs to every app: the token's own among those that run here.
    /// `named` decides between several.
    pub fn into_caller_among<'a>(
        self,
        apps: impl Iterator<Item = &'a AppName>,
        named: Option<&str>,
    ) -> Result<Caller, Problem> {
        let own: Vec<&AppName> =
            apps.filter(|app| self.audience.iter().any(|name| name == app.as_str())).collect();
        let wanted = match (own.as_slice(), named) {
            ([], _) => {
                return Err(Problem::new(Code::TokenAudience, "The token's `aud` is no app of this server."));
            }
            ([only], None) => *only,
            (_, None) => {
                let names: Vec<&str> = own.iter().map(|app| app.as_str()).collect();
                let detail = format!("The token is for several apps here: {}.", names.join(", "));
                return Err(Problem::new(Code::AppAmbiguous, detail));
            }
            (_, Some(name)) => match own.iter().find(|app| app.as_str() == name) {
                Some(app) => app,
                None => {
                    let detail = "The token's `aud` does not hold the app that `app` names.";
                    return Err(Problem::new(Code::TokenAudience, detail));
                }
            },
        };
        let app = wanted.clone();
        Ok(Caller { app, token: self })
    }
}

impl Caller {
    pub fn app(&self) -> &AppName {
        &self.app
    }

    /// Refused for who came with what opens only a part: a write key, or a token of one report.
    pub(crate) fn past_parts(self) -> Result<Self, Problem> {
        match &self.token.by {
            Means::Token | Means::Minted => Ok(self),
            Means::WriteKey => Err(only_capture()),
            Means::Embed(embed) => Err(embed.opens_nothing_else()),
        }
    }

    /// As [`Caller::past_parts`], but that a write key is good for this.
    pub(crate) fn allowed_to_capture(self) -> Result<Self, Problem> {
        match &self.token.by {
            Means::Token | Means::Minted | Means::WriteKey => Ok(self),
            Means::Embed(embed) => Err(embed.opens_nothing_else()),
        }
    }

    /// As [`Caller::past_parts`], but that a token of this report is good for it.
    pub(crate) fn allowed_to_read(self, report: &str) -> Result<Self, Problem> {
        match &self.token.by {
            Means::Token | Means::Minted => Ok(self),
            Means::WriteKey => Err(only_capture()),
            Means::Embed(embed) if embed.report == report => Ok(self),
            Means::Embed(embed) => Err(embed.opens_nothing_else()),
        }
    }

    /// Refused for a token that was minted here, so that none outlives its host's sign-in for long.
    pub(crate) fn allowed_to_mint(self) -> Result<Self, Problem> {
        match &self.token.by {
            Means::Minted => {
                let detail = "The token was itself minted, and mints no others.";
                Err(Problem::new(Code::Forbidden, detail))
            }
            Means::Token | Means::Embed(_) | Means::WriteKey => self.past_parts(),
        }
    }

    /// What the caller's token is bound to.
    pub(crate) fn embed(&self) -> Option<&Embed> {
        match &self.token.by {
            Means::Embed(embed) => Some(embed),
            Means::Token | Means::Minted | Means::WriteKey => None,
        }
    }

    pub fn subject(&self) -> Option<&str> {
        self.token.subject.as_deref()
    }

    pub fn plan(&self) -> Option<&str> {
        self.token.plan.as_deref()
    }

    /// When who listens is sent home: at the token's `exp`, or a moment later where clocks may differ.
    pub(crate) fn ends_at(&self, rules: &TokenRules) -> Instant {
        let grace = i64::from(rules.leeway_s.min(LISTENING_GRACE_S)) * Instant::MICROS_PER_SECOND;
        let expires = self.token.expires.map_or(i64::MIN, Instant::micros);
        Instant::from_micros(expires.saturating_add(grace))
    }

    /// How many seconds there are until the token's `exp`.
    pub(crate) fn expires_in_s(&self, now: Instant) -> i64 {
        let left = self.token.expires.map_or(0, |expires| expires.micros().saturating_sub(now.micros()));
        left.max(0) / Instant::MICROS_PER_SECOND
    }

    pub fn tenant(&self) -> Option<&TenantId> {
        self.token.tenant.as_ref()
    }

    pub fn has_role(&self, role: &str) -> bool {
        self.token.role.as_deref() == Some(role)
    }

    /// Refused unless the role is among these; an empty list allows every role, and none.
    pub fn require_role<R: AsRef<str>>(&self, allowed: &[R]) -> Result<(), Problem> {
        if allowed.is_empty() || allowed.iter().any(|role| self.has_role(role.as_ref())) {
            return Ok(());
        }
        let allowed: Vec<&str> = allowed.iter().map(AsRef::as_ref).collect();
        let given = match &self.token.role {
            Some(role) => format!("The role {:?} may not do this", shortened(role)),
            None => "The token has no role".to_owned(),
        };
        Err(Problem::new(Code::RoleForbidden, format!("{given}; allowed is {}.", allowed.join(", "))))
    }

    /// As [`Caller::require_role`], for capture, which a write key opens whatever the roles are.
    pub(crate) fn require_role_to_capture<R: AsRef<str>>(&self, allowed: &[R]) -> Result<(), Problem> {
        match &self.token.by {
            Means::Token | Means::Minted | Means::Embed(_) => self.require_role(allowed),
            Means::WriteKey => Ok(()),
        }
    }

    /// The rows of the token's tenant.
    pub fn tenant_scope(&self) -> Result<Scope, Problem> {
        match self.tenant() {
            Some(tenant) => Ok(self.grant(Tenants::One(tenant.clone()))),
            None => Err(Problem::new(Code::TenantRequired, "The token names no tenant, and this needs one.")),
        }
    }

    /// The rows of the token's tenant, or of all tenants for a platform's admin.
    pub fn widest_scope(&self) -> Result<Scope, Problem> {
        if self.tenant().is_none() && self.has_role(ADMIN) {
            return Ok(self.grant(Tenants::All));
        }
        self.tenant_scope()
    }

    /// The rows of the token's tenant, or of this one where it names none.
    pub fn tenant_scope_or(&self, default: &TenantId) -> Scope {
        self.grant(Tenants::One(self.tenant().unwrap_or(default).clone()))
    }

    /// The rows of all tenants for a platform's admin, whatever its token names; of the token's tenant
    /// for others.
    pub fn all_for_admin_scope(&self) -> Result<Scope, Problem> {
        if self.has_role(ADMIN) { Ok(self.grant(Tenants::All)) } else { self.tenant_scope() }
    }

    /// The rows of all tenants, for the statements of a pack that decide who the caller is. What they
    /// read never reaches the caller, save as its tenant and its plan.
    pub(crate) fn deciding_scope(&self) -> Scope {
        self.grant(Tenants::All)
    }

    /// The rows of the tenant that such a statement found to be the caller's.
    pub(crate) fn found_scope(&self, tenant: TenantId) -> Scope {
        self.grant(Tenants::One(tenant))
    }

    /// Whether the caller's `sub` is this value: the text itself, or the canonical text of what it means.
    pub fn is_subject(&self, given: &str, column_type: ColumnType) -> bool {
        let canonical = Value::from_text(given, column_type).ok().and_then(|value| value.canonical_text());
        self.subject().is_some_and(|subject| subject == canonical.as_deref().unwrap_or(given))
    }

    /// Where the caller's rows go: to the token's tenant, or wherever each row itself says. That the
    /// caller may write at all is checked before, by its role.
    pub fn writing_scope(&self) -> Scope {
        self.grant(self.tenant().map_or(Tenants::All, |tenant| Tenants::One(tenant.clone())))
    }

    /// The rows of the tenant that a path names. A token that names a tenant reaches no other: that one
    /// is as unknown to it as one that does not exist.
    pub fn named_scope(&self, tenant: TenantId) -> Result<Scope, Problem> {
        match self.tenant() {
            Some(own) if *own != tenant => Err(unknown_tenant()),
            _ => Ok(self.grant(Tenants::One(tenant))),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is sign-in, where scopes come from")]
    fn grant(&self, tenants: Tenants) -> Scope {
        Scope::grant(self.app.clone(), tenants)
    }
}

/// All rows of an app, for the server's own rounds: what they compute is given to those alone who may
/// ask for it.
pub(crate) fn warming_scope(app: &AppName) -> Scope {
    #[expect(clippy::disallowed_methods, reason = "this is sign-in, where scopes come from")]
    Scope::grant(app.clone(), Tenants::All)
}

/// What is bound to a report of an app is for that app alone: another may have a report of that name.
fn means(claims: &Map<String, Json>) -> Result<Means, Problem> {
    match claims::embed(claims)? {
        Some(_) if audience(claims)?.len() != 1 => {
            let detail = "The token has a claim `embed`, and its `aud` is not one app alone.";
            Err(Problem::new(Code::TokenClaims, detail))
        }
        Some(embed) => Ok(Means::Embed(Arc::new(embed))),
        None if claims::minted(claims)? => Ok(Means::Minted),
        None => Ok(Means::Token),
    }
}

fn only_capture() -> Problem {
    let detail = "A write key opens nothing but capture: /v1/capture, /v1/actors, /v1/alias, and the paths by which rows of its app come in.";
    Problem::new(Code::Forbidden, detail)
}

/// The same for a tenant that does not exist and for another's.
pub fn unknown_tenant() -> Problem {
    Problem::new(Code::TenantUnknown, "There is no such tenant.")
}

#[cfg(test)]
mod key_tests;
#[cfg(test)]
mod tests;
