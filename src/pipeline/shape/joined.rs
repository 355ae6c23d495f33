//! Lines that belong together, as one object.

use std::borrow::Cow;

use super::{Object, STACK_PATH, of_access, of_object, of_record, of_text};
use crate::pipeline::access;
use crate::pipeline::continued::{Around, JOINT, look_through};
use crate::pipeline::json::{self, Value};

/// What ends a line of a record.
const ENDS: [char; 2] = ['\n', JOINT as char];

/// The object of the first line, with what stands in the others as its stack; what a container runtime cut is put together first.
pub(super) fn object(lines: &str) -> Option<String> {
    let (first, rest) = lines.split_once(ENDS)?;
    let (first, rest) = put_together(first, rest);
    let said = if first.trim_ascii_start().starts_with('{') {
        of_object(&first).or_else(|| of_record(&first)).unwrap_or_else(|| first.clone().into_owned())
    } else if let Some(parsed) = access::parse_access(&first) {
        of_access(&parsed, &first)
    } else {
        of_text(&first)?
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
