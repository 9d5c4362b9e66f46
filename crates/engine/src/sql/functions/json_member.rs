//! One member of a JSON object, found by reading past all others: nothing else of it is built.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What a member may be that has a type of its own.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Member<'t> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'t, str>),
    /// A list, an object or null.
    Other,
}

/// The member of an object's text; of several of that name, the last. `None` where there is none, and where
/// the text is no JSON object.
pub(super) fn member<'t>(text: &'t str, name: &str) -> Option<Member<'t>> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let found = reader.deserialize_map(InObject(name)).ok()?;
    reader.end().ok()?;
    found
}

/// The integer that a float is, where no other integer is that float.
pub(in crate::sql) fn whole(value: f64) -> Option<i64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
    (value.fract() == 0.0 && value.abs() <= EXACT_MAX).then_some(value as i64)
}

struct InObject<'n>(&'n str);

impl<'de> Visitor<'de> for InObject<'_> {
    type Value = Option<Member<'de>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_it) = map.next_key_seed(IsName(self.0))? {
            if is_it {
                found = Some(map.next_value_seed(OfAnyType)?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Whether a member has that name.
struct IsName<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for IsName<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsName<'_> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a member's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

struct OfAnyType;

impl<'de> DeserializeSeed<'de> for OfAnyType {
    type Value = Member<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Member<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for OfAnyType {
    type Value = Member<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Member<'de>, E> {
        Ok(Member::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Member<'de>, E> {
        Ok(Member::Int(value))
    }

    /// A whole number that is too large for an integer is a float.
    fn visit_u64<E>(self, value: u64) -> Result<Member<'de>, E> {
        #[expect(clippy::cast_precision_loss, reason = "to the nearest float, as any number of JSON")]
        Ok(i64::try_from(value).map_or(Member::Float(value as f64), Member::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Member<'de>, E> {
        Ok(whole(value).map_or(Member::Float(value), Member::Int))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Member<'de>, E> {
        Ok(Member::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Member<'de>, E> {
        Ok(Member::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Member<'de>, E> {
        Ok(Member::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Member<'de>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Member::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Member<'de>, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Member::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_found_by_its_name_whatever_stands_around_it() {
        let check = |text: &str, want: Option<Member<'_>>| assert_eq!(member(text, "a"), want, "{text}");
        check(r#"{"a": 1}"#, Some(Member::Int(1)));
        check(r#"{"b": {"a": 2}, "a": -1}"#, Some(Member::Int(-1)));
        check(r#"{"a": 1, "a": "x"}"#, Some(Member::Text("x".into())));
        check(r#"{"\u0061": true}"#, Some(Member::Bool(true)));
        check(r#"{"a": "x\ny"}"#, Some(Member::Text("x\ny".into())));
        check(r#"{"a": 1.5}"#, Some(Member::Float(1.5)));
        check(r#"{"a": 1.0}"#, Some(Member::Int(1)));
        check(r#"{"a": -0.0}"#, Some(Member::Int(0)));
        check(r#"{"a": 1e3}"#, Some(Member::Int(1000)));
        check(r#"{"a": 1e300}"#, Some(Member::Float(1e300)));
        check(r#"{"a": 9223372036854775808}"#, Some(Member::Float(9_223_372_036_854_775_808.0)));
        check(r#"{"a": null}"#, Some(Member::Other));
        check(r#"{"a": [1, {"a": 2}]}"#, Some(Member::Other));
        check(r#"{"a": {"a": 2}}"#, Some(Member::Other));
        check(r#"{"A": 1}"#, None);
        check("{}", None);
        check("[1]", None);
        check("1", None);
        check("", None);
        check(r#"{"a": 1"#, None);
        check(r#"{"a": 1} x"#, None);
        // However deep it is, it is passed over without recursion.
        let deep = format!(r#"{{"b": {}1{}, "a": 5}}"#, "[".repeat(100_000), "]".repeat(100_000));
        check(&deep, Some(Member::Int(5)));
    }
}
