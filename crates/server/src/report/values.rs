//! The values that a leaf may name: those of the request and, within a fragment, those that it is given.

use ebbtide_model::Value;
use ebbtide_model::pack::{Each, Setting};
use serde_json::Value as Json;

use super::{Arguments, ReportError};

#[derive(Clone, Debug)]
pub(super) struct Values<'a> {
    arguments: &'a Arguments,
    /// They hide values of the request that have the same name.
    given: Vec<(String, Value)>,
}

impl<'a> Values<'a> {
    pub(super) fn of(arguments: &'a Arguments) -> Self {
        Self { arguments, given: Vec::new() }
    }

    /// Those of a fragment's leaves.
    pub(super) fn within(&self, each: &Each) -> Result<Self, ReportError> {
        let mut given = Vec::with_capacity(each.set.len());
        for (name, setting) in &each.set {
            let value = match setting {
                Setting::Value(value) => value.clone(),
                Setting::Name(name) => {
                    self.get(name).ok_or_else(|| ReportError::NoValue { name: name.clone() })?
                }
            };
            given.push((name.clone(), value));
        }
        Ok(Self { arguments: self.arguments, given })
    }

    pub(super) fn get(&self, name: &str) -> Option<Value> {
        let given = self.given.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        given.or_else(|| self.arguments.get(name)).cloned()
    }

    pub(super) fn json(&self, name: &str) -> Result<Json, ReportError> {
        let given = self.given.iter().find(|(known, _)| known == name).map(|(_, value)| value.to_json());
        let json = given.or_else(|| self.arguments.json(name));
        json.ok_or_else(|| ReportError::NoValue { name: name.to_owned() })
    }

    /// All but `as_of`, as a statement is given them.
    pub(super) fn all(&self) -> Vec<(String, Value)> {
        let hidden = |name: &String| self.given.iter().any(|(given, _)| given == name);
        let of_request = self.arguments.values().iter().filter(|(name, _)| !hidden(name));
        self.given.iter().chain(of_request).cloned().collect()
    }
}
