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
//! | syslog-ng's `format-json`: `{"MESSAGE":"...","FACILITY":"...",...}` | the same, `process.pid` |
//! | rsyslog's templates of JSON: `{"facility":"...","message":"...",...}` | their own |
//! | logfmt: `level=info msg="..." status=200` | each pair |
//! | syslog with a time in full | `time`, `level`, `host.name`, `app`, `process.pid` |
//! | syslog without a year: `Jun  1 10:00:00 host app[77]: ...` | the same |
//! | klog, glog: `I0602 10:00:00.000000 1 file.go:12] ...` | `time`, `level`, `logger`, `message`, pairs |
//! | access logs of Envoy, Istio, HAProxy, load balancers of AWS, Gin, Django, uvicorn, morgan | its parts, `serin.source` |
//! | Lambda: `REPORT RequestId: ...`; Rails: `Completed 200 OK in 12ms` | `request_id`, `duration_ms`; `status`, `duration_ms` |
//! | records of Google Cloud, CloudWatch, GELF, Datadog, Fluent Bit, Filebeat, Vector with a line in them | their own |
//! | text: `TIME LEVEL ...`, as Spring Boot, Python, Rails, log4j and Rust's tracing write it | `time`, `level`, `logger`, `message`, pairs |
//!
//! Inside a wrapping may be another, an object, an access log, logfmt or text. Its own fields count more than those of the wrapping.

mod joined;
mod klog;
mod lambda;
mod logfmt;
mod rails;
mod records;
mod servers;
pub mod syslog;
pub mod table;
mod text;
mod wrapped;

pub use records::KEYS;

use std::borrow::Cow;

use table::Table;

use crate::pipeline::access::{self, Access};
use crate::pipeline::continued::JOINT;
use crate::pipeline::decode::ACCESS_DURATION;
use crate::pipeline::json::{self, Str, Value};
use crate::pipeline::number;
use crate::pipeline::plan::{RequestSource, SOURCE_PATH};

/// Field of the lines that go on with what a line said.
pub const STACK_PATH: &str = "serin.stack";

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
    if !(matches!(first, b'_' | b'i' | b'l' | b't') || first.is_ascii_uppercase()) || line.len() > LINE_MAX {
        return None;
    }
    wrapped::of_object(line, key, 0)
}

/// The same of an object that has one of [`KEYS`]: not its first key tells it.
pub fn of_record(line: &str) -> Option<String> {
    if line.len() > LINE_MAX { None } else { records::object(line, 0) }
}

/// A line that is neither an object nor an access log as JSON object, where its form is known.
pub fn of_text(line: &str) -> Option<String> {
    if line.len() > LINE_MAX {
        return None;
    }
    if memchr::memchr2(b'\n', JOINT, line.as_bytes()).is_some() { joined::object(line) } else { unwrapped(line, 0) }
}

/// Lines that belong together ([`continued`](crate::pipeline::continued)) as one object: the first says what happened, and the others are
/// its stack. `None`: it is one line, or its first is of no known form.
pub fn of_joined(lines: &str) -> Option<String> {
    if lines.len() > LINE_MAX { None } else { joined::object(lines) }
}

/// A line as it is read: itself, or the object that it becomes.
pub fn of<'a>(line: &'a str, tables: &[Table]) -> Cow<'a, str> {
    let made = if let Some(made) = table::by_table(line, tables) {
        Some(made)
    } else if line.trim_ascii_start().starts_with('{') {
        of_object(line).or_else(|| of_record(line)).or_else(|| of_joined(line))
    } else if access::parse_access(line).is_some() {
        None
    } else {
        of_text(line)
    };
    made.map_or(Cow::Borrowed(line), Cow::Owned)
}

/// The line of an access log that an object was made of.
pub fn access_in(object: &str) -> Option<String> {
    if !object.contains(ACCESS_MARK) {
        return None;
    }
    match json::lookup(object, "message") {
        Some(Value::String(text)) => Some(text.get().into_owned()),
        _ => None,
    }
}

/// What stands in objects that were made of lines of an access log.
const ACCESS_MARK: &str = r#""serin.source":"access log","message":""#;

/// What one tool or collector put around a line, with what is inside as message; `None` where nothing is around it.
pub(super) fn outer(line: &str) -> Option<String> {
    let line = line.trim_ascii();
    match line.starts_with('{') {
        true => wrapped::of_object(line, first_key(line), DEPTH_MAX),
        false => wrapped::of_text(line, DEPTH_MAX),
    }
}

