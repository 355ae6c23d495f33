//! Lines that belong together, as one object.

use std::borrow::Cow;

use super::text::is_level;
use super::{Object, STACK_PATH, of_access, of_object, of_record, of_text};
use crate::pipeline::continued::{self, Around, JOINT, look_through};
use crate::pipeline::json::{self, Value};
use crate::pipeline::{access, clock};

/// What ends a line of a record.
const ENDS: [char; 2] = ['\n', JOINT as char];

/// The object of the first line, with what stands in the others as its stack; what a container runtime cut is put together first.
pub(super) fn object(lines: &str) -> Option<String> {
    let (first, rest) = lines.split_once(ENDS)?;
    let (first, rest) = put_together(first, rest);
    let java = continued::is_head_of_java(first.as_bytes()).then(|| of_java(&first, rest)).flatten();
    let (said, rest) = if let Some((said, rest)) = java {
        (said, rest)
    } else if first.trim_ascii_start().starts_with('{') {
        (of_object(&first).or_else(|| of_record(&first)).unwrap_or_else(|| first.clone().into_owned()), rest)
    } else if let Some(parsed) = access::parse_access(&first) {
        (of_access(&parsed, &first), rest)
    } else {
        (of_text(&first)?, rest)
    };
    let stack: Vec<Cow<'_, str>> = rest.split(ENDS).map(|line| inside(line.trim_end_matches('\r'))).collect();
    let stack = stack.join("\n");
    if stack.trim_ascii().is_empty() {
        return Some(said);
    }
    // A damaged object stays one.
    let open = said.trim_ascii_end().strip_suffix('}')?;
    let mut object = Object(open.to_owned());
    if open.trim_ascii() == "{" {
        object = Object::new();
    }
    object.text(STACK_PATH, &stack);
    Some(object.end())
}

/// `TIME CLASS METHOD` and `LEVEL: TEXT` of Java's own logging, as one; and the lines behind them.
fn of_java<'a>(first: &str, rest: &'a str) -> Option<(String, &'a str)> {
    let (time, place) = clock::time_before(first)?;
    let (second, behind) = rest.split_once(ENDS).unwrap_or((rest, ""));
    let second = inside(second);
    let (level, message) = second.split_once(": ").filter(|(level, _)| is_level(level))?;
    let mut object = Object::new();
    object.text("time", time);
    object.text("level", level);
    if let Some(logger) = place.split_ascii_whitespace().next() {
        object.text("logger", logger);
    }
    object.text("message", message);
    Some((object.end(), behind))
}

/// The first line with the parts that a container runtime cut off it, and the lines behind it.
fn put_together<'a>(first: &'a str, rest: &'a str) -> (Cow<'a, str>, &'a str) {
    let mut whole = Cow::Borrowed(first);
    let mut rest = rest;
    let mut goes_on = matches!(look_through(first.as_bytes()).0, Around::Runtime(_, true));
    while goes_on && !rest.is_empty() {
        let (line, behind) = rest.split_once(ENDS).unwrap_or((rest, ""));
        whole.to_mut().push_str(&inside(line));
        goes_on = matches!(look_through(line.as_bytes()).0, Around::Runtime(_, true));
        rest = behind;
    }
    (whole, rest)
}

/// A line without what is around it.
fn inside(line: &str) -> Cow<'_, str> {
    let (around, inner) = look_through(line.as_bytes());
    if around == Around::Docker {
        return match json::lookup(line, "log") {
            Some(Value::String(text)) => Cow::Owned(text.get().trim_end().to_owned()),
            _ => Cow::Borrowed(line),
        };
    }
    // What was taken off ends behind an ASCII byte.
    line.len().checked_sub(inner.len()).and_then(|from| line.get(from..)).map_or(Cow::Borrowed(line), Cow::Borrowed)
}
