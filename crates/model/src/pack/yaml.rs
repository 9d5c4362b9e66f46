//! YAML into JSON values, with the line of everything in it. YAML 1.2 and its core schema: `no` and
//! `on` are texts. Bounded in bytes, depth and values, so that nested aliases cannot blow up; a key
//! given twice, a tag or a second document is a fault.

use std::collections::HashMap;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value as Json};

use super::PackFault;
use crate::decode::join;

const BYTES_MAX: usize = 1 << 20;
const DEPTH_MAX: usize = 48;
const KEY_BYTES_MAX: usize = 200;
/// Values in all, counting what an alias stands for once per alias.
const VALUES_MAX: usize = 50_000;

/// A document, and where each of its values stands.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) json: Json,
    root: Option<Rc<Node>>,
}

impl Document {
    /// Reads as much as is sound: the faults name what was left out.
    pub(super) fn read(text: &str) -> (Self, Vec<PackFault>) {
        let root = match Reader::new(text).and_then(Reader::document) {
            Ok(root) => root,
            Err(fault) => return (Self { json: Json::Null, root: None }, vec![fault]),
        };
        let mut writer = Writer { faults: Vec::new(), values_left: VALUES_MAX };
        let json = writer.json(&root, "");
        (Self { json, root: Some(root) }, writer.faults)
    }

    /// The line of the value at a path, or of the nearest one around it. The line of a field is that
    /// of its name.
    pub(super) fn line(&self, path: &str) -> usize {
        let Some(mut node) = self.root.as_ref() else {
            return 1;
        };
        let (mut line, mut rest) = (node.line, path);
        while let Some((child_line, child, child_rest)) = node.step(rest) {
            (line, node, rest) = (child_line, child, child_rest);
        }
        line
    }
}

/// What the parser saw, before aliases are written out.
#[derive(Debug)]
struct Node {
    line: usize,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Scalar(Json),
    List(Vec<Rc<Node>>),
    /// Key, its line, value.
    Object(Vec<(String, usize, Rc<Node>)>),
    /// What is no value here, and why.
    Refused(&'static str),
}

impl Node {
    /// The child where a path goes on, its line, and the rest of the path.
    fn step<'p>(&self, path: &'p str) -> Option<(usize, &Rc<Node>, &'p str)> {
        match &self.kind {
            Kind::List(items) => {
                let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
                let item = items.get(index.parse::<usize>().ok()?)?;
                Some((item.line, item, rest))
            }
            Kind::Object(entries) => {
                let path = path.strip_prefix('.').unwrap_or(path);
                entries.iter().find_map(|(key, line, value)| {
                    let rest = path.strip_prefix(key.as_str())?;
                    let ends = rest.is_empty() || rest.starts_with(['.', '[']);
                    (ends && !path.is_empty()).then_some((*line, value, rest))
                })
            }
            Kind::Scalar(_) | Kind::Refused(_) => None,
        }
    }
}

