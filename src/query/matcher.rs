//! The reading of a tree on records.

use std::cmp::Ordering;

use crate::query::tree::{Bound, Condition, Edge, Node};
use crate::query::{Record, Value};
use crate::time::{DAY, HOUR, MINUTE, SECOND, days_from_civil};

/// Whether a record matches.
pub(super) fn matches<R: Record + ?Sized>(node: &Node, record: &R) -> bool {
    match node {
        Node::All => true,
        Node::And(nodes) => nodes.iter().all(|node| matches(node, record)),
        Node::Or(nodes) => nodes.iter().any(|node| matches(node, record)),
        Node::Not(node) => !matches(node, record),
        Node::Is(path, condition) => record.field(path).is_some_and(|value| holds(condition, &value)),
    }
}

pub(super) fn holds(condition: &Condition, value: &Value<'_>) -> bool {
    if let Value::List(values) = value {
        return values.iter().any(|value| holds(condition, value));
    }
    match condition {
        Condition::Exists => true,
        Condition::Phrase(list) => has_phrase(&text_of(value), list),
        Condition::Equals(wanted) => equals(wanted, value),
        Condition::Wildcard(pattern) => pattern.fits(&text_of(value)),
        Condition::Matches(expression) => expression.compiled.is_match(&text_of(value)),
        Condition::Between(low, high) => {
            let above = match low {
                Edge::Open => true,
                Edge::With(bound) => compare(value, bound).is_some_and(Ordering::is_ge),
                Edge::Without(bound) => compare(value, bound).is_some_and(Ordering::is_gt),
            };
            above
                && match high {
                    Edge::Open => true,
                    Edge::With(bound) => compare(value, bound).is_some_and(Ordering::is_le),
                    Edge::Without(bound) => compare(value, bound).is_some_and(Ordering::is_lt),
                }
        }
    }
}

/// A value as text; numbers as they are written shortest.
fn text_of<'v>(value: &'v Value<'_>) -> std::borrow::Cow<'v, str> {
    match value {
        Value::Str(text) => std::borrow::Cow::Borrowed(text),
        Value::Number(number) => std::borrow::Cow::Owned(number.to_string()),
        Value::Bool(true) => "true".into(),
        Value::Bool(false) => "false".into(),
        Value::List(_) => "".into(),
    }
}

fn equals(wanted: &str, value: &Value<'_>) -> bool {
    match value {
        Value::Str(text) => {
            text == wanted
                || match (number_of(wanted), number_of(text)) {
                    (Some(a), Some(b)) => a == b,
                    _ => false,
                }
        }
        Value::Number(number) => number_of(wanted) == Some(*number),
        Value::Bool(b) => wanted == if *b { "true" } else { "false" },
        Value::List(_) => false,
    }
}

/// How a value compares with the end of a range; `None` when the two are of different kinds.
fn compare(value: &Value<'_>, bound: &Bound) -> Option<Ordering> {
    match bound {
        Bound::Number(number) => match value {
            Value::Number(n) => n.partial_cmp(number),
            Value::Str(text) => number_of(text)?.partial_cmp(number),
            Value::Bool(_) | Value::List(_) => None,
        },
        Bound::Duration(ms) => match value {
            Value::Number(n) => n.partial_cmp(ms),
            Value::Str(text) => number_of(text).or_else(|| duration_of(text))?.partial_cmp(ms),
            Value::Bool(_) | Value::List(_) => None,
        },
        Bound::Date(micros, _) => match value {
            Value::Str(text) => Some(date_of(text)?.cmp(micros)),
            Value::Number(_) | Value::Bool(_) | Value::List(_) => None,
        },
        Bound::Level(level, _) => match value {
            Value::Str(text) => Some(level_of(text)?.cmp(level)),
            Value::Number(_) | Value::Bool(_) | Value::List(_) => None,
        },
        Bound::Text(wanted) => match value {
            Value::Str(text) => Some(text.as_ref().cmp(wanted.as_str())),
            Value::Number(_) | Value::Bool(_) | Value::List(_) => None,
        },
    }
}

