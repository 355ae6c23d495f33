//! What frameworks say of a request in a sentence. Rails: `Started GET "/cart" for 10.0.0.7 at TIME`, and at its end
//! `Completed 200 OK in 12ms (...)`, which is the request; Phoenix: `Sent 200 in 12ms`; Serilog: `HTTP GET /cart responded 200 in 12.3 ms`.

use super::text::is_level;
use super::{Object, is_number};
use crate::pipeline::roles::LatencyUnit;
use crate::pipeline::values;

/// The fields that such a text says; `false`: it is none.
pub(super) fn put(text: &str, object: &mut Object) -> bool {
    let text = untagged(text, object);
    if let Some(rest) = text.strip_prefix("Completed ") {
        completed(rest, object).is_some()
    } else if let Some(rest) = text.strip_prefix("Started ") {
        started(rest, object).is_some()
    } else if let Some(rest) = text.strip_prefix("Sent ") {
        answered(rest, object).is_some()
    } else if let Some((asked, rest)) = text.strip_prefix("HTTP ").and_then(|rest| rest.split_once(" responded ")) {
        responded(asked, rest, object).is_some()
    } else {
        false
    }
}

/// A line that says no more, without a time in front.
pub(super) fn object(line: &str) -> Option<String> {
    if !line.starts_with(['C', 'H', 'S', '[']) {
        return None;
    }
    let mut object = Object::new();
    if !put(line, &mut object) {
        return None;
    }
    object.text("message", line);
    Some(object.end())
}

/// Without the tags in front: `[REQUEST-ID] `, `[INF] `, the latter of which is a level.
fn untagged<'a>(text: &'a str, object: &mut Object) -> &'a str {
    let mut text = text;
    while let Some((tag, rest)) = text.strip_prefix('[').and_then(|text| text.split_once("] ")) {
        if is_level(tag) {
            object.text("level", tag);
        }
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

/// `200 in 12ms`, `404 in 312\u{b5}s`
fn answered(rest: &str, object: &mut Object) -> Option<()> {
    let (status, took) = rest.split_once(" in ")?;
    let micros = values::latency_us(took, LatencyUnit::Millis).filter(|_| took.ends_with('s'))?;
    if status.len() != 3 || !is_number(status) {
        return None;
    }
    object.raw("status", status);
    object.raw("latency_us", &micros.to_string());
    Some(())
}

/// `GET /cart` and `200 in 12.3 ms`
fn responded(asked: &str, rest: &str, object: &mut Object) -> Option<()> {
    let (method, path) = asked.split_once(' ').filter(|(_, path)| !path.contains(' '))?;
    answered(rest, object)?;
    object.text("method", method);
    object.text("path", path);
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