struct Reader<'t> {
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    anchors: HashMap<usize, Rc<Node>>,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Result<Self, PackFault> {
        if text.len() > BYTES_MAX {
            let problem = format!("{} bytes were given; allowed is at most {BYTES_MAX}", text.len());
            return Err(PackFault { line: 1, path: String::new(), problem });
        }
        Ok(Self { parser: Parser::new_from_str(text), anchors: HashMap::new() })
    }

    fn document(mut self) -> Result<Rc<Node>, PackFault> {
        let mut found = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::Nothing | Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(_) if found.is_some() => {
                    return Err(fault(span, "a second document begins here; a pack is one document"));
                }
                Event::DocumentStart(_) => {
                    let (event, span) = self.next()?;
                    found = Some(self.node(event, span, 0)?);
                }
                Event::Alias(_)
                | Event::Scalar(..)
                | Event::SequenceStart(..)
                | Event::SequenceEnd
                | Event::MappingStart(..)
                | Event::MappingEnd => return Err(fault(span, "a value stands outside the document")),
            }
        }
        let empty = PackFault { line: 1, path: String::new(), problem: "the file is empty".to_owned() };
        found.ok_or(empty)
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), PackFault> {
        let end = || PackFault { line: 1, path: String::new(), problem: "the file ends too soon".to_owned() };
        self.parser.next_event().ok_or_else(end)?.map_err(|error| PackFault {
            line: error.marker().line(),
            path: String::new(),
            problem: format!("is no YAML: {} (column {})", error.info(), error.marker().col() + 1),
        })
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Rc<Node>, PackFault> {
        if depth > DEPTH_MAX {
            return Err(fault(span, format!("is nested too deep; allowed are {DEPTH_MAX} levels")));
        }
        let line = span.start.line();
        let (kind, anchor, tagged) = match event {
            Event::Alias(anchor) => {
                let target = self.anchors.get(&anchor).cloned();
                return target.ok_or_else(|| fault(span, "an alias stands inside what it names"));
            }
            Event::Scalar(text, style, anchor, tag) => (scalar(&text, style), anchor, tag.is_some()),
            Event::SequenceStart(anchor, tag) => (self.list(depth)?, anchor, tag.is_some()),
            Event::MappingStart(anchor, tag) => (self.object(depth)?, anchor, tag.is_some()),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => return Err(fault(span, "a value is missing")),
        };
        let kind = if tagged { Kind::Refused("has a tag (`!…`); a pack has none") } else { kind };
        let node = Rc::new(Node { line, kind });
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Kind, PackFault> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Kind::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Kind, PackFault> {
        let mut entries = Vec::new();
        loop {
            let (key, line) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Kind::Object(entries)),
                (Event::Scalar(text, _, _, None), span) if text.len() <= KEY_BYTES_MAX => {
                    (text.into_owned(), span.start.line())
                }
                (_, span) => return Err(fault(span, "is no key; a key is plain text of at most 200 bytes")),
            };
            let (event, span) = self.next()?;
            entries.push((key, line, self.node(event, span, depth + 1)?));
        }
    }
}

fn fault(span: Span, problem: impl Into<String>) -> PackFault {
    PackFault { line: span.start.line(), path: String::new(), problem: problem.into() }
}

/// The core schema of YAML 1.2. Quoted and block scalars are text.
fn scalar(text: &str, style: ScalarStyle) -> Kind {
    if style != ScalarStyle::Plain {
        return Kind::Scalar(Json::from(text));
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Scalar(Json::Null),
        "true" | "True" | "TRUE" => return Kind::Scalar(Json::from(true)),
        "false" | "False" | "FALSE" => return Kind::Scalar(Json::from(false)),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let radix = unsigned.strip_prefix("0x").map(|hex| (hex, 16));
    let radix = radix.or_else(|| unsigned.strip_prefix("0o").map(|octal| (octal, 8)));
    if let Some((digits, radix)) = radix.filter(|(digits, _)| !digits.is_empty() && unsigned == text) {
        return match i64::from_str_radix(digits, radix) {
            Ok(number) => Kind::Scalar(Json::from(number)),
            Err(_) => Kind::Scalar(Json::from(text)),
        };
    }
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Kind::Refused("is no finite number");
    }
    if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = text.parse::<i64>();
        return number.map_or(Kind::Refused("is too large a whole number"), |n| Kind::Scalar(Json::from(n)));
    }
    if is_float(unsigned) {
        let number = text.parse().ok().and_then(Number::from_f64);
        return number.map_or(Kind::Refused("is no finite number"), |n| Kind::Scalar(Json::Number(n)));
    }
    Kind::Scalar(Json::from(text))
}

/// `( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_float(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent))
}

/// Writes nodes out as JSON.
struct Writer {
    faults: Vec<PackFault>,
    values_left: usize,
}

impl Writer {
    fn json(&mut self, node: &Node, path: &str) -> Json {
        let Some(left) = self.values_left.checked_sub(1) else {
            return Json::Null;
        };
        self.values_left = left;
        if left == 0 {
            self.refuse(node.line, path, format!("the file has more than {VALUES_MAX} values"));
        }
        match &node.kind {
            Kind::Scalar(json) => json.clone(),
            Kind::Refused(problem) => {
                self.refuse(node.line, path, (*problem).to_owned());
                Json::Null
            }
            Kind::List(items) => {
                let item = |(index, item): (usize, &Rc<Node>)| self.json(item, &format!("{path}[{index}]"));
                Json::Array(items.iter().enumerate().map(item).collect())
            }
            Kind::Object(entries) => self.object(entries, path),
        }
    }

