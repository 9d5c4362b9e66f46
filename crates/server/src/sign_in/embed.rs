//! What a token is bound to that stands in other sites' pages: its claim `embed`. It opens one report, with some of
//! the report's parameters fixed, for pages of one origin.

use ebbtide_model::{Fault, Node};
use serde_json::{Map, Value as Json, json};

use crate::http::is_origin;
use crate::problem::{Code, Problem, shortened};

const ORIGIN_ALLOWED: &str = "one origin as browsers write it, such as https://app.example.com: scheme, host and a port that is not usual, no path";
const PARAMS_MAX: usize = 50;

/// A name of a parameter and the text of its value.
type Fixed = (String, String);

/// One report for pages of one origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embed {
    pub report: String,
    /// The parameters whose values the bearer cannot choose.
    pub params: Vec<(String, String)>,
    /// As browsers write it: `https://app.example.com`.
    pub origin: String,
}

impl Embed {
    /// Reads `{"report", "params"?, "origin"}`; a value of a parameter is a text, a number, true or false.
    pub fn read(node: Node<'_>) -> Result<Self, Fault> {
        let fields = node.fields()?;
        let report = fields.required("report")?;
        if report.text()?.is_empty() {
            return Err(report.expected("a report's name"));
        }
        let params = match fields.optional("params") {
            Some(node) => fixed(&node)?,
            None => Vec::new(),
        };
        let origin = fields.required("origin")?;
        if !origin.text().is_ok_and(|text| text != "*" && is_origin(text)) {
            return Err(origin.expected(ORIGIN_ALLOWED));
        }
        let embed = Self { report: report.text()?.to_owned(), params, origin: origin.text()?.to_owned() };
        fields.finish()?;
        Ok(embed)
    }

    /// As [`Embed::read`], of its parts.
    pub fn of(report: String, params: Vec<(String, String)>, origin: &str) -> Result<Self, Fault> {
        let embed = Self { report, params, origin: origin.to_owned() };
        Self::read(Node::root(&embed.to_json()))
    }

    pub fn to_json(&self) -> Json {
        let text = |(name, value): &Fixed| (name.clone(), Json::from(value.as_str()));
        let params: Map<String, Json> = self.params.iter().map(text).collect();
        json!({"report": self.report, "params": params, "origin": self.origin})
    }

    pub(crate) fn opens_nothing_else(&self) -> Problem {
        let detail = format!("The token opens the report {:?} alone, in its pages.", shortened(&self.report));
        Problem::new(Code::Forbidden, detail)
    }

    /// Refused where a request gives a fixed parameter another value, even once.
    pub(crate) fn check(&self, given: &[Fixed]) -> Result<(), Problem> {
        let fixed = |name: &str| self.params.iter().find(|(own, _)| own == name);
        let differs = |(name, text): &&Fixed| fixed(name).is_some_and(|(_, own)| own != text);
        match given.iter().find(differs) {
            None => Ok(()),
            Some((name, text)) => Err(Problem::new(
                Code::Forbidden,
                format!(
                    "parameter {name}: {:?} was given, and the token fixes another value: leave it out.",
                    shortened(text)
                ),
            )),
        }
    }
}

fn fixed(node: &Node<'_>) -> Result<Vec<Fixed>, Fault> {
    let entries = node.entries()?;
    if entries.len() > PARAMS_MAX {
        return Err(node.fault(format_args!("has {} values; allowed are {PARAMS_MAX}", entries.len())));
    }
    let text = |(name, value): (&str, Node<'_>)| match value.json() {
        Json::String(text) => Ok((name.to_owned(), text.clone())),
        plain @ (Json::Number(_) | Json::Bool(_)) => Ok((name.to_owned(), plain.to_string())),
        Json::Null | Json::Array(_) | Json::Object(_) => {
            Err(value.expected("a text, a number, true or false"))
        }
    };
    entries.into_iter().map(text).collect()
}
