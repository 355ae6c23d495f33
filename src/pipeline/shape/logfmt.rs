//! logfmt: pairs of a key and a value, as Heroku's router, Go's slog, logrus and Grafana's programs write them.

use std::borrow::Cow;

use super::{Object, is_key};
use crate::pipeline::plan::RequestSource;

/// Pairs that make a line one of these.
const PAIRS_MIN: usize = 2;
/// Pairs of a line that are read.
const PAIRS_MAX: usize = 256;

/// A pair, or a word that is none.
pub(super) enum Item<'a> {
    Pair(&'a str, Cow<'a, str>),
    Word(&'a str),
}

/// What stands in a text, in order.
pub(super) fn items(text: &str) -> Vec<Item<'_>> {
    let mut list = Vec::new();
    let mut rest = text.trim_ascii_start();
    while !rest.is_empty() && list.len() < PAIRS_MAX {
        let end = rest.find([' ', '\t']).unwrap_or(rest.len());
        let word = &rest[..end];
        let pair = word.split_once('=').filter(|(key, _)| is_key(key));
        let Some((key, start)) = pair else {
            list.push(Item::Word(word));
            rest = rest[end..].trim_ascii_start();
            continue;
        };
        if start.starts_with('"') {
            let from = key.len() + 1;
            match quoted(&rest[from..]) {
                Some((value, len)) => {
                    list.push(Item::Pair(key, Cow::Owned(value)));
                    rest = rest[from + len..].trim_ascii_start();
                    continue;
                }
                // A quote that never ends is part of the text.
                None => list.push(Item::Pair(key, Cow::Borrowed(start))),
            }
        } else if let Some((value, len)) = single_quoted(&rest[key.len() + 1..]) {
            list.push(Item::Pair(key, Cow::Borrowed(value)));
            rest = rest[key.len() + 1 + len..].trim_ascii_start();
            continue;
        } else {
            list.push(Item::Pair(key, Cow::Borrowed(start)));
        }
        rest = rest[end..].trim_ascii_start();
    }
    list
}

/// The text between quotes at the start, with its escapes resolved, and how long it is with its quotes.
fn quoted(text: &str) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, at + 1)),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                other => value.push(other),
            },
            c => value.push(c),
        }
    }
    None
}

/// The text between single quotes at the start, and how long it is with them. They end where a blank or nothing follows: others are
/// apostrophes.
fn single_quoted(text: &str) -> Option<(&str, usize)> {
    let inside = text.strip_prefix('\'')?;
    let is_last = |at: &usize| matches!(inside.as_bytes().get(at + 1), None | Some(b' ' | b'\t'));
    let end = inside.match_indices('\'').map(|(at, _)| at).find(is_last)?;
    Some((inside.get(..end)?, end + 2))
}

/// A line of logfmt: it begins with a pair, and words between pairs belong to the value before them.
pub(super) fn object(line: &str) -> Option<String> {
    let first = line.find(['=', ' ', '"']).filter(|at| line.as_bytes().get(*at) == Some(&b'='))?;
    if !is_key(line.get(..first)?) {
        return None;
    }
    let mut pairs: Vec<(&str, Cow<'_, str>)> = Vec::new();
    let mut is_repeated = false;
    for item in items(line) {
        match item {
            Item::Pair(key, value) => {
                // The first of a name is of the line.
                is_repeated = pairs.iter().any(|(known, _)| *known == key);
                if !is_repeated {
                    pairs.push((key, value));
                }
            }
            Item::Word(_) if is_repeated => {}
            Item::Word(word) => {
                let (_, value) = pairs.last_mut()?;
                let value = value.to_mut();
                value.push(' ');
                value.push_str(word);
            }
        }
    }
    if pairs.len() < PAIRS_MIN {
        return None;
    }
    let mut object = Object::new();
    let has = |name: &str| pairs.iter().any(|(key, _)| *key == name);
    // The router of Heroku is an access log, whose `service` is how long the program took.
    let is_router = has("at") && has("dyno") && has("service");
    if is_router {
        object.of_source(RequestSource::AccessLog);
        object.text("message", line);
    }
    for (key, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        match value.strip_suffix("ms") {
            Some(millis) if is_router && *key == "service" => object.value("duration_ms", millis),
            None if is_router && *key == "fwd" => object.text("client", value),
            _ => object.value(key, value),
        }
    }
    Some(object.end())
}
