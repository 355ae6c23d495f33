//! Lines that are neither JSON objects nor access logs, as what they say: what a collector or a tool put around a line is taken off, and
//! text with a known form becomes a JSON object, which is then read as any other.
//!
//! Everything here is a pure function of one line. What cannot be told for sure stays as it is, and is a counted reject.
//!
//! | line | fields beside what it says |
//! | --- | --- |
//! | `kubectl logs --prefix`: `[pod/NAME/CONTAINER] ...` | `k8s.pod.name`, `k8s.container.name` |
//! | container runtimes (CRI): `TIME stdout F ...` | `time` |
//! | Docker's json-file: `{"log":"...","stream":"...","time":"..."}` | `time` |
//! | `docker compose logs`: `NAME-1  | ...` | `app`, `instance` |
//! | a time before a line: `kubectl logs --timestamps`, `docker logs -t`, CloudWatch | `time` |
//! | `logcli -o jsonl`: `{"labels":{...},"line":"...","timestamp":"..."}` | the labels, `time` |
//! | `kcat -J`: `{"topic":"...","ts":...,"payload":"..."}` | `time`, `kafka.key` |
//! | hits of Elasticsearch: `{"_index":"...","_source":{...}}` | - |
//! | `journalctl -o json` | `time`, `level`, `host.name`, `app` |
//! | logfmt: `level=info msg="..." status=200` | each pair |
//! | syslog with a time in full | `time`, `level`, `host.name`, `app`, `process.pid` |
//! | text: `TIME LEVEL ...`, as Spring Boot, Python, Rails, log4j and Rust's tracing write it | `time`, `level`, `logger`, `message`, pairs |
//!
//! Inside a wrapping may be another, an object, an access log, logfmt or text. Its own fields count more than those of the wrapping.

mod logfmt;
pub mod syslog;
mod text;
mod wrapped;

use std::borrow::Cow;

use crate::pipeline::access::{self, Access};
use crate::pipeline::number;

/// Wrappings that are taken off one another.
pub(super) const DEPTH_MAX: usize = 4;
/// Bytes of a line whose form is looked for: what is longer is no line of text.
const LINE_MAX: usize = 1 << 20;

/// A line as JSON object, where it is an object that wraps another line; `None`: it is read as it stands.
#[inline]
pub fn of_object(line: &str) -> Option<String> {
    // Most lines are told by their first key.
    let key = line.trim_ascii_start().strip_prefix('{')?.trim_ascii_start().strip_prefix('"')?;
    let first = key.bytes().next()?;
    if !(matches!(first, b'_' | b'l' | b't') || first.is_ascii_uppercase()) || line.len() > LINE_MAX {
        return None;
    }
    wrapped::of_object(line, key, 0)
}

/// A line that is neither an object nor an access log as JSON object, where its form is known.
pub fn of_text(line: &str) -> Option<String> {
    if line.len() > LINE_MAX { None } else { unwrapped(line, 0) }
}

/// A line as it is read: itself, or the object that it becomes.
pub fn of(line: &str) -> Cow<'_, str> {
    let made = if line.trim_ascii_start().starts_with('{') {
        of_object(line)
    } else if access::parse_access(line).is_some() {
        None
    } else {
        of_text(line)
    };
    made.map_or(Cow::Borrowed(line), Cow::Owned)
}

/// What one tool or collector put around a line, with what is inside as message; `None` where nothing is around it.
pub(super) fn outer(line: &str) -> Option<String> {
    let line = line.trim_ascii();
    match line.starts_with('{') {
        true => wrapped::of_object(line, first_key(line), DEPTH_MAX),
        false => wrapped::of_text(line, DEPTH_MAX),
    }
}

/// A line as an object, also one of an access log; `None` where its form is not known.
pub(super) fn object_of(line: &str) -> Option<Cow<'_, str>> {
    if line.trim_ascii_start().starts_with('{') {
        return Some(of_object(line).map_or(Cow::Borrowed(line), Cow::Owned));
    }
    match access::parse_access(line) {
        Some(access) => Some(Cow::Owned(of_access(&access))),
        None => of_text(line).map(Cow::Owned),
    }
}

