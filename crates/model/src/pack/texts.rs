//! Texts for people, in several languages, with names in braces that evidence stands for.

use super::faults::Faults;
use super::parse::unknown;
use crate::insight::InsightRule;
use crate::{Fault, Language, Node};

const TEXT_CHARS_MAX: usize = 2_000;
const CASES_MAX: usize = 50;
const NAMES_MAX: usize = 500;
/// In a text by what it is about: what stands for all others.
const ELSE: &str = "else";

/// The wordings of a finding; English is always there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Texts(Vec<(Language, Wording)>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording {
    pub title: Phrase,
    pub finding: Phrase,
    pub action: Phrase,
}

/// A text, or several by what a finding is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase {
    /// By the text of the first column of the key.
    cases: Vec<(String, Template)>,
    otherwise: Template,
}

/// A text in which names in braces stand for evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Name(String),
}

impl Texts {
    /// The wording in a language, in English where there is none.
    pub fn of(&self, language: Language) -> Option<&Wording> {
        let of =
            |wanted: Language| self.0.iter().find(|(known, _)| *known == wanted).map(|(_, wording)| wording);
        of(language).or_else(|| of(Language::default()))
    }

    pub fn languages(&self) -> impl Iterator<Item = Language> {
        self.0.iter().map(|(language, _)| *language)
    }
}

impl Phrase {
    /// The text of what a finding is about, with its evidence in the place of names.
    pub fn fill(&self, about: Option<&str>, evidence: impl Fn(&str) -> String) -> String {
        let case = about.and_then(|about| self.cases.iter().find(|(known, _)| known == about));
        let Template(pieces) = case.map_or(&self.otherwise, |(_, template)| template);
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Name(name) => evidence(name),
        };
        pieces.iter().map(piece).collect()
    }
}

/// What texts may name.
pub(super) struct Phrasing {
    pub(super) names: Vec<String>,
    /// The column by whose text they may differ.
    pub(super) by: Option<String>,
}

impl Phrasing {
    pub(super) fn of(rule: &InsightRule) -> Self {
        let mut names = rule.evidence();
        if rule.is_tested() {
            names.extend(["p", "p_adjusted", "z", "looks"].map(str::to_owned));
        }
        Self { names, by: rule.key.first().cloned() }
    }
}

/// `{en: {title, finding, action}, ko: …}`.
pub(super) fn read(node: &Node<'_>, phrasing: &Phrasing, faults: &mut Faults) -> Option<Texts> {
    let entries = faults.keep(node.entries())?;
    let mut texts = Vec::with_capacity(entries.len());
    for (given, node) in entries {
        let language = faults.keep(language(&node, given));
        let wording = wording(&node, phrasing, faults);
        texts.push(language.zip(wording));
    }
    let texts: Vec<(Language, Wording)> = texts.into_iter().collect::<Option<_>>()?;
    if !texts.iter().any(|(language, _)| *language == Language::default()) {
        faults.add(node.fault(format_args!(
            "lacks {}, which stands for languages that are not there",
            Language::default().code()
        )));
        return None;
    }
    Some(Texts(texts))
}

fn language(node: &Node<'_>, given: &str) -> Result<Language, Fault> {
    let codes = Language::ALL.into_iter().map(Language::code);
    Language::from_code(given).ok_or_else(|| node.fault(unknown("language of texts", given, codes)))
}

fn wording(node: &Node<'_>, phrasing: &Phrasing, faults: &mut Faults) -> Option<Wording> {
    let fields = faults.keep(node.clone().fields())?;
    let [title, finding, action] =
        ["title", "finding", "action"].map(|name| faults.keep(fields.required(name)));
    faults.unknown(fields);
    let mut phrase = |node: Option<Node<'_>>| node.and_then(|node| faults.keep(phrase(&node, phrasing)));
    let (title, finding, action) = (phrase(title), phrase(finding), phrase(action));
    Some(Wording { title: title?, finding: finding?, action: action? })
}

fn phrase(node: &Node<'_>, phrasing: &Phrasing) -> Result<Phrase, Fault> {
    if node.json().is_string() {
        return Ok(Phrase { cases: Vec::new(), otherwise: template(node, phrasing)? });
    }
    let Some(by) = &phrasing.by else { return Err(node.expected("text")) };
    let allowed = format_args!("text, or an object: text of {by} → text, and {ELSE:?}").to_string();
    let entries = node.entries().map_err(|_| node.expected(&allowed))?;
    if entries.len() > CASES_MAX {
        return Err(node.fault(format_args!("has {} texts; allowed are {CASES_MAX}", entries.len())));
    }
    let (mut cases, mut otherwise) = (Vec::new(), None);
    for (given, node) in entries {
        let template = template(&node, phrasing)?;
        if given == ELSE {
            otherwise = Some(template);
        } else {
            cases.push((given.to_owned(), template));
        }
    }
    let otherwise =
        otherwise.ok_or_else(|| node.fault(format_args!("lacks {ELSE:?}, the text of all others")))?;
    Ok(Phrase { cases, otherwise })
}

fn template(node: &Node<'_>, phrasing: &Phrasing) -> Result<Template, Fault> {
    let mut rest = node.text()?;
    if rest.trim().is_empty() || rest.chars().count() > TEXT_CHARS_MAX {
        return Err(node.expected(format_args!("text of at most {TEXT_CHARS_MAX} characters")));
    }
    let mut pieces = Vec::new();
    while let Some((text, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else {
            return Err(node.fault(
                "has a brace that is never closed; names of evidence stand in braces, such as {step}",
            ));
        };
        if !phrasing.names.iter().any(|known| known == name) {
            return Err(node.fault(unknown(
                "name of the evidence",
                name,
                phrasing.names.iter().map(String::as_str),
            )));
        }
        pieces.extend([Piece::Text(text.to_owned()), Piece::Name(name.to_owned())]);
        rest = after;
    }
    pieces.push(Piece::Text(rest.to_owned()));
    pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
    Ok(Template(pieces))
}

/// `{ko: {home: 홈}, …}`: what texts of rows are called.
pub(super) fn names(node: &Node<'_>, faults: &mut Faults) -> Vec<(Language, Vec<(String, String)>)> {
    let mut names = Vec::new();
    for (given, node) in faults.keep(node.entries()).unwrap_or_default() {
        let language = faults.keep(language(&node, given));
        let entries = faults.keep(node.entries()).unwrap_or_default();
        if entries.len() > NAMES_MAX {
            faults.add(node.fault(format_args!("has {} names; allowed are {NAMES_MAX}", entries.len())));
        }
        let named = entries.into_iter().filter_map(|(text, node)| {
            faults.keep(node.text()).map(|name| (text.to_owned(), name.to_owned()))
        });
        let named = named.collect();
        names.extend(language.map(|language| (language, named)));
    }
    names
}
