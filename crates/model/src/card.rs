//! Cards: questions that are saved under a name, for all who may ask them, and the tables in which they are kept.
//! Those tables are in every app beside its own, as those of cohorts are.

use serde_json::{Map, Value as Json};

use crate::cohort::decode_cohort_name;
use crate::decode::join;
use crate::query::{Compare, Kind, Query};
use crate::{ColumnType, Fault, Node, TableName, TableSchema, TenantId, TenantRule, Tenants};

/// The characters of a card's title, at most.
pub const CARD_TITLE_MAX: usize = 120;

/// A question, and how it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    pub name: String,
    pub title: String,
    pub query: Query,
    /// The query as it was written: what it leaves open stays open.
    pub written: Json,
    /// Which of its days are asked about, counted back from the day on which it is asked.
    pub range: Option<RollingRange>,
    pub picture: Picture,
    /// Whether the answer stands beside that of as many periods before: of a retention, which is asked twice. A trend's query says it itself.
    pub compare: Option<Compare>,
}

/// A range of days that ends today, whenever that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RollingRange {
    Days7,
    Days28,
    Days90,
    Months12,
}

impl RollingRange {
    pub const NAMES: [&str; 4] = ["7d", "28d", "90d", "12m"];

    pub fn name(self) -> &'static str {
        match self {
            Self::Days7 => "7d",
            Self::Days28 => "28d",
            Self::Days90 => "90d",
            Self::Months12 => "12m",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Days7, Self::Days28, Self::Days90, Self::Months12]
            .into_iter()
            .find(|range| range.name() == name)
    }
}

/// How an answer is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picture {
    /// As the kind of question has it.
    Own,
    Line,
    Bar,
    Number,
    Table,
}

impl Picture {
    pub const NAMES: [&str; 5] = ["own", "line", "bar", "number", "table"];

    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Line => "line",
            Self::Bar => "bar",
            Self::Number => "number",
            Self::Table => "table",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Own, Self::Line, Self::Bar, Self::Number, Self::Table]
            .into_iter()
            .find(|picture| picture.name() == name)
    }
}

impl Card {
    /// `name` is that of the path. A fault names the field's path, what was given and what is allowed.
    pub fn parse(name: &str, json: &Json) -> Result<Self, Fault> {
        let named = Json::from(name);
        let name = decode_cohort_name(&Node::root(&named))
            .map_err(|fault| Fault { path: "name".to_owned(), ..fault })?;
        let fields = Node::root(json).fields()?;
        let title = decode_title(&fields.required("title")?)?;
        let node = fields.required("query")?;
        let query = Query::parse(node.json()).map_err(|fault| Fault {
            path: join("query", &fault.path).trim_end_matches('.').to_owned(),
            ..fault
        })?;
        let range = fields.optional("range");
        if let Some(node) = &range
            && (query.from.is_some() || query.to.is_some())
        {
            return Err(node.fault("stands beside `query.from` or `query.to`; allowed is one of both"));
        }
        let range =
            range.map(|node| node.choice(&RollingRange::NAMES, RollingRange::from_name)).transpose()?;
        let picture = fields
            .optional("picture")
            .map_or(Ok(Picture::Own), |node| node.choice(&Picture::NAMES, Picture::from_name))?;
        let compare = fields.optional("compare");
        if let Some(node) = &compare
            && !matches!(query.kind, Kind::Retention(_))
        {
            return Err(node.fault(
                "stands beside a query that is no retention; allowed is it with `kind` \"retention\" alone",
            ));
        }
        let compare = compare.map_or(Ok(None), |node| Compare::decode(&node))?;
        fields.finish()?;
        let written = node.json().clone();
        Ok(Self { name, title, query, written, range, picture, compare })
    }

    /// `{"name", "title", "query", "range", "picture", "compare"}`.
    pub fn to_json(&self) -> Map<String, Json> {
        let mut json = Map::new();
        json.insert("name".to_owned(), Json::from(&*self.name));
        json.insert("title".to_owned(), Json::from(&*self.title));
        json.insert("query".to_owned(), self.written.clone());
        json.insert("range".to_owned(), self.range.map_or(Json::Null, |range| Json::from(range.name())));
        json.insert("picture".to_owned(), Json::from(self.picture.name()));
        let compare = self.compare.map(|Compare::PreviousPeriod| Compare::NAME);
        json.insert("compare".to_owned(), compare.map_or(Json::Null, Json::from));
        json
    }
}

