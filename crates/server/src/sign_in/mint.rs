//! Tokens made here: by the operator's command line, for demonstrations, and for an app's admins, who mint none that
//! may more than they may themselves. A host makes its own.

use ebbtide_model::{Fault, Instant, Node, TenantId};
use serde_json::{Map, Value as Json};

use super::embed::Embed;
use super::keys::{KeyError, SigningKey};
use super::{Caller, Verified};
use crate::problem::{Code, Problem};

/// How long a minted token is good, where nothing is said.
pub const TTL_S_DEFAULT: i64 = 3_600;
/// And at most.
pub const TTL_S_MAX: i64 = 30 * 86_400;
/// One for other sites' pages, whose every reader has it.
pub const EMBED_TTL_S_MAX: i64 = 86_400;

const TEXT_CHARS_MAX: usize = 200;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    pub app: String,
    pub role: String,
    pub tenant: Option<String>,
    pub subject: Option<String>,
    pub plan: Option<String>,
    pub issuer: Option<String>,
    pub embed: Option<Embed>,
    pub expires: Instant,
}

impl Claims {
    pub fn sign(&self, key: &SigningKey) -> Result<String, KeyError> {
        key.sign(&self.to_map())
    }

    fn to_map(&self) -> Map<String, Json> {
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
        if let Some(embed) = &self.embed {
            claims.insert("embed".to_owned(), embed.to_json());
        }
        let expires_s = self.expires.micros().div_euclid(Instant::MICROS_PER_SECOND);
        claims.insert("exp".to_owned(), Json::from(expires_s));
        claims
    }
}

/// What an admin asks of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) role: String,
    pub(crate) tenant: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) plan: Option<String>,
    pub(crate) ttl_s: i64,
    pub(crate) embed: Option<Embed>,
}

/// A token that is ready to be signed, and who its bearer will be.
#[derive(Debug)]
pub(crate) struct Minted {
    pub(crate) claims: Map<String, Json>,
    pub(crate) expires: Instant,
    pub(crate) bearer: Caller,
}

impl Wanted {
    /// Reads `{"role", "tenant"?, "sub"?, "plan"?, "ttl"?, "embed"?}`.
    pub(crate) fn read(body: &Json) -> Result<Self, Fault> {
        let fields = Node::root(body).fields()?;
        let role = short_text(&fields.required("role")?)?;
        let tenant = fields.optional("tenant").map(|node| text_or_integer(&node)).transpose()?;
        let subject = fields.optional("sub").map(|node| text_or_integer(&node)).transpose()?;
        let plan = fields.optional("plan").map(|node| short_text(&node)).transpose()?;
        let embed = fields.optional("embed").map(Embed::read).transpose()?;
        let ttl_s_max = if embed.is_some() { EMBED_TTL_S_MAX } else { TTL_S_MAX };
        let ttl_s = match fields.optional("ttl") {
            Some(node) => ttl(&node, ttl_s_max)?,
            None => TTL_S_DEFAULT,
        };
        fields.finish()?;
        Ok(Self { role, tenant, subject, plan, ttl_s, embed })
    }

    /// The token that this admin may have made: of its own tenant and plan where it has a tenant.
    pub(crate) fn granted_by(
        self,
        admin: &Caller,
        issuer: Option<&String>,
        now: Instant,
    ) -> Result<Minted, Problem> {
        let own_tenant = admin.tenant().map(TenantId::as_str);
        let own_plan = admin.plan();
        if let (Some(own), Some(given)) = (own_tenant, &self.tenant)
            && own != given
        {
            return Err(Problem::new(Code::Forbidden, "The token would be for another tenant than yours."));
        }
        if let (Some(_), Some(given)) = (own_tenant, &self.plan)
            && own_plan != Some(given)
        {
            return Err(Problem::new(Code::Forbidden, "The token would have another plan than yours."));
        }
        let expires_s = now.micros().div_euclid(Instant::MICROS_PER_SECOND) + self.ttl_s;
        let expires = Instant::from_micros(expires_s.saturating_mul(Instant::MICROS_PER_SECOND));
        let claims = Claims {
            app: admin.app().as_str().to_owned(),
            role: self.role,
            tenant: own_tenant.map(str::to_owned).or(self.tenant),
            subject: self.subject,
            plan: self.plan.or_else(|| own_plan.map(str::to_owned)),
            issuer: issuer.cloned(),
            embed: self.embed,
            expires,
        };
        let mut claims = claims.to_map();
        claims.insert("minted".to_owned(), Json::from(true));
        let bearer = Verified::read(&claims)?.into_caller_of(admin.app())?;
        Ok(Minted { claims, expires, bearer })
    }
}

fn short_text(node: &Node<'_>) -> Result<String, Fault> {
    let fits = |text: &&str| (1..=TEXT_CHARS_MAX).contains(&text.chars().count());
    let text = node.text().ok().filter(fits);
    let allowed = || node.expected(format_args!("a text of 1 to {TEXT_CHARS_MAX} characters"));
    text.map(str::to_owned).ok_or_else(allowed)
}

fn text_or_integer(node: &Node<'_>) -> Result<String, Fault> {
    match node.json() {
        Json::Number(number) if number.is_i64() || number.is_u64() => Ok(number.to_string()),
        Json::Number(_) | Json::String(_) | Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => {
            short_text(node)
        }
    }
}

/// Whole seconds, or a number with a unit.
fn ttl(node: &Node<'_>, seconds_max: i64) -> Result<i64, Fault> {
    let seconds = match node.json() {
        Json::String(text) => seconds_of(text),
        json @ (Json::Number(_) | Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_)) => {
            json.as_i64()
        }
    };
    let days = seconds_max / 86_400;
    let allowed = || {
        node.expected(format_args!(
            "a time from 1s to {days}d, such as \"15m\", \"12h\" or \"1d\", or whole seconds"
        ))
    };
    seconds.filter(|seconds| (1..=seconds_max).contains(seconds)).ok_or_else(allowed)
}

/// The seconds of `90s`, `15m`, `12h` or `7d`.
pub fn seconds_of(text: &str) -> Option<i64> {
    let units = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];
    let (digits, seconds) =
        units.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(*unit)?, *seconds)))?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse::<i64>().ok().filter(|_| plain)?.checked_mul(seconds)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_time_to_live_is_a_number_with_a_unit_or_seconds_and_is_bounded() {
        let check = |body: Json, want: Option<i64>| {
            assert_eq!(Wanted::read(&body).ok().map(|wanted| wanted.ttl_s), want, "{body}");
        };
        let with = |ttl: Json| json!({"role": "analyst", "ttl": ttl});
        check(json!({"role": "analyst"}), Some(TTL_S_DEFAULT));
        check(with(json!("90s")), Some(90));
        check(with(json!("15m")), Some(900));
        check(with(json!(60)), Some(60));
        check(with(json!("30d")), Some(TTL_S_MAX));
        for bad in ["", "h", "1", "-1h", "+1h", "1.5h", "0s", "31d", "1w", "1H", "9223372036854775807d"] {
            check(with(json!(bad)), None);
        }
        for bad in [json!(0), json!(-1), json!(1.5), json!(TTL_S_MAX + 1), json!([1]), json!(true)] {
            check(with(bad), None);
        }
        let embed = json!({"report": "visits", "origin": "https://a.example"});
        check(json!({"role": "analyst", "ttl": "1d", "embed": embed}), Some(EMBED_TTL_S_MAX));
        check(json!({"role": "analyst", "ttl": "2d", "embed": embed}), None);
    }
}