fn is_token(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Runs of letters, digits and `_`.
pub fn tokens(text: &str) -> impl Iterator<Item = &str> + Clone {
    text.split(|c: char| !is_token(c)).filter(|token| !token.is_empty())
}

/// A token in lower case, still one token: `İ` becomes `i` and a dot above, which is no part of tokens.
pub fn folded(token: &str) -> String {
    token.to_lowercase().chars().filter(|c| is_token(*c)).collect()
}

fn has_phrase(text: &str, phrase: &[String]) -> bool {
    let same = |token: &str, wanted: &str| {
        token == wanted || (token.is_ascii() && token.eq_ignore_ascii_case(wanted)) || folded(token) == wanted
    };
    let mut from = tokens(text);
    loop {
        let mut run = from.clone();
        if phrase.iter().all(|wanted| run.next().is_some_and(|token| same(token, wanted))) {
            return true;
        }
        if from.next().is_none() {
            return false;
        }
    }
}

/// A plain number.
pub fn number_of(text: &str) -> Option<f64> {
    let first = text.bytes().next()?;
    if !(first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.')) {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A length of time with its unit, in milliseconds.
pub(super) fn duration_of(text: &str) -> Option<f64> {
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "ns" => 1e-6,
        "us" | "\u{b5}s" => 1e-3,
        "ms" => 1.0,
        "s" => 1e3,
        "m" => 6e4,
        "h" => 3.6e6,
        "d" => 8.64e7,
        _ => return None,
    };
    number_of(number).map(|number| number * scale).filter(|ms| ms.is_finite())
}

/// A date (RFC 3339, or its day alone) in microseconds since 1970.
pub fn date_of(text: &str) -> Option<i64> {
    let part = |range: std::ops::Range<usize>| -> Option<i64> {
        let digits = text.get(range)?;
        if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
    };
    let mark = |at: usize, c: u8| text.as_bytes().get(at) == Some(&c);
    if !(mark(4, b'-') && mark(7, b'-')) {
        return None;
    }
    let (year, month, day) = (part(0..4)?, part(5..7)?, part(8..10)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let days = days_from_civil(year, month as u32, day as u32) * DAY;
    if text.len() == 10 {
        return Some(days);
    }
    if !(mark(10, b'T') || mark(10, b' ')) || !mark(13, b':') || !mark(16, b':') {
        return None;
    }
    let (hour, minute, second) = (part(11..13)?, part(14..16)?, part(17..19)?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut rest = text.get(19..)?;
    let mut micros = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.find(|c: char| !c.is_ascii_digit()).unwrap_or(fraction.len());
        let padded = format!("{:0<6}", fraction.get(..digits)?);
        micros = padded.get(..6)?.parse().ok()?;
        rest = fraction.get(digits..)?;
    }
    let zone = match rest {
        "" | "Z" | "z" => 0,
        zone => {
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            let digits: String = zone.get(1..)?.chars().filter(|c| *c != ':').collect();
            if !zone.starts_with(['+', '-']) || digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            sign * (digits.get(..2)?.parse::<i64>().ok()? * HOUR + digits.get(2..)?.parse::<i64>().ok()? * MINUTE)
        }
    };
    Some(days + hour * HOUR + minute * MINUTE + second * SECOND + micros - zone)
}

/// Words of severities, in lower case: 1 trace, 2 debug, 3 info, 4 warn, 5 error, 6 fatal.
pub(super) const LEVEL_WORDS: [(&str, u8); 17] = [
    ("trace", 1),
    ("verbose", 1),
    ("debug", 2),
    ("info", 3),
    ("information", 3),
    ("notice", 3),
    ("warn", 4),
    ("warning", 4),
    ("error", 5),
    ("err", 5),
    ("fatal", 6),
    ("critical", 6),
    ("crit", 6),
    ("alert", 6),
    ("emerg", 6),
    ("emergency", 6),
    ("panic", 6),
];

/// A severity word, in any case.
pub(super) fn level_of(text: &str) -> Option<u8> {
    LEVEL_WORDS.iter().find(|(word, _)| text.eq_ignore_ascii_case(word)).map(|(_, level)| *level)
}
