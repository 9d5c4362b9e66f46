//! One object of a captured list: its fields, their texts, and why it is refused.

use std::borrow::Cow;

use super::json::Json;

/// Bytes of an event's name, an actor, an alias and an event's id.
const NAME_BYTES_MAX: usize = 1_000;

/// An object of a list that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct ItemRejection {
    /// From 0.
    pub(crate) index: usize,
    /// Stable, for machines.
    pub(crate) code: &'static str,
    /// For people: what was given, what is allowed.
    pub(crate) detail: String,
}

/// Why an object is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: &'static str,
    pub(super) detail: String,
}

impl Refusal {
    pub(super) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    pub(super) fn at(self, index: usize) -> ItemRejection {
        ItemRejection { index, code: self.code, detail: self.detail }
    }
}

/// The values of these fields, in their order. Null and left out are the same; of a field that comes twice
/// the last counts, and one that is none of them is refused: what is misspelt would be lost in silence.
pub(super) fn fields<'j, 'a, const N: usize>(
    item: &'j Json<'a>,
    names: [&str; N],
) -> Result<[Option<&'j Json<'a>>; N], Refusal> {
    let Json::Object(given) = item else {
        let detail = format!("{} was given; allowed is an object", item.kind());
        return Err(Refusal::new("not_an_object", detail));
    };
    let mut found = [None; N];
    for (name, value) in given {
        match names.iter().position(|known| known == name) {
            Some(place) => found[place] = Some(value).filter(|value| **value != Json::Null),
            None => {
                let shown: String = name.chars().take(80).collect();
                let detail = format!("there is no field {shown:?}; allowed are {}", names.join(", "));
                return Err(Refusal::new("field_unknown", detail));
            }
        }
    }
    Ok(found)
}

/// A name that must be there: text that is not empty, or a whole number, which means its text.
pub(super) fn name<'j>(field: &str, value: Option<&'j Json<'_>>) -> Result<Cow<'j, str>, Refusal> {
    optional_name(field, value)?
        .ok_or_else(|| Refusal::new("field_missing", format!("the field {field:?} is missing")))
}

/// As [`name`], where it may be left out.
pub(super) fn optional_name<'j>(
    field: &str,
    value: Option<&'j Json<'_>>,
) -> Result<Option<Cow<'j, str>>, Refusal> {
    let text: Cow<'j, str> = match value {
        None => return Ok(None),
        Some(Json::Text(text)) => Cow::Borrowed(text),
        Some(Json::Int(number)) => Cow::Owned(number.to_string()),
        Some(Json::Unsigned(number)) => Cow::Owned(number.to_string()),
        Some(other) => {
            let detail = format!("{field:?} is {}; allowed is text", other.kind());
            return Err(Refusal::new("wrong_type", detail));
        }
    };
    if text.is_empty() {
        return Err(Refusal::new("empty", format!("{field:?} is an empty text")));
    }
    if text.len() > NAME_BYTES_MAX {
        let detail = format!("{field:?} has {} bytes; allowed are {NAME_BYTES_MAX}", text.len());
        return Err(Refusal::new("too_long", detail));
    }
    Ok(Some(text))
}

/// What a capture says of whose it is must be what the caller's token says.
pub(super) fn check_tenant(value: Option<&Json<'_>>, own: &str) -> Result<(), Refusal> {
    match optional_name("tenant", value)? {
        Some(given) if given != own => {
            Err(Refusal::new("tenant_foreign", "\"tenant\" is another than that of the token"))
        }
        Some(_) | None => Ok(()),
    }
}