    fn object(&mut self, entries: &[(String, usize, Rc<Node>)], path: &str) -> Json {
        let mut map = Map::new();
        for (key, line, value) in entries {
            let path = join(path, key);
            if map.contains_key(key) {
                let first = entries.iter().find(|(other, ..)| other == key).map_or(1, |(_, line, _)| *line);
                self.refuse(*line, &path, format!("is given twice; first in line {first}"));
                continue;
            }
            let json = self.json(value, &path);
            map.insert(key.clone(), json);
        }
        Json::Object(map)
    }

    fn refuse(&mut self, line: usize, path: &str, problem: String) {
        self.faults.push(PackFault { line, path: path.to_owned(), problem });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Json {
        let (document, faults) = Document::read(text);
        assert_eq!(faults, [], "{text}");
        document.json
    }

    #[test]
    fn plain_scalars_follow_the_core_schema_of_yaml_1_2() {
        let check = |text: &str, want: Json| assert_eq!(read(&format!("x: {text}"))["x"], want, "{text}");
        check("no", Json::from("no"));
        check("on", Json::from("on"));
        check("Null", Json::Null);
        check("", Json::Null);
        check("TRUE", Json::from(true));
        check("012", Json::from(12));
        check("0o14", Json::from(12));
        check("0xff", Json::from(255));
        check("-12", Json::from(-12));
        check("1_000", Json::from("1_000"));
        check("1.", Json::from(1.0));
        check(".5", Json::from(0.5));
        check("1e3", Json::from(1000.0));
        check("2.0", Json::from(2.0));
        check("2024-01-01", Json::from("2024-01-01"));
        check("'12'", Json::from("12"));
        check("\"a\\tb\"", Json::from("a\tb"));
        check("text?", Json::from("text?"));
        check("$name", Json::from("$name"));
        check(".", Json::from("."));
    }

    #[test]
    fn a_fault_is_at_the_line_of_its_key_or_of_what_is_around_it() {
        let (document, faults) = Document::read("a:\n  b: 1\n  c:\n    - 5\n    - {d: 6}\n");
        assert_eq!(faults, []);
        let check = |path: &str, line| assert_eq!(document.line(path), line, "{path}");
        check("", 1);
        check("a", 1);
        check("a.b", 2);
        check("a.c", 3);
        check("a.c[0]", 4);
        check("a.c[1].d", 5);
        check("a.c[1].missing", 5);
        check("a.missing.deeper", 1);
        check("elsewhere", 1);
    }

    #[test]
    fn what_is_not_one_sound_document_is_refused_with_its_line() {
        let check = |text: &str, line: usize, problem: &str| {
            let (_, faults) = Document::read(text);
            let found = faults.iter().any(|fault| fault.line == line && fault.problem.contains(problem));
            assert!(found, "{text:.80}: {faults:?}");
        };
        check("", 1, "empty");
        check("a: 1\nb: 2\na: 3\n", 3, "given twice; first in line 1");
        check("a: {b: 1, b: 2}", 1, "given twice");
        check("a: 1\n---\nb: 2\n", 2, "second document");
        check("a: [1, 2\nb: 3\n", 2, "no YAML");
        check("a: !!str 1\n", 1, "tag");
        check("a: .inf\n", 1, "finite");
        check("a: 1e999\n", 1, "finite");
        check("a: 99999999999999999999\n", 1, "too large");
        check("? [a, b]\n: 1\n", 1, "no key");
        check("a: &x [*x]\n", 1, "inside what it names");
        check(&format!("a: {}", "[".repeat(100)), 1, "nested too deep");
        check(&" ".repeat(BYTES_MAX + 1), 1, "bytes");
        check("b: 1\na: \"open\n", 2, "no YAML");
    }

    #[test]
    fn an_alias_is_the_value_that_it_names_and_a_bomb_of_them_is_refused() {
        assert_eq!(read("a: &x {b: 1}\nc: *x\n"), serde_json::json!({"a": {"b": 1}, "c": {"b": 1}}));
        let mut bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
        for level in 1..12 {
            let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        let (_, faults) = Document::read(&bomb);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].problem.contains("more than"), "{faults:?}");
    }
}
