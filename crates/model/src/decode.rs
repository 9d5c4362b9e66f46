//! Reading definitions out of JSON values: the one decoder of queries, packs and configuration. Every
//! fault names the path of its field, what was given and what is allowed, and unknown fields are faults.

use std::cell::RefCell;
use std::fmt;

use serde_json::{Map, Value as Json};

use crate::number::{Written, digits, nearest_float};

/// One thing that is wrong with a definition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", if path.is_empty() { "(the whole)" } else { path.as_str() })]
pub struct Fault {
    /// `steps[1].where[0].op`; empty for the whole.
    pub path: String,
    /// A sentence part that says what was given and what is allowed.
    pub problem: String,
}

/// As much of a given value as a message shows.
const GIVEN_CHARS_MAX: usize = 80;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    json: &'a Json,
    path: String,
}

impl<'a> Node<'a> {
    pub fn root(json: &'a Json) -> Self {
        Self { json, path: String::new() }
    }

    pub fn json(&self) -> &'a Json {
        self.json
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn is_null(&self) -> bool {
        self.json.is_null()
    }

    /// A fault at this node.
    pub fn fault(&self, problem: impl fmt::Display) -> Fault {
        Fault { path: self.path.clone(), problem: problem.to_string() }
    }

    /// The fault that what stands here is not what is allowed.
    pub fn expected(&self, allowed: impl fmt::Display) -> Fault {
        self.fault(format_args!("{} was given; allowed is {allowed}", self.given()))
    }

    /// What stands here, as a message shows it.
    pub fn given(&self) -> String {
        let text = Written(self.json).to_string();
        if text.chars().count() <= GIVEN_CHARS_MAX {
            return text;
        }
        let head: String = text.chars().take(GIVEN_CHARS_MAX).collect();
        format!("{head}…")
    }

    pub fn fields(self) -> Result<Fields<'a>, Fault> {
        let Some(map) = self.json.as_object().filter(|_| digits(self.json).is_none()) else {
            return Err(self.expected("an object"));
        };
        Ok(Fields { map, path: self.path, known: RefCell::default() })
    }

    pub fn items(&self) -> Result<Vec<Node<'a>>, Fault> {
        let Json::Array(items) = self.json else {
            return Err(self.expected("a list"));
        };
        let item = |(index, json)| Node { json, path: format!("{}[{index}]", self.path) };
        Ok(items.iter().enumerate().map(item).collect())
    }

    /// The entries of an object whose keys are free, in the order they were written.
    pub fn entries(&self) -> Result<Vec<(&'a str, Node<'a>)>, Fault> {
        let Some(map) = self.json.as_object().filter(|_| digits(self.json).is_none()) else {
            return Err(self.expected("an object"));
        };
        let entry =
            |(key, json): (&'a String, &'a Json)| (key.as_str(), Node { json, path: join(&self.path, key) });
        Ok(map.iter().map(entry).collect())
    }

    pub fn text(&self) -> Result<&'a str, Fault> {
        self.json.as_str().ok_or_else(|| self.expected("text"))
    }

    pub fn bool(&self) -> Result<bool, Fault> {
        self.json.as_bool().ok_or_else(|| self.expected("true or false"))
    }

    /// A whole number within bounds, both inclusive.
    pub fn integer(&self, min: i64, max: i64) -> Result<i64, Fault> {
        let number = self.json.as_i64().filter(|number| (min..=max).contains(number));
        number.ok_or_else(|| self.expected(format_args!("a whole number from {min} to {max}")))
    }

    pub fn number(&self) -> Result<f64, Fault> {
        nearest_float(self.json).ok_or_else(|| self.expected("a number"))
    }

    /// One of a closed list of words.
    pub fn choice<T>(&self, names: &[&str], from_name: impl Fn(&str) -> Option<T>) -> Result<T, Fault> {
        let fault = || {
            let hint = self.json.as_str().and_then(|given| nearest(given, names.iter().copied()));
            let hint = hint.map(|name| format!(" (did you mean {name:?}?)")).unwrap_or_default();
            self.expected(format_args!("{}{hint}", one_of(names)))
        };
        self.json.as_str().and_then(from_name).ok_or_else(fault)
    }
}

