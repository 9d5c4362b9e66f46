//! Splits of a dropoff's sessions: by what they are told apart, so that it shows who goes no further.

use serde_json::{Value as Json, json};

use super::filter::decode_name;
use super::matcher::count;
use super::when::Duration;
use crate::{Fault, Fields, Node};

const SPLITS_MAX: usize = 8;
const NAME_BYTES_MAX: usize = 40;
const DAYS_MAX: i64 = 366;

#[derive(Clone, Debug, PartialEq)]
pub struct Splits {
    /// Of sessions that began on so many days, that of `as_of` the last of them; `None`: of all.
    pub days: Option<u32>,
    pub by: Vec<Split>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    pub name: String,
    pub by: SplitBy,
}

/// What a session's value is.
#[derive(Clone, Debug, PartialEq)]
pub enum SplitBy {
    /// The first that its events have of a property.
    Prop(String),
    /// One of two, as a question is answered.
    Whether(SplitTest, Told),
}

/// What is asked of a session.
#[derive(Clone, Debug, PartialEq)]
pub enum SplitTest {
    /// Whether nothing of the actor of its first event happened for so long before it began.
    Pause(Duration),
    /// Whether the mean of a number over its events is not below this; without numbers it has no value.
    Mean { prop: String, at_least: f64 },
    /// Whether it began on one of so many days, that of `as_of` the last of them.
    Days(u32),
}

/// The values of sessions of which it is so, and of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub then: String,
    pub otherwise: String,
}

impl Splits {
    pub(super) fn decode(fields: &Fields<'_>) -> Result<Self, Fault> {
        let node = fields.required("splits")?;
        let entries = node.entries()?;
        if entries.is_empty() || entries.len() > SPLITS_MAX {
            let given = entries.len();
            return Err(node.fault(format_args!("{given} were given; allowed are 1 to {SPLITS_MAX}")));
        }
        let by = entries
            .into_iter()
            .map(|(name, node)| Split::decode(name, &node))
            .collect::<Result<Vec<_>, _>>()?;
        let means = by.iter().filter(|split| split.mean().is_some()).count();
        if means > 1 {
            return Err(node.fault(format_args!("{means} of them are by a mean; allowed is one")));
        }
        let days = fields.optional("days").map(|node| count(&node, 1, DAYS_MAX)).transpose()?;
        Ok(Self { days, by })
    }

    /// Its fields of a query.
    pub(super) fn to_json(&self) -> [(&'static str, Json); 2] {
        let by = self.by.iter().map(|split| (split.name.clone(), split.to_json()));
        [("splits", Json::Object(by.collect())), ("days", self.days.map_or(Json::Null, Json::from))]
    }

    /// The properties that sessions have the first value of, in order.
    pub fn props(&self) -> impl Iterator<Item = (&str, &str)> {
        self.by.iter().filter_map(|split| match &split.by {
            SplitBy::Prop(prop) => Some((split.name.as_str(), prop.as_str())),
            SplitBy::Whether(..) => None,
        })
    }

    /// The number of which there is a mean.
    pub fn mean(&self) -> Option<(&str, &str)> {
        self.by.iter().find_map(|split| Some((split.name.as_str(), split.mean()?)))
    }
}

impl Split {
    const ALLOWED: &str = "a property, or an object of `then`, `else` and one of `pause`, `mean` and `days`";

    fn decode(name: &str, node: &Node<'_>) -> Result<Self, Fault> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(plain) {
            return Err(node.fault(format_args!(
                "is called {name:?}; allowed are names of up to {NAME_BYTES_MAX} letters, digits and _"
            )));
        }
        let name = name.to_owned();
        if node.json().is_string() {
            return Ok(Self { name, by: SplitBy::Prop(decode_name(node)?) });
        }
        if !node.json().is_object() {
            return Err(node.expected(Self::ALLOWED));
        }
        let fields = node.clone().fields()?;
        let told = Told {
            then: fields.required("then")?.text()?.to_owned(),
            otherwise: fields.required("else")?.text()?.to_owned(),
        };
        let asked = if let Some(pause) = fields.optional("pause") {
            SplitTest::Pause(Duration::decode(&pause)?)
        } else if let Some(mean) = fields.optional("mean") {
            SplitTest::Mean { prop: decode_name(&mean)?, at_least: fields.required("at_least")?.number()? }
        } else if let Some(days) = fields.optional("days") {
            SplitTest::Days(count(&days, 1, DAYS_MAX)?)
        } else {
            return Err(node.expected(Self::ALLOWED));
        };
        fields.finish()?;
        Ok(Self { name, by: SplitBy::Whether(asked, told) })
    }

    fn mean(&self) -> Option<&str> {
        match &self.by {
            SplitBy::Whether(SplitTest::Mean { prop, .. }, _) => Some(prop),
            SplitBy::Whether(SplitTest::Pause(_) | SplitTest::Days(_), _) | SplitBy::Prop(_) => None,
        }
    }

    fn to_json(&self) -> Json {
        match &self.by {
            SplitBy::Prop(prop) => Json::from(prop.as_str()),
            SplitBy::Whether(asked, Told { then, otherwise }) => match asked {
                SplitTest::Pause(pause) => json!({"pause": pause.to_json(), "then": then, "else": otherwise}),
                SplitTest::Mean { prop, at_least } => {
                    json!({"mean": prop, "at_least": at_least, "then": then, "else": otherwise})
                }
                SplitTest::Days(days) => json!({"days": days, "then": then, "else": otherwise}),
            },
        }
    }
}
