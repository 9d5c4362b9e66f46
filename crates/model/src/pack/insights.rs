//! Findings in words: a leaf whose rules look at rows of other leaves, and whose texts, in several
//! languages, say what was found and what to do about it.

use super::faults::Faults;
use super::leaves::Leaves;
use super::parse::{Wanted, name, unknown};
use super::texts::{self, Phrasing, Texts};
use super::{SqlShape, Tree, tree};
use crate::insight::{Counted, Direction, InsightKind, InsightRule, Share, Thresholds};
use crate::{Fault, Fields, Language, Node, Unit};

/// At the start of which a rule may be asked.
const PERIODS: [&str; 2] = ["hour", "day"];
const KINDS: [&str; 4] = ["largest", "slow", "differs", "changed"];
const RULES_MAX: usize = 20;
const KEY_COLUMNS_MAX: usize = 5;
const LEAST_DEFAULT: u64 = 30;
const LEAST_MAX: i64 = 1_000_000_000;
const MOST_DEFAULT: i64 = 3;
const MOST_MAX: i64 = 20;
const LEVEL_DEFAULT: f64 = 0.05;
const LEVEL_MAX: f64 = 0.5;
/// What a share is called where the pack does not say.
const SHARE: &str = "share";

/// A list of findings.
#[derive(Clone, Debug)]
pub struct Insights {
    pub few: Few,
    pub rules: Vec<ToldRule>,
    /// What a text in a row is called, by language.
    pub names: Vec<(Language, Vec<(String, String)>)>,
}

/// How many there must be before any rule is asked, and what is told where there are fewer.
#[derive(Clone, Debug)]
pub struct Few {
    pub of: Tree,
    /// The column with how many there are, of all rows together.
    pub count: String,
    pub least: u64,
    pub texts: Texts,
}

/// A rule, the rows that it looks at, and its words.
#[derive(Clone, Debug)]
pub struct ToldRule {
    pub name: String,
    pub of: Tree,
    /// Its rows are those of before the start of this calendar period of `as_of`, so that they need not be asked
    /// for again with each event. `None`: those as of `as_of`.
    pub period: Option<Unit>,
    pub rule: InsightRule,
    pub texts: Texts,
}

impl Insights {
    /// The leaves that are asked for it, in order.
    pub fn leaves(&self) -> impl Iterator<Item = (&Tree, Option<Unit>)> {
        std::iter::once((&self.few.of, None)).chain(self.rules.iter().map(|rule| (&rule.of, rule.period)))
    }

    /// What a text of a row is called in a language.
    pub fn named<'t>(&'t self, text: &'t str, language: Language) -> &'t str {
        let of_language = self.names.iter().find(|(known, _)| *known == language);
        let name = of_language.and_then(|(_, names)| names.iter().find(|(known, _)| known == text));
        name.map_or(text, |(_, name)| name)
    }
}

/// `{rules: {…}, few: {…}, names: {…}}`.
pub(super) fn read<'a>(
    rules: &Node<'a>,
    fields: Fields<'a>,
    leaves: &mut Leaves<'_, 'a>,
    faults: &mut Faults,
) -> Option<Tree> {
    let few = faults.keep(fields.required("few"));
    let names = fields.optional("names");
    faults.unknown(fields);
    let names = names.map_or_else(Vec::new, |node| texts::names(&node, faults));
    let few = few.and_then(|node| few_of(&node, leaves, faults));
    let entries = faults.keep(rules.entries()).unwrap_or_default();
    if entries.is_empty() || entries.len() > RULES_MAX {
        faults.add(rules.fault(format_args!("has {} rules; allowed are 1 to {RULES_MAX}", entries.len())));
    }
    let mut told = Vec::new();
    for (given, node) in entries.into_iter().take(RULES_MAX) {
        let named = faults.keep(name(&node, given));
        if given == FEW {
            faults.add(node.fault("is what `few` is called; choose another name"));
        }
        told.push(rule(given, &node, leaves, faults).filter(|_| named.is_some()));
    }
    let rules = told.into_iter().collect::<Option<_>>()?;
    Some(Tree::Insights(Box::new(Insights { few: few?, rules, names })))
}

/// What the finding that there are too few is called among the rules.
pub const FEW: &str = "few";

fn few_of<'a>(node: &Node<'a>, leaves: &mut Leaves<'_, 'a>, faults: &mut Faults) -> Option<Few> {
    let fields = faults.keep(node.clone().fields())?;
    let of = faults.keep(fields.required("of"));
    let count = faults.keep(fields.required("count").and_then(|node| column(&node)));
    let least = faults.keep(least(&fields));
    let texts = faults.keep(fields.required("texts"));
    faults.unknown(fields);
    let (count, least) = (count?, least?);
    let phrasing = Phrasing { names: vec![count.clone(), "least".to_owned()], by: None };
    let texts = texts.and_then(|node| texts::read(&node, &phrasing, faults));
    let wanted = vec![Wanted { column: count.clone(), number: true }];
    let of = rows(&of?, wanted, leaves, faults);
    Some(Few { of: of?, count, least, texts: texts? })
}