/// The fields of an object; [`Fields::finish`] refuses those that nothing asked for.
#[derive(Debug)]
pub struct Fields<'a> {
    map: &'a Map<String, Json>,
    path: String,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Fields<'a> {
    /// A field that may be absent; null counts as absent.
    pub fn optional(&self, name: &'static str) -> Option<Node<'a>> {
        self.known.borrow_mut().push(name);
        let json = self.map.get(name).filter(|json| !json.is_null())?;
        Some(Node { json, path: join(&self.path, name) })
    }

    pub fn required(&self, name: &'static str) -> Result<Node<'a>, Fault> {
        self.optional(name).ok_or_else(|| Fault {
            path: join(&self.path, name),
            problem: "is missing, and is required".to_owned(),
        })
    }

    /// The text of an optional field.
    pub fn text(&self, name: &'static str) -> Result<Option<&'a str>, Fault> {
        self.optional(name).map(|node| node.text()).transpose()
    }

    /// An optional field that is true or false.
    pub fn flag(&self, name: &'static str, default: bool) -> Result<bool, Fault> {
        self.optional(name).map_or(Ok(default), |node| node.bool())
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// A fault at this object.
    pub fn fault(&self, problem: impl fmt::Display) -> Fault {
        Fault { path: self.path.clone(), problem: problem.to_string() }
    }

    /// A fault at a field of this object, present or not.
    pub fn fault_at(&self, name: &str, problem: impl fmt::Display) -> Fault {
        Fault { path: join(&self.path, name), problem: problem.to_string() }
    }

    /// The first field that nobody asked for is a fault.
    pub fn finish(self) -> Result<(), Fault> {
        self.unknown().into_iter().next().map_or(Ok(()), Err)
    }

    /// A fault for each field that nobody asked for.
    pub fn unknown(self) -> Vec<Fault> {
        let known = self.known.into_inner();
        let fault = |unknown: &String| {
            let hint =
                nearest(unknown, known.iter().copied()).map(|name| format!(" (did you mean {name:?}?)"));
            let problem =
                format!("is no field here; allowed is {}{}", one_of(&known), hint.unwrap_or_default());
            Fault { path: join(&self.path, unknown), problem }
        };
        self.map.keys().filter(|key| !known.contains(&key.as_str())).map(fault).collect()
    }
}

pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn one_of(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    match quoted.as_slice() {
        [] => "none".to_owned(),
        [only] => only.clone(),
        [head @ .., last] => format!("{} or {last}", head.join(", ")),
    }
}

/// The name that is closest to what was given, where one is close enough to be meant.
pub fn nearest<'n>(given: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    const GIVEN_BYTES_MAX: usize = 64;
    if given.len() > GIVEN_BYTES_MAX {
        return None;
    }
    let allowed = (given.chars().count() / 3).max(1);
    let distances = names.into_iter().map(|name| (edits(given, name), name));
    distances.filter(|(edits, _)| *edits <= allowed).min_by_key(|(edits, _)| *edits).map(|(_, name)| name)
}

/// Levenshtein's distance, in characters.
fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, from) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, to) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn decode(json: &Json) -> Result<i64, Fault> {
        let fields = Node::root(json).fields()?;
        let list = fields.required("list")?.items()?;
        let mut sum = 0;
        for item in list {
            let entry = item.fields()?;
            sum += entry.required("size")?.integer(1, 9)?;
            entry.finish()?;
        }
        fields.flag("deep", false)?;
        fields.finish()?;
        Ok(sum)
    }

    #[test]
    fn a_fault_names_its_path_what_was_given_and_what_is_allowed() {
        let check = |json: Json, want: &str| assert_eq!(decode(&json).unwrap_err().to_string(), want);
        check(json!([]), "(the whole): [] was given; allowed is an object");
        check(json!({}), "list: is missing, and is required");
        check(
            json!({"list": [{"size": 1}, {"size": 10}]}),
            "list[1].size: 10 was given; allowed is a whole number from 1 to 9",
        );
        check(
            json!({"list": [{"size": 1, "sise": 2}]}),
            "list[0].sise: is no field here; allowed is \"size\" (did you mean \"size\"?)",
        );
        check(json!({"list": [], "deep": 1}), "deep: 1 was given; allowed is true or false");
        check(json!({"list": [], "x": 1}), "x: is no field here; allowed is \"list\" or \"deep\"");
    }
}
