//! Words of SQL, and `$name` in SQL and in queries. They are found by reading a statement as SQL is read, so that
//! a dollar in a text, a quoted name or a comment is none; the values are bound, never pasted.

use serde_json::Value as Json;

/// Words of a statement outside of texts, quoted names and comments, in order, each once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words<'s> {
    /// Names of parameters, without their dollar.
    pub(super) params: Vec<&'s str>,
    pub(super) plain: Vec<&'s str>,
}

pub(super) fn of_statement(statement: &str) -> Result<Words<'_>, &'static str> {
    let mut words = Words::default();
    let mut rest = statement;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        rest = match first {
            '\'' | '"' => past_quoted(after, first).ok_or("a quote is never closed")?,
            '-' if after.starts_with('-') => after.split_once('\n').map_or("", |(_, rest)| rest),
            '/' if after.starts_with('*') => past_comment(&after[1..]).ok_or("a comment is never closed")?,
            '$' => {
                let (name, rest) = split_word(after);
                if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || rest.starts_with('$')
                {
                    return Err("a `$` stands before no parameter's name, such as `$limit`");
                }
                add(&mut words.params, name);
                rest
            }
            _ if is_word(first) => {
                let (word, rest) = split_word(rest);
                add(&mut words.plain, word);
                rest
            }
            _ => after,
        };
    }
    Ok(words)
}

fn add<'s>(words: &mut Vec<&'s str>, word: &'s str) {
    if !words.contains(&word) {
        words.push(word);
    }
}

fn split_word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !is_word(c)).unwrap_or(text.len()))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What follows the closing quote; a doubled one is a part of the text.
fn past_quoted(text: &str, quote: char) -> Option<&str> {
    let mut rest = text;
    loop {
        rest = rest.split_once(quote)?.1;
        match rest.strip_prefix(quote) {
            Some(doubled) => rest = doubled,
            None => return Some(rest),
        }
    }
}

/// What follows the end of a comment; they nest.
fn past_comment(text: &str) -> Option<&str> {
    let (mut rest, mut depth) = (text, 1_usize);
    while depth > 0 {
        let next = rest.find(['*', '/'])?;
        let at = &rest[next..];
        (rest, depth) = if let Some(after) = at.strip_prefix("*/") {
            (after, depth - 1)
        } else if let Some(after) = at.strip_prefix("/*") {
            (after, depth + 1)
        } else {
            (&at[1..], depth)
        };
    }
    Some(rest)
}

/// The name where a JSON text is `$name` and nothing else.
pub(super) fn in_text(text: &str) -> Option<&str> {
    text.strip_prefix('$').filter(|name| !name.is_empty() && name.chars().all(is_word))
}

/// Whether a statement names a thing, outside of texts and comments.
pub(super) fn names(statement: &str, name: &str) -> bool {
    of_statement(statement).is_ok_and(|words| words.plain.iter().any(|word| word.eq_ignore_ascii_case(name)))
}

/// The names in the place of values in a query.
pub(super) fn collect_names(json: &Json, names: &mut Vec<String>) {
    match json {
        Json::String(text) => names.extend(in_text(text).map(str::to_owned)),
        Json::Array(items) => items.iter().for_each(|item| collect_names(item, names)),
        Json::Object(map) => map.values().for_each(|item| collect_names(item, names)),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// A query with values in the place of its parameters; `value` answers `None` for an unknown name,
/// which is then what the error holds.
pub(super) fn fill(json: &Json, value: &impl Fn(&str) -> Option<Json>) -> Result<Json, String> {
    Ok(match json {
        Json::String(text) => match in_text(text) {
            Some(name) => value(name).ok_or_else(|| name.to_owned())?,
            None => json.clone(),
        },
        Json::Array(items) => {
            Json::Array(items.iter().map(|item| fill(item, value)).collect::<Result<_, _>>()?)
        }
        Json::Object(map) => {
            let entry = |(key, json): (&String, &Json)| fill(json, value).map(|filled| (key.clone(), filled));
            Json::Object(map.iter().map(entry).collect::<Result<_, _>>()?)
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => json.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dollar_is_a_parameter_only_where_sql_has_one() {
        let check = |statement: &str, want: Result<&[&str], &str>| match (of_statement(statement), want) {
            (Ok(words), Ok(want)) => assert_eq!(words.params, want, "{statement}"),
            (Err(problem), Err(want)) => assert!(problem.contains(want), "{statement}: {problem}"),
            (got, _) => panic!("{statement}: {got:?}"),
        };
        check("SELECT $a + $b_2, $a", Ok(&["a", "b_2"]));
        check("SELECT '$a', \"$b\", 'it''s $c' -- $d\n /* $e /* $f */ $g */ $h", Ok(&["h"]));
        check("SELECT a$b", Ok(&["b"]));
        check("SELECT 1 -- $end", Ok(&[]));
        check("SELECT ($a)/2*$b", Ok(&["a", "b"]));
        check("SELECT $1", Err("no parameter's name"));
        check("SELECT $$x$$", Err("no parameter's name"));
        check("SELECT $t$x$t$", Err("no parameter's name"));
        check("SELECT 'open", Err("quote"));
        check("SELECT 1 /* open", Err("comment"));
        check("SELECT 'ü$a' || $ü", Ok(&["ü"]));
    }

    #[test]
    fn a_word_in_a_text_or_a_comment_is_none_of_the_statement() {
        let words = of_statement("SELECT a.b_1 FROM \"c\" -- d\nWHERE a = 'e' /* f */").unwrap();
        assert_eq!(words.plain, ["SELECT", "a", "b_1", "FROM", "WHERE"]);
    }

    #[test]
    fn a_whole_text_is_replaced_and_nothing_within_one() {
        let query = serde_json::json!({"a": ["$n", "x$n", {"b": "$n"}], "$n": 1});
        let filled = fill(&query, &|name| (name == "n").then(|| Json::from(7))).unwrap();
        assert_eq!(filled, serde_json::json!({"a": [7, "x$n", {"b": 7}], "$n": 1}));
        assert_eq!(fill(&query, &|_| None), Err("n".to_owned()));
    }
}