fn rule<'a>(
    name: &str,
    node: &Node<'a>,
    leaves: &mut Leaves<'_, 'a>,
    faults: &mut Faults,
) -> Option<ToldRule> {
    let fields = faults.keep(node.clone().fields())?;
    let of = faults.keep(fields.required("of"));
    let texts = faults.keep(fields.required("texts"));
    let period = faults.keep(fields.optional("as_of").map_or(Ok(None), |node| period(&node, leaves)));
    let key = faults.keep(fields.optional("key").map_or(Ok(Vec::new()), |node| key(&node)));
    let kind = faults.keep(fields.required("kind")).and_then(|node| {
        let known = |given: &str| KINDS.into_iter().find(|known| *known == given);
        faults.keep(node.choice(&KINDS, known))
    });
    let (kind, mut key) = (kind?, key?);
    // What else there may be depends on the kind.
    let read = match kind {
        "largest" => largest(&fields),
        "slow" => slow(&fields),
        "changed" => changed(&fields),
        _ => differs(&fields, &mut key),
    };
    let read = faults.keep(read);
    let given = fields.optional("severity");
    let least = faults.keep(least(&fields));
    let most =
        faults.keep(fields.optional("most").map_or(Ok(MOST_DEFAULT), |node| node.integer(1, MOST_MAX)));
    let (kind, defaults) = read?;
    faults.unknown(fields);
    let thresholds = faults.keep(given.map_or(Ok(defaults), |node| thresholds(&node)));
    let most = usize::try_from(most?).ok()?;
    let rule = InsightRule { kind, key, least: least?, most, thresholds: thresholds? };
    let texts = texts.and_then(|node| texts::read(&node, &Phrasing::of(&rule), faults));
    let of_key = rule.key.iter().map(|column| Wanted { column: column.clone(), number: false });
    let numbers = rule.numbers().into_iter().map(|column| Wanted { column: column.to_owned(), number: true });
    let of = rows(&of?, of_key.chain(numbers).collect(), leaves, faults);
    Some(ToldRule { name: name.to_owned(), of: of?, period: period?, rule, texts: texts? })
}

/// The calendar period at whose start a rule's rows are asked for.
fn period(node: &Node<'_>, leaves: &Leaves<'_, '_>) -> Result<Option<Unit>, Fault> {
    if leaves.by.is_some() {
        return Err(node.fault("stands in a fragment, whose rows are of `as_of` itself"));
    }
    let name = |name: &str| PERIODS.contains(&name).then(|| Unit::from_name(name)).flatten();
    node.choice(&PERIODS, name).map(Some)
}

fn largest(fields: &Fields<'_>) -> Result<(InsightKind, Thresholds), Fault> {
    let share = share(fields, fields.optional("whole"))?;
    let defaults = Thresholds { high: Some(40.0), medium: Some(25.0), low: None };
    Ok((InsightKind::Largest { share }, defaults))
}

fn slow(fields: &Fields<'_>) -> Result<(InsightKind, Thresholds), Fault> {
    let kind = InsightKind::Slow {
        value: column(&fields.required("value")?)?,
        against: column(&fields.required("against")?)?,
        count: fields.optional("count").map(|node| column(&node)).transpose()?,
        floor: fields.optional("floor").map_or(Ok(0.0), |node| node.number())?,
    };
    Ok((kind, Thresholds { high: Some(4.0), medium: Some(2.0), low: None }))
}

fn differs(fields: &Fields<'_>, key: &mut Vec<String>) -> Result<(InsightKind, Thresholds), Fault> {
    let group_node = fields.required("group")?;
    let group = column(&group_node)?;
    if key.contains(&group) {
        return Err(group_node
            .fault(format_args!("{group:?} stands in the `key` too, within which groups are compared")));
    }
    key.push(group.clone());
    let share = share(fields, Some(fields.required("whole")?))?;
    let kind = InsightKind::Differs { share, group, when: direction(fields)?, level: level(fields)? };
    Ok((kind, Thresholds { high: Some(20.0), medium: Some(10.0), low: Some(5.0) }))
}