/// A line as an object, also one of an access log; `None` where its form is not known.
pub(super) fn object_of<'a>(line: &'a str, tables: &[Table]) -> Option<Cow<'a, str>> {
    match of(line, tables) {
        Cow::Owned(made) => Some(Cow::Owned(made)),
        Cow::Borrowed(line) if line.trim_ascii_start().starts_with('{') => Some(Cow::Borrowed(line)),
        Cow::Borrowed(line) => Some(Cow::Owned(of_access(&access::parse_access(line)?, line))),
    }
}

fn unwrapped(line: &str, depth: usize) -> Option<String> {
    let line = line.trim_ascii();
    if memchr::memchr(0x1b, line.as_bytes()).is_some() {
        // Colours.
        let plain = without_colours(line);
        return if depth < DEPTH_MAX { unwrapped(&plain, depth + 1) } else { None };
    }
    wrapped::of_text(line, depth)
        .or_else(|| servers::object(line))
        .or_else(|| klog::object(line))
        .or_else(|| syslog::object(line, depth))
        .or_else(|| logfmt::object(line))
        .or_else(|| lambda::object(line))
        .or_else(|| text::object(line))
        .or_else(|| rails::object(line))
}

/// A text without the sequences that colour it: `ESC [ ... m`. Whatever else an escape begins stays.
fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(0x1b, rest.as_bytes()) {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        plain.push_str(before);
        let inside = from.strip_prefix("\u{1b}[").unwrap_or_default();
        let len = inside.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b';').count();
        rest = match inside.get(len..).and_then(|rest| rest.strip_prefix('m')) {
            Some(behind) => behind,
            None => {
                plain.push(' ');
                from.get(1..).unwrap_or_default()
            }
        };
    }
    plain.push_str(rest);
    plain
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

    /// A key as JSON has it.
    fn raw_key(&mut self, raw: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(raw);
        self.0.push_str("\":");
    }

    /// A field of another object.
    fn field(&mut self, key: Str<'_>, value: Value<'_>) {
        self.raw_key(key.raw());
        self.put(value);
    }

    /// A value of another object, under a name of its own.
    fn value_of(&mut self, key: &str, value: Value<'_>) {
        self.key(key);
        self.put(value);
    }

    fn put(&mut self, value: Value<'_>) {
        match value {
            Value::Null => self.0.push_str("null"),
            Value::Bool(b) => self.0.push_str(if b { "true" } else { "false" }),
            Value::Number(text) | Value::Object(text) | Value::Array(text) => self.0.push_str(text),
            Value::String(text) => {
                self.0.push('"');
                self.0.push_str(text.raw());
                self.0.push('"');
            }
        }
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

    /// Which source the line's request is from.
    fn of_source(&mut self, source: RequestSource) {
        self.text(SOURCE_PATH, source.name());
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
        self.0.reserve(text.len() + 2);
        self.0.push('"');
        let mut rest = text;
        let is_escaped = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
        while let Some(at) = rest.as_bytes().iter().position(is_escaped)
            && let Some((plain, behind)) = rest.split_at_checked(at)
        {
            self.0.push_str(plain);
            let mut behind = behind.chars();
            match behind.next() {
                Some('\n') => self.0.push_str("\\n"),
                Some('\r') => self.0.push_str("\\r"),
                Some('\t') => self.0.push_str("\\t"),
                Some(c) if u32::from(c) < 0x20 => self.0.push_str(&format!("\\u{:04x}", u32::from(c))),
                Some(c) => self.0.extend(['\\', c]),
                None => {}
            }
            rest = behind.as_str();
        }
        self.0.push_str(rest);
        self.0.push('"');
    }

    /// What a wrapping held: its fields, or all of it as message.
    fn line(&mut self, inner: &str, depth: usize) {
        let inner = inner.trim_ascii();
        let parsed = if inner.starts_with('{') {
            let below = depth + 1;
            let made = || wrapped::of_object(inner, first_key(inner), below).or_else(|| records::object(inner, below));
            let made = if depth < DEPTH_MAX { made() } else { None };
            Some(made.unwrap_or_else(|| inner.to_owned()))
        } else if let Some(access) = access::parse_access(inner) {
            Some(of_access(&access, inner))
        } else if depth < DEPTH_MAX {
            unwrapped(inner, depth + 1)
        } else {
            None
        };
        // What is around it knows the time.
        match parsed.or_else(|| text::levelled(inner)) {
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

/// The parts of an access log, under their names; it says that it is one, and what it said.
fn of_access(line: &Access<'_>, text: &str) -> String {
    let mut object = Object::new();
    object.of_source(RequestSource::AccessLog);
    object.text("message", text);
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
    if let Some(seconds) = line.request_time {
        object.value("request_time", seconds);
    }
    if let Some(number) = line.duration {
        object.value(ACCESS_DURATION, number);
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
