//! What Rails says of a request where nobody asked for one line each: `Started GET "/cart" for 10.0.0.7 at TIME`, and at its end
//! `Completed 200 OK in 12ms (...)`. The latter is the request.

use super::{Object, is_number};

/// The fields that such a text says; `false`: it is none.
pub(super) fn put(text: &str, object: &mut Object) -> bool {
    let text = untagged(text);
    if let Some(rest) = text.strip_prefix("Completed ") {
        completed(rest, object).is_some()
    } else if let Some(rest) = text.strip_prefix("Started ") {
        started(rest, object).is_some()
    } else {
        false
    }
}

/// A line that says no more, without a time in front.
pub(super) fn object(line: &str) -> Option<String> {
    if !line.starts_with(['C', 'S', '[']) {
        return None;
    }
    let mut object = Object::new();
    if !put(line, &mut object) {
        return None;
    }
    object.text("message", line);
    Some(object.end())
}

/// Without the tags in front: `[REQUEST-ID] `.
fn untagged(text: &str) -> &str {
    let mut text = text;
    while let Some((_, rest)) = text.strip_prefix('[').and_then(|text| text.split_once("] ")) {
        text = rest;
    }
    text
}

/// `200 OK in 12ms (Views: 5.1ms | ...)`
fn completed(rest: &str, object: &mut Object) -> Option<()> {
    let (status, rest) = rest.split_once(' ')?;
    // `Completed 100 items in 5ms` is none.
    let (word, rest) =
        rest.split_once(" in ").filter(|(word, _)| word.starts_with(|c: char| c.is_ascii_uppercase()))?;
    let took = rest.split(' ').next()?.strip_suffix("ms")?;
    if word.len() > 40 || status.len() != 3 || !is_number(status) || !is_number(took) {
        return None;
    }
    object.raw("status", status);
    object.raw("duration_ms", took);
    Some(())
}

/// `GET "/cart" for 10.0.0.7 at 2026-06-01 10:00:00 +0000`
fn started(rest: &str, object: &mut Object) -> Option<()> {
    let (method, rest) = rest.split_once(" \"")?;
    let (path, rest) = rest.split_once("\" for ")?;
    let (client, time) = rest.split_once(" at ")?;
    if !method.bytes().all(|byte| byte.is_ascii_uppercase()) || client.contains(' ') {
        return None;
    }
    crate::pipeline::clock::parse_time(time).ok()?;
    for (key, value) in [("time", time), ("method", method), ("path", path), ("client", client)] {
        object.text(key, value);
    }
    Some(())
}
