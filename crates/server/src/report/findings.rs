//! What rules have found, in words: the texts of the pack with the evidence in them, in the language that is
//! asked for.

use ebbtide_engine::insights::{Finding, Significance, counted, find};
use ebbtide_model::insight::Severity;
use ebbtide_model::pack::{FEW, Few, Insights, Phrase, Texts, Wording};
use ebbtide_model::{Language, Written, digits};
use serde_json::{Map, Value as Json, json};

/// Significant digits of what a test gives: more hang on the machine.
const TEST_DIGITS: usize = 6;
/// A smaller p is told as being below it.
const P_LEAST: f64 = 0.001;

/// The findings over the rows that the leaf's own leaves gave, in their order; the gravest first, then as the
/// rules stand. Where there are too few to look at, that alone.
pub(super) fn told(insights: &Insights, rows: Vec<Json>, language: Language) -> Json {
    let mut rows = rows.into_iter().map(rows_of);
    let few_rows = rows.next().unwrap_or_default();
    let words = Words { insights, language };
    if let Some(item) = words.few(&insights.few, &few_rows) {
        return Json::Array(vec![item]);
    }
    let mut findings = Vec::new();
    for (rule, rows) in insights.rules.iter().zip(rows) {
        findings.extend(find(&rule.rule, &rows).into_iter().map(|finding| (finding, rule)));
    }
    // It keeps the order of the rules, and of each rule's findings.
    findings.sort_by_key(|(finding, _)| finding.severity);
    findings
        .into_iter()
        .map(|(finding, rule)| words.item(&rule.name, &rule.rule.key, &finding, &rule.texts))
        .collect()
}

/// What a leaf gave, as rows: an object is one, null none.
fn rows_of(json: Json) -> Vec<Map<String, Json>> {
    match json {
        Json::Array(items) => items.into_iter().flat_map(rows_of).collect(),
        Json::Object(row) => vec![row],
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Vec::new(),
    }
}

struct Words<'i> {
    insights: &'i Insights,
    language: Language,
}

impl Words<'_> {
    /// That there are fewer than are needed, where it is so.
    fn few(&self, few: &Few, rows: &[Map<String, Json>]) -> Option<Json> {
        let counts = rows.iter().filter_map(|row| counted(row, &few.count));
        let count = counts.fold(0, u64::saturating_add);
        if count >= few.least {
            return None;
        }
        let evidence = [(few.count.clone(), Json::from(count)), ("least".to_owned(), Json::from(few.least))];
        let evidence = Map::from_iter(evidence);
        let finding = Finding { severity: Severity::Info, evidence, test: None };
        Some(self.item(FEW, &[], &finding, &few.texts))
    }

    /// `key`: what of the evidence says what it is about.
    fn item(&self, rule: &str, key: &[String], finding: &Finding, texts: &Texts) -> Json {
        let evidence = &finding.evidence;
        let about = evidence.values().next().and_then(Json::as_str);
        let fact = |name: &str| match (&finding.test, evidence.get(name)) {
            // A number that names something is no amount.
            (_, Some(Json::Number(number))) if key.iter().any(|own| own == name) => number.to_string(),
            (_, Some(value)) => self.shown(value),
            (Some(test), None) => self.of_test(test, name),
            (None, None) => String::new(),
        };
        let wording = texts.of(self.language);
        let text = |of: fn(&Wording) -> &Phrase| wording.map(|wording| of(wording).fill(about, fact));
        let mut item = Map::new();
        let mut put = |name: &str, value: Json| _ = item.insert(name.to_owned(), value);
        put("severity", Json::from(finding.severity.name()));
        put("rule", Json::from(rule));
        put("title", Json::from(text(|wording| &wording.title)));
        put("finding", Json::from(text(|wording| &wording.finding)));
        put("action", Json::from(text(|wording| &wording.action)));
        put("evidence", Json::Object(evidence.clone()));
        if let Some(test) = &finding.test {
            put("test", test_json(test));
        }
        Json::Object(item)
    }

    /// A value of the evidence, as a sentence has it.
    fn shown(&self, value: &Json) -> String {
        match value {
            Json::String(text) => self.insights.named(text, self.language).to_owned(),
            Json::Number(number) => self.language.number(
                &number
                    .as_f64()
                    .filter(|_| number.is_f64())
                    .map_or_else(|| number.to_string(), |float| float.to_string()),
            ),
            other @ (Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_)) => digits(other)
                .map_or_else(|| Written(other).to_string(), |digits| self.language.number(digits)),
        }
    }

    fn of_test(&self, test: &Significance, name: &str) -> String {
        match name {
            "z" => self.language.number(&format!("{:.2}", test.z)),
            "p" => self.chance(test.p),
            "p_adjusted" => self.chance(test.p_adjusted),
            _ => test.looks.to_string(),
        }
    }

    /// `= 0.012`, or `< 0.001`.
    fn chance(&self, p: f64) -> String {
        self.language.number(&if p < P_LEAST { format!("< {P_LEAST}") } else { format!("= {p:.3}") })
    }
}

fn test_json(test: &Significance) -> Json {
    json!({
        "name": Significance::NAME,
        "z": significant(test.z),
        "p": significant(test.p),
        "correction": Significance::CORRECTION,
        "looks": test.looks,
        "p_adjusted": significant(test.p_adjusted),
        "level": test.level,
    })
}

fn significant(number: f64) -> f64 {
    format!("{number:.*e}", TEST_DIGITS - 1).parse().unwrap_or(number)
}
