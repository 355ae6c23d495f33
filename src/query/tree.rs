//! The typed tree. Closed, so that every reading has to say what it does with every part.

use std::fmt;

use regex::Regex;

use crate::query::{Record, Value, matcher};

/// A query.
#[derive(Clone, PartialEq, Debug)]
pub enum Node {
    /// Everything.
    All,
    /// All of these.
    And(Vec<Node>),
    /// Any of these.
    Or(Vec<Node>),
    /// Not this.
    Not(Box<Node>),
    /// A field meets a condition.
    Is(String, Condition),
}

/// What a field must be.
#[derive(Clone, PartialEq, Debug)]
pub enum Condition {
    /// Has a value.
    Exists,
    /// Holds these tokens, in order, side by side (lower case).
    Phrase(Vec<String>),
    /// Equals this value.
    Equals(String),
    /// Fits wildcards.
    Wildcard(Pattern),
    /// The whole value fits a regular expression.
    Matches(Expression),
    /// Lies between.
    Between(Edge, Edge),
}

impl Condition {
    /// Whether a value meets it; of a list, whether any of its values does.
    pub fn holds(&self, value: &Value<'_>) -> bool {
        matcher::holds(self, value)
    }
}

/// One end of a range.
#[derive(Clone, PartialEq, Debug)]
pub enum Edge {
    /// No end.
    Open,
    /// This value belongs to the range.
    With(Bound),
    /// This value does not.
    Without(Bound),
}

/// A value at the end of a range.
#[derive(Clone, PartialEq, Debug)]
pub enum Bound {
    /// A number.
    Number(f64),
    /// A length of time in milliseconds; a number in a record counts as milliseconds.
    Duration(f64),
    /// A date, microseconds since 1970, as it was written.
    Date(i64, String),
    /// A severity: 1 trace to 6 fatal.
    Level(u8, String),
    /// Text, in its own order.
    Text(String),
}

/// Wildcards, cut at the stars.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    pub(super) source: String,
    /// Runs between stars; `None` stands for `?`.
    pub runs: Vec<Vec<Option<char>>>,
}

impl Pattern {
    /// A pattern from characters, where `Wild` ones were not escaped.
    pub(super) fn new(source: String, chars: &[(char, bool)]) -> Pattern {
        let mut runs = vec![Vec::new()];
        for &(c, wild) in chars {
            match (c, wild) {
                ('*', true) => runs.push(Vec::new()),
                ('?', true) => {
                    if let Some(run) = runs.last_mut() {
                        run.push(None);
                    }
                }
                (c, _) => {
                    if let Some(run) = runs.last_mut() {
                        run.push(Some(c));
                    }
                }
            }
        }
        Pattern { source, runs }
    }

    /// The pattern of a text in which `*` and `?` are wild.
    pub fn of_wildcards(source: &str) -> Pattern {
        let chars: Vec<(char, bool)> = source.chars().map(|c| (c, true)).collect();
        Pattern::new(source.to_owned(), &chars)
    }

    /// Whether text fits.
    pub fn fits(&self, text: &str) -> bool {
        let chars: Vec<char> = text.chars().collect();
        let same = |run: &[Option<char>], at: usize| {
            chars
                .get(at..at + run.len())
                .is_some_and(|part| part.iter().zip(run).all(|(c, r)| r.is_none_or(|r| r == *c)))
        };
        let (Some((first, rest)), Some(last)) = (self.runs.split_first(), self.runs.last()) else { return false };
        if rest.is_empty() {
            return chars.len() == first.len() && same(first, 0);
        }
        if chars.len() < first.len() + last.len() || !same(first, 0) || !same(last, chars.len() - last.len()) {
            return false;
        }
        let end = chars.len() - last.len();
        let mut at = first.len();
        for run in rest.iter().take(rest.len() - 1) {
            // The earliest place is as good as any: stars take what is between.
            let Some(found) = (at..=end.saturating_sub(run.len())).find(|at| *at + run.len() <= end && same(run, *at))
            else {
                return false;
            };
            at = found + run.len();
        }
        at <= end
    }
}

/// A regular expression with its source.
#[derive(Clone, Debug)]
pub struct Expression {
    /// As written between the slashes.
    pub source: String,
    pub(super) compiled: Regex,
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Node {
    /// Whether a record matches.
    pub fn matches<R: Record + ?Sized>(&self, record: &R) -> bool {
        matcher::matches(self, record)
    }

    /// Calls `see` with every path that is read.
    pub fn visit(&self, see: &mut impl FnMut(&str)) {
        match self {
            Node::All => {}
            Node::And(nodes) | Node::Or(nodes) => nodes.iter().for_each(|node| node.visit(see)),
            Node::Not(node) => node.visit(see),
            Node::Is(path, _) => see(path),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Parentheses only where they were written as well, so that nothing is nested deeper.
        let list = |f: &mut fmt::Formatter<'_>, nodes: &[Node], word: &str| {
            for (at, node) in nodes.iter().enumerate() {
                if at > 0 {
                    write!(f, " {word} ")?;
                }
                match (self, node) {
                    (Node::And(_), Node::And(_)) | (_, Node::Or(_)) => write!(f, "({node})")?,
                    _ => node.fmt(f)?,
                }
            }
            Ok(())
        };
        match self {
            Node::All => f.write_str("*"),
            Node::And(nodes) => list(f, nodes, "AND"),
            Node::Or(nodes) => list(f, nodes, "OR"),
            Node::Not(node) if matches!(**node, Node::And(_) | Node::Or(_)) => write!(f, "NOT ({node})"),
            Node::Not(node) => write!(f, "NOT {node}"),
            Node::Is(path, Condition::Exists) => write!(f, "{}:{}", super::EXISTS, escaped(path)),
            Node::Is(path, Condition::Phrase(tokens)) if path == super::MESSAGE => {
                write!(f, "\"{}\"", tokens.join(" "))
            }
            Node::Is(path, condition) => write!(f, "{}:{condition}", escaped(path)),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Exists => f.write_str("*"),
            Condition::Phrase(tokens) => quoted(f, &tokens.join(" ")),
            Condition::Equals(value) => quoted(f, value),
            Condition::Wildcard(pattern) => f.write_str(&pattern.source),
            Condition::Matches(expression) => write!(f, "/{}/", expression.source),
            Condition::Between(low, high) => {
                f.write_str(if matches!(low, Edge::Without(_)) { "{" } else { "[" })?;
                edge(f, low)?;
                f.write_str(" TO ")?;
                edge(f, high)?;
                f.write_str(if matches!(high, Edge::Without(_)) { "}" } else { "]" })
            }
        }
    }
}

fn edge(f: &mut fmt::Formatter<'_>, edge: &Edge) -> fmt::Result {
    match edge {
        Edge::Open => f.write_str("*"),
        Edge::With(bound) | Edge::Without(bound) => match bound {
            Bound::Number(number) => write!(f, "{number}"),
            Bound::Duration(ms) => write!(f, "{ms}ms"),
            // A date may hold a space, which was written with an escape.
            Bound::Date(_, text) | Bound::Level(_, text) => f.write_str(&text.replace(' ', "\\ ")),
            Bound::Text(text) => quoted(f, text),
        },
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A path with everything escaped that the parser would read as something else.
fn escaped(path: &str) -> String {
    let mut out = String::new();
    // As a path, the word for "has a value" is escaped.
    for (at, c) in path.chars().enumerate() {
        let plain = c.is_alphanumeric() || matches!(c, '_' | '.' | '@' | '/' | '$' | '#') || (at > 0 && c == '-');
        if !plain || (at == 0 && path == super::EXISTS) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
