//! Reading a token's claims: each of its type, or a problem that names it.

use ebbtide_model::{Instant, Node};
use serde_json::{Map, Value as Json};

use super::embed::Embed;
use crate::problem::{Code, Problem, shortened};

pub(super) fn claim(name: &str, given: &Json, allowed: &str) -> Problem {
    let given = shortened(&given.to_string());
    Problem::new(Code::TokenClaims, format!("The token's claim `{name}` is {given}; allowed is {allowed}."))
}

/// A fraction of a second counts as none.
pub(super) fn expires(claims: &Map<String, Json>) -> Option<Instant> {
    #[expect(clippy::cast_possible_truncation, reason = "a cast of floats saturates")]
    let seconds = claims.get("exp").and_then(Json::as_f64)? as i64;
    Some(Instant::from_micros(seconds.saturating_mul(Instant::MICROS_PER_SECOND)))
}

pub(super) fn audience(claims: &Map<String, Json>) -> Result<Vec<String>, Problem> {
    let allowed = "the app's name, or a list with it";
    match claims.get("aud") {
        None | Some(Json::Null) => Err(Problem::new(
            Code::TokenAudience,
            "The token has no claim `aud`, and needs the app's name there.",
        )),
        Some(Json::String(name)) => Ok(vec![name.clone()]),
        Some(value @ Json::Array(items)) => {
            let names: Option<Vec<String>> =
                items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            names.ok_or_else(|| claim("aud", value, allowed))
        }
        Some(value) => Err(claim("aud", value, allowed)),
    }
}

pub(super) fn text(claims: &Map<String, Json>, name: &str) -> Result<Option<String>, Problem> {
    match claims.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(value) => Err(claim(name, value, "text")),
    }
}

/// Hosts that count their users and tenants put numbers there: 1 means `1`.
pub(super) fn text_or_integer(claims: &Map<String, Json>, name: &str) -> Result<Option<String>, Problem> {
    let allowed = "text that is not empty, or a whole number";
    match claims.get(name) {
        Some(Json::Number(number)) if number.is_i64() || number.is_u64() => Ok(Some(number.to_string())),
        Some(value @ (Json::Number(_) | Json::Bool(_) | Json::Array(_) | Json::Object(_))) => {
            Err(claim(name, value, allowed))
        }
        Some(value @ Json::String(given)) if given.is_empty() => Err(claim(name, value, allowed)),
        Some(Json::String(_) | Json::Null) | None => text(claims, name),
    }
}

/// What the token is bound to. One that cannot be read is refused: it would open more than its maker meant.
pub(super) fn embed(claims: &Map<String, Json>) -> Result<Option<Embed>, Problem> {
    let Some(value) = claims.get("embed") else {
        return Ok(None);
    };
    let read = Embed::read(Node::root(value));
    let refused = |fault| Problem::new(Code::TokenClaims, format!("The token's claim `embed`: {fault}."));
    read.map(Some).map_err(refused)
}

/// Whether this server made the token, as its claim `minted` says.
pub(super) fn minted(claims: &Map<String, Json>) -> Result<bool, Problem> {
    match claims.get("minted") {
        None | Some(Json::Null) => Ok(false),
        Some(Json::Bool(minted)) => Ok(*minted),
        Some(value) => Err(claim("minted", value, "true or false")),
    }
}
