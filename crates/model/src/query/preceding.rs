//! `preceding`: what each event came after, counted by one of its values.

use serde_json::{Map, Value as Json, json};

use super::filter::decode_name;
use super::matcher::{Matcher, count};
use crate::{Fault, Fields, Node};

const LIMIT_MAX: i64 = 1_000_000;
const CUT_MAX: i64 = 10_000;

#[derive(Clone, Debug, PartialEq)]
pub struct Preceding {
    /// Each of these events counts once.
    pub before: Matcher,
    /// By the latest of these events that is strictly earlier and of the same actor.
    pub of: Matcher,
    pub show: Show,
    /// Whether null and empty text are left out.
    pub skip_empty: bool,
    /// Only the commonest so many values; `None`: all.
    pub limit: Option<u32>,
    /// Whether the counts are given by actor, too.
    pub per_actor: bool,
    /// A column of the rows that the stream's own belong to and that its actors are: the counts are given by
    /// it instead, the commonest of each.
    pub by: Option<String>,
}

/// The property whose value stands for an event, and how much of its text.
#[derive(Clone, Debug, PartialEq)]
pub struct Show {
    pub prop: String,
    /// Only the first so many characters (Unicode scalar values).
    pub cut: Option<u32>,
    /// Whether white space (Unicode's White_Space) around what is left is taken away.
    pub trim: bool,
}

impl Show {
    fn decode(node: Node<'_>) -> Result<Self, Fault> {
        if node.json().is_string() {
            return Ok(Self { prop: decode_name(&node)?, cut: None, trim: false });
        }
        if !node.json().is_object() {
            return Err(node.expected("a property's name, or an object of prop, cut and trim"));
        }
        let fields = node.fields()?;
        let show = Self {
            prop: decode_name(&fields.required("prop")?)?,
            cut: fields.optional("cut").map(|node| count(&node, 1, CUT_MAX)).transpose()?,
            trim: fields.flag("trim", false)?,
        };
        fields.finish()?;
        Ok(show)
    }

    fn to_json(&self) -> Json {
        json!({"prop": self.prop, "cut": self.cut, "trim": self.trim})
    }
}

impl Preceding {
    pub(super) fn decode(fields: &Fields<'_>) -> Result<Self, Fault> {
        Ok(Self {
            before: Matcher::decode(Some(fields.required("before")?))?,
            of: Matcher::decode(Some(fields.required("of")?))?,
            show: Show::decode(fields.required("show")?)?,
            skip_empty: fields.flag("skip_empty", false)?,
            limit: fields.optional("limit").map(|node| count(&node, 1, LIMIT_MAX)).transpose()?,
            per_actor: fields.flag("per_actor", false)?,
            by: fields.optional("by").map(|node| decode_name(&node)).transpose()?,
        })
    }

    pub(super) fn to_json(&self) -> Json {
        let mut json = Map::new();
        let mut put = |name: &str, value: Json| json.insert(name.to_owned(), value);
        put("before", self.before.to_json());
        put("of", self.of.to_json());
        put("show", self.show.to_json());
        put("skip_empty", Json::from(self.skip_empty));
        put("limit", Json::from(self.limit));
        put("per_actor", Json::from(self.per_actor));
        if let Some(by) = &self.by {
            put("by", Json::from(by.as_str()));
        }
        Json::Object(json)
    }
}
