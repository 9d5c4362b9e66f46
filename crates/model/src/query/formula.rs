//! Arithmetic over the series of a trend: `A / B`, `(A - B) * 100`.

use std::fmt;

use crate::{Fault, Node};

const TEXT_BYTES_MAX: usize = 1_000;
const DEPTH_MAX: usize = 50;
/// A constant's digits, so that it fits 128 bits.
const DIGITS_MAX: usize = 30;
pub(super) const ENTITIES_MAX: usize = 26;

/// An expression. Entities are numbered from 0 and written A, B, C …
#[derive(Clone, Debug, PartialEq)]
pub enum Formula {
    /// An exact decimal: digits and how many of them are after the point.
    Constant {
        digits: i128,
        decimals: u32,
    },
    Entity(usize),
    Negative(Box<Formula>),
    Binary(Operator, Box<Formula>, Box<Formula>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Plus,
    Minus,
    Times,
    /// By zero it gives null.
    Over,
}

impl Operator {
    fn of(character: char) -> Option<Self> {
        Some(match character {
            '+' => Self::Plus,
            '-' | '−' => Self::Minus,
            '*' | '×' => Self::Times,
            '/' | '÷' => Self::Over,
            _ => return None,
        })
    }

    fn binds_tighter(self) -> bool {
        matches!(self, Self::Times | Self::Over)
    }
}

impl Formula {
    /// An expression over so many entities.
    pub(super) fn decode(node: &Node<'_>, entities: usize) -> Result<Self, Fault> {
        let text = node.text()?;
        if text.len() > TEXT_BYTES_MAX {
            return Err(node.expected(format_args!("a formula of up to {TEXT_BYTES_MAX} bytes")));
        }
        let mut parser = Parser { characters: text.char_indices().peekable(), text, entities, depth: 0 };
        let parsed = parser.sum().and_then(|formula| match parser.next() {
            None => Ok(formula),
            Some(rest) => Err(Problem::at(rest, "+, -, *, / or the end")),
        });
        parsed.map_err(|Problem { place, allowed }| {
            let place =
                place.map_or_else(|| "at its end".to_owned(), |place| format!("at character {place}"));
            node.fault(format_args!("{} was given; {place} allowed is {allowed}", node.given()))
        })
    }

    /// What an entity is called.
    pub fn name_of(entity: usize) -> String {
        let letter = u8::try_from(entity).ok().and_then(|entity| b'A'.checked_add(entity));
        letter.map_or_else(String::new, |letter| char::from(letter).to_string())
    }

    /// Whether the expression uses an entity.
    pub fn uses(&self, entity: usize) -> bool {
        match self {
            Self::Constant { .. } => false,
            Self::Entity(own) => *own == entity,
            Self::Negative(inner) => inner.uses(entity),
            Self::Binary(_, left, right) => left.uses(entity) || right.uses(entity),
        }
    }
}

impl fmt::Display for Formula {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant { digits, decimals: 0 } => write!(formatter, "{digits}"),
            Self::Constant { digits, decimals } => {
                let width = *decimals as usize + 1;
                let text = format!("{digits:0width$}");
                let (whole, fraction) = text.split_at(text.len() - *decimals as usize);
                write!(formatter, "{whole}.{fraction}")
            }
            Self::Entity(entity) => formatter.write_str(&Self::name_of(*entity)),
            Self::Negative(inner) => write!(formatter, "-{}", Operand(inner, 2)),
            Self::Binary(operator, left, right) => {
                let (sign, level) = match operator {
                    Operator::Plus => ('+', 0),
                    Operator::Minus => ('-', 0),
                    Operator::Times => ('*', 1),
                    Operator::Over => ('/', 1),
                };
                write!(formatter, "{} {sign} {}", Operand(left, level), Operand(right, level + 1))
            }
        }
    }
}

/// A part of an expression, in parentheses where it binds less tightly than its place needs.
struct Operand<'a>(&'a Formula, u8);

impl fmt::Display for Operand<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = match self.0 {
            Formula::Binary(operator, _, _) => u8::from(operator.binds_tighter()),
            Formula::Negative(_) => 2,
            Formula::Constant { .. } | Formula::Entity(_) => 3,
        };
        if own < self.1 { write!(formatter, "({})", self.0) } else { self.0.fmt(formatter) }
    }
}

/// Where the text stops being a formula, and what could stand there.
struct Problem {
    /// Counted from 1; `None`: at the end.
    place: Option<usize>,
    allowed: String,
}

impl Problem {
    fn at((place, _): (usize, char), allowed: impl fmt::Display) -> Self {
        Self { place: Some(place), allowed: allowed.to_string() }
    }
}

struct Parser<'t> {
    characters: std::iter::Peekable<std::str::CharIndices<'t>>,
    text: &'t str,
    entities: usize,
    depth: usize,
}