fn changed(fields: &Fields<'_>) -> Result<(InsightKind, Thresholds), Fault> {
    let share = share(fields, Some(fields.required("whole")?))?;
    let before = fields.required("before")?.fields()?;
    let counted =
        Counted { part: column(&before.required("part")?)?, whole: column(&before.required("whole")?)? };
    before.finish()?;
    let kind =
        InsightKind::Changed { share, before: counted, when: direction(fields)?, level: level(fields)? };
    Ok((kind, Thresholds { high: Some(10.0), medium: Some(5.0), low: Some(2.0) }))
}

fn share(fields: &Fields<'_>, whole: Option<Node<'_>>) -> Result<Share, Fault> {
    Ok(Share {
        name: fields.optional("share").map_or(Ok(SHARE.to_owned()), |node| column(&node))?,
        part: column(&fields.required("part")?)?,
        whole: whole.map(|node| column(&node)).transpose()?,
    })
}

fn direction(fields: &Fields<'_>) -> Result<Direction, Fault> {
    fields.required("when")?.choice(&["more", "less"], |name| match name {
        "more" => Some(Direction::More),
        "less" => Some(Direction::Less),
        _ => None,
    })
}

fn level(fields: &Fields<'_>) -> Result<f64, Fault> {
    let Some(node) = fields.optional("level") else { return Ok(LEVEL_DEFAULT) };
    let level = node.number().ok().filter(|level| *level > 0.0 && *level <= LEVEL_MAX);
    level.ok_or_else(|| node.expected(format_args!("a number above 0, up to {LEVEL_MAX}")))
}

fn least(fields: &Fields<'_>) -> Result<u64, Fault> {
    let Some(node) = fields.optional("least") else { return Ok(LEAST_DEFAULT) };
    Ok(node.integer(1, LEAST_MAX)?.unsigned_abs())
}

fn key(node: &Node<'_>) -> Result<Vec<String>, Fault> {
    if node.json().is_string() {
        return Ok(vec![column(node)?]);
    }
    let items = node.items().map_err(|_| node.expected("a column, or a list of them"))?;
    if items.is_empty() || items.len() > KEY_COLUMNS_MAX {
        let given = items.len();
        return Err(node.fault(format_args!("has {given} columns; allowed are 1 to {KEY_COLUMNS_MAX}")));
    }
    items.iter().map(column).collect()
}

/// A name that texts can have in braces.
fn column(node: &Node<'_>) -> Result<String, Fault> {
    let given = node.text()?;
    name(node, given)?;
    Ok(given.to_owned())
}

/// From the highest on downwards.
fn thresholds(node: &Node<'_>) -> Result<Thresholds, Fault> {
    let fields = node.clone().fields()?;
    let number = |name| fields.optional(name).map(|node| node.number()).transpose();
    let thresholds = Thresholds { high: number("high")?, medium: number("medium")?, low: number("low")? };
    fields.finish()?;
    let given: Vec<f64> =
        [thresholds.high, thresholds.medium, thresholds.low].into_iter().flatten().collect();
    if given.is_empty()
        || given.windows(2).any(|pair| pair[0] <= pair[1])
        || given.iter().any(|from| *from < 0.0)
    {
        return Err(
            node.expected("numbers from 0 for high, medium and low, or some of them, each above the next")
        );
    }
    Ok(thresholds)
}

/// The leaf that gives a rule its rows, with the columns that it reads.
fn rows<'a>(
    node: &Node<'a>,
    wanted: Vec<Wanted>,
    leaves: &mut Leaves<'_, 'a>,
    faults: &mut Faults,
) -> Option<Tree> {
    leaves.wanted = wanted;
    let read = tree::read(node, leaves, faults);
    let wanted = std::mem::take(&mut leaves.wanted);
    let tree = read?;
    let columns: Option<Vec<&str>> = match &tree {
        Tree::Sql { shape: SqlShape::Row | SqlShape::Rows, .. } => None,
        Tree::Behaviour(leaf) => match &leaf.shape {
            Some(shape) => Some(shape.fields.iter().map(|(name, _)| name.as_str()).collect()),
            None => {
                faults.add(node.fault("is a `query` as it comes; `as` or `whole` make rows of it"));
                return None;
            }
        },
        Tree::Sql { .. }
        | Tree::Literal(_)
        | Tree::Param(_)
        | Tree::Object(_)
        | Tree::List(_)
        | Tree::Each(_)
        | Tree::When { .. }
        | Tree::Insights(_) => {
            faults.add(node.expected("a leaf with rows: `rows`, `row`, or a `query` with `as` or `whole`"));
            return None;
        }
    };
    if let Some(columns) = columns {
        for Wanted { column, .. } in wanted.iter().filter(|wanted| !columns.contains(&wanted.column.as_str()))
        {
            faults.add(node.fault(format_args!(
                "lacks a column that the rule reads: {}",
                unknown("column", column, columns.iter().copied())
            )));
        }
    }
    Some(tree)
}