fn decode_title(node: &Node<'_>) -> Result<String, Fault> {
    let title = node.text()?.trim();
    let is_plain = !title.chars().any(char::is_control);
    if !title.is_empty() && title.chars().count() <= CARD_TITLE_MAX && is_plain {
        return Ok(title.to_owned());
    }
    Err(node.expected(format_args!("a line of 1 to {CARD_TITLE_MAX} characters")))
}

/// Columns of a table of cards, by their place.
pub mod card_column {
    pub const TENANT: usize = 0;
    pub const NAME: usize = 1;
    /// JSON.
    pub const DEFINITION: usize = 2;
}

const OF_TENANT: &str = "_cards";
const OF_APP: &str = "_app_cards";

/// The table of the cards that belong to a scope's own rows.
pub fn card_table(tenants: &Tenants) -> TableName {
    TableName::new(match tenants {
        Tenants::One(_) => OF_TENANT,
        Tenants::All => OF_APP,
    })
}

pub(crate) fn system_tables() -> Vec<TableSchema> {
    let column = TableSchema::column;
    let table = |name: &str, tenant: TenantRule| {
        let columns = vec![
            column("tenant", ColumnType::Text, matches!(tenant, TenantRule::Fixed(_))),
            column("name", ColumnType::Text, false),
            column("definition", ColumnType::Text, false),
        ];
        TableSchema::of_system(TableName::new(name), columns, vec![card_column::NAME], tenant)
    };
    let by_column = TenantRule::Column { column: card_column::TENANT, default: None };
    vec![table(OF_TENANT, by_column), table(OF_APP, TenantRule::Fixed(TenantId::new("app")))]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_card_parses_back_to_the_same() {
        for json in [
            json!({"title": "Visits", "query": {"kind": "trend"}}),
            json!({"title": "Wöchentlich 주간", "query": {"kind": "retention"}, "range": "12m", "picture": "table"}),
            json!({"title": "x", "query": {"kind": "trend", "from": "2026-01-01"}, "range": null, "picture": "bar"}),
            json!({"title": "x", "query": {"kind": "retention"}, "compare": "previous_period"}),
            json!({"title": "x", "query": {"kind": "trend", "compare": "previous_period"}, "compare": null}),
        ] {
            let card = Card::parse("own.card-1", &json).unwrap_or_else(|fault| panic!("{json}: {fault}"));
            let mut told = card.to_json();
            assert_eq!(told.remove("name"), Some(json!("own.card-1")));
            assert_eq!(Card::parse("own.card-1", &Json::Object(told)), Ok(card), "{json}");
        }
    }

    #[test]
    fn a_bad_card_is_told_where_it_is_bad_and_what_is_allowed() {
        let check = |name: &str, more: Json, path: &str, problem: &str| {
            let mut json = json!({"title": "t", "query": {"kind": "trend"}});
            json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let fault = Card::parse(name, &json).unwrap_err();
            assert_eq!(fault.path, path, "{json}: {fault}");
            assert!(fault.problem.contains(problem), "{json}: {fault}");
        };
        check("a b", json!({}), "name", "the first a letter or digit");
        check("a", json!({"title": ""}), "title", "1 to 120");
        check("a", json!({"title": "a\nb"}), "title", "a line");
        check("a", json!({"title": "x".repeat(121)}), "title", "1 to 120");
        check("a", json!({"query": {"kind": "no"}}), "query.kind", "\"no\"");
        check("a", json!({"range": "3d"}), "range", "\"7d\"");
        check(
            "a",
            json!({"range": "7d", "query": {"kind": "trend", "to": "2026-01-01"}}),
            "range",
            "one of both",
        );
        check("a", json!({"picture": "pie"}), "picture", "\"line\"");
        let retention = json!({"kind": "retention"});
        check("a", json!({"query": retention, "compare": "last_year"}), "compare", "\"previous_period\"");
        check("a", json!({"compare": "previous_period"}), "compare", "is no retention");
        check("a", json!({"colour": "red"}), "colour", "is no field here");
    }
}