fn unwrapped(line: &str, depth: usize) -> Option<String> {
    let line = line.trim_ascii();
    wrapped::of_text(line, depth)
        .or_else(|| syslog::object(line, depth))
        .or_else(|| logfmt::object(line))
        .or_else(|| text::object(line))
}

/// An object that is being written.
#[derive(Debug)]
pub(super) struct Object(String);

impl Object {
    pub(super) fn new() -> Object {
        Object("{".to_owned())
    }

    fn key(&mut self, key: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.quoted(key);
        self.0.push(':');
    }

    /// A text.
    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        self.quoted(value);
    }

    /// A value as JSON has it.
    fn raw(&mut self, key: &str, value: &str) {
        self.key(key);
        self.0.push_str(value);
    }

    /// A value that is a number or a truth where it is written so, else a text.
    pub(super) fn value(&mut self, key: &str, value: &str) {
        if is_number(value) || value == "true" || value == "false" {
            self.raw(key, value)
        } else {
            self.text(key, value)
        }
    }

    /// The fields of an object, behind those that are there.
    fn fields_of(&mut self, object: &str) {
        let inner = object.trim_ascii().strip_prefix('{').unwrap_or_default();
        let whole = inner.strip_suffix('}');
        if whole.is_none_or(|inner| !inner.trim_ascii().is_empty()) {
            if self.0.len() > 1 {
                self.0.push(',');
            }
            self.0.push_str(whole.unwrap_or(inner));
        }
        if whole.is_none() {
            // One that was cut stays damaged: nothing is read from it.
            self.0.push(',');
        }
    }

    fn quoted(&mut self, text: &str) {
        self.0.push('"');
        for c in text.chars() {
            match c {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                '\n' => self.0.push_str("\\n"),
                '\r' => self.0.push_str("\\r"),
                '\t' => self.0.push_str("\\t"),
                c if u32::from(c) < 0x20 => self.0.push_str(&format!("\\u{:04x}", u32::from(c))),
                c => self.0.push(c),
            }
        }
        self.0.push('"');
    }

    /// What a wrapping held: its fields, or all of it as message.
    fn line(&mut self, inner: &str, depth: usize) {
        let inner = inner.trim_ascii();
        let parsed = if inner.starts_with('{') {
            let made = if depth < DEPTH_MAX { wrapped::of_object(inner, first_key(inner), depth + 1) } else { None };
            Some(made.unwrap_or_else(|| inner.to_owned()))
        } else if let Some(access) = access::parse_access(inner) {
            Some(of_access(&access))
        } else if depth < DEPTH_MAX {
            unwrapped(inner, depth + 1)
        } else {
            None
        };
        match parsed {
            Some(object) => self.fields_of(&object),
            None => self.text("message", inner),
        }
    }

    pub(super) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

fn first_key(object: &str) -> &str {
    object.strip_prefix('{').map(str::trim_ascii_start).and_then(|text| text.strip_prefix('"')).unwrap_or_default()
}

/// The parts of an access log, under their names.
fn of_access(line: &Access<'_>) -> String {
    let mut object = Object::new();
    object.text("time", line.time);
    object.text("client", line.client);
    object.raw("status", &line.status.to_string());
    let texts = [
        ("user", line.user),
        ("method", line.method),
        ("path", line.path),
        ("protocol", line.protocol),
        ("referer", line.referer),
        ("agent", line.agent),
        ("host", line.vhost),
    ];
    for (key, value) in texts {
        if let Some(value) = value {
            object.text(key, value);
        }
    }
    if let Some(bytes) = line.bytes {
        object.raw("bytes", &bytes.to_string());
    }
    if let Some(seconds) = line.request_time.filter(|seconds| is_number(seconds)) {
        object.raw("request_time", seconds);
    }
    object.end()
}

/// A number as JSON writes it, without an exponent: what else looks like one is an id.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let starts = match digits.as_bytes() {
        [b'0', second, ..] => *second == b'.',
        [first, ..] => first.is_ascii_digit(),
        [] => false,
    };
    plain && starts && text.len() <= 20 && !digits.ends_with('.') && number::parse_f64(text).is_some()
}

/// A name of a field as people write them.
fn is_key(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'@'));
    first && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./@".contains(&byte))
}

#[cfg(test)]
mod tests;
