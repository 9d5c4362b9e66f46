//! What is kept of a row: its beginning where it is long, and nothing that lets anybody in.

use ebbtide_model::Written;
use serde_json::Value as Json;

use crate::sign_in::WRITE_KEY_PREFIX;

/// Bytes of a row that are kept.
pub const ROW_BYTES_MAX: usize = 16 << 10;

/// What stands in the place of a secret.
const HIDDEN: &str = "(not kept)";

/// Fields whose value nobody should keep, in small letters and without `_` and `-`.
const SECRET_FIELDS: [&str; 18] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "clientsecret",
    "token",
    "accesstoken",
    "refreshtoken",
    "idtoken",
    "authtoken",
    "sessiontoken",
    "authorization",
    "apikey",
    "privatekey",
    "secretkey",
    "cookie",
    "setcookie",
];

/// The shortest text that is taken for a signed token.
const TOKEN_CHARS_MIN: usize = 32;

/// How much of a row a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    Whole,
    Beginning,
}

/// A row's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRow {
    pub text: String,
    /// Bytes of what came, as far as that is known.
    pub bytes: usize,
    /// Whether that is all of it, as it came.
    pub whole: bool,
}

impl KeptRow {
    /// As JSON.
    pub fn of_json(row: &Json) -> Self {
        let came = Written(row).to_string();
        let bytes = came.len();
        // What is too long to be kept is cut as text: nobody sends it again as it is.
        let hidden =
            if bytes <= ROW_BYTES_MAX { Written(&without_secrets(row)).to_string() } else { came.clone() };
        let text = cut(&without_keys(&hidden));
        Self { whole: text == came, text, bytes }
    }

    /// As a row of a file, or the beginning of one.
    pub fn of_text(came: &str, extent: Extent) -> Self {
        let text = cut(&without_keys(came));
        Self { whole: text == came && extent == Extent::Whole, text, bytes: came.len() }
    }
}

/// A sentence about a row, which may show a part of it.
pub(super) fn kept_detail(detail: &str) -> String {
    cut(&without_keys(detail))
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(ROW_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

fn without_secrets(json: &Json) -> Json {
    match json {
        Json::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let hides = is_secret(name) && !value.is_null();
                (name.clone(), if hides { Json::from(HIDDEN) } else { without_secrets(value) })
            })
            .collect(),
        Json::Array(items) => items.iter().map(without_secrets).collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => json.clone(),
    }
}

fn is_secret(name: &str) -> bool {
    let plain: String =
        name.chars().filter(|letter| !matches!(letter, '_' | '-')).flat_map(char::to_lowercase).collect();
    SECRET_FIELDS.contains(&plain.as_str())
}

/// Without write keys and signed tokens, wherever they stand.
fn without_keys(text: &str) -> String {
    let is_of_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let bytes = text.as_bytes();
    let (mut kept, mut at) = (String::with_capacity(text.len()), 0);
    while at < bytes.len() {
        let is_word = is_of_word(bytes[at]);
        let end = bytes[at..].iter().position(|byte| is_of_word(*byte) != is_word);
        let end = end.map_or(bytes.len(), |length| at + length);
        let part = &text[at..end];
        kept.push_str(if is_word && is_key(part) { HIDDEN } else { part });
        at = end;
    }
    kept
}

fn is_key(word: &str) -> bool {
    // A message may show its beginning alone.
    let is_token = word.starts_with("eyJ") && word.len() >= TOKEN_CHARS_MIN && word.contains('.');
    is_token || word.starts_with(WRITE_KEY_PREFIX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_is_kept_as_it_came() {
        let row = json!({"id": 7, "name": "José 한국", "deep": [{"a": null}], "tokens": 4});
        let kept = KeptRow::of_json(&row);
        assert!(kept.whole);
        assert_eq!(serde_json::from_str::<Json>(&kept.text).unwrap(), row);
        assert_eq!(kept.bytes, kept.text.len());
        let line = KeptRow::of_text("1,\"a\"", Extent::Whole);
        assert_eq!(line, KeptRow { text: "1,\"a\"".to_owned(), bytes: 5, whole: true });
    }

    #[test]
    fn of_a_long_row_the_beginning_is_kept_and_told() {
        let kept = KeptRow::of_json(&json!({"text": "é".repeat(ROW_BYTES_MAX)}));
        assert!(!kept.whole && kept.text.len() <= ROW_BYTES_MAX && kept.bytes > 2 * ROW_BYTES_MAX);
        assert!(!KeptRow::of_text("the beginning", Extent::Beginning).whole);
    }

    #[test]
    fn what_lets_anybody_in_is_not_kept() {
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJhdWQiOiJjbHViIn0.c2lnbmF0dXJlLW9mLWZvcnR5";
        let key = format!("{WRITE_KEY_PREFIX}0123456789abcdef");
        for row in [
            json!({"password": "hunter2"}),
            json!({"user": {"Access_Token": "hunter2"}}),
            json!([{"api-key": "hunter2"}]),
            json!({"note": format!("it is hunter2? {token}.")}),
            json!({"headers": ["x", format!("Bearer {token}")]}),
            json!({"note": key}),
        ] {
            let kept = KeptRow::of_json(&row);
            for secret in [token, "0123456789abcdef"] {
                assert!(!kept.text.contains(secret), "{kept:?}");
            }
            assert!(!kept.whole, "{kept:?}");
        }
        assert!(!KeptRow::of_json(&json!({"pwd": "hunter2"})).text.contains("hunter2"));
        assert!(!KeptRow::of_text(&format!("1,{token},2"), Extent::Whole).text.contains(token));
        assert!(!kept_detail(&format!("{token:?} is no int")).contains(token));
    }
}