impl Parser<'_> {
    /// The next character that is no white space, with its place counted from 1.
    fn next(&mut self) -> Option<(usize, char)> {
        let (index, character) = self.peek()?;
        self.characters.next();
        Some((self.text[..index].chars().count() + 1, character))
    }

    fn peek(&mut self) -> Option<(usize, char)> {
        while self.characters.next_if(|(_, character)| character.is_whitespace()).is_some() {}
        self.characters.peek().copied()
    }

    fn operator(&mut self, tight: impl Fn(Operator) -> bool) -> Option<Operator> {
        let operator = Operator::of(self.peek()?.1).filter(|operator| tight(*operator))?;
        self.characters.next();
        Some(operator)
    }

    fn sum(&mut self) -> Result<Formula, Problem> {
        let mut left = self.product()?;
        while let Some(operator) = self.operator(|operator| !operator.binds_tighter()) {
            left = Formula::Binary(operator, Box::new(left), Box::new(self.product()?));
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Formula, Problem> {
        let mut left = self.factor()?;
        while let Some(operator) = self.operator(Operator::binds_tighter) {
            left = Formula::Binary(operator, Box::new(left), Box::new(self.factor()?));
        }
        Ok(left)
    }

    fn factor(&mut self) -> Result<Formula, Problem> {
        self.depth += 1;
        let factor = self.factor_within();
        self.depth -= 1;
        factor
    }

    fn factor_within(&mut self) -> Result<Formula, Problem> {
        let last = Formula::name_of(self.entities.saturating_sub(1));
        let allowed = match self.entities {
            1 => "A, a number, - or (".to_owned(),
            _ => format!("an entity from A to {last}, a number, - or ("),
        };
        let Some(found) = self.next() else {
            return Err(Problem { place: None, allowed });
        };
        if self.depth > DEPTH_MAX {
            return Err(Problem::at(found, format_args!("nesting of up to {DEPTH_MAX}")));
        }
        match found.1 {
            '(' => {
                let inner = self.sum()?;
                match self.next() {
                    Some((_, ')')) => Ok(inner),
                    Some(other) => Err(Problem::at(other, "+, -, *, / or )")),
                    None => Err(Problem { place: None, allowed: ")".to_owned() }),
                }
            }
            '-' | '−' => Ok(Formula::Negative(Box::new(self.factor()?))),
            letter if letter.is_ascii_uppercase() => {
                let entity = u32::from(letter) - u32::from('A');
                let entity = usize::try_from(entity).ok().filter(|entity| *entity < self.entities);
                entity.map(Formula::Entity).ok_or_else(|| Problem::at(found, allowed))
            }
            digit if digit.is_ascii_digit() || digit == '.' => self.constant(digit).ok_or_else(|| {
                Problem::at(found, format_args!("a number such as 100 or 0.5, of up to {DIGITS_MAX} digits"))
            }),
            _ => Err(Problem::at(found, allowed)),
        }
    }

    fn constant(&mut self, first: char) -> Option<Formula> {
        let mut text = String::from(first);
        let more = |(_, character): &(usize, char)| character.is_ascii_digit() || *character == '.';
        while let Some((_, character)) = self.characters.next_if(more) {
            text.push(character);
        }
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let sound = !whole.is_empty()
            && !fraction.contains('.')
            && !text.ends_with('.')
            && whole.len() + fraction.len() <= DIGITS_MAX;
        let digits = sound.then(|| format!("{whole}{fraction}").parse().ok())??;
        Some(Formula::Constant { digits, decimals: u32::try_from(fraction.len()).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decode(text: &str, entities: usize) -> Result<Formula, Fault> {
        let json = json!(text);
        Formula::decode(&Node::root(&json), entities)
    }

    #[test]
    fn a_formula_is_read_as_arithmetic_is_and_written_with_the_parentheses_that_it_needs() {
        let check = |text: &str, want: &str| {
            let formula = decode(text, 3).unwrap();
            assert_eq!(formula.to_string(), want, "{text}");
            assert_eq!(decode(want, 3).unwrap(), formula, "{text}");
        };
        check("A/B", "A / B");
        check("A ÷ B × 100", "A / B * 100");
        check("A−B-C", "A - B - C");
        check("A - (B - C)", "A - (B - C)");
        check("(A + B) * -C", "(A + B) * -C");
        check("A + B * C", "A + B * C");
        check("A / (B / C)", "A / (B / C)");
        check("-(A + 0.050)", "-(A + 0.050)");
        check("--A", "--A");
        check("((1))", "1");
    }

    #[test]
    fn what_is_no_formula_is_told_where() {
        let check = |text: &str, problem: &str| {
            let fault = decode(text, 2).unwrap_err();
            assert!(fault.problem.contains(problem), "{text}: {fault}");
        };
        check("", "at its end allowed is an entity from A to B, a number, - or (");
        check("A /", "at its end allowed is an entity");
        check("A / C", "at character 5 allowed is an entity from A to B");
        check("A B", "at character 3 allowed is +, -, *, / or the end");
        check("(A", "at its end allowed is )");
        check("(A B", "at character 4 allowed is +, -, *, / or )");
        check("A / 1.2.3", "at character 5 allowed is a number such as");
        check("1.", "allowed is a number such as");
        check("é", "at character 1 allowed is an entity");
        check(&"1".repeat(31), "up to 30 digits");
        check(&format!("{}A", "(".repeat(60)), "nesting of up to 50");
        check(&format!("{}A", "-".repeat(60)), "nesting of up to 50");
        check(&"A+".repeat(501), "up to 1000 bytes");
        assert!(decode(&format!("{}A", "A+".repeat(499)), 1).is_ok());
        assert!(decode("B", 1).unwrap_err().problem.contains("allowed is A, a number"));
    }
}
