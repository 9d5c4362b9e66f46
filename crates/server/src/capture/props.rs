//! The properties of an event or an actor, within their limits.

use std::collections::HashSet;

use super::item::Refusal;
use super::json::Json;
use crate::sources::{NAME_BYTES_MAX, ROW_PROPERTIES_MAX};

/// A property's value.
const VALUE_BYTES_MAX: usize = 64 * 1024;
/// All properties of one event or actor.
const BYTES_MAX: usize = 256 * 1024;
/// Lists and objects in each other.
const DEPTH_MAX: usize = 32;
/// Up to so many names are told apart faster by comparing each with each.
const NAMES_FEW: usize = 16;

/// Names and values, none of them null.
pub(super) type Props<'j, 'a> = Vec<(&'j str, &'j Json<'a>)>;

/// What the field holds. A property that is null is one that is not there.
pub(super) fn read<'j, 'a>(value: Option<&'j Json<'a>>) -> Result<Props<'j, 'a>, Refusal> {
    let mut props = with_nulls(value)?;
    props.retain(|(_, value)| **value != Json::Null);
    Ok(props)
}

/// As [`read`], with those that are null.
pub(super) fn with_nulls<'j, 'a>(value: Option<&'j Json<'a>>) -> Result<Props<'j, 'a>, Refusal> {
    let given = match value {
        None => return Ok(Vec::new()),
        Some(Json::Object(given)) => given,
        Some(other) => {
            let detail = format!("\"props\" is {}; allowed is an object", other.kind());
            return Err(Refusal::new("wrong_type", detail));
        }
    };
    if given.len() > ROW_PROPERTIES_MAX {
        let detail = format!("there are {} properties; allowed are {ROW_PROPERTIES_MAX}", given.len());
        return Err(Refusal::new("props_too_many", detail));
    }
    let mut bytes = 0;
    for (name, value) in given {
        bytes += check(name, value)?;
    }
    if bytes > BYTES_MAX {
        let detail = format!("the properties have about {bytes} bytes; allowed are {BYTES_MAX}");
        return Err(Refusal::new("props_too_large", detail));
    }
    let props: Props<'j, 'a> = given.iter().map(|(name, value)| (&**name, value)).collect();
    if let Some(name) = repeated(&props) {
        let detail = format!("the property {:?} is given twice", shown(name));
        return Err(Refusal::new("prop_repeated", detail));
    }
    Ok(props)
}

/// Its bytes, about.
fn check(name: &str, value: &Json<'_>) -> Result<usize, Refusal> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        let detail = format!("a property's name has {} bytes; allowed are 1 to {NAME_BYTES_MAX}", name.len());
        return Err(Refusal::new("prop_name", detail));
    }
    let bytes = value.bytes();
    if bytes > VALUE_BYTES_MAX {
        let detail =
            format!("the property {:?} has about {bytes} bytes; allowed are {VALUE_BYTES_MAX}", shown(name));
        return Err(Refusal::new("prop_too_large", detail));
    }
    if value.depth() > DEPTH_MAX {
        let detail = format!("the property {:?} is nested deeper than {DEPTH_MAX}", shown(name));
        return Err(Refusal::new("prop_too_deep", detail));
    }
    Ok(name.len() + bytes)
}

fn repeated<'j>(props: &[(&'j str, &Json<'_>)]) -> Option<&'j str> {
    if props.len() <= NAMES_FEW {
        let earlier = |place: usize| props[..place].iter().any(|(name, _)| *name == props[place].0);
        return (0..props.len()).find(|place| earlier(*place)).map(|place| props[place].0);
    }
    let mut names = HashSet::with_capacity(props.len());
    props.iter().map(|(name, _)| *name).find(|name| !names.insert(*name))
}

fn shown(name: &str) -> String {
    name.chars().take(80).collect()
}
